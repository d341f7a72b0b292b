package replay

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// threeDetectors are those of a policy that tries breakers.
const threeDetectors = `
[[detector]]
name   = "range wakes"
key    = "prefix"
depth  = { 6 = 20, 7 = 12, 8 = 8 }
count  = "strangers"
window = "3h"
hold   = "24h"
[[detector]]
name   = "busy caller"
key    = "caller"
count  = "callees"
trip   = 30
window = "1h"
[[detector]]
name   = "alarm"
key    = "all"
count  = { first_time = 1, short_calls = 1 }
per_line = 3
surge  = 8
window = "10m"
mode   = "observe"
[[rule]]
name   = "breakers"
when   = { tripped = ["range wakes", "busy caller", "alarm"] }
action = "challenge"
`

// BenchmarkDetectors runs call detail records through a policy with detectors.
func BenchmarkDetectors(b *testing.B) {
	for _, calls := range []int{100_000, 1_000_000} {
		file := filepath.Join(b.TempDir(), "cdr.csv")
		writeCDR(b, file, calls)
		b.Run(fmt.Sprintf("calls=%d", calls), func(b *testing.B) {
			peak := uint64(0)
			for b.Loop() {
				peak = max(peak, peakHeap(func() {
					in, err := os.Open(file)
					if err != nil {
						b.Fatal(err)
					}
					defer in.Close()
					s, err := Open(file, in, 0, SourceOptions{})
					if err != nil {
						b.Fatal(err)
					}
					r, err := Run(b.Context(), []*Source{s}, Options{Judge: mustJudge(b, sample+threeDetectors), Keep: 20})
					if err != nil || r.Summary.Rows != uint64(calls) {
						b.Fatalf("%d rows, %v", r.Summary.Rows, err)
					}
				}))
			}
			b.ReportMetric(float64(calls)*float64(b.N)/b.Elapsed().Seconds(), "calls/s")
			b.ReportMetric(float64(peak)/(1<<20), "peak-MB")
		})
	}
}
