package eslbridge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringfence/bridge"
	"ringfence/bridge/bridgetest"
)

// gathered keeps all lines.
type gathered []string

func (g *gathered) line(name, value []byte) {
	text := string(name)
	if len(value) > 0 {
		text += ": " + string(value)
	}
	*g = append(*g, text)
}

// Stream says what Next says, of every recorded frame, however the bytes come.
func TestStreamReadsAsNext(t *testing.T) {
	compared := 0
	for name, raw := range allTranscripts(t, "*.raw") {
		for cut, src := range map[string]io.Reader{"whole": bytes.NewReader(raw), "byte by byte": iotest.OneByteReader(bytes.NewReader(raw))} {
			plain, streamed := NewReader(bytes.NewReader(raw), 0), NewReader(src, 0)
			for {
				var a, b Frame
				var got gathered
				err := plain.Next(&a)
				if other := streamed.Stream(&b, &got); !errors.Is(other, err) {
					t.Fatalf("%s, %s: %v, Next says %v", name, cut, other, err)
				}
				if err != nil {
					break
				}
				var want gathered
				for i := range a.Len() {
					if n, v := a.Field(i); !ofFrame(n) {
						want.line(n, v[:min(len(v), MaxValue)])
					}
				}
				if a.Type() == typeEvent {
					for _, l := range strings.Split(string(a.Body()), "\n") {
						if l == "" {
							break
						}
						want.line(split([]byte(l)))
					}
				} else if !bytes.Equal(a.Body(), b.Body()) {
					t.Fatalf("%s, %s: body %q, Next says %q", name, cut, b.Body(), a.Body())
				}
				if diff := cmp.Diff(want, got); diff != "" || a.Type() != b.Type() || a.Type() != typeEvent && a.OK() != b.OK() {
					t.Fatalf("%s, %s: type %q ok %v, Next says %q %v\n%s", name, cut, b.Type(), b.OK(), a.Type(), a.OK(), diff)
				}
				compared++
			}
		}
	}
	if compared < 200 {
		t.Fatalf("only %d frames were compared", compared)
	}
}

// counted keeps no line, but what they were.
type counted struct{ lines, bytes, longest int }

func (c *counted) line(name, value []byte) {
	c.lines++
	c.bytes += len(value)
	c.longest = max(c.longest, len(value))
}

func TestStreamBounds(t *testing.T) {
	head := "Event-Name: CHANNEL_DATA\n"
	end := "Content-Type: command/reply\nReply-Text: %2BOK%0A\n\n"
	for name, c := range map[string]struct {
		in   string
		want error
	}{
		"12 MB in a field":          {in: head + "variable_sip_h_X: " + strings.Repeat("%22", 4<<20) + "\n" + end},
		"12 MB in 100,000 fields":   {in: head + strings.Repeat("variable_sip_h_X-"+strings.Repeat("a", 90)+": %22%22%22\n", 100_000) + end},
		"a megabyte without colon":  {in: head + strings.Repeat("x", 1<<20) + "\n" + end},
		"a megabyte of name":        {in: head + strings.Repeat("x", 1<<20) + ": y\n" + end},
		"20,000 fields of one name": {in: head + strings.Repeat("Unique-ID: x\n", 20_000) + end},
		"past the bound":            {in: head + "variable_sip_h_X: " + strings.Repeat("%22", 6<<20) + "\n" + end, want: ErrHeaderTooLarge},
		"past the bound, lines":     {in: head + strings.Repeat("variable_sip_h_X: y\n", 1<<20) + end, want: ErrHeaderTooLarge},
		"without an end":            {in: head + strings.Repeat("x", 1<<20), want: io.ErrUnexpectedEOF},
		"an event past the bound":   {in: fmt.Sprintf("Content-Type: text/event-plain\nContent-Length: %d\n\n", MaxStream+1), want: ErrBodyTooLarge},
		"a reply past the bound":    {in: fmt.Sprintf("Content-Type: api/response\nContent-Length: %d\n\n", MaxBody+1), want: ErrBodyTooLarge},
		"lengths that differ":       {in: "Content-Length: 1\n" + head + "Content-Length: 2\n\nab", want: ErrContentLength},
	} {
		t.Run(name, func(t *testing.T) {
			if c.want != io.ErrUnexpectedEOF {
				c.in += "Content-Type: behind\n\n"
			}
			r := NewReader(strings.NewReader(c.in), 0)
			var f Frame
			var seen counted
			if err := r.Stream(&f, &seen); !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if seen.longest > MaxValue || len(r.buf)+cap(r.kept)+cap(r.long) > 64<<10 {
				t.Errorf("a value of %d bytes; buffers of %d, %d and %d", seen.longest, len(r.buf), cap(r.kept), cap(r.long))
			}
			if c.want != nil {
				return
			}
			if f.Type() != typeReply || !f.OK() || seen.lines == 0 {
				t.Errorf("type %q, ok %v, %d lines", f.Type(), f.OK(), seen.lines)
			}
			if err := r.Stream(&f, &seen); err != nil || f.Type() != "behind" {
				t.Errorf("the place in the stream is lost: %v, %q", err, f.Type())
			}
		})
	}
}

