package cluster

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"ringfence/conf"
)

// maxSums is how many lists a node tells the sums of.
const maxSums = 256

// here is what a node says of itself each second.
type here struct {
	V       int               `json:"v"`
	Epoch   int64             `json:"epoch"` // of this run of its program
	Wall    int64             `json:"wall"`  // its clock, in milliseconds since 1970
	Version string            `json:"version"`
	Numbers string            `json:"numbers"` // by what it reads numbers
	Told    uint64            `json:"told"`    // the last of its changes that it has told since its program began
	Stale   bool              `json:"stale,omitempty"`
	Pause   *Pause            `json:"pause,omitempty"`   // what a person made of it last
	Policy  string            `json:"policy,omitempty"`  // of what its calls are decided by, the first digits of its text's hash
	Loaded  int64             `json:"loaded,omitempty"`  // since when, in milliseconds since 1970
	Journal string            `json:"journal,omitempty"` // why it cannot write records of calls
	Sums    map[string]uint64 `json:"sums,omitempty"`    // of its lists, as they were at the last full minute
	Summed  bool              `json:"summed,omitempty"`  // Told is in the sums
	Stuck   bool              `json:"stuck,omitempty"`   // no server takes its changes
}

// peer is another node.
type peer struct {
	here
	heard  time.Time        // when it spoke last
	took   uint64           // the change of it that was taken last
	behind time.Time        // since when it has told more than that; zero: it has not
	others bool             // it has told other sums since
	sought time.Time        // lists were compared because of what it said
	same   time.Time        // since when its lists are the same; zero: they are not, or it is not known
	differ time.Time        // since when its lists are others; zero: they are not
	why    string           // what did not work between it and this node last
	said   time.Time        // when the log told of that
	tried  map[string]tried // by list
	facts  time.Time        // when it was asked for what it has learnt last; zero: never
}

// Pause is whether all calls pass, as a person made it.
type Pause struct {
	At     time.Time `json:"at"` // when
	Paused bool      `json:"paused"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"` // zero: until somebody resumes
}

// Pauses is how this node's pause is seen and set.
type Pauses interface {
	// PauseKept is nil if nobody ever paused.
	PauseKept() (*Pause, error)
	// TakePause has it count if it was made later than what is here.
	TakePause(p *Pause, node string) error
}

// takePause takes a node's pause, if it is one of those whose word counts.
func (c *Cluster) takePause(node string, p *Pause) {
	if p == nil || c.o.Pause == nil || !slices.Contains(c.o.PolicyFrom, node) || p.At.After(c.o.Now().Add(mostAhead)) {
		return
	}
	c.mu.Lock()
	known := c.pauses[node].Equal(p.At)
	c.pauses[node] = p.At
	c.mu.Unlock()
	if known {
		return
	}
	if err := c.o.Pause.TakePause(p, node); err != nil {
		c.o.Log.Error("the pause of another node is not taken", "from", node, "error", err)
	}
}

// beat says each second that this node is there, and notes whether that came back.
func (c *Cluster) beat(ctx context.Context) {
	tick := time.NewTicker(c.o.Beat)
	defer tick.Stop()
	for {
		c.say()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.look()
	}
}

func (c *Cluster) say() {
	c.mu.Lock()
	h := here{V: wireNow, Epoch: c.epoch(), Wall: c.o.Now().UnixMilli(), Version: c.o.Version, Numbers: c.o.Numbers(), Told: c.own, Stale: c.stale, Stuck: c.stuck, Sums: make(map[string]uint64, len(c.sums))}
	h.Summed = c.told == c.summed
	for list, s := range c.sums {
		if len(h.Sums) < maxSums {
			h.Sums[list] = s.all
		}
		h.Summed = h.Summed && s.edits == c.edits[list]
	}
	for list := range c.edits {
		if c.sums[list] == nil && len(h.Sums) < maxSums { // it is new
			h.Sums[list], h.Summed = unknownSum, false
		}
	}
	c.mu.Unlock()
	if c.o.Pause != nil {
		p, err := c.o.Pause.PauseKept()
		if err != nil {
			c.o.Log.Error("whether screening is paused cannot be told to other nodes", "error", err)
		}
		h.Pause = p
	}
	if c.o.Self != nil {
		var loaded time.Time
		h.Policy, loaded, h.Journal = c.o.Self()
		h.Loaded = loaded.UnixMilli()
	}
	text, err := json.Marshal(h)
	if err == nil {
		err = c.nc().Publish(c.subject("here", c.o.Node), text)
	}
	c.lost(err)
}

