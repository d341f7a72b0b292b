package lists

import (
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"ringfence/number"
)

// overlay is what was changed since a piece was made: patterns with the text they have now, an empty one if they were removed.
// It never changes: an edit makes a new one, and a new piece when there are many.
type overlay struct {
	keys  []uint64 // of exact numbers, ascending
	texts []text

	wide      wide
	wideTexts []text // by the numbers in wide

	cost int // of the texts, see text.cost
}

// Bounds of an overlay: so many changes, and one more for so many entries of the piece. So an edit of ten million numbers copies
// a few hundred kilobytes, and one in ten thousand all of them.
const (
	overlayChanges  = 1024
	overlayPatterns = 256
	overlayShare    = 1024
)

// state is a list at one moment.
type state struct {
	piece   *Piece
	over    overlay
	n, left int // entries; those whose texts are left out
}

func stateOf(p *Piece) *state { return &state{piece: p, n: p.Len(), left: int(p.header.left)} }

// cost is what the texts count towards maxTexts.
func (s *state) cost() int { return s.piece.cost() + s.over.cost }

// find gives what the entry of an exact number says, empty if there is none.
func (s *state) find(key uint64) text {
	if len(s.over.keys) > 0 {
		if i, ok := slices.BinarySearch(s.over.keys, key); ok {
			return s.over.texts[i]
		}
	}
	return s.piece.find(key)
}

// findWide is find for other patterns.
func (s *state) findWide(p number.Pattern) text {
	if i := s.over.wide.find(p); i >= 0 {
		return s.over.wideTexts[s.over.wide.text(i)]
	}
	if i := s.piece.wide.find(p); i >= 0 {
		return s.piece.text(s.piece.wide.text(i))
	}
	return ""
}

// lookup gives the narrowest entry that matches the number and has a record that counts at that time, and that record; an empty one
// if there is none.
func (s *state) lookup(n *number.Number, at time.Time) (p number.Pattern, r record) {
	forms := [...]bool{true, false} // as E.164 rather than as written inside the country
	some := forms[:]
	if len(s.piece.firsts)+len(s.over.keys) == 0 {
		some = nil
	}
	for _, plus := range some {
		key, ok := number.DigitsKey(n.Digits(plus), plus)
		if !ok {
			continue
		}
		if r = s.find(key).first(at); r != "" {
			p = number.KeyPattern(key)
			break
		}
	}
	if s.over.wide.n == 0 && s.piece.wide.n == 0 {
		return p, r
	}
	best := match{p, r}
	best.narrow(s, &s.over.wide, n, at)
	best.narrow(s, &s.piece.wide, n, at)
	return best.pattern, best.record
}

// match is the narrowest entry that was found so far, and its record that counts, empty if there is none.
type match struct {
	pattern number.Pattern
	record  record
}

// narrow takes those patterns of w, which is the overlay's set or the piece's, that are narrower than what was found and have a record that
// counts.
func (m *match) narrow(s *state, w *wide, n *number.Number, at time.Time) {
	if w.n == 0 {
		return
	}
	w.lengths.Keys(n, func(key uint64) {
		block := w.first(key)
		if block < 0 {
			return
		}
		for ; block < w.blocks && w.key(block) == key; block++ {
			i := w.id(block)
			p := w.pattern(i)
			if m.record != "" && !p.Narrower(m.pattern, n) {
				continue
			}
			var t text
			if w == &s.over.wide {
				t = s.over.wideTexts[w.text(i)]
			} else if s.over.wide.find(p) < 0 {
				t = s.piece.text(w.text(i))
			}
			if r := t.first(at); r != "" {
				*m = match{p, r}
			}
		}
	})
}

// lookupMapped is lookup in a piece that is mapped, which is there as long as something has the state. What it finds is memory. It is
// not ok if the piece cannot be read any more.
func (s *state) lookupMapped(n *number.Number, at time.Time) (p number.Pattern, r record, ok bool) {
	defer runtime.KeepAlive(s)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			if !isFault(fault) {
				panic(fault)
			}
			p, r, ok = number.Pattern{}, "", false
		}
	}()
	p, r = s.lookup(n, at)
	return p, r, true
}

// changedText is a change as it is made: the pattern, its key if it has one, and what it says then, empty if it is removed.
type changedText struct {
	pattern number.Pattern
	key     uint64
	exact   bool
	text    text
}

