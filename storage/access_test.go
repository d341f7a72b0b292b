package storage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// readAccess is all that is kept of who may use the console.
func readAccess(t testing.TB, d *DB) string {
	t.Helper()
	text := ""
	for table := AccessUsers; table <= AccessLinks; table++ {
		check(t, d.EachAccess(table, func(r AccessRow) error {
			text += fmt.Sprintf("%s %s=%s ", accessBuckets[table], r.Key, r.Value)
			return nil
		}))
	}
	return text
}

// readAudit is what the audit has, the newest first.
func readAudit(t testing.TB, d *DB, q AuditQuery) (found []AuditEntry) {
	t.Helper()
	check(t, d.Audit(q, func(e AuditEntry) error { found = append(found, e); return nil }))
	return found
}

// subjects are those of entries, with blanks between.
func subjects(found []AuditEntry) string {
	var all []string
	for _, e := range found {
		all = append(all, e.Subject)
	}
	return strings.Join(all, " ")
}

// Who may use the console is on disk when it is acknowledged, with the entry of the audit or not at all.
func TestAccess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ringfence.db")
	d := open(t, Options{}, file)
	check(t, d.PutAccess([]AccessRow{
		{AccessUsers, "ann", []byte(`{"n":1}`)}, {AccessSessions, "h", []byte(`{}`)}, {AccessTokens, "t", []byte(`{}`)}, {AccessLinks, "l", []byte(`{}`)},
	}, AuditEntry{What: "user add", Subject: "ann", Who: strings.Repeat("é", 2000)}))
	check(t, d.PutAccess([]AccessRow{{AccessUsers, "ann", []byte(`{"n":2}`)}, {AccessLinks, "l", nil}, {AccessLinks, "never there", nil}}))
	for _, r := range []AccessRow{{AccessUsers, "", []byte(`{}`)}, {AccessUsers, strings.Repeat("k", MaxAccessKey+1), nil}, {AccessUsers, "k", make([]byte, MaxAccessValue+1)}, {AccessLinks + 1, "k", nil}} {
		if err := d.PutAccess([]AccessRow{{AccessUsers, "bob", []byte(`{}`)}, r}, AuditEntry{What: "user add"}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%d bytes under %d: %v", len(r.Value), len(r.Key), err)
		}
	}
	check(t, d.Close())
	d = open(t, Options{ReadOnly: true}, file)
	if got, want := readAccess(t, d), `users ann={"n":2} sessions h={} tokens t={} `; got != want {
		t.Errorf("after a restart: got %s, want %s", got, want)
	}
	found := readAudit(t, d, AuditQuery{})
	if len(found) != 1 || found[0].Subject != "ann" || len(found[0].Who) > maxAuditText || strings.Contains(found[0].Who, "\ufffd") {
		t.Errorf("got the audit %.200v", found)
	}
	if err := d.PutAccess([]AccessRow{{AccessUsers, "bob", []byte(`{}`)}}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a file for reading only: %v", err)
	}
}

func TestAuditIsBounded(t *testing.T) {
	at := epoch
	d := open(t, Options{Now: func() time.Time { return at }})
	d.maxAudit = 10
	for i := range 25 {
		at = at.Add(time.Minute)
		check(t, d.PutAccess(nil, AuditEntry{What: "x", Subject: fmt.Sprint(i)}))
	}
	if got, want := subjects(readAudit(t, d, AuditQuery{})), "24 23 22 21 20 19 18 17 16 15"; got != want || d.AuditDropped() != 15 {
		t.Errorf("got %s and %d that gave way, want %s and 15", got, d.AuditDropped(), want)
	}
	if r, err := d.Verify(); err != nil || len(r.Faults) > 0 {
		t.Errorf("verify: %v, %v", r, err)
	}
	// Many that are too old go by the next write, and without one.
	at = at.Add(KeepAudit - 4*time.Minute)
	check(t, d.TrimAudit())
	if got, want := subjects(readAudit(t, d, AuditQuery{})), "24 23 22 21 20"; got != want {
		t.Errorf("after %v: got %s, want %s", KeepAudit, got, want)
	}
	at = at.Add(time.Hour)
	check(t, d.PutAccess(nil, AuditEntry{What: "x", Subject: "new"}))
	if got := subjects(readAudit(t, d, AuditQuery{})); got != "new" || d.AuditDropped() != 15 {
		t.Errorf("got %s and %d, want the new one, and no more that gave way", got, d.AuditDropped())
	}
	if r, err := d.Verify(); err != nil || len(r.Faults) > 0 {
		t.Errorf("verify: %v, %v", r, err)
	}
}

