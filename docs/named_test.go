package docs

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	testDeclared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w*)\(`)
	testNamed    = regexp.MustCompile("`(?:Test|Fuzz|Benchmark)[A-Z]\\w*…?`")
	fileNamed    = regexp.MustCompile("`[a-z][a-z0-9_/]*\\.(?:go|md|awk|sh)`")
)

// TestNamed holds that the tests and files of the repository that pages name are there: a page that says what shows a promise is worth nothing
// once that has another name.
func TestNamed(t *testing.T) {
	var pages, files, declared []string
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == "build" || name != "." && strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case entry.IsDir():
			return nil
		}
		files = append(files, name)
		switch {
		case path.Ext(name) == ".md" && name != "CHANGELOG.md": // that says what was
			pages = append(pages, name)
		case strings.HasSuffix(name, "_test.go"):
			text, err := fs.ReadFile(root, name)
			if err != nil {
				return err
			}
			for _, m := range testDeclared.FindAllStringSubmatch(string(text), -1) {
				declared = append(declared, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range pages {
		text, err := fs.ReadFile(root, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range testNamed.FindAllString(string(text), -1) {
			name = strings.Trim(name, "`")
			prefix, several := strings.CutSuffix(name, "…")
			if found++; !slices.ContainsFunc(declared, func(d string) bool { return d == prefix || several && strings.HasPrefix(d, prefix) }) {
				t.Errorf("%s names the test %s, which is nowhere", page, name)
			}
		}
		for _, name := range fileNamed.FindAllString(string(text), -1) {
			name = strings.Trim(name, "`")
			if found++; !slices.ContainsFunc(files, func(f string) bool {
				return f == name || f == path.Join(path.Dir(page), name) || !strings.Contains(name, "/") && path.Base(f) == name
			}) {
				t.Errorf("%s names the file %s, which is not there", page, name)
			}
		}
	}
	if len(pages) < 15 || found < 100 {
		t.Errorf("%d names were found on %d pages, want all there are", found, len(pages))
	}
}