// A caller who makes the switch's data large, or slow, is screened as anyone, and past the bounds at least written down.
func TestPaddedCalls(t *testing.T) {
	padding := func(n int, line string) string { return strings.Repeat(line, n) }
	for name, c := range map[string]padded{
		"66 kB":                 {more: padding(20, "variable_sip_h_X-A: "+strings.Repeat("%22", 1100)+"\n")},
		"12 MB":                 {more: padding(4, "variable_sip_h_X-A: "+strings.Repeat("%22", 1<<20)+"\n")},
		"20,000 fields":         {more: padding(20_000, "variable_sip_h_X-A: a\n")},
		"a field of 1 MB":       {more: "variable_sip_h_X-A: " + strings.Repeat("a", 1<<20) + "\n"},
		"20,000 of one we read": {more: padding(20_000, "variable_sip_h_Diversion: <sip:1@x>\n")},
		"byte by byte":          {slow: true},
		"past the bound":        {more: "variable_sip_h_X-A: " + strings.Repeat("a", MaxStream) + "\n", fail: bridge.FailWire},
	} {
		t.Run(name, func(t *testing.T) {
			for tries := 1; placePadded(t, c); tries++ {
				if t.Logf("let through by the deadline, as on a machine that is too busy"); tries == 5 {
					t.Fatal("each time")
				}
			}
		})
	}
}

// padded is a call with more in its first reply than a switch usually has.
type padded struct {
	more string // behind the first line of the recorded reply
	slow bool
	fail string
}

// placePadded places it; late says that it was let through by the deadline, and shows nothing.
func placePadded(t *testing.T, c padded) (late bool) {
	t.Helper()
	d := &bridgetest.Screener{Results: make(chan bridgetest.Result, 4), Decide: func(f *bridge.Facts) bridge.Verdict {
		return bridge.Verdict{ID: "X", Action: "reject", Would: "reject", Refuse: 603}
	}}
	s, addr := serve(t, d, bridge.Options{})
	first, rest, _ := strings.Cut(connectReply(t), "variable_direction")
	text := []byte(first + c.more + "variable_direction" + rest)
	p := dial(t, addr)
	if got := p.command(); got != "connect" {
		t.Fatal(got)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if c.slow {
		start := time.Now() // 500 ms in all, whatever a write takes
		for i := range len(text) {
			for time.Since(start) < time.Duration(i)*500*time.Millisecond/time.Duration(len(text)) {
				runtime.Gosched()
			}
			p.conn.Write(text[i : i+1])
		}
	} else if _, err := p.conn.Write(text); err != nil && c.fail == "" {
		r := <-d.Results
		if r.FailOpen != bridge.FailDeadline {
			t.Fatalf("%v; recorded as %+v", err, r.Result)
		}
		return true
	}
	var said []string
	if c.fail == "" {
		said = p.answer()
	}
	r := <-d.Results
	if r.FailOpen == bridge.FailDeadline {
		return true
	}
	if c.fail == "" && (len(said) == 0 || !strings.Contains(said[len(said)-1], "respond|execute-app-arg: 603")) {
		t.Errorf("the daemon said %q", said)
	}
	runtime.ReadMemStats(&after)
	if r.FailOpen != c.fail || r.Facts.Number == "" || r.Facts.UUID == "" {
		t.Errorf("recorded as %+v of %+v", r.Result, r.Facts)
	}
	if n := s.Counters.FailOpen()[c.fail]; c.fail != "" && n != 1 {
		t.Errorf("counted %d times", n)
	}
	if grown := int64(after.TotalAlloc) - int64(before.TotalAlloc); !c.slow && grown > 1<<20 {
		t.Errorf("%d kB were allocated for the call", grown>>10)
	}
	select {
	case r := <-d.Results:
		t.Errorf("recorded twice: %+v", r)
	default:
	}
	return false
}

// What is said when the facts are not there yet.
func TestCallsWithoutFacts(t *testing.T) {
	for name, c := range map[string]struct {
		say      string
		record   bool
		hungUp   bool
		failOpen string
	}{
		"a caller who is gone, named":   {say: "Content-Type: text/disconnect-notice\nControlled-Session-UUID: 3f2a\nContent-Disposition: disconnect\nContent-Length: 2\n\nx\n", record: true, hungUp: true},
		"a caller who is gone, no name": {say: farewell, failOpen: bridge.FailWire},
		"half of the facts":             {say: connectReply(t)[:2000], record: true, failOpen: bridge.FailWire},
		"nothing":                       {failOpen: bridge.FailWire},
		"what is no switch":             {say: "GET / HTTP/1.1\r\n\r\n", failOpen: bridge.FailWire},
		"facts that name no call":       {say: ok, failOpen: bridge.FailCommand},
		"a lie that it was screened":    {say: strings.Replace(connectReply(t), "variable_direction", "variable_sip_h_X-ringfence_id: 1\nvariable_direction", 1)[:3000], record: true, failOpen: bridge.FailWire},
		"screened before, then cut off": {say: strings.Replace(connectReply(t), "\nUnique-ID", "\nvariable_ringfence_id: 01J\nUnique-ID", 1)[:3000], failOpen: bridge.FailWire},
	} {
		t.Run(name, func(t *testing.T) {
			d := &bridgetest.Screener{Results: make(chan bridgetest.Result, 4)}
			s, addr := serve(t, d, bridge.Options{})
			p := dial(t, addr)
			p.command()
			p.say(c.say)
			p.conn.(*net.TCPConn).CloseWrite()
			waitFor(t, func() bool { return s.InHand() == 0 && s.Counters.Accepted.Load() == 1 })
			switch {
			case !c.record && len(d.Results) > 0:
				t.Errorf("recorded: %+v", <-d.Results)
			case c.record:
				if r := <-d.Results; r.Facts.UUID == "" || r.HungUp != c.hungUp || r.FailOpen != c.failOpen {
					t.Errorf("recorded %+v of %+v", r.Result, r.Facts)
				}
			}
			if f := s.Counters.FailOpen(); c.failOpen != "" && f[c.failOpen] != 1 || c.failOpen == "" && len(f) > 0 {
				t.Errorf("counted: %v", f)
			}
		})
	}
}
