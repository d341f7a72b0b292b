package desk

import (
	"testing"
	"time"

	"ringfence/console"
)

// In the daemon a question does not wait for an edit, which an import of millions makes long.
func TestCheckDoesNotWait(t *testing.T) {
	d, _ := startLogging(t, installation(t, smallPolicy))
	addTo(t, d, "blacklist", "95211613", "sales")
	d.edit.Lock()
	defer d.edit.Unlock()
	answered := make(chan *console.CheckReport, 1)
	go func() {
		r, err := d.Check(t.Context(), console.CheckQuery{Caller: "95211613"})
		if err != nil {
			t.Error(err)
		}
		answered <- r
	}()
	select {
	case r := <-answered:
		if r.Action != "reject" {
			t.Errorf("got %s, want reject", r.Action)
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits for the edit")
	}
}
