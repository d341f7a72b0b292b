package attach

import (
	"time"
	"unicode/utf8"
)

// CallEnd is what a switch says of one leg of a call when it is over. Both legs of a bridged call end, each with a
// CallEnd of its own, in either order. Any text may be the caller's own, or that of whoever was called; each is cut
// at MaxText bytes. Names in quotes are FreeSWITCH's headers; package ami says what stands for them on Asterisk.
type CallEnd struct {
	Switch    string // Options.Name
	UUID      string // "Unique-ID"; on Asterisk the Uniqueid
	OtherUUID string // the leg it was bridged to last, else the one that it rang or that rang it; "" if none

	// The names of both channels, of Asterisk alone: two Asterisks may give the same Uniqueid, and a caller can
	// write one, but not the name of a channel.
	Channel, OtherChannel string

	// Inbound is "Call-Direction: inbound": somebody called the switch with this leg, from a trunk or from a
	// phone of the house. Else the switch placed it, to a phone or to a trunk. It says nothing of in and out
	// of the house.
	Inbound bool
	Context string // "Caller-Context"
	Profile string // "sofia_profile_name"
	Gateway string // "sip_gateway_name" of a leg that went out through one, "sip_gateway" of one that came in

	// Of Asterisk: the context of the calls that the leg's endpoint makes, by its configuration; "" where that was not heard. FromContext is
	// that of the leg that called.
	Home, FromContext string

	// Of Asterisk, the endpoints that this leg and the one that called belong to: NAME in PJSIP/NAME-0000001f. The
	// administrator gives the names. On a leg that came in both are the same.
	Endpoint, FromEndpoint string

	Caller     string // "Caller-Caller-ID-Number"; of a leg placed by the switch, the number shown to the callee
	CallerName string // "Caller-Caller-ID-Name"
	Withheld   bool   // "Caller-Privacy-Hide-Number"; Asterisk's events do not say
	Callee     string // "Caller-Destination-Number": where the call was sent last, after transfers
	ReqUser    string // "sip_req_user": what was dialled at first; inbound SIP legs only
	FromUser   string // "sip_from_user"
	AuthUser   string // "sip_auth_username": the phone's account, where the switch had it show its password

	NetworkIP string // "sip_network_ip": where the call came from
	IDSource  string // "sip_cid_type"; this and the next five as in the facts of a call that is screened
	Asserted  string // "sip_P-Asserted-Identity"
	Preferred string // "sip_P-Preferred-Identity"
	RemoteID  string // "sip_Remote-Party-ID"
	Diversion string // "sip_h_Diversion"
	History   string // "sip_history_info"
	AuthRealm string // "sip_auth_realm": of two tenants each may have an account of the same name
	Domain    string // "domain_name": the domain of that account, unless the dialplan has set another
	Outbound  string // "outbound_caller_id_number": what the switch's directory has that account show outside

	DialledUser  string // "dialed_user": the account that a leg rang, where the dialplan rang user/ACCOUNT
	DialledRealm string // "dialed_domain": and its realm

	// FromCaller is "Other-Leg-Direction: inbound" of a leg that the switch placed: the leg that it was placed for called in, and its own end says
	// whose it is. FreeSWITCH alone says so.
	FromCaller bool

	OtherCaller string // "Other-Leg-Caller-ID-Number": on the leg that goes out, the extension that called
	OtherCallee string // "Other-Leg-Destination-Number": the same way, what it dialled

	// What the dialplan and the screening left on the call. Only the leg that was screened has it.
	RingfenceID string // "ringfence_id"; "" if the call was not screened, or the switch does not say
	Line        string // "ringfence_line"
	Trunk       string // "ringfence_trunk"
	Action      string // "ringfence_action"
	Guard       bool   // "ringfence_guard" is fired: the switch took the call away from a silent daemon

	// Answered: a person or something of the house (voicemail, a menu) took the call. A leg that was answered
	// only to play something to the caller, and whose callee then did not answer, was not, nor one that the
	// screening ended. A caller who hangs up during an announcement that answered first does count as
	// answered here: whoever played it knows better. Bridged: it was connected with another leg.
	Answered, Bridged bool

	// Ring is how long the callee's phone rang; 0 if it did not. Talk runs from the answer to the end, or
	// from the connection with the callee where the switch itself had answered before. A call transferred
	// after such an answer counts from its last connection only. Neither is negative nor above LongestCall.
	Ring, Talk time.Duration

	Started, Ended time.Time // by the switch's clock; zero if it does not say
	Cause          string    // "Hangup-Cause", as NORMAL_CLEARING
	By             string    // who ended it: ByCaller …; "" where the switch does not say
}

// Who ended a call (CallEnd.By).
const (
	ByCaller    = "caller"
	ByCallee    = "callee"    // by hanging up or by refusing
	BySwitch    = "switch"    // nobody answered in time, the dialplan ended, an operator
	ByRingfence = "ringfence" // the screening refused or ended it
)

const (
	// MaxText bounds each text of a CallEnd, in bytes, so that a full queue is bounded too. A number or a name
	// that is longer is cut; nothing of the house has one.
	MaxText = 512
	// LongestCall bounds durations, which come from a clock that may have been set.
	LongestCall = 30 * 24 * time.Hour
)

// Cut cuts a text to MaxText bytes, between characters.
func Cut(s string) string {
	if len(s) <= MaxText {
		return s
	}
	cut := MaxText
	for cut > MaxText-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

// Span bounds the time between two marks: 0 if the clock went back, at most LongestCall.
func Span(d time.Duration) time.Duration { return min(max(d, 0), LongestCall) }
