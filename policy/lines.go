package policy

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"ringfence/number"
)

// LineMode is what a customer has chosen for calls to a line.
type LineMode uint8

const (
	LineEnforce LineMode = iota // decisions are carried out
	LineObserve                 // decide and record, never touch a call
	LineOff                     // no rule is asked: every call passes, and is recorded
)

var lineModeNames = [...]string{"enforce", "observe", "off"}

// String is the mode's name on the command line and in files.
func (m LineMode) String() string {
	if int(m) < len(lineModeNames) {
		return lineModeNames[m]
	}
	return lineModeNames[LineEnforce]
}

// ParseLineMode reads a mode's name; "" is enforce.
func ParseLineMode(s string) (LineMode, bool) {
	if s == "" {
		return LineEnforce, true
	}
	i := slices.Index(lineModeNames[:], s)
	return LineMode(max(i, 0)), i >= 0
}

// LineModeNames lists the modes.
func LineModeNames() []string { return append([]string(nil), lineModeNames[:]...) }

// Line is the line that a called number belongs to: one of the policy, or one that lives in the database.
type Line struct {
	Name string
	// Key is under what is kept that is this line's alone: its lists, whom it knows, who passed. That of a line of the policy is its name. One of the
	// database has another key after it was removed and made again, or given to another customer, so that nothing goes along: NAME~xxxxxx.
	Key      string
	Customer string // whose it is; the name of the line where nobody says
	Profile  string // what rules name it by, "" for none and for a line of the policy
	Mode     LineMode
	Zone     *time.Location // of `hours`; nil is the policy's
	Kept     bool           // it lives in the database
	Hash     uint64         // HashKey of the Key of one that does; not of a line of the policy
}

var keySeed = maphash.MakeSeed()

// HashKey is by what the own lists of a line are found, by its key. It is another in each process. Lines keep it, so that a call need not read their
// keys: each piece of memory that no call before has touched takes longer than all the rest.
func HashKey(key string) uint64 { return maphash.String(keySeed, key) }

// LineSource knows the lines that live in the database, by the plan of the policy that asks.
//
// LineOf gives the line that a called number belongs to; a number belongs to one of them at most. It must neither keep n nor allocate.
type LineSource interface {
	LineOf(n *number.Number) (Line, bool)
	// LineNamed takes a name, or a key: then the line must have that very key.
	LineNamed(name string) (Line, bool)
}

// keyMark stands between the name of a line of the database and what makes its key one of its own.
const keyMark = "~"

// LineName is the name of the line that a key is of.
func LineName(key string) string {
	name, _, _ := strings.Cut(key, keyMark)
	return name
}

// NewLineKey is the key of a new line of the database; own is some letters and digits that no line of that name had before.
func NewLineKey(name, own string) string { return name + keyMark + own }

// BadLineName says what is wrong with the name of a line of the database; "" is nothing.
func BadLineName(name string) string {
	if advice := badName(name); advice != "" {
		return advice
	}
	if name == "line" || name == "profile" || strings.Contains(name, keyMark) {
		return "the name " + quote(name) + " means something else: write letters, digits, - _ and ."
	}
	return ""
}

// WithLines is the same policy, whose calls may be to lines of the database as well. A number that is on a line of the policy too belongs to
// that one.
func (p *Policy) WithLines(kept LineSource) *Policy {
	with := *p
	with.kept = kept
	return &with
}

// LineCalled is the line that a called number belongs to, the narrowest of the policy's if several fit; false if it belongs to none.
func (p *Policy) LineCalled(n *number.Number) (Line, bool) {
	s := scan{p: p}
	p.callees.find(&s.callee, n)
	s.findLine(n)
	return s.called, s.called.Name != ""
}

// LineOf is the name of that line, "" if the number belongs to none.
func (p *Policy) LineOf(n *number.Number) string {
	l, _ := p.LineCalled(n)
	return l.Name
}

// AppendLineKeys appends the keys of all lines that a number belongs to, in the order of the file, or else that of the database.
func (p *Policy) AppendLineKeys(to []string, n *number.Number) []string {
	var m met
	p.callees.find(&m, n)
	before := len(to)
	for i := range p.lines {
		if m.has(uint16(i)) {
			to = append(to, p.lines[i].name)
		}
	}
	if len(to) == before && p.kept != nil {
		if l, ok := p.kept.LineOf(n); ok {
			to = append(to, l.Key)
		}
	}
	return to
}

