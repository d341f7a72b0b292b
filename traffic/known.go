package traffic

import (
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxPairs bounds the pairs of a line and a number that it knows. A pair takes up to 190 bytes.
const maxPairs = 1_000_000

// Known is who is known to which line. Calls only read it, under the lock of a small part of it.
type Known struct {
	sink   Sink
	most   int64
	seed   maphash.Seed
	shards [256]shard
	pairs  atomic.Int64
	full   atomic.Uint64
}

// shard has the callers whose numbers fall on it.
type shard struct {
	sync.Mutex
	lines map[pair]twice          // when a number was known to a line
	any   map[string]acquaintance // and to any line
}

// acquaintance is a number that some line knows.
type acquaintance struct {
	twice
	lines int32 // that know it
	since twice // when the two became so that came to know it last
}

// twice is when a number was known last, and before that: a call may come in while one goes on from which its
// caller will be known. Milliseconds since 1970; 0 is never.
type twice struct{ last, before int64 }

// add takes one more moment.
func (t twice) add(at int64) twice {
	switch {
	case at > t.last:
		return twice{at, t.last}
	case at < t.last && at > t.before:
		t.before = at
	}
	return t
}

// by is the last moment up to now, 0 if there is none.
func (t twice) by(now int64) int64 {
	switch {
	case t.last <= now:
		return t.last
	case t.before <= now:
		return t.before
	}
	return 0
}

// NewKnown makes one with room for so many pairs; a nil sink keeps nothing.
func NewKnown(most int, sink Sink) *Known {
	if sink == nil {
		sink = nowhere{}
	}
	k := &Known{sink: sink, most: int64(most), seed: maphash.MakeSeed()}
	for i := range k.shards {
		k.shards[i].lines, k.shards[i].any = make(map[pair]twice), make(map[string]acquaintance)
	}
	return k
}

func (k *Known) shard(number string) *shard {
	return &k.shards[maphash.String(k.seed, number)%uint64(len(k.shards))]
}

// To says when a number was last known to one of the lines, and when to any at all; zero for never. now leaves out what
// came later; a zero now leaves out nothing.
func (k *Known) To(number string, lines []string, now time.Time) (line, all time.Time) {
	line, all, _ = k.Of(number, lines, now)
	return line, all
}

// Of is To, and says to how many lines the number is known. Those that came to know it later than now are left out, as far as they are
// two; a line that was forgotten because it was too long ago does not count.
func (k *Known) Of(number string, lines []string, now time.Time) (line, all time.Time, known int) {
	if number == "" {
		return line, all, 0
	}
	s, ms := k.shard(number), int64(math.MaxInt64)
	if !now.IsZero() {
		ms = now.UnixMilli()
	}
	s.Lock()
	defer s.Unlock()
	any, ok := s.any[number]
	if !ok {
		return line, all, 0
	}
	here := int64(0)
	for _, name := range lines {
		here = max(here, s.lines[pair{name, number}].by(ms))
	}
	known = int(any.lines)
	for _, since := range [...]int64{any.since.last, any.since.before} {
		if since > ms {
			known--
		}
	}
	return moment(here), moment(any.by(ms)), known
}

// Has reports whether a number was ever known.
func (k *Known) Has(number string) bool {
	s := k.shard(number)
	s.Lock()
	defer s.Unlock()
	_, ok := s.any[number]
	return ok && number != ""
}

// Meet makes a number known to a line, and tells the sink.
func (k *Known) Meet(line, number string, at time.Time) {
	if k.Remember(line, number, at) {
		k.sink.Keep(KnownFacts, line+"\x00"+number, at.UnixMilli())
	}
}

// Remember is Meet without the sink, for what it has kept. It is false if there is no room, or if more recent things are
// known.
func (k *Known) Remember(line, number string, at time.Time) bool {
	s, who, ms := k.shard(number), pair{line, number}, at.UnixMilli()
	s.Lock()
	defer s.Unlock()
	was, there := s.lines[who]
	switch {
	case !there && k.pairs.Load() >= k.most:
		k.full.Add(1)
		k.sink.NoRoom(KnownFacts)
		return false
	case !there:
		who.number = strings.Clone(number) // not a part of a larger text
		k.pairs.Add(1)
	}
	s.lines[who] = was.add(ms)
	any := s.any[number]
	if any.twice = any.add(ms); !there {
		any.lines, any.since = any.lines+1, any.since.add(ms)
	}
	s.any[who.number] = any
	return ms > was.last
}

// Forget drops callers that were last known before a time. It holds the lock of one part at a time.
func (k *Known) Forget(before time.Time) {
	oldest := before.UnixMilli()
	for i := range k.shards {
		s := &k.shards[i]
		s.Lock()
		for who, at := range s.lines {
			if at.last < oldest {
				k.part(s, who)
			}
		}
		s.Unlock()
	}
}

// part drops a pair that is there, and the number with the last of its lines. s is locked.
func (k *Known) part(s *shard, who pair) {
	delete(s.lines, who)
	k.pairs.Add(-1)
	any := s.any[who.number]
	if any.lines--; any.lines > 0 {
		s.any[who.number] = any
		return
	}
	delete(s.any, who.number)
}

// Lines are those that a number is known to. It goes through all that are known of the numbers that fall on the same part.
func (k *Known) Lines(number string) (lines []string) {
	s := k.shard(number)
	s.Lock()
	defer s.Unlock()
	if _, ok := s.any[number]; !ok {
		return nil
	}
	for who := range s.lines {
		if who.number == number {
			lines = append(lines, who.line)
		}
	}
	slices.Sort(lines)
	return lines
}

// Part makes a number unknown to a line, or with "" to all, and says to how many it was known.
func (k *Known) Part(number, line string) (n int) {
	s := k.shard(number)
	s.Lock()
	defer s.Unlock()
	if _, ok := s.any[number]; !ok {
		return 0
	}
	if line != "" {
		who := pair{line, number}
		if _, ok := s.lines[who]; !ok {
			return 0
		}
		k.part(s, who)
		if any, more := s.any[number]; more { // it may have been this line that dealt with it last
			any.twice = s.latest(number)
			s.any[number] = any
		}
		return 1
	}
	for who := range s.lines {
		if who.number == number {
			k.part(s, who)
			n++
		}
	}
	return n
}

// latest is when a number was known to any line, by those that know it now. s is locked.
func (s *shard) latest(number string) (t twice) {
	for who, at := range s.lines {
		if who.number == number {
			t = t.add(at.last).add(at.before)
		}
	}
	return t
}

// Len is how many pairs there are.
func (k *Known) Len() int { return int(k.pairs.Load()) }

// IsFull reports whether there is no room for another pair.
func (k *Known) IsFull() bool { return k.pairs.Load() >= k.most }

// Full is how many pairs found no room.
func (k *Known) Full() uint64 { return k.full.Load() }
