package web

import (
	"io"
	"net/http"
	"time"
)

// pace are the deadlines of a body and of an answer, which go on as long as bytes do.
type pace struct {
	grace time.Duration // before a body has to come at the rate
	rate  int64         // bytes a second of a body, at least
	rest  time.Duration // for what is left of a body that nobody reads
	write time.Duration // for a piece of an answer, 64 KiB at most with what the kernel holds
}

var usualPace = pace{grace: 10 * time.Second, rate: 16 << 10, rest: 2 * time.Second, write: 30 * time.Second}

// pacing gives each request its deadlines. Those of net/http are for a whole body and a whole answer, and would end an import over a slow line, and who
// follows the calls.
func (s *Server) pacing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &pacedAnswer{ResponseWriter: w, rc: http.NewResponseController(w), wait: s.pace.write}
		answer.rc.SetWriteDeadline(time.Time{}) // of an earlier request on the connection
		if r.Body != nil && r.Body != http.NoBody {
			body := &pacedBody{ReadCloser: r.Body, rc: answer.rc, pace: s.pace, began: time.Now()}
			r.Body = body
			defer func() {
				if !body.whole { // net/http reads what nobody wanted, for the sake of the next request
					answer.rc.SetReadDeadline(time.Now().Add(s.pace.rest))
				}
			}()
		}
		next.ServeHTTP(answer, r)
		answer.rc.SetWriteDeadline(time.Now().Add(s.pace.write)) // what is still in buffers
	})
}

// pacedBody is a body that must not come slower than the rate.
type pacedBody struct {
	io.ReadCloser
	rc    *http.ResponseController
	pace  pace
	began time.Time
	n     int64
	whole bool // it was read to its end
}

func (b *pacedBody) Read(p []byte) (int, error) {
	b.rc.SetReadDeadline(b.began.Add(b.pace.grace + time.Duration(b.n/b.pace.rate)*time.Second))
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
	rc   *http.ResponseController
	wait time.Duration
	set  time.Time // when the deadline was set last; zero: there is none
}

func (a *pacedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *pacedAnswer) arm() {
	if now := time.Now(); now.Sub(a.set) > a.wait/30 { // a line of a stream each is not worth a timer each
		a.rc.SetWriteDeadline(now.Add(a.wait))
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
