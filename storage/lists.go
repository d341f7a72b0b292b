package storage

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
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
	MaxText     = 256 // Source and Who
	MaxReason   = 1024
	// MaxLists is how many lists there may be.
	MaxLists = 1000
	// MaxEdit is how many entries one call may add or remove. The whole call is
	// one transaction, which is held in memory until it is on disk, and which the journal
	// has to wait for: half a second for so many. Import takes more.
	MaxEdit = 100_000
)

// maxValue is more than any entry or record takes as JSON, in bytes.
const maxValue = 64 << 10

// Entry is one pattern of a list. Times are kept in UTC, to the millisecond.
type Entry struct {
	Pattern string // canonical text of the pattern: the key
	Reason  string
	Source  string // where it came from: the console, a file, a feed
	Who     string // who added or last updated it
	Added   time.Time
	Expires time.Time // zero: never. Expired entries stay until they are removed

	// These are for reading: AddEntries does not look at them.
	Change  uint64    // the change that wrote it last, 0: before changes were kept
	Hits    uint64    // calls that it decided
	LastHit time.Time // zero: none
}

// Change says what an edit did to one entry.
type Change uint8

const (
	Added     Change = iota + 1 // it was not there
	Updated                     // it was there with another reason or expiry
	Unchanged                   // it was there just so
	Removed                     // it was there and is gone
	Absent                      // there was nothing to remove
	Kept                        // an undo left it as it is, because it was changed since
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
	case Kept:
		return "kept"
	}
	return fmt.Sprintf("change %d", uint8(c))
}

// ListInfo describes a list.
type ListInfo struct {
	Name    string
	Entries int // entries in the list, expired ones included
	Created time.Time
	Changed time.Time // when an entry was last added, updated or removed
	// Stamp is another one after each change to the list's entries, and never one that it was before, also in a file that
	// was restored: what was made of the list belongs to it as long as that is the same. It is empty in a file that
	// an older version wrote, and has 63 bytes at most.
	Stamp string
}

// listMeta is what the file keeps about a list.
type listMeta struct {
	Entries int       `json:"entries"`
	Created time.Time `json:"created"`
	Changed time.Time `json:"changed"`
	// Built is the change that wrote the bucket of its entries anew, 0: none did.
	Built uint64 `json:"built,omitempty"`
	// Stamp is that of ListInfo. An older version that changes the list leaves it out.
	Stamp string `json:"stamp,omitempty"`
}

// putList writes what is kept about a list of which something changed.
func putList(tx *bolt.Tx, list string, m listMeta) error {
	m.Stamp = rand.Text()
	return putJSON(tx.Bucket(bucketLists), list, m)
}

// bucket is the key of the bucket that has the list's entries.
func (m *listMeta) bucket(list string) []byte { return entriesKey(list, m.Built) }

// entriesKey is the key of a bucket of entries. The names of lists have no NUL.
func entriesKey(list string, built uint64) []byte {
	if built == 0 {
		return []byte(list)
	}
	return fmt.Appendf(nil, "%s\x00%d", list, built)
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
	if len(es) == 0 {
		return []Change{}, d.makeList(list)
	}
	by := By{Who: es[0].Who, From: es[0].Source}
	wishes := make([]wish, len(es))
	now := millis(d.now())
	var last *said
	for i := range es {
		last = saidBy(&es[i], now, last)
		wishes[i] = wish{pattern: es[i].Pattern, to: last}
	}
	changes, _, err := d.change(list, KindAdd, by, wishes)
	if err != nil {
		return nil, explain("adding to the list "+list, err)
	}
	return changes, nil
}

// saidBy is what an entry says; last, if that is the same.
func saidBy(e *Entry, now time.Time, last *said) *said {
	if e.Added.IsZero() {
		e = &Entry{Reason: e.Reason, Source: e.Source, Who: e.Who, Added: now, Expires: e.Expires}
	}
	added, expires := toMillis(e.Added), toMillis(e.Expires)
	if last != nil && last.added == added && last.expires == expires && last.reason == e.Reason && last.source == e.Source && last.who == e.Who {
		return last
	}
	return &said{added: added, expires: expires, reason: e.Reason, source: e.Source, who: e.Who}
}

// RemoveEntries removes patterns from a list and returns what became of each, in
// order: Removed or Absent. A list that does not exist has nothing to remove,
// which is no error; a list whose last entry goes stays, empty. The call is one
// transaction, as that of AddEntries.
func (d *DB) RemoveEntries(list string, patterns []string, by By) ([]Change, error) {
	if err := checkListName(list); err != nil {
		return nil, err
	}
	if err := by.check(); err != nil {
		return nil, err
	}
	if len(patterns) > MaxEdit {
		return nil, invalid("%d patterns are too many for one edit: remove at most %d at a time", len(patterns), MaxEdit)
	}
	wishes := make([]wish, len(patterns))
	for i, p := range patterns {
		wishes[i] = wish{pattern: p}
	}
	changes, _, err := d.change(list, KindRemove, by, wishes)
	if err != nil {
		return nil, explain("removing from the list "+list, err)
	}
	return changes, nil
}

// makeList makes a list exist.
func (d *DB) makeList(list string) error {
	err := d.edit(func(tx *bolt.Tx) error {
		meta, isNew, err := d.newList(tx, list)
		if err != nil {
			return err
		}
		if !isNew {
			return errNothing
		}
		return putList(tx, list, meta)
	})
	if err != nil && err != errNothing {
		return explain("making the list "+list, err)
	}
	return nil
}

