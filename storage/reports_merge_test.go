package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// reportsOf are all reports of a database, and its counts must be true.
func reportsOf(t testing.TB, d *DB) (all []Report) {
	t.Helper()
	open, decided := 0, 0
	check(t, d.Reports("", func(r Report) error {
		if r.State == ReportOpen {
			open++
		} else {
			decided++
		}
		all = append(all, r)
		return nil
	}))
	o, dec, err := d.ReportCount()
	check(t, err)
	inQueue := 0
	check(t, d.Reports(ReportOpen, func(Report) error { inQueue++; return nil }))
	if o != open || dec != decided || inQueue != open {
		t.Errorf("%d open of %d, %d in the queue, %d decided of %d", o, open, inQueue, dec, decided)
	}
	slices.SortFunc(all, func(a, b Report) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// Nodes that mark and decide each for itself hold the same when they have told each other, in any order and as often as it may be.
func TestMergeReports(t *testing.T) {
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 1))
		now := epoch
		var nodes []*DB
		for i := range 3 {
			nodes = append(nodes, open(t, Options{Now: func() time.Time { now = now.Add(time.Second); return now }, Node: fmt.Sprint(i)}, filepath.Join(t.TempDir(), "ringfence.db")))
		}
		tell := func(from, to *DB) {
			all := reportsOf(t, from)
			random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			for _, r := range all {
				_, _, err := to.MergeReport(r)
				check(t, err)
			}
		}
		for range 60 {
			d := nodes[random.IntN(len(nodes))]
			switch all := reportsOf(t, d); {
			case random.IntN(3) > 0 || len(all) == 0:
				n := random.IntN(4)
				_, _, err := d.AddReport(Report{
					Caller: Caller{Raw: fmt.Sprint("9521000", n), E164: fmt.Sprint("+869521000", n), Kind: "service"}, Extension: fmt.Sprint(8000 + random.IntN(4)),
					Customer: fmt.Sprint("firm ", random.IntN(2)), Line: fmt.Sprint("line ", random.IntN(2)), Call: NewID(now),
				})
				check(t, err)
			default:
				r := all[random.IntN(len(all))]
				state := []string{ReportConfirmed, ReportDismissed, ReportLifted}[random.IntN(3)]
				_, _, err := d.DecideReport(r.ID, state, "admin")
				check(t, err)
			}
			if random.IntN(4) == 0 {
				tell(nodes[random.IntN(3)], nodes[random.IntN(3)])
			}
		}
		for range 3 {
			for _, from := range nodes {
				for _, to := range nodes {
					if from != to {
						tell(from, to)
					}
				}
			}
		}
		want := reportsOf(t, nodes[0])
		for _, d := range nodes[1:] {
			if diff := cmp.Diff(want, reportsOf(t, d)); diff != "" {
				t.Fatalf("seed %d: %s", seed, diff)
			}
		}
		for _, r := range want {
			if _, changed, err := nodes[1].MergeReport(r); changed || err != nil {
				t.Errorf("once more: %v, %v", changed, err)
			}
		}
	}
}

// Where one node's person confirms a report and another's, who has not heard of that, dismisses it, it is confirmed on both, whoever was first: its caller is on
// the list, and can be taken off it by the report.
func TestMergeReportConfirmedAndDismissed(t *testing.T) {
	for _, first := range []string{ReportConfirmed, ReportDismissed} {
		now := epoch
		tick := func() time.Time { now = now.Add(time.Second); return now }
		a := open(t, Options{Now: tick, Node: "a"}, filepath.Join(t.TempDir(), "ringfence.db"))
		b := open(t, Options{Now: tick, Node: "b"}, filepath.Join(t.TempDir(), "ringfence.db"))
		r, _, err := a.AddReport(Report{Caller: Caller{Raw: "95211613", E164: "+8695211613", Kind: "service"}, Extension: "8001", Customer: "acme"})
		check(t, err)
		_, _, err = b.MergeReport(r)
		check(t, err)
		second := map[string]string{ReportConfirmed: ReportDismissed, ReportDismissed: ReportConfirmed}[first]
		ofA, _, err := a.DecideReport(r.ID, first, "li")
		check(t, err)
		ofB, _, err := b.DecideReport(r.ID, second, "wang")
		check(t, err)
		_, _, err = a.MergeReport(ofB)
		check(t, err)
		_, _, err = b.MergeReport(ofA)
		check(t, err)
		for _, d := range []*DB{a, b} {
			if got, err := d.Report(r.ID); err != nil || got.State != ReportConfirmed {
				t.Errorf("%s first: it is %s, %v", first, got.State, err)
			}
			if _, changed, err := d.DecideReport(r.ID, ReportLifted, "li"); !changed || err != nil {
				t.Errorf("%s first: it cannot be lifted: %v", first, err)
			}
		}
	}
}

func TestMergeReportRefuses(t *testing.T) {
	d := open(t, Options{}, filepath.Join(t.TempDir(), "ringfence.db"))
	good := Report{ID: NewID(epoch), Time: epoch, Caller: Caller{Raw: "95211613", E164: "+8695211613"}, Extension: "8001", Customer: "acme", State: ReportOpen}
	for name, spoil := range map[string]func(r *Report){
		"id":          func(r *Report) { r.ID = "x" },
		"customer":    func(r *Report) { r.Customer = "" },
		"caller":      func(r *Report) { r.Caller = Caller{} },
		"time":        func(r *Report) { r.Time = time.Time{} },
		"state":       func(r *Report) { r.State = "forgotten" },
		"undecided":   func(r *Report) { r.State = ReportConfirmed },
		"decided":     func(r *Report) { r.Decided = epoch },
		"who":         func(r *Report) { r.State, r.Decided, r.Who = ReportConfirmed, epoch, "a\nb" },
		"marks":       func(r *Report) { r.Marks = make([]Mark, MaxMarkers+1) },
		"mark's text": func(r *Report) { r.Marks = []Mark{{Extension: "\x00"}} },
		"mark's year": func(r *Report) { r.Marks = []Mark{{Extension: "1", Time: epoch.AddDate(20000, 0, 0)}} },
		"repeats":     func(r *Report) { r.Repeats = -1 },
		"digits":      func(r *Report) { r.Free = 99 },
		"extension":   func(r *Report) { r.Extension = strings.Repeat("8", MaxText+1) },
	} {
		r := good
		if spoil(&r); name != "" {
			if _, _, err := d.MergeReport(r); !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrNoReport) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if _, changed, err := d.MergeReport(good); !changed || err != nil {
		t.Errorf("%v, %v", changed, err)
	}
	if n := len(reportsOf(t, d)); n != 1 {
		t.Errorf("%d reports", n)
	}
}
