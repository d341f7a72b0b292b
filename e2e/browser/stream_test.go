package browser

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
)

// followed waits until so many streams are followed on the server, and the tabs have one if there is one.
func (h *house) followed(want int, tabs ...*Tab) {
	h.t.Helper()
	for end := time.Now().Add(pageWait); ; <-time.After(look) {
		now, _ := h.d.Desk().Followed()
		open := 0
		for _, tab := range tabs {
			open += tab.Streams()
		}
		if now == want && open == want {
			return
		}
		if time.Now().After(end) {
			h.t.Fatalf("%d streams are followed on the server, and %d open in the tabs; want %d", now, open, want)
		}
	}
}

// Eight tabs of one browser are alive by one stream: HTTP/1.1 would let six have one, and nothing else. A tab that nobody looks at lets go of it,
// another takes it over, and with the last the server is rid of it; who looks again sees what came meanwhile.
func TestEightTabsShareOneStream(t *testing.T) {
	h := newHouse(t)
	h.admin.welcome(h.d.FirstLink())
	tabs := []*Tab{h.admin}
	for range 7 {
		tab := h.admin.Another()
		tab.Language("en")
		tabs = append(tabs, tab)
	}
	filters := []string{"/", "/calls", "/calls?line=staff", "/"}
	for i, tab := range tabs {
		tab.Go(h.home + filters[i%len(filters)])
		tab.Shows("nav", "Calls")
	}
	n := 0
	alive := func(tabs []*Tab) {
		t.Helper()
		caller := fmt.Sprintf("95212%03d", n)
		n++
		h.call(caller, "05925550100", "")
		for _, tab := range tabs {
			tab.Shows(row(caller), "")
		}
	}
	h.followed(1, tabs...)
	alive(tabs)
	h.followed(1, tabs...)

	left := slices.Clone(tabs)
	for len(left) > 5 { // three times the one that has the stream
		at := slices.IndexFunc(left, func(tab *Tab) bool { return tab.Streams() == 1 })
		left[at].Hide()
		left = slices.Delete(left, at, at+1)
		h.followed(1, left...)
		alive(left)
	}
	for _, tab := range left {
		tab.Hide()
	}
	h.followed(0, tabs...)
	const missed = "95212999"
	h.call(missed, "05925550100", "")
	for _, tab := range tabs[:3] {
		tab.Unhide()
		tab.Shows(row(missed), "")
	}
	h.followed(1, tabs...)
	alive(tabs[:3])
	for _, tab := range tabs {
		tab.Quiet(h.home)
	}
}

// A call that comes while the page is on its way that brings a tab up to date is not on that page, and stays on the screen all the same.
func TestCallDuringRefreshStays(t *testing.T) {
	h := newHouse(t)
	tab := h.admin
	tab.welcome(h.d.FirstLink())
	h.call("95211001", "05925550100", "before")
	h.record("95211001")
	tab.Go(h.home + "/calls")
	tab.Shows(row("95211001"), "before")
	h.followed(1, tab)
	held, release := tab.Hold("*/calls*", network.ResourceTypeFetch)
	tab.Hide()
	h.followed(0, tab)
	tab.Unhide()
	held()
	h.call("95211002", "05925550100", "meanwhile")
	tab.Shows(row("95211002"), "meanwhile")
	Ask[bool](tab, fmt.Sprintf("document.querySelector(%s).asBefore = true", quote(row("95211001"))))
	release()
	tab.Until(fmt.Sprintf("document.querySelector(%[1]s) && !document.querySelector(%[1]s).asBefore", quote(row("95211001"))), "the page has come, and its rows are there")
	if !Ask[bool](tab, fmt.Sprintf("Boolean(document.querySelector(%s))", quote(row("95211002")))) {
		t.Error("the call that came while the page was on its way is not on the screen any more")
	}
	tab.Quiet(h.home)
}

// A tab whose page was made before a call came, and that joins the stream of another after it, shows the call.
func TestTabThatJoinsMissesNothing(t *testing.T) {
	h := newHouse(t)
	h.admin.welcome(h.d.FirstLink())
	h.call("95211001", "05925550100", "before")
	h.record("95211001")
	h.admin.Go(h.home + "/calls")
	h.followed(1, h.admin)
	for i, path := range []string{"/calls", "/calls?line=staff"} { // the stream is open for the one, and is opened anew for the other
		tab := h.admin.Another()
		tab.Language("en")
		tab.Go(h.home + "/account")
		held, release := tab.Hold("*"+path, network.ResourceTypeDocument)
		Ask[bool](tab, fmt.Sprintf("(setTimeout(() => location.assign(%s)), true)", quote(h.home+path)))
		held()
		caller := fmt.Sprintf("9521200%d", i)
		h.call(caller, "05925550100", "meanwhile")
		h.admin.Shows(row(caller), "meanwhile")
		release()
		tab.Shows(row("95211001"), "before")
		tab.Shows(row(caller), "meanwhile")
		tab.Quiet(h.home)
	}
	h.followed(1, h.admin)
}
