package standin

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// pollEvery is how often the switch looks after a parked channel, and a
// listener after its events (mod_event_socket, switch_ivr_park). It is the
// floor of every reaction in async mode.
const pollEvery = 20 * time.Millisecond

// guardTask is the scheduler's number of the guard that the dialplan has set.
const guardTask = "1"

// place says where a channel is.
type place int

const (
	inSocket place = iota // in the socket application
	goneOn                // back in its extension: the handset rings
	taken                 // at the guard's destination, bridged
	sentAway              // transferred by the peer
	stranded              // parked or in reset, with nobody to fetch it
)

// channel is one call inside the switch. Three run at it: the channel's own
// thread (in sync mode the listener is that thread), the listener, and timers.
type channel struct {
	sw      *Switch
	call    Call
	number  uint64 // among the switch's calls
	uuid    string
	created time.Time
	begun   time.Time // the socket was connected

	mu        sync.Mutex // guards all that follows
	profile   profile
	vars      headers
	res       Result
	where     place
	state     string    // as in the header Channel-State
	callState string    // as in Channel-Call-State
	early     time.Time // 183 was sent
	answered  time.Time // 200 was sent
	down      bool      // hung up
	downAt    time.Time
	cause     cause
	respond   int           // status given to the application respond
	phrase    string        // its phrase
	reset     bool          // the listener's end put the channel into reset
	served    bool          // the parked channel has run an application
	stop      chan struct{} // closed when whatever plays has to end
	queue     []*packet     // sent by sendmsg in async mode, not yet looked at
	tasks     map[string]*time.Timer
	lastTask  int
	listener  *listener

	breaks chan struct{} // breaks off what plays; nobody takes it while nothing does
	broken atomic.Bool   // what played last was broken off

	wake  chan struct{} // has the channel's thread look now
	ended chan struct{} // closed when a hung up async channel has sent its last events
}

func (s *Switch) newChannel(c Call) *channel {
	ch := &channel{
		sw:        s,
		number:    s.calls.Add(1),
		call:      c,
		uuid:      newUUID(),
		created:   time.Now(),
		stop:      make(chan struct{}),
		breaks:    make(chan struct{}),
		wake:      make(chan struct{}, 1),
		ended:     make(chan struct{}),
		tasks:     make(map[string]*time.Timer),
		state:     "CS_EXECUTE",
		callState: "RINGING",
	}
	ch.profile, ch.vars = ch.call.invite(ch.number, ch.uuid, s.Address)
	ch.res.UUID = ch.uuid
	ch.res.Vars = make(map[string]string)
	if c.Answered {
		ch.answer()
	}
	return ch
}

// get reads a channel variable, or a field of the caller profile where there is none.
func (ch *channel) get(name string) string {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.getLocked(name)
}

func (ch *channel) getLocked(name string) string {
	if v, ok := ch.vars.get(name); ok {
		return v
	}
	p := &ch.profile
	switch name {
	case "username", "ani":
		return p.username
	case "caller_id_name", "orig_caller_id_name":
		return p.name
	case "caller_id_number", "orig_caller_id_number":
		return p.number
	case "network_addr":
		return p.addr
	case "destination_number":
		return p.to
	case "context":
		return p.context
	case "dialplan":
		return "XML"
	case "source":
		return "mod_sofia"
	case "chan_name":
		return p.channelName
	case "privacy_hide_name":
		return strconv.FormatBool(p.hideName)
	case "privacy_hide_number":
		return strconv.FormatBool(p.hideNumber)
	}
	return ""
}

// setByPeer sets a channel variable on the peer's behalf.
func (ch *channel) setByPeer(name, value string) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.vars.set(name, value)
	if value == "" {
		delete(ch.res.Vars, name)
	} else {
		ch.res.Vars[name] = value
	}
}

func (ch *channel) set(name, value string) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.vars.set(name, value)
}

func (ch *channel) setAll(list ...Header) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for _, x := range list {
		ch.vars.set(x.Name, x.Value)
	}
}

// fault records what no peer should do.
func (ch *channel) fault(format string, args ...any) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.faultLocked(format, args...)
}

func (ch *channel) faultLocked(format string, args ...any) {
	if len(ch.res.ProtocolErrors) < 100 {
		ch.res.ProtocolErrors = append(ch.res.ProtocolErrors, fmt.Sprintf(format, args...))
	}
}

// isTrue is the switch's reading of a true value.
func isTrue(s string) bool {
	switch strings.ToLower(s) {
	case "yes", "on", "true", "t", "enabled", "active", "allow":
		return true
	}
	n, err := strconv.Atoi(s)
	return err == nil && n != 0
}

// ready reports whether applications may go on: not hung up, not on its way elsewhere.
func (ch *channel) ready() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return !ch.down && !ch.reset && ch.where != sentAway
}

func (ch *channel) isDown() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.down
}

// stopped is closed when whatever plays on the channel has to end.
func (ch *channel) stopped() <-chan struct{} {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.stop
}

func (ch *channel) stopLocked() {
	if !closed(ch.stop) {
		close(ch.stop)
	}
}

// wait lets playing or sleeping time pass, faster at a higher speed. It
// reports how much of it passed before the channel was stopped.
func (ch *channel) wait(d time.Duration) time.Duration {
	if !ch.ready() {
		return 0
	}
	start := time.Now()
	t := time.NewTimer(ch.sw.scaled(d))
	defer t.Stop()
	select {
	case <-t.C:
		return d
	case <-ch.stopped():
	case <-ch.breaks:
		ch.broken.Store(true)
	}
	return min(d, time.Duration(float64(time.Since(start))*ch.sw.speed()))
}

