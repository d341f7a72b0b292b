package cmd

import (
	"fmt"
	"io"
	"strings"
	"time"

	"ringfence/number"
	"ringfence/policy"
	"ringfence/replay"
	"ringfence/terminal"
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
	p.liveRun(p.command.Policy, &p.report.LiveRun)
	p.liveRun(p.command.Against, &p.report.Against)
	p.callers()
	return p.err
}

func (p *replayPrinter) head() {
	s := &p.report.Summary
	if !p.listed && s.Changed > 0 {
		p.printf("\n")
	}
	p.printf("%s of %s came in, through %s\n", counted(s.Calls, "call"), counted(s.Callers, "caller"), p.command.Policy)
	if s.Calls > 0 {
		p.printf("from %s to %s\n", stampZone(s.Since), stampZone(s.Until))
	}
	for _, source := range p.sources {
		p.item("%s: %s", shown(source.Name), source.Format)
	}
	p.rows()
	if s.CallersOver > 0 {
		p.item("calls of more callers than are followed, which makes the numbers of callers too low: %d", s.CallersOver)
	}
	if s.CalleesOver > 0 {
		p.item("callers whose callees are counted no further than 64: %d", s.CalleesOver)
	}
	if s.KnownOver > 0 {
		p.item("callers that are known to more lines than are followed, and count as unknown there: %d", s.KnownOver)
	}
	for _, note := range p.report.Notes {
		p.item("note: %s", note)
	}
}

// rows tells what the rows are that are no calls to screen.
func (p *replayPrinter) rows() {
	s := &p.report.Summary
	if s.Rows == s.Calls && s.Unreadable == 0 && s.Repeats == 0 {
		return
	}
	cameIn := "came in"
	if s.Unreadable > 0 {
		cameIn = fmt.Sprintf("came in, %d of them from callers that could not be read", s.Unreadable)
	}
	p.item("%s:", counted(s.Rows, "row"))
	for _, kind := range []struct {
		rows uint64
		text string
	}{
		{s.Calls - s.Repeats, cameIn},
		{s.Outgoing, "went out: not screened, but known_caller learns from them"},
		{s.Internal, "between phones of yours: not screened"},
		{s.Parts, "further records of a call that is counted once"},
		{s.Tests, "the doctor's test calls, left out"},
		{s.Skipped, "of other contexts, left out"},
		{s.Bad, "could not be read"},
	} {
		if kind.rows > 0 {
			p.printf("%9d  %s\n", kind.rows, kind.text)
		}
	}
	if s.Repeats > 0 {
		p.item("calls that repeat one of these within a minute, which the journal counts in its record: %d", s.Repeats)
	}
	if s.Late > 0 {
		p.item("further records that stand too far behind their call to be taken into account: %d", s.Late)
	}
}

// item writes a line of the head, folded to the width of a terminal.
func (p *replayPrinter) item(format string, args ...any) {
	p.printf("%s", folded("  ", "    ", fmt.Sprintf(format, args...)))
}

// folded breaks a text into lines of a terminal at its spaces; further lines begin with more.
func folded(lead, more, text string) string {
	return lead + terminal.Wrap(text, terminal.Page, terminal.Columns(lead), len(more)) + "\n"
}

// counted is a number of things.
func counted(n uint64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
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
			p.printf("\n  and %d that another rule decided", t.Trial)
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
			p.printf("\nThe files do not say what was decided then. To compare, name a policy with\n--against.\n")
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
		c := &p.report.Changes[i]
		p.printf("%s", folded("  ", "      ", spotText(&c.Spot)))
		p.printf("%s", folded("    ", "      ", changeReason(c)))
	}
}

func (p *replayPrinter) mistakes() {
	s := &p.report.Summary
	if s.Refused == 0 {
		return
	}
	p.printf("\ncalls that would be refused (reject, or warn and hang up): %d, answered: %d\n", s.Refused, s.Mistake)
	if s.Mistake > 0 {
		p.printf("the longest talks are most likely mistakes:\n")
	}
	for i := range p.report.Mistakes {
		m := &p.report.Mistakes[i]
		p.printf("%s", folded(fmt.Sprintf("%9s  ", talkText(m.TalkS)), "             ", spotText(&m.Spot)))
		p.printf("%s", folded("           ", "             ", fmt.Sprintf("%s: %s", verdictText(m.Is), number.InertUpTo(m.Reason, 200))))
	}
}

func (p *replayPrinter) callers() {
	if len(p.report.Callers) == 0 {
		return
	}
	p.printf("\ncallers by harm: calls that nobody answered or that were over within 6 s, to\nmany different numbers\n")
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

// stampZone is stamp with the offset of the clock.
func stampZone(t time.Time) string { return t.Format("2006-01-02 15:04:05 -07:00") }

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

// changeText is a change in one line, for scripts that cut lines.
func changeText(c *replay.Change) string { return spotText(&c.Spot) + "  " + changeReason(c) }

func changeReason(c *replay.Change) string {
	return fmt.Sprintf("%s → %s: %s", verdictText(c.Was), verdictText(c.Is), number.InertUpTo(c.Reason, 200))
}
