package storage

import (
	"cmp"
	"errors"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Changed is when something was last done to a report.
func (r *Report) Changed() time.Time {
	last := r.LastTime()
	if at := r.decidedLast(); at.After(last) {
		last = at
	}
	for i := range r.Marks {
		if r.Marks[i].Time.After(last) {
			last = r.Marks[i].Time
		}
	}
	return last
}

// decidedLast is when it was last decided in any way, zero while it is open.
func (r *Report) decidedLast() time.Time {
	if r.Lifted.After(r.Decided) {
		return r.Lifted
	}
	return r.Decided
}

// MergeReport takes a report as another node has it: who marked is joined, and the later decision counts, but that one which listed the caller goes before one
// that dismissed the report, whichever is later. Two that are open on two nodes of one customer and caller become that with the lower id. It returns the report
// as it is kept, and changed is false where nothing is new. However often and
// in whatever order reports come, nodes that have taken the same hold the same.
//
// There is ErrFull when MaxReports are open, and ErrInvalid for what is not to be kept.
func (d *DB) MergeReport(r Report) (kept Report, changed bool, err error) {
	if err := checkForeign(&r); err != nil {
		return Report{}, false, err
	}
	if r.Time.UnixMilli() > d.tooFarAhead() || r.Changed().UnixMilli() > d.tooFarAhead() {
		return Report{}, false, invalid("a report of another node whose clock is more than %v ahead: nobody could decide otherwise", MaxAhead)
	}
	err = d.edit(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketReports)
		count, err := d.reportCount(tx)
		if err != nil {
			return err
		}
		old, err := d.report(b, r.ID)
		if errors.Is(err, ErrNoReport) {
			kept, changed = r, true
			err = d.takeIn(b, &kept, &count)
		} else if err == nil {
			kept = joined(old, r)
			if changed = !sameReport(&old, &kept); !changed {
				return errNothing
			}
			err = errors.Join(d.takeOut(b, &old, &count), d.takeIn(b, &kept, &count))
		}
		if err != nil {
			return err
		}
		return putJSON(tx.Bucket(bucketMeta), string(keyReports), count)
	})
	if err != nil && err != errNothing {
		return Report{}, false, explain("taking a report of another node", err)
	}
	return kept, changed, nil
}

// takeIn puts a report in that is not there; one that is open and there under another id is joined with it, under the lower one.
func (d *DB) takeIn(b *bolt.Bucket, r *Report, count *reportCount) error {
	if r.State != ReportOpen {
		if count.Open+count.Decided >= d.maxReports {
			if err := d.dropDecided(b, count); err != nil {
				return err
			}
		}
		count.Decided++
		return errors.Join(putJSON(b.Bucket(partAll), r.ID, r), b.Bucket(partDecided).Put([]byte(r.ID), nil))
	}
	if id := b.Bucket(partOpen).Get(r.openKey()); id != nil {
		ours, err := d.report(b, string(id))
		switch {
		case err == nil && ours.State == ReportOpen && ours.ID != r.ID:
			if err := d.takeOut(b, &ours, count); err != nil {
				return err
			}
			id := min(ours.ID, r.ID)
			*r = joined(ours, *r)
			r.ID = id
		case err != nil && !errors.Is(err, ErrNoReport):
			return err
		}
	}
	if count.Open+count.Decided >= d.maxReports {
		if err := d.dropDecided(b, count); err != nil {
			return err
		}
	}
	count.Open++
	return errors.Join(putJSON(b.Bucket(partAll), r.ID, r), b.Bucket(partOpen).Put(r.openKey(), []byte(r.ID)))
}

// takeOut takes a report out that is there.
func (d *DB) takeOut(b *bolt.Bucket, r *Report, count *reportCount) error {
	if r.State != ReportOpen {
		count.Decided--
		return errors.Join(b.Bucket(partAll).Delete([]byte(r.ID)), b.Bucket(partDecided).Delete([]byte(r.ID)))
	}
	count.Open--
	if id := b.Bucket(partOpen).Get(r.openKey()); string(id) == r.ID {
		if err := b.Bucket(partOpen).Delete(r.openKey()); err != nil {
			return err
		}
	}
	return b.Bucket(partAll).Delete([]byte(r.ID))
}

