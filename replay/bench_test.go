package replay

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkReplay runs call detail records of a week with a campaign through one policy and through two, and shows that
// memory does not grow with the calls: peak-MB is the most heap that was in use, garbage and all.
func BenchmarkReplay(b *testing.B) {
	for _, calls := range []int{100_000, 1_000_000} {
		file := filepath.Join(b.TempDir(), "cdr.csv") // in memory it would be half of what is measured
		writeCDR(b, file, calls)
		for _, policies := range []int{1, 2} {
			b.Run(fmt.Sprintf("calls=%d/policies=%d", calls, policies), func(b *testing.B) {
				o := Options{Judge: mustJudge(b, sample), Keep: 20}
				if policies == 2 {
					o.Against = mustJudge(b, strings.Replace(sample, `"95230*"`, `"9523*"`, 1))
				}
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
						r, err := Run(b.Context(), []*Source{s}, o)
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
}

func writeCDR(t testing.TB, file string, calls int) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, cdr(1, calls)); err != nil {
		t.Fatal(err)
	}
}

// peakHeap is the most heap that is in use while f runs, beyond what is before, looked at every few milliseconds.
func peakHeap(f func()) uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, peak := m.HeapInuse, uint64(0)
	var watch sync.WaitGroup
	stop := make(chan struct{})
	watch.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapInuse-min(before, m.HeapInuse))
			}
		}
	})
	f()
	close(stop)
	watch.Wait()
	return peak
}
