package lists

import (
	"encoding/binary"
	"time"
)

// Record is what one source says of an entry: a person, an import, a feed, a report.
type Record struct {
	Reason  string    // why, for people; may be empty
	Source  string    // who or what says so; may be empty
	Added   time.Time // when
	Expires time.Time // from then on the record does not count; zero is never
}

// MaxRecords is how many records an entry keeps in memory; those behind them do not count.
const MaxRecords = 255

// text is what an entry says besides its pattern: a sequence of records, of which the first that has not expired counts. It
// is flat, so that a piece can have it as it is, and equal texts are equal strings. The empty text is that of no entry.
//
//	1 byte    how many records follow
//	1 byte    1: there was no room for reasons and sources, which are left out
//	each      added and expires: two times seconds since 1970, 8 bytes, then two times nanoseconds, 4 bytes;
//	          how many bytes reason and source have, 4 bytes each; reason; source
//
// All numbers are little endian.
type text string

const (
	textHead   = 2
	recordHead = 32
)

// never is the zero time's seconds since 1970.
var never = time.Time{}.Unix()

// appendText appends the text of records.
func appendText(dst []byte, records []Record) []byte {
	records = records[:min(len(records), MaxRecords)]
	dst = append(dst, byte(len(records)), 0)
	for i := range records {
		r := &records[i]
		dst = appendRecord(dst, r.Reason, r.Source, r.Added, r.Expires)
	}
	return dst
}

func appendRecord(dst []byte, reason, source string, added, expires time.Time) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(added.Unix()))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(expires.Unix()))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(added.Nanosecond()))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(expires.Nanosecond()))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(reason)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(source)))
	return append(append(dst, reason...), source...)
}

// leftOut is the text without its reasons, sources and dates.
func (t text) leftOut() text {
	dst := []byte{t[0], 1}
	for r := range t.records {
		dst = appendRecord(dst, "", "", time.Time{}, r.expires())
	}
	return text(dst)
}

// isLeftOut reports whether there was no room for what the text says.
func (t text) isLeftOut() bool { return t[1] != 0 }

// cost is how much the text counts towards maxTexts, with what is needed to find it.
func (t text) cost() int { return len(t) + 200 }

// maxTexts bounds the memory for what entries say, in bytes. Beyond it only the expiry of an entry is kept.
const maxTexts = 64 << 20

// record is one of a text's, encoded.
type record text

// records calls yield for each record of a text, which is valid.
func (t text) records(yield func(record) bool) {
	for rest := t[textHead:]; rest != ""; {
		r := rest.head()
		if !yield(r) {
			return
		}
		rest = rest[len(r):]
	}
}

// head is the record that a run of records begins with.
func (t text) head() record {
	return record(t[:recordHead+int(le32(t[24:]))+int(le32(t[28:]))])
}

func (r record) added() time.Time   { return moment(le64(text(r)), le32(text(r)[16:])) }
func (r record) expires() time.Time { return moment(le64(text(r)[8:]), le32(text(r)[20:])) }

// holds reports whether the record counts at that time.
func (r record) holds(at time.Time) bool {
	return int64(le64(text(r)[8:])) == never || at.Before(r.expires())
}

// says gives the record's reason and source.
func (r record) says() (reason, source string) {
	behind := recordHead + int(le32(text(r)[24:]))
	return string(r[recordHead:behind]), string(r[behind:])
}

// moment is a time as it was put in, in UTC.
func moment(seconds uint64, nanoseconds uint32) time.Time {
	if int64(seconds) == never {
		return time.Time{}
	}
	return time.Unix(int64(seconds), int64(nanoseconds)).UTC()
}

// first gives the first record that counts at that time, an empty one if none does.
func (t text) first(at time.Time) record {
	if t == "" {
		return ""
	}
	for rest := t[textHead:]; rest != ""; {
		r := rest.head()
		if r.holds(at) {
			return r
		}
		rest = rest[len(r):]
	}
	return ""
}

// valid reports whether the bytes are a text, for those that come from elsewhere.
func (t text) valid() bool {
	if len(t) < textHead || t[0] == 0 || t[1] > 1 {
		return false
	}
	n, rest := int(t[0]), t[textHead:]
	for range n {
		if len(rest) < recordHead || le32(rest[16:]) >= 1e9 || le32(rest[20:]) >= 1e9 {
			return false
		}
		for _, seconds := range [...]int64{int64(le64(rest)), int64(le64(rest[8:]))} {
			if seconds < never || seconds > maxSeconds {
				return false
			}
		}
		size := recordHead + uint64(le32(rest[24:])) + uint64(le32(rest[28:]))
		if size > uint64(len(rest)) {
			return false
		}
		rest = rest[size:]
	}
	return rest == ""
}

// maxSeconds is far behind the year 9999, and far from where seconds since 1970 are no time any more.
const maxSeconds = 1 << 40

func le32(t text) uint32 {
	_ = t[3]
	return uint32(t[0]) | uint32(t[1])<<8 | uint32(t[2])<<16 | uint32(t[3])<<24
}

func le64(t text) uint64 { return uint64(le32(t)) | uint64(le32(t[4:]))<<32 }

// textTable gathers the different texts of a piece under numbers.
type textTable struct {
	ids   map[text]uint32
	all   []text
	bytes int                 // that all take
	room  func(cost int) bool // takes room for one more text, if there is any
	cost  int                 // of all
	last  struct {
		t  text
		id uint32
	}
}

// ofBytes is of for a text in bytes that will change.
func (t *textTable) ofBytes(v []byte) uint32 {
	if len(t.all) > 0 && t.last.t == text(v) { // as most are
		return t.last.id
	}
	if id, ok := t.ids[text(v)]; ok { // without a copy
		return id
	}
	return t.of(text(v))
}

// of gives the number of a text, which is left out if there is no room for it.
func (t *textTable) of(v text) uint32 {
	if len(t.all) > 0 && t.last.t == v {
		return t.last.id
	}
	id, ok := t.ids[v]
	if !ok {
		if !v.isLeftOut() && !t.room(t.cost+v.cost()) {
			return t.of(v.leftOut())
		}
		if t.ids == nil {
			t.ids = make(map[text]uint32)
		}
		id = uint32(len(t.all))
		t.ids[v] = id
		t.all = append(t.all, v)
		t.bytes += len(v)
		t.cost += v.cost()
	}
	t.last.t, t.last.id = v, id
	return id
}
