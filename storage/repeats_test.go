package storage

import (
	"fmt"
	"testing"
	"time"
)

// again is a call of a flood at a time: the same caller, number and decision.
func again(at time.Time) Record {
	r := record(0)
	r.Time, r.ID, r.Name = at, NewID(at), fmt.Sprint("name ", at.UnixNano())
	return r
}

// A minute of a flood is one record that counts; what differs in a caller, a called number or the decision has its own.
func TestRepeatsAreCounted(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{Merge: time.Minute, Batch: 10})
	start := epoch
	other := again(start)
	other.Callee = "another"
	var ids []string
	for i := range 37 {
		r := again(start.Add(time.Duration(i) * time.Second))
		ids = append(ids, r.ID)
		addAll(t, j, r)
	}
	later := again(start.Add(61 * time.Second))
	addAll(t, j, other, later)
	rs := readJournal(t, d, Query{Caller: other.Caller.E164})
	if len(rs) != 3 {
		t.Fatalf("%d records: %+v", len(rs), rs)
	}
	flood := rs[0]
	if flood.ID != ids[0] {
		flood = rs[1]
	}
	if flood.Repeats != 36 || !flood.Last.Equal(start.Add(36*time.Second)) || !flood.Time.Equal(start) || len(flood.Also) != MaxAlso || flood.Also[0] != ids[1] {
		t.Errorf("%+v", flood)
	}
	if j.Written() != 39 {
		t.Errorf("%d calls were recorded", j.Written())
	}
	sizeIsTrue(t, d)
}

// What became of calls that were counted comes to the record; one that was answered has a record of its own.
func TestRepeatsEnd(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{Merge: time.Minute})
	first, second, third := again(epoch), again(epoch.Add(time.Second)), again(epoch.Add(2*time.Second))
	j.Outcome(third.ID, Outcome{Cause: "EARLY"}) // before its record
	addAll(t, j, first, second, third)
	j.Outcome(second.ID, Outcome{Answered: true, TalkS: 9, Cause: "TALKED"})
	check(t, j.Flush(soon(t)))
	j.Outcome(first.ID, Outcome{Cause: "BUSY"})
	check(t, j.Flush(soon(t)))
	rs := readJournal(t, d, Query{})
	if len(rs) != 2 || rs[0].Repeats != 1 || rs[0].Outcome == nil || rs[0].Outcome.Cause != "EARLY" || len(rs[0].Also) != 1 || rs[0].Also[0] != third.ID ||
		rs[1].ID != second.ID || rs[1].Outcome == nil || rs[1].Outcome.Cause != "TALKED" || !rs[1].Time.Equal(second.Time) || rs[1].Repeats != 0 || j.Strays() != 0 || len(j.early) != 0 {
		t.Errorf("%+v, %d strays", rs, j.Strays())
	}
	sizeIsTrue(t, d)
	// It was otherwise: the call has a record of its own after all.
	third.Action, third.Outcome = "allow", &Outcome{Cause: "RANG AFTER ALL"}
	j.Amend(third)
	check(t, j.Flush(soon(t)))
	rs = readJournal(t, d, Query{})
	if len(rs) != 3 || rs[0].ID != first.ID || rs[0].Repeats != 0 || rs[0].Also != nil || rs[2].ID != third.ID || rs[2].Action != "allow" {
		t.Errorf("%+v", rs)
	}
	// And so was the first: those that repeat what it said before stay counted, and new ones begin anew.
	first.Action = "warn"
	j.Amend(first)
	fourth := again(epoch.Add(3 * time.Second))
	addAll(t, j, fourth)
	rs = readJournal(t, d, Query{})
	if len(rs) != 4 || rs[0].Action != "warn" {
		t.Errorf("%+v", rs)
	}
	sizeIsTrue(t, d)
}

// The record that calls are counted on may go meanwhile: the next of them is a record then, and those after it are counted there.
func TestRepeatsOfWhatIsGone(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{Merge: time.Minute})
	addAll(t, j, again(epoch), again(epoch.Add(time.Second)))
	_, err := d.DeleteRecords(Query{Caller: again(epoch).Caller.E164})
	check(t, err)
	next := again(epoch.Add(2 * time.Second))
	if !j.Add(next) || !j.Add(again(epoch.Add(3*time.Second))) {
		t.Fatal("no room")
	}
	check(t, j.Flush(soon(t)))
	addAll(t, j, again(epoch.Add(4*time.Second)))
	j.Outcome(next.ID, Outcome{Cause: "OWN"})
	check(t, j.Flush(soon(t)))
	rs := readJournal(t, d, Query{})
	if len(rs) != 1 || rs[0].ID != next.ID || rs[0].Repeats != 2 || rs[0].Outcome.Cause != "OWN" {
		t.Errorf("%+v", rs)
	}
	sizeIsTrue(t, d)
}

