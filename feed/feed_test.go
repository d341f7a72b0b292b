package feed

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/alert"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/desk"
	"ringfence/inforce"
	"ringfence/policy"
	"ringfence/storage"
)

// publisher is a web server that publishes one list.
type publisher struct {
	mu        sync.Mutex
	text      string
	status    int    // in place of the list
	digest    string // the header, "" for none
	sum       string // what URL.sha256 has, "" for none
	breakOff  bool   // the body is shorter than announced
	asked     int    // for the list
	unchanged int    // answered with 304
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.HasSuffix(r.URL.Path, ".sha256") {
		if p.sum == "" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, "%s  list\n", p.sum)
		return
	}
	p.asked++
	if p.status != 0 {
		w.WriteHeader(p.status)
		return
	}
	etag := fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(p.text)))
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		p.unchanged++
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if p.digest != "" {
		w.Header().Set("Repr-Digest", p.digest)
	}
	if p.breakOff {
		w.Header().Set("Content-Length", fmt.Sprint(len(p.text)+100))
	}
	fmt.Fprint(w, p.text)
}

func (p *publisher) set(change func(p *publisher)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// sound publishes a list with nothing wrong about it. The lock is held.
func (p *publisher) sound(text string) {
	p.text, p.status, p.digest, p.sum, p.breakOff = text, 0, "", "", false
}

// numbers is a text list of n numbers from a start.
func numbers(from, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "138%08d\n", from+i)
	}
	return b.String()
}

// reader is a desk with feeds, and a clock.
type reader struct {
	*desk.Desk
	*Feeds
	db     *storage.DB
	alerts *alert.Book
	now    func() time.Time
	log    bytes.Buffer
}

// feeds makes others on the same desk.
func (d *reader) feeds(t *testing.T, all ...conf.Feed) *Feeds {
	return New(all, Options{Folder: d.o.Folder, Lists: d.Desk, Settings: d.db, Alerts: d.alerts, Log: slog.New(slog.NewTextHandler(&d.log, nil)), Now: func() time.Time { return d.now() }})
}

