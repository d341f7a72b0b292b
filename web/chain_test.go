package web

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Each place of the chain says why it stands where it does, and those that depend on each other are in that order.
func TestChain(t *testing.T) {
	at := map[string]int{}
	for i, p := range chain {
		if len(p.why) < 40 || p.wrap == nil {
			t.Errorf("%s does not say why: %q", p.name, p.why)
		}
		if _, twice := at[p.name]; twice {
			t.Errorf("%s stands there twice", p.name)
		}
		at[p.name] = i
	}
	for _, pair := range [][2]string{
		{"recover", "headers"},
		{"headers", "host"},
		{"where from", "no token in the address"},
		{"where from", "who"},
		{"pace", "host"},
		{"host", "who"},
		{"no token in the address", "who"},
		{"cross-origin", "who"},
		{"who", "how often"},
		{"who", "may nobody"},
		{"how often", "may nobody"},
		{"what a write looks like", "may nobody"},
	} {
		before, ok := at[pair[0]]
		after, too := at[pair[1]]
		if !ok || !too || before >= after {
			t.Errorf("%s is at %d (%v), %s at %d (%v)", pair[0], before, ok, pair[1], after, too)
		}
	}
}

// bare is a server with its pace alone.
func bare(write time.Duration) *Server {
	s := &Server{o: Options{Log: slog.New(slog.DiscardHandler), Now: time.Now}, pace: pace{grace: time.Second, rate: 1 << 10, rest: time.Second, write: write}}
	s.routes = &routes{mux: http.NewServeMux(), free: map[string]bool{}}
	return s
}

// A fault of the program in one request is an answer, is counted, and ends nothing else.
func TestPanics(t *testing.T) {
	s := bare(time.Second)
	server := httptest.NewServer(s.recovering(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/bad" {
			panic("a fault of ours")
		}
		io.WriteString(w, "fine")
	})))
	defer server.Close()
	for path, want := range map[string]int{"/api/v1/bad": 500, "/good": 200} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want || strings.Contains(string(text), "ours") {
			t.Errorf("%s: got %d %s", path, resp.StatusCode, text)
		}
	}
	if n := s.Counters.Panics.Load(); n != 1 {
		t.Errorf("%d are counted, want 1", n)
	}
}

// Who takes no more of an answer is let go of; who follows and has nothing to be told for long is not.
func TestPace(t *testing.T) {
	const wait = 300 * time.Millisecond
	s := bare(wait)
	ended := make(chan error, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		var err error
		for piece := make([]byte, 64<<10); err == nil; {
			_, err = w.Write(piece)
		}
		ended <- err
	})
	mux.HandleFunc("/seldom", func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		for i := range 3 {
			fmt.Fprintln(w, "word", i)
			if err := rc.Flush(); err != nil {
				return
			}
			<-time.After(2 * wait) // longer than a piece may take
		}
	})
	server := httptest.NewUnstartedServer(s.pacing(mux))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()

	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /endless HTTP/1.1\r\nHost: example.com\r\n\r\n")
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it has no end, and yet ended well")
		}
	case <-time.After(30 * time.Second):
		t.Error("who does not read is still written to")
	}
	resp, err := server.Client().Get(server.URL + "/seldom")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.ProtoMajor != 2 || string(text) != "word 0\nword 1\nword 2\n" {
		t.Errorf("by HTTP/%d came %q, %v", resp.ProtoMajor, text, err)
	}
}

// There are no more counts than there is room for, and each has its own.
func TestRates(t *testing.T) {
	now := time.Now()
	r := newRates(func() time.Time { return now })
	for i := range rateAtOnce + 1 {
		if wait, ok := r.allow("a"); ok != (i < rateAtOnce) || ok != (wait == 0) {
			t.Fatalf("request %d: %v, wait %v", i, ok, wait)
		}
	}
	if _, ok := r.allow("b"); !ok {
		t.Error("another pays for the first")
	}
	now = now.Add(time.Second)
	allowed := 0
	for range rateAtOnce {
		if _, ok := r.allow("a"); ok {
			allowed++
		}
	}
	if allowed != ratePerSecond {
		t.Errorf("a second later %d are let through, want %d", allowed, ratePerSecond)
	}
	for i := range 2 * maxRates {
		r.allow(fmt.Sprint("from ", i))
	}
	if len(r.by) != maxRates || r.order.Len() != maxRates || r.evicted == 0 {
		t.Errorf("%d and %d are kept, %d gave way", len(r.by), r.order.Len(), r.evicted)
	}
}

