package desk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/lists"
	"ringfence/policy"
	"ringfence/storage"
)

const mergePolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[lines.office]
numbers = ["05925550000-05925550099"]
[[rule]]
name = "allowed"
when = { list = ["allowlist", "line:allowlist"] }
action = "allow"
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
[[rule]]
name = "own block"
when = { list = ["line:blacklist"] }
action = "reject"
`

// mergeDesk is one of several desks that tell each other what was edited, and their log.
type mergeDesk struct {
	*running
	t    *testing.T
	log  *lockedBuffer
	told uint64 // the change up to which the others know
}

func openMerge(t *testing.T, node string) *mergeDesk {
	t.Helper()
	c := installation(t, mergePolicy)
	c.Node = node
	d, log := startLogging(t, c)
	return &mergeDesk{running: d, t: t, log: log}
}

// tell has another desk take over what was changed here since it was last told.
func (d *mergeDesk) tell(to *mergeDesk) (changed int) {
	d.t.Helper()
	var changes []storage.ChangeRecord
	d.must(d.db.ChangesAfter(d.told, func(r storage.ChangeRecord) error {
		if d.told = r.ID; r.Node == "" {
			changes = append(changes, r)
		}
		return nil
	}))
	for _, r := range changes {
		of := storage.Foreign{Node: d.conf.Node, ID: r.ID, Kind: r.Kind, By: r.By, Source: r.Source, Time: r.Time}
		d.must(d.db.ChangeRows(r.ID, func(rows []storage.Row) error {
			n, err := to.MergeRows(d.t.Context(), r.List, slices.Clone(rows), of)
			changed += n
			return err
		}))
	}
	return changed
}

func (d *mergeDesk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// rule is what decides a call.
func (d *mergeDesk) rule(caller, callee string) string {
	r := d.force.Rules()
	c := r.Policy.Call(policy.Facts{Caller: caller, Callee: callee, Time: time.Now()})
	dec := r.Policy.Decide(&c, r.Lists)
	return dec.Rule
}

func (d *mergeDesk) decides(when, callee, want string) {
	d.t.Helper()
	if got := d.rule(nuisance, callee); got != want {
		d.t.Errorf("%s: on %s a call to %s is decided by %q, want %q", when, d.conf.Node, callee, got, want)
	}
}

// What is edited on one node decides the next call on another: lists, files, undos, removals. What came from there can be undone here, and that counts there.
func TestMergeDecides(t *testing.T) {
	a, b := openMerge(t, "a"), openMerge(t, "b")
	const office = "05925550001"
	addTo(t, a.running, "blacklist", nuisance, "nuisance")
	b.decides("nothing told", office, "default")
	if n := a.tell(b); n != 1 {
		t.Errorf("%d rows", n)
	}
	b.decides("told", office, "listed")
	if n := a.tell(b); n != 0 {
		t.Errorf("told again: %d rows", n)
	}
	addTo(t, b.running, "allowlist", "138*", "all of them")
	b.tell(a)
	a.decides("allowed on the other node", office, "allowed")
	if _, err := b.RemoveEntries(t.Context(), "allowlist", []string{"138*"}, false); err != nil {
		t.Fatal(err)
	}
	b.tell(a)
	a.decides("no longer", office, "listed")
	if _, err := a.Import(t.Context(), console.ImportQuery{List: "allowlist", File: "friends.csv", Who: "ann"}, strings.NewReader("number,reason\n"+nuisance+",friend\n")); err != nil {
		t.Fatal(err)
	}
	a.tell(b)
	b.decides("a file", office, "allowed")
	var last storage.ChangeRecord
	b.must(b.db.Changes(func(r storage.ChangeRecord) error { last = r; return nil }))
	if last.Node != "a" || last.Kind != storage.KindImport || last.Source != "friends.csv" || last.Who != "ann" || last.List != "allowlist" {
		t.Errorf("%+v", last)
	}
	if _, err := b.Undo(t.Context(), last.ID); err != nil {
		t.Fatal(err)
	}
	b.decides("undone", office, "listed")
	b.tell(a)
	a.decides("undone on the other node", office, "listed")
	b.stop(t)
	c := *b.conf
	again, _ := startLogging(t, &c)
	(&mergeDesk{running: again, t: t}).decides("started again", office, "listed")
}

// Lines and their own lists go from node to node, and are gone where they were removed.
func TestMergeLinesOfNodes(t *testing.T) {
	a, b := openMerge(t, "a"), openMerge(t, "b")
	ann := lineEdit("ann", "+865925550101")
	a.lines(t, ann)
	addTo(t, a.running, "ann:blacklist", nuisance, "nuisance")
	a.tell(b)
	if got := b.lineOf(annCalled); got != "ann" {
		t.Errorf("the line is %q", got)
	}
	b.decides("told", annCalled, "own block")
	b.decides("told", bobCalled, "default")
	addTo(t, b.running, "ann:allowlist", nuisance, "a friend after all")
	b.tell(a)
	a.decides("edited on the other node", annCalled, "allowed")
	gone := b.lines(t, lineGone("ann"))
	b.tell(a)
	if got := a.lineOf(annCalled); got != "" {
		t.Errorf("the line is %q", got)
	}
	a.memoryIsDisk(t, "removed on the other node")
	if n := a.force.Rules().Lists.OwnLen(ann.Key, "blacklist"); n != 0 {
		t.Errorf("%d entries of a line that is gone are in memory", n)
	}
	if _, err := b.Undo(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	b.tell(a)
	a.decides("back", annCalled, "allowed")
	a.memoryIsDisk(t, "back")
	// The own entries may come before the line does.
	c := openMerge(t, "c")
	var changes []uint64
	a.must(a.db.Changes(func(r storage.ChangeRecord) error {
		if r.Node == "" {
			changes = append(changes, r.ID)
		}
		return nil
	}))
	slices.Reverse(changes)
	for _, id := range changes {
		a.told = id - 1
		r, err := a.db.ChangeOf(id)
		a.must(err)
		a.must(a.db.ChangeRows(id, func(rows []storage.Row) error {
			_, err := c.MergeRows(t.Context(), r.List, rows, storage.Foreign{Node: "a"})
			return err
		}))
	}
	c.decides("in the other order", annCalled, "own block")
}

// Two nodes that give one number to different lines at the same time agree on which has it: that which was written later, whoever hears of it first; and the
// other one has it as soon as that one gives it up.
func TestMergeLinesClash(t *testing.T) {
	a, b := openMerge(t, "a"), openMerge(t, "b")
	a.lines(t, lineEdit("ann", "+865925550101", "+865925550102"))
	for time.Now().UnixMilli() == lastStamp(a).Wall { // so that b's is later by its clock
	}
	b.lines(t, lineEdit("zara", "+865925550101", "+865925550103"))
	a.tell(b)
	b.tell(a)
	both := func(when, called, want string) {
		t.Helper()
		for _, d := range []*mergeDesk{a, b} {
			if got := d.lineOf(called); got != want {
				t.Errorf("%s: on %s the line of %s is %q, want %q", when, d.conf.Node, called, got, want)
			}
			d.memoryIsDisk(t, when)
		}
	}
	both("told", annCalled, "zara")
	both("told", "05925550102", "ann")
	both("told", "05925550103", "zara")
	for _, d := range []*mergeDesk{a, b} {
		if log := d.log.String(); !strings.Contains(log, "a number is on two lines") || !strings.Contains(log, "line=zara not=ann") {
			t.Errorf("the log of %s does not say so:\n%s", d.conf.Node, log)
		}
	}
	// Whoever changes the other one now has to take it off first.
	if _, err := a.SetLine(t.Context(), console.LineSet{Name: "ann", Note: new(string)}); err != nil {
		t.Fatal(err)
	}
	note := "by the door"
	if _, err := a.SetLine(t.Context(), console.LineSet{Name: "ann", Note: &note}); err == nil || !strings.Contains(err.Error(), "is on the line zara already") {
		t.Errorf("changed: %v", err)
	}
	if _, err := b.SetLine(t.Context(), console.LineSet{Name: "zara", Drop: []string{"+865925550101"}}); err != nil {
		t.Fatal(err)
	}
	b.tell(a)
	both("given up", annCalled, "ann")
	both("given up", "05925550103", "zara")
	a.restart(t)
	both("started again", annCalled, "ann")
}

func lastStamp(d *mergeDesk) (t storage.Tick) {
	d.t.Helper()
	d.must(d.db.Changes(func(r storage.ChangeRecord) error { t = r.Stamp; return nil }))
	return t
}

// restart stops the desk and starts another on the same folder.
func (d *mergeDesk) restart(t *testing.T) {
	t.Helper()
	d.stop(t)
	again, err := run(d.conf, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	d.running = again
	t.Cleanup(func() { again.stop(t) })
}

// rowOf is what the node z says of a pattern.
func rowOf(pattern string) storage.Row {
	now := time.Now().UnixMilli()
	return storage.Row{Pattern: pattern, Reason: "from z", Who: "zoe", Source: "cli", Added: now, Updated: now, Stamp: storage.Tick{Wall: now, Node: "z"}}
}

// What could not be written here is not taken from another node either, and removals are. The rest of what came with it is.
func TestMergeHostile(t *testing.T) {
	a := openMerge(t, "a")
	a.lines(t, lineEdit("ann", "+865925550101"))
	line := func(change func(*storage.Line)) storage.Row {
		l := lineEdit("zed", "+865925550301").Line
		change(&l)
		row := rowOf(l.Name)
		row.Reason = lineText(t, l)
		return row
	}
	for i, c := range []struct {
		what, list, why string
		row             storage.Row
	}{
		{"not canonical", "blacklist", "is written +8613800138000 here", rowOf("13800138000")},
		{"no number", "blacklist", "", rowOf("nobody")},
		{"a country's way", "blacklist", "is written", rowOf("+8605925550101")},
		{"an emergency number", "blacklist", "would hit the emergency number", rowOf("+86110")},
		{"what covers one", "blacklist", "would hit the emergency number", rowOf("1*")},
		{"on a list that nothing asks", "other", "would hit the emergency number", rowOf("11*")},
		{"on own lists", "line:blacklist", "would hit the emergency number", rowOf("ann~aaaaaa 1*")},
		{"control characters", "blacklist", "control character", func() storage.Row { r := rowOf("+8613800138000"); r.Reason = "\x1b[2J"; return r }()},
		{"no line", "line:blacklist", "is of no line", rowOf("+8613800138000")},
		{"no key", "line:blacklist", "is of no line", rowOf("ann +8613800138000")},
		{"no name", "line:blacklist", "is of no line", rowOf("a/b~aaaaaa +8613800138000")},
		{"no own list", "line:a b", "a b", rowOf("ann~aaaaaa +8613800138000")},
		{"no list", "a b", "without spaces", rowOf("+8613800138000")},
		{"no JSON", "line:", "", func() storage.Row { r := line(func(*storage.Line) {}); r.Reason = "{"; return r }()},
		{"a line of a file", "line:", "of persons", func() storage.Row { r := line(func(*storage.Line) {}); r.Origin = storage.FromFeed; return r }()},
		{"the policy's line", "line:", "the policy has a line", line(func(l *storage.Line) { l.Name, l.Key = "office", "office~aaaaaa" })},
		{"a folder", "line:", "folder", line(func(l *storage.Line) { l.Name, l.Key = "..", "..~aaaaaa" })},
		{"another's key", "line:", "its key", line(func(l *storage.Line) { l.Key = "ann~aaaaaa" })},
		{"a strange key", "line:", "its key", line(func(l *storage.Line) { l.Key = "zed~a!b" })},
		{"no numbers", "line:", "a number at least", line(func(l *storage.Line) { l.Numbers = nil })},
		{"no number of a line", "line:", "", line(func(l *storage.Line) { l.Numbers = []string{"nobody"} })},
		{"out of order", "line:", "written otherwise", line(func(l *storage.Line) { l.Numbers = []string{"+865925550302", "+865925550301"} })},
		{"not canonical", "line:", "written otherwise", line(func(l *storage.Line) { l.Numbers = []string{"05925550301"} })},
		{"mode", "line:", "no mode", line(func(l *storage.Line) { l.Mode = "shout" })},
		{"time zone", "line:", "time zone", line(func(l *storage.Line) { l.Timezone = "../../etc/passwd" })},
		{"language", "line:", "language", line(func(l *storage.Line) { l.Language = "xx" })},
		{"notify", "line:", "", line(func(l *storage.Line) { l.Notify = "file:///etc/passwd" })},
		{"note", "line:", "note", line(func(l *storage.Line) { l.Note = "\u202egnp.exe" })},
		{"import", "line:", "source", line(func(l *storage.Line) { l.Import = "\u202e" })},
		{"customer", "line:", "customer", line(func(l *storage.Line) { l.Customer = strings.Repeat("x", 200) })},
	} {
		before := a.MergeRefused()
		good := rowOf("+8613900139000")
		good.Stamp.Wall += int64(10 * i) // later than those before, however quick this is
		switch {
		case c.list == "line:":
			good = line(func(l *storage.Line) { l.Name, l.Key, l.Numbers = "good", "good~aaaaaa", []string{"+865925550399"} })
		case c.list == "line:blacklist":
			good.Pattern = "ann~aaaaaa " + good.Pattern
		case strings.Contains(c.list, " "):
			good = storage.Row{Pattern: "+8613900139000", Gone: true, Stamp: good.Stamp}
		}
		want, refused := 1, uint64(1)
		if strings.Contains(c.list, " ") {
			want, refused = 0, 2
		}
		changed, err := a.MergeRows(t.Context(), c.list, []storage.Row{c.row, good}, storage.Foreign{Node: "z", ID: 1})
		after := a.MergeRefused()
		if err != nil || changed != want || after.Rows-before.Rows != refused || !strings.Contains(after.Why, c.why) {
			t.Errorf("%s: %d taken, %v, %+v; want %q", c.what, changed, err, after, c.why)
		}
		gone := storage.Row{Pattern: c.row.Pattern, Origin: c.row.Origin, Gone: true, Stamp: storage.Tick{Wall: c.row.Stamp.Wall + 1, Node: "z"}}
		if changed, err := a.MergeRows(t.Context(), c.list, []storage.Row{gone}, storage.Foreign{Node: "z"}); c.list != "line:" && want == 1 && c.what != "control characters" && (err != nil || changed != 1) {
			t.Errorf("%s: its removal: %d, %v", c.what, changed, err)
		}
	}
	a.memoryIsDisk(t, "in the end")
	if got := a.lineOf("05925550301"); got != "" {
		t.Errorf("the line of z is %q", got)
	}
	if report, err := a.Verify(t.Context()); err != nil || len(report.Faults) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// What is too far ahead of the clock is counted, and said in the log once; where a list lets calls pass, what covers emergency numbers is no loss.
func TestMergeAhead(t *testing.T) {
	a := openMerge(t, "a")
	wide := rowOf("1*")
	if n, err := a.MergeRows(t.Context(), "allowlist", []storage.Row{wide}, storage.Foreign{Node: "z"}); n != 1 || err != nil {
		t.Errorf("on a list that lets calls pass: %d, %v", n, err)
	}
	ahead := rowOf("+8613700137000")
	ahead.Stamp.Wall += 2 * storage.MaxAhead.Milliseconds()
	for range 3 {
		if n, err := a.MergeRows(t.Context(), "allowlist", []storage.Row{ahead}, storage.Foreign{Node: "z\n"}); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := a.MergeRows(t.Context(), "allowlist", []storage.Row{ahead}, storage.Foreign{Node: "z", By: storage.By{Who: "\x1b[2J"}}); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if got := a.MergeRefused(); got.Early != 3 || !strings.Contains(got.Why, "ahead") {
		t.Errorf("%+v", got)
	}
	if n := strings.Count(a.log.String(), "its clock is more than"); n != 1 {
		t.Errorf("said %d times in the log", n)
	}
}

// lineText is a line as its record has it.
func lineText(t *testing.T, l storage.Line) string {
	t.Helper()
	d, err := storage.Open(t.TempDir()+"/line.db", storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, _, err := d.ChangeLines(storage.ChangeRecord{}, []storage.LineEdit{{Line: l}}); err != nil {
		t.Fatal(err)
	}
	text := ""
	if err := d.ListRows(console.LineTable, nil, func(rows []storage.Row) error { text = rows[0].Reason; return nil }); err != nil {
		t.Fatal(err)
	}
	return text
}

// What another node has in so many rows that the list is built anew counts as well, and so do very many lines and what they have of their own.
func TestMergeVeryMany(t *testing.T) {
	a, b := openMerge(t, "a"), openMerge(t, "b")
	if _, err := a.Import(t.Context(), console.ImportQuery{List: "blacklist", File: "many.csv"}, fileOf(storage.MaxEdit+10)); err != nil {
		t.Fatal(err)
	}
	var edits []storage.LineEdit
	var own []storage.Row
	for i := range storage.MaxEdit/10 + 10 {
		l := lineEdit(fmt.Sprintf("l%d", i), fmt.Sprintf("+86592%07d", 1000000+i))
		edits = append(edits, l)
		if i < 3 {
			own = append(own, rowOf(storage.OwnText(l.Key, "+8613800138000")))
		}
	}
	a.lines(t, edits...)
	if _, err := b.MergeRows(t.Context(), "line:blacklist", own, storage.Foreign{Node: "a"}); err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"blacklist", console.LineTable} {
		var all []storage.Row
		a.must(a.db.ListRows(list, nil, func(rows []storage.Row) error { all = append(all, rows...); return nil }))
		fails := errors.New("the node went away")
		if n, err := b.MergeList(t.Context(), list, func(yield func(storage.Row, error) bool) {
			_ = yield(all[0], nil) && yield(storage.Row{}, fails)
		}, storage.Foreign{Node: "a"}); n != 0 || !errors.Is(err, fails) {
			t.Errorf("%s: %d, %v", list, n, err)
		}
		n, err := b.MergeList(t.Context(), list, func(yield func(storage.Row, error) bool) {
			for i := range all {
				if !yield(all[i], nil) {
					return
				}
			}
		}, storage.Foreign{Node: "a"})
		if n != len(all) || err != nil {
			t.Errorf("%s: %d of %d, %v", list, n, len(all), err)
		}
		here, m, err := a.db.Leaves(list)
		a.must(err)
		there, k, err := b.db.Leaves(list)
		if err != nil || m != k || !slices.Equal(here, there) {
			t.Errorf("%s: %d and %d rows, %v", list, m, k, err)
		}
	}
	b.memoryIsDisk(t, "told")
	if got := b.rule(fmt.Sprintf("+%d", numberAt(storage.MaxEdit+10, 77)), "05925550001"); got != "listed" {
		t.Errorf("decided by %q", got)
	}
	if got := b.lineOf("05921000007"); got != "l7" {
		t.Errorf("the line is %q", got)
	}
	b.decides("told", "05921000002", "own block")
	b.decides("told", "05921000003", "default")
}

// No node has another one keep more of own lists than there is room for.
func TestMergeOwnRoom(t *testing.T) {
	a := openMerge(t, "a")
	ann := lineEdit("ann", "+865925550101")
	a.lines(t, ann, lineEdit("bob", "+865925550202"))
	addTo(t, a.running, "ann:allowlist", nuisance, "there before")
	var rows []storage.Row
	for i := range lists.MaxOwnLine + 5 {
		rows = append(rows, rowOf(storage.OwnText(ann.Key, fmt.Sprintf("+86139%08d", i))))
	}
	for _, many := range []bool{true, false} {
		before := a.MergeRefused().Rows
		n, err := 0, error(nil)
		if many {
			n, err = a.MergeList(t.Context(), "line:blacklist", func(yield func(storage.Row, error) bool) {
				for i := range rows {
					if !yield(rows[i], nil) {
						return
					}
				}
			}, storage.Foreign{Node: "z"})
		} else {
			n, err = a.MergeRows(t.Context(), "line:blacklist", rows, storage.Foreign{Node: "z"})
		}
		if want := map[bool]int{true: lists.MaxOwnLine - 1}[many]; err != nil || n != want || a.MergeRefused().Rows-before != 6 {
			t.Errorf("%d taken, want %d, %v: %+v", n, want, err, a.MergeRefused())
		}
	}
	if n, err := a.db.LinePatterns(ann.Key); n != lists.MaxOwnLine || err != nil {
		t.Errorf("%d entries, %v", n, err)
	}
	addTo(t, a.running, "bob:blacklist", nuisance, "there is room for others")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := a.MergeRows(ctx, "blacklist", rows[:1], storage.Foreign{Node: "z"}); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d, %v", n, err)
	}
}
