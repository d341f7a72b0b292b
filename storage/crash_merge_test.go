package storage

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// crashMerged is the list of what another node says, and how many rows it says each time.
const (
	crashMerged = "merged"
	crashRows   = 600
)

// crashSays is what the list says after the i-th time: each row this reason, or with "" all are gone.
func crashSays(from, i int) string {
	if i%3 == 2 {
		return ""
	}
	return fmt.Sprint("merge ", from, " ", i)
}

// crashMerges takes over what another node says, in one transaction and staged, until it is killed.
func crashMerges(d *DB, fail func(error), say func(string, ...any)) {
	var from int
	fmt.Sscan(os.Getenv(crashFromEnv), &from)
	for i := 0; ; i++ {
		reason := crashSays(from, i)
		rows := make([]Row, crashRows)
		for k := range rows {
			rows[k] = Row{Pattern: fmt.Sprintf("+1666%07d", k), Origin: FromFeed, Source: "feed", Gone: reason == "", Stamp: Tick{time.Now().UnixMilli(), uint32(i), "z"}}
			if reason != "" {
				rows[k].Reason, rows[k].Added, rows[k].Updated = reason, 1, 1
			}
		}
		if i%2 == 0 {
			_, _, err := d.Merge(crashMerged, rows, fromZ)
			fail(err)
		} else {
			_, err := d.MergeMany(crashMerged, inRowOrder(rows...), fromZ, nil)
			for errors.Is(err, ErrBusy) {
				_, err = d.MergeMany(crashMerged, inRowOrder(rows...), fromZ, nil)
			}
			fail(err)
		}
		say("merge %d", i)
	}
}

// mergesAreThere holds the list against what was acknowledged. The one under way may have come to pass without its line, but then wholly.
func (c *crashed) mergesAreThere(d *DB, r *round) {
	got := map[string]int{}
	check(c.t, d.ListRows(crashMerged, nil, func(rows []Row) error {
		for _, row := range rows {
			if !row.Gone {
				got[row.Reason]++
			}
		}
		return nil
	}))
	atLeast := c.merged
	if r.merges > 0 {
		atLeast = crashSays(r.from, r.merges-1)
	}
	for _, want := range []string{atLeast, crashSays(r.from, r.merges)} {
		if want == "" && len(got) == 0 || want != "" && len(got) == 1 && got[want] == crashRows {
			c.merged = want
			return
		}
	}
	c.t.Fatalf("round %d: after %d merges the list says %v, want %q or the next", r.n, r.merges, got, atLeast)
}
