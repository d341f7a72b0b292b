package eslbridge

import (
	"bytes"
	"fmt"
)

// A caller writes a part of what the switch says of a call: each header of their INVITE becomes a variable, URL-encoded, in
// the reply to `connect` and in every event. What reads those must not give up on their size, or a caller could make
// themselves unreadable. So they are taken as a stream, a line at a time: memory does not grow with what is sent.
const (
	// MaxStream is the most bytes that a streamed frame may have: its block, or the event in its body. Over SIP a caller
	// makes some 6 MB of it.
	MaxStream = 16 << 20
	// MaxValue is how many bytes of a value are handed on, as sent; the rest is skipped. The longest that means
	// anything is a signature (Identity, RFC 8224) of some 1,500.
	MaxValue = 4 << 10
	maxName  = 256 // of a line whose name is longer nothing is handed on but its beginning
)

// lines takes the lines of a frame as they arrive. name and value are good until it returns; value is as sent, cut at
// MaxValue, and nil where the line has no colon.
type lines interface {
	line(name, value []byte)
}

// Stream is Next for frames of any size up to MaxStream. Each line of the block, and of the event in the body, is handed
// to to. The frame itself keeps those lines alone that say what it is: its type, the reply's text, whose call it is.
// A body that is no event is kept, and bounded as in Next.
func (r *Reader) Stream(f *Frame, to lines) error {
	if r.err != nil {
		return r.err
	}
	if err := r.stream(f, to); err != nil {
		r.err = err
		return err
	}
	return nil
}

func (r *Reader) stream(f *Frame, to lines) error {
	f.block, f.body, f.fields = nil, nil, f.fields[:0]
	if err := r.skipBlankLines(); err != nil {
		return err
	}
	r.kept = r.kept[:0]
	n, seen := 0, false
	for total := 0; ; {
		line, used, err := r.nextLine(MaxStream - total)
		if err != nil {
			return unexpected(err)
		}
		if total += used; total >= MaxStream {
			return ErrHeaderTooLarge
		}
		if len(line) == 0 {
			break
		}
		name, value := split(line)
		switch {
		case !ofFrame(name):
			to.line(name, value)
			continue
		case equalFold(name, contentLength):
			v, ok := parseLength(value)
			if !ok || seen && v != n {
				return fmt.Errorf("%w: %.20q", ErrContentLength, value)
			}
			n, seen = v, true
		}
		r.keep(f, line)
	}
	f.block = r.kept
	if n == 0 {
		return nil
	}
	if f.Type() == typeEvent {
		return r.streamEvent(n, to)
	}
	return r.body(f, n)
}

// streamEvent hands on the lines of an event of n bytes. What stands behind its empty line, as the CDR that some
// switches attach, is skipped.
func (r *Reader) streamEvent(n int, to lines) error {
	if n > MaxStream {
		return fmt.Errorf("%w: %d bytes announced, %d allowed", ErrBodyTooLarge, n, MaxStream)
	}
	for over := false; n > 0; {
		line, used, err := r.nextLine(n)
		if err != nil {
			return unexpected(err)
		}
		n -= used
		if over = over || len(line) == 0; !over {
			to.line(split(line))
		}
	}
	return nil
}

// nextLine reads a line, without its end, of which it takes at most most bytes. Of a line that is too long the beginning
// is returned and the rest skipped. used is how many bytes were taken, line end included.
func (r *Reader) nextLine(most int) (line []byte, used int, err error) {
	if i := bytes.IndexByte(r.buf[r.r:r.w], '\n'); i >= 0 && i < most { // as nearly always
		line = r.buf[r.r : r.r+i]
		r.r += i + 1
		return trimmed(line), i + 1, nil
	}
	const longest = maxName + 2 + MaxValue
	for scanned := 0; ; {
		have := r.buf[r.r:min(r.w, r.r+most)]
		if i := bytes.IndexByte(have[scanned:], '\n'); i >= 0 {
			used = scanned + i + 1
			r.r += used
			return trimmed(have[:used-1]), used, nil
		}
		if scanned = len(have); scanned == most {
			r.r += scanned
			return trimmed(have), scanned, nil
		}
		if scanned >= longest {
			line = append(r.long[:0], have[:longest]...)
			r.long, r.r = line, r.r+scanned
			skipped, err := r.skipLine(most - scanned)
			return trimmed(line), scanned + skipped, err
		}
		if err := r.fill(); err != nil {
			return nil, 0, err
		}
	}
}

// trimmed takes the CR off a line.
func trimmed(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// skipLine skips to the end of a line, of which it takes at most most bytes.
func (r *Reader) skipLine(most int) (used int, err error) {
	for used < most {
		if r.r == r.w {
			r.r, r.w = 0, 0
			if err := r.fill(); err != nil {
				return used, err
			}
		}
		have := r.buf[r.r:min(r.w, r.r+most-used)]
		if i := bytes.IndexByte(have, '\n'); i >= 0 {
			r.r += i + 1
			return used + i + 1, nil
		}
		r.r, used = r.r+len(have), used+len(have)
	}
	return used, nil
}

// split takes a line apart at its first colon, as parseField does by places in a buffer that may move.
func split(line []byte) (name, value []byte) {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return line, nil
	}
	name, value = line[:colon], line[colon+1:]
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	return name, value[:min(len(value), MaxValue)]
}

const contentLength = "Content-Length"

// ofFrame: the line says something of the frame and not of a call. No variable of a channel is named so.
func ofFrame(name []byte) bool {
	switch len(name) {
	case len("Content-Type"):
		return equalFold(name, "Content-Type")
	case len(contentLength):
		return equalFold(name, contentLength)
	case len("Reply-Text"):
		return equalFold(name, "Reply-Text")
	case len("Content-Disposition"):
		return equalFold(name, "Content-Disposition")
	case len(controlled):
		return equalFold(name, controlled)
	}
	return false
}

// controlled is the header of a disconnect notice that names the call.
const controlled = "Controlled-Session-UUID"

// keep adds a line to the frame, the first few of them.
func (r *Reader) keep(f *Frame, line []byte) {
	if len(f.fields) == maxKept {
		return
	}
	start := len(r.kept)
	r.kept = append(append(r.kept, line...), '\n')
	f.fields = append(f.fields, parseField(r.kept[:len(r.kept)-1], start))
}

// maxKept is how many lines a streamed frame keeps; five are known.
const maxKept = 16
