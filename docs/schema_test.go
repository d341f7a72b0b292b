package docs

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringfence/policy"
)

const schemaFile = "../conf/policy.schema.json"

// schema is the schema or a part of it. The whole has its text under "order", which tells the order of keys.
type schema map[string]any

func readSchema(t *testing.T) schema {
	t.Helper()
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	s["order"] = string(text)
	return s
}

// at is the part for a key with the tables it stands in, as policy.Keys writes it.
func (s schema) at(path string) schema {
	at := s
	for _, key := range strings.Split(path, ".") {
		if path == "" {
			break
		}
		props, _ := at.table()["properties"].(map[string]any)
		switch inner := props[key].(type) {
		case map[string]any:
			at = inner
		default:
			at = at.named()
		}
	}
	return at
}

// named is the part for tables that have names of the operator's, nil if there are none.
func (s schema) named() schema {
	byName, _ := s["patternProperties"].(map[string]any)
	for _, inner := range byName {
		return inner.(map[string]any)
	}
	return nil
}

// table is the part that has the keys: of an array of tables that of its elements.
func (s schema) table() schema {
	items, ok := s["items"].(map[string]any)
	if !ok {
		return s
	}
	if all, ok := items["allOf"].([]any); ok {
		return all[0].(map[string]any)
	}
	return items
}

// actionPart is what the schema says of rules with an action.
func (s schema) actionPart(action string) schema {
	for _, part := range s.at("rule")["items"].(map[string]any)["allOf"].([]any)[1:] {
		is := part.(map[string]any)["if"].(map[string]any)["properties"].(map[string]any)["action"].(map[string]any)["const"]
		if is == action {
			return part.(map[string]any)["then"].(map[string]any)
		}
	}
	return nil
}

var commonKeys = []string{"name", "when", "action", "mode"}

// keysOf are the keys of a table in the order of the schema; of rules those that every one may have, or those of an action.
func keysOf(s schema, path, action string) []string {
	if path == "rule" {
		if action == "" {
			return commonKeys
		}
		others, _ := s.actionPart(action)["properties"].(map[string]any) // each is false
		return slices.DeleteFunc(s.ordered(path), func(key string) bool {
			_, other := others[key]
			return other || slices.Contains(commonKeys, key)
		})
	}
	return s.ordered(path)
}

// ordered are the keys of a table in the order of the file.
func (s schema) ordered(path string) []string {
	props, _ := s.at(path).table()["properties"].(map[string]any)
	keys := sortedKeys(props)
	place := func(key string) int { // where its description stands
		return strings.Index(s["order"].(string), literal(props[key].(map[string]any)["description"]))
	}
	slices.SortFunc(keys, func(a, b string) int { return place(a) - place(b) })
	return keys
}

// requires reports whether a table must have a key.
func (s schema) requires(path, key, action string) bool {
	required, _ := s.at(path).table()["required"].([]any)
	if action != "" {
		required, _ = s.actionPart(action)["required"].([]any)
	}
	return slices.Contains(required, any(key))
}

// allKeys are the keys of the schema as policy.Keys writes them.
func (s schema) allKeys() []string {
	var all []string
	var walk func(path string)
	walk = func(path string) {
		at := s.at(path)
		if at.named() != nil {
			walk(path + ".NAME")
			return
		}
		props, _ := at.table()["properties"].(map[string]any)
		for key := range props {
			all = append(all, join(path, key))
			walk(join(path, key))
		}
	}
	walk("")
	slices.Sort(all)
	return all
}

func TestSchemaKeys(t *testing.T) {
	s := readSchema(t)
	if diff := cmp.Diff(policy.Keys(), s.allKeys()); diff != "" {
		t.Errorf("keys of the code (-) and of the schema (+):\n%s", diff)
	}
	for _, key := range s.allKeys() {
		if text, _ := s.at(key)["description"].(string); !strings.HasSuffix(text, ".") {
			t.Errorf("%s has no description that is a sentence: %q", key, text)
		}
	}
	for _, key := range s.allKeys() {
		for path, more := key, true; more; {
			path, _, more = cutLast(path)
			if s.at(path).table()["additionalProperties"] != false {
				t.Errorf("table %q takes any key", path)
			}
		}
	}
}

