package storage

import (
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// TestMended: a count that cannot be read keeps no file from opening, and is right again afterwards; an import that was cut off is left where it is.
func TestMended(t *testing.T) {
	d := open(t, Options{})
	for i := range 30 {
		r := report(i)
		_, _, err := d.AddReport(r)
		check(t, err)
		check(t, d.PutAccess(nil, AuditEntry{What: "list add"}))
	}
	for i, r := range readReports(t, d, ReportOpen) {
		if i%3 == 0 {
			_, _, err := d.DecideReport(r.ID, ReportDismissed, "ann")
			check(t, err)
		}
	}
	_, err := d.AddEntries("blacklist", []Entry{{Pattern: "+8613800000001"}})
	check(t, err)
	wantOpen, wantDecided := counts(t, d)
	j := d.StartJournal(JournalOptions{})
	for i := range 500 {
		j.Add(record(i))
	}
	check(t, j.Flush(soon(t)))
	check(t, j.Close(soon(t)))
	records, size, err := d.JournalSize()
	check(t, err)
	if records != 500 {
		t.Fatalf("there are %d records", records)
	}
	check(t, d.update(func(tx *bolt.Tx) error {
		for _, key := range [][]byte{keyJournal, keyReports, keyAudit, keyStaged} {
			if err := tx.Bucket(bucketMeta).Put(key, []byte("{\"rec\x00")); err != nil {
				return err
			}
		}
		return nil
	}))
	check(t, d.Close())

	d = open(t, Options{}, d.File())
	if got := d.Mended(); len(got) != 4 {
		t.Errorf("it says that it mended %q, want four things", got)
	}
	if n, s, err := d.JournalSize(); err != nil || n != records || s != size {
		t.Errorf("the journal has %d records of %d bytes (%v), want %d of %d", n, s, err, records, size)
	}
	if o, done := counts(t, d); o != wantOpen || done != wantDecided {
		t.Errorf("%d reports are open and %d decided, want %d and %d", o, done, wantOpen, wantDecided)
	}
	// All goes on, and is whole.
	_, _, err = d.AddReport(report(100))
	check(t, err)
	check(t, d.PutAccess(nil, AuditEntry{What: "list add"}))
	_, err = d.AddEntries("blacklist", []Entry{{Pattern: "+8613800000002"}})
	check(t, err)
	for more := true; more; {
		more, err = d.indexMore()
		check(t, err)
	}
	if n := len(readJournal(t, d, Query{Line: "staff"})); n != 500 {
		t.Errorf("by the index there are %d calls of the line, want 500", n)
	}
	verified, err := d.Verify()
	check(t, err)
	if len(verified.Faults) > 0 {
		t.Errorf("afterwards: %s", strings.Join(verified.Faults, "; "))
	}
	check(t, d.Close())
	d = open(t, Options{}, d.File())
	if got := d.Mended(); len(got) != 0 {
		t.Errorf("once more it mended %q", got)
	}
	check(t, d.Close())
}
