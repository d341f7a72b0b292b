package ami

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ringfence/attach"
	"ringfence/attach/attachtest"
)

// peer is Asterisk's end of a connection.
type peer struct {
	t    testing.TB
	conn net.Conn
	rd   *reader
}

// action reads the next action.
func (p peer) action() map[string]string {
	p.t.Helper()
	var b block
	if err := p.rd.next(&b, func(*block) bool { return true }); err != nil {
		p.t.Fatal(err)
	}
	m := map[string]string{}
	for i := range b.fields {
		m[string(b.key(i))] = string(b.value(i))
	}
	return m
}

func (p peer) say(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, text); err != nil {
		p.t.Error(err)
	}
}

// admit lets the client in, as Asterisk does.
func (p peer) admit() {
	p.t.Helper()
	p.say(greeting + "5.0.4\r\n")
	if a := p.action(); a["Action"] != "Challenge" || a["AuthType"] != "MD5" {
		p.t.Fatalf("the first action is %v", a)
	}
	p.say("Response: Success\r\nChallenge: 246373365\r\n\r\n")
	key := fmt.Sprintf("%x", md5.Sum([]byte("246373365measure-me")))
	if a := p.action(); a["Action"] != "Login" || a["Username"] != "ringfence" || a["Key"] != key || a["Events"] != "call" || a["Secret"] != "" {
		p.t.Fatalf("the second action is %v", a)
	}
	p.say("Response: Success\r\nMessage: Authentication accepted\r\n\r\n")
}

// bubble runs a client over pipes, in a time of its own. next waits for its next connection.
func bubble(t *testing.T) (a *attach.Client, m *Manager, ends chan attach.CallEnd, next func() peer) {
	var o attach.Options
	conn := attachtest.Pipes(t, &o)
	m, ends = &Manager{User: "ringfence", Secret: "measure-me"}, make(chan attach.CallEnd, 100)
	a = attach.New(o, m, func(e attach.CallEnd) { ends <- e })
	attachtest.Run(t, a)
	return a, m, ends, func() peer {
		c := conn()
		return peer{t, c, newReader(c)}
	}
}

// What is in the way is said so that the administrator knows what to do, and the secret is in no log line.
func TestTroubles(t *testing.T) {
	for name, c := range map[string]struct {
		serve   func(p peer)
		reason  string
		todo    string
		refused bool
	}{
		"secret, or address": {func(p peer) {
			p.say(greeting + "5.0.4\r\n")
			p.action()
			p.say("Response: Success\r\nChallenge: 1\r\n\r\n")
			p.action()
			p.say("Response: Error\r\nMessage: Authentication failed\r\n\r\n")
		}, "refused the user, the password or this machine's address", "permit, deny and acl", true},
		"in use": {func(p peer) {
			p.say(greeting + "5.0.4\r\n")
			p.action()
			p.say("Response: Success\r\nChallenge: 1\r\n\r\n")
			p.action()
			p.say("Response: Error\r\nMessage: Login Already In Use\r\n\r\n")
		}, "by that user's name", "allowmultiplelogin", false},
		"no challenge": {func(p peer) {
			p.say(greeting + "1.0\r\n")
			p.action()
			p.say("Response: Error\r\nMessage: Invalid/unknown command\r\n\r\n")
		}, "Invalid/unknown command", "is Asterisk running", true},
		"a web server":    {func(p peer) { p.say("HTTP/1.1 400 Bad Request\r\n\r\n") }, "no Asterisk manager interface", "bindaddr and port", false},
		"an ssh server":   {func(p peer) { p.say("SSH-2.0-OpenSSH_9.9\r\n") }, "no Asterisk manager interface", "bindaddr and port", false},
		"a FreeSWITCH":    {func(p peer) { p.say("Content-Type: auth/request\n\n") }, "no Asterisk manager interface", "bindaddr and port", false},
		"a line for ever": {func(p peer) { p.say(strings.Repeat("A", 2*maxLine) + "\n") }, "no Asterisk manager interface", "bindaddr and port", false},
		"closes":          {func(p peer) { p.conn.Close() }, "closed the connection", "is Asterisk running", false},
		"closes in the middle": {func(p peer) {
			p.say(greeting + "5.0.4\r\n")
			p.action()
			p.say("Response: Succ")
			p.conn.Close()
		}, "closed the connection", "is Asterisk running", false},
		"is silent": {func(p peer) {}, "silent for too long", "is Asterisk running", false},
		"talks, but does not answer": {func(p peer) {
			p.say(greeting + "5.0.4\r\n")
			p.action()
			for err := error(nil); err == nil; _, err = io.WriteString(p.conn, "Event: Newexten\r\n\r\n") {
				time.Sleep(time.Second)
			}
		}, "silent for too long", "is Asterisk running", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log attachtest.Logbook
				var o attach.Options
				next := attachtest.Pipes(t, &o)
				o.Log = log.Logger()
				a := attach.New(o, &Manager{User: "ringfence", Secret: "measure-me"}, func(attach.CallEnd) {})
				attachtest.Run(t, a)
				conn := next()
				c.serve(peer{t, conn, newReader(conn)})
				time.Sleep(11 * time.Second)
				synctest.Wait()
				text := strings.Join(log.Lines(), "\n")
				if a.Trouble() == "" || !strings.Contains(log.Lines()[0], c.reason) || !strings.Contains(text, c.todo) || strings.Contains(text, "measure-me") || a.Counters.Refused.Load() > 0 != c.refused {
					t.Errorf("trouble %q, refused %d, logged\n%s", a.Trouble(), a.Counters.Refused.Load(), text)
				}
			})
		})
	}
}

