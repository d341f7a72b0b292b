package cmd

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/standin"
)

const killedPolicy = `
country = "CN"
[lines.staff]
numbers = ["05925550100-05925550199"]
[[detector]]
name      = "range wakes"
key       = "prefix"
depth     = { 6 = 4 }
count     = "strangers"
window    = "3h"
hold      = "24h"
max_share = 1
[[rule]]
name   = "campaign under way"
when   = { tripped = ["range wakes"] }
action = "reject"
`

// What tripped is tripped after a daemon was killed, and what a person was told is done is done, at whatever moment that was.
//
// long: because each daemon finds what the one before it has left
func TestKilledWithBreakers(t *testing.T) {
	c := installation(t)
	if err := os.WriteFile(c.Policy, []byte(killedPolicy), 0o644); err != nil {
		t.Fatal(err)
	}
	start := func() (*process, *console.Client, string) {
		p := startProcess(t, c)
		client := p.dial(t)
		s, err := client.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return p, client, s.Screen
	}
	place := func(screen, from string, n int) (rang bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		r, err := (&standin.Switch{Address: screen, Speed: 100}).Place(ctx, standin.Call{From: from, To: fmt.Sprintf("059255501%02d", n)})
		if err != nil {
			t.Fatal(err)
		}
		return r.Rang
	}
	states := func(client *console.Client) map[string]string {
		t.Helper()
		all := make(map[string]string)
		err := client.Breakers(t.Context(), console.BreakerQuery{}, func(b console.Breaker) error {
			all[b.Key] = b.State + b.Pinned
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	p, client, screen := start()
	for i := range 4 {
		place(screen, fmt.Sprintf("952116%d1", i), i)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for { // the alert is told once the breaker is on disk
		s, err := client.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Alerts) > 0 {
			break
		}
		<-tick.C
	}
	if _, err := client.PinBreaker(t.Context(), console.BreakerName{Detector: "range wakes", Key: "952119"}, console.PinOpen); err != nil {
		t.Fatal(err)
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()

	p, client, screen = start()
	if got := states(client); got["952116"] != "tripped" || got["952119"] != "trippedopen" {
		t.Errorf("after a kill: %v", got)
	}
	if place(screen, "95211677", 50) || place(screen, "95211977", 51) {
		t.Error("calls of what is tripped ring")
	}
	for _, key := range []string{"952116", "952119"} {
		b := console.BreakerName{Detector: "range wakes", Key: key}
		var err error
		if key == "952116" {
			_, err = client.ResetBreaker(t.Context(), b)
		} else {
			_, err = client.UnpinBreaker(t.Context(), b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()

	_, client, screen = start()
	if got := states(client); len(got) != 0 {
		t.Errorf("after a person closed them: %v", got)
	}
	if !place(screen, "95211688", 52) || !place(screen, "95211988", 53) {
		t.Error("calls are stopped by what a person closed")
	}
}
