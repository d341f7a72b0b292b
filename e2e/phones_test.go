package e2e_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/e2e/asterisk"
)

// phone is one end of SIP over UDP on loopback, as much of RFC 3261 as a test call needs. It answers every
// INVITE (the handset), and it can place one (the caller).
type phone struct {
	t    testing.TB
	conn *net.UDPConn
	addr string

	rtp *net.UDPConn

	mu       sync.Mutex
	ringFor  time.Duration // how long the handset rings before it answers
	endAfter time.Duration // how long after its answer the handset hangs up; 0 is never
	refusal  string        // with what the handset refuses, "" if it answers
	audio    []audio
	far      *net.UDPAddr                     // where audio comes from
	invites  map[string]invite                // by callee's user part: what the handset was shown
	dialogs  map[string]chan asterisk.Message // by Call-ID: answers for the caller
	hold     time.Duration                    // how long an answered call is held before the caller hangs up
	keys     func(heard string) string        // what the caller keys in, once, when so many digits were read out; nil for nothing
}

// audio is one RTP packet of G.711 µ-law that came in.
type audio struct {
	at   time.Time
	loud bool // above silence
	tone int  // the digit that is played, as digitTone plays it; -1 for none
}

// invite is what the handset got.
type invite struct {
	from string // the From header
	at   time.Time
}

func newPhone(t testing.TB) *phone {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	rtp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p := &phone{t: t, conn: conn, rtp: rtp, addr: conn.LocalAddr().String(), invites: map[string]invite{}, dialogs: map[string]chan asterisk.Message{}}
	var done sync.WaitGroup
	done.Go(p.listen)
	done.Go(p.hear)
	t.Cleanup(func() { conn.Close(); rtp.Close(); done.Wait() })
	return p
}

// hear notes the audio that comes in.
func (p *phone) hear() {
	buf := make([]byte, 2048)
	for {
		n, from, err := p.rtp.ReadFromUDP(buf)
		if err != nil {
			return
		}
		loud := 0
		for _, b := range buf[min(12, n):n] {
			if b&0x7f < 0x60 { // µ-law, inverted: small numbers are loud
				loud++
			}
		}
		p.mu.Lock()
		p.far = from
		p.audio = append(p.audio, audio{time.Now(), loud > (n-12)/4, toneOf(buf[min(12, n):n])})
		p.mu.Unlock()
	}
}

// breathe sends silence, as a real phone does, to where audio comes from, until ctx ends. Asterisk looks after keys only
// when something comes in.
func (p *phone) breathe(ctx context.Context) {
	packet := append([]byte{0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, bytes.Repeat([]byte{0xff}, 160)...)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := uint32(1); ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.mu.Lock()
		far := p.far
		p.mu.Unlock()
		if far != nil {
			binary.BigEndian.PutUint16(packet[2:], uint16(n))
			binary.BigEndian.PutUint32(packet[4:], 160*n)
			p.rtp.WriteToUDP(packet, far)
		}
	}
}

// ringsFor lets the handset ring for so long before it answers, from now on.
func (p *phone) ringsFor(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ringFor = d
}

// heardAfter is how much loud audio came in after a moment.
func (p *phone) heardAfter(t time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, a := range p.audio {
		if a.loud && a.at.After(t) {
			n++
		}
	}
	return time.Duration(n) * 20 * time.Millisecond
}

func (p *phone) listen() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := p.conn.ReadFromUDP(buf)
		if err != nil {
			return
		}
		m, ok := asterisk.ParseMessage(buf[:n])
		if !ok {
			continue
		}
		method := m.Method()
		switch {
		case m.Status() != "":
			p.mu.Lock()
			ch := p.dialogs[m.Get("Call-ID")]
			p.mu.Unlock()
			if ch != nil {
				select {
				case ch <- m:
				default: // a retransmission nobody waits for
				}
			}
		case method == "INVITE":
			p.ring(m, from)
		case method == "BYE", method == "CANCEL", method == "OPTIONS":
			p.reply(m, from, "200 OK", "")
			p.mu.Lock()
			ch := p.dialogs[m.Get("Call-ID")]
			p.mu.Unlock()
			if ch != nil && method == "BYE" {
				select {
				case ch <- m:
				default:
				}
			}
		}
	}
}

// ring notes the INVITE and answers it at once.
func (p *phone) ring(m asterisk.Message, from *net.UDPAddr) {
	user := m.To()
	p.mu.Lock()
	if _, seen := p.invites[user]; !seen {
		p.invites[user] = invite{from: m.Get("From"), at: time.Now()}
	}
	ringFor, endAfter, refusal := p.ringFor, p.endAfter, p.refusal
	p.mu.Unlock()
	if refusal != "" {
		p.reply(m, from, refusal, "")
		return
	}
	p.reply(m, from, "180 Ringing", "")
	time.AfterFunc(ringFor, func() { p.reply(m, from, "200 OK", p.sdp()) })
	if endAfter > 0 {
		time.AfterFunc(ringFor+endAfter, func() { p.bye(m, from) })
	}
}

// hangsUpAfter lets the handset end each call so long after it answered, from now on.
func (p *phone) hangsUpAfter(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endAfter = d
}

// refuses lets the handset refuse each call with a SIP status, from now on; "" lets it answer again.
func (p *phone) refuses(status string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusal = status
}

// bye ends a call that came in.
func (p *phone) bye(invite asterisk.Message, to *net.UDPAddr) {
	contact := strings.Trim(strings.SplitN(invite.Get("Contact"), ";", 2)[0], "<>")
	p.conn.WriteToUDP(fmt.Appendf(nil, "BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKbye%d;rport\r\nMax-Forwards: 70\r\nFrom: %s;tag=phone\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n",
		contact, p.addr, time.Now().UnixNano(), invite.Get("To"), invite.Get("From"), invite.Get("Call-ID")), to)
}

