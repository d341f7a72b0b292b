package web

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"ringfence/console"
)

// TestBodiesByRole: who may not import sends nothing large, and large ones are read a few at a time.
func TestBodiesByRole(t *testing.T) {
	s := &Server{large: make(chan struct{}, large)}
	read := 0
	h := s.checkBody(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		n, err := b.ReadFrom(r.Body)
		if read = int(n); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
	send := func(who *console.Who, size int, said bool) int {
		r := httptest.NewRequest("POST", "/api/v1/lists/x/entries", bytes.NewReader(make([]byte, size)))
		if !said {
			r.ContentLength = -1
		}
		if who != nil {
			r = r.WithContext(console.WithWho(context.Background(), who))
		}
		r.Header.Set("Accept", "application/json")
		w := httptest.NewRecorder()
		read = 0
		h.ServeHTTP(w, r)
		return w.Code
	}
	viewer, bound, reviewer := &console.Who{Role: console.Viewer}, &console.Who{Role: console.Admin, Customer: "Li"}, &console.Who{Role: console.Reviewer}
	for name, who := range map[string]*console.Who{"nobody": nil, "a viewer": viewer, "somebody bound": bound} {
		if got := send(who, maxSmall, true); got != http.StatusOK || read != maxSmall {
			t.Errorf("%s: %d bytes: got %d, %d read", name, maxSmall, got, read)
		}
		if got := send(who, maxSmall+1, false); got != http.StatusBadRequest || read > maxSmall {
			t.Errorf("%s: more, of a length that is not said: got %d, %d read", name, got, read)
		}
	}
	if got := send(reviewer, 3<<20, true); got != http.StatusOK || read != 3<<20 {
		t.Errorf("a reviewer: got %d, %d read", got, read)
	}
	if len(s.large) != 0 {
		t.Errorf("%d places are taken still", len(s.large))
	}
	for range large { // others are at it
		s.large <- struct{}{}
	}
	gone, cancel := context.WithCancel(console.WithWho(context.Background(), reviewer))
	cancel()
	r := httptest.NewRequest("POST", "/", bytes.NewReader(make([]byte, 3<<20))).WithContext(gone)
	read = 0
	if h.ServeHTTP(httptest.NewRecorder(), r); read != 0 {
		t.Errorf("a third was read beside %d others", large)
	}
}
