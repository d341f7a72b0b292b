package eslbridge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

const transcripts = "../standin/testdata/transcripts"

// transcript returns the bytes of one recorded direction of a real FreeSWITCH.
func transcript(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(transcripts, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func allTranscripts(t testing.TB, pattern string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(transcripts, pattern))
	if err != nil || len(names) < 10 {
		t.Fatalf("%d transcripts found for %s (%v)", len(names), pattern, err)
	}
	out := make(map[string][]byte)
	for _, n := range names {
		out[filepath.Base(n)] = transcript(t, filepath.Base(n))
	}
	return out
}

// frames reads a stream to its end.
func frames(r *Reader) ([]string, error) {
	var out []string
	var f Frame
	for {
		if err := r.Next(&f); err != nil {
			if err == io.EOF {
				return out, nil
			}
			return out, err
		}
		out = append(out, string(f.AppendTo(nil)))
	}
}

// Every recorded byte of the real switch is read and printed again as it was, however the stream is cut.
func TestTranscriptsReadAndPrintedAgain(t *testing.T) {
	for name, raw := range allTranscripts(t, "*.raw") {
		if len(raw) == 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			whole, err := frames(NewReader(bytes.NewReader(raw), 0))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(whole, ""); got != string(raw) {
				t.Fatalf("printed again it differs at byte %d", firstDifference(got, string(raw)))
			}
			for cut, r := range map[string]io.Reader{
				"byte by byte": iotest.OneByteReader(bytes.NewReader(raw)),
				"halves":       iotest.HalfReader(bytes.NewReader(raw)),
				"with the end": iotest.DataErrReader(bytes.NewReader(raw)),
			} {
				got, err := frames(NewReader(r, 0))
				if err != nil || strings.Join(got, "") != string(raw) {
					t.Errorf("%s: %v, or the frames differ", cut, err)
				}
			}
		})
	}
}

func firstDifference(a, b string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func TestFrame(t *testing.T) {
	stream := "Content-Type: api/response\r\nContent-Length: 1\r\n\r\n-" +
		"\n\nconnect\n\n" +
		"sendmsg\ncall-command: execute\nexecute-app-arg:  two spaces\nempty:\nno-space:x: y\n\n"
	r := NewReader(strings.NewReader(stream), 0)
	var f Frame
	if err := r.Next(&f); err != nil || f.Type() != typeAPI || string(f.Body()) != "-" || f.OK() {
		t.Fatalf("one-byte api/response: %v, type %q, body %q, ok %v", err, f.Type(), f.Body(), f.OK())
	}
	if err := r.Next(&f); err != nil || f.Len() != 1 || f.Type() != "" {
		t.Fatalf("bare command: %v, %d lines", err, f.Len())
	}
	if name, v := f.Field(0); string(name) != "connect" || v != nil {
		t.Fatalf("bare command reads %q %q", name, v)
	}
	if err := r.Next(&f); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"call-command": "execute", "Execute-App-Arg": " two spaces", "empty": "", "no-space": "x: y"} {
		if got, ok := f.Get(name); !ok || got != want {
			t.Errorf("%s: %q %v, want %q", name, got, ok, want)
		}
	}
	if _, ok := f.Get("sendmsg"); ok {
		t.Error("a line without a colon was taken for a header")
	}
	if err := r.Next(&f); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestReplyOK(t *testing.T) {
	for text, want := range map[string]bool{
		"Content-Type: command/reply\nReply-Text: +OK bye\n\n":                      true,
		"Content-Type: command/reply\nReply-Text: %2BOK%0A\n\n":                     true,
		"Content-Type: command/reply\nReply-Text: -ERR command not found\n\n":       false,
		"Content-Type: command/reply\n\n":                                           false,
		"Content-Type: api/response\nContent-Length: 4\n\n+OK\n":                    true,
		"Content-Type: api/response\nContent-Length: 22\n\n-ERR No such channel!\n": false,
		"Content-Type: api/response\nContent-Length: 0\n\n":                         false,
		"Content-Type: api/response\nContent-Length: 1\n\n1":                        true,
	} {
		var f Frame
		if err := NewReader(strings.NewReader(text), 0).Next(&f); err != nil {
			t.Errorf("%q: %v", text, err)
		} else if f.OK() != want {
			t.Errorf("%q: OK() is %v", text, f.OK())
		}
	}
}

func TestDecode(t *testing.T) {
	for raw, want := range map[string]string{
		"%2B8613800138000":        "+8613800138000",
		"a+b%20c":                 "a+b c",
		"%E5%BC%A0%E4%B8%89":      "张三",
		"caf%E9":                  "caf\xe9",
		"caf\xe9":                 "caf\xe9",
		"a%0Ab%0d":                "a\nb\r",
		"100%25":                  "100%",
		"%2525":                   "%25",
		"50% off %zz %2":          "50% off %zz %2",
		"":                        "",
		"%00":                     "\x00",
		"ARRAY%3A%3A2001%7C%3A20": "ARRAY::2001|:20",
	} {
		if got := decode([]byte(raw)); got != want {
			t.Errorf("decode(%q) = %q, want %q", raw, got, want)
		}
	}
}

// endless is a peer that sends the same bytes for ever and counts them.
type endless struct {
	text string
	sent int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e.text)
	}
	e.sent += n
	return n, nil
}

