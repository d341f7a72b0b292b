package traffic

import (
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ringfence/policy"
)

// maxPairs bounds the pairs of a line and a number that it knows. A pair takes up to 270 bytes.
const maxPairs = 1_000_000

// maxPairsLine bounds what calls teach of one line once half of all pairs are taken, so that who calls very many leaves room for others.
const maxPairsLine = 20_000

// Known is who is known to which line. Calls only read it, under the lock of a small part of it.
type Known struct {
	sink   Sink
	most   int64
	seed   maphash.Seed
	shards [256]shard
	pairs  atomic.Int64
	full   atomic.Uint64

	share  int // of pairs of one line that calls teach, once half of all are taken
	naming sync.Mutex
	names  map[string]*knownLine
}

// knownLine is a line that knows somebody.
type knownLine struct {
	text  string // one for each line, not one for each number, and no part of a larger text
	pairs int
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
	last string  // the line that dealt with it last
	more *others // nil: no other line knows it
}

// others is of a number that several lines know. Whose these are is looked up when a call asks, as far as it has to be: lines come and go.
type others struct {
	n     int32                   // how many lines
	asked int32                   // n when customers was found out; anything else: it has to be found out again
	lines [enoughCustomers]string // one of each of different customers, as many as there are
}

// enoughCustomers is how many customers are told apart of those that know a number.
const enoughCustomers = policy.MinKnownLines

// Whose tells whose a line is, by its key, and of one that is not there any more that it is nobody's. It is a policy.
type Whose interface {
	CustomerOfKey(line string) (customer string, ok bool)
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
	k := &Known{sink: sink, most: int64(most), seed: maphash.MakeSeed(), share: maxPairsLine, names: make(map[string]*knownLine)}
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
	line, all, _ = k.Of(number, lines, now, nil)
	return line, all
}

// Of is To, and says to how many customers the number is known by their lines, enoughCustomers at most. Lines that are not there any more
// count neither for that nor as any, and none that came to know it later than now.
func (k *Known) Of(number string, lines []string, now time.Time, whose Whose) (line, all time.Time, customers int) {
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
	at := any.by(ms)
	if whose != nil {
		at, customers = s.vouch(number, any, ms, whose)
	}
	return moment(here), moment(at), customers
}

// vouch says when a number was last known to a line that is there by a moment, and of how many customers such lines are. s is locked.
func (s *shard) vouch(number string, any acquaintance, ms int64, whose Whose) (at int64, customers int) {
	isThere := func(line string) (there bool) {
		_, there = customerOf(whose, line)
		return there
	}
	switch {
	case any.more == nil && !isThere(any.last):
		return 0, 0
	case any.more == nil:
		if at = any.by(ms); at != 0 {
			customers = 1
		}
		return at, customers
	case any.more.asked == any.more.n && isThere(any.last):
		for _, line := range any.more.lines {
			switch {
			case line == "":
				return any.by(ms), customers
			case !isThere(line) || s.lines[pair{line, number}].by(ms) == 0:
				return s.askAll(number, any, ms, whose)
			}
			customers++
		}
		return any.by(ms), customers
	}
	return s.askAll(number, any, ms, whose)
}

// askAll is vouch of a number whose lines have to be looked at again. It goes through all that are known of the numbers that fall on the same
// part. s is locked.
func (s *shard) askAll(number string, any acquaintance, ms int64, whose Whose) (at int64, customers int) {
	o, gone, later := any.more, false, false
	var of [enoughCustomers]string
	for who, known := range s.lines {
		if who.number != number {
			continue
		}
		customer, ok := customerOf(whose, who.line)
		switch by := known.by(ms); {
		case !ok:
			gone = true
		case by == 0:
			later = true
		default:
			at = max(at, by)
			if customers < len(of) && !slices.Contains(of[:customers], customer) {
				of[customers], o.lines[customers] = customer, who.line
				customers++
			}
		}
	}
	clear(o.lines[customers:])
	if o.asked = o.n; gone && customers < len(of) || later { // an undo may bring it back
		o.asked = -1
	}
	return at, customers
}

// customerOf is whose a line is. That of a replay's phone on no line is its own.
func customerOf(whose Whose, line string) (string, bool) {
	if line == "" {
		return "", true
	}
	return whose.CustomerOfKey(line)
}

