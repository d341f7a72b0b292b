package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"ringfence/policy"
)

// By says who asks, and by which way; both may be empty. It travels in the context.
type By struct {
	Who  string // a login name
	From string // command line, API
}

type byKey struct{}

// WithBy says in a context who asks.
func WithBy(ctx context.Context, by By) context.Context { return context.WithValue(ctx, byKey{}, by) }

// ByOf is what WithBy said.
func ByOf(ctx context.Context) By {
	by, _ := ctx.Value(byKey{}).(By)
	return by
}

// headerFrom is the header that By.From travels in. Who asks the socket itself tells (WithPeer).
const headerFrom = "Ringfence-From"

// The ways by which somebody may ask; anything else that a request says is the second.
const (
	FromCommandLine = "command line"
	FromAPI         = "API"
	FromConsole     = "console"
)

// ImportQuery says how a file is to be imported.
type ImportQuery struct {
	List      string
	File      string // its name, for the record
	Who       string
	Format    string  // one of listfile's, "": what it looks like
	DryRun    bool    // only say what would be done
	Strict    bool    // do nothing if a line is refused
	Replace   bool    // also take away what the file of this name said before and does not say now
	Force     bool    // also take entries that would hit emergency numbers or never_screen
	Threshold int     // FTC: complaints that make an entry, 0: the usual
	Window    float64 // FTC: how old they may be, in seconds before the newest, 0: the usual

	Columns  []string // of a table: number=COLUMN, reason=COLUMN, expires=COLUMN, by name or by place from 1
	Encoding string   // its name on the web, as gbk; "": what the file shows
}

// ImportReport is what an import did, or would do.
type ImportReport struct {
	List      string    `json:"list"`
	Format    string    `json:"format"`
	Columns   string    `json:"columns,omitempty"` // of a table, what was read from which, for people
	Change    uint64    `json:"change,omitempty"`  // what undo takes; 0: nothing changed
	DryRun    bool      `json:"dry_run,omitempty"`
	Strict    bool      `json:"strict,omitempty"` // nothing was done, because lines were refused
	Added     int       `json:"added"`
	Updated   int       `json:"updated"`
	Unchanged int       `json:"unchanged"`
	Removed   int       `json:"removed"`
	Absent    int       `json:"absent,omitempty"`   // were to be removed and were not there
	Repeated  int       `json:"repeated,omitempty"` // lines whose pattern a later line has too, which counts
	Refused   int       `json:"refused"`
	Refusals  []Refusal `json:"refusals"` // the first 1000
	Warnings  []string  `json:"warnings"`
	Would     []Edit    `json:"would,omitempty"` // the first 1000 of a dry run
}

// FeedStatus is how a feed is.
type FeedStatus struct {
	List    string    `json:"list"`
	Source  string    `json:"source"`
	Every   string    `json:"every"`
	Checked time.Time `json:"checked,omitzero"` // the last try
	Fetched time.Time `json:"fetched,omitzero"` // of what counts
	Entries int       `json:"entries"`
	Refused int       `json:"refused,omitempty"` // lines of it that are no entries
	Error   string    `json:"error,omitempty"`   // of the last try
	Held    string    `json:"held,omitempty"`    // why what was fetched waits for a person
}

// Refusal is a line of a file that did not go in.
type Refusal struct {
	Line   int    `json:"line"` // in JSON the place among the numbers
	Number string `json:"number"`
	Why    string `json:"why"`
}

// ListChange is one change to a list that was made as a whole.
type ListChange struct {
	ID      uint64    `json:"id"`
	Time    time.Time `json:"time"`
	Who     string    `json:"who"`
	From    string    `json:"from"`
	Kind    string    `json:"kind"` // add, remove, import, undo; merge: what another node had on the list
	List    string    `json:"list"`
	Source  string    `json:"source,omitempty"` // the file of an import
	Added   int       `json:"added"`
	Updated int       `json:"updated"`
	Removed int       `json:"removed"`
	Joined  int       `json:"joined,omitempty"`  // of those that other sources named already, saying the same
	Undoes  uint64    `json:"undoes,omitempty"`  // the change that this one undid
	Undone  uint64    `json:"undone,omitempty"`  // the change that undid this one
	Skipped int       `json:"skipped,omitempty"` // of an undo: entries that were changed since, and stayed

	Node string    `json:"node,omitempty"` // the node that it was made on, if that is another one
	Made time.Time `json:"made,omitzero"`  // when it was made there; time is when it came here
}

