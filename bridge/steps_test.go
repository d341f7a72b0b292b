package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// script is a Switch that notes what it is told, and fails where the test says so.
type script struct {
	Conn
	port *Port

	facts Facts
	again bool
	fails map[string]error // by step
	keys  []string         // what each question brings
	plays chan struct{}    // Play closes it and lasts until Interrupt; nil for no time

	interrupted chan struct{}
	mu          sync.Mutex
	said        []string
}

func (s *script) step(name string, args ...any) error {
	s.mu.Lock()
	s.said = append(s.said, strings.TrimSpace(name+" "+fmt.Sprint(args...)))
	s.mu.Unlock()
	if err := s.Send(nil); err != nil { // as a switch, it can be told nothing once the call was given back
		return err
	}
	return s.fails[name]
}

func (s *script) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.said)
}

func (s *script) Run() { s.port.Run(&s.Conn, s) }
func (s *script) Facts() (*Facts, bool, error) {
	err := s.fails["facts"]
	return &s.facts, s.again, err
}
func (s *script) Tell(v *Verdict) error                   { return s.step("tell", v.Action) }
func (s *script) Begin(answer bool, ring string) error    { return s.step("begin", answer, " ", ring) }
func (s *script) Wait(time.Duration) error                { return s.step("wait") }
func (s *script) Leave() error                            { return s.step("leave") }
func (s *script) Refuse(status int, _ Refusal) error      { return s.step("refuse", status) }
func (s *script) RefuseQuickly(code int, _ Refusal) error { return s.step("quickly", code) }
func (s *script) Interrupt()                              { close(s.interrupted) }

func (s *script) Play(sound Sound) error {
	if err := s.step("play", strings.Join(sound.Files, "+")); err != nil {
		return err
	}
	if s.plays != nil {
		close(s.plays)
		<-s.interrupted
	}
	return nil
}

func (s *script) Keys(prompt Sound, n int) (string, error) {
	if err := s.step("keys", strings.Join(prompt.Files, "+"), " ", n); err != nil {
		return "", err
	}
	if len(s.keys) == 0 {
		return "", nil
	}
	keys := s.keys[0]
	s.keys = s.keys[1:]
	return keys, nil
}

// asker is a Screener that notes what it is told.
type asker struct {
	decide  func(f *Facts) Verdict
	inquiry Inquiry
	fault   string // where it panics
	results chan Result
	dialled chan string
}

func (a *asker) Screen(f *Facts) Verdict {
	if a.fault == "screen" {
		panic("a bug")
	}
	if a.decide == nil {
		return Verdict{Action: "allow"}
	}
	return a.decide(f)
}

func (a *asker) Record(_ *Facts, _ *Verdict, r Result) {
	a.results <- r
	if a.fault == "record" {
		panic("a bug")
	}
}
func (a *asker) StarCode(*Facts) Inquiry { return a.inquiry }
func (a *asker) Dialled(f *Facts)        { a.dialled <- f.Callee }
func (a *asker) Headers(*Facts) Headers  { return Headers{} }

// portOf runs a port whose calls are made by a function.
func portOf(t *testing.T, a *asker, o Options, call func() *script) (*Port, net.Listener) {
	t.Helper()
	a.results, a.dialled = make(chan Result, 100), make(chan string, 100)
	o.Log = slog.New(slog.DiscardHandler)
	var p *Port
	p, err := NewPort(a, o, "screen", func(conn net.Conn, accepted time.Time) Call {
		s := call()
		s.port, s.interrupted = p, make(chan struct{})
		s.Start(conn, accepted, p.Deadline(), "")
		return s
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		p.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if n := p.InHand(); n != 0 {
			t.Errorf("%d calls are left", n)
		}
	})
	return p, ln
}

// connect is a switch's connection, and how long it lasts: to its end the call is given back.
func connect(t *testing.T, ln net.Listener) func() time.Duration {
	t.Helper()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	began := time.Now()
	return func() time.Duration {
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, context.DeadlineExceeded) {
			t.Error("the connection was not closed")
		}
		return time.Since(began)
	}
}

func sound(file string) Sound { return Sound{Files: []string{file}, Length: time.Second} }

