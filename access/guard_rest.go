package access

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"ringfence/console"
)

func (g *guard) Known(ctx context.Context, q console.KnownQuery, yield func(console.Acquaintance) error) error {
	return each(g, ctx, "Known", func(*asked) error { return g.desk.Known(ctx, q, yield) })
}

func (g *guard) ImportKnown(ctx context.Context, q console.KnownImport, file io.Reader) (*console.KnownReport, error) {
	return change(g, ctx, "ImportKnown", q.File, func(a *asked) (*console.KnownReport, error) {
		r, err := g.desk.ImportKnown(ctx, q, file)
		if err == nil {
			a.quiet = q.DryRun
			a.entry.Detail = fmt.Sprintf("%d added, %d refused", r.Added, r.Refused)
		}
		return r, err
	})
}

func (g *guard) ForgetKnown(ctx context.Context, q console.KnownForget) (*console.KnownForgotten, error) {
	return change(g, ctx, "ForgetKnown", q.Line, func(a *asked) (*console.KnownForgotten, error) {
		f, err := g.desk.ForgetKnown(ctx, q)
		if err == nil {
			a.entry.Detail = "one number, of " + plenty(len(f.Lines), "line")
		}
		return f, err
	})
}

func (g *guard) FitScore(ctx context.Context, q console.FitQuery) (*console.ScoreFit, error) {
	return see(g, ctx, "FitScore", func(*asked) (*console.ScoreFit, error) { return g.desk.FitScore(ctx, q) })
}

func (g *guard) Detectors(ctx context.Context) ([]console.Detector, error) {
	return see(g, ctx, "Detectors", func(*asked) ([]console.Detector, error) { return g.desk.Detectors(ctx) })
}

func (g *guard) Breakers(ctx context.Context, q console.BreakerQuery, yield func(console.Breaker) error) error {
	return each(g, ctx, "Breakers", func(*asked) error { return g.desk.Breakers(ctx, q, yield) })
}

// The key of a breaker may be a caller's number, so the audit has the detector alone.

func (g *guard) ResetBreaker(ctx context.Context, b console.BreakerName) (*console.BreakerEdit, error) {
	return change(g, ctx, "ResetBreaker", b.Detector, func(a *asked) (*console.BreakerEdit, error) {
		return breakerEdit(a)(g.desk.ResetBreaker(ctx, b))
	})
}

func (g *guard) PinBreaker(ctx context.Context, b console.BreakerName, how string) (*console.BreakerEdit, error) {
	return change(g, ctx, "PinBreaker", b.Detector, func(a *asked) (*console.BreakerEdit, error) {
		e, err := breakerEdit(a)(g.desk.PinBreaker(ctx, b, how))
		a.entry.Detail += " " + how
		return e, err
	})
}

func (g *guard) UnpinBreaker(ctx context.Context, b console.BreakerName) (*console.BreakerEdit, error) {
	return change(g, ctx, "UnpinBreaker", b.Detector, func(a *asked) (*console.BreakerEdit, error) {
		return breakerEdit(a)(g.desk.UnpinBreaker(ctx, b))
	})
}

func breakerEdit(a *asked) func(*console.BreakerEdit, error) (*console.BreakerEdit, error) {
	return func(e *console.BreakerEdit, err error) (*console.BreakerEdit, error) {
		if err == nil {
			a.entry.Detail = e.Change
		}
		return e, err
	}
}

func (g *guard) Policy(ctx context.Context) (*console.PolicyText, error) {
	return see(g, ctx, "Policy", func(*asked) (*console.PolicyText, error) { return g.desk.Policy(ctx) })
}

func (g *guard) CheckPolicy(ctx context.Context, text string) (*console.ReloadReport, error) {
	return see(g, ctx, "CheckPolicy", func(*asked) (*console.ReloadReport, error) { return g.desk.CheckPolicy(ctx, text) })
}

func (g *guard) PutPolicy(ctx context.Context, edit console.PolicyEdit) (*console.PolicyPut, error) {
	return change(g, ctx, "PutPolicy", "", func(a *asked) (*console.PolicyPut, error) {
		p, err := g.desk.PutPolicy(ctx, edit)
		if err == nil {
			a.entry.Subject, a.entry.Detail = p.Version, edit.Note
			if slices.ContainsFunc(p.Faults, func(f console.Fault) bool { return !f.Warning }) {
				a.entry.Failed = "the text has faults"
			}
		}
		return p, err
	})
}

