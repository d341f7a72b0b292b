package listfile

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// expiries reads the column `expires`, in which the same text mostly comes again and again.
type expiries struct {
	o    *Options
	last string
	at   time.Time
	span time.Duration
	err  error
}

func (e *expiries) read(text string) (time.Time, time.Duration, error) {
	if text != e.last {
		e.last = strings.Clone(text)
		e.at, e.span, e.err = expiry(text, e.o)
	}
	return e.at, e.span, e.err
}

// never are the words for no expiry, besides those of an empty cell.
var never = map[string]bool{"never": true, "no": true, "nie": true, "jamais": true, "nunca": true, "mai": true, "永久": true, "永不": true, "0": true, "unlimited": true, "forever": true}

// dateForms are the ways in which spreadsheets and databases write dates, with whether there is a time in them.
var dateForms = []struct {
	form  string
	timed bool
}{
	{"2006-1-2 15:04:05", true},
	{"2006-1-2 15:04", true},
	{"2006-01-02T15:04:05", true},
	{"2006-01-02T15:04", true},
	{"2006-1-2", false},
	{"2006/1/2 15:04:05", true},
	{"2006/1/2 15:04", true},
	{"2006/1/2", false},
	{"2006.1.2", false},
	{"2.1.2006 15:04:05", true},
	{"2.1.2006 15:04", true},
	{"2.1.2006", false},
	{"2-1-2006", false},
	{"2 Jan 2006", false},
	{"2-Jan-2006", false},
	{"Jan 2, 2006", false},
	{"2006年1月2日", false},
}

// slashes is a date in which day and month may be either.
var slashes = regexp.MustCompile(`^([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})(?: ([0-9]{1,2}:[0-9]{2})(?::[0-9]{2})?)?$`)

// days is a span in words.
var days = regexp.MustCompile(`^(?i)([0-9]{1,5}) ?(days?|tage?n?|jours?|d[ií]as?|giorn[oi]|dagen|dni|дней|天|日)$`)

// expiry reads when an entry ends. span is not 0 if the text is one, from the present on.
func expiry(text string, o *Options) (at time.Time, span time.Duration, err error) {
	if o.Expiry == nil || never[strings.ToLower(text)] || strings.HasPrefix(text, "0000-00-00") {
		return at, 0, nil
	}
	if m := days.FindStringSubmatch(text); m != nil {
		text = m[1] + "d"
	}
	if at, err = o.Expiry(text, o.Now); err == nil {
		if later, _ := o.Expiry(text, o.Now.Add(time.Second)); !later.Equal(at) {
			span = at.Sub(o.Now)
		}
		return at, span, nil
	}
	for _, f := range dateForms {
		if at, err := time.ParseInLocation(f.form, text, time.Local); err == nil {
			if !f.timed {
				at = at.AddDate(0, 0, 1) // it counts to its end
			}
			return at, 0, nil
		}
	}
	if m := slashes.FindStringSubmatch(text); m != nil {
		a, _ := strconv.Atoi(m[1])
		b, _ := strconv.Atoi(m[2])
		year, clock := m[3], m[4]
		switch {
		case a > 12 && b <= 12:
			a, b = b, a
		case b > 12 && a <= 12, a == b:
		default:
			return time.Time{}, 0, fmt.Errorf("%.40q may be day or month first: write %s-%02d-%02d or %s-%02d-%02d", text, year, a, b, year, b, a)
		}
		iso := fmt.Sprintf("%s-%02d-%02d", year, a, b)
		if clock != "" {
			iso += " " + clock
		}
		return expiry(iso, o)
	}
	return time.Time{}, 0, fmt.Errorf("%.40q is no time to come: write a date such as 2026-12-31, or a span such as 30d or 12h", text)
}
