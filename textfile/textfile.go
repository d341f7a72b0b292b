// Package textfile reads text files that other programs wrote: a spreadsheet of another country, a telephone system, a
// dump of a database. It makes UTF-8 of whatever encoding they have, one kind of line end of all kinds, and cuts lines into
// cells. It reads a file once, in a stream, and knows nothing of what is written in it.
package textfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Options say how to read a file.
type Options struct {
	Encoding string // its name on the web, as "gbk" or "windows-1252"; "": what the file shows
	Country  string // ISO 3166-1 alpha-2, whose spreadsheets wrote a file that is not Unicode; "": it is not guessed
}

// bufferSize is how many bytes are looked at to tell an encoding, and the longest line that Rows reads.
const bufferSize = 64 << 10

// Reader gives the text of a file in UTF-8, each line ended by \n alone.
type Reader struct {
	text     io.Reader
	returned bool // the last character was a carriage return, which has become the line's end
	file     *bufio.Reader
	lazy     *lazy // nil: the encoding was known from the start
	name     string
}

// foreign are files that are no text, by their first bytes, with what to do.
var foreign = []struct{ magic, advice string }{
	{"PK\x03\x04", "it is a workbook of Excel or LibreOffice, or a ZIP archive: open it and save the sheet as CSV"},
	{"\xd0\xcf\x11\xe0", "it is a workbook of an old Excel: open it and save the sheet as CSV"},
	{"\x1f\x8b", "it is compressed by gzip: unpack it first, as in `zcat FILE | …` with - as the file"},
	{"BZh", "it is compressed by bzip2: unpack it first, as in `bzcat FILE | …` with - as the file"},
	{"\xfd7zXZ", "it is compressed by xz: unpack it first, as in `xzcat FILE | …` with - as the file"},
	{"\x28\xb5\x2f\xfd", "it is compressed by zstd: unpack it first, as in `zstdcat FILE | …` with - as the file"},
	{"%PDF", "it is a PDF: it takes a text file or CSV"},
	{"SQLite format 3\x00", "it is an SQLite database: write the table as CSV first"},
	{"\xff\xfe\x00\x00", "it is UTF-32: save it as UTF-8"},
	{"\x00\x00\xfe\xff", "it is UTF-32: save it as UTF-8"},
}

// Unicode begins to read a file whose beginning shows UTF-16, or the mark of UTF-8, which is as many bytes as mark. name is ""
// of every other file: what it is does not show, and nothing has been taken off.
func Unicode(in *bufio.Reader) (text io.Reader, name string, mark int, err error) {
	head, _ := in.Peek(4096) // an error comes again with the next read
	switch bom, big, wide := wideness(head); {
	case wide && bom > 0 && bytes.IndexByte(head, 0) < 0 && len(head) > bom: // digits and line ends have zero bytes there
		return nil, "", 0, errors.New("it begins with the mark of UTF-16, and the rest is not: save it as UTF-8")
	case wide:
		in.Discard(bom)
		return &utf16Reader{in: in, big: big, at: int64(bom)}, "utf-16", bom, nil
	case bytes.HasPrefix(head, []byte("\ufeff")):
		in.Discard(3)
		return in, "utf-8", 3, nil
	}
	return in, "", 0, nil
}

// NewReader begins to read a file. The error says what the file is if it is no text, and what to do.
func NewReader(in io.Reader, o Options) (*Reader, error) {
	r := &Reader{file: bufio.NewReaderSize(in, bufferSize)}
	head, err := r.file.Peek(4096)
	if err != nil && err != io.EOF {
		return nil, err
	}
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return nil, errors.New(f.advice)
		}
	}
	if o.Encoding == "" {
		o.Encoding = declared(head)
	}
	switch text, name, _, err := Unicode(r.file); {
	case err != nil:
		return nil, err
	case name != "":
		r.text, r.name = text, name
	case o.Encoding != "":
		e, err := Encoding(o.Encoding)
		if err != nil {
			return nil, err
		}
		r.text, r.name = transform.NewReader(r.file, e.NewDecoder()), o.Encoding
		if e == unicode.UTF8 {
			r.text = r.file
		}
	default:
		r.lazy = &lazy{in: r.file, country: o.Country}
		r.text = r.lazy
	}
	return r, nil
}

// Encoding finds an encoding by its name on the web.
func Encoding(name string) (encoding.Encoding, error) {
	e, err := htmlindex.Get(strings.TrimSpace(name))
	if err != nil {
		return nil, fmt.Errorf("there is no encoding %.40q: write utf-8, gbk, big5, shift_jis, euc-kr or windows-1252", name)
	}
	return e, nil
}

// declaration finds the encoding that an XML file says it has.
var declaration = regexp.MustCompile(`^\s*<\?xml[^>]*\sencoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']`)

// declared is the encoding that an XML file says it has, where that is another one than it would be without saying so.
func declared(head []byte) string {
	m := declaration.FindSubmatch(head)
	if m == nil || strings.EqualFold(string(m[1]), "utf-8") || strings.HasPrefix(strings.ToLower(string(m[1])), "utf-16") {
		return ""
	}
	return string(m[1])
}

// Name is the encoding, as far as has been read: "utf-8" also while all was ASCII, "" if it cannot be told, and then what
// is no UTF-8 comes as it is in the file.
func (r *Reader) Name() string {
	if r.lazy != nil {
		return r.lazy.name()
	}
	return r.name
}

func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.text.Read(p)
	if !r.returned && bytes.IndexByte(p[:n], '\r') < 0 {
		return n, err
	}
	kept := 0
	for _, b := range p[:n] {
		switch {
		case b == '\n' && r.returned:
			r.returned = false
			continue
		case b == '\r':
			b, r.returned = '\n', true
		default:
			r.returned = false
		}
		p[kept] = b
		kept++
	}
	return kept, err
}
