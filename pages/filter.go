package pages

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/rawtext"
)

// filter is which calls a page shows. It lives in the address, under the names of the API; what is empty is not there.
type filter struct {
	Caller                                                 string // a number, or a range as lists have them
	Callee, Line, Action, Would, Rule, Trunk, Kind, Holder string
	List, Detector, Customer, Text, Outcome                string
	Since, Until, MinTalk, MaxTalk, Cursor                 string // as they were written
	query                                                  console.Query
	Wrong                                                  []wrongField
}

// wrongField is a condition that cannot be read. The others hold.
type wrongField struct{ Name, Text string }

// fields are the conditions by their names in the address.
func (f *filter) fields() map[string]*string {
	return map[string]*string{
		"caller": &f.Caller, "callee": &f.Callee, "line": &f.Line, "action": &f.Action, "would": &f.Would, "rule": &f.Rule, "trunk": &f.Trunk,
		"kind": &f.Kind, "holder": &f.Holder, "list": &f.List, "detector": &f.Detector, "customer": &f.Customer, "text": &f.Text, "outcome": &f.Outcome,
		"since": &f.Since, "until": &f.Until, "min_talk": &f.MinTalk, "max_talk": &f.MaxTalk, "cursor": &f.Cursor,
	}
}

// outcomes are the words that Query.Outcome may have.
var outcomes = []string{"rang", "answered", "unanswered", "stopped"}

// maxField is how much of a condition is read; no number or name is longer.
const maxField = 300

// readFilter reads an address. What cannot be read is in Wrong, and not asked for.
func (p *Pages) readFilter(v url.Values) *filter {
	f := &filter{}
	for name, to := range f.fields() {
		*to = strings.TrimSpace(rawtext.Unescape(v.Get(name)))
		if len(*to) > maxField {
			*to = ""
			f.Wrong = append(f.Wrong, wrongField{name, "filter.long"})
		}
	}
	q := &f.query
	*q = console.Query{
		Callee: f.Callee, Line: f.Line, Action: f.Action, Would: f.Would, Rule: f.Rule, Trunk: f.Trunk, Kind: f.Kind, Holder: f.Holder, List: f.List,
		Detector: f.Detector, Customer: f.Customer, Text: f.Text, Outcome: f.Outcome, Cursor: f.Cursor, Newest: true, Limit: pageSize,
	}
	if f.Outcome != "" && !slices.Contains(outcomes, f.Outcome) {
		f.Wrong, q.Outcome = append(f.Wrong, wrongField{"outcome", "filter.word"}), ""
	}
	q.Caller, q.Range = p.callerOrRange(f.Caller)
	now := p.o.Now()
	for _, t := range []struct {
		name, text string
		to         *time.Time
	}{{"since", f.Since, &q.Since}, {"until", f.Until, &q.Until}} {
		var ok bool
		if *t.to, ok = readTime(t.text, now.In(p.zone())); !ok {
			f.Wrong = append(f.Wrong, wrongField{t.name, "filter.time"})
		}
	}
	for _, t := range []struct {
		name, text string
		to         *float64
	}{{"min_talk", f.MinTalk, &q.MinTalk}, {"max_talk", f.MaxTalk, &q.MaxTalk}} {
		if t.text == "" {
			continue
		}
		s, err := strconv.ParseFloat(t.text, 64)
		if err != nil || !(s >= 0 && s < 1e7) {
			f.Wrong = append(f.Wrong, wrongField{t.name, "filter.number"})
			continue
		}
		*t.to = s
	}
	return f
}

// callerOrRange tells a number from a range of them: what matches more than one number is a range.
func (p *Pages) callerOrRange(text string) (caller, within string) {
	if text == "" || strings.HasPrefix(text, console.PrivateMark) {
		return text, ""
	}
	if strings.ContainsAny(text, "*?") || strings.Contains(text, "..") {
		return "", text
	}
	if rules := p.policy(); rules != nil && strings.Contains(text, "-") {
		if n, err := rules.Plan().Pattern(text); err == nil && !n.IsExact() {
			return "", text
		}
	}
	return text, ""
}

// pattern reads a range, nil if there is no plan to read it by or it is none.
func (p *Pages) pattern(text string) *number.Pattern {
	rules := p.policy()
	if rules == nil {
		return nil
	}
	n, err := rules.Plan().Pattern(text)
	if err != nil {
		return nil
	}
	return &n
}

