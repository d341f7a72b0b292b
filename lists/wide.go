package lists

import (
	"cmp"
	"encoding/binary"
	"slices"

	"ringfence/number"
)

// wide is a set of patterns that are no exact numbers of at most 15 digits, each with the number of its text: what number.Index
// is, but flat. A look-up costs some key for each different length that the patterns have.
type wide struct {
	n, blocks int
	mask      uint32 // slots - 1
	lengths   number.BlockLengths

	patterns []byte // wideSize each, in the order of comparePatterns
	keys     []byte // of the blocks, 8 bytes each, ascending
	ids      []byte // the place of each block's pattern, 4 bytes
	slots    []byte // a hash table of the keys, 4 bytes each: the first block of the key, counted from 1; 0 for none
}

// wideSize is an encoded pattern: lo, hi, size, open, plus, a zero byte, and the number of the text.
const (
	wideSize = 24
	wideText = 20
)

type wideEntry struct {
	pattern number.Pattern
	text    uint32
}

func comparePatterns(a, b number.Pattern) int {
	flags := func(p number.Pattern) int {
		n := int(p.Size) << 2
		if p.Plus {
			n |= 2
		}
		if p.Open {
			n |= 1
		}
		return n
	}
	return cmp.Or(cmp.Compare(a.Lo, b.Lo), cmp.Compare(a.Hi, b.Hi), cmp.Compare(flags(a), flags(b)))
}

func compareWide(a, b wideEntry) int { return comparePatterns(a.pattern, b.pattern) }

func (w *wide) pattern(i int) number.Pattern {
	b := w.patterns[wideSize*i : wideSize*i+wideSize]
	return number.Pattern{
		Lo: binary.LittleEndian.Uint64(b), Hi: binary.LittleEndian.Uint64(b[8:]), Size: b[16], Open: b[17] != 0, Plus: b[18] != 0,
	}
}

func (w *wide) text(i int) uint32 {
	return binary.LittleEndian.Uint32(w.patterns[wideSize*i+wideText:])
}
func (w *wide) key(block int) uint64 { return binary.LittleEndian.Uint64(w.keys[8*block:]) }
func (w *wide) id(block int) int     { return int(binary.LittleEndian.Uint32(w.ids[4*block:])) }

// slot is where the search of a key begins.
func (w *wide) slot(key uint64) uint32 { return uint32(key*0x9e3779b97f4a7c15>>32) & w.mask }

// first is the first block of a key, -1 if there is none.
func (w *wide) first(key uint64) int {
	for at, tries := w.slot(key), uint32(0); tries <= w.mask; at, tries = (at+1)&w.mask, tries+1 {
		block := int(binary.LittleEndian.Uint32(w.slots[4*at:])) - 1
		if block < 0 {
			return -1
		}
		if w.key(block) == key {
			return block
		}
	}
	return -1
}

// find gives the place of exactly this pattern, -1 if it is not there.
func (w *wide) find(p number.Pattern) int {
	if w.n == 0 {
		return -1
	}
	at := -1
	p.Blocks(func(key uint64) bool {
		for block := w.first(key); block >= 0 && block < w.blocks && w.key(block) == key; block++ {
			if i := w.id(block); w.pattern(i) == p {
				at = i
				break
			}
		}
		return false // all blocks of a pattern are there, or none
	})
	return at
}

// newWide makes the set of patterns, sorted and each once.
func newWide(es []wideEntry) wide {
	if len(es) == 0 {
		return wide{}
	}
	type block struct {
		key uint64
		id  uint32
	}
	w := wide{n: len(es), patterns: make([]byte, 0, wideSize*len(es))}
	blocks := make([]block, 0, len(es))
	for i, e := range es {
		p := e.pattern
		w.patterns = appendWide(w.patterns, e)
		for key := range p.Blocks {
			blocks = append(blocks, block{key, uint32(i)})
			w.lengths.Add(key)
		}
	}
	slices.SortFunc(blocks, func(a, b block) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.id, b.id)) })
	w.blocks = len(blocks)
	w.mask = slotsOf(len(blocks)) - 1
	w.keys, w.ids, w.slots = make([]byte, 0, 8*len(blocks)), make([]byte, 0, 4*len(blocks)), make([]byte, 4*(int(w.mask)+1))
	for i, b := range blocks {
		w.keys = binary.LittleEndian.AppendUint64(w.keys, b.key)
		w.ids = binary.LittleEndian.AppendUint32(w.ids, b.id)
		if i > 0 && blocks[i-1].key == b.key {
			continue
		}
		at := w.slot(b.key)
		for binary.LittleEndian.Uint32(w.slots[4*at:]) != 0 {
			at = (at + 1) & w.mask
		}
		binary.LittleEndian.PutUint32(w.slots[4*at:], uint32(i)+1)
	}
	return w
}

// appendWide appends an encoded pattern.
func appendWide(dst []byte, e wideEntry) []byte {
	p := e.pattern
	dst = binary.LittleEndian.AppendUint64(dst, p.Lo)
	dst = binary.LittleEndian.AppendUint64(dst, p.Hi)
	dst = append(dst, p.Size, flag(p.Open), flag(p.Plus), 0)
	return binary.LittleEndian.AppendUint32(dst, e.text)
}

// slotsOf is how many slots a table of so many blocks has: a power of two, at least a third of it unused.
func slotsOf(blocks int) uint32 {
	slots := uint32(2)
	for 2*int(slots) < 3*blocks {
		slots *= 2
	}
	return slots
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// check reports whether all is where look-ups expect it, for what comes from elsewhere, and finds the lengths.
func (w *wide) check(texts int) bool {
	for i := range w.n {
		b := w.patterns[wideSize*i : wideSize*i+wideSize]
		if p := w.pattern(i); !p.Valid() || b[17] > 1 || b[18] > 1 || w.text(i) >= uint32(texts) {
			return false
		}
	}
	for i := range w.blocks {
		key := w.key(i)
		if w.id(i) >= w.n || i > 0 && key < w.key(i-1) || !w.lengths.Add(key) || !w.pattern(w.id(i)).HasBlock(key) {
			return false
		}
	}
	for i := 0; i < len(w.slots); i += 4 {
		if binary.LittleEndian.Uint32(w.slots[i:]) > uint32(w.blocks) {
			return false
		}
	}
	return true
}
