package traffic

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"
)

// How long it is counted what is on trial would have done.
const (
	// TrialDays are the days of which calls are counted, that of today among them.
	TrialDays = 14
	maxTrials = 64 // what is on trial, at most
)

// Trials counts the calls that detectors on trial, or a policy that only observes, would have done something to, by the day. The zero value
// has nothing on trial.
type Trials struct {
	mu      sync.Mutex
	of      map[string]*trial
	changed bool
}

// trial is one thing that is on trial.
type trial struct {
	Since time.Time         `json:"since"`
	Days  [TrialDays]uint64 `json:"days"` // calls, of the day Day first
	Day   int64             `json:"day"`  // days since 1970, in UTC
}

// Trial says how something on trial stands.
type Trial struct {
	Name  string // a detector's; "" is the policy as a whole
	Since time.Time
	Calls uint64 // that it would have done something to, in the last TrialDays days
}

func dayOf(t time.Time) int64 { return t.Unix() / 86400 }

// pass lets days go by.
func (x *trial) pass(now time.Time) {
	gone := dayOf(now) - x.Day
	if gone <= 0 { // a clock that was set back counts for the same day
		return
	}
	x.Day += gone
	for i := TrialDays - 1; i >= 0; i-- {
		if from := int64(i) - gone; from >= 0 {
			x.Days[i] = x.Days[from]
		} else {
			x.Days[i] = 0
		}
	}
}

// Observe says what is on trial from now on. What is not any more is forgotten; what is still goes on.
func (t *Trials) Observe(names []string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name := range t.of {
		if !slices.Contains(names, name) {
			delete(t.of, name)
			t.changed = true
		}
	}
	for _, name := range names {
		if _, there := t.of[name]; there || len(t.of) >= maxTrials {
			continue
		}
		if t.of == nil {
			t.of = make(map[string]*trial)
		}
		t.of[name], t.changed = &trial{Since: now.Round(0), Day: dayOf(now)}, true
	}
}

// Note counts a call that something on trial would have done something to. Of what is not on trial nothing is counted.
func (t *Trials) Note(name string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if x := t.of[name]; x != nil {
		x.pass(now)
		x.Days[0]++
		t.changed = true
	}
}

// All is what is on trial, by name.
func (t *Trials) All(now time.Time) []Trial {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Trial, 0, len(t.of))
	for name, x := range t.of {
		x.pass(now)
		sum := uint64(0)
		for _, n := range x.Days {
			sum += n
		}
		all = append(all, Trial{name, x.Since, sum})
	}
	slices.SortFunc(all, func(a, b Trial) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return all
}

// Changes gives all as a text to keep, nil if it is as it was when this gave it last.
func (t *Trials) Changes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.changed {
		return nil
	}
	t.changed = false
	text, err := json.Marshal(t.of)
	if err != nil {
		return nil // times and numbers
	}
	return text
}

// Keep has Changes give all again: what it gave last is not kept.
func (t *Trials) Keep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changed = true
}

// Load puts back what Changes gave.
func (t *Trials) Load(text []byte) error {
	var of map[string]*trial
	if err := json.Unmarshal(text, &of); err != nil {
		return fmt.Errorf("what is kept of trials cannot be read: %w", err)
	}
	if len(of) > maxTrials {
		return fmt.Errorf("what is kept of trials cannot be read: %d of them", len(of))
	}
	for name, x := range of {
		if x == nil {
			delete(of, name)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.of = of
	return nil
}
