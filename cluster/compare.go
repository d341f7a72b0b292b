package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

// sum is what a list has, of which other nodes are told. It is not changed any more.
type sum struct {
	all    uint64 // of its leaves
	leaves []uint64
	edits  uint64 // of the list, when it was begun
	took   time.Duration
	at     time.Time
}

// restPer is how long a list rests after its leaves were summed, for the time that took: a list of millions is read to do so.
const restPer = 20

// tried is that a list of another node was read and nothing of it taken: what differs waits for a person, say. It is not read again and again.
type tried struct {
	theirs, ours uint64 // the sums
	at           time.Time
	took         time.Duration
}

func (t tried) rests(theirs, ours uint64, now time.Time) bool {
	return theirs != unknownSum && t.theirs == theirs && t.ours == ours && now.Sub(t.at) < min(restPer*t.took, time.Hour)
}

const (
	unknownSum = 1 // in the place of a list's sum that is not known
	maxFaults  = 3 // lists of a node that cannot be compared, before the others of it are left for the next time
	besidePer  = 2 // of the time between comparisons, how long the other nodes wait for one
)

// changed notes that a list has changed.
func (c *Cluster) changed(list string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.edits[list]++
}

// compareAll compares this node's lists with those of others, each minute and whenever there is a reason.
func (c *Cluster) compareAll(ctx context.Context) {
	defer c.beside.Wait()
	again := false // a comparison follows one that has taken something, but not a third: lists that are edited all the time are not read all the time
	for {
		t := time.NewTimer(c.o.Compare - c.o.Compare/8 + rand.N(c.o.Compare/4)) // not all nodes at one moment
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-c.soon:
			if !wait(ctx, 2*c.o.Beat) { // until the others have been heard
				return
			}
		case <-t.C:
		}
		t.Stop()
		if differed := c.compareOnce(ctx); differed && !again {
			again = true
			signal(c.soon)
		} else {
			again = false
		}
	}
}

