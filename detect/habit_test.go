package detect

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
	_ "time/tzdata"
)

// monday is the first hour of a week in UTC.
var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

var ours = habitKey{"telecom", 952116}

// teach has so many calls of a key come in each hour, from an hour on for so many hours.
func teach(h *habits, k habitKey, from time.Time, hours int, calls func(hour int) int) time.Time {
	for i := range hours {
		at := from.Add(time.Duration(i) * time.Hour)
		h.tick(at)
		if n := calls(i); n > 0 {
			h.note(k, at.Add(20*time.Minute), n)
		}
	}
	end := from.Add(time.Duration(hours) * time.Hour)
	h.tick(end)
	return end
}

func always(n int) func(int) int { return func(int) int { return n } }

// wantUsual checks what is usual in the hour that ends at a time.
func wantUsual(t *testing.T, h *habits, k habitKey, at time.Time, want float64, wantKnown bool) {
	t.Helper()
	got, known := h.usual(k, at, time.Hour)
	if known != wantKnown || math.Abs(got-want) > 0.3+want/500 {
		t.Errorf("usual at %s: got %.2f, known %v, want %.2f, known %v", at.Format("Mon 02.01. 15:04"), got, known, want, wantKnown)
	}
}

// TestHabitKnown holds when a habit is believed: after three full days of the key, each a day old, or a week of its
// trunk.
func TestHabitKnown(t *testing.T) {
	h := newHabits(time.UTC, 10, surgeHours)
	// The first hour is not whole and not learnt.
	at := teach(h, ours, monday, 1+72+23, always(12))
	wantUsual(t, h, ours, at, 0, false)
	at = teach(h, ours, at, 1, always(12))
	wantUsual(t, h, ours, at.Add(time.Minute), 12, true)
	fresh := habitKey{"telecom", 7}
	wantUsual(t, h, fresh, at, 0, false)
	at = teach(h, ours, at, 4*24-1, always(12))
	wantUsual(t, h, fresh, at, 0, false)
	at = teach(h, ours, at, 1, always(12))
	wantUsual(t, h, fresh, at, 0, true)
	wantUsual(t, h, habitKey{"another", 7}, at, 0, false)
}

// TestHabitHours holds that each hour of the week has what is usual in it, and that a window takes its parts.
func TestHabitHours(t *testing.T) {
	h := newHabits(time.UTC, 10, surgeHours)
	at := teach(h, ours, monday, 3*habitHours, func(i int) int {
		if i%24 >= 8 && i%24 < 18 && i%habitHours < 5*24 {
			return 60
		}
		return 2
	})
	for _, c := range []struct {
		after time.Duration
		want  float64
	}{{8 * time.Hour, 2}, {8*time.Hour + 30*time.Minute, 31}, {9 * time.Hour, 60}, {5*24*time.Hour + 9*time.Hour, 2}} {
		wantUsual(t, h, ours, at.Add(c.after), c.want, true)
	}
	got, _ := h.usual(ours, at.Add(5*24*time.Hour+9*time.Hour), 24*time.Hour)
	if math.Abs(got-(24*2+9*58)) > 2 { // from Friday 09:00 on: nine hours of the day
		t.Errorf("usual in a day and a night: got %.1f, want %d", got, 24*2+9*58)
	}
}

// TestHabitMedian holds that what is usual is the median of eight weeks: one week of uproar and one of silence change
// nothing.
func TestHabitMedian(t *testing.T) {
	h := newHabits(time.UTC, 10, surgeHours)
	at := teach(h, ours, monday, 8*habitHours, func(i int) int {
		switch i / habitHours {
		case 4:
			return 4000
		case 5:
			return 0
		}
		return 40
	})
	wantUsual(t, h, ours, at, 40, true)
}

