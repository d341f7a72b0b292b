package cluster

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

// What waits for a person is gathered under one number a node, list and run, however many changes it is of, so that one word decides all of it. Whoever says
// "take" has seen how many entries that is, and not one more may get in by it, although the node that is asked for them then may say what it likes:
//
//   - a number gathers for a minute, and cannot be taken before that is over: what it says afterwards stays so;
//   - what was taken off a list is let in as often as was counted, each row at most once, in stamps that are no later than those that were counted. Which
//     entries those are nobody saw, and so it is not kept;
//   - of what is too wide the patterns are shown, and those are let in.
//
// What comes later waits under a number of its own, of which there is one an hour until somebody decides; what has none is left out all the same.

const (
	maxHeldOf    = 20      // numbers that wait of one node
	maxDecided   = 100     // numbers that were decided and of which not all has come yet
	maxWidth     = 320     // bytes of the names of a number's patterns: whoever takes it has seen all
	maxSeen      = 1 << 19 // entries that are told apart while they are gathered, of all numbers: what is more is not counted, and waits under the next number
	heldLogs     = time.Minute
	mootAfter    = 3 * time.Minute // sums may be of a minute ago on either side
	settingHeld  = "cluster.held"
	settingLeast = "cluster.least"
	leastEvery   = time.Hour
	leastFor     = 24 * time.Hour
)

// held is what waits of a node on a list, or did.
type held struct {
	ID       int          `json:"id"`
	Node     string       `json:"node"` // that said it
	List     string       `json:"list"`
	Wide     bool         `json:"wide,omitempty"` // it is patterns, not what is taken off
	Patterns []string     `json:"patterns,omitempty"`
	From     storage.Tick `json:"from"` // the stamps of what was counted
	To       storage.Tick `json:"to"`
	Time     time.Time    `json:"time"`
	Entries  int          `json:"entries"`
	Why      string       `json:"why"`
	Decided  string       `json:"decided,omitempty"`
	Left     int          `json:"left,omitempty"` // entries that were decided and have not come

	came   time.Time           // something of it, last
	until  time.Time           // it gathers
	seen   map[uint64]struct{} // meanwhile
	logged time.Time
}

// judging is what else a node keeps to judge others by.
type judging struct {
	heldNews  bool // what waits is not kept yet
	seen      int  // rows that are told apart while they are counted
	seed      maphash.Seed
	least     least
	callbacks map[string]callback // who dialled an emergency number, as other nodes say
}

// heldKept is what the database has of all that.
type heldKept struct {
	Last int     `json:"last"`
	Held []*held `json:"held"`
}

// gathers reports whether it is still being counted.
func (h *held) gathers(now time.Time) bool {
	return h.Decided == heldWaits && now.Before(h.until) && now.Sub(h.until) > -heldHour // unless the clock was set back
}

// has reports whether a row is one of those that were counted, or says that it is.
func (h *held) has(j *judged) bool {
	if h.Wide != j.wide() || j.row.Stamp.Compare(h.To) > 0 || j.row.Stamp.Compare(h.From) < 0 {
		return false
	}
	return !h.Wide || slices.Contains(h.Patterns, j.row.Pattern)
}

// dropMoot drops what waits of a node whose lists are the same: it said something else since, or another node had a person refuse it. c.mu is held.
func (c *Cluster) dropMoot(node string, now time.Time) {
	n := len(c.held)
	c.held = slices.DeleteFunc(c.held, func(h *held) bool {
		return h.Node == node && h.Decided == heldWaits && now.Sub(h.Time) > mootAfter && now.Sub(h.came) > mootAfter
	})
	c.heldNews = c.heldNews || len(c.held) != n
}

// closeHeld ends the gathering of what has been gathered for long enough. c.mu is held.
func (c *Cluster) closeHeld(now time.Time) {
	for _, h := range c.held {
		if h.seen != nil && !h.gathers(now) {
			c.seen -= len(h.seen)
			h.seen, h.until = nil, time.Time{}
		}
	}
}

// hold has a row wait that is of nothing that waits already: under the number that gathers, or a new one. c.mu is held.
func (c *Cluster) hold(node, list string, j *judged, most int, now time.Time) {
	waiting := 0
	for _, h := range c.held {
		if h.Node != node || h.Decided != heldWaits {
			continue
		}
		waiting++
		if h.List != list || h.Wide != j.wide() {
			continue
		}
		if h.gathers(now) {
			c.countHeld(h, j, now)
			return
		}
		if ago := now.Sub(h.Time); ago >= 0 && ago < heldHour {
			return
		}
	}
	if waiting >= maxHeldOf || !c.roomFor(node) {
		c.counts.full.Add(1)
		return
	}
	c.lastHeld++
	h := &held{
		ID: c.lastHeld, Node: node, List: list, Wide: j.wide(), From: j.row.Stamp, To: j.row.Stamp, Time: now, until: now.Add(c.o.Compare), seen: map[uint64]struct{}{},
		Why: fmt.Sprintf("it takes more than %d entries off the list within an hour, and the node is not in policy_from", most),
	}
	if list == console.LineTable {
		h.Why = fmt.Sprintf("it changes or removes more than %d lines within an hour, or takes numbers of theirs, and the node is not in policy_from", most)
	}
	c.held = append(c.held, h)
	c.countHeld(h, j, now)
}

