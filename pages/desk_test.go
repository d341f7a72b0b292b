package pages

import (
	"bytes"
	"context"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"ringfence/access"
	"ringfence/console"
)

// upload sends a form with a file.
func (h *house) upload(who *console.Who, path, name, text string, fields url.Values) answer {
	h.t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	f, err := m.CreateFormFile("file", name)
	if err != nil {
		h.t.Fatal(err)
	}
	f.Write([]byte(text))
	for key, values := range fields {
		m.WriteField(key, values[0])
	}
	m.Close()
	r := httptest.NewRequest("POST", path, &b)
	r.Header.Set("Content-Type", m.FormDataContentType())
	return h.ask(who, r, nil)
}

// whole fails where an answer is no whole, harmless page.
func (h *house) whole(what string, a answer) {
	h.t.Helper()
	harmless(h.t, what, elements(h.t, what, a.body))
	plain(h.t, what, a)
}

// TestListPage adds numbers to a list, finds them, sees their history, takes them off and undoes that.
func TestListPage(t *testing.T) {
	h := open(t)
	h.guard()
	wantHas(t, "an unused list", h.get(viewer, "/lists/blacklist"), "There is nothing on this list")
	wantStatus(t, "no list", h.get(viewer, "/lists/nothing"), http.StatusNotFound)
	wrong := h.post(reviewer, "/lists/blacklist", url.Values{"number": {"95211613, x<b>"}, "reason": {"loans"}})
	wantStatus(t, "no number", wrong, http.StatusBadRequest)
	wantHas(t, "no number", wrong, "Nothing was added.", `value="95211613, x<b>"`, `value="loans"`)
	h.whole("no number", wrong)
	if got := h.entries("blacklist"); len(got) != 0 {
		t.Fatalf("one of two went in: %q", got)
	}
	wantStatus(t, "a viewer", h.post(viewer, "/lists/blacklist", url.Values{"number": {"95211613"}}), http.StatusForbidden)
	added := h.post(reviewer, "/lists/blacklist", url.Values{"number": {"95211613，13800138000"}, "reason": {"loans"}, "expires": {"30d"}}, byHtmx)
	wantHas(t, "add", added, "2 numbers were added.", "Undo")
	if got := added.Header().Get("HX-Trigger"); got != "changed" {
		t.Errorf("the page is not told that the list is another: %q", got)
	}
	page := h.get(viewer, "/lists/blacklist")
	wantHas(t, "the list", page, "+8695211613", "+8613800138000", "loans")
	if strings.Contains(page.body, `name="number" value="+`) || strings.Contains(page.body, "/remove\" hx-post") && strings.Contains(page.body, "Take the chosen") {
		t.Error("a viewer is offered to take entries off")
	}
	found := h.get(viewer, "/lists/blacklist?find=0138000")
	wantHas(t, "search", found, "+8613800138000")
	if strings.Contains(found.body, "+8695211613<") || strings.Contains(found.body, "95211613</bdi>") {
		t.Error("the search shows what it does not hold for")
	}
	wantHas(t, "search for nothing", h.get(viewer, "/lists/blacklist?find=zebra"), "Nothing on this list says zebra")
	wantHas(t, "history of a number", h.get(viewer, "/lists?number=95211613"), "loans", "/lists/blacklist?find=")
	wantHas(t, "no number", h.get(viewer, "/lists?number=%3Cb%3E"), "<main")
	csv := h.get(viewer, "/lists/blacklist/export.csv")
	if !strings.HasPrefix(csv.body, "\ufefflist,number,reason") || !strings.Contains(csv.body, "blacklist,+8695211613,loans") {
		t.Errorf("the export is %q", csv.body)
	}
	removed := h.post(reviewer, "/lists/blacklist/remove", url.Values{"number": {"+8695211613"}}, byHtmx)
	wantHas(t, "remove", removed, "1 number was taken off.")
	if got := h.entries("blacklist"); len(got) != 1 {
		t.Fatalf("the list has %q", got)
	}
	h.post(reviewer, "/undo", url.Values{"change": {undoField.FindStringSubmatch(removed.body)[1]}}, byHtmx)
	if got := h.entries("blacklist"); len(got) != 2 {
		t.Fatalf("after undo the list has %q", got)
	}
	wantStatus(t, "nothing chosen", h.post(reviewer, "/lists/blacklist/remove", nil), http.StatusBadRequest)
	changes := h.get(reviewer, "/lists/blacklist/changes")
	wantHas(t, "changes", changes, "added", "undone", "taken off")
	h.whole("changes", changes)
}

