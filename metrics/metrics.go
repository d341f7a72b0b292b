// Package metrics is what a Prometheus reads of a daemon. Label values come from configuration alone – actions, modes, lists,
// detectors, trunks, feeds – never from a caller, and how many there can be is bounded.
//
// What happens on a call's way is counted here as it happens (Calls); everything else is asked for when it is read (Source).
package metrics

import (
	"net/http"
	"time"

	"ringfence/policy"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Calls are the metrics of the way of a call. Its methods wait for nothing and take well below a microsecond.
type Calls struct {
	total    map[[2]string]prometheus.Counter
	setup    map[string]prometheus.Observer
	decision prometheus.Histogram
}

var (
	actions = policy.ActionNames()
	modes   = []string{policy.Enforce.String(), policy.Observe.String()}
)

// NewCalls makes them, in a registry.
func newCalls(r prometheus.Registerer) *Calls {
	c := &Calls{total: make(map[[2]string]prometheus.Counter), setup: make(map[string]prometheus.Observer)}
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ringfence_calls_total", Help: "Calls that were screened, by what was done and whether their rule was enforced or on trial.",
	}, []string{"action", "mode"})
	setup := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "ringfence_call_setup_seconds", Help: "From the switch's connection to the call's return to it, announcements and challenges included.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, .8, 1, 2.5, 5, 10, 30, 60},
	}, []string{"action"})
	c.decision = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "ringfence_decision_seconds", Help: "What a decision itself took, without the switch.",
		Buckets: []float64{1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 1e-2, 1e-1},
	})
	for _, action := range actions {
		c.setup[action] = setup.WithLabelValues(action)
		for _, mode := range modes {
			c.total[[2]string{action, mode}] = total.WithLabelValues(action, mode)
		}
	}
	r.MustRegister(total, setup, c.decision)
	return c
}

// Decided counts what a decision took.
func (c *Calls) Decided(took time.Duration) { c.decision.Observe(took.Seconds()) }

// Done counts a call that was given back or refused. An action or a mode that is none counts nowhere.
func (c *Calls) Done(action, mode string, took time.Duration) {
	if n := c.total[[2]string{action, mode}]; n != nil {
		n.Inc()
		c.setup[action].Observe(took.Seconds())
	}
}

// Metrics are all metrics of a daemon.
type Metrics struct {
	Calls    *Calls
	registry *prometheus.Registry
}

// New makes the metrics of a daemon that is asked through a source. Metrics about the program itself (memory, goroutines) are among them.
func New(s Source) *Metrics {
	r := prometheus.NewRegistry()
	m := &Metrics{Calls: newCalls(r), registry: r}
	r.MustRegister(&state{source: s}, goCollector(), processCollector())
	return m
}

// Handler serves them. Who may read them is for the port to say.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, Timeout: 10 * time.Second, ErrorHandling: promhttp.ContinueOnError,
	})
}
