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
	f.Add([]byte(watching))
	f.Add([]byte(scoring))
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
		for i, facts := range calls {
			c := p.Call(facts)
			c.Tripped, c.OnTrial, c.KnownLines = DetectorSet(i), DetectorSet(i&(i>>1)), i%5
			c.Evidence = Evidence{Decoys: i, Marks: float64(i)}
			p.Protected(&c, nil)
			d := p.Decide(&c, nil)
			if d.By&^(c.Tripped&^c.OnTrial) != 0 || d.By != 0 && d.Action == Allow {
				t.Fatalf("decided by %b of %b without %b: %+v", d.By, c.Tripped, c.OnTrial, d)
			}
			if e, _ := p.Explain(&c, nil); d != e || d.Reason() == "" {
				t.Fatalf("decided %+v, explained %+v", d, e)
			}
		}
		p.RunTests()
	})
}
