package daemon

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"ringfence/bridge"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/lists"
	"ringfence/number"
	"ringfence/policy"
)

// benchLists prints the table of docs/storage.md (make bench-lists).
var benchLists = flag.Int("lists", 0, "measure lists of 1,000 numbers up to so many")

var benchListsFrom = flag.Int("lists-from", 1000, "with -lists: where to begin")

// listsChildEnv makes this test binary a daemon, for a process of its own to be measured.
const listsChildEnv = "RINGFENCE_LISTS_CHILD"

func TestMain(m *testing.M) {
	if file := os.Getenv(listsChildEnv); file != "" {
		listsChild(file)
		return
	}
	if file := os.Getenv(listsEditEnv); file != "" {
		listsEdit(file)
		return
	}
	if ahead := os.Getenv(skewedEnv); ahead != "" {
		skewedChild(ahead, os.Args[len(os.Args)-1])
		return
	}
	os.Exit(m.Run())
}

// listsChild runs a daemon until its standard input ends. It says on standard output when the lists are read.
func listsChild(file string) {
	began := processStart()
	c, err := conf.LoadDaemon(file)
	if err == nil {
		var d *Daemon
		if d, err = Start(context.Background(), c, "bench", slog.New(slog.DiscardHandler)); err == nil {
			<-d.desk.ListsRead()
			fmt.Println("ready", time.Since(began).Milliseconds())
			io.Copy(io.Discard, os.Stdin)
			err = d.Stop(context.Background())
		}
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

// processStart is when this process was made, by the kernel's clock, to a hundredth of a second.
func processStart() time.Time {
	stat, _ := os.ReadFile("/proc/self/stat")
	uptime, _ := os.ReadFile("/proc/uptime")
	_, after, _ := strings.Cut(string(stat), ") ")
	ticks, _ := strconv.ParseFloat(strings.Fields(after)[19], 64)
	up, _ := strconv.ParseFloat(strings.Fields(string(uptime))[0], 64)
	return time.Now().Add(-time.Duration((up - ticks/100) * float64(time.Second)))
}

// listsDaemon is a daemon in a process of its own.
type listsDaemon struct {
	cmd   *exec.Cmd
	in    io.Closer
	ready time.Duration // from the start of the process until its lists were read
}

func startListsDaemon(t testing.TB, c *conf.Daemon, file string) *listsDaemon {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), listsChildEnv+"="+file)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil || cmd.Start() != nil {
		t.Fatal("the child does not start")
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	var ms int
	if _, err := fmt.Sscanf(line, "ready %d", &ms); err != nil {
		t.Fatalf("the child says %q", line)
	}
	return &listsDaemon{cmd, in, time.Duration(ms) * time.Millisecond}
}

func (d *listsDaemon) stop() {
	d.in.Close()
	d.cmd.Wait()
}

// rssAnon is how much anonymous memory the process has, in bytes.
func (d *listsDaemon) rssAnon(t testing.TB) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
			return kb << 10
		}
	}
	t.Fatal("no RssAnon")
	return 0
}

// someNumbers is n different Chinese mobile numbers, spread as a national list may be; odd ones are not in it.
type someNumbers struct{ n int }

func (s someNumbers) at(i int) uint64 {
	return 8613000000000 + uint64(i)*(999_999_998/uint64(s.n))&^1
}

// file is a list file with a line each, in no order.
func (s someNumbers) file() io.Reader {
	r, w := io.Pipe()
	go func() {
		out := bufio.NewWriterSize(w, 1<<16)
		step := 7919 // coprime to any power of ten
		var line []byte
		for i, at := 0, 0; i < s.n; i++ {
			line = append(strconv.AppendUint(append(line[:0], '+'), s.at(at), 10), '\n')
			out.Write(line)
			if at += step; at >= s.n {
				at %= s.n
			}
		}
		out.Flush()
		w.Close()
	}()
	return r
}

// forget has the kernel forget what it has read of a file, so that the next reader waits for the disk.
func forget(t testing.TB, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
}

