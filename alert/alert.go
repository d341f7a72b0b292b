// Package alert keeps what is wrong: an incident has one start and one end, and a person is told of both.
//
// Rooms say when something is wrong and when it is well again; saying it twice changes nothing. What is looked at again and
// again, such as a rate, is told with See, which waits until it has held for a while, so that an incident does not flap. Nothing that
// says so waits: the command that tells a person runs behind it (tell.go), and what it could not be told is told again later.
package alert

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ringfence/number"
	"ringfence/rawtext"
)

// The kinds of incidents. The subject is of what: a feed's list, a switch's name; "" where there is one thing alone.
const (
	Start    = "start"     // the daemon does not start
	FailOpen = "fail-open" // calls pass unscreened
	Policy   = "policy"    // the policy file was refused
	Feed     = "feed"      // what was fetched is held for review
	Attach   = "attach"    // a switch is not attached
	Journal  = "journal"   // records cannot be written
	Trip     = "trip"      // a breaker holds
	Notice   = "notice"    // customers cannot be told of stopped calls
	Console  = "console"   // there is no console, or its new certificate cannot be used
	Cluster  = "cluster"   // the node reaches no server of its cluster
)

// Bounds. All incidents together fit into one setting of the database.
const (
	maxIncidents = 64
	maxText      = 600 // bytes
	maxSubject   = 100 // bytes
)

// Incident is something that is wrong, from its start to its end.
type Incident struct {
	Kind    string    `json:"kind"`
	Subject string    `json:"subject,omitempty"`
	Text    string    `json:"text"` // what is wrong and what to do; inert
	Since   time.Time `json:"since"`
	Ended   time.Time `json:"ended,omitzero"`  // zero while it lasts
	Calls   uint64    `json:"calls,omitempty"` // that passed unscreened by it, so far

	End   string    `json:"end,omitempty"`   // what ended it
	Told  time.Time `json:"told,omitzero"`   // when a person was told of it last
	Tries int       `json:"tries,omitempty"` // of the command, in vain
	Again time.Time `json:"again,omitzero"`  // when it is tried again
}

// ID is the same for all messages of an incident, and no other's.
func (i *Incident) ID() string {
	return fmt.Sprintf("%s/%s/%d", i.Kind, i.Subject, i.Since.Unix())
}

// Options of a Book.
type Options struct {
	Command  string        // a program with an absolute path that tells a person; "" for nobody
	Remind   time.Duration // how often it is told again that an incident lasts; 0 for never
	Node     string        // this machine's name, for the command
	Settings Settings      // keeps incidents over a restart; nil for no keeping
	Log      *slog.Logger
	Now      func() time.Time
}

// Settings keeps a text under a name.
type Settings interface {
	Setting(name string) ([]byte, error)
	PutSetting(name string, text []byte) error
}

// Book is the book of incidents. Begin, End, Only and Open of a nil one do nothing.
type Book struct {
	o      Options
	wake   chan struct{}
	tell   func(ctx context.Context, i *Incident, state string) error // runs the command; tests set another
	Failed atomic.Uint64                                              // runs of the command that failed
	Full   atomic.Uint64                                              // incidents that there was no room for: nobody is told of them

	writing sync.Mutex // held while the book goes to disk

	mu     sync.Mutex
	all    []*Incident // in the order in which they began; those that ended until a person was told
	seen   map[[2]string]*steady
	unkept bool // something changed that is worth a write
}

// New opens the book, with the incidents that were open when the program ended.
func New(o Options) *Book {
	b := &Book{o: o, wake: make(chan struct{}, 1), seen: make(map[[2]string]*steady)}
	b.tell = b.run
	b.load()
	return b
}

// Subject is a text as the subject of an incident has it.
func Subject(text string) string { return inert(text, maxSubject) }

// Begin says that something is wrong. While it is, saying so again changes the text alone.
func (b *Book) Begin(kind, subject, text string) {
	if b != nil {
		b.begin(kind, subject, text, b.o.Now())
	}
}

func (b *Book) begin(kind, subject, text string, since time.Time) {
	subject, text = inert(subject, maxSubject), inert(text, maxText)
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := b.open(kind, subject); i != nil {
		b.unkept = b.unkept || i.Text != text
		i.Text = text
		return
	}
	if !b.makeRoom() {
		b.Full.Add(1)
		b.o.Log.Error("alert; there is no room for more incidents, and nobody is told", "kind", kind, "subject", subject, "text", text)
		return
	}
	b.all = append(b.all, &Incident{Kind: kind, Subject: subject, Text: text, Since: since.Round(0)})
	level := slog.LevelError
	if kind == Trip { // nothing is broken: a detector does what it is there for
		level = slog.LevelWarn
	}
	b.o.Log.Log(context.Background(), level, "alert", "kind", kind, "subject", subject, "text", text)
	b.changed()
}

