package storage

import (
	"errors"
	"testing"
)

// What is remembered of a pattern that is on no list goes, from the log, the tombstones and the hits; the rest can be undone as before.
func TestForgetTraces(t *testing.T) {
	d := open(t, Options{})
	who := By{Who: "root", From: "cli"}
	_, err := d.AddEntries("a", []Entry{entry(1), entry(2), entry(3)})
	check(t, err)
	_, err = d.AddEntries("b", []Entry{entry(2)})
	check(t, err)
	check(t, d.AddHits([]Hit{{"a", entry(2).Pattern, 5, epoch}}))
	file := series(1, 3, 1, "file")
	for i := range file {
		file[i].Origin = FromImport
	}
	r, err := d.Import("a", imported(file...), ImportOptions{})
	check(t, err)
	_, err = d.RemoveAll("a", []string{entry(2).Pattern, entry(3).Pattern}, who)
	check(t, err)
	pattern := entry(2).Pattern
	would, err := d.ForgetTraces([]string{pattern}, true)
	check(t, err)
	n, err := d.ForgetTraces([]string{pattern}, false)
	check(t, err)
	if n != would || n.Deleted != 2 || n.Changes != 4 {
		t.Errorf("forgotten %+v, and it would be %+v", n, would)
	}
	if again, err := d.ForgetTraces([]string{pattern}, false); err != nil || again != (Traces{}) {
		t.Errorf("again %+v, %v", again, err)
	}
	lists := map[string]int{}
	check(t, d.History(pattern, func(c PatternChange) error { lists[c.List]++; return nil }))
	if lists["a"] != 0 || lists["b"] != 1 { // the list b has it
		t.Errorf("the history has %v", lists)
	}
	check(t, d.WipeFreed())
	if r, err := d.Verify(); err != nil || len(r.Faults) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
	counts(t, d)
	_, err = d.Undo(r.ID, who, nil)
	check(t, err)
	if es := readList(t, d, "a"); len(es) != 1 || es[0].Pattern != entry(1).Pattern {
		t.Errorf("after an undo the list has %v", es)
	}
	check(t, d.NoteForgotten(who, 1))
	var last ChangeRecord
	check(t, d.Changes(func(r ChangeRecord) error { last = r; return nil }))
	if last.Kind != KindForget || last.Removed != 1 || last.Who != "root" {
		t.Errorf("noted is %+v", last)
	}
	if _, err := d.Undo(last.ID, who, nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("undoing that: %v", err)
	}
}

// The same in a file that an older version wrote, whose log counts patterns and not records.
func TestForgetTracesFromBefore(t *testing.T) {
	d := schema2(t)
	var all []string
	seen := map[string]bool{}
	check(t, d.EachPattern(func(p string) error {
		if !seen[p] {
			all, seen[p] = append(all, p), true
		}
		return nil
	}))
	if len(all) < 300 {
		t.Fatalf("%d patterns", len(all))
	}
	lists, err := d.Lists()
	check(t, err)
	for i, p := range all {
		if i%3 > 0 {
			continue
		}
		for _, l := range lists {
			_, err := d.RemoveAll(l.Name, []string{p}, By{})
			check(t, err)
		}
		_, err := d.ForgetTraces([]string{p}, false)
		check(t, err)
		check(t, d.History(p, func(c PatternChange) error { t.Errorf("%s is in change %d", p, c.ID); return nil }))
	}
	if r, err := d.Verify(); err != nil || len(r.Faults) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Rows are dropped and rewritten, each judged as it is: also those that others change in between.
func TestSweep(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{})
	var ids []string
	for i := range 5000 {
		r := record(i)
		ids = append(ids, r.ID)
		if !j.Add(r) {
			t.Fatal("no room")
		}
	}
	check(t, j.Flush(soon(t)))
	changed := false
	done, err := d.SweepJournal(func(r *Record) Fate {
		if !changed { // an outcome comes for one that was read, and is not yet written
			changed = true
			j.Outcome(ids[0], Outcome{Cause: "LATE"})
			check(t, j.Flush(soon(t)))
		}
		switch r.Action {
		case "allow":
			return Drop
		case "reject":
			r.Name = ""
			return Rewrite
		}
		return Stay
	})
	check(t, err)
	if done.Changed != 1667 || done.Dropped != 1667 {
		t.Errorf("%+v", done)
	}
	for _, r := range readJournal(t, d, Query{}) {
		if r.Action == "allow" || r.Action == "reject" && r.Name != "" || r.Action == "warn" && r.Name == "" {
			t.Fatalf("%+v", r)
		}
		if r.ID == ids[0] && (r.Outcome == nil || r.Outcome.Cause != "LATE") {
			t.Errorf("what came meanwhile is lost: %+v", r)
		}
	}
	sizeIsTrue(t, d)
}

// A report that is dropped or changed is so in all that finds reports.
func TestSweepReports(t *testing.T) {
	d := open(t, Options{})
	for i := range 6 {
		_, _, err := d.AddReport(report(i))
		check(t, err)
	}
	all := readReports(t, d, "")
	_, _, err := d.DecideReport(all[0].ID, ReportDismissed, "root")
	check(t, err)
	swept, err := d.SweepReports(func(r *Report) Fate {
		switch r.ID {
		case all[0].ID, all[1].ID:
			return Drop
		case all[2].ID:
			r.Caller.Raw, r.Caller.E164 = "hmac:x", "hmac:x"
			return Rewrite
		}
		return Stay
	})
	check(t, err)
	open, decided, err := d.ReportCount()
	check(t, err)
	if swept != (Swept{1, 2}) || open != 4 || decided != 0 || len(readReports(t, d, "")) != 4 {
		t.Errorf("%+v, %d open, %d decided", swept, open, decided)
	}
	hidden := all[2]
	hidden.Caller.Raw, hidden.Caller.E164 = "hmac:x", "hmac:x"
	if _, added, err := d.AddReport(hidden); err != nil || added {
		t.Errorf("the same again: added %v, %v", added, err)
	}
}

// A fact that gets the key of another one is the later of them.
func TestSweepStamps(t *testing.T) {
	d := open(t, Options{})
	check(t, d.PutStamps(Known, []Stamp{{"a\x00+1", epoch}, {"a\x00+2", epoch}, {"a\x00x", epoch.Add(1e9)}}, nil))
	_, err := d.SweepStamps(Known, func(s *Stamp) Fate {
		switch s.Key {
		case "a\x00+1":
			s.Key = "a\x00x"
			return Rewrite
		case "a\x00+2":
			return Drop
		}
		return Stay
	})
	check(t, err)
	var left []Stamp
	check(t, d.EachStamp(Known, func(s Stamp) error { left = append(left, s); return nil }))
	if len(left) != 1 || left[0].Key != "a\x00x" || !left[0].At.Equal(epoch.Add(1e9)) {
		t.Errorf("%+v", left)
	}
}
