package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/daemon"
	"ringfence/number"
	"ringfence/policy"
)

type checkCmd struct {
	Caller string `arg:"" help:"The caller's number as it would arrive; \"\" or anonymous for a withheld one."`
	Callee string `arg:"" optional:"" help:"The called number."`
	Trunk  string `help:"The trunk it comes in by."`
	Name   string `help:"The caller's name."`
	At     string `placeholder:"TIME" help:"When: 2026-11-24T20:00, in the policy's time zone, or with a zone (default: now)."`
	Policy string `placeholder:"FILE" help:"Try this policy file instead of the one in force."`
}

func (c *checkCmd) Run(a *app) error {
	q := console.CheckQuery{Caller: c.Caller, Callee: c.Callee, Trunk: c.Trunk, Name: c.Name, At: c.At, PolicyFile: c.Policy}
	if c.Policy != "" {
		text, err := conf.ReadFile(c.Policy)
		if err != nil {
			return err
		}
		q.Policy = string(text)
	}
	d, err := a.deskFor(c.Policy)
	if err != nil {
		return err
	}
	defer d.close()
	r, err := d.Check(a.ctx, q)
	if err != nil {
		return err
	}
	if a.json {
		return a.print(r, "")
	}
	e164 := shown(r.Caller.E164)
	if e164 == "" {
		e164 = "no number"
	}
	kinds := strings.Join(r.Caller.Kinds, ", ")
	if r.Caller.Reason != "" {
		kinds += ": " + r.Caller.Reason
	}
	fmt.Fprintf(a.out, "caller   %s is %s (%s)\n", shown(fmt.Sprintf("‘%s’", r.Caller.Raw)), e164, kinds)
	if r.Callee != "" {
		line := r.Line
		if line == "" {
			line = "no line"
		}
		if r.Customer != "" {
			line += " of " + shown(r.Customer)
		}
		fmt.Fprintf(a.out, "callee   %s, %s\n", shown(r.Callee), line)
	}
	if r.Trunk != "" {
		fmt.Fprintf(a.out, "trunk    %s\n", shown(r.Trunk))
	}
	for _, l := range r.Lists {
		fmt.Fprintln(a.out, onListText(&l))
	}
	a.printFindings(r)
	for _, s := range r.Steps {
		mark := "-"
		if s.Matched {
			mark = "*"
		}
		fmt.Fprintf(a.out, "  %s %-24s %s\n", mark, s.Rule, number.InertUpTo(s.Why, 300))
	}
	action := r.Action
	if r.SIP != 0 {
		action += fmt.Sprintf(" with SIP %d", r.SIP)
	}
	if r.Would != r.Action {
		action += ", would be " + r.Would
	}
	fmt.Fprintf(a.out, "action   %s\nrule     %s\nreason   %s\n", action, r.Rule, number.InertUpTo(r.Reason, 300))
	return nil
}

// onListText is a list that a caller is on, and by what report if by one.
func onListText(l *console.OnList) string {
	text := fmt.Sprintf("on list  %s, as %s", l.List, l.Pattern)
	if l.Holds != "" {
		text += " (holds " + l.Holds + ", for rules that refuse)"
	}
	text += ": " + shown(l.Reason)
	if strings.HasPrefix(l.Source, "report ") {
		text += " (" + shown(l.Source) + ")"
	}
	return text
}

// deskFor is the desk, or, where nothing is installed, one that knows the given policy file and no lists.
func (a *app) deskFor(policyFile string) (*desk, error) {
	if _, err := os.Stat(a.config); policyFile == "" || a.config != conf.DefaultFile || !errors.Is(err, fs.ErrNotExist) {
		return a.desk(true)
	}
	fmt.Fprintf(a.err, "ringfence: there is no %s, so no lists are looked at\n", a.config)
	d, err := daemon.OpenDesk(&conf.Daemon{Policy: policyFile, Data: filepath.Dir(a.config)}, true, commandLog(a.err))
	if err != nil {
		return nil, err
	}
	return &desk{d, func() { d.Close() }}, nil
}

type policyCmd struct {
	Check  policyCheckCmd  `cmd:"" help:"Look for faults in a policy file."`
	Test   policyTestCmd   `cmd:"" help:"Run the [[test]] tables of a policy file."`
	Replay policyReplayCmd `cmd:"" help:"Run calls of a journal or of call detail records through a policy, and show what changes."`
	Reload policyReloadCmd `cmd:"" help:"Have the daemon read its policy again, and wait for it."`

	History  policyHistoryCmd  `cmd:"" help:"List the policies that were in force."`
	Show     policyShowCmd     `cmd:"" help:"Print the policy, or one that was in force."`
	Rollback policyRollbackCmd `cmd:"" help:"Put a policy in force again that was before."`
}

