// Package bridgetest is what the tests of bridges have in common: a Screener whose answers the test gives, and a port
// that runs until the test ends.
package bridgetest

import (
	"context"
	"net"
	"testing"
	"time"

	"ringfence/bridge"
)

// Allow is a verdict that lets a call through.
var Allow = bridge.Verdict{ID: "01J0000000", Action: "allow", Would: "allow", Rule: "default", Reason: "no rule matched"}

// Screener gives the answers of its fields. The zero value lets every call through.
type Screener struct {
	Decide  func(f *bridge.Facts) bridge.Verdict // nil for Allow
	Inquiry bridge.Inquiry                       // what who dials the star code is asked
	Calls   func(f *bridge.Facts)                // is told of calls that go out; nil for nobody
	Wanted  bridge.Headers
	// WantedOf is used in place of Wanted, if it is set.
	WantedOf func(*bridge.Facts) bridge.Headers
	Results  chan Result // gets what Record is told; nil for nobody
}

// Result is what Record was told.
type Result struct {
	Facts   bridge.Facts
	Verdict bridge.Verdict
	bridge.Result
}

// Always decides the same of each call.
func Always(v bridge.Verdict) func(*bridge.Facts) bridge.Verdict {
	return func(*bridge.Facts) bridge.Verdict { return v }
}

// Screen is Decide.
func (s *Screener) Screen(f *bridge.Facts) bridge.Verdict {
	if s.Decide == nil {
		return Allow
	}
	return s.Decide(f)
}

// Record hands over to Results.
func (s *Screener) Record(f *bridge.Facts, v *bridge.Verdict, r bridge.Result) {
	if s.Results != nil {
		s.Results <- Result{*f, *v, r}
	}
}

// StarCode is Inquiry.
func (s *Screener) StarCode(*bridge.Facts) bridge.Inquiry { return s.Inquiry }

// Dialled is Calls.
func (s *Screener) Dialled(f *bridge.Facts) {
	if s.Calls != nil {
		s.Calls(f)
	}
}

// Headers is Wanted, or what WantedOf says.
func (s *Screener) Headers(f *bridge.Facts) bridge.Headers {
	if s.WantedOf != nil {
		return s.WantedOf(f)
	}
	return s.Wanted
}

// Port is a server of a bridge, as it embeds bridge.Port.
type Port interface {
	Serve(ln net.Listener) error
	Shutdown(ctx context.Context) error
	InHand() int
}

// Listen opens a port of loopback.
func Listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := bridge.Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// Serve runs a server until the test ends. No call may be left then.
func Serve(t testing.TB, p Port, ln net.Listener) {
	t.Helper()
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
}
