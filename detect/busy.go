package detect

import (
	"math/bits"

	"ringfence/policy"
)

// busy is which detectors an event is something for, so that the others are not asked one by one.
type busy struct {
	counting [16]policy.DetectorSet  // by what they count
	shares   policy.DetectorSet      // those that count all calls of a key besides
	surges   policy.DetectorSet      // those with habits
	open     [256]policy.DetectorSet // by trunk: those that have a breaker there
	pinned   policy.DetectorSet      // those with pins
}

// counts are the detectors that count one of those kinds.
func (b *busy) counts(kinds uint16) (set policy.DetectorSet) {
	for ; kinds != 0; kinds &= kinds - 1 {
		set |= b.counting[bits.TrailingZeros16(kinds)]
	}
	return set
}

// next takes the first detector out of a set that is not empty.
func next(set *policy.DetectorSet) int {
	i := bits.TrailingZeros32(uint32(*set))
	*set &= *set - 1
	return i
}

// put notes whether a detector is one of a set.
func put(set *policy.DetectorSet, detector int, is bool) {
	if *set &^= 1 << detector; is {
		*set = set.With(detector)
	}
}

// opened counts a breaker of a trunk that has come, or by -1 one that has gone.
func (d *detector) opened(trunk uint8, by int32) {
	d.slots.open[trunk] += by
	put(&d.set.busy.open[trunk], d.number, d.slots.open[trunk] > 0)
}

// notePins has the set know whether the detector has pins.
func (d *detector) notePins() { put(&d.set.busy.pinned, d.number, len(d.pins) > 0) }
