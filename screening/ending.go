package screening

import (
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/detect"
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
	line     string         // stoppedKey
	failOpen string         // why it was let through all the same, as far as we know
}

// settle puts the record of a call right by its end. changed is false where it stands.
func (sc *Screener) settle(s *screened, e *attach.CallEnd) (changed bool) {
	end := s.end
	if end == nil {
		return false
	}
	rec, call, id := end.rec, end.call, end.id
	rang := e.Bridged || e.Answered || e.Ring > 0
	switch {
	case rec.Caller.Raw == "" && rec.Callee == "": // gone before the switch had said who calls
		f := factsOf(e)
		c := sc.consider(f, e.Started)
		rec, call, id = sc.recordOf(f, rec.ID, c), &c.call, c.id
		s.counted, s.stopped = &c.counted, c.stopped
		rec.Reason += "; the caller hung up first"
	case end.refuses && (end.failOpen != "" || s.gone) && !rang && e.By == attach.ByRingfence:
		s.refused = true // what we said was heard after all
		rec.Stopped = end.line
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
	sc.write(&rec, call, &id, true)
	return true
}

// factsOf are the facts of a call as its end tells them.
func factsOf(e *attach.CallEnd) *bridge.Facts {
	return &bridge.Facts{
		UUID: e.UUID, Channel: e.Channel, Endpoint: e.Endpoint, Number: e.Caller, Name: e.CallerName, Withheld: e.Withheld,
		FromUser: e.FromUser, FromName: e.CallerName, IDSource: e.IDSource, Asserted: e.Asserted, Preferred: e.Preferred, RemoteID: e.RemoteID,
		Diversion: e.Diversion, History: e.History,
		NetworkIP: e.NetworkIP, Gateway: e.Gateway, Profile: e.Profile, Trunk: e.Trunk, Context: e.Context,
		Callee: e.Callee, ReqUser: e.ReqUser, Line: e.Line, AuthUser: e.AuthUser, Authorized: e.AuthUser != "",
	}
}

// consider decides on a call that is over. at is when it began, zero if that is not known.
func (sc *Screener) consider(f *bridge.Facts, at time.Time) *considered {
	r := sc.force.Rules()
	if now := sc.o.Now(); at.IsZero() || at.After(now) { // a switch whose clock is fast must not take ours along
		at = now
	}
	c := &considered{}
	c.call, c.id = sc.callOf(r, f, at)
	sc.memory.Called(r.Policy, &c.call)
	sc.decide(r, c, f, detect.Way{Look: f.Test, Paused: true}) // nothing is done to it any more
	return c
}

// outcome completes the journal's record of a call that was screened.
func (sc *Screener) outcome(e *attach.CallEnd) {
	sc.o.Journal.Outcome(e.RingfenceID, *outcomeOf(e))
}

func outcomeOf(e *attach.CallEnd) *storage.Outcome {
	return &storage.Outcome{Answered: e.Answered, RingS: e.Ring.Seconds(), TalkS: e.Talk.Seconds(), Cause: e.Cause, By: e.By}
}
