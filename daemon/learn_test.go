package daemon

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// dealing has lines of numbers and of extensions, and tells by the action who is known to whom.
const dealing = `
country = "CN"
timezone = "Asia/Shanghai"
[numbers]
internal = ["8???"]
[lines.staff]
numbers = ["05925550100-05925550198", "8001"]
[lines.hotline]
numbers = ["4008001234"]
[trunks.telecom]
match = ["gateway:telecom"]
[trunks.branch]
match    = ["gateway:branch"]
internal = true
[[rule]]
name = "known here"
when = { known_caller = "30d" }
action = "tag"
label = "here"
[[rule]]
name = "known"
when = { known_caller = "30d", known_scope = "all" }
action = "tag"
label = "somewhere"
[[rule]]
name = "strangers"
action = "tag"
label = "stranger"
`

// ruleFor is the rule that decides on a call now; check must say the same.
func ruleFor(t testing.TB, d *house, caller, callee string) string {
	t.Helper()
	v := d.Screen(&bridge.Facts{UUID: "x", Number: caller, Callee: callee})
	r, err := d.Check(t.Context(), console.CheckQuery{Caller: caller, Callee: callee})
	if err != nil {
		t.Fatal(err)
	}
	if r.Rule != v.Rule || number.InertUpTo(r.Reason, 200) != v.Reason {
		t.Errorf("%s to %s: the call got %s (%s), check says %s (%s)", caller, callee, v.Rule, v.Reason, r.Rule, r.Reason)
	}
	return v.Rule
}

const staff, hotline = "05925550150", "4008001234"

// What a leg that was not screened teaches: a number that a line called and talked with for 10 s. The legs are
// those of recorded calls (eslbridge/testdata/events).
func TestNumbersDialled(t *testing.T) {
	talk := 10 * time.Second
	out := func(change func(*attach.CallEnd)) attach.CallEnd { // the leg to the trunk
		e := attach.CallEnd{
			UUID: "trunk", OtherUUID: "phone", Context: "internal", Profile: "external", Gateway: "telecom",
			Caller: "05925550101", Callee: "13800138000", FromUser: "05925550101", OtherCaller: "8001", OtherCallee: "913800138000",
			Answered: true, Bridged: true, Talk: talk,
		}
		if change != nil {
			change(&e)
		}
		return e
	}
	phone := func(change func(*attach.CallEnd)) attach.CallEnd { // the leg of the phone
		e := attach.CallEnd{
			UUID: "phone", OtherUUID: "trunk", Inbound: true, Context: "internal", Profile: "internal",
			Caller: "8001", Callee: "913800138000", ReqUser: "913800138000", FromUser: "8001", AuthUser: "8001",
			OtherCaller: "05925550101", OtherCallee: "13800138000", Answered: true, Bridged: true, Talk: talk,
		}
		if change != nil {
			change(&e)
		}
		return e
	}
	for _, test := range []struct {
		name string
		legs []attach.CallEnd
		want string // the rule for a call from the number back to the staff
	}{
		{"both legs", []attach.CallEnd{out(nil), phone(nil)}, "known here"},
		{"the leg to the trunk", []attach.CallEnd{out(nil)}, "known here"},
		{"the leg of the phone, which dialled a prefix", []attach.CallEnd{phone(nil)}, "known here"},
		{"too short", []attach.CallEnd{out(func(e *attach.CallEnd) { e.Talk = talk - 1 }), phone(func(e *attach.CallEnd) { e.Talk = talk - 1 })}, "strangers"},
		{"not answered", []attach.CallEnd{out(func(e *attach.CallEnd) { e.Answered = false })}, "strangers"},
		{"answered by the switch itself", []attach.CallEnd{phone(func(e *attach.CallEnd) { e.Bridged, e.OtherCallee = false, "" })}, "strangers"},
		{"by a number that is no line's, of an extension that is", []attach.CallEnd{out(func(e *attach.CallEnd) { e.Caller, e.FromUser = "05925559999", "05925559999" })}, "known here"},
		{"by a phone of no line", []attach.CallEnd{out(func(e *attach.CallEnd) { e.Caller, e.FromUser, e.OtherCaller = "05925559999", "", "8002" })}, "strangers"},
		{"by the hotline", []attach.CallEnd{out(func(e *attach.CallEnd) { e.Caller, e.FromUser, e.OtherCaller = hotline, hotline, "8002" })}, "known"},
		{"the dialplan says whose phone it is", []attach.CallEnd{phone(func(e *attach.CallEnd) {
			e.Caller, e.FromUser, e.AuthUser, e.OtherCaller, e.Line = "anna", "anna", "anna", "anna", staff
		})}, "known here"},
		{"from outside, claiming to be ours", []attach.CallEnd{phone(func(e *attach.CallEnd) { e.AuthUser, e.Caller, e.FromUser = "", "05925550101", "05925550101" })}, "strangers"},
		{"from a branch that may claim it", []attach.CallEnd{phone(func(e *attach.CallEnd) { e.AuthUser, e.Gateway = "", "branch" })}, "known here"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := in(start(t, installation(t, dealing)))
			if rule := ruleFor(t, d, "+8613800138000", staff); rule != "strangers" {
				t.Fatalf("before: %s", rule)
			}
			for _, e := range test.legs {
				d.Ended(e)
			}
			if rule := ruleFor(t, d, "+8613800138000", staff); rule != test.want {
				t.Errorf("decided by %q, want %q", rule, test.want)
			}
			if n := d.d.memory.Known.Len(); (n == 1) != (test.want != "strangers") || n > 1 {
				t.Errorf("%d pairs were learnt", n)
			}
		})
	}
	t.Run("a colleague", func(t *testing.T) {
		d := in(start(t, installation(t, dealing)))
		for _, callee := range []string{"05925550111", "8002", "*98", "", "anna"} {
			d.Ended(out(func(e *attach.CallEnd) { e.Callee = callee }))
			d.Ended(phone(func(e *attach.CallEnd) { e.OtherCallee = callee }))
		}
		if n := d.d.memory.Known.Len(); n != 0 {
			t.Errorf("%d pairs were learnt", n)
		}
	})
}

