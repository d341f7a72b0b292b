package standin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestDemoScenario holds the demo to what it is to show.
func TestDemoScenario(t *testing.T) {
	sc, err := LoadScenario(DemoScenario)
	if err != nil {
		t.Fatal(err)
	}
	campaign, numbers, modes, callees := 0, map[string]bool{}, map[bool]int{}, map[string]bool{}
	var withheld, nobody, hostile, chinese, cancelled, down bool
	keys, block := map[string]int{}, map[string]bool{}
	for _, p := range sc.Calls {
		c := p.Call
		if from := strings.TrimPrefix(c.From, "+86"); len(from) == 8 && (strings.HasPrefix(from, "9521") || strings.HasPrefix(from, "9520")) {
			campaign++
			numbers[c.From] = true
			if strings.HasPrefix(from, "952187") {
				block[c.To] = true
			}
		}
		if c.To != "4008001234" && (len(c.To) != 11 || !strings.HasPrefix(c.To, "0592555")) {
			t.Errorf("a call to %s, which is no line of ours", c.To)
		}
		if strings.Contains(c.From+c.To, "?") {
			t.Errorf("digits left open: %s to %s", c.From, c.To)
		}
		if c.Async != c.Resume {
			t.Errorf("async %v, socket_resume %v: such a call gets stuck", c.Async, c.Resume)
		}
		callees[c.To] = true
		modes[c.Async]++
		withheld = withheld || c.Privacy
		nobody = nobody || c.From == ""
		hostile = hostile || strings.Contains(c.Display, "${system(")
		chinese = chinese || c.Display == "张三"
		cancelled = cancelled || c.CancelAfter > 0
		down = down || c.Down
		if c.Keys != nil {
			keys[c.Keys("file_string:///s/intro.wav!/s/digits/7.wav!/s/digits/0.wav!/s/digits/9.wav")]++
		}
	}
	last := sc.Calls[len(sc.Calls)-1].At
	if n := len(sc.Calls); n < 30 || n > 60 || last < 10*time.Second || last > 13*time.Second {
		t.Errorf("%d calls in %v", n, last)
	}
	if campaign < 8 || len(numbers) < 8 || len(callees) < 15 || modes[true] < 8 || modes[false] < 8 {
		t.Errorf("%d campaign calls under %d numbers, to %d lines, %v async and sync", campaign, len(numbers), len(callees), modes)
	}
	if !withheld || !nobody || !hostile || !chinese || !cancelled {
		t.Errorf("withheld %v, without number %v, hostile %v, Chinese %v, cancelled %v", withheld, nobody, hostile, chinese, cancelled)
	}
	if len(block) < 10 { // more than a detector trips at, on a line each
		t.Errorf("calls of one block to %d lines", len(block))
	}
	if !down || keys["709"] != 2 || keys["810"] != 1 {
		t.Errorf("without a daemon %v, keys %v", down, keys)
	}
	again, err := LoadScenario(DemoScenario)
	if err != nil || !sameCalls(sc, again) {
		t.Error("not the same calls when read again", err)
	}
}

// sameCalls compares all but functions, which cannot be.
func sameCalls(a, b *Scenario) bool {
	for _, sc := range []*Scenario{a, b} {
		for i := range sc.Calls {
			sc.Calls[i].Call.Keys = nil
		}
	}
	return reflect.DeepEqual(a, b)
}

