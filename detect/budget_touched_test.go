package detect

import (
	"math/rand/v2"
	"testing"
	"time"
)

// touchedHour has so many calls come in an hour that pass, and so many that are touched where there is room; it says how many were.
func touchedHour(s *budgets, at time.Time, passes, tripped int) (touched int) {
	all := passes + tripped
	for i := range all {
		now := at.Add(time.Duration(i) * time.Hour / time.Duration(all))
		if tripped*(i+1)/all == tripped*i/all {
			s.pass("telecom", now, true)
		} else if s.take("telecom", now, 0.3, 3) {
			touched++
		} else {
			s.pass("telecom", now, false)
		}
	}
	return touched
}

// TestBudgetTouchedFromTheFirstDay holds that a trunk has a bound in the end also where more than a tenth of its calls is touched in each hour
// from its first on, in whatever part and however that changes: what was left untouched is usual, and no more than that.
func TestBudgetTouchedFromTheFirstDay(t *testing.T) {
	for _, tripped := range []int{15, 60, 200, 900} {
		s, at := newBudgets(time.UTC), monday
		for range 3*24 + 1 {
			touchedHour(s, at, 100, tripped)
			at = at.Add(time.Hour)
		}
		usual, known := s.habits.usual(habitKey{trunk: "telecom"}, at.Add(-time.Nanosecond), time.Hour)
		if !known || usual < 95 || usual > 105 {
			t.Errorf("100 pass and %d are touched in each hour: after three days usually %.0f, known %v; want 100", tripped, usual, known)
		}
		// A wrong breaker takes all the others, too.
		at = at.Add(2 * time.Hour)
		if got := touchedHour(s, at, 0, 100); got > 35 {
			t.Errorf("100 pass and %d are touched in each hour: then %d of a hundred are touched, want 30", tripped, got)
		}
	}
}

// TestBudgetTaughtUpwards holds that nobody teaches a trunk that more is usual by having a part of his calls touched, whatever he does from hour
// to hour: no hour has more than the most that was usual, grown one and a half times a week as by calls that nobody touches.
func TestBudgetTaughtUpwards(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		s, at := newBudgets(time.UTC), monday
		weeks := 2 + random.IntN(2)
		for hour := range weeks*habitHours + habitDelay + 1 {
			if seed%2 == 1 && hour%100 == 99 {
				at = at.Add(68 * time.Hour) // nobody watched, so that there are hours of which nothing is known
				s.habits.restarted = true
			}
			touched := 0
			if random.IntN(3) == 0 { // as an honest trunk has it now and then
				touched = random.IntN(40)
			}
			touchedHour(s, at, 30, touched)
			at = at.Add(time.Hour)
		}
		most := 30.0
		for week := range 6 {
			for range habitHours {
				touchedHour(s, at, 30+random.IntN(300), random.IntN(200))
				at = at.Add(time.Hour)
			}
			most = max(habitGrow*most, most+1)
			for hour := range habitHours {
				c, _ := s.habits.cellOf(s.habits.hourOf(at) + int64(hour))
				if got := s.habits.of[habitKey{trunk: "telecom"}].at(c); got > most+0.5 {
					t.Fatalf("seed %d, week %d: usually %.1f in hour %d, want %.1f at most", seed, week+1, got, c, most)
				}
			}
		}
	}
}

// TestBudgetCleanHours holds that what little was left of touched hours gives way to hours that are not, as soon as others tell what is usual;
// and that touched hours neither raise nor wear down what is known.
func TestBudgetCleanHours(t *testing.T) {
	s, at := newBudgets(time.UTC), monday
	hours := func(n, passes, tripped int) {
		for range n {
			touchedHour(s, at, passes, tripped)
			at = at.Add(time.Hour)
		}
	}
	usual := func() float64 {
		got, _ := s.habits.usual(habitKey{trunk: "telecom"}, at.Add(-time.Nanosecond), time.Hour)
		return got
	}
	hours(48, 2, 98)                 // a wrong breaker takes nearly all
	hours(2*habitHours+24-48, 90, 0) // and is put right
	if hours(24, 90, 0); usual() < 89 {
		t.Errorf("usually %.0f, want 90: two days of a wrong breaker hold for weeks", usual())
	}
	for week := range 12 {
		if hours(habitHours, 2+week%2*130, 80); usual() < 89 || usual() > 91 {
			t.Errorf("touched for %d weeks: usually %.1f, want 90 as before", week+1, usual())
		}
	}
}
