package console

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// What became of a report (Report.State).
const (
	ReportOpen      = "open"      // nobody has looked at it yet
	ReportConfirmed = "confirmed" // the caller was put on a list for it
	ReportDismissed = "dismissed" // nothing came of it
	ReportLifted    = "lifted"    // it was confirmed, and the caller taken off the list again
)

// Report says that a customer found a caller a nuisance. It waits for a person to decide.
type Report struct {
	ID        string       `json:"id"`
	Time      time.Time    `json:"time"` // when it was made
	Caller    Caller       `json:"caller"`
	Extension string       `json:"extension"`          // who made it first
	Customer  string       `json:"customer,omitempty"` // whose it is: the line's
	Marks     []ReportMark `json:"marks,omitempty"`    // who made it, the latest last, 16 at most
	Line      string       `json:"line"`               // the line that was called
	Call      string       `json:"call"`               // the journal's id of the call, "" if it is not known
	State     string       `json:"state"`
	Weight    float64      `json:"weight,omitempty"` // what the marks of this caller count, by their age: each customer's 1 when it is new
	Repeats   int          `json:"repeats"`          // how often it was made again while it was open
	Last      time.Time    `json:"last,omitzero"`    // when it was made the last time; zero without repeats
	Who       string       `json:"who,omitempty"`    // who decided; "auto" for nobody
	Decided   time.Time    `json:"decided,omitzero"`
	Free      int          `json:"free,omitempty"` // how many of the last digits are free in what was listed
	Lifted    time.Time    `json:"lifted,omitzero"`
	LiftedBy  string       `json:"lifted_by,omitempty"`
}

// ReportsQuery says which reports to give; "" is all.
type ReportsQuery struct {
	State    string
	Customer string // whose they are
}

// ReportMark is one person's part in a report.
type ReportMark struct {
	Extension string    `json:"extension"`
	Time      time.Time `json:"time"`
	Call      string    `json:"call,omitempty"`
	Line      string    `json:"line,omitempty"` // the line that was called
}

// NewReport says that somebody found a caller a nuisance, by a call that rang lately.
type NewReport struct {
	Caller    string `json:"caller"`           // in any spelling
	Extension string `json:"extension"`        // who reports; Callee, if that is ""
	Callee    string `json:"callee,omitempty"` // the number that was called; the extension, if that is ""
	Call      string `json:"call,omitempty"`   // the journal's id of the call
}

// ReportEdit is a report and what became of it.
type ReportEdit struct {
	Report
	Change string `json:"change"`
	List   string `json:"list,omitempty"`   // of a confirmed or lifted one: the list that it is about
	Number string `json:"number,omitempty"` // and the entry there
	Note   string `json:"note,omitempty"`   // what else is to be known of it
}

// What became of a report (ReportEdit.Change).
const (
	Reported  = "reported"
	Repeated  = "repeated" // the same customer had reported the same caller already
	Confirmed = "confirmed"
	Dismissed = "dismissed"
	Lifted    = "lifted"
	AlreadySo = "unchanged" // it was decided so before
)

// ReportEvidence is a report with what there is to decide it by.
type ReportEvidence struct {
	Report
	Listed bool      `json:"listed"` // what was confirmed is on the list for it now
	Entry  string    `json:"entry,omitempty"`
	Since  time.Time `json:"since"` // from when on the journal was looked through
	Looked int       `json:"looked"`
	Cut    bool      `json:"cut,omitempty"` // there was more than could be looked through in time

	Did     CallsEvidence  `json:"calls"`              // what this caller did
	Around  *BlockEvidence `json:"around,omitempty"`   // the ten numbers that differ in the last digit
	Hundred *BlockEvidence `json:"hundred,omitempty"`  // the hundred that differ in the last two
	Others  []OtherReport  `json:"others,omitempty"`   // other reports of this caller, the newest first, 20 at most
	Known   []string       `json:"known_to,omitempty"` // lines that deal with him

	Customers  int     `json:"customers"`  // that marked him
	Reached    int     `json:"reached"`    // customers that talked with him or marked him
	Unwanted   float64 `json:"unwanted"`   // at least this share of them does not want him, with 95 %
	Confidence float64 `json:"confidence"` // the higher of that and the share of marked numbers around, by what was dismissed before

	Effect   Effect    `json:"effect"` // of confirming it
	Proposal *Proposal `json:"proposal,omitempty"`
	Why      string    `json:"no_proposal,omitempty"` // what is in the way of a range that has enough marks
}

// CallsEvidence is what one caller, or several, have done.
type CallsEvidence struct {
	Calls    int           `json:"calls"`
	Rang     int           `json:"rang"`
	Answered int           `json:"answered"`
	Short    int           `json:"short"` // of those answered, talked for at most 6 s
	Long     int           `json:"long"`  // talked longer than a minute
	TalkS    float64       `json:"talk_s"`
	Callees  int           `json:"callees"`
	Most     []CalleeCalls `json:"most,omitempty"` // whom they called most
	First    time.Time     `json:"first,omitzero"`
	Last     time.Time     `json:"last,omitzero"`
}

