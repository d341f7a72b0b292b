package detect

import (
	"maps"
	"slices"
	"strings"
	"time"

	"ringfence/policy"
)

// News is what the other nodes are to follow: a breaker that tripped here or closed by what callers did, or what a person did to one. What comes by
// itself when time passes, each node sees for itself.
type News struct {
	Breaker        // Since is when it came so, or when the person did it; of what a person did, Trunk "" is all trunks
	Act     string `json:"act,omitempty"` // what the person did, "" for a breaker
}

// What persons do to breakers.
const (
	ActReset = "reset"
	ActOpen  = "open" // pinned so
	ActShut  = "shut"
	ActUnpin = "unpin"
)

// Peers is told what other nodes are to follow, at once. It must not block, and must not call the Set.
type Peers interface {
	News(n News)
}

// act is what a person did to a key, so that earlier ones that come late are known for such.
type act struct {
	at   int64
	how  string
	by   string
	key  string // as it was typed
	node string // where, "" here
}

const (
	mostActs     = 1024 // of a detector
	actsKept     = int64(7 * 24 * time.Hour / time.Millisecond)
	closingsKept = int64(time.Hour / time.Millisecond)
	// wrongClock is by how much another node's clock may be ahead, in milliseconds; what it says of later counts as now.
	wrongClock = 60_000
)

// Follow takes news of another node: of two words about a key the later one holds. It is false for what changes nothing here.
func (s *Set) Follow(n News, node string, now time.Time) bool {
	t := s.lock()
	defer t.mu.Unlock()
	at := t.advance(now)
	since, i := t.clock.ms(n.Since), t.number(n.Detector)
	switch {
	case i < 0:
		t.shared.Unknown++
		return false
	case !plain(node, mostNode) || node == "" || !plain(n.Why, 512) || !plain(n.By, 512) || !plain(n.Node, mostNode) || n.Since.IsZero() || since < 0 || since > at+wrongClock:
		t.shared.Refused++
		return false
	}
	since = min(since, at)
	d := t.all[i]
	key, ok := d.keyAbroad(n.Trunk, n.Key)
	if !ok {
		t.shared.Refused++
		return false
	}
	if n.Act != "" {
		if n.Trunk == "" && d.Key != policy.ByTrunk {
			key = anyTrunk<<keyBits | key&keyMask
		}
		return d.followAct(key, &n, node, since)
	}
	switch n.State {
	case Tripped:
		return d.followTrip(key, &n, node, since)
	case Closed:
		return d.followClosed(key, &n, since)
	}
	return false
}

// followTrip trips a key that has tripped elsewhere, for as long as there.
func (d *detector) followTrip(key uint64, n *News, node string, since int64) bool {
	first, most := d.hold()
	hold := min(n.Hold.Milliseconds(), most)
	if hold <= 0 {
		hold = first
	}
	now, until := d.set.clock.now, min(d.set.clock.ms(n.Until), since+hold)
	if until <= now || d.pinned(key) || d.anews[key] >= since || d.closings[key].at >= since {
		return false
	}
	at := d.slots.find(key)
	had := at >= 0 && d.slots.all[at].b != nil
	if had && d.slots.all[at].b.since >= since {
		return false
	}
	// Half of the room is left to what trips by what is counted here: a node that lies must not keep all else from tripping.
	if trunk := uint8(key >> keyBits); !had && d.slots.open[trunk] >= d.slots.quota()/2 && !d.forgetClosed(trunk) {
		d.capped++
		return false
	}
	count, limit := int32(min(max(n.Count, 0), mostCount)), int32(min(max(n.Trip, 0), mostCount))
	if at < 0 {
		if at = d.placeFor(key, n.Key, max(count, 1)); at < 0 {
			d.capped++
			return false
		}
	}
	b := &breaker{
		state: tripped, since: since, until: until, hold: hold, proof: since, trips: int32(min(max(n.Trips, 1), mostCount)),
		n: count, limit: limit, told: strings.Clone(n.Why), node: strings.Clone(node),
	}
	if d.Share > 0 {
		b.limit = 0
	}
	if had {
		b.touched, b.would = d.slots.all[at].b.touched, d.slots.all[at].b.would
	}
	d.put(at, b)
	d.explained(at)
	d.reckonAround(key)
	d.spoil(at)
	d.tell(at)
	return true
}

// followClosed closes what has closed elsewhere.
func (d *detector) followClosed(key uint64, n *News, since int64) bool {
	if d.pinned(key) || d.closings[key].at >= since {
		return false
	}
	d.noteClosing(key, since, n.Hold > 0)
	at := d.slots.find(key)
	if at < 0 {
		return false
	}
	d.settleAt(at)
	if s := &d.slots.all[at]; !s.holds() || s.b.since >= since {
		return false
	}
	d.asOf = since
	d.close(at, since, n.Hold > 0)
	d.asOf = 0
	d.reckonAround(key)
	return true
}

// followAct does what a person has done on another node.
func (d *detector) followAct(key uint64, n *News, node string, since int64) bool {
	latest := d.acts[key].at
	if pin := d.pins[key]; pin != nil {
		latest = max(latest, pin.since)
	}
	if latest >= since {
		return false
	}
	if n.Node != "" { // it only passes it on
		node = n.Node
	}
	by := strings.Clone(n.By)
	node = strings.Clone(node)
	d.asOf = since
	defer func() { d.asOf = 0 }()
	switch n.Act {
	case ActReset:
		d.reset(key, by)
	case ActOpen, ActShut:
		if d.pins[key] == nil && len(d.pins) >= mostPins-mostPins/4 { // the rest is for persons here
			d.capped++
			return false
		}
		if d.pinKey(key, n.Key, n.Act, by) == 0 {
			return false
		}
		d.pins[key].node = node
	case ActUnpin:
		d.unpin(key, by)
	default:
		d.set.shared.Refused++
		return false
	}
	d.noteAct(key, act{since, n.Act, by, strings.Clone(n.Key), node})
	return true
}

