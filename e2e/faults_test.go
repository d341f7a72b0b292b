package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"ringfence/standin"
)

// fault is a daemon that has gone wrong: what it does with the connection of a call.
type fault struct {
	name  string
	serve func(c net.Conn) // nil: nobody listens on the port

	guarded bool // only the switch's guard gets such a call through, in async mode
	bound   time.Duration
}

// promise is how soon a handset rings when the guard had to take the call.
const promise = 3 * time.Second

var faults = []fault{
	{name: "nobody listens", bound: 300 * time.Millisecond},
	{name: "closes at once", serve: func(c net.Conn) { c.Close() }, bound: 300 * time.Millisecond},
	{name: "resets at once", serve: reset, bound: 300 * time.Millisecond},
	{name: "connects, then closes", serve: func(c net.Conn) { hello(c); c.Close() }, bound: 300 * time.Millisecond},
	{name: "connects, then resets", serve: func(c net.Conn) { hello(c); reset(c) }, bound: 300 * time.Millisecond},
	{name: "dies in an announcement", serve: func(c net.Conn) {
		hello(c)
		io.WriteString(c, "sendmsg\ncall-command: execute\nexecute-app-name: playback\nexecute-app-arg: silence_stream://5000\n\n")
		<-time.After(500 * time.Millisecond)
		reset(c)
	}, bound: time.Second},
	{name: "is silent", serve: func(c net.Conn) { drain(c) }, guarded: true, bound: promise},
	{name: "is silent, closes after 4 s", serve: func(c net.Conn) { <-time.After(4 * time.Second); c.Close() }, guarded: true, bound: promise},
	{name: "is silent, resets after 4 s", serve: func(c net.Conn) { <-time.After(4 * time.Second); reset(c) }, guarded: true, bound: promise},
	{name: "connects, then is silent", serve: func(c net.Conn) { hello(c); drain(c) }, guarded: true, bound: promise},
	{name: "connects, says exit after 4 s", serve: func(c net.Conn) {
		hello(c)
		<-time.After(4 * time.Second)
		io.WriteString(c, "exit\n\n")
		drain(c)
	}, guarded: true, bound: promise},
}

func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

func drain(c net.Conn) {
	c.SetDeadline(time.Now().Add(40 * time.Second))
	io.Copy(io.Discard, c)
	c.Close()
}

// hello asks for the call and reads the reply to its empty line.
func hello(c net.Conn) {
	c.SetDeadline(time.Now().Add(60 * time.Second))
	io.WriteString(c, "connect\n\n")
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		if err != nil || line == "\n" {
			return
		}
	}
}

// listen runs a faulty daemon at an address ("127.0.0.1:0" for any) and returns where it listens and how to end it.
func (f fault) listen(t testing.TB, address string) (where string, end func()) {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	end = func() { ln.Close() }
	if f.serve == nil {
		end()
		return ln.Addr().String(), end
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go f.serve(c)
		}
	}()
	t.Cleanup(end)
	return ln.Addr().String(), end
}

// Whatever a daemon does wrong, the simulated switch's call rings in time and is not torn down later.
func TestFaultsSimulated(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			address, _ := f.listen(t, "127.0.0.1:0")
			sw := &standin.Switch{Address: address}
			r, err := sw.Place(ctx, standin.Call{
				From: "13800138000", To: "05925550100", Async: true, Resume: true,
				Guard: 2 * time.Second, GuardUnsets: true, TalkFor: 6 * time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			if !r.Rang || r.Stuck || r.Killed || r.GuardFired != f.guarded {
				t.Errorf("rang %v, stuck %v, killed %v, guard %v", r.Rang, r.Stuck, r.Killed, r.GuardFired)
			}
		})
	}
}

