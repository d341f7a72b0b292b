package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ringfence/console"
)

// state is a page as somebody may find it.
type state struct {
	name string // of its picture: now-full
	path string // "" where the tab is there already
	by   *Tab
	do   func(*Tab)
}

// emptyStates are the pages before any call has come.
func (h *house) emptyStates() []state {
	return []state{
		{name: "now-empty", path: "/", by: h.admin},
		{name: "calls-empty", path: "/calls", by: h.admin},
		{name: "lists-empty", path: "/lists", by: h.admin},
		{name: "marks-empty", path: "/marks", by: h.admin},
		{name: "ranges-empty", path: "/ranges", by: h.admin},
		{name: "account", path: "/account", by: h.admin},
		{name: "not-found", path: "/calls/01K00000000000000000000000", by: h.admin},
	}
}

// fullStates are the pages with calls.
func (h *house) fullStates() []state {
	h.t.Helper()
	for i := range 12 {
		h.call(fmt.Sprintf("9521%04d", 1600+i*7), "05925550100", "平安保险")
		h.call(fmt.Sprintf("9524%04d", 300+i), fmt.Sprintf("059255501%02d", i), "Golden Loan")
		h.call(fmt.Sprintf("138001380%02d", i), "4008001234", "")
	}
	h.call("", "05925550100", "")
	h.call("95213333", "05925550100", "<script>alert(1)</script>\u202egnp.exe A very long name of a caller that goes on and on and on")
	last := h.record("95213333")
	for number, reason := range map[string]string{"95240303": "loans, thrice", "0592555????": "=HYPERLINK(1)", "95213333": "假冒京东客服"} {
		if _, err := h.d.Desk().AddEntries(h.t.Context(), "blacklist", []console.NewEntry{{Number: number, Reason: reason}}, false); err != nil {
			h.t.Fatal(err)
		}
	}
	stopped := h.record("95240303")
	shop := h.user(console.NewUser{Name: "shopkeeper", Role: console.Reviewer, Lines: []string{"shop"}})
	sheet := func(key string) func(*Tab) {
		return func(tab *Tab) {
			tab.ClickFor("main [data-key="+key+"]", "document.querySelector('#sheet').open && document.querySelector('#sheet-title')")
		}
	}
	return []state{
		{name: "now", path: "/", by: h.admin, do: func(tab *Tab) {
			tab.Until("!document.querySelector('#now-wanted a[href=\"/now/wanted\"]')", "the list of those who may have been wanted is there")
		}},
		{name: "calls", path: "/calls", by: h.admin},
		{name: "calls-filtered", path: "/calls?action=reject&rule=loan+offers", by: h.admin},
		{name: "calls-none", path: "/calls?caller=95299999", by: h.admin},
		{name: "calls-wrong-filter", path: "/calls?since=whenever&min_talk=x", by: h.admin},
		{name: "call", path: "/calls/" + stopped.ID, by: h.admin},
		{name: "call-hostile", path: "/calls/" + last.ID, by: h.admin},
		{name: "sheet-block", path: "/calls/" + last.ID, by: h.admin, do: sheet("b")},
		{name: "sheet-wrong", path: "/calls/" + stopped.ID, by: h.admin, do: sheet("w")},
		{name: "keys", path: "/calls", by: h.admin, do: func(tab *Tab) {
			tab.Press("?")
			tab.Until("document.querySelector('#keys').open", "the keys are shown")
		}},
		{name: "lists", path: "/lists", by: h.admin},
		{name: "list", path: "/lists/blacklist", by: h.admin},
		{name: "list-changes", path: "/lists/blacklist/changes", by: h.admin},
		{name: "list-import", path: "/lists/blacklist/import", by: h.admin},
		{name: "marks", path: "/marks", by: h.admin},
		{name: "ranges", path: "/ranges?prefix=9", by: h.admin},
		{name: "policy", path: "/policy", by: h.admin},
		{name: "policy-versions", path: "/policy/versions", by: h.admin},
		{name: "lines", path: "/lines", by: h.admin},
		{name: "line", path: "/lines/staff", by: h.admin},
		{name: "people", path: "/people", by: h.admin},
		{name: "audit", path: "/people/audit", by: h.admin},
		{name: "health", path: "/health", by: h.admin},
		{name: "bound-lines", path: "/lines", by: shop},
		{name: "bound-line", path: "/lines/shop", by: shop},
		{name: "bound-now", path: "/", by: shop},
		{name: "bound-calls", path: "/calls", by: shop},
		{name: "bound-forbidden", path: "/policy", by: shop},
	}
}

