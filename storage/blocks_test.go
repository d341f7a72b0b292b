package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// randomSaid is what a source may say.
func randomSaid(rnd *rand.Rand, key sourceKey, gone bool) *sourceRecord {
	text := func(n int) string { return strings.Repeat("文", rnd.IntN(n)) }
	s := &sourceRecord{
		origin: key.origin, source: key.name, gone: gone,
		stamp: Tick{rnd.Int64N(maxMillis + 1), rnd.Uint32() >> rnd.IntN(32), []string{"", "pbx1", "pbx2", strings.Repeat("n", MaxNode)}[rnd.IntN(4)]},
	}
	if !gone {
		s.unit = rnd.Uint64() >> rnd.IntN(64)
		s.added, s.updated, s.expires = rnd.Int64N(maxMillis+1), rnd.Int64N(maxMillis+1), rnd.Int64N(2)*rnd.Int64N(maxMillis+1)
		s.reason, s.who = text(10), text(4)
	}
	return s
}

// randomRows are rows as a list or a log of changes may have them.
func randomRows(rnd *rand.Rand, patterns, columns int) []listRow {
	var rows []listRow
	shared := randomSaid(rnd, sourceKey{FromImport, "import a"}, false)
	for i := range patterns {
		p := fmt.Sprintf("+86138%06d", 20*i+rnd.IntN(20))
		keys := map[sourceKey]bool{}
		for range 1 + rnd.IntN(1+rnd.IntN(MaxSources)) {
			key := keyOf(Origin(rnd.IntN(int(origins))), fmt.Sprint("s", rnd.IntN(9)))
			if keys[key] {
				continue
			}
			keys[key] = true
			r := listRow{pattern: p, now: randomSaid(rnd, key, columns == 1 && rnd.IntN(4) == 0)}
			if columns == 2 {
				switch rnd.IntN(3) {
				case 0:
					r.before = randomSaid(rnd, key, false)
				case 1:
					r.now, r.before = nil, r.now
				}
			}
			rows = append(rows, r)
		}
		if !keys[sourceKey{FromImport, "import a"}] && rnd.IntN(2) == 0 {
			rows = append(rows, listRow{pattern: p, now: shared})
		}
	}
	slices.SortFunc(rows, func(a, b listRow) int {
		return (&edit{pattern: a.pattern, key: a.key()}).compare(&edit{pattern: b.pattern, key: b.key()})
	})
	return rows
}

// What is packed into blocks comes out of them, in blocks that part no pattern and are no larger than they may be.
func FuzzBlocks(f *testing.F) {
	for i := range uint64(8) {
		f.Add(i, uint8(1+i*29), i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, seed uint64, patterns uint8, log bool) {
		columns := 1
		if log {
			columns = 2
		}
		rows := randomRows(rand.New(rand.NewPCG(seed, 5)), int(patterns), columns)
		var got []listRow
		last := ""
		for _, b := range appendBlocks(nil, rows, columns) {
			from := len(got)
			var err error
			if got, err = decodeBlock(got, b.key, b.value, columns); err != nil {
				t.Fatal(err)
			}
			if got[from].pattern <= last {
				t.Fatalf("%s is in two blocks", last)
			}
			last = got[len(got)-1].pattern
			if again := encodeBlock(got[from:], columns); !bytes.Equal(again, b.value) {
				t.Fatal("encoding it again gives another block")
			}
		}
		if len(got) != len(rows) || len(rows) > 0 && !reflect.DeepEqual(got, rows) {
			t.Fatalf("%d rows came out as %d others", len(rows), len(got))
		}
	})
}

// hostile holds what was decoded from anybody's bytes against what rows must be.
func hostile(t *testing.T, rows []listRow, columns int) {
	t.Helper()
	for i := range rows {
		r := &rows[i]
		if r.pattern == "" || len(r.pattern) > MaxPattern || r.now == nil && (columns == 1 || r.before == nil) || !r.sound(columns) {
			t.Fatalf("%+v", r)
		}
		if i > 0 && (rows[i-1].pattern > r.pattern) {
			t.Fatalf("%q comes after %q", r.pattern, rows[i-1].pattern)
		}
		for _, s := range []*sourceRecord{r.now, r.before} {
			if s == nil {
				continue
			}
			for _, ms := range []int64{s.stamp.Wall, s.added, s.updated, s.expires} {
				if ms < 0 || ms > maxMillis {
					t.Fatalf("%+v", s)
				}
			}
			if s.origin >= origins || len(s.reason) > MaxReason || len(s.source) > MaxText || len(s.who) > MaxText || len(s.stamp.Node) > MaxNode {
				t.Fatalf("%+v", s)
			}
		}
	}
}

// Whatever bytes a block has, with a right checksum, reading it neither fails in another way than by an error nor gives
// rows that cannot be; what it gives can be written and read again.
func FuzzDecodeBlock(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 6))
	for columns := 1; columns <= 2; columns++ {
		for _, n := range []int{1, 3, 40} {
			v := encodeBlock(randomRows(rnd, n, columns), columns)
			f.Add(v[:len(v)-4], columns == 2)
		}
	}
	f.Add([]byte("\x01\x01\x01\x05\xc8\x01\x00\x06reason\x06feed x\x04root\x02\x00\x03+12\x01\x02\x013\x01"), false)
	f.Add([]byte("\x01\x02\x02\x05\xc8\x01\x00\x00\x06feed x\x00\x06\xc8\x01\x00\x00\x03cli\x00\x01\x00\x03+12\x01\x02"), true)
	f.Fuzz(func(t *testing.T, body []byte, log bool) {
		columns := 1
		if log {
			columns = 2
		}
		v := binary.LittleEndian.AppendUint32(bytes.Clone(body), crc32.Checksum(body, castagnoli))
		if len(body) < 2 {
			return
		}
		rows, err := readBlock(nil, body, columns)
		if err != nil {
			if len(rows) > 0 {
				t.Fatal("rows of what cannot be read")
			}
			return
		}
		hostile(t, rows, columns)
		if len(rows) == 0 {
			return
		}
		if _, err := decodeBlock(nil, []byte(rows[0].pattern), v, columns); err != nil && len(v) >= 8 && len(v) <= maxBlock {
			t.Fatal(err)
		}
		if body[0] != blockVersion {
			return // a log of version 1 may have rows that version 2 sorts otherwise
		}
		again, err := decodeBlock(nil, []byte(rows[0].pattern), encodeBlock(rows, columns), columns)
		if err != nil || !reflect.DeepEqual(again, rows) {
			t.Fatalf("%v: written again it reads otherwise", err)
		}
	})
}