func TestLoadScenario(t *testing.T) {
	sc, err := LoadScenario([]byte(`
name = "small"
[defaults]
mode = "both"
gateway = "telecom"
[[call]]
at = "2s"
from = "9521????"
to = ["1000", "1001"]
count = 3
every = "500ms"
[[call]]
note = "first"
to = "1002"
mode = "sync"
cancel_after = "1s"
[call.sip]
X-Ticket = "7"
[call.vars]
ringfence_line = "1003"
`))
	if err != nil {
		t.Fatal(err)
	}
	if sc.Name != "small" || len(sc.Calls) != 4 {
		t.Fatalf("%q, %d calls", sc.Name, len(sc.Calls))
	}
	first := sc.Calls[0]
	want := Call{To: "1002", Gateway: "telecom", CancelAfter: time.Second, SIP: []Header{{"X-Ticket", "7"}}, Vars: map[string]string{"ringfence_line": "1003"}}
	if first.At != 0 || first.Note != "first" || !reflect.DeepEqual(first.Call, want) {
		t.Errorf("first call %+v", first)
	}
	for i, p := range sc.Calls[1:] {
		c := p.Call
		if p.At != 2*time.Second+time.Duration(i)*500*time.Millisecond || c.To != []string{"1000", "1001", "1000"}[i] ||
			c.Async != (i == 1) || c.Resume != c.Async || c.Gateway != "telecom" || len(c.From) != 8 {
			t.Errorf("call %d: %+v", i, p)
		}
	}
	if sc.Calls[1].Call.From == sc.Calls[2].Call.From {
		t.Error("the caller's number does not change")
	}

	for text, want := range map[string]string{
		"":                                    "no calls",
		"x = 1\n[[call]]\nto = \"1\"":         `unknown key "x"`,
		"[[call]]\nto = \"1\"\ntoo = 2":       `unknown key "call.too"`,
		"[[call]]\nfrom = \"1\"":              "to is missing",
		"[[call]]\nto = 1":                    "quotation marks",
		"[[call]]\nto = [1]":                  "quotation marks",
		"[[call]]\nto = \"1\"\nat = \"soon\"": `"soon" is no time`,
		"[[call]]\nto = \"1\"\nat = \"-1s\"":  "no time",
		"[[call]]\nto = \"1\"\nmode = \"x\"":  `"sync", "async" or "both"`,
		"[[call]]\nto = \"1\"\ncount = -1":    "count = -1",
		"[[call]]\nto = \"1\"\ncount = 99999\n[[call]]\nto = \"1\"\ncount = 99999": "lower its count",
		"[[call]\nto": "line 2",
	} {
		if _, err := LoadScenario([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
}

func TestTake(t *testing.T) {
	sc := &Scenario{Calls: []Planned{{At: 0, Call: Call{To: "1"}}, {At: time.Second, Call: Call{To: "2"}}}}
	got := sc.Take(5)
	var to string
	for i, p := range got.Calls {
		to += p.Call.To
		if i > 0 && p.At < got.Calls[i-1].At {
			t.Errorf("call %d at %v, before the one before", i, p.At)
		}
	}
	if to != "12121" || len(sc.Take(1).Calls) != 1 || len(sc.Take(0).Calls) != 2 || len(sc.Calls) != 2 {
		t.Errorf("calls %q", to)
	}
}

// crowd is a daemon that lets every call pass after a while, and counts how many it has at once.
func crowd(t *testing.T, hold time.Duration) (address string, most *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	most = new(atomic.Int64)
	var now atomic.Int64
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				io.WriteString(conn, "connect\n\n")
				readFrame(bufio.NewReader(conn))
				time.Sleep(hold)
				now.Add(-1)
				io.WriteString(conn, "exit\n\n")
				io.Copy(io.Discard, conn)
			}()
		}
	}()
	return l.Addr().String(), most
}

func TestRun(t *testing.T) {
	address, most := crowd(t, 20*time.Millisecond)
	sc := &Scenario{}
	for n := range 30 {
		sc.Calls = append(sc.Calls, Planned{At: time.Duration(n/15) * time.Second, Call: mobile("1000")})
	}
	sw := &Switch{Address: address, Speed: 10, MaxCalls: 4}
	var running, ended int
	seen := map[int]bool{}
	start := time.Now()
	var second time.Duration // when the first call of the later half was over
	err := sw.Run(t.Context(), sc, func(n int, c Call, r Result, err error) {
		if running++; running != 1 {
			t.Error("two calls are reported at once")
		}
		defer func() { running-- }()
		if err != nil || !r.Rang || seen[n] || c.To != sc.Calls[n].Call.To {
			t.Errorf("call %d: rang %v, seen %v, %v", n, r.Rang, seen[n], err)
		}
		seen[n] = true
		if n >= 15 && second == 0 {
			second = time.Since(start)
		}
		ended++
	})
	if err != nil || ended != 30 {
		t.Errorf("%d calls, %v", ended, err)
	}
	if most.Load() > 4 {
		t.Errorf("%d calls at once", most.Load())
	}
	if second < 100*time.Millisecond {
		t.Errorf("the later half began after %v", second)
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	ended = 0
	err = sw.Run(ctx, sc, func(int, Call, Result, error) {
		if ended++; ended == 3 {
			cancel(enough)
		}
	})
	if !errors.Is(err, enough) || ended >= 30 {
		t.Errorf("stopped run: %d calls, %v", ended, err)
	}
}

// BenchmarkPlace is the cost of a call on the switch's side: what to take off
// a daemon's measurements.
func BenchmarkPlace(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		buf := make([]byte, 16384)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "connect\n\nexit\n\n")
			for err == nil {
				_, err = conn.Read(buf)
			}
			conn.Close()
		}
	}()
	sw := &Switch{Address: l.Addr().String()}
	b.ReportAllocs()
	for b.Loop() {
		if r, err := sw.Place(b.Context(), mobile("1000")); err != nil || !r.Rang {
			b.Fatal(err, r)
		}
	}
}