// ListHistory is what a change did to one pattern.
type ListHistory struct {
	Change ListChange `json:"change"`
	Number string     `json:"number"`
	Before *ListEntry `json:"before"` // null: it was not there
	After  *ListEntry `json:"after"`
}

// ParseExpiry reads a time to come: a span from now, a date, which counts to its end, or a time. "" is never.
func ParseExpiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := policy.ParseSpan(text); err == nil {
		return now.Add(d), nil
	}
	if t, err := time.ParseInLocation("2006-01-02", text, time.Local); err == nil {
		return t.AddDate(0, 0, 1), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%q is neither a span such as 30d or 12h nor a date such as 2026-12-31", text)
}

// serveLists adds the paths of what is here.
func serveLists(mux *routes, d Desk) {
	mux.HandleFunc("POST /api/v1/lists/{list}/import", takeFile("file format column encoding threshold window", "dry_run strict force replace", func(r *http.Request, v url.Values) (any, error) {
		q := ImportQuery{
			List: r.PathValue("list"), File: v.Get("file"), Format: v.Get("format"), Who: ByOf(r.Context()).Who,
			DryRun: v.Get("dry_run") == "true", Strict: v.Get("strict") == "true", Force: v.Get("force") == "true",
			Replace: v.Get("replace") == "true", Columns: v["column"], Encoding: v.Get("encoding"),
		}
		var err1, err2 error
		if text := v.Get("threshold"); text != "" {
			q.Threshold, err1 = strconv.Atoi(text)
		}
		if text := v.Get("window"); text != "" {
			q.Window, err2 = strconv.ParseFloat(text, 64)
		}
		if err := errors.Join(err1, err2); err != nil {
			return nil, Bad("threshold and window are numbers: " + err.Error())
		}
		return d.Import(r.Context(), q, r.Body)
	}))
	mux.HandleFunc("GET /api/v1/changes", func(w http.ResponseWriter, r *http.Request) {
		v := r.URL.Query()
		stream(w, func(yield func(any) error) error {
			if pattern := v.Get("pattern"); pattern != "" {
				return d.History(r.Context(), pattern, func(h ListHistory) error { return yield(h) })
			}
			return d.Changes(r.Context(), v.Get("list"), func(c ListChange) error { return yield(c) })
		})
	})
	mux.HandleFunc("POST /api/v1/changes/{id}/undo", ask(func(r *http.Request) (any, error) {
		id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
		if err != nil {
			return nil, Bad("a change has a number")
		}
		return d.Undo(r.Context(), id)
	}))
	mux.HandleFunc("GET /api/v1/feeds", ask(func(r *http.Request) (any, error) {
		all, err := d.Feeds(r.Context())
		return nonNil(all), err
	}))
	mux.HandleFunc("POST /api/v1/feeds/{list}/fetch", ask(func(r *http.Request) (any, error) { return d.FetchFeed(r.Context(), r.PathValue("list")) }))
	mux.HandleFunc("POST /api/v1/feeds/{list}/accept", ask(func(r *http.Request) (any, error) { return d.AcceptFeed(r.Context(), r.PathValue("list")) }))
	mux.HandleFunc("GET /api/v1/backup", func(w http.ResponseWriter, r *http.Request) {
		body := &lateHeader{w: w}
		if err := d.Backup(r.Context(), body); err != nil {
			if !body.begun {
				writeError(w, err)
				return
			}
			panic(http.ErrAbortHandler) // half a copy must not look whole
		}
	})
	mux.HandleFunc("POST /api/v1/storage/verify", ask(func(r *http.Request) (any, error) { return d.Verify(r.Context()) }))
}

