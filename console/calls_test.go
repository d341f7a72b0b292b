package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// aboutCalls is a Desk that answers with what it was asked.
type aboutCalls struct {
	Desk
	search   SearchQuery
	query    Query
	activity ActivityQuery
	ranges   RangeQuery
	effect   EffectQuery
	correct  string
	follow   func(yield func(Record) error) error
}

func (a *aboutCalls) Search(_ context.Context, q SearchQuery) (*SearchPage, error) {
	a.search = q
	return &SearchPage{Records: []Record{{ID: "1", Name: "x\xe9"}}, Cursor: "1", Looked: 7}, nil
}

func (a *aboutCalls) Journal(_ context.Context, q Query, yield func(Record) error) error {
	a.query = q
	return yield(Record{ID: "2"})
}

func (a *aboutCalls) Call(_ context.Context, id string) (*CallDetail, error) {
	if id != "1" {
		return nil, NotFound("there is no such call")
	}
	return &CallDetail{Record: Record{ID: id, Name: "x\xe9"}, Policy: "p", Steps: []Step{{Rule: "r", Matched: true, Why: "w"}}, Around: []TenCalls{{Range: "9521161?", Own: 3}}, Known: []string{"staff"}}, nil
}

func (a *aboutCalls) Activity(_ context.Context, q ActivityQuery) (*Activity, error) {
	a.activity = q
	return &Activity{Step: q.Step, Counts: map[string][]int{"allow": {1}}}, nil
}

func (a *aboutCalls) Ranges(_ context.Context, q RangeQuery) (*RangeReport, error) {
	a.ranges = q
	return &RangeReport{Range: RangeCalls{Prefix: q.Prefix, Calls: 3}, Next: []RangeCalls{}}, nil
}

func (a *aboutCalls) EffectOf(_ context.Context, q EffectQuery) (*EntryEffect, error) {
	a.effect = q
	return &EntryEffect{Effect: Effect{Stops: 4}, Answered: 2}, nil
}

func (a *aboutCalls) Correct(_ context.Context, id string) (*Corrected, error) {
	a.correct = id
	return &Corrected{List: "staff:allowlist", Change: 9}, nil
}

func (a *aboutCalls) Follow(_ context.Context, joined func(), yield func(Record) error) error {
	joined()
	return a.follow(yield)
}

// What is asked of calls at one end is what is asked at the other, each filter of it.
func TestCallsThroughSocket(t *testing.T) {
	d := &aboutCalls{}
	c, _ := served(t, d)
	at := time.Date(2026, 11, 24, 8, 0, 0, 123e6, time.UTC)
	q := Query{Since: at, Until: at.Add(time.Hour), MinTalk: 1.5, MaxTalk: 90, Limit: 17, Newest: true}
	for name, text := range q.texts() {
		*text = "the " + name + " & more"
	}
	q.Outcome = "stopped" // the one of which the document says what it may be
	page, err := c.Search(t.Context(), SearchQuery{q, 3 * time.Second, true})
	if err != nil || page.Looked != 7 || page.Cursor != "1" || page.Records[0].Name != "x\xe9" {
		t.Errorf("%+v, %v", page, err)
	}
	if diff := cmp.Diff(SearchQuery{q, 3 * time.Second, true}, d.search); diff != "" {
		t.Error(diff)
	}
	q.Newest = false
	if err := c.Journal(t.Context(), q, func(r Record) error { return nil }); err != nil || cmp.Diff(q, d.query) != "" {
		t.Errorf("%v, %s", err, cmp.Diff(q, d.query))
	}
	want, _ := d.Call(t.Context(), "1")
	if got, err := c.Call(t.Context(), "1"); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v, %s", err, cmp.Diff(want, got))
	}
	if _, err := c.Call(t.Context(), "../status"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	over := ActivityQuery{Since: at, Until: at.Add(time.Hour), Step: 5 * time.Minute}
	if a, err := c.Activity(t.Context(), over); err != nil || d.activity != over || a.Step != over.Step || a.Counts["allow"][0] != 1 {
		t.Errorf("%+v of %+v, %v", a, d.activity, err)
	}
	in := RangeQuery{Prefix: "+44", Since: at, Look: time.Second}
	if r, err := c.Ranges(t.Context(), in); err != nil || d.ranges != in || r.Range.Calls != 3 {
		t.Errorf("%+v of %+v, %v", r, d.ranges, err)
	}
	if e, err := c.EffectOf(t.Context(), EffectQuery{"9521????", "staff:blacklist"}); err != nil || d.effect != (EffectQuery{"9521????", "staff:blacklist"}) || e.Stops != 4 {
		t.Errorf("%+v of %+v, %v", e, d.effect, err)
	}
	if done, err := c.Correct(t.Context(), "1"); err != nil || d.correct != "1" || done.Change != 9 {
		t.Errorf("%+v of %q, %v", done, d.correct, err)
	}
}

// A page and lines are told apart by what is asked for; a wrong filter is refused in words.
func TestCallsForms(t *testing.T) {
	d := &aboutCalls{}
	c, _ := served(t, d)
	get := func(path, accept string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://ringfence/api/v1/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if accept != "" {
			req.Header.Set("Accept", accept)
		}
		resp, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b := make([]byte, 1000)
		n, _ := resp.Body.Read(b)
		return resp.StatusCode, string(b[:n])
	}
	for _, c := range []struct {
		path, accept string
		status       int
		has          string
	}{
		{"calls", "", 200, `{"id":"2"`},
		{"calls", "*/*", 200, `{"id":"2"`},
		{"calls", "application/json", 200, `{"records":[{"id":"1"`},
		{"calls?page=1", "", 200, `"cursor":"1","looked":7,"done":false}`},
		{"calls?page=1&look=soon", "", 400, "look is"},
		{"calls?min_talk=NaN", "", 400, "min_talk"},
		{"calls?max_talk=-1", "", 400, "max_talk"},
		{"calls?limit=x", "", 400, "limit"},
		{"calls?since=yesterday", "", 400, "since"},
		{"calls/1", "", 200, `"policy":"p","steps":[`},
		{"calls/2", "", 404, "no such call"},
		{"activity?step=x", "", 400, "step"},
		{"activity?until=x", "", 400, "until"},
		{"ranges?since=x", "", 400, "since"},
		{"ranges?look=-1s", "", 400, "look"},
	} {
		if status, body := get(c.path, c.accept); status != c.status || !strings.Contains(body, c.has) {
			t.Errorf("%s %s: %d %s, want %d and %s", c.path, c.accept, status, body, c.status, c.has)
		}
	}
}

// Who follows is told why it ends.
func TestFollowThroughSocket(t *testing.T) {
	d := &aboutCalls{follow: func(yield func(Record) error) error {
		for i := range 100 {
			if err := yield(Record{ID: fmt.Sprint(i)}); err != nil {
				return err
			}
		}
		return errors.New("too slow: “连接” again")
	}}
	c, _ := served(t, d)
	n := 0
	err := c.Follow(t.Context(), nil, func(r Record) error {
		if r.ID != fmt.Sprint(n) {
			t.Errorf("record %d is %s", n, r.ID)
		}
		n++
		return nil
	})
	if n != 100 || err == nil || err.Error() != "too slow: “连接” again" {
		t.Errorf("%d records, %v", n, err)
	}
}
