// Package listfile reads the files that lists are imported from: text, CSV, the complaints that the FTC publishes, and
// PhoneBlock's JSON. It reads a file once, in a stream, and knows nothing of numbers: each is given as it is written.
package listfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Format is how a file is written.
type Format string

// The formats.
const (
	Text       Format = "text"       // a pattern a line, # begins a comment
	CSV        Format = "csv"        // a header with number, and perhaps reason and expires
	FTC        Format = "ftc"        // the FTC's Do Not Call complaints, a CSV
	PhoneBlock Format = "phoneblock" // PhoneBlock's block list, JSON
)

// Formats lists the formats, for advice.
func Formats() []string { return []string{string(Text), string(CSV), string(FTC), string(PhoneBlock)} }

// Line is one entry of a file, or one line that is none.
type Line struct {
	No      int    // the line; in JSON the place among the numbers, from 1
	Number  string // as it is written
	Reason  string
	Expires time.Time // zero: never
	Remove  bool      // the file says that the number is not on the list
	Fault   error     // it cannot be read; Number may be what is wrong
}

// Options say how to read a file.
type Options struct {
	Format    Format                                              // "": what its beginning looks like
	Now       time.Time                                           // what spans in a column `expires` count from
	Threshold int                                                 // FTC: complaints that make an entry, 0: DefaultThreshold
	Window    time.Duration                                       // FTC: complaints older than this before the newest do not count, 0: DefaultWindow
	Expiry    func(text string, now time.Time) (time.Time, error) // reads the column `expires`
}

// What makes an entry of complaints to the FTC.
const (
	DefaultThreshold = 3
	DefaultWindow    = 90 * 24 * time.Hour
)

// maxLine bounds a line of text, in bytes.
const maxLine = 64 << 10

// Read reads a file and calls yield for each entry and each line that is none, until yield returns an error, which Read
// then returns. It says which format the file has. A file that cannot be read on is an error: what came before
// it is not the whole file.
func Read(in io.Reader, o Options, yield func(Line) error) (Format, error) {
	r := bufio.NewReaderSize(in, maxLine)
	if bom, _ := r.Peek(3); string(bom) == "\ufeff" {
		r.Discard(3)
	}
	format := o.Format
	if format == "" {
		head, err := r.Peek(4096)
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
		format = detect(head)
	}
	switch format {
	case Text:
		return format, readText(r, yield)
	case CSV:
		return format, readCSV(r, o, yield)
	case FTC:
		return format, readFTC(r, o, yield)
	case PhoneBlock:
		return format, readPhoneBlock(r, yield)
	}
	return "", fmt.Errorf("there is no format %q: use one of %s", format, strings.Join(Formats(), ", "))
}

// detect says what a file that begins so is. Text is what it is if nothing else.
func detect(head []byte) Format {
	trimmed := bytes.TrimLeft(head, " \t\r\n")
	if bytes.HasPrefix(trimmed, []byte("{")) {
		return PhoneBlock
	}
	first, _, _ := bytes.Cut(trimmed, []byte("\n"))
	for _, c := range strings.Split(string(first), ",") {
		switch columnName(c) {
		case "number":
			return CSV
		case "company_phone_number":
			return FTC
		}
	}
	return Text
}

// columnName is a column's name as it is compared: in small letters, with _ between words.
func columnName(s string) string {
	return strings.ReplaceAll(strings.ToLower(strings.Trim(s, " \t\r\"")), " ", "_")
}

