package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	bolt "go.etcd.io/bbolt"
)

// VerifyReport is what Verify found.
type VerifyReport struct {
	Bytes   int64    `json:"bytes"` // of the file
	Lists   int      `json:"lists"`
	Entries int      `json:"entries"`
	Lines   int      `json:"lines"`   // of the database
	Changes int      `json:"changes"` // that are kept
	Records int      `json:"records"` // of the journal
	Faults  []string `json:"faults"`  // at most 100; none: all is well
}

// maxFaults is how many faults a report has at most.
const maxFaults = 100

func (r *VerifyReport) fault(format string, args ...any) {
	if len(r.Faults) < maxFaults {
		r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
	}
}

// verifyPages looks at the pages alone. Nobody writes meanwhile: bbolt holds them against what is free at that moment, and what was
// freed since a read began would look like a fault.
func (d *DB) verifyPages(r *VerifyReport) error {
	look := func() error {
		return d.view(func(tx *bolt.Tx) error {
			r.Bytes = tx.Size()
			for err := range tx.Check() {
				r.fault("page: %v", err)
			}
			return nil
		})
	}
	if d.bolt.IsReadOnly() {
		return look()
	}
	err := d.update(func(*bolt.Tx) error {
		if err := look(); err != nil {
			return err
		}
		return errNothing
	})
	if err != errNothing {
		return err
	}
	return nil
}

