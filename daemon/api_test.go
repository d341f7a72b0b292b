package daemon

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ringfence/access"
	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/console"
	"ringfence/console/apitest"
)

const watching = bounding + `
[[detector]]
name = "range wakes"
key = "prefix"
depth = { 6 = 20 }
count = "strangers"
window = "3h"
hold = "24h"
`

// notServed are operations that this installation can only refuse: it has no feeds and no cluster.
var notServed = map[string]bool{
	"POST /api/v1/feeds/{list}/fetch": true, "POST /api/v1/feeds/{list}/accept": true, "GET /api/v1/cluster": true, "POST /api/v1/cluster/held/{id}/take": true, "POST /api/v1/cluster/held/{id}/refuse": true, "DELETE /api/v1/cluster/nodes/{node}": true,
}

// Each operation of the API is as its document says, against a real daemon: once answered and once refused.
// long: because it is one request a line, in the order in which each has what it needs of those before.
func TestEachOperation(t *testing.T) {
	d := in(start(t, installation(t, watching)))
	provided(t, d)
	for _, caller := range []string{"95211613", "95211614"} {
		f := bridge.Facts{UUID: caller, Number: caller, FromUser: caller, Callee: "05925550100"}
		v := d.Screen(&f)
		d.Record(&f, &v, bridge.Result{Keyed: bridge.KeyedRight})
		d.Ended(attach.CallEnd{
			UUID: caller, OtherUUID: "leg" + caller, Inbound: true, Caller: caller, Callee: "05925550100", RingfenceID: v.ID,
			Answered: true, Bridged: true, Ring: time.Second, Talk: 3 * time.Second, By: attach.ByCaller,
		})
	}
	flushed(t, d)

	made, err := d.d.book.AddToken(startedBy, console.NewToken{Name: "script", Role: console.Admin})
	if err != nil {
		t.Fatal(err)
	}
	guard := console.Handler(access.Guard(d.d.Desk(), d.d.book))
	checker := apitest.Check(t, console.OpenAPI, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := d.d.book.Token(made.Secret, "127.0.0.1")
		if r.Header.Get("As") == "nobody" {
			who.Role = "" // a role that covers nothing
		}
		guard.ServeHTTP(w, r.WithContext(console.WithWho(r.Context(), who)))
	}))
	server := httptest.NewServer(checker)
	defer server.Close()

	// ask asks, and gives the answer's header and text.
	ask := func(want int, method, path, body string, headers ...string) (http.Header, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/api/v1/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.Contains(path, "/import"):
			r.Header.Set("Content-Type", "application/octet-stream")
		case body != "":
			r.Header.Set("Content-Type", "application/json")
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s %s: got %s (%v), want %d: %.400s", method, path, resp.Status, err, want, text)
		}
		return resp.Header, string(text)
	}
	// id is the first text of a name in an answer.
	id := func(text, name string) string {
		t.Helper()
		_, rest, ok := strings.Cut(text, `"`+name+`":`)
		if !ok {
			t.Fatalf("there is no %s in %.400s", name, text)
		}
		return strings.Trim(rest[:strings.IndexAny(rest, ",}\n")], `"`)
	}

	ask(200, "POST", "check", `{"caller":"95211613","callee":"05925550100"}`)
	ask(400, "POST", "check", `{"callr":"95211613"}`)

	_, calls := ask(200, "GET", "calls?limit=10&order=oldest", "")
	call := id(calls, "id")
	ask(200, "GET", "calls?page=1&limit=1&min_talk=1", "")
	ask(400, "GET", "calls?limit=x", "")
	ask(200, "GET", "calls/"+call, "")
	ask(400, "GET", "calls/none", "")
	ask(404, "GET", "calls/01JDZZZZZZZZZZZZZZZZZZZZZZ", "")
	ask(404, "POST", "calls/01JDZZZZZZZZZZZZZZZZZZZZZZ/correct", "{}")
	ask(200, "GET", "activity?step=5m", "")
	ask(400, "GET", "activity?step=x", "")
	ask(200, "GET", "ranges?prefix=9521", "")
	ask(400, "GET", "ranges?look=x", "")
	ask(200, "GET", "effect?pattern=952116%3F%3F&list=blacklist", "")
	ask(400, "GET", "effect?pattern=x", "")

	header, added := ask(200, "POST", "lists/blacklist/entries", `[{"number":"9520131?","reason":"prize calls"}]`)
	change := id(added, "id")
	ask(200, "GET", "lists/blacklist/entries", "", "If-None-Match", `"another"`)
	ask(304, "GET", "lists/blacklist/entries", "", "If-None-Match", header.Get("ETag"))
	ask(404, "GET", "lists/none/entries", "")
	again, text := ask(200, "POST", "lists/blacklist/entries", `[{"number":"9520131?","reason":"prize calls"}]`, "If-Match", header.Get("ETag"))
	if again.Get("ETag") != header.Get("ETag") || !strings.Contains(text, `"unchanged"`) {
		t.Errorf("adding what is there: got %s and the state %s, want it unchanged and the state %s", text, again.Get("ETag"), header.Get("ETag"))
	}
	ask(412, "POST", "lists/blacklist/entries", `[{"number":"95201399"}]`, "If-Match", `"another"`)
	ask(412, "DELETE", "lists/blacklist/entries", `["9520131?"]`, "If-Match", `"another"`)
	gone, _ := ask(200, "DELETE", "lists/blacklist/entries", `["9520131?"]`, "If-Match", header.Get("ETag"))
	if gone.Get("ETag") == header.Get("ETag") || gone.Get("ETag") == "" {
		t.Errorf("the state after an entry was removed is %q, as before", gone.Get("ETag"))
	}
	own, _ := ask(200, "POST", "lists/acme1:blacklist/entries", `[{"number":"95211699"}]`)
	ask(200, "POST", "lists/acme2:blacklist/entries", `[{"number":"95211699"}]`)
	ask(304, "GET", "lists/acme1:blacklist/entries", "", "If-None-Match", own.Get("ETag")) // another line's edits are nothing to it
	ask(412, "POST", "lists/acme1:blacklist/entries", `[{"number":"95211698"}]`, "If-Match", `"another"`)
	ask(200, "GET", "lists", "")
	ask(404, "GET", "lists?line=none", "")
	ask(200, "POST", "lists/blacklist/import?file=x.txt&dry_run=true", "95211600\n")
	ask(400, "POST", "lists/blacklist/import?dryrun=true", "95211600\n")
	ask(200, "GET", "changes?list=blacklist", "")
	ask(200, "GET", "changes?pattern=9520131%3F", "")
	ask(200, "POST", "changes/"+change+"/undo", "")
	ask(400, "POST", "changes/x/undo", "")
	ask(200, "GET", "feeds", "")
	ask(404, "POST", "feeds/none/fetch", "")
	ask(404, "POST", "feeds/none/accept", "")

	_, corrected := ask(200, "POST", "calls/"+call+"/correct", "{}")
	report := id(corrected, "id")
	ask(200, "GET", "reports?state=open", "")
	ask(400, "GET", "reports?state=lost", "")
	ask(200, "POST", "reports", `{"caller":"95211614","callee":"05925550100"}`)
	ask(400, "POST", "reports", `{"caller":"x"}`)
	ask(200, "GET", "reports/"+report, "")
	ask(404, "GET", "reports/none", "")
	for _, what := range []string{"confirm", "lift", "dismiss"} {
		ask(404, "POST", "reports/none/"+what, "{}")
	}
	ask(200, "POST", "reports/"+report+"/confirm", "{}")
	ask(200, "POST", "reports/"+report+"/lift", "{}")
	_, open := ask(200, "GET", "reports?state=open", "")
	ask(200, "POST", "reports/"+id(open, "id")+"/dismiss", "{}")

	ask(200, "GET", "detectors?all=true", "")
	ask(200, "GET", "detectors/settings", "")
	for _, what := range []string{"pin", "unpin", "reset"} {
		ask(200, "POST", "detectors/range%20wakes/"+what, `{"key":"952116","how":"open"}`)
		ask(404, "POST", "detectors/none/"+what, `{"key":"952116","how":"open"}`)
	}
	ask(200, "GET", "score/fit", "")
	ask(400, "GET", "score/fit?since=x", "")

	header, text = ask(200, "GET", "policy", "")
	ask(304, "GET", "policy", "", "If-None-Match", header.Get("ETag"))
	var policy console.PolicyText
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		t.Fatal(err)
	}
	body := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	ask(400, "PUT", "policy", body(console.PolicyEdit{Text: policy.Text}))
	ask(409, "PUT", "policy", body(console.PolicyEdit{Text: policy.Text + "\n"}), "If-Match", `"another"`)
	ask(200, "PUT", "policy", body(console.PolicyEdit{Text: policy.Text + "\n# more\n"}), "If-Match", header.Get("ETag"))
	ask(200, "POST", "policy/check", `{"text":"x"}`)
	ask(400, "POST", "policy/check", `{"txt":"x"}`)
	ask(200, "POST", "policy/try", body(console.TryQuery{Text: policy.Text}))
	ask(400, "POST", "policy/try", `{"text":"","days":99}`)
	ask(200, "POST", "policy/reload", "")
	_, versions := ask(200, "GET", "policy/versions", "")
	ask(200, "GET", "policy/versions/"+id(versions, "id"), "")
	ask(404, "GET", "policy/versions/none", "")

	ask(200, "POST", "lines", `[{"name":"new","numbers":["05925550400"]}]`)
	ask(400, "POST", "lines", `[{"name":"a b","numbers":["x"]}]`)
	ask(200, "GET", "lines?customer=acme", "")
	ask(200, "GET", "lines/new", "")
	ask(200, "PATCH", "lines/new", `{"mode":"off"}`)
	ask(400, "PATCH", "lines/new", `{"mode":"on"}`)
	ask(200, "GET", "lines/new/changes", "")
	ask(200, "DELETE", "lines", `["new"]`)
	ask(400, "DELETE", "lines", `{"name":"new"}`)
	ask(200, "POST", "lines/import?dry_run=true", "name,numbers\nother,05925550401\n")
	ask(400, "POST", "lines/import?dryrun=true", "name,numbers\n")
	ask(200, "GET", "usage?customer=acme", "")
	ask(400, "GET", "usage?since=x", "")

	ask(200, "GET", "known?caller=13800138000", "")
	ask(200, "POST", "known/import?line=acme1&dry_run=true", "13800138000\n")
	ask(400, "POST", "known/import?line=none", "13800138000\n")
	ask(200, "POST", "known/forget", `{"number":"13800138000"}`)
	ask(400, "POST", "known/forget", `{"number":""}`)
	ask(200, "GET", "held?number=95211614", "")
	ask(400, "GET", "held?number=95211614&since=x", "")
	ask(200, "POST", "forget", `{"number":"95211614","dry_run":true}`)
	ask(400, "POST", "forget", `{"number":""}`)

	ask(200, "POST", "users", `{"name":"liu","role":"viewer"}`)
	ask(400, "POST", "users", `{"name":"liu","role":"king"}`)
	ask(200, "GET", "users", "")
	ask(200, "PATCH", "users/liu", `{"role":"reviewer"}`)
	ask(404, "PATCH", "users/none", `{"role":"reviewer"}`)
	ask(200, "DELETE", "users/liu", "")
	ask(403, "DELETE", "users/liu", "", "As", "nobody")
	_, token := ask(200, "POST", "tokens", `{"name":"cron","role":"viewer"}`)
	ask(400, "POST", "tokens", `{"name":"cron2","role":"king"}`)
	ask(200, "GET", "tokens", "")
	ask(200, "DELETE", "tokens/"+id(token, "id"), "")
	ask(404, "DELETE", "tokens/none", "")
	first, err := d.d.book.FirstLink()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.d.book.Redeem(t.Context(), first, "a word for this test", access.Origin{Address: "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	_, sessions := ask(200, "GET", "sessions", "")
	ask(200, "DELETE", "sessions/"+id(sessions, "id"), "")
	ask(404, "DELETE", "sessions/none", "")
	ask(200, "GET", "audit?limit=3", "")
	ask(400, "GET", "audit?limit=x", "")

	ask(200, "GET", "status", "")
	ask(200, "POST", "pause", `{"seconds":60}`)
	ask(400, "POST", "pause", `{"minutes":1}`)
	ask(200, "DELETE", "pause", "")
	ask(404, "GET", "cluster", "")
	ask(404, "DELETE", "cluster/nodes/pbx2", "")
	ask(404, "POST", "cluster/held/1/take", "{}")
	ask(404, "POST", "cluster/held/1/refuse", "{}")
	ask(200, "POST", "cluster/nodes/pbx2/undo", `{"since":"2026-11-28T08:00:00Z"}`)
	ask(200, "GET", "backup", "")
	ask(200, "POST", "storage/verify", "")
	ask(200, "GET", "openapi.json", "")
	ask(200, "DELETE", "calls?caller=95211614", "")
	ask(400, "DELETE", "calls?limit=x", "")

	// What has no refusal of its own is refused to who may nothing.
	for _, path := range []string{
		"GET feeds", "GET lists", "GET policy", "POST policy/reload", "GET policy/versions", "GET detectors", "GET detectors/settings", "GET lines", "GET lines/new", "GET lines/new/changes",
		"GET users", "GET tokens", "GET sessions", "GET status", "DELETE pause", "GET backup", "POST storage/verify", "GET changes", "GET known",
	} {
		method, path, _ := strings.Cut(path, " ")
		ask(403, method, path, "", "As", "nobody")
	}

	// The stream goes on until somebody goes.
	r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/api/v1/calls/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || line != ": following\n" {
		t.Errorf("the stream begins with %q (%v)", line, err)
	}
	resp.Body.Close()
	server.Close()

	for _, operation := range console.Routes() {
		good, refused := checker.Seen(operation)
		switch operation {
		case "GET /api/v1/calls/stream", "GET /api/v1/openapi.json":
			refused = true // the port alone does; a stream has begun by then, and says why it ends
		}
		if !(good || notServed[operation]) || !refused {
			t.Errorf("%s: answered %v, refused %v", operation, good, refused)
		}
	}
}
