package traffic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// behaviourVersion begins a Snapshot.
const behaviourVersion = 1

// Snapshot is all that is remembered, for Load after a restart. Callers are in it by the names that they were noted by.
func (b *Behaviour) Snapshot() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := binary.BigEndian.AppendUint64([]byte{behaviourVersion}, b.seed)
	for _, half := range []map[string]*behaviour{b.old, b.newer} {
		out = binary.AppendUvarint(out, uint64(len(half)))
		for _, caller := range slices.Sorted(maps.Keys(half)) {
			out = binary.AppendUvarint(out, uint64(len(caller)))
			out = half[caller].append(append(out, caller...))
		}
	}
	return out
}

func (x *behaviour) append(out []byte) []byte {
	out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(x.at)), uint64(x.last))
	out = binary.BigEndian.AppendUint64(out, x.callee)
	for _, counts := range []*[subWindows]uint16{&x.calls, &x.short, &x.unanswered, &x.talks} {
		for _, n := range counts {
			out = binary.AppendUvarint(out, uint64(n))
		}
	}
	out = binary.AppendUvarint(out, uint64(len(x.callees)))
	for _, c := range x.callees {
		out = binary.AppendUvarint(binary.BigEndian.AppendUint64(out, c.hash), uint64(c.at)<<1|bit(c.decoy))
	}
	return out
}

func bit(set bool) uint64 {
	if set {
		return 1
	}
	return 0
}

// errBehaviour is what is said of a snapshot that cannot be read.
var errBehaviour = errors.New("what is remembered of callers' behaviour cannot be read, and begins anew: it is damaged or of another version")

// Load puts a Snapshot back in the place of all that is remembered. After an error nothing is.
func (b *Behaviour) Load(snapshot []byte) error {
	r := snapshotReader{text: snapshot}
	if version := r.take(1); r.broken || version[0] != behaviourVersion {
		return errBehaviour
	}
	seed := r.word()
	var halves [2]map[string]*behaviour
	for i := range halves {
		count := r.number(uint64(b.most / 2))
		halves[i] = make(map[string]*behaviour)
		for range count {
			caller := string(r.take(r.number(MaxKey)))
			x := r.behaviour()
			if _, twice := halves[0][caller]; r.broken || caller == "" || twice || halves[1][caller] != nil {
				return errBehaviour
			}
			halves[i][caller] = x
		}
	}
	if r.broken || len(r.text) > 0 {
		return fmt.Errorf("%w (%d bytes are left over)", errBehaviour, len(r.text))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seed, b.old, b.newer = seed, halves[0], halves[1]
	return nil
}

// snapshotReader reads what is left of a snapshot; broken: it was not what it should be.
type snapshotReader struct {
	text   []byte
	broken bool
}

// take is the next n bytes; the empty text once it is broken.
func (r *snapshotReader) take(n uint64) []byte {
	if r.broken || n > uint64(len(r.text)) {
		r.broken = true
		return nil
	}
	t := r.text[:n]
	r.text = r.text[n:]
	return t
}

func (r *snapshotReader) word() uint64 {
	if t := r.take(8); !r.broken {
		return binary.BigEndian.Uint64(t)
	}
	return 0
}

// number is a number up to most; 0 once it is broken.
func (r *snapshotReader) number(most uint64) uint64 {
	n, size := binary.Uvarint(r.text)
	if size <= 0 || n > most {
		r.broken = true
		return 0
	}
	r.text = r.text[size:]
	return n
}

func (r *snapshotReader) behaviour() *behaviour {
	x := &behaviour{at: int64(r.number(1 << 32)), last: int64(r.number(1 << 50))}
	x.callee = r.word()
	for _, counts := range []*[subWindows]uint16{&x.calls, &x.short, &x.unanswered, &x.talks} {
		for i := range counts {
			counts[i] = uint16(r.number(1<<16 - 1))
		}
	}
	for range r.number(maxCallees) {
		c := seenCallee{hash: r.word()}
		mark := r.number(1 << 33)
		c.at, c.decoy = uint32(mark>>1), mark&1 == 1
		x.callees = append(x.callees, c)
	}
	return x
}
