package number

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// Entry reads what stands for numbers in a list, be it typed, sent or in a file: a Pattern, and besides it what spreadsheets make
// of numbers, ="030255571", '030255571 and 302555710.0. What has lost digits, holds two numbers, is a pattern of a dialplan
// or begins as no number of the country does is refused. The error is advice: what is wrong and what to write instead.
//
// A caller's text is never read so.
func (p *Plan) Entry(text string) (Pattern, error) {
	text = trimInvisible(text)
	if w, ok := plainDigits(text); ok && len(w.digits) <= maxPatternDigits {
		return p.Pattern(text)
	}
	if len(text) > MaxRaw {
		return p.Pattern(text) // which says so
	}
	text = unmarked(text)
	if rounded.MatchString(text) {
		return Pattern{}, fmt.Errorf("a spreadsheet has rounded %s, its last digits are gone: make the column text there, "+
			"and write the number anew", text)
	}
	if d := decimal.FindStringSubmatch(text); d != nil {
		return p.counted(text, d[1])
	}
	if err := p.dialplan(text); err != nil {
		return Pattern{}, err
	}
	if err := p.twoNumbers(text); err != nil {
		return Pattern{}, err
	}
	q, err := p.Pattern(text)
	if err == nil && !q.IsExact() {
		if why := p.Dead(q); why != "" {
			return Pattern{}, errors.New(why)
		}
	}
	return q, err
}

// rounded is a number as spreadsheets show long ones.
var rounded = regexp.MustCompile(`^[+-]?\d+(?:[.,]\d+)?[eE]\+?\d{1,3}$`)

// decimal is a number that a spreadsheet, or a program that reads one, has counted with.
var decimal = regexp.MustCompile(`^(\+?\d{3,16})[.,]0{1,2}$`)

// counted reads digits that had .0 or .00 behind them. A spreadsheet would have lost a leading 0 or +: where those stand, and both
// readings are numbers, .00 may be the last group of one.
func (p *Plan) counted(text, digits string) (Pattern, error) {
	if digits[0] != '0' && digits[0] != '+' {
		return p.Pattern(p.withLostZero(digits))
	}
	short, long := p.ParseInternal(digits), p.ParseInternal(text)
	switch whole := strings.HasSuffix(text, "00") && long.known(); {
	case whole && short.known():
		return Pattern{}, fmt.Errorf("%s may be %s, with what a spreadsheet puts behind numbers, or %s: write the one that is meant", text, short.Shown(), long.Shown())
	case whole:
		return p.Pattern(text)
	}
	return p.Pattern(digits)
}

// unmarked takes the marks off by which spreadsheets keep a number from being counted with: ="…", a leading '.
func unmarked(text string) string {
	if rest, ok := strings.CutPrefix(text, "="); ok {
		text = trimInvisible(rest)
	}
	if rest := strings.TrimLeft(text, "'’‘`"); rest != text && rest != "" {
		text = strings.TrimRight(rest, "'’‘`")
	}
	if len(text) > 1 && text[0] == '"' && strings.Count(text, `"`) == 2 && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	return trimInvisible(text)
}

// withLostZero puts the leading 0 back before digits that are no number without it.
func (p *Plan) withLostZero(d string) string {
	if n := p.ParseInternal(d); n.known() {
		return d
	}
	if n := p.ParseInternal("0" + d); n.known() || n.E164 != "" && p.written {
		return "0" + d
	}
	return d
}

