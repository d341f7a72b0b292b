// Command prove runs what takes longer than `make test` and writes into docs/measured.md what it proved: one row a proof,
// with the date, the machine and the figures. `make prove` starts it; with names, as in `make prove ONLY="crash fuzz"`, it
// runs these alone and leaves the rows of the others.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"ringfence/e2e/tables"
)

// proof is a target of the Makefile, and how its figures are found in what it prints.
type proof struct {
	target  string
	shows   string
	figures func(output string) string
	needs   func() (missing string)
}

var proofs = []proof{
	{"fuzz", "no text, frame or file breaks a reader", fuzzFigures, nothing},
	{"crash", "an acknowledged edit survives `kill -9` and a write cut short", crashFigures, nothing},
	{"flood", "a hundred million forged callers hide no campaign from ten detectors", floodFigures, nothing},
	{"bench-lists", "ten million numbers: import, restart, memory, look-ups", scaleFigures, nothing},
	{"bench-lines", "100,000 lines of customers: memory, restart, import, look-ups, decisions", lineFigures, nothing},
	{"cluster", "several nodes with one set of lists are level whatever dies, within moments", toldFigures, nothing},
	{"tables", "what callers and handsets see of FreeSWITCH", always("the tables of FreeSWITCH on this page"), program("freeswitch")},
	{"tables-asterisk", "what callers and handsets see of Asterisk", always("the tables of Asterisk on this page"), nothing},
	{"pictures", "every page of the console in a real Chromium, in both languages, wide and narrow, light and dark", toldFigures, nothing},
	{"soak", "a hundred thousand calls through Asterisk leave nothing behind", soakFigures, nothing},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "prove:", err)
		os.Exit(1)
	}
}

func run(only []string) error {
	for _, name := range only {
		if !slices.ContainsFunc(proofs, func(p proof) bool { return p.target == name }) {
			return fmt.Errorf("there is no proof %q", name)
		}
	}
	const page = "docs/measured.md"
	text, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("start it from the repository's folder, or with make prove: %w", err)
	}
	before := rowsOf(string(text))
	rows := []string{"| `make` | shows | when, where | took | figures |", "| --- | --- | --- | --- | --- |"}
	var failed []string
	for _, p := range proofs {
		row := before[p.target]
		if len(only) == 0 || slices.Contains(only, p.target) {
			var ok bool
			if row, ok = p.run(); !ok {
				failed = append(failed, p.target)
			}
		}
		if row != "" {
			rows = append(rows, row)
		}
		// After each, so that an hour's work is not lost with the last of it. The proofs write tables of their own.
		if err := tables.Put(page, "prove", append(slices.Clip(rows), later(before, p.target)...)); err != nil {
			return err
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("NOT PROVED: %s; build/prove-*.txt has what they printed", strings.Join(failed, ", "))
	}
	return nil
}

// rowsOf are the rows that the page has now, by target.
func rowsOf(page string) map[string]string {
	rows := map[string]string{}
	_, table, _ := strings.Cut(page, "<!-- table: prove -->\n")
	table, _, _ = strings.Cut(table, "<!-- end -->")
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|.*$").FindAllStringSubmatch(table, -1) {
		rows[m[1]] = m[0]
	}
	delete(rows, "make")
	return rows
}

// later are the rows of before that belong behind a target's.
func later(before map[string]string, target string) []string {
	var rows []string
	at := slices.IndexFunc(proofs, func(p proof) bool { return p.target == target })
	for _, p := range proofs[at+1:] {
		if row := before[p.target]; row != "" {
			rows = append(rows, row)
		}
	}
	return rows
}

