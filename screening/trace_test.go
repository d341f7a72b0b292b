package screening

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/pseudonym"
	"ringfence/storage"
)

const tracedPolicy = `
country = "CN"
[lines.staff]
numbers = ["05925550000-05925550999"]
[trunks.telecom]
match = ["gateway:telecom"]
[[detector]]
name = "range wakes"
key = "prefix:6"
count = "calls"
window = "1h"
trip = 3
hold = "1h"
[[rule]]
name = "ours"
when = { list = ["allowlist"] }
action = "allow"
[[rule]]
name = "on trial"
when = { caller = ["9521*"] }
action = "reject"
mode = "observe"
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
[[rule]]
name = "952"
when = { caller = ["9521????"], line = ["staff"] }
action = "reject"
[[rule]]
name = "never asked"
when = { caller = ["9*"] }
action = "reject"
`

// traced places a call and gives its record.
func traced(t testing.TB, sc *Screener, j *records, f bridge.Facts, between func()) storage.Record {
	t.Helper()
	v := sc.Screen(&f)
	if between != nil {
		between()
	}
	sc.Record(&f, &v, bridge.Result{})
	return j.added[len(j.added)-1]
}

// A record has the rules that were tried, why, and what detectors had counted, as it was when the call came.
func TestTrace(t *testing.T) {
	sc, j := screenerOf(t, tracedPolicy)
	sc.force.Rules().Version = "0123456789ab"
	sc.force.Rules().Lists.Load("blacklist").Done()
	sc.force.Rules().Lists.Load("allowlist").Done()
	f := bridge.Facts{UUID: "1", Number: "95211613", Callee: "05925550100", Gateway: "telecom"}
	rec := traced(t, sc, j, f, nil)
	var got []string
	for _, s := range rec.Trace.Steps {
		got = append(got, fmt.Sprintf("%s %v", s.Rule, s.Matched))
		if s.Why == "" {
			t.Errorf("%s: no reason", s.Rule)
		}
	}
	want := "never_screen false, internal false, ours false, on trial true, listed false, 952 true"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if rec.Trace.Policy != "0123456789ab" || rec.Trace.Cut != 0 || rec.Rule != "952" {
		t.Errorf("%+v of a call that rule %s decided", rec.Trace, rec.Rule)
	}
	if s := rec.Trace.Saw; len(s) != 1 || s[0].Name != "range wakes" || !strings.Contains(s[0].Text, "952116 closed, 1 ") {
		t.Errorf("the detectors saw %+v", s)
	}
	f.UUID = "2"
	rec = traced(t, sc, j, f, func() { // somebody lists the caller while he hears an announcement
		n := sc.force.Rules().Policy.Plan().Parse("95211613")
		load := sc.force.Rules().Lists.Load("allowlist")
		load.Add(&policy.ListEntry{Pattern: number.Pattern{Lo: 8695211613, Hi: 8695211613, Size: 10, Plus: true}, Reason: n.E164})
		load.Done()
	})
	if s := rec.Trace.Steps; len(s) != 1 || s[0].Rule != "952" || !s[0].Matched || !strings.Contains(s[0].Why, "changed since") {
		t.Errorf("lists that changed meanwhile: %+v", s)
	}
	test := f
	test.UUID, test.Test = "3", true
	if rec = traced(t, sc, j, test, nil); rec.Trace == nil || len(rec.Trace.Saw) > 0 {
		t.Errorf("a test call: %+v", rec.Trace)
	}
}

