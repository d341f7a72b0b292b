// Package docs holds the reference of the policy language against the code: what it says is tried.
package docs

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"ringfence/conf"
	"ringfence/number"
	"ringfence/policy"
)

var update = flag.Bool("update", false, "write the tables of keys in policy.md from the schema")

const pageFile = "policy.md"

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// example is one ```toml block of the page; one with conditions alone is an example for each of its lines.
type example struct {
	line int
	text string
}

func examples(t *testing.T) []example {
	t.Helper()
	var all []example
	var block []string
	fence, start := "", 0
	for i, l := range strings.Split(page(t), "\n") {
		switch rest, mark := strings.CutPrefix(l, "```"); {
		case mark && fence == "":
			fence, start, block = rest, i+2, nil
			if fence != "toml" && fence != "sh" {
				t.Errorf("%s:%d: a block of %q, which no test reads", pageFile, i+1, fence)
			}
		case mark && fence == "toml" && strings.HasPrefix(block[0], "when"):
			for j, when := range block {
				all = append(all, example{start + j, fmt.Sprintf("[[rule]]\nname = \"example\"\n%s\naction = \"tag\"\nlabel = \"?\"", when)})
			}
			fence = ""
		case mark && fence == "toml":
			all = append(all, example{start, strings.Join(block, "\n")})
			fence = ""
		case mark:
			fence = ""
		default:
			block = append(block, l)
		}
	}
	if len(all) < 25 {
		t.Fatalf("only %d examples were found", len(all))
	}
	return all
}

// complete adds what an example leaves to the rest of a policy. first and last are its own lines in the text.
func (e example) complete() (text string, first, last int) {
	has := func(pattern string) bool { return regexp.MustCompile(`(?m)^` + pattern).MatchString(e.text) }
	var head, tail string
	for _, key := range []string{`country = "CN"`, `timezone = "Asia/Shanghai"`, `holidays = [2026-10-01]`} {
		if name, _, _ := strings.Cut(key, " "); !has(name + `\s*=`) {
			head += key + "\n"
		}
	}
	for _, table := range []string{"[lines.staff]\nnumbers = \"05925550000-05925550999\"\n", "[lines.hotline]\nnumbers = \"4008001234\"\n", "[trunks.telecom]\n"} {
		if name, _, _ := strings.Cut(table, "\n"); !has(regexp.QuoteMeta(name)) {
			tail += table
		}
	}
	if !has(`\[\[rule\]\]`) {
		tail += "[[rule]]\nname = \"every line\"\naction = \"allow\"\n"
	}
	text = head + e.text + "\n" + tail
	first = strings.Count(head, "\n") + 1
	return text, first, first + strings.Count(e.text, "\n")
}

func TestExamples(t *testing.T) {
	for _, e := range examples(t) {
		text, first, last := e.complete()
		p, faults := policy.Load("p.toml", []byte(text))
		for _, f := range faults {
			if !f.Warning || f.Line >= first && f.Line <= last {
				t.Errorf("%s:%d: %s: %s", pageFile, e.line+f.Line-first, f.Key, f.Text)
			}
		}
		if p == nil {
			continue
		}
		for _, name := range p.Announcements() {
			if !conf.Shipped(name) {
				t.Errorf("%s:%d: there is no announcement %q", pageFile, e.line, name)
			}
		}
		for _, r := range p.RunTests() {
			if !r.Passed {
				t.Errorf("%s:%d: %s", pageFile, e.line+r.Line-first, r)
			}
		}
	}
}

