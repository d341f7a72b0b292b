package textfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/transform"
)

// wideness tells UTF-16: by its mark, or without one by the zero bytes that every digit and line end has there. bom is how many
// bytes the mark takes.
func wideness(head []byte) (bom int, big, wide bool) {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		return 2, false, true
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		return 2, true, true
	}
	var zeros [2]int
	for i, b := range head {
		if b == 0 {
			zeros[i%2]++
		}
	}
	half := len(head) / 2
	switch {
	case half >= 2 && zeros[0] == 0 && zeros[1] > half/2:
		return 0, false, true
	case half >= 2 && zeros[1] == 0 && zeros[0] > half/2:
		return 0, true, true
	}
	return 0, false, false
}

// utf16Reader makes UTF-8 of UTF-16, and nothing of what is not: half a list would look whole.
type utf16Reader struct {
	in   *bufio.Reader
	big  bool
	at   int64  // bytes read
	out  []byte // not given yet
	high rune   // the first of a pair, 0 for none
	err  error  // behind out
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	for len(u.out) < len(p) && u.err == nil {
		u.plain(len(p) - len(u.out))
		u.step()
	}
	n := copy(p, u.out)
	u.out = append(u.out[:0], u.out[n:]...)
	if n == 0 && len(p) > 0 {
		return 0, u.err
	}
	return n, nil
}

// plain takes the characters that stand alone, as many as are there already and at most so many: nearly all do, and one by one
// they take ten times as long.
func (u *utf16Reader) plain(most int) {
	if u.high != 0 {
		return
	}
	ahead, _ := u.in.Peek(u.in.Buffered())
	n := 0
	for ; n+1 < len(ahead) && most > 0; n, most = n+2, most-1 {
		unit := rune(ahead[n]) | rune(ahead[n+1])<<8
		if u.big {
			unit = rune(ahead[n+1]) | rune(ahead[n])<<8
		}
		if utf16.IsSurrogate(unit) {
			break
		}
		u.out = utf8.AppendRune(u.out, unit)
	}
	u.in.Discard(n)
	u.at += int64(n)
}

// step reads one unit.
func (u *utf16Reader) step() {
	var b [2]byte
	n, err := io.ReadFull(u.in, b[:])
	u.at += int64(n)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF && u.high != 0:
		u.wrong("it ends in the middle of a character")
		return
	case err != nil:
		u.err = err
		return
	}
	unit := rune(b[0]) | rune(b[1])<<8
	if u.big {
		unit = rune(b[1]) | rune(b[0])<<8
	}
	switch isPart := utf16.IsSurrogate(unit); {
	case u.high != 0:
		c := utf16.DecodeRune(u.high, unit)
		if c == utf8.RuneError {
			u.wrong(fmt.Sprintf("byte %d begins half a character", u.at-3))
			return
		}
		u.high, u.out = 0, utf8.AppendRune(u.out, c)
	case isPart && unit >= 0xdc00:
		u.wrong(fmt.Sprintf("byte %d begins half a character", u.at-1))
	case isPart:
		u.high = unit
	default:
		u.out = utf8.AppendRune(u.out, unit)
	}
}

func (u *utf16Reader) wrong(what string) {
	u.err = errors.New("it claims to be UTF-16 and is not, " + what + ": save it as UTF-8")
}

// habit is the encoding that spreadsheets of a country write where they do not write Unicode; "" of none.
func habit(country string) string {
	for _, h := range []struct{ countries, encoding string }{
		{"CN SG", "gb18030"},
		{"TW HK MO", "big5"},
		{"JP", "shift_jis"},
		{"KR", "euc-kr"},
		{"RU BY UA BG RS MK KZ KG MN TJ", "windows-1251"},
		{"PL CZ SK HU SI HR RO BA AL ME", "windows-1250"},
		{"GR CY", "windows-1253"},
		{"TR AZ", "windows-1254"},
		{"IL", "windows-1255"},
		{"SA AE EG JO KW LB MA OM QA SY TN YE IQ BH DZ LY SD IR PK", "windows-1256"},
		{"EE LV LT", "windows-1257"},
		{"VN", "windows-1258"},
		{"TH", "windows-874"},
	} {
		if slices.Contains(strings.Fields(h.countries), country) {
			return h.encoding
		}
	}
	if country == "" {
		return ""
	}
	return "windows-1252"
}

// lazy decides what encoding a file has when the first byte comes that is not ASCII: it may be far behind the beginning.
type lazy struct {
	in      *bufio.Reader
	country string
	rest    io.Reader // once it is decided
	found   string
}

func (l *lazy) name() string {
	if l.rest == nil {
		return "utf-8"
	}
	return l.found
}

func (l *lazy) Read(p []byte) (int, error) {
	if l.rest != nil {
		return l.rest.Read(p)
	}
	chunk, err := l.in.Peek(bufferSize)
	if err != nil && err != io.EOF {
		return 0, err
	}
	if len(chunk) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), len(chunk))
	if at := slices.IndexFunc(chunk[:n], func(b byte) bool { return b >= utf8.RuneSelf }); at >= 0 {
		if n = at; n == 0 {
			l.decide(chunk)
			return l.rest.Read(p)
		}
	}
	copy(p, chunk[:n])
	l.in.Discard(n)
	return n, nil
}

// decide tells the encoding by a piece of the file that begins with what is not ASCII.
func (l *lazy) decide(chunk []byte) {
	l.rest = l.in
	if mostlyUTF8(chunk) {
		l.found = "utf-8"
		return
	}
	name := habit(l.country)
	if name == "" {
		return
	}
	e, err := Encoding(name)
	if err != nil {
		return
	}
	text, _, err := transform.Bytes(e.NewDecoder(), wholeRuns(chunk))
	if err != nil || !sure(text, chunk, name) {
		return
	}
	l.found, l.rest = name, transform.NewReader(l.in, e.NewDecoder())
}

// mostlyUTF8 reports whether what is not ASCII is rather UTF-8 than not. A stray byte in a large file does not make all else of it
// something else.
func mostlyUTF8(chunk []byte) bool {
	good, bad := 0, 0
	for len(chunk) > 0 && utf8.FullRune(chunk) { // the last character may go on behind the piece
		c, n := utf8.DecodeRune(chunk)
		switch {
		case c == utf8.RuneError && n == 1:
			bad++
		case n > 1:
			good++
		}
		chunk = chunk[n:]
	}
	return bad == 0 || good > bad
}

// wholeRuns is a piece of a file without the run of bytes at its end that may go on.
func wholeRuns(chunk []byte) []byte {
	if len(chunk) < bufferSize {
		return chunk
	}
	if at := bytes.LastIndexByte(chunk, '\n'); at > 0 {
		return chunk[:at]
	}
	return chunk
}

// sure reports whether a text that was read in an encoding makes sense. Where all bytes make some character, what tells is that
// Latin letters with accents stand alone or in twos, and that Chinese ones come in pairs of bytes.
func sure(text, from []byte, name string) bool {
	for _, c := range string(text) {
		if c == utf8.RuneError || c > 0x7f && (unicode.IsControl(c) || unicode.In(c, unicode.Co)) {
			return false
		}
	}
	if !slices.Contains([]string{"windows-1252", "windows-1250", "windows-1254", "windows-1257", "windows-1258"}, name) {
		return true
	}
	run := 0
	for _, b := range from {
		if run++; b < utf8.RuneSelf {
			run = 0
		}
		if run > 3 {
			return false
		}
	}
	return true
}
