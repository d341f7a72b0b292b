package daemon

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"ringfence/bridge"
	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// The way of a call, once eslbridge has read its facts from the socket:
//
//	Screen   facts → policy.Call → decision → what the switch shall do
//	(eslbridge carries it out and gives the call back)
//	Record   what was decided and what became of it → journal

// considered is what Record needs of Screen.
type considered struct {
	call     policy.Call
	id       identity
	decision policy.Decision
	paused   bool
	holding  *holding // the place that its announcement has
}

// Screen decides on a call that FreeSWITCH handed over. It only computes: policy and lists are in memory.
func (d *Desk) Screen(f *bridge.Facts) bridge.Verdict {
	r, now := d.rules.Load(), d.now()
	d.contexts.see(f.Context)
	c := &considered{paused: d.paused(now)}
	c.call, c.id = d.callOf(r.policy, f, now)
	c.decision = r.policy.Decide(&c.call, r.lists)
	if c.decision.Rule == policy.RuleKnownGrace && !c.paused && !d.learnt.challenged.takeGrace(calleeKey(&c.call.Callee), c.call.Caller.E164, now) {
		c.call.ChallengeTried = time.Time{} // another call of the caller's was quicker
		c.decision = r.policy.Decide(&c.call, r.lists)
	}
	v := bridge.Verdict{ID: storage.NewID(now), Would: c.decision.Would.String(), Note: c}
	if c.paused {
		v.Action, v.Rule, v.Reason = policy.Allow.String(), policy.RulePaused, "screening is paused"
		return v
	}
	if c.decision.Unread() != "" {
		d.passed.Add(1)
	}
	v.Action, v.Rule, v.Reason = c.decision.Action.String(), number.Inert(c.decision.Rule), number.InertUpTo(c.decision.Reason(), maxReason)
	d.carryOut(&v, f, c, r)
	if r.policy.Mode() == policy.Enforce {
		showIdentity(&v, f, c)
	}
	d.hold(&v, f, c, r.policy)
	if v.Refuse != 0 && v.Play.Silent() && v.Challenge == nil {
		v.Brief = d.repeats.again(f.NetworkIP, c.id.number, now)
	}
	return v
}

