// Package ami learns from Asterisk's manager interface how calls ended: the wire (this file), the way in and what is
// read (manager.go), the lines of an event that describe a channel (channel.go), and how a call's events become the
// end of each of its legs (leg.go, legs.go). It is an attach.Switch. What a real Asterisk sends is in testdata.
//
// # The wire
//
// Asterisk greets with one line, then both sides send blocks of `Key: value` lines that end in CRLF, each block
// ended by an empty line. A block that begins with Response answers an action, one that begins with Event tells of
// something. Asterisk writes the caller's number and the number dialled as they came (manager_channels.c), so a
// caller can end lines and blocks in the middle of an event, and begin others: channel.go is made for that.
package ami

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Bounds of what is read. A line of a channel has at most some hundred bytes, unless the administrator has Asterisk
// tell long variables; an event has 20 to 50 lines.
const (
	maxLine   = 8 << 10
	maxFields = 256
	maxBlock  = 64 << 10 // bytes of one block that are kept
)

// block is what stands between two empty lines.
type block struct {
	buf    []byte
	fields []field
	odd    bool // something in it is beyond the bounds, or is no line of ours
}

type field struct{ key, value span }

type span struct{ from, to int }

func (b *block) reset() { b.buf, b.fields, b.odd = b.buf[:0], b.fields[:0], false }

func (b *block) text(s span) []byte { return b.buf[s.from:s.to] }

// key and value of the i-th line.
func (b *block) key(i int) []byte   { return b.text(b.fields[i].key) }
func (b *block) value(i int) []byte { return b.text(b.fields[i].value) }

// first is the value of the first line with a key, "" if there is none: of a line before all that a caller can write.
func (b *block) first(key string) string {
	for i := range b.fields {
		if string(b.key(i)) == key {
			return text(b.value(i))
		}
	}
	return ""
}

// last is the value of the last line with a key, "" if there is none: of a line behind all that a caller can write.
func (b *block) last(key string) string {
	for i := len(b.fields) - 1; i >= 0; i-- {
		if string(b.key(i)) == key {
			return text(b.value(i))
		}
	}
	return ""
}

// kind is the key of the first line, Event or Response, and its value.
func (b *block) kind() (kind, name string) {
	if len(b.fields) == 0 {
		return "", ""
	}
	return string(b.key(0)), string(b.value(0))
}

func (b *block) add(line []byte) {
	key, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(b.fields) >= maxFields || len(b.buf)+len(line) > maxBlock {
		b.odd = true
		return
	}
	value = bytes.TrimPrefix(value, []byte(" "))
	at := len(b.buf)
	b.buf = append(append(b.buf, key...), value...)
	b.fields = append(b.fields, field{span{at, at + len(key)}, span{at + len(key), len(b.buf)}})
}

// reader takes blocks from a stream.
type reader struct {
	br    *bufio.Reader
	begun bool // within a block
}

func newReader(r io.Reader) *reader { return &reader{br: bufio.NewReaderSize(r, maxLine)} }

// line reads a line without its end. long: it was longer than maxLine, and is cut. The bytes are good until the next call.
func (r *reader) line() (line []byte, long bool, err error) {
	line, err = r.br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.br.ReadSlice('\n')
		}
		return nil, true, err
	}
	return bytes.TrimRight(line, "\r\n"), false, err
}

// next reads a block. Of one whose first line wanted refuses, nothing else is kept.
func (r *reader) next(b *block, wanted func(b *block) bool) error {
	b.reset()
	keep := true
	for lines := 0; ; {
		l, long, err := r.line()
		if err != nil {
			return err
		}
		if len(l) == 0 && !long {
			if lines == 0 {
				continue // between blocks
			}
			r.begun = false
			return nil
		}
		r.begun = true
		if lines++; !keep {
			continue
		}
		if long {
			b.odd = true
		} else {
			b.add(l)
		}
		if lines == 1 {
			keep = wanted(b)
		}
	}
}

// some: a part of what comes next has arrived.
func (r *reader) some() bool { return r.begun || r.br.Buffered() > 0 }

// command is an action with its parameters, KEY VALUE KEY VALUE …. Nothing in them can become a line of its own.
func command(action string, parameters ...string) []byte {
	out := []byte("Action: " + action + "\r\n")
	for i := 0; i+1 < len(parameters); i += 2 {
		out = append(out, parameters[i]...)
		out = append(out, ": "...)
		for _, c := range []byte(parameters[i+1]) {
			if c >= ' ' && c != 0x7f {
				out = append(out, c)
			}
		}
		out = append(out, "\r\n"...)
	}
	return append(out, "\r\n"...)
}
