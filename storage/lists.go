package storage

import (
	"crypto/rand"
	"fmt"
	"time"

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

// Entry is what one source says of a pattern of a list: its record. The pattern is on the list while any source says so.
// Times are kept in UTC, to the millisecond.
type Entry struct {
	Pattern string // canonical text of the pattern: the key
	Reason  string
	Origin  Origin // with Source, whose record it is: persons are one source, each file and each feed is one
	Source  string // where it came from: the command line, a file, a feed
	Who     string // who added or last updated it
	Added   time.Time
	Expires time.Time // zero: never. Expired records stay until they are removed

	// These are for reading: AddEntries does not look at them.
	Updated time.Time // when it got the reason and expiry that it has
	Change  uint64    // the change that wrote it last, 0: before changes were kept
	Stamp   Tick      // when it was written, to be compared with what other nodes say of it
	Hits    uint64    // calls that the pattern decided
	LastHit time.Time // zero: none
}

// Change says what an edit did to one entry.
type Change uint8

const (
	Added     Change = iota + 1 // no source named it
	Updated                     // it was there with another reason or expiry, be it from another source
	Unchanged                   // it was there just so
	Removed                     // it was there and is gone
	Absent                      // there was nothing to remove
	Kept                        // an undo left it as it is, because it was changed since
	Joined                      // other sources named it and say the same; now this one names it too
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
	case Joined:
		return "joined"
	}
	return fmt.Sprintf("change %d", uint8(c))
}

// ListInfo describes a list.
type ListInfo struct {
	Name    string
	Entries int // patterns in the list, expired ones included
	Records int // what their sources say, of each at least one
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
	Built   uint64 `json:"built,omitempty"`
	Records int    `json:"records"`
	Deleted int    `json:"deleted,omitempty"` // tombstones
	// OldestDeleted is not after the stamp of any tombstone, in milliseconds since 1970; 0: there is none.
	OldestDeleted int64 `json:"oldest_deleted,omitempty"`
	// Forgotten is the stamp of the latest change that took records away and had no room for all tombstones. Who was away since before
	// cannot rely on them.
	Forgotten Tick `json:"forgotten,omitzero"`
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

// Lists returns all lists by name, not the table of lines. Counts are kept with the list, not scanned.
func (d *DB) Lists() ([]ListInfo, error) {
	var lists []ListInfo
	err := d.view(func(tx *bolt.Tx) error {
		lists = nil
		return tx.Bucket(bucketLists).ForEach(func(k, v []byte) error {
			if string(k) == lineTable {
				return nil
			}
			var m listMeta
			if err := decodeMeta(k, v, &m); err != nil {
				return corrupt(d.file, err)
			}
			lists = append(lists, ListInfo{Name: string(k), Entries: m.Entries, Records: m.Records, Created: m.Created, Changed: m.Changed, Stamp: m.Stamp})
			return nil
		})
	})
	return lists, err
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
