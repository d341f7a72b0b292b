package number

import "unicode"

// A caller can write his number so that it is none: 95211613#, 0095211613, a digit of another script behind it. Who reads
// such a text sees the number all the same, and so do rules that refuse: to spoil one's number is no way to pass them.
// Rules that let calls pass never look at it.
const (
	maxHeld    = 8   // numbers that one text is said to hold
	leastHeld  = 5   // digits; shorter ones stand in too many texts
	heldStates = 128 // ways of taking prefixes off that are tried
)

// MayHold reports whether Held looks at all: of a number that the plan knows it does not.
func (n *Number) MayHold() bool {
	return n.plan != nil && n.Kinds&kindsOf(Invalid, Unassigned) != 0
}

// Held gives the numbers that the text of an Invalid number plainly holds, at most eight; nil of any other. None of them
// is an emergency number. Each has an E164, but for an internal one. It looks for them anew each time: at each run of
// digits, and at all of its digits; as they stand, and without prefixes that do not belong there. What has the digits of an
// internal number and is none, as it calls from outside, holds that: a rule that refuses 8??? means who claims to be one of
// them. Those who are never come to it. A digit may also be written as %35: a switch undoes one such writing, and a caller may
// write it twice.
//
// An Unassigned number holds those that it becomes without prefixes as well, or 0095211613, which would be a number of Myanmar,
// hid 95211613. Area codes stay with it: it may be a newer number, and what stands behind them is part of it.
func (n *Number) Held() []Number {
	if !n.MayHold() {
		return nil
	}
	h := holder{plan: n.plan, whole: n.E164, tried: make(map[string]bool)}
	runs := digitRuns(n.Raw, leastHeld)
	for _, text := range []string{n.Raw, runs[len(runs)-1].digits} {
		if claimed := n.plan.ParseInternal(text); claimed.Kind == Internal {
			h.found = append(h.found, claimed)
			break
		}
	}
	if n.E164 != "" {
		runs = []digitRun{{digits: readWritten(n.Raw).digits}} // what made it a number; a parameter or a host behind it is none of it
	} else if plain := percentDecoded(n.Raw); plain != n.Raw {
		h.read(digitRuns(plain, leastHeld))
	}
	h.read(runs)
	return h.found
}

// holder looks for the numbers that a text holds.
type holder struct {
	plan  *Plan
	whole string // the E.164 number that the text is, "" for none
	tried map[string]bool
	found []Number
}

// ParseCalled is ParseInternal for a called number. A caller chooses it, and an extension whose expression has no end takes
// what he writes behind the number as well: 05925550100a rings where 05925550100 does, and is for the same rules.
func (p *Plan) ParseCalled(raw string) Number {
	n := p.ParseInternal(raw)
	if n.Kind != Invalid {
		return n
	}
	const shortest = 3 // an extension
	for _, run := range digitRuns(n.Raw, shortest) {
		digits := run.digits
		sizes := []int{len(digits)}
		switch {
		case digits == n.Raw && len(digits) <= maxDialled:
			return n // nothing but digits, and no number: what it begins with is not what was dialled
		case len(digits) > maxDialled:
			for size := maxPatternDigits; size >= leastHeld; size-- {
				sizes = append(sizes, size)
			}
		}
		for _, size := range sizes {
			called := p.ParseInternal(digits[:size])
			if called.Kind == Internal || called.E164 != "" && !called.Kinds.Has(Emergency) {
				called.Raw = n.Raw
				return called
			}
		}
	}
	return n
}

// Beginning gives the number of the country that the digits of an Invalid text begin with, as 059255501001 and 05925550100-1 do: an
// extension whose expression has no end takes these too. Extensions and service numbers are not looked for, as too much begins with
// one.
func (n *Number) Beginning() (Number, bool) {
	if n.plan == nil || n.Kind != Invalid {
		return Number{}, false
	}
	for _, run := range digitRuns(n.Raw, leastWhole) {
		for size := min(len(run.digits), maxPatternDigits); size >= leastWhole; size-- {
			called := n.plan.ParseInternal(run.digits[:size])
			if called.E164 != "" && called.Kinds&kindsOf(Service, Emergency, International, Unassigned) == 0 {
				called.Raw = n.Raw
				return called, true
			}
		}
	}
	return Number{}, false
}

// leastWhole is how many digits a number of a subscriber has at least.
const leastWhole = 7

// maxRuns is how many runs of digits of one text are looked at.
const maxRuns = 10

// digitRun is digits of a text that stand together, but for what may stand between the digits of a number.
type digitRun struct {
	digits string
	plus   bool // a + stands before them
}

