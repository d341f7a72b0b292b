package screening

import (
	"context"
	"time"

	"ringfence/attach"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
	"ringfence/traffic"
)

// unseenWait is how long calls that did not come to us wait for a record: the switch may tell of the end before we have
// written one.
const unseenWait = 2 * time.Second

// missed notes the end of a call from outside that was not screened, if it should have been: the dialplan's screening
// took it, or its caller hung up before the dialplan came so far, in a context whose calls are screened.
func (sc *Screener) missed(p *policy.Policy, e *attach.CallEnd) {
	if e.AuthUser != "" || sc.isPhone(p, e.Endpoint, e.Context) || trunkOfEnd(p, e).Internal {
		return
	}
	if e.Action != "" {
		sc.memory.Contexts.See(e.Context)
	} else if !e.Guard && !cutShort(e) {
		return
	}
	sc.unseen.Add(*e, sc.o.Now())
}

// cutShort: the caller hung up before anything was done with the call.
func cutShort(e *attach.CallEnd) bool {
	return !e.Answered && !e.Bridged && e.Ring == 0 && e.By == attach.ByCaller
}

// RecordMissed writes records of calls that did not come to us, until ctx ends.
func (sc *Screener) RecordMissed(ctx context.Context) {
	tick := time.NewTicker(unseenWait / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, e := range sc.unseen.Due(sc.o.Now(), unseenWait) {
			sc.recordUnseen(&e)
		}
	}
}

func (sc *Screener) recordUnseen(e *attach.CallEnd) {
	if s, ok := sc.calls.Find(traffic.CallKey(e.UUID, e.Channel)); ok { // it was recorded meanwhile
		sc.ended(e, s)
		return
	}
	f := factsOf(e)
	callee := sc.force.Rules().Policy.Call(policy.Facts{Callee: calleeOf(f)}).Callee
	if callee.Kinds.Has(number.Emergency) || e.Action == "" && !e.Guard && !sc.memory.Contexts.Has(e.Context) {
		return // those never pass through here, and count for nothing
	}
	c := sc.consider(f, e.Started)
	rec := sc.recordOf(f, storage.NewID(c.call.Time), c)
	if e.Answered || e.Bridged || e.Ring > 0 {
		sc.unasked.Add(1)
		sc.behaved(sc.force.Rules().Policy, &c.call.Caller, e)
		rec.Action, rec.Rule, rec.List = policy.Allow.String(), policy.RuleFailOpen, ""
		rec.Reason = "let through: the call did not come to this program, or the switch's guard took it first"
	} else {
		rec.Reason += "; the caller hung up before the call was screened"
	}
	rec.Outcome, rec.Trace = outcomeOf(e), traceOf(c)
	sc.over(&c.counted, e, false)
	sc.write(&rec, &c.call, &c.id, false)
}
