package detect

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// errHabits says that what is kept of habits cannot be read.
var errHabits = errors.New("what was usual of trunks and keys is damaged: begin without it")

// append writes the habits behind b, for parse.
func (h *habits) append(b []byte) []byte {
	b = binary.AppendVarint(b, h.hour)
	b = binary.AppendVarint(b, h.last)
	b = binary.AppendUvarint(b, uint64(h.watched))
	b = binary.AppendUvarint(b, uint64(h.hand))
	b = binary.AppendUvarint(b, h.full)
	for _, w := range h.weekOf {
		b = binary.AppendVarint(b, w)
	}
	b = binary.AppendUvarint(b, uint64(len(h.trunks)))
	for _, name := range slices.Sorted(maps.Keys(h.trunks)) {
		w := h.trunks[name]
		b = appendText(b, name)
		b = binary.AppendVarint(b, w.from)
		b = binary.AppendUvarint(b, uint64(w.hours))
	}
	b = binary.AppendUvarint(b, uint64(len(h.order)))
	for _, x := range h.order {
		b = x.append(b)
	}
	return b
}

// copied is what append needs of habits, as it is now.
func (h *habits) copied() *habits {
	c := *h
	c.order, c.trunks = make([]*habit, len(h.order)), make(map[string]*watch, len(h.trunks))
	for i, x := range h.order {
		y := *x
		for row, w := range y.weeks {
			if w != nil {
				y.weeks[row] = new(*w)
			}
		}
		c.order[i] = &y
	}
	for name, w := range h.trunks {
		c.trunks[name] = new(*w)
	}
	return &c
}

func (x *habit) append(b []byte) []byte {
	b = appendText(b, x.key.trunk)
	b = binary.AppendUvarint(b, x.key.key)
	b = binary.AppendUvarint(b, uint64(x.spoilt))
	b = binary.AppendUvarint(b, uint64(x.learnt))
	b = binary.AppendVarint(b, x.from)
	b = binary.AppendVarint(b, x.used)
	for _, n := range x.open {
		b = binary.AppendUvarint(b, uint64(n))
	}
	rows := 0
	for i, w := range x.weeks {
		if w != nil {
			rows |= 1 << i
		}
	}
	b = append(b, byte(rows))
	if x.learnt > 0 {
		b = appendCells(b, &x.usual)
	}
	for _, w := range x.weeks {
		if w != nil {
			b = appendCells(b, w)
		}
	}
	return b
}

// appendCells writes runs: how many of the same follow, and which.
func appendCells(b []byte, cells *[habitHours]cell) []byte {
	for i := 0; i < len(cells); {
		n := 1
		for i+n < len(cells) && cells[i+n] == cells[i] {
			n++
		}
		b = append(b, byte(n))
		b = binary.BigEndian.AppendUint16(b, uint16(cells[i]))
		i += n
	}
	return b
}

func appendText(b []byte, text string) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}

// parse reads what append wrote into a table that has nothing yet, and gives what stands behind it. What passed since
// then was not watched. More than there is room for is left out.
func (h *habits) parse(b []byte) (rest []byte, err error) {
	r := &varints{b: b}
	h.hour, h.last = r.signed(), r.signed()
	h.watched, h.hand, h.full = uint32(r.unsigned(1<<32-1)), int(r.unsigned(1<<20)), r.unsigned(1<<63)
	for i := range h.weekOf {
		h.weekOf[i] = r.signed()
	}
	for n := r.unsigned(maxTrunks); n > 0 && !r.bad; n-- {
		h.trunks[r.text()] = &watch{from: r.signed(), hours: uint32(r.unsigned(1<<32 - 1))}
	}
	for n := r.unsigned(1 << 20); n > 0 && !r.bad; n-- {
		x := r.habit()
		if r.bad || len(h.order) == h.limit || h.of[x.key] != nil {
			continue
		}
		h.of[x.key] = x
		h.order = append(h.order, x)
	}
	h.hand = min(h.hand, max(len(h.order)-1, 0))
	if r.bad || h.hour != 0 && (h.hour != (h.last+h.shift)/3600 || h.last < 30*24*3600) {
		*h = *newHabits(h.zone, h.limit, h.least)
		return nil, errHabits
	}
	if h.restarted = h.hour != 0; h.restarted {
		h.cell, _ = h.cellOf(h.hour)
	}
	return r.b, nil
}

