package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/daemon"
	"ringfence/number"
	"ringfence/standin"
)

type demoCmd struct {
	Calls int `placeholder:"N" help:"Place N calls and end, also on a terminal."`
}

// demoSpeed is how much faster than life the demo's calls come and its announcements play.
const demoSpeed = 2

func (c *demoCmd) Run(a *app) error {
	if c.Calls < 0 {
		return usageError{"--calls: a number of calls"}
	}
	folder, err := os.MkdirTemp("", "ringfence-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	file, err := layOutDemo(folder)
	if err != nil {
		return err
	}
	settings, err := conf.LoadDaemon(file)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err := demoLists(a.ctx, settings); err != nil {
		return err
	}
	d, err := daemon.Start(a.ctx, settings, thisBuild().String(), log)
	if err != nil {
		return err
	}
	defer stop(d, log)
	scenario, err := standin.LoadScenario(standin.DemoScenario)
	if err != nil {
		return err
	}
	if c.Calls > 0 {
		scenario = scenario.Take(c.Calls)
	}
	stays := c.Calls == 0 && isTerminal(a.out)
	if !a.json {
		fmt.Fprintf(a.out, "A simulated FreeSWITCH places %d calls to %s; the policy is conf/policy.toml, enforced.\n", len(scenario.Calls), d.Address())
		if stays {
			fmt.Fprintf(a.out, "Meanwhile, in another terminal: ringfence --config %s check 95211613 05925550100\n", file)
		}
		fmt.Fprintln(a.out)
	}
	run := &demoRun{app: a}
	if err := run.place(d, scenario); err != nil {
		return err
	}
	if err := run.summary(); err != nil {
		return err
	}
	if stays {
		fmt.Fprintf(a.out, "\nThe daemon stays until Ctrl-C. Try: ringfence --config %s journal tail\n", file)
		<-a.ctx.Done()
	}
	return nil
}

// isTerminal reports whether a person watches.
func isTerminal(out any) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// layOutDemo writes a daemon's file and the sample policy, enforced, into a folder.
func layOutDemo(folder string) (string, error) {
	text := "policy = \"policy.toml\"\ndata = \"data\"\nnode = \"demo\"\nsocket = \"ringfence.sock\"\n[screen]\nlisten = \"127.0.0.1:0\"\n"
	enforced := strings.Replace(string(conf.SamplePolicy), `mode     = "observe"`, `mode     = "enforce"`, 1)
	file := filepath.Join(folder, "ringfence.toml")
	return file, errors.Join(
		os.Mkdir(filepath.Join(folder, "data"), 0o755),
		os.WriteFile(file, []byte(text), 0o600),
		os.WriteFile(filepath.Join(folder, "policy.toml"), []byte(enforced), 0o600))
}

// demoLists fills two lists before the daemon starts, as `ringfence list add` would.
func demoLists(ctx context.Context, settings *conf.Daemon) error {
	desk, err := daemon.OpenDesk(settings, false, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer desk.Close()
	for list, entries := range map[string][]console.NewEntry{
		"blacklist": {{Number: "95211613", Reason: "fake JD service"}, {Number: "9520131?", Reason: "prize calls, reported by 12 colleagues"}},
		"allowlist": {{Number: "13459250001", Reason: "our courier"}, {Number: "95213333", Reason: "our insurer's claims desk"}},
	} {
		if _, err := desk.AddEntries(ctx, list, entries, false); err != nil {
			return err
		}
	}
	return nil
}

// demoRun prints calls as they end and counts them.
type demoRun struct {
	app     *app
	records <-chan console.Record     // as the journal gets them
	early   map[string]console.Record // those that came before their call was printed, by id

	mu                  sync.Mutex
	calls, failed, rang int
	actions, rules      map[string]int
	slowest             time.Duration
}

// demoLine is what became of one call, as --json prints it.
type demoLine struct {
	console.Record
	Rang    bool    `json:"rang"`
	SIP     int     `json:"sip,omitempty"`
	Shown   string  `json:"shown,omitempty"`
	Decided float64 `json:"decided_ms"`
}

// place runs the scenario. Decisions come from the journal, what the caller met from the switch.
func (r *demoRun) place(d *daemon.Daemon, scenario *standin.Scenario) error {
	r.actions, r.rules = map[string]int{}, map[string]int{}
	r.early = map[string]console.Record{}
	ctx, cancel := context.WithTimeout(r.app.ctx, 10*time.Minute)
	defer cancel()
	records, stop := d.Desk().Watch()
	defer stop()
	r.records = records
	sw := &standin.Switch{Address: d.Address(), Speed: demoSpeed}
	err := sw.Run(ctx, scenario, func(n int, c standin.Call, res standin.Result, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.calls++
		if err != nil || res.Stuck || len(res.ProtocolErrors) > 0 {
			r.failed++
			fmt.Fprintf(r.app.err, "call %d did not go as it should: %v %v\n", n, err, res.ProtocolErrors)
			return
		}
		if err := r.line(c, res); err != nil {
			r.failed++
			fmt.Fprintf(r.app.err, "call %d: %v\n", n, err)
		}
	})
	if err != nil {
		return err
	}
	if r.failed > 0 {
		return fmt.Errorf("%d of %d calls did not go as they should", r.failed, r.calls)
	}
	return nil
}

// decision waits for the journal's record of a call, which comes once the call is over.
func (r *demoRun) decision(c standin.Call, id string) (console.Record, error) {
	timeout := time.NewTimer(5 * time.Second)
	defer timeout.Stop()
	for {
		for _, rec := range r.early {
			// A caller who is refused again at once gets no variables: such a call is told by who called whom.
			if rec.ID == id || id == "" && rec.Callee == c.To && strings.HasPrefix(c.From, rec.Caller.Raw) {
				delete(r.early, rec.ID)
				return rec, nil
			}
		}
		select {
		case rec := <-r.records:
			r.early[rec.ID] = rec
		case <-timeout.C:
			return console.Record{}, fmt.Errorf("there is no record of the call from %s to %s in the journal", shown(c.From), shown(c.To))
		}
	}
}

func (r *demoRun) line(c standin.Call, res standin.Result) error {
	rec, err := r.decision(c, res.Vars["ringfence_id"])
	if err != nil {
		return err
	}
	met := "the phone rang"
	switch {
	case res.SIP != 0:
		met = fmt.Sprintf("%d %s, the phone stayed silent", res.SIP, res.Phrase)
	case len(res.Played) > 0 && res.Rang:
		met = "heard " + strings.TrimSuffix(filepath.Base(res.Played[0]), ".wav") + ", then the phone rang"
	case res.Cancelled:
		met = "hung up"
	}
	if name := res.Vars["effective_caller_id_name"]; name != "" {
		met += " as “" + shown(name) + "”"
	}
	r.actions[rec.Action]++
	r.rules[rec.Rule]++
	r.slowest = max(r.slowest, res.FirstAnswer)
	if res.Rang {
		r.rang++
	}
	return r.app.print(demoLine{rec, res.Rang, res.SIP, res.ShownName, float64(res.FirstAnswer.Microseconds()) / 1000},
		"%s  ⇒ %s", recordLine(rec), met)
}

func (r *demoRun) summary() error {
	if r.app.json {
		return r.app.print(map[string]any{
			"calls": r.calls, "rang": r.rang, "actions": r.actions, "rules": r.rules,
			"slowest_decision_ms": float64(r.slowest.Microseconds()) / 1000,
		}, "")
	}
	out := r.app.out
	fmt.Fprintf(out, "\n%d calls, %d phones rang; the slowest decision took %.1f ms\n", r.calls, r.rang, float64(r.slowest.Microseconds())/1000)
	fmt.Fprintf(out, "by action: %s\n", counts(r.actions))
	fmt.Fprintf(out, "by rule:   %s\n", counts(r.rules))
	return nil
}

// counts names what was counted, the most frequent first.
func counts(m map[string]int) string {
	names := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", number.Inert(name), m[name])
	}
	return strings.Join(names, ", ")
}
