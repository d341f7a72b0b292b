package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testNamed is a test that a page names for what it shows; an ellipsis is for several that begin so.
var testNamed = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9_]*)(…?)`")

// Each test that a page names is there.
func TestTestsAreThere(t *testing.T) {
	var tests []string
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range function.FindAllStringSubmatch(string(text), -1) {
			tests = append(tests, m[1])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("*.md")
	if err != nil || len(pages) < 5 || len(tests) < 100 {
		t.Fatalf("%d pages and %d tests are found: %v", len(pages), len(tests), err)
	}
	for _, page := range append(pages, "../storage/DESIGN.md", "../eslbridge/DESIGN.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Error(err)
		}
		for _, m := range testNamed.FindAllStringSubmatch(string(text), -1) {
			there := false
			for _, name := range tests {
				there = there || name == m[1] || m[2] != "" && strings.HasPrefix(name, m[1])
			}
			if !there {
				t.Errorf("%s names %s, and there is no such test", page, m[1]+m[2])
			}
		}
	}
}
