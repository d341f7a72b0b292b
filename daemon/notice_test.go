package daemon

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/console"
)

// A customer is told of the calls that were turned away on the way to their line, and of none that rang; a restart in between loses none. What is no
// target for notices is refused when it is set.
func TestCustomerIsTold(t *testing.T) {
	got := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- string(body)
	}))
	defer server.Close()
	c := installation(t, providing+"[[rule]]\nname = \"ours\"\nwhen = { list = [\"line:allowlist\"] }\naction = \"allow\"\n")
	c.Notify.WebhookPrivate, c.Notify.StarCode = true, "*58"
	d := in(start(t, c))
	provided(t, d)
	for _, wrong := range []string{"-oQ/tmp@b", "weekly a@b", "https://169.254.169.254/", "http://example.com/"} {
		if _, err := d.AddLines(t.Context(), []console.LineSet{{Name: "other", Numbers: &[]string{"05925550777"}, Notify: &wrong}}); err == nil || !strings.Contains(err.Error(), "notify") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if _, err := d.SetLine(t.Context(), console.LineSet{Name: "acme1", Notify: &server.URL}); err != nil {
		t.Fatal(err)
	}
	call := func(caller, name, callee string, keyed bridge.Keyed, failOpen string) {
		f := bridge.Facts{UUID: caller, Number: caller, FromUser: caller, Name: name, Callee: callee}
		v := d.Screen(&f)
		d.Record(&f, &v, bridge.Result{Keyed: keyed, FailOpen: failOpen})
	}
	call("13800138001", "x\r\nevil.com", "05925550100", bridge.KeyedWrong, "")
	call("13800138002", "", "05925550100", bridge.KeyedRight, "")
	call("13800138003", "", "05925550100", bridge.NotAsked, bridge.FailDeadline)
	call("13800138004", "", "05925550200", bridge.KeyedWrong, "") // the baker's
	call("13800138005", "", "05925550999", bridge.KeyedWrong, "") // nobody's
	halt(t, d.d)

	later := &Daemon{conf: c, version: "test", log: slog.New(slog.DiscardHandler), now: func() time.Time { return time.Now().Add(2 * time.Minute) }}
	if _, err := later.begin(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer halt(t, later)
	var m struct {
		Line    string
		Star    string `json:"star_code"`
		Stopped int
		Calls   []struct{ Caller, Name, Called, Action, Rule string }
	}
	select {
	case body := <-got:
		if err := json.Unmarshal([]byte(body), &m); err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was told")
	}
	if m.Line != "acme1" || m.Stopped != 1 || len(m.Calls) != 1 || m.Star != "*58" || m.Calls[0].Caller != "+8613800138001" || m.Calls[0].Name != "xevil. com" ||
		m.Calls[0].Action != "challenge" || m.Calls[0].Rule != "ask" || m.Calls[0].Called != "05925550100" {
		t.Errorf("told of %+v", m)
	}
	if len(got) > 0 {
		t.Errorf("told twice: %s", <-got)
	}
}
