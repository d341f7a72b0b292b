package policy

import (
	"regexp"
	"regexp/syntax"
	"strings"

	"ringfence/number"
	"ringfence/tomlfile"
)

// conditionExamples are what advice shows for each condition.
var conditionExamples = [...]string{
	"9521????", "95213333", "anonymous", "(?i)loan", "staff", "05925550100", "05925550199",
	"blacklist", "allowlist", "telecom", "Mon-Fri 18:00-08:30", "30d", "failed",
	"plus", "10m", "Firm*", "true", "true",
	"range wakes", "firm A", "3.0",
}

// maxExpression bounds a caller_name expression, in bytes as written; compiled ones take a multiple of it.
const maxExpression = 1000

// readWhen reads the conditions of a rule.
func (r *reader) readWhen(rule *section) []condition {
	s := rule.table("when", `when = { caller = ["9521????"] }`)
	if s == nil {
		return nil
	}
	hints := make(map[string]string)
	for _, key := range tableKeys["rule"] {
		hints[key] = "is no condition: write it in the rule itself, outside the braces of when"
	}
	s.only(tableKeys["rule.when"], hints)
	var list []condition
	for on := range subjectKeys {
		if c, ok := r.readCondition(s, subject(on)); ok {
			list = append(list, c)
			r.policy.asked |= 1 << on
		}
	}
	return list
}

// readCondition reads one condition; ok is false when the rule does not have it or when nothing of it is right.
func (r *reader) readCondition(s *section, on subject) (condition, bool) {
	switch on {
	case onKnown:
		return r.readKnown(s)
	case onAgain:
		return r.readAgain(s)
	case onIdentityDiffers, onDiverted:
		return readYesNo(s, on)
	case onScore:
		return readScoreAtLeast(s)
	}
	key := on.String()
	words := s.texts(key, conditionExamples[on])
	if words == nil {
		return condition{}, false
	}
	c := condition{on: on, terms: &terms{}}
	for _, w := range words {
		c.words = append(c.words, w.text)
	}
	switch on {
	case onCaller, onCallerNot, onCallee, onCalleeNot:
		c.text = r.patterns(s, key, words)
	case onCallerKind:
		for _, w := range words {
			kind, ok := number.ParseKind(w.text)
			if !ok {
				s.fs.add(w.line, s.key(key), "%q is no kind of number: %s", w.text, tomlfile.DidYouMean(w.text, number.KindNames()))
			}
			c.kinds = c.kinds.With(kind)
		}
	case onCallerName:
		for _, w := range words {
			if re := r.expression(s, key, w); re != nil {
				c.names = append(c.names, re)
				if advice := wildcard(w.text); advice != "" {
					s.fs.warn(w.line, s.key(key), "%q is an expression, not a pattern with wildcards: %s", w.text, advice)
				}
			}
		}
	case onLine:
		c.lines, c.profiles = r.lineWords(s, key, words)
	case onList, onListNot:
		for _, w := range words {
			if l, ok := r.listName(s, key, w); ok {
				c.lists = append(c.lists, l)
			}
		}
	case onTrunk:
		r.trunkWords(s, key, words)
	case onTripped:
		c.detectors, c.order = r.detectorWords(s, key, words)
	case onHolder:
		r.holderWords(s, key, words)
	case onWritten:
		c.forms = readForms(s, key, words)
	case onCallerText:
		for _, w := range words {
			if n, ok := r.namePattern(s, key, w); ok {
				c.named = append(c.named, n)
			}
		}
	case onHours:
		c.hours = r.readHours(s, key, words)
	case onAttestation:
		for _, w := range words {
			if !contains(Attestations(), w.text) {
				s.fs.add(w.line, s.key(key), "%q is no attestation: %s", w.text, tomlfile.DidYouMean(w.text, Attestations()))
			}
		}
	}
	return c, true
}

// lineWords reads names of lines, and of profiles that lines of the database have.
func (r *reader) lineWords(s *section, key string, words []word) (lines []uint16, profiles []uint32) {
	for _, w := range words {
		if profile, ok := strings.CutPrefix(w.text, profilePrefix); ok {
			if advice := badName(profile); advice != "" {
				s.fs.add(w.line, s.key(key), "%s", advice)
			}
			profiles = append(profiles, r.policy.numberOf(profile))
			continue
		}
		i, ok := r.lineNumber[w.text]
		if !ok {
			s.fs.add(w.line, s.key(key), "there is no line %q: %s", w.text, r.otherName(w.text, r.lineNames(), "[lines."+tomlfile.BareKey(w.text)+"], or write profile:NAME for lines of the database"))
			continue
		}
		lines = append(lines, uint16(i))
	}
	return lines, profiles
}

// readForms reads ways of writing a number.
func readForms(s *section, key string, words []word) (forms uint8) {
	for _, w := range words {
		form, ok := number.ParseForm(w.text)
		if !ok {
			s.fs.add(w.line, s.key(key), "%q is no way of writing a number: %s", w.text, tomlfile.DidYouMean(w.text, number.FormNames()))
		}
		forms |= 1 << form
	}
	return forms
}

