// Package inforce is what calls are decided by at this moment: the policy, the lists as its country reads them, the
// announcements, and whether screening is paused. desk changes it, screening reads it on every call; neither knows the
// other. Reading needs no lock.
package inforce

import (
	"sync/atomic"
	"time"

	"ringfence/conf"
	"ringfence/detect"
	"ringfence/lines"
	"ringfence/lists"
	"ringfence/policy"
)

// Rules is a loaded policy with everything that was made for it. It is replaced as a whole.
type Rules struct {
	Policy  *policy.Policy
	Version string // of its text: the begin of its SHA-256, 12 hexadecimal digits
	Lists   *lists.Lists
	Lines   *lines.Lines // those of the database; Policy knows them as well
	Sounds  *conf.Sounds // nil when no daemon runs
	Loaded  time.Time
	// Detectors count what calls do, for as long as the program runs: a policy that follows takes over what it counts as well.
	Detectors *detect.Set
	Strays    map[string]int // by list: entries that this policy's country could not read; of desk alone
}

// Unread names the lists that have not been read yet, own lists of lines by their tables.
func (r *Rules) Unread() []string {
	var names []string
	for _, name := range r.Lists.Names() {
		if !r.Lists.Loaded(name) {
			names = append(names, name)
		}
	}
	for _, own := range r.Lists.OwnNames() {
		if name := lists.OwnPrefix + own; !r.Lists.Loaded(name) {
			names = append(names, name)
		}
	}
	return names
}

// Pause lets every call pass.
type Pause struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // zero: until somebody resumes
}

// State is what is in force. The zero value has no rules yet and no pause.
type State struct {
	rules atomic.Pointer[Rules]
	pause atomic.Pointer[Pause]
}

// Rules are those in force, nil before the first.
func (s *State) Rules() *Rules { return s.rules.Load() }

// SetRules puts rules in force.
func (s *State) SetRules(r *Rules) { s.rules.Store(r) }

// SetPause begins a pause, or ends it with nil.
func (s *State) SetPause(p *Pause) { s.pause.Store(p) }

// Paused gives the pause that is on at a moment, nil if none is.
func (s *State) Paused(now time.Time) *Pause {
	p := s.pause.Load()
	if p == nil || !p.Until.IsZero() && !now.Before(p.Until) {
		return nil
	}
	return p
}
