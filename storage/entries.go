package storage

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// Entries calls yield for each record of a list's entries, in the order of the patterns' bytes,
// until yield returns an error, which Entries then returns. The records of one entry, where several sources name it, follow each
// other: a person's first, then the newest. There is ErrNoList if the list does not exist.
//
// The list is read in pages: an entry that others add or remove meanwhile may be
// missing or not, every other entry comes exactly once. Blocks of entries that cannot be
// read are passed over; the rest still comes (unless thousands are like that), and
// then an error that is ErrCorrupt.
func (d *DB) Entries(list string, yield func(Entry) error) error {
	return d.EntryPages(list, true, func(es []Entry) error {
		for _, e := range es {
			if err := yield(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// EntryPages is Entries for who reads very many: some thousand at a time, with their
// hits only if that is asked for. The records of one entry are in one page. The slice is used again for the next page.
func (d *DB) EntryPages(list string, hits bool, yield func([]Entry) error) error {
	return d.entryPages(list, "", hits, yield)
}

// entryPages is EntryPages for a list, or for what it has of one line.
func (d *DB) entryPages(list, line string, hits bool, yield func([]Entry) error) error {
	var es []Entry
	var damage damage
	err := d.rowsUnder(list, line, &damage, func(rows []listRow) error {
		es = es[:0]
		var last *sourceRecord // what the last of es says, if nobody else says anything of its pattern
		for i, end := 0, 0; i < len(rows); i = end {
			for end = i + 1; end < len(rows) && rows[end].pattern == rows[i].pattern; {
				end++
			}
			switch s := rows[i].now; {
			case end-i > 1 || s.gone:
				es, last = appendRecords(es, rows[i:end]), nil
			case s == last: // as in a list of millions
				es = append(es, es[len(es)-1])
				es[len(es)-1].Pattern = rows[i].pattern
			default:
				es, last = append(es, rows[i].entry()), s
			}
		}
		if len(es) == 0 {
			return nil
		}
		if hits {
			if err := d.addHits(list, es); err != nil {
				return err
			}
		}
		return yield(es)
	})
	if err != nil {
		return err
	}
	return damage.err(d.file, fmt.Sprintf("blocks of entries of the list %s", list))
}

// appendRecords appends what is said of one pattern, in the order in which it counts. It may change the order of rows.
func appendRecords(dst []Entry, rows []listRow) []Entry {
	if len(rows) > 1 {
		rows = slices.DeleteFunc(slices.Clone(rows), func(r listRow) bool { return r.now.gone })
		inOrder(rows)
	}
	for i := range rows {
		if !rows[i].now.gone {
			dst = append(dst, rows[i].entry())
		}
	}
	return dst
}

// EachEntry calls yield for each record of each list's entries, to load them all. It is to
// Entries as all lists are to one: the same pages, the same errors; entries that
// cannot be read are passed over and reported at the end.
func (d *DB) EachEntry(yield func(list string, e Entry) error) error {
	lists, err := d.Lists()
	if err != nil {
		return err
	}
	var damaged error
	for _, l := range lists {
		var stop error
		err := d.Entries(l.Name, func(e Entry) error {
			stop = yield(l.Name, e)
			return stop
		})
		if stop != nil {
			return stop
		}
		if err != nil && damaged == nil {
			damaged = err
		}
	}
	return damaged
}

// Lookup gives the records of patterns that a list has exactly so, without hits: for each pattern, in their order, what its sources say,
// a person's first, then the newest; nothing if none names it, or there is no such list. It reads only the blocks that the
// patterns are in.
func (d *DB) Lookup(list string, patterns ...string) ([][]Entry, error) {
	var found [][]Entry
	order := make([]int, len(patterns))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(patterns[a], patterns[b]) })
	err := d.view(func(tx *bolt.Tx) error {
		found = make([][]Entry, len(patterns))
		f, err := d.finder(tx, list)
		if err != nil {
			return err
		}
		for _, at := range order {
			if patterns[at] == "" {
				continue
			}
			rows, err := f.find(patterns[at])
			if err != nil {
				return corrupt(d.file, err)
			}
			found[at] = appendRecords(nil, rows)
		}
		return nil
	})
	return found, err
}

// finder looks up what a list has, which may not exist.
func (d *DB) finder(tx *bolt.Tx, list string) (*finder, error) {
	meta, isNew, err := d.listMeta(tx, list)
	if err != nil || isNew {
		return &finder{columns: 1}, err
	}
	return &finder{bucket: tx.Bucket(bucketEntries).Bucket(meta.bucket(list)), columns: 1}, nil
}

// HasEntry reports whether any source has exactly this pattern on a list.
func (d *DB) HasEntry(list, pattern string) bool {
	found, err := d.Lookup(list, pattern)
	return err == nil && len(found[0]) > 0
}

// pageBlocks is how many blocks one read transaction collects.
const pageBlocks = 32

// rows calls yield for the rows of a list, tombstones included, in order and in pages, which are used again. All rows of a pattern are
// in one page. What cannot be read is noted as damage.
func (d *DB) rows(list string, damage *damage, yield func([]listRow) error) error {
	return d.rowsUnder(list, "", damage, yield)
}

// rowsUnder is rows for a list, or for what it has of one line.
func (d *DB) rowsUnder(list, line string, damage *damage, yield func([]listRow) error) error {
	if line == "" {
		return d.rowsBetween(list, "", "", damage, yield)
	}
	return d.rowsBetween(list, OwnText(line, ""), line+ownEnd, damage, yield)
}

// rowsBetween is rows for the patterns behind one text and before another; "" is no bound.
func (d *DB) rowsBetween(list, after, upTo string, damage *damage, yield func([]listRow) error) error {
	p := pager{d: d, columns: 1, damage: damage, find: func(tx *bolt.Tx) (*bolt.Bucket, error) {
		meta, isNew, err := d.listMeta(tx, list)
		if err != nil {
			return nil, err
		}
		if isNew {
			return nil, &fault{kind: ErrNoList, text: fmt.Sprintf("there is no list %q", list)}
		}
		return tx.Bucket(bucketEntries).Bucket(meta.bucket(list)), nil
	}}
	if upTo == "" {
		return p.run(yield)
	}
	p.after, p.upTo = []byte(after), upTo
	return p.run(func(rows []listRow) error {
		if rows = rows[:searchRows(rows, p.upTo)]; len(rows) == 0 {
			return nil
		}
		return yield(rows)
	})
}

// pager reads the blocks of a bucket whose keys have a prefix, some in each transaction. A pattern that was yielded is
// not yielded again when others change the blocks meanwhile.
type pager struct {
	d       *DB
	find    func(*bolt.Tx) (*bolt.Bucket, error) // the bucket, in each transaction; nil is an empty one
	prefix  []byte
	columns int
	damage  *damage
	upTo    string // blocks of later patterns are not read; "" reads all

	after []byte // the last pattern passed, or the last key that could not be read
	raw   []block
	room  []byte // what raw is parts of
	rows  []listRow
}

func (p *pager) run(yield func([]listRow) error) error {
	for more, first := true, true; more && !p.damage.hopeless(); first = false {
		err := p.d.view(func(tx *bolt.Tx) error {
			b, err := p.find(tx)
			if !first && errors.Is(err, ErrNoList) {
				b, err = nil, nil
			}
			if more = false; b != nil && err == nil {
				more = p.collect(b.Cursor())
			}
			return err
		})
		if err != nil {
			return err
		}
		progress := p.decode()
		if len(p.rows) > 0 {
			if err := yield(p.rows); err != nil {
				return err
			}
		}
		p.raw, p.room = p.raw[:0], p.room[:0]
		more = more && progress // in a damaged file keys out of order could lead back for ever
	}
	return nil
}

// collect copies blocks out of a transaction. It reports whether there are more.
func (p *pager) collect(c *bolt.Cursor) (more bool) {
	k, v := c.Seek(p.prefix)
	if p.after != nil {
		k, v = blockOf(c, append(bytes.Clone(p.prefix), p.after...))
	}
	for ; k != nil && (bytes.HasPrefix(k, p.prefix) || bytes.Compare(k, p.prefix) < 0); k, v = c.Next() {
		if !bytes.HasPrefix(k, p.prefix) {
			continue
		}
		if len(p.raw) == pageBlocks {
			return true
		}
		k = k[len(p.prefix):]
		if p.upTo != "" && string(k) > p.upTo {
			return false
		}
		if len(k) > MaxPattern || len(v) > maxBlock {
			p.damage.note(fmt.Errorf("block %q has %d bytes", short(k), len(v)))
			k, v = k[:min(len(k), MaxPattern)], nil
		}
		at := len(p.room)
		p.room = append(append(p.room, k...), v...)
		p.raw = append(p.raw, block{p.room[at : at+len(k)], p.room[at+len(k):]})
	}
	return false
}

// decode makes rows of the blocks collected, those that have not been passed yet. It reports whether there was anything new.
func (p *pager) decode() (progress bool) {
	p.rows = p.rows[:0]
	for _, b := range p.raw {
		isNew := p.after == nil || bytes.Compare(b.key, p.after) > 0
		from := len(p.rows)
		if len(b.value) > 0 {
			var err error
			if p.rows, err = decodeBlock(p.rows, b.key, b.value, p.columns); err != nil && isNew {
				p.damage.note(err)
			}
		}
		mine := p.rows[from:]
		if p.after != nil {
			mine = slices.Delete(mine, 0, searchRows(mine, string(p.after)+"\x00"))
			p.rows = p.rows[:from+len(mine)]
		}
		if len(mine) > 0 {
			p.after, progress = append(p.after[:0], mine[len(mine)-1].pattern...), true
		} else if isNew {
			p.after, progress = append(p.after[:0], b.key...), true
		}
	}
	return progress
}
