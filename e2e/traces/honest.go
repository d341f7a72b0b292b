package traces

import (
	"fmt"
	"time"
)

// person is somebody who calls us more than once.
type person struct {
	number string
	deals  []string // with these numbers of ours
	class  string
}

// firm is a business with numbers side by side.
type firm struct {
	lead  string // what all its numbers begin with, three digits before their end
	from  int    // the first of them
	lines int    // and how many it has
}

func (w *world) number(f *firm) string {
	return fmt.Sprintf("%s%03d", f.lead, f.from+w.IntN(f.lines))
}

// centre is an honest call centre that calls by turns from numbers of one head.
type centre struct {
	head    string // 6 or 7 digits
	numbers []string
}

// honest makes up all honest calls.
func (w *world) honest() {
	people := w.people()
	firms := w.firms()
	w.ambient(people, firms)
	w.callCentres()
	w.couriers()
	w.privacyNumbers()
	for range w.between(0, 2) {
		w.clinic()
	}
	for range w.between(1, 3) {
		w.storm()
	}
}

// people are those who call again and again.
func (w *world) people() []person {
	var all []person
	for range int(w.perDay * w.within(w.odds.people)) {
		p := person{number: w.mobile(), class: Regulars}
		switch x := w.Float64(); {
		case x < w.odds.landlines:
			p.number = w.landline()
		case x < w.odds.landlines+0.005:
			p.number, p.class = w.digits(w.pick("0592554", "0592556", "05925551", "05925552"), 4)[:11], Neighbours
		case x < w.odds.landlines+0.03:
			p.number, p.class = w.abroad(), Abroad
		}
		for range w.between(1, 3) {
			p.deals = append(p.deals, w.callee())
		}
		all = append(all, p)
	}
	return all
}

func (w *world) abroad() string {
	return w.digits(w.pick("+1212", "+1415", "+1650", "+4420", "+8522", "+8529", "+6591", "+6598", "+8190", "+8860", "+4930", "+6140"), 7)
}

func (w *world) firms() []firm {
	var all []firm
	for range w.between(15, 60) {
		f := firm{lead: w.digits("0592"+w.pick("2", "3", "5", "6", "7"), 3), lines: w.between(5, 100)}
		if w.chance(0.3) {
			f.lead = w.digits(w.pick("0108", "0216", "05918", "07558"), 4)
		}
		f.from = w.IntN(1000 - f.lines)
		all = append(all, f)
	}
	return all
}

// ambient are the calls that come by themselves, by the hour of the week, and those that go out.
func (w *world) ambient(people []person, firms []firm) {
	regular, stranger, business := w.log(0.45, 0.8), w.within(w.odds.strangers), w.within(w.odds.firms)
	for hour := range Days * 24 {
		for range w.poisson(w.perDay * w.hours[hour%(7*24)]) {
			c := Call{At: at(0, float64(hour)).Add(time.Duration(w.IntN(3600)) * time.Second), Callee: w.callee(), Class: Strangers}
			switch x := w.Float64() * (regular + stranger + business + w.odds.rare); {
			case x < regular:
				p := &people[int(float64(len(people))*w.Float64()*w.Float64())]
				c.Caller, c.Callee, c.Class = p.number, p.deals[w.IntN(len(p.deals))], p.class
			case x < regular+stranger:
				c.Caller = w.stranger()
			case x < regular+stranger+business:
				c.Caller, c.Class = w.number(&firms[int(float64(len(firms))*w.Float64()*w.Float64())]), Businesses
			default:
				w.rare(&c)
			}
			w.honestly(c, 0.72, 70)
		}
		for range w.poisson(w.perDay * w.hours[hour%(7*24)] * 0.35) {
			w.callOut(at(0, float64(hour)), people, firms)
		}
	}
}

func (w *world) stranger() string {
	if !w.chance(w.odds.landlines) {
		return w.mobile()
	}
	return w.landline()
}

// rare are callers of the smaller classes.
func (w *world) rare(c *Call) {
	switch x := w.Float64(); {
	case x < 0.45:
		c.Caller, c.Class = w.pick("95588", "95533", "95566", "95599", "95555", "95511", "10086", "10010", "12345", "96110", "01095588", "95338"), ServiceCode
	case x < 0.6:
		c.Caller, c.Class = w.abroad(), Abroad
	case x < 0.75:
		c.Caller, c.Class = "anonymous", Withheld
	case x < 0.8:
		c.Caller, c.Class = w.digits(w.pick("0592554", "0592556", "05925551", "05925552"), 4)[:11], Neighbours
	default:
		c.Caller, c.Class = w.digits(w.pick("9521", "9520", "9523", "9525", "9502", "9504"), 4), Once952
	}
}

