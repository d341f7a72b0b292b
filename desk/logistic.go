package desk

import "math"

// logistic is a regression of a yes or no on what was found of each case, by maximum a posteriori: the weights that make what was decided
// likeliest, drawn to what they were before. It is deterministic.
type logistic struct {
	found  [][]float64 // of each case, how often each term
	yes    []bool
	prior  []float64 // the weights before
	spread []float64 // by how much they may be wrong: the standard deviation of what is known of them
	low    []float64 // bounds of the weights
	high   []float64
}

// maxSteps bounds the search; it takes ten at most where there is something to find.
const maxSteps = 100

// fitted is what came of it.
type fitted struct {
	weights []float64
	errors  []float64 // standard errors; 0 for a weight at a bound that it would pass
	sure    bool      // it settled
}

// fit looks for the weights by Newton's method, with half steps where a whole one makes it worse. A weight that would pass a bound
// stays there.
func (l *logistic) fit() fitted {
	n := len(l.prior)
	f := fitted{weights: append([]float64(nil), l.prior...), errors: make([]float64, n)}
	held := make([]bool, n)
	for range maxSteps {
		slope, curve := l.derive(f.weights)
		for i := range held {
			w := f.weights[i]
			held[i] = w <= l.low[i] && slope[i] < 0 || w >= l.high[i] && slope[i] > 0
			if held[i] {
				slope[i] = 0
				for j := range curve {
					curve[i][j], curve[j][i] = 0, 0
				}
				curve[i][i] = 1
			}
		}
		step, ok := solve(curve, slope)
		if !ok {
			return f
		}
		was, largest := l.likelihood(f.weights), 0.0
		next := make([]float64, n)
		for share := 1.0; share > 1e-6; share /= 2 {
			largest = 0
			for i := range next {
				next[i] = min(max(f.weights[i]+share*step[i], l.low[i]), l.high[i])
				largest = max(largest, math.Abs(next[i]-f.weights[i]))
			}
			if l.likelihood(next) >= was-1e-12 {
				break
			}
		}
		if copy(f.weights, next); largest < 1e-8 {
			f.sure = true
			break
		}
	}
	_, curve := l.derive(f.weights)
	for i := range f.errors {
		unit := make([]float64, n)
		unit[i] = 1
		if x, ok := solve(curve, unit); ok && !held[i] && x[i] > 0 {
			f.errors[i] = math.Sqrt(x[i])
		}
	}
	return f
}

// likelihood is the logarithm of how likely the decisions are with weights, and these with what was known before.
func (l *logistic) likelihood(weights []float64) float64 {
	sum := 0.0
	for i, found := range l.found {
		z := dot(weights, found)
		if !l.yes[i] {
			z = -z
		}
		sum -= softplus(-z)
	}
	for i, w := range weights {
		d := (w - l.prior[i]) / l.spread[i]
		sum -= d * d / 2
	}
	return sum
}

// derive gives the slope of the likelihood, and how it bends (the negative of its second derivatives).
func (l *logistic) derive(weights []float64) (slope []float64, curve [][]float64) {
	n := len(weights)
	slope, curve = make([]float64, n), make([][]float64, n)
	for i := range curve {
		curve[i] = make([]float64, n)
		curve[i][i] = 1 / (l.spread[i] * l.spread[i])
		slope[i] = -(weights[i] - l.prior[i]) * curve[i][i]
	}
	for k, found := range l.found {
		p := 1 / (1 + math.Exp(-dot(weights, found)))
		miss := -p
		if l.yes[k] {
			miss = 1 - p
		}
		for i, x := range found {
			if x == 0 {
				continue
			}
			slope[i] += miss * x
			for j := range i + 1 {
				curve[i][j] += p * (1 - p) * x * found[j]
			}
		}
	}
	for i := range n {
		for j := range i {
			curve[j][i] = curve[i][j]
		}
	}
	return slope, curve
}

// softplus is ln(1 + e^x), also of a large x.
func softplus(x float64) float64 {
	if x > 30 {
		return x
	}
	return math.Log1p(math.Exp(x))
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// solve gives x of a·x = b by Cholesky's method; a is symmetric, and false is said where it is not positive.
func solve(a [][]float64, b []float64) (x []float64, ok bool) {
	n := len(b)
	root := make([][]float64, n)
	for i := range n {
		root[i] = make([]float64, n)
		for j := range i + 1 {
			sum := a[i][j]
			for k := range j {
				sum -= root[i][k] * root[j][k]
			}
			switch {
			case i != j:
				root[i][j] = sum / root[j][j]
			case sum <= 0 || math.IsNaN(sum):
				return nil, false
			default:
				root[i][i] = math.Sqrt(sum)
			}
		}
	}
	x = append([]float64(nil), b...)
	for i := range n {
		for k := range i {
			x[i] -= root[i][k] * x[k]
		}
		x[i] /= root[i][i]
	}
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			x[i] -= root[k][i] * x[k]
		}
		x[i] /= root[i][i]
	}
	return x, true
}