// A manager that is silent is asked for a word, and left when it gives none.
func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _, _, next := bubble(t)
		p := next()
		p.admit()
		for range 3 {
			began := time.Now()
			if got := p.action(); got["Action"] != "Ping" || time.Since(began) != time.Minute {
				t.Errorf("asked with %v after %v", got, time.Since(began))
			}
			p.say("Response: Success\r\nPing: Pong\r\nTimestamp: 1.000000\r\n\r\n")
		}
		p.action()
		began := time.Now()
		next().admit()
		if d := time.Since(began); d < 10*time.Second || d > 12*time.Second {
			t.Errorf("it came back after %v", d)
		}
		synctest.Wait()
		if !a.Attached() || a.Counters.Connects.Load() != 2 {
			t.Errorf("%+v", &a.Counters)
		}
	})
}

// newchannel is the event of a new channel, as Asterisk writes it.
func newchannel(name, number, exten, uuid, linked string, state int) string {
	return describe("Newchannel", "", name, number, exten, uuid, linked, state) + "\r\n"
}

func describe(event, prefix, name, number, exten, uuid, linked string, state int) string {
	var s strings.Builder
	if event != "" {
		fmt.Fprintf(&s, "Event: %s\r\nPrivilege: call,all\r\n", event)
	}
	for _, l := range [][2]string{
		{"Channel", name},
		{"ChannelState", fmt.Sprint(state)},
		{"ChannelStateDesc", "Up"},
		{"CallerIDNum", number},
		{"CallerIDName", "<unknown>"},
		{"ConnectedLineNum", "<unknown>"},
		{"ConnectedLineName", "<unknown>"},
		{"Language", "en"},
		{"AccountCode", ""},
		{"Context", "from-telecom"},
		{"Exten", exten},
		{"Priority", "1"},
		{"Uniqueid", uuid},
		{"Linkedid", linked},
	} {
		fmt.Fprintf(&s, "%s%s: %s\r\n", prefix, l[0], l[1])
	}
	return s.String()
}

func hangup(name, uuid string) string {
	return describe("Hangup", "", name, "<unknown>", "h", uuid, uuid, 6) + "Cause: 16\r\nCause-txt: Normal Clearing\r\n\r\n"
}

// heard gives blocks to a table, and returns the ends and how many could not be read.
func heard(t testing.TB, m *Manager, text string) (ends []attach.CallEnd, odd uint64) {
	t.Helper()
	in := greeting + "5.0.4\r\nResponse: Success\r\nChallenge: 1\r\n\r\nResponse: Success\r\nMessage: Authentication accepted\r\n\r\n" + text
	ends, a := replay(t, m, []byte(in), 1<<20)
	return ends, a.Counters.Unreadable.Load()
}

