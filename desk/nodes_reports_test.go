package desk

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/storage"
	"ringfence/traffic"
)

// told is a cluster that keeps what a desk tells of reports.
type told struct {
	Cluster // asked for nothing else
	reports [][]byte
}

func (o *told) ReportChanged(_ string, _ time.Time, report []byte) {
	o.reports = append(o.reports, report)
}

// A mark that a phone of one node makes waits for a decision on the other too, and what is decided there is decided here.
func TestReportsOfOtherNodes(t *testing.T) {
	a, b := callsDesk(t), callsDesk(t)
	ofA, ofB := &told{}, &told{}
	a.o.Cluster, b.o.Cluster = ofA, ofB
	caller := a.force.Rules().Policy.Plan().Parse("95211613")
	if err := a.AddReport("8001", traffic.LastCall{Caller: caller, Line: "staff", Callee: staffNumber, Time: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if len(ofA.reports) != 1 {
		t.Fatalf("%d were told", len(ofA.reports))
	}
	for range 2 { // it may come twice
		if err := b.TakeReport(ofA.reports[0]); err != nil {
			t.Fatal(err)
		}
	}
	if b.MarksOf(caller.E164, time.Now()) == 0 {
		t.Error("the mark does not count for the score of the other node")
	}
	var id string
	open := func(d *running) (n int) {
		err := d.Reports(t.Context(), console.ReportsQuery{State: storage.ReportOpen}, func(r console.Report) error { n++; id = r.ID; return nil })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if open(b) != 1 {
		t.Error("it does not wait there")
	}
	if _, err := b.ConfirmReport(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
	if err := a.TakeReport(ofB.reports[len(ofB.reports)-1]); err != nil || open(a) != 0 {
		t.Errorf("what the other node decided: %v, %d open", err, open(a))
	}
	n := 0
	if err := a.ReportsSince(time.Now().Add(-time.Minute), func(string, time.Time, []byte) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d since, %v", n, err)
	}
	for _, spoilt := range []string{"", "{}", `{"id":"x"}`} {
		if b.TakeReport([]byte(spoilt)) == nil {
			t.Errorf("%q is taken", spoilt)
		}
	}
}

// Another node cannot fill the room for marks: the phones of this one go on to make them.
func TestReportsOfOtherNodesHaveTheirRoom(t *testing.T) {
	a, b := callsDesk(t), callsDesk(t)
	of := &told{}
	a.o.Cluster, b.o.Cluster = of, &told{}
	most := mostOthersReports
	t.Cleanup(func() { mostOthersReports = most })
	mostOthersReports = 3
	mark := func(d *running, number string) {
		t.Helper()
		caller := d.force.Rules().Policy.Plan().Parse(number)
		if err := d.AddReport("8001", traffic.LastCall{Caller: caller, Line: "staff", Callee: staffNumber, Time: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	for _, number := range []string{"95211613", "95211614", "95211615", "95211616"} {
		mark(a, number)
	}
	for i, report := range of.reports {
		if err := b.TakeReport(report); err != nil != (i == 3) || err != nil && !strings.Contains(err.Error(), "3 reports wait") {
			t.Errorf("mark %d: %v", i, err)
		}
	}
	if err := b.TakeReport(of.reports[0]); err != nil { // one that is there may change
		t.Error(err)
	}
	mark(b, "95211617")
	if open, _, err := b.db.ReportCount(); open != 4 || err != nil {
		t.Errorf("%d wait, %v", open, err)
	}
}

// What a node has learnt of a caller before they were marked here does not bring back what the mark ended: it may have been away then.
func TestMarkedFactsOfOtherNodes(t *testing.T) {
	a := callsDesk(t)
	caller := a.force.Rules().Policy.Plan().Parse("95211613")
	now := time.Now()
	key := "staff\x00" + caller.E164
	if a.IsMarkedFact(key, now) {
		t.Error("nobody has marked them")
	}
	if err := a.AddReport("8001", traffic.LastCall{Caller: caller, Line: "staff", Callee: staffNumber, Time: now}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key  string
		at   time.Time
		want bool
	}{
		{key, now.Add(-time.Minute), true},
		{key, now.Add(time.Minute), false}, // they have passed since
		{"sales\x00" + caller.E164, now.Add(-time.Minute), false},
		{"staff\x00+8695211614", now.Add(-time.Minute), false},
		{"number 8001", now.Add(-time.Minute), false},
	} {
		if got := a.IsMarkedFact(c.key, c.at); got != c.want {
			t.Errorf("%q of %v: %v", c.key, c.at.Sub(now), got)
		}
	}
}

// A decision of a time to come would win over all that persons decide until then.
func TestReportsOfATimeToCome(t *testing.T) {
	a, b := callsDesk(t), callsDesk(t)
	of := &told{}
	a.o.Cluster, b.o.Cluster = of, &told{}
	caller := a.force.Rules().Policy.Plan().Parse("95211613")
	if err := a.AddReport("8001", traffic.LastCall{Caller: caller, Line: "staff", Callee: staffNumber, Time: time.Now()}); err != nil {
		t.Fatal(err)
	}
	var r storage.Report
	if err := json.Unmarshal(of.reports[0], &r); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(r *storage.Report, at time.Time){
		"decided": func(r *storage.Report, at time.Time) {
			r.State, r.Decided, r.Who = storage.ReportDismissed, at, "thief"
		},
		"marked": func(r *storage.Report, at time.Time) { r.Last = at },
		"made":   func(r *storage.Report, at time.Time) { r.Time = at },
	} {
		for ahead, taken := range map[time.Duration]bool{time.Hour: true, 26 * time.Hour: false, 100 * 365 * 24 * time.Hour: false} {
			said := r
			change(&said, time.Now().Add(ahead))
			text, err := json.Marshal(said)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.TakeReport(text); (err == nil) != taken {
				t.Errorf("%s %v ahead: %v", what, ahead, err)
			}
		}
	}
}
