package storage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Origin is the kind of source that a record of an entry comes from.
type Origin uint8

const (
	FromPerson Origin = iota // added by hand, whoever's: a person takes back what another wrote
	FromReport               // a report that was confirmed
	FromImport               // a file; its name is the Source
	FromFeed                 // a list that others keep; its name is the Source
	origins                  // how many there are
)

func (o Origin) String() string {
	switch o {
	case FromPerson:
		return "person"
	case FromReport:
		return "report"
	case FromImport:
		return "import"
	case FromFeed:
		return "feed"
	}
	return fmt.Sprintf("origin %d", uint8(o))
}

// MaxSources is how many sources of one entry are kept. When there are more, the record written longest ago that is not a
// person's gives way: files that are imported under a new name every day must not pile up for ever.
const MaxSources = 16

// sourceKey tells the sources of one entry apart: each has one record.
type sourceKey struct {
	origin Origin
	name   string // of a file or a feed; persons are one source, and so are reports
}

func keyOf(origin Origin, source string) sourceKey {
	if origin == FromPerson || origin == FromReport {
		source = ""
	}
	return sourceKey{origin, source}
}

func (k sourceKey) compare(of sourceKey) int {
	return cmp.Or(cmp.Compare(k.origin, of.origin), strings.Compare(k.name, of.name))
}

// originOf is the origin of an entry that was written when only its source's text was kept.
func originOf(source string) Origin {
	switch {
	case strings.HasPrefix(source, "feed "):
		return FromFeed
	case source == "import", strings.HasPrefix(source, "import "):
		return FromImport
	case source == "report", strings.HasPrefix(source, "report "): // and which
		return FromReport
	}
	return FromPerson
}

// inOrder puts the records of one entry in the order in which they count: a person's first, then those that give a reason, then
// the newest. A feed that says nothing but the number does not take away what a file said of it.
func inOrder(rows []listRow) {
	slices.SortStableFunc(rows, func(a, b listRow) int {
		return cmp.Or(cmp.Compare(min(a.now.origin, 1), min(b.now.origin, 1)), reasonLast(a.now)-reasonLast(b.now), b.now.stamp.Compare(a.now.stamp))
	})
}

func reasonLast(s *sourceRecord) int {
	if s.reason == "" {
		return 1
	}
	return 0
}
