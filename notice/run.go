package notice

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ringfence/alert"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// Run tells what is to be told until ctx ends; what is under way then is broken off, and told after the next start.
func (n *Notices) Run(ctx context.Context) {
	n.load(ctx)
	var under sync.WaitGroup
	defer under.Wait()
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	for ctx.Err() == nil {
		for w := n.next(); w != nil; w = n.next() {
			under.Go(func() { n.done(w, n.tell(ctx, w)) })
		}
		timer := time.NewTimer(n.untilDue())
		select {
		case <-ctx.Done():
		case <-n.wake:
		case <-timer.C:
		case <-prune.C:
			n.prune(ctx)
		}
		timer.Stop()
	}
}

// load takes up what was to be told when the program ended.
func (n *Notices) load(ctx context.Context) {
	n.each(ctx, func(head *storage.Notice) {
		if !head.GivenUp.IsZero() {
			n.mu.Lock()
			n.givenUp[head.Line] = true
			n.mu.Unlock()
		}
		if !head.First.IsZero() {
			n.note(head.Line)
		}
	})
	n.prune(ctx)
}

// each calls yield for what is kept of each line.
func (n *Notices) each(ctx context.Context, yield func(*storage.Notice)) {
	after := ""
	for ctx.Err() == nil {
		page, err := n.db.Notices(after)
		if err != nil && !errors.Is(err, storage.ErrClosed) {
			n.o.Log.Error("some of what customers are to be told cannot be read", "error", err)
		}
		if len(page) == 0 {
			return
		}
		for i := range page {
			yield(&page[i])
		}
		after = page[len(page)-1].Line
	}
}

// prune drops what is kept of lines that are gone, and what says no more than when somebody was told long ago.
func (n *Notices) prune(ctx context.Context) {
	now := n.o.Now()
	n.each(ctx, func(head *storage.Notice) {
		l, to, err := n.line(head.Line)
		gone := err == nil && (l == nil || to == Target{})
		old := head.First.IsZero() && now.Sub(head.Sent) > keepHead && (head.GivenUp.IsZero() || now.Sub(head.GivenUp) > keepGiven)
		if gone || old {
			n.drop(head.Line)
		}
	})
	n.tellOfGivenUp()
}

// drop forgets a line that nobody is told of.
func (n *Notices) drop(line string) {
	if err := n.db.DropNotice(line); err != nil {
		n.o.Log.Error("what a customer was to be told cannot be dropped", "line", policy.LineName(line), "error", err)
		return
	}
	n.mu.Lock()
	delete(n.givenUp, line)
	n.mu.Unlock()
}

// untilDue is how long there is nothing to do.
func (n *Notices) untilDue() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.due) == 0 {
		return pruneEvery
	}
	// Not at once again, where all workers or this customer are busy: their end wakes us.
	return min(max(n.due[0].at.Sub(n.o.Now()), 10*time.Millisecond), time.Minute) // the clock may be set
}

// next gives a line to tell of now; nil if none is, or enough are under way. Customers get turns, one line each, so that many lines of one, or a
// webhook of theirs that never answers, keep no other waiting longer than a worker takes.
func (n *Notices) next() *waiting {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.o.Now()
	for len(n.due) > 0 && !n.due[0].at.After(now) {
		w := heap.Pop(&n.due).(*waiting)
		if len(n.ready[w.customer]) == 0 && !n.busy[w.customer] {
			n.turns = append(n.turns, w.customer)
		}
		n.ready[w.customer] = append(n.ready[w.customer], w)
	}
	if len(n.busy) >= workers || len(n.turns) == 0 {
		return nil
	}
	customer := n.turns[0]
	n.turns = n.turns[1:]
	w := n.ready[customer][0]
	n.ready[customer][0] = nil
	if n.ready[customer] = n.ready[customer][1:]; len(n.ready[customer]) == 0 {
		delete(n.ready, customer)
	}
	n.busy[customer], w.again = true, false
	return w
}

// done has a line wait for its next time, zero for none.
func (n *Notices) done(w *waiting, at time.Time) {
	n.mu.Lock()
	delete(n.busy, w.customer)
	if len(n.ready[w.customer]) > 0 {
		n.turns = append(n.turns, w.customer)
	}
	again := w.again && at.IsZero() // calls came after it was looked what there is to tell
	if at.IsZero() {
		delete(n.lines, w.line)
	} else {
		w.at = at
		heap.Push(&n.due, w)
	}
	n.mu.Unlock()
	if again {
		n.note(w.line)
	}
	n.kick()
}

