package daemon

import (
	"context"
	"sync"

	"ringfence/conf"
	"ringfence/eslbridge"
	"ringfence/storage"
)

// attach connects to the event sockets of the daemon's file, to learn what became of calls. Nothing on a
// call's way waits for it: a switch that does not answer is tried again in the background.
func (d *Daemon) attach(ctx context.Context, switches []conf.Attach) {
	if len(switches) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	for _, s := range switches {
		a := eslbridge.NewAttach(eslbridge.AttachOptions{Name: s.Name, Address: s.Address, Password: s.Password, Log: d.log}, d.desk.Ended)
		d.attached = append(d.attached, namedAttach{s.Name, a})
		running.Go(func() { a.Run(ctx) }) // it ends with ctx alone, and logs what is in its way
	}
	d.onStop("attach", func(context.Context) error {
		cancel()
		running.Wait()
		return nil
	})
}

type namedAttach struct {
	name   string
	attach *eslbridge.Attach
}

// outcome completes the journal's record of a call that was screened.
func (d *Desk) outcome(e *eslbridge.CallEnd) {
	d.journal.Outcome(e.RingfenceID, storage.Outcome{
		Answered: e.Answered, RingS: e.Ring.Seconds(), TalkS: e.Talk.Seconds(), Cause: e.Cause, By: e.By,
	})
}