// lateHeader sets the type of a body when it begins, so that an error before it can be one in JSON.
type lateHeader struct {
	w     http.ResponseWriter
	begun bool
}

func (l *lateHeader) Write(b []byte) (int, error) {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/octet-stream")
	}
	return l.w.Write(b)
}

// claim puts who asks into the request's context, unless that was found out before by more than the socket (WithWho).
func claim(r *http.Request) *http.Request {
	if w := WhoOf(r.Context()); w != nil && w.Way != BySocket {
		return r
	}
	by := By{Who: PeerOf(r.Context()), From: FromAPI}
	if r.Header.Get(headerFrom) == FromCommandLine {
		by.From = FromCommandLine
	}
	return r.WithContext(WithBy(r.Context(), by))
}

func (c *Client) Import(ctx context.Context, q ImportQuery, file io.Reader) (*ImportReport, error) {
	v := url.Values{"file": {q.File}, "format": {q.Format}, "column": q.Columns, "encoding": {q.Encoding}}
	for name, on := range map[string]bool{"dry_run": q.DryRun, "strict": q.Strict, "force": q.Force, "replace": q.Replace} {
		if on {
			v.Set(name, "true")
		}
	}
	if q.Threshold != 0 {
		v.Set("threshold", strconv.Itoa(q.Threshold))
	}
	if q.Window != 0 {
		v.Set("window", strconv.FormatFloat(q.Window, 'f', -1, 64))
	}
	return upload[ImportReport](ctx, c, "lists/"+url.PathEscape(q.List)+"/import?"+v.Encode(), file)
}

func (c *Client) Feeds(ctx context.Context) ([]FeedStatus, error) {
	return call[[]FeedStatus](ctx, c, "GET", "feeds", nil)
}

func (c *Client) FetchFeed(ctx context.Context, list string) (*FeedStatus, error) {
	return c.feed(ctx, list, "fetch")
}

func (c *Client) AcceptFeed(ctx context.Context, list string) (*FeedStatus, error) {
	return c.feed(ctx, list, "accept")
}

// feed does something to a feed, which may take as long as a large list takes.
func (c *Client) feed(ctx context.Context, list, what string) (*FeedStatus, error) {
	resp, err := c.do(ctx, "POST", "feeds/"+url.PathEscape(list)+"/"+what, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var s FeedStatus
	return &s, json.NewDecoder(resp.Body).Decode(&s)
}

func (c *Client) Changes(ctx context.Context, list string, yield func(ListChange) error) error {
	return lines(ctx, c, "changes?"+url.Values{"list": {list}}.Encode(), yield)
}

func (c *Client) History(ctx context.Context, pattern string, yield func(ListHistory) error) error {
	return lines(ctx, c, "changes?"+url.Values{"pattern": {pattern}}.Encode(), yield)
}

func (c *Client) Undo(ctx context.Context, id uint64) (*ListChange, error) {
	resp, err := c.do(ctx, "POST", "changes/"+strconv.FormatUint(id, 10)+"/undo", nil) // of an import it may take long
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var change ListChange
	if err := json.NewDecoder(resp.Body).Decode(&change); err != nil {
		return nil, fmt.Errorf("the daemon's answer cannot be read: %w", err)
	}
	return &change, nil
}

func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	resp, err := c.do(ctx, "GET", "backup", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("the copy broke off: %w", err)
	}
	return nil
}

func (c *Client) Verify(ctx context.Context) (*VerifyReport, error) {
	resp, err := c.do(ctx, "POST", "storage/verify", nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var report VerifyReport
	if err := json.NewDecoder(resp.Body).Decode(&report); err != nil {
		return nil, fmt.Errorf("the daemon's answer cannot be read: %w", err)
	}
	return &report, nil
}

// VerifyReport is what Verify found of the database.
type VerifyReport struct {
	Bytes   int64    `json:"bytes"` // of the file
	Lists   int      `json:"lists"`
	Entries int      `json:"entries"`
	Lines   int      `json:"lines"`   // of the database
	Changes int      `json:"changes"` // that are kept
	Records int      `json:"records"` // of the journal
	Faults  []string `json:"faults"`  // at most 100; none: all is well
}
