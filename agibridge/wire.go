// Package agibridge is the side of the daemon that Asterisk's AGI application connects to.
package agibridge

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The wire of FastAGI, as Asterisk 16 and 22 speak it. AGI(agi://host:port/path,argument,…) connects, and
// Asterisk writes what it knows of the call, a line each, then an empty line:
//
//	agi_channel: PJSIP/telecom-0000001f
//	agi_callerid: 95211613
//	…
//	agi_threadid: 140394016495360
//	agi_arg_1: callee=05925550100
//
// Lines end in LF alone; what is missing reads "unknown". Nothing is escaped: a caller who writes %0A into the
// user part of their address puts a line end into agi_callerid (Asterisk 16 with PJSIP lets it through), and so adds
// lines of their own, an empty one too.
//
// Then the server says commands, one at a time: a second one before the first is answered is lost. The answer is
// a line:
//
//	200 result=1 (value)     the command was run; -1 where it failed
//	510 …                    no such command
//	511 …                    the caller is gone, and the command needs them
//	520-… to 520 End …       wrong usage, several lines
//
// and HANGUP comes unasked, on a line of its own, when the caller goes. Until the server then closes the
// connection, the caller's side waits for its final response. A command line of 2 kB and more is not read as one.
// Arguments are words, or stand in double quotes with a backslash before " and \.

// Bounds of what is read. Asterisk's own block has some 25 lines of less than 100 bytes; a caller can make a line of it
// as long as their INVITE, 64 kB. What is longer than the first is cut and not refused: nobody is let through for it.
const (
	maxLine   = 4 << 10   // kept of a line
	maxAnswer = 256 << 10 // of the answer to a question; the headers asked for are of one INVITE
	maxRead   = 16 << 20  // of all that comes on a connection
	maxValue  = 900       // bytes of one argument; escaped it may double
)

// errWire is what came that is not in the protocol.
var errWire = errors.New("not as Asterisk speaks")

// reader reads lines.
type reader struct {
	b    *bufio.Reader
	long []byte // of a line that is longer than the buffer
	read int    // bytes so far
}

func newReader() *reader { return &reader{b: bufio.NewReaderSize(nil, 4<<10)} }

func (r *reader) reset(from io.Reader) {
	r.b.Reset(from)
	r.read = 0
	if cap(r.long) > 4*maxLine {
		r.long = nil // one hostile caller does not fatten the pool
	}
}

// line reads one line without its end, of which it keeps about so many bytes. It is good until the next.
func (r *reader) line(keep int) ([]byte, error) {
	s, err := r.piece()
	if err == bufio.ErrBufferFull {
		r.long = append(r.long[:0], s...)
		for err == bufio.ErrBufferFull {
			s, err = r.piece()
			if len(r.long) < keep {
				r.long = append(r.long, s...)
			}
		}
		s = r.long
	}
	if err != nil {
		if err == io.EOF && len(s) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(s, []byte{'\n'}), []byte{'\r'}), nil
}

// piece reads to the end of a line, or as much of it as the buffer has room for.
func (r *reader) piece() ([]byte, error) {
	s, err := r.b.ReadSlice('\n')
	if r.read += len(s); r.read > maxRead {
		return nil, fmt.Errorf("%w: more than %d bytes", errWire, maxRead)
	}
	return s, err
}

// block hands on the lines up to the first empty one.
func (r *reader) block(to func(line []byte)) error {
	for {
		l, err := r.line(maxLine)
		if err != nil {
			return err
		}
		if len(l) == 0 {
			return nil
		}
		to(l)
	}
}

// reply is the answer to a command.
type reply struct {
	code   int
	result string // what follows "result=", up to a space
	rest   string // what follows that, as in "(timeout)" or "endpos=3520"
}

// number is the result as a number; ok is false where it is none.
func (r reply) number() (n int, ok bool) {
	n, err := strconv.Atoi(r.result)
	return n, err == nil
}

// parseReply reads an answer's first line. more says that others belong to it.
func parseReply(line string) (r reply, more, ok bool) {
	if len(line) < 4 || strings.Trim(line[:3], "0123456789") != "" || line[3] != ' ' && line[3] != '-' {
		return reply{}, false, false
	}
	r.code, _ = strconv.Atoi(line[:3])
	text := line[4:]
	if result, ok := strings.CutPrefix(text, "result="); ok {
		r.result, r.rest, _ = strings.Cut(result, " ")
	} else {
		r.rest = text
	}
	return r, line[3] == '-', true
}

// Every command is made here; no value can end its line, or an argument.

// setVariable sets a channel variable or writes a dialplan function, as in CALLERID(name). Neither is expanded
// (res_agi.c, handle_setvariable).
func setVariable(name, value string) []byte { return command("SET VARIABLE", name, value) }

// streamFile plays a file, named without its ending, until it is over or one of the keys is pressed.
func streamFile(file, keys string) []byte { return command("STREAM FILE", file, keys) }

// read plays a file, "" for none, and puts up to n keys into a variable, also while the call is not answered. From one
// key to the next the caller has the time given, in whole seconds.
func read(variable, file string, n int, each time.Duration) []byte {
	return command("EXEC Read", fmt.Sprintf("%s,%s,%d,n,1,%d", variable, file, n, int(each.Seconds())))
}

// getFull has Asterisk expand an expression. Nothing of a caller's may be in it.
func getFull(expression string) []byte { return command("GET FULL VARIABLE", expression) }

// plainCommand is one that takes no arguments.
func plainCommand(name string) []byte { return command(name) }

func command(name string, args ...string) []byte {
	b := append(make([]byte, 0, 128), name...)
	for _, a := range args {
		b = append(b, ' ', '"')
		b = appendValue(b, a)
		b = append(b, '"')
	}
	return append(b, '\n')
}

// appendValue appends at most maxValue bytes of v, whole characters, with control characters made spaces.
func appendValue(b []byte, v string) []byte {
	if len(v) > maxValue {
		v = v[:maxValue]
		for len(v) > 0 {
			if r, n := utf8.DecodeLastRuneInString(v); r != utf8.RuneError || n != 1 {
				break
			}
			v = v[:len(v)-1]
		}
	}
	for i := range len(v) {
		c := v[i]
		switch {
		case c < 0x20 || c == 0x7f:
			c = ' '
		case c == '"' || c == '\\':
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return b
}
