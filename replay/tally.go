package replay

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
)

// outcome is what one or two policies say to a call.
type outcome struct {
	call     *Call
	number   number.Number // who called
	callee   uint64        // tells callees apart, in whatever spelling
	withheld bool
	way      direction // only calls that came in are screened
	is, was  Verdict
	compared bool     // was holds something
	seen     *liveRun // where calls are decided in their own time: who found out
	trial    Verdict  // of a rule on trial that matched, when another one decided
	change   *Change  // of a changed verdict, when all of them are wanted
}

// decided takes what the policy says.
func (o *outcome) decided(d *policy.Decision) {
	o.is, o.trial = verdictOf(d), Verdict{}
	if d.Trial != "" && d.Trial != d.Rule {
		o.trial = Verdict{Action: d.TrialWould, Rule: d.Trial, Observe: d.TrialWould != policy.Allow}
	}
}

func (o *outcome) changed() bool { return o.compared && o.is != o.was }

// tally adds up. It sees the calls in the order of the files.
type tally struct {
	o       *Options
	mind    *mind      // decides again where a reason is wanted, or where the calls before count
	against *mind      // the same for the policy to compare with; nil if there is none
	joins   *joiner    // nil until a call has several records
	line    *line      // of calls that are decided in their own time; nil: they are decided in the order of the files
	runs    []*liveRun // then: of the policy, and of the one to compare with
	report  Report

	rules   map[Verdict]*ruleTotal
	actions [6][2]Total // enforced, and on trial
	groups  map[[2]Verdict]*Group

	ids        map[string]uint32 // caller → its place in callers
	callers    []callerStats
	short      string // the first caller with so few digits that it may be an extension
	shorts     uint64 // calls of such ones
	unreadable string // where the first caller stands that cannot be read
	bitmaps    int    // that callers took to count their callees

	changes, renamed []Change // the first with another action; the first with the same by another rule
}

type ruleTotal struct {
	Total
	id      uint16
	verdict Verdict
}

func newTally(o *Options) *tally {
	memory := tallyMemory
	if o.timely {
		memory = workerMemory
	}
	t := &tally{
		o: o, mind: o.mind(o.Judge, o.Against, memory), rules: make(map[Verdict]*ruleTotal), groups: make(map[[2]Verdict]*Group),
		ids: make(map[string]uint32),
	}
	t.mind.known = newDealings(o.Judge.Policy, o.Meet)
	if o.Against != nil {
		t.against = o.mind(o.Against, o.Judge, memory)
		t.against.known = newDealings(o.Against.Policy, nil)
	}
	if o.timely {
		t.begin()
	}
	for _, v := range o.Judge.says {
		t.rule(v)
	}
	return t
}

// rule is the total of a verdict.
func (t *tally) rule(v Verdict) *ruleTotal {
	r, ok := t.rules[v]
	if !ok {
		r = &ruleTotal{id: uint16(len(t.rules)), verdict: v}
		t.rules[v] = r
	}
	return r
}

// judge decides on a call that has become another one than the workers saw.
func (t *tally) judge(c *Call) outcome {
	if t.o.timely {
		call := t.mind.call(c)
		return see(t.mind, c, &call)
	}
	return judge(t.mind, t.against, c)
}

// count counts one call, and learns from it.
func (t *tally) count(file string, o *outcome) error {
	if t.line != nil {
		return t.await(file, o)
	}
	s := &t.report.Summary
	switch o.way {
	case directionLocal:
		s.Internal++
		return nil
	case directionOut:
		s.Outgoing++
	default:
		if t.o.asksKnown() && !o.call.unreadable {
			t.again(o)
		}
		if err := t.add(file, o); err != nil {
			return err
		}
	}
	if t.o.asksKnown() {
		t.learn(o.call, o.way)
	}
	return nil
}