// tell tells of a line, and gives when it is to be told of next; zero while there is nothing to tell.
func (n *Notices) tell(ctx context.Context, w *waiting) time.Time {
	now := n.o.Now()
	l, to, err := n.line(w.line)
	if err == nil && (l == nil || to == Target{}) {
		n.drop(w.line)
		n.tellOfGivenUp()
		return time.Time{}
	}
	var head storage.Notice
	var calls []storage.NoticeCall
	if err == nil {
		head, calls, err = n.db.Notice(w.line)
	}
	if err != nil {
		n.o.Log.Error("what a customer is to be told cannot be read; it is tried again", "line", policy.LineName(w.line), "error", err)
		return now.Add(readAgain)
	}
	if head.First.IsZero() {
		return time.Time{}
	}
	zone := n.zone(l)
	if at := dueAt(&head, to, zone, now); at.After(now) { // the line was changed meanwhile
		return at
	}
	m, some := messageOf(l.Name, &head, calls, zone)
	if some {
		if err := n.send(ctx, l, to, m); err != nil {
			return n.failed(ctx, &head, calls, err)
		}
		n.Sent.Add(1)
	}
	sent := n.o.Now()
	if !some {
		sent = cmp.Or(head.Sent, time.Unix(0, 0)) // nothing was said
	}
	return n.told(&head, calls, to, zone, sent, time.Time{})
}

// told takes off what was told, or given up.
func (n *Notices) told(head *storage.Notice, calls []storage.NoticeCall, to Target, zone *time.Location, sent, dropped time.Time) time.Time {
	left, err := n.db.NoticeTold(*head, calls, sent, dropped)
	now := n.o.Now()
	if err != nil {
		n.o.Log.Error("that a customer was told of stopped calls cannot be written; he may be told again", "line", policy.LineName(head.Line), "error", err)
		return now.Add(hourly)
	}
	n.mu.Lock()
	if sent.IsZero() {
		n.givenUp[head.Line] = true
	} else {
		delete(n.givenUp, head.Line)
	}
	n.mu.Unlock()
	n.tellOfGivenUp()
	if left.First.IsZero() {
		return time.Time{}
	}
	return dueAt(&left, to, zone, now)
}

// failed notes that a notice could not be sent, and gives when it is tried again. After a day it is given up.
func (n *Notices) failed(ctx context.Context, head *storage.Notice, calls []storage.NoticeCall, err error) time.Time {
	now := n.o.Now()
	if ctx.Err() != nil {
		return now // the program stops
	}
	n.Failed.Add(1)
	since := head.Failing
	if since.IsZero() || since.After(now) {
		since = now
	}
	name, why := policy.LineName(head.Line), number.InertUpTo(err.Error(), 200)
	if now.Sub(since) >= giveUp {
		n.GivenUp.Add(1)
		n.Dropped.Add(countOf(head, calls))
		n.o.Log.Error("a customer could not be told of stopped calls for a day: these calls are given up", "line", name, "error", why)
		return n.told(head, calls, Target{}, time.UTC, time.Time{}, now)
	}
	again := now.Add(min(retryMin<<min(head.Tries, 10), retryMax))
	n.o.Log.Warn("a customer could not be told of stopped calls; it is tried again", "line", name, "again", again, "error", why)
	if err := n.db.NoticeFailed(head.Line, since, head.Tries+1, again); err != nil {
		n.o.Log.Error("that a customer could not be told cannot be written", "line", name, "error", err)
	}
	return again
}

// countOf is how many calls a notice is of.
func countOf(head *storage.Notice, calls []storage.NoticeCall) uint64 {
	count := head.More
	for i := range calls {
		count += calls[i].Calls
	}
	return uint64(max(count, 0))
}

// tellOfGivenUp has an alert last while there are lines whose customers could not be told.
func (n *Notices) tellOfGivenUp() {
	n.mu.Lock()
	count, some := len(n.givenUp), ""
	for line := range n.givenUp {
		if name := policy.LineName(line); some == "" || name < some {
			some = name
		}
	}
	n.mu.Unlock()
	if count == 0 {
		n.o.Alerts.End(alert.Notice, "", "customers are told of stopped calls again.")
		return
	}
	n.o.Alerts.Begin(alert.Notice, "", fmt.Sprintf("the customers of %d lines could not be told of stopped calls for a day, as that of %s: see the log, and the notify of the line (ringfence line show %s)", count, some, some))
}

// deliver sends a notice where it is to go.
func (n *Notices) deliver(ctx context.Context, l *storage.Line, to Target, m *message) error {
	m.daily = to.Daily
	country := ""
	if p := n.o.Policy(); p != nil {
		country = p.Country()
		for _, list := range p.OwnLists() {
			if list == trusted {
				m.StarCode = n.o.StarCode
				n.addLinks(l.Key, m)
			}
		}
	}
	if to.Hook != nil {
		return n.hook.post(ctx, to.Hook, customerOf(l), m)
	}
	subject, text := m.mailText(language(l.Language, country))
	mail, err := n.mails.mail(to.Address, subject, text, m.ID, n.o.Now().In(m.zone))
	if err != nil {
		return err
	}
	return n.mails.send(ctx, to.Address, mail)
}

// addLinks gives each call whose caller can be let through the link that does so. Of who withholds his number no list can have it.
func (n *Notices) addLinks(line string, m *message) {
	for i := range m.Calls {
		if c := &m.Calls[i]; n.o.Link != nil && !c.Withheld && c.Caller != "" {
			c.Link = n.o.Link(c.ID, line)
		}
	}
}

// trusted is the line's own list that the star code and the links put a caller on.
const trusted = "allowlist"
