package screening

import (
	"strings"

	"ringfence/bridge"
	"ringfence/detect"
	"ringfence/policy"
	"ringfence/storage"
	"ringfence/traffic"
)

// Record writes down what became of a call.
func (sc *Screener) Record(f *bridge.Facts, v *bridge.Verdict, res bridge.Result) {
	r := sc.force.Rules()
	c, _ := v.Note.(*considered)
	if c != nil && c.place != nil {
		sc.memory.Held.Release(c.place)
	}
	if c == nil { // no decision came: deadline or fault, or its caller was gone before
		now := sc.o.Now()
		c = &considered{}
		c.call, c.id = sc.callOf(r, f, now)
		if named(f) {
			if !f.Test {
				sc.memory.Called(r.Policy, &c.call)
			}
			rules := *r
			if res.FailOpen == bridge.FailPanic {
				rules.Detectors = nil // the fault may be theirs, and the call has to be recorded
			}
			sc.decide(&rules, c, f, detect.Way{Look: f.Test, Paused: true})
		}
		v.ID, v.Action, v.Would, v.Rule = storage.NewID(now), c.decision.Action.String(), c.decision.Would.String(), c.decision.Rule
	}
	rec := sc.recordOf(f, v.ID, c)
	rec.Action, rec.Would, rec.Rule = v.Action, v.Would, v.Rule
	if c.paused || v.Action != c.decision.Action.String() {
		rec.Reason = v.Reason
	}
	if v.Challenge != nil {
		if !res.Dismissed && !f.Test {
			sc.challengeMet(&c.call, c.decision.LineKey, res.Keyed)
		}
		rec.Reason += keyedText(res.Keyed)
	}
	if res.Dismissed {
		rec.Reason += "; gave way to another call"
	}
	rec.Passed = v.Challenge != nil && res.Keyed == bridge.KeyedRight
	end := ending{call: &c.call, id: c.id, rec: rec, line: stoppedKey(c), refuses: turnsAway(v, res)}
	switch {
	case res.FailOpen != "":
		end.failOpen = res.FailOpen
		rec.Action, rec.Rule, rec.List = policy.Allow.String(), policy.RuleFailOpen, ""
		rec.Reason = "let through: " + failOpenText(res.FailOpen)
	case rec.List != "" && !f.Test:
		list, pattern := keptAs(&c.decision.Entry)
		sc.memory.Hits.Note(list, pattern, rec.Time)
	}
	if res.HungUp {
		rec.Outcome = &storage.Outcome{Cause: causeGone, By: "caller"}
		if !named(f) {
			rec.Rule, rec.Reason = policy.RuleFailOpen, "the caller hung up before the switch had said who calls"
		}
	}
	if end.refuses && res.FailOpen == "" && !f.Test {
		sc.stopped(r.Policy, &rec, c)
		rec.Stopped = end.line
	}
	if sc.o.Measure != nil && !f.Test {
		sc.o.Measure.Done(rec.Action, rec.Mode, res.Took)
	}
	sc.remember(f, end, c, rec.Passed, rec.Outcome != nil)
	if res.FailOpen != bridge.FailPanic { // the fault may be met again
		rec.Trace = traceOf(c)
	}
	sc.write(&rec, &c.call, &c.id, false)
}

// stoppedKey is that of the line of the database whose customer may be told of a call that was turned away; "" for a line of the policy.
func stoppedKey(c *considered) string {
	if key := c.decision.LineKey; key != c.decision.Line {
		return key
	}
	return ""
}

// keptAs is where the database has an entry that decided.
func keptAs(e *policy.ListEntry) (list, pattern string) {
	list, pattern = e.List, e.Pattern.String()
	if e.Line != "" {
		_, own, _ := strings.Cut(list, ":")
		list, pattern = storage.OwnTable(own), storage.OwnText(e.Line, pattern)
	}
	return list, pattern
}

// causeGone is the cause of a caller who hung up before anybody answered.
const causeGone = "ORIGINATOR_CANCEL"

// named: the switch has said who calls whom. A call may be over before it could.
func named(f *bridge.Facts) bool {
	return f.Number != "" || f.FromUser != "" || f.Callee != "" || f.ReqUser != "" || f.PlainTo != ""
}

// recordOf is the record of a call that was decided on, as if it was carried out.
func (sc *Screener) recordOf(f *bridge.Facts, id string, c *considered) storage.Record {
	rec := storage.Record{
		ID: id, Time: c.call.Time, Node: sc.o.Node, Trunk: c.call.Trunk,
		Caller: storage.Caller{Raw: c.id.number, E164: c.call.Caller.E164, Kind: c.call.Caller.Kind.String(), Withheld: c.call.Withheld, From: c.id.from, Diverted: c.id.diverted},
		Name:   c.call.Name, Callee: calleeOf(f), Line: c.decision.Line, Customer: c.decision.Customer,
		Action: c.decision.Action.String(), Would: c.decision.Would.String(), Mode: c.decision.Mode.String(),
		Rule: c.decision.Rule, Reason: c.decision.Reason(), List: c.decision.List, Test: f.Test,
	}
	if rec.Customer == rec.Line {
		rec.Customer = ""
	}
	if c.rules != nil {
		sawOf(&rec, c.rules.Policy, &c.call)
	}
	return rec
}

// write hands a record to the journal; amend puts it in the place of the one with its ID.
func (sc *Screener) write(rec *storage.Record, call *policy.Call, id *identity, amend bool) {
	if sc.o.Private != nil {
		sc.o.Private.Hide(rec, call, id.number, sc.force.Rules().Policy.Plan())
	}
	if amend {
		sc.o.Journal.Amend(*rec)
	} else {
		sc.o.Journal.Add(*rec) // a full queue drops and counts; the status shows it
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

// challengeMet remembers how the caller of a call to a line, by its key, met its challenge.
func (sc *Screener) challengeMet(c *policy.Call, line string, keyed bridge.Keyed) {
	asked := traffic.Asked{Line: traffic.PassKeyOf(line, &c.Callee), Callee: traffic.OwnKey(line, &c.Callee), Caller: sc.memory.Name(c.Caller.E164), At: c.Time}
	switch keyed {
	case bridge.KeyedRight:
		sc.memory.Challenges.Passed(asked)
	case bridge.KeyedNothing:
		sc.memory.Challenges.KeyedNothing(asked)
	case bridge.KeyedWrong, bridge.KeyedLeft:
		sc.memory.Challenges.Failed(asked)
	}
}
