package policy

import (
	"fmt"
	"strings"
	"time"

	"ringfence/number"
	"ringfence/tomlfile"
)

// lint notes what is allowed but hardly meant. It looks at a policy without faults.
func (r *reader) lint() {
	l := linter{fs: r.top.fs, p: r.policy, scored: r.policy.asks(onScore) || r.top.has("score"), cover: make(map[*condition]*number.Coverage)}
	for i := range l.p.rules {
		rule := &l.p.rules[i]
		l.unreachable(i, rule)
		l.exceptions(rule, onCaller, onCallerNot)
		l.exceptions(rule, onCallee, onCalleeNot)
		l.swallowed(rule)
		l.dead(rule)
		l.claimed(i, rule)
		l.escaped(rule)
	}
	l.lines()
	l.detectors()
	r.lintTrunks()
}

type linter struct {
	fs     *faults
	p      *Policy
	scored bool                            // the file says what the score weighs, or asks for it
	cover  map[*condition]*number.Coverage // by condition on numbers, made when first wanted
}

// find is a rule's condition on a subject, nil if it has none.
func (r *rule) find(on subject) *condition {
	for i := range r.conditions {
		if r.conditions[i].on == on {
			return &r.conditions[i]
		}
	}
	return nil
}

// unreachable warns of a rule that never gets a call, because an earlier one takes them all.
func (l *linter) unreachable(i int, late *rule) {
	for j := range l.p.rules[:i] {
		early := &l.p.rules[j]
		if early.trial {
			continue // goes on to the next rule
		}
		if len(early.conditions) == 0 {
			l.fs.warn(late.line, "rule", "%q can never match: rule %q on line %d has no conditions and takes every call; move this rule before it or take it out",
				late.name, early.name, early.line)
			return
		}
		if l.takesAll(early, late) {
			l.fs.warn(late.line, "rule", "%q can never match: rule %q on line %d takes all its calls; move this rule before it or take it out",
				late.name, early.name, early.line)
			return
		}
	}
}

// takesAll reports whether every call that matches the late rule surely matches the early one: each condition of the early rule
// follows from one of the late rule's.
func (l *linter) takesAll(early, late *rule) bool {
	for i := range early.conditions {
		e := &early.conditions[i]
		c := late.find(e.on)
		var follows bool
		switch e.on {
		case onCallerNot, onCalleeNot:
			follows = c != nil && l.covers(c, e) || l.apart(late.find(positive(e.on)), e)
		case onListNot:
			follows = c != nil && subset(e.words, c.words)
		case onTripped: // acquaintances are touched by those rules alone that ask who is known
			follows = c != nil && l.within(c, e) && (early.find(onKnown) != nil || late.find(onKnown) == nil)
		default:
			follows = c != nil && l.within(c, e)
		}
		if !follows {
			return false
		}
	}
	return true
}

// positive is the subject that a `…_not` makes exceptions from.
func positive(not subject) subject {
	if not == onCallerNot {
		return onCaller
	}
	return onCallee
}

// within reports whether what condition c lets through is let through by e, a condition on the same subject.
func (l *linter) within(c, e *condition) bool {
	switch e.on {
	case onCaller, onCallee:
		return l.covers(e, c)
	case onCallerKind:
		return c.kinds&^e.kinds == 0
	case onHours:
		return hoursWithin(c.hours, e.hours)
	case onKnown:
		return c.window <= e.window && (e.anyLine || !c.anyLine)
	case onAgain:
		return c.window <= e.window
	case onScore:
		return c.atLeast >= e.atLeast
	case onWritten:
		return c.forms&^e.forms == 0
	case onCallerText:
		return namedWithin(c.named, e.named)
	}
	return subset(c.words, e.words)
}

func subset(part, whole []string) bool {
	for _, w := range part {
		if !contains(whole, w) {
			return false
		}
	}
	return true
}

// hoursWithin reports whether every minute of the week in part is in whole, holiday or not.
func hoursWithin(part, whole []hours) bool {
	any := func(list []hours, k clock) bool {
		for i := range list {
			if list[i].holds(k) {
				return true
			}
		}
		return false
	}
	for _, k := range minutesOf(part, whole) {
		if any(part, k) && !any(whole, k) {
			return false
		}
	}
	return true
}

