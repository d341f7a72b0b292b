package traces

import (
	"fmt"
	"strings"
	"time"
)

// How a campaign dials, and whom.
const (
	silent = "silent" // nobody speaks, or it hangs up while it rings
	drip   = "drip"   // a call an hour, over days
	twice  = "twice"  // each number is called again a few minutes later

	anybody  = "anybody" // numbers of the range, as they come, and so decoys
	block    = "block"   // one after the other
	fromList = "list"    // a leaked list: numbers that somebody has
)

// campaigns makes up all calls of campaigns.
func (w *world) campaigns() {
	for _, plan := range w.odds.plan {
		for range w.between(plan.low, plan.high) {
			w.campaign(plan.source)
		}
	}
}

// campaign makes up one.
func (w *world) campaign(source string) {
	k := Campaign{Source: source, Calls: int(w.log(13, 200)), Target: w.pick(anybody, anybody, block, fromList, fromList)}
	k.Name = fmt.Sprintf("%s %d", strings.ReplaceAll(source, " ", "-"), len(w.made)+1)
	if w.chance(0.4) {
		k.Calls = w.between(13, 200)
	}
	if w.chance(w.odds.large) && source != FromAnywhere {
		k.Calls = int(w.log(200, 4000))
	}
	switch x := w.Float64(); {
	case x < 0.12:
		k.Manner = silent
	case x < 0.12+w.odds.drips && source != FromAnywhere:
		k.Manner, k.Calls = drip, min(k.Calls, 80)
	case x < 0.24+w.odds.drips:
		k.Manner = twice
	}
	from, whom := w.source(source), w.target(k.Target)
	trunk := w.pick("telecom", "telecom", "telecom", "mobile")
	if w.chance(w.odds.trunks) {
		trunk = "" // by both
	}
	answered, patience := 0.25+w.Float64()*0.4, w.log(4, 12)
	length := w.log(0.15, 9) * 3600 // seconds
	if k.Manner == drip {
		length = float64(k.Calls) * w.log(0.5, 1.5) * 3600
	}
	when := at(w.workday(), 8.5+w.Float64()*7)
	if w.chance(w.odds.night) {
		when = at(w.IntN(Days), w.Float64()*24)
	}
	n := 0
	for ; n < k.Calls; n++ {
		c := Call{At: when, Caller: from(), Callee: whom(), Trunk: trunk, Campaign: k.Name, Class: source}
		w.annoy(&c, k.Manner, answered, patience)
		w.add(c)
		if k.Manner == twice && n+1 < k.Calls {
			n++
			again := c
			if source != FromOne && w.chance(0.5) {
				again.Caller = from()
			}
			again.At = c.At.Add(time.Duration(w.between(20, 600)) * time.Second)
			w.annoy(&again, k.Manner, answered, patience)
			w.add(again)
		}
		w.calledBack(&c)
		when = when.Add(time.Duration(w.ExpFloat64() * length / float64(k.Calls) * float64(time.Second)))
		if hour := when.In(zone).Hour(); hour >= 20 && k.Manner == drip {
			when = when.Add(12 * time.Hour) // people sleep
		}
	}
	w.made = append(w.made, k)
}

// annoy says what becomes of a call of a campaign.
func (w *world) annoy(c *Call, manner string, answered, patience float64) {
	c.Ring, c.Talk = w.between(2, 25), 0
	switch c.Answered = w.chance(answered); {
	case manner == silent:
		c.Answered, c.Ring = false, w.between(1, 5)
	case w.isDecoy(c.Callee) || !c.Answered:
		c.Answered, c.Ring = false, w.between(3, 40)
	case w.chance(0.04): // somebody listens
		c.Talk = w.around(70, 0.7)
	default:
		c.Talk = w.around(patience, 0.7)
	}
}

// calledBack has somebody of the staff call the number that was shown, now and then. Somebody may answer there: the dialler,
// or whoever has the number that was made up.
func (w *world) calledBack(c *Call) {
	if c.Answered || w.isDecoy(c.Callee) || !w.chance(0.01) {
		return
	}
	back := Call{At: c.At.Add(time.Duration(w.around(900, 1)) * time.Second), Caller: c.Callee, Callee: c.Caller, Out: true, Class: Strangers}
	w.became(&back, 0.4, 12)
	w.add(back)
}

// source gives the numbers that a campaign shows.
func (w *world) source(source string) func() string {
	head := func() string {
		h := w.digits(w.pick("9521", "9521", "9521", "9520", "9523", "9525", "9504"), 2)
		if w.chance(w.odds.small) {
			h = w.digits(h, 1)
		}
		return h
	}
	rest := func(head string, of int) string { return w.digits(head, of-len(head)) }
	switch source {
	case FromHead:
		h := head()
		return func() string { return rest(h, 8) }
	case FromHeads:
		heads := make([]string, w.between(2, 4))
		for i := range heads {
			heads[i] = head()
		}
		return func() string { return rest(w.pick(heads...), 8) }
	case FromSublet:
		h := w.centres[w.IntN(len(w.centres))].head
		return func() string { return rest(h, 8) }
	case FromNeighbours:
		h := w.pick("05925551", "0592555"+w.digits("", 1), "0592554", "05925559", "059255")
		return func() string { return rest(h, 11) }
	case FromMobiles:
		h := w.mobileHead()
		if w.chance(0.3) {
			h = w.digits(h, 1)
		}
		return func() string { return rest(h, 11) }
	case FromAbroad:
		h := w.pick(w.digits("+44203", 3), w.digits("+1305", 3), w.digits("+1646", 3), w.digits("+8523", 5), w.digits("+6531", 4))
		digits := map[string]int{"+44": 13, "+13": 12, "+16": 12, "+85": 12, "+65": 11}[h[:3]]
		return func() string { return rest(h, digits) }
	case FromOne:
		n := w.pick(w.mobile(), w.landline(), rest(head(), 8))
		return func() string { return n }
	}
	if w.chance(0.5) {
		return func() string { return w.digits(w.mobileHead(), 4) }
	}
	return func() string {
		switch w.IntN(4) {
		case 0:
			return w.landline()
		case 1:
			return w.digits(w.pick("9521", "9520", "9523", "9525"), 4)
		}
		return w.digits(w.mobileHead(), 4)
	}
}

// target gives the numbers that a campaign calls.
func (w *world) target(target string) func() string {
	switch target {
	case block:
		at, step := w.IntN(1000), w.between(1, 3)
		return func() string {
			at = (at + step) % 1000
			return fmt.Sprintf("05925550%03d", at)
		}
	case fromList:
		list := w.Perm(len(w.staff))[:w.between(15, len(w.staff))]
		at := -1
		return func() string {
			at = (at + 1) % len(list)
			return w.staff[list[at]]
		}
	}
	return func() string { return fmt.Sprintf("05925550%03d", w.IntN(1000)) }
}