type policyCheckCmd struct {
	File string `arg:"" help:"The policy file."`
}

func (c *policyCheckCmd) Run(a *app) error {
	err := c.check(a)
	a.sayRefused(c.File, err == nil)
	return err
}

func (c *policyCheckCmd) check(a *app) error {
	text, err := conf.ReadFile(c.File)
	if err != nil {
		return err
	}
	p, faults := policy.Load(c.File, text)
	if p != nil {
		faults = append(faults, p.CheckAnnouncements(a.haveSounds(p.Country()))...)
	}
	warnings := 0
	for _, f := range faults {
		if f.Warning {
			warnings++
		}
		if err := a.printFault(console.Fault{Text: f.String(), Warning: f.Warning}); err != nil {
			return err
		}
	}
	if p == nil {
		fmt.Fprintf(a.err, "%s: %d faults, %d warnings\n", c.File, len(faults)-warnings, warnings)
		return errSilent
	}
	if !a.json {
		fmt.Fprintf(a.out, "%s: no faults, %d warnings, %d rules\n", c.File, warnings, len(p.Rules()))
	}
	return nil
}

// haveSounds tells which announcements there are: those that are shipped, and the administrator's if the
// daemon's file can be read.
func (a *app) haveSounds(country string) func(name string) bool {
	c, err := conf.LoadForCommand(a.config)
	if err != nil {
		return conf.Shipped
	}
	own := conf.OpenSounds(c.SoundFolder(), country)
	return func(name string) bool { return conf.Shipped(name) || own.Has(name) }
}

func (a *app) printFault(f console.Fault) error {
	kind := ""
	if f.Warning {
		kind = "warning: "
	}
	if a.json {
		return a.print(f, "")
	}
	_, err := fmt.Fprintf(a.out, "%s%s\n", kind, f.Text)
	return err
}

type policyReloadCmd struct{}

func (policyReloadCmd) Run(a *app) error {
	d, err := a.running()
	if err != nil {
		return err
	}
	defer d.Close()
	r, err := d.Reload(a.ctx)
	if err != nil {
		return err
	}
	for _, f := range r.Faults {
		if err := a.printFault(f); err != nil {
			return err
		}
	}
	if !r.Loaded {
		return errors.New("the running policy stays, since " + r.File + " has faults")
	}
	if a.json {
		return nil
	}
	fmt.Fprintf(a.out, "%s is in force: %d rules\n", r.File, r.Rules)
	return a.saySharedPolicy(d)
}

type pauseCmd struct {
	For string `placeholder:"SPAN" help:"For how long, as in 1h or 30m (default: until resumed)."`
}

func (c *pauseCmd) Run(a *app) error {
	var length time.Duration
	if c.For != "" {
		d, err := policy.ParseSpan(c.For)
		if err != nil || d == 0 {
			return usageError{fmt.Sprintf("--for: %q is no span of time: write 1h or 30m", c.For)}
		}
		length = d
	}
	return a.withDesk(false, func(d *desk) error {
		return a.printPause(d.Pause(a.ctx, length))
	})
}

type resumeCmd struct{}

func (resumeCmd) Run(a *app) error {
	return a.withDesk(false, func(d *desk) error {
		return a.printPause(d.Resume(a.ctx))
	})
}

func (a *app) printPause(s *console.PauseState, err error) error {
	if err != nil {
		return err
	}
	text := "screening is on"
	if s.Paused {
		text = "SCREENING IS PAUSED: every call passes and is recorded, until `ringfence resume`"
		if !s.Until.IsZero() {
			text += " or " + when(s.Until)
		}
	}
	return a.print(s, "%s", text)
}

type statusCmd struct{}

