package lines

import (
	"hash/maphash"
	"iter"
	"slices"
	"strings"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// table holds lines and never changes. A line of a short name and two numbers takes 100 bytes.
type table struct {
	text    string   // of each line its key, which begins with its name, and its customer
	lines   []packed // in the order of their names' bytes
	kinds   []kind
	seed    maphash.Seed
	slots   []uint32 // by the hash of a name: a line and 1; 0 is none. What is taken makes way to the next.
	owners  []uint32 // the lines, by customer
	numbers numbers
}

// packed is what a table has of a line besides its numbers.
type packed struct {
	at        uint32 // in text
	kind      uint32
	name, key uint8 // how long they are
	customer  uint16
	numbers   uint16 // how many patterns
	hash      uint64 // policy.HashKey of the key
}

// kind is what many lines have in common.
type kind struct {
	profile string
	mode    policy.LineMode
	zone    *time.Location
}

// record is a line on its way into a table.
type record struct {
	key      string
	name     int // how much of key
	customer string
	kind     uint32
}

func (r *record) lineName() string { return r.key[:r.name] }

var noTable = buildTable(nil, &kinds{}, nil, nil)

// kinds gathers kinds, each once.
type kinds struct {
	all   []kind
	known map[kind]uint32
}

func (k *kinds) of(one kind) uint32 {
	if at, ok := k.known[one]; ok {
		return at
	}
	if k.known == nil {
		k.known = make(map[kind]uint32)
	}
	at := uint32(len(k.all))
	one.profile = strings.Clone(one.profile) // it may be a part of a long text
	k.all, k.known[one] = append(k.all, one), at
	return at
}

// buildTable makes a table of records in the order of their names, and of their numbers, whose lines are places in records.
func buildTable(records []record, of *kinds, plan *number.Plan, all []held) *table {
	t := &table{kinds: slices.Clip(of.all), seed: maphash.MakeSeed(), numbers: numbersOf(plan, all)}
	size := 0
	for i := range records {
		size += len(records[i].key) + len(records[i].customer)
	}
	var text strings.Builder
	text.Grow(size)
	t.lines = make([]packed, len(records))
	t.slots = make([]uint32, len(records)+len(records)/3+1)
	t.owners = make([]uint32, len(records))
	for i := range records {
		r := &records[i]
		t.lines[i] = packed{uint32(text.Len()), r.kind, uint8(r.name), uint8(len(r.key)), uint16(len(r.customer)), 0, policy.HashKey(r.key)}
		text.WriteString(r.key)
		text.WriteString(r.customer)
		at := t.slot(r.lineName())
		for t.slots[at] != 0 {
			at = t.next(at)
		}
		t.slots[at], t.owners[i] = uint32(i+1), uint32(i)
	}
	t.numbers.held(func(h held) { t.lines[h.line].numbers++ })
	t.text = text.String()
	slices.SortStableFunc(t.owners, func(a, b uint32) int { return strings.Compare(t.customer(a), t.customer(b)) })
	return t
}

// slot is where the search for a name begins.
func (t *table) slot(name string) int {
	return int(uint64(uint32(maphash.String(t.seed, name))) * uint64(len(t.slots)) >> 32)
}

func (t *table) next(slot int) int {
	if slot++; slot < len(t.slots) {
		return slot
	}
	return 0
}

func (t *table) name(line uint32) string {
	p := &t.lines[line]
	return t.text[p.at : p.at+uint32(p.name)]
}

// customer is whose a line is: the customer it names, or else its own name.
func (t *table) customer(line uint32) string {
	p := &t.lines[line]
	if p.customer == 0 {
		return t.text[p.at : p.at+uint32(p.name)]
	}
	from := p.at + uint32(p.key)
	return t.text[from : from+uint32(p.customer)]
}

// record gives a line back as it came.
func (t *table) record(line uint32) record {
	p := &t.lines[line]
	from := p.at + uint32(p.key)
	return record{key: t.text[p.at:from], name: int(p.name), customer: t.text[from : from+uint32(p.customer)], kind: p.kind}
}

// named is the line of a name.
func (t *table) named(name string) (line uint32, ok bool) {
	for at := t.slot(name); t.slots[at] != 0; at = t.next(at) {
		if line = t.slots[at] - 1; t.name(line) == name {
			return line, true
		}
	}
	return 0, false
}

// line is what calls are told of a line.
func (t *table) line(line uint32) policy.Line {
	p := &t.lines[line]
	k := &t.kinds[p.kind]
	return policy.Line{
		Name: t.text[p.at : p.at+uint32(p.name)], Key: t.text[p.at : p.at+uint32(p.key)], Customer: t.customer(line),
		Profile: k.profile, Mode: k.mode, Zone: k.zone, Kept: true, Hash: p.hash,
	}
}

// owned are the lines of a customer, in the order of their names.
func (t *table) owned(customer string) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		at, _ := slices.BinarySearchFunc(t.owners, customer, func(line uint32, c string) int { return strings.Compare(t.customer(line), c) })
		for ; at < len(t.owners) && t.customer(t.owners[at]) == customer; at++ {
			if !yield(t.owners[at]) {
				return
			}
		}
	}
}
