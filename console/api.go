// Package console is how people and programs reach a running daemon: an HTTP API in JSON. Today it is
// served on the daemon's unix socket for the command line, where the socket's file mode says who may
// use it.
//
// The package declares Desk, what it can be asked for; the daemon fills it. Client is the same Desk seen
// from the other end of the socket, so that a command does not care whether the daemon runs.
package console

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Desk is everything that can be asked of Ringfence. Errors are for the person who asked; those that
// are his mistake wrap ErrBad, what does not exist wraps ErrNotFound.
type Desk interface {
	Calls
	Policies
	People

	Check(ctx context.Context, q CheckQuery) (*CheckReport, error)

	Lists(ctx context.Context) ([]ListSummary, error)
	// ListsOf describes the lists that a line has of its own.
	ListsOf(ctx context.Context, line string) ([]ListSummary, error)
	// Entries calls yield for each entry of a list.
	Entries(ctx context.Context, list string, yield func(ListEntry) error) error
	// AddEntries adds all or, when one cannot be read, none. With keepGood it adds the others, and those
	// that cannot be read come back as refused.
	AddEntries(ctx context.Context, list string, add []NewEntry, keepGood bool) ([]Edit, error)
	// RemoveEntries takes the record away that a person made, or with all those of every source. Edit.Still says who names the
	// pattern after it.
	RemoveEntries(ctx context.Context, list string, patterns []string, all bool) ([]Edit, error)
	// Import adds what a file says, as one change, or with DryRun says what it would do.
	Import(ctx context.Context, q ImportQuery, file io.Reader) (*ImportReport, error)
	// Feeds says how the lists are that others keep; FetchFeed fetches one now, AcceptFeed makes what is held count.
	Feeds(ctx context.Context) ([]FeedStatus, error)
	FetchFeed(ctx context.Context, list string) (*FeedStatus, error)
	AcceptFeed(ctx context.Context, list string) (*FeedStatus, error)
	// Changes calls yield for each change to a list that is kept, or to any list, the oldest first.
	Changes(ctx context.Context, list string, yield func(ListChange) error) error
	// History calls yield for each change that is kept of a pattern, in any spelling, the oldest first.
	History(ctx context.Context, pattern string, yield func(ListHistory) error) error
	// Undo makes a change undone. The ID of what comes back is 0 if there was nothing left to undo.
	Undo(ctx context.Context, id uint64) (*ListChange, error)

	// Lines calls yield for each line of the database that is asked for, by their names.
	Lines(ctx context.Context, q LineQuery, yield func(Line) error) error
	// AddLines makes lines, all or, when one cannot be, none. SetLine changes one. RemoveLines takes lines away, with all that is theirs alone until
	// an undo brings them back. Each is one change, and counts from the next call on.
	AddLines(ctx context.Context, add []LineSet) ([]LineEdit, error)
	SetLine(ctx context.Context, set LineSet) (*LineEdit, error)
	RemoveLines(ctx context.Context, names []string) ([]LineEdit, error)
	// ImportLines makes the lines of a file what it says of them, as one change, or with DryRun says what it would do.
	ImportLines(ctx context.Context, q LineImport, file io.Reader) (*LineReport, error)
	// LineHistory calls yield for each change that is kept of a line, the oldest first. Changes to all lines are Changes of LineTable.
	LineHistory(ctx context.Context, name string, yield func(LineHistory) error) error

	// Backup writes a consistent copy of the database.
	Backup(ctx context.Context, w io.Writer) error
	// Verify reads all of the database and holds it against itself.
	Verify(ctx context.Context) (*VerifyReport, error)

	// Journal calls yield for each record asked for, newest first if q.Newest.
	Journal(ctx context.Context, q Query, yield func(Record) error) error
	// DeleteRecords removes the records asked for, of a caller or to a callee.
	DeleteRecords(ctx context.Context, q Query) (*Deleted, error)
	// Forget takes all that is held of a number away, or with DryRun says what there is.
	Forget(ctx context.Context, q ForgetQuery) (*ForgetReport, error)
	// Held calls yield for each thing that is held of a number.
	Held(ctx context.Context, q HeldQuery, yield func(Held) error) error
	// Known calls yield for each pair of a line and a number that it deals with, by lines and then numbers.
	Known(ctx context.Context, q KnownQuery, yield func(Acquaintance) error) error
	// ImportKnown makes the numbers of a file known to lines, or with DryRun says what would become known.
	ImportKnown(ctx context.Context, q KnownImport, file io.Reader) (*KnownReport, error)
	// ForgetKnown makes a number unknown to a line, or to all.
	ForgetKnown(ctx context.Context, q KnownForget) (*KnownForgotten, error)
	// Usage calls yield for each day and line that had calls, by days and then customers.
	Usage(ctx context.Context, q UsageQuery, yield func(Usage) error) error
	// Follow calls yield for each record from now on, until ctx ends. It calls joined, if there is one, as soon as none is missed any more.
	Follow(ctx context.Context, joined func(), yield func(Record) error) error

	// Reports calls yield for each report of a state, or for all (""): those that weigh most first.
	Reports(ctx context.Context, q ReportsQuery, yield func(Report) error) error
	// Report adds a report, or counts it if the same customer reported the same caller before and nobody has decided.
	Report(ctx context.Context, r NewReport) (*ReportEdit, error)
	// ShowReport gives a report with what there is to decide it by.
	ShowReport(ctx context.Context, id string) (*ReportEvidence, error)
	// ConfirmReport puts the caller on the list blacklist, or with prefix the range that ShowReport proposes; DismissReport closes the report;
	// LiftReport takes what was listed off again.
	ConfirmReport(ctx context.Context, id string, prefix bool) (*ReportEdit, error)
	DismissReport(ctx context.Context, id string) (*ReportEdit, error)
	LiftReport(ctx context.Context, id string) (*ReportEdit, error)

	// FitScore proposes weights of the score by the reports that were decided. It sets nothing.
	FitScore(ctx context.Context, q FitQuery) (*ScoreFit, error)

	// Detectors are those of the policy. Breakers calls yield for each breaker that is not closed or that a person holds, and with All for
	// each that counts something.
	Detectors(ctx context.Context) ([]Detector, error)
	Breakers(ctx context.Context, q BreakerQuery, yield func(Breaker) error) error
	// ResetBreaker closes a breaker and has it count from nothing. PinBreaker holds it PinOpen or PinShut, also one that has counted
	// nothing yet, until UnpinBreaker. When they return without an error that is on disk.
	ResetBreaker(ctx context.Context, b BreakerName) (*BreakerEdit, error)
	PinBreaker(ctx context.Context, b BreakerName, how string) (*BreakerEdit, error)
	UnpinBreaker(ctx context.Context, b BreakerName) (*BreakerEdit, error)

	Reload(ctx context.Context) (*ReloadReport, error)
	Pause(ctx context.Context, d time.Duration) (*PauseState, error) // 0: until Resume
	Resume(ctx context.Context) (*PauseState, error)
	Status(ctx context.Context) (*Status, error)

	// Cluster says how this node stands with the others that have the same lists; ErrNotFound where it has none. LeaveCluster takes one out that has
	// gone for good, and says how things are then.
	Cluster(ctx context.Context) (*ClusterReport, error)
	LeaveCluster(ctx context.Context, node string) (*ClusterReport, error)
	// DecideHeld has a change of another node that waits be taken, or refused on all nodes.
	DecideHeld(ctx context.Context, id int, take bool) (*ClusterReport, error)
	// UndoNode undoes what another node did to lists since a time, the latest first.
	UndoNode(ctx context.Context, node string, q ClusterUndo) (*ClusterUndone, error)
}

