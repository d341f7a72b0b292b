package replay

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

const asteriskHead = "calldate,src,dst,did,billsec,disposition,uniqueid,linkedid,channel\n"

// Asterisk's records of one call are one call, in whatever order they come.
func TestJoin(t *testing.T) {
	for name, c := range map[string]struct {
		rows []string
		want string // callee, answered, talk, line of the first call; and how many calls there are
	}{
		"two phones of a group": {[]string{
			"2026-11-21 10:00:00,13800138000,601,05925550100,0,NO ANSWER,1795000000.1,1795000000.1,PJSIP/trunk-1",
			"2026-11-21 10:00:00,13800138000,602,05925550100,25,ANSWERED,1795000000.1,1795000000.1,PJSIP/trunk-1",
		}, "05925550100 true 25 1"},
		"helpers first, the number in one record alone": {[]string{
			`2026-11-21 10:00:01,13800138000,602,NULL,25,ANSWERED,1795000000.2,1795000000.1,Local/602@x;2`,
			`2026-11-21 10:00:01,13800138000,601,\N,0,NO ANSWER,1795000000.4,1795000000.1,Local/601@x;2`,
			"2026-11-21 10:00:00,13800138000,s,05925550100,24,ANSWERED,1795000000.1,1795000000.1,PJSIP/trunk-1",
		}, "05925550100 true 25 1"},
		"talks one after the other": {[]string{
			"2026-11-21 10:00:00,13800138000,601,05925550100,30,ANSWERED,1795000000.1,1795000000.1,PJSIP/trunk-1",
			"2026-11-21 10:00:40,13800138000,602,05925550100,60,ANSWERED,1795000000.1,1795000000.1,PJSIP/trunk-1",
		}, "05925550100 true 90 1"},
		"talks at the same time": {[]string{
			"2026-11-21 10:00:00,13800138000,601,05925550100,30,ANSWERED,1795000000.1,1795000000.1,PJSIP/trunk-1",
			"2026-11-21 10:00:10,13800138000,602,05925550100,50,ANSWERED,1795000000.1,1795000000.1,PJSIP/trunk-1",
		}, "05925550100 true 50 1"},
		"no linkedid": {[]string{
			"2026-11-21 10:00:00,13800138000,601,05925550100,0,NO ANSWER,1795000000.1,,PJSIP/trunk-1",
			"2026-11-21 10:00:00,13800138000,602,05925550100,25,ANSWERED,1795000000.1,,PJSIP/trunk-1",
		}, "05925550100 true 25 1"},
		"no ids at all": {[]string{
			"2026-11-21 10:00:00,13800138000,601,05925550100,0,NO ANSWER,,,PJSIP/trunk-1",
			"2026-11-21 10:00:00,13800138000,602,05925550100,25,ANSWERED,NULL,,PJSIP/trunk-1",
		}, "05925550100 false 0 2"},
		"two calls between each other": {[]string{
			"2026-11-21 10:00:00,13800138000,601,05925550100,0,NO ANSWER,1795000000.1,1795000000.1,PJSIP/trunk-1",
			"2026-11-21 10:00:01,13800138001,601,05925550101,9,ANSWERED,1795000000.5,1795000000.5,PJSIP/trunk-2",
			"2026-11-21 10:00:02,13800138000,602,05925550100,25,ANSWERED,1795000000.7,1795000000.1,Local/602@x;2",
		}, "05925550100 true 25 2"},
		"no answer at all": {[]string{
			"2026-11-21 10:00:00,13800138000,601,05925550100,0,NO ANSWER,1795000000.1,1795000000.1,PJSIP/trunk-1",
			"2026-11-21 10:00:00,13800138000,602,05925550100,0,BUSY,1795000000.2,1795000000.1,Local/602@x;2",
		}, "05925550100 false 0 1"},
		"forwarded to a mobile": {[]string{
			"2026-11-21 10:00:00,13800138000,601,05925550100,40,ANSWERED,1795000000.1,1795000000.1,PJSIP/trunk-1",
			"2026-11-21 10:00:05,13800138000,013900139000,,40,ANSWERED,1795000000.2,1795000000.1,Local/13900139000@from-internal;2",
		}, "05925550100 true 40 1"},
		"the same id a year later": {[]string{
			"2025-11-21 10:00:00,13800138000,601,05925550100,40,ANSWERED,1795000000.1,1795000000.1,PJSIP/trunk-1",
			"2026-11-21 10:00:00,13800138000,601,05925550100,40,ANSWERED,1795000000.1,1795000000.1,PJSIP/trunk-1",
		}, "05925550100 true 40 2"},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				r := replayed(t, SourceOptions{}, asteriskHead+strings.Join(c.rows, "\n"))
				got := "none"
				if len(r.Changes) > 0 {
					first := r.Changes[0]
					got = fmt.Sprint(first.Callee, " ", first.Answered, " ", first.TalkS, " ", r.Summary.Calls)
				}
				if got != c.want || int(r.Summary.Parts+r.Summary.Calls) != len(c.rows) || r.Summary.Late != 0 {
					t.Errorf("%s, want %s; %+v %v", got, c.want, r.Summary, r.Faults)
				}
				if slices.Reverse(c.rows); strings.HasPrefix(name, "two calls") || strings.HasPrefix(name, "no ids") || strings.HasPrefix(name, "talks one") {
					break // there the order tells
				}
			}
		})
	}
	// What a call of several records did counts once, and its caller is refused once.
	r := replayed(t, SourceOptions{}, asteriskHead+"2026-11-21 10:00:00,13800138000,601,05925550100,0,NO ANSWER,1795000000.1,1795000000.1,PJSIP/trunk-1\n"+
		"2026-11-21 10:00:00,13800138000,602,05925550100,25,ANSWERED,1795000000.1,1795000000.1,PJSIP/trunk-1\n")
	if r.Summary.Mistake != 1 || len(r.Mistakes) != 1 || r.Mistakes[0].TalkS != 25 {
		t.Errorf("%+v, %+v", r.Summary, r.Mistakes)
	}
}

