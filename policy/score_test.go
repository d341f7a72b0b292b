package policy

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const scoring = `
country = "CN"
[lines.staff]
numbers = ["05925550000-05925550999"]
[score]
prior = -3.5
decoy = 2
talked = 0
[[detector]]
name = "range"
key = "prefix:6"
count = "strangers"
window = "3h"
trip = 5
[[detector]]
name = "called"
key = "callee"
count = "calls"
window = "3h"
trip = 5
[[rule]]
name = "score"
when = { score_at_least = 3 }
action = "challenge"
`

// TestScore holds the terms, one by one.
//
// long: because it is one table, of evidence and what it adds
func TestScore(t *testing.T) {
	p := mustLoad(t, scoring)
	at := workHour
	for _, test := range []struct {
		name string
		call func(c *Call)
		want []Term
	}{
		{"nothing", func(c *Call) { c.KnownLines = 1 }, nil},
		{"a stranger", func(c *Call) {}, []Term{{"stranger", 0.3, "the caller is known to no line"}}},
		{"known to one", func(c *Call) { c.KnownToAll = at }, nil},
		{"known here", func(c *Call) { c.KnownToLine = at }, []Term{{"known", -5, "the caller is known to the called line, or to three lines of different customers"}}},
		{"known to three", func(c *Call) { c.KnownLines = 3 }, []Term{{"known", -5, "the caller is known to the called line, or to three lines of different customers"}}},
		{"known to two", func(c *Call) { c.KnownLines = 2 }, nil},
		{"known only later", func(c *Call) { c.KnownToLine = at.Add(time.Second) }, []Term{{"stranger", 0.3, "the caller is known to no line"}}},
		{"behaviour", func(c *Call) {
			c.KnownLines, c.FirstTime = 1, true
			c.Evidence = Evidence{Calls: 40, Callees: 6, Decoys: 1, Short: 2, Unanswered: 3, Talks: 5, Marks: 0.5}
		}, []Term{
			{"decoy", 2, "decoys called within a day: 1"},
			{"mark", 1, "marks by people: 0.5"},
			{"many_callees", 1.2, "called numbers beyond the third within a day: 3"},
			{"short_calls", 0.8, "short calls within a day: 2"},
			{"unanswered", 0.3, "unanswered calls within a day: 3"},
			{"first_time", 0.3, "the caller never called any line before"},
		}},
		{"no end of it", func(c *Call) {
			c.KnownLines = 1
			c.Evidence = Evidence{Callees: 1e9, Decoys: 1e9, Short: 1e9, Unanswered: 1e9, Talks: 1e9, Marks: math.Inf(1)}
		}, []Term{
			{"decoy", 4, "decoys called within a day: 2"},
			{"mark", 6, "marks by people: 3"},
			{"many_callees", 3.2, "called numbers beyond the third within a day: 8"},
			{"short_calls", 2, "short calls within a day: 5"},
			{"unanswered", 1, "unanswered calls within a day: 10"},
		}},
		{"passed", func(c *Call) { c.KnownLines, c.ChallengePassed = 1, at.Add(-29*day) }, []Term{{"passed", -3, "the caller passed a challenge on a call to this line within 30 days"}}},
		{"passed long ago", func(c *Call) { c.KnownLines, c.ChallengePassed = 1, at.Add(-31*day) }, nil},
		{"attested", func(c *Call) { c.KnownLines, c.Attestation = 1, "A" }, []Term{{"attested_a", -0.2, "the carrier vouches for the number (attestation A), which is no more than a hint"}}},
		{"forged", func(c *Call) { c.KnownLines, c.Attestation = 1, "failed" }, []Term{{"attest_failed", 1, "the call’s signature does not verify"}}},
		{"withheld", func(c *Call) { c.KnownLines, c.Withheld = 1, true }, []Term{{"withheld", 0.5, "the number is withheld"}}},
		{"tripped", func(c *Call) { c.KnownLines, c.Tripped = 1, 3 }, []Term{{"tripped", 3, "a detector that counts by more than called number or decoys has tripped for the call, and is not on trial"}}},
		{"tripped by the called number", func(c *Call) { c.KnownLines, c.Tripped = 1, 2 }, nil},
		{"on trial", func(c *Call) { c.KnownLines, c.Tripped, c.OnTrial = 1, 3, 1 }, nil},
	} {
		c := p.Call(Facts{Caller: "95211213", Callee: "05925550100", Time: at})
		test.call(&c)
		sum, terms := p.Score(&c)
		want := []Term{{"prior", -3.5, "every call: how rare unwanted calls are"}}
		for _, name := range scoreNames() {
			for _, term := range test.want {
				if term.Name == name {
					want = append(want, term)
				}
			}
		}
		if diff := cmp.Diff(want, terms, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
		all := 0.0
		for _, term := range terms {
			all += term.Value
		}
		d := p.Decide(&c, nil)
		if matched := d.Rule == "score"; math.Abs(sum-all) > 1e-9 || matched != (sum > 2.9999) && c.ChallengePassed.IsZero() {
			t.Errorf("%s: the sum is %v, the terms make %v, and rule %s decides", test.name, sum, all, d.Rule)
		}
	}
	for _, caller := range []struct{ caller, term string }{{"", "withheld"}, {"95211613x9y", "invalid"}, {"86199", "invalid"}, {"+8613", "invalid"}} {
		c := p.Call(Facts{Caller: caller.caller, Callee: "05925550100", Time: at})
		if _, terms := p.Score(&c); !strings.Contains(terms[1].Name+terms[len(terms)-1].Name, caller.term) {
			t.Errorf("%q: %v", caller.caller, terms)
		}
	}
}

// TestScoreSigns holds that nothing that a caller brings about lowers the score, whatever the policy says, and that the terms are documented.
func TestScoreSigns(t *testing.T) {
	p := mustLoad(t, scoring)
	good := map[string]bool{"prior": true, "talked": true, "passed": true, "known": true, "attested_a": true}
	for _, term := range ScoreTerms() {
		if term.Name == "" || term.Meaning == "" || term.AtMost <= 0 || term.Default < term.Low || term.Default > term.High {
			t.Errorf("%+v", term)
		}
		if good[term.Name] != (term.Low < 0) {
			t.Errorf("%s may be from %v", term.Name, term.Low)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		c := p.Call(Facts{Caller: "95211213", Callee: "05925550100", Time: workHour})
		e := &c.Evidence
		for _, n := range []*int{&e.Calls, &e.Callees, &e.Decoys, &e.Short, &e.Unanswered} {
			*n = r.IntN(12)
		}
		before, _ := p.Score(&c)
		*[]*int{&e.Calls, &e.Callees, &e.Decoys, &e.Short, &e.Unanswered}[r.IntN(5)]++
		if after, _ := p.Score(&c); after < before {
			t.Fatalf("%+v: %v, and it was %v", c.Evidence, after, before)
		}
	}
}
