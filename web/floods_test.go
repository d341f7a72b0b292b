package web_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringfence/console"
)

// What is too large is refused, and what is not asked for is not read.
func TestOversized(t *testing.T) {
	h := open(t, withTLS)
	admin := h.admin()
	endless := func(n int) io.Reader { return io.LimitReader(spaces{}, int64(n)) }
	for _, c := range []struct {
		way  string
		a    func() *answer
		want int
	}{
		{"a form of a megabyte to sign in", func() *answer {
			return h.browser().ask("POST", "/signin", endless(1<<20), header("Content-Type", "application/x-www-form-urlencoded"))
		}, 400},
		{"a name of a megabyte", func() *answer {
			return h.browser().form("/signin", url.Values{"name": {strings.Repeat("x", 60<<10)}, "password": {"y"}})
		}, 401},
		{"a password of many pages", func() *answer {
			return h.browser().form("/signin", url.Values{"name": {"admin"}, "password": {strings.Repeat("x", 60<<10)}})
		}, 401},
		{"32 MiB of JSON", func() *answer {
			return admin.ask("POST", "/api/v1/check", endless(32<<20), header("Content-Type", "application/json"))
		}, 400},
		{"a gigabyte of nobody", func() *answer {
			return h.browser().ask("POST", "/api/v1/check", endless(1<<20), header("Content-Type", "application/json"))
		}, 401},
	} {
		if got := c.a(); got.StatusCode != c.want {
			t.Errorf("%s: got %d, want %d: %.200s", c.way, got.StatusCode, c.want, got.text)
		}
	}
	conn := h.raw()
	fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: %s\r\nX: %s\r\n\r\n", name, strings.Repeat("x", 32<<10))
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 32 KiB: %v, %v", resp, err)
	}
}

// spaces are without end.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// Who sends a byte now and then is cut off, be it in the handshake, the header or the body. That takes half a minute, in which the other tests run.
func TestSlow(t *testing.T) {
	t.Parallel()
	h := open(t, withTLS)
	admin := h.admin()
	var all sync.WaitGroup
	for way, begin := range map[string]func() net.Conn{
		"handshake": func() net.Conn {
			conn, err := net.Dial("tcp", h.d.Console().Port())
			if err != nil {
				t.Fatal(err)
			}
			return conn
		},
		"header": func() net.Conn {
			conn := h.raw()
			io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: "+name+"\r\n")
			return conn
		},
		"body": func() net.Conn {
			conn := h.raw()
			fmt.Fprintf(conn, "POST /api/v1/check HTTP/1.1\r\nHost: %s\r\nCookie: __Host-ringfence=%s\r\nSec-Fetch-Site: same-origin\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n", name, admin.session().Value)
			return conn
		},
		"body of nobody": func() net.Conn {
			conn := h.raw()
			fmt.Fprintf(conn, "POST /api/v1/check HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n", name)
			return conn
		},
	} {
		conn := begin()
		began := time.Now()
		done := make(chan struct{})
		all.Go(func() { // a byte a second, as slow as nobody is
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case <-done:
					return
				case <-tick.C:
					if way != "handshake" {
						conn.Write([]byte(" "))
					}
				}
			}
		})
		all.Go(func() {
			defer close(done)
			conn.SetReadDeadline(began.Add(60 * time.Second))
			_, err := io.Copy(io.Discard, conn)
			if took := time.Since(began); took > 50*time.Second {
				t.Errorf("%s: it is still open after %v (%v)", way, took, err)
			}
		})
	}
	all.Wait()
	if got := admin.get("/account"); got.StatusCode != http.StatusOK {
		t.Errorf("others: %d", got.StatusCode)
	}
}

// Passwords are not to be found by trying, and he who tries keeps nobody else out.
func TestBruteForce(t *testing.T) {
	h := open(t, withTLS)
	admin := h.admin()
	h.user(admin, console.NewUser{Name: "anna", Role: console.Viewer})
	b := h.browser()
	refused := 0
	for i := range 40 {
		got := b.form("/signin", url.Values{"name": {"admin"}, "password": {fmt.Sprint("guess number ", i)}})
		switch got.StatusCode {
		case http.StatusUnauthorized:
		case http.StatusTooManyRequests:
			if got.Header.Get("Retry-After") == "" {
				t.Error("it is not said how long to wait")
			}
			refused++
		default:
			t.Fatalf("try %d: got %d", i, got.StatusCode)
		}
	}
	if refused < 20 {
		t.Errorf("of 40 tries %d were refused", refused)
	}
	// From this address not even the right one is taken now, but who is signed in stays so, and others sign in.
	if got := b.form("/signin", url.Values{"name": {"admin"}, "password": {password}}); got.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the right password within the wait: got %d", got.StatusCode)
	}
	if got := admin.get("/account"); got.StatusCode != http.StatusOK {
		t.Errorf("who is signed in: %d", got.StatusCode)
	}
	h.browser().signIn("anna", password, http.StatusSeeOther)
	// An unknown name and a wrong password look the same.
	one := h.browser().signIn("anna", "not this one, surely", http.StatusUnauthorized)
	other := h.browser().signIn("nobody at all", "not this one, surely", http.StatusUnauthorized)
	if strings.ReplaceAll(one.text, "anna", "") != strings.ReplaceAll(other.text, "nobody at all", "") {
		t.Errorf("the answers tell who has an account:\n%s\n%s", one.text, other.text)
	}
}

// A hundred who try passwords at once take memory for two, and neither who is signed in nor who signs in is kept out by them.
func TestHashFlood(t *testing.T) {
	h := open(t, withTLS)
	admin := h.admin()
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	ctx, cancel := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	var tries, most atomic.Uint64
	for i := range 60 {
		b := h.browser()
		b.from = net.IPv4(127, 0, 1, byte(i+1))
		flood.Go(func() {
			for n := 0; ctx.Err() == nil && n < 200; n++ {
				r, err := http.NewRequestWithContext(ctx, "POST", h.base+"/signin", strings.NewReader(url.Values{"name": {fmt.Sprint("user", i, " ", n)}, "password": {"a guess of theirs"}}.Encode()))
				if err != nil {
					return
				}
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Header.Set("Sec-Fetch-Site", "same-origin")
				if resp, err := b.Do(r); err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					tries.Add(1)
				}
			}
		})
	}
	// Until enough were tried, or some seconds have shown that it does not fall over.
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); {
		began := time.Now()
		if got := admin.get("/account"); got.StatusCode != http.StatusOK {
			t.Fatalf("who is signed in: %d", got.StatusCode)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("who is signed in waits %v", took)
		}
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		most.Store(max(most.Load(), now.HeapInuse))
	}
	in := false
	for end := time.Now().Add(60 * time.Second); !in && time.Now().Before(end); {
		got := h.browser().form("/signin", url.Values{"name": {"admin"}, "password": {password}})
		in = got.StatusCode == http.StatusSeeOther
	}
	cancel()
	flood.Wait()
	if !in {
		t.Error("who knows the password does not get in")
	}
	// Two at a time of 64 MiB, and as much that the collector has not seen to yet.
	if grown := int64(most.Load()) - int64(before.HeapInuse); grown > 600<<20 {
		t.Errorf("%d tries took %d MiB", tries.Load(), grown>>20)
	}
	if tries.Load() < 10 {
		t.Errorf("only %d tries were made", tries.Load())
	}
}