// signInStates are the pages for who is not in yet.
func (h *house) signInStates() []state {
	stranger := NewTab(h.t, h.browser)
	return []state{
		{name: "signin", path: "/signin", by: stranger},
		{name: "signin-wrong", path: "/signin", by: stranger, do: func(tab *Tab) {
			tab.Fill("input[name=name]", "admin")
			tab.Fill("input[name=password]", "not the password")
			tab.Click("form.card button")
			tab.Until("document.querySelector('.problem')", "what is wrong is said")
		}},
		{name: "welcome-gone", path: "/welcome/never", by: stranger},
	}
}

// see opens a state.
func (h *house) see(s state) {
	h.t.Helper()
	s.by.Go(h.home + s.path)
	s.by.Until("document.querySelector('main')", "a page is there")
	if s.do != nil {
		s.do(s.by)
	}
}

// TestNoSeriousFaultOnAnyPage holds each page in each state against axe, and that a phone need not scroll sideways. The usual run looks at
// each wide and light or narrow and dark in turns, `make prove ONLY=pictures` at both.
func TestNoSeriousFaultOnAnyPage(t *testing.T) {
	h, both := newHouse(t), os.Getenv("RINGFENCE_PICTURES") != ""
	looked := 0
	hold := func(states []state) {
		t.Helper()
		for _, s := range states {
			s.by.Window(wide, false)
			h.see(s)
			looked++
			if both || looked%2 == 0 {
				for _, f := range s.by.Faults() {
					t.Errorf("%s: %s fault %s: %s\n  %s", s.name, f.Impact, f.ID, f.Help, strings.Join(f.Nodes, "\n  "))
				}
			}
			s.by.Window(narrow, true)
			if both || looked%2 == 1 {
				for _, f := range s.by.Faults() {
					t.Errorf("%s, narrow and dark: %s fault %s: %s\n  %s", s.name, f.Impact, f.ID, f.Help, strings.Join(f.Nodes, "\n  "))
				}
			}
			if n, by := s.by.Sideways(); n > 0 {
				t.Errorf("%s: on a phone %d pixels lie beside the screen, by\n%s", s.name, n, by)
			}
			s.by.Window(wide, false)
			s.by.Quiet(h.home)
		}
	}
	first := NewTab(t, h.browser)
	hold([]state{{name: "signin-first", path: "/signin", by: first}, {name: "welcome", path: strings.TrimPrefix(h.d.FirstLink(), h.home), by: first}})
	h.admin.welcome(h.d.FirstLink())
	hold(h.emptyStates())
	hold(h.fullStates())
	hold(h.signInStates())
	t.Logf("%d pages and states have no serious fault by axe 4.14.1", looked)
}

// TestPictures takes pictures of all pages and states, in both languages, wide and narrow, light and dark, into the folder that
// RINGFENCE_PICTURES names: `make prove ONLY=pictures`.
func TestPictures(t *testing.T) {
	folder := os.Getenv("RINGFENCE_PICTURES")
	if folder == "" {
		t.Skip("NOT TESTED: the pictures of the console's pages are taken by make prove ONLY=pictures")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	taken := 0
	take := func(states []state) {
		t.Helper()
		for _, s := range states {
			for _, lang := range []string{"en", "zh"} {
				s.by.Language(map[string]string{"en": "en", "zh": "zh-CN"}[lang])
				h.see(s)
				for _, width := range []int64{wide, narrow} {
					for _, dark := range []bool{false, true} {
						s.by.Window(width, dark)
						look := map[bool]string{false: "light", true: "dark"}[dark]
						s.by.Picture(filepath.Join(folder, fmt.Sprintf("%s-%s-%d-%s.png", s.name, lang, width, look)))
						taken++
					}
					if n, by := s.by.Sideways(); n > 0 {
						t.Errorf("%s-%s: %d of %d pixels lie beside the screen, by\n%s", s.name, lang, n, width, by)
					}
				}
				s.by.Window(wide, false)
			}
			s.by.Language("en")
		}
	}
	first := NewTab(t, h.browser)
	take([]state{{name: "signin-first", path: "/signin", by: first}, {name: "welcome", path: strings.TrimPrefix(h.d.FirstLink(), h.home), by: first}})
	h.admin.welcome(h.d.FirstLink())
	take(h.emptyStates())
	take(h.fullStates())
	take(h.signInStates())
	t.Logf("figure: %d pictures", taken)
}
