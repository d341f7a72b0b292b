package daemon

import (
	"strings"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/number"
	"ringfence/policy"
)

// recall fills in what calls before have taught about this one. It reads memory alone.
func (d *Desk) recall(p *policy.Policy, c *policy.Call) {
	var room [4]string
	lines := p.AppendLines(room[:0], &c.Callee)
	if p.KnownWindow() > 0 {
		c.KnownToLine, c.KnownToAll = d.learnt.knownTo(c.Caller.E164, lines)
	}
	if d.learnt.emergency.n.Load() > 0 {
		c.EmergencyDialled = d.awaits(&c.Callee)
	}
	if d.learnt.challenged.any() {
		c.ChallengePassed, c.ChallengeTried = d.learnt.challenged.of(passKey(p, &c.Callee), calleeKey(&c.Callee), c.Caller.E164, c.Time)
	}
}

// maxOwnNumber bounds the number or the account of a phone of ours, in bytes.
const maxOwnNumber = 64

// awaits is when a number last dialled an emergency number, or was shown on such a call. An extension is that of the
// phone that dialled only where no other tenant can have one of the same name.
func (d *Desk) awaits(callee *number.Number) time.Time {
	key := calleeKey(callee)
	if callee.E164 != "" {
		return d.learnt.awaits(key)
	}
	return d.learnt.awaitsWhere(func(k string) bool {
		phone, realm, _ := strings.Cut(k, "@")
		return phone == key && d.realms.same("", realm)
	})
}

// phoneKey is under what it is kept that a phone dialled an emergency number, "" for a text that is too long to be one's.
func phoneKey(n *number.Number, realm string) string {
	key := numberKey(n)
	switch {
	case key == "" || len(key) > maxOwnNumber:
		return ""
	case n.E164 == "" && realm != "":
		return "number " + key + "@" + realmName(realm)
	}
	return "number " + key
}

// numberKey is one text for a number in whatever spelling, also for an extension or an account's name.
func numberKey(n *number.Number) string {
	switch {
	case n.E164 != "":
		return n.E164
	case n.National() != "":
		return n.National()
	}
	return n.Raw
}

// Ended takes what the switch says of a leg of a call when it is over: it completes the journal's record, and
// learns from it whom the lines deal with and who rang where.
func (d *Desk) Ended(e attach.CallEnd) {
	if e.Guard {
		d.guardTook.Add(1)
	}
	uuid, channel := e.UUID, e.Channel
	if !e.Inbound {
		uuid, channel = e.OtherUUID, e.OtherChannel
	}
	s, screened := d.recent.find(callKey(uuid, channel))
	p := d.rules.Load().policy
	switch {
	case screened && e.Inbound:
		d.ended(&e, s)
	case screened && s.refused: // a leg that rings for it all the same is told of with the caller's
	case screened:
		d.rang(p, &e, s)
	case e.RingfenceID != "":
		d.outcome(&e)
		if e.Inbound {
			d.called(p, &e, s)
		} else {
			d.rang(p, &e, s)
		}
	default:
		d.placed(p, &e)
		if e.Inbound {
			d.missed(p, &e)
		}
	}
}

