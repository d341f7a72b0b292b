package policy

import (
	"math"
	"strconv"
	"strings"

	"ringfence/number"
)

// The score is the sum of the evidence that a call is unwanted, as log-odds: each term adds its weight, as often as it is found.

// term is one of the terms.
type term uint8

const (
	termPrior term = iota
	termDecoy
	termTripped
	termMark
	termManyCallees
	termShortCalls
	termUnanswered
	termFirstTime
	termStranger
	termUnassigned
	termInvalid
	termWithheld
	termAttestFailed
	termAttestedA
	termTalked
	termPassed
	termKnown
	numTerms
)

// ScoreTerm is one term of the score.
type ScoreTerm struct {
	Name    string
	Default float64 // log-odds that it adds each time
	AtMost  float64 // how often it counts at most
	Low     float64 // the weights that it may have
	High    float64
	Meaning string // when it adds, for documentation
	each    string // one of it, for explanations; "" if it is one or none, and Meaning is all
}

// maxScoreWeight is how much a term may add each time.
const maxScoreWeight = 20

// The signs are fixed: what a caller can bring about alone must not let them pass, and what people vouch for must not keep anybody out.
var scoreTerms = [numTerms]ScoreTerm{
	termPrior:        {Name: "prior", Default: -4, AtMost: 1, Low: -20, High: 20, Meaning: "every call: how rare unwanted calls are"},
	termDecoy:        {Name: "decoy", Default: 3, AtMost: 2, High: 20, Meaning: "each decoy line that the caller called within a day, at most 2", each: "decoys called within a day"},
	termTripped:      {Name: "tripped", Default: 3, AtMost: 1, High: 20, Meaning: "a detector that counts by more than called number or decoys has tripped for the call, and is not on trial"},
	termMark:         {Name: "mark", Default: 2, AtMost: 3, High: 20, Meaning: "each mark of the caller that waits for a decision, less as it ages, at most 3", each: "marks by people"},
	termManyCallees:  {Name: "many_callees", Default: 0.4, AtMost: 8, High: 20, Meaning: "each number beyond the third that the caller called within a day, at most 8", each: "called numbers beyond the third within a day"},
	termShortCalls:   {Name: "short_calls", Default: 0.4, AtMost: 5, High: 20, Meaning: "each call of the caller's within a day that was over within 6 s of the answer, at most 5", each: "short calls within a day"},
	termUnanswered:   {Name: "unanswered", Default: 0.1, AtMost: 10, High: 20, Meaning: "each call of the caller's within a day that nobody answered, at most 10", each: "unanswered calls within a day"},
	termFirstTime:    {Name: "first_time", Default: 0.3, AtMost: 1, High: 20, Meaning: "the caller never called any line before"},
	termStranger:     {Name: "stranger", Default: 0.3, AtMost: 1, High: 20, Meaning: "the caller is known to no line"},
	termUnassigned:   {Name: "unassigned", Default: 1.5, AtMost: 1, High: 20, Meaning: "the number has a prefix that the country's plan does not know"},
	termInvalid:      {Name: "invalid", Default: 1, AtMost: 1, High: 20, Meaning: "the caller shows what can be no number"},
	termWithheld:     {Name: "withheld", Default: 0.5, AtMost: 1, High: 20, Meaning: "the number is withheld"},
	termAttestFailed: {Name: "attest_failed", Default: 1, AtMost: 1, High: 20, Meaning: "the call’s signature does not verify"},
	termAttestedA:    {Name: "attested_a", Default: -0.2, AtMost: 1, Low: -20, Meaning: "the carrier vouches for the number (attestation A), which is no more than a hint"},
	termTalked:       {Name: "talked", Default: -0.5, AtMost: 2, Low: -20, Meaning: "each call of a minute and more with the caller within a day, at most 2", each: "talks of a minute within a day"},
	termPassed:       {Name: "passed", Default: -3, AtMost: 1, Low: -20, Meaning: "the caller passed a challenge on a call to this line within 30 days"},
	termKnown:        {Name: "known", Default: -5, AtMost: 1, Low: -20, Meaning: "the caller is known to the called line, or to three lines of different customers"},
}

