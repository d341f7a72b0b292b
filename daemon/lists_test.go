package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/console"
	"ringfence/policy"
	"ringfence/screening"
	"ringfence/storage"
)

// Calls that come while the lists are being read pass, if a rule asks for one of them, and the status and the journal
// say why. Once they are read the same call is refused, and the entry counts its hits.
func TestCallsWhileListsAreRead(t *testing.T) {
	c := installation(t, smallPolicy+"\n[[rule]]\nname = \"sales\"\nwhen = { caller = [\"9521*\"] }\naction = \"reject\"\n")
	if d := start(t, c); true {
		if _, err := d.Desk().AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "13800138000", Reason: "sells flats"}}, false); err != nil {
			t.Fatal(err)
		}
		halt(t, d)
	}
	if err := os.Remove(filepath.Join(c.Data, "lists.piece")); err != nil {
		t.Fatal(err)
	}
	running := &Daemon{conf: c, log: slog.New(slog.DiscardHandler), now: time.Now}
	defer halt(t, running)
	if err := running.openDesk(c); err != nil { // as when it starts
		t.Fatal(err)
	}
	if err := running.servePorts(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	d := in(running)
	facts := bridge.Facts{Number: "13800138000", Callee: "05925550100"}
	v := d.Screen(&facts)
	d.Record(&facts, &v, bridge.Result{})
	if v.Action != "allow" || v.Rule != policy.RuleFailOpen || !strings.Contains(v.Reason, "blacklist, which has not been read yet") {
		t.Errorf("while it is read: %+v", v)
	}
	if s, err := d.Status(t.Context()); err != nil || len(s.Lists.Unread) != 1 || s.FailOpen[screening.FailLists] != 1 {
		t.Errorf("status %+v, %v", s, err)
	}
	d.ReadLists(t.Context())
	v = d.Screen(&facts)
	d.Record(&facts, &v, bridge.Result{})
	if v.Action != "reject" || v.Rule != "listed" {
		t.Errorf("once it is read: %+v", v)
	}
	var rules []string
	if err := d.Journal(t.Context(), console.Query{}, func(r console.Record) error { rules = append(rules, r.Rule); return nil }); err != nil {
		t.Fatal(err)
	}
	if strings.Join(rules, " ") != "fail-open listed" {
		t.Errorf("journal: %v", rules)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	running.writeHits(over) // as when it stops
	err := d.Entries(t.Context(), "blacklist", func(e console.ListEntry) error {
		if e.Hits != 1 || time.Since(e.LastHit) > time.Minute {
			t.Errorf("%+v", e)
		}
		return nil
	})
	if s, _ := d.Status(t.Context()); err != nil || len(s.Lists.Unread) != 0 || s.Lists.Entries != 1 {
		t.Errorf("status %+v, %v", s, err)
	}
}

// An import counts from one moment on, for calls too: who sees one of its numbers listed sees them all. So does its undo. What
// is in memory then is what is on disk, also after edits meanwhile. Who asked is whose socket it is, whatever is claimed.
//
// long: because one list is imported, edited, undone and restarted with
func TestImportThroughSocket(t *testing.T) {
	c := installation(t, smallPolicy)
	d := start(t, c)
	client := dial(t, c)
	ctx := console.WithBy(t.Context(), console.By{Who: "eve", From: "command line"})
	n := storage.MaxEdit + 1000
	if testing.Short() {
		n = 5000
	}
	if _, err := client.AddEntries(ctx, "blacklist", []console.NewEntry{{Number: "+8613000000000", Reason: "old"}, {Number: "9521*"}}, false); err != nil {
		t.Fatal(err)
	}
	stop, seen := make(chan struct{}), make(chan string)
	go func() {
		defer close(seen)
		plan := d.force.Rules().Policy.Plan()
		first, last := plan.Parse("+8613000000002"), plan.Parse(fmt.Sprintf("+%d", 8613000000000+uint64(n-1)*2))
		for was := false; ; {
			select {
			case <-stop:
				return
			default:
			}
			lists := d.force.Rules().Lists
			_, a := lists.Lookup("blacklist", &first, time.Now())
			_, b := lists.Lookup("blacklist", &last, time.Now())
			_, a2 := lists.Lookup("blacklist", &first, time.Now())
			if a == a2 && a != b {
				seen <- fmt.Sprintf("half an import: %v %v %v", a, b, a2)
			}
			if a != was && a == a2 {
				seen <- fmt.Sprint("listed ", a)
				was = a
			}
		}
	}()
	var file strings.Builder
	for i := range n {
		fmt.Fprintf(&file, "+%d\n", 8613000000000+uint64(i)*2)
	}
	file.WriteString("9520????\nnonsense\n")
	report, err := client.Import(ctx, console.ImportQuery{List: "blacklist", File: "big.txt", Who: "eve"}, strings.NewReader(file.String()))
	if err != nil || report.Added != n || report.Updated != 0 || report.Unchanged != 1 || report.Refused != 1 || report.Refusals[0].Line != n+2 {
		t.Fatalf("%+v, %v", report, err)
	}
	if got := <-seen; got != "listed true" {
		t.Error(got)
	}
	same := func() {
		t.Helper()
		on := map[string]string{}
		if err := d.db.Entries("blacklist", func(e storage.Entry) error {
			if _, ok := on[e.Pattern]; !ok { // a person's comes first
				on[e.Pattern] = e.Reason
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		lists := d.force.Rules().Lists
		if got := lists.Len("blacklist"); got != len(on) {
			t.Errorf("%d entries in memory, %d on disk", got, len(on))
		}
		for text, reason := range on {
			if !strings.HasPrefix(text, "+") {
				continue
			}
			number := d.force.Rules().Policy.Plan().Parse(text)
			if e, ok := lists.Lookup("blacklist", &number, time.Now()); !ok || e.Pattern.String() != text || e.Reason != reason {
				t.Fatalf("%s: %+v, %v, on disk %q", text, e, ok, reason)
			}
		}
	}
	same()
	if _, err := client.RemoveEntries(ctx, "blacklist", []string{"+8613000000004"}, true); err != nil {
		t.Fatal(err)
	}
	undone, err := client.Undo(ctx, report.Change)
	if err != nil || undone.Removed != n || undone.Updated != 0 || undone.Who != me(t) || undone.From != "command line" {
		t.Errorf("%+v, %v", undone, err)
	}
	if got := <-seen; got != "listed false" {
		t.Error(got)
	}
	close(stop)
	for got := range seen {
		t.Error(got)
	}
	same()
	var history string
	err = client.History(ctx, "+8613000000004", func(h console.ListHistory) error {
		history += fmt.Sprintf("%s by %s from %s: %v %v, ", h.Change.Kind, h.Change.Who, h.Change.From, h.Before != nil, h.After != nil)
		return nil
	})
	if want := fmt.Sprintf("import by %[1]s from import: false true, remove by %[1]s from command line: true false, ", me(t)); err != nil || history != want {
		t.Errorf("%q, %v", history, err)
	}
	if _, err := client.Undo(ctx, report.Change); !errors.Is(err, console.ErrBad) {
		t.Errorf("undone twice: %v", err)
	}
	if _, err := client.Undo(ctx, 12345); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("no such change: %v", err)
	}
	if _, err := client.Import(ctx, console.ImportQuery{List: "black list"}, strings.NewReader("95588\n")); !errors.Is(err, console.ErrBad) {
		t.Errorf("a wrong name: %v", err)
	}
	if report, err := client.Verify(ctx); err != nil || len(report.Faults) > 0 || report.Changes != 4 {
		t.Errorf("%+v, %v", report, err)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := storage.WriteNew(copied, "the backup", func(w io.Writer) error { return client.Backup(ctx, w) }); err != nil {
		t.Fatal(err)
	}
	db, err := storage.Open(copied, storage.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if report, err := db.Verify(); err != nil || len(report.Faults) > 0 || report.Entries != 2 {
		t.Errorf("the backup: %+v, %v", report, err)
	}
}

// An import warns of what would have hit people that the lines deal with.
func TestImportWarns(t *testing.T) {
	c := installation(t, smallPolicy)
	d := start(t, c)
	client := dial(t, c)
	if err := d.db.PutStamps(storage.Known, []storage.Stamp{
		{Key: "staff\x00+8613800138000", At: time.Now()}, {Key: "staff\x00+8695211613", At: time.Now()}, {Key: "staff\x00+8613900139000", At: time.Now()},
	}, nil); err != nil {
		t.Fatal(err)
	}
	report, err := client.Import(t.Context(), console.ImportQuery{List: "blacklist", DryRun: true}, strings.NewReader("13800138000\n9521*\n02154321234\n110\n"))
	if err != nil || report.Refused != 1 || report.Change != 0 || len(report.Would) != 3 || len(report.Warnings) != 3 {
		t.Fatalf("%+v, %v", report, err)
	}
	if !strings.HasPrefix(report.Warnings[0], "line 2: 9521* also takes short service numbers") ||
		!strings.HasPrefix(report.Warnings[1], "+8613800138000 hits +8613800138000, whom line staff dealt with on ") || !strings.HasPrefix(report.Warnings[2], "9521* hits +8695211613") {
		t.Errorf("%q", report.Warnings)
	}
	if lists, err := client.Lists(t.Context()); err != nil || len(lists) != 0 {
		t.Errorf("%v, %v", lists, err)
	}
}

// me is the login name of who runs the tests: theirs are the requests through the socket.
func me(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

// Nothing that a request says of who asks is believed.
func TestWhoCannotBeClaimed(t *testing.T) {
	c := installation(t, smallPolicy)
	d := start(t, c)
	h := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", c.Socket)
	}}}
	defer h.CloseIdleConnections()
	ask := func(method, path, body string) string {
		kind := "application/json"
		if strings.Contains(path, "/import") {
			kind = "application/octet-stream"
		}
		req, err := http.NewRequestWithContext(t.Context(), method, "http://x/api/v1/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", kind)
		req.Header.Set("Ringfence-Who", "security-officer")
		req.Header.Set("Ringfence-From", "feed ftc")
		resp, err := h.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, b, err)
		}
		return string(b)
	}
	ask("POST", "lists/blacklist/entries", `[{"number":"95211613","who":"security-officer","source":"feed ftc"}]`)
	ask("POST", "lists/blacklist/import?file=x.txt", "95211614\n")
	ask("DELETE", "lists/blacklist/entries", `["95211614"]`)
	var r struct{ ID string }
	screen(in(d), "a", "95211615", "8001", false)
	if err := json.Unmarshal([]byte(ask("POST", "reports", `{"caller":"95211615","extension":"8001"}`)), &r); err != nil || r.ID == "" {
		t.Fatalf("%+v %v", r, err)
	}
	ask("POST", "reports/"+r.ID+"/confirm", `{"who":"security-officer"}`)
	seen := 0
	check := func(who, from string) {
		t.Helper()
		if seen++; who != me(t) || strings.Contains(from, "ftc") {
			t.Errorf("recorded as by %q from %q", who, from)
		}
	}
	for _, number := range []string{"95211613", "95211614", "95211615"} {
		if err := in(d).History(t.Context(), number, func(h console.ListHistory) error { check(h.Change.Who, h.Change.From); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	in(d).Entries(t.Context(), "blacklist", func(e console.ListEntry) error { check(e.Who, e.Source); return nil })
	in(d).Reports(t.Context(), console.ReportsQuery{}, func(r console.Report) error { check(r.Who, ""); return nil })
	if seen < 6 {
		t.Errorf("only %d records were looked at", seen)
	}
}
