package detect

import (
	"time"

	"ringfence/policy"
)

// Share is what one node has counted of a key of a detector, all of it, and by itself alone: nothing that it has heard of others is in it. The same
// said twice, later or never is no fault, for it takes the place of what the node said of the key before.
type Share struct {
	Detector string
	Form     uint64       // how the detector counts and when it trips: only what means the same is added up
	Trunk    string       // as Breaker has it
	Key      string       // as Breaker has it
	Sub      uint32       // the latest sub-window, counted since 1970
	Counts   [subs]uint32 // what adds up, weighed, by sub-window back from Sub
	Now      uint32       // calls under way, weighed
	Things   []Thing      // what counts once, or no more than per_line
	Digits   [subs]uint16 // of a range: which digits came next, by sub-window back from Sub
	Tens     []Ten        // and from which blocks of ten
	Held     bool         // its breaker holds, so that the ranges around it have left out what this one counts
	Since    int64        // since when it counts, in milliseconds since 1970; 0: for longer than the window
}

// Thing is somebody or something that counts once however many nodes have met it; or so many that came by calls to one number.
type Thing struct {
	ID   uint64 // what it is, as all nodes name it; 0: it adds up
	Line uint64 // the called number by which it counts, where there is a per_line
	Ago  uint8  // so many sub-windows before Sub
	N    uint16 // how many, of those that add up
}

// Ten is a block of ten numbers that somebody called from, and how many sub-windows before Sub.
type Ten struct {
	Block uint32
	Ago   uint8
}

// Bounds of what is told and heard.
const (
	mostNodes  = 8      // that anything is kept of
	mostShares = 4_096  // told in one go
	keptShares = 16_384 // of one node
	mostThings = 256    // of one key
	allThings  = 16_384 // told in one go
	keptThings = 32_768 // of one node
	mostCount  = 1 << 24
	mostNode   = 128 // bytes of a node's name

	// refresh is after how long a share is told again that has not changed, in milliseconds, for it may have got lost: then after twice as long,
	// and so on up to a sub-window or longest.
	refresh = 2_000
	longest = 300_000
	// fleeting is for how long calls under way count that were heard of, in milliseconds: by then they may have ended.
	fleeting = 3 * refresh
)

// addsUp are the kinds of which each node has its own, so that they can be added up: an order of calls is what a node has seen of it.
const addsUp = 1<<policy.CountCalls | 1<<policy.CountShortCalls | 1<<policy.CountUnanswered | 1<<policy.CountSequential

// once are the kinds that count somebody once, whichever node he comes by.
const once = 1<<policy.CountCallees | 1<<policy.CountCallers | 1<<policy.CountStrangers | 1<<policy.CountFirstTime | 1<<policy.CountDecoys | 1<<policy.CountReports

// summed reports whether what nodes count of a detector is added up. A share of a key's calls is not: it needs the calls of keys that are not worth
// telling, and is the same on each node of those that a campaign is spread over. Nor is a surge, which goes by what is usual on the node itself. What
// trips by these is told all the same.
func (d *detector) summed() bool { return d.Share == 0 && d.Surge == 0 }

// form is what Share.Form has of a detector.
func (d *detector) form() uint64 {
	h := d.shape()
	for _, v := range append([]int32{int32(d.Short / time.Millisecond)}, d.trips[:]...) {
		h = mix(h ^ uint64(uint32(v)) + 0x9e3779b97f4a7c15)
	}
	return h
}

// weight is how much a kind adds.
func (d *detector) weight(kind policy.Counted) int32 {
	for _, w := range d.Count {
		if w.Count == kind {
			return int32(w.Weight)
		}
	}
	return 0
}

// leastAdded is the least weight of the kinds that add up: of those that are told by their called number it is not known which they are.
func (d *detector) leastAdded() (least int32) {
	for _, w := range d.Count {
		if addsUp&(1<<w.Count) != 0 && (least == 0 || int32(w.Weight) < least) {
			least = int32(w.Weight)
		}
	}
	return least
}

// thingWeight is what one thing of an id adds.
func (d *detector) thingWeight(id uint64) int32 {
	if id == 0 {
		return d.leastAdded()
	}
	return d.weight(policy.Counted(id >> keyBits))
}

// shift is by how many sub-windows the set's clock is before people's.
func (d *detector) shift() int64 { return d.set.clock.ahead / d.sub }

// Shared counts what became of what nodes tell each other.
type Shared struct {
	Told    uint64 // shares
	Untold  uint64 // for which there was no room in one go
	Heard   uint64 // shares of others that counted
	Old     uint64 // that later ones had come before
	Unknown uint64 // of detectors that are not in force here, or are otherwise
	Refused uint64 // that cannot be, or are of a clock that is wrong
	Full    uint64 // for which there was no room here
	Nodes   int    // of whom something is kept
}

// Shared is what became of what nodes tell each other, since the start or the latest policy.
func (s *Set) Shared() Shared {
	t := s.lock()
	defer t.mu.Unlock()
	x := t.shared
	for i := range t.peers {
		if t.peers[i].name != "" {
			x.Nodes++
		}
	}
	return x
}