// cutLast takes the last part off a key; the top of the file is "".
func cutLast(path string) (table, key string, more bool) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

// document is a small policy that gives a key a value, and of which nothing else is wrong that matters.
func document(path, value, action string) string {
	table, key, _ := cutLast(path)
	country := "country = \"CN\"\n"
	if path == "country" {
		country = ""
	}
	head := map[string]string{
		"numbers": "[numbers]\n", "lines.NAME": "[lines.a]\n", "trunks.NAME": "[trunks.a]\n", "test": "[[test]]\n", "detector": "[[detector]]\n", "score": "[score]\n",
		"rule": "[[rule]]\nname = \"x\"\n", "rule.when": "[[rule]]\nname = \"x\"\naction = \"allow\"\n[rule.when]\n",
	}[table]
	if table == "rule" && key != "action" {
		head += fmt.Sprintf("action = %q\n", action)
	}
	return country + head + key + " = " + value + "\n"
}

// said gives what the loader says of a key, faults alone.
func said(key, text string) string {
	_, faults := policy.Load("p.toml", []byte(text))
	var all []string
	for _, f := range faults {
		if !f.Warning && strings.ReplaceAll(f.Key, ".a.", ".NAME.") == key {
			all = append(all, f.Text)
		}
	}
	return strings.Join(all, "\n")
}

// takerOf is some action that takes a key of a rule.
func takerOf(s schema, key string) string {
	for _, a := range policy.ActionNames() {
		if slices.Contains(keysOf(s, "rule", a), key) {
			return a
		}
	}
	return "allow"
}

// TestSchemaWords asks the code for the words that each key knows, by writing one that it does not know.
func TestSchemaWords(t *testing.T) {
	s := readSchema(t)
	found := 0
	for _, path := range s.allKeys() {
		_, key, _ := strings.Cut(path, "rule.")
		text := said(path, document(path, `"zzzzzzzz"`, takerOf(s, key)))
		_, list, has := strings.Cut(text, "write one of ")
		var words []string
		if has {
			words = strings.Split(list, ", ")
		}
		if path == "default" {
			words = strings.Split(strings.TrimSuffix(list, " here"), ", ")
		}
		var got []string
		for _, e := range s.enum(path) {
			if word, ok := e.(string); ok {
				got = append(got, word)
			}
		}
		found += len(got)
		slices.Sort(words)
		slices.Sort(got)
		if diff := cmp.Diff(words, got); diff != "" {
			t.Errorf("%s: words of the code (-) and of the schema (+):\n%s", path, diff)
		}
	}
	if found < 40 {
		t.Errorf("only %d words were found", found)
	}
	var codes []int
	for _, code := range s.enum("rule.sip") {
		codes = append(codes, int(code.(float64)))
	}
	if diff := cmp.Diff(policy.SIPCodes(), codes); diff != "" {
		t.Error(diff)
	}
	var reserved []string
	for _, name := range s.at("rule.name")["not"].(map[string]any)["enum"].([]any) {
		reserved = append(reserved, name.(string))
	}
	if diff := cmp.Diff(policy.ReservedRules(), reserved); diff != "" {
		t.Error(diff)
	}
}

// enum are the words of a key, of which an array may have several.
func (s schema) enum(path string) []any {
	at := s.at(path)
	if either, ok := at["anyOf"].([]any); ok {
		ref, _ := either[0].(map[string]any)["$ref"].(string)
		name, _ := strings.CutPrefix(ref, "#/definitions/")
		at, _ = s["definitions"].(map[string]any)[name].(map[string]any)
	}
	if other, ok := at["else"].(map[string]any); ok { // a word, or a table
		at = other
	}
	words, _ := at["enum"].([]any)
	return words
}

