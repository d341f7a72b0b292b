package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cespare/xxhash/v2"
	bolt "go.etcd.io/bbolt"
)

// Row is what one source says of a pattern of a list, or that it says so no longer, as nodes tell each other.
type Row struct {
	Pattern string
	Origin  Origin
	Source  string // as in Entry; of a tombstone that of a file or a feed, which tells sources apart
	Gone    bool   // a tombstone: all below but Stamp is empty
	Stamp   Tick

	Reason, Who             string
	Added, Updated, Expires int64 // milliseconds since 1970; Expires 0: never
}

// A page of rows has so many at most, and so many bytes unless one row has more. The rows of a pattern are in one page where that is possible.
const (
	rowsPage  = 2000
	bytesPage = 512 << 10
)

// rowPages hands out rows in pages, in a slice that is used again.
type rowPages struct {
	rows  []Row
	bytes int
	yield func([]Row) error
}

// add takes what is said of one pattern.
func (p *rowPages) add(rows ...Row) error {
	if len(p.rows)+len(rows) > rowsPage || p.bytes > bytesPage {
		if err := p.flush(); err != nil {
			return err
		}
	}
	for i := range rows {
		p.bytes += 64 + len(rows[i].Pattern) + len(rows[i].Reason) + len(rows[i].Source) + len(rows[i].Who) + len(rows[i].Stamp.Node)
	}
	p.rows = append(p.rows, rows...)
	return nil
}

func (p *rowPages) flush() error {
	if len(p.rows) == 0 {
		return nil
	}
	err := p.yield(p.rows)
	p.rows, p.bytes = p.rows[:0], 0
	return err
}

// row is a record or a tombstone as it is told.
func (s *sourceRecord) row(pattern string) Row {
	if s.gone {
		return Row{Pattern: pattern, Origin: s.origin, Source: keyOf(s.origin, s.source).name, Gone: true, Stamp: s.stamp}
	}
	return Row{
		Pattern: pattern, Origin: s.origin, Source: s.source, Stamp: s.stamp, Reason: s.reason, Who: s.who, Added: s.added, Updated: s.updated, Expires: s.expires,
	}
}

