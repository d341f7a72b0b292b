package ami

import (
	"strings"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
)

// leg is a channel as its events have told of it so far.
type leg struct {
	channel        // as it was first heard of: before anybody changed its name or number
	key     string // its name now
	home    string // the context that its endpoint is configured with, "" if it was first heard of later
	placed  bool
	late    bool // it was answered before it was first heard of: taken for answered when it began
	heard   time.Time

	busy bool // the dialplan has refused it: whatever it says afterwards only takes note of that

	created, rang, answered, bridged time.Time
	tried                            time.Time // when it last began to ring somebody
	joined                           time.Time // when it came into the bridge it is in
	asked                            time.Time // when its own side hung up or refused

	// What it rang, or what rang it; then what it was connected with last. It may have ended meanwhile.
	other  *leg
	from   channel // of a leg that was placed: who rang it
	dial   string  // of a leg that was placed: what Dial was told
	status string  // how ringing ended, of a leg that was rung or rang others; "" before
	cause  int     // why it ended, Q.850

	bridge string // the bridge it is in
}

// local: half of a Local channel, by which Asterisk reaches its own dialplan. It is nobody's leg.
func (l *leg) local() bool { return strings.HasPrefix(l.name, "Local/") }

// endpoint is the endpoint that a channel belongs to, "" if its name may be a caller's choice: chan_sip names the
// channel of a guest by the domain in their From header (chan_sip.c, sip_new).
func endpoint(channel string) string {
	if !strings.HasPrefix(channel, "PJSIP/") {
		return ""
	}
	return bridge.Endpoint(channel)
}

// end is what became of a leg whose channel is gone.
func (l *leg) end(name string, now time.Time) attach.CallEnd {
	e := attach.CallEnd{
		Switch: name, UUID: l.uuid, Channel: l.name, Inbound: !l.placed, Context: l.context,
		Endpoint: endpoint(l.name), FromEndpoint: endpoint(l.name), CallerName: l.title,
		Home: l.home, FromContext: l.home, RingfenceID: l.id, Guard: l.guard, Bridged: !l.bridged.IsZero(), Started: l.created, Ended: now,
	}
	if o := l.other; o != nil {
		e.OtherUUID, e.OtherChannel = o.uuid, o.name
	}
	if l.placed {
		l.parties(&e)
	} else {
		e.Caller, e.Callee = l.number, l.exten
		if special(l.exten) { // it had gone on in the dialplan before it was first heard of
			e.Callee = l.shown
		}
		e.ReqUser = e.Callee
		if o := l.other; o != nil && o.placed {
			e.OtherCallee, e.OtherCaller = o.called(), o.shown
		}
	}
	e.By = l.by()
	e.Answered = !l.answered.IsZero() && !l.inVain()
	e.Ring, e.Talk = l.ring(now), l.talk(now, e.Answered)
	e.Cause = l.why(&e)
	return e
}

// special: an extension that nobody dials.
func special(exten string) bool {
	return exten == "" || len(exten) == 1 && strings.Contains("shitTeo", exten)
}

// parties fills in who is who on a leg that was placed. Only its caller's endpoint tells whose call it is: the number
// shown may be anybody's.
func (l *leg) parties(e *attach.CallEnd) {
	e.Caller, e.Callee, e.DialledUser = l.shown, l.called(), bridge.Endpoint(l.name)
	e.FromEndpoint, e.OtherCaller, e.OtherCallee, e.FromContext = endpoint(l.from.name), l.from.number, l.from.exten, l.from.context
}

// called is the number that a placed leg rang; of an endpoint that was rung by its name, what the dialplan says of it.
func (l *leg) called() string {
	if n := dialled(l.dial); n != "" {
		return attach.Cut(n)
	}
	return l.number
}

// by says who ended the call: whose side hung up or refused. A leg that neither side ended the switch did.
func (l *leg) by() string {
	near, far := attach.ByCaller, attach.ByCallee
	if l.placed {
		near, far = far, near
	}
	switch o := l.other; {
	case !l.asked.IsZero() && (o == nil || o.asked.IsZero() || l.asked.Before(o.asked) || !l.placed && l.bridged.IsZero()):
		return near
	case o != nil && !o.asked.IsZero() && l.endedWith(o):
		return far
	case !l.asked.IsZero():
		return near
	case l.late: // it may have been asked for before we came
		return ""
	}
	return attach.BySwitch
}

// endedWith: this leg ended because the other one did. A phone's refusal did not end it if the dialplan went on to
// something that answered, or to somebody who did not.
func (l *leg) endedWith(o *leg) bool {
	switch {
	case !l.bridged.IsZero():
		return true
	case l.placed: // it rang for a caller who has gone
		return l.answered.IsZero()
	}
	return l.answered.IsZero() || l.inVain()
}