// stamp is when what is being done was done: now, or when a person did it on another node.
func (d *detector) stamp() int64 {
	if d.asOf > 0 {
		return d.asOf
	}
	return d.set.clock.now
}

// noteAct remembers what a person did.
func (d *detector) noteAct(key uint64, a act) {
	if d.acts == nil {
		d.acts = make(map[uint64]act)
	}
	if len(d.acts) >= mostActs {
		oldest, found := a.at, false
		var drop uint64
		for k, o := range d.acts {
			if o.at < oldest || o.at == oldest && (!found || k < drop) {
				oldest, drop, found = o.at, k, true
			}
		}
		delete(d.acts, drop)
	}
	d.acts[key] = a
}

// didHere notes what a person did here, and tells the other nodes.
func (d *detector) didHere(key uint64, trunk, text, how, by string) {
	if d.set.tellTo == nil {
		return
	}
	now := d.set.clock.now
	d.noteAct(key, act{now, how, by, strings.Clone(cutText(text)), ""})
	d.set.tellTo.News(d.actNews(trunk, d.acts[key]))
}

func (d *detector) actNews(trunk string, a act) News {
	return News{Act: a.how, Breaker: Breaker{Detector: d.Name, Trunk: trunk, Key: a.key, Since: d.set.clock.time(a.at), By: a.by, Node: a.node}}
}

// closing is when a breaker closed by what callers did, for whoever has not heard of it.
type closing struct {
	at         int64
	remembered bool // the next trip is for longer
}

func (d *detector) noteClosing(key uint64, at int64, remembered bool) {
	for k, c := range d.closings {
		if d.set.clock.now-c.at > closingsKept {
			delete(d.closings, k)
		}
	}
	if d.closings == nil {
		d.closings = make(map[uint64]closing)
	}
	if len(d.closings) < mostActs {
		d.closings[key] = closing{at, remembered}
	}
}

// closeEverywhere closes a breaker by what callers did, here and on the other nodes.
func (d *detector) closeEverywhere(at int32, remember bool) {
	key, text := d.slots.all[at].key, d.keyText(d.slots.all[at].key, at)
	now := d.set.clock.now
	d.close(at, now, remember)
	if d.set.tellTo != nil {
		d.noteClosing(key, now, remember)
		d.set.tellTo.News(d.closingNews(key, text, d.closings[key]))
	}
}

func (d *detector) closingNews(key uint64, text string, c closing) News {
	b := Breaker{Detector: d.Name, Trunk: d.set.trunkName(key), Key: text, State: Closed, Since: d.set.clock.time(c.at)}
	if c.remembered {
		b.Hold = d.Hold
	}
	return News{Breaker: b}
}

// tellPeers tells the other nodes of a slot that has tripped here.
func (d *detector) tellPeers(at int32) {
	d.reckonAround(d.slots.all[at].key)
	if d.set.tellTo != nil {
		d.set.tellTo.News(News{Breaker: d.breaker(at).kept()})
	}
}

// Standing is all that others are to follow that still holds: breakers that tripped here, pins, and what closed or was done by a person lately. It is
// told to a node that comes, and now and then to all, for a word may get lost.
func (s *Set) Standing(now time.Time) (all []News) {
	for i := 0; ; i++ {
		t := s.lock()
		if i >= len(t.all) {
			t.mu.Unlock()
			return all
		}
		t.advance(now)
		all = t.all[i].standing(all)
		t.mu.Unlock()
	}
}

func (d *detector) standing(all []News) []News {
	now := d.set.clock.now
	for i := range d.slots.all {
		s := &d.slots.all[i]
		if s.b == nil {
			continue
		}
		d.settleAt(int32(i))
		if s.b != nil && s.b.state == tripped && s.b.node == "" && !d.pinned(s.key) {
			all = append(all, News{Breaker: d.breaker(int32(i)).kept()})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(d.closings)) {
		if c := d.closings[key]; now-c.at > closingsKept {
			delete(d.closings, key)
		} else if text := d.keyText(key, d.slots.find(key)); text != "" {
			all = append(all, d.closingNews(key, text, c))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(d.pins)) {
		pin := d.pins[key]
		text := d.keyText(key, d.slots.find(key))
		all = append(all, d.actNews(d.set.trunkName(key), act{pin.since, pinNames[pin.pinned], pin.by, text, pin.node}))
	}
	for _, key := range slices.Sorted(maps.Keys(d.acts)) {
		if a := d.acts[key]; now-a.at > actsKept {
			delete(d.acts, key)
		} else if d.pins[key] == nil {
			all = append(all, d.actNews(d.set.trunkName(key), a))
		}
	}
	return all
}

// countsAnew notes that a key counts from nothing, so that what others counted of it before does not count.
func (d *detector) countsAnew(at int32) {
	if d.abroad == nil && d.told == nil {
		return
	}
	s := &d.slots.all[at]
	if d.anews == nil {
		d.anews = make(map[uint64]int64)
	}
	if len(d.anews) >= mostShares {
		for key, since := range d.anews {
			if d.set.clock.now-since > d.Window.Milliseconds()+d.sub {
				delete(d.anews, key)
			}
		}
	}
	if len(d.anews) < mostShares {
		d.anews[s.key] = d.stamp()
	}
	if f := d.abroadOf(s.key, d.slots.hash(s.key)); f != nil {
		d.reckon(f)
	}
}
