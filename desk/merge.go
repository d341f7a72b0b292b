package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"ringfence/console"
	"ringfence/inforce"
	"ringfence/lists"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/pseudonym"
	"ringfence/storage"
)

// What other nodes of a cluster say of lists and lines comes in here. A node is trusted to edit lists; what it says is held against what a person might
// write here all the same, because its program, its policy or its country may be another.

// MergeRefused is what other nodes said and this one did not take.
type MergeRefused struct {
	Rows  uint64 `json:"rows"`
	Early uint64 `json:"early"`         // rows that are too far ahead of this node's clock, see storage.MaxAhead
	Why   string `json:"why,omitempty"` // the first reason of the last time
}

// merging counts what other nodes say and is not taken.
type merging struct {
	mu      sync.Mutex
	refused MergeRefused
	logged  map[string]string // of a node and a list, what was logged last
	lines   map[string]mergeLines
}

// mergeLines are what was logged of a node within a minute.
type mergeLines struct {
	since time.Time
	n     int
}

// mayLog reports whether one more line of a node may be logged. m.mu is held.
func (m *merging) mayLog(node string, now time.Time) bool {
	if len(m.lines) >= maxMergeLogged || m.lines == nil {
		m.lines = make(map[string]mergeLines)
	}
	l := m.lines[node]
	if ago := now.Sub(l.since); ago < 0 || ago >= time.Minute {
		l = mergeLines{since: now}
	}
	l.n++
	m.lines[node] = l
	return l.n <= maxMergeLines
}

// MergeRefused counts what other nodes said and this one did not take, since it was started.
func (d *Desk) MergeRefused() MergeRefused {
	d.merging.mu.Lock()
	defer d.merging.mu.Unlock()
	return d.merging.refused
}

// MergeRows takes what another node says of a list, or of lines: on disk, and then in memory, as an edit does, so that the next call is decided by it. Rows that
// could not be written here are left out and counted (MergeRefused), and removals are taken of anything. It says how many rows are other than before.
func (d *Desk) MergeRows(ctx context.Context, list string, rows []storage.Row, of storage.Foreign) (changed int, err error) {
	if list == console.LineTable {
		return d.mergeLines(ctx, rows, of)
	}
	of = inertOf(of)
	d.edit.Lock()
	defer d.edit.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	c, err := d.mergeCheck(list)
	if err != nil {
		return 0, err
	}
	good, err := c.all(rows)
	if err != nil {
		return 0, err
	}
	changed, r, err := d.db.Merge(list, good, of)
	d.pieces.edited(err)
	if err = c.asRefused(err, len(rows)); err != nil {
		return 0, err
	}
	d.notTaken(c, &of, r.Early)
	if r.ID == 0 {
		return changed, nil
	}
	if err := d.follow(r); err != nil {
		d.pieces.doubt.Store(true)
		return changed, fmt.Errorf("what another node said is on disk, but calls do not know of it until the lists are read again (ringfence policy reload): %w", err)
	}
	return changed, nil
}

// MergeList is MergeRows for very many rows, which come in their order (see storage.DB.MergeMany) and count all at once. An error that comes with a row ends
// it, and nothing was changed.
func (d *Desk) MergeList(ctx context.Context, list string, rows iter.Seq2[storage.Row, error], of storage.Foreign) (changed int, err error) {
	if list == console.LineTable {
		all, err := gatherRows(rows)
		if err != nil {
			return 0, err
		}
		return d.mergeLines(ctx, all, of)
	}
	of = inertOf(of)
	c, err := d.mergeCheck(list)
	if err != nil {
		return 0, err
	}
	r, err := d.db.MergeMany(list, storage.Ahead(c.each(ctx, rows)), of, func(do func() (storage.ChangeRecord, error)) error {
		return d.commitIf(ctx.Err, do)
	})
	if err = c.asRefused(err, 1); err != nil {
		return 0, err
	}
	d.notTaken(c, &of, r.Early)
	return r.Took, nil
}

// maxLineRows is how many rows of lines another node may have: the lines, and those that it remembers to have been removed.
const maxLineRows = 4 * storage.MaxLines

func gatherRows(rows iter.Seq2[storage.Row, error]) (all []storage.Row, err error) {
	for row, err := range rows {
		switch {
		case err != nil:
			return nil, err
		case len(all) == maxLineRows:
			return nil, fmt.Errorf("another node has more than %d rows of lines: this one takes none of them", maxLineRows)
		}
		all = append(all, row)
	}
	return all, nil
}