// add counts one call that came in.
func (t *tally) add(file string, o *outcome) error {
	c, s := o.call, &t.report.Summary
	n := c.weight()
	s.Calls += n
	s.Repeats += c.repeats
	if at := c.Facts.Time; s.Since.IsZero() || at.Before(s.Since) {
		s.Since = at
	}
	if at := c.Facts.Time; at.After(s.Until) {
		s.Until = at
	}
	if c.unreadable {
		if s.Unreadable++; s.Unreadable == 1 { // a call detail record, which has no repeats
			t.unreadable = fmt.Sprintf("%.20q in %s:%d", c.Facts.Caller, file, c.Line)
		}
		return nil
	}
	if c.claim == claimUnknown && o.number.E164 == "" && isExtension(c.Facts.Caller) {
		if t.shorts++; t.shorts == 1 {
			t.short = keep(c.Facts.Caller)
		}
	}
	rule, action := t.rule(o.is), &t.actions[o.is.Action][o.is.Mode()]
	rule.Calls += n
	action.Calls += n
	if o.trial.Rule != "" {
		t.rule(o.trial).Trial += n
	}
	if who := t.caller(o); who != nil {
		who.count(c)
		if used, full := who.callees.add(o.callee, t.bitmaps < maxBitmaps); used {
			t.bitmaps++
		} else if full && !who.over {
			who.over = true
			s.CalleesOver++
		}
		who.actions[o.is.Action] += uint32(n)
		if bit := uint16(1) << (2*int(o.is.Action) + int(o.is.Mode())); who.met&bit == 0 {
			who.met |= bit
			action.Callers++
		}
		if !slices.Contains(who.rules, rule.id) && len(who.rules) < maxRulesMet {
			who.rules = append(who.rules, rule.id)
			rule.Callers++
		}
	} else {
		s.CallersOver += n
	}
	if t.o.Judge.refuses(o.is) {
		s.Refused += n
		if c.Answered {
			s.Mistake++
			t.mistake(file, o)
		}
	}
	if c.undecided {
		s.Undecided += n
	}
	if o.compared {
		s.Compared += n
	}
	if o.changed() {
		return t.change(file, o)
	}
	return nil
}

// isExtension reports whether a text is so few digits that it is likely to be a phone of the house.
func isExtension(text string) bool {
	return len(text) >= 2 && len(text) <= 5 && strings.Trim(text, "0123456789") == ""
}

func plural(n uint64, thing string) string {
	if n == 1 {
		return thing
	}
	return thing + "s"
}

// caller finds what is followed of a caller, nil when there is no room for another one.
func (t *tally) caller(o *outcome) *callerStats {
	key := o.number.E164
	switch {
	case key != "":
	case o.number.Kinds.Has(number.Anonymous):
		key = number.Anonymous.String()
	case o.number.Kind == number.Internal:
		key = o.number.National()
	default:
		key = o.number.Raw
	}
	if id, ok := t.ids[key]; ok {
		return &t.callers[id]
	}
	if len(t.callers) >= maxCallers {
		return nil
	}
	key = keep(key)
	t.ids[key] = uint32(len(t.callers))
	t.callers = append(t.callers, callerStats{key: key, kind: o.number.Kind, withheld: o.withheld && o.number.E164 != ""})
	return &t.callers[len(t.callers)-1]
}

func (s *callerStats) count(c *Call) {
	s.calls += uint32(c.weight())
	switch {
	case !c.Ended:
		s.unknown += uint32(c.weight())
	case c.Answered:
		s.answered++
		if c.Talk <= shortCall {
			s.short++
		}
	}
}

// keep is a text cut to what is kept, and no part of a chunk.
func keep(s string) string {
	return strings.Clone(s[:min(len(s), maxText)])
}

// mistake keeps the call if it is among the longest.
func (t *tally) mistake(file string, o *outcome) {
	list := t.report.Mistakes
	if len(list) == topMistakes && list[topMistakes-1].TalkS >= o.call.Talk {
		return
	}
	at := len(list)
	for at > 0 && list[at-1].TalkS < o.call.Talk {
		at--
	}
	spot, reason := t.mind.spot(file, o)
	list = slices.Insert(list, at, Mistake{Spot: spot, Is: o.is, Reason: reason})
	t.report.Mistakes = list[:min(len(list), topMistakes)]
}

// spot is what a report says of a call, and why the policy decides as it does.
func (m *mind) spot(file string, o *outcome) (Spot, string) {
	c := o.call
	var call policy.Call
	var d policy.Decision
	if o.seen != nil {
		call, d = o.seen.call, o.seen.d
	} else {
		call, d = m.decide(c)
	}
	return Spot{
		File: file, FileLine: c.Line, ID: keep(c.ID), Time: c.Facts.Time, Trunk: keep(call.Trunk),
		Caller: console.Caller{
			Raw: keep(c.Facts.Caller), E164: call.Caller.E164, Kind: call.Caller.Kind.String(), Withheld: call.Withheld,
		},
		Name: keep(c.Facts.Name), Callee: keep(c.Facts.Callee), Line: d.Line, Answered: c.Answered, TalkS: c.Talk,
	}, d.Reason()
}

// changeOf is a changed verdict for a report.
func (m *mind) changeOf(file string, o *outcome) *Change {
	spot, reason := m.spot(file, o)
	was := o.was
	was.Rule = keep(was.Rule)
	return &Change{Spot: spot, Was: was, Is: o.is, Reason: reason}
}