// The table has a bound, and what does not fit ends as if it had been up before.
func TestTooManyChannels(t *testing.T) {
	m := &Manager{}
	var text strings.Builder
	for i := range maxLegs + 3 {
		text.WriteString(newchannel(fmt.Sprintf("PJSIP/a-%08x", i), "1", "2", fmt.Sprintf("1795565587.%d", i), fmt.Sprintf("1795565587.%d", i), 4))
	}
	text.WriteString(hangup(fmt.Sprintf("PJSIP/a-%08x", maxLegs+1), fmt.Sprintf("1795565587.%d", maxLegs+1)))
	in := greeting + "5.0.4\r\nResponse: Success\r\n\r\nResponse: Success\r\n\r\n" + text.String()
	ends, a := replay(t, m, []byte(in), 1<<20)
	if len(m.legs.byName) != maxLegs || a.Counters.NoRoom.Load() != 3 || len(ends) != 1 || !ends[0].Answered {
		t.Fatalf("%d kept, %+v, ended %+v", len(m.legs.byName), &a.Counters, ends)
	}
	for _, l := range m.legs.byName {
		l.heard = l.heard.Add(-legAge - time.Hour) // for a day nothing was heard of them
	}
	m.legs.looked = time.Time{}
	_, a = replay(t, m, []byte(greeting+"5.0.4\r\nResponse: Success\r\n\r\nResponse: Success\r\n\r\n"+newchannel("PJSIP/b-1", "1", "2", "1795565588.1", "1795565588.1", 4)), 1<<20)
	if len(m.legs.byName) != 1 || len(m.legs.byUUID) != 1 || a.Counters.Forgotten.Load() != maxLegs {
		t.Errorf("%d kept, %+v", len(m.legs.byName), &a.Counters)
	}
}

// Asterisk was started again: its names of channels begin anew, and an old one is not taken for the new.
func TestChannelNameAgain(t *testing.T) {
	m := &Manager{}
	heard(t, m, newchannel("PJSIP/telecom-00000000", "13800138000", "1", "1795565587.0", "1795565587.0", 4))
	ends, odd := heard(t, m, newchannel("PJSIP/telecom-00000000", "13900139000", "2", "1795565999.0", "1795565999.0", 4)+hangup("PJSIP/telecom-00000000", "1795565999.0"))
	if len(ends) != 1 || ends[0].Caller != "13900139000" || ends[0].UUID != "1795565999.0" || odd != 0 || len(m.legs.byName)+len(m.legs.byUUID) != 0 {
		t.Errorf("%+v, %d unreadable, %d left", ends, odd, len(m.legs.byName))
	}
}

// A channel that gets another name in the middle, as in a transfer, stays the same.
func TestRename(t *testing.T) {
	m := &Manager{}
	ends, odd := heard(t, m, newchannel("PJSIP/telecom-1", "13800138000", "1", "1795565587.0", "1795565587.0", 4)+
		"Event: Rename\r\nPrivilege: call,all\r\nChannel: PJSIP/telecom-1\r\nNewname: PJSIP/telecom-1<MASQ>\r\nUniqueid: 1795565587.0\r\n\r\n"+
		"Event: Rename\r\nPrivilege: call,all\r\nChannel: PJSIP/telecom-9\r\nNewname: PJSIP/telecom-8\r\nUniqueid: 1795565587.9\r\n\r\n"+
		hangup("PJSIP/telecom-1<MASQ>", "1795565587.0"))
	if len(ends) != 1 || ends[0].Channel != "PJSIP/telecom-1" || ends[0].Caller != "13800138000" || odd != 0 || len(m.legs.byName)+len(m.legs.byUUID) != 0 {
		t.Errorf("%+v, %d unreadable", ends, odd)
	}
}

// chan_sip tells in a second event that a channel called in, and its channels are nobody's endpoint.
func TestChanSIP(t *testing.T) {
	m := &Manager{}
	ends, _ := heard(t, m, newchannel("SIP/8001-00000001", "13800138000", "1", "1795565587.0", "1795565587.0", 0)+
		describe("Newstate", "", "SIP/8001-00000001", "13800138000", "1", "1795565587.0", "1795565587.0", stateRing)+"\r\n"+hangup("SIP/8001-00000001", "1795565587.0"))
	if len(ends) != 1 || !ends[0].Inbound || ends[0].Endpoint != "" || ends[0].FromEndpoint != "" {
		t.Errorf("%+v", ends)
	}
}

