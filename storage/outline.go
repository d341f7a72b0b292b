package storage

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"ringfence/number"
)

// Outline is what the journal's index has of a record: its number as digits, hashes of what people look for, and what became of the call. So most
// questions are answered, and most filters tested, without reading records, of which a million take seconds.
type Outline struct {
	id     ulid.ULID
	caller uint64 // see callerCode
	callee uint32 // hashes, from here on
	line, rule, customer,
	raw uint16 // of Caller.Raw
	trunk, kind, list, holder byte
	did                       byte   // codes of what was done and what the rule says
	flags                     byte   // flagTest and so on
	talk                      uint16 // tenths of a second, rounded up; maxTalk for all that is longer
	repeats                   uint16 // maxRepeats for all that is more
}

// outlineSize is how many bytes the index has of a record.
const outlineSize = 16 + 8 + 4 + 4*2 + 4 + 2 + 2*2

const (
	maxTalk    = math.MaxUint16
	maxRepeats = math.MaxUint16
)

// What is known of a call, a bit each.
const (
	flagTest     = 1 << iota
	flagPassed   // a challenge
	flagEnded    // what became of it is known
	flagAnswered //
	flagRing     // a phone rang for some time
	flagOurs     // it was ended by us
	flagTripped  // breakers held for it
)

// byUs is what records say of who hung up where we did.
const byUs = "ringfence"

// actions are what may be done to a call, by their codes. Others have the code unknownAction.
var actions = [...]string{"", "allow", "tag", "warn", "challenge", "divert", "ask", "listen", "reject"}

const (
	challengeAction = 4
	rejectAction    = 8
	unknownAction   = 15
)

func actionCode(text string) byte {
	for code, name := range actions {
		if name == text {
			return byte(code)
		}
	}
	return unknownAction
}

// outlineOf is the outline of a record; false if its id is none.
func outlineOf(r *Record) (o Outline, ok bool) {
	id, err := ulid.ParseStrict(r.ID)
	if err != nil {
		return o, false
	}
	o = Outline{
		id: id, caller: callerCode(r.Caller.E164), callee: uint32(hash(r.Callee)), line: hash16(r.Line), rule: hash16(r.Rule), customer: hash16(r.Owner()),
		raw: hash16(r.Caller.Raw), trunk: hash8(r.Trunk), kind: hash8(r.Caller.Kind), list: hash8(r.List), holder: hash8(r.Holder),
		did: actionCode(r.Action)<<4 | actionCode(r.Would), repeats: uint16(min(max(r.Repeats, 0), maxRepeats)),
	}
	o.flag(flagTest, r.Test)
	o.flag(flagPassed, r.Passed)
	o.flag(flagTripped, len(r.Tripped) > 0)
	if end := r.Outcome; end != nil {
		o.flag(flagEnded, true)
		o.flag(flagAnswered, end.Answered)
		o.flag(flagRing, end.RingS > 0)
		o.flag(flagOurs, end.By == byUs)
		o.talk = tenths(end.TalkS)
	}
	return o, true
}

func (o *Outline) flag(bit byte, on bool) {
	if on {
		o.flags |= bit
	}
}

func (o *Outline) has(bit byte) bool { return o.flags&bit != 0 }

// tenths are seconds in tenths, rounded up: of two lengths of talk and a bound in tenths they say the same.
func tenths(s float64) uint16 { return uint16(min(math.Ceil(s*10), maxTalk)) }

// ID is the record's.
func (o *Outline) ID() string { return o.id.String() }

// Time is that in the record's id: when the call came.
func (o *Outline) Time() time.Time { return o.id.Timestamp() }

// Millis is Time in milliseconds since 1970.
func (o *Outline) Millis() int64 { return int64(o.id.Time()) }

// Calls is how many calls the record is of.
func (o *Outline) Calls() int { return int(o.repeats) + 1 }

// Action is what was done, "" if that was none of the actions there are.
func (o *Outline) Action() string {
	if code := int(o.did >> 4); code < len(actions) {
		return actions[code]
	}
	return ""
}

// Test reports whether it was a doctor's call, which counts nowhere.
func (o *Outline) Test() bool { return o.has(flagTest) }

// Stopped reports whether the caller was turned away.
func (o *Outline) Stopped() bool {
	return o.did>>4 == rejectAction || o.did>>4 == challengeAction && !o.has(flagPassed)
}

// Rang reports whether a phone rang, as far as is known.
func (o *Outline) Rang() bool {
	return rang(o.Stopped(), o.has(flagEnded), o.has(flagAnswered), o.has(flagRing), o.has(flagOurs))
}

// Answered reports whether somebody took the call, Talk for how long they talked, to a tenth of a second, an hour and three quarters at most.
func (o *Outline) Answered() bool      { return o.has(flagAnswered) }
func (o *Outline) Talk() time.Duration { return time.Duration(o.talk) * time.Second / 10 }

// Caller tells callers apart, Callee called numbers: the same ones give the same, and others nearly always another.
func (o *Outline) Caller() uint64 {
	if o.caller == 0 {
		return textCaller | uint64(o.raw)
	}
	return o.caller
}
func (o *Outline) Callee() uint32 { return o.callee }

// Digits are the digits of the caller's number behind the +, as a number, and how many; where callers are hidden those that the token shows. false if
// there are none.
func (o *Outline) Digits() (digits uint64, size int, ok bool) {
	switch {
	case o.caller&hiddenCaller == hiddenCaller:
		digits, size = o.caller>>32&(1<<24-1), int(o.caller>>56&7)
	case o.caller&textCaller == 0:
		digits, size = o.caller&(1<<sizeShift-1), int(o.caller>>sizeShift)
	}
	return digits, size, size > 0
}