func TestReaderRefuses(t *testing.T) {
	big := strings.Repeat("9", 9)
	for name, c := range map[string]struct {
		in   io.Reader
		want error
	}{
		"a header without end":           {&endless{text: "AAAAAAAA"}, ErrHeaderTooLarge},
		"header lines without end":       {&endless{text: "a: b\n"}, ErrHeaderTooLarge},
		"a huge body":                    {strings.NewReader("Content-Length: " + big + "\n\n"), ErrBodyTooLarge},
		"a negative length":              {strings.NewReader("Content-Length: -1\n\n"), ErrContentLength},
		"a signed length":                {strings.NewReader("Content-Length: +1\n\nx"), ErrContentLength},
		"a length that overflows":        {strings.NewReader("Content-Length: 99999999999999999999\n\n"), ErrContentLength},
		"a hexadecimal length":           {strings.NewReader("Content-Length: 0x10\n\n"), ErrContentLength},
		"an empty length":                {strings.NewReader("Content-Length:\n\n"), ErrContentLength},
		"two lengths that differ":        {strings.NewReader("Content-Length: 1\ncontent-length: 2\n\nab"), ErrContentLength},
		"an end within the header":       {strings.NewReader("Content-Type: x\nab"), io.ErrUnexpectedEOF},
		"an end within the body":         {strings.NewReader("Content-Length: 3\n\nab"), io.ErrUnexpectedEOF},
		"nothing":                        {strings.NewReader(""), io.EOF},
		"nothing but line ends":          {strings.NewReader("\n\r\n\n"), io.EOF},
		"a source that gives no bytes":   {stuck{}, io.ErrNoProgress},
		"a source that breaks":           {iotest.ErrReader(errBroken), errBroken},
		"a body one byte over the limit": {strings.NewReader(fmt.Sprintf("Content-Length: %d\n\n", MaxBody+1)), ErrBodyTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader(c.in, 0)
			var f Frame
			if err := r.Next(&f); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if len(r.buf) > 4*MaxHeader {
				t.Errorf("%d bytes were taken", len(r.buf))
			}
			if err := r.Next(&f); !errors.Is(err, c.want) {
				t.Errorf("the reader went on after its error: %v", err)
			}
		})
	}
}

var errBroken = errors.New("cable cut")

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// A length that is merely announced costs nothing.
func TestBodyMemoryFollowsBytes(t *testing.T) {
	r := NewReader(io.MultiReader(strings.NewReader("Content-Length: 200000000\n\nabc")), 250<<20)
	var f Frame
	if err := r.Next(&f); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if len(r.buf) > firstBuffer {
		t.Errorf("three bytes of body took a buffer of %d", len(r.buf))
	}
}

// A value cannot end its line, whatever it holds.
func TestCommandsStayOneCommand(t *testing.T) {
	evil := "x\n\nexit\r\n\r\nsendmsg\ncall-command: hangup\x00\x7f"
	builders := map[string]func(c *commands){
		"setVariable": func(c *commands) { c.setVariable(evil, evil, evil) },
		"execute":     func(c *commands) { c.execute(evil, evil, evil) },
		"hangup":      func(c *commands) { c.hangup(evil) },
		"api":         func(c *commands) { c.api(evil) },
	}
	for name, build := range builders {
		var c commands
		build(&c)
		var f Frame
		r := NewReader(bytes.NewReader(c.buf), 0)
		if err := r.Next(&f); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := f.AppendTo(nil); !bytes.Equal(got, c.buf) || len(c.owed) != 1 {
			t.Errorf("%s wrote more than one command: %q", name, c.buf)
		}
		if err := r.Next(&f); err != io.EOF {
			t.Errorf("%s: %v behind the command", name, err)
		}
	}
}

func FuzzCommands(f *testing.F) {
	f.Add("playback", "x\n\nexit\n\n", "id")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		var cmd commands
		cmd.execute(a, b, c)
		cmd.setVariable(a, b, c)
		got, err := frames(NewReader(bytes.NewReader(cmd.buf), 0))
		if len(cmd.buf) > MaxHeader {
			return
		}
		if err != nil || len(got) != 2 {
			t.Fatalf("%d commands from two (%v): %q", len(got), err, cmd.buf)
		}
	})
}

// FuzzReader: whatever arrives, what was read prints to bytes that read the same, and no more memory is
// held than the limits allow.
func FuzzReader(f *testing.F) {
	for _, raw := range allTranscripts(f, "*.raw") {
		f.Add(raw)
	}
	f.Add([]byte("Content-Length: 3\r\n\r\nab\ncd: e\n\n"))
	f.Add([]byte("Content-Length: 1\nContent-Length: 1\n\nx\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		const maxBody = 32 << 10
		r := NewReader(bytes.NewReader(raw), maxBody)
		var a, b Frame
		for {
			err := r.Next(&a)
			if limit := 2 * (MaxHeader + maxBody); len(r.buf) > max(limit, firstBuffer) {
				t.Fatalf("a buffer of %d bytes", len(r.buf))
			}
			if err != nil {
				return
			}
			printed := a.AppendTo(nil)
			if err := NewReader(bytes.NewReader(printed), maxBody).Next(&b); err != nil {
				t.Fatalf("%q was read, printed as %q and not read again: %v", raw, printed, err)
			}
			if a.Len() != b.Len() || !bytes.Equal(a.Body(), b.Body()) || a.Type() != b.Type() {
				t.Fatalf("%q reads differently as %q", raw, printed)
			}
			for i := range a.Len() {
				an, av := a.Field(i)
				bn, bv := b.Field(i)
				if !bytes.Equal(an, bn) || !bytes.Equal(av, bv) || (av == nil) != (bv == nil) {
					t.Fatalf("line %d: %q %q became %q %q", i, an, av, bn, bv)
				}
			}
			if again := b.AppendTo(nil); !bytes.Equal(printed, again) {
				t.Fatalf("%q prints as %q the second time", printed, again)
			}
		}
	})
}