// TestEverythingHasAnExample holds that nothing of the language is left without one.
func TestEverythingHasAnExample(t *testing.T) {
	keys := make(map[string]bool)
	words := make(map[string]map[string]bool) // key → the texts and numbers that examples give it
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, inner := range v {
				switch path {
				case "":
				case "lines", "trunks":
					walk(path+".NAME", inner)
					continue
				case "numbers.assigned", "ranges", "detector.depth", "detector.count": // their keys are kinds, patterns, digits and what is counted
					if words[path] == nil {
						words[path] = make(map[string]bool)
					}
					words[path][key] = true
					walk(path, inner)
					continue
				default:
					key = path + "." + key
				}
				keys[key] = true
				walk(key, inner)
			}
		case []map[string]any:
			for _, inner := range v {
				walk(path, inner)
			}
		case []any:
			for _, inner := range v {
				walk(path, inner)
			}
		default:
			if words[path] == nil {
				words[path] = make(map[string]bool)
			}
			words[path][fmt.Sprint(v)] = true
		}
	}
	for _, e := range examples(t) {
		var values map[string]any
		if _, err := toml.Decode(e.text, &values); err != nil {
			t.Errorf("%s:%d: %v", pageFile, e.line, err)
		}
		walk("", values)
	}
	if diff := cmp.Diff(policy.Keys(), sortedKeys(keys)); diff != "" {
		t.Errorf("keys that the code knows (-) and that examples have (+):\n%s", diff)
	}
	for key, want := range map[string][]string{
		"rule.action":           policy.ActionNames(),
		"rule.when.caller_kind": number.KindNames(),
		"rule.when.attestation": policy.Attestations(),
		"rule.when.written":     number.FormNames(),
		"detector.count":        policy.CountedNames(),
		"detector.key":          {"caller", "prefix", "prefix:4", "holder", "trunk", "callee", "all"},
	} {
		for _, word := range want {
			if !words[key][word] {
				t.Errorf("no example has %s = %q", key, word)
			}
		}
	}
}

// TestHeadings holds the parts of the page against the words of the language.
func TestHeadings(t *testing.T) {
	text := page(t)
	names := func(section string) []string {
		var all []string
		for _, h := range regexp.MustCompile("(?m)^### (.*)$").FindAllStringSubmatch(part(t, text, section), -1) {
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(h[1], -1) {
				all = append(all, m[1])
			}
		}
		return all
	}
	if diff := cmp.Diff(policy.ActionNames(), names("Actions")); diff != "" {
		t.Errorf("actions:\n%s", diff)
	}
	var conditions []string
	for _, key := range policy.Keys() {
		if name, ok := strings.CutPrefix(key, "rule.when."); ok {
			conditions = append(conditions, name)
		}
	}
	got := names("Conditions")
	slices.Sort(got)
	if diff := cmp.Diff(conditions, got); diff != "" {
		t.Errorf("conditions:\n%s", diff)
	}

	anchors := make(map[string]bool)
	for _, h := range regexp.MustCompile("(?m)^#+ (.*)$").FindAllStringSubmatch(text, -1) {
		slug := regexp.MustCompile(`[^a-z0-9_ -]`).ReplaceAllString(strings.ToLower(h[1]), "")
		anchors[strings.ReplaceAll(slug, " ", "-")] = true
	}
	for _, link := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(text, -1) {
		if !anchors[link[1]] {
			t.Errorf("a link goes to #%s, and no heading is called so", link[1])
		}
	}
}

// TestKeyTables holds the tables of keys against the schema, and with -update writes them. The schema is held against
// the code.
func TestKeyTables(t *testing.T) {
	old := page(t)
	sch := readSchema(t)
	marks := regexp.MustCompile(`(?s)(<!-- keys:([^>]*) -->\n).*?(<!-- end -->)`)
	seen := make(map[string]bool)
	text := marks.ReplaceAllStringFunc(old, func(block string) string {
		m := marks.FindStringSubmatch(block)
		path := strings.TrimSpace(m[2])
		seen[path] = true
		action, ofAction := strings.CutPrefix(path, "action ")
		if !ofAction {
			action = ""
		} else {
			path = "rule"
		}
		var b strings.Builder
		b.WriteString(m[1] + "| key | | without it |\n| --- | --- | --- |\n")
		for _, key := range keysOf(sch, path, action) {
			k := sch.at(join(path, key))
			without := "–"
			switch {
			case sch.requires(path, key, action):
				without = "a fault"
			case k["default"] != nil:
				without = "`" + literal(k["default"]) + "`"
			case key == "media" && action != "":
				without = mediaDefaults[action]
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", key, k["description"], without)
		}
		return b.String() + m[3]
	})
	for _, want := range []string{
		"", "numbers", "lines.NAME", "trunks.NAME", "detector", "score", "rule", "rule.when", "test",
		"action allow", "action tag", "action warn", "action challenge", "action divert", "action reject",
	} {
		if !seen[want] {
			t.Errorf("the page has no table of keys %q", want)
		}
	}
	if text == old {
		return
	}
	if !*update {
		t.Fatalf("the tables of keys are not those of the schema; go test ./docs -update writes them:\n%s", cmp.Diff(old, text))
	}
	if err := os.WriteFile(pageFile, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// literal is a value of the schema as the policy file writes it.
func literal(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
