package pages

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/console"
)

// html is the row itself.
func (r *liveRow) html(t testing.TB) (text string) {
	t.Helper()
	if err := json.Unmarshal(r.HTML, &text); err != nil {
		t.Fatal(err)
	}
	return text
}

// event is one of the stream.
type event struct{ name, id, data string }

// follow opens the stream as a browser does, and gives its events until the test ends.
func follow(t testing.TB, server, query string) <-chan event {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, "GET", server+"/live?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || !strings.HasPrefix(got, "text/event-stream") {
		t.Fatalf("the stream has status %d, type %q", resp.StatusCode, got)
	}
	events := make(chan event, 1000)
	var work sync.WaitGroup
	t.Cleanup(func() { cancel(); work.Wait() })
	work.Go(func() {
		defer close(events)
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		var e event
		for lines.Scan() {
			switch name, value, _ := strings.Cut(lines.Text(), ": "); {
			case lines.Text() == "":
				if e != (event{}) {
					events <- e
				}
				e = event{}
			case name == "event":
				e.name = value
			case name == "id":
				e.id = value
			case name == "data":
				e.data = value
			}
		}
	})
	return events
}

// next is the next event, which comes within some seconds.
func next(t testing.TB, events <-chan event) (e event, row liveRow) {
	t.Helper()
	select {
	case e, ok := <-events:
		if !ok {
			return event{name: "end"}, row
		}
		if e.name == "row" {
			if err := json.Unmarshal([]byte(e.data), &row); err != nil {
				t.Fatalf("%q: %v", e.data, err)
			}
		}
		return e, row
	case <-time.After(20 * time.Second):
		t.Fatal("no event came")
		return
	}
}

func (h *house) serve(t testing.TB, who *console.Who) string {
	server := httptest.NewServer(served(h.pages, who))
	t.Cleanup(func() { h.pages.Close(); server.Close() })
	return server.URL
}

// TestLive holds that a call is with the tabs whose filter wants it, rendered as in the tables, and that a stream that broke off goes on where it was.
func TestLive(t *testing.T) {
	h := open(t)
	ids := h.fill(5)
	server := h.serve(t, admin)
	f := func(filters ...string) string { return url.Values{"f": filters}.Encode() }
	events := follow(t, server, f("", "action=reject", "caller=9521*"))
	for h.followed() == 0 { // the hub has joined
		time.Sleep(time.Millisecond)
	}
	rejected := h.add(sampleCall(7, time.Now()))
	e, row := next(t, events)
	if e.name != "row" || e.id != rejected || row.ID != rejected || fmt.Sprint(row.For) != "[0 1 2]" {
		t.Errorf("a rejected call comes as %+v for %v", e, row.For)
	}
	all := elements(t, "a live row", "<table>"+row.html(t)+"</table>")
	harmless(t, "a live row", all)
	if all[1].name != "tr" || all[1].at["id"] != "call-"+rejected || !strings.Contains(row.html(t), "/block") {
		t.Errorf("the row is %s", row.html(t))
	}
	talked := h.add(sampleCall(9, time.Now()))
	if e, row := next(t, events); e.id != talked || fmt.Sprint(row.For) != "[0]" {
		t.Errorf("another call comes as %+v for %v", e, row.For)
	}
	// After a break.
	if err := h.journal.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	again := follow(t, server, f("")+"&after="+ids[3])
	for _, want := range []string{ids[4], rejected, talked} {
		if e, _ := next(t, again); e.id != want {
			t.Errorf("after %s comes %s, want %s", ids[3], e.id, want)
		}
	}
	h.pages.Close()
	if e, _ := next(t, events); e.name != "end" {
		t.Errorf("when the server stops comes %+v", e)
	}
}

// TestLiveHostile holds that no text of a caller is more than a part of a row.
func TestLiveHostile(t *testing.T) {
	s := fullSample()
	p, err := New(Options{Desk: s, Policy: samplePolicyOf})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, pages: p}
	events := follow(t, h.serve(t, viewer), "")
	for i, text := range hostile {
		r := sampleCall(7*i, time.Now())
		r.ID, r.Name, r.Reason, r.Rule, r.Line, r.Callee = fmt.Sprintf("%026d", i), text, text, text, text, text
		r.Caller = console.Caller{Raw: text, Kind: text}
		s.follow <- r
		e, row := next(t, events)
		for e.name == "over" {
			e, row = next(t, events)
		}
		if e.name != "row" || row.ID != r.ID {
			t.Fatalf("%q comes as %+v", text, e)
		}
		harmless(t, text, elements(t, text, "<table>"+row.html(t)+"</table>"))
	}
}

// TestLiveSlow holds that a reader who was too slow is told so, and that a storm is thinned out for one who is not.
func TestLiveSlow(t *testing.T) {
	s := fullSample()
	p, err := New(Options{Desk: s, Policy: samplePolicyOf})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, pages: p}
	events := follow(t, h.serve(t, viewer), "")
	const storm = 60
	for i := range storm {
		s.follow <- sampleCall(i+1000, time.Now())
	}
	rows, over := 0, 0
	for rows+over < storm {
		e, _ := next(t, events)
		switch e.name {
		case "row":
			rows++
		case "over":
			var n int
			fmt.Sscan(e.data, &n)
			over += n
		default:
			t.Fatalf("%+v after %d rows and %d over", e, rows, over)
		}
	}
	if rows < liveBatch {
		t.Errorf("of %d calls %d are shown, want %d at least", storm, rows, liveBatch)
	}
	close(s.follow) // the desk lets go of it
	if e, _ := next(t, events); e.name != "slow" {
		t.Errorf("who was too slow is told %+v", e)
	}
}

// TestLiveWrong holds that a stream for what nobody shows is refused.
func TestLiveWrong(t *testing.T) {
	h := open(t)
	for _, query := range []string{"f=%25zz", strings.Repeat("f=x&", maxFilters+1)} {
		wantStatus(t, query, h.get(admin, "/live?"+query), http.StatusBadRequest)
	}
}

// BenchmarkRow is what one call costs that many follow.
func BenchmarkRow(b *testing.B) {
	s := fullSample()
	p, err := New(Options{Desk: s, Policy: samplePolicyOf})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("rendered", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			r := sampleCall(i*7+1, time.Now())
			if _, err := p.renderRow("en", admin, r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("shared", func(b *testing.B) {
		r := sampleCall(1, time.Now())
		for b.Loop() {
			if _, err := p.renderRow("en", admin, r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
