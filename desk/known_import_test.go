package desk

import (
	"bufio"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/inforce"
	"ringfence/storage"
	"ringfence/traffic"
)

// met are Acquaintances that keep what they are told.
type met struct{ all []traffic.Meeting }

func (m *met) Settle() error         { return nil }
func (m *met) Part(string, string)   {}
func (m *met) Lines(string) []string { return nil }
func (m *met) Meet(_ context.Context, meetings []traffic.Meeting, _ bool) ([]traffic.Met, error) {
	m.all = meetings
	return slices.Repeat([]traffic.Met{traffic.Added}, len(meetings)), nil
}

// Whatever a file holds, only numbers that can call from outside become known, to lines that there are, at a time that has been.
func FuzzKnownImport(f *testing.F) {
	for _, seed := range []struct{ text, column, line string }{
		{"BEGIN:VCARD\r\nFN:A\r\nTEL;CELL:138 0013 8000\r\nEND:VCARD\r\n", "", "staff"},
		{"number;name\n13800138000;a\n0592-5550100;b\n110;c\n8001;d\n9521*;e\n", "number=1", "all"},
		{"calldate,src,dst,billsec,disposition,linkedid\n2026-11-01 10:00:00,13800138000,05925550100,70,ANSWERED,1795000000.1\n", "", ""},
		{"a,b,c,d\n13800138000,05925550100,2026-11-01 10:00:00,70\n", "caller=1,callee=2,time=3,talk=4", "staff"},
		{`{"id":"01","time":"2026-11-01T10:00:00.000Z","caller":{"raw":"13800138000"},"callee":"05925550100","outcome":{"answered":true,"talk_s":70}}` + "\n", "", ""},
		{`{"numbers":[{"phone":"+4930123456","votes":3}]}`, "", "staff"},
		{"\xff\xfe1\x003\x008\x00", "talk=", "nobody"},
		{"", "", ""},
	} {
		f.Add(seed.text, seed.column, seed.line)
	}
	c := installation(f, country("CN"))
	db, err := storage.Open(c.Database(), storage.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { db.Close() })
	known, now := &met{}, time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	d := New(c, db, &inforce.State{}, Options{Known: known, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
	if err := d.Load(); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, column, line string) {
		q := console.KnownImport{File: "x"}
		if column != "" {
			q.Columns = strings.Split(column, ",")
		}
		if line != "" {
			q.Lines = strings.Split(line, ",")
		}
		known.all = nil
		r, err := d.ImportKnown(t.Context(), q, strings.NewReader(text))
		if err != nil {
			if known.all != nil {
				t.Fatalf("%v, and %d became known", err, len(known.all))
			}
			return
		}
		if r.Added != len(known.all) || r.Refused < len(r.Refusals) {
			t.Fatalf("%d became known: %+v", len(known.all), r)
		}
		p := d.force.Rules().Policy
		for i, m := range known.all {
			n := p.Plan().Parse(m.Number)
			if n.E164 != m.Number || d.unknowable(&n, m.Line) != "" || !slices.Contains(p.Lines(), m.Line) || m.At.After(now) || m.At.Before(now.Add(-traffic.KeepKnown(p))) {
				t.Fatalf("%+v became known", m)
			}
			if i > 0 && known.all[i-1].Line == m.Line && known.all[i-1].Number == m.Number {
				t.Fatalf("%+v became known twice", m)
			}
		}
	})
}

// What a file is shows at its beginning, however long it is.
func TestLooksLikeCalls(t *testing.T) {
	d, _ := startLogging(t, installation(t, country("CN")))
	k := &knownImport{d: d.Desk, now: time.Now()}
	for text, want := range map[string]bool{
		"calldate,src,dst,billsec\n2026-11-01 10:00:00,1,2,3\n":                              true,
		"calldate,src,dst,billsec\n" + strings.Repeat("2026-11-01 10:00:00,1,2,3\n", 10_000): true,
		`{"id":"01","caller":{"raw":"1"},"callee":"2"` + strings.Repeat(" ", 100) + "}\n{":   true,
		"name,number\nA,13800138000\n":                                                       false,
		"Name;Telefon\nA;13800138000\n" + strings.Repeat("B;13800138001\n", 10_000):          false,
		"13800138000\n":        false,
		"begin:vcard\nTEL:1\n": false,
		`{"numbers":[]}`:       false,
		"":                     false,
		"first,last,mobile,home\nA,B,13800138000,05921234567\nC,D,13800138001,05921234568\n": false,
	} {
		if got := k.looksLikeCalls(bufio.NewReaderSize(strings.NewReader(text), callsPeek)); got != want {
			t.Errorf("%.40q is taken for calls: %v", text, got)
		}
	}
}
