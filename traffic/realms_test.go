package traffic

import (
	"fmt"
	"testing"
	"time"
)

func TestRealmsAreBounded(t *testing.T) {
	r, now := newRealms(nowhere{}), time.Now()
	for i := range maxRealms + 10 {
		r.See(fmt.Sprint("tenant", i), now)
		r.See(fmt.Sprintf("10.0.%d.%d", i/256, i%256), now)
	}
	if len(r.names) != maxRealms || len(r.hosts) != maxRealms || !r.Several() {
		t.Errorf("%d names, %d hosts", len(r.names), len(r.hosts))
	}
	one := newRealms(nowhere{})
	for _, host := range []string{"192.0.2.1", "[2001:db8::1]"} {
		one.See(host, now)
	}
	if !one.Several() || one.Same("192.0.2.1", "2001:db8::1") {
		t.Error("two addresses alone are one tenant")
	}
}
