package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"ringfence/number"
)

// randomCall has few values of each thing, so that queries find some.
func randomCall(rnd *rand.Rand, at time.Time) Record {
	pick := func(all ...string) string { return all[rnd.IntN(len(all))] }
	r := record(0)
	r.ID, r.Time = NewID(at), at
	number := fmt.Sprintf("+8695211%03d", rnd.IntN(40))
	r.Caller = Caller{Raw: pick(number[3:], "anonymous", "Bäcker \xe9", number), E164: pick(number, number, number, "", "hmac:+86-9521:"+number, "sip:"+number), Kind: pick("service", "mobile", "anonymous")}
	r.Name = pick("Wang", "wang sells FLATS", "", "京东客服", "ÜBER \"x\"", "Kelvin \u212a")
	r.Callee, r.Line, r.Customer = pick("0592555", "8001", "8002"), pick("staff", "hotline", "c10042", ""), pick("", "", "firm")
	r.Action, r.Would = pick(actions[1:]...), pick("reject", "allow", "strange")
	r.Rule, r.List, r.Trunk, r.Holder = pick("listed", "default", "seldom"), pick("", "blacklist", "line:blacklist"), pick("telecom", "sip"), pick("", "firm A")
	r.Passed, r.Test = rnd.IntN(4) == 0, rnd.IntN(20) == 0
	if rnd.IntN(3) == 0 {
		r.Tripped = []string{"range wakes: 952116"}
	}
	if rnd.IntN(3) > 0 {
		r.Outcome = randomEnd(rnd)
	}
	return r
}

func randomEnd(rnd *rand.Rand) *Outcome {
	end := &Outcome{Answered: rnd.IntN(2) == 0, RingS: float64(rnd.IntN(3)), By: []string{"caller", byUs}[rnd.IntN(2)], Cause: "NORMAL_CLEARING"}
	if end.Answered {
		end.TalkS = float64(rnd.IntN(200)) / 7
	}
	return end
}

func randomQuery(rnd *rand.Rand, all []Record) Query {
	var q Query
	like := randomCall(rnd, epoch)
	if len(all) > 0 && rnd.IntN(2) == 0 {
		like = all[rnd.IntN(len(all))]
	}
	for range 1 + rnd.IntN(3) {
		switch rnd.IntN(22) {
		case 0:
			q.Caller = like.Caller.E164
		case 1:
			q.Caller = like.Caller.Raw
		case 2:
			q.Callers = []string{like.Caller.E164, "+8695211001", "hmac:+86-9521:+8695211002"}
		case 3:
			q.Ranges = []number.Pattern{{Lo: 86952110, Hi: 86952111, Size: 8, Open: true, Plus: true}, {Lo: 8695211020, Hi: 8695211029, Size: 10, Plus: true}}
		case 4:
			q.Callee = like.Callee
		case 5:
			q.Action = like.Action
		case 6:
			q.Line = like.Line
		case 7:
			q.Rule = like.Rule
		case 8:
			q.Trunk = like.Trunk
		case 9:
			q.Kind = like.Caller.Kind
		case 10:
			q.Would = like.Would
		case 11:
			q.Holder = like.Holder
		case 12:
			q.List = like.List
		case 13:
			q.Detector = "range wakes"
		case 14:
			q.Customer = like.Owner()
		case 15:
			q.Lines = []string{like.Line, "nobody's"}
		case 16:
			q.Text = []string{"WANG", "客服", "über \"", "ÜBER", "bäcker", "11", "no rule"}[rnd.IntN(7)]
		case 17:
			q.Became = Became(rnd.IntN(5))
		case 18:
			q.MinTalk = float64(rnd.IntN(200)) / 7
		case 19:
			q.MaxTalk = float64(rnd.IntN(200)) / 7
		case 20:
			q.Since = like.Time
		case 21:
			q.Until = like.Time
		}
	}
	q.Newest = rnd.IntN(2) == 0
	if rnd.IntN(3) == 0 {
		q.Limit = 1 + rnd.IntN(30)
	}
	if rnd.IntN(6) == 0 {
		q.Cursor = like.ID
	}
	return q
}

