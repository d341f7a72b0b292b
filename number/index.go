package number

import (
	"maps"
	"math/bits"
	"slices"
)

// Match is one pattern of an Index that a number met, and the set it belongs to.
type Match struct {
	Set     uint32
	Pattern Pattern
}

// Index finds, among very many patterns, those that match a number. What a look-up costs depends on
// the length of the number and on how many different lengths the patterns have, not on how many
// patterns there are. Sets are numbers that the user chooses: a rule's condition, a list's entry.
//
// Every pattern is broken into blocks: leading digits and either a total length or none. A block is
// one key of a map; masks say which lengths of leading digits occur at all, so that a look-up asks
// the map only where an answer is possible.
//
// Reading is safe from many goroutines at once as long as nobody writes.
type Index struct {
	heads map[uint64]int32 // block key to the first of its nodes
	nodes []indexNode
	free  int32 // first unused node, -1 for none
	n     int   // pairs of pattern and set

	// How many nodes there are by way of writing, total length (0 is any) and leading digits; and
	// the same as bit masks over the number of leading digits.
	count [2][maxPatternDigits + 1][maxPatternDigits + 1]int32
	mask  [2][maxPatternDigits + 1]uint32
}

// indexNode is one pattern and set under a block; next chains those that share the block.
type indexNode struct {
	Match
	next int32
}

// block is a part of a pattern: leading digits, and a total length unless it is 0.
type block struct {
	lead        uint64
	leads, size uint8
	plus        bool
}

// key packs a block into a map key. A 1 before the leading digits keeps 09 and 9 apart; with it 16
// digits take 55 bits, the length 5 and the way of writing 1.
func (b block) key() uint64 {
	k := (pow10[b.leads]+b.lead)<<6 | uint64(b.size)<<1
	if b.plus {
		k |= 1
	}
	return k
}

// NewIndex gives an empty index.
func NewIndex() *Index {
	return &Index{heads: make(map[uint64]int32), free: -1}
}

// Clone gives an index of the same content.
func (x *Index) Clone() *Index {
	y := *x
	y.heads, y.nodes = maps.Clone(x.heads), slices.Clone(x.nodes)
	return &y
}

// Len is the number of pairs of pattern and set that were added and not removed.
func (x *Index) Len() int { return x.n }

// blocks calls f for each block of the pattern: one for a number, a beginning or a beginning with
// free digits, at most 18 for each digit for a range.
func (p Pattern) blocks(f func(block)) {
	if p.Open {
		f(block{lead: p.Lo, leads: p.Size, plus: p.Plus})
		return
	}
	for lo := p.Lo; lo <= p.Hi; {
		k := 0
		for k < int(p.Size) && lo%pow10[k+1] == 0 && lo+pow10[k+1]-1 <= p.Hi {
			k++
		}
		f(block{lead: lo / pow10[k], leads: p.Size - uint8(k), size: p.Size, plus: p.Plus})
		lo += pow10[k]
	}
}

// firstKey is the key of the pattern's first block, under which every set of the pattern is found.
func (p Pattern) firstKey() (key uint64) {
	found := false
	p.blocks(func(b block) {
		if !found {
			key, found = b.key(), true
		}
	})
	return key
}

// Add puts a pattern into a set. What is there already stays as it is.
func (x *Index) Add(p Pattern, set uint32) {
	if p.Size == 0 || x.has(p, set) {
		return
	}
	x.n++
	p.blocks(func(b block) {
		at := x.free
		if at < 0 {
			at = int32(len(x.nodes))
			x.nodes = append(x.nodes, indexNode{})
		} else {
			x.free = x.nodes[at].next
		}
		head, ok := x.heads[b.key()]
		if !ok {
			head = -1
		}
		x.nodes[at] = indexNode{Match{set, p}, head}
		x.heads[b.key()] = at
		x.tally(b, 1)
	})
}

