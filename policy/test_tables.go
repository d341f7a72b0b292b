package policy

import (
	"fmt"
	"strings"
	"time"

	"ringfence/number"
	"ringfence/tomlfile"
)

// test is one [[test]] of the file: a call, and what the rules are to say to it.
type test struct {
	line    int
	facts   Facts
	listHas []string
	known   bool
	again   bool
	tripped DetectorSet
	profile string // of the line called, which lives in the database
	expect  Action
	rule    string // "" is any
}

// testTime is when the call of a test without `at` comes in, by the clock of the policy: a Wednesday at noon.
func (p *Policy) testTime() time.Time {
	return time.Date(2026, time.January, 7, 12, 0, 0, 0, p.calendar.zone)
}

// readTests reads the [[test]] tables, after the rules they name.
func (r *reader) readTests() {
	for _, s := range r.top.tables("test") {
		s.only(tableKeys["test"], nil)
		r.policy.tests = append(r.policy.tests, r.readTest(s))
	}
}

func (r *reader) readTest(s *section) test {
	t := test{line: s.at.Line}
	if !s.has("caller") {
		s.fault("caller", "is missing: write who calls, as in caller = %q, or %q for a withheld number", "95211613", "anonymous")
	}
	t.facts.Caller, _ = s.text("caller", "95211613")
	t.facts.Callee, _ = s.text("callee", "05925550100")
	t.facts.Name, _ = s.text("name", "Li Wei")
	t.facts.Time = r.testAt(s)
	if trunk, ok := s.text("trunk", "telecom"); ok {
		r.trunkWords(s, "trunk", []word{{trunk, s.line("trunk")}})
		t.facts.Trunk = trunk
	}
	for _, w := range s.texts("list_has", "blacklist") {
		if !r.asksFor(w.text) {
			s.fs.warn(w.line, s.key("list_has"), "no rule asks for list %q, so it changes nothing: %s", w.text, r.otherList(w.text))
		}
		t.listHas = append(t.listHas, w.text)
	}
	r.readTestKnown(s, &t)
	r.readTestProfile(s, &t)
	if words := s.texts("tripped", conditionExamples[onTripped]); words != nil {
		t.tripped, _ = r.detectorWords(s, "tripped", words)
		if p := r.policy; !p.asks(onTripped) && !p.asks(onScore) {
			s.warn("tripped", "changes nothing, since no rule asks for tripped: take it out, or write such a rule")
		}
	}
	r.readTestClaims(s, &t)
	if !s.has("expect") {
		s.fault("expect", "is missing: write what the rules are to say, one of %s", strings.Join(actionNames[:], ", "))
	}
	t.expect, _ = ParseAction(s.oneOf("expect", actionNames[:]...))
	if name, ok := s.text("rule", "sales calls"); ok {
		t.rule = name
		_, there := r.ruleLine[name]
		if !there && name != RuleDefault && name != RuleNeverScreen && name != RuleInternal {
			s.fault("rule", "there is no rule %q: %s", name, r.otherRule(name))
		}
	}
	return t
}

// readTestKnown reads whether the caller of a test is known, to the called line and so to all.
func (r *reader) readTestKnown(s *section, t *test) {
	t.known = s.flag("known")
	switch p := r.policy; {
	case !t.known:
	case p.knownWindow == 0 && !p.asks(onTripped) && !p.asks(onScore):
		s.warn("known", "changes nothing, since no rule asks for known_caller: take it out, or write such a rule")
	case p.knownToLine && t.profile == "" && !p.inLine(t.facts.Callee):
		s.warn("known", "makes the caller known to no line, since callee %q belongs to none: write a called number of [lines.NAME], or known_scope = \"all\" in the rule", t.facts.Callee)
	}
}

// readTestProfile reads what profile the called line has. Such a line lives in the database, of which a test knows nothing.
func (r *reader) readTestProfile(s *section, t *test) {
	profile, ok := s.text("profile", "strict")
	switch {
	case !ok:
	case !contains(r.policy.Profiles(), profile):
		s.fault("profile", "no rule names the profile %q: %s", profile, r.otherProfile(profile))
	case r.policy.inLine(t.facts.Callee) && t.facts.Callee != "":
		s.fault("profile", "callee %q is on a line of this file, which has no profile: take one of the two out", t.facts.Callee)
	}
	t.profile = profile
}

