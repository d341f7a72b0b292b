package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// repository is what is read: go test starts a package's tests in its folder.
var repository = os.DirFS(".")

// source is a Go file of the repository.
type source struct {
	name string // with its folder: policy/decide.go
	room string // its folder: policy
	test bool
	tree *ast.File
}

// sources parses all Go files of the repository.
func sources(t *testing.T) (*token.FileSet, []source) {
	t.Helper()
	set := token.NewFileSet()
	var all []source
	err := fs.WalkDir(repository, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || entry.Name() == "build") {
			return fs.SkipDir
		}
		if entry.IsDir() || path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(repository, name)
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{name, path.Dir(name), strings.HasSuffix(name, "_test.go"), tree})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("found %d Go files, want all of the repository", len(all))
	}
	return set, all
}

// Bounds on what a reader has to keep in mind at once.
const (
	maxFileLines     = 500
	maxFunctionLines = 80
)

// TestSizes holds that a file or a function over the bounds says at its head why it is better left in one piece:
// `// long: because …`, see CONTRIBUTING.md.
func TestSizes(t *testing.T) {
	set, all := sources(t)
	report := func(key, format string, args ...any) {
		t.Errorf("%s %s: cut it at a seam, or write above it `// long: because …`", key, fmt.Sprintf(format, args...))
	}
	for _, s := range all {
		if n := set.Position(s.tree.FileEnd).Line - 1; n > maxFileLines && !fileSaysWhy(s.tree) {
			report(s.name, "has %d lines, over %d", n, maxFileLines)
		}
		for _, f := range functions(s.tree) {
			n := set.Position(f.end).Line - set.Position(f.begin).Line + 1
			if n > maxFunctionLines && !saysWhy(f.doc) {
				report(s.name+" "+f.name, "has %d lines, over %d", n, maxFunctionLines)
			}
		}
	}
}

// function is one declared, with its receiver in the name: Desk.Add. One that is written within another counts
// with that.
type function struct {
	name       string
	doc        *ast.CommentGroup
	begin, end token.Pos
}

func functions(tree *ast.File) []function {
	var all []function
	for _, d := range tree.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		name := f.Name.Name
		if f.Recv != nil {
			receiver := f.Recv.List[0].Type
			star, pointer := receiver.(*ast.StarExpr)
			if pointer {
				receiver = star.X
			}
			if generic, ok := receiver.(*ast.IndexExpr); ok {
				receiver = generic.X
			}
			if id, ok := receiver.(*ast.Ident); ok {
				name = id.Name + "." + name
			}
		}
		all = append(all, function{name, f.Doc, f.Pos(), f.End()})
	}
	return all
}

// fileSaysWhy reports whether a reason stands above the package clause.
func fileSaysWhy(tree *ast.File) bool {
	for _, group := range tree.Comments {
		if group.Pos() < tree.Package && saysWhy(group) {
			return true
		}
	}
	return false
}

func saysWhy(comments *ast.CommentGroup) bool {
	if comments == nil {
		return false
	}
	return slices.ContainsFunc(comments.List, func(c *ast.Comment) bool {
		why, ok := strings.CutPrefix(c.Text, "// long: because ")
		return ok && len(strings.Fields(why)) >= 3
	})
}

// TestRunOnceMore holds that a test which leaves itself to `make test` to run it without the race detector is run there: else nobody would miss it, since
// what was not tested does not name it.
func TestRunOnceMore(t *testing.T) {
	text, err := fs.ReadFile(repository, "Makefile")
	if err != nil {
		t.Fatal(err)
	}
	plain := regexp.MustCompile(`(?m)^test:.*\n\t\$\(GO\) test -run '(.*)' (.*)$`).FindStringSubmatch(string(text))
	if plain == nil {
		t.Fatal("the Makefile's test does not begin with the tests that are run without the race detector")
	}
	pattern, rooms := regexp.MustCompile("^("+strings.ReplaceAll(plain[1], "$$", "$")+")"), strings.Fields(plain[2])
	_, all := sources(t)
	found := 0
	for _, s := range all {
		for _, d := range s.tree.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !leavesItself(f) {
				continue
			}
			if found++; !pattern.MatchString(f.Name.Name) || !slices.Contains(rooms, "./"+s.room) {
				t.Errorf("%s %s says that `make test` runs it once more, which it does not: add it to the first command there", s.name, f.Name.Name)
			}
		}
	}
	if found < 4 {
		t.Errorf("found %d such tests, want all of them", found)
	}
}

// leavesItself reports whether a test skips itself with the words that the list of what was not tested passes over.
func leavesItself(f *ast.FuncDecl) (leaves bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 1 {
			return true
		}
		if skip, ok := call.Fun.(*ast.SelectorExpr); ok && skip.Sel.Name == "Skip" {
			why, ok := call.Args[0].(*ast.BasicLit)
			leaves = leaves || ok && strings.Contains(why.Value, "`make test` runs this once more")
		}
		return true
	})
	return leaves
}
