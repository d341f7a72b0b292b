package cmd

import (
	"strings"
	"testing"
	"time"

	"ringfence/console"
)

// An undo that comes after own lists are gone says so, and no other does.
func TestUndoneLate(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		change console.ListChange
		says   bool
	}{
		{console.ListChange{Time: now.Add(-31 * 24 * time.Hour), Removed: 1}, true},
		{console.ListChange{Time: now.Add(-31 * 24 * time.Hour), Updated: 1}, true},
		{console.ListChange{Time: now.Add(-31 * 24 * time.Hour), Added: 1}, false},
		{console.ListChange{Time: now.Add(-29 * 24 * time.Hour), Removed: 1, Updated: 1}, false},
	} {
		if got := undoneLate(&test.change, now); (got != "") != test.says || test.says && !strings.HasPrefix(got, "warning: ") {
			t.Errorf("%+v: %q", test.change, got)
		}
	}
}
