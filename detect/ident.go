package detect

import (
	"strconv"
	"strings"

	"ringfence/policy"
)

// ident is a call in numbers: what the keys of all detectors are made of.
type ident struct {
	at       int64 // by the Set's clock
	caller   uint64
	digits   uint64 // the caller's as written nationally, or of another country the E.164 ones
	block    uint32 // of ten numbers, that the caller's is one of
	callee   uint64
	customer uint64
	leg      uint64
	holder   uint16
	trunk    uint8
	size     uint8 // how many digits
	code     uint8 // how many of them are a country code
	stranger bool
	decoy    bool
	text     string // the called number as it was handed in
	noDigits bool   // the called number is none that could have a next one
}

// A key has 56 bits: up to 15 digits, how many they are, and whether they stand behind a +; or hashed, for what is no number.
const (
	keyBits   = 56
	keyMask   = 1<<keyBits - 1
	hashedKey = 1 << (keyBits - 1)
	maxDigits = 15
)

var pow10 = func() (p [20]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// packed is a key of digits.
func packed(value uint64, size int, plus bool) uint64 {
	k := value<<5 | uint64(size)<<1
	if plus {
		k |= 1
	}
	return k
}

func keySize(k uint64) int { return int(k >> 1 & 15) }

// digitsText is what packed packed.
func digitsText(k uint64) string {
	buf := make([]byte, 0, 1+maxDigits)
	if k&1 == 1 {
		buf = append(buf, '+')
	}
	text := strconv.FormatUint(k>>5, 10)
	for range keySize(k) - len(text) {
		buf = append(buf, '0')
	}
	return string(append(buf, text...))
}

// codeSize is how many digits of a key of another country are its country code.
func codeSize(k uint64) int {
	two := k >> 5
	for two >= 100 {
		two /= 10
	}
	switch two {
	case 20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58, 60, 61, 62, 63, 64, 65, 66,
		81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98:
		return 2
	}
	if two/10 == 1 || two/10 == 7 {
		return 1
	}
	return 3
}

// textKey is a key of a text: of its digits where it is a number.
func textKey(s string) uint64 {
	digits, plus := s, false
	if strings.HasPrefix(s, "+") {
		digits, plus = s[1:], true
	}
	if value, ok := digitsValue(digits); ok && len(digits) <= maxDigits {
		return packed(value, len(digits), plus)
	}
	return hashedKey | hash(s)&(hashedKey-1)
}

// digitsValue is the number that at most 19 digits are.
func digitsValue(s string) (v uint64, ok bool) {
	if s == "" || len(s) > 19 {
		return 0, false
	}
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		v = v*10 + uint64(c)
	}
	return v, true
}

// national is digitsValue of a caller's digits: nearly always they are the end of his E.164, which has been read, behind zeros at most.
func (id *ident) national(e164, digits string) (v uint64, ok bool) {
	if end := strings.TrimLeft(digits, "0"); id.caller&hashedKey == 0 && strings.HasSuffix(e164, end) {
		return id.caller >> 5 % pow10[len(end)], true
	}
	return digitsValue(digits)
}

// hash is the same after a restart (FNV-1a).
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// pairKey is a key for a caller and something of his: the first bits are the caller's, so that he can be forgotten.
func pairKey(caller, other uint64) uint64 {
	return callerMark(caller)<<36 | mix(caller^mix(other))&(1<<36-1)
}

func callerMark(caller uint64) uint64 { return mix(caller) >> 44 }

// names gives texts small numbers that stay. They are cut to what a snapshot has of a text.
type names struct {
	list  []string
	of    map[string]int
	limit int
	full  uint64
}

// id is the number of a text, -1 if there is no room for it.
func (n *names) id(s string) int {
	s = cutText(s)
	if i, ok := n.of[s]; ok {
		return i
	}
	if len(n.list) >= n.limit {
		n.full++
		return -1
	}
	if n.of == nil {
		n.of = make(map[string]int)
	}
	s = strings.Clone(s)
	n.of[s] = len(n.list)
	n.list = append(n.list, s)
	return len(n.list) - 1
}

