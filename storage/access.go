package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Who may use the console, and what they changed.
//
//	users     whose name, folded → JSON
//	sessions  hash of a secret → JSON
//	tokens    hash of a secret → JSON
//	links     hash of a secret → JSON, of links that work once
//	audit     ULID → AuditEntry as JSON
//	meta      "audit" → how many entries there are
//
// To this package the first four are texts of whoever keeps them; how many there may be is for them to say. No secret is among them. Sessions and
// links are in no backup (liveTo): one that is put back must sign nobody in whose session was ended meanwhile.

// AccessTable is one of the tables of who may use the console.
type AccessTable uint8

const (
	AccessUsers AccessTable = iota
	AccessSessions
	AccessTokens
	AccessLinks
)

var accessBuckets = [...][]byte{bucketUsers, bucketSessions, bucketTokens, bucketLinks}

// passing are the buckets that backups leave empty.
var passing = [][]byte{bucketSessions, bucketLinks}

// AccessRow is a row of such a table, to be written. One without a value is removed.
type AccessRow struct {
	Table AccessTable
	Key   string // 1 to MaxAccessKey bytes
	Value []byte // JSON, at most MaxAccessValue bytes
}

// Bounds of these tables.
const (
	MaxAccessKey   = 256
	MaxAccessValue = 128 << 10
	// MaxAudit is how many entries the audit has at most; the oldest gives way. Those older than KeepAudit go in any case.
	MaxAudit  = 1_000_000
	KeepAudit = 400 * 24 * time.Hour
	// maxAuditText is how long a text of an entry may be, in bytes.
	maxAuditText = 2 << 10
	// trimAudit is how many entries that are too old one write takes away.
	trimAudit = 64
	pageAudit = 500
)

// AuditEntry is one thing that somebody changed, or tried to. Its texts are whoever's who writes it: inert, and without numbers of callers, so that
// who is forgotten is not in it.
type AuditEntry struct {
	ID      string    `json:"-"` // set when it is written
	Time    time.Time `json:"time"`
	Who     string    `json:"who,omitempty"`
	Way     string    `json:"way,omitempty"`
	Address string    `json:"address,omitempty"`
	What    string    `json:"what"`
	Subject string    `json:"subject,omitempty"`
	Detail  string    `json:"detail,omitempty"`
	Change  uint64    `json:"change,omitempty"`
	Failed  string    `json:"failed,omitempty"`
}

// AuditQuery says which entries to give, the newest first.
type AuditQuery struct {
	Since, Until time.Time // Since is included, Until is not; zero: no bound
	Cursor       string    // the ID of an entry, before which it goes on
}

var keyAudit = []byte("audit")

// PutAccess writes rows and entries of the audit in one transaction, on disk when it returns.
func (d *DB) PutAccess(rows []AccessRow, audit ...AuditEntry) error {
	for i := range rows {
		if r := &rows[i]; r.Key == "" || len(r.Key) > MaxAccessKey || len(r.Value) > MaxAccessValue || int(r.Table) >= len(accessBuckets) {
			return invalid("what is kept of who may use the console has a key of 1 to %d bytes and %d bytes at most, not %d and %d", MaxAccessKey, MaxAccessValue, len(r.Key), len(r.Value))
		}
	}
	for i := range audit {
		e := &audit[i]
		for _, text := range [...]*string{&e.Who, &e.Way, &e.Address, &e.What, &e.Subject, &e.Detail, &e.Failed} {
			*text = strings.ToValidUTF8((*text)[:min(len(*text), maxAuditText)], "")
		}
		if e.Time.IsZero() {
			e.Time = d.now()
		}
		e.Time = millis(e.Time)
	}
	if len(rows)+len(audit) == 0 {
		return nil
	}
	err := d.edit(func(tx *bolt.Tx) error {
		for _, r := range rows {
			b := tx.Bucket(accessBuckets[r.Table])
			var err error
			if r.Value == nil {
				err = b.Delete([]byte(r.Key))
			} else {
				err = b.Put([]byte(r.Key), r.Value)
			}
			if err != nil {
				return err
			}
		}
		if len(audit) == 0 {
			return nil
		}
		return d.addAudit(tx, audit)
	})
	if err != nil {
		return explain("writing who may use the console", err)
	}
	return nil
}

// addAudit adds entries, and takes the oldest away that are too many or too old.
func (d *DB) addAudit(tx *bolt.Tx, audit []AuditEntry) error {
	b, meta := tx.Bucket(bucketAudit), tx.Bucket(bucketMeta)
	n, err := auditCount(meta)
	if err != nil {
		return corrupt(d.file, err)
	}
	for i := range audit {
		audit[i].ID = NewID(audit[i].Time)
		if err := putJSON(b, audit[i].ID, &audit[i]); err != nil {
			return err
		}
		n++
	}
	gone, err := d.trimAudit(b, n)
	if err != nil {
		return err
	}
	return putJSON(meta, string(keyAudit), n-gone)
}

// trimAudit takes the oldest of n entries away, and says how many.
func (d *DB) trimAudit(b *bolt.Bucket, n int) (gone int, err error) {
	oldest := []byte(firstID(d.now().Add(-KeepAudit)))
	var keys [][]byte // bbolt's cursor may skip keys after a deletion
	c := b.Cursor()
	for k, _ := c.First(); k != nil && len(keys) < trimAudit+n; k, _ = c.Next() {
		old := bytes.Compare(k, oldest) < 0
		if many := n-len(keys) > d.maxAudit; !many && (!old || len(keys) >= trimAudit) {
			break
		} else if many && !old {
			d.auditDropped.Add(1)
		}
		keys = append(keys, bytes.Clone(k))
	}
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}

