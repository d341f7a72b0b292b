package desk

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"ringfence/console"
	"ringfence/policy"
	"ringfence/storage"
	"ringfence/traffic"
)

// Correct says that a call was decided wrongly: one that rang is reported, the caller of one that was stopped is let through to its line.
func (d *Desk) Correct(ctx context.Context, id string) (*console.Corrected, error) {
	r, err := d.callNamed(ctx, id)
	if err != nil {
		return nil, err
	}
	switch {
	case r.Test:
		return nil, console.Conflict("this is the doctor's test call: nobody called")
	case strings.HasPrefix(r.Caller.E164, storage.PrivateMark) || strings.HasPrefix(r.Caller.Raw, storage.PrivateMark):
		return nil, console.Conflict("the caller's number is hidden in this journal ([journal] private), so neither a mark nor a list can have it: who was called can dial the star code, or give you the number")
	case r.Rang():
		edit, err := d.Report(ctx, console.NewReport{Caller: cmp.Or(r.Caller.E164, r.Caller.Raw), Extension: r.Callee, Callee: r.Callee, Call: r.ID})
		if err != nil {
			return nil, err
		}
		return &console.Corrected{Report: edit}, nil
	case !r.TurnedAway():
		return nil, console.Conflict("this call neither rang nor was it stopped by us: its caller was gone before, or the switch did not reach the phone")
	}
	return d.letThrough(ctx, r)
}

// letThrough lets the caller of a call that was stopped through to the line that was called.
func (d *Desk) letThrough(ctx context.Context, r *storage.Record) (*console.Corrected, error) {
	p := d.force.Rules().Policy
	if err := d.needLists(); err != nil {
		return nil, err
	}
	callee := p.Call(policy.Facts{Callee: r.Callee}).Callee
	line, ok := p.LineCalled(&callee)
	switch {
	case !ok:
		return nil, console.Conflict(fmt.Sprintf("the number called is on no line, so there is no line to let the caller through to: ringfence list add %s %s does so for all", trustedList, r.Caller.E164))
	case !isOf(r, p, &callee):
		return nil, console.Conflict("the number called has another customer by now, who did not miss this call")
	}
	n := p.Plan().Parse(cmp.Or(r.Caller.E164, r.Caller.Raw))
	by := byOf(ctx)
	return d.release(ctx, line.Key, "let through after a call was stopped", by.From, traffic.LastCall{Caller: n, Callee: r.Callee, Time: r.Time, ID: r.ID}, releaseWait)
}
