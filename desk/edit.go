package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/inforce"
	"ringfence/lists"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// Lists describes all lists. Own lists of lines of the database are one for each name.
func (d *Desk) Lists(ctx context.Context) ([]console.ListSummary, error) {
	infos, err := d.db.Lists()
	if err != nil {
		return nil, err
	}
	var out []console.ListSummary
	for i := range infos {
		s := summaryOf(&infos[i])
		if storage.IsOwn(s.List) {
			if err := d.countOwn(ctx, d.force.Rules(), &s); err != nil {
				return nil, err
			}
		}
		out = append(out, s)
	}
	return out, nil
}

func summaryOf(l *storage.ListInfo) console.ListSummary {
	return console.ListSummary{List: l.Name, Entries: l.Entries, Records: l.Records, Created: l.Created, Changed: l.Changed}
}

// Entries calls yield for each entry of a list, or of the own lists of all lines that have a name, as "line:blacklist".
func (d *Desk) Entries(ctx context.Context, list string, yield func(console.ListEntry) error) error {
	r := d.force.Rules()
	if _, ok := lists.OwnTable(list); ok {
		return d.ownEntries(ctx, r, list, yield)
	}
	at, err := d.named(list)(r)
	if err != nil {
		return err
	}
	pages := func(yield func([]storage.Entry) error) error { return d.db.EntryPages(at.table, true, yield) }
	if at.line != "" {
		pages = func(yield func([]storage.Entry) error) error { return d.db.LineEntries(at.table, at.line, true, yield) }
	}
	if tag := console.ListTagOf(ctx); tag != nil { // before the first entry is read: what is edited meanwhile has another
		if tag.Now, err = d.stateOf(&at); err != nil {
			return err
		}
	}
	now := d.o.Now()
	err = pages(func(es []storage.Entry) error {
		at.strip(es)
		for i, end := 0, 0; i < len(es); i = end {
			for end = i + 1; end < len(es) && es[end].Pattern == es[i].Pattern; {
				end++
			}
			if err := errors.Join(ctx.Err(), yield(unionOf(list, es[i:end], now))); err != nil {
				return err
			}
		}
		return nil
	})
	return noList(list, err)
}

// noList says what to do about a list that is not there.
func noList(list string, err error) error {
	if errors.Is(err, storage.ErrNoList) {
		return console.NotFound(fmt.Sprintf("there is no list %s: `ringfence list ls` names those there are", list))
	}
	return err
}

// unionOf is an entry of one or more sources: what the first says that has not expired, and all of them if they are several.
func unionOf(list string, records []storage.Entry, now time.Time) console.ListEntry {
	first := 0
	for i := range records {
		if e := &records[i]; e.Expires.IsZero() || now.Before(e.Expires) {
			first = i
			break
		}
	}
	out := listEntryOf(list, &records[first])
	for i := range records {
		if e := &records[i]; len(records) > 1 {
			out.Records = append(out.Records, console.ListRecord{
				From: e.Origin.String(), Reason: e.Reason, Source: e.Source, Who: e.Who, Added: e.Added, Updated: e.Updated, Expires: e.Expires,
			})
		}
	}
	return out
}

func listEntryOf(list string, e *storage.Entry) console.ListEntry {
	return console.ListEntry{List: list, Number: e.Pattern, Reason: e.Reason, From: e.Origin.String(), Source: e.Source, Who: e.Who, Added: e.Added, Expires: e.Expires, Hits: e.Hits, LastHit: e.LastHit}
}

// AddEntries adds patterns, in any spelling, to a list that need not exist yet. All go in or none: one that
// cannot be read refuses the rest, unless keepGood. When it returns the edit is on disk and the next call
// sees it.
func (d *Desk) AddEntries(ctx context.Context, list string, add []console.NewEntry, keepGood bool) ([]console.Edit, error) {
	return d.addEntries(ctx, d.named(list), storage.FromPerson, add, keepGood)
}

// addEntries is AddEntries for what a person says, or a report, on the list that find finds.
func (d *Desk) addEntries(ctx context.Context, find func(*inforce.Rules) (place, error), origin storage.Origin, add []console.NewEntry, keepGood bool) ([]console.Edit, error) {
	d.edit.Lock()
	defer d.edit.Unlock()
	return d.addInTurn(ctx, find, origin, add, keepGood)
}

