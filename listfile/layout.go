package listfile

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"ringfence/textfile"
)

// Columns names what a table is read from: by the header, or by the place from 1. "" is found by the table itself.
type Columns struct{ Number, Reason, Expires string }

func (c Columns) all() [roles]string { return [roles]string{c.Number, c.Reason, c.Expires} }

// ParseColumns reads number=2, reason="Ort" and the like, one or several with blanks or commas between.
func ParseColumns(words []string) (Columns, error) {
	var c Columns
	for _, w := range words {
		name, column, ok := strings.Cut(w, "=")
		column = strings.TrimSpace(column)
		var to *string
		switch folded(name) {
		case "number":
			to = &c.Number
		case "reason":
			to = &c.Reason
		case "expires":
			to = &c.Expires
		}
		switch n, err := strconv.Atoi(column); {
		case !ok || to == nil || column == "":
			return c, fmt.Errorf("%.60q: write number=COLUMN, reason=COLUMN or expires=COLUMN, where COLUMN is a name in the header or a place from 1", w)
		case *to != "":
			return c, fmt.Errorf("%s is named twice: one column each", name)
		case err == nil && (n < 1 || n > maxColumns):
			return c, fmt.Errorf("%s is no column: the first is 1", column)
		}
		*to = column
	}
	return c, nil
}

const (
	maxColumns = 1000
	maxSample  = 200 // rows that are looked at to tell what a table's columns hold
	maxTitle   = 10  // rows before a header
	fewDigits  = 5   // what has less is rather a count than a telephone number
)

// layout says what of a table stands where. -1 is nowhere.
type layout struct {
	comma   byte
	start   int // the line of the header, or one before the first row
	ftc     bool
	numbers []int // columns, each cell of which is a number
	reason  int
	joined  bool // all cells behind the reason are its text: who wrote it did not know of quotes
	expires int
	names   []string // of the columns; none without a header
	counts  []bool   // columns of bare numbers that are no telephone numbers
	guessed bool     // the column of the number was told by what is in it: another number in a row makes it doubtful
	left    []int    // columns with text that nothing is read from
}

// separators are what may stand between cells.
var separators = []byte{'\t', ';', ',', '|'}

// firstLine is what Excel reads before a table: sep=;
var firstLine = regexp.MustCompile(`(?i)^"?sep=(.)"?$`)

// layoutOf finds out how a table is laid out by its beginning, in which whole says whether that is all. It is nil of a text that is
// no table.
func layoutOf(head string, whole bool, o *Options) (*layout, error) {
	if line, rest, _ := strings.Cut(head, "\n"); firstLine.MatchString(strings.TrimSpace(line)) {
		comma := firstLine.FindStringSubmatch(strings.TrimSpace(line))[1][0]
		if strings.HasSuffix(line, "\t") {
			comma = '\t'
		}
		return arrange(sampleOf(rest, comma, 2, whole), comma, 1, o, true)
	}
	// The name of a column tells best; the separator is that which makes most cells of its row.
	var best *sample
	var bestRow int
	for _, comma := range separators {
		s := sampleOf(head, comma, 1, whole)
		if at := s.header(o); at >= 0 && (best == nil || len(s.rows[at].Cells) > len(best.rows[bestRow].Cells)) {
			best, bestRow = s, at
		}
	}
	if best != nil {
		comma := best.comma
		if len(best.rows[bestRow].Cells) == 1 {
			comma = ',' // a table of one column may have quotes around its cells
			best = sampleOf(head, comma, 1, whole)
		}
		return arrange(best, comma, 0, o, true)
	}
	// Else the separator with which most rows have a number and something besides.
	most := 0
	for _, comma := range separators {
		s := sampleOf(head, comma, 1, whole)
		if n := s.tabular(); n > most {
			best, most = s, n
		}
	}
	if best == nil {
		if o.Format != CSV && o.Columns == (Columns{}) {
			return nil, nil
		}
		best = widest(head, whole)
	}
	return arrange(best, best.comma, 0, o, false)
}

// widest is a table by the separator with which most rows have several cells.
func widest(head string, whole bool) *sample {
	best, most := sampleOf(head, ',', 1, whole), 0
	for _, comma := range separators {
		s, n := sampleOf(head, comma, 1, whole), 0
		for i := range s.rows {
			if len(s.rows[i].Cells) > 1 {
				n++
			}
		}
		if n > most {
			best, most = s, n
		}
	}
	return best
}

// sample are the first rows of a table, as they would be with a separator.
type sample struct {
	comma byte
	rows  []textfile.Row
}

func sampleOf(head string, comma byte, line int, whole bool) *sample {
	s := &sample{comma: comma}
	r := textfile.NewRows(strings.NewReader(head), comma)
	for len(s.rows) < maxSample {
		row, err := r.Next()
		if err == io.EOF {
			if !whole && len(s.rows) > 1 && !strings.HasSuffix(head, "\n") {
				s.rows = s.rows[:len(s.rows)-1] // it may go on
			}
			return s
		}
		if row.Line += line - 1; row.Fault != nil {
			continue
		}
		row.Cells = slices.Clone(row.Cells[:min(len(row.Cells), maxColumns)])
		for i := range row.Cells {
			row.Cells[i] = strings.TrimSpace(row.Cells[i])
		}
		if strings.Join(row.Cells, "") != "" {
			s.rows = append(s.rows, row)
		}
	}
	return s
}

