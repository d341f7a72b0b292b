package desk

import (
	"ringfence/console"
	"ringfence/inforce"
	"ringfence/lines"
	"ringfence/number"
	"ringfence/policy"
)

// maxRounds is how often lines are held against each other. The second time finds nothing, but for patterns that overlap in odd ways.
const maxRounds = 20

// refuseTaken refuses lines whose numbers are on others: of two lines of the file that which comes later.
func (f *linesFile) refuseTaken(rules *inforce.Rules) error {
	for round := 1; round <= maxRounds; round++ {
		changes, err := f.inMemory()
		if err != nil {
			return err
		}
		taken := rules.Lines.Check(changes, len(changes)+1)
		if len(taken) == 0 {
			f.changes = changes
			return nil
		}
		var refused []*fileLine
		for _, t := range taken {
			if l := f.refuseOne(t, round); l != nil {
				refused = append(refused, l)
			}
		}
		f.refuseHeirs(refused, round)
	}
	return console.Conflict("nothing was changed: too many lines of the file have numbers of others: see what --dry-run says of a part of it")
}

// refuseOne refuses one of two lines that have a number, and gives it; nil if it is refused already.
func (f *linesFile) refuseOne(t *lines.Taken, round int) *fileLine {
	mine, other := f.byName[t.Line], f.byName[t.Other]
	switch {
	case mine.why != "" || other != nil && other.round == round: // one of the two does not go in, as was found before
		return nil
	case other == nil:
		mine.refuse(mine.row, "%s is on the line %s already, and a number is on one line only: take it off there first (`ringfence line set %s`)", t.Number, t.Other, t.Other)
	case other.why != "":
		mine.refuseAsHeir(t.Number, other)
	default:
		if other.change != console.LineUnchanged && mine.row < other.row {
			mine, other = other, mine
		}
		mine.refuse(mine.row, "%s is on the line %s already, which is in line %d of the file, and a number is on one line only: take it out of one of them", t.Number, other.set.Name, other.row)
	}
	mine.round = round
	return mine
}

// refuseAsHeir refuses a line that would get a number of another one, which keeps it because it is refused itself.
func (l *fileLine) refuseAsHeir(p number.Pattern, other *fileLine) {
	l.refuse(l.row, "%s is on the line %s already, which stays as it is (see line %d of the file), and a number is on one line only", p, other.set.Name, other.whyRow)
}

// refuseHeirs refuses the lines that would get numbers of lines that are refused, and those that would get theirs, and so on: a number that would have
// come free stays where it is.
func (f *linesFile) refuseHeirs(refused []*fileLine, round int) {
	var all []lines.Line
	for _, l := range f.inOrder {
		if l.goesIn() {
			if line, err := lineInMemory(f.maker.plan, &l.then); err == nil {
				all = append(all, line)
			}
		}
	}
	heirs := lines.New(f.maker.plan)
	heirs.Load(all)
	for len(refused) > 0 {
		l := refused[0]
		if refused = refused[1:]; l.now == nil {
			continue
		}
		for _, text := range l.now.Numbers {
			p, err := f.maker.plan.KeptPattern(text)
			if err != nil {
				continue
			}
			heirs.Meet(p, func(found policy.Line) bool {
				if heir := f.byName[found.Name]; heir.goesIn() {
					heir.refuseAsHeir(p, l)
					heir.round = round
					refused = append(refused, heir)
				}
				return true
			})
		}
	}
}