// answer is what a query finds when each record is read and held against it.
func answer(t *testing.T, all []Record, q Query) (ids []string) {
	t.Helper()
	s, err := newScan(q)
	check(t, err)
	for i := range all {
		r := &all[i]
		if q.Newest {
			r = &all[len(all)-1-i]
		}
		if k := []byte(r.ID); string(k) < string(s.from) || s.to != nil && string(k) >= string(s.to) || !s.matches(r) {
			continue
		}
		if ids = append(ids, r.ID); len(ids) == q.Limit {
			break
		}
	}
	return ids
}

// TestIndexModel does at random what can be done to a journal, and holds the answers of random queries against those of reading each record. An older
// program writes to the file now and then.
func TestIndexModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	file := filepath.Join(t.TempDir(), "ringfence.db")
	rounds := 6
	if testing.Short() {
		rounds = 3
	}
	at := epoch
	for round := range rounds {
		clock := at.Add(48 * time.Hour) // when all of the round is past
		now := func() time.Time { return clock }
		d, err := Open(file, Options{Now: now})
		check(t, err)
		if round%4 == 2 {
			check(t, d.update(func(tx *bolt.Tx) error { return asOlder(d, tx, rnd, at) }))
			check(t, d.Close())
			d, err = Open(file, Options{Now: now})
			check(t, err)
		}
		o := JournalOptions{Merge: time.Minute, Batch: 1 + rnd.IntN(300), Keep: 30 * 24 * time.Hour}
		if round%3 == 1 {
			o.MaxBytes = 600_000
		}
		j := d.StartJournal(o)
		var lately []string
		for range 400 + rnd.IntN(800) {
			at = at.Add(time.Duration(rnd.IntN(120)) * time.Second)
			r := randomCall(rnd, at)
			switch rnd.IntN(12) {
			case 0: // it came before others that are there
				r.Time = at.Add(-time.Duration(rnd.IntN(100)) * time.Hour)
				r.ID = NewID(r.Time)
			case 1:
				if len(lately) > 0 {
					r.ID = lately[rnd.IntN(len(lately))]
					r.Time = TimeOf(r.ID)
					j.Amend(r)
					continue
				}
			case 2, 3:
				if len(lately) > 0 {
					j.Outcome(lately[rnd.IntN(len(lately))], *randomEnd(rnd))
					continue
				}
			case 4:
				again := r
				again.ID, again.Time = NewID(at.Add(time.Second)), at.Add(time.Second)
				j.Add(again)
			}
			j.Add(r)
			lately = append(lately, r.ID)
			lately = lately[max(len(lately)-200, 0):]
		}
		check(t, j.Flush(soon(t)))
		switch rnd.IntN(3) {
		case 0:
			_, err = d.DeleteRecords(Query{Caller: fmt.Sprintf("+8695211%03d", rnd.IntN(40))})
		case 1:
			_, err = d.SweepJournal(func(r *Record) Fate {
				if rnd.IntN(10) > 0 {
					return Fate(Stay)
				}
				r.Caller.E164, r.Reason = "", "(forgotten)"
				return []Fate{Rewrite, Drop}[rnd.IntN(2)]
			})
		}
		check(t, err)
		asked(t, d, rnd, 25)
		check(t, j.Close(soon(t)))
		asked(t, d, rnd, 10)
		check(t, d.Close())
	}
}

// asOlder does what a program does that knows nothing of the index.
func asOlder(d *DB, tx *bolt.Tx, rnd *rand.Rand, at time.Time) error {
	b := tx.Bucket(bucketJournal)
	size, err := d.journalSize(tx)
	if err != nil {
		return err
	}
	for range 50 {
		k, v := b.Cursor().First()
		size.Bytes -= int64(len(k) + len(v))
		if err := b.Delete(k); err != nil {
			return err
		}
		r := randomCall(rnd, at)
		value, err := r.MarshalJSON()
		if err != nil {
			return err
		}
		size.Bytes += int64(len(r.ID) + len(value))
		if err := b.Put([]byte(r.ID), value); err != nil {
			return err
		}
	}
	return putJSON(tx.Bucket(bucketMeta), string(keyJournal), map[string]int64{"records": size.Records, "bytes": size.Bytes})
}

