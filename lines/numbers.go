package lines

import (
	"cmp"
	"math/bits"
	"slices"

	"ringfence/number"
)

// numbers finds the line that a number is on, among patterns of which no two lines have the same number. Single numbers are hashed, since a look-up
// comes with nothing of them in the processor's cache, and in order for who asks what a pattern meets; all others are spans from a
// first to a last one. It never changes.
type numbers struct {
	groups []group   // single numbers, by their hash. What finds no place in its group goes to the next one that has room
	order  []uint32  // their places in groups, ascending by key
	from   [65]int32 // where in order the numbers of each shape begin

	wide  spans // ranges, beginnings
	other spans // the patterns of wide that are of this country's digits, as E.164 (see number.Plan.InE164); for meet alone
}

// shape is what patterns have in common whose digits can be compared as numbers: how many they are, and which of the two ways of writing they
// look at.
type shape uint8

func shapeOf(p *number.Pattern) shape {
	s := shape(p.Size)
	if p.Plus {
		s |= 32
	}
	return s
}

// key packs a single number: its shape and its digits. Keys of one shape sort as the numbers do.
func (s shape) key(v uint64) uint64 { return uint64(s)<<58 | v }

const valueBits = 1<<58 - 1

// group is some single numbers and their lines, as many as there is room for in the 64 bytes that a processor reads at once.
type group struct {
	keys [groupSize]uint64 // 0 is none, and none follows
	of   [groupSize]uint32
	_    uint32
}

const groupSize = 5

// group is where the search for a key begins.
func (n *numbers) group(k uint64) int {
	at, _ := bits.Mul64(k*0x9e3779b97f4a7c15, uint64(len(n.groups)))
	return int(at)
}

func (n *numbers) next(group int) int {
	if group++; group < len(n.groups) {
		return group
	}
	return 0
}

// single is the number at a place of order, and its line.
func (n *numbers) single(place uint32) (key uint64, line uint32) {
	g := &n.groups[place/groupSize]
	return g.keys[place%groupSize], g.of[place%groupSize]
}

// put takes a single number in, for which there is room, and gives its place.
func (n *numbers) put(k uint64, line uint32) (place uint32) {
	for at := n.group(k); ; at = n.next(at) {
		g := &n.groups[at]
		for i := range g.keys {
			if g.keys[i] == 0 {
				g.keys[i], g.of[i] = k, line
				return uint32(at*groupSize + i)
			}
		}
	}
}

// findSingle is the line of a single number.
func (n *numbers) findSingle(k uint64) (line uint32, ok bool) {
	for at := n.group(k); ; at = n.next(at) {
		g := &n.groups[at]
		for i, key := range g.keys {
			if key == k {
				return g.of[i], true
			}
			if key == 0 {
				return 0, false
			}
		}
	}
}

// held is a pattern and the line that it is on.
type held struct {
	number.Pattern
	line uint32
}

// numbersOf makes an index of patterns, of which no two lines have the same number. It may change the order of all.
func numbersOf(plan *number.Plan, all []held) numbers {
	var n numbers
	var wide, other []held
	exact := 0
	for i := range all {
		if all[i].IsExact() {
			exact++
			continue
		}
		wide = append(wide, all[i])
		if !all[i].Plus {
			for _, q := range plan.InE164(all[i].Pattern) {
				other = append(other, held{q, all[i].line})
			}
		}
	}
	single := make([]held, 0, exact)
	for i := range all {
		if all[i].IsExact() {
			single = append(single, all[i])
		}
	}
	slices.SortFunc(single, func(a, b held) int { return cmp.Compare(shapeOf(&a.Pattern).key(a.Lo), shapeOf(&b.Pattern).key(b.Lo)) })
	single = slices.CompactFunc(single, func(a, b held) bool { return a.Pattern == b.Pattern })
	n.groups, n.order = make([]group, len(single)/4+1), make([]uint32, len(single)) // a fifth is empty, and one place at least
	for i := range single {
		s := shapeOf(&single[i].Pattern)
		k := s.key(single[i].Lo)
		n.order[i] = n.put(k, single[i].line)
		n.from[s+1] = int32(i + 1)
	}
	for s := range n.from[1:] {
		n.from[s+1] = max(n.from[s+1], n.from[s])
	}
	n.wide, n.other = spansOf(wide), spansOf(other)
	return n
}

