package desk

import (
	"context"
	"time"

	"ringfence/console"
)

// looks is how many questions look through the journal at once: each takes a processor, and calls are decided on the same ones. Others wait for looksWait.
const (
	looks     = 2
	looksWait = 15 * time.Second
)

// look waits for a place among those who look through the journal. Who has one calls done.
func (d *Desk) look(ctx context.Context) (done func(), err error) {
	select { // the usual case needs no timer
	case d.looking <- struct{}{}:
		return d.looked, nil
	default:
	}
	timeout := time.NewTimer(looksWait)
	defer timeout.Stop()
	select {
	case d.looking <- struct{}{}:
		return d.looked, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timeout.C:
		return nil, console.Conflict("too many are looking through the calls at this moment: try again in a moment")
	}
}

func (d *Desk) looked() { <-d.looking }
