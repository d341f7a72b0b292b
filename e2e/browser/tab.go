package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Windows, in CSS pixels, and waits. A busy machine starts a browser slowly; nothing here measures by these.
const (
	wide, narrow, tall = 1280, 360, 860

	pageWait = 90 * time.Second
	look     = 40 * time.Millisecond // between two looks at a page for what is awaited
)

// Tab is a tab of the browser. What goes wrong in it ends the test.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu    sync.Mutex
	asked map[network.RequestID]*Request
	order []*Request
	page  cdp.LoaderID      // of the page that is there, or comes
	held  []fetch.RequestID // whose answers are held back
	cries []string          // errors that the page's scripts threw, and what the policy of the page forbade
}

// Request is what a page asked the network for.
type Request struct {
	URL   string
	Kind  network.ResourceType
	Bytes int  // as they came over the wire, compressed; 0 while they come
	Open  bool // it is still coming
}

// NewTab opens a tab in a browser that has no cookie and no cached file yet.
func NewTab(t testing.TB, browser context.Context) *Tab {
	t.Helper()
	return open(t, browser, chromedp.WithNewBrowserContext())
}

// Another opens a tab beside this one, with the same cookies.
func (tab *Tab) Another() *Tab {
	tab.t.Helper()
	return open(tab.t, tab.ctx)
}

func open(t testing.TB, parent context.Context, options ...chromedp.ContextOption) *Tab {
	t.Helper()
	ctx, end := chromedp.NewContext(parent, options...)
	t.Cleanup(end)
	tab := &Tab{t: t, ctx: ctx, asked: map[network.RequestID]*Request{}}
	if err := chromedp.Listen(ctx, tab.hear); err != nil { // it opens the tab
		t.Fatalf("open a tab: %v", err)
	}
	command(tab, network.Enable, network.EnableParams{})
	tab.Window(wide, false)
	return tab
}

// hear keeps what the browser tells of the tab.
func (tab *Tab) hear(event any) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if e.Type == network.ResourceTypeDocument { // what the page before was still waiting for is over, and nobody says so
			for _, r := range tab.order {
				r.Open = false
			}
			tab.page = e.LoaderID
		}
		r := &Request{URL: e.Request.URL, Kind: e.Type, Open: e.LoaderID == tab.page} // nor what becomes of what the page asks for that is being left
		tab.asked[e.RequestID] = r
		tab.order = append(tab.order, r)
	case *network.EventLoadingFinished:
		if r := tab.asked[e.RequestID]; r != nil {
			r.Bytes, r.Open = int(e.EncodedDataLength), false
		}
	case *network.EventLoadingFailed:
		if r := tab.asked[e.RequestID]; r != nil {
			r.Open = false
		}
	case *fetch.EventRequestPaused:
		tab.held = append(tab.held, e.RequestID)
	case *runtime.EventExceptionThrown:
		tab.cries = append(tab.cries, fmt.Sprintf("%+v", e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" {
			tab.cries = append(tab.cries, fmt.Sprint(e.Args))
		}
	}
}

// do carries out what is to be done in the tab.
func do[T any](tab *Tab, what string, action chromedp.Action[T]) T {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, pageWait)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		tab.t.Fatalf("%s: %v", what, err)
	}
	return v
}

// command sends a command of the browser's protocol.
func command[P, R any](tab *Tab, c cdp.Command[P, R], p P) R {
	tab.t.Helper()
	return do(tab, c.Method, func(ctx context.Context, _ *chromedp.Target) (R, error) { return chromedp.Call(ctx, c, p) })
}

// Go opens an address and waits until its scripts have run.
func (tab *Tab) Go(address string) {
	tab.t.Helper()
	do(tab, "open "+address, chromedp.Navigate(address))
	tab.Until("document.readyState === 'complete'", "%s is loaded", address)
}

