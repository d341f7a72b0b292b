package desk

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/inforce"
	"ringfence/storage"
)

const fromFile = "lists are there from their file"

// onList is what the blacklist says of numbers in memory.
func onList(d *running, numbers ...string) string {
	var said []string
	r := d.force.Rules()
	for _, text := range numbers {
		n := r.Policy.Plan().Parse(text)
		if e, ok := r.Lists.Lookup("blacklist", &n, time.Now()); ok {
			said = append(said, e.Reason)
		} else {
			said = append(said, "-")
		}
	}
	return strings.Join(said, " ")
}

func addTo(t *testing.T, d *running, list, number, reason string) {
	t.Helper()
	if _, err := d.AddEntries(t.Context(), list, []console.NewEntry{{Number: number, Reason: reason}}, false); err != nil {
		t.Fatal(err)
	}
}

// piecesHouse is an installation whose daemon is started and stopped.
type piecesHouse struct {
	*testing.T
	c    *conf.Daemon
	file string
}

// run starts a daemon, stops it when it was used, and gives its log.
func (h *piecesHouse) run(use func(d *running)) string {
	h.Helper()
	d, log := startLogging(h.T, h.c)
	use(d)
	d.stop(h.T)
	return log.String()
}

// must holds a log against what it should say: whether lists were had from the file, and whether it could not be read.
func (h *piecesHouse) must(log string, used, warned bool) {
	h.Helper()
	if got := strings.Contains(log, fromFile); got != used {
		h.Errorf("from the file: got %v, want %v\n%s", got, used, log)
	}
	if got := strings.Contains(log, "level=WARN msg=\"lists cannot be had"); got != warned {
		h.Errorf("warned: got %v, want %v\n%s", got, warned, log)
	}
}

func (h *piecesHouse) want(d *running, want string) {
	h.Helper()
	if got := onList(d, "13800138000", "95211613", "02154321234"); got != want {
		h.Errorf("got %q, want %q", got, want)
	}
}

// read gives the database and the file of the lists.
func (h *piecesHouse) read() (database, file []byte) {
	h.Helper()
	database, err1 := os.ReadFile(h.c.Database())
	file, err2 := os.ReadFile(h.file)
	if err1 != nil || err2 != nil {
		h.Fatal(err1, err2)
	}
	return database, file
}

func piecesInstallation(t *testing.T) *piecesHouse {
	t.Helper()
	c := installation(t, smallPolicy)
	h := &piecesHouse{t, c, filepath.Join(c.Data, "lists.piece")}
	h.must(h.run(func(d *running) {
		addTo(t, d, "blacklist", "13800138000", "one")
		addTo(t, d, "blacklist", "9521*", "wide")
		addTo(t, d, "allowlist", "95588", "bank")
	}), false, false)
	return h
}

// Lists that were written at a stop are had from their file at the next start, and only those that the database has just so: not
// after an edit by a command, from another state of the database, or for another country.
func TestPiecesFitOrAreNotUsed(t *testing.T) {
	h := piecesInstallation(t)
	h.must(h.run(func(d *running) { h.want(d, "one wide -") }), true, false)
	database, file := h.read()

	db, err := OpenDatabase(h.c, false) // a command, while no daemon runs
	if err != nil {
		t.Fatal(err)
	}
	desk := New(h.c, db, &inforce.State{}, Options{Log: slog.New(slog.DiscardHandler)})
	if err := desk.Load(); err != nil {
		t.Fatal(err)
	}
	if _, err := desk.AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "02154321234", Reason: "three"}}, false); err != nil {
		t.Fatal(err)
	}
	desk.Close()
	log := h.run(func(d *running) { h.want(d, "one wide three") })
	if !strings.Contains(log, fromFile+`" lists=1`) { // the other list was not changed
		t.Errorf("not one list from the file\n%s", log)
	}
	h.must(h.run(func(d *running) { h.want(d, "one wide three") }), true, false)

	// The file of a later state must not fit an earlier one that was restored and went another way from there.
	write(t, h.c.Database(), database)
	h.run(func(d *running) { addTo(t, d, "blacklist", "02154321234", "later") })
	_, later := h.read()
	write(t, h.c.Database(), database)
	write(t, h.file, file)
	h.run(func(d *running) { addTo(t, d, "blacklist", "02154321234", "otherwise") })
	write(t, h.file, later)
	h.run(func(d *running) { h.want(d, "one wide otherwise") })

	// Another country reads 9521* otherwise.
	write(t, h.c.Policy, []byte(strings.Replace(smallPolicy, `"CN"`, `"US"`, 1)))
	h.must(h.run(func(d *running) {}), false, false)
	write(t, h.c.Policy, []byte(smallPolicy))
	h.must(h.run(func(d *running) { h.want(d, "one wide otherwise") }), false, false)
}

