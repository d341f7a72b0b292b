package detect

import (
	"math"
	"reflect"
	"testing"
	"time"
)

// trunkOf makes budgets of a trunk that had so many calls in each hour of two weeks and in the last hour.
func trunkOf(t *testing.T, anHour, lately int) (*budgets, time.Time) {
	t.Helper()
	s := newBudgets(time.UTC)
	at := monday
	for range 2 * habitHours {
		for i := range anHour {
			s.pass("telecom", at.Add(time.Duration(i)*time.Hour/time.Duration(anHour)), true)
		}
		at = at.Add(time.Hour)
	}
	at = at.Add(time.Hour)
	for i := range lately {
		s.pass("telecom", at.Add(time.Duration(i)*time.Hour/time.Duration(lately)), true)
	}
	return s, at.Add(59 * time.Minute)
}

// TestBudgetShare holds that a breaker that tripped wrongly takes its share of those who always call, rounded up to
// whole calls, and no more.
func TestBudgetShare(t *testing.T) {
	for _, c := range []struct {
		usual, lately int
		share         float64
		sure          int
		want          int // of a hundred more calls that are all to be touched
	}{
		{360, 260, 0.3, 3, 100}, // a share of 108
		{360, 260, 0.1, 3, 36},  // those that usually come are not all here yet
		{360, 260, 0.1, 0, 26},  // weak evidence leaves some of the room
		{360, 260, 0.1, 1, 29},
		{360, 260, 0.1, 2, 33},
		{360, 260, 0, 3, 0},
		{360, 360, 0, 3, 100}, // all of them are beyond the usual ones
		{360, 260, 1, 0, 100}, // no bound
		{3, 0, 0.3, 3, 98},    // beyond the usual three, and one of these
	} {
		s, at := trunkOf(t, c.usual, c.lately)
		got := 0
		for range 100 {
			if s.take("telecom", at, c.share, c.sure) {
				got++
			} else {
				s.pass("telecom", at, false)
			}
		}
		if got != c.want {
			t.Errorf("usually %d, %d came, max_share %.1f, sureness %d: touched %d of 100, want %d", c.usual, c.lately, c.share, c.sure, got, c.want)
		}
	}
}

// TestBudgetOfACampaign holds that 5.6 calls a second on a trunk of one in ten seconds can be stopped as good as all.
func TestBudgetOfACampaign(t *testing.T) {
	s, at := trunkOf(t, 360, 300)
	stopped, all := 0, 0
	for end := at.Add(3 * time.Hour); at.Before(end); at = at.Add(time.Second / 56 * 10) {
		if all++; all%56 == 0 {
			s.pass("telecom", at, true)
			continue
		}
		if s.take("telecom", at, 0.3, 0) {
			stopped++
		} else {
			s.pass("telecom", at, false)
		}
	}
	if float64(stopped) < 0.97*float64(all) {
		t.Errorf("touched %d of %d", stopped, all)
	}
}

// TestBudgetOfMistakes holds the promise for weeks: where everybody who calls is touched by mistake, no hour has more
// of them than the share and what happens to come beyond the usual, and the habit does not follow down what is touched.
func TestBudgetOfMistakes(t *testing.T) {
	s, at := trunkOf(t, 100, 100)
	for week := range 12 {
		touched, all := 0, 0
		for end := at.Add(habitHours * time.Hour); at.Before(end); at = at.Add(36 * time.Second) {
			all++
			if s.take("telecom", at, 0.2, 3) {
				touched++
			} else {
				s.pass("telecom", at, false)
			}
		}
		if part := float64(touched) / float64(all); part > 0.22 {
			t.Errorf("week %d: %.0f %% of all calls touched, want 20", week+1, part*100)
		}
		usual, known := s.habits.usual(habitKey{trunk: "telecom"}, at, time.Hour)
		if !known || math.Abs(usual-100) > 11 {
			t.Errorf("week %d: usually %.0f, known %v, want 100", week+1, usual, known)
		}
	}
}