// screen has a call screened and given back, and returns its journal id.
func screen(d *house, uuid, caller, callee string, withheld bool) string {
	f := bridge.Facts{UUID: uuid, Number: caller, Callee: callee, Withheld: withheld}
	v := d.Screen(&f)
	v.Action, v.Refuse = "allow", 0 // as under mode = "observe"
	d.Record(&f, &v, bridge.Result{})
	return v.ID
}

// attached makes a daemon that believes in a switch to learn from. It is not there.
func attached(t testing.TB, policy string) *conf.Daemon {
	c := installation(t, policy)
	c.Attach = []conf.Attach{{Kind: "freeswitch", Name: "pbx1", Address: "127.0.0.1:1", Password: "x"}}
	return c
}

// A caller who talked for 60 s with a line is known to it, also one who withholds a number that is known, and
// also when this program was started in the meantime. Voicemail is nobody.
func TestCallersTalkedWith(t *testing.T) {
	for _, test := range []struct {
		name     string
		withheld bool
		restart  bool
		change   func(*attach.CallEnd)
		want     string
	}{
		{"a minute", false, false, func(*attach.CallEnd) {}, "known here"},
		{"withheld", true, false, func(*attach.CallEnd) {}, "known here"},
		{"started in between", false, true, func(*attach.CallEnd) {}, "known here"},
		{"started in between, the line named by the dialplan", false, true, func(e *attach.CallEnd) { e.Line, e.ReqUser, e.Callee = staff, "1001", "1001" }, "known here"},
		{"sent elsewhere by the dialplan", false, false, func(e *attach.CallEnd) { e.Callee = "1001" }, "known here"},
		{"less", false, false, func(e *attach.CallEnd) { e.Talk-- }, "strangers"},
		{"not answered", false, false, func(e *attach.CallEnd) { e.Answered = false }, "strangers"},
		{"voicemail", false, false, func(e *attach.CallEnd) { e.Bridged = false }, "strangers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := attached(t, dealing)
			d := start(t, c)
			id := screen(in(d), "a", "13800138000", staff, test.withheld)
			if test.restart {
				halt(t, d)
				d = start(t, c)
			}
			e := attach.CallEnd{
				UUID: "a", OtherUUID: "b", Inbound: true, Caller: "13800138000", Callee: staff, ReqUser: staff, Withheld: test.withheld,
				RingfenceID: id, Action: "allow", Answered: true, Bridged: true, Talk: time.Minute,
			}
			test.change(&e)
			in(d).Ended(e)
			if rule := ruleFor(t, in(d), "13800138000", staff); rule != test.want {
				t.Errorf("decided by %q, want %q", rule, test.want)
			}
			if rule := ruleFor(t, in(d), "13800138000", hotline); test.want != "strangers" && rule != "known" {
				t.Errorf("to another line decided by %q", rule)
			}
		})
	}
}

