package storage

import (
	"bytes"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// Breaker is a row of the table of breakers: what must outlive the program of one that tripped, or that a person holds. To this
// package both texts are whoever's who keeps it; in a private installation nobody can read them.
type Breaker struct {
	Key   string // 1 to MaxBreakerKey bytes: detector, trunk and key of the breaker, or a token of these
	Value []byte // at most MaxBreakerValue bytes
}

// Bounds of a breaker, in bytes.
const (
	MaxBreakerKey   = 1024
	MaxBreakerValue = 4096
)

// PutBreakers writes breakers over what was kept of their keys, and removes the keys to drop. It is one transaction, on disk when
// PutBreakers returns, of at most MaxEdit keys. ErrInvalid: a key or a value is too long.
func (d *DB) PutBreakers(put []Breaker, drop []string) error {
	if n := len(put) + len(drop); n > MaxEdit {
		return invalid("%d breakers are too many for one write: at most %d", n, MaxEdit)
	} else if n == 0 {
		return nil
	}
	put = slices.Clone(put)
	for _, b := range put {
		if b.Key == "" || len(b.Key) > MaxBreakerKey || len(b.Value) > MaxBreakerValue {
			return invalid("a breaker has a key of 1 to %d bytes and %d bytes at most, not %d and %d", MaxBreakerKey, MaxBreakerValue, len(b.Key), len(b.Value))
		}
	}
	slices.SortStableFunc(put, func(a, b Breaker) int { return strings.Compare(a.Key, b.Key) }) // see inOrder
	err := d.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketBreakers)
		for _, key := range drop {
			if err := b.Delete([]byte(key)); err != nil {
				return err
			}
		}
		for _, row := range put {
			if err := b.Put([]byte(row.Key), row.Value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return explain("writing breakers", err)
	}
	return nil
}

// EachBreaker calls yield for each breaker that is kept, in the order of the keys' bytes, until yield returns an error, which
// EachBreaker then returns. It reads in pages and passes over what is damaged, as Entries does.
func (d *DB) EachBreaker(yield func(Breaker) error) error {
	decode := func(k, v []byte) (Breaker, error) {
		if len(v) > MaxBreakerValue {
			return Breaker{}, invalid("the breaker %q claims to have %d bytes", short(k), len(v))
		}
		return Breaker{Key: string(k), Value: bytes.Clone(v)}, nil
	}
	return eachKey(d, func(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket(bucketBreakers) }, MaxBreakerKey, pageStamps, "breakers", decode, yield)
}
