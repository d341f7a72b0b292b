package policy

import (
	"strings"
	"testing"
	"time"
)

// calendarIn is a calendar with the National Day of 2026 off and the Saturday and Sunday worked for it.
func calendarIn(t *testing.T, zone string) *calendar {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return &calendar{
		zone:     loc,
		holidays: map[date]bool{{2026, time.October, 1}: true, {2026, time.October, 3}: true},
		workdays: map[date]bool{{2026, time.October, 10}: true, {2026, time.September, 20}: true},
	}
}

func TestHours(t *testing.T) {
	for _, test := range []struct {
		zone, hours string
		in, out     string // moments, with commas between
	}{
		{
			"Asia/Shanghai", "Mon-Fri 18:00-08:30",
			"2026-01-05T00:00:00+08:00,2026-01-05T08:29:59+08:00,2026-01-05T18:00:00+08:00,2026-01-09T23:59:59+08:00,2026-01-05T10:00:00Z",
			"2026-01-05T08:30:00+08:00,2026-01-05T17:59:59+08:00,2026-01-10T00:00:00+08:00,2026-01-10T20:00:00+08:00,2026-01-04T23:59:00+08:00",
		},
		{"Asia/Shanghai", "Sat-Sun", "2026-01-10T00:00:00+08:00,2026-01-11T23:59:59+08:00,2026-01-09T16:00:00Z", "2026-01-09T23:59:59+08:00,2026-01-12T00:00:00+08:00"},
		{"Asia/Shanghai", "Sat-Mon 09:00-10:00", "2026-01-10T09:00:00+08:00,2026-01-11T09:30:00+08:00,2026-01-12T09:59:59+08:00", "2026-01-13T09:30:00+08:00,2026-01-12T10:00:00+08:00,2026-01-09T09:30:00+08:00"},
		{"Asia/Shanghai", "fri-tue", "2026-01-09T01:00:00+08:00,2026-01-11T01:00:00+08:00,2026-01-13T01:00:00+08:00", "2026-01-14T01:00:00+08:00,2026-01-15T01:00:00+08:00"},
		{"Asia/Shanghai", "22:00-06:00", "2026-01-10T22:00:00+08:00,2026-01-10T00:00:00+08:00,2026-01-10T05:59:59+08:00", "2026-01-10T06:00:00+08:00,2026-01-10T21:59:59+08:00"},
		{"Asia/Shanghai", "Wed", "2026-01-07T00:00:00+08:00,2026-01-07T23:59:59+08:00", "2026-01-06T23:59:59+08:00,2026-01-08T00:00:00+08:00"},
		{"Asia/Shanghai", "Mon-Sun 00:00-24:00", "2026-01-07T00:00:00+08:00,2026-01-11T23:59:59+08:00", ""},
		{"Asia/Shanghai", "18:00-24:00", "2026-01-07T23:59:59+08:00", "2026-01-07T00:00:00+08:00,2026-01-07T17:59:00+08:00"},
		{"Asia/Shanghai", "18:00-00:00", "2026-01-07T23:59:59+08:00", "2026-01-07T00:00:00+08:00"},
		{"Asia/Shanghai", "8:30-9:05", "2026-01-07T08:30:00+08:00,2026-01-07T09:04:59+08:00", "2026-01-07T09:05:00+08:00"},
		{"Asia/Shanghai", "Mon-Mon", "2026-01-05T12:00:00+08:00", "2026-01-06T12:00:00+08:00"},
		// A holiday is still the weekday it is.
		{"Asia/Shanghai", "holidays", "2026-10-01T00:00:00+08:00,2026-10-01T23:59:59+08:00,2026-09-30T16:00:00Z", "2026-09-30T23:59:59+08:00,2026-10-02T00:00:00+08:00"},
		{"Asia/Shanghai", "holidays 08:00-12:00", "2026-10-03T08:00:00+08:00", "2026-10-03T12:00:00+08:00,2026-10-05T08:00:00+08:00"},
		{"Asia/Shanghai", "Thu", "2026-10-01T10:00:00+08:00", ""},
		{"Asia/Shanghai", "Sat-Sun", "2026-10-03T10:00:00+08:00", ""},
		// A worked Saturday is taken as Friday, a worked Sunday as Monday.
		{"Asia/Shanghai", "Sat-Sun", "2026-10-11T10:00:00+08:00", "2026-10-10T10:00:00+08:00,2026-09-20T10:00:00+08:00"},
		{"Asia/Shanghai", "Mon-Fri 08:30-18:00", "2026-10-10T10:00:00+08:00,2026-09-20T10:00:00+08:00", "2026-10-11T10:00:00+08:00,2026-10-10T18:00:00+08:00"},
		{"Asia/Shanghai", "Fri 08:30-16:00", "2026-10-10T10:00:00+08:00", "2026-09-20T10:00:00+08:00"},
		{"Asia/Shanghai", "Mon 08:30-16:00", "2026-09-20T10:00:00+08:00", "2026-10-10T10:00:00+08:00"},
		// The clock on the wall: 02:30 is left out in spring and comes twice in autumn.
		{"Europe/Berlin", "02:00-03:00", "2026-10-25T00:30:00Z,2026-10-25T01:30:00Z", "2026-03-29T00:59:59Z,2026-03-29T01:00:00Z,2026-10-25T02:00:00Z"},
		{"Europe/Berlin", "Sun 18:00-08:30", "2026-03-29T06:29:59Z,2026-10-25T07:29:59Z", "2026-03-29T06:30:00Z,2026-10-25T07:30:00Z"},
		{"America/New_York", "Mon-Fri 09:00-17:00", "2026-03-09T13:00:00Z,2026-03-06T14:00:00Z,2026-03-09T20:59:59Z", "2026-03-09T12:59:59Z,2026-03-06T13:59:59Z,2026-03-09T21:00:00Z"},
		{"Asia/Kathmandu", "Mon 00:00-00:01", "2026-01-04T18:15:00Z", "2026-01-04T18:14:59Z,2026-01-04T18:16:00Z"},
		{"UTC", "Sun 23:59-24:00", "2026-01-04T23:59:59Z", "2026-01-05T00:00:00Z"},
		{"Pacific/Apia", "Sat", "2026-01-02T11:00:00Z", "2026-01-02T10:59:59Z"},
	} {
		h, err := parseHours(test.hours)
		if err != nil {
			t.Errorf("%q: %v", test.hours, err)
			continue
		}
		cal := calendarIn(t, test.zone)
		for _, in := range []bool{true, false} {
			moments := test.out
			if in {
				moments = test.in
			}
			for _, moment := range strings.Split(moments, ",") {
				if moment == "" {
					continue
				}
				at, err := time.Parse(time.RFC3339, moment)
				if err != nil {
					t.Fatal(err)
				}
				if got := h.holds(cal.at(at, cal.zone)); got != in {
					t.Errorf("%s in %s: %q holds is %v", moment, test.zone, test.hours, got)
				}
			}
		}
	}
}