// TestSchemaActions asks the code which action takes and wants which key.
func TestSchemaActions(t *testing.T) {
	s := readSchema(t)
	for _, action := range policy.ActionNames() {
		missing := document("rule.name", `"y"`, action)
		for _, path := range s.allKeys() {
			key, ok := strings.CutPrefix(path, "rule.")
			if !ok || slices.Contains(commonKeys, key) || strings.Contains(key, ".") {
				continue
			}
			takes := !strings.Contains(said(path, document(path, "1979-05-27", action)), "does nothing with")
			if got := slices.Contains(keysOf(s, "rule", action), key); got != takes {
				t.Errorf("%s takes %s: the schema says %v", action, key, got)
			}
			wants := strings.Contains(said(path, strings.Replace(missing, "name = \"y\"\n", "", 1)), "is missing")
			if got := s.requires("rule", key, action); got != wants {
				t.Errorf("%s wants %s: the schema says %v", action, key, got)
			}
		}
	}
}

// mediaDefaults are what media is without being written; the schema gives a key one default for all actions.
var mediaDefaults = map[string]string{"warn": "the trunk's", "challenge": "`\"answer\"`"}

// TestSchemaDefaults asks the code what a key is when it is not written.
func TestSchemaDefaults(t *testing.T) {
	s := readSchema(t)
	load := func(text string) *policy.Policy { return loadDefaults(t, text) }
	p := load("[trunks.a]\n")
	trunk := p.TrunkNamed("a")
	got := map[string]string{
		"default":              literal(decideDefault(p, "").Would.String()),
		"mode":                 literal(p.Mode().String()),
		"trunks.NAME.identity": literal(trunk.Identity),
		"trunks.NAME.media":    literal(trunk.Media),
		"trunks.NAME.internal": literal(trunk.Internal),
		"trunks.NAME.max_held": literal(trunk.MaxHeld),
	}
	if elsewhere := p.TrunkNamed("b"); !cmp.Equal(elsewhere.Identity, trunk.Identity) || elsewhere.Media != trunk.Media ||
		elsewhere.Internal != trunk.Internal || elsewhere.MaxHeld != trunk.MaxHeld {
		t.Errorf("an unknown trunk is %+v", elsewhere)
	}
	noon := "holidays = [2026-01-07]\ntimezone = \"Asia/Shanghai\"\n[[rule]]\nname = \"x\"\naction = \"reject\"\nwhen = { hours = \"holidays 12:00-12:01\" }\n" +
		"[[test]]\ncaller = \"13800138000\"\nexpect = \"reject\"\n"
	if r := load(noon).RunTests(); r[0].Passed {
		got["test.at"] = `"2026-01-07T12:00:00"`
	}
	known := "[lines.a]\nnumbers = \"05925550100\"\n[[rule]]\nname = \"x\"\naction = \"reject\"\nwhen = { known_caller = \"30d\" }\n" +
		"[[test]]\ncaller = \"13800138000\"\ncallee = \"05925550100\"\nexpect = \"reject\"\n"
	if r := load(known).RunTests(); !r[0].Passed {
		got["test.known"] = "false"
	}
	for key, when := range map[string]string{"again": `again = "10m"`, "diverted": "diverted = true"} {
		rule := "[[rule]]\nname = \"x\"\naction = \"reject\"\nwhen = { " + when + " }\n[[test]]\ncaller = \"13800138000\"\nexpect = \"reject\"\n"
		if r := load(rule).RunTests(); !r[0].Passed {
			got["test."+key] = "false"
		}
	}
	p = load(known)
	c := p.Call(policy.Facts{Caller: "13800138000", Callee: "05925550100", Time: time.Now()})
	c.KnownToAll = c.Time
	if d := p.Decide(&c, nil); d.Would == policy.Allow {
		got["rule.when.known_scope"] = literal("line")
	}
	for _, term := range policy.ScoreTerms() {
		got["score."+term.Name] = literal(term.Default)
	}
	d := load("[lines.a]\nnumbers = \"05925550100\"\n[[detector]]\nname = \"x\"\nkey = \"all\"\ncount = \"short_calls\"\nwindow = \"1h\"\ntrip = 5\n").Detectors()[0]
	got["detector.short"] = literal(fmt.Sprintf("%.0fs", d.Short.Seconds()))
	got["detector.hold"] = literal(fmt.Sprintf("%.0fh", d.Hold.Hours()))
	got["detector.probe"], got["detector.max_share"], got["detector.mode"] = literal(d.Probe), literal(d.MaxShare), literal(d.Mode.String())
	if n := p.Plan().ParseCalled("05925550100"); !p.IsDecoy(&n) {
		got["lines.NAME.decoy"] = "false"
	}
	actionDefaults(t, s, got)
	want := make(map[string]string)
	for _, path := range s.allKeys() {
		if v, ok := s.at(path)["default"]; ok {
			want[path] = literal(v)
		}
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("defaults of the code (-) and of the schema (+):\n%s", diff)
	}
}

