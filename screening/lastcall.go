package screening

import (
	"slices"
	"strings"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/inforce"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
	"ringfence/traffic"
)

// screened is a call that was screened and given back.
type screened struct {
	id       string
	time     time.Time
	caller   number.Number
	withheld bool
	callee   string
	line     string // its key
	customer string
	trunk    string
	refused  bool     // by us
	gone     bool     // the caller hung up while we had the call
	counted  *counted // by detectors; nil once it is over, and of a call that they do not count
	stopped  bool     // it was kept from ringing, or would have been, and no challenge was passed: it teaches nothing
	passed   bool     // it passed a challenge
	end      *ending  // what the end of the call may show to be otherwise; nil once it is over
}

// remember keeps a screened call, whose legs have still to end. gone: its caller has hung up, and no leg was placed for
// it. Without a switch to learn from nobody would ask for it.
func (sc *Screener) remember(f *bridge.Facts, end ending, c *considered, passed, gone bool) {
	if !sc.o.Attached {
		return
	}
	caller := end.call.Caller
	caller.Raw = strings.Clone(caller.Raw) // not a part of a larger text
	sc.calls.Add(traffic.CallKey(f.UUID, f.Channel), screened{
		id: end.rec.ID, time: end.call.Time, caller: caller, withheld: end.call.Withheld, callee: strings.Clone(end.rec.Callee), line: strings.Clone(c.decision.LineKey), customer: strings.Clone(c.decision.Customer), trunk: strings.Clone(end.rec.Trunk),
		refused: end.refuses && end.failOpen == "" && !gone, gone: gone,
		counted: c.counted.keep(), stopped: c.stopped && !passed, passed: passed, end: &end,
	})
}

// rang notes a leg that rang for a screened call, or answered it. s is what was noted when it was screened, if it still is.
func (sc *Screener) rang(p *policy.Policy, e *attach.CallEnd, s screened) {
	if e.Ring == 0 && !e.Answered {
		return // busy, or not there
	}
	if s.id == "" {
		s = sc.screenedBefore(p, e)
	}
	extension, realm := e.DialledUser, e.DialledRealm // the account, where the phone's own address is something else
	if e.Channel != "" {
		realm = traffic.Endpoint
	} else {
		sc.seeRealm(realm)
	}
	if extension != "" {
		sc.rangAt(accountKey(p, extension), realm, s)
	}
	if extension == "" || e.Channel != "" { // the phone of an endpoint may also have the number
		sc.rangAt(extensionKey(p, e.Callee), "", s)
	}
	if !isPlain(extension) {
		sc.rangAt(extensionKey(p, extension), "", s)
	}
}

func (sc *Screener) rangAt(key, realm string, s screened) {
	if key != "" {
		sc.memory.LastCalls.Put(key, traffic.LastCall{
			Caller: s.caller, Callee: s.callee, Trunk: s.trunk, Realm: traffic.RealmName(realm), Withheld: s.withheld, ID: s.id, Time: s.time, Line: s.line, Customer: s.customer,
		}, sc.o.Now())
	}
}

// extensionKey is under what the last call of an extension is kept, whatever its realm.
func extensionKey(p *policy.Policy, extension string) string {
	n := p.Call(policy.Facts{Callee: strings.TrimSpace(extension)}).Callee
	return traffic.Cut(traffic.NumberKey(&n))
}

// accountKey is extensionKey of an account or endpoint, whose name may be more than the number in it.
func accountKey(p *policy.Policy, account string) string {
	if isPlain(account) {
		return extensionKey(p, account)
	}
	return strings.ToLower(traffic.Cut(account))
}

// stopped notes a call that did not get through, for who finds that it should have: under the number that was called, and its line.
func (sc *Screener) stopped(p *policy.Policy, rec *storage.Record, by *considered) {
	c, called := &by.call, strings.Clone(by.decision.LineKey)
	caller := c.Caller
	caller.Raw = strings.Clone(caller.Raw)
	last := traffic.LastCall{
		Caller: caller, Callee: strings.Clone(rec.Callee), Trunk: strings.Clone(rec.Trunk), Withheld: c.Withheld, ID: rec.ID, Time: c.Time, Line: called, Customer: strings.Clone(by.decision.Customer),
	}
	sc.memory.Stopped.Put(strings.Clone(traffic.OwnKey(called, &c.Callee)), last, sc.o.Now())
	lines := p.AppendLineKeys(nil, &c.Callee)
	if !slices.Contains(lines, called) {
		return // the number has come to another line meanwhile, or is on none
	}
	for _, line := range lines {
		last.Line, last.Customer = strings.Clone(line), p.CustomerOf(line)
		sc.memory.Stopped.Put(traffic.StoppedLineKey(line), last, sc.o.Now())
	}
}

// LastCallAt is the last screened call that rang at an extension or was answered there, at most 24 hours ago. It is
// known once the call is over there, as long as this program runs and the switch is attached. Where there are several
// tenants it is that of the realm's extension alone.
func (sc *Screener) LastCallAt(extension, realm string) (traffic.LastCall, bool) {
	return sc.lastCall(sc.force.Rules(), extension, realm, false)
}

// lastCall is LastCallAt; assigned reports whether the extension is the administrator's word. A whole number that was rung as such is then whose it is, whatever the
// realm: no two have it.
func (sc *Screener) lastCall(r *inforce.Rules, extension, realm string, assigned bool) (last traffic.LastCall, ok bool) {
	if extension == "" || len(extension) > traffic.MaxKey {
		return last, false
	}
	n := r.Policy.Call(policy.Facts{Callee: strings.TrimSpace(extension)}).Callee
	strict := sc.several(r)
	will := func(other string) bool {
		switch {
		case assigned && n.E164 != "" && other == "":
			return true
		case strict && n.E164 == "" && (realm == "" || other == "" || (realm == traffic.Endpoint) != (other == traffic.Endpoint)):
			return false // the same name says nothing, where it is not known to be the same tenant's
		}
		return sc.memory.Realms.Same(realm, other)
	}
	last, ok = sc.memory.LastCalls.Get(accountKey(r.Policy, extension), will, sc.o.Now())
	if !ok && !strict && !isPlain(extension) { // another phone of the extension
		last, ok = sc.memory.LastCalls.Get(extensionKey(r.Policy, extension), will, sc.o.Now())
	}
	return last, ok && isStillOf(r.Policy, &last)
}

// isStillOf reports whether the number that was called is on the line that it was on then, as far as the database has or had it: else it is another
// customer's to say something of that call.
func isStillOf(p *policy.Policy, last *traffic.LastCall) bool {
	callee := p.Call(policy.Facts{Callee: last.Callee}).Callee
	line, _ := p.LineCalled(&callee)
	return line.Key == last.Line || !line.Kept && policy.LineName(last.Line) == last.Line
}
