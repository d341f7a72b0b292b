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

// crashUndoes says whether the i-th import of a child is an undo of the one before.
func crashUndoes(i int) bool { return i%3 == 2 }

// crashImports imports and undoes until it is killed.
func crashImports(d *DB, fail func(error), say func(string, ...any)) {
	d.maxEdit, d.stageBytes = 500, 4<<10 // a large import in small
	last := uint64(0)
	for i := 0; ; i++ {
		if crashUndoes(i) {
			_, err := d.Undo(last, By{}, nil)
			fail(err)
		} else {
			es := make([]Entry, crashImport)
			for k := range es {
				es[k] = Entry{Pattern: fmt.Sprintf("+1555%07d", 3*k+i%2), Reason: fmt.Sprint("import ", os.Getenv(crashFromEnv), " ", i)}
			}
			r, err := d.Import(crashList, imported(es...), ImportOptions{})
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
func crashChild(file string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	var from int
	fmt.Sscan(os.Getenv(crashFromEnv), &from)
	d, err := Open(file, Options{})
	fail(err)
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

func killOften(t *testing.T, rounds int) {
	file := filepath.Join(t.TempDir(), "ringfence.db")
	entries := map[string]map[int]bool{} // list → edit → is it there
	set, journal, reports, acked := -1, map[int]bool{}, map[string]bool{}, 0
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	state := map[string]string{} // of the list of imports
	imports := 0
	for round := range rounds {
		from := round * 100_000
		done := 0 // imports acknowledged in this round
		lines := killed(t, file, from, time.Duration(rnd.IntN(80_000))*time.Microsecond, rnd.IntN(4) == 0)
		acked += len(lines)
		lastEdit := from - 1
		firstJournal := from
		for _, line := range lines {
			var what, list string
			var n int
			switch what, _, _ = strings.Cut(line, " "); what {
			case "add", "remove":
				if _, err := fmt.Sscanf(line, what+" %s %d", &list, &n); err != nil {
					t.Fatal(line, err)
				}
				if entries[list] == nil {
					entries[list] = map[int]bool{}
				}
				entries[list][n] = what == "add"
				lastEdit = n
			case "set":
				fmt.Sscanf(line, "set %d", &set)
			case "report":
				fmt.Sscanf(line, "report %d", &n)
				reports[report(n).Extension] = true
			case "import":
				fmt.Sscanf(line, "import %d", &n)
				done = n + 1
				imports++
			case "journal":
				fmt.Sscanf(line, "journal %d", &n)
				for ; firstJournal <= n; firstJournal++ {
					journal[firstJournal] = true
				}
			default:
				t.Fatal("the child says: ", line)
			}
		}

		d, err := Open(file, Options{})
		if err != nil {
			t.Fatalf("after round %d: %v", round, err)
		}
		lists, err := d.Lists()
		check(t, err)
		count := map[string]int{}
		check(t, d.EachEntry(func(list string, e Entry) error { count[list]++; return nil }))
		for _, l := range lists {
			if l.Entries != count[l.Name] {
				t.Errorf("round %d: %s says %d entries, has %d", round, l.Name, l.Entries, count[l.Name])
			}
			if l.Name != crashList && count[l.Name]%50 != 0 {
				t.Errorf("round %d: %s has %d entries: half an edit is there", round, l.Name, count[l.Name])
			}
		}
		got := map[string]string{}
		if err := d.Entries(crashList, func(e Entry) error { got[e.Pattern] = e.Reason; return nil }); err != nil && !errors.Is(err, ErrNoList) {
			t.Fatal(err)
		}
		// The one under way may have come to pass without its line, but then wholly.
		if atLeast, atMost := crashState(state, round, done), crashState(state, round, done+1); !maps.Equal(got, atLeast) && !maps.Equal(got, atMost) {
			t.Fatalf("round %d: after %d imports the list has %d entries, which are those of neither %d nor %d", round, done, len(got), done, done+1)
		}
		state = got
		if report, err := d.Verify(); err != nil || len(report.Faults) > 0 {
			t.Fatalf("round %d: %+v, %v", round, report, err)
		}
		for list, edits := range entries {
			there := map[string]bool{}
			check(t, d.Entries(list, func(e Entry) error { there[e.Pattern] = true; return nil }))
			for n, want := range edits {
				if n == lastEdit && want && !there[entry(n*50).Pattern] {
					// The removal of the last one may have come to pass without its line.
					edits[n] = false
					want = false
				}
				for i := range 50 {
					if there[entry(n*50+i).Pattern] != want {
						t.Fatalf("round %d: entry %d of edit %d on %s: there %v, acknowledged %v", round, i, n, list, !want, want)
					}
				}
			}
		}
		if v, err := d.Setting("round"); err != nil || set >= 0 && string(v) != fmt.Sprint(set) && string(v) != fmt.Sprint(lastEdit) {
			t.Errorf("round %d: the setting is %q, %v; acknowledged was %d", round, v, err, set)
		} else {
			fmt.Sscan(string(v), &set)
		}
		names := map[string]bool{}
		check(t, d.Journal(Query{}, func(r Record) error { names[r.Name] = true; return nil }))
		for n := range journal {
			if !names[fmt.Sprint("call ", n)] {
				t.Errorf("round %d: record %d is not in the journal", round, n)
			}
		}
		for _, r := range readReports(t, d, ReportOpen) {
			delete(reports, r.Extension)
		}
		if len(reports) > 0 {
			t.Fatalf("round %d: reports that were acknowledged are not there: %v", round, reports)
		}
		counts(t, d)
		sizeIsTrue(t, d)
		check(t, d.Close())
	}
	t.Logf("%d acknowledged in %d rounds, %d of them imports", acked, rounds, imports)
	if acked < rounds || imports == 0 {
		t.Error("hardly any edit was acknowledged: the children were killed too early to show anything")
	}
}

// killed starts a child and kills it some time after its first acknowledgement (or
// after its start, with early). It returns the lines the child printed.
func killed(t *testing.T, file string, from int, after time.Duration, early bool) (lines []string) {
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
	in := bufio.NewScanner(out)
	for in.Scan() {
		if len(lines) == 0 && !early {
			time.AfterFunc(after, kill)
		}
		lines = append(lines, in.Text())
	}
	cmd.Wait()
	return lines
}
