package policy

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"ringfence/number"
)

// namePattern is one text of caller_text.
type namePattern struct {
	text string // folded
	open bool   // whatever may follow
	word string // as written
}

func (n *namePattern) takes(name string) bool {
	return name == n.text || n.open && strings.HasPrefix(name, n.text)
}

// isName: a caller who gives something, and no number.
func isName(n *number.Number) bool {
	return n.E164 == "" && n.Raw != "" && !n.Kinds.Has(number.Internal)
}

// foldName is a name as it is compared: without regard to capital letters, to full-width and other forms of the same letters,
// to characters that nobody sees, and to how many blanks there are.
func foldName(s string) string {
	s = strings.Map(visible, s)
	s = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s)))
	s = strings.Map(oneCase, s)
	return strings.Join(strings.Fields(s), " ")
}

// visible drops a character that nobody sees; a negative one is none.
func visible(r rune) rune {
	if unicode.IsSpace(r) {
		return ' '
	}
	if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) {
		return -1
	}
	return r
}

// oneCase is one letter for all its cases, the same for each: cases.Fold turns the small letters of Cherokee into capitals and
// the capitals into small ones.
func oneCase(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return least
}

// namePattern reads a text of caller_text.
func (r *reader) namePattern(s *section, key string, w word) (namePattern, bool) {
	n := namePattern{word: w.text}
	text, open := strings.CutSuffix(w.text, "*")
	n.text, n.open = foldName(text), open
	if open && strings.HasSuffix(strings.TrimRight(text, "*"), " ") { // "Firm *" is not for Firmament
		n.text += " "
	}
	fault := func(format string, args ...any) (namePattern, bool) {
		s.fs.add(w.line, s.key(key), format, args...)
		return n, false
	}
	switch {
	case strings.TrimSpace(n.text) == "" && open:
		return fault("%q takes every caller that is no number: write caller_kind = [%q] for those", w.text, "invalid")
	case n.text == "":
		return fault("is empty: write what such callers show instead of a number, as in %q, or caller_kind = [%q] for those who show nothing", "Firm*", "anonymous")
	case len(w.text) > number.MaxRaw:
		return fault("is longer than %d characters, and of callers no more is read: write the beginning and a *", number.MaxRaw)
	case strings.Contains(text, "*"):
		return fault("%q: a * stands for what follows, at the end alone: write %q", w.text, text[:strings.IndexByte(text, '*')]+"*")
	case strings.Trim(text, "0123456789+-() ") == "":
		return fault("%q is for numbers, and caller_text is for callers that are none: write it under caller", w.text)
	}
	if strings.Contains(text, "?") {
		s.fs.warn(w.line, s.key(key), "%q: a ? stands for itself here: for whatever follows write a * at the end", w.text)
	}
	if plan := r.policy.plan; plan != nil && !open {
		switch caller := plan.Parse(w.text); {
		case caller.E164 != "":
			return fault("%q is the number %s, and caller_text is for callers that are none: write it under caller", w.text, caller.E164)
		case caller.Kind == number.Anonymous:
			s.fs.warn(w.line, s.key(key), "%q is how withheld callers are written, among others: caller_kind = [%q] takes them all", w.text, "anonymous")
		}
	}
	return n, true
}

// isNamed tests caller_text, and keeps which of its texts took the caller.
func (s *scan) isNamed(c *condition) bool {
	if s.c.name == "" {
		return false
	}
	for i := range c.named {
		if c.named[i].takes(s.c.name) {
			s.named = c.named[i].word
			return true
		}
	}
	return false
}

// namedText says how a text took a caller. One without a * is all of the caller, so that where they are not to be named it is not
// either, as in a private journal.
func namedText(word, who string, caller *number.Number) string {
	if !strings.HasSuffix(word, "*") || caller.Kinds.Has(number.Anonymous) {
		return who + " is under caller_text"
	}
	return who + " matches " + number.Inert(word)
}

// whyNotNamed says why caller_text does not hold.
func (s *scan) whyNotNamed(c *condition) string {
	if s.c.name == "" {
		return s.who() + " is no name"
	}
	return s.who() + " does not match " + some(c.words)
}

// namedWithin reports whether every name that part takes is taken by whole.
func namedWithin(part, whole []namePattern) bool {
	for i := range part {
		p, taken := &part[i], false
		for j := range whole {
			w := &whole[j]
			taken = taken || w.takes(p.text) && (w.open || !p.open)
		}
		if !taken {
			return false
		}
	}
	return len(part) > 0
}
