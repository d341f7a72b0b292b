package policy

import (
	"strings"
	"time"

	"ringfence/number"
	"ringfence/tomlfile"
)

// Policy is a policy file, compiled. It does not change once Load has given it; any number of calls may be decided at once.
type Policy struct {
	file        string // its name, for messages
	plan        *number.Plan
	mode        Mode
	calendar    calendar
	fallback    rule // what an unmatched call gets
	neverScreen []numberPattern
	refusing    []*condition // the list conditions of rules that refuse
	neverTrunks []string     // where never_screen numbers pass; empty is everywhere
	lines       []line
	lineNumber  map[string]int // line name → its number
	rules       []rule
	tests       []test
	kept        LineSource // the lines that live in the database; nil: there are none
	lists       []mention  // every list a rule may ask for
	profiles    []string   // those that rules name
	// profileNumber is the place of each among them, from 1 on: a call compares numbers.
	profileNumber map[string]uint32
	ownLists      []string      // those that each line has of its own, without "line:"
	sounds        []mention     // every recorded message a rule may play
	knownWindow   time.Duration // the longest known_caller, 0 for none
	knownToLine   bool          // one asks for the called line
	againWindow   time.Duration // the longest again, 0 for none
	asked         uint32        // a bit for each subject that a condition has
	detectors     []Detector
	weak          DetectorSet  // what these find is no ground to refuse a call by itself
	ofCaller      DetectorSet  // these find something of the caller or of the range that is one
	protecting    []protecting // the lists that protect callers from detectors, each once
	ranges        ranges       // who holds which numbers
	weights       scoreWeights

	trunks      map[string]Trunk
	trunkNames  []string
	trunkOf     map[string]string // "gateway:…", "endpoint:…", "profile:…" → trunk
	trunkRanges []trunkRange      // the narrowest first

	callers, callees matcher
	anyCaller        hits // the rules without a condition `caller`
}

// mention is where the file first names something that is kept elsewhere.
type mention struct {
	name string
	line int
	key  string
	own  bool // a line's own list, which may well not be there for each line
}

// Load reads and compiles a policy file; file is its name for messages. It gives every fault at once, in the order of
// the lines. With a fault that is not a warning there is no policy.
func Load(file string, text []byte) (*Policy, []Fault) {
	fs := &faults{file: file}
	p := load(fs, text)
	if fs.fatal() {
		p = nil
	}
	return p, fs.sorted()
}

func load(fs *faults, text []byte) *Policy {
	values, places, unreadable := tomlfile.Decode(text)
	if unreadable != nil {
		fs.add(unreadable.Line, unreadable.Key, "%s", unreadable.Text)
		return nil
	}
	lineNumber := make(map[string]int)
	r := &reader{
		policy:     &Policy{file: fs.file, lineNumber: lineNumber},
		top:        &section{fs: fs, at: places, values: values},
		lineNumber: lineNumber,
		ruleLine:   make(map[string]int),
		detectorAt: make(map[string]int),
		mentioned:  make(map[string]bool),
	}
	r.readFile()
	if fs.fatal() {
		return nil
	}
	r.policy.compile()
	r.lint()
	return r.policy
}

// reader turns the decoded file into a policy.
type reader struct {
	policy     *Policy
	top        *section
	lineNumber map[string]int  // line name → its number
	ruleLine   map[string]int  // rule name → where it stands
	detectorAt map[string]int  // detector name → where it stands
	mentioned  map[string]bool // lists that a rule asks for
	usesHours  int             // the first line with an hours condition, 0 for none
	trunks     []*section      // as in Policy.trunkNames
}

func (r *reader) readFile() {
	s, p := r.top, r.policy
	s.only(tableKeys[""], map[string]string{
		"detectors": "is not known here: write [[detector]] before each detector",
		"rules":     "is not known here: write [[rule]] before each rule",
		"tests":     "is not known here: write [[test]] before each test",
	})
	numbers := s.table("numbers", "[numbers]")
	r.readCountry(numbers)
	r.readCalendar()
	r.readDefault()
	if s.oneOf("mode", "enforce", "observe") == "observe" {
		p.mode = Observe
	}
	r.readTrunks(s)
	r.readNumbers(numbers)
	r.readLines()
	r.readRanges()
	r.readDetectors()
	r.readScore()

	rules := s.tables("rule")
	for i, rs := range rules {
		if i == MaxRules {
			s.fs.add(rs.at.Line, "rule", "is rule number %d, more than a policy may have: put numbers that are treated alike into one rule or a list", MaxRules+1)
			break
		}
		p.rules = append(p.rules, r.readRule(rs))
	}
	if r.usesHours > 0 && !s.has("timezone") {
		s.fs.add(1, "timezone", "is missing, and line %d has hours: write the clock they are meant by, as in timezone = %q", r.usesHours, "Asia/Shanghai")
	}
	r.readTests()
}

