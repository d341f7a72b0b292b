package storage

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// How many lines the child changes at once: in one transaction, and so many that they are staged.
const (
	crashFew  = 7
	crashMany = 600
)

// crashLines changes lines, and imports and undoes imports of many, until it is killed. Two numbers go from each line to the next in every change, so that
// half of one would have some of them on two lines.
func crashLines(d *DB, fail func(error), say func(string, ...any)) {
	change := func(kind string, n, i int) uint64 {
		edits := make([]LineEdit, n)
		note := crashNote(os.Getenv(crashFromEnv), i)
		for k := range edits {
			name := fmt.Sprint(kind, k)
			edits[k].Line = Line{Name: name, Key: name + "~aaaaaa", Numbers: []string{fmt.Sprint("+1", kind, (k+i)%n), fmt.Sprint("+2", kind, (k+i)%n)}, Note: note}
		}
		_, r, err := d.ChangeLines(ChangeRecord{}, edits)
		for errors.Is(err, ErrBusy) {
			_, r, err = d.ChangeLines(ChangeRecord{}, edits)
		}
		fail(err)
		return r.ID
	}
	last := uint64(0)
	for i := 0; ; i++ {
		change("few", crashFew, i)
		say("few %d", i)
		if i%4 != 0 {
			continue
		}
		if many := i / 4; crashUndoes(many) {
			_, err := d.Undo(last, By{}, nil)
			for errors.Is(err, ErrBusy) {
				_, err = d.Undo(last, By{}, nil)
			}
			fail(err)
		} else {
			last = change("many", crashMany, many)
		}
		say("many %d", i/4)
	}
}

func crashNote(from string, i int) string { return fmt.Sprint("change ", from, " ", i) }

// linesAreThere holds lines against what was acknowledged. Of the change under way all may have come to pass without its line, or nothing.
func (c *crashed) linesAreThere(d *DB, r *round) {
	notes, on := map[string]map[string]int{"few": {}, "many": {}}, map[string]string{}
	check(c.t, d.Lines(func(l Line) error {
		kind := strings.TrimRight(l.Name, "0123456789")
		notes[kind][l.Note]++
		for _, n := range l.Numbers {
			if other, taken := on[n]; taken {
				c.t.Fatalf("round %d: %s is on %s and on %s", r.n, n, other, l.Name)
			}
			on[n] = l.Name
		}
		return nil
	}))
	one := func(kind string, n int) string {
		if len(notes[kind]) > 1 {
			c.t.Fatalf("round %d: half a change of lines is there: %v", r.n, notes[kind])
		}
		for note, lines := range notes[kind] {
			if lines != n {
				c.t.Fatalf("round %d: %d of %d lines", r.n, lines, n)
			}
			return note
		}
		return ""
	}
	from := fmt.Sprint(r.from)
	want := c.few
	if r.few > 0 {
		want = crashNote(from, r.few-1)
	}
	if got := one("few", crashFew); got != want && got != crashNote(from, r.few) {
		c.t.Fatalf("round %d: the few lines say %q, acknowledged was %q", r.n, got, want)
	}
	c.few = one("few", crashFew)
	many := c.many
	for i := range r.many {
		many = crashMore(many, from, i)
	}
	switch got := one("many", crashMany); got {
	case many[0]:
		c.many = many
	case crashMore(many, from, r.many)[0]:
		c.many = crashMore(many, from, r.many)
	default:
		c.t.Fatalf("round %d: the many lines say %q, acknowledged was %q", r.n, got, many[0])
	}
	c.lines += r.few + r.many
}

// crashMore is what many lines say, and said before, after the i-th change of them.
func crashMore(many [2]string, from string, i int) [2]string {
	if crashUndoes(i) {
		return [2]string{many[1], many[1]}
	}
	return [2]string{crashNote(from, i), many[0]}
}
