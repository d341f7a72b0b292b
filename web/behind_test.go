package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ringfence/console"
)

const behindProxy = "listen = \"127.0.0.1:0\"\nurl = \"http://" + name + "\"\n"

// Behind a proxy on this machine somebody who guesses makes himself wait, and not whom he guesses for; who is no proxy says nothing of where he is.
func TestProxies(t *testing.T) {
	h := open(t, behindProxy+"trusted_proxies = [\"127.0.0.1\"]\n")
	h.base = "http://" + name
	admin := h.admin()
	h.user(admin, console.NewUser{Name: "anna", Role: console.Viewer})
	guesser := h.browser()
	waits := false
	for i := range 20 {
		got := guesser.form("/signin", url.Values{"name": {"anna"}, "password": {fmt.Sprint("guess number ", i)}}, header("X-Forwarded-For", fmt.Sprintf("192.0.2.%d, 198.51.100.66", i)))
		waits = waits || got.StatusCode == http.StatusTooManyRequests
	}
	if !waits {
		t.Error("who guesses through the proxy never waits")
	}
	signIn := func(b *browser, with ...func(*http.Request)) int {
		return b.form("/signin", url.Values{"name": {"anna"}, "password": {password}}, with...).StatusCode
	}
	if got := signIn(h.browser(), header("X-Forwarded-For", "198.51.100.66")); got != http.StatusTooManyRequests {
		t.Errorf("the right password from where the guesses come from: got %d", got)
	}
	if got := signIn(h.browser(), header("X-Forwarded-For", "203.0.113.5")); got != http.StatusSeeOther {
		t.Errorf("whom they are for signs in from elsewhere: got %d", got)
	}
	audit := admin.get("/api/v1/audit?what=sign&limit=100").text
	for _, address := range []string{"198.51.100.66", "203.0.113.5"} {
		if !strings.Contains(audit, `"address":"`+address+`"`) {
			t.Errorf("the audit does not name %s:\n%s", address, audit)
		}
	}
	if strings.Contains(audit, "192.0.2.") {
		t.Errorf("the audit believes the browser:\n%s", audit)
	}
	h.browser().get("/healthz?token=x", header("X-Forwarded-For", "203.0.113.9"))
	if !strings.Contains(h.log.String(), "from=203.0.113.9") {
		t.Errorf("the log does not say where a token in an address came from:\n%s", h.log)
	}

	plain := open(t, behindProxy)
	plain.base = "http://" + name
	root := plain.admin()
	plain.browser().form("/signin", url.Values{"name": {"admin"}, "password": {"a guess for the audit"}}, header("X-Forwarded-For", "203.0.113.5"))
	if audit := root.get("/api/v1/audit?what=sign").text; strings.Contains(audit, "203.0.113.5") {
		t.Errorf("without trusted_proxies anybody says where he comes from:\n%s", audit)
	}
}
