package storage

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// StampTable is a table of facts that were learnt: of each key, when it was last so.
type StampTable uint8

const (
	// Known has who is known to a line: the key is the line's (policy.Line), NUL, and the number.
	Known StampTable = iota
	// Emergency has who dialled an emergency number; the key is whoever learns it to choose.
	Emergency
	// Passed has who passed a challenge: the key is the line's or, of a number of no line, traffic.CalleeKey, then NUL, and the caller.
	Passed
	// Gone has the lines that have own lists and are not there any more, by their keys, since when that was noticed.
	Gone
	// Realms has in which realms phones were seen; the key is whoever learns it to choose.
	Realms
)

func (t StampTable) bucket() []byte {
	switch t {
	case Emergency:
		return bucketEmergency
	case Passed:
		return bucketPassed
	case Gone:
		return bucketGone
	case Realms:
		return bucketRealms
	}
	return bucketKnown
}

func (t StampTable) String() string { return string(t.bucket()) }

// Stamp is one fact of a StampTable. The time is kept in UTC, to the millisecond.
type Stamp struct {
	Key string // 1 to MaxStampKey bytes
	At  time.Time
}

// MaxStampKey is how long the key of a fact may be, in bytes.
const MaxStampKey = 256

// pageStamps is how many facts one read transaction collects.
const pageStamps = 4096

// PutStamps writes facts over what was known of their keys, and removes the keys to
// drop. It is one transaction, on disk when PutStamps returns, of at most MaxEdit keys.
// It may wait for the disk as long as that takes: call it from the background.
func (d *DB) PutStamps(t StampTable, put []Stamp, drop []string) error {
	if n := len(put) + len(drop); n > MaxEdit {
		return invalid("%d facts are too many for one write: at most %d", n, MaxEdit)
	} else if n == 0 {
		return nil
	}
	put = slices.Clone(put)
	for _, s := range put {
		if s.Key == "" || len(s.Key) > MaxStampKey {
			return invalid("the key of a fact must have 1 to %d bytes, not %d", MaxStampKey, len(s.Key))
		}
		if y := s.At.Year(); y < 1970 || y > 9999 {
			return invalid("%.40q: the year %d is out of range; use 1970 to 9999", s.Key, y)
		}
	}
	slices.SortStableFunc(put, func(a, b Stamp) int { return strings.Compare(a.Key, b.Key) }) // see inOrder
	err := d.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(t.bucket())
		for _, key := range drop {
			if err := b.Delete([]byte(key)); err != nil {
				return err
			}
		}
		for _, s := range put {
			if err := b.Put([]byte(s.Key), strconv.AppendInt(nil, s.At.UnixMilli(), 10)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return explain("writing what was learnt ("+t.String()+")", err)
	}
	return nil
}

// EachStamp calls yield for each fact of a table, in the order of the keys' bytes,
// until yield returns an error, which EachStamp then returns. It reads in pages and
// passes over what is damaged, as Entries does.
func (d *DB) EachStamp(t StampTable, yield func(Stamp) error) error {
	return eachKey(d, func(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket(t.bucket()) }, MaxStampKey, pageStamps, "learnt facts ("+t.String()+")", decodeStamp, yield)
}

func decodeStamp(k, v []byte) (Stamp, error) {
	if len(v) > 15 {
		return Stamp{}, fmt.Errorf("fact %q: its time has %d bytes", short(k), len(v))
	}
	ms, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || ms < 0 {
		return Stamp{}, fmt.Errorf("fact %q: %q is no time", short(k), v)
	}
	return Stamp{Key: string(k), At: time.UnixMilli(ms).UTC()}, nil
}

// eachKey reads a bucket in pages, which find finds in each one's transaction; nil is
// an empty one. What decode cannot read is passed over and reported at the end.
func eachKey[T any](d *DB, find func(*bolt.Tx) *bolt.Bucket, maxKey, page int, what string, decode func(k, v []byte) (T, error), yield func(T) error) error {
	var damage damage
	var after []byte
	for {
		var found []T
		more, progress := false, false
		err := d.view(func(tx *bolt.Tx) error {
			b := find(tx)
			if b == nil {
				return nil
			}
			c := b.Cursor()
			k, v := c.First()
			if after != nil {
				if k, v = c.Seek(after); bytes.Equal(k, after) {
					k, v = c.Next()
				}
			}
			for n := 0; k != nil; k, v = c.Next() {
				if n++; n > page {
					// In a damaged file keys out of order could lead back to the same
					// page for ever.
					more = progress && !damage.hopeless()
					return nil
				}
				switch {
				case len(k) == 0 || len(k) > maxKey:
					damage.note(fmt.Errorf("key %q: it has %d bytes", short(k), len(k)))
					continue
				case after != nil && bytes.Compare(k, after) <= 0:
					damage.note(fmt.Errorf("key %q: it is out of order", short(k)))
				default:
					after = append(after[:0], k...)
					progress = true
				}
				e, err := decode(k, v)
				if err != nil {
					damage.note(err)
				} else {
					found = append(found, e)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, e := range found {
			if err := yield(e); err != nil {
				return err
			}
		}
		if !more {
			return damage.err(d.file, what)
		}
	}
}