// inertOf is what another node says of its change, as texts that may be shown.
func inertOf(of storage.Foreign) storage.Foreign {
	of.Who, of.From, of.Source = number.InertUpTo(of.Who, maxName), number.InertUpTo(of.From, maxName), number.InertUpTo(of.Source, maxName)
	return of
}

// Breadth is which share of the numbers of this node's country a pattern takes, as a list has it: 1 where it takes a whole country or a large part of one, be it
// another, and 0 for one number. A text that is no pattern takes none: no call matches it.
func Breadth(plan *number.Plan, list, text string) float64 {
	if storage.IsOwn(list) {
		_, text, _ = storage.CutOwn(text)
	}
	p, err := plan.KeptPattern(text)
	if err != nil || p.IsExact() || p.Size == 0 {
		return 0
	}
	if plan.Wide(p) != "" {
		return 1
	}
	size := int(p.Size)
	if p.Plus {
		if !strings.HasPrefix(fmt.Sprintf("%0*d", size, p.Lo), plan.Code()) {
			return 0
		}
		size -= len(plan.Code())
	}
	return (float64(p.Hi-p.Lo) + 1) / math.Pow10(size)
}

// mergeCheck looks at rows of another node.
type mergeCheck struct {
	d         *Desk
	rules     *inforce.Rules
	list      string
	own       bool
	stops     bool                 // the list has calls stopped
	emergency []number.Number      // of the country
	forgotten *pseudonym.Forgotten // who was, nil for nobody
	room      int                  // for patterns on own lists

	bad     string // what is wrong with the list as a whole
	refused int
	why     string // the first reason
}

// mergeCheck begins to look at rows of a list.
func (d *Desk) mergeCheck(list string) (*mergeCheck, error) {
	r := d.force.Rules()
	c := &mergeCheck{d: d, rules: r, list: list, stops: !r.Policy.OnlyAllows(list), forgotten: d.forgottenHere()}
	for _, digits := range r.Policy.Plan().EmergencyNumbers() {
		c.emergency = append(c.emergency, r.Policy.Plan().Parse(digits))
	}
	if own, ok := lists.OwnTable(list); ok {
		c.bad = policy.BadLineName(own)
		n, err := d.db.OwnPatterns()
		if err != nil {
			return nil, err
		}
		c.own, c.room = true, lists.MaxOwn-n
	}
	return c, nil
}

func (c *mergeCheck) refuse(row *storage.Row, why string) {
	switch c.refused++; {
	case why == whyForgotten:
		c.why = cmp.Or(c.why, why)
	case c.why == "":
		c.why = fmt.Sprintf("%s: %s", number.InertUpTo(row.Pattern, 64), why)
	}
}

// asRefused counts rows as refused that the database does not take as a whole: who sends them would send them again.
func (c *mergeCheck) asRefused(err error, rows int) error {
	if !errors.Is(err, storage.ErrInvalid) {
		return err
	}
	if c.refused = max(c.refused, rows); c.why == "" {
		c.why = err.Error()
	}
	return nil
}

// all gives those of some rows that can be taken.
func (c *mergeCheck) all(rows []storage.Row) ([]storage.Row, error) {
	good := make([]storage.Row, 0, len(rows))
	for i := range rows {
		if why := c.fault(&rows[i]); why != "" {
			c.refuse(&rows[i], why)
			continue
		}
		good = append(good, rows[i])
	}
	if !c.own {
		return good, nil
	}
	byLine := make(map[string][]storage.Row)
	for _, row := range good {
		line, _, _ := storage.CutOwn(row.Pattern)
		byLine[line] = append(byLine[line], row)
	}
	good = good[:0]
	for line, mine := range byLine {
		fit, err := c.fit(line, mine)
		if err != nil {
			return nil, err
		}
		good = append(good, fit...)
	}
	return good, nil
}

// each is all for rows that come one by one, in order. Of own lists it gathers those of one line.
func (c *mergeCheck) each(ctx context.Context, rows iter.Seq2[storage.Row, error]) iter.Seq2[storage.Row, error] {
	return func(yield func(storage.Row, error) bool) {
		var mine []storage.Row
		of := ""
		flush := func() bool {
			fit, err := c.fit(of, mine)
			if err != nil {
				return yield(storage.Row{}, err)
			}
			mine = mine[:0]
			for _, row := range fit {
				if !yield(row, nil) {
					return false
				}
			}
			return true
		}
		for row, err := range rows {
			if err = errors.Join(err, ctx.Err()); err != nil {
				yield(row, err)
				return
			}
			if why := c.fault(&row); why != "" {
				c.refuse(&row, why)
				continue
			}
			if !c.own {
				if !yield(row, nil) {
					return
				}
				continue
			}
			if line, _, _ := storage.CutOwn(row.Pattern); line != of || len(mine) >= storage.MaxEdit {
				if !flush() {
					return
				}
				of = strings.Clone(line)
			}
			mine = append(mine, row)
		}
		flush()
	}
}

