package cmd

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"ringfence/console"
	"ringfence/number"
	"ringfence/terminal"
)

type detectorsCmd struct {
	Ls    detectorsLsCmd    `cmd:"" default:"1" help:"Show what is tripped, and why; so does detectors alone."`
	Show  detectorsShowCmd  `cmd:"" help:"Show what a detector counts, and how far each key is."`
	Reset detectorsResetCmd `cmd:"" help:"Close a breaker; it counts from nothing."`
	Pin   detectorsPinCmd   `cmd:"" help:"Hold a breaker open (tripped) or shut (closed), until unpin."`
	Unpin detectorsUnpinCmd `cmd:"" help:"Let go of a breaker that is held; it goes on by itself."`
}

type detectorsLsCmd struct {
	Trunk string `help:"Only of this trunk."`
}

func (c *detectorsLsCmd) Run(a *app) error {
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	found, err := heldBreakers(a.ctx, d, c.Trunk)
	if err != nil {
		return err
	}
	if a.json {
		for i := range found {
			if err := a.print(&found[i], ""); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range found {
		fmt.Fprint(a.out, breakerText(&found[i], true))
	}
	if len(found) > 0 {
		return nil
	}
	all, err := d.Detectors(a.ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Fprintln(a.out, "the policy has no detectors")
		return nil
	}
	fmt.Fprintf(a.out, "nothing is tripped\n")
	for i := range all {
		fmt.Fprint(a.out, beneathLabel("", detectorText(&all[i])))
	}
	return nil
}

// heldBreakers are those that are not closed or that a person holds, those that hold first; of all trunks for "".
func heldBreakers(ctx context.Context, d console.Desk, trunk string) (found []console.Breaker, err error) {
	err = d.Breakers(ctx, console.BreakerQuery{Trunk: trunk}, func(b console.Breaker) error {
		found = append(found, b)
		return nil
	})
	slices.SortStableFunc(found, func(x, y console.Breaker) int { return stateRank(&x) - stateRank(&y) })
	return found, err
}

// stateRank has those that hold come first.
func stateRank(b *console.Breaker) int {
	switch b.State {
	case console.BreakerTripped:
		return 0
	case console.BreakerProbing:
		return 1
	}
	return 2
}

// beneathLabel sets a text in lines that fit on a terminal, beside a word of at most eight letters.
func beneathLabel(label, text string) string {
	return fmt.Sprintf("%-9s%s\n", label, terminal.Wrap(text, terminal.Page, 9, 9))
}

// breakerText is a breaker as a person reads it, with its detector's name or without.
func breakerText(b *console.Breaker, named bool) string {
	label := strings.ToUpper(b.State)
	if stateRank(b) == 2 {
		label = b.State
	}
	head := shown(b.Key)
	if named {
		head = shown(b.Detector) + ": " + head
	}
	if b.Holder != "" && b.Holder != b.Key {
		head += " (" + shown(b.Holder) + ")"
	}
	if b.Trunk != "" {
		head += ", trunk " + shown(b.Trunk)
	}
	if b.Trial != "" {
		head += " – " + b.Trial + ": it touches no call"
	}
	text := beneathLabel(label, head)
	switch {
	case b.Pinned != "":
		what := "held open, as tripped,"
		if b.Pinned == console.PinShut {
			what = "held shut, never trips,"
		}
		text += beneath(fmt.Sprintf("%s by %s since %s", what, cmp.Or(shown(b.By), "a person"), when(b.Since)))
	case b.State == console.BreakerTripped:
		text += beneath(fmt.Sprintf("since %s, until %s%s", when(b.Since), when(b.Until), timesText(b.Trips)))
	case b.State == console.BreakerProbing:
		text += beneath(fmt.Sprintf("lets calls through since %s, to see whether it is over%s", when(b.Since), timesText(b.Trips)))
	}
	if b.Why != "" && b.State != console.BreakerClosed {
		text += beneath(number.InertUpTo(b.Why, 200))
	}
	text += beneath(countText(b))
	return text
}

// timesText says how often a breaker tripped in a row.
func timesText(trips int) string {
	if trips < 2 {
		return ""
	}
	return fmt.Sprintf("; tripped %d times", trips)
}

// countText is how far a breaker is, and what was done by it.
func countText(b *console.Breaker) string {
	text := fmt.Sprintf("counts %d now, trips at %d", b.Count, b.Trip)
	if b.Trip == 0 {
		text = fmt.Sprintf("counts %d now; what is usual is not known yet", b.Count)
	}
	if b.Touched > 0 {
		text += fmt.Sprintf("; %s touched", calls(b.Touched))
	}
	if b.Would > 0 {
		text += fmt.Sprintf("; %s would have been", calls(b.Would))
	}
	return text
}

func calls(n uint64) string {
	if n == 1 {
		return "1 call"
	}
	return fmt.Sprintf("%d calls", n)
}

// detectorText is a detector in a sentence.
func detectorText(d *console.Detector) string {
	by := map[string]string{"all": "over all calls", "prefix": "by prefix", "holder": "by holder", "trunk": "by trunk", "callee": "by called number", "caller": "by caller"}[d.Key]
	text := fmt.Sprintf("%s counts %s %s in %s, trips at %s, holds %s", shown(d.Name), d.Counts, by, d.Window, d.Trips, d.Hold)
	if d.MaxShare < 1 {
		text += fmt.Sprintf(", touches %.0f%% of the usual calls at most", d.MaxShare*100)
	}
	if d.Mode == "observe" {
		text += "; on trial"
	}
	return text + fmt.Sprintf("; %d keys count something", d.Counted)
}

type detectorsShowCmd struct {
	Name  string `arg:"" help:"The detector, as the policy names it."`
	Trunk string `help:"Only of this trunk."`
	N     int    `short:"n" default:"20" help:"How many of the keys that are closed (20)."`
}

// detectorShown is what show prints as JSON.
type detectorShown struct {
	console.Detector
	Breakers []console.Breaker `json:"breakers"`
}

func (c *detectorsShowCmd) Run(a *app) error {
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	shown := detectorShown{Breakers: []console.Breaker{}}
	err = d.Breakers(a.ctx, console.BreakerQuery{Detector: c.Name, Trunk: c.Trunk, All: true}, func(b console.Breaker) error {
		shown.Breakers = append(shown.Breakers, b)
		return nil
	})
	if err != nil {
		return err
	}
	all, err := d.Detectors(a.ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(x console.Detector) bool { return x.Name == c.Name })
	if at < 0 {
		return fmt.Errorf("the detector %q has gone meanwhile: the policy was read again", c.Name)
	}
	shown.Detector = all[at]
	slices.SortStableFunc(shown.Breakers, func(x, y console.Breaker) int {
		return cmp.Or(stateRank(&x)-stateRank(&y), cmp.Compare(nearness(&y), nearness(&x)), strings.Compare(x.Key, y.Key), strings.Compare(x.Trunk, y.Trunk))
	})
	if a.json {
		return a.print(shown, "")
	}
	fmt.Fprintln(a.out, terminal.Wrap(detectorText(&shown.Detector), terminal.Page, 0, 2))
	closed := 0
	for i := range shown.Breakers {
		b := &shown.Breakers[i]
		if stateRank(b) == 2 && b.Pinned == "" {
			if closed++; closed > c.N {
				continue
			}
		}
		fmt.Fprint(a.out, breakerText(b, false))
	}
	if closed > c.N {
		fmt.Fprintf(a.out, "and %d more that are closed (-n %d shows all)\n", closed-c.N, closed)
	}
	return nil
}

// nearness is how near to its trip a breaker is.
func nearness(b *console.Breaker) float64 { return float64(b.Count) / float64(max(b.Trip, 1)) }

type detectorsResetCmd struct {
	Name  string `arg:"" help:"The detector, as the policy names it."`
	Key   string `arg:"" help:"Whose breaker, in any spelling: a prefix, a number, a holder, a trunk, or all."`
	Trunk string `help:"Only on this trunk (default: on all)."`
}

func (c *detectorsResetCmd) Run(a *app) error {
	return a.editBreaker(func(d *desk) (*console.BreakerEdit, error) {
		return d.ResetBreaker(a.ctx, console.BreakerName{Detector: c.Name, Trunk: c.Trunk, Key: c.Key})
	})
}

type detectorsPinCmd struct {
	Name  string `arg:"" help:"The detector, as the policy names it."`
	Key   string `arg:"" help:"Whose breaker, in any spelling: a prefix, a number, a holder, a trunk, or all."`
	How   string `arg:"" enum:"open,shut" help:"open: it stays tripped. shut: it does not trip."`
	Trunk string `help:"Only on this trunk (default: on all)."`
}

func (c *detectorsPinCmd) Run(a *app) error {
	return a.editBreaker(func(d *desk) (*console.BreakerEdit, error) {
		return d.PinBreaker(a.ctx, console.BreakerName{Detector: c.Name, Trunk: c.Trunk, Key: c.Key}, c.How)
	})
}

type detectorsUnpinCmd struct {
	Name  string `arg:"" help:"The detector, as the policy names it."`
	Key   string `arg:"" help:"Whose breaker, in any spelling: a prefix, a number, a holder, a trunk, or all."`
	Trunk string `help:"Only on this trunk (default: on all)."`
}

func (c *detectorsUnpinCmd) Run(a *app) error {
	return a.editBreaker(func(d *desk) (*console.BreakerEdit, error) {
		return d.UnpinBreaker(a.ctx, console.BreakerName{Detector: c.Name, Trunk: c.Trunk, Key: c.Key})
	})
}

// editBreaker takes a breaker in hand and says what became of it.
func (a *app) editBreaker(how func(d *desk) (*console.BreakerEdit, error)) error {
	d, err := a.desk(false)
	if err != nil {
		return err
	}
	defer d.close()
	e, err := how(d)
	if err != nil {
		return err
	}
	if a.json {
		return a.print(e, "")
	}
	text := fmt.Sprintf("%s: %s is closed, and counts from nothing", shown(e.Detector), shown(e.Key))
	switch {
	case e.Change == console.BreakerUnpinned:
		text = fmt.Sprintf("%s: %s is held no more, and %s", shown(e.Detector), shown(e.Key), unpinnedState(e.Breakers))
	case e.Change == console.BreakerPinned && len(e.Breakers) > 0 && e.Breakers[0].Pinned == console.PinShut:
		text = fmt.Sprintf("%s: %s is held shut and does not trip, until it is unpinned", shown(e.Detector), shown(e.Key))
	case e.Change == console.BreakerPinned:
		text = fmt.Sprintf("%s: %s is held open, as tripped, until it is unpinned", shown(e.Detector), shown(e.Key))
	}
	fmt.Fprintln(a.out, terminal.Wrap(text, terminal.Page, 0, 2))
	return nil
}

// unpinnedState is how the breakers of a key are that nobody holds any more: the first of them, which is the one that holds calls.
func unpinnedState(all []console.Breaker) string {
	if len(all) > 0 && (all[0].State != console.BreakerClosed) {
		return all[0].State + " as before"
	}
	return "closed"
}

// printDetectors is what status says of detectors.
func (a *app) printDetectors(s *console.DetectorsStatus) {
	if s.Detectors == 0 {
		return
	}
	text := fmt.Sprintf("%d count; %d tripped", s.Detectors, s.Tripped)
	if s.Probing > 0 {
		text += fmt.Sprintf(", %d probing", s.Probing)
	}
	if s.Pinned > 0 {
		text += fmt.Sprintf(", %d held by a person", s.Pinned)
	}
	fmt.Fprintf(a.out, "detects  %s\n", text)
	for i := range s.First {
		b := &s.First[i]
		line := fmt.Sprintf("%s: %s", shown(b.Detector), shown(b.Key))
		if b.Holder != "" && b.Holder != b.Key {
			line += " (" + shown(b.Holder) + ")"
		}
		if b.Trial != "" {
			line += ", " + b.Trial
		}
		if b.Why != "" {
			line += ": " + number.InertUpTo(b.Why, 120)
		}
		if !b.Until.IsZero() {
			line += "; until " + when(b.Until)
		}
		fmt.Fprint(a.out, beneath(line))
	}
	if n := s.Tripped - len(s.First); n > 0 {
		fmt.Fprint(a.out, beneath(fmt.Sprintf("and %d more: `ringfence detectors`", n)))
	}
	for _, o := range s.Over {
		trunk := "calls without a trunk"
		if o.Trunk != "" {
			trunk = "the trunk " + shown(o.Trunk)
		}
		fmt.Fprint(a.out, beneathLabel("OVER", fmt.Sprintf("max_share on %s since %s: detectors ONLY RECORD there. They touched %d of the last hour’s %d calls; %s found no room",
			trunk, when(o.Since), o.Touched, o.Calls, calls(o.Total))))
	}
	for _, t := range s.Trials {
		of, how := "the policy observes", "mode = \"enforce\" at its head"
		if t.Detector != "" {
			of, how = shown(t.Detector)+" is on trial", "mode = \"enforce\" there"
		}
		text := fmt.Sprintf("%s since %s: would have touched %s in the last 14 days", of, when(t.Since), calls(t.Calls))
		if t.Propose {
			text += ". Look at them (`ringfence journal tail`), then set " + how
		}
		fmt.Fprint(a.out, beneathLabel("trial", text))
	}
	if s.Unwritten > 0 {
		fmt.Fprint(a.out, beneath(fmt.Sprintf("%d breakers will not be on disk", s.Unwritten)))
	}
}

// printFindings is what check says of the behaviour of a call's caller: whose range it is, what each detector says, and the score.
func (a *app) printFindings(r *console.CheckReport) {
	if r.Holder != "" {
		fmt.Fprintf(a.out, "holder   %s\n", shown(r.Holder))
	}
	for i := range r.Detectors {
		label := ""
		if i == 0 {
			label = "detects"
		}
		fmt.Fprint(a.out, beneathLabel(label, number.InertUpTo(r.Detectors[i].Text, 300)))
	}
	if len(r.Terms) > 0 {
		fmt.Fprintf(a.out, "score    %.1f\n", r.Score)
		for _, t := range r.Terms {
			fmt.Fprint(a.out, beneathLabel("", shown(t)))
		}
	}
}