// readTime reads a time as a person writes it: "today", a span back from now (24h, 7d), a day, a day and a clock's time, or a time as machines
// write it. "" is no bound.
func readTime(text string, now time.Time) (time.Time, bool) {
	if text == "" {
		return time.Time{}, true
	}
	if text == "today" {
		y, m, d := now.Date()
		return time.Date(y, m, d, 0, 0, 0, 0, now.Location()), true
	}
	if span, err := policy.ParseSpan(text); err == nil {
		return now.Add(-span), true
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, true
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// Shown is a condition as a field has it: what is no text is escaped, and read back as it was.
func (f *filter) Shown(name string) string { return rawtext.Escape(*f.fields()[name]) }

// Values are the conditions as they stand in an address.
func (f *filter) Values() url.Values {
	v := url.Values{}
	for name, text := range f.fields() {
		if *text != "" {
			v.Set(name, rawtext.Escape(*text))
		}
	}
	return v
}

// Query is the filter in an address, without the place in the pages; "" for none. It is also its name in the live stream.
func (f *filter) Query() string {
	v := f.Values()
	v.Del("cursor")
	return v.Encode()
}

// With is the path of the calls with one condition changed; "" takes it away.
func (f *filter) With(name, text string) string {
	v := f.Values()
	v.Del("cursor")
	if v.Del(name); text != "" {
		v.Set(name, text)
	}
	return callsPath(v)
}

func callsPath(v url.Values) string {
	if len(v) == 0 {
		return "/calls"
	}
	return "/calls?" + v.Encode()
}

// Chosen are the conditions that hold, for a list that each can be taken off from, by name.
func (f *filter) Chosen() []wrongField {
	var out []wrongField
	for name, text := range f.fields() {
		if *text != "" && name != "cursor" {
			out = append(out, wrongField{name, *text})
		}
	}
	slices.SortFunc(out, func(a, b wrongField) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// matcher makes of a filter what tells for a new call whether it holds, as the journal's search would. Numbers are read once, here.
func (p *Pages) matcher(f *filter) func(r *console.Record) bool {
	q := f.query
	var within *number.Pattern
	if q.Range != "" {
		if within = p.pattern(q.Range); within == nil {
			return func(*console.Record) bool { return false }
		}
	}
	caller := q.Caller
	rules := p.policy()
	if rules != nil && caller != "" {
		if n := rules.Plan().Parse(caller); n.E164 != "" {
			caller = n.E164
		}
	}
	text := strings.ToLower(q.Text)
	return func(r *console.Record) bool {
		is := func(want, got string) bool { return want == "" || want == got }
		switch {
		case !is(q.Callee, r.Callee), !is(q.Line, r.Line), !is(q.Action, r.Action), !is(q.Would, r.Would), !is(q.Rule, r.Rule), !is(q.Trunk, r.Trunk),
			!is(q.Kind, r.Caller.Kind), !is(q.Holder, r.Holder), !is(q.List, r.List), !is(q.Customer, r.Owner()),
			caller != "" && caller != r.Caller.E164 && q.Caller != r.Caller.Raw,
			q.Detector != "" && !slices.ContainsFunc(r.Tripped, func(s string) bool { return strings.HasPrefix(s, q.Detector+": ") }),
			!q.Since.IsZero() && r.Time.Before(q.Since), !q.Until.IsZero() && !r.Time.Before(q.Until),
			text != "" && !mentions(r, text), !became(r, q.Outcome), !talked(r, q.MinTalk, q.MaxTalk):
			return false
		case within != nil:
			n := rules.Plan().Parse(r.Caller.Raw)
			if r.Caller.E164 != "" {
				n = rules.Plan().Parse(r.Caller.E164)
			}
			return within.Matches(&n)
		}
		return true
	}
}

// mentions reports whether a text in small letters is in what Query.Text looks at.
func mentions(r *console.Record, text string) bool {
	for _, s := range [...]string{r.Name, r.Caller.Raw, r.Caller.E164, r.Reason, r.Callee} {
		if strings.Contains(strings.ToLower(s), text) {
			return true
		}
	}
	return false
}

func became(r *console.Record, outcome string) bool {
	switch outcome {
	case "answered":
		return r.Outcome != nil && r.Outcome.Answered
	case "unanswered":
		return r.Outcome != nil && !r.Outcome.Answered && rang(r)
	case "stopped":
		return stopped(r)
	case "rang":
		return rang(r)
	}
	return true
}

func talked(r *console.Record, least, most float64) bool {
	if least == 0 && most == 0 {
		return true
	}
	return r.Outcome != nil && r.Outcome.Answered && r.Outcome.TalkS >= least && (most == 0 || r.Outcome.TalkS <= most)
}

// stopped reports whether a call was turned away by what was done with it.
func stopped(r *console.Record) bool {
	return r.Action == "reject" || r.Action == "challenge" && !r.Passed
}

// rang reports whether a phone rang, as far as the record says. Without a switch that tells what became of calls, one that was let through rang.
func rang(r *console.Record) bool {
	o := r.Outcome
	return !stopped(r) && (o == nil || (o.Answered || o.RingS > 0) && (o.By != "ringfence" || o.RingS > 0))
}