// newList is what is kept of a list, and the beginning of that for one that is new.
func (d *DB) newList(tx *bolt.Tx, list string) (meta listMeta, isNew bool, err error) {
	meta, isNew, err = d.listMeta(tx, list)
	if err != nil || !isNew {
		return meta, false, err
	}
	if n := countKeys(tx.Bucket(bucketLists), MaxLists); n >= MaxLists {
		return meta, false, invalid("there are %d lists already, which is the most there may be: use one of them", n)
	}
	meta.Created = millis(d.now())
	meta.Changed = meta.Created
	return meta, true, nil
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
			lists = append(lists, ListInfo{Name: string(k), Entries: m.Entries, Created: m.Created, Changed: m.Changed, Stamp: m.Stamp})
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
// missing or not, every other entry comes exactly once. Blocks of entries that cannot be
// read are passed over; the rest still comes (unless thousands are like that), and
// then an error that is ErrCorrupt.
func (d *DB) Entries(list string, yield func(Entry) error) error {
	return d.EntryPages(list, true, func(es []Entry) error {
		for _, e := range es {
			if err := yield(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// EntryPages is Entries for who reads very many: some thousand at a time, with their
// hits only if that is asked for. The slice is used again for the next page.
func (d *DB) EntryPages(list string, hits bool, yield func([]Entry) error) error {
	var es []Entry
	var damage damage
	err := d.rows(list, &damage, func(rows []listRow) error {
		es = es[:0]
		for i := range rows {
			es = append(es, rows[i].entry())
		}
		if hits {
			if err := d.addHits(list, es); err != nil {
				return err
			}
		}
		return yield(es)
	})
	if err != nil {
		return err
	}
	return damage.err(d.file, fmt.Sprintf("blocks of entries of the list %s", list))
}

// pageBlocks is how many blocks one read transaction collects.
const pageBlocks = 32

// rows calls yield for the rows of a list, in order and in pages, which are used again. What
// cannot be read is noted as damage.
func (d *DB) rows(list string, damage *damage, yield func([]listRow) error) error {
	return d.blockPages(func(tx *bolt.Tx) (*bolt.Bucket, error) {
		meta, isNew, err := d.listMeta(tx, list)
		if err != nil {
			return nil, err
		}
		if isNew {
			return nil, &fault{kind: ErrNoList, text: fmt.Sprintf("there is no list %q", list)}
		}
		return tx.Bucket(bucketEntries).Bucket(meta.bucket(list)), nil
	}, nil, 1, damage, yield)
}

// blockPages reads the blocks of a bucket whose keys have a prefix. A row that was yielded is
// not yielded again when others change the blocks meanwhile.
func (d *DB) blockPages(bucket func(*bolt.Tx) (*bolt.Bucket, error), prefix []byte, columns int, damage *damage, yield func([]listRow) error) error {
	var after []byte // the last pattern passed, or the last key that could not be read
	var raw []block
	var room []byte
	var rows []listRow
	for more, first := true, true; more && !damage.hopeless(); first = false {
		raw, room, more = raw[:0], room[:0], false
		err := d.view(func(tx *bolt.Tx) error {
			b, err := bucket(tx)
			if b == nil || err != nil {
				if !first && errors.Is(err, ErrNoList) {
					return nil
				}
				return err
			}
			c := b.Cursor()
			k, v := c.Seek(prefix)
			if after != nil {
				k, v = blockOf(c, append(bytes.Clone(prefix), after...))
			}
			for ; k != nil && (bytes.HasPrefix(k, prefix) || bytes.Compare(k, prefix) < 0); k, v = c.Next() {
				if !bytes.HasPrefix(k, prefix) {
					continue
				}
				k = k[len(prefix):]
				if len(raw) == pageBlocks {
					more = true
					break
				}
				if len(k) > MaxPattern || len(v) > maxBlock {
					damage.note(fmt.Errorf("block %q has %d bytes", short(k), len(v)))
					k, v = k[:min(len(k), MaxPattern)], nil
				}
				raw = append(raw, block{k, v})
				at := len(room)
				room = append(append(room, k...), v...)
				raw[len(raw)-1] = block{room[at : at+len(k)], room[at+len(k):]}
			}
			return nil
		})
		if err != nil {
			return err
		}
		rows = rows[:0]
		progress := false
		for _, b := range raw {
			from := len(rows)
			if len(b.value) > 0 {
				if rows, err = decodeBlock(rows, b.key, b.value, columns); err != nil && (after == nil || bytes.Compare(b.key, after) > 0) {
					damage.note(err)
				}
			}
			mine := rows[from:]
			for len(mine) > 0 && after != nil && mine[0].pattern <= string(after) {
				mine = mine[1:]
			}
			rows = append(rows[:from], mine...)
			if len(mine) > 0 {
				after, progress = append(after[:0], mine[len(mine)-1].pattern...), true
			} else if after == nil || bytes.Compare(b.key, after) > 0 {
				after, progress = append(after[:0], b.key...), true
			}
		}
		if len(rows) > 0 {
			if err := yield(rows); err != nil {
				return err
			}
		}
		more = more && progress // in a damaged file keys out of order could lead back for ever
	}
	return nil
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
		return invalid("an entry without a pattern")
	}
	for _, f := range []struct {
		name, text string
		max        int
	}{
		{"pattern", e.Pattern, MaxPattern},
		{"reason", e.Reason, MaxReason},
		{"source", e.Source, MaxText},
		{"who", e.Who, MaxText},
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
		meta, isNew, err := d.listMeta(tx, list)
		if err != nil || isNew || pattern == "" {
			return err
		}
		if b := tx.Bucket(bucketEntries).Bucket(meta.bucket(list)); b != nil {
			_, found, err = findRow(b, nil, pattern, 1)
		}
		return err
	})
	return found
}