// An Asterisk's Master.csv has no header, and its linkedid where it was told to write one.
func TestJoinWithoutHeader(t *testing.T) {
	row := func(dst, billsec, disposition, ids string) string {
		return fmt.Sprintf(`"","13800138000","%s","from-trunk","""Li"" <13800138000>","PJSIP/telecom-00000001","PJSIP/601-00000002","Dial","PJSIP/601,30","2026-11-21 10:00:00",,"2026-11-21 10:00:20",20,%s,"%s","DOCUMENTATION"%s`+"\n",
			dst, billsec, disposition, ids)
	}
	for ids, want := range map[string]uint64{"": 2, `,"1795000000.1"`: 1, `,"1795000000.1",""`: 1, `,"pbx1-1795000000.2","","","pbx1-1795000000.1",7`: 1} {
		r := replayed(t, SourceOptions{}, row("05925550100", "0", "NO ANSWER", ids)+row("05925550100", "25", "ANSWERED", ids))
		if r.Summary.Calls != want || r.Summary.Bad != 0 {
			t.Errorf("%q: %+v", ids, r.Summary)
		}
	}
}

// asterisk is a file of so many calls with one to four records each, mixed with those of the calls around them, and
// how many records there are.
func asterisk(seed uint64, calls int) (text string, records int) {
	r := rand.New(rand.NewPCG(seed, 5))
	type row struct {
		at   int
		text string
	}
	var rows []row
	start := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	for i := range calls {
		at := start.Add(time.Duration(i) * 500 * time.Millisecond)
		n := 1 + r.IntN(4)
		answers := r.IntN(n + 1)
		for k := range n {
			talk, disposition, did := 0, "NO ANSWER", ""
			if k == answers {
				talk, disposition = 1+r.IntN(200), "ANSWERED"
			}
			channel, id := "PJSIP/telecom-00000001", fmt.Sprintf("%d.%d", at.Unix(), 10*i)
			if k == 0 {
				did = fmt.Sprintf("05925550%03d", i%1000)
			} else {
				channel, id = "Local/601@from-queue-1;2", fmt.Sprintf("%d.%d", at.Unix(), 10*i+k)
			}
			rows = append(rows, row{10*i + r.IntN(500), fmt.Sprintf("%s,139%08d,60%d,%s,%d,%s,%s,%d.%d,%s\n", at.Format(time.DateTime), i, k, did, talk, disposition, id, at.Unix(), 10*i, channel)})
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return a.at - b.at })
	var b strings.Builder
	b.WriteString(asteriskHead)
	for _, row := range rows {
		b.WriteString(row.text)
	}
	return b.String(), len(rows)
}

