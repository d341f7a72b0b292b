package storage

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// A list of ten million entries is kept in blocks of up to 256 rows, sorted by pattern and source, so that it is read in a
// second and takes a tenth of what an entry a key would. A row is what one source says of a pattern; all rows of a pattern
// are in one block. The key of a block is its first pattern. Its value:
//
//	1 byte    version, 2
//	1 byte    columns: what each row has one text of (1: entries; 2: changes, before and after)
//	uvarint   nodes; each a uvarint length and bytes
//	uvarint   texts; each:
//	            1 byte    origin; 128 is added if the source says it no longer
//	            uvarints  the stamp: milliseconds since 1970, count, and which of the nodes, the first being 0
//	            source    as a uvarint length and bytes
//	          and, if it still says it,
//	            uvarint   unit
//	            varints   updated less the stamp's milliseconds, added less updated
//	            uvarint   expires, in milliseconds since 1970, 0 for never
//	            reason and who, each as a uvarint length and bytes
//	uvarint   rows; each: as uvarints how many bytes the pattern shares with the one before and how many follow,
//	          those bytes, and a uvarint for each column: 0 for nothing, else a text, the first being 1
//	4 bytes   CRC-32C of all before, little endian
//
// So the stamp of an import costs twenty bytes a block, and nothing a number.
const (
	blockVersion = 2
	blockRows    = 256
	// blockBytes is what a block of more than one pattern should not exceed, so that it fits in a page.
	blockBytes = 3900
	// maxBlock is more than any block takes: one pattern with two texts of each of its sources.
	maxBlock = 128 << 10
	// goneBit marks the origin of what a source says no longer.
	goneBit = 0x80
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sourceRecord is what a source says of a pattern. Rows that say the same may share one: it never changes.
type sourceRecord struct {
	origin                  Origin
	gone                    bool // it says so no longer: only origin, source and stamp count
	stamp                   Tick
	unit                    uint64 // the change that wrote it last, 0: before changes were kept
	added, updated, expires int64  // milliseconds since 1970; expires 0: never
	reason, source, who     string
}

// listRow is what a source says of a pattern; in a change, now is after it and before is before it. nil is nothing.
type listRow struct {
	pattern     string
	now, before *sourceRecord
}

func (r *listRow) key() sourceKey {
	s := r.now
	if s == nil {
		s = r.before
	}
	return keyOf(s.origin, s.source)
}

func (r *listRow) entry() Entry { return r.now.entry(r.pattern) }

func (s *sourceRecord) entry(pattern string) Entry {
	return Entry{
		Pattern: pattern, Reason: s.reason, Origin: s.origin, Source: s.source, Who: s.who,
		Added: fromMillis(s.added), Updated: fromMillis(s.updated), Expires: fromMillis(s.expires), Change: s.unit, Stamp: s.stamp,
	}
}

// alive is what a source says, nil if it says so no longer.
func (s *sourceRecord) alive() *sourceRecord {
	if s == nil || s.gone {
		return nil
	}
	return s
}

// same reports whether two sayings are the same in every respect but their stamps; both may be nil. An undo puts back what was said,
// with a stamp of its own.
func (s *sourceRecord) same(t *sourceRecord) bool {
	if s == t || s == nil || t == nil {
		return s == t
	}
	return s.unit == t.unit && s.added == t.added && s.updated == t.updated && s.expires == t.expires && s.origin == t.origin && s.gone == t.gone &&
		s.reason == t.reason && s.source == t.source && s.who == t.who
}

// tombstone is what is left of a source's saying when it was taken back.
func (s *sourceRecord) tombstone(stamp Tick) *sourceRecord {
	return &sourceRecord{origin: s.origin, source: s.source, gone: true, stamp: stamp}
}

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

// textTable gathers the different texts of a block, and the nodes that they are of.
type textTable struct {
	texts   []*sourceRecord
	known   map[sourceRecord]uint64
	last    *sourceRecord
	lastRef uint64
	nodes   []string
}

// ref is how a row names its text.
func (t *textTable) ref(s *sourceRecord) uint64 {
	switch {
	case s == nil:
		return 0
	case s == t.last:
		return t.lastRef
	case t.known == nil:
		t.known = make(map[sourceRecord]uint64)
	}
	n, ok := t.known[*s]
	if !ok {
		t.texts = append(t.texts, s)
		n = uint64(len(t.texts))
		t.known[*s] = n
	}
	t.last, t.lastRef = s, n
	return n
}

func (t *textTable) node(name string) uint64 {
	for i, n := range t.nodes {
		if n == name {
			return uint64(i)
		}
	}
	t.nodes = append(t.nodes, name)
	return uint64(len(t.nodes) - 1)
}

func appendText(v []byte, s string) []byte {
	return append(binary.AppendUvarint(v, uint64(len(s))), s...)
}

func (t *textTable) append(v []byte) []byte {
	body := make([]byte, 0, 64*len(t.texts))
	for _, s := range t.texts {
		origin := byte(s.origin)
		if s.gone {
			origin |= goneBit
		}
		body = append(body, origin)
		body = binary.AppendUvarint(body, uint64(s.stamp.Wall))
		body = binary.AppendUvarint(body, uint64(s.stamp.Count))
		body = binary.AppendUvarint(body, t.node(s.stamp.Node))
		body = appendText(body, s.source)
		if s.gone {
			continue
		}
		body = binary.AppendUvarint(body, s.unit)
		body = binary.AppendVarint(body, s.updated-s.stamp.Wall)
		body = binary.AppendVarint(body, s.added-s.updated)
		body = binary.AppendUvarint(body, uint64(s.expires))
		body = appendText(body, s.reason)
		body = appendText(body, s.who)
	}
	v = binary.AppendUvarint(v, uint64(len(t.nodes)))
	for _, n := range t.nodes {
		v = appendText(v, n)
	}
	v = binary.AppendUvarint(v, uint64(len(t.texts)))
	return append(v, body...)
}

// encodeBlock packs rows, ascending, into a block of 1 or 2 columns.
func encodeBlock(rows []listRow, columns int) []byte {
	var t textTable
	body := t.rows(rows, columns)
	v := make([]byte, 0, len(body)+100*len(t.texts)+16)
	return sealBlock(t.append(append(v, blockVersion, byte(columns))), body)
}

// rows packs rows, whose texts come into the table.
func (t *textTable) rows(rows []listRow, columns int) []byte {
	body := make([]byte, 0, 16*len(rows))
	body = binary.AppendUvarint(body, uint64(len(rows)))
	before := ""
	for i := range rows {
		p, shared := rows[i].pattern, 0
		for shared < min(len(p), len(before)) && p[shared] == before[shared] {
			shared++
		}
		body = binary.AppendUvarint(body, uint64(shared))
		body = appendText(body, p[shared:])
		body = binary.AppendUvarint(body, t.ref(rows[i].now))
		if columns == 2 {
			body = binary.AppendUvarint(body, t.ref(rows[i].before))
		}
		before = p
	}
	return body
}

// sealBlock puts a block together.
func sealBlock(head, body []byte) []byte {
	v := append(head, body...)
	return binary.LittleEndian.AppendUint32(v, crc32.Checksum(v, castagnoli))
}

// block is a block as bbolt has it.
type block struct{ key, value []byte }

// appendBlocks packs rows into as few blocks as may be, of nearly equal size.
func appendBlocks(dst []block, rows []listRow, columns int) []block {
	return splitBlocks(dst, rows, func(rows []listRow) []byte { return encodeBlock(rows, columns) })
}

// splitBlocks is appendBlocks for whatever packs a block.
func splitBlocks(dst []block, rows []listRow, encode func([]listRow) []byte) []block {
	for len(rows) > 0 {
		pieces := (len(rows) + blockRows - 1) / blockRows
		n := wholePatterns(rows, (len(rows)+pieces-1)/pieces)
		v := encode(rows[:n])
		if half := wholePatterns(rows[:n], n/2); len(v) > blockBytes && half < n {
			dst = splitBlocks(dst, rows[:half], encode)
			dst = splitBlocks(dst, rows[half:n], encode)
		} else {
			dst = append(dst, block{[]byte(rows[0].pattern), v})
		}
		rows = rows[n:]
	}
	return dst
}

// wholePatterns is n, or the nearest number below that parts no pattern's rows; above, if there is none.
func wholePatterns(rows []listRow, n int) int {
	n = max(n, 1)
	at := n
	for at > 0 && at < len(rows) && rows[at-1].pattern == rows[at].pattern {
		at--
	}
	if at > 0 {
		return min(at, len(rows))
	}
	for n < len(rows) && rows[n-1].pattern == rows[n].pattern {
		n++
	}
	return n
}

var errBlock = errors.New("it is not a block of entries")

// maxMillis is the year 9999.
const maxMillis = 253402300800000
