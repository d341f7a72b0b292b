package cmd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
)

type journalCmd struct {
	Tail   journalTailCmd   `cmd:"" help:"Show the last decisions."`
	Delete journalDeleteCmd `cmd:"" help:"Remove a caller's records, or those of calls to a number, for good."`
	Export journalExportCmd `cmd:"" help:"Write the journal, the oldest first, for policy replay or a spreadsheet."`
}

type journalDeleteCmd struct {
	Caller string `help:"The caller, in any spelling."`
	Callee string `help:"The called number, as the journal has it."`
}

func (c *journalDeleteCmd) Run(a *app) error {
	if c.Caller == "" && c.Callee == "" {
		return usageError{"name whose records are to go, with --caller or --callee"}
	}
	return a.withDesk(false, func(d *desk) error {
		done, err := d.DeleteRecords(a.ctx, console.Query{Caller: c.Caller, Callee: c.Callee})
		if err != nil {
			return err
		}
		return a.print(done, "%d records were deleted", done.Records)
	})
}

type journalExportCmd struct {
	Caller   string `placeholder:"NUMBER" help:"All that is held of a number, not only its calls: an object a line, each with its kind."`
	Since    string `placeholder:"WHEN" help:"Only from then on: 7d back, a date 2026-11-01, or a time 2026-11-01T08:00:00+08:00."`
	Customer string `placeholder:"CUSTOMER" help:"Only calls to lines of this customer."`
	Line     string `placeholder:"LINE" help:"Only calls to this line."`
	Rule     string `placeholder:"RULE" help:"Only calls that this rule decided."`
	Trunk    string `placeholder:"TRUNK" help:"Only calls from this trunk."`
	Format   string `default:"jsonl" enum:"jsonl,csv" help:"jsonl or csv (jsonl)."`
}

