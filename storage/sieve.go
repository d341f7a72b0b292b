package storage

import (
	"bytes"
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"
	bolt "go.etcd.io/bbolt"

	"ringfence/number"
)

// sieve is what of a query can be asked of outlines. It lets through all records that the query asks for, and few others.
type sieve struct {
	narrow bool // there is something to ask
	probes []probe

	caller                    []uint64 // codes
	raw                       uint16
	code, rawCode             string // of the caller, as they lie in the file
	callers                   map[uint64]bool
	ranges                    []number.Pattern
	callee                    uint32
	lines                     []uint16
	line, rule, customer      uint16
	trunk, kind, holder, list byte
	did, didMask              byte
	asks                      asks
	became                    Became
	tripped                   bool
	minTalk, maxTalk          uint16
	talk                      bool
}

// probe is what bytes of an outline, as it lies in the file, must be.
type probe struct {
	at, end int
	want    string
}

// quick reports whether an outline as it lies in the file may be let through; most are not, and need not be read for that.
func (s *sieve) quick(row []byte) bool {
	for i := range s.probes {
		if p := &s.probes[i]; string(row[p.at:p.end]) != p.want {
			return false
		}
	}
	return row[40]&s.didMask == s.did && (s.asks&askCaller == 0 || string(row[16:24]) == s.code || string(row[34:36]) == s.rawCode)
}

// prepare makes the probes: what is to be the same whatever else is asked.
func (s *sieve) prepare() {
	like := Outline{callee: s.callee, line: s.line, rule: s.rule, customer: s.customer, trunk: s.trunk, kind: s.kind, list: s.list, holder: s.holder, raw: s.raw}
	if s.asks&askCaller != 0 {
		like.caller = s.caller[0]
	}
	row := string(like.append(nil))
	s.code, s.rawCode = row[16:24], row[34:36]
	for _, f := range []struct {
		ask     asks
		at, end int
	}{
		{askCallee, 24, 28},
		{askLine, 28, 30},
		{askRule, 30, 32},
		{askCustomer, 32, 34},
		{askTrunk, 36, 37},
		{askKind, 37, 38},
		{askList, 38, 39},
		{askHolder, 39, 40},
	} {
		if s.asks&f.ask != 0 {
			s.probes = append(s.probes, probe{f.at, f.end, row[f.at:f.end]})
		}
	}
}

// asks are those fields of a sieve that are asked for, a bit each.
type asks uint16

const (
	askCaller asks = 1 << iota
	askCallers
	askRanges
	askCallee
	askLines
	askLine
	askRule
	askCustomer
	askTrunk
	askKind
	askHolder
	askList
)

// maxSieveRanges bounds the patterns that each outline is held against.
const maxSieveRanges = 64

func sieveOf(q *Query) (s sieve) {
	set := func(a asks, on bool) bool {
		if on {
			s.asks |= a
		}
		return on
	}
	if set(askCaller, q.Caller != "") {
		s.caller, s.raw = []uint64{callerCode(q.Caller)}, hash16(q.Caller)
	}
	if set(askCallers, q.Callers != nil) {
		s.callers = make(map[uint64]bool, len(q.Callers))
		for _, name := range q.Callers {
			s.callers[callerCode(name)] = true
		}
	}
	if set(askRanges, q.Ranges != nil && len(q.Ranges) <= maxSieveRanges) {
		s.ranges = q.Ranges
	}
	if set(askCallee, q.Callee != "") {
		s.callee = uint32(hash(q.Callee))
	}
	if set(askLines, q.Lines != nil) {
		for _, line := range q.Lines {
			s.lines = append(s.lines, hash16(line))
		}
	}
	for _, f := range []struct {
		ask  asks
		text string
		to   *uint16
	}{{askLine, q.Line, &s.line}, {askRule, q.Rule, &s.rule}, {askCustomer, q.Customer, &s.customer}} {
		if set(f.ask, f.text != "") {
			*f.to = hash16(f.text)
		}
	}
	for _, f := range []struct {
		ask  asks
		text string
		to   *byte
	}{{askTrunk, q.Trunk, &s.trunk}, {askKind, q.Kind, &s.kind}, {askHolder, q.Holder, &s.holder}, {askList, q.List, &s.list}} {
		if set(f.ask, f.text != "") {
			*f.to = hash8(f.text)
		}
	}
	if q.Action != "" {
		s.did, s.didMask = actionCode(q.Action)<<4, 0xf0
	}
	if q.Would != "" {
		s.did, s.didMask = s.did|actionCode(q.Would), s.didMask|0x0f
	}
	s.became, s.tripped = q.Became, q.Detector != ""
	if s.talk = q.MinTalk > 0 || q.MaxTalk > 0; s.talk {
		s.minTalk, s.maxTalk = tenths(q.MinTalk), maxTalk
		if q.MaxTalk > 0 {
			s.maxTalk = tenths(q.MaxTalk)
		}
	}
	s.prepare()
	s.narrow = s.asks != 0 || s.didMask != 0 || s.became != AnyEnd || s.tripped || s.talk
	return s
}

