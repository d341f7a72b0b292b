package replay

import "strings"

// Bounds of one row. A call detail record has hundreds of bytes, a journal record with all its texts at their
// longest about 20 KB.
const (
	maxRow      = 32 << 10 // bytes
	maxRowLines = 64       // lines of text, where quotes hold line breaks
)

// What is wrong with a row that cannot even be cut into fields.
const (
	faultLong   = "is longer than 32 KB"
	faultQuotes = "has a quote that is not closed"
)

// rows cuts a text into rows, and rows into fields.
//
// It is lenient where call detail records are: FreeSWITCH writes names between quotes without doubling the
// quotes within (""Li" Wei",), and a space before some quotes (mod_cdr_csv, default template). So a quote ends
// a field only where a separator or the line's end follows; a doubled one is one quote; any other stands
// for itself. All that encoding/csv writes reads the same here.
type rows struct {
	writing
	fields []string
}

// writing is how a file writes its rows.
type writing struct {
	comma byte // between fields; 0: a line is one field
	plain bool // quotes are but characters, as where mysql -B or psql -A wrote the file
	sql   bool // a row may be an INSERT statement, as FreeSWITCH's template "sql" writes
}

// sqlLead is what rows of FreeSWITCH's template "sql" begin with, and sqlEnd what they end with.
const (
	sqlLead = "INSERT INTO cdr VALUES ("
	sqlEnd  = ");"
)

// scan reads the row that starts at pos into fields and says where the next one starts. open is set when the
// text ends before a line break does; then the row is whole only if nothing follows the text. A row with a
// fault ends with its first line, so that a stray quote costs one row and not all behind it.
func (r *rows) scan(text string, pos int) (next int, open bool, fault string) {
	r.fields = r.fields[:0]
	limit := min(len(text), pos+maxRow)
	begin := pos
	if r.sql && strings.HasPrefix(text[pos:limit], sqlLead) {
		begin += len(sqlLead)
	}
	for at := begin; ; at++ {
		start := at
		for at < limit && text[at] == ' ' {
			at++
		}
		if r.comma != 0 && !r.plain && at < limit && text[at] == '"' {
			field, end, ok := r.quoted(text[:limit], at+1)
			if !ok {
				return lineEnd(text, pos), limit == len(text), faultQuotes
			}
			r.fields, at = append(r.fields, field), end
		} else {
			for at < limit && text[at] != '\n' && (text[at] != r.comma || r.comma == 0) {
				at++
			}
			r.fields = append(r.fields, text[start:at])
		}
		switch {
		case at < limit && text[at] == '\n':
			r.trimCR()
			return at + 1, false, ""
		case at < limit: // a separator
		case limit < len(text):
			return lineEnd(text, pos), false, faultLong
		default:
			r.trimCR()
			return at, true, ""
		}
	}
}

// isPlain reports whether a text has fields such as "Li Wei" <13800138000>, with nothing around: whoever wrote it puts no
// quotes around fields.
func isPlain(text string, comma byte) bool {
	for line := range strings.Lines(text) {
		for field := range strings.SplitSeq(strings.TrimRight(line, "\r\n"), string(comma)) {
			if len(field) > 2 && field[0] == '"' && field[1] != '"' && strings.HasSuffix(field, ">") {
				return true
			}
		}
	}
	return false
}

// quoted reads a field behind its first quote. end is where a separator, a line break or the end of the text
// follows the field.
func (r *rows) quoted(text string, from int) (field string, end int, ok bool) {
	doubled, lines := false, 0
	for at := from; lines <= maxRowLines; {
		quote := strings.IndexByte(text[at:], '"')
		if quote < 0 {
			break
		}
		quote += at
		if quote+1 < len(text) && text[quote+1] == '"' {
			lines += strings.Count(text[at:quote], "\n")
			doubled = true
			at = quote + 2
			continue
		}
		if end, ok := r.closes(text, quote+1); ok {
			field = text[from:quote]
			if len(field) > maxRowLines && strings.Count(field, "\n") > maxRowLines { // a shorter one cannot
				break
			}
			if doubled {
				field = strings.ReplaceAll(field, `""`, `"`)
			}
			return field, end, true
		}
		lines += strings.Count(text[at:quote], "\n")
		at = quote + 1
	}
	return "", 0, false
}

// closes reports whether what follows a quote ends the field, and where it ends.
func (r *rows) closes(text string, at int) (end int, ok bool) {
	for at < len(text) && text[at] == ' ' {
		at++
	}
	if r.sql && strings.HasPrefix(text[at:], sqlEnd) {
		at += len(sqlEnd)
	}
	if at+1 < len(text) && text[at] == '\r' && text[at+1] == '\n' {
		at++
	}
	return at, at == len(text) || text[at] == r.comma || text[at] == '\n' || text[at] == '\r' && at+1 == len(text)
}

// trimCR takes the carriage return of a line end off the last field.
func (r *rows) trimCR() {
	last := &r.fields[len(r.fields)-1]
	*last = strings.TrimSuffix(*last, "\r")
}

// lineEnd is where the line after the one at pos starts, the end of the text if there is none.
func lineEnd(text string, pos int) int {
	if at := strings.IndexByte(text[pos:], '\n'); at >= 0 {
		return pos + at + 1
	}
	return len(text)
}
