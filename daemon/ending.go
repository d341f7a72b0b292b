package daemon

import (
	"context"
	"sync"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// What a record says is what we know when the switch has the call back. The switch's own word at the call's end may show
// that it was otherwise: a command that came too late to be waited for was carried out, or one that was heard was not; a
// caller hung up before we knew him; or a call never came to us at all. Then the record is put right, or made.

// ending is what is known of a screened call until it ends.
type ending struct {
	call     *policy.Call
	id       identity
	rec      storage.Record // as decided, carried out
	refuses  bool           // the verdict ends the call
	failOpen string         // why it was let through all the same, as far as we know
}

// settle puts the record of a call right by its end. changed is false where it stands.
func (d *Desk) settle(s *screened, e *attach.CallEnd) (changed bool) {
	end := s.end
	if end == nil {
		return false
	}
	rec, call, id := end.rec, end.call, end.id
	rang := e.Bridged || e.Answered || e.Ring > 0
	switch {
	case rec.Caller.Raw == "" && rec.Callee == "": // gone before the switch had said who calls
		f := factsOf(e)
		c := d.consider(f, e.Started)
		rec, call, id = d.recordOf(f, rec.ID, c), &c.call, c.id
		rec.Reason += "; the caller hung up first"
	case end.refuses && (end.failOpen != "" || s.gone) && !rang && e.By == attach.ByRingfence:
		s.refused = true // what we said was heard after all
	case end.failOpen == bridge.FailUnheard && !rang && e.By == attach.ByCaller:
		rec.Reason += "; the caller hung up first"
	case s.refused && rang:
		s.refused = false
		rec.Action, rec.Rule, rec.List = policy.Allow.String(), policy.RuleFailOpen, ""
		rec.Reason = number.InertUpTo("let through: the switch did not carry out what it was told ("+rec.Reason+")", maxReason)
	default:
		return false
	}
	rec.Outcome = outcomeOf(e)
	d.write(&rec, call, &id, true)
	return true
}

// factsOf are the facts of a call as its end tells them.
func factsOf(e *attach.CallEnd) *bridge.Facts {
	return &bridge.Facts{
		UUID: e.UUID, Channel: e.Channel, Endpoint: e.Endpoint, Number: e.Caller, Name: e.CallerName, Withheld: e.Withheld,
		FromUser: e.FromUser, FromName: e.CallerName, IDSource: e.IDSource, Asserted: e.Asserted, Preferred: e.Preferred, RemoteID: e.RemoteID,
		NetworkIP: e.NetworkIP, Gateway: e.Gateway, Profile: e.Profile, Trunk: e.Trunk, Context: e.Context,
		Callee: e.Callee, ReqUser: e.ReqUser, Line: e.Line, AuthUser: e.AuthUser, Authorized: e.AuthUser != "",
	}
}

// consider decides on a call that is over. at is when it began, zero if that is not known.
func (d *Desk) consider(f *bridge.Facts, at time.Time) *considered {
	r := d.rules.Load()
	if at.IsZero() {
		at = d.now()
	}
	c := &considered{}
	c.call, c.id = d.callOf(r.policy, f, at)
	c.decision = r.policy.Decide(&c.call, r.lists)
	return c
}

// Calls that did not come to us wait a little for a record: the switch may tell of the end before we have written one.
const (
	unseenWait = 2 * time.Second
	maxUnseen  = 10_000
)

// unseen are calls that ended without a record.
type unseen struct {
	mu    sync.Mutex
	ends  []unseenEnd
	over  uint64 // calls that had no room: they have no record
	calls uint64 // that were let through without having come to us
}

type unseenEnd struct {
	attach.CallEnd
	at time.Time // when it was told
}

// missed notes the end of a call from outside that was not screened, if it should have been: the dialplan's screening
// took it, or its caller hung up before the dialplan came so far, in a context whose calls are screened.
func (d *Desk) missed(p *policy.Policy, e *attach.CallEnd) {
	if e.AuthUser != "" || isPhone(p, e.Endpoint) || trunkOfEnd(p, e).Internal {
		return
	}
	if e.Action != "" {
		d.contexts.see(e.Context)
	} else if !e.Guard && !cutShort(e) {
		return
	}
	u := &d.unseen
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.ends) >= maxUnseen {
		u.over++
		return
	}
	u.ends = append(u.ends, unseenEnd{*e, d.now()})
}

