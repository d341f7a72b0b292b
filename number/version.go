package number

import (
	"fmt"
	"hash/crc32"
)

// Version says which normaliser this is. What was kept of numbers by another one, such as a file of patterns that were
// read before, may mean other numbers now, and is to be read anew from the texts.
//
// Raise it with every change by which a text may become another number or pattern, or a number another key: changes of
// Plan.Parse, Plan.Pattern and Plan.KeptPattern, of Pattern.Key and Pattern.Blocks, and with every other release of
// phonenumbers in go.mod, whose tables the plans are made of (a test holds that).
const Version = 2

// Reading says how the plan reads texts: two plans of the same Reading make the same patterns of them. It has at most
// 30 bytes.
func (p *Plan) Reading() string {
	sum := crc32.NewIEEE()
	for _, q := range p.internal {
		fmt.Fprintln(sum, q)
	}
	fmt.Fprintln(sum, p.area)
	for _, a := range p.assigned {
		fmt.Fprintln(sum, a.kind, a.pattern)
	}
	return fmt.Sprintf("%d %s %08x", Version, p.country, sum.Sum32())
}
