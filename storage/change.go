package storage

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// By says who changed a list and from where; both may be empty.
type By struct {
	Who  string // a person's or a program's name
	From string // command line, API, star code, import, feed
}

func (b By) check() error {
	for _, s := range [...]string{b.Who, b.From} {
		if len(s) > MaxText || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			return invalid("%.40q cannot be kept as who changed a list: at most %d bytes of UTF-8 without control characters", s, MaxText)
		}
	}
	return nil
}

// edit is what a change asks for of one source's record of a pattern: that it says something, that it is not there, or, for an
// undo, that it is again what it was before.
type edit struct {
	pattern string
	key     sourceKey
	to      *sourceRecord // nil: it shall not be there
	from    *sourceRecord // of an undo
	undo    bool          // only if it says what from says, and then exactly to
	all     bool          // the records of all sources shall not be there; in a change of nothing else
	copied  bool          // the row shall be to, a tombstone included, and no log of it is kept
	foreign bool          // what another node says: the row shall be to, a tombstone included, if that was written later than what is there

	// What to does not say (see ImportRow).
	keepReason, keepExpires, inherit bool
	near                             int64 // milliseconds
}

// said is what an edit's record says, with what it keeps of the present one, or of those of others.
func (e *edit) said(now *sourceRecord, at int64, others ...[]listRow) *sourceRecord {
	if e.to == nil || !e.keepReason && !e.keepExpires && e.near == 0 {
		return e.to
	}
	from := now
	if from == nil && e.inherit {
		from = firstOf(at, others...)
	}
	if from == nil {
		return e.to
	}
	then := *e.to
	if e.keepReason {
		then.reason = from.reason
	}
	switch {
	case e.keepExpires && (from.expires == 0 || from.expires > at):
		then.expires = from.expires
	case now != nil && now.expires > at && max(now.expires-then.expires, then.expires-now.expires) <= e.near:
		then.expires = now.expires
	}
	if then == *e.to {
		return e.to
	}
	return &then
}

