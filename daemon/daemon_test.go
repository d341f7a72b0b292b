package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/storage"
)

const smallPolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
`

// installation is a folder with everything a daemon needs.
func installation(t testing.TB, policy string) *conf.Daemon {
	t.Helper()
	folder, err := os.MkdirTemp("", "rf-") // short: a socket lives in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	file := filepath.Join(folder, "ringfence.toml")
	for name, text := range map[string]string{
		"ringfence.toml": "data = \"data\"\nsocket = \"s\"\nnode = \"n1\"\n[screen]\nlisten = \"127.0.0.1:0\"\n",
		"policy.toml":    policy,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := conf.LoadDaemon(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// startedBy is what `ringfence run` starts a daemon with: it says that whoever gives that command asks. Nobody who comes to a port must be taken for them.
var startedBy = console.WithWho(context.Background(), &console.Who{Name: "root", Way: console.BySocket, Role: console.Admin})

func start(t testing.TB, c *conf.Daemon) *Daemon {
	t.Helper()
	tells := &clock{}
	d, err := (&Daemon{conf: c, version: "test", log: slog.New(slog.DiscardHandler), now: tells.now}).begin(startedBy)
	if err != nil {
		t.Fatal(err)
	}
	clocks.Store(d, tells)
	t.Cleanup(func() { halt(t, d); clocks.Delete(d) })
	return d
}

func halt(t testing.TB, d *Daemon) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := d.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func dial(t testing.TB, c *conf.Daemon) *console.Client {
	t.Helper()
	client, err := console.Dial(t.Context(), c.Socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// The commands' view of a running daemon, through its socket: everything that was asked, and everything
// that is refused, comes back as it is.
//
// long: because each command sees what the ones before it have left
func TestDeskThroughSocket(t *testing.T) {
	c := installation(t, smallPolicy)
	d := start(t, c)
	client := dial(t, c)
	ctx := t.Context()

	edits, err := client.AddEntries(ctx, "blacklist", []console.NewEntry{{Number: "0086 95211613", Reason: "fake"}, {Number: "9521????"}}, false)
	if err != nil || len(edits) != 2 || edits[0].ID == 0 || !reflect.DeepEqual(edits[0], console.Edit{List: "blacklist", Number: "+8695211613", Change: "added", ID: edits[0].ID}) {
		t.Fatalf("%v %v", edits, err)
	}
	if _, err := client.AddEntries(ctx, "blacklist", []console.NewEntry{{Number: "1380013800"}, {Number: "95x"}, {Number: "13800138000", Expires: time.Now().Add(-time.Hour)}}, false); !errors.Is(err, console.ErrBad) || strings.Count(err.Error(), "\n") < 2 {
		t.Errorf("wrong patterns: %v", err)
	}
	edits, err = client.AddEntries(ctx, "blacklist", []console.NewEntry{{Number: "95x"}, {Number: "13800138000"}}, true)
	if err != nil || edits[0].Change != console.Refused || edits[0].Why == "" || edits[1].Change != "added" {
		t.Errorf("keepGood: %v %v", edits, err)
	}
	if _, err := client.AddEntries(ctx, "no such list name, surely", []console.NewEntry{{Number: "95588"}}, false); !errors.Is(err, console.ErrBad) {
		t.Errorf("a bad list name: %v", err)
	}
	var patterns []string
	if err := client.Entries(ctx, "blacklist", func(e console.ListEntry) error { patterns = append(patterns, e.Number); return nil }); err != nil || len(patterns) != 3 {
		t.Errorf("%v %v", patterns, err)
	}
	if err := client.Entries(ctx, "none", func(console.ListEntry) error { return nil }); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("an unknown list: %v", err)
	}
	if _, err := client.RemoveEntries(ctx, "blacklist", []string{"95x"}, false); !errors.Is(err, console.ErrBad) {
		t.Errorf("a wrong pattern to remove: %v", err)
	}
	if lists, err := client.Lists(ctx); err != nil || len(lists) != 1 || lists[0].Entries != 3 {
		t.Errorf("%v %v", lists, err)
	}
	report, err := client.Check(ctx, console.CheckQuery{Caller: "95211613", At: "2026-11-24T20:00"})
	if err != nil || report.Action != "reject" || report.Rule != "listed" || len(report.Lists) != 1 || len(report.Steps) == 0 {
		t.Errorf("%+v %v", report, err)
	}
	for _, q := range []console.CheckQuery{{Caller: "1", At: "noon"}, {Caller: "1", Policy: "country = 7", PolicyFile: "other.toml"}} {
		if _, err := client.Check(ctx, q); !errors.Is(err, console.ErrBad) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if s, err := client.Pause(ctx, time.Hour); err != nil || !s.Paused || s.Until.Sub(s.Since) != time.Hour {
		t.Errorf("%+v %v", s, err)
	}
	if s, err := client.Status(ctx); err != nil || !s.Pause.Paused || s.Version != "test" || s.Node != "n1" {
		t.Errorf("%+v %v", s, err)
	}
	if s, err := client.Resume(ctx); err != nil || s.Paused {
		t.Errorf("%+v %v", s, err)
	}
	if _, err := client.Pause(ctx, -time.Hour); !errors.Is(err, console.ErrBad) {
		t.Errorf("a negative pause: %v", err)
	}

	// What comes next reaches who follows, and the journal.
	follow, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	got := make(chan console.Record, 1)
	following := make(chan struct{})
	go func() {
		defer close(following)
		client.Follow(follow, nil, func(r console.Record) error { got <- r; return io.EOF })
	}()
	f := bridge.Facts{Number: "95211613", Name: "caf\xe9", Callee: "05925550100", UUID: "u"}
	for followed := false; !followed; { // until the follower is there
		v := in(d).Screen(&f)
		in(d).Record(&f, &v, bridge.Result{})
		select {
		case r := <-got:
			followed = true
			if r.Name != "caf\xe9" || r.Caller.E164 != "+8695211613" || r.Action != "reject" || r.List != "blacklist" {
				t.Errorf("%+v", r)
			}
		case <-time.After(10 * time.Millisecond):
		}
	}
	<-following
	found := 0
	err = client.Journal(ctx, console.Query{Caller: "+86 9521 1613", Limit: 1000, Newest: true}, func(r console.Record) error { found++; return nil })
	if err != nil || found == 0 {
		t.Errorf("%d records, %v", found, err)
	}
}

// What is not the API's JSON gets an error in the API's form, with the right status.
func TestRefusedRequests(t *testing.T) {
	c := installation(t, smallPolicy)
	start(t, c)
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", c.Socket)
	}}}
	for _, q := range []struct {
		method, path, kind, body string
		status                   int
	}{
		{"POST", "/api/v1/check", "text/plain", `{"caller":"1"}`, 415},
		{"POST", "/api/v1/check", "application/json", `{"caler":"1"}`, 400},
		{"POST", "/api/v1/check", "application/json", `{"caller":`, 400},
		{"POST", "/api/v1/check", "application/json", `{"caller":"` + strings.Repeat("1", 9<<20) + `"}`, 400},
		{"GET", "/api/v1/calls?limit=x", "", "", 400},
		{"GET", "/api/v1/calls?since=yesterday", "", "", 400},
		{"GET", "/api/v1/nothing", "", "", 404},
		{"GET", "/api/v1/lists/none/entries", "", "", 404},
		{"DELETE", "/api/v1/lists", "", "", 405},
		{"GET", "/api/v1/reports?state=new", "", "", 400},
		{"POST", "/api/v1/reports", "application/json", `{"caller":"95588"}`, 400},
		{"POST", "/api/v1/reports/01M85T4ZM9MP33NY1MDZCEY0QA/confirm", "application/json", `{}`, 404},
		{"POST", "/api/v1/reports/01M85T4ZM9MP33NY1MDZCEY0QA/confirm", "", "", 415},
		{"POST", "/api/v1/reports/01M85T4ZM9MP33NY1MDZCEY0QA/burn", "application/json", `{}`, 404},
		{"GET", "/api/v1/reports/x/dismiss", "", "", 405},
	} {
		req, err := http.NewRequest(q.method, "http://x"+q.path, strings.NewReader(q.body))
		if err != nil {
			t.Fatal(err)
		}
		if q.kind != "" {
			req.Header.Set("Content-Type", q.kind)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		var e struct {
			Error struct{ Code, Message string }
		}
		if resp.StatusCode != q.status || (q.status != 405 && (json.Unmarshal(b, &e) != nil || e.Error.Message == "" || e.Error.Code == "")) {
			t.Errorf("%s %s: %d %.200s", q.method, q.path, resp.StatusCode, b)
		}
	}
}

// A call whose decision did not come is recorded as let through, with the reason in words.
func TestFailOpenIsRecorded(t *testing.T) {
	c := installation(t, smallPolicy)
	d := start(t, c)
	for _, reason := range []string{bridge.FailDeadline, bridge.FailPanic, bridge.FailStopping, bridge.FailCommand, bridge.FailWire, bridge.FailLate, bridge.FailLimit} {
		f := bridge.Facts{Number: "95211613", UUID: "u"}
		in(d).Record(&f, &bridge.Verdict{}, bridge.Result{FailOpen: reason})
		var r console.Record
		if err := in(d).Journal(t.Context(), console.Query{Newest: true, Limit: 1}, func(x console.Record) error { r = x; return nil }); err != nil {
			t.Fatal(err)
		}
		if r.Action != "allow" || r.Rule != "fail-open" || !strings.HasPrefix(r.Reason, "let through: ") || r.Reason == "let through: "+reason || r.ID == "" {
			t.Errorf("%s: %+v", reason, r)
		}
	}
}

// The probe that feeds the watchdog places a call that is none: it finds a screening port that does not
// serve, and leaves no trace in the journal.
func TestProbe(t *testing.T) {
	d := start(t, installation(t, smallPolicy))
	if err := d.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := d.screen.Counters.Unscreened.Load(); n != 1 {
		t.Errorf("counted as %d calls of another intent", n)
	}
	if f := d.screen.Counters.FailOpen(); len(f) != 0 {
		t.Errorf("counted as let through: %v", f)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	serving := d.listener
	d.listener = ln
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := d.Probe(ctx); err == nil {
		t.Error("a silent port passed")
	}
	d.listener = serving
}

// Edits, reloads and decisions at the same time: an edit that was acknowledged is seen by the next
// decision, also when the policy is being read again.
func TestEditsAreSeenDuringReloads(t *testing.T) {
	d := start(t, installation(t, smallPolicy))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if r, err := in(d).Reload(context.Background()); err != nil || !r.Loaded {
					t.Errorf("%+v %v", r, err)
					return
				}
			}
		}
	})
	for i := range 16 {
		number := fmt.Sprintf("9521%04d", i)
		if _, err := in(d).AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: number}}, false); err != nil {
			t.Fatal(err)
		}
		f := bridge.Facts{Number: number}
		if v := in(d).Screen(&f); v.Action != "reject" || v.Refuse != 603 {
			t.Fatalf("%s was listed, but gets %+v", number, v)
		}
		if i%2 == 0 {
			if _, err := in(d).RemoveEntries(t.Context(), "blacklist", []string{number}, false); err != nil {
				t.Fatal(err)
			}
			if v := in(d).Screen(&f); v.Action != "allow" {
				t.Fatalf("%s was removed, but gets %+v", number, v)
			}
		}
	}
	close(stop)
	wg.Wait()
}

// A daemon that cannot start says what is wrong, and leaves nothing behind that keeps the next one out.
func TestStartFails(t *testing.T) {
	c := installation(t, "country = \"CN\"\nnonsense = 1\n")
	_, err := Start(t.Context(), c, "test", slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "policy.toml:2: nonsense") {
		t.Errorf("a policy with faults: %v", err)
	}
	if err := os.WriteFile(c.Policy, []byte(smallPolicy), 0o644); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := *c
	taken.Screen.Listen = ln.Addr().String()
	if _, err := Start(t.Context(), &taken, "test", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "screening port") {
		t.Errorf("a port that is taken: %v", err)
	}
	var log bytes.Buffer
	d, err := Start(t.Context(), c, "test", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), c, "test", slog.New(slog.DiscardHandler)); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("a second daemon: %v", err)
	}
	halt(t, d)
	if _, err := console.Dial(t.Context(), c.Socket); !errors.Is(err, console.ErrNotRunning) {
		t.Errorf("after the end: %v", err)
	}
}

// An entry that the policy's country cannot read any more is kept, reported, and can be removed.
func TestCountryChanges(t *testing.T) {
	c := installation(t, smallPolicy)
	d := start(t, c)
	if _, err := in(d).AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "9521????"}, {Number: "95211613"}}, false); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Policy, []byte(strings.Replace(smallPolicy, `"CN"`, `"DE"`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err := in(d).Reload(t.Context()); err != nil || !r.Loaded {
		t.Fatalf("%+v %v", r, err)
	}
	f := bridge.Facts{Number: "+8695211613"}
	if v := in(d).Screen(&f); v.Action != "reject" {
		t.Errorf("an international entry no longer counts: %+v", v)
	}
	entries := 0
	in(d).Entries(t.Context(), "blacklist", func(console.ListEntry) error { entries++; return nil })
	if entries != 2 {
		t.Errorf("%d entries are left", entries)
	}
}
