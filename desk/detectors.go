package desk

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/detect"
	"ringfence/inforce"
	"ringfence/policy"
	"ringfence/pseudonym"
	"ringfence/storage"
	"ringfence/tomlfile"
)

// detectorsOf makes the detectors of a policy, which have counted nothing.
func (d *Desk) detectorsOf(p *policy.Policy) *detect.Set {
	return detect.New(p.Detectors(), detect.Options{Zone: p.Zone(), Seed: rand.Uint64(), Sink: d.breakers, Peers: d.o.Peers})
}

// countsSection is the part of the file of counts that is the detectors'.
const countsSection = "detectors"

// sections are the parts of the file of counts.
func (d *Desk) sections() []Section {
	own := Section{
		Name:     countsSection,
		Snapshot: func() []byte { return d.force.Rules().Detectors.Snapshot() },
		Load:     func(text []byte) error { return d.force.Rules().Detectors.Load(text) },
	}
	return append([]Section{own}, d.o.Sections...)
}

// LoadDetectors reads what was counted before, and the breakers, which a person's word counts for more than the counts, once. In the daemon it
// comes before the first call; a command on the files reads it when it is asked.
func (d *Desk) LoadDetectors() {
	d.detectors.Do(func() {
		d.loadCounts()
		if err := d.loadBreakers(); err != nil {
			d.o.Log.Error("some breakers cannot be read and are left out", "error", err)
		}
	})
}

// keepGone is how long a breaker of a detector that the policy does not have any more is kept, should it come back.
const keepGone = 30 * 24 * time.Hour

// loadBreakers puts back the breakers that are kept, and makes those of before [journal] private such as nobody can read.
func (d *Desk) loadBreakers() error {
	r, key := d.force.Rules(), d.o.Private
	if key == nil { // hidden at the time
		key, _ = pseudonym.Open(d.conf.Data, true)
	}
	var drop []string
	unread, err := d.breakers.each(key, func(row storage.Breaker, b detect.Breaker) error {
		of := nameOf(&b)
		if _, known := r.Policy.DetectorNamed(b.Detector); !known {
			if b.Pinned == "" && d.o.Now().Sub(later(b.Since, b.Until)) > keepGone {
				drop = append(drop, row.Key)
			}
			return nil
		}
		r.Detectors.Restore(b)
		d.breakers.mu.Lock()
		defer d.breakers.mu.Unlock()
		if isGone(&b) {
			d.breakers.closed[of] = true
		}
		if row.Key != d.breakers.rowKey(of) { // of before, or after, [journal] private
			d.breakers.waiting[of] = b
			drop = append(drop, row.Key)
		}
		return nil
	})
	if unread > 0 {
		err = errors.Join(err, fmt.Errorf("%d of them are sealed with another key than journal-key, or damaged", unread))
	}
	if d.o.Journal != nil && len(drop) > 0 {
		if e := d.breakers.flush(); e != nil {
			return errors.Join(err, e)
		}
		err = errors.Join(err, d.breakers.db.PutBreakers(nil, drop[:min(len(drop), storage.MaxEdit)]))
	}
	return err
}

// bringBack puts back the breakers that are kept of detectors which the policy of before did not have: one that was taken out for a while, or that
// counted by another key meanwhile, comes back with what a person pinned.
func (d *Desk) bringBack(r *inforce.Rules, was *policy.Policy) error {
	back := make(map[string]bool)
	for i := range r.Policy.Detectors() {
		det := &r.Policy.Detectors()[i]
		if j, there := was.DetectorNamed(det.Name); !there || was.Detectors()[j].Key != det.Key {
			back[det.Name] = true
		}
	}
	if len(back) == 0 {
		return nil
	}
	failed := d.breakers.flush()
	key := d.o.Private
	if key == nil {
		key, _ = pseudonym.Open(d.conf.Data, true)
	}
	_, err := d.breakers.each(key, func(_ storage.Breaker, b detect.Breaker) error {
		if back[b.Detector] {
			r.Detectors.Restore(b)
		}
		return nil
	})
	return errors.Join(failed, err)
}

