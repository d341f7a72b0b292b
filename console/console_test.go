package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringfence/console/apitest"
)

// asked is a Desk that notes what it is asked, and answers what the test gives.
type asked struct {
	Desk // nil: what a test does not expect panics

	mu   sync.Mutex // the server may be at work still when its answer is read
	call string
	by   By
	err  error
	recs []Record
}

// set changes what is answered.
func (a *asked) set(err error, recs []Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err, a.recs = err, recs
}

// last is what was asked, and by whom.
func (a *asked) last() (string, By) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.call, a.by
}

// note gives what is to be answered.
func (a *asked) note(ctx context.Context, what string, args ...any) (recs []Record, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.call, a.by = strings.TrimSpace(what+" "+strings.TrimSuffix(fmt.Sprintf("%+v", args), "]")[1:]), ByOf(ctx)
	return a.recs, a.err
}

// half is enough of a backup to be on its way.
var half = strings.Repeat("half", 1<<15)

func (a *asked) Check(ctx context.Context, q CheckQuery) (*CheckReport, error) {
	_, err := a.note(ctx, "check", q)
	return &CheckReport{Action: "reject", Steps: []Step{{Rule: "r", Matched: true}}}, err
}

func (a *asked) Lists(ctx context.Context) ([]ListSummary, error) {
	_, err := a.note(ctx, "lists")
	return nil, err
}

func (a *asked) Entries(ctx context.Context, list string, yield func(ListEntry) error) error {
	_, err := a.note(ctx, "entries", list)
	for i := range 3 {
		if err := yield(ListEntry{List: list, Number: fmt.Sprint(i)}); err != nil {
			return err
		}
	}
	return err
}

func (a *asked) AddEntries(ctx context.Context, list string, add []NewEntry, keepGood bool) ([]Edit, error) {
	_, err := a.note(ctx, "add", list, len(add), keepGood)
	return []Edit{{List: list, Number: add[0].Number, Change: "added"}}, err
}

func (a *asked) ConfirmReport(ctx context.Context, id string, prefix bool) (*ReportEdit, error) {
	_, err := a.note(ctx, "confirm", id, prefix)
	return &ReportEdit{Change: Confirmed}, err
}

func (a *asked) LiftReport(ctx context.Context, id string) (*ReportEdit, error) {
	_, err := a.note(ctx, "lift", id)
	return &ReportEdit{Change: Lifted}, err
}

func (a *asked) ShowReport(ctx context.Context, id string) (*ReportEvidence, error) {
	_, err := a.note(ctx, "show", id)
	return &ReportEvidence{Looked: 7, Proposal: &Proposal{Range: "9521161?"}}, err
}

func (a *asked) Journal(ctx context.Context, q Query, yield func(Record) error) error {
	recs, err := a.note(ctx, "journal", q.Caller, q.Limit, q.Newest, q.Since.UnixMilli())
	for _, r := range recs {
		if err := yield(r); err != nil {
			return err
		}
	}
	return err
}

func (a *asked) Follow(ctx context.Context, joined func(), yield func(Record) error) error {
	joined()
	recs, err := a.note(ctx, "follow")
	for _, r := range recs {
		if err := yield(r); err != nil {
			return err
		}
	}
	return err
}

func (a *asked) Import(ctx context.Context, q ImportQuery, file io.Reader) (*ImportReport, error) {
	text, readErr := io.ReadAll(file)
	_, err := a.note(ctx, "import", q, len(text))
	return &ImportReport{List: q.List, Added: 7}, errors.Join(readErr, err)
}

func (a *asked) Backup(ctx context.Context, w io.Writer) error {
	recs, err := a.note(ctx, "backup")
	if err == nil || recs != nil {
		io.WriteString(w, half)
	}
	return err
}

func (a *asked) Pause(ctx context.Context, d time.Duration) (*PauseState, error) {
	_, err := a.note(ctx, "pause", d)
	return &PauseState{Paused: true}, err
}

func (a *asked) Undo(ctx context.Context, id uint64) (*ListChange, error) {
	_, err := a.note(ctx, "undo", id)
	return &ListChange{ID: id}, err
}

// served is the API of a desk on a socket, and its client.
func served(t *testing.T, d Desk) (*Client, string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: apitest.Check(t, OpenAPI, Handler(d)), ConnContext: WithPeer}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	c, err := Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, socket
}

