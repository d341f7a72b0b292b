package web

import (
	"io"
	"net/http"
	"time"
)

// Deadlines of a body and of an answer, which go on as long as bytes do.
const (
	bodyGrace = 10 * time.Second
	bodyRate  = 16 << 10         // bytes a second, at least, once the grace is over
	restWait  = 2 * time.Second  // for what is left of a body that nobody reads
	writeWait = 30 * time.Second // for a piece of an answer, 64 KiB at most with what the kernel holds
)

// pacing gives each request its deadlines. Those of net/http are for a whole body and a whole answer, and would end an import over a slow line, and who
// follows the calls.
func (s *Server) pacing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &pacedAnswer{ResponseWriter: w, rc: http.NewResponseController(w)}
		answer.rc.SetWriteDeadline(time.Time{}) // of an earlier request on the connection
		if r.Body != nil && r.Body != http.NoBody {
			body := &pacedBody{ReadCloser: r.Body, rc: answer.rc, began: time.Now()}
			r.Body = body
			defer func() {
				if !body.whole { // net/http reads what nobody wanted, for the sake of the next request
					answer.rc.SetReadDeadline(time.Now().Add(restWait))
				}
			}()
		}
		next.ServeHTTP(answer, r)
		answer.rc.SetWriteDeadline(time.Now().Add(writeWait)) // what is still in buffers
	})
}

// pacedBody is a body that must not come slower than bodyRate.
type pacedBody struct {
	io.ReadCloser
	rc    *http.ResponseController
	began time.Time
	n     int64
	whole bool // it was read to its end
}

func (b *pacedBody) Read(p []byte) (int, error) {
	b.rc.SetReadDeadline(b.began.Add(bodyGrace + time.Duration(b.n/bodyRate)*time.Second))
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	b.whole = b.whole || err == io.EOF
	if err == nil || err == io.EOF {
		b.rc.SetReadDeadline(time.Time{}) // work on what came may take longer
	}
	return n, err
}

// pacedAnswer gives each piece of an answer a deadline of its own.
type pacedAnswer struct {
	http.ResponseWriter
	rc  *http.ResponseController
	set time.Time // when the deadline was set last; zero: there is none
}

func (a *pacedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *pacedAnswer) arm() {
	if now := time.Now(); now.Sub(a.set) > time.Second { // a line of a stream each is not worth a timer each
		a.rc.SetWriteDeadline(now.Add(writeWait))
		a.set = now
	}
}

func (a *pacedAnswer) Write(p []byte) (int, error) {
	a.arm()
	return a.ResponseWriter.Write(p)
}

// FlushError sends what was written, and lifts the deadline: whoever follows may have nothing to say for hours.
func (a *pacedAnswer) FlushError() error {
	a.arm()
	err := a.rc.Flush()
	a.rc.SetWriteDeadline(time.Time{})
	a.set = time.Time{}
	return err
}

func (a *pacedAnswer) Flush() { a.FlushError() }

// SetWriteDeadline does nothing: each piece has its own.
func (a *pacedAnswer) SetWriteDeadline(time.Time) error { return nil }