// A doctor's call is not the same as anybody's, and a call whose end is told twice has one record of its own.
func TestRepeatsStayApart(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{Merge: time.Minute})
	doctor := again(epoch)
	doctor.Test = true
	first, second, third := again(epoch.Add(time.Second)), again(epoch.Add(2*time.Second)), again(epoch.Add(3*time.Second))
	addAll(t, j, doctor, first, second, third)
	j.Outcome(second.ID, Outcome{Answered: true, TalkS: 9})
	j.Outcome(second.ID, Outcome{Answered: true, TalkS: 10})
	check(t, j.Flush(soon(t)))
	rs := readJournal(t, d, Query{})
	if len(rs) != 3 || rs[0].Repeats != 0 || !rs[0].Test || rs[1].Repeats != 1 || rs[1].Test || rs[2].ID != second.ID || rs[2].Outcome.TalkS != 10 {
		t.Errorf("%+v", rs)
	}
	j.Amend(third)
	check(t, j.Flush(soon(t)))
	if rs = readJournal(t, d, Query{}); len(rs) != 4 || rs[1].Repeats != 0 || rs[1].Also != nil {
		t.Errorf("%+v", rs)
	}
	sizeIsTrue(t, d)
}

// The calls of two customers are not one, be the line called the same.
func TestRepeatsOfCustomers(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{Merge: time.Minute})
	before, after := again(epoch), again(epoch.Add(time.Second))
	after.Customer = "next"
	addAll(t, j, before, after)
	check(t, j.Flush(soon(t)))
	if rs := readJournal(t, d, Query{}); len(rs) != 2 || rs[1].Customer != "next" {
		t.Errorf("%+v", rs)
	}
}

// A call that was put right has a record of its own, and stands in no other.
func TestRepeatsOfAmended(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{Merge: time.Minute})
	first, second, third := again(epoch), again(epoch.Add(time.Second)), again(epoch.Add(2*time.Second))
	addAll(t, j, first, second, third)
	second.Action = "allow"
	j.Amend(second)
	check(t, j.Flush(soon(t)))
	if rs := readJournal(t, d, Query{}); len(rs) != 2 || rs[0].Repeats != 1 || len(rs[0].Also) != 1 || rs[0].Also[0] != third.ID {
		t.Errorf("%+v", rs)
	}
}

// The end of a call whose record was deleted, with those that were counted on it, is counted as a stray.
func TestRepeatsStray(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{Merge: time.Minute})
	first, second := again(epoch), again(epoch.Add(time.Second))
	addAll(t, j, first, second)
	_, err := d.DeleteRecords(Query{Caller: first.Caller.E164})
	check(t, err)
	j.Outcome(second.ID, Outcome{Answered: true})
	check(t, j.Flush(soon(t)))
	if rs := readJournal(t, d, Query{}); len(rs) != 0 || j.Strays() != 1 {
		t.Errorf("%+v, %d strays", rs, j.Strays())
	}
}

// A disk that fails in between has nothing counted twice, and nothing lost.
func TestRepeatsWhenTheDiskFails(t *testing.T) {
	d := open(t, Options{})
	j := startJournal(t, d, JournalOptions{Merge: time.Minute, Delay: time.Millisecond})
	addAll(t, j, again(epoch))
	setMaxSize(t, d, 1)
	big := record(1)
	for i := range 3000 { // which need room
		big.ID, big.Caller.E164 = NewID(epoch), fmt.Sprint("+1555", i)
		j.Add(big)
		if i%100 == 0 {
			j.Add(again(epoch.Add(time.Duration(i) * time.Millisecond)))
		}
	}
	waiting := soon(t)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for j.Failures() == 0 {
		select {
		case <-waiting.Done():
			t.Fatal("the disk does not fail")
		case <-tick.C:
		}
	}
	setMaxSize(t, d, 0)
	check(t, j.Flush(soon(t)))
	rs := readJournal(t, d, Query{Caller: again(epoch).Caller.E164})
	if len(rs) != 1 || rs[0].Repeats != 30 {
		t.Errorf("%+v", rs)
	}
	sizeIsTrue(t, d)
}

// As many callers as there are, the memory of them is bounded.
func TestRepeatsAreBounded(t *testing.T) {
	p := newRepeats(time.Minute)
	r := record(0)
	for i := range 3 * maxHeads {
		r.ID, r.Caller.E164 = fmt.Sprint(i), fmt.Sprint("+1555", i)
		p.place(&r)
		again := r
		again.ID = fmt.Sprint(i, " again")
		if head := p.place(&again); head != r.ID {
			t.Fatalf("%d is counted on %q", i, head)
		}
	}
	if len(p.heads) > maxHeads || len(p.of) != len(p.heads) || len(p.aliases)+len(p.old) > 2*maxAliases {
		t.Errorf("%d heads, %d ids, %d and %d aliases", len(p.heads), len(p.of), len(p.aliases), len(p.old))
	}
}
