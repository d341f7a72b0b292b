package number

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// written is what a text says before any numbering plan is asked: its digits and how they begin.
type written struct {
	digits string // ASCII digits, in the order written
	plus   bool   // a + stands before them
	zero   int    // place in digits of a trunk digit written as (0) behind others; 0 if there is none
	fault  textFault

	// Only for patterns: what follows the digits.
	free int  // how many ?
	open bool // a *
}

// textFault says why a text is not the writing of a number.
type textFault uint8

const (
	noFault textFault = iota
	faultWithheld
	faultLetters
	faultFeature
	faultJunk
	faultPlus
	faultAddress
	faultNoDigits
	faultScripts
	faultAfterStar
	faultAfterMark
	faultMarkStar
)

// reason is the fault in the words of Number.Reason.
func (f textFault) reason() string {
	switch f {
	case faultLetters:
		return "has letters"
	case faultFeature:
		return "has * or #"
	case faultPlus:
		return "has a + out of place"
	case faultAddress:
		return "an address, no number"
	case faultNoDigits:
		return "has no digits"
	case faultScripts:
		return "has digits of several scripts"
	}
	return "has characters no number has"
}

// readWritten takes a caller's text apart: a bare number, one with separators, a tel: or sip: URI with
// or without a display name before it. The text has at most MaxRaw bytes.
func readWritten(raw string) written {
	if w, ok := plainDigits(raw); ok {
		return w
	}
	body, context, withheld := userPart(raw)
	if body == "" && len(digitRuns(raw, leastHeld)) > 1 {
		return written{fault: faultJunk} // 95211613< hides nothing
	}
	if withheld || withheldWord(body) {
		return written{fault: faultWithheld}
	}
	w := scanNumber(body, false)
	if w.fault == noFault && context != "" && !w.plus && !strings.HasPrefix(w.digits, "00") {
		if c := scanNumber(context, false); c.fault == noFault && c.plus && len(c.digits) <= 7 {
			w.digits, w.plus = c.digits+w.digits, true
			if w.zero > 0 {
				w.zero += len(c.digits)
			}
		}
	}
	return w
}

// plainDigits reads the common case, digits with perhaps a + before them, without copying.
func plainDigits(raw string) (written, bool) {
	d := raw
	if d != "" && d[0] == '+' {
		d = d[1:]
	}
	if d == "" {
		return written{}, false
	}
	for i := 0; i < len(d); i++ {
		if d[i] < '0' || d[i] > '9' {
			return written{}, false
		}
	}
	return written{digits: d, plus: len(d) < len(raw)}, true
}

// userPart strips what surrounds the number: a display name with < and >, quotes, the scheme, host,
// password and parameters of a URI. It gives the value of phone-context besides, and whether the URI
// says that the caller is withheld.
func userPart(raw string) (body, context string, withheld bool) {
	s := trimInvisible(raw)
	if i := strings.LastIndexByte(s, '<'); i >= 0 {
		s, _, _ = strings.Cut(s[i+1:], ">")
	}
	s = strings.Trim(s, `"`)
	uri := false
	for _, scheme := range []string{"sip:", "sips:", "tel:"} {
		if len(s) >= len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) {
			s, uri = s[len(scheme):], true
			break
		}
	}
	context = parameter(s, "phone-context")
	user, host, hasHost := s, "", false
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		user, host, hasHost = s[:i], s[i+1:], true
	}
	if i := strings.IndexAny(user, ";?"); (uri || hasHost) && i >= 0 || i >= 0 && user[i] == ';' {
		user = user[:i]
	}
	if uri || hasHost {
		user, _, _ = strings.Cut(user, ":")
		user = percentDecoded(user)
	}
	// RFC 3323: a caller who asks for privacy comes from this host, whatever the user part says.
	host, _, _ = strings.Cut(host, ";")
	host, _, _ = strings.Cut(host, ":")
	return trimInvisible(user), context, strings.EqualFold(host, "anonymous.invalid")
}

// parameter gives the value of a URI parameter, "" without one. Names are compared without case.
func parameter(s, name string) string {
	for {
		i := strings.IndexByte(s, ';')
		if i < 0 {
			return ""
		}
		s = s[i+1:]
		if len(s) > len(name) && s[len(name)] == '=' && strings.EqualFold(s[:len(name)], name) {
			value := s[len(name)+1:]
			if end := strings.IndexAny(value, ";@>?"); end >= 0 {
				value = value[:end]
			}
			return value
		}
	}
}

