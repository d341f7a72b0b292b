package number

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxInert is how many characters of a text reach a handset or a channel variable.
const MaxInert = 64

// Inert makes a text safe to hand to a switch, where a value may be expanded again and again by whatever
// dialplan mentions it later: escaping does not help there, so characters are replaced. Each of
// $ \ % " < > { } and the backtick becomes a space, ' becomes ’, control characters and invalid UTF-8 are
// dropped, and so are the invisible ones that reorder or hide text on a display. Runs of spaces become
// one; none is left at either end. At most MaxInert characters are kept.
//
// Inert of an inert text is that text.
func Inert(s string) string { return InertUpTo(s, MaxInert) }

// InertUpTo is Inert with a limit of its own, in characters, for texts that no handset shows.
func InertUpTo(s string, limit int) string {
	var b strings.Builder
	n, space := 0, false
	for i := 0; i < len(s) && n < limit; {
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		switch {
		case r == utf8.RuneError && size == 1:
			continue
		case strings.ContainsRune("$\\%\"<>{}` ", r):
			space = true
			continue
		case r == '\'':
			r = '’'
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			continue
		}
		if space && n > 0 {
			if n+1 >= limit {
				break // a space at the limit would be the last character
			}
			b.WriteByte(' ')
			n++
		}
		space = false
		b.WriteRune(r)
		n++
	}
	return b.String()
}

// TagName is the name a tagged call shows: the label, a space and the caller's name, or the number of a
// caller without one. Both are "" for a caller who withheld the number, and the label stands alone.
func TagName(label, name, number string) string {
	if Inert(name) == "" {
		name = number
	}
	return Inert(label + " " + name)
}
