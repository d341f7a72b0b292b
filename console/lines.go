package console

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// LineTable stands for the lines where changes name a list.
const LineTable = "line:"

// What became of a line. Refused is that of a row of a file.
const (
	LineAdded     = "added"
	LineUpdated   = "updated"
	LineUnchanged = "unchanged"
	LineRemoved   = "removed"
	LineAbsent    = "absent"
)

// Line is a line that lives in the database, a group of called numbers with what its customer has chosen.
type Line struct {
	Name     string    `json:"name"`
	Numbers  []string  `json:"numbers"`  // patterns in their canonical form
	Customer string    `json:"customer"` // whose it is; the line's name where nobody says
	Profile  string    `json:"profile,omitempty"`
	Mode     string    `json:"mode"` // enforce, observe or off
	Timezone string    `json:"timezone,omitempty"`
	Language string    `json:"language,omitempty"`
	Notify   string    `json:"notify,omitempty"`
	Note     string    `json:"note,omitempty"`
	Source   string    `json:"source,omitempty"` // the import that keeps it, and takes it away when its file no longer names it
	Who      string    `json:"who,omitempty"`    // who changed it last, and by which way
	From     string    `json:"from,omitempty"`
	Added    time.Time `json:"added"`
	Updated  time.Time `json:"updated"`
}

// LineSet says what of a line shall be. What is null stays as it is, and of a new line is what it is without being said. Numbers come in any
// spelling.
type LineSet struct {
	Name     string    `json:"name"`
	Numbers  *[]string `json:"numbers,omitempty"`
	Add      []string  `json:"add,omitempty"`  // numbers besides those that it has
	Drop     []string  `json:"drop,omitempty"` // numbers that it shall no longer have
	Customer *string   `json:"customer,omitempty"`
	Profile  *string   `json:"profile,omitempty"`
	Mode     *string   `json:"mode,omitempty"`
	Timezone *string   `json:"timezone,omitempty"`
	Language *string   `json:"language,omitempty"`
	Notify   *string   `json:"notify,omitempty"`
	Note     *string   `json:"note,omitempty"`
}

// LineEdit is what became of a line: added, updated, unchanged, removed or absent.
type LineEdit struct {
	Name   string `json:"name"`
	Change string `json:"change"`
	ID     uint64 `json:"id,omitempty"` // of the change, which undo takes
	// What says what changed, as "profile strict → label", one each.
	What     []string `json:"what,omitempty"`
	Warnings []string `json:"warnings,omitempty"` // what is probably not meant, or has consequences
}

// LineQuery says which lines are asked for; "" is any.
type LineQuery struct {
	Name     string
	Customer string
	Profile  string
}

// LineHistory is what a change did to a line.
type LineHistory struct {
	Change ListChange `json:"change"`
	Name   string     `json:"name"`
	Before *Line      `json:"before"` // null: it was not there
	After  *Line      `json:"after"`
}

// LineImport says how a file of lines is to be imported.
type LineImport struct {
	File    string // its name, for the record
	Format  string // "": a table with the columns of LineColumns; FormatFusionPBX
	Source  string // what keeps the lines of the file from now on; "": nothing, and those that another import keeps stay its own
	Whole   bool   // lines of the source that the file does not name go
	DryRun  bool   // only say what would be done
	Strict  bool   // do nothing if a row is refused
	Force   bool   // also where more of the source's lines would go than MaxLinesGone
	Profile string // of new lines, where the file says none
	Mode    string // the same

	Columns  []string // WHAT=COLUMN: which column holds what, by its name in the header or its place from 1
	Encoding string   // its name on the web, as gbk; "": what the file shows
}

// FormatFusionPBX is the export of FusionPBX's destinations.
const FormatFusionPBX = "fusionpbx"

// MaxLinesGone is which share of a source's lines a whole import may take away, where there are LinesGoneFloor at least.
const (
	MaxLinesGone   = 0.3
	LinesGoneFloor = 20
)

// LineReport is what an import of lines did, or would do.
type LineReport struct {
	Format    string        `json:"format"`  // table or fusionpbx
	Columns   string        `json:"columns"` // what was read from which, for people
	Source    string        `json:"source,omitempty"`
	Change    uint64        `json:"change,omitempty"` // what undo takes; 0: nothing changed
	DryRun    bool          `json:"dry_run,omitempty"`
	Strict    bool          `json:"strict,omitempty"` // nothing was done, because rows were refused
	Lines     int           `json:"lines"`            // that the file names, without those that are refused
	Numbers   int           `json:"numbers"`          // of these
	Added     int           `json:"added"`
	Updated   int           `json:"updated"`
	Unchanged int           `json:"unchanged"`
	Removed   int           `json:"removed"`
	Given     int           `json:"given,omitempty"` // of those updated, how many belong to another customer now
	Skipped   int           `json:"skipped,omitempty"`
	Refused   int           `json:"refused"` // lines of the file that stay as they are, and rows that name none
	Refusals  []LineRefusal `json:"refusals"`
	Warnings  []string      `json:"warnings"`
	Would     []LineEdit    `json:"would,omitempty"` // the first 1000 of a dry run
}