// Ask evaluates a JavaScript expression, of a promise what it comes to.
func Ask[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	return do(tab, expression, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Until waits until a JavaScript expression is true.
func (tab *Tab) Until(expression, what string, a ...any) {
	tab.t.Helper()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for end := time.Now().Add(pageWait); ; <-ticker.C {
		ctx, cancel := context.WithTimeout(tab.ctx, pageWait)
		yes, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		cancel()
		if yes {
			return
		}
		if time.Now().After(end) { // an error may be that the page was just being left
			shown := Ask[string](tab, "location.href + '\\n' + document.body.innerText.slice(0, 3000)")
			tab.t.Fatalf("%s: not so within %v (%v); the page is\n%s", fmt.Sprintf(what, a...), pageWait, err, shown)
		}
	}
}

// Shows waits until an element that can be seen has a text.
func (tab *Tab) Shows(selector, text string) {
	tab.t.Helper()
	tab.Until(fmt.Sprintf("[...document.querySelectorAll(%s)].some((e) => e.checkVisibility() && e.textContent.includes(%s))", quote(selector), quote(text)), "%s has %q", selector, text)
}

// Click clicks on the first element that a selector finds, as a mouse does, where it is at that moment: the page may put another in its place.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	tab.Until(fmt.Sprintf("document.querySelector(%s)?.checkVisibility()", quote(selector)), "%s can be seen", selector)
	at := Ask[[]float64](tab, fmt.Sprintf(`((e) => { if (!e) return null; e.scrollIntoView({block: "center", behavior: "instant"}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })(document.querySelector(%s))`, quote(selector)))
	if len(at) == 2 {
		command(tab, page.BringToFront, cdp.Empty{}) // a tab that lies behind another gets no mouse
		do(tab, "click on "+selector, chromedp.MouseClickXY(at[0], at[1]))
	}
}

// ClickFor clicks until an expression is true: again where rows that came moved what was aimed at.
func (tab *Tab) ClickFor(selector, expression string) {
	tab.t.Helper()
	for range 10 {
		tab.Click(selector)
		for end := time.Now().Add(pageWait / 10); time.Now().Before(end); <-time.After(look) {
			if Ask[bool](tab, "Boolean("+expression+")") {
				return
			}
		}
	}
	tab.t.Fatalf("ten clicks on %s did not lead to %s", selector, expression)
}

// Fill writes a text into a field, in place of what it has.
func (tab *Tab) Fill(selector, text string) {
	tab.t.Helper()
	at := chromedp.CSS(selector)
	do(tab, "write into "+selector, chromedp.Steps(chromedp.WaitVisible(at), chromedp.Clear(at), chromedp.SendKeys(at, text)))
}

// Press presses keys, wherever the focus is.
func (tab *Tab) Press(keys string) {
	tab.t.Helper()
	do(tab, "press "+keys, chromedp.KeyEvent(keys))
}

// Window makes the window so wide, as a phone's or a desk's, in light or dark.
func (tab *Tab) Window(width int64, dark bool) {
	tab.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	command(tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: tall, DeviceScaleFactor: 1, Mobile: width < 600})
	command(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// Language makes the browser wish for a language.
func (tab *Tab) Language(wish string) {
	tab.t.Helper()
	command(tab, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": wish}})
}

// Hide puts the tab where nobody looks at it, as behind another one.
func (tab *Tab) Hide() {
	tab.t.Helper()
	command(tab, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: false})
	for _, state := range []page.SetWebLifecycleStateState{page.SetWebLifecycleStateStateFrozen, page.SetWebLifecycleStateStateActive} {
		command(tab, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: state})
	}
	tab.Until("document.hidden", "the tab is hidden")
}

// Unhide has the tab looked at again.
func (tab *Tab) Unhide() {
	tab.t.Helper()
	command(tab, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	tab.Until("!document.hidden", "the tab is seen")
}

// Hold holds back the answers to what is asked for at addresses of a pattern: held waits until there is one, which the server has made by then, and
// release lets all go.
func (tab *Tab) Hold(pattern string, kind network.ResourceType) (held, release func()) {
	tab.t.Helper()
	command(tab, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: pattern, ResourceType: kind, RequestStage: fetch.RequestStageResponse}}})
	all := func() []fetch.RequestID {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		return slices.Clone(tab.held)
	}
	held = func() {
		tab.t.Helper()
		for end := time.Now().Add(pageWait); len(all()) == 0; <-time.After(look) {
			if time.Now().After(end) {
				tab.t.Fatalf("nothing was asked for at %s", pattern)
			}
		}
	}
	release = func() {
		tab.t.Helper()
		for _, id := range all() {
			command(tab, fetch.ContinueResponse, fetch.ContinueResponseParams{RequestID: id})
		}
		command(tab, fetch.Disable, cdp.Empty{})
	}
	return held, release
}

