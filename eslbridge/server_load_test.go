package eslbridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/bridge/bridgetest"
)

// A connection that waited in the accept queue past its deadline, as when this process was stopped, is
// given back without being looked at: the switch's guard may have bridged the call by now.
func TestQueuedTooLong(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := dial(t, ln.Addr().String())
	<-time.After(150 * time.Millisecond)
	d := &bridgetest.Screener{}
	s := serveOn(t, ln, d, bridge.Options{Deadline: 100 * time.Millisecond})
	if runtime.GOOS != "linux" {
		t.Skip("NOT TESTED: only Linux tells how long a connection has waited")
	}
	var got []string
	for c := p.command(); c != ""; c = p.command() {
		got = append(got, c)
	}
	if fmt.Sprint(got) != "[exit]" {
		t.Errorf("commands %q", got)
	}
	waitFor(t, func() bool { return s.InHand() == 0 })
	if f := s.Counters.FailOpen(); f[bridge.FailLate] != 1 {
		t.Errorf("counted %v", f)
	}
}

func TestPeerNotAllowed(t *testing.T) {
	s, addr := serve(t, &bridgetest.Screener{}, bridge.Options{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	if c := dial(t, addr).command(); c != "" {
		t.Errorf("a stranger was told %q", c)
	}
	if n := s.Counters.RefusedPeer.Load(); n != 1 {
		t.Errorf("counted %d", n)
	}
}

// Who says nothing gives way to who comes later, for anyone on this machine can say nothing; a call that is known keeps
// its place.
func TestTooManyCalls(t *testing.T) {
	decide := make(chan bool)
	d := &bridgetest.Screener{Decide: func(*bridge.Facts) bridge.Verdict { <-decide; return allow }}
	s, addr := serve(t, d, bridge.Options{MaxCalls: 2})
	var idle []*peer
	for range 10 {
		p := dial(t, addr)
		p.command()
		idle = append(idle, p)
	}
	if n := s.Counters.FailOpen()[bridge.FailLimit]; n < 7 || s.InHand() != 2 { // the last may not have gone yet
		t.Errorf("%d of 10 idle connections gave way, %d are in hand", n, s.InHand())
	}
	var calls []*peer
	for range 2 {
		p := dial(t, addr)
		p.command()
		p.say(connectReply(t))
		waitFor(t, func() bool { return s.Counters.Screened.Load() == uint64(len(calls)+1) })
		calls = append(calls, p)
	}
	if c := dial(t, addr).command(); c != "" {
		t.Errorf("over the limit, but told %q", c)
	}
	close(decide)
	for _, p := range calls {
		if got := p.answer(); len(got) != 2 {
			t.Errorf("a call in hand got %q", got)
		}
	}
	for _, p := range idle {
		for p.command() == "exit" {
		}
	}
	waitFor(t, func() bool {
		return s.Counters.FailOpen()[bridge.FailLimit] == 11 && s.Counters.Nameless.Load() == 10 && s.InHand() == 0
	})
}

// Shutdown lets the calls in hand finish, and gives back those that take too long.
func TestShutdown(t *testing.T) {
	d := &bridgetest.Screener{Results: make(chan bridgetest.Result, 2)}
	hold := make(chan struct{})
	d.Decide = func(f *bridge.Facts) bridge.Verdict {
		if f.Name == "slow" {
			v := allow
			v.Play = bridge.Sound{Files: []string{"/s/long.wav"}, Length: time.Hour}
			return v
		}
		<-hold
		return allow
	}
	s, addr := serve(t, d, bridge.Options{})
	slow, quick := dial(t, addr), dial(t, addr)
	slow.command()
	slow.say(connectReply(t, "Caller-Caller-ID-Name: slow"))
	slow.command()
	slow.say(apiOK)
	slow.command() // playback, which does not end
	quick.command()
	quick.say(connectReply(t))
	ctx, cancel := context.WithCancel(context.Background())
	down := make(chan error)
	go func() { down <- s.Shutdown(ctx) }()
	waitFor(t, func() bool { _, err := net.Dial("tcp", addr); return err != nil })
	close(hold)
	if got := quick.answer(); len(got) != 2 || got[1] != "exit" {
		t.Errorf("the call in hand got %q", got)
	}
	if r := <-d.Results; r.FailOpen != "" {
		t.Errorf("recorded %+v", r.Result)
	}
	cancel()
	if c := slow.command(); c != "exit" {
		t.Errorf("the slow call got %q", c)
	}
	if err := <-down; !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if r := <-d.Results; r.FailOpen != bridge.FailStopping {
		t.Errorf("recorded %+v", r.Result)
	}
}

// 10,000 calls that end at every possible point of what the switch sends leave nothing behind.
func TestNoGoroutineLeft(t *testing.T) {
	calls := 10000
	if testing.Short() {
		calls = 1000
	}
	s, addr := serve(t, &bridgetest.Screener{}, bridge.Options{})
	before := runtime.NumGoroutine()
	stream := connectReply(t) + apiOK + bye + farewell
	var wg sync.WaitGroup
	next := make(chan int)
	for range 32 {
		wg.Go(func() {
			for i := range next {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					continue
				}
				io.WriteString(conn, stream[:i*len(stream)/(calls-1)])
				if i%3 == 0 {
					conn.(*net.TCPConn).SetLinger(0) // RST
				}
				conn.Close()
			}
		})
	}
	for i := range calls {
		next <- i
	}
	close(next)
	wg.Wait()
	waitFor(t, func() bool { return s.Counters.Accepted.Load() == uint64(calls) && s.InHand() == 0 })
	waitFor(t, func() bool { return runtime.NumGoroutine() <= before })
}

// 400 hostile connections do not keep real calls from being answered, and cost bounded memory.
func TestHostilePeers(t *testing.T) {
	s, addr := serve(t, &bridgetest.Screener{}, bridge.Options{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const hostile = 400
	var wg sync.WaitGroup
	for i := range hostile {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			switch i % 4 {
			case 0: // nothing
			case 1:
				io.WriteString(conn, connectReply(t)[:3000])
			case 2:
				io.WriteString(conn, "\x00\xff\x16\x03\x01 GET / HTTP/1.1\r\n\r\n")
			case 3: // a header of a gigabyte, until we are cut off
				io.Copy(conn, io.LimitReader(&endless{text: "A"}, 1<<30))
			}
			io.Copy(io.Discard, conn)
		})
	}
	served := 0
	for range 50 {
		p := dial(t, addr)
		if p.command() == "connect" {
			p.say(connectReply(t))
			if got := p.answer(); len(got) == 2 {
				served++
			}
		}
	}
	runtime.ReadMemStats(&after)
	wg.Wait()
	if served != 50 {
		t.Errorf("%d of 50 real calls were screened", served)
	}
	waitFor(t, func() bool { return s.InHand() == 0 })
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > hostile*(4*MaxHeader) {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	if f := s.Counters.FailOpen(); f[bridge.FailWire]+f[bridge.FailCommand]+f[bridge.FailDeadline]+f[bridge.FailLate] != hostile {
		t.Errorf("of %d hostile connections these were counted: %v", hostile, f)
	}
}