// What is asked at the one end of the socket is what the desk is asked at the other, and its answer comes back.
func TestThroughSocket(t *testing.T) {
	d := &asked{}
	c, _ := served(t, d)
	ctx := WithBy(t.Context(), By{Who: "root, surely", From: FromCommandLine})
	me := "uid 0"
	if u, err := user.Current(); err == nil {
		me = u.Username
	}
	rec := Record{
		ID: "01J", Time: time.UnixMilli(1).UTC(), Name: "Jos\xe9 <b>\u2028", Caller: Caller{Raw: "95211613\\x", E164: "+8695211613"},
		Outcome: &Outcome{Answered: true, TalkS: 1.5},
	}
	recs := []Record{rec, {ID: "02J", Time: time.UnixMilli(2).UTC()}}
	d.set(nil, recs)
	for want, ask := range map[string]func() (any, any, error){
		"check {Caller:95211613 Callee:1 Trunk: Name: At: Withheld:true Policy: PolicyFile:}": func() (any, any, error) {
			r, err := c.Check(ctx, CheckQuery{Caller: "95211613", Callee: "1", Withheld: true})
			return r, &CheckReport{Action: "reject", Steps: []Step{{Rule: "r", Matched: true}}}, err
		},
		"lists": func() (any, any, error) { r, err := c.Lists(ctx); return len(r), 0, err },
		"entries a/b c": func() (any, any, error) {
			var all []string
			err := c.Entries(ctx, "a/b c", func(e ListEntry) error { all = append(all, e.List+e.Number); return nil })
			return all, []string{"a/b c0", "a/b c1", "a/b c2"}, err
		},
		"add blacklist 1 true": func() (any, any, error) {
			r, err := c.AddEntries(ctx, "blacklist", []NewEntry{{Number: "9521*", Source: "made up"}}, true)
			return r, []Edit{{List: "blacklist", Number: "9521*", Change: "added"}}, err
		},
		"journal 95211613 2 true 1000": func() (any, any, error) {
			var all []Record
			err := c.Journal(ctx, Query{Caller: "95211613", Limit: 2, Newest: true, Since: time.UnixMilli(1000)}, func(r Record) error { all = append(all, r); return nil })
			return all, recs, err
		},
		"import {List:l File:x.csv Who:" + me + " Format:csv DryRun:true Strict:false Replace:true Force:true Threshold:3 Window:60 Columns:[number=2 reason=Ort] Encoding:gbk} 200000": func() (any, any, error) {
			r, err := c.Import(ctx, ImportQuery{List: "l", File: "x.csv", Who: "somebody", Format: "csv", DryRun: true, Force: true, Replace: true, Columns: []string{"number=2", "reason=Ort"}, Encoding: "gbk", Threshold: 3, Window: 60}, strings.NewReader(strings.Repeat("x", 200_000)))
			return r, &ImportReport{List: "l", Added: 7}, err
		},
		"backup":        func() (any, any, error) { var b bytes.Buffer; err := c.Backup(ctx, &b); return b.String(), half, err },
		"pause 1h30m0s": func() (any, any, error) { r, err := c.Pause(ctx, 90*time.Minute); return r.Paused, true, err },
		"confirm 01J true": func() (any, any, error) {
			r, err := c.ConfirmReport(ctx, "01J", true)
			return r, &ReportEdit{Change: Confirmed}, err
		},
		"lift 01J": func() (any, any, error) {
			r, err := c.LiftReport(ctx, "01J")
			return r, &ReportEdit{Change: Lifted}, err
		},
		"show 01J": func() (any, any, error) {
			r, err := c.ShowReport(ctx, "01J")
			return r, &ReportEvidence{Looked: 7, Proposal: &Proposal{Range: "9521161?"}}, err
		},
		"undo 12": func() (any, any, error) { r, err := c.Undo(ctx, 12); return r, &ListChange{ID: 12}, err },
		"follow": func() (any, any, error) {
			var all []Record
			err := c.Follow(ctx, nil, func(r Record) error {
				if all = append(all, r); len(all) == len(recs) {
					return io.EOF // enough
				}
				return nil
			})
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return all, recs, err
		},
	} {
		got, wanted, err := ask()
		if diff := cmp.Diff(wanted, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", want, err, diff)
		}
		call, by := d.last()
		if call != want {
			t.Errorf("got %s, want %s", call, want)
		}
		if by != (By{Who: me, From: FromCommandLine}) { // whose socket it is, whatever is claimed
			t.Errorf("%s is asked by %+v, want %s", want, by, me)
		}
	}
}