// LineRefusal says why a line of a file stays as it is.
type LineRefusal struct {
	Row  int    `json:"row"` // the line of the file, from 1
	Name string `json:"name"`
	Why  string `json:"why"`
}

// maxLineEdits is how many lines one request may add or remove.
const maxLineEdits = 10_000

// serveLines adds the paths of what is here.
func serveLines(mux *routes, d Desk) {
	mux.HandleFunc("GET /api/v1/lines", func(w http.ResponseWriter, r *http.Request) {
		v := r.URL.Query()
		stream(w, func(yield func(any) error) error {
			return d.Lines(r.Context(), LineQuery{Customer: v.Get("customer"), Profile: v.Get("profile")}, func(l Line) error { return yield(l) })
		})
	})
	mux.HandleFunc("GET /api/v1/lines/{line}", func(w http.ResponseWriter, r *http.Request) {
		stream(w, func(yield func(any) error) error {
			return d.Lines(r.Context(), LineQuery{Name: r.PathValue("line")}, func(l Line) error { return yield(l) })
		})
	})
	mux.HandleFunc("POST /api/v1/lines", answer(func(r *http.Request, add []LineSet) (any, error) {
		if len(add) > maxLineEdits {
			return nil, Bad(fmt.Sprintf("%d lines at once: at most %d go in one request; import a file", len(add), maxLineEdits))
		}
		e, err := d.AddLines(r.Context(), add)
		return nonNil(e), err
	}))
	mux.HandleFunc("PATCH /api/v1/lines/{line}", answer(func(r *http.Request, set LineSet) (any, error) {
		if set.Name != "" && set.Name != r.PathValue("line") {
			return nil, Bad("a line keeps its name: leave name out, or add a line of the new name and remove this one")
		}
		set.Name = r.PathValue("line")
		return d.SetLine(r.Context(), set)
	}))
	mux.HandleFunc("DELETE /api/v1/lines", answer(func(r *http.Request, names []string) (any, error) {
		if len(names) > maxLineEdits {
			return nil, Bad(fmt.Sprintf("%d lines at once: at most %d go in one request", len(names), maxLineEdits))
		}
		e, err := d.RemoveLines(r.Context(), names)
		return nonNil(e), err
	}))
	mux.HandleFunc("POST /api/v1/lines/import", takeFile("file format source profile mode column encoding", "whole dry_run strict force", func(r *http.Request, v url.Values) (any, error) {
		return d.ImportLines(r.Context(), LineImport{
			File: v.Get("file"), Format: v.Get("format"), Source: v.Get("source"), Profile: v.Get("profile"), Mode: v.Get("mode"),
			Columns: v["column"], Encoding: v.Get("encoding"),
			Whole: v.Get("whole") == "true", DryRun: v.Get("dry_run") == "true", Strict: v.Get("strict") == "true", Force: v.Get("force") == "true",
		}, r.Body)
	}))
	mux.HandleFunc("GET /api/v1/lines/{line}/changes", func(w http.ResponseWriter, r *http.Request) {
		stream(w, func(yield func(any) error) error {
			return d.LineHistory(r.Context(), r.PathValue("line"), func(h LineHistory) error { return yield(h) })
		})
	})
}

func (c *Client) Lines(ctx context.Context, q LineQuery, yield func(Line) error) error {
	if q.Name != "" {
		return lines(ctx, c, "lines/"+url.PathEscape(q.Name), yield)
	}
	return lines(ctx, c, "lines?"+url.Values{"customer": {q.Customer}, "profile": {q.Profile}}.Encode(), yield)
}

func (c *Client) AddLines(ctx context.Context, add []LineSet) ([]LineEdit, error) {
	return call[[]LineEdit](ctx, c, "POST", "lines", add)
}

func (c *Client) SetLine(ctx context.Context, set LineSet) (*LineEdit, error) {
	return call[*LineEdit](ctx, c, "PATCH", "lines/"+url.PathEscape(set.Name), set)
}

func (c *Client) RemoveLines(ctx context.Context, names []string) ([]LineEdit, error) {
	return call[[]LineEdit](ctx, c, "DELETE", "lines", names)
}

func (c *Client) ImportLines(ctx context.Context, q LineImport, file io.Reader) (*LineReport, error) {
	v := url.Values{
		"file": {q.File}, "format": {q.Format}, "source": {q.Source}, "profile": {q.Profile}, "mode": {q.Mode}, "column": q.Columns, "encoding": {q.Encoding},
	}
	for name, on := range map[string]bool{"whole": q.Whole, "dry_run": q.DryRun, "strict": q.Strict, "force": q.Force} {
		if on {
			v.Set(name, "true")
		}
	}
	return upload[LineReport](ctx, c, "lines/import?"+v.Encode(), file)
}

func (c *Client) LineHistory(ctx context.Context, name string, yield func(LineHistory) error) error {
	return lines(ctx, c, "lines/"+url.PathEscape(name)+"/changes", yield)
}
