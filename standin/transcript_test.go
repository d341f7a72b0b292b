package standin

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// frame is one frame as the tests' own reader sees it.
type frame struct {
	head []Header
	body string
}

func (f frame) get(name string) string {
	for _, h := range f.head {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// event is the event inside a text/event-plain frame, and empty in others.
func (f frame) event() frame {
	if f.get("Content-Type") != "text/event-plain" {
		return frame{}
	}
	inner, _ := readFrame(bufio.NewReader(strings.NewReader(f.body)))
	return inner
}

func (f frame) String() string {
	if name := f.event().get("Event-Name"); name != "" {
		return name + " " + f.event().get("Application")
	}
	var b strings.Builder
	for _, h := range f.head {
		b.WriteString(h.Name + ": " + h.Value + " | ")
	}
	return b.String() + f.body
}

func readFrame(r *bufio.Reader) (frame, error) {
	var f frame
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return f, err
		}
		if line == "\n" {
			break
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		f.head = append(f.head, Header{name, value})
	}
	if n, err := strconv.Atoi(f.get("Content-Length")); err == nil {
		body := make([]byte, n)
		if _, err := io.ReadFull(r, body); err != nil {
			return f, err
		}
		f.body = string(body)
	}
	return f, nil
}

func readFrames(t *testing.T, raw []byte) (all []frame) {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(raw))
	for {
		f, err := readFrame(r)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("transcript: %v", err)
		}
		all = append(all, f)
	}
}

// transcripts are the recordings and the calls that made them.
var transcripts = map[string]Call{
	"a1_sync_connect_exit":             alice("2001"),
	"a2_sync_set_answer_playback_exit": alice("2002"),
	"a3_sync_myevents":                 alice("2003"),
	"a4_sync_misc":                     alice("2004"),
	"a5_sync_resume_exit":              alice("2005"),
	"a6_sync_linger_exit":              alice("2006"),
	"b2_async_connect_exit":            async(alice("3002"), true),
	"b4_async_resume_cmd":              async(alice("7002"), false),
	"b7_async_nolinger_hangup":         giveUp(async(alice("3007"), true)),
	"b9_async_cancel":                  giveUp(async(alice("3009"), true)),
	"b9_sync_cancel":                   giveUp(alice("2009")),

	"d1_plus86": {From: "+8613800138000", Display: "Zhang", To: "2100"},
	"d2_anon_privacy": {
		From: "anonymous", Display: "Anonymous", Host: "anonymous.invalid", To: "2100",
		PAI: "+8613912345678", PAIName: "Real Name", Privacy: true,
	},
	"d3_pai_only":      {From: "1000", Display: "F", To: "2100", PAI: "+8613912345678", PAIName: "Paid"},
	"d4_rpid":          {From: "1000", Display: "F", To: "2100", RPID: `"Rpid Name" <sip:+4930123456@carrier.example>;party=calling;screen=yes;privacy=off`},
	"d4b_rpid_privacy": {From: "1000", Display: "F", To: "2100", RPID: `"Rpid Name" <sip:+4930123456@carrier.example>;party=calling;screen=yes;privacy=full`},
	"d5_pai_rpid_both": {
		From: "1000", Display: "F", To: "2100", PAI: "+8613912345678", PAIName: "Paid",
		RPID: `"Rpid Name" <sip:+4930123456@c.example>;party=calling`,
	},
	"d6_utf8_name":     {From: "+8613800138000", Display: "张三 快递", To: "2100"},
	"d7_percent_quote": {From: "user%2Bx%25y", Display: `100%25 \"off\" a%0Ab \\ c: d`, To: "2100"},
	"d8_long_header":   with(alice("2100"), Header{"X-Long", strings.Repeat("A", 8000)}),
	"d9_x_headers": with(alice("2100"), Header{"X-Lab-One", "one"}, Header{"X-Lab-One", "two"},
		Header{"X-Weird", `a%0Ab: c; d="e" 你好`}, Header{"P-Charge-Info", "<sip:123@x>"}, Header{"User-Agent", "lab/1.0"},
		Header{"Subject", "hi"}, Header{"Call-Info", "<http://x/y>;purpose=icon"}),
	"d10_diversion": with(alice("2100"),
		Header{"Diversion", `"D" <sip:+8610666@127.0.0.1>;reason=user-busy;counter=1`},
		Header{"Diversion", "<sip:+8610777@127.0.0.1>;reason=no-answer"},
		Header{"History-Info", "<sip:+8610777@127.0.0.1>;index=1"}),
	// The switch could not read that call's P-Asserted-Identity, which has a parameter behind the URI.
	"d11_identity": {From: "+12155551212", Display: "S", To: "2100", SIP: []Header{{
		"Identity",
		"eyJhbGciOiJFUzI1NiIsInBwdCI6InNoYWtlbiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cHM6Ly9jZXJ0LmV4YW1wbGUub3JnL3Bhc3Nwb3J0LmNlciJ9." +
			"eyJhdHRlc3QiOiJBIn0.c2ln;info=<https://cert.example.org/passport.cer>;alg=ES256;ppt=shaken",
	}}},
	"d12_verstat_from":     {From: "+12155551212;verstat=TN-Validation-Failed", Display: "S", Host: "127.0.0.1;user=phone", To: "2100"},
	"d14_empty_user":       {To: "2100"},
	"d15_noname":           {From: "02154321234", To: "2100"},
	"d16_anon_only":        with(Call{From: "anonymous", Display: "Anonymous", Host: "anonymous.invalid", To: "2100"}, Header{"Privacy", "id;header;user"}),
	"d19_getvar_injection": {From: "+12025550100", Display: "a%0AX-Evil: 1%0A%0AContent-Type: command/reply%0AReply-Text: +OK forged", To: "2015"},

	"e_async_01": async(sipp("3201"), true),
	"e_sync_01":  sipp("2201"),
	"e_sync_03":  sipp("2203"),
	"e_sync_04":  sipp("2204"),
}

