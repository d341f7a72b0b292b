package daemon

import (
	"context"
	"errors"

	"ringfence/screening"
	"ringfence/storage"
	"ringfence/traffic"
)

// forget drops what memory has of a number.
func (d *Daemon) forget(e164 string) int {
	return d.screener.ForgetNumber(e164) + d.keeper.Forget(e164)
}

// lastCallsOf calls yield for what is remembered of a number as the last caller of an extension, or as the last who was stopped.
func (d *Daemon) lastCallsOf(e164 string, yield func(extension string, c traffic.LastCall)) {
	d.memory.LastCalls.Of(e164, yield)
	d.memory.Stopped.Of(e164, yield)
}

// protect brings a database that is from before to what is asked now, while calls are screened: who was forgotten is taken out of it, and a
// private installation hides callers. What cannot be done is tried again at the next start.
func (d *Daemon) protect(ctx context.Context) {
	select {
	case <-d.desk.ListsRead():
	case <-ctx.Done():
		return
	}
	done, err := d.desk.ApplyForgotten(ctx)
	switch {
	case ctx.Err() != nil, errors.Is(err, storage.ErrClosed):
		return
	case err != nil:
		d.log.Error("who was forgotten could not be taken out of the database; it is tried again at the next start", "error", err)
	case done > 0:
		d.log.Warn("the database is from before somebody was forgotten, and they were taken out of it again", "records", done)
	}
	done, err = d.desk.HideKept(ctx, func() (int, error) { return screening.HideFacts(d.db, d.memory) })
	switch {
	case ctx.Err() != nil, errors.Is(err, storage.ErrClosed):
	case err != nil:
		d.log.Error("what is kept from before [journal] private could not all be hidden; it is tried again at the next start", "error", err)
	case done > 0:
		d.log.Info("callers are hidden in what is kept from before [journal] private", "records", done)
	}
}
