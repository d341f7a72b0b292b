package screening

import (
	"cmp"
	"net/netip"
	"time"

	"ringfence/bridge"
	"ringfence/detect"
	"ringfence/inforce"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
	"ringfence/traffic"
)

// considered is what Record needs of Screen.
type considered struct {
	call     policy.Call
	rules    *inforce.Rules // by which it was decided; nil: it was not
	id       identity
	decision policy.Decision
	counted  counted
	stopped  bool // it was kept from ringing, or would have been
	paused   bool
	place    *traffic.Place // the place that its announcement has
}

// Screen decides on a call that a switch handed over. It only computes: policy and lists are in memory.
func (sc *Screener) Screen(f *bridge.Facts) bridge.Verdict {
	began := time.Now()
	r, now := sc.force.Rules(), sc.o.Now()
	sc.memory.Contexts.See(f.Context)
	c := &considered{paused: sc.force.Paused(now) != nil}
	c.call, c.id = sc.callOf(r, f, now)
	if !f.Test {
		sc.memory.Called(r.Policy, &c.call)
	}
	sc.decide(r, c, f, detect.Way{Look: f.Test, Paused: c.paused, Grace: func(call *policy.Call) bool {
		line, _ := r.Policy.LineCalled(&call.Callee)
		return sc.memory.Challenges.TakeGrace(traffic.OwnKey(line.Key, &call.Callee), sc.memory.Name(call.Caller.E164), now)
	}})
	if sc.o.Measure != nil && !f.Test {
		sc.o.Measure.Decided(time.Since(began))
	}
	v := bridge.Verdict{ID: storage.NewID(now), Would: c.decision.Would.String(), Note: c}
	if c.paused {
		v.Action, v.Rule, v.Reason = policy.Allow.String(), policy.RulePaused, "screening is paused"
		return v
	}
	if c.decision.Unread() != "" {
		sc.unread.Add(1)
	}
	v.Action, v.Rule, v.Reason = c.decision.Action.String(), number.Inert(c.decision.Rule), number.InertUpTo(c.decision.Reason(), maxReason)
	sc.carryOut(&v, f, c, r)
	if !c.decision.HandsOff {
		showIdentity(&v, f, c)
	}
	sc.hold(&v, f, c, r.Policy)
	if v.Refuse != 0 && v.Play.Silent() && v.Challenge == nil {
		v.Brief = sc.memory.Refused.Again(f.NetworkIP, c.id.number, now)
	}
	return v
}

// maxReason is how many characters of a reason become ringfence_reason. The journal has it whole.
const maxReason = 200

// callOf reads a call's facts as the policy does everywhere.
func (sc *Screener) callOf(r *inforce.Rules, f *bridge.Facts, now time.Time) (policy.Call, identity) {
	p := r.Policy
	trunk := p.Trunk(trunkFactsOf(f))
	id := identify(f, trunk)
	inside := f.Authorized && f.AuthUser != ""
	another := (inside || trunk.Internal) && sc.callsAnother(r, f)
	if another {
		if n := p.Plan().Parse(f.Outbound); n.E164 != "" {
			id.number, id.from = f.Outbound, id.number
		}
	}
	by, diverted := forwarded(f, p.Plan())
	if id.diverted = by; diverted && by == "" {
		id.diverted = "unknown"
	}
	c := p.Call(policy.Facts{
		Caller: bare(id.number), Name: id.name, Callee: calleeOf(f), Trunk: trunk.Name, Withheld: id.withheld,
		Inside: inside, Another: another, Attestation: attestationOf(id.verstat), Time: now,
		Other: bare(id.other), Diverted: diverted,
	})
	if n := p.Plan().Parse(bare(id.from)); n.E164 == c.Caller.E164 || id.from == "" {
		id.from = "" // the same number, however it is written
	}
	sc.memory.Recall(p, &c)
	return c, id
}

// trunkFactsOf is where a call came in, as the switch knows it.
func trunkFactsOf(f *bridge.Facts) policy.TrunkFacts {
	address, _ := netip.ParseAddr(f.NetworkIP)
	return policy.TrunkFacts{Named: f.Trunk, Gateway: f.Gateway, Address: address, Profile: f.Profile, Endpoint: f.Endpoint}
}

// calleeOf is the called number: the one the dialplan names, else the destination, else what was dialled at first: a caller
// can dial what the switch does not give as a destination. FreeSWITCH gives neither where there is a line break behind the number,
// which an expression that ends in $ takes all the same; then it is what the dialplan will go on with.
func calleeOf(f *bridge.Facts) string { return cmp.Or(f.Line, f.Callee, f.ReqUser, f.PlainTo) }
