package storage

import (
	"fmt"
	"testing"
	"time"
)

// What a source does not say stays: of its own record, and of a new one, if it is a file's, what is said of the number already. In one
// transaction, and built beside the list.
func TestKeepsWhatIsNotSaid(t *testing.T) {
	for _, most := range []int{MaxEdit, 1} {
		now := epoch
		d := open(t, Options{Now: func() time.Time { now = now.Add(time.Second); return now }})
		d.maxEdit = most
		p := entry(1).Pattern
		in := func(days int) time.Time { return epoch.AddDate(0, 0, days) }
		put := func(r ImportRow, want string) {
			t.Helper()
			c, err := d.Import("blacklist", func(yield func(ImportRow) bool) { yield(r) }, ImportOptions{})
			check(t, err)
			records, err := d.Lookup("blacklist", p)
			check(t, err)
			got := ""
			for _, e := range records[0] {
				until := "-"
				if !e.Expires.IsZero() {
					until = fmt.Sprint(int(e.Expires.Sub(epoch).Hours() / 24))
				}
				got += fmt.Sprintf("%s %q %s; ", e.Origin, e.Reason, until)
			}
			if got += fmt.Sprintf("added %d, updated %d", c.Added, c.Updated); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
		row := func(origin Origin, reason string, days int) ImportRow {
			r := ImportRow{Entry: of(entry(1), origin, "x", reason)}
			if days > 0 {
				r.Expires = in(days)
			}
			return r
		}
		silent := func(origin Origin) ImportRow {
			r := row(origin, "", 0)
			r.KeepReason, r.KeepExpires, r.Inherit = true, true, origin == FromImport
			return r
		}

		put(row(FromPerson, "mine", 90), `person "mine" 90; added 1, updated 0`)
		put(silent(FromImport), `person "mine" 90; import "mine" 90; added 0, updated 0`)
		put(silent(FromImport), `person "mine" 90; import "mine" 90; added 0, updated 0`)
		put(silent(FromFeed), `person "mine" 90; import "mine" 90; feed "" -; added 0, updated 1`)
		put(row(FromFeed, "theirs", 30), `person "mine" 90; feed "theirs" 30; import "mine" 90; added 0, updated 1`)
		put(silent(FromFeed), `person "mine" 90; feed "theirs" 30; import "mine" 90; added 0, updated 0`)
		only := silent(FromFeed)
		only.KeepExpires = false
		put(only, `person "mine" 90; feed "theirs" -; import "mine" 90; added 0, updated 1`)
		span := row(FromFeed, "theirs", 7)
		span.Near = time.Minute
		put(span, `person "mine" 90; feed "theirs" 7; import "mine" 90; added 0, updated 1`)
		span.Expires = span.Expires.Add(59 * time.Second)
		put(span, `person "mine" 90; feed "theirs" 7; import "mine" 90; added 0, updated 0`)
		span.Expires = span.Expires.Add(time.Hour)
		put(span, `person "mine" 90; feed "theirs" 7; import "mine" 90; added 0, updated 1`)

		now = in(10) // what the feed said has expired; when it names the number again, it is named again
		put(silent(FromFeed), `person "mine" 90; feed "theirs" -; import "mine" 90; added 0, updated 1`)
		now = in(100)
		other := silent(FromImport)
		other.Source = "y"
		put(other, `person "mine" 90; import "theirs" -; feed "theirs" -; import "mine" 90; added 0, updated 0`)
		if r, err := d.Verify(); err != nil || len(r.Faults) > 0 {
			t.Errorf("%+v, %v", r, err)
		}
	}
}
