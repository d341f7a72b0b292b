package lists

import (
	"encoding/binary"
	"slices"
	"time"

	"ringfence/number"
	"ringfence/policy"
)

// Bounds on what entries of own lists say, in bytes: of all lines of one table, and of one line, so that no customer takes the room for others'
// reasons. Beyond them only the expiry of an entry is kept.
const (
	maxOwnTexts     = 64 << 20
	maxOwnLineTexts = 1 << 20
)

// fewWide is how many patterns that are no numbers a look-up goes through one by one.
const fewWide = 8

// ownList is the own list of one line, which never changes. The zero value is an empty one. It is as flat as can be, because there are a hundred
// thousand with ten entries each:
//
//	2 × 1 byte   how many bytes the line's key and the list's name, "NAME:blacklist", have
//	3 × 2 bytes  how many exact numbers there are, patterns that are none, different texts
//	             key; name
//	8 bytes each number.Pattern.Key of the exact numbers, ascending
//	2 bytes each the places of their texts
//	24 bytes each  the patterns, as those of wide
//	4 bytes each where the texts end
//	             the texts
//
// All numbers are little endian.
type ownList struct {
	flat text
	wide *wide // the patterns again, if they are more than fewWide
}

const ownHead = 8

func le16(t text) int { return int(t[0]) | int(t[1])<<8 }

// ownPlaces are the places in an ownList.
type ownPlaces struct{ keys, ids, wide, ends, texts, numbers, wides, different int }

func (o *ownList) parts() (p ownPlaces) {
	f := o.flat
	p.numbers, p.wides, p.different = le16(f[2:]), le16(f[4:]), le16(f[6:])
	p.keys = ownHead + int(f[0]) + int(f[1])
	p.ids = p.keys + 8*p.numbers
	p.wide = p.ids + 2*p.numbers
	p.ends = p.wide + wideSize*p.wides
	p.texts = p.ends + 4*p.different
	return p
}

func (o *ownList) key() string { return string(o.flat[ownHead : ownHead+int(o.flat[0])]) }

func (o *ownList) name() string {
	at := ownHead + int(o.flat[0])
	return string(o.flat[at : at+int(o.flat[1])])
}

func (o ownList) len() int {
	if o.flat == "" {
		return 0
	}
	return le16(o.flat[2:]) + le16(o.flat[4:])
}

func (o ownList) textBytes() int {
	if o.flat == "" {
		return 0
	}
	p := o.parts()
	return len(o.flat) - p.texts
}

// text is the i-th of the different texts.
func (o *ownList) text(p *ownPlaces, i int) text {
	from := 0
	if i > 0 {
		from = int(le32(o.flat[p.ends+4*(i-1):]))
	}
	return o.flat[p.texts+from : p.texts+int(le32(o.flat[p.ends+4*i:]))]
}

func (o *ownList) wideAt(p *ownPlaces, i int) (q number.Pattern, id int) {
	b := o.flat[p.wide+wideSize*i : p.wide+wideSize*i+wideSize]
	return number.Pattern{Lo: le64(b), Hi: le64(b[8:]), Size: b[16], Open: b[17] != 0, Plus: b[18] != 0}, int(le32(b[wideText:]))
}

// lookup is that of state.
func (o *ownList) lookup(n *number.Number, at time.Time) (number.Pattern, record) {
	var best match
	if o.flat == "" {
		return best.pattern, best.record
	}
	p := o.parts()
	for _, plus := range [...]bool{true, false} { // as E.164 rather than as written inside the country
		if p.numbers == 0 || best.record != "" {
			break
		}
		key, ok := number.DigitsKey(n.Digits(plus), plus)
		if !ok {
			continue
		}
		if i := o.find(&p, key); i >= 0 {
			if r := o.text(&p, le16(o.flat[p.ids+2*i:])).first(at); r != "" {
				best = match{number.KeyPattern(key), r}
			}
		}
	}
	if o.wide != nil {
		o.narrow(&best, &p, n, at)
		return best.pattern, best.record
	}
	for i := range p.wides {
		q, id := o.wideAt(&p, i)
		if !q.Matches(n) || best.record != "" && !q.Narrower(best.pattern, n) {
			continue
		}
		if r := o.text(&p, id).first(at); r != "" {
			best = match{q, r}
		}
	}
	return best.pattern, best.record
}

// find is the place of an exact number, -1 if it is not there.
func (o *ownList) find(p *ownPlaces, key uint64) int {
	from, to := 0, p.numbers
	for from < to {
		mid := int(uint(from+to) >> 1)
		switch k := le64(o.flat[p.keys+8*mid:]); {
		case k == key:
			return mid
		case k < key:
			from = mid + 1
		default:
			to = mid
		}
	}
	return -1
}

// narrow takes the patterns that are narrower than what was found, where they are many.
func (o *ownList) narrow(best *match, p *ownPlaces, n *number.Number, at time.Time) {
	w := o.wide
	w.lengths.Keys(n, func(key uint64) {
		block := w.first(key)
		if block < 0 {
			return
		}
		for ; block < w.blocks && w.key(block) == key; block++ {
			i := w.id(block)
			q := w.pattern(i)
			if best.record != "" && !q.Narrower(best.pattern, n) {
				continue
			}
			if r := o.text(p, int(w.text(i))).first(at); r != "" {
				*best = match{q, r}
			}
		}
	})
}

