package policy

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// hours is one entry of an `hours` condition: days, and a time of day. The two are tested separately, as
// FreeSWITCH does: `Mon-Fri 18:00-08:30` holds on Monday to Friday before 08:30 or from 18:00 on, so early
// Saturday is not in it and early Monday is.
type hours struct {
	text     string // as written
	days     uint8  // bit d: time.Weekday d
	holidays bool   // the day word `holidays`
	from, to int    // minutes of the day; the first belongs, the second does not; from > to runs over midnight
}

// clock is a moment on the wall clock of the policy's time zone.
type clock struct {
	day     time.Weekday // a weekend day under `workdays` is its nearest weekday
	minute  int          // of the day
	holiday bool
}

// holds reports whether a moment lies within the entry.
func (h *hours) holds(c clock) bool {
	if h.days&(1<<c.day) == 0 && !(h.holidays && c.holiday) {
		return false
	}
	if h.from < h.to {
		return h.from <= c.minute && c.minute < h.to
	}
	return h.from <= c.minute || c.minute < h.to
}

const (
	dayMinutes = 24 * 60
	everyDay   = 1<<7 - 1
)

var dayNames = []string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

const hoursAdvice = `write days, a time, or both, as in "Mon-Fri 18:00-08:30", "Sat-Sun", "22:00-06:00" or "holidays"`

// parseHours reads one entry. The error is advice, without file and line.
func parseHours(text string) (hours, error) {
	h := hours{text: text, days: everyDay, to: dayMinutes}
	words := strings.Fields(text)
	switch {
	case len(words) == 0:
		return h, fmt.Errorf("is empty: %s", hoursAdvice)
	case len(words) > 2:
		return h, fmt.Errorf("%q has more than days and one time: write an entry of the array for each", text)
	}
	if !strings.Contains(words[0], ":") {
		if err := h.parseDays(words[0]); err != nil {
			return h, err
		}
		words = words[1:]
	} else if len(words) == 2 {
		return h, fmt.Errorf("%q: write the days before the time, as in %q", text, "Mon-Fri 18:00-08:30")
	}
	if len(words) == 1 {
		return h, h.parseTimes(words[0])
	}
	return h, nil
}

func (h *hours) parseDays(word string) error {
	if strings.EqualFold(word, "holidays") {
		h.days, h.holidays = 0, true
		return nil
	}
	if strings.Contains(word, ",") {
		return fmt.Errorf("%q: write an entry of the array for each day or range of days, not a comma", h.text)
	}
	first, last, ranged := strings.Cut(word, "-")
	if !ranged {
		last = first
	}
	from, err := parseDay(first, h.text)
	if err != nil {
		return err
	}
	to, err := parseDay(last, h.text)
	if err != nil {
		return err
	}
	h.days = 0
	for d := from; ; d = (d + 1) % 7 { // Sat-Mon runs over the week's end
		h.days |= 1 << d
		if d == to {
			return nil
		}
	}
}

func parseDay(word, text string) (int, error) {
	for d, name := range dayNames {
		if strings.EqualFold(word, name) {
			return d, nil
		}
	}
	for d, name := range dayNames {
		if len(word) > 2 && strings.EqualFold(word[:min(3, len(word))], name) {
			return 0, fmt.Errorf("%q: %q is no day word, write %q", text, word, dayNames[d])
		}
	}
	if strings.EqualFold(word, "holiday") {
		return 0, fmt.Errorf("%q: %q is no day word, write %q", text, word, "holidays")
	}
	return 0, fmt.Errorf("%q: %q is neither a day nor a time: %s", text, word, hoursAdvice)
}

func (h *hours) parseTimes(word string) error {
	first, last, ranged := strings.Cut(word, "-")
	if !ranged {
		return fmt.Errorf("%q: a time has a beginning and an end: write it as in 08:00-12:00", h.text)
	}
	var err error
	if h.from, err = parseMinute(first, h.text); err != nil {
		return err
	}
	if h.to, err = parseMinute(last, h.text); err != nil {
		return err
	}
	switch {
	case h.from == dayMinutes:
		return fmt.Errorf("%q: a day begins at 00:00, only an end may be 24:00", h.text)
	case h.from == h.to:
		return fmt.Errorf("%q begins and ends at the same minute: leave the time out for the whole day", h.text)
	}
	return nil
}

// parseMinute reads a time of day; 24:00 is the end of one.
func parseMinute(word, text string) (int, error) {
	hh, mm, ok := strings.Cut(word, ":")
	h, herr := strconv.ParseUint(hh, 10, 8)
	m, merr := strconv.ParseUint(mm, 10, 8)
	if !ok || herr != nil || merr != nil || len(hh) > 2 || len(mm) != 2 {
		return 0, fmt.Errorf("%q: %q is no time of day: write hours and minutes, as in 08:30", text, word)
	}
	if m > 59 || h > 24 || h == 24 && m > 0 {
		return 0, fmt.Errorf("%q: there is no time %s: write 00:00 to 24:00", text, word)
	}
	return int(h)*60 + int(m), nil
}

// calendar turns a moment into the wall clock that `hours` is tested against.
//
// A date under `holidays` is still the weekday it is: the word adds a name to the day and takes none away. A weekend day
// under `workdays` is no longer one; it is taken as the nearest weekday, a Saturday as Friday and a Sunday
// as Monday, so that rules for working hours and after hours hold on it with that day's times.
type calendar struct {
	zone     *time.Location
	holidays map[date]bool
	workdays map[date]bool
}

// date is a day of the calendar, a plain value that a map can be asked for.
type date struct {
	year  int
	month time.Month
	day   int
}

func dateOf(t time.Time) date {
	y, m, d := t.Date()
	return date{y, m, d}
}

// at is what the clock of a zone shows.
func (c *calendar) at(t time.Time, zone *time.Location) clock {
	t = t.In(zone)
	d := dateOf(t)
	hour, minute, _ := t.Clock()
	k := clock{day: t.Weekday(), minute: hour*60 + minute, holiday: c.holidays[d]}
	if c.workdays[d] {
		switch k.day {
		case time.Saturday:
			k.day = time.Friday
		case time.Sunday:
			k.day = time.Monday
		}
	}
	return k
}
