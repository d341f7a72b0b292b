package cluster

import (
	"strings"
	"testing"

	"ringfence/console"
	"ringfence/e2e/setup"
)

// What is done on one node decides calls on all.
func TestTravel(t *testing.T) {
	nodes := startNodes(t, setup.StartNATS(t), 3)
	a, b, c := nodes[0], nodes[1], nodes[2]
	ctx := t.Context()
	everywhere := func(what, from, to string, stopped bool) {
		t.Helper()
		decides(t, what, from, to, stopped, nodes...)
	}
	a.add("blacklist", "95211613")
	everywhere("an edit", "95211613", staff, true)
	b.add("allowlist", "95211613")
	everywhere("an edit of another list", "95211613", staff, false)
	c.remove("allowlist", "95211613")
	everywhere("a removal by another node", "95211613", staff, true)
	a.add("blacklist", "952120*")
	everywhere("a range", "95212099", staff, true)

	r, err := b.desk.Import(ctx, console.ImportQuery{List: "blacklist", File: "bought.txt"}, strings.NewReader("95213001\n95213002\n13800138000\n"))
	must(t, err)
	everywhere("an import", "13800138000", staff, true)
	_, err = b.desk.Undo(ctx, r.Change)
	must(t, err)
	everywhere("the import undone", "13800138000", staff, false)
	everywhere("the import undone", "95213002", staff, false)

	var taken uint64 // what c has of b's change below
	b.add("blacklist", "95214001")
	everywhere("an edit", "95214001", staff, true)
	must(t, c.desk.Changes(ctx, "blacklist", func(ch console.ListChange) error { taken = ch.ID; return nil }))
	_, err = c.desk.Undo(ctx, taken)
	must(t, err)
	everywhere("undone where it was not made", "95214001", staff, false)
}

// Lines of the database and what customers list travel, and are theirs alone.
func TestLinesTravel(t *testing.T) {
	nodes := startNodes(t, setup.StartNATS(t), 2)
	a, b := nodes[0], nodes[1]
	ctx := t.Context()
	numbers := func(of ...string) *[]string { return &of }
	customer := "ann & co"
	_, err := a.desk.AddLines(ctx, []console.LineSet{
		{Name: "ann", Customer: &customer, Numbers: numbers("05925550501")}, {Name: "bob", Numbers: numbers("05925550502")},
	})
	must(t, err)
	eventually(t, "the lines of one node are on the other", func() bool {
		var names []string
		must(t, b.desk.Lines(ctx, console.LineQuery{}, func(l console.Line) error { names = append(names, l.Name); return nil }))
		return strings.Contains(strings.Join(names, " "), "ann") && strings.Contains(strings.Join(names, " "), "bob")
	})
	b.add("ann:blacklist", "95211613")
	decides(t, "an own list", "95211613", "05925550501", true, nodes...)
	decides(t, "an own list", "95211613", "05925550502", false, nodes...)
	_, err = b.desk.SetLine(ctx, console.LineSet{Name: "ann", Add: []string{"05925550503"}})
	must(t, err)
	decides(t, "another number of the line", "95211613", "05925550503", true, nodes...)
	edits, err := a.desk.RemoveLines(ctx, []string{"ann"})
	must(t, err)
	decides(t, "a line that was removed", "95211613", "05925550501", false, nodes...)
	_, err = a.desk.Undo(ctx, edits[0].ID)
	must(t, err)
	decides(t, "it is back, with its own list", "95211613", "05925550501", true, nodes...)
	together(t, nodes...)
}

// What was there before nodes met is on all, lines and own lists among it, whatever the server has of it.
func TestMeet(t *testing.T) {
	server := setup.StartNATS(t)
	a := newNode(t, "a", server.URL()).start()
	_, err := a.desk.AddLines(t.Context(), []console.LineSet{{Name: "ann", Numbers: &[]string{"05925550501"}}})
	must(t, err)
	a.add("ann:blacklist", "95211613")
	a.add("blacklist", "95211614")
	eventually(t, "all of it was told", func() bool { r := a.report(); return !r.Alone && r.Waiting == 0 })
	server.Kill()
	server.Wipe()
	server.Restart()
	b := newNode(t, "b", server.URL()).start()
	decides(t, "a list", "95211614", staff, true, a, b)
	decides(t, "an own list", "95211613", "05925550501", true, a, b)
	together(t, a, b)
}
