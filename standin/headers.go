package standin

import "strings"

// headers is an ordered list of names and values. Channel variables, events and
// replies are such lists in the switch, and their order shows on the wire: a
// variable that is set again moves to the end.
type headers struct {
	list []Header
}

// add appends without looking whether the name is there already.
func (h *headers) add(name, value string) {
	h.list = append(h.list, Header{name, value})
}

// set puts the name at the end with its new value. An empty value removes it.
func (h *headers) set(name, value string) {
	h.del(name)
	if value != "" {
		h.add(name, value)
	}
}

func (h *headers) del(name string) {
	if i := h.index(name); i >= 0 {
		h.list = append(h.list[:i], h.list[i+1:]...)
	}
}

func (h *headers) get(name string) (string, bool) {
	if i := h.index(name); i >= 0 {
		return h.list[i].Value, true
	}
	return "", false
}

// index finds a name in either case, as the switch does.
func (h *headers) index(name string) int {
	for i := range h.list {
		if n := h.list[i].Name; len(n) == len(name) && strings.EqualFold(n, name) {
			return i
		}
	}
	return -1
}

// text is the list as it goes over the wire, closed by an empty line.
func (h *headers) text() []byte {
	b := make([]byte, 0, 8192)
	for _, x := range h.list {
		b = append(b, x.Name...)
		b = append(b, ": "...)
		if x.Value == "" {
			b = append(b, "_undef_"...)
		}
		b = appendEncoded(b, x.Value)
		b = append(b, '\n')
	}
	return append(b, '\n')
}

// unsafe are the printable characters that are encoded; so is everything that
// is not printable ASCII.
const unsafe = "\r\n #%&+:;<=>?@[\\]^`{|}\""

// appendEncoded encodes a value as the switch does. What looks encoded already
// stays as it is, so that "%41" on the wire may have been "%41" or "A".
func appendEncoded(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' && i+2 < len(s) && upperHex(s[i+1]) && upperHex(s[i+2]) {
			b = append(b, c)
			continue
		}
		if c < ' ' || c > '~' || strings.IndexByte(unsafe, c) >= 0 {
			const hex = "0123456789ABCDEF"
			b = append(b, '%', hex[c>>4], hex[c&15])
			continue
		}
		b = append(b, c)
	}
	return b
}

func upperHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'F'
}

// decodePercent undoes %XX, as the switch does with display names and users of SIP headers.
func decodePercent(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := hexDigit(s[i+1]), hexDigit(s[i+2])
			if hi >= 0 && lo >= 0 {
				b = append(b, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