// One address does not take all places, and a place is free again when its connection is closed, however often that is said.
func TestCrowd(t *testing.T) {
	var refused atomic.Uint64
	l := &crowd{refused: &refused, by: map[string]int{}}
	for i := range maxOfAddress + 1 {
		if got := l.enter("192.0.2.1"); got != (i < maxOfAddress) {
			t.Fatalf("connection %d of an address: %v", i, got)
		}
	}
	n := 0
	for l.enter("127.0.0.1") { // where a proxy may stand for many
		n++
	}
	if n != maxConnections-maxOfAddress {
		t.Errorf("this machine has %d places, want all that are left", n)
	}
	for range maxOfAddress {
		l.leave("192.0.2.1")
	}
	if !l.enter("192.0.2.2") {
		t.Error("there is no place again")
	}
	for remote, want := range map[string]string{"192.0.2.1:5": "192.0.2.1", "[2001:db8:1:2:3:4:5:6]:7": "2001:db8:1:2::/64", "[::1]:5": "::1", "[::ffff:192.0.2.1]:5": "192.0.2.1"} {
		if got := addressOf(remote); got != want {
			t.Errorf("%s counts for %s, want %s", remote, got, want)
		}
	}

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	full := &crowd{Listener: ln, refused: &refused, by: map[string]int{}, all: maxConnections}
	defer full.Close()
	go full.Accept()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF && !strings.Contains(fmt.Sprint(err), "reset") {
		t.Errorf("one too many: %v", err)
	}
}

// What is sealed comes back as it was, for its purpose alone, and not for ever.
func TestSeal(t *testing.T) {
	now := time.Now()
	s := newSealer(func() time.Time { return now })
	sealed, err := s.seal("one thing", []string{"a", "b"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := s.open("one thing", sealed, &got); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %q, %v", got, err)
	}
	again, _ := s.seal("one thing", []string{"a", "b"}, time.Minute)
	other := newSealer(s.now)
	for what, err := range map[string]error{
		"another purpose": s.open("another", sealed, &got), "another run": other.open("one thing", sealed, &got), "nothing": s.open("one thing", "", &got), "rubbish": s.open("one thing", "%%", &got),
		"cut": s.open("one thing", sealed[:20], &got), "changed": s.open("one thing", sealed[:30]+string(sealed[30]^1)+sealed[31:], &got),
	} {
		if err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	if again == sealed {
		t.Error("the same is sealed the same way twice")
	}
	now = now.Add(2 * time.Minute)
	if err := s.open("one thing", sealed, &got); err == nil {
		t.Error("it counts for ever")
	}
}

// The role is the highest that one of a claim's values stands for.
func TestClaims(t *testing.T) {
	claims := map[string]any{"groups": []any{"a", "b"}, "realm_access": map[string]any{"roles": []any{"c"}}, "with.dot": "d", "deep": map[string]any{"er": map[string]any{"x": "e"}}}
	for name, want := range map[string]string{"groups": "[a b]", "realm_access.roles": "[c]", "with.dot": "d", "deep.er.x": "e", "none": "<nil>", "groups.x": "<nil>", "deep.none": "<nil>", "": "<nil>"} {
		if v, _ := claimOf(claims, name); fmt.Sprint(v) != want {
			t.Errorf("%s is %v, want %s", name, v, want)
		}
	}
	roles := map[string]string{"a": "viewer", "b": "admin", "c": "reviewer", "d": "root"}
	for _, c := range []struct {
		value any
		want  string
	}{{[]any{"a", "b", "c"}, "admin"}, {"a", "viewer"}, {[]any{"x", "c"}, "reviewer"}, {"admin", ""}, {"d", ""}, {nil, ""}, {[]any{nil, 1, []any{"b"}}, ""}, {map[string]any{"b": true}, ""}} {
		if got := roleOf(c.value, roles); string(got) != c.want {
			t.Errorf("%v is %q, want %q", c.value, got, c.want)
		}
	}
}