// with gives the list after changes, whose overlay may be too large then.
func (s *state) with(changes []changedText) *state {
	t := &state{piece: s.piece, n: s.n, left: s.left}
	exact := make([]changedText, 0, len(changes))
	wide := make([]changedText, 0)
	for _, c := range changes {
		if c.exact {
			exact = append(exact, c)
		} else {
			wide = append(wide, c)
		}
	}
	t.over = overlay{keys: s.over.keys, texts: s.over.texts, wide: s.over.wide, wideTexts: s.over.wideTexts, cost: s.over.cost}
	if exact = lastOfEach(exact, func(a, b *changedText) int { return compareKeys(a.key, b.key) }); len(exact) > 0 {
		t.over.changeNumbers(s, t, exact)
	}
	if wide = lastOfEach(wide, func(a, b *changedText) int { return comparePatterns(a.pattern, b.pattern) }); len(wide) > 0 {
		t.over.changeWide(s, t, wide)
	}
	return t
}

func compareKeys(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// lastOfEach sorts changes; of those to one pattern the last stays.
func lastOfEach(changes []changedText, compare func(a, b *changedText) int) []changedText {
	byPattern := func(a, b changedText) int { return compare(&a, &b) }
	if !slices.IsSortedFunc(changes, byPattern) {
		slices.SortStableFunc(changes, byPattern)
	}
	last := changes[:0]
	for i := range changes {
		if i+1 < len(changes) && compare(&changes[i], &changes[i+1]) == 0 {
			continue
		}
		last = append(last, changes[i])
	}
	return last
}

// count counts an entry that said was and says now.
func (s *state) count(was, now text) {
	if was != "" {
		s.n--
		if was.isLeftOut() {
			s.left--
		}
	}
	if now != "" {
		s.n++
		if now.isLeftOut() {
			s.left++
		}
	}
}

// changeNumbers makes changes to exact numbers, ascending. before is the list without them, counted the one to count in.
func (o *overlay) changeNumbers(before, counted *state, changes []changedText) {
	old := &before.over
	o.keys, o.texts = make([]uint64, 0, len(old.keys)+len(changes)), make([]text, 0, len(old.keys)+len(changes))
	from := 0
	for i := range changes {
		c := &changes[i]
		at, found := slices.BinarySearch(old.keys[from:], c.key)
		at += from
		o.keys, o.texts = append(o.keys, old.keys[from:at]...), append(o.texts, old.texts[from:at]...)
		from = at
		var was text
		if found {
			was = old.texts[at]
			o.cost -= was.cost()
			from++
		} else {
			was = before.piece.find(c.key)
		}
		counted.count(was, c.text)
		if found || was != "" || c.text != "" { // what was never there leaves no trace
			o.keys, o.texts = append(o.keys, c.key), append(o.texts, c.text)
			o.cost += c.text.cost()
		}
	}
	o.keys, o.texts = append(o.keys, old.keys[from:]...), append(o.texts, old.texts[from:]...)
}

// changeWide is changeNumbers for other patterns, in the order of comparePatterns.
func (o *overlay) changeWide(before, counted *state, changes []changedText) {
	old := &before.over
	es := make([]wideEntry, 0, old.wide.n+len(changes))
	o.wideTexts = make([]text, 0, old.wide.n+len(changes))
	add := func(p number.Pattern, t text) {
		es = append(es, wideEntry{p, uint32(len(o.wideTexts))})
		o.wideTexts = append(o.wideTexts, t)
	}
	changed := func(p number.Pattern) bool {
		_, found := slices.BinarySearchFunc(changes, p, func(c changedText, p number.Pattern) int { return comparePatterns(c.pattern, p) })
		return found
	}
	for i := range old.wide.n {
		if p, t := old.wide.pattern(i), old.wideTexts[old.wide.text(i)]; !changed(p) {
			add(p, t)
		} else {
			o.cost -= t.cost()
		}
	}
	for i := range changes {
		c := &changes[i]
		was := before.findWide(c.pattern)
		counted.count(was, c.text)
		if c.text != "" || before.piece.wide.find(c.pattern) >= 0 {
			add(c.pattern, c.text)
			o.cost += c.text.cost()
		}
	}
	slices.SortFunc(es, compareWide)
	o.wide = newWide(es)
}

// isLarge reports whether a new piece should be made.
func (s *state) isLarge() bool {
	return len(s.over.keys) > overlayChanges+int(s.piece.header.numbers)/overlayShare || s.over.wide.n > overlayPatterns+s.piece.wide.n/overlayShare
}

// isPlain reports whether the list is what its piece says.
func (s *state) isPlain() bool { return len(s.over.keys) == 0 && s.over.wide.n == 0 }

// merged gives the same list without an overlay. room is that of newBuilder.
func (s *state) merged(room func(cost int) bool) *state {
	if s.isPlain() {
		return s
	}
	return stateOf(s.piece.merge(&s.over, room))
}