// ScoreTerms lists the terms of the score with their defaults.
func ScoreTerms() []ScoreTerm { return append([]ScoreTerm(nil), scoreTerms[:]...) }

func scoreNames() []string {
	names := make([]string, 0, len(scoreTerms))
	for i := range scoreTerms {
		names = append(names, scoreTerms[i].Name)
	}
	return names
}

// scoreWeights are what a policy's terms add.
type scoreWeights [numTerms]float64

// readScore reads [score].
func (r *reader) readScore() {
	w := &r.policy.weights
	for i := range scoreTerms {
		w[i] = scoreTerms[i].Default
	}
	s := r.top.table("score", "[score] with decoy = 3.0")
	if s == nil {
		return
	}
	s.only(scoreNames(), nil)
	for i := range scoreTerms {
		t := &scoreTerms[i]
		w[i] = s.decimal(t.Name, t.Default, -maxScoreWeight, maxScoreWeight, "log-odds from -20 to 20")
		switch {
		case w[i] < t.Low:
			s.fault(t.Name, "is %v, so that callers would pass the more, the more of it they do: write 0 or more", w[i])
		case w[i] > t.High:
			s.fault(t.Name, "is %v, so that it would tell against callers whom somebody vouches for: write 0 or less", w[i])
		}
		if w[i] == 0 {
			w[i] = 0 // -0.0 is 0 as well
		}
	}
}

// readScoreAtLeast reads score_at_least; ok is false when the rule does not have it.
func readScoreAtLeast(s *section) (condition, bool) {
	key := onScore.String()
	if !s.has(key) {
		return condition{}, false
	}
	n := s.decimal(key, 3, -100, 100, "a score from -100 to 100")
	return condition{on: onScore, terms: &terms{atLeast: n, words: []string{decimalText(n)}}}, true
}

// Term is one term of a call's score.
type Term struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"` // log-odds that it adds
	Text  string  `json:"text"`  // what was found: "decoys called within a day: 2"
}

// Score is the sum of the evidence that a call is unwanted, with the terms that add something, in the order of ScoreTerms. What detectors on
// trial find is not in it.
func (p *Policy) Score(c *Call) (sum float64, all []Term) {
	s := scan{p: p, c: c}
	s.look()
	s.addUp()
	for i := range scoreTerms {
		t := &scoreTerms[i]
		times := float64(s.score.times[i])
		if term(i) == termTripped && s.strongTrips(&p.fallback)&^c.OnTrial != 0 {
			times = 1
		}
		value := times * p.weights[i]
		if sum += value; value == 0 && term(i) != termPrior {
			continue
		}
		text := t.Meaning
		if t.each != "" {
			text = t.each + ": " + decimalText(times)
		}
		all = append(all, Term{t.Name, value, text})
	}
	return sum, all
}

// scored is the score of the call being tried, made when a rule first asks.
type scored struct {
	done    bool
	tripped bool              // the term tripped is in it for the rule being tried
	times   [numTerms]float32 // how often each was found
	base    float64           // without the term tripped
}

// addUp makes the score.
func (s *scan) addUp() {
	if s.score.done {
		return
	}
	s.score.done = true
	c, e := s.c, &s.c.Evidence
	kinds := s.kinds()
	is := func(t term, holds bool) {
		if holds {
			s.score.times[t] = 1
		}
	}
	count := func(t term, n float64) { s.score.times[t] = float32(min(max(n, 0), scoreTerms[t].AtMost)) }
	numbered := c.Caller.E164 != "" || len(s.held) > 0
	known := s.p.IsAcquaintance(c)
	is(termPrior, true)
	is(termKnown, known)
	is(termStranger, numbered && !known && c.KnownLines == 0 && !s.p.isKnownAt(c, c.KnownToAll))
	is(termFirstTime, c.FirstTime)
	is(termUnassigned, kinds.Has(number.Unassigned))
	is(termInvalid, kinds.Has(number.Invalid))
	is(termWithheld, kinds.Has(number.Anonymous))
	is(termAttestFailed, c.Attestation == "failed")
	is(termAttestedA, c.Attestation == "A")
	is(termPassed, within(c.ChallengePassed, AcquaintedFor, c.Time))
	count(termDecoy, float64(e.Decoys))
	count(termManyCallees, float64(e.Callees-3))
	count(termShortCalls, float64(e.Short))
	count(termUnanswered, float64(e.Unanswered))
	count(termTalked, float64(e.Talks))
	if !math.IsNaN(e.Marks) {
		count(termMark, e.Marks)
	}
	for t, times := range s.score.times {
		s.score.base += float64(times) * s.p.weights[t]
	}
}

