package desk

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/detect"
	"ringfence/inforce"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/pseudonym"
	"ringfence/storage"
	"ringfence/traffic"
)

// A mark is taken for a call that rang where it is made, of a caller who has a number and may be listed, once a customer and caller.

const (
	// rangWithin is how long ago a call may have rang that is marked. The star code knows the last one alone.
	rangWithin = 30 * 24 * time.Hour
	// lookWait and lookRecords bound the look into the journal for it.
	lookWait    = 10 * time.Second
	lookRecords = 5_000_000
)

// Report takes a mark of a caller in any spelling, for a call of theirs that rang lately. When it returns the mark is on disk.
func (d *Desk) Report(ctx context.Context, q console.NewReport) (*console.ReportEdit, error) {
	if q.Extension == "" {
		q.Extension = q.Callee
	}
	switch {
	case q.Caller == "":
		return nil, console.Bad("caller is missing: write the number that called")
	case q.Extension == "":
		return nil, console.Bad("extension is missing: write who marks the caller, or the number that was called (callee)")
	}
	if err := d.needLists(); err != nil {
		return nil, err
	}
	r := d.force.Rules()
	n, err := markedNumber(r.Policy, q.Caller)
	if err != nil {
		return nil, err
	}
	if why := untouchable(r, &n, d.o.Now()); why != "" {
		return nil, console.Conflict(fmt.Sprintf("%s cannot be marked: %s", n.E164, why))
	}
	rec, err := d.callThatRang(ctx, r.Policy, &n, q)
	if err != nil {
		return nil, err
	}
	callee := r.Policy.Call(policy.Facts{Callee: rec.Callee}).Callee
	line, _ := r.Policy.LineCalled(&callee)
	return d.mark(ctx, q.Extension, traffic.LastCall{
		Caller: n, Callee: rec.Callee, Trunk: rec.Trunk, Withheld: rec.Caller.Withheld, ID: rec.ID, Time: rec.Time, Line: line.Key, Customer: line.Customer,
	})
}

// markedNumber reads whom somebody marks: one number, whole.
func markedNumber(p *policy.Policy, text string) (number.Number, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, console.PrivateMark) {
		return number.Number{}, console.Bad("a token of the private journal has no number in it: write the number that called")
	}
	if q, err := p.Plan().Pattern(text); strings.ContainsAny(text, "*?") || err == nil && !q.IsExact() {
		return number.Number{}, console.Bad(fmt.Sprintf("%.64q are several numbers, and a mark is of one caller: write the number that called, or put the range on a list (ringfence list add %s %.64s)",
			text, reportList, text))
	}
	n := p.Call(policy.Facts{Caller: text}).Caller
	switch inside := p.Plan().ParseInternal(text); {
	case n.E164 != "":
		return n, nil
	case inside.Kind == number.Internal:
		return n, console.Conflict(fmt.Sprintf("%s is an internal number, which cannot be marked", inside.Raw))
	case n.Kind == number.Anonymous:
		return n, console.Conflict("the caller withheld the number, so there is none to mark")
	}
	return n, console.Conflict(fmt.Sprintf("%.64q is no whole number, and a prefix or a name cannot be marked: write the number that called", text))
}

// CanReport says why the caller of a call cannot be marked, nil if they can.
func (d *Desk) CanReport(c traffic.LastCall) error {
	r := d.force.Rules()
	report := storage.Report{Caller: storage.Caller{Raw: c.Caller.Raw, E164: c.Caller.E164, Kind: c.Caller.Kind.String()}}
	if why := unlistable(r, &report, &c.Caller, d.o.Now()); why != "" {
		return console.Conflict(why)
	}
	return nil
}

// AddReport takes a mark of a call that LastCallAt gave. When it returns without an error the mark is on disk; an
// error is worth telling an operator, not the person who reports.
func (d *Desk) AddReport(extension string, c traffic.LastCall) error {
	if err := d.CanReport(c); err != nil {
		return err
	}
	_, err := d.mark(context.Background(), extension, c)
	return err
}