func alice(to string) Call {
	return Call{From: "+12025550100", Display: "Alice", To: to}
}

func sipp(to string) Call {
	return Call{From: "+19095356422", Display: "c0", Host: "127.0.0.1:5083", To: to}
}

func async(c Call, resume bool) Call {
	c.Async, c.Resume = true, resume
	return c
}

func giveUp(c Call) Call {
	c.CancelAfter = 150 * time.Millisecond
	return c
}

func with(c Call, h ...Header) Call {
	c.SIP = append(c.SIP, h...)
	return c
}

// TestTranscripts replays what the peer of each recording sent and compares
// what the stand-in answers with what FreeSWITCH answered: frames, header
// names, their order, and every value that does not differ from call to call.
func TestTranscripts(t *testing.T) {
	dir := filepath.Join("testdata", "transcripts")
	files, err := filepath.Glob(filepath.Join(dir, "[abde]*.fs2peer.raw"))
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".fs2peer.raw")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call, ok := transcripts[name]
			if !ok {
				t.Fatal("which call made this transcript? add it to the table")
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sent, err := os.ReadFile(filepath.Join(dir, name+".peer2fs.raw"))
			if err != nil {
				t.Fatal(err)
			}
			frames := readFrames(t, want)
			got := replay(t, call, string(sent), frames)
			if len(got) != len(frames) {
				t.Errorf("%d frames, FreeSWITCH sent %d", len(got), len(frames))
			}
			for i := range min(len(got), len(frames)) {
				compare(t, i, got[i], frames[i], name == "b7_async_nolinger_hangup")
			}
			if t.Failed() {
				for i, f := range got {
					if i > 0 {
						t.Logf("got %d: %s", i, f)
					}
				}
			}
		})
	}
}

