package desk

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

// These are what a node says that somebody has taken over.

// What another node says that is refused, for a different reason each time and of a different list, does not fill the log.
func TestMergeRefusedFillsNoLog(t *testing.T) {
	a := openMerge(t, "a")
	before := strings.Count(a.log.String(), "\n")
	for i := range 200 {
		row := rowOf(fmt.Sprintf("no number %d", i))
		if n, err := a.MergeRows(t.Context(), fmt.Sprint("list", i%20), []storage.Row{row}, storage.Foreign{Node: "z"}); n != 0 || err != nil {
			t.Fatal(n, err)
		}
	}
	if lines := strings.Count(a.log.String(), "\n") - before; lines == 0 || lines > 2*maxMergeLines {
		t.Errorf("%d lines are logged", lines)
	}
	if m := a.MergeRefused(); m.Rows != 200 || !strings.Contains(m.Why, "no number 199") {
		t.Errorf("%+v", m)
	}
}

// What a node did is undone as far as it can be, whatever of it cannot.
func TestUndoNodePassesOver(t *testing.T) {
	a := openMerge(t, "a")
	bob := lineEdit("bob", "+865925550202")
	a.lines(t, bob)
	begun := time.Now().Add(-time.Minute)
	merge := func(list string, row storage.Row) {
		t.Helper()
		if n, err := a.MergeRows(t.Context(), list, []storage.Row{row}, storage.Foreign{Node: "z", Time: time.Now()}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	merge("blacklist", rowOf("+8613800138000"))
	gone := rowOf("bob")
	gone.Gone, gone.Reason, gone.Stamp.Wall = true, "", gone.Stamp.Wall+1000
	merge(console.LineTable, gone)
	a.lines(t, lineEdit("carl", "+865925550202")) // so that bob cannot come back
	merge("blacklist", rowOf("+8613800138001"))
	_, err := a.UndoNode(t.Context(), "z", console.ClusterUndo{Since: begun})
	if err == nil || !strings.Contains(err.Error(), "2 changes were undone, and 1 could not be") || !strings.Contains(err.Error(), "carl") {
		t.Errorf("%v", err)
	}
	found, err := a.db.Lookup("blacklist", "+8613800138000", "+8613800138001")
	if err != nil || len(found[0])+len(found[1]) != 0 {
		t.Errorf("%v is still listed, %v", found, err)
	}
}
