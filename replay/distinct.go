package replay

import (
	"math"
	"math/bits"
	"slices"
)

// distinct counts different things by their hashes: exactly up to fewThings, from then on by how many bits of a
// bitmap they fall on (linear counting, with a standard error below 2 % up to 10,000 things and 4 % up to
// 16,000). Beyond 30,000 what it says is too low.
type distinct struct {
	few    []uint32
	bitmap *[bitmapBits / 64]uint64
	n      uint32 // the number there are
}

const (
	fewThings  = 64
	bitmapBits = 4096 // 512 bytes
)

// add counts a thing. room reports whether a bitmap may be taken if one is needed; used says that it was. full
// is set when there are too many things to count without one.
func (d *distinct) add(hash uint64, room bool) (used, full bool) {
	hash = (hash ^ hash>>33) * 0xff51afd7ed558ccd // so that each bit depends on all of the text
	short := uint32((hash ^ hash>>33) * 0xc4ceb9fe1a85ec53 >> 32)
	if d.bitmap == nil {
		switch {
		case slices.Contains(d.few, short):
			return false, false
		case len(d.few) < fewThings:
			d.few = append(d.few, short)
			d.n++
			return false, false
		case !room:
			return false, true
		}
		d.bitmap = new([bitmapBits / 64]uint64)
		for _, h := range d.few {
			d.mark(h)
		}
		d.few, used = nil, true
	}
	if d.mark(short) {
		set := 0
		for _, word := range d.bitmap {
			set += bits.OnesCount64(word)
		}
		zero := float64(max(bitmapBits-set, 1))
		d.n = max(d.n, uint32(bitmapBits*math.Log(bitmapBits/zero)+0.5))
	}
	return used, false
}

// mark sets a thing's bit and reports whether it was not set before.
func (d *distinct) mark(short uint32) bool {
	at := short % bitmapBits
	word, bit := &d.bitmap[at/64], uint64(1)<<(at%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