// lets reports whether a record may be asked for.
func (s *sieve) lets(o *Outline) bool {
	if o.did&s.didMask != s.did || s.asks != 0 && !s.asked(o) || s.tripped && !o.has(flagTripped) {
		return false
	}
	if s.talk && !(o.has(flagAnswered) && o.talk >= s.minTalk && o.talk <= s.maxTalk) {
		return false
	}
	switch s.became {
	case Answered:
		return o.has(flagAnswered)
	case Unanswered:
		return o.has(flagEnded) && !o.has(flagAnswered) && o.Rang()
	case TurnedAway:
		return o.Stopped()
	case DidRing:
		return o.Rang()
	}
	return true
}

func (s *sieve) asked(o *Outline) bool {
	is := func(a asks, same bool) bool { return s.asks&a == 0 || same }
	return is(askCallee, o.callee == s.callee) && is(askLine, o.line == s.line) && is(askRule, o.rule == s.rule) && is(askCustomer, o.customer == s.customer) &&
		is(askTrunk, o.trunk == s.trunk) && is(askKind, o.kind == s.kind) && is(askHolder, o.holder == s.holder) && is(askList, o.list == s.list) &&
		(s.asks&askCaller == 0 || o.caller == s.caller[0] || o.raw == s.raw) &&
		(s.asks&askCallers == 0 || s.callers[o.caller]) &&
		(s.asks&askRanges == 0 || inRanges(o.caller, s.ranges)) &&
		(s.asks&askLines == 0 || contains(s.lines, o.line))
}

func contains(all []uint16, v uint16) bool {
	for _, x := range all {
		if x == v {
			return true
		}
	}
	return false
}

func inRanges(code uint64, ranges []number.Pattern) bool {
	for i := range ranges {
		if codeIn(code, &ranges[i]) {
			return true
		}
	}
	return false
}

// indexFrom is the id from which on the index has all records; false if there is none that is true.
func (d *DB) indexFrom(tx *bolt.Tx) (ulid.ULID, bool) {
	size, err := d.journalSize(tx)
	if err != nil || tx.Bucket(bucketIndex) == nil {
		return ulid.ULID{}, false
	}
	return size.from()
}

func maxID(a, b ulid.ULID) ulid.ULID {
	if a.Compare(b) < 0 {
		return b
	}
	return a
}

// left are the ids that a scan has not looked at yet: from lo on, and before hi, unless that is nil.
func (s *scan) left() (lo ulid.ULID, hi *ulid.ULID) {
	if s.from != nil {
		lo = idBound(s.from)
	}
	if s.to != nil {
		id := idBound(s.to)
		hi = &id
	}
	if s.last != nil {
		id := idBound(s.last)
		if !s.q.Newest {
			lo = maxID(lo, nextID(id))
		} else if hi == nil || id.Compare(*hi) < 0 {
			hi = &id
		}
	}
	return lo, hi
}

// idBound is the first id that is not before a key: an id, or one with a byte behind it.
func idBound(k []byte) ulid.ULID {
	id, err := ulid.ParseStrict(string(k[:min(len(k), ulid.EncodedSize)]))
	if err == nil && len(k) > ulid.EncodedSize {
		return nextID(id)
	}
	return id
}

