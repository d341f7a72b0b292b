package lists

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"runtime/debug"
	"unsafe"

	"ringfence/number"
)

// Piece is a list as one flat run of bytes without pointers, so that it can be written to a file, mapped from there, and
// sent to another node. It never changes. Look-ups read from it as it is. All numbers in it are little endian.
//
//	header    headerSize bytes, see header
//	firsts    the first key of each chunk, ascending, 8 bytes each
//	heads     of the chunks, headSize each
//	patterns  that are no exact numbers, and what finds them: see wide
//	at        where each text begins, 4 bytes each, and where the last ends
//	texts     what entries say: see text
//	data      of the chunks, and 8 zero bytes, so that eight can be read wherever a number begins
//
// Each part begins at a multiple of 8.
type Piece struct {
	b      []byte // all of it
	header header

	firsts      []uint64
	heads, data []byte
	wide        wide
	at          []byte
	texts       text

	mapped *mapping // the file that the bytes are in, nil if they are memory
}

// Fit says what a piece is of, so that it is used for nothing else. A piece fits a list if all is the same.
type Fit struct {
	List    string // the list's name, 79 bytes at most
	Stamp   string // the state of the list in the database, 63 bytes at most
	Reading string // how patterns were read from their texts (number.Plan.Reading), 63 bytes at most
	Strays  int    // entries of the list that could not be read so, and are not in the piece
}

// header is what a piece begins with. Encoded it has headerSize bytes.
type header struct {
	fit                    Fit
	version                uint32 // number.Version
	body                   uint32 // CRC-32C of all behind the header
	size                   uint64 // of the piece, in bytes
	numbers, left          uint64 // exact numbers; entries whose texts are left out
	chunks, data           uint64
	textBytes              uint64
	texts                  uint32
	patterns, blocks, slot uint32 // of wide
}

const (
	pieceMagic  = "RFpiece\n"
	pieceOrder  = 0x01020304
	pieceFormat = 1
	headerSize  = 320

	headerSum = 20 // where the header's own checksum is, CRC-32C with zeros in its place
)

