package detect

import (
	"encoding/binary"
	"maps"
	"slices"
)

// appendActs writes what persons did lately, behind all that a snapshot had before there were other nodes: a pin that one of them was let go of must not
// come back from a node that has not heard of that.
func (s *Set) appendActs(b []byte) []byte {
	for _, d := range s.all {
		if len(d.acts) == 0 {
			continue
		}
		b = appendText(b, d.Name)
		b = binary.AppendUvarint(b, uint64(len(d.acts)))
		for _, key := range slices.Sorted(maps.Keys(d.acts)) {
			a := d.acts[key]
			b = binary.AppendUvarint(b, key)
			b = binary.AppendVarint(b, a.at)
			for _, text := range []string{a.how, a.by, a.key, a.node} {
				b = appendText(b, cutText(text))
			}
		}
	}
	return b
}

func (s *Set) loadActs(r *varints) {
	for len(r.b) > 0 && !r.bad {
		i := s.number(r.text())
		for n := r.unsigned(mostActs); n > 0 && !r.bad; n-- {
			key, at := r.unsigned(1<<64-1), r.signed64()
			a := act{at: at, how: r.text(), by: r.text(), key: r.text(), node: r.text()}
			if i >= 0 && !r.bad && at >= 0 && at <= s.clock.now {
				s.all[i].noteAct(key, a)
			}
		}
	}
}
