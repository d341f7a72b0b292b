package bridge

import "strings"

// Facts are what a switch says of a call, URL-decoded once where it encodes and otherwise untouched: any of it
// may be the caller's own text. Names in quotes are FreeSWITCH's; Asterisk knows fewer of them.
type Facts struct {
	UUID   string // "Unique-ID"
	Switch string // "FreeSWITCH-Switchname", else "FreeSWITCH-Hostname"

	// Who calls. The switch prefers P-Asserted-Identity to Remote-Party-ID to From, from any peer.
	Number     string // "Caller-Caller-ID-Number"; "" when From had no user part
	Name       string // "Caller-Caller-ID-Name"
	ANI        string // "Caller-ANI"
	Withheld   bool   // "Caller-Privacy-Hide-Number": Privacy: id, or Remote-Party-ID with privacy
	HideName   bool   // "Caller-Privacy-Hide-Name"
	FromUser   string // From as it was on the wire, a verstat parameter inside
	FromName   string
	FromHost   string
	FromURI    string
	FullFrom   string
	IDSource   string // "sip_cid_type": pid, rpid, or "" for From
	Unreadable bool   // the switch would not say From, so that Number may be from any header
	Asserted   string // P-Asserted-Identity: its user part, or more as the profile's caller-id-type says
	Preferred  string // "sip_P-Preferred-Identity": a wish of the caller's, which the switch takes before all others
	RemoteID   string // Remote-Party-ID whole
	Privacy    string // the Privacy header
	Diversion  string // a Diversion header: of several FreeSWITCH gives the last, Asterisk the first
	History    string // the History-Info headers, with commas between: "sip_history_info"
	Redirected string // of Asterisk: the number that the call was forwarded from, "agi_rdnis"
	Identity   string // the Identity header (RFC 8224)
	Verstat    string // "sip_verstat_detailed", else "sip_verstat"
	UserAgent  string
	SIPCallID  string
	NetworkIP  string // "Caller-Network-Addr"
	Gateway    string // "sip_gateway_name", "sip_gateway"
	Profile    string // "sofia_profile_name"
	Channel    string // of Asterisk: the channel's name, PJSIP/NAME-0000001f
	Endpoint   string // of Asterisk: the NAME in it
	Context    string
	Callee     string // "Caller-Destination-Number"
	ReqUser    string // user part of the request URI
	PlainTo    string // "ringfence_callee": what the shipped dialplan found plain in the destination
	CreatedUS  string // "Caller-Channel-Created-Time", microseconds since 1970 by the switch's clock
	AuthUser   string // "sip_auth_username"
	AuthRealm  string // "sip_auth_realm": of two tenants each may have an AuthUser of the same name
	Domain     string // "domain_name": the domain of that account, unless the dialplan has set another
	Outbound   string // "outbound_caller_id_number": what the switch's directory has that account show outside
	Authorized bool   // "sip_authorized"; an access list alone sets it too, without an AuthUser
	CallAnswer bool   // the call was answered before it came to us

	// What the dialplan told us.
	Line       string // "ringfence_line"
	Trunk      string // "ringfence_trunk"
	Intent     string // "ringfence_intent"
	ScreenedID string // "ringfence_id": screened before
	Test       bool   // "ringfence_test", or Asterisk's context TestContext: the doctor's call, which rings nowhere
}

// TestContext is where Asterisk's doctor places its call. Only a dialplan brings a call there, never a caller.
const TestContext = "ringfence-test"

// Endpoint is the NAME in the name of one of Asterisk's channels, TECHNOLOGY/NAME-xxxxxxxx.
func Endpoint(channel string) string {
	_, name, _ := strings.Cut(channel, "/")
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		return name[:i]
	}
	return name
}
