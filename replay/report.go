package replay

import (
	"time"

	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
)

// Report is what came of a replay.
type Report struct {
	Summary  Summary
	Actions  []Total  // by action and mode, the mildest first; those that no call got are left out
	Rules    []Total  // by rule, in the order they are tried, also those that took no call
	Groups   []Group  // the changed verdicts by what was and what is, the most calls first
	Changes  []Change // the first of them
	Mistakes []Mistake
	Callers  []Caller
	Faults   []Fault  // the first rows that could not be read
	Notes    []string // what this replay cannot tell

	// What the detectors did, in the order of the policy, and how its decisions meet the labels, if the files have some; nil if none has.
	// Against is the same of the policy to compare with.
	LiveRun
	Against LiveRun `json:",omitzero"`
}

// LiveRun is what a policy did with calls in their own time.
type LiveRun struct {
	Detectors []Detector `json:",omitempty"`
	Labels    *Labels    `json:",omitempty"`
}

// Summary is a replay in numbers.
type Summary struct {
	// Rows are what the files have; each is one of these: a call that came in, went out or stayed inside, a further
	// record of one, a call of another context, a doctor's, or none that could be read.
	Rows     uint64 `json:"rows"`
	Calls    uint64 `json:"calls"`     // that came in
	Repeats  uint64 `json:"repeats"`   // of these, calls without a row: a journal has one for those of a caller within a minute
	Tests    uint64 `json:"tests"`     // a doctor's: left out
	Outgoing uint64 `json:"outgoing"`  // that went out: not screened, but their numbers are known from then on
	Internal uint64 `json:"internal"`  // between phones of ours: not screened
	Parts    uint64 `json:"parts"`     // further records of a call
	Skipped  uint64 `json:"skipped"`   // calls of other dialplan contexts
	Bad      uint64 `json:"bad_lines"` // rows that could not be read

	Unreadable uint64 `json:"unreadable"` // of the calls that came in, those whose caller cannot be read: no rule was tried on them
	Late       uint64 `json:"late"`       // of the further records, those so far behind their call that nothing was taken from them

	Since   time.Time `json:"since,omitzero"`   // of the first call
	Until   time.Time `json:"until,omitzero"`   // of the last one
	Callers uint64    `json:"callers"`          // different ones; at least, if CallersOver is not 0
	Refused uint64    `json:"refused"`          // calls that would be refused: reject, or warn with then = "hangup"
	Mistake uint64    `json:"refused_answered"` // of these, calls that somebody answered

	Compared  uint64 `json:"compared"`       // calls with a verdict to compare with
	Undecided uint64 `json:"undecided"`      // calls that passed without a decision then: paused, or a technical failure
	Changed   uint64 `json:"changed"`        // calls with another action or rule
	Otherwise uint64 `json:"changed_action"` // of these, calls with another action, or one that is (not) on trial any more

	// The tables of callers are bounded. What came when they were full is counted in the totals alone.
	CallersOver uint64 `json:"callers_over"` // calls of callers that had no room
	CalleesOver uint64 `json:"callees_over"` // callers whose callees are counted no further than 64
	OutOfOrder  uint64 `json:"out_of_order"` // calls that stand so far behind later ones that they were decided after them, where the order counts
	KnownOver   uint64 `json:"known_over"`   // pairs of a line and a number that had no room: such a caller counts as unknown
}

// Total is how many calls got an action, or a rule took.
type Total struct {
	Action  string  `json:"action"`
	Rule    string  `json:"rule,omitempty"`
	Mode    string  `json:"mode"` // observe if it would not be done, because the rule or the policy is on trial
	Calls   uint64  `json:"calls"`
	Share   float64 `json:"share"`           // of all calls, 0 to 1
	Callers uint64  `json:"callers"`         // different ones
	Trial   uint64  `json:"trial,omitempty"` // calls it matched on trial, and another rule then decided
}

// Group is how many calls changed from one verdict to another.
type Group struct {
	Was   Verdict `json:"was"`
	Is    Verdict `json:"is"`
	Calls uint64  `json:"calls"`
}

// Spot is a call and where it stands.
type Spot struct {
	File     string         `json:"file"`
	FileLine int            `json:"file_line"`
	ID       string         `json:"id,omitempty"`
	Time     time.Time      `json:"time"`
	Trunk    string         `json:"trunk"`
	Caller   console.Caller `json:"caller"`
	Name     string         `json:"name"`
	Callee   string         `json:"callee"`
	Line     string         `json:"line"`
	Answered bool           `json:"answered"`
	TalkS    float64        `json:"talk_s"` // seconds of conversation
}

// Change is a call that gets another verdict.
type Change struct {
	Spot
	Was    Verdict `json:"was"`
	Is     Verdict `json:"is"`
	Reason string  `json:"reason"` // why it is so now
}

// Mistake is a call that people talked on and that would be refused.
type Mistake struct {
	Spot
	Is     Verdict `json:"is"`
	Reason string  `json:"reason"`
}

// Caller is what one caller did, and what the policy does about it.
type Caller struct {
	Caller   string            `json:"caller"` // the E.164 number; the raw text of what is no number; "anonymous" for all who hide it
	Kind     string            `json:"kind"`
	Withheld bool              `json:"withheld,omitempty"` // the number is known, but must not be shown on a handset
	Harm     float64           `json:"harm"`               // see harm
	Calls    uint32            `json:"calls"`
	Callees  uint32            `json:"callees"` // different ones; above 64 an estimate, see distinct
	Answered uint32            `json:"answered"`
	Short    uint32            `json:"short"`   // answered and over within 6 s
	Unknown  uint32            `json:"unknown"` // what became of them is not known
	Actions  map[string]uint32 `json:"actions"` // what the policy says, in calls
}

// shortCall is how long a conversation is at most that looks like a recording or a mistake, in seconds.
const shortCall = 6

// Bounds of what a report lists and of what is kept to make it.
const (
	topMistakes = 20
	topCallers  = 20
	maxCallers  = 200_000 // callers followed by themselves
	maxBitmaps  = 20_000  // of these, how many may call more than fewThings numbers and have them counted
	maxRulesMet = 64      // rules that a caller is counted for
	maxGroups   = 2000
	maxText     = 256 // bytes of a text that is kept
)

// callerStats is what is followed of a caller.
type callerStats struct {
	key            string
	kind           number.Kind
	withheld, over bool // over: there were more callees than could be counted
	calls          uint32
	answered       uint32
	short          uint32
	unknown        uint32
	actions        [6]uint32
	met            uint16 // a bit for each action and mode
	callees        distinct
	rules          []uint16 // the rules that took calls
}

// harm is how many people were rung for nothing, roughly: the calls that nobody answered or that were over
// within seconds, weighted by how many different people they went to. Who dials their way through the numbers of
// a firm comes before one who rings the same colleague again and again, and before one whom many people
// talk to. A call of which nothing is known counts half.
func (c *callerStats) harm() float64 {
	if c.calls == 0 {
		return 0
	}
	unanswered := c.calls - c.answered - c.unknown
	return (float64(unanswered+c.short) + float64(c.unknown)/2) * float64(c.callees.n) / float64(c.calls)
}

// export is the caller for a report.
func (c *callerStats) export() Caller {
	out := Caller{
		Caller: c.key, Kind: c.kind.String(), Withheld: c.withheld, Harm: c.harm(), Calls: c.calls, Callees: c.callees.n,
		Answered: c.answered, Short: c.short, Unknown: c.unknown, Actions: make(map[string]uint32),
	}
	for a, n := range c.actions {
		if n > 0 {
			out.Actions[policy.Action(a).String()] = n
		}
	}
	return out
}
