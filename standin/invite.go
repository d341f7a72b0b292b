package standin

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// profile is what the switch calls the caller profile: who calls, as it would
// be shown, and where to.
type profile struct {
	username, name, number string
	addr, to, context      string
	channelName            string
	hideName, hideNumber   bool
	screened               bool
}

// invitation is an INVITE as it becomes a caller profile and channel variables.
type invitation struct {
	*Call
	address string // the daemon's
	vars    headers
	profile profile

	addr, port     string // where it came from
	host, fromPort string // of the From
	params         string // of the From's URI
	tag            string
	to             string
	local          string // the switch's own address
	number         uint64 // of the call at the switch
}

// invite is the caller profile of a call and the channel variables that its
// INVITE leaves behind, in the order in which mod_sofia sets them, and then
// those of the dialplan up to the socket application. number is the call's
// number at the switch, address the daemon's.
func (c *Call) invite(number uint64, uuid, address string) (profile, headers) {
	addr := or(c.Addr, "127.0.0.1")
	host, params, _ := strings.Cut(or(c.Host, addr), ";")
	v := &invitation{
		Call: c, address: address, number: number, addr: addr, port: strconv.Itoa(20000 + int(number%30000)),
		host: host, params: params, tag: randomHex(4), to: or(c.To, "service"), local: "127.0.0.1:5080",
	}
	if h, p, err := net.SplitHostPort(host); err == nil {
		v.host, v.fromPort = h, p
	}
	v.source(uuid)
	v.whoCalls()
	v.addresses()
	p := &v.profile
	p.hideName, p.hideNumber = c.sipHeaders(v.sip, &v.vars, addr, v.port)
	if c.RPID != "" {
		hideName, hideNumber := rpidPrivacy(c.RPID)
		p.hideName, p.hideNumber = p.hideName || hideName, p.hideNumber || hideNumber
		p.screened = !strings.Contains(c.RPID, "screen=no")
	}
	v.media(uuid)
	v.dialplan()
	return v.profile, v.vars
}

// sip sets a variable from what came by SIP. FreeSWITCH will not have a variable in that: such a value is not set at all.
func (v *invitation) sip(name, value string) {
	if !holdsVariable(value) {
		v.vars.set(name, value)
	}
}

// source sets where the call came from.
func (v *invitation) source(uuid string) {
	// The user part is decoded where it is shown; its parameters belong to it at first.
	shownUser := or(decodePercent(v.From), "nobody")
	fromURI := shownUser + "@" + v.host
	if v.fromPort != "" {
		fromURI += ":" + v.fromPort
	}
	// What follows a semicolon is cut off the name of a channel.
	channelURI, _, _ := strings.Cut(fromURI, ";")
	profileName := or(v.Profile, "internal")
	v.profile = profile{
		addr:        v.addr,
		to:          clean(decodePercent(v.to)),
		context:     or(v.Context, "public"),
		channelName: "sofia/" + profileName + "/" + channelURI,
		screened:    true,
	}

	set := v.vars.set
	set("direction", "inbound")
	set("uuid", uuid)
	set("session_id", strconv.FormatUint(v.number, 10))
	v.sip("sip_from_params", v.params)
	v.sip("sip_from_user", shownUser)
	v.sip("sip_from_port", v.fromPort)
	v.sip("sip_from_uri", fromURI)
	v.sip("sip_from_host", v.host)
	set("video_media_flow", "disabled")
	set("text_media_flow", "disabled")
	v.sip("channel_name", v.profile.channelName)
	set("sip_call_id", randomHex(5)+"@"+v.addr)
	set("sip_local_network_addr", "127.0.0.1")
	set("sip_network_ip", v.addr)
	set("sip_network_port", v.port)
	set("sip_invite_stamp", micros(time.Now()))
	set("sip_received_ip", v.addr)
	set("sip_received_port", v.port)
	set("sip_via_protocol", "udp")
	v.sip("sip_from_user_stripped", strings.TrimPrefix(v.From, "+"))
	set("sip_from_tag", v.tag)
	set("sofia_profile_name", profileName)
	set("sofia_profile_url", "sip:mod_sofia@"+v.local)
	set("recovery_profile_name", profileName)
}

