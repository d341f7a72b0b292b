package lists

import (
	"encoding/binary"
	"slices"

	"ringfence/number"
)

// builder makes a piece of entries that come in the order of their keys.
type builder struct {
	texts     textTable
	firsts    []byte
	heads     []byte
	data      [][]byte // in parts of dataPart, so that growing copies nothing
	dataBytes uint64
	numbers   int
	left      int
	pending   []numberEntry // not packed yet
	wide      []wideEntry
}

// dataPart is the size of the parts that a builder's data grow by, in bytes.
const dataPart = 1 << 20

// newBuilder makes a builder, whose texts cost no more than room allows.
func newBuilder(room func(cost int) bool) *builder { return &builder{texts: textTable{room: room}} }

// add adds an exact number, which is greater than those before.
func (b *builder) add(e numberEntry) {
	if b.pending = append(b.pending, e); len(b.pending) == chunkSize {
		b.flush()
	}
}

// flush packs what is pending into as few chunks as may be, of equal size.
func (b *builder) flush() {
	es := b.pending
	for chunks := (len(es) + chunkSize - 1) / chunkSize; chunks > 0; chunks-- {
		n := (len(es) + chunks - 1) / chunks
		b.pack(es[:n])
		es = es[n:]
	}
	b.pending = b.pending[:0]
}

// pack packs 1 to chunkSize entries.
func (b *builder) pack(es []numberEntry) {
	if !b.packChunk(es) {
		b.pack(es[:len(es)/2])
		b.pack(es[len(es)/2:])
	}
}

// packChunk packs 1 to chunkSize entries. false: they say too many different things.
func (b *builder) packChunk(es []numberEntry) bool {
	h := chunkHead{span: es[len(es)-1].key - es[0].key, offset: b.dataBytes, n: len(es), text: es[0].text}
	h.width = widthOf(h.span)
	var places [chunkSize]uint8
	var values []uint32
	same := true
	for i := range es {
		same = same && es[i].text == h.text
	}
	if !same {
		values = make([]uint32, 0, 8)
		for i := range es {
			if i > 0 && es[i].text == es[i-1].text {
				places[i] = places[i-1]
				continue
			}
			at := slices.Index(values, es[i].text)
			if at < 0 {
				if at = len(values); at == chunkValues {
					return false
				}
				values = append(values, es[i].text)
			}
			places[i] = uint8(at)
		}
	}
	h.values = len(values)
	data := b.grow(int(h.size()))
	var word [8]byte
	for i := range es {
		binary.LittleEndian.PutUint64(word[:], es[i].key-es[0].key)
		copy(data[i*h.width:], word[:h.width])
		if b.texts.all[es[i].text].isLeftOut() {
			b.left++
		}
	}
	if h.values > 0 {
		data = data[h.n*h.width:]
		copy(data, places[:h.n])
		for i, v := range values {
			binary.LittleEndian.PutUint32(data[h.n+4*i:], v)
		}
	}
	b.chunk(es[0].key, &h)
	return true
}

// chunk takes in a chunk whose data are there.
func (b *builder) chunk(first uint64, h *chunkHead) {
	b.firsts = binary.LittleEndian.AppendUint64(b.firsts, first)
	b.heads = h.append(b.heads)
	b.numbers += h.n
}

// grow makes the data n bytes longer and gives these.
func (b *builder) grow(n int) []byte {
	last := len(b.data) - 1
	if last < 0 || cap(b.data[last])-len(b.data[last]) < n {
		b.data = append(b.data, make([]byte, 0, max(n, min(dataPart, 1024+4*int(b.dataBytes)))))
		last++
	}
	from := len(b.data[last])
	b.data[last] = b.data[last][:from+n]
	b.dataBytes += uint64(n)
	return b.data[last][from:]
}

// piece makes the piece of what was added. patterns that were added more than once have what was added last.
func (b *builder) piece() *Piece {
	b.flush()
	slices.SortStableFunc(b.wide, compareWide)
	last := b.wide[:0]
	for i, e := range b.wide {
		if i+1 < len(b.wide) && b.wide[i+1].pattern == e.pattern {
			continue
		}
		last = append(last, e)
		if b.texts.all[e.text].isLeftOut() {
			b.left++
		}
	}
	return b.assemble(newWide(last))
}

// assemble puts the parts together.
func (b *builder) assemble(w wide) *Piece {
	h := header{
		version: number.Version, numbers: uint64(b.numbers), left: uint64(b.left), chunks: uint64(len(b.firsts) / 8), data: b.dataBytes,
		textBytes: uint64(b.texts.bytes), texts: uint32(len(b.texts.all)),
		patterns: uint32(w.n), blocks: uint32(w.blocks), slot: uint32(len(w.slots) / 4),
	}
	at := h.parts()
	h.size = at.end
	all := make([]byte, h.size)
	for _, part := range [...]struct {
		begins uint64
		bytes  []byte
	}{
		{0, h.encode()},
		{at.firsts, b.firsts},
		{at.heads, b.heads},
		{at.patterns, w.patterns},
		{at.keys, w.keys},
		{at.ids, w.ids},
		{at.slots, w.slots},
	} {
		copy(all[part.begins:], part.bytes)
	}
	offset := uint32(0)
	for i, t := range b.texts.all {
		copy(all[at.texts+uint64(offset):], t)
		offset += uint32(len(t))
		binary.LittleEndian.PutUint32(all[at.at+4*uint64(i)+4:], offset)
	}
	next := all[at.data:]
	for i, part := range b.data {
		next = next[copy(next, part):]
		b.data[i] = nil
	}
	p := newPiece(all, h)
	p.wide.lengths = w.lengths
	return p
}

