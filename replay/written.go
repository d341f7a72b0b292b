package replay

import (
	"strings"
	"time"
)

// written reads a time as switches, databases, spreadsheets and people write it: 2026-02-10T22:41:07.5+08:00,
// 2026/2/10 22:41, 10.02.2026 22:41, 2/10/2026 10:41 PM, 10 Feb 2026 22:41, 20260210T224107Z.
func (c *clock) written(text string) (t time.Time, shows order, ok bool) {
	s := scanner{text: text}
	if strings.Contains(text, "年") {
		s.text = chinese.Replace(text)
	}
	v, shows, ok := s.date(c.order)
	if !ok || !s.gap() {
		return time.Time{}, shows, false
	}
	nanos, ok := s.clock(&v)
	if !ok {
		return time.Time{}, shows, false
	}
	zone, ok := s.zone(c.zone)
	if !ok {
		return time.Time{}, shows, false
	}
	t, ok = dateTime(v, nanos, zone)
	return t, shows, ok
}

// chinese makes 2026年2月10日 the date that it is.
var chinese = strings.NewReplacer("年", "-", "月", "-", "日", " ")

// scanner takes the parts of a time off a text, one after the other.
type scanner struct {
	text    string
	compact bool // the date was written without separators
}

// digits takes a number of at most most digits; size is how many it has, 0 if there is none.
func (s *scanner) digits(most int) (n, size int) {
	for size < len(s.text) && size < most && s.text[size] >= '0' && s.text[size] <= '9' {
		n = n*10 + int(s.text[size]-'0')
		size++
	}
	s.text = s.text[size:]
	return n, size
}

// take takes one of some characters, 0 if none of them is next.
func (s *scanner) take(of string) byte {
	if s.text == "" || strings.IndexByte(of, s.text[0]) < 0 {
		return 0
	}
	c := s.text[0]
	s.text = s.text[1:]
	return c
}

// word takes letters, and a point behind them.
func (s *scanner) word() string {
	size := 0
	for size < len(s.text) && (s.text[size]|0x20 >= 'a' && s.text[size]|0x20 <= 'z') {
		size++
	}
	word := s.text[:size]
	s.text = s.text[size:]
	if size > 0 {
		s.take(".")
	}
	return word
}

// gap takes what may stand between a date and a time of day.
func (s *scanner) gap() bool {
	rest := strings.TrimLeft(s.text, " ,")
	if rest == s.text {
		return s.take("Tt-_:") != 0 || s.compact // 20260210224107
	}
	s.text = rest
	return true
}

// date takes a date. shows is what one of two numbers and a year shows of the order of day and month: 13/2/2026 that
// the day is first, 2/10/2026 nothing more than that it is in question.
func (s *scanner) date(known order) (v [6]int, shows order, ok bool) {
	if name := s.word(); name != "" {
		if weekday(name) {
			s.text = strings.TrimLeft(s.text, ", ")
			name = s.word()
		}
		if name != "" {
			v, ok = s.monthDate(name)
			return v, orderUnknown, ok
		}
	}
	a, size := s.digits(8)
	if size == 8 {
		v[0], v[1], v[2], s.compact = a/10000, a/100%100, a%100, true
		return v, orderUnknown, true
	}
	between := s.take("-/. ")
	if month := monthOf(s.word()); month > 0 && size <= 2 && size > 0 {
		s.take("-/ ,")
		year, wide := s.digits(4)
		return [6]int{year, month, a}, orderUnknown, wide == 4
	}
	b, sizeB := s.digits(2)
	if between == 0 || between == ' ' || sizeB == 0 || s.take(string(between)) == 0 {
		return v, orderUnknown, false
	}
	year, sizeC := s.digits(4)
	switch {
	case size == 4 && sizeC > 0 && sizeC <= 2:
		return [6]int{a, b, year}, orderUnknown, true
	case size == 0 || size > 2:
		return v, orderUnknown, false
	case between == '.' && sizeC == 2: // only people who put the day first write points
		return [6]int{2000 + year, b, a}, orderUnknown, true
	case sizeC != 4:
		return v, orderUnknown, false
	case between == '.':
		return [6]int{year, b, a}, orderUnknown, true
	}
	shows = orderEither
	switch {
	case a > 12:
		shows = orderDay
	case b > 12:
		shows = orderMonth
	}
	if known == orderDay {
		a, b = b, a
	}
	return [6]int{year, a, b}, shows, known != orderUnknown
}