// look notes whether this node is alone, and forgets nodes that have left.
func (c *Cluster) look() {
	now := c.o.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch silent := now.Sub(c.heard); {
	case silent < max(aloneAfter, 3*c.o.Beat) && silent >= 0:
		if !c.alone.IsZero() {
			c.o.Log.Info("this node is with its cluster", "after", now.Sub(c.alone).Round(time.Second), "server", c.server)
			c.alone, c.joined = time.Time{}, now
			signal(c.soon)
		}
	case c.alone.IsZero():
		c.alone = c.heard
		c.o.Log.Warn("this node is alone: calls are screened as before, and edits go to the others when they can be reached again", "error", c.trouble)
	}
	for node, p := range c.peers {
		if now.Sub(p.heard) > c.o.Keep {
			c.forget(node)
		}
	}
}

// hear takes what a node says of itself.
func (c *Cluster) hear(m *nats.Msg) {
	node, ok := c.sender(m.Subject)
	var h here
	if !ok || len(m.Data) > 64<<10 || json.Unmarshal(m.Data, &h) != nil || len(h.Sums) > maxSums || len(h.Version) > 100 || len(h.Numbers) > 100 || len(h.Policy) > 100 {
		c.counts.garbled.Add(1)
		return
	}
	if node != c.o.Node {
		c.takePause(node, h.Pause)
	}
	now := c.o.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if node == c.o.Node {
		if h.Epoch == c.epoch() {
			c.heard = now
		} else if h.V == wireNow {
			c.twin(now)
		}
		return
	}
	p := c.peers[node]
	if p == nil {
		if len(c.peers) >= maxNodes {
			c.counts.full.Add(1)
			return
		}
		if p = (&peer{tried: make(map[string]tried)}); c.level {
			p.took = h.Told
		}
		c.peers[node] = p
		signal(c.soon)
	}
	if p.Epoch != h.Epoch || now.Sub(p.heard) > aloneAfter {
		signal(c.came)
	}
	h.Journal = h.Journal[:min(len(h.Journal), 300)]
	p.others = p.others || !maps.Equal(p.Sums, h.Sums)
	p.here, p.heard = h, now
	switch {
	case h.Told <= p.took:
		p.behind = time.Time{}
	case p.behind.IsZero():
		p.behind = now
	}
	c.seek(p, now)
}

// seekEvery is how often lists are compared because of what a node says of itself.
const seekEvery = 10 * time.Second

// seek has lists compared before the minute is over. Where a node has told changes that are not here, and the stream has nothing more, a server that lost its
// store had them; as sums of lists may be of before those changes, new ones are reason to compare again. Where lists were different, they may be the same
// by now if the node has other sums; and those of a node whose changes no server takes tell of them. c.mu is held.
func (c *Cluster) seek(p *peer, now time.Time) {
	rested := now.Sub(p.sought) > seekEvery
	lost := !p.behind.IsZero() && c.level && !c.taking
	switch {
	case lost && p.others:
	case lost && rested && now.Sub(p.behind) > aloneAfter:
	case !p.differ.IsZero() && p.others && rested:
	case p.Stuck && p.others && rested:
	default:
		return
	}
	p.sought, p.others = now, false
	signal(c.soon)
}

// sender is whose a message is, by its subject.
func (c *Cluster) sender(subject string) (node string, ok bool) {
	node = subject[strings.LastIndexByte(subject, '.')+1:]
	return node, conf.IsClusterName(node)
}

// live are the nodes that have spoken within the last seconds, by name.
func (c *Cluster) live() []string {
	now := c.o.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.peers)) {
		if now.Sub(c.peers[name].heard) < max(aloneAfter, 3*c.o.Beat) {
			names = append(names, name)
		}
	}
	return names
}

// forget forgets a node. c.mu is held.
func (c *Cluster) forget(node string) {
	delete(c.peers, node)
	delete(c.large, node)
	if set := c.o.Detectors(); set != nil {
		set.Gone(node)
	}
}

// isKnown reports whether a node has said that it is there.
func (c *Cluster) isKnown(node string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peers[node] != nil
}

// known are the nodes that have been heard of and have not left, by name.
func (c *Cluster) known() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.peers))
}

// mostAhead is how far a clock may be ahead of all others.
const mostAhead = time.Minute

// Latest is the latest time, in milliseconds since 1970, that stamps of this node may have: where its clock is more than a minute ahead of those of all
// nodes that it hears, theirs. ok is false where it may have any: it is not so far ahead, or hears nobody.
func (c *Cluster) Latest() (millis int64, ok bool) {
	now := c.o.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	heard := int64(0)
	for _, p := range c.peers {
		if since := now.Sub(p.heard); since < mostAhead && since >= 0 {
			heard = max(heard, p.Wall+since.Milliseconds())
		}
	}
	c.clamped = heard != 0 && now.UnixMilli()-heard > mostAhead.Milliseconds()
	return heard, c.clamped
}
