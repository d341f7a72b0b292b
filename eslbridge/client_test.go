package eslbridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ringfence/attach"
)

func apiAnswer(text string) string {
	return fmt.Sprintf("Content-Type: api/response\nContent-Length: %d\n\n%s", len(text), text)
}

// dialling connects a client while the test plays the switch.
func dialling(t *testing.T, ctx context.Context, serve func(p *peer)) (*Client, error) {
	t.Helper()
	s := listenEvents(t, "127.0.0.1:0")
	type result struct {
		c   *Client
		err error
	}
	done := make(chan result, 1)
	go func() {
		c, err := Dial(ctx, s.Address(), "measure-me")
		done <- result{c, err}
	}()
	p := s.accept()
	serve(p)
	r := <-done
	if r.c != nil {
		t.Cleanup(func() { r.c.Close() })
	}
	return r.c, r.err
}

func admitted(p *peer) {
	p.say(greeting)
	if c := p.command(); c != "auth measure-me" {
		p.t.Errorf("the password was shown as %q", c)
	}
	p.say(accepted)
}

func TestClient(t *testing.T) {
	var sw *peer
	c, err := dialling(t, t.Context(), func(p *peer) { admitted(p); sw = p })
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct {
		command, sent, answer, text string
		refused                     bool
	}{
		{"module_exists mod_sofia", "api module_exists mod_sofia", "true", "true", false},
		{"status\n\napi system x", "api status  api system x", "UP 0 years\n3 sessions\n", "UP 0 years\n3 sessions", false},
		{"originate x y", "api originate x y", "-ERR NORMAL_CLEARING\n", "-ERR NORMAL_CLEARING", true},
		{"xml_locate dialplan", "api xml_locate dialplan", strings.Repeat("<context/>", 200_000), strings.Repeat("<context/>", 200_000), false},
	} {
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			if got := sw.command(); got != q.sent {
				t.Errorf("%q was sent as %q", q.command, got)
			}
			sw.say(apiAnswer(q.answer))
		}()
		text, err := c.API(t.Context(), q.command)
		<-asked
		if text != q.text || errors.Is(err, ErrRefused) != q.refused || err != nil && !q.refused {
			t.Errorf("%s: %.80q, %v", q.command, text, err)
		}
	}
}

func TestClientNotAdmitted(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(p *peer)
		want  error
	}{
		"password": {func(p *peer) {
			p.say(greeting)
			p.command()
			p.say("Content-Type: command/reply\nReply-Text: -ERR invalid\n\n")
		}, ErrPassword},
		"access list": {func(p *peer) {
			p.say("Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n")
			p.conn.Close()
		}, ErrNotAllowed},
		"no switch": {func(p *peer) { p.say("HTTP/1.1 400 Bad Request\r\n\r\n") }, ErrNoSwitch},
		"closes":    {func(p *peer) { p.conn.Close() }, attach.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := dialling(t, t.Context(), c.serve); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	if _, err := Dial(t.Context(), "127.0.0.1:1", "x"); err == nil {
		t.Error("nobody listens there")
	}
}

// A switch that does not answer holds nobody beyond the context, and the connection is not used again: the
// answer might be taken for the next one's.
func TestClientSilence(t *testing.T) {
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := dialling(t, short, func(*peer) {}); !errors.Is(err, attach.ErrSilent) {
		t.Errorf("no greeting: %v", err)
	}
	c, err := dialling(t, t.Context(), admitted)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, stop)
	if _, err := c.API(ctx, "status"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := c.API(t.Context(), "status"); !errors.Is(err, context.Canceled) {
		t.Errorf("after that: %v", err)
	}
}
