package detect

import "time"

// Over is where detectors have no room under max_share at the moment, by trunk.
func (s *Set) Over(now time.Time) []Over {
	t := s.lock()
	defer t.mu.Unlock()
	return t.budgets.over(t.clock.time(t.advance(now)))
}
