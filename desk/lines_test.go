package desk

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"ringfence/console"
	"ringfence/policy"
	"ringfence/storage"
)

const linePolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[lines.office]
numbers = ["05925550000-05925550099"]
[[rule]]
name = "strict"
when = { line = ["profile:strict"] }
action = "reject"
`

func lineEdit(name string, numbers ...string) storage.LineEdit {
	return storage.LineEdit{Line: storage.Line{Name: name, Key: policy.NewLineKey(name, storage.LineOwn()), Numbers: numbers, Profile: "strict"}}
}

func lineGone(name string) storage.LineEdit {
	return storage.LineEdit{Line: storage.Line{Name: name}, Remove: true}
}

func (d *running) lines(t testing.TB, edits ...storage.LineEdit) storage.ChangeRecord {
	t.Helper()
	r, err := d.tryLines(t, edits...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (d *running) tryLines(t testing.TB, edits ...storage.LineEdit) (storage.ChangeRecord, error) {
	d.edit.Lock()
	defer d.edit.Unlock()
	_, r, err := d.changeLines(t.Context(), storage.ChangeRecord{}, edits)
	return r, err
}

// lineOf is the line that a call to a number is to.
func (d *running) lineOf(number string) string {
	p := d.force.Rules().Policy
	n := p.Plan().ParseInternal(number)
	return p.LineOf(&n)
}

// memoryIsDisk holds the lines in memory against those that a start would read.
func (d *running) memoryIsDisk(t testing.TB, when string) {
	t.Helper()
	read, err := d.readLines(d.force.Rules().Policy.Plan())
	if err != nil {
		t.Fatal(err)
	}
	have := d.force.Rules().Lines
	if got, want := slices.Collect(have.All()), slices.Collect(read.All()); !slices.Equal(got, want) {
		t.Fatalf("%s: memory has %d lines that are not the %d on disk:\n%+v\n%+v", when, len(got), len(want), got, want)
	}
	_, numbers := have.Len()
	if _, onDisk := read.Len(); numbers != onDisk {
		t.Fatalf("%s: memory has %d numbers, the disk %d", when, numbers, onDisk)
	}
}

// An edit of lines decides the next call, an undo takes it back, and memory is at all times what a start would read.
func TestLines(t *testing.T) {
	d, err := run(installation(t, linePolicy), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer d.stop(t)
	is := func(number, want string) {
		t.Helper()
		if got := d.lineOf(number); got != want {
			t.Errorf("%s is on %q, want %q", number, got, want)
		}
		d.memoryIsDisk(t, number)
	}
	made := d.lines(t, lineEdit("shop", "+865925551000", "0592555200?"), lineEdit("firm", "+865925551001"))
	is("05925551000", "shop")
	is("05925552005", "shop")
	is("05925550050", "office")
	moved := d.lines(t, lineEdit("shop"), lineEdit("firm", "+865925551001", "+865925551000"))
	is("05925551000", "firm")
	is("05925552005", "")
	// The number has gone elsewhere since: what gave it to the shop cannot come back.
	d.lines(t, lineEdit("firm", "+865925551001"), lineEdit("bar", "+865925551000"))
	_, err = d.Undo(t.Context(), moved.ID) // leaves the firm, which was changed since, and would give the shop its number
	if !errors.Is(err, console.ErrConflict) || !strings.Contains(err.Error(), "is on the line bar already") {
		t.Errorf("got %v", err)
	}
	is("05925551000", "bar")
	back := d.lines(t, lineGone("bar"))
	if _, err := d.Undo(t.Context(), moved.ID); err != nil {
		t.Error(err)
	}
	is("05925551000", "shop")
	if _, err := d.Undo(t.Context(), back.ID); !errors.Is(err, console.ErrConflict) || !strings.Contains(err.Error(), "is on the line shop already") {
		t.Errorf("got %v", err)
	}
	is("05925551000", "shop")
	if _, err := d.tryLines(t, lineEdit("new", "05925552000-05925552009")); !errors.Is(err, console.ErrConflict) || !strings.Contains(err.Error(), "on the line shop") {
		t.Errorf("got %v", err)
	}
	if _, err := d.tryLines(t, lineEdit("new", "no number")); !errors.Is(err, console.ErrBad) {
		t.Errorf("got %v", err)
	}
	bad := lineEdit("new", "+865925553000")
	bad.Key = "shop~stolen"
	if _, err := d.tryLines(t, bad); !errors.Is(err, console.ErrBad) || !strings.Contains(err.Error(), "key") {
		t.Errorf("got %v", err)
	}
	is("05925553000", "")
	if _, err := d.Undo(t.Context(), made.ID); err != nil {
		t.Error(err)
	}
	is("05925551001", "firm") // which was changed since
	if _, err := d.Undo(t.Context(), 999); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	var changes int
	if err := d.Changes(t.Context(), "", func(c console.ListChange) error { changes++; return nil }); err != nil || changes != 0 {
		t.Errorf("the changes of lists have %d, %v", changes, err)
	}
}

// Random edits, undos, restarts and reloads.
func TestLinesRandom(t *testing.T) {
	c := installation(t, linePolicy)
	d, err := run(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { d.stop(t) }()
	rnd := rand.New(rand.NewPCG(14, 7))
	var ids []uint64
	refused, undone := 0, 0
	for step := range 150 {
		switch k := rnd.IntN(12); {
		case k == 0:
			d.stop(t)
			if d, err = run(c, slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
		case k == 1:
			if _, err := d.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
		case k < 5 && len(ids) > 0:
			switch r, err := d.Undo(t.Context(), ids[rnd.IntN(len(ids))]); {
			case errors.Is(err, console.ErrConflict), errors.Is(err, console.ErrBad):
				refused++
			case err != nil:
				t.Fatal(err)
			case r.ID != 0:
				undone++
				ids = append(ids, r.ID)
			}
		default:
			var edits []storage.LineEdit
			for _, i := range rnd.Perm(12)[:1+rnd.IntN(3)] {
				e := lineEdit(fmt.Sprint("line", i))
				e.Remove = rnd.IntN(4) == 0
				for range rnd.IntN(3) {
					e.Numbers = append(e.Numbers, fmt.Sprint("+8659255510", 10+rnd.IntN(30)))
				}
				edits = append(edits, e)
			}
			switch r, err := d.tryLines(t, edits...); {
			case errors.Is(err, console.ErrConflict):
				refused++
			case err != nil:
				t.Fatal(err)
			case r.ID != 0:
				ids = append(ids, r.ID)
			}
		}
		d.memoryIsDisk(t, fmt.Sprint("step ", step))
	}
	if refused < 5 || undone < 5 {
		t.Errorf("%d refused, %d undone: too few to show anything", refused, undone)
	}
}

// A reload says what a policy makes of the lines that there are.
func TestLinesWarned(t *testing.T) {
	c := installation(t, linePolicy)
	d, err := run(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer d.stop(t)
	odd := lineEdit("odd", "+865925551003")
	odd.Profile = "strickt"
	d.lines(t, lineEdit("shop", "+865925550007", "+865925551000"), lineEdit("firm", "0592555001?"), lineEdit("fine", "+865925551001"), odd)
	report, err := d.Reload(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all string
	for _, f := range report.Faults {
		if !f.Warning {
			t.Errorf("%+v", f)
		}
		all += f.Text + "\n"
	}
	for _, want := range []string{
		"lines.office.numbers: 05925550000-05925550099 has a number that is also on the line shop of the database, and calls to it are to office",
		"also on the line firm of the database", "no rule names profile:strickt, which lines of the database have (1)",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no warning says %q:\n%s", want, all)
		}
	}
	if strings.Contains(all, "line fine") || strings.Contains(all, "profile:strict,") {
		t.Errorf("what is well is warned of:\n%s", all)
	}
	if got := d.lineOf("05925550007"); got != "office" {
		t.Errorf("the policy's line does not win: %q", got)
	}
}

// Lines that cannot be read, and numbers that are on two lines as another policy reads them, hide nothing else, and are said.
func TestLinesUnread(t *testing.T) {
	c := installation(t, linePolicy)
	db, err := storage.Open(c.Database(), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	noZone := lineEdit("nozone", "+865925551002")
	noZone.Timezone = "Mars/Base"
	if _, _, err := db.ChangeLines(storage.ChangeRecord{}, []storage.LineEdit{
		lineEdit("good", "+865925551000"), lineEdit("twice", "+865925551000", "+865925551001"), noZone,
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	d, err := run(c, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer d.stop(t)
	for number, want := range map[string]string{"05925551000": "good", "05925551001": "twice", "05925551002": ""} {
		if got := d.lineOf(number); got != want {
			t.Errorf("%s is on %q, want %q", number, got, want)
		}
	}
	for _, want := range []string{"line=nozone", "ringfence line set", "number=+865925551000 line=good not=twice"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log.String())
		}
	}
	other := lineEdit("other", "+865925559999")
	d.lines(t, other)
	d.lines(t, lineGone("good"))
	for number, want := range map[string]string{"05925551000": "twice", "05925551001": "twice", "05925559999": "other"} {
		if got := d.lineOf(number); got != want {
			t.Errorf("once the number is off the one line: %s is on %q, want %q", number, got, want)
		}
	}
	d.memoryIsDisk(t, "once the number is off the one line")
}

// Numbers of lines that another version wrote otherwise are put right, as those of lists are.
func TestLinesReadAgain(t *testing.T) {
	c := installation(t, invalidPolicy)
	d, err := run(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer d.stop(t)
	if _, r, err := d.db.ChangeLines(storage.ChangeRecord{}, []storage.LineEdit{lineEdit("shop", "15551234568", "5551234567"), lineEdit("fine", "+13055550100")}); err != nil || r.ID != 1 {
		t.Fatal(r, err)
	}
	if err := d.readLinesAgain(t.Context(), d.force.Rules().Policy); err != nil {
		t.Fatal(err)
	}
	found, err := d.db.LinesNamed("shop", "fine")
	if err != nil || len(found) != 2 || !slices.Equal(found[0].Numbers, []string{"+15551234567", "+15551234568"}) || found[1].Change != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	if err := d.readLinesAgain(t.Context(), d.force.Rules().Policy); err != nil {
		t.Fatal(err)
	}
	if again, err := d.db.LinesNamed("shop"); err != nil || again[0].Change != found[0].Change {
		t.Errorf("%+v, %v", again, err)
	}
}

// A line of the database whose name the policy takes can be seen, and taken away.
func TestLinesOfOneName(t *testing.T) {
	c := installation(t, linePolicy)
	d, err := run(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer d.stop(t)
	d.lines(t, lineEdit("shop", "+865925551000"))
	text := strings.Replace(linePolicy, "[lines.office]", "[lines.shop]", 1)
	if err := os.WriteFile(c.Policy, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	report, err := d.Reload(t.Context())
	if err != nil || !report.Loaded {
		t.Fatal(report, err)
	}
	if !slices.ContainsFunc(report.Faults, func(f console.Fault) bool { return strings.Contains(f.Text, "a line of the name shop too") }) {
		t.Errorf("nobody says that two lines have the name: %+v", report.Faults)
	}
	edits, err := d.RemoveLines(t.Context(), []string{"shop"})
	if err != nil || edits[0].Change != console.LineRemoved {
		t.Errorf("%+v, %v", edits, err)
	}
	if _, err := d.RemoveLines(t.Context(), []string{"shop"}); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("the policy's line: %v", err)
	}
}
