package replay

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
)

// survey is what the times of a file show of how they are written, where a single one does not tell.
type survey struct {
	rows     int
	question seen // a date that can be read both ways
	day      seen // one that has the day first
	month    seen // one that has the month first
	days     int  // times that may be days of a spreadsheet
	parts    bool // some of these have a time of day
}

// seen is the first row that shows something.
type seen struct {
	line int
	text string
}

func (s *seen) note(line int, text string) {
	if s.line == 0 {
		*s = seen{line, strings.Clone(text)}
	}
}

// see takes the time of a row.
func (v *survey) see(c *clock, line int, text string) {
	if text == "" {
		return
	}
	v.rows++
	if isSerial(text, c.comma) {
		v.days++
		_, fraction, _ := cutFraction(text, c.comma)
		v.parts = v.parts || strings.Trim(fraction, "0") != ""
		return
	}
	if isNumber(text, c.comma) {
		return
	}
	switch _, shows, _ := c.written(text); shows {
	case orderDay:
		v.day.note(line, text)
	case orderMonth:
		v.month.note(line, text)
	case orderEither:
		v.question.note(line, text)
	}
}

// open reports whether what was seen so far leaves a question that more rows may answer.
func (v *survey) open() bool { return v.question.line+v.day.line+v.month.line+v.days > 0 }

// decide has a clock read the times as all rows show, and says so to people. The error asks for what no row shows.
func (v *survey) decide(c *clock) (says string, err error) {
	switch {
	case v.day.line > 0 && v.month.line > 0:
		return "", fmt.Errorf("the times of the lines %d (%.24q) and %d (%.24q) have day and month in different places: have the file written with one form", v.day.line, v.day.text, v.month.line, v.month.text)
	case v.day.line > 0:
		c.order = orderDay
		return fmt.Sprintf(", dates with the day first (line %d shows it)", v.day.line), nil
	case v.month.line > 0:
		c.order = orderMonth
		return fmt.Sprintf(", dates with the month first (line %d shows it)", v.month.line), nil
	case v.question.line > 0:
		return "", fmt.Errorf("line %d: %.24q: no row shows whether the day or the month comes first: say so with --time-format '%s' or '%s'",
			v.question.line, v.question.text, formatOf(v.question.text, "%d", "%m"), formatOf(v.question.text, "%m", "%d"))
	case v.days > 0 && v.days == v.rows && v.parts:
		c.serial = true
		return ", times as a spreadsheet's days", nil
	}
	return "", nil
}

// formatOf is the format of strftime for a text such as 2/10/2026 10:41 PM, with these two parts first.
func formatOf(text, first, second string) string {
	s := scanner{text: text}
	s.digits(2)
	between := string(s.take("/-"))
	s.digits(2)
	s.take("/-")
	s.digits(4)
	format := first + between + second + between + "%Y"
	lead := len(s.text) - len(strings.TrimLeft(s.text, " ,T"))
	format += s.text[:lead]
	s.text = s.text[lead:]
	hour := "%H"
	lower := strings.ToLower(s.text)
	half := strings.IndexAny(lower, "ap")
	if half > 0 {
		hour = "%I"
	}
	if format += hour + ":%M"; strings.Count(s.text, ":") > 1 {
		format += ":%S"
	}
	if half > 0 {
		format += strings.Repeat(" ", strings.Count(s.text[half-1:half], " ")) + "%p"
	}
	return format
}

// contradicted reports whether a date has day and month in another place than all that came before: then those may
// have been read wrongly.
func (c *clock) contradicted(text string) bool {
	if c.order == orderUnknown || c.format != "" || isNumber(text, c.comma) {
		return false
	}
	_, shows, _ := c.written(text)
	return shows == orderDay && c.order == orderMonth || shows == orderMonth && c.order == orderDay
}

// survey looks at the times: at those of the beginning, and at those of the whole file if these leave a question and it
// can be read twice.
func (s *Source) survey(first [][]string) error {
	var v survey
	for i, row := range first {
		if len(row) >= s.layout.need && !(s.header && i == 0) {
			v.see(s.layout.clock, 1+s.skipped+i, s.layout.when(row))
		}
	}
	if !v.open() {
		return nil
	}
	if s.file != nil {
		v = survey{}
		if err := s.all(&v); err != nil {
			return err
		}
	}
	says, err := v.decide(s.layout.clock)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	s.Format += says
	return nil
}

// all looks at all rows of a file, and begins to read it anew.
func (s *Source) all(v *survey) error {
	again := func(with *Source) error {
		_, err := s.file.Seek(s.from, io.SeekStart)
		if err == nil {
			err = with.begin(s.file)
		}
		return err
	}
	whole := &Source{Name: s.Name, writing: s.writing, header: s.header, width: s.width, layout: s.layout}
	err := again(whole)
	if err == nil {
		err = whole.chunks(func(c chunk) bool {
			c.rows(func(row []string, line int, fault string) {
				if fault == "" {
					v.see(s.layout.clock, line, s.layout.when(row))
				}
			})
			return v.day.line == 0 || v.month.line == 0
		})
	}
	if err == nil {
		err = again(s)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be read twice, to find out how its times are written (say so with --time-format): %w", s.Name, plainReadError(err))
	}
	return nil
}

// newestFirst reports whether rows stand so, by the most of them.
func (l *layout) newestFirst(rows [][]string) bool {
	var first, before time.Time
	up, down := 0, 0
	for _, row := range rows {
		if len(row) < l.need {
			continue
		}
		at, ok := l.clock.read(l.when(row))
		if !ok {
			continue
		}
		switch {
		case before.IsZero():
			first = at
		case at.After(before):
			up++
		case at.Before(before):
			down++
		}
		before = at
	}
	return down > up && before.Before(first)
}

// begin starts to read the text of a file.
func (s *Source) begin(in io.Reader) error {
	var mark int
	var err error
	if s.in, s.decoded, mark, err = decodeText(bufio.NewReaderSize(in, peek)); err != nil {
		return err
	}
	if s.bytes.Store(int64(mark)); s.decoded {
		s.Size = 0 // what is read are other bytes than those of the file
	}
	s.skipped = 0
	if line, err := s.in.Peek(len("sep=;\r\n")); err == nil && strings.HasPrefix(strings.ToLower(string(line)), "sep=") { // Excel's word on the separator
		skip := len("sep=;\n")
		if line[5] == '\r' {
			skip++
		}
		n, _ := s.in.Discard(skip)
		s.bytes.Add(int64(n))
		s.skipped = 1
	}
	return nil
}
