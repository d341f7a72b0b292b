package desk

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"ringfence/policy"
	"ringfence/traffic"
)

// Whoever is stopped on the way to one customer because another marked them: neither the journal nor a notice of the one says who that was.
func TestConfirmedMarkNamesNoOther(t *testing.T) {
	for _, kept := range []bool{false, true} {
		d, err := run(installation(t, smallPolicy), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ann, bob := lineEdit("ann", "+865925550101"), lineEdit("bob", "+865925550202")
		if kept {
			d.lines(t, ann, bob)
		}
		p := d.force.Rules().Policy
		last := traffic.LastCall{Caller: p.Plan().Parse(nuisance), Callee: annCalled, ID: "01KB0000000000000000000000", Time: time.Now()}
		if kept {
			last.Line, last.Customer = ann.Key, "ann"
		}
		edit, err := d.mark(t.Context(), "7788", last)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.ConfirmReport(t.Context(), edit.Report.ID, false); err != nil {
			t.Fatal(err)
		}
		c := p.Call(policy.Facts{Caller: nuisance, Callee: bobCalled, Time: time.Now()})
		r := d.force.Rules()
		dec := r.Policy.Decide(&c, r.Lists)
		if got := dec.Reason(); !strings.Contains(got, "reported") || strings.Contains(got, "7788") == kept {
			t.Errorf("lines of customers %v: %s", kept, got)
		}
		d.stop(t)
	}
}
