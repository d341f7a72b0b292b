package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"ringfence/conf"
	"ringfence/policy"
)

// validator is the schema as editors use it.
func validator(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("policy.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON reads a TOML text the way an editor hands it to a schema: dates become texts.
func asJSON(t testing.TB, text string) (any, error) {
	t.Helper()
	var values map[string]any
	if _, err := toml.Decode(text, &values); err != nil {
		return nil, err
	}
	var plain func(v any) any
	plain = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for k := range v {
				v[k] = plain(v[k])
			}
		case []map[string]any:
			for i := range v {
				plain(v[i])
			}
		case []any:
			for i := range v {
				v[i] = plain(v[i])
			}
		case time.Time:
			switch v.Location().String() {
			case "date-local":
				return v.Format(time.DateOnly)
			case "datetime-local":
				return v.Format("2006-01-02T15:04:05")
			case "time-local":
				return v.Format(time.TimeOnly)
			}
			return v.Format(time.RFC3339)
		}
		return v
	}
	b, err := json.Marshal(plain(values))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return doc, nil
}

// refused gives the keys that the schema finds fault with: rule[2].when.caller, numbers.internal.
func refused(s *jsonschema.Schema, doc any) map[string]bool {
	keys := make(map[string]bool)
	err, ok := s.Validate(doc).(*jsonschema.ValidationError)
	if !ok {
		return keys
	}
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		at := placeOf(e.InstanceLocation)
		switch k := e.ErrorKind.(type) {
		case *kind.Required:
			for _, key := range k.Missing {
				keys[placeOf(append(slices.Clone(e.InstanceLocation), key))] = true
			}
		case *kind.AdditionalProperties:
			for _, key := range k.Properties {
				keys[placeOf(append(slices.Clone(e.InstanceLocation), key))] = true
			}
		case *kind.AnyOf:
			keys[at] = true
		default:
			if len(e.Causes) == 0 {
				keys[at] = true
			}
			for _, cause := range e.Causes {
				walk(cause)
			}
		}
	}
	walk(err)
	return keys
}