// whoCalls sets who calls: the last of From, Remote-Party-ID, P-Asserted-Identity and P-Preferred-Identity that is there.
func (v *invitation) whoCalls() {
	display := or(v.Display, or(v.From, "unknown"))
	calling := v.From
	if v.RPID != "" {
		rpidName, rpidUser := nameAddr(v.RPID)
		calling = or(rpidUser, calling)
		display = or(rpidName, display)
		v.sip("sip_Remote-Party-ID", v.RPID)
		v.sip("sip_cid_type", "rpid")
	}
	if v.PAI != "" {
		calling = v.PAI
		display = or(v.PAIName, display)
		v.sip("sip_P-Asserted-Identity", v.PAI)
		v.sip("sip_cid_type", "pid")
	}
	if v.PPI != "" {
		calling = v.PPI
		v.sip("sip_P-Preferred-Identity", "<sip:"+v.PPI+"@"+v.host+">")
		v.sip("sip_cid_type", "pid")
	}
	calling, nameParams, _ := strings.Cut(decodePercent(calling), ";")
	v.sip("sip_name_params", nameParams)
	v.profile.name, v.profile.number = clean(decodePercent(display)), clean(calling)
	v.profile.username = v.profile.number
}

// addresses sets the addresses of the INVITE: Via, From, To, Request-URI and Contact.
func (v *invitation) addresses() {
	bareUser, _, _ := strings.Cut(v.From, ";")
	fullFrom := "<sip:" + v.host
	if bareUser != "" {
		fullFrom = "<sip:" + bareUser + "@" + v.host
	}
	if v.fromPort != "" {
		fullFrom += ":" + v.fromPort
	}
	if v.params != "" {
		fullFrom += ";" + v.params
	}
	fullFrom += ">;tag=" + v.tag
	if v.Display != "" {
		fullFrom = `"` + v.Display + `" ` + fullFrom
	}
	v.sip("sip_full_via", "SIP/2.0/UDP "+v.addr+":"+v.port+";branch=z9hG4bK"+randomHex(4))
	v.sip("sip_from_display", v.Display)
	v.sip("sip_full_from", fullFrom)
	v.sip("sip_full_to", "<sip:"+v.to+"@"+v.local+">")
	to := decodePercent(v.to)
	for _, what := range []string{"sip_req", "sip_to"} {
		v.sip(what+"_user", to)
		v.sip(what+"_port", "5080")
		v.sip(what+"_uri", to+"@"+v.local)
		v.sip(what+"_host", "127.0.0.1")
	}
	contact := decodePercent(or(bareUser, "anonymous"))
	v.sip("sip_contact_user", contact)
	v.sip("sip_contact_port", v.port)
	v.sip("sip_contact_uri", contact+"@"+v.addr+":"+v.port)
	v.sip("sip_contact_host", v.addr)
}

// media sets what was agreed about media.
func (v *invitation) media(uuid string) {
	mediaPort := strconv.Itoa(30000 + int(v.number%10000)*2)
	for _, x := range []Header{
		{"switch_r_sdp", "v=0\r\no=u 1 1 IN IP4 " + v.addr + "\r\ns=-\r\nc=IN IP4 " + v.addr +
			"\r\nt=0 0\r\nm=audio " + mediaPort + " RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"},
		{"ep_codec_string", "CORE_PCM_MODULE.PCMU@8000h@20i@64000b"},
		{"rtp_use_codec_string", "PCMU,PCMA"},
		{"remote_video_media_flow", "inactive"},
		{"remote_text_media_flow", "inactive"},
		{"remote_audio_media_flow", "sendrecv"},
		{"audio_media_flow", "sendrecv"},
		{"remote_media_ip", v.addr},
		{"remote_media_port", mediaPort},
		{"rtp_audio_recv_pt", "0"},
		{"rtp_use_codec_name", "PCMU"},
		{"rtp_use_codec_rate", "8000"},
		{"rtp_use_codec_ptime", "20"},
		{"rtp_use_codec_channels", "1"},
		{"rtp_last_audio_codec_string", "PCMU@8000h@20i@1c"},
		{"read_codec", "PCMU"},
		{"original_read_codec", "PCMU"},
		{"read_rate", "8000"},
		{"original_read_rate", "8000"},
		{"write_codec", "PCMU"},
		{"write_rate", "8000"},
		{"dtmf_type", "info"},
		{"endpoint_disposition", "RECEIVED"},
		{"DP_MATCH", "ARRAY::" + v.profile.to + "|:" + v.profile.to},
		{"call_uuid", uuid},
	} {
		v.sip(x.Name, x.Value)
	}
}