// outlines collects the next records by the index, of ids from lo on and before hi. end says that there are no more of those.
func (s *scan) outlines(d *DB, tx *bolt.Tx, lo ulid.ULID, hi *ulid.ULID) (page []Record, end bool) {
	journal, read := tx.Bucket(bucketJournal), 0
	var key [ulid.EncodedSize]byte
	end = s.walk(d, tx, lo, hi, func(o *Outline) (enough bool) {
		o.id.MarshalTextTo(key[:]) // the size is right
		read++
		if v := journal.Get(key[:]); v != nil && len(v) <= maxValue {
			page = s.take(page, key[:], v)
		}
		s.done = s.full || s.damage.hopeless()
		return s.done || len(page) == pageRecords || read == pageScanned
	})
	return page, end
}

// walk calls look for the outlines that the sieve lets through, of ids from lo on and before hi, until it has enough or has seen as many as one
// transaction may. end says that there are no more.
func (s *scan) walk(d *DB, tx *bolt.Tx, lo ulid.ULID, hi *ulid.ULID, look func(*Outline) (enough bool)) (end bool) {
	c := tx.Bucket(bucketIndex).Cursor()
	looked := 0
	last := func(row []byte) { s.last = append(s.last[:0], ulid.ULID(row[:len(lo)]).String()...) }
	k, v := firstBlock(c, lo)
	if s.q.Newest {
		k, v = lastBlock(c, hi)
	}
	var o Outline
	for ; k != nil && looked < pageOutlines; k, v = s.nextBlock(c) {
		n, ok := countOutlines(v)
		if !ok {
			s.sieve.narrow = false // the journal itself is read from here on
			d.badIndex.Store(true)
			return false
		}
		if n == 0 {
			continue
		}
		rows := v[outlineHead:]
		first, final := rows[:outlineSize], rows[(n-1)*outlineSize:]
		edge := bytes.Compare(first[:len(lo)], lo[:]) < 0 || hi != nil && bytes.Compare(final[:len(lo)], hi[:]) >= 0
		for i := range n {
			row := rows[i*outlineSize:][:outlineSize]
			if s.q.Newest {
				row = rows[(n-1-i)*outlineSize:][:outlineSize]
			}
			if edge {
				before, behind := bytes.Compare(row[:len(lo)], lo[:]) < 0, hi != nil && bytes.Compare(row[:len(lo)], hi[:]) >= 0
				if before && s.q.Newest || behind && !s.q.Newest {
					return true
				}
				if before || behind {
					continue
				}
			}
			s.looked++
			looked++
			if !s.sieve.quick(row) {
				continue
			}
			if o.read(row); s.sieve.lets(&o) && look(&o) {
				last(row)
				return false
			}
		}
		if last(final); s.q.Newest {
			last(first)
		}
	}
	return k == nil
}

func (s *scan) nextBlock(c *bolt.Cursor) (k, v []byte) {
	if s.q.Newest {
		return c.Prev()
	}
	return c.Next()
}

// Outlines calls yield for the outlines of the records that a query asks for, some at a time, the newest first, until yield returns an error or ctx ends.
// Of texts the index has hashes: there may be others among them, one of some ten thousand. Text, Limit and Is are not asked. Records that the
// index does not have yet are read.
func (d *DB) Outlines(ctx context.Context, q Query, yield func([]Outline) error) (Looked, error) {
	q.Newest, q.Text, q.Limit, q.Is = true, "", 0, nil
	s, err := newScan(q)
	if err != nil {
		return Looked{}, err
	}
	s.sieve.narrow = true
	rows := make([]Outline, 0, outlinesPage)
	for !s.done && ctx.Err() == nil {
		rows = rows[:0]
		err := d.view(func(tx *bolt.Tx) error {
			rows = s.outlinesPage(d, tx, rows)
			return nil
		})
		if err != nil {
			return s.came(), err
		}
		if err := yield(rows); err != nil {
			return s.came(), err
		}
	}
	return s.came(), s.damage.err(d.file, "records of the journal")
}