// A file with a byte that is not what it was, or cut short, is not used.
func TestDamagedPiecesAreNotUsed(t *testing.T) {
	h := piecesInstallation(t)
	database, file := h.read()
	for at := 0; at < len(file); at += 1 + at/7 {
		flipped := bytes.Clone(file)
		flipped[at] ^= 0x10
		write(t, h.c.Database(), database)
		write(t, h.file, flipped)
		log := h.run(func(d *running) { h.want(d, "one wide -") })
		// What bytes 8 to 15 say is that another version wrote the file, which is nothing to warn of. A list behind the
		// damage may be had all the same.
		if warned := strings.Contains(log, "level=WARN"); !warned && (at < 8 || at > 15) && !strings.Contains(log, fromFile) {
			t.Errorf("byte %d is another, and nothing says so", at)
		}
	}
	for _, size := range []int{0, 1, 100, 330, len(file) - 1} {
		write(t, h.c.Database(), database)
		write(t, h.file, file[:size])
		h.run(func(d *running) { h.want(d, "one wide -") })
	}
}

func write(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o640); err != nil {
		t.Fatal(err)
	}
}

// A file that cannot be written is a warning, once, and nothing else; when it can be again it is.
func TestPiecesCannotBeWritten(t *testing.T) {
	c := installation(t, smallPolicy)
	d, log := startLogging(t, c)
	addTo(t, d, "blacklist", "13800138000", "one")
	file := filepath.Join(c.Data, "lists.piece")
	if err := os.MkdirAll(filepath.Join(file+".new", "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if d.savePieces() != nil {
			t.Error("written where it cannot be")
		}
	}
	if n := strings.Count(log.String(), "the lists cannot be written"); n != 1 {
		t.Errorf("%d warnings, want 1\n%s", n, log)
	}
	if err := os.RemoveAll(file + ".new"); err != nil {
		t.Fatal(err)
	}
	if d.savePieces() == nil {
		t.Error("not written when it can be")
	}
	if got := onList(d, "13800138000"); got != "one" {
		t.Errorf("got %q, want one", got)
	}
}

// The file is written half a minute after the last edit, ten minutes after the first at the latest, and a large one not so often that
// the disk has to take more than the rate.
func TestPiecesAreDue(t *testing.T) {
	now := time.Now()
	after := func(d time.Duration) time.Time { return now.Add(d) }
	p := newPieces()
	for _, c := range []struct{ next, latest, due, atLatest time.Time }{
		{time.Time{}, time.Time{}, after(piecesQuiet), after(piecesLate)},
		{after(-time.Hour), after(time.Minute), after(piecesQuiet), after(time.Minute)},
		{time.Time{}, after(time.Second), after(time.Second), after(time.Second)},
		{after(time.Minute), time.Time{}, after(time.Minute), after(piecesLate)},
		{after(time.Hour), time.Time{}, after(time.Hour), after(time.Hour)},
	} {
		p.next = c.next
		if due, latest := p.due(now, c.latest); !due.Equal(c.due) || !latest.Equal(c.atLatest) {
			t.Errorf("next %v, latest %v: got %v, %v, want %v, %v", c.next, c.latest, due, latest, c.due, c.atLatest)
		}
	}
}

