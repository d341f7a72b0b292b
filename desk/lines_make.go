package desk

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ringfence/console"
	"ringfence/lines"
	"ringfence/notice"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// maxCustomer is how many bytes the name of a customer may have.
const maxCustomer = 128

// lineMaker makes lines of what is asked for, as the policy in force reads it.
type lineMaker struct {
	policy *policy.Policy
	plan   *number.Plan
	own    map[string]bool // the lines of the policy
	zones  map[string]bool // which of those that were asked for there are
}

func newLineMaker(p *policy.Policy) *lineMaker {
	m := &lineMaker{policy: p, plan: p.Plan(), own: map[string]bool{}, zones: map[string]bool{}}
	for _, name := range p.Lines() {
		m.own[name] = true
	}
	return m
}

// name says what is wrong with the name of a line.
func (m *lineMaker) name(name string) error {
	if advice := policy.BadLineName(name); advice != "" {
		return errors.New(advice)
	}
	if name == console.AllLines { // of the policy, see linesNamed
		return fmt.Errorf("the name %s stands for all lines of the policy: write another one", name)
	}
	if strings.Trim(name, ".") == "" {
		return fmt.Errorf("the name %q is that of a folder: write letters and digits, with - _ and . between", name)
	}
	if m.own[name] {
		return fmt.Errorf("the policy has a line of the name %s ([lines.%s]): give this one another name", name, name)
	}
	return nil
}

// make is a line as it shall be: what it is now, nil for a new one, with what is set. A new line, and one that gets another customer, has a key that
// none had before: what is kept under that of before does not go along.
func (m *lineMaker) make(now *storage.Line, set *console.LineSet) (storage.Line, error) {
	l := storage.Line{Name: set.Name}
	if now != nil {
		l = *now
	}
	var faults []error
	if err := m.numbers(&l, set); err != nil {
		faults = append(faults, err)
	}
	for _, f := range []struct {
		from *string
		to   *string
		read func(string) (string, error)
	}{
		{set.Customer, &l.Customer, readCustomer},
		{set.Profile, &l.Profile, readProfile},
		{set.Mode, &l.Mode, readLineMode},
		{set.Timezone, &l.Timezone, m.timezone},
		{set.Language, &l.Language, readLanguage},
		{set.Notify, &l.Notify, readNotify},
		{set.Note, &l.Note, readLineText("note")},
	} {
		if f.from == nil {
			continue
		}
		text, err := f.read(*f.from)
		if *f.to = text; err != nil {
			faults = append(faults, err)
		}
	}
	if l.Customer == l.Name {
		l.Customer = ""
	}
	if now == nil || customerOf(now) != customerOf(&l) {
		l.Key = policy.NewLineKey(l.Name, storage.LineOwn())
	}
	return l, errors.Join(faults...)
}

// customerOf is whose a line is.
func customerOf(l *storage.Line) string { return cmp.Or(l.Customer, l.Name) }

// numbers sets those of a line.
func (m *lineMaker) numbers(l *storage.Line, set *console.LineSet) error {
	if set.Numbers == nil && len(set.Add) == 0 && len(set.Drop) == 0 && len(l.Numbers) > 0 {
		return nil
	}
	has := make(map[string]bool, len(l.Numbers))
	if set.Numbers == nil {
		for _, n := range l.Numbers {
			has[n] = true
		}
	}
	var faults []error
	put := func(texts []string, on bool) {
		for _, text := range texts {
			read, err := m.entries(text)
			if err != nil {
				faults = append(faults, fmt.Errorf("%.64q: %w", text, err))
			}
			for _, p := range read {
				if key := p.String(); on {
					has[key] = true
				} else if has[key] {
					delete(has, key)
				} else {
					faults = append(faults, fmt.Errorf("%s is not on the line %s, and cannot be taken off it", key, l.Name))
				}
			}
		}
	}
	if set.Numbers != nil {
		put(*set.Numbers, true)
	}
	put(set.Drop, false)
	put(set.Add, true)
	switch {
	case len(faults) > 0:
		return errors.Join(faults...)
	case len(has) == 0:
		return errors.New("a line has a number at least: say one, or remove the line")
	case len(has) > storage.MaxLineNumbers:
		return fmt.Errorf("a line has %d numbers at most, and this one would have %d: write ranges, such as 05925550000-05925550999, or make more lines", storage.MaxLineNumbers, len(has))
	}
	l.Numbers = make([]string, 0, len(has))
	for key := range has {
		l.Numbers = append(l.Numbers, key)
	}
	slices.Sort(l.Numbers)
	return nil
}