// outlinesPage is how many outlines are given at a time.
const outlinesPage = 4096

// outlinesPage collects the next outlines, backwards.
func (s *scan) outlinesPage(d *DB, tx *bolt.Tx, rows []Outline) []Outline {
	if from, ok := d.indexFrom(tx); ok && s.sieve.narrow {
		if lo, hi := s.left(); hi == nil || from.Compare(*hi) < 0 {
			end := s.walk(d, tx, maxID(lo, from), hi, func(o *Outline) (enough bool) {
				rows = append(rows, *o)
				return len(rows) == cap(rows)
			})
			if end {
				s.last = []byte(from.String())
				s.done = lo.Compare(from) >= 0
			}
			return rows
		}
	}
	page, end := s.records(tx.Bucket(bucketJournal).Cursor(), nil)
	for i := range page {
		if o, ok := outlineOf(&page[i]); ok {
			rows = append(rows, o)
		}
	}
	s.done = s.done || end
	return rows
}

// lastBlock is the last block that may have an id before hi, firstBlock the first that may have one from lo on.
func lastBlock(c *bolt.Cursor, hi *ulid.ULID) (k, v []byte) {
	if hi == nil {
		return c.Last()
	}
	if k, _ = c.Seek(hi[:]); k == nil {
		return c.Last()
	}
	return c.Prev()
}

func firstBlock(c *bolt.Cursor, lo ulid.ULID) (k, v []byte) {
	k, v = c.Seek(lo[:])
	if bytes.Equal(k, lo[:]) {
		return k, v
	}
	var before, value []byte
	if k == nil {
		before, value = c.Last()
	} else {
		before, value = c.Prev()
	}
	if before != nil {
		return before, value
	}
	return c.First()
}

// folded is a text that is looked for whatever the case of its letters.
type folded struct {
	ascii []byte // in small letters; nil where there are letters beyond ASCII that have a case
	runes []rune // in small letters
}

func foldedText(text string) (f folded) {
	text = strings.ToLower(text)
	f.runes = []rune(text)
	for _, c := range text {
		if c >= utf8.RuneSelf && unicode.ToUpper(c) != c {
			return f
		}
	}
	f.ascii = []byte(text)
	return f
}

// in reports whether bytes have the text in them. Letters of ASCII have a case among themselves alone.
func (f *folded) in(v []byte) bool {
	if f.ascii == nil {
		return f.runesIn(v)
	}
	text := f.ascii
	if len(text) == 0 {
		return true
	}
	first := text[0]
	other := first
	if first >= 'a' && first <= 'z' {
		other = first - 'a' + 'A'
	}
	for i := 0; i+len(text) <= len(v); i++ {
		if c := v[i]; c != first && c != other {
			continue
		}
		k := 1
		for ; k < len(text) && smallByte(v[i+k]) == text[k]; k++ {
		}
		if k == len(text) {
			return true
		}
	}
	return false
}

func smallByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c - 'A' + 'a'
	}
	return c
}

func (f *folded) runesIn(v []byte) bool {
	for i := 0; i < len(v); {
		c, n := smallRune(v[i:])
		if c == f.runes[0] {
			k, at := 1, i+n
			for k < len(f.runes) {
				c, n := smallRune(v[at:])
				if c != f.runes[k] {
					break
				}
				k, at = k+1, at+n
			}
			if k == len(f.runes) {
				return true
			}
		}
		i += n
	}
	return len(f.runes) == 0
}

func smallRune(v []byte) (rune, int) {
	if len(v) == 0 {
		return -1, 0
	}
	if v[0] < utf8.RuneSelf {
		return rune(smallByte(v[0])), 1
	}
	c, n := utf8.DecodeRune(v)
	return unicode.ToLower(c), n
}

// holdsText reports whether what people look for in a record has a text in it.
func holdsText(r *Record, text *folded) bool {
	if len(text.runes) == 0 {
		return true
	}
	for _, s := range []string{r.Name, r.Caller.E164, r.Caller.Raw, r.Reason, r.Callee} {
		if text.in([]byte(s)) {
			return true
		}
	}
	return false
}
