package eslbridge

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/bridge/bridgetest"
)

var allow = bridgetest.Allow

var quiet = slog.New(slog.DiscardHandler)

// serve starts a server on loopback and ends it with the test.
func serve(t testing.TB, d bridge.Screener, o bridge.Options) (*Server, string) {
	t.Helper()
	ln := bridgetest.Listen(t)
	return serveOn(t, ln, d, o), ln.Addr().String()
}

func serveOn(t testing.TB, ln net.Listener, d bridge.Screener, o bridge.Options) *Server {
	t.Helper()
	if o.Log == nil {
		o.Log = quiet
	}
	s, err := NewServer(d, o)
	if err != nil {
		t.Fatal(err)
	}
	bridgetest.Serve(t, s, ln)
	return s
}

// peer is the switch's end of a connection, driven by the test.
type peer struct {
	t    testing.TB
	conn net.Conn
	rd   *Reader
	f    Frame
}

func dial(t testing.TB, addr string) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &peer{t: t, conn: conn, rd: NewReader(conn, 0)}
}

// command reads what the daemon says next, as one line with | between the lines; "" at the end.
func (p *peer) command() string {
	p.t.Helper()
	if err := p.rd.Next(&p.f); err != nil {
		if err == io.EOF || isReset(err) {
			return ""
		}
		p.t.Fatalf("waiting for a command: %v", err)
	}
	return strings.ReplaceAll(strings.TrimSpace(string(p.f.AppendTo(nil))), "\n", "|")
}

func (p *peer) say(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, text); err != nil {
		p.t.Fatal(err)
	}
}

const (
	ok       = "Content-Type: command/reply\nReply-Text: +OK\n\n"
	apiOK    = "Content-Type: api/response\nContent-Length: 4\n\n+OK\n"
	bye      = "Content-Type: command/reply\nReply-Text: +OK bye\n\n"
	farewell = "Content-Type: text/disconnect-notice\nContent-Disposition: disconnect\nContent-Length: 67\n\nDisconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
)

// answer replies to commands as a switch does until the daemon has left, and returns them.
func (p *peer) answer() []string {
	p.t.Helper()
	var got []string
	for {
		c := p.command()
		if c == "" {
			return got
		}
		got = append(got, c)
		switch {
		case c == "exit":
			p.say(bye + farewell)
			p.conn.(*net.TCPConn).CloseWrite()
		case strings.HasPrefix(c, "api "):
			p.say(apiOK)
		case strings.Contains(c, "respond"), strings.Contains(c, "hangup"):
			p.say(ok + farewell)
			p.conn.(*net.TCPConn).CloseWrite()
		default:
			p.say(ok)
		}
	}
}

// connectReply is the recorded reply to connect, with headers changed or added.
func connectReply(t testing.TB, changes ...string) string {
	t.Helper()
	var f Frame
	raw := transcript(t, "a1_sync_connect_exit.fs2peer.raw")
	if err := NewReader(bytes.NewReader(raw), 0).Next(&f); err != nil {
		t.Fatal(err)
	}
	text := string(f.AppendTo(nil))
	for _, c := range changes {
		name, _, _ := strings.Cut(c, ":")
		if i := strings.Index("\n"+text, "\n"+name+":"); i >= 0 {
			end := i + strings.IndexByte(text[i:], '\n')
			text = text[:i] + c + text[end:]
		} else {
			text = c + "\n" + text
		}
	}
	return text
}

func uuidOf(t testing.TB) string {
	return factsOf(t.(*testing.T), "a1_sync_connect_exit.fs2peer.raw").UUID
}

func setvars(uuid string, v bridge.Verdict) []string {
	return []string{fmt.Sprintf("api uuid_setvar_multi %s ringfence_action=%s;ringfence_would=%s;ringfence_rule=%s;ringfence_reason=%s;ringfence_id=%s",
		uuid, v.Action, v.Would, v.Rule, v.Reason, v.ID)}
}

