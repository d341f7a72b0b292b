package daemon

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/console"
	"ringfence/number"
	"ringfence/pseudonym"
	"ringfence/storage"
	"ringfence/traffic"
)

const forgetting = `
country = "CN"
[lines.staff]
numbers = ["05925550100-05925550198"]
[trunks.carrier]
match = ["gateway:carrier"]
identity = ["pai", "from"]
[[rule]]
name = "listed"
when = { list = ["blacklist", "vip"] }
action = "reject"
[[rule]]
name = "known"
when = { known_caller = "30d" }
action = "tag"
label = "k"
[[rule]]
name = "asked"
when = { caller_kind = ["mobile"] }
action = "challenge"
`

// Who is to be forgotten in these tests, and what else stays.
const (
	gone      = "13797418523"
	goneE164  = "+86" + gone
	stays     = "13797418524"
	staysE164 = "+86" + stays
)

// traces are the ways in which a number may stand in a file.
func traces(t *testing.T) map[string][]byte {
	plan, err := number.NewPlan(number.PlanOptions{Country: "CN"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Pattern(gone)
	if err != nil {
		t.Fatal(err)
	}
	key, ok := p.Key()
	if !ok {
		t.Fatal("no key")
	}
	found := map[string][]byte{
		"E.164": []byte(goneE164), "as in the country": []byte(gone), "with spaces": []byte("137 9741 8523"), "with hyphens": []byte("137-9741-8523"),
		"its end": []byte("418523"), "full-width": []byte("１３７９７４１８５２３"),
	}
	for what, v := range map[string]uint64{"key": key, "E.164": 8613797418523, "national": 13797418523} {
		found[what+", little endian"] = binary.LittleEndian.AppendUint64(nil, v)[:7]
		found[what+", big endian"] = binary.BigEndian.AppendUint64(nil, v)[1:]
		found[what+", varint"] = binary.AppendUvarint(nil, v)
	}
	return found
}

// search looks for a number in each file of a folder, byte by byte. It gives what it found where.
func search(t *testing.T, folder string, ways map[string][]byte) (found []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(file string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(file)
		for way, what := range ways {
			if bytes.Contains(b, what) {
				found = append(found, filepath.Base(file)+": "+way)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

func backupTo(t *testing.T, d console.Desk, file string) {
	t.Helper()
	var b bytes.Buffer
	if err := d.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fill has a number be in everything that is kept.
func fill(t *testing.T, d *house) {
	t.Helper()
	for i, f := range []bridge.Facts{
		{Number: gone, Name: "Zhang San"},
		{Number: "0086" + gone},
		{Number: "+86 137 9741 8523"},
		{Number: "137-9741-8523"},
		{Number: "１３７９７４１８５２３"},
		{Number: "x" + gone + "y"}, // holds it
		{Number: stays, Name: gone + " via relay", Gateway: "carrier", Asserted: stays, IDSource: "pid", FromUser: gone, Diversion: "<sip:" + gone + "@x>"},
		{Number: stays, Name: "Li Si"},
	} {
		f.Callee, f.FromUser = fmt.Sprint("0592555010", i), max(f.FromUser, f.Number)
		v := d.Screen(&f)
		d.Record(&f, &v, bridge.Result{})
	}
	now := time.Now()
	plan := d.d.force.Rules().Policy.Plan()
	for extension, who := range map[string]string{"101": goneE164, "102": "137 9741 8523", "103": staysE164} {
		line := ""
		if extension == "102" {
			line = "hotline" // another customer
		}
		if err := d.AddReport(extension, traffic.LastCall{Caller: plan.Parse(who), Line: line, Time: now}); err != nil {
			t.Fatal(err)
		}
	}
	for _, who := range []string{goneE164, staysE164} {
		name := d.d.memory.Name(who)
		for _, table := range []storage.StampTable{storage.Known, storage.Passed} {
			if err := d.d.db.PutStamps(table, []storage.Stamp{{Key: "staff\x00" + name, At: now}}, nil); err != nil {
				t.Fatal(err)
			}
		}
		d.d.memory.Meet("hotline", who, now) // waits for the disk
		d.d.memory.Challenges.Passed(traffic.Asked{Line: "staff", Callee: "c", Caller: name, At: now})
		d.d.memory.LastCalls.Put(who, traffic.LastCall{Caller: number.Number{E164: who}, ID: storage.NewID(now), Time: now}, now)
	}
}

func forgetIn(t *testing.T, d console.Desk, q console.ForgetQuery) *console.ForgetReport {
	t.Helper()
	r, err := d.Forget(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func held(t *testing.T, d console.Desk, who string) map[string]int {
	t.Helper()
	kinds := map[string]int{}
	if err := d.Held(t.Context(), console.HeldQuery{Number: who}, func(h console.Held) error { kinds[h.Kind]++; return nil }); err != nil {
		t.Fatal(err)
	}
	return kinds
}

// A number that is forgotten is in no byte of what is kept, of a backup, or of a backup from before that is put back; and nobody else is.
//
// long: because one installation is filled, forgotten from, copied and put back
func TestForget(t *testing.T) {
	for name, private := range map[string]bool{"open": false, "private": true} {
		t.Run(name, func(t *testing.T) {
			c := installation(t, forgetting)
			c.Journal.Private = private
			first := start(t, c)
			d := in(first)
			by := console.WithBy(t.Context(), console.By{Who: "root", From: console.FromCommandLine})
			for _, list := range []string{"blacklist", "vip", "old"} {
				if _, err := d.AddEntries(by, list, []console.NewEntry{{Number: gone}, {Number: stays}}, false); err != nil {
					t.Fatal(err)
				}
			}
			halt(t, first) // which writes the file of the lists
			first.teardown = nil
			d = in(start(t, c))
			if _, err := d.RemoveEntries(by, "old", []string{gone}, false); err != nil {
				t.Fatal(err)
			}
			fill(t, d)
			if n := held(t, d, "0086 137 9741 8523"); n[console.HeldReport] != 2 || n[console.HeldEntry] != 2 || n[console.HeldLastCall] != 6 || n[console.HeldChange] != 4 ||
				n[console.HeldKnown] == 0 || n[console.HeldPassed] == 0 || n[console.HeldCall] < 5 {
				t.Errorf("of the number is held %v", n)
			}
			before := filepath.Join(t.TempDir(), "before.db")
			backupTo(t, d, before)
			if found := search(t, c.Data, traces(t)); len(found) < 4 {
				t.Fatalf("the search finds hardly anything before: %v", found)
			}

			would := forgetIn(t, d, console.ForgetQuery{Number: gone, Lists: true, DryRun: true})
			report := forgetIn(t, d, console.ForgetQuery{Number: "0086 " + gone, Lists: true})
			if private && (report.Calls != 5 || report.Mentions != 1) || !private && (report.Calls != 6 || report.Mentions != 1) {
				t.Errorf("%d calls, %d mentions", report.Calls, report.Mentions)
			}
			if would.Calls != report.Calls || would.Reports != 2 || report.Reports != 2 || report.Known == 0 || report.Passed == 0 || report.Memory == 0 || report.History == 0 || len(report.Lists) != 2 {
				t.Errorf("forgotten %+v, and it would be %+v", report, would)
			}
			if n := held(t, d, gone); len(n) != 0 {
				t.Errorf("of the number is still held %v", n)
			}
			if n := held(t, d, stays); n[console.HeldEntry] != 3 || n[console.HeldReport] != 1 || n[console.HeldCall] != 2 {
				t.Errorf("of another is held %v", n)
			}
			for _, way := range search(t, c.Data, traces(t)) {
				t.Errorf("found after it was forgotten: %s", way)
			}
			after := t.TempDir()
			backupTo(t, d, filepath.Join(after, "after.db"))
			for _, way := range search(t, after, traces(t)) {
				t.Errorf("found in a backup: %s", way)
			}
			last := console.ListChange{}
			if err := d.Changes(t.Context(), "", func(c console.ListChange) error { last = c; return nil }); err != nil || last.Kind != "forget" || last.Removed != 2 {
				t.Errorf("the last change is %+v, %v", last, err)
			}
			if _, err := d.Undo(t.Context(), last.ID); !errors.Is(err, console.ErrBad) {
				t.Errorf("undoing it: %v", err)
			}
			if r, err := d.Verify(t.Context()); err != nil || len(r.Faults) > 0 {
				t.Errorf("%+v, %v", r, err)
			}
			if d.d.memory.Known.Has(d.d.memory.Name(goneE164)) {
				t.Error("the memory knows the number")
			}
			d.Record(&bridge.Facts{Number: gone, Callee: "05925550100"}, &bridge.Verdict{}, bridge.Result{}) // they call again: that is new
			halt(t, d.d)
			d.d.teardown = nil

			if _, _, err := storage.Restore(before, c.Database()); err != nil {
				t.Fatal(err)
			}
			os.Remove(c.Database() + ".before-restore")
			restored, err := OpenDesk(c, false, first.log)
			if err != nil {
				t.Fatal(err)
			}
			if done, err := restored.ApplyForgotten(t.Context()); err != nil || done < 10 {
				t.Errorf("%d taken out, %v", done, err)
			}
			if done, err := restored.ApplyForgotten(t.Context()); err != nil || done != 0 {
				t.Errorf("again: %d taken out, %v", done, err)
			}
			if n := held(t, restored, gone); len(n) != 0 {
				t.Errorf("after a restore is held %v", n)
			}
			if n := held(t, restored, stays); n[console.HeldEntry] != 3 || n[console.HeldReport] != 1 {
				t.Errorf("after a restore is held of another %v", n)
			}
			if err := restored.Close(); err != nil {
				t.Fatal(err)
			}
			for _, way := range search(t, c.Data, traces(t)) {
				t.Errorf("found after a restore: %s", way)
			}
		})
	}
}

// A private installation has no number of a caller's in any byte but those of lists, and what it had before is hidden.
func TestPrivateTables(t *testing.T) {
	c := installation(t, strings.Replace(forgetting, `"blacklist", "vip"`, `"blacklist"`, 1))
	first := start(t, c)
	fill(t, in(first))
	halt(t, first)
	first.teardown = nil
	if len(search(t, c.Data, traces(t))) == 0 {
		t.Fatal("nothing to hide")
	}
	c.Journal.Private = true
	second := start(t, c)
	d := in(second)
	waitFor(t, func() bool { v, err := second.db.Setting("private"); return err == nil && v != nil })
	fill(t, d)
	folder := t.TempDir()
	backupTo(t, d, filepath.Join(folder, "private.db"))
	for _, way := range append(search(t, folder, traces(t)), search(t, c.Data, traces(t))...) {
		t.Errorf("a private installation has the number: %s", way)
	}
	for _, who := range []string{gone, stays} {
		line, _ := second.memory.Known.To(second.memory.Name("+86"+who), []string{"staff"}, time.Time{})
		if line.IsZero() {
			t.Errorf("%s is not known any more", who)
		}
	}
	if n := held(t, d, gone); n[console.HeldReport] != 2 || n[console.HeldCall] != 12 || n[console.HeldKnown] == 0 {
		t.Errorf("held %v", n)
	}
	var open console.Report
	if err := d.Reports(t.Context(), console.ReportsQuery{State: console.ReportOpen}, func(r console.Report) error { open = r; return nil }); err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(open)
	if !strings.HasPrefix(open.Caller.E164, console.PrivateMark) || bytes.Contains(text, []byte("137974")) {
		t.Errorf("a report says %s", text)
	}
	edit, err := d.ConfirmReport(t.Context(), open.ID, false)
	if err != nil || !strings.HasPrefix(edit.Number, "+8613797") {
		t.Errorf("confirmed %+v, %v", edit, err)
	}
	halt(t, second)
	second.teardown = nil
	third := start(t, c) // acquaintances are found again by what is kept of them
	knows := func(e164 string) bool {
		line, _ := third.memory.Known.To(third.memory.Name(e164), []string{"staff"}, time.Time{})
		return !line.IsZero()
	}
	if !knows(goneE164) {
		t.Error("not known after a restart")
	}
	// Who is forgotten by the token that reports and the journal show is not known any more either, nor after the next start.
	key, err := pseudonym.Open(c.Data, true)
	if err != nil {
		t.Fatal(err)
	}
	token := key.Token(new(third.force.Rules().Policy.Plan().Parse(gone)))
	if _, err := in(third).Forget(t.Context(), console.ForgetQuery{Number: token}); err != nil {
		t.Fatal(err)
	}
	if knows(goneE164) || !knows(staysE164) {
		t.Errorf("after he was forgotten by his token: %v, the other %v", knows(goneE164), knows(staysE164))
	}
	halt(t, third)
	third.teardown = nil
	third = start(t, c)
	if knows(goneE164) || !knows(staysE164) {
		t.Errorf("and after a start: %v, the other %v", knows(goneE164), knows(staysE164))
	}
}

// Where no daemon runs, and for a number of one's own.
func TestForgetOnFiles(t *testing.T) {
	c := installation(t, forgetting)
	if err := os.Mkdir(c.Data, 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := OpenDesk(c, false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Forget(t.Context(), console.ForgetQuery{Number: "0592 5550100"}); !errors.Is(err, console.ErrConflict) {
		t.Errorf("one's own number: %v", err)
	}
	if _, err := d.Forget(t.Context(), console.ForgetQuery{Number: "anonymous"}); !errors.Is(err, console.ErrBad) {
		t.Errorf("anonymous: %v", err)
	}
	if _, err := d.AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: gone}}, false); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.Data, "lists.piece"), []byte(goneE164), 0o600); err != nil {
		t.Fatal(err)
	}
	kept := forgetIn(t, d, console.ForgetQuery{Number: gone})
	if len(kept.Lists) != 1 || kept.Lists[0].Removed || kept.Lists[0].List != "blacklist" {
		t.Errorf("%+v", kept.Lists)
	}
	if _, err := os.Stat(filepath.Join(c.Data, "lists.piece")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file of the lists is there: %v", err)
	}
	forgetIn(t, d, console.ForgetQuery{Number: gone, Lists: true})
	if found := search(t, c.Data, traces(t)); len(found) > 0 {
		t.Errorf("found %v", found)
	}
}

// Who was forgotten is forgotten again where an older database was put in place by hand, or where the program was killed
// before it had forgotten all; the file says so, and memory never has it.
func TestForgottenAtStart(t *testing.T) {
	c := installation(t, forgetting)
	first := start(t, c)
	fill(t, in(first))
	halt(t, first)
	first.teardown = nil
	before, err := os.ReadFile(c.Database())
	if err != nil {
		t.Fatal(err)
	}
	files, err := OpenDesk(c, false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	forgetIn(t, files, console.ForgetQuery{Number: gone})
	if err := errors.Join(files.Close(), os.WriteFile(c.Database(), before, 0o640)); err != nil {
		t.Fatal(err)
	}
	second := start(t, c)
	if second.memory.Known.Has(goneE164) || !second.memory.Known.Has(staysE164) {
		t.Error("the memory knows who was forgotten, or not the others")
	}
	waitFor(t, func() bool { v, err := second.db.Setting("forgotten"); return err == nil && len(v) > 0 })
	if n := held(t, in(second), gone); len(n) != 0 {
		t.Errorf("held is %v", n)
	}
	for _, way := range search(t, c.Data, traces(t)) {
		t.Errorf("found: %s", way)
	}
}

// waitFor waits until something is so.
func waitFor(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !so(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come to pass")
		}
	}
}
