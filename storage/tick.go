package storage

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	bolt "go.etcd.io/bbolt"
)

// MaxNode is how long a node's name may be, in bytes.
const MaxNode = 64

// Tick is a moment of a hybrid logical clock: it says on any node which of two records was written later. It follows the
// wall clock, and counts on where that stands still or is set back.
type Tick struct {
	Wall  int64  `json:"wall"` // milliseconds since 1970
	Count uint32 `json:"count,omitempty"`
	Node  string `json:"node,omitempty"` // decides between ticks of two nodes that are otherwise the same
}

// Compare is below 0 if t is earlier than u, 0 if they are the same tick, above 0 if it is later.
func (t Tick) Compare(u Tick) int {
	return cmp.Or(cmp.Compare(t.Wall, u.Wall), cmp.Compare(t.Count, u.Count), strings.Compare(t.Node, u.Node))
}

func (t Tick) String() string { return fmt.Sprintf("%d.%d@%s", t.Wall, t.Count, t.Node) }

// Order is a text that is greater than that of an earlier tick.
func (t Tick) Order() string { return fmt.Sprintf("%015d %010d %s", t.Wall, t.Count, t.Node) }

func later(a, b Tick) Tick {
	if a.Compare(b) < 0 {
		return b
	}
	return a
}

// after is the next tick when the wall clock shows now.
func (t Tick) after(now int64, node string) Tick {
	now = min(max(now, 0), maxMillis)
	switch {
	case now > t.Wall:
		return Tick{now, 0, node}
	case t.Count == math.MaxUint32:
		return Tick{t.Wall + 1, 0, node}
	}
	return Tick{t.Wall, t.Count + 1, node}
}

var keyClock = []byte("clock")

// clock is the latest tick that the file has given out, or knows of.
func (d *DB) clock(tx *bolt.Tx) (t Tick, err error) {
	if v := tx.Bucket(bucketMeta).Get(keyClock); v != nil {
		if err := decodeJSON(v, &t); err != nil || t.Wall < 0 || t.Wall > maxMillis+1 {
			return t, corrupt(d.file, fmt.Errorf("the moment of its last change: %d, %v", t.Wall, err))
		}
	}
	return t, nil
}

// tick takes the stamp of a change. It is kept in the transaction of the change itself, so that no later one is lower,
// whatever the wall clock says after a restart.
func (d *DB) tick(tx *bolt.Tx) (Tick, error) {
	last, err := d.clock(tx)
	if err != nil {
		return Tick{}, err
	}
	wall := d.now().UnixMilli()
	if d.latest != nil {
		if most, ok := d.latest(); ok {
			wall = min(wall, most)
		}
	}
	t := last.after(wall, d.node)
	return t, putJSON(tx.Bucket(bucketMeta), string(keyClock), t)
}

// raiseClock has no stamp given out any more that is not later than one that another node gave.
func (d *DB) raiseClock(tx *bolt.Tx, to Tick) error {
	last, err := d.clock(tx)
	if err != nil || to.Compare(last) <= 0 {
		return err
	}
	return putJSON(tx.Bucket(bucketMeta), string(keyClock), to)
}

func checkNode(name string) error {
	if len(name) > MaxNode || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return invalid("%.40q cannot be the name of a node: set `node` in ringfence.toml to at most %d bytes of UTF-8 without control characters", name, MaxNode)
	}
	return nil
}