// CheckQuery is a call to try.
type CheckQuery struct {
	Caller   string `json:"caller"`
	Callee   string `json:"callee,omitempty"`
	Trunk    string `json:"trunk,omitempty"`
	Name     string `json:"name,omitempty"`
	At       string `json:"at,omitempty"` // 2026-11-24T20:00, with or without a zone; without it is the policy's; "" is now
	Withheld bool   `json:"withheld,omitempty"`

	// Policy is the text of a policy to try instead of the running one, PolicyFile the name that its
	// faults are reported under.
	Policy     string `json:"policy,omitempty"`
	PolicyFile string `json:"policy_file,omitempty"`
}

// CheckReport is what would happen to a call, and why.
type CheckReport struct {
	Caller    CallerReport `json:"caller"`
	Callee    string       `json:"callee"`
	Line      string       `json:"line"`
	Customer  string       `json:"customer,omitempty"` // whose the line is, where that is not its name
	Trunk     string       `json:"trunk"`
	Action    string       `json:"action"`
	Would     string       `json:"would"`
	Rule      string       `json:"rule"`
	Reason    string       `json:"reason"`
	Mode      string       `json:"mode"`
	SIP       int          `json:"sip,omitempty"`
	Label     string       `json:"label,omitempty"`
	Paused    bool         `json:"paused,omitempty"`
	Steps     []Step       `json:"steps"`
	Detectors []Finding    `json:"detectors"`
	Lists     []OnList     `json:"lists"`

	Holder string   `json:"holder,omitempty"` // of the caller's range, by [ranges]
	Score  float64  `json:"score,omitzero"`   // where a rule asks it: the sum of its terms
	Terms  []string `json:"terms,omitempty"`  // "decoys +6: 2 lines that nobody has"
}