func TestAuditPages(t *testing.T) {
	at := epoch
	d := open(t, Options{Now: func() time.Time { return at }})
	const n = 2*pageAudit + 7
	var batch []AuditEntry
	for i := range n {
		batch = append(batch, AuditEntry{What: "x", Subject: fmt.Sprint(i), Time: epoch.Add(time.Duration(i) * time.Second)})
	}
	at = epoch.Add(n * time.Second)
	check(t, d.PutAccess(nil, batch...))
	all := readAudit(t, d, AuditQuery{})
	if len(all) != n || all[0].Subject != fmt.Sprint(n-1) || all[n-1].Subject != "0" {
		t.Fatalf("got %d entries, want %d, the newest first", len(all), n)
	}
	if got := readAudit(t, d, AuditQuery{Cursor: all[pageAudit+3].ID}); len(got) != n-pageAudit-4 || got[0].Subject != all[pageAudit+4].Subject {
		t.Errorf("with a cursor: got %d entries", len(got))
	}
	got := readAudit(t, d, AuditQuery{Since: epoch.Add(5 * time.Second), Until: epoch.Add(8 * time.Second)})
	if subjects(got) != "7 6 5" {
		t.Errorf("from 5 to 8: got %s", subjects(got))
	}
	if got := readAudit(t, d, AuditQuery{Until: epoch.Add(8 * time.Second), Cursor: all[0].ID}); len(got) != 8 {
		t.Errorf("a cursor behind the end: got %d, want 8", len(got))
	}
	if err := d.Audit(AuditQuery{Cursor: "x"}, nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("a cursor that is none: %v", err)
	}
	if got := readAudit(t, open(t, Options{}), AuditQuery{}); len(got) > 0 {
		t.Errorf("an empty file: got %v", got)
	}
}

// What is damaged is found, and hides nothing else.
func TestAccessDamaged(t *testing.T) {
	d := open(t, Options{})
	check(t, d.PutAccess([]AccessRow{{AccessUsers, "ann", []byte(`{}`)}, {AccessUsers, "bob", []byte(`{}`)}}, AuditEntry{What: "x", Subject: "good"}))
	check(t, d.update(func(tx *bolt.Tx) error {
		return errors.Join(tx.Bucket(bucketUsers).Put([]byte("ann"), []byte("{")), tx.Bucket(bucketAudit).Put([]byte(NewID(epoch)), []byte("{")), tx.Bucket(bucketAudit).Put([]byte("x"), []byte("{}")))
	}))
	var names []string
	err := d.EachAccess(AccessUsers, func(r AccessRow) error { names = append(names, r.Key); return nil })
	if !errors.Is(err, ErrCorrupt) || !slices.Equal(names, []string{"bob"}) {
		t.Errorf("got %q, %v, want bob and that it is damaged", names, err)
	}
	good := false
	if err := d.Audit(AuditQuery{}, func(e AuditEntry) error { good = good || e.Subject == "good"; return nil }); !errors.Is(err, ErrCorrupt) || !good {
		t.Errorf("got %v, %v, want the good one and that it is damaged", good, err)
	}
	r, err := d.Verify()
	check(t, err)
	if text := strings.Join(r.Faults, "\n"); !strings.Contains(text, "users:") || !strings.Contains(text, "audit: it says 1 entries and has 3") || !strings.Contains(text, `"x" is no entry's key`) {
		t.Errorf("verify found\n%s", text)
	}
}

// A backup has neither sessions nor links, but the tables for them; making the file smaller keeps both.
func TestBackupWithoutSessions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ringfence.db")
	d := open(t, Options{}, file)
	rows := []AccessRow{{AccessUsers, "ann", []byte(`{}`)}, {AccessSessions, "session", []byte(`{}`)}, {AccessTokens, "token", []byte(`{}`)}, {AccessLinks, "link", []byte(`{}`)}}
	check(t, d.PutAccess(rows, AuditEntry{What: "x"}))
	var copied bytes.Buffer
	check(t, d.BackupTo(&copied))
	check(t, d.Close())
	backup := filepath.Join(t.TempDir(), "backup.db")
	check(t, os.WriteFile(backup, copied.Bytes(), 0o600))
	b := open(t, Options{ReadOnly: true}, backup)
	if got, want := readAccess(t, b), "users ann={} tokens token={} "; got != want {
		t.Errorf("the backup has %s, want %s", got, want)
	}
	if n := len(readAudit(t, b, AuditQuery{})); n != 1 {
		t.Errorf("the backup has %d entries of the audit, want 1", n)
	}
	_, _, err := Compact(file)
	check(t, err)
	if got, want := readAccess(t, open(t, Options{ReadOnly: true}, file)), "users ann={} sessions session={} tokens token={} links link={} "; got != want {
		t.Errorf("made smaller it has %s, want %s", got, want)
	}
}