// header finds the row that names columns, among the first ones; -1 if there is none. A row that has a number in it is none.
func (s *sample) header(o *Options) int {
	for i := range s.rows[:min(len(s.rows), maxTitle)] {
		cells := s.rows[i].Cells
		if slices.ContainsFunc(cells, func(c string) bool { return isDigits(c) || phoneLike(c) }) {
			return -1
		}
		for _, c := range cells {
			name := folded(c)
			if headers[roleNumber][name] > 0 || name == ftcNumber {
				return i
			}
			for _, want := range o.Columns.all() {
				if want != "" && !isDigits(want) && name != "" && name == folded(want) {
					return i
				}
			}
		}
	}
	return -1
}

// tabular counts the rows with a telephone number and another cell.
func (s *sample) tabular() (n int) {
	for i := range s.rows {
		cells := uncommented(s.rows[i].Cells)
		if len(cells) > 1 && slices.ContainsFunc(cells, phoneLike) {
			n++
		}
	}
	return n
}

// commented reports whether a # in the first cell of a row begins a comment: where that is the number, or the row has none behind it.
func (l *layout) commented(cells []string) bool {
	return !slices.ContainsFunc(l.numbers, func(at int) bool { return at > 0 && at < len(cells) && value(cells[at]) != "" })
}

// uncommented are the cells before a comment, which a # begins: in the first cell, as in a text.
func uncommented(cells []string) []string {
	if len(cells) == 0 {
		return cells
	}
	before, _, found := strings.Cut(cells[0], "#")
	switch {
	case !found:
		return cells
	case strings.TrimSpace(before) == "":
		return nil
	}
	return []string{strings.TrimSpace(before)}
}

// arrange finds what stands in which column of a table.
func arrange(s *sample, comma byte, start int, o *Options, mayName bool) (*layout, error) {
	l := &layout{comma: comma, start: start, reason: -1, expires: -1}
	at := -1
	if mayName {
		at = s.header(o)
	}
	if at >= 0 {
		l.names, l.start = s.rows[at].Cells, s.rows[at].Line
		s.rows = s.rows[at+1:]
	}
	kinds := s.kinds(o)
	if err := l.named(o); err != nil {
		return nil, err
	}
	if len(l.numbers) == 0 {
		at := numberColumn(kinds)
		if at < 0 {
			return nil, fmt.Errorf("no column of it is known to hold numbers: name it with --column number=COLUMN, by its name in the header or its place from 1%s", l.those())
		}
		l.numbers, l.guessed = []int{at}, true
	}
	if len(l.names) == 0 {
		l.unnamed(s, kinds, o)
	}
	l.counts = make([]bool, len(kinds))
	for i, k := range kinds {
		l.counts[i] = k.small > k.filled/2 || k.dates > k.filled/2
	}
	for i, k := range kinds {
		if k.texts > 0 && i != l.reason && i != l.expires && !slices.Contains(l.numbers, i) && !(l.joined && i > l.reason) {
			l.left = append(l.left, i)
		}
	}
	return l, nil
}

// named finds the columns by what the command says, and by the header.
func (l *layout) named(o *Options) error {
	for role, want := range o.Columns.all() {
		if want == "" {
			continue
		}
		at := slices.IndexFunc(l.names, func(n string) bool { return folded(n) == folded(want) })
		if at < 0 {
			n, err := strconv.Atoi(want)
			if err != nil {
				return fmt.Errorf("--column %s=%s: there is no such column%s", roleNames[role], want, l.those())
			}
			if at = n - 1; len(l.names) > 0 && at >= len(l.names) {
				return fmt.Errorf("--column %s=%s: there are %d columns%s", roleNames[role], want, len(l.names), l.those())
			}
		}
		l.take(role, at)
	}
	best := [roles]int{}
	for i, name := range l.names {
		name = folded(name)
		if name == ftcNumber {
			l.ftc = true
		}
		for r := range roles {
			place := headers[r][name]
			switch {
			case place == 0 || o.Columns.all()[r] != "":
			case r == roleNumber && best[r] != 1: // the column "number" alone, or all that hold one
				if best[r] = place; place == 1 {
					l.numbers = nil
				}
				l.numbers = append(l.numbers, i)
			case r != roleNumber && (best[r] == 0 || place < best[r]):
				best[r] = place
				l.take(int(r), i)
			}
		}
	}
	if len(l.numbers) == 0 {
		if at := slices.IndexFunc(l.names, func(n string) bool { return folded(n) == ftcNumber }); at >= 0 {
			l.numbers = []int{at}
		}
	}
	l.joined = l.reason >= 0 && l.reason == len(l.names)-1
	return nil
}

func (l *layout) take(r, at int) {
	switch role(r) {
	case roleNumber:
		l.numbers = []int{at}
	case roleReason:
		l.reason = at
	case roleExpires:
		l.expires = at
	}
}

