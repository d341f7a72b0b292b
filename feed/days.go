package feed

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ringfence/listfile"
)

// The FTC publishes the complaints of one day in each file, and a number becomes an entry by those of a whole
// window. So the files that counted are kept for that long and read together with the new one.

// maxDays bounds how many files of one feed are kept.
const maxDays = 400

func (fs *Feeds) days(f *feed) string { return fs.file(f, "days") }

// open gives a staged file to read, behind those of the days before if the feed has such. closeAll lets go of all.
func (fs *Feeds) open(f *feed, file string) (in io.Reader, closeAll func(), err error) {
	var files []*os.File
	closeAll = func() {
		for _, o := range files {
			o.Close()
		}
	}
	names := []string{file}
	if f.Format == string(listfile.FTC) {
		before, err := fs.kept(f)
		if err != nil {
			return nil, nil, err
		}
		names = append(before, file)
	}
	var all []io.Reader
	for i, name := range names {
		o, err := os.Open(name)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		files = append(files, o)
		r := bufio.NewReader(o)
		if i > 0 { // one header is enough
			if _, err := r.ReadString('\n'); err != nil && err != io.EOF {
				closeAll()
				return nil, nil, err
			}
		}
		all = append(all, r, strings.NewReader("\n")) // a last line may lack its end; empty ones are passed over
	}
	return io.MultiReader(all...), closeAll, nil
}

// kept are the files of the days before that still count, the oldest first.
func (fs *Feeds) kept(f *feed) ([]string, error) {
	entries, err := os.ReadDir(fs.days(f))
	if err != nil {
		if isNotExist(err) {
			err = nil
		}
		return nil, err
	}
	oldest := dayName(fs.o.Now().Add(-listfile.DefaultWindow).UnixNano())
	var names []string
	for _, e := range entries {
		if e.Name() >= oldest {
			names = append(names, filepath.Join(fs.days(f), e.Name()))
		}
	}
	slices.Sort(names)
	return names[max(len(names)-maxDays, 0):], nil
}

// dayName sorts by time.
func dayName(ns int64) string { return fmt.Sprintf("%020d.csv", ns) }

// keepDay keeps a file that counts now for the days to come, and removes those that count no more.
func (fs *Feeds) keepDay(f *feed, file string) error {
	if f.Format != string(listfile.FTC) {
		return nil
	}
	if err := os.MkdirAll(fs.days(f), 0o755); err != nil {
		return err
	}
	if err := os.Link(file, filepath.Join(fs.days(f), dayName(fs.o.Now().UnixNano()))); err != nil {
		return err
	}
	keep, err := fs.kept(f)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(fs.days(f))
	for _, e := range entries {
		if name := filepath.Join(fs.days(f), e.Name()); !slices.Contains(keep, name) {
			err = errors.Join(err, os.Remove(name))
		}
	}
	return err
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
