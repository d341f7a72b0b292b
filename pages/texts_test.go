package pages

import (
	"go/ast"
	"go/parser"
	"go/token"
	"html/template"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template/parse"

	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
)

// families are words that the daemon says, or that the code chooses among, so that no template names their keys. Each word has a text.
func families() map[string][]string {
	var nav, fields []string
	for _, n := range navigation {
		nav = append(nav, n.page)
	}
	for name := range new(filter).fields() {
		if name != "cursor" {
			fields = append(fields, name)
		}
	}
	var examples []string
	for _, name := range fields {
		switch name {
		case "action", "would", "kind", "outcome": // they have a list to choose from
		default:
			examples = append(examples, name)
		}
	}
	words := map[string][]string{
		"language": Languages, "nav": nav, "keys.of": nav,
		"error": {"400", "401", "403", "404", "405", "409", "415", "429", "500"}, "error.do": {"400", "401", "403", "404", "405", "409", "415", "429", "500"},
		"signin.wrong": {"password", "oidc", "role"}, "password.wrong": {"differ", "busy", "said", "current", "empty"}, "account.done": {"password", "passkey", "session"}, // of package web
		"role":   {string(console.Viewer), string(console.Reviewer), string(console.Admin)},
		"action": append(policy.ActionNames(), contractActions(policy.ActionNames())...), "kind": number.KindNames(), "rule": policy.ReservedRules(), "outcome": outcomes,
		"by":      {"caller", "callee", "ringfence", "switch"},
		"breaker": {console.BreakerClosed, console.BreakerTripped, console.BreakerProbing},
		"filter":  fields, "filter.example": examples,
		"ask": {"block", "allow"}, "ask.do": {"block", "allow"}, "ask.list": {"block", "allow"}, "ask.own": {"block", "allow"}, "ask.reason": {"block", "allow"},
		"done.added": {"block", "allow"}, "done.updated": {"block", "allow"}, "done.unchanged": {"block", "allow"}, "done.refused": {"block", "allow"},
	}
	maps.Copy(words, deskFamilies())
	return words
}

// contractActions are the actions that another version's policy may have, and this journal from it.
func contractActions(have []string) (more []string) {
	for _, a := range []string{"ask", "listen"} {
		if !slices.Contains(have, a) {
			more = append(more, a)
		}
	}
	return more
}

// parsed calls f for each template, with the file it is in.
func parsed(t *testing.T, f func(file string, tree *parse.Tree)) {
	t.Helper()
	set := &tongue{lang: "en", texts: texts{}, p: &Pages{}}
	set.p.static, _ = newAssets()
	n := 0
	err := fs.WalkDir(htmlFiles, "html", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := htmlFiles.ReadFile(name)
		if err != nil {
			return err
		}
		all, err := template.New("").Funcs(set.funcs()).Parse(string(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return nil
		}
		for _, one := range all.Templates() {
			if one.Tree != nil {
				n++
				f(name, one.Tree)
			}
		}
		return nil
	})
	if err != nil || n < 20 {
		t.Fatalf("%d templates, error %v", n, err)
	}
}

// walk calls f for each node of a template.
func walk(n parse.Node, f func(parse.Node)) {
	if n == nil {
		return
	}
	f(n)
	branch := func(b *parse.BranchNode) {
		walk(b.Pipe, f)
		walk(b.List, f)
		if b.ElseList != nil {
			walk(b.ElseList, f)
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, one := range n.Nodes {
			walk(one, f)
		}
	case *parse.ActionNode:
		walk(n.Pipe, f)
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			walk(c, f)
		}
	case *parse.CommandNode:
		for _, a := range n.Args {
			walk(a, f)
		}
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.TemplateNode:
		if n.Pipe != nil {
			walk(n.Pipe, f)
		}
	}
}

// keysAsked are the keys that templates and code name, with where, and the beginnings of those that are put together.
func keysAsked(t *testing.T, known func(string) bool) (keys map[string]string, begun []string) {
	t.Helper()
	keys = make(map[string]string)
	parsed(t, func(file string, tree *parse.Tree) {
		walk(tree.Root, func(n parse.Node) {
			c, ok := n.(*parse.CommandNode)
			if !ok || len(c.Args) < 2 {
				return
			}
			if id, ok := c.Args[0].(*parse.IdentifierNode); !ok || id.Ident != "t" {
				return
			}
			switch a := c.Args[1].(type) {
			case *parse.StringNode:
				keys[a.Text] = file
			case *parse.PipeNode: // (print "ask." .Do): its family is above
				begun = append(begun, a.String())
			case *parse.FieldNode: // a key that the code has chosen
			default:
				t.Errorf("%s: %s asks for a text in a way that this test does not know", file, c)
			}
		})
	})
	files, err := fs.Glob(staticSources, "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && len(call.Args) > 0 {
				if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "T" {
					if lit, ok := call.Args[0].(*ast.BasicLit); ok {
						key, _ := strconv.Unquote(lit.Value)
						keys[key] = name
					}
				}
			}
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if key, err := strconv.Unquote(lit.Value); err == nil && known(key) {
					keys[key] = name // one that is handed on, as Key: "figure.stopped"
				}
			}
			return true
		})
	}
	return keys, begun
}