// hold finds room for the call's announcement. Where there is none, the rule's overflow says what happens
// instead: the call passes, or it is refused without a word.
func (d *Desk) hold(v *bridge.Verdict, f *bridge.Facts, c *considered, p *policy.Policy) {
	if v.Play.Silent() && v.Challenge == nil {
		return
	}
	trunk := trunkOf(p, &c.call)
	place, own := d.held.take(holdingOf(trunk, f, &c.call.Caller), trunk.MaxHeld)
	if place != nil {
		c.holding, v.Held = place, place.call
		return
	}
	asked := v.Challenge != nil && v.Challenge.Refuse != 0 || v.Refuse != 0 // the call would not go on by itself
	v.Play, v.Challenge, v.Answer = bridge.Sound{}, nil, false
	if c.decision.Action == policy.Reject {
		return // refused all the same, only without its announcement
	}
	if c.decision.Overflow == "reject" || own && asked {
		v.Action, v.Refuse = policy.Reject.String(), c.decision.SIP
		v.Refusal = d.refusal(v)
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

// destination completes a rule's `to`. An extension alone is one of the context that the call came in by;
// were it not named here, the switch would look for it in the context that transfers the call.
func destination(to, context string) bridge.Destination {
	if to == "voicemail" {
		return bridge.Destination{Extension: "voicemail", Context: "ringfence-after"} // of the shipped dialplan
	}
	if words := strings.Fields(to); len(words) == 3 {
		return bridge.Destination{Extension: words[0], Dialplan: words[1], Context: words[2]}
	}
	if number.Inert(context) != context || context == "" || strings.Contains(context, " ") {
		context = "public"
	}
	return bridge.Destination{Extension: to, Context: context}
}

// maxReason is how many characters of a reason become ringfence_reason. The journal has it whole.
const maxReason = 200

// callOf reads a call's facts as the policy does everywhere.
func (d *Desk) callOf(p *policy.Policy, f *bridge.Facts, now time.Time) (policy.Call, identity) {
	trunk := p.Trunk(trunkFactsOf(f))
	id := identify(f, trunk)
	c := p.Call(policy.Facts{
		Caller: bare(id.number), Name: id.name, Callee: calleeOf(f), Trunk: trunk.Name, Withheld: id.withheld,
		Inside: f.Authorized && f.AuthUser != "", Attestation: attestationOf(id.verstat), Time: now,
	})
	if n := p.Plan().Parse(bare(id.from)); n.E164 == c.Caller.E164 || id.from == "" {
		id.from = "" // the same number, however it is written
	}
	d.recall(p, &c)
	return c, id
}

// trunkFactsOf is where a call came in, as the switch knows it.
func trunkFactsOf(f *bridge.Facts) policy.TrunkFacts {
	address, _ := netip.ParseAddr(f.NetworkIP)
	return policy.TrunkFacts{Named: f.Trunk, Gateway: f.Gateway, Address: address, Profile: f.Profile, Endpoint: f.Endpoint}
}

// calleeOf is the called number: the one the dialplan names, else the destination, else what was dialled at first: a caller
// can dial what the switch does not give as a destination.
func calleeOf(f *bridge.Facts) string { return cmp.Or(f.Line, f.Callee, f.ReqUser) }

// carryOut turns a decision into what the switch shall do. What cannot be done lets the call pass.
func (d *Desk) carryOut(v *bridge.Verdict, f *bridge.Facts, c *considered, r *rules) {
	dec := &c.decision
	pass := func(why string) {
		v.Action, v.Reason = policy.Allow.String(), number.InertUpTo("let through: "+why+" ("+dec.Reason()+")", maxReason)
	}
	switch dec.Action {
	case policy.Tag:
		name, shown := c.call.Name, c.call.Caller.Shown()
		if c.call.Withheld || c.call.Caller.Kind == number.Anonymous {
			name, shown = "", "" // neither is shown on a handset
		}
		v.ShowName = number.TagName(dec.Label, name, shown)
	case policy.Warn, policy.Reject:
		if dec.Announcement != "" {
			sound, err := r.sounds.Find(dec.Announcement)
			if err != nil && dec.Action == policy.Warn {
				pass("its announcement is missing")
				return
			} else if err == nil {
				v.Play, v.Answer = soundOf(sound), dec.Media == "answer"
				v.Ringing = r.policy.Country()
			}
		}
		if dec.Action == policy.Reject || dec.Then == "hangup" {
			v.Refuse = dec.SIP
		}
	case policy.Divert:
		v.Divert = destination(dec.To, f.Context)
	case policy.Challenge:
		challenge, err := challengeOf(dec, r.sounds)
		if err != nil {
			pass("a recording of the challenge is missing")
			return
		}
		v.Challenge, v.Answer = challenge, dec.Media == "answer"
		v.Ringing = r.policy.Country()
	}
	v.Refusal = d.refusal(v)
	if dec.Whisper != "" && v.Refuse == 0 {
		if sound, err := r.sounds.Find(dec.Whisper); err == nil { // else the two are connected without
			v.Whisper = sound.File
		}
	}
}

// refusal is what a refusal says besides its code.
func (d *Desk) refusal(v *bridge.Verdict) bridge.Refusal {
	status := v.Refuse
	if v.Challenge != nil {
		status = v.Challenge.Refuse
	}
	switch c := d.conf.Reject; {
	case status == 608 && c.Redress != "":
		return bridge.Refusal{CallInfo: "<" + c.Redress + ">;purpose=jwscard"}
	case status == 603 && c.Analytics != "":
		return bridge.Refusal{Reason: `Q.850;cause=21;text="v=analytics1;` + c.Analytics + `"`, Phrase: "Network Blocked"}
	}
	return bridge.Refusal{}
}

// Record writes down what became of a call.
func (d *Desk) Record(f *bridge.Facts, v *bridge.Verdict, res bridge.Result) {
	r := d.rules.Load()
	c, _ := v.Note.(*considered)
	if c != nil && c.holding != nil {
		d.held.release(c.holding)
	}
	if c == nil { // no decision came: deadline or fault, or its caller was gone before
		now := d.now()
		c = &considered{}
		c.call, c.id = d.callOf(r.policy, f, now)
		if named(f) {
			c.decision = r.policy.Decide(&c.call, r.lists)
		}
		v.ID, v.Action, v.Would, v.Rule = storage.NewID(now), c.decision.Action.String(), c.decision.Would.String(), c.decision.Rule
	}
	rec := d.recordOf(f, v.ID, c)
	rec.Action, rec.Would, rec.Rule = v.Action, v.Would, v.Rule
	if c.paused || v.Action != c.decision.Action.String() {
		rec.Reason = v.Reason
	}
	if v.Challenge != nil {
		if !res.Dismissed {
			d.challengeMet(&c.call, res.Keyed)
		}
		rec.Reason += keyedText(res.Keyed)
	}
	if res.Dismissed {
		rec.Reason += "; gave way to another call"
	}
	end := ending{call: &c.call, id: c.id, rec: rec, refuses: turnsAway(v, res)}
	switch {
	case res.FailOpen != "":
		end.failOpen = res.FailOpen
		rec.Action, rec.Rule, rec.List = policy.Allow.String(), policy.RuleFailOpen, ""
		rec.Reason = "let through: " + failOpenText(res.FailOpen)
	case rec.List != "":
		d.hits.note(rec.List, c.decision.Entry.Pattern.String(), rec.Time)
	}
	if res.HungUp {
		rec.Outcome = &storage.Outcome{Cause: causeGone, By: "caller"}
		if !named(f) {
			rec.Rule, rec.Reason = policy.RuleFailOpen, "the caller hung up before the switch had said who calls"
		}
	}
	d.note(f, end, rec.Outcome != nil)
	d.write(&rec, &c.call, &c.id, false)
}

// causeGone is the cause of a caller who hung up before anybody answered.
const causeGone = "ORIGINATOR_CANCEL"

// named: the switch has said who calls whom. A call may be over before it could.
func named(f *bridge.Facts) bool {
	return f.Number != "" || f.FromUser != "" || f.Callee != "" || f.ReqUser != ""
}

// recordOf is the record of a call that was decided on, as if it was carried out.
func (d *Desk) recordOf(f *bridge.Facts, id string, c *considered) storage.Record {
	return storage.Record{
		ID: id, Time: c.call.Time, Node: d.conf.Node, Trunk: c.call.Trunk,
		Caller: storage.Caller{Raw: c.id.number, E164: c.call.Caller.E164, Kind: c.call.Caller.Kind.String(), Withheld: c.call.Withheld, From: c.id.from, Diverted: c.id.diverted},
		Name:   c.call.Name, Callee: calleeOf(f), Line: c.decision.Line,
		Action: c.decision.Action.String(), Would: c.decision.Would.String(), Mode: c.decision.Mode.String(),
		Rule: c.decision.Rule, Reason: c.decision.Reason(), List: c.decision.List,
	}
}

// write hands a record to the journal; amend puts it in the place of the one with its ID.
func (d *Desk) write(rec *storage.Record, call *policy.Call, id *identity, amend bool) {
	if d.private != nil {
		d.private.hide(rec, call, id, d.rules.Load().policy.Plan())
	}
	if amend {
		d.journal.Amend(*rec)
	} else {
		d.journal.Add(*rec) // a full queue drops and counts; the status shows it
	}
}

// turnsAway: the verdict, carried out, ended the call.
func turnsAway(v *bridge.Verdict, res bridge.Result) bool {
	return v.Refuse != 0 || v.Challenge != nil && v.Challenge.Refuse != 0 && res.Keyed != bridge.KeyedRight
}

// keyedText says how a caller met a challenge.
func keyedText(k bridge.Keyed) string {
	switch k {
	case bridge.KeyedRight:
		return "; passed the challenge"
	case bridge.KeyedWrong:
		return "; keyed in wrong digits"
	case bridge.KeyedNothing:
		return "; keyed in nothing"
	}
	return ""
}

// failOpenText says in words why a call passed without its decision.
func failOpenText(reason string) string {
	switch reason {
	case bridge.FailDeadline:
		return "there was no decision, or no word from the switch, within the deadline"
	case bridge.FailLate:
		return "the call had waited too long before this program saw it"
	case bridge.FailWire:
		return "the connection to the switch broke"
	case bridge.FailCommand:
		return "the switch refused a command"
	case bridge.FailPanic:
		return "a fault in this program (the log has it)"
	case bridge.FailLimit:
		return "too many calls at once"
	case bridge.FailStopping:
		return "this program was being stopped"
	case bridge.FailUnheard:
		return "the switch took the call back before it heard the verdict: its caller hung up in that moment or, if there are many such calls, the port of its event socket (8021) is taken by another program"
	}
	return reason
}

// Check says what would happen to a call, and why, by the same steps as Screen.
func (d *Desk) Check(_ context.Context, q console.CheckQuery) (*console.CheckReport, error) {
	r := d.rules.Load()
	p, lists := r.policy, r.lists
	if q.Policy != "" {
		other, faults := policy.Load(q.PolicyFile, []byte(q.Policy))
		if other == nil {
			text := "the policy has faults:"
			for _, f := range faults {
				if !f.Warning {
					text += "\n" + f.String()
				}
			}
			return nil, console.Bad(text)
		}
		p = other
	}
	at, err := momentOf(q.At, d.now(), p.Zone())
	if err != nil {
		return nil, err
	}
	call := p.Call(policy.Facts{Caller: q.Caller, Name: q.Name, Callee: q.Callee, Trunk: q.Trunk, Withheld: q.Withheld, Time: at})
	d.recall(p, &call)
	dec, steps := p.Explain(&call, lists)
	n := call.Caller
	report := &console.CheckReport{
		Caller: console.CallerReport{Raw: n.Raw, E164: n.E164, Kind: n.Kind.String(), Kinds: nonNil(n.Kinds.Strings()), Reason: n.Reason},
		Callee: q.Callee, Line: dec.Line, Trunk: dec.Trunk, Action: dec.Action.String(), Would: dec.Would.String(),
		Rule: dec.Rule, Reason: dec.Reason(), Mode: dec.Mode.String(), SIP: dec.SIP, Label: dec.Label,
		Steps: []console.Step{}, Detectors: []string{}, Lists: []console.OnList{},
	}
	if d.private != nil {
		report.Caller.Journal = d.private.token(&n)
	}
	for _, s := range steps {
		report.Steps = append(report.Steps, console.Step{Rule: s.Rule, Matched: s.Matched, Why: s.Why})
	}
	for _, name := range lists.Names() {
		if e, ok := lists.Lookup(name, &call.Caller, at); ok {
			report.Lists = append(report.Lists, console.OnList{List: name, Pattern: e.Pattern.String(), Reason: e.Reason, Source: e.Source})
			continue
		}
		for _, held := range call.Caller.Held() {
			if e, ok := lists.Lookup(name, &held, at); ok {
				report.Lists = append(report.Lists, console.OnList{List: name, Pattern: e.Pattern.String(), Reason: e.Reason, Source: e.Source, Holds: held.E164})
				break
			}
		}
	}
	if d.paused(at) {
		report.Paused, report.Action, report.Rule = true, policy.Allow.String(), policy.RulePaused
		report.SIP, report.Label = 0, ""
		report.Reason = "screening is paused; otherwise: " + report.Reason
	}
	return report, nil
}

// momentOf reads when a call to try comes in.
func momentOf(text string, now time.Time, zone *time.Location) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return now, console.Bad(fmt.Sprintf("%q is no time: write 2026-11-24T20:00, or 2026-11-24T20:00:00+08:00", text))
}

func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