// monthDate takes the rest of Feb 10, 2026 or Feb 10 2026, behind the month.
func (s *scanner) monthDate(name string) (v [6]int, ok bool) {
	month := monthOf(name)
	s.text = strings.TrimLeft(s.text, " -")
	day, size := s.digits(2)
	s.text = strings.TrimLeft(s.text, ", -")
	year, wide := s.digits(4)
	return [6]int{year, month, day}, month > 0 && size > 0 && wide == 4
}

// clock takes a time of day: 22:41, 22:41:07.5, 22.41.07, 10:41 PM, 224107.
func (s *scanner) clock(v *[6]int) (nanos int, ok bool) {
	hour, size := s.digits(6)
	between := byte(0)
	switch {
	case size == 6:
		v[3], v[4], v[5] = hour/10000, hour/100%100, hour%100
	case size == 4:
		v[3], v[4] = hour/100, hour%100
	case size == 0 || size > 2:
		return 0, false
	default:
		v[3] = hour
		if between = s.take(":."); between == 0 {
			return 0, false
		}
		if v[4], size = s.digits(2); size != 2 {
			return 0, false
		}
		if s.take(string(between)) != 0 {
			if v[5], size = s.digits(2); size != 2 {
				return 0, false
			}
		}
	}
	if between != '.' && s.take(".,") != 0 {
		fraction, n := s.digits(9)
		for range 9 - n {
			fraction *= 10
		}
		if nanos = fraction; n == 0 {
			return 0, false
		}
		s.text = strings.TrimLeft(s.text, "0123456789")
	}
	return nanos, s.halfDay(v)
}

// halfDay takes AM or PM, if one of them is there.
func (s *scanner) halfDay(v *[6]int) bool {
	rest := strings.TrimLeft(strings.TrimPrefix(strings.TrimLeft(s.text, " "), "\u202f"), " ")
	half := strings.ToLower(strings.ReplaceAll(rest[:min(len(rest), 4)], ".", ""))
	if !strings.HasPrefix(half, "am") && !strings.HasPrefix(half, "pm") {
		return true
	}
	if v[3] < 1 || v[3] > 12 {
		return false
	}
	v[3] %= 12
	if half[0] == 'p' {
		v[3] += 12
	}
	rest = rest[1:]
	rest = strings.TrimPrefix(rest, ".")[1:]
	s.text = strings.TrimPrefix(rest, ".")
	return true
}

// zone takes an offset and the end of the text: Z, -05, +0530, +05:30, UTC. Nothing is the zone of the file.
func (s *scanner) zone(of *time.Location) (*time.Location, bool) {
	rest := strings.Trim(s.text, " ")
	if rest == "" {
		return of, true
	}
	switch strings.ToUpper(rest) {
	case "Z", "UTC", "GMT":
		return time.UTC, true
	}
	s.text = rest
	sign := 1
	switch s.take("+-") {
	case 0:
		return nil, false
	default:
		if rest[0] == '-' {
			sign = -1
		}
	}
	hours, size := s.digits(2)
	s.take(":")
	minutes, more := s.digits(2)
	if size != 2 || more == 1 || rest[len(rest)-1] == ':' || s.text != "" || hours > 15 || minutes > 59 {
		return nil, false
	}
	return time.FixedZone("", sign*(hours*60+minutes)*60), true
}

// monthOf is the month that an English name or its first letters stand for, 0 if there is none.
func monthOf(name string) int {
	for m := time.January; m <= time.December; m++ {
		if full := m.String(); len(name) >= 3 && len(name) <= len(full) && strings.EqualFold(name, full[:len(name)]) {
			return int(m)
		}
	}
	return 0
}

// weekday reports whether a word is the name of a day, or its beginning.
func weekday(name string) bool {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if full := d.String(); len(name) >= 3 && len(name) <= len(full) && strings.EqualFold(name, full[:len(name)]) {
			return true
		}
	}
	return false
}