// minutesOf are the moments at which one of the entries can begin or end, for each day.
func minutesOf(lists ...[]hours) []clock {
	var all []clock
	for _, list := range lists {
		for _, h := range list {
			for _, minute := range []int{0, h.from, h.to % dayMinutes} {
				for d := range dayNames {
					k := clock{day: time.Weekday(d), minute: minute}
					all = append(all, k)
					k.holiday = true
					all = append(all, k)
				}
			}
		}
	}
	return all
}

// exceptions warns of exceptions from nothing, and of those that leave nothing.
func (l *linter) exceptions(r *rule, on, not subject) {
	base, except := r.find(on), r.find(not)
	if base == nil || except == nil {
		return
	}
	for i := range except.text {
		if !l.meets(base, &except.text[i]) {
			l.fs.warn(except.text[i].line, "rule.when."+not.String(), "%q excepts nothing, since no pattern under %s matches it: take it out, or correct it",
				except.text[i].text, on)
		}
	}
	if l.covers(except, base) {
		l.fs.warn(r.line, "rule", "%q can never match: its %s excepts all that %s matches", r.name, not, on)
	}
}

// apart reports whether no number matches both conditions; c may be nil.
func (l *linter) apart(c, e *condition) bool {
	if c == nil {
		return false
	}
	for i := range e.text {
		if l.meets(c, &e.text[i]) {
			return false
		}
	}
	return true
}

// lines warns of lines that no rule can be about.
func (l *linter) lines() {
	for i := range l.p.lines {
		covered := l.p.lines[i].decoy // who calls it is evidence, rule or not
		for j := range l.p.rules {
			c := l.p.rules[j].find(onLine)
			if c == nil || contains(c.words, l.p.lines[i].name) {
				covered = true
				break
			}
		}
		if !covered {
			l.fs.warn(l.p.lines[i].at, "lines."+tomlfile.BareKey(l.p.lines[i].name), "no rule is about this line, every call to it gets default = %q: name it under line in a rule, or take it out", l.p.fallback.do.action)
		}
	}
}

// longestService is how many digits a service number has at most that a longer pattern could be meant to leave alone. Outside
// China the longer ones are text message codes, which do not call.
func (l *linter) longestService() int {
	if l.p.Country() == "CN" {
		return 6
	}
	return 3
}

// knownServices are what warnings name first: banks, carriers, railway and consumer protection, which no one wants to lose.
var knownServices = []string{"95588", "95533", "95599", "95566", "95555", "95338", "95017", "95118", "96110", "10086", "10010", "10000", "12306", "12345", "12315"}

// swallowed warns of patterns such as 955*, which also take the short service numbers that begin so. To let calls pass by such a pattern
// is no loss.
func (l *linter) swallowed(r *rule) {
	c := r.find(onCaller)
	if c == nil || r.do.action == Allow {
		return
	}
	except := r.find(onCallerNot)
	for i := range c.text {
		p := &c.text[i]
		if lead, ok := l.lead(p); !p.Open || !ok || p.Plus && lead == "" {
			continue // a whole country is meant
		}
		number := l.service(p, except)
		if number == "" {
			continue
		}
		advice := "write the service numbers that are to pass under caller_not"
		if longer := l.longer(p); longer != "" {
			advice = fmt.Sprintf("write %q, or the service numbers that are to pass under caller_not", longer)
		}
		l.fs.warn(p.line, "rule.when.caller", "%q also takes short service numbers such as %s: %s", p.text, number, advice)
	}
}

