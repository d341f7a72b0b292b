package cmd

import (
	"strings"
	"testing"

	"ringfence/console"
)

// A change that came from another node says from which, as text that cannot do anything.
func TestListChangeText(t *testing.T) {
	text := listChangeText(&console.ListChange{ID: 7, Kind: "import", List: "blacklist", Added: 2, Who: "ann", From: "console", Source: "a.csv", Node: "pbx2\x1b[2J", Undone: 9})
	if !strings.HasSuffix(text, "import blacklist, 2 added  (ann, console)  a.csv  on pbx2[2J  undone by 9") {
		t.Errorf("%q", text)
	}
	if text := listChangeText(&console.ListChange{Kind: "add", List: "blacklist", Who: "ann"}); strings.Contains(text, " on ") {
		t.Errorf("%q", text)
	}
}
