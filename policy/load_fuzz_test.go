package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad holds that any text gives either a policy that decides or faults that say where, in plain words.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/policies/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(office))
	calls := randomCalls(11, 20)
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<14 {
			t.Skip("longer than what is to be found needs")
		}
		p, faults := Load("policy.toml", text)
		lines, fatal, last := strings.Count(string(text), "\n")+1, false, 0
		for _, fault := range faults {
			fatal = fatal || !fault.Warning
			if fault.Line < max(last, 1) || fault.Line > lines {
				t.Fatalf("%s: a line out of order, or beyond %d", fault, lines)
			}
			last = fault.Line
			if fault.Key == "" || fault.Text == "" || strings.Contains(fault.Text, "%!") {
				t.Fatalf("%q says too little", fault)
			}
		}
		if (p == nil) != fatal {
			t.Fatalf("a policy is there exactly if no fault is more than a warning: %v", faults)
		}
		if p == nil {
			return
		}
		for _, facts := range calls {
			c := p.Call(facts)
			d := p.Decide(&c, nil)
			if e, _ := p.Explain(&c, nil); d != e || d.Reason() == "" {
				t.Fatalf("decided %+v, explained %+v", d, e)
			}
		}
		p.RunTests()
	})
}
