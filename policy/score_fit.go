package policy

// ScoreTimes is how often each term of the score is found for a call, in the order of ScoreTerms: what the weights are multiplied by.
func (p *Policy) ScoreTimes(c *Call) []float64 {
	s := scan{p: p, c: c}
	s.look()
	s.addUp()
	if s.strongTrips(&p.fallback)&^c.OnTrial != 0 {
		s.score.times[termTripped] = 1
	}
	times := make([]float64, numTerms)
	for i, n := range s.score.times {
		times[i] = float64(n)
	}
	return times
}

// ScoreWeights are what the terms of the score add each time, in the order of ScoreTerms.
func (p *Policy) ScoreWeights() []float64 { return append([]float64(nil), p.weights[:]...) }