// change counts a changed verdict and keeps it if it is among the first.
func (t *tally) change(file string, o *outcome) error {
	s, n := &t.report.Summary, o.call.weight()
	s.Changed += n
	otherwise := o.is.Action != o.was.Action || o.is.Observe != o.was.Observe
	if otherwise {
		s.Otherwise += n
	}
	key := [2]Verdict{o.was, o.is}
	if g, ok := t.groups[key]; ok {
		g.Calls += n
	} else if len(t.groups) < maxGroups {
		key[0].Rule = keep(key[0].Rule)
		t.groups[key] = &Group{Was: key[0], Is: key[1], Calls: n}
	}
	if t.o.Change != nil {
		if o.change == nil {
			o.change = t.mind.changeOf(file, o)
		}
		return t.o.Change(o.change)
	}
	list := &t.renamed
	if otherwise {
		list = &t.changes
	}
	if len(*list) < t.o.Keep {
		*list = append(*list, *t.mind.changeOf(file, o))
	}
	return nil
}

// finish makes the report.
func (t *tally) finish() *Report {
	r := &t.report
	s := &r.Summary
	t.endLiveRuns()
	s.Callers = uint64(len(t.callers))
	r.Notes = append(r.Notes, t.o.notes()...)
	if t.o.asksKnown() || t.o.timely {
		for _, m := range []*mind{t.mind, t.against} {
			if m != nil && m.known != nil {
				s.KnownOver += m.known.Full()
			}
		}
	}
	if s.Unreadable > 0 {
		r.Notes = append(r.Notes, "a spreadsheet has rounded away who called, as "+t.unreadable+": no rule was tried on such a call. "+
			"Export the records again, and have the spreadsheet take the column for text")
	}
	if t.shorts > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d %s of callers with 2 to 5 digits, such as %s: if these are phones of yours, name them in the policy, "+
			`[numbers] internal = [%q], and their calls are not screened`, t.shorts, plural(t.shorts, "call"), t.short, t.short[:1]+strings.Repeat("?", len(t.short)-1)))
	}
	share := func(n uint64) float64 { return float64(n) / float64(max(s.Calls-s.Unreadable, 1)) }
	for a := range t.actions {
		for mode, total := range t.actions[a] {
			if total.Calls > 0 {
				total.Action, total.Mode, total.Share = policy.Action(a).String(), policy.Mode(mode).String(), share(total.Calls)
				r.Actions = append(r.Actions, total)
			}
		}
	}
	for _, rule := range slices.SortedFunc(maps.Values(t.rules), t.inOrder()) {
		total := rule.Total
		v := rule.verdict
		total.Action, total.Rule, total.Mode, total.Share = v.Action.String(), v.Rule, v.Mode().String(), share(total.Calls)
		r.Rules = append(r.Rules, total)
	}
	for _, g := range t.groups {
		r.Groups = append(r.Groups, *g)
	}
	slices.SortFunc(r.Groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), a.Was.compare(b.Was), a.Is.compare(b.Is))
	})
	r.Changes = append(t.changes, t.renamed[:min(len(t.renamed), t.o.Keep-len(t.changes))]...)
	t.worst()
	return r
}

func (v Verdict) compare(w Verdict) int {
	return cmp.Or(cmp.Compare(v.Action, w.Action), cmp.Compare(v.Rule, w.Rule), cmp.Compare(v.Mode(), w.Mode()))
}

// inOrder compares rules by when they are tried.
func (t *tally) inOrder() func(a, b *ruleTotal) int {
	place := map[string]int{policy.RuleNeverScreen: -2, policy.RuleInternal: -1, policy.RuleDefault: policy.MaxRules + 1}
	for i, r := range t.o.Judge.Policy.Rules() {
		place[r.Name] = i
	}
	return func(a, b *ruleTotal) int {
		return cmp.Or(cmp.Compare(place[a.verdict.Rule], place[b.verdict.Rule]), a.verdict.compare(b.verdict))
	}
}

// worst lists the callers that do the most harm. Colleagues and emergency services are none.
func (t *tally) worst() {
	type ranked struct {
		harm float64
		id   int
	}
	var top []ranked
	for id := range t.callers {
		c := &t.callers[id]
		harm := c.harm()
		if harm == 0 || c.kind == number.Internal || c.kind == number.Emergency {
			continue
		}
		before := func(r ranked) bool {
			return cmp.Or(cmp.Compare(r.harm, harm), cmp.Compare(t.callers[r.id].calls, c.calls)) >= 0
		}
		if len(top) == topCallers && before(top[topCallers-1]) {
			continue
		}
		at := len(top)
		for at > 0 && !before(top[at-1]) {
			at--
		}
		top = slices.Insert(top, at, ranked{harm, id})
		top = top[:min(len(top), topCallers)]
	}
	for _, r := range top {
		t.report.Callers = append(t.report.Callers, t.callers[r.id].export())
	}
}
