package storage

import (
	"fmt"
	"sync"
	"testing"
)

// A file is sound also for who looks at it while others write.
func TestVerifyBesideWrites(t *testing.T) {
	d := open(t, Options{})
	var writers sync.WaitGroup
	stop := make(chan struct{})
	writers.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			check(t, d.PutSetting(fmt.Sprint(n%100), make([]byte, 3000)))
		}
	})
	for range 100 {
		if r, err := d.Verify(); err != nil || len(r.Faults) > 0 {
			t.Errorf("%+v, %v", r, err)
			break
		}
	}
	close(stop)
	writers.Wait()
}
