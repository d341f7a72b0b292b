package pages

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ringfence/rawtext"
)

// tongue says things in one language, by the policy's clock. It is what templates call.
type tongue struct {
	lang  string
	texts texts
	p     *Pages
}

// T is the text of a key with arguments: numbers as they are written in the language, texts as they are, times in short.
// A key that is not there is a fault, which a test finds; it shows as itself.
func (t *tongue) T(key string, args ...any) string {
	text, ok := t.texts[key]
	if !ok {
		return key
	}
	shown := make([]string, len(args))
	for i, a := range args {
		switch v := a.(type) {
		case string:
			shown[i] = v
		case time.Time:
			shown[i] = t.When(v)
		case time.Duration:
			shown[i] = t.Span(v)
		case float64:
			shown[i] = t.Decimal(v)
		default:
			shown[i] = t.N(a)
		}
	}
	return fill(text, shown)
}

// Word is the text of one of a family of words that come from the daemon: Word("action", "reject"). What has no text is shown as it is.
func (t *tongue) Word(family, word string) string {
	if text, ok := t.texts[family+"."+word]; ok {
		return text
	}
	return shown(word)
}

// N writes a whole number with its thousands apart.
func (t *tongue) N(v any) string {
	digits := fmt.Sprint(v)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "−", digits[1:]
	}
	if len(digits) < 5 && t.lang == "zh" { // 1234 stays, as it is usual there
		return sign + digits
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// Decimal writes a number with one place behind the point, if it has any.
func (t *tongue) Decimal(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

// Percent writes a share of 1.
func (t *tongue) Percent(v float64) string { return strconv.Itoa(int(math.Round(v*100))) + "%" }

// When writes a time: today the clock's alone, else with the day, in another year with that.
func (t *tongue) When(at time.Time) string {
	if at.IsZero() {
		return "–"
	}
	zone := t.p.zone()
	at, now := at.In(zone), t.p.o.Now().In(zone)
	clock := at.Format("15:04:05")
	switch {
	case at.Year() != now.Year():
		return t.Day(at) + " " + clock
	case at.YearDay() == now.YearDay():
		return clock
	case t.lang == "zh":
		return at.Format("1月2日 ") + clock
	default:
		return at.Format("2 Jan ") + clock
	}
}

// Day writes a day.
func (t *tongue) Day(at time.Time) string {
	at = at.In(t.p.zone())
	if t.lang == "zh" {
		return at.Format("2006年1月2日")
	}
	return at.Format("2 Jan 2006")
}

// Time writes a time in full.
func (t *tongue) Time(at time.Time) string {
	if at.IsZero() {
		return "–"
	}
	return t.Day(at) + " " + at.In(t.p.zone()).Format("15:04:05")
}

// Stamp is a time for machines, in <time datetime>.
func (t *tongue) Stamp(at time.Time) string {
	return at.In(t.p.zone()).Format("2006-01-02T15:04:05.000Z07:00")
}

// Zone names the clock that all times go by.
func (t *tongue) Zone() string { return t.p.zone().String() }

// Seconds writes a length of time given in seconds.
func (t *tongue) Seconds(s float64) string { return t.Span(time.Duration(s * float64(time.Second))) }

// Span writes a length of time, in its two largest units.
func (t *tongue) Span(d time.Duration) string {
	d = d.Round(time.Second)
	if d < 0 {
		d = -d
	}
	days, hours, minutes, seconds := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60, int(d/time.Second)%60
	units := []struct {
		key string
		n   int
	}{{"unit.d", days}, {"unit.h", hours}, {"unit.min", minutes}, {"unit.s", seconds}}
	for i, u := range units {
		if u.n == 0 {
			continue
		}
		text := t.T(u.key, u.n)
		if i+1 < len(units) && units[i+1].n != 0 {
			text += " " + t.T(units[i+1].key, units[i+1].n)
		}
		return text
	}
	return t.T("unit.s", 0)
}

// Ago writes how long ago something was.
func (t *tongue) Ago(at time.Time) string {
	if at.IsZero() {
		return "–"
	}
	return t.T("ago", t.Span(t.p.o.Now().Sub(at)))
}

// funcs are what templates may call.
func (t *tongue) funcs() template.FuncMap {
	return template.FuncMap{
		"t": t.T, "word": t.Word, "n": t.N, "decimal": t.Decimal, "percent": t.Percent,
		"when": t.When, "day": t.Day, "time": t.Time, "stamp": t.Stamp, "zone": t.Zone, "seconds": t.Seconds, "span": t.Span, "ago": t.Ago,
		"shown": shown, "browserof": browserOf, "shownlines": shownLines, "q": rawtext.Escape, "static": t.p.static.path, "lang": func() string { return t.lang },
		"dict": dict, "list": func(v ...any) []any { return v }, "has": func(text, part string) bool { return strings.Contains(text, part) },
		"without": strings.TrimPrefix, "join": func(texts []string, by string) string { return shown(strings.Join(texts, by)) },
	}
}

// shownLines is shown for a text of several lines, whose ends and tabs stay.
func shownLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		cells := strings.Split(strings.TrimSuffix(line, "\r"), "\t")
		for n, cell := range cells {
			cells[n] = shown(cell)
		}
		lines[i] = strings.Join(cells, "\t")
	}
	return strings.Join(lines, "\n")
}

// dict makes a map of what a part is given: dict "name" value …
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict takes names and values in turn")
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// maxMarks is how many marks that stack on one letter are shown; a name may have hundreds, which cover the lines above and below.
const maxMarks = 3

// shown makes a text of a caller fit to be looked at: bytes that are no text, control characters and those that are invisible or turn the
// direction of writing become their names in brackets. html/template does the rest.
func shown(s string) string {
	s = rawtext.Escape(s)
	odd := func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp, unicode.Mn, unicode.Me) || r == utf8.RuneError
	}
	if strings.IndexFunc(s, odd) < 0 {
		return s
	}
	var b strings.Builder
	marks := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me):
			if marks++; marks <= maxMarks {
				b.WriteRune(r)
			} else if marks == maxMarks+1 {
				b.WriteString("⟨…⟩")
			}
			continue
		case odd(r):
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		default:
			b.WriteRune(r)
		}
		marks = 0
	}
	return b.String()
}