// later is the later of two moments.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// tickEvery is how often time passes for detectors where no calls come.
const tickEvery = time.Minute

// TickDetectors lets time pass for detectors, until ctx ends.
func (d *Desk) TickDetectors(ctx context.Context) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.survive("time could not pass for detectors", func() {
				d.force.Rules().Detectors.Tick(d.o.Now())
				signal(d.breakers.wake) // an alert may be over by time alone
			})
		}
	}
}

// survive does something beside the calls that must not take the daemon down with it: a fault is logged.
func (d *Desk) survive(what string, do func()) {
	defer func() {
		if p := recover(); p != nil {
			d.o.Log.Error(what, "fault", p, "stack", string(debug.Stack()))
		}
	}()
	do()
}

// Detectors are those of the policy in force, in the order of its file.
func (d *Desk) Detectors(context.Context) ([]console.Detector, error) {
	d.LoadDetectors()
	r := d.force.Rules()
	all := r.Policy.Detectors()
	out := make([]console.Detector, len(all))
	for i := range all {
		det := &all[i]
		out[i] = console.Detector{
			Name: det.Name, Key: det.Key.String(), Counts: countsText(det), Window: policy.SpanText(det.Window), Trips: tripsText(det),
			Hold: holdText(det), MaxShare: det.MaxShare, Mode: det.Mode.String(),
		}
	}
	r.Detectors.Breakers("", true, d.o.Now(), func(b detect.Breaker) bool {
		i, ok := r.Policy.DetectorNamed(b.Detector)
		if !ok {
			return true
		}
		switch b.State {
		case detect.Tripped:
			out[i].Tripped++
		case detect.Probing:
			out[i].Probing++
		}
		if b.Pinned != "" {
			out[i].Pinned++
		}
		if b.Count > 0 {
			out[i].Counted++
		}
		return true
	})
	return out, nil
}

// countsText says what a detector counts, as the policy file does.
func countsText(det *policy.Detector) string {
	if len(det.Count) == 1 && det.Count[0].Weight == 1 {
		return det.Count[0].Count.String()
	}
	var parts []string
	for _, w := range det.Count {
		parts = append(parts, fmt.Sprintf("%s %d", w.Count, w.Weight))
	}
	return strings.Join(parts, ", ")
}

