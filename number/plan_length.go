package number

import (
	"regexp/syntax"
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// maxNational is how many digits a number has at most behind its country code, in any plan.
const maxNational = 17

// digitForms is an expression of the metadata, to be asked what no expression tells by itself: of which lengths numbers are
// that begin with given digits.
type digitForms []formState

// formState is a state of the automaton: the digits it takes, a bit each, and what follows.
type formState struct {
	digits uint16
	next   []int // states after it, those that take no digit left out
	ends   bool  // nothing needs to follow
}

// newDigitForms takes an expression over digits apart. One that cannot be read has no numbers.
func newDigitForms(expression string) digitForms {
	if expression == "" {
		return nil
	}
	tree, err := syntax.Parse("(?:"+expression+")", syntax.Perl)
	if err != nil {
		return nil
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil
	}
	forms := make(digitForms, len(prog.Inst)+1)
	begin := len(prog.Inst) // a state before the first digit
	for pc := range forms {
		state, after := &forms[pc], uint32(prog.Start)
		if pc != begin {
			in := &prog.Inst[pc]
			switch in.Op {
			case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			default:
				continue
			}
			for d := range 10 {
				if in.MatchRune(rune('0' + d)) {
					state.digits |= 1 << d
				}
			}
			after = in.Out
		}
		state.next, state.ends = reachable(prog, after)
	}
	return forms
}

// reachable gives the states that take a digit and are reached from one without taking any, and whether the end is.
func reachable(prog *syntax.Prog, from uint32) (states []int, end bool) {
	seen := make(map[uint32]bool)
	var visit func(pc uint32)
	visit = func(pc uint32) {
		if seen[pc] {
			return
		}
		seen[pc] = true
		switch in := &prog.Inst[pc]; in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			visit(in.Out)
			visit(in.Arg)
		case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
			visit(in.Out)
		case syntax.InstMatch:
			end = true
		case syntax.InstFail:
		default:
			states = append(states, int(pc))
		}
	}
	visit(from)
	return states, end
}

// anyDigit stands for a digit that is not given.
const anyDigit = 1<<10 - 1

// step gives the states after one digit more.
func (f digitForms) step(now map[int]bool, digits uint16) map[int]bool {
	after := make(map[int]bool)
	for s := range now {
		for _, next := range f[s].next {
			if f[next].digits&digits != 0 {
				after[next] = true
			}
		}
	}
	return after
}

// start is the state before the first digit.
func (f digitForms) start() map[int]bool { return map[int]bool{len(f) - 1: true} }

// ended reports whether a number may end here.
func (f digitForms) ended(now map[int]bool) bool {
	for s := range now {
		if f[s].ends {
			return true
		}
	}
	return false
}

// lengths says of which lengths numbers are that begin with the digits, a bit each.
func (f digitForms) lengths(lead string) (bits uint32) {
	if len(f) == 0 {
		return 0
	}
	now := f.start()
	for size := 0; size <= maxNational && len(now) > 0; size++ {
		if size >= len(lead) && f.ended(now) {
			bits |= 1 << size
		}
		digits := uint16(anyDigit)
		if size < len(lead) {
			digits = 1 << (lead[size] - '0')
		}
		now = f.step(now, digits)
	}
	return bits
}

// codeLengths are the lengths that numbers of one country code have behind it, a bit each, by the first digit. A digit that
// no number begins with yet, as a new series will, has the usual lengths.
type codeLengths struct {
	by    [10]uint32
	trunk string // what is dialled before it inside the country
}

// plausible is what all country codes have. It is made once, of the metadata's tables.
var plausible = sync.OnceValue(func() map[string]*codeLengths {
	table := make(map[string]*codeLengths)
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		return table
	}
	shared := make(map[int32]bool) // by several territories, of which the main one has the plan
	for _, m := range all.GetMetadata() {
		if m.GetMainCountryForCode() {
			shared[m.GetCountryCode()] = true
		}
	}
	for _, m := range all.GetMetadata() {
		if shared[m.GetCountryCode()] && !m.GetMainCountryForCode() {
			continue
		}
		c := &codeLengths{trunk: m.GetNationalPrefix()}
		table[strconv.Itoa(int(m.GetCountryCode()))] = c
		forms := newDigitForms(m.GetGeneralDesc().GetNationalNumberPattern())
		var possible uint32 // the expression may allow more
		for _, length := range m.GetGeneralDesc().GetPossibleLength() {
			if length >= 0 && length <= maxNational {
				possible |= 1 << length
			}
		}
		for d := range c.by {
			c.by[d] |= forms.lengths(string(rune('0'+d))) & possible
		}
	}
	for code, c := range table {
		usual := c.usual()
		for d := range c.by {
			c.by[d] &= 1<<(maxPatternDigits-len(code)) - 1 // E.164 has 15 digits
			if c.by[d] == 0 {
				c.by[d] = usual
			}
		}
	}
	return table
})

// usual are the lengths of a number whose first digit the plan does not know: those of half of the others.
func (c *codeLengths) usual() (bits uint32) {
	digits, count := 0, [maxNational + 1]int{}
	for d := 1; d <= 9; d++ {
		if c.by[d] == 0 {
			continue
		}
		digits++
		for size := range count {
			if c.by[d]&(1<<size) != 0 {
				count[size]++
			}
		}
	}
	for size, n := range count {
		if n > 0 && 2*n >= digits {
			bits |= 1 << size
		}
	}
	return bits
}

// has reports whether the digits are as long as a number of the country code may be.
func (c *codeLengths) has(nsn string) bool {
	return len(nsn) <= maxNational && c.by[nsn[0]-'0']&(1<<len(nsn)) != 0
}

// fault says how a length is wrong.
func (c *codeLengths) fault(nsn string) string {
	bits := c.by[nsn[0]-'0']
	switch {
	case bits>>len(nsn) == 0:
		return reasonLong
	case bits&(1<<len(nsn)-1) == 0:
		return reasonShort
	}
	return reasonLength
}

// withoutTrunk takes the trunk prefix that stands before an area code off digits, as far as it is no part of the number.
func withoutTrunk(trunk, d string, c *codeLengths) string {
	rest, ok := strings.CutPrefix(d, trunk)
	switch {
	case !ok || trunk == "" || rest == "":
		return d
	case trunk[0] == '0': // no number of such a country begins with it
		return rest
	case !c.has(d) && c.has(rest):
		return rest
	}
	return d
}
