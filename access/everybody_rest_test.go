package access

import (
	"context"
	"io"
	"time"

	"ringfence/console"
)

// What everybody answers that nobody who is bound may see.

func (e *everybody) AcceptFeed(_ context.Context, _ string) (*console.FeedStatus, error) {
	e.asked("AcceptFeed")
	return filled[*console.FeedStatus](), nil
}

func (e *everybody) Activity(_ context.Context, _ console.ActivityQuery) (*console.Activity, error) {
	e.asked("Activity")
	return filled[*console.Activity](), nil
}

func (e *everybody) AddLines(_ context.Context, _ []console.LineSet) ([]console.LineEdit, error) {
	e.asked("AddLines")
	return filled[[]console.LineEdit](), nil
}

func (e *everybody) AddToken(_ context.Context, _ console.NewToken) (*console.MadeToken, error) {
	e.asked("AddToken")
	return filled[*console.MadeToken](), nil
}

func (e *everybody) AddUser(_ context.Context, _ console.NewUser) (*console.UserEdit, error) {
	e.asked("AddUser")
	return filled[*console.UserEdit](), nil
}

func (e *everybody) Audit(_ context.Context, _ console.AuditQuery, yield func(console.AuditEntry) error) error {
	e.asked("Audit")
	return yield(filled[console.AuditEntry]())
}

func (e *everybody) Backup(_ context.Context, _ io.Writer) error {
	e.asked("Backup")
	return nil
}

func (e *everybody) Breakers(_ context.Context, _ console.BreakerQuery, yield func(console.Breaker) error) error {
	e.asked("Breakers")
	return yield(filled[console.Breaker]())
}

func (e *everybody) CheckPolicy(_ context.Context, _ string) (*console.ReloadReport, error) {
	e.asked("CheckPolicy")
	return filled[*console.ReloadReport](), nil
}

func (e *everybody) Cluster(context.Context) (*console.ClusterReport, error) {
	e.asked("Cluster")
	return filled[*console.ClusterReport](), nil
}

func (e *everybody) DecideHeld(context.Context, int, bool) (*console.ClusterReport, error) {
	e.asked("DecideHeld")
	return &console.ClusterReport{}, nil
}

func (e *everybody) UndoNode(context.Context, string, console.ClusterUndo) (*console.ClusterUndone, error) {
	e.asked("UndoNode")
	return &console.ClusterUndone{}, nil
}

func (e *everybody) LeaveCluster(context.Context, string) (*console.ClusterReport, error) {
	e.asked("LeaveCluster")
	return filled[*console.ClusterReport](), nil
}

func (e *everybody) ConfirmReport(_ context.Context, _ string, _ bool) (*console.ReportEdit, error) {
	e.asked("ConfirmReport")
	return filled[*console.ReportEdit](), nil
}

func (e *everybody) DeleteRecords(_ context.Context, _ console.Query) (*console.Deleted, error) {
	e.asked("DeleteRecords")
	return filled[*console.Deleted](), nil
}

func (e *everybody) Detectors(_ context.Context) ([]console.Detector, error) {
	e.asked("Detectors")
	return filled[[]console.Detector](), nil
}

func (e *everybody) Feeds(_ context.Context) ([]console.FeedStatus, error) {
	e.asked("Feeds")
	return filled[[]console.FeedStatus](), nil
}

func (e *everybody) FetchFeed(_ context.Context, _ string) (*console.FeedStatus, error) {
	e.asked("FetchFeed")
	return filled[*console.FeedStatus](), nil
}

func (e *everybody) FitScore(_ context.Context, _ console.FitQuery) (*console.ScoreFit, error) {
	e.asked("FitScore")
	return filled[*console.ScoreFit](), nil
}

func (e *everybody) Forget(_ context.Context, _ console.ForgetQuery) (*console.ForgetReport, error) {
	e.asked("Forget")
	return filled[*console.ForgetReport](), nil
}

func (e *everybody) ForgetKnown(_ context.Context, _ console.KnownForget) (*console.KnownForgotten, error) {
	e.asked("ForgetKnown")
	return filled[*console.KnownForgotten](), nil
}

func (e *everybody) Held(_ context.Context, _ console.HeldQuery, yield func(console.Held) error) error {
	e.asked("Held")
	return yield(filled[console.Held]())
}

func (e *everybody) Import(_ context.Context, _ console.ImportQuery, _ io.Reader) (*console.ImportReport, error) {
	e.asked("Import")
	return filled[*console.ImportReport](), nil
}