// spans are ranges and beginnings, by shape, open or not. Those of one shape are sorted; where they are asked for a number they do not lie over
// one another unless they are of one line.
type spans struct {
	lo, hi []uint64
	of     []uint32
	reach  []uint64   // the highest hi of a shape so far; hi itself, unless spans lie over one another
	from   [129]int32 // where each shape begins, those that are open after the others
	// Which lengths there are at all of open patterns, by way of writing, a bit each.
	open [2]uint32
}

// place is the shape of a span, and whether it is open.
func place(p *number.Pattern) int {
	at := int(shapeOf(p))
	if p.Open {
		at += 64
	}
	return at
}

func spansOf(all []held) (s spans) {
	if len(all) == 0 {
		return s
	}
	slices.SortFunc(all, func(a, b held) int {
		return cmp.Or(cmp.Compare(place(&a.Pattern), place(&b.Pattern)), cmp.Compare(a.Lo, b.Lo), cmp.Compare(a.Hi, b.Hi))
	})
	joined := all[:1]
	for _, h := range all[1:] {
		if last := &joined[len(joined)-1]; place(&last.Pattern) == place(&h.Pattern) && last.line == h.line && h.Lo <= last.Hi {
			last.Hi = max(last.Hi, h.Hi)
			continue
		}
		joined = append(joined, h)
	}
	s.lo, s.hi, s.of = make([]uint64, len(joined)), make([]uint64, len(joined)), make([]uint32, len(joined))
	for i := range joined {
		h := &joined[i]
		s.lo[i], s.hi[i], s.of[i] = h.Lo, h.Hi, h.line
		s.from[place(&h.Pattern)+1]++
		if h.Open {
			s.open[form(h.Plus)] |= 1 << h.Size
		}
	}
	for i := range s.from[1:] {
		s.from[i+1] += s.from[i]
	}
	s.reach = s.hi
	for i := 1; i < len(joined); i++ {
		if place(&joined[i].Pattern) == place(&joined[i-1].Pattern) && s.reach[i] < s.reach[i-1] {
			if &s.reach[0] == &s.hi[0] {
				s.reach = slices.Clone(s.hi)
			}
			s.reach[i] = s.reach[i-1]
		}
	}
	return s
}

func form(plus bool) int {
	if plus {
		return 1
	}
	return 0
}

// last is the place of the last of sorted values that is at most v; -1 if there is none.
func last(values []uint64, v uint64) int {
	at, n := 0, len(values)
	for n > 1 {
		half := n / 2
		if values[at+half] <= v {
			at += half
		}
		n -= half
	}
	if n == 0 || values[at] > v {
		return -1
	}
	return at
}

// in is the span at a place that a value is in.
func (s *spans) in(place int, v uint64) (line uint32, ok bool) {
	from, to := s.from[place], s.from[place+1]
	if from == to {
		return 0, false
	}
	if i := last(s.lo[from:to], v); i >= 0 && v <= s.hi[int(from)+i] {
		return s.of[int(from)+i], true
	}
	return 0, false
}

const maxDigits = 16 // of a pattern

