package replay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"ringfence/console"
)

// The formats that a file may be said to have.
const (
	FormatAuto  = "auto"  // as its beginning shows
	FormatJSONL = "jsonl" // a journal, a JSON object a line
	FormatCSV   = "csv"   // a journal or call detail records
)

// SourceOptions say how a file is to be read.
type SourceOptions struct {
	Format     string // FormatAuto if ""
	NoHeader   bool   // CSV: the first row is a call
	Columns    Columns
	Contexts   []string       // only calls of one of these dialplan contexts; call detail records only
	Zone       *time.Location // the clock of times without an offset, and what reports are written by; UTC if nil
	TimeFormat string         // how times are written, in the directives of strftime; "" to find out; call detail records only
	Now        time.Time      // a time after the year that follows is a fault; the present if zero
}

// Source is a file of calls.
type Source struct {
	Name   string
	Format string // what it was recognised as, for people
	Size   int64  // bytes; 0 if not known, as of standard input

	in    *bufio.Reader
	bytes atomic.Int64 // read so far
	writing
	skipped  int           // lines before the first row
	decoded  bool          // the text is not the bytes of the file
	newest   bool          // the calls stand newest first, as databases and web pages give them
	file     io.ReadSeeker // to read again, or in another order; nil if that cannot be
	from     int64         // where in the file it begins
	header   bool          // the first row is none
	width    int           // columns of a row, if it is CSV
	zone     *time.Location
	contexts []string

	// One of these reads the rows; none: each is a line of a JSON journal.
	layout  *layout
	journal *console.CSVLayout
	label   int // of a journal: the column that says which calls were wanted, from 1; 0: there is none

	first time.Time // of the first call, if it can be told by the beginning
}

// peek is how much of a file is looked at to recognise it. It holds the longest row there may be.
const peek = 2 * maxRow

// Open recognises what a file holds by its beginning. size may be 0. The error says what to do about a file
// that is not recognised.
func Open(name string, in io.Reader, size int64, o SourceOptions) (*Source, error) {
	s := &Source{Name: name, Size: size, zone: o.Zone, contexts: o.Contexts}
	if s.zone == nil {
		s.zone = time.UTC
	}
	if file, ok := in.(io.ReadSeeker); ok {
		if at, err := file.Seek(0, io.SeekCurrent); err == nil {
			s.file, s.from = file, at
		}
	}
	if err := s.begin(in); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	start, err := s.in.Peek(peek)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s cannot be read: %w", name, plainReadError(err))
	}
	if bytes.HasPrefix(start, []byte("\x1f\x8b")) {
		return nil, fmt.Errorf("%s is compressed: write `zcat %s | ringfence policy replay - …`", name, name)
	}
	if bytes.HasPrefix(start, []byte("PK\x03\x04")) || bytes.HasPrefix(start, []byte("\xd0\xcf\x11\xe0")) {
		return nil, fmt.Errorf("%s is a spreadsheet's own file (xlsx, ods, xls): save it as CSV", name)
	}
	text := strings.TrimLeft(string(start), " \t\r\n")
	if o.Format == FormatJSONL || o.Format != FormatCSV && strings.HasPrefix(text, "{") {
		s.Format = "journal, JSON lines"
		line, _, _ := strings.Cut(text, "\n")
		if c, fault := fromJSON(line); fault == "" {
			s.first = c.Facts.Time
		}
		return s, s.onlyCDR(&o)
	}
	if text == "" {
		s.Format = "empty file"
		return s, nil
	}
	return s, s.recogniseCSV(string(start), &o)
}

