package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/pseudonym"
	"ringfence/storage"
)

// settingForgotten is the state of who was forgotten that the database has been brought to.
const settingForgotten = "forgotten"

// stampTables are the tables of what was learnt of callers.
var stampTables = []storage.StampTable{storage.Known, storage.Passed, storage.Emergency}

// Forget takes all that is held of a number out of the database, its freed parts, the file of the lists and the daemon's memory, and has it
// taken out of every database that is put in its place later. Entries of lists stay unless that is asked for: they are what the
// administrator, or who keeps a feed, wrote. When it returns without an error that is on disk; after an error repeat it.
func (d *Desk) Forget(ctx context.Context, q console.ForgetQuery) (*console.ForgetReport, error) {
	d.forgetting.Lock()
	defer d.forgetting.Unlock()
	p := d.force.Rules().Policy
	text, n, err := subjectText(p, q.Number)
	if err != nil {
		return nil, err
	}
	if line := p.LineOf(&n); line != "" && !q.Called && !q.DryRun {
		return nil, console.Conflict(fmt.Sprintf("%s is a number of your line %s: with --called all records of calls to it go as well (`ringfence journal delete --callee` removes only these)", text, line))
	}
	key, err := pseudonym.Open(d.conf.Data, q.DryRun)
	if err != nil {
		return nil, err
	}
	s := subjectOf(p.Plan(), key, text)
	report := &console.ForgetReport{Number: text, DryRun: q.DryRun, Lists: []console.ForgetList{}}
	if q.DryRun {
		return report, errors.Join(d.settle(ctx), d.countHeld(ctx, s, q, text, report), d.forgetPolicies(ctx, text, &n, q.Policies, report))
	}
	d.LoadDetectors()
	forgotten, err := pseudonym.OpenForgotten(d.conf.Data, key)
	if err != nil {
		return nil, err
	}
	lost, err := forgotten.Add(text, d.o.Now(), q.Lists)
	if err != nil {
		return nil, err
	}
	if !lost.IsZero() {
		report.Notes = append(report.Notes, fmt.Sprintf("%d numbers were forgotten before, which is the most that is remembered: delete backups from before %s, from which the first would come back", pseudonym.MaxForgotten, lost.Local().Format(time.DateOnly)))
	}
	d.readForgottenAgain()
	if others := d.otherNodes(); others != "" {
		report.Notes = append(report.Notes, fmt.Sprintf("this node has forgotten it; say it on each other node as well, for each has its own: %s", others))
	}
	if err := d.forgetLists(ctx, patternsOf(p, text), func(string, []storage.Entry) bool { return q.Lists }, report); err != nil {
		return nil, err
	}
	if n.E164 != "" || strings.HasPrefix(text, console.PrivateMark) {
		report.Memory = d.o.Forget(text)
	}
	if err := d.settle(ctx); err != nil {
		return nil, err
	}
	if err := d.sweep(ctx, s, report); err != nil {
		return nil, err
	}
	for caller := range s.callers {
		d.o.Forget(caller)
	}
	if err := d.forgetCounted(s, text, report); err != nil {
		return nil, err
	}
	if err := d.forgetPolicies(ctx, text, &n, q.Policies, report); err != nil {
		return nil, err
	}
	if err := d.noteForgotten(ctx, report); err != nil {
		return nil, err
	}
	return report, d.wipeForgotten(forgotten, report)
}

// subjectText is how a number is known: by its E.164, else as it is written, or a token.
func subjectText(p *policy.Policy, text string) (string, number.Number, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", number.Number{}, console.Bad("number is missing: write whose")
	}
	if strings.HasPrefix(text, console.PrivateMark) {
		return text, number.Number{}, nil
	}
	n := p.Plan().Parse(text)
	switch {
	case n.E164 != "":
		return n.E164, n, nil
	case n.Kind == number.Anonymous:
		return "", n, console.Bad(fmt.Sprintf("%q is what everybody is called who withholds the number: nobody in particular can be forgotten by it", text))
	}
	return text, n, nil
}

// patternsOf are the entries that are exactly a number.
func patternsOf(p *policy.Policy, text string) []string {
	patterns := []string{text}
	if q, err := p.Plan().Pattern(text); err == nil && q.IsExact() && q.String() != text {
		patterns = append(patterns, q.String())
	}
	return patterns
}

