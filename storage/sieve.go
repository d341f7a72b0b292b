package storage

import "ringfence/number"

// sieve is what of a query can be asked of outlines. It lets through all records that the query asks for, and few others.
type sieve struct {
	narrow bool // there is something to ask
	probes []probe

	caller                    []uint64 // codes
	raw                       uint16
	code, rawCode             string // of the caller, as they lie in the file
	callers                   map[uint64]bool
	ranges                    []number.Pattern
	callee                    uint32
	lines                     []uint16
	line, rule, customer      uint16
	trunk, kind, holder, list byte
	did, didMask              byte
	asks                      asks
	became                    Became
	tripped                   bool
	minTalk, maxTalk          uint16
	talk                      bool
}

// probe is what bytes of an outline, as it lies in the file, must be.
type probe struct {
	at, end int
	want    string
}

// quick reports whether an outline as it lies in the file may be let through; most are not, and need not be read for that.
func (s *sieve) quick(row []byte) bool {
	for i := range s.probes {
		if p := &s.probes[i]; string(row[p.at:p.end]) != p.want {
			return false
		}
	}
	return row[40]&s.didMask == s.did && (s.asks&askCaller == 0 || string(row[16:24]) == s.code || string(row[34:36]) == s.rawCode)
}

// prepare makes the probes: what is to be the same whatever else is asked.
func (s *sieve) prepare() {
	like := Outline{callee: s.callee, line: s.line, rule: s.rule, customer: s.customer, trunk: s.trunk, kind: s.kind, list: s.list, holder: s.holder, raw: s.raw}
	if s.asks&askCaller != 0 {
		like.caller = s.caller[0]
	}
	row := string(like.append(nil))
	s.code, s.rawCode = row[16:24], row[34:36]
	for _, f := range []struct {
		ask     asks
		at, end int
	}{
		{askCallee, 24, 28},
		{askLine, 28, 30},
		{askRule, 30, 32},
		{askCustomer, 32, 34},
		{askTrunk, 36, 37},
		{askKind, 37, 38},
		{askList, 38, 39},
		{askHolder, 39, 40},
	} {
		if s.asks&f.ask != 0 {
			s.probes = append(s.probes, probe{f.at, f.end, row[f.at:f.end]})
		}
	}
}

// asks are those fields of a sieve that are asked for, a bit each.
type asks uint16

const (
	askCaller asks = 1 << iota
	askCallers
	askRanges
	askCallee
	askLines
	askLine
	askRule
	askCustomer
	askTrunk
	askKind
	askHolder
	askList
)

// maxSieveRanges bounds the patterns that each outline is held against.
const maxSieveRanges = 64

func sieveOf(q *Query) (s sieve) {
	set := func(a asks, on bool) bool {
		if on {
			s.asks |= a
		}
		return on
	}
	if set(askCaller, q.Caller != "") {
		s.caller, s.raw = []uint64{callerCode(q.Caller)}, hash16(q.Caller)
	}
	if set(askCallers, q.Callers != nil) {
		s.callers = make(map[uint64]bool, len(q.Callers))
		for _, name := range q.Callers {
			s.callers[callerCode(name)] = true
		}
	}
	if set(askRanges, q.Ranges != nil && len(q.Ranges) <= maxSieveRanges) {
		s.ranges = q.Ranges
	}
	if set(askCallee, q.Callee != "") {
		s.callee = uint32(hash(q.Callee))
	}
	if set(askLines, q.Lines != nil) {
		for _, line := range q.Lines {
			s.lines = append(s.lines, hash16(line))
		}
	}
	for _, f := range []struct {
		ask  asks
		text string
		to   *uint16
	}{{askLine, q.Line, &s.line}, {askRule, q.Rule, &s.rule}, {askCustomer, q.Customer, &s.customer}} {
		if set(f.ask, f.text != "") {
			*f.to = hash16(f.text)
		}
	}
	for _, f := range []struct {
		ask  asks
		text string
		to   *byte
	}{{askTrunk, q.Trunk, &s.trunk}, {askKind, q.Kind, &s.kind}, {askHolder, q.Holder, &s.holder}, {askList, q.List, &s.list}} {
		if set(f.ask, f.text != "") {
			*f.to = hash8(f.text)
		}
	}
	if q.Action != "" {
		s.did, s.didMask = actionCode(q.Action)<<4, 0xf0
	}
	if q.Would != "" {
		s.did, s.didMask = s.did|actionCode(q.Would), s.didMask|0x0f
	}
	s.became, s.tripped = q.Became, q.Detector != ""
	if s.talk = q.MinTalk > 0 || q.MaxTalk > 0; s.talk {
		s.minTalk, s.maxTalk = tenths(q.MinTalk), maxTalk
		if q.MaxTalk > 0 {
			s.maxTalk = tenths(q.MaxTalk)
		}
	}
	s.prepare()
	s.narrow = s.asks != 0 || s.didMask != 0 || s.became != AnyEnd || s.tripped || s.talk
	return s
}

// lets reports whether a record may be asked for.
func (s *sieve) lets(o *Outline) bool {
	if o.did&s.didMask != s.did || s.asks != 0 && !s.asked(o) || s.tripped && !o.has(flagTripped) {
		return false
	}
	if s.talk && !(o.has(flagAnswered) && o.talk >= s.minTalk && o.talk <= s.maxTalk) {
		return false
	}
	switch s.became {
	case Answered:
		return o.has(flagAnswered)
	case Unanswered:
		return o.has(flagEnded) && !o.has(flagAnswered) && o.Rang()
	case TurnedAway:
		return o.Stopped()
	case DidRing:
		return o.Rang()
	}
	return true
}

func (s *sieve) asked(o *Outline) bool {
	is := func(a asks, same bool) bool { return s.asks&a == 0 || same }
	return is(askCallee, o.callee == s.callee) && is(askLine, o.line == s.line) && is(askRule, o.rule == s.rule) && is(askCustomer, o.customer == s.customer) &&
		is(askTrunk, o.trunk == s.trunk) && is(askKind, o.kind == s.kind) && is(askHolder, o.holder == s.holder) && is(askList, o.list == s.list) &&
		(s.asks&askCaller == 0 || o.caller == s.caller[0] || o.raw == s.raw) &&
		(s.asks&askCallers == 0 || s.callers[o.caller]) &&
		(s.asks&askRanges == 0 || inRanges(o.caller, s.ranges)) &&
		(s.asks&askLines == 0 || contains(s.lines, o.line))
}

func contains(all []uint16, v uint16) bool {
	for _, x := range all {
		if x == v {
			return true
		}
	}
	return false
}

func inRanges(code uint64, ranges []number.Pattern) bool {
	for i := range ranges {
		if codeIn(code, &ranges[i]) {
			return true
		}
	}
	return false
}
