package replay

import (
	"strings"
	"time"

	"ringfence/policy"
)

// maxKnown is how many pairs of a line and a number that it knows are followed.
const maxKnown = 200_000

// knownNote is said of policies that ask for known callers.
const knownNote = "known_caller is judged by these files alone: a caller is known who had talked for 60 s with the called line before " +
	"(voicemail cannot be told from people). Whom a line called is known only if the files have calls that went out; a journal has none"

// dealings are whom the lines of one policy deal with, by the calls that came before in the files. They are learnt as the
// daemon learns them, from the ends of calls. Nil ones are none.
type dealings struct {
	lines map[pair]twice
	any   map[string]twice
	room  []string
	over  uint64 // pairs that had no room
}

type pair struct{ line, number string }

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

// by is the last moment up to now, zero if there is none.
func (t twice) by(now int64) time.Time {
	switch {
	case t.last != 0 && t.last <= now:
		return time.UnixMilli(t.last)
	case t.before != 0 && t.before <= now:
		return time.UnixMilli(t.before)
	}
	return time.Time{}
}

// newDealings gives nil for a policy that does not ask.
func newDealings(p *policy.Policy) *dealings {
	if p.KnownWindow() == 0 {
		return nil
	}
	return &dealings{lines: make(map[pair]twice), any: make(map[string]twice)}
}

// fill says of a call what is known.
func (k *dealings) fill(p *policy.Policy, c *policy.Call) {
	if k == nil || c.Caller.E164 == "" {
		return
	}
	all, ok := k.any[c.Caller.E164]
	if !ok {
		return
	}
	now := c.Time.UnixMilli()
	c.KnownToAll = all.by(now)
	k.room = p.AppendLines(k.room[:0], &c.Callee)
	for _, line := range k.room {
		if at := k.lines[pair{line, c.Caller.E164}].by(now); at.After(c.KnownToLine) {
			c.KnownToLine = at
		}
	}
}

// has says whether a number was ever known; what is not needs no second look.
func (k *dealings) has(number string) bool {
	if k == nil {
		return false
	}
	_, ok := k.any[number]
	return ok && number != ""
}

// learn takes what became of a call. talked is how long people did.
func (k *dealings) learn(p *policy.Policy, c *policy.Call, talked time.Duration) {
	if k == nil || talked < policy.DialledTalk {
		return
	}
	at := c.Time.Add(talked).UnixMilli()
	k.room = p.AppendLines(k.room[:0], &c.Callee)
	switch {
	case len(k.room) > 0 && talked >= policy.CalledTalk:
		k.meet(c.Caller.E164, at)
	case len(k.room) == 0 && c.Callee.E164 != "":
		k.room = p.AppendLines(k.room, &c.Caller) // of a call that went out
		k.meet(c.Callee.E164, at)
	}
}

// meet makes a number known to the lines in k.room.
func (k *dealings) meet(number string, at int64) {
	if number == "" {
		return
	}
	for _, line := range k.room {
		who := pair{line, number}
		t, there := k.lines[who]
		if !there {
			if len(k.lines) >= maxKnown {
				k.over++
				continue
			}
			number = strings.Clone(number) // not a part of a chunk
			who.number = number
		}
		k.lines[who] = t.add(at)
		k.any[number] = k.any[number].add(at)
	}
}

// again decides once more on a call whose caller is known by the calls before it. The workers, which see the calls
// in no order, took it for one of strangers.
func (t *tally) again(o *outcome) {
	if t.mind.known.has(o.number.E164) {
		_, d := t.mind.decide(o.call)
		o.decided(&d)
	}
	if t.against != nil && t.against.known != nil {
		call := t.against.call(o.call)
		if t.against.known.has(call.Caller.E164) {
			_, was := t.against.decide(o.call)
			o.was = verdictOf(&was)
		}
	}
}

// learn has both policies learn from a call.
func (t *tally) learn(c *Call) {
	if !c.Answered {
		return
	}
	talked := time.Duration(min(c.Talk, 1e9) * float64(time.Second))
	for _, m := range []*mind{t.mind, t.against} {
		if m != nil && m.known != nil && talked >= policy.DialledTalk {
			call := m.call(c)
			m.known.learn(m.judge.Policy, &call, talked)
		}
	}
}
