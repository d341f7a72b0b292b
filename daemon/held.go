package daemon

import (
	"net/netip"
	"slices"
	"sync"

	"ringfence/bridge"
	"ringfence/number"
	"ringfence/policy"
)

// Bounds of announcements and challenges at once, beside a trunk's max_held.
const (
	maxHeldCaller  = 2   // of one caller
	maxHeldUnnamed = 200 // of all addresses together that are no trunk: there may be any number of them
)

// held knows the calls that hear an announcement or a challenge now, by trunk, so that a campaign cannot fill a trunk
// with people listening to us. Nor can it fill the room, so that others are not asked: one caller has two places and a
// range of numbers a quarter, and over each of these bounds the call that was held longest and has not keyed in what it was asked for goes.
type held struct {
	mu        sync.Mutex
	accounts  map[string]*account // one that holds none is not in it, so the table is as small as the traffic
	over      uint64              // calls that there was no room for, since the start
	dismissed uint64              // calls that gave way to another
	unnamed   struct{ calls, lingering int }
	order     uint64 // of the last one that was held
}

// account is a trunk's.
type account struct {
	calls     []*holding // the longest held first
	lingering int        // calls that were dismissed and hear the end of something still
}

// holding is a call that has a place.
type holding struct {
	account, caller, rng string
	unnamed              bool // account is an address that is no trunk
	order                uint64
	call                 *bridge.Held
	dismissed            bool
}

// take makes room for one more call on a trunk that holds at most most, if there can be any; else it is nil, and own says
// that it was the caller's or his range's own share that was full.
func (h *held) take(x holding, most int) (place *holding, own bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.accounts[x.account]
	if a == nil {
		a = &account{}
	}
	var ofCaller, ofRange int
	for _, c := range a.calls {
		if c.caller == x.caller {
			ofCaller++
		}
		if c.rng == x.rng {
			ofRange++
		}
	}
	var goes func(*holding) bool
	switch {
	case most == 0:
		h.over++
		return nil, false
	case x.caller != "" && ofCaller >= maxHeldCaller:
		own, goes = true, func(c *holding) bool { return c.caller == x.caller }
	case ofRange >= max(1, most/4):
		own, goes = true, func(c *holding) bool { return c.rng == x.rng }
	case len(a.calls) >= most:
		goes = func(*holding) bool { return true }
	}
	from := a
	if goes == nil && x.unnamed && h.unnamed.calls >= maxHeldUnnamed {
		from, goes = h.longestUnnamed(), func(*holding) bool { return true }
	}
	if goes != nil && !h.dismiss(from, goes, most) {
		h.over++
		return nil, own
	}
	if h.accounts == nil {
		h.accounts = make(map[string]*account)
	}
	h.order++
	x.order = h.order
	h.accounts[x.account] = a
	a.calls = append(a.calls, &x)
	if x.unnamed {
		h.unnamed.calls++
	}
	return &x, false
}

// longestUnnamed is the account, of those that are an address, with the call that is held longest and may be dismissed.
func (h *held) longestUnnamed() (longest *account) {
	var order uint64
	for _, a := range h.accounts {
		i := slices.IndexFunc(a.calls, func(c *holding) bool { return c.unnamed && !c.call.Passed() })
		if i >= 0 && (longest == nil || a.calls[i].order < order) {
			longest, order = a, a.calls[i].order
		}
	}
	return longest
}

// dismiss takes the place of the first call of those that may go. It is false if there is none, or if too many that gave
// way hear the end of something still.
func (h *held) dismiss(a *account, goes func(*holding) bool, most int) bool {
	if a == nil || a.lingering >= most {
		return false
	}
	i := slices.IndexFunc(a.calls, func(c *holding) bool { return goes(c) && !c.call.Passed() })
	if i < 0 || a.calls[i].unnamed && h.unnamed.lingering >= maxHeldUnnamed {
		return false
	}
	c := a.calls[i]
	a.calls = slices.Delete(a.calls, i, i+1)
	c.dismissed = true
	a.lingering++
	if c.unnamed {
		h.unnamed.calls--
		h.unnamed.lingering++
	}
	h.dismissed++
	c.call.Dismiss()
	return true
}

func (h *held) release(x *holding) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.accounts[x.account]
	if x.dismissed {
		a.lingering--
		if x.unnamed {
			h.unnamed.lingering--
		}
	} else if i := slices.Index(a.calls, x); i >= 0 {
		a.calls = slices.Delete(a.calls, i, i+1)
		if x.unnamed {
			h.unnamed.calls--
		}
	}
	if len(a.calls) == 0 && a.lingering == 0 {
		delete(h.accounts, x.account)
	}
}

// count is how many calls each trunk holds, how many there was no room for so far, and how many gave way.
func (h *held) count() (calls map[string]int, over, dismissed uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[string]int, len(h.accounts))
	for name, a := range h.accounts {
		out[name] = len(a.calls)
	}
	return out, h.over, h.dismissed
}

// holdingOf says on whose account a call's announcement is: of its trunk or, for calls of trunks that the policy does not
// name, of the address that it came from. What ringfence_trunk or a caller could make up must not open a new account
// each time.
func holdingOf(trunk policy.Trunk, f *bridge.Facts, caller *number.Number) holding {
	x := holding{account: trunk.Name, caller: caller.E164, rng: rangeOf(caller), call: &bridge.Held{}}
	if !trunk.Known {
		x.account, x.unnamed = "address "+addressOf(f.NetworkIP), true
	}
	return x
}

// addressOf is an address as far as it is somebody's: of an IPv6 address the first half, for whoever has one has them all.
func addressOf(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return cutKey(ip)
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		a = netip.PrefixFrom(a, 64).Masked().Addr()
	}
	return a.String()
}

// rangeOf is the range that a number is one of: all but its last four digits. Who has no number is of one range with all
// others who have none.
func rangeOf(n *number.Number) string {
	const last = 4
	if n.E164 == "" {
		return ""
	}
	return n.E164[:max(len(n.E164)-last, 1)]
}

// trunkOf is the trunk that a call came in by.
func trunkOf(p *policy.Policy, c *policy.Call) policy.Trunk { return p.TrunkNamed(c.Trunk) }