// callThatRang is a call of a caller that rang where they are marked.
func (d *Desk) callThatRang(ctx context.Context, p *policy.Policy, n *number.Number, q console.NewReport) (*storage.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	if err := d.settle(ctx); err != nil && ctx.Err() == nil {
		return nil, err
	}
	at := q.Callee
	if at == "" {
		at = q.Extension
		if c, ok := d.lastCallOf(p, n.E164, q.Extension); ok && q.Call == "" {
			q.Call = c.ID
		}
	}
	where := p.Call(policy.Facts{Callee: at}).Callee
	line, onLine := p.LineCalled(&where)
	id := strings.ToUpper(q.Call)
	names := d.tokensOf(n)
	query := storage.CallersQuery{Since: d.o.Now().Add(-rangWithin), Names: names, Most: lookRecords}
	var found *storage.Record
	stopped := false
	_, cut, err := d.db.JournalOf(ctx, query, func(r storage.Record) error {
		callee := p.Call(policy.Facts{Callee: r.Callee}).Callee
		here := traffic.NumberKey(&callee) == traffic.NumberKey(&where) || onLine && p.LineOf(&callee) == line.Name
		if id != "" {
			here = (r.ID == id || slices.Contains(r.Also, id)) && (here || q.Callee == "")
		}
		switch {
		case !here || r.Test || !isOf(&r, p, &callee):
			return nil
		case !r.Rang():
			stopped = true
			return nil
		}
		found = &r
		return errEnough
	})
	switch {
	case found != nil:
		return found, nil
	case err != nil && err != errEnough:
		return nil, err
	case cut:
		return nil, console.Conflict("nothing was marked: the journal is too large to be looked through in time for a call of " + n.E164 + " that rang; try again")
	case stopped && id != "":
		return nil, console.Conflict(fmt.Sprintf("nothing was marked: the call %.40s of %s did not ring", id, n.E164))
	case id != "":
		return nil, console.Conflict(fmt.Sprintf("nothing was marked: the journal has no call %.40s of %s in the last 30 days%s", id, n.E164, atText(q.Callee)))
	case q.Callee == "":
		return nil, console.Conflict(fmt.Sprintf("nothing was marked: no call of %s rang at %s in the last 30 days, as far as the journal says. Where the extension is not the number that was called, name that (--callee) or the call (--call)",
			n.E164, number.Inert(q.Extension)))
	}
	return nil, console.Conflict(fmt.Sprintf("nothing was marked: no call of %s rang%s or its line in the last 30 days, as far as the journal says", n.E164, atText(q.Callee)))
}

func atText(callee string) string {
	if callee == "" {
		return ""
	}
	return " at " + number.InertUpTo(callee, 64)
}

// isOf reports whether a call of the journal was to the customer whose number the called one is now: one that the number had before is for nobody to
// mark, nor to see. Of lines of the policy the journal does not say whose they were, and they may have been called something else.
func isOf(r *storage.Record, p *policy.Policy, callee *number.Number) bool {
	line, _ := p.LineCalled(callee)
	switch {
	case line.Kept:
		return r.Owner() == line.Customer
	case r.Customer != "":
		return r.Customer == line.Customer
	}
	return true
}

// errEnough ends the reading of a journal.
var errEnough = fmt.Errorf("enough")

// lastCallOf is the last call of an extension, if it was of a number.
func (d *Desk) lastCallOf(p *policy.Policy, e164, extension string) (last traffic.LastCall, ok bool) {
	n := p.Call(policy.Facts{Callee: strings.TrimSpace(extension)}).Callee
	key := traffic.Cut(traffic.NumberKey(&n))
	realms := make(map[string]bool)
	d.o.LastCalls(e164, func(at string, c traffic.LastCall) {
		if at != key {
			return
		}
		if !traffic.IsLoose(c.Realm) {
			realms[c.Realm] = true
		}
		if !ok || c.Time.After(last.Time) {
			last, ok = c, true
		}
	})
	return last, ok && len(realms) <= 1 // of two tenants' phones of one name it is not said which is meant
}

