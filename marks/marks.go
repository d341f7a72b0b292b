// Package marks weighs what people have marked as a nuisance: by its age, by how many of those whom a caller reached think so, and by what the
// numbers around them do. It is given what is in the journal and the reports, and has no clock.
package marks

import (
	"math"
	"slices"
	"time"
)

// HalfLife is after which time a mark counts half. Numbers are given away again after some months, and a campaign is over after weeks.
const HalfLife = 30 * 24 * time.Hour

// Fade is what a mark counts at an age: 1 when it is new, half after HalfLife.
func Fade(age time.Duration) float64 { return math.Exp2(-max(0, age.Hours()) / HalfLife.Hours()) }

// maxDoubts is how many dismissals count.
const maxDoubts = 4

// Doubt is what marks of a caller count of whom so many were dismissed before: half for each.
func Doubt(dismissed int) float64 { return math.Exp2(-float64(min(dismissed, maxDoubts))) }

// Lower is the lower end of Wilson's interval of 95 % for k of n: what is surely the share, as far as so few can tell. Of 2 of 2 it is about a
// third, of none 0.
func Lower(k, n float64) float64 {
	if n <= 0 || k <= 0 {
		return 0
	}
	const z = 1.96
	p := min(k/n, 1)
	return max(0, (p+z*z/(2*n)-z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n)))/(1+z*z/n))
}

// Call is a call of the journal, as far as it is evidence.
type Call struct {
	Callee   string
	Customer string // whose the called number is
	Time     time.Time
	Count    int  // how many calls it stands for, 1 at least
	Rang     bool // a phone rang
	Answered bool // and somebody took it
	Talk     time.Duration
	Warned   bool // its caller was warned, or challenged, before
	Known    bool // what became of it is known
}

const (
	short = 6 * time.Second // talked at most so long, a call is short
	// Long is from when on a call is one that somebody wanted, unless its caller was warned before.
	Long = 60 * time.Second
	// maxCallees is how many called numbers, and customers, of one caller are told apart.
	maxCallees = 1000
)

// Tally is what one caller, or several, have done.
type Tally struct {
	Calls, Rang, Answered, Short int
	Long                         int           // talked longer than Long, of those that rang
	Talk                         time.Duration // of all
	First, Last                  time.Time

	callees map[string]int
	reached map[string]bool // customers who talked with them
}

// Add counts a call.
func (t *Tally) Add(c *Call) {
	n := max(c.Count, 1)
	t.Calls += n
	if t.First.IsZero() || c.Time.Before(t.First) {
		t.First = c.Time
	}
	if c.Time.After(t.Last) {
		t.Last = c.Time
	}
	if t.callees == nil {
		t.callees, t.reached = make(map[string]int), make(map[string]bool)
	}
	if _, there := t.callees[c.Callee]; there || len(t.callees) < maxCallees {
		t.callees[c.Callee] += n
	}
	if !c.Rang {
		return
	}
	t.Rang += n
	if !c.Answered {
		return
	}
	t.Answered, t.Talk = t.Answered+n, t.Talk+c.Talk // of a record that stands for several the longest is known
	if c.Talk <= short {
		t.Short += n
	}
	if c.Talk > Long {
		t.Long++
	}
	if len(t.reached) < maxCallees {
		t.reached[c.Customer] = true
	}
}

// Callees is how many numbers were called, maxCallees at most.
func (t *Tally) Callees() int { return len(t.callees) }

// Callee is a called number and how often it was called.
type Callee struct {
	Number string `json:"number"`
	Calls  int    `json:"calls"`
}

// Most are the numbers that were called most.
func (t *Tally) Most(n int) []Callee {
	all := make([]Callee, 0, len(t.callees))
	for number, calls := range t.callees {
		all = append(all, Callee{number, calls})
	}
	slices.SortFunc(all, func(a, b Callee) int {
		switch {
		case a.Calls != b.Calls:
			return b.Calls - a.Calls
		case a.Number < b.Number:
			return -1
		}
		return 1
	})
	return all[:min(n, len(all))]
}

// Merge adds what another caller has done.
func (t *Tally) Merge(o *Tally) {
	if o.Calls == 0 {
		return
	}
	t.Calls, t.Rang, t.Answered, t.Short, t.Long, t.Talk = t.Calls+o.Calls, t.Rang+o.Rang, t.Answered+o.Answered, t.Short+o.Short, t.Long+o.Long, t.Talk+o.Talk
	if t.First.IsZero() || o.First.Before(t.First) {
		t.First = o.First
	}
	if o.Last.After(t.Last) {
		t.Last = o.Last
	}
	if t.callees == nil {
		t.callees, t.reached = make(map[string]int), make(map[string]bool)
	}
	for number, n := range o.callees {
		if _, there := t.callees[number]; there || len(t.callees) < maxCallees {
			t.callees[number] += n
		}
	}
	for customer := range o.reached {
		if len(t.reached) < maxCallees {
			t.reached[customer] = true
		}
	}
}

// Unwanted is how sure it is that those whom a caller reaches do not want them: of the customers who talked with them, or marked them, those who
// marked them. marks is what each customer's counts by its age.
func (t *Tally) Unwanted(marks map[string]float64) (share float64, reached int) {
	reached, sum := len(t.reached), 0.0
	for customer, weight := range marks {
		if !t.reached[customer] {
			reached++
		}
		sum += weight
	}
	return Lower(sum, float64(reached)), reached
}
