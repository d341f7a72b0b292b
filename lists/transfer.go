package lists

import (
	"errors"
	"fmt"
	"hash/crc32"
)

// Manifest describes a piece that is sent in chunks, which may come in any order, more than once, from anywhere.
type Manifest struct {
	Fit   Fit
	Size  int64    // of the piece, in bytes
	Chunk int      // of a chunk, in bytes; the last may have fewer
	Sums  []uint32 // CRC-32C of each chunk
}

// Bounds of a Manifest's chunks, in bytes.
const (
	MinChunk = 4 << 10
	MaxChunk = 16 << 20
)

// ErrChunk is the error of a chunk that is not the one that its manifest names: get it again.
var ErrChunk = errors.New("the chunk is not what its manifest says")

// Sender gives a piece in chunks. It keeps a copy of the piece's bytes, with what they are of.
type Sender struct {
	m Manifest
	b []byte
}

// Send prepares a piece to be sent in chunks of so many bytes, between MinChunk and MaxChunk.
func Send(p *Piece, f Fit, chunk int) (*Sender, error) {
	if chunk < MinChunk || chunk > MaxChunk {
		return nil, fmt.Errorf("a chunk of %d bytes: choose between %d and %d", chunk, MinChunk, MaxChunk)
	}
	b, err := p.Bytes(f)
	if err != nil {
		return nil, err
	}
	s := &Sender{Manifest{Fit: f, Size: int64(len(b)), Chunk: chunk}, b}
	for i := range s.m.chunks() {
		s.m.Sums = append(s.m.Sums, crc32.Checksum(s.chunk(i), castagnoli))
	}
	return s, nil
}

// Manifest describes what is sent.
func (s *Sender) Manifest() Manifest { return s.m }

// Chunk gives the i-th chunk, counted from 0; nil if there is none. It must not be changed.
func (s *Sender) Chunk(i int) []byte {
	if i < 0 || i >= len(s.m.Sums) {
		return nil
	}
	return s.chunk(i)
}

func (s *Sender) chunk(i int) []byte {
	from, to := s.m.bounds(i)
	return s.b[from:to]
}

// chunks is how many chunks there are.
func (m *Manifest) chunks() int { return int((m.Size + int64(m.Chunk) - 1) / int64(m.Chunk)) }

func (m *Manifest) bounds(i int) (from, to int64) {
	from = int64(i) * int64(m.Chunk)
	return from, min(from+int64(m.Chunk), m.Size)
}

// Receiver puts the chunks of a piece together. It is for one goroutine.
type Receiver struct {
	m       Manifest
	b       []byte
	there   []bool
	missing int
}

// Receive prepares for the chunks of a manifest, which comes from elsewhere: one that makes no sense, or is of more than limit
// bytes, is an error. The memory of the whole piece is taken at once.
func Receive(m Manifest, limit int64) (*Receiver, error) {
	switch {
	case m.Chunk < MinChunk || m.Chunk > MaxChunk || m.Size < headerSize:
		return nil, fmt.Errorf("a manifest of %d bytes in chunks of %d: %w", m.Size, m.Chunk, ErrNoPiece)
	case m.Size > limit || m.Size > maxPiece:
		return nil, fmt.Errorf("a piece of %d bytes is too large: at most %d are taken", m.Size, min(limit, maxPiece))
	case m.chunks() != len(m.Sums):
		return nil, fmt.Errorf("a manifest of %d chunks has %d checksums: %w", m.chunks(), len(m.Sums), ErrNoPiece)
	}
	return &Receiver{m: m, b: make([]byte, m.Size), there: make([]bool, len(m.Sums)), missing: len(m.Sums)}, nil
}

// Put takes the i-th chunk, counted from 0. The error is ErrChunk for one that is not what the manifest says, and nothing is
// changed then.
func (r *Receiver) Put(i int, b []byte) error {
	if i < 0 || i >= len(r.there) {
		return fmt.Errorf("chunk %d of %d: %w", i, len(r.there), ErrChunk)
	}
	from, to := r.m.bounds(i)
	if int64(len(b)) != to-from || crc32.Checksum(b, castagnoli) != r.m.Sums[i] {
		return fmt.Errorf("chunk %d of the list %s: %w", i, r.m.Fit.List, ErrChunk)
	}
	copy(r.b[from:to], b)
	if !r.there[i] {
		r.there[i] = true
		r.missing--
	}
	return nil
}

// Missing lists the chunks that have not come, n at most.
func (r *Receiver) Missing(n int) []int {
	var missing []int
	for i := 0; i < len(r.there) && len(missing) < min(n, r.missing); i++ {
		if !r.there[i] {
			missing = append(missing, i)
		}
	}
	return missing
}

// Piece gives the piece when all chunks have come, having checked it as Open does. The receiver is of no use then.
func (r *Receiver) Piece() (*Piece, error) {
	if r.missing > 0 {
		return nil, fmt.Errorf("%d of %d chunks have not come yet", r.missing, len(r.there))
	}
	p, err := Open(r.b)
	if err != nil {
		return nil, err
	}
	if p.Fit() != r.m.Fit || p.Size() != r.m.Size {
		return nil, fmt.Errorf("%w: it is of another list or state than its manifest says", ErrDamaged)
	}
	return p, nil
}
