package daemon

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"ringfence/policy"
	"ringfence/storage"
)

// benchLines prints the table of lines in docs/storage.md (make bench-lines).
var benchLines = flag.Int("lines", 0, "measure so many lines with two numbers each")

// TestBenchLines measures, for `make bench-lines`, what lines of the database take of a daemon in a process of its own: memory over one without
// lines, and how long it takes to be ready.
func TestBenchLines(t *testing.T) {
	if *benchLines == 0 {
		t.Skip("make bench-lines")
	}
	fmt.Printf("%s, %d CPUs, %s/%s\n\n", runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	c := installation(t, smallPolicy)
	file := filepath.Join(filepath.Dir(c.Policy), "ringfence.toml")
	started := func() (ready time.Duration, rss int64) { // the best of three, for other work on the machine
		ready, rss = time.Hour, 1<<62
		for range 3 {
			d := startListsDaemon(t, c, file)
			time.Sleep(300 * time.Millisecond)
			ready, rss = min(ready, d.ready), min(rss, d.rssAnon(t))
			d.stop()
		}
		return ready, rss
	}
	before, empty := started()
	db, err := storage.Open(c.Database(), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	edits := make([]storage.LineEdit, *benchLines)
	for i := range edits {
		name := fmt.Sprintf("customer%d", i)
		number := func(k int) string { return fmt.Sprintf("+%d", 8613000000000+i*200+k*7) }
		edits[i].Line = storage.Line{
			Name: name, Key: policy.NewLineKey(name, storage.LineOwn()), Customer: fmt.Sprintf("c%05d", i*2/3), Profile: []string{"label", "strict"}[i%2],
			Timezone: "Asia/Shanghai", Numbers: []string{number(0), number(1)}, Notify: "noc@example.net", Note: "contract 4711",
		}
	}
	began := time.Now()
	if _, _, err := db.ChangeLines(storage.ChangeRecord{Kind: storage.KindImport}, edits); err != nil {
		t.Fatal(err)
	}
	written := time.Since(began)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(c.Database())
	if err != nil {
		t.Fatal(err)
	}
	ready, rss := started()
	fmt.Printf("| lines | numbers | written in | database | RssAnon over empty | a line | ready | ready without lines |\n| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"+
		"| %d | %d | %.2f s | %.1f MB | %.1f MB | %.0f B | %d ms | %d ms |\n\n", *benchLines, 2**benchLines, written.Seconds(), float64(info.Size())/1e6,
		float64(rss-empty)/1e6, float64(rss-empty)/float64(*benchLines), ready.Milliseconds(), before.Milliseconds())
}
