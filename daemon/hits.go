package daemon

import (
	"context"
	"time"

	"ringfence/storage"
)

// hitsEvery is how often it is written down how often the entries of lists decided.
const hitsEvery = 10 * time.Second

// writeHits writes hits down until ctx ends, and once more then. What the disk does not take is lost, and counted.
func (d *Daemon) writeHits(ctx context.Context) {
	tick := time.NewTicker(hitsEvery)
	defer tick.Stop()
	failing := false
	for done := false; !done; {
		select {
		case <-ctx.Done():
			done = true
		case <-tick.C:
		}
		hits := d.memory.Hits.Take()
		rows := make([]storage.Hit, len(hits))
		for i, h := range hits {
			rows[i] = storage.Hit(h)
		}
		err := d.db.AddHits(rows)
		if err != nil {
			d.memory.Hits.Drop(hits)
			if !failing {
				d.log.Error("the hits of list entries cannot be written down", "error", err)
			}
		}
		failing = err != nil
	}
}
