package storage

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// frozen2 reads a file as the program of schema 2 did, with a reader of its own that never changes: what it refuses, or reads
// otherwise, that program does.
type frozen2 struct {
	schema  string
	lists   map[string]int               // entries, as it says
	entries map[string]map[string]said2  // by list and pattern
	changes map[uint64]string            // what is kept of each
	logs    map[uint64]map[string]string // by change and pattern: before → after
	rest    map[string]string            // all other buckets, by bucket and key
}

type said2 struct {
	unit, added, expires uint64
	reason, source, who  string
}

func readFrozen2(t testing.TB, file string) *frozen2 {
	t.Helper()
	db, err := bolt.Open(file, 0o600, &bolt.Options{ReadOnly: true})
	check(t, err)
	defer db.Close()
	f := &frozen2{lists: map[string]int{}, entries: map[string]map[string]said2{}, changes: map[uint64]string{}, logs: map[uint64]map[string]string{}, rest: map[string]string{}}
	check(t, db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("page: %v", err)
		}
		f.schema = string(tx.Bucket([]byte("meta")).Get([]byte("schema")))
		check(t, tx.Bucket([]byte("lists")).ForEach(func(k, v []byte) error {
			var meta struct {
				Entries int    `json:"entries"`
				Built   uint64 `json:"built"`
			}
			check(t, json.Unmarshal(v, &meta))
			f.lists[string(k)], f.entries[string(k)] = meta.Entries, map[string]said2{}
			name := string(k)
			if meta.Built != 0 {
				name = fmt.Sprintf("%s\x00%d", k, meta.Built)
			}
			last := ""
			if b := tx.Bucket([]byte("entries")).Bucket([]byte(name)); b != nil {
				return b.ForEach(func(first, v []byte) error {
					readBlock2(t, first, v, 1, func(pattern string, now, _ *said2) {
						if pattern <= last {
							t.Errorf("%q after %q", pattern, last)
						}
						last = pattern
						f.entries[string(k)][pattern] = *now
					})
					return nil
				})
			}
			return nil
		}))
		check(t, tx.Bucket([]byte("changes")).ForEach(func(k, v []byte) error {
			f.changes[binary.BigEndian.Uint64(k)] = string(v)
			return nil
		}))
		check(t, tx.Bucket([]byte("changed")).ForEach(func(k, v []byte) error {
			id := binary.BigEndian.Uint64(k)
			if f.logs[id] == nil {
				f.logs[id] = map[string]string{}
			}
			readBlock2(t, k[8:], v, 2, func(pattern string, now, before *said2) { f.logs[id][pattern] = fmt.Sprint(before, " → ", now) })
			return nil
		}))
		for _, name := range []string{"settings", "journal", "hits", "known", "emergency", "passed"} {
			readRest(f.rest, name, tx.Bucket([]byte(name)))
		}
		for _, part := range []string{"all", "open", "decided"} {
			readRest(f.rest, "reports "+part, tx.Bucket([]byte("reports")).Bucket([]byte(part)))
		}
		for _, key := range []string{"journal", "reports", "changes", "staged"} {
			f.rest["meta "+key] = string(tx.Bucket([]byte("meta")).Get([]byte(key)))
		}
		return nil
	}))
	return f
}

func readRest(to map[string]string, name string, b *bolt.Bucket) {
	b.ForEach(func(k, v []byte) error { to[fmt.Sprintf("%s %q", name, k)] = string(v); return nil })
}

func readBlock2(t testing.TB, first, v []byte, columns int, yield func(pattern string, now, before *said2)) {
	t.Helper()
	if len(v) < 8 || len(v) > 16<<10 || v[0] != 1 || int(v[1]) != columns {
		t.Fatalf("block %q: %d bytes, %x", first, len(v), v[:min(len(v), 2)])
	}
	body := v[:len(v)-4]
	if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(v[len(v)-4:]) {
		t.Fatalf("block %q: its checksum is wrong", first)
	}
	at := 2
	number := func(most int) int {
		n, size := binary.Uvarint(body[at:])
		if size <= 0 || n > uint64(most) {
			t.Fatalf("block %q: %d at %d is more than %d", first, n, at, most)
		}
		at += size
		return int(n)
	}
	text := func(most int) string {
		n := number(most)
		at += n
		return string(body[at-n : at])
	}
	const year9999 = 253402300800000
	texts := make([]*said2, 1, 1+len(body))
	for range number(len(body)) {
		s := &said2{unit: uint64(number(1 << 60)), added: uint64(number(year9999)), expires: uint64(number(year9999))}
		s.reason, s.source, s.who = text(1024), text(256), text(256)
		texts = append(texts, s)
	}
	pattern := []byte{}
	for i := range number(256) {
		shared := number(len(pattern))
		next := append(bytes.Clone(pattern[:shared]), text(128)...)
		if i == 0 && !bytes.Equal(next, first) || i > 0 && bytes.Compare(next, pattern) <= 0 || len(next) == 0 || len(next) > 128 {
			t.Fatalf("block %q: %q after %q", first, next, pattern)
		}
		pattern = next
		now := texts[number(len(texts)-1)]
		var before *said2
		if columns == 2 {
			before = texts[number(len(texts)-1)]
		} else if now == nil {
			t.Fatalf("block %q: nothing is said of %q", first, pattern)
		}
		yield(string(pattern), now, before)
	}
	if at != len(body) {
		t.Fatalf("block %q: %d bytes are left", first, len(body)-at)
	}
}