// TestHabitTaughtUpwards holds that who teaches a habit raises it by half a week at most, whatever he does, and a
// silent key by one call.
func TestHabitTaughtUpwards(t *testing.T) {
	for _, start := range []int{0, 1, 40} {
		h := newHabits(time.UTC, 10, surgeHours)
		h.note(habitKey{"telecom", 1}, monday, 1) // the trunk is watched, whether or not it has calls of this key
		at := teach(h, ours, monday, 2*habitHours, always(start))
		most := float64(start)
		for week := range 12 {
			at = teach(h, ours, at, habitHours, always(100_000))
			most = max(1.5*most, most+1)
			got, _ := h.usual(ours, at, time.Hour)
			if got > most+0.01 {
				t.Errorf("started with %d, taught for %d weeks: got %.2f an hour, want %.2f at most", start, week+1, got, most)
			}
			if week < 1 && start == 40 && got > 40 {
				t.Errorf("one week of uproar: got %.2f an hour, want the median, 40", got)
			}
		}
	}
}

// TestHabitGrowsWithItsTrunk holds that an honest key that has grown for good is known as that some weeks later.
func TestHabitGrowsWithItsTrunk(t *testing.T) {
	h := newHabits(time.UTC, 10, surgeHours)
	at := teach(h, ours, monday, 4*habitHours, always(40))
	at = teach(h, ours, at, 7*habitHours, always(80))
	wantUsual(t, h, ours, at, 80, true)
}

// TestHabitNotLearnt holds that neither stopped calls nor tripped hours are learnt, and what was learnt stays.
func TestHabitNotLearnt(t *testing.T) {
	h := newHabits(time.UTC, 10, surgeHours)
	at := teach(h, ours, monday, 2*habitHours, always(10))
	for i := range 6 * habitHours {
		now := at.Add(time.Duration(i) * time.Hour)
		h.note(ours, now, 14)
		if i%2 == 0 {
			h.note(ours, now, 500)
			h.unlearn(ours, now.Add(30*time.Minute), 504)
		} else {
			h.note(ours, now, 500)
			h.spoil(ours, now.Add(30*time.Minute))
		}
	}
	at = at.Add(6 * habitHours * time.Hour)
	wantUsual(t, h, ours, at, 10, true)
	wantUsual(t, h, ours, at.Add(time.Hour), 10, true)
	h.unlearn(ours, at, 1<<20)
	h.unlearn(ours, at.Add(-1000*time.Hour), 1)
	h.unlearn(habitKey{"nobody", 1}, at, 1)
	h.spoil(habitKey{"nobody", 1}, at)
	wantUsual(t, h, ours, at, 10, true)
}

// TestHabitDaylightSaving holds that the hours are those of the wall clock before and after it is put forward and back,
// and that an hour that comes twice counts once.
func TestHabitDaylightSaving(t *testing.T) {
	for _, c := range []struct {
		zone string
		from time.Time // a Monday, two weeks before
	}{
		{"Europe/Berlin", time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC)},
		{"Europe/Berlin", time.Date(2026, 10, 12, 0, 0, 0, 0, time.UTC)},
		{"America/St_Johns", time.Date(2026, 10, 19, 0, 0, 0, 0, time.UTC)},
		{"Australia/Lord_Howe", time.Date(2026, 3, 23, 0, 0, 0, 0, time.UTC)},
		{"Asia/Kolkata", time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC)},
		{"Asia/Shanghai", time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC)},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		h := newHabits(zone, 10, surgeHours)
		// A call every two minutes from 9 to 17, one an hour else.
		rate := func(at time.Time) bool {
			local := at.In(zone)
			return local.Hour() >= 9 && local.Hour() < 17 || local.Minute() < 2
		}
		at := c.from
		for end := at.AddDate(0, 0, 7*5); at.Before(end); at = at.Add(2 * time.Minute) {
			h.tick(at)
			if rate(at) {
				h.note(ours, at, 1)
			}
		}
		slack := 0.0
		if c.zone == "Australia/Lord_Howe" {
			slack = 15 // its clock is put forward by half an hour, and so are the hours
		}
		for hour := range habitHours {
			local := at.In(zone)
			day := time.Date(local.Year(), local.Month(), local.Day()+1+hour/24, hour%24, 59, 59, 0, zone)
			want := 1.0
			if hour%24 >= 9 && hour%24 < 17 {
				want = 30
			}
			got, known := h.usual(ours, day, 59*time.Minute)
			if !known || math.Abs(got-want) > 0.8+slack {
				t.Errorf("%s from %s, at %s: got %.2f, known %v, want %.0f", c.zone, c.from.Format(time.DateOnly), day.Format("Mon 15:04"), got, known, want)
			}
		}
	}
}

