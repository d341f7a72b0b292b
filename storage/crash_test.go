package storage

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The crash test runs this test binary again as a child that edits, kills it, and
// looks at what is left.
const (
	crashFileEnv = "RINGFENCE_STORAGE_CRASH_FILE"
	crashFromEnv = "RINGFENCE_STORAGE_CRASH_FROM"
	// crashImport is how many entries each import of the child has; it is built beside its list.
	crashImport = 3000
)

var crashRounds = flag.Int("crash", 25, "how often the crash test kills a child")

// crashList has what the child imports: all its entries say which import they are of.
const crashList = "imported"

// crashUndoes reports whether the i-th import of a child is an undo of the one before.
func crashUndoes(i int) bool { return i%3 == 2 }

// crashImports imports and undoes until it is killed.
func crashImports(d *DB, fail func(error), say func(string, ...any)) {
	last := uint64(0)
	for i := 0; ; i++ {
		if crashUndoes(i) {
			_, err := d.Undo(last, By{}, nil)
			for errors.Is(err, ErrBusy) { // traces are being forgotten
				_, err = d.Undo(last, By{}, nil)
			}
			fail(err)
		} else {
			es := make([]Entry, crashImport)
			for k := range es {
				es[k] = Entry{Pattern: fmt.Sprintf("+1555%07d", 3*k+i%2), Origin: FromImport, Source: "import file", Reason: fmt.Sprint("import ", os.Getenv(crashFromEnv), " ", i)}
			}
			r, err := d.Import(crashList, imported(es...), ImportOptions{})
			for errors.Is(err, ErrBusy) {
				r, err = d.Import(crashList, imported(es...), ImportOptions{})
			}
			fail(err)
			last = r.ID
		}
		say("import %d", i)
	}
}

// crashState is what the list of imports has after some of a child's, from what it had: of each entry, which import it is of.
func crashState(state map[string]string, round, imports int) map[string]string {
	before := state
	for i := range imports {
		if crashUndoes(i) {
			state = before
			continue
		}
		before = state
		state = maps.Clone(state)
		for k := range crashImport {
			state[fmt.Sprintf("+1555%07d", 3*k+i%2)] = fmt.Sprint("import ", round*100_000, " ", i)
		}
	}
	return state
}

// crashChild edits until it is killed, and prints a line for each edit that was
// acknowledged:
//
//	add LIST N      entry(N) is on the list
//	remove LIST N   and is gone again
//	set N           the setting has this value
//	report N        report(N) waits for review
//	journal N       record N is in the journal
//	import N        and all of this import or undo counts, see crashImports
//	own PATTERN     a person's record is on the list of imports, beside theirs
//	few N           some lines say that, see crashLines
//	merge N         and what another node says, see crashMerges
//	many N          and so do very many, or an undo had them say again what they said before
func crashChild(file string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	var from int
	fmt.Sscan(os.Getenv(crashFromEnv), &from)
	d, err := Open(file, Options{KeepDeleted: 20 * time.Millisecond})
	fail(err)
	d.maxEdit, d.stageBytes = 500, 4<<10 // a large import in small
	// One write to the pipe a line: what the parent reads was acknowledged.
	say := func(format string, args ...any) { os.Stdout.WriteString(fmt.Sprintf(format+"\n", args...)) }
	j := d.StartJournal(JournalOptions{Delay: 2 * time.Millisecond, MaxBytes: 1 << 30})
	go func() {
		for n := from; ; n++ {
			r := record(n)
			r.Name = fmt.Sprint("call ", n)
			if !j.Add(r) {
				fail(fmt.Errorf("record %d was dropped", n))
			}
			if n%10 == 9 {
				fail(j.Flush(context.Background()))
				say("journal %d", n)
			}
		}
	}()
	go crashImports(d, fail, say)
	go crashLines(d, fail, say)
	go crashMerges(d, fail, say)
	for n := from; ; n++ {
		list := fmt.Sprint("list", n%3)
		// In one edit with company, so that it takes several pages.
		es := make([]Entry, 50)
		for i := range es {
			es[i] = entry(n*50 + i)
		}
		_, err := d.AddEntries(list, es)
		fail(err)
		say("add %s %d", list, n)
		if n%4 == 0 {
			ps := make([]string, len(es))
			for i := range es {
				ps[i] = es[i].Pattern
			}
			_, err := d.RemoveEntries(list, ps, By{})
			fail(err)
			say("remove %s %d", list, n)
		}
		own := Entry{Pattern: fmt.Sprintf("+1555%07d", n%(3*crashImport)), Reason: "by hand"}
		_, err = d.AddEntries(crashList, []Entry{own})
		fail(err)
		say("own %s", own.Pattern)
		_, err = d.PruneDeleted()
		fail(err)
		if n%4 == 0 {
			if _, err := d.ForgetTraces([]string{entry(n * 50).Pattern}, false); !errors.Is(err, ErrBusy) { // an import is under way
				fail(err)
			}
			fail(d.WipeFreed())
		}
		_, err = d.SweepStamps(Known, func(s *Stamp) Fate { s.Key = fmt.Sprint("hidden ", n); return Rewrite })
		fail(err)
		fail(d.PutStamps(Known, []Stamp{{Key: fmt.Sprint("stamp ", n), At: epoch}}, nil))
		fail(d.PutSetting("round", fmt.Append(nil, n)))
		say("set %d", n)
		_, _, err = d.AddReport(report(n))
		fail(err)
		say("report %d", n)
	}
}

