package desk

import (
	"fmt"
	"log/slog"
	"testing"

	"ringfence/policy"
	"ringfence/storage"
)

// manyLineEdits are n lines with two numbers each, as an ISP's.
func manyLineEdits(n int) []storage.LineEdit {
	edits := make([]storage.LineEdit, n)
	for i := range edits {
		name := fmt.Sprintf("customer%d", i)
		edits[i].Line = storage.Line{
			Name: name, Key: policy.NewLineKey(name, storage.LineOwn()), Customer: fmt.Sprintf("c%05d", i*2/3), Profile: []string{"label", "strict"}[i%2], Timezone: "Asia/Shanghai",
			Numbers: []string{fmt.Sprintf("+%d", 8613000000000+i*200), fmt.Sprintf("+%d", 8613000000007+i*200)}, Notify: "noc@example.net", Note: "contract 4711",
		}
	}
	return edits
}

// BenchmarkLines is 100,000 lines with 200,000 numbers: their import as one change, their undo, one edit, and reading them at a start.
func BenchmarkLines(b *testing.B) {
	d, err := run(installation(b, linePolicy), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer d.stop(b)
	edits := manyLineEdits(100_000)
	var last storage.ChangeRecord
	b.Run("import", func(b *testing.B) {
		for b.Loop() {
			last = d.lines(b, edits...)
			for i := range edits { // so that each is another one
				edits[i].Note += "."
			}
		}
	})
	b.Run("ready", func(b *testing.B) {
		for b.Loop() {
			read, err := d.readLines(d.force.Rules().Policy.Plan())
			if err != nil {
				b.Fatal(err)
			}
			if lines, numbers := read.Len(); lines != 100_000 || numbers != 200_000 {
				b.Fatal(lines, numbers)
			}
		}
	})
	b.Run("undo", func(b *testing.B) {
		for b.Loop() {
			r, err := d.Undo(b.Context(), last.ID)
			if err != nil {
				b.Fatal(err)
			}
			last.ID = r.ID
		}
	})
	if lines, _ := d.force.Rules().Lines.Len(); lines == 0 {
		d.lines(b, edits...)
	}
	b.Run("edit", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			e := edits[i%len(edits)]
			e.Note = fmt.Sprint("edit ", i)
			d.lines(b, e)
		}
	})
}
