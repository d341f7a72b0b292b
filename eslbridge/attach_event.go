package eslbridge

import (
	"strings"
	"time"

	"ringfence/attach"
)

// The rules for CallEnd's Answered, Ring, Talk and By were found on recorded calls (testdata/events).

// marks are the parts of an event that a CallEnd is worked out from. Texts are as sent; times are microseconds since
// 1970, 0 for what did not happen.
type marks struct {
	created, answered, progress, early, bridged, hungup, fired int64

	disposition string // "sip_hangup_disposition": who sent what at the end
	originate   string // "originate_disposition": how ringing the callee ended, the last one if several
	otherCause  string // "last_bridge_hangup_cause": the other leg ended first, or while it rang
	otherSIP    string // "last_bridge_proto_specific_hangup_cause": it did so by itself, with this SIP status
	otherName   string // "bridge_channel": the other leg's name, with its kind in front
	lastApp     string // "last_app"
}

// callEnd takes the lines of an event as they arrive. Of two headers with one name the first counts.
type callEnd struct {
	name string // of the event
	e    attach.CallEnd
	m    marks

	otherLeg, originator string
}

func (c *callEnd) line(name, raw []byte) {
	if raw == nil {
		return
	}
	if p := place(&c.e, name); p != nil {
		if *p == "" {
			*p = text(raw)
		}
		return
	}
	if p := c.m.time(name); p != nil {
		if *p == 0 {
			*p = microseconds(raw)
		}
		return
	}
	if p := c.m.text(name); p != nil {
		if *p == "" {
			*p = text(raw)
		}
		return
	}
	switch string(name) {
	case "Event-Name":
		c.name = text(raw)
	case "Call-Direction":
		c.e.Inbound = string(raw) == "inbound"
	case "Other-Leg-Direction":
		c.e.FromCaller = string(raw) == "inbound"
	case "Caller-Privacy-Hide-Number":
		c.e.Withheld = string(raw) == "true"
	case "variable_ringfence_guard":
		c.e.Guard = string(raw) == "fired"
	case "Other-Leg-Unique-ID":
		c.otherLeg = text(raw)
	case "variable_originator":
		c.originator = text(raw)
	}
}

// end is the end of the call that a CHANNEL_HANGUP_COMPLETE event tells. ok is false when it names no call.
func (c *callEnd) end(name string) (e attach.CallEnd, ok bool) {
	e, m, otherLeg, originator := c.e, &c.m, c.otherLeg, c.originator
	e.Switch = name
	if e.OtherUUID == "" {
		e.OtherUUID = otherLeg
	}
	if e.OtherUUID == "" {
		e.OtherUUID = originator
	}
	if m.hungup == 0 {
		m.hungup = m.fired
	}
	e.FromCaller = e.FromCaller && !e.Inbound
	e.Started, e.Ended = instant(m.created), instant(m.hungup)
	e.Bridged = m.bridged != 0
	e.By = m.by(&e)
	e.Answered = m.answered != 0 && e.By != attach.ByRingfence && !m.inVain(&e)
	e.Ring = m.ring(&e)
	e.Talk = m.talk(&e)
	return e, e.UUID != ""
}

// place says which text of the CallEnd a header holds, nil if none.
func place(e *attach.CallEnd, name []byte) *string {
	switch string(name) {
	case "Unique-ID":
		return &e.UUID
	case "Hangup-Cause":
		return &e.Cause
	case "Caller-Context":
		return &e.Context
	case "Caller-Caller-ID-Number":
		return &e.Caller
	case "Caller-Caller-ID-Name":
		return &e.CallerName
	case "Caller-Destination-Number":
		return &e.Callee
	case "Other-Leg-Caller-ID-Number":
		return &e.OtherCaller
	case "Other-Leg-Destination-Number":
		return &e.OtherCallee
	case "variable_bridge_uuid":
		return &e.OtherUUID
	case "variable_sofia_profile_name":
		return &e.Profile
	case "variable_sip_gateway_name", "variable_sip_gateway":
		return &e.Gateway
	case "variable_sip_req_user":
		return &e.ReqUser
	case "variable_sip_from_user":
		return &e.FromUser
	case "variable_sip_auth_username":
		return &e.AuthUser
	case "variable_sip_auth_realm":
		return &e.AuthRealm
	case "variable_domain_name":
		return &e.Domain
	case "variable_outbound_caller_id_number":
		return &e.Outbound
	case "variable_sip_network_ip":
		return &e.NetworkIP
	case "variable_sip_cid_type":
		return &e.IDSource
	case "variable_sip_P-Asserted-Identity":
		return &e.Asserted
	case "variable_sip_P-Preferred-Identity":
		return &e.Preferred
	case "variable_sip_Remote-Party-ID":
		return &e.RemoteID
	case "variable_sip_history_info":
		return &e.History
	case "variable_dialed_user":
		return &e.DialledUser
	case "variable_dialed_domain":
		return &e.DialledRealm
	case "variable_ringfence_id":
		return &e.RingfenceID
	case "variable_ringfence_line":
		return &e.Line
	case "variable_ringfence_trunk":
		return &e.Trunk
	case "variable_ringfence_action":
		return &e.Action
	}
	if isDiversion(name) {
		return &e.Diversion
	}
	return nil
}

