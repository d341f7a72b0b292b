package console

import "time"

// What became of a report (Report.State).
const (
	ReportOpen      = "open"      // nobody has looked at it yet
	ReportConfirmed = "confirmed" // the caller was put on a list for it
	ReportDismissed = "dismissed" // nothing came of it
)

// Report says that somebody found a caller a nuisance. It waits for a person to decide.
type Report struct {
	ID        string    `json:"id"`
	Time      time.Time `json:"time"` // when it was made
	Caller    Caller    `json:"caller"`
	Extension string    `json:"extension"` // who made it
	Line      string    `json:"line"`      // the line that was called
	Call      string    `json:"call"`      // the journal's id of the call, "" if it is not known
	State     string    `json:"state"`
	Repeats   int       `json:"repeats"`       // how often it was made again while it was open
	Last      time.Time `json:"last,omitzero"` // when it was made the last time; zero without repeats
	Who       string    `json:"who,omitempty"` // who decided
	Decided   time.Time `json:"decided,omitzero"`
}
