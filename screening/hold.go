package screening

import (
	"fmt"

	"ringfence/bridge"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/traffic"
)

// hold finds room for the call's announcement. Where there is none, the rule's overflow says what happens
// instead: the call passes, or it is refused without a word.
func (sc *Screener) hold(v *bridge.Verdict, f *bridge.Facts, c *considered, p *policy.Policy) {
	if v.Play.Silent() && v.Challenge == nil {
		return
	}
	trunk := trunkOf(p, &c.call)
	held := &bridge.Held{}
	place, own := sc.memory.Held.Take(placeOf(trunk, f, &c.call.Caller, held), trunk.MaxHeld)
	if place != nil {
		c.place, v.Held = place, held
		return
	}
	asked := v.Challenge != nil && v.Challenge.Refuse != 0 || v.Refuse != 0 // the call would not go on by itself
	v.Play, v.Challenge, v.Answer = bridge.Sound{}, nil, false
	if c.decision.Action == policy.Reject {
		return // refused all the same, only without its announcement
	}
	if c.decision.Overflow == "reject" || own && asked {
		v.Action, v.Refuse = policy.Reject.String(), c.decision.SIP
		v.Refusal = sc.refusal(v)
	} else {
		v.Action, v.Refuse = policy.Allow.String(), 0
	}
	v.Reason = number.InertUpTo(fmt.Sprintf("%s: trunk %q holds %s (%s)", v.Action, trunk.Name, whatItHolds(own, trunk.MaxHeld), c.decision.Reason()), maxReason)
}

// whatItHolds says of what there is no room for more.
func whatItHolds(own bool, most int) string {
	if own {
		return "all the calls it may of this caller and his range already"
	}
	return fmt.Sprintf("%d calls already", most)
}

// placeOf says on whose account a call's announcement is: of its trunk or, for calls of trunks that the policy does not
// name, of the address that it came from. What ringfence_trunk or a caller could make up must not open a new account
// each time.
func placeOf(trunk policy.Trunk, f *bridge.Facts, caller *number.Number, held *bridge.Held) traffic.Place {
	x := traffic.Place{Account: trunk.Name, Caller: caller.E164, Range: traffic.RangeOf(caller), Call: held}
	if !trunk.Known {
		x.Account, x.Unnamed = "address "+traffic.AddressOf(f.NetworkIP), true
	}
	return x
}

// trunkOf is the trunk that a call came in by.
func trunkOf(p *policy.Policy, c *policy.Call) policy.Trunk { return p.TrunkNamed(c.Trunk) }
