package lists

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// samplePiece is a piece with all that there may be in one: chunks of one text and of several, patterns of all sorts, several records.
func samplePiece(t testing.TB, n int) *Piece {
	t.Helper()
	l := New()
	b := l.Load("l")
	added := time.Date(2026, 10, 1, 12, 0, 0, 5, time.UTC)
	for i := range n {
		v := 8613800000000 + uint64(i)*37
		p := number.Pattern{Lo: v, Hi: v, Size: 13, Plus: true}
		if i%3000 > 2000 {
			b.AddRecords(p, []Record{{Reason: fmt.Sprint("reason ", i%7), Source: "feed", Added: added, Expires: added.Add(time.Hour)}, {Reason: "second", Added: added}})
		} else {
			b.Add(&policy.ListEntry{Pattern: p, Reason: "a reason", Source: "a source", Added: added})
		}
	}
	for i := range min(n, 40) {
		lo := uint64(9500 + i*3)
		b.Add(&policy.ListEntry{Pattern: number.Pattern{Lo: lo, Hi: lo, Size: 4, Open: i%2 == 0, Plus: i%3 == 0}, Reason: fmt.Sprint("wide ", i%5)})
		b.Add(&policy.ListEntry{Pattern: number.Pattern{Lo: lo * 1000, Hi: lo*1000 + 1234, Size: 7}, Reason: "range"})
	}
	b.Done()
	return l.Piece("l")
}

var sampleFit = Fit{List: "l", Stamp: "a stamp", Reading: "1 CN 00000000", Strays: 3}

func bytesOf(t testing.TB, p *Piece) []byte {
	t.Helper()
	b, err := p.Bytes(sampleFit)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// use asks a piece all there is to ask: it must not panic, whatever it was made of.
func use(p *Piece) (found int) {
	l := New()
	l.Adopt("l", p)
	at := time.Date(2026, 10, 1, 12, 30, 0, 0, time.UTC)
	numbers := []number.Number{number.Written("95001234", "8613800000000"), number.Written("", "8613800074000"), number.Written("9503", "")}
	for _, first := range p.firsts[:min(len(p.firsts), 100)] {
		q := number.KeyPattern(first)
		digits := fmt.Sprintf("%0*d", q.Size, q.Lo)
		numbers = append(numbers, number.Written(digits, digits))
	}
	for i := range numbers {
		for _, at := range []time.Time{at, at.Add(time.Hour)} {
			if e, ok := l.Lookup("l", &numbers[i], at); ok {
				found += len(e.Reason) + 1
			}
		}
	}
	v := uint64(8613800000037)
	l.Remove("l", number.Pattern{Lo: v, Hi: v, Size: 13, Plus: true})
	l.Put(policy.ListEntry{List: "l", Pattern: number.Pattern{Lo: 9500, Hi: 9500, Size: 4, Open: true}, Reason: "put"})
	l.Piece("l")
	return found
}

// A bit that is another one anywhere in a piece, and a piece cut short anywhere, is an error.
func TestDamagedPieces(t *testing.T) {
	b := bytesOf(t, samplePiece(t, 5000))
	if p, err := Open(b); err != nil || p.Fit() != sampleFit || use(p) == 0 {
		t.Fatalf("%v, %+v", err, p)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		at := rnd.IntN(len(b))
		if rnd.IntN(2) == 0 {
			at = rnd.IntN(headerSize)
		}
		bit := byte(1) << rnd.IntN(8)
		b[at] ^= bit
		if _, err := Open(b); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) && !errors.Is(err, ErrNoPiece) {
			t.Fatalf("bit %x of byte %d: %v", bit, at, err)
		}
		b[at] ^= bit
	}
	for range 300 {
		if size := rnd.IntN(len(b)); size > 0 {
			if _, err := Open(b[:size]); err == nil {
				t.Fatalf("opened when it was cut to %d bytes", size)
			}
		}
	}
	other := samplePiece(t, 10)
	other.header.version = number.Version + 1
	h := other.header
	h.body = crc32.Checksum(other.b[headerSize:], castagnoli)
	if _, err := Open(append(h.encode(), other.b[headerSize:]...)); !errors.Is(err, ErrVersion) {
		t.Errorf("another normaliser's: %v", err)
	}
	if _, err := other.Bytes(Fit{List: string(make([]byte, 80))}); err == nil {
		t.Error("a name that does not fit was taken")
	}
}