// TestImportPage looks at what a file would do, does it, and takes it back as one change.
func TestImportPage(t *testing.T) {
	h := open(t)
	h.guard()
	file := "number,reason\n95211613,loans\nnonsense,x\n110,police\n13800138000,<script>alert(1)</script>\n"
	look := h.upload(reviewer, "/lists/blacklist/import", "bad \u202e.csv", file, url.Values{"preview": {"1"}})
	wantStatus(t, "preview", look, http.StatusOK)
	wantHas(t, "preview", look, "would do", "nonsense", "Columns", `name="import"`)
	h.whole("preview", look)
	if got := h.entries("blacklist"); len(got) != 0 {
		t.Fatalf("the preview put %q on the list", got)
	}
	did := h.post(reviewer, "/lists/blacklist/import", url.Values{"text": {file}, "name": {"bad.csv"}, "import": {"1"}})
	wantHas(t, "import", did, "bad.csv is imported", "Undo")
	h.whole("import", did)
	if got := h.entries("blacklist"); len(got) != 2 {
		t.Fatalf("the list has %q", got)
	}
	h.whole("the list", h.get(viewer, "/lists/blacklist"))
	h.post(reviewer, "/undo", url.Values{"change": {undoField.FindStringSubmatch(did.body)[1]}})
	if got := h.entries("blacklist"); len(got) != 0 {
		t.Errorf("after undo the list has %q", got)
	}
	wantStatus(t, "nothing", h.post(reviewer, "/lists/blacklist/import", url.Values{"import": {"1"}}), http.StatusBadRequest)
	wantStatus(t, "a viewer", h.post(viewer, "/lists/blacklist/import", url.Values{"text": {file}, "import": {"1"}}), http.StatusForbidden)
	strict := h.post(reviewer, "/lists/blacklist/import", url.Values{"text": {file}, "strict": {"1"}, "import": {"1"}})
	wantHas(t, "strict", strict, "Nothing is done, because lines are refused.")
}

// TestMarks goes through the queue: confirm and lift, dismiss, confirm what was dismissed.
func TestMarks(t *testing.T) {
	h := open(t)
	h.guard()
	ids := h.fill(16)
	ctx := console.WithWho(context.Background(), admin)
	var marks []string
	for _, id := range []string{ids[2], ids[9]} {
		c, err := h.desk.Correct(ctx, id)
		if err != nil || c.Report == nil {
			t.Fatalf("no report: %+v, %v", c, err)
		}
		marks = append(marks, c.Report.ID)
	}
	queue := h.get(reviewer, "/marks")
	wantHas(t, "queue", queue, "2 marks", `data-key="c"`, `data-key="p"`, `data-key="d"`, "/marks/"+marks[0]+"/evidence")
	h.whole("queue", queue)
	if a := h.get(viewer, "/marks"); strings.Contains(a.body, `data-key="c"`) {
		t.Error("a viewer is offered to confirm")
	}
	for _, at := range []string{"/marks/" + marks[0], "/marks/" + marks[0] + "/evidence", "/marks/" + marks[0] + "/confirm"} {
		for _, headers := range [][]string{nil, {byHtmx}} {
			a := h.get(reviewer, at, headers...)
			wantStatus(t, at, a, http.StatusOK)
			h.whole(at, a)
			wantHas(t, at, a, "would have stopped")
		}
	}
	wantStatus(t, "a viewer", h.get(viewer, "/marks/"+marks[0]+"/confirm"), http.StatusForbidden)
	wantStatus(t, "a viewer", h.post(viewer, "/marks/"+marks[0]+"/confirm", nil), http.StatusForbidden)
	wantStatus(t, "no range is proposed", h.get(reviewer, "/marks/"+marks[0]+"/confirm?range=1"), http.StatusConflict)
	wantStatus(t, "no mark", h.get(reviewer, "/marks/"+ids[0]), http.StatusNotFound)
	done := h.post(reviewer, "/marks/"+marks[0]+"/confirm", nil, byHtmx)
	wantHas(t, "confirm", done, "is on blacklist", "/marks/"+marks[0]+"/lift", `data-key="u"`)
	if got := h.entries("blacklist"); len(got) != 1 || !strings.HasPrefix(got[0], "+8613800130002 ") {
		t.Fatalf("the list has %q", got)
	}
	wantHas(t, "lift", h.post(reviewer, "/marks/"+marks[0]+"/lift", nil), "is off blacklist again")
	if got := h.entries("blacklist"); len(got) != 0 {
		t.Errorf("after lifting the list has %q", got)
	}
	wantHas(t, "dismiss", h.post(reviewer, "/marks/"+marks[1]+"/dismiss", nil, byHtmx), "is dismissed")
	wantHas(t, "the queue is done", h.get(reviewer, "/marks"), "Nothing waits for review")
	wantHas(t, "dismissed", h.get(reviewer, "/marks?state=dismissed"), "/marks/"+marks[1]+"/confirm")
}