func auditCount(meta *bolt.Bucket) (n int, err error) {
	if v := meta.Get(keyAudit); v != nil {
		if err := decodeJSON(v, &n); err != nil || n < 0 {
			return 0, fmt.Errorf("how many entries the audit has: %d, %v", n, err)
		}
	}
	return n, nil
}

// TrimAudit takes entries away that are too old. It is for when nobody changes anything for long.
func (d *DB) TrimAudit() error {
	for {
		gone := 0
		err := d.edit(func(tx *bolt.Tx) error {
			meta := tx.Bucket(bucketMeta)
			n, err := auditCount(meta)
			if err != nil {
				return corrupt(d.file, err)
			}
			if gone, err = d.trimAudit(tx.Bucket(bucketAudit), n); err != nil {
				return err
			}
			if gone == 0 {
				return errNothing
			}
			return putJSON(meta, string(keyAudit), n-gone)
		})
		if err != nil && !errors.Is(err, errNothing) {
			return explain("taking old entries of the audit away", err)
		}
		if gone < trimAudit {
			return nil
		}
	}
}

// AuditDropped is how many entries gave way since the file was opened because there were MaxAudit.
func (d *DB) AuditDropped() uint64 { return d.auditDropped.Load() }

// EachAccess calls yield for each row of a table, in the order of the keys' bytes, until yield returns an error, which it then returns. It reads in
// pages and passes over what is damaged, as Entries does.
func (d *DB) EachAccess(t AccessTable, yield func(AccessRow) error) error {
	decode := func(k, v []byte) (AccessRow, error) {
		if err := accessFault(k, v); err != nil {
			return AccessRow{}, err
		}
		return AccessRow{t, string(k), bytes.Clone(v)}, nil
	}
	name := accessBuckets[t]
	return eachKey(d, func(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket(name) }, MaxAccessKey, pageAudit, string(name), decode, yield)
}

func accessFault(k, v []byte) error {
	if len(k) == 0 || len(k) > MaxAccessKey || len(v) > MaxAccessValue || !json.Valid(v) {
		return invalid("the key %q with %d bytes cannot be read", short(k), len(v))
	}
	return nil
}

// Audit calls yield for each entry that is asked for, the newest first, until yield returns an error, which it then returns.
func (d *DB) Audit(q AuditQuery, yield func(AuditEntry) error) error {
	var before []byte
	if !q.Until.IsZero() {
		before = []byte(firstID(q.Until))
	}
	if id, ok := parseID(q.Cursor); ok && (before == nil || id < string(before)) {
		before = []byte(id)
	} else if q.Cursor != "" && !ok {
		return invalid("the cursor %.40q is none that an earlier answer ended with", q.Cursor)
	}
	first := ""
	if !q.Since.IsZero() {
		first = firstID(q.Since)
	}
	var damage damage
	for {
		var page []AuditEntry
		more := false
		err := d.view(func(tx *bolt.Tx) error {
			b := tx.Bucket(bucketAudit)
			if b == nil { // a file of before, opened for reading
				return nil
			}
			c := b.Cursor()
			k, v := c.Last()
			if before != nil {
				if k, v = c.Seek(before); k == nil {
					k, v = c.Last()
				}
				for k != nil && bytes.Compare(k, before) >= 0 {
					k, v = c.Prev()
				}
			}
			for n := 0; k != nil && string(k) >= first; k, v = c.Prev() {
				if n++; n > pageAudit {
					more = !damage.hopeless()
					return nil
				}
				before = append(before[:0], k...)
				e := AuditEntry{ID: string(k)}
				if err := decodeJSON(v, &e); err != nil {
					damage.note(fmt.Errorf("the entry %q: %w", short(k), err))
					continue
				}
				page = append(page, e)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i := range page {
			if err := yield(page[i]); err != nil {
				return err
			}
		}
		if !more {
			return damage.err(d.file, "audit")
		}
	}
}

// verifyAccess reads who may use the console, and what they changed.
func (r *VerifyReport) verifyAccess(tx *bolt.Tx) {
	for _, name := range accessBuckets {
		b := tx.Bucket(name)
		if b == nil {
			continue
		}
		b.ForEach(func(k, v []byte) error {
			if err := accessFault(k, v); err != nil {
				r.fault("%s: %v", name, err)
			}
			return nil
		})
	}
	b := tx.Bucket(bucketAudit)
	if b == nil {
		return
	}
	has := 0
	b.ForEach(func(k, v []byte) error {
		has++
		var e AuditEntry
		if _, ok := parseID(string(k[:min(len(k), MaxAccessKey)])); !ok {
			r.fault("audit: %q is no entry's key", short(k))
		} else if err := decodeJSON(v, &e); err != nil {
			r.fault("audit: %q: %v", short(k), err)
		}
		return nil
	})
	if says, err := auditCount(tx.Bucket(bucketMeta)); err != nil || says != has {
		r.fault("audit: it says %d entries and has %d", says, has)
	}
}
