package storage

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// When the journal is larger than it may be, the loudest lose their oldest records first: a flood is not to push out what three
// months of other calls have left. In this order, until there is room:
//
//	callers that have more than a fiftieth of all records, those with the most of them first, down to that
//	ranges (numbers that differ in the last four digits; all that are no numbers) that have more than a tenth
//	days that have more than four times what the other days have, for who shows another number each time
//	the oldest of all
//
// Who is loud is counted in one walk through the journal, and dropped in another, a page at a time between batches of new records.
// So that this is seldom, a sixteenth of the journal is freed each time. Meanwhile it may be an eighth too large; beyond
// that the oldest go at once.
const (
	loudCaller, loudRange, loudDay = 50, 10, 4
	loudLeast                      = 100  // records; fewer are never loud
	maxTally                       = 4096 // callers and ranges that are counted, each
	trimPage                       = 4096 // records looked at in one go
	trimPages                      = 16   // pages between two batches
)

// trimmer brings the journal below its size.
type trimmer struct {
	d   *DB
	max int64

	counting *loudness // the first walk; nil: not under way
	dropping *quotas   // the second
	after    []byte    // the last record looked at
}

// hardMax is the size above which the oldest go at once; 0: there is no bound.
func (t *trimmer) hardMax() int64 { return t.max + t.max/8 }

// some does some of the work. more says that there is work left. dropped is how many records went.
func (t *trimmer) some() (dropped int, more bool, err error) {
	if t.max <= 0 {
		return 0, false, nil
	}
	for range trimPages {
		if t.counting == nil && t.dropping == nil {
			_, size, err := t.d.JournalSize()
			if err != nil || size <= t.max {
				return dropped, false, err
			}
			t.counting, t.after = newLoudness(), nil
		}
		n, err := t.page()
		if dropped += n; err != nil {
			t.counting, t.dropping = nil, nil
			return dropped, false, err
		}
	}
	return dropped, true, nil
}

// page looks at one page.
func (t *trimmer) page() (dropped int, err error) {
	if t.counting != nil {
		end := false
		err := t.d.view(func(tx *bolt.Tx) error {
			t.after, end = journalPage(tx, t.after, func(k, v []byte) bool { t.counting.add(k, v); return true })
			return nil
		})
		if err == nil && end {
			var records, size int64
			records, size, err = t.d.JournalSize()
			t.dropping, t.counting, t.after = t.counting.quotas(records, size, t.max-t.max/16), nil, nil
		}
		return 0, err
	}
	var ids []string
	end := false
	err = t.d.view(func(tx *bolt.Tx) error {
		t.after, end = journalPage(tx, t.after, func(k, v []byte) bool {
			if t.dropping.take(k, v) {
				ids = append(ids, string(k))
			}
			return t.dropping.want > 0 && len(ids) < trimBatch
		})
		return nil
	})
	if err == nil && len(ids) > 0 {
		dropped, err = t.d.dropRecords(ids)
	}
	if end || t.dropping.want <= 0 {
		t.dropping = nil
	}
	return dropped, err
}

// journalPage calls look for the records behind a key until it says that it is enough, or the page is full. It gives the last key, and
// whether that was all.
func journalPage(tx *bolt.Tx, after []byte, look func(k, v []byte) bool) (last []byte, end bool) {
	c := tx.Bucket(bucketJournal).Cursor()
	k, v := c.First()
	if after != nil {
		if k, v = c.Seek(after); bytes.Equal(k, after) {
			k, v = c.Next()
		}
	}
	for range trimPage {
		if k == nil || after != nil && bytes.Compare(k, after) <= 0 { // out of order in a damaged file
			return after, true
		}
		after = append(after[:0], k...)
		if !look(k, v) {
			return after, false
		}
		k, v = c.Next()
	}
	return after, k == nil
}

// loudness counts who has how many records.
type loudness struct {
	callers, ranges tally
	days            map[string]int
}

func newLoudness() *loudness {
	return &loudness{callers: tally{}, ranges: tally{}, days: make(map[string]int)}
}

func (l *loudness) add(k, v []byte) {
	caller := callerIn(v)
	l.callers.add(caller)
	l.ranges.add(rangeOf(caller))
	l.days[dayOf(k)]++
}

// tally counts the most frequent of texts, however many there are: what is said of one is at most a 4096th of all too low.
type tally map[string]int

