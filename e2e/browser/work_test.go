package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"ringfence/console"
)

// A policy that is broken is told of at its line as it is typed, and cannot be activated; mended it is tried and activated, and what
// the switch's callers get goes with it, there and back.
func TestJourneyOfAPolicy(t *testing.T) {
	h := newHouse(t)
	tab := h.admin
	tab.welcome(h.d.FirstLink())
	h.call("95211001", "05925550100", "sales")
	h.record("95211001")
	tab.Go(h.home + "/policy")
	broken := strings.Replace(housePolicy, "action = \"tag\"", "action = \"tagg\"", 1)
	line := 1 + strings.Count(broken[:strings.Index(broken, "tagg")], "\n")
	write := func(text string) {
		t.Helper()
		Ask[bool](tab, fmt.Sprintf("((e) => (e.value = %s, e.dispatchEvent(new Event('input', {bubbles: true})), true))(document.querySelector('[data-editor]'))", quote(text)))
	}
	write(broken)
	tab.Shows("#policy-faults", "tagg")
	tab.Until(fmt.Sprintf("document.querySelector('#policy-faults [data-level=bad]')?.dataset.line === '%d'", line), "the fault is at line %d", line)
	Ask[bool](tab, "window.asBefore = true") // the page that answers has it no more: the fault stands on both
	tab.Click("form[action='/policy'] .policy-do button")
	tab.Until("!window.asBefore && document.querySelector('[data-editor]')", "the page that answers is there")
	tab.Shows("main", "tagg")
	if r := h.call("95211001", "05925550100", "sales"); !r.Rang {
		t.Errorf("a broken policy decided: SIP %d", r.SIP)
	}

	mended := strings.Replace(housePolicy, "action = \"tag\"\nlabel = \"外呼\"", "action = \"reject\"\nsip = 603", 1)
	write(mended)
	tab.Until("!document.querySelector('#policy-faults [data-level=bad]')", "the fault is gone")
	tab.Click("[formaction='/policy/try']")
	tab.Shows("#tried", "sales")
	tab.Click("form[action='/policy'] .policy-do button")
	tab.Shows(".note.good", "")
	if r := h.call("95211001", "05925550100", "sales"); r.SIP != 603 {
		t.Errorf("the new policy: rang %v, SIP %d, want 603", r.Rang, r.SIP)
	}

	// Back to the one before, from the history, which shows what that would change.
	tab.Click("main a[href='/policy/versions']")
	tab.Shows("tbody tr:first-child", "in force")
	tab.Click("tbody tr:nth-child(2) th a")
	tab.Shows(".diff .gone", `action = "reject"`)
	tab.Shows(".diff .new", `label = "外呼"`)
	tab.Click("a.button[href^='/policy?from=']")
	tab.Shows(".note", "")
	tab.Until("document.querySelector('[data-editor]')?.value === "+quote(housePolicy), "the editor has the text of the version before")
	if r := h.call("95211001", "05925550100", "sales"); r.SIP != 603 {
		t.Errorf("a version that was looked at decided: rang %v, SIP %d", r.Rang, r.SIP)
	}
	tab.Click("form[action='/policy'] .policy-do button")
	tab.Shows(".note.good", "")
	if r := h.call("95211001", "05925550100", "sales"); !r.Rang {
		t.Errorf("rolled back: SIP %d, want that it rings", r.SIP)
	}
	tab.Click("main a[href='/policy/versions']")
	tab.Until("document.querySelectorAll('main tbody tr').length === 3", "the history has the way back, too")
	tab.Shows("tbody tr:first-child", "admin")
	tab.Quiet(h.home)
}

// A list of ten thousand lines, three of them bad, is looked at before it is taken in, and taken back as one.
func TestJourneyOfAnImport(t *testing.T) {
	h := newHouse(t)
	tab := h.admin
	tab.welcome(h.d.FirstLink())
	if _, err := h.d.Desk().AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "95219999"}}, false); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("number,reason\n")
	for i := range 10000 {
		switch i {
		case 10, 500, 9000:
			fmt.Fprintf(&b, "no number %d,bad\n", i)
		default:
			fmt.Fprintf(&b, "9524%04d,loans\n", i)
		}
	}
	file := filepath.Join(t.TempDir(), "loans.csv")
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	tab.Go(h.home + "/lists/blacklist/import")
	do(tab, "choose a file", chromedp.SetUploadFiles(chromedp.CSS("input[type=file]"), []string{file}))
	tab.Click("button[name=preview]")
	tab.Shows("#report-h", "loans.csv")
	tab.Shows(".figures", "9,997")
	for _, bad := range []string{"no number 10", "no number 500", "no number 9000"} {
		tab.Shows("main table", bad)
	}
	if r := h.call("95245555", "4008001234", ""); r.SIP != 603 { // the rule "loan offers"
		t.Errorf("a loan offer: SIP %d", r.SIP)
	}
	if got := h.record("95245555").Rule; got != "loan offers" {
		t.Errorf("after the preview a call is decided by %q, want that nothing was taken in", got)
	}
	tab.Click("button[name=import]")
	tab.Until("!document.querySelector('button[name=import]') && document.querySelector('#report-h')", "it is taken in")
	h.call("95246666", "4008001234", "")
	if got := h.record("95246666").Rule; got != "listed" {
		t.Errorf("after the import a call is decided by %q, want listed", got)
	}

	tab.Click("form[action='/undo'] button")
	tab.Shows("#toasts", "It is undone.")
	h.call("95247777", "4008001234", "")
	if got := h.record("95247777").Rule; got != "loan offers" {
		t.Errorf("after undo a call is decided by %q, want the rule that did before", got)
	}
	tab.Go(h.home + "/lists/blacklist")
	tab.Shows("main", "")
	if got := Ask[[]string](tab, `[...document.querySelectorAll("tbody [data-row]")].map((r) => r.dataset.row)`); !slices.Equal(got, []string{"+8695219999"}) {
		t.Errorf("after undo the list has %d entries %.3q, want the one that was there before", len(got), got)
	}
	tab.Go(h.home + "/lists/blacklist/changes")
	tab.Shows("tbody tr:nth-child(2)", "undone")
	tab.Quiet(h.home)
}
