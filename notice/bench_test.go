package notice

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"ringfence/policy"
	"ringfence/storage"
)

// BenchmarkWants is what the journal's writer pays for each call that was stopped, beside 10,000 lines.
func BenchmarkWants(b *testing.B) {
	db, err := storage.Open(filepath.Join(b.TempDir(), "ringfence.db"), storage.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	const lines = 10_000
	var edits []storage.LineEdit
	for i := range lines {
		name := fmt.Sprintf("line%05d", i)
		edits = append(edits, storage.LineEdit{Line: storage.Line{Name: name, Key: name + "~abcdef", Numbers: []string{fmt.Sprintf("+86592555%04d", i)}, Notify: "daily a@example.com"}})
	}
	if _, _, err := db.ChangeLines(storage.ChangeRecord{}, edits); err != nil {
		b.Fatal(err)
	}
	n := New(db, Options{Policy: func() *policy.Policy { return nil }, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	r := &storage.Record{}
	for i := 0; b.Loop(); i++ {
		r.Stopped = edits[i*7919%lines].Key
		if !n.Wants(r) {
			b.Fatal(r.Stopped)
		}
	}
}
