package freeswitch_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
)

// storm is many calls of one listed caller at a steady rate. It returns how many rang, and the finals.
func storm(t *testing.T, server string, handset *phone.Phone, n, perSecond int) (rang int, finals map[string]int) {
	t.Helper()
	callers := make([]*phone.Phone, 8)
	for i := range callers {
		callers[i] = phone.New(t)
	}
	finals = map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for i := range n {
		<-tick.C
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			to := fmt.Sprintf("0592%07d", i)
			h, _ := callers[i%len(callers)].Dial(ctx, server, "95211613", "", to)
			_, ringing := handset.Invited(to)
			mu.Lock()
			defer mu.Unlock()
			finals[h.Final]++
			if ringing {
				rang++
			}
		})
	}
	wg.Wait()
	return rang, finals
}

func fromEnvironment(name string, usual int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return usual
}

// A listed caller who calls faster than a person could does not get through for it. What the load of the whole machine,
// callers and handset included, lets through is at most one in a hundred, and is written down as such.
func TestStormReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; a storm of calls was tried on the simulated switch and on Asterisk only")
	}
	n, rate := fromEnvironment("RINGFENCE_STORM", 600), fromEnvironment("RINGFENCE_STORM_RATE", 100)
	for _, mode := range []string{"async", "sync"} {
		t.Run(mode, func(t *testing.T) {
			events := setup.FreePort(t)
			d := setup.StartDaemon(t, fmt.Sprintf("[[attach]]\nkind = \"freeswitch\"\naddress = \"127.0.0.1:%d\"\npassword = %q\n", events, setup.EventPassword))
			handset := phone.New(t)
			server := setup.StartFreeSWITCH(t, program, d.Address(), handset.Addr, events, mode == "async")
			setup.WaitAttached(t, d)
			rang, finals := storm(t, server, handset, n, rate)
			total, by, all := setup.RecordsOf(t, d, n)
			t.Logf("%d at %d/s: %d rang; finals %v; %d records: %v", n, rate, rang, finals, total, by)
			if rang > n/100 {
				t.Errorf("%d of %d calls of a listed caller rang", rang, n)
			}
			if total != n {
				t.Errorf("%d records of %d calls", total, n)
			}
			passed := 0
			for _, r := range all {
				if _, ringing := handset.Invited(r.Callee); ringing != (r.Action == "allow") {
					t.Errorf("%s: rang %v, and the journal says %s by %s (%s) %+v", r.Callee, ringing, r.Action, r.Rule, r.Reason, r.Outcome)
				}
				if r.Action == "allow" {
					passed++
				}
			}
			if passed != rang {
				t.Errorf("%d rang, the journal has %d that passed", rang, passed)
			}
		})
	}
}

// Who hangs up within milliseconds rings nobody, and is written down all the same: else a scan of all numbers would
// leave no trace.
func TestScanReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; calls cut short were tried on the simulated switch and on Asterisk only")
	}
	for _, mode := range []string{"async", "sync"} {
		t.Run(mode, func(t *testing.T) {
			events := setup.FreePort(t)
			d := setup.StartDaemon(t, fmt.Sprintf("[[attach]]\nkind = \"freeswitch\"\naddress = \"127.0.0.1:%d\"\npassword = %q\n", events, setup.EventPassword))
			handset := phone.New(t)
			server := setup.StartFreeSWITCH(t, program, d.Address(), handset.Addr, events, mode == "async")
			setup.WaitAttached(t, d)
			const each = 30
			n := 0
			caller := phone.New(t)
			for _, after := range []time.Duration{0, 3, 5, 8, 12, 20} {
				for range each {
					ctx, cancel := context.WithTimeout(t.Context(), after*time.Millisecond)
					caller.Dial(ctx, server, "95211613", "", fmt.Sprintf("0592%03d%04d", after, n))
					cancel()
					n++
					<-time.After(20 * time.Millisecond)
				}
			}
			<-time.After(2 * time.Second)
			total, by, all := setup.RecordsOf(t, d, n)
			perGap := map[string]int{}
			seen := map[string]int{}
			for _, r := range all {
				if len(r.Callee) > 7 {
					perGap[r.Callee[4:7]]++
				}
				seen[r.Callee]++
			}
			t.Logf("%d calls, %d records: %v; by gap %v", n, total, by, perGap)
			for callee, times := range seen {
				if times > 1 {
					t.Errorf("%s has %d records", callee, times)
				}
			}
			if total != n {
				t.Errorf("%d records of %d calls", total, n)
			}
			for _, r := range all {
				if r.Caller.Raw == "" && !strings.Contains(r.Reason, "hung up") {
					t.Errorf("a record without a caller: %+v", r)
				}
			}
		})
	}
}