// service is a short service number that a pattern takes and no exception spares, "" if there is none.
func (l *linter) service(p *numberPattern, except *condition) string {
	lead, _ := l.lead(p)
	takes := func(text string) bool {
		n := l.p.plan.Parse(text)
		return n.Kinds.Has(number.Service) && !n.Kinds.Has(number.Emergency) && p.Matches(&n) && (except == nil || !l.of(except).Has(&n))
	}
	for _, text := range knownServices {
		if strings.HasPrefix(text, lead) && l.p.Country() == "CN" && takes(text) {
			return text
		}
	}
	// Every number of the lengths in question would be too many to try; what follows the lead is tried with a few endings.
	for size := max(len(lead), 3); size <= l.longestService(); size++ {
		for _, fill := range []string{"0", "1", "3", "5", "8"} {
			for _, end := range []string{"0", "5", "8"} {
				text := lead
				for len(text) < size-1 {
					text += fill
				}
				if len(text) < size {
					text += end
				}
				if takes(text) {
					return text
				}
			}
		}
	}
	return ""
}

// longer is the pattern with a fixed length that leaves short service numbers alone: the greatest length at which
// numbers that begin so exist. "" if there is none.
func (l *linter) longer(p *numberPattern) string {
	lead, _ := l.lead(p)
	written := strings.TrimSuffix(p.String(), "*")
	if l.p.Country() == "CN" && strings.HasPrefix(lead, "95") && len(lead) < 8 {
		return written + strings.Repeat("?", 8-len(lead)) // what call centres call from, though 9 digits exist
	}
	for size := 12; size > max(l.longestService(), len(lead)); size-- {
		tail := size - len(lead)
		for _, fill := range []string{"0", "1", "5", "8"} {
			n := l.p.plan.Parse(lead + strings.Repeat(fill, tail))
			if n.E164 != "" && p.Matches(&n) {
				return written + strings.Repeat("?", tail)
			}
		}
	}
	return ""
}

// lead are the digits that an open pattern begins with inside the country, be it written with the country code or without. ok
// is false of a pattern for another country.
func (l *linter) lead(p *numberPattern) (lead string, ok bool) {
	lead = strings.TrimSuffix(p.String(), "*")
	if p.Plus {
		return strings.CutPrefix(lead, "+"+l.p.plan.Code())
	}
	return lead, true
}

// dead warns of patterns that no call can have.
func (l *linter) dead(r *rule) {
	for _, on := range []subject{onCaller, onCallerNot, onCallee, onCalleeNot} {
		c := r.find(on)
		if c == nil {
			continue
		}
		for i := range c.text {
			p := &c.text[i]
			if p.IsExact() {
				continue // what is no number may be meant, as a text that a switch puts there
			}
			if why := l.p.plan.Dead(p.Pattern); why != "" {
				l.fs.warn(p.line, "rule.when."+on.String(), "%q takes no call: %s", p.text, why)
			}
		}
	}
}

// CheckUnassigned warns of rules on invalid callers that were written before there were unassigned ones: until then what has a
// prefix that the plan does not know was invalid. It is for the first start of a program that knows the difference.
func (p *Policy) CheckUnassigned() []Fault {
	fs := faults{file: p.file}
	for i := range p.rules {
		r := &p.rules[i]
		if c := r.find(onCallerKind); c != nil && c.kinds.Has(number.Invalid) && !c.kinds.Has(number.Unassigned) {
			fs.warn(r.line, "rule", "%q asks for callers of the kind invalid; those with a prefix that the plan does not know are unassigned now: "+
				"add %q under caller_kind if they are meant as well", r.name, "unassigned")
		}
	}
	return fs.sorted()
}

// CheckLists warns of lists that rules ask for and nobody made yet; such a list is empty. It is apart from Load, which does
// not know what lists there are.
func (p *Policy) CheckLists(lists ListSource) []Fault {
	fs := faults{file: p.file}
	for _, m := range p.lists {
		if !lists.Exists(m.name) && !m.own {
			fs.warn(m.line, m.key, "list %q does not exist yet and counts as empty: check its name, or add to it (ringfence list add %s NUMBER)", m.name, m.name)
		}
	}
	return fs.sorted()
}

// CheckAnnouncements warns of recorded messages that rules play and that are not there, as have tells. Callers would hear
// silence.
func (p *Policy) CheckAnnouncements(have func(name string) bool) []Fault {
	fs := faults{file: p.file}
	for _, m := range p.sounds {
		if !have(m.name) {
			fs.warn(m.line, m.key, "there is no announcement %q: record it, or write the name of one that is there", m.name)
		}
	}
	return fs.sorted()
}
