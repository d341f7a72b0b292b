package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
)

// fromJSON makes a call of a line of a journal. fault is what is wrong with the line.
func fromJSON(line string) (c Call, fault string) {
	var r console.Record
	if err := r.UnmarshalJSON([]byte(line)); err != nil {
		return c, jsonFault(err)
	}
	return fromRecord(&r)
}

// faultPrivate is a record without its caller. No rule can be tried on one, so the run ends.
const faultPrivate = "is of a journal that is kept private ([journal] private = true): its callers are tokens, on which no rule can be tried"

// fromRecord makes a call of a record of the journal.
func fromRecord(r *console.Record) (c Call, fault string) {
	if strings.HasPrefix(r.Caller.Raw, console.PrivateMark) {
		return c, faultPrivate
	}
	if r.Time.Year() < earliest {
		return c, "does not say when the call came in, as a record of the journal does"
	}
	c.ID, c.trial = r.ID, r.Test
	if r.Repeats > 0 {
		c.repeats = uint64(min(r.Repeats, 1e9))
	}
	c.Facts = policy.Facts{
		Caller: r.Caller.Raw, Name: r.Name, Callee: r.Callee, Withheld: r.Caller.Withheld, Time: r.Time,
		Other: r.Caller.From, Diverted: r.Caller.Diverted != "",
	}
	c.origin.switching.Named = r.Trunk // as it was found then
	if r.Caller.Kind == number.Internal.String() {
		c.claim = claimJournal
	}
	if fault = c.verdictThen(r); fault != "" {
		return c, fault
	}
	switch c.was.Action {
	case policy.Reject, policy.Divert:
		c.stopped = true
	case policy.Challenge:
		c.stopped = !r.Passed
	case policy.Warn:
		c.stopped = r.Outcome != nil && r.Outcome.By == "ringfence"
	}
	// What became of a call that was refused says nothing of its caller.
	if o := r.Outcome; o != nil && !(c.was.Action == policy.Reject && !c.was.Observe) {
		c.Ended, c.Answered, c.Talk = true, o.Answered, max(o.TalkS, 0)
		c.Ring, c.ringKnown = max(o.RingS, 0), true
	}
	return c, ""
}

// verdictThen reads what was decided then.
func (c *Call) verdictThen(r *console.Record) (fault string) {
	switch r.Rule {
	case policy.RulePaused, policy.RuleFailOpen, policy.RuleKnownGrace:
		c.undecided = true
		return ""
	}
	says := r.Would
	if says == "" {
		says = r.Action
	}
	if says == "" {
		return "" // a list of calls without decisions
	}
	action, ok := policy.ParseAction(says)
	if !ok {
		return fmt.Sprintf("would: %.40q is none of %s", says, strings.Join(policy.ActionNames(), ", "))
	}
	c.recorded = true
	c.was = Verdict{Action: action, Rule: r.Rule[:min(len(r.Rule), maxText)], Observe: action != policy.Allow && r.Mode == policy.Observe.String()}
	return ""
}

// jsonFault says in plain words why a line is no record of the journal.
func jsonFault(err error) string {
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return fmt.Sprintf("%s: a %s stands where the journal has another kind of value", wrongType.Field, wrongType.Value)
	case errors.As(err, &syntax):
		return "is no JSON: " + syntax.Error()
	case strings.HasPrefix(err.Error(), "parsing time") || strings.HasPrefix(err.Error(), "Time."):
		return "time: is no time such as 2026-03-02T09:30:00.000Z"
	}
	return "is no record of the journal: it is a JSON object a line, as `ringfence journal tail --json` prints"
}