// TestBudgetOfAYoungTrunk holds that there is no bound while nothing is usual, and one from when a day is learnt: two days after the first call.
func TestBudgetOfAYoungTrunk(t *testing.T) {
	s, at := newBudgets(time.UTC), monday
	for hour := range 49 {
		for i := range 60 {
			s.pass("telecom", at.Add(time.Duration(i)*time.Minute), true)
		}
		at = at.Add(time.Hour)
		if hour != 0 && hour != 12 {
			continue
		}
		for range 300 {
			if !s.take("telecom", at, 0.1, 0) {
				t.Fatalf("no room after %d hours of a trunk", hour+1)
			}
		}
		at = at.Add(2 * time.Hour) // it is over
	}
	got := 0
	for range 50 {
		if s.take("telecom", at.Add(2*time.Hour), 0.2, 3) {
			got++
		}
	}
	if got != 12 {
		t.Errorf("after two days: touched %d of 50 where 60 usually come, want 0.2 of these", got)
	}
}

// TestBudgetOver holds that it can be told where there is no room, since when, and when there is again.
func TestBudgetOver(t *testing.T) {
	s, at := trunkOf(t, 100, 20)
	if got := s.over(at); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
	for range 15 {
		s.take("telecom", at, 0.1, 3)
	}
	want := []Over{{Trunk: "telecom", Since: at, Touched: 10, Calls: 30, Total: 5}}
	if got := s.over(at); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	later := at.Add(10 * time.Minute)
	s.take("telecom", later, 0.1, 3)
	if got := s.over(later); len(got) != 1 || !got[0].Since.Equal(at) || got[0].Total != 6 {
		t.Errorf("ten minutes later: got %v, want it since %s", got, at)
	}
	if got := s.over(later.Add(16 * time.Minute)); len(got) != 0 {
		t.Errorf("a quarter of an hour later: got %v, want none", got)
	}
}

// TestBudgetSnapshot holds that a restart gives no new room.
func TestBudgetSnapshot(t *testing.T) {
	s, at := trunkOf(t, 100, 20)
	s.pass("", at, true)
	for range 15 {
		s.take("telecom", at, 0.1, 3)
	}
	later := newBudgets(time.UTC)
	if rest, err := later.parse(append(s.append(nil), 9)); err != nil || len(rest) != 1 {
		t.Fatalf("parse: %v, %d bytes left, want 1", err, len(rest))
	}
	if later.take("telecom", at.Add(time.Minute), 0.1, 3) {
		t.Error("there is room again after a restart")
	}
	if !later.take("telecom", at.Add(70*time.Minute), 0.1, 3) {
		t.Error("there is none after an hour")
	}
}

// TestBudgetClock holds that a clock that jumps gives no room for ever and takes none for ever.
func TestBudgetClock(t *testing.T) {
	for _, jump := range []time.Duration{-30 * time.Minute, -5 * time.Hour, -1000 * time.Hour, 5 * time.Hour, 1000 * time.Hour, -100 * 365 * 24 * time.Hour} {
		s, at := trunkOf(t, 100, 20)
		for range 15 {
			s.take("telecom", at, 0.1, 3)
		}
		s.take("telecom", at.Add(jump), 0.1, 3)
		at = at.Add(2 * time.Hour)
		got := 0
		for range 15 {
			if s.take("telecom", at, 0.1, 3) {
				got++
			}
		}
		if got != 10 {
			t.Errorf("two hours after a jump of %s: touched %d, want 10", jump, got)
		}
	}
}

func TestSureness(t *testing.T) {
	for _, c := range []struct {
		count, trip int
		pinned      bool
		want        int
	}{{5, 5, false, 0}, {9, 5, false, 0}, {10, 5, false, 1}, {20, 5, false, 2}, {40, 5, false, 3}, {5, 5, true, 3}, {0, 5, false, 0}} {
		if got := sureness(c.count, c.trip, c.pinned); got != c.want {
			t.Errorf("%d of %d, pinned %v: got %d, want %d", c.count, c.trip, c.pinned, got, c.want)
		}
	}
}
