package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/daemon"
	"ringfence/e2e/asterisk"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
)

// breakerRules refuse whoever calls from a range that many strangers call from, but for acquaintances.
const breakerRules = `
country = "CN"
[lines.staff]
numbers = ["05925550000-05925550899"]
[lines.unused]
numbers = ["05925550900-05925550999"]
decoy   = true
[ranges]
"952116*" = "firm A"
[trunks.carrier]
match = ["profile:external", "profile:internal"]
[[detector]]
name    = "range wakes"
key     = "prefix"
depth   = { 6 = 5, 7 = 5 }
count   = "strangers"
window  = "3h"
hold    = "10s"
probe   = 2
protect = ["95588"]
max_share = 1.0
[[detector]]
name   = "dials decoys"
key    = "caller"
count  = "decoys"
trip   = 2
window = "1h"
hold   = "10m"
hold_max = "1h"
[[rule]]
name   = "people we deal with"
when   = { known_caller = "30d", known_scope = "all" }
action = "allow"
[[rule]]
name   = "dials what nobody has"
when   = { tripped = ["dials decoys"] }
action = "tag"
label  = "decoys"
[[rule]]
name   = "campaign under way"
when   = { tripped = ["range wakes"] }
action = "reject"
`

// phones place calls to a switch whose handset rings for every number.
type phones struct {
	t       *testing.T
	server  string
	handset *phone.Phone
	next    int // of the called numbers
}

// call places a call that is held so long if it is answered, and says whether it rang.
func (p *phones) call(from, to string, hold time.Duration) bool {
	p.t.Helper()
	caller := phone.New(p.t)
	caller.Hold = hold
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	h, err := caller.Dial(ctx, p.server, from, "", to)
	if err != nil {
		p.t.Fatalf("%s to %s: %+v %v", from, to, h, err)
	}
	_, rang := p.handset.Invited(to)
	if rang != strings.HasPrefix(h.Final, "200") {
		p.t.Fatalf("%s to %s: rang %v, %s", from, to, rang, h.Final)
	}
	return rang
}

// number is a called one that no call had before.
func (p *phones) number() string {
	p.next++
	return fmt.Sprintf("05925550%03d", p.next)
}