// firstOf is the record that counts among rows at a time; nil if there is none.
func firstOf(at int64, rows ...[]listRow) *sourceRecord {
	var all []listRow
	for _, rows := range rows {
		for _, r := range rows {
			if !r.now.gone && (r.now.expires == 0 || r.now.expires > at) {
				all = append(all, r)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	inOrder(all)
	return all[0].now
}

func (e *edit) compare(of *edit) int {
	return cmp.Or(strings.Compare(e.pattern, of.pattern), e.key.compare(of.key))
}

// meet is what becomes of a record that says now, and what it says then.
func (e *edit) meet(now *sourceRecord) (*sourceRecord, Change) {
	switch {
	case e.undo && !now.same(e.from):
		return now, Kept
	case e.to == nil && now == nil:
		return nil, Absent
	case e.to == nil:
		return nil, Removed
	case now == nil:
		return e.to, Added
	case e.undo:
		return e.to, Updated
	case now.reason == e.to.reason && now.expires == e.to.expires:
		return now, Unchanged
	case now.added == e.to.added:
		return e.to, Updated
	}
	then := *e.to
	then.added = now.added
	return &then, Updated
}

// stamper makes edits those of a change.
type stamper struct {
	unit     uint64
	tick     Tick
	undo     bool          // the last that was stamped
	from, to *sourceRecord // was from and is to
}

func (s *stamper) stamp(e *edit) {
	switch {
	case e.to == nil:
	case e.to == s.from && e.undo == s.undo:
		e.to = s.to
	default:
		to := *e.to
		if !e.foreign { // that has the stamp that its node gave it
			to.stamp = s.tick
		}
		if !e.undo && !to.gone {
			to.unit = s.unit
		}
		s.from, s.to, s.undo = e.to, &to, e.undo
		e.to = s.to
	}
}

// merger applies edits to the rows of a list.
type merger struct {
	tick   Tick                                  // of the change; tombstones have it
	oldest int64                                 // tombstones from before are dropped, in milliseconds since 1970
	room   int                                   // how many more tombstones the list may have
	tell   func(i int, pattern string, c Change) // what became of the i-th edit; may be nil
	next   int                                   // the number of the next edit

	told      counted
	sizes     sizes // by how much the list has grown
	forgotten Tick  // the latest of the tombstones for which there was no room

	// Of what other nodes say.
	took    int   // rows that are other than before
	highest Tick  // the latest stamp that was taken
	stones  int64 // the earliest tombstone that was taken, in milliseconds since 1970; 0: none

	buried, stone *sourceRecord // what was buried last, and its tombstone
}

// counted is what a change did, as people count it.
type counted struct{ added, updated, removed, joined int }

func (c *counted) add(ch Change, n int) {
	switch ch {
	case Added:
		c.added += n
	case Updated:
		c.updated += n
	case Removed:
		c.removed += n
	case Joined:
		c.joined += n
	}
}

// sizes counts what a list holds.
type sizes struct {
	entries int // patterns that a source names
	records int
	deleted int // tombstones
}

func (s *sizes) add(rows []listRow, sign int) {
	alive := 0
	for i := range rows {
		if rows[i].now.gone {
			s.deleted += sign
		} else {
			alive++
		}
	}
	s.records += sign * alive
	s.entries += sign * min(alive, 1)
}

// merge applies edits, ascending, to rows. It appends what the list has then to dst, and what changed to log.
func (m *merger) merge(dst, log, rows []listRow, edits []edit) (_, _ []listRow) {
	for len(edits) > 0 {
		p := edits[0].pattern
		at := rowsBelow(rows, p)
		dst, rows = append(dst, rows[:at]...), rows[at:]
		of, n := 0, 1
		for of < len(rows) && rows[of].pattern == p {
			of++
		}
		mine := rows[:of]
		rows = rows[of:]
		for n < len(edits) && edits[n].pattern == p {
			n++
		}
		from := len(dst)
		m.sizes.add(mine, -1)
		if edits[0].all {
			dst, log = m.removeAll(dst, log, mine, edits[:n])
		} else {
			dst, log = m.mergePattern(dst, log, mine, edits[:n])
		}
		dst, log = m.limit(dst, log, from)
		m.sizes.add(dst[from:], 1)
		if edits[0].foreign {
			m.took += differing(mine, dst[from:])
		}
		edits = edits[n:]
	}
	return append(dst, rows...), log
}

// rowsBelow is how many rows at the beginning are of lower patterns. In a large change that is few.
func rowsBelow(rows []listRow, pattern string) int {
	step := 1
	for step <= len(rows) && rows[step-1].pattern < pattern {
		step *= 2
	}
	from := step / 2
	return from + searchRows(rows[from:min(step, len(rows))], pattern)
}

// mergePattern is merge for the rows and edits of one pattern.
func (m *merger) mergePattern(dst, log, rows []listRow, edits []edit) (_, _ []listRow) {
	from := len(dst)
	for len(rows) > 0 || len(edits) > 0 {
		if len(edits) == 0 || len(rows) > 0 && rows[0].key().compare(edits[0].key) < 0 {
			dst, rows = append(dst, rows[0]), rows[1:]
			continue
		}
		p, key := edits[0].pattern, edits[0].key
		var was *sourceRecord
		if len(rows) > 0 && rows[0].key() == key {
			was, rows = rows[0].now, rows[1:]
		}
		if edits[0].copied {
			if edits[0].to != nil {
				dst = append(dst, listRow{pattern: p, now: edits[0].to})
			}
			edits = edits[1:]
			continue
		}
		if edits[0].foreign {
			dst, log = m.mergeForeign(dst, log, was, &edits[0], dst[from:], rows)
			edits = edits[1:]
			continue
		}
		before := was.alive()
		now := before
		for len(edits) > 0 && edits[0].key == key {
			var c Change
			e := edits[0]
			e.to = e.said(now, m.tick.Wall, dst[from:], rows)
			if now, c = e.meet(now); c == Added && !edits[0].undo {
				c = joins(now, dst[from:], rows)
			}
			m.report(p, c, 1)
			edits = edits[1:]
		}
		switch {
		case now.same(before) && was != nil:
			dst = append(dst, listRow{pattern: p, now: was})
		case now != nil && !now.same(before):
			dst, log = append(dst, listRow{pattern: p, now: now}), append(log, listRow{pattern: p, now: now, before: before})
		case before != nil:
			dst, log = m.bury(dst, p, before), append(log, listRow{pattern: p, before: before})
		}
	}
	return dst, log
}

// removeAll takes the records of all sources out of one pattern.
func (m *merger) removeAll(dst, log, rows []listRow, edits []edit) (_, _ []listRow) {
	c, n := Absent, 0
	for _, r := range rows {
		if r.now.gone {
			dst = append(dst, r)
			continue
		}
		c, n = Removed, n+1
		dst, log = m.bury(dst, r.pattern, r.now), append(log, listRow{pattern: r.pattern, before: r.now})
	}
	m.report(edits[0].pattern, c, n)
	for range edits[1:] {
		m.report(edits[0].pattern, Absent, 0)
	}
	return dst, log
}

func (m *merger) report(pattern string, c Change, n int) {
	m.told.add(c, n)
	if m.tell != nil {
		m.tell(m.next, pattern, c)
	}
	m.next++
}

// bury leaves a tombstone for a record that is gone, if there is room.
func (m *merger) bury(dst []listRow, pattern string, was *sourceRecord) []listRow {
	if m.room <= 0 {
		m.forgo(m.tick)
		return dst
	}
	m.room--
	if was != m.buried {
		m.buried, m.stone = was, was.tombstone(m.tick)
	}
	return append(dst, listRow{pattern: pattern, now: m.stone})
}

// joins is what a new record is to people: of a number that no other source names it adds it; else that was there, and what
// is said of it is new or not.
func joins(new *sourceRecord, others ...[]listRow) Change {
	c := Added
	for _, rows := range others {
		for i := range rows {
			switch s := rows[i].now; {
			case s.gone || s == new:
			case s.reason == new.reason && s.expires == new.expires:
				return Joined
			default:
				c = Updated
			}
		}
	}
	return c
}

// limit drops what is too much of the pattern whose rows begin at from: tombstones that are old, and of sources
// beyond MaxSources the records and tombstones that were written longest ago.
func (m *merger) limit(dst, log []listRow, from int) (_, _ []listRow) {
	alive, gone := 0, 0
	for at := from; at < len(dst); at++ {
		switch s := dst[at].now; {
		case !s.gone:
			alive++
		case s.stamp.Wall < m.oldest:
			dst = slices.Delete(dst, at, at+1)
			at--
		default:
			gone++
		}
	}
	for ; alive > MaxSources; alive-- {
		at := from + longestAgo(dst[from:], false)
		log = m.giveWay(log, dst[at])
		dst = slices.Delete(dst, at, at+1) // no tombstone: nobody took it back
	}
	for ; gone > MaxSources; gone-- {
		at := from + longestAgo(dst[from:], true)
		m.forgo(dst[at].now.stamp)
		dst = slices.Delete(dst, at, at+1)
	}
	return dst, log
}

// giveWay notes in the log that a record is no longer there, which may have come in this very change.
func (m *merger) giveWay(log []listRow, way listRow) []listRow {
	to := len(log)
	for to > 0 && log[to-1].pattern == way.pattern && log[to-1].key().compare(way.key()) > 0 {
		to--
	}
	if to == 0 || log[to-1].pattern != way.pattern || log[to-1].key() != way.key() {
		m.told.removed++
		return slices.Insert(log, to, listRow{pattern: way.pattern, before: way.now})
	}
	if log[to-1].now = nil; log[to-1].before == nil {
		return slices.Delete(log, to-1, to)
	}
	return log
}

// forgo notes that a tombstone is not kept.
func (m *merger) forgo(stamp Tick) { m.forgotten = later(m.forgotten, stamp) }

// longestAgo is the place of the record, or tombstone, with the lowest stamp; a person's does not count.
func longestAgo(rows []listRow, gone bool) int {
	at := -1
	for i := range rows {
		if s := rows[i].now; s.gone == gone && (gone || s.origin != FromPerson) && (at < 0 || s.stamp.Compare(rows[at].now.stamp) < 0) {
			at = i
		}
	}
	return at
}

// prune drops old tombstones from rows, which are all of a block or more.
func (m *merger) prune(rows []listRow) []listRow {
	return slices.DeleteFunc(rows, func(r listRow) bool {
		old := r.now.gone && r.now.stamp.Wall < m.oldest
		if old {
			m.sizes.deleted--
		}
		return old
	})
}