func TestWayOfACall(t *testing.T) {
	uuid := uuidOf(t)
	reject := bridge.Verdict{ID: "X", Action: "reject", Would: "reject", Rule: "listed", Reason: "on list blacklist", Refuse: 608}
	tag := bridge.Verdict{ID: "X", Action: "tag", Would: "tag", Rule: "r", Reason: "y", ShowName: "Sales? Alice"}
	for name, c := range map[string]struct {
		reply   []string // changes to the recorded reply
		verdict bridge.Verdict
		want    []string // behind connect
		silent  bool     // not recorded
		counter func(c *bridge.Counters) uint64
	}{
		"allow, sync":  {verdict: allow, want: append(setvars(uuid, allow), "exit")},
		"allow, async": {reply: []string{"Socket-Mode: async", "variable_socket_resume: true"}, verdict: allow, want: append(setvars(uuid, allow), "exit")},
		"allow, async, nobody said resume": {
			reply: []string{"Socket-Mode: async"}, verdict: allow,
			want: append(append([]string{"resume"}, setvars(uuid, allow)...), "exit"),
		},
		"allow, sync, but resume was said": {
			reply: []string{"variable_socket_resume: true"}, verdict: allow,
			want: append(append([]string{"api uuid_setvar " + uuid + " socket_resume false"}, setvars(uuid, allow)...), "exit"),
		},
		"tag": {verdict: tag, want: append([]string{"api uuid_setvar " + uuid + " effective_caller_id_name Sales? Alice"}, append(setvars(uuid, tag), "exit")...)},
		"divert": {
			verdict: bridge.Verdict{ID: "X", Action: "divert", Would: "divert", Rule: "r", Reason: "y", Divert: bridge.Destination{Extension: "1001", Context: "default"}},
			want: append([]string{"api uuid_setvar " + uuid + " ringfence_divert 1001 XML default"},
				append(setvars(uuid, bridge.Verdict{ID: "X", Action: "divert", Would: "divert", Rule: "r", Reason: "y"}), "exit")...),
		},
		"reject": {
			verdict: reject,
			want:    append(setvars(uuid, reject), "sendmsg|call-command: execute|execute-app-name: respond|execute-app-arg: 608 Rejected|event-lock: true"),
		},
		"reject, answered": {
			reply: []string{"Answer-State: answered"}, verdict: reject,
			want: append(setvars(uuid, reject), "sendmsg|call-command: hangup|hangup-cause: CALL_REJECTED"),
		},
		"without full": {reply: []string{"Control: single-channel"}, verdict: bridge.Verdict{Action: "allow", Rule: "default"}, want: []string{
			"sendmsg|call-command: execute|execute-app-name: set|execute-app-arg: ringfence_action=allow|event-lock: true",
			"sendmsg|call-command: execute|execute-app-name: set|execute-app-arg: ringfence_rule=default|event-lock: true", "exit",
		}},
		"screened before":    {reply: []string{"variable_ringfence_id: 01J"}, want: []string{"exit"}, silent: true, counter: func(c *bridge.Counters) uint64 { return c.Repeated.Load() }},
		"taken by the guard": {reply: []string{"variable_ringfence_guard: fired"}, want: []string{"exit"}, silent: true, counter: func(c *bridge.Counters) uint64 { return c.Repeated.Load() }},
		"another intent":     {reply: []string{"variable_ringfence_intent: another"}, want: []string{"exit"}, silent: true, counter: func(c *bridge.Counters) uint64 { return c.Unscreened.Load() }},
	} {
		t.Run(name, func(t *testing.T) {
			d := &bridgetest.Screener{Decide: bridgetest.Always(c.verdict), Results: make(chan bridgetest.Result, 1)}
			s, addr := serve(t, d, bridge.Options{})
			p := dial(t, addr)
			if got := p.command(); got != "connect" {
				t.Fatalf("the first command is %q", got)
			}
			p.say(connectReply(t, c.reply...))
			if got := p.answer(); fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("commands\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			if c.silent {
				if n := c.counter(&s.Counters); n != 1 {
					t.Errorf("counted %d times", n)
				}
				return
			}
			if r := <-d.Results; r.FailOpen != "" || r.HungUp || r.Took <= 0 || !reflect.DeepEqual(r.Verdict, c.verdict) {
				t.Errorf("recorded %+v", r)
			}
		})
	}
}

