package detect_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ringfence/detect"
	"ringfence/policy"
)

// hostileShare is one of whatever bytes say, of a detector that there is.
func hostileShare(of detect.Share, b []byte) (detect.Share, []byte) {
	take := func(n int) uint64 {
		var v [8]byte
		k := copy(v[:n], b)
		b = b[k:]
		return binary.LittleEndian.Uint64(v[:])
	}
	x := of
	switch take(1) % 4 {
	case 0:
		x.Key = fmt.Sprint(take(4))
	case 1:
		x.Key = string(b[:min(len(b), 9)])
	}
	x.Sub += uint32(int8(take(1)))
	if take(1) == 7 {
		x.Sub = uint32(take(4))
	}
	for i := range x.Counts {
		if take(1)%4 == 0 {
			x.Counts[i] = uint32(take(4))
		}
	}
	x.Things = nil
	for range take(1) * 2 {
		x.Things = append(x.Things, detect.Thing{ID: take(8), Line: take(1), Ago: uint8(take(1)) % 16, N: uint16(take(1))})
		if len(b) == 0 {
			break
		}
	}
	for i := range x.Digits {
		x.Digits[i] = uint16(take(2))
	}
	for range take(1) % 6 {
		x.Tens = append(x.Tens, detect.Ten{Block: uint32(take(4)), Ago: uint8(take(1)) % 16})
	}
	x.Held, x.Since = take(1)%2 == 0, int64(take(8))
	return x, b
}

// FuzzHeard holds that a set stands whatever a peer says, that its counts stay counts, that nobody who is protected is touched, and that pins stay.
func FuzzHeard(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		b := make([]byte, 400)
		for i := range b {
			b[i] = byte(random.IntN(256))
		}
		f.Add(b)
	}
	ds, keys := counting()
	ds = append(ds, manyDetectors()...)
	proto := newWorld(f, ds...)
	for i := range 40 {
		proto.talk(proto.call(call{from: fmt.Sprintf("952116%02d", i), to: line(i), decoy: i%3 == 0}), 3*time.Second)
	}
	shares := proto.set.Tell(proto.at, 3, nil)
	if len(shares) < 10 {
		f.Fatalf("%d shares to begin with", len(shares))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld(t, ds...)
		w.set.Pin("d0", "telecom", "952116", "shut", "anna", w.at)
		for i, epoch := 0, uint64(1); len(b) > 0 && i < 50; i++ {
			var x detect.Share
			x, b = hostileShare(shares[i%len(shares)], b)
			w.set.Heard(fmt.Sprint("pbx", i%12), epoch+uint64(i%3), w.at, w.at, []detect.Share{x})
			for _, state := range []string{detect.Tripped, detect.Closed} {
				w.set.Follow(detect.News{Breaker: detect.Breaker{
					Detector: x.Detector, Trunk: x.Trunk, Key: x.Key, State: state, Since: w.at.Add(time.Duration(x.Since)), Until: time.UnixMilli(x.Since), Hold: time.Duration(x.Since),
					Count: int(int32(x.Counts[0])), Trip: -1, Trips: int(x.Since), Why: x.Key,
				}}, "pbx1", w.at)
			}
		}
		every := policy.DetectorSet(1)<<len(ds) - 1
		for i := range 30 {
			c := w.call(call{from: fmt.Sprintf("952116%02d", i), to: line(i), decoy: true})
			w.talk(c, time.Second)
			if c := w.call(call{from: fmt.Sprintf("952116%02d", i), to: line(i), protected: every}); c.n.Tripped != 0 {
				t.Fatal("a protected caller is touched")
			}
		}
		if p := w.breaker("d0", "952116"); p.Pinned != "shut" {
			t.Fatalf("the pin has gone: %+v", p)
		}
		w.set.Breakers("", true, w.at, func(b detect.Breaker) bool {
			if b.Count < 0 || b.Here < 0 || b.Trip < 0 || b.Until.Sub(w.at) > 30*24*time.Hour {
				t.Errorf("%+v", b)
			}
			return true
		})
		w.set.Snapshot()
		w.set.Tick(w.at.Add(8 * 24 * time.Hour))
		if n := w.set.Shared(); n.Nodes > 8 {
			t.Errorf("%d nodes are kept", n.Nodes)
		}
		_ = keys
	})
}

// TestHostileFlood holds that what peers say without end stays within bounds, is counted, and does not keep calls from being counted.
func TestHostileFlood(t *testing.T) {
	ds := []policy.Detector{rangeWakes(), detector("dialler", policy.ByCaller, time.Hour, 20, policy.CountCallees)}
	w := newWorld(t, ds...)
	for i := range 20 {
		w.call(call{from: dialler, to: line(i)})
		w.call(call{from: fmt.Sprintf("952112%02d", i*37%100), to: line(i)})
	}
	var like []detect.Share
	for _, x := range w.set.Tell(w.at, 3, nil) {
		if x.Key == diallers || x.Key == "952112" {
			like = append(like, x)
		}
	}
	if len(like) != 2 {
		t.Fatalf("%d shares to begin with", len(like))
	}
	before := heap()
	rounds := 40
	if testing.Short() || underRace {
		rounds = 8
	}
	for round := range rounds {
		for node := range 10 {
			shares := make([]detect.Share, 0, 4096)
			for i := range 4096 {
				x := like[i%2]
				x.Key = fmt.Sprint(95000000 + round*40960 + node*4096 + i)
				if i%2 == 0 == (len(like[0].Key) > 8) {
					x.Key = "+86" + x.Key
				}
				x.Things = nil
				for j := range i % 5 {
					x.Things = append(x.Things, detect.Thing{ID: like[i%2].Things[0].ID + uint64(i*64+j)*32, N: 1})
				}
				shares = append(shares, x)
			}
			w.set.Heard(fmt.Sprint("pbx", node), 1, w.at, w.at, shares)
			w.set.Heard(strings.Repeat("x", 4000), uint64(node), w.at, w.at, shares[:1])
		}
		w.at = w.at.Add(250 * time.Millisecond)
	}
	used, is := int64(heap())-int64(before), w.set.Shared()
	t.Logf("%.1f MiB, %+v", float64(used)/(1<<20), is)
	if used > 64<<20 {
		t.Errorf("%.1f MiB are kept of what was said, want 64 at most", float64(used)/(1<<20))
	}
	if is.Full == 0 || is.Refused == 0 || is.Nodes != 8 {
		t.Errorf("it is not counted: %+v", is)
	}
	stopped := 0
	for i := range 10 {
		if w.call(call{from: fmt.Sprintf("13905921%03d", 111*i%1000), to: line(i)}).stopped {
			stopped++
		}
	}
	if stopped < 5 {
		t.Errorf("%d of 10 calls of a campaign are stopped meanwhile", stopped)
	}
	w.wait(4 * time.Hour)
	if used := int64(heap()) - int64(before); used > 8<<20 {
		t.Errorf("%.1f MiB are kept when all of it has faded", float64(used)/(1<<20))
	}
}