func (n *names) find(s string) int {
	if i, ok := n.of[cutText(s)]; ok {
		return i
	}
	return -1
}

func (n *names) name(i int) string {
	if i >= 0 && i < len(n.list) {
		return n.list[i]
	}
	return ""
}

// Trunks are numbered. Those for which there is no number left share one.
const (
	mostTrunks  = 254
	otherTrunks = 254
	anyTrunk    = 255 // of pins that hold on all trunks
	mostHolders = 4096
)

func (s *Set) trunkID(name string) uint8 {
	if name = cutText(name); name == s.lastTrunk.name && s.lastTrunk.known {
		return s.lastTrunk.id // nearly all calls come by the same one
	}
	if i := s.trunks.id(name); i >= 0 {
		s.lastTrunk.name, s.lastTrunk.id, s.lastTrunk.known = s.trunks.name(i), uint8(i), true
		return uint8(i)
	}
	return otherTrunks
}

// identify reads a subject. look leaves the set as it is.
func (s *Set) identify(id *ident, x *Subject, now int64, look bool) {
	id.at, id.stranger, id.decoy = now, x.Stranger, x.Decoy
	if look {
		id.trunk = anyTrunk - 1
		if i := s.trunks.find(x.Trunk); i >= 0 {
			id.trunk = uint8(i)
		}
	} else {
		id.trunk = s.trunkID(x.Trunk)
	}
	if c := x.Caller; c != nil && len(c.E164) > 1 {
		id.caller = textKey(c.E164)
		digits := c.National()
		if digits == "" {
			digits = c.E164[1:]
			id.code = uint8(len(c.Prefix(0)) - 1)
		}
		digits = digits[:min(len(digits), 19)]
		if v, ok := id.national(c.E164, digits); ok {
			id.digits, id.size = v, uint8(len(digits))
			id.block = uint32(mix(v/10<<5 | uint64(id.size)))
		}
	}
	if x.Callee != "" {
		id.callee, id.text = textKey(x.Callee), x.Callee
		id.noDigits = id.callee&hashedKey != 0
	}
	if x.Customer != "" {
		id.customer = hash(x.Customer)
	}
	if x.Holder != "" {
		id.holder = uint16(s.holders.id(x.Holder) + 1)
	}
	if x.Leg != "" {
		id.leg = hash(x.Leg)&keyMask | 1
	}
}

// prefix is the key of the first k digits, and whether these are all: of a shorter number it is the whole.
func (id *ident) prefix(k int) (key uint64, whole bool) {
	take := k + int(id.code)
	if take >= int(id.size) {
		if id.size > maxDigits {
			return packed(id.digits/pow10[id.size-maxDigits], maxDigits, id.code > 0), true
		}
		return packed(id.digits, int(id.size), id.code > 0), true
	}
	return packed(id.digits/pow10[int(id.size)-take], take, id.code > 0), false
}

// path are the keys that a call counts for, the widest first: one, but for prefixes.
func (d *detector) path(id *ident, room []uint64) []uint64 {
	trunk := uint64(id.trunk) << keyBits
	switch d.Key {
	case policy.ByCaller:
		if id.caller != 0 {
			room = append(room, trunk|id.caller)
		}
	case policy.ByPrefix:
		if id.size == 0 {
			return room
		}
		for _, level := range d.Levels {
			key, whole := id.prefix(level.Digits)
			room = append(room, trunk|key)
			if whole {
				break
			}
		}
	case policy.ByHolder:
		if id.holder != 0 {
			room = append(room, trunk|uint64(id.holder))
		}
	case policy.ByCallee:
		if id.callee != 0 {
			room = append(room, trunk|id.callee)
		}
	default: // of a trunk and of all, the trunk is the key
		room = append(room, trunk|1)
	}
	return room
}
