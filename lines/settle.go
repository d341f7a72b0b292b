package lines

import (
	"cmp"
	"slices"
	"strings"

	"ringfence/number"
)

// maxSettled is of how many numbers and ranges, of all lines that have some in common, it is looked into which line was written later.
const maxSettled = 2000

// settle decides on which line a number stays that is on several: on that which was written last, be it there as a part of a range. So it is the same
// wherever the same lines are, in whatever order they came. Of more than maxSettled it is decided by their digits alone. It gives the numbers that stay, each on
// one line, and changes the order of numbers, whose lines are places in all.
func settle(plan *number.Plan, all []Line, numbers []held) (kept []held, taken []*Taken) {
	var lost []held
	rest := clashes(plan, numbers, func(h held, other uint32) {
		lost = append(lost, h)
		taken = append(taken, &Taken{h.Pattern, all[h.line].Name, all[other].Name})
	})
	if len(lost) == 0 || len(lost) > maxSettled {
		return rest, taken
	}
	// Lines that have nothing in common with what was lost have nothing in common with any.
	among := make(map[uint32][]held)
	index := numbersOf(plan, slices.Clone(rest))
	for _, h := range lost {
		among[h.line] = nil
		index.meet(plan, h.Pattern, func(line uint32) bool {
			among[line] = nil
			return true
		})
	}
	n := len(lost)
	kept = make([]held, 0, len(rest)+len(lost))
	for _, h := range rest {
		if mine, ok := among[h.line]; ok {
			among[h.line] = append(mine, h)
			n++
		} else {
			kept = append(kept, h)
		}
	}
	if n > maxSettled {
		return rest, taken
	}
	for _, h := range lost {
		among[h.line] = append(among[h.line], h)
	}
	order := make([]uint32, 0, len(among))
	for line := range among {
		order = append(order, line)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(strings.Compare(all[b].Written, all[a].Written), cmp.Compare(a, b))
	})
	taken = nil
	var settled []held
	for _, line := range order {
		index := numbersOf(plan, slices.Clone(settled))
		for _, h := range among[line] {
			free := true
			index.meet(plan, h.Pattern, func(other uint32) bool {
				taken = append(taken, &Taken{h.Pattern, all[line].Name, all[other].Name})
				free = false
				return false
			})
			if free {
				settled = append(settled, h)
			}
		}
	}
	return append(kept, settled...), taken
}
