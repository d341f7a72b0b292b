// Package feed keeps the lists that others keep. What was fetched is staged as a file, read as a whole, held against what
// counts now, and only then becomes the list's entries of this source, in one change. Entries of an
// administrator's on the same list stay. What is implausible waits for a person; the last good one counts.
package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"ringfence/alert"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/listfile"
	"ringfence/number"
	"ringfence/policy"
)

// feedFloor is how many entries a list must have before a change of its size can be implausible.
const feedFloor = 20

// Feeds fetches what [[feed]] names.
type Feeds struct {
	o   Options
	all []*feed
}

// Options are what Feeds works with.
type Options struct {
	Folder   string // where files are staged
	Lists    Lists
	Settings Settings
	Alerts   *alert.Book // is told what is held; nil for nobody
	Log      *slog.Logger
	Now      func() time.Time
}

// Lists takes what a feed says.
type Lists interface {
	// ImportWhole makes a file all that a source has on a list. plausible is asked before anything is changed.
	ImportWhole(ctx context.Context, q console.ImportQuery, file io.Reader, source string, plausible func(entries, refused, before int) error) (*console.ImportReport, error)
}

// Settings keeps a text under a name.
type Settings interface {
	Setting(name string) ([]byte, error)
	PutSetting(name string, text []byte) error
}

type feed struct {
	conf.Feed
	busy sync.Mutex // one fetch at a time

	mu    sync.Mutex
	state feedState
}

// feedState is what is kept of a feed, as a setting of the database.
type feedState struct {
	Source       string    `json:"source"` // what the rest is of; another source begins anew
	ETag         string    `json:"etag,omitempty"`
	LastModified string    `json:"last_modified,omitempty"`
	Checked      time.Time `json:"checked,omitzero"` // the last try
	Fetched      time.Time `json:"fetched,omitzero"` // the last one that counts
	Entries      int       `json:"entries"`
	Refused      int       `json:"refused,omitempty"` // lines of it that are no entries
	Error        string    `json:"error,omitempty"`   // of the last try
	Held         string    `json:"held,omitempty"`    // why what was fetched waits for a person
}

// New makes the feeds of the daemon's file. Run fetches them.
func New(all []conf.Feed, o Options) *Feeds {
	fs := &Feeds{o: o}
	var names []string
	for _, c := range all {
		f := &feed{Feed: c}
		if text, err := o.Settings.Setting(f.setting()); err != nil {
			o.Log.Error("what is known of a feed cannot be read; it is fetched anew", "feed", c.List, "error", err)
		} else if len(text) > 0 {
			json.Unmarshal(text, &f.state) // what cannot be read begins anew
		}
		if f.state.Source != c.Source {
			f.state = feedState{Source: c.Source}
		}
		fs.all = append(fs.all, f)
		names = append(names, f.List)
		fs.alert(f, f.state.Held)
	}
	o.Alerts.Only(alert.Feed, names...)
	return fs
}

func (f *feed) setting() string { return "feed:" + f.List[:min(len(f.List), 50)] }

// source is the Source of the feed's entries.
func (f *feed) source() string { return policy.FeedSource + f.List }

// Run fetches each feed when it is due, until ctx ends.
func (fs *Feeds) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, f := range fs.all {
		running.Go(func() {
			for {
				if !wait(ctx, fs.pause(f)) {
					return
				}
				if err := fs.fetch(ctx, f); err != nil && ctx.Err() == nil {
					fs.o.Log.Warn("a feed could not be fetched; what counts stays", "feed", f.List, "source", f.Source, "error", err)
				}
			}
		})
	}
	running.Wait()
}

// pause is how long until a feed is due: a tenth of its time is left to chance, so that not all who follow a
// source ask it in the same minute. One that was never tried is due within a minute, one that failed after an
// hour at the latest.
func (fs *Feeds) pause(f *feed) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	every := f.Every
	switch {
	case f.state.Checked.IsZero():
		return rand.N(min(time.Minute, every))
	case f.state.Error != "":
		every = min(every, time.Hour)
	}
	return max(f.state.Checked.Add(every).Sub(fs.o.Now()), 0) + rand.N(every/10+time.Second)
}

// wait is false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// errHeld is a feed that waits for a person.
var errHeld = errors.New("held for review")

// fetch brings a feed up to date and keeps how that went.
func (fs *Feeds) fetch(ctx context.Context, f *feed) error {
	f.busy.Lock()
	defer f.busy.Unlock()
	f.mu.Lock()
	was := f.state
	f.mu.Unlock()
	is := was
	err := fs.update(ctx, f, &is)
	if ctx.Err() != nil {
		return err
	}
	is.Checked, is.Error = fs.o.Now().Round(0), ""
	if err != nil && !errors.Is(err, errHeld) {
		is.Error = err.Error()
	}
	return errors.Join(err, fs.keep(f, is))
}

func (fs *Feeds) keep(f *feed, is feedState) error {
	text, err := json.Marshal(is)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.state = is
	f.mu.Unlock()
	return fs.o.Settings.PutSetting(f.setting(), text)
}