// Errors come back as what they are, also when half of an answer has gone out.
func TestErrorsThroughSocket(t *testing.T) {
	d := &asked{}
	c, socket := served(t, d)
	for _, kind := range []error{ErrBad, ErrNotFound, ErrConflict, nil} {
		wanted := errors.New("it is so")
		if kind != nil {
			wanted = &problem{kind, "it is so"}
		}
		d.set(wanted, nil)
		_, err := c.Check(t.Context(), CheckQuery{})
		if err == nil || err.Error() != "it is so" || kind != nil && !errors.Is(err, kind) {
			t.Errorf("got %v, want %v", err, wanted)
		}
		n := 0
		err = c.Entries(t.Context(), "l", func(ListEntry) error { n++; return nil })
		if n != 3 || err == nil || err.Error() != "it is so" {
			t.Errorf("after %d entries: %v", n, err)
		}
	}
	if err := c.Backup(t.Context(), io.Discard); err == nil || err.Error() != "it is so" {
		t.Errorf("a copy that did not begin: %v", err)
	}
	d.set(errors.New("it is so"), []Record{{}})
	if err := c.Backup(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "broke off") {
		t.Errorf("half a copy: %v", err)
	}
	d.set(nil, make([]Record, 3))
	stop := errors.New("enough")
	if err := c.Journal(t.Context(), Query{}, func(Record) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the reader's own error: %v", err)
	}
	if _, err := Dial(t.Context(), socket+"x"); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no socket: %v", err)
	}
}

// What is no request of the API's is refused, in JSON, and asks the desk nothing.
func TestRefusedRequests(t *testing.T) {
	d := &asked{}
	c, _ := served(t, d)
	for _, r := range []struct {
		method, path, kind, body string
		status                   int
		code                     string
	}{
		{"GET", "nothing", "", "", 404, "not_found"},
		{"DELETE", "check", "", "", 405, "method_not_allowed"},
		{"POST", "check", "text/plain", `{"caller":"1"}`, 415, "bad_request"},
		{"POST", "check", "application/json", `{"caller":1}`, 400, "bad_request"},
		{"POST", "check", "application/json", `{"callr":"1"}`, 400, "bad_request"},
		{"POST", "check", "application/json", `{"policy":"` + strings.Repeat("x", maxBody) + `"}`, 400, "bad_request"},
		{"POST", "lists/l/entries", "application/json", "[" + strings.Repeat("{},", maxEntries) + "{}]", 400, "bad_request"},
		{"POST", "lists/l/import", "application/x-www-form-urlencoded", "1", 415, "bad_request"},
		{"POST", "lists/l/import?threshold=x", "application/octet-stream", "1", 400, "bad_request"},
		{"POST", "changes/x/undo", "", "", 400, "bad_request"},
		{"POST", "lines", "application/json", "[" + strings.Repeat("{},", maxLineEdits) + "{}]", 400, "bad_request"},
		{"POST", "lines", "application/json", `[{"name":"a","number":"1"}]`, 400, "bad_request"},
		{"PATCH", "lines/a", "application/json", `{"name":"b"}`, 400, "bad_request"},
		{"DELETE", "lines", "application/json", `["` + strings.Repeat(`","`, maxLineEdits) + `"]`, 400, "bad_request"},
		{"POST", "lines/import", "text/csv", "name,numbers", 415, "bad_request"},
		{"POST", "lines/import?dryrun=true", "application/octet-stream", "name,numbers", 400, "bad_request"},
		{"POST", "lines/import?dry_run=1", "application/octet-stream", "name,numbers", 400, "bad_request"},
		{"POST", "lists/l/import?who=another", "application/octet-stream", "1", 400, "bad_request"},
		{"PUT", "lines/a", "application/json", "{}", 405, "method_not_allowed"},
		{"GET", "calls?since=yesterday", "", "", 400, "bad_request"},
		{"GET", "calls?limit=-1", "", "", 400, "bad_request"},
		{"GET", "reports?state=lost", "", "", 400, "bad_request"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), r.method, "http://ringfence/api/v1/"+r.path, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		if r.kind != "" {
			req.Header.Set("Content-Type", r.kind)
		}
		resp, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != r.status || !bytes.Contains(body, []byte(`{"error":{"code":"`+r.code+`"`)) || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: got %d %s, want %d %s", r.method, r.path, resp.StatusCode, body, r.status, r.code)
		}
		if call, _ := d.last(); call != "" {
			t.Errorf("%s %s asked the desk: %s", r.method, r.path, call)
		}
	}
}

// A record is the same after a way through JSON, whatever bytes its texts have.
func FuzzRecordJSON(f *testing.F) {
	f.Add("Jos\xe9", "95211613", "\\x41\x00")
	f.Fuzz(func(t *testing.T, name, raw, reason string) {
		r := Record{ID: "x", Time: time.UnixMilli(5).UTC(), Name: name, Caller: Caller{Raw: raw}, Reason: reason, Outcome: &Outcome{Cause: reason}}
		line, err := r.MarshalJSON()
		if err != nil || bytes.ContainsAny(line, "\n\x00") {
			t.Fatalf("%q: %v", line, err)
		}
		var again Record
		if err := again.UnmarshalJSON(line); err != nil || !cmp.Equal(r, again) {
			t.Errorf("%q: %v\n%s", line, err, cmp.Diff(r, again))
		}
	})
}
