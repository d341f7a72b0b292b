package storage

import (
	"errors"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// Each line of the database has lists of its own. All that are called the same are one table of the make of a list, "line:blacklist", whose
// patterns begin with the key of the line, so that the entries of one line are together, no edit of one touches another's, and the keys of
// lines that came later find nothing of before.

// ownEnd follows, behind the key of a line, all that is that line's.
const ownEnd = "!"

// IsOwn reports whether a list is a table of own lists of lines.
func IsOwn(list string) bool { return strings.HasPrefix(list, lineTable) && list != lineTable }

// OwnTable is the table of the own lists of a name, as "blacklist".
func OwnTable(name string) string { return lineTable + name }

// OwnText is a pattern as the table of own lists has it: of the line with that key.
func OwnText(line, pattern string) string { return line + " " + pattern }

// CutOwn gives the key of the line and the pattern; ok is false of a text that nobody wrote who knew of own lists.
func CutOwn(text string) (line, pattern string, ok bool) { return strings.Cut(text, " ") }

// lineOfLog is the line whose own list a change was of, "" if it was of several, or of another list.
func lineOfLog(list string, log []listRow) string {
	if !IsOwn(list) || len(log) == 0 {
		return ""
	}
	// They are in order, and between two texts that begin with the same key all do.
	first, _, ok := CutOwn(log[0].pattern)
	last, _, ok2 := CutOwn(log[len(log)-1].pattern)
	if !ok || !ok2 || first != last {
		return ""
	}
	return first
}

// LineEntries is EntryPages for the own list of one line, by its key. There is no error if the table does not exist.
func (d *DB) LineEntries(table, line string, hits bool, yield func([]Entry) error) error {
	err := d.entryPages(table, line, hits, yield)
	if errors.Is(err, ErrNoList) {
		return nil
	}
	return err
}

// LinePatterns is how many patterns a line has on all own lists together.
func (d *DB) LinePatterns(line string) (n int, err error) {
	tables, err := d.ownTables()
	if err != nil {
		return 0, err
	}
	for _, table := range tables {
		err := d.LineEntries(table.Name, line, false, func(es []Entry) error {
			for i := range es {
				if i == 0 || es[i].Pattern != es[i-1].Pattern {
					n++
				}
			}
			return nil
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// PatternsUnder is how many patterns there are on own lists of all lines whose keys begin so, be they there or not. Keys are of digits and letters
// behind that.
func (d *DB) PatternsUnder(begin string) (n int, err error) {
	tables, err := d.ownTables()
	if err != nil {
		return 0, err
	}
	var damage damage
	for _, table := range tables {
		last := ""
		err := d.rowsBetween(table.Name, begin, begin+"\x7f", &damage, func(rows []listRow) error {
			for i := range rows {
				if !rows[i].now.gone && rows[i].pattern != last {
					n, last = n+1, rows[i].pattern
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrNoList) {
			return n, err
		}
	}
	return n, damage.err(d.file, "blocks of entries of own lists")
}

// OwnPatterns is how many patterns there are on the own lists of all lines together, of those too that are not there any more.
func (d *DB) OwnPatterns() (n int, err error) {
	tables, err := d.ownTables()
	for _, table := range tables {
		n += table.Entries
	}
	return n, err
}

// ownTables are the tables of own lists.
func (d *DB) ownTables() (tables []ListInfo, err error) {
	lists, err := d.Lists()
	for _, l := range lists {
		if IsOwn(l.Name) {
			tables = append(tables, l)
		}
	}
	return tables, err
}

// Place is where a pattern is: a list, and its text there, which is another one on own lists of lines.
type Place struct{ List, Text string }

// PlacesOf finds patterns on all lists, on own lists with those of every line, list by list. Own lists are read from end to end.
// What cannot be read is passed over, and reported at the end.
func (d *DB) PlacesOf(patterns ...string) (found []Place, err error) {
	lists, err := d.Lists()
	if err != nil {
		return nil, err
	}
	for _, l := range lists {
		if IsOwn(l.Name) {
			continue
		}
		records, err := d.Lookup(l.Name, patterns...)
		if err != nil {
			return nil, err
		}
		for i, p := range patterns {
			if len(records[i]) > 0 {
				found = append(found, Place{l.Name, p})
			}
		}
	}
	err = d.eachOwn(patterns, func(at Place, alive bool) {
		if alive {
			found = append(found, at)
		}
	})
	return found, err
}

// eachOwn calls yield for each place on own lists of lines that has one of the patterns, or that it was taken off (not alive).
func (d *DB) eachOwn(patterns []string, yield func(at Place, alive bool)) error {
	tables, err := d.ownTables()
	if err != nil {
		return err
	}
	wanted := make(map[string]bool, len(patterns))
	for _, p := range patterns {
		wanted[p] = true
	}
	var damage damage
	for _, l := range tables {
		err := d.rows(l.Name, &damage, func(rows []listRow) error {
			for i, end := 0, 0; i < len(rows); i = end {
				alive := false
				for end = i; end < len(rows) && rows[end].pattern == rows[i].pattern; end++ {
					alive = alive || !rows[end].now.gone
				}
				if _, p, ok := CutOwn(rows[i].pattern); ok && wanted[p] {
					yield(Place{l.Name, rows[i].pattern}, alive)
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrNoList) {
			return err
		}
	}
	return damage.err(d.file, "blocks of entries of own lists")
}

// ownHits are the places on own lists of which it is kept how often one of the patterns decided there.
func (d *DB) ownHits(patterns []string) (places []Place, err error) {
	decode := func(k, _ []byte) (Place, error) {
		list, text, _ := strings.Cut(string(k), "\x00")
		return Place{list, text}, nil
	}
	err = eachKey(d, func(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket(bucketHits) }, MaxListName+1+MaxPattern, pageStamps, "hits", decode, func(at Place) error {
		if _, p, ok := CutOwn(at.Text); ok && IsOwn(at.List) && slices.Contains(patterns, p) {
			places = append(places, at)
		}
		return nil
	})
	return places, err
}