// placeOf writes a place in a document like the key of a fault, with the number of the rule or test.
func placeOf(path []string) string {
	var b strings.Builder
	for i, key := range path {
		if _, err := strconv.Atoi(key); err == nil && (i == 0 || path[i-1] != "depth") { // whose keys are numbers
			if i == 1 && len(path) > 2 {
				fmt.Fprintf(&b, "[%s]", key)
			}
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(key)
	}
	return b.String()
}

func TestSchemaTakesPolicies(t *testing.T) {
	s := validator(t)
	policies := map[string]string{"conf/policy.toml": string(conf.SamplePolicy)}
	for _, e := range examples(t) {
		policies[fmt.Sprintf("%s:%d", pageFile, e.line)], _, _ = e.complete()
	}
	for _, glob := range []string{"../policy/testdata/policies/*.toml", "../cmd/testdata/*.txtar"} {
		files, _ := filepath.Glob(glob)
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for i, part := range regexp.MustCompile(`(?m)^-- .* --$`).Split(string(text), -1) {
				policies[fmt.Sprintf("%s %d", file, i)] = part
			}
		}
	}
	// Spellings that the sample has not.
	for i, text := range []string{
		"holidays = []\nrule = []\n[trunks]",
		"[lines]\na.numbers = '1234567'\n[[rule]]\nname = \"x\"\naction = \"allow\"\nwhen = {}",
		"timezone = \"UTC\"\n[[rule]]\nname = \"x\"\naction = \"allow\"\nwhen = { hours = ['mon-FRI 8:00-24:00', ' Holidays ', '0:00-24:00'] }",
		"[trunks.\"商务.a-b_1\"]\nmatch = ['gateway:a b', '2001:db8::/32', '::ffff:192.0.2.1', '192.0.2.0/24', 'profile:x:y']\nidentity = 'pai'\nmax_held = 0",
		"[[test]]\ncaller = ''\nexpect = 'allow'\nat = 2026-03-04T23:30:00+08:00\n[[test]]\ncaller = ''\nexpect = 'allow'\nat = 2026-03-04 23:30:00.5\n[[test]]\ncaller = ''\nexpect = 'allow'\nat = '2026-03-04 23:30'",
		"[[rule]]\nname = \"x\"\naction = \"challenge\"\nremember = '1d2h3m4s'\ngrace = '0s'",
		"[[rule]]\nname = \"a, b (c) 外呼\"\naction = \"divert\"\nto = '*98 XML default'",
	} {
		policies[fmt.Sprintf("spelling %d", i)] = "country = \"CN\"\n" + text
	}
	taken := 0
	for name, text := range policies {
		p, faults := policy.Load(name, []byte(text))
		if p == nil {
			if strings.HasPrefix(name, "spelling") {
				t.Errorf("%v", faults)
			}
			continue
		}
		taken++
		doc, err := asJSON(t, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := s.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if taken < 40 {
		t.Errorf("only %d policies were tried", taken)
	}
}

// unseen are the faults that no schema can see, since they need a numbering plan, a calendar or a look at another part of the file.
var unseen = []struct{ key, text string }{
	{`numbers\.(internal|never_screen)|lines\..*|rule\[.*\]\.when\.call(er|ee)(_not)?`, `^"[^"]+": `}, // what a pattern says
	{`country`, `is no country`},
	{`timezone|lines\..*\.timezone`, `there is no time zone`},
	{`numbers\.area`, `is no area code of`},
	{`numbers\.assigned\.[a-z]+`, `^"[^"]+": `},
	{`holidays`, `has a text in quotes among its dates`}, // an editor hands dates over as texts
	{`workdays`, `is also in holidays`},
	{`rule\[.*\]\.name`, `is already the name of the rule`},
	{`rule\[.*\]\.(remember|grace|when\.(known_caller|again))`, `: write \S+ to \S+d$|longer than anything`},
	{`rule\[.*\]\.when\.line`, `there is no line`},
	{`rule\[.*\]\.when\.list`, `is a list of a line .* that is not there`},
	{`(rule\[.*\]\.when|test\[.*\])\.trunk|numbers\.never_screen_trunks`, `there is no trunk`},
	{`rule\[.*\]\.when\.caller_name`, `cannot be used`},
	{`rule\[.*\]\.when\.hours`, `begins and ends at the same minute`},
	{`trunks\..*\.match`, `address digits beyond|is also in trunk`},
	{`test\[.*\]\.rule`, `there is no rule`},
	{`(rule\[.*\]\.when|test\[.*\])\.tripped`, `there is no detector`},
	{`rule\[.*\]\.when\.holder`, `nobody under \[ranges\]`},
	{`rule\[.*\]\.when\.(tripped|score_at_least)|rule\[.*\]\.overflow`, `only ground|forged number|by detector .* alone`},
	{`lines\..*\.numbers`, `one of the two is a decoy`},
	{`ranges\..*`, `^"[^"]+": |is the same numbers as`},
	{`detector\[.*\]\.name`, `is already the name of the detector`},
	{`detector\[.*\]\.(window|short|hold|hold_max)`, `: write \S+ to \S+$|less than hold|write at most|short_calls are not counted`},
	{`detector\[.*\]\.(depth|window|trip)`, `is missing`},
	{`detector\[.*\]\.(depth|trip|share|surge|at_least|per_line)`, `does nothing with|is one too many|does nothing without`},
	{`detector\[.*\]\.count(\.concurrent)?`, `count|always 1|no habit|at one moment`},
	{`detector\[.*\]\.key`, `the file names nobody`},
	{`detector\[.*\]\.protect`, `^"[^"]+": |is a list of a line .* that is not there|the name .* has characters`},
}

// TestSchemaRefuses holds each fault of the wrong policies against what the schema finds in them, in both directions.
func TestSchemaRefuses(t *testing.T) {
	s := validator(t)
	files, _ := filepath.Glob("../policy/testdata/policies/*.toml")
	seen, used := 0, make(map[int]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, faults := policy.Load(filepath.Base(file), text)
		doc, err := asJSON(t, string(text))
		if err != nil {
			continue // is no TOML, as an editor says without a schema
		}
		got := refused(s, doc)
		said := make(map[string]bool)
	next:
		for _, f := range faults {
			key := faultPlace(f, string(text))
			if f.Warning {
				continue
			}
			said[key] = true
			for i, u := range unseen {
				if regexp.MustCompile("^("+u.key+")$").MatchString(key) && regexp.MustCompile(u.text).MatchString(f.Text) {
					used[i] = true
					continue next
				}
			}
			if seen++; !got[key] {
				t.Errorf("the schema does not see %s: %s", key, f)
			}
		}
		for key := range got {
			if !said[key] {
				t.Errorf("%s: the schema refuses %s, the code does not", filepath.Base(file), key)
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d faults were seen", seen)
	}
	for i, u := range unseen {
		if !used[i] {
			t.Errorf("there is no fault of %s: %s", u.key, u.text)
		}
	}
}

// faultPlace is the key of a fault with the number of its rule or test.
func faultPlace(f policy.Fault, text string) string {
	key := strings.ReplaceAll(f.Key, `"`, "")
	for _, table := range []string{"rule", "test", "detector"} {
		rest, ok := strings.CutPrefix(key, table+".")
		if !ok {
			continue
		}
		n := -1
		for i, l := range strings.Split(text, "\n") {
			if i < f.Line && (strings.HasPrefix(l, "[["+table+"]]") || strings.Contains(l, "{ name = ")) {
				n++
			}
		}
		return fmt.Sprintf("%s[%d].%s", table, n, rest)
	}
	return key
}

// TestSampleNamesSchema holds that the sample tells editors where the schema is.
func TestSampleNamesSchema(t *testing.T) {
	first, _, _ := strings.Cut(string(conf.SamplePolicy), "\n")
	if first != "#:schema ./"+filepath.Base(schemaFile) {
		t.Errorf("the sample begins with %q", first)
	}
}
