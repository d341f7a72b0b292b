// Package notice tells the customers of lines which of their calls were stopped: by mail or a webhook, at most once an hour or once a day.
//
// It is off the calls' path. The journal's writer asks it of each call that was stopped whether somebody is to be told (Wants), and notes those in
// the journal's own transaction (storage/notices.go); what is told, and to whom, is read anew in the moment of telling. So a restart loses nothing,
// an edit of a line counts at once, and who has a line now learns nothing of the calls of who had it before.
package notice

import (
	"container/heap"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ringfence/alert"
	"ringfence/policy"
	"ringfence/storage"
)

const (
	gather     = time.Minute    // how long after the first call, so that a campaign's come together
	hourly     = time.Hour      // between two notices of a line
	digestHour = 8              // of the line's clock
	retryMin   = time.Minute    // after what failed; doubled each time
	retryMax   = time.Hour      //
	giveUp     = 24 * time.Hour // how long a notice is tried to be sent
	workers    = 4              // notices that are sent at once, one a customer
	pruneEvery = time.Hour
	keepHead   = 48 * time.Hour     // how long it is known when a line was told last
	keepGiven  = 7 * 24 * time.Hour // how long a line that could not be told is a matter for an alert
	readAgain  = time.Minute        // after a fault of the database
	wantsFor   = 2 * time.Second    // how long it is believed whether a line has notices
	maxWants   = 16_384             // lines of which that is kept
)

// Options of Notices.
type Options struct {
	Folder   string // the data folder, for the secret of webhooks
	Sendmail string // a program with an absolute path
	From     string // of mail; "" leaves it to that program
	Node     string // this machine's name
	Private  bool   // webhooks may go to this machine and to private networks
	StarCode string // by which a phone lets the caller through who was stopped last; "" for none
	// Policy is the one in force; nil before there is one.
	Policy func() *policy.Policy
	// Link is the address of a page that shows one call to a line, by its key, and lets its caller through, once and within a week (access.Book.NoticeLink);
	// "" where there is none, nil for no console.
	Link   func(call, line string) string
	Alerts *alert.Book // is told of notices that were given up; nil for nobody
	Log    *slog.Logger
	Now    func() time.Time
}

// Notices is what is to be told. Its methods may be called by several goroutines at once.
type Notices struct {
	db *storage.DB
	o  Options

	send  func(ctx context.Context, l *storage.Line, to Target, m *message) error // deliver; tests set another
	hook  *hooks
	mails *mailer

	wake chan struct{}

	wants      map[string]bool // what Wants found of lines, by key, since a moment; of the journal's writer alone
	wantsSince time.Time

	mu      sync.Mutex
	lines   map[string]*waiting // of which something is to be told, by key
	due     dueHeap             // those that wait for their time
	ready   map[string][]*waiting
	turns   []string        // customers who have something ready and nothing under way, in the order in which they get a turn
	busy    map[string]bool // customers of whom something is under way
	givenUp map[string]bool // keys of lines whose customers could not be told, and were not since

	Sent, Failed, GivenUp, Dropped atomic.Uint64 // notices that were sent; tries in vain; notices given up; calls nobody was told of
}

// waiting is a line of which something is to be told.
type waiting struct {
	line, customer string
	at             time.Time
	place          int  // in the heap, -1 if it is not there
	again          bool // calls came while it was being told
}

// New makes the notices of a database. Run tells them.
func New(db *storage.DB, o Options) *Notices {
	host := o.Node
	if !hostName(host) {
		host = "localhost"
	}
	n := &Notices{
		db: db, o: o, mails: &mailer{o.Sendmail, o.From, host}, hook: newHooks(o.Folder, o.Private, o.Now), wake: make(chan struct{}, 1),
		lines: map[string]*waiting{}, ready: map[string][]*waiting{}, busy: map[string]bool{}, givenUp: map[string]bool{},
	}
	n.send = n.deliver
	return n
}

var _ storage.NoticeTaker = (*Notices)(nil)

