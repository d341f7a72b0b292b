package standin

import (
	"strconv"
	"time"
)

// origin is where in FreeSWITCH's source an event comes from; the wire says so.
type origin struct {
	file, function, line string
}

var origins = map[string]origin{
	"CHANNEL_DATA":             {"mod_event_socket.c", "parse_command", "2029"},
	"CHANNEL_EXECUTE":          {"switch_core_session.c", "switch_core_session_exec", "2949"},
	"CHANNEL_EXECUTE_COMPLETE": {"switch_core_session.c", "switch_core_session_exec", "2972"},
	"CHANNEL_ANSWER":           {"switch_channel.c", "switch_channel_perform_mark_answered", "3848"},
	"CHANNEL_PROGRESS":         {"switch_channel.c", "switch_channel_perform_ring_ready_value", "3500"},
	"CHANNEL_PROGRESS_MEDIA":   {"switch_channel.c", "switch_channel_perform_mark_pre_answered", "3600"},
	"CHANNEL_HANGUP":           {"switch_channel.c", "switch_channel_perform_hangup", "3447"},
	"CHANNEL_PARK":             {"switch_ivr.c", "switch_ivr_park", "1002"},
	"CHANNEL_UNPARK":           {"switch_ivr.c", "switch_ivr_park", "1213"},
	"CHANNEL_STATE":            {"switch_channel.c", "switch_channel_perform_set_running_state", "2409"},
	"CHANNEL_HANGUP_COMPLETE":  {"switch_core_state_machine.c", "switch_core_session_reporting_state", "943"},
	"BACKGROUND_JOB":           {"mod_event_socket.c", "api_exec", "1572"},
}

// eventHead begins an event.
func (s *Switch) eventHead(name string) headers {
	now := time.Now()
	from := origins[name]
	var h headers
	for _, x := range []Header{
		{"Event-Name", name},
		{"Core-UUID", s.coreUUID()},
		{"FreeSWITCH-Hostname", "standin"},
		{"FreeSWITCH-Switchname", "standin"},
		{"FreeSWITCH-IPv4", "127.0.0.1"},
		{"FreeSWITCH-IPv6", "::1"},
		{"Event-Date-Local", now.Format("2006-01-02 15:04:05")},
		{"Event-Date-GMT", now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")},
		{"Event-Date-Timestamp", micros(now)},
		{"Event-Calling-File", from.file},
		{"Event-Calling-Function", from.function},
		{"Event-Calling-Line-Number", from.line},
		{"Event-Sequence", strconv.FormatUint(s.events.Add(1), 10)},
	} {
		h.add(x.Name, x.Value)
	}
	return h
}

// addProfile adds the caller profile under a prefix. What is empty is left out.
func (ch *channel) addProfile(h *headers, prefix string) {
	p := &ch.profile
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return "0"
		}
		return micros(t)
	}
	var hungUp time.Time
	if ch.callState == "HANGUP" {
		hungUp = ch.downAt
	}
	for _, x := range []Header{
		{"-Direction", "inbound"},
		{"-Logical-Direction", "inbound"},
		{"-Username", p.username},
		{"-Dialplan", "XML"},
		{"-Caller-ID-Name", p.name},
		{"-Caller-ID-Number", p.number},
		{"-Orig-Caller-ID-Name", p.name},
		{"-Orig-Caller-ID-Number", p.number},
		{"-Network-Addr", p.addr},
		{"-ANI", p.username},
		{"-Destination-Number", p.to},
		{"-Unique-ID", ch.uuid},
		{"-Source", "mod_sofia"},
		{"-Context", p.context},
		{"-Channel-Name", p.channelName},
		{"-Profile-Index", "1"},
		{"-Profile-Created-Time", stamp(ch.created)},
		{"-Channel-Created-Time", stamp(ch.created)},
		{"-Channel-Answered-Time", stamp(ch.answered)},
		{"-Channel-Progress-Time", "0"},
		{"-Channel-Progress-Media-Time", stamp(ch.early)},
		{"-Channel-Hangup-Time", stamp(hungUp)},
		{"-Channel-Transfer-Time", "0"},
		{"-Channel-Resurrect-Time", "0"},
		{"-Channel-Bridged-Time", "0"},
		{"-Channel-Last-Hold", "0"},
		{"-Channel-Hold-Accum", "0"},
		{"-Screen-Bit", strconv.FormatBool(p.screened)},
		{"-Privacy-Hide-Name", strconv.FormatBool(p.hideName)},
		{"-Privacy-Hide-Number", strconv.FormatBool(p.hideNumber)},
	} {
		if x.Value != "" {
			h.add(prefix+x.Name, x.Value)
		}
	}
}

// addState adds what an event says of the channel itself.
func (ch *channel) addState(h *headers) {
	answerState := "ringing"
	switch {
	case ch.down:
		answerState = "hangup"
	case !ch.answered.IsZero():
		answerState = "answered"
	case !ch.early.IsZero():
		answerState = "early"
	}
	state, number := ch.state, "4"
	switch {
	case state == "CS_REPORTING":
		number = "11"
	case ch.down:
		number = "10" // where it is going; the name is where it still is
	}
	h.add("Channel-State", state)
	h.add("Channel-Call-State", ch.callState)
	h.add("Channel-State-Number", number)
	h.add("Channel-Name", ch.profile.channelName)
	h.add("Unique-ID", ch.uuid)
	h.add("Call-Direction", "inbound")
	h.add("Presence-Call-Direction", "inbound")
	h.add("Channel-HIT-Dialplan", "true")
	h.add("Channel-Call-UUID", ch.uuid)
	h.add("Answer-State", answerState)
	if ch.down {
		h.add("Hangup-Cause", ch.cause.name)
	}
	for _, way := range []string{"Read", "Write"} {
		h.add("Channel-"+way+"-Codec-Name", "PCMU")
		h.add("Channel-"+way+"-Codec-Rate", "8000")
		h.add("Channel-"+way+"-Codec-Bit-Rate", "64000")
	}
}

