package daemon

import (
	"context"
	"time"

	"ringfence/storage"
)

// keepBefore says which files of before an upgrade of the database are kept, and deletes them when their time is over, until ctx
// ends.
func (d *Daemon) keepBefore(ctx context.Context) {
	kept, err := storage.BeforeFiles(d.conf.Database())
	for _, b := range kept {
		d.log.Info("the database as it was before an upgrade is kept, for a way back", "file", b.File, "bytes", b.Bytes, "until", b.Goes().Format("2006-01-02"))
	}
	day := time.NewTicker(24 * time.Hour)
	defer day.Stop()
	for {
		var dropped []storage.BeforeFile
		if err == nil {
			dropped, err = storage.DropBefore(d.conf.Database(), d.now())
		}
		for _, b := range dropped {
			d.log.Info("the database as it was before an upgrade was deleted; its time was over", "file", b.File)
		}
		if err != nil {
			d.log.Warn("the database as it was before an upgrade is still there", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-day.C:
			err = nil
		}
	}
}