// ended takes the end of the caller's leg of a call that was screened.
func (d *Desk) ended(e *attach.CallEnd, s screened) {
	complete(e, s)
	if d.settle(&s, e) {
		complete(e, s)
	} else {
		d.outcome(e)
	}
	d.recent.over(callKey(e.UUID, e.Channel))
	d.called(d.rules.Load().policy, e, s)
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
func (d *Desk) called(p *policy.Policy, e *attach.CallEnd, s screened) {
	if !e.Answered || !e.Bridged || e.Talk < policy.CalledTalk { // voicemail and menus are not bridged
		return
	}
	if s.id == "" { // this program was started meanwhile
		s = screenedBefore(p, e)
	}
	if s.caller.E164 == "" {
		return
	}
	callee := p.Call(policy.Facts{Callee: s.callee}).Callee
	for _, line := range p.AppendLines(nil, &callee) {
		d.learnt.meet(line, s.caller.E164, d.now())
	}
}

// screenedBefore makes up for what was not noted, from what the leg carries.
func screenedBefore(p *policy.Policy, e *attach.CallEnd) screened {
	trunk := trunkOfEnd(p, e)
	withheld := e.Withheld || e.Channel != "" // Asterisk does not say: rather not shown than shown
	s := screened{id: e.RingfenceID, time: e.Started, withheld: withheld, callee: e.Line}
	if s.callee == "" {
		s.callee = e.ReqUser
	}
	if s.callee == "" {
		s.callee = e.Callee
	}
	c := p.Call(policy.Facts{Caller: e.Caller, Callee: s.callee, Trunk: trunk.Name, Withheld: withheld, Inside: e.AuthUser != "" || isPhone(p, e.Endpoint)})
	s.caller, s.line = c.Caller, p.LineOf(&c.Callee)
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
func (d *Desk) placed(p *policy.Policy, e *attach.CallEnd) {
	talked := e.Answered && e.Bridged && e.Talk >= policy.DialledTalk
	if !e.Inbound {
		if e.Channel == "" || isPhone(p, e.FromEndpoint) {
			d.learnDialled(p, e.Callee, talked, phone{shown: []string{e.Caller, e.FromUser, e.FromEndpoint}, claimed: []string{e.OtherCaller}})
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
	d.realms.see(e.AuthRealm)
	callee := e.Callee // as the phone dialled it, perhaps with a prefix
	if e.OtherCallee != "" {
		callee = e.OtherCallee // as it went out
	} else {
		talked = false
	}
	d.learnDialled(p, callee, talked, phone{account: account, realm: e.AuthRealm, shown: []string{e.OtherCaller, e.Line}, claimed: []string{e.Caller, e.FromUser}})
}

// Dialled notes that a line is calling a number, for a dialplan that says so because no switch is attached. When
// the call will be answered is not known here, so the number counts as known from now on.
func (d *Desk) Dialled(f *bridge.Facts) {
	p := d.rules.Load().policy
	callee := f.Callee
	if f.Line != "" {
		if n := p.Call(policy.Facts{Callee: f.Line}).Callee; p.LineOf(&n) == "" {
			callee = f.Line // to be used instead, as in a call that is screened
		}
	}
	d.realms.see(f.AuthRealm)
	d.learnDialled(p, callee, true, phone{account: f.AuthUser, realm: f.AuthRealm, shown: []string{f.Line}, claimed: []string{f.Number, f.FromUser}})
}

// phone is somebody of ours who calls, by the texts that may tell who it is.
type phone struct {
	account, realm string   // whose password was shown, and of which tenant
	shown          []string // what the dialplan shows or says for it
	claimed        []string // what it says of itself: where there are several tenants, it could be another's
}

// learnDialled notes that somebody of ours called a number.
func (d *Desk) learnDialled(p *policy.Policy, callee string, talked bool, by phone) {
	to := p.Call(policy.Facts{Callee: callee}).Callee
	emergency := to.Kinds.Has(number.Emergency)
	if !emergency && (!talked || to.E164 == "" || p.LineOf(&to) != "") {
		return
	}
	several := d.realms.several()
	ours := append([]string{by.account}, by.shown...)
	if !several {
		ours = append(ours, by.claimed...)
	}
	var lines, keys []string
	for i, text := range ours {
		if text == "" || contains(ours[:i], text) || text == callee {
			continue
		}
		n := p.Call(policy.Facts{Callee: text}).Callee
		if key := phoneKey(&n, by.realm); key != "" {
			keys = append(keys, key)
		}
		if several && n.E164 == "" {
			continue // an extension is no line's number, where each tenant may have it
		}
		for _, line := range p.AppendLines(nil, &n) {
			if !contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	now := d.now()
	if emergency {
		for _, key := range keys {
			d.learnt.dialled(key, now)
		}
		return
	}
	for _, line := range lines {
		d.learnt.meet(line, to.E164, now)
	}
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// keepFor is how long callers are kept: as long as a rule may ask, and long enough for a rule that is yet to be written.
func (d *Desk) keepFor() time.Duration {
	return min(max(d.rules.Load().policy.KnownWindow(), keepKnown), policy.MaxKnown)
}

// keepPassed is how long it is kept who passed a challenge, by the same measure.
func (d *Desk) keepPassed() time.Duration {
	return max(d.rules.Load().policy.RememberWindow(), keepKnown)
}

// extensionKey is under what the last call of an extension is kept, whatever its realm.
func extensionKey(p *policy.Policy, extension string) string {
	n := p.Call(policy.Facts{Callee: strings.TrimSpace(extension)}).Callee
	return cutKey(numberKey(&n))
}
