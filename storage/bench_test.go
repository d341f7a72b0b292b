package storage

import (
	"fmt"
	"testing"
)

func BenchmarkAddEntries(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			d := open(b, Options{})
			es := make([]Entry, n)
			next := 0
			for b.Loop() {
				for i := range es {
					es[i] = entry(next + i*7919%n) // in no order
				}
				next += n
				if _, err := d.AddEntries("blacklist", es); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(next)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// How fast the index in memory could be loaded.
func BenchmarkEachEntry(b *testing.B) {
	d := open(b, Options{})
	es := make([]Entry, 100_000)
	for i := range es {
		es[i] = entry(i)
	}
	if _, err := d.AddEntries("blacklist", es); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		if err := d.EachEntry(func(string, Entry) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
}

// What a call pays: Add alone, while the writer works beside it.
func BenchmarkJournalAdd(b *testing.B) {
	d := open(b, Options{})
	j := startJournal(b, d, JournalOptions{})
	r := record(1)
	r.ID = ""
	b.ReportAllocs()
	for b.Loop() {
		j.Add(r) // many are dropped: the disk is not this fast
	}
}

// What the disk takes: records a second until they are written.
func BenchmarkJournalWrite(b *testing.B) {
	d := open(b, Options{})
	j := startJournal(b, d, JournalOptions{})
	n := 0
	for b.Loop() {
		for range defaultQueue {
			r := record(n)
			if !j.Add(r) {
				b.Fatal("dropped")
			}
			n++
		}
		if err := j.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	_, bytes, err := d.JournalSize()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(bytes)/float64(n), "bytes/record")
	if st, err := d.raw.Stat(); err == nil {
		b.ReportMetric(float64(st.Size())/float64(n), "file-bytes/record")
	}
}

// Looking for one caller in 100,000 records, and for the last 20.
func BenchmarkJournalQuery(b *testing.B) {
	d := open(b, Options{})
	j := startJournal(b, d, JournalOptions{Queue: 100_000})
	for i := range 100_000 {
		j.Add(record(i))
	}
	if err := j.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	for name, q := range map[string]Query{
		"caller": {Caller: "+8695200017"}, "last20": {Newest: true, Limit: 20}, "all": {},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := d.Journal(q, func(Record) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRecordJSON(b *testing.B) {
	r := record(1)
	enc, err := r.MarshalJSON()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.MarshalJSON()
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			decodeRecord([]byte(r.ID), enc)
		}
	})
}
