package storage

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// folded is a text that is looked for whatever the case of its letters.
type folded struct {
	ascii []byte // in small letters; nil where there are letters beyond ASCII that have a case
	runes []rune // in small letters
}

func foldedText(text string) (f folded) {
	text = strings.ToLower(text)
	f.runes = []rune(text)
	for _, c := range text {
		if c >= utf8.RuneSelf && unicode.ToUpper(c) != c {
			return f
		}
	}
	f.ascii = []byte(text)
	return f
}

// in reports whether bytes have the text in them. Letters of ASCII have a case among themselves alone.
func (f *folded) in(v []byte) bool {
	if f.ascii == nil {
		return f.runesIn(v)
	}
	text := f.ascii
	if len(text) == 0 {
		return true
	}
	first := text[0]
	other := first
	if first >= 'a' && first <= 'z' {
		other = first - 'a' + 'A'
	}
	for i := 0; i+len(text) <= len(v); i++ {
		if c := v[i]; c != first && c != other {
			continue
		}
		k := 1
		for ; k < len(text) && smallByte(v[i+k]) == text[k]; k++ {
		}
		if k == len(text) {
			return true
		}
	}
	return false
}

func smallByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c - 'A' + 'a'
	}
	return c
}

func (f *folded) runesIn(v []byte) bool {
	for i := 0; i < len(v); {
		c, n := smallRune(v[i:])
		if c == f.runes[0] {
			k, at := 1, i+n
			for k < len(f.runes) {
				c, n := smallRune(v[at:])
				if c != f.runes[k] {
					break
				}
				k, at = k+1, at+n
			}
			if k == len(f.runes) {
				return true
			}
		}
		i += n
	}
	return len(f.runes) == 0
}

func smallRune(v []byte) (rune, int) {
	if len(v) == 0 {
		return -1, 0
	}
	if v[0] < utf8.RuneSelf {
		return rune(smallByte(v[0])), 1
	}
	c, n := utf8.DecodeRune(v)
	return unicode.ToLower(c), n
}

// holdsText reports whether what people look for in a record has a text in it.
func holdsText(r *Record, text *folded) bool {
	if len(text.runes) == 0 {
		return true
	}
	for _, s := range []string{r.Name, r.Caller.E164, r.Caller.Raw, r.Reason, r.Callee} {
		if text.in([]byte(s)) {
			return true
		}
	}
	return false
}