// compareOnce brings this node's sums up to date and takes what others have that it has not. It reports whether lists differed.
func (c *Cluster) compareOnce(ctx context.Context) (differed bool) {
	if err := c.sumLists(); err != nil {
		c.o.Log.Error("the lists cannot be compared with those of other nodes", "error", err)
		return false
	}
	for _, node := range c.live() {
		if ctx.Err() != nil {
			return false
		}
		differed = c.compareBeside(ctx, node) || differed
	}
	if err := c.saveHeld(); err != nil {
		c.o.Log.Error("what waits for a person may wait again after a restart", "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stale && c.whole {
		c.stale = false
		c.o.Log.Info("all lists were taken from the cluster: from now on what is changed here goes to the others")
	}
	return differed
}

// goesBy reports whether a node is one whose lists this one has as they are, where it was away for too long: those of policy_from as long as one of them is there, for
// what they do not have is taken off.
func (c *Cluster) goesBy(node string) bool {
	trusted := func(node string) bool { return slices.Contains(c.o.PolicyFrom, node) }
	return trusted(node) || !slices.ContainsFunc(c.live(), trusted)
}

// compareBeside compares lists with one node, and leaves it to go on beside if that takes long: the other nodes do not wait for one that is slow, or makes itself so. It
// reports whether lists differed, as far as it is known.
func (c *Cluster) compareBeside(ctx context.Context, node string) (differed bool) {
	c.mu.Lock()
	busy := c.underway[node]
	c.underway[node] = true
	c.mu.Unlock()
	if busy {
		return false
	}
	done := make(chan bool, 1)
	var left atomic.Bool // nobody waits for it
	c.beside.Go(func() {
		differed := c.compareNode(ctx, node)
		c.mu.Lock()
		delete(c.underway, node)
		c.mu.Unlock()
		if done <- differed; left.Load() && differed {
			signal(c.soon)
		}
	})
	t := time.NewTimer(c.o.Compare / besidePer)
	defer t.Stop()
	select {
	case differed = <-done:
	case <-t.C:
		left.Store(true)
	case <-ctx.Done():
	}
	return differed
}

// compareNode takes what a node has that this one has not, lists and what calls have taught it. It reports whether lists differed.
func (c *Cluster) compareNode(ctx context.Context, node string) (differed bool) {
	same, err := c.compareWith(ctx, node)
	differed = err == nil && !same
	if err == nil {
		err = c.fetchFacts(ctx, node)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, storage.ErrBusy) {
		c.troubleWith(node, err)
	}
	if errors.Is(err, errLostQuestion) || errors.Is(err, errNoQuestions) || errors.Is(err, storage.ErrBusy) {
		signal(c.soon)
	}
	goesBy := c.goesBy(node)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole = c.whole || err == nil && goesBy
	return differed
}

// sumLists sums the lists that changed since they were summed last.
func (c *Cluster) sumLists() error {
	c.mu.Lock()
	told := c.told
	c.mu.Unlock()
	names, err := c.lists()
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := c.sum(name, false); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.summed = told
	return nil
}

// lists are the names of all lists, and what the lines of the database are kept as.
func (c *Cluster) lists() ([]string, error) {
	infos, err := c.o.Store.Lists()
	names := []string{console.LineTable}
	for i := range infos {
		names = append(names, infos[i].Name)
	}
	return names, err
}

// sum gives the leaves of a list as they are, or as they were a while ago if it is long; now is as they are.
func (c *Cluster) sum(list string, now bool) (*sum, error) {
	c.summing.Lock() // who waits finds it done
	defer c.summing.Unlock()
	c.mu.Lock()
	s, edits := c.sums[list], c.edits[list]
	c.mu.Unlock()
	if s != nil && (s.edits == edits || !now && c.o.Now().Sub(s.at) < restPer*s.took) {
		return s, nil
	}
	begun := c.o.Now()
	leaves, _, err := c.o.Store.Leaves(list)
	if errors.Is(err, storage.ErrNoList) { // anybody may ask for anything: nothing is kept of it
		return &sum{leaves: make([]uint64, storage.LeafCount)}, nil
	}
	if err != nil {
		return nil, err
	}
	anew := &sum{leaves: leaves, edits: edits, at: begun, took: c.o.Now().Sub(begun)}
	for i, leaf := range leaves {
		anew.all ^= leaf * (2*uint64(i) + 1) // which leaf it is counts too
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sums[list] = anew
	return anew, nil
}

// compareWith takes what a node has on its lists that this one has not, and reports whether there was nothing.
func (c *Cluster) compareWith(ctx context.Context, node string) (same bool, err error) {
	c.mu.Lock()
	p := c.peers[node]
	if p == nil {
		c.mu.Unlock()
		return true, nil
	}
	theirs, numbers, stale, told := maps.Clone(p.Sums), p.Numbers, p.Stale, uint64(0)
	if p.Summed {
		told = p.Told
	}
	large := c.large[node]
	delete(c.large, node)
	c.mu.Unlock()
	switch {
	case numbers != c.o.Numbers():
		return false, fmt.Errorf("it reads numbers otherwise (%.100q, and this node %q), so that lists are not compared: bring all nodes to one version and one country", numbers, c.o.Numbers())
	case stale:
		return false, errors.New("it was away for too long, and takes all lists anew first")
	}
	if theirs == nil {
		theirs = map[string]uint64{}
	}
	if c.isStale() { // what is on none of theirs counts too
		names, err := c.lists()
		if err != nil {
			return false, err
		}
		for _, name := range names {
			if _, there := theirs[name]; !there {
				theirs[name] = 0
			}
		}
	}
	for _, list := range large {
		theirs[list] = unknownSum
	}
	if same, err = c.compareLists(ctx, node, p, theirs); err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case same:
		c.dropMoot(node, c.o.Now())
		if p.differ, p.why = (time.Time{}), ""; p.same.IsZero() {
			p.same = c.o.Now()
		}
		if told > p.took { // its changes came by comparing: a server that was lost had them, or they were too large
			if p.took = told; p.Told <= told {
				p.behind = time.Time{}
			}
		}
	case p.differ.IsZero():
		p.differ, p.same = c.o.Now(), time.Time{}
	}
	return same, nil
}

// compareLists compares those of a node's lists whose sums, by name, are not those of this one's.
func (c *Cluster) compareLists(ctx context.Context, node string, p *peer, theirs map[string]uint64) (same bool, err error) {
	same = true
	var faults []error
	for list, all := range theirs {
		c.mu.Lock()
		ours := c.sums[list]
		equal := ours != nil && ours.all == all && ours.edits == c.edits[list]
		vain := ours != nil && ours.edits == c.edits[list] && p.tried[list].rests(all, ours.all, c.o.Now())
		c.mu.Unlock()
		if equal {
			continue
		}
		if vain {
			same = false
			continue
		}
		begun := c.o.Now()
		differed, changed, err := c.compareList(ctx, node, list, all)
		c.mu.Lock()
		if delete(p.tried, list); len(p.tried) >= 2*maxSums {
			clear(p.tried) // it names others each time
		}
		if err == nil && differed && changed == 0 && ours != nil {
			p.tried[list] = tried{theirs: all, ours: ours.all, at: c.o.Now(), took: c.o.Now().Sub(begun)}
		}
		c.mu.Unlock()
		if err != nil {
			if all == unknownSum {
				c.tooLarge(node, list)
			}
			if faults = append(faults, fmt.Errorf("the list %.100q: %w", list, err)); len(faults) == maxFaults || ctx.Err() != nil {
				break // it is the node, or this one, and not the lists
			}
		}
		same = same && !differed
	}
	if len(faults) > 0 {
		return false, faults[0]
	}
	return same, nil
}