// inVain: the switch itself had answered, and the callee who was rung then did not.
func (l *leg) inVain() bool {
	return !l.placed && l.bridged.IsZero() && l.answered.Before(l.tried)
}

// ring is how long it rang at the callee's. An answer that came before the ringing did not end it.
func (l *leg) ring(now time.Time) time.Duration {
	if l.rang.IsZero() {
		return 0
	}
	for _, to := range []time.Time{l.answered, l.bridged} {
		if !to.IsZero() && !to.Before(l.rang) {
			return attach.Span(to.Sub(l.rang))
		}
	}
	return attach.Span(now.Sub(l.rang))
}

func (l *leg) talk(now time.Time, answered bool) time.Duration {
	from := l.answered
	if !answered || from.IsZero() {
		return 0
	}
	if (l.rang.IsZero() || from.Before(l.rang)) && l.bridged.After(from) {
		from = l.bridged
	}
	return attach.Span(now.Sub(from))
}

// why is the cause in FreeSWITCH's words, so that the journal has one vocabulary. Of a caller who was not answered
// Asterisk itself says the dialplan's cause; here it is the callee's.
func (l *leg) why(e *attach.CallEnd) string {
	cause := l.cause
	if e.Answered {
		if cause == 0 {
			cause = 16
		}
		return causeName(cause)
	}
	switch {
	case e.By == attach.ByCaller:
		return "ORIGINATOR_CANCEL"
	case e.By == attach.ByCallee && !l.placed:
		if l.other.cause != 0 {
			cause = l.other.cause
		}
	case cause == 26:
		return "LOSE_RACE" // another phone was quicker
	case e.By == attach.BySwitch && l.status == "NOANSWER":
		cause = 19
	}
	return causeName(cause)
}

// causeName is a cause of Q.850 in FreeSWITCH's words (switch_types.h).
func causeName(cause int) string {
	if name, ok := causes[cause]; ok {
		return name
	}
	return "NORMAL_UNSPECIFIED"
}

var causes = map[int]string{
	0: "NONE", 1: "UNALLOCATED_NUMBER", 2: "NO_ROUTE_TRANSIT_NET", 3: "NO_ROUTE_DESTINATION", 6: "CHANNEL_UNACCEPTABLE",
	7: "CALL_AWARDED_DELIVERED", 16: "NORMAL_CLEARING", 17: "USER_BUSY", 18: "NO_USER_RESPONSE", 19: "NO_ANSWER",
	20: "SUBSCRIBER_ABSENT", 21: "CALL_REJECTED", 22: "NUMBER_CHANGED", 23: "REDIRECTION_TO_NEW_DESTINATION",
	25: "EXCHANGE_ROUTING_ERROR", 27: "DESTINATION_OUT_OF_ORDER", 28: "INVALID_NUMBER_FORMAT", 29: "FACILITY_REJECTED",
	30: "RESPONSE_TO_STATUS_ENQUIRY", 31: "NORMAL_UNSPECIFIED", 34: "NORMAL_CIRCUIT_CONGESTION", 38: "NETWORK_OUT_OF_ORDER",
	41: "NORMAL_TEMPORARY_FAILURE", 42: "SWITCH_CONGESTION", 43: "ACCESS_INFO_DISCARDED", 44: "REQUESTED_CHAN_UNAVAIL",
	50: "FACILITY_NOT_SUBSCRIBED", 52: "OUTGOING_CALL_BARRED", 54: "INCOMING_CALL_BARRED", 57: "BEARERCAPABILITY_NOTAUTH",
	58: "BEARERCAPABILITY_NOTAVAIL", 65: "BEARERCAPABILITY_NOTIMPL", 66: "CHAN_NOT_IMPLEMENTED", 69: "FACILITY_NOT_IMPLEMENTED",
	81: "INVALID_CALL_REFERENCE", 88: "INCOMPATIBLE_DESTINATION", 95: "INVALID_MSG_UNSPECIFIED", 96: "MANDATORY_IE_MISSING",
	97: "MESSAGE_TYPE_NONEXIST", 98: "WRONG_MESSAGE", 99: "IE_NONEXIST", 100: "INVALID_IE_CONTENTS", 101: "WRONG_CALL_STATE",
	102: "RECOVERY_ON_TIMER_EXPIRE", 103: "MANDATORY_IE_LENGTH_ERROR", 111: "PROTOCOL_ERROR", 127: "INTERWORKING",
}