// unnamed finds the columns of a table without a header that is known, by what is in them.
func (l *layout) unnamed(s *sample, kinds []kind, o *Options) {
	if first := s.rows; len(first) > 1 && l.numbers[0] < len(first[0].Cells) && !strings.ContainsFunc(first[0].Cells[l.numbers[0]], unicode.IsDigit) &&
		len(uncommented(first[0].Cells)) > 0 && first[0].Cells[l.numbers[0]] != "" {
		l.start = first[0].Line // it names columns, in words that are not known
	}
	for i, k := range kinds {
		switch {
		case slices.Contains(l.numbers, i):
		case l.reason < 0 && o.Columns.Reason == "" && k.texts > 0 && k.coming < k.filled:
			l.reason = i
		case l.expires < 0 && o.Columns.Expires == "" && k.filled > 0 && k.coming == k.filled:
			l.expires = i
		}
	}
	l.joined = l.reason > l.numbers[0] && l.comma == ',' && o.Columns == (Columns{}) &&
		!slices.ContainsFunc(kinds[l.reason+1:], func(k kind) bool { return k.texts < k.filled || k.dates > 0 })
}

// those names the columns of a table, for advice.
func (l *layout) those() string {
	if len(l.names) == 0 {
		return ""
	}
	names := slices.Clone(l.names[:min(len(l.names), 20)])
	for i := range names {
		names[i] = fmt.Sprintf("%.30q", names[i])
	}
	return "; there are " + strings.Join(names, ", ")
}

// String says what is read from which column.
func (l *layout) String() string {
	column := func(i int) string {
		if i < len(l.names) && l.names[i] != "" {
			return fmt.Sprintf("“%.40s”", l.names[i])
		}
		return fmt.Sprintf("column %d", i+1)
	}
	of := func(columns []int) string {
		names := make([]string, len(columns))
		for i, c := range columns {
			names[i] = column(c)
		}
		return strings.Join(names, ", ")
	}
	text := "number from " + of(l.numbers)
	if l.reason >= 0 {
		text += ", reason from " + column(l.reason)
	}
	if l.expires >= 0 {
		text += ", expires from " + column(l.expires)
	}
	if len(l.left) > 0 {
		text += "; left out: " + of(l.left[:min(len(l.left), 10)])
	}
	return text
}

// kind counts what a column holds, in a few rows.
type kind struct {
	filled int
	phones int // as a telephone number is written
	small  int // bare numbers with less digits
	texts  int // with letters
	dates  int
	coming int // spans, and dates to come
}

func (s *sample) kinds(o *Options) []kind {
	var all []kind
	for i := range s.rows {
		for c, cell := range uncommented(s.rows[i].Cells) {
			for len(all) <= c {
				all = append(all, kind{})
			}
			if cell = value(cell); cell == "" {
				continue
			}
			k := &all[c]
			k.filled++
			at, span, err := expiry(cell, o)
			switch {
			case err == nil && (span > 0 || !phoneLike(cell)) && !isDigits(cell) && !at.IsZero():
				k.dates++
				if at.After(o.Now) {
					k.coming++
				}
				if span > 0 {
					k.texts++
				}
			case looksDated(cell):
				k.dates++
			case phoneLike(cell):
				k.phones++
			case strings.ContainsFunc(cell, unicode.IsLetter):
				k.texts++
			default:
				k.small++
			}
		}
	}
	return all
}

// numberColumn is the first of the columns that hold most telephone numbers; of a table of short ones only, as extensions are,
// the first of bare numbers. -1 if there is none.
func numberColumn(kinds []kind) int {
	best := -1
	for i, k := range kinds {
		if k.phones > 0 && (best < 0 || k.phones > kinds[best].phones) {
			best = i
		}
	}
	if best >= 0 {
		return best
	}
	return slices.IndexFunc(kinds, func(k kind) bool { return k.small > 0 && k.small == k.filled })
}

// phoneLike reports whether a cell is written as a telephone number, or a pattern of such, with five digits at least.
func phoneLike(cell string) bool {
	cell = strings.TrimPrefix(strings.TrimPrefix(cell, "'"), "=")
	cell = strings.Trim(cell, `"`)
	digits, pattern := 0, strings.HasPrefix(cell, "+")
	for _, r := range cell {
		switch {
		case unicode.IsDigit(r):
			digits++
		case r == '*' || r == '?' || r == '＊' || r == '？':
			pattern = true
		case !strings.ContainsRune("+()-./ \u00a0\u2010\u2011\u2012\u2013", r):
			return false
		}
	}
	return digits >= fewDigits && !looksDated(cell) || pattern && digits > 0
}

// dated is a date, perhaps with a time, as spreadsheets and databases write it.
var dated = regexp.MustCompile(`^([0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{4})([ T].*)?$`)

func looksDated(cell string) bool { return dated.MatchString(cell) }

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// errTwo is said of a row with two numbers.
var errTwo = errors.New("it has two numbers: write each on a line of its own, or say which column has the number, as in --column number=1")
