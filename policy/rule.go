package policy

import (
	"regexp"
	"time"

	"ringfence/number"
)

// MaxRules and MaxLines bound a policy, so that what one call can meet is bounded too.
const (
	MaxRules = 1000
	MaxLines = 1000
)

// rule is one [[rule]] as compiled.
type rule struct {
	conditions []condition // all must hold; none holds for every call
	trial      bool
	name       string
	line       int // in the file
	do         treatment
	at         map[string]int // the lines of its keys, for advice
}

// refuses: the rule does something to the call that its caller would rather not have.
func (r *rule) refuses() bool { return r.do.action != Allow }

// treatment is an action with its keys.
type treatment struct {
	action       Action
	label        string
	announcement string
	whisper      string
	then         string // continue or hangup, for warn
	media        string // early or answer; "" is the trunk's
	overflow     string // allow or reject
	otherwise    string // allow or reject, for who fails the challenge
	to           string
	sip          int
	digits       int
	tries        int
	remember     time.Duration
	grace        time.Duration
}

// subject is what a condition looks at.
type subject uint8

const (
	onCaller subject = iota
	onCallerNot
	onCallerKind
	onCallerName
	onLine
	onCallee
	onCalleeNot
	onList
	onListNot
	onTrunk
	onHours
	onKnown
	onAttestation
	onWritten
	onAgain
	onCallerText
	onIdentityDiffers
	onDiverted
	onTripped
	onHolder
	onScore
)

// subjectKeys are the conditions' keys in the file, by subject.
var subjectKeys = [...]string{
	"caller", "caller_not", "caller_kind", "caller_name", "line", "callee", "callee_not",
	"list", "list_not", "trunk", "hours", "known_caller", "attestation",
	"written", "again", "caller_text", "identity_differs", "diverted",
	"tripped", "holder", "score_at_least",
}

// scopeKey is no condition of its own: it says which lines known_caller is about.
const scopeKey = "known_scope"

// whenKeys are the keys that `when` may have.
func whenKeys() []string {
	var keys []string
	for _, key := range subjectKeys {
		if keys = append(keys, key); key == onKnown.String() {
			keys = append(keys, scopeKey)
		}
	}
	return keys
}

func (s subject) String() string { return subjectKeys[s] }

// condition is one condition of a rule: what every call looks at, and the rest behind a pointer. A call walks the
// conditions of every rule until one decides, so they are kept small.
type condition struct {
	on    subject
	bit   uint16       // for numbers: set among a call's hits when one of the patterns matches
	kinds number.Kinds // for caller_kind: any of them
	*terms
}

// terms are what a condition compares with; any of them will do. Only the fields of its subject are set.
type terms struct {
	lines    []uint16         // for line: the bits of the policy's lines
	profiles []uint32         // for line: the numbers of profiles that the database's may have
	lists    []listName       // for list and list_not
	hours    []hours          // for hours
	names    []*regexp.Regexp // for caller_name
	words    []string         // for trunk and attestation; for all others as written
	text     []numberPattern  // for numbers: as written, for advice
	named    []namePattern    // for caller_text

	window  time.Duration // for known_caller and again
	anyLine bool          // for known_caller: known to whatever line will do
	forms   uint8         // for written: a bit for each number.Form
	yes     bool          // for identity_differs and diverted

	detectors DetectorSet // for tripped
	order     []uint8     // and the number of each of words
	atLeast   float64     // for score_at_least
}

// numberPattern is a pattern as it stands in the file.
type numberPattern struct {
	number.Pattern
	text string
	line int
}

// listName is a list that a condition asks for. own is set for the called line's own list: its name for each line of the policy; bare is then its name
// without "line:". bit is the same wherever the list is asked for, and 0 of lists for which there was none left.
type listName struct {
	name string
	own  []string
	bare string
	bit  uint64
}

// line is one [lines.NAME].
type line struct {
	name    string
	at      int // line in the file
	numbers []numberPattern
	zone    *time.Location // of `hours`; nil is the policy's
	decoy   bool           // nobody has its numbers
}

// SIPCodes are the answers a refused call may get. The SIP answer of a rule that names none is 603.
func SIPCodes() []int { return []int{403, 404, 480, 486, 600, 603, 607, 608} }

// DefaultAnnouncement is what a caller hears under default = "warn", which has no keys of its own.
const DefaultAnnouncement = "suspected-nuisance"

// byDefault is an action with the values its keys have when the file does not name them.
func byDefault(a Action) treatment {
	t := treatment{action: a}
	switch a {
	case Warn:
		t.then, t.sip, t.overflow = "continue", 603, "allow" // with then = "hangup" it is "reject"
	case Challenge:
		t.digits, t.tries = 3, 2
		t.remember, t.grace = 30*24*time.Hour, 10*time.Minute
		t.otherwise, t.media, t.sip, t.overflow = "reject", "answer", 603, "allow"
	case Reject:
		t.sip = 603
	}
	return t
}