// digitRuns gives the digits to look at: each run of at least so many, and all together.
func digitRuns(raw string, least int) []digitRun {
	var all, run []byte
	var runs []digitRun
	var script *unicode.RangeTable
	plus, allPlus := false, false
	end := func() {
		if len(run) >= least && len(runs) < maxRuns {
			runs = append(runs, digitRun{string(run), plus})
		}
		run, plus = run[:0], false
	}
	for _, r := range raw {
		class, digit := classify(r)
		if class != charDigit {
			if d, ok := looseDigit(r); ok {
				class, digit = charDigit, d
			}
		}
		switch class {
		case charDigit:
			s := scriptOf(r)
			if len(run) > 0 && s != script {
				end() // 95211613 and an Arabic digit behind it
			}
			script = s
			run, all = append(run, digit), append(all, digit)
		case charSeparator, charHyphen, charOpen, charClose:
		case charPlus:
			end()
			plus = true
			allPlus = allPlus || len(all) == 0
		default:
			end()
		}
	}
	end()
	return append(runs, digitRun{string(all), allPlus})
}

// read adds the numbers that runs of digits are, or hold.
func (h *holder) read(runs []digitRun) {
	for _, run := range runs {
		if run.plus && len(run.digits) >= leastHeld && len(run.digits) <= maxDialled {
			h.add(written{digits: run.digits, plus: true}) // +12025550143# is no number of this country
		}
		h.unprefixed(run.digits)
	}
}

// add adds the number that a text is, if it is one.
func (h *holder) add(w written) {
	n := Number{Raw: w.digits}
	h.plan.resolve(&n, w, false)
	if n.E164 != "" && n.E164 != h.whole && len(h.found) < maxHeld && !n.Kinds.Has(Emergency) && !hasNumber(h.found, n.E164) {
		h.found = append(h.found, n)
	}
}

// unprefixed adds the numbers that digits are, or are behind any of the prefixes that stand before numbers: 0, 00, what is
// dialled for abroad or for a carrier, the country code, an area code.
func (h *holder) unprefixed(digits string) {
	p, queue := h.plan, []string{digits}
	for len(queue) > 0 && len(h.found) < maxHeld && len(h.tried) < heldStates {
		d := queue[0]
		queue = queue[1:]
		if len(d) < leastHeld || h.tried[d] {
			continue
		}
		h.tried[d] = true
		if len(d) <= maxDialled {
			h.add(written{digits: d})
		}
		for _, prefix := range [...]string{"00", "0", p.code, p.trunk, p.prefixOf(d)} {
			if prefix != "" && len(d) > len(prefix) && d[:len(prefix)] == prefix {
				queue = append(queue, d[len(prefix):])
			}
		}
		if rest := p.withoutDialPrefix(d); rest != "" {
			queue = append(queue, rest)
		}
		// An area code before a number that is whole already, its trunk prefix included.
		for k := 2; k <= 5 && k+leastHeld <= len(d) && h.whole == ""; k++ {
			if p.china && d[0] == '0' && chinaArea(d[1:]) == k-1 || !p.china && p.trunk != "" && d[k:k+len(p.trunk)] == p.trunk {
				queue = append(queue, d[k:])
			}
		}
	}
}

func hasNumber(list []Number, e164 string) bool {
	for i := range list {
		if list[i].E164 == e164 {
			return true
		}
	}
	return false
}

// scriptOf tells the digits of scripts apart, as far as it matters: nil is ASCII, and what East Asian keyboards write
// for it.
func scriptOf(r rune) *unicode.RangeTable {
	switch {
	case r < 0x80 || r >= '０' && r <= '９':
		return nil
	case unicode.Is(unicode.Nd, r):
		return unicode.Nd
	}
	return unicode.No
}

// looseDigit is the digit that a character shows which is none: circled, raised, lowered, in brackets, Chinese.
func looseDigit(r rune) (byte, bool) {
	for _, row := range looseDigits {
		if r >= row.from && r < row.from+rune(len(row.digits)) {
			return row.digits[r-row.from], true
		}
	}
	return 0, false
}

var looseDigits = [...]struct {
	from   rune
	digits string
}{
	{'²', "23"},
	{'¹', "1"},
	{'⁰', "0"},
	{'⁴', "456789"},
	{'₀', "0123456789"},
	{'①', "123456789"},
	{'⑴', "123456789"},
	{'⒈', "123456789"},
	{'⓪', "0"},
	{'⓵', "123456789"},
	{'⓿', "0"},
	{'❶', "123456789"},
	{'➀', "123456789"},
	{'➊', "123456789"},
	{'🄀', "0"},
	{'🄁', "0123456789"},
	{'🄋', "0"},
	{'🄌', "0"},
	{'㈠', "123456789"},
	{'㊀', "123456789"},
	{'〡', "123456789"},
	{'〇', "0"},
	{'零', "0"},
	{'一', "1"},
	{'二', "2"},
	{'三', "3"},
	{'四', "4"},
	{'五', "5"},
	{'六', "6"},
	{'七', "7"},
	{'八', "8"},
	{'九', "9"},
	// As on cheques, and the 1 as it is read out.
	{'壹', "1"},
	{'幺', "1"},
	{'贰', "2"},
	{'貳', "2"},
	{'叁', "3"},
	{'參', "3"},
	{'肆', "4"},
	{'伍', "5"},
	{'陆', "6"},
	{'陸', "6"},
	{'柒', "7"},
	{'捌', "8"},
	{'玖', "9"},
}