// entries reads a text of one number or of several with blanks, ; | or commas between. Blanks also stand within a number: what is one as a whole is
// one.
func (m *lineMaker) entries(text string) (all []number.Pattern, err error) {
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(";|,\n", r) }) {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		fields := strings.Fields(part)
		if len(fields) > 1 && areLong(fields) {
			several, err := m.each(fields)
			if err != nil {
				return nil, err
			}
			all = append(all, several...)
			continue
		}
		p, err := entryOf(m.plan, part)
		if len(fields) > 1 && (err != nil || p.IsExact() && !isNumber(m.plan, part)) {
			dead := func(p number.Pattern) bool { return m.plan.Dead(p) != "" } // a piece of a number that is written with blanks
			if several, err := m.each(fields); err == nil && !slices.ContainsFunc(several, dead) {
				all = append(all, several...)
				continue
			}
		}
		switch {
		case err != nil && len(fields) > 1:
			return nil, fmt.Errorf("%w; if these are several numbers, write ; between them", err)
		case err != nil:
			return nil, err
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		return nil, errors.New("there is no number in it: write one")
	}
	return all, nil
}

// areLong reports whether texts are digits alone, perhaps with a +, of which two have more than any number has.
func areLong(texts []string) bool {
	for _, text := range texts {
		digits := strings.TrimPrefix(text, "+")
		if len(digits) < 8 || strings.Trim(digits, "0123456789") != "" {
			return false
		}
	}
	return true
}

// each reads texts that should be a number each.
func (m *lineMaker) each(texts []string) (all []number.Pattern, err error) {
	for _, text := range texts {
		p, err := entryOf(m.plan, text)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// plain reads a text that people write and read.
func plain(what, text string, most int) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case !utf8.ValidString(text):
		return text, fmt.Errorf("its %s is no UTF-8: save the text as UTF-8", what)
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }):
		return text, fmt.Errorf("its %s has control characters: take them out of %.64q", what, text)
	case len(text) > most:
		return text, fmt.Errorf("its %s has %d bytes: make it %d at most", what, len(text), most)
	}
	return text, nil
}

func readLineText(what string) func(string) (string, error) {
	return func(text string) (string, error) { return plain(what, text, storage.MaxLineText) }
}

// readNotify takes where notices go, and how often, as notice.Parse reads it.
func readNotify(text string) (string, error) {
	text, err := plain("notify", text, storage.MaxLineText)
	if err == nil {
		_, err = notice.Parse(text)
	}
	return text, err
}

func readCustomer(text string) (string, error) {
	text, err := plain("customer", text, maxCustomer)
	if err == nil && text == storage.NoLine {
		err = fmt.Errorf("its customer cannot be called %s, which is who has all numbers of no line: write another name", text)
	}
	return text, err
}

func readProfile(text string) (string, error) {
	if text = strings.TrimSpace(text); text == "" {
		return "", nil
	}
	if advice := policy.BadLineName(text); advice != "" {
		return text, fmt.Errorf("its profile: %s", advice)
	}
	return text, nil
}

// readLineMode has "" stand for enforce, as it is kept.
func readLineMode(text string) (string, error) {
	mode, ok := policy.ParseLineMode(strings.ToLower(strings.TrimSpace(text)))
	switch {
	case !ok:
		return text, fmt.Errorf("there is no mode %.40q: write %s", text, strings.Join(policy.LineModeNames(), ", "))
	case mode == policy.LineEnforce:
		return "", nil
	}
	return mode.String(), nil
}

