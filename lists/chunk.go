package lists

import (
	"encoding/binary"
	"math/bits"
)

// Exact numbers are packed as keys (number.Pattern.Key), ascending, in chunks of at most chunkSize with chunkValues different
// texts, a place among which is one byte. A number takes 4 to 7 bytes (its distance from the first of its chunk), one more
// where the entries of the chunk do not all say the same, and its share of the chunk's 32 bytes. So ten million numbers
// have ten thousand chunks, whose firsts stay in a processor's second cache.
const (
	chunkSize   = 1024
	chunkValues = 256
)

// numberEntry is one exact number and the number of its text.
type numberEntry struct {
	key  uint64
	text uint32
}

// chunkHead says where a chunk is and how to read it. Encoded it has headSize bytes, little endian: the span; the offset, and
// from its bit 48 on the count; the text; the width, a byte; a zero byte; the number of values, 2 bytes.
//
// At the offset in the piece's data are the distances of the numbers from the first, width bytes each; then, unless all
// say the same, the place of each number's text among the values, a byte each; then the values, 4 bytes each.
type chunkHead struct {
	span   uint64 // how far the last number is from the first
	offset uint64
	n      int
	width  int
	values int // 0: all say text
	text   uint32
}

const (
	headSize   = 24
	maxOffset  = 1<<48 - 1
	headWidth  = 20
	headValues = 22
)

func (h *chunkHead) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, h.span)
	dst = binary.LittleEndian.AppendUint64(dst, h.offset|uint64(h.n)<<48)
	dst = binary.LittleEndian.AppendUint32(dst, h.text)
	dst = append(dst, byte(h.width), 0)
	return binary.LittleEndian.AppendUint16(dst, uint16(h.values))
}

func readHead(b []byte) chunkHead {
	b = b[:headSize]
	place := binary.LittleEndian.Uint64(b[8:])
	return chunkHead{
		span: binary.LittleEndian.Uint64(b), offset: place & maxOffset, n: int(place >> 48), text: binary.LittleEndian.Uint32(b[16:]),
		width: int(b[headWidth]), values: int(binary.LittleEndian.Uint16(b[headValues:])),
	}
}

// size is how many bytes of the data are the chunk's.
func (h *chunkHead) size() uint64 {
	n := uint64(h.n) * uint64(h.width)
	if h.values > 0 {
		n += uint64(h.n) + 4*uint64(h.values)
	}
	return n
}

// widthOf is how many bytes a distance takes.
func widthOf(span uint64) int { return max(1, (bits.Len64(span)+7)/8) }

// find gives what the entry of a number says, empty if there is none.
func (p *Piece) find(key uint64) text {
	firsts := p.firsts
	n := len(firsts)
	if n == 0 || key < firsts[0] {
		return ""
	}
	at := 0
	if key >= firsts[n-1] { // such as all as written inside the country, when there are none
		at, n = n-1, 1
	}
	for n > 1 { // without a branch to mispredict
		half := n >> 1
		if firsts[at+half] <= key {
			at += half
		}
		n -= half
	}
	distance := key - firsts[at]
	head := p.heads[headSize*at : headSize*at+headSize]
	span := binary.LittleEndian.Uint64(head)
	if distance > span {
		return ""
	}
	place := binary.LittleEndian.Uint64(head[8:])
	n, w := int(place>>48), int(head[headWidth])
	data := p.data[place&maxOffset:]
	i := search(data, w, n, span, distance)
	if i < 0 {
		return ""
	}
	id := binary.LittleEndian.Uint32(head[16:])
	if values := int(binary.LittleEndian.Uint16(head[headValues:])); values > 0 {
		place := int(data[n*w+i])
		if place >= values { // in a piece that was made to deceive
			return ""
		}
		id = binary.LittleEndian.Uint32(data[n*w+n+4*place:])
	}
	return p.text(id)
}

// search gives the place of a distance among n of w bytes each, the last of which is the span, -1 if it is not there. Behind them are
// eight bytes at least. It begins where the distance would be if all numbers were equally far from each other, as in long
// lists they nearly are: then it reads one or two cache lines of the chunk, where a binary search reads five.
func search(data []byte, w, n int, span, distance uint64) int {
	mask := ^uint64(0) >> (64 - 8*uint(w))
	lo, hi := 0, n
	if span > 0 {
		guess := int(distance * uint64(n-1) / span) // a product that is too large makes it smaller, never n
		if binary.LittleEndian.Uint64(data[guess*w:])&mask < distance {
			lo = guess + 1
			for step := 4; lo+step < hi; step *= 2 {
				if binary.LittleEndian.Uint64(data[(lo+step)*w:])&mask >= distance {
					hi = lo + step + 1
					break
				}
				lo += step
			}
		} else {
			hi = guess + 1
			for step := 4; hi-step > lo; step *= 2 {
				if binary.LittleEndian.Uint64(data[(hi-step-1)*w:])&mask < distance {
					lo = hi - step
					break
				}
				hi -= step
			}
		}
	}
	for lo < hi {
		if m := int(uint(lo+hi) >> 1); binary.LittleEndian.Uint64(data[m*w:])&mask < distance {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo == n || binary.LittleEndian.Uint64(data[lo*w:])&mask != distance {
		return -1
	}
	return lo
}

// appendEntries appends the entries of the i-th chunk.
func (p *Piece) appendEntries(dst []numberEntry, i int) []numberEntry {
	first := p.firsts[i]
	h := readHead(p.heads[headSize*i:])
	data := p.data[h.offset:]
	mask := uint64(1)<<(8*h.width) - 1
	for j := range h.n {
		id := h.text
		if h.values > 0 {
			place := int(data[h.n*h.width+j])
			if place >= h.values { // in a piece that was made to deceive
				continue
			}
			id = binary.LittleEndian.Uint32(data[h.n*h.width+h.n+4*place:])
		}
		dst = append(dst, numberEntry{first + binary.LittleEndian.Uint64(data[j*h.width:])&mask, id})
	}
	return dst
}