// TestTexts holds that each string that pages ask for is there in each language, and that none is there for nothing.
func TestTexts(t *testing.T) {
	all, err := readTexts()
	if err != nil {
		t.Fatal(err)
	}
	en := all["en"]
	keys, _ := keysAsked(t, func(key string) bool { return en[key] != "" && strings.Contains(key, ".") })
	used := make(map[string]bool)
	for key, where := range keys {
		used[key] = true
		if en[key] == "" {
			t.Errorf("%s asks for the text %q, which texts.tsv does not have", where, key)
		}
	}
	for family, words := range families() {
		for _, word := range words {
			used[family+"."+word] = true
			if en[family+"."+word] == "" {
				t.Errorf("the word %q of %s has no text", word, family)
			}
		}
	}
	for key := range en {
		if !used[key] {
			t.Errorf("texts.tsv: %s is asked for by nobody", key)
		}
	}
	hole := regexp.MustCompile(`\{[0-9]+`)
	for key, text := range en {
		zh := all["zh"][key]
		holes := func(s string) []string {
			return slices.Compact(slices.Sorted(slices.Values(hole.FindAllString(s, -1))))
		}
		if got, want := holes(zh), holes(text); !slices.Equal(got, want) {
			t.Errorf("texts.tsv: %s: the Chinese takes %v, the English %v", key, got, want)
		}
		if zh == text && strings.IndexFunc(text, func(r rune) bool { return r >= 'a' && r <= 'z' }) >= 0 && !sameEverywhere(key) {
			t.Errorf("texts.tsv: %s is %q in both languages: not translated", key, text)
		}
	}
}

// sameEverywhere reports whether a text is the same in both languages: a letter of a key, an example as it is typed, a name.
func sameEverywhere(key string) bool {
	for _, begin := range []string{"keys.of.", "filter.example."} {
		if strings.HasPrefix(key, begin) {
			return true
		}
	}
	return false
}

// TestNoLiteralText holds that no template says anything in a language of its own.
func TestNoLiteralText(t *testing.T) {
	inTag := regexp.MustCompile(`(?s)<[^>]*>|<[^>]*$|^[^<]*>`)
	spoken := regexp.MustCompile(`(?:title|alt|placeholder|aria-label|aria-description|value)="([^"{]*\pL{2,}[^"{]*)"`)
	parsed(t, func(file string, tree *parse.Tree) {
		var b strings.Builder
		walk(tree.Root, func(n parse.Node) {
			if text, ok := n.(*parse.TextNode); ok {
				b.Write(text.Text)
			} else if _, ok := n.(*parse.ActionNode); ok {
				b.WriteString("{}")
			}
		})
		whole := b.String()
		for _, m := range spoken.FindAllStringSubmatch(whole, -1) {
			t.Errorf("%s: %s: an attribute says %q itself", file, tree.Name, m[1])
		}
		for _, word := range regexp.MustCompile(`\pL{2,}`).FindAllString(inTag.ReplaceAllString(whole, " "), -1) {
			if !slices.Contains([]string{"Ringfence", "CSV", "JSON", "Esc"}, word) {
				t.Errorf("%s: %s says %q itself: put it into texts.tsv", file, tree.Name, word)
			}
		}
	})
}

func TestFill(t *testing.T) {
	for _, test := range []struct {
		text string
		args []string
		want string
	}{
		{"no holes", nil, "no holes"},
		{"{0} {0|call|calls}", []string{"1"}, "1 call"},
		{"{0} {0|call|calls}", []string{"2"}, "2 calls"},
		{"{1} of {0}", []string{"a", "b"}, "b of a"},
		{"{0} in {1}", []string{"{1}"}, "{1} in {1}"},
		{"{0", []string{"a"}, "{0"},
	} {
		if got := fill(test.text, test.args); got != test.want {
			t.Errorf("fill(%q, %q) = %q, want %q", test.text, test.args, got, test.want)
		}
	}
}

// TestShown holds that a text of a caller shows what would otherwise hide in it or reach out of its place.
func TestShown(t *testing.T) {
	for in, want := range map[string]string{
		"王小明":                                    "王小明",
		"Jos\xe9":                                `Jos\xE9`,
		"a\u202eb":                               "a⟨U+202E⟩b",
		"a\u2066b\u2069":                         "a⟨U+2066⟩b⟨U+2069⟩",
		"a\x00b\nc":                              "a⟨U+0000⟩b⟨U+000A⟩c",
		"a\u200bb":                               "a⟨U+200B⟩b",
		"e\u0301":                                "e\u0301",
		"Z" + strings.Repeat("\u0335", 50) + "a": "Z\u0335\u0335\u0335⟨…⟩a",
	} {
		if got := shown(in); got != want {
			t.Errorf("shown(%q) = %q, want %q", in, got, want)
		}
	}
}
