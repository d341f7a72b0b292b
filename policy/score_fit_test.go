package policy

import (
	"math"
	"testing"
	"time"
)

// What is found of a call, by the weights, is its score.
func TestScoreTimes(t *testing.T) {
	p, faults := Load("p", []byte("country = \"CN\"\n[score]\nprior = -2\ndecoy = 1.5\n[[rule]]\nname = \"bad\"\nwhen = { score_at_least = 3 }\naction = \"reject\"\n"))
	if p == nil {
		t.Fatal(faults)
	}
	c := p.Call(Facts{Caller: "13800138000", Callee: "05925550100", Time: time.Unix(1_800_000_000, 0)})
	c.FirstTime, c.Evidence = true, Evidence{Calls: 9, Callees: 5, Decoys: 7, Short: 2, Unanswered: 1, Talks: 1, Marks: 0.5}
	want, _ := p.Score(&c)
	sum, times, weights := 0.0, p.ScoreTimes(&c), p.ScoreWeights()
	for i, term := range ScoreTerms() {
		if sum += times[i] * weights[i]; times[i] < 0 || times[i] > term.AtMost {
			t.Errorf("%s is found %v times", term.Name, times[i])
		}
	}
	if math.Abs(sum-want) > 1e-9 || weights[0] != -2 {
		t.Errorf("got %v, want %v", sum, want)
	}
}