// tripsText says at what a detector trips.
func tripsText(det *policy.Detector) string {
	switch {
	case det.Share > 0:
		return fmt.Sprintf("%.0f%% of %d calls or more", det.Share*100, det.AtLeast)
	case det.Surge > 0:
		return fmt.Sprintf("%g times the usual, %d or more", det.Surge, det.AtLeast)
	case len(det.Levels) > 0:
		var parts []string
		for _, l := range det.Levels {
			parts = append(parts, fmt.Sprintf("%d of %d digits", l.Trip, l.Digits))
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(det.Trip)
}

func holdText(det *policy.Detector) string {
	text := policy.SpanText(det.Hold)
	if det.HoldMax > det.Hold {
		text += ", up to " + policy.SpanText(det.HoldMax)
	}
	return text
}

// detectorNamed finds a detector; the error says which there are.
func detectorNamed(p *policy.Policy, name string) (*policy.Detector, error) {
	if i, ok := p.DetectorNamed(name); ok {
		return &p.Detectors()[i], nil
	}
	var names []string
	for i := range p.Detectors() {
		names = append(names, p.Detectors()[i].Name)
	}
	if len(names) == 0 {
		return nil, console.NotFound(fmt.Sprintf("there is no detector %q: the policy has none ([[detector]])", name))
	}
	return nil, console.NotFound(fmt.Sprintf("there is no detector %q: %s", name, tomlfile.DidYouMean(name, names)))
}

// Breakers calls yield for the breakers that are asked for.
func (d *Desk) Breakers(ctx context.Context, q console.BreakerQuery, yield func(console.Breaker) error) (err error) {
	d.LoadDetectors()
	r := d.force.Rules()
	if q.Detector != "" {
		if _, err := detectorNamed(r.Policy, q.Detector); err != nil {
			return err
		}
	}
	var found []detect.Breaker // others may call meanwhile
	r.Detectors.Breakers(q.Detector, q.All, d.o.Now(), func(b detect.Breaker) bool {
		if q.Trunk == "" || b.Trunk == q.Trunk {
			found = append(found, b)
		}
		return true
	})
	for i := range found {
		if err := errors.Join(ctx.Err(), yield(d.breakerShown(r.Policy, &found[i]))); err != nil {
			return err
		}
	}
	return nil
}

// breakerShown is a breaker as people see it.
func (d *Desk) breakerShown(p *policy.Policy, b *detect.Breaker) console.Breaker {
	out := console.Breaker{
		Detector: b.Detector, Trunk: b.Trunk, Key: d.keyShown(p, b), State: b.State, Since: b.Since, Until: b.Until, HoldS: b.Hold.Seconds(), Trips: b.Trips,
		Why: d.whyShown(p, b), Pinned: b.Pinned, By: b.By, Holder: holderOf(p, b), Count: b.Count, Trip: b.Trip, Touched: b.Touched, Would: b.Would,
		Node: b.Node, Here: b.Here,
	}
	for _, n := range b.Elsewhere {
		out.Elsewhere = append(out.Elsewhere, console.NodeCount(n))
	}
	if i, ok := p.DetectorNamed(b.Detector); ok && (p.Mode() == policy.Observe || p.Detectors()[i].Mode == policy.Observe) {
		out.Trial = "on trial"
	}
	return out
}

// findingShown is what a detector has to say of a call, as people see it. Who asks has written the number.
func (d *Desk) findingShown(p *policy.Policy, f *detect.Finding) console.Finding {
	out := console.Finding{Name: f.Detector, Breaker: d.breakerShown(p, &f.Breaker), Protected: f.Protected, Text: f.Text}
	out.Detector, out.Key, out.Trial = "", f.Key, f.Trial
	return out
}

// tried are the detectors of a policy that somebody tries: they have counted what those in force have, as far as they count the same.
func (d *Desk) tried(p *policy.Policy, inForce *detect.Set) *detect.Set {
	set := detect.New(p.Detectors(), detect.Options{Zone: p.Zone()})
	if len(p.Detectors()) == 0 {
		return set
	}
	if err := set.Load(inForce.Snapshot()); err != nil {
		d.o.Log.Warn("a policy is tried without what was counted so far", "error", err)
	}
	inForce.Breakers("", false, d.o.Now(), func(b detect.Breaker) bool {
		set.Restore(b)
		return true
	})
	return set
}

// ResetBreaker closes a breaker and has it count from nothing.
func (d *Desk) ResetBreaker(ctx context.Context, b console.BreakerName) (*console.BreakerEdit, error) {
	return d.editBreaker(ctx, b, console.BreakerReset, func(s *detect.Set, key, by string) int {
		return s.Reset(b.Detector, b.Trunk, key, by, d.o.Now())
	})
}

// PinBreaker holds a breaker open, which is tripped, or shut.
func (d *Desk) PinBreaker(ctx context.Context, b console.BreakerName, how string) (*console.BreakerEdit, error) {
	if how != console.PinOpen && how != console.PinShut {
		return nil, console.Bad(fmt.Sprintf("%q is no way to hold a breaker: write open, so that it stays tripped, or shut, so that it never trips", how))
	}
	return d.editBreaker(ctx, b, console.BreakerPinned, func(s *detect.Set, key, by string) int {
		return s.Pin(b.Detector, b.Trunk, key, how, by, d.o.Now())
	})
}

// UnpinBreaker lets go of a breaker that a person holds: it goes on by itself.
func (d *Desk) UnpinBreaker(ctx context.Context, b console.BreakerName) (*console.BreakerEdit, error) {
	return d.editBreaker(ctx, b, console.BreakerUnpinned, func(s *detect.Set, key, by string) int {
		return s.Unpin(b.Detector, b.Trunk, key, by, d.o.Now())
	})
}

// editBreaker takes a breaker in hand. When it returns without an error that is on disk.
func (d *Desk) editBreaker(ctx context.Context, b console.BreakerName, change string, how func(s *detect.Set, key, by string) int) (*console.BreakerEdit, error) {
	d.edit.Lock() // another policy takes over what is counted in one moment
	defer d.edit.Unlock()
	d.LoadDetectors()
	r := d.force.Rules()
	det, err := detectorNamed(r.Policy, b.Detector)
	if err != nil {
		return nil, err
	}
	key, err := d.keyOf(r, det, b.Key)
	if err != nil {
		return nil, err
	}
	if b.Trunk != "" && change == console.BreakerPinned {
		if t := r.Policy.TrunkNamed(b.Trunk); !t.Known {
			return nil, console.NotFound(fmt.Sprintf("there is no trunk %q in the policy: leave out --trunk for all, or name one of [trunks]", b.Trunk))
		}
	}
	by := byOf(ctx)
	if how(r.Detectors, key, by.Who) == 0 {
		return nil, d.noBreaker(r.Detectors, det, b.Trunk, key, change)
	}
	if err := d.breakers.flush(); err != nil {
		return nil, fmt.Errorf("the breaker is %s, but that is not on disk: a restart forgets it (%w)", change, err)
	}
	if _, err := d.saveCounts(); err != nil { // else what a reset has dropped would be counted again after a kill
		return nil, fmt.Errorf("the breaker is %s, but what it had counted stays on disk: %w", change, err)
	}
	shown := d.keyShown(r.Policy, &detect.Breaker{Detector: det.Name, Key: key})
	if d.o.Journal != nil { // a command tells who typed it
		d.o.Log.Warn("a person took a breaker in hand", "detector", det.Name, "key", shown, "trunk", b.Trunk, "is", change, "who", by.Who, "from", by.From)
	}
	edit := &console.BreakerEdit{Change: change, Detector: det.Name, Key: shown, Breakers: []console.Breaker{}}
	r.Detectors.Breakers(det.Name, true, d.o.Now(), func(x detect.Breaker) bool {
		if x.Key == key && (b.Trunk == "" || x.Trunk == b.Trunk) {
			edit.Breakers = append(edit.Breakers, d.breakerShown(r.Policy, &x))
		}
		return true
	})
	return edit, nil
}

// noBreaker says that there is nothing to reset or to let go of, and what there is.
func (d *Desk) noBreaker(s *detect.Set, det *policy.Detector, trunk, key, change string) error {
	var keys []string
	s.Breakers(det.Name, change == console.BreakerReset, d.o.Now(), func(b detect.Breaker) bool {
		if !slices.Contains(keys, b.Key) {
			keys = append(keys, b.Key)
		}
		return len(keys) < 1000
	})
	shown := func(key string) string {
		return d.keyShown(d.force.Rules().Policy, &detect.Breaker{Detector: det.Name, Key: key})
	}
	text := fmt.Sprintf("%s has counted nothing of %s", det.Name, shown(key))
	if change == console.BreakerUnpinned {
		text = fmt.Sprintf("nobody holds %s of %s", shown(key), det.Name)
	}
	if trunk != "" {
		text += " on the trunk " + trunk
	}
	if near := tomlfile.Nearest(key, keys); near != "" && near != key {
		return console.NotFound(fmt.Sprintf("%s: did you mean %s?", text, shown(near)))
	}
	return console.NotFound(fmt.Sprintf("%s: `ringfence detectors show %q` says what it has", text, det.Name))
}
