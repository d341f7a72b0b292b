package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"
)

// The way back. A step writes, of a database of one schema, a new one that the program of the schema before reads, with all that
// it knows of. Every migration has one here (TestEveryStepHasAWayBack); several are done one after the other.

// stepsBack are the steps, by the schema that they begin with.
var stepsBack = map[int]func(s *stepBack) error{
	3: back3to2,
}

// Schema is that of the databases of this version.
const Schema = schemaVersion

// oldestExport is the lowest schema that can be written.
const oldestExport = 2

// stepBack is one step under way.
type stepBack struct {
	from   *bolt.Tx
	to     *copier
	now    int64 // milliseconds since 1970
	report *ExportReport
}

// ExportReport says what Export wrote, and what the older version cannot have.
type ExportReport struct {
	Schema  int   `json:"schema"`
	Bytes   int64 `json:"bytes"` // of the file
	Lists   int   `json:"lists"`
	Entries int   `json:"entries"`
	Merged  int   `json:"merged"`        // entries that several sources named, of which one is left
	Changes int   `json:"changes"`       // that can be looked up and undone
	Left    int   `json:"left"`          // changes that the older version cannot have: what they did is there
	Lines   int   `json:"lines"`         // that the older version cannot have
	Own     int   `json:"own,omitempty"` // entries of own lists of these, which are left out as well
}