// The same on a real switch with the dialplan that we ship.
func TestFaultsReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; the guard was tried on the simulated switch only, and docs/measured.md has what the last run on a real one saw")
	}
	address, end := fault{serve: func(c net.Conn) { c.Close() }}.listen(t, "127.0.0.1:0")
	handset := newPhone(t)
	server := startFreeSWITCH(t, program, address, handset.addr, freePort(t), true)
	rows := []string{"| the daemon | the handset rang | the call afterwards |", "| --- | --- | --- |"}
	row := func(name string, rang time.Duration, torn bool) {
		after := "undisturbed"
		if torn {
			after = "TORN DOWN"
		}
		rows = append(rows, fmt.Sprintf("| %s | %d ms after the INVITE | %s |", name, rang.Milliseconds(), after))
	}
	end()
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			_, end := f.listen(t, address)
			defer end()
			caller := newPhone(t)
			if caller.hold = time.Second; f.guarded {
				caller.hold = 6 * time.Second
			}
			rang, torn := dialAndMeasure(t, caller, handset, server, fmt.Sprintf("059255502%02d", i))
			row(f.name, rang, torn)
			if rang > f.bound || torn {
				t.Errorf("rang after %v (promised %v), torn down: %v", rang, f.bound, torn)
			}
		})
	}

	// What a daemon does long after the guard has taken the call, and the people talk.
	t.Run("late", func(t *testing.T) {
		ends := map[string]func(net.Conn){"closes": func(c net.Conn) { c.Close() }, "resets": reset, "says exit": func(c net.Conn) { io.WriteString(c, "exit\n\n"); drain(c) }}
		type plan struct {
			name  string
			serve func(net.Conn)
		}
		plans := make(chan plan, 1) // the connection follows its call at once, so one plan is enough
		_, end := fault{serve: func(c net.Conn) { (<-plans).serve(c) }}.listen(t, address)
		defer end()
		var mu sync.Mutex
		var wg sync.WaitGroup
		n := 0
		for _, how := range slices.Sorted(maps.Keys(ends)) {
			for _, greets := range []bool{false, true} {
				for _, after := range []int{1, 5, 30} {
					name := fmt.Sprintf("is silent, %s %d s after the guard", how, after)
					if greets {
						name = fmt.Sprintf("connects, is silent, %s %d s after the guard", how, after)
					}
					taken := make(chan bool)
					plans <- plan{name, func(c net.Conn) {
						close(taken)
						if greets {
							hello(c)
						}
						<-time.After(2*time.Second + time.Duration(after)*time.Second)
						ends[how](c)
					}}
					n++
					to := fmt.Sprintf("059255503%02d", n)
					wg.Go(func() {
						caller := newPhone(t)
						caller.hold = time.Duration(after+4) * time.Second
						rang, torn := dialAndMeasure(t, caller, handset, server, to)
						mu.Lock()
						defer mu.Unlock()
						row(name, rang, torn)
						if rang > promise || torn {
							t.Errorf("%s: rang after %v, torn down: %v", name, rang, torn)
						}
					})
					<-taken
				}
			}
		}
		wg.Wait()
	})
	slices.Sort(rows[2:])
	writeTable(t, "faults", rows)
}

// dialAndMeasure places a call that must ring, and says when it did and whether it was torn down before the
// caller hung up.
func dialAndMeasure(t *testing.T, caller, handset *phone, server, to string) (rang time.Duration, torn bool) {
	return dialAndMeasureFrom(t, caller, handset, server, "13800138000", to)
}

func dialAndMeasureFrom(t *testing.T, caller, handset *phone, server, from, to string) (rang time.Duration, torn bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	start := time.Now()
	h, err := caller.dial(ctx, server, from, "", to)
	if err != nil {
		t.Errorf("the call to %s: %v", to, err)
		return time.Hour, true
	}
	in, ok := handset.invited(to)
	if !ok {
		t.Errorf("the handset of %s did not ring: %+v", to, h)
		return time.Hour, true
	}
	return in.at.Sub(start), h.torn != 0
}
