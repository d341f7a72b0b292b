package storage

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"ringfence/number"
)

// ReadAgain gives the entries of a list other patterns, where read has another one for what is kept: numbers are read otherwise
// than when they were written. Each source's record goes to the new pattern as it is; one that the source has there already
// stays, and the old one goes. read is called for each pattern, outside of transactions. "" leaves an entry as it is.
//
// It is one change, as an import is one, and can be undone. alone is called when all is read, to call do while nobody else edits
// the list: an entry that was taken away meanwhile would come back under its new pattern. A moved entry of one number takes
// some sixty bytes of memory meanwhile. The id of the record is 0 if nothing changed. There is ErrNoList if the list does
// not exist.
func (d *DB) ReadAgain(list string, read func(pattern string) string, alone func(do func() error) error, o ImportOptions) (r ChangeRecord, err error) {
	if err := o.By.check(); err != nil {
		return r, err
	}
	var found moves
	err = d.eachPattern(list, func(rows []listRow) {
		if to := read(rows[0].pattern); to != "" && to != rows[0].pattern {
			found.add(rows[0].pattern, to, nil)
		}
	})
	if err != nil || found.empty() {
		return r, err
	}
	err = alone(func() error {
		var m moves
		err := d.eachPattern(list, func(rows []listRow) {
			if to, ok := found.find(rows[0].pattern); ok {
				for i := range rows {
					if !rows[i].now.gone {
						m.add(rows[i].pattern, to, rows[i].now)
					}
				}
			}
		})
		if err != nil || m.empty() {
			return err
		}
		var ended error
		r, err = d.apply(ChangeRecord{List: list, Kind: KindImport, By: o.By, Source: o.Source}, m.edits(), &ended, o)
		return err
	})
	if err != nil {
		return r, explain("reading the list "+list+" again", err)
	}
	return r, nil
}

// eachPattern calls f with the rows of each pattern that a source names. What cannot be read is passed over; that was said when
// the list was loaded.
func (d *DB) eachPattern(list string, f func([]listRow)) error {
	var damage damage
	return d.rows(list, &damage, func(rows []listRow) error {
		for i, end := 0, 0; i < len(rows); i = end {
			alive := false
			for end = i; end < len(rows) && rows[end].pattern == rows[i].pattern; end++ {
				alive = alive || !rows[end].now.gone
			}
			if alive {
				f(rows[i:end])
			}
		}
		return nil
	})
}

// moves are records that get another pattern, in the order of the old ones.
type moves struct {
	numbers []numberMove // of one number to one number, which is nearly all
	others  []otherMove
}

type numberMove struct {
	from, to uint64 // number.Pattern.Key, which sort as the patterns do
	now      *sourceRecord
}

type otherMove struct {
	from, to string
	now      *sourceRecord
}

func (m *moves) empty() bool { return len(m.numbers)+len(m.others) == 0 }

func (m *moves) add(from, to string, now *sourceRecord) {
	a, ok := numberKey(from)
	b, ok2 := numberKey(to)
	if ok && ok2 {
		m.numbers = append(m.numbers, numberMove{a, b, now})
		return
	}
	m.others = append(m.others, otherMove{from, to, now})
}

// find is what a pattern becomes, of moves that are in order.
func (m *moves) find(from string) (to string, ok bool) {
	if key, isNumber := numberKey(from); isNumber {
		if i, ok := slices.BinarySearchFunc(m.numbers, key, func(n numberMove, k uint64) int { return cmp.Compare(n.from, k) }); ok {
			return number.KeyPattern(m.numbers[i].to).String(), true
		}
	}
	if i, ok := slices.BinarySearchFunc(m.others, from, func(o otherMove, p string) int { return strings.Compare(o.from, p) }); ok {
		return m.others[i].to, true
	}
	return "", false
}

// numberKey packs a pattern of one number.
func numberKey(pattern string) (uint64, bool) {
	digits, plus := strings.CutPrefix(pattern, "+")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	key, ok := number.DigitsKey(digits, plus)
	return key, ok && number.KeyPattern(key).String() == pattern
}

// edits takes the records from where they are, and puts them where they belong, in the order that a change wants.
func (m *moves) edits() iter.Seq[edit] {
	from := mergeEdits(numberEdits(m.numbers, false), otherEdits(m.others, false))
	numbers, others := slices.Clone(m.numbers), slices.Clone(m.others)
	slices.SortStableFunc(numbers, func(a, b numberMove) int {
		return cmp.Or(cmp.Compare(a.to, b.to), recordKey(a.now).compare(recordKey(b.now)))
	})
	slices.SortStableFunc(others, func(a, b otherMove) int {
		return cmp.Or(strings.Compare(a.to, b.to), recordKey(a.now).compare(recordKey(b.now)))
	})
	all := mergeEdits(from, mergeEdits(numberEdits(numbers, true), otherEdits(others, true)))
	return func(yield func(edit) bool) {
		var last edit
		for e := range all {
			if last.pattern != "" && last.compare(&e) == 0 {
				continue // two spellings of one number: the first says it
			}
			if last = e; !yield(e) {
				return
			}
		}
	}
}

func recordKey(s *sourceRecord) sourceKey { return keyOf(s.origin, s.source) }

// moveEdit is an edit that takes a record away, or puts it where its source says nothing.
func moveEdit(pattern string, now *sourceRecord, put bool) edit {
	e := edit{pattern: pattern, key: recordKey(now), undo: true}
	if put {
		e.to = now
	} else {
		e.from = now
	}
	return e
}

func numberEdits(moves []numberMove, put bool) iter.Seq[edit] {
	return func(yield func(edit) bool) {
		for i := range moves {
			key := moves[i].from
			if put {
				key = moves[i].to
			}
			if !yield(moveEdit(number.KeyPattern(key).String(), moves[i].now, put)) {
				return
			}
		}
	}
}

func otherEdits(moves []otherMove, put bool) iter.Seq[edit] {
	return func(yield func(edit) bool) {
		for i := range moves {
			pattern := moves[i].from
			if put {
				pattern = moves[i].to
			}
			if !yield(moveEdit(pattern, moves[i].now, put)) {
				return
			}
		}
	}
}

// mergeEdits makes one sequence of two that are in order.
func mergeEdits(a, b iter.Seq[edit]) iter.Seq[edit] {
	return func(yield func(edit) bool) {
		next, stop := iter.Pull(b)
		defer stop()
		second, more := next()
		for first := range a {
			for more && second.compare(&first) < 0 {
				if !yield(second) {
					return
				}
				second, more = next()
			}
			if !yield(first) {
				return
			}
		}
		for more {
			if !yield(second) {
				return
			}
			second, more = next()
		}
	}
}