func (g *guard) PolicyVersions(ctx context.Context, yield func(console.PolicyVersion) error) error {
	return each(g, ctx, "PolicyVersions", func(*asked) error { return g.desk.PolicyVersions(ctx, yield) })
}

func (g *guard) PolicyVersion(ctx context.Context, id string) (*console.PolicyVersionText, error) {
	return see(g, ctx, "PolicyVersion", func(*asked) (*console.PolicyVersionText, error) { return g.desk.PolicyVersion(ctx, id) })
}

func (g *guard) TryPolicy(ctx context.Context, q console.TryQuery) (*console.TryReport, error) {
	return see(g, ctx, "TryPolicy", func(*asked) (*console.TryReport, error) { return g.desk.TryPolicy(ctx, q) })
}

func (g *guard) Reload(ctx context.Context) (*console.ReloadReport, error) {
	return change(g, ctx, "Reload", "", func(a *asked) (*console.ReloadReport, error) {
		r, err := g.desk.Reload(ctx)
		if err == nil && !r.Loaded {
			a.entry.Failed = "the file has faults"
		}
		return r, err
	})
}

func (g *guard) Status(ctx context.Context) (*console.Status, error) {
	return see(g, ctx, "Status", func(a *asked) (*console.Status, error) {
		s, err := g.desk.Status(ctx)
		if err != nil || a.scope == nil {
			return s, err
		}
		// Whether calls to their lines are screened is about these; all else is not.
		return &console.Status{Mode: s.Mode, Pause: console.PauseState{Paused: s.Pause.Paused, Since: s.Pause.Since, Until: s.Pause.Until}}, nil
	})
}

func (g *guard) Pause(ctx context.Context, d time.Duration) (*console.PauseState, error) {
	return change(g, ctx, "Pause", "", func(a *asked) (*console.PauseState, error) {
		if a.entry.Detail = "until resumed"; d > 0 {
			a.entry.Detail = "for " + d.String()
		}
		return g.desk.Pause(ctx, d)
	})
}

func (g *guard) Resume(ctx context.Context) (*console.PauseState, error) {
	return change(g, ctx, "Resume", "", func(*asked) (*console.PauseState, error) { return g.desk.Resume(ctx) })
}

// A backup changes nothing, but it has all there is in it.
func (g *guard) Backup(ctx context.Context, w io.Writer) error {
	_, err := change(g, ctx, "Backup", "", func(*asked) (struct{}, error) { return struct{}{}, g.desk.Backup(ctx, w) })
	return err
}

func (g *guard) Verify(ctx context.Context) (*console.VerifyReport, error) {
	return see(g, ctx, "Verify", func(*asked) (*console.VerifyReport, error) { return g.desk.Verify(ctx) })
}

func (g *guard) Cluster(ctx context.Context) (*console.ClusterReport, error) {
	return see(g, ctx, "Cluster", func(*asked) (*console.ClusterReport, error) { return g.desk.Cluster(ctx) })
}

func (g *guard) DecideHeld(ctx context.Context, id int, take bool) (*console.ClusterReport, error) {
	what := fmt.Sprint("refuse ", id)
	if take {
		what = fmt.Sprint("take ", id)
	}
	return change(g, ctx, "DecideHeld", what, func(*asked) (*console.ClusterReport, error) { return g.desk.DecideHeld(ctx, id, take) })
}

func (g *guard) UndoNode(ctx context.Context, node string, q console.ClusterUndo) (*console.ClusterUndone, error) {
	return change(g, ctx, "UndoNode", node, func(*asked) (*console.ClusterUndone, error) { return g.desk.UndoNode(ctx, node, q) })
}

func (g *guard) LeaveCluster(ctx context.Context, node string) (*console.ClusterReport, error) {
	return change(g, ctx, "LeaveCluster", node, func(*asked) (*console.ClusterReport, error) { return g.desk.LeaveCluster(ctx, node) })
}
