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
// user part of his address puts a line end into agi_callerid (Asterisk 16 with PJSIP lets it through), and so adds
// lines of his own, an empty one too.
//
// Then the server says commands, one at a time: a second one before the first is answered is lost. The answer is
// a line:
//
//	200 result=1 (value)     the command was run; -1 where it failed
//	510 …                    no such command
//	511 …                    the caller is gone, and the command needs him
//	520-… to 520 End …       wrong usage, several lines
//
// and HANGUP comes unasked, on a line of its own, when the caller goes. Until the server then closes the
// connection, the caller's side waits for its final response. A command line of 2 kB and more is not read as one.
// Arguments are words, or stand in double quotes with a backslash before " and \.

// Bounds of what is read. Asterisk's own block has some 25 lines of less than 100 bytes.
const (
	maxLine  = 8 << 10
	maxBlock = 64 << 10 // everything before the call's facts are known
	maxValue = 900      // bytes of one argument; escaped it may double
)

// errWire is what came that is not in the protocol.
var errWire = errors.New("not as Asterisk speaks")

// reader reads lines.
type reader struct {
	b    *bufio.Reader
	long []byte // of a line that is longer than the buffer
}

func newReader() *reader { return &reader{b: bufio.NewReaderSize(nil, 4<<10)} }

func (r *reader) reset(from io.Reader) { r.b.Reset(from) }

// line reads one line without its end. It is good until the next.
func (r *reader) line() ([]byte, error) {
	s, err := r.b.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		r.long = append(r.long[:0], s...)
		for err == bufio.ErrBufferFull {
			if len(r.long) > maxLine {
				return nil, fmt.Errorf("%w: a line of more than %d bytes", errWire, maxLine)
			}
			s, err = r.b.ReadSlice('\n')
			r.long = append(r.long, s...)
		}
		s = r.long
	}
	if err != nil {
		if err == io.EOF && len(s) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return bytes.TrimSuffix(s[:len(s)-1], []byte{'\r'}), nil
}

// block reads lines up to the first empty one.
func (r *reader) block() ([]string, error) {
	var lines []string
	for size := 0; ; {
		l, err := r.line()
		if err != nil {
			return nil, err
		}
		if len(l) == 0 {
			return lines, nil
		}
		if size += len(l) + 1; size > maxBlock {
			return nil, fmt.Errorf("%w: more than %d bytes before the call", errWire, maxBlock)
		}
		lines = append(lines, string(l))
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
