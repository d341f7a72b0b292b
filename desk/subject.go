package desk

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"ringfence/number"
	"ringfence/pseudonym"
	"ringfence/storage"
)

// subject is whose data is looked for: one number, or all who were forgotten.
type subject struct {
	plan *number.Plan
	// is reports whether a canonical number, a text that is none, or a token is of the subject, as far as data of a time is concerned.
	is func(text string, at time.Time) bool
	// callers are as whom it stood in what was learnt of callers: numbers stay there as they were read once, see
	// screening.Keeper.ReadAgain.
	callers map[string]bool
}

// subjectOf is the subject of a number in any spelling; text is its E.164, or the text itself if it is no number.
func subjectOf(plan *number.Plan, key *pseudonym.Key, text string) *subject {
	return &subject{plan: plan, is: func(other string, _ time.Time) bool {
		return other == text || key != nil && key.IsOf(other, text)
	}}
}

// names reports whether a text is the subject's number in any spelling, or its token, or holds it.
func (s *subject) names(text string, at time.Time) bool {
	if text == "" {
		return false
	}
	if s.is(text, at) {
		return true
	}
	if strings.HasPrefix(text, storage.PrivateMark) {
		return false
	}
	n := s.plan.Parse(text)
	if n.E164 != "" {
		return s.is(n.E164, at)
	}
	for _, held := range n.Held() {
		if s.is(held.E164, at) {
			return true
		}
	}
	return false
}

// calledIs is names for a number that was called.
func (s *subject) calledIs(text string, at time.Time) bool {
	if text == "" {
		return false
	}
	n := s.plan.ParseCalled(text)
	return s.is(text, at) || n.E164 != "" && s.is(n.E164, at)
}

// numbersIn finds what may be numbers, or tokens, in a sentence.
var numbersIn = regexp.MustCompile(storage.PrivateMark + `[-+0-9a-f:]+|\+?\(?[0-9][-0-9 ()./]{3,}[0-9]`)

// blot takes the subject's number, in any spelling, out of a sentence.
func (s *subject) blot(text string, at time.Time) string {
	return numbersIn.ReplaceAllStringFunc(text, func(found string) string {
		if s.names(found, at) {
			return blotted
		}
		if !strings.Contains(found, " ") {
			return found
		}
		words := strings.Split(found, " ") // two numbers, one after the other
		for i, w := range words {
			if s.names(w, at) {
				words[i] = blotted
			}
		}
		return strings.Join(words, " ")
	})
}

const blotted = "(forgotten)"

// part is what a record has to do with the subject.
type part uint8

const (
	partNone part = iota
	partCaller
	partCalled
	partMentioned
)

// in says what a record of the journal has to do with the subject. One that mentions it alone is changed, so that it does no more.
func (s *subject) in(r *storage.Record) part {
	switch {
	case s.names(r.Caller.E164, r.Time), s.names(r.Caller.Raw, r.Time):
		return partCaller
	case s.calledIs(r.Callee, r.Time):
		return partCalled
	}
	before := *r
	for _, text := range []*string{&r.Caller.From, &r.Caller.Diverted} {
		if s.names(*text, r.Time) {
			*text = ""
		}
	}
	if s.names(r.Name, r.Time) {
		r.Name = ""
	}
	r.Name, r.Reason = s.blot(r.Name, r.Time), s.blot(r.Reason, r.Time)
	r.Tripped = slices.Clone(r.Tripped)
	for i := range r.Tripped {
		r.Tripped[i] = s.blot(r.Tripped[i], r.Time)
	}
	trace, named := r.Trace.EachText(func(text string) string { return s.blot(text, r.Time) })
	if r.Trace = trace; named || !slices.Equal(r.Tripped, before.Tripped) || r.Caller != before.Caller || r.Name != before.Name || r.Reason != before.Reason {
		return partMentioned
	}
	return partNone
}

// inStamp reports whether a fact is of the subject.
func (s *subject) inStamp(t storage.StampTable, f *storage.Stamp) bool {
	if t == storage.Emergency {
		phone, _, _ := strings.Cut(strings.TrimPrefix(f.Key, "number "), "@")
		return s.is(phone, f.At)
	}
	_, caller, ok := strings.Cut(f.Key, "\x00")
	if !ok { // of a time when a pass had no line
		caller = f.Key
	}
	if !s.names(caller, f.At) {
		return false
	}
	if s.callers == nil {
		s.callers = make(map[string]bool)
	}
	s.callers[caller] = true
	return true
}

func (s *subject) inReport(r *storage.Report) bool {
	return s.names(r.Caller.E164, r.Time) || s.names(r.Caller.Raw, r.Time)
}
