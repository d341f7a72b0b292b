package desk

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	"ringfence/listfile"
	"ringfence/number"
	"ringfence/storage"
)

// gathered is what a file says, in order of its numbers. Ten million exact ones take 160 MB until the import is done.
type gathered struct {
	exact []gatheredNumber
	other []gatheredPattern
	says  []gatheredText
	ids   map[gatheredText]uint32
}

type gatheredNumber struct {
	key  uint64
	says uint32 // place in says
	line uint32
}

type gatheredPattern struct {
	text    string // canonical
	pattern number.Pattern
	says    uint32
	line    uint32
}

// spanSlack is the part of a span by which an expiry may be later than before without being another: a file that says 30d
// and is imported again at once changes nothing.
const spanSlack = 100

type gatheredText struct {
	reason  string
	expires time.Time
	remove  bool

	noReason, noExpires bool // the file does not say them
	span                time.Duration
}

func (g *gathered) add(p number.Pattern, l *listfile.Line) {
	t := gatheredText{reason: l.Reason, expires: l.Expires, remove: l.Remove, noReason: !l.SaysReason, noExpires: !l.SaysExpires, span: l.Span}
	var id uint32
	if n := len(g.says); n > 0 && g.says[n-1] == t {
		id = uint32(n - 1)
	} else if known, ok := g.ids[t]; ok {
		id = known
	} else {
		if g.ids == nil {
			g.ids = make(map[gatheredText]uint32)
		}
		id = uint32(n)
		g.ids[t] = id
		g.says = append(g.says, t)
	}
	if key, ok := p.Key(); ok {
		g.exact = append(g.exact, gatheredNumber{key, id, uint32(l.No)})
	} else {
		g.other = append(g.other, gatheredPattern{p.String(), p, id, uint32(l.No)})
	}
}

// sort puts all in order; of a pattern that comes twice the last line counts. It says how many were repeated.
func (g *gathered) sort() (repeated int) {
	slices.SortFunc(g.exact, func(a, b gatheredNumber) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return cmp.Compare(b.line, a.line)
	})
	slices.SortFunc(g.other, func(a, b gatheredPattern) int {
		return cmp.Or(strings.Compare(a.text, b.text), cmp.Compare(b.line, a.line))
	})
	before := len(g.exact) + len(g.other)
	g.exact = slices.CompactFunc(g.exact, func(a, b gatheredNumber) bool { return a.key == b.key })
	g.other = slices.CompactFunc(g.other, func(a, b gatheredPattern) bool { return a.text == b.text })
	return before - len(g.exact) - len(g.other)
}

// rows gives all as storage wants it, in the order of the patterns' texts.
func (g *gathered) rows(origin storage.Origin, source, who string, now time.Time) iter.Seq[storage.ImportRow] {
	return func(yield func(storage.ImportRow) bool) {
		other := g.other
		row := func(text string, says uint32) bool {
			s := &g.says[says]
			return yield(storage.ImportRow{
				Entry:  storage.Entry{Pattern: text, Reason: s.reason, Origin: origin, Source: source, Who: who, Added: now, Expires: s.expires},
				Remove: s.remove, KeepReason: s.noReason, KeepExpires: s.noExpires, Inherit: origin == storage.FromImport, Near: s.span / spanSlack,
			})
		}
		for _, n := range g.exact {
			text := number.KeyPattern(n.key).String()
			for len(other) > 0 && other[0].text < text {
				if !row(other[0].text, other[0].says) {
					return
				}
				other = other[1:]
			}
			if !row(text, n.says) {
				return
			}
		}
		for _, o := range other {
			if !row(o.text, o.says) {
				return
			}
		}
	}
}

// has reports whether a number is in the file, be it to be removed.
func (g *gathered) has(key uint64) bool {
	_, ok := slices.BinarySearchFunc(g.exact, key, func(n gatheredNumber, k uint64) int { return cmp.Compare(n.key, k) })
	return ok
}

// saysOf is what the file says of a pattern that it has.
func (g *gathered) saysOf(pattern string, p number.Pattern) *gatheredText {
	if key, ok := p.Key(); ok {
		if at, ok := slices.BinarySearchFunc(g.exact, key, func(n gatheredNumber, k uint64) int { return cmp.Compare(n.key, k) }); ok {
			return &g.says[g.exact[at].says]
		}
		return nil
	}
	at, ok := slices.BinarySearchFunc(g.other, pattern, func(o gatheredPattern, text string) int { return strings.Compare(o.text, text) })
	if !ok {
		return nil
	}
	return &g.says[g.other[at].says]
}

// added is how many entries are to be on the list.
func (g *gathered) added() (n int) {
	for i := range g.exact {
		if !g.says[g.exact[i].says].remove {
			n++
		}
	}
	for i := range g.other {
		if !g.says[g.other[i].says].remove {
			n++
		}
	}
	return n
}

// adds reports whether a number is among those that are added.
func (g *gathered) adds(key uint64) bool {
	at, ok := slices.BinarySearchFunc(g.exact, key, func(n gatheredNumber, k uint64) int { return cmp.Compare(n.key, k) })
	return ok && !g.says[g.exact[at].says].remove
}

// maxNamed is how many numbers of a file are held against the hidden ones whom lines deal with: each takes a microsecond.
const maxNamed = 100_000

// namesOf are the numbers that a file adds, by the names under which a private installation knows them; none if it is not private, or if
// they are too many.
func (d *Desk) namesOf(g *gathered) map[string]string {
	if d.o.Private == nil || len(g.exact) > maxNamed {
		return nil
	}
	names := make(map[string]string, len(g.exact))
	for i := range g.exact {
		if !g.says[g.exact[i].says].remove {
			text := number.KeyPattern(g.exact[i].key).String()
			names[d.o.Private.Name(text)] = text
		}
	}
	return names
}
