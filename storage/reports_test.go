package storage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
)

// report is the i-th of a series, a second apart, each by another extension.
func report(i int) Report {
	at := epoch.Add(time.Duration(i) * time.Second)
	return Report{
		Time: at, Caller: Caller{Raw: fmt.Sprintf("952%05d", i), E164: fmt.Sprintf("+86952%05d", i), Kind: "service"},
		Extension: fmt.Sprint(8000 + i), Line: "staff", Call: NewID(at),
	}
}

func readReports(t testing.TB, d *DB, state string) []Report {
	t.Helper()
	var rs []Report
	check(t, d.Reports(state, func(r Report) error { rs = append(rs, r); return nil }))
	return rs
}

// counts holds the kept number of reports against the reports.
func counts(t testing.TB, d *DB) (open, decided int) {
	t.Helper()
	open, decided, err := d.ReportCount()
	check(t, err)
	n := 0
	for _, r := range readReports(t, d, "") {
		if r.State == ReportOpen {
			n++
		}
	}
	if all := len(readReports(t, d, "")); n != open || all != open+decided {
		t.Errorf("%d open and %d decided are counted, there are %d open of %d", open, decided, n, all)
	}
	check(t, d.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketReports)
		if o, dec := countKeys(b.Bucket(partOpen), 1e6), countKeys(b.Bucket(partDecided), 1e6); o != open || dec != decided {
			t.Errorf("%d open and %d decided are indexed, %d and %d counted", o, dec, open, decided)
		}
		return nil
	}))
	return open, decided
}

func TestReports(t *testing.T) {
	now := epoch.Add(time.Hour)
	d := open(t, Options{Now: func() time.Time { return now }})
	add := func(r Report) (Report, bool) {
		t.Helper()
		kept, added, err := d.AddReport(r)
		check(t, err)
		return kept, added
	}
	first, added := add(report(1))
	want := report(1)
	want.ID, want.State, want.Call, want.Customer = first.ID, ReportOpen, first.Call, "staff"
	want.Marks = []Mark{{Extension: "8001", Time: want.Time, Call: want.Call, Line: "staff"}}
	if diff := cmp.Diff(want, first); diff != "" || !added {
		t.Errorf("added %v\n%s", added, diff)
	}
	// The same customer reporting the same caller does not stack, in whatever spelling.
	again := report(1)
	again.Time, again.Caller.Raw, again.Call = epoch.Add(time.Minute), "0086"+again.Caller.Raw, "the newer call"
	kept, added := add(again)
	if added || kept.ID != first.ID || kept.Repeats != 1 || !kept.Last.Equal(again.Time) || kept.Call != "the newer call" || !kept.Time.Equal(first.Time) {
		t.Errorf("added %v: %+v", added, kept)
	}
	// Nor does another extension of the same customer.
	colleague := report(1)
	colleague.Extension, colleague.Time = "8002", epoch.Add(2*time.Minute)
	if kept, added := add(colleague); added || kept.ID != first.ID || kept.Repeats != 2 || kept.Extension != "8001" || len(kept.Marks) != 2 || kept.Marks[1].Extension != "8002" {
		t.Errorf("added %v: %+v", added, kept)
	}
	// Nor does another line of the customer, whose part is kept apart from that of the first.
	second := report(1)
	second.Customer, second.Line, second.Time = "staff", "second", epoch.Add(3*time.Minute)
	kept, added = add(second)
	var lines []string
	for _, m := range kept.Marks {
		lines = append(lines, m.Line+" "+m.Extension)
	}
	if added || kept.ID != first.ID || !slices.Equal(lines, []string{"staff 8001", "staff 8002", "second 8001"}) {
		t.Errorf("added %v, marks of %q", added, lines)
	}
	// Another customer's, and another caller, do.
	other := report(1)
	other.Extension, other.Line = "8002", "hotline"
	if _, added := add(other); !added {
		t.Error("another customer's report was not added")
	}
	if _, added := add(report(2)); !added {
		t.Error("a report of another caller was not added")
	}
	// Of callers without a number the raw text tells them apart.
	raw := Report{Extension: "8001", Caller: Caller{Raw: "fraud", Kind: "invalid"}}
	withheld := Report{Extension: "8001", Caller: Caller{Kind: "anonymous", Withheld: true}}
	third, _ := add(raw)
	if !third.Time.Equal(now) {
		t.Errorf("a report without a time is of %v", third.Time)
	}
	if _, added := add(withheld); !added {
		t.Error("a withheld caller is taken for another one")
	}
	if open, decided := counts(t, d); open != 5 || decided != 0 {
		t.Errorf("%d open, %d decided", open, decided)
	}
	decideReports(t, d, now, first, third)
	// Reported again after it was decided, it waits for review anew.
	if kept, added := add(report(1)); !added || kept.ID == first.ID || kept.Repeats != 0 {
		t.Errorf("added %v: %+v", added, kept)
	}
	check(t, d.Close())

	d = open(t, Options{ReadOnly: true}, d.File())
	if n := len(readReports(t, d, ReportOpen)); n != 4 {
		t.Errorf("%d are open after a restart", n)
	}
	for i, rs := 1, readReports(t, d, ""); i < len(rs); i++ {
		if rs[i].ID <= rs[i-1].ID {
			t.Errorf("%s comes after %s", rs[i].ID, rs[i-1].ID)
		}
	}
}

