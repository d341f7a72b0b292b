package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestLoggedSeldom: who sends tokens in addresses all the time does not fill the log, and the log says how many there were.
func TestLoggedSeldom(t *testing.T) {
	var text strings.Builder
	now := time.Unix(1_764_400_000, 0)
	s := bare(time.Second)
	s.o.Log, s.o.Now = slog.New(slog.NewTextHandler(&text, nil)), func() time.Time { return now }
	ask := func(from string) {
		r := httptest.NewRequest("GET", "/?token=x", nil)
		r.RemoteAddr = from + ":4711"
		w := httptest.NewRecorder()
		s.checkAddress(http.NotFoundHandler()).ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest {
			t.Fatalf("got %d", w.Code)
		}
	}
	for i := range 200 {
		ask(fmt.Sprintf("192.0.2.%d", i))
		now = now.Add(time.Second)
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 4 || !strings.Contains(lines[0], "from=192.0.2.0 unlogged_before=0") || !strings.Contains(lines[3], "unlogged_before=59") {
		t.Errorf("200 in as many seconds are %d lines:\n%s", len(lines), &text)
	}
	if got := s.Counters.Address.Load(); got != 200 {
		t.Errorf("%d are counted", got)
	}
	now = now.Add(-time.Hour)
	ask("192.0.2.7")
	if !strings.Contains(text.String(), "from=192.0.2.7 unlogged_before=19") {
		t.Errorf("after the clock was set back it is not logged:\n%s", &text)
	}
}
