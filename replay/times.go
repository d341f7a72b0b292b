package replay

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/itchyny/timefmt-go"
)

// clock reads the times of a file.
type clock struct {
	zone   *time.Location // of times that name none
	format string         // how they are written, in the directives of strftime; "" to find out
	order  order          // of dates such as 2/10/2026
	serial bool           // numbers are days since 1899-12-30, as a spreadsheet counts them
	comma  bool           // a comma may stand before a fraction
	latest int            // the last year that a call may be of
}

// order is which part of 2/10/2026 is the day. That date alone does not tell, 13/10/2026 does.
type order uint8

const (
	orderUnknown order = iota // of a clock: refuse such dates; of a date: it needs none
	orderDay                  // 2 October
	orderMonth                // 10 February
	orderEither               // of a date that can be read both ways
)

// earliest is the first year a call is taken to be of: switches write 1970 for a call that was never answered.
const earliest = 1980

// Why a text is no time.
const (
	writeTime = "write 2026-03-02 09:30:00 or the like, or name the form with --time-format"
	notTime   = "is no time of a call; " + writeTime
	notOrder  = "does not tell day from month; name the form with --time-format"
	notNumber = "was rounded by a spreadsheet; have it take the column for text, and export it again"
)

// fault says what is wrong with a text that is no time.
func (c *clock) fault(text string) string {
	why := notTime
	switch t, order, ok := c.parse(text); {
	case ok && t.Year() > c.latest:
		why = fmt.Sprintf("would be in %d, which is after next year; %s", t.Year(), writeTime)
	case c.format != "":
		why = fmt.Sprintf("is not written as --time-format %q says", c.format)
	case order != orderUnknown && c.order == orderUnknown:
		why = notOrder
	case isRounded(text):
		why = notNumber
	}
	return fmt.Sprintf("%.40q %s", text, why)
}

// read reads a time. ok is false for what is no time, and for one before 1980 or after next year.
func (c *clock) read(text string) (t time.Time, ok bool) {
	if c.format == "" {
		if t, ok = plainTime(text, c.zone); ok {
			return t, t.Year() >= earliest && t.Year() <= c.latest
		}
	}
	t, _, ok = c.parse(text)
	return t, ok && t.Year() >= earliest && t.Year() <= c.latest
}

// parse reads a time of any year. shows is what its date shows of the order of day and month, if that is in question;
// such a date is a time only if the order is known, and allows it.
func (c *clock) parse(text string) (t time.Time, shows order, ok bool) {
	switch {
	case c.format != "":
		t, ok = c.formatted(text)
		return t, orderUnknown, ok
	case isNumber(text, c.comma):
		t, ok = c.number(text)
		return t, orderUnknown, ok
	}
	return c.written(text)
}

// plainTime reads 2026-03-02 09:30:00, which nearly all switches write, many times faster than what follows.
func plainTime(s string, zone *time.Location) (time.Time, bool) {
	if len(s) != len(time.DateTime) || s[4] != '-' || s[7] != '-' || s[10] != ' ' && s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	var v [6]int
	for i, span := range [...][2]int{{0, 4}, {5, 7}, {8, 10}, {11, 13}, {14, 16}, {17, 19}} {
		for _, c := range []byte(s[span[0]:span[1]]) {
			if c < '0' || c > '9' {
				return time.Time{}, false
			}
			v[i] = v[i]*10 + int(c-'0')
		}
	}
	return dateTime(v, 0, zone)
}

// dateTime is a time of year, month, day, hour, minute and second, if there is such a one.
func dateTime(v [6]int, nanos int, zone *time.Location) (time.Time, bool) {
	if v[1] < 1 || v[1] > 12 || v[3] > 23 || v[4] > 59 || v[5] > 59 {
		return time.Time{}, false
	}
	if v[2] < 1 || v[2] > 28 && time.Date(v[0], time.Month(v[1]), v[2], 0, 0, 0, 0, time.UTC).Day() != v[2] {
		return time.Time{}, false
	}
	return time.Date(v[0], time.Month(v[1]), v[2], v[3], v[4], v[5], nanos, zone), true
}

// isNumber reports whether a text is digits, perhaps with a fraction.
func isNumber(s string, comma bool) bool {
	whole, fraction, _ := cutFraction(s, comma)
	return whole != "" && len(s) <= 40 && strings.Trim(whole, "0123456789") == "" && strings.Trim(fraction, "0123456789") == ""
}

// cutFraction cuts a number at its decimal point, or at a decimal comma where files have those.
func cutFraction(s string, comma bool) (whole, fraction string, found bool) {
	if comma && !strings.Contains(s, ".") {
		return strings.Cut(s, ",")
	}
	return strings.Cut(s, ".")
}