// An entry that the country cannot read is counted, and warned of, also when its list is had from the file.
func TestPiecesWithStrays(t *testing.T) {
	c := installation(t, smallPolicy)
	if d, _ := startLogging(t, c); true {
		addTo(t, d, "blacklist", "13800138000", "one")
		if _, err := d.db.AddEntries("blacklist", []storage.Entry{{Pattern: "no number"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.stop(t)
	}
	d, log := startLogging(t, c)
	if allStrays(d.force.Rules()) != 1 || !strings.Contains(log.String(), fromFile) || !strings.Contains(log.String(), "no call matches them") {
		t.Errorf("got %d strays, want 1\n%s", allStrays(d.force.Rules()), log)
	}
}

// While it may be that memory is not what is on disk, nothing is written.
func TestPiecesInDoubt(t *testing.T) {
	c := installation(t, smallPolicy)
	d, _ := startLogging(t, c)
	addTo(t, d, "blacklist", "13800138000", "one")
	d.pieces.edited(fmt.Errorf("the disk: %w", storage.ErrWrite))
	if d.savePieces() != nil {
		t.Error("written in doubt")
	}
	if _, err := os.Stat(filepath.Join(c.Data, "lists.piece")); err == nil {
		t.Error("there is a file")
	}
	if _, err := d.Reload(t.Context()); err != nil || d.savePieces() == nil {
		t.Errorf("not written after a reload: %v", err)
	}
	d.pieces.edited(fmt.Errorf("the asker: %w", storage.ErrInvalid))
	if d.savePieces() == nil {
		t.Error("not written after a mistake of the asker")
	}
}

// While not all lists have been read, memory is not what is on disk.
func TestPiecesWhileListsAreUnread(t *testing.T) {
	c := installation(t, smallPolicy)
	d, _ := startLogging(t, c)
	addTo(t, d, "blacklist", "13800138000", "one")
	if d.savePieces() == nil {
		t.Fatal("not written")
	}
	d.edit.Lock()
	d.unread = map[string]loader{} // as when another list could not be read
	d.edit.Unlock()
	addTo(t, d, "blacklist", "13800138000", "two")
	if d.savePieces() != nil {
		t.Error("written while lists are unread")
	}
	d.stop(t)
	again, _ := startLogging(t, c)
	if got := onList(again, "13800138000"); got != "two" {
		t.Errorf("got %q after a restart, want what is on disk", got)
	}
}

// A large list is mapped when it has been written, and again at the next start; with a file that is cut short under it it is
// read from the database, and the daemon lives.
func TestPiecesAreMapped(t *testing.T) {
	c := installation(t, smallPolicy)
	d, log := startLogging(t, c)
	n := 400_000
	if report, err := d.Import(t.Context(), console.ImportQuery{List: "blacklist"}, fileOf(n)); err != nil || report.Added != n {
		t.Fatalf("%+v, %v", report, err)
	}
	waitFor(t, log, "lists are in their file")
	mapped := func(d *running) bool { return d.force.Rules().Lists.Piece("blacklist").Mapped() }
	for began := time.Now(); !mapped(d) && time.Since(began) < time.Minute; {
		time.Sleep(10 * time.Millisecond)
	}
	if !mapped(d) {
		t.Fatal("not mapped after it was written")
	}
	d.stop(t)
	d, log = startLogging(t, c)
	if !strings.Contains(log.String(), fromFile) || !mapped(d) {
		t.Fatalf("not mapped at the next start\n%s", log)
	}
	// What was edited after it was written stays, whatever the file has.
	addTo(t, d, "blacklist", "95211613", "first")
	saved := d.savePieces()
	addTo(t, d, "blacklist", "95211613", "second")
	if d.usePieces(saved); onList(d, "95211613") != "second" {
		t.Errorf("got %q, want what was edited last", onList(d, "95211613"))
	}
	if d.usePieces(d.savePieces()); onList(d, "95211613") != "second" || !mapped(d) {
		t.Errorf("got %q, mapped %v", onList(d, "95211613"), mapped(d))
	}
	n++
	check := func() {
		t.Helper()
		r := d.force.Rules()
		for i := 0; i < n-1; i += 23 {
			number := r.Policy.Plan().Parse(fmt.Sprintf("+%d", numberAt(n-1, i)))
			if _, ok := r.Lists.Lookup("blacklist", &number, time.Now()); ok || !r.Lists.Loaded("blacklist") {
				continue
			}
			// It may have been read again since.
			if _, ok := r.Lists.Lookup("blacklist", &number, time.Now()); !ok {
				t.Fatalf("the %dth number is not listed", i)
			}
		}
	}
	check()
	if err := os.Truncate(filepath.Join(c.Data, "lists.piece"), 4096); err != nil {
		t.Fatal(err)
	}
	check() // it is cut short under the look-ups
	waitFor(t, log, "lists cannot be read from their file any more")
	for began := time.Now(); !d.force.Rules().Lists.Loaded("blacklist") && time.Since(began) < time.Minute; {
		time.Sleep(10 * time.Millisecond)
	}
	check()
	if got := d.force.Rules().Lists.Len("blacklist"); got != n || !d.force.Rules().Lists.Loaded("blacklist") {
		t.Errorf("%d entries, want %d", got, n)
	}
}

func waitFor(t *testing.T, log *lockedBuffer, text string) {
	t.Helper()
	for began := time.Now(); !strings.Contains(log.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("the log does not say %q\n%s", text, log)
		}
	}
}

// piecesChildEnv makes this test binary a daemon that edits a list and writes its file without end.
const piecesChildEnv = "RINGFENCE_PIECES_CHILD"

// piecesChild says on standard output which edits are acknowledged.
func piecesChild(folder string) {
	c := &conf.Daemon{Policy: filepath.Join(folder, "policy.toml"), Data: folder}
	d, err := run(c, slog.New(slog.DiscardHandler))
	if err == nil {
		go func() {
			for {
				d.savePieces()
			}
		}()
		for i := d.force.Rules().Lists.Len("blacklist"); err == nil; i++ {
			_, err = d.AddEntries(context.Background(), "blacklist", []console.NewEntry{{Number: killedNumber(i), Reason: fmt.Sprint("r", i)}}, false)
			if fmt.Println(i); i%4 == 0 {
				time.Sleep(15 * time.Millisecond) // so that the file fits at times
			}
		}
	}
	fmt.Println("error", err)
	os.Exit(1)
}

func killedNumber(i int) string { return fmt.Sprintf("+86138%08d", i) }

// A daemon that is killed at any moment, while it edits and writes its file, has at the next start what the database has.
func TestPiecesAfterAKill(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := installation(t, smallPolicy)
	file := filepath.Join(c.Data, "lists.piece")
	acked, used, rounds := -1, 0, 12
	if testing.Short() {
		rounds = 4
	}
	for round := range rounds {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), piecesChildEnv+"="+c.Data)
		out, err := cmd.StdoutPipe()
		if err != nil || cmd.Start() != nil {
			t.Fatal("the child does not start")
		}
		lines := bufio.NewScanner(out)
		editing := false
		kill := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
		for lines.Scan() {
			i, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Errorf("the child says %q", lines.Text())
				break
			}
			if !editing { // from now on
				editing = true
				kill.Reset(time.Duration(1+rand.IntN(60)) * time.Millisecond)
			}
			acked = max(acked, i)
		}
		cmd.Wait()
		d, log := startLogging(t, c)
		if strings.Contains(log.String(), fromFile) {
			used++
		}
		if strings.Contains(log.String(), "level=WARN msg=\"lists cannot be had") {
			t.Errorf("round %d: the file is torn\n%s", round, log)
		}
		if n := d.force.Rules().Lists.Len("blacklist"); n < acked+1 || n > acked+2 {
			t.Errorf("round %d: %d entries, %d were acknowledged", round, n, acked+1)
		}
		for i := range acked + 1 {
			if got, want := onList(d, killedNumber(i)), fmt.Sprint("r", i); got != want {
				t.Fatalf("round %d: got %q, want %q", round, got, want)
			}
		}
		d.stop(t)
		acked = d.force.Rules().Lists.Len("blacklist") - 1
	}
	t.Logf("%d edits, %d kills, the file fitted after %d", acked+1, rounds, used)
	d, log := startLogging(t, c)
	if !strings.Contains(log.String(), fromFile) {
		t.Error("the file does not fit after a clean stop")
	}
	d.stop(t)
	if _, err := os.Stat(file + ".new"); !os.IsNotExist(err) {
		t.Errorf("what a kill left is still there: %v", err)
	}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
