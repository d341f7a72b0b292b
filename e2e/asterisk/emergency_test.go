package asterisk_test

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
)

// Calls to emergency numbers are not shown to anybody, in whatever spelling; calls that say they are from one are, since
// anybody can. The daemon here only counts.
func TestEmergencyAsterisk(t *testing.T) {
	var asked atomic.Int32
	address, _ := setup.Fault{Serve: func(c net.Conn) { asked.Add(1); c.Close() }}.Listen(t, "127.0.0.1:0")
	handset, caller := phone.New(t), phone.New(t)
	a := setup.StartAsterisk(t, address, handset.Addr)
	for _, c := range []struct {
		from, to string
		asked    int32
	}{
		{"13800138000", "110", 0},
		{"13800138000", "+86110", 0},
		{"13800138000", "059295110", 0},
		{"13800138000", "0086120", 0},
		{"110", "05925550100", 1},
		{"+8612110", "05925550101", 1},
		{"13800138000", "05925550102", 1},
		{"1101", "05925550103", 1},
		{"13800138000", "1101", 1},
		{"110x", "05925550104", 1},
		{"1,1)0%3A", "05925550105", 1},
	} {
		asked.Store(0)
		if rang, _ := setup.DialAndMeasureFrom(t, caller, handset, a.Address, c.from, c.to); rang > time.Second || asked.Load() != c.asked {
			t.Errorf("from %s to %s: rang after %v, the daemon was asked %d times", c.from, c.to, rang, asked.Load())
		}
	}
	a.MustBeIdle()
}
