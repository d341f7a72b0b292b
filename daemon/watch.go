package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ringfence/alert"
	"ringfence/bridge"
	"ringfence/conf"
	"ringfence/console"
)

const (
	watchEvery  = 5 * time.Second
	attachAfter = 2 * time.Minute  // how long a switch is not attached before somebody is told: it may be restarted
	aloneAfter  = time.Minute      // how long a node is alone before somebody is told: a server may be restarted
	wellAfter   = 10 * time.Minute // how long something has to be well before it is over, so that it does not flap

	// Of a small system a minute says little: these many calls of an hour, and this share of its calls, are worth a word as well.
	hourCalls = 3
	hourShare = 0.5
)

// watch looks again and again after what only shows so, and tells the book of alerts, until ctx ends.
func (d *Daemon) watch(ctx context.Context) {
	passed := newPassing(d.conf.Notify, d.passingNow())
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		passed.look(d.alerts, d.passingNow())
		d.lookAtSwitches()
		if r, err := d.desk.Cluster(ctx); err == nil {
			lookAtCluster(d.alerts, r)
		}
		text := "records of calls are written again"
		err := d.journal.Err()
		if err != nil {
			text = fmt.Sprintf("calls are screened, but records of them cannot be written: %v", err)
		}
		d.alerts.See(alert.Journal, "", err != nil, text, 0, wellAfter)
	}
}

// lookAtSwitches tells of switches that are not attached.
func (d *Daemon) lookAtSwitches() {
	var asterisk uint64
	if d.agi != nil {
		asterisk = d.agi.Counters.Screened.Load()
	}
	for _, a := range d.attached {
		text := "the switch " + a.name + " is attached again"
		trouble := a.trouble(asterisk)
		switch {
		case trouble != "" && a.attach.Attached():
			text = fmt.Sprintf("the switch %s is attached, but %s", a.name, trouble)
		case trouble != "":
			text = fmt.Sprintf("the switch %s is not attached, so that it is not learnt what becomes of its calls: %s. See ringfence status.", a.name, trouble)
		}
		d.alerts.See(alert.Attach, a.name, trouble != "", text, attachAfter, wellAfter)
	}
}

// lookAtCluster tells of a node that is alone.
func lookAtCluster(book *alert.Book, r *console.ClusterReport) {
	text := fmt.Sprintf("this node reaches the cluster %s again.", r.Name)
	if r.Alone {
		text = fmt.Sprintf("this node has been alone since %s: it reaches no server of the cluster %s, decides calls by its own lists, and keeps its changes until it does",
			r.Since.UTC().Format("2006-01-02 15:04:05 UTC"), r.Name)
		if r.Why != "" {
			text += " (" + r.Why + ")"
		}
		text += ". See ringfence cluster status."
	}
	book.See(alert.Cluster, "", r.Alone, text, aloneAfter, 0)
}

// sample is how many calls there were until a moment.
type sample struct {
	at         time.Time
	calls      uint64            // that were screened
	unscreened map[string]uint64 // that passed unscreened, by reason; a stop on purpose is none of it
	nameless   uint64            // of these, connections that named no call
}

// passingNow counts the calls until now.
func (d *Daemon) passingNow() sample {
	s := sample{at: d.now(), unscreened: d.failOpen()}
	for _, p := range d.ports() {
		s.calls, s.nameless = s.calls+p.Counters.Screened.Load(), s.nameless+p.Counters.Nameless.Load()
	}
	return s
}

// total is how many calls passed unscreened.
func (s *sample) total() (n uint64) {
	for reason, calls := range s.unscreened {
		if reason != bridge.FailStopping {
			n += calls
		}
	}
	return n
}

// passing watches the calls that pass unscreened, over a minute and over an hour.
type passing struct {
	most   conf.Notify // from when on a minute's are too many
	minute []sample
	hour   []sample
	text   string // what made it an incident
}

func newPassing(most conf.Notify, now sample) *passing {
	return &passing{most: most, minute: []sample{now}, hour: []sample{now}}
}

// slide adds a sample, every so often, to those of a span, and drops those that are older than it, but for the last of these.
func slide(past []sample, s sample, span, every time.Duration) []sample {
	if s.at.Sub(past[len(past)-1].at) >= every {
		past = append(past, s)
	}
	for len(past) > 1 && s.at.Sub(past[1].at) >= span {
		past = past[1:]
	}
	return past
}

// look holds what there is now against what there was before, and tells the book. An incident lasts until it has been less than half of
// what made it one for wellAfter.
func (p *passing) look(book *alert.Book, now sample) {
	last := p.minute[len(p.minute)-1]
	p.minute = slide(p.minute, now, time.Minute, 0)
	p.hour = slide(p.hour, now, time.Hour, time.Minute)
	open, part := book.Has(alert.FailOpen, ""), 1.0
	if open {
		part = 0.5
		book.Count(alert.FailOpen, "", now.total()-last.total())
	}
	n, span, bad := passedSince(p.minute[0], now), "minute", true
	if !n.reaches(float64(p.most.FailOpenCalls)*part, p.most.FailOpenShare*part) {
		n, span = passedSince(p.hour[0], now), "hour"
		bad = n.reaches(hourCalls*part, hourShare*part)
	}
	text := "fewer calls or none pass unscreened."
	if bad {
		if p.text == "" || !open {
			p.text = n.text(span)
		}
		text = p.text
	}
	book.See(alert.FailOpen, "", bad, text, 0, wellAfter)
	if bad && !open {
		book.Count(alert.FailOpen, "", n.unscreened)
	}
}

// passedCount is what passed between two samples.
type passedCount struct {
	calls      uint64 // all that there were
	unscreened uint64
	nameless   uint64
	reasons    []string
}

func passedSince(before, now sample) passedCount {
	n := passedCount{unscreened: now.total() - before.total(), nameless: now.nameless - before.nameless}
	for reason, count := range now.unscreened {
		if count -= before.unscreened[reason]; count > 0 && reason != bridge.FailStopping {
			n.reasons = append(n.reasons, fmt.Sprintf("%d %s", count, reason))
		}
	}
	slices.Sort(n.reasons)
	// Some that pass unscreened are among those that were to be screened, and others never came so far.
	n.calls = max(now.calls-before.calls, n.unscreened)
	return n
}

// reaches reports whether so many calls, being such a share of all, passed unscreened.
func (n *passedCount) reaches(calls, share float64) bool {
	return n.unscreened > 0 && float64(n.unscreened) >= calls && float64(n.unscreened) >= share*float64(n.calls)
}

func (n *passedCount) text(span string) string {
	text := fmt.Sprintf("%d of %d calls passed unscreened within one %s (%s)", n.unscreened, n.calls, span, strings.Join(n.reasons, ", "))
	if n.nameless > 0 {
		text += fmt.Sprintf("; %d of them were connections that named no call", n.nameless)
	}
	return text + ". See ringfence status and the log."
}
