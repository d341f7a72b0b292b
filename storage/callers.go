package storage

import (
	"context"
	"time"
)

// CallersQuery asks for the records of some callers, the newest first.
type CallersQuery struct {
	Since time.Time
	// Names are the callers' numbers, or what stands for them, as records have them (Caller.E164).
	Names []string
	// Most is how many records of the journal are looked at; 0 is all.
	Most int
}

// JournalOf calls yield for each record that the query asks for, until yield returns an error, which JournalOf then returns. It ends early
// when ctx does or Most records were looked at: cut is true then. It reads as Journal does.
func (d *DB) JournalOf(ctx context.Context, q CallersQuery, yield func(Record) error) (looked int, cut bool, err error) {
	all := Query{Since: q.Since, Newest: true, Callers: q.Names}
	if len(q.Names) == 0 {
		return 0, false, nil
	}
	came, err := d.search(ctx, all, q.Most, yield)
	return came.Records, err == nil && !came.Done, err
}
