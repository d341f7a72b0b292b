package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A list of ten million entries is kept in blocks of up to 256, sorted by pattern, so that it is read in a second
// and takes a tenth of what an entry a key would. The key of a block is its first pattern. Its value:
//
//	1 byte    version, 1
//	1 byte    columns: what each row has one text of (1: entries; 2: changes, before and after)
//	uvarint   texts; each: unit, added, expires as uvarints (milliseconds since 1970, 0 for never), then reason,
//	          source and who, each as a uvarint length and bytes
//	uvarint   rows; each: as uvarints how many bytes the pattern shares with the one before and how many follow,
//	          those bytes, and a uvarint for each column: 0 for nothing, else a text, the first being 1
//	4 bytes   CRC-32C of all before, little endian
const (
	blockVersion = 1
	blockRows    = 256
	// blockBytes is what a block of more than one row should not exceed, so that it fits in a page.
	blockBytes = 3900
	// maxBlock is more than any block takes: one row with two texts.
	maxBlock = 16 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// said is what an entry says besides its pattern. Rows that say the same may share one: it never changes.
type said struct {
	unit                uint64 // the change that wrote it last, 0: before changes were kept
	added, expires      int64  // milliseconds since 1970; 0: never
	reason, source, who string
}

// listRow is an entry as it is kept; in a change, now is after it and before is before it. nil is nothing.
type listRow struct {
	pattern     string
	now, before *said
}

func (r *listRow) entry() Entry { return r.now.entry(r.pattern) }

func (s *said) entry(pattern string) Entry {
	return Entry{Pattern: pattern, Reason: s.reason, Source: s.source, Who: s.who, Added: fromMillis(s.added), Expires: fromMillis(s.expires), Change: s.unit}
}

// same says whether two entries of a pattern are the same in every respect; both may be nil.
func (s *said) same(t *said) bool { return s == t || s != nil && t != nil && *s == *t }

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func toMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.UnixMilli(), 1)
}

// encodeBlock packs rows, ascending, into a block of 1 or 2 columns.
func encodeBlock(rows []listRow, columns int) []byte {
	var texts []*said
	var known map[said]uint64
	last, lastRef := (*said)(nil), uint64(0)
	ref := func(s *said) uint64 {
		switch {
		case s == nil:
			return 0
		case s == last:
			return lastRef
		case known == nil:
			known = make(map[said]uint64)
		}
		n, ok := known[*s]
		if !ok {
			texts = append(texts, s)
			n = uint64(len(texts))
			known[*s] = n
		}
		last, lastRef = s, n
		return n
	}
	body := make([]byte, 0, 16*len(rows))
	body = binary.AppendUvarint(body, uint64(len(rows)))
	before := ""
	for i := range rows {
		p, shared := rows[i].pattern, 0
		for shared < min(len(p), len(before)) && p[shared] == before[shared] {
			shared++
		}
		body = binary.AppendUvarint(body, uint64(shared))
		body = binary.AppendUvarint(body, uint64(len(p)-shared))
		body = append(body, p[shared:]...)
		body = binary.AppendUvarint(body, ref(rows[i].now))
		if columns == 2 {
			body = binary.AppendUvarint(body, ref(rows[i].before))
		}
		before = p
	}
	v := make([]byte, 0, len(body)+100*len(texts)+16)
	v = append(v, blockVersion, byte(columns))
	v = binary.AppendUvarint(v, uint64(len(texts)))
	for _, s := range texts {
		v = binary.AppendUvarint(v, s.unit)
		v = binary.AppendUvarint(v, uint64(s.added))
		v = binary.AppendUvarint(v, uint64(s.expires))
		for _, text := range [...]string{s.reason, s.source, s.who} {
			v = binary.AppendUvarint(v, uint64(len(text)))
			v = append(v, text...)
		}
	}
	v = append(v, body...)
	return binary.LittleEndian.AppendUint32(v, crc32.Checksum(v, castagnoli))
}

// block is a block as bbolt has it.
type block struct{ key, value []byte }

// appendBlocks packs rows into as few blocks as may be, of equal size.
func appendBlocks(dst []block, rows []listRow, columns int) []block {
	for pieces := (len(rows) + blockRows - 1) / blockRows; pieces > 0; pieces-- {
		n := (len(rows) + pieces - 1) / pieces
		v := encodeBlock(rows[:n], columns)
		if len(v) > blockBytes && n > 1 {
			dst = appendBlocks(dst, rows[:n/2], columns)
			dst = appendBlocks(dst, rows[n/2:n], columns)
		} else {
			dst = append(dst, block{[]byte(rows[0].pattern), v})
		}
		rows = rows[n:]
	}
	return dst
}

var errBlock = errors.New("it is not a block of entries")

