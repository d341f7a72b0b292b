package desk

import (
	"context"
	"fmt"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

// Bounds of a page of calls.
const (
	pageCalls    = 100  // by default
	maxPageCalls = 1000 // at most
	lookFor      = time.Second
	maxLookFor   = 10 * time.Second
)

// Search gives one page of the calls asked for, within q.Look: those of all nodes of a cluster, merged by time, unless q.Here.
func (d *Desk) Search(ctx context.Context, q console.SearchQuery) (*console.SearchPage, error) {
	switch {
	case q.Limit < 0:
		return nil, console.Bad("limit is less than nothing")
	case q.Limit == 0:
		q.Limit = pageCalls
	}
	q.Limit = min(q.Limit, maxPageCalls)
	if d.o.Cluster != nil && !q.Here {
		return d.searchAll(ctx, q)
	}
	return d.searchHere(ctx, q)
}

// searchHere is Search in this node's journal.
func (d *Desk) searchHere(ctx context.Context, q console.SearchQuery) (*console.SearchPage, error) {
	asked, err := d.queryOf(q.Query)
	if err != nil {
		return nil, err
	}
	d.flush(ctx)
	length := bounded(q.Look, lookFor, maxLookFor)
	done, err := d.looking.begin(ctx, length > lookFor)
	if err != nil {
		return nil, err
	}
	defer done()
	look, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	page := &console.SearchPage{Records: []console.Record{}}
	add := func(r *storage.Record) error {
		page.Records = append(page.Records, recordOf(r))
		return nil
	}
	came, err := d.db.Search(look, asked, func(r storage.Record) error { return add(&r) })
	if err == nil && q.ID != "" && len(page.Records) == 0 {
		err = d.countedOn(asked, add)
	}
	if err == nil {
		err = ctx.Err() // who asked is gone
	}
	if err != nil {
		return nil, refused(err)
	}
	page.Looked, page.Done = came.Records, came.Done
	if !came.Done {
		page.Cursor = came.Last
		if page.Cursor == "" { // there was no time for anything
			page.Cursor = q.Cursor
		}
		if !came.Full {
			page.Through = storage.TimeOf(came.Last)
		}
	}
	return page, nil
}

// bounded is a time to look, by default usual, and most at the most.
func bounded(t, usual, most time.Duration) time.Duration {
	if t <= 0 {
		return usual
	}
	return min(t, most)
}

// callNamed is the record of a call, that which it was counted on included.
func (d *Desk) callNamed(ctx context.Context, id string) (r *storage.Record, err error) {
	d.flush(ctx)
	take := func(found *storage.Record) error { r = found; return nil }
	q := storage.Query{ID: id}
	if id == "" {
		return nil, console.NotFound("there is no call without an id")
	}
	err = d.db.Journal(q, func(found storage.Record) error { return take(&found) })
	if err == nil && r == nil {
		err = d.countedOn(q, take)
	}
	switch {
	case err != nil:
		return nil, refused(err)
	case r == nil:
		return nil, console.NotFound(fmt.Sprintf("there is no call %.40s in the journal", id))
	}
	return r, nil
}
