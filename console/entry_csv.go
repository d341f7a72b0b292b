package console

import (
	"strconv"
	"time"
)

// entryColumns are the columns of a list as CSV. An import reads them by their names.
const entryColumns = "list,number,reason,source,who,from,added,expires,hits,last_hit"

// AppendEntryHeader appends the first line of a list as CSV.
func AppendEntryHeader(dst []byte) []byte { return append(append(dst, entryColumns...), '\n') }

// AppendCSV appends the entry as one line of CSV, in which no cell begins a formula; see Record.AppendCSV.
func (e *ListEntry) AppendCSV(dst []byte) []byte {
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	for i, text := range [...]string{
		e.List, e.Number, e.Reason, e.Source, e.Who, e.From, stamp(e.Added), stamp(e.Expires), strconv.FormatUint(e.Hits, 10), stamp(e.LastHit),
	} {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendCell(dst, text)
	}
	return append(dst, '\n')
}