func (c *journalExportCmd) Run(a *app) error {
	since, err := past(c.Since, time.Now())
	if err != nil {
		return usageError{"--since: " + err.Error()}
	}
	if c.Caller != "" && c.Format == "csv" {
		return usageError{"--caller writes what is held of a number, which is no table: leave out --format csv"}
	}
	for name, text := range map[string]string{"customer": c.Customer, "line": c.Line, "rule": c.Rule, "trunk": c.Trunk} {
		if c.Caller != "" && text != "" {
			return usageError{"--caller writes all that is held of a number, whoever was called: leave out --" + name}
		}
	}
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	if c.Caller != "" {
		return a.exportHeld(d, console.HeldQuery{Number: c.Caller, Since: since})
	}
	out := bufio.NewWriter(a.out)
	csv := c.Format == "csv" && !a.json
	if csv {
		out.Write(console.AppendCSVHeader(nil))
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	var line []byte
	err = d.Journal(a.ctx, console.Query{Since: since, Customer: c.Customer, Line: c.Line, Rule: c.Rule, Trunk: c.Trunk}, func(r console.Record) error {
		if !csv {
			return enc.Encode(r)
		}
		line = r.AppendCSV(line[:0])
		_, err := out.Write(line)
		return err
	})
	return errors.Join(err, out.Flush())
}

// exportHeld writes all that is held of a number.
func (a *app) exportHeld(d *desk, q console.HeldQuery) error {
	out := bufio.NewWriter(a.out)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	found := false
	err := d.Held(a.ctx, q, func(h console.Held) error {
		found = true
		return enc.Encode(h)
	})
	if err == nil && !found {
		fmt.Fprintln(a.err, "nothing is held of this number")
	}
	return errors.Join(err, out.Flush())
}

// past reads a moment that has been: a span back from now, a date, or a time.
func past(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := policy.ParseSpan(text); err == nil {
		return now.Add(-d), nil
	}
	if t, err := time.ParseInLocation("2006-01-02", text, time.Local); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%q is neither a span back such as 7d nor a date such as 2026-11-01", text)
}

type journalTailCmd struct {
	Follow   bool   `short:"f" help:"Go on with those to come."`
	N        int    `short:"n" default:"20" help:"How many (20)."`
	Caller   string `help:"Only of this caller, in any spelling."`
	Callee   string `help:"Only to this callee."`
	Action   string `help:"Only with this action."`
	ID       string `name:"id" help:"Only the call with this id."`
	Customer string `placeholder:"CUSTOMER" help:"Only to lines of this customer."`
	Line     string `placeholder:"LINE" help:"Only to this line."`
	Rule     string `placeholder:"RULE" help:"Only those that this rule decided."`
	Trunk    string `placeholder:"TRUNK" help:"Only from this trunk."`
}

func checkOf(caller string) console.CheckQuery { return console.CheckQuery{Caller: caller} }

// lastCalls are as many of the last calls as a question has for its limit, of all nodes of a cluster, the newest first.
func (a *app) lastCalls(d *desk, q console.SearchQuery) (last []console.Record, err error) {
	silent := map[string]bool{}
	for most := q.Limit; len(last) < most; {
		q.Limit, q.Look = most-len(last), 10*time.Second
		page, err := d.Search(a.ctx, q)
		if err != nil {
			return nil, err
		}
		last = append(last, page.Records...)
		for _, node := range page.Silent {
			silent[node] = true
		}
		if page.Done || page.Cursor == q.Cursor {
			break
		}
		q.Cursor = page.Cursor
	}
	for _, node := range slices.Sorted(maps.Keys(silent)) {
		fmt.Fprintf(a.err, "ringfence: the node %s did not answer within a second: its calls are missing\n", node)
	}
	return last, nil
}

func (c *journalTailCmd) Run(a *app) error {
	if c.Action != "" {
		if _, ok := policy.ParseAction(c.Action); !ok {
			return usageError{fmt.Sprintf("--action: %q is none of %s", c.Action, strings.Join(policy.ActionNames(), ", "))}
		}
	}
	if c.N < 0 {
		return usageError{"-n: a number of calls, 0 or more"}
	}
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	q := console.SearchQuery{Query: console.Query{Caller: c.Caller, Callee: c.Callee, Action: c.Action, ID: c.ID, Customer: c.Customer, Line: c.Line, Rule: c.Rule, Trunk: c.Trunk, Limit: c.N, Newest: true}}
	last, err := a.lastCalls(d, q)
	if err != nil {
		return err
	}
	slices.Reverse(last)
	here := ""
	if r, err := d.Cluster(a.ctx); err == nil && !a.json {
		here = r.Node
	}
	for _, r := range last {
		if err := a.printRecord(r, here); err != nil {
			return err
		}
	}
	if !c.Follow {
		return nil
	}
	caller := ""
	if c.Caller != "" { // as the daemon reads it
		if r, err := d.Check(a.ctx, checkOf(c.Caller)); err == nil {
			if caller = r.Caller.E164; r.Caller.Journal != "" {
				caller = r.Caller.Journal
			}
		}
	}
	return d.Follow(a.ctx, nil, func(r console.Record) error {
		switch {
		case c.Caller != "" && r.Caller.Raw != c.Caller && (caller == "" || r.Caller.E164 != caller),
			c.Callee != "" && r.Callee != c.Callee,
			c.Action != "" && r.Action != c.Action,
			c.ID != "" && r.ID != c.ID,
			c.Customer != "" && r.Owner() != c.Customer,
			c.Line != "" && r.Line != c.Line,
			c.Rule != "" && r.Rule != c.Rule,
			c.Trunk != "" && r.Trunk != c.Trunk:
			return nil
		}
		return a.printRecord(r, here)
	})
}

// printRecord prints a decision, with the node of one that another node of a cluster made; here is "" where there is none.
func (a *app) printRecord(r console.Record, here string) error {
	text := recordLine(r)
	if here != "" && r.Node != here {
		text += "; on " + shown(r.Node)
	}
	return a.print(r, "%s", text)
}

// recordLine is one decision as a person reads it. Nothing in it can move a terminal's cursor.
func recordLine(r console.Record) string {
	caller := callerShown(r)
	if r.Repeats > 0 {
		caller += fmt.Sprintf(" ×%d", r.Repeats+1)
	}
	action := strings.ToUpper(r.Action)
	if r.Would != r.Action {
		action += " (" + r.Would + ")"
	}
	callee := shown(r.Callee)
	if r.Line != "" {
		callee += " " + shown(r.Line)
	}
	if r.Customer != "" {
		callee += " of " + shown(r.Customer)
	}
	text := fmt.Sprintf("%s  %-7s  %s → %s  [%s] %s", r.Time.Local().Format(time.DateTime), action, caller, callee, shown(r.Rule), number.InertUpTo(r.Reason, 200))
	if r.Repeats > 0 {
		text += "; the last at " + r.Last.Local().Format(time.TimeOnly)
	}
	if r.Outcome != nil && r.Outcome.By == "caller" && !r.Outcome.Answered {
		text += "; the caller hung up"
	}
	if r.Test {
		text += "; the doctor's test call"
	}
	return text
}

// callerShown is who called: the number and the name.
func callerShown(r console.Record) string {
	caller := r.Caller.E164
	if caller == "" {
		caller = shown(r.Caller.Raw)
	}
	if caller == "" {
		caller = "withheld"
	}
	if r.Caller.Withheld && r.Caller.E164 != "" {
		caller += " (withheld)"
	}
	name := shown(r.Name)
	if name != "" && name != shown(r.Caller.Raw) {
		caller += " " + number.InertUpTo(name, 20)
	}
	return caller
}