// dialplan sets what the dialplan does before it comes to the socket application.
func (v *invitation) dialplan() {
	set := v.vars.set
	if v.Guard > 0 {
		set("last_sched_id", guardTask)
	}
	for _, name := range slices.Sorted(maps.Keys(v.Vars)) {
		set(name, strings.ReplaceAll(v.Vars[name], "${last_sched_id}", guardTask))
	}
	if v.Resume {
		set("socket_resume", "true")
	}
	if v.Loopback {
		v.profile.channelName = "loopback/" + v.profile.to + "-b"
		v.vars.list = slices.DeleteFunc(v.vars.list, func(h Header) bool {
			return strings.HasPrefix(h.Name, "sip_") || strings.HasPrefix(h.Name, "sofia_") || h.Name == "channel_name"
		})
	}
	mode := ""
	if v.Async {
		mode += " async"
	}
	if !v.NotFull {
		mode += " full"
	}
	set("current_application_data", v.address+mode)
	set("current_application", "socket")
	socketHost, _, err := net.SplitHostPort(v.address)
	if err != nil {
		socketHost = v.address
	}
	set("socket_host", socketHost)
}

// sipHeaders sets the variables of the further headers of the INVITE and says
// whether Privacy asks to hide name and number.
func (c *Call) sipHeaders(set func(name, value string), v *headers, addr, port string) (hideName, hideNumber bool) {
	all := c.SIP
	if c.Privacy {
		all = append([]Header{{"Privacy", "id"}}, all...)
	}
	known := func(name string) (value string) {
		for _, x := range all {
			if strings.EqualFold(x.Name, name) {
				return x.Value
			}
		}
		return ""
	}
	set("sip_subject", known("Subject"))
	set("sip_user_agent", known("User-Agent"))
	set("sip_via_host", addr)
	set("sip_via_port", port)
	set("max_forwards", "70")
	set("alert_info", known("Alert-Info"))
	set("sip_call_info", known("Call-Info"))
	set("sip_gateway", c.Gateway)
	if privacy := known("Privacy"); privacy != "" {
		set("sip_Privacy", privacy)
		for _, p := range strings.Split(privacy, ";") {
			if strings.EqualFold(strings.TrimSpace(p), "id") {
				hideName, hideNumber = true, true
			}
		}
	}
	if identity := known("Identity"); identity != "" {
		set("sip_identity", identity)
		set("sip_h_identity", identity)
	}
	for _, x := range all {
		lower := strings.ToLower(x.Name)
		switch {
		case strings.HasPrefix(lower, "diversion"):
			set("sip_h_"+x.Name, x.Value) // the last one stays
		case strings.HasPrefix(lower, "history-info"):
			if before, ok := v.get("sip_history_info"); ok {
				set("sip_history_info", before+", "+x.Value)
			} else {
				set("sip_history_info", x.Value)
			}
		case strings.HasPrefix(lower, "x-"), strings.HasPrefix(lower, "p-"), strings.HasPrefix(lower, "k-"),
			strings.HasPrefix(lower, "on"), lower == "user-to-user":
			name := "sip_h_" + x.Name
			for n := 1; ; n++ {
				if _, taken := v.get(name); !taken {
					break
				}
				name = fmt.Sprintf("sip_h_%s-%d", x.Name, n)
			}
			set(name, x.Value)
		}
	}
	return hideName, hideNumber
}

// nameAddr takes display name and user out of `"Name" <sip:user@host>;…`.
func nameAddr(s string) (name, user string) {
	before, after, ok := strings.Cut(s, "<")
	if !ok {
		after = s
	} else {
		name = strings.Trim(strings.TrimSpace(before), `"`)
	}
	uri, _, _ := strings.Cut(after, ">")
	if i := strings.Index(uri, ":"); i >= 0 {
		uri = uri[i+1:]
	}
	if u, _, ok := strings.Cut(uri, "@"); ok {
		user = u
	}
	return name, user
}

// rpidPrivacy reads the privacy parameter of Remote-Party-ID.
func rpidPrivacy(s string) (hideName, hideNumber bool) {
	_, after, ok := strings.Cut(s, "privacy=")
	if !ok {
		return false, false
	}
	value, _, _ := strings.Cut(after, ";")
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "yes", "full":
		return true, true
	case "name":
		return true, false
	case "number":
		return false, true
	}
	return false, false
}

// clean makes a value of the caller profile harmless as FreeSWITCH 1.11 does:
// control characters but CR and LF become spaces, "${" becomes "%{".
func clean(s string) string {
	b := []byte(s)
	dollar := -1
	for i, c := range b {
		if c < ' ' && c != '\n' && c != '\r' {
			b[i] = ' '
		}
		switch {
		case c == '$':
			dollar = i
		case dollar >= 0 && c == '{':
			b[dollar] = '%'
			dollar = -1
		case c != '\\':
			dollar = -1
		}
	}
	return string(b)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func micros(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return fmt.Sprintf("%x", b)
}

// newUUID is a random UUID (version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