var pow10 = func() (p [maxDigits + 1]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// find gives the line that a number is on. It does not allocate.
func (n *numbers) find(of *number.Number) (line uint32, ok bool) {
	for _, plus := range [...]bool{true, false} {
		if line, ok = n.findWritten(of.Digits(plus), plus); ok {
			return line, true
		}
	}
	return 0, false
}

// findWritten is find by one way of writing.
func (n *numbers) findWritten(d string, plus bool) (line uint32, ok bool) {
	size := min(len(d), maxDigits)
	if size == 0 {
		return 0, false
	}
	var v uint64
	for i := range size {
		v = v*10 + uint64(d[i]-'0')
	}
	s := shapeOf(&number.Pattern{Size: uint8(size), Plus: plus})
	if size == len(d) {
		if n.from[s] < n.from[s+1] {
			if line, ok = n.findSingle(s.key(v)); ok {
				return line, true
			}
		}
		if line, ok = n.wide.in(int(s), v); ok {
			return line, true
		}
	}
	for todo := n.wide.open[form(plus)] & (1<<(size+1) - 1); todo != 0; todo &= todo - 1 {
		begin := bits.TrailingZeros32(todo)
		if line, ok = n.wide.in(int(s)-size+begin+64, v/pow10[size-begin]); ok {
			return line, true
		}
	}
	return 0, false
}

// meet calls yield for the lines that have a number which p matches as well, until it returns false. A line may come more than once. It takes
// as many steps as the logarithm of how many patterns there are, for each line that comes.
func (n *numbers) meet(plan *number.Plan, p number.Pattern, yield func(line uint32) bool) {
	if !n.meetWritten(&n.wide, &p, nil, yield) {
		return
	}
	switch {
	case p.IsExact():
		// The plan says how it is written otherwise.
		if p.Plus && len(n.other.of) == 0 {
			return
		}
		of := plan.ParseInternal(p.String())
		if line, ok := n.findWritten(of.Digits(!p.Plus), !p.Plus); ok {
			yield(line)
		}
	case p.Plus:
		none := numbers{} // single numbers have been looked at
		none.meetWritten(&n.other, &p, nil, yield)
	default:
		for _, q := range plan.InE164(p) {
			really := func(exact number.Pattern) bool {
				of := plan.Parse(exact.String())
				return p.Matches(&of)
			}
			if !n.meetWritten(&n.wide, &q, really, yield) {
				return
			}
		}
	}
}

// meetWritten is meet for single numbers and spans that are written as p is. really is asked of a single number, unless it is nil. It reports whether
// to go on.
func (n *numbers) meetWritten(wide *spans, p *number.Pattern, really func(number.Pattern) bool, yield func(line uint32) bool) bool {
	base := int(shapeOf(p)) - int(p.Size)
	for size := 1; size <= maxDigits; size++ {
		lo, hi := p.Lo, p.Hi
		if size < int(p.Size) {
			lo, hi = lo/pow10[int(p.Size)-size], hi/pow10[int(p.Size)-size]
		} else {
			k := pow10[size-int(p.Size)]
			lo, hi = lo*k, hi*k+k-1
		}
		if size == int(p.Size) || size > int(p.Size) && p.Open {
			if !n.meetExact(shape(base+size), lo, hi, really, yield) || !wide.meet(base+size, lo, hi, yield) {
				return false
			}
		}
		if size <= int(p.Size) || p.Open {
			if !wide.meet(base+size+64, lo, hi, yield) {
				return false
			}
		}
	}
	return true
}

func (n *numbers) meetExact(s shape, lo, hi uint64, really func(number.Pattern) bool, yield func(line uint32) bool) bool {
	from, to := int(n.from[s]), int(n.from[s+1])
	if from == to {
		return true
	}
	at, _ := slices.BinarySearchFunc(n.order[from:to], s.key(lo), func(place uint32, k uint64) int {
		key, _ := n.single(place)
		return cmp.Compare(key, k)
	})
	for _, place := range n.order[from+at : to] {
		key, line := n.single(place)
		if key > s.key(hi) {
			break
		}
		if (really == nil || really(exactOf(key))) && !yield(line) {
			return false
		}
	}
	return true
}

func exactOf(key uint64) number.Pattern {
	s := shape(key >> 58)
	return number.Pattern{Lo: key & valueBits, Hi: key & valueBits, Size: uint8(s & 31), Plus: s&32 != 0}
}

func (s *spans) meet(place int, lo, hi uint64, yield func(line uint32) bool) bool {
	from, to := int(s.from[place]), int(s.from[place+1])
	if from == to {
		return true
	}
	at, _ := slices.BinarySearch(s.reach[from:to], lo)
	for i := from + at; i < to && s.lo[i] <= hi; i++ {
		if s.hi[i] >= lo && !yield(s.of[i]) {
			return false
		}
	}
	return true
}

// held gives all patterns back, as they were joined.
func (n *numbers) held(yield func(held)) {
	for _, place := range n.order {
		key, line := n.single(place)
		yield(held{exactOf(key), line})
	}
	for at := range len(n.wide.from) - 1 {
		for i := n.wide.from[at]; i < n.wide.from[at+1]; i++ {
			s := at & 63
			yield(held{number.Pattern{Lo: n.wide.lo[i], Hi: n.wide.hi[i], Size: uint8(s & 31), Plus: s&32 != 0, Open: at >= 64}, n.wide.of[i]})
		}
	}
}
