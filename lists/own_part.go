package lists

import (
	"math/bits"
	"slices"

	"ringfence/number"
	"ringfence/policy"
)

// ownParts is how many parts there are of own lists. An edit copies one, without its entries.
const ownParts = 256

// ownPart is the own lists of some lines, all of a line together, by the hashes of the lines' keys: open addressing, since a call looks at a line that
// none before was to, and each piece of memory that it has to touch takes longer than all the rest. For most calls that is one of bits.
type ownPart struct {
	mask  uint64
	lines []ownBits // one at least is empty, and one more is behind the last
	lists []ownNamed
}

// ownBits are of a line, of all its lists together; without any it is an empty slot.
type ownBits struct {
	may  uint64
	hash uint32 // the upper half
	at   uint32 // where its lists begin in lists; they end where those of the next slot begin
}

// ownNamed is the list of a line and a table.
type ownNamed struct {
	of  *ownTable
	may uint64 // bits of the numbers that the list may match, see mayBit: most callers are on no list, and it need not be touched
	ownList
}

// mayAll has the bits of all numbers.
const mayAll = ^uint64(0)

// mayBit is the bit of a number, by its number.Pattern.Key.
func mayBit(key uint64) uint64 { return 1 << (key * 0x9e3779b97f4a7c15 >> 58) }

// mayBits are those of a caller, in both ways of writing. A list of patterns that are no numbers has all.
func mayBits(n *number.Number) (may uint64) {
	for _, plus := range [...]bool{true, false} {
		if key, ok := number.DigitsKey(n.Digits(plus), plus); ok {
			may |= mayBit(key)
		}
	}
	if may == 0 {
		return mayAll
	}
	return may
}

// mayOf are the bits of a list.
func mayOf(l *ownList) (may uint64) {
	p := l.parts()
	for i := range p.numbers {
		may |= mayBit(le64(l.flat[p.keys+8*i:]))
	}
	if p.wides > 0 {
		return mayAll
	}
	return may
}

func ownPartAt(key string) int { return int(policy.HashKey(key) % ownParts) }

// part has the lists of the line whose key has a hash. It may be nil: then there are none.
func (o *ownLists) part(hash uint64) *ownPart { return o.parts[hash%ownParts].Load() }

// listsOf is the lists of a slot.
func (p *ownPart) listsOf(i uint64) []ownNamed { return p.lists[p.lines[i].at:p.lines[i+1].at] }

// of is the list of a line and a table, if it has one of these bits.
func (p *ownPart) of(t *ownTable, key string, hash, may uint64) ownList {
	if p == nil {
		return ownList{}
	}
	for i := hash / ownParts & p.mask; p.lines[i].may != 0; i = (i + 1) & p.mask {
		line := &p.lines[i]
		if line.hash != uint32(hash>>32) || line.may&may == 0 {
			continue
		}
		of := p.listsOf(i)
		for j := range of {
			if l := &of[j]; l.of == t && l.may&may != 0 && l.key() == key {
				return l.ownList
			}
		}
	}
	return ownList{}
}

// may reports whether a line whose key has a hash has one of these bits.
func (p *ownPart) may(hash, may uint64) bool {
	if p == nil {
		return false
	}
	for i := hash / ownParts & p.mask; p.lines[i].may != 0; i = (i + 1) & p.mask {
		if line := &p.lines[i]; line.hash == uint32(hash>>32) && line.may&may != 0 {
			return true
		}
	}
	return false
}

// ownByKey is the lists of a part by their lines' keys, for who makes another part of it.
type ownByKey map[string][]ownNamed

func (p *ownPart) all() ownByKey {
	all := make(ownByKey)
	if p != nil {
		for i := range p.mask + 1 {
			if of := p.listsOf(i); len(of) > 0 {
				all[of[0].key()] = of
			}
		}
	}
	return all
}

// set puts a list in the place of the one that a line has of a table; an empty one is none.
func (all ownByKey) set(t *ownTable, key string, now ownList) {
	mine := slices.DeleteFunc(slices.Clone(all[key]), func(l ownNamed) bool { return l.of == t })
	delete(all, key) // first: the key is part of a list
	if now.flat != "" {
		mine = append(mine, ownNamed{t, mayOf(&now), now})
	}
	if len(mine) > 0 {
		all[mine[0].key()] = mine
	}
}

// drop takes out all lists of a table.
func (all ownByKey) drop(t *ownTable) {
	for key := range all {
		all.set(t, key, ownList{})
	}
}

// part makes a part, nil of no lists.
func (all ownByKey) part() *ownPart {
	if len(all) == 0 {
		return nil
	}
	size := uint64(1) << bits.Len(uint(len(all)*4/3)) // a quarter is empty at least
	p := &ownPart{mask: size - 1, lines: make([]ownBits, size+1)}
	in, n := make([][]ownNamed, size), 0
	for key, of := range all {
		hash := policy.HashKey(key)
		i := hash / ownParts & p.mask
		for len(in[i]) > 0 {
			i = (i + 1) & p.mask
		}
		p.lines[i].hash, in[i] = uint32(hash>>32), of
		n += len(of)
	}
	p.lists = make([]ownNamed, 0, n)
	for i, of := range in {
		for j := range of {
			p.lines[i].may |= of[j].may
		}
		p.lists = append(p.lists, of...)
		p.lines[i+1].at = uint32(len(p.lists))
	}
	return p
}
