package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

func TestRecordJSON(t *testing.T) {
	r := Record{
		ID: "01KJKW7Z5B0000000000000000", Time: time.Date(2026, 3, 1, 16, 0, 0, 70_999_999, time.FixedZone("CST", 8*3600)),
		Node: "pbx1", Trunk: "telecom", Caller: Caller{Raw: "95211613", E164: "+8695211613", Kind: "service"},
		Name: `京东 "JD" <1> & \`, Callee: "05925550100", Line: "staff",
		Action: "allow", Would: "reject", Mode: "observe", Rule: "listed", Reason: "fake JD service", List: "blacklist",
	}
	want := `{"id":"01KJKW7Z5B0000000000000000","time":"2026-03-01T08:00:00.070Z","node":"pbx1","trunk":"telecom",` +
		`"caller":{"raw":"95211613","e164":"+8695211613","kind":"service"},"name":"京东 \"JD\" <1> & \\","callee":"05925550100","line":"staff",` +
		`"action":"allow","would":"reject","mode":"observe","rule":"listed","reason":"fake JD service","list":"blacklist"}`
	got, err := r.MarshalJSON()
	check(t, err)
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r.Caller.Withheld = true
	r.Outcome = &Outcome{Answered: true, RingS: 4.5, TalkS: 61, Cause: "NORMAL_CLEARING", By: "caller"}
	got, err = r.MarshalJSON()
	check(t, err)
	if !strings.Contains(string(got), `"kind":"service","withheld":true}`) ||
		!strings.HasSuffix(string(got), `,"outcome":{"answered":true,"ring_s":4.5,"talk_s":61,"cause":"NORMAL_CLEARING","by":"caller"}}`) {
		t.Errorf("got %s", got)
	}
	if got, err := json.Marshal(Record{}); err != nil || !bytes.HasPrefix(got, []byte(`{"id":"","time":"0001-01-01T00:00:00.000Z"`)) {
		t.Errorf("an empty record: %s, %v", got, err)
	}
}

func TestRecordBytes(t *testing.T) {
	tests := []struct{ raw, json string }{
		{"Jos\xe9", `"Jos\\xE9"`},
		{"\xbe\xa9\xb6\xab", `"\\xBE\\xA9\\xB6\\xAB"`}, // 京东 in GBK
		{"京\xe4\xba", `"京\\xE4\\xBA"`},                 // cut within a character
		{`C:\xEF`, `"C:\\x5CxEF"`},
		{`C:\xef \y \`, `"C:\\xef \\y \\"`}, // nothing that reads as an escape
		{`\\xE9`, `"\\\\x5CxE9"`},
		{"\\\xe9", `"\\\\xE9"`},
		{"a\x00b\r\n", `"a\u0000b\r\n"`},
		{"\ufffd", `"` + "\ufffd" + `"`},
		{"\xed\xb3\xa9", `"\\xED\\xB3\\xA9"`}, // a surrogate
	}
	for _, test := range tests {
		in := Record{ID: NewID(epoch), Time: epoch, Name: test.raw, Caller: Caller{Raw: test.raw}, Outcome: &Outcome{Cause: test.raw}}
		enc, err := json.Marshal(in)
		check(t, err)
		if !bytes.Contains(enc, []byte(`"name":`+test.json+`,`)) || !utf8.Valid(enc) {
			t.Errorf("%q is written as %s, want %s", test.raw, enc, test.json)
		}
		var out Record
		check(t, json.Unmarshal(enc, &out))
		if !reflect.DeepEqual(in, out) {
			t.Errorf("%q comes back as %q", test.raw, out.Name)
		}
		if in.Outcome.Cause != test.raw {
			t.Error("writing changed the record")
		}
	}
}

func TestAddBounds(t *testing.T) {
	now := epoch.Add(time.Hour)
	d := open(t, Options{Now: func() time.Time { return now }})
	j := startJournal(t, d, JournalOptions{})
	r := Record{
		Time: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), Name: strings.Repeat("\xe9", 10_000), Callee: strings.Repeat("京", 300),
		Outcome: &Outcome{RingS: math.NaN(), TalkS: math.Inf(1), By: strings.Repeat("x", 300)},
	}
	addAll(t, j, r)
	got := readJournal(t, d, Query{})[0]
	if !got.Time.Equal(now) || len(got.Name) != 256 || len(got.Callee) != 258 || got.Outcome.RingS != 0 || got.Outcome.TalkS != 1e9 || len(got.Outcome.By) != 256 {
		t.Errorf("it was kept as %+v", got)
	}
	if len(r.Outcome.By) != 300 {
		t.Error("Add changed the caller's outcome")
	}
	if j.Add(Record{ID: "7"}) || j.Dropped() != 1 {
		t.Errorf("an id that is none was taken, %d dropped", j.Dropped())
	}
}

func TestNewID(t *testing.T) {
	at := epoch.Add(100 * 24 * time.Hour) // beyond what other tests use
	last := ""
	for i, after := range []time.Duration{0, 0, time.Millisecond, 0, -500 * time.Millisecond, 999 * time.Microsecond, time.Second} {
		id := NewID(at.Add(after))
		if len(id) != 26 || id <= last {
			t.Errorf("id %d is %s, after %s", i, id, last)
		}
		last = id
	}
	if id := NewID(at.Add(-time.Hour)); id[:10] != firstID(at.Add(-time.Hour))[:10] {
		t.Errorf("the clock was set back, but the id is %s", id)
	}
	for _, at := range []time.Time{{}, time.Unix(-5, 0), time.Date(40000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if _, ok := parseID(NewID(at)); !ok {
			t.Errorf("no id at %v", at)
		}
	}

	var wg sync.WaitGroup
	ids := make([][]string, 8)
	for g := range ids {
		wg.Go(func() {
			for range 2000 {
				ids[g] = append(ids[g], NewID(time.Now()))
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, own := range ids {
		for i, id := range own {
			if seen[id] || i > 0 && id <= own[i-1] {
				t.Fatalf("id %s is not new, or not after %s", id, own[max(i-1, 0)])
			}
			seen[id] = true
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	r := record(1)
	good, err := r.MarshalJSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.ID, good)
	f.Add(r.ID, good[:len(good)/2])
	f.Add("", []byte(`{"id":""}`))
	f.Add("x", []byte(`{"id":"x","time":"9999-12-31T23:59:59-23:00","outcome":{"ring_s":1e308}}`))
	f.Add("x", []byte(`{"id":"x","caller":null,"outcome":null,"more":[1]}`))
	f.Fuzz(func(t *testing.T, id string, value []byte) {
		r, err := decodeRecord([]byte(id), value)
		if err != nil {
			return
		}
		if y := r.Time.Year(); y > 9999 || y < 0 {
			return // cannot be written, nor does Add take it
		}
		// What can be read can be written, and comes out the same.
		enc, err := r.MarshalJSON()
		if err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		again, err := decodeRecord([]byte(id), enc)
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("%s\nreads %+v\nthen  %+v, %v", value, r, again, err)
		}
	})
}

func FuzzMigrateEntry(f *testing.F) {
	f.Add("+8695211613", []byte(`{"text":"95211613","reason":"fake","who":"root","added":"2026-03-01T08:00:00.123Z","expires":"2027-01-01T00:00:00Z"}`))
	f.Add("+1*", []byte(`{"added":"2026-03-01T08:00:00Z"}`))
	f.Add("+1*", []byte(`{"added":`))
	f.Add("", []byte(`null`))
	f.Fuzz(func(t *testing.T, pattern string, value []byte) {
		e, err := decodeEntry1([]byte(pattern), value)
		if err == nil && (e.Pattern != pattern || pattern == "") {
			t.Errorf("%s reads %+v", value, e)
		}
	})
}

// Whatever bytes are in a block, reading it gives an error or rows that make a block of the same rows.
func FuzzBlock(f *testing.F) {
	a, b := &sourceRecord{unit: 3, added: 1e12, reason: "sales", who: "root"}, &sourceRecord{added: 2e12, expires: 3e12}
	for columns := 1; columns <= 2; columns++ {
		rows := []listRow{{"+1*", a, b}, {"+8613800138000", b, nil}, {"+8613800138001", a, a}}
		if columns == 1 {
			for i := range rows {
				rows[i].before = nil
			}
		}
		v := encodeBlock(rows, columns)
		if got, err := decodeBlock(nil, []byte("+1*"), v, columns); err != nil || !reflect.DeepEqual(got, rows) {
			f.Fatalf("%v, %v", got, err)
		}
		f.Add(v[:len(v)-4], columns == 2)
	}
	f.Fuzz(func(t *testing.T, v []byte, two bool) {
		if len(v) < 4 || len(v) > maxBlock-4 {
			return
		}
		columns := 1
		if two {
			columns = 2
		}
		rows, err := readBlock(nil, v, columns)
		if err != nil || len(rows) == 0 {
			return
		}
		again, err := decodeBlock(nil, []byte(rows[0].pattern), encodeBlock(rows, columns), columns)
		if err != nil || !reflect.DeepEqual(again, rows) {
			t.Errorf("%v, %v", again, err)
		}
	})
}

var errStop = errors.New("stop")
