package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/chromedp"

	"ringfence/console"
)

// firstStates are the pages before anybody may use the console; then the administrator is there.
func (h *house) firstStates() []state {
	first, link := NewTab(h.t, h.browser), h.d.FirstLink()
	return []state{
		{name: "signin-first", path: "/signin", by: first},
		{name: "welcome", path: link, by: first},
	}
}

// emptyStates are the pages before any call has come.
func (h *house) emptyStates() []state {
	h.t.Helper()
	link := h.d.FirstLink()
	h.admin.welcome(link)
	return []state{
		{name: "now-empty", path: "/", by: h.admin},
		{name: "calls-empty", path: "/calls", by: h.admin},
		{name: "lists-empty", path: "/lists", by: h.admin},
		{name: "list-empty", path: "/lists/blacklist", by: h.admin},
		{twin: true, name: "list-changes-empty", path: "/lists/blacklist/changes", by: h.admin},
		{name: "marks-empty", path: "/marks", by: h.admin},
		{name: "ranges-empty", path: "/ranges", by: h.admin},
		{name: "account", path: "/account", by: h.admin},
		{name: "not-found", path: "/calls/01K00000000000000000000000", by: h.admin},
		{name: "welcome-used", path: link, by: NewTab(h.t, h.browser)},
	}
}

// sheet opens the sheet of a key, of the first row.
func sheet(key string) func(*Tab) {
	return func(tab *Tab) {
		tab.ClickFor("main [data-key="+key+"]", "document.querySelector('#sheet').open && document.querySelector('#sheet-title')")
	}
}

// callStates are the pages about calls, and what is done on them.
func (h *house) callStates() []state {
	h.t.Helper()
	for i := range 7 {
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
		{twin: true, name: "sheet-allow", path: "/calls/" + last.ID, by: h.admin, do: sheet("a")},
		{name: "sheet-wrong", path: "/calls/" + stopped.ID, by: h.admin, do: sheet("w")},
		{name: "toast", path: "/calls/" + last.ID, by: h.admin, do: func(tab *Tab) {
			sheet("b")(tab)
			tab.Click("#sheet [data-first]")
			tab.Shows("#toasts", "blacklist")
		}},
		{name: "keys", path: "/calls", by: h.admin, do: func(tab *Tab) {
			tab.Press("?")
			tab.Until("document.querySelector('#keys').open", "the keys are shown")
		}},
	}
}

// markStates are the pages about marks.
func (h *house) markStates() []state {
	h.t.Helper()
	for i := range 6 {
		h.mark(fmt.Sprintf("9527000%d", i))
	}
	var ids []string
	if err := h.d.Desk().Reports(h.t.Context(), console.ReportsQuery{}, func(r console.Report) error { ids = append(ids, r.ID); return nil }); err != nil {
		h.t.Fatal(err)
	}
	for _, id := range ids[:4] {
		if _, err := h.d.Desk().ConfirmReport(h.t.Context(), id, false); err != nil {
			h.t.Fatal(err)
		}
	}
	evidence := func(tab *Tab) { tab.Shows("#marks dl.facts", "%") }
	return []state{
		{name: "marks", path: "/marks", by: h.admin, do: evidence},
		{name: "marks-confirmed", path: "/marks?state=confirmed", by: h.admin, do: evidence},
		{name: "mark", path: "/marks/" + ids[5], by: h.admin},
		{twin: true, name: "sheet-confirm", path: "/marks/" + ids[5], by: h.admin, do: sheet("c")},
		{name: "sheet-confirm-range", path: "/marks/" + ids[5], by: h.admin, do: sheet("p")},
	}
}

// detector is one that holds a range.
const detector = `
[[detector]]
name = "range wakes"
key = "prefix"
depth = { 6 = 30, 7 = 30 }
count = "strangers"
window = "20m"
hold = "12h"
`

