package e2e_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/daemon"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
	"ringfence/standin"
)

const challengePolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[trunks.carrier]
match = ["profile:external", "profile:internal"]
[[rule]]
name = "ask"
when = { caller = ["9524????"] }
action = "challenge"
digits = 3
tries = 2
[[rule]]
name = "announced to the staff"
when = { caller = ["9525????"] }
action = "tag"
label = "Sales?"
whisper = "whisper-suspected"
`

// startChallenges runs a daemon whose recordings are tones.
func startChallenges(t *testing.T, settings ...string) *daemon.Daemon {
	t.Helper()
	d, file := setup.StartDaemonWith(t, challengePolicy, settings...)
	setup.WriteTones(t, filepath.Dir(file))
	return d
}

// Over a trunk's room the call that was held longest hears no more, and ends: the switch breaks off what it plays, though it
// waits for the keys of that prompt.
func TestGivesWayReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; calls gave way on the simulated switch only")
	}
	d, file := setup.StartDaemonWith(t, strings.Replace(challengePolicy, "[[rule]]", "max_held = 1\n[[rule]]", 1))
	setup.WriteTones(t, filepath.Dir(file))
	handset := phone.New(t)
	server := setup.StartFreeSWITCH(t, program, d.Address(), handset.Addr, setup.FreePort(t), true)
	place := func(from, to string) <-chan phone.Heard {
		caller := phone.New(t)
		caller.Hold = 40 * time.Second
		out := make(chan phone.Heard, 1)
		go func() {
			h, err := caller.Dial(t.Context(), server, from, "", to)
			if err != nil {
				t.Error(err)
			}
			out <- h
		}()
		return out
	}
	held := func(n uint64) {
		for {
			s, err := d.Desk().Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if uint64(s.Held["carrier"]) == 1 && s.Dismissed == n {
				return
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	first := place("95240001", "05925550201")
	held(0)
	<-time.After(time.Second) // into the prompt
	second := place("95240002", "05925550202")
	held(1)
	if h := <-first; h.Torn == 0 || h.Torn > 8*time.Second {
		t.Errorf("the first call: %+v", h)
	}
	if h := <-second; h.Torn < 10*time.Second {
		t.Errorf("the second call, which hears both tries: %+v", h)
	}
	_, by, all := setup.RecordsOf(t, d, 2)
	for _, to := range []string{"05925550201", "05925550202"} {
		if _, rang := handset.Invited(to); rang {
			t.Errorf("%s rang", to)
		}
	}
	if by["challenge by ask"] != 2 {
		t.Errorf("%+v", all)
	}
}

// answersOf are ways in which callers meet a challenge: what is keyed in for the digits heard, "" for nothing yet.
var answersOf = map[string]func(heard string) string{
	"right": func(heard string) string {
		if len(heard) == 3 {
			return heard
		}
		return ""
	},
	"wrong twice": func(heard string) string {
		if len(heard) == 3 {
			return other(heard) + other(heard)
		}
		return ""
	},
	"nothing": nil,
}

// other are digits that differ from those.
func other(digits string) string {
	b := []byte(digits)
	for i := range b {
		b[i] = '0' + (b[i]-'0'+1)%10
	}
	return string(b)
}

// challengeCalls are calls of two callers, one after the other, and what must become of each. None has a line, so that a
// pass is for the number called.
var challengeCalls = []struct {
	name, from, to, keys string
	rang                 bool
	rule, action         string
	reason               string
}{
	{"wrong digits", "95240001", "05925550200", "wrong twice", false, "ask", "challenge", "; keyed in wrong digits"},
	{"no digits", "95240001", "05925550201", "nothing", false, "ask", "challenge", "; keyed in nothing"},
	{"called again at once", "95240001", "05925550201", "nothing", false, "ask", "challenge", "; keyed in nothing"},
	{"called another", "95240001", "05925550202", "nothing", false, "ask", "challenge", "; keyed in nothing"},
	{"right digits", "95240002", "05925550203", "right", true, "ask", "challenge", "; passed the challenge"},
	{"remembered", "95240002", "05925550203", "nothing", true, "ask", "allow", "; passed the challenge on"},
	{"not for another number", "95240002", "05925550204", "nothing", false, "ask", "challenge", "; keyed in nothing"},
}

// runChallenges holds the calls against what must become of them. place reports whether the handset rang.
func runChallenges(t *testing.T, d *daemon.Daemon, place func(ctx context.Context, from, to, keys string) (rang bool, err error)) {
	records, stop := d.Desk().Watch()
	defer stop()
	for _, c := range challengeCalls {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		rang, err := place(ctx, c.from, c.to, c.keys)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		var rec console.Record
		select {
		case rec = <-records:
		case <-ctx.Done():
			t.Fatalf("%s: no record", c.name)
		}
		if rang != c.rang || rec.Rule != c.rule || rec.Action != c.action || !strings.Contains(rec.Reason, c.reason) {
			t.Errorf("%s: rang %v, %s by %s: %s", c.name, rang, rec.Action, rec.Rule, rec.Reason)
		}
	}
}

func TestChallengeSimulated(t *testing.T) {
	for mode, async := range map[string]bool{"sync": false, "async": true} {
		t.Run(mode, func(t *testing.T) {
			d := startChallenges(t)
			spoken := regexp.MustCompile(`/digits/(\d)\.wav`)
			runChallenges(t, d, func(ctx context.Context, from, to, keys string) (bool, error) {
				sw := &standin.Switch{Address: d.Address(), Speed: 20}
				r, err := sw.Place(ctx, standin.Call{From: from, To: to, Async: async, Resume: async, Keys: func(file string) string {
					heard := ""
					for _, m := range spoken.FindAllStringSubmatch(file, -1) {
						heard += m[1]
					}
					if answer := answersOf[keys]; answer != nil {
						return answer(heard)[:3]
					}
					return ""
				}})
				if len(r.ProtocolErrors) > 0 || r.Stuck {
					t.Errorf("stuck %v, %v", r.Stuck, r.ProtocolErrors)
				}
				return r.Rang, err
			})
		})
	}
}

// The same on a real switch: the caller hears the digits, recognised by their spectrum, and keys them in. And the
// person who answers hears the whisper before the caller is heard.
func TestChallengeReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; the challenge was tried on the simulated switch only, and the whisper not at all")
	}
	for _, mode := range []string{"sync", "async"} {
		t.Run(mode, func(t *testing.T) {
			d := startChallenges(t)
			handset := phone.New(t)
			server := setup.StartFreeSWITCH(t, program, d.Address(), handset.Addr, setup.FreePort(t), mode == "async")
			runChallenges(t, d, func(ctx context.Context, from, to, keys string) (bool, error) {
				caller := phone.New(t)
				caller.Hold, caller.Keys = 40*time.Second, answersOf[keys]
				handset.HangsUpAfter(500 * time.Millisecond)
				handset.Forget(to)
				_, err := caller.Dial(ctx, server, from, "", to)
				_, rang := handset.Invited(to)
				return rang, err
			})
			t.Run("whisper", func(t *testing.T) {
				records, stop := d.Desk().Watch()
				defer stop()
				caller := phone.New(t)
				caller.Hold = 3 * time.Second
				handset.HangsUpAfter(2 * time.Second)
				start := time.Now()
				h, err := caller.Dial(t.Context(), server, "95250001", "Sale", "05925550210")
				if err != nil || !strings.HasPrefix(h.Final, "200") {
					t.Fatalf("%+v %v", h, err)
				}
				in, ok := handset.Invited("05925550210")
				if rec := <-records; rec.Rule != "announced to the staff" || !ok || !strings.Contains(in.From, "Sales? Sale") {
					t.Errorf("%+v: %+v", rec, in)
				}
				if heard := handset.DigitsHeard(start); heard != "7" {
					t.Errorf("the person who answered heard %q", heard)
				}
				// The caller is answered only when the whisper is over.
				if h.Took < 250*time.Millisecond {
					t.Errorf("connected after %v, in the middle of the whisper", h.Took)
				}
				if heard := caller.DigitsHeard(start); heard != "" {
					t.Errorf("the caller heard the whisper: %q", heard)
				}
			})
		})
	}
}
