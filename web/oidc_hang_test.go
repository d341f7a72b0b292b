package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ringfence/conf"
)

// answers is a server of OpenID Connect, as a client sees it.
type answers func(*http.Request) (*http.Response, error)

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestOIDCHangs: nobody waits for a server that says nothing longer than for one try, however many wait, and who goes holds nobody up.
func TestOIDCHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const issuer = "https://login.example.com"
		o := newOIDC(&conf.Console{URL: "https://pbx1.example.com", OIDC: &conf.OIDC{Issuer: issuer, ClientID: "ringfence"}})
		var tries atomic.Int64
		var well atomic.Bool
		o.http.Transport = answers(func(r *http.Request) (*http.Response, error) {
			if !well.Load() {
				tries.Add(1)
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			text := `{"issuer":"` + issuer + `","authorization_endpoint":"` + issuer + `/authorize","token_endpoint":"` + issuer + `/token","jwks_uri":"` + issuer + `/keys"}`
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
		})
		began := time.Now()
		first, leave := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, _, err := o.begin(first, "/")
			gone <- err
		}()
		synctest.Wait()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, _, err := o.begin(t.Context(), "/"); err == nil || errors.Is(err, context.Canceled) {
					t.Errorf("a server that says nothing: got %v", err)
				}
			})
		}
		synctest.Wait()
		leave()
		if err := <-gone; !errors.Is(err, context.Canceled) || time.Since(began) != 0 {
			t.Errorf("who goes is told %v after %v", err, time.Since(began))
		}
		wg.Wait()
		if d := time.Since(began); d > oidcWait || tries.Load() != 1 {
			t.Errorf("twenty waited for %v and %d tries, want %v and one", d, tries.Load(), oidcWait)
		}
		well.Store(true)
		if address, _, err := o.begin(t.Context(), "/"); err != nil || !strings.HasPrefix(address, issuer+"/authorize?") {
			t.Errorf("when it answers again: %q, %v", address, err)
		}
	})
}
