package desk

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ringfence/console"
	"ringfence/number"
	"ringfence/storage"
	"ringfence/traffic"
)

// A person in the house lets a caller through who was stopped: to the line of his phone, by its own list, for a month.

const (
	releaseFor    = 30 * 24 * time.Hour
	releaseSource = "star code"
)

// CanRelease says why the caller of a call that was stopped cannot be let through to a line, nil if he can.
func (d *Desk) CanRelease(line string, c traffic.LastCall) error {
	p := d.force.Rules().Policy
	list := line + ":" + trustedList
	switch {
	case c.Caller.E164 == "":
		return console.Conflict("the caller has no number that a list could have")
	case !slices.Contains(p.Lists(), "line:"+trustedList) && !slices.Contains(p.Lists(), list):
		return console.Conflict(fmt.Sprintf("no rule of the policy asks for the list line:%s: write one with list = [\"line:%s\"] and action = \"allow\", above those that refuse", trustedList, trustedList))
	}
	if _, err := entryOf(p.Plan(), c.Caller.E164); err != nil {
		return console.Conflict("the caller's number is none that a list could have")
	}
	return nil
}

// Release lets the caller of a call that was stopped through to a line. An entry that lasts longer stays as it is. When it returns without an error
// that is on disk, and the next call sees it.
func (d *Desk) Release(line, extension string, c traffic.LastCall) error {
	if err := d.CanRelease(line, c); err != nil {
		return err
	}
	list, until := line+":"+trustedList, d.o.Now().Add(releaseFor)
	records, err := d.db.Lookup(list, c.Caller.E164)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(records[0], func(e storage.Entry) bool {
		return e.Origin == storage.FromPerson && (e.Expires.IsZero() || e.Expires.After(until))
	}) {
		return nil
	}
	extension = number.Inert(extension)
	ctx := console.WithBy(context.Background(), console.By{Who: extension, From: releaseSource})
	_, err = d.AddEntries(ctx, list, []console.NewEntry{{
		Number: c.Caller.E164, Reason: "let through by " + extension + " after a call was stopped", Source: releaseSource, Expires: until,
	}}, false)
	return err
}
