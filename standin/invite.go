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

// invite is the caller profile of a call and the channel variables that its
// INVITE leaves behind, in the order in which mod_sofia sets them, and then
// those of the dialplan up to the socket application. number is the call's
// number at the switch, address the daemon's.
func (c *Call) invite(number uint64, uuid, address string) (profile, headers) {
	var v headers
	// FreeSWITCH will not have a variable in what came by SIP: such a value is not set at all.
	sip := func(name, value string) {
		if !holdsVariable(value) {
			v.set(name, value)
		}
	}

	addr := or(c.Addr, "127.0.0.1")
	host, params, _ := strings.Cut(or(c.Host, addr), ";")
	fromPort := ""
	if h, p, err := net.SplitHostPort(host); err == nil {
		host, fromPort = h, p
	}
	uri := func(user, port string) string {
		if port != "" {
			return user + "@" + host + ":" + port
		}
		return user + "@" + host
	}
	// The user part is decoded where it is shown; its parameters belong to it at first.
	user := decodePercent(c.From)
	shownUser := or(user, "nobody")
	fromURI := uri(shownUser, fromPort)
	// What follows a semicolon is cut off the name of a channel.
	channelURI, _, _ := strings.Cut(fromURI, ";")
	now := micros(time.Now())
	port := strconv.Itoa(20000 + int(number%30000))
	tag := randomHex(4)
	to := or(c.To, "service")
	local := "127.0.0.1:5080"
	profileName := or(c.Profile, "internal")

	p := profile{
		addr:        addr,
		to:          clean(decodePercent(to)),
		context:     or(c.Context, "public"),
		channelName: "sofia/" + profileName + "/" + channelURI,
		screened:    true,
	}

	v.set("direction", "inbound")
	v.set("uuid", uuid)
	v.set("session_id", strconv.FormatUint(number, 10))
	sip("sip_from_params", params)
	sip("sip_from_user", shownUser)
	sip("sip_from_port", fromPort)
	sip("sip_from_uri", fromURI)
	sip("sip_from_host", host)
	v.set("video_media_flow", "disabled")
	v.set("text_media_flow", "disabled")
	sip("channel_name", p.channelName)
	v.set("sip_call_id", randomHex(5)+"@"+addr)
	v.set("sip_local_network_addr", "127.0.0.1")
	v.set("sip_network_ip", addr)
	v.set("sip_network_port", port)
	v.set("sip_invite_stamp", now)
	v.set("sip_received_ip", addr)
	v.set("sip_received_port", port)
	v.set("sip_via_protocol", "udp")
	sip("sip_from_user_stripped", strings.TrimPrefix(c.From, "+"))
	v.set("sip_from_tag", tag)
	v.set("sofia_profile_name", profileName)
	v.set("sofia_profile_url", "sip:mod_sofia@"+local)
	v.set("recovery_profile_name", profileName)

	// The last of From, Remote-Party-ID, P-Asserted-Identity and P-Preferred-Identity that is there says who calls.
	display := or(c.Display, or(c.From, "unknown"))
	calling := c.From
	if c.RPID != "" {
		rpidName, rpidUser := nameAddr(c.RPID)
		calling = or(rpidUser, calling)
		display = or(rpidName, display)
		sip("sip_Remote-Party-ID", c.RPID)
		sip("sip_cid_type", "rpid")
	}
	if c.PAI != "" {
		calling = c.PAI
		display = or(c.PAIName, display)
		sip("sip_P-Asserted-Identity", c.PAI)
		sip("sip_cid_type", "pid")
	}
	if c.PPI != "" {
		calling = c.PPI
		sip("sip_P-Preferred-Identity", "<sip:"+c.PPI+"@"+host+">")
		sip("sip_cid_type", "pid")
	}
	calling, nameParams, _ := strings.Cut(decodePercent(calling), ";")
	sip("sip_name_params", nameParams)
	p.name, p.number = clean(decodePercent(display)), clean(calling)
	p.username = p.number

	bareUser, _, _ := strings.Cut(c.From, ";")
	fullFrom := "<sip:" + host
	if bareUser != "" {
		fullFrom = "<sip:" + bareUser + "@" + host
	}
	if fromPort != "" {
		fullFrom += ":" + fromPort
	}
	if params != "" {
		fullFrom += ";" + params
	}
	fullFrom += ">;tag=" + tag
	if c.Display != "" {
		fullFrom = `"` + c.Display + `" ` + fullFrom
	}
	sip("sip_full_via", "SIP/2.0/UDP "+addr+":"+port+";branch=z9hG4bK"+randomHex(4))
	sip("sip_from_display", c.Display)
	sip("sip_full_from", fullFrom)
	sip("sip_full_to", "<sip:"+to+"@"+local+">")
	for _, what := range []string{"sip_req", "sip_to"} {
		sip(what+"_user", decodePercent(to))
		sip(what+"_port", "5080")
		sip(what+"_uri", decodePercent(to)+"@"+local)
		sip(what+"_host", "127.0.0.1")
	}
	contact := or(bareUser, "anonymous")
	sip("sip_contact_user", decodePercent(contact))
	sip("sip_contact_port", port)
	sip("sip_contact_uri", decodePercent(contact)+"@"+addr+":"+port)
	sip("sip_contact_host", addr)

	p.hideName, p.hideNumber = c.sipHeaders(sip, &v, addr, port)
	if c.RPID != "" {
		hideName, hideNumber := rpidPrivacy(c.RPID)
		p.hideName, p.hideNumber = p.hideName || hideName, p.hideNumber || hideNumber
		p.screened = !strings.Contains(c.RPID, "screen=no")
	}

	mediaPort := strconv.Itoa(30000 + int(number%10000)*2)
	for _, x := range []Header{
		{"switch_r_sdp", "v=0\r\no=u 1 1 IN IP4 " + addr + "\r\ns=-\r\nc=IN IP4 " + addr +
			"\r\nt=0 0\r\nm=audio " + mediaPort + " RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"},
		{"ep_codec_string", "CORE_PCM_MODULE.PCMU@8000h@20i@64000b"},
		{"rtp_use_codec_string", "PCMU,PCMA"},
		{"remote_video_media_flow", "inactive"},
		{"remote_text_media_flow", "inactive"},
		{"remote_audio_media_flow", "sendrecv"},
		{"audio_media_flow", "sendrecv"},
		{"remote_media_ip", addr},
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
		{"DP_MATCH", "ARRAY::" + p.to + "|:" + p.to},
		{"call_uuid", uuid},
	} {
		sip(x.Name, x.Value)
	}

	// What the dialplan sets before it comes to the socket application.
	if c.Guard > 0 {
		v.set("last_sched_id", guardTask)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Vars)) {
		v.set(name, strings.ReplaceAll(c.Vars[name], "${last_sched_id}", guardTask))
	}
	if c.Resume {
		v.set("socket_resume", "true")
	}
	if c.Loopback {
		p.channelName = "loopback/" + p.to + "-b"
		v.list = slices.DeleteFunc(v.list, func(h Header) bool {
			return strings.HasPrefix(h.Name, "sip_") || strings.HasPrefix(h.Name, "sofia_") || h.Name == "channel_name"
		})
	}
	mode := ""
	if c.Async {
		mode += " async"
	}
	if !c.NotFull {
		mode += " full"
	}
	v.set("current_application_data", address+mode)
	v.set("current_application", "socket")
	socketHost, _, err := net.SplitHostPort(address)
	if err != nil {
		socketHost = address
	}
	v.set("socket_host", socketHost)
	return p, v
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
