package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strings"

	bolt "go.etcd.io/bbolt"
)

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
	if int(v[1]) != columns {
		return dst, errBlock
	}
	r := reader{v: v, at: 2, all: string(v)}
	var texts []sourceRecord
	switch v[0] {
	case blockVersion:
		texts = r.texts()
	case blockVersion1:
		texts = r.texts1()
	default:
		return dst, errBlock
	}
	if r.bad {
		return dst, errBlock
	}
	start := len(dst)
	dst = r.rows(dst, texts, columns)
	if r.bad || r.at != len(v) {
		return dst[:start], errBlock
	}
	if v[0] == blockVersion1 && columns == 2 {
		return bySource(dst, start), nil
	}
	for i := start; i < len(dst); i++ {
		if !dst[i].sound(columns) || i > start && dst[i].pattern == dst[i-1].pattern && dst[i].key().compare(dst[i-1].key()) <= 0 {
			return dst[:start], errBlock
		}
	}
	return dst, nil
}

// sound reports whether a row's texts are those of one source, and in a log of changes neither of them a tombstone.
func (r *listRow) sound(columns int) bool {
	switch {
	case columns == 1:
		return true
	case r.now != nil && r.now.gone, r.before != nil && r.before.gone:
		return false
	case r.now == nil, r.before == nil:
		return true
	}
	return keyOf(r.now.origin, r.now.source) == keyOf(r.before.origin, r.before.source)
}

// texts reads the texts of a block.
func (r *reader) texts() []sourceRecord {
	nodes := make([]string, r.count(2*blockRows))
	for i := range nodes {
		nodes[i] = r.text(MaxNode)
	}
	texts := make([]sourceRecord, r.count(2*blockRows))
	for i := range texts {
		s := &texts[i]
		origin := r.byte()
		s.origin, s.gone = Origin(origin&^goneBit), origin&goneBit != 0
		s.stamp.Wall = r.millis()
		count, node := r.uvarint(), r.uvarint()
		if s.origin >= origins || count > math.MaxUint32 || node >= uint64(len(nodes)) {
			r.bad = true
			return nil
		}
		s.stamp.Count, s.stamp.Node = uint32(count), nodes[node]
		s.source = r.text(MaxText)
		if s.gone {
			continue
		}
		s.unit = r.uvarint()
		s.updated = r.since(s.stamp.Wall)
		s.added = r.since(s.updated)
		s.expires = r.millis()
		s.reason, s.who = r.text(maxLineValue), r.text(MaxText) // a line takes more than a reason
	}
	return texts
}

// rows reads the rows of a block, whose texts have been read.
func (r *reader) rows(dst []listRow, texts []sourceRecord, columns int) []listRow {
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
			r.bad = true
			return dst
		}
		patterns = append(patterns, patterns[from:from+shared]...)
		patterns = append(patterns, r.v[r.at:r.at+more]...)
		r.at += more
		if i > 0 && bytes.Compare(patterns[from:to], patterns[to:]) > 0 {
			r.bad = true
			return dst
		}
		from, ends[i] = to, len(patterns)
		var columnsOf [2]*sourceRecord
		for c := range columns {
			if ref := r.uvarint(); ref > uint64(len(texts)) {
				r.bad = true
				return dst
			} else if ref > 0 {
				columnsOf[c] = &texts[ref-1]
			}
		}
		if columnsOf[0] == nil && columnsOf[1] == nil {
			r.bad = true
			return dst
		}
		dst = append(dst, listRow{now: columnsOf[0], before: columnsOf[1]})
	}
	text := string(patterns)
	for i, from := 0, 0; i < n; i++ {
		dst[start+i].pattern = text[from:ends[i]]
		from = ends[i]
	}
	return dst
}

// reader reads numbers and texts, and never past the end.
type reader struct {
	v   []byte
	all string // v as a text, which those that are read are parts of
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

func (r *reader) byte() byte {
	if r.at >= len(r.v) {
		r.bad = true
		return 0
	}
	r.at++
	return r.v[r.at-1]
}

// millis reads a time in milliseconds since 1970.
func (r *reader) millis() int64 {
	n := r.uvarint()
	if n > maxMillis {
		r.bad = true
		return 0
	}
	return int64(n)
}

// since reads a time that is written as its distance from another.
func (r *reader) since(t int64) int64 {
	zigzag := r.uvarint()
	n := int64(zigzag>>1) ^ -int64(zigzag&1)
	if n < -maxMillis || n > maxMillis || t+n < 0 || t+n > maxMillis {
		r.bad = true
		return 0
	}
	return t + n
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

func (r *reader) text(max int) string {
	n := r.count(max)
	if r.bad {
		return ""
	}
	r.at += n
	return r.all[r.at-n : r.at]
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

// finder looks patterns up in a bucket of blocks. It keeps the last block, so that patterns in order cost little.
type finder struct {
	bucket  *bolt.Bucket
	prefix  []byte
	columns int
	key     []byte // of the block that rows are of
	rows    []listRow
}

// find gives the rows of a pattern.
func (f *finder) find(pattern string) ([]listRow, error) {
	if f.bucket == nil {
		return nil, nil
	}
	key := append(bytes.Clone(f.prefix), pattern...)
	k, v := blockOf(f.bucket.Cursor(), key)
	if k == nil || !bytes.HasPrefix(k, f.prefix) || bytes.Compare(k, key) > 0 {
		return nil, nil
	}
	if f.key == nil || !bytes.Equal(k, f.key) {
		rows, err := decodeBlock(nil, k[len(f.prefix):], v, f.columns)
		if err != nil {
			return nil, err
		}
		f.key, f.rows = bytes.Clone(k), rows
	}
	return rowsOf(f.rows, pattern), nil
}

// rowsOf are the rows of a pattern among rows in order.
func rowsOf(rows []listRow, pattern string) []listRow {
	from := searchRows(rows, pattern)
	to := from
	for to < len(rows) && rows[to].pattern == pattern {
		to++
	}
	return rows[from:to]
}

// searchRows is the place of the first row whose pattern is not below this one.
func searchRows(rows []listRow, pattern string) int {
	lo, hi := 0, len(rows)
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); strings.Compare(rows[m].pattern, pattern) < 0 {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}
