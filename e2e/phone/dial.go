package phone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"ringfence/e2e/sip"
)

// Heard is what a caller met.
type Heard struct {
	Final      string   // "603 Decline", "200 OK"; "" if the caller gave up waiting
	Seen       []string // every response but 100, in order, each once
	CallInfo   string   // the Call-Info and Reason headers of the final one
	Reason     string
	EarlyMedia bool // 183
	Took       time.Duration
	Torn       time.Duration // when the far end hung up on us, from the INVITE; 0 if it did not
}

// call is one that a phone places.
type call struct {
	phone             *Phone
	dst               *net.UDPAddr
	server            string
	from, display, to string
	id                string
	answers           chan sip.Message
	placed            time.Time
	tag               string // of the far end, once it has one
	cseq              int    // of the next request within the call
	met               Heard
}

// Dial places a call and returns when it is answered or refused; it hangs up an answered one.
func (p *Phone) Dial(ctx context.Context, server, from, display, to string, extra ...string) (Heard, error) {
	dst, err := net.ResolveUDPAddr("udp", server)
	if err != nil {
		return Heard{}, err
	}
	c := &call{
		phone: p, dst: dst, server: server, from: from, display: display, to: to, cseq: 2,
		id: fmt.Sprintf("%d-%s@e2e", time.Now().UnixNano(), from), answers: make(chan sip.Message, 64),
	}
	p.mu.Lock()
	p.dialogs[c.id] = c.answers
	p.mu.Unlock()
	defer func() { p.mu.Lock(); delete(p.dialogs, c.id); p.mu.Unlock() }()
	c.placed = time.Now()
	c.request("INVITE", "1 INVITE", "a", p.sdp(), extra...)
	again := time.NewTicker(500 * time.Millisecond) // T1: a busy machine loses datagrams
	defer again.Stop()
	for {
		select {
		case <-again.C:
			c.request("INVITE", "1 INVITE", "a", p.sdp(), extra...)
		case <-ctx.Done():
			c.request("CANCEL", "1 CANCEL", "a", "")
			return c.met, errors.New("no final answer")
		case m := <-c.answers:
			if !strings.Contains(m.Get("CSeq"), "INVITE") {
				continue
			}
			again.Stop()
			if c.answered(ctx, m) {
				return c.met, nil
			}
		}
	}
}

// request sends a request of the call.
func (c *call) request(method, cseq, branch, body string, extra ...string) {
	tag := c.tag
	if method == "INVITE" || method == "CANCEL" {
		tag = "" // sent anew, an INVITE is the same as before
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%s;rport\r\nMax-Forwards: 70\r\n", method, c.to, c.server, c.phone.Addr, branch, strings.SplitN(c.id, "-", 2)[0])
	fmt.Fprintf(&b, "From: %s <sip:%s@127.0.0.1>;tag=caller\r\nTo: <sip:%s@%s>%s\r\nCall-ID: %s\r\nCSeq: %s\r\nContact: <sip:caller@%s>\r\n", c.display, c.from, c.to, c.server, tag, c.id, cseq, c.phone.Addr)
	for _, h := range extra {
		b.WriteString(h + "\r\n")
	}
	if body != "" && method == "INVITE" {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	c.phone.conn.WriteToUDP([]byte(b.String()), c.dst)
}

// answered takes an answer to the INVITE, and reports whether the call is over with it.
func (c *call) answered(ctx context.Context, m sip.Message) (over bool) {
	if _, tag, ok := strings.Cut(m.Get("To"), "tag="); ok {
		c.tag = ";tag=" + tag
	}
	status, h := m.Status(), &c.met
	if code, _, _ := strings.Cut(status, " "); code != "100" && !slices.Contains(h.Seen, code) {
		h.Seen = append(h.Seen, code)
	}
	h.CallInfo, h.Reason = m.Get("Call-Info"), m.Get("Reason")
	switch {
	case strings.HasPrefix(status, "183"):
		h.EarlyMedia = true
	case strings.HasPrefix(status, "1"):
	case strings.HasPrefix(status, "2"):
		h.Final, h.Took = status, time.Since(c.placed)
		c.request("ACK", "1 ACK", "b", "")
		c.talk(ctx)
		return true
	default:
		h.Final, h.Took = status, time.Since(c.placed)
		c.request("ACK", "1 ACK", "a", "")
		return true
	}
	return false
}

// talk holds the call as long as the phone holds calls, keys in what it is to, and hangs up.
func (c *call) talk(ctx context.Context) {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	keys := c.phone.Keys
	if keys != nil {
		breath, stop := context.WithCancel(ctx)
		defer stop()
		go c.phone.breathe(breath)
	}
	for end := time.After(c.phone.Hold); ; {
		select {
		case m := <-c.answers:
			if strings.HasPrefix(m.Start, "BYE") {
				c.met.Torn = time.Since(c.placed)
				return
			}
			if strings.HasPrefix(m.Status(), "2") && strings.Contains(m.Get("CSeq"), "INVITE") {
				c.request("ACK", "1 ACK", "b", "") // the first was lost
			}
		case <-look.C:
			if keys == nil {
				continue
			}
			for _, key := range keys(c.phone.DigitsHeard(c.placed)) {
				c.request("INFO", fmt.Sprintf("%d INFO", c.cseq), fmt.Sprint("i", c.cseq), fmt.Sprintf("Signal=%c\r\nDuration=160\r\n", key), "Content-Type: application/dtmf-relay")
				c.cseq++
				keys = nil
			}
		case <-end:
			c.request("BYE", fmt.Sprintf("%d BYE", c.cseq), "c", "")
			return
		}
	}
}