// LineNamed is the line of a name, of the policy or of the database.
func (p *Policy) LineNamed(name string) (Line, bool) {
	if i, ok := p.lineNumber[name]; ok {
		return p.lines[i].line(), true
	}
	if p.kept == nil {
		return Line{}, false
	}
	return p.kept.LineNamed(name)
}

// CustomerOf is whose a line is, by its name or its key: each line of a policy is its own customer, and so is one that is not there any more.
func (p *Policy) CustomerOf(line string) string {
	if l, ok := p.LineNamed(line); ok {
		return l.Customer
	}
	return LineName(line)
}

// CustomerOfKey is whose the line with a key is; false of one that is not there any more.
func (p *Policy) CustomerOfKey(key string) (customer string, ok bool) {
	l, ok := p.LineNamed(key)
	return l.Customer, ok && l.Key == key
}

// line is what calls are told of a line of the policy.
func (l *line) line() Line { return Line{Name: l.name, Key: l.name, Customer: l.name, Zone: l.zone} }

// findLine finds the line called, once the patterns that the called number meets are found.
func (s *scan) findLine(callee *number.Number) {
	if l := s.lineOfPolicy(); l != nil {
		s.called = l.line()
	} else if s.p.kept != nil {
		if s.called, _ = s.p.kept.LineOf(callee); s.called.Profile != "" {
			s.profile = s.p.profileNumber[s.called.Profile]
		}
	}
}

// lineOfPolicy is the line of the policy that is called, the narrowest if several fit; nil if the callee belongs to none.
func (s *scan) lineOfPolicy() *line {
	for _, m := range s.callee.all() {
		for _, bit := range s.p.callees.of(m.Set) {
			if int(bit) < len(s.p.lines) {
				return &s.p.lines[bit]
			}
		}
	}
	return nil
}

// zone is the clock that `hours` is meant by: that of the line called, if it has its own.
func (s *scan) zone() *time.Location {
	if s.called.Zone != nil {
		return s.called.Zone
	}
	return s.p.calendar.zone
}

// isLine tests the condition `line`.
func (s *scan) isLine(c *condition) bool {
	for _, bit := range c.lines {
		if s.callee.has(bit) {
			return true
		}
	}
	return s.profile > 0 && slices.Contains(c.profiles, s.profile)
}

// passOff lets every call pass to a line whose customer wants no screening.
var passOff = &rule{name: RulePaused}

// offText says that a line is off.
func offText(line string) string { return "line " + line + " is off: its customer wants no screening" }

// lineText names the line called in a reason.
func (d *Decision) lineText(c *condition) string {
	if d.evidence.profile != "" && len(c.profiles) > 0 && contains(c.words, profilePrefix+d.evidence.profile) {
		return fmt.Sprintf("line %s of profile %s", d.Line, d.evidence.profile)
	}
	return "line " + d.Line
}

// whyOtherLine says why the condition `line` does not hold.
func (s *scan) whyOtherLine(c *condition) string {
	callee := "called number " + s.c.Callee.Shown()
	switch {
	case s.called.Name == "":
		return callee + " belongs to no line"
	case s.called.Profile != "":
		return fmt.Sprintf("%s is line %s of profile %s, not %s", callee, s.called.Name, s.called.Profile, some(c.words))
	}
	return callee + " is line " + s.called.Name + ", not " + some(c.words)
}

// Profiles are those that rules name, each once, in the order of the rules.
func (p *Policy) Profiles() []string { return p.profiles }

// numberOf is the number of a profile that a rule names.
func (p *Policy) numberOf(profile string) uint32 {
	n, ok := p.profileNumber[profile]
	if !ok {
		if p.profileNumber == nil {
			p.profileNumber = make(map[string]uint32)
		}
		p.profiles = append(p.profiles, profile)
		n = uint32(len(p.profiles))
		p.profileNumber[profile] = n
	}
	return n
}

// OwnLists are the names of the lists that each line has of its own, as rules ask for them: "blacklist" of "line:blacklist".
func (p *Policy) OwnLists() []string { return p.ownLists }