// Rang reports whether a phone rang for a call, as far as its record says. Without a switch that tells what became of calls, one that was let
// through rang.
func (r *Record) Rang() bool {
	end := r.Outcome
	if end == nil {
		return rang(r.TurnedAway(), false, false, false, false)
	}
	return rang(r.TurnedAway(), true, end.Answered, end.RingS > 0, end.By == byUs)
}

// TurnedAway reports whether the call was rejected, or challenged and its caller did not pass.
func (r *Record) TurnedAway() bool {
	return r.Action == actions[rejectAction] || r.Action == actions[challengeAction] && !r.Passed
}

func rang(stopped, ended, answered, ring, ours bool) bool {
	return !stopped && (!ended || (answered || ring) && (!ours || ring))
}

// A caller's code is the value of the digits of its number, with their count above it. One that is no number has a hash, and a token the digits that it
// shows and a hash.
const (
	sizeShift    = 50 // 15 digits have fewer bits
	maxCodeSize  = 15
	textCaller   = 1 << 63
	hiddenCaller = textCaller | 1<<62
)

func callerCode(e164 string) uint64 {
	if e164 == "" {
		return 0
	}
	if rest, hidden := strings.CutPrefix(e164, PrivateMark); hidden {
		var v, n uint64
		for _, c := range []byte(rest[:max(strings.LastIndexByte(rest, ':'), 0)]) {
			if c >= '0' && c <= '9' && n < 7 {
				v, n = v*10+uint64(c-'0'), n+1
			}
		}
		return hiddenCaller | n<<56 | v<<32 | hash(e164)&math.MaxUint32
	}
	if len(e164) > maxCodeSize+1 || e164[0] != '+' || len(e164) == 1 {
		return textCaller | hash(e164)>>2
	}
	var v uint64
	for _, c := range []byte(e164[1:]) {
		if c < '0' || c > '9' {
			return textCaller | hash(e164)>>2
		}
		v = v*10 + uint64(c-'0')
	}
	return v | uint64(len(e164)-1)<<sizeShift
}

// codeIn reports whether a caller's code is of a number that a pattern of E.164 digits matches; of a token the digits that it shows must be enough to
// tell.
func codeIn(code uint64, p *number.Pattern) bool {
	o := Outline{caller: code}
	v, size, _ := o.Digits()
	hidden := code&hiddenCaller == hiddenCaller
	if p.Size == 0 || size < int(p.Size) || !p.Open && (hidden || size != int(p.Size)) {
		return false
	}
	for ; size > int(p.Size); size-- {
		v /= 10
	}
	return p.Lo <= v && v <= p.Hi
}

// hash is FNV-1a, whose values are on disk.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

func hash16(s string) uint16 { h := hash(s); return uint16(h>>32) ^ uint16(h) }
func hash8(s string) byte    { h := hash(s); return byte(h>>40) ^ byte(h) }

func (o *Outline) append(to []byte) []byte {
	to = append(to, o.id[:]...)
	to = binary.BigEndian.AppendUint64(to, o.caller)
	to = binary.BigEndian.AppendUint32(to, o.callee)
	for _, v := range [...]uint16{o.line, o.rule, o.customer, o.raw} {
		to = binary.BigEndian.AppendUint16(to, v)
	}
	to = append(to, o.trunk, o.kind, o.list, o.holder, o.did, o.flags)
	to = binary.BigEndian.AppendUint16(to, o.talk)
	return binary.BigEndian.AppendUint16(to, o.repeats)
}

func (o *Outline) read(b []byte) {
	_ = b[outlineSize-1]
	copy(o.id[:], b)
	be := binary.BigEndian
	o.caller, o.callee = be.Uint64(b[16:]), be.Uint32(b[24:])
	o.line, o.rule, o.customer, o.raw = be.Uint16(b[28:]), be.Uint16(b[30:]), be.Uint16(b[32:]), be.Uint16(b[34:])
	o.trunk, o.kind, o.list, o.holder, o.did, o.flags = b[36], b[37], b[38], b[39], b[40], b[41]
	o.talk, o.repeats = be.Uint16(b[42:]), be.Uint16(b[44:])
}

// A block of the index has the outlines of records that follow each other. It is small enough for two to fit in a page of the file, so that a call's end
// writes no more than one:
//
//	1 byte   version
//	4 bytes  CRC-32 (Castagnoli) of what follows
//	outlines, in the order of their ids
const (
	blockOutlines  = 38
	outlineHead    = 5
	outlineVersion = 1
)

func encodeOutlines(rows []Outline) []byte {
	b := make([]byte, outlineHead, outlineHead+len(rows)*outlineSize)
	b[0] = outlineVersion
	for i := range rows {
		b = rows[i].append(b)
	}
	binary.BigEndian.PutUint32(b[1:], crc32.Checksum(b[outlineHead:], castagnoli))
	return b
}

// countOutlines is how many outlines a block has; false if it is none.
func countOutlines(v []byte) (n int, ok bool) {
	if len(v) < outlineHead {
		return 0, false
	}
	n = (len(v) - outlineHead) / outlineSize
	return n, len(v) == outlineHead+n*outlineSize && n <= 2*blockOutlines && v[0] == outlineVersion &&
		binary.BigEndian.Uint32(v[1:]) == crc32.Checksum(v[outlineHead:], castagnoli)
}

// decodeOutlines appends the outlines of a block; false if it is none.
func decodeOutlines(to []Outline, v []byte) ([]Outline, bool) {
	n, ok := countOutlines(v)
	if !ok {
		return to, false
	}
	for i := range n {
		var o Outline
		o.read(v[outlineHead+i*outlineSize:])
		to = append(to, o)
	}
	return to, true
}
