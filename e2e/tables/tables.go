// Package tables writes what tests have measured into docs/measured.md.
package tables

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Write logs the rows of a table and, where RINGFENCE_WRITE_TABLES is set and the test has not failed, puts them between
// the table's marks in a file.
func Write(t testing.TB, file, mark string, rows []string) {
	t.Helper()
	t.Logf("%s:\n%s", mark, strings.Join(rows, "\n"))
	if os.Getenv("RINGFENCE_WRITE_TABLES") == "" || t.Failed() {
		return
	}
	if err := Put(file, mark, rows); err != nil {
		t.Fatal(err)
	}
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
