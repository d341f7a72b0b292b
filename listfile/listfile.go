// Package listfile reads the files that lists are imported from, as the field writes them: text, tables of spreadsheets and
// databases, address books, the telephone book of a FRITZ!Box, the complaints that the FTC publishes, and PhoneBlock's JSON. It reads
// a file once, in a stream, and knows nothing of numbers: each is given as it is written. It also writes a list as CSV.
package listfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"ringfence/textfile"
)

// Format is how a file is written.
type Format string

// The formats.
const (
	Text       Format = "text"       // a pattern a line, # begins a comment; what `uniq -c` writes
	CSV        Format = "csv"        // cells between commas, semicolons, tabs or |, with a header or without
	VCard      Format = "vcard"      // an address book, versions 2.1 to 4.0
	FritzBox   Format = "fritzbox"   // the XML telephone book of a FRITZ!Box
	FTC        Format = "ftc"        // the FTC's Do Not Call complaints, a CSV
	PhoneBlock Format = "phoneblock" // PhoneBlock's block list, JSON
)

// Formats lists the formats, for advice.
func Formats() []string {
	return []string{string(Text), string(CSV), string(VCard), string(FritzBox), string(FTC), string(PhoneBlock)}
}

// Line is one entry of a file, or one line that is none.
type Line struct {
	No      int    // the line; in JSON the place among the numbers, from 1
	Number  string // as it is written
	Reason  string
	Expires time.Time // zero: never
	Remove  bool      // the file says that the number is not on the list
	Fault   error     // it cannot be read; Number may be what is wrong

	// SaysReason and SaysExpires report whether the file says these at all, be it that there is none.
	SaysReason, SaysExpires bool
	// Span is from the present to Expires where the file has a span, as 30d; 0 where it has a date.
	Span time.Duration

	// Counted is the text behind what may be a count before one number, as `uniq -c` writes it; "" if there is no such. Indented
	// reports whether the line begins with a blank, as it does there.
	Counted  string
	Indented bool
}

// Options say how to read a file.
type Options struct {
	Format    Format                                              // "": what its beginning looks like
	Now       time.Time                                           // what spans in a column `expires` count from
	Threshold int                                                 // FTC: complaints that make an entry, 0: DefaultThreshold
	Window    time.Duration                                       // FTC: complaints older than this before the newest do not count, 0: DefaultWindow
	Expiry    func(text string, now time.Time) (time.Time, error) // reads the column `expires`: a span, a date or a time
	Columns   Columns                                             // of a table
	Encoding  string                                              // its name on the web; "": what the file shows
	Country   string                                              // ISO 3166-1 alpha-2: whose spreadsheets wrote a file that is not Unicode
}

// Info is what a file was found to be.
type Info struct {
	Format   Format
	Encoding string // "" if it cannot be told: texts may have characters that are wrong
	// Columns says what of a table was read from which column, for people; "" where there is nothing to say.
	Columns string
}

// What makes an entry of complaints to the FTC.
const (
	DefaultThreshold = 3
	DefaultWindow    = 90 * 24 * time.Hour
)

// headSize is how many bytes of a file are looked at to tell its format.
const headSize = textfile.MaxLine

// Read reads a file and calls yield for each entry and each line that is none, until yield returns an error, which Read
// then returns. It says what the file is. A file that cannot be read on is an error: what came before
// it is not the whole file.
func Read(in io.Reader, o Options, yield func(Line) error) (Info, error) {
	text, err := textfile.NewReader(in, textfile.Options{Encoding: o.Encoding, Country: o.Country})
	if err != nil {
		return Info{}, err
	}
	r := bufio.NewReaderSize(text, headSize)
	head, err := r.Peek(headSize)
	if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
		return Info{}, err
	}
	whole := err == io.EOF
	info := Info{Format: o.Format}
	var found *layout
	if info.Format == "" || info.Format == CSV {
		info.Format, found, err = detect(head, whole, &o)
		if err != nil {
			return info, err
		}
	} else if o.Columns != (Columns{}) {
		return info, fmt.Errorf("only a table has columns to name, and it is read as %s", info.Format)
	}
	switch info.Format {
	case Text:
		err = readText(r, yield)
	case CSV:
		info.Columns = found.String()
		err = readTable(r, found, &o, yield)
	case VCard:
		err = readVCard(r, yield)
	case FritzBox:
		err = readFritzBox(r, yield)
	case FTC:
		err = readFTC(r, o, yield)
	case PhoneBlock:
		err = readPhoneBlock(r, yield)
	default:
		err = fmt.Errorf("there is no format %q: use one of %s", info.Format, strings.Join(Formats(), ", "))
	}
	info.Encoding = text.Name()
	return info, err
}

// detect says what a file that begins so is, and of a table where what stands. Text is what it is if nothing else.
func detect(head []byte, whole bool, o *Options) (Format, *layout, error) {
	trimmed := bytes.TrimLeft(head, " \t\n")
	named := o.Columns != (Columns{})
	switch {
	case o.Format == CSV || named:
	case bytes.HasPrefix(trimmed, []byte("{")):
		return PhoneBlock, nil, nil
	case len(trimmed) >= len(vCardBegin) && strings.EqualFold(string(trimmed[:len(vCardBegin)]), vCardBegin):
		return VCard, nil, nil
	case bytes.HasPrefix(trimmed, []byte("<")):
		lower := strings.ToLower(string(trimmed[:min(len(trimmed), 1024)]))
		if strings.Contains(lower, "<html") || strings.HasPrefix(lower, "<!doctype html") {
			return "", nil, errors.New("it is a web page and no list: look at it in a browser, perhaps it asks to log in")
		}
		return FritzBox, nil, nil
	}
	found, err := layoutOf(string(head), whole, o)
	switch {
	case err != nil:
		return CSV, nil, err
	case found == nil:
		return Text, nil, nil
	case found.ftc && o.Format == "" && !named:
		return FTC, nil, nil
	}
	return CSV, found, nil
}
