package storage

import (
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// upTo is the numbers from 0 on, with an error behind each of some.
func upTo(many int, bad map[int]bool, made *atomic.Int64, running *atomic.Bool) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		running.Store(true)
		defer running.Store(false)
		for i := range many {
			var err error
			if bad[i] {
				err = fmt.Errorf("at %d", i)
			}
			if made.Add(1); !yield(i, err) {
				return
			}
		}
	}
}

// What is made ahead comes as it is made, with its errors where they are; and nothing runs any more when it has ended, however it ends.
func TestAhead(t *testing.T) {
	for _, many := range []int{0, 1, aheadPage - 1, aheadPage, aheadPage + 1, 10*aheadPage + 7} {
		for _, stopAt := range []int{-1, 0, aheadPage - 1, aheadPage, 5 * aheadPage} {
			bad := map[int]bool{0: many == 1, aheadPage / 2: true, 2*aheadPage - 1: true, many - 1: true}
			synctest.Test(t, func(t *testing.T) {
				var made atomic.Int64
				var running atomic.Bool
				at := 0
				for v, err := range Ahead(upTo(many, bad, &made, &running)) {
					if bad[at] != (err != nil) || err == nil && v != at || err != nil && err.Error() != fmt.Sprintf("at %d", at) {
						t.Fatalf("%d of %d: %d, %v", at, many, v, err)
					}
					synctest.Wait()
					if ahead := int(made.Load()) - at; ahead > (aheadPages+1)*aheadPage {
						t.Fatalf("%d are made that nobody took", ahead)
					}
					if at == stopAt {
						break
					}
					at++
				}
				if stopAt < 0 && at != many {
					t.Fatalf("%d of %d came", at, many)
				}
				if running.Load() {
					t.Fatal("it is made still")
				}
			})
		}
	}
}

// What ends with an error ends the merge, and nothing is changed.
func TestMergeManyEnds(t *testing.T) {
	d := open(t, Options{})
	broken := errors.New("the line is dead")
	_, err := d.MergeMany("blacklist", Ahead(func(yield func(Row, error) bool) {
		for i := range 50_000 {
			if !yield(Row{Pattern: fmt.Sprintf("+86139%08d", i), Origin: FromPerson, Stamp: Tick{Wall: 5, Node: "b"}}, nil) {
				return
			}
		}
		yield(Row{}, broken)
	}), Foreign{Node: "b"}, nil)
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if _, rows, err := d.Leaves("blacklist"); err != nil || rows != 0 {
		t.Fatalf("%d rows, %v", rows, err)
	}
}
