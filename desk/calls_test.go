package desk

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

const callsPolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[lines.staff]
numbers = ["05925550000-05925550999"]
[lines.hotline]
numbers = ["4008001234"]
[ranges]
"952116*" = "firm A"
[[rule]]
name = "let through"
when = { list = ["line:allowlist"] }
action = "allow"
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
`

// callsDesk is a desk with calls in its journal.
func callsDesk(t testing.TB, calls ...storage.Record) *running {
	t.Helper()
	d, err := run(installation(t, callsPolicy), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.stop(t) })
	for _, r := range calls {
		if !d.journal.Add(r) {
			t.Fatal("a record was not taken")
		}
	}
	return d
}

// pastCall is a call some minutes ago to a number of a line, that rang and was talked for some seconds.
func pastCall(ago time.Duration, e164, callee, line, action string, talk float64) storage.Record {
	at := time.Now().Add(-ago)
	r := storage.Record{
		ID: storage.NewID(at), Time: at, Caller: storage.Caller{Raw: strings.TrimPrefix(e164, "+86"), E164: e164, Kind: "service"}, Callee: callee, Line: line,
		Trunk: "telecom", Action: action, Would: action, Mode: "enforce", Rule: "default", Reason: "no rule matched " + e164,
	}
	switch {
	case action == "reject":
		r.Rule, r.List, r.Outcome = "listed", "blacklist", &storage.Outcome{By: "ringfence", Cause: "CALL_REJECTED"}
	default:
		r.Outcome = &storage.Outcome{Answered: talk > 0, RingS: 3, TalkS: talk, By: "caller"}
	}
	return r
}

const (
	staffNumber   = "05925550100"
	hotlineNumber = "4008001234"
)

func someCalls() []storage.Record {
	calls := []storage.Record{
		pastCall(50*time.Minute, "+8695211613", staffNumber, "staff", "reject", 0),
		pastCall(40*time.Minute, "+8695211614", staffNumber, "staff", "allow", 90),
		pastCall(30*time.Minute, "+8695211614", hotlineNumber, "hotline", "allow", 4),
		pastCall(20*time.Minute, "+8695212000", hotlineNumber, "hotline", "allow", 0),
		pastCall(10*time.Minute, "+8613800138000", staffNumber, "staff", "tag", 30),
		pastCall(5*time.Minute, "+442079460123", staffNumber, "staff", "allow", 200),
		pastCall(4*time.Minute, "", hotlineNumber, "hotline", "allow", 1),
	}
	calls[4].Name = "Wang Sells"
	calls[6].Caller = storage.Caller{Raw: "anonymous", Kind: "anonymous"}
	test := pastCall(3*time.Minute, "+8695211699", staffNumber, "staff", "allow", 10)
	test.Test = true
	return append(calls, test)
}

// Any filters, together, page by page.
func TestSearch(t *testing.T) {
	calls := someCalls()
	d := callsDesk(t, calls...)
	for _, c := range []struct {
		what string
		q    console.Query
		want []int
	}{
		{"all", console.Query{}, []int{0, 1, 2, 3, 4, 5, 6, 7}},
		{"a caller", console.Query{Caller: "0086 95211614"}, []int{1, 2}},
		{"a range", console.Query{Range: "9521161?"}, []int{0, 1, 2}},
		{"a wider one", console.Query{Range: "9521*"}, []int{0, 1, 2, 3, 7}},
		{"one number as a range", console.Query{Range: "95211613"}, []int{0}},
		{"a country", console.Query{Range: "+44*"}, []int{5}},
		{"a line", console.Query{Line: "hotline"}, []int{2, 3, 6}},
		{"a range on a line", console.Query{Line: "hotline", Range: "9521*"}, []int{2, 3}},
		{"a rule", console.Query{Rule: "listed"}, []int{0}},
		{"an action", console.Query{Action: "tag"}, []int{4}},
		{"a text", console.Query{Text: "wang"}, []int{4}},
		{"a text of the reason", console.Query{Text: "NO RULE MATCHED +4420"}, []int{5}},
		{"who was stopped", console.Query{Outcome: "stopped"}, []int{0}},
		{"what rang", console.Query{Outcome: "rang", Line: "staff"}, []int{1, 4, 5, 7}},
		{"what nobody took", console.Query{Outcome: "unanswered"}, []int{3}},
		{"long ones", console.Query{MinTalk: 30, MaxTalk: 100}, []int{1, 4}},
		{"a kind and a trunk", console.Query{Kind: "anonymous", Trunk: "telecom"}, []int{6}},
		{"somebody's lines", console.Query{Lines: []string{"hotline", "another"}}, []int{2, 3, 6}},
		{"nobody's lines", console.Query{Lines: []string{}}, nil},
		{"another's call by its id", console.Query{ID: calls[0].ID, Lines: []string{"hotline"}}, nil},
		{"one's own by its id", console.Query{ID: calls[2].ID, Lines: []string{"hotline"}}, []int{2}},
		{"one's own behind another's", console.Query{Cursor: calls[4].ID, Lines: []string{"hotline"}}, []int{6}},
	} {
		want := make([]string, 0)
		for _, i := range c.want {
			want = append(want, calls[i].ID)
		}
		for _, newest := range []bool{false, true} {
			q := console.SearchQuery{Query: c.q}
			if q.Newest = newest; newest {
				if q.Cursor != "" {
					continue
				}
				slices.Reverse(want)
			}
			got := make([]string, 0)
			for q.Limit = 2; ; {
				page, err := d.Search(t.Context(), q)
				if err != nil {
					t.Fatal(c.what, err)
				}
				for _, r := range page.Records {
					got = append(got, r.ID)
				}
				if page.Done {
					break
				}
				if q.Cursor = page.Cursor; len(page.Records) != 2 || page.Cursor == "" {
					t.Fatalf("%s: %+v is not the last page", c.what, page)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", c.what, got, want)
			}
			if c.q.Cursor == "" && !newest {
				var streamed []string
				if err := d.Journal(t.Context(), c.q, func(r console.Record) error { streamed = append(streamed, r.ID); return nil }); err != nil || !slices.Equal(streamed, got) {
					t.Errorf("%s: the stream has %v, want %v; %v", c.what, streamed, got, err)
				}
			}
		}
	}
	for _, q := range []console.Query{{Range: "8695*"}, {Outcome: "happy"}, {Text: strings.Repeat("x", 300)}, {ID: "no id"}, {Cursor: "no id"}, {Limit: -1}} {
		if _, err := d.Search(t.Context(), console.SearchQuery{Query: q}); !errors.Is(err, console.ErrBad) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// A call that was counted on another's record is found by its own id, by who may see that record, and by nobody else.
func TestSearchCountedOn(t *testing.T) {
	r := pastCall(time.Minute, "+8695211613", staffNumber, "staff", "reject", 0)
	again := storage.NewID(r.Time.Add(time.Second))
	r.Repeats, r.Also = 1, []string{again}
	d := callsDesk(t, r)
	for _, c := range []struct {
		lines []string
		found bool
	}{{nil, true}, {[]string{"staff"}, true}, {[]string{"hotline"}, false}} {
		page, err := d.Search(t.Context(), console.SearchQuery{Query: console.Query{ID: again, Lines: c.lines}})
		if err != nil || (len(page.Records) == 1) != c.found {
			t.Errorf("%v: %+v, %v", c.lines, page, err)
		}
	}
	if call, err := d.Call(t.Context(), again); err != nil || call.ID != r.ID {
		t.Errorf("%+v, %v", call, err)
	}
}

// A call comes with how it was decided then, and with what the numbers around its caller did.
func TestCall(t *testing.T) {
	calls := someCalls()
	calls[0].Trace = &storage.Trace{
		Policy: "0123456789ab", Cut: 3,
		Steps: []storage.TraceStep{{Rule: "ours", Why: "on no list"}, {Rule: "listed", Matched: true, Why: "on list blacklist"}},
		Saw:   []storage.TraceFinding{{Name: "range wakes", Text: "952116 closed, 3 strangers in 3h"}},
	}
	d := callsDesk(t, calls...)
	c, err := d.Call(t.Context(), strings.ToLower(calls[0].ID))
	if err != nil {
		t.Fatal(err)
	}
	if c.Policy != "0123456789ab" || len(c.Steps) != 3 || c.Steps[2].Rule != "listed" || !c.Steps[2].Matched || !strings.HasPrefix(c.Steps[1].Why, "3 more") {
		t.Errorf("steps: %+v", c.Steps)
	}
	if len(c.Saw) != 1 || c.Saw[0].Text != "range wakes: 952116 closed, 3 strangers in 3h" {
		t.Errorf("saw: %+v", c.Saw)
	}
	if len(c.Around) != 10 || c.Around[1].Range != "9521161?" || c.Around[1].Own != 3 || c.Around[1].Calls != [10]int{3: 1, 4: 2} || c.Around[0].Own != -1 {
		t.Errorf("around: %+v", c.Around)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back console.CallDetail
	if err := json.Unmarshal(text, &back); err != nil || back.ID != c.ID || len(back.Steps) != 3 || len(back.Around) != 10 || back.Caller != c.Caller {
		t.Errorf("%s is read as %+v, %v", text, back, err)
	}
	if c, err := d.Call(t.Context(), calls[6].ID); err != nil || c.Around != nil {
		t.Errorf("a withheld caller: %+v, %v", c, err)
	}
	for _, id := range []string{storage.NewID(time.Now()), ""} {
		if _, err := d.Call(t.Context(), id); !errors.Is(err, console.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := d.Call(t.Context(), "nonsense"); !errors.Is(err, console.ErrBad) {
		t.Error(err)
	}
}

func sumOf(counts []int) (sum int) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

func TestActivity(t *testing.T) {
	calls := someCalls()
	calls[3].Repeats = 4
	d := callsDesk(t, calls...)
	d.flush(t.Context())
	a, err := d.Activity(t.Context(), console.ActivityQuery{})
	if err != nil || !a.Whole || a.Step != time.Minute {
		t.Fatalf("%+v, %v", a, err)
	}
	for action, want := range map[string]int{"reject": 1, "allow": 9, "tag": 1} {
		if got := sumOf(a.Counts[action]); got != want {
			t.Errorf("%s: %d calls, want %d", action, got, want)
		}
		if n := len(a.Counts[action]); n < 60 || n > 61 {
			t.Errorf("%d steps", n)
		}
	}
	if at := int(calls[3].Time.Sub(a.Since) / a.Step); a.Counts["allow"][at] != 5 {
		t.Errorf("%v at %d, want 5", a.Counts["allow"], at)
	}
	now := time.Now()
	for _, q := range []console.ActivityQuery{{Since: now, Until: now}, {Since: now.Add(-365 * 24 * time.Hour), Step: time.Minute}} {
		if _, err := d.Activity(t.Context(), q); !errors.Is(err, console.ErrBad) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// Ranges are by the digits that people write.
func TestRanges(t *testing.T) {
	calls := someCalls()
	for i := range 20 {
		calls = append(calls, pastCall(time.Minute, fmt.Sprintf("+86592555%04d", i), staffNumber, "staff", "allow", 61))
	}
	calls[3].Repeats = 2
	d := callsDesk(t, calls...)
	d.flush(t.Context())
	for _, c := range []struct {
		prefix, next string
		whole        console.RangeCalls
	}{
		{"", "0:20 1:1 9:6 +:1", console.RangeCalls{Calls: 28, Callers: 25, Callees: 2, Rang: 27, Answered: 24, Short: 1, Stopped: 1}},
		{"9", "95:6", console.RangeCalls{Calls: 6, Callers: 3, Callees: 2, Rang: 5, Answered: 2, Short: 1, Stopped: 1}},
		{"9521", "95211:3 95212:3", console.RangeCalls{Calls: 6, Callers: 3, Callees: 2, Rang: 5, Answered: 2, Short: 1, Stopped: 1}},
		{"952116", "9521161:3", console.RangeCalls{Calls: 3, Callers: 2, Callees: 2, Rang: 2, Answered: 2, Short: 1, Stopped: 1, Holder: "firm A"}},
		{"0", "05:20", console.RangeCalls{Calls: 20, Callers: 20, Callees: 1, Rang: 20, Answered: 20}},
		{"0592", "05925:20", console.RangeCalls{Calls: 20, Callers: 20, Callees: 1, Rang: 20, Answered: 20}},
		{"+", "+4:1 +8:27", console.RangeCalls{Calls: 28, Callers: 25, Callees: 2, Rang: 27, Answered: 24, Short: 1, Stopped: 1}},
		{"+442", "+4420:1", console.RangeCalls{Calls: 1, Callers: 1, Callees: 1, Rang: 1, Answered: 1}},
		{"777", "", console.RangeCalls{}},
	} {
		r, err := d.Ranges(t.Context(), console.RangeQuery{Prefix: c.prefix, Since: time.Now().Add(-time.Hour)})
		if err != nil || !r.Done {
			t.Fatalf("%q: %+v, %v", c.prefix, r, err)
		}
		if r.Range.Calls > 0 && (sumOf(r.Range.Over) != r.Range.Calls || sumOf(r.Range.OverStop) != r.Range.Stopped) {
			t.Errorf("%q: over time %v, %v of %d calls", c.prefix, r.Range.Over, r.Range.OverStop, r.Range.Calls)
		}
		var next []string
		for _, n := range r.Next {
			next = append(next, fmt.Sprintf("%s:%d", n.Prefix, n.Calls))
		}
		got := r.Range
		c.whole.Prefix, got.Over, got.OverStop = c.prefix, nil, nil
		if text := strings.Join(next, " "); text != c.next || fmt.Sprint(got) != fmt.Sprint(c.whole) {
			t.Errorf("%q:\ngot  %+v, %s\nwant %+v, %s", c.prefix, got, text, c.whole, c.next)
		}
	}
	for _, bad := range []string{"95x", "+86-1", strings.Repeat("9", 17), "9*"} {
		if _, err := d.Ranges(t.Context(), console.RangeQuery{Prefix: bad}); !errors.Is(err, console.ErrBad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	first, err := d.Ranges(t.Context(), console.RangeQuery{Prefix: "9"})
	again, err2 := d.Ranges(t.Context(), console.RangeQuery{Prefix: "9"})
	if err != nil || err2 != nil || first != again {
		t.Errorf("within a minute it is counted again: %v, %v", err, err2)
	}
}

// However many values there are, they are counted within a per cent, and a few exactly.
func TestDistinct(t *testing.T) {
	d := &distinct{}
	for i := range 1_000_000 {
		v := uint64(i) << 20
		d.add(v)
		d.add(v)
		if n := i + 1; n == 1 || n == 100 || n%200_000 == 0 {
			if got, off := d.count(), max(n/100, n/50*min(1, n/1000)); got < n-off || got > n+off {
				t.Errorf("%d of %d", got, n)
			}
		}
	}
}

// What was turned away already is nothing that an entry would have done; nor, for a line's own list, are calls of a customer who had the line before.
func TestEffectOf(t *testing.T) {
	former := pastCall(35*time.Minute, "+8695211614", hotlineNumber, "hotline", "allow", 120)
	former.Customer = "Former"
	d := callsDesk(t, append(someCalls(), former)...)
	for _, c := range []struct {
		pattern, list                  string
		stops, long, answered, callers int
	}{
		{"95211613", "blacklist", 0, 0, 0, 0},
		{"95211614", "blacklist", 3, 2, 3, 1},
		{"9521????", "blacklist", 4, 2, 3, 2},
		{"9521????", "hotline:blacklist", 2, 0, 1, 2},
		{"+44*", "blacklist", 1, 1, 1, 1},
		{"138*", "blacklist", 1, 0, 1, 1},
	} {
		e, err := d.EffectOf(t.Context(), console.EffectQuery{Pattern: c.pattern, List: c.list})
		if err != nil {
			t.Fatal(err)
		}
		if e.Stops != c.stops || e.Long != c.long || e.Answered != c.answered || e.Callers != c.callers || e.Cut || len(e.Examples) != min(c.answered, 3) {
			t.Errorf("%s on %s: %+v, want %+v", c.pattern, c.list, e, c)
		}
		for i, r := range e.Examples {
			if i > 0 && r.Outcome.TalkS > e.Examples[i-1].Outcome.TalkS {
				t.Errorf("%s: the longest is not the first", c.pattern)
			}
		}
	}
	if _, err := d.EffectOf(t.Context(), console.EffectQuery{Pattern: "nonsense*"}); !errors.Is(err, console.ErrBad) {
		t.Error(err)
	}
	if _, err := d.EffectOf(t.Context(), console.EffectQuery{Pattern: "9521*", List: "nowhere:blacklist"}); !errors.Is(err, console.ErrNotFound) {
		t.Error(err)
	}
}

// One that rang is reported, the caller of one that was stopped let through; either can be taken back.
func TestCorrect(t *testing.T) {
	calls := someCalls()
	gone := pastCall(time.Minute, "+8695213000", staffNumber, "staff", "allow", 0)
	gone.Outcome = &storage.Outcome{By: "caller"}
	nowhere := pastCall(time.Minute, "+8695213001", "05929999999", "", "reject", 0)
	hidden := pastCall(time.Minute, "hmac:+86-9521:0123", staffNumber, "staff", "reject", 0)
	d := callsDesk(t, append(calls, gone, nowhere, hidden)...)
	ctx := console.WithBy(t.Context(), console.By{Who: "li", From: console.FromConsole})
	done, err := d.Correct(ctx, calls[1].ID)
	if err != nil || done.Report == nil || done.Report.Change != console.Reported || done.Report.Caller.E164 != "+8695211614" || done.Report.Call != calls[1].ID {
		t.Fatalf("%+v, %v", done, err)
	}
	if _, err := d.DismissReport(ctx, done.Report.ID); err != nil {
		t.Error(err)
	}
	allowed := func() bool {
		t.Helper()
		r, err := d.Check(t.Context(), console.CheckQuery{Caller: "95211613", Callee: staffNumber})
		if err != nil {
			t.Fatal(err)
		}
		return r.Rule == "let through"
	}
	if _, err := d.AddEntries(ctx, "blacklist", []console.NewEntry{{Number: "95211613"}}, false); err != nil {
		t.Fatal(err)
	}
	if allowed() {
		t.Fatal("allowed before")
	}
	done, err = d.Correct(ctx, calls[0].ID)
	if err != nil || done.List != "staff:allowlist" || done.Number != "+8695211613" || done.Change == 0 || time.Until(done.Until) < 29*24*time.Hour || !allowed() {
		t.Fatalf("%+v, %v", done, err)
	}
	if again, err := d.Correct(ctx, calls[0].ID); err != nil || !allowed() || again.List != done.List {
		t.Errorf("again: %+v, %v", again, err)
	}
	if _, err := d.Undo(ctx, done.Change); err != nil {
		t.Error(err)
	}
	for what, id := range map[string]string{"gone": gone.ID, "no line": nowhere.ID, "hidden": hidden.ID, "a test": calls[7].ID} {
		if done, err := d.Correct(ctx, id); !errors.Is(err, console.ErrConflict) {
			t.Errorf("%s: %+v, %v", what, done, err)
		}
	}
	if _, err := d.Correct(ctx, storage.NewID(time.Now())); !errors.Is(err, console.ErrNotFound) {
		t.Error(err)
	}
}

// Who asks and is gone costs nothing more.
func TestSearchEnds(t *testing.T) {
	d := callsDesk(t, someCalls()...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Search(ctx, console.SearchQuery{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

var benchCalls = flag.Int("calls", 0, "how many calls TestBenchRanges counts")

// TestBenchRanges counts a journal of as many calls as -calls says by ranges and over time, and looks at one of them.
func TestBenchRanges(t *testing.T) {
	if *benchCalls == 0 {
		t.Skip("NOT TESTED: make bench-calls does, which takes a minute")
	}
	d := callsDesk(t)
	span := 6 * 24 * time.Hour
	var last storage.Record
	for i := range *benchCalls {
		last = pastCall(span-time.Duration(i)*span/time.Duration(*benchCalls), fmt.Sprintf("+86%d", 9521_000_000+i*7919%900_000_000), staffNumber, "staff", "allow", float64(i%90))
		for !d.journal.Add(last) {
			d.flush(t.Context())
		}
	}
	d.flush(t.Context())
	timed := func(what string, f func() (any, error)) {
		at := time.Now()
		got, err := f()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%-16s %v %+.120v", what, time.Since(at).Round(time.Millisecond), got)
	}
	for _, prefix := range []string{"", "9", "9521", "95211", "+44"} {
		timed("range "+prefix, func() (any, error) {
			r, err := d.Ranges(t.Context(), console.RangeQuery{Prefix: prefix, Look: 10 * time.Second})
			if err == nil && !r.Done {
				err = errors.New("it was not through in 10 s")
			}
			return len(r.Next), err
		})
	}
	timed("an hour", func() (any, error) { _, err := d.Activity(t.Context(), console.ActivityQuery{}); return "", err })
	timed("a week", func() (any, error) {
		a, err := d.Activity(t.Context(), console.ActivityQuery{Since: time.Now().Add(-7 * 24 * time.Hour), Step: time.Hour})
		return sumOf(a.Counts["allow"]), err
	})
	timed("a call", func() (any, error) { c, err := d.Call(t.Context(), last.ID); return len(c.Around), err })
	timed("an effect", func() (any, error) {
		e, err := d.EffectOf(t.Context(), console.EffectQuery{Pattern: "95211*"})
		return e.Stops, err
	})
}