// Requests are what the tab asked for since the last time.
func (tab *Tab) Requests() []Request {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	var all []Request
	for _, r := range tab.order {
		all = append(all, *r)
	}
	return all
}

// Streams counts the event streams that the tab has open.
func (tab *Tab) Streams() (n int) {
	for _, r := range tab.Requests() {
		if u, err := url.Parse(r.URL); err == nil && u.Path == "/live" && r.Open {
			n++
		}
	}
	return n
}

// Quiet holds that no script of the tab's pages threw anything, and that nothing was asked for elsewhere than at home.
func (tab *Tab) Quiet(home string) {
	tab.t.Helper()
	for _, r := range tab.Requests() {
		if !strings.HasPrefix(r.URL, home+"/") && !strings.HasPrefix(r.URL, "data:") && r.URL != "about:blank" {
			tab.t.Errorf("the page asks for %s, want nothing from elsewhere than %s", r.URL, home)
		}
	}
	tab.mu.Lock()
	defer tab.mu.Unlock()
	for _, cry := range tab.cries {
		tab.t.Errorf("a script of the page complains: %s", cry)
	}
}

// Picture writes what the tab shows, the whole page, as a PNG.
func (tab *Tab) Picture(file string) {
	tab.t.Helper()
	b := do(tab, "picture", chromedp.FullScreenshot(100))
	if err := os.WriteFile(file, b, 0o644); err != nil {
		tab.t.Fatal(err)
	}
}

//go:embed testdata/axe.min.js
var axe string

// Fault is what axe finds wrong for whoever sees, hears or moves otherwise.
type Fault struct {
	ID, Impact, Help string
	Nodes            []string
}

// Faults are the serious and critical faults of the page as it is, by the rules of WCAG 2.2 A and AA.
func (tab *Tab) Faults() []Fault {
	tab.t.Helper()
	do(tab, "axe", chromedp.Evaluate[chromedp.Void](axe+"\n;({})"))
	return Ask[[]Fault](tab, `axe.run(document, {resultTypes: ["violations"], preload: false, runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then((r) => r.violations.
		filter((v) => v.impact === "serious" || v.impact === "critical").
		map((v) => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.slice(0, 5).map((n) => n.target.join(" ") + " " + n.html.slice(0, 200) + " " + (n.failureSummary || "").slice(0, 300))})))`)
}

// Sideways is how many pixels of the page are only reached by scrolling it sideways, and by what. A phone's browser makes the window wider for
// them, so that it is no measure.
func (tab *Tab) Sideways() (pixels int, by string) {
	tab.t.Helper()
	pixels = Ask[int](tab, "Math.round(document.documentElement.scrollWidth - document.documentElement.clientWidth)")
	if pixels <= 0 {
		return 0, ""
	}
	return pixels, Ask[string](tab, `[...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && (!e.closest(".scroll") || getComputedStyle(e).position === "absolute")).slice(0, 5).map((e) => e.outerHTML.slice(0, 150)).join("\n")`)
}

// quote writes a text as JavaScript does.
func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}
