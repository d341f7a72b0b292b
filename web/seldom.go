package web

import (
	"sync"
	"time"
)

// seldom says when to log what anybody can have us log with each request: once a minute.
type seldom struct {
	mu     sync.Mutex
	last   time.Time // zero: never
	unsaid int       // since
}

const seldomEvery = time.Minute

// now reports whether to log what happens now, and how many times it was not logged before.
func (s *seldom) now(now time.Time) (before int, say bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := now.Sub(s.last); age >= 0 && age < seldomEvery { // the clock may have been set back
		s.unsaid++
		return 0, false
	}
	before, s.unsaid, s.last = s.unsaid, 0, now
	return before, true
}
