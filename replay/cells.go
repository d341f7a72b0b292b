package replay

import (
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// isNothing reports whether a cell is what databases write for one that holds nothing.
func isNothing(cell string) bool {
	if len(cell) > 6 {
		return false
	}
	switch cell {
	case "", `\N`, "-":
		return true
	}
	switch cell[0] {
	case 'N', 'n', '<', '(', '[':
		return strings.EqualFold(strings.Trim(cell, "<>()[]"), "null")
	}
	return false
}

// spreadsheetNumber takes off a telephone number what a spreadsheet put to it: the .0 of 13800138001.0, which it took for
// a number with a fraction, and ="…" or ', which kept it from doing that. rounded is set for 1.3E+10: the digits behind
// are gone, and nobody can tell who called.
func spreadsheetNumber(cell string) (text string, rounded bool) {
	if strings.Trim(cell, "0123456789") == "" { // as nearly all are
		return cell, false
	}
	last := len(cell) - 1
	if strings.HasPrefix(cell, `="`) && last > 2 && cell[last] == '"' {
		cell = cell[2:last]
	} else if cell[0] == '\'' {
		cell = cell[1:]
	}
	if whole, fraction, ok := cutFraction(cell, true); ok && len(whole) > 2 && fraction != "" && strings.Trim(fraction, "0") == "" && strings.Trim(whole, "0123456789") == "" {
		return whole, false
	}
	return cell, isRounded(cell) || len(cell) > 2 && strings.Trim(cell, "#") == "" // ### is a column too narrow to show it
}

// isRounded reports whether a cell is a number that a spreadsheet has shortened: 1.3E+10, 1,38001E10.
func isRounded(cell string) bool {
	at := strings.IndexAny(cell, "eE")
	if at < 1 || len(cell) > 40 {
		return false
	}
	whole, fraction, _ := cutFraction(cell[:at], true)
	exponent := strings.TrimPrefix(cell[at+1:], "+")
	power, err := strconv.Atoi(exponent)
	return err == nil && len(exponent) <= 2 && power >= 5 && len(whole) == 1 && strings.Trim(whole+fraction, "0123456789") == ""
}

// direction is which way a call went, where a column says so.
type direction uint8

const (
	directionUnknown direction = iota
	directionIn
	directionOut
	directionLocal // both ends are ours
)

func parseDirection(cell string) direction {
	switch strings.ToLower(cell) {
	case "inbound", "in", "incoming":
		return directionIn
	case "outbound", "out", "outgoing":
		return directionOut
	case "local", "internal":
		return directionLocal
	}
	return directionUnknown
}

// plainText is a cell as UTF-8. Spreadsheets of Chinese offices write GBK; what is neither stays as it is, for a caller can
// send any bytes as a name.
func plainText(cell string) string {
	if utf8.ValidString(cell) {
		return cell
	}
	for i := 0; i < len(cell); i++ {
		if cell[i] < utf8.RuneSelf {
			continue
		}
		if i++; cell[i-1] < 0xa1 || cell[i-1] > 0xf7 || i == len(cell) || cell[i] < 0xa1 {
			return cell // none of the characters of GB2312, which names are written with
		}
	}
	if text, err := simplifiedchinese.GBK.NewDecoder().String(cell); err == nil {
		return text
	}
	return cell
}

// unescaped takes the %2B out of what FreeSWITCH writes into XML and JSON.
func unescaped(cell string) string {
	if text, err := url.PathUnescape(cell); err == nil {
		return text
	}
	return cell
}
