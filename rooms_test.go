package main

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ringfence/e2e/tables"
)

var update = flag.Bool("update", false, "write the table of who may import whom into docs/architecture.md")

// room is what a package, or the packages in a folder at the top, may use.
type room struct {
	imports []string // other rooms
	pure    bool     // neither the machine nor a clock: what it says depends on what it is given alone
	wires   bool     // it puts all others together
}

// rooms is who may import whom; docs/architecture.md has it as a table. A room that is not there yet is not checked.
var rooms = map[string]room{
	// What is true of numbers and rules, whatever the machine.
	"tomlfile": {pure: true},
	"number":   {pure: true},
	"policy":   {pure: true, imports: []string{"number", "tomlfile"}},
	"detect":   {pure: true, imports: []string{"number", "policy"}},
	"marks":    {pure: true, imports: []string{"number"}},
	"traffic":  {pure: true, imports: []string{"number", "policy"}},

	// What is kept.
	"lists":    {imports: []string{"number", "policy"}},
	"lines":    {pure: true, imports: []string{"number", "policy"}},
	"textfile": {},
	"listfile": {imports: []string{"textfile"}},
	"rawtext":  {pure: true},
	"storage":  {imports: []string{"number", "rawtext"}},

	// What is told to us, and by whom.
	"conf":      {imports: []string{"tomlfile"}},
	"alert":     {imports: []string{"number", "rawtext"}},
	"bridge":    {},
	"eslbridge": {imports: []string{"attach", "bridge"}},
	"agibridge": {imports: []string{"bridge"}},
	"attach":    {},
	"ami":       {imports: []string{"attach", "bridge"}},

	// What is done with it.
	"inforce":   {imports: []string{"conf", "detect", "lines", "lists", "policy"}},
	"pseudonym": {imports: []string{"number", "policy", "storage"}},
	"screening": {imports: []string{"attach", "bridge", "conf", "detect", "inforce", "number", "policy", "pseudonym", "storage", "traffic"}},
	"desk":      {imports: []string{"alert", "conf", "console", "detect", "inforce", "lines", "listfile", "lists", "marks", "notice", "number", "policy", "pseudonym", "replay", "storage", "tomlfile", "traffic"}},
	"notice":    {imports: []string{"alert", "number", "policy", "storage"}},
	"feed":      {imports: []string{"alert", "conf", "console", "listfile", "number", "policy"}},
	"console":   {imports: []string{"number", "policy", "rawtext", "tomlfile"}},
	"access":    {imports: []string{"console", "number", "policy", "rawtext", "storage"}},
	"pages":     {imports: []string{"console", "number", "policy", "rawtext"}},
	"metrics":   {imports: []string{"console", "policy"}},
	"web":       {imports: []string{"access", "conf", "console", "metrics", "number", "pages"}},
	"replay":    {imports: []string{"console", "detect", "lists", "number", "policy", "textfile", "traffic"}},
	"dialplan":  {imports: []string{"conf"}},
	"doctor":    {imports: []string{"conf", "console", "dialplan", "eslbridge", "policy"}},
	"standin":   {},
	"terminal":  {},
	"cluster":   {imports: []string{"conf", "console", "detect", "policy", "storage"}},
	"daemon":    {wires: true},

	// Who starts it.
	"cmd": {wires: true},
	".":   {imports: []string{"cmd"}},
	"e2e": {wires: true},

	// Tests alone.
	"docs":    {},
	"systemd": {},
}

// TestRooms holds the imports of the packages against the table.
func TestRooms(t *testing.T) {
	_, all := sources(t)
	page, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	report := func(what, why string, s source) {
		t.Helper()
		t.Errorf("%s: %s: %s", s.name, what, why)
	}
	for name := range rooms {
		if _, err := os.Stat(name); err == nil && name != "." && !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/architecture.md does not say what `%s` is", name)
		}
	}
	graph := map[string]map[string]bool{}
	for _, s := range all {
		name, _, _ := strings.Cut(s.room, "/")
		r, known := rooms[name]
		if !known {
			t.Errorf("%s: the room %s has no row in the table of rooms_test.go", s.name, name)
			rooms[name] = room{wires: true} // once is enough
			continue
		}
		for _, spec := range s.tree.Imports {
			full, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			own, isOurs := strings.CutPrefix(full, "ringfence/")
			other, _, _ := strings.Cut(own, "/")
			what := name + " imports " + other
			switch {
			case !isOurs || other == name:
			case name == "screening" && other == "desk", name == "desk" && other == "screening":
				report(what, "what both need is handed in", s)
			case s.test: // a test may use what it needs to set its stage
			case other == "daemon" && name != "cmd" && name != "e2e":
				report(what, "only cmd starts the daemon", s)
			case !r.wires && !slices.Contains(r.imports, other):
				report(what, "its row in rooms_test.go does not have it", s)
			}
			if isOurs && !s.test && other != name {
				if graph[name] == nil {
					graph[name] = map[string]bool{}
				}
				graph[name][other] = true
			}
		}
		if r.pure && !s.test {
			for _, impure := range impurities(s.tree) {
				report(name+" uses "+impure, "a pure room is given what it needs, the time too", s)
			}
		}
	}
	if circle := findCircle(graph); circle != nil {
		t.Errorf("rooms import each other in a circle: %s", strings.Join(circle, " → "))
	}
}