// preAnswer sends 183 and opens the way for sound.
func (ch *channel) preAnswer() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.down || !ch.early.IsZero() || !ch.answered.IsZero() {
		return
	}
	ch.early, ch.res.EarlyMedia = time.Now(), true
	ch.mediaLocked()
	ch.vars.set("endpoint_disposition", "EARLY MEDIA")
	ch.eventLocked("CHANNEL_PROGRESS_MEDIA")
	ch.callState = "EARLY"
}

// answer sends 200.
func (ch *channel) answer() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.down || !ch.answered.IsZero() {
		return
	}
	if ch.early.IsZero() {
		ch.mediaLocked()
	}
	ch.answered, ch.res.Answered = time.Now(), true
	ch.eventLocked("CHANNEL_ANSWER")
	ch.callState = "ACTIVE"
	ch.vars.set("endpoint_disposition", "ANSWER")
	// What the caller's ACK brings.
	toTag := randomHex(6)
	ch.vars.set("sip_to_tag", toTag)
	for _, name := range []string{"sip_from_tag", "sip_cseq", "sip_call_id", "sip_full_via", "sip_from_display", "sip_full_from", "sip_full_to"} {
		value, _ := ch.vars.get(name)
		switch name {
		case "sip_cseq":
			value = "1"
		case "sip_full_to":
			value += ";tag=" + toTag
		}
		ch.vars.set(name, value)
	}
}

func (ch *channel) mediaLocked() {
	port := strconv.Itoa(16384 + int(ch.number%8000)*2)
	remoteIP, _ := ch.vars.get("remote_media_ip")
	remotePort, _ := ch.vars.get("remote_media_port")
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	for _, x := range []Header{
		{"rtp_local_sdp_str", "v=0\r\no=FreeSWITCH " + stamp + " " + stamp + " IN IP4 127.0.0.1\r\ns=FreeSWITCH\r\n" +
			"c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio " + port + " RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"},
		{"local_media_ip", "127.0.0.1"},
		{"local_media_port", port},
		{"advertised_media_ip", "127.0.0.1"},
		{"rtp_use_timer_name", "soft"},
		{"rtp_use_pt", "0"},
		{"rtp_use_ssrc", "42126249"},
		{"remote_media_ip", remoteIP},
		{"remote_media_port", remotePort},
	} {
		ch.vars.set(x.Name, x.Value)
	}
}

// hangup ends the call. While it is unanswered the caller gets the status of
// `respond` if there was one, else that of the cause.
func (ch *channel) hangup(c cause) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.hangupLocked(c)
}

func (ch *channel) hangupLocked(c cause) {
	if ch.down {
		return
	}
	ch.down, ch.downAt, ch.cause = true, time.Now(), c
	r := &ch.res
	r.Cause = c.name
	switch {
	case ch.where == taken || ch.where == goneOn:
		// The handset rang: what the caller got was settled with it.
	case !ch.answered.IsZero():
		r.SIP, r.Phrase = 200, "OK"
	case ch.respond != 0:
		r.SIP, r.Phrase = ch.respond, ch.phrase
	default:
		r.SIP = c.status()
		r.Phrase = phraseOf(r.SIP)
	}
	ch.eventLocked("CHANNEL_HANGUP")
	ch.stopLocked()
}

// giveUp is the caller's CANCEL, or BYE once the call is answered. It is of
// no interest any more when the daemon has let go of the call.
func (ch *channel) giveUp() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.down || ch.where == goneOn || ch.where == stranded || ch.where == sentAway {
		return
	}
	ch.res.Cancelled = ch.where == inSocket
	name, status, disposition := "ORIGINATOR_CANCEL", "487", "recv_cancel"
	termCause := "487"
	if ch.answered.IsZero() {
		ch.vars.set("sip_hangup_disposition", disposition)
		ch.vars.set("sip_invite_failure_status", status)
		ch.vars.set("sip_invite_failure_phrase", "CANCEL")
	} else {
		name, status, disposition, termCause = "NORMAL_CLEARING", "200", "recv_bye", "16"
	}
	ch.vars.set("sip_term_status", status)
	ch.vars.set("proto_specific_hangup_cause", "sip:"+status)
	ch.vars.set("sip_term_cause", termCause)
	ch.hangupLocked(causeOf(name))
	if disposition == "recv_bye" {
		ch.vars.set("sip_hangup_disposition", disposition)
	}
}

// schedule sets a task that takes the call away, and returns its number.
func (ch *channel) schedule(after time.Duration) string {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.lastTask++
	id := strconv.Itoa(ch.lastTask)
	ch.tasks[id] = time.AfterFunc(after, func() { ch.fire(id) })
	return id
}

// unschedule removes a task, or every task of the call if id is its UUID.
func (ch *channel) unschedule(id string) (removed int) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	for n, t := range ch.tasks {
		if n == id || id == ch.uuid {
			t.Stop()
			delete(ch.tasks, n)
			removed++
		}
	}
	return removed
}

// fire is a scheduled transfer coming due: from wherever the call is but the
// extension it had gone on in, where the dialplan has cancelled it.
func (ch *channel) fire(id string) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if _, pending := ch.tasks[id]; !pending {
		return
	}
	delete(ch.tasks, id)
	if ch.down || ch.where == goneOn || ch.where == taken || !ch.call.Async {
		return
	}
	ch.where = taken
	ch.res.GuardFired, ch.res.Rang, ch.res.Stuck = true, true, false
	ch.res.Took = time.Since(ch.begun)
	ch.stopLocked()
	ch.nudge()
}

func (ch *channel) tookLocked() {
	if ch.res.Took == 0 {
		ch.res.Took = time.Since(ch.begun)
	}
}