// What a caller writes into their number or the number they dial changes nothing but that.
func TestForged(t *testing.T) {
	const victim, own = "PJSIP/8001-00000001", "PJSIP/telecom-00000002"
	before := newchannel(victim, "8001", "13800138000", "1795565587.1", "1795565587.1", 4)
	for name, c := range map[string]struct{ number, exten string }{
		"an event in the number":          {"1\r\n\r\nEvent: Hangup\r\nChannel: " + victim + "\r\nUniqueid: 1795565587.1", "2"},
		"a Uniqueid in the number":        {"1\r\nUniqueid: 1795565587.1", "2"},
		"an event in the extension":       {"1", "2\r\n\r\nEvent: Hangup\r\nChannel: " + victim + "\r\nUniqueid: 1795565587.1"},
		"the rest in the extension":       {"1", "2\r\nPriority: 1\r\nUniqueid: 1795565587.1\r\nLinkedid: 1"},
		"the rest, and a block's end":     {"1", "2\r\nPriority: 1\r\nUniqueid: 1795565587.1\r\nLinkedid: 1\r\n\r\n"},
		"a variable of the journal's":     {"1\r\nChanVariable: RINGFENCE_ID=01M880S3DRTVXEJSD3CBQN0XNC", "2"},
		"that the guard has fired":        {"1\r\nChanVariable: RINGFENCE_GUARD=fired", "2"},
		"a time":                          {"1\r\nTimestamp: 1.000000", "2"},
		"a login that is refused":         {"1\r\n\r\nResponse: Error\r\nMessage: Authentication failed\r\n\r\n", "2"},
		"a shutdown":                      {"1\r\n\r\nEvent: Shutdown\r\nShutdown: Cleanly\r\n\r\n", "2"},
		"a line of the length of a block": {strings.Repeat("1", maxBlock), "2"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &Manager{}
			ends, _ := heard(t, m, before+newchannel(own, c.number, c.exten, "1795565587.2", "1795565587.2", 4)+hangup(own, "1795565587.2"))
			for _, e := range ends {
				if e.Channel != own || e.RingfenceID != "" || e.Guard || e.Started.Year() < 2026 {
					t.Errorf("ended: %+v", e)
				}
			}
			if l := m.legs.byName[victim]; l == nil || l.uuid != "1795565587.1" || m.legs.byUUID["1795565587.1"] != l {
				t.Errorf("the other call: %+v", m.legs)
			}
			if ends, _ := heard(t, m, hangup(victim, "1795565587.1")); len(ends) != 1 || ends[0].UUID != "1795565587.1" || ends[0].Caller != "8001" {
				t.Errorf("the other call ended as %+v", ends)
			}
		})
	}
}

// Nothing in a user's name becomes a second line.
func TestCommandsStayOneCommand(t *testing.T) {
	got := command("Login", "Username", "x\r\nAction: Originate\r\n\r\n\x00\x7f", "Key", "y")
	if bytes.Count(got, []byte("\r\n")) != 4 || bytes.Count(got, []byte("Action: Login\r\n")) != 1 || bytes.Contains(got, []byte("\nAction: O")) {
		t.Errorf("%q", got)
	}
}