// varints reads what AppendUvarint and AppendVarint wrote; whatever is wrong is bad, and zero.
type varints struct {
	b   []byte
	bad bool
}

func (r *varints) unsigned(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > most {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *varints) signed() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 || v > 1<<40 || v < -1<<40 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *varints) bytes(n int) []byte {
	if len(r.b) < n {
		r.b, r.bad = nil, true
		return make([]byte, n)
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *varints) text() string { return string(r.bytes(int(r.unsigned(1 << 10)))) }

func (r *varints) habit() *habit {
	x := &habit{key: habitKey{r.text(), r.unsigned(1<<64 - 1)}}
	x.spoilt, x.learnt = uint32(r.unsigned(1<<32-1)), uint32(r.unsigned(1<<32-1))
	x.from, x.used = r.signed(), r.signed()
	for i := range x.open {
		x.open[i] = uint32(r.unsigned(1<<32 - 1))
	}
	rows := r.bytes(1)[0]
	if x.learnt > 0 {
		r.cells(&x.usual)
	} else {
		for i := range x.usual {
			x.usual[i] = unknown
		}
	}
	for i := range x.weeks {
		if rows>>i&1 == 1 {
			x.weeks[i] = &[habitHours]cell{}
			r.cells(x.weeks[i])
		}
	}
	for _, u := range x.usual {
		x.rich = x.rich || u != unknown && u > 0
	}
	return x
}

func (r *varints) cells(cells *[habitHours]cell) {
	for i := 0; i < len(cells) && !r.bad; {
		run := r.bytes(3)
		n, c := int(run[0]), cell(run[1])<<8|cell(run[2])
		if n == 0 || i+n > len(cells) || c > mostCell && c != unknown {
			r.b, r.bad = nil, true
			return
		}
		for ; n > 0; n-- {
			cells[i] = c
			i++
		}
	}
}

// append writes the budgets behind b, for parse.
func (s *budgets) append(b []byte) []byte {
	b = s.habits.append(b)
	b = binary.AppendUvarint(b, uint64(len(s.order)))
	for _, trunk := range s.order {
		x := s.of[trunk]
		b = appendText(b, trunk)
		b = binary.AppendVarint(b, x.sub)
		for i := range x.passed {
			b = binary.AppendUvarint(b, uint64(x.passed[i]))
			b = binary.AppendUvarint(b, uint64(x.touched[i]))
		}
		b = binary.AppendUvarint(b, x.over)
	}
	return b
}

// parse reads what append wrote into budgets that have nothing yet, and gives what stands behind it.
func (s *budgets) parse(b []byte) (rest []byte, err error) {
	rest, err = s.habits.parse(b)
	if err != nil {
		return nil, err
	}
	r := &varints{b: rest}
	for n := r.unsigned(maxTrunks); n > 0 && !r.bad; n-- {
		trunk, x := r.text(), &budget{sub: r.signed()}
		for i := range x.passed {
			x.passed[i], x.touched[i] = uint32(r.unsigned(1<<32-1)), uint32(r.unsigned(1<<32-1))
		}
		x.over = r.unsigned(1<<64 - 1)
		if r.bad || x.sub < 0 || s.of[trunk] != nil {
			r.bad = true
			break
		}
		x.trunk = trunk
		s.of[trunk] = x
		s.order = append(s.order, trunk)
	}
	if r.bad {
		s.of, s.order = map[string]*budget{}, nil
		return nil, errHabits
	}
	return r.b, nil
}
