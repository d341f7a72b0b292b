package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/semaphore"

	"ringfence/storage"
)

const (
	takeMost  = 1000            // messages that wait to be taken
	takeBytes = 16 << 20        // and what they have in all
	takeAlive = 5 * time.Second // how often a server that has nothing says so
	askWait   = 5 * time.Second // for the server's answer about the stream
)

// take reads what other nodes tell, for ever: where the stream was left, or from its begin if it is another.
func (c *Cluster) take(ctx context.Context) {
	for ctx.Err() == nil {
		reading, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- c.takeStream(reading) }()
		var err error
		select {
		case err = <-done:
			cancel()
		case <-c.anew: // the stream may be another
			cancel()
			<-done
		case <-ctx.Done():
			cancel()
			<-done
			return
		}
		if c.lost(err); err == nil {
			continue
		}
		again := time.NewTimer(time.Second)
		select {
		case <-again.C:
		case <-c.anew:
		case <-ctx.Done():
		}
		again.Stop()
	}
}

func (c *Cluster) takeStream(ctx context.Context) error {
	if !c.nc().IsConnected() {
		return errors.New("no server of [cluster] is connected")
	}
	asking, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	s, err := c.stream(asking)
	if err != nil {
		return fmt.Errorf("the stream of changes: %w", err)
	}
	info, err := s.Info(asking)
	if err != nil {
		return fmt.Errorf("the stream of changes: %w", err)
	}
	c.hasStore()
	c.mu.Lock()
	if made := info.Created.UnixNano(); c.at.Stream != made || c.at.Seq > info.State.LastSeq { // or its store was put back
		c.at = position{Stream: made}
		signal(c.soon)
	}
	if info.State.FirstSeq > c.at.Seq+1 {
		signal(c.soon) // what was told meanwhile is gone
	}
	from := c.at.Seq + 1
	c.level = c.at.Seq == info.State.LastSeq
	c.mu.Unlock()
	consumer, err := s.OrderedConsumer(asking, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{c.subject("change", "*")}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from, InactiveThreshold: time.Minute,
		MaxResetAttempts: 1, // of several servers it may lie on one that is gone, and stays there by its name: another one is made
	})
	if err != nil {
		return fmt.Errorf("the stream of changes: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(takeMost, takeBytes), jetstream.PullHeartbeat(takeAlive))
	if err != nil {
		return fmt.Errorf("the stream of changes: %w", err)
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	context.AfterFunc(ctx, messages.Stop) // beside: it waits while the iterator is being made anew
	return c.takeMessages(ctx, messages)
}

// takeMessages takes what comes, as much of it at a time as there is.
func (c *Cluster) takeMessages(ctx context.Context, messages jetstream.MessagesContext) error {
	came := make(chan jetstream.Msg, takeMost)
	ended := make(chan error, 1)
	room := semaphore.NewWeighted(takeBytes)
	go func() {
		defer close(came)
		for {
			m, err := messages.Next(jetstream.NextContext(ctx))
			if err == nil {
				err = room.Acquire(ctx, weight(m))
			}
			if err != nil {
				ended <- err
				return
			}
			select {
			case came <- m:
			case <-ctx.Done():
				ended <- ctx.Err()
				return
			}
		}
	}()
	for {
		var first jetstream.Msg
		select {
		case <-ctx.Done(): // the iterator may be stopped while it is being made anew, and then not tell: nobody waits for it
			return ctx.Err()
		case m, ok := <-came:
			if !ok {
				return <-ended
			}
			first = m
		}
		batch := []jetstream.Msg{first}
	gather:
		for len(batch) < takeMost {
			select {
			case m, ok := <-came:
				if !ok {
					break gather
				}
				batch = append(batch, m)
			default:
				break gather
			}
		}
		var weighs int64
		for _, m := range batch {
			weighs += weight(m)
		}
		for err := c.takeBatch(ctx, batch); err != nil; err = c.takeBatch(ctx, batch) { // a full disk, say: nothing is passed over
			if ctx.Err() != nil {
				return ctx.Err()
			}
			c.o.Log.Error("what other nodes changed cannot be written, and is tried again", "error", err)
			if !wait(ctx, 2*time.Second) {
				return ctx.Err()
			}
		}
		room.Release(weighs)
	}
}

// weight is what a message that waits takes of the memory for such.
func weight(m jetstream.Msg) int64 { return min(int64(len(m.Data()))+256, takeBytes) }

// change is what is taken at once: rows of one list, from one node.
type change struct {
	list string
	of   storage.Foreign
	rows []storage.Row
}

// takeBatch takes messages of the stream, those that follow each other and are of one node and list together.
func (c *Cluster) takeBatch(ctx context.Context, batch []jetstream.Msg) error {
	var now change
	var last, pending uint64
	flush := func() error {
		if len(now.rows) == 0 {
			return nil
		}
		n, err := c.merge(ctx, now.list, now.rows, now.of)
		if err != nil {
			return err
		}
		if n > 0 {
			c.changed(now.list)
		}
		now.rows = now.rows[:0]
		return nil
	}
	took := map[string]uint64{}
	c.mu.Lock()
	c.taking = true // until it is done: one that cannot be written is tried again
	c.mu.Unlock()
	for _, m := range batch {
		meta, err := m.Metadata()
		if err != nil {
			c.counts.garbled.Add(1)
			continue
		}
		last, pending = meta.Sequence.Stream, meta.NumPending
		node, ok := c.sender(m.Subject())
		if !ok {
			c.counts.garbled.Add(1)
			continue
		}
		if node == c.o.Node {
			continue
		}
		h, rows, err := c.read(m.Data())
		if err != nil {
			c.troubleWith(node, err)
			continue
		}
		if took[node] = h.ID; len(rows) == 0 {
			if h.Part == 0 {
				c.tooLarge(node, h.List)
			}
			continue
		}
		of := storage.Foreign{Node: node, ID: h.ID, Kind: h.Kind, By: storage.By{Who: h.Who, From: h.From}, Source: h.Source, Time: time.UnixMilli(h.Time)}
		if now.list != h.List || now.of.Node != node || now.of.Kind != h.Kind || now.of.By != of.By || len(now.rows)+len(rows) > storage.MaxEdit {
			if err := flush(); err != nil {
				return err
			}
		}
		now.list, now.of, now.rows = h.List, of, append(now.rows, rows...)
	}
	if err := flush(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at.Seq = max(c.at.Seq, last)
	c.level, c.taking = pending == 0, false
	for node, id := range took {
		if p := c.peers[node]; p != nil {
			if p.took = id; p.Told <= id {
				p.behind = time.Time{}
			}
		}
	}
	return nil
}

// tooLarge notes that a node has changed a list by so many rows that they are fetched.
func (c *Cluster) tooLarge(node, list string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if lists := c.large[node]; len(lists) < maxSums && (lists != nil || len(c.large) < maxNodes) && !slices.Contains(lists, list) {
		c.large[node] = append(lists, list)
	}
	signal(c.soon)
}

// read reads a message with rows that another node has sent.
func (c *Cluster) read(b []byte) (h head, rows []storage.Row, err error) {
	h, body, err := unpack(b)
	if err != nil {
		c.counts.garbled.Add(1)
		return h, nil, err
	}
	if h.Numbers != c.o.Numbers() {
		c.counts.foreign.Add(1)
		return h, nil, fmt.Errorf("it reads numbers otherwise (%.100q, and this node %q): bring all nodes to one version and one country", h.Numbers, c.o.Numbers())
	}
	rows, err = c.rowsIn(body)
	return h, rows, err
}

// troubleWith notes what did not work with one node.
func (c *Cluster) troubleWith(node string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[node]
	if p == nil || p.why == err.Error() {
		return
	}
	p.why = err.Error()
	if ago := c.o.Now().Sub(p.said); ago >= 0 && ago < heldLogs { // it may be another one each time
		return
	}
	p.said = c.o.Now()
	c.o.Log.Warn("what another node says is not taken", "from", node, "error", err)
}
