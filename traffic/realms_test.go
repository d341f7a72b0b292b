package traffic

import (
	"fmt"
	"testing"
)

func TestRealmsAreBounded(t *testing.T) {
	var r Realms
	for i := range maxRealms + 10 {
		r.See(fmt.Sprint("tenant", i))
		r.See(fmt.Sprintf("10.0.%d.%d", i/256, i%256))
	}
	if len(r.names) != maxRealms || len(r.hosts) != maxRealms || !r.Several() {
		t.Errorf("%d names, %d hosts", len(r.names), len(r.hosts))
	}
	var one Realms
	for _, host := range []string{"192.0.2.1", "[2001:db8::1]"} {
		one.See(host)
	}
	if !one.Several() || one.Same("192.0.2.1", "2001:db8::1") {
		t.Error("two addresses alone are one tenant")
	}
}
