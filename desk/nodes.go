package desk

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"ringfence/console"
)

// CallsHere answers another node's question for calls.
func (d *Desk) CallsHere(ctx context.Context, query []byte) ([]byte, error) {
	var q console.SearchQuery
	if err := json.Unmarshal(query, &q); err != nil {
		return nil, console.Bad("the question of another node cannot be read: bring all nodes to one version")
	}
	q.Here = true
	page, err := d.Search(ctx, q)
	if err != nil {
		return nil, err
	}
	return json.Marshal(page)
}

// searchAll is Search in the journals of all nodes.
func (d *Desk) searchAll(ctx context.Context, q console.SearchQuery) (*console.SearchPage, error) {
	q.Here = true
	query, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	var answers map[string][]byte
	var silent []string
	var asking sync.WaitGroup
	asking.Go(func() { answers, silent = d.o.Cluster.Calls(ctx, query) })
	page, err := d.searchHere(ctx, q)
	asking.Wait()
	if err != nil {
		return nil, err
	}
	pages := []*console.SearchPage{page}
	for node, answer := range answers {
		theirs := new(console.SearchPage)
		if json.Unmarshal(answer, theirs) != nil {
			silent = append(silent, node)
			continue
		}
		pages = append(pages, theirs)
	}
	page = mergePages(&q, pages)
	slices.Sort(silent)
	page.Silent = silent
	return page, nil
}

// mergePages makes one page of those of several journals for one question. It reaches as far as the one that came least far: what others have beyond
// is found by the next page again.
func mergePages(q *console.SearchQuery, pages []*console.SearchPage) *console.SearchPage {
	all := &console.SearchPage{Records: []console.Record{}, Done: true}
	order := strings.Compare
	if q.Newest {
		order = func(a, b string) int { return strings.Compare(b, a) }
	}
	for _, p := range pages {
		all.Looked += p.Looked
		if p.Done {
			continue
		}
		if p.Cursor == q.Cursor { // it had no time for anything: nobody knows what comes next
			return &console.SearchPage{Records: []console.Record{}, Cursor: q.Cursor, Looked: all.Looked}
		}
		if all.Done || order(p.Cursor, all.Cursor) < 0 {
			all.Cursor, all.Through = p.Cursor, p.Through
		}
		all.Done = false
	}
	for _, p := range pages {
		for i := range p.Records {
			if r := &p.Records[i]; all.Done || order(r.ID, all.Cursor) <= 0 {
				all.Records = append(all.Records, *r)
			}
		}
	}
	slices.SortFunc(all.Records, func(a, b console.Record) int { return order(a.ID, b.ID) })
	all.Records = slices.CompactFunc(all.Records, func(a, b console.Record) bool { return a.ID == b.ID })
	if q.Limit > 0 && len(all.Records) > q.Limit {
		all.Records = all.Records[:q.Limit]
		all.Done, all.Cursor = false, all.Records[q.Limit-1].ID
		all.Through = time.Time{} // the page is full
	}
	return all
}