// Every verdict is carried out in its order, and each call is recorded once.
func TestSteps(t *testing.T) {
	ask := &Challenge{
		Tries:  []Question{{sound("which?"), "12"}, {sound("again?"), "34"}},
		Passed: sound("thanks"), Failed: sound("sorry"), Refuse: 603,
	}
	free := *ask
	free.Refuse = 0
	for name, c := range map[string]struct {
		verdict Verdict
		keys    []string
		want    string
		keyed   Keyed
	}{
		"allow":                 {Verdict{Action: "allow"}, nil, "tell allow, leave", NotAsked},
		"refuse":                {Verdict{Action: "reject", Refuse: 603}, nil, "tell reject, refuse 603", NotAsked},
		"refuse briefly":        {Verdict{Action: "reject", Refuse: 603, Brief: true}, nil, "quickly 603", NotAsked},
		"an announcement":       {Verdict{Action: "warn", Play: sound("a"), Ringing: "CN"}, nil, "tell warn, begin false CN, play a, leave", NotAsked},
		"and a refusal":         {Verdict{Action: "warn", Play: sound("a"), Ringing: "CN", Refuse: 486, Brief: true}, nil, "tell warn, begin false, play a, refuse 486", NotAsked},
		"answered":              {Verdict{Action: "warn", Play: sound("a"), Answer: true}, nil, "tell warn, begin true, play a, leave", NotAsked},
		"passed":                {Verdict{Action: "challenge", Challenge: ask}, []string{"12"}, "tell challenge, begin false, keys which? 2, play thanks, leave", KeyedRight},
		"passed the second try": {Verdict{Action: "challenge", Challenge: ask}, []string{"", "34"}, "tell challenge, begin false, keys which? 2, keys again? 2, play thanks, leave", KeyedRight},
		"wrong":                 {Verdict{Action: "challenge", Challenge: ask}, []string{"34", "12"}, "tell challenge, begin false, keys which? 2, keys again? 2, play sorry, refuse 603", KeyedWrong},
		"nothing":               {Verdict{Action: "challenge", Challenge: ask}, nil, "tell challenge, begin false, keys which? 2, keys again? 2, play sorry, refuse 603", KeyedNothing},
		"nothing, and goes on":  {Verdict{Action: "challenge", Challenge: &free}, nil, "tell challenge, begin false, keys which? 2, keys again? 2, play sorry, leave", KeyedNothing},
	} {
		t.Run(name, func(t *testing.T) {
			var s *script
			a := &asker{decide: func(*Facts) Verdict { return c.verdict }}
			p, ln := portOf(t, a, Options{}, func() *script { s = &script{facts: Facts{UUID: "u"}, keys: c.keys}; return s })
			connect(t, ln)()
			r := <-a.results
			if got := strings.Join(s.all(), ", "); got != c.want || r.Keyed != c.keyed || r.FailOpen != "" || r.HungUp || r.Took <= 0 {
				t.Errorf("got %s, %+v; want %s, keyed %v", got, r, c.want, c.keyed)
			}
			if n := p.Counters.Screened.Load(); n != 1 || len(a.results) != 0 {
				t.Errorf("%d screened, %d more records", n, len(a.results))
			}
		})
	}
}

// Whatever fails, at whatever step, the call is given back, counted under its reason and recorded once.
func TestFailOpenAtEveryStep(t *testing.T) {
	verdict := Verdict{Action: "warn", Play: sound("a")}
	wire := errors.New("broken pipe")
	for _, step := range []string{"facts", "tell", "begin", "play", "leave"} {
		for reason, err := range map[string]error{FailWire: wire, FailCommand: fmt.Errorf("%w: 510", ErrRefused), FailUnheard: ErrUnheard, "": ErrHungUp} {
			t.Run(fmt.Sprint(step, " ", err), func(t *testing.T) {
				a := &asker{decide: func(*Facts) Verdict { return verdict }}
				p, ln := portOf(t, a, Options{}, func() *script {
					return &script{facts: Facts{UUID: "u"}, fails: map[string]error{step: err}}
				})
				if took := connect(t, ln)(); took > 5*time.Second {
					t.Errorf("given back after %v", took)
				}
				r := <-a.results
				if r.FailOpen != reason || r.HungUp != (reason == "") {
					t.Errorf("got %+v, want %q", r, reason)
				}
				if n := p.Counters.FailOpen()[reason]; reason != "" && n != 1 || reason == "" && len(p.Counters.FailOpen()) > 0 {
					t.Errorf("counted %v", p.Counters.FailOpen())
				}
			})
		}
	}
}

// A decision that blocks or panics, and a fault when a call is recorded, keep no call.
func TestFaultsOfOurs(t *testing.T) {
	release := make(chan struct{}) // from then on nothing blocks
	for name, c := range map[string]struct {
		asker  asker
		reason string
	}{
		"blocks":           {asker{decide: func(*Facts) Verdict { <-release; return Verdict{} }}, FailDeadline},
		"panics":           {asker{fault: "screen"}, FailPanic},
		"panics in record": {asker{fault: "record"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			const deadline = 200 * time.Millisecond
			a := &c.asker
			p, ln := portOf(t, a, Options{Deadline: deadline}, func() *script { return &script{facts: Facts{UUID: "u"}} })
			took := connect(t, ln)()
			if c.reason == FailDeadline && took < deadline/2 || took > 10*time.Second {
				t.Errorf("given back after %v", took)
			}
			if c.reason == FailDeadline {
				close(release) // the call is long given back
			}
			if r := <-a.results; r.FailOpen != c.reason || c.reason != "" && p.Counters.FailOpen()[c.reason] != 1 {
				t.Errorf("got %+v and %v, want %q", r, p.Counters.FailOpen(), c.reason)
			}
			connect(t, ln) // the next call is taken
		})
	}
}

