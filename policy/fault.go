package policy

import (
	"fmt"
	"sort"
	"strings"
)

// Fault is one thing that is wrong with a policy file, or, as a warning, that is probably not meant.
type Fault struct {
	File    string
	Line    int    // from 1
	Key     string // the key as it is written, with the tables it stands in: rule.when.caller
	Text    string // what is wrong and what to write instead
	Warning bool   // the policy can be used all the same
}

// String is `FILE:LINE: key: text`.
func (f Fault) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Key, f.Text)
}

// faults collects everything that is wrong with one file.
type faults struct {
	file string
	all  []Fault
}

func (fs *faults) add(line int, key, format string, args ...any) {
	fs.all = append(fs.all, Fault{File: fs.file, Line: max(line, 1), Key: key, Text: fmt.Sprintf(format, args...)})
}

func (fs *faults) warn(line int, key, format string, args ...any) {
	fs.add(line, key, format, args...)
	fs.all[len(fs.all)-1].Warning = true
}

// fatal says whether anything but warnings was found.
func (fs *faults) fatal() bool {
	for i := range fs.all {
		if !fs.all[i].Warning {
			return true
		}
	}
	return false
}

// sorted is everything found in the order of the file; what is said of one line keeps the order it was found in.
func (fs *faults) sorted() []Fault {
	sort.SliceStable(fs.all, func(i, j int) bool { return fs.all[i].Line < fs.all[j].Line })
	return fs.all
}

// didYouMean is a sentence that proposes the nearest of the words, or names them when none is near.
func didYouMean(got string, words []string) string {
	if near := nearest(got, words); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	const few = 32
	if len(words) > few {
		return "write one of " + strings.Join(words[:few], ", ") + " …"
	}
	if len(words) == 1 {
		return "write " + words[0]
	}
	return "write one of " + strings.Join(words, ", ")
}

// nearest is the word that takes the fewest slips of the keyboard to turn into got, "" when none is near.
func nearest(got string, words []string) string {
	if len(got) > 64 { // no word of a policy is that long; keeps a hostile key from costing time
		return ""
	}
	best, bestSlips := "", 0
	for _, w := range words {
		slips := slips(strings.ToLower(got), strings.ToLower(w))
		if slips > max(1, len(w)/3) {
			continue
		}
		if best == "" || slips < bestSlips {
			best, bestSlips = w, slips
		}
	}
	return best
}

// slips counts the letters left out, put in, mistaken or swapped with a neighbour between a and b.
func slips(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last := make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row := make([]int, len(y)+1)
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}
