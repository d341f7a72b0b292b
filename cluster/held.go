package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

// A node is trusted to edit lists, but not to empty them, and not to stop a country: from nodes that are not in policy_from what takes more than a
// share off a list within an hour, and patterns of a country's width, wait for a person.

const (
	heldFew     = 100       // entries that any node may take off a list within an hour, however short it is
	heldHour    = time.Hour // within which what is taken off is counted
	maxHeld     = 100       // changes that wait or were decided
	maxTakers   = 1024      // nodes and lists of which it is counted what was taken off
	settingHeld = "cluster.held"
)

// What a person made of a change that waited.
const (
	heldWaits   = ""
	heldTaken   = "taken"
	heldRefused = "refused"
)

// held is a change of another node that waits, or did.
type held struct {
	ID      int          `json:"id"`
	Node    string       `json:"node"` // that said it
	List    string       `json:"list"`
	Stamp   storage.Tick `json:"stamp"` // all rows of a change have one
	Time    time.Time    `json:"time"`
	Entries int          `json:"entries"` // as many as came at first
	Why     string       `json:"why"`
	Decided string       `json:"decided,omitempty"`
}

// taker is what a node has taken off a list lately.
type taker struct {
	since time.Time
	n     int
}

// takerOf names it.
type takerOf struct{ node, list string }

// sift gives the rows that a node may say, and those of changes that a person has refused, which are taken and undone. What has to wait is left
// out, and is found by comparing lists when somebody has decided.
func (c *Cluster) sift(node, list string, rows []storage.Row) (good, refused []storage.Row) {
	if slices.Contains(c.o.PolicyFrom, node) {
		return rows, nil
	}
	good = rows[:0:0]
	most := c.mayTakeOff(list)
	for i := range rows {
		switch c.judge(node, list, &rows[i], most) {
		case heldTaken:
			good = append(good, rows[i])
		case heldRefused:
			refused = append(refused, rows[i])
		}
	}
	return good, refused
}

// mayTakeOff gives how many entries a node that is not in policy_from may take off a list within an hour. The list is asked once, when it is needed.
func (c *Cluster) mayTakeOff(list string) func() int {
	return sync.OnceValue(func() int { return max(heldFew, int(float64(c.entries(list))*c.o.MaxChange)) })
}

// judge says what becomes of a row of a node that is not in policy_from.
func (c *Cluster) judge(node, list string, r *storage.Row, most func() int) string {
	if r.Gone && !c.o.Store.HasEntry(list, r.Pattern) || !r.Gone && (c.o.Wide == nil || !c.o.Wide(list, r.Pattern)) {
		return heldTaken
	}
	if decided, was := c.wasHeld(node, list, r.Stamp); was {
		return decided
	}
	why := "it names a country or more, and the node is not in policy_from"
	if r.Gone {
		if c.takes(takerOf{node, list}) <= most() {
			return heldTaken
		}
		why = fmt.Sprintf("it takes more than %d entries off the list within an hour, and the node is not in policy_from", most())
	}
	c.hold(held{Node: node, List: list, Stamp: r.Stamp, Time: c.o.Now(), Entries: 1, Why: why})
	return heldWaits
}

// heldOf is the change that a row is of, nil if it never had to wait. c.mu is held.
func (c *Cluster) heldOf(node, list string, stamp storage.Tick) *held {
	for _, h := range c.held {
		if h.Node == node && h.List == list && h.Stamp == stamp {
			return h
		}
	}
	return nil
}

// wasHeld says what was decided of the change that a row is of, if it ever had to wait, and counts the row.
func (c *Cluster) wasHeld(node, list string, stamp storage.Tick) (decided string, was bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.heldOf(node, list, stamp)
	if h == nil {
		return "", false
	}
	if h.Decided == heldWaits && c.o.Now().Sub(h.Time) < heldSettles {
		h.Entries++ // later they come again, each time that lists are compared
	}
	return h.Decided, true
}

// heldSettles is for how long the rows of a change that waits are counted.
const heldSettles = 20 * time.Second

// takes counts an entry that a node takes off a list, and says how many it is within the hour.
func (c *Cluster) takes(of takerOf) int {
	now := c.o.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.takers[of]
	if t == nil {
		if len(c.takers) >= maxTakers {
			for other, t := range c.takers {
				if now.Sub(t.since) > heldHour {
					delete(c.takers, other)
				}
			}
		}
		if len(c.takers) >= maxTakers {
			c.counts.full.Add(1)
			return 1 << 30
		}
		t = &taker{since: now}
		c.takers[of] = t
	}
	if now.Sub(t.since) > heldHour {
		t.since, t.n = now, 0
	}
	t.n++
	return t.n
}

// entries is how many a list has.
func (c *Cluster) entries(list string) int {
	infos, err := c.o.Store.Lists()
	if err != nil {
		return 0
	}
	for i := range infos {
		if infos[i].Name == list {
			return infos[i].Entries
		}
	}
	return 0
}