// number reads digits: 20261121100000 as it stands, seconds since 1970, milliseconds from 12 digits on, microseconds
// from 15 on, nanoseconds of 19; or the days of a spreadsheet. What could be 20261121100000 and milliseconds is the
// former: as milliseconds it would lie in 1976 or in 2612.
func (c *clock) number(s string) (time.Time, bool) {
	whole, fraction, _ := cutFraction(s, c.comma)
	if c.serial {
		return c.day(whole, fraction)
	}
	switch len(whole) {
	case 12, 14, 17:
		if t, ok := compact(whole, c.zone); ok {
			return t, true
		}
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	switch {
	case err != nil:
		return time.Time{}, false
	case len(whole) == 19:
		return time.Unix(0, n), true
	case len(whole) > 16:
		return time.Time{}, false
	case len(whole) >= 15:
		return time.UnixMicro(n), true
	case len(whole) >= 12:
		return time.UnixMilli(n), true
	}
	return time.Unix(n, 0), true
}

// compact reads 202611211000, 20261121100000 and 20261121100000123.
func compact(s string, zone *time.Location) (time.Time, bool) {
	var v [6]int
	v[0], _ = strconv.Atoi(s[:4])
	for i, at := 1, 4; at < min(len(s), 14); i, at = i+1, at+2 {
		v[i], _ = strconv.Atoi(s[at : at+2])
	}
	nanos := 0
	if len(s) == 17 {
		nanos, _ = strconv.Atoi(s[14:])
	}
	if v[0] < 1900 || v[0] > 2999 {
		return time.Time{}, false
	}
	return dateTime(v, nanos*1e6, zone)
}

// day reads the days since 1899-12-30, with the time of day as a fraction, as spreadsheets keep times. They know no
// zone: it is what a clock on the wall showed.
func (c *clock) day(whole, fraction string) (time.Time, bool) {
	days, err := strconv.Atoi(whole)
	part, fault := strconv.ParseFloat("0."+fraction+"0", 64)
	if err != nil || fault != nil || days > lastSerial {
		return time.Time{}, false
	}
	return time.Date(1899, time.December, 30+days, 0, 0, int(math.Round(part*86400)), 0, c.zone), true
}

// The days of spreadsheets that are looked for: from 1980 to 2149. As seconds since 1970 they would all be of its
// first day.
const (
	firstSerial = 29221
	lastSerial  = 91313
)

// isSerial reports whether a text may be a spreadsheet's day.
func isSerial(s string, comma bool) bool {
	whole, fraction, _ := cutFraction(s, comma)
	if len(whole) != 5 || !isNumber(s, comma) || len(fraction) > 20 {
		return false
	}
	days, _ := strconv.Atoi(whole)
	return days >= firstSerial && days <= lastSerial
}

// formatted reads a time as the format says.
func (c *clock) formatted(text string) (time.Time, bool) {
	t, err := timefmt.ParseInLocation(text, c.format, time.UTC)
	// A 31 April would be 1 May: so it must print as it was read. Zeros may be left out, zones are written in several ways.
	if err != nil || !strings.EqualFold(bare.Replace(text), bare.Replace(timefmt.Format(t, c.format))) {
		return time.Time{}, false
	}
	t, err = timefmt.ParseInLocation(text, c.format, c.zone)
	return t, err == nil
}

// bare takes out what texts of the same time may have more or less of.
var bare = strings.NewReplacer("0", "", " ", "", ":", "", "Z", "+")

// CheckTimeFormat says what is wrong with a format for times, in the directives of strftime. "" is none.
func CheckTimeFormat(format string) error {
	if format == "" {
		return nil
	}
	const example = "such as '%d.%m.%Y %H:%M'"
	if strings.Contains(format, "%Z") {
		return fmt.Errorf("--time-format %q: the letters of a zone do not say which it is: write %%z for an offset such as +0800, or leave it out and name the zone with --zone", format)
	}
	for _, t := range []time.Time{time.Date(2026, 12, 31, 23, 58, 0, 0, time.UTC), time.Date(2025, 2, 3, 1, 7, 0, 0, time.UTC)} {
		c := clock{format: format, zone: time.UTC}
		switch read, ok := c.formatted(timefmt.Format(t, format)); {
		case !strings.Contains(format, "%"):
			return fmt.Errorf("--time-format %q: write it with %%d for the day, %%m for the month and so on, %s", format, example)
		case !ok:
			return fmt.Errorf("--time-format %q: there is something in it that cannot be read: write it with %%Y %%y %%m %%b %%d %%H %%I %%M %%S %%p %%z, %s", format, example)
		case !read.Equal(t):
			return fmt.Errorf("--time-format %q: it needs a year, a month, a day, an hour and a minute, %s", format, example)
		}
	}
	return nil
}
