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
			"bench-lists", "| numbers | import | RssAnon over empty | once written | after a restart | a number | without the piece | a number |\n| ---: | ---: |\n| 1000 | 1 s | a | b | c | d | e | f |\n| 1000000 | 1.40 s | 3 MB | 2 MB | 1 MB | 0.3 B | 40 MB | 4.0 B |\n" +
				"| numbers | database | piece | written in | opened in | ready with it | from a cold disk | without it |\n| ---: |\n| 1000000 | 175 MB | 40 MB | 36 ms | 6 ms | 34 ms | 53 ms | 1230 ms |\n" +
				"| numbers | edit without a daemon | memory |\n| ---: |\n| 1000000 | 90 ms | 28.1 MB |\n" +
				"| numbers | hit | miss | mapped hit | miss |\n| ---: |\n| 1000000 | 80 ns | 70 ns | 60 ns | 50 ns | 1 ns |\n",
			"1000000 numbers imported in 1.40 s, ready after a restart in 34 ms (from a cold disk in 53 ms, without the piece in 1230 ms), 0.3 B of memory a number (4.0 B without the piece), an edit without a daemon in 90 ms and 28.1 MB, a hit in 60 ns, a miss in 50 ns",
		},
		{
			"bench-lines", "| lines | numbers | written in | database | RssAnon over empty | a line | ready | ready without lines |\n| ---: |\n| 100000 | 200000 | 1.13 s | 67.3 MB | 7.4 MB | 74 B | 379 ms | 38 ms |\n" +
				"BenchmarkLineOf/hit-2 \t 1000000 \t 93.9 ns/op\t 0 B/op\nBenchmarkLineOf/miss-2 \t 1000000 \t 62 ns/op\nBenchmarkLines/import-2   2   2184869491 ns/op\nBenchmarkDecideLines/unmatched-2 1 830 ns/op\n",
			"100000 lines with 200000 numbers imported in 2.18 s, 74 B of memory a line, ready after a restart in 379 ms, a number found in 94 ns, a miss in 62 ns, a decision in 830 ns (200 rules, 1,000,000 entries)",
		},
		{"bench-lines", "BenchmarkLineOf/hit-2 \t 1000000 \t 93.9 ns/op\n", ""},
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
