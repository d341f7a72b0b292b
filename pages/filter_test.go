package pages

import (
	"context"
	"net/url"
	"slices"
	"testing"
	"time"

	"ringfence/console"
)

// TestFilter holds that an address and a filter are the same thing, both ways.
func TestFilter(t *testing.T) {
	p := &Pages{o: Options{Policy: samplePolicyOf, Now: func() time.Time { return time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC) }}}
	shanghai := samplePolicyOf().Zone()
	for address, want := range map[string]console.Query{
		"":                                {},
		"caller=95211613":                 {Caller: "95211613"},
		"caller=9521*":                    {Range: "9521*"},
		"caller=9521%3F%3F%3F%3F":         {Range: "9521????"},
		"caller=05925550000-05925550999":  {Range: "05925550000-05925550999"},
		"caller=0592-5550100":             {Caller: "0592-5550100"},
		"caller=05925550000..05925550999": {Range: "05925550000..05925550999"},
		"caller=hmac%3A12%2A":             {Caller: "hmac:12*"},
		"caller=Jos%5CxE9":                {Caller: "Jos\xe9"},
		"action=reject&rule=listed":       {Action: "reject", Rule: "listed"},
		"outcome=stopped&line=staff":      {Outcome: "stopped", Line: "staff"},
		"since=24h":                       {Since: time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC)},
		"since=today":                     {Since: time.Date(2026, 11, 29, 0, 0, 0, 0, shanghai)},
		"since=2026-11-20&until=2026-11-21+09%3A30": {Since: time.Date(2026, 11, 20, 0, 0, 0, 0, shanghai), Until: time.Date(2026, 11, 21, 9, 30, 0, 0, shanghai)},
		"min_talk=6&max_talk=60.5":                  {MinTalk: 6, MaxTalk: 60.5},
		"kind=mobile&holder=firm+A&list=blacklist":  {Kind: "mobile", Holder: "firm A", List: "blacklist"},
	} {
		v, err := url.ParseQuery(address)
		if err != nil {
			t.Fatal(err)
		}
		f := p.readFilter(v)
		want.Newest, want.Limit = true, pageSize
		if len(f.Wrong) > 0 || !sameQuery(f.query, want) {
			t.Errorf("%q is %+v, wrong %v; want %+v", address, f.query, f.Wrong, want)
		}
		again := p.readFilter(f.Values())
		if !sameQuery(again.query, f.query) {
			t.Errorf("%q written again asks for %+v, want %+v", address, again.query, f.query)
		}
	}
	for _, address := range []string{"since=tomorrow", "until=31", "min_talk=-1", "max_talk=NaN", "max_talk=x", "outcome=lost", "caller=" + string(make([]byte, 301))} {
		v, err := url.ParseQuery(address)
		if err != nil {
			t.Fatal(err)
		}
		if f := p.readFilter(v); len(f.Wrong) != 1 {
			t.Errorf("%.40q: wrong is %v, want one", address, f.Wrong)
		}
	}
}

func sameQuery(a, b console.Query) bool {
	return a.Since.Equal(b.Since) && a.Until.Equal(b.Until) && a.Caller == b.Caller && a.Range == b.Range && a.Action == b.Action && a.Rule == b.Rule &&
		a.Outcome == b.Outcome && a.Line == b.Line && a.MinTalk == b.MinTalk && a.MaxTalk == b.MaxTalk && a.Kind == b.Kind && a.Holder == b.Holder &&
		a.List == b.List && a.Newest == b.Newest && a.Limit == b.Limit
}

// TestLiveAsSearched holds that a filter lets the same calls into the live view as the journal finds by it.
func TestLiveAsSearched(t *testing.T) {
	h := open(t)
	h.fill(210)
	everything, err := h.desk.Search(context.Background(), console.SearchQuery{Query: console.Query{Newest: true, Limit: 500}})
	if err != nil || len(everything.Records) != 210 {
		t.Fatalf("%d calls, error %v", len(everything.Records), err)
	}
	found := 0
	for _, address := range []string{
		"", "caller=95211613", "caller=%2B8695211613", "caller=9521*", "caller=952116%3F%3F", "caller=%2B8613800130*", "caller=anonymous", "caller=13800130002", "caller=nobody",
		"callee=05925550009", "line=staff", "line=none", "action=reject", "action=challenge&rule=campaign+under+way", "would=warn", "rule=default", "rule=fail-open",
		"trunk=telecom", "trunk=x", "kind=anonymous", "kind=service&action=allow", "holder=firm+A", "list=blacklist", "detector=range+wakes", "detector=range",
		"customer=staff", "text=SMITH", "text=loans", "text=%E8%B4%B7%E6%AC%BE", "outcome=rang", "outcome=answered", "outcome=unanswered", "outcome=stopped",
		"min_talk=60", "max_talk=100", "min_talk=60&max_talk=120", "since=2m", "until=2m", "since=3m&until=2m&outcome=stopped",
	} {
		v, err := url.ParseQuery(address)
		if err != nil {
			t.Fatal(err)
		}
		f := h.pages.readFilter(v)
		q := console.SearchQuery{Query: f.query, Look: 10 * time.Second}
		q.Limit = 500
		page, err := h.desk.Search(context.Background(), q)
		if err != nil || !page.Done {
			t.Errorf("%q: %v, done %v", address, err, page != nil && page.Done)
			continue
		}
		var want, got []string
		for _, r := range page.Records {
			want = append(want, r.ID)
		}
		holds := h.pages.matcher(f)
		for i := range everything.Records {
			if holds(&everything.Records[i]) {
				got = append(got, everything.Records[i].ID)
			}
		}
		found += len(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q: the live view has %d calls, the journal finds %d", address, len(got), len(want))
		}
	}
	if found < 1000 {
		t.Errorf("%d calls were found by all filters: they are compared on too little", found)
	}
}

// TestCallsPages holds that the pages of a search are all of it, once each, by the links on them.
func TestCallsPages(t *testing.T) {
	h := open(t)
	ids := h.fill(130)
	at, seen := "/calls?trunk=telecom", []string(nil)
	for n := 0; at != ""; n++ {
		if n > 5 {
			t.Fatal("the pages do not end")
		}
		next := ""
		for _, e := range elements(t, at, h.get(admin, at).body) {
			if id := e.at["data-row"]; id != "" {
				seen = append(seen, id)
			}
			if e.at["rel"] == "next" {
				next = e.at["href"]
			}
		}
		at = next
	}
	slices.Reverse(ids)
	if !slices.Equal(seen, ids) {
		t.Errorf("the pages have %d calls, want %d in their order", len(seen), len(ids))
	}
	// What cannot be read is said, and the rest holds.
	a := h.get(viewer, "/calls?since=whenever&action=reject")
	wantHas(t, "wrong since", a, "Since: write a time as 24h")
	for _, e := range elements(t, "wrong since", a.body) {
		if e.at["data-live"] != "" && e.at["data-filter"] == "" {
			continue
		}
	}
	a = h.get(viewer, "/calls?caller=9521**")
	wantHas(t, "a range that is none", a, "These calls cannot be shown")
	a = h.get(viewer, "/calls?rule=nobody")
	wantHas(t, "nothing found", a, "No call is as asked for")
}