// TestRoomsTable holds that the page says who may import whom, as rooms has it.
func TestRoomsTable(t *testing.T) {
	const page = "docs/architecture.md"
	rows := importRows(func(name string) bool { _, err := os.Stat(name); return err == nil })
	if *update {
		if err := tables.Put(page, "imports", rows); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "<!-- table: imports -->\n")
	table, _, _ := strings.Cut(after, "\n<!-- end -->")
	if want := strings.Join(rows, "\n"); table != want {
		t.Errorf("%s does not say who may import whom: `go test . -run TestRoomsTable -update` writes it. got:\n%s\nwant:\n%s", page, table, want)
	}
	for name, r := range rooms {
		for _, other := range r.imports {
			if _, known := rooms[other]; !known || other == name {
				t.Errorf("rooms_test.go: %s may import %s, which is no other room", name, other)
			}
		}
		if r.pure {
			for _, other := range r.imports {
				if !rooms[other].pure {
					t.Errorf("rooms_test.go: %s is pure and may import %s, which is not", name, other)
				}
			}
		}
	}
}

// importRows is rooms as rows of Markdown, those that are there: the pure ones first, those that may import all last.
func importRows(there func(name string) bool) []string {
	rows := []string{"| room | may import |", "| --- | --- |"}
	var last []string
	for _, pure := range []bool{true, false} {
		for _, name := range slices.Sorted(maps.Keys(rooms)) {
			r := rooms[name]
			if r.pure != pure || name == "." || !there(name) {
				continue
			}
			if r.wires {
				last = append(last, "| `"+name+"` | all rooms |")
				continue
			}
			may := "no other room"
			if len(r.imports) > 0 {
				may = "`" + strings.Join(r.imports, "`, `") + "`"
			}
			if pure {
				may += "; pure"
			}
			rows = append(rows, "| `"+name+"` | "+may+" |")
		}
	}
	return append(rows, last...)
}

// impurities are what a file uses of the machine and its clock.
func impurities(tree *ast.File) []string {
	var found []string
	clock := ""
	for _, spec := range tree.Imports {
		full, _ := strconv.Unquote(spec.Path.Value)
		switch {
		case full == "time":
			if clock = "time"; spec.Name != nil {
				clock = spec.Name.Name
			}
		case full == "net/netip", full == "net/url":
		case full == "os", full == "net", full == "syscall", strings.HasPrefix(full, "os/"), strings.HasPrefix(full, "net/"), strings.HasPrefix(full, "golang.org/x/sys"):
			found = append(found, full)
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		if call, ok := n.(*ast.SelectorExpr); ok {
			if of, ok := call.X.(*ast.Ident); ok && of.Name == clock && slices.Contains([]string{
				"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker",
			}, call.Sel.Name) {
				found = append(found, "time."+call.Sel.Name)
			}
		}
		return true
	})
	return found
}

// findCircle is a way through the graph that comes back to where it began, nil if there is none.
func findCircle(graph map[string]map[string]bool) []string {
	finished := map[string]bool{}
	var way []string
	var walk func(name string) []string
	walk = func(name string) []string {
		if at := slices.Index(way, name); at >= 0 {
			return append(slices.Clone(way[at:]), name)
		}
		if finished[name] {
			return nil
		}
		way = append(way, name)
		for other := range graph[name] {
			if circle := walk(other); circle != nil {
				return circle
			}
		}
		way, finished[name] = way[:len(way)-1], true
		return nil
	}
	for name := range graph {
		if circle := walk(name); circle != nil {
			return circle
		}
	}
	return nil
}

// TestRoomsFindFaults holds that the checks themselves see what they are for.
func TestRoomsFindFaults(t *testing.T) {
	if got := findCircle(map[string]map[string]bool{"a": {"b": true}, "b": {"c": true}, "c": {"b": true}}); len(got) != 3 {
		t.Errorf("got the circle %q, want one of b and c", got)
	}
	if got := findCircle(map[string]map[string]bool{"a": {"b": true, "c": true}, "b": {"c": true}}); got != nil {
		t.Errorf("got the circle %q where there is none", got)
	}
	text := "package x\nimport (\n\"net/netip\"\n\"os/exec\"\nclock \"time\"\n)\nvar _, _, _ = clock.Now, clock.Second, exec.Command\nvar _ netip.Addr\n"
	tree, err := parser.ParseFile(token.NewFileSet(), "x.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := impurities(tree); !slices.Equal(got, []string{"os/exec", "time.Now"}) {
		t.Errorf("got %q, want os/exec and time.Now", got)
	}
}
