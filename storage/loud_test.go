package storage

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// A flood of any kind does not push out what ninety days have left: from one caller who calls another number each time, from a range,
// from numbers that are made up, from texts that are none.
func TestFloodLeavesTheRest(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	day := func(n int) time.Time { return epoch.AddDate(0, 0, n) }
	for name, c := range map[string]struct {
		caller func(i int) Caller
		lost   int // of 900 others, at most
	}{
		"one caller": {func(int) Caller { return Caller{Raw: "1", E164: "+4915112345678"} }, 0},
		"a range":    {func(i int) Caller { return Caller{E164: fmt.Sprintf("+49301234%04d", i%10000)} }, 0},
		"made up":    {func(int) Caller { return Caller{E164: fmt.Sprintf("+%014d", rnd.Int64N(1e14))} }, 10},
		"no numbers": {func(i int) Caller { return Caller{Raw: fmt.Sprint(`junk "e164":"+1`, i)} }, 0},
		"tokens":     {func(i int) Caller { c := fmt.Sprintf("hmac:+49-1511:%032x", i); return Caller{Raw: c, E164: c} }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, Options{})
			j := startJournal(t, d, JournalOptions{MaxBytes: 1 << 20, Batch: 200})
			add := func(at time.Time, n int, c Caller, who string) {
				r := record(n)
				r.ID, r.Time, r.Caller, r.Name = NewID(at), at, c, who
				for !j.Add(r) {
					check(t, j.Flush(soon(t)))
				}
			}
			for i := range 900 {
				add(day(i/10).Add(time.Duration(i)*time.Second), i, Caller{E164: fmt.Sprintf("+86%011d", rnd.Int64N(1e11))}, "other")
			}
			for i := range 7_000 {
				add(day(89).Add(time.Hour+time.Duration(i)*time.Millisecond), i, c.caller(i), "flood")
			}
			check(t, j.Flush(soon(t)))
			others, flood := 0, 0
			for _, r := range readJournal(t, d, Query{}) {
				if r.Name == "other" {
					others++
				} else {
					flood++
				}
			}
			if others < 900-c.lost || flood < 500 {
				t.Errorf("%d of 900 others are left, and %d of the flood", others, flood)
			}
			if _, size := sizeIsTrue(t, d); size > 1<<20 || size < 9<<20/10 {
				t.Errorf("%d bytes", size)
			}
			if n := j.Trimmed(); n != uint64(7_900-others-flood) {
				t.Errorf("%d were removed, %d are missing", n, 7_900-others-flood)
			}
		})
	}
}

// A flood on a day of many calls takes none of that day's others, although that day is loud with it.
func TestFloodLeavesItsDay(t *testing.T) {
	l := newLoudness()
	key := func(day, n int) []byte {
		return []byte(NewID(epoch.AddDate(0, 0, day).Add(time.Duration(n) * time.Second)))
	}
	value := func(e164 string) []byte {
		v, err := (&Record{Caller: Caller{E164: e164}}).MarshalJSON()
		check(t, err)
		return v
	}
	records := 0
	add := func(day int, e164 string) {
		l.add(key(day, records), value(e164))
		records++
	}
	for i := range 9000 {
		add(i%90, fmt.Sprintf("+%014d", i*1_000_003))
	}
	for range 500 {
		add(45, "+4915112345678")
	}
	q := l.quotas(int64(records), int64(records)*100, int64(records-600)*100)
	if len(q.days) != 0 || q.callers["+4915112345678"] == 0 {
		t.Errorf("%d of callers, and of days %v", q.callers["+4915112345678"], q.days)
	}
}

// However many callers there are, the loudest are known, and the table is bounded.
func TestTally(t *testing.T) {
	tally := tally{}
	for i := range 200_000 {
		tally.add(fmt.Sprint("one of many ", i))
		if i%10 == 0 {
			tally.add("loud")
		}
	}
	if n := tally["loud"]; len(tally) > maxTally || n < 20_000-220_000/maxTally-1 || n > 20_000 {
		t.Errorf("%d texts are counted, the loud one %d times", len(tally), n)
	}
}

func TestLevel(t *testing.T) {
	counts := map[string]int{"a": 1000, "b": 900, "c": 300, "d": 50}
	for want, ok := range map[int]map[string]int{
		0:    {},
		50:   {"a": 50},
		300:  {"a": 200, "b": 100},
		1500: {"a": 768, "b": 667, "c": 65},
		9999: {"a": 900, "b": 800, "c": 200},
	} {
		quota, left := level(counts, 100, want)
		sum := 0
		for who, n := range quota {
			if sum += n; n < ok[who]-2 || n > ok[who]+2 {
				t.Errorf("of %d from %s %d, want %d", want, who, n, ok[who])
			}
		}
		if sum+left != want || left > 2 && want <= 1900 {
			t.Errorf("of %d: %v and %d left", want, quota, left)
		}
	}
}