// What is wrong with bytes that are no piece to use; errors.Is tells them apart.
var (
	ErrNoPiece = errors.New("it is not a piece of a list")
	ErrDamaged = errors.New("it is damaged")
	ErrVersion = errors.New("it was written by another version of ringfence")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (h *header) encode() []byte {
	b := make([]byte, headerSize)
	copy(b, pieceMagic)
	le := binary.LittleEndian
	le.PutUint32(b[8:], pieceOrder)
	le.PutUint32(b[12:], pieceFormat)
	le.PutUint32(b[16:], h.version)
	le.PutUint32(b[24:], h.body)
	for i, v := range [...]uint64{h.size, h.numbers, h.left, uint64(h.fit.Strays), h.chunks, h.data, h.textBytes} {
		le.PutUint64(b[32+8*i:], v)
	}
	for i, v := range [...]uint32{h.texts, h.patterns, h.blocks, h.slot} {
		le.PutUint32(b[88+4*i:], v)
	}
	for _, f := range h.fields() {
		b[f.at] = byte(copy(b[f.at+1:f.at+1+f.room], *f.text))
	}
	le.PutUint32(b[headerSum:], crc32.Checksum(b, castagnoli))
	return b
}

type headerField struct {
	at, room int
	text     *string
}

func (h *header) fields() [3]headerField {
	return [...]headerField{{112, 79, &h.fit.List}, {192, 63, &h.fit.Stamp}, {256, 63, &h.fit.Reading}}
}

// check reports whether all fits into a header.
func (f Fit) check() error {
	h := header{fit: f}
	for _, field := range h.fields() {
		if len(*field.text) > field.room {
			return fmt.Errorf("%.40q does not fit into the header of a piece: at most %d bytes", *field.text, field.room)
		}
	}
	return nil
}

func readHeader(b []byte) (h header, err error) {
	if len(b) < headerSize || string(b[:8]) != pieceMagic {
		return h, ErrNoPiece
	}
	b = b[:headerSize]
	le := binary.LittleEndian
	if le.Uint32(b[8:]) != pieceOrder {
		return h, fmt.Errorf("%w: its bytes are in another order", ErrVersion)
	}
	if v := le.Uint32(b[12:]); v != pieceFormat {
		return h, fmt.Errorf("%w: its format is %d, this one reads %d", ErrVersion, v, pieceFormat)
	}
	plain := bytes.Clone(b)
	clear(plain[headerSum : headerSum+4])
	if crc32.Checksum(plain, castagnoli) != le.Uint32(b[headerSum:]) {
		return h, fmt.Errorf("%w: the checksum of its header is wrong", ErrDamaged)
	}
	h.version, h.body = le.Uint32(b[16:]), le.Uint32(b[24:])
	var strays uint64
	for i, v := range [...]*uint64{&h.size, &h.numbers, &h.left, &strays, &h.chunks, &h.data, &h.textBytes} {
		if *v = le.Uint64(b[32+8*i:]); *v > maxPiece {
			return h, fmt.Errorf("%w: its header has %d where no more than %d may be", ErrDamaged, *v, uint64(maxPiece))
		}
	}
	h.fit.Strays = int(strays)
	for i, v := range [...]*uint32{&h.texts, &h.patterns, &h.blocks, &h.slot} {
		*v = le.Uint32(b[88+4*i:])
	}
	for _, f := range h.fields() {
		n := int(b[f.at])
		if n > f.room {
			return h, fmt.Errorf("%w: a name in its header has %d bytes", ErrDamaged, n)
		}
		*f.text = string(b[f.at+1 : f.at+1+n])
	}
	if h.slot&(h.slot-1) != 0 || h.patterns > 0 && h.slot < 2 || h.size != h.parts().end {
		return h, fmt.Errorf("%w: the sizes of its parts are wrong", ErrDamaged)
	}
	return h, nil
}

// maxPiece bounds a piece, in bytes: 50 million numbers with nine bytes each are half a gigabyte.
const maxPiece = 1 << 40

// parts are where the parts of a piece begin.
type parts struct{ firsts, heads, patterns, keys, ids, slots, at, texts, data, end uint64 }

func (h *header) parts() (p parts) {
	next := uint64(headerSize)
	for _, part := range [...]struct {
		begins *uint64
		size   uint64
	}{
		{&p.firsts, 8 * h.chunks},
		{&p.heads, headSize * h.chunks},
		{&p.patterns, wideSize * uint64(h.patterns)},
		{&p.keys, 8 * uint64(h.blocks)},
		{&p.ids, 4 * uint64(h.blocks)},
		{&p.slots, 4 * uint64(h.slot)},
		{&p.at, 4 * (uint64(h.texts) + 1)},
		{&p.texts, h.textBytes},
		{&p.data, h.data + 8},
		{&p.end, 0},
	} {
		*part.begins = next
		next = (next + part.size + 7) &^ 7
	}
	return p
}

// Open makes a piece of bytes, which must not change any more. Bytes that come from elsewhere are taken for nothing but bytes:
// what is wrong with them is an error, and nothing that they hold makes a look-up read beside them.
func Open(b []byte) (*Piece, error) {
	h, err := readHeader(b)
	switch {
	case err != nil:
		return nil, err
	case h.version != number.Version:
		return nil, fmt.Errorf("%w: numbers were read by normaliser %d, this one is %d", ErrVersion, h.version, number.Version)
	case uint64(len(b)) < h.size:
		return nil, fmt.Errorf("%w: it is cut short, %d bytes of %d", ErrDamaged, len(b), h.size)
	}
	b = b[:h.size]
	if crc32.Checksum(b[headerSize:], castagnoli) != h.body {
		return nil, fmt.Errorf("%w: its checksum is wrong", ErrDamaged)
	}
	p := newPiece(b, h)
	if err := p.check(); err != nil {
		return nil, err
	}
	return p, nil
}

// newPiece finds the parts in bytes that belong to the header.
func newPiece(b []byte, h header) *Piece {
	at := h.parts()
	p := &Piece{
		b: b, header: h,
		firsts: words(b[at.firsts : at.firsts+8*h.chunks]), heads: b[at.heads : at.heads+headSize*h.chunks],
		data: b[at.data:at.end],
		at:   b[at.at : at.at+4*(uint64(h.texts)+1)],
	}
	p.wide = wide{
		n: int(h.patterns), blocks: int(h.blocks), mask: h.slot - 1,
		patterns: b[at.patterns : at.patterns+wideSize*uint64(h.patterns)], keys: b[at.keys : at.keys+8*uint64(h.blocks)],
		ids: b[at.ids : at.ids+4*uint64(h.blocks)], slots: b[at.slots : at.slots+4*uint64(h.slot)],
	}
	if texts := b[at.texts : at.texts+h.textBytes]; len(texts) > 0 {
		p.texts = text(unsafe.String(&texts[0], len(texts)))
	}
	return p
}

// words gives little endian numbers of 8 bytes as such: the same memory, where it can be read so.
func words(b []byte) []uint64 {
	if len(b) == 0 {
		return nil
	}
	if at := unsafe.Pointer(&b[0]); uintptr(at)%8 == 0 && binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return unsafe.Slice((*uint64)(at), len(b)/8)
	}
	all := make([]uint64, len(b)/8)
	for i := range all {
		all[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return all
}

// check looks at all that look-ups trust: everything but the numbers themselves and which text of its chunk each has.
func (p *Piece) check() error {
	h := &p.header
	texts := uint64(h.texts)
	wrong := func(what string) error { return fmt.Errorf("%w: %s", ErrDamaged, what) }
	le := binary.LittleEndian
	for i := range texts {
		from, to := le.Uint32(p.at[4*i:]), le.Uint32(p.at[4*i+4:])
		if from > to || uint64(to) > h.textBytes || i == 0 && from != 0 || !p.texts[from:to].valid() {
			return wrong("a text")
		}
	}
	total, before := uint64(0), uint64(0)
	for i := range p.firsts {
		first, c := p.firsts[i], readHead(p.heads[headSize*i:])
		if c.n == 0 || c.n > chunkSize || c.width == 0 || c.width > 8 || c.values > chunkValues || c.offset > h.data || c.size() > h.data-c.offset {
			return wrong("the size of a chunk")
		}
		if i > 0 && first <= before || first+c.span < first || widthOf(c.span) > c.width {
			return wrong("the order of the chunks")
		}
		before = first + c.span
		total += uint64(c.n)
		if c.values == 0 && uint64(c.text) >= texts {
			return wrong("a chunk's text")
		}
		for values := p.data[c.offset+c.size()-4*uint64(c.values):][:4*c.values]; len(values) > 0; values = values[4:] {
			if uint64(le.Uint32(values)) >= texts {
				return wrong("a chunk's texts")
			}
		}
	}
	if total != h.numbers || h.left > total+uint64(h.patterns) {
		return wrong("the count of its numbers")
	}
	if p.wide.n == 0 && p.wide.blocks > 0 || !p.wide.check(int(texts)) {
		return wrong("its patterns")
	}
	return nil
}

// text is the text of a number.
func (p *Piece) text(id uint32) text {
	return p.texts[binary.LittleEndian.Uint32(p.at[4*id:]):binary.LittleEndian.Uint32(p.at[4*id+4:])]
}

// Len is the number of entries.
func (p *Piece) Len() int { return int(p.header.numbers) + p.wide.n }

// Size is how many bytes the piece has.
func (p *Piece) Size() int64 { return int64(len(p.b)) }

// Fit says what the piece is of; of one that was not read from bytes nothing.
func (p *Piece) Fit() Fit { return p.header.fit }

// Mapped reports whether the piece is in a mapped file rather than in memory.
func (p *Piece) Mapped() bool { return p.mapped != nil }

// cost is what the texts count towards maxTexts.
func (p *Piece) cost() int {
	n := int(p.header.texts)
	return len(p.texts) + n*text("").cost()
}

// Bytes gives the whole piece, saying that it is of f. It is a copy of as many bytes as Size says.
func (p *Piece) Bytes(f Fit) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(len(p.b))
	err := p.Write(&b, f)
	return b.Bytes(), err
}

// Write writes the whole piece, saying that it is of f.
func (p *Piece) Write(w io.Writer, f Fit) error {
	defer runtime.KeepAlive(p) // and what is mapped
	if err := f.check(); err != nil {
		return err
	}
	body := p.b[headerSize:]
	h := p.header
	h.fit, h.version = f, number.Version
	if err := guarded(func() { h.body = crc32.Checksum(body, castagnoli) }); err != nil {
		return err
	}
	if _, err := w.Write(h.encode()); err != nil {
		return err
	}
	for len(body) > 0 { // a part at a time, so that a disk that is slow is not handed all at once
		n := min(len(body), 1<<20)
		if _, err := w.Write(body[:n]); err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}

// guarded runs read, which reads a piece, and gives an error if a mapped file cannot be read any more: it was cut short, or its
// disk fails.
func guarded(read func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			if !isFault(p) {
				panic(p)
			}
			err = fmt.Errorf("the mapped piece of a list cannot be read any more: %v", p)
		}
	}()
	read()
	return nil
}

// isFault reports whether a panic is that of memory that cannot be read, or has become another one: somebody wrote into the file.
func isFault(p any) bool {
	_, ok := p.(runtime.Error)
	return ok
}