// Calls that are not to be screened.
func TestIntents(t *testing.T) {
	confirmed := make(chan bool, 1)
	inquiry := Inquiry{Prompt: sound("report?"), Key: "1", Confirm: func(context.Context) Sound { confirmed <- true; return sound("done") }}
	for name, c := range map[string]struct {
		call    *script
		inquiry Inquiry
		want    string
	}{
		"screened before":      {call: &script{facts: Facts{UUID: "u"}, again: true}, want: "leave"},
		"an outgoing call":     {call: &script{facts: Facts{UUID: "u", Intent: "dialled", Callee: "110"}}, want: "leave"},
		"an unknown intent":    {call: &script{facts: Facts{UUID: "u", Intent: "probe"}}, want: "leave"},
		"the star code":        {call: &script{facts: Facts{UUID: "u", Intent: "report"}, keys: []string{"1"}}, inquiry: inquiry, want: "begin true, keys report? 1, wait, play done, leave"},
		"the other star code":  {call: &script{facts: Facts{UUID: "u", Intent: "release"}}, inquiry: Inquiry{Prompt: sound("none")}, want: "begin true, play none, leave"},
		"another key":          {call: &script{facts: Facts{UUID: "u", Intent: "report"}, keys: []string{"2"}}, inquiry: inquiry, want: "begin true, keys report? 1, leave"},
		"nothing to report of": {call: &script{facts: Facts{UUID: "u", Intent: "report"}}, inquiry: Inquiry{Prompt: sound("none")}, want: "begin true, play none, leave"},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.call
			a := &asker{inquiry: c.inquiry}
			p, ln := portOf(t, a, Options{}, func() *script { return s })
			connect(t, ln)()
			if got := strings.Join(s.all(), ", "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if len(a.results) > 0 || p.Counters.Screened.Load() > 0 {
				t.Error("it was screened, or recorded")
			}
			if s.facts.Intent == "dialled" && <-a.dialled != "110" {
				t.Error("another number was dialled")
			}
		})
	}
	if len(confirmed) != 1 {
		t.Errorf("confirmed %d times, want once", len(confirmed))
	}
}

// A call that gives way to another hears no more, and ends as its verdict says of who does not pass.
func TestDismissed(t *testing.T) {
	held := &Held{}
	s := &script{facts: Facts{UUID: "u"}, plays: make(chan struct{})}
	a := &asker{decide: func(*Facts) Verdict {
		return Verdict{Action: "challenge", Play: sound("a"), Held: held, Challenge: &Challenge{Tries: []Question{{sound("?"), "1"}}, Refuse: 603}}
	}}
	_, ln := portOf(t, a, Options{}, func() *script { return s })
	end := connect(t, ln)
	<-s.plays
	held.Dismiss()
	held.Dismiss() // twice is once
	end()
	if got := strings.Join(s.all(), ", "); got != "tell challenge, begin false, play a, refuse 603" {
		t.Errorf("got %s", got)
	}
	if r := <-a.results; !r.Dismissed || r.Keyed != NotAsked {
		t.Errorf("recorded %+v", r)
	}
}

// Anybody on this machine may open connections and say nothing: who has named no call gives way to a new one, and a port
// that is full of calls lets the new one ring.
func TestRoom(t *testing.T) {
	asked, silent := make(chan struct{}), make(chan struct{})
	a := &asker{decide: func(*Facts) Verdict { asked <- struct{}{}; <-silent; return Verdict{Action: "allow"} }}
	p, ln := portOf(t, a, Options{MaxCalls: 2, Deadline: 900 * time.Millisecond}, func() *script { return &script{facts: Facts{UUID: "u"}} })
	first, second := connect(t, ln), connect(t, ln)
	<-asked
	<-asked
	connect(t, ln)() // closed at once
	if n := p.Counters.FailOpen()[FailLimit]; n != 1 || p.InHand() != 2 {
		t.Errorf("%d met a full port, %d are in hand", n, p.InHand())
	}
	close(silent)
	first()
	second()
}

// Options that no switch's guard allows are refused, and strangers are let in nowhere.
func TestPortRefuses(t *testing.T) {
	for _, d := range []time.Duration{-1, MaxDeadline + 1} {
		if _, err := NewPort(&asker{}, Options{Deadline: d}, "screen", nil); err == nil {
			t.Errorf("a deadline of %v was taken", d)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	asked, release := make(chan struct{}), make(chan struct{})
	a := &asker{decide: func(*Facts) Verdict { asked <- struct{}{}; <-release; return Verdict{} }}
	p, ln := portOf(t, a, Options{}, func() *script { return &script{facts: Facts{UUID: "u"}} })
	end := connect(t, ln)
	<-asked
	go func() { end(); close(release) }() // the decision comes too late
	if err := p.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if r := <-a.results; r.FailOpen != FailStopping && r.FailOpen != FailDeadline { // on a busy machine
		t.Errorf("recorded %+v", r)
	}
}