// TestHabitClockJumps holds that a wrong clock neither breaks what was learnt nor freezes the learning.
func TestHabitClockJumps(t *testing.T) {
	for _, c := range []struct {
		name string
		jump time.Duration
		want float64
	}{
		{"an hour back", -time.Hour, 20},
		{"a day and more back", -30 * time.Hour, 20},
		{"two months back", -60 * 24 * time.Hour, 20},
		{"five hours ahead", 5 * time.Hour, 20},
		{"a month ahead", 31 * 24 * time.Hour, 20},
		{"to 2090", 64 * 365 * 24 * time.Hour, 20},
		{"before 1970", -100 * 365 * 24 * time.Hour, 20},
	} {
		h := newHabits(time.UTC, 10, surgeHours)
		at := teach(h, ours, monday, 4*habitHours, always(20))
		h.note(ours, at.Add(c.jump), 5)
		h.tick(at.Add(c.jump + time.Minute))
		wantUsual(t, h, ours, at.Add(c.jump+time.Hour), c.want, true)
		// The clock is put right, and weeks later what has changed is known.
		at = teach(h, ours, at.Add(time.Hour), 9*habitHours, always(24))
		wantUsual(t, h, ours, at, 24, true)
	}
}

// TestHabitBounds holds that a table takes no more than it has room for, that spoofed keys take no room from those with
// a history, and that chance has no part in it.
func TestHabitBounds(t *testing.T) {
	fill := func() *habits {
		h := newHabits(time.UTC, 64, surgeHours)
		at := monday
		for i := range 2 * habitHours {
			at = monday.Add(time.Duration(i) * time.Hour)
			for key := range 40 {
				h.note(habitKey{"telecom", uint64(key)}, at, 5)
			}
		}
		for i := range 100_000 {
			h.note(habitKey{"telecom", 1000 + uint64(i)}, at.Add(time.Duration(i)*time.Millisecond), 1)
		}
		return h
	}
	h := fill()
	if len(h.of) != 64 || len(h.order) != 64 {
		t.Errorf("got %d habits in order of %d, want 64", len(h.of), len(h.order))
	}
	if h.full != 100_000-24 {
		t.Errorf("got %d counted as without room, want %d", h.full, 100_000-24)
	}
	for key := range 40 {
		if b := h.of[habitKey{"telecom", uint64(key)}]; b == nil || !b.rich {
			t.Errorf("key %d of many weeks has lost its habit to spoofed ones", key)
		}
	}
	if !reflect.DeepEqual(h.append(nil), fill().append(nil)) {
		t.Error("the same calls gave another table")
	}
	if !h.forget(habitKey{"telecom", 3}) || h.forget(habitKey{"telecom", 3}) || len(h.order) != 63 {
		t.Errorf("forget: %d left, want 63, and that it was there once", len(h.order))
	}
}

// TestHabitSnapshot holds that a table is the same after a restart, and that the hours of a long one are not learnt.
func TestHabitSnapshot(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	h := newHabits(time.UTC, 64, surgeHours)
	at := monday
	for range 20_000 {
		at = at.Add(time.Duration(random.IntN(360)) * time.Second)
		k := habitKey{"telecom", random.Uint64N(70)}
		h.note(k, at, 1+random.IntN(3))
		if random.IntN(50) == 0 {
			h.spoil(k, at)
		}
		if random.IntN(500) == 0 {
			later := newHabits(time.UTC, 64, surgeHours)
			rest, err := later.parse(append(h.append(nil), 1, 2, 3))
			if err != nil || len(rest) != 3 {
				t.Fatalf("parse: %v, %d bytes left, want 3", err, len(rest))
			}
			at = time.Unix(h.last, 0).Add(2 * time.Minute)
			later.tick(at)
			h.tick(at)
			h.latest = nil // that is no part of what is known
			if !reflect.DeepEqual(h, later) {
				t.Fatal("another table after a restart")
			}
			h = later
		}
	}
	at = teach(h, ours, at, 3*habitHours, always(30))
	later := newHabits(time.UTC, 64, surgeHours)
	if _, err := later.parse(h.append(nil)); err != nil {
		t.Fatal(err)
	}
	learnt := later.of[ours].learnt
	usual, _ := h.usual(ours, at, time.Hour)
	wantUsual(t, later, ours, at, usual, true)
	teach(later, ours, at.Add(10*time.Hour), 24, always(30))
	// Those of the day before, without the one that was under way when it ended.
	if got := later.of[ours].learnt - learnt; got != 24-1 && got != 24 {
		t.Errorf("learnt %d hours in the day after ten hours' absence, want 23 of the day before", got)
	}
	short := newHabits(time.UTC, 3, surgeHours)
	if _, err := short.parse(h.append(nil)); err != nil || len(short.of) != 3 {
		t.Errorf("a smaller table took %d habits, %v, want 3", len(short.of), err)
	}
}

