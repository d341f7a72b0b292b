package storage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	bolt "go.etcd.io/bbolt"
)

// Bounds on lists and entries, in bytes unless said otherwise. What is beyond
// them is refused with ErrInvalid.
const (
	MaxListName = 64
	MaxPattern  = 128
	MaxText     = 256 // Text, Source and Who
	MaxReason   = 1024
	// MaxLists is how many lists there may be.
	MaxLists = 1000
	// MaxEdit is how many entries one call may add or remove. The whole call is
	// one transaction, which is held in memory (1 KB an entry) until it is on disk,
	// and which the journal has to wait for: half a second for so many.
	MaxEdit = 100_000
)

// maxValue is more than any entry or record takes as JSON, in bytes.
const maxValue = 64 << 10

// pageEntries is how many entries one read transaction collects.
const pageEntries = 500

// Entry is one pattern of a list. Times are kept in UTC, to the millisecond.
type Entry struct {
	Pattern string // canonical text of the pattern: the key
	Text    string // the pattern as it was typed
	Reason  string
	Source  string // where it came from: the console, a file, a feed
	Who     string // who added or last updated it
	Added   time.Time
	Expires time.Time // zero: never. Expired entries stay until they are removed
}

// Change says what an edit did to one entry.
type Change uint8

const (
	Added     Change = iota + 1 // it was not there
	Updated                     // it was there with another reason or expiry
	Unchanged                   // it was there just so
	Removed                     // it was there and is gone
	Absent                      // there was nothing to remove
)

func (c Change) String() string {
	switch c {
	case Added:
		return "added"
	case Updated:
		return "updated"
	case Unchanged:
		return "unchanged"
	case Removed:
		return "removed"
	case Absent:
		return "absent"
	}
	return fmt.Sprintf("change %d", uint8(c))
}

// ListInfo describes a list.
type ListInfo struct {
	Name    string
	Entries int // entries in the list, expired ones included
	Created time.Time
	Changed time.Time // when an entry was last added, updated or removed
}

// listMeta is what the file keeps about a list.
type listMeta struct {
	Entries int       `json:"entries"`
	Created time.Time `json:"created"`
	Changed time.Time `json:"changed"`
}

// entryValue is what the file keeps about an entry, besides its key.
type entryValue struct {
	Text    string    `json:"text,omitempty"` // left out where it is the pattern
	Reason  string    `json:"reason,omitempty"`
	Source  string    `json:"source,omitempty"`
	Who     string    `json:"who,omitempty"`
	Added   time.Time `json:"added"`
	Expires time.Time `json:"expires,omitzero"`
}

// AddEntries adds entries to a list, which it creates if need be (also for no
// entries at all). It returns what became of each entry, in order: Added; Updated
// if the pattern was there with another reason or expiry, which keeps the time it
// was first added and takes all else from the new entry; or Unchanged. An entry
// without Added gets the present time.
//
// The call is one transaction: when it returns without error everything is on
// disk, and when it returns an error nothing was changed (after ErrWrite: all or
// nothing; repeat the call).
func (d *DB) AddEntries(list string, es []Entry) ([]Change, error) {
	if err := checkListName(list); err != nil {
		return nil, err
	}
	if len(es) > MaxEdit {
		return nil, invalid("%d entries are too many for one edit: add at most %d at a time", len(es), MaxEdit)
	}
	for i := range es {
		if err := checkEntry(&es[i]); err != nil {
			return nil, err
		}
	}
	now := millis(d.now())
	changes := make([]Change, len(es))
	err := d.edit(func(tx *bolt.Tx) error {
		meta, isNew, err := d.listMeta(tx, list)
		if err != nil {
			return err
		}
		if isNew {
			if n := countKeys(tx.Bucket(bucketLists), MaxLists); n >= MaxLists {
				return invalid("there are %d lists already, which is the most there may be: use one of them", n)
			}
			meta.Created, meta.Changed = now, now
		}
		b, err := tx.Bucket(bucketEntries).CreateBucketIfNotExists([]byte(list))
		if err != nil {
			return err
		}
		changed := isNew
		for _, i := range inOrder(es) {
			if changes[i], err = d.put(b, list, es[i], now); err != nil {
				return err
			}
			switch changes[i] {
			case Added:
				meta.Entries++
				changed = true
			case Updated:
				changed = true
			}
		}
		if !changed {
			return errNothing
		}
		meta.Changed = now
		return putJSON(tx.Bucket(bucketLists), list, meta)
	})
	if err != nil && err != errNothing {
		return nil, explain("adding to the list "+list, err)
	}
	return changes, nil
}

