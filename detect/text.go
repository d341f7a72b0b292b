package detect

import (
	"fmt"
	"strings"
	"time"

	"ringfence/policy"
)

// unit is what a detector counts, in words.
var units = [...]string{
	policy.CountCalls: "calls", policy.CountCallees: "called numbers", policy.CountCallers: "callers", policy.CountStrangers: "strangers",
	policy.CountFirstTime: "first-time callers", policy.CountShortCalls: "short calls", policy.CountUnanswered: "unanswered calls",
	policy.CountDecoys: "calls to decoys", policy.CountReports: "marks", policy.CountConcurrent: "calls at once", policy.CountSequential: "calls in order",
}

// counted is a number of what a detector counts: "7 strangers", "12 points (first_time 1, decoys 3)".
func (d *detector) counted(n int32) string {
	if len(d.Count) == 1 && d.Count[0].Weight == 1 {
		return fmt.Sprintf("%d %s", n, unitOf(d.Count[0].Count, n))
	}
	var parts []string
	for _, w := range d.Count {
		parts = append(parts, fmt.Sprintf("%s %d", w.Count, w.Weight))
	}
	point := "points"
	if n == 1 {
		point = "point"
	}
	return fmt.Sprintf("%d %s (%s)", n, point, strings.Join(parts, ", "))
}

func unitOf(kind policy.Counted, n int32) string {
	unit := units[kind]
	if n != 1 {
		return unit
	}
	if rest, ok := strings.CutPrefix(unit, "calls "); ok {
		return "call " + rest
	}
	return strings.TrimSuffix(unit, "s")
}

// within is the window in words, " in 3h"; nothing for calls at once.
func (d *detector) inWindow() string {
	if d.kinds == 1<<policy.CountConcurrent {
		return ""
	}
	return " in " + span(d.Window)
}

// span is a time as the policy writes it: 3h, 10m, 7d.
func span(t time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case t >= day && t%day == 0:
		return fmt.Sprintf("%dd", t/day)
	case t%time.Hour == 0:
		return fmt.Sprintf("%dh", t/time.Hour)
	case t%time.Minute == 0:
		return fmt.Sprintf("%dm", t/time.Minute)
	}
	return t.String()
}

// why says what a count is and when it trips: "7 strangers in 3h, trips at 5".
func (d *detector) why(b *breaker) string {
	if b.told != "" {
		return b.told
	}
	text := d.counted(b.n) + d.inWindow()
	if b.far > 0 {
		text += fmt.Sprintf(", %d of them on other nodes", b.far)
	}
	switch {
	case d.Share > 0:
		return fmt.Sprintf("%s, of %d calls, trips at %.3g %%", text, b.calls, 100*d.Share)
	case d.Surge > 0 && b.limit == 0:
		return text + "; what is usual is not known yet"
	case d.Surge > 0:
		return fmt.Sprintf("%s; usually %s", text, usually(float64(b.usual)))
	case b.part != 0:
		return fmt.Sprintf("%s, of %d from %s, which trips at %d", text, b.calls, digitsText(b.part&keyMask), b.limit)
	}
	return fmt.Sprintf("%s, trips at %d", text, b.limit)
}

// keyText is a key as people read it.
func (d *detector) keyText(key uint64, at int32) string {
	k := key & keyMask
	switch d.Key {
	case policy.ByHolder:
		return d.set.holders.name(int(k) - 1)
	case policy.ByTrunk:
		return d.set.trunkName(key)
	case policy.ByAll:
		return "all"
	}
	if k&hashedKey != 0 {
		if at >= 0 {
			if text := d.slots.texts[at]; text != "" {
				return text
			}
		}
		return d.pinTexts[k]
	}
	return digitsText(k)
}

// trunkName is the name of a key's trunk.
func (s *Set) trunkName(key uint64) string {
	if id := uint8(key >> keyBits); id < mostTrunks {
		return s.trunks.name(int(id))
	}
	return ""
}

// trips are the breakers that hold for a call, as rules and reasons tell them.
func (s *Set) trips(n *Count) []policy.Trip {
	var all []policy.Trip
	for i, d := range s.all {
		if !n.Tripped.Has(i) {
			continue
		}
		t := policy.Trip{Detector: i}
		if b, key, at := d.holder(&n.id); b != nil {
			t.Key, t.Since = d.keyText(key, at), s.clock.time(b.since)
			if b.pinned == pinnedOpen {
				t.Why = "held open"
				if b.by != "" {
					t.Why += " by " + b.by
				}
			} else {
				t.Why, t.Until = d.why(b), s.clock.time(b.until)
			}
		}
		switch {
		case d.Mode == policy.Observe:
			t.Trial = "on trial"
		case n.OnTrial.Has(i):
			t.Trial = "over max_share"
		}
		all = append(all, t)
	}
	return all
}