// However records are mixed and chunks are cut, calls are counted once, answered if one record was, and the same
// with any number of workers.
func TestJoinMany(t *testing.T) {
	const calls = 8000 // several chunks
	text, records := asterisk(1, calls)
	var first string
	for _, workers := range []int{1, 3} {
		r, err := Run(t.Context(), []*Source{mustOpen(t, "a", text, SourceOptions{})}, Options{Judge: mustJudge(t, sample), Keep: 20, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		s := r.Summary
		if s.Calls != calls || s.Callers != calls || s.Parts != uint64(records-calls) || s.Late != 0 || s.Bad != 0 {
			t.Errorf("%+v; want %d calls of %d records", s, calls, records)
		}
		report := reportText(t, r)
		if first == "" {
			first = report
		}
		if report != first {
			t.Error("another report with another number of workers")
		}
	}
}

// What is held is bounded: a record that comes too late is counted as one, and is no call of its own.
func TestJoinIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(asteriskHead)
	row := func(i int, disposition string) {
		fmt.Fprintf(&b, "2026-11-21 10:00:00,139%08d,601,05925550100,9,%s,1795000000.%d,1795000000.%d,PJSIP/trunk-1\n", i, disposition, i, i)
	}
	const calls = maxHeld + 100
	for i := range calls {
		row(i, "NO ANSWER")
	}
	row(99, "ANSWERED")  // out of reach
	row(101, "ANSWERED") // just within it
	r, err := Run(t.Context(), []*Source{mustOpen(t, "a", b.String(), SourceOptions{})}, Options{Judge: mustJudge(t, sample), Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if s := r.Summary; s.Calls != calls || s.Parts != 2 || s.Late != 1 {
		t.Errorf("%+v", s)
	}
	// Far behind in the text: the rows between hold chunks, and these are bounded too.
	b.Reset()
	b.WriteString(asteriskHead)
	row(1, "NO ANSWER")
	for range (maxAhead + 2) * chunkSize / 80 {
		row(2, "NO ANSWER")
	}
	row(1, "ANSWERED")
	if r, err = Run(t.Context(), []*Source{mustOpen(t, "a", b.String(), SourceOptions{})}, Options{Judge: mustJudge(t, sample), Workers: 1}); err != nil {
		t.Fatal(err)
	}
	if s := r.Summary; s.Calls != 2 || s.Late == 0 {
		t.Errorf("%+v", s)
	}
	j := newJoiner()
	for i := range maxClosed + 1000 {
		j.close(uint64(i))
	}
	if len(j.closed) != maxClosed || len(j.ring) != maxClosed {
		t.Errorf("%d closed calls, %d in the ring", len(j.closed), len(j.ring))
	}
	if _, ok := j.closed[0]; ok {
		t.Error("the oldest is still there")
	}
}

// BenchmarkJoin is a replay of Asterisk's records, 2.5 a call, mixed with those of the calls around them.
func BenchmarkJoin(b *testing.B) {
	const calls = 100_000
	text, records := asterisk(3, calls)
	o := Options{Judge: mustJudge(b, sample), Keep: 20}
	peak := uint64(0)
	for b.Loop() {
		peak = max(peak, peakHeap(func() {
			r, err := Run(b.Context(), []*Source{mustOpen(b, "a", text, SourceOptions{})}, o)
			if err != nil || r.Summary.Calls != calls {
				b.Fatalf("%d calls, %v", r.Summary.Calls, err)
			}
		}))
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MB")
}