// After a number dialled an emergency number every call to it passes for half an hour, whatever became of that call, and
// to the number that was shown, and to no other of its line; nobody outside can bring that about.
func TestEmergencyCallback(t *testing.T) {
	for _, test := range []struct {
		name   string
		leg    attach.CallEnd
		passes []string // callees
		not    []string
	}{
		{
			"a line, refused by the trunk",
			attach.CallEnd{Caller: "05925550101", OtherCaller: "8002", Callee: "110", Cause: "NORMAL_TEMPORARY_FAILURE"},
			[]string{"05925550101", "+865925550101", "8002"},
			[]string{staff, "8001", hotline, "05925559999"},
		},
		{"a phone of a line, without a route", attach.CallEnd{Inbound: true, AuthUser: "8001", Caller: "8001", Callee: "120"}, []string{"8001"}, []string{staff, hotline}},
		{"dialled with a prefix", attach.CallEnd{Inbound: true, AuthUser: "8001", Caller: "8001", Callee: "9119", OtherUUID: "b", OtherCallee: "119", OtherCaller: "05925550102"}, []string{"8001", "05925550102"}, []string{staff, hotline}},
		{"a phone of no line", attach.CallEnd{Caller: "05925559999", OtherCaller: "8002", Callee: "110"}, []string{"05925559999", "+86 592 555 9999", "8002"}, []string{staff, "05925559998"}},
		{"an account", attach.CallEnd{Inbound: true, AuthUser: "anna", Caller: "anna", Callee: "110"}, []string{"anna"}, []string{staff, "bert"}},
		{"from outside, claiming to be ours", attach.CallEnd{Inbound: true, Gateway: "telecom", Caller: "05925550101", FromUser: "05925550101", Callee: "110", ReqUser: "110"}, nil, []string{staff}},
		{"screened, claiming to be ours", attach.CallEnd{Inbound: true, AuthUser: "8001", RingfenceID: "01M85T4ZM9MP33NY1MDZCEY0QA", Caller: "05925550101", Callee: "110"}, nil, []string{staff}},
		{"no emergency", attach.CallEnd{Caller: "05925550101", Callee: "95588"}, nil, []string{staff}},
		{"a text too long to be kept", attach.CallEnd{Caller: strings.Repeat("x", 65), Callee: "110"}, nil, []string{strings.Repeat("x", 65)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := installation(t, dealing)
			d := start(t, c)
			in(d).Ended(test.leg)
			look := func(d *house, want string) {
				t.Helper()
				for _, callee := range test.passes {
					if rule := ruleFor(t, d, "13900139000", callee); rule != want {
						t.Errorf("to %s: decided by %s, want %s", callee, rule, want)
					}
				}
				for _, callee := range test.not {
					if rule := ruleFor(t, d, "13900139000", callee); rule != "strangers" {
						t.Errorf("to %s: decided by %s", callee, rule)
					}
				}
			}
			look(in(d), policy.RuleNeverScreen)
			halt(t, d)
			d = start(t, c)
			look(in(d), policy.RuleNeverScreen)
			halt(t, d)
			desk, err := OpenDesk(c, true, slog.New(slog.DiscardHandler)) // as a command does without a daemon
			if err != nil {
				t.Fatal(err)
			}
			defer desk.Close()
			if len(test.passes) > 0 {
				if r, err := desk.Check(t.Context(), console.CheckQuery{Caller: "13900139000", Callee: test.passes[0]}); err != nil || r.Rule != policy.RuleNeverScreen {
					t.Errorf("without a daemon: %+v, %v", r, err)
				}
			}
			later := time.Now().Add(policy.CallbackWindow)
			if r, err := desk.Check(t.Context(), console.CheckQuery{Caller: "13900139000", Callee: staff, At: later.Format(time.RFC3339)}); err != nil || r.Rule != "strangers" {
				t.Errorf("half an hour later: %+v, %v", r, err)
			}
		})
	}
}

