package screening

import (
	"slices"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/inforce"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/traffic"
)

// Ended takes what the switch says of a leg of a call when it is over: it completes the journal's record, and
// learns from it whom the lines deal with and who rang where.
func (sc *Screener) Ended(e attach.CallEnd) {
	if e.Guard {
		sc.guardTook.Add(1)
	}
	uuid, channel := e.UUID, e.Channel
	if !e.Inbound {
		uuid, channel = e.OtherUUID, e.OtherChannel
	}
	s, screened := sc.calls.Find(traffic.CallKey(uuid, channel))
	p := sc.force.Rules().Policy
	sc.seeEndpoint(p, &e)
	switch {
	case screened && e.Inbound:
		sc.ended(&e, s)
	case screened && s.refused: // a leg that rings for it all the same is told of with the caller's
	case screened:
		sc.rang(p, &e, s)
	case e.RingfenceID != "":
		sc.outcome(&e)
		if e.Inbound {
			s = sc.screenedBefore(p, &e)
			s.stopped = sc.countedBefore(&e)
			sc.called(p, &e, s)
		} else {
			sc.rang(p, &e, s)
		}
	default:
		sc.placed(p, &e)
		if e.Inbound {
			sc.missed(p, &e)
		}
	}
}

// ended takes the end of the caller's leg of a call that was screened.
func (sc *Screener) ended(e *attach.CallEnd, s screened) {
	complete(e, s)
	if sc.settle(&s, e) {
		complete(e, s)
	} else {
		sc.outcome(e)
	}
	var once *counted // the switch may tell of its end a second time
	sc.calls.Change(traffic.CallKey(e.UUID, e.Channel), func(kept *screened) {
		if kept.end != nil {
			once = s.counted
		}
		kept.end, kept.counted = nil, nil // what its record says stands
	})
	sc.over(once, e, s.passed)
	sc.called(sc.force.Rules().Policy, e, s)
}

// complete adds what the switch may not say of a call that was screened: which it was, and that it was we who ended it.
// Asterisk says neither, FreeSWITCH not of one that was refused briefly.
func complete(e *attach.CallEnd, s screened) {
	if e.RingfenceID == "" {
		e.RingfenceID = s.id
	}
	if s.refused && e.By == attach.BySwitch && !e.Bridged {
		e.By, e.Answered, e.Talk = attach.ByRingfence, false, 0
		if e.Cause == "NORMAL_CLEARING" { // for want of a better one
			e.Cause = "CALL_REJECTED"
		}
	}
}

// called learns from the caller's leg of a screened call. s is what was noted when it was screened, if it still is.
func (sc *Screener) called(p *policy.Policy, e *attach.CallEnd, s screened) {
	if !s.refused && s.end != nil { // the switch's first word of its end
		sc.behaved(p, &s.caller, e)
	}
	if !e.Answered || !e.Bridged || e.Talk < policy.CalledTalk { // voicemail and menus are not bridged
		return
	}
	if s.caller.E164 == "" || s.stopped { // a rule on trial would have kept it from ringing, or it rang by a failure
		return
	}
	callee := p.Call(policy.Facts{Callee: s.callee}).Callee
	if p.IsDecoy(&callee) || callee.E164 == "" && sc.memory.Realms.Several() { // whoever took it, nobody there deals with its caller; or it is not known whose extension it is
		return
	}
	lines := p.AppendLineKeys(nil, &callee)
	if !slices.Contains(lines, s.line) {
		return // the number came to another line while they talked
	}
	for _, line := range lines {
		sc.memory.Meet(line, s.caller.E164, sc.o.Now())
	}
}

// behaved notes what became of a call that was not stopped.
func (sc *Screener) behaved(p *policy.Policy, caller *number.Number, e *attach.CallEnd) {
	sc.memory.Ended(p, caller, e.Bridged || e.Ring > 0, e.Answered && e.Bridged, e.Talk, sc.o.Now())
}

// screenedBefore makes up for what was not noted, from what the leg carries.
func (sc *Screener) screenedBefore(p *policy.Policy, e *attach.CallEnd) screened {
	trunk := trunkOfEnd(p, e)
	withheld := e.Withheld || e.Channel != "" // Asterisk does not say: rather not shown than shown
	s := screened{id: e.RingfenceID, time: e.Started, withheld: withheld, callee: e.Line, trunk: trunk.Name}
	if s.callee == "" {
		s.callee = e.ReqUser
	}
	if s.callee == "" {
		s.callee = e.Callee
	}
	c := p.Call(policy.Facts{Caller: e.Caller, Callee: s.callee, Trunk: trunk.Name, Withheld: withheld, Inside: e.AuthUser != "" || sc.isPhone(p, e.Endpoint, e.Context)})
	line, _ := p.LineCalled(&c.Callee)
	s.caller, s.line, s.customer = c.Caller, line.Key, line.Customer
	return s
}

// trunkOfEnd is the trunk that a leg came in by.
func trunkOfEnd(p *policy.Policy, e *attach.CallEnd) policy.Trunk {
	return p.Trunk(policy.TrunkFacts{Named: e.Trunk, Gateway: e.Gateway, Endpoint: e.Endpoint, Profile: e.Profile})
}

