package standin

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// peer is a daemon written by hand, one per test.
type peer struct {
	t    *testing.T
	conn *net.TCPConn
	r    *bufio.Reader
	uuid string // known after connect
}

// send writes commands as they are, each closed by an empty line.
func (p *peer) send(commands ...string) {
	p.t.Helper()
	for _, c := range commands {
		if _, err := io.WriteString(p.conn, c+"\n\n"); err != nil {
			p.t.Errorf("send %q: %v", c, err)
		}
	}
}

// next is the next frame. It is empty at the end of the stream.
func (p *peer) next() frame {
	p.t.Helper()
	f, err := readFrame(p.r)
	if err != nil && err != io.EOF {
		p.t.Errorf("read: %v", err)
	}
	return f
}

// ask sends a command and returns what its reply says.
func (p *peer) ask(command string) string {
	p.t.Helper()
	p.send(command)
	for {
		f := p.next()
		switch f.get("Content-Type") {
		case "command/reply":
			return f.get("Reply-Text")
		case "text/event-plain":
		default:
			return f.body
		}
	}
}

func (p *peer) connect() {
	p.t.Helper()
	p.send("connect")
	p.uuid = p.next().get("Unique-ID")
	if p.uuid == "" {
		p.t.Error("no reply to connect")
	}
}

func (p *peer) execute(app, arg string) string {
	p.t.Helper()
	text := "sendmsg\ncall-command: execute\nexecute-app-name: " + app
	if arg != "" {
		text += "\nexecute-app-arg: " + arg
	}
	return p.ask(text)
}

// event waits for an event of that name, of that application if one is given.
func (p *peer) event(name, application string) frame {
	p.t.Helper()
	for {
		f := p.next()
		if f.head == nil {
			p.t.Errorf("the stream ended before %s", name)
			return f
		}
		e := f.event()
		if e.get("Event-Name") == name && (application == "" || e.get("Application") == application) {
			return e
		}
	}
}

// rest reads to the end of the stream.
func (p *peer) rest() (all []frame) {
	for {
		f, err := readFrame(p.r)
		if err != nil {
			return all
		}
		all = append(all, f)
	}
}

// reset closes the connection so that the switch gets a RST.
func (p *peer) reset() {
	p.conn.SetLinger(0)
	p.conn.Close()
}

// meet places a call to a daemon that behaves as the function says, and
// returns what became of it. The connection is closed when the function ends.
func meet(t *testing.T, sw *Switch, c Call, daemon func(p *peer)) (Result, error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	sw.Address = listener.Addr().String()
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		daemon(&peer{t: t, conn: conn.(*net.TCPConn), r: bufio.NewReader(conn)})
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := sw.Place(ctx, c)
	<-served
	return r, err
}

// screen is meet for calls that must not fail.
func screen(t *testing.T, c Call, daemon func(p *peer)) Result {
	t.Helper()
	r, err := meet(t, &Switch{}, c, daemon)
	if err != nil {
		t.Error(err)
	}
	return r
}

var modes = []struct {
	name          string
	async, resume bool
}{
	{"sync", false, false},
	{"async and socket_resume", true, true},
	{"async alone", true, false},
}

func mobile(to string) Call { return Call{From: "13800138000", Display: "张三", To: to} }

// wav writes a silent WAV file of that length, 8 kHz mono.
func wav(t *testing.T, length time.Duration) string {
	t.Helper()
	size := uint32(length * 16000 / time.Second)
	var b []byte
	b = append(b, "RIFF"...)
	b = binary.LittleEndian.AppendUint32(b, 36+8+4+size)
	b = append(b, "WAVELIST"...) // a chunk that is not needed comes first
	b = binary.LittleEndian.AppendUint32(b, 4)
	b = append(b, "INFOfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	for _, x := range []uint16{1, 1, 8000, 0, 16000, 0, 2, 16} {
		b = binary.LittleEndian.AppendUint16(b, x)
	}
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, size)
	b = append(b, make([]byte, size)...)
	file := filepath.Join(t.TempDir(), "warning.wav")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func contains(list []string, part string) bool {
	for _, s := range list {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}