// Whatever moment the process is killed at, the file opens, and every edit that was
// acknowledged is there.
func TestKill(t *testing.T) {
	for left := *crashRounds; left > 0; left -= crashEach {
		t.Run("", func(t *testing.T) { killOften(t, min(left, crashEach)) })
	}
}

// crashEach is how many children a file sees. Its history gets longer each time, and is looked at each time.
const crashEach = 25

// crashed is what one file must hold after the children that wrote to it were killed.
type crashed struct {
	t       *testing.T
	file    string
	rnd     *rand.Rand
	entries map[string]map[int]bool // list → edit → is it there
	own     map[string]bool         // what was added by hand to the list of imports
	set     int
	journal map[int]bool
	reports map[string]bool
	state   map[string]string // of the list of imports: what they say
	few     string            // what the few lines say
	many    [2]string         // what the many say, and what they said before, which an undo gives back
	acked   int
	imports int
	lines   int    // changes of lines acknowledged
	merged  string // what the list of another node's rows says
	merges  int
}

// round is what a child said in one round.
type round struct {
	n        int
	from     int
	done     int // imports acknowledged
	lastEdit int
	journal  int // the first record that was not acknowledged
	few      int // changes of lines acknowledged
	merges   int // of another node's rows
	many     int
}

func killOften(t *testing.T, rounds int) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := &crashed{
		t: t, file: filepath.Join(t.TempDir(), "ringfence.db"), rnd: rand.New(rand.NewPCG(seed, 0)), entries: map[string]map[int]bool{},
		own: map[string]bool{}, set: -1, journal: map[int]bool{}, reports: map[string]bool{}, state: map[string]string{},
	}
	for n := range rounds {
		from := n * 100_000
		r := &round{n: n, from: from, lastEdit: from - 1, journal: from}
		after, early, first := time.Duration(c.rnd.IntN(80_000))*time.Microsecond, c.rnd.IntN(4) == 0, []string{"", "few", "many"}[c.rnd.IntN(3)]
		if n == 0 {
			early, first = false, "import" // whatever the machine's speed, there is one in each file
		}
		for _, line := range killed(t, c.file, from, after, early, first) {
			c.acked++
			c.read(r, line)
		}
		d, err := Open(c.file, Options{})
		if err != nil {
			t.Fatalf("after round %d: %v", n, err)
		}
		c.counts(d, r)
		c.importsAreThere(d, r)
		c.linesAreThere(d, r)
		c.mergesAreThere(d, r)
		if report, err := d.Verify(); err != nil || len(report.Faults) > 0 {
			t.Fatalf("round %d: %+v, %v", n, report, err)
		}
		c.editsAreThere(d, r)
		c.restIsThere(d, r)
		counts(t, d)
		sizeIsTrue(t, d)
		check(t, d.Close())
	}
	t.Logf("%d acknowledged in %d rounds, %d of them imports", c.acked, rounds, c.imports)
	t.Logf("%d acknowledged changes of lines in %d rounds", c.lines, rounds)
	if c.acked < rounds || c.imports == 0 || c.lines == 0 || c.merges == 0 {
		t.Error("hardly any edit was acknowledged: the children were killed too early to show anything")
	}
}

// read takes a line of a child's.
func (c *crashed) read(r *round, line string) {
	var what, list string
	var n int
	switch what, _, _ = strings.Cut(line, " "); what {
	case "add", "remove":
		if _, err := fmt.Sscanf(line, what+" %s %d", &list, &n); err != nil {
			c.t.Fatal(line, err)
		}
		if c.entries[list] == nil {
			c.entries[list] = map[int]bool{}
		}
		c.entries[list][n] = what == "add"
		r.lastEdit = n
	case "own":
		c.own[strings.TrimPrefix(line, "own ")] = true
	case "set":
		fmt.Sscanf(line, "set %d", &c.set)
	case "report":
		fmt.Sscanf(line, "report %d", &n)
		c.reports[report(n).Extension] = true
	case "import":
		fmt.Sscanf(line, "import %d", &n)
		r.done = n + 1
		c.imports++
	case "merge":
		fmt.Sscanf(line, "merge %d", &n)
		r.merges = n + 1
		c.merges++
	case "few":
		fmt.Sscanf(line, "few %d", &n)
		r.few = n + 1
	case "many":
		fmt.Sscanf(line, "many %d", &n)
		r.many = n + 1
	case "journal":
		fmt.Sscanf(line, "journal %d", &n)
		for ; r.journal <= n; r.journal++ {
			c.journal[r.journal] = true
		}
	default:
		c.t.Fatal("the child says: ", line)
	}
}