// CallerReport is a number as it was read.
type CallerReport struct {
	Raw    string   `json:"raw"`
	E164   string   `json:"e164"`
	Kind   string   `json:"kind"`
	Kinds  []string `json:"kinds"`
	Reason string   `json:"reason,omitempty"` // why it is invalid

	Journal string `json:"journal,omitempty"` // how a private journal names it
}

// Step is one rule that was tried.
type Step struct {
	Rule    string `json:"rule"`
	Matched bool   `json:"matched"`
	Why     string `json:"why"`
}

// OnList is a list the caller is on.
type OnList struct {
	List    string `json:"list"`
	Pattern string `json:"pattern"`
	Reason  string `json:"reason"`
	Source  string `json:"source,omitempty"`
	Holds   string `json:"holds,omitempty"` // the number on the list, if it is one within a text that is no number: it counts for rules that refuse
}

// ListSummary describes a list.
type ListSummary struct {
	List    string    `json:"list"`
	Entries int       `json:"entries"`
	Records int       `json:"records"` // what their sources say, at least one each
	Created time.Time `json:"created"`
	Changed time.Time `json:"changed"`

	// Of own lists of lines of the database, which are one for each name, as line:blacklist: how many lines have entries, and how many entries are
	// of lines that were removed, which count for nothing until their line is back.
	Lines int `json:"lines,omitempty"`
	Gone  int `json:"gone,omitempty"`
}

// ListEntry is one entry of a list.
type ListEntry struct {
	List    string    `json:"list"`
	Number  string    `json:"number"` // the pattern in its canonical form
	Reason  string    `json:"reason"`
	Source  string    `json:"source,omitempty"`
	Who     string    `json:"who,omitempty"`
	Added   time.Time `json:"added"`
	Expires time.Time `json:"expires,omitzero"`
	Hits    uint64    `json:"hits,omitempty"`    // calls that it decided
	LastHit time.Time `json:"last_hit,omitzero"` // when it did last
	From    string    `json:"from,omitempty"`    // who says so: person, report, import or feed

	// Records is what each source says, if they are several: a person's first, then those with a reason, then the newest. What is above is of
	// the first of them that has not expired.
	Records []ListRecord `json:"records,omitempty"`
}

// ListRecord is what one source says of an entry.
type ListRecord struct {
	From    string    `json:"from"` // person, report, import or feed
	Reason  string    `json:"reason"`
	Source  string    `json:"source,omitempty"`
	Who     string    `json:"who,omitempty"`
	Added   time.Time `json:"added"`
	Updated time.Time `json:"updated"`
	Expires time.Time `json:"expires,omitzero"`
}