// TestBenchLists measures, for `make bench-lists`, what docs/storage.md says of lists: a daemon of its own for imports, memory
// and restarts; look-ups beside bbolt's own Get and a Go map in this process.
func TestBenchLists(t *testing.T) {
	if *benchLists == 0 {
		t.Skip("make bench-lists")
	}
	fmt.Printf("%s, %d CPUs, %s/%s\n\n", runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	memory := []string{"| numbers | import | RssAnon over empty | once written | after a restart | a number | without the piece | a number |", "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"}
	edited := []string{"| numbers | edit without a daemon | memory |", "| ---: | ---: | ---: |"}
	restart := []string{"| numbers | database | piece | written in | opened in | ready with it | from a cold disk | without it |", "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"}
	found := []string{"| numbers | hit | miss | mapped hit | miss | bbolt Get hit | miss | Go map hit | miss | allocs |", "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"}
	for n := *benchListsFrom; n <= *benchLists; n *= 10 {
		c := installation(t, smallPolicy)
		file, piece := filepath.Join(filepath.Dir(c.Policy), "ringfence.toml"), filepath.Join(c.Data, "lists.piece")
		d := startListsDaemon(t, c, file)
		time.Sleep(300 * time.Millisecond)
		empty := d.rssAnon(t)
		over := func() string { return fmt.Sprintf("%.1f MB", float64(d.rssAnon(t)-empty)/1e6) }
		client := dial(t, c)
		began := time.Now()
		report, err := client.Import(t.Context(), console.ImportQuery{List: "blacklist", File: "numbers.txt"}, someNumbers{n}.file())
		if err != nil || report.Added != n {
			t.Fatalf("%+v, %v", report, err)
		}
		took := time.Since(began)
		time.Sleep(300 * time.Millisecond)
		imported := over()
		for began := time.Now(); time.Since(began) < 40*time.Second; time.Sleep(100 * time.Millisecond) {
			if _, err := os.Stat(piece); err == nil {
				break
			}
		}
		time.Sleep(time.Second)
		written := over()
		client.Close()
		d.stop()
		restarted := func(before func()) (ready, rss, number string) { // the best of three, for other work on the machine
			best := time.Duration(1 << 62)
			for range 3 {
				before()
				d = startListsDaemon(t, c, file)
				time.Sleep(300 * time.Millisecond)
				rss, number = over(), fmt.Sprintf("%.1f B", float64(d.rssAnon(t)-empty)/float64(n))
				d.stop()
				best = min(best, d.ready)
			}
			return fmt.Sprintf("%d ms", best.Milliseconds()), rss, number
		}
		ready, mapped, mappedNumber := restarted(func() {})
		cold, _, _ := restarted(func() { forget(t, piece) })
		edited = append(edited, editRow(t, file, n))
		database, err1 := os.Stat(c.Database())
		info, err2 := os.Stat(piece)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		without, memoryOnly, number := restarted(func() { os.Remove(piece) })
		l := lookups(t, n)
		memory = append(memory, fmt.Sprintf("| %d | %.2f s | %s | %s | %s | %s | %s | %s |", n, took.Seconds(), imported, written, mapped, mappedNumber, memoryOnly, number))
		restart = append(restart, fmt.Sprintf("| %d | %.1f MB | %.1f MB | %d ms | %.1f ms | %s | %s | %s |", n, float64(database.Size())/1e6, float64(info.Size())/1e6,
			l.write.Milliseconds(), float64(l.open.Microseconds())/1e3, ready, cold, without))
		found = append(found, fmt.Sprintf("| %d | %s | %.0f |", n, strings.Join(l.times, " | "), l.allocs))
		os.RemoveAll(filepath.Dir(c.Policy))
	}
	for _, table := range [][]string{memory, restart, edited, found} {
		fmt.Println(strings.Join(table, "\n") + "\n")
	}
}

type lookupTimes struct {
	times       []string
	write, open time.Duration // of the list as a piece in a file, with the disk's sync
	allocs      float64
}

// pick is a number to look up, in the forms that are measured.
type pick struct {
	number number.Number
	text   []byte
	e164   string
}

const picks = 1 << 16

// lookups measures one look-up of a hit and a miss, picked at random, in what the daemon has, in memory and mapped, in bbolt, in a Go
// map.
func lookups(t *testing.T, n int) (l lookupTimes) {
	s := someNumbers{n}
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	p, faults := policy.Load("policy.toml", []byte(smallPolicy))
	if p == nil {
		t.Fatal(faults)
	}
	var sets [2][]pick
	for off := range sets {
		for range picks {
			text := fmt.Sprintf("+%d", s.at(rnd.IntN(n))+uint64(off))
			sets[off] = append(sets[off], pick{p.Plan().Parse(text), []byte(text), text})
		}
	}
	measure := func(find func(*pick) bool) {
		for missing, set := range sets {
			best := time.Duration(1 << 62)
			for range 5 {
				began := time.Now()
				for i := range set {
					if find(&set[i]) == (missing == 1) {
						t.Fatalf("%s: not what was expected", set[i].e164)
					}
				}
				best = min(best, time.Since(began))
			}
			l.times = append(l.times, fmt.Sprintf("%d ns", best.Nanoseconds()/picks))
		}
		runtime.GC()
	}
	lookupsInLists(t, p.Plan(), s, &l, sets[0], sets[1], measure)
	debug.FreeOSMemory()
	lookupsInBolt(t, s, measure)
	all := map[string]struct{}{}
	for i := range n {
		all[fmt.Sprintf("+%d", s.at(i))] = struct{}{}
	}
	measure(func(k *pick) bool { _, ok := all[k.e164]; return ok })
	return l
}

func lookupsInLists(t *testing.T, plan *number.Plan, s someNumbers, l *lookupTimes, hits, misses []pick, measure func(func(*pick) bool)) {
	t.Helper()
	inMemory := lists.New()
	load := inMemory.Load("blacklist")
	for i := range s.n {
		q, err := plan.KeptPattern(fmt.Sprintf("+%d", s.at(i)))
		if err != nil {
			t.Fatal(err)
		}
		load.Add(&policy.ListEntry{Pattern: q, Reason: "a reason", Source: "a source"})
	}
	load.Done()
	at := time.Now()
	measure(func(k *pick) bool { _, ok := inMemory.Lookup("blacklist", &k.number, at); return ok })
	l.allocs = testing.AllocsPerRun(1000, func() {
		inMemory.Lookup("blacklist", &hits[5].number, at)
		inMemory.Lookup("blacklist", &misses[5].number, at)
	})
	file := filepath.Join(t.TempDir(), "lists.piece")
	fit := lists.Fit{List: "blacklist", Stamp: "bench", Reading: plan.Reading()}
	began := time.Now()
	if err := lists.WriteFile(file, []lists.SavedPiece{{Fit: fit, Piece: inMemory.Piece("blacklist")}}); err != nil {
		t.Fatal(err)
	}
	l.write = time.Since(began)
	began = time.Now()
	found, err := lists.OpenFile(file, func(f lists.Fit) bool { return f == fit })
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	l.open = time.Since(began)
	mapped := lists.New()
	mapped.Adopt("blacklist", found[0])
	measure(func(k *pick) bool { _, ok := mapped.Lookup("blacklist", &k.number, at); return ok })
}

func lookupsInBolt(t *testing.T, s someNumbers, measure func(func(*pick) bool)) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "plain.db"), 0o600, &bolt.Options{NoSync: true, NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for from := 0; from < s.n; from += 100_000 {
		if err := db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("b"))
			b.FillPercent = 0.9
			for i := from; i < min(s.n, from+100_000) && err == nil; i++ {
				err = b.Put(fmt.Appendf(nil, "+%d", s.at(i)), []byte("a reason"))
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("b"))
		measure(func(k *pick) bool { return b.Get(k.text) != nil })
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestBenchDecisionsDuringImport measures, for `make bench-lists`, how long decisions take while a million entries are imported beside
// 100,000 that are there, and when nothing else is done. Calls come every half millisecond.
func TestBenchDecisionsDuringImport(t *testing.T) {
	if *benchLists == 0 {
		t.Skip("make bench-lists")
	}
	c := installation(t, smallPolicy)
	d := start(t, c)
	imports := func(n int) {
		if report, err := in(d).Import(t.Context(), console.ImportQuery{List: "blacklist"}, someNumbers{n}.file()); err != nil || report.Added == 0 {
			t.Errorf("%+v, %v", report, err)
		}
	}
	imports(100_000)
	took := func(until func() bool) []time.Duration {
		s := someNumbers{1_000_000}
		var all []time.Duration
		facts := make([]bridge.Facts, 4096)
		for i := range facts {
			facts[i] = bridge.Facts{Number: fmt.Sprintf("+%d", s.at(i*211)+uint64(i%2)), Callee: "05925550100"}
		}
		for i := 0; !until(); i++ {
			f := &facts[i%len(facts)]
			began := time.Now()
			v := in(d).Screen(f)
			all = append(all, time.Since(began))
			in(d).Record(f, &v, bridge.Result{})
			time.Sleep(500 * time.Microsecond)
		}
		slices.Sort(all)
		return all
	}
	report := func(when string, all []time.Duration) time.Duration {
		p99 := all[len(all)*99/100]
		fmt.Printf("| %s | %d | %v | %v | %v |\n", when, len(all), all[len(all)/2], p99, all[len(all)-1])
		return p99
	}
	fmt.Println("\n| decisions | calls | median | p99 | longest |\n| --- | ---: | ---: | ---: | ---: |")
	end := time.Now().Add(3 * time.Second)
	idle := report("idle", took(func() bool { return time.Now().After(end) }))
	done := make(chan struct{})
	go func() { defer close(done); imports(1_000_000) }()
	busy := report("while 1,000,000 entries are imported", took(func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}))
	fmt.Printf("\np99 during the import is %.1f times that of idle\n", float64(busy)/float64(idle))
}