func (c *crashed) counts(d *DB, r *round) {
	lists, err := d.Lists()
	check(c.t, err)
	patterns, records := map[string]map[string]bool{}, map[string]int{}
	check(c.t, d.EachEntry(func(list string, e Entry) error {
		if patterns[list] == nil {
			patterns[list] = map[string]bool{}
		}
		patterns[list][e.Pattern] = true
		records[list]++
		return nil
	}))
	for _, l := range lists {
		n := len(patterns[l.Name])
		if l.Entries != n || l.Records != records[l.Name] {
			c.t.Errorf("round %d: %s says %d entries and %d records, has %d and %d", r.n, l.Name, l.Entries, l.Records, n, records[l.Name])
		}
		if l.Name != crashList && n%50 != 0 {
			c.t.Errorf("round %d: %s has %d entries: half an edit is there", r.n, l.Name, n)
		}
	}
}

// importsAreThere holds the list of imports against what was acknowledged, the files' records and a person's each by themselves.
func (c *crashed) importsAreThere(d *DB, r *round) {
	got, own := map[string]string{}, map[string]bool{}
	if err := d.Entries(crashList, func(e Entry) error {
		if e.Origin == FromPerson {
			own[e.Pattern] = true
		} else {
			got[e.Pattern] = e.Reason
		}
		return nil
	}); err != nil && !errors.Is(err, ErrNoList) {
		c.t.Fatal(err)
	}
	// The one under way may have come to pass without its line, but then wholly.
	if atLeast, atMost := crashState(c.state, r.n, r.done), crashState(c.state, r.n, r.done+1); !maps.Equal(got, atLeast) && !maps.Equal(got, atMost) {
		c.t.Fatalf("round %d: after %d imports the list has %d entries, which are those of neither %d nor %d", r.n, r.done, len(got), r.done, r.done+1)
	}
	c.state = got
	for p := range c.own {
		if !own[p] {
			c.t.Fatalf("round %d: %s was added by hand, and an import has taken it away", r.n, p)
		}
	}
}

func (c *crashed) editsAreThere(d *DB, r *round) {
	for list, edits := range c.entries {
		there := map[string]bool{}
		check(c.t, d.Entries(list, func(e Entry) error { there[e.Pattern] = true; return nil }))
		for n, want := range edits {
			if n == r.lastEdit && want && !there[entry(n*50).Pattern] {
				// The removal of the last one may have come to pass without its line.
				edits[n] = false
				want = false
			}
			for i := range 50 {
				if there[entry(n*50+i).Pattern] != want {
					c.t.Fatalf("round %d: entry %d of edit %d on %s: there %v, acknowledged %v", r.n, i, n, list, !want, want)
				}
			}
		}
	}
}

func (c *crashed) restIsThere(d *DB, r *round) {
	if v, err := d.Setting("round"); err != nil || c.set >= 0 && string(v) != fmt.Sprint(c.set) && string(v) != fmt.Sprint(r.lastEdit) {
		c.t.Errorf("round %d: the setting is %q, %v; acknowledged was %d", r.n, v, err, c.set)
	} else {
		fmt.Sscan(string(v), &c.set)
	}
	names := map[string]bool{}
	check(c.t, d.Journal(Query{}, func(r Record) error { names[r.Name] = true; return nil }))
	for n := range c.journal {
		if !names[fmt.Sprint("call ", n)] {
			c.t.Errorf("round %d: record %d is not in the journal", r.n, n)
		}
	}
	for _, r := range readReports(c.t, d, ReportOpen) {
		delete(c.reports, r.Extension)
	}
	if len(c.reports) > 0 {
		c.t.Fatalf("round %d: reports that were acknowledged are not there: %v", r.n, c.reports)
	}
}

// killed starts a child and kills it some time after its first acknowledgement of what begins with first (or after its
// start, with early). It returns the lines the child printed.
func killed(t *testing.T, file string, from int, after time.Duration, early bool, first string) (lines []string) {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), crashFileEnv+"="+file, fmt.Sprint(crashFromEnv, "=", from))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	kill := func() { cmd.Process.Kill() }
	if early {
		time.AfterFunc(after/4, kill)
	}
	defer time.AfterFunc(time.Minute, kill).Stop() // one that hangs
	in := bufio.NewScanner(out)
	for waits := !early; in.Scan(); {
		if waits && strings.HasPrefix(in.Text(), first) {
			waits = false
			time.AfterFunc(after, kill)
		}
		lines = append(lines, in.Text())
	}
	cmd.Wait()
	return lines
}
