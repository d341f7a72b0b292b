package desk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ringfence/policy"
	"ringfence/storage"
)

// readingSetting keeps by which number.Plan.Reading the numbers in the database were last read.
const readingSetting = "numbers"

// unassignedSince is the normaliser that first told unassigned numbers from invalid ones.
const unassignedSince = 2

// ReadAgain reads what is kept of numbers anew, whenever the policy's plan reads them otherwise than when they were written:
// after an upgrade of this program, and when [numbers] has changed. Entries whose number is another one now move there, as one
// change of each list that can be undone, and so does who is known to a line and who passed a challenge.
// It goes on until ctx ends. Calls are decided meanwhile.
func (d *Desk) ReadAgain(ctx context.Context) {
	const retry = time.Minute // a feed may be under way, or the disk full
	select {
	case <-d.listsRead:
	case <-ctx.Done():
		return
	}
	for {
		var later <-chan time.Time
		if err := d.readAgain(ctx); err != nil && ctx.Err() == nil {
			d.o.Log.Warn("numbers that are kept cannot be read again yet; they count as they were read", "error", err, "again in", retry)
			later = time.After(retry)
		}
		select {
		case <-ctx.Done():
			return
		case <-later:
		case <-d.rules:
		}
	}
}

// readAgain is one round of ReadAgain.
func (d *Desk) readAgain(ctx context.Context) error {
	p := d.force.Rules().Policy
	reading := p.Plan().Reading()
	text, err := d.db.Setting(readingSetting)
	if err != nil || string(text) == reading {
		return err
	}
	infos, err := d.db.Lists()
	if err != nil {
		return err
	}
	before := readingOf(string(text))
	if text == nil { // the programs that did not keep it read by version 1
		before = readingParts{version: 1, country: p.Country()}
	}
	if before.version < unassignedSince && !d.warnedInvalid {
		d.warnedInvalid = true
		for _, f := range p.CheckUnassigned() {
			d.o.Log.Warn(f.String())
		}
	}
	if before.country == p.Country() { // what was written for another country would be another number
		entries := 0
		for _, l := range infos {
			r, err := d.readListAgain(ctx, p, l.Name)
			if err != nil && !errors.Is(err, storage.ErrNoList) {
				return err
			}
			if entries += r.Added + r.Skipped; r.ID != 0 {
				d.o.Log.Info("numbers of a list are read otherwise now, and were put right",
					"list", l.Name, "entries", r.Removed, "change", r.ID, "undo", fmt.Sprintf("ringfence list undo %d", r.ID))
			}
		}
		if err := d.readLinesAgain(ctx, p); err != nil {
			return err
		}
		facts := 0
		if facts, err = d.readFacts(ctx, p); err != nil {
			return err
		}
		d.o.Log.Info("what is kept of numbers was read again", "entries", entries, "facts learnt", facts)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return d.db.PutSetting(readingSetting, []byte(reading))
}

// readFacts reads again what was learnt of numbers. Nobody is forgotten meanwhile, or it would come back.
func (d *Desk) readFacts(ctx context.Context, p *policy.Policy) (int, error) {
	if d.o.ReadFacts == nil {
		return 0, nil
	}
	d.forgetting.Lock()
	defer d.forgetting.Unlock()
	return d.o.ReadFacts(ctx, p.Plan())
}

// noteReading keeps, of a database that is new, by what its numbers will be read: there is nothing to read again.
func (d *Desk) noteReading() error {
	text, err := d.db.Setting(readingSetting)
	if err != nil || text != nil {
		return err
	}
	infos, err := d.db.Lists()
	if err != nil || len(infos) > 0 {
		return err
	}
	if learnt, err := d.anythingLearnt(); err != nil || learnt {
		return err
	}
	err = d.db.PutSetting(readingSetting, []byte(d.force.Rules().Policy.Plan().Reading()))
	return ignore(err, storage.ErrReadOnly)
}

// readListAgain moves the entries of one list.
func (d *Desk) readListAgain(ctx context.Context, p *policy.Policy, list string) (storage.ChangeRecord, error) {
	read := func(text string) string {
		if ctx.Err() != nil {
			return ""
		}
		at := placeAt(storage.Place{List: list, Text: text})
		pattern, err := p.Plan().Again(at.pattern(text))
		if err != nil {
			return ""
		}
		return at.text(pattern.String())
	}
	alone := func(do func() error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.edit.Lock()
		defer d.edit.Unlock()
		return do()
	}
	return d.db.ReadAgain(list, read, alone, storage.ImportOptions{
		By: storage.By{From: "re-read"}, Source: "numbers", Commit: d.commitAlone,
	})
}

// anythingLearnt reports whether a call has taught anything that is kept.
func (d *Desk) anythingLearnt() (bool, error) {
	errFound := errors.New("found")
	for _, t := range []storage.StampTable{storage.Known, storage.Passed} {
		if err := d.db.EachStamp(t, func(storage.Stamp) error { return errFound }); err != nil {
			return err == errFound, ignore(err, errFound, storage.ErrCorrupt)
		}
	}
	return false, nil
}

// ignore is nil for errors that are one of those given.
func ignore(err error, these ...error) error {
	for _, e := range these {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}

// readingParts is what number.Plan.Reading says first.
type readingParts struct {
	version int
	country string
}

func readingOf(text string) (r readingParts) {
	fmt.Sscan(text, &r.version, &r.country)
	return r
}
