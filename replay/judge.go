package replay

import (
	"encoding/json"
	"strings"

	"ringfence/number"
	"ringfence/policy"
)

// Verdict is what a policy says to a call.
type Verdict struct {
	Action  policy.Action // what the rule says
	Rule    string        // its name or a reserved one
	Observe bool          // it is not done, because the rule or the policy is on trial; never for allow
}

// MarshalJSON writes the verdict as {"action","rule","mode"}, in the words of the journal.
func (v Verdict) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Action string `json:"action"`
		Rule   string `json:"rule"`
		Mode   string `json:"mode"`
	}{v.Action.String(), v.Rule, v.Mode().String()})
}

// Mode reports whether what the rule says is done.
func (v Verdict) Mode() policy.Mode {
	if v.Observe {
		return policy.Observe
	}
	return policy.Enforce
}

// verdictOf is what a decision says. The mode of an allow is left out: nothing is done either way.
func verdictOf(d *policy.Decision) Verdict {
	return Verdict{Action: d.Would, Rule: d.Rule, Observe: d.Would != policy.Allow && d.Mode == policy.Observe}
}

// Judge is a policy that calls are run through, with the lists it asks.
type Judge struct {
	Policy *policy.Policy
	Lists  policy.ListSource // nil: nobody is on any list
	says   []Verdict         // what each rule says, in the order of the file
	ends   map[string]bool   // the rules that end the call
}

// NewJudge makes a judge of a policy.
func NewJudge(p *policy.Policy, lists policy.ListSource) *Judge {
	j := &Judge{Policy: p, Lists: lists, ends: make(map[string]bool)}
	for _, r := range p.Rules() {
		j.says = append(j.says, Verdict{Action: r.Action, Rule: r.Name, Observe: r.Mode == policy.Observe && r.Action != policy.Allow})
		j.ends[r.Name] = r.EndsCall
	}
	return j
}

// refuses reports whether a verdict ends the call before anybody can talk.
func (j *Judge) refuses(v Verdict) bool {
	return v.Action == policy.Reject || j.ends[v.Rule]
}

// facts are a call's facts for a policy, and other the second policy if there is one. Both get the same.
func facts(c *Call, p, other *policy.Policy) policy.Facts {
	f := c.Facts
	f.Trunk = c.origin.trunk(p)
	f.Inside = c.inside(p.TrunkNamed(f.Trunk))
	if f.Inside && other != nil {
		f.Inside = c.inside(other.TrunkNamed(c.origin.trunk(other)))
	}
	return f
}

// inside reports whether an internal number may have called, where the trunk does not say so. What was internal in
// a journal came by a trunk that may claim it, which a policy says, or else from an authenticated user. In
// a call detail record it is one of the PBX's own phones that calls, unless the call came in by a trunk
// that the policy knows.
func (c *Call) inside(t policy.Trunk) bool {
	switch c.claim {
	case claimJournal:
		return !t.Internal
	case claimUnknown:
		return !t.Known
	}
	return false
}

// What a mind remembers: so many callers, and as many callees. Numbers longer than maxRemembered bytes are read
// each time.
const (
	workerMemory  = 1 << 13 // 4 MB
	tallyMemory   = 1 << 5
	maxRemembered = 64
)

// mind runs calls through one policy for one worker. It remembers the numbers it has read, since numbers of
// other countries take tens of microseconds to read, and callers and callees come again. Each number has one
// place; another one that falls on it takes its place.
type mind struct {
	judge   *Judge
	other   *policy.Policy // of the second policy, nil if there is none
	callers []knownCaller
	callees []knownCallee
	known   *dealings // nil for a worker's, which sees the calls in no order
}

// knownCaller is a caller as policy.Call makes it of these facts.
type knownCaller struct {
	facts policy.Facts // Caller, Trunk, Withheld, Inside and Other
	call  policy.Call
	there bool
}

type knownCallee struct {
	text   string
	number number.Number
	there  bool
}

func newMind(j *Judge, other *policy.Policy, memory int) *mind {
	return &mind{judge: j, other: other, callers: make([]knownCaller, memory), callees: make([]knownCallee, memory)}
}

// call is policy.Call of the call's facts.
func (m *mind) call(c *Call) policy.Call {
	f := facts(c, m.judge.Policy, m.other)
	call := m.caller(policy.Facts{Caller: f.Caller, Trunk: f.Trunk, Withheld: f.Withheld, Inside: f.Inside, Other: f.Other})
	call.Callee = m.callee(f.Callee)
	call.Name, call.Attestation, call.Time, call.Diverted = f.Name, f.Attestation, f.Time, f.Diverted
	return call
}

// caller is policy.Call of what is known of the caller alone.
func (m *mind) caller(f policy.Facts) policy.Call {
	if len(f.Caller) > maxRemembered || len(f.Trunk) > maxRemembered || len(f.Other) > maxRemembered {
		return m.judge.Policy.Call(f)
	}
	h := hash(hash(hashStart, f.Caller), f.Trunk)
	k := &m.callers[h%uint64(len(m.callers))]
	if !k.there || k.facts != f {
		f.Caller, f.Trunk, f.Other = strings.Clone(f.Caller), strings.Clone(f.Trunk), strings.Clone(f.Other) // not a part of a chunk
		*k = knownCaller{facts: f, call: m.judge.Policy.Call(f), there: true}
	}
	return k.call
}

func (m *mind) callee(text string) number.Number {
	if len(text) > maxRemembered {
		return m.judge.Policy.Call(policy.Facts{Callee: text}).Callee
	}
	k := &m.callees[hash(hashStart, text)%uint64(len(m.callees))]
	if !k.there || k.text != text {
		text = strings.Clone(text)
		*k = knownCallee{text: text, number: m.judge.Policy.Call(policy.Facts{Callee: text}).Callee, there: true}
	}
	return k.number
}

// decide is what the policy says to the call.
func (m *mind) decide(c *Call) (policy.Call, policy.Decision) {
	call := m.call(c)
	d := m.decision(&call)
	return call, d
}

// decision is decide of a call that is made already. It fills in who is known.
func (m *mind) decision(call *policy.Call) policy.Decision {
	m.known.fill(m.judge.Policy, call)
	return m.judge.Policy.Decide(call, m.judge.Lists)
}

// way is which way a call went. Where the file does not say: out, if it is of one of our numbers to somebody else;
// between phones of ours, if both ends are; else it came in. So does a call of one of our lines to another, without
// a word of the file: that the number is ours is the caller's claim.
func (m *mind) way(c *Call, call *policy.Call) direction {
	p := m.judge.Policy
	if c.out != directionUnknown {
		return c.out
	}
	if trunk := p.TrunkNamed(call.Trunk); c.claim != claimUnknown || trunk.Known && !trunk.Internal {
		return directionIn // a journal has no others
	}
	phone := call.Caller.Kinds.Has(number.Internal)
	if !phone && p.LineOf(&call.Caller) == "" {
		return directionIn
	}
	switch ours := call.Callee.E164 == "" || call.Callee.Kinds.Has(number.Internal) || p.LineOf(&call.Callee) != ""; {
	case !ours:
		return directionOut
	case phone:
		return directionLocal
	}
	return directionIn
}

// hashStart and hash are FNV-1a of 64 bits: the same in each run, so that reports are.
const hashStart uint64 = 14695981039346656037

func hash(h uint64, s string) uint64 {
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