// addInTurn is addEntries for who holds d.edit.
func (d *Desk) addInTurn(ctx context.Context, find func(*inforce.Rules) (place, error), origin storage.Origin, add []console.NewEntry, keepGood bool) ([]console.Edit, error) {
	r, now := d.force.Rules(), d.o.Now()
	at, err := find(r)
	if err != nil {
		return nil, err
	}
	if err := d.isStill(ctx, &at); err != nil {
		return nil, err
	}
	out := make([]console.Edit, len(add))
	var good []int // places in add
	var patterns []number.Pattern
	var entries []storage.Entry
	var wrong []string
	by := byOf(ctx)
	for i, a := range add {
		p, err := entryOf(r.Policy.Plan(), a.Number)
		if err == nil && !a.Expires.IsZero() && !a.Expires.After(now) {
			err = fmt.Errorf("would have expired already, at %s: give a time to come, as in 30d", a.Expires.Format(time.RFC3339))
		}
		if err != nil {
			out[i] = console.Edit{List: at.name, Number: a.Number, Change: console.Refused, Why: err.Error()}
			wrong = append(wrong, fmt.Sprintf("%.64q: %s", a.Number, err))
			continue
		}
		good, patterns = append(good, i), append(patterns, p)
		entries = append(entries, storage.Entry{Pattern: at.text(p.String()), Reason: a.Reason, Origin: origin, Source: cmp.Or(a.Source, by.From), Who: by.Who, Added: now, Expires: a.Expires})
	}
	if len(wrong) > 0 && !keepGood {
		return nil, console.Bad("nothing was changed:\n" + strings.Join(wrong, "\n"))
	}
	if err := errors.Join(d.ownRoomFor(&at, entries), d.keepReasons(at.table, entries)); err != nil {
		return nil, err
	}
	changes, id, err := d.db.Add(at.table, entries)
	d.pieces.edited(err)
	if err != nil {
		return nil, refused(err)
	}
	d.noteState(ctx, &at)
	warn := d.cautionsFor(r.Policy, &at)
	for i := range entries {
		edit := console.Edit{List: at.name, Number: patterns[i].String(), Change: editText(changes[i]), ID: id}
		edit.Warning, _ = warn.of(patterns[i])
		out[good[i]] = edit
	}
	if !d.inMemory() {
		return out, nil
	}
	records, err := d.recordsOf(at.table, keysOf(entries))
	if err != nil {
		return nil, err
	}
	d.followPatterns(&at, patterns, records)
	return out, nil
}

// keepReasons has entries that come without a reason keep the one that their source gave before: to add a number again is not to
// take that back. d.edit is held.
func (d *Desk) keepReasons(list string, entries []storage.Entry) error {
	if !slices.ContainsFunc(entries, func(e storage.Entry) bool { return e.Reason == "" }) {
		return nil
	}
	records, err := d.db.Lookup(list, keysOf(entries)...)
	if err != nil {
		return err
	}
	for i := range entries {
		for _, r := range records[i] {
			if entries[i].Reason == "" && r.Origin == entries[i].Origin {
				entries[i].Reason = r.Reason
			}
		}
	}
	return nil
}

func keysOf(entries []storage.Entry) []string {
	keys := make([]string, len(entries))
	for i := range entries {
		keys[i] = entries[i].Pattern
	}
	return keys
}

// editText is what became of a pattern, as people are told.
func editText(c storage.Change) string {
	if c == storage.Joined { // it was there already
		c = storage.Unchanged
	}
	return c.String()
}

// followPatterns makes a list in memory what it is on disk, as far as these patterns go, with what is said of each now. d.edit is held.
func (d *Desk) followPatterns(at *place, patterns []number.Pattern, records [][]storage.Entry) {
	changes := make([]lists.Change, len(patterns))
	for i, p := range patterns {
		if len(records[i]) == 0 {
			changes[i] = lists.Change{ListEntry: policy.ListEntry{Pattern: p}, Remove: true}
		} else {
			changes[i] = lists.Change{ListEntry: policy.ListEntry{Pattern: p}, Records: sourcesOf(records[i])}
		}
	}
	d.apply(d.force.Rules(), at, changes)
}

// recordsOf is what the sources say of patterns after an edit.
func (d *Desk) recordsOf(list string, keys []string) ([][]storage.Entry, error) {
	records, err := d.db.Lookup(list, keys...)
	if err != nil {
		d.pieces.doubt.Store(true)
		return nil, fmt.Errorf("the edit is on disk, but calls do not know of it until the lists are read again (ringfence policy reload): %w", err)
	}
	return records, nil
}

// RemoveEntries takes a person's record away from patterns, in any spelling, or with all what every source says of them. A pattern
// that cannot be read may still be the key of an entry from before the policy's country was changed; if it is not,
// nothing at all is removed.
func (d *Desk) RemoveEntries(ctx context.Context, list string, remove []string, all bool) ([]console.Edit, error) {
	if all {
		return d.removeEntries(ctx, d.named(list), remove, storage.TakeAll)
	}
	return d.removeEntries(ctx, d.named(list), remove, storage.TakePersons)
}

