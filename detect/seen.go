package detect

import (
	"math"

	"ringfence/policy"
)

// seen are numbers that called before, exactly, in two halves: when the newer is full it becomes the older, and who was in that and has
// not called since is forgotten. It grows as numbers come.
type seen struct {
	newer, older numberSet
}

// maxSeen bounds one half: 4 MiB.
const maxSeen = 400_000

func (s *seen) has(n uint64) bool { return s.newer.has(n) || s.older.has(n) }

func (s *seen) add(n uint64) {
	if s.newer.has(n) {
		return
	}
	if s.newer.n >= maxSeen {
		s.newer, s.older = s.older, s.newer
		s.newer.clear()
	}
	s.newer.add(n)
}

func (s *seen) forget(n uint64) int {
	if !s.has(n) {
		return 0
	}
	s.newer.remove(n)
	s.older.remove(n)
	return 1
}

// numberSet is a set of numbers, none of them 0: a place each, the next free one behind where it belongs.
type numberSet struct {
	at []uint64
	n  int
}

func (s *numberSet) place(n uint64) int {
	mask := uint64(len(s.at) - 1)
	i := mix(n) & mask
	for s.at[i] != 0 && s.at[i] != n {
		i = (i + 1) & mask
	}
	return int(i)
}

func (s *numberSet) has(n uint64) bool { return s.n > 0 && s.at[s.place(n)] == n }

func (s *numberSet) add(n uint64) {
	if 5*(s.n+1) > 4*len(s.at) {
		was := s.at
		s.at = make([]uint64, max(1024, 2*len(was)))
		for _, o := range was {
			if o != 0 {
				s.at[s.place(o)] = o
			}
		}
	}
	if i := s.place(n); s.at[i] == 0 {
		s.at[i] = n
		s.n++
	}
}

// remove takes a number out; those behind it move up.
func (s *numberSet) remove(n uint64) {
	if !s.has(n) {
		return
	}
	mask := len(s.at) - 1
	hole := s.place(n)
	s.n--
	for i := (hole + 1) & mask; s.at[i] != 0; i = (i + 1) & mask {
		if home := int(mix(s.at[i])) & mask; (i-home)&mask >= (i-hole)&mask {
			s.at[hole], hole = s.at[i], i
		}
	}
	s.at[hole] = 0
}

func (s *numberSet) clear() {
	clear(s.at)
	s.n = 0
}

// recent are the calls of the last seconds, by caller and callee: a switch that tries twice makes one call.
type recent struct {
	newer, older callTimes
	since        int64 // of the newer
}

const (
	maxRecent = 16_384 // of one half
	sameCall  = int64(policy.SameCall / 1e6)
)

// same reports whether the call was there a moment ago; one that was not is noted if that is asked.
func (r *recent) same(call uint64, now int64, note bool) bool {
	if now-r.newer.find(call) < sameCall || now-r.older.find(call) < sameCall {
		return true
	}
	if !note {
		return false
	}
	if now-r.since >= sameCall || r.newer.n >= maxRecent {
		r.newer, r.older = r.older, r.newer
		r.newer.clear()
		r.since = now
	}
	r.newer.note(call, now)
	return false
}

// callTimes are calls and when they came, each in the next free place behind where it belongs.
type callTimes struct {
	all  []callTime
	n    int
	seed uint64 // so that nobody can choose calls that belong to one place
}

type callTime struct {
	call uint64
	at   int64 // 0: none
}

const never = math.MinInt64 / 2

// place is where a call is, or would be.
func (c *callTimes) place(call uint64) *callTime {
	mask := uint64(len(c.all) - 1)
	i := mix(call^c.seed) & mask
	for c.all[i].at != 0 && c.all[i].call != call {
		i = (i + 1) & mask
	}
	return &c.all[i]
}

// find is when a call came.
func (c *callTimes) find(call uint64) int64 {
	if c.n > 0 {
		if t := c.place(call); t.at != 0 {
			return t.at
		}
	}
	return never
}

// note keeps when a call came.
func (c *callTimes) note(call uint64, at int64) {
	if 2*(c.n+1) > len(c.all) {
		was := c.all
		c.all = make([]callTime, max(256, 2*len(was)))
		for _, t := range was {
			if t.at != 0 {
				*c.place(t.call) = t
			}
		}
	}
	t := c.place(call)
	if t.at == 0 {
		c.n++
	}
	*t = callTime{call, at}
}

func (c *callTimes) clear() {
	clear(c.all)
	c.n = 0
}