// hold has a change wait.
func (c *Cluster) hold(h held) {
	c.mu.Lock()
	if c.heldOf(h.Node, h.List, h.Stamp) == nil {
		c.lastHeld++
		h.ID = c.lastHeld
		if len(c.held) >= maxHeld { // those that were decided first, then the oldest: they come again with the next comparison
			at := max(0, slices.IndexFunc(c.held, func(h *held) bool { return h.Decided != heldWaits }))
			c.held = slices.Delete(c.held, at, at+1)
		}
		c.held = append(c.held, &h)
	}
	c.mu.Unlock()
	c.o.Log.Warn("a change of another node waits for a person: ringfence cluster status", "from", h.Node, "list", h.List, "why", h.Why)
	c.saveHeld()
}

// saveHeld keeps what waits and what was decided.
func (c *Cluster) saveHeld() error {
	c.mu.Lock()
	text, err := json.Marshal(c.held)
	c.mu.Unlock()
	if err == nil {
		err = c.o.Store.PutSetting(settingHeld, text)
	}
	if err != nil {
		c.o.Log.Error("the changes of other nodes that wait for a person cannot be kept", "error", err)
	}
	return err
}

// loadHeld reads them.
func (c *Cluster) loadHeld() error {
	text, err := c.o.Store.Setting(settingHeld)
	if err != nil || text == nil {
		return err
	}
	if err := json.Unmarshal(text, &c.held); err != nil {
		return fmt.Errorf("the setting %s of the database cannot be read: %w", settingHeld, err)
	}
	for _, h := range c.held {
		c.lastHeld = max(c.lastHeld, h.ID)
	}
	return nil
}

// DecideHeld has a change that waits be taken, or refused: then all nodes come to say again what this one says.
func (c *Cluster) DecideHeld(_ context.Context, id int, take bool) error {
	c.mu.Lock()
	at := slices.IndexFunc(c.held, func(h *held) bool { return h.ID == id && h.Decided == heldWaits })
	if at < 0 {
		c.mu.Unlock()
		return console.NotFound(fmt.Sprintf("no change %d waits: `ringfence cluster status` names those that do", id))
	}
	h := c.held[at]
	if h.Decided = heldRefused; take {
		h.Decided = heldTaken
	}
	c.mu.Unlock()
	if err := c.saveHeld(); err != nil {
		c.mu.Lock()
		h.Decided = heldWaits
		c.mu.Unlock()
		return err
	}
	signal(c.soon)
	return nil
}

// heldNow are the changes that wait, the oldest first. c.mu is held.
func (c *Cluster) heldNow() (all []console.ClusterHeld) {
	for _, h := range c.held {
		if h.Decided == heldWaits {
			all = append(all, console.ClusterHeld{ID: h.ID, Node: h.Node, Time: h.Time, List: h.List, Entries: h.Entries, Why: h.Why})
		}
	}
	slices.SortFunc(all, func(a, b console.ClusterHeld) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// merge takes rows of a node, as far as it may say them.
func (c *Cluster) merge(ctx context.Context, list string, rows []storage.Row, of storage.Foreign) (changed int, err error) {
	good, refused := c.sift(of.Node, list, rows)
	if len(good) > 0 {
		if changed, err = c.o.Taker.MergeRows(ctx, list, good, of); err != nil {
			return changed, err
		}
	}
	if len(refused) > 0 {
		err = c.undo(ctx, list, refused, of)
	}
	return changed, err
}

// undo takes what a person has refused and undoes it: what this node said before is then the latest word of all.
func (c *Cluster) undo(ctx context.Context, list string, rows []storage.Row, of storage.Foreign) error {
	c.mu.Lock()
	last := c.told
	c.mu.Unlock()
	err := c.o.Store.ChangesAfter(last, func(r storage.ChangeRecord) error { last = r.ID; return nil })
	if err != nil {
		return err
	}
	if _, err := c.o.Taker.MergeRows(ctx, list, rows, of); err != nil {
		return err
	}
	var ids []uint64
	err = c.o.Store.ChangesAfter(last, func(r storage.ChangeRecord) error {
		if r.Node == of.Node && r.List == list {
			ids = append(ids, r.ID)
		}
		return nil
	})
	for _, id := range slices.Backward(ids) {
		if err == nil {
			err = c.o.Taker.UndoChange(ctx, id)
		}
	}
	return err
}

// siftMany is sift for very many rows. What a person has refused is left out: it is undone where it comes in few.
func (c *Cluster) siftMany(node, list string, rows iter.Seq2[storage.Row, error]) iter.Seq2[storage.Row, error] {
	if slices.Contains(c.o.PolicyFrom, node) {
		return rows
	}
	return func(yield func(storage.Row, error) bool) {
		most := c.mayTakeOff(list)
		for r, err := range rows {
			if err == nil && c.judge(node, list, &r, most) != heldTaken {
				continue
			}
			if !yield(r, err) {
				return
			}
		}
	}
}
