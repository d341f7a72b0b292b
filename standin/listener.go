package standin

import (
	"bufio"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxPacket bounds a command, as the switch does.
const maxPacket = 10 << 20

// packet is a command as it came: a first line, headers, perhaps a body.
type packet struct {
	text    string // all lines but the empty one that ends it, joined by \n
	line    string // the first line
	headers headers
	body    string
	at      time.Time // when its last byte was read
	more    bool      // bytes of the next command had come with it
}

// listener is the switch's end of the socket. One goroutine reads packets, the
// other, run, does everything else. In sync mode that one is the channel's
// thread too, so that nothing is read while an application runs.
type listener struct {
	ch        *channel
	conn      net.Conn
	packets   chan *packet  // closed at the end of the stream
	quit      chan struct{} // closed when nobody takes packets any more
	connected chan struct{} // closed at the first `connect`
	gone      chan struct{} // closed when run has ended

	// Of run alone:
	running    bool
	first      bool // the command in hand is the first
	linger     bool
	lingerFor  time.Duration // negative: until the peer goes
	lingerFrom time.Time
	hungUp     bool // the peer knows, or is about to, that the channel is down
	resume     bool
	late       bool // the peer's socket can no longer be written
	more       bool // the next command is here, but read may not have handed it over yet

	mu      sync.Mutex // guards what follows
	enabled bool
	mine    bool // myevents
	all     bool
	list    map[string]bool // by event name
	filters []Header
	events  [][]byte // not yet sent
}

func newListener(ch *channel, conn net.Conn) *listener {
	l := &listener{
		ch:        ch,
		conn:      conn,
		packets:   make(chan *packet),
		quit:      make(chan struct{}),
		connected: make(chan struct{}),
		gone:      make(chan struct{}),
		list:      make(map[string]bool),
	}
	go l.read()
	return l
}

// read turns the stream into packets until it ends.
func (l *listener) read() {
	defer close(l.packets)
	r := bufio.NewReader(l.conn)
	for {
		p, err := readPacket(r, l.ch.fault)
		if err != nil {
			return
		}
		p.at, p.more = time.Now(), r.Buffered() > 0
		select {
		case l.packets <- p:
		case <-l.quit:
			return
		}
	}
}

var errTooLong = errors.New("command longer than 10 MiB")

// readPacket reads one command: lines up to an empty one. Empty lines before
// it are skipped, and CR before LF does not count.
func readPacket(r *bufio.Reader, fault func(string, ...any)) (*packet, error) {
	var raw []byte
	newlines := 0
	for newlines < 2 {
		c, err := r.ReadByte()
		if err != nil {
			return nil, err
		}
		if len(raw) == 0 && (c == '\r' || c == '\n') {
			continue
		}
		if len(raw) >= maxPacket {
			fault("a command of more than 10 MiB")
			return nil, errTooLong
		}
		raw = append(raw, c)
		switch c {
		case '\n':
			newlines++
		case '\r':
		default:
			newlines = 0
		}
	}
	p := &packet{}
	text := strings.TrimRight(string(raw), "\r\n")
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, line := range lines {
		if strings.ContainsAny(line, "\r\x00") {
			fault("line %q: a carriage return or NUL inside a value", line)
			line, _, _ = strings.Cut(line, "\r")
			lines[i] = line
		}
		if i == 0 {
			p.line = line
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			fault("line %q under %q is no header: did a value hold a line break?", line, p.line)
			continue
		}
		p.headers.add(name, strings.TrimLeft(value, " "))
	}
	p.text = strings.Join(lines, "\n")
	if text, ok := p.headers.get("Content-Length"); ok {
		n, _ := strconv.Atoi(text)
		if n > maxPacket {
			fault("a body of %d bytes", n)
			return nil, errTooLong
		}
		body := make([]byte, max(n, 0))
		for i := range body {
			c, err := r.ReadByte()
			if err != nil {
				return nil, err
			}
			body[i] = c
		}
		p.body = string(body)
	}
	return p, nil
}

// run serves the peer until the socket, the peer or the call ends it.
func (l *listener) run() {
	defer close(l.gone)
	defer close(l.quit)
	l.running, l.first = true, true
	patience := time.NewTimer(l.ch.sw.connectWait())
	defer patience.Stop()
	for l.running {
		p, ok := l.next(patience.C)
		if !ok {
			break
		}
		patience.Stop()
		l.handle(p)
		l.first = false
	}
	// Only now the channel learns that the listener has ended, and only after
	// that the peer: whoever waits for the notice finds the call given back.
	l.ch.listenerEnded(l.resume)
	const goodbye = "Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
	l.write("Content-Type: text/disconnect-notice\n" +
		"Controlled-Session-UUID: " + l.ch.uuid + "\n" +
		"Content-Disposition: disconnect\n" +
		"Content-Length: " + strconv.Itoa(len(goodbye)) + "\n\n")
	l.write(goodbye)
	if c, ok := l.conn.(*net.TCPConn); ok {
		c.CloseWrite()
	}
	l.conn.Close()
}

// next waits for a packet. Between packets it sends the events that have
// gathered and looks whether the call is still there, every 20 ms if nothing
// comes. It returns false when the listener has to end.
func (l *listener) next(patience <-chan time.Time) (*packet, bool) {
	for {
		// Whoever hung up or was hung up on is not listened to any more.
		if p, ok, any := l.poll(); any && !(l.channelOver() && !l.linger) {
			return p, ok
		}
		sent := l.flush()
		if l.hungUp && l.lingerFor >= 0 && time.Since(l.lingerFrom) > l.lingerFor {
			return nil, false
		}
		if l.channelOver() {
			if !l.linger {
				l.flush()
				return nil, false
			}
			if !l.hungUp {
				l.hungUp, l.lingerFrom = true, time.Now()
				seconds := int(l.lingerFor / time.Second)
				if l.lingerFor < 0 {
					seconds = -1
				}
				l.write("Content-Type: text/disconnect-notice\n" +
					"Controlled-Session-UUID: " + l.ch.uuid + "\n" +
					"Content-Disposition: linger\n" +
					"Channel-Name: " + l.ch.profile.channelName + "\n" +
					"Linger-Time: " + strconv.Itoa(seconds) + "\n" +
					"Content-Length: 0\n\n")
			}
		}
		if sent {
			continue
		}
		t := time.NewTimer(pollEvery)
		select {
		case p, ok := <-l.packets:
			t.Stop()
			if l.channelOver() && !l.linger {
				continue
			}
			l.more = p != nil && p.more
			return p, ok
		case <-patience:
			t.Stop()
			return nil, false
		case <-t.C:
		}
	}
}

// poll takes a packet that is there already. The switch reads its socket and sends events in one thread, so
// that commands written in one piece are all taken before an event goes out; here read may lag behind.
func (l *listener) poll() (p *packet, ok, any bool) {
	if l.more {
		l.more = false
		t := time.NewTimer(pollEvery)
		defer t.Stop()
		select {
		case p, ok = <-l.packets:
		case <-t.C:
			return nil, false, false
		}
	} else {
		select {
		case p, ok = <-l.packets:
		default:
			return nil, false, false
		}
	}
	l.more = p != nil && p.more
	return p, ok, true
}

// channelOver reports whether the call was hung up, and its last events are out.
func (l *listener) channelOver() bool {
	if !l.ch.isDown() {
		return false
	}
	return !l.ch.call.Async || closed(l.ch.ended)
}

// write sends to the peer. Head and body of a frame are written apart, as the
// switch does, so that a peer may read the one without the other. What cannot be sent is lost: the end of the stream tells.
func (l *listener) write(text string) {
	if l.late {
		return
	}
	l.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if _, err := l.conn.Write([]byte(text)); err != nil {
		l.late = true
	}
}

// reply sends a command/reply, but not to the peer's first command: the switch
// throws that one away, whatever it is. (`connect` answers for itself.)
func (l *listener) reply(text string) {
	if text == "" {
		text = "-ERR command not found"
	}
	if l.first {
		return
	}
	l.write("Content-Type: command/reply\nReply-Text: " + text + "\n\n")
}

// wants reports whether the peer gets events of this name.
func (l *listener) wants(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.enabled && (l.all || l.list[name])
}

func (l *listener) deliver(event []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.passes(event) {
		l.events = append(l.events, event)
	}
}

// passes applies the peer's filters: with any set, an event needs one that fits.
func (l *listener) passes(event []byte) bool {
	if len(l.filters) == 0 {
		return true
	}
	for _, f := range l.filters {
		if strings.Contains("\n"+strings.ToLower(string(event)), "\n"+strings.ToLower(f.Name+": "+string(appendEncoded(nil, f.Value)))+"\n") {
			return true
		}
	}
	return false
}

// flush sends the events that have gathered.
func (l *listener) flush() bool {
	l.mu.Lock()
	events := l.events
	l.events = nil
	l.mu.Unlock()
	for _, e := range events {
		l.write("Content-Length: " + strconv.Itoa(len(e)) + "\nContent-Type: text/event-plain\n\n")
		l.write(string(e))
	}
	return len(events) > 0
}
