package desk

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"ringfence/console"
	"ringfence/listfile"
	"ringfence/policy"
)

// lineFirst is how many of listfile.LineColumns come before those that are texts.
const lineFirst = 2

// rowLine is what a row of a file says of a line. It lasts until the next row.
type rowLine struct {
	name, numbers string
	customer      string   // of a row that cannot be read: whose line it is, if that can be told
	cells         []string // by listfile.LineColumns, from lineFirst on
}

// lineRows reads the rows of one kind of file.
type lineRows struct {
	format  string
	columns []listfile.Column
	// line is what a row says. skip: it is no line, which is no fault.
	line func(r *listfile.TableRow, m *lineMaker) (l rowLine, skip bool, err error)
	// says reports whether the file says the i-th text of lines at all; has is which columns it has.
	says func(i int, has []bool) bool
}

// rowsOf gives what reads the rows of a file.
func rowsOf(q *console.LineImport) (*lineRows, error) {
	switch q.Format {
	case "":
		return &lineRows{format: "table", columns: listfile.LineColumns, line: tableLine, says: func(i int, has []bool) bool { return has[i+lineFirst] }}, nil
	case console.FormatFusionPBX:
		return fusionRows(), nil
	}
	return nil, console.Bad(fmt.Sprintf("nothing was changed: there is no format %.40q: write %s, or none for a table", q.Format, console.FormatFusionPBX))
}

func tableLine(r *listfile.TableRow, _ *lineMaker) (rowLine, bool, error) {
	l := rowLine{name: strings.TrimSpace(r.Cells[0]), numbers: r.Cells[1], cells: r.Cells[lineFirst:]}
	for i, c := range l.cells {
		l.cells[i] = plainCell(c)
	}
	if l.name == "" {
		return l, false, errors.New("its cell for the name is empty: write one, or take the row out")
	}
	return l, false, nil
}

// plainCell is a cell as a text of a line may have it. One in an encoding that could not be told stays as it is: it is refused, where strings.Map
// would have it pass with signs that stand for what is lost.
func plainCell(c string) string {
	if !utf8.ValidString(c) {
		return c
	}
	return strings.TrimSpace(strings.Map(plainText, c))
}

// The places of listfile.FusionPBXColumns.
const (
	fusionNumber = iota
	fusionDomain
	fusionUUID
	fusionType
	fusionEnabled
	fusionPrefix
	fusionArea
	fusionNote
	fusionContext
)

// fusionRows reads the destinations of FusionPBX: each inbound one that is on is a line of its own, of the customer whose domain it is.
func fusionRows() *lineRows {
	cells := make([]string, len(listfile.LineColumns)-lineFirst)
	return &lineRows{
		format: console.FormatFusionPBX, columns: listfile.FusionPBXColumns,
		says: func(i int, has []bool) bool {
			return listfile.LineColumns[i+lineFirst].Name == "customer" || listfile.LineColumns[i+lineFirst].Name == "note" && has[fusionNote]
		},
		line: func(r *listfile.TableRow, m *lineMaker) (rowLine, bool, error) {
			from := r.Cells
			l := rowLine{numbers: fusionNumberOf(from), cells: cells}
			clear(cells)
			if t := strings.ToLower(from[fusionType]); t != "" && t != "inbound" || r.Has[fusionEnabled] && !isOn(from[fusionEnabled]) {
				return l, true, nil
			}
			domain := strings.ToLower(strings.TrimSpace(from[fusionDomain]))
			if context := strings.ToLower(strings.TrimSpace(from[fusionContext])); domain == "" && strings.Contains(context, ".") {
				domain = context // of old versions
			}
			if domain == "" {
				domain = strings.ToLower(strings.TrimSpace(from[fusionUUID]))
			}
			l.name = cmp.Or(from[fusionNumber], from[fusionDomain], "a destination") // until it has the name of a line
			l.customer = domain
			p, err := entryOf(m.plan, l.numbers)
			if err != nil {
				return l, false, fmt.Errorf("%.64q: %w", l.numbers, err)
			}
			if !p.IsExact() {
				return l, false, fmt.Errorf("%.64q is no one number: give such destinations a line by hand (`ringfence line add`)", l.numbers)
			}
			l.name = fusionName(domain, strings.TrimPrefix(p.String(), "+"))
			for i, c := range listfile.LineColumns[lineFirst:] {
				switch c.Name {
				case "customer":
					cells[i] = domain
				case "note":
					cells[i] = plainCell(from[fusionNote])
				}
			}
			return l, false, nil
		},
	}
}

// fusionNumberOf is the whole number of a destination: FusionPBX keeps the country code and the area code apart from the rest, where they are set.
func fusionNumberOf(from []string) string {
	number, prefix := strings.TrimSpace(from[fusionNumber]), strings.TrimLeft(strings.TrimSpace(from[fusionPrefix]), "+0")
	area := strings.TrimSpace(from[fusionArea])
	switch {
	case strings.HasPrefix(number, "+"):
		return number
	case prefix != "" && area == "" && strings.HasPrefix(number, prefix) && len(number) > 10:
		return "+" + number // the country code stands in both
	case prefix != "":
		return "+" + prefix + strings.TrimPrefix(area+number, "0")
	}
	return area + number
}

// isOn reads what databases write for a switch that is on. PHP writes 1 for that, and an empty cell for off.
func isOn(text string) bool {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "t", "1", "yes", "on":
		return true
	}
	return false
}

// fusionName is the name of a line by its domain and number, at most as long as a name may be: of a longer domain its end is a sum of it.
func fusionName(domain, number string) string {
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, domain)
	safe = strings.TrimLeft(safe, "-.")
	name := number
	if safe != "" {
		name = safe + "-" + number
	}
	if policy.BadLineName(name) != "" {
		sum := sha256.Sum256([]byte(domain))
		most := 64 - len(number) - len("-01234567-")
		name = strings.TrimRight(safe[:min(len(safe), most)], "-.") + "-" + hex.EncodeToString(sum[:4]) + "-" + number
	}
	return name
}