// update fetches a feed and, if there is something new and it is plausible, makes it count.
func (fs *Feeds) update(ctx context.Context, f *feed, s *feedState) error {
	if err := os.MkdirAll(fs.o.Folder, 0o755); err != nil {
		return err
	}
	staged := fs.file(f, "new")
	was := *s
	fresh, err := download(ctx, f.Source, staged, s)
	if err != nil || !fresh {
		os.Remove(staged)
		return err
	}
	report, err := fs.count(ctx, f, staged, false)
	if errors.Is(err, errHeld) {
		s.Held = err.Error()
		fs.alert(f, s.Held)
		fs.o.Log.Warn("a feed is held for review; what counts stays", "feed", f.List, "reason", err)
		return errors.Join(err, os.Rename(staged, fs.file(f, "held")))
	}
	if err != nil {
		s.ETag, s.LastModified = was.ETag, was.LastModified // it was not used: the next time it is fetched again
		os.Remove(staged)
		return err
	}
	return fs.took(f, s, staged, report)
}

// alert says that a feed is held, and why, or with "" that it is not.
func (fs *Feeds) alert(f *feed, held string) {
	if held == "" {
		fs.o.Alerts.End(alert.Feed, f.List, fmt.Sprintf("what was fetched of the feed %s counts.", f.List))
		return
	}
	fs.o.Alerts.Begin(alert.Feed, f.List, fmt.Sprintf("the feed %s is %s. See ringfence feeds ls; ringfence feeds accept %s makes it count.", f.List, held, f.List))
}

// took notes that a staged file counts now.
func (fs *Feeds) took(f *feed, s *feedState, staged string, report *console.ImportReport) error {
	s.Held, s.Fetched = "", fs.o.Now().Round(0)
	fs.alert(f, s.Held)
	s.Entries, s.Refused = report.Added+report.Updated+report.Unchanged, report.Refused
	fs.o.Log.Info("a feed counts", "feed", f.List, "entries", s.Entries, "added", report.Added, "removed", report.Removed, "refused", report.Refused)
	for _, w := range report.Warnings { // of which there is a bound
		fs.o.Log.Warn("an entry of a feed may not be meant", "feed", f.List, "warning", number.InertUpTo(w, 300))
	}
	if err := fs.keepDay(f, staged); err != nil {
		return err
	}
	if err := os.Rename(staged, fs.file(f, "good")); err != nil {
		return err
	}
	if err := os.Remove(fs.file(f, "held")); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

func (fs *Feeds) file(f *feed, what string) string {
	return filepath.Join(fs.o.Folder, f.List+"."+what)
}

// count makes a staged file the feed's entries. Unless a person has accepted it, it must be plausible.
func (fs *Feeds) count(ctx context.Context, f *feed, file string, accepted bool) (*console.ImportReport, error) {
	in, closeAll, err := fs.open(f, file)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	q := console.ImportQuery{List: f.List, File: f.Source, Who: "ringfence", Format: f.Format}
	return fs.o.Lists.ImportWhole(ctx, q, in, f.source(), func(entries, refused, before int) error {
		switch change := float64(entries-before) / float64(max(before, 1)); {
		case accepted:
			return nil
		case entries == 0 && before == 0 && (refused > 0 || f.Format != string(listfile.FTC)): // complaints may be too few yet
			return errors.New("it has no entry that can be read: is the format right?")
		case refused > entries:
			return fmt.Errorf("%w: %d of its lines are no entries, only %d are", errHeld, refused, entries)
		case before >= feedFloor && (change > f.MaxChange || -change > f.MaxChange):
			return fmt.Errorf("%w: it has %d entries, and %d count now", errHeld, entries, before)
		}
		return nil
	})
}

// feed finds a feed by its list.
func (fs *Feeds) feed(list string) (*feed, error) {
	for _, f := range fs.all {
		if f.List == list {
			return f, nil
		}
	}
	return nil, console.NotFound(fmt.Sprintf("there is no [[feed]] for list %s: `ringfence feeds ls` names those there are", list))
}

// Status says how the feeds are.
func (fs *Feeds) Status() []console.FeedStatus {
	var out []console.FeedStatus
	for _, f := range fs.all {
		out = append(out, f.status())
	}
	return out
}

func (f *feed) status() console.FeedStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &f.state
	return console.FeedStatus{List: f.List, Source: f.Source, Every: f.Every.String(), Checked: s.Checked, Fetched: s.Fetched, Entries: s.Entries, Refused: s.Refused, Error: s.Error, Held: s.Held}
}

// FetchFeed fetches a feed now.
func (fs *Feeds) FetchFeed(ctx context.Context, list string) (*console.FeedStatus, error) {
	f, err := fs.feed(list)
	if err != nil {
		return nil, err
	}
	if err := fs.fetch(ctx, f); err != nil && !errors.Is(err, errHeld) {
		return nil, console.Bad("the feed could not be fetched, what counts stays: " + err.Error())
	}
	s := f.status()
	return &s, nil
}

// AcceptFeed makes what is held count.
func (fs *Feeds) AcceptFeed(ctx context.Context, list string) (*console.FeedStatus, error) {
	f, err := fs.feed(list)
	if err != nil {
		return nil, err
	}
	f.busy.Lock()
	defer f.busy.Unlock()
	f.mu.Lock()
	is := f.state
	f.mu.Unlock()
	if is.Held == "" {
		return nil, console.Bad("nothing of the feed " + list + " is held")
	}
	report, err := fs.count(ctx, f, fs.file(f, "held"), true)
	if err != nil {
		return nil, err
	}
	if err := fs.took(f, &is, fs.file(f, "held"), report); err != nil {
		return nil, err
	}
	if err := fs.keep(f, is); err != nil {
		return nil, err
	}
	s := f.status()
	return &s, nil
}

// readAll reads what is left, so that a connection can be used again.
func readAll(r io.Reader) { io.Copy(io.Discard, io.LimitReader(r, 1<<20)) }