func (m *lineMaker) timezone(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", nil
	}
	good, seen := m.zones[text]
	if !seen {
		_, err := time.LoadLocation(text)
		good = err == nil && text != "Local"
		if len(m.zones) < 1000 { // no more are there
			m.zones[strings.Clone(text)] = good
		}
	}
	if !good {
		return text, fmt.Errorf("there is no time zone %.40q: write a name of the tz database, such as Asia/Urumqi", text)
	}
	return text, nil
}

// readLanguage takes a language with or without its country.
func readLanguage(text string) (string, error) {
	text = strings.TrimSpace(text)
	word, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(text), "_", "-"), "-")
	if !slices.Contains([]string{"", "zh", "en"}, word) {
		return text, fmt.Errorf("there are no texts in the language %.40q: write zh or en, or nothing for that of the policy's country", text)
	}
	return word, nil
}

// lineChanges says what is different about a line, in words.
func lineChanges(now, then *storage.Line) (what []string) {
	if now == nil {
		return nil
	}
	var gone, come int
	had := make(map[string]bool, len(now.Numbers))
	for _, n := range now.Numbers {
		had[n] = true
	}
	for _, n := range then.Numbers {
		if !had[n] {
			come++
		}
		delete(had, n)
	}
	gone = len(had)
	if come+gone > 0 {
		what = append(what, fmt.Sprintf("numbers +%d -%d", come, gone))
	}
	for _, f := range [...]struct{ name, now, then string }{
		{"customer", customerOf(now), customerOf(then)},
		{"profile", now.Profile, then.Profile},
		{"mode", modeText(now.Mode), modeText(then.Mode)},
		{"timezone", now.Timezone, then.Timezone},
		{"language", now.Language, then.Language},
		{"notify", now.Notify, then.Notify},
		{"note", now.Note, then.Note},
		{"source", now.Import, then.Import},
	} {
		if f.now != f.then {
			what = append(what, fmt.Sprintf("%s %s → %s", f.name, cmp.Or(f.now, "none"), cmp.Or(f.then, "none")))
		}
	}
	return what
}

func modeText(mode string) string { return cmp.Or(mode, policy.LineEnforce.String()) }

// sameLine reports whether two lines say the same.
func sameLine(a, b *storage.Line) bool {
	return a.Key == b.Key && a.Customer == b.Customer && a.Profile == b.Profile && a.Mode == b.Mode && a.Timezone == b.Timezone && a.Language == b.Language &&
		a.Notify == b.Notify && a.Note == b.Note && a.Import == b.Import && slices.Equal(a.Numbers, b.Numbers)
}

// warnings says what is probably not meant by a line that goes in, or what it brings about.
func (m *lineMaker) warnings(now, then *storage.Line) (texts []string) {
	if now != nil && customerOf(now) != customerOf(then) {
		texts = append(texts, fmt.Sprintf("it belongs to %s now, no longer to %s: its own lists, and whom it knows, do not go along", customerOf(then), customerOf(now)))
	}
	for _, text := range then.Numbers {
		if now != nil && slices.Contains(now.Numbers, text) {
			continue
		}
		if why := m.doubtful(text); why != "" && len(texts) < maxLines {
			texts = append(texts, why)
		}
	}
	if line, err := lineInMemory(m.plan, then); err == nil {
		texts = append(texts, m.beside([]lines.Change{{Line: line}})...)
	}
	return texts
}

// beside says what is probably not meant about lines beside the policy: numbers that are on its lines too, and profiles that no rule names.
func (m *lineMaker) beside(changed []lines.Change) (texts []string) {
	kept := lines.New(m.plan)
	kept.Apply(changed)
	for _, f := range m.policy.CheckKept(kept) {
		texts = append(texts, f.Text)
	}
	return texts
}

// doubtful says what is probably not meant by a number of a line, "" if nothing is.
func (m *lineMaker) doubtful(text string) string {
	p, err := m.plan.KeptPattern(text)
	if err != nil {
		return ""
	}
	if why := m.plan.Wide(p); why != "" {
		return text + " " + strings.TrimPrefix(why, "it ")
	}
	if why := m.plan.Dead(p); why != "" {
		return text + " " + strings.TrimPrefix(why, "it ") + ", and no call can be to it"
	}
	return ""
}
