package tomlfile

import (
	"fmt"
	"sort"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

// lines flattens places to "path:line", arrays with the element's number.
func (p *Place) lines(path string) []string {
	var out []string
	for name, k := range p.keys {
		at := BareKey(name)
		if path != "" {
			at = path + "." + at
		}
		out = append(out, fmt.Sprintf("%s:%d", at, k.Line))
		out = append(out, k.lines(at)...)
	}
	for i := range p.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		out = append(out, fmt.Sprintf("%s:%d", at, p.items[i].Line))
		out = append(out, p.items[i].lines(at)...)
	}
	sort.Strings(out)
	return out
}

func TestPlaces(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"empty", "", nil},
		{"no line end", "a = 1", []string{"a:1"}},
		{"byte order mark", "\ufeffa = 1\nb = 2", []string{"a:1", "b:2"}},
		{"blank lines and comments", "# x = 1\n\na = 1 # b = 2\n  # c\n\tb = 2\n", []string{"a:3", "b:5"}},
		{"CRLF", "a = 1\r\n\r\nb = [\r\n1,\r\n2]\r\n", []string{"a:1", "b:3", "b[0]:4", "b[1]:5"}},
		{"# = [ ] in strings", "a = \"# = ] [x]\"\nb = '# \\'\nc = \"\\\"# \\\\\"\nd = 1", []string{"a:1", "b:2", "c:3", "d:4"}},
		{
			"multi-line strings", "a = \"\"\"\nb = 1\n[x]\n\\\"\"\"\" # \"\nc = '''\nd = 1'\n''\n'''\ne = 1",
			[]string{"a:1", "c:5", "e:9"},
		},
		{"quotes before closing quotes", "a = \"\"\"x\"\"\"\"\"\nb = '''y''''\nc = \"\"\nd = ''\n", []string{"a:1", "b:2", "c:3", "d:4"}},
		{
			"multi-line array", "a = [ # ]\n  \"x\", # one, \"\n\n  \"]\",\n  [1,\n2], ]\nb = 1",
			[]string{"a:1", "a[0]:2", "a[1]:4", "a[2]:5", "a[2][0]:5", "a[2][1]:6", "b:7"},
		},
		{
			"inline table", "a = { b = 1, \"c d\" = [2, 3], e.f = {} }\ng = 1",
			[]string{`a."c d":1`, `a."c d"[0]:1`, `a."c d"[1]:1`, "a.b:1", "a.e:1", "a.e.f:1", "a:1", "g:2"},
		},
		{"inline table over lines", "a = {\n b = 1, # x\n c = [\n  2,\n ],\n}", []string{"a.b:2", "a.c:3", "a.c[0]:4", "a:1"}},
		{
			"dotted keys", "a.b = 1\na . \"c\".d = 2\n'e.f'.g = 3\n\"\".h = 4",
			[]string{`"".h:4`, `"":4`, `"e.f".g:3`, `"e.f":3`, "a.b:1", "a.c.d:2", "a.c:2", "a:1"},
		},
		{
			"tables", "[a]\nx = 1\n[b.c] # d = 1\ny = 2\n[ b ]\nz = 3\n[a.\"d\"]\n",
			[]string{"a.d:7", "a.x:2", "a:1", "b.c.y:4", "b.c:3", "b.z:6", "b:5"},
		},
		{
			"arrays of tables", "[[r]]\na = 1\n[r.w]\nb = 2\n[[r]]\n\na = 3\n[[r.s]]\nc = 4\n[[r.s]]\n[r.s.t]\nd = 5\n[z]\n",
			[]string{
				"r:1", "r[0].a:2", "r[0].w.b:4", "r[0].w:3", "r[0]:1", "r[1].a:7", "r[1].s:8", "r[1].s[0].c:9", "r[1].s[0]:8",
				"r[1].s[1].t.d:12", "r[1].s[1].t:11", "r[1].s[1]:10", "r[1]:5", "z:13",
			},
		},
		{"array of inline tables", "r = [\n {a = 1},\n {a = 2,\n b = 3} ]", []string{"r:1", "r[0].a:2", "r[0]:2", "r[1].a:3", "r[1].b:4", "r[1]:3"}},
		{"bare values", "a = 2026-10-01 07:32:00 # x\nb = 1_000\nc = -inf\nd = true\ne=0x1F", []string{"a:1", "b:2", "c:3", "d:4", "e:5"}},
		{"escaped keys", "\"a\\u0062\\\"\\t\\x63\" = 1", []string{`"ab\"\tc":1`}},
		{"keys like values", "1 = 2\ntrue = 3\n2026-10-01 = 4\n3.14 = 5", []string{"1:1", "2026-10-01:3", "3.14:4", "3:4", "true:2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var values map[string]any
			if _, err := toml.Decode(test.text, &values); err != nil {
				t.Fatalf("the test's text is no TOML: %v", err)
			}
			sort.Strings(test.want)
			places, deep := findPlaces(test.text)
			if deep != 0 {
				t.Errorf("line %d is too deep", deep)
			}
			if diff := cmp.Diff(test.want, places.lines("")); diff != "" {
				t.Error(diff)
			}
			if missing := unplaced(values, places, ""); missing != "" {
				t.Errorf("no place for %s", missing)
			}
		})
	}
}

// unplaced is a decoded value that the places do not know, "" if there is none.
func unplaced(v any, p *Place, path string) string {
	switch v := v.(type) {
	case map[string]any:
		for name, child := range v {
			at := p.keys[name]
			if at == nil {
				return path + "." + name
			}
			if missing := unplaced(child, at, path+"."+name); missing != "" {
				return missing
			}
		}
	case []map[string]any:
		for i := range v {
			if i >= len(p.items) {
				return fmt.Sprintf("%s[%d]", path, i)
			}
			if missing := unplaced(v[i], &p.items[i], fmt.Sprintf("%s[%d]", path, i)); missing != "" {
				return missing
			}
		}
	case []any:
		for i := range v {
			if i >= len(p.items) {
				return fmt.Sprintf("%s[%d]", path, i)
			}
			if missing := unplaced(v[i], &p.items[i], fmt.Sprintf("%s[%d]", path, i)); missing != "" {
				return missing
			}
		}
	}
	return ""
}

// FuzzPlaces holds that every key and element that the decoder finds has a place, in a line that the text has, and that
// a text that is no TOML does no harm.
func FuzzPlaces(f *testing.F) {
	for _, seed := range []string{
		"a = 1\n[b]\nc = [\"x\", 'y', \"\"\"z\"\"\"]\n[[d.e]]\nf = {g = 1}\n",
		"a.b.c = 1\n\"d\\n\" = [[1], [{e = 2}]]\n",
		"a = [1, # [\n2]\r\n[ x . 'y' ]\n", "[[a]]\n[a.b]\n[[a.b.c]]\n[[a]]", "a = '''\n'''''\n", "\"\\", "[", "a=[{",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, deep := findPlaces(text)
		if deep > 0 {
			return
		}
		var values map[string]any
		if _, err := toml.Decode(text, &values); err != nil {
			return
		}
		if missing := unplaced(values, p, ""); missing != "" {
			t.Fatalf("no place for %s in %q", missing, text)
		}
		last := strings.Count(text, "\n") + 1
		for _, line := range p.lines("") {
			var n int
			fmt.Sscan(line[strings.LastIndexByte(line, ':')+1:], &n)
			if n < 1 || n > last {
				t.Fatalf("%s is not in a text of %d lines", line, last)
			}
		}
	})
}
