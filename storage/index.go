package storage

import (
	"bytes"
	"slices"

	"github.com/oklog/ulid/v2"
	bolt "go.etcd.io/bbolt"
)

// The journal's index has an outline of each record, in the order of their ids, packed into blocks. A block's key is an id: it has the records from that
// one on, up to the next block's key. It is changed in the transaction that changes the records. What it says of a record is looked at
// before the record is read, and the record decides; so an outline whose record is gone does no harm, and none may be missing.
//
// It is there from one id on (indexState). A file of before has none: the journal's writer makes it beside its work, backwards, so that the newest calls
// have it first; what it has not come to is read record by record. An older program that writes to the journal writes its size
// without the state of the index, and so it is known that the index is not true any more.

// indexState is kept with the size of the journal.
type indexState struct {
	From    string `json:"from,omitempty"` // the id from which on records are in the index; "" for all
	Version int    `json:"version"`
}

const indexVersion = 1

// from is the first id that is in the index, false if there is none.
func (s *journalSize) from() (id ulid.ULID, ok bool) {
	if s.Index == nil || s.Index.Version != indexVersion {
		return id, false
	}
	if s.Index.From == "" {
		return id, true
	}
	id, err := ulid.ParseStrict(s.Index.From)
	return id, err == nil
}

// journalTx changes records of the journal in one transaction, with what has to be true of them: their size and their index. done ends it.
type journalTx struct {
	d       *DB
	tx      *bolt.Tx
	b       *bolt.Bucket
	size    journalSize
	index   outlines
	from    ulid.ULID
	indexed bool // when it began
}

func (d *DB) journalTx(tx *bolt.Tx) (*journalTx, error) {
	j := &journalTx{d: d, tx: tx, b: tx.Bucket(bucketJournal)}
	j.b.FillPercent = 0.9 // keys come nearly in order, so pages need little room to split
	var err error
	if j.size, err = d.journalSize(tx); err != nil {
		return nil, err
	}
	if j.from, j.indexed = j.size.from(); !j.indexed || d.badIndex.Swap(false) {
		if err := j.resetIndex(); err != nil {
			return nil, err
		}
	}
	j.index.b = tx.Bucket(bucketIndex)
	j.index.b.FillPercent = 0.9
	return j, nil
}

// put writes a record in the place of what was there. value is its JSON.
func (j *journalTx) put(rec *Record, value []byte) error {
	key := []byte(rec.ID)
	if old := j.b.Get(key); old != nil {
		j.size.Bytes -= row{key: key, value: old}.size()
	} else {
		j.size.Records++
	}
	j.size.Bytes += row{key: key, value: value}.size()
	if err := j.b.Put(key, value); err != nil {
		return err
	}
	o, ok := outlineOf(rec)
	if !ok || o.id.Compare(j.from) < 0 {
		return nil
	}
	return j.index.put(&o)
}

// delete removes a record whose JSON is value.
func (j *journalTx) delete(key, value []byte) error {
	j.size.Records--
	j.size.Bytes -= row{key: key, value: value}.size()
	if err := j.b.Delete(key); err != nil {
		return err
	}
	id, err := ulid.ParseStrict(string(key))
	if err != nil || id.Compare(j.from) < 0 {
		return nil
	}
	return j.index.delete(id)
}

func (j *journalTx) done() error {
	if err := j.index.flush(); err != nil {
		return err
	}
	if j.index.damaged { // it is made anew: no record waits for that
		if err := j.resetIndex(); err != nil {
			return err
		}
	}
	return putJSON(j.tx.Bucket(bucketMeta), string(keyJournal), j.size)
}

// resetIndex begins an index behind all records that there are.
func (j *journalTx) resetIndex() error {
	if err := j.tx.DeleteBucket(bucketIndex); err != nil && j.tx.Bucket(bucketIndex) != nil {
		return err
	}
	if _, err := j.tx.CreateBucket(bucketIndex); err != nil {
		return err
	}
	j.size.Index = &indexState{Version: indexVersion}
	j.from = ulid.ULID{}
	if k, _ := j.b.Cursor().Last(); k != nil {
		last, err := ulid.ParseStrict(string(k[:min(len(k), 2*ulid.EncodedSize)]))
		if err != nil {
			last.SetTime(ulid.MaxTime()) // a damaged file: nothing is in the index
		}
		j.from = nextID(last)
		j.size.Index.From = j.from.String()
		j.d.unindexed.Store(true)
	}
	j.index = outlines{}
	return nil
}

// nextID and prevID are the ids behind and before one.
func nextID(id ulid.ULID) ulid.ULID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			break
		}
	}
	return id
}

func prevID(id ulid.ULID) ulid.ULID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]--; id[i] != 0xff {
			break
		}
	}
	return id
}

// outlines changes the index in a transaction. It has one block in hand, since what is changed together is mostly close by.
type outlines struct {
	b       *bolt.Bucket
	key     []byte // of the block in hand, nil: none
	kept    []byte // the key that it has in the file, nil: it is new
	end     []byte // the key of the next, nil: it is the last
	rows    []Outline
	changed bool
	damaged bool // a block cannot be read: the index is to be made anew
}

