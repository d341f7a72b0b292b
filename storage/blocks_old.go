package storage

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
