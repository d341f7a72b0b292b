// Package tables writes what tests have measured into docs/measured.md.
package tables

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Write logs the rows of a table and, where RINGFENCE_WRITE_TABLES is set and the test has not failed, puts them between
// the table's marks in docs/measured.md: `make tables`.
func Write(t testing.TB, mark string, rows []string) {
	t.Helper()
	t.Logf("%s:\n%s", mark, strings.Join(rows, "\n"))
	if os.Getenv("RINGFENCE_WRITE_TABLES") == "" || t.Failed() {
		return
	}
	root, err := Root()
	if err == nil {
		err = Put(filepath.Join(root, "docs", "measured.md"), mark, rows)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Root is the repository's folder: the one with the go.mod above the package under test.
func Root() (string, error) {
	folder, err := os.Getwd()
	for ; err == nil; folder = filepath.Dir(folder) {
		if _, missing := os.Stat(filepath.Join(folder, "go.mod")); missing == nil {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", errors.New("no folder above this one has a go.mod")
		}
	}
	return "", err
}

// Put writes the rows of a table between its marks in a file. Each row is a line of Markdown; the first two are the head.
func Put(file, mark string, rows []string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	begin, end := "<!-- table: "+mark+" -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no marks for the table %s: write %s%s where it belongs", file, mark, begin, end)
	}
	return os.WriteFile(file, []byte(before+begin+strings.Join(rows, "\n")+"\n"+end+after), 0o644)
}
