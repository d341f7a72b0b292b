package desk

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"ringfence/console"
	"ringfence/listfile"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// maxLines is how many lines of a file a warning names.
const maxLines = 20

// doubts are the entries of a file that are probably not meant.
type doubts struct {
	entries int   // all there are
	dead    int   // that no call can have
	lines   []int // of the first of these, each once
	named   int   // of these, how many are in lines
	others  int
}

// doubt notes what is doubtful about an entry that goes in.
func (f *fileImport) doubt(l *listfile.Line, p number.Pattern) {
	if l.Remove {
		return
	}
	f.doubts.entries++
	why, dead := f.cautions.of(p)
	switch {
	case dead:
		f.doubts.dead++
		n := len(f.doubts.lines)
		if n > 0 && f.doubts.lines[n-1] == l.No { // a telephone book has several in a line
			f.doubts.named++
		} else if n < maxLines {
			f.doubts.named++
			f.doubts.lines = append(f.doubts.lines, l.No)
		}
	case why != "":
		if f.doubts.others++; f.doubts.others <= maxWarnings {
			f.warn(fmt.Sprintf("line %d: %s %s", l.No, p, why))
		}
	}
}

// warnOfDoubts says how many entries no call can have, before the others: if they are many, the file is another country's.
func (f *fileImport) warnOfDoubts() {
	if more := f.doubts.others - maxWarnings; more > 0 {
		f.warn(fmt.Sprintf("and %d more entries of that kind", more))
	}
	if f.doubts.dead == 0 {
		return
	}
	lines := make([]string, len(f.doubts.lines))
	for i, n := range f.doubts.lines {
		lines[i] = strconv.Itoa(n)
	}
	text := fmt.Sprintf("%d of %d entries are no numbers of %s: line %s", f.doubts.dead, f.doubts.entries, f.policy.Country(), strings.Join(lines, ", "))
	if more := f.doubts.dead - f.doubts.named; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	f.report.Warnings = append([]string{text + ". No call can have them: see how they are written"}, f.report.Warnings...)
}

func (f *fileImport) warn(text string) { f.report.Warnings = append(f.report.Warnings, text) }

// warnOfKnown warns of entries that would hit numbers that the lines deal with.
func (d *Desk) warnOfKnown(p *policy.Policy, g *gathered, report *console.ImportReport) error {
	index := number.NewIndex()
	for i := range g.other {
		if !g.says[g.other[i].says].remove {
			index.Add(g.other[i].pattern, uint32(i))
		}
	}
	hits, named := 0, d.namesOf(g) // of patterns and ranges nobody can tell then whom they hit
	err := d.db.EachStamp(storage.Known, func(s storage.Stamp) error {
		line, number, ok := strings.Cut(s.Key, "\x00")
		if !ok {
			return nil
		}
		by := ""
		if strings.HasPrefix(number, storage.PrivateMark) {
			by, number = named[number], named[number]
		} else if pattern, err := p.Plan().KeptPattern(number); err == nil {
			if key, ok := pattern.Key(); ok && g.adds(key) {
				by = pattern.String()
			}
		}
		if by == "" && index.Len() > 0 && number != "" {
			n := p.Plan().Parse(number)
			if m := index.AppendMatches(nil, &n); len(m) > 0 {
				by = m[0].Pattern.String()
			}
		}
		if by == "" {
			return nil
		}
		if hits++; hits <= maxWarnings {
			report.Warnings = append(report.Warnings, fmt.Sprintf("%s hits %s, whom line %s dealt with on %s", by, number, line, s.At.Format("2006-01-02")))
		}
		return nil
	})
	if hits > maxWarnings {
		report.Warnings = append(report.Warnings, fmt.Sprintf("and %d more numbers that lines dealt with", hits-maxWarnings))
	}
	if errors.Is(err, storage.ErrCorrupt) {
		return nil // logged when it was read first
	}
	return err
}
