package storage

import (
	"slices"
	"strings"

	"ringfence/rawtext"
)

// Trace is how a call was decided, as it was then: which rules were tried, and what detectors had counted.
type Trace struct {
	Policy string         `json:"policy,omitempty"` // the version of the policy, 12 hexadecimal digits
	Steps  []TraceStep    `json:"steps,omitempty"`  // the rules that were tried, in their order, the last is the one that decided
	Saw    []TraceFinding `json:"saw,omitempty"`
	Cut    int            `json:"cut,omitempty"` // steps and findings that there was no room for
}

// TraceStep is what a rule made of the call.
type TraceStep struct {
	Rule    string `json:"r"`
	Matched bool   `json:"m,omitempty"`
	Why     string `json:"w,omitempty"`
}

// TraceFinding is what a detector said of the call, in one line.
type TraceFinding struct {
	Name string `json:"d"`
	Text string `json:"t"`
}

// MaxTrace bounds what is kept of a trace, in bytes of its JSON as far as its texts need no escapes; maxTracePolicy and maxTraceText are for a text.
const (
	MaxTrace       = 2 << 10
	maxTracePolicy = 64
	maxTraceText   = 240
)

// stepJSON is what a step or a finding takes besides its texts.
const stepJSON = len(`{"r":"","m":true,"w":""},`)

// bounded is a trace that can be kept: its texts cut, and as many of its steps, from the first on and with the last, as there is room for.
func (t *Trace) bounded() *Trace {
	if t == nil {
		return nil
	}
	out := &Trace{Policy: traceText(t.Policy, maxTracePolicy), Cut: t.Cut}
	room := MaxTrace - len(`{"policy":"","steps":[],"saw":[],"cut":100000}`) - len(out.Policy)
	take := func(a, b string) bool {
		n := stepJSON + jsonLen(a) + jsonLen(b)
		if n > room {
			return false
		}
		room -= n
		return true
	}
	steps := make([]TraceStep, len(t.Steps))
	for i, s := range t.Steps {
		steps[i] = TraceStep{traceText(s.Rule, maxRecordText), s.Matched, traceText(s.Why, maxTraceText)}
	}
	var last []TraceStep
	if n := len(steps); n > 0 && take(steps[n-1].Rule, steps[n-1].Why) {
		steps, last = steps[:n-1], steps[n-1:]
	}
	for i, f := range t.Saw {
		f = TraceFinding{traceText(f.Name, maxRecordText), traceText(f.Text, maxTraceText)}
		if room < MaxTrace/3 || !take(f.Name, f.Text) { // what was tried has as much room at least
			out.Cut += len(t.Saw) - i
			break
		}
		out.Saw = append(out.Saw, f)
	}
	for i, s := range steps {
		if !take(s.Rule, s.Why) {
			out.Cut += len(steps) - i
			steps = steps[:i]
			break
		}
	}
	if out.Steps = append(steps, last...); len(out.Steps) == 0 {
		out.Steps = nil
	}
	return out
}

func traceText(s string, most int) string { return strings.ToValidUTF8(rawtext.Cut(s, most), "?") }

// jsonLen is how many bytes a text takes in JSON at most: each control character six, quotes and backslashes two.
func jsonLen(s string) int {
	n := len(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ':
			n += 5
		case c == '"', c == '\\':
			n++
		}
	}
	return n
}

// EachText replaces each text of a trace in which a number may be named by f of it, in a copy. It reports whether one has changed.
func (t *Trace) EachText(f func(string) string) (changed *Trace, any bool) {
	if t == nil {
		return nil, false
	}
	out := *t
	out.Steps, out.Saw = slices.Clone(t.Steps), slices.Clone(t.Saw)
	for i := range out.Steps {
		was := out.Steps[i].Why
		out.Steps[i].Why = f(was)
		any = any || out.Steps[i].Why != was
	}
	for i := range out.Saw {
		was := out.Saw[i].Text
		out.Saw[i].Text = f(was)
		any = any || out.Saw[i].Text != was
	}
	return &out, any
}
