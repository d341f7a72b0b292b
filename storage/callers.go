package storage

import (
	"bytes"
	"context"
	"time"

	bolt "go.etcd.io/bbolt"
)

// CallersQuery asks for the records of some callers, the newest first.
type CallersQuery struct {
	Since time.Time
	// Begins is how the callers' numbers begin, as records have them (Caller.E164): one of these. It saves reading the other records.
	Begins []string
	// Is says whether a caller is one of those.
	Is func(e164 string) bool
	// Most is how many records of the journal are looked at; 0 is all.
	Most int
}

// JournalOf calls yield for each record that the query asks for, until yield returns an error, which JournalOf then returns. It ends early
// when ctx does or Most records were looked at: cut is true then. It reads as Journal does.
func (d *DB) JournalOf(ctx context.Context, q CallersQuery, yield func(Record) error) (looked int, cut bool, err error) {
	s, err := newScan(Query{Since: q.Since, Newest: true})
	if err != nil {
		return 0, false, err
	}
	for _, begin := range q.Begins {
		s.any = append(s.any, append([]byte(`"e164":`), bytes.TrimSuffix(jsonText(begin), []byte(`"`))...))
	}
	for !s.done {
		if ctx.Err() != nil || q.Most > 0 && s.looked >= q.Most {
			return s.looked, true, nil
		}
		var page []Record
		err := d.view(func(tx *bolt.Tx) error {
			page = s.page(tx.Bucket(bucketJournal).Cursor())
			return nil
		})
		if err != nil {
			return s.looked, false, err
		}
		for _, r := range page {
			if !q.Is(r.Caller.E164) {
				continue
			}
			if err := yield(r); err != nil {
				return s.looked, false, err
			}
		}
	}
	return s.looked, false, s.damage.err(d.file, "records of the journal")
}
