package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ringfence/storage"
)

const (
	tellEvery = 50 * time.Millisecond // how soon a change is seen
	tellMost  = 500                   // messages that wait for the server's word at a time
	tellBytes = 16 << 20              // and bytes of them: a server whose disk is full does not take them, again and again
	tellWait  = 5 * time.Second       // for that
	keepTold  = 7 * 24 * time.Hour    // how long the stream keeps changes
	sameTold  = 10 * time.Minute      // how long the server knows a change that comes again
	maxStream = 1 << 30               // bytes
	// maxCounted is how many changes that wait are counted.
	maxCounted = 10_000
)

// tell publishes what was changed here, in its order.
func (c *Cluster) tell(ctx context.Context) {
	every := time.NewTicker(tellEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		if !c.nc().IsConnected() || c.isStale() {
			c.countWaiting()
			continue
		}
		more, err := true, error(nil)
		for more && err == nil && ctx.Err() == nil { // what a node did that was alone is told without a rest
			if more, err = c.tellSome(ctx); more {
				c.countWaiting()
			}
		}
		if ctx.Err() != nil {
			return
		}
		c.setStuck(err != nil)
		if c.lost(err); err != nil {
			c.countWaiting() // it is connected, and does not take them
			if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse) {
				signal(c.anew) // there is no stream: who reads it makes it
			}
			if !wait(ctx, time.Second) {
				return
			}
		}
	}
}

// setStuck notes whether the servers are there and take no changes: the others are told, and find these by comparing lists meanwhile.
func (c *Cluster) setStuck(stuck bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.o.Now(); stuck && now.Sub(c.stuckSum) > seekEvery/2 {
		c.stuckSum = now
		signal(c.soon)
	}
	c.stuck = stuck
}

// countWaiting counts, each second, the changes that cannot be told now.
func (c *Cluster) countWaiting() {
	c.mu.Lock()
	told, due := c.told, c.o.Now().Sub(c.counted) >= time.Second
	if due {
		c.counted = c.o.Now()
	}
	c.mu.Unlock()
	if !due {
		return
	}
	waits := 0
	err := c.o.Store.ChangesAfter(told, func(r storage.ChangeRecord) error {
		if r.Node == "" && r.List != "" {
			waits++
		}
		if waits == maxCounted {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits = waits
}

func (c *Cluster) isStale() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stale
}

var errEnough = errors.New("enough for now")

// tellSome publishes some changes, and notes them as told when the server has them. It reports whether there are more.
func (c *Cluster) tellSome(ctx context.Context) (more bool, err error) {
	c.mu.Lock()
	told := c.told
	c.mu.Unlock()
	var acks []jetstream.PubAckFuture
	last, own, size := told, uint64(0), 0
	err = c.o.Store.ChangesAfter(told, func(r storage.ChangeRecord) error {
		if len(acks) >= tellMost || size >= tellBytes {
			return errEnough
		}
		if r.ID > c.noted { // what could not be told comes again
			c.noted = r.ID
			c.changed(r.List)
		}
		if r.Node == "" && r.List != "" {
			more, err := c.tellChange(&r)
			if acks = append(acks, more...); err != nil {
				return err
			}
			for _, ack := range more {
				size += len(ack.Msg().Data)
			}
			own = r.ID
		}
		last = r.ID
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return false, err
	}
	more = err != nil
	if last == told {
		return false, nil
	}
	deadline := time.NewTimer(tellWait)
	defer deadline.Stop()
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return false, fmt.Errorf("the server does not take changes: %w", err)
		case <-deadline.C:
			return false, errors.New("the server does not answer")
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	c.mu.Lock()
	if c.told, c.own = last, max(c.own, own); !more {
		c.waits = 0
	}
	c.mu.Unlock()
	return more, nil
}

// tellChange publishes one change, in parts.
func (c *Cluster) tellChange(r *storage.ChangeRecord) (acks []jetstream.PubAckFuture, err error) {
	h := head{Numbers: c.o.Numbers(), List: r.List, ID: r.ID, Kind: r.Kind, Who: r.Who, From: r.From, Source: r.Source, Time: r.Time.UnixMilli()}
	publish := func(rows []storage.Row) error {
		b, err := packRows(&h, rows)
		if err != nil {
			return err
		}
		m := nats.NewMsg(c.subject("change", c.o.Node))
		m.Data = b
		// A backup that is put back counts on from an older change: the time tells its changes from those.
		id := fmt.Sprintf("%s-%d-%d-%d", c.o.Node, r.ID, h.Part, h.Time)
		ack, err := c.js().PublishMsgAsync(m, jetstream.WithMsgID(id))
		if err != nil {
			return err
		}
		acks = append(acks, ack)
		h.Part++
		return nil
	}
	if r.Rows > c.o.MaxTold {
		signal(c.soon) // so that the sums of the list are as it is
		h.Last = true
		return acks, publish(nil)
	}
	var page []storage.Row
	if err := c.o.Store.ChangeRows(r.ID, func(rows []storage.Row) error {
		page = append(page, rows...)
		for n := fit(page); n < len(page); n = fit(page) {
			if err := publish(page[:n]); err != nil {
				return err
			}
			page = slices.Delete(page, 0, n)
		}
		return nil
	}); err != nil {
		return acks, err
	}
	h.Last = true
	return acks, publish(page)
}

// stream finds the stream of changes, and makes it if there is none.
func (c *Cluster) stream(ctx context.Context) (jetstream.Stream, error) {
	s, err := c.js().Stream(ctx, c.streamName())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = c.replicated(func(replicas int) (err error) {
			s, err = c.js().CreateStream(ctx, jetstream.StreamConfig{
				Name: c.streamName(), Description: "changes of Ringfence's lists", Subjects: []string{c.subject("change", "*")}, Replicas: replicas,
				MaxAge: keepTold, MaxBytes: maxStream, Discard: jetstream.DiscardOld, Duplicates: sameTold, Storage: jetstream.FileStorage,
			})
			return err
		})
	}
	return s, err
}

// replicated makes what servers keep: on three of them where they are so many that are routes of each other, so that it outlives the loss of one, else on
// one.
func (c *Cluster) replicated(create func(replicas int) error) error {
	if c.nc().ConnectedClusterName() == "" {
		return create(1)
	}
	err := create(3)
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == noPeers || api.ErrorCode == noReplicas) {
		return create(1)
	}
	return err
}

// What a server says to replicas that it cannot make, by its errors.json.
const (
	noPeers    jetstream.ErrorCode = 10005 // there are fewer servers
	noReplicas jetstream.ErrorCode = 10074 // it is not part of a cluster
)