// run makes the target and returns its row.
func (p proof) run() (row string, ok bool) {
	began := time.Now()
	tell := func(took, figures string) string {
		return fmt.Sprintf("| `%s` | %s | %s, %s | %s | %s |", p.target, p.shows, began.Format(time.DateOnly), machine(), took, figures)
	}
	if missing := p.needs(); missing != "" {
		fmt.Printf("NOT PROVED: %s: %s\n", p.target, missing)
		return tell("–", "NOT PROVED: "+missing), true
	}
	fmt.Printf("make %s\n", p.target)
	var output bytes.Buffer
	err := os.MkdirAll("build", 0o755)
	var file *os.File
	if err == nil {
		file, err = os.Create(filepath.Join("build", "prove-"+p.target+".txt"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "prove:", err)
		return tell("–", "FAILED: "+err.Error()), false
	}
	defer file.Close()
	c := exec.Command("make", "--no-print-directory", p.target)
	c.Stdout = io.MultiWriter(&output, file, os.Stdout)
	c.Stderr = c.Stdout
	err = c.Run()
	took := time.Since(began).Round(time.Second).String()
	if err != nil {
		return tell(took, "FAILED"), false
	}
	figures := p.figures(output.String())
	if figures == "" {
		return tell(took, "FAILED: it ended well and printed no figures"), false
	}
	return tell(took, figures), true
}

func nothing() string { return "" }

// program is a need for a program on PATH.
func program(name string) func() string {
	return func() string {
		if _, err := exec.LookPath(name); err != nil {
			return "there is no " + name + " on PATH"
		}
		return ""
	}
}

func always(figures string) func(string) string { return func(string) string { return figures } }

// floodFigures are the line that the flood ends with.
func floodFigures(output string) string {
	m := regexp.MustCompile(`flood: (.+)`).FindStringSubmatch(output)
	if m == nil {
		return ""
	}
	return m[1]
}

// toldFigures are what tests said that they measured.
func toldFigures(output string) string {
	var all []string
	for _, m := range regexp.MustCompile(`(?m)figure: (.*)$`).FindAllStringSubmatch(output, -1) {
		all = append(all, m[1])
	}
	return strings.Join(all, "; ")
}

// soakFigures are the last but one row of the soak's own table.
func soakFigures(output string) string {
	m := regexp.MustCompile(`all \| (in .*? promised:) \| (\d+) \|`).FindStringSubmatch(output)
	if m == nil {
		return ""
	}
	return m[1] + " " + m[2]
}

// fuzzFigures counts the targets that were fuzzed.
func fuzzFigures(output string) string {
	targets := regexp.MustCompile(`(?m)^\S+ Fuzz\w+$`).FindAllString(output, -1)
	if len(targets) == 0 {
		return ""
	}
	return fmt.Sprintf("%d fuzz targets for 30 s each, nothing found", len(targets))
}

// crashFigures are the sums of all children that were killed.
func crashFigures(output string) string {
	var edits, kills int
	for _, m := range regexp.MustCompile(`(\d+) acknowledged in (\d+) rounds`).FindAllStringSubmatch(output, -1) {
		n, _ := strconv.Atoi(m[1])
		rounds, _ := strconv.Atoi(m[2])
		edits, kills = edits+n, kills+rounds
	}
	cut := regexp.MustCompile(`\d+ writes cut \d+ times`).FindString(output)
	if kills == 0 || cut == "" {
		return ""
	}
	return fmt.Sprintf("%d kills, all of %d acknowledged edits there; %s", kills, edits, cut)
}

// scaleFigures are those of the longest list: the last row of each of the four tables, of memory, of times, of edits and of look-ups.
func scaleFigures(output string) string {
	last := map[string][]string{} // by the second word of the table's head
	head := ""
	for _, row := range regexp.MustCompile(`(?m)^\|.*\|$`).FindAllString(output, -1) {
		switch c := strings.Split(strings.Trim(row, "| "), " | "); {
		case c[0] == "numbers" && len(c) > 1:
			head = c[1]
		case regexp.MustCompile(`^\d+$`).MatchString(c[0]):
			last[head] = c
		}
	}
	memory, times, edits, looks := last["import"], last["database"], last["edit without a daemon"], last["hit"]
	if len(memory) < 8 || len(times) < 8 || len(edits) < 3 || len(looks) < 5 {
		return ""
	}
	return fmt.Sprintf("%s numbers imported in %s, ready after a restart in %s (from a cold disk in %s, without the piece in %s), %s of memory a number (%s without the piece), an edit without a daemon in %s and %s, a hit in %s, a miss in %s",
		memory[0], memory[1], times[5], times[6], times[7], memory[5], memory[7], edits[1], edits[2], looks[3], looks[4])
}

// lineFigures are those of the table of lines, and of the benchmarks behind it.
func lineFigures(output string) string {
	row := regexp.MustCompile(`(?m)^\| (\d+) \| (\d+) \| [\d.]+ s \| [^|]+ \| [^|]+ \| (\d+ B) \| (\d+ ms) \|`).FindStringSubmatch(output)
	took := func(bench string) string {
		m := regexp.MustCompile(`(?m)^Benchmark` + bench + `\S*\s+\d+\s+([\d.]+) ns/op`).FindStringSubmatch(output)
		if m == nil {
			return ""
		}
		ns, _ := strconv.ParseFloat(m[1], 64)
		if ns < 1e6 {
			return fmt.Sprintf("%.0f ns", ns)
		}
		return fmt.Sprintf("%.2f s", ns/1e9)
	}
	imported, hit, miss, decided := took("Lines/import"), took("LineOf/hit"), took("LineOf/miss"), took("DecideLines/unmatched")
	if row == nil || imported == "" || hit == "" || miss == "" || decided == "" {
		return ""
	}
	return fmt.Sprintf("%s lines with %s numbers imported in %s, %s of memory a line, ready after a restart in %s, a number found in %s, a miss in %s, a decision in %s (200 rules, 1,000,000 entries)",
		row[1], row[2], imported, row[3], row[4], hit, miss, decided)
}

// machine is what the figures depend on.
func machine() string {
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := regexp.MustCompile(`(?m)^model name\s*: (.+)$`).FindSubmatch(text); m != nil {
			model = strings.Join(strings.Fields(string(m[1])), " ")
		}
	}
	return fmt.Sprintf("%d × %s, %s, %s", runtime.NumCPU(), model, runtime.Version(), commit())
}

// commit is what was proved. The page that the figures go into may differ.
func commit() string {
	id, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "no commit"
	}
	if exec.Command("git", "diff", "--quiet", "HEAD", "--", ".", ":!docs/measured.md").Run() != nil {
		return strings.TrimSpace(string(id)) + " with changes"
	}
	return strings.TrimSpace(string(id))
}
