package textfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of a row. A quoted cell may go over several lines; a quote that nobody closed must not swallow a file.
const (
	MaxLine  = bufferSize // bytes of a line
	MaxLines = 64         // lines of a row
)

// Row is a line of a file, or the lines over which quoted cells go.
type Row struct {
	Line  int      // of the file, from 1: where the row begins
	Text  string   // the line as it is, without its end
	Cells []string // without the quotes around them; used again for the next row
	Fault error    // it cannot be cut into cells, or is too long; there are none then
}

// Rows cuts a text into rows. A row with a fault ends with its first line, so that a stray quote costs one row and not those behind
// it.
type Rows struct {
	Comma byte // between cells; 0: a line is one cell, with its quotes

	in    *bufio.Reader
	line  int
	again []ahead
	cells []string
	stray bool // the last cut met a quote that closes nothing
}

// ahead is a line that was read ahead, or what is wrong with it.
type ahead struct {
	text  string
	fault error
}

// NewRows cuts a text whose lines end with \n into rows.
func NewRows(in io.Reader, comma byte) *Rows {
	return &Rows{Comma: comma, in: bufio.NewReaderSize(in, MaxLine)}
}

// Next gives the next row; io.EOF is behind the last.
func (r *Rows) Next() (Row, error) {
	text, err := r.next()
	row := Row{Line: r.line, Text: text}
	switch {
	case errors.Is(err, errLong):
		row.Fault = err
		return row, nil
	case err != nil:
		return row, err
	case r.Comma == 0:
		r.cells = append(r.cells[:0], text)
	case !r.cut(text, false):
		if err := r.cutLines(text); err != nil {
			if !errors.Is(err, errQuote) {
				return row, err
			}
			row.Fault = err
			return row, nil
		}
	}
	row.Cells = r.cells
	return row, nil
}

var (
	errLong  = fmt.Errorf("the line has more than %d bytes", MaxLine)
	errQuote = errors.New(`it has a quote that is not closed: take it out, or write "" for a quote within a cell`)
)

// next is the next line.
func (r *Rows) next() (string, error) {
	if len(r.again) > 0 {
		line := r.again[0]
		r.again = r.again[1:]
		r.line++
		return line.text, line.fault
	}
	line, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.in.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return "", err
		}
		r.line++
		return "", errLong
	}
	if err != nil && (err != io.EOF || len(line) == 0) {
		return "", err
	}
	r.line++
	return strings.TrimSuffix(string(line), "\n"), nil
}

// cutLines cuts a row whose first line ends within quotes. If the quotes are not closed as they should be, the lines behind the
// first are given back.
func (r *Rows) cutLines(text string) error {
	var more []ahead
	var whole strings.Builder
	whole.WriteString(text)
	for len(more) < MaxLines-1 && whole.Len() < MaxLine {
		line, err := r.next()
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, errLong) {
			return err
		}
		more = append(more, ahead{line, err})
		if err != nil {
			break
		}
		whole.WriteByte('\n')
		whole.WriteString(line)
		if strings.IndexByte(line, '"') < 0 {
			continue // nothing is closed by it
		}
		if r.cut(whole.String(), true) {
			return nil
		}
		if r.stray {
			break // no line behind it makes it right
		}
	}
	r.again = append(more, r.again...)
	r.line -= len(more)
	return errQuote
}

// cut cuts a text into cells. It reports whether all quotes are closed. Within one line a quote closes a cell where a comma
// or the end follows, and any other stands for itself, as some switches write names; over several lines they must be
// as they should.
func (r *Rows) cut(text string, strict bool) bool {
	r.cells, r.stray = r.cells[:0], false
	for at := 0; ; at++ {
		for at < len(text) && text[at] == ' ' {
			at++
		}
		if at < len(text) && text[at] == '"' {
			cell, end, ok := r.quoted(text, at+1, strict)
			if !ok {
				return false
			}
			r.cells, at = append(r.cells, cell), end
		} else {
			end := strings.IndexByte(text[at:], r.Comma)
			if end < 0 {
				end = len(text) - at
			}
			r.cells, at = append(r.cells, text[at:at+end]), at+end
		}
		if at >= len(text) {
			return true
		}
	}
}

// quoted reads a cell behind its first quote, and says where what follows it begins.
func (r *Rows) quoted(text string, from int, strict bool) (cell string, end int, ok bool) {
	for at := from; ; {
		quote := strings.IndexByte(text[at:], '"')
		if quote < 0 {
			return "", 0, false
		}
		if at += quote; at+1 < len(text) && text[at+1] == '"' {
			at += 2
			continue
		}
		end := at + 1
		for end < len(text) && text[end] == ' ' {
			end++
		}
		if end == len(text) || text[end] == r.Comma {
			return strings.ReplaceAll(text[from:at], `""`, `"`), end, true
		}
		if strict {
			r.stray = true
			return "", 0, false
		}
		at++
	}
}