// NewEntry is a pattern to add, in any spelling.
type NewEntry struct {
	Number  string    `json:"number"`
	Reason  string    `json:"reason,omitempty"`
	Source  string    `json:"source,omitempty"`
	Who     string    `json:"who,omitempty"` // of old clients; nobody believes it
	Expires time.Time `json:"expires,omitzero"`
}

// Edit is what became of one pattern: added, updated, unchanged, removed, absent or refused.
type Edit struct {
	List   string `json:"list"`
	Number string `json:"number"` // canonical; as it was written if refused
	Change string `json:"change"`
	Why    string `json:"why,omitempty"` // of a refused one
	// Warning says what is probably not meant by an entry that went in nevertheless, as the rest of a sentence that begins with it.
	Warning string `json:"warning,omitempty"`
	// Still names the sources that have a pattern that was to be removed on the list nevertheless.
	Still []string `json:"still,omitempty"`
	// ID is that of the change that this was part of, which undo takes; 0: nothing was changed.
	ID uint64 `json:"id,omitempty"`
	// Reason and Expires are what a dry run would write; nothing of an entry whose reason or expiry the file does not say.
	Reason  string    `json:"reason,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
}

// Refused is the Change of a pattern that cannot be read.
const Refused = "refused"

// ReloadReport is what came of reading the policy again. With a fault that is not a warning the running
// policy stayed.
type ReloadReport struct {
	File   string  `json:"file"`
	Loaded bool    `json:"loaded"`
	Rules  int     `json:"rules"`
	Faults []Fault `json:"faults"`
}

// Deleted says what was removed from the journal.
type Deleted struct {
	Records int `json:"records"`
}

// Fault is a fault or a warning of a policy file.
type Fault struct {
	Text    string `json:"text"` // FILE:LINE: key: what is wrong
	Warning bool   `json:"warning"`
}

// PauseState reports whether screening is paused: every call passes and is recorded.
type PauseState struct {
	Paused bool      `json:"paused"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"` // zero while paused: until somebody resumes
}

// Status is a look at the running daemon.
type Status struct {
	Version string    `json:"version"`
	Node    string    `json:"node"`
	Started time.Time `json:"started"`
	Screen  string    `json:"screen"`            // where the switch connects
	AGI     string    `json:"agi,omitempty"`     // where Asterisk connects; "" for nowhere
	Console string    `json:"console,omitempty"` // where browsers and scripts come to; "" for nowhere
	Policy  string    `json:"policy"`
	Loaded  time.Time `json:"policy_loaded"`
	Mode    string    `json:"mode"`
	// PolicyRefused says that the policy file, as it was when it was last read, is not in force. Nil: it is.
	PolicyRefused *PolicyRefused    `json:"policy_refused,omitempty"`
	Pause         PauseState        `json:"pause"`
	Alerts        []AlertStatus     `json:"alerts,omitempty"` // what is wrong now
	Calls         uint64            `json:"calls"`
	InHand        int               `json:"in_hand"`
	FailOpen      map[string]uint64 `json:"fail_open"`
	Nameless      uint64            `json:"nameless,omitempty"`   // of those let through: connections that named no call, and have no record
	Unrecorded    uint64            `json:"unrecorded,omitempty"` // calls that ended without having come to the daemon, and had no room for a record
	Held          map[string]int    `json:"held,omitempty"`       // calls that hear an announcement now, by trunk
	Overflow      uint64            `json:"overflow,omitempty"`   // calls that there was no room for
	Dismissed     uint64            `json:"dismissed,omitempty"`  // calls that gave way to another one
	Lists         ListsStatus       `json:"lists"`
	Journal       JournalStatus     `json:"journal"`
	Attached      []AttachStatus    `json:"attached,omitempty"`
	Feeds         []FeedStatus      `json:"feeds,omitempty"`
	Learnt        LearntStatus      `json:"learnt"`
	Reports       ReportStatus      `json:"reports"`
	Lines         int               `json:"lines,omitempty"`     // of the database
	Customers     *CustomersStatus  `json:"customers,omitempty"` // nil where no line is in the database
	Detectors     DetectorsStatus   `json:"detectors,omitzero"`
	Cluster       *ClusterReport    `json:"cluster,omitempty"` // nil where there is none
	// Counters are all others that there are, by name, as in screen.refused_peer: what was skipped, dropped or refused.
	Counters map[string]uint64 `json:"counters,omitempty"`
}