// settle has all that is on its way to the journal be there.
func (d *Desk) settle(ctx context.Context) error {
	if d.o.Journal == nil {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, flushWait)
	defer cancel()
	return d.o.Journal.Flush(wait)
}

// flushWait is how long the journal may take to be on disk before somebody is told that it is not.
const flushWait = 30 * time.Second

// forgetLists takes patterns off all lists where which says so of their records, those of every line included, and then all that is remembered of
// those that are on none.
func (d *Desk) forgetLists(ctx context.Context, patterns []string, which func(pattern string, records []storage.Entry) bool, report *console.ForgetReport) error {
	remove := make(map[string][]foundAt)
	err := d.eachListed(patterns, func(at place, pattern string, records []storage.Entry) error {
		on := listedAs(at.name, pattern, records)
		if on.Removed = which(pattern, records); on.Removed {
			remove[at.table] = append(remove[at.table], foundAt{at, pattern})
		}
		report.Lists = append(report.Lists, on)
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	for table, found := range remove {
		if err := d.removeAll(ctx, table, found); err != nil {
			return err
		}
	}
	traces, err := d.db.ForgetTraces(patterns, false)
	report.History += traces.Changes + traces.Deleted
	return conflictIfBusy(err)
}

func conflictIfBusy(err error) error {
	if errors.Is(err, storage.ErrBusy) {
		return console.Conflict(err.Error())
	}
	return err
}

func listedAs(list, pattern string, records []storage.Entry) console.ForgetList {
	on := console.ForgetList{List: list, Number: pattern, Sources: []string{}}
	for _, e := range records {
		on.Sources = append(on.Sources, cmp.Or(e.Source, e.Origin.String()))
	}
	return on
}

// sweep takes the subject out of all tables.
func (d *Desk) sweep(ctx context.Context, s *subject, report *console.ForgetReport) error {
	_, err := d.db.SweepJournal(func(r *storage.Record) storage.Fate {
		if ctx.Err() != nil {
			return storage.Stay
		}
		switch s.in(r) {
		case partCaller:
			report.Calls++
			return storage.Drop
		case partCalled:
			report.Called++
			return storage.Drop
		case partMentioned:
			report.Mentions++
			return storage.Rewrite
		}
		return storage.Stay
	})
	if err != nil {
		return err
	}
	if err := d.sweepFacts(s, report); err != nil {
		return err
	}
	done, err := d.db.SweepReports(func(r *storage.Report) storage.Fate {
		if s.inReport(r) {
			d.dropWaiting(callerKey(r))
			return storage.Drop
		}
		return storage.Stay
	})
	report.Reports += done.Dropped
	return errors.Join(err, d.sweepBreakers(s, report), ctx.Err())
}

// sweepFacts takes the subject out of what was learnt of callers.
func (d *Desk) sweepFacts(s *subject, report *console.ForgetReport) error {
	for _, t := range stampTables {
		done, err := d.db.SweepStamps(t, func(f *storage.Stamp) storage.Fate {
			if s.inStamp(t, f) {
				return storage.Drop
			}
			return storage.Stay
		})
		if *stampCount(report, t) += done.Dropped; err != nil {
			return err
		}
	}
	return nil
}

// noteForgotten keeps that somebody was forgotten, not who.
func (d *Desk) noteForgotten(ctx context.Context, report *console.ForgetReport) error {
	by, removed := byOf(ctx), 0
	for _, l := range report.Lists {
		if l.Removed {
			removed++
		}
	}
	d.o.Log.Info("somebody was forgotten", "calls", report.Calls+report.Called, "who", by.Who, "from", by.From)
	return d.db.NoteForgotten(by, removed)
}

// wipeForgotten takes what was deleted out of where it can still be read, and notes that the database has been brought to this state.
func (d *Desk) wipeForgotten(forgotten *pseudonym.Forgotten, report *console.ForgetReport) error {
	if err := d.db.WipeFreed(); err != nil {
		return conflictIfBusy(err)
	}
	if err := d.renewPieces(); err != nil {
		return err
	}
	if err := d.db.PutSetting(settingForgotten, []byte(forgotten.Digest())); err != nil {
		return err
	}
	report.Notes = append(report.Notes, d.copiesBeside()...)
	return nil
}

// renewPieces has the file of the lists be without what was taken off them. Where that cannot be done the file goes: a
// start takes longer without it.
func (d *Desk) renewPieces() error {
	if d.o.Journal != nil {
		if saved := d.savePieces(); saved != nil {
			d.usePieces(saved)
			return nil
		}
	}
	d.pieces.writing.Lock()
	defer d.pieces.writing.Unlock()
	d.pieces.saved = nil
	for _, file := range []string{d.piecesPath(), d.piecesPath() + ".new"} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the file of the lists may have what was taken off them: delete it (%w)", err)
		}
	}
	return nil
}