// fault says why a row cannot be taken; "" if it can.
func (c *mergeCheck) fault(row *storage.Row) string {
	if c.bad != "" {
		return c.bad
	}
	if err := row.Check(c.list); err != nil {
		return err.Error()
	}
	if c.isForgotten(row) {
		return whyForgotten
	}
	if row.Gone { // what this node would not read as a number has to be taken off all the same
		return ""
	}
	text := row.Pattern
	if c.own {
		line, pattern, ok := storage.CutOwn(text)
		if name := policy.LineName(line); !ok || name == line || len(line) > maxLineKey || policy.BadLineName(name) != "" {
			return "is of no line"
		}
		text = pattern
	}
	p, err := c.rules.Policy.Plan().Again(text)
	switch {
	case err != nil:
		return err.Error()
	case p.String() != text:
		return fmt.Sprintf("is written %s here: are the numbers of that node read otherwise?", p)
	}
	if c.stops {
		for i := range c.emergency {
			if n := &c.emergency[i]; p.Matches(n) {
				return fmt.Sprintf("would hit the emergency number %s", n.Shown())
			}
		}
	}
	return ""
}

// fit leaves out of the rows of one line what it has no room for on its own lists.
func (c *mergeCheck) fit(line string, rows []storage.Row) ([]storage.Row, error) {
	if !slices.ContainsFunc(rows, func(r storage.Row) bool { return !r.Gone }) {
		return rows, nil
	}
	var texts []string
	for i := range rows {
		if !rows[i].Gone {
			texts = append(texts, rows[i].Pattern)
		}
	}
	slices.Sort(texts)
	texts = slices.Compact(texts)
	records, err := c.d.db.Lookup(c.list, texts...)
	if err != nil {
		return nil, err
	}
	n, err := c.d.db.LinePatterns(line)
	if err != nil {
		return nil, err
	}
	full := make(map[string]bool)
	for i := range texts {
		switch {
		case len(records[i]) > 0:
		case n >= lists.MaxOwnLine || c.room <= 0:
			full[texts[i]] = true
		default:
			n, c.room = n+1, c.room-1
		}
	}
	if len(full) == 0 {
		return rows, nil
	}
	c.d.ownRefused.Add(1)
	return slices.DeleteFunc(rows, func(r storage.Row) bool {
		none := !r.Gone && full[r.Pattern]
		if none {
			c.refuse(&r, fmt.Sprintf("there is no room for more on the own lists of %s: a line has %d entries at most, all together %d", policy.LineName(line), lists.MaxOwnLine, lists.MaxOwn))
		}
		return none
	}), nil
}

const (
	maxMergeLogged = 1000 // nodes and lists of which it is known what was logged of them last
	maxMergeLines  = 10   // a node and minute: each reason may be another one
)

// notTaken counts what was refused, and logs it where that is news.
func (d *Desk) notTaken(c *mergeCheck, of *storage.Foreign, early int) {
	if c.refused+early == 0 {
		return
	}
	m := &d.merging
	m.mu.Lock()
	m.refused.Rows += uint64(c.refused)
	m.refused.Early += uint64(early)
	why := c.why
	if why == "" {
		why = fmt.Sprintf("its clock is more than %v ahead of this node's", storage.MaxAhead)
	}
	m.refused.Why = why
	key := of.Node + "\x00" + c.list
	news := m.logged[key] != why && m.mayLog(of.Node, d.o.Now())
	if len(m.logged) >= maxMergeLogged || m.logged == nil {
		m.logged = make(map[string]string)
	}
	m.logged[key] = why
	m.mu.Unlock()
	if news {
		d.o.Log.Warn("another node says what cannot be taken over; the lists differ in that until it is put right there",
			"node", number.InertUpTo(of.Node, storage.MaxNode), "list", number.InertUpTo(c.list, storage.MaxListName), "refused", c.refused, "ahead", early, "first", number.InertUpTo(why, 300))
	}
}