// merger makes a piece of another one and of changes to it.
type merger struct {
	*builder
	from *Piece
	ids  []uint32 // by the number of a text of from its number here, counted from 1; 0: not used yet
}

// fewEntries is how many entries a chunk should have so that it is taken as it is, rather than packed with its neighbours.
const fewEntries = chunkSize / 4

// merge gives the piece that changes make of p. Chunks without changes are copied as they are.
func (p *Piece) merge(o *overlay, room func(cost int) bool) *Piece {
	m := merger{newBuilder(room), p, make([]uint32, p.header.texts)}
	keys, texts := o.keys, o.texts
	var old []numberEntry
	for i := range p.firsts {
		mine := len(keys)
		if i+1 < len(p.firsts) {
			mine, _ = slices.BinarySearch(keys, p.firsts[i+1])
		}
		if mine == 0 && len(m.pending) == 0 && m.copyChunk(i) {
			continue
		}
		old = p.appendEntries(old[:0], i)
		m.mergeEntries(old, keys[:mine], texts[:mine])
		keys, texts = keys[mine:], texts[mine:]
		if len(m.pending) >= fewEntries { // else they go with the next chunk's
			m.flush()
		}
	}
	m.mergeEntries(nil, keys, texts)
	m.flush()
	return m.assemble(m.mergeWide(o))
}

// text is the number here of a text of the piece that is merged.
func (m *merger) text(id uint32) uint32 {
	if m.ids[id] == 0 {
		m.ids[id] = m.texts.of(m.from.text(id)) + 1
	}
	return m.ids[id] - 1
}

// copyChunk takes a chunk as it is, unless it has few entries, and reports whether it did.
func (m *merger) copyChunk(i int) bool {
	h := readHead(m.from.heads[headSize*i:])
	if h.n < fewEntries {
		return false
	}
	data := m.from.data[h.offset : h.offset+h.size()]
	h.offset = m.dataBytes
	to := m.grow(len(data))
	copy(to, data)
	if h.values == 0 {
		h.text = m.text(h.text)
		if m.texts.all[h.text].isLeftOut() {
			m.left += h.n
		}
	} else {
		places, values := to[h.n*h.width:][:h.n], to[h.n*h.width+h.n:]
		var left [chunkValues]bool
		some := false
		for j := range h.values {
			id := m.text(binary.LittleEndian.Uint32(values[4*j:]))
			binary.LittleEndian.PutUint32(values[4*j:], id)
			left[j] = m.texts.all[id].isLeftOut()
			some = some || left[j]
		}
		if some {
			for _, place := range places {
				if left[place] {
					m.left++
				}
			}
		}
		h.text = 0
	}
	m.chunk(m.from.firsts[i], &h)
	return true
}

// mergeEntries makes entries of the piece and changes to them, both ascending, pending.
func (m *merger) mergeEntries(old []numberEntry, keys []uint64, texts []text) {
	for i, key := range keys {
		for len(old) > 0 && old[0].key < key {
			m.pending = append(m.pending, numberEntry{old[0].key, m.text(old[0].text)})
			old = old[1:]
		}
		if len(old) > 0 && old[0].key == key {
			old = old[1:]
		}
		if texts[i] != "" {
			m.pending = append(m.pending, numberEntry{key, m.texts.of(texts[i])})
		}
	}
	for _, e := range old {
		m.pending = append(m.pending, numberEntry{e.key, m.text(e.text)})
	}
}

// mergeWide gives the patterns that the changes make of the piece's.
func (m *merger) mergeWide(o *overlay) wide {
	from := &m.from.wide
	if o.wide.n == 0 { // all but the numbers of the texts stays as it is
		w := *from
		w.patterns = slices.Clone(from.patterns)
		for i := range w.n {
			id := m.text(w.text(i))
			binary.LittleEndian.PutUint32(w.patterns[wideSize*i+wideText:], id)
			m.countLeft(id)
		}
		return w
	}
	es := make([]wideEntry, 0, from.n+o.wide.n)
	for i := range from.n {
		if p := from.pattern(i); o.wide.find(p) < 0 {
			es = append(es, wideEntry{p, m.text(from.text(i))})
		}
	}
	for i := range o.wide.n {
		if t := o.wideTexts[o.wide.text(i)]; t != "" {
			es = append(es, wideEntry{o.wide.pattern(i), m.texts.of(t)})
		}
	}
	for _, e := range es {
		m.countLeft(e.text)
	}
	slices.SortFunc(es, compareWide)
	return newWide(es)
}

func (m *merger) countLeft(id uint32) {
	if m.texts.all[id].isLeftOut() {
		m.left++
	}
}