func loadDefaults(t *testing.T, text string) *policy.Policy {
	t.Helper()
	p, faults := policy.Load("p.toml", []byte("country = \"CN\"\n"+text))
	if p == nil {
		t.Fatalf("%v", faults)
	}
	return p
}

func decideDefault(p *policy.Policy, trunk string) policy.Decision {
	c := p.Call(policy.Facts{Caller: "13800138000", Trunk: trunk, Time: time.Now()})
	return p.Decide(&c, nil)
}

// actionDefaults adds what the keys of each action are without being written.
func actionDefaults(t *testing.T, s schema, got map[string]string) {
	t.Helper()
	for _, action := range policy.ActionNames() {
		rule := "[trunks.a]\nmedia = \"answer\"\n[[rule]]\nname = \"x\"\naction = \"" + action + "\"\n"
		for key, value := range map[string]string{"label": "x", "announcement": "x", "to": "x"} {
			if s.requires("rule", key, action) {
				rule += key + " = \"" + value + "\"\n"
			}
		}
		p := loadDefaults(t, rule)
		d := decideDefault(p, "")
		got["rule.mode"] = literal(d.Mode.String())
		for key, value := range map[string]any{
			"then": d.Then, "sip": d.SIP, "overflow": d.Overflow, "digits": d.Digits, "tries": d.Tries,
			"remember": fmt.Sprintf("%.0fd", d.Remember.Hours()/24), "grace": fmt.Sprintf("%.0fm", d.Grace.Minutes()), "otherwise": d.Otherwise,
		} {
			if !slices.Contains(keysOf(s, "rule", action), key) {
				continue
			}
			key = "rule." + key
			if before, twice := got[key]; twice && before != literal(value) {
				t.Errorf("%s is %s for %s, and %s for another action", key, literal(value), action, before)
			}
			got[key] = literal(value)
		}
		if slices.Contains(keysOf(s, "rule", action), "media") {
			media := "`" + literal(d.Media) + "`"
			if d.Media != decideDefault(p, "a").Media {
				media = "the trunk's"
			}
			if media != mediaDefaults[action] {
				t.Errorf("media of %s is %s without being written", action, media)
			}
		}
	}
}

// TestSchemaBounds asks the code for the bounds of numbers.
func TestSchemaBounds(t *testing.T) {
	s := readSchema(t)
	for _, path := range s.allKeys() {
		k := s.at(path)
		if k["type"] != "integer" {
			continue
		}
		_, key, _ := strings.Cut(path, "rule.")
		text := said(path, document(path, "1000000", takerOf(s, key)))
		if want := fmt.Sprintf("write a number from %v to %v", k["minimum"], k["maximum"]); !strings.HasSuffix(text, want) {
			t.Errorf("%s: %s; the schema: %s", path, text, want)
		}
	}
	if most := s.at("rule")["maxItems"]; most != float64(policy.MaxRules) {
		t.Errorf("%v rules at most", most)
	}
	if most := s.at("detector")["maxItems"]; most != float64(policy.MaxDetectors) {
		t.Errorf("%v detectors at most", most)
	}
	for _, term := range policy.ScoreTerms() {
		if k := s.at("score." + term.Name); k["minimum"] != term.Low || k["maximum"] != term.High {
			t.Errorf("%s is from %v to %v, and in the schema from %v to %v", term.Name, term.Low, term.High, k["minimum"], k["maximum"])
		}
	}
}
