package freeswitch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
)

// BenchmarkSetupReal measures what screening adds to a call on a real switch: from the caller's INVITE to the
// handset's, with the daemon, with a minimal peer that only connects and exits under the same dialplan, and
// without any of it, in turn in one run. It reports the medians in milliseconds and daemon/minimal.
//
//	go test ./e2e/freeswitch -run - -bench SetupReal -benchtime 1000x
func BenchmarkSetupReal(b *testing.B) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		b.Skip("NOT MEASURED: there is no freeswitch on PATH; docs/measured.md has the figures of the last run on one")
	}
	for _, mode := range []string{"async", "sync"} {
		for _, perSecond := range []int{20, 50} {
			b.Run(fmt.Sprintf("%s/%d-a-second", mode, perSecond), func(b *testing.B) {
				d := setup.StartDaemon(b)
				minimal, end := setup.Fault{Serve: func(c net.Conn) { setup.Hello(c); io.WriteString(c, "exit\n\n"); setup.Drain(c) }}.Listen(b, "127.0.0.1:0")
				defer end()
				handset := phone.New(b)
				server := setup.StartFreeSWITCHWith(b, program, d.Address(), handset.Addr, setup.FreePort(b), mode == "async", func(conf string) error {
					// The same dialplan again, for other numbers and with the other peer.
					file := filepath.Join(conf, "dialplan", "public", "000_ringfence.xml")
					text, err := os.ReadFile(file)
					if err != nil {
						return err
					}
					const screened = `<condition>`
					if strings.Count(string(text), screened) != 1 {
						return errors.New("the shipped dialplan screens by another expression now")
					}
					other := strings.NewReplacer(screened, `<condition field="destination_number" expression="^0593\d+$">`, d.Address(), minimal, `name="ringfence"`, `name="minimal"`).Replace(string(text))
					return errors.Join(
						os.WriteFile(file, []byte(strings.ReplaceAll(string(text), screened, `<condition field="destination_number" expression="^0592\d+$">`)), 0o644),
						os.WriteFile(filepath.Join(filepath.Dir(file), "000_second.xml"), []byte(other), 0o644))
				})
				measureSetup(b, handset, server, perSecond)
			})
		}
	}
}

func measureSetup(b *testing.B, handset *phone.Phone, server string, perSecond int) {
	caller := phone.New(b)
	ways := []string{"0592", "0593", "0594"} // the daemon, the minimal peer, nobody
	took := make([][]time.Duration, len(ways))
	var mu sync.Mutex
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	b.ResetTimer()
	for i := range b.N {
		way := i % len(ways)
		to := fmt.Sprintf("%s%07d", ways[way], i)
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
			defer cancel()
			start := time.Now()
			_, err := caller.Dial(ctx, server, fmt.Sprintf("138%08d", i), "", to)
			in, ok := handset.Invited(to)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || !ok {
				b.Errorf("%s: rang %v, %v", to, ok, err)
				return
			}
			took[way] = append(took[way], in.At.Sub(start))
		})
		<-tick.C
	}
	wg.Wait()
	median := func(way int) float64 {
		slices.Sort(took[way])
		if len(took[way]) == 0 {
			return 0
		}
		return float64(took[way][len(took[way])/2].Microseconds()) / 1000
	}
	b.ReportMetric(median(0), "daemon-ms")
	b.ReportMetric(median(1), "minimal-ms")
	b.ReportMetric(median(2), "plain-ms")
	b.ReportMetric(median(0)/median(1), "daemon/minimal")
}
