package daemon

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringfence/access"
	"ringfence/bridge"
	"ringfence/conf"
	"ringfence/console"
)

var benchLive = flag.Duration("live", 0, "how long TestBenchLive measures with and without live views, each; 0: not at all")

// TestBenchLive measures decisions at 500 calls a second with nobody looking and with 200 open live views, of the pages and of the API by halves, over real
// TCP with a session and a token, side by side in one run (make bench-calls). The readers are part of the same process, and cost as much again.
// long: because it is one measurement with what it needs.
func TestBenchLive(t *testing.T) {
	if *benchLive == 0 {
		t.Skip("a benchmark: make bench-calls")
	}
	const views, perSecond, rounds = 200, 500, 4
	c := installation(t, bounding)
	c.Console = &conf.Console{Listen: "127.0.0.1:0"}
	d := in(start(t, c))
	root := console.WithWho(t.Context(), &console.Who{Name: "root", Way: console.BySocket, Role: console.Admin})
	token, err := d.d.book.AddToken(root, console.NewToken{Name: "views", Role: console.Admin})
	if err != nil {
		t.Fatal(err)
	}
	first, err := d.d.book.FirstLink()
	if err != nil {
		t.Fatal(err)
	}
	session, _, err := d.d.book.Redeem(t.Context(), first, "a word for this test", access.Origin{Address: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	measure := func() (times []time.Duration) {
		tick := time.NewTicker(time.Second / perSecond)
		defer tick.Stop()
		for end := time.Now().Add(*benchLive / rounds); time.Now().Before(end); {
			<-tick.C
			n++
			f := bridge.Facts{UUID: fmt.Sprint("u", n), Number: fmt.Sprintf("138%08d", n), Callee: "05925550100"}
			begin := time.Now()
			v := d.Screen(&f)
			times = append(times, time.Since(begin))
			d.Record(&f, &v, bridge.Result{})
		}
		return times
	}
	var without, with []time.Duration
	var received atomic.Int64
	for range rounds {
		without = append(without, measure()...)
		var readers sync.WaitGroup
		client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 0}}
		var bodies []io.Closer
		for i := range views {
			path := "/api/v1/calls/stream"
			if i%2 == 0 {
				path = "/live?f="
			}
			r, err := http.NewRequestWithContext(t.Context(), "GET", d.d.ConsoleAddress()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				r.Header.Set("Cookie", "ringfence="+session)
			} else {
				r.Header.Set("Authorization", "Bearer "+token.Secret)
			}
			resp, err := client.Do(r)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("view %d: %v %v", i, err, resp)
			}
			bodies = append(bodies, resp.Body)
			readers.Go(func() {
				got, _ := io.Copy(io.Discard, resp.Body)
				received.Add(got)
			})
		}
		with = append(with, measure()...)
		for _, b := range bodies {
			b.Close()
		}
		readers.Wait()
		client.CloseIdleConnections()
	}
	p99 := func(times []time.Duration) time.Duration {
		slices.Sort(times)
		return times[len(times)*99/100]
	}
	a, b := p99(without), p99(with)
	t.Logf("decisions' p99 at %d calls/s: %v with no live view (%d calls), %v with %d (%d calls, %d MB received): ratio %.2f, at most 1.5 wanted",
		perSecond, a, len(without), b, views, len(with), received.Load()>>20, float64(b)/float64(a))
	if received.Load() == 0 {
		t.Error("no view received anything")
	}
}
