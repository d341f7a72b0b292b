// Package eslbridge speaks FreeSWITCH's Event Socket: the wire itself (this file), the commands we may
// send (command.go), the facts a call brings (facts.go), the server that FreeSWITCH's `socket` application
// connects to (server.go, call.go), and the clients of a switch's own event socket: one learns how calls
// ended (attach.go, attach_event.go), one asks for people (client.go). It knows nothing of policies: it asks
// a Screener.
//
// # The wire
//
// Both directions carry frames. A frame is a block of lines ended by an empty line; what the switch
// sends may have a body behind it, as long as its Content-Length says. Lines end in LF; CRLF is taken.
//
//	Content-Type: command/reply            the answer to one command, in the order of the commands
//	Content-Type: api/response             the same for `api`; the text is in the body, down to one byte
//	Content-Type: text/event-plain         an event; Content-Length comes first, its headers are the body
//	Content-Type: text/disconnect-notice   the call is over or we said exit; the switch closes next
//	Content-Type: text/rude-rejection      the peer's address is not on the switch's access list
//	Content-Type: auth/request             greeting of the switch's own event socket (8021)
//
// The reply to `connect` is special: some 160 headers of channel data (6 kB; 14 kB and more with long SIP
// headers), its Content-Type last, no Content-Length. Values in it and in events are URL-encoded once, a
// `%XX` that was already there in SIP stays as it is, `+` is itself and not a space. Plain replies are not
// encoded. (mod_event_socket.c; switch_event.c, switch_event_serialize.)
//
// # Limits and states
//
// What callers have a part in is read by Stream (stream.go), which keeps nothing. For all else Next serves: a header
// block of at most MaxHeader bytes and MaxFields lines, a body of at most the Reader's MaxBody.
// Memory is taken as bytes arrive, never because a length was announced. After any error a Reader is
// spent: the stream has lost its place. One goroutine owns a Reader; a Frame's contents are valid until
// the next call of Next.
package eslbridge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	// MaxHeader is the most bytes one frame's header block may have. Four times the longest seen.
	MaxHeader = 64 << 10
	// MaxFields is the most lines a header block may have.
	MaxFields = 2048
	// MaxBody is the most bytes a body may have where the Reader sets no other bound.
	MaxBody = 256 << 10

	firstBuffer = 16 << 10
)

// Errors of a Reader. All are final for the connection.
var (
	ErrHeaderTooLarge = errors.New("event socket: header block over the limit")
	ErrBodyTooLarge   = errors.New("event socket: body over the limit")
	ErrContentLength  = errors.New("event socket: Content-Length is not a number")
)

// field is a line of a header block, as offsets into the frame's bytes. A line without a colon (a
// command's first line) has colon == end.
type field struct {
	start, colon, value, end uint32
}

// Frame is one message. Fields keep their order and their bytes; nothing is decoded until asked for.
type Frame struct {
	block  []byte // the header lines, line ends included
	fields []field
	body   []byte
}

// Type is the frame's Content-Type, "" if it has none.
func (f *Frame) Type() string {
	// The usual types cost no allocation.
	switch v := f.Raw("Content-Type"); string(v) {
	case typeReply:
		return typeReply
	case typeAPI:
		return typeAPI
	case typeEvent:
		return typeEvent
	case typeDisconnect:
		return typeDisconnect
	case typeRejection:
		return typeRejection
	case typeAuth:
		return typeAuth
	default:
		return string(v)
	}
}

// The content types that are acted on. The last two come from the switch's own event socket only.
const (
	typeReply      = "command/reply"
	typeAPI        = "api/response"
	typeEvent      = "text/event-plain"
	typeDisconnect = "text/disconnect-notice"
	typeRejection  = "text/rude-rejection"
	typeAuth       = "auth/request"
)

// Len is the number of header lines.
func (f *Frame) Len() int { return len(f.fields) }

// Field returns line i: its name and its value as sent. A line without a colon has a nil value.
func (f *Frame) Field(i int) (name, raw []byte) {
	x := f.fields[i]
	if x.colon == x.end {
		return f.block[x.start:x.end], nil
	}
	return f.block[x.start:x.colon], f.block[x.value:x.end:x.end]
}

