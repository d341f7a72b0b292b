package asterisk_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/daemon"
	"ringfence/e2e/asterisk"
	"ringfence/e2e/setup"
)

func TestMain(m *testing.M) {
	os.Exit(setup.Main(func() int { return asterisk.Main(m.Run) }))
}

// start runs the daemon with the policy of the scripts and an Asterisk before it.
func start(t testing.TB) (*daemon.Daemon, *asterisk.Trial) {
	t.Helper()
	return startWith(t, "", "[logfiles]\nout => notice,warning,error,verbose(3)\n")
}

// startWith is start with more keys for the trunk, and what Asterisk shall log.
func startWith(t testing.TB, trunk, log string) (*daemon.Daemon, *asterisk.Trial) {
	t.Helper()
	r := setup.AsteriskRoot(t)
	policy, err := asterisk.Calls.ReadFile("calls/policy.toml")
	if err != nil {
		t.Fatal(err)
	}
	d, file := setup.StartDaemonWith(t, strings.Replace(string(policy), "[trunks.telecom]\n", "[trunks.telecom]\n"+trunk+"\n", 1), "[agi]\nlisten = \"127.0.0.1:0\"")
	folder := filepath.Dir(file)
	if _, err := d.Desk().AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "95211613", Reason: "fake JD service"}}, false); err != nil {
		t.Fatal(err)
	}
	pbx := filepath.Join(folder, "pbx")
	if err := os.Mkdir(pbx, 0o755); err != nil {
		t.Fatal(err)
	}
	trial, err := r.NewTrial(t.Context(), pbx, filepath.Join(folder, "data", "sounds", "8000"), asterisk.Setup{AGI: d.AsteriskAddress(), Files: map[string]string{"logger.conf": log}})
	if errors.Is(err, asterisk.ErrNoCapture) && os.Getenv("RINGFENCE_NEED_ASTERISK") == "" {
		t.Skipf("NOT TESTED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		trial.Stop()
		if t.Failed() {
			log := trial.Log()
			t.Logf("Asterisk said:\n%s", log[max(0, len(log)-20000):])
		}
	})
	return d, trial
}

// like reports whether an announcement is the one that a script names, which may have a * in its name.
func like(heard, named string) bool {
	ok, err := path.Match(strings.ReplaceAll(named, "?", `\?`), heard)
	return ok && err == nil
}

// screened is how many calls the daemon was shown.
func screened(t *testing.T, d *daemon.Daemon) uint64 {
	t.Helper()
	s, err := d.Desk().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.Calls
}

// Every script of calls, through a real Asterisk.
func TestCalls(t *testing.T) {
	scripts, err := asterisk.ReadScripts(asterisk.Calls, "calls/screening.calls")
	if err != nil {
		t.Fatal(err)
	}
	d, trial := start(t)
	records, stop := d.Desk().Watch()
	defer stop()
	for _, s := range scripts {
		t.Run(s.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			before := screened(t, d)
			met, err := trial.Place(ctx, &s)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(met.Sees, s.Sees) || !slices.EqualFunc(met.Hears, s.Hears, like) || met.Rings != s.Rings || !slices.Equal(met.HandsetHears, s.HandsetHears) {
				t.Errorf("screening.calls:%d: the caller saw %v and heard %v; %s rang and heard %v;\nwanted %v, %v; %s, %v",
					s.Line, met.Sees, met.Hears, met.Rings, met.HandsetHears, s.Sees, s.Hears, s.Rings, s.HandsetHears)
			}
			if s.Because == "" { // the journal would have it a moment later
				if n := screened(t, d) - before; n != 0 {
					t.Errorf("screening.calls:%d: it was shown to the daemon", s.Line)
				}
				return
			}
			var r console.Record
			select {
			case r = <-records:
			case <-ctx.Done():
				t.Fatal("no record came to the journal")
			}
			if got := fmt.Sprintf("%s by %s", r.Action, r.Rule); got != s.Because || r.Callee != s.To {
				t.Errorf("screening.calls:%d: the journal has %s for %s: %s", s.Line, got, r.Callee, r.Reason)
			}
		})
	}
}
