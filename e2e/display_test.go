package e2e_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/e2e/asterisk"
	"ringfence/e2e/setup"
	"ringfence/e2e/sip"
)

// sipEnd is one end of SIP of which the test writes each message itself, and sees each that comes in.
type sipEnd struct {
	t    *testing.T
	conn *net.UDPConn
	addr string

	mu  sync.Mutex
	got []sip.Message
}

// newSIPEnd answers requests that come in by answer, "" for not at all: a status line and headers of its own.
func newSIPEnd(t *testing.T, answer func(m sip.Message) []string) *sipEnd {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	e := &sipEnd{t: t, conn: conn, addr: conn.LocalAddr().String()}
	done := make(chan bool)
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for {
			n, from, err := conn.ReadFromUDP(buf)
			if err != nil {
				return
			}
			m, ok := sip.Parse(buf[:n])
			if !ok {
				continue
			}
			e.mu.Lock()
			e.got = append(e.got, m)
			e.mu.Unlock()
			if m.Method() != "" && m.Method() != "ACK" {
				for _, status := range answer(m) {
					conn.WriteToUDP([]byte(e.reply(m, status)), from)
				}
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return e
}

func (e *sipEnd) sdp() string {
	return "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 39998 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
}

// aPhone is a handset that shows what an UPDATE says, as the switches know it by its name.
const aPhone = "User-Agent: Yealink SIP-T46U 108.86.0.20\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE\r\nSupported: replaces\r\n"

func (e *sipEnd) reply(m sip.Message, status string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %s\r\n", status)
	for _, h := range m.Headers {
		switch strings.ToLower(h[0]) {
		case "via", "from", "call-id", "cseq", "record-route":
			fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
		case "to":
			to := h[1]
			if !strings.Contains(to, "tag=") {
				to += ";tag=end"
			}
			fmt.Fprintf(&b, "To: %s\r\n", to)
		}
	}
	body := ""
	if strings.HasPrefix(status, "200") && (m.Method() == "INVITE" || m.Method() == "UPDATE" && m.Body != "") {
		body = e.sdp()
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Contact: <sip:end@%s>\r\n%sContent-Length: %d\r\n\r\n%s", e.addr, aPhone, len(body), body)
	return b.String()
}

// await waits for a message that fits.
func (e *sipEnd) await(ctx context.Context, fits func(m sip.Message) bool) (sip.Message, bool) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		e.mu.Lock()
		for _, m := range e.got {
			if fits(m) {
				e.mu.Unlock()
				return m, true
			}
		}
		e.mu.Unlock()
		select {
		case <-ctx.Done():
			return sip.Message{}, false
		case <-tick.C:
		}
	}
}

// shown are the lines of what came in that name a number.
func (e *sipEnd) shown(number string) (lines []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range e.got {
		for _, h := range m.Headers {
			if strings.Contains(h[1], number) {
				lines = append(lines, m.Start+" | "+h[0]+": "+h[1])
			}
		}
		if strings.Contains(m.Body, number) {
			lines = append(lines, m.Start+" | "+m.Body)
		}
	}
	return lines
}

// changesItsNumber places a call that is answered, and in it says in several ways to be another than before: the police. It
// gives what the handset was told of that.
func changesItsNumber(t *testing.T, start func(handset string) (server string)) []string {
	t.Helper()
	const police = "P-Asserted-Identity: \"Police\" <sip:110@127.0.0.1>\r\nRemote-Party-ID: \"Police\" <sip:110@127.0.0.1>;party=calling;screen=yes;privacy=off\r\n"
	handset := newSIPEnd(t, func(m sip.Message) []string {
		if m.Method() == "INVITE" && !strings.Contains(m.Get("To"), "tag=") {
			return []string{"180 Ringing", "200 OK"}
		}
		return []string{"200 OK"}
	})
	server := start(handset.addr)
	caller := newSIPEnd(t, func(m sip.Message) []string { return []string{"200 OK\r\n" + strings.TrimSuffix(police, "\r\n")} })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	call := caller.call(server, "13800138000", "05925550100")
	if m := call.ask(ctx, 1, "INVITE", sdpType, caller.sdp()); !strings.HasPrefix(m.Status(), "200") {
		t.Fatalf("the call got %s", m.Status())
	}
	wait := func() { <-time.After(400 * time.Millisecond) } // for what the switch may tell the handset of it
	wait()
	t.Logf("UPDATE: %s", call.ask(ctx, 2, "UPDATE", police, "").Status())
	wait()
	t.Logf("UPDATE with SDP: %s", call.ask(ctx, 3, "UPDATE", police+sdpType, caller.sdp()).Status())
	wait()
	t.Logf("INVITE: %s", call.ask(ctx, 4, "INVITE", police+sdpType, caller.sdp()).Status())
	wait()
	call.say(5, "INFO", "X-FS-Display-Name: Police\r\nX-FS-Display-Number: 110\r\nContent-Type: message/update_display\r\n", "") // Asterisk does not answer it
	wait()
	// Another call, in the place of the first.
	other := caller.call(server, "13800138001", "05925550101")
	m := other.ask(ctx, 1, "INVITE", fmt.Sprintf("Replaces: %s;to-tag=%s;from-tag=caller\r\n", call.id, strings.TrimPrefix(call.tag, ";tag="))+police+sdpType, caller.sdp())
	wait()
	t.Logf("INVITE with Replaces: %s", m.Status())
	if strings.HasPrefix(m.Status(), "200") {
		t.Logf("UPDATE: %s", other.ask(ctx, 2, "UPDATE", police, "").Status())
		wait()
		other.ask(ctx, 3, "BYE", "", "")
	}
	call.ask(ctx, 6, "BYE", "", "")
	return handset.shown("110@")
}

const sdpType = "Content-Type: application/sdp\r\n"

// sipCall is a call that an end places.
type sipCall struct {
	end              *sipEnd
	server, from, to string
	id, tag, target  string
}

func (e *sipEnd) call(server, from, to string) *sipCall {
	return &sipCall{end: e, server: server, from: from, to: to, id: fmt.Sprint(time.Now().UnixNano(), "@e2e"), target: "sip:" + to + "@" + server}
}

// say sends a request of the call.
func (c *sipCall) say(cseq int, method, headers, body string) {
	c.end.t.Helper()
	to, err := net.ResolveUDPAddr("udp", c.server)
	if err != nil {
		c.end.t.Fatal(err)
	}
	c.end.conn.WriteToUDP(fmt.Appendf(nil, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%d%s;rport\r\nMax-Forwards: 70\r\nFrom: <sip:%s@127.0.0.1>;tag=caller\r\nTo: <sip:%s@%s>%s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nContact: <sip:caller@%s>\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE\r\nSupported: replaces\r\n%sContent-Length: %d\r\n\r\n%s",
		method, c.target, c.end.addr, method, cseq, c.id[:19], c.from, c.to, c.server, c.tag, c.id, cseq, method, c.end.addr, headers, len(body), body), to)
}

// ask sends a request and waits for its final answer; an INVITE's is acknowledged.
func (c *sipCall) ask(ctx context.Context, cseq int, method, headers, body string) sip.Message {
	c.end.t.Helper()
	c.say(cseq, method, headers, body)
	return c.answer(ctx, cseq, method)
}

func (c *sipCall) answer(ctx context.Context, cseq int, method string) sip.Message {
	c.end.t.Helper()
	m, ok := c.end.await(ctx, func(m sip.Message) bool {
		return m.Get("Call-ID") == c.id && m.Get("CSeq") == fmt.Sprintf("%d %s", cseq, method) && m.Status() != "" && !strings.HasPrefix(m.Status(), "1")
	})
	if !ok {
		c.end.t.Fatalf("%s was not answered", method)
	}
	if method == "INVITE" {
		if _, rest, ok := strings.Cut(m.Get("To"), ";tag="); ok {
			c.tag = ";tag=" + rest
		}
		if _, rest, ok := strings.Cut(m.Get("Contact"), "<"); ok {
			c.target, _, _ = strings.Cut(rest, ">")
		}
		c.say(cseq, "ACK", "", "")
	}
	return m
}

// What a handset shows of a caller is what was screened, as long as the call lasts. Without the kit's step it is not.
func TestDisplayStaysReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH")
	}
	d, _ := setup.StartDaemonWith(t, "country = \"CN\"\n")
	for _, mode := range []string{"async", "sync", "without the step"} {
		t.Run(mode, func(t *testing.T) {
			told := changesItsNumber(t, func(handset string) string {
				return setup.StartFreeSWITCHWith(t, program, d.Address(), handset, setup.FreePort(t), mode != "sync", func(conf string) error {
					if mode != "without the step" {
						return nil
					}
					file := filepath.Join(conf, "dialplan/public/000_ringfence.xml")
					text, err := os.ReadFile(file)
					if err != nil {
						return err
					}
					return os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "ignore_display_updates=true", "x=y")), 0o644)
				})
			})
			if (len(told) > 0) != (mode == "without the step") {
				t.Errorf("the handset was told:\n%s", strings.Join(told, "\n"))
			}
			t.Logf("the handset was told %d times", len(told))
		})
	}
}

