package desk

import (
	"math"
	"math/rand/v2"
	"testing"
)

// What made the decisions is found again, within the interval that is told.
func TestLogisticFinds(t *testing.T) {
	truth := []float64{-1, 2, -1.5, 0.5}
	inside, all := 0, 0
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 1))
		l := logistic{prior: []float64{0, 0, 0, 0}, spread: []float64{10, 10, 10, 10}, low: []float64{-20, -20, -20, -20}, high: []float64{20, 20, 20, 20}}
		for range 400 {
			found := []float64{1, float64(random.IntN(2)), float64(random.IntN(3)), random.Float64() * 4}
			l.found = append(l.found, found)
			l.yes = append(l.yes, random.Float64() < 1/(1+math.Exp(-dot(truth, found))))
		}
		f := l.fit()
		if !f.sure {
			t.Fatalf("seed %d: it came to no end", seed)
		}
		slope, _ := l.derive(f.weights)
		for i, w := range f.weights {
			if math.Abs(slope[i]) > 1e-5 {
				t.Errorf("seed %d: weight %d is not the best: the slope is %v", seed, i, slope[i])
			}
			if all++; math.Abs(w-truth[i]) < interval*f.errors[i] {
				inside++
			}
		}
		if again := l.fit(); again.weights[1] != f.weights[1] {
			t.Error("the same cases give other weights")
		}
	}
	if share := float64(inside) / float64(all); share < 0.93 || share > 0.97 {
		t.Errorf("%.3f of the intervals have the truth in them, want about 0.95", share)
	}
}

// Bounds hold, cases that are told apart wholly do not run away, and without cases all stays.
func TestLogisticIsBounded(t *testing.T) {
	l := logistic{prior: []float64{0, 1, -1}, spread: []float64{10, 1, 1}, low: []float64{-100, 0, -20}, high: []float64{100, 20, 0}}
	f := l.fit()
	if !f.sure || f.weights[1] != 1 || f.weights[2] != -1 || math.Abs(f.errors[1]-1) > 1e-9 {
		t.Errorf("without cases: %+v", f)
	}
	for range 200 {
		l.found, l.yes = append(l.found, []float64{1, 1, 0}, []float64{1, 0, 1}), append(l.yes, false, true) // against both signs
	}
	if f = l.fit(); !f.sure || f.weights[1] != 0 || f.weights[2] != 0 || f.errors[1] != 0 {
		t.Errorf("against the signs: %+v", f)
	}
	l.yes = l.yes[:0]
	for range 200 {
		l.yes = append(l.yes, true, false)
	}
	if f = l.fit(); !f.sure || f.weights[1] < 2 || f.weights[1] > 20 || f.weights[2] > -2 || math.IsNaN(f.errors[1]) {
		t.Errorf("told apart wholly: %+v", f)
	}
}
