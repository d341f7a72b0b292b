package listfile

import (
	"io"
	"regexp"
	"strings"

	"ringfence/textfile"
)

// counted is a line with a count before one number, as `uniq -c` writes it. Which of the two readings is meant, who knows numbers
// decides: 138 00138000 is a number with a blank in it.
var counted = regexp.MustCompile(`^(?:([ \t]+)[1-9][0-9]{0,8}[ \t]+(.+)|[1-9][0-9]{0,8}[ \t]+([^ \t]+))$`)

func readText(in io.Reader, yield func(Line) error) error {
	rows := textfile.NewRows(in, 0)
	for {
		row, err := rows.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		l := Line{No: row.Line, Fault: row.Fault}
		if l.Fault == nil {
			text, _, _ := strings.Cut(row.Text, "#")
			text = strings.TrimRight(text, " \t")
			l.Number = value(text)
			l.Counted, l.Indented = countedIn(text)
			if quoted := strings.TrimPrefix(l.Number, `"`); len(quoted) == len(l.Number)-1 && strings.HasSuffix(quoted, `"`) {
				l.Number = value(strings.TrimSuffix(quoted, `"`))
			}
			if l.Number == "" {
				continue
			}
			l.Fault = faultyText(l.Number)
		}
		if err := yield(l); err != nil {
			return err
		}
	}
}

// countedIn is the number behind a count, if a text could have one, and whether there are blanks before the count.
func countedIn(text string) (number string, indented bool) {
	if !strings.ContainsAny(text, " \t") { // few have any, and the expression takes its time
		return "", false
	}
	m := counted.FindStringSubmatch(text)
	if m == nil {
		return "", false
	}
	return m[2] + m[3], m[1] != ""
}
