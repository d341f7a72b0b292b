package storage

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// wants has all stopped calls of some lines be told of.
type wants struct {
	lines []string
	kept  chan string
}

func (w *wants) Wants(r *Record) bool { return slices.Contains(w.lines, r.Stopped) }

func (w *wants) Kept(lines []string) {
	for _, line := range lines {
		w.kept <- line
	}
}

func stoppedCall(at time.Time, line, caller string) Record {
	return Record{
		ID: NewID(at), Time: at, Caller: Caller{Raw: caller, E164: caller, Kind: "mobile"}, Callee: "8001", Line: strings.Split(line, "~")[0], Stopped: line,
		Action: "reject", Would: "reject", Mode: "enforce", Rule: "listed", Reason: "caller " + caller,
	}
}

// TestNotices holds that what a customer is to be told is written with the journal, survives a restart, and is told of once.
func TestNotices(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ringfence.db")
	d := open(t, Options{}, file)
	taker := &wants{[]string{"a~1", "b~1"}, make(chan string, 1000)}
	j := d.StartJournal(JournalOptions{Merge: time.Minute, Notices: taker})
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	first, again := stoppedCall(at, "a~1", "+8613800138000"), stoppedCall(at.Add(time.Second), "a~1", "+8613800138000")
	rang := stoppedCall(at, "a~1", "+8613800138001")
	test := stoppedCall(at, "a~1", "+8613800138002")
	rang.Stopped, test.Test = "", true
	heard := stoppedCall(at, "a~1", "+8613800138003") // first thought to have rung, and then found to have been stopped
	heard.Stopped = ""
	addAll(t, j, first, again, rang, test, heard, stoppedCall(at, "c~1", "+8613800138004"))
	check(t, j.Flush(soon(t)))
	heard.Stopped = "a~1"
	for range 2 { // the second says nothing new
		j.Amend(heard)
		check(t, j.Flush(soon(t)))
	}
	check(t, j.Close(soon(t)))
	check(t, d.Close())
	if got := len(taker.kept); got != 4 {
		t.Errorf("%d calls were told of as kept, want 2 of the first, and the heard one each time it was said", got)
	}

	d = open(t, Options{}, file)
	page, err := d.Notices("")
	check(t, err)
	if len(page) != 1 || page[0].Line != "a~1" || page[0].Records != 2 {
		t.Fatalf("got %+v, want the line a~1 with two records", page)
	}
	if more, err := d.Notices(page[0].Line); err != nil || len(more) != 0 {
		t.Errorf("after the last: %+v, %v", more, err)
	}
	n, calls, err := d.Notice("a~1")
	check(t, err)
	if len(calls) != 2 || calls[0].ID != first.ID || calls[0].Calls != 2 || calls[0].Of == nil || calls[0].Of.Repeats != 1 || calls[1].ID != heard.ID || calls[1].Calls != 1 {
		t.Fatalf("got %+v", calls)
	}

	j = d.StartJournal(JournalOptions{Merge: time.Minute, Notices: taker})
	addAll(t, j, stoppedCall(at.Add(2*time.Minute), "a~1", "+8613800138009"))
	check(t, j.Flush(soon(t)))
	sent := at.Add(time.Hour)
	left, err := d.NoticeTold(n, calls, sent, time.Time{})
	check(t, err)
	if left.Records != 1 || !left.Sent.Equal(sent) || left.First.IsZero() {
		t.Errorf("left is %+v, want the call that came meanwhile", left)
	}
	if _, err := d.DeleteRecords(Query{Caller: "+8613800138009"}); err != nil {
		t.Fatal(err)
	}
	if _, calls, err = d.Notice("a~1"); err != nil || len(calls) != 1 || calls[0].Of != nil {
		t.Errorf("a call that is gone from the journal: %+v, %v", calls, err)
	}
	check(t, d.DropNotice("a~1"))
	if page, err := d.Notices(""); err != nil || len(page) != 0 {
		t.Errorf("after it was dropped: %+v, %v", page, err)
	}
	check(t, j.Close(soon(t)))
}

// TestNoticesBounded holds that a flood to a line takes bounded room, and that no call of it is left uncounted.
func TestNoticesBounded(t *testing.T) {
	d := open(t, Options{})
	taker := &wants{[]string{"a~1", "b~1"}, make(chan string, 10_000)}
	j := startJournal(t, d, JournalOptions{Notices: taker})
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	for i := range 3 * MaxNoticeCalls {
		addAll(t, j, stoppedCall(at.Add(time.Duration(i)*time.Second), "a~1", "+8613800138000"))
	}
	addAll(t, j, stoppedCall(at, "b~1", "+8613800138000"))
	check(t, j.Flush(soon(t)))
	n, calls, err := d.Notice("a~1")
	check(t, err)
	if len(calls) != MaxNoticeCalls || n.Records != MaxNoticeCalls || n.More != 2*MaxNoticeCalls {
		t.Errorf("%d calls are kept, %d records and %d more are counted", len(calls), n.Records, n.More)
	}
	if n, calls, err := d.Notice("b~1"); err != nil || len(calls) != 1 || n.More != 0 {
		t.Errorf("the other line has %+v %+v, %v", n, calls, err)
	}
	left, err := d.NoticeTold(n, calls, at, time.Time{})
	check(t, err)
	if left.Records != 0 || left.More != 0 || !left.First.IsZero() {
		t.Errorf("left is %+v", left)
	}
}