// However many rules there are, and whatever is in their reasons, a trace has a bound, and the rule that decided.
func TestTraceIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("country = \"CN\"\n")
	for i := range 300 {
		fmt.Fprintf(&b, "[[rule]]\nname = \"rule %d of those that are many\"\nwhen = { caller = [\"1380013%04d\"] }\naction = \"reject\"\n", i, i)
	}
	sc, j := screenerOf(t, b.String())
	db, err := storage.Open(t.TempDir()+"/ringfence.db", storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	journal := db.StartJournal(storage.JournalOptions{})
	for i, caller := range []string{"13800139999", "13800130299", strings.Repeat("\x01\"\\", 100), "京东客服"} {
		rec := traced(t, sc, j, bridge.Facts{UUID: fmt.Sprint(i), Number: caller, Callee: "05925550100"}, nil)
		if !journal.Add(rec) {
			t.Fatal("not taken")
		}
		if err := journal.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		var kept storage.Record
		if err := db.Journal(storage.Query{ID: rec.ID}, func(r storage.Record) error { kept = r; return nil }); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(kept.Trace)
		if err != nil || len(text) > storage.MaxTrace {
			t.Errorf("%q: the trace has %d bytes, want %d at most; %v", caller, len(text), storage.MaxTrace, err)
		}
		s := kept.Trace.Steps
		if kept.Trace.Cut == 0 || len(s) < 5 || s[len(s)-1].Rule != kept.Rule || !s[len(s)-1].Matched {
			t.Errorf("%q: cut %d, %d steps, the last %+v, decided by %s", caller, kept.Trace.Cut, len(s), s[len(s)-1], kept.Rule)
		}
	}
	if err := journal.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A private journal has nothing of a caller in a trace either.
func TestTraceHidesCallers(t *testing.T) {
	sc, j := screenerOf(t, tracedPolicy+`
[[rule]]
name = "named"
when = { caller_name = "Wang|京东" }
action = "reject"
`)
	key, err := pseudonym.Open(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	sc.o.Private = key
	sc.force.Rules().Lists.Load("blacklist").Done()
	sc.force.Rules().Lists.Load("allowlist").Done()
	for i, f := range []bridge.Facts{
		{Number: "13800138000", Name: "Wang"},
		{Number: "+8613800138000"},
		{Number: "95211613"},
		{Number: "008695211613"},
		{Number: "05922345678"},
		{Number: "sip:x13800138000y", Name: "京东客服"},
		{Number: "+442079460123"},
		{Number: "13800138000", FromUser: "13900139000"},
	} {
		f.UUID, f.Callee, f.Gateway = fmt.Sprint(i), "05925550100", "telecom"
		rec := traced(t, sc, j, f, nil)
		if rec.Trace == nil || len(rec.Trace.Steps) == 0 {
			t.Fatalf("%s: no trace", f.Number)
		}
		text, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		for _, never := range []string{"3800138000", "211613", "2345678", "79460123", "3900139000"} {
			if strings.Contains(string(text), never) {
				t.Errorf("%s: %s is in %s", f.Number, never, text)
			}
		}
	}
}

// BenchmarkRecord is what is done when a switch has a call back, with a trace and without.
func BenchmarkRecord(b *testing.B) {
	sc, _ := screenerOf(b, tracedPolicy)
	sc.force.Rules().Lists.Load("blacklist").Done()
	sc.force.Rules().Lists.Load("allowlist").Done()
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	sc.o.Now = func() time.Time { now = now.Add(time.Second); return now }
	sc.o.Journal = noJournal{}
	run := func(b *testing.B, private *pseudonym.Key) {
		sc.o.Private = private
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			f := &bridge.Facts{UUID: fmt.Sprint(i), Number: fmt.Sprintf("13%09d", i%1000), Callee: "05925550100", Gateway: "telecom"}
			v := sc.Screen(f)
			sc.Record(f, &v, bridge.Result{})
		}
	}
	b.Run("screen and record", func(b *testing.B) { run(b, nil) })
	b.Run("private", func(b *testing.B) {
		key, err := pseudonym.Open(b.TempDir(), false)
		if err != nil {
			b.Fatal(err)
		}
		run(b, key)
	})
	f := &bridge.Facts{UUID: "x", Number: "13800138000", Callee: "05925550100", Gateway: "telecom"}
	v := sc.Screen(f)
	c := v.Note.(*considered)
	b.Run("trace alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			traceOf(c)
		}
	})
}

// noJournal takes records and keeps none.
type noJournal struct{}

func (noJournal) Add(storage.Record) bool              { return true }
func (noJournal) Amend(storage.Record) bool            { return true }
func (noJournal) Outcome(string, storage.Outcome) bool { return true }
