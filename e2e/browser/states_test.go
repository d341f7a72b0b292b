package browser

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// state is a page as somebody may find it.
type state struct {
	name string // of its picture: now-full
	path string // "" where the tab is there already
	by   *Tab
	do   func(*Tab)
	home string // of another console than the house's
	twin bool   // it is so like another one that the usual run leaves it out
}

// see opens a state.
func (h *house) see(s state) {
	h.t.Helper()
	address := s.path
	if strings.HasPrefix(address, "/") {
		address = h.home + address
	}
	s.by.Go(address)
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
			if s.twin && !both {
				continue
			}
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
			s.by.Quiet(cmp.Or(s.home, h.home))
		}
	}
	hold(h.firstStates())
	hold(h.emptyStates())
	hold(h.callStates())
	hold(h.markStates())
	hold(h.deskStates())
	hold(h.boundStates())
	hold(h.signInStates())
	hold(h.brokenStates())
	hold(h.wrongStates())
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
	take(h.firstStates())
	take(h.emptyStates())
	take(h.callStates())
	take(h.markStates())
	take(h.deskStates())
	take(h.boundStates())
	take(h.signInStates())
	take(h.brokenStates())
	take(h.wrongStates())
	t.Logf("figure: %d pictures", taken)
}
