package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"ringfence/console"
	"ringfence/daemon"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/standin"
	"ringfence/terminal"
)

// demoRun prints calls as they end and counts them.
type demoRun struct {
	app     *app
	records <-chan console.Record     // as the journal gets them
	early   map[string]console.Record // those that came before their call was printed, by id
	paint   terminal.Paint

	mu                  sync.Mutex
	next                int            // the first call that is not printed yet
	waiting             map[int]string // what is to be printed of later ones: calls end in another order than they begin
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
	r.early, r.waiting = map[string]console.Record{}, map[int]string{}
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
		text := ""
		if err == nil && (res.Stuck || len(res.ProtocolErrors) > 0) {
			err = fmt.Errorf("it got stuck, or the daemon broke the protocol: %v", res.ProtocolErrors)
		}
		if err == nil {
			text, err = r.call(c, res)
		}
		if err != nil {
			r.failed++
			fmt.Fprintf(r.app.err, "call %d from %s did not go as it should: %v\n", n+1, shown(c.From), err)
		}
		r.waiting[n] = text
		for {
			text, ready := r.waiting[r.next]
			if !ready {
				return
			}
			fmt.Fprint(r.app.out, text)
			delete(r.waiting, r.next)
			r.next++
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

// call gives what is to be printed of a call that is over, and counts it.
func (r *demoRun) call(c standin.Call, res standin.Result) (string, error) {
	rec := console.Record{
		Time: time.Now(), Caller: console.Caller{Raw: c.From, E164: c.From}, Name: c.Display, Callee: c.To,
		Action: policy.Allow.String(), Rule: policy.RuleFailOpen, Reason: "nobody listened on the daemon's port, so the switch let the call go on",
	}
	if !c.Down { // such a call is in no journal
		var err error
		if rec, err = r.decision(c, res.Vars["ringfence_id"]); err != nil {
			return "", err
		}
	}
	action := rec.Action
	if rec.Rule == policy.RuleFailOpen {
		action = policy.RuleFailOpen
	}
	r.actions[action]++
	r.rules[rec.Rule]++
	r.slowest = max(r.slowest, res.FirstAnswer)
	if res.Rang && rec.Action != policy.Divert.String() {
		r.rang++
	}
	if r.app.json {
		line, err := json.Marshal(demoLine{rec, res.Rang, res.SIP, res.ShownName, float64(res.FirstAnswer.Microseconds()) / 1000})
		return string(line) + "\n", err
	}
	const indent = 10
	who := callerShown(rec) + " → " + shown(rec.Callee)
	if rec.Line != "" {
		who += " (" + shown(rec.Line) + ")"
	}
	return fmt.Sprintf("%-*s%s %s\n%*s⇒ %s\n%*s%s\n", indent, rec.Time.Local().Format(time.TimeOnly), r.paint.Action(action, terminal.Pad(strings.ToUpper(action), 9)),
		terminal.Wrap(who, terminal.Page, indent+10, indent+10), indent, "", terminal.Wrap(met(&rec, res), terminal.Page, indent+2, indent+2),
		indent, "", terminal.Wrap(shown(rec.Rule)+": "+number.InertUpTo(rec.Reason, 200), terminal.Page, indent, indent)), nil
}

// met is what the caller and the phone met of a call.
func met(rec *console.Record, res standin.Result) string {
	rang := "the phone rang"
	if name := res.Vars["effective_caller_id_name"]; name != "" {
		rang += " as “" + shown(name) + "”"
	}
	switch {
	case rec.Action == policy.Challenge.String() && res.Cancelled:
		return "was asked for digits and hung up, the phone stayed silent"
	case rec.Action == policy.Challenge.String() && res.Rang:
		return "was asked for digits and keyed them in; " + rang
	case rec.Action == policy.Challenge.String():
		return "was asked for digits and keyed in others; the call was ended, the phone stayed silent"
	case rec.Action == policy.Divert.String():
		return "was sent to voicemail, the phone stayed silent"
	case res.Cancelled:
		return "hung up during the announcement, the phone stayed silent"
	case res.SIP != 0:
		return fmt.Sprintf("%d %s, the phone stayed silent", res.SIP, res.Phrase)
	case len(res.Played) > 0 && res.Rang:
		return "heard " + strings.TrimSuffix(filepath.Base(res.Played[0]), ".wav") + ", then " + rang
	}
	return rang
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
	const indent = 11
	fmt.Fprintf(out, "%-*s%s\n", indent, "by action:", terminal.Wrap(counts(r.actions), terminal.Page, indent, indent))
	fmt.Fprintf(out, "%-*s%s\n", indent, "by rule:", terminal.Wrap(counts(r.rules), terminal.Page, indent, indent))
	return nil
}

// detectors shows what the campaign has tripped, as `ringfence detectors` does.
func (r *demoRun) detectors(d *daemon.Daemon) error {
	found, err := heldBreakers(r.app.ctx, d.Desk(), "")
	if err != nil || len(found) == 0 {
		return err
	}
	fmt.Fprint(r.app.out, "\nWhat its detectors say (`ringfence detectors`):\n\n")
	for i := range found {
		fmt.Fprint(r.app.out, breakerText(&found[i], true))
	}
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
