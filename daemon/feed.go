package daemon

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

	"ringfence/conf"
	"ringfence/console"
	"ringfence/listfile"
	"ringfence/policy"
	"ringfence/storage"
)

// A feed is a list that others keep. What was fetched is staged as a file, read as a whole, held against what
// counts now, and only then becomes the list's entries of this source, in one change. Entries of an
// administrator's on the same list stay. What is implausible waits for a person; the last good one counts.

// notifyFeed is the kind of the message that a feed is held.
const notifyFeed = "feed"

// feedFloor is how many entries a list must have before a change of its size can be implausible.
const feedFloor = 20

// feeds fetches what [[feed]] names.
type feeds struct {
	desk   *Desk
	folder string
	log    *slog.Logger
	all    []*feed
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

func newFeeds(d *Desk, all []conf.Feed, folder string, log *slog.Logger) *feeds {
	fs := &feeds{desk: d, folder: folder, log: log}
	for _, c := range all {
		f := &feed{Feed: c}
		if text, err := d.db.Setting(f.setting()); err != nil {
			log.Error("what is known of a feed cannot be read; it is fetched anew", "feed", c.List, "error", err)
		} else if len(text) > 0 {
			json.Unmarshal(text, &f.state) // what cannot be read begins anew
		}
		if f.state.Source != c.Source {
			f.state = feedState{Source: c.Source}
		}
		fs.all = append(fs.all, f)
	}
	return fs
}

func (f *feed) setting() string { return "feed:" + f.List[:min(len(f.List), 50)] }

// source is the Source of the feed's entries.
func (f *feed) source() string { return policy.FeedSource + f.List }

// run fetches each feed when it is due, until ctx ends.
func (fs *feeds) run(ctx context.Context) {
	var running sync.WaitGroup
	for _, f := range fs.all {
		running.Go(func() {
			for {
				if !wait(ctx, fs.pause(f)) {
					return
				}
				if err := fs.fetch(ctx, f); err != nil && ctx.Err() == nil {
					fs.log.Warn("a feed could not be fetched; what counts stays", "feed", f.List, "source", f.Source, "error", err)
				}
			}
		})
	}
	running.Wait()
}

// pause is how long until a feed is due: a tenth of its time is left to chance, so that not all who follow a
// source ask it in the same minute. One that was never tried is due within a minute, one that failed after an
// hour at the latest.
func (fs *feeds) pause(f *feed) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	every := f.Every
	switch {
	case f.state.Checked.IsZero():
		return rand.N(min(time.Minute, every))
	case f.state.Error != "":
		every = min(every, time.Hour)
	}
	return max(f.state.Checked.Add(every).Sub(fs.desk.now()), 0) + rand.N(every/10+time.Second)
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
func (fs *feeds) fetch(ctx context.Context, f *feed) error {
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
	is.Checked, is.Error = fs.desk.now().Round(0), ""
	if err != nil && !errors.Is(err, errHeld) {
		is.Error = err.Error()
	}
	return errors.Join(err, fs.keep(f, is))
}

func (fs *feeds) keep(f *feed, is feedState) error {
	text, err := json.Marshal(is)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.state = is
	f.mu.Unlock()
	return fs.desk.db.PutSetting(f.setting(), text)
}

// update fetches a feed and, if there is something new and it is plausible, makes it count.
func (fs *feeds) update(ctx context.Context, f *feed, s *feedState) error {
	if err := os.MkdirAll(fs.folder, 0o755); err != nil {
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
		fs.desk.notify.tell(notifyFeed, fmt.Sprintf("the feed %s is held: %s. See `ringfence feeds ls`; `ringfence feeds accept %s` makes it count.", f.List, err, f.List))
		fs.log.Warn("a feed is held for review; what counts stays", "feed", f.List, "reason", err)
		return errors.Join(err, os.Rename(staged, fs.file(f, "held")))
	}
	if err != nil {
		s.ETag, s.LastModified = was.ETag, was.LastModified // it was not used: the next time it is fetched again
		os.Remove(staged)
		return err
	}
	return fs.took(f, s, staged, report)
}

// took notes that a staged file counts now.
func (fs *feeds) took(f *feed, s *feedState, staged string, report *console.ImportReport) error {
	s.Held, s.Fetched = "", fs.desk.now().Round(0)
	s.Entries, s.Refused = report.Added+report.Updated+report.Unchanged, report.Refused
	fs.log.Info("a feed counts", "feed", f.List, "entries", s.Entries, "added", report.Added, "removed", report.Removed, "refused", report.Refused)
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

func (fs *feeds) file(f *feed, what string) string { return filepath.Join(fs.folder, f.List+"."+what) }

// count makes a staged file the feed's entries. Unless a person has accepted it, it must be plausible.
func (fs *feeds) count(ctx context.Context, f *feed, file string, accepted bool) (*console.ImportReport, error) {
	in, closeAll, err := fs.open(f, file)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	q := console.ImportQuery{List: f.List, File: f.Source, Who: "ringfence", Format: f.Format}
	return fs.desk.importFile(ctx, q, in, wholeSource{name: f.source(), plausible: func(entries, refused, before int) error {
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
	}})
}

// feed finds a feed by its list.
func (d *Desk) feed(list string) (*feed, error) {
	if d.feeds == nil {
		return nil, console.ErrNotRunning
	}
	for _, f := range d.feeds.all {
		if f.List == list {
			return f, nil
		}
	}
	return nil, console.NotFound(fmt.Sprintf("there is no [[feed]] for list %s: `ringfence feeds ls` names those there are", list))
}

// Feeds says how the feeds are.
func (d *Desk) Feeds(context.Context) ([]console.FeedStatus, error) {
	if d.feeds == nil {
		return nil, console.ErrNotRunning
	}
	var out []console.FeedStatus
	for _, f := range d.feeds.all {
		out = append(out, f.status())
	}
	return out, nil
}

func (f *feed) status() console.FeedStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &f.state
	return console.FeedStatus{List: f.List, Source: f.Source, Every: f.Every.String(), Checked: s.Checked, Fetched: s.Fetched, Entries: s.Entries, Refused: s.Refused, Error: s.Error, Held: s.Held}
}

// FetchFeed fetches a feed now.
func (d *Desk) FetchFeed(ctx context.Context, list string) (*console.FeedStatus, error) {
	f, err := d.feed(list)
	if err != nil {
		return nil, err
	}
	if err := d.feeds.fetch(ctx, f); err != nil && !errors.Is(err, errHeld) {
		return nil, console.Bad("the feed could not be fetched, what counts stays: " + err.Error())
	}
	s := f.status()
	return &s, nil
}

// AcceptFeed makes what is held count.
func (d *Desk) AcceptFeed(ctx context.Context, list string) (*console.FeedStatus, error) {
	f, err := d.feed(list)
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
	report, err := d.feeds.count(ctx, f, d.feeds.file(f, "held"), true)
	if err != nil {
		return nil, err
	}
	if err := d.feeds.took(f, &is, d.feeds.file(f, "held"), report); err != nil {
		return nil, err
	}
	if err := d.feeds.keep(f, is); err != nil {
		return nil, err
	}
	s := f.status()
	return &s, nil
}

// wholeSource is a feed's file, which says all that the feed has: what it no longer names, the feed says no more.
type wholeSource struct {
	name      string                                   // the Source of its records
	plausible func(entries, refused, before int) error // asked before anything is changed
}

// addGone has a file also take away what its source said and says no longer, and tells how many entries of it there are now.
func (d *Desk) addGone(list string, g *gathered, origin storage.Origin, source string) (before int, err error) {
	id := uint32(len(g.says))
	g.says = append(g.says, gatheredText{remove: true})
	plan := d.rules.Load().policy.Plan()
	named := make(map[string]bool, len(g.other))
	for i := range g.other {
		named[g.other[i].text] = true
	}
	err = d.db.Entries(list, func(e storage.Entry) error {
		if e.Origin != origin || e.Source != source {
			return nil
		}
		before++
		if named[e.Pattern] {
			return nil
		}
		if p, err := plan.KeptPattern(e.Pattern); err == nil {
			if key, ok := p.Key(); ok && g.has(key) {
				return nil
			}
		}
		g.other = append(g.other, gatheredPattern{text: e.Pattern, says: id})
		return nil
	})
	if errors.Is(err, storage.ErrNoList) {
		err = nil
	}
	return before, err
}

// readAll reads what is left, so that a connection can be used again.
func readAll(r io.Reader) { io.Copy(io.Discard, io.LimitReader(r, 1<<20)) }