// roomFor reports whether what a node says may have a new number, and drops decisions of long ago that would be in the way. c.mu is held.
func (c *Cluster) roomFor(node string) bool {
	c.held = slices.DeleteFunc(c.held, func(h *held) bool { return h.Decided != heldWaits && h.Left == 0 })
	decided, nodes := 0, map[string]bool{node: true}
	for _, h := range c.held {
		if nodes[h.Node] = true; h.Decided != heldWaits {
			decided++
		}
	}
	if decided >= maxDecided {
		at := slices.IndexFunc(c.held, func(h *held) bool { return h.Decided != heldWaits })
		c.held = slices.Delete(c.held, at, at+1)
	}
	return len(nodes) <= maxNodes
}

// countHeld counts a row that waits, once. c.mu is held.
func (c *Cluster) countHeld(h *held, j *judged, now time.Time) {
	if !h.gathers(now) || c.seen >= maxSeen {
		return
	}
	of := nameOfRow(j.row)
	key := maphash.String(c.seed, fmt.Sprintf("%s\x00%d\x00%s", of.pattern, of.origin, of.source))
	if _, known := h.seen[key]; known {
		return
	}
	if h.Wide && !slices.Contains(h.Patterns, j.row.Pattern) {
		all := append(slices.Clone(h.Patterns), j.row.Pattern)
		text := wideText(all)
		if len(all) > 1 && len(text) > maxWidth {
			return
		}
		h.Patterns = all
		h.Why = text + ": a country, or much of one within a day, and the node is not in policy_from"
	}
	h.seen[key] = struct{}{}
	c.seen++
	if j.row.Stamp.Compare(h.From) < 0 {
		h.From = j.row.Stamp
	}
	if j.row.Stamp.Compare(h.To) > 0 {
		h.To = j.row.Stamp
	}
	h.Entries += j.weight()
	c.heldNews = true
}

// wideText names patterns, which may be anything.
func wideText(patterns []string) string {
	named := make([]string, len(patterns))
	for i, p := range patterns {
		named[i] = fmt.Sprintf("%.40q", p)
	}
	return strings.Join(named, ", ")
}

// saveHeld keeps what waits and what was decided, if that has changed, and says what came to wait.
func (c *Cluster) saveHeld() error {
	now := c.o.Now()
	c.mu.Lock()
	if !c.heldNews {
		c.mu.Unlock()
		return nil
	}
	c.heldNews = false
	text, err := json.Marshal(heldKept{c.lastHeld, c.held})
	var say []held
	for _, h := range c.held {
		if h.seen != nil && now.Sub(h.logged) >= heldLogs {
			h.logged = now
			say = append(say, *h)
		}
	}
	c.mu.Unlock()
	for i := range say {
		h := &say[i]
		c.o.Log.Warn("changes of another node wait for a person: ringfence cluster status", "number", h.ID, "from", h.Node, "list", h.List, "entries", h.Entries, "why", h.Why)
	}
	if err == nil {
		err = c.o.Store.PutSetting(settingHeld, text)
	}
	if err != nil {
		c.mu.Lock()
		c.heldNews = true
		c.mu.Unlock()
		err = fmt.Errorf("the changes of other nodes that wait for a person cannot be kept: %w", err)
	}
	return err
}

// loadHeld reads them.
func (c *Cluster) loadHeld() error {
	c.seed, c.callbacks = maphash.MakeSeed(), make(map[string]callback)
	if err := c.loadLeast(); err != nil {
		return err
	}
	text, err := c.o.Store.Setting(settingHeld)
	if err != nil || text == nil {
		return err
	}
	if bytes.HasPrefix(text, []byte("[")) || string(text) == "null" { // of a version that had a number for each change: they come again, and are gathered
		c.o.Log.Info("what waited for a person came from an older version: it waits again when lists have been compared", "setting", settingHeld)
		return nil
	}
	var kept heldKept
	if err := json.Unmarshal(text, &kept); err != nil {
		return fmt.Errorf("the setting %s of the database cannot be read: %w", settingHeld, err)
	}
	c.lastHeld = kept.Last
	for _, h := range kept.Held {
		if h != nil {
			c.held = append(c.held, h)
			c.lastHeld = max(c.lastHeld, h.ID)
		}
	}
	return nil
}