// Wants reports whether a customer is to be told of a call that was stopped, as their line was wantsFor before that at most: a flood of such calls
// must not make the journal's writer slow. Where a line has changed since, what is to be told is looked at again in the moment of telling.
func (n *Notices) Wants(r *storage.Record) bool {
	now := n.o.Now()
	if age := now.Sub(n.wantsSince); age < 0 || age >= wantsFor || len(n.wants) >= maxWants {
		n.wants, n.wantsSince = map[string]bool{}, now
	}
	wants, known := n.wants[r.Stopped]
	if known {
		return wants
	}
	_, to, err := n.line(r.Stopped)
	if err != nil {
		n.Dropped.Add(1)
		n.o.Log.Error("whether a customer is to be told of a call that was stopped is not known: its line cannot be read", "line", policy.LineName(r.Stopped), "error", err)
	}
	wants = to != Target{}
	n.wants[strings.Clone(r.Stopped)] = wants
	return wants
}

// Kept has customers be told, at their time, of calls that are on disk.
func (n *Notices) Kept(lines []string) {
	for _, line := range lines {
		n.note(line)
	}
}

// note has a line be looked at, unless that is waited for already.
func (n *Notices) note(key string) {
	n.mu.Lock()
	w := n.lines[key]
	if w != nil {
		w.again = true
	}
	n.mu.Unlock()
	if w != nil {
		return
	}
	l, to, err := n.line(key)
	if err == nil && l == nil {
		return // it is gone meanwhile; what is kept of it is dropped in time (prune)
	}
	now := n.o.Now()
	at, customer := now.Add(readAgain), ""
	if err == nil {
		var head storage.Notice
		if head, _, err = n.db.Notice(key); err == nil {
			at = dueAt(&head, to, n.zone(l), now)
		}
		customer = customerOf(l)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if w := n.lines[key]; w != nil {
		w.again = true
		return
	}
	w = &waiting{line: key, customer: customer, at: at}
	n.lines[key] = w
	heap.Push(&n.due, w)
	if w.place == 0 {
		n.kick()
	}
}

func (n *Notices) kick() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// line reads the line that has a key, and where its notices go; nil if there is none with that very key.
func (n *Notices) line(key string) (*storage.Line, Target, error) {
	found, err := n.db.LinesNamed(policy.LineName(key))
	if len(found) == 0 || found[0].Key != key {
		if errors.Is(err, storage.ErrNoList) {
			err = nil
		}
		return nil, Target{}, err
	}
	to, err := Parse(found[0].Notify)
	if err != nil {
		to = Target{} // the line was written by a program that knew other targets
	}
	return &found[0], to, nil
}

func customerOf(l *storage.Line) string {
	if l.Customer != "" {
		return l.Customer
	}
	return l.Name
}

// zone is the clock of a line.
func (n *Notices) zone(l *storage.Line) *time.Location {
	if l.Timezone != "" {
		if zone, err := time.LoadLocation(l.Timezone); err == nil {
			return zone
		}
	}
	if p := n.o.Policy(); p != nil {
		return p.Zone()
	}
	return time.Local
}

// dueAt is when a line is to be told of what is kept, whatever the clock did meanwhile.
func dueAt(n *storage.Notice, to Target, zone *time.Location, now time.Time) time.Time {
	first, sent := n.First, n.Sent
	if first.IsZero() || first.After(now) {
		first = now
	}
	if sent.After(now) { // the clock was set back
		sent = now
	}
	at := first.Add(gather)
	if to.Daily {
		from := first
		if sent.After(from) {
			from = sent
		}
		from = from.In(zone)
		at = time.Date(from.Year(), from.Month(), from.Day(), digestHour, 0, 0, 0, zone)
		if !at.After(from) {
			at = time.Date(from.Year(), from.Month(), from.Day()+1, digestHour, 0, 0, 0, zone)
		}
	}
	if next := sent.Add(hourly); !sent.IsZero() && at.Before(next) {
		at = next
	}
	if again := n.Again; again.After(at) && again.Before(now.Add(retryMax+time.Second)) {
		at = again
	}
	return at
}

// Waiting is how many lines there is something to tell of, and how many of these could not be told for a day.
func (n *Notices) Waiting() (lines, givenUp int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.lines), len(n.givenUp)
}

// dueHeap has the line first whose time comes first.
type dueHeap []*waiting

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].place, h[j].place = i, j }
func (h *dueHeap) Push(x any)        { w := x.(*waiting); w.place = len(*h); *h = append(*h, w) }
func (h *dueHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h, w.place = old[:len(old)-1], -1
	return w
}
