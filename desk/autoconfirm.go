package desk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

// Above a confidence that the administrator sets ([reports] auto_confirm) a mark is confirmed without a person.

const (
	// maxMarked is how many marks wait to be looked at. More than that wait for a person.
	maxMarked = 256
	// autoWho is who confirms then.
	autoWho = "auto"
	// autoPause lets other work come in between.
	autoPause = time.Second
)

// considerMark has a report looked at by ConfirmByItself.
func (d *Desk) considerMark(id string) {
	if d.conf.Reports.AutoConfirm == 0 {
		return
	}
	select {
	case d.marked <- id:
	default: // a person decides
	}
}

// ConfirmByItself looks at each mark that is made, until ctx ends. What it does not confirm waits for a person.
func (d *Desk) ConfirmByItself(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-d.marked:
			if _, err := d.confirmIfSure(ctx, id); err != nil && ctx.Err() == nil && !errors.Is(err, storage.ErrNoReport) {
				d.o.Log.Error("a mark could not be looked at for auto_confirm; it waits for a person", "report", id, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(autoPause):
		}
	}
}

// confirmIfSure confirms a report of which the evidence is surer than the administrator asks for. It never confirms one of a single customer, nor
// that of a caller whom two lines deal with or who is trusted.
func (d *Desk) confirmIfSure(ctx context.Context, id string) (done bool, err error) {
	r, err := d.db.Report(id)
	if err != nil || r.State != storage.ReportOpen {
		return false, err
	}
	e, block, err := d.evidence(ctx, &r)
	if err != nil || block == nil || e.Cut {
		return false, err
	}
	p := d.force.Rules().Policy
	knowing := make(map[string]bool)
	for _, line := range e.Known {
		knowing[p.CustomerOf(line)] = true
	}
	if e.Customers < 2 || len(knowing) >= 2 || e.Confidence < d.conf.Reports.AutoConfirm {
		return false, nil
	}
	ctx = console.WithBy(ctx, console.By{Who: autoWho, From: "auto_confirm"})
	if _, err := d.ConfirmReport(ctx, id, false); err != nil {
		if errors.Is(err, console.ErrConflict) { // as of one that is trusted
			return false, nil
		}
		return false, err
	}
	d.o.Log.Info("a mark was confirmed by itself", "report", id, "confidence", fmt.Sprint(e.Confidence), "customers", e.Customers)
	return true, nil
}
