package console

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// UsageQuery asks what came to the lines of customers. The zero value is all that the journal has.
type UsageQuery struct {
	Customer     string    // "": all
	Lines        []string  // one of which was called; nil: any. Of who is bound to lines (package access): no request says it
	Since, Until time.Time // in milliseconds: Since is included, Until is not. Zero: no bound
}

// Usage is what came to a line on a day, by the policy's clock. Each call is in one of the counts of what was done.
type Usage struct {
	Customer   string `json:"customer"`
	Line       string `json:"line"`
	Day        string `json:"day"` // 2026-11-01
	Calls      int    `json:"calls"`
	LetThrough int    `json:"let_through"`
	Labelled   int    `json:"labelled"`
	Warned     int    `json:"warned"`
	Challenged int    `json:"challenged"`
	Diverted   int    `json:"diverted"`
	Rejected   int    `json:"rejected"`
	// Would are those let through that would have been refused, asked for digits or diverted, if nothing had been on trial, off or failed.
	Would int `json:"would_have_been_stopped"`
}

// AppendUsageHeader appends the first line of usage as CSV.
func AppendUsageHeader(dst []byte) []byte {
	return append(dst, "customer,line,day,calls,let_through,labelled,warned,challenged,diverted,rejected,would_have_been_stopped\n"...)
}

// AppendCSV appends the usage as one line of CSV, in which no cell begins a formula; see Record.AppendCSV.
func (u *Usage) AppendCSV(dst []byte) []byte {
	for _, text := range [...]string{u.Customer, u.Line, u.Day} {
		dst = append(appendCell(dst, text), ',')
	}
	for i, n := range [...]int{u.Calls, u.LetThrough, u.Labelled, u.Warned, u.Challenged, u.Diverted, u.Rejected, u.Would} {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(n), 10)
	}
	return append(dst, '\n')
}

// serveUsage serves what came to the lines of customers.
func serveUsage(mux *routes, d Desk) {
	mux.HandleFunc("GET /api/v1/usage", func(w http.ResponseWriter, r *http.Request) {
		q, err := journalQuery(r)
		if err != nil {
			writeError(w, err)
			return
		}
		stream(w, func(yield func(any) error) error {
			return d.Usage(r.Context(), UsageQuery{Customer: q.Customer, Since: q.Since, Until: q.Until}, func(u Usage) error { return yield(u) })
		})
	})
}

func (c *Client) Usage(ctx context.Context, q UsageQuery, yield func(Usage) error) error {
	v := url.Values{"customer": {q.Customer}}
	for name, t := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !t.IsZero() {
			v.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	return lines(ctx, c, "usage?"+v.Encode(), yield)
}

// CustomersStatus is what came to the lines of customers today, by the policy's clock.
type CustomersStatus struct {
	Since     time.Time       `json:"since"`         // the day's begin
	Cut       bool            `json:"cut,omitempty"` // there were more calls than could be looked at in time: Since is later
	Customers int             `json:"customers"`     // who had calls
	Most      []CustomerCalls `json:"most,omitempty"`
}

// CustomerCalls is what came to the lines of one.
type CustomerCalls struct {
	Customer string `json:"customer"`
	Calls    int    `json:"calls"`
	Stopped  int    `json:"stopped"` // refused, or asked for digits that did not come
}