func (statusCmd) Run(a *app) error {
	d, err := a.running()
	if err != nil {
		return err
	}
	defer d.Close()
	s, err := d.Status(a.ctx)
	if err != nil || a.json {
		if err == nil {
			err = a.print(s, "")
		}
		return err
	}
	fmt.Fprintf(a.out, "ringfence %s on %s, running since %s\n", s.Version, s.Node, when(s.Started))
	a.printAlerts(s)
	fmt.Fprintf(a.out, "calls    %d screened on %s, %d in hand\n", s.Calls, s.Screen, s.InHand)
	if s.Console != "" {
		fmt.Fprintf(a.out, "console  %s\n", s.Console)
	}
	for reason, n := range s.FailOpen {
		fmt.Fprintf(a.out, "         %d let through unscreened: %s\n", n, reason)
	}
	if s.Nameless > 0 {
		fmt.Fprintf(a.out, "         %d of them were connections that named no call\n", s.Nameless)
	}
	if s.Unrecorded > 0 {
		fmt.Fprintf(a.out, "         %d more did not come here, and there was no room to record them\n", s.Unrecorded)
	}
	if s.Overflow > 0 {
		fmt.Fprintf(a.out, "         %d met a trunk full of announcements\n", s.Overflow)
	}
	if s.Dismissed > 0 {
		fmt.Fprintf(a.out, "         %d were heard or asked no further, to make room for others\n", s.Dismissed)
	}
	if s.Lines > 0 {
		fmt.Fprintf(a.out, "lines    %d in the database\n", s.Lines)
	}
	a.printCustomers(s.Customers)
	a.printLearnt(&s.Learnt)
	a.printDetectors(&s.Detectors)
	fmt.Fprintf(a.out, "reports  %d to review, %d decided\n", s.Reports.Open, s.Reports.Decided)
	for i := range s.Feeds {
		if f := &s.Feeds[i]; f.Held != "" || f.Error != "" {
			fmt.Fprintf(a.out, "feed     %s\n", feedLine(f))
		}
	}
	for _, t := range s.Attached {
		state := "attached"
		switch {
		case !t.Attached:
			state = "NOT ATTACHED: " + t.Trouble
		case t.Trouble != "":
			state = "attached, but " + t.Trouble
		}
		fmt.Fprintf(a.out, "switch   %s %s\n", t.Name, state)
	}
	if s.Cluster != nil {
		fmt.Fprintln(a.out, a.prose("cluster  ", clusterLine(s.Cluster)))
	}
	fmt.Fprintf(a.out, "lists    %d entries%s\n", s.Lists.Entries, listsNote(s.Lists))
	fmt.Fprintf(a.out, "journal  %d written, %d dropped\n", s.Journal.Written, s.Journal.Dropped)
	if s.Journal.Error != "" {
		fmt.Fprintf(a.out, "journal  CANNOT BE WRITTEN: %s\n", s.Journal.Error)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Counters)) {
		fmt.Fprintf(a.out, "counted  %d %s\n", s.Counters[name], name)
	}
	if s.Pause.Paused {
		return a.printPause(&s.Pause, nil)
	}
	return nil
}

// printLearnt writes what calls have taught.
func (a *app) printLearnt(s *console.LearntStatus) {
	fmt.Fprintf(a.out, "known    %d callers of lines\n", s.Known)
	if s.Full > 0 {
		fmt.Fprintf(a.out, "         %d more had no room\n", s.Full)
	}
	if n := s.Dropped + uint64(s.Unwritten); n > 0 {
		fmt.Fprintf(a.out, "         %d facts are not on disk yet, %d of them will not be\n", n, s.Dropped)
	}
	if s.Emergency > 0 {
		fmt.Fprintf(a.out, "         %d numbers await an emergency call-back: calls to them pass\n", s.Emergency)
	}
	if c := s.Challenged; c.Passes+c.Tries > 0 {
		fmt.Fprintf(a.out, "         %d passed a challenge, %d keyed in nothing\n", c.Passes, c.Tries)
		if c.PassesFull+c.TriesFull > 0 {
			fmt.Fprintf(a.out, "         no room for more: the oldest gave way %d and %d times\n", c.PassesFull, c.TriesFull)
		}
	}
	if s.Over > 0 {
		fmt.Fprintf(a.out, "         %d last calls of extensions were forgotten early, to make room\n", s.Over)
	}
}

// listsNote is what there is to say of the lists in memory besides their size.
func listsNote(s console.ListsStatus) string {
	text := ""
	if len(s.Unread) > 0 {
		text += ", still reading " + strings.Join(s.Unread, ", ") + ": calls that a rule asks them for pass"
	}
	if s.WithoutText > 0 {
		text += fmt.Sprintf(", %d of them without reason and source in memory", s.WithoutText)
	}
	return text
}