// joined is what two nodes say of one report.
func joined(a, b Report) Report {
	out := a
	if b.Time.Before(a.Time) || b.Time.Equal(a.Time) && cmp.Compare(b.Extension, a.Extension) < 0 {
		out = b
	}
	later := a
	if b.LastTime().After(a.LastTime()) || b.LastTime().Equal(a.LastTime()) && cmp.Or(cmp.Compare(b.Call, a.Call), cmp.Compare(b.Line, a.Line)) > 0 {
		later = b
	}
	out.Line, out.Call, out.Repeats = later.Line, later.Call, max(a.Repeats, b.Repeats)
	if out.Last = later.LastTime(); out.Last.Equal(out.Time) {
		out.Last = time.Time{}
	}
	marks := map[string]Mark{}
	for _, m := range append(slices.Clone(a.Marks), b.Marks...) {
		if was, there := marks[m.Extension]; !there || m.Time.After(was.Time) || m.Time.Equal(was.Time) && m.Call > was.Call {
			marks[m.Extension] = m
		}
	}
	out.Marks = nil
	for _, m := range marks {
		out.Marks = append(out.Marks, m)
	}
	slices.SortFunc(out.Marks, func(a, b Mark) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Extension, b.Extension)) })
	out.Marks = out.Marks[max(0, len(out.Marks)-MaxMarkers):]
	said := a
	if cmp.Or(cmp.Compare(rank(&b), rank(&a)), b.decidedLast().Compare(a.decidedLast()), cmp.Compare(b.State, a.State), cmp.Compare(b.Who, a.Who)) > 0 {
		said = b
	}
	out.State, out.Who, out.Decided, out.Free, out.Lifted, out.LiftedBy = said.State, said.Who, said.Decided, said.Free, said.Lifted, said.LiftedBy
	return out
}

// rank is how far a report has come, whenever that was. Who was listed for one is not listed for nothing since another node's person, who knew nothing of it,
// has dismissed it later: as with decide, only lifting it takes the caller off.
func rank(r *Report) int {
	switch r.State {
	case ReportOpen:
		return 0
	case ReportDismissed:
		return 1
	}
	return 2
}

func sameReport(a, b *Report) bool {
	sameMarks := slices.EqualFunc(a.Marks, b.Marks, func(m, n Mark) bool { return m.Extension == n.Extension && m.Call == n.Call && m.Time.Equal(n.Time) })
	return sameMarks && a.ID == b.ID && a.Time.Equal(b.Time) && a.Extension == b.Extension && a.Line == b.Line && a.Call == b.Call && a.Repeats == b.Repeats &&
		a.LastTime().Equal(b.LastTime()) && a.State == b.State && a.Who == b.Who && a.Decided.Equal(b.Decided) && a.Free == b.Free && a.Lifted.Equal(b.Lifted) && a.LiftedBy == b.LiftedBy
}

// checkForeign checks what another node says, as its own reports were checked there.
func checkForeign(r *Report) error {
	id, ok := parseID(r.ID)
	if !ok || id != r.ID {
		return noReport(r.ID)
	}
	if r.Customer == "" || r.callerKey() == "" || r.Time.IsZero() {
		return invalid("a report of another node without a customer, a caller or a time")
	}
	if err := checkReport(r); err != nil {
		return err
	}
	for name, text := range map[string]string{"who": r.Who, "lifted by": r.LiftedBy} {
		if err := checkReportText(name, text, MaxText); err != nil {
			return err
		}
	}
	if len(r.Marks) > MaxMarkers || r.Repeats < 0 || r.Free < 0 || r.Free > 15 {
		return invalid("a report of another node with %d marks, %d repeats and %d free digits", len(r.Marks), r.Repeats, r.Free)
	}
	times := []time.Time{r.Last, r.Decided, r.Lifted}
	for _, m := range r.Marks {
		if err := errors.Join(checkReportText("extension", m.Extension, MaxText), checkReportText("call", m.Call, MaxText)); err != nil {
			return err
		}
		times = append(times, m.Time)
	}
	for _, at := range times {
		if y := at.Year(); !at.IsZero() && (y < 1970 || y > 9999) {
			return invalid("a report of the year %d: use 1970 to 9999", y)
		}
	}
	wants := map[string]bool{ReportOpen: r.Decided.IsZero() && r.Lifted.IsZero(), ReportConfirmed: !r.Decided.IsZero(), ReportDismissed: !r.Decided.IsZero(), ReportLifted: !r.Lifted.IsZero()}
	if sound, there := wants[r.State]; !there || !sound {
		return invalid("a report of another node that is %.20q", r.State)
	}
	return nil
}

// ReportsSince calls yield for each report to which something was done since a time.
func (d *DB) ReportsSince(since time.Time, yield func(Report) error) error {
	return d.Reports("", func(r Report) error {
		if r.Changed().Before(since) {
			return nil
		}
		return yield(r)
	})
}
