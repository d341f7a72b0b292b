package desk

import (
	"testing"
	"testing/synctest"
	"time"
)

// Who waits for the turn gets it when it is given back, and waits no longer than he would.
func TestTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := make(turn, 1)
		turn.Lock()
		began := time.Now()
		if turn.LockWithin(10 * time.Second) {
			t.Fatal("two have the turn")
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("waited %v", took)
		}
		go func() {
			time.Sleep(3 * time.Second)
			turn.Unlock()
		}()
		if began = time.Now(); !turn.LockWithin(10*time.Second) || time.Since(began) != 3*time.Second {
			t.Errorf("it was given back after 3 s, and waited for for %v", time.Since(began))
		}
		turn.Unlock()
		if !turn.LockWithin(0) {
			t.Error("nobody has the turn")
		}
	})
}