// Export writes what a database holds as a new file of an older schema, whole and on disk, or none. Nobody else may
// have the database open: ErrLocked. It has to be whole, and is not changed.
func Export(file string, schema int, to string) (*ExportReport, error) {
	if schema < oldestExport || schema >= schemaVersion {
		return nil, invalid("a database of schema %d cannot be written: this version has schema %d and writes schemas from %d to %d; `ringfence backup FILE` writes its own",
			schema, schemaVersion, oldestExport, schemaVersion-1)
	}
	d, err := Open(file, Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if checked, err := d.Verify(); err != nil {
		return nil, err
	} else if len(checked.Faults) > 0 {
		return nil, corrupt(file, errors.New(checked.Faults[0]))
	}
	report := &ExportReport{Schema: schema}
	err = writeNew(to, func(f *os.File) error { return d.export(f, schema, report) })
	if err != nil {
		return nil, explainCopy("the export", to, err)
	}
	return report, nil
}

// export takes the steps, the last of them into f.
func (d *DB) export(f *os.File, schema int, report *ExportReport) error {
	from := d.bolt
	for at := schemaVersion; at > schema; at-- {
		name := f.Name()
		if at-1 > schema {
			name = fmt.Sprintf("%s.schema%d", f.Name(), at-1)
			defer os.Remove(name)
		}
		to, err := bolt.Open(name, 0o600, &bolt.Options{Timeout: defaultLockWait, FreelistType: bolt.FreelistMapType, NoSync: true})
		if err != nil {
			return err
		}
		defer to.Close()
		if err := takeStep(from, to, at, d.now().UnixMilli(), report); err != nil {
			return err
		}
		if err := to.Sync(); err != nil {
			return err
		}
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		report.Bytes, from = info.Size(), to
	}
	return nil
}

// takeStep writes, into an empty file, a database of the schema before that of from.
func takeStep(from, to *bolt.DB, schema int, now int64, report *ExportReport) error {
	*report = ExportReport{Schema: report.Schema, Merged: report.Merged, Left: report.Left, Lines: report.Lines, Own: report.Own}
	return guard(func() error {
		return from.View(func(tx *bolt.Tx) (err error) {
			c, err := newCopier(to)
			if err != nil {
				return err
			}
			defer c.rollback()
			if err := stepsBack[schema](&stepBack{tx, c, now, report}); err != nil {
				return err
			}
			if err := c.put([]byte(strconv.Itoa(schema-1)), keySchema, bucketMeta); err != nil {
				return err
			}
			return c.tx.Commit()
		})
	})
}

// copier writes a new file in transactions that fit into memory. Nobody reads it before it is whole.
type copier struct {
	db *bolt.DB
	tx *bolt.Tx
	n  int // bytes of the transaction
}

func newCopier(db *bolt.DB) (*copier, error) {
	tx, err := db.Begin(true)
	return &copier{db: db, tx: tx}, err
}

func (c *copier) rollback() { c.tx.Rollback() }

// bucket makes sure of a bucket within others.
func (c *copier) bucket(path ...[]byte) (b *bolt.Bucket, err error) {
	if b, err = c.tx.CreateBucketIfNotExists(path[0]); err != nil {
		return nil, err
	}
	for _, name := range path[1:] {
		if b, err = b.CreateBucketIfNotExists(name); err != nil {
			return nil, err
		}
	}
	b.FillPercent = 0.9 // keys come in order
	return b, nil
}

// put writes a value under a key of the bucket at a path.
func (c *copier) put(value, key []byte, path ...[]byte) error {
	if c.n > stageBytes {
		if err := c.tx.Commit(); err != nil {
			return err
		}
		tx, err := c.db.Begin(true)
		if err != nil {
			return err
		}
		c.tx, c.n = tx, 0
	}
	b, err := c.bucket(path...)
	if err != nil {
		return err
	}
	c.n += len(key) + len(value)
	return b.Put(bytes.Clone(key), bytes.Clone(value)) // what is read is valid in its transaction alone
}

// copyBucket writes a bucket as it is, with those in it.
func (c *copier) copyBucket(b *bolt.Bucket, path ...[]byte) error {
	if _, err := c.bucket(path...); err != nil || b == nil {
		return err
	}
	return b.ForEach(func(k, v []byte) error {
		if v == nil {
			return c.copyBucket(b.Bucket(k), append(path[:len(path):len(path)], bytes.Clone(k))...)
		}
		return c.put(v, k, path...)
	})
}

// back3to2 writes schema 2: one record an entry, passes of all lines, no stamps. Of the changes those are kept that were made before the
// migration: they undo what has not been touched since, as they do there. Later ones are of records that schema 2 has not.
func back3to2(s *stepBack) error {
	if err := s.settings2(); err != nil {
		return err
	}
	for _, name := range [][]byte{bucketJournal, bucketKnown, bucketEmergency} {
		if err := s.to.copyBucket(s.from.Bucket(name), name); err != nil {
			return err
		}
	}
	if err := s.hits2(); err != nil {
		return err
	}
	if err := s.reports2(); err != nil {
		return err
	}
	meta := s.from.Bucket(bucketMeta)
	if v := meta.Get(keyReports); v != nil {
		if err := s.to.put(v, keyReports, bucketMeta); err != nil {
			return err
		}
	}
	if err := s.journal2(); err != nil {
		return err
	}
	for _, name := range [][]byte{bucketLists, bucketEntries, bucketChanges, bucketChanged, bucketPassed} {
		if _, err := s.to.bucket(name); err != nil {
			return err
		}
	}
	if err := s.passes2(); err != nil {
		return err
	}
	if err := s.changes2(); err != nil {
		return err
	}
	return s.from.Bucket(bucketLists).ForEach(func(k, v []byte) error { return s.list2(string(k), v) })
}

// journal2 writes the size of the journal, without a word of its index, which schema 2 has not.
func (s *stepBack) journal2() error {
	v := s.from.Bucket(bucketMeta).Get(keyJournal)
	if v == nil {
		return nil
	}
	var size journalSize
	if err := decodeJSON(v, &size); err != nil {
		return fmt.Errorf("the size of the journal cannot be read: %w", err)
	}
	if size.Index = nil; size == (journalSize{}) {
		return nil
	}
	text, err := json.Marshal(size)
	if err != nil {
		return err
	}
	return s.to.put(text, keyJournal, bucketMeta)
}

// settings2 writes the settings but for those that schema 2 did not have. They say how far a database has been brought, which is not
// true any more once the older program has written to it.
func (s *stepBack) settings2() error {
	if _, err := s.to.bucket(bucketSettings); err != nil {
		return err
	}
	newer := map[string]bool{"private": true, "numbers": true, "forgotten": true, "alerts": true, "observed": true}
	return s.from.Bucket(bucketSettings).ForEach(func(k, v []byte) error {
		if newer[string(k)] {
			return nil
		}
		return s.to.put(v, k, bucketSettings)
	})
}

// reports2 writes the reports: there they are of extensions, and one whose caller was taken off the list again came to nothing.
func (s *stepBack) reports2() error {
	from := s.from.Bucket(bucketReports)
	if from == nil {
		return nil
	}
	for _, part := range [][]byte{partAll, partOpen} {
		if _, err := s.to.bucket(bucketReports, part); err != nil {
			return err
		}
	}
	if err := s.to.copyBucket(from.Bucket(partDecided), bucketReports, partDecided); err != nil {
		return err
	}
	return from.Bucket(partAll).ForEach(func(k, v []byte) error {
		r, err := decodeReport(k, v)
		if err != nil {
			return err
		}
		if r.Customer = ""; r.State == ReportLifted {
			r.State = ReportDismissed
		}
		if r.State == ReportOpen {
			if err := s.to.put(k, r.openKey(), bucketReports, partOpen); err != nil {
				return err
			}
		}
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		return s.to.put(text, k, bucketReports, partAll)
	})
}

// hits2 writes the hits of entries but for those of own lists of lines.
func (s *stepBack) hits2() error {
	if _, err := s.to.bucket(bucketHits); err != nil {
		return err
	}
	b := s.from.Bucket(bucketHits)
	if b == nil {
		return nil
	}
	return b.ForEach(func(k, v []byte) error {
		if list, _, _ := bytes.Cut(k, []byte{0}); IsOwn(string(list)) {
			return nil
		}
		return s.to.put(v, k, bucketHits)
	})
}

// list2 writes a list as schema 2 had it. Own lists of lines are left out: nothing there asks them, and their patterns are none there.
func (s *stepBack) list2(name string, kept []byte) error {
	var meta listMeta
	if err := decodeMeta([]byte(name), kept, &meta); err != nil {
		return err
	}
	switch {
	case name == lineTable: // it would be a list there
		s.report.Lines = meta.Entries
		return nil
	case IsOwn(name):
		s.report.Own += meta.Entries
		return nil
	}
	old := struct {
		Entries int       `json:"entries"`
		Created time.Time `json:"created"`
		Changed time.Time `json:"changed"`
	}{0, meta.Created, meta.Changed}
	var out []listRow
	write := func() error {
		old.Entries += len(out)
		for _, bl := range splitBlocks(nil, out, encodeBlock1) {
			if err := s.to.put(bl.value, bl.key, bucketEntries, []byte(name)); err != nil {
				return err
			}
		}
		out = out[:0]
		return nil
	}
	if b := s.from.Bucket(bucketEntries).Bucket(meta.bucket(name)); b != nil {
		if _, err := s.to.bucket(bucketEntries, []byte(name)); err != nil {
			return err
		}
		var rows []listRow
		c := b.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			var err error
			if rows, err = decodeBlock(rows[:0], k, v, 1); err != nil {
				return err
			}
			out = s.flattenInto(out, rows)
			if len(out) >= 8*blockRows {
				if err := write(); err != nil {
					return err
				}
			}
		}
		if err := write(); err != nil {
			return err
		}
	}
	s.report.Lists++
	s.report.Entries += old.Entries
	text, err := json.Marshal(old)
	if err != nil {
		return err
	}
	return s.to.put(text, []byte(name), bucketLists)
}