// Verify reads all of the file and holds it against itself: its pages, the checksum of each block of entries, the order
// and the number of entries, the log of changes, every journal record. It takes a second for some
// million entries. Others read meanwhile; who writes waits while the pages are looked at, and a file that has to grow until the end.
func (d *DB) Verify() (*VerifyReport, error) {
	r := &VerifyReport{Faults: []string{}}
	if err := d.verifyPages(r); err != nil || len(r.Faults) > 0 {
		return r, err // it is not safe to follow its pages
	}
	err := d.view(func(tx *bolt.Tx) error {
		clock, err := d.clock(tx)
		if err != nil {
			r.fault("%v", err)
		}
		known := map[string]bool{}
		err = tx.Bucket(bucketLists).ForEach(func(k, v []byte) error {
			var meta listMeta
			if err := decodeMeta(k, v, &meta); err != nil {
				r.fault("%v", err)
				return nil
			}
			known[string(meta.bucket(string(k)))] = true
			var n sizes
			if b := tx.Bucket(bucketEntries).Bucket(meta.bucket(string(k))); b != nil {
				v := blockVerifier{columns: 1, clock: clock, fault: func(err error) { r.fault("list %s: %v", k, err) }}
				v.run(b.Cursor())
				n = v.sizes
			}
			if n.entries != meta.Entries {
				r.fault("list %s: it says %d entries and has %d", k, meta.Entries, n.entries)
			}
			if n.records != meta.Records {
				r.fault("list %s: it says %d records of its entries and has %d", k, meta.Records, n.records)
			}
			if n.deleted != meta.Deleted {
				r.fault("list %s: it says %d records were taken away, and remembers %d", k, meta.Deleted, n.deleted)
			}
			if string(k) == lineTable {
				r.Lines = n.entries
				r.verifyLines(tx, &meta)
				return nil
			}
			r.Lists++
			r.Entries += n.entries
			return nil
		})
		if err != nil {
			return err
		}
		err = tx.Bucket(bucketEntries).ForEachBucket(func(k []byte) error {
			if !known[string(k)] && tx.Bucket(bucketMeta).Get(keyStaged) == nil {
				r.fault("entries of a list %q that there is not", short(k))
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := d.verifyChanges(tx, r, clock); err != nil {
			return err
		}
		r.verifyAccess(tx)
		return d.verifyJournal(tx, r)
	})
	return r, err
}

// verifyJournal reads each record of the journal, and holds its size and its index against them.
func (d *DB) verifyJournal(tx *bolt.Tx, r *VerifyReport) error {
	size, err := d.journalSize(tx)
	if err != nil {
		r.fault("%v", err)
	}
	index := newIndexVerifier(tx, &size, func(err error) { r.fault("journal: its index: %v", err) })
	err = tx.Bucket(bucketJournal).ForEach(func(k, v []byte) error {
		r.Records++
		rec, err := decodeRecord(k, v)
		if err != nil {
			r.fault("journal: %v", err)
			return nil
		}
		index.record(&rec)
		return nil
	})
	index.end()
	if int64(r.Records) != size.Records {
		r.fault("journal: it says %d records and has %d", size.Records, r.Records)
	}
	return err
}

// verifyLines reads what lines say.
func (r *VerifyReport) verifyLines(tx *bolt.Tx, meta *listMeta) {
	b := tx.Bucket(bucketEntries).Bucket(meta.bucket(lineTable))
	if b == nil {
		return
	}
	var rows []listRow
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		rows, _ = decodeBlock(rows[:0], k, v, 1) // what is wrong with the block has been said
		for i := range rows {
			if rows[i].now.gone {
				continue
			}
			e := rows[i].entry()
			if _, err := lineOf(&e); err != nil {
				r.fault("%v", err)
			}
		}
	}
}

// blockVerifier reads blocks whose keys have a prefix.
type blockVerifier struct {
	prefix  []byte
	columns int
	clock   Tick // no stamp is later
	fault   func(error)

	sizes sizes // of a list
	rows  int   // of a log of changes, as it counted them
}

func (b *blockVerifier) run(c *bolt.Cursor) {
	var rows []listRow
	last := ""
	for k, v := c.Seek(b.prefix); k != nil && bytes.HasPrefix(k, b.prefix); k, v = c.Next() {
		var err error
		rows, err = decodeBlock(rows[:0], k[len(b.prefix):], v, b.columns)
		switch {
		case err != nil:
			b.fault(err)
			continue
		case rows[0].pattern <= last:
			b.fault(fmt.Errorf("block %q overlaps the one before", short(k[len(b.prefix):])))
		default:
			last = rows[len(rows)-1].pattern
		}
		b.count(rows, v[0] == blockVersion1)
	}
}

// count counts the rows of a block. A log of schema 2 counted a pattern once whose source changed.
func (b *blockVerifier) count(rows []listRow, old bool) {
	for i, end := 0, 0; i < len(rows); i = end {
		for end = i + 1; end < len(rows) && rows[end].pattern == rows[i].pattern; {
			end++
		}
		if b.columns == 1 {
			b.sizes.add(rows[i:end], 1)
		}
		if b.rows++; !old {
			b.rows += end - i - 1
		}
		for _, r := range rows[i:end] {
			if r.now != nil && b.ahead(r.now.stamp) {
				b.fault(fmt.Errorf("%q was written at %v, which is later than the last change: %v", r.pattern, r.now.stamp, b.clock))
				return
			}
		}
	}
}

// ahead reports whether a stamp is later than any that was given out. One without a node and a count may be made of an old entry's date.
func (b *blockVerifier) ahead(t Tick) bool {
	return (t.Node != "" || t.Count > 0) && (t.Wall > b.clock.Wall || t.Wall == b.clock.Wall && t.Count > b.clock.Count)
}

func (d *DB) verifyChanges(tx *bolt.Tx, r *VerifyReport, clock Tick) error {
	state, err := d.changeState(tx)
	if err != nil {
		r.fault("%v", err)
	}
	rows := 0
	err = tx.Bucket(bucketChanges).ForEach(func(k, v []byte) error {
		r.Changes++
		var kept keptRecord
		if err := decodeJSON(v, &kept); err != nil || len(k) != 8 {
			r.fault("change %x: it cannot be read: %v", short(k), err)
			return nil
		}
		id := binary.BigEndian.Uint64(k)
		of := blockVerifier{prefix: bytes.Clone(k), columns: 2, clock: clock, fault: func(err error) { r.fault("change %d: %v", id, err) }}
		of.run(tx.Bucket(bucketChanged).Cursor())
		if of.rows != kept.Rows {
			r.fault("change %d: it says %d entries and has %d", id, kept.Rows, of.rows)
		}
		rows += of.rows
		return nil
	})
	if err == nil && (state.Records != r.Changes || state.Rows != rows) {
		r.fault("it says %d changes with %d entries and has %d with %d", state.Records, state.Rows, r.Changes, rows)
	}
	return err
}

// BackupTo writes a consistent copy of the database to w, as it is at one moment, and of what is there alone: nothing that was
// deleted is in it, nor who is signed in (passing). Edits and the journal go on meanwhile, unless the file has to grow. The copy is made in a file without a name beside
// the database first, so that a slow w keeps nobody from writing.
func (d *DB) BackupTo(w io.Writer) error {
	f, err := os.CreateTemp(filepath.Dir(d.file), filepath.Base(d.file)+".backup-*")
	if err != nil {
		return explainCopy("the backup", d.file+".backup", err)
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	size, err := d.liveTo(f, passing...)
	if err != nil {
		return explainCopy("the backup", d.file+".backup", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err = io.CopyN(w, f, size)
	return err
}

// liveTo writes what is in the database to a new file, page by page as it is used and nothing else, and gives how much of that file it
// is. It is not synced. Of some buckets it has nothing but that they are there.
func (d *DB) liveTo(f *os.File, without ...[]byte) (size int64, err error) {
	to, err := bolt.Open(f.Name(), 0o600, &bolt.Options{
		FreelistType: bolt.FreelistMapType, NoSync: true, NoGrowSync: true, NoStatistics: true,
		// bbolt gets a handle of its own, which it closes: the name may be gone.
		OpenFile: func(string, int, os.FileMode) (*os.File, error) {
			fd, err := syscall.Dup(int(f.Fd()))
			return os.NewFile(uintptr(fd), f.Name()), err
		},
	})
	if err != nil {
		return 0, err
	}
	err = d.view(func(tx *bolt.Tx) error { return copyLive(to, tx, without) })
	if err == nil {
		err = to.View(func(tx *bolt.Tx) error { size = tx.Size(); return nil })
	}
	return size, errors.Join(err, to.Close())
}

// WriteNew makes a new file of what write writes, whole and on disk, or none. It does not replace one.
func WriteNew(file, what string, write func(io.Writer) error) error {
	if err := writeNew(file, func(f *os.File) error { return write(f) }); err != nil {
		return explainCopy(what, file, err)
	}
	return nil
}

// writeNew makes a file whole and on disk under another name first.
func writeNew(file string, write func(*os.File) error) error {
	if _, err := os.Lstat(file); err == nil {
		return os.ErrExist
	}
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, filepath.Base(file)+".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = errors.Join(Own(f, dir, 0o640), write(f), f.Sync())
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	switch err := os.Link(f.Name(), file); { // it does not replace a file that is there
	case errors.Is(err, os.ErrExist):
		return err
	case err != nil: // a file system without hard links
		if err := os.Rename(f.Name(), file); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// ReplaceFile puts a text in the place of a file, in one step, whole and on disk; when it fails the file is as it was. What root
// makes takes the owner of the folder.
func ReplaceFile(file string, mode os.FileMode, text []byte) error {
	dir := filepath.Dir(file)
	f, err := os.CreateTemp(dir, filepath.Base(file)+".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is in its place
	_, err = f.Write(text)
	if err := errors.Join(err, Own(f, dir, mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return replace(f.Name(), file)
}

func explainCopy(what, file string, err error) error {
	switch {
	case errors.Is(err, ErrCorrupt):
		return err
	case errors.Is(err, os.ErrExist):
		return invalid("%s is there already: name a new file, or move that one away", file)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%s %s does not fit on its disk, and nothing was left there: make room or name a file elsewhere (%w)", what, file, err)
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s %s cannot be made: make the folder %s first (%w)", what, file, filepath.Dir(file), err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s %s cannot be made: the user this runs as may not write to the folder %s (%w)", what, file, filepath.Dir(file), err)
	}
	return fmt.Errorf("%s %s cannot be written: %w", what, file, err)
}

// Compact rewrites the database file without the space that was freed in it, and gives its sizes before and after. Nobody
// else may have it open: ErrLocked. The old file stays until the new one is whole and on disk.
func Compact(file string) (before, after int64, err error) {
	d, err := Open(file, Options{})
	if err != nil {
		return 0, 0, err
	}
	defer d.Close()
	if report, err := d.Verify(); err != nil {
		return 0, 0, err
	} else if len(report.Faults) > 0 {
		return 0, 0, corrupt(file, errors.New(report.Faults[0]))
	}
	info, err := d.raw.Stat()
	if err != nil {
		return 0, 0, err
	}
	before = info.Size()
	temp := file + ".compact"
	os.Remove(temp) // one of a run that was killed
	err = writeNew(temp, func(f *os.File) (err error) {
		if after, err = d.liveTo(f); err == nil {
			err = f.Truncate(after)
		}
		return err
	})
	if err != nil {
		return 0, 0, explainCopy("the compacted database", temp, err)
	}
	if err := replace(temp, file); err != nil {
		os.Remove(temp)
		return 0, 0, err
	}
	return before, after, nil
}

// Restore puts a backup in the place of the database file, once it has been found to be whole. Nobody may have
// either open. What was there is kept beside it, under the name that is returned; "" if nothing was.
func Restore(backup, file string) (kept string, report *VerifyReport, err error) {
	b, err := Open(backup, Options{ReadOnly: true})
	if errors.Is(err, ErrOlder) {
		err = nil // it is brought up to date when it is opened in its place
	} else if err == nil {
		report, err = b.Verify()
		b.Close()
		if err == nil && len(report.Faults) > 0 {
			err = corrupt(backup, errors.New(report.Faults[0]))
		}
	}
	if err != nil {
		return "", nil, err
	}
	if _, err := os.Stat(file); err == nil {
		d, err := Open(file, Options{ReadOnly: true}) // that nobody has it
		if err == nil {
			d.Close()
		} else if errors.Is(err, ErrLocked) {
			return "", nil, err
		}
		kept = file + ".before-restore"
		if _, err := os.Lstat(kept); err == nil {
			return "", nil, invalid("%s is there from an earlier restore: move it away first", kept)
		}
	}
	temp := file + ".restore"
	os.Remove(temp)
	err = writeNew(temp, func(to *os.File) error {
		from, err := os.Open(backup)
		if err != nil {
			return err
		}
		defer from.Close()
		_, err = io.Copy(to, from)
		return err
	})
	if err != nil {
		return "", nil, explainCopy("the copy of the backup", temp, err)
	}
	if kept != "" {
		if err := os.Link(file, kept); err != nil {
			os.Remove(temp)
			return "", nil, fmt.Errorf("the present database cannot be kept as %s, so nothing was changed: %w", kept, err)
		}
	}
	if err := replace(temp, file); err != nil {
		return "", nil, err
	}
	return kept, report, nil
}

// replace moves a file that is on disk into the place of another, in one step.
func replace(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}