func (ch *channel) addVariables(h *headers) {
	for _, v := range ch.vars.list {
		h.add("variable_"+v.Name, v.Value)
	}
}

// connectReply is the answer to `connect`.
func (ch *channel) connectReply() []byte {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	h := ch.sw.eventHead("CHANNEL_DATA")
	ch.addProfile(&h, "Channel")
	ch.addState(&h)
	ch.addProfile(&h, "Caller")
	ch.addVariables(&h)
	for _, x := range ch.call.Headers {
		h.add(x.Name, x.Value)
	}
	mode, control := "static", "full"
	if ch.call.Async {
		mode = "async"
	}
	if ch.call.NotFull {
		control = "single-channel"
	}
	h.add("Content-Type", "command/reply")
	h.add("Reply-Text", "+OK\n")
	h.add("Socket-Mode", mode)
	h.add("Control", control)
	return h.text()
}

// event sends an event to the peer if it asked for such events.
func (ch *channel) event(name string, more ...Header) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.eventLocked(name, more...)
}

func (ch *channel) eventLocked(name string, more ...Header) {
	if ch.listener == nil || !ch.listener.wants(name) {
		return
	}
	h := ch.sw.eventHead(name)
	if name == "CHANNEL_HANGUP_COMPLETE" {
		h.add("Hangup-Cause", ch.cause.name)
	}
	ch.addState(&h)
	ch.addProfile(&h, "Caller")
	if name != "CHANNEL_STATE" {
		ch.addVariables(&h)
	}
	for _, x := range more {
		if x.Value != "" {
			h.add(x.Name, x.Value)
		}
	}
	ch.listener.deliver(h.text())
}

// lastEventsLocked are the events after a hangup, when the channel's thread has left the dialplan.
func (ch *channel) lastEventsLocked() {
	ch.state = "CS_HANGUP"
	ch.eventLocked("CHANNEL_STATE")
	ch.state, ch.callState = "CS_REPORTING", "HANGUP"
	ch.eventLocked("CHANNEL_STATE")
	ch.detailsLocked()
	ch.eventLocked("CHANNEL_HANGUP_COMPLETE")
}

// detailsLocked sets the variables of the call detail record. The counters of
// the media streams, which follow them on the real switch, are left out.
func (ch *channel) detailsLocked() {
	q850 := "16"
	if ch.cause.number < 128 {
		q850 = strconv.Itoa(ch.cause.number)
	}
	lastApp, _ := ch.vars.get("current_application")
	lastArg, _ := ch.vars.get("current_application_data")
	second := func(t time.Time) string { return t.Format("2006-01-02 15:04:05") }
	epoch := func(t time.Time) string {
		if t.IsZero() {
			return "0"
		}
		return strconv.FormatInt(t.Unix(), 10)
	}
	uepoch := func(t time.Time) string {
		if t.IsZero() {
			return "0"
		}
		return micros(t)
	}
	set := ch.vars.set
	set("hangup_cause", ch.cause.name)
	set("hangup_cause_q850", q850)
	set("digits_dialed", "none")
	set("start_stamp", second(ch.created))
	set("profile_start_stamp", second(ch.created))
	if !ch.answered.IsZero() {
		set("answer_stamp", second(ch.answered))
	}
	set("end_stamp", second(ch.downAt))
	for _, x := range []struct {
		name string
		at   time.Time
	}{
		{"start", ch.created},
		{"profile_start", ch.created},
		{"answer", ch.answered},
		{"bridge", time.Time{}},
		{"last_hold", time.Time{}},
	} {
		set(x.name+"_epoch", epoch(x.at))
		set(x.name+"_uepoch", uepoch(x.at))
	}
	set("hold_accum_seconds", "0")
	set("hold_accum_usec", "0")
	set("hold_accum_ms", "0")
	for _, x := range []struct {
		name string
		at   time.Time
	}{
		{"resurrect", time.Time{}}, {"progress", time.Time{}}, {"progress_media", ch.early}, {"end", ch.downAt},
	} {
		set(x.name+"_epoch", epoch(x.at))
		set(x.name+"_uepoch", uepoch(x.at))
	}
	set("last_app", lastApp)
	set("last_arg", lastArg)
	set("caller_id", `"`+ch.profile.name+`" <`+ch.profile.number+`>`)
	ch.durationsLocked()
}

// durationsLocked sets how long the call took, in each of the units that the switch has.
func (ch *channel) durationsLocked() {
	set := ch.vars.set
	total := ch.downAt.Sub(ch.created)
	var billed, untilAnswer, flow time.Duration
	if !ch.answered.IsZero() {
		billed, untilAnswer, flow = ch.downAt.Sub(ch.answered), ch.answered.Sub(ch.created), total
	}
	for _, unit := range []struct {
		name, duration string
		of             time.Duration
	}{
		{"sec", "duration", time.Second},
		{"msec", "mduration", time.Millisecond},
		{"usec", "uduration", time.Microsecond},
	} {
		in := func(d time.Duration) string { return strconv.FormatInt(int64(d/unit.of), 10) }
		set(unit.duration, in(total))
		set("bill"+unit.name, in(billed))
		set("progress"+unit.name, "0")
		set("answer"+unit.name, in(untilAnswer))
		set("wait"+unit.name, "0")
		set("progress_media"+unit.name, "0")
		set("flow_bill"+unit.name, in(flow))
	}
}