// A dialplan that hands a call out says so itself: known from then on, answered or not.
func TestDialledIntent(t *testing.T) {
	for name, f := range map[string]bridge.Facts{
		"by its number":        {Number: "05925550101", Callee: "13800138000"},
		"by its account":       {Number: "anonymous", AuthUser: "8001", Callee: "+8613800138000"},
		"by ringfence_line":    {Number: "anna", AuthUser: "anna", Line: staff, Callee: "13800138000"},
		"with a prefix":        {Number: "8001", AuthUser: "8001", Line: "13800138000", Callee: "0,13800138000"},
		"known by From alone":  {Number: "05925559999", FromUser: "8001", Callee: "13800138000"},
		"of a line, to itself": {Number: "05925550101", Callee: "05925550102"},
		"an emergency":         {Number: "05925550101", Callee: "110"},
		"of no line":           {Number: "05925559999", Callee: "13800138000"},
	} {
		d := in(start(t, installation(t, dealing)))
		d.Dialled(&f)
		want, callee := "known here", staff
		switch name {
		case "an emergency":
			want, callee = policy.RuleNeverScreen, "05925550101"
			if rule := ruleFor(t, d, "13800138000", staff); rule != "strangers" {
				t.Errorf("%s: a call to another number of the line is decided by %q", name, rule)
			}
		case "of a line, to itself", "of no line":
			want = "strangers"
		}
		if rule := ruleFor(t, d, "13800138000", callee); rule != want {
			t.Errorf("%s: decided by %q, want %q", name, rule, want)
		}
	}
}

// What was learnt is there after a restart and for a command that works on the files; what is too old is not, and goes
// from the disk.
func TestLearntIsKept(t *testing.T) {
	c := installation(t, dealing)
	d := start(t, c)
	ended := attach.CallEnd{Caller: "05925550101", Callee: "13800138000", Answered: true, Bridged: true, Talk: time.Minute}
	d.stopClock(time.Now().Add(-29 * 24 * time.Hour))
	in(d).Ended(ended)
	d.stopClock(time.Now().Add(-31 * 24 * time.Hour))
	ended.Callee = "13900139000"
	in(d).Ended(ended)
	d.stopClock(time.Now())
	halt(t, d)

	db, err := storage.Open(c.Database(), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stamps := func() (n int) {
		db.EachStamp(storage.Known, func(storage.Stamp) error { n++; return nil })
		return n
	}
	if n := stamps(); n != 2 {
		t.Errorf("%d facts are on disk, want 2", n)
	}
	db.Close()
	d = start(t, c)
	for caller, want := range map[string]string{"13800138000": "known here", "13900139000": "strangers"} {
		if rule := ruleFor(t, in(d), caller, staff); rule != want {
			t.Errorf("%s: decided by %q, want %q", caller, rule, want)
		}
	}
	if s, err := in(d).Status(t.Context()); err != nil || s.Learnt.Known != 1 || s.Learnt.Dropped != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	halt(t, d)
	if db, err = storage.Open(c.Database(), storage.Options{}); err != nil {
		t.Fatal(err)
	}
	if n := stamps(); n != 1 {
		t.Errorf("%d facts are on disk, want 1", n)
	}
	// Nothing is older than the policy asks for by now; a longer window keeps what is there.
	db.Close()
	if err := os.WriteFile(c.Policy, []byte(strings.Replace(dealing, `"30d", known_scope`, `"365d", known_scope`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	desk, err := OpenDesk(c, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer desk.Close()
	later := time.Now().Add(100 * 24 * time.Hour)
	if r, err := desk.Check(t.Context(), console.CheckQuery{Caller: "13800138000", Callee: staff, At: later.Format(time.RFC3339)}); err != nil || r.Rule != "known" {
		t.Errorf("%+v, %v", r, err)
	}
}

// Calls are decided while others end, and the policy is read again.
func TestLearningWhileDeciding(t *testing.T) {
	d := in(start(t, attached(t, dealing)))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				number, uuid := fmt.Sprintf("139%08d", i), fmt.Sprint(w, "-", i)
				id := screen(d, uuid, number, staff, false)
				d.Ended(attach.CallEnd{UUID: "b", OtherUUID: uuid, Callee: "8001", Caller: number, Ring: time.Second})
				d.Ended(attach.CallEnd{UUID: uuid, Inbound: true, RingfenceID: id, Caller: number, Callee: staff, Answered: true, Bridged: true, Talk: time.Hour})
				d.Ended(attach.CallEnd{UUID: "e", Caller: "05925550101", Callee: "110"})
				d.LastCallAt("8001", "")
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if _, err := d.Reload(context.Background()); err != nil {
				t.Error(err)
			}
			d.Status(context.Background())
		}
	})
	wg.Wait()
	if n := d.d.memory.Known.Len(); n != 200 {
		t.Errorf("%d pairs, want 200", n)
	}
}

// recordedSwitch is an event socket that sends events which a real switch once sent.
func recordedSwitch(t *testing.T, events ...string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { ln.Close(); <-done })
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		hear := func() {
			for line := " "; len(line) > 1; {
				if line, err = in.ReadString('\n'); err != nil {
					return
				}
			}
		}
		io.WriteString(conn, "Content-Type: auth/request\n\n")
		for range 2 { // the password, the subscription
			hear()
			io.WriteString(conn, "Content-Type: command/reply\nReply-Text: +OK\n\n")
		}
		for _, text := range events {
			io.WriteString(conn, text)
		}
		io.Copy(io.Discard, in) // until the daemon leaves
	}()
	return ln.Addr().String()
}

