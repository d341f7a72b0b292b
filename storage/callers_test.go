package storage

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// The records of some callers, be they named by numbers or by tokens: the newest first, bounded, and nobody else's.
func TestJournalOf(t *testing.T) {
	d := open(t, Options{})
	var records []Record
	names := []string{"+8695211613", "+8695211614", "+8695311613", "hmac:+86-9521:0123", ""}
	for i := range 400 {
		name := names[i%len(names)]
		records = append(records, Record{
			ID: NewID(epoch.Add(time.Duration(i) * time.Second)), Time: epoch.Add(time.Duration(i) * time.Second), Caller: Caller{Raw: "+8695211613", E164: name}, Callee: "05925550100",
			Name: `"e164":"+86952116`, // a text that looks like it
		})
	}
	j := d.StartJournal(JournalOptions{})
	for _, r := range records {
		if !j.Add(r) {
			t.Fatal("the journal is full")
		}
	}
	check(t, j.Close(context.Background()))
	is := func(e164 string) bool { return e164 == names[0] || e164 == names[3] }
	q := CallersQuery{Names: []string{names[0], names[3]}}
	read := func(q CallersQuery) (got []Record, looked int, cut bool) {
		t.Helper()
		looked, cut, err := d.JournalOf(t.Context(), q, func(r Record) error { got = append(got, r); return nil })
		check(t, err)
		return got, looked, cut
	}
	got, looked, cut := read(q)
	if len(got) != 160 || looked != 400 || cut {
		t.Errorf("%d records, %d looked at, cut %v", len(got), looked, cut)
	}
	for i, r := range got {
		if !is(r.Caller.E164) || i > 0 && r.ID >= got[i-1].ID {
			t.Fatalf("%d: %+v", i, r)
		}
	}
	q.Since = epoch.Add(300 * time.Second)
	if got, looked, _ := read(q); len(got) != 40 || looked != 100 {
		t.Errorf("since a time: %d records, %d looked at", len(got), looked)
	}
	q.Since, q.Most = time.Time{}, 1
	if _, looked, cut := read(q); !cut || looked == 400 {
		t.Errorf("the most: %d looked at, cut %v", looked, cut)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, cut, err := d.JournalOf(ended, q, func(Record) error { t.Error("read"); return nil }); !cut || err != nil {
		t.Errorf("cut %v, %v", cut, err)
	}
	enough := errors.New("enough")
	if _, _, err := d.JournalOf(t.Context(), CallersQuery{Names: q.Names}, func(Record) error { return enough }); err != enough {
		t.Error(err)
	}
}

// What a report says of a number goes, and what others say stays.
func TestRemoveReported(t *testing.T) {
	d := open(t, Options{})
	for _, e := range []Entry{
		{Pattern: "+8695211613", Origin: FromReport, Source: "report 01", Reason: "reported"},
		{Pattern: "+8695211613", Origin: FromPerson, Reason: "by hand"},
		{Pattern: "+8695211614", Origin: FromReport, Source: "report 02"},
	} {
		_, err := d.AddEntries("blacklist", []Entry{e})
		check(t, err)
	}
	changes, err := d.RemoveReported("blacklist", []string{"+8695211613", "+8695211614", "+8695211615"}, By{Who: "root"})
	if err != nil || fmt.Sprint(changes) != "[removed removed absent]" {
		t.Errorf("%v, %v", changes, err)
	}
	found, err := d.Lookup("blacklist", "+8695211613", "+8695211614")
	if err != nil || len(found[0]) != 1 || found[0][0].Origin != FromPerson || len(found[1]) != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	if originOf("report 01M8JPGHAZPNWWK3MYFG1DHYDT") != FromReport {
		t.Error("an old entry of a report is a person's")
	}
}
