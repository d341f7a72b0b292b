package traces

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// world is the enterprise, its callers, and the calls that were made up so far.
type world struct {
	dice
	odds    *World
	staff   []string // numbers that somebody has
	decoys  []string
	hours   [7 * 24]float64 // how the calls of a weekday, which are 1, are spread; from Monday 0:00
	perDay  float64         // honest calls of a weekday, of those that come by themselves
	heads   []string        // of the mobiles of this town, 7 digits each
	centres []centre
	calls   []Call
	made    []Campaign
}

const hotline = "4008001234"

func newWorld(seed uint64, odds *World) *world {
	w := &world{dice: dice{rand.New(rand.NewPCG(seed, 0x7261636573))}, odds: odds}
	w.perDay = w.within(odds.perDay)
	unused := w.log(0.02, 0.3) // of the numbers below 0800 nobody has these either, and nobody has said so
	for i := range 1000 {
		n := fmt.Sprintf("05925550%03d", i)
		switch {
		case i >= 800:
			w.decoys = append(w.decoys, n)
		case !w.chance(unused):
			w.staff = append(w.staff, n)
		}
	}
	weekday := [24]float64{.1, .1, .05, .05, .05, .1, .3, 1.5, 6, 10.5, 12, 9.5, 4.5, 5, 9.5, 11, 10.5, 8.5, 5, 2.5, 1.5, 1, .5, .25}
	saturday, sunday := w.between(10, 40), w.between(3, 20)
	for h := range w.hours {
		share := 1.0
		switch h / 24 {
		case 5:
			share = float64(saturday) / 100
		case 6:
			share = float64(sunday) / 100
		}
		w.hours[h] = weekday[h%24] / 100 * share
	}
	for range w.between(300, 1500) {
		w.heads = append(w.heads, w.mobileHead())
	}
	return w
}

// dice is chance.
type dice struct{ *rand.Rand }

func (d dice) chance(p float64) bool { return d.Float64() < p }

// between is a whole number, both ends included.
func (d dice) between(low, high int) int { return low + d.IntN(high-low+1) }

// log is a number of which each order of magnitude is as likely as the other.
func (d dice) log(low, high float64) float64 { return low * math.Pow(high/low, d.Float64()) }

func (d dice) pick(of ...string) string { return of[d.IntN(len(of))] }

// within is a number of a pair, as log has it.
func (d dice) within(pair [2]float64) float64 { return d.log(pair[0], pair[1]) }

// digits puts n digits behind lead.
func (d dice) digits(lead string, n int) string {
	var b strings.Builder
	b.WriteString(lead)
	for range n {
		b.WriteByte(byte('0' + d.IntN(10)))
	}
	return b.String()
}

// around is a length that is half of the time less than median, and now and then several times as much.
func (d dice) around(median, spread float64) int {
	return max(1, int(math.Round(median*math.Exp(d.NormFloat64()*spread))))
}

// poisson is how many there are where mean are expected.
func (d dice) poisson(mean float64) int {
	if mean > 50 {
		return max(0, int(math.Round(mean+d.NormFloat64()*math.Sqrt(mean))))
	}
	n, p, limit := 0, d.Float64(), math.Exp(-mean)
	for p > limit {
		n, p = n+1, p*d.Float64()
	}
	return n
}

// at is a time on a day, counted from 0, at an hour or within it.
func at(day int, hour float64) time.Time {
	return begin.AddDate(0, 0, day).Add(time.Duration(hour*3600) * time.Second)
}

// workday is a day from Monday to Friday.
func (w *world) workday() int {
	for {
		if d := w.IntN(Days); d%7 < 5 {
			return d
		}
	}
}

func (w *world) mobileHead() string {
	return w.digits(w.pick("130", "131", "132", "133", "135", "136", "137", "138", "139", "150", "151", "152", "155", "156", "157", "158", "159", "177", "180", "181", "182", "185", "186", "187", "188", "189", "191", "198", "199"), 4)
}

// mobile is a number of somebody: of this town, mostly.
func (w *world) mobile() string {
	if w.chance(0.65) {
		return w.digits(w.heads[w.IntN(len(w.heads))], 4)
	}
	return w.digits(w.mobileHead(), 4)
}

// landline is a fixed number of somebody.
func (w *world) landline() string {
	if w.chance(0.6) {
		return w.digits("0592"+w.pick("2", "3", "5", "6", "7"), 6)
	}
	return w.digits(w.pick("0102", "0105", "0108", "0212", "0215", "0216", "0203", "0208", "05918", "05952", "07552", "07558", "02886", "05718"), 7)
}

// callee is one of our numbers that a person calls.
func (w *world) callee() string {
	if w.chance(0.12) {
		return hotline
	}
	return w.staff[w.IntN(len(w.staff))]
}

// spell writes a number as the trunk does.
func spell(trunk, n string) string {
	if trunk != "mobile" || n == "" || n[0] == '+' || n == "anonymous" || len(n) < 7 {
		return n
	}
	return "+86" + strings.TrimPrefix(n, "0")
}

// add puts a call in, in the spelling of its trunk, and has somebody who was not answered try again now and then.
func (w *world) add(c Call) {
	if c.Trunk == "" {
		c.Trunk = "telecom"
		if w.chance(0.15) {
			c.Trunk = "mobile"
		}
	}
	c.At = c.At.Truncate(time.Second)
	c.Caller, c.Callee = spell(c.Trunk, c.Caller), spell(c.Trunk, c.Callee)
	w.calls = append(w.calls, c)
}

// became says what becomes of an honest call: how often it is answered, and how long people talk.
func (w *world) became(c *Call, answered, median float64) {
	c.Ring = w.between(2, 25)
	if c.Answered = w.chance(answered); c.Answered {
		c.Talk = w.around(median, 1)
	} else {
		c.Ring = w.between(6, 60)
	}
}

// honestly adds an honest call. Some dial a wrong number first; who is not answered often calls again.
func (w *world) honestly(c Call, answered, median float64) {
	if w.chance(0.004) {
		wrong := c
		wrong.Callee = w.misdialled(c.Callee)
		wrong.At = c.At.Add(-time.Duration(w.between(20, 90)) * time.Second)
		wrong.Ring = w.between(2, 12)
		if wrong.Answered = !w.isDecoy(wrong.Callee) && w.chance(0.7); wrong.Answered {
			wrong.Talk = w.between(3, 15)
		}
		w.add(wrong)
	}
	w.became(&c, answered, median)
	w.add(c)
	for !c.Answered && w.chance(0.3) {
		c.At = c.At.Add(time.Duration(w.around(200, 1.2)) * time.Second)
		w.became(&c, answered, median)
		w.add(c)
	}
}

// misdialled is a number with one digit wrong, or with two changed places.
func (w *world) misdialled(n string) string {
	if n == hotline {
		return n
	}
	b := []byte(n)
	if i := len(b) - w.between(1, 3); w.chance(0.3) && i < len(b)-1 {
		b[i], b[i+1] = b[i+1], b[i]
	} else {
		b[i] = byte('0' + w.IntN(10))
	}
	return string(b)
}

func (w *world) isDecoy(n string) bool { return n >= "05925550800" && n <= "05925550999" }
