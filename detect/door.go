package detect

import "math"

// door is where keys wait that found no slot: a HeavyKeeper. Who calls again and again is known by it after a few calls, who makes up
// a key for each call only wears out the entries of others who do so too. It never says more than there was, but for two keys of the
// same mark.
type door struct {
	rows [doorRows][]doorEntry // empty until somebody waits
	seed uint64
	rand uint64
}

const (
	doorRows  = 2
	doorWidth = 1 << 14 // so that the door of a detector takes a quarter of a MiB
)

type doorEntry struct {
	mark  uint32
	epoch uint16 // half a window; what is older counts half, and half of that
	n     uint16
}

// chances that an entry of so many loses one to another key, of 2^32.
var chances = func() (c [256]uint32) {
	for n := range c {
		c[n] = uint32(math.Pow(1.08, -float64(n)) * math.MaxUint32)
	}
	return c
}()

// knock counts a key and says how many there are of it.
func (d *door) knock(key uint64, epoch uint16, k int32) int32 {
	if d.rows[0] == nil {
		for i := range d.rows {
			d.rows[i] = make([]doorEntry, doorWidth)
		}
	}
	most := uint16(0)
	for i := range d.rows {
		h := mix(key ^ d.seed + uint64(i)*0x9e3779b97f4a7c15)
		e, mark := &d.rows[i][h%doorWidth], uint32(h>>32)
		if age := epoch - e.epoch; age > 0 {
			e.n >>= min(age, 16)
			e.epoch = epoch
		}
		switch {
		case e.n > 0 && e.mark == mark:
			e.n = uint16(min(int32(e.n)+k, math.MaxUint16))
		case e.n == 0:
			e.mark, e.n = mark, uint16(k)
		case d.chance() < chances[min(e.n, 255)]:
			if e.n--; e.n == 0 {
				e.mark, e.n = mark, uint16(k)
			}
		}
		if e.mark == mark {
			most = max(most, e.n)
		}
	}
	return int32(most)
}

// chance is the next of a row of numbers that the seed begins.
func (d *door) chance() uint32 {
	d.rand += 0x9e3779b97f4a7c15
	return uint32(mix(d.rand) >> 32)
}