// find takes the block in hand that an id belongs to.
func (x *outlines) find(id ulid.ULID) error {
	if x.damaged || x.key != nil && bytes.Compare(id[:], x.key) >= 0 && (x.end == nil || bytes.Compare(id[:], x.end) < 0) {
		return nil
	}
	if err := x.flush(); err != nil {
		return err
	}
	c := x.b.Cursor()
	k, v := c.Seek(id[:])
	x.end = nil
	switch {
	case bytes.Equal(k, id[:]):
		if end, _ := c.Next(); end != nil {
			x.end = bytes.Clone(end)
		}
	default:
		x.end = bytes.Clone(k) // nil stays nil
		var before, value []byte
		if k == nil {
			before, value = c.Last()
		} else {
			before, value = c.Prev()
		}
		if before != nil {
			k, v = before, value
		} else if k != nil { // before all blocks: the first takes it
			x.end = nil
			c.Seek(k)
			if end, _ := c.Next(); end != nil {
				x.end = bytes.Clone(end)
			}
		}
	}
	x.rows, x.kept, x.key = x.rows[:0], nil, bytes.Clone(id[:])
	if k == nil {
		return nil
	}
	x.kept = bytes.Clone(k)
	if bytes.Compare(k, id[:]) < 0 {
		x.key = x.kept
	} else {
		x.changed = !bytes.Equal(k, id[:])
	}
	var ok bool
	if x.rows, ok = decodeOutlines(x.rows, v); !ok {
		x.damaged = true
	}
	return nil
}

func (x *outlines) place(id ulid.ULID) (int, bool) {
	return slices.BinarySearchFunc(x.rows, id, func(o Outline, id ulid.ULID) int { return o.id.Compare(id) })
}

func (x *outlines) put(o *Outline) error {
	if err := x.find(o.id); err != nil || x.damaged {
		return err
	}
	at, there := x.place(o.id)
	switch {
	case there && x.rows[at] == *o:
		return nil
	case there:
		x.rows[at] = *o
	case at == len(x.rows) && at >= blockOutlines: // behind a full one: the next begins
		if err := x.cut(at); err != nil {
			return err
		}
		x.key = bytes.Clone(o.id[:])
		x.rows = append(x.rows, *o)
	default:
		x.rows = slices.Insert(x.rows, at, *o)
		if len(x.rows) > blockOutlines {
			x.changed = true
			next := x.rows[len(x.rows)/2].id
			if err := x.cut(len(x.rows) / 2); err != nil {
				return err
			}
			x.key = bytes.Clone(next[:])
		}
	}
	x.changed = true
	return nil
}

// cut writes the first rows of the block in hand, and leaves the others in hand as a block without a key.
func (x *outlines) cut(n int) error {
	rest := slices.Clone(x.rows[n:])
	end := x.end
	x.rows = x.rows[:n]
	if err := x.flush(); err != nil {
		return err
	}
	x.rows, x.end, x.kept, x.changed = rest, end, nil, true
	return nil
}

func (x *outlines) delete(id ulid.ULID) error {
	if err := x.find(id); err != nil || x.damaged {
		return err
	}
	if at, there := x.place(id); there {
		x.rows = slices.Delete(x.rows, at, at+1)
		x.changed = true
	}
	return nil
}

// flush writes the block in hand, if it has changed, and lets go of it.
func (x *outlines) flush() error {
	key, kept, changed := x.key, x.kept, x.changed
	x.key, x.kept, x.changed = nil, nil, false
	if key == nil || !changed || x.damaged {
		return nil
	}
	if kept != nil && (len(x.rows) == 0 || !bytes.Equal(key, kept)) {
		if err := x.b.Delete(kept); err != nil {
			return err
		}
	}
	if len(x.rows) == 0 {
		return nil
	}
	return x.b.Put(key, encodeOutlines(x.rows))
}

// indexStep is how many records one transaction adds to the index of a file of before.
const indexStep = 2048

// indexMore brings the index further back, by one transaction; more says that there is more to do. Records that cannot be read have no outline.
func (d *DB) indexMore() (more bool, err error) {
	if !d.unindexed.Load() {
		return false, nil
	}
	err = d.update(func(tx *bolt.Tx) error {
		j, err := d.journalTx(tx)
		if err != nil {
			return err
		}
		rows, began := make([]Outline, 0, indexStep), j.from
		c := j.b.Cursor()
		back := c.Last
		if at, _ := c.Seek([]byte(j.from.String())); at != nil {
			back = c.Prev
		}
		k, v := back()
		looked := 0
		for ; k != nil && looked < indexStep; k, v = c.Prev() {
			looked++
			id, err := ulid.ParseStrict(string(k[:min(len(k), 2*ulid.EncodedSize)]))
			if err != nil || id.Compare(j.from) >= 0 {
				continue // of a damaged file
			}
			j.from = id
			if len(v) > maxValue {
				continue
			}
			if r, err := decodeRecord(k, v); err == nil {
				o, _ := outlineOf(&r)
				rows = append(rows, o)
			}
		}
		slices.Reverse(rows)
		for block := range slices.Chunk(rows, blockOutlines) {
			if err := j.index.b.Put(bytes.Clone(block[0].id[:]), encodeOutlines(block)); err != nil {
				return err
			}
		}
		more = k != nil && j.from != began // where it came no further, what lies before is no journal's: it is not tried for ever
		if j.size.Index.From = j.from.String(); k == nil {
			j.size.Index.From = ""
		}
		return j.done()
	})
	if err != nil {
		return false, explain("making the journal's index", err)
	}
	d.unindexed.Store(more)
	return more, nil
}

// openIndex begins an index of a file that has none.
func (d *DB) openIndex() error {
	begin := false
	err := d.view(func(tx *bolt.Tx) error {
		size, err := d.journalSize(tx)
		from, ok := size.from()
		begin = !ok
		d.unindexed.Store(from != ulid.ULID{})
		return err
	})
	if err != nil || !begin {
		return err
	}
	return d.update(d.beginIndex)
}

// beginIndex begins it in a transaction, if there is none that is true.
func (d *DB) beginIndex(tx *bolt.Tx) error {
	j, err := d.journalTx(tx)
	if err != nil {
		return err
	}
	return j.done()
}
