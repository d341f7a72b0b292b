package desk

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"ringfence/storage"
)

// What it takes until calls are decided by what another node says.
func BenchmarkMergeRows(b *testing.B) {
	for _, n := range []int{1, 2000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := installation(b, smallPolicy)
			c.Node = "a"
			d, err := run(c, slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			defer d.stop(b)
			i := 0
			rows := make([]storage.Row, n)
			for b.Loop() {
				for k := range rows {
					i++
					rows[k] = storage.Row{Pattern: fmt.Sprintf("+861%010d", 3_000_000_000+i*7919%1_000_000_000), Reason: "x", Added: 1, Updated: 1, Stamp: storage.Tick{Wall: time.Now().UnixMilli(), Node: "z"}}
				}
				if changed, err := d.MergeRows(b.Context(), "blacklist", rows, storage.Foreign{Node: "z"}); err != nil || changed != n {
					b.Fatal(changed, err)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