// removeEntries is RemoveEntries for what take takes away, of the list that find finds.
func (d *Desk) removeEntries(ctx context.Context, find func(*inforce.Rules) (place, error), remove []string, take storage.Take) ([]console.Edit, error) {
	d.edit.Lock()
	defer d.edit.Unlock()
	r := d.force.Rules()
	at, err := find(r)
	if err != nil {
		return nil, err
	}
	if err := d.isStill(ctx, &at); err != nil {
		return nil, err
	}
	patterns, keys := make([]number.Pattern, len(remove)), make([]string, len(remove))
	var wrong []string
	for i, text := range remove {
		p, err := r.Policy.Plan().Pattern(text)
		patterns[i], keys[i] = p, at.text(p.String())
		if err != nil {
			keys[i] = at.text(text)
			if d.db.HasEntry(at.table, keys[i]) {
				continue
			}
			wrong = append(wrong, fmt.Sprintf("%.64q: %s", text, err))
		}
	}
	if len(wrong) > 0 {
		return nil, console.Bad("nothing was changed:\n" + strings.Join(wrong, "\n"))
	}
	changes, id, err := d.db.Remove(at.table, keys, byOf(ctx), take)
	d.pieces.edited(err)
	if err != nil {
		return nil, refused(err)
	}
	d.noteState(ctx, &at)
	records, err := d.recordsOf(at.table, keys)
	if err != nil {
		return nil, err
	}
	if slices.Contains(changes, storage.Removed) && d.inMemory() { // else nothing has changed, and there may be no such list
		d.followPatterns(&at, patterns, records)
	}
	out := make([]console.Edit, len(keys))
	for i, key := range keys {
		out[i] = console.Edit{List: at.name, Number: at.pattern(key), Change: changes[i].String(), ID: id}
		for _, e := range records[i] {
			out[i].Still = append(out[i].Still, cmp.Or(e.Source, e.Origin.String()))
		}
	}
	return out, nil
}

// refused tells the asker's mistakes from the database's.
func refused(err error) error {
	if errors.Is(err, storage.ErrInvalid) {
		return console.Bad(err.Error())
	}
	return err
}

// Journal calls yield for the records asked for. The caller may be given in any spelling.
func (d *Desk) Journal(ctx context.Context, q console.Query, yield func(console.Record) error) error {
	asked, err := d.queryOf(q)
	if err != nil {
		return err
	}
	d.flush(ctx)
	found := false
	err = d.db.Journal(asked, func(r storage.Record) error {
		found = true
		if err := ctx.Err(); err != nil {
			return err
		}
		return yield(recordOf(&r))
	})
	if err != nil || found || q.ID == "" {
		return refused(err)
	}
	return d.countedOn(asked, func(r *storage.Record) error { return yield(recordOf(r)) })
}

// flush has the calls of until now be on disk. What cannot be written now is not shown; the status says why.
func (d *Desk) flush(ctx context.Context) {
	if d.o.Journal != nil {
		wait, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		d.o.Journal.Flush(wait)
	}
}

// countedOn yields the record that a call was counted on which a query asks for by its id.
func (d *Desk) countedOn(q storage.Query, yield func(*storage.Record) error) error {
	id := strings.ToUpper(q.ID)
	at := storage.TimeOf(id)
	q.ID, q.Limit, q.Cursor = "", 0, ""
	q.Since, q.Until = at.Add(-2*time.Minute), at.Add(time.Minute)
	return d.db.Journal(q, func(r storage.Record) error {
		if !slices.Contains(r.Also, id) {
			return nil
		}
		return yield(&r)
	})
}

// canonical has a query name its caller as records do.
func (d *Desk) canonical(q *console.Query) {
	if q.Caller == "" || strings.HasPrefix(q.Caller, console.PrivateMark) {
		return
	}
	n := d.force.Rules().Policy.Plan().Parse(q.Caller)
	if d.o.Private != nil {
		q.Caller = d.o.Private.Token(&n)
	} else if n.E164 != "" {
		q.Caller = n.E164
	}
}

// DeleteRecords removes from the journal what the query asks for, which must name a caller, in any spelling, or a callee.
func (d *Desk) DeleteRecords(ctx context.Context, q console.Query) (*console.Deleted, error) {
	if d.o.Journal != nil {
		if err := d.o.Journal.Flush(ctx); err != nil { // else it would come back
			return nil, err
		}
	}
	asked, err := d.queryOf(q)
	if err != nil {
		return nil, err
	}
	n, err := d.db.DeleteRecords(asked)
	if err != nil {
		return nil, refused(err)
	}
	by := console.ByOf(ctx)
	d.o.Log.Info("records were deleted from the journal", "records", n, "who", number.Inert(by.Who), "from", number.Inert(by.From))
	return &console.Deleted{Records: n}, nil
}
