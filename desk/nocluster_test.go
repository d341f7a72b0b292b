package desk

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/inforce"
)

// twoNodes is a cluster of two nodes, or of one when the other has left.
type twoNodes struct {
	Cluster
	left bool
}

func (m *twoNodes) Report() console.ClusterReport {
	r := console.ClusterReport{Name: "isp", Node: "pbx1"}
	if !m.left {
		r.Nodes = []console.ClusterNode{{Name: "pbx2", Lists: console.ListsSame}}
	}
	return r
}

func (m *twoNodes) Leave(_ context.Context, node string) error {
	if node != "pbx2" || m.left {
		return console.NotFound("there is no node " + node)
	}
	m.left = true
	return nil
}

// A desk says how the cluster is that it was given, and that there is none where it was given none.
func TestNoCluster(t *testing.T) {
	d := New(&conf.Daemon{}, nil, &inforce.State{}, Options{Log: slog.New(slog.DiscardHandler)})
	if _, err := d.Cluster(t.Context()); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("without a cluster: %v", err)
	}
	if _, err := d.LeaveCluster(t.Context(), "pbx2"); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("leaving without a cluster: %v", err)
	}
	d = New(&conf.Daemon{}, nil, &inforce.State{}, Options{Cluster: &twoNodes{}, Log: slog.New(slog.DiscardHandler)})
	if r, err := d.Cluster(t.Context()); err != nil || r.Name != "isp" || len(r.Nodes) != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, err := d.LeaveCluster(t.Context(), "pbx3"); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("a node that is not there: %v", err)
	}
	if r, err := d.LeaveCluster(t.Context(), "pbx2"); err != nil || len(r.Nodes) != 0 {
		t.Errorf("after it has left: %+v, %v", r, err)
	}
}
