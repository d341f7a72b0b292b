package storage

import "fmt"

// rows are what a batch has to be written, in that order: records, then what is counted on records, then what became of calls. It may be
// asked again for the same batch.
func (j *Journal) rows(batch []*Record) ([]row, error) {
	rows := make([]row, 0, len(batch))
	counts := make(map[string]*counting)
	var order []string
	count := func(id string) *counting {
		if counts[id] == nil {
			counts[id] = &counting{}
			order = append(order, id)
		}
		return counts[id]
	}
	for _, r := range batch {
		if r.late {
			continue
		}
		if !r.placed {
			r.placed = true
			if r.amends {
				r.into = j.repeats.part(r.ID)
			} else {
				r.into = j.repeats.place(r)
			}
			r.told = r.Stopped != "" && !r.Test && j.o.Notices != nil && j.o.Notices.Wants(r)
		}
		if o := j.early[r.ID]; o != nil {
			r.Outcome = o
		}
		switch {
		case r.into != "" && !r.amends:
			c := count(r.into)
			c.calls = append(c.calls, r)
			continue
		case r.into != "": // it was counted there
			c := count(r.into)
			c.less = append(c.less, r.ID)
		}
		value, err := r.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("journal record %s: %w", r.ID, err)
		}
		rows = append(rows, row{key: []byte(r.ID), value: value, rec: r, amends: r.amends, told: r.tellOf()})
	}
	for _, id := range order {
		rows = append(rows, row{key: []byte(id), counting: counts[id]})
	}
	for _, r := range batch {
		if !r.late {
			continue
		}
		late := row{key: []byte(j.repeats.recordOf(r.ID)), outcome: r.Outcome}
		if r.Outcome.Answered && string(late.key) != r.ID {
			late.own = r.ID
		}
		rows = append(rows, late)
	}
	return rows, nil
}

// keepEarly remembers an outcome whose record has not come yet: a switch may report
// the end of a call that was refused before the refusal itself is recorded.
func (j *Journal) keepEarly(id string, o *Outcome) {
	if j.early == nil {
		j.early = make(map[string]*Outcome)
	}
	if len(j.early) >= maxEarly {
		j.strays.Add(uint64(len(j.early))) // their records would have come long ago
		clear(j.early)
	}
	j.early[id] = o
}