func (r *reader) otherProfile(got string) string {
	if near := tomlfile.Nearest(got, r.policy.Profiles()); near != "" {
		return tomlfile.DidYouMean(got, []string{near})
	}
	return "write one that a rule names, as in line = \"profile:strict\""
}

// testLine is the one line of the database that a test knows of. Every called number is its.
type testLine Line

func (l testLine) LineOf(*number.Number) (Line, bool) { return Line(l), true }
func (l testLine) LineNamed(name string) (Line, bool) { return Line(l), name == l.Name }

// testLineName is what such a line is called in reasons.
const testLineName = "test"

// readTestClaims reads what else the call of a test says or what came before it.
func (r *reader) readTestClaims(s *section, t *test) {
	t.facts.Other, _ = s.text("identity", "13800138000")
	t.facts.Diverted = s.flag("diverted")
	t.again = s.flag("again")
	for _, c := range []struct {
		key string
		set bool
		on  subject
	}{{"identity", t.facts.Other != "", onIdentityDiffers}, {"diverted", t.facts.Diverted, onDiverted}, {"again", t.again, onAgain}} {
		if c.set && !r.policy.asks(c.on) {
			s.warn(c.key, "changes nothing, since no rule asks for %s: take it out, or write such a rule", c.on)
		}
	}
}

// inLine reports whether a called number belongs to a line, before the policy is compiled.
func (p *Policy) inLine(callee string) bool {
	if p.plan == nil {
		return true // the country is wrong and says so
	}
	n := p.plan.ParseInternal(callee)
	for i := range p.lines {
		if matchesAny(p.lines[i].numbers, &n) {
			return true
		}
	}
	return false
}

// testAt reads the time of a test: with an offset it is a moment, without one it is meant by the clock of the policy.
func (r *reader) testAt(s *section) time.Time {
	const advice = "write it as in at = 2026-10-01T09:30:00"
	zone := r.policy.calendar.zone
	switch v := s.values["at"].(type) {
	case nil:
		return r.policy.testTime()
	case string:
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"} {
			if t, err := time.ParseInLocation(layout, v, zone); err == nil {
				return t
			}
		}
		s.fault("at", "%q is no time: %s", v, advice)
	case time.Time:
		switch v.Location().String() {
		case localDate:
			s.fault("at", "is a day without a time: %s", advice)
		case localTime:
			s.fault("at", "is a time without a day: %s", advice)
		case localDateTime:
			return time.Date(v.Year(), v.Month(), v.Day(), v.Hour(), v.Minute(), v.Second(), v.Nanosecond(), zone)
		default:
			return v
		}
	default:
		s.fault("at", "is %s: %s", tomlfile.TypeName(v), advice)
	}
	return r.policy.testTime()
}

// asksFor reports whether a rule asks for the list, "line:NAME" being any line's own.
func (r *reader) asksFor(list string) bool {
	for _, m := range r.policy.lists {
		if m.name == list || isOwn(list, m.name) {
			return true
		}
	}
	own, ok := strings.CutPrefix(list, "line:")
	return ok && contains(r.policy.ownLists, own)
}

// isOwn reports whether a list is some line's own one of the name in "line:NAME".
func isOwn(list, name string) bool {
	own, ok := strings.CutPrefix(list, "line:")
	return ok && strings.HasSuffix(name, ":"+own)
}

func (r *reader) otherList(got string) string {
	if near := tomlfile.Nearest(got, namesOf(r.policy.lists)); near != "" {
		return tomlfile.DidYouMean(got, []string{near})
	}
	return "write one that a rule names under list or list_not"
}

