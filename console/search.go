package console

import (
	"context"
	"time"
)

// Calls is what can be asked of past calls, besides the journal as it is.
type Calls interface {
	// Search gives one page of the calls asked for. Filters for which the journal has an index are answered at once; others look through it for at
	// most q.Look, and the page says how far that came.
	Search(ctx context.Context, q SearchQuery) (*SearchPage, error)
	// Call gives one call with everything that is kept of how it was decided.
	Call(ctx context.Context, id string) (*CallDetail, error)
	// Activity counts calls by what was done, a count each span of time.
	Activity(ctx context.Context, q ActivityQuery) (*Activity, error)
	// Ranges counts calls by the next digit of their callers' numbers.
	Ranges(ctx context.Context, q RangeQuery) (*RangeReport, error)
	// EffectOf says what a list entry would have done to the calls of the last weeks.
	EffectOf(ctx context.Context, q EffectQuery) (*EntryEffect, error)
	// Correct says that a call was decided wrongly. One that rang is reported, as with the star code; the caller of one that was stopped is let
	// through to its line, as with the other.
	Correct(ctx context.Context, id string) (*Corrected, error)
}

// SearchQuery asks for a page of calls.
type SearchQuery struct {
	Query
	Look time.Duration // how long to look where no index helps; 0: 1 s, at most 10 s
	Here bool          // only what this node's journal has, not those of the other nodes of a cluster
}

// SearchPage is a page of calls.
type SearchPage struct {
	Records []Record  `json:"records"`
	Cursor  string    `json:"cursor,omitempty"` // goes on where this page ends; "" when there is no more
	Looked  int       `json:"looked"`           // records looked at
	Through time.Time `json:"through,omitzero"` // up to which call it came, when it was not through in time
	Done    bool      `json:"done"`             // everything asked for was looked at
	Silent  []string  `json:"silent,omitempty"` // nodes of a cluster that did not answer within a second: their calls are missing
}

// CallDetail is a call, and how it was decided as it was then.
type CallDetail struct {
	Record
	Policy string     `json:"policy,omitempty"` // the version that decided it, as PolicyVersion.ID
	Steps  []Step     `json:"steps,omitempty"`  // the rules that were tried, as they were
	Saw    []Finding  `json:"saw,omitempty"`    // what detectors had counted then
	Around []TenCalls `json:"around,omitempty"` // the hundred numbers around the caller's, ten a row: a picture of his range
	Known  []string   `json:"known_to,omitempty"`
}

// TenCalls are the calls of ten numbers that differ in the last digit, within the last four weeks.
type TenCalls struct {
	Range string  `json:"range"` // 952116131?
	Calls [10]int `json:"calls"`
	Own   int     `json:"own"` // the place of the caller's own number, -1 if it is in another row
}

// ActivityQuery asks for counts of calls.
type ActivityQuery struct {
	Since, Until time.Time     // by default the last hour
	Step         time.Duration // from a minute on; by default a sixtieth
}

// Activity is how many calls there were in each step, by action.
type Activity struct {
	Since  time.Time        `json:"since"`
	Step   time.Duration    `json:"step_ns"`
	Counts map[string][]int `json:"counts"` // action → calls in each step
	Whole  bool             `json:"whole"`  // false: the daemon has not looked back that far yet
}

// RangeQuery asks for what came from a range of numbers.
type RangeQuery struct {
	Prefix       string    // digits as they are written in the policy's country (9521), or + and a country code; "" for all
	Since, Until time.Time // by default the last week
	Look         time.Duration
}

// RangeReport is what came from a range of numbers, by the next digit.
type RangeReport struct {
	Range   RangeCalls   `json:"range"`
	Next    []RangeCalls `json:"next"` // those with calls, by digit
	Since   time.Time    `json:"since"`
	Through time.Time    `json:"through,omitzero"` // as far back as could be looked in time
	Done    bool         `json:"done"`
}

// RangeCalls counts the calls of a range.
type RangeCalls struct {
	Prefix   string   `json:"prefix"`
	Holder   string   `json:"holder,omitempty"`
	Calls    int      `json:"calls"`
	Callers  int      `json:"callers"`
	Callees  int      `json:"callees"`
	Rang     int      `json:"rang"`
	Answered int      `json:"answered"`
	Short    int      `json:"short"`             // of those answered, over within 6 s
	Stopped  int      `json:"stopped"`           // rejected, or challenged and not passed
	Tripped  []string `json:"tripped,omitempty"` // "range wakes: open until 14:05", of breakers in this range now
	Over     []int    `json:"over,omitempty"`    // calls in each of 48 steps of the time
	OverStop []int    `json:"over_stopped,omitempty"`
}

// EffectQuery asks what an entry would have done.
type EffectQuery struct {
	Pattern string
	List    string // blacklist, or LINE:blacklist for one line's calls alone
}

// EntryEffect is what an entry would have done to past calls.
type EntryEffect struct {
	Effect
	Since    time.Time `json:"since"`
	Answered int       `json:"answered"` // calls that people took
	Callers  int       `json:"callers"`
	Known    []string  `json:"known_to,omitempty"` // lines that deal with a number in it, ten at most
	Cut      bool      `json:"cut,omitempty"`
	Examples []Record  `json:"examples,omitempty"` // calls that were talked longest, three at most
}

// Corrected says what came of it.
type Corrected struct {
	Report *ReportEdit `json:"report,omitempty"` // a call that rang
	List   string      `json:"list,omitempty"`   // a call that was stopped: the list that lets its caller through
	Number string      `json:"number,omitempty"` // and the entry
	Until  time.Time   `json:"until,omitzero"`   // for how long
	Change uint64      `json:"change,omitempty"` // what undo takes
}
