package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// wildcard finds in an expression what looks like a wildcard of file names, or like a dot that is meant as one, and says what it
// means instead and what to write; "" if there is nothing. Where somebody does mean it, [m]? and (.) are not found.
func wildcard(expression string) string {
	var last rune // the letter or digit just before, 0 if there is something else
	for i := 0; i < len(expression); {
		c, size := utf8.DecodeRuneInString(expression[i:])
		rest := expression[i+size:]
		i += size
		before := last
		last = 0
		switch {
		case c == '\\':
			i += escapedLength(rest)
		case c == '[':
			i += classLength(rest)
		case c == '(' && strings.HasPrefix(rest, "?"):
			i += 1 + strings.IndexAny(rest[1:]+":", ":)>") // (?i), (?:, (?P<name>
		case c == '{':
			i += strings.IndexByte(rest+"}", '}')
		case isAlphanumeric(c):
			last = c
		case before != 0 && (c == '?' || c == '*'):
			return starAdvice(c, before, expression[:i-1-utf8.RuneLen(before)], rest)
		case before != 0 && c == '.':
			if next, _ := utf8.DecodeRuneInString(rest); isAlphanumeric(next) {
				return "its . takes any character: write \\. in single quotes for a dot, or (.) where any character is meant"
			}
		}
	}
	return ""
}

func starAdvice(c, before rune, lead, rest string) string {
	if c == '?' {
		return "its ? makes the " + string(before) + " before it one that may be missing: write . for any character, or [" + string(before) + "]? where that is meant"
	}
	advice := "its * lets the " + string(before) + " before it come any number of times, or never: "
	if rest == "" {
		return advice + "write " + quote(lead+string(before)) + ", which is found wherever it stands, or [" + string(before) + "]* where that is meant"
	}
	return advice + "write .* for whatever follows, or [" + string(before) + "]* where that is meant"
}

func isAlphanumeric(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }

// escapedLength is how much of an escape stands behind its backslash.
func escapedLength(rest string) int {
	if quoted, ok := strings.CutPrefix(rest, "Q"); ok {
		if end := strings.Index(quoted, `\E`); end >= 0 {
			return 1 + end + 2
		}
		return len(rest)
	}
	if len(rest) > 1 && strings.IndexByte("pPx", rest[0]) >= 0 && rest[1] == '{' {
		return 1 + strings.IndexByte(rest[1:]+"}", '}') + 1
	}
	_, size := utf8.DecodeRuneInString(rest)
	switch {
	case strings.HasPrefix(rest, "x"): // \x41
		size = 3
	case size > 0 && strings.IndexByte("pP", rest[0]) >= 0: // \pL
		size = 2
	}
	return min(size, len(rest))
}

// classLength is how much of a class stands behind its bracket, the end included.
func classLength(rest string) int {
	for i := 0; i < len(rest); i++ {
		switch {
		case rest[i] == '\\':
			i++
		case rest[i] == '[' && strings.HasPrefix(rest[i:], "[:"):
			i += strings.Index(rest[i:]+":]", ":]") + 1
		case rest[i] == ']' && i > 0 && !(i == 1 && rest[0] == '^'):
			return i + 1
		}
	}
	return len(rest)
}
