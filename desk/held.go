package desk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/policy"
	"ringfence/pseudonym"
	"ringfence/storage"
	"ringfence/traffic"
)

// Held calls yield for each thing that is held of a number, which may be given in any spelling: what Forget would take, and entries of
// lists.
func (d *Desk) Held(ctx context.Context, q console.HeldQuery, yield func(console.Held) error) error {
	p := d.force.Rules().Policy
	text, _, err := subjectText(p, q.Number)
	if err != nil {
		return err
	}
	key, err := pseudonym.Open(d.conf.Data, true)
	if err != nil {
		return err
	}
	d.settle(ctx) // what cannot be written now is not there; the status says why
	h := heldScan{d: d, ctx: ctx, s: subjectOf(p.Plan(), key, text), key: key}
	return h.each(patternsOf(p, text), text, q.Since, func(h console.Held, _ part) error { return yield(h) })
}

// countHeld says what Forget would take.
func (d *Desk) countHeld(ctx context.Context, s *subject, q console.ForgetQuery, text string, report *console.ForgetReport) error {
	p := d.force.Rules().Policy
	h := heldScan{d: d, ctx: ctx, s: s}
	err := h.each(patternsOf(p, text), text, time.Time{}, func(h console.Held, in part) error {
		switch {
		case in == partCaller:
			report.Calls++
		case in == partCalled:
			report.Called++
		case in == partMentioned:
			report.Mentions++
		case h.Kind == console.HeldKnown:
			report.Known++
		case h.Kind == console.HeldPassed:
			report.Passed++
		case h.Kind == console.HeldEmergency:
			report.Emergency++
		case h.Kind == console.HeldReport:
			report.Reports++
		case h.Kind == console.HeldBreaker:
			report.Breakers++
		case h.Kind == console.HeldLastCall, h.Kind == console.HeldBehaviour:
			report.Memory++
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, pattern := range patternsOf(p, text) {
		err := d.eachListed([]string{pattern}, func(at place, pattern string, records []storage.Entry) error {
			on := listedAs(at.name, pattern, records)
			on.Removed = q.Lists
			report.Lists = append(report.Lists, on)
			return nil
		})
		if err != nil {
			return err
		}
		if q.Lists { // else what lists have keeps its history
			err = d.db.History(pattern, func(storage.PatternChange) error { report.History++; return nil })
		} else {
			var traces storage.Traces
			traces, err = d.db.ForgetTraces([]string{pattern}, true)
			report.History += traces.Changes + traces.Deleted
		}
		if err != nil {
			return conflictIfBusy(err)
		}
	}
	n := p.Plan().Parse(text)
	if line := p.LineOf(&n); line != "" && !q.Called {
		report.Notes = append(report.Notes, fmt.Sprintf("it is a number of your line %s: forgetting it takes --called, and the records of calls to it go as well", line))
	}
	report.Notes = append(report.Notes, d.copiesBeside()...)
	return nil
}

// eachListed calls yield for each list that has one of the patterns, own lists of every line included. The records are of the pattern without the
// line.
func (d *Desk) eachListed(patterns []string, yield func(at place, pattern string, records []storage.Entry) error) error {
	places, err := d.db.PlacesOf(patterns...)
	if err != nil {
		return err
	}
	for len(places) > 0 {
		mine := 1
		for mine < min(len(places), listedBatch) && places[mine].List == places[0].List {
			mine++
		}
		texts := make([]string, mine)
		for i := range texts {
			texts[i] = places[i].Text
		}
		found, err := d.db.Lookup(places[0].List, texts...)
		if err != nil {
			return err
		}
		for i, records := range found {
			if len(records) == 0 { // it was taken off meanwhile
				continue
			}
			at := placeAt(places[i])
			at.strip(records)
			if err := yield(at, at.pattern(texts[i]), records); err != nil {
				return err
			}
		}
		places = places[mine:]
	}
	return nil
}

// listedBatch is how many entries of one list are looked up at once.
const listedBatch = 10_000

// heldScan looks for what is held of a subject.
type heldScan struct {
	d   *Desk
	ctx context.Context
	s   *subject
	key *pseudonym.Key // nil: what reports have of a hidden caller stays hidden
}

func (h *heldScan) each(patterns []string, text string, since time.Time, yield func(console.Held, part) error) error {
	err := h.d.db.Journal(storage.Query{Since: since}, func(r storage.Record) error {
		looked := r
		in := h.s.in(&looked)
		if in == partNone {
			return h.ctx.Err()
		}
		out := recordOf(&r)
		return errors.Join(h.ctx.Err(), yield(console.Held{Kind: console.HeldCall, Call: &out}, in))
	})
	if err != nil {
		return err
	}
	for _, t := range stampTables {
		err := h.d.db.EachStamp(t, func(f storage.Stamp) error {
			if !h.s.inStamp(t, &f) {
				return nil
			}
			out := console.Held{Kind: heldKind(t), Last: f.At}
			if key, _, ok := strings.Cut(f.Key, "\x00"); ok {
				out.Line = policy.LineName(key)
			}
			return yield(out, partNone)
		})
		if err != nil {
			return err
		}
	}
	err = h.d.db.Reports("", func(r storage.Report) error {
		if !h.s.inReport(&r) {
			return h.ctx.Err()
		}
		r, _ = h.key.Reveal(r)
		out := reportOf(&r)
		return yield(console.Held{Kind: console.HeldReport, Report: &out}, partNone)
	})
	if err != nil {
		return err
	}
	h.d.LoadDetectors() // reads with them how callers behaved
	if e, last, ok := h.d.o.Behaviour(text); ok {
		out := console.Behaviour{Calls: e.Calls, Callees: e.Callees, Decoys: e.Decoys, Short: e.Short, Unanswered: e.Unanswered, Talks: e.Talks}
		if err := yield(console.Held{Kind: console.HeldBehaviour, Last: last, Behaviour: &out}, partNone); err != nil {
			return err
		}
	}
	if err := h.breakers(func(x console.Held) error { return yield(x, partNone) }); err != nil {
		return err
	}
	h.d.o.LastCalls(text, func(extension string, c traffic.LastCall) {
		if err == nil {
			err = yield(console.Held{Kind: console.HeldLastCall, Extension: extension, Line: policy.LineName(c.Line), Last: c.Time}, partNone)
		}
	})
	for i := 0; i < len(patterns) && err == nil; i++ {
		err = h.lists(patterns[i], func(x console.Held) error { return yield(x, partNone) })
	}
	return err
}

// lists yields what lists have of a pattern, and had.
func (h *heldScan) lists(pattern string, yield func(console.Held) error) error {
	err := h.d.eachListed([]string{pattern}, func(at place, _ string, records []storage.Entry) error {
		e := unionOf(at.name, records, h.d.o.Now())
		return yield(console.Held{Kind: console.HeldEntry, Entry: &e})
	})
	if err != nil {
		return err
	}
	return h.d.History(h.ctx, pattern, func(c console.ListHistory) error { return yield(console.Held{Kind: console.HeldChange, Change: &c}) })
}

func heldKind(t storage.StampTable) string {
	switch t {
	case storage.Known:
		return console.HeldKnown
	case storage.Passed:
		return console.HeldPassed
	}
	return console.HeldEmergency
}

// HideKept makes what is kept that of a private installation, where it is from before: journal, acquaintances, passes and reports. It does
// nothing where that was done; where the installation is not private any more it notes that.
func (d *Desk) HideKept(ctx context.Context, facts func() (int, error)) (done int, err error) {
	was, err := d.db.Setting(settingPrivate)
	if err != nil || d.o.Private == nil && was == nil || d.o.Private != nil && was != nil {
		return 0, err
	}
	if d.o.Private == nil {
		return 0, d.db.PutSetting(settingPrivate, nil)
	}
	plan := d.force.Rules().Policy.Plan()
	if done, err = facts(); err != nil {
		return done, err
	}
	records, err := d.db.SweepJournal(func(r *storage.Record) storage.Fate {
		if ctx.Err() == nil && d.o.Private.HideKept(r, plan) {
			return storage.Rewrite
		}
		return storage.Stay
	})
	if done += records.Changed; err != nil {
		return done, err
	}
	reports, err := d.db.SweepReports(func(r *storage.Report) storage.Fate {
		if d.o.Private.HideReport(r, plan) {
			return storage.Rewrite
		}
		return storage.Stay
	})
	if done += reports.Changed; err != nil || ctx.Err() != nil {
		return done, errors.Join(err, ctx.Err())
	}
	if err := d.db.WipeFreed(); err != nil {
		return done, err
	}
	return done, d.db.PutSetting(settingPrivate, []byte("done"))
}

// settingPrivate is there once all that is kept is that of a private installation.
const settingPrivate = "private"