func (p *phone) sdp() string {
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n",
		p.rtp.LocalAddr().(*net.UDPAddr).Port)
}

func (p *phone) reply(m asterisk.Message, to *net.UDPAddr, status, body string) {
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %s\r\n", status)
	for _, h := range m.Headers {
		switch strings.ToLower(h[0]) {
		case "via", "from", "call-id", "cseq", "record-route":
			fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
		case "to":
			fmt.Fprintf(&b, "To: %s;tag=phone\r\n", h[1])
		}
	}
	fmt.Fprintf(&b, "Contact: <sip:phone@%s>\r\n", p.addr)
	if body != "" {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	p.conn.WriteToUDP([]byte(b.String()), to)
}

// heard is what a caller met.
type heard struct {
	final      string   // "603 Decline", "200 OK"; "" if the caller gave up waiting
	seen       []string // every response but 100, in order, each once
	callInfo   string   // the Call-Info and Reason headers of the final one
	reason     string
	earlyMedia bool // 183
	took       time.Duration
	torn       time.Duration // when the far end hung up on us, from the INVITE; 0 if it did not
}

// dial places a call and returns when it is answered or refused; it hangs up an answered one.
func (p *phone) dial(ctx context.Context, server, from, display, to string, extra ...string) (heard, error) {
	dst, err := net.ResolveUDPAddr("udp", server)
	if err != nil {
		return heard{}, err
	}
	id := fmt.Sprintf("%d-%s@e2e", time.Now().UnixNano(), from)
	ch := make(chan asterisk.Message, 64)
	p.mu.Lock()
	p.dialogs[id] = ch
	p.mu.Unlock()
	defer func() { p.mu.Lock(); delete(p.dialogs, id); p.mu.Unlock() }()
	request := func(method, cseq, toTag, branch, body string, extra ...string) {
		var b strings.Builder
		fmt.Fprintf(&b, "%s sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%s;rport\r\nMax-Forwards: 70\r\n", method, to, server, p.addr, branch, strings.SplitN(id, "-", 2)[0])
		fmt.Fprintf(&b, "From: %s <sip:%s@127.0.0.1>;tag=caller\r\nTo: <sip:%s@%s>%s\r\nCall-ID: %s\r\nCSeq: %s\r\nContact: <sip:caller@%s>\r\n", display, from, to, server, toTag, id, cseq, p.addr)
		for _, h := range extra {
			b.WriteString(h + "\r\n")
		}
		if body != "" && method == "INVITE" {
			b.WriteString("Content-Type: application/sdp\r\n")
		}
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
		p.conn.WriteToUDP([]byte(b.String()), dst)
	}
	start := time.Now()
	request("INVITE", "1 INVITE", "", "a", p.sdp(), extra...)
	var h heard
	again := time.NewTicker(500 * time.Millisecond) // T1: a busy machine loses datagrams
	defer again.Stop()
	for {
		select {
		case <-again.C:
			request("INVITE", "1 INVITE", "", "a", p.sdp(), extra...)
		case <-ctx.Done():
			request("CANCEL", "1 CANCEL", "", "a", "")
			return h, errors.New("no final answer")
		case m := <-ch:
			if !strings.Contains(m.Get("CSeq"), "INVITE") {
				continue
			}
			again.Stop()
			tag := ""
			if _, t, ok := strings.Cut(m.Get("To"), "tag="); ok {
				tag = ";tag=" + t
			}
			s := m.Status()
			if code, _, _ := strings.Cut(s, " "); code != "100" && !slices.Contains(h.seen, code) {
				h.seen = append(h.seen, code)
			}
			h.callInfo, h.reason = m.Get("Call-Info"), m.Get("Reason")
			switch {
			case strings.HasPrefix(s, "183"):
				h.earlyMedia = true
			case strings.HasPrefix(s, "1"):
			case strings.HasPrefix(s, "2"):
				h.final, h.took = s, time.Since(start)
				request("ACK", "1 ACK", tag, "b", "")
				cseq := 2
				look := time.NewTicker(20 * time.Millisecond)
				defer look.Stop()
				keys := p.keys
				if keys != nil {
					breath, stop := context.WithCancel(ctx)
					defer stop()
					go p.breathe(breath)
				}
				for end := time.After(p.hold); ; {
					select {
					case m := <-ch:
						if strings.HasPrefix(m.Start, "BYE") {
							h.torn = time.Since(start)
							return h, nil
						}
						if strings.HasPrefix(m.Status(), "2") && strings.Contains(m.Get("CSeq"), "INVITE") {
							request("ACK", "1 ACK", tag, "b", "") // the first was lost
						}
						continue
					case <-look.C:
						if keys == nil {
							continue
						}
						for _, key := range keys(p.digitsHeard(start)) {
							request("INFO", fmt.Sprintf("%d INFO", cseq), tag, fmt.Sprint("i", cseq), fmt.Sprintf("Signal=%c\r\nDuration=160\r\n", key), "Content-Type: application/dtmf-relay")
							cseq++
							keys = nil
						}
						continue
					case <-end:
					}
					break
				}
				request("BYE", fmt.Sprintf("%d BYE", cseq), tag, "c", "")
				return h, nil
			default:
				h.final, h.took = s, time.Since(start)
				request("ACK", "1 ACK", tag, "a", "")
				return h, nil
			}
		}
	}
}

// forget lets a callee's number ring anew.
func (p *phone) forget(callee string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.invites, callee)
}

// invited says what the handset of a callee was shown.
func (p *phone) invited(callee string) (invite, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.invites[callee]
	return i, ok
}
