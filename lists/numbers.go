package lists

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// numbers is a set of exact numbers, each with what its list entry says. It never changes: an edit makes a
// new one, which shares all but the chunks that the edit falls into. So a reader needs no lock, and an edit of
// ten million numbers copies a few hundred kilobytes.
//
// A number takes 4 to 7 bytes (its distance from the first of its chunk), one more where the entries of
// the chunk do not all say the same, and its share of the chunk's 150 bytes.
type numbers struct {
	firsts []uint64 // the first key of each chunk, ascending
	chunks []*chunk
	n      int
	left   int // entries whose text was left out, see texts
}

// A chunk holds at most chunkSize numbers with chunkValues different values, a place among which is one byte. So ten
// million numbers have ten thousand chunks, whose heads stay in a processor's second cache.
const (
	chunkSize   = 1024
	chunkValues = 256
)

// chunk is a run of numbers that follow each other.
type chunk struct {
	only   *listText    // what all entries of the chunk say
	values *[]*listText // or, if that is nil, the different ones
	data   []byte       // per number its distance from the first, width bytes, little endian; then its place in values unless there is one only
	span   uint64       // how far the last number is from the first
	n      uint16
	left   uint16 // entries whose text was left out
	width  uint8
}

// numberEntry is one exact number. In a change a nil text takes the number out.
type numberEntry struct {
	key  uint64
	text *listText
}

// find gives what the entry of a number says, nil if there is none.
func (x *numbers) find(key uint64) *listText {
	n := len(x.firsts)
	if n == 0 || key < x.firsts[0] {
		return nil
	}
	at := 0
	if key >= x.firsts[n-1] { // such as all as written inside the country, when there are none
		at, n = n-1, 1
	}
	for n > 1 { // without a branch to mispredict
		half := n >> 1
		if x.firsts[at+half] <= key {
			at += half
		}
		n -= half
	}
	return x.chunks[at].find(key - x.firsts[at])
}

// find begins where the number would be if all were equally far from each other, as in long lists they nearly are: then
// it reads one or two cache lines of the chunk, where a binary search reads five.
func (c *chunk) find(distance uint64) *listText {
	if distance > c.span {
		return nil
	}
	lo, hi := 0, int(c.n)
	if c.span > 0 {
		guess := int(distance * uint64(c.n-1) / c.span)
		if c.distance(guess) < distance {
			lo = guess + 1
			for step := 4; lo+step < hi; step *= 2 {
				if c.distance(lo+step) >= distance {
					hi = lo + step + 1
					break
				}
				lo += step
			}
		} else {
			hi = guess + 1
			for step := 4; hi-step > lo; step *= 2 {
				if c.distance(hi-step-1) < distance {
					lo = hi - step
					break
				}
				hi -= step
			}
		}
	}
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); c.distance(m) < distance {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo == int(c.n) || c.distance(lo) != distance {
		return nil
	}
	return c.text(lo)
}

// distance is how far the i-th number is from the first.
func (c *chunk) distance(i int) uint64 {
	at, w := i*int(c.width), int(c.width)
	if at+8 <= len(c.data) {
		return binary.LittleEndian.Uint64(c.data[at:]) & (1<<(8*w) - 1)
	}
	var v uint64
	for j := w - 1; j >= 0; j-- {
		v = v<<8 | uint64(c.data[at+j])
	}
	return v
}

func (c *chunk) text(i int) *listText {
	if c.only != nil {
		return c.only
	}
	return (*c.values)[c.data[int(c.n)*int(c.width)+i]]
}

// appendEntries appends the chunk's entries.
func (c *chunk) appendEntries(dst []numberEntry, first uint64) []numberEntry {
	for i := range int(c.n) {
		dst = append(dst, numberEntry{first + c.distance(i), c.text(i)})
	}
	return dst
}

// newChunk packs 1 to chunkSize entries, ascending, and counts their texts as used once each. nil: they say too many
// different things.
func newChunk(es []numberEntry) *chunk {
	c := &chunk{n: uint16(len(es)), width: 1, span: es[len(es)-1].key - es[0].key}
	for c.span>>(8*c.width) != 0 {
		c.width++
	}
	var values []*listText
	var place [chunkSize]uint8
	for i, e := range es {
		if e.text.left {
			c.left++
		}
		if i > 0 && e.text == es[i-1].text {
			place[i] = place[i-1]
			continue
		}
		at := slices.Index(values, e.text)
		if at < 0 {
			if at = len(values); at == chunkValues {
				return nil
			}
			values = append(values, e.text)
		}
		place[i] = uint8(at)
	}
	for _, text := range values {
		text.uses++
	}
	size := len(es) * int(c.width)
	if len(values) == 1 {
		c.only = values[0]
	} else {
		values = slices.Clip(values)
		c.values = &values
		size += len(es)
	}
	c.data = make([]byte, size)
	var word [8]byte
	for i, e := range es {
		binary.LittleEndian.PutUint64(word[:], e.key-es[0].key)
		copy(c.data[i*int(c.width):], word[:c.width])
	}
	if c.only == nil {
		copy(c.data[len(es)*int(c.width):], place[:len(es)])
	}
	return c
}

