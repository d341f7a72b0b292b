// Package nats holds the configuration of NATS that we ship against Debian's own server.
package nats

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"ringfence/e2e/setup"
)

// user is a connection of somebody who signed in, on the wire of NATS.
type user struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	sids int
}

// started runs a server with the users of the shipped configuration.
func started(t *testing.T) *setup.NATS {
	t.Helper()
	text, err := os.ReadFile("../../conf/nats/nats-server.conf")
	if err != nil {
		t.Fatal(err)
	}
	_, users, ok := strings.Cut(string(text), "\nauthorization {")
	if !ok {
		t.Fatal("the shipped configuration has no users")
	}
	return setup.StartNATS(t, "PBX1 = \"one\"\nPBX2 = \"two\"\nauthorization {"+users)
}

func signIn(t *testing.T, n *setup.NATS, name, password string) (*user, error) {
	t.Helper()
	conn, err := net.Dial("tcp", n.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	u := &user{t: t, conn: conn, in: bufio.NewReader(conn)}
	u.line() // INFO
	u.connect(name, password)
	return u.signedIn()
}

// connect says who it is.
func (u *user) connect(name, password string) {
	u.say("CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\"user\":%q,\"pass\":%q}", name, password)
}

// signedIn is the connection, unless it was refused.
func (u *user) signedIn() (*user, error) {
	u.t.Helper()
	if refused := u.settle(nil); refused != "" {
		return nil, fmt.Errorf("%s", refused)
	}
	return u, nil
}

func (u *user) say(format string, args ...any) { fmt.Fprintf(u.conn, format+"\r\n", args...) }

func (u *user) line() string {
	u.t.Helper()
	line, err := u.in.ReadString('\n')
	if err != nil {
		u.t.Fatalf("the server says no more: %v", err)
	}
	return strings.TrimRight(line, "\r\n")
}

// message is one that came, with where an answer goes.
type message struct{ subject, reply, text string }

// next reads until a message, a refusal or PONG.
func (u *user) next() (m *message, refused string) {
	u.t.Helper()
	for {
		line := u.line()
		words := strings.Fields(line)
		switch {
		case line == "PONG":
			return nil, ""
		case line == "PING":
			u.say("PONG")
		case strings.HasPrefix(line, "-ERR"):
			return nil, line
		case len(words) > 0 && (words[0] == "MSG" || words[0] == "HMSG"):
			var size int
			fmt.Sscan(words[len(words)-1], &size)
			b := make([]byte, size+2)
			if _, err := io.ReadFull(u.in, b); err != nil {
				u.t.Fatal(err)
			}
			m := &message{subject: words[1], text: string(b[:size])}
			if words[0] == "MSG" && len(words) == 5 || words[0] == "HMSG" && len(words) == 6 {
				m.reply = words[3]
			}
			return m, ""
		}
	}
}

// settle waits until all that was said has come, and gives what of it was refused; messages go to take.
func (u *user) settle(take func(*message)) (refused string) {
	u.t.Helper()
	u.say("PING")
	for {
		m, no := u.next()
		switch {
		case m != nil && take != nil:
			take(m)
		case no != "" && refused == "":
			if refused = no; strings.Contains(no, "Authorization") { // the connection ends with it
				return refused
			}
		case m == nil && no == "":
			return refused
		}
	}
}

func (u *user) publish(subject, reply, text string) (refused string) {
	u.t.Helper()
	u.say("PUB %s %s %d\r\n%s", subject, reply, len(text), text)
	return u.settle(nil)
}

func (u *user) subscribe(subject string) (refused string) {
	u.t.Helper()
	u.sids++
	u.say("SUB %s %d", subject, u.sids)
	return u.settle(nil)
}

// ask publishes with an inbox of the node's and gives the answer.
func (u *user) ask(node, subject, text string) string {
	u.t.Helper()
	inbox := fmt.Sprintf("ringfence.isp.inbox.%s.%d", node, u.sids)
	if no := u.subscribe(inbox); no != "" {
		u.t.Fatalf("the inbox: %s", no)
	}
	u.say("PUB %s %s %d\r\n%s", subject, inbox, len(text), text)
	for {
		m, no := u.next()
		if no != "" {
			u.t.Fatalf("%s: %s", subject, no)
		}
		if m != nil {
			return m.text
		}
	}
}

// TestRights: a node may say what a node says, under its own name alone, and read what is for it.
func TestRights(t *testing.T) {
	n := started(t)
	if _, err := signIn(t, n, "pbx1", "two"); err == nil {
		t.Error("a wrong password was taken")
	}
	for _, node := range []struct{ own, other, password string }{{"pbx1", "pbx2", "one"}, {"pbx2", "pbx1", "two"}} {
		u, err := signIn(t, n, node.own, node.password)
		if err != nil {
			t.Fatal(err)
		}
		may := func(do func(string) string, want bool, subjects ...string) {
			t.Helper()
			for _, s := range subjects {
				s = strings.NewReplacer("OWN", node.own, "OTHER", node.other).Replace(s)
				if no := do(s); (no == "") != want {
					t.Errorf("%s, %s: refused %q, want it allowed: %v", node.own, s, no, want)
				}
			}
		}
		publish := func(s string) string { return u.publish(s, "", "x") }
		may(publish, true, "ringfence.isp.change.OWN", "ringfence.isp.here.OWN", "ringfence.isp.fact.OWN", "ringfence.isp.count.OWN", "ringfence.isp.trip.OWN", "ringfence.isp.ask.OTHER.OWN")
		may(publish, false, "ringfence.isp.change.OTHER", "ringfence.isp.here.OTHER", "ringfence.isp.trip.OTHER", "ringfence.isp.inbox.OTHER.x", "_INBOX_OTHER.x", "ringfence.isp.ask.OTHER", "ringfence.isp.ask.OWN.OTHER", "ringfence.isp.ask.x.OTHER", "ringfence.other.here.OWN",
			"$JS.API.STREAM.DELETE.RINGFENCE_isp", "$JS.API.STREAM.PURGE.RINGFENCE_isp", "$JS.API.STREAM.UPDATE.RINGFENCE_isp", "$JS.API.STREAM.MSG.DELETE.RINGFENCE_isp",
			"$JS.API.STREAM.CREATE.OTHER", "$SYS.REQ.SERVER.PING", "x")
		may(publish, node.own == "pbx1", "$KV.RINGFENCE_isp.policy.OWN", "$JS.API.STREAM.CREATE.KV_RINGFENCE_isp")
		may(publish, false, "$KV.RINGFENCE_isp.policy.OTHER", "$KV.RINGFENCE_isp.policy")
		may(u.subscribe, true, "ringfence.isp.change.*", "ringfence.isp.here.*", "ringfence.isp.fact.*", "ringfence.isp.count.*", "ringfence.isp.trip.*", "ringfence.isp.ask.OWN.*", "ringfence.isp.inbox.OWN.>", "_INBOX_OWN.>")
		may(u.subscribe, false, ">", "ringfence.>", "ringfence.isp.ask.*", "ringfence.isp.ask.*.*", "ringfence.isp.ask.OTHER.*", "ringfence.isp.ask.OTHER.OWN", "ringfence.isp.inbox.OTHER.>", "_INBOX_OTHER.>", "_INBOX.>", "$JS.API.>", "$SYS.>")
	}
}

// TestRightsSuffice: with these rights a stream is made, told to and read, by both nodes, and a question is answered in pieces.
func TestRightsSuffice(t *testing.T) {
	n := started(t)
	one, err := signIn(t, n, "pbx1", "one")
	if err != nil {
		t.Fatal(err)
	}
	two, err := signIn(t, n, "pbx2", "two")
	if err != nil {
		t.Fatal(err)
	}
	good := func(answer string) {
		t.Helper()
		var a struct{ Error any }
		if err := json.Unmarshal([]byte(answer), &a); err != nil || a.Error != nil {
			t.Fatalf("answered %s (%v)", answer, err)
		}
	}
	stream := `{"name":"RINGFENCE_isp","subjects":["ringfence.isp.change.*"],"retention":"limits","storage":"file","num_replicas":1,"max_age":0,"max_msgs":-1,"max_bytes":1073741824,"max_consumers":-1,"discard":"old"}`
	good(one.ask("pbx1", "$JS.API.STREAM.CREATE.RINGFENCE_isp", stream))
	good(two.ask("pbx2", "$JS.API.STREAM.CREATE.RINGFENCE_isp", stream)) // as two that come at once do
	good(two.ask("pbx2", "$JS.API.STREAM.INFO.RINGFENCE_isp", ""))
	good(one.ask("pbx1", "ringfence.isp.change.pbx1", "an edit"))
	good(two.ask("pbx2", "$JS.API.CONSUMER.CREATE.RINGFENCE_isp.reader.ringfence.isp.change.*", `{"stream_name":"RINGFENCE_isp","config":{"name":"reader","deliver_policy":"all","ack_policy":"none","replay_policy":"instant","filter_subject":"ringfence.isp.change.*","inactive_threshold":60000000000,"num_replicas":1,"mem_storage":true}}`))
	if got := two.ask("pbx2", "$JS.API.CONSUMER.MSG.NEXT.RINGFENCE_isp.reader", `{"batch":1,"expires":30000000000}`); got != "an edit" {
		t.Errorf("read %q from the stream", got)
	}
	good(two.ask("pbx2", "$JS.API.CONSUMER.DELETE.RINGFENCE_isp.reader", ""))

	if no := two.subscribe("ringfence.isp.ask.pbx2.*"); no != "" {
		t.Fatal(no)
	}
	if no := one.subscribe("ringfence.isp.inbox.pbx1.q"); no != "" {
		t.Fatal(no)
	}
	if no := one.publish("ringfence.isp.ask.pbx2.pbx1", "ringfence.isp.inbox.pbx1.q", "rows?"); no != "" {
		t.Fatal(no)
	}
	asked, _ := two.next()
	if asked == nil || asked.text != "rows?" {
		t.Fatalf("asked %+v", asked)
	}
	for i := range 3 { // a piece, and the word that it came
		if no := two.publish(asked.reply, "ringfence.isp.inbox.pbx2.came", fmt.Sprint(i)); no != "" {
			t.Fatalf("piece %d: %s", i, no)
		}
		piece, _ := one.next()
		if piece == nil || piece.text != fmt.Sprint(i) {
			t.Fatalf("got %+v for piece %d", piece, i)
		}
		if no := one.publish(piece.reply, "", ""); no != "" {
			t.Fatalf("the word that piece %d came: %s", i, no)
		}
	}
	if no := two.publish("ringfence.isp.inbox.pbx1.another", "", "forged"); no == "" {
		t.Error("an answer that nobody asked for was taken")
	}
}