// Has reports whether a number was ever known.
func (k *Known) Has(number string) bool {
	s := k.shard(number)
	s.Lock()
	defer s.Unlock()
	_, ok := s.any[number]
	return ok && number != ""
}

// Meet makes a number known to a line, unless the line knows so many that others would find no room, and tells the sink.
func (k *Known) Meet(line, number string, at time.Time) {
	if !k.hasShare(line, number) {
		k.full.Add(1)
		return
	}
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
		who.line, who.number = k.count(line, 1), strings.Clone(number) // not a part of a larger text
		k.pairs.Add(1)
	}
	s.lines[who] = was.add(ms)
	any, more := s.any[number]
	switch {
	case there, !more:
	case any.more == nil:
		any.more = &others{n: 2}
	default:
		any.more.n++
	}
	if any.twice = any.add(ms); any.twice.last == ms && any.last != line {
		any.last = k.text(line)
	}
	s.any[who.number] = any
	return ms > was.last
}

// text is a line that knows somebody, as it is kept.
func (k *Known) text(line string) string { return k.count(line, 0) }

// count counts pairs of a line, and gives the line as it is kept.
func (k *Known) count(line string, more int) string {
	k.naming.Lock()
	defer k.naming.Unlock()
	l := k.names[line]
	if l == nil {
		l = &knownLine{text: strings.Clone(line)}
		k.names[l.text] = l
	}
	if l.pairs += more; l.pairs <= 0 {
		delete(k.names, l.text)
	}
	return l.text
}

// hasShare reports whether a line may come to know a number by a call.
func (k *Known) hasShare(line, number string) bool {
	if k.pairs.Load() < k.most/2 {
		return true
	}
	k.naming.Lock()
	l := k.names[line]
	has := l == nil || l.pairs < k.share
	k.naming.Unlock()
	if has {
		return true
	}
	at, _ := k.To(number, []string{line}, time.Time{})
	return !at.IsZero()
}

// HasRoomForOthers reports whether what another node says of a line and a number may be remembered: a quarter of all pairs, and of a line's share, is left to what
// calls teach here, whatever others say.
func (k *Known) HasRoomForOthers(line, number string) bool {
	if at, _ := k.To(number, []string{line}, time.Time{}); !at.IsZero() {
		return true
	}
	n := k.pairs.Load()
	if n < k.most/2 {
		return true
	}
	k.naming.Lock()
	defer k.naming.Unlock()
	l := k.names[line]
	return n < k.most-k.most/4 && (l == nil || l.pairs < k.share-k.share/4)
}

// Forget drops callers that were last known before a time. While there is no room, it drops those of lines that are not there any more as well;
// a nil whose spares them. It holds the lock of one part at a time.
func (k *Known) Forget(before time.Time, whose Whose) {
	oldest := before.UnixMilli()
	gone := func(string) bool { return false }
	if whose != nil && k.IsFull() {
		gone = func(line string) bool {
			_, there := customerOf(whose, line)
			return !there
		}
	}
	for i := range k.shards {
		s := &k.shards[i]
		s.Lock()
		for who, at := range s.lines {
			if at.last < oldest || gone(who.line) {
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
	k.count(who.line, -1)
	any := s.any[who.number]
	if any.more == nil || any.more.n == 1 {
		delete(s.any, who.number)
		return
	}
	any.more.n, any.more.asked = any.more.n-1, -1
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
			any.twice, any.last = s.latest(number)
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

// latest is when a number was known to any line, by those that know it now, and the last one. s is locked.
func (s *shard) latest(number string) (t twice, line string) {
	for who, at := range s.lines {
		if who.number == number {
			if t = t.add(at.last).add(at.before); t.last == at.last {
				line = who.line
			}
		}
	}
	return t, line
}

// Len is how many pairs there are.
func (k *Known) Len() int { return int(k.pairs.Load()) }

// IsFull reports whether there is no room for another pair.
func (k *Known) IsFull() bool { return k.pairs.Load() >= k.most }

// Full is how many pairs found no room.
func (k *Known) Full() uint64 { return k.full.Load() }
