package storage

import (
	"bytes"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// copyAtOnce is how much is copied in one transaction, in bytes of keys and values.
const copyAtOnce = 4 << 20

// copyLive writes all that a transaction sees to an empty file, but what is in some buckets, and nothing of what was freed. bolt.Compact does the same of a file that nobody writes
// to: it commits the last of its transactions when its reading one has ended, and by then others may have written over the values that are to be
// committed. Here the caller's transaction holds them.
func copyLive(to *bolt.DB, from *bolt.Tx, without [][]byte) (err error) {
	c := liveCopy{to: to}
	if c.tx, err = to.Begin(true); err != nil {
		return err
	}
	err = from.ForEach(func(name []byte, b *bolt.Bucket) error {
		if slices.ContainsFunc(without, func(w []byte) bool { return bytes.Equal(w, name) }) {
			_, err := c.open([][]byte{name})
			return err
		}
		return c.bucket(b, [][]byte{name})
	})
	if err != nil {
		c.tx.Rollback() // after a commit that failed it is over already
		return err
	}
	return c.tx.Commit()
}

type liveCopy struct {
	to   *bolt.DB
	tx   *bolt.Tx
	size int
}

// bucket copies a bucket to the same place, which its names lead to.
func (c *liveCopy) bucket(from *bolt.Bucket, names [][]byte) error {
	into, err := c.open(names)
	if err != nil {
		return err
	}
	if err := into.SetSequence(from.Sequence()); err != nil {
		return err
	}
	return from.ForEach(func(k, v []byte) error {
		if v == nil {
			if err := c.bucket(from.Bucket(k), append(names[:len(names):len(names)], k)); err != nil {
				return err
			}
			into, err = c.open(names) // the transaction may be another one by now
			return err
		}
		if c.size += len(k) + len(v); c.size > copyAtOnce {
			if err := c.tx.Commit(); err != nil {
				return err
			}
			if c.tx, err = c.to.Begin(true); err != nil {
				return err
			}
			if into, err = c.open(names); err != nil {
				return err
			}
			c.size = len(k) + len(v)
		}
		return into.Put(k, v)
	})
}

// open gives a bucket of the file that is written, and makes it if need be.
func (c *liveCopy) open(names [][]byte) (*bolt.Bucket, error) {
	b, err := c.tx.CreateBucketIfNotExists(names[0])
	for _, name := range names[1:] {
		if err != nil {
			break
		}
		b, err = b.CreateBucketIfNotExists(name)
	}
	if err == nil {
		b.FillPercent = 1
	}
	return b, err
}