// cutShort: the caller hung up before anything was done with the call.
func cutShort(e *attach.CallEnd) bool {
	return !e.Answered && !e.Bridged && e.Ring == 0 && e.By == attach.ByCaller
}

// count is how many calls were let through without having come to us, and how many have no record for want of room.
func (u *unseen) count() (calls, over uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.calls, u.over
}

// due takes those that have waited long enough.
func (u *unseen) due(now time.Time) []unseenEnd {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for n < len(u.ends) && now.Sub(u.ends[n].at) >= unseenWait {
		n++
	}
	due := append([]unseenEnd(nil), u.ends[:n]...)
	u.ends = append(u.ends[:0], u.ends[n:]...)
	return due
}

// recordMissed writes records of calls that did not come to us, until ctx ends.
func (d *Desk) recordMissed(ctx context.Context) {
	tick := time.NewTicker(unseenWait / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, e := range d.unseen.due(d.now()) {
			d.recordUnseen(&e.CallEnd)
		}
	}
}

func (d *Desk) recordUnseen(e *attach.CallEnd) {
	if s, ok := d.recent.find(callKey(e.UUID, e.Channel)); ok { // it was recorded meanwhile
		d.ended(e, s)
		return
	}
	f := factsOf(e)
	c := d.consider(f, e.Started)
	if c.call.Callee.Kinds.Has(number.Emergency) || e.Action == "" && !e.Guard && !d.contexts.has(e.Context) {
		return // those never pass through here
	}
	rec := d.recordOf(f, storage.NewID(c.call.Time), c)
	if e.Answered || e.Bridged || e.Ring > 0 {
		d.unseen.mu.Lock()
		d.unseen.calls++
		d.unseen.mu.Unlock()
		rec.Action, rec.Rule, rec.List = policy.Allow.String(), policy.RuleFailOpen, ""
		rec.Reason = "let through: the call did not come to this program, or the switch's guard took it first"
	} else {
		rec.Reason += "; the caller hung up before the call was screened"
	}
	rec.Outcome = outcomeOf(e)
	d.write(&rec, &c.call, &c.id, false)
}

// contexts are those whose calls are screened, as far as there were any; FreeSWITCH's calls from outside come into public.
type contexts struct {
	mu    sync.Mutex
	names map[string]bool
}

// maxContexts bounds them; the administrator makes them, a few.
const maxContexts = 256

func (c *contexts) see(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name == "" || c.names[name] || len(c.names) >= maxContexts {
		return
	}
	if c.names == nil {
		c.names = make(map[string]bool)
	}
	c.names[name] = true
}

func (c *contexts) has(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return name == "public" || c.names[name]
}

// repeats knows who was refused within the last seconds: the next refusal can be brief.
type repeats struct {
	mu   sync.Mutex
	last map[pair]time.Time // emptied when it is full
}

const (
	repeatSpan = 10 * time.Second
	maxRepeats = 4096
)

// again notes a refusal and reports whether the same caller was refused just before.
func (r *repeats) again(address, caller string, now time.Time) bool {
	key := pair{address, cutKey(caller)}
	r.mu.Lock()
	defer r.mu.Unlock()
	before, ok := r.last[key]
	if !ok && len(r.last) >= maxRepeats || r.last == nil {
		r.last = make(map[pair]time.Time)
	}
	r.last[key] = now
	return ok && now.Sub(before) < repeatSpan
}
