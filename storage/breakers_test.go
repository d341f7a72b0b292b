package storage

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// readBreakers is all that is kept of breakers.
func readBreakers(t testing.TB, d *DB) string {
	t.Helper()
	text := ""
	check(t, d.EachBreaker(func(b Breaker) error { text += fmt.Sprintf("%s=%s ", b.Key, b.Value); return nil }))
	return text
}

// Breakers are on disk when they are acknowledged, over a restart, and what is too long is refused whole.
func TestBreakers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ringfence.db")
	d := open(t, Options{}, file)
	check(t, d.PutBreakers([]Breaker{{"b", []byte("2")}, {"a", []byte("1")}, {"c", []byte("3")}}, nil))
	check(t, d.PutBreakers([]Breaker{{"b", []byte("22")}}, []string{"c", "never there"}))
	for _, b := range []Breaker{{"", []byte("x")}, {strings.Repeat("k", MaxBreakerKey+1), nil}, {"k", make([]byte, MaxBreakerValue+1)}} {
		if err := d.PutBreakers([]Breaker{{"d", []byte("4")}, b}, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("%d bytes under %d: %v", len(b.Value), len(b.Key), err)
		}
	}
	if err := d.PutBreakers(nil, make([]string, MaxEdit+1)); !errors.Is(err, ErrInvalid) {
		t.Errorf("too many: %v", err)
	}
	check(t, d.Close())
	d = open(t, Options{}, file)
	if got := readBreakers(t, d); got != "a=1 b=22 " {
		t.Errorf("after a restart: %s", got)
	}
}

// A file of a program that did not know the table has none, which a command that only reads takes for an empty one; what that program
// left in a table that it does not know is there again.
func TestBreakersOfOlderFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ringfence.db")
	d := open(t, Options{}, file)
	check(t, d.update(func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketBreakers) }))
	check(t, d.Close())
	d = open(t, Options{ReadOnly: true}, file)
	if got := readBreakers(t, d); got != "" {
		t.Errorf("read only: %s", got)
	}
	check(t, d.Close())
	d = open(t, Options{}, file)
	check(t, d.PutBreakers([]Breaker{{"a", []byte("1")}}, nil))
}
