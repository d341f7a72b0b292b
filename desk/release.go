package desk

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ringfence/console"
	"ringfence/inforce"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
	"ringfence/traffic"
)

// A person in the house lets a caller through who was stopped: to the line of their phone, by its own list, for a month.

const (
	releaseFor    = 30 * 24 * time.Hour
	releaseSource = "star code"
	releaseWait   = 10 * time.Second // of a person at the phone, for an import or a reload that is under way
)

// CanRelease says why the caller of a call that was stopped cannot be let through to a line, by its key; nil if they can.
func (d *Desk) CanRelease(line string, c traffic.LastCall) error {
	r := d.force.Rules()
	_, err := d.releaseList(line)(r)
	switch {
	case c.Caller.E164 == "":
		return console.Conflict("the caller has no number that a list could have")
	case err != nil:
		return err
	}
	if _, err := entryOf(r.Policy.Plan(), c.Caller.E164); err != nil {
		return console.Conflict("the caller's number is none that a list could have")
	}
	return nil
}

// releaseList finds the list by which callers get through to a line, by its key, if a rule asks it.
func (d *Desk) releaseList(line string) func(*inforce.Rules) (place, error) {
	return func(r *inforce.Rules) (at place, err error) {
		p := r.Policy
		of, ok := p.LineNamed(line)
		list := policy.LineName(line) + ":" + trustedList
		switch asked := slices.Contains(p.OwnLists(), trustedList); {
		case !ok:
			return at, goneLine(policy.LineName(line))
		case !asked && (of.Kept || !slices.Contains(p.Lists(), list)):
			return at, console.Conflict(fmt.Sprintf("no rule of the policy asks for the list line:%s: write one with list = [\"line:%s\"] and action = \"allow\", above those that refuse", trustedList, trustedList))
		case of.Kept:
			return d.ownOf(of.Key, trustedList)(r)
		}
		return place{name: list, table: list}, nil
	}
}

// Release lets the caller of a call that was stopped through to a line, by its key. An entry that lasts longer stays as it is. When it returns
// without an error that is on disk, and the next call sees it. It waits for other edits for releaseWait.
func (d *Desk) Release(line, extension string, c traffic.LastCall) error {
	extension = number.Inert(extension)
	ctx := console.WithBy(context.Background(), console.By{Who: extension, From: releaseSource})
	_, err := d.release(ctx, line, "let through by "+extension+" after a call was stopped", releaseSource, c, releaseWait)
	return err
}

// release is Release by anybody, and says what came of it.
func (d *Desk) release(ctx context.Context, line, reason, source string, c traffic.LastCall, wait time.Duration) (*console.Corrected, error) {
	if err := d.CanRelease(line, c); err != nil {
		return nil, err
	}
	list, until := d.releaseList(line), d.o.Now().Add(releaseFor)
	at, err := list(d.force.Rules())
	if err != nil {
		return nil, err
	}
	done := &console.Corrected{List: at.name, Number: c.Caller.E164, Until: until.UTC()}
	records, err := d.db.Lookup(at.table, at.text(c.Caller.E164))
	if err != nil {
		return nil, err
	}
	for _, e := range records[0] {
		if e.Origin == storage.FromPerson && (e.Expires.IsZero() || e.Expires.After(until)) {
			done.Until = e.Expires
			return done, nil
		}
	}
	if !d.edit.LockWithin(wait) {
		return nil, console.Conflict(fmt.Sprintf("another edit or import is still under way after %v: the caller can be let through when it is done", wait))
	}
	defer d.edit.Unlock()
	edits, err := d.addInTurn(ctx, list, storage.FromPerson, []console.NewEntry{{Number: c.Caller.E164, Reason: reason, Source: source, Expires: until}}, false)
	if err != nil {
		return nil, err
	}
	done.Change = edits[0].ID
	return done, nil
}
