package screening

import (
	"slices"
	"strings"

	"ringfence/attach"
	"ringfence/bridge"
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
	switch {
	case screened && e.Inbound:
		sc.ended(&e, s)
	case screened && s.refused: // a leg that rings for it all the same is told of with the caller's
	case screened:
		sc.rang(p, &e, s)
	case e.RingfenceID != "":
		sc.outcome(&e)
		if e.Inbound {
			s = screenedBefore(p, &e)
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
	if p.IsDecoy(&callee) { // whoever took it, nobody there deals with its caller
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
func screenedBefore(p *policy.Policy, e *attach.CallEnd) screened {
	trunk := trunkOfEnd(p, e)
	withheld := e.Withheld || e.Channel != "" // Asterisk does not say: rather not shown than shown
	s := screened{id: e.RingfenceID, time: e.Started, withheld: withheld, callee: e.Line, trunk: trunk.Name}
	if s.callee == "" {
		s.callee = e.ReqUser
	}
	if s.callee == "" {
		s.callee = e.Callee
	}
	c := p.Call(policy.Facts{Caller: e.Caller, Callee: s.callee, Trunk: trunk.Name, Withheld: withheld, Inside: e.AuthUser != "" || isPhone(p, e.Endpoint)})
	line, _ := p.LineCalled(&c.Callee)
	s.caller, s.line, s.customer = c.Caller, line.Key, line.Customer
	return s
}

// trunkOfEnd is the trunk that a leg came in by.
func trunkOfEnd(p *policy.Policy, e *attach.CallEnd) policy.Trunk {
	return p.Trunk(policy.TrunkFacts{Named: e.Trunk, Gateway: e.Gateway, Endpoint: e.Endpoint, Profile: e.Profile})
}

// isPhone: an endpoint of Asterisk is a phone of the house. Asterisk does not say who showed a password, so it counts
// what the administrator has written, and a caller cannot: the endpoint is of a trunk with internal = true, or of
// none and named by an internal number.
func isPhone(p *policy.Policy, endpoint string) bool {
	if endpoint == "" {
		return false
	}
	if trunk := p.Trunk(policy.TrunkFacts{Endpoint: endpoint}); trunk.Known {
		return trunk.Internal
	}
	n := p.Call(policy.Facts{Callee: endpoint}).Callee
	return n.Kinds.Has(number.Internal)
}

// placed learns from a leg of a call that was not screened: one that a phone of the house began, or one that the
// switch placed for it. What is shown as its caller counts only there; a leg that came in from outside could
// claim to be ours and make us wait for an emergency service's call-back. Asterisk says for whom it placed a leg.
func (sc *Screener) placed(p *policy.Policy, e *attach.CallEnd) {
	talked := e.Answered && e.Bridged && e.Talk >= policy.DialledTalk
	if !e.Inbound {
		if e.Channel == "" || isPhone(p, e.FromEndpoint) {
			sc.learnDialled(p, e.Callee, talked, phone{shown: []string{e.Caller, e.FromUser, e.FromEndpoint}, claimed: []string{e.OtherCaller}})
		}
		return
	}
	account := e.AuthUser
	if isPhone(p, e.Endpoint) {
		account = e.Endpoint
	}
	if account == "" && !trunkOfEnd(p, e).Internal {
		return
	}
	sc.memory.Realms.See(e.AuthRealm)
	callee := e.Callee // as the phone dialled it, perhaps with a prefix
	if e.OtherCallee != "" {
		callee = e.OtherCallee // as it went out
	} else {
		talked = false
	}
	sc.learnDialled(p, callee, talked, phone{account: account, realm: e.AuthRealm, shown: []string{e.OtherCaller, e.Line}, claimed: []string{e.Caller, e.FromUser}})
}

// Dialled notes that a line is calling a number, for a dialplan that says so because no switch is attached. When
// the call will be answered is not known here, so the number counts as known from now on.
func (sc *Screener) Dialled(f *bridge.Facts) {
	p := sc.force.Rules().Policy
	callee := f.Callee
	if f.Line != "" {
		if n := p.Call(policy.Facts{Callee: f.Line}).Callee; p.LineOf(&n) == "" {
			callee = f.Line // to be used instead, as in a call that is screened
		}
	}
	sc.memory.Realms.See(f.AuthRealm)
	sc.learnDialled(p, callee, true, phone{account: f.AuthUser, realm: f.AuthRealm, shown: []string{f.Line}, claimed: []string{f.Number, f.FromUser}})
}

// phone is somebody of ours who calls, by the texts that may tell who it is.
type phone struct {
	account, realm string   // whose password was shown, and of which tenant
	shown          []string // what the dialplan shows or says for it
	claimed        []string // what it says of itself: where there are several tenants, it could be another's
}

// learnDialled notes that somebody of ours called a number.
func (sc *Screener) learnDialled(p *policy.Policy, callee string, talked bool, by phone) {
	to := p.Call(policy.Facts{Callee: callee}).Callee
	emergency := to.Kinds.Has(number.Emergency)
	called, ours := p.LineCalled(&to)
	if !emergency && (!talked || to.E164 == "" || ours && !called.Kept) {
		return
	}
	several := sc.memory.Realms.Several()
	texts := append([]string{by.account}, by.shown...)
	if !several {
		texts = append(texts, by.claimed...)
	}
	var lines, keys []string
	for i, text := range texts {
		if text == "" || slices.Contains(texts[:i], text) || text == callee {
			continue
		}
		n := p.Call(policy.Facts{Callee: text}).Callee
		if key := traffic.PhoneKey(&n, by.realm); key != "" {
			keys = append(keys, key)
		}
		if several && n.E164 == "" {
			continue // an extension is no line's number, where each tenant may have it
		}
		for _, line := range p.AppendLineKeys(nil, &n) {
			// A number of a firm's own is not known to it. The customers of a provider call each other as they call anybody.
			if !slices.Contains(lines, line) && (!ours || p.CustomerOf(line) != called.Customer) {
				lines = append(lines, line)
			}
		}
	}
	now := sc.o.Now()
	if emergency {
		for _, key := range keys {
			sc.memory.Callbacks.Dialled(key, now)
		}
		return
	}
	for _, line := range lines {
		sc.memory.Meet(line, to.E164, now)
	}
}

// extensionKey is under what the last call of an extension is kept, whatever its realm.
func extensionKey(p *policy.Policy, extension string) string {
	n := p.Call(policy.Facts{Callee: strings.TrimSpace(extension)}).Callee
	return traffic.Cut(traffic.NumberKey(&n))
}
