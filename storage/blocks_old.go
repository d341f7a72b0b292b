package storage

import (
	"encoding/binary"
	"strings"

	"ringfence/rawtext"
)

// Blocks of version 1, which schema 2 wrote, are read where they are and become version 2 when they are next written: so a
// file of ten million entries is brought up to date in no time, and none of it is written twice. They differ in the texts: each has unit,
// added, expires, reason, source and who. There was one row a pattern, whoever wrote it last; where that
// changed, a log has a row of two sources.
const blockVersion1 = 1

// texts1 reads the texts of a block of version 1.
func (r *reader) texts1() []sourceRecord {
	texts := make([]sourceRecord, r.count(2*blockRows))
	for i := range texts {
		s := &texts[i]
		s.unit, s.added, s.expires = r.uvarint(), r.millis(), r.millis()
		s.reason, s.source, s.who = r.text(MaxReason), r.text(MaxText), r.text(MaxText)
		s.origin = originOf(s.source)
		s.updated = s.added // when it was updated was not kept
		s.stamp.Wall = s.added
	}
	return texts
}

// encodeBlock1 packs rows of one column, one a pattern, into a block of version 1, for the program of before (see export.go).
func encodeBlock1(rows []listRow) []byte {
	var t textTable
	body := t.rows(rows, 1)
	v := binary.AppendUvarint([]byte{blockVersion1, 1}, uint64(len(t.texts)))
	for _, s := range t.texts {
		v = binary.AppendUvarint(v, s.unit)
		v = binary.AppendUvarint(v, uint64(s.added))
		v = binary.AppendUvarint(v, uint64(s.expires))
		v = appendText(appendText(appendText(v, s.reason), s.source), s.who)
	}
	return sealBlock(v, body)
}

// flatten makes of what all sources say of one pattern, at a moment, the one record that schema 2 had: what is shown, which is said
// by hand first, then by the newest that has not expired; until the last of them expires. nil: nobody says anything.
func flatten(rows []listRow, now int64) *sourceRecord {
	var alive []listRow
	for _, r := range rows {
		if !r.now.gone {
			alive = append(alive, r)
		}
	}
	if len(alive) == 0 {
		return nil
	}
	inOrder(alive)
	expired := func(s *sourceRecord) bool { return s.expires != 0 && s.expires <= now }
	shown, expires := alive[0].now, alive[0].now.expires
	for _, r := range alive[1:] {
		if expired(shown) && !expired(r.now) {
			shown = r.now
		}
		if expires != 0 && (r.now.expires == 0 || r.now.expires > expires) {
			expires = r.now.expires
		}
	}
	return &sourceRecord{unit: shown.unit, added: shown.added, expires: expires, reason: shown.reason, who: shown.who, source: sourceText1(shown.origin, shown.source)}
}

// sourceText1 is a source's text by which schema 2 knew its kind.
func sourceText1(origin Origin, source string) string {
	switch {
	case originOf(source) == origin:
	case origin == FromPerson:
		source = "command line"
	case origin == FromReport:
		source = "report"
	case origin == FromImport:
		source = strings.TrimSpace("import " + source)
	case origin == FromFeed:
		source = "feed " + source
	}
	return rawtext.Cut(source, MaxText)
}

// bySource makes two rows of those after start that are of two sources.
func bySource(rows []listRow, start int) []listRow {
	for i := start; i < len(rows); i++ {
		r := rows[i]
		if r.now == nil || r.before == nil || r.sound(2) {
			continue
		}
		out := append([]listRow(nil), rows[start:i]...)
		for _, r := range rows[i:] {
			if r.now == nil || r.before == nil || r.sound(2) {
				out = append(out, r)
				continue
			}
			a, b := listRow{pattern: r.pattern, before: r.before}, listRow{pattern: r.pattern, now: r.now}
			if a.key().compare(b.key()) > 0 {
				a, b = b, a
			}
			out = append(out, a, b)
		}
		return append(rows[:start], out...)
	}
	return rows
}
