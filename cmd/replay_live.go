package cmd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"ringfence/number"
	"ringfence/replay"
)

// liveRun tells what the detectors of a policy did, and how its decisions meet the labels.
func (p *replayPrinter) liveRun(file string, c *replay.LiveRun) {
	if len(c.Detectors) > 0 {
		p.printf("\n")
		p.item2("the detectors of %s, in the calls' own time; talked: calls touched that were answered, and people talked for more than a minute: most likely mistakes", file)
		p.printf("%-32s %7s %8s %8s %7s %8s\n", "detector", "trips", "met", "touched", "talked", "on trial")
		for i := range c.Detectors {
			d := &c.Detectors[i]
			p.printf("%-32s %7d %8d %8d %7d %8d\n", actionText(d.Detector, d.Mode), d.Trips, d.Met, d.Touched, d.Mistakes, d.Would)
		}
		for i := range c.Detectors {
			p.trips(&c.Detectors[i])
		}
	}
	if c.Labels != nil {
		p.labels(file, c.Labels)
	}
}

// item2 writes a line that is no part of a list, folded.
func (p *replayPrinter) item2(format string, args ...any) {
	p.printf("%s", folded("", "", fmt.Sprintf(format, args...)))
}

// fewTrips is how many trips of a detector are told of on a terminal.
const fewTrips = 5

func (p *replayPrinter) trips(d *replay.Detector) {
	if d.Trips == 0 {
		return
	}
	first := ""
	if d.Trips > fewTrips {
		first = fmt.Sprintf(", the first %d", fewTrips)
	}
	p.printf("\n")
	p.item2("%s tripped %s, held for %s at most%s:", d.Detector, times(d.Trips), span(d.HoldS), first)
	for _, t := range d.First[:min(len(d.First), fewTrips)] {
		key := shown(t.Key)
		if t.Holder != "" {
			key += " (" + shown(t.Holder) + ")"
		}
		if t.Trunk != "" {
			key += " on " + shown(t.Trunk)
		}
		p.printf("%s", folded("  ", "      ", fmt.Sprintf("%s  %s: %s; held for %s", stamp(t.Time), key, number.InertUpTo(t.Why, 200), span(t.HoldS))))
	}
	if d.Would > 0 {
		p.item("on trial, or without room under max_share, it would have touched %s; on %d of them people talked for more than a minute", counted(d.Would, "call"), d.WouldBe)
	}
	if d.Evicted > 0 || d.Capped > 0 {
		p.item("what found no room: %s evicted, %s capped", counted(d.Evicted, "key"), counted(d.Capped, "member"))
	}
}

func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// span is a length of time as the policy writes it.
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	if days := d / (24 * time.Hour); days > 0 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", days)
	}
	text := strings.TrimSuffix(d.String(), "0s")
	if short := strings.TrimSuffix(text, "0m"); short != text && strings.HasSuffix(short, "h") {
		text = short
	}
	return cmp.Or(text, "0s")
}

// sideRow is what is told of the calls of one label.
type sideRow struct {
	name          string
	always, ofOne bool // it is told also if there is nothing; it is told of one rule or detector as well
	of            func(*replay.Side) replay.Part
}

var sideRows = []sideRow{
	{"stopped", true, true, func(s *replay.Side) replay.Part { return s.Stopped }},
	{"challenged", true, false, func(s *replay.Side) replay.Part { return s.Challenged }},
	{"diverted", false, false, func(s *replay.Side) replay.Part { return s.Diverted }},
	{"rejected", true, false, func(s *replay.Side) replay.Part { return s.Rejected }},
	{"labelled", false, false, func(s *replay.Side) replay.Part { return s.Labelled }},
	{"touched", true, true, func(s *replay.Side) replay.Part { return s.Touched }},
	{"rang", true, false, func(s *replay.Side) replay.Part { return s.Rang }},
	{"trial: stops", false, true, func(s *replay.Side) replay.Part { return s.WouldStop }},
	{"trial: touches", false, true, func(s *replay.Side) replay.Part { return s.WouldTouch }},
}

func (p *replayPrinter) labels(file string, l *replay.Labels) {
	challenge := "nobody passes a challenge here: an unwanted call that is challenged counts as stopped, a wanted one as touched"
	if p.command.WantedPass {
		challenge = "who is wanted passes a challenge and is remembered for it, the call counts as touched; an unwanted call that is challenged counts as stopped"
	}
	p.printf("\n")
	p.item2("by the labels, under %s: %s, %d wanted. Stopped is what did not ring; %s. A call without room for a challenge (max_held), or with grace, rings. "+
		"Shares are of all calls of the label, in brackets their intervals of 95 %%", file, counted(l.All.Unwanted.Calls, "unwanted call"), l.All.Wanted.Calls, challenge)
	p.printf("%-14s %32s %32s\n", "", "unwanted", "wanted")
	p.confusion(&l.All, true)
	for _, of := range [][]replay.Confusion{l.Rules, l.Detectors} {
		for i := range of {
			if acted(&of[i].Unwanted) || acted(&of[i].Wanted) {
				p.printf("%s %s\n", of[i].Scope, shown(of[i].Name))
				p.confusion(&of[i], false)
			}
		}
	}
	if l.Unlabelled > 0 {
		p.item("calls of files that do not say whether they were wanted: %d", l.Unlabelled)
	}
	p.campaigns(l)
}

// confusion prints a line for each thing that became of calls; of a rule or a detector only what it did.
func (p *replayPrinter) confusion(c *replay.Confusion, all bool) {
	for _, row := range sideRows {
		unwanted, wanted := row.of(&c.Unwanted), row.of(&c.Wanted)
		some := unwanted.Calls+wanted.Calls > 0
		if row.always && all || some && (all || row.ofOne) {
			p.printf("%-14s %s %s\n", row.name, partText(unwanted), partText(wanted))
		}
	}
}

// acted reports whether a rule or a detector did anything, or would have.
func acted(s *replay.Side) bool { return s.Touched.Calls+s.WouldTouch.Calls+s.WouldStop.Calls > 0 }

func partText(x replay.Part) string {
	return fmt.Sprintf("%8d %6.2f%% %15s", x.Calls, 100*x.Share, fmt.Sprintf("(%.2f-%.2f)", 100*x.Low, 100*x.High))
}

// fewCampaigns is how many campaigns are told of on a terminal.
const fewCampaigns = 20

func (p *replayPrinter) campaigns(l *replay.Labels) {
	if l.Named == 0 {
		return
	}
	p.printf("\n")
	p.item2("%s with a name, %d of which met a breaker that holds; before that leaked, in the median over all, %g calls. Those that leaked the most:",
		counted(l.Named, "campaign"), l.Tripped, l.MedianLeak)
	p.printf("%9s %9s %9s %9s  %s\n", "calls", "stopped", "leaked", "before", "campaign")
	most := slices.Clone(l.Campaigns)
	slices.SortStableFunc(most, func(a, b replay.Campaign) int { return cmp.Compare(b.Leaked, a.Leaked) })
	for _, c := range most[:min(len(most), fewCampaigns)] {
		never := ""
		if !c.Tripped {
			never = " (no breaker)"
		}
		p.printf("%9d %9d %9d %9d  %s%s\n", c.Calls, c.Stopped, c.Leaked, c.Before, number.InertUpTo(c.Name, 25), never)
	}
	if l.CampaignsOver > 0 {
		p.item("calls of more campaigns than are followed: %d", l.CampaignsOver)
	}
}
