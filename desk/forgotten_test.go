package desk

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

// Who was forgotten on one node does not come back there from another that was not told of it, by a list, a fact or a mark; what is said of them later counts,
// and so does what is said of others. Their number is in no log of it.
func TestForgottenDoesNotComeBack(t *testing.T) {
	a, b := openMerge(t, "a"), openMerge(t, "b")
	const other = "95219999"
	addTo(t, a.running, "blacklist", nuisance, "nuisance")
	addTo(t, a.running, "blacklist", other, "another")
	a.tell(b)
	var rows []storage.Row
	b.must(b.db.ListRows("blacklist", nil, func(page []storage.Row) error { rows = append(rows, slices.Clone(page)...); return nil }))
	before := time.Now()
	key := "05925550001\x00+86" + nuisance
	report, err := json.Marshal(storage.Report{
		ID: storage.NewID(before), Customer: "staff", Extension: "1001", Line: "staff", Time: before, Call: "c1", State: storage.ReportOpen, Caller: storage.Caller{Raw: nuisance, E164: "+86" + nuisance},
	})
	a.must(err)
	if a.IsForgottenFact(storage.Known, key, before) {
		t.Error("nobody was forgotten yet")
	}
	<-time.After(2 * time.Millisecond) // the times of entries are of whole milliseconds
	_, err = a.Forget(t.Context(), console.ForgetQuery{Number: nuisance, Lists: true})
	a.must(err)
	for i := range rows {
		rows[i].Stamp.Count++ // as if b had said it again meanwhile
	}
	changed, err := a.MergeRows(t.Context(), "blacklist", rows, storage.Foreign{Node: "b"})
	if err != nil || changed != 1 || a.rule(nuisance, "05925550001") != "default" || a.rule(other, "05925550001") != "listed" {
		t.Errorf("%d changed, %v; decided by %q and %q", changed, err, a.rule(nuisance, "05925550001"), a.rule(other, "05925550001"))
	}
	stone := rows[slices.IndexFunc(rows, func(r storage.Row) bool { return strings.HasSuffix(r.Pattern, nuisance) })]
	stone.Gone, stone.Reason, stone.Added, stone.Updated = true, "", 0, 0
	if _, err := a.MergeRows(t.Context(), "blacklist", []storage.Row{stone}, storage.Foreign{Node: "b"}); err != nil {
		t.Error(err)
	}
	a.must(a.db.ListRows("blacklist", nil, func(page []storage.Row) error {
		for _, r := range page {
			if strings.Contains(r.Pattern, nuisance) {
				t.Errorf("it is there again: %+v", r)
			}
		}
		return nil
	}))
	if m := a.MergeRefused(); m.Rows != 2 || m.Why != whyForgotten || strings.Contains(a.log.String(), nuisance) {
		t.Errorf("%+v, %s", m, a.log)
	}
	if !a.IsForgottenFact(storage.Known, key, before) || a.IsForgottenFact(storage.Known, key, time.Now().Add(time.Second)) || a.IsForgottenFact(storage.Known, "05925550001\x00+86"+other, before) {
		t.Error("facts are mistaken")
	}
	if err := a.TakeReport(report); err == nil || strings.Contains(err.Error(), nuisance) {
		t.Errorf("a mark: %v", err)
	}
	if err := b.TakeReport(report); err != nil {
		t.Errorf("the mark is taken nowhere: %v", err)
	}
	_, err = b.RemoveEntries(t.Context(), "blacklist", []string{nuisance}, false)
	b.must(err)
	addTo(t, b.running, "blacklist", nuisance, "and again")
	b.tell(a)
	a.decides("what is said of them later", "05925550001", "listed")
}