var etagField = regexp.MustCompile(`name="etag" value="([^"]+)"`)

// TestPolicyPage breaks the policy, reads the fault at its line, mends it, tries it, puts it in force, loses a race, and goes back.
func TestPolicyPage(t *testing.T) {
	h := open(t)
	h.guard()
	h.fill(60)
	page := h.get(admin, "/policy")
	wantHas(t, "editor", page, "country = \"CN\"", "Activate", "in force")
	h.whole("editor", page)
	etag := etagField.FindStringSubmatch(page.body)[1]
	if a := h.get(viewer, "/policy"); strings.Contains(a.body, "Activate") || !strings.Contains(a.body, "Your role may look") {
		t.Error("a viewer is offered to change the policy, or not told why not")
	}
	broken := strings.Replace(samplePolicy, `action = "reject"`, `action = "rejct"`, 1)
	line := strings.Count(broken[:strings.Index(broken, "rejct")], "\n") + 1
	faults := h.post(admin, "/policy/check", url.Values{"text": {strings.ReplaceAll(broken, "\n", "\r\n")}}, byHtmx)
	at := regexp.MustCompile(`data-line="([0-9]+)" data-level="bad"`).FindStringSubmatch(faults.body)
	if at == nil || !strings.Contains(faults.body, "rejct") {
		t.Fatalf("line %d has no fault: %s", line, faults.body)
	}
	refused := h.post(admin, "/policy", url.Values{"text": {broken}, "etag": {etag}, "note": {"oops"}})
	wantStatus(t, "a broken one", refused, http.StatusBadRequest)
	wantHas(t, "a broken one", refused, "This cannot be put in force", "rejct", `value="oops"`, `class="bad">`+at[1]+"<")
	better := strings.Replace(samplePolicy, `action = "reject"`, `action = "challenge"`, 1)
	tried := h.post(reviewer, "/policy/try", url.Values{"text": {better}, "etag": {etag}, "days": {"7"}})
	wantStatus(t, "try", tried, http.StatusOK)
	wantHas(t, "try", tried, "What it would have done in the last 7 days")
	h.whole("try", tried)
	wantStatus(t, "a reviewer", h.post(reviewer, "/policy", url.Values{"text": {better}, "etag": {etag}}), http.StatusForbidden)
	put := h.post(admin, "/policy", url.Values{"text": {better}, "etag": {etag}, "note": {"gentler"}})
	wantHas(t, "activate", put, "The policy is in force.")
	// Somebody else began from the same text.
	theirs := strings.Replace(samplePolicy, `hold = "24h"`, `hold = "12h"`, 1)
	lost := h.post(admin, "/policy", url.Values{"text": {theirs}, "etag": {etag}})
	wantStatus(t, "conflict", lost, http.StatusConflict)
	wantHas(t, "conflict", lost, "From what it is now to your text", `hold = "12h"`, `action = "challenge"`, "Put mine over it")
	h.whole("conflict", lost)
	versions := h.get(viewer, "/policy/versions")
	wantHas(t, "history", versions, "gentler", "Ann")
	ids := regexp.MustCompile(`href="/policy/versions/([0-9a-f]{12})"`).FindAllStringSubmatch(versions.body, -1)
	if len(ids) < 2 {
		t.Fatalf("the history has %d versions, want 2: %s", len(ids), versions.body)
	}
	old := h.get(admin, "/policy/versions/"+ids[len(ids)-1][1])
	wantHas(t, "an old one", old, `action = "challenge"`, `action = "reject"`, "Go back to this version")
	h.whole("an old one", old)
	back := h.get(admin, "/policy?from="+ids[len(ids)-1][1])
	wantHas(t, "roll back", back, "The editor holds version", `action = "reject"`)
	done := h.post(admin, "/policy", url.Values{"text": {samplePolicy}, "etag": {etagField.FindStringSubmatch(back.body)[1]}})
	wantHas(t, "roll back", done, "The policy is in force.")
	p, err := h.desk.Policy(context.Background())
	if err != nil || p.Text != samplePolicy {
		t.Errorf("after rolling back the file has %q, error %v", p.Text, err)
	}
	if b, err := os.ReadFile(p.File); err != nil || string(b) != samplePolicy {
		t.Errorf("the file has %q, %v", b, err)
	}
}

