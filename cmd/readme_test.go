package cmd

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"ringfence/conf"
	"ringfence/policy"
)

// pages are what people copy commands from.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	texts := map[string]string{}
	for _, file := range append(files, "../README.md", "../CONTRIBUTING.md", "../SECURITY.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	return texts
}

// Commands that the pages show are ones that the program knows, and targets ones that the Makefile has.
func TestCommandsOfThePages(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	parser, err := kong.New(&commands{}, kong.Name("ringfence"), kong.Vars{"config": conf.DefaultFile})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for page, text := range pages(t) {
		for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
			for line := range strings.Lines(block[1]) {
				words := shellWords(line)
				switch {
				case len(words) > 1 && words[0] == "ringfence":
					found++
					if _, err := parser.Parse(words[1:]); err != nil {
						t.Errorf("%s: %q: %v", page, strings.TrimSpace(line), err)
					}
				case len(words) > 1 && words[0] == "make":
					found++
					if !regexp.MustCompile(`(?m)^` + words[1] + `:`).Match(makefile) {
						t.Errorf("%s: the Makefile has no target %s", page, words[1])
					}
				}
			}
		}
	}
	if found < 30 {
		t.Errorf("found %d commands, want at least 30: are the pages read as they are written?", found)
	}
}

// shellWords are the words of a line as a shell would read the few things that the pages have in them.
func shellWords(line string) []string {
	line = strings.TrimPrefix(strings.TrimSpace(line), "sudo ")
	var words []string
	for _, m := range regexp.MustCompile(`"([^"]*)"|'([^']*)'|((?:\$\([^)]*\)|\S)+)`).FindAllStringSubmatch(line, -1) {
		word := m[1] + m[2] + m[3]
		if strings.HasPrefix(m[3], "#") || m[3] == ">" || m[3] == "|" {
			break
		}
		words = append(words, word)
	}
	return words
}

// The policy that the README shows is one.
func TestPolicyOfTheReadme(t *testing.T) {
	_, rest, _ := strings.Cut(pages(t)["../README.md"], "```toml\n")
	text, _, _ := strings.Cut(rest, "```")
	p, faults := policy.Load("README.md", []byte(text))
	for _, f := range faults {
		t.Error(f)
	}
	if p == nil {
		t.Error("the README has no policy in it")
	}
}
