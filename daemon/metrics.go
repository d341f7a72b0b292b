package daemon

import (
	"net/http"

	"ringfence/metrics"
)

// asked is the daemon as its metrics ask it.
type asked struct {
	*Front
}

var _ metrics.Source = (*asked)(nil)

// Trunks are those of the policy in force.
func (a *asked) Trunks() []string { return a.daemon.force.Rules().Policy.TrunkNames() }

// StreamClients is how many follow the calls now.
func (a *asked) StreamClients() int {
	now, _ := a.daemon.desk.Followed()
	return now
}

// Metrics serves what a Prometheus reads.
func (d *Daemon) Metrics() http.Handler { return d.metrics.Handler() }