// copiesBeside names other databases in the data folder.
func (d *Desk) copiesBeside() (notes []string) {
	found, _ := filepath.Glob(d.conf.Database() + ".*")
	found = slices.DeleteFunc(found, func(file string) bool { return strings.Contains(filepath.Base(file), ".backup-") })
	if len(found) > 0 {
		notes = append(notes, "a copy of the database from before is not reached: delete "+strings.Join(found, ", "))
	}
	return notes
}

// ApplyForgotten takes out of the database who was forgotten, where it is from before, as a backup that was put in its place. It does
// nothing where that was done. done is how many records, facts and entries went.
func (d *Desk) ApplyForgotten(ctx context.Context) (done int, err error) {
	d.forgetting.Lock()
	defer d.forgetting.Unlock()
	forgotten, s, err := d.toForget()
	if forgotten == nil {
		return 0, err
	}
	report := &console.ForgetReport{}
	patterns := make(map[string]bool)
	err = d.db.EachPattern(func(pattern string) error {
		if forgotten.Has(pattern, time.Time{}) {
			patterns[pattern] = true
		}
		return ctx.Err()
	})
	if err != nil {
		return 0, err
	}
	err = d.forgetLists(ctx, slices.Sorted(maps.Keys(patterns)), func(pattern string, records []storage.Entry) bool {
		before := forgotten.Lists(pattern)
		return slices.ContainsFunc(records, func(e storage.Entry) bool { return e.Added.Before(before) })
	}, report)
	if err != nil {
		return 0, err
	}
	if err := d.sweep(ctx, s, report); err != nil {
		return 0, err
	}
	done = report.Calls + report.Called + report.Mentions + report.Known + report.Passed + report.Emergency + report.Reports + report.History + report.Breakers
	for _, l := range report.Lists {
		if l.Removed {
			done++
		}
	}
	if done > 0 {
		if err := d.noteForgotten(ctx, report); err != nil {
			return done, err
		}
	}
	return done, d.wipeForgotten(forgotten, report) // what was deleted before may be there too
}

// toForget is who was forgotten, if the database has not been brought to that yet; else nil.
func (d *Desk) toForget() (*pseudonym.Forgotten, *subject, error) {
	key, err := pseudonym.Open(d.conf.Data, true)
	if err != nil {
		return nil, nil, err
	}
	forgotten, err := pseudonym.OpenForgotten(d.conf.Data, key)
	if err != nil || forgotten.Len() == 0 {
		return nil, nil, err
	}
	if was, err := d.db.Setting(settingForgotten); err != nil || string(was) == forgotten.Digest() {
		return nil, nil, err
	}
	return forgotten, &subject{plan: d.force.Rules().Policy.Plan(), is: forgotten.Has}, nil
}

// ApplyForgottenFacts is ApplyForgotten for what was learnt of callers alone, before it is read into memory.
func (d *Desk) ApplyForgottenFacts() error {
	forgotten, s, err := d.toForget()
	if forgotten == nil {
		return err
	}
	return errors.Join(d.sweepFacts(s, &console.ForgetReport{}), d.sweepBreakers(s, &console.ForgetReport{}))
}

// stampCount is where a report counts the facts of a table.
func stampCount(r *console.ForgetReport, t storage.StampTable) *int {
	switch t {
	case storage.Known:
		return &r.Known
	case storage.Passed:
		return &r.Passed
	}
	return &r.Emergency
}
