package tomlfile

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Place is where a key, a table or an array element stands in the text. The tree of places has the shape
// of the decoded values: tables have keys, arrays have items.
type Place struct {
	Line  int // from 1
	keys  map[string]*Place
	items []Place
}

// Key is the place of a key in a table, or the table's own place if the text has no such key.
func (p *Place) Key(name string) *Place {
	if p == nil {
		return nil
	}
	if k := p.keys[name]; k != nil {
		return k
	}
	return &Place{Line: p.Line}
}

// Item is the place of an array's element, or the array's own place if the text has no such element.
func (p *Place) Item(i int) *Place {
	if p == nil {
		return nil
	}
	if i < len(p.items) {
		return &p.items[i]
	}
	return &Place{Line: p.Line}
}

// findPlaces walks a TOML text and notes the line of every key and array element. The decoder in use gives lines for
// syntax errors alone, so this reads the text a second time, for the places only: it wants a text
// that the decoder accepts, and on any other it stops where it no longer understands, without a fault of its own.
//
// It also stops at keys of more than maxParts parts and values more than maxDepth deep, on which the decoder spends minutes;
// deep is then that line, otherwise 0.
func findPlaces(text string) (root *Place, deep int) {
	s := placeScanner{text: strings.TrimPrefix(text, byteOrderMark), line: 1}
	return s.scan(), s.deep
}

// scan reads the whole text, or what of it can be understood.
func (s *placeScanner) scan() *Place {
	root := &Place{Line: 1}
	table := root
	for {
		s.skipBlank()
		switch {
		case s.end():
			return root
		case s.eat("[["):
			line := s.line
			path := s.keyPath()
			if len(path) == 0 || !s.eat("]]") {
				return root
			}
			array := root.descend(path, line)
			array.items = append(array.items, Place{Line: line})
			table = array.last()
		case s.eat("["):
			line := s.line
			path := s.keyPath()
			if len(path) == 0 || !s.eat("]") {
				return root
			}
			table = root.descend(path, line)
			table.Line = line // a table that was only implied before, by [a.b], has its own line now
		default:
			if !s.pair(table) {
				return root
			}
		}
	}
}

// descend follows a path of keys, making what is not there yet. On the way an array of tables stands for
// its last element, as in TOML; at the end of the path it stands for itself.
func (p *Place) descend(path []string, line int) *Place {
	for i, name := range path {
		if i > 0 {
			p = p.last()
		}
		child := p.keys[name]
		if child == nil {
			child = &Place{Line: line}
			if p.keys == nil {
				p.keys = make(map[string]*Place)
			}
			p.keys[name] = child
		}
		p = child
	}
	return p
}

func (p *Place) last() *Place {
	if n := len(p.items); n > 0 {
		return &p.items[n-1]
	}
	return p
}

// No file of settings needs more of either: rule.when.caller has three parts, and when = { caller = ["…"] } is two deep.
const (
	maxParts = 16
	maxDepth = 16
)

type placeScanner struct {
	text  string
	at    int
	line  int
	depth int // arrays and inline tables around the place
	deep  int // the line where too much was met, 0 if it was not

	open []opened // what is opened around the place and not closed yet
	last int      // the line where the last value ended
}

// opened is a bracket, a brace or a triple quote, and its line.
type opened struct {
	what string
	line int
}

// byteOrderMark may stand at the head of a file that was written on Windows.
const byteOrderMark = "\ufeff"

func (s *placeScanner) end() bool { return s.at >= len(s.text) }

// peek is the next byte, 0 at the end of the text.
func (s *placeScanner) peek() byte {
	if s.end() {
		return 0
	}
	return s.text[s.at]
}

// step passes n bytes and counts the lines that end among them.
func (s *placeScanner) step(n int) {
	to := min(s.at+n, len(s.text))
	s.line += strings.Count(s.text[s.at:to], "\n")
	s.at = to
}

func (s *placeScanner) eat(prefix string) bool {
	if !strings.HasPrefix(s.text[s.at:], prefix) {
		return false
	}
	s.step(len(prefix))
	return true
}

// skipSpace passes blanks within a line.
func (s *placeScanner) skipSpace() {
	for s.peek() == ' ' || s.peek() == '\t' {
		s.at++
	}
}

