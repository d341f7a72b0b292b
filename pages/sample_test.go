package pages

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/policy"
)

// samplePolicy is what the pages of the sample go by.
const samplePolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[numbers]
area = "0592"
[lines.staff]
numbers = ["05925550000-05925550999"]
[lines.hotline]
numbers = ["4008001234"]
[ranges]
"952116*" = "firm A"
[[detector]]
name = "range wakes"
key = "prefix"
depth = { 6 = 5 }
count = "strangers"
window = "3h"
hold = "24h"
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
[[rule]]
name = "ours"
when = { list = ["line:allowlist"] }
action = "allow"
[[rule]]
name = "campaign under way"
when = { tripped = ["range wakes"] }
action = "challenge"
`

// sample is a desk whose answers a test sets, to show what a real one seldom says: it stands for states, not for the desk. What it has not been given
// it does not have.
type sample struct {
	console.Desk // nil: what no page asks of it panics
	sync.Mutex
	records []console.Record
	status  *console.Status
	err     error // that every question gets
	follow  chan console.Record
}

func (s *sample) Status(context.Context) (*console.Status, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.status, nil
}

func (s *sample) Search(_ context.Context, q console.SearchQuery) (*console.SearchPage, error) {
	s.Lock()
	defer s.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	page := &console.SearchPage{Done: true}
	holds := (&Pages{o: Options{Policy: samplePolicyOf}}).matcher(&filter{query: q.Query})
	for _, r := range slices.Backward(s.records) {
		if q.Cursor != "" && r.ID >= q.Cursor || !holds(&r) {
			continue
		}
		if len(page.Records) == q.Limit {
			page.Cursor = page.Records[len(page.Records)-1].ID
			break
		}
		page.Records = append(page.Records, r)
	}
	return page, nil
}

var samplePolicyOf = sync.OnceValue(func() *policy.Policy {
	p, _ := policy.Load("policy.toml", []byte(samplePolicy))
	return p
})

func (s *sample) Call(_ context.Context, id string) (*console.CallDetail, error) {
	s.Lock()
	defer s.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	for _, r := range s.records {
		if r.ID != id {
			continue
		}
		d := &console.CallDetail{Record: r, Policy: "0123456789ab", Steps: []console.Step{
			{Rule: "listed", Matched: r.Rule == "listed", Why: "list: blacklist has " + r.Caller.E164},
			{Rule: "ours", Why: "list: line:allowlist has no " + r.Caller.E164},
			{Rule: "campaign under way", Matched: r.Rule == "campaign under way", Why: "tripped: range wakes"},
		}, Saw: []console.Finding{{Name: "range wakes", Breaker: console.Breaker{Key: "952116", State: "tripped"}, Text: "range wakes: 952116 tripped, 7 strangers in 3h, trips at 5"}}, Known: []string{"staff"}}
		for i := range 10 {
			ten := console.TenCalls{Range: "95211" + strconv.Itoa(60+i) + "?", Own: -1}
			for n := range ten.Calls {
				ten.Calls[n] = max(0, (i*7+n*5)%11-5)
			}
			if i == 1 {
				ten.Own = 3
			}
			d.Around = append(d.Around, ten)
		}
		return d, nil
	}
	return nil, console.NotFound("there is no call " + id)
}

func (s *sample) Activity(_ context.Context, q console.ActivityQuery) (*console.Activity, error) {
	if s.err != nil {
		return nil, s.err
	}
	s.Lock()
	defer s.Unlock()
	a := &console.Activity{Since: q.Since, Step: q.Step, Counts: map[string][]int{}, Whole: true}
	if len(s.records) == 0 {
		return a, nil
	}
	steps := 60
	if q.Step > time.Minute {
		steps = 1
	}
	for i, action := range []string{"allow", "reject", "challenge", "warn"} {
		for n := range steps {
			a.Counts[action] = append(a.Counts[action], max(0, 12/(i+1)+(n*(i+3))%7-i*3))
		}
	}
	return a, nil
}

func (s *sample) Known(context.Context, console.KnownQuery, func(console.Acquaintance) error) error {
	return s.err
}

func (s *sample) Check(_ context.Context, q console.CheckQuery) (*console.CheckReport, error) {
	if s.err != nil {
		return nil, s.err
	}
	return &console.CheckReport{
		Action: "reject", Would: "reject", Rule: "listed", Reason: q.Caller + " is on list blacklist", Lists: []console.OnList{{List: "blacklist", Pattern: q.Caller, Reason: "loan sharks"}},
		Steps: []console.Step{{Rule: "listed", Matched: true, Why: "list: blacklist has it"}},
	}, nil
}

func (s *sample) EffectOf(_ context.Context, q console.EffectQuery) (*console.EntryEffect, error) {
	if s.err != nil {
		return nil, s.err
	}
	return &console.EntryEffect{Effect: console.Effect{Stops: 12, Long: 1}, Since: time.Now().AddDate(0, 0, -28), Answered: 4, Callers: 1, Known: []string{"staff"}, Examples: s.records[:min(2, len(s.records))]}, nil
}

func (s *sample) AddEntries(_ context.Context, list string, add []console.NewEntry, _ bool) ([]console.Edit, error) {
	if s.err != nil {
		return nil, s.err
	}
	return []console.Edit{{List: list, Number: add[0].Number, Change: "added", ID: 7}}, nil
}

func (s *sample) Undo(_ context.Context, id uint64) (*console.ListChange, error) {
	return &console.ListChange{ID: id + 1, Undoes: id}, s.err
}

func (s *sample) Correct(_ context.Context, id string) (*console.Corrected, error) {
	return &console.Corrected{List: "staff:allowlist", Number: "+8695211613", Until: time.Now().AddDate(0, 0, 30), Change: 8}, s.err
}

func (s *sample) Follow(ctx context.Context, joined func(), yield func(console.Record) error) error {
	joined()
	for {
		select {
		case <-ctx.Done():
			return nil
		case r, ok := <-s.follow:
			if !ok {
				return console.Conflict("too slow: dropped")
			}
			if err := yield(r); err != nil {
				return err
			}
		}
	}
}

// sampleCall is a made-up call.
func sampleCall(i int, at time.Time) console.Record {
	r := console.Record{
		ID: fmt.Sprintf("01KB%022d", i), Time: at, Node: "pbx1", Trunk: "telecom", Callee: fmt.Sprintf("0592555%04d", i%1000), Line: "staff",
		Action: "allow", Would: "allow", Mode: "enforce", Rule: "default", Caller: console.Caller{Raw: fmt.Sprintf("1380013%04d", i%9973), Kind: "mobile"},
	}
	r.Caller.E164 = "+86" + r.Caller.Raw
	switch i % 7 {
	case 0:
		r.Action, r.Would, r.Rule, r.List, r.Reason = "reject", "reject", "listed", "blacklist", "+8695211613 is on list blacklist: loans at 3 %"
		r.Caller = console.Caller{Raw: "95211613", E164: "+8695211613", Kind: "service"}
		r.Holder, r.Name = "firm A", "贷款中心"
		r.Outcome = &console.Outcome{Cause: "CALL_REJECTED", By: "ringfence"}
	case 1:
		r.Action, r.Would, r.Rule, r.Reason = "challenge", "challenge", "campaign under way", "range wakes: 952116 tripped, 7 strangers in 3h"
		r.Caller = console.Caller{Raw: fmt.Sprintf("9521161%d", i%10), E164: fmt.Sprintf("+869521161%d", i%10), Kind: "service"}
		r.Passed, r.Holder, r.Tripped = i%2 == 0, "firm A", []string{"range wakes: 952116"}
		r.Terms, r.Score = []string{"prior -4", "tripped +3", "decoys +6"}, 5
	case 2:
		r.Outcome = &console.Outcome{Answered: true, RingS: 6.2, TalkS: float64(20 + i%400), Cause: "NORMAL_CLEARING", By: "caller"}
		r.Name = "Ann <b>Smith</b>"
	case 3:
		r.Rule, r.Reason = "fail-open", "no decision within the deadline"
		r.Caller = console.Caller{Raw: "anonymous", Kind: "anonymous"}
	case 4:
		r.Would, r.Mode, r.Rule, r.Reason = "warn", "observe", "952 sales calls", "caller matches 9520????"
		r.Caller = console.Caller{Raw: "95200011", E164: "+8695200011", Kind: "service"}
		r.Outcome = &console.Outcome{RingS: 24, Cause: "NO_ANSWER", By: "switch"}
	case 5:
		r.Action, r.Would, r.Rule, r.Name = "tag", "tag", "withheld, after hours", "ا\u202eevil\u202c name that is long and goes on for quite a while"
		r.Caller.Withheld = true
		r.Repeats = 3
	}
	return r
}

func fullSample() *sample {
	s := &sample{follow: make(chan console.Record, 100), status: &console.Status{Mode: "enforce", Loaded: time.Now().Add(-50 * time.Hour), Node: "pbx1"}}
	now := time.Now()
	for i := range 400 {
		s.records = append(s.records, sampleCall(i, now.Add(time.Duration(i-400)*97*time.Second)))
	}
	s.status.Attached = []console.AttachStatus{{Name: "pbx1", Attached: true}, {Name: "pbx2", Trouble: "connection refused: is FreeSWITCH running on 10.0.0.2:8021?"}}
	s.status.Lists.Entries = 12345
	s.status.Cluster = &console.ClusterReport{
		Name: "isp", Node: "pbx1", Since: now.Add(-time.Hour), Server: "tls://nats1.example.com:4222", Clock: "it is 3m ahead of the others", Waiting: 4, Why: "it was <b>away</b> for too long",
		Nodes: []console.ClusterNode{
			{Name: "pbx2", Version: "1.0", Seen: now, Lag: 0.3, Lists: console.ListsSame, Policy: "1a2b3c4d", Loaded: now},
			{Name: "pbx3<b>", Seen: now, Alone: now.Add(-time.Minute), Lag: 61, Lists: console.ListsOtherNumbers, Journal: "no space left on device", Trouble: "<b>no answer</b>"},
		},
		Held: []console.ClusterHeld{{Node: "pbx3", Time: now, List: "black<b>list", Entries: 9000, Why: "it takes most of the list away"}}, Dropped: map[string]uint64{"bad<b>": 2},
	}
	s.status.Detectors = console.DetectorsStatus{Detectors: 2, Tripped: 7, First: []console.Breaker{{Detector: "range wakes", Trunk: "telecom", Key: "952116", State: "tripped", Until: now.Add(3 * time.Hour), Why: "7 strangers in 3h, trips at 5", Holder: "firm A", Touched: 9}}}
	return s
}

// TestServeSample serves the sample on PAGES_PORT for PAGES_FOR, to look at with a browser.
func TestServeSample(t *testing.T) {
	port := os.Getenv("PAGES_PORT")
	if port == "" {
		t.Skip("a server to look at by hand: set PAGES_PORT")
	}
	s := fullSample()
	switch os.Getenv("PAGES_STATE") {
	case "empty":
		s.records, s.status.Detectors, s.status.Attached = nil, console.DetectorsStatus{}, nil
	case "bad":
		s.status.Pause.Paused = true
		s.status.PolicyRefused = &console.PolicyRefused{Faults: []string{"policy.toml:12: action: \"rejct\" is no action: write reject"}}
		s.status.Lists.Unread = []string{"blacklist"}
	case "error":
		s.err = fmt.Errorf("the disk is gone")
	}
	p, err := New(Options{Desk: s, Policy: samplePolicyOf})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: served(p, &console.Who{Name: "Ann", Way: console.BySession, Role: console.Admin})}
	d, _ := time.ParseDuration(os.Getenv("PAGES_FOR"))
	go srv.Serve(l)
	until := time.After(d)
	for i := 400; ; i++ {
		select {
		case <-until:
			p.Close()
			srv.Close()
			return
		case <-time.After(900 * time.Millisecond):
			if os.Getenv("PAGES_STATE") == "" {
				s.Lock()
				r := sampleCall(i, time.Now())
				s.records = append(s.records, r)
				s.Unlock()
				select {
				case s.follow <- r:
				default:
				}
			}
		}
	}
}

// served are the pages as package web serves them, to somebody who has signed in.
func served(p *Pages, who *console.Who) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
		if strings.HasPrefix(r.URL.Path, StaticPrefix) {
			p.Static(w, r)
			return
		}
		p.ServeHTTP(w, r.WithContext(console.WithWho(r.Context(), who)))
	})
}
