package cluster

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Fact is something that calls have taught: of a key of a table, when it was last so. The later time counts, however often it is told, so that facts
// travel without the stream: at once, and each minute those that were learnt since the last time, for whoever missed some.
type Fact struct {
	Table string `json:"t"`
	Key   []byte `json:"k"`  // 1 to 256 bytes
	At    int64  `json:"at"` // milliseconds since 1970
	// Value is all of it, where a time does not say it: a report. Whoever takes it knows which of two is the later.
	Value json.RawMessage `json:"v,omitempty"`
}

// ReportChanged tells other nodes of a report, as JSON.
func (c *Cluster) ReportChanged(id string, at time.Time, report []byte) {
	c.Learnt([]Fact{{Table: TableReports, Key: []byte(id), At: at.UnixMilli(), Value: report}})
}

// TableReports is the table of marks of nuisance callers.
const TableReports = "reports"

// Facts is what calls have taught this node.
type Facts interface {
	// FactsSince calls yield for the facts that were so since a time.
	FactsSince(since time.Time, yield func([]Fact) error) error
	// TakeFacts has what another node has learnt count here. Tables and keys are checked there.
	TakeFacts(node string, facts []Fact) (refused int)
}

const (
	pageFacts   = 1_000
	maxFactKey  = 256
	maxValue    = 16 << 10
	maxValues   = 256 << 10       // bytes of values a message
	factsMargin = 2 * time.Minute // facts are written a little after they were so, and clocks differ
	maxWaiting  = 10_000          // facts that wait to be told
)

// Learnt tells other nodes of facts, soon.
func (c *Cluster) Learnt(facts []Fact) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if room := maxWaiting - len(c.facts); len(facts) > room {
		c.counts.full.Add(1) // they are fetched within the minute
		facts = facts[:room]
	}
	c.facts = append(c.facts, facts...)
}

// tellFacts publishes what was learnt, some times a second.
func (c *Cluster) tellFacts(ctx context.Context) {
	tick := time.NewTicker(c.o.Beat / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.mu.Lock()
		n, size := 0, 0
		for n < min(len(c.facts), pageFacts) && size < maxValues {
			size += len(c.facts[n].Value)
			n++
		}
		facts := c.facts[:n]
		c.facts = c.facts[len(facts):]
		c.mu.Unlock()
		if len(facts) == 0 || !c.nc().IsConnected() || c.isStale() {
			continue
		}
		text, err := json.Marshal(facts)
		if err == nil {
			err = c.nc().Publish(c.subject("fact", c.o.Node), text)
		}
		c.lost(err)
	}
}

// hearFacts takes facts that another node tells.
func (c *Cluster) hearFacts(m *nats.Msg) {
	node, ok := c.sender(m.Subject)
	if !ok {
		c.counts.garbled.Add(1)
		return
	}
	if node != c.o.Node {
		c.takeFacts(node, m.Data)
	}
}

// takeFacts takes facts from a node, and reports whether they could be read.
func (c *Cluster) takeFacts(node string, text []byte) bool {
	var facts []Fact
	if len(text) > maxMessage || json.Unmarshal(text, &facts) != nil || len(facts) > pageFacts {
		c.counts.garbled.Add(1)
		return false
	}
	now := c.o.Now().UnixMilli()
	expects := sync.OnceValue(func() *expects { return c.expects(node, c.o.Now()) }) // few messages name any
	good := facts[:0]
	for _, f := range facts {
		if len(f.Key) == 0 || len(f.Key) > maxFactKey || len(f.Value) > maxValue || f.At < 0 {
			c.counts.refused.Add(1)
			continue
		}
		if f.Table == TableEmergency && !expects().may(&f) {
			c.counts.refused.Add(1)
			continue
		}
		f.At = min(f.At, now) // what is to come was not learnt yet: somebody's clock is ahead
		good = append(good, f)
	}
	if len(good) > 0 {
		c.counts.refused.Add(uint64(c.o.Facts.TakeFacts(node, good)))
	}
	return true
}

// fetchFacts asks a node for the facts since it was asked last.
func (c *Cluster) fetchFacts(ctx context.Context, node string) error {
	c.mu.Lock()
	p := c.peers[node]
	if p == nil {
		c.mu.Unlock()
		return nil
	}
	since := p.facts
	c.mu.Unlock()
	q := question{What: askFacts}
	if !since.IsZero() {
		q.Since = since.Add(-factsMargin).UnixMilli()
	}
	begun := c.o.Now()
	ctx, cancel := context.WithTimeout(ctx, compareWait)
	defer cancel()
	err := c.ask(ctx, node, q, func(_ head, body []byte) error {
		if len(body) > 0 && !c.takeFacts(node, body) {
			return errGarbled
		}
		return nil
	})
	if err == nil {
		c.mu.Lock()
		p.facts = begun
		c.mu.Unlock()
	}
	return err
}

// answerFacts answers fetchFacts.
func (c *Cluster) answerFacts(a *pieces, since time.Time) error {
	err := c.o.Facts.FactsSince(since, func(facts []Fact) error {
		text, err := json.Marshal(c.notHearsay(facts))
		if err != nil {
			return err
		}
		return a.send(text)
	})
	if err != nil {
		return err
	}
	a.h.Last = true
	return a.send(nil)
}
