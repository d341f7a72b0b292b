package cmd

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"ringfence/terminal"
)

// Each command says what it does on one line of a terminal of 80 columns, and its help fits on one.
func TestHelpFits(t *testing.T) {
	for _, args := range allCommands(t) {
		var out, errs bytes.Buffer
		if status := Main(append(args, "--help"), strings.NewReader(""), &out, &errs); status != done || errs.Len() > 0 {
			t.Errorf("%q --help ends with %d, %s", args, status, errs.String())
		}
		for line := range strings.Lines(strings.ReplaceAll(out.String(), os.Args[0], "./ringfence")) {
			if n := terminal.Columns(strings.TrimSuffix(line, "\n")); n > terminal.Page {
				t.Errorf("%q --help has %d columns: %s", args, n, line)
			}
		}
		if len(args) > 0 && !strings.HasPrefix(out.String(), "Usage: ringfence "+strings.Join(args, " ")) {
			t.Errorf("%q --help is about something else: %.80q", args, out.String())
		}
	}
}

// allCommands are the words of each command, and those of none.
func allCommands(t *testing.T) [][]string {
	t.Helper()
	parser, err := kong.New(&commands{}, kong.Name("ringfence"), kong.Vars{"config": "c", "version": "v"})
	if err != nil {
		t.Fatal(err)
	}
	all := [][]string{nil}
	var walk func(node *kong.Node, before []string)
	walk = func(node *kong.Node, before []string) {
		for _, c := range node.Children {
			words := append(append([]string{}, before...), c.Name)
			all = append(all, words)
			walk(c, words)
		}
	}
	walk(parser.Model.Node, nil)
	return all
}