// FuzzHabits holds that whatever stands in a snapshot is read or refused, and that the table then works within its
// bounds.
func FuzzHabits(f *testing.F) {
	h := newHabits(time.UTC, 64, surgeHours)
	teach(h, ours, monday, 3*habitHours, always(30))
	f.Add(h.append(nil))
	s := newBudgets(nil)
	s.pass("telecom", monday, true)
	s.take("telecom", monday, 0.3, 1)
	f.Add(s.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h := newHabits(time.UTC, 64, surgeHours)
		rest, err := h.parse(b)
		if err == nil && len(rest) > len(b) || len(h.of) > 64 || len(h.of) != len(h.order) || len(h.trunks) > maxTrunks {
			t.Fatalf("%d habits, %d in order, %d trunks", len(h.of), len(h.order), len(h.trunks))
		}
		teach(h, ours, monday, 30, always(3))
		if got, _ := h.usual(ours, monday.Add(30*time.Hour), time.Hour); !(got >= 0) {
			t.Errorf("usually %f", got)
		}
		s := newBudgets(nil)
		if _, err := s.parse(b); err == nil {
			s.pass("telecom", monday, true)
			s.take("telecom", monday, 0.3, 1)
		}
	})
}

// TestImprobable holds the tail against a sum from below, and that surgeTrip is the smallest count that trips.
func TestImprobable(t *testing.T) {
	for _, usual := range []float64{0.1, 0.7, 4, 33.3, 400, 9000} {
		below, term, k := 0.0, math.Exp(-usual), 0
		if usual > 700 {
			// The sum from below begins with nothing there; the normal distribution is near enough.
			got := surgeTrip(usual, 1, 1)
			if z := (float64(got) - usual) / math.Sqrt(usual); z < 4.5 || z > 5 {
				t.Errorf("usually %.0f: improbable from %d on, want 4.75 times the root above it", usual, got)
			}
			continue
		}
		for ; 1-below >= surgeChance; k++ {
			below += term
			term *= usual / float64(k+1)
		}
		if got := surgeTrip(usual, 1, 1); got < k-1 || got > k+1 {
			t.Errorf("usually %.1f: improbable from %d on, want %d", usual, got, k)
		}
	}
	for _, c := range []struct {
		usual, surge float64
		atLeast      int
		want         int
	}{
		{0, 8, 8, 8}, {0, 8, 1, 5}, {0.7, 8, 8, 8}, {4, 8, 8, 32}, {4, 1.5, 8, 18}, {100, 8, 8, 800}, {100, 1.2, 8, 152},
	} {
		got := surgeTrip(c.usual, c.surge, c.atLeast)
		if got != c.want {
			t.Errorf("usually %.1f, surge %.1f, at least %d: trips at %d, want %d", c.usual, c.surge, c.atLeast, got, c.want)
		}
		if !surges(got, c.usual, c.surge, c.atLeast) || surges(got-1, c.usual, c.surge, c.atLeast) {
			t.Errorf("usually %.1f, surge %.1f: %d is not the smallest count that trips", c.usual, c.surge, got)
		}
	}
}

// TestCell holds that a cell keeps counts to a thousandth, and never more than there was.
func TestCell(t *testing.T) {
	for v := 0.0; v < 2e6; v = v*1.01 + 0.25 {
		got := cellFor(v).count()
		if got > v || v-got > 0.25+v/1000 {
			t.Errorf("%.2f is kept as %.2f", v, got)
		}
	}
	if got := cellFor(1e12); got != mostCell || got.count() < 16e6 {
		t.Errorf("more than there is room for: got %x, want %x", got, mostCell)
	}
}