// Count sets a counter; one that has counted nothing is left out.
func (s *Status) Count(name string, n uint64) {
	if n == 0 {
		return
	}
	if s.Counters == nil {
		s.Counters = make(map[string]uint64)
	}
	s.Counters[name] = n
}

// PolicyRefused is a policy file that was refused.
type PolicyRefused struct {
	At     time.Time `json:"at"`
	Faults []string  `json:"faults"`         // one at least, 20 at most
	More   int       `json:"more,omitempty"` // faults besides these
	// LastGood is when the policy that is in force was taken, if the daemon was started with the last good one; else zero: the one that
	// was in force when the file was refused stays.
	LastGood time.Time `json:"last_good,omitzero"`
}

// Summary is its first fault, and how many more there are.
func (r *PolicyRefused) Summary() string {
	if n := len(r.Faults) - 1 + r.More; n > 0 {
		return fmt.Sprintf("%s; and %d more", r.Faults[0], n)
	}
	return r.Faults[0]
}

// AlertStatus is something that is wrong now, of which a person is told.
type AlertStatus struct {
	Kind    string    `json:"kind"` // start, fail-open, policy, feed, attach, journal, trip, notice, console or cluster
	Subject string    `json:"subject,omitempty"`
	Text    string    `json:"text"`
	Since   time.Time `json:"since"`
	Calls   uint64    `json:"calls,omitempty"` // that passed unscreened by it
}

// LearntStatus counts what calls have taught.
type LearntStatus struct {
	Known      int64  `json:"known"`               // pairs of a line and a number that is known to it
	Emergency  int64  `json:"emergency,omitempty"` // who dialled an emergency number lately
	Unwritten  int    `json:"unwritten,omitempty"` // facts that wait for the disk
	Dropped    uint64 `json:"dropped"`             // facts that the disk was too slow for: forgotten at the next start
	Full       uint64 `json:"full"`                // facts that there was no room for
	Extensions int    `json:"extensions"`          // with a last call that can be reported
	Over       uint64 `json:"over,omitempty"`      // last calls that there was no room for

	Challenged ChallengedStatus `json:"challenged,omitzero"`
}

// ChallengedStatus counts what is remembered from challenges, and how often the oldest gave way because a table was full.
type ChallengedStatus struct {
	Passes     int    `json:"passes"` // callers who passed, each on a line
	Tries      int    `json:"tries"`  // callers who keyed in nothing, each on calls to a number
	PassesFull uint64 `json:"passes_full,omitempty"`
	TriesFull  uint64 `json:"tries_full,omitempty"`
}

// ReportStatus counts the reports.
type ReportStatus struct {
	Open    int `json:"open"`
	Decided int `json:"decided"`
}

// AttachStatus is the state of the connection to a switch's event socket, or to Asterisk's manager.
type AttachStatus struct {
	Name     string `json:"name"`
	Attached bool   `json:"attached"`
	Trouble  string `json:"trouble,omitempty"` // what is in the way, or wrong though it is attached
}

// ListsStatus is the state of the lists in memory.
type ListsStatus struct {
	Entries     int      `json:"entries"`
	Unread      []string `json:"unread,omitempty"`       // lists that are still being read: calls that a rule asks them for pass
	WithoutText int      `json:"without_text,omitempty"` // entries whose reason and source found no room in memory
	HitsDropped uint64   `json:"hits_dropped,omitempty"` // calls whose hit was not written to their entry
}

// JournalStatus is the state of the journal's writer.
type JournalStatus struct {
	Written uint64 `json:"written"`
	Dropped uint64 `json:"dropped"`
	Error   string `json:"error,omitempty"`
}