// placed learns from a leg of a call that was not screened: one that a phone of the house began, or one that the
// switch placed for it. What is shown as its caller counts only there; a leg that came in from outside could
// claim to be ours and make us wait for an emergency service's call-back. Asterisk says for whom it placed a leg.
func (sc *Screener) placed(p *policy.Policy, e *attach.CallEnd) {
	talked := e.Answered && e.Bridged && e.Talk >= policy.DialledTalk
	if !e.Inbound {
		sc.placedFor(e, talked)
		return
	}
	by := phone{account: e.AuthUser, realm: realmOf(e.AuthUser, e.AuthRealm, e.Domain), assigned: []string{e.Line}, set: []string{e.Outbound}, shown: []string{e.OtherCaller}, claimed: []string{e.Caller, e.FromUser}, wrote: []string{e.Asserted, e.Preferred, e.RemoteID}}
	if sc.isPhone(p, e.Endpoint, e.Context) {
		by.account, by.realm, by.context = e.Endpoint, traffic.Endpoint, e.Context
	}
	if by.account == "" && !trunkOfEnd(p, e).Internal {
		return
	}
	if by.realm != traffic.Endpoint {
		sc.seeRealm(by.realm)
	}
	callee := e.Callee // as the phone dialled it, perhaps with a prefix
	if e.OtherCallee != "" {
		callee = e.OtherCallee // as it went out
	} else {
		talked = false
	}
	sc.learnDialled(callee, talked, &by)
}

// placedFor learns from a leg that the switch placed. FreeSWITCH does not say there for whom, so that where there are several tenants only the
// caller's leg teaches.
func (sc *Screener) placedFor(e *attach.CallEnd, talked bool) {
	r := sc.force.Rules()
	by := phone{shown: []string{e.Caller, e.FromUser}, claimed: []string{e.OtherCaller}}
	if e.Channel != "" {
		if !sc.isPhone(r.Policy, e.FromEndpoint, e.FromContext) {
			return
		}
		by.account, by.realm, by.context = e.FromEndpoint, traffic.Endpoint, e.FromContext
	} else if sc.several(r) {
		if e.FromCaller {
			return
		}
		talked = false // somebody had the switch place both legs
	}
	sc.learnDialled(e.Callee, talked, &by)
}

// Dialled notes that a line is calling a number, for a dialplan that says so because no switch is attached. When
// the call will be answered is not known here, so the number counts as known from now on.
func (sc *Screener) Dialled(f *bridge.Facts) {
	p := sc.force.Rules().Policy
	callee, by := f.Callee, sc.phoneOf(f)
	if f.Line != "" {
		if n := p.Call(policy.Facts{Callee: f.Line}).Callee; p.LineOf(&n) == "" {
			callee, by.assigned = f.Line, nil // to be used instead, as in a call that is screened
		}
	}
	sc.learnDialled(callee, true, &by)
}

// learnDialled notes that somebody of ours called a number.
func (sc *Screener) learnDialled(callee string, talked bool, by *phone) {
	r := sc.force.Rules()
	p, now := r.Policy, sc.o.Now()
	to := p.Call(policy.Facts{Callee: callee}).Callee
	if to.Kinds.Has(number.Emergency) {
		for _, key := range sc.callbackKeys(r, callee, by) {
			sc.memory.Callbacks.Dialled(key, now)
		}
		return
	}
	called, ours := p.LineCalled(&to)
	if !talked || to.E164 == "" || ours && !called.Kept {
		return
	}
	var lines []string
	numbers, texts := sc.numbersOf(r, by)
	for i := range numbers {
		if texts[i] == callee {
			continue
		}
		for _, line := range p.AppendLineKeys(nil, &numbers[i]) {
			// A number of a firm's own is not known to it. The customers of a provider call each other as they call anybody.
			if !slices.Contains(lines, line) && (!ours || p.CustomerOf(line) != called.Customer) {
				lines = append(lines, line)
			}
		}
	}
	if only, ok := onlyLine(r, customerOf(r, by)); ok && len(lines) == 0 && (!ours || only.Customer != called.Customer) {
		lines = append(lines, only.Key)
	}
	for _, line := range lines {
		sc.memory.Meet(line, to.E164, now)
	}
}

// callbackKeys are under what it is kept that a phone dialled an emergency number: its own numbers, and what was shown on that call, whoever
// wrote it, for that is who will be called back; but no other customer's. Asterisk's endpoint is an extension's key only where no other tenant can have the extension.
func (sc *Screener) callbackKeys(r *inforce.Rules, callee string, by *phone) (keys []string) {
	strict, customer := sc.several(r), customerOf(r, by)
	add := func(n *number.Number, text string, realm string) {
		if key := traffic.PhoneKey(n, realm); key != "" && text != callee && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	if numbers, texts := sc.numbersOf(r, by); len(numbers) > 0 {
		for i := range numbers {
			if !strict || numbers[i].E164 != "" {
				add(&numbers[i], texts[i], by.realm)
			}
		}
	}
	if !strict {
		return keys
	}
	for _, text := range append([]string{by.account}, by.shown...) {
		n := r.Policy.Call(policy.Facts{Callee: text}).Callee
		if text != "" && (n.E164 != "" && text != by.account && sc.mayHave(r, &n, customer) || n.E164 == "" && text == by.account && isPlain(text) && by.realm != "" && by.realm != traffic.Endpoint) {
			add(&n, text, by.realm)
		}
	}
	return keys
}