// TestRangesPage drills down to a campaign, holds a breaker, and lets go of it.
func TestRangesPage(t *testing.T) {
	h := open(t)
	h.guard()
	h.fill(60)
	wantHas(t, "all", h.get(viewer, "/ranges"), "/ranges?prefix=9")
	down := h.get(viewer, "/ranges?prefix=9521")
	wantHas(t, "9521", down, "95211", "/calls?caller=95211%2A", "All numbers")
	h.whole("9521", down)
	wantHas(t, "the callers behind their number", down, `<td class="r"><a href="/ranges?prefix=95211">`)
	wantHas(t, "the calls that were over at once", h.get(viewer, "/ranges"), "max_talk=6&outcome=answered&since=7d")
	wantHas(t, "no range", h.get(viewer, "/ranges?prefix=95x"), "is no beginning of a number")
	v := url.Values{"do": {"open"}, "detector": {"range wakes"}, "key": {"952116"}}
	wantStatus(t, "a reviewer", h.get(reviewer, "/ranges/breaker?"+v.Encode()), http.StatusForbidden)
	wantStatus(t, "a reviewer", h.post(reviewer, "/ranges/breaker", v), http.StatusForbidden)
	wantHas(t, "ask", h.get(admin, "/ranges/breaker?"+v.Encode(), byHtmx), "It counts as tripped until somebody unpins it")
	wantHas(t, "pin", h.post(admin, "/ranges/breaker", v, byHtmx), "is pinned tripped")
	wantHas(t, "pinned", h.get(viewer, "/ranges"), "pinned tripped", "952116")
	v.Set("do", "unpin")
	wantHas(t, "unpin", h.post(admin, "/ranges/breaker", v), "is unpinned")
	v.Set("do", "explode")
	wantStatus(t, "nothing such", h.post(admin, "/ranges/breaker", v), http.StatusBadRequest)
}