// appendChunks packs entries into as few chunks as may be, of equal size.
func (x *numbers) appendChunks(es []numberEntry) {
	for pieces := (len(es) + chunkSize - 1) / chunkSize; pieces > 0; pieces-- {
		n := (len(es) + pieces - 1) / pieces
		c := newChunk(es[:n])
		if c == nil {
			x.appendChunks(es[:n/2])
			x.appendChunks(es[n/2 : n])
			es = es[n:]
			continue
		}
		x.firsts, x.chunks = append(x.firsts, es[0].key), append(x.chunks, c)
		x.n, x.left = x.n+n, x.left+int(c.left)
		es = es[n:]
	}
}

// with gives the set after changes, which are ascending, each key once. Texts that are no longer used are
// taken out of t.
func (x *numbers) with(changes []numberEntry, t *texts) *numbers {
	room := len(x.chunks) + len(changes)/chunkSize + 2
	y := &numbers{firsts: make([]uint64, 0, room), chunks: make([]*chunk, 0, room), n: x.n, left: x.left}
	var old, merged []numberEntry
	var released []*listText // by chunks that are replaced
	for i := 0; ; {
		// Take over what lies before the next change.
		from := i
		if len(changes) == 0 {
			i = len(x.chunks)
		} else if at, found := slices.BinarySearch(x.firsts, changes[0].key); found {
			i = max(i, at)
		} else {
			i = max(i, at-1)
		}
		y.firsts, y.chunks = append(y.firsts, x.firsts[from:i]...), append(y.chunks, x.chunks[from:i]...)
		if len(changes) == 0 {
			t.drop(released)
			return y
		}
		old, merged = old[:0], merged[:0]
		mine := len(changes) // the changes before the next chunk
		if i < len(x.chunks) {
			c := x.chunks[i]
			old = c.appendEntries(old, x.firsts[i])
			y.n, y.left = y.n-int(c.n), y.left-int(c.left)
			released = t.release(released, c)
			i++
		}
		if i < len(x.chunks) {
			mine, _ = slices.BinarySearchFunc(changes, x.firsts[i], func(e numberEntry, k uint64) int { return cmp.Compare(e.key, k) })
		}
		for _, c := range changes[:mine] {
			for len(old) > 0 && old[0].key < c.key {
				merged, old = append(merged, old[0]), old[1:]
			}
			if len(old) > 0 && old[0].key == c.key {
				old = old[1:]
			}
			if c.text != nil {
				merged = append(merged, c)
			}
		}
		changes = changes[mine:]
		y.appendChunks(append(merged, old...))
	}
}

// listText is what an entry says besides its number. Entries that say the same share one.
type listText struct {
	entryValue
	uses int // chunks that have it; the writer's alone
}

// entryValue is what an entry says about its pattern.
type entryValue struct {
	reason, source string
	added, expires time.Time
	left           bool // there was no room for reason and source
}

func valueOf(e *policy.ListEntry) entryValue {
	// The same moment must be the same value, whatever its zone.
	return entryValue{reason: e.Reason, source: e.Source, added: e.Added.UTC().Round(0), expires: e.Expires.UTC().Round(0)}
}

func (v *entryValue) entry(list string, p number.Pattern) policy.ListEntry {
	return policy.ListEntry{List: list, Pattern: p, Reason: v.reason, Source: v.source, Added: v.added, Expires: v.expires}
}

// holds says whether the entry counts at that time.
func (v *entryValue) holds(at time.Time) bool { return v.expires.IsZero() || at.Before(v.expires) }

// texts holds what entries of exact numbers say, each text once. Beyond its bound only the expiry of an
// entry is kept.
type texts struct {
	all   map[entryValue]*listText
	bytes int
	bound int // 0 is maxTexts
}

// maxTexts bounds the memory for what entries say, in bytes.
const maxTexts = 64 << 20

func (v *entryValue) size() int { return len(v.reason) + len(v.source) + 250 } // with its share of the map

func (t *texts) of(v entryValue) *listText {
	if found := t.all[v]; found != nil {
		return found
	}
	bound := t.bound
	if bound == 0 {
		bound = maxTexts
	}
	if t.bytes+v.size() > bound {
		v = entryValue{expires: v.expires, left: true}
		if found := t.all[v]; found != nil {
			return found
		}
	}
	if t.all == nil {
		t.all = make(map[entryValue]*listText)
	}
	e := &listText{entryValue: v}
	t.all[v] = e
	t.bytes += v.size()
	return e
}

// release counts a chunk's texts as used once less, and appends them to those that may have to be dropped.
func (t *texts) release(dst []*listText, c *chunk) []*listText {
	if c.only != nil {
		c.only.uses--
		return append(dst, c.only)
	}
	for _, e := range *c.values {
		e.uses--
	}
	return append(dst, *c.values...)
}

// drop forgets those texts that nobody uses.
func (t *texts) drop(es []*listText) {
	for _, e := range es {
		if e.uses <= 0 && t.all[e.entryValue] == e {
			delete(t.all, e.entryValue)
			t.bytes -= e.size()
		}
	}
}
