package replay

import (
	"time"

	"ringfence/number"
	"ringfence/policy"
	"ringfence/traffic"
)

// maxKnown is how many pairs of a line and a number that it knows are followed.
const maxKnown = 200_000

// knownNote is said of policies that ask for known callers.
const knownNote = "known_caller is judged by these files alone: a caller is known who had talked for 60 s with the called line before " +
	"(voicemail cannot be told from people). Whom a line called is known only if the files have calls that went out, as call detail records do; a journal has none"

// detectNote is said of policies with detectors.
const detectNote = "detectors begin with nothing: who is a stranger, who calls for the first time and what is usual is learnt from these files alone, so that the first " +
	"days show more than there was, and a surge shows nothing"

// againNote is said of policies that ask whether callers call again, and claimsNote of those that ask what only a journal has.
const (
	againNote  = "again is judged by these files alone, in the order of their rows"
	claimsNote = "diverted and identity_differs are judged by what a journal has of a call: who forwarded it, and the number in From where another header " +
		"was taken for the caller; call detail records have neither"
)

// notes are what a replay cannot tell, by what its policies ask.
func (o *Options) notes() (notes []string) {
	var known, again, claims bool
	for _, j := range []*Judge{o.Judge, o.Against} {
		if j != nil {
			known, again = known || j.Policy.KnownWindow() > 0, again || j.Policy.AgainWindow() > 0
			claims = claims || j.Policy.AsksDiverted() || j.Policy.AsksIdentity()
		}
	}
	if known {
		notes = append(notes, knownNote)
	}
	for _, j := range []*Judge{o.Judge, o.Against} {
		if j != nil && len(j.Policy.Detectors()) > 0 {
			notes = append(notes, detectNote)
			break
		}
	}
	if again {
		notes = append(notes, againNote)
	}
	if claims {
		notes = append(notes, claimsNote)
	}
	return notes
}

// dealings are whom the lines of one policy deal with, by the calls that came before in the files. They are learnt as the
// daemon learns them, from the ends of calls. Nil ones are none.
type dealings struct {
	*traffic.Known
	again *traffic.Again // who called whom; nil if the policy does not ask
	tell  func(line, number string, at time.Time)
	room  []string
}

// newDealings gives nil for a policy that does not ask, where nobody else does. tell may be nil.
func newDealings(p *policy.Policy, tell func(line, number string, at time.Time)) *dealings {
	if !p.AsksKnown() && p.AgainWindow() == 0 && tell == nil {
		return nil
	}
	k := &dealings{Known: traffic.NewKnown(maxKnown, nil), tell: tell}
	if p.AgainWindow() > 0 {
		k.again = traffic.NewAgain(maxKnown)
	}
	return k
}

// fill says of a call what is known, and notes that it came.
func (k *dealings) fill(p *policy.Policy, c *policy.Call) {
	if k == nil {
		return
	}
	k.knows(p, c)
	if k.again != nil {
		k.again.Called(p, c)
	}
}

// knows says of a call to whom its caller is known.
func (k *dealings) knows(p *policy.Policy, c *policy.Call) {
	if k.room = p.AppendLineKeys(k.room[:0], &c.Callee); len(k.room) > 0 {
		k.room = append(k.room, house)
	}
	c.KnownToLine, c.KnownToAll, c.KnownLines = k.Of(c.Caller.E164, k.room, c.Time, p)
}

// has reports whether the calls before can matter for one of a number; where they cannot it needs no second look.
func (k *dealings) has(number string) bool { return k != nil && (k.again != nil || k.Has(number)) }

// learn takes what became of a call. shown is the number that a call that went out showed, if the file says so; talked is how
// long people did.
func (k *dealings) learn(p *policy.Policy, c *policy.Call, way direction, shown string, talked time.Duration) {
	k.over(p, c, way, shown, talked, c.Time.Add(talked))
}

// over is learn for a call that was over at a moment.
func (k *dealings) over(p *policy.Policy, c *policy.Call, way direction, shown string, talked time.Duration, at time.Time) {
	if k == nil || talked < policy.DialledTalk {
		return
	}
	k.room = p.AppendLineKeys(k.room[:0], &c.Callee)
	switch called := len(k.room) > 0; {
	case called && p.IsDecoy(&c.Callee): // whoever took it, nobody there deals with its caller
	case called && way != directionOut && talked >= policy.CalledTalk:
		k.meet(c.Caller.E164, at)
	case !called && c.Callee.E164 != "" && !c.Callee.Kinds.Has(number.Emergency):
		k.room = p.AppendLineKeys(k.room, &c.Caller) // of a call that went out
		if shown != "" && way == directionOut {
			line := p.Call(policy.Facts{Callee: shown}).Callee
			k.room = p.AppendLineKeys(k.room, &line)
		}
		if len(k.room) == 0 && way == directionOut {
			k.room = append(k.room, house)
		}
		k.meet(c.Callee.E164, at)
	}
}

// house stands for the line of a phone that is on none: whom it called is known to every line. The switch showed some
// line's number for it, by which the daemon learns, and most records do not say which. No line can be called so.
const house = ""

// meet makes a number known to the lines in k.room.
func (k *dealings) meet(number string, at time.Time) {
	if number == "" {
		return
	}
	for _, line := range k.room {
		k.Remember(line, number, at)
		if k.tell != nil {
			k.tell(line, number, at)
		}
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
func (t *tally) learn(c *Call, way direction) {
	if !c.Answered || t.o.Meet != nil && c.stopped {
		return
	}
	talked := c.talked()
	for _, m := range []*mind{t.mind, t.against} {
		if m != nil && m.known != nil && talked >= policy.DialledTalk {
			call := m.call(c)
			m.known.learn(m.judge.Policy, &call, way, c.shown, talked)
		}
	}
}