// Raw returns the first value of a header as sent, nil if there is none. Names compare without case.
func (f *Frame) Raw(name string) []byte {
	for i, x := range f.fields {
		if int(x.colon-x.start) != len(name) {
			continue
		}
		if n, v := f.Field(i); equalFold(n, name) {
			return v
		}
	}
	return nil
}

// Get returns the first value of a header, URL-decoded once, and whether the frame has the header.
func (f *Frame) Get(name string) (string, bool) {
	raw := f.Raw(name)
	return decode(raw), raw != nil
}

// Body is what came behind the header block, nil if nothing did.
func (f *Frame) Body() []byte { return f.body }

// OK reports whether a reply says that the command was carried out: `+OK…` in Reply-Text, or in the body
// of an api/response. Everything else, a reply without text included, is a refusal.
func (f *Frame) OK() bool {
	if f.body != nil {
		return !bytes.HasPrefix(f.body, []byte("-"))
	}
	t := f.Raw("Reply-Text")
	return bytes.HasPrefix(t, []byte("+OK")) || bytes.HasPrefix(t, []byte("%2BOK"))
}

// AppendTo prints the frame as it goes on the wire: each line with LF, an empty line, the body.
func (f *Frame) AppendTo(dst []byte) []byte {
	for _, x := range f.fields {
		dst = append(dst, f.block[x.start:x.end]...)
		dst = append(dst, '\n')
	}
	dst = append(dst, '\n')
	return append(dst, f.body...)
}

// Reader takes frames from a stream. The zero value is of no use; see NewReader.
type Reader struct {
	src     io.Reader
	maxBody int
	buf     []byte
	r, w    int // buf[r:w] has arrived and was not handed out
	err     error

	kept, long []byte // of Stream: the frame's own lines; the beginning of a line that is too long
}

// NewReader reads frames from src with bodies of at most maxBody bytes (0: MaxBody).
func NewReader(src io.Reader, maxBody int) *Reader {
	r := &Reader{buf: make([]byte, firstBuffer)}
	r.reset(src, maxBody)
	return r
}

// reset makes a pooled Reader ready for the next connection. A buffer that a long frame made grow is
// given up, so that one hostile peer does not fatten the pool.
func (r *Reader) reset(src io.Reader, maxBody int) {
	if maxBody <= 0 {
		maxBody = MaxBody
	}
	buf := r.buf
	if len(buf) > 2*firstBuffer {
		buf = make([]byte, firstBuffer)
	}
	*r = Reader{src: src, maxBody: maxBody, buf: buf, kept: r.kept[:0], long: r.long[:0]}
}

// Begun reports whether bytes of the next frame have arrived.
func (r *Reader) Begun() bool {
	return len(bytes.TrimLeft(r.buf[r.r:r.w], "\r\n")) > 0
}

// Next reads one frame into f. At the end of the stream it returns io.EOF between frames and
// io.ErrUnexpectedEOF within one.
func (r *Reader) Next(f *Frame) error {
	if r.err != nil {
		return r.err
	}
	if err := r.next(f); err != nil {
		r.err = err
		return err
	}
	return nil
}

func (r *Reader) next(f *Frame) error {
	f.block, f.body, f.fields = nil, nil, f.fields[:0]
	if err := r.skipBlankLines(); err != nil {
		return err
	}
	end, err := r.header(f)
	if err != nil {
		return err
	}
	n, err := lengthOf(f, r.buf[r.r:])
	if err != nil {
		return err
	}
	if n > r.maxBody {
		return fmt.Errorf("%w: %d bytes announced, %d allowed", ErrBodyTooLarge, n, r.maxBody)
	}
	for r.w-r.r < end+n {
		if err := r.fill(); err != nil {
			return unexpected(err)
		}
	}
	f.block = r.buf[r.r : r.r+end : r.r+end]
	r.r += end
	if n > 0 {
		f.body = r.buf[r.r : r.r+n : r.r+n]
		r.r += n
	}
	return nil
}