// TestHostileShares holds what a share may not be, each of them counted.
func TestHostileShares(t *testing.T) {
	ds := []policy.Detector{
		detector("calls", policy.ByCaller, time.Hour, 5, policy.CountCalls), detector("lines", policy.ByCaller, time.Hour, 5, policy.CountCallees),
		surge(policy.ByTrunk, 10*time.Minute),
	}
	w := newWorld(t, ds...)
	for i := range 6 {
		w.call(call{from: dialler, to: line(i)})
	}
	said := w.set.Tell(w.at, 2, nil)
	if len(said) != 2 {
		t.Fatalf("it tells %d shares, want calls and lines", len(said))
	}
	for name, change := range map[string]func(x *detect.Share){
		"other form":      func(x *detect.Share) { x.Form++ },
		"no detector":     func(x *detect.Share) { x.Detector = "other" },
		"a surge":         func(x *detect.Share) { x.Detector = ds[2].Name },
		"the future":      func(x *detect.Share) { x.Sub += 2 },
		"no time":         func(x *detect.Share) { x.Sub = 0 },
		"too many":        func(x *detect.Share) { x.Counts[3] = math.MaxUint32 },
		"no such key":     func(x *detect.Share) { x.Key = "952116" },
		"no text":         func(x *detect.Share) { x.Trunk = "a\nb" },
		"far back":        func(x *detect.Share) { x.Things = []detect.Thing{{ID: 1<<56 | 5, Ago: 12, N: 1}} },
		"many of one":     func(x *detect.Share) { x.Things = []detect.Thing{{ID: 1<<56 | 5, N: 9}} },
		"another kind":    func(x *detect.Share) { x.Things = []detect.Thing{{ID: 14<<56 | 5, N: 1}} },
		"no kind":         func(x *detect.Share) { x.Things = []detect.Thing{{ID: 200<<56 | 5, N: 1}} },
		"no per_line":     func(x *detect.Share) { x.Things = []detect.Thing{{Line: 7, N: 1}} },
		"too many things": func(x *detect.Share) { x.Things = make([]detect.Thing, 257) },
		"too many tens":   func(x *detect.Share) { x.Tens = make([]detect.Ten, 5) },
		"no calls":        func(x *detect.Share) { x.Now = 3 },
		"before 1970":     func(x *detect.Share) { x.Since = -1 },
	} {
		other := newWorld(t, ds...)
		for _, x := range said {
			x.Counts, x.Things = [12]uint32{}, nil
			change(&x)
			other.set.Heard("pbx2", 1, other.at, other.at, []detect.Share{x})
		}
		if is := other.set.Shared(); is.Heard != 0 || is.Refused+is.Unknown != 2 {
			t.Errorf("%s: %+v", name, is)
		}
	}
	other := newWorld(t, ds...)
	other.set.Heard("pbx2", 1, other.at, other.at, said)
	if is := other.set.Shared(); is.Heard != 2 {
		t.Errorf("as they were: %+v", is)
	}
}

// TestHostileNews holds that trips and pins without end which a peer tells of leave room for what trips here, and for persons.
func TestHostileNews(t *testing.T) {
	w := newWorld(t, rangeWakes())
	name := rangeWakes().Name
	for i := range 20000 {
		w.set.Follow(detect.News{Breaker: detect.Breaker{
			Detector: name, Trunk: "telecom", Key: fmt.Sprint(13100000 + i), State: detect.Tripped, Since: w.at, Until: w.at.Add(700 * time.Hour), Hold: 700 * time.Hour, Count: math.MaxInt32, Trip: 5,
		}}, "pbx3", w.at)
		w.set.Follow(detect.News{Act: detect.ActOpen, Breaker: detect.Breaker{Detector: name, Trunk: "telecom", Key: fmt.Sprint(13500000 + i), Since: w.at, By: "anna"}}, "pbx3", w.at)
	}
	w.at = w.at.Add(time.Second)
	stopped := 0
	for i := range 10 {
		if w.call(call{from: fmt.Sprintf("13905921%03d", 111*i%1000), to: line(i)}).stopped {
			stopped++
		}
	}
	if stopped < 5 {
		t.Errorf("%d of 10 calls of a campaign are stopped", stopped)
	}
	for i := range 200 {
		if w.set.Pin(name, "telecom", fmt.Sprint(13905922+i), detect.ActShut, "bob", w.at) == 0 {
			t.Fatalf("there is room for %d pins of persons here", i)
		}
	}
}
