package detect_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"ringfence/policy"
)

// usually makes a world whose trunk has had so many honest calls in each hour of two weeks.
func usually(t *testing.T, anHour int, ds ...policy.Detector) (*world, *rand.Rand) {
	t.Helper()
	w, random := newWorld(t, ds...), rand.New(rand.NewPCG(11, 12))
	for range 15 * 24 {
		w.hourly("", anHour, anybody(random))
	}
	return w, random
}

// TestAttackCampaignOnAQuietTrunk holds that 5.6 calls a second on a trunk of one in ten seconds are stopped, as good
// as all, under max_share = 0.3: they are beyond what usually comes.
func TestAttackCampaignOnAQuietTrunk(t *testing.T) {
	d := rangeWakes()
	d.MaxShare = 0.3
	w, random := usually(t, 360, d)
	campaign, stopped, honest, touched := 0, 0, 0, 0
	for end := w.at.Add(30 * time.Minute); w.at.Before(end); w.at = w.at.Add(time.Second / 57 * 10) {
		if random.IntN(57) == 0 {
			honest++
			if w.call(call{from: anybody(random)(0), to: line(random.IntN(700))}).stopped {
				touched++
			}
			continue
		}
		campaign++
		if w.call(call{from: fmt.Sprintf("952116%02d", random.IntN(100)), to: line(random.IntN(700))}).stopped {
			stopped++
		}
	}
	if stopped < campaign-300 {
		t.Errorf("stopped %d of a campaign's %d calls, want all but 300 at most", stopped, campaign)
	}
	if touched > 0 {
		t.Errorf("%d of %d honest calls touched", touched, honest)
	}
}

// TestAttackCampaignOnANewTrunk holds that the same campaign is stopped on a trunk of which nothing is learnt yet: from
// its first minute, and in its first, quiet night.
func TestAttackCampaignOnANewTrunk(t *testing.T) {
	for _, hours := range []int{0, 16} {
		d := rangeWakes()
		d.MaxShare = 0.3
		w, random := newWorld(t, d), rand.New(rand.NewPCG(11, 12))
		for range hours {
			w.hourly("", 360, anybody(random))
		}
		if hours > 0 {
			w.wait(6 * time.Hour)
		}
		campaign, stopped := 0, 0
		for end := w.at.Add(10 * time.Minute); w.at.Before(end); w.at = w.at.Add(time.Second / 56 * 10) {
			campaign++
			if w.call(call{from: fmt.Sprintf("952116%02d", random.IntN(100)), to: line(random.IntN(700))}).stopped {
				stopped++
			}
		}
		if stopped < campaign-15 {
			t.Errorf("after %d hours: stopped %d of a campaign's %d calls, want all but 15 at most", hours, stopped, campaign)
		}
	}
}

// TestAttackWrongBreaker holds the promise to those who always call: a breaker that holds for all of them takes
// max_share of what usually comes and what happens to come beyond it.
func TestAttackWrongBreaker(t *testing.T) {
	d := detector("everybody", policy.ByAll, time.Hour, 200, policy.CountCallers)
	d.MaxShare, d.Hold, d.HoldMax = 0.2, 24*time.Hour, 24*time.Hour
	quiet := detector("another", policy.ByTrunk, time.Hour, 200, policy.CountCalls)
	quiet.MaxShare, quiet.Hold, quiet.HoldMax = 0.2, 24*time.Hour, 24*time.Hour
	w, random := usually(t, 100, d, quiet)
	w.set.Pin(d.Name, "", "all", "open", "a person", w.at)
	for hour := range 24 {
		// The share of all detectors together is bounded, not of each.
		if stopped := w.hourly("", 100, anybody(random)); stopped > 22 || hour > 0 && stopped < 10 {
			t.Errorf("hour %d: %d of the hundred who always call are stopped, want 20", hour, stopped)
		}
	}
}

// TestAttackSacrifice holds that a campaign which is there to be stopped uses no room up for the real one, which is
// surer.
func TestAttackSacrifice(t *testing.T) {
	d := detector("range", policy.ByPrefix, time.Hour, 10, policy.CountStrangers)
	d.Levels, d.MaxShare = []policy.Level{{Digits: 6, Trip: 10}}, 0.1
	w, random := usually(t, 200, d)
	// The night is quiet, so that nothing is beyond the usual ones: a tenth of 200 is all the room there is. Forty
	// ranges trip and go on a little.
	sacrificed := 0
	for i := range 40 {
		for k := range 3 {
			if w.call(call{from: fmt.Sprintf("9530%02d%02d", i%40, k*7), to: line(i)}).stopped {
				sacrificed++
			}
			w.at = w.at.Add(time.Second)
		}
	}
	for i := range 12 {
		if w.call(call{from: fmt.Sprintf("953000%02d", 30+i), to: line(i)}).stopped {
			sacrificed++
		}
		w.at = w.at.Add(time.Second)
	}
	campaign, stopped := 0, 0
	for end := w.at.Add(20 * time.Minute); w.at.Before(end); w.at = w.at.Add(time.Second) {
		campaign++
		if w.call(call{from: fmt.Sprintf("952116%02d", random.IntN(100)), to: line(random.IntN(700))}).stopped {
			stopped++
		}
	}
	t.Logf("sacrificed %d; stopped %d of %d", sacrificed, stopped, campaign)
	// The first calls until it trips, and as many as were missing of the usual ones.
	if stopped < campaign-200 {
		t.Errorf("stopped %d of the real campaign's %d calls behind a sacrificed one, want all but 200 at most", stopped, campaign)
	}
}
