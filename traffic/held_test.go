package traffic

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// However calls come and go, no bound is passed, nothing leaks, and who has passed keeps his place.
func TestHeldBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h Held
	var mine []*Place
	const most = 12
	full := 0
	for range 20_000 {
		if len(mine) > 0 && r.IntN(3) == 0 {
			i := r.IntN(len(mine))
			h.Release(mine[i])
			mine = append(mine[:i], mine[i+1:]...)
			continue
		}
		n := r.IntN(30)
		x := Place{Account: fmt.Sprint(n), Unnamed: n > 1, Range: fmt.Sprint(r.IntN(5)), Call: &heldCall{}}
		if r.IntN(4) > 0 {
			x.Caller = x.Range + fmt.Sprint(r.IntN(4))
		}
		if got, _ := h.Take(x, most); got != nil {
			if r.IntN(4) == 0 {
				got.Call.(*heldCall).passed = true
			}
			mine = append(mine, got)
		}
		held, lingering := map[string]int{}, map[string]int{}
		of := map[[3]string]int{}
		for _, m := range mine {
			if m.dismissed {
				lingering[m.Account]++
				if m.Call.Passed() {
					t.Fatal("who has passed was dismissed")
				}
				continue
			}
			held[m.Account]++
			if of[[3]string{m.Account, "range", m.Range}]++; of[[3]string{m.Account, "range", m.Range}] > most/4 {
				t.Fatalf("range %s holds more than a quarter", m.Range)
			}
			if of[[3]string{m.Account, "caller", m.Caller}]++; m.Caller != "" && of[[3]string{m.Account, "caller", m.Caller}] > maxHeldCaller {
				t.Fatalf("caller %s holds more than %d", m.Caller, maxHeldCaller)
			}
		}
		var unnamed struct{ calls, lingering int }
		for account, a := range h.accounts {
			if account != "0" && account != "1" {
				unnamed.calls, unnamed.lingering = unnamed.calls+len(a.calls), unnamed.lingering+a.lingering
			}
			if len(a.calls) != held[account] || a.lingering != lingering[account] || len(a.calls) > most || a.lingering > mayLinger*most {
				t.Fatalf("account %s has %d calls and %d lingering, want %d and %d", account, len(a.calls), a.lingering, held[account], lingering[account])
			}
		}
		if unnamed != h.unnamed || unnamed.calls > maxHeldUnnamed || unnamed.lingering > mayLinger*maxHeldUnnamed {
			t.Fatalf("the addresses have %+v, noted are %+v", unnamed, h.unnamed)
		}
		if unnamed.calls == maxHeldUnnamed {
			full++
		}
	}
	if h.dismissed == 0 || full == 0 {
		t.Errorf("%d gave way, the addresses were full %d times: not much was tried", h.dismissed, full)
	}
	for _, m := range mine {
		h.Release(m)
	}
	if len(h.accounts) != 0 || h.unnamed.calls != 0 || h.unnamed.lingering != 0 {
		t.Errorf("left over: %d accounts, %+v", len(h.accounts), h.unnamed)
	}
}

// heldCall is a call that hears something.
type heldCall struct{ passed bool }

func (c *heldCall) Dismiss()     {}
func (c *heldCall) Passed() bool { return c.passed }
