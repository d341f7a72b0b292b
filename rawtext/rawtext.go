// Package rawtext has texts of callers that may be no text at all, such as Latin-1, in JSON and CSV and back without loss.
package rawtext

import (
	"strings"
	"unicode/utf8"
)

// Cut shortens a text to max bytes, or a few less so as not to split a character.
func Cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for i := max; i > max-utf8.UTFMax; i-- {
		if !utf8.RuneStart(s[i]) {
			continue // the byte at i continues a character
		}
		if r, _ := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError {
			return strings.Clone(s[:i])
		}
		break
	}
	return strings.Clone(s[:max]) // no character there to split; cloned to let the long text go
}

const hexDigits = "0123456789ABCDEF"

// Escape makes any bytes valid UTF-8: every byte that is not part of it becomes \xHH, with two upper-case hexadecimal
// digits, and a backslash that would read as such an escape becomes \x5C. All other text stays.
func Escape(s string) string {
	if utf8.ValidString(s) && !strings.Contains(s, `\x`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || IsEscape(s[i:]) {
			b.Write(AppendByte(nil, s[i]))
			i++
			continue
		}
		b.WriteString(s[i : i+n])
		i += n
	}
	return b.String()
}

// Unescape undoes Escape.
func Unescape(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if !IsEscape(s[i:]) {
			b.WriteByte(s[i])
			continue
		}
		b.WriteByte(byte(strings.IndexByte(hexDigits, s[i+2])<<4 | strings.IndexByte(hexDigits, s[i+3])))
		i += 3
	}
	return b.String()
}

// IsEscape reports whether the text starts with \xHH.
func IsEscape(s string) bool {
	return len(s) >= 4 && s[0] == '\\' && s[1] == 'x' &&
		strings.IndexByte(hexDigits, s[2]) >= 0 && strings.IndexByte(hexDigits, s[3]) >= 0
}

// AppendByte appends a byte as Escape writes those that are no text.
func AppendByte(dst []byte, b byte) []byte {
	return append(dst, '\\', 'x', hexDigits[b>>4], hexDigits[b&15])
}