// body reads a body of n bytes.
func (r *Reader) body(f *Frame, n int) error {
	if n > r.maxBody {
		return fmt.Errorf("%w: %d bytes announced, %d allowed", ErrBodyTooLarge, n, r.maxBody)
	}
	for r.w-r.r < n {
		if err := r.fill(); err != nil {
			return unexpected(err)
		}
	}
	f.body = r.buf[r.r : r.r+n : r.r+n]
	r.r += n
	return nil
}

// skipBlankLines drops line ends in front of a frame, which some senders leave behind a body.
func (r *Reader) skipBlankLines() error {
	for {
		for r.r < r.w && (r.buf[r.r] == '\n' || r.buf[r.r] == '\r') {
			r.r++
		}
		if r.r < r.w {
			return nil
		}
		if err := r.fill(); err != nil {
			return err
		}
	}
}

// header finds the lines of the block that starts at r.r and returns where the block ends, behind its
// empty line. Offsets count from r.r.
func (r *Reader) header(f *Frame) (end int, err error) {
	line := 0
	for scanned := 0; ; {
		i := bytes.IndexByte(r.buf[r.r+scanned:r.w], '\n')
		if i < 0 {
			scanned = r.w - r.r
			if scanned > MaxHeader {
				return 0, ErrHeaderTooLarge
			}
			if err := r.fill(); err != nil {
				return 0, unexpected(err)
			}
			continue
		}
		lf := scanned + i
		scanned = lf + 1
		if scanned > MaxHeader {
			return 0, ErrHeaderTooLarge
		}
		stop := lf
		if stop > line && r.buf[r.r+stop-1] == '\r' {
			stop--
		}
		if stop == line {
			return scanned, nil
		}
		if len(f.fields) == MaxFields {
			return 0, ErrHeaderTooLarge
		}
		f.fields = append(f.fields, parseField(r.buf[r.r:r.r+stop], line))
		line = scanned
	}
}

// parseField splits the line b[start:] at its first colon. One space behind the colon belongs to it.
func parseField(b []byte, start int) field {
	x := field{start: uint32(start), end: uint32(len(b))}
	colon := bytes.IndexByte(b[start:], ':')
	if colon < 0 {
		x.colon, x.value = x.end, x.end
		return x
	}
	x.colon = uint32(start + colon)
	x.value = x.colon + 1
	if x.value < x.end && b[x.value] == ' ' {
		x.value++
	}
	return x
}

// lengthOf reads the one Content-Length a frame may have. Two that differ would let one side see a
// frame where the other sees a body, so the second is refused.
func lengthOf(f *Frame, block []byte) (int, error) {
	n, seen := 0, false
	for _, x := range f.fields {
		if int(x.colon-x.start) != len(contentLength) || x.colon == x.end || !equalFold(block[x.start:x.colon], contentLength) {
			continue
		}
		v, ok := parseLength(block[x.value:x.end])
		if !ok || (seen && v != n) {
			return 0, fmt.Errorf("%w: %.20q", ErrContentLength, block[x.value:x.end])
		}
		n, seen = v, true
	}
	return n, nil
}

// parseLength takes plain digits only: no sign, no space, no more than nine of them.
func parseLength(b []byte) (int, bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// fill reads more bytes, making room first: by moving what is left to the front, else by doubling.
func (r *Reader) fill() error {
	if r.w == len(r.buf) {
		if r.r > 0 {
			r.w = copy(r.buf, r.buf[r.r:r.w])
			r.r = 0
		} else {
			grown := make([]byte, 2*len(r.buf))
			copy(grown, r.buf[:r.w])
			r.buf = grown
		}
	}
	for range 100 {
		n, err := r.src.Read(r.buf[r.w:])
		r.w += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// decode undoes URL-encoding once. A `%` without two hex digits behind it stays, and so does `+`.
func decode(raw []byte) string {
	if bytes.IndexByte(raw, '%') < 0 {
		return string(raw)
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] == '%' && i+2 < len(raw) {
			if hi, lo := unhex(raw[i+1]), unhex(raw[i+2]); hi < 16 && lo < 16 {
				out = append(out, hi<<4|lo)
				i += 2
				continue
			}
		}
		out = append(out, raw[i])
	}
	return string(out)
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}

// equalFold compares ASCII names without case.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		x, y := b[i], s[i]
		if x == y {
			continue
		}
		if x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z' {
			return false
		}
	}
	return true
}
