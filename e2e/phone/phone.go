// Package phone is a telephone for tests: one end of SIP over UDP on loopback, which calls, rings, hears tones and keys in
// digits.
package phone

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/e2e/sip"
)

// Phone is one end of SIP over UDP on loopback, as much of RFC 3261 as a test call needs. It answers every
// INVITE (the handset), and it can place one (the caller).
type Phone struct {
	t    testing.TB
	conn *net.UDPConn
	Addr string

	rtp *net.UDPConn

	mu       sync.Mutex
	ringFor  time.Duration // how long the handset rings before it answers
	endAfter time.Duration // how long after its answer the handset hangs up; 0 is never
	refusal  string        // with what the handset refuses, "" if it answers
	audio    []audio
	far      *net.UDPAddr                // where audio comes from
	invites  map[string]invite           // by callee's user part: what the handset was shown
	dialogs  map[string]chan sip.Message // by Call-ID: answers for the caller
	Hold     time.Duration               // how long an answered call is held before the caller hangs up
	Keys     func(heard string) string   // what the caller keys in, once, when so many digits were read out; nil for nothing
}

// audio is one RTP packet of G.711 µ-law that came in.
type audio struct {
	at   time.Time
	loud bool // above silence
	tone int  // the digit that is played, as digitTone plays it; -1 for none
}

// invite is what the handset got.
type invite struct {
	From string // the From header
	At   time.Time
}

// New is a phone that is there until the test ends.
func New(t testing.TB) *Phone {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	rtp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p := &Phone{t: t, conn: conn, rtp: rtp, Addr: conn.LocalAddr().String(), invites: map[string]invite{}, dialogs: map[string]chan sip.Message{}}
	var done sync.WaitGroup
	done.Go(p.listen)
	done.Go(p.hear)
	t.Cleanup(func() { conn.Close(); rtp.Close(); done.Wait() })
	return p
}

// hear notes the audio that comes in.
func (p *Phone) hear() {
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
func (p *Phone) breathe(ctx context.Context) {
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

// RingsFor lets the handset ring for so long before it answers, from now on.
func (p *Phone) RingsFor(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ringFor = d
}

// HeardAfter is how much loud audio came in after a moment.
func (p *Phone) HeardAfter(t time.Time) time.Duration {
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

func (p *Phone) listen() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := p.conn.ReadFromUDP(buf)
		if err != nil {
			return
		}
		m, ok := sip.Parse(buf[:n])
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
func (p *Phone) ring(m sip.Message, from *net.UDPAddr) {
	user := m.To()
	p.mu.Lock()
	if _, seen := p.invites[user]; !seen {
		p.invites[user] = invite{From: m.Get("From"), At: time.Now()}
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

// HangsUpAfter lets the handset end each call so long after it answered, from now on.
func (p *Phone) HangsUpAfter(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endAfter = d
}

// Refuses lets the handset refuse each call with a SIP status, from now on; "" lets it answer again.
func (p *Phone) Refuses(status string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusal = status
}

// bye ends a call that came in.
func (p *Phone) bye(invite sip.Message, to *net.UDPAddr) {
	contact := strings.Trim(strings.SplitN(invite.Get("Contact"), ";", 2)[0], "<>")
	p.conn.WriteToUDP(fmt.Appendf(nil, "BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKbye%d;rport\r\nMax-Forwards: 70\r\nFrom: %s;tag=phone\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n",
		contact, p.Addr, time.Now().UnixNano(), invite.Get("To"), invite.Get("From"), invite.Get("Call-ID")), to)
}

func (p *Phone) sdp() string {
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\n",
		p.rtp.LocalAddr().(*net.UDPAddr).Port)
}

func (p *Phone) reply(m sip.Message, to *net.UDPAddr, status, body string) {
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
	fmt.Fprintf(&b, "Contact: <sip:phone@%s>\r\n", p.Addr)
	if body != "" {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	p.conn.WriteToUDP([]byte(b.String()), to)
}

// Forget lets a callee's number ring anew.
func (p *Phone) Forget(callee string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.invites, callee)
}

// Invited says what the handset of a callee was shown.
func (p *Phone) Invited(callee string) (invite, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.invites[callee]
	return i, ok
}

// Again has the handset note once more what it is shown for a callee that rang already.
func (p *Phone) Again(callee string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.invites, callee)
}

// RangAt are the numbers that rang so far, in no order.
func (p *Phone) RangAt() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.invites))
}