// decideReports confirms one of five reports and dismisses another, which is confirmed in the end.
func decideReports(t *testing.T, d *DB, now time.Time, first, third Report) {
	t.Helper()
	decide := func(id, state string, wantChange bool, wantState, who string) {
		t.Helper()
		r, changed, err := d.DecideReport(id, state, who)
		if err != nil || changed != wantChange || r.State != wantState {
			t.Errorf("%s: %+v, changed %v, %v", state, r, changed, err)
		}
	}
	decide(strings.ToLower(first.ID), ReportConfirmed, true, ReportConfirmed, "root")
	decide(first.ID, ReportConfirmed, false, ReportConfirmed, "eve")
	decide(first.ID, ReportDismissed, false, ReportConfirmed, "eve") // it was listed: taking that back is another edit
	decide(third.ID, ReportDismissed, true, ReportDismissed, "root")
	decide(third.ID, ReportDismissed, false, ReportDismissed, "root")
	decide(third.ID, ReportLifted, false, ReportDismissed, "amy") // it lists nobody
	decide(third.ID, ReportConfirmed, true, ReportConfirmed, "amy")
	decide(third.ID, ReportLifted, true, ReportLifted, "bob")
	decide(third.ID, ReportDismissed, false, ReportLifted, "bob")
	decide(third.ID, ReportConfirmed, true, ReportConfirmed, "amy")
	if open, decided := counts(t, d); open != 3 || decided != 2 {
		t.Errorf("%d open, %d decided", open, decided)
	}
	if r, err := d.Report(first.ID); err != nil || r.Who != "root" || !r.Decided.Equal(now) {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := d.Report(third.ID); err != nil || r.Who != "amy" || r.LiftedBy != "bob" || !r.Lifted.Equal(now) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestReportsRefused(t *testing.T) {
	d := open(t, Options{})
	for name, change := range map[string]func(*Report){
		"no extension":      func(r *Report) { r.Extension = "" },
		"long extension":    func(r *Report) { r.Extension = strings.Repeat("8", MaxText+1) },
		"not UTF-8":         func(r *Report) { r.Caller.Raw = "caf\xe9" },
		"a line break":      func(r *Report) { r.Extension = "8\n1" },
		"a long caller":     func(r *Report) { r.Caller.Raw = strings.Repeat("8", MaxText+1) },
		"a year before all": func(r *Report) { r.Time = time.Date(1066, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		r := report(1)
		change(&r)
		if _, _, err := d.AddReport(r); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, id := range []string{"", "x", NewID(epoch)} {
		if _, _, err := d.DecideReport(id, ReportConfirmed, "root"); !errors.Is(err, ErrNoReport) || !strings.Contains(err.Error(), "reports ls") {
			t.Errorf("deciding %q: %v", id, err)
		}
		if _, err := d.Report(id); !errors.Is(err, ErrNoReport) {
			t.Errorf("reading %q: %v", id, err)
		}
	}
	r, _, err := d.AddReport(report(1))
	check(t, err)
	if _, _, err := d.DecideReport(r.ID, "open", "root"); !errors.Is(err, ErrInvalid) {
		t.Errorf("back to open: %v", err)
	}
	if _, _, err := d.DecideReport(r.ID, ReportDismissed, "a\nb"); !errors.Is(err, ErrInvalid) {
		t.Errorf("by a line break: %v", err)
	}
	counts(t, d)
}

// A full table lets the oldest decided go, and refuses when all wait for review.
func TestReportsFull(t *testing.T) {
	d := open(t, Options{})
	d.maxReports = 4
	var ids []string
	for i := range 4 {
		r, _, err := d.AddReport(report(i))
		check(t, err)
		ids = append(ids, r.ID)
	}
	_, _, err := d.AddReport(report(4))
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "reports ls") {
		t.Errorf("%v", err)
	}
	if _, added, err := d.AddReport(report(0)); added || err != nil { // known already: needs no room
		t.Errorf("added %v, %v", added, err)
	}
	for _, i := range []int{2, 1} {
		_, _, err := d.DecideReport(ids[i], ReportDismissed, "root")
		check(t, err)
	}
	for i := 4; i < 6; i++ {
		_, _, err := d.AddReport(report(i))
		check(t, err)
		counts(t, d)
	}
	if _, err := d.Report(ids[1]); !errors.Is(err, ErrNoReport) {
		t.Errorf("the oldest decided is still there: %v", err)
	}
	if _, _, err := d.AddReport(report(6)); !errors.Is(err, ErrFull) {
		t.Errorf("%v", err)
	}
	if open, decided := counts(t, d); open != 4 || decided != 0 {
		t.Errorf("%d open, %d decided", open, decided)
	}
}

// Whoever of a customer reports a caller, it is one report; who did is kept, up to a bound.
func TestReportsOfACustomer(t *testing.T) {
	d := open(t, Options{})
	for i := range 40 {
		r := report(1)
		r.Customer, r.Extension, r.Line, r.Time = "firm A", fmt.Sprint(8000+i), fmt.Sprint("line ", i%4), epoch.Add(time.Duration(i)*time.Second)
		kept, added, err := d.AddReport(r)
		check(t, err)
		if added != (i == 0) || kept.Repeats != i || len(kept.Marks) != min(i+1, MaxMarkers) || kept.Marks[len(kept.Marks)-1].Extension != r.Extension || kept.Extension != "8000" {
			t.Fatalf("%d: added %v: %+v", i, added, kept)
		}
	}
	counts(t, d)
}

// Reports of before, when each extension had one of its own, become the customer's with the next mark, and can be decided without one.
func TestReportsOfBeforeCustomers(t *testing.T) {
	d := open(t, Options{})
	old := func(i int, extension, line string) (r Report) {
		t.Helper()
		r = report(i)
		r.ID, r.State, r.Extension, r.Line, r.Repeats = NewID(r.Time), ReportOpen, extension, line, 1
		check(t, d.update(func(tx *bolt.Tx) error {
			b := tx.Bucket(bucketReports)
			count, err := d.reportCount(tx)
			count.Open++
			return errors.Join(err, putJSON(b.Bucket(partAll), r.ID, r), b.Bucket(partOpen).Put([]byte(r.Caller.E164+"\x00"+r.Extension), []byte(r.ID)),
				putJSON(tx.Bucket(bucketMeta), string(keyReports), count))
		}))
		return r
	}
	first, second, third := old(1, "8001", "staff"), old(1, "8002", "staff"), old(1, "8003", "hotline")
	fourth := old(2, "8001", "staff")
	kept, added, err := d.AddReport(Report{Time: epoch.Add(time.Hour), Caller: first.Caller, Extension: "8009", Line: "staff", Customer: "staff"})
	check(t, err)
	if added || kept.ID != first.ID || kept.Customer != "staff" || kept.Repeats != 4 || len(kept.Marks) != 3 || kept.Marks[2].Extension != "8009" {
		t.Errorf("added %v: %+v", added, kept)
	}
	if _, err := d.Report(second.ID); !errors.Is(err, ErrNoReport) {
		t.Errorf("the same customer's other report is still there: %v", err)
	}
	if open, _ := counts(t, d); open != 3 {
		t.Errorf("%d open", open)
	}
	for _, r := range []Report{third, fourth, kept} {
		if _, changed, err := d.DecideReport(r.ID, ReportDismissed, "root"); err != nil || !changed {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if open, decided := counts(t, d); open != 0 || decided != 3 {
		t.Errorf("%d open, %d decided", open, decided)
	}
}

// A key that an older program left of a report that it decided counts for nothing.
func TestReportKeyLeft(t *testing.T) {
	d := open(t, Options{})
	r, _, err := d.AddReport(report(1))
	check(t, err)
	_, _, err = d.DecideReport(r.ID, ReportDismissed, "root")
	check(t, err)
	check(t, d.update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketReports).Bucket(partOpen).Put(r.openKey(), []byte(r.ID))
	}))
	if again, added, err := d.AddReport(report(1)); err != nil || !added || again.ID == r.ID {
		t.Errorf("added %v: %+v, %v", added, again, err)
	}
	counts(t, d)
}