// startFeed opens a desk with one feed that is fetched when the test says so.
func startFeed(t *testing.T, p *publisher) *reader {
	t.Helper()
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	folder := t.TempDir()
	file := filepath.Join(folder, "policy.toml")
	if err := os.WriteFile(file, []byte("country = \"CN\"\n[[rule]]\nname = \"fed\"\nwhen = { list = [\"fed\"] }\naction = \"reject\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := &conf.Daemon{Policy: file, Data: folder}
	db, err := storage.Open(c.Database(), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	d := &reader{db: db, now: time.Now}
	d.alerts = alert.New(alert.Options{Log: slog.New(slog.DiscardHandler), Now: time.Now})
	d.Desk = desk.New(c, db, &inforce.State{}, desk.Options{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return d.now() }})
	if err := d.Load(); err != nil {
		t.Fatal(err)
	}
	d.Feeds = &Feeds{o: Options{Folder: filepath.Join(folder, "feeds")}}
	d.Feeds = d.feeds(t, conf.Feed{List: "fed", Source: server.URL + "/list", Every: 24 * time.Hour, MaxChange: 0.5})
	return d
}

func onFeed(t *testing.T, d *reader, number string) bool {
	t.Helper()
	r, err := d.Check(t.Context(), console.CheckQuery{Caller: number})
	if err != nil {
		t.Fatal(err)
	}
	return r.Action == policy.Reject.String()
}

// A feed counts when it is whole and plausible: what it no longer names goes, an administrator's own entries stay, and
// what has not changed is not sent again.
func TestFeed(t *testing.T) {
	p := &publisher{text: numbers(0, 100)}
	d := startFeed(t, p)
	fetch := func() *console.FeedStatus {
		t.Helper()
		s, err := d.FetchFeed(t.Context(), "fed")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if _, err := d.AddEntries(t.Context(), "fed", []console.NewEntry{{Number: "13900000001", Reason: "ours"}}, false); err != nil {
		t.Fatal(err)
	}
	if s := fetch(); s.Entries != 100 || s.Held != "" || s.Error != "" || !onFeed(t, d, "13800000099") {
		t.Errorf("%+v", s)
	}
	fetch()
	p.set(func(p *publisher) {
		if p.unchanged != 1 {
			t.Errorf("an unchanged list was sent again: %d of %d answers say so", p.unchanged, p.asked)
		}
		p.text = numbers(10, 100) + "952*\n"
	})
	if s := fetch(); s.Entries != 101 || onFeed(t, d, "13800000005") || !onFeed(t, d, "13800000105") || !onFeed(t, d, "95211613") || !onFeed(t, d, "13900000001") {
		t.Errorf("%+v", s)
	}
	if text, err := os.ReadFile(filepath.Join(d.o.Folder, "fed.good")); err != nil || !strings.HasSuffix(string(text), "952*\n") {
		t.Errorf("the last good one is not kept: %v", err)
	}

	// Shrunk by more than a half: it waits, and nothing changes until a person says so.
	p.set(func(p *publisher) { p.text = numbers(0, 30) })
	if s := fetch(); !strings.Contains(s.Held, "it has 30 entries, and 101 count now") || onFeed(t, d, "13800000001") || !onFeed(t, d, "13800000105") {
		t.Errorf("%+v", s)
	}
	if s := fetch(); s.Held == "" {
		t.Errorf("another look forgets what is held: %+v", s)
	}
	if open := d.alerts.Open(); len(open) != 1 || !strings.Contains(open[0].Text, "the feed fed is held for review: it has 30 entries, and 101 count now. See ringfence feeds ls") {
		t.Errorf("%+v", open)
	}
	s, err := d.AcceptFeed(t.Context(), "fed")
	if err != nil || s.Held != "" || s.Entries != 30 || !onFeed(t, d, "13800000001") || onFeed(t, d, "13800000105") || !onFeed(t, d, "13900000001") {
		t.Errorf("%+v, %v", s, err)
	}
	if open := d.alerts.Open(); len(open) != 0 {
		t.Errorf("%+v", open)
	}
	if _, err := d.AcceptFeed(t.Context(), "fed"); !errors.Is(err, console.ErrBad) {
		t.Errorf("accepted twice: %v", err)
	}
	// Grown by more than a half, and mostly nonsense.
	p.set(func(p *publisher) { p.text = numbers(0, 300) })
	if s := fetch(); !strings.Contains(s.Held, "it has 300 entries, and 30 count now") {
		t.Errorf("%+v", s)
	}
	p.set(func(p *publisher) { p.text = numbers(0, 29) + strings.Repeat("<html>\n", 60) })
	if s := fetch(); !strings.Contains(s.Held, "60 of its lines are no entries, only 29 are") {
		t.Errorf("%+v", s)
	}
	// Each change is one that can be undone as a whole.
	changes := 0
	if err := d.Changes(t.Context(), "fed", func(c console.ListChange) error {
		if c.From == "feed" {
			changes++
		}
		return nil
	}); err != nil || changes != 3 {
		t.Errorf("%d changes by the feed, %v", changes, err)
	}
	if _, err := d.FetchFeed(t.Context(), "other"); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("a feed that is not there: %v", err)
	}
}

// What does not come whole changes nothing, and the feed says why.
func TestFeedFails(t *testing.T) {
	p := &publisher{text: numbers(0, 100)}
	d := startFeed(t, p)
	if _, err := d.FetchFeed(t.Context(), "fed"); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("another"))
	for name, c := range map[string]struct {
		set  func(p *publisher)
		want string
	}{
		"breaks off":              {func(p *publisher) { p.breakOff = true }, "unexpected EOF"},
		"an error":                {func(p *publisher) { p.status = 503 }, "the source answers 503"},
		"the wrong digest":        {func(p *publisher) { p.digest = "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":" }, "is published"},
		"the wrong checksum file": {func(p *publisher) { p.sum = hex.EncodeToString(sum[:]) }, "is published"},
	} {
		p.set(func(p *publisher) { p.sound(numbers(50, 100)); c.set(p) })
		if _, err := d.FetchFeed(t.Context(), "fed"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		all := d.Feeds.Status()
		if !strings.Contains(all[0].Error, c.want) || all[0].Entries != 100 || !onFeed(t, d, "13800000000") || onFeed(t, d, "13800000149") {
			t.Errorf("%s: %+v", name, all)
		}
	}
	p.set(func(p *publisher) { p.sound("<html>\n") })
	if s, err := d.FetchFeed(t.Context(), "fed"); err == nil || !strings.Contains(err.Error(), "it is a web page and no list") {
		t.Errorf("a page instead of a list: %+v, %v", s, err)
	}
	p.set(func(p *publisher) { p.sound("please log in\n") })
	if s, err := d.FetchFeed(t.Context(), "fed"); err != nil || s.Held == "" {
		t.Errorf("a text instead of a list: %+v, %v", s, err)
	}
	right := sha256.Sum256([]byte(numbers(50, 100)))
	p.set(func(p *publisher) { p.sound(numbers(50, 100)); p.sum = hex.EncodeToString(right[:]) })
	if s, err := d.FetchFeed(t.Context(), "fed"); err != nil || s.Error != "" || !onFeed(t, d, "13800000149") || onFeed(t, d, "13800000000") {
		t.Errorf("%+v, %v", s, err)
	}
}

// What is known of a feed outlives the daemon, and another source begins anew. A file on this machine is a source too.
func TestFeedIsKept(t *testing.T) {
	p := &publisher{text: numbers(0, 100)}
	d := startFeed(t, p)
	if _, err := d.FetchFeed(t.Context(), "fed"); err != nil {
		t.Fatal(err)
	}
	again := d.feeds(t, d.all[0].Feed)
	if s := again.all[0].status(); s.Entries != 100 || s.Fetched.IsZero() {
		t.Errorf("%+v", s)
	}
	if pause := again.pause(again.all[0]); pause < 23*time.Hour || pause > 27*time.Hour {
		t.Errorf("due in %v", pause)
	}
	file := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(file, []byte("number,reason\n95201234,prizes\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	local := d.feeds(t, conf.Feed{List: "local", Source: file, Format: "csv", Every: time.Hour, MaxChange: 0.5})
	if pause := local.pause(local.all[0]); pause > time.Minute {
		t.Errorf("a new feed is due in %v", pause)
	}
	for range 2 {
		if err := local.fetch(t.Context(), local.all[0]); err != nil {
			t.Fatal(err)
		}
		if s := local.all[0].status(); s.Entries != 1 || s.Error != "" {
			t.Errorf("%+v", s)
		}
	}
	other := d.feeds(t, conf.Feed{List: "fed", Source: file, Every: time.Hour})
	if s := other.all[0].status(); s.Entries != 0 || !s.Checked.IsZero() {
		t.Errorf("another source keeps %+v", s)
	}
}

// The FTC's files have one day's complaints each: a number becomes an entry by those of several, and stops being one
// when they are too old.
func TestFeedOfDays(t *testing.T) {
	day := func(at time.Time, numbers ...string) string {
		text := "Company_Phone_Number,Created_Date,Violation_Date,Consumer_City\n"
		for i, n := range numbers {
			text += fmt.Sprintf("%s,%s,,city %d\n", n, at.Add(time.Duration(i)*time.Minute).Format("2006-01-02 15:04:05"), i)
		}
		return strings.TrimSuffix(text, "\n") // the last line without its end
	}
	p := &publisher{}
	d := startFeed(t, p)
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	d.now = func() time.Time { return now }
	d.all[0].Format = "ftc"
	fetch := func(want int, numbers ...string) {
		t.Helper()
		p.set(func(p *publisher) { p.text = day(now, numbers...) })
		s, err := d.FetchFeed(t.Context(), "fed")
		if err != nil || s.Entries != want || s.Held != "" {
			t.Errorf("%s: %+v, %v", now.Format("2 Jan"), s, err)
		}
		now = now.Add(24 * time.Hour)
	}
	fetch(0, "3055550101")
	fetch(1, "3055550100", "3055550100", "3055550100")
	fetch(2, "3055550101", "3055550101", "3055550102") // three in two days
	fetch(3, "3055550102", "3055550102")
	files, err := filepath.Glob(filepath.Join(d.o.Folder, "fed.days", "*.csv"))
	if err != nil || len(files) != 4 {
		t.Errorf("%d files are kept, %v", len(files), err)
	}
	now = now.Add(200 * 24 * time.Hour)
	fetch(1, "3055550109", "3055550109", "3055550109")
	if files, _ := filepath.Glob(filepath.Join(d.o.Folder, "fed.days", "*.csv")); len(files) != 1 {
		t.Errorf("%d files are kept, though all but one are too old", len(files))
	}
}

// What could not be used is fetched again, though the source says that it has not changed.
func TestFeedIsTriedAgain(t *testing.T) {
	d := startFeed(t, &publisher{text: "please log in\n"})
	for range 2 {
		if s, err := d.FetchFeed(t.Context(), "fed"); err == nil || !strings.Contains(err.Error(), "is the format right?") {
			t.Errorf("%+v, %v", s, err)
		}
	}
}

// A feed that names what an administrator has listed, and drops it later, takes away what it said itself, in memory and on disk. When the administrator's entry expires, the feed's counts.
func TestFeedLeavesOthers(t *testing.T) {
	p := &publisher{text: numbers(0, 30)}
	d := startFeed(t, p)
	const number = "13800000007"
	fetch := func(first, n int) {
		t.Helper()
		p.set(func(p *publisher) { p.text = numbers(first, n) })
		if s, err := d.FetchFeed(t.Context(), "fed"); err != nil || s.Held != "" {
			t.Fatalf("%+v, %v", s, err)
		}
	}
	shown := func(want string, sources int) {
		t.Helper()
		found := false
		if err := d.Entries(t.Context(), "fed", func(e console.ListEntry) error {
			if e.Number == "+86"+number {
				if found = true; e.Reason != want || len(e.Records) != sources {
					t.Errorf("%+v, want %q of %d sources", e, want, sources)
				}
			}
			return nil
		}); err != nil || found != (want != "-") || onFeed(t, d, number) != found {
			t.Errorf("%s is on the list: %v, a call to it is refused: %v, %v", number, found, onFeed(t, d, number), err)
		}
	}
	_, err := d.AddEntries(t.Context(), "fed", []console.NewEntry{{Number: number, Reason: "ours", Expires: time.Now().Add(time.Hour)}}, false)
	if err != nil {
		t.Fatal(err)
	}
	fetch(0, 30)
	shown("ours", 2)
	now := d.now
	d.now = func() time.Time { return now().Add(2 * time.Hour) }
	shown("", 2)
	d.now = now
	edits, err := d.RemoveEntries(t.Context(), "fed", []string{number}, false)
	if err != nil || len(edits) != 1 || edits[0].Change != "removed" || len(edits[0].Still) != 1 || edits[0].Still[0] != "feed fed" {
		t.Errorf("%+v, %v", edits, err)
	}
	shown("", 0)
	if _, err := d.AddEntries(t.Context(), "fed", []console.NewEntry{{Number: number, Reason: "ours"}}, false); err != nil {
		t.Fatal(err)
	}
	fetch(10, 30)
	shown("ours", 0)
	if onFeed(t, d, "13800000008") {
		t.Error("what the feed alone named is on the list")
	}
	fetch(0, 30)
	edits, err = d.RemoveEntries(t.Context(), "fed", []string{number}, true)
	if err != nil || edits[0].Change != "removed" || edits[0].Still != nil {
		t.Errorf("%+v, %v", edits, err)
	}
	shown("-", 0)
}

// What a feed has that may not be meant is in the log; nobody reads its report.
func TestFeedWarns(t *testing.T) {
	d := startFeed(t, &publisher{text: "0*\n13800138000\n"})
	if s, err := d.FetchFeed(t.Context(), "fed"); err != nil || s.Held != "" {
		t.Fatalf("%+v, %v", s, err)
	}
	if text := d.log.String(); strings.Count(text, "may not be meant") != 1 || !strings.Contains(text, "0* takes all numbers of CN") {
		t.Errorf("logged %s", text)
	}
}