// TestPeoplePage invites somebody, makes a token that is seen once, and reads of it in the audit.
func TestPeoplePage(t *testing.T) {
	h := open(t)
	h.guard()
	for _, who := range []*console.Who{viewer, reviewer} {
		for _, at := range []string{"/people", "/people/audit"} {
			wantStatus(t, string(who.Role)+" "+at, h.get(who, at), http.StatusForbidden)
		}
	}
	// Whose session is not of the last minutes is told what to do, beside the form.
	old := h.post(admin, "/people/tokens", url.Values{"name": {"crm"}, "role": {"admin"}})
	wantStatus(t, "an old session", old, http.StatusConflict)
	wantHas(t, "an old session", old, access.AgainPath, `name="expires"`)
	admin := h.signIn(console.NewUser{Name: "ann", Role: console.Admin})
	made := h.post(admin, "/people/users", url.Values{"name": {"li"}, "role": {"reviewer"}, "lines": {"staff, hotline"}})
	wantHas(t, "invite", made, "One-time link for li", "/welcome/", "staff, hotline")
	h.whole("invite", made)
	wantStatus(t, "again", h.post(admin, "/people/users", url.Values{"name": {"li"}, "role": {"reviewer"}}), http.StatusConflict)
	wantStatus(t, "no role", h.post(admin, "/people/users", url.Values{"name": {"wu"}, "role": {"king"}}), http.StatusBadRequest)
	token := h.post(admin, "/people/tokens", url.Values{"name": {"crm"}, "role": {"viewer"}, "expires": {"30d"}})
	secret := regexp.MustCompile(`rf_[A-Za-z0-9_-]{20,}`).FindString(token.body)
	if secret == "" {
		t.Fatalf("no secret: %s", token.body)
	}
	page := h.get(admin, "/people")
	if strings.Contains(page.body, secret) {
		t.Error("the secret of a token is shown again")
	}
	wantHas(t, "people", page, "crm", "li")
	wantHas(t, "change", h.post(admin, "/people/users/li/set", url.Values{"role": {"viewer"}, "lines": {"staff"}}), "li is changed.")
	wantHas(t, "remove", h.post(admin, "/people/users/li/remove", nil), "li is removed.")
	id := regexp.MustCompile(`/people/tokens/([^/"]+)/revoke`).FindStringSubmatch(page.body)[1]
	wantHas(t, "revoke", h.post(admin, "/people/tokens/"+id+"/revoke", nil, byHtmx), "The token crm is revoked.")
	wantHas(t, "audit", h.get(admin, "/people/audit"), "user add", "token add", "token revoke", "user remove")
	if a := h.get(admin, "/people/audit?what=token"); strings.Contains(a.body, "user add") {
		t.Error("the filter of the audit does not hold")
	}
}

// TestHealthPage pauses and resumes, reads the policy again, and takes a backup.
func TestHealthPage(t *testing.T) {
	h := open(t)
	h.guard()
	page := h.get(viewer, "/health")
	wantHas(t, "health", page, "range wakes", "pbx1", "/calls?since=")
	for _, text := range []string{"/health/pause", "/health/backup"} {
		if strings.Contains(page.body, text) {
			t.Errorf("a viewer is offered %s", text)
		}
		wantStatus(t, "a viewer", h.post(viewer, text, nil), http.StatusForbidden)
	}
	wantStatus(t, "for how long", h.post(admin, "/health/pause", url.Values{"for": {"x"}}), http.StatusBadRequest)
	wantHas(t, "pause", h.post(admin, "/health/pause", url.Values{"for": {"10m"}}, byHtmx), "Screening is paused until")
	wantHas(t, "resume", h.post(admin, "/health/resume", nil, byHtmx), "Calls are screened again.")
	wantHas(t, "reload", h.post(admin, "/health/reload", nil, byHtmx), "The policy is in force: 3 rules.")
	backup := h.post(admin, "/health/backup", nil)
	if backup.Code != http.StatusOK || backup.Body.Len() < 10_000 || !strings.Contains(backup.Header().Get("Content-Disposition"), ".db") {
		t.Errorf("the backup: status %d, %d bytes, %q", backup.Code, backup.Body.Len(), backup.Header().Get("Content-Disposition"))
	}
}

