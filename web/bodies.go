package web

import (
	"net/http"
	"time"

	"ringfence/console"
)

// How much a request may carry, and how many large ones are read at once: what is sent lies in the memory of the program that screens calls.
const (
	maxSmall  = 256 << 10        // bytes, of who may not edit lists, or is bound to lines
	maxLarge  = 65 << 20         // of others: a list to import
	largeFrom = 1 << 20          // from here on, or where a request does not say its length, it takes a place
	large     = 2                // places
	largeWait = 10 * time.Second // for one
)

// checkBody bounds a request by what its sender may do at all, before anything of it is read.
func (s *Server) checkBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most := int64(maxSmall)
		if who := console.WhoOf(r.Context()); who != nil && !who.Bound() && who.Role.Covers(console.Reviewer) {
			most = maxLarge
		}
		if r.ContentLength > most {
			s.refuse(w, r, http.StatusRequestEntityTooLarge, "too_large", "this is more than you may send here at once")
			return
		}
		if r.ContentLength >= largeFrom || r.ContentLength < 0 && most > maxSmall {
			timeout := time.NewTimer(largeWait)
			defer timeout.Stop()
			select {
			case s.large <- struct{}{}:
				defer func() { <-s.large }()
			case <-r.Context().Done():
				return
			case <-timeout.C:
				s.refuse(w, r, http.StatusServiceUnavailable, "busy", "other large files are being read: try again in a moment")
				return
			}
		}
		if r.Body != nil {
			r.Body = http.MaxBytesReader(w, r.Body, most)
		}
		next.ServeHTTP(w, r)
	})
}