// CalleeCalls is a called number and how often it was called.
type CalleeCalls struct {
	Number string `json:"number"`
	Calls  int    `json:"calls"`
}

// BlockEvidence is what the numbers around a caller have done.
type BlockEvidence struct {
	Range   string  `json:"range"`
	Callers int     `json:"callers"` // numbers that called, or are marked
	Marked  int     `json:"marked"`  // of them, those that are marked or listed
	Share   float64 `json:"share"`   // at least this share of them is, with 95 %
	CallsEvidence
}

// OtherReport is another report of the same caller.
type OtherReport struct {
	ID       string    `json:"id"`
	Customer string    `json:"customer"`
	State    string    `json:"state"`
	Last     time.Time `json:"last"`
	Who      string    `json:"who,omitempty"`
	Decided  time.Time `json:"decided,omitzero"`
}

// Effect is what a listing would have done to the calls of the time that was looked through.
type Effect struct {
	Stops int `json:"stops"` // calls that rang
	Long  int `json:"long"`  // of them, talked longer than a minute
}

// Proposal is a range that has earned to be listed as a whole.
type Proposal struct {
	Range   string `json:"range"`
	Members int    `json:"members"` // of its numbers that are marked or listed
	Effect  Effect `json:"effect"`
}

// serveReports serves what people reported as a nuisance.
func serveReports(mux *routes, d Desk) {
	mux.HandleFunc("GET /api/v1/reports", func(w http.ResponseWriter, r *http.Request) {
		state := r.URL.Query().Get("state")
		switch state {
		case "", ReportOpen, ReportConfirmed, ReportDismissed, ReportLifted:
		default:
			writeError(w, Bad("state is not open, confirmed, dismissed or lifted"))
			return
		}
		stream(w, func(yield func(any) error) error {
			q := ReportsQuery{State: state, Customer: r.URL.Query().Get("customer")}
			return d.Reports(r.Context(), q, func(r Report) error { return yield(r) })
		})
	})
	mux.HandleFunc("GET /api/v1/reports/{id}", ask(func(r *http.Request) (any, error) { return d.ShowReport(r.Context(), r.PathValue("id")) }))
	mux.HandleFunc("POST /api/v1/reports", answer(func(r *http.Request, add NewReport) (any, error) {
		return d.Report(r.Context(), add)
	}))
	mux.HandleFunc("POST /api/v1/reports/{id}/confirm", answer(func(r *http.Request, q decisionQuery) (any, error) {
		return d.ConfirmReport(r.Context(), r.PathValue("id"), q.Prefix)
	}))
	mux.HandleFunc("POST /api/v1/reports/{id}/dismiss", answer(func(r *http.Request, q decisionQuery) (any, error) {
		return d.DismissReport(r.Context(), r.PathValue("id"))
	}))
	mux.HandleFunc("POST /api/v1/reports/{id}/lift", answer(func(r *http.Request, q decisionQuery) (any, error) {
		return d.LiftReport(r.Context(), r.PathValue("id"))
	}))
}

type decisionQuery struct {
	Who    string `json:"who,omitempty"`    // of old clients; nobody believes it
	Prefix bool   `json:"prefix,omitempty"` // of confirm: the proposed range
}

func (c *Client) Reports(ctx context.Context, q ReportsQuery, yield func(Report) error) error {
	return lines(ctx, c, "reports?"+url.Values{"state": {q.State}, "customer": {q.Customer}}.Encode(), yield)
}

func (c *Client) Report(ctx context.Context, r NewReport) (*ReportEdit, error) {
	return call[*ReportEdit](ctx, c, "POST", "reports", r)
}

func (c *Client) ShowReport(ctx context.Context, id string) (*ReportEvidence, error) {
	return call[*ReportEvidence](ctx, c, "GET", "reports/"+url.PathEscape(id), nil)
}

func (c *Client) ConfirmReport(ctx context.Context, id string, prefix bool) (*ReportEdit, error) {
	return call[*ReportEdit](ctx, c, "POST", "reports/"+url.PathEscape(id)+"/confirm", decisionQuery{Prefix: prefix})
}

func (c *Client) DismissReport(ctx context.Context, id string) (*ReportEdit, error) {
	return call[*ReportEdit](ctx, c, "POST", "reports/"+url.PathEscape(id)+"/dismiss", decisionQuery{})
}

func (c *Client) LiftReport(ctx context.Context, id string) (*ReportEdit, error) {
	return call[*ReportEdit](ctx, c, "POST", "reports/"+url.PathEscape(id)+"/lift", decisionQuery{})
}