// skipBlank passes blanks, line ends and comments.
func (s *placeScanner) skipBlank() {
	for !s.end() {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.step(1)
		case '#':
			if n := strings.IndexByte(s.text[s.at:], '\n'); n >= 0 {
				s.step(n)
			} else {
				s.at = len(s.text)
			}
		default:
			return
		}
	}
}

// pair reads `key = value` into a table.
func (s *placeScanner) pair(table *Place) bool {
	line := s.line
	path := s.keyPath()
	if len(path) == 0 || !s.eat("=") {
		return false
	}
	return s.value(table.descend(path, line))
}

// keyPath reads a key, dotted or not, with the blanks around it. It is empty if there is none.
func (s *placeScanner) keyPath() []string {
	var path []string
	for {
		s.skipSpace()
		name, ok := s.keyPart()
		if !ok {
			return nil
		}
		if path = append(path, name); len(path) > maxParts {
			s.deep = s.line
			return nil
		}
		s.skipSpace()
		if !s.eat(".") {
			return path
		}
	}
}

func (s *placeScanner) keyPart() (string, bool) {
	switch c := s.peek(); c {
	case '"', '\'':
		from := s.at + 1
		if !s.quoted(c) {
			return "", false
		}
		inside := s.text[from : s.at-1]
		if c == '"' {
			inside = unescape(inside)
		}
		return inside, true
	}
	from := s.at
	for !s.end() && strings.IndexByte(" \t\r\n.=]#\"'[{},", s.text[s.at]) < 0 {
		s.at++
	}
	return s.text[from:s.at], s.at > from
}

// value reads a value and notes its elements and keys under p.
func (s *placeScanner) value(p *Place) bool {
	s.skipSpace()
	if s.depth++; s.depth > maxDepth {
		s.deep = s.line
		return false
	}
	defer func() { s.depth-- }()
	from := s.line
	switch c := s.peek(); c {
	case '"', '\'':
		triple := strings.Repeat(string(c), 3)
		if s.eat(triple) {
			s.open = append(s.open, opened{triple, from})
			return s.multiline(c, triple) && s.closed()
		}
		return s.quoted(c) && s.ended()
	case '[':
		s.step(1)
		s.open = append(s.open, opened{"[", from})
		for {
			s.skipBlank()
			if s.eat("]") {
				return s.closed()
			}
			p.items = append(p.items, Place{Line: s.line})
			if !s.value(p.last()) {
				return false
			}
			s.skipBlank()
			s.eat(",")
		}
	case '{':
		s.step(1)
		s.open = append(s.open, opened{"{", from})
		for {
			s.skipBlank()
			if s.eat("}") {
				return s.closed()
			}
			if !s.pair(p) {
				return false
			}
			s.skipBlank()
			s.eat(",")
		}
	}
	start := s.at
	for !s.end() && strings.IndexByte(",]}#\r\n", s.text[s.at]) < 0 {
		s.at++
	}
	return s.at > start && s.ended()
}

// closed notes that what was opened last is closed, and ended that a value ends here. Both are true, for value.
func (s *placeScanner) closed() bool {
	s.open = s.open[:len(s.open)-1]
	return s.ended()
}

func (s *placeScanner) ended() bool {
	s.last = s.line
	return true
}

// quoted passes a string on one line, quotes included.
func (s *placeScanner) quoted(quote byte) bool {
	for s.at++; !s.end(); s.at++ {
		switch s.text[s.at] {
		case '\\':
			if quote == '"' {
				s.at++
			}
		case '\n':
			return false
		case quote:
			s.at++
			return true
		}
	}
	return false
}

// multiline passes the rest of a string in triple quotes. Up to two quotes may stand before the closing ones.
func (s *placeScanner) multiline(quote byte, triple string) bool {
	for !s.end() {
		switch {
		case quote == '"' && s.peek() == '\\':
			s.step(2)
		case s.eat(triple):
			for n := 0; n < 2 && s.peek() == quote; n++ {
				s.at++
			}
			return true
		default:
			s.step(1)
		}
	}
	return false
}

// unescape reads the backslash sequences of a quoted key.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		hex := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[i]]
		if hex > 0 && i+hex < len(s) {
			if r, err := strconv.ParseUint(s[i+1:i+1+hex], 16, 32); err == nil && utf8.ValidRune(rune(r)) {
				b.WriteRune(rune(r))
				i += hex
				continue
			}
		}
		if n := strings.IndexByte("btnfre", s[i]); n >= 0 {
			b.WriteByte("\b\t\n\f\r\x1b"[n])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