// The same on Asterisk, with a trunk whose headers are believed and a handset that is told who calls. There the subroutine
// cannot keep it: what does is a line of the trunk's endpoint, which the doctor asks for.
func TestDisplayStaysAsterisk(t *testing.T) {
	setup.AsteriskRoot(t)
	d, _ := setup.StartDaemonWith(t, "country = \"CN\"\n", "[agi]\nlisten = \"127.0.0.1:0\"")
	for _, c := range []struct {
		name, line, option string
		changes            bool
	}{
		{"as it comes", "", "", true},
		{"with the line", "trust_connected_line=no\n", "", false},
		{"with Dial's option I, which counts until the answer", "", "I", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			told := changesItsNumber(t, func(handset string) string {
				s := asterisk.Setup{AGI: d.AsteriskAddress(), Handset: handset, PJSIP: "send_pai=yes\nsend_rpid=yes\ntrust_id_outbound=yes\n[telecom](+)\n" + c.line}
				s.Dialplan = strings.ReplaceAll(asterisk.Dialplan, "@HANDSET,30,", "@HANDSET,30,"+c.option)
				return setup.StartAsteriskWith(t, s).Address
			})
			if (len(told) > 0) != c.changes {
				t.Errorf("the handset was told:\n%s", strings.Join(told, "\n"))
			}
		})
	}
}