// tokensOf are the ways in which the journal has a number: itself, and its token while callers are hidden, and if they were before.
func (d *Desk) tokensOf(n *number.Number) []string {
	names := []string{n.E164}
	key := d.o.Private
	if key == nil {
		key, _ = pseudonym.Open(d.conf.Data, true)
	}
	if key != nil {
		names = append(names, key.Token(n))
	}
	return names
}

// mark takes a mark of a call that rang.
func (d *Desk) mark(ctx context.Context, extension string, c traffic.LastCall) (*console.ReportEdit, error) {
	rules := d.force.Rules()
	now, p := d.o.Now(), rules.Policy
	customer := cmp.Or(c.Customer, p.CustomerOf(c.Line), storage.NoLine)
	report := storage.Report{
		Time: now, Extension: number.Inert(extension), Customer: customer, Line: policy.LineName(c.Line), Call: number.Inert(c.ID),
		Caller: storage.Caller{
			Raw: number.Inert(c.Caller.Raw), E164: c.Caller.E164, Kind: c.Caller.Kind.String(), Withheld: c.Withheld,
		},
	}
	if d.o.Private != nil {
		d.o.Private.HideReport(&report, p.Plan())
	}
	r, added, err := d.db.AddReport(report)
	if err != nil {
		return nil, reportError(err)
	}
	d.reportChanged(&r)
	if err := d.endTrust(p, &c, customer); err != nil {
		return nil, fmt.Errorf("the mark is taken, but the caller may still count as an acquaintance, or for a challenge that he passed: %w", err)
	}
	edit := &console.ReportEdit{Report: reportOf(&r), Change: console.Repeated}
	if added {
		edit.Change = console.Reported
	}
	countMark(rules, &c, customer, now) // a report may wait for weeks, and who repeats it has been called again
	d.considerMark(r.ID)
	return edit, nil
}

// endTrust makes a caller a stranger to the lines of who marked them, and has them be asked again there; everywhere, if they are on the list of
// nuisances: else one customer could have them be asked by all others.
func (d *Desk) endTrust(p *policy.Policy, c *traffic.LastCall, customer string) error {
	callee := p.Call(policy.Facts{Callee: c.Callee}).Callee
	called := []string{traffic.PassKey(p, &callee)}
	if c.Line != "" {
		called[0] = c.Line
		for _, line := range p.AppendLineKeys(nil, &callee) {
			if p.CustomerOf(line) == customer && line != c.Line {
				called = append(called, line)
			}
		}
	}
	own := func(line string) bool {
		if slices.Contains(called, line) {
			return true
		}
		whose, ok := p.CustomerOfKey(line)
		return ok && whose == customer && c.Line != ""
	}
	ends := own
	if _, listed := d.force.Rules().Lists.Lookup(reportList, &c.Caller, d.o.Now()); listed {
		ends = nil
	}
	if err := d.o.EndPasses(c.Caller.E164, ends); err != nil {
		return err
	}
	if c.Line == "" {
		return nil
	}
	lines := called // those of the call in any case: memory may have had no room
	for _, line := range d.o.Known.Lines(c.Caller.E164) {
		if own(line) && !slices.Contains(called, line) {
			lines = append(lines, line)
		}
	}
	var keys []string
	for _, line := range lines {
		d.o.Known.Part(c.Caller.E164, line) // from now on nothing of before comes to the disk
		for _, name := range slices.Compact([]string{c.Caller.E164, d.markName(c.Caller.E164)}) {
			keys = append(keys, line+"\x00"+name)
		}
	}
	for batch := range slices.Chunk(keys, storage.MaxEdit) {
		if err := d.db.PutStamps(storage.Known, nil, batch); err != nil {
			return err
		}
	}
	return nil
}

// countMark tells the detectors that count marks.
func countMark(r *inforce.Rules, c *traffic.LastCall, customer string, now time.Time) {
	if r.Detectors == nil {
		return
	}
	call := r.Policy.Call(policy.Facts{Caller: c.Caller.E164, Callee: c.Callee, Trunk: c.Trunk, Withheld: c.Withheld, Time: now})
	x := detect.SubjectOf(r.Policy, &call, r.Lists)
	r.Detectors.Reported(&x, customer)
}
