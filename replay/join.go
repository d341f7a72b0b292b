package replay

import "time"

// part is the place of a record among those of its call. Asterisk writes one for each phone that rang, for each
// helper channel (Local/…) and for each stretch of talk; linkedid, or else uniqueid, says that they are one call.
type part struct {
	key     uint64 // of the call; 0: there are no other records of it
	rank    rank
	dialled bool // the called number is what the caller dialled, not where the switch sent the call
}

// rank is how much a record says of who called whom.
type rank uint8

const (
	partLocal rank = iota // of a helper channel
	partOther
	partFirst // of the channel that the call came in by
)

// Bounds of what is waited for. Records of one call lie near to each other: at its end in a file that the switch
// writes, by when they began in what a database gives.
const (
	maxHeld   = 1 << 14 // calls, some 12 MB
	maxAhead  = 64      // chunks: their texts, 8 MB, are kept as long as a call of them is held
	maxClosed = 1 << 16 // calls whose further records are known as such, 4 MB
	maxApart  = 24 * time.Hour
)

// joiner holds calls back, in the order of their first records, until no further record of them is expected.
type joiner struct {
	held   []held // a ring once it has grown to maxHeld
	first  int    // the number of the oldest call that is held; its place is that modulo maxHeld
	next   int    // the number of the next call
	at     map[uint64]int
	chunks int

	closed map[uint64]struct{}
	ring   []uint64 // keys of closed calls
	oldest int
}

// held is a call of which there may be more records.
type held struct {
	file   string
	call   Call
	out    outcome
	chunk  int
	own    float64   // seconds talked on the channel of the call
	until  time.Time // when that stretch of talk was over at the earliest
	others float64   // the longest talk on another channel
	again  bool      // it is not the call any more that was decided on
}

func newJoiner() *joiner {
	return &joiner{at: make(map[uint64]int), closed: make(map[uint64]struct{})}
}

// join takes a record. emit gets the calls of which no more is expected.
func (t *tally) join(file string, o *outcome) error {
	if t.joins == nil {
		if o.call.part.key == 0 {
			return t.count(file, o)
		}
		t.joins = newJoiner()
	}
	j, key := t.joins, o.call.part.key
	if key != 0 {
		if n, ok := j.at[key]; ok {
			if h := &j.held[n%maxHeld]; h.near(o.call) {
				t.report.Summary.Parts++
				h.add(file, o)
				return nil
			}
		} else if _, ok := j.closed[key]; ok {
			t.report.Summary.Parts++
			t.report.Summary.Late++
			return nil
		}
	}
	if j.next-j.first == maxHeld {
		if err := t.emit(); err != nil {
			return err
		}
	}
	if j.next == len(j.held) && j.next < maxHeld {
		j.held = append(j.held, held{})
	}
	h := &j.held[j.next%maxHeld]
	*h = held{chunk: j.chunks}
	h.become(file, o)
	if key != 0 {
		j.at[key] = j.next
	}
	j.next++
	return nil
}

// emit counts the oldest call that is held.
func (t *tally) emit() error {
	j := t.joins
	h := &j.held[j.first%maxHeld]
	if key := h.call.part.key; key != 0 && j.at[key] == j.first {
		delete(j.at, key)
		j.close(key)
	}
	j.first++
	h.call.Talk = max(h.own, h.others)
	if h.again {
		h.out = t.judge(&h.call)
	}
	h.out.call = &h.call
	err := t.count(h.file, &h.out)
	*h = held{}
	return err
}

// close keeps in mind that a call was counted.
func (j *joiner) close(key uint64) {
	if len(j.ring) < maxClosed {
		j.ring = append(j.ring, key)
	} else {
		delete(j.closed, j.ring[j.oldest])
		j.ring[j.oldest] = key
		j.oldest = (j.oldest + 1) % maxClosed
	}
	j.closed[key] = struct{}{}
}

// settle counts the calls that have been held for long enough; all of them when the files are at their end.
func (t *tally) settle(all bool) error {
	j := t.joins
	if j == nil {
		return nil
	}
	for j.chunks++; j.first < j.next && (all || j.held[j.first%maxHeld].chunk+maxAhead < j.chunks); {
		if err := t.emit(); err != nil {
			return err
		}
	}
	return nil
}

// near reports whether a record may be of the same call by its time.
func (h *held) near(c *Call) bool {
	apart := c.Facts.Time.Sub(h.call.Facts.Time)
	return apart <= maxApart && apart >= -maxApart
}

// become makes the call what a record says.
func (h *held) become(file string, o *outcome) {
	h.file, h.call, h.out = file, *o.call, *o
	h.own, h.until = o.call.Talk, o.call.overAt()
}

// add takes a further record of the call. The call is the one of the channel that it came in by, or else of its first
// record; the called number is what was dialled, where one of them says so; it was answered if one of them was.
func (h *held) add(file string, o *outcome) {
	c, was := o.call, h.call
	switch earlier := c.Facts.Time.Before(was.Facts.Time); {
	case c.part.rank > was.part.rank, c.part.rank == was.part.rank && earlier && c.ID != was.ID:
		h.others = max(h.others, h.own)
		h.become(file, o)
		h.again = false
		h.dial(&was)
	case c.ID != was.ID || c.ID == "":
		h.others = max(h.others, c.Talk)
		h.dial(c)
	default: // the next stretch of talk of the same channel, or another phone that rang with it
		if c.Facts.Time.Before(h.until) {
			h.own = max(h.own, c.Talk)
		} else {
			h.own += c.Talk
		}
		if over := c.overAt(); over.After(h.until) {
			h.until = over
		}
		h.dial(c)
	}
	h.call.Answered = h.call.Answered || c.Answered || was.Answered
	h.call.Ended = h.call.Ended || c.Ended || was.Ended
	for _, l := range []label{c.label, was.label} {
		if l.unwanted && !h.call.label.unwanted {
			h.call.label = l
		}
	}
	h.out.change = nil // it says of a record what became of it
}

// dial takes what the caller dialled out of another record, if that is not known yet.
func (h *held) dial(c *Call) {
	if c.part.dialled && !h.call.part.dialled {
		h.call.Facts.Callee, h.call.part.dialled, h.again = c.Facts.Callee, true, true
	}
}

// overAt is when the talk of a record was over at the earliest.
func (c *Call) overAt() time.Time {
	return c.Facts.Time.Add(c.talked())
}
