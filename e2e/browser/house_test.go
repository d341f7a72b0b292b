package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/daemon"
	"ringfence/e2e/setup"
	"ringfence/standin"
)

const housePolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[lines.staff]
numbers = ["05925550000-05925550999"]
[lines.shop]
numbers = ["4008001234"]
[[rule]]
name = "known"
when = { list = ["line:allowlist", "allowlist"] }
action = "allow"
[[rule]]
name = "listed"
when = { list = ["line:blacklist", "blacklist"] }
action = "reject"
sip = 603
[[rule]]
name = "sales"
when = { caller = ["9521????"] }
action = "tag"
label = "外呼"
[[rule]]
name = "loan offers"
when = { caller = ["9524????"] }
action = "reject"
sip = 603
`

const password = "a line of three birds"

// The Chromium of all tests of this package: starting one takes seconds.
var one struct {
	once   sync.Once
	ctx    context.Context
	end    func()
	err    error
	folder string
}

func TestMain(m *testing.M) {
	code := m.Run()
	if one.end != nil {
		one.end()
	}
	if one.folder != "" {
		os.RemoveAll(one.folder)
	}
	os.Exit(code)
}

// chromium starts it, or says that nothing was tested.
func chromium(t *testing.T) context.Context {
	t.Helper()
	one.once.Do(func() {
		if one.folder, one.err = os.MkdirTemp("", "chromium-"); one.err == nil {
			one.ctx, one.end, one.err = Start(context.Background(), one.folder)
		}
	})
	if errors.Is(one.err, ErrNoChromium) && os.Getenv("RINGFENCE_NEED_CHROMIUM") == "" {
		t.Skipf("NOT TESTED: %v; the pages were read, not looked at", one.err)
	}
	if one.err != nil {
		t.Fatal(one.err)
	}
	return one.ctx
}

// house is a daemon with a console, a switch that places calls to it, and its administrator's browser.
type house struct {
	t       *testing.T
	browser context.Context
	d       *daemon.Daemon
	file    string // its ringfence.toml
	sw      *standin.Switch
	home    string // http://127.0.0.1:PORT
	admin   *Tab
}

// newHouse starts all; the administrator has come by the link that the daemon tells at its first start.
func newHouse(t *testing.T) *house {
	t.Helper()
	browser := chromium(t)
	d, file := setup.StartDaemonWith(t, housePolicy, "[console]\nlisten = \"127.0.0.1:0\"")
	h := &house{t: t, browser: browser, d: d, file: file, sw: &standin.Switch{Address: d.Address(), Speed: 20}, home: d.ConsoleAddress()}
	h.admin = NewTab(t, browser)
	h.admin.Language("en")
	return h
}

// welcome opens a one-time link and chooses the password.
func (tab *Tab) welcome(link string) {
	tab.t.Helper()
	tab.Go(link)
	tab.Fill("input[name=password]", password)
	tab.Fill("input[name=again]", password)
	tab.Click("form.card button")
	tab.Shows("nav", "Calls")
}

// user makes a user and gives the browser in which it has come by its link.
func (h *house) user(u console.NewUser) *Tab {
	h.t.Helper()
	made, err := h.d.Desk().AddUser(h.t.Context(), u)
	if err != nil {
		h.t.Fatal(err)
	}
	tab := NewTab(h.t, h.browser)
	tab.Language("en")
	tab.welcome(h.home + made.Link)
	return tab
}

// call places a call and gives what became of it.
func (h *house) call(from, to, name string) standin.Result {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	r, err := h.sw.Place(ctx, standin.Call{From: from, Display: name, To: to})
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// row selects the row of a caller.
func row(caller string) string {
	return fmt.Sprintf("tr[data-row]:has(.from a[href$=%q])", "86"+caller)
}

// record is the last call of a caller that the journal has.
func (h *house) record(caller string) console.Record {
	h.t.Helper()
	var last console.Record
	for end := time.Now().Add(time.Minute); ; <-time.After(look) {
		err := h.d.Desk().Journal(h.t.Context(), console.Query{}, func(r console.Record) error {
			if r.Caller.E164 == "+86"+strings.TrimPrefix(caller, "0") {
				last = r
			}
			return nil
		})
		if err != nil {
			h.t.Fatal(err)
		}
		if last.ID != "" {
			return last
		}
		if time.Now().After(end) {
			h.t.Fatalf("the journal has no call of %s", caller)
		}
	}
}

// waitForStream waits until the page hears of calls as they come.
func (h *house) waitForStream(tab *Tab) {
	h.t.Helper()
	for end := time.Now().Add(pageWait); ; <-time.After(look) {
		followed, _ := h.d.Desk().Followed()
		if followed > 0 && tab.Streams() > 0 {
			return
		}
		if time.Now().After(end) {
			h.t.Fatalf("%d streams are followed, and the page has opened %d", followed, tab.Streams())
		}
	}
}
