package detect

import "time"

// Over is where detectors have no room under max_share at the moment, by trunk.
func (s *Set) Over(now time.Time) []Over {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock.at(now)
	return s.budgets.over(s.clock.time(s.clock.now))
}