// TestHoursByMinute holds every minute of a week against the words of the documentation.
func TestHoursByMinute(t *testing.T) {
	h, err := parseHours("Mon-Fri 18:00-08:30")
	if err != nil {
		t.Fatal(err)
	}
	cal := &calendar{zone: time.UTC}
	start := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC) // a Monday
	for m := range 7 * dayMinutes {
		at := start.Add(time.Duration(m) * time.Minute)
		weekday := at.Weekday() != time.Saturday && at.Weekday() != time.Sunday
		clock := at.Format("15:04")
		if want := weekday && (clock < "08:30" || clock >= "18:00"); h.holds(cal.at(at, cal.zone)) != want {
			t.Fatalf("%s: holds is %v", at, !want)
		}
	}
}

func TestHoursWithin(t *testing.T) {
	for _, test := range []struct {
		part, whole string
		want        bool
	}{
		{"Mon", "Mon-Fri", true},
		{"Mon-Fri", "Mon", false},
		{"22:00-06:00", "18:00-08:30", true},
		{"18:00-08:30", "22:00-06:00", false},
		{"Mon-Fri 18:00-08:30", "Mon-Fri 18:00-24:00|Mon-Fri 00:00-08:30", true},
		{"Mon-Fri 18:00-08:31", "Mon-Fri 18:00-24:00|Mon-Fri 00:00-08:30", false},
		{"holidays", "Sat-Sun", false},
		{"holidays", "Mon-Sun", true},
		{"holidays 10:00-11:00", "holidays", true},
		{"Sat-Sun", "holidays|Sat-Sun", true},
	} {
		list := func(text string) (all []hours) {
			for _, part := range strings.Split(text, "|") {
				h, err := parseHours(part)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, h)
			}
			return all
		}
		if got := hoursWithin(list(test.part), list(test.whole)); got != test.want {
			t.Errorf("%q within %q is %v", test.part, test.whole, got)
		}
	}
}

func TestParseSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"10m": 10 * time.Minute, "1h": time.Hour, "30d": 30 * day, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "0s": 0, "1d12h": 36 * time.Hour,
	} {
		got, err := ParseSpan(text)
		if err != nil || got != want {
			t.Errorf("ParseSpan(%q) = %v, %v", text, got, err)
		}
		if again, err := ParseSpan(spanText(got)); err != nil || again != got {
			t.Errorf("ParseSpan(%q), written again, = %v, %v", text, again, err)
		}
	}
	for _, text := range []string{"", "10", "m", "-1h", "1.5h", "1h 30m", "30m1h", "1w", "1hh", "1H", "999999999d", "1m1m", "9999999999s"} {
		if d, err := ParseSpan(text); err == nil {
			t.Errorf("ParseSpan(%q) = %v", text, d)
		}
	}
}