// ownEntry is an entry of an own list on its way in; with an empty text one that goes.
type ownEntry struct {
	pattern number.Pattern
	text    text
}

// entries are those of the list, for who makes another of it.
func (o ownList) entries() []ownEntry {
	if o.flat == "" {
		return nil
	}
	p := o.parts()
	all := make([]ownEntry, 0, p.numbers+p.wides)
	for i := range p.numbers {
		all = append(all, ownEntry{number.KeyPattern(le64(o.flat[p.keys+8*i:])), o.text(&p, le16(o.flat[p.ids+2*i:]))})
	}
	for i := range p.wides {
		q, id := o.wideAt(&p, i)
		all = append(all, ownEntry{q, o.text(&p, id)})
	}
	return all
}

// ownBuilder gathers the own list of one line.
type ownBuilder struct {
	key, list string
	entries   []ownEntry // the last of a pattern counts

	room []byte
	last text
}

func (b *ownBuilder) add(p number.Pattern, records []Record) {
	b.room = appendText(b.room[:0], records)
	if b.last != text(b.room) { // as most are
		b.last = text(b.room)
	}
	b.entries = append(b.entries, ownEntry{p, b.last})
}

// pack makes the list, with as many bytes of texts as there is room for, and says how many entries were too many.
func (b *ownBuilder) pack(room int) (l ownList, dropped int) {
	numbers := make([]changedText, 0, len(b.entries))
	var wides []changedText
	for _, e := range b.entries {
		if key, exact := e.pattern.Key(); exact {
			numbers = append(numbers, changedText{e.pattern, key, true, e.text})
		} else {
			wides = append(wides, changedText{e.pattern, 0, false, e.text})
		}
	}
	goes := func(c changedText) bool { return c.text == "" }
	numbers = slices.DeleteFunc(lastOfEach(numbers, func(a, b *changedText) int { return compareKeys(a.key, b.key) }), goes)
	wides = slices.DeleteFunc(lastOfEach(wides, func(a, b *changedText) int { return comparePatterns(a.pattern, b.pattern) }), goes)
	if dropped = len(numbers) + len(wides) - MaxOwnLine; dropped > 0 {
		stay := max(0, len(numbers)-dropped)
		wides = wides[:min(len(wides), MaxOwnLine-stay)]
		numbers = numbers[:stay]
	}
	dropped = max(0, dropped)
	if len(numbers)+len(wides) == 0 {
		return ownList{}, dropped
	}

	texts := ownTexts{room: min(room, maxOwnLineTexts)}
	ids := make([]int, 0, len(numbers)+len(wides))
	for _, c := range numbers {
		ids = append(ids, texts.of(c.text))
	}
	for _, c := range wides {
		ids = append(ids, texts.of(c.text))
	}
	line := policy.LineName(b.key) + ":" + b.list
	flat := make([]byte, 0, ownHead+len(b.key)+len(line)+10*len(numbers)+wideSize*len(wides)+4*len(texts.all)+texts.bytes)
	flat = append(flat, byte(len(b.key)), byte(len(line)))
	for _, n := range [...]int{len(numbers), len(wides), len(texts.all)} {
		flat = binary.LittleEndian.AppendUint16(flat, uint16(n))
	}
	flat = append(append(flat, b.key...), line...)
	for _, c := range numbers {
		flat = binary.LittleEndian.AppendUint64(flat, c.key)
	}
	for _, id := range ids[:len(numbers)] {
		flat = binary.LittleEndian.AppendUint16(flat, uint16(id))
	}
	es := make([]wideEntry, len(wides))
	for i, c := range wides {
		es[i] = wideEntry{c.pattern, uint32(ids[len(numbers)+i])}
		flat = appendWide(flat, es[i])
	}
	end := 0
	for _, t := range texts.all {
		end += len(t)
		flat = binary.LittleEndian.AppendUint32(flat, uint32(end))
	}
	for _, t := range texts.all {
		flat = append(flat, t...)
	}
	l.flat = text(flat)
	if len(es) > fewWide {
		w := newWide(es)
		l.wide = &w
	}
	return l, dropped
}

// ownTexts gathers the different texts of a list.
type ownTexts struct {
	ids   map[text]int
	all   []text
	bytes int
	room  int
}

// of gives the place of a text, which is left out if there is no room for it.
func (t *ownTexts) of(v text) int {
	if n := len(t.all); n > 0 && t.all[n-1] == v { // as most are
		return n - 1
	}
	if id, ok := t.ids[v]; ok {
		return id
	}
	if !v.isLeftOut() && t.bytes+len(v) > t.room {
		return t.of(v.leftOut())
	}
	if t.ids == nil {
		t.ids = make(map[text]int)
	}
	t.ids[v] = len(t.all)
	t.all = append(t.all, v)
	t.bytes += len(v)
	return len(t.all) - 1
}
