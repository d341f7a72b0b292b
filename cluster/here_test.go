package cluster

import (
	"testing"

	"github.com/nats-io/nats.go"
)

// Why a node is alone is what was noted first, not that nothing can be kept for a server that is not there, and is said in plain words.
func TestWhyAlone(t *testing.T) {
	c := &Cluster{}
	c.lost(nats.ErrStaleConnection)
	c.lost(nats.ErrReconnectBufExceeded)
	if want := "the server does not answer any more"; c.trouble != want {
		t.Errorf("it is alone because of %q, want %q", c.trouble, want)
	}
}