// readHours reads days and times, and notes that the file needs a clock.
func (r *reader) readHours(s *section, key string, words []word) (list []hours) {
	for _, w := range words {
		h, err := parseHours(w.text)
		if err != nil {
			s.fs.add(w.line, s.key(key), "%s", err)
			continue
		}
		if h.holidays && !r.top.has("holidays") {
			s.fs.warn(w.line, s.key(key), "%q never holds, since the file names no holidays: write holidays = [2026-10-01] at its top", w.text)
		}
		list = append(list, h)
	}
	if r.usesHours == 0 {
		r.usesHours = s.line(key)
	}
	return list
}

// patterns reads number patterns.
func (r *reader) patterns(s *section, key string, words []word) []numberPattern {
	if r.policy.plan == nil {
		return nil // the country is wrong and says so; how numbers are written cannot be told
	}
	list := make([]numberPattern, 0, len(words))
	seen := make(map[number.Pattern]int, len(words))
	for _, w := range words {
		p, err := r.policy.plan.Pattern(w.text)
		if err != nil {
			s.fs.add(w.line, s.key(key), "%q: %s", w.text, err)
			continue
		}
		if at, twice := seen[p]; twice {
			s.fs.warn(w.line, s.key(key), "%q is already on line %d: take one out", w.text, at)
			continue
		}
		seen[p] = w.line
		list = append(list, numberPattern{p, w.text, w.line})
	}
	return list
}

func (r *reader) expression(s *section, key string, w word) *regexp.Regexp {
	if w.text == "" {
		s.fs.add(w.line, s.key(key), "an empty expression matches every name: write a part of the name, as in %q", "(?i)loan")
		return nil
	}
	if len(w.text) > maxExpression {
		s.fs.add(w.line, s.key(key), "is longer than %d characters: write several shorter expressions", maxExpression)
		return nil
	}
	re, err := regexp.Compile(w.text)
	if err == nil {
		return re
	}
	why := "it is no RE2 expression"
	if e, ok := err.(*syntax.Error); ok {
		why = e.Code.String() + ", at " + e.Expr
		if e.Code == syntax.ErrInvalidPerlOp && strings.HasPrefix(e.Expr, "(?") {
			why = "RE2 has no look-ahead or look-behind"
		}
	}
	s.fs.add(w.line, s.key(key), "%q cannot be used: %s; write an RE2 expression, as in %q", w.text, why, "(?i)loan")
	return nil
}

// listName reads the name of a list: one by itself, or with the line it belongs to before a colon.
func (r *reader) listName(s *section, key string, w word) (listName, bool) {
	line, name, own := strings.Cut(w.text, ":")
	if !own {
		name = line
	}
	if advice := badName(name); advice != "" {
		s.fs.add(w.line, s.key(key), "%s", advice)
		return listName{}, false
	}
	l := listName{name: w.text}
	if !own {
		r.mention(mention{w.text, w.line, s.key(key), false})
		return l, true
	}
	if line == "line" {
		for i := range r.policy.lines {
			l.own = append(l.own, r.policy.lines[i].name+":"+name)
			r.mention(mention{r.policy.lines[i].name + ":" + name, w.line, s.key(key), true})
		}
		if l.bare = name; !contains(r.policy.ownLists, name) {
			r.policy.ownLists = append(r.policy.ownLists, name)
		}
		return l, true
	}
	if _, ok := r.lineNumber[line]; !ok {
		s.fs.add(w.line, s.key(key), "%q is a list of a line %q that is not there: write \"line:%s\" for the called line's own list, or %s",
			w.text, line, name, r.otherName(line, r.lineNames(), "[lines."+tomlfile.BareKey(line)+"]"))
		return listName{}, false
	}
	r.mention(mention{w.text, w.line, s.key(key), false})
	return l, true
}

// mention notes where a list is asked for, the first time.
func (r *reader) mention(list mention) {
	if !r.mentioned[list.name] {
		r.mentioned[list.name] = true
		r.policy.lists = append(r.policy.lists, list)
	}
}

// trunkWords checks the names of trunks.
func (r *reader) trunkWords(s *section, key string, words []word) {
	for _, w := range words {
		if _, ok := r.policy.trunks[w.text]; !ok {
			s.fs.add(w.line, s.key(key), "there is no trunk %q: %s", w.text, r.otherName(w.text, r.policy.trunkNames, "[trunks."+tomlfile.BareKey(w.text)+"]"))
		}
	}
}

// otherName proposes a name that is there, or how to define the one that is not.
func (r *reader) otherName(got string, names []string, define string) string {
	if near := tomlfile.Nearest(got, names); near != "" {
		return tomlfile.DidYouMean(got, []string{near})
	}
	return "define it with " + define
}

// profilePrefix says under `line` that a profile follows, for the lines of the database.
const profilePrefix = "profile:"

// badName says what is wrong with the name of a line, a trunk or a list; "" is nothing.
func badName(name string) string {
	const maxName = 64
	switch {
	case name == "":
		return "a name is empty: write letters, digits, - _ and ."
	case len(name) > maxName:
		return "the name is longer than 64 bytes: write a shorter one"
	case number.Inert(name) != name || strings.ContainsAny(name, " :,;/|*?#&=[]()!’") || strings.HasPrefix(name, "-"):
		return "the name " + quote(name) + " has characters that commands and dialplans read otherwise: write letters, digits, - _ and ."
	}
	return ""
}
