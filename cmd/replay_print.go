package cmd

import (
	"fmt"
	"io"
	"strings"
	"time"

	"ringfence/number"
	"ringfence/policy"
	"ringfence/replay"
)

// replayPrinter writes a report for people. All that callers can choose is made inert.
type replayPrinter struct {
	out     io.Writer
	report  *replay.Report
	command *policyReplayCmd
	sources []*replay.Source
	listed  bool // the report lists changes; else they have been printed as they came
	err     error
}

func (p *replayPrinter) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format, args...)
	}
}

func (p *replayPrinter) print() error {
	p.head()
	p.totals()
	p.changes()
	p.mistakes()
	p.callers()
	return p.err
}

func (p *replayPrinter) head() {
	s := &p.report.Summary
	if !p.listed && s.Changed > 0 {
		p.printf("\n")
	}
	p.printf("%d calls of %d callers, %s to %s, through %s\n", s.Calls, s.Callers, stamp(s.Since), stamp(s.Until), p.command.Policy)
	for _, source := range p.sources {
		p.printf("  %s: %s\n", shown(source.Name), source.Format)
	}
	if s.Skipped > 0 {
		p.printf("  calls of other contexts, left out: %d\n", s.Skipped)
	}
	if s.Bad > 0 {
		p.printf("  lines that could not be read: %d\n", s.Bad)
	}
	if s.CallersOver > 0 {
		p.printf("  calls of more callers than are followed, which makes the numbers of callers too low: %d\n", s.CallersOver)
	}
	if s.CalleesOver > 0 {
		p.printf("  callers whose callees are counted no further than 64: %d\n", s.CalleesOver)
	}
	if s.KnownOver > 0 {
		p.printf("  callers that are known to more lines than are followed, and count as unknown there: %d\n", s.KnownOver)
	}
	for _, note := range p.report.Notes {
		p.printf("  note: %s\n", note)
	}
}

func (p *replayPrinter) totals() {
	p.printf("\n%-32s %-17s %9s %7s %9s\n", "action", "", "calls", "share", "callers")
	for _, t := range p.report.Actions {
		p.printf("%-32s %-17s %9d %6.1f%% %9d\n", actionText(t.Action, t.Mode), "", t.Calls, 100*t.Share, t.Callers)
	}
	p.printf("\n%-32s %-17s %9s %7s %9s\n", "rule", "says", "calls", "share", "callers")
	for _, t := range p.report.Rules {
		p.printf("%-32s %-17s %9d %6.1f%% %9d", t.Rule, actionText(t.Action, t.Mode), t.Calls, 100*t.Share, t.Callers)
		if t.Trial > 0 {
			p.printf("  and %d that another rule decided", t.Trial)
		}
		p.printf("\n")
	}
}

func (p *replayPrinter) changes() {
	s := &p.report.Summary
	than := "was recorded"
	if p.command.Against != "" {
		than = "under " + p.command.Against
	}
	if s.Compared == 0 {
		if s.Undecided == 0 {
			p.printf("\nThe files do not say what was decided then. To compare, name a policy with --against.\n")
		}
		return
	}
	p.printf("\n%d of %d calls get another verdict than %s", s.Changed, s.Compared, than)
	if same := s.Changed - s.Otherwise; same > 0 {
		p.printf(", %d of them the same action by another rule", same)
	}
	p.printf("\n")
	if s.Undecided > 0 && p.command.Against == "" {
		p.printf("not compared, since they passed without a decision then (paused, or a technical failure): %d\n", s.Undecided)
	}
	const groups = 50
	for i, g := range p.report.Groups {
		if i == groups {
			p.printf("%9s %d more kinds of change\n", "…", len(p.report.Groups)-groups)
			break
		}
		p.printf("%9d  %s → %s\n", g.Calls, verdictText(g.Was), verdictText(g.Is))
	}
	if !p.listed || len(p.report.Changes) == 0 {
		return
	}
	if uint64(len(p.report.Changes)) < s.Changed {
		p.printf("\nthe first %d (--changes 0 lists all)\n", len(p.report.Changes))
	} else {
		p.printf("\nthese are\n")
	}
	for i := range p.report.Changes {
		p.printf("  %s\n", changeText(&p.report.Changes[i]))
	}
}

func (p *replayPrinter) mistakes() {
	s := &p.report.Summary
	if s.Refused == 0 {
		return
	}
	p.printf("\ncalls that would be refused (reject, or warn and hang up): %d, answered: %d", s.Refused, s.Mistake)
	if s.Mistake > 0 {
		p.printf("; the longest talks are most likely mistakes")
	}
	p.printf("\n")
	for i := range p.report.Mistakes {
		m := &p.report.Mistakes[i]
		p.printf("%9s  %s  %s: %s\n", talkText(m.TalkS), spotText(&m.Spot), verdictText(m.Is), number.InertUpTo(m.Reason, 200))
	}
}

func (p *replayPrinter) callers() {
	if len(p.report.Callers) == 0 {
		return
	}
	p.printf("\ncallers by harm: calls that nobody answered or that were over within 6 s, to many different numbers\n")
	p.printf("%9s %8s %9s %6s  %s\n", "calls", "callees", "answered", "short", "caller, and what the policy does")
	for i := range p.report.Callers {
		c := &p.report.Callers[i]
		answered, short := "?", "?"
		if c.Unknown < c.Calls {
			answered = fmt.Sprintf("%.0f%%", 100*float64(c.Answered)/float64(c.Calls-c.Unknown))
			short = fmt.Sprint(c.Short)
		}
		who := shown(c.Caller)
		if c.Withheld {
			who += " (withheld)"
		}
		if c.Kind == number.Invalid.String() {
			who += " (no number)"
		}
		var does []string
		for _, action := range policy.ActionNames() {
			if n := c.Actions[action]; n > 0 {
				does = append(does, fmt.Sprintf("%s %d", action, n))
			}
		}
		p.printf("%9d %8d %9s %6s  %-18s %s\n", c.Calls, c.Callees, answered, short, who, strings.Join(does, ", "))
	}
}

// actionText is an action, and whether it would be done.
func actionText(action, mode string) string {
	if mode == policy.Observe.String() {
		return action + " (trial)"
	}
	return action
}

// stamp is a time by the clock that the file was read by.
func stamp(t time.Time) string { return t.Format("2006-01-02 15:04:05") }

// talkText is a length of talk as minutes and seconds.
func talkText(seconds float64) string {
	s := int64(seconds)
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

func verdictText(v replay.Verdict) string {
	return actionText(v.Action.String(), v.Mode().String()) + " by " + shown(v.Rule)
}

// spotText is who called whom, when, and where the file says so.
func spotText(s *replay.Spot) string {
	caller := s.Caller.E164
	if caller == "" {
		caller = shown(s.Caller.Raw)
	}
	if caller == "" {
		caller = "withheld"
	} else if s.Caller.Withheld {
		caller += " (withheld)"
	}
	if name := number.InertUpTo(s.Name, 20); name != "" && name != shown(s.Caller.Raw) {
		caller += " " + name
	}
	callee := shown(s.Callee)
	if s.Line != "" {
		callee += " " + s.Line
	}
	return fmt.Sprintf("%s  %s → %s  (%s:%d)", stamp(s.Time), caller, callee, shown(s.File), s.FileLine)
}

func changeText(c *replay.Change) string {
	return fmt.Sprintf("%s  %s → %s: %s", spotText(&c.Spot), verdictText(c.Was), verdictText(c.Is), number.InertUpTo(c.Reason, 200))
}