// inOrder returns the entries' indices sorted by pattern, equal ones as they came.
// bbolt splits a page only when it commits: until then each key that does not go to
// the end moves all behind it, which takes a large edit out of order for ever.
func inOrder(es []Entry) []int {
	order := make([]int, len(es))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(es[a].Pattern, es[b].Pattern) })
	return order
}

// put writes one entry into its list's bucket unless it is there already.
func (d *DB) put(b *bolt.Bucket, list string, e Entry, now time.Time) (Change, error) {
	v := entryValue{
		Text: e.Text, Reason: e.Reason, Source: e.Source, Who: e.Who,
		Added: millis(e.Added), Expires: millis(e.Expires),
	}
	if v.Text == e.Pattern {
		v.Text = ""
	}
	if v.Added.IsZero() {
		v.Added = now
	}
	change := Added
	if found := b.Get([]byte(e.Pattern)); found != nil {
		old, err := decodeEntry([]byte(e.Pattern), found)
		if err != nil {
			return 0, d.badEntry(list, err)
		}
		if old.Reason == v.Reason && old.Expires.Equal(v.Expires) {
			return Unchanged, nil
		}
		change = Updated
		v.Added = old.Added
	}
	return change, putJSON(b, e.Pattern, v)
}

// RemoveEntries removes patterns from a list and returns what became of each, in
// order: Removed or Absent. A list that does not exist has nothing to remove,
// which is no error; a list whose last entry goes stays, empty. The call is one
// transaction, as that of AddEntries.
func (d *DB) RemoveEntries(list string, patterns []string) ([]Change, error) {
	if err := checkListName(list); err != nil {
		return nil, err
	}
	if len(patterns) > MaxEdit {
		return nil, invalid("%d patterns are too many for one edit: remove at most %d at a time", len(patterns), MaxEdit)
	}
	changes := make([]Change, len(patterns))
	err := d.edit(func(tx *bolt.Tx) error {
		for i := range changes {
			changes[i] = Absent
		}
		b := tx.Bucket(bucketEntries).Bucket([]byte(list))
		meta, isNew, err := d.listMeta(tx, list)
		if err != nil {
			return err
		}
		if isNew || b == nil {
			return errNothing
		}
		removed := 0
		for i, p := range patterns {
			if b.Get([]byte(p)) == nil {
				continue
			}
			if err := b.Delete([]byte(p)); err != nil {
				return err
			}
			changes[i] = Removed
			removed++
		}
		if removed == 0 {
			return errNothing
		}
		meta.Entries -= removed
		meta.Changed = millis(d.now())
		return putJSON(tx.Bucket(bucketLists), list, meta)
	})
	if err != nil && err != errNothing {
		return nil, explain("removing from the list "+list, err)
	}
	return changes, nil
}

// Lists returns all lists by name. Counts are kept with the list, not scanned.
func (d *DB) Lists() ([]ListInfo, error) {
	var lists []ListInfo
	err := d.view(func(tx *bolt.Tx) error {
		lists = nil
		return tx.Bucket(bucketLists).ForEach(func(k, v []byte) error {
			var m listMeta
			if err := decodeMeta(k, v, &m); err != nil {
				return corrupt(d.file, err)
			}
			lists = append(lists, ListInfo{Name: string(k), Entries: m.Entries, Created: m.Created, Changed: m.Changed})
			return nil
		})
	})
	return lists, err
}

