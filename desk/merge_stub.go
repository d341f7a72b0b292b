package desk

import (
	"context"
	"iter"

	"ringfence/number"
	"ringfence/storage"
)

func (d *Desk) MergeRows(ctx context.Context, list string, rows []storage.Row, of storage.Foreign) (int, error) {
	d.edit.Lock()
	defer d.edit.Unlock()
	n, _, err := d.db.Merge(list, rows, of)
	d.pieces.edited(err)
	if err != nil || !d.inMemory() {
		return n, err
	}
	var patterns []number.Pattern
	var keys []string
	for i := range rows {
		p, err := entryOf(d.force.Rules().Policy.Plan(), rows[i].Pattern)
		if err != nil {
			continue
		}
		patterns, keys = append(patterns, p), append(keys, rows[i].Pattern)
	}
	records, err := d.recordsOf(list, keys)
	if err != nil {
		return n, err
	}
	d.followPatterns(&place{name: list, table: list}, patterns, records)
	return n, nil
}

func (d *Desk) MergeList(ctx context.Context, list string, rows iter.Seq2[storage.Row, error], of storage.Foreign) (int, error) {
	var page []storage.Row
	n := 0
	for r, err := range rows {
		if err != nil {
			return n, err
		}
		if page = append(page, r); len(page) == storage.MaxEdit {
			m, err := d.MergeRows(ctx, list, page, of)
			if n += m; err != nil {
				return n, err
			}
			page = page[:0]
		}
	}
	m, err := d.MergeRows(ctx, list, page, of)
	return n + m, err
}
