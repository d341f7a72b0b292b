package replay

import (
	"fmt"
	"strings"
)

// Fault is a row that could not be read.
type Fault struct {
	File string
	Line int    // from 1
	Text string // what is wrong with it
}

// reading is what came of a chunk.
type reading struct {
	calls   []Call
	faults  []Fault // the first few
	bad     int     // all
	skipped int     // calls of other contexts
}

// maxFaults is how many rows that cannot be read are named.
const maxFaults = 5

func (r *reading) fault(c *chunk, line int, text string) {
	if r.bad++; len(r.faults) < maxFaults {
		r.faults = append(r.faults, Fault{c.source.Name, line, text})
	}
}

// read makes calls of the rows of a chunk. The texts of the calls are parts of the chunk's.
func (c *chunk) read(into *reading) {
	into.calls, into.faults, into.bad, into.skipped = into.calls[:0], into.faults[:0], 0, 0
	r, line, header := rows{comma: c.source.comma}, c.line, c.header
	for pos := 0; pos < len(c.text); {
		next, _, fault := r.scan(c.text, pos)
		if fault == "" {
			switch {
			case empty(r.fields):
			case header:
				header = false
			case !c.source.wide(r.fields):
				fault = fmt.Sprintf("has %d columns where the first row has %d", len(r.fields), c.source.width)
				next = lineEnd(c.text, pos) // a stray quote may have swallowed the lines behind: they get a try of their own
			default:
				fault = c.row(r.fields, line, into)
			}
		}
		if fault != "" {
			into.fault(c, line, fault)
		}
		line += strings.Count(c.text[pos:next], "\n")
		pos = next
	}
}

func empty(fields []string) bool { return len(fields) == 1 && strings.TrimSpace(fields[0]) == "" }

// row makes a call of one row.
func (c *chunk) row(fields []string, line int, into *reading) (fault string) {
	var call Call
	skip := false
	switch s := c.source; {
	case s.layout != nil:
		call, skip, fault = s.layout.read(fields, s.zone, s.contexts)
	case s.journal != nil:
		r, err := s.journal.Record(fields)
		if err != nil {
			return err.Error()
		}
		call, fault = fromRecord(&r)
	default:
		call, fault = fromJSON(fields[0])
	}
	switch {
	case fault != "":
	case skip:
		into.skipped++
	default:
		call.Line, call.Facts.Time = line, call.Facts.Time.In(c.source.zone)
		into.calls = append(into.calls, call)
	}
	return fault
}
