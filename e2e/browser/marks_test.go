package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ringfence/console"
)

// mark has somebody whose telephone rang mark the caller as a nuisance.
func (h *house) mark(caller string) {
	h.t.Helper()
	if r := h.call(caller, "05925550100", ""); !r.Rang {
		h.t.Fatalf("%s is to be marked, and got SIP %d", caller, r.SIP)
	}
	h.record(caller)
	if _, err := h.d.Desk().Report(h.t.Context(), console.NewReport{Caller: caller, Extension: "05925550100"}); err != nil {
		h.t.Fatal(err)
	}
}

// confirmByKey opens the sheet of a mark by its key, and does what it asks for: to list the caller or a range.
func (tab *Tab) confirmByKey(key, what string) {
	tab.t.Helper()
	tab.Press(key)
	tab.Shows("#sheet[open] #sheet-title", what)
	if got := Ask[string](tab, `document.querySelector("#sheet-title").textContent`); !strings.HasSuffix(got, what) { // 9527000?? would be another range
		tab.t.Errorf("it is asked %q, want that %s is all of what is blocked", got, what)
	}
	tab.Until("document.activeElement.dataset.first !== undefined", "the button has the focus")
	tab.Press("\r")
	tab.Until("!document.querySelector('#sheet').open", "it is done")
	tab.Shows("#toasts .toast:first-child", what)
}

// Ten marks are worked through by keys alone: confirmed, confirmed with their range, dismissed, left for later, and one taken back. What was decided
// is what the queue, the list and the next calls say.
func TestJourneyOfTenMarksByKeyboard(t *testing.T) {
	h := newHouse(t)
	tab := h.admin
	tab.welcome(h.d.FirstLink())
	ten := []string{"95270001", "95270002", "95270003", "95270004"} // the fourth of one ten has it proposed
	plan := map[string]string{"95271001": "d", "95272002": "d", "95273003": "d", "95274004": "j", "95275005": "j", "95276006": "u"}
	for _, caller := range ten {
		h.mark(caller)
	}
	for caller := range plan {
		h.mark(caller)
	}

	tab.Go(h.home + "/marks")
	tab.Shows("#marks-h", "10")
	tab.Press("j")
	const here = `document.querySelector(".here[data-row] h3 .num")?.textContent`
	confirmed, ranged := 0, ""
	for left := len(ten) + len(plan); left > 2; { // two are left for later
		tab.Until(here, "a mark is where the keys are")
		caller := strings.TrimPrefix(Ask[string](tab, here), "+86")
		switch do := plan[caller]; {
		case do == "j":
			tab.Press("j")
			tab.Until(here+" !== "+quote("+86"+caller), "the next mark is where the keys are")
			continue
		case do == "d":
			tab.Press("d")
			tab.Shows("#toasts .toast:first-child", caller)
		case do == "u":
			tab.confirmByKey("c", caller)
			tab.Press("u")
			tab.Until("[...document.querySelectorAll('#toasts .toast')].filter((t) => t.textContent.includes("+quote(caller)+")).every((t) => !t.querySelector('[data-key=u]'))", "it is taken back")
		case !slices.Contains(ten, caller):
			t.Fatalf("there is a mark of %q", caller)
		case confirmed < 3:
			tab.confirmByKey("c", caller)
			confirmed++
		default:
			tab.confirmByKey("p", "9527000?")
			ranged = caller
		}
		left--
		tab.Until(fmt.Sprintf("document.querySelectorAll('#marks article').length === %d && %s !== %s", left, here, quote("+86"+caller)), "%s has left the queue, and %d are there", caller, left)
	}

	has := func(path string, callers ...string) {
		t.Helper()
		tab.Go(h.home + path)
		tab.Shows("main", "")
		got := Ask[[]string](tab, `[...document.querySelectorAll("[data-row] :is(h3, th) .num")].map((n) => n.textContent)`)
		for i := range callers {
			if !strings.HasPrefix(callers[i], "+") && !strings.Contains(callers[i], "?") {
				callers[i] = "+86" + callers[i]
			}
		}
		slices.Sort(got)
		slices.Sort(callers)
		if !slices.Equal(got, callers) {
			t.Errorf("%s has %q, want %q", path, got, callers)
		}
	}
	has("/marks", "95274004", "95275005")
	has("/marks?state=dismissed", "95271001", "95272002", "95273003")
	has("/marks?state=lifted", "95276006")
	has("/marks?state=confirmed", slices.Clone(ten)...)
	singles := slices.DeleteFunc(slices.Clone(ten), func(c string) bool { return c == ranged })
	has("/lists/blacklist", append(singles, "9527000?")...)
	if n := Ask[int](tab, `document.querySelectorAll("td a[href^='/marks/']").length`); n != 4 {
		t.Errorf("%d of the 4 entries lead to their mark", n)
	}
	for caller, sip := range map[string]int{singles[0]: 603, "95270009": 603, "95271001": 0, "95274004": 0, "95276006": 0} {
		if r := h.call(caller, "05925550100", ""); r.Rang != (sip == 0) || !r.Rang && r.SIP != sip {
			t.Errorf("%s calls again: rang %v, SIP %d, want SIP %d", caller, r.Rang, r.SIP, sip)
		}
	}
	tab.Quiet(h.home)
}
