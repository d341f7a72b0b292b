package standin

import (
	"context"
	"time"
)

// push queues what sendmsg brought in async mode.
func (ch *channel) push(p *packet) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.queue = append(ch.queue, p)
}

// runQueue looks at everything that is queued, in order.
func (ch *channel) runQueue() {
	for {
		ch.mu.Lock()
		if len(ch.queue) == 0 {
			ch.mu.Unlock()
			return
		}
		p := ch.queue[0]
		ch.queue = ch.queue[1:]
		ch.served = true
		ch.mu.Unlock()
		ch.private(p)
	}
}

// nudge wakes the channel's thread.
func (ch *channel) nudge() {
	select {
	case ch.wake <- struct{}{}:
	default:
	}
}

// listenerEnded is what the end of the socket does to the channel. With
// socket_resume it puts it into reset, wherever it is by then: that brings a
// parked channel back into its extension, leaves a sync one hanging, and tears
// down one that the guard has bridged.
func (ch *channel) listenerEnded(resume bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.down || ch.where == sentAway || !resume && !isTrue(ch.getLocked("socket_resume")) {
		return
	}
	if ch.where == taken {
		ch.res.Killed = true
		ch.hangupLocked(causeOf("NORMAL_CLEARING"))
		return
	}
	ch.reset = true
	ch.stopLocked()
}

// runSync takes the call through the socket application in sync mode: the
// listener is the channel's thread.
func (ch *channel) runSync(ctx context.Context, l *listener) {
	l.run()
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.tookLocked()
	switch {
	case ctx.Err() != nil, ch.down, ch.where == sentAway:
	case ch.reset:
		ch.where, ch.res.Stuck = stranded, true
	default:
		ch.where, ch.res.Rang = goneOn, true
	}
}

// runAsync is the channel's thread in async mode: it parks the channel, looks
// after it every 20 ms, and sees what becomes of it when the listener is gone.
func (ch *channel) runAsync(ctx context.Context, l *listener) {
	select {
	case <-l.connected:
	case <-l.gone:
	case <-ch.stopped():
	}
	for ctx.Err() == nil && ch.ready() && ch.at() == inSocket && !closed(l.gone) {
		ch.runQueue()
		ch.pause(ch.stopped())
	}
	ch.event("CHANNEL_UNPARK")
	ch.runQueue() // what was queued last is still done
	ch.socketEnded()
	if ctx.Err() == nil {
		ch.leaveParking()
	}
	ch.elsewhere(ctx, l)
}

// leaveParking ends the stay in the socket application, unless the call was
// taken away or hung up before.
//
// Without socket_resume a parked channel is let go when the listener ends; one
// that was not yet parked then has nobody to let it go. On the real switch the
// two run a race of about a millisecond. Here the peer has to lose it, unless
// an application has run, which shows that the channel was parked.
func (ch *channel) leaveParking() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.down || ch.where != inSocket {
		return
	}
	ch.tookLocked()
	if ch.reset || ch.served {
		ch.where, ch.res.Rang = goneOn, true
	} else {
		ch.where, ch.res.Stuck = stranded, true
	}
}

func (ch *channel) at() place {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.where
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// pause waits for the next look at a channel, or until it is stopped.
func (ch *channel) pause(stopped <-chan struct{}) {
	t := time.NewTimer(pollEvery)
	defer t.Stop()
	select {
	case <-t.C:
	case <-stopped:
	case <-ch.wake:
	}
}

// elsewhere is the call's way after the socket application, as far as the
// socket's end or a guard can still reach it.
func (ch *channel) elsewhere(ctx context.Context, l *listener) {
	defer ch.finish()
	// A call that hangs, or that was sent away, is fetched by a guard that was left pending.
	for ctx.Err() == nil && !ch.isDown() && (ch.at() == stranded || ch.at() == sentAway) {
		ch.mu.Lock()
		pending := len(ch.tasks) > 0
		ch.mu.Unlock()
		if !pending {
			break
		}
		ch.pause(nil)
	}
	if w := ch.at(); w == goneOn || w == stranded {
		return
	}
	ch.mu.Lock()
	if !ch.down {
		ch.stop = make(chan struct{}) // what plays at the destination is another matter
	}
	if ch.where == taken && ch.call.GuardUnsets {
		ch.vars.del("socket_resume")
	}
	ch.mu.Unlock()
	over := time.NewTimer(ch.talk())
	defer over.Stop()
	for ctx.Err() == nil && !ch.isDown() && !closed(l.gone) {
		ch.runQueue()
		select {
		case <-over.C:
			ch.hangup(causeOf("NORMAL_CLEARING"))
		default:
			ch.pause(ch.stopped())
		}
	}
}

func (ch *channel) talk() time.Duration {
	if ch.call.TalkFor > 0 {
		return ch.call.TalkFor
	}
	return time.Second
}

// finish sends the last events of a call that was hung up.
func (ch *channel) finish() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.down {
		ch.tookLocked()
		ch.lastEventsLocked()
	}
	close(ch.ended)
}
