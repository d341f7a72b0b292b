package console

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// clustered is a desk of a node in a cluster.
type clustered struct {
	Desk
	left string
}

func (*clustered) Cluster(context.Context) (*ClusterReport, error) {
	return &ClusterReport{Name: "isp", Node: "pbx1", Since: time.UnixMilli(1).UTC(), Nodes: []ClusterNode{{Name: "pbx2", Lag: 0.5, Lists: ListsSame}}, Dropped: map[string]uint64{"bad": 1}}, nil
}

func (d *clustered) LeaveCluster(_ context.Context, node string) (*ClusterReport, error) {
	if d.left = node; node == "none" {
		return nil, NotFound("there is no node none")
	}
	return &ClusterReport{Name: "isp", Node: "pbx1"}, nil
}

// What is known of a cluster is the same at the other end of the socket, whatever a node is called.
func TestClusterThroughSocket(t *testing.T) {
	d := &clustered{}
	c, _ := served(t, d)
	want, _ := d.Cluster(t.Context())
	got, err := c.Cluster(t.Context())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := c.LeaveCluster(t.Context(), "pbx 3/"); err != nil || d.left != "pbx 3/" || got.Name != "isp" {
		t.Errorf("left %q, got %+v, %v", d.left, got, err)
	}
	if _, err := c.LeaveCluster(t.Context(), "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a node that is not there: %v", err)
	}
}

// A node that is alone is trouble at once; lists that are different are none while they may be being made the same.
func TestClusterTrouble(t *testing.T) {
	now := time.Unix(1e9, 0)
	of := func(lists string, since time.Duration) ClusterReport {
		return ClusterReport{Nodes: []ClusterNode{{Name: "pbx2", Lists: ListsSame}, {Name: "pbx3", Lists: lists, Since: now.Add(-since)}}}
	}
	for name, c := range map[string]struct {
		report ClusterReport
		want   string
	}{
		"well":          {of(ListsSame, time.Hour), ""},
		"alone":         {ClusterReport{Alone: true, Since: now}, "this node is alone"},
		"just now":      {of(ListsDifferent, Differ), ""},
		"for long":      {of(ListsDifferent, Differ+time.Second), "the lists of pbx3 are different"},
		"cannot tell":   {of(ListsOtherNumbers, time.Hour), ""},
		"has not said":  {of(ListsUnknown, time.Hour), ""},
		"two of a name": {ClusterReport{Why: "another node calls itself pbx1 too"}, "another node calls itself pbx1 too"},
		"server anew":   {ClusterReport{Why: "the server does not answer", Waiting: 1}, ""},
	} {
		if got := c.report.Trouble(now); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