// asked holds the answers of queries against those of reading each record.
func asked(t *testing.T, d *DB, rnd *rand.Rand, queries int) {
	t.Helper()
	sizeIsTrue(t, d)
	all := readJournal(t, d, Query{})
	found := 0
	for range queries {
		q := randomQuery(rnd, all)
		want := answer(t, all, q)
		var got []string
		for _, r := range readJournal(t, d, q) {
			got = append(got, r.ID)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%+v: %d records, want %d of %d", q, len(got), len(want), len(all))
		}
		found += len(got)
		if q.Cursor != "" {
			continue
		}
		limit := q.Limit // page by page it is the same
		q.Limit = 1 + rnd.IntN(50)
		var paged []string
		for limit == 0 {
			n := len(paged)
			came, err := d.Search(t.Context(), q, func(r Record) error { paged = append(paged, r.ID); return nil })
			check(t, err)
			if came.Done {
				break
			}
			if q.Cursor = came.Last; len(paged) == n {
				t.Fatalf("%+v: a page without records is not the last", q)
			}
		}
		if limit == 0 && !slices.Equal(paged, want) {
			t.Fatalf("%+v in pages: %d records, want %d", q, len(paged), len(want))
		}
	}
	if found == 0 {
		t.Error("the queries found nothing")
	}
}

// An index that cannot be read is made anew, and until then nothing is missing.
func TestIndexDamaged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ringfence.db")
	d := open(t, Options{}, file)
	j := startJournal(t, d, JournalOptions{})
	for i := range 500 {
		j.Add(record(i))
	}
	check(t, j.Close(soon(t)))
	check(t, d.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketIndex)
		for k, v := b.Cursor().Last(); k != nil; {
			bad := slices.Clone(v)
			bad[len(bad)/2] ^= 1
			return b.Put(k, bad)
		}
		return nil
	}))
	if r, err := d.Verify(); err != nil || len(r.Faults) == 0 {
		t.Errorf("a damaged index is not seen: %+v, %v", r, err)
	}
	for range 2 {
		for _, newest := range []bool{false, true} {
			if got := readJournal(t, d, Query{Rule: "listed", Newest: newest}); len(got) != 500 {
				t.Errorf("%d records of 500", len(got))
			}
		}
		if got := readJournal(t, d, Query{Caller: "+8695200499"}); len(got) != 1 {
			t.Errorf("%d records of a caller", len(got))
		}
		j = startJournal(t, d, JournalOptions{})
		r := record(500)
		r.Rule = "another"
		addAll(t, j, r)
		check(t, j.Close(soon(t)))
	}
	if r, err := d.Verify(); err != nil || len(r.Faults) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
	d.unindexed.Store(true)
	for more := true; more; {
		var err error
		more, err = d.indexMore()
		check(t, err)
	}
	indexIsTrue(t, d)
}

// However many keys of a damaged file are no ids, to make its index comes to an end, and the records are found.
func TestIndexOfKeysThatAreNone(t *testing.T) {
	d := open(t, Options{}, filepath.Join(t.TempDir(), "ringfence.db"))
	j := startJournal(t, d, JournalOptions{})
	for i := range 10 {
		j.Add(record(i))
	}
	check(t, j.Close(soon(t)))
	check(t, d.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketJournal)
		for i := range 2*indexStep + 1 {
			if err := b.Put(fmt.Appendf(nil, "!%06d", i), []byte("x")); err != nil { // before all ids
				return err
			}
		}
		return putJSON(tx.Bucket(bucketMeta), string(keyJournal), map[string]int{"records": 10})
	}))
	d.badIndex.Store(true)
	check(t, d.update(d.beginIndex))
	steps := 0
	for more := true; more && steps < 100; steps++ {
		var err error
		more, err = d.indexMore()
		check(t, err)
	}
	if steps > 5 {
		t.Errorf("it came to no end in %d steps", steps)
	}
	got := 0
	err := d.Journal(Query{Rule: "listed", Newest: true}, func(Record) error { got++; return nil })
	if got != 10 || err != nil && !errors.Is(err, ErrCorrupt) {
		t.Errorf("%d records of 10 are found, %v", got, err)
	}
}

// FuzzOutlines reads whatever bytes are there, and gives back what is read.
func FuzzOutlines(f *testing.F) {
	o, _ := outlineOf(new(record(1)))
	f.Add(encodeOutlines([]Outline{o, o}))
	f.Add([]byte{1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, v []byte) {
		rows, ok := decodeOutlines(nil, v)
		if ok && string(encodeOutlines(rows)) != string(v) {
			t.Errorf("%x is read as %+v", v, rows)
		}
	})
}