func (t tally) add(text string) {
	if n, ok := t[text]; ok || len(t) < maxTally {
		if !ok {
			text = strings.Clone(text)
		}
		t[text] = n + 1
		return
	}
	for other, n := range t { // it costs as much as the records did that are taken off
		if n == 1 {
			delete(t, other)
		} else {
			t[other] = n - 1
		}
	}
}

// quotas say how many records of whom are to go.
type quotas struct {
	want                  int // records in all
	callers, ranges, days map[string]int
	oldest                int
}

// quotas shares out how many records are to go, so that the journal has a size.
func (l *loudness) quotas(records, size, target int64) *quotas {
	q := &quotas{}
	if records == 0 || size <= target {
		return q
	}
	each := max(size/records, 1)
	q.want = int(min((size-target+each-1)/each, records))
	left := q.want
	q.callers, left = level(l.callers, max(int(records)/loudCaller, loudLeast), left)
	for caller, n := range q.callers {
		l.ranges[rangeOf(caller)] -= n
	}
	q.ranges, left = level(l.ranges, max(int(records)/loudRange, loudLeast), left)
	if left > 0 && len(q.callers)+len(q.ranges) > 0 {
		q.want -= left // the days were counted with all of these in them: the next look tells which are loud without
		return q
	}
	q.days, left = level(l.days, max(loudDay*int(records)/max(len(l.days), 1), loudLeast), left)
	q.oldest = left
	return q
}

// level takes from those that have the most, down to a floor at the lowest, until there is enough. left is what is missing still.
func level(counts map[string]int, floor, want int) (quota map[string]int, left int) {
	type count struct {
		who string
		n   int
	}
	var loud []count
	for who, n := range counts {
		if n > floor {
			loud = append(loud, count{who, n})
		}
	}
	slices.SortFunc(loud, func(a, b count) int { return cmp.Or(cmp.Compare(b.n, a.n), strings.Compare(a.who, b.who)) })
	to := floor // what the loudest are brought down to
	for i, sum := 0, 0; i < len(loud); i++ {
		sum += loud[i].n
		next := floor
		if i+1 < len(loud) {
			next = loud[i+1].n
		}
		if sum-(i+1)*next >= want {
			to = max((sum-want)/(i+1), next)
			break
		}
	}
	quota, left = make(map[string]int), want
	for _, c := range loud {
		if n := min(c.n-to, left); n > 0 {
			quota[c.who] = n
			left -= n
		}
	}
	return quota, left
}

// take reports whether a record is to go, the oldest being asked for first.
func (q *quotas) take(k, v []byte) bool {
	caller := callerIn(v)
	switch {
	case q.want <= 0:
		return false
	case spend(q.callers, caller), spend(q.ranges, rangeOf(caller)), spend(q.days, dayOf(k)):
	case q.oldest > 0:
		q.oldest--
	default:
		return false
	}
	q.want--
	return true
}

func spend(quota map[string]int, who string) bool {
	if quota[who] <= 0 {
		return false
	}
	quota[who]--
	return true
}

// callerIn is the caller in a record as it is kept, whose other texts are not read.
func callerIn(v []byte) string {
	if e164 := jsonField(v, `"e164":"`); len(e164) > 0 {
		return string(e164)
	}
	return string(jsonField(v, `"raw":"`))
}

// jsonField is the text behind a key, as JSON writes it: within a text a quote is never without a backslash.
func jsonField(v []byte, key string) []byte {
	at := bytes.Index(v, []byte(key))
	if at < 0 {
		return nil
	}
	rest := v[at+len(key):]
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '"':
			return rest[:i]
		}
	}
	return nil
}

// rangeOf is a caller's range: a number without its last four digits, or what a token says of it.
func rangeOf(caller string) string {
	switch {
	case strings.HasPrefix(caller, PrivateMark):
		return caller[:max(strings.LastIndexByte(caller, ':'), len(PrivateMark))]
	case strings.HasPrefix(caller, "+") && len(caller) > 8:
		return caller[:len(caller)-4]
	case strings.HasPrefix(caller, "+"):
		return caller
	}
	return "no number"
}

// dayOf is the day of a record, in UTC.
func dayOf(k []byte) string {
	at := TimeOf(string(k))
	return at.UTC().Format(time.DateOnly)
}
