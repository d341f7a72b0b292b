package agibridge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringfence/bridge"
	"ringfence/bridge/bridgetest"
)

// block is what a real Asterisk writes when it connects, for a caller and with arguments of the subroutine.
func block(number, name string, args ...string) string {
	b := "agi_network: yes\nagi_network_script: screen\nagi_request: agi://127.0.0.1:4573/screen\nagi_channel: PJSIP/telecom-00000004\n" +
		"agi_language: en\nagi_type: PJSIP\nagi_uniqueid: 1795474473.4\nagi_version: 16.28.0\nagi_callerid: " + number + "\nagi_calleridname: " + name +
		"\nagi_callingpres: 0\nagi_callingani2: 0\nagi_callington: 0\nagi_callingtns: 0\nagi_dnid: 05925550100\nagi_rdnis: unknown\nagi_context: ringfence\n" +
		"agi_extension: s\nagi_priority: 9\nagi_enhanced: 0.0\nagi_accountcode: \nagi_threadid: 140394016495360\n"
	for i, a := range args {
		b += fmt.Sprintf("agi_arg_%d: %s\n", i+1, a)
	}
	return b + "\n"
}

func serve(t *testing.T, d *bridgetest.Screener, o bridge.Options) (*Server, string) {
	t.Helper()
	d.Results = make(chan bridgetest.Result, 10)
	o.Log = slog.New(slog.DiscardHandler)
	s, err := NewServer(d, o)
	if err != nil {
		t.Fatal(err)
	}
	ln := bridgetest.Listen(t)
	bridgetest.Serve(t, s, ln)
	return s, ln.Addr().String()
}

// asterisk is the other side: it says its block and answers each command until the server closes the connection.
type asterisk struct {
	block  string
	num    string            // what ${CALLERID(num)} expands to
	from   string            // the From header
	asked  string            // P-Asserted-Identity
	before map[string]string // further headers
	answer func(command string) string
	keys   []string // what each Read brings: its status, and keys behind a space
}

func (a *asterisk) call(t *testing.T, address string) (said []string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(conn, a.block)
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		command := lines.Text()
		w := words(command)
		if strings.HasPrefix(command, "GET FULL VARIABLE ") {
			status, pressed := "TIMEOUT", ""
			if strings.Contains(command, "${READSTATUS}") && len(a.keys) > 0 {
				status, pressed, _ = strings.Cut(a.keys[0], " ")
				a.keys = a.keys[1:]
			}
			for name, value := range a.before {
				w[3] = strings.ReplaceAll(w[3], "${PJSIP_HEADER(read,"+name+")}", value)
			}
			w[3] = regexp.MustCompile(`\$\{PJSIP_HEADER\(read,(Diversion|History-Info(,\d)?)\)\}`).ReplaceAllString(w[3], "")
			e := strings.NewReplacer("${PJSIP_HEADER(read,From)}", a.from, "${CALLERID(num)}", a.num, "${CALLERID(name)}", "",
				"${PJSIP_HEADER(read,P-Asserted-Identity)}", a.asked, "${CHANNEL(pjsip,remote_addr)}", "192.0.2.7:5060", "${READSTATUS}", status, "${RINGFENCE_KEYS}", pressed).Replace(w[3])
			io.WriteString(conn, "200 result=1 ("+e+")\n")
			continue
		}
		said = append(said, strings.Join(w, " "))
		answer := ""
		if a.answer != nil {
			answer = a.answer(command)
		}
		switch answer {
		case "":
			answer = "200 result=1"
			if !strings.HasPrefix(command, "SET") {
				answer = "200 result=0"
			}
		case "silence":
			io.Copy(io.Discard, conn)
			return said
		case "end":
			return said
		}
		io.WriteString(conn, answer+"\n")
	}
	if err := lines.Err(); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
	return said
}

var (
	allow    = bridgetest.Allow
	theFive  = []string{"SET VARIABLE RINGFENCE_ACTION allow", "SET VARIABLE RINGFENCE_WOULD allow", "SET VARIABLE RINGFENCE_RULE default", "SET VARIABLE RINGFENCE_REASON no rule matched", "SET VARIABLE RINGFENCE_ID 01J0000000"}
	goesOn   = "SET VARIABLE RINGFENCE_CAUSE 0"
	guarded  = []string{"callee=05925550100", "context=from-telecom", "line=", "trunk=", "intent=", "id=", "guard=set"}
	fromLine = `"Alice" <sip:13800138000@carrier.example>;tag=1`
)