// A call that goes out is shown to who wants to know of it and given back untouched, in either mode, also when
// that one falls over it; one that was screened on its way in is not ours.
func TestDialled(t *testing.T) {
	async := []string{"Socket-Mode: async"}
	for name, c := range map[string]struct {
		reply  []string
		want   []string
		untold bool
		panics bool
	}{
		"sync":            {want: []string{"exit"}},
		"async":           {reply: append(async, "variable_socket_resume: true"), want: []string{"exit"}},
		"async, alone":    {reply: async, want: []string{"resume", "exit"}},
		"screened before": {reply: []string{"variable_ringfence_id: 01J"}, want: []string{"exit"}, untold: true},
		"a fault of ours": {want: []string{"exit"}, panics: true},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan bridge.Facts, 1)
			d := &bridgetest.Screener{
				Decide: func(*bridge.Facts) bridge.Verdict { t.Error("it was screened"); return allow },
				Calls: func(f *bridge.Facts) {
					told <- *f
					if c.panics {
						panic("over a call")
					}
				},
				Results: make(chan bridgetest.Result, 1),
			}
			_, addr := serve(t, d, bridge.Options{})
			p := dial(t, addr)
			p.command()
			p.say(connectReply(t, append(c.reply, "variable_ringfence_intent: dialled", "Caller-Destination-Number: 13800138000", "variable_ringfence_line: 05925550101")...))
			if got := p.answer(); fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("commands %q, want %q", got, c.want)
			}
			select {
			case f := <-told:
				if c.untold || f.Callee != "13800138000" || f.Line != "05925550101" {
					t.Errorf("told %+v", f)
				}
			default:
				if !c.untold {
					t.Error("nobody was told")
				}
			}
			if len(d.Results) > 0 {
				t.Error("it was recorded like a call that is screened")
			}
		})
	}
}

func event(lines ...string) string {
	body := strings.Join(lines, "\n") + "\n\n"
	return fmt.Sprintf("Content-Length: %d\nContent-Type: text/event-plain\n\n%s", len(body), body)
}

// Whatever goes wrong, the call is given back with `exit`, nothing is written after it, and the reason is
// counted and recorded.
func TestFailOpen(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	never := func(*bridge.Facts) bridge.Verdict { <-release; return allow }
	reject := func(*bridge.Facts) bridge.Verdict { v := allow; v.Refuse = 603; return v }
	for name, c := range map[string]struct {
		verdict func(*bridge.Facts) bridge.Verdict
		act     func(p *peer)
		reason  string
		early   bool // before there are facts to record
		last    string
	}{
		"the switch is silent": {act: func(p *peer) {}, reason: bridge.FailDeadline, early: true, last: "exit"},
		"half a frame":         {act: func(p *peer) { p.say("Event-Name: CHANNEL_DATA\nUnique") }, reason: bridge.FailDeadline, early: true, last: "exit"},
		"the decision is late": {verdict: never, act: func(p *peer) { p.say(connectReply(p.t)) }, reason: bridge.FailDeadline, last: "exit"},
		"our own fault":        {verdict: func(*bridge.Facts) bridge.Verdict { panic("nil map") }, act: func(p *peer) { p.say(connectReply(p.t)) }, reason: bridge.FailPanic, last: "exit"},
		"garbage":              {act: func(p *peer) { p.say("Content-Length: nonsense\n\n") }, reason: bridge.FailWire, early: true, last: "exit"},
		"no call in the reply": {act: func(p *peer) { p.say(ok) }, reason: bridge.FailCommand, early: true, last: "exit"},
		"a reply to nothing":   {act: func(p *peer) { p.say(connectReply(p.t) + strings.Repeat(ok, 9)) }, reason: bridge.FailCommand, last: "exit"},
		"connect is refused":   {act: func(p *peer) { p.say("Content-Type: command/reply\nReply-Text: -ERR no\n\n") }, reason: bridge.FailCommand, early: true, last: "exit"},
		"respond is refused": {verdict: reject, act: func(p *peer) {
			p.say(connectReply(p.t) + apiOK + "Content-Type: command/reply\nReply-Text: -ERR no\n\n")
		}, reason: bridge.FailCommand, last: "exit"},
		"ended before it began":    {act: func(p *peer) { p.say(connectReply(p.t) + farewell) }, reason: bridge.FailUnheard, last: "exit"},
		"refused, and still there": {verdict: reject, act: func(p *peer) { p.say(connectReply(p.t) + apiOK + ok) }, reason: bridge.FailDeadline, last: "exit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &bridgetest.Screener{Decide: c.verdict, Results: make(chan bridgetest.Result, 1)}
			s, addr := serve(t, d, bridge.Options{Deadline: 250 * time.Millisecond})
			p := dial(t, addr)
			p.command()
			c.act(p)
			var got []string
			for cmd := p.command(); cmd != ""; cmd = p.command() {
				got = append(got, cmd)
				if len(got) == 1 && cmd == "exit" && name == "the decision is late" {
					p.say(bye + farewell)
					p.conn.Close()
					release <- struct{}{}
					break
				}
			}
			if len(got) == 0 || got[len(got)-1] != c.last || strings.Count(strings.Join(got, "\n"), "exit") != 1 {
				t.Errorf("commands %q", got)
			}
			if !c.early {
				if r := <-d.Results; r.FailOpen != c.reason {
					t.Errorf("recorded %+v", r.Result)
				}
			}
			waitFor(t, func() bool { return s.InHand() == 0 })
			if n := s.Counters.FailOpen()[c.reason]; n != 1 {
				t.Errorf("counted %v", s.Counters.FailOpen())
			}
		})
	}
}

