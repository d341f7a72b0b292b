package daemon

import (
	"context"
	"sync"

	"ringfence/ami"
	"ringfence/attach"
	"ringfence/conf"
	"ringfence/eslbridge"
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
		a := attach.New(attach.Options{Name: s.Name, Address: s.Address, Log: d.log}, switchOf(s), d.screener.Ended)
		d.attached = append(d.attached, namedAttach{s.Name, s.Kind, a})
		running.Go(func() { a.Run(ctx) }) // it ends with ctx alone, and logs what is in its way
	}
	d.onStop("attach", func(context.Context) error {
		cancel()
		running.Wait()
		return nil
	})
}

// names are the switches' names.
func names(switches []conf.Attach) []string {
	all := make([]string, len(switches))
	for i, s := range switches {
		all[i] = s.Name
	}
	return all
}

func switchOf(s conf.Attach) attach.Switch {
	if s.Kind == conf.KindAsterisk {
		return &ami.Manager{User: s.User, Secret: s.Password}
	}
	return &eslbridge.EventSocket{Password: s.Password}
}

type namedAttach struct {
	name   string
	kind   string
	attach *attach.Client
}

// deafAfter is how many calls of Asterisk are screened without an event of any before it is said that none comes.
const deafAfter = 3

// trouble says why a switch is not attached, or what is wrong though it is: Asterisk lets in a user whom it tells
// nothing of calls. screened is how many of its calls were.
func (a *namedAttach) trouble(screened uint64) string {
	if a.kind == conf.KindAsterisk && a.attach.Attached() && a.attach.Counters.Events.Load() == 0 && screened >= deafAfter {
		return "calls come, but no event of any: the user needs read = call in the switch's manager.conf (then `manager reload`, and `systemctl restart ringfence`)"
	}
	return a.attach.Trouble()
}