// TestLinesPage has who is bound see and set their own line, and nothing of another.
func TestLinesPage(t *testing.T) {
	h := open(t)
	h.guard()
	ctx := console.WithWho(context.Background(), admin)
	var add []console.LineSet
	for name, number := range map[string]string{"bakery": "05925560001", "doctor": "05925560002"} {
		add = append(add, console.LineSet{Name: name, Numbers: &[]string{number}})
	}
	if _, err := h.desk.AddLines(ctx, add); err != nil {
		t.Fatal(err)
	}
	bound := h.signIn(console.NewUser{Name: "bea", Role: console.Reviewer, Lines: []string{"bakery", "staff"}})
	start := h.get(bound, "/lines")
	wantHas(t, "start", start, "Your lines", "/lines/bakery", "/lists/bakery:allowlist", "/lists/staff:allowlist", "/calls?line=bakery")
	h.whole("start", start)
	for _, at := range []string{"/lines", "/lists", "/lines/bakery", "/marks"} {
		if a := h.get(bound, at); strings.Contains(a.body, "doctor") || a.Code != http.StatusOK {
			t.Errorf("%s: status %d, or it tells of another line", at, a.Code)
		}
	}
	for _, at := range []string{"/lines/doctor", "/lists/doctor:blacklist", "/lists/blacklist", "/lists/blacklist/import", "/ranges", "/policy", "/people", "/health", "/policy/versions", "/people/audit", "/lists/doctor:blacklist/export.csv", "/ranges/breaker?do=reset&detector=a&key=b"} {
		wantStatus(t, at, h.get(bound, at), http.StatusNotFound)
	}
	wantStatus(t, "another's line", h.post(bound, "/lines/doctor", url.Values{"mode": {"off"}}), http.StatusNotFound)
	wantStatus(t, "another's list", h.post(bound, "/lists/doctor:blacklist", url.Values{"number": {"95211613"}}), http.StatusNotFound)
	wantStatus(t, "the profile", h.post(bound, "/lines/bakery", url.Values{"profile": {"x"}}, byHtmx), http.StatusForbidden)
	wantHas(t, "mode", h.post(bound, "/lines/bakery", url.Values{"mode": {"observe"}}, byHtmx), "bakery is set.")
	wantHas(t, "mode", h.get(bound, "/lines/bakery"), "every call rings")
	wantHas(t, "own list", h.post(bound, "/lists/bakery:allowlist", url.Values{"number": {"95211613"}}, byHtmx), "1 number was added.")
	if got := h.entries("bakery:allowlist"); len(got) != 1 {
		t.Errorf("the line's list has %q", got)
	}
	wantHas(t, "all lines", h.get(viewer, "/lines"), "bakery", "doctor", "staff", "hotline")
	wantStatus(t, "no line", h.get(viewer, "/lines/nobody"), http.StatusNotFound)
}

// TestDiff holds that the lines of a diff make each of the two texts, and that no line is called changed which is not.
func TestDiff(t *testing.T) {
	for _, test := range [][2]string{
		{"a\nb\nc\n", "a\nx\nc\n"},
		{"", "a\n"},
		{"a\n", ""},
		{"a\nb\n", "b\na\n"},
		{"same\n", "same\n"},
		{"a\na\na\nb\n", "a\nb\na\n"},
		{strings.Repeat("a\nb\n", 3000), strings.Repeat("b\na\n", 3000)},
		{strings.Repeat("l\n", 50) + "x\n", strings.Repeat("l\n", 50) + "y\n"},
	} {
		var before, after []string
		skipped, begun := 0, time.Now()
		for _, l := range diffOf(test[0], test[1]) {
			switch l.Kind {
			case "same":
				before, after = append(before, l.Text), append(after, l.Text)
			case "gone":
				before = append(before, l.Text)
			case "new":
				after = append(after, l.Text)
			case "skip":
				skipped += l.N
			}
		}
		a, b := linesOf(test[0]), linesOf(test[1])
		if len(before)+skipped != len(a) || len(after)+skipped != len(b) {
			t.Errorf("%.20q to %.20q: %d and %d lines with %d left out, want %d and %d", test[0], test[1], len(before), len(after), skipped, len(a), len(b))
		}
		if skipped == 0 && (strings.Join(before, "\n") != strings.Join(a, "\n") || strings.Join(after, "\n") != strings.Join(b, "\n")) {
			t.Errorf("%.20q to %.20q: the diff has %.40q and %.40q", test[0], test[1], before, after)
		}
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("%.20q: it took %v", test[0], took)
		}
	}
}

// TestChangeOfNode says of a change that came from another node from which, which is text and no markup.
func TestChangeOfNode(t *testing.T) {
	p, err := New(Options{Desk: fullSample(), Policy: samplePolicyOf})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	served(p, &console.Who{Name: "Ann", Way: console.BySession, Role: console.Admin}).ServeHTTP(w, httptest.NewRequest("GET", "/lists/blacklist/changes", nil))
	for _, want := range []string{"taken over", "on pbx2&lt;b&gt;"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("status %d: the page does not say %q", w.Code, want)
		}
	}
}
