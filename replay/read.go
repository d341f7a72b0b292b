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
	calls  []Call
	faults []Fault       // the first few
	ends   *Fault        // one that puts all rows in doubt: it ends the run
	bad    int           // all faults
	rows   int           // all rows, whatever they are
	kinds  [kinds]uint64 // of rows that were read
}

// maxFaults is how many rows that cannot be read are named.
const maxFaults = 5

func (r *reading) fault(c *chunk, line int, text string, ends bool) {
	f := Fault{c.source.Name, line, text}
	if r.bad++; len(r.faults) < maxFaults {
		r.faults = append(r.faults, f)
	}
	if ends && r.ends == nil {
		r.ends = &f
	}
}

// read makes calls of the rows of a chunk. The texts of the calls are parts of the chunk's.
func (c *chunk) read(into *reading) {
	*into = reading{calls: into.calls[:0], faults: into.faults[:0]}
	c.rows(func(row []string, line int, fault string) {
		into.rows++
		ends := false
		if fault == "" {
			fault, ends = c.row(row, line, into)
		}
		if fault != "" {
			into.fault(c, line, fault, ends)
		}
	})
}

// rows hands the rows of a chunk to yield, all but empty ones and the header. fault is what is wrong with a row that
// cannot be cut into its columns.
func (c *chunk) rows(yield func(row []string, line int, fault string)) {
	r, line, header := rows{writing: c.source.writing}, c.line, c.header
	for pos := 0; pos < len(c.text); {
		next, _, fault := r.scan(c.text, pos)
		switch {
		case fault == "" && empty(r.fields):
		case fault == "" && header:
			header = false
		case fault == "" && !c.source.wide(r.fields):
			fault = fmt.Sprintf("has %d columns where the first row has %d", len(r.fields), c.source.width)
			next = lineEnd(c.text, pos) // a stray quote may have swallowed the lines behind: they get a try of their own
			fallthrough
		default:
			yield(r.fields, line, fault)
		}
		line += strings.Count(c.text[pos:next], "\n")
		pos = next
	}
}

func empty(fields []string) bool { return len(fields) == 1 && strings.TrimSpace(fields[0]) == "" }

// row makes a call of one row. ends is set for a fault that puts all rows in doubt.
func (c *chunk) row(fields []string, line int, into *reading) (fault string, ends bool) {
	var call Call
	what := kindCall
	switch s := c.source; {
	case s.layout != nil:
		call, what, fault, ends = s.layout.read(fields, s.contexts)
	case s.journal != nil:
		r, err := s.journal.Record(fields)
		if err != nil {
			return err.Error(), false
		}
		call, fault = fromRecord(&r)
		if at := s.label - 1; at >= 0 && at < len(fields) {
			call.label = labelOf(fields[at])
		}
	default:
		call, fault = fromJSON(fields[0])
	}
	if fault != "" {
		return fault, ends || fault == faultPrivate
	}
	if call.trial {
		what = kindTest
	}
	if into.kinds[what]++; what == kindCall {
		call.Line, call.Facts.Time = line, call.Facts.Time.In(c.source.zone)
		into.calls = append(into.calls, call)
	}
	return "", false
}