// percentDecoded replaces %XX, as SIP user parts write + and #. What is no such triplet stays.
func percentDecoded(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := hexValue(s[i+1]), hexValue(s[i+2])
			if hi >= 0 && lo >= 0 {
				out = append(out, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// hexValue is the value of a hexadecimal digit, -1 for anything else.
func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// trimInvisible drops white space, control and invisible characters at both ends.
func trimInvisible(s string) string {
	return strings.TrimFunc(s, func(r rune) bool {
		return r != utf8.RuneError && (unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf))
	})
}

// charClass is what a character means in the writing of a number.
type charClass uint8

const (
	charJunk charClass = iota
	charDigit
	charPlus
	charSeparator
	charHyphen // a separator that may also stand between the ends of a range
	charOpen   // ( and ) are separators that may enclose a trunk 0
	charClose
	charStar
	charMark
	charHash
	charLetter
)

// classify says what a character means, and the value of a digit in any script.
func classify(r rune) (charClass, byte) {
	switch {
	case r >= '0' && r <= '9':
		return charDigit, byte(r)
	case r >= '０' && r <= '９':
		return charDigit, byte(r - '０' + '0')
	}
	switch r {
	case ' ', '\t', '.', '/', '~', '[', ']', '．', '／', '～', '·', '・', '•':
		return charSeparator, 0
	case '-', '−', '﹣', '－':
		return charHyphen, 0
	case '(', '（':
		return charOpen, 0
	case ')', '）':
		return charClose, 0
	case '+', '＋', '﹢':
		return charPlus, 0
	case '*', '＊':
		return charStar, 0
	case '?', '？':
		return charMark, 0
	case '#', '＃':
		return charHash, 0
	}
	switch {
	case r < 0x80:
		if r|0x20 >= 'a' && r|0x20 <= 'z' {
			return charLetter, 0
		}
	case r == utf8.RuneError:
	case unicode.Is(unicode.Pd, r):
		return charHyphen, 0
	case unicode.Is(unicode.Zs, r), unicode.Is(unicode.Cf, r):
		return charSeparator, 0
	case unicode.Is(unicode.Nd, r):
		return charDigit, digitByte(r)
	case unicode.IsLetter(r):
		return charLetter, 0
	}
	return charJunk, 0
}

// digitByte is the ASCII digit for a decimal digit of any script. Unicode lays each script's ten
// digits out in a row from zero, so the place within its run of the table tells the value.
func digitByte(r rune) byte {
	for _, run := range unicode.Nd.R16 {
		if lo := rune(run.Lo); r >= lo && r <= rune(run.Hi) {
			return '0' + byte((r-lo)%10)
		}
	}
	for _, run := range unicode.Nd.R32 {
		if lo := rune(run.Lo); r >= lo && r <= rune(run.Hi) {
			return '0' + byte((r-lo)%10)
		}
	}
	return '0'
}

// scanNumber reads digits and separators, and for a pattern the ? and * behind them.
func scanNumber(body string, pattern bool) written {
	var w written
	if dottedAddress(body) {
		return written{fault: faultAddress}
	}
	var buf [MaxRaw]byte
	digits := buf[:0]
	var script *unicode.RangeTable
	bracket := -1 // how many digits stood before the last opening bracket
scan:
	for at, r := range body {
		class, digit := classify(r)
		switch class {
		case charSeparator, charHyphen:
		case charOpen:
			bracket = len(digits)
		case charClose:
			if bracket > 0 && len(digits) == bracket+1 && digits[bracket] == '0' {
				w.zero = bracket
			}
		case charPlus:
			if w.plus || len(digits) > 0 || w.free > 0 || w.open {
				w.fault = faultPlus
				return w
			}
			w.plus = true
		case charDigit:
			if w.open || w.free > 0 {
				w.fault = faultAfterMark
				if w.open {
					w.fault = faultAfterStar
				}
				return w
			}
			if s := scriptOf(r); len(digits) == 0 {
				script = s
			} else if s != script {
				w.fault = faultScripts // 95211613 and an Arabic digit: another number, that nobody has written so
				return w
			}
			digits = append(digits, digit)
		case charMark, charStar:
			if w.fault = w.wild(class == charStar, pattern); w.fault != noFault {
				return w
			}
		case charHash:
			w.fault = faultFeature
			return w
		case charLetter:
			if len(digits) >= 3 && extension(body[at:]) {
				break scan
			}
			w.fault = faultLetters
			return w
		default:
			w.fault = faultJunk
			return w
		}
	}
	if len(digits) == 0 && !pattern {
		w.fault = faultNoDigits
		return w
	}
	w.digits = string(digits)
	return w
}

// wild takes a ? or a * of a pattern.
func (w *written) wild(star, pattern bool) textFault {
	switch {
	case !pattern && star:
		return faultFeature
	case !pattern:
		return faultJunk
	case star && w.free > 0, !star && w.open:
		return faultMarkStar
	case star && w.open:
		return faultAfterStar
	case star:
		w.open = true
	default:
		w.free++
	}
	return noFault
}

// extension reports whether the text is the extension behind a number: x12, ext. 12, 转12, 分机12. It is
// reached after the call is answered and is no part of the number.
func extension(s string) bool {
	word := -1
	for _, w := range []string{"extension", "extn", "ext", "x", "分机", "转"} {
		if len(s) >= len(w) && strings.EqualFold(s[:len(w)], w) {
			word = len(w)
			break
		}
	}
	if word < 0 {
		return false
	}
	digits := 0
	for _, r := range s[word:] {
		switch class, _ := classify(r); class {
		case charDigit:
			digits++
		case charSeparator, charHyphen:
		default:
			if r != ':' {
				return false
			}
		}
	}
	return digits >= 1 && digits <= 7
}

// dottedAddress reports whether the text is an IPv4 address, as scanners leave it in the user part. Four
// pairs of digits are a number, as French and Danish ones are written.
func dottedAddress(s string) bool {
	if strings.Count(s, ".") != 3 {
		return false
	}
	pairs := true
	for range 4 {
		group, rest, _ := strings.Cut(s, ".")
		if len(group) < 1 || len(group) > 3 {
			return false
		}
		for i := 0; i < len(group); i++ {
			if group[i] < '0' || group[i] > '9' {
				return false
			}
		}
		if len(group) == 3 && group > "255" {
			return false
		}
		pairs = pairs && len(group) == 2
		s = rest
	}
	return !pairs
}