// readCountry makes the numbering plan. What is said of numbers is part of it, so that is read here.
func (r *reader) readCountry(numbers *section) {
	s, p := r.top, r.policy
	if !s.has("country") {
		s.fault("country", "is missing: write the country whose numbers are meant, as in country = %q", "CN")
		return
	}
	country, ok := s.text("country", "CN")
	if !ok {
		return
	}
	p.plan = readPlan(s, country, numbers)
}

func (r *reader) readNumbers(s *section) {
	if s == nil {
		return
	}
	s.only(tableKeys["numbers"], nil)
	r.policy.neverScreen = r.patterns(s, "never_screen", s.texts("never_screen", "110"))
	trunks := s.texts("never_screen_trunks", "telecom")
	r.trunkWords(s, "never_screen_trunks", trunks)
	for _, w := range trunks {
		r.policy.neverTrunks = append(r.policy.neverTrunks, w.text)
	}
}

func (r *reader) readCalendar() {
	s, c := r.top, &r.policy.calendar
	c.zone = time.UTC
	if zone := s.timezone("Asia/Shanghai"); zone != nil {
		c.zone = zone
	}
	c.holidays, c.workdays = make(map[date]bool), make(map[date]bool)
	for _, d := range s.dates("holidays") {
		c.holidays[d.date] = true
	}
	for _, w := range s.dates("workdays") {
		t := time.Date(w.year, w.month, w.day, 0, 0, 0, 0, time.UTC)
		switch {
		case c.holidays[w.date]:
			s.fs.add(w.line, "workdays", "%s is also in holidays: take it out of one of them", w.text)
		case t.Weekday() != time.Saturday && t.Weekday() != time.Sunday:
			s.fs.warn(w.line, "workdays", "%s is a %s and worked anyway: take it out", w.text, t.Weekday())
		}
		c.workdays[w.date] = true
	}
}

// timezone reads a time zone; nil where there is none, or none that can be.
func (s *section) timezone(example string) *time.Location {
	const key = "timezone"
	name, ok := s.text(key, example)
	if !ok {
		return nil
	}
	zone, err := time.LoadLocation(name)
	switch {
	case err != nil:
		s.fault(key, "there is no time zone %q: write a name of the tz database, as in %q", name, example)
	case name == "":
		s.fault(key, "is empty: write a name of the tz database, as in %q", example)
	case name == "Local":
		s.fault(key, "%q depends on the machine: write a name of the tz database, as in %q", name, example)
	default:
		return zone
	}
	return nil
}

func (r *reader) readDefault() {
	s := r.top
	r.policy.fallback = rule{name: RuleDefault, do: byDefault(Allow)}
	word, ok := s.text("default", "allow")
	if !ok {
		return
	}
	r.policy.fallback.line = s.line("default")
	allowed := []string{"allow", "warn", "challenge", "reject"}
	a, known := ParseAction(word)
	switch {
	case contains(allowed, word):
		r.policy.fallback.do = byDefault(a)
		if a == Warn {
			r.policy.fallback.do.announcement = DefaultAnnouncement
			r.policy.sounds = append(r.policy.sounds, mention{name: DefaultAnnouncement, line: s.line("default"), key: "default"})
		}
	case known:
		s.fault("default", "%q needs keys of its own: write a last [[rule]] without `when` for it, or one of %s here", word, strings.Join(allowed, ", "))
	default:
		s.fault("default", "%q is no action: %s", word, tomlfile.DidYouMean(word, allowed))
	}
}

