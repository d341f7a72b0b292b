package console

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"
)

// AllLines stands for all lines that the policy has now.
const AllLines = "all"

// KnownQuery asks whom lines deal with.
type KnownQuery struct {
	Line   string // "": all lines
	Caller string // only this number, in any spelling
}

// Acquaintance is a number that a line deals with.
type Acquaintance struct {
	Line   string    `json:"line"`
	Number string    `json:"number"` // of a private installation a name of it, which begins with PrivateMark
	Last   time.Time `json:"last"`   // when it was known last
}

// KnownImport says how a file of acquaintances is to be taken in.
type KnownImport struct {
	File    string   // its name, for the record
	Format  string   // of listfile, or calls; "": what it looks like
	Lines   []string // to whom; AllLines alone for all. Of calls: only these lines, and whom phones on no line called. None: those that the calls name
	Columns []string // of a table: number=COLUMN; of calls caller=, callee=, time=, talk=, answered=, trunk=
	DryRun  bool     // only say what would become known

	Encoding   string // its name on the web, as gbk; "": what the file shows
	TimeFormat string // of calls: how times are written, as strftime has it
	Zone       string // of calls: the clock of times without an offset; "": the policy's
}

// FormatCalls is the Format of call detail records, and of journals.
const FormatCalls = "calls"

// KnownReport is what an import of acquaintances did, or would do. What is counted are pairs of a line and a number.
type KnownReport struct {
	Format    string   `json:"format"`
	Columns   string   `json:"columns,omitempty"` // of a table, what was read from which, for people
	Lines     []string `json:"lines,omitempty"`   // to whom; of calls only those that were asked for
	DryRun    bool     `json:"dry_run,omitempty"`
	Calls     uint64   `json:"calls,omitempty"` // that were read
	Added     int      `json:"added"`
	Newer     int      `json:"newer"`     // were known by something older
	Unchanged int      `json:"unchanged"` // were known by as much already
	TooOld    int      `json:"too_old"`   // longer ago than is kept
	NoRoom    int      `json:"no_room"`   // the table is full
	// NoLine are calls from phones that are on no line.
	NoLine   int            `json:"no_line,omitempty"`
	Refused  int            `json:"refused"`
	Refusals []Refusal      `json:"refusals"` // the first 1000
	Warnings []string       `json:"warnings"`
	Would    []Acquaintance `json:"would,omitempty"`   // the first 1000 of a dry run that would become known
	Missing  []Acquaintance `json:"missing,omitempty"` // the first 1000 that found no room
}

// KnownForget says who is to be no acquaintance any more.
type KnownForget struct {
	Number string `json:"number"`         // in any spelling, or the name that a private installation has of it
	Line   string `json:"line,omitempty"` // "": of no line
}

// KnownForgotten is whose acquaintance a number is no more.
type KnownForgotten struct {
	Number string   `json:"number"`
	Lines  []string `json:"lines"`
}

// serveKnown serves acquaintances.
func serveKnown(mux *routes, d Desk) {
	mux.HandleFunc("GET /api/v1/known", func(w http.ResponseWriter, r *http.Request) {
		v := r.URL.Query()
		stream(w, func(yield func(any) error) error {
			return d.Known(r.Context(), KnownQuery{Line: v.Get("line"), Caller: v.Get("caller")}, func(a Acquaintance) error { return yield(a) })
		})
	})
	mux.HandleFunc("POST /api/v1/known/import", takeFile("file format line column encoding time_format zone", "dry_run", func(r *http.Request, v url.Values) (any, error) {
		return d.ImportKnown(r.Context(), KnownImport{
			File: v.Get("file"), Format: v.Get("format"), Lines: v["line"], Columns: v["column"], DryRun: v.Get("dry_run") == "true",
			Encoding: v.Get("encoding"), TimeFormat: v.Get("time_format"), Zone: v.Get("zone"),
		}, r.Body)
	}))
	mux.HandleFunc("POST /api/v1/known/forget", answer(func(r *http.Request, q KnownForget) (any, error) { return d.ForgetKnown(r.Context(), q) }))
}

func (c *Client) Known(ctx context.Context, q KnownQuery, yield func(Acquaintance) error) error {
	return lines(ctx, c, "known?"+url.Values{"line": {q.Line}, "caller": {q.Caller}}.Encode(), yield)
}

func (c *Client) ImportKnown(ctx context.Context, q KnownImport, file io.Reader) (*KnownReport, error) {
	v := url.Values{
		"file": {q.File}, "format": {q.Format}, "line": q.Lines, "column": q.Columns,
		"encoding": {q.Encoding}, "time_format": {q.TimeFormat}, "zone": {q.Zone},
	}
	if q.DryRun {
		v.Set("dry_run", "true")
	}
	return upload[KnownReport](ctx, c, "known/import?"+v.Encode(), file)
}

func (c *Client) ForgetKnown(ctx context.Context, q KnownForget) (*KnownForgotten, error) {
	return call[*KnownForgotten](ctx, c, "POST", "known/forget", q)
}
