package storage

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"ringfence/number"
)

var benchRecords = flag.Int("records", 0, "how many records TestBenchSearch looks through")

// indexIsTrue holds the index against the journal.
func indexIsTrue(t testing.TB, d *DB) {
	t.Helper()
	check(t, d.view(func(tx *bolt.Tx) error {
		size, err := d.journalSize(tx)
		check(t, err)
		v := newIndexVerifier(tx, &size, func(err error) { t.Error(err) })
		check(t, tx.Bucket(bucketJournal).ForEach(func(key, value []byte) error {
			r, err := decodeRecord(key, value)
			if err == nil {
				v.record(&r)
			}
			return nil
		}))
		v.end()
		return nil
	}))
}

// million fills a database with calls as they come: most of them by callers who call once, to a few hundred numbers.
func million(t testing.TB, d *DB, n int) {
	t.Helper()
	j := d.StartJournal(JournalOptions{Queue: 1 << 16})
	for i := range n {
		r := record(i % 100_000)
		at := epoch.Add(time.Duration(i) * 3 * time.Second)
		r.ID, r.Time = NewID(at), at
		caller := fmt.Sprintf("%08d", i*7919%99_999_989)
		r.Caller = Caller{Raw: "1" + caller, E164: "+861" + caller + "00", Kind: "mobile"}
		r.Action, r.Line, r.Rule, r.Reason = "allow", "staff", "default", "no rule matched +861"+caller+"00"
		r.Outcome = &Outcome{Answered: i%3 == 0, RingS: 4, TalkS: float64(i % 300), Cause: "NORMAL_CLEARING", By: "caller"}
		switch {
		case i%100_000 == 50_000:
			r.Action, r.Rule, r.Line, r.Callee = "divert", "seldom", "lab", "05925559999"
			r.Caller.E164, r.Name = "+8613800138000", "Wang Sells Flats"
		case i%10 == 0:
			r.Action, r.Rule = "reject", "listed"
		}
		for !j.Add(r) {
			check(t, j.Flush(soon(t)))
		}
	}
	check(t, j.Close(soon(t)))
}

// TestBenchSearch measures searches in a journal of as many records as -records says.
func TestBenchSearch(t *testing.T) {
	if *benchRecords == 0 {
		t.Skip("NOT TESTED: make bench-calls does, which takes a minute")
	}
	d := open(t, Options{})
	began := time.Now()
	million(t, d, *benchRecords)
	info, err := os.Stat(d.File())
	check(t, err)
	var index, all int
	check(t, d.view(func(tx *bolt.Tx) error {
		s := tx.Bucket(bucketIndex).Stats()
		index = (s.LeafAlloc + s.BranchAlloc)
		s = tx.Bucket(bucketJournal).Stats()
		all = s.LeafAlloc + s.BranchAlloc
		return nil
	}))
	t.Logf("%d records in %v, %d MB; journal %d MB, index %d MB: %.1f %%", *benchRecords, time.Since(began), info.Size()>>20, all>>20, index>>20, 100*float64(index)/float64(all))
	began = time.Now() // how busy the machine is
	check(t, d.Journal(Query{}, func(Record) error { return nil }))
	whole := time.Since(began)
	t.Logf("reading each record takes %v", whole)
	day := epoch.Add(time.Duration(*benchRecords) * 3 * time.Second / 2)
	for _, c := range []struct {
		name string
		q    Query
		most time.Duration
	}{
		{"caller", Query{Caller: "+8613800138000"}, 200 * time.Millisecond},
		{"callee", Query{Callee: "05925559999"}, 200 * time.Millisecond},
		{"line", Query{Line: "lab"}, 200 * time.Millisecond},
		{"rule", Query{Rule: "seldom"}, 200 * time.Millisecond},
		{"action", Query{Action: "divert"}, 200 * time.Millisecond},
		{"day", Query{Since: day, Until: day.Add(24 * time.Hour)}, 200 * time.Millisecond},
		{"often", Query{Action: "allow", Line: "staff"}, 200 * time.Millisecond},
		{"range", Query{Ranges: []number.Pattern{{Lo: 8613800138, Hi: 8613800138, Size: 10, Open: true, Plus: true}}}, 200 * time.Millisecond},
		{"long talk", Query{Action: "reject", MinTalk: 299, Line: "nobody's"}, 200 * time.Millisecond},
		{"text", Query{Text: "wang sells"}, 6 * time.Second},
		{"text that none has", Query{Text: "pudding"}, 6 * time.Second},
		{"foreign text", Query{Text: "Ünique"}, 6 * time.Second},
	} {
		c.q.Newest, c.q.Limit = true, 100
		began := time.Now()
		n := 0
		came, err := d.Search(t.Context(), c.q, func(Record) error { n++; return nil })
		check(t, err)
		took := time.Since(began)
		t.Logf("%-20s %8.1f ms  %d found, %d looked at, done %v", c.name, float64(took.Microseconds())/1000, n, came.Records, came.Done)
		if most := max(c.most, whole/10); took > most && c.most < time.Second || took > max(6*time.Second, 3*whole) {
			t.Errorf("%s took %v, want %v at most; reading each record took %v", c.name, took, most, whole)
		}
	}
}