// DecideHeld has what waits under a number be taken, or refused: then all nodes come to say again what this one says.
func (c *Cluster) DecideHeld(_ context.Context, id int, take bool) error {
	now := c.o.Now()
	c.mu.Lock()
	at := slices.IndexFunc(c.held, func(h *held) bool { return h.ID == id && h.Decided == heldWaits })
	if at < 0 {
		c.mu.Unlock()
		return console.NotFound(fmt.Sprintf("no change %d waits: `ringfence cluster status` names those that do", id))
	}
	h := c.held[at]
	if take && h.gathers(now) { // whoever says so has seen fewer
		c.mu.Unlock()
		return console.Conflict(fmt.Sprintf("change %d is still being counted: see after %s how much it is, and take it then", id, h.until.Format(time.TimeOnly)))
	}
	if h.Decided, h.Left = heldRefused, h.Entries; take {
		h.Decided = heldTaken
	}
	c.heldNews = true
	c.closeHeld(now)
	for _, p := range c.peers {
		clear(p.tried)
	}
	c.mu.Unlock()
	if err := c.saveHeld(); err != nil {
		c.mu.Lock()
		h.Decided, h.Left = heldWaits, 0
		c.mu.Unlock()
		return err
	}
	signal(c.soon)
	return nil
}

// heldNow are the changes that wait, the oldest first. c.mu is held.
func (c *Cluster) heldNow(now time.Time) (all []console.ClusterHeld) {
	for _, h := range c.held {
		if h.Decided == heldWaits {
			w := console.ClusterHeld{ID: h.ID, Node: h.Node, Time: h.Time, List: h.List, Entries: h.Entries, Why: h.Why}
			if h.gathers(now) {
				w.Until = h.until
			}
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b console.ClusterHeld) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// least is how many entries lists had at least within the last day or two: a share of a list is of that. Otherwise a node could make a list long, and then take
// off all that was there before.
type least struct {
	Day    time.Time      `json:"day"` // when Now was begun
	Noted  time.Time      `json:"noted"`
	Now    map[string]int `json:"now"`
	Before map[string]int `json:"before,omitempty"` // of the day before
}

// mostOf is how many entries other nodes may take off a list within an hour that has so many now.
func (c *Cluster) mostOf(list string, entries int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	noted := math.MaxInt
	for _, day := range []map[string]int{c.least.Now, c.least.Before} {
		if was := day[list]; was > 0 { // what was not there, or empty, had nothing to lose
			noted = min(noted, was)
		}
	}
	n := entries
	if noted != math.MaxInt {
		if t := c.takers[takerOf{list, heldHour}]; t != nil {
			n += t.at(c.o.Now()) // the hour began with these
		}
		n = min(n, noted)
	}
	return max(heldFew, int(float64(n)*c.o.MaxChange))
}

func (l *least) note(list string, n int) {
	if was := l.Now[list]; was == 0 || n < was {
		l.Now[list] = n
	}
}

// noteLeast notes, each hour, how many entries lists have: before anything else of another node is taken.
func (c *Cluster) noteLeast() {
	now := c.o.Now()
	c.mu.Lock()
	ago := now.Sub(c.least.Noted)
	due := ago < 0 || ago >= leastEvery
	if due {
		c.least.Noted = now
	}
	c.mu.Unlock()
	if !due {
		return
	}
	infos, err := c.o.Store.Lists()
	if err != nil {
		return
	}
	sizes := map[string]int{console.LineTable: c.entries(console.LineTable)}
	for i := range infos {
		sizes[infos[i].Name] = infos[i].Entries
	}
	c.mu.Lock()
	l := &c.least
	switch age := now.Sub(l.Day); {
	case age < 0 || age >= 2*leastFor: // nothing was said meanwhile
		l.Day, l.Now, l.Before = now, sizes, nil
	case age >= leastFor:
		l.Day, l.Now, l.Before = now, sizes, l.Now
	default:
		for list, n := range sizes {
			l.note(list, n)
		}
	}
	text, err := json.Marshal(l)
	c.mu.Unlock()
	if err == nil {
		err = c.o.Store.PutSetting(settingLeast, text)
	}
	if err != nil {
		c.o.Log.Error("how long lists are cannot be kept", "setting", settingLeast, "error", err)
	}
}

func (c *Cluster) loadLeast() error {
	text, err := c.o.Store.Setting(settingLeast)
	if err == nil && text != nil {
		if err = json.Unmarshal(text, &c.least); err != nil {
			return fmt.Errorf("the setting %s of the database cannot be read: %w", settingLeast, err)
		}
	}
	if c.least.Now == nil {
		c.least.Now = map[string]int{}
	}
	if err == nil {
		c.noteLeast()
	}
	return err
}