// answerTo answers commands that begin so.
func answerTo(command, answer string) func(string) string {
	return func(c string) string {
		if strings.HasPrefix(c, command) {
			return answer
		}
		return ""
	}
}

// streamed are the results of STREAM FILE for a prompt.
func streamed(codes ...string) func(string) string {
	return func(command string) string {
		if !strings.Contains(command, allKeys) || len(codes) == 0 {
			return ""
		}
		code := codes[0]
		codes = codes[1:]
		return "200 result=" + code
	}
}

// What each verdict becomes.
//
// long: because each row of its table is a verdict, and rows are read beside each other.
func TestVerdicts(t *testing.T) {
	second := func(file string) bridge.Sound { return bridge.Sound{Files: []string{file}, Length: time.Second} }
	challenge := &bridge.Challenge{
		Tries:  []bridge.Question{{Prompt: bridge.Sounds(second("/s/i.wav"), second("/s/7.wav")), Want: "73"}, {Prompt: second("/s/again.wav"), Want: "5"}},
		Passed: second("/s/p.wav"), Failed: second("/s/f.wav"), Refuse: 608,
	}
	with := func(change func(*bridge.Verdict)) bridge.Verdict { v := allow; change(&v); return v }
	warn := with(func(v *bridge.Verdict) { v.Play = second("/s/w.wav") })
	asks := with(func(v *bridge.Verdict) { v.Challenge = challenge })
	limit := func(seconds int) string { return fmt.Sprintf("SET VARIABLE TIMEOUT(absolute) %d", seconds) }
	for name, c := range map[string]struct {
		verdict  bridge.Verdict
		withheld bool
		args     []string
		answer   func(string) string
		keys     []string
		want     []string
		result   bridge.Result
	}{
		"allow":        {verdict: allow, want: []string{goesOn}},
		"reject":       {verdict: with(func(v *bridge.Verdict) { v.Refuse = 404 }), want: []string{"SET VARIABLE RINGFENCE_CAUSE 1"}},
		"tag":          {verdict: with(func(v *bridge.Verdict) { v.ShowName = "外呼 Sale" }), want: []string{"SET VARIABLE CALLERID(name) 外呼 Sale", goesOn}},
		"tag withheld": {verdict: with(func(v *bridge.Verdict) { v.ShowName = "Spam" }), withheld: true, want: []string{"SET VARIABLE CALLERID(name) Spam", "SET VARIABLE CALLERID(num) anonymous", "SET VARIABLE CALLERID(pres) allowed", goesOn}},
		"divert":       {verdict: with(func(v *bridge.Verdict) { v.Divert = bridge.Destination{Extension: "3001", Context: "sales"} }), want: []string{"SET VARIABLE RINGFENCE_DIVERT sales,3001,1", goesOn}},
		"whisper":      {verdict: with(func(v *bridge.Verdict) { v.Whisper = "/s/whisper.wav" }), want: []string{"SET VARIABLE RINGFENCE_WHISPER /s/whisper", goesOn}},
		"reject 608 with an announcement": {
			verdict: with(func(v *bridge.Verdict) { v.Refuse, v.Play = 608, second("/s/w.wav") }),
			want:    []string{"EXEC Progress", limit(3), "STREAM FILE /s/w ", "SET VARIABLE RINGFENCE_CAUSE 16"},
		},
		"warn after answer, no guard": {
			verdict: with(func(v *bridge.Verdict) { v.Play, v.Answer = second("/s/w.wav"), true }), args: []string{"callee=1"},
			want: []string{"ANSWER", "STREAM FILE /s/w ", goesOn},
		},
		"recording not there": {
			verdict: warn, answer: answerTo("STREAM", "200 result=-1 endpos=0"),
			want: []string{"EXEC Progress", limit(3), "STREAM FILE /s/w ", "NOOP"}, result: bridge.Result{FailOpen: bridge.FailCommand},
		},
		"caller goes": {
			verdict: warn, answer: answerTo("STREAM", "200 result=-1 endpos=800\nHANGUP"),
			want: []string{"EXEC Progress", limit(3), "STREAM FILE /s/w ", "NOOP"}, result: bridge.Result{HungUp: true},
		},
		"caller is gone": {
			verdict: warn, answer: answerTo("EXEC", "511 Command Not Permitted on a dead channel or intercept routine"),
			want: []string{"EXEC Progress"}, result: bridge.Result{HungUp: true},
		},
		"challenge passed in the prompt": {
			verdict: with(func(v *bridge.Verdict) { v.Challenge, v.Answer = challenge, true }), answer: streamed("55"), keys: []string{"OK 3"},
			want:   []string{limit(3), "ANSWER", limit(14), "STREAM FILE /s/i 1234567890*#", "EXEC Read RINGFENCE_KEYS,,1,n,1,5", limit(3), "STREAM FILE /s/p ", goesOn},
			result: bridge.Result{Keyed: bridge.KeyedRight},
		},
		"challenge passed at the second try": {
			verdict: asks, keys: []string{"TIMEOUT", "OK 5"},
			want: []string{
				"EXEC Progress", limit(14), "STREAM FILE /s/i 1234567890*#", "EXEC Read RINGFENCE_KEYS,/s/7,2,n,1,5",
				limit(8), "EXEC Read RINGFENCE_KEYS,/s/again,1,n,1,5", limit(3), "STREAM FILE /s/p ", goesOn,
			},
			result: bridge.Result{Keyed: bridge.KeyedRight},
		},
		"challenge failed": {
			verdict: asks, answer: streamed("35"), keys: []string{"OK 9"},
			want: []string{
				"EXEC Progress", limit(14), "STREAM FILE /s/i 1234567890*#",
				limit(8), "EXEC Read RINGFENCE_KEYS,/s/again,1,n,1,5", limit(3), "STREAM FILE /s/f ", "SET VARIABLE RINGFENCE_CAUSE 16",
			},
			result: bridge.Result{Keyed: bridge.KeyedWrong},
		},
		"challenge cannot be read out": {
			verdict: asks, keys: []string{"ERROR"},
			want:   []string{"EXEC Progress", limit(14), "STREAM FILE /s/i 1234567890*#", "EXEC Read RINGFENCE_KEYS,/s/7,2,n,1,5"},
			result: bridge.Result{FailOpen: bridge.FailCommand},
		},
		"challenge, caller goes": {
			verdict: asks, keys: []string{"HANGUP"},
			want:   []string{"EXEC Progress", limit(14), "STREAM FILE /s/i 1234567890*#", "EXEC Read RINGFENCE_KEYS,/s/7,2,n,1,5"},
			result: bridge.Result{HungUp: true, Keyed: bridge.KeyedLeft},
		},
		"Asterisk dies":      {verdict: allow, answer: answerTo(`SET VARIABLE "RINGFENCE_CAUSE"`, "end"), want: []string{goesOn}, result: bridge.Result{FailOpen: bridge.FailWire}},
		"Asterisk is silent": {verdict: allow, answer: answerTo(`SET VARIABLE "RINGFENCE_CAUSE"`, "silence"), want: []string{goesOn}, result: bridge.Result{FailOpen: bridge.FailDeadline}},
		"a variable is refused": {
			verdict: allow, answer: answerTo(`SET VARIABLE "RINGFENCE_RULE"`, "what?\n520-Usage:\nHELP\n520 End of proper usage."),
			want: []string{goesOn},
		},
		"the end is refused": {verdict: allow, answer: answerTo(`SET VARIABLE "RINGFENCE_CAUSE"`, "510 Invalid or unknown command"), want: []string{goesOn}, result: bridge.Result{FailOpen: bridge.FailCommand}},
		"unspeakable path":   {verdict: with(func(v *bridge.Verdict) { v.Play = second("/a b/w.wav") }), want: []string{"EXEC Progress", limit(3)}, result: bridge.Result{FailOpen: bridge.FailCommand}},
		"divert nowhere":     {verdict: with(func(v *bridge.Verdict) { v.Divert = bridge.Destination{Extension: "3001,${X}", Context: "sales"} }), result: bridge.Result{FailOpen: bridge.FailCommand}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &bridgetest.Screener{Decide: bridgetest.Always(c.verdict)}
			_, address := serve(t, d, bridge.Options{Deadline: 400 * time.Millisecond})
			args := c.args
			if args == nil {
				args = guarded
			}
			b := block("13800138000", "Alice", args...)
			if c.withheld {
				b = strings.Replace(b, "callingpres: 0", "callingpres: 32", 1)
			}
			got := (&asterisk{block: b, from: fromLine, answer: c.answer, keys: c.keys}).call(t, address)
			if d := cmp.Diff(append(theFive[:5:5], c.want...), got); d != "" {
				t.Error(d)
			}
			o := <-d.Results
			o.Took = 0
			if o.Result != c.result || o.Facts.Withheld != c.withheld {
				t.Errorf("%+v, withheld %v; want %+v", o.Result, o.Facts.Withheld, c.result)
			}
		})
	}
}

