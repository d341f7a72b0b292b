package listfile

import (
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"
	"unicode/utf8"

	"ringfence/textfile"
)

// vCardBegin begins an address book.
const vCardBegin = "BEGIN:VCARD"

// Bounds of a card. What is longer is a picture.
const (
	maxProperty = 16 << 10 // bytes
	maxTel      = 1000     // numbers of one card
)

// property is a line of a card, with those that it goes on in.
type property struct {
	line   int
	name   string // in capitals, without its group
	params map[string]string
	value  string
}

// cards reads the properties of an address book.
type cards struct {
	rows *textfile.Rows
	next textfile.Row // read ahead
	end  error
}

// readVCard reads the telephone numbers of an address book; the reason is the name of who has them. Versions 2.1, 3.0 and 4.0 differ in how
// texts are written, and all of it may come in one file.
func readVCard(in io.Reader, yield func(Line) error) error {
	c := &cards{rows: textfile.NewRows(in, 0)}
	c.step()
	begun, depth := 0, 0
	var name, parts, firm string
	var tels []Line
	for {
		p, err := c.property()
		if err == io.EOF && depth > 0 {
			return fmt.Errorf("it ends in the middle of the card that begins in line %d: the file is cut short", begun)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		is := strings.EqualFold(strings.TrimSpace(p.value), "VCARD")
		switch {
		case p.name == "BEGIN" && is:
			if depth++; depth == 1 { // another one within is that of an agent
				begun, name, parts, firm, tels = p.line, "", "", "", tels[:0]
			}
		case p.name == "END" && is && depth > 0:
			if depth--; depth > 0 {
				continue
			}
			for _, l := range tels {
				l.Reason, l.SaysReason = nameOf(name, parts, firm), true
				if err := yield(l); err != nil {
					return err
				}
			}
		case depth != 1:
		case p.name == "FN" && name == "":
			name = p.text()
		case p.name == "N" && parts == "":
			parts = p.structured()
		case p.name == "ORG" && firm == "":
			firm = p.structured()
		case p.name == "TEL":
			if number := p.tel(); number != "" && len(tels) < maxTel {
				tels = append(tels, Line{No: p.line, Number: number})
			}
		}
	}
}

// nameOf is the first of the names that is there.
func nameOf(names ...string) string {
	for _, n := range names {
		if n = strings.TrimSpace(n); n != "" {
			return n
		}
	}
	return ""
}

func (c *cards) step() { c.next, c.end = c.rows.Next() }

// property is the next one; what is none is passed over.
func (c *cards) property() (property, error) {
	for {
		if c.end != nil {
			return property{}, c.end
		}
		line, text := c.next.Line, c.next.Text
		c.step()
		for c.end == nil && strings.HasPrefix(c.next.Text, " ") || c.end == nil && strings.HasPrefix(c.next.Text, "\t") {
			if len(text) < maxProperty { // a picture need not be read to its end
				text += c.next.Text[1:]
			}
			c.step()
		}
		p, ok := propertyOf(line, text)
		if !ok {
			continue
		}
		for p.printable() && strings.HasSuffix(p.value, "=") && c.end == nil { // how version 2.1 breaks lines
			p.value = p.value[:len(p.value)-1]
			if len(p.value) < maxProperty {
				p.value += c.next.Text
			}
			c.step()
		}
		return p, nil
	}
}

// propertyOf reads GROUP.NAME;PARAM=VALUE:value. In version 2.1 a parameter may be a value alone.
func propertyOf(line int, text string) (p property, ok bool) {
	p = property{line: line, params: map[string]string{}}
	head, quoted := -1, false
	for i := 0; i < len(text) && head < 0; i++ {
		switch text[i] {
		case '"':
			quoted = !quoted
		case ':':
			if !quoted {
				head = i
			}
		}
	}
	if head < 0 || len(text) > maxProperty+textfile.MaxLine {
		return p, false
	}
	p.value = text[head+1:]
	for i, word := range strings.Split(text[:head], ";") {
		name, value, named := strings.Cut(word, "=")
		switch {
		case i == 0:
			p.name = strings.ToUpper(strings.TrimSpace(name[strings.LastIndexByte(name, '.')+1:]))
		case named:
			p.params[strings.ToUpper(name)] = strings.Trim(value, `"`)
		default:
			p.params[strings.ToUpper(name)] = ""
		}
	}
	return p, p.name != ""
}

func (p *property) printable() bool {
	_, bare := p.params["QUOTED-PRINTABLE"]
	return bare || strings.EqualFold(p.params["ENCODING"], "QUOTED-PRINTABLE")
}

// raw is the value in UTF-8, as far as that can be told.
func (p *property) raw() string {
	value := p.value
	if p.printable() {
		if b, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(value))); err == nil {
			value = string(b)
		}
	}
	if set := p.params["CHARSET"]; set != "" && !utf8.ValidString(value) {
		if e, err := textfile.Encoding(set); err == nil {
			if text, err := e.NewDecoder().String(value); err == nil {
				value = text
			}
		}
	}
	return value
}

var unescape = strings.NewReplacer(`\\`, `\`, `\n`, " ", `\N`, " ", `\,`, ",", `\;`, ";", `\:`, ":")

func (p *property) text() string { return unescape.Replace(p.raw()) }

// structured is a value in parts, as family;given;… , in the order in which people say them.
func (p *property) structured() string {
	var parts []string
	for _, part := range strings.Split(strings.ReplaceAll(p.raw(), `\;`, "\x00"), ";") {
		if part = strings.TrimSpace(unescape.Replace(strings.ReplaceAll(part, "\x00", ";"))); part != "" {
			parts = append(parts, part)
		}
	}
	if p.name == "N" && len(parts) > 1 {
		parts[0], parts[1] = parts[1], parts[0]
	}
	return strings.Join(parts, " ")
}

// tel is a telephone number, which version 4.0 may write as tel:+49-30-255571;ext=12. What is another address is none.
func (p *property) tel() string {
	value := strings.TrimSpace(p.text())
	if len(value) > 4 && strings.EqualFold(value[:4], "tel:") {
		value, _, _ = strings.Cut(value[4:], ";")
	}
	return value
}