func TestDialled(t *testing.T) {
	for in, want := range map[string]string{
		"telecom/sip:13800138000@192.0.2.7:5060": "13800138000", "13800138000@telecom": "13800138000", "8001": "", "8001/sip:8001@10.0.0.7:5060;ob": "8001",
		"telecom/sips:+8613800138000;x=y@h": "+8613800138000", "": "", "unknown": "",
	} {
		if got := dialled(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestBegan(t *testing.T) {
	now := time.Unix(1795565600, 0)
	for in, want := range map[string]int64{"1795565587.12": 1795565587, "pbx-1-1795565587.12": 1795565587, "1795565601.1": 0, "1.2": 0, "x.1": 0, "": 0, "-.": 0, "1795565587": 0} {
		if got := began(in, now); want == 0 && !got.IsZero() || want != 0 && got.Unix() != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}

// FuzzManager: whatever Asterisk sends, the connection ends with the stream, memory is bounded, and what is said of a
// call is within bounds.
func FuzzManager(f *testing.F) {
	for _, name := range []string{"16/group", "16/local-channel", "22/line-end-in-callee", "22/callee-hangs-up"} {
		raw, err := os.ReadFile("testdata/" + name + ".raw")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, 1<<20)
		f.Add(raw, 3)
	}
	f.Fuzz(func(t *testing.T, raw []byte, piece int) {
		m := &Manager{}
		ends, a := replay(t, m, raw, max(piece, 1))
		c := &a.Counters
		if a.Attached() || c.Ends.Load() != uint64(len(ends)) || c.Ends.Load() > c.Events.Load() || len(m.legs.byName) > 2*int(c.Events.Load()) || len(m.legs.bridges) > int(c.Events.Load()) {
			t.Fatalf("%d ends, %+v", len(ends), c)
		}
		for name, l := range m.legs.byName {
			if name != l.key || l.uuid == "" || l.bridge != "" && m.legs.bridges[l.bridge] == nil {
				t.Fatalf("%q: %+v", name, l)
			}
		}
		for _, e := range ends {
			if e.Ring < 0 || e.Ring > attach.LongestCall || e.Talk < 0 || e.Talk > attach.LongestCall || e.Talk > 0 && !e.Answered || e.Cause == "" || e.UUID == "" || e.Channel == "" {
				t.Fatalf("%+v", e)
			}
			switch e.By {
			case "", attach.ByCaller, attach.ByCallee, attach.BySwitch:
			default:
				t.Fatalf("ended by %q", e.By)
			}
			for _, s := range []string{e.UUID, e.OtherUUID, e.Channel, e.OtherChannel, e.RingfenceID, e.Context, e.Endpoint, e.Caller, e.CallerName, e.Callee, e.DialledUser, e.OtherCaller, e.OtherCallee} {
				if len(s) > attach.MaxText {
					t.Fatalf("%d bytes of text", len(s))
				}
			}
		}
	})
}

// FuzzForged: what a caller can write, 79 bytes each into their number and the number they dial (chan_pjsip has no room for more), never
// becomes an event of another channel, nor one that carries a journal's id.
func FuzzForged(f *testing.F) {
	f.Add("1\r\nUniqueid: 1795565587.1", "2")
	f.Add("1\r\n\r\nEvent: Hangup\r\nPrivilege: call,all\r\nChannel: PJSIP/8001-00000001\r\n", "2")
	f.Add("1", "2\r\nPriority: 1\r\nUniqueid: 1795565587.1\r\nLinkedid: 1\r\n\r\nEvent: X\r\n")
	f.Fuzz(func(t *testing.T, number, exten string) {
		number, exten = number[:min(len(number), 79)], exten[:min(len(exten), 79)]
		const victim, own = "PJSIP/8001-00000001", "PJSIP/telecom-00000002"
		m := &Manager{}
		ends, _ := heard(t, m, newchannel(victim, "8001", "13800138000", "1795565587.1", "1795565587.1", 4)+
			newchannel(own, number, exten, "1795565587.2", "1795565587.2", 4)+
			describe("HangupRequest", "", own, number, exten, "1795565587.2", "1795565587.2", 6)+"Cause: 16\r\n\r\n"+
			describe("Hangup", "", own, number, exten, "1795565587.2", "1795565587.2", 6)+"Cause: 16\r\n\r\n")
		for _, e := range ends {
			if e.Channel != own || e.OtherChannel != "" || e.RingfenceID != "" || e.Guard {
				t.Fatalf("%+v", e)
			}
		}
		if l := m.legs.byName[victim]; l == nil || m.legs.byUUID["1795565587.1"] != l || !l.asked.IsZero() || len(m.legs.byName) > 2 {
			t.Fatalf("%+v", m.legs)
		}
	})
}

func BenchmarkEvents(b *testing.B) {
	raw, err := os.ReadFile("testdata/16/caller-hangs-up.raw")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	m := &Manager{}
	for b.Loop() {
		a := attach.New(attach.Options{Log: slog.New(slog.DiscardHandler), Queue: 8, Dial: nil}, m, nil)
		m.legs.begin(&a.Counters)
		rd, in := newReader(bytes.NewReader(raw)), block{}
		for rd.next(&in, wanted) == nil {
			if kind, name := in.kind(); kind == "Event" && events[name] {
				if l, _ := m.legs.take(name, &in, in.moment()); l != nil {
					l.end("pbx1", time.Now())
				}
			}
		}
	}
}