// recogniseCSV finds the separator and the columns of a CSV file.
func (s *Source) recogniseCSV(start string, o *SourceOptions) error {
	var first []string
	at := len(start) - len(strings.TrimLeft(start, "\r\n"))
	s.sql = strings.HasPrefix(start[at:], sqlLead)
	for _, comma := range []byte{',', ';', '\t', '|'} {
		r := rows{writing: writing{comma: comma, plain: comma != ',' && isPlain(start, comma), sql: s.sql}}
		if _, _, fault := r.scan(start, at); fault == "" && len(r.fields) > len(first) {
			s.writing, first = r.writing, r.fields
		}
	}
	if first == nil {
		return fmt.Errorf("%s:1: the first row %s: is this a CSV file?", s.Name, faultQuotes)
	}
	if journal, ok := console.ReadCSVHeader(first); ok && !o.NoHeader {
		s.Format, s.journal, s.header, s.width = "journal, CSV", journal, true, len(first)
		if few := s.firstRows(start[at:], len(start) < peek); len(few) > 1 {
			if r, err := journal.Record(few[1]); err == nil {
				s.first = r.Time
			}
		}
		return errors.Join(s.labelOfJournal(first, o), s.onlyCDR(o))
	}
	if err := CheckTimeFormat(o.TimeFormat); err != nil {
		return err
	}
	var err error
	few := s.firstRows(start[at:], len(start) < peek)
	if s.layout, s.header, err = layoutOf(few, o.NoHeader, &o.Columns); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	s.Format, s.width = "call detail records", s.layout.width
	if s.layout.shape != nil {
		s.Format = s.layout.shape.name
	}
	if len(o.Contexts) > 0 && len(s.layout.at[roleContext]) == 0 {
		return fmt.Errorf("%s: --context: the file has no column named context or dcontext", s.Name)
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	s.layout.clock = &clock{zone: s.zone, format: o.TimeFormat, comma: s.comma != ',', latest: o.Now.In(s.zone).Year() + 1}
	if o.TimeFormat == "" {
		err = s.survey(few)
	}
	s.newest = s.layout.newestFirst(few)
	for i := 0; i < len(few) && s.first.IsZero(); i++ {
		if len(few[i]) >= s.layout.need && !(s.header && i == 0) {
			s.first, _ = s.layout.clock.read(s.layout.when(few[i]))
		}
	}
	return err
}

// labelOfJournal finds the column that somebody has put to a journal to say which calls were wanted.
func (s *Source) labelOfJournal(header []string, o *SourceOptions) error {
	name := o.Columns.Label
	if name == "" {
		return nil
	}
	o.Columns.Label = ""
	at := slices.IndexFunc(header, func(cell string) bool { return columnName(cell) == columnName(name) })
	if n, err := strconv.Atoi(name); err == nil && at < 0 {
		at = n - 1
	}
	if at < 0 || at >= len(header) {
		return fmt.Errorf("%s: --label %q: there is no such column among %s", s.Name, name, someOf(header))
	}
	s.label = at + 1
	return nil
}

// firstRows are a few rows from the beginning of a file. whole says that it has no more than that.
func (s *Source) firstRows(text string, whole bool) (first [][]string) {
	const few = 200
	r := rows{writing: s.writing}
	for pos := 0; pos < len(text) && len(first) < few; {
		next, open, fault := r.scan(text, pos)
		if fault == "" && (!open || whole || len(first) == 0) {
			first = append(first, slices.Clone(r.fields))
		}
		pos = next
	}
	return first
}

// onlyCDR refuses what is said about columns when the file is a journal, whose columns are known.
func (s *Source) onlyCDR(o *SourceOptions) error {
	flag := o.Columns.any()
	if flag == "--label" {
		return fmt.Errorf("%s: --label: JSON lines have no columns: export the journal with --format csv, and put a column to it", s.Name)
	}
	switch {
	case flag != "":
	case len(o.Contexts) > 0:
		flag = "--context"
	case o.TimeFormat != "":
		flag = "--time-format"
	case o.NoHeader:
		flag = "--no-header"
	default:
		return nil
	}
	return fmt.Errorf("%s: %s is for call detail records, and this is a journal: take it out", s.Name, flag)
}

// labelled reports whether the file says which calls were wanted.
func (s *Source) labelled() bool {
	return s.label > 0 || s.layout != nil && len(s.layout.at[roleLabel]) > 0
}

// Read is how many bytes of the file have been read. It may be asked while the file is being read.
func (s *Source) Read() int64 { return s.bytes.Load() }

// chunkSize is how much text is handed from one stage to the next, in bytes. A row must fit in.
const chunkSize = 4 * maxRow

// chunk is a piece of a file: whole rows.
type chunk struct {
	source *Source
	text   string
	at     int64 // where it begins in the text of the file
	line   int   // of its first row
	header bool  // its first row is the header
	last   bool  // its last call comes first
}

// chunks cuts the file into pieces and hands them to yield, in order, until that returns false.
func (s *Source) chunks(yield func(chunk) bool) error {
	buf, have, line := make([]byte, chunkSize), 0, 1+s.skipped
	header, skipping, eof := s.header, false, false
	pos := s.bytes.Load()
	for {
		for have < len(buf) && !eof {
			n, err := s.in.Read(buf[have:])
			have += n
			s.bytes.Add(int64(n))
			if err == io.EOF {
				eof = true
			} else if err != nil {
				return fmt.Errorf("%s cannot be read on: %w", s.Name, plainReadError(err))
			}
		}
		if have == 0 {
			return nil
		}
		if skipping { // the rest of a line that is too long
			at := bytes.IndexByte(buf[:have], '\n')
			if at < 0 {
				pos += int64(have)
				have = 0
				continue
			}
			pos += int64(at + 1)
			have = copy(buf, buf[at+1:have])
			skipping = false
			line++
			continue
		}
		text := string(buf[:have])
		end, cut := s.wholeRows(text, eof)
		if end > 0 {
			if !yield(chunk{source: s, text: text[:end], at: pos, line: line, header: header}) {
				return nil
			}
			header, skipping = false, cut && !eof
			line += strings.Count(text[:end], "\n")
		}
		pos += int64(end)
		have = copy(buf, buf[end:have])
	}
}

// backwards is chunks from the last to the first. It looks for where they begin, and reads the file a second time.
func (s *Source) backwards(yield func(chunk) bool) error {
	type place struct {
		chunk
		size int
	}
	var index []place
	err := s.chunks(func(c chunk) bool {
		size := len(c.text)
		c.text, c.last = "", true
		index = append(index, place{c, size})
		return true
	})
	if err != nil {
		return err
	}
	s.bytes.Store(0)
	buf := make([]byte, chunkSize)
	for _, p := range slices.Backward(index) {
		if _, err = s.file.Seek(s.from+p.at, io.SeekStart); err == nil {
			_, err = io.ReadFull(s.file, buf[:p.size])
		}
		if err != nil {
			return fmt.Errorf("%s cannot be read again: %w", s.Name, plainReadError(err))
		}
		s.bytes.Add(int64(p.size))
		if p.text = string(buf[:p.size]); !yield(p.chunk) {
			break
		}
	}
	return nil
}

// wholeRows is the length of the rows at the beginning of a text that are whole. cut is set when the last one
// is not, because it is too long to wait for its end.
func (s *Source) wholeRows(text string, eof bool) (end int, cut bool) {
	if eof {
		return len(text), false
	}
	if s.comma == 0 {
		if at := strings.LastIndexByte(text, '\n'); at >= 0 && len(text)-at <= maxRow {
			return at + 1, false
		}
	}
	r := rows{writing: s.writing}
	for end < len(text) {
		next, open, fault := r.scan(text, end)
		if open {
			return end, false
		}
		end = next
		cut = fault != "" && text[end-1] != '\n'
	}
	return end, cut
}

// wide reports whether a row has as many columns as the first one. One that has fewer or more may be read wrongly: a
// name with quotes in it may have swallowed the number. Empty columns at the end do no harm, and Asterisk may
// have been told to write more or fewer of them meanwhile.
func (s *Source) wide(row []string) bool {
	if s.comma == 0 || len(row) == s.width {
		return true
	}
	n := len(row)
	for n > s.width && strings.TrimSpace(row[n-1]) == "" {
		n--
	}
	return n == s.width || s.layout != nil && s.layout.shape != nil && s.layout.shape.fits(row) && len(row) >= s.layout.need
}

// plainReadError takes the name of the file out of an error, where it stands already.
func plainReadError(err error) error {
	var path interface{ Unwrap() error }
	if errors.As(err, &path) && path.Unwrap() != nil {
		return path.Unwrap()
	}
	return err
}
