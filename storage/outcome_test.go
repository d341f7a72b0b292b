package storage

import (
	"path/filepath"
	"testing"
	"time"
)

// An outcome that comes later completes its record, also one that still waits to be written; who follows
// the journal hears of the decision alone.
func TestOutcome(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "x.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	j := d.StartJournal(JournalOptions{})
	defer j.Close(t.Context())
	follow, stop := j.Watch(10)
	defer stop()
	now := time.Now()
	early, late := Record{ID: NewID(now), Time: now, Callee: "1"}, Record{ID: NewID(now), Time: now, Callee: "2"}
	j.Add(early)
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.Add(late)
	want := Outcome{Answered: true, RingS: 2.5, TalkS: 61, Cause: "NORMAL_CLEARING", By: "caller"}
	for _, id := range []string{early.ID, late.ID, NewID(now)} {
		if !j.Outcome(id, want) {
			t.Fatal("not taken")
		}
	}
	if j.Outcome("nonsense", want) {
		t.Error("an outcome for no id was taken")
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := d.Journal(Query{}, func(r Record) error {
		n++
		if r.Outcome == nil || *r.Outcome != want || r.Callee == "" {
			t.Errorf("%+v", r)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n != 2 {
		t.Errorf("%d records", n)
	}
	if records, bytes, err := d.JournalSize(); err != nil || records != 2 || bytes <= 0 {
		t.Errorf("%d records of %d bytes, %v", records, bytes, err)
	}
	again := early
	again.Action = "allow"
	j.Amend(again)
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := j.Written(); n != 2 {
		t.Errorf("%d records are said to be written: an outcome is none, nor is what takes a record's place", n)
	}
	for _, callee := range []string{"1", "2"} {
		if r := <-follow; r.Callee != callee || r.Outcome != nil {
			t.Errorf("followed %+v", r)
		}
	}
	select {
	case r := <-follow:
		t.Errorf("and %+v", r)
	default:
	}
}

// An outcome may come before its record, in a batch before or in the same one; those whose records never
// come are not kept for ever.
func TestOutcomeBeforeItsRecord(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "x.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	j := d.StartJournal(JournalOptions{})
	defer j.Close(t.Context())
	now := time.Now()
	want := Outcome{Cause: "CALL_REJECTED", By: "ringfence"}
	ids := []string{NewID(now), NewID(now)}
	j.Outcome(ids[0], want)
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.Outcome(ids[1], want)
	for _, id := range ids {
		j.Add(Record{ID: id, Time: now, Callee: "1"})
	}
	for range maxEarly + 1 {
		j.Outcome(NewID(now), want)
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := d.Journal(Query{}, func(r Record) error {
		n++
		if r.Outcome == nil || *r.Outcome != want {
			t.Errorf("%+v", r)
		}
		return nil
	}); err != nil || n != 2 {
		t.Fatalf("%d records, %v", n, err)
	}
	if j.Strays() != maxEarly {
		t.Errorf("%d strays", j.Strays())
	}
}