// flattenInto appends what schema 2 had of the patterns of a block.
func (s *stepBack) flattenInto(out, rows []listRow) []listRow {
	var last, lastFlat *sourceRecord // as in a list of millions
	for i, end := 0, 0; i < len(rows); i = end {
		for end = i + 1; end < len(rows) && rows[end].pattern == rows[i].pattern; {
			end++
		}
		if end == i+1 && rows[i].now == last {
			out = append(out, listRow{pattern: rows[i].pattern, now: lastFlat})
			continue
		}
		flat, alive := flatten(rows[i:end], s.now), 0
		for _, r := range rows[i:end] {
			if !r.now.gone {
				alive++
			}
		}
		if alive > 1 {
			s.report.Merged++
		}
		if flat == nil {
			continue
		}
		if out = append(out, listRow{pattern: rows[i].pattern, now: flat}); end == i+1 {
			last, lastFlat = rows[i].now, flat
		}
	}
	return out
}

// changes2 writes the changes whose logs schema 2 wrote, and where the next one begins.
func (s *stepBack) changes2() error {
	var state changeState
	if v := s.from.Bucket(bucketMeta).Get(keyChanges); v != nil {
		if err := decodeJSON(v, &state); err != nil {
			return err
		}
	}
	state.Records, state.Rows = 0, 0
	logs := s.from.Bucket(bucketChanged)
	err := s.from.Bucket(bucketChanges).ForEach(func(id, v []byte) error {
		var kept keptRecord
		if err := decodeJSON(v, &kept); err != nil {
			return err
		}
		old := kept.Rows > 0
		c := logs.Cursor()
		for k, v := c.Seek(id); k != nil && bytes.HasPrefix(k, id); k, v = c.Next() {
			old = old && v[0] == blockVersion1
		}
		if !old {
			s.report.Left++
			return nil
		}
		s.report.Changes++
		state.Records, state.Rows = state.Records+1, state.Rows+kept.Rows
		if err := s.to.put(v, id, bucketChanges); err != nil {
			return err
		}
		for k, v := c.Seek(id); k != nil && bytes.HasPrefix(k, id); k, v = c.Next() {
			if err := s.to.put(v, k, bucketChanged); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return s.to.put(text, keyChanges, bucketMeta)
}

// passes2 writes who passed a challenge: there a pass is the caller's, on whatever line, and the latest counts.
func (s *stepBack) passes2() error {
	b := s.from.Bucket(bucketPassed)
	if b == nil {
		return nil
	}
	return b.ForEach(func(k, v []byte) error {
		_, number, ofLine := bytes.Cut(k, []byte{0})
		if !ofLine {
			return nil // of before: it counts no more
		}
		if had := s.to.get(number, bucketPassed); had != nil {
			a, err := decodeStamp(number, had)
			b, err2 := decodeStamp(number, v)
			if err != nil || err2 != nil || !b.At.After(a.At) {
				return nil
			}
		}
		return s.to.put(v, number, bucketPassed)
	})
}

// get is what has been written under a key of a bucket at the top, nil if nothing was.
func (c *copier) get(key, bucket []byte) []byte {
	b := c.tx.Bucket(bucket)
	if b == nil {
		return nil
	}
	return b.Get(key)
}
