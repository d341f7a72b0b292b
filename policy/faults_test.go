package policy

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringfence/tomlfile"
)

var update = flag.Bool("update", false, "write the .want files from what is found now")

// wrongPolicies are the files under testdata/policies with the faults each is to give.
func wrongPolicies(t *testing.T) map[string][]Fault {
	t.Helper()
	files, err := filepath.Glob("testdata/policies/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no wrong policies: %v", err)
	}
	found := make(map[string][]Fault)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, faults := Load(filepath.Base(file), text)
		fatal := false
		for _, f := range faults {
			fatal = fatal || !f.Warning
		}
		if (p == nil) != fatal {
			t.Errorf("%s: a policy is there exactly if no fault is more than a warning", file)
		}
		found[file] = faults
	}
	return found
}

// TestWrongPolicies holds each message exactly: what an operator reads is part of the interface.
func TestWrongPolicies(t *testing.T) {
	texts := make(map[string]bool)
	for file, faults := range wrongPolicies(t) {
		var got strings.Builder
		for _, f := range faults {
			if f.Warning {
				got.WriteString("warning: ")
			}
			fmt.Fprintln(&got, f)
			texts[f.Key+f.Text] = true
		}
		wanted := strings.TrimSuffix(file, ".toml") + ".want"
		if *update {
			if err := os.WriteFile(wanted, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(wanted)
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
	if len(texts) < 60 {
		t.Errorf("only %d distinct faults are held by the files", len(texts))
	}
}

// foreignWords are what only a programmer could make sense of.
var foreignWords = regexp.MustCompile(`map\[|interface|int64|float64|\[\]any|\[\]string|string\b.*type|<nil>|%!|toml:|reflect|strconv|runtime|0x[0-9a-f]{6}`)

func TestFaultsInPlainWords(t *testing.T) {
	form := regexp.MustCompile(`^[a-z0-9-]+\.toml:[1-9][0-9]*: [^ :]+(\."[^"]*")?[^:]*: \S.*$`)
	for file, faults := range wrongPolicies(t) {
		if len(faults) == 0 {
			t.Errorf("%s: no faults", file)
		}
		last := 0
		for _, f := range faults {
			line := f.String()
			if word := foreignWords.FindString(f.Text); word != "" {
				t.Errorf("%q has %q, which is no operator's word", line, word)
			}
			if !form.MatchString(line) || strings.ContainsAny(line, "\n\r\t") {
				t.Errorf("%q is not FILE:LINE: key: text", line)
			}
			if f.Line < last {
				t.Errorf("%q comes after line %d", line, last)
			}
			last = f.Line
		}
	}
}

func TestUnreadable(t *testing.T) {
	for _, test := range []struct {
		name string
		text []byte
		want string
	}{
		{"not UTF-8", []byte("country = \"CN\"\n# \xc4\xe3\xba\xc3\n"), "p.toml:2: file: is not UTF-8 here: save the file in the encoding UTF-8"},
		{"too large", bytes.Repeat([]byte("# \n"), tomlfile.MaxFile/3+1), "p.toml:1: file: is larger than 4 MiB: put long runs of numbers into a list (ringfence list import)"},
	} {
		p, faults := Load("p.toml", test.text)
		if p != nil || len(faults) != 1 || faults[0].String() != test.want {
			t.Errorf("%s: %v %v", test.name, p != nil, faults)
		}
	}
}

func TestBounds(t *testing.T) {
	var b strings.Builder
	b.WriteString("country = \"CN\"\n")
	for i := range MaxLines + 1 {
		fmt.Fprintf(&b, "[lines.l%d]\nnumbers = [\"0592555%04d\"]\n", i, i)
	}
	for i := range MaxRules + 1 {
		fmt.Fprintf(&b, "[[rule]]\nname = \"r%d\"\nwhen = { caller = [\"1390000%04d\"], caller_not = [\"1390001%04d\"] }\naction = \"allow\"\n", i, i, i)
	}
	_, faults := Load("p.toml", []byte(b.String()))
	want := []string{
		"p.toml:2002: lines: has more than 1000 lines: put numbers that are protected alike into one",
		"p.toml:6004: rule: is rule number 1001, more than a policy may have: put numbers that are treated alike into one rule or a list",
	}
	var got []string
	for _, f := range faults {
		if !f.Warning {
			got = append(got, f.String())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestKeys holds that the list of keys is what Load knows: a file that has one of them is never told that the key is
// unknown there.
func TestKeys(t *testing.T) {
	for _, key := range Keys() {
		table, name := "", key
		if i := strings.LastIndexByte(key, '.'); i >= 0 {
			table, name = key[:i], key[i+1:]
		}
		text := map[string]string{
			"": "", "numbers": "[numbers]\n", "lines.NAME": "[lines.a]\n", "trunks.NAME": "[trunks.a]\n",
			"detector": "[[detector]]\n", "score": "[score]\n", "rule": "[[rule]]\n", "rule.when": "[[rule]]\n[rule.when]\n", "test": "[[test]]\n",
		}[table] + name + " = 1979-05-27T07:32:00Z\n"
		_, faults := Load("p.toml", []byte(text))
		for _, f := range faults {
			if strings.Contains(f.Text, "not known here") || strings.Contains(f.Text, "does not belong") {
				t.Errorf("%s: %s", key, f)
			}
		}
	}
}