// deskStates are the pages about lists, ranges, the policy, lines and people.
//
// long: because it is the list of these pages.
func (h *house) deskStates() []state {
	h.t.Helper()
	ctx, desk := h.t.Context(), h.d.Desk()
	must := func(err error) {
		h.t.Helper()
		if err != nil {
			h.t.Fatal(err)
		}
	}
	before, err := desk.Policy(ctx)
	must(err)
	_, err = desk.PutPolicy(ctx, console.PolicyEdit{Text: housePolicy + detector, ETag: before.ETag, Note: "with a detector"})
	must(err)
	_, err = desk.PinBreaker(ctx, console.BreakerName{Detector: "range wakes", Key: "952100"}, console.PinOpen)
	must(err)
	numbers, customer, note, mode := []string{"05926660000-05926660099", "4006660000"}, "Golden Gate Flowers", "on trial until the new year", "observe"
	_, err = desk.AddLines(ctx, []console.LineSet{{Name: "flowers", Numbers: &numbers, Customer: &customer, Note: &note}})
	must(err)
	_, err = desk.SetLine(ctx, console.LineSet{Name: "flowers", Mode: &mode})
	must(err)
	_, err = desk.AddToken(ctx, console.NewToken{Name: "billing", Role: console.Viewer})
	must(err)
	_, err = desk.AddUser(ctx, console.NewUser{Name: "florist", Role: console.Viewer, Customer: customer})
	must(err)

	file := func(name, text string) string {
		path := filepath.Join(h.t.TempDir(), name)
		must(os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	loans := file("loans.csv", "number,reason\n95240001,loans\n95240002,a reason that is somewhat longer than others are\nno number,bad\n12,short\n95240001,again\n")
	nothing := file("nothing.csv", "name,town\nAnna,Xiamen\nBen,Fuzhou\n")
	choose := func(file, button string) func(*Tab) {
		return func(tab *Tab) {
			do(tab, "choose a file", chromedp.SetUploadFiles(chromedp.CSS("input[type=file]"), []string{file}))
			tab.Click("button[name=preview]")
			tab.Until("document.querySelector('#report-h, .problem')", "it says what it would do")
			if button != "" {
				tab.Click(button)
				tab.Until("!document.querySelector('button[name=import]') && document.querySelector('#report-h')", "it is taken in")
			}
		}
	}
	write := func(text, then string) func(*Tab) {
		return func(tab *Tab) {
			Ask[bool](tab, fmt.Sprintf("((e) => (e.value = %s, e.dispatchEvent(new Event('input', {bubbles: true})), true))(document.querySelector('[data-editor]'))", quote(text)))
			Ask[bool](tab, "window.asBefore = true") // the page that answers has it no more
			tab.Click("[formaction='" + then + "']")
			tab.Until("!window.asBefore && document.readyState === 'complete' && document.querySelector('#tried, .fault')", "it says what comes of it")
		}
	}
	version, imports := before.Version, 1000
	return []state{
		{name: "lists", path: "/lists", by: h.admin},
		{name: "lists-number", path: "/lists?number=95240303", by: h.admin},
		{name: "list", path: "/lists/blacklist", by: h.admin},
		{name: "list-changes", path: "/lists/blacklist/changes", by: h.admin},
		{name: "list-import", path: "/lists/blacklist/import", by: h.admin},
		{name: "import-preview", path: "/lists/blacklist/import", by: h.admin, do: choose(loans, "")},
		{name: "import-nothing", path: "/lists/blacklist/import", by: h.admin, do: func(tab *Tab) {
			choose(nothing, "")(tab)
			tab.Until("!document.querySelector('button[name=import]')", "what changes nothing cannot be imported")
		}},
		{name: "import-done", path: "/lists/blacklist/import", by: h.admin, do: func(tab *Tab) {
			imports++ // what is there already would change nothing the next time
			choose(file("more.csv", fmt.Sprintf("number,reason\n9524%04d,loans\nno number,bad\n", imports)), "button[name=import]")(tab)
		}},
		{name: "ranges", path: "/ranges?prefix=95", by: h.admin},
		{name: "sheet-breaker", path: "/ranges", by: h.admin, do: func(tab *Tab) {
			tab.ClickFor("#breakers a.do", "document.querySelector('#sheet').open && document.querySelector('#sheet-title')")
		}},
		{name: "policy", path: "/policy", by: h.admin},
		{name: "policy-fault", path: "/policy", by: h.admin, do: write(strings.Replace(housePolicy, "\"tag\"", "\"tagg\"", 1), "/policy/check")},
		{name: "policy-tried", path: "/policy", by: h.admin, do: write(strings.Replace(housePolicy, "action = \"tag\"\nlabel = \"外呼\"", "action = \"reject\"", 1), "/policy/try")},
		{name: "policy-versions", path: "/policy/versions", by: h.admin},
		{name: "policy-version", path: "/policy/versions/" + version, by: h.admin},
		{name: "lines", path: "/lines", by: h.admin},
		{twin: true, name: "lines-none", path: "/lines?find=nowhere", by: h.admin},
		{name: "line", path: "/lines/flowers", by: h.admin},
		{twin: true, name: "line-policy", path: "/lines/staff", by: h.admin},
		{name: "people", path: "/people", by: h.admin, do: func(tab *Tab) {
			tab.Click("#users tbody tr details summary")
			tab.Until("document.querySelector('#users details[open]')", "what can be changed is shown")
		}},
		{name: "audit", path: "/people/audit", by: h.admin},
		{twin: true, name: "audit-none", path: "/people/audit?who=nobody", by: h.admin},
		{name: "health", path: "/health", by: h.admin},
	}
}

// boundStates are the pages of who is bound to lines, and of who may only look.
func (h *house) boundStates() []state {
	h.t.Helper()
	shop := h.user(console.NewUser{Name: "shopkeeper", Role: console.Reviewer, Lines: []string{"shop"}})
	flowers := h.user(console.NewUser{Name: "gardener", Role: console.Reviewer, Customer: "Golden Gate Flowers"})
	viewer := h.user(console.NewUser{Name: "viewer", Role: console.Viewer})
	return []state{
		{name: "bound", path: "/", by: shop, do: func(tab *Tab) {
			tab.Until("!document.querySelector('#now-wanted a[href=\"/now/wanted\"]')", "the list of those who may have been wanted is there")
		}},
		{name: "bound-customer", path: "/lines", by: flowers},
		{twin: true, name: "bound-customer-line", path: "/lines/flowers", by: flowers},
		{name: "bound-line", path: "/lines/shop", by: shop},
		{name: "bound-calls", path: "/calls", by: shop},
		{name: "bound-calls-empty", path: "/calls", by: flowers},
		{name: "bound-lists", path: "/lists", by: shop},
		{name: "bound-list", path: "/lists/shop:blacklist", by: shop},
		{name: "bound-marks", path: "/marks", by: shop},
		{name: "bound-forbidden", path: "/policy", by: shop},
		{name: "viewer-forbidden", path: "/people", by: viewer},
		{name: "viewer-list", path: "/lists/blacklist", by: viewer},
		{twin: true, name: "viewer-marks", path: "/marks", by: viewer},
		{name: "viewer-policy", path: "/policy", by: viewer},
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
		{name: "account-wrong", path: "/account", by: h.admin, do: func(tab *Tab) {
			for name, text := range map[string]string{"current": "not the password", "password": "another line of birds", "again": "another line of birds"} {
				tab.Fill("input[name="+name+"]", text)
			}
			tab.Click("form[action='/account/password'] button")
			tab.Until("document.querySelector('.problem')", "what is wrong is said")
		}},
	}
}

// wrongStates are the pages when screening is paused and the policy file was refused.
func (h *house) wrongStates() []state {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(filepath.Dir(h.file), "policy.toml"), []byte(housePolicy+"[[rule]]\nname = 7\n"), 0o644); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.d.Desk().Reload(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.d.Desk().Pause(h.t.Context(), 0); err != nil {
		h.t.Fatal(err)
	}
	return []state{
		{name: "now-wrong", path: "/", by: h.admin},
		{name: "health-wrong", path: "/health", by: h.admin},
		{name: "policy-refused", path: "/policy", by: h.admin},
	}
}