// callOut is a call of one of our phones.
func (w *world) callOut(hour time.Time, people []person, firms []firm) {
	c := Call{At: hour.Add(time.Duration(w.IntN(3600)) * time.Second), Out: true}
	switch x := w.Float64(); {
	case x < 0.6:
		p := &people[w.IntN(len(people))]
		c.Caller, c.Callee, c.Class = p.deals[0], p.number, p.class
	case x < 0.75:
		c.Callee, c.Class = w.number(&firms[w.IntN(len(firms))]), Businesses
	default:
		c.Callee, c.Class = w.stranger(), Strangers
	}
	if c.Caller == "" || c.Caller == hotline {
		c.Caller = w.staff[w.IntN(len(w.staff))]
	}
	w.became(&c, 0.65, 60)
	w.add(c)
}

// callCentres call customers of theirs among our staff, day by day, from whichever of their numbers is free.
func (w *world) callCentres() {
	for range w.between(2, 6) {
		f := centre{head: w.digits(w.pick("9521", "9521", "9520", "9523"), 3)}
		if w.chance(0.3) {
			f.head = f.head[:6]
		}
		if len(f.head) == 7 {
			for i := range w.between(3, 10) {
				f.numbers = append(f.numbers, f.head+string(byte('0'+i)))
			}
		} else {
			for range w.between(5, 40) {
				f.numbers = append(f.numbers, w.digits(f.head, 2))
			}
		}
		w.centres = append(w.centres, f)
		perDay, first := w.within(w.odds.centres), 0
		if w.chance(0.3) {
			first = w.IntN(14) // a customer of ours is theirs since then
		}
		for day := first; day < Days; day++ {
			if day%7 == 6 || day%7 == 5 && w.chance(0.6) {
				continue
			}
			for range w.poisson(perDay) {
				w.honestly(Call{
					At: at(day, 9+w.Float64()*9), Caller: w.pick(f.numbers...), Callee: w.staff[w.IntN(len(w.staff))], Class: CallCentres,
				}, 0.68, 65)
			}
		}
	}
}

// couriers call one after the other whom they have something for.
func (w *world) couriers() {
	var regulars []string
	for range w.between(4, 15) {
		regulars = append(regulars, w.mobile())
	}
	for day := range Days {
		for range w.poisson(w.odds.couriers * map[bool]float64{false: 1, true: 0.3}[day%7 > 4]) {
			who := w.mobile()
			if w.chance(0.7) {
				who = w.pick(regulars...)
			}
			when := at(day, 9+w.Float64()*8)
			for range w.around(7, 0.6) {
				w.honestly(Call{At: when, Caller: who, Callee: w.staff[w.IntN(len(w.staff))], Class: Couriers}, 0.75, 14)
				when = when.Add(time.Duration(w.around(120, 0.9)) * time.Second)
			}
		}
	}
}

// privacyNumbers are lent to a courier for one call each, from a block of a platform.
func (w *world) privacyNumbers() {
	for range w.between(0, w.odds.platforms) {
		block, perDay := w.digits(w.pick("170", "171", "167", "162"), 4), w.log(1, 8)
		for day := range Days {
			for range w.poisson(perDay) {
				w.honestly(Call{At: at(day, 9+w.Float64()*10), Caller: w.digits(block, 4), Callee: w.staff[w.IntN(len(w.staff))], Class: Privacy}, 0.8, 15)
			}
		}
	}
}

// clinic is one fixed number that calls a good part of the staff within hours, to recall them.
func (w *world) clinic() {
	who, when, calls, hours := w.landline(), at(w.workday(), 8.5+w.Float64()*3), int(w.log(50, 400)), 1.5+w.Float64()*5
	for _, i := range w.Perm(len(w.staff))[:min(calls, len(w.staff))] {
		w.honestly(Call{At: when.Add(time.Duration(w.Float64() * hours * float64(time.Hour))), Caller: who, Callee: w.staff[i], Class: Clinics}, 0.7, 45)
	}
}

// storm is people who call back a number of ours that somebody else has shown when they called them.
func (w *world) storm() {
	when, callee := at(w.workday(), 8.5+w.Float64()*8), w.staff[w.IntN(len(w.staff))]
	calls, hours := int(w.within(w.odds.storm)), w.log(0.5, 10)
	town := w.chance(0.5) // the diallers went through one town, or through the country
	heads := w.heads[:w.between(5, min(len(w.heads), 120))]
	for range calls {
		who := w.digits(w.mobileHead(), 4)
		if town {
			if who = w.digits(w.pick(heads...), 4); w.chance(0.2) {
				who = w.landline()
			}
		}
		w.honestly(Call{At: when.Add(time.Duration(w.ExpFloat64() * hours / 2 * float64(time.Hour))), Caller: who, Callee: callee, Class: Storms}, 0.45, 18)
	}
}