// replay places the call and plays the recorded peer: each command is sent
// when the frames that came before its reply are there, a row of sendmsg at once.
func replay(t *testing.T, call Call, sent string, frames []frame) (got []frame) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	sw := &Switch{Address: listener.Addr().String(), Speed: 20, SoundLength: func(file string) (time.Duration, bool) {
		if strings.HasSuffix(file, "tone5.wav") {
			return 100 * time.Second, true
		}
		if strings.HasSuffix(file, "tone.wav") {
			return time.Second, true
		}
		return soundLength(file)
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	placed := make(chan error, 1)
	go func() {
		_, err := sw.Place(ctx, call)
		placed <- err
	}()

	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(conn)
	receive := func() bool {
		f, err := readFrame(r)
		if err == io.EOF {
			return false
		}
		if err != nil {
			t.Fatalf("after %d frames: %v", len(got), err)
		}
		got = append(got, f)
		return true
	}

	var replies []int // the frames that answer a command each
	for i, f := range frames {
		if f.event().head == nil && f.get("Content-Type") != "text/disconnect-notice" {
			replies = append(replies, i)
		}
	}
	commands := strings.SplitAfter(strings.TrimSuffix(sent, "\n\n"), "\n\n")
	uuid := frames[0].get("Unique-ID")
	for i := 0; i < len(commands); i++ {
		for len(got) < replies[i] {
			if !receive() {
				t.Fatalf("the stand-in closed before %q", commands[i])
			}
		}
		text := commands[i]
		for i+1 < len(commands) && strings.HasPrefix(commands[i], "sendmsg") && strings.HasPrefix(commands[i+1], "sendmsg\n") {
			i++
			text += commands[i]
		}
		if len(got) > 0 {
			text = strings.ReplaceAll(text, uuid, got[0].get("Unique-ID"))
		}
		if !strings.HasSuffix(text, "\n\n") {
			text += "\n\n"
		}
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
	}
	for receive() {
	}
	if err := <-placed; err != nil {
		t.Error(err)
	}
	return got
}

var (
	// varying are headers whose values differ from call to call or from host to host.
	varying = regexp.MustCompile(`UUID$|Unique-ID$|-Time$|^Core|^FreeSWITCH-|^Event-Date|^Event-Sequence$|_uuid$|_port$|_u?epoch$|_stamp$|` +
		`sec$|duration$|^variable_(uuid|session_id|sip_call_id|sip_from_tag|sip_to_tag|sip_full_via|switch_r_sdp|rtp_local_sdp_str|rtp_use_ssrc|sip_contact_user|sip_contact_uri|` +
		`playback_last_offset_pos|playback_seconds|playback_ms|playback_samples)$`)
	// The address of the peer, and tags.
	addresses = regexp.MustCompile(`127\.0\.0\.1%3A\d{4,5}( |%20)`)
	tags      = regexp.MustCompile(`%3Btag%3D[^%]*`)
	uuids     = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
)

func normal(h Header) string {
	if varying.MatchString(h.Name) {
		return "*"
	}
	value := addresses.ReplaceAllString(h.Value, "PEER$1")
	return uuids.ReplaceAllString(tags.ReplaceAllString(value, "TAG"), "UUID")
}

// apart is what the stand-in is known to do otherwise.
func apart(header string) bool {
	// The counters of the media streams at the end of a call.
	return strings.HasPrefix(header, "variable_rtp_audio_in_") || strings.HasPrefix(header, "variable_rtp_audio_out_") ||
		strings.HasPrefix(header, "variable_rtp_audio_rtcp_")
}

func compare(t *testing.T, i int, got, want frame, lateACK bool) {
	t.Helper()
	if want.event().head != nil {
		compareHeads(t, i, got.head, want.head)
		compareHeads(t, i, settled(got.event().head, lateACK), settled(want.event().head, lateACK))
		return
	}
	if strings.HasPrefix(want.body, "UP ") { // api status
		got.body, want.body = figures.ReplaceAllString(got.body, ""), figures.ReplaceAllString(want.body, "")
	}
	compareHeads(t, i, got.head, want.head)
	if got.body != want.body {
		t.Errorf("frame %d: body %q, want %q", i, got.body, want.body)
	}
}

// figures are what differs in the answer to `api status`.
var figures = regexp.MustCompile(`\(Version .*\)|\d+`)

// settled takes out of an event what the stand-in is known not to send, and,
// if the recorded call was one whose ACK took its time, what the ACK changes.
func settled(head []Header, lateACK bool) (out []Header) {
	for _, h := range head {
		if !apart(h.Name) && !(lateACK && fromACK[h.Name]) {
			out = append(out, h)
		}
	}
	return out
}

var fromACK = map[string]bool{
	"variable_sip_to_tag": true, "variable_sip_from_tag": true, "variable_sip_cseq": true,
	"variable_sip_call_id": true, "variable_sip_full_via": true, "variable_sip_from_display": true,
	"variable_sip_full_from": true, "variable_sip_full_to": true,
}

func compareHeads(t *testing.T, i int, got, want []Header) {
	t.Helper()
	names := func(list []Header) (out []string) {
		for _, h := range list {
			out = append(out, h.Name)
		}
		return out
	}
	if g, w := names(got), names(want); !slices.Equal(g, w) {
		n := 0
		for n < len(g) && n < len(w) && g[n] == w[n] {
			n++
		}
		t.Errorf("frame %d: headers differ from the %dth of %d and %d on:\n got %q\nwant %q", i, n, len(g), len(w), g[n:min(n+6, len(g))], w[n:min(n+6, len(w))])
		return
	}
	for k := range want {
		if g, w := normal(got[k]), normal(want[k]); g != w && want[k].Name != "Content-Length" {
			t.Errorf("frame %d: %s: %q, want %q", i, want[k].Name, g, w)
		}
	}
}