// ChangesAfter calls yield for each change that is kept whose id is above one, ascending. Those above a large change of this node that is being built
// come when it is done: who has been told of all up to an id has missed none below it.
func (d *DB) ChangesAfter(id uint64, yield func(ChangeRecord) error) error {
	var damage damage
	for more := id < math.MaxUint64; more; {
		var found []ChangeRecord
		err := d.view(func(tx *bolt.Tx) error {
			found, more = found[:0], false
			upTo := uint64(math.MaxUint64)
			if v := tx.Bucket(bucketMeta).Get(keyStaged); v != nil {
				var s staged
				if err := decodeJSON(v, &s); err != nil {
					return corrupt(d.file, fmt.Errorf("what it says of an import under way: %w", err))
				}
				if s.Node == "" {
					upTo = s.Change
				}
			}
			c := tx.Bucket(bucketChanges).Cursor()
			for k, v := c.Seek(changeKey(id + 1)); k != nil; k, v = c.Next() {
				if len(found) == pageStamps {
					more = true
					return nil
				}
				if len(k) == 8 && binary.BigEndian.Uint64(k) >= upTo {
					return nil
				}
				r, err := decodeChange(k, v)
				if err == nil && r.ID <= id {
					err = fmt.Errorf("change %d: it is out of order", r.ID)
				}
				if err != nil {
					damage.note(err)
					continue
				}
				found, id = append(found, r), r.ID
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i := range found {
			if err := yield(found[i]); err != nil {
				return err
			}
		}
	}
	return damage.err(d.file, "records of changes")
}

// ChangeRows calls yield for what a change of this node made of its rows, in order and in pages, tombstones included. A record that only gave way to
// others of its pattern is none of them: each node finds that by itself. ErrNoChange if the change is not kept, or not any more, also when it goes while
// this reads.
func (d *DB) ChangeRows(id uint64, yield func([]Row) error) error {
	r, err := d.ChangeOf(id)
	if err != nil {
		return err
	}
	if r.Node != "" {
		return invalid("change %d is one of the node %.64q, which tells of it itself", id, r.Node)
	}
	if r.Kind == KindForget {
		return nil
	}
	pages := rowPages{yield: yield}
	var made []Row
	err = d.changedRows(id, func(rows []listRow) error {
		if made, err = d.madeRows(made[:0], &r, rows); err != nil {
			return err
		}
		return pages.addPatterns(made)
	})
	if err == nil {
		_, err = d.ChangeOf(id)
	}
	if err != nil {
		return err
	}
	return pages.flush()
}

// addPatterns takes rows in order.
func (p *rowPages) addPatterns(rows []Row) error {
	for i, end := 0, 0; i < len(rows); i = end {
		for end = i + 1; end < len(rows) && rows[end].Pattern == rows[i].Pattern; {
			end++
		}
		if err := p.add(rows[i:end]...); err != nil {
			return err
		}
	}
	return nil
}

// madeRows are rows of a change's log as they are told.
func (d *DB) madeRows(dst []Row, r *ChangeRecord, rows []listRow) ([]Row, error) {
	err := d.view(func(tx *bolt.Tx) error {
		meta, _, err := d.listMeta(tx, r.List)
		if err != nil {
			return err
		}
		list, err := d.finder(tx, r.List)
		if err != nil {
			return err
		}
		for i := range rows {
			if rows[i].now != nil {
				dst = append(dst, rows[i].now.row(rows[i].pattern))
				continue
			}
			is, err := list.find(rows[i].pattern)
			if err != nil {
				return corrupt(d.file, err)
			}
			stone := rows[i].before.tombstone(r.Stamp)
			at := recordAt(is, rows[i].key())
			switch {
			case r.Stamp == (Tick{}): // of before that was kept
				if at < 0 || !is[at].now.gone {
					continue
				}
				stone = is[at].now
			case at < 0 && meta.Forgotten.Compare(r.Stamp) < 0: // it gave way, or that was long ago
				continue
			}
			dst = append(dst, stone.row(rows[i].pattern))
		}
		return nil
	})
	return dst, err
}

// ListRows calls yield for all rows of a list whose leaf is wanted, nil: all, in order and in pages, tombstones included. A list that does not exist has
// none. What cannot be read is passed over, and reported at the end.
func (d *DB) ListRows(list string, want func(leaf int) bool, yield func([]Row) error) error {
	pages := rowPages{yield: yield}
	var damage damage
	var of []Row
	err := d.rows(list, &damage, func(rows []listRow) error {
		for i, end := 0, 0; i < len(rows); i = end {
			for end = i + 1; end < len(rows) && rows[end].pattern == rows[i].pattern; {
				end++
			}
			if want != nil && !want(LeafOf(rows[i].pattern)) {
				continue
			}
			of = of[:0]
			for _, r := range rows[i:end] {
				of = append(of, r.now.row(r.pattern))
			}
			if err := pages.add(of...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, ErrNoList) {
		return err
	}
	if err := pages.flush(); err != nil {
		return err
	}
	return damage.err(d.file, "blocks of entries of the list "+list)
}

// LeafCount is into how many leaves the patterns of a list are dealt, for nodes to find out in which of them they differ.
const LeafCount = 32768

// LeafOf is the leaf of a pattern. It is the same on all nodes, and in all versions.
func LeafOf(pattern string) int { return int(xxhash.Sum64String(pattern) % LeafCount) }

// Leaves tells the records of a list apart from those of other nodes: of each leaf the hashes of its records, which go by pattern, source and stamp, added
// up by exclusive or; and how many there are. It is the same on each node that has the same records, and in all versions. Tombstones are not among
// them, because each node forgets them in its own time; records that have expired are, because they stay until somebody takes them away. A list that does not
// exist has none.
func (d *DB) Leaves(list string) (leaves []uint64, rows int, err error) {
	leaves = make([]uint64, LeafCount)
	var damage damage
	var last *sourceRecord
	var said uint64
	var both [16]byte
	err = d.rows(list, &damage, func(page []listRow) error {
		for i := range page {
			s := page[i].now
			if s.gone {
				continue
			}
			if s != last {
				last, said = s, s.hash()
			}
			p := xxhash.Sum64String(page[i].pattern)
			leaves[p%LeafCount] ^= xxhash.Sum64(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(both[:0], p), said))
			rows++
		}
		return nil
	})
	if err != nil && !errors.Is(err, ErrNoList) {
		return nil, 0, err
	}
	if err := damage.err(d.file, "blocks of entries of the list "+list); err != nil {
		return nil, 0, err
	}
	return leaves, rows, nil
}

// hash is that of whose record it is, and of its stamp.
func (s *sourceRecord) hash() uint64 {
	b := binary.LittleEndian.AppendUint64([]byte{byte(s.origin)}, uint64(s.stamp.Wall))
	b = binary.LittleEndian.AppendUint32(b, s.stamp.Count)
	b = append(append(b, keyOf(s.origin, s.source).name...), 0)
	return xxhash.Sum64(append(b, s.stamp.Node...))
}