// Entries calls yield for each entry of a list, in the order of the patterns' bytes,
// until yield returns an error, which Entries then returns. There is ErrNoList if
// the list does not exist.
//
// The list is read in pages: an entry that others add or remove meanwhile may be
// missing or not, every other entry comes exactly once. An entry that cannot be
// read is passed over; the rest still comes (unless thousands are like that), and
// then an error that is ErrCorrupt.
func (d *DB) Entries(list string, yield func(Entry) error) error {
	var damage damage
	after, first := []byte(nil), true
	for {
		var page []Entry
		more, progress := false, false
		err := d.view(func(tx *bolt.Tx) error {
			b := tx.Bucket(bucketEntries).Bucket([]byte(list))
			if b == nil {
				if first {
					return &fault{kind: ErrNoList, text: fmt.Sprintf("there is no list %q", list)}
				}
				return nil
			}
			c := b.Cursor()
			k, v := c.First()
			if !first {
				if k, v = c.Seek(after); bytes.Equal(k, after) {
					k, v = c.Next()
				}
			}
			for n := 0; k != nil; k, v = c.Next() {
				if n++; n > pageEntries {
					// In a damaged file keys out of order could lead back to the same
					// page for ever.
					more = progress && !damage.hopeless()
					return nil
				}
				e, err := decodeEntry(k, v)
				if err != nil {
					damage.note(err)
				} else {
					page = append(page, e)
				}
				switch {
				case len(k) == 0 || len(k) > MaxPattern: // noted above
				case after != nil && bytes.Compare(k, after) <= 0:
					damage.note(fmt.Errorf("entry %q: it is out of order", k))
				default:
					after = append(after[:0], k...)
					progress = true
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		first = false
		for _, e := range page {
			if err := yield(e); err != nil {
				return err
			}
		}
		if !more {
			return damage.err(d.file, fmt.Sprintf("entries of the list %s", list))
		}
	}
}

// EachEntry calls yield for each entry of each list, to load them all. It is to
// Entries as all lists are to one: the same pages, the same errors; entries that
// cannot be read are passed over and reported at the end.
func (d *DB) EachEntry(yield func(list string, e Entry) error) error {
	lists, err := d.Lists()
	if err != nil {
		return err
	}
	var damaged error
	for _, l := range lists {
		var stop error
		err := d.Entries(l.Name, func(e Entry) error {
			stop = yield(l.Name, e)
			return stop
		})
		if stop != nil {
			return stop
		}
		if err != nil && damaged == nil {
			damaged = err
		}
	}
	return damaged
}

// errNothing rolls a transaction back that would write nothing, to save the sync.
// What it found is on disk already.
var errNothing = fmt.Errorf("nothing to write")

// listMeta reads what is kept about a list; isNew if there is no such list.
func (d *DB) listMeta(tx *bolt.Tx, list string) (m listMeta, isNew bool, err error) {
	v := tx.Bucket(bucketLists).Get([]byte(list))
	if v == nil {
		return m, true, nil
	}
	if err := decodeMeta([]byte(list), v, &m); err != nil {
		return m, false, corrupt(d.file, err)
	}
	return m, false, nil
}

func (d *DB) badEntry(list string, err error) error {
	return corrupt(d.file, fmt.Errorf("an entry of the list %s: %w", list, err))
}

// decodeEntry reads an entry as put wrote it.
func decodeEntry(k, v []byte) (Entry, error) {
	var e entryValue
	if len(k) == 0 || len(k) > MaxPattern {
		return Entry{}, fmt.Errorf("entry %q: its pattern has %d bytes", short(k), len(k))
	}
	if err := decodeJSON(v, &e); err != nil {
		return Entry{}, fmt.Errorf("entry %q: %w", k, err)
	}
	if e.Text == "" {
		e.Text = string(k)
	}
	return Entry{
		Pattern: string(k), Text: e.Text, Reason: e.Reason, Source: e.Source, Who: e.Who,
		Added: e.Added, Expires: e.Expires,
	}, nil
}

func decodeMeta(list, v []byte, m *listMeta) error {
	if len(list) > MaxListName {
		return fmt.Errorf("a list's name has %d bytes", len(list))
	}
	if err := decodeJSON(v, m); err != nil {
		return fmt.Errorf("what it says of the list %q: %w", list, err)
	}
	return nil
}

// decodeJSON reads a value as putJSON wrote it. Its length is checked first: in a
// damaged page it may be anything, and nothing must be copied on its word.
func decodeJSON(v []byte, to any) error {
	if len(v) > maxValue {
		return fmt.Errorf("it claims to have %d bytes", len(v))
	}
	return json.Unmarshal(v, to)
}

// short is the start of a key, for messages. In a damaged page a key may claim any
// length, and fmt's %.40q copies all of it before it cuts.
func short(k []byte) []byte { return k[:min(len(k), 40)] }

func putJSON(b *bolt.Bucket, key string, v any) error {
	enc, err := json.Marshal(v)
	if err != nil {
		return invalid("%s: %v", key, err)
	}
	return b.Put([]byte(key), enc)
}

// countKeys counts a bucket's keys, no further than max.
func countKeys(b *bolt.Bucket, max int) int {
	n := 0
	c := b.Cursor()
	for k, _ := c.First(); k != nil && n < max; k, _ = c.Next() {
		n++
	}
	return n
}

func checkListName(name string) error {
	if name == "" || len(name) > MaxListName {
		return invalid("a list's name must have 1 to %d bytes, not %d", MaxListName, len(name))
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }) {
		return invalid("the list name %q must be UTF-8 without spaces and control characters", name)
	}
	return nil
}

func checkEntry(e *Entry) error {
	if e.Pattern == "" {
		return invalid("an entry without a pattern (typed as %q)", e.Text)
	}
	for _, f := range []struct {
		name, text string
		max        int
	}{
		{"pattern", e.Pattern, MaxPattern}, {"text", e.Text, MaxText}, {"reason", e.Reason, MaxReason},
		{"source", e.Source, MaxText}, {"who", e.Who, MaxText},
	} {
		switch {
		case len(f.text) > f.max:
			return invalid("entry %.40q: its %s has %d bytes; make it %d at most", e.Pattern, f.name, len(f.text), f.max)
		case !utf8.ValidString(f.text):
			return invalid("entry %.40q: its %s is not UTF-8; convert the text to UTF-8 first", e.Pattern, f.name)
		case strings.ContainsFunc(f.text, unicode.IsControl):
			return invalid("entry %.40q: its %s has a control character or line break in it; take it out", e.Pattern, f.name)
		}
	}
	for _, t := range []time.Time{e.Added, e.Expires} {
		if y := t.Year(); !t.IsZero() && (y < 1970 || y > 9999) {
			return invalid("entry %.40q: the year %d is out of range; use 1970 to 9999", e.Pattern, y)
		}
	}
	return nil
}

// millis is t as it is kept: in UTC, without what is below a millisecond.
func millis(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// explain adds what was being done to an error that does not say.
func explain(what string, err error) error {
	if _, ok := err.(*fault); ok {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}

// maxDamage is how many values that cannot be read end a read.
const maxDamage = 1000

// damage gathers values that cannot be read, so that one bad value does not hide
// the good ones.
type damage struct {
	count int
	first error
}

func (d *damage) note(err error) {
	if d.count++; d.first == nil {
		d.first = err
	}
}

// hopeless reports whether there is so much damage that reading on makes no sense.
func (d *damage) hopeless() bool { return d.count >= maxDamage }

func (d *damage) err(file, what string) error {
	if d.count == 0 {
		return nil
	}
	return corrupt(file, fmt.Errorf("%d %s cannot be read, the first: %w", d.count, what, d.first))
}

// HasEntry says whether a list has an entry with exactly this pattern.
func (d *DB) HasEntry(list, pattern string) bool {
	found := false
	d.view(func(tx *bolt.Tx) error {
		if b := tx.Bucket(bucketEntries).Bucket([]byte(list)); b != nil && pattern != "" {
			found = b.Get([]byte(pattern)) != nil
		}
		return nil
	})
	return found
}