// End says that something is well again, and by what.
func (b *Book) End(kind, subject, text string) {
	if b != nil {
		b.end(kind, subject, text, b.o.Now())
	}
}

func (b *Book) end(kind, subject, text string, at time.Time) {
	subject = inert(subject, maxSubject)
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := b.open(kind, subject); i != nil {
		b.close(i, inert(text, maxText), at)
	}
}

func (b *Book) close(i *Incident, text string, at time.Time) {
	i.Ended, i.End = later(at.Round(0), i.Since), text
	i.Tries, i.Again = 0, time.Time{}
	b.o.Log.Info("alert is over", "kind", i.Kind, "subject", i.Subject, "after", lasted(i.Ended.Sub(i.Since)), "text", text)
	if b.o.Command == "" {
		b.drop(i)
	}
	b.changed()
}

// Only ends the incidents of a kind whose subjects there are no more, as when the daemon's file names them no longer.
func (b *Book) Only(kind string, subjects ...string) {
	if b == nil {
		return
	}
	subjects = slices.Clone(subjects)
	for i := range subjects {
		subjects[i] = inert(subjects[i], maxSubject)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, i := range slices.Clone(b.all) {
		if i.Kind == kind && i.Ended.IsZero() && !slices.Contains(subjects, i.Subject) {
			b.close(i, "the daemon’s file names it no longer", b.o.Now())
		}
	}
}

// Forget drops the incidents whose texts name somebody; nobody is told of their end. It says how many there were, and when it returns without an
// error they are not on disk any more.
func (b *Book) Forget(names func(text string) bool) (n int, err error) {
	if b == nil {
		return 0, nil
	}
	b.mu.Lock()
	n = len(b.all)
	b.all = slices.DeleteFunc(b.all, func(i *Incident) bool { return names(i.Subject) || names(i.Text) || names(i.End) })
	n -= len(b.all)
	b.unkept = b.unkept || n > 0
	b.mu.Unlock()
	if n > 0 {
		err = b.write(false)
	}
	return n, err
}

// Count adds calls that passed unscreened to an incident that is open.
func (b *Book) Count(kind, subject string, calls uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := b.open(kind, inert(subject, maxSubject)); i != nil {
		i.Calls += calls
	}
}

// Has reports whether an incident lasts.
func (b *Book) Has(kind, subject string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open(kind, inert(subject, maxSubject)) != nil
}

// Open are the incidents that last, in the order in which they began.
func (b *Book) Open() []Incident {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var open []Incident
	for _, i := range b.all {
		if i.Ended.IsZero() {
			open = append(open, *i)
		}
	}
	return open
}

// steady is how long something that is looked at again and again has been as it is.
type steady struct{ bad, good time.Time }

// See says how something is that is looked at again and again. It is an incident once it has been bad for after, and is over once
// it has been good for quiet.
func (b *Book) See(kind, subject string, bad bool, text string, after, quiet time.Duration) {
	now := b.o.Now()
	b.mu.Lock()
	s := b.seen[[2]string{kind, subject}]
	if s == nil {
		s = &steady{}
		b.seen[[2]string{kind, subject}] = s
	}
	if bad {
		s.bad, s.good = cmp.Or(s.bad, now), time.Time{}
	} else {
		s.bad, s.good = time.Time{}, cmp.Or(s.good, now)
	}
	since, well := s.bad, s.good
	b.mu.Unlock()
	switch {
	case bad && now.Sub(since) >= after:
		b.begin(kind, subject, text, since)
	case !bad && now.Sub(well) >= quiet:
		b.end(kind, subject, text, well)
	}
}

// open finds an incident that lasts; nil if there is none. b.mu is held, as in all that follow.
func (b *Book) open(kind, subject string) *Incident {
	for _, i := range b.all {
		if i.Kind == kind && i.Subject == subject && i.Ended.IsZero() {
			return i
		}
	}
	return nil
}

// makeRoom gives up the oldest incident that is over, if the book is full.
func (b *Book) makeRoom() bool {
	if len(b.all) < maxIncidents {
		return true
	}
	for _, i := range b.all {
		if !i.Ended.IsZero() {
			b.drop(i)
			return true
		}
	}
	return false
}

func (b *Book) drop(i *Incident) {
	b.all = slices.DeleteFunc(b.all, func(of *Incident) bool { return of == i })
}

// changed has Run look after what is to be told and kept.
func (b *Book) changed() {
	b.unkept = true
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// inert makes a text harmless wherever a command may put it: one line, without what a shell or a page reads otherwise.
func inert(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
	return strings.TrimSpace(rawtext.Cut(number.InertUpTo(text, most), most))
}

// later is the later of two moments: a clock that was set back ends nothing before it began.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// lasted is a span as people read it: 45s, 12m, 3h5m, 2d4h.
func lasted(d time.Duration) string {
	switch days := d / (24 * time.Hour); {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, d/time.Hour%24)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d/time.Minute%60)
	}
	return fmt.Sprintf("%dm", d/time.Minute)
}