// recorded is a recorded event of a call that lasted so much longer, with other texts in it.
func recorded(t *testing.T, name string, longer time.Duration, replace ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../eslbridge/testdata/events", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(b), "\n\n")
	body = strings.NewReplacer(replace...).Replace(body)
	body = regexp.MustCompile(`(?m)^(Caller-Channel-Hangup-Time: )(\d+)`).ReplaceAllStringFunc(body, func(l string) string {
		var us int64
		fmt.Sscanf(l, "Caller-Channel-Hangup-Time: %d", &us)
		return fmt.Sprint("Caller-Channel-Hangup-Time: ", us+longer.Microseconds())
	})
	return fmt.Sprintf("Content-Length: %d\nContent-Type: text/event-plain\n\n%s", len(body), body)
}

// The whole way: a switch's events, as recorded, through its event socket.
func TestLearntFromRecordedEvents(t *testing.T) {
	c := installation(t, strings.Replace(dealing, "05925550198", "05925550198\", \"05925559999", 1))
	d := start(t, c) // to have calls screened before the switch reports their end
	id := screen(in(d), "x", "13900139000", "05925550101", false)
	halt(t, d)
	other := []string{"05925550199", "13800138000"} // whom the phone called
	c.Attach = []conf.Attach{{Kind: "freeswitch", Name: "pbx1", Password: "x", Address: recordedSwitch(t,
		recorded(t, "from-a-phone.b", 10*time.Second, other...),
		recorded(t, "from-a-phone.a", 10*time.Second, other...),
		recorded(t, "caller-hangs-up.b", time.Minute, "13800138000", "13900139000"),
		recorded(t, "caller-hangs-up.a", time.Minute, "13800138000", "13900139000", "01M85T4ZM9MP33NY1MDZCEY0QA", id),
		recorded(t, "no-answer.b", 0), // a phone that was rung for a call that nobody knows any more
		recorded(t, "callee-hangs-up.a", 0, "13800138000", "13700137000"),
	)}}
	d = start(t, c)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); d.attached[0].attach.Counters.Ends.Load() < 6; <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%d ends came: %s", d.attached[0].attach.Counters.Ends.Load(), d.attached[0].attach.Trouble())
		}
	}
	for caller, want := range map[string]string{"13800138000": "known here", "13900139000": "known here", "13700137000": "strangers"} {
		for end := time.Now().Add(10 * time.Second); ; <-tick.C { // the event may be on its way from the reader to the desk
			if rule := ruleFor(t, in(d), caller, staff); rule == want || time.Now().After(end) {
				if rule != want {
					t.Errorf("%s: decided by %q, want %q", caller, rule, want)
				}
				break
			}
		}
	}
	if n := d.memory.Known.Len(); n != 2 {
		t.Errorf("%d pairs were learnt, want 2", n)
	}
}
