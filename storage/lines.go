package storage

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Lines are kept in a table of the same make as a list: a line is an entry whose pattern is its name. So history, undo, imports, tombstones,
// copies and the way back are those of lists. No list can have its name.
const lineTable = "line:"

// Bounds on lines, in bytes unless said otherwise.
const (
	MaxLines       = 200_000
	MaxLineNumbers = 1000 // patterns of one line
	MaxLineText    = 512  // note and notify
	maxLineValue   = 24 << 10
)

// Line is a line that lives in the database.
type Line struct {
	Name     string   `json:"-"`
	Key      string   `json:"key"`               // see policy.Line; ChangeLines gives a new line its own
	Numbers  []string `json:"numbers,omitempty"` // canonical texts of patterns, in order
	Customer string   `json:"customer,omitempty"`
	Profile  string   `json:"profile,omitempty"`
	Mode     string   `json:"mode,omitempty"` // "" is enforce
	Timezone string   `json:"timezone,omitempty"`
	Language string   `json:"language,omitempty"`
	Notify   string   `json:"notify,omitempty"`
	Note     string   `json:"note,omitempty"`
	Import   string   `json:"import,omitempty"` // the source of imports that keeps the line, and takes it away when it no longer names it

	// For reading.
	Who, Source    string    `json:"-"`
	Added, Updated time.Time `json:"-"`
	Change         uint64    `json:"-"`
}

// LineEdit puts a line in, or takes the one of a name out.
type LineEdit struct {
	Line
	Remove bool
}

// LineOwn is some letters and digits of which no line had the same before, for its key.
func LineOwn() string { return strings.ToLower(rand.Text()[:6]) }

// ChangeLines makes edits of lines, each of another name, as one change that can be undone, and says what became of each. Each is checked by who
// calls; here it is only bounded. When it returns without error all is on disk, else nothing was changed.
func (d *DB) ChangeLines(r ChangeRecord, edits []LineEdit) ([]Change, ChangeRecord, error) {
	if err := r.By.check(); err != nil {
		return nil, ChangeRecord{}, err
	}
	r.List = lineTable
	if r.Kind == "" {
		r.Kind = KindAdd
	}
	now := millis(d.now())
	made := make([]edit, len(edits))
	for i := range edits {
		l := &edits[i].Line
		made[i] = edit{pattern: l.Name, key: keyOf(FromPerson, "")}
		if edits[i].Remove {
			continue
		}
		text, err := json.Marshal(l)
		if err != nil {
			return nil, ChangeRecord{}, err
		}
		if len(text) > maxLineValue {
			return nil, ChangeRecord{}, invalid("the line %.64q takes %d bytes; make it %d at most: write ranges for its numbers", l.Name, len(text), maxLineValue)
		}
		made[i].to = &sourceRecord{
			origin: FromPerson, added: toMillis(now), updated: toMillis(now), reason: string(text), source: r.From, who: r.Who,
		}
	}
	changes, r, err := d.change(r, made)
	if err != nil {
		return nil, ChangeRecord{}, explain("changing lines", err)
	}
	return changes, r, nil
}

// Lines calls yield for each line, in the order of their names' bytes, until it returns an error. What cannot be read is passed over and reported
// at the end, as that of Entries is.
func (d *DB) Lines(yield func(Line) error) error {
	err := d.EntryPages(lineTable, false, func(es []Entry) error {
		for i := range es {
			l, err := lineOf(&es[i])
			if err != nil {
				return corrupt(d.file, err)
			}
			if err := yield(l); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, ErrNoList) {
		return nil
	}
	return err
}

// LinesNamed gives lines by name, as many as there are.
func (d *DB) LinesNamed(names ...string) ([]Line, error) {
	found, err := d.Lookup(lineTable, names...)
	if err != nil && !errors.Is(err, ErrNoList) {
		return nil, err
	}
	var lines []Line
	for _, es := range slices.Concat(found...) {
		l, err := lineOf(&es)
		if err != nil {
			return nil, corrupt(d.file, err)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func lineOf(e *Entry) (Line, error) {
	l := Line{Name: e.Pattern, Who: e.Who, Source: e.Source, Added: e.Added, Updated: e.Updated, Change: e.Change}
	if err := json.Unmarshal([]byte(e.Reason), &l); err != nil {
		return l, fmt.Errorf("the line %.64q: %w", e.Pattern, err)
	}
	return l, nil
}

// IsLines reports whether a change was one of lines.
func (r *ChangeRecord) IsLines() bool { return r.List == lineTable }
