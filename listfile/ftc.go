package listfile

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"
	"time"

	"ringfence/textfile"
)

// ftcNumber is the column of the number, as it is compared.
const ftcNumber = "companyphonenumber"

// complaint is one row of the FTC's file.
type complaint struct {
	at   int64 // when it was made, seconds since 1970
	hash uint64
}

// complaints are those about one number.
type complaints struct {
	line int // of the first
	all  []complaint
}

// maxComplaints bounds a file: a year of the FTC's has some three million.
const maxComplaints = 20_000_000

// ftcTimes are the ways that dates are written in the file.
var ftcTimes = []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02", "01/02/2006 15:04:05", "1/2/2006 15:04", "1/2/2006"}

// readFTC counts the complaints about each number. A row that is there twice is one complaint. A number becomes an
// entry if so many as the threshold were made within the window that ends with the newest complaint of the file.
func readFTC(in io.Reader, o Options, yield func(Line) error) error {
	if o.Threshold <= 0 {
		o.Threshold = DefaultThreshold
	}
	if o.Window <= 0 {
		o.Window = DefaultWindow
	}
	t, err := newFTCTable(in)
	if err != nil {
		return err
	}
	seed := maphash.MakeSeed()
	numbers := map[string]*complaints{}
	var order []string
	newest, total := int64(0), 0
	for {
		row, err := t.rows.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if row.Fault == nil && strings.TrimSpace(row.Text) == "" {
			continue
		}
		var number string
		var at int64
		fault := row.Fault
		if fault == nil {
			number, at, fault = t.complaint(row.Cells)
		}
		if fault != nil {
			if err := yield(Line{No: row.Line, Number: strings.Clone(number), Fault: fault, SaysReason: true}); err != nil {
				return err
			}
			continue
		}
		if number == "" {
			continue // many complain about callers without a number
		}
		if total++; total > maxComplaints {
			return fmt.Errorf("it has more than %d complaints: import it in parts", maxComplaints)
		}
		var h maphash.Hash
		h.SetSeed(seed)
		for _, f := range row.Cells {
			h.WriteString(f)
			h.WriteByte(0)
		}
		of := numbers[number]
		if of == nil {
			number = strings.Clone(number)
			of = &complaints{line: row.Line}
			numbers[number] = of
			order = append(order, number)
		}
		of.all = append(of.all, complaint{at, h.Sum64()})
		newest = max(newest, at)
	}
	oldest := newest - int64(o.Window/time.Second)
	for _, number := range order {
		of := numbers[number]
		n, last := of.within(oldest)
		if n < o.Threshold {
			continue
		}
		reason := fmt.Sprintf("%d complaints to the FTC, the last on %s", n, time.Unix(last, 0).UTC().Format("2006-01-02"))
		if err := yield(Line{No: of.line, Number: number, Reason: reason, SaysReason: true}); err != nil {
			return err
		}
	}
	return nil
}

// ftcTable is where what counts stands in the file.
type ftcTable struct {
	rows         *textfile.Rows
	number, made int // columns
}

func newFTCTable(in io.Reader) (*ftcTable, error) {
	t := &ftcTable{rows: textfile.NewRows(in, ','), number: -1, made: -1}
	header, err := t.rows.Next()
	switch {
	case err == io.EOF:
		return nil, errors.New("the file is empty: its first line should name the columns")
	case err != nil:
		return nil, err
	}
	for i, name := range header.Cells {
		switch folded(name) {
		case ftcNumber:
			t.number = i
		case "createddate":
			t.made = i
		}
	}
	switch {
	case t.number < 0:
		return nil, errors.New("its first line names no column Company_Phone_Number")
	case t.made < 0:
		return nil, errors.New("its first line names no column Created_Date")
	}
	return t, nil
}

// complaint is the number of a row, as E.164, and when the complaint was made. Both are nothing where no number is given.
func (t *ftcTable) complaint(cells []string) (number string, at int64, fault error) {
	number = cell(cells, t.number)
	if number == "" {
		return "", 0, nil
	}
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		if strings.ContainsRune(" -().+", r) {
			return -1
		}
		return 'x'
	}, number)
	switch {
	case strings.Contains(digits, "x"):
		return number, 0, errors.New("it is not a telephone number")
	case len(digits) == 10:
		digits = "+1" + digits
	case len(digits) == 11 && digits[0] == '1':
		digits = "+" + digits
	default:
		return number, 0, fmt.Errorf("%d digits are no number of the USA", len(digits))
	}
	text := cell(cells, t.made)
	for _, layout := range ftcTimes {
		if c, err := time.Parse(layout, text); err == nil {
			return digits, c.Unix(), nil
		}
	}
	return number, 0, fmt.Errorf("Created_Date %.40q is no date such as 2026-11-24 08:00:00", text)
}

// within counts the different complaints since oldest.
func (c *complaints) within(oldest int64) (n int, last int64) {
	slices.SortFunc(c.all, func(a, b complaint) int {
		if a.hash != b.hash {
			if a.hash < b.hash {
				return -1
			}
			return 1
		}
		return int(a.at - b.at)
	})
	for i, x := range c.all {
		if x.at < oldest || i > 0 && x == c.all[i-1] {
			continue
		}
		n++
		last = max(last, x.at)
	}
	return n, last
}

func cell(cells []string, at int) string {
	if at < len(cells) {
		return strings.TrimSpace(cells[at])
	}
	return ""
}
