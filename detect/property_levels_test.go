package detect_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/policy"
)

// ranges is the model of a detector that counts strangers by several levels of prefixes: it remembers when each number
// last called.
type ranges struct {
	d       policy.Detector
	last    map[string]int64 // the piece in which a number called last
	tripped map[string]bool
	// What counted before a range within had tripped counts no more for those around it.
	explained map[string]map[string]int64 // by range: numbers, up to that piece
	calls     int
	order     map[string]int            // the call by which a number counted last
	taken     map[string]map[string]int // by range: the branches and tens within that a trip took away, and by which call
}

func (m *ranges) piece(at time.Time) int64 {
	return at.UnixMilli() / (m.d.Window.Milliseconds() / pieces)
}

// of are the numbers that count for a range.
func (m *ranges) of(key string, at time.Time) (numbers []string) {
	for n, piece := range m.last {
		if until, ok := m.explained[key][n]; strings.HasPrefix(n, key) && m.piece(at)-piece < pieces && (!ok || piece > until) {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// spread reports whether numbers come from all over a range. The branch that led to a range which tripped says nothing
// until it is seen again. Where three numbers trip it, three branches are enough.
func (m *ranges) spread(key string, numbers []string, trip int) bool {
	next, tens := map[string]bool{}, map[string]bool{}
	for _, n := range numbers {
		if len(n) == len(key) {
			return true
		}
		branch, ten := n[:len(key)+1], n[:len(n)-1]
		if m.order[n] > m.taken[key][branch] {
			next[branch] = true
		}
		if m.order[n] > m.taken[key]["ten "+ten] {
			tens[ten] = true
		}
	}
	return len(next) >= min(4, max(trip, 3)) || len(numbers) >= 8 && len(tens) >= 4
}

// call counts a call, and reports whether it is tripped.
func (m *ranges) call(from string, stranger bool, at time.Time) bool {
	covered := ""
	for _, l := range m.d.Levels {
		if key := from[:l.Digits]; m.tripped[key] {
			covered = key
		}
	}
	if stranger {
		m.last[from] = m.piece(at)
		m.calls++
		m.order[from] = m.calls
		// It counts for what is within a tripped range, and not for what is around it.
		for _, l := range m.d.Levels {
			if key := from[:l.Digits]; l.Digits < len(covered) {
				m.explain(key, from, m.piece(at))
			} else if m.explained[key] != nil {
				delete(m.explained[key], from)
			}
		}
		for i := len(m.d.Levels) - 1; i >= 0; i-- {
			l := m.d.Levels[i]
			key := from[:l.Digits]
			numbers := m.of(key, at)
			if m.tripped[key] || l.Digits < len(covered) {
				break
			}
			if len(numbers) < l.Trip || !m.spread(key, numbers, l.Trip) {
				continue
			}
			blamed := key
			for _, deeper := range m.d.Levels[i+1:] {
				for _, n := range numbers {
					in := m.of(n[:deeper.Digits], at)
					if len(n[:deeper.Digits]) > len(blamed) && 10*len(in) >= 8*len(numbers) && len(in) > 1 && m.spread(n[:deeper.Digits], in, deeper.Trip) && !m.tripped[n[:deeper.Digits]] {
						blamed = n[:deeper.Digits]
						break
					}
				}
			}
			m.tripped[blamed] = true
			for _, n := range m.of(blamed, at) {
				for _, wider := range m.d.Levels {
					if wider.Digits < len(blamed) {
						key := n[:wider.Digits]
						m.explain(key, n, m.last[n])
						if m.taken[key] == nil {
							m.taken[key] = map[string]int{}
						}
						m.taken[key][blamed[:wider.Digits+1]], m.taken[key]["ten "+n[:len(n)-1]] = m.calls, m.calls
					}
				}
			}
			break
		}
	}
	for _, l := range m.d.Levels {
		if m.tripped[from[:l.Digits]] {
			return true
		}
	}
	return false
}

func (m *ranges) explain(key, number string, piece int64) {
	if m.explained[key] == nil {
		m.explained[key] = map[string]int64{}
	}
	m.explained[key][number] = piece
}

// TestPropertyLevels holds that the ranges which trip, and when, are those of the model.
func TestPropertyLevels(t *testing.T) {
	trips, wrong := 0, 0
	for seed := range seeds(100, 600) {
		random := rand.New(rand.NewPCG(uint64(seed), 21))
		d := rangeWakes()
		d.Hold, d.HoldMax = 1000*time.Hour, 1000*time.Hour
		d.Window = time.Duration(10+random.IntN(180)) * time.Minute
		d.Levels = []policy.Level{{Digits: 5, Trip: 4 + random.IntN(8)}, {Digits: 6, Trip: 3 + random.IntN(6)}, {Digits: 7, Trip: 3 + random.IntN(4)}}
		w := newWorld(t, d)
		m := &ranges{d: d, last: map[string]int64{}, tripped: map[string]bool{}, explained: map[string]map[string]int64{}, order: map[string]int{}, taken: map[string]map[string]int{}}
		var log []string
		for i := range 150 {
			w.at = w.at.Add(time.Duration(random.Int64N(int64(d.Window) / 8)))
			w.at = w.at.Truncate(time.Millisecond)
			from := fmt.Sprintf("95211%03d", random.IntN(1000))
			switch random.IntN(4) { // some of its ranges call more
			case 0:
				from = fmt.Sprintf("952113%02d", random.IntN(100))
			case 1:
				from = fmt.Sprintf("9521177%d", random.IntN(10))
			}
			c := call{from: from, to: line(i), known: random.IntN(5) == 0}
			want := m.call(from, !c.known, w.at)
			got := w.call(c)
			log = append(log, fmt.Sprintf("%s %s known %v", w.at.Sub(start), from, c.known))
			have, expect := w.tripped(d.Name), []string{}
			for key := range m.tripped {
				expect = append(expect, key)
			}
			slices.Sort(have)
			slices.Sort(expect)
			if got.tripped != want || !slices.Equal(have, expect) {
				t.Errorf("seed %d, levels %v in %s, call %d from %s: tripped %v, ranges %v; want %v, ranges %v\n%s", seed, d.Levels, d.Window, i, from, got.tripped, have, want, expect, tail(log))
				wrong++
				break
			}
			if i == 149 {
				trips += len(expect)
			}
		}
		if wrong >= 3 {
			t.FailNow()
		}
	}
	if trips < 100 {
		t.Errorf("%d trips: the test tests little", trips)
	}
}