// seal makes the checksums of bytes right, as who wants to deceive would.
func seal(b []byte) {
	if len(b) < headerSize {
		return
	}
	size := binary.LittleEndian.Uint64(b[32:])
	if size < headerSize || size > uint64(len(b)) {
		size = uint64(len(b))
	}
	binary.LittleEndian.PutUint32(b[24:], crc32.Checksum(b[headerSize:size], castagnoli))
	clear(b[headerSum : headerSum+4])
	binary.LittleEndian.PutUint32(b[headerSum:], crc32.Checksum(b[:headerSize], castagnoli))
}

// Bytes that were made to deceive, checksums and all, are refused or give wrong answers, but never a panic.
func TestHostilePieces(t *testing.T) {
	b := bytesOf(t, samplePiece(t, 3000))
	rnd := rand.New(rand.NewPCG(3, 4))
	opened := 0
	for range 20000 {
		c := bytes.Clone(b)
		for range 1 + rnd.IntN(4) {
			switch rnd.IntN(3) {
			case 0:
				c[rnd.IntN(len(c))] = byte(rnd.Uint32())
			case 1:
				c[32+rnd.IntN(80)] = byte(rnd.Uint32())
			case 2:
				c[rnd.IntN(2000)] ^= 1 << rnd.IntN(8)
			}
		}
		seal(c)
		if p, err := Open(c); err == nil {
			opened++
			use(p)
		}
	}
	if opened == 0 {
		t.Error("none was opened: this tests nothing")
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(bytesOf(f, samplePiece(f, 0)))
	f.Add(bytesOf(f, samplePiece(f, 3))) // small ones: what the fuzzer makes of large ones it shortens for a minute
	f.Fuzz(func(_ *testing.T, b []byte) {
		b = bytes.Clone(b)
		seal(b)
		if p, err := Open(b); err == nil {
			use(p)
		}
	})
}

// Of an entry with several records the first that has not expired counts, in a piece, in an overlay and after a merge.
func TestRecords(t *testing.T) {
	start := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	p := number.Pattern{Lo: 8613800138000, Hi: 8613800138000, Size: 13, Plus: true}
	wide := number.Pattern{Lo: 9521, Hi: 9521, Size: 4, Open: true}
	records := []Record{
		{Reason: "report", Source: "eve", Added: start, Expires: start.Add(2 * time.Hour)},
		{Reason: "feed", Source: "ftc", Added: start.Add(time.Minute), Expires: start.Add(time.Hour)},
		{Reason: "import", Source: "old.csv", Added: start.Add(2 * time.Minute), Expires: start.Add(3 * time.Hour)},
	}
	ofPlus, ofWide := number.Written("", "8613800138000"), number.Written("95210001", "")
	check := func(l *Lists) {
		t.Helper()
		for hour, want := range []string{"report eve", "report eve", "import old.csv", " "} {
			for _, n := range []*number.Number{&ofPlus, &ofWide} {
				e, ok := l.Lookup("l", n, start.Add(time.Duration(hour)*time.Hour))
				if got := e.Reason + " " + e.Source; got != want || ok != (want != " ") {
					t.Errorf("after %d hours: got %q, %v, want %q", hour, got, ok, want)
				}
			}
		}
		if e, _ := l.Lookup("l", &ofPlus, start); !e.Added.Equal(start) || !e.Expires.Equal(records[0].Expires) || e.Pattern != p {
			t.Errorf("got %+v", e)
		}
	}
	l := New()
	l.Apply("l", []Change{{ListEntry: policy.ListEntry{Pattern: p, Reason: "not looked at"}, Records: records}, {ListEntry: policy.ListEntry{Pattern: wide}, Records: records}})
	check(l)
	l.Piece("l")
	check(l)
	l.Drop("l")
	b := l.Load("l")
	b.AddRecords(p, records)
	b.AddRecords(wide, records)
	b.AddRecords(number.Pattern{Lo: 1, Hi: 1, Size: 4}, nil)
	b.Done()
	check(l)
	if n := l.Len("l"); n != 2 {
		t.Errorf("got %d entries, want 2", n)
	}
	many := make([]Record, MaxRecords+10)
	for i := range many {
		many[i].Reason, many[i].Expires = fmt.Sprint(i), start.Add(time.Duration(i)*time.Second)
	}
	l.Apply("l", []Change{{ListEntry: policy.ListEntry{Pattern: p}, Records: many}})
	if e, ok := l.Lookup("l", &ofPlus, start.Add((MaxRecords-2)*time.Second)); !ok || e.Reason != fmt.Sprint(MaxRecords-1) {
		t.Errorf("got %+v, %v", e, ok)
	}
}

// What is written to a file is mapped from it as it was; it stays when the file is replaced, or removed.
func TestPieceFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lists.piece")
	all := func(Fit) bool { return true }
	if _, err := OpenFile(file, all); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	large, small := samplePiece(t, 400_000), samplePiece(t, 100)
	other := sampleFit
	other.List = "m"
	if err := os.WriteFile(file+".new", []byte("left by a crash"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(file, []SavedPiece{{sampleFit, large}, {other, small}}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o640 || info.Size() != large.Size()+small.Size() {
		t.Errorf("%+v, %v", info, err)
	}
	pieces, err := OpenFile(file, all)
	if err != nil || len(pieces) != 2 {
		t.Fatalf("%d pieces, %v", len(pieces), err)
	}
	if !pieces[0].Mapped() || pieces[1].Mapped() || pieces[0].Fit() != sampleFit || pieces[1].Fit() != other {
		t.Errorf("mapped %v, %v; %+v, %+v", pieces[0].Mapped(), pieces[1].Mapped(), pieces[0].Fit(), pieces[1].Fit())
	}
	if err := WriteFile(file, []SavedPiece{{other, small}}); err != nil {
		t.Fatal(err)
	}
	if some, err := OpenFile(file, func(f Fit) bool { return f == sampleFit }); err != nil || len(some) != 0 {
		t.Errorf("got what is not wanted: %d, %v", len(some), err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for i, want := range []*Piece{large, small} {
		got := pieces[i]
		if !bytes.Equal(got.b[headerSize:], want.b[headerSize:]) || use(got) != use(want) || use(got) == 0 {
			t.Errorf("piece %d is another one than was written", i)
		}
	}
	again := filepath.Join(t.TempDir(), "none", "lists.piece")
	if err := WriteFile(again, []SavedPiece{{sampleFit, small}}); err == nil {
		t.Error("written into a folder that is not there")
	}
	n := number.Written("", "8613800000000")
	l := New()
	l.Adopt("l", pieces[0])
	if allocs := testing.AllocsPerRun(100, func() { l.Lookup("l", &n, time.Now()) }); allocs != 0 {
		t.Errorf("a look-up in a mapped piece allocates %v times", allocs)
	}
	e, ok := l.Lookup("l", &n, time.Now())
	l.Drop("l")
	pieces = nil
	for range 3 { // what was found does not depend on the file
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	if !ok || e.Reason != "a reason" || e.Source != "a source" {
		t.Errorf("got %+v, %v", e, ok)
	}
}

// A mapped file that is cut short under the look-ups makes its list not Loaded, and is told once.
func TestMappedPieceFaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lists.piece")
	if err := WriteFile(file, []SavedPiece{{sampleFit, samplePiece(t, 400_000)}}); err != nil {
		t.Fatal(err)
	}
	pieces, err := OpenFile(file, func(Fit) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	l := New()
	var told []string
	l.OnFault = func(list string) { told = append(told, list) }
	l.Adopt("l", pieces[0])
	if err := os.Truncate(file, 0); err != nil {
		t.Fatal(err)
	}
	n := number.Written("", "8613800000000")
	for range 2 {
		if _, ok := l.Lookup("l", &n, time.Now()); ok || l.Loaded("l") {
			t.Errorf("found %v, loaded %v", ok, l.Loaded("l"))
		}
	}
	p := number.Pattern{Lo: 1, Hi: 1, Size: 5}
	l.Put(policy.ListEntry{List: "l", Pattern: p})
	if l.Remove("l", p) || l.Piece("l") != nil {
		t.Error("something is there")
	}
	if err := pieces[0].Write(&bytes.Buffer{}, sampleFit); err == nil {
		t.Error("written of what cannot be read")
	}
	if !slices.Equal(told, []string{"l"}) {
		t.Errorf("told %q", told)
	}
}

// Who writes into a file that is mapped gets wrong answers, or a list that is not Loaded, but ends nothing.
func TestMappedPieceIsWrittenInto(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lists.piece")
	p := samplePiece(t, 400_000)
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		if err := WriteFile(file, []SavedPiece{{sampleFit, p}}); err != nil {
			t.Fatal(err)
		}
		pieces, err := OpenFile(file, func(Fit) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			junk := make([]byte, 1+rnd.IntN(64))
			for i := range junk {
				junk[i] = byte(rnd.Uint32())
			}
			if _, err := f.WriteAt(junk, rnd.Int64N(20_000)); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
		use(pieces[0])
	}
}

// A piece that is sent in chunks, in any order and some of them twice, is the same at the other end; a chunk that is not the right
// one is refused, and can be had again.
func TestTransfer(t *testing.T) {
	p := samplePiece(t, 50_000)
	s, err := Send(p, sampleFit, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	m := s.Manifest()
	if _, err := Receive(m, m.Size-1); err == nil {
		t.Error("a piece over the limit was taken")
	}
	r, err := Receive(m, m.Size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Piece(); err == nil {
		t.Error("a piece of nothing")
	}
	order := rand.New(rand.NewPCG(1, 1)).Perm(len(m.Sums))
	for at, i := range order {
		bad := bytes.Clone(s.Chunk(i))
		bad[len(bad)/2] ^= 1
		if err := r.Put(i, bad); !errors.Is(err, ErrChunk) {
			t.Fatalf("a bad chunk: %v", err)
		}
		if err := r.Put(i, bad[:len(bad)-1]); !errors.Is(err, ErrChunk) {
			t.Fatalf("a short chunk: %v", err)
		}
		if missing := r.Missing(1 << 20); len(missing) != len(order)-at || !slices.Contains(missing, i) {
			t.Fatalf("%d are missing, want %d", len(missing), len(order)-at)
		}
		for range 2 {
			if err := r.Put(i, s.Chunk(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.Put(len(m.Sums), nil); !errors.Is(err, ErrChunk) || s.Chunk(len(m.Sums)) != nil || s.Chunk(-1) != nil {
		t.Errorf("a chunk too many: %v", err)
	}
	got, err := r.Piece()
	if err != nil || got.Fit() != sampleFit || use(got) != use(p) || !bytes.Equal(bytesOf(t, got), bytesOf(t, p)) {
		t.Errorf("%v, %+v", err, got.Fit())
	}
	for _, wrong := range []func(m *Manifest){
		func(m *Manifest) { m.Size = 10 },
		func(m *Manifest) { m.Size = -1 },
		func(m *Manifest) { m.Chunk = 0 },
		func(m *Manifest) { m.Chunk = 1 << 30 },
		func(m *Manifest) { m.Sums = m.Sums[1:] },
	} {
		m := s.Manifest()
		wrong(&m)
		if _, err := Receive(m, 1<<40); err == nil {
			t.Errorf("the manifest %d, %d, %d was taken", m.Size, m.Chunk, len(m.Sums))
		}
	}
	m.Fit.Stamp = "another"
	r, _ = Receive(m, m.Size)
	for i := range m.Sums {
		r.Put(i, s.Chunk(i))
	}
	if _, err := r.Piece(); !errors.Is(err, ErrDamaged) {
		t.Errorf("of another state: %v", err)
	}
	if _, err := Send(p, sampleFit, 1); err == nil {
		t.Error("chunks of a byte")
	}
}