// text says which text a header holds, nil if none.
func (m *marks) text(name []byte) *string {
	switch string(name) {
	case "variable_sip_hangup_disposition":
		return &m.disposition
	case "variable_originate_disposition":
		return &m.originate
	case "variable_last_bridge_hangup_cause":
		return &m.otherCause
	case "variable_last_bridge_proto_specific_hangup_cause":
		return &m.otherSIP
	case "variable_bridge_channel":
		return &m.otherName
	case "variable_last_app":
		return &m.lastApp
	}
	return nil
}

// time says which time a header holds, nil if none.
func (m *marks) time(name []byte) *int64 {
	switch string(name) {
	case "Caller-Channel-Created-Time":
		return &m.created
	case "Caller-Channel-Answered-Time":
		return &m.answered
	case "Caller-Channel-Progress-Time":
		return &m.progress
	case "Caller-Channel-Progress-Media-Time":
		return &m.early
	case "Caller-Channel-Bridged-Time":
		return &m.bridged
	case "Caller-Channel-Hangup-Time":
		return &m.hungup
	case "Event-Date-Timestamp":
		return &m.fired
	}
	return nil
}

// by says who ended the call. sip_hangup_disposition tells what this leg received or was sent. Where the
// switch sent the end, either the other leg had ended by itself, which leaves its SIP status here, or the
// switch had a reason of its own (mod_sofia.c, sofia_on_hangup; switch_channel.c, switch_channel_perform_hangup).
func (m *marks) by(e *attach.CallEnd) string {
	near, far := attach.ByCaller, attach.ByCallee
	if !e.Inbound {
		near, far = far, near
	}
	switch m.disposition {
	case "recv_bye", "recv_cancel", "recv_refuse":
		return near
	case "send_bye", "send_cancel", "send_refuse":
	default:
		return ""
	}
	switch {
	case m.endedByUs(e):
		return attach.ByRingfence
	case m.otherLeft(e):
		return far
	}
	return attach.BySwitch
}

// endedByUs: the screening uses `respond`, or CALL_REJECTED where the call was answered, before any callee
// was tried.
func (m *marks) endedByUs(e *attach.CallEnd) bool {
	switch e.Action {
	case "reject", "warn", "challenge":
	default:
		return false
	}
	return e.RingfenceID != "" && m.originate == "" && m.bridged == 0 &&
		(m.lastApp == "respond" || e.Cause == "CALL_REJECTED")
}

// otherLeft: the other leg ended first and by itself.
func (m *marks) otherLeft(e *attach.CallEnd) bool {
	switch {
	case m.bridged != 0 && m.otherName != "" && !strings.HasPrefix(m.otherName, "sofia/"):
		// A leg that is not SIP leaves no status. LOSE_RACE is of one that another one beat to the answer.
		return m.otherCause != "" && m.otherCause != "LOSE_RACE"
	case m.bridged != 0:
		// Another status is of a phone that had refused before the one that answered.
		return m.otherSIP == "sip:200"
	case e.Inbound:
		// A phone's refusal ended this leg only if the cause is the same: else the dialplan went on.
		return m.otherSIP != "" && m.originate == e.Cause
	}
	return m.otherSIP != ""
}

// inVain: the switch itself had answered, and the callee who was rung then did not.
func (m *marks) inVain(e *attach.CallEnd) bool {
	if m.originate == "" || m.bridged != 0 {
		return false
	}
	return m.answered < m.progress || m.originate == e.Cause
}

// rang is when the callee's phone began to ring. What is heard before an answer is ringing only if there is
// a phone that could ring: on an inbound leg it may be an announcement.
func (m *marks) rang(e *attach.CallEnd) int64 {
	if m.progress != 0 {
		return m.progress
	}
	if m.originate != "" || !e.Inbound {
		return m.early
	}
	return 0
}

func (m *marks) ring(e *attach.CallEnd) time.Duration {
	from := m.rang(e)
	for _, to := range []int64{m.answered, m.bridged} {
		if to != 0 && to >= from { // an answer that came before the ringing did not end it
			return span(from, to)
		}
	}
	return span(from, m.hungup)
}

func (m *marks) talk(e *attach.CallEnd) time.Duration {
	if !e.Answered {
		return 0
	}
	from := m.answered
	if rang := m.rang(e); rang == 0 || from < rang {
		from = max(from, m.bridged)
	}
	return span(from, m.hungup)
}

// span is the time between two marks, 0 if one is missing or the clock went back.
func span(from, to int64) time.Duration {
	if from == 0 || to <= from {
		return 0
	}
	return attach.Span(time.Duration(min(to-from, attach.LongestCall.Microseconds())) * time.Microsecond)
}

func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us)
}

// microseconds reads a time of the switch, 0 for anything but 1 to 16 digits (up to the year 2286).
func microseconds(raw []byte) int64 {
	if len(raw) == 0 || len(raw) > 16 {
		return 0
	}
	var n int64
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// text decodes a value and cuts it to attach.MaxText bytes.
func text(raw []byte) string {
	if long := 3 * (attach.MaxText + 1); len(raw) > long {
		raw = raw[:long] // still more than attach.MaxText when decoded
	}
	return attach.Cut(decode(raw))
}
