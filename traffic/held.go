package traffic

import (
	"net/netip"
	"slices"
	"sync"

	"ringfence/number"
)

// Bounds of announcements and challenges at once, beside a trunk's max_held.
const (
	maxHeldCaller  = 2   // of one caller
	maxHeldUnnamed = 200 // of all addresses together that are no trunk: there may be any number of them
	// mayLinger is how many times as many as are held may have given way and hear the end of something still, for up to a quarter of a
	// minute on a switch that cannot break it off. Beyond that others pass unasked, so whoever wants that has to keep that many lines busy.
	mayLinger = 4
)

// Held knows the calls that hear an announcement or a challenge now, by trunk, so that a campaign cannot fill a trunk
// with people listening to us. Nor can it fill the room, so that others are not asked: one caller has two places and a
// range of numbers a quarter, and over each of these bounds the call that was held longest and has not keyed in what it was asked for goes.
type Held struct {
	mu        sync.Mutex
	accounts  map[string]*account // one that holds none is not in it, so the table is as small as the traffic
	over      uint64              // calls that there was no room for, since the start
	dismissed uint64              // calls that gave way to another
	unnamed   struct{ calls, lingering int }
	order     uint64 // of the last one that was held
}

// account is a trunk's.
type account struct {
	calls     []*Place // the longest held first
	lingering int      // calls that were dismissed and hear the end of something still
}

// Place is the room that a call has.
type Place struct {
	Account string // the trunk, or the address of what is no trunk
	Caller  string // E.164, "" for none
	Range   string // the caller's, see RangeOf
	Unnamed bool   // Account is an address
	Call    Dismissable

	order     uint64
	dismissed bool
}

// Take makes room for one more call on a trunk that holds at most most, if there can be any; else it is nil, and own says
// that it was the caller's or his range's own share that was full.
func (h *Held) Take(x Place, most int) (place *Place, own bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.accounts[x.Account]
	if a == nil {
		a = &account{}
	}
	var ofCaller, ofRange int
	for _, c := range a.calls {
		if c.Caller == x.Caller {
			ofCaller++
		}
		if c.Range == x.Range {
			ofRange++
		}
	}
	var goes func(*Place) bool
	switch {
	case most == 0:
		h.over++
		return nil, false
	case x.Caller != "" && ofCaller >= maxHeldCaller:
		own, goes = true, func(c *Place) bool { return c.Caller == x.Caller }
	case ofRange >= max(1, most/4):
		own, goes = true, func(c *Place) bool { return c.Range == x.Range }
	case len(a.calls) >= most:
		goes = func(*Place) bool { return true }
	}
	from := a
	if goes == nil && x.Unnamed && h.unnamed.calls >= maxHeldUnnamed {
		from, goes = h.longestUnnamed(), func(*Place) bool { return true }
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
	h.accounts[x.Account] = a
	a.calls = append(a.calls, &x)
	if x.Unnamed {
		h.unnamed.calls++
	}
	return &x, false
}

// longestUnnamed is the account, of those that are an address, with the call that is held longest and may be dismissed.
func (h *Held) longestUnnamed() (longest *account) {
	var order uint64
	for _, a := range h.accounts {
		i := slices.IndexFunc(a.calls, func(c *Place) bool { return c.Unnamed && !c.Call.Passed() })
		if i >= 0 && (longest == nil || a.calls[i].order < order) {
			longest, order = a, a.calls[i].order
		}
	}
	return longest
}

// dismiss takes the place of the first call of those that may go. It is false if there is none, or if too many that gave
// way hear the end of something still.
func (h *Held) dismiss(a *account, goes func(*Place) bool, most int) bool {
	if a == nil || a.lingering >= mayLinger*most {
		return false
	}
	i := slices.IndexFunc(a.calls, func(c *Place) bool { return goes(c) && !c.Call.Passed() })
	if i < 0 || a.calls[i].Unnamed && h.unnamed.lingering >= mayLinger*maxHeldUnnamed {
		return false
	}
	c := a.calls[i]
	a.calls = slices.Delete(a.calls, i, i+1)
	c.dismissed = true
	a.lingering++
	if c.Unnamed {
		h.unnamed.calls--
		h.unnamed.lingering++
	}
	h.dismissed++
	c.Call.Dismiss()
	return true
}

// Release gives a place back.
func (h *Held) Release(x *Place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.accounts[x.Account]
	if x.dismissed {
		a.lingering--
		if x.Unnamed {
			h.unnamed.lingering--
		}
	} else if i := slices.Index(a.calls, x); i >= 0 {
		a.calls = slices.Delete(a.calls, i, i+1)
		if x.Unnamed {
			h.unnamed.calls--
		}
	}
	if len(a.calls) == 0 && a.lingering == 0 {
		delete(h.accounts, x.Account)
	}
}

// Count is how many calls each trunk holds, how many there was no room for so far, and how many gave way.
func (h *Held) Count() (calls map[string]int, over, dismissed uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[string]int, len(h.accounts))
	for name, a := range h.accounts {
		out[name] = len(a.calls)
	}
	return out, h.over, h.dismissed
}

// Dismissable is a call that can be told to end what it hears.
type Dismissable interface {
	// Dismiss ends it. It must not wait.
	Dismiss()
	// Passed reports whether the caller has keyed in what they were asked for: such a call is never dismissed.
	Passed() bool
}

// AddressOf is an address as far as it is somebody's: of an IPv6 address the first half, for whoever has one has them all.
func AddressOf(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return Cut(ip)
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		a = netip.PrefixFrom(a, 64).Masked().Addr()
	}
	return a.String()
}

// RangeOf is the range that a number is one of: all but its last four digits. Who has no number is of one range with all
// others who have none.
func RangeOf(n *number.Number) string {
	const last = 4
	if n.E164 == "" {
		return ""
	}
	return n.E164[:max(len(n.E164)-last, 1)]
}