func (e *everybody) ImportKnown(_ context.Context, _ console.KnownImport, _ io.Reader) (*console.KnownReport, error) {
	e.asked("ImportKnown")
	return filled[*console.KnownReport](), nil
}

func (e *everybody) ImportLines(_ context.Context, _ console.LineImport, _ io.Reader) (*console.LineReport, error) {
	e.asked("ImportLines")
	return filled[*console.LineReport](), nil
}

func (e *everybody) Known(_ context.Context, _ console.KnownQuery, yield func(console.Acquaintance) error) error {
	e.asked("Known")
	return yield(filled[console.Acquaintance]())
}

func (e *everybody) LiftReport(_ context.Context, _ string) (*console.ReportEdit, error) {
	e.asked("LiftReport")
	return filled[*console.ReportEdit](), nil
}

func (e *everybody) LineHistory(_ context.Context, _ string, yield func(console.LineHistory) error) error {
	e.asked("LineHistory")
	return yield(filled[console.LineHistory]())
}

func (e *everybody) Lists(_ context.Context) ([]console.ListSummary, error) {
	e.asked("Lists")
	return filled[[]console.ListSummary](), nil
}

func (e *everybody) Pause(_ context.Context, _ time.Duration) (*console.PauseState, error) {
	e.asked("Pause")
	return filled[*console.PauseState](), nil
}

func (e *everybody) PinBreaker(_ context.Context, _ console.BreakerName, _ string) (*console.BreakerEdit, error) {
	e.asked("PinBreaker")
	return filled[*console.BreakerEdit](), nil
}

func (e *everybody) Policy(_ context.Context) (*console.PolicyText, error) {
	e.asked("Policy")
	return filled[*console.PolicyText](), nil
}

func (e *everybody) PolicyVersion(_ context.Context, _ string) (*console.PolicyVersionText, error) {
	e.asked("PolicyVersion")
	return filled[*console.PolicyVersionText](), nil
}

func (e *everybody) PolicyVersions(_ context.Context, yield func(console.PolicyVersion) error) error {
	e.asked("PolicyVersions")
	return yield(filled[console.PolicyVersion]())
}

func (e *everybody) PutPolicy(_ context.Context, _ console.PolicyEdit) (*console.PolicyPut, error) {
	e.asked("PutPolicy")
	return filled[*console.PolicyPut](), nil
}

func (e *everybody) Ranges(_ context.Context, _ console.RangeQuery) (*console.RangeReport, error) {
	e.asked("Ranges")
	return filled[*console.RangeReport](), nil
}

func (e *everybody) Reload(_ context.Context) (*console.ReloadReport, error) {
	e.asked("Reload")
	return filled[*console.ReloadReport](), nil
}

func (e *everybody) RemoveLines(_ context.Context, _ []string) ([]console.LineEdit, error) {
	e.asked("RemoveLines")
	return filled[[]console.LineEdit](), nil
}

func (e *everybody) RemoveUser(_ context.Context, _ string) (*console.UserEdit, error) {
	e.asked("RemoveUser")
	return filled[*console.UserEdit](), nil
}

func (e *everybody) ResetBreaker(_ context.Context, _ console.BreakerName) (*console.BreakerEdit, error) {
	e.asked("ResetBreaker")
	return filled[*console.BreakerEdit](), nil
}

func (e *everybody) Resume(_ context.Context) (*console.PauseState, error) {
	e.asked("Resume")
	return filled[*console.PauseState](), nil
}

func (e *everybody) RevokeToken(_ context.Context, _ string) (*console.Token, error) {
	e.asked("RevokeToken")
	return filled[*console.Token](), nil
}

func (e *everybody) ShowReport(_ context.Context, _ string) (*console.ReportEvidence, error) {
	e.asked("ShowReport")
	return filled[*console.ReportEvidence](), nil
}

func (e *everybody) Tokens(_ context.Context) ([]console.Token, error) {
	e.asked("Tokens")
	return filled[[]console.Token](), nil
}

func (e *everybody) TryPolicy(_ context.Context, _ console.TryQuery) (*console.TryReport, error) {
	e.asked("TryPolicy")
	return filled[*console.TryReport](), nil
}

func (e *everybody) UnpinBreaker(_ context.Context, _ console.BreakerName) (*console.BreakerEdit, error) {
	e.asked("UnpinBreaker")
	return filled[*console.BreakerEdit](), nil
}

func (e *everybody) Users(_ context.Context) ([]console.User, error) {
	e.asked("Users")
	return filled[[]console.User](), nil
}

func (e *everybody) Verify(_ context.Context) (*console.VerifyReport, error) {
	e.asked("Verify")
	return filled[*console.VerifyReport](), nil
}