// decodeBlock appends a block's rows to dst. first is what its key says of its first pattern. What comes back
// shares no memory with v.
func decodeBlock(dst []listRow, first, v []byte, columns int) ([]listRow, error) {
	if len(v) < 8 || len(v) > maxBlock {
		return dst, fmt.Errorf("block %q has %d bytes", short(first), len(v))
	}
	body := v[:len(v)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(v[len(v)-4:]) {
		return dst, fmt.Errorf("block %q: its checksum is wrong", short(first))
	}
	start := len(dst)
	dst, err := readBlock(dst, body, columns)
	if err == nil && (len(dst) == start || dst[start].pattern != string(first)) {
		err = errors.New("it does not begin with its key")
	}
	if err != nil {
		return dst[:start], fmt.Errorf("block %q: %w", short(first), err)
	}
	return dst, nil
}

// readBlock is decodeBlock after the checksum.
func readBlock(dst []listRow, v []byte, columns int) ([]listRow, error) {
	if v[0] != blockVersion || int(v[1]) != columns {
		return dst, errBlock
	}
	all := string(v) // all texts are parts of this one
	r := reader{v: v, at: 2}
	texts := make([]said, r.count(len(v)))
	for i := range texts {
		s := &texts[i]
		s.unit, s.added, s.expires = r.uvarint(), int64(r.uvarint()), int64(r.uvarint())
		for _, text := range [...]*string{&s.reason, &s.source, &s.who} {
			n := r.count(MaxReason)
			*text = all[r.at : r.at+n]
			r.at += n
		}
		if r.bad || s.added < 0 || s.expires < 0 || s.added > maxMillis || s.expires > maxMillis {
			return dst, errBlock
		}
	}
	n := r.count(blockRows)
	start := len(dst)
	patterns := make([]byte, 0, 16*n)
	var ends [blockRows]int
	from := 0
	for i := range n {
		common := r.uvarint()
		more := r.count(MaxPattern)
		to := len(patterns)
		shared := int(min(common, MaxPattern+1))
		if r.bad || shared > to-from || shared+more == 0 || shared+more > MaxPattern {
			return dst[:start], errBlock
		}
		patterns = append(patterns, patterns[from:from+shared]...)
		patterns = append(patterns, v[r.at:r.at+more]...)
		r.at += more
		if i > 0 && bytes.Compare(patterns[from:to], patterns[to:]) >= 0 {
			return dst[:start], errBlock
		}
		from, ends[i] = to, len(patterns)
		var columnsOf [2]*said
		for c := range columns {
			if ref := r.uvarint(); ref > uint64(len(texts)) {
				return dst[:start], errBlock
			} else if ref > 0 {
				columnsOf[c] = &texts[ref-1]
			}
		}
		if columns == 1 && columnsOf[0] == nil {
			return dst[:start], errBlock
		}
		dst = append(dst, listRow{now: columnsOf[0], before: columnsOf[1]})
	}
	if r.bad || r.at != len(v) {
		return dst[:start], errBlock
	}
	text := string(patterns)
	for i, from := 0, 0; i < n; i++ {
		dst[start+i].pattern = text[from:ends[i]]
		from = ends[i]
	}
	return dst, nil
}

// maxMillis is the year 9999.
const maxMillis = 253402300800000

// reader reads numbers and never past the end.
type reader struct {
	v   []byte
	at  int
	bad bool
}

func (r *reader) uvarint() uint64 {
	if r.at < len(r.v) && r.v[r.at] < 0x80 {
		r.at++
		return uint64(r.v[r.at-1])
	}
	n, size := binary.Uvarint(r.v[min(r.at, len(r.v)):])
	if size <= 0 {
		r.bad = true
		return 0
	}
	r.at += size
	return n
}

// count reads a number of things of a byte or more that follow.
func (r *reader) count(max int) int {
	n := r.uvarint()
	if n > uint64(max) || n > uint64(len(r.v)-min(r.at, len(r.v))) {
		r.bad = true
		return 0
	}
	return int(n)
}

// blockOf puts a cursor on the block that a pattern is in, or would be in; nil if there is no block at all.
func blockOf(c *bolt.Cursor, pattern []byte) (k, v []byte) {
	k, v = c.Seek(pattern)
	if k == nil {
		return c.Last()
	}
	if bytes.Equal(k, pattern) {
		return k, v
	}
	if k, v := c.Prev(); k != nil {
		return k, v
	}
	return c.First()
}

// findRow looks a pattern up in a bucket of blocks.
func findRow(b *bolt.Bucket, prefix []byte, pattern string, columns int) (listRow, bool, error) {
	key := append(bytes.Clone(prefix), pattern...)
	k, v := blockOf(b.Cursor(), key)
	if k == nil || !bytes.HasPrefix(k, prefix) || bytes.Compare(k, key) > 0 {
		return listRow{}, false, nil
	}
	rows, err := decodeBlock(nil, k[len(prefix):], v, columns)
	if err != nil {
		return listRow{}, false, err
	}
	for _, r := range rows {
		if r.pattern == pattern {
			return r, true, nil
		}
	}
	return listRow{}, false, nil
}