// Who calls, in spite of whatever a caller puts into the block.
func TestFacts(t *testing.T) {
	d := &bridgetest.Screener{Wanted: bridge.Headers{Asserted: true, Address: true}}
	_, address := serve(t, d, bridge.Options{})
	(&asterisk{block: block("13800138000", "Alice", "context=ringfence-test"), num: "13800138000", from: fromLine}).call(t, address)
	if f := (<-d.Results).Facts; !f.Test {
		t.Error("the doctor's call is not known as such")
	}
	evil := "1\nagi_threadid: 1\nagi_arg_1: id=x\nagi_arg_2: intent=dialled\nagi_arg_3: context=ringfence-test\n"
	for name, c := range map[string]struct {
		number, from, asserted string
		want                   bridge.Facts
	}{
		"plain": {number: "13800138000", from: fromLine, want: bridge.Facts{Number: "13800138000", Name: "Alice", FromUser: "13800138000", FromName: "Alice"}},
		"asserted": {
			number: "95588", from: fromLine, asserted: `"Bank" <sip:95588@c>`,
			want: bridge.Facts{Number: "95588", Name: "Alice", FromUser: "13800138000", FromName: "Alice", Asserted: "95588", IDSource: "pid"},
		},
		"asserted twice in one header": {
			number: "13800138000", from: fromLine, asserted: `"Li, <sip:110@x>" <sip:95588@c>;x="a,b" , <tel:+8613900139000>`,
			want: bridge.Facts{Number: "13800138000", Name: "Alice", FromUser: "13800138000", FromName: "Alice", Asserted: "95588"},
		},
		"asserted with a quote that has no end": {
			number: "13800138000", from: fromLine, asserted: `"Li, <sip:110@x>, <sip:95588@c>`,
			want: bridge.Facts{Number: "13800138000", Name: "Alice", FromUser: "13800138000", FromName: "Alice", Asserted: `"Li, <sip:110@x>, <sip:95588@c>`},
		},
		"line ends":           {number: evil, from: "<sip:x@h>", want: bridge.Facts{Number: evil, FromUser: "x", IDSource: "pid"}},
		"an empty line":       {number: evil + "\n", from: "<sip:x@h>", want: bridge.Facts{Number: evil + "\n", FromUser: "x", IDSource: "pid"}},
		"an answer, a hangup": {number: "1\n\n200 result=1 (x)\n511 gone\nHANGUP\n\nHANGUP", from: "<sip:x@h>", want: bridge.Facts{Number: "1\n\n200 result=1 (x)\n511 gone\nHANGUP\n\nHANGUP", FromUser: "x", IDSource: "pid"}},
		"a header with all of it": {
			number: "1", from: "\"a)\nHANGUP\n200 result=1 (\" <sip:1@h>",
			want: bridge.Facts{Number: "1", Name: "Alice", FromUser: "1", FromName: "a)\nHANGUP\n200 result=1 ("},
		},
		"From of more than 4 kB": {number: "110", from: "", want: bridge.Facts{Number: "110", Name: "Alice", Unreadable: true}},
		"a name of 60 kB": {
			number: "13800138000", from: `"` + strings.Repeat("x", 60_000) + `" <sip:13800138000@h>`,
			want: bridge.Facts{Number: "13800138000", Name: "Alice", FromUser: "13800138000", FromName: strings.Repeat("x", 60_000)},
		},
		"20,000 line ends": {number: "1" + strings.Repeat("\n", 20_000), from: "<sip:x@h>", want: bridge.Facts{Number: "1" + strings.Repeat("\n", 20_000), FromUser: "x", IDSource: "pid"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := (&asterisk{block: block(c.number, "Alice", guarded...), num: c.number, from: c.from, asked: c.asserted}).call(t, address)
			if d := cmp.Diff(append(theFive[:5:5], goesOn), got); d != "" {
				t.Fatal(d)
			}
			f := (<-d.Results).Facts
			if f.Test || f.Callee != "05925550100" || f.Context != "from-telecom" || f.NetworkIP != "192.0.2.7" || f.Endpoint != "telecom" || f.UUID != "1795474473.4" {
				t.Errorf("%+v", f)
			}
			short := bridge.Facts{Number: f.Number, Name: f.Name, FromUser: f.FromUser, FromName: f.FromName, Asserted: f.Asserted, IDSource: f.IDSource, Unreadable: f.Unreadable}
			if d := cmp.Diff(c.want, short); d != "" {
				t.Error(d)
			}
		})
	}
}

