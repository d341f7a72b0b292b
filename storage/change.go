package storage

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	bolt "go.etcd.io/bbolt"
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

// wish is what an edit wants of one pattern: that it says something, that it is not there, or, for an undo,
// that it is again what it was before.
type wish struct {
	pattern string
	to      *said // nil: it shall not be there
	undo    bool  // only if it says what from says, and then exactly to
	from    *said
}

// meet is what becomes of a pattern that says now, and what it says then.
func (w *wish) meet(now *said) (*said, Change) {
	switch {
	case w.undo && !now.same(w.from):
		return now, Kept
	case w.to == nil && now == nil:
		return nil, Absent
	case w.to == nil:
		return nil, Removed
	case now == nil:
		return w.to, Added
	case w.undo:
		return w.to, Updated
	case now.reason == w.to.reason && now.expires == w.to.expires:
		return now, Unchanged
	case now.added == w.to.added:
		return w.to, Updated
	}
	then := *w.to
	then.added = now.added
	return &then, Updated
}

// stamper makes wishes those of a change.
type stamper struct {
	unit     uint64
	from, to *said // the last that was stamped
}

func (s *stamper) stamp(w *wish) {
	switch {
	case w.undo || w.to == nil:
	case w.to == s.from:
		w.to = s.to
	default:
		to := *w.to
		to.unit = s.unit
		s.from, s.to = w.to, &to
		w.to = s.to
	}
}

// merger applies wishes to the rows of a list.
type merger struct {
	count counted
	tell  func(i int, pattern string, c Change) // what became of the i-th wish; may be nil
	next  int                                   // the number of the next wish
}

type counted struct{ added, updated, removed int }

func (c *counted) add(ch Change) {
	switch ch {
	case Added:
		c.added++
	case Updated:
		c.updated++
	case Removed:
		c.removed++
	}
}

func (c *counted) any() bool { return c.added+c.updated+c.removed > 0 }

// merge applies wishes, ascending, to rows. It appends what the list has then to dst, and what changed to log.
func (m *merger) merge(dst, log, rows []listRow, wishes []wish) ([]listRow, []listRow) {
	for i := 0; i < len(wishes); {
		p := wishes[i].pattern
		at := 0
		for at < len(rows) && rows[at].pattern < p {
			at++
		}
		dst, rows = append(dst, rows[:at]...), rows[at:]
		var before *said
		if len(rows) > 0 && rows[0].pattern == p {
			before, rows = rows[0].now, rows[1:]
		}
		now := before
		for ; i < len(wishes) && wishes[i].pattern == p; i++ {
			var c Change
			now, c = wishes[i].meet(now)
			m.count.add(c)
			if m.tell != nil {
				m.tell(m.next, p, c)
			}
			m.next++
		}
		if now != nil {
			dst = append(dst, listRow{pattern: p, now: now})
		}
		if !now.same(before) {
			log = append(log, listRow{pattern: p, now: now, before: before})
		}
	}
	return append(dst, rows...), log
}

// change makes an edit of at most MaxEdit wishes, in one transaction. The wishes may come in any order; what became
// of each comes back in theirs. The id is 0 if nothing changed.
func (d *DB) change(list, kind string, by By, wishes []wish) (changes []Change, r ChangeRecord, err error) {
	return d.changeFor(ChangeRecord{List: list, Kind: kind, By: by}, wishes)
}

func (d *DB) changeFor(r ChangeRecord, wishes []wish) ([]Change, ChangeRecord, error) {
	changes := make([]Change, len(wishes))
	order := make([]int, len(wishes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(wishes[a].pattern, wishes[b].pattern) })
	sorted := make([]wish, len(wishes))
	for i, at := range order {
		sorted[i] = wishes[at]
	}
	err := d.edit(func(tx *bolt.Tx) error {
		if r.Kind == KindRemove && tx.Bucket(bucketLists).Get([]byte(r.List)) == nil {
			for i := range changes {
				changes[i] = Absent
			}
			return errNothing
		}
		meta, isNew, err := d.newList(tx, r.List)
		if err != nil {
			return err
		}
		b, err := tx.Bucket(bucketEntries).CreateBucketIfNotExists(meta.bucket(r.List))
		if err != nil {
			return err
		}
		if r.ID, err = d.nextChange(tx); err != nil {
			return err
		}
		r.Skipped = 0
		m := merger{tell: func(i int, _ string, c Change) {
			if changes[order[i]] = c; c == Kept {
				r.Skipped++
			}
		}}
		stamps := stamper{unit: r.ID}
		for i := range sorted {
			stamps.stamp(&sorted[i])
		}
		log, err := d.changeBlocks(b, &m, sorted)
		if err != nil {
			return err
		}
		if !m.count.any() && !isNew {
			return errNothing
		}
		now := millis(d.now())
		meta.Entries += m.count.added - m.count.removed
		meta.Changed = now
		if err := putList(tx, r.List, meta); err != nil || !m.count.any() {
			return err
		}
		d.touch(r.List, log)
		r.Time, r.Added, r.Updated, r.Removed = now, m.count.added, m.count.updated, m.count.removed
		if err := putLog(tx, r.ID, log); err != nil {
			return err
		}
		return d.putChange(tx, r, len(log))
	})
	if err == errNothing {
		r.ID = 0
		return changes, r, nil
	}
	if err != nil {
		return nil, ChangeRecord{}, err
	}
	return changes, r, nil
}

// changeBlocks applies wishes, ascending, to a list's blocks and gives what changed.
func (d *DB) changeBlocks(b *bolt.Bucket, m *merger, wishes []wish) (log []listRow, err error) {
	var rows, merged []listRow
	var blocks []block
	for len(wishes) > 0 {
		c := b.Cursor()
		k, v := blockOf(c, []byte(wishes[0].pattern))
		k = bytes.Clone(k)
		mine := len(wishes) // those before the next block
		rows = rows[:0]
		if k != nil {
			if rows, err = decodeBlock(rows, k, v, 1); err != nil {
				return nil, corrupt(d.file, err)
			}
			if next, _ := c.Next(); next != nil {
				mine, _ = slices.BinarySearchFunc(wishes, string(next), func(w wish, p string) int { return strings.Compare(w.pattern, p) })
			}
			if mine == 0 {
				return nil, corrupt(d.file, errBlock)
			}
		}
		had := len(log)
		merged, log = m.merge(merged[:0], log, rows, wishes[:mine])
		wishes = wishes[mine:]
		if len(log) == had {
			continue
		}
		blocks = appendBlocks(blocks[:0], merged, 1)
		if k != nil && (len(blocks) == 0 || !bytes.Equal(k, blocks[0].key)) {
			if err := b.Delete(k); err != nil {
				return nil, err
			}
		}
		for _, bl := range blocks {
			if err := b.Put(bl.key, bl.value); err != nil {
				return nil, err
			}
		}
	}
	return log, nil
}

// touch tells an import of the list under way which patterns an edit changed. The caller has the turn to edit.
func (d *DB) touch(list string, log []listRow) {
	i := d.importing.Load()
	if i == nil || i.list != list {
		return
	}
	for _, l := range log {
		i.touched[l.pattern] = struct{}{}
	}
}