func readText(r *bufio.Reader, yield func(Line) error) error {
	for no := 1; ; no++ {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = r.ReadSlice('\n')
			}
			if err == nil || err == io.EOF {
				if err := yield(Line{No: no, Fault: fmt.Errorf("the line has more than %d bytes", maxLine)}); err != nil {
					return err
				}
				line = nil
			}
		}
		if err != nil && err != io.EOF {
			return err
		}
		text, _, _ := bytes.Cut(line, []byte("#"))
		if text = bytes.TrimSpace(text); len(text) > 0 {
			if err := yield(Line{No: no, Number: string(text)}); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

// table reads rows of a CSV by the names of their columns.
type table struct {
	r       *csv.Reader
	columns map[string]int
	row     []string
	line    int
}

func newTable(in io.Reader, needs ...string) (*table, error) {
	t := &table{r: csv.NewReader(in), columns: map[string]int{}}
	t.r.FieldsPerRecord, t.r.ReuseRecord, t.r.TrimLeadingSpace = -1, true, true
	header, err := t.r.Read()
	if err == io.EOF {
		return nil, errors.New("the file is empty: its first line should name the columns")
	}
	if err != nil {
		return nil, fmt.Errorf("its first line should name the columns: %w", err)
	}
	for i, name := range header {
		t.columns[columnName(name)] = i
	}
	for _, name := range needs {
		if _, ok := t.columns[name]; !ok {
			return nil, fmt.Errorf("its first line names no column %s", name)
		}
	}
	return t, nil
}

// next reads a row. fault is what is wrong with it alone; io.EOF ends the file.
func (t *table) next() (fault, err error) {
	t.row, err = t.r.Read()
	var bad *csv.ParseError
	if errors.As(err, &bad) {
		t.line = bad.Line
		return bad.Err, nil
	}
	if err != nil {
		return nil, err
	}
	t.line, _ = t.r.FieldPos(0)
	return nil, nil
}

func (t *table) field(name string) string {
	if i, ok := t.columns[name]; ok && i < len(t.row) {
		return strings.TrimSpace(t.row[i])
	}
	return ""
}

func readCSV(in io.Reader, o Options, yield func(Line) error) error {
	t, err := newTable(in, "number")
	if err != nil {
		return err
	}
	for {
		fault, err := t.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		l := Line{No: t.line, Fault: fault}
		if fault == nil {
			l.Number, l.Reason = strings.Clone(t.field("number")), strings.Clone(t.field("reason"))
			if expires := t.field("expires"); expires != "" && o.Expiry != nil {
				l.Expires, l.Fault = o.Expiry(expires, o.Now)
			}
		}
		if err := yield(l); err != nil {
			return err
		}
	}
}

// phoneBlockNumber is one number of PhoneBlock's list.
type phoneBlockNumber struct {
	Phone  string `json:"phone"`
	Rating string `json:"rating"`
	Votes  *int   `json:"votes"`
}

// readPhoneBlock reads {"numbers":[{"phone","rating","votes"}],"version"}. A number without votes any more is to be
// removed, which is how an update says that.
func readPhoneBlock(in io.Reader, yield func(Line) error) error {
	dec := json.NewDecoder(in)
	wrong := func(err error) error {
		if err == nil {
			return errors.New(`it is not a list of PhoneBlock: {"numbers":[…]} is expected`)
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("its JSON cannot be read at byte %d: %w", dec.InputOffset(), err)
	}
	if t, err := dec.Token(); t != json.Delim('{') {
		return wrong(err)
	}
	found := false
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return wrong(err)
		}
		if key != "numbers" {
			var skip json.RawMessage
			if err := dec.Decode(&skip); err != nil {
				return wrong(err)
			}
			continue
		}
		found = true
		if t, err := dec.Token(); t != json.Delim('[') {
			return wrong(err)
		}
		for no := 1; dec.More(); no++ {
			var raw json.RawMessage
			if err := dec.Decode(&raw); err != nil {
				return wrong(err)
			}
			l := Line{No: no}
			var n phoneBlockNumber
			if err := json.Unmarshal(raw, &n); err != nil {
				l.Fault = fmt.Errorf(`it is not {"phone","rating","votes"}: %w`, err)
			} else if n.Phone == "" {
				l.Fault = errors.New(`it has no "phone"`)
			} else {
				l.Number, l.Reason = n.Phone, phoneBlockReason(n)
				l.Remove = n.Votes != nil && *n.Votes == 0
			}
			if err := yield(l); err != nil {
				return err
			}
		}
		if _, err := dec.Token(); err != nil {
			return wrong(err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return wrong(err)
	}
	if !found {
		return wrong(nil)
	}
	return nil
}

func phoneBlockReason(n phoneBlockNumber) string {
	text := "PhoneBlock"
	if n.Rating != "" {
		text += ": " + n.Rating
	}
	if n.Votes != nil {
		text += fmt.Sprintf(", %d votes", *n.Votes)
	}
	return text
}
