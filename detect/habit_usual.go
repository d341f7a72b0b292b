package detect

import (
	"fmt"
	"math"
	"time"
)

// usual is how many calls of a key there usually are in the window that ends at a time, and whether that is known:
// three full days of the key are learnt, or its trunk has been watched for a week and what is new on it usually has
// nothing.
func (h *habits) usual(k habitKey, at time.Time, window time.Duration) (count float64, known bool) {
	h.tick(at)
	b := h.of[k]
	if b == nil || b.learnt < uint32(h.least) {
		if w := h.trunks[k.trunk]; w == nil || w.hours < habitYoung {
			return 0, false
		}
	}
	if b == nil {
		return 0, true
	}
	// Hour by hour back in the week. Where the clock was put forward or back within the window this is off by an hour.
	c, part := h.cell, float64(h.last+h.shift-h.hour*3600)/3600
	mean := unknownMean
	for left := window.Hours(); left > 0; part = 1 {
		part = min(part, left)
		count += part * b.atWith(c, &mean)
		left -= part
		c = (c + habitHours - 1) % habitHours
	}
	return count, true
}

// at is what is usual in an hour of the week. One that was not seen yet has the most of what is known: the same hour on
// other days, and the mean of all hours.
func (b *habit) at(c int) float64 {
	mean := unknownMean
	return b.atWith(c, &mean)
}

// unknownMean is a mean that atWith has not made yet.
const unknownMean = -1.0

// atWith is at for many hours: the mean of all is made once, where it is asked.
func (b *habit) atWith(c int, mean *float64) float64 {
	if b.usual[c] != unknown {
		return b.usual[c].count()
	}
	if *mean == unknownMean {
		*mean = b.mean()
	}
	most := *mean
	for day := c % 24; day < habitHours; day += 24 {
		if b.usual[day] != unknown {
			most = max(most, b.usual[day].count())
		}
	}
	return most
}

// mean is that of all hours that are known, 0 where none is.
func (b *habit) mean() float64 {
	sum, n := 0.0, 0
	for _, u := range b.usual {
		if u != unknown {
			sum += u.count()
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// surgeChance is how improbable so many calls must be by what is usual for a surge to trip: less than one in a million
// windows.
const surgeChance = 1e-6

// surgeLeast is what is usual at least, in calls of a window, when it is asked what is improbable: that nobody called
// in eight weeks does not mean that nobody ever does.
const surgeLeast = 0.1

// surges reports whether so many calls, where there are usually `usual`, trip a breaker: at least `surge` times the
// usual ones and atLeast, and improbable if calls come independently of each other (the tail of a Poisson
// distribution).
func surges(count int, usual, surge float64, atLeast int) bool {
	return count >= atLeast && float64(count) >= surge*usual && improbable(count, usual)
}

// surgeTrip is the smallest count that trips.
func surgeTrip(usual, surge float64, atLeast int) int {
	low := max(atLeast, int(math.Ceil(surge*usual)), 1)
	if improbable(low, usual) {
		return low
	}
	high := 2*low + 64
	for !improbable(high, usual) {
		high *= 2
	}
	for low+1 < high { // low is probable, high is not
		if m := (low + high) / 2; improbable(m, usual) {
			high = m
		} else {
			low = m
		}
	}
	return high
}

// improbable reports whether at least count calls come by chance less often than surgeChance says, where there are
// usually so many.
func improbable(count int, usual float64) bool {
	usual = max(usual, surgeLeast)
	if float64(count) <= usual {
		return false
	}
	k := float64(count)
	gamma, _ := math.Lgamma(k + 1)
	term := math.Exp(k*math.Log(usual) - usual - gamma)
	sum := 0.0
	for i := k + 1; term > surgeChance/1e6; i++ {
		sum += term
		if sum >= surgeChance {
			return false
		}
		term *= usual / i
	}
	return sum < surgeChance
}

// usually is a usual count as people read it: 0.7, 12.
func usually(count float64) string {
	if count < 9.95 {
		return fmt.Sprintf("%.1f", count)
	}
	return fmt.Sprintf("%.0f", count)
}
