package desk

import (
	"context"

	"ringfence/console"
)

// Cluster is how the other nodes are reached that have the same lists.
type Cluster interface {
	// Report says how this node stands with them. It waits for nobody.
	Report() console.ClusterReport
	// Leave takes a node out that has gone for good.
	Leave(ctx context.Context, node string) error
	// Calls asks the other nodes for calls, by a console.SearchQuery as JSON, and gives their answers, console.SearchPages, by the node's name. silent
	// are those that did not answer in time.
	Calls(ctx context.Context, query []byte) (answers map[string][]byte, silent []string)
}

// Cluster says how this node stands with the others.
func (d *Desk) Cluster(context.Context) (*console.ClusterReport, error) {
	if d.o.Cluster == nil {
		return nil, noCluster()
	}
	r := d.o.Cluster.Report()
	return &r, nil
}

// LeaveCluster takes a node out that has gone for good, and says how things are then.
func (d *Desk) LeaveCluster(ctx context.Context, node string) (*console.ClusterReport, error) {
	if d.o.Cluster == nil {
		return nil, noCluster()
	}
	if err := d.o.Cluster.Leave(ctx, node); err != nil {
		return nil, err
	}
	return d.Cluster(ctx)
}

func noCluster() error {
	return console.NotFound("there is no cluster here: the daemon's file has no [cluster]")
}
