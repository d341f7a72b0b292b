package policy

import (
	"fmt"
	"sort"

	"ringfence/tomlfile"
)

// Fault is one thing that is wrong with a policy file, or, as a warning, that is probably not meant.
type Fault = tomlfile.Fault

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

// fatal reports whether anything but warnings was found.
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