func (r *reader) otherRule(got string) string {
	var names []string
	for i := range r.policy.rules {
		names = append(names, r.policy.rules[i].name)
	}
	if near := tomlfile.Nearest(got, names); near != "" {
		return tomlfile.DidYouMean(got, []string{near})
	}
	return "write the name of a rule, default, never_screen or internal"
}

// TestResult is how one [[test]] of a policy went.
type TestResult struct {
	Line     int    // where the test stands in the file
	Caller   string // as the test writes it
	Passed   bool
	Expected string   // the action, and the rule if the test names one
	Got      string   // likewise
	Decision Decision // what the policy made of the call
}

// String is one line: what was expected, and for a failed test what came instead and why.
func (r TestResult) String() string {
	if r.Passed {
		return fmt.Sprintf("caller %q: %s", r.Caller, r.Expected)
	}
	return fmt.Sprintf("caller %q: expected %s, got %s: %s", r.Caller, r.Expected, r.Got, r.Decision.Reason())
}

// RunTests runs the [[test]] tables of the policy, in the order of the file. They look at what the rules say, not at what is
// done about it, so they hold under mode = "observe" as well. For a call that meets a rule on trial, a test may
// expect what that rule says or what the rules in force do.
func (p *Policy) RunTests() []TestResult {
	results := make([]TestResult, 0, len(p.tests))
	for i := range p.tests {
		results = append(results, p.runTest(&p.tests[i]))
	}
	return results
}

func (p *Policy) runTest(t *test) TestResult {
	if t.profile != "" {
		p = p.WithLines(testLine{Name: testLineName, Key: testLineName, Customer: testLineName, Profile: t.profile, Kept: true})
	}
	c := p.Call(t.facts)
	if t.known {
		c.KnownToAll = c.Time
		if p.LineOf(&c.Callee) != "" {
			c.KnownToLine, c.KnownLines = c.Time, 1
		}
	}
	if t.again && c.Caller.E164 != "" {
		c.CalledBefore = c.Time.Add(-SameCall)
	}
	p.trip(&c, t.tripped)
	d := p.Decide(&c, p.testLists(t, &c.Callee))
	expects := func(rule string, says Action) bool {
		return t.expect == says && (t.rule == "" || t.rule == rule)
	}
	out := TestResult{
		Line:     t.line,
		Caller:   t.facts.Caller,
		Passed:   expects(d.Rule, d.Would) || expects(d.decider.name, d.decider.do.action) || d.Trial != "" && expects(d.Trial, d.TrialWould),
		Expected: t.expect.String(),
		Got:      fmt.Sprintf("%s by rule %q", d.Would, d.Rule),
		Decision: d,
	}
	if t.rule != "" {
		out.Expected += fmt.Sprintf(" by rule %q", t.rule)
	}
	return out
}

// testLists are the lists that a test says its caller is on.
type testLists []string

func (p *Policy) testLists(t *test, callee *number.Number) testLists {
	var on testLists
	for _, list := range t.listHas {
		own, ok := strings.CutPrefix(list, "line:")
		if !ok {
			on = append(on, list)
			continue
		}
		for _, key := range p.AppendLineKeys(nil, callee) {
			on = append(on, key+":"+own)
		}
	}
	return on
}

func matchesAny(patterns []numberPattern, n *number.Number) bool {
	for i := range patterns {
		if patterns[i].Matches(n) {
			return true
		}
	}
	return false
}

// Lookup finds the caller of the test on each list that the test names.
func (l testLists) Lookup(list string, _ *number.Number, _ time.Time) (ListEntry, bool) {
	return ListEntry{List: list, Reason: "list_has of the test"}, contains(l, list)
}

// LookupOwn finds him on the called line's own.
func (l testLists) LookupOwn(key string, _ uint64, list string, n *number.Number, at time.Time) (ListEntry, bool) {
	return l.Lookup(key+":"+list, n, at)
}

// MayBeOwn is true: he may be on any.
func (l testLists) MayBeOwn(uint64, *number.Number) bool { return true }

// Exists is true of each list: one that the test does not name is empty.
func (l testLists) Exists(string) bool { return true }

// Loaded is true of each list.
func (l testLists) Loaded(string) bool { return true }
