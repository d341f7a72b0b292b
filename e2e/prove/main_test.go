package main

import (
	"os"
	"regexp"
	"testing"
)

// Figures are read from what the targets print.
func TestFigures(t *testing.T) {
	for _, test := range []struct{ target, output, want string }{
		{"fuzz", "ringfence/policy FuzzLoad\nfuzz: elapsed: 3s\nok  \tringfence/policy\t31s\nringfence/conf FuzzDaemonFile\n", "2 fuzz targets for 30 s each, nothing found"},
		{"fuzz", "make: nothing to be done\n", ""},
		{
			"crash", "    crash_test.go:263: 339 acknowledged in 10 rounds, 19 of them imports\n    crash_test.go:263: 61 acknowledged in 5 rounds, 2 of them imports\n--- PASS: TestKill\n    cut_test.go:140: 12 writes cut 72 times, 65 of them to nothing\n",
			"15 kills, all of 400 acknowledged edits there; 12 writes cut 72 times",
		},
		{"crash", "339 acknowledged in 10 rounds\n", ""},
		{
			"bench-lists", "| numbers | import |\n| ---: | ---: |\n| 1000000 | 1.40 s | 0.21 s | 5.0 MB | 5.0 B | 9.0 MB | 10.0 MB | 80 ns | 70 ns | 1 ns | 2 ns | 3 ns | 4 ns | 0 |\n",
			"1000000 numbers imported in 1.40 s, ready after a restart in 0.21 s, 5.0 MB of memory (5.0 B a number), a hit in 80 ns, a miss in 70 ns",
		},
		{"soak", "| listed | silent 603 | 20000 |\n| all | in 16m46s, 0 let through by the deadline, otherwise than promised: | 0 |\n", "in 16m46s, 0 let through by the deadline, otherwise than promised: 0"},
	} {
		for _, p := range proofs {
			if p.target != test.target {
				continue
			}
			if got := p.figures(test.output); got != test.want {
				t.Errorf("%s: got %q, want %q", test.target, got, test.want)
			}
		}
	}
}

// Each proof is a target of the Makefile, and rows that are not measured again stay.
func TestProofs(t *testing.T) {
	text, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range proofs {
		if !regexp.MustCompile(`(?m)^` + p.target + `:`).Match(text) {
			t.Errorf("the Makefile has no target %s", p.target)
		}
	}
	before := rowsOf("<!-- table: prove -->\n| `make` | shows |\n| --- | --- |\n| `crash` | a |\n| `soak` | b |\n<!-- end -->\n| `fuzz` | elsewhere |\n")
	if len(before) != 2 || before["crash"] != "| `crash` | a |" || before["soak"] != "| `soak` | b |" {
		t.Errorf("got the rows %q", before)
	}
	if got := later(before, "crash"); len(got) != 1 || got[0] != "| `soak` | b |" {
		t.Errorf("behind crash: got %q, want the row of soak", got)
	}
}