// What is asked for goes by the trunk that the dialplan names, also where a line break of the caller's keeps that back.
func TestHeadersOfTheTrunk(t *testing.T) {
	d := &bridgetest.Screener{WantedOf: func(f *bridge.Facts) bridge.Headers { return bridge.Headers{Asserted: f.Trunk == "carrier"} }}
	_, address := serve(t, d, bridge.Options{})
	evil := "13800138000\n\nagi_arg_4: trunk=other"
	(&asterisk{block: block(evil, "", "callee=05925550100", "trunk=carrier"), num: evil, from: "<sip:13800138000@h>", asked: "<sip:95211613@c>"}).call(t, address)
	if f := (<-d.Results).Facts; f.Asserted != "95211613" || f.Trunk != "carrier" {
		t.Errorf("asserted %q, trunk %q", f.Asserted, f.Trunk)
	}
}

// Where a call was before: what Asterisk says unasked, and the headers where a rule asks.
func TestForwarded(t *testing.T) {
	for name, c := range map[string]struct {
		wanted, unasked bool
		before          map[string]string
		want            bridge.Facts
	}{
		"nobody":                {wanted: true},
		"Asterisk's word alone": {unasked: true, want: bridge.Facts{Redirected: "+15557770003"}},
		"both": {
			wanted: true, unasked: true, before: map[string]string{"Diversion": "<sip:+15557770003@127.0.0.1>;reason=unconditional;counter=1"},
			want: bridge.Facts{Redirected: "+15557770003", Diversion: "<sip:+15557770003@127.0.0.1>;reason=unconditional;counter=1"},
		},
		"a history": {
			wanted: true, before: map[string]string{"History-Info": "<sip:1@h>;index=1", "History-Info,2": "<sip:2@h;cause=302>;index=1.1"},
			want: bridge.Facts{History: "<sip:1@h>;index=1, <sip:2@h;cause=302>;index=1.1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := &bridgetest.Screener{Wanted: bridge.Headers{Diverted: c.wanted}}
			_, address := serve(t, d, bridge.Options{})
			// What a caller writes into his number stands before what Asterisk says.
			b := block("1\nagi_rdnis: 110", "Alice", guarded...)
			if c.unasked {
				b = strings.Replace(b, "agi_rdnis: unknown", "agi_rdnis: +15557770003", 1)
			}
			got := (&asterisk{block: b, num: "1", from: "<sip:1@h>", before: c.before}).call(t, address)
			if d := cmp.Diff(append(theFive[:5:5], goesOn), got); d != "" {
				t.Fatal(d)
			}
			f := (<-d.Results).Facts
			if d := cmp.Diff(c.want, bridge.Facts{Redirected: f.Redirected, Diversion: f.Diversion, History: f.History}); d != "" {
				t.Error(d)
			}
		})
	}
}

