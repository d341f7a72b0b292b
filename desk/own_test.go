package desk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/lists"
	"ringfence/policy"
	"ringfence/storage"
)

const ownPolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[lines.office]
numbers = ["05925550000-05925550099"]
[[rule]]
name = "own allow"
when = { list = ["line:allowlist"] }
action = "allow"
[[rule]]
name = "own block"
when = { list = ["line:blacklist"] }
action = "reject"
`

// The numbers of two customers' lines, and a caller.
const (
	annCalled = "05925550101"
	bobCalled = "05925550202"
	nuisance  = "13800138000"
)

// ownHouse is a desk with two lines of the database.
type ownHouse struct {
	*testing.T
	*running
	ann, bob storage.LineEdit
}

func openOwn(t *testing.T) *ownHouse {
	t.Helper()
	h := &ownHouse{T: t, ann: lineEdit("ann", "+865925550101"), bob: lineEdit("bob", "+865925550202")}
	h.start(installation(t, ownPolicy).Policy)
	h.lines(t, h.ann, h.bob)
	return h
}

func (h *ownHouse) start(policyFile string) {
	h.Helper()
	c := installation(h.T, ownPolicy)
	if h.running != nil {
		c = h.conf
	}
	d, err := run(c, slog.New(slog.DiscardHandler))
	if err != nil {
		h.Fatal(err)
	}
	h.running = d
	h.Cleanup(func() { d.stop(h.T) })
}

// restart stops the desk and starts another on the same folder.
func (h *ownHouse) restart() {
	h.Helper()
	h.stop(h.T)
	h.start("")
}

// rule is what decides a call.
func (h *ownHouse) rule(caller, callee string) string {
	r := h.force.Rules()
	c := r.Policy.Call(policy.Facts{Caller: caller, Callee: callee, Time: time.Now()})
	dec := r.Policy.Decide(&c, r.Lists)
	return dec.Rule
}

func (h *ownHouse) must(when, ann, bob string) {
	h.Helper()
	if got := h.rule(nuisance, annCalled) + ", " + h.rule(nuisance, bobCalled); got != ann+", "+bob {
		h.Errorf("%s: %s; want %s, %s", when, got, ann, bob)
	}
}

// shows is what a list has, "!" and why if it cannot be shown.
func (h *ownHouse) shows(list string) string {
	h.Helper()
	var all []string
	err := h.Entries(h.Context(), list, func(e console.ListEntry) error {
		all = append(all, strings.TrimSpace(e.List+" "+e.Number+" "+e.Reason))
		return nil
	})
	if err != nil {
		return "! " + err.Error()
	}
	return strings.Join(all, "; ")
}

func (h *ownHouse) add(list string, numbers ...string) {
	h.Helper()
	for _, n := range numbers {
		addTo(h.T, h.running, list, n, "")
	}
}

// Each customer's list is the customer's alone, whatever becomes of the line.
//
// long: because one line is edited, removed, made again, undone and given away in turn
func TestOwnListsOfLines(t *testing.T) {
	h := openOwn(t)
	edits, err := h.AddEntries(t.Context(), "ann:blacklist", []console.NewEntry{{Number: "138 0013 8000", Reason: "rude"}}, false)
	if err != nil || len(edits) != 1 || edits[0].List != "ann:blacklist" || edits[0].Number != "+8613800138000" || edits[0].Change != "added" {
		t.Fatalf("%+v, %v", edits, err)
	}
	h.must("an edit", "own block", "default")
	h.restart()
	h.must("after a restart", "own block", "default")
	if got := h.shows("ann:blacklist"); got != "ann:blacklist +8613800138000 rude" {
		t.Error(got)
	}
	if got := h.shows("bob:blacklist"); got != "" {
		t.Error(got)
	}
	h.add("bob:blacklist", "9521*")
	h.add("bob:allowlist", nuisance)
	h.must("the other's", "own block", "own allow")
	if got := h.shows("line:blacklist"); got != "ann:blacklist +8613800138000 rude; bob:blacklist 9521*" {
		t.Error(got)
	}

	removed := h.lines(t, lineGone("ann"))
	again := lineEdit("ann", "+865925550101")
	made := h.lines(t, again)
	h.must("made again", "default", "own allow")
	if got := h.shows("ann:blacklist"); got != "" {
		t.Error(got)
	}
	if n, _ := h.force.Rules().Lists.OwnSize("blacklist"); n != 1 {
		t.Errorf("%d entries are in memory", n)
	}
	if _, err := h.Undo(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Undo(t.Context(), removed.ID); err != nil {
		t.Fatal(err)
	}
	h.must("the removal undone", "own block", "own allow")
	h.restart()
	h.must("and after a restart", "own block", "own allow")

	other := h.ann
	other.Key, other.Customer = policy.NewLineKey("ann", storage.LineOwn()), "somebody else"
	given := h.lines(t, other)
	h.must("given to another customer", "default", "own allow")
	h.add("ann:blacklist", "13900139000")
	if got := h.changes("ann:blacklist"); got != "add ann:blacklist 1" {
		t.Errorf("the new customer sees the changes %s", got)
	}
	h.restart()
	h.must("and after a restart", "default", "own allow")
	if _, err := h.Undo(t.Context(), given.ID); err != nil {
		t.Fatal(err)
	}
	h.must("given back", "own block", "own allow")
	if got := h.rule("13900139000", annCalled); got != "default" {
		t.Errorf("what the other customer had is there: %s", got)
	}

	moved := h.ann
	moved.Numbers = []string{"+865925550303"}
	bob := h.bob
	bob.Numbers = []string{"+865925550101", "+865925550202"}
	h.lines(t, moved, bob)
	if got := h.rule(nuisance, annCalled) + ", " + h.rule(nuisance, "05925550303"); got != "own allow, own block" {
		t.Errorf("a number that moved has the lists %s", got)
	}
	if err := h.checked(); err != nil {
		t.Error(err)
	}
}

func (h *ownHouse) checked() error {
	r, err := h.Verify(h.Context())
	if err == nil && len(r.Faults) > 0 {
		err = errors.New(strings.Join(r.Faults, "\n"))
	}
	return err
}

// changes names the changes of a list as people see them.
func (h *ownHouse) changes(list string) string {
	h.Helper()
	var all []string
	if err := h.Changes(h.Context(), list, func(c console.ListChange) error {
		all = append(all, fmt.Sprint(c.Kind, " ", c.List, " ", c.Added+c.Removed+c.Updated))
		return nil
	}); err != nil {
		h.Fatal(err)
	}
	return strings.Join(all, ", ")
}

// What names no list of a line is refused, and changes nothing.
func TestOwnListsRefused(t *testing.T) {
	h := openOwn(t)
	addTo(t, h.running, "office:blacklist", nuisance, "") // a line of the policy
	h.lines(t, lineEdit("office", "+865925550909"))
	for list, want := range map[string]string{
		"carol:blacklist":         "there is no line carol",
		"ann~abcdef:blacklist":    "there is no line ann~abcdef",
		h.ann.Key + ":blacklist":  "there is no line ann~",
		"an n:blacklist":          "there is no line an n",
		":blacklist":              "there is no line",
		"ann:":                    "a name is empty",
		"ann:black list":          "characters that commands",
		"ann:bob:blacklist":       "characters that commands",
		"line:blacklist":          "name the line, as in LINE:blacklist",
		"ann:" + longName(t):      "longer than 64",
		"ann:x\x00y":              "characters that commands",
		"line:":                   "there is no line line",
		"ann:" + longName(t)[:62]: "no rule of the policy asks for the list line:xxx",
		"ann:blaklist":            "so that ann:blaklist would count for nothing: they ask for line:allowlist, line:blacklist",
	} {
		before := h.changes("")
		_, err := h.AddEntries(t.Context(), list, []console.NewEntry{{Number: nuisance}}, false)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", list, err, want)
		}
		if _, err := h.RemoveEntries(t.Context(), list, []string{nuisance}, false); err == nil {
			t.Errorf("%q: something may be removed", list)
		}
		if _, err := h.Import(t.Context(), console.ImportQuery{List: list, File: "f"}, strings.NewReader(nuisance)); err == nil {
			t.Errorf("%q: a file may be imported", list)
		}
		if after := h.changes(""); after != before {
			t.Errorf("%q: changed %s", list, after)
		}
	}
	h.must("after refusals", "default", "default")
	if got := h.rule(nuisance, "05925550001") + ", " + h.rule(nuisance, "05925550909"); got != "own block, default" {
		t.Errorf("a line of the policy and one of the database of the same name: %s", got)
	}
	if got := h.shows("office:blacklist"); got != "office:blacklist +8613800138000" {
		t.Error(got)
	}
}

func longName(testing.TB) string { return strings.Repeat("x", 65) }

// An undo takes back that change alone, and the history says whose list it was.
func TestOwnListsUndone(t *testing.T) {
	h := openOwn(t)
	h.add("ann:blacklist", nuisance)
	h.add("bob:blacklist", nuisance)
	if got := h.changes(""); got != "add ann:blacklist 1, add bob:blacklist 1" {
		t.Error(got)
	}
	if got := h.changes("bob:blacklist"); got != "add bob:blacklist 1" {
		t.Error(got)
	}
	first := uint64(0)
	var seen []string
	if err := h.History(t.Context(), nuisance, func(c console.ListHistory) error {
		if first == 0 {
			first = c.Change.ID
		}
		seen = append(seen, c.Change.List+" "+c.After.List+" "+c.After.Number+" "+c.Number)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(seen, "; "); got != "ann:blacklist ann:blacklist +8613800138000 +8613800138000; bob:blacklist bob:blacklist +8613800138000 +8613800138000" {
		t.Error(got)
	}
	undone, err := h.Undo(t.Context(), first)
	if err != nil || undone.List != "ann:blacklist" || undone.Removed != 1 {
		t.Fatalf("%+v, %v", undone, err)
	}
	h.must("undone", "default", "own block")
	if _, err := h.Undo(t.Context(), undone.ID); err != nil {
		t.Fatal(err)
	}
	h.must("and again", "own block", "own block")
	edits, err := h.RemoveEntries(t.Context(), "bob:blacklist", []string{"+86 138 0013 8000", "9521*"}, false)
	if err != nil || edits[0].Change != "removed" || edits[0].Number != "+8613800138000" || edits[1].Change != "absent" || edits[1].List != "bob:blacklist" {
		t.Fatalf("%+v, %v", edits, err)
	}
	h.must("removed", "own block", "default")
}

// A file is imported to a line's own list, replaces what it said before, and is undone, without the other's seeing any of it.
func TestOwnListsImported(t *testing.T) {
	h := openOwn(t)
	h.add("bob:blacklist", "13700137000")
	q := console.ImportQuery{List: "ann:blacklist", File: "ann.csv"}
	text := "number,reason\n13800138000,rude\n9521*,sales\n13900139000,\n"
	q.DryRun = true
	report, err := h.Import(t.Context(), q, strings.NewReader(text))
	if err != nil || report.Added != 3 || len(report.Would) != 3 || report.Would[0].Number != "+8613800138000" || report.Would[0].List != "ann:blacklist" || report.Would[0].Reason != "rude" {
		t.Fatalf("%+v, %v", report, err)
	}
	h.must("a dry run", "default", "default")
	q.DryRun = false
	if report, err = h.Import(t.Context(), q, strings.NewReader(text)); err != nil || report.Added != 3 {
		t.Fatalf("%+v, %v", report, err)
	}
	h.must("imported", "own block", "default")
	if got := h.shows("ann:blacklist"); got != "ann:blacklist +8613800138000 rude; ann:blacklist +8613900139000; ann:blacklist 9521* sales" {
		t.Error(got)
	}
	q.Replace = true
	replaced, err := h.Import(t.Context(), q, strings.NewReader("13900139000\n13700137000\n"))
	if err != nil || replaced.Added != 1 || replaced.Removed != 2 {
		t.Fatalf("%+v, %v", replaced, err)
	}
	h.must("replaced", "default", "default")
	if got := h.shows("bob:blacklist"); got != "bob:blacklist +8613700137000" {
		t.Error(got)
	}
	if _, err := h.Undo(t.Context(), replaced.Change); err != nil {
		t.Fatal(err)
	}
	h.must("the replacing undone", "own block", "default")
	if report, err = h.Import(t.Context(), console.ImportQuery{List: "ann:blacklist", File: "ann.csv"}, strings.NewReader(text)); err != nil || report.Unchanged != 3 || report.Change != 0 {
		t.Errorf("again: %+v, %v", report, err)
	}
	if err := h.checked(); err != nil {
		t.Error(err)
	}
}

// A line takes so many entries and no more, all lists of it together, and a refusal is counted.
//
// long: because a line is filled by a file, by hand and by an undo
func TestOwnListsFull(t *testing.T) {
	h := openOwn(t)
	file := func(from, n int) *strings.Reader {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "+86139%08d\n", from+i)
		}
		return strings.NewReader(b.String())
	}
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, console.ErrConflict) || !strings.Contains(err.Error(), "10000 is the most") {
			t.Errorf("%s: %v", what, err)
		}
	}
	q := console.ImportQuery{List: "ann:blacklist", File: "f"}
	_, err := h.Import(t.Context(), q, file(0, lists.MaxOwnLine+1))
	refused("a file that is too long", err)
	first, err := h.Import(t.Context(), q, file(0, lists.MaxOwnLine-1))
	if err != nil || first.Added != lists.MaxOwnLine-1 {
		t.Fatalf("%+v, %v", first, err)
	}
	h.add("ann:allowlist", nuisance)
	h.add("ann:allowlist", nuisance) // is there already
	h.must("full", "own allow", "default")
	_, err = h.AddEntries(t.Context(), "ann:allowlist", []console.NewEntry{{Number: "13700137000"}}, false)
	refused("one more", err)
	q.DryRun = true
	_, err = h.Import(t.Context(), q, file(50_000, 1))
	refused("a dry run of one more", err)
	q.DryRun, q.Replace = false, true
	second, err := h.Import(t.Context(), q, file(5_000, lists.MaxOwnLine-1)) // other ones in their place
	if err != nil || second.Removed != 5_000 || second.Added != 5_000 {
		t.Fatalf("%+v, %v", second, err)
	}
	h.add("bob:blacklist", nuisance) // has room of its own
	h.must("the other's", "own allow", "own block")

	removed, err := h.RemoveEntries(t.Context(), "ann:allowlist", []string{nuisance}, false)
	if err != nil || removed[0].Change != "removed" {
		t.Fatal(err)
	}
	h.add("ann:allowlist", "13700137000")
	last := uint64(0)
	if err := h.Changes(t.Context(), "ann:allowlist", func(c console.ListChange) error {
		if c.Kind == "remove" {
			last = c.ID
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	_, err = h.Undo(t.Context(), last)
	refused("an undo", err)
	if h.ownRefused.Load() != 4 {
		t.Errorf("%d refusals are counted", h.ownRefused.Load())
	}
	if h.pieces.doubt.Load() {
		t.Error("the lists in memory are doubted")
	}
	if n, lines := h.force.Rules().Lists.OwnSize("blacklist"); n != lists.MaxOwnLine || lines != 2 {
		t.Errorf("%d entries of %d lines in memory", n, lines)
	}
}

// Whatever is edited, undone, removed and given away: memory is what a start would read, and no line sees another's.
//
// long: because each kind of edit is a case
func TestOwnListsRandom(t *testing.T) {
	h := openOwn(t)
	rnd := rand.New(rand.NewPCG(14, 5))
	names := []string{"ann", "bob", "carol"}
	called := map[string]string{"ann": "+865925550101", "bob": "+865925550202", "carol": "+865925550303"}
	number := func() string { return fmt.Sprintf("+861380013800%d", rnd.IntN(6)) }
	var ids []uint64
	ctx := console.WithBy(context.Background(), console.By{Who: "t"})
	for step := range 300 {
		name := names[rnd.IntN(len(names))]
		list := name + []string{":blacklist", ":allowlist"}[rnd.IntN(2)]
		switch rnd.IntN(8) {
		case 0:
			if r, err := h.tryLines(t, lineGone(name)); err == nil {
				ids = append(ids, r.ID)
			}
		case 1:
			if r, err := h.tryLines(t, lineEdit(name, called[name])); err == nil {
				ids = append(ids, r.ID)
			}
		case 2, 3:
			if len(ids) > 0 {
				if c, err := h.Undo(ctx, ids[rnd.IntN(len(ids))]); err == nil && c.ID != 0 {
					ids = append(ids, c.ID)
				}
			}
		case 4:
			h.RemoveEntries(ctx, list, []string{number(), number()}, rnd.IntN(2) == 0)
		case 5:
			h.Import(ctx, console.ImportQuery{List: list, File: "f", Replace: rnd.IntN(2) == 0}, strings.NewReader(number()+"\n"+number()))
		default:
			h.AddEntries(ctx, list, []console.NewEntry{{Number: number(), Reason: fmt.Sprint(step)}}, false)
		}
		h.Changes(ctx, "", func(c console.ListChange) error {
			if !slices.Contains(ids, c.ID) {
				ids = append(ids, c.ID)
			}
			return nil
		})
		h.sameAsDisk(fmt.Sprint("step ", step))
		if t.Failed() {
			return
		}
	}
	if err := h.checked(); err != nil {
		t.Error(err)
	}
}

// sameAsDisk holds own lists in memory against what is shown of them.
func (h *ownHouse) sameAsDisk(when string) {
	h.Helper()
	r := h.force.Rules()
	for _, name := range []string{"ann", "bob", "carol"} {
		for _, own := range []string{"blacklist", "allowlist"} {
			line, ok := r.Lines.LineNamed(name)
			entries := make(map[string]string)
			err := h.Entries(h.Context(), name+":"+own, func(e console.ListEntry) error { entries[e.Number] = e.Reason; return nil })
			if ok != (err == nil) {
				h.Errorf("%s: the line %s is there: %v, %v", when, name, ok, err)
				continue
			}
			if n := r.Lists.OwnLen(line.Key, own); n != len(entries) {
				h.Errorf("%s: %s of %s has %d entries in memory, %d on disk", when, own, name, n, len(entries))
			}
			for i := range 6 {
				n := r.Policy.Plan().Parse(fmt.Sprintf("+861380013800%d", i))
				e, ok := r.Lists.LookupOwn(line.Key, line.Hash, own, &n, time.Now())
				if want, wanted := entries[n.E164]; ok != wanted || e.Reason != want {
					h.Errorf("%s: %s in %s of %s: %v %q in memory, %v %q on disk", when, n.E164, own, name, ok, e.Reason, wanted, want)
				}
			}
		}
	}
}
