// Package tables writes what tests have measured into docs/measured.md.
package tables

import (
	"os"
	"strings"
	"testing"
)

// Write logs the rows of a table and, where RINGFENCE_WRITE_TABLES is set and the test has not failed, puts them between
// the table's marks in a file. Each row is a line of Markdown; the first two are the head.
func Write(t testing.TB, file, mark string, rows []string) {
	t.Helper()
	t.Logf("%s:\n%s", mark, strings.Join(rows, "\n"))
	if os.Getenv("RINGFENCE_WRITE_TABLES") == "" || t.Failed() {
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- table: "+mark+" -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no marks for the table %s", file, mark)
	}
	if err := os.WriteFile(file, []byte(before+begin+strings.Join(rows, "\n")+"\n"+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
