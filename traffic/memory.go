package traffic

import (
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// Memory is all that calls have taught.
type Memory struct {
	Known      *Known
	Callbacks  *Callbacks
	Challenges *Challenges
	LastCalls  *LastCalls
	Stopped    *LastCalls // the last that was stopped, by OwnKey and StoppedLineKey
	Again      *Again
	Behaviour  *Behaviour
	Held       *Held
	Hits       *Hits
	Realms     *Realms
	Refused    *Refused
	Contexts   *Contexts
	Trials     *Trials

	name  func(e164 string) string                  // see Hide
	marks func(caller string, at time.Time) float64 // see CountMarks
}

// New makes an empty memory, which tells a sink what is worth keeping; nil for nobody.
func New(sink Sink) *Memory {
	if sink == nil {
		sink = nowhere{}
	}
	return &Memory{
		Known: NewKnown(maxPairs, sink), Callbacks: newCallbacks(sink), Challenges: newChallenges(sink),
		LastCalls: &LastCalls{}, Stopped: &LastCalls{}, Again: NewAgain(maxAgain), Behaviour: NewBehaviour(maxBehaviour), Held: &Held{}, Hits: &Hits{}, Realms: newRealms(sink), Refused: &Refused{}, Contexts: &Contexts{},
		Trials: &Trials{},
	}
}

// Hide has numbers known under other names, of which nobody can make the numbers, from now on: acquaintances and who met a
// challenge. The same number must get the same name each time, and "" the name "". Call it before anything else.
func (m *Memory) Hide(name func(e164 string) string) { m.name = name }

// Name is under what a number is known; it is the number itself unless it is hidden.
func (m *Memory) Name(e164 string) string {
	if m.name == nil || e164 == "" {
		return e164
	}
	return m.name(e164)
}

// Hides reports whether numbers are known under other names.
func (m *Memory) Hides() bool { return m.name != nil }

// Meet makes a number known to a line.
func (m *Memory) Meet(line, e164 string, at time.Time) { m.Known.Meet(line, m.Name(e164), at) }

// Sink takes facts worth keeping beyond the end of the program. It must not block.
type Sink interface {
	// Keep is told of a fact by its table and key, and of when it was, in milliseconds since 1970. The same key again
	// replaces it.
	Keep(t Table, key string, at int64)
	// NoRoom is told that a table is full, so that what is too old may be removed before its time.
	NoRoom(t Table)
}

// Table is a kind of fact.
type Table int

// The kinds of facts that are kept, each with its key: a line's key, a zero byte and a number; a phone of ours; a PassKey, a zero byte
// and a caller; what Realms has seen.
const (
	KnownFacts Table = iota
	EmergencyFacts
	PassedFacts
	RealmFacts
	Tables = iota
)

type nowhere struct{}

func (nowhere) Keep(Table, string, int64) {}
func (nowhere) NoRoom(Table)              {}

// CountMarks has the score count the marks of callers that wait for a decision: marks gives their weight at a time, by the number, and
// must not wait. Call it before anything else.
func (m *Memory) CountMarks(marks func(e164 string, at time.Time) float64) { m.marks = marks }

// Called notes a call that comes in, where a rule of the policy asks for such, and tells the call when its caller called the line last.
func (m *Memory) Called(p *policy.Policy, c *policy.Call) {
	m.Again.Called(p, c)
	if p.AsksScore() {
		m.Behaviour.Note(m.Name(CountedCaller(&c.Caller)), calleeText(&c.Callee), p.IsDecoy(&c.Callee), c.Time)
	}
}

// Ended notes what became of a call that was not stopped, see Behaviour.Ended.
func (m *Memory) Ended(p *policy.Policy, caller *number.Number, rang, answered bool, talk time.Duration, at time.Time) {
	if p.AsksScore() {
		m.Behaviour.Ended(m.Name(CountedCaller(caller)), rang, answered, talk, at)
	}
}

// Recall fills in what calls before have taught about this one.
func (m *Memory) Recall(p *policy.Policy, c *policy.Call) {
	if p.AsksKnown() {
		var room [4]string
		c.KnownToLine, c.KnownToAll, c.KnownLines = m.Known.Of(m.Name(c.Caller.E164), p.AppendLineKeys(room[:0], &c.Callee), time.Time{}, p)
	}
	m.Again.recall(p, c)
	if p.AsksScore() {
		m.recallBehaviour(p, c)
	}
	if m.Callbacks.Any() {
		c.EmergencyDialled = m.awaits(&c.Callee)
	}
	if m.Challenges.Any() {
		line, _ := p.LineCalled(&c.Callee)
		c.ChallengePassed, c.ChallengeTried = m.Challenges.Of(PassKeyOf(line.Key, &c.Callee), OwnKey(line.Key, &c.Callee), m.Name(c.Caller.E164), c.Time)
	}
}

// BehaviourOf is how a number has behaved within the last day, and when it called last; false where nothing is remembered.
func (m *Memory) BehaviourOf(e164 string) (e policy.Evidence, last time.Time, ok bool) {
	return m.Behaviour.last(m.Name(e164))
}

// recallBehaviour is Called without the noting.
func (m *Memory) recallBehaviour(p *policy.Policy, c *policy.Call) {
	caller := CountedCaller(&c.Caller)
	c.Evidence = m.Behaviour.Of(m.Name(caller), calleeText(&c.Callee), p.IsDecoy(&c.Callee), c.Time)
	if m.marks != nil && caller != "" {
		c.Evidence.Marks = m.marks(caller, c.Time)
	}
}

// awaits is when a number last dialled an emergency number, or was shown on such a call. An extension is that of the
// phone that dialled only where no other tenant can have one of the same name.
func (m *Memory) awaits(callee *number.Number) time.Time {
	key := CalleeKey(callee)
	if callee.E164 != "" {
		return m.Callbacks.awaits(key)
	}
	return m.Callbacks.awaitsWhere(func(k string) bool {
		phone, realm, _ := cutRealm(k)
		return phone == key && m.Realms.Same("", realm)
	})
}

// Forget drops what no rule of a policy asks for any more: callers who were known too long ago, passes of too long ago.
func (m *Memory) Forget(p *policy.Policy, now time.Time) {
	keepKnown, keepPassed := KeepKnown(p), KeepPassed(p)
	m.Known.Forget(now.Add(-keepKnown), p)
	m.Challenges.Forget(now.Add(-keepPassed), now.Add(-policy.MaxGrace))
	m.Callbacks.Forget(now)
	m.Realms.Forget(now.Add(-KeepRealms))
	m.Again.Forget(now.Add(-policy.MaxAgain))
	m.Behaviour.Forget(now.Add(-subWindows * subWindow))
}

// ForgetNumber drops all that is known of a number: of whom lines deal with, of challenges, of last calls, of who may be called
// back. It says how many things there were. What counts the lists' entries, and calls under way, stay.
func (m *Memory) ForgetNumber(e164 string) int {
	if e164 == "" {
		return 0
	}
	name := m.Name(e164)
	m.Refused.clear() // it is of seconds
	return m.Again.forgetNumber(e164) + m.Behaviour.forgetNumber(name) + m.Known.Part(name, "") + m.Challenges.forgetNumber(name) + m.Callbacks.forgetNumber(e164) + m.LastCalls.forgetNumber(e164) + m.Stopped.forgetNumber(e164)
}

// moment is a time as it is kept, zero for never.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