// strongTrips are the breakers that hold for the call, without those that are no ground to refuse by themselves.
func (s *scan) strongTrips(r *rule) DetectorSet { return s.trips(r) &^ s.p.weak }

// scores tests score_at_least, and keeps the detectors without which it would not hold. Where only those on trial bring it there, the rule is on
// trial.
func (s *scan) scores(r *rule, c *condition) bool {
	s.addUp()
	trips, weight := s.strongTrips(r), s.p.weights[termTripped]
	counting := trips &^ s.c.OnTrial
	s.score.tripped = counting != 0
	const rounding = 1e-9 // 0.1 ten times is less than 1
	atLeast := c.atLeast - rounding
	if s.total() >= atLeast {
		if s.score.base < atLeast {
			s.by |= counting
		}
		return true
	}
	if trips != 0 && s.score.base+weight >= atLeast {
		s.score.tripped = true
		s.trialBy |= trips
		return true
	}
	return false
}

// total is the score for the rule being tried.
func (s *scan) total() float64 {
	if s.score.tripped {
		return s.score.base + s.p.weights[termTripped]
	}
	return s.score.base
}

// maxTopTerms is how many terms a reason names besides the prior.
const maxTopTerms = 3

// weighedTerm is a term of a call's score in a reason. One without a value is none.
type weighedTerm struct {
	term  term
	value float32
}

// topTerms are the terms that weigh most, besides the prior, with that last.
type topTerms [maxTopTerms + 1]weighedTerm

// largest gives them.
func (s *scored) largest(weights *scoreWeights) (top topTerms) {
	for t := termPrior + 1; t < numTerms; t++ {
		times := s.times[t]
		if t == termTripped && s.tripped {
			times = 1
		}
		candidate := weighedTerm{t, times * float32(weights[t])}
		for at := range maxTopTerms {
			if abs(candidate.value) > abs(top[at].value) {
				top[at], candidate = candidate, top[at]
			}
		}
	}
	top[maxTopTerms] = weighedTerm{termPrior, float32(weights[termPrior])}
	return top
}

func abs(n float32) float32 { return max(n, -n) }

// scoreText says how score_at_least held, or would: "score 4.2: decoy +6, first_time +0.5, prior -4".
func scoreText(sum float64, top topTerms) string {
	var parts []string
	for _, t := range top {
		if t.value != 0 {
			parts = append(parts, scoreTerms[t.term].Name+" "+signedText(float64(t.value)))
		}
	}
	if len(parts) == 0 {
		return "score " + decimalText(sum)
	}
	return "score " + decimalText(sum) + ": " + strings.Join(parts, ", ")
}

// whyNotScored says why score_at_least does not hold.
func (s *scan) whyNotScored(c *condition) string {
	return scoreText(s.total(), s.score.largest(&s.p.weights)) + ", less than " + c.words[0]
}

// decimalText writes a number with at most two decimals.
func decimalText(n float64) string {
	text := strconv.FormatFloat(math.Round(n*100)/100, 'f', -1, 64)
	if text == "-0" {
		return "0"
	}
	return text
}

func signedText(n float64) string {
	if n > 0 {
		return "+" + decimalText(n)
	}
	return decimalText(n)
}