// checkCampaign places a campaign of 200 numbers that rotate: from about its tenth call on nothing rings, while a bank and an
// acquaintance from the very range do, `detectors` says why, and after the hold the range is tried and let in again.
func checkCampaign(t *testing.T, d *daemon.Daemon, file string, p *phones) {
	const acquaintance = "95211650"
	book := filepath.Join(t.TempDir(), "known.csv")
	if err := os.WriteFile(book, []byte("number\n"+acquaintance+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if status, out := run(t, "--config", file, "known", "import", book, "--line", "staff"); status != 0 {
		t.Fatalf("known import: %d, %s", status, out)
	}

	leaked, last := 0, 0
	for i := range 200 {
		from := fmt.Sprintf("9521%d%d%d", 16+i%2, i/2%10, i/20)
		if from == acquaintance {
			continue
		}
		if p.call(from, p.number(), 100*time.Millisecond) {
			leaked++
			last = i
		}
		if i%40 == 39 {
			for _, wanted := range []string{"95588", acquaintance} {
				if !p.call(wanted, p.number(), 0) {
					t.Errorf("%s did not ring after %d calls of the campaign", wanted, i+1)
				}
			}
		}
	}
	if leaked < 4 || leaked > 12 || last > 20 {
		t.Errorf("%d calls of the campaign rang, the last of them was number %d", leaked, last+1)
	}

	status, out := run(t, "--config", file, "detectors")
	for _, want := range []string{"range wakes", "952116", "952117", "firm A", "strangers"} {
		if status != 0 || !strings.Contains(out, want) {
			t.Fatalf("detectors: %d, without %q:\n%s", status, want, out)
		}
	}
	_, out = run(t, "--config", file, "check", "95211699", "05925550001")
	if !strings.Contains(out, "campaign under way") || !strings.Contains(out, "strangers in 3h") {
		t.Errorf("check:\n%s", out)
	}

	// The probes: two calls that are talked with, and the range is closed.
	eventually(t, "probing", func() bool {
		return detectorsOf(t, d, "952116") == "probing" && detectorsOf(t, d, "9521169") == "probing"
	})
	talked := make(chan bool, 2)
	for _, from := range []string{"95211691", "95211692"} {
		to := p.number()
		go func() { talked <- p.call(from, to, 7*time.Second) }()
	}
	for range 2 {
		if !<-talked {
			t.Error("a probe did not ring")
		}
	}
	eventually(t, "closed", func() bool { return detectorsOf(t, d, "952116") == "" && detectorsOf(t, d, "9521169") == "" })
	if !p.call("95211693", p.number(), 0) {
		t.Error("a call after the probes did not ring")
	}
	t.Run("decoys", func(t *testing.T) { checkDecoys(t, d, p) })
}

// checkDecoys: who calls two numbers that nobody has is known by it from then on, and both calls are in the journal.
func checkDecoys(t *testing.T, d *daemon.Daemon, p *phones) {
	for _, to := range []string{"05925550901", "05925550902"} {
		p.call("13800138000", to, 0)
	}
	p.call("13800138000", "05925550800", 0)
	want := map[string]string{"05925550901": "default", "05925550902": "dials what nobody has", "05925550800": "dials what nobody has"}
	eventually(t, "the journal", func() bool {
		got := map[string]string{}
		err := d.Desk().Journal(t.Context(), console.Query{Caller: "13800138000"}, func(r console.Record) error { got[r.Callee] = r.Rule; return nil })
		if err != nil {
			t.Fatal(err)
		}
		for to, rule := range want {
			if got[to] != "" && got[to] != rule {
				t.Fatalf("decided by %v", got)
			}
		}
		return len(got) == len(want)
	})
}

// detectorsOf is how the breaker of a key is; "" if it is closed.
func detectorsOf(t *testing.T, d *daemon.Daemon, key string) (state string) {
	t.Helper()
	err := d.Desk().Breakers(t.Context(), console.BreakerQuery{}, func(b console.Breaker) error {
		if b.Key == key {
			state = b.State
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not after 30 s", what)
		}
	}
}

func TestCampaignReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; the campaign was placed through an Asterisk and the simulated switch only")
	}
	events := setup.FreePort(t)
	d, file := setup.StartDaemonWith(t, breakerRules, fmt.Sprintf("[[attach]]\nkind = \"freeswitch\"\naddress = \"127.0.0.1:%d\"\npassword = %q\n", events, setup.EventPassword))
	handset := phone.New(t)
	p := &phones{t: t, handset: handset, server: setup.StartFreeSWITCH(t, program, d.Address(), handset.Addr, events, true)}
	setup.WaitAttached(t, d)
	checkCampaign(t, d, file, p)
}

func TestCampaignAsterisk(t *testing.T) {
	setup.AsteriskRoot(t)
	handset, agi, port := phone.New(t), setup.FreeAddress(t), setup.FreePort(t)
	a := setup.StartAsteriskWith(t, asterisk.Setup{AGI: agi, Handset: handset.Addr, Files: map[string]string{"manager.conf": fmt.Sprintf(
		"[general]\nenabled=yes\nbindaddr=127.0.0.1\nport=%d\nchannelvars=RINGFENCE_ID,RINGFENCE_GUARD\n[ringfence]\nsecret=measure-me\nread=call\nwrite=\n", port)}})
	d, file := setup.StartDaemonWith(t, breakerRules, fmt.Sprintf(
		"[agi]\nlisten = %q\n[[attach]]\nkind = \"asterisk\"\naddress = \"127.0.0.1:%d\"\nuser = \"ringfence\"\npassword = \"measure-me\"\n", agi, port))
	setup.WaitAttached(t, d)
	checkCampaign(t, d, file, &phones{t: t, handset: handset, server: a.Address})
}
