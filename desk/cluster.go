package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"ringfence/console"
	"ringfence/storage"
	"ringfence/traffic"
)

// Cluster is how the other nodes are reached that have the same lists.
type Cluster interface {
	// Report says how this node stands with them. It waits for nobody.
	Report() console.ClusterReport
	// Leave takes a node out that has gone for good.
	Leave(ctx context.Context, node string) error
	// DecideHeld has a change that waits be taken, or refused.
	DecideHeld(ctx context.Context, id int, take bool) error
	// Calls asks the other nodes for calls, by a console.SearchQuery as JSON, and gives their answers, console.SearchPages, by the node's name. silent
	// are those that did not answer in time.
	Calls(ctx context.Context, query []byte) (answers map[string][]byte, silent []string)
	// ReportChanged tells the other nodes of a report (storage.Report), as JSON. It waits for nobody.
	ReportChanged(id string, at time.Time, report []byte)
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

// DecideHeld has a change of another node that waits be taken, or refused on all nodes.
func (d *Desk) DecideHeld(ctx context.Context, id int, take bool) (*console.ClusterReport, error) {
	if d.o.Cluster == nil {
		return nil, noCluster()
	}
	if err := d.o.Cluster.DecideHeld(ctx, id, take); err != nil {
		return nil, err
	}
	return d.Cluster(ctx)
}

// UndoNode undoes what another node did to lists since a time by this node's clock, the latest first. What somebody has changed since stays. One that cannot be undone
// leaves none of the others standing: it may have been made so; the error is of the latest of such.
func (d *Desk) UndoNode(ctx context.Context, node string, q console.ClusterUndo) (*console.ClusterUndone, error) {
	var ids []uint64
	err := d.db.Changes(func(r storage.ChangeRecord) error {
		if r.Node == node && r.Undone == 0 && !r.Time.Before(q.Since) {
			ids = append(ids, r.ID)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	out := &console.ClusterUndone{}
	var failed error
	left := 0
	for _, id := range slices.Backward(ids) {
		c, err := d.Undo(ctx, id)
		switch {
		case err == nil:
		case ctx.Err() != nil, errors.Is(err, storage.ErrBusy), errors.Is(err, storage.ErrWrite):
			return nil, fmt.Errorf("%d changes were undone, and then: %w", out.Changes, err)
		default:
			if left++; failed == nil {
				failed = fmt.Errorf("change %d: %w", id, err)
			}
			continue
		}
		if c.ID != 0 {
			out.Changes++
		}
		out.Kept += c.Skipped
	}
	if failed != nil {
		return nil, fmt.Errorf("%d changes were undone, and %d could not be: %w", out.Changes, left, failed)
	}
	return out, nil
}

// reportChanged has a report as it is now count here, and on the other nodes.
func (d *Desk) reportChanged(r *storage.Report) {
	d.noteWaiting(r)
	if d.o.Cluster == nil {
		return
	}
	if text, err := json.Marshal(r); err == nil {
		d.o.Cluster.ReportChanged(r.ID, r.Changed(), text)
	}
}

// ReportsSince calls yield for the reports to which something was done since a time, as JSON, for the other nodes.
func (d *Desk) ReportsSince(since time.Time, yield func(id string, at time.Time, report []byte) error) error {
	return d.db.ReportsSince(since, func(r storage.Report) error {
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		return yield(r.ID, r.Changed(), text)
	})
}

// mostOthersReports is how many reports wait where those of other nodes find no more room: the rest is for the phones of this node.
var mostOthersReports = storage.MaxReports / 2

// TakeReport takes a report as another node has it. A mark that is new here ends what its caller was trusted with, as one that is made here does.
func (d *Desk) TakeReport(text []byte) error {
	var r storage.Report
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("a report of another node cannot be read: %w", err)
	}
	if err := d.forgottenReport(&r); err != nil {
		return err
	}
	before, err := d.db.Report(r.ID)
	if err != nil && !errors.Is(err, storage.ErrNoReport) {
		return err
	}
	if err != nil { // a new one
		switch open, _, err := d.db.ReportCount(); {
		case err != nil:
			return err
		case open >= mostOthersReports:
			return fmt.Errorf("%d reports wait, and no more of other nodes are taken until some were decided", open)
		}
	}
	kept, changed, err := d.db.MergeReport(r)
	if err != nil || !changed {
		return err
	}
	d.noteWaiting(&kept)
	if !kept.LastTime().After(before.LastTime()) {
		return nil
	}
	d.considerMark(kept.ID)
	shown, ok := d.reveal(kept)
	p := d.force.Rules().Policy
	caller := p.Plan().Parse(shown.Caller.E164)
	if !ok || caller.E164 == "" {
		return nil
	}
	c := traffic.LastCall{Caller: caller}
	if line, there := p.LineNamed(kept.Line); there {
		c.Line = line.Key
	}
	return d.endTrust(p, &c, kept.Owner())
}

func noCluster() error {
	return console.NotFound("there is no cluster here: the daemon's file has no [cluster]")
}