// readLines reads [lines.NAME].
func (r *reader) readLines() {
	names, tables := r.top.named("lines", "[lines.staff]")
	owner := make(map[number.Pattern]int) // the number of its line
	for i, s := range tables {
		name := names[i]
		if i == MaxLines {
			s.fs.add(s.at.Line, "lines", "has more than %d lines: put numbers that are protected alike into one", MaxLines)
			return
		}
		if advice := badName(name); advice != "" {
			s.fs.add(s.at.Line, s.path, "%s", advice)
		} else if name == "line" {
			s.fs.add(s.at.Line, s.path, "the name \"line\" stands for whatever line is called, in list = [\"line:…\"]: write another name")
		} else if strings.Contains(name, keyMark) {
			s.fs.add(s.at.Line, s.path, "the name %q has %s, which stands between the name of a line and what tells it from earlier ones: write letters, digits, - _ and .", name, keyMark)
		}
		s.only(tableKeys["lines.NAME"], nil)
		if !s.has("numbers") {
			s.fs.add(s.at.Line, s.key("numbers"), "is missing: write the called numbers that belong to the line, as in numbers = [%q]", "05925550000-05925550999")
		}
		l := line{name: name, at: s.at.Line, zone: s.timezone("Asia/Urumqi"), decoy: s.flag("decoy")}
		for _, n := range r.patterns(s, "numbers", s.texts("numbers", "05925550000-05925550999")) {
			switch at, taken := owner[n.Pattern]; {
			case !taken:
				owner[n.Pattern] = len(r.policy.lines)
			case r.policy.lines[at].decoy != l.decoy:
				s.fs.add(n.line, s.key("numbers"), "%q is also in line %s, and one of the two is a decoy, whose numbers nobody has: take it out of one of them", n.text, r.policy.lines[at].name)
			default:
				s.fs.warn(n.line, s.key("numbers"), "%q is also in line %s: calls there are for both, and the journal names that one; take one out", n.text, r.policy.lines[at].name)
			}
			l.numbers = append(l.numbers, n)
		}
		r.lineNumber[name] = len(r.policy.lines)
		r.policy.lines = append(r.policy.lines, l)
	}
}

func (r *reader) lineNames() []string {
	names := make([]string, 0, len(r.policy.lines))
	for i := range r.policy.lines {
		names = append(names, r.policy.lines[i].name)
	}
	return names
}

// Plan is how the policy reads numbers.
func (p *Policy) Plan() *number.Plan { return p.plan }

// Country is the country whose numbers are meant, in the two letters of ISO 3166-1.
func (p *Policy) Country() string { return p.plan.Country() }

// Mode reports whether decisions are carried out at all.
func (p *Policy) Mode() Mode { return p.mode }

// Zone is the clock that `hours` is meant by, where the line called has none of its own.
func (p *Policy) Zone() *time.Location { return p.calendar.zone }

// Rule is what a policy tells of one of its rules.
type Rule struct {
	Name   string
	Action Action
	Mode   Mode // Observe: on trial, or the whole policy is
	// EndsCall: carried out, it leaves nobody to talk to: it refuses the call, or hangs up behind its announcement. What a
	// challenge does depends on the caller, so that it is not among them.
	EndsCall bool
}

// Rules are the rules, in the order they are tried.
func (p *Policy) Rules() []Rule {
	rules := make([]Rule, 0, len(p.rules))
	for i := range p.rules {
		r := &p.rules[i]
		rule := Rule{Name: r.name, Action: r.do.action, Mode: p.mode, EndsCall: r.ends()}
		if r.trial {
			rule.Mode = Observe
		}
		rules = append(rules, rule)
	}
	return rules
}

// Lines are the names of the lines, in the order of the file.
func (p *Policy) Lines() []string {
	names := make([]string, 0, len(p.lines))
	for i := range p.lines {
		names = append(names, p.lines[i].name)
	}
	return names
}

// Lists are the names of the lists that rules ask for, the called line's own among them, each once.
func (p *Policy) Lists() []string { return namesOf(p.lists) }

// Announcements are the recorded messages that rules play to callers or whisper, each once.
func (p *Policy) Announcements() []string { return namesOf(p.sounds) }

func namesOf(mentions []mention) []string {
	names := make([]string, 0, len(mentions))
	for _, m := range mentions {
		if !contains(names, m.name) {
			names = append(names, m.name)
		}
	}
	return names
}

// RememberWindow is how long a rule remembers who passed its challenge, the longest if there are several; 0 if no
// rule asks for digits.
func (p *Policy) RememberWindow() time.Duration {
	longest := p.fallback.do.remember
	for i := range p.rules {
		longest = max(longest, p.rules[i].do.remember)
	}
	return longest
}
