package policy

import (
	"iter"

	"ringfence/number"
)

// KeptLines are the lines of the database, all of them.
type KeptLines interface {
	// Meet calls yield for lines that have a number which a pattern matches, until it returns false. One may come more than once.
	Meet(q number.Pattern, yield func(Line) bool)
	// Profiles are those that lines have, and how many lines.
	Profiles() iter.Seq2[string, int]
	// LineNamed is that of LineSource.
	LineNamed(name string) (Line, bool)
}

// Bounds of what CheckKept names one by one, and counts.
const (
	maxKeptShown = 20
	maxKept      = 1000
)

// CheckKept warns of what is hardly meant about lines of the database: that a number, or the name, is that of a line of the policy as well, and a profile that
// no rule names. It is apart from Load, which does not know what lines there are.
func (p *Policy) CheckKept(kept KeptLines) []Fault {
	fs := faults{file: p.file}
	seen := make(map[string]bool)
	for i := range p.lines {
		l := &p.lines[i]
		if other, ok := kept.LineNamed(l.name); ok {
			fs.warn(l.at, "lines."+l.name, "the database has a line of the name %s too, and people see one name for both: write another name here, or remove that one (ringfence line remove %s)", other.Name, l.name)
		}
		for _, q := range l.numbers {
			kept.Meet(q.Pattern, func(other Line) bool {
				if !seen[other.Key] && len(seen) < maxKeptShown {
					fs.warn(l.at, "lines."+l.name+".numbers", "%s has a number that is also on the line %s of the database, and calls to it are to %s: take it off one of them (ringfence line set %s)",
						q.text, other.Name, l.name, other.Name)
				}
				seen[other.Key] = true
				return len(seen) < maxKept
			})
		}
	}
	if more := len(seen) - maxKeptShown; more > 0 {
		text := "%d more lines of the database have numbers that are on lines of the policy"
		if len(seen) >= maxKept {
			text = "more than %d other lines of the database have numbers that are on lines of the policy"
		}
		fs.warn(1, "lines", text, more)
	}
	named := p.Profiles()
	for profile, n := range kept.Profiles() {
		if profile != "" && !contains(named, profile) {
			fs.warn(1, "rule.when.line", "no rule names profile:%s, which lines of the database have (%d): calls to them are treated as those to lines without a profile", profile, n)
		}
	}
	return fs.sorted()
}