// twoNumbers refuses a text of two numbers, which would be one long one without the space between them.
func (p *Plan) twoNumbers(text string) error {
	between := func(r rune) bool { return strings.ContainsRune(",;|/&", r) || unicode.IsSpace(r) }
	if !strings.ContainsFunc(text, between) || strings.ContainsAny(text, "*?＊？") || strings.Contains(text, "..") {
		return nil
	}
	advice := func(first, second *Number) error {
		return fmt.Errorf("that is two numbers, %s and %s: write each on its own", first.Shown(), second.Shown())
	}
	if i := strings.LastIndexByte(text, '/'); i > 0 {
		left, right := p.ParseInternal(text[:i]), onlyDigits(text[i+1:])
		if len(onlyDigits(text[:i])) >= 7 && left.known() && len(right) >= 1 && len(right) <= 4 {
			return fmt.Errorf("that is two numbers, %s and one that ends in %s: write each in full on its own", left.Shown(), right)
		}
	}
	_, behind, cut := strings.Cut(text, ";")
	if cut && strings.Contains(behind, "=") { // the parameters of a URI
		return nil
	}
	if whole := p.ParseInternal(text); whole.known() && !cut {
		return nil
	}
	for _, between := range []func(rune) bool{
		func(r rune) bool { return strings.ContainsRune(",;|/&\t", r) },
		unicode.IsSpace,
	} {
		parts := strings.FieldsFunc(text, between)
		if len(parts) < 2 || len(parts) > 8 {
			continue
		}
		numbers, all := make([]Number, len(parts)), true
		for i := range parts {
			numbers[i] = p.ParseInternal(parts[i])
			all = all && numbers[i].known() && len(onlyDigits(parts[i])) >= 3
		}
		if all {
			return advice(&numbers[0], &numbers[1])
		}
	}
	if cut {
		return errors.New("what stands behind the ; is no part of a number: leave it out, or write a number a line")
	}
	return nil
}

// dialplan refuses the patterns of Asterisk's and FreeSWITCH's dialplans, in which N, X, Z, . and \d are digits. Some would
// be read as numbers, others only refused for their letters.
func (p *Plan) dialplan(text string) error {
	d, ok := readDialplan(text)
	if !ok {
		return nil
	}
	if d.lead == "" && !d.plus {
		return errors.New("that is a pattern of a dialplan, and takes every number: write how the numbers begin, such as 9521* or +1*")
	}
	lead := d.lead
	if d.plus {
		lead = "+" + lead
	}
	right := lead + strings.Repeat("?", d.free)
	if d.open {
		right = lead + "*"
	}
	q, err := p.Pattern(right)
	switch {
	case err != nil:
		return fmt.Errorf("patterns of a dialplan are not read: %w", err)
	case !q.IsExact():
		if why := p.Dead(q); why != "" {
			return fmt.Errorf("patterns of a dialplan are not read: %s", why)
		}
	}
	return fmt.Errorf("patterns of a dialplan are not read: write %s", q)
}

// dialled is a pattern of a dialplan: the digits it begins with, and what may follow.
type dialled struct {
	lead string
	plus bool
	free int
	open bool
}

// dialplanMark is what no number is written with and dialplans are.
var dialplanMark = regexp.MustCompile(`^_|^\^|\\[d+]|\[[0-9-]+\]|(?:^|[^.])[.][*+!]|[.]$|^[+\d]*[NXZnxz]{2,}|[NXZnxz][\s()-]*[NXZnxz]|[XZN][.!]`)

// dialplanPart is one part of such a pattern: a digit, one that stands for any, or what takes more of them.
var dialplanPart = regexp.MustCompile(`\\?\+|\d|[NXZnxz]|\\d|\[[0-9-]+\]|\.[*+]?|[*+!]|\{\d+\}`)

// readDialplan takes such a pattern apart; ok is false of what is none.
func readDialplan(text string) (d dialled, ok bool) {
	if !dialplanMark.MatchString(text) || strings.Trim(text, "0123456789+-*?.!_^$()[]{}\\/ dNXZnxz") != "" {
		return dialled{}, false
	}
	if rest := strings.TrimSuffix(text, "."); rest != text && strings.Trim(rest, "0123456789 -+()/.") == "" {
		return dialled{}, false // the end of a sentence
	}
	for i, part := range dialplanPart.FindAllString(text, -1) {
		last := part[len(part)-1]
		switch {
		case i == 0 && last == '+':
			d.plus = true
		case part[0] >= '0' && part[0] <= '9':
			if d.free == 0 && !d.open {
				d.lead += part
			} else {
				d.free++ // a digit behind those that are open
			}
		case part[0] == '{':
			d.free += int(digitsValue(part[1:len(part)-1])) - 1
		case part[0] == '.' || last == '*' || last == '+' || last == '!':
			d.open = true
		default:
			d.free++
		}
	}
	d.free = max(0, min(d.free, maxPatternDigits))
	return d, len(d.lead) <= maxPatternDigits
}
