// Package lines is the lines that live in the database, in memory: which of them a called number belongs to, and what each is. Of a policy's
// lines it knows nothing.
package lines

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// Line is a line as calls need it. What people alone need of it is on disk.
type Line struct {
	Name     string
	Key      string // see policy.Line
	Numbers  []number.Pattern
	Customer string // "" is the name's
	Profile  string
	Mode     policy.LineMode
	Zone     *time.Location // nil is the policy's
}

// Change puts a line in, in the place of the one of its name, or takes it out.
type Change struct {
	Line
	Remove bool // only its Name counts
}

// Lines holds them. It is safe for concurrent use, and a change counts from the very next look-up.
type Lines struct {
	mu     sync.RWMutex
	byName map[string]*Line
	index  *number.Index
	at     []*Line // by the numbers of patterns in index
}

// New gives no lines at all.
func New() *Lines { return &Lines{byName: map[string]*Line{}, index: number.NewIndex()} }

// Taken says that a number is on another line.
type Taken struct {
	Number number.Pattern // that was to be added
	Line   string         // where it would go
	Other  string         // where it is, or a part of it
}

func (t *Taken) Error() string {
	return fmt.Sprintf("%s is on the line %s already, and a number is on one line only: take it off there first (ringfence line set %s), or leave it out of %s",
		t.Number, t.Other, t.Other, t.Line)
}

// Check reports the numbers that would be on two lines after all the changes, at most as many as most. It does not change anything.
func (l *Lines) Check(changes []Change, most int) (taken []*Taken) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	after := l.with(changes)
	seen := make(map[number.Pattern]string)
	for _, c := range changes {
		if c.Remove {
			continue
		}
		for _, p := range c.Numbers {
			for name, other := range after {
				if name != c.Name && slices.ContainsFunc(other.Numbers, p.Overlaps) && len(taken) < most && seen[p] != name {
					seen[p] = c.Name
					taken = append(taken, &Taken{p, c.Name, name})
				}
			}
		}
	}
	return taken
}

func (l *Lines) with(changes []Change) map[string]*Line {
	after := make(map[string]*Line, len(l.byName))
	for name, line := range l.byName {
		after[name] = line
	}
	for i := range changes {
		if delete(after, changes[i].Name); !changes[i].Remove {
			after[changes[i].Name] = &changes[i].Line
		}
	}
	return after
}

// Apply makes changes, in their order, all of which count at once. Check comes before.
func (l *Lines) Apply(changes []Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byName = l.with(slices.Clone(changes))
	l.index, l.at = number.NewIndex(), nil
	for _, line := range l.byName {
		for _, p := range line.Numbers {
			l.index.Add(p, uint32(len(l.at)))
			l.at = append(l.at, line)
		}
	}
}

// LineOf is that of policy.LineSource.
func (l *Lines) LineOf(n *number.Number) (policy.Line, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var room [8]number.Match
	found := l.index.AppendMatches(room[:0], n)
	if len(found) == 0 {
		return policy.Line{}, false
	}
	return l.at[found[0].Set].line(), true
}

// LineNamed is that of policy.LineSource.
func (l *Lines) LineNamed(name string) (policy.Line, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	line := l.byName[policy.LineName(name)]
	if line == nil || strings.Contains(name, "~") && line.Key != name {
		return policy.Line{}, false
	}
	return line.line(), true
}

// Len is how many lines there are, and how many patterns of numbers they have.
func (l *Lines) Len() (lines, numbers int) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.byName), len(l.at)
}

func (l *Line) line() policy.Line {
	out := policy.Line{Name: l.Name, Key: l.Key, Customer: l.Customer, Profile: l.Profile, Mode: l.Mode, Zone: l.Zone, Kept: true}
	if out.Customer == "" {
		out.Customer = l.Name
	}
	return out
}
