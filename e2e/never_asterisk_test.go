package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
	"ringfence/standin"
)

// headersOf are the headers of a drawn call as its caller writes them into his INVITE.
func headersOf(c *standin.Call) (headers []string) {
	for name, user := range map[string]string{"P-Asserted-Identity": c.PAI, "P-Preferred-Identity": c.PPI} {
		if user != "" {
			headers = append(headers, name+": <sip:"+user+"@x>")
		}
	}
	if c.RPID != "" {
		headers = append(headers, "Remote-Party-ID: "+c.RPID)
	}
	if c.Privacy {
		headers = append(headers, "Privacy: id")
	}
	for _, h := range c.SIP {
		headers = append(headers, h.Name+": "+h.Value)
	}
	return headers
}

// Nothing that the caller of a listed number does makes him pass on a real Asterisk either, and no call of his has two records. What Asterisk
// itself refuses does not come here.
func TestListedCallerNeverPassesAsterisk(t *testing.T) {
	setup.AsteriskRoot(t)
	d, _ := setup.StartDaemonWith(t, enforced(t), "[agi]\nlisten = \"127.0.0.1:0\"")
	for list, number := range map[string]string{"blacklist": listed, "allowlist": trusted} {
		if _, err := d.Desk().AddEntries(t.Context(), list, []console.NewEntry{{Number: number}}, false); err != nil {
			t.Fatal(err)
		}
	}
	handset, caller := phone.New(t), phone.New(t)
	a := setup.StartAsterisk(t, d.AsteriskAddress(), handset.Addr)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	n := hostileCalls(150)
	finals := make([]string, n)
	var wg sync.WaitGroup
	for w := range 3 {
		r := rand.New(rand.NewPCG(seed, uint64(w)))
		wg.Go(func() {
			for i := w; i < n; i += 3 {
				c := disguise(r, i)
				for c.Addr != "" || c.Loopback || len(c.SIP) > 4 { // the carrier's word is another test's; more than a datagram holds is no call
					c = disguise(r, i)
				}
				display := c.Display
				if display != "" {
					display = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(display) + `"`
				}
				to := fmt.Sprintf("0592555%04d", i)
				limit := 4 * time.Second
				if c.CancelAfter > 0 {
					limit = c.CancelAfter
				}
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				h, err := caller.Dial(ctx, a.Address, c.From, display, to, headersOf(&c)...)
				cancel()
				finals[i] = h.Final
				if _, rang := handset.Invited(to); rang || strings.HasPrefix(h.Final, "2") {
					t.Errorf("call %d: rang %v, %q, %v: %+v", i, rang, h.Final, err, short(c))
				}
			}
		})
	}
	wg.Wait()
	refused := 0
	for _, final := range finals {
		if strings.HasPrefix(final, "603") {
			refused++
		}
	}
	total, by, all := setup.RecordsOf(t, d, refused)
	t.Logf("%d records: %v, %d refusals heard", total, by, refused)
	records := map[string]int{}
	for _, rec := range all {
		if records[digitsOf(rec.Callee)]++; rec.Action == "allow" && rec.Outcome == nil {
			t.Errorf("recorded as let through: %+v", rec)
		}
	}
	for i, final := range finals {
		to := fmt.Sprintf("0592555%04d", i)
		if got := records[to]; got > 1 || got == 0 && strings.HasPrefix(final, "603") {
			t.Errorf("call %d, which heard %q, has %d records", i, final, got)
		}
	}
	if refused < n/3 {
		t.Errorf("only %d of %d calls were refused: not much was tried", refused, n)
	}
}