// Remove takes a pattern out of a set and reports whether it was there.
func (x *Index) Remove(p Pattern, set uint32) bool {
	if p.Size == 0 || !x.has(p, set) {
		return false
	}
	x.n--
	p.blocks(func(b block) {
		before := int32(-1)
		for at := x.heads[b.key()]; at >= 0; before, at = at, x.nodes[at].next {
			node := &x.nodes[at]
			if node.Pattern != p || node.Set != set {
				continue
			}
			switch {
			case before >= 0:
				x.nodes[before].next = node.next
			case node.next >= 0:
				x.heads[b.key()] = node.next
			default:
				delete(x.heads, b.key())
			}
			*node = indexNode{next: x.free}
			x.free = at
			break
		}
		x.tally(b, -1)
	})
	return true
}

// tally counts a node in or out and keeps the masks true.
func (x *Index) tally(b block, by int32) {
	form := 0
	if b.plus {
		form = 1
	}
	x.count[form][b.size][b.leads] += by
	if x.count[form][b.size][b.leads] > 0 {
		x.mask[form][b.size] |= 1 << b.leads
	} else {
		x.mask[form][b.size] &^= 1 << b.leads
	}
}

// has reports whether the pattern is in the set.
func (x *Index) has(p Pattern, set uint32) bool {
	at, ok := x.heads[p.firstKey()]
	for ; ok && at >= 0; at = x.nodes[at].next {
		if x.nodes[at].Pattern == p && x.nodes[at].Set == set {
			return true
		}
	}
	return false
}

// Find gives the first set found that has exactly this pattern.
func (x *Index) Find(p Pattern) (set uint32, ok bool) {
	at, ok := x.heads[p.firstKey()]
	for ; ok && at >= 0; at = x.nodes[at].next {
		if x.nodes[at].Pattern == p {
			return x.nodes[at].Set, true
		}
	}
	return 0, false
}

// AppendMatches appends all patterns that match the number to dst, the narrowest first, and gives the
// longer slice. It allocates only when dst is too small. They are those of the index itself, and hold until it is changed.
func (x *Index) AppendMatches(dst []*Match, n *Number) []*Match {
	from := len(dst)
	dst = x.appendForm(dst, n.national, 0)
	dst = x.appendForm(dst, n.digits, 1)
	// Few patterns match one number, so the plainest way to sort is the fastest.
	for i := from + 1; i < len(dst); i++ {
		for j := i; j > from && dst[j].Pattern.Narrower(dst[j-1].Pattern, n); j-- {
			dst[j], dst[j-1] = dst[j-1], dst[j]
		}
	}
	return dst
}

// appendForm appends the matches among patterns of one way of writing, in no particular order.
func (x *Index) appendForm(dst []*Match, d string, form uint64) []*Match {
	if d == "" {
		return dst
	}
	anyLength, thisLength := x.mask[form][0], uint32(0)
	if len(d) <= maxPatternDigits {
		thisLength = x.mask[form][len(d)]
	}
	lead, leads := uint64(1), 0 // the 1 is that of block.key
	for todo := anyLength | thisLength; todo != 0; todo &= todo - 1 {
		want := bits.TrailingZeros32(todo)
		if want > len(d) {
			break
		}
		for ; leads < want; leads++ {
			lead = lead*10 + uint64(d[leads]-'0')
		}
		if anyLength&(1<<want) != 0 {
			dst = x.appendBlock(dst, lead<<6|form)
		}
		if thisLength&(1<<want) != 0 {
			dst = x.appendBlock(dst, lead<<6|uint64(len(d))<<1|form)
		}
	}
	return dst
}

// appendBlock appends everything under one key.
func (x *Index) appendBlock(dst []*Match, key uint64) []*Match {
	at, ok := x.heads[key]
	if !ok {
		return dst
	}
	for ; at >= 0; at = x.nodes[at].next {
		dst = append(dst, &x.nodes[at].Match)
	}
	return dst
}