// waitFor polls what has no event to wait on.
func waitFor(t testing.TB, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !cond(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("waited 10 s in vain")
		}
	}
}

// The caller gives up: the notice ends the call, and it is not a fail-open.
func TestCallerHangsUp(t *testing.T) {
	warn := func(*bridge.Facts) bridge.Verdict {
		v := allow
		v.Play = bridge.Sound{Files: []string{"/s/w.wav"}, Length: time.Minute}
		return v
	}
	for name, c := range map[string]struct {
		verdict func(*bridge.Facts) bridge.Verdict
		act     func(p *peer)
	}{
		"while variables are set": {act: func(p *peer) { p.say(connectReply(p.t) + apiOK + farewell) }},
		"the call is gone": {act: func(p *peer) {
			p.say(connectReply(p.t) + "Content-Type: api/response\nContent-Length: 23\n\n-ERR No such channel!\n\n")
		}},
		"in an announcement": {verdict: warn, act: func(p *peer) { p.say(connectReply(p.t) + apiOK + farewell) }},
	} {
		t.Run(name, func(t *testing.T) {
			d := &bridgetest.Screener{Decide: c.verdict, Results: make(chan bridgetest.Result, 1)}
			_, addr := serve(t, d, bridge.Options{})
			p := dial(t, addr)
			p.command()
			c.act(p)
			if r := <-d.Results; !r.HungUp || r.FailOpen != "" {
				t.Errorf("recorded %+v", r.Result)
			}
		})
	}
}

// A switch that ends the conversation before it has answered may not have done what it was told.
func TestRefusedButNotHeard(t *testing.T) {
	for name, c := range map[string]struct {
		say  string
		want string // of the record
	}{
		"heard":             {ok + farewell, ""},
		"heard, no goodbye": {ok, ""},
		"not heard":         {"", bridge.FailWire},
		"half heard":        {apiOK, bridge.FailWire},
	} {
		t.Run(name, func(t *testing.T) {
			d := &bridgetest.Screener{Results: make(chan bridgetest.Result, 1), Decide: func(*bridge.Facts) bridge.Verdict {
				return bridge.Verdict{ID: "X", Action: "reject", Would: "reject", Refuse: 603}
			}}
			_, addr := serve(t, d, bridge.Options{})
			p := dial(t, addr)
			p.command()
			p.say(connectReply(t))
			p.command()
			p.command()
			if c.say != "" && c.say != apiOK {
				p.say(apiOK)
			}
			p.say(c.say)
			p.conn.Close()
			if r := <-d.Results; r.FailOpen != c.want {
				t.Errorf("recorded %+v", r.Result)
			}
		})
	}
}

// On a channel that is not SIP `respond` does nothing.
func TestRefuseWithoutSIP(t *testing.T) {
	for status, cause := range map[int]string{603: "CALL_REJECTED", 486: "USER_BUSY", 404: "UNALLOCATED_NUMBER", 608: "CALL_REJECTED"} {
		_, addr := serve(t, &bridgetest.Screener{Decide: func(*bridge.Facts) bridge.Verdict { return bridge.Verdict{Refuse: status} }}, bridge.Options{})
		p := dial(t, addr)
		p.command()
		p.say(strings.Replace(connectReply(t), "variable_sip_call_id", "variable_no_sip_call_id", 1))
		if got := p.answer(); len(got) != 1 || got[0] != "sendmsg|call-command: hangup|hangup-cause: "+cause {
			t.Errorf("%d: %q", status, got)
		}
	}
}

func TestDeadlineBounds(t *testing.T) {
	for _, d := range []time.Duration{-1, bridge.MaxDeadline + 1, time.Hour} {
		if _, err := NewServer(&bridgetest.Screener{}, bridge.Options{Deadline: d}); err == nil {
			t.Errorf("a deadline of %v was taken", d)
		}
	}
}
