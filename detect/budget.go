package detect

import (
	"math"
	"time"

	"ringfence/policy"
)

// What a budget goes by.
const (
	budgetSpan = time.Hour
	budgetSub  = 5 * time.Minute
	budgetSubs = int(budgetSpan / budgetSub)
	// sureParts are the parts of the room under max_share that evidence of a sureness may fill up to: what is weak
	// leaves room for what is surer.
	sureClasses = 4
	// Where more than this part of a trunk's calls were touched, and more than a few, what is left of the hour is not
	// what usually comes. It counts for it only where nothing better is known, or a trunk that is called so from its
	// first day on would never have a bound.
	touchedPart = 0.1
	touchedFew  = 5
)

var sureParts = [sureClasses]float64{0.7, 0.8, 0.9, 1}

// sureness is how far a count is beyond its trip: 0 below twice the trip, 1 from there, 2 from four times, 3 from eight
// times or where a person holds the breaker tripped.
func sureness(count, trip int, pinned bool) int {
	switch {
	case pinned:
		return 3
	case trip <= 0: // a surge whose habit is not known any more
		return 0
	case count >= 8*trip:
		return 3
	case count >= 4*trip:
		return 2
	case count >= 2*trip:
		return 1
	}
	return 0
}

// budgets bound what all detectors together do to the calls of each trunk (max_share). In an hour they may touch
//
//	the calls beyond those that usually come at this hour + max_share × those that usually come
//
// rounded up to a whole call. A campaign of 5.6 calls a second on a trunk of one in ten seconds is beyond the usual
// ones and can be stopped altogether; a breaker that tripped wrongly takes no more than its share of those who always
// call. Calls that were stopped by something else are neither in the one nor in the other. Where less than a day of a
// trunk was learnt, in its first two days that is, nothing is usual yet, all is beyond it, and so there is no bound: a
// campaign that is all there is must be one that can be stopped. With max_share = 1 there is no bound either.
//
// The touched calls of all detectors are added up. Weak evidence may fill only a part of the room, so that what is
// surer finds some. A set's lock guards it.
type budgets struct {
	habits *habits // of the trunks, with the key 0
	of     map[string]*budget
	latest *budget // that was asked for last: nearly always it is the next one
	order  []string
}

// budget is that of one trunk: its last hour in pieces of five minutes.
type budget struct {
	trunk   string
	sub     int64              // the latest piece, in pieces since 1970
	passed  [budgetSubs]uint32 // calls that no breaker was tripped for, or that found no room
	touched [budgetSubs]uint32
	over    uint64    // calls that found no room
	since   time.Time // since when calls find none; zero where the latest one found some
	latest  time.Time // when a call found none the last time
}

func newBudgets(zone *time.Location) *budgets {
	s := &budgets{habits: newHabits(zone, maxTrunks, budgetHours), of: map[string]*budget{}}
	s.habits.fills = true
	return s
}

// at is the budget of a trunk with the pieces of an hour ago emptied, nil if there are too many trunks. An earlier time
// counts as the latest.
func (s *budgets) at(trunk string, at time.Time) *budget {
	b := s.latest
	if b == nil || b.trunk != trunk {
		if b = s.of[trunk]; b == nil {
			if len(s.of) == maxTrunks {
				return nil
			}
			b = &budget{trunk: trunk}
			s.of[trunk] = b
			s.order = append(s.order, trunk)
		}
		s.latest = b
	}
	sub := secondOf(at) / int64(budgetSub/time.Second)
	if b.sub-sub > int64(budgetSubs) { // the clock was wrong, and has been put right
		b.sub = sub - int64(budgetSubs)
	}
	for n := min(sub-b.sub, int64(budgetSubs)); n > 0; n-- {
		i := (sub - n + 1) % int64(budgetSubs)
		b.passed[i], b.touched[i] = 0, 0
	}
	b.sub = max(b.sub, sub)
	return b
}

func (b *budget) piece() int64 { return b.sub % int64(budgetSubs) }

func (b *budget) sum() (passed, touched int) {
	for i := range b.passed {
		passed += int(b.passed[i])
		touched += int(b.touched[i])
	}
	return passed, touched
}

// pass counts a call that was neither touched by a detector nor stopped by anything else; teaches says whether it
// counts as usual as well, which those do not that a detector would have touched.
func (s *budgets) pass(trunk string, at time.Time, teaches bool) {
	if b := s.at(trunk, at); b != nil {
		b.passed[b.piece()]++
	}
	if teaches {
		s.habits.note(habitKey{trunk: trunk}, at, 1)
	} else {
		s.habits.tick(at)
	}
}

// take takes room for one call on which detectors of that max_share (the largest of them) would act, with evidence of
// that sureness. Without room it is false, and the call is to be told to pass() once it was decided anew.
func (s *budgets) take(trunk string, at time.Time, share float64, sure int) bool {
	b := s.at(trunk, at)
	if b == nil {
		return share >= 1
	}
	passed, touched := b.sum()
	if !s.room(trunk, at, passed, touched, share, sure) {
		b.over++
		if b.latest = at; b.since.IsZero() {
			b.since = at
		}
		return false
	}
	b.touched[b.piece()]++
	if !b.since.IsZero() && at.Sub(b.latest) >= budgetSub {
		b.since = time.Time{}
	}
	if touched++; touched > touchedFew && float64(touched) > touchedPart*float64(passed+touched) {
		s.habits.spoil(habitKey{trunk: trunk}, at)
	}
	return true
}

// room reports whether one more call may be touched.
func (s *budgets) room(trunk string, at time.Time, passed, touched int, share float64, sure int) bool {
	if share >= 1 {
		return true
	}
	part := sureParts[min(max(sure, 0), sureClasses-1)]
	usual, known := s.habits.usual(habitKey{trunk: trunk}, at, budgetSpan)
	if !known {
		return true
	}
	beyond := max(float64(passed+touched+1)-usual, 0)
	return float64(touched+1) <= math.Floor(beyond)+math.Ceil(part*share*usual)
}

// Over is where detectors have no room under max_share.
type Over struct {
	Trunk   string
	Since   time.Time // no call found room since; a quarter of an hour after the latest that did not it is over
	Touched int       // calls touched in the last hour
	Calls   int       // of so many
	Total   uint64    // calls that found no room since the start
}

// overLasts is how long after the latest call without room a trunk is said to be over max_share.
const overLasts = 15 * time.Minute

// over are the trunks where calls found no room lately.
func (s *budgets) over(now time.Time) []Over {
	var all []Over
	for _, trunk := range s.order {
		b := s.of[trunk]
		if b.latest.IsZero() || now.Sub(b.latest) > overLasts {
			continue
		}
		b = s.at(trunk, now)
		passed, touched := b.sum()
		since := b.since
		if since.IsZero() {
			since = b.latest
		}
		all = append(all, Over{Trunk: trunk, Since: since, Touched: touched, Calls: passed + touched, Total: b.over})
	}
	return all
}

// largestShare is the largest max_share of these detectors.
func largestShare(all []policy.Detector, by policy.DetectorSet) float64 {
	share := 0.0
	for i := range all {
		if by.Has(i) {
			share = max(share, all[i].MaxShare)
		}
	}
	return share
}
