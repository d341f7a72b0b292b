package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// ForgetQuery says who is to be forgotten.
type ForgetQuery struct {
	Number string `json:"number"`           // in any spelling; a text that is no number as the journal has it; or a token of a private journal
	Lists  bool   `json:"lists,omitempty"`  // also entries of lists that are exactly this number
	Called bool   `json:"called,omitempty"` // also calls to it, where it is a number of one of your lines
	// Policies also takes away the policies that were in force and name it; that in force stays.
	Policies bool `json:"policies,omitempty"`
	DryRun   bool `json:"dry_run,omitempty"` // only say what there is
}

// ForgetReport says what was held of a number, and is not any more; with DryRun, what there is.
type ForgetReport struct {
	Number    string       `json:"number"` // as it was read
	DryRun    bool         `json:"dry_run,omitempty"`
	Calls     int          `json:"calls"`     // records of calls from it
	Called    int          `json:"called"`    // and of calls to it
	Mentions  int          `json:"mentions"`  // records of others' calls that named it, and do not any more
	Known     int          `json:"known"`     // lines that deal with it
	Passed    int          `json:"passed"`    // lines on which it passed a challenge
	Emergency int          `json:"emergency"` // that it may be called back by an emergency service
	Reports   int          `json:"reports"`   // marks, decided ones too
	History   int          `json:"history"`   // what is remembered of entries that it had on lists
	Breakers  int          `json:"breakers"`  // breakers of detectors that are its own
	Memory    int          `json:"memory"`    // what the running daemon knew of it
	Lists     []ForgetList `json:"lists"`     // where it is, or was, an entry
	// Policies are those that were in force, the latest first, whose text or note names it.
	Policies []ForgetPolicy `json:"policies,omitempty"`
	Notes    []string       `json:"notes,omitempty"` // what is to be done besides
}

// ForgetPolicy is a policy that was in force and names the number.
type ForgetPolicy struct {
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	InForce bool      `json:"in_force,omitempty"`
	Removed bool      `json:"removed"`
}

// ForgetList is an entry of a list that is exactly the number.
type ForgetList struct {
	List    string   `json:"list"`
	Number  string   `json:"number"`
	Sources []string `json:"sources"` // who says so
	Removed bool     `json:"removed"`
}

// HeldQuery asks what is held of a number.
type HeldQuery struct {
	Number string
	Since  time.Time // of calls: only from then on
}

// The kinds of what is held.
const (
	HeldCall      = "call"      // a record of the journal that names the number: as caller, called number, or else
	HeldKnown     = "known"     // a line deals with the number
	HeldPassed    = "passed"    // it passed a challenge on a line
	HeldEmergency = "emergency" // it dialled an emergency number
	HeldReport    = "report"    // somebody marked it as a nuisance
	HeldEntry     = "entry"     // it is on a list
	HeldChange    = "change"    // what a change did to its entry of a list
	HeldBehaviour = "behaviour" // what it did within a day, for the score
	HeldBreaker   = "breaker"   // a detector has a breaker for it, or counts something of it
	HeldLastCall  = "last call" // the running daemon knows it as the last caller of an extension
)

// Held is one thing that is held of a number. What goes with its kind is there, the rest is not.
type Held struct {
	Kind      string       `json:"kind"`
	Line      string       `json:"line,omitempty"`
	Extension string       `json:"extension,omitempty"`
	Last      time.Time    `json:"last,omitzero"` // when it was so last
	Call      *Record      `json:"call,omitempty"`
	Report    *Report      `json:"report,omitempty"`
	Entry     *ListEntry   `json:"entry,omitempty"`
	Change    *ListHistory `json:"change,omitempty"`
	Behaviour *Behaviour   `json:"behaviour,omitempty"`
	Breaker   *Breaker     `json:"breaker,omitempty"`
}

// Behaviour is what a caller did within the day before his last call.
type Behaviour struct {
	Calls      int `json:"calls"`
	Callees    int `json:"callees"` // called numbers, up to 32
	Decoys     int `json:"decoys"`  // of these, numbers that nobody has
	Short      int `json:"short"`   // calls over within 6 s of the answer
	Unanswered int `json:"unanswered"`
	Talks      int `json:"talks"` // of a minute and more
}

// serveForget serves what data protection asks for.
func serveForget(mux *routes, d Desk) {
	mux.HandleFunc("POST /api/v1/forget", answer(func(r *http.Request, q ForgetQuery) (any, error) { return d.Forget(r.Context(), q) }))
	mux.HandleFunc("GET /api/v1/held", func(w http.ResponseWriter, r *http.Request) {
		q := HeldQuery{Number: r.URL.Query().Get("number")}
		if text := r.URL.Query().Get("since"); text != "" {
			var err error
			if q.Since, err = time.Parse(time.RFC3339, text); err != nil {
				writeError(w, Bad("since is not a time like 2026-11-24T08:00:00Z"))
				return
			}
		}
		stream(w, func(yield func(any) error) error {
			return d.Held(r.Context(), q, func(h Held) error { return yield(h) })
		})
	})
}

func (c *Client) Forget(ctx context.Context, q ForgetQuery) (*ForgetReport, error) {
	resp, err := c.do(ctx, "POST", "forget", q) // a large journal takes its time
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var report ForgetReport
	if err := json.NewDecoder(resp.Body).Decode(&report); err != nil {
		return nil, fmt.Errorf("the daemon's answer cannot be read: %w", err)
	}
	return &report, nil
}

func (c *Client) Held(ctx context.Context, q HeldQuery, yield func(Held) error) error {
	v := url.Values{"number": {q.Number}}
	if !q.Since.IsZero() {
		v.Set("since", q.Since.UTC().Format(time.RFC3339Nano))
	}
	return lines(ctx, c, "held?"+v.Encode(), yield)
}