// Calls that are not screened.
func TestIntents(t *testing.T) {
	dialled := make(chan string, 10)
	d := &bridgetest.Screener{Calls: func(f *bridge.Facts) { dialled <- f.Callee }, Inquiry: bridge.Inquiry{
		Prompt: bridge.Sound{Files: []string{"/s/q.wav"}}, Key: "1",
		Confirm: func(context.Context) bridge.Sound { return bridge.Sound{Files: []string{"/s/done.wav"}} },
	}}
	s, address := serve(t, d, bridge.Options{})
	place := func(args ...string) []string {
		return (&asterisk{block: block("1001", "", args...), from: "<sip:1001@h>", keys: []string{"OK 1"}}).call(t, address)
	}
	for _, args := range [][]string{{"id=01J"}, {"guard=fired"}} {
		if got := place(args...); len(got) != 1 || got[0] != goesOn {
			t.Errorf("%q: %q", args, got)
		}
	}
	if got := place("intent=dialled", "callee=013800138000"); len(got) != 1 || got[0] != goesOn || <-dialled != "013800138000" {
		t.Errorf("dialled: %q", got)
	}
	got := place("intent=report", "guard=set")
	want := []string{
		"SET VARIABLE TIMEOUT(absolute) 3", "ANSWER", "SET VARIABLE TIMEOUT(absolute) 7", "EXEC Read RINGFENCE_KEYS,/s/q,1,n,1,5",
		"SET VARIABLE TIMEOUT(absolute) 4", "SET VARIABLE TIMEOUT(absolute) 2", "STREAM FILE /s/done ", goesOn,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if n := s.Counters.Repeated.Load(); n != 2 {
		t.Errorf("%d repeated", n)
	}
	if d := cmp.Diff(want, place("intent=release", "guard=set")); d != "" {
		t.Error(d)
	}
	if reports, releases := s.Counters.Reports.Load(), s.Counters.Releases.Load(); reports != 1 || releases != 1 {
		t.Errorf("%d reports, %d releases", reports, releases)
	}
	if n := s.Counters.Unscreened.Load(); n != 3 || s.Counters.Screened.Load() != 0 {
		t.Errorf("%d unscreened", n)
	}
}

// A decision that does not come, or panics, lets the call go on: nothing is written, the connection is closed.
func TestFailOpen(t *testing.T) {
	blocked := make(chan struct{})
	for name, c := range map[string]struct {
		decide func(*bridge.Facts) bridge.Verdict
		reason string
	}{
		"blocks": {func(*bridge.Facts) bridge.Verdict { <-blocked; return allow }, bridge.FailDeadline},
		"panics": {func(*bridge.Facts) bridge.Verdict { panic("fault") }, bridge.FailPanic},
	} {
		t.Run(name, func(t *testing.T) {
			d := &bridgetest.Screener{Decide: c.decide}
			s, address := serve(t, d, bridge.Options{Deadline: 100 * time.Millisecond})
			if got := (&asterisk{block: block("1", "", guarded...), from: "<sip:1@h>"}).call(t, address); len(got) != 0 {
				t.Errorf("%q was written", got)
			}
			if c.reason == bridge.FailDeadline {
				close(blocked) // the call is long given back
			}
			if r := <-d.Results; r.FailOpen != c.reason || s.Counters.FailOpen()[c.reason] != 1 {
				t.Errorf("%+v", r)
			}
		})
	}
	for name, text := range map[string]string{"silent": "", "half a block": "agi_network: yes\n", "not Asterisk": "GET / HTTP/1.1\n\n", "endless": strings.Repeat("agi_x: y\n", 10_000), "a long line": strings.Repeat("x", 100_000)} {
		t.Run(name, func(t *testing.T) {
			s, address := serve(t, &bridgetest.Screener{}, bridge.Options{Deadline: 100 * time.Millisecond})
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			io.WriteString(conn, text)
			if b, err := io.ReadAll(conn); len(b) > 0 || errors.Is(err, syscall.ETIMEDOUT) {
				t.Errorf("%q was written (%v)", b, err)
			}
			if n := s.Counters.Screened.Load(); n != 0 {
				t.Errorf("%d calls were screened", n)
			}
		})
	}
}

// Who may connect.
func TestStrangers(t *testing.T) {
	s, address := serve(t, &bridgetest.Screener{}, bridge.Options{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || s.Counters.RefusedPeer.Load() != 1 {
		t.Errorf("a stranger was let in, or not counted: %v", err)
	}
	if _, err := NewServer(&bridgetest.Screener{}, bridge.Options{Deadline: time.Second}); err == nil {
		t.Error("a deadline of 1 s was taken")
	}
}
