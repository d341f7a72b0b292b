package daemon

import (
	"context"
	"sync"

	"ringfence/ami"
	"ringfence/attach"
	"ringfence/conf"
	"ringfence/eslbridge"
	"ringfence/storage"
)

// attach connects to the switches of the daemon's file, to learn what became of calls. Nothing on a call's way waits
// for it: a switch that does not answer is tried again in the background.
func (d *Daemon) attach(ctx context.Context, switches []conf.Attach) {
	if len(switches) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	for _, s := range switches {
		a := attach.New(attach.Options{Name: s.Name, Address: s.Address, Log: d.log}, switchOf(s), d.desk.Ended)
		d.attached = append(d.attached, namedAttach{s.Name, a})
		running.Go(func() { a.Run(ctx) }) // it ends with ctx alone, and logs what is in its way
	}
	d.onStop("attach", func(context.Context) error {
		cancel()
		running.Wait()
		return nil
	})
}

func switchOf(s conf.Attach) attach.Switch {
	if s.Kind == conf.KindAsterisk {
		return &ami.Manager{User: s.User, Secret: s.Password}
	}
	return &eslbridge.EventSocket{Password: s.Password}
}

type namedAttach struct {
	name   string
	attach *attach.Client
}

// outcome completes the journal's record of a call that was screened.
func (d *Desk) outcome(e *attach.CallEnd) {
	d.journal.Outcome(e.RingfenceID, storage.Outcome{
		Answered: e.Answered, RingS: e.Ring.Seconds(), TalkS: e.Talk.Seconds(), Cause: e.Cause, By: e.By,
	})
}
