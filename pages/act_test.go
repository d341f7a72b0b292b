package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"ringfence/console"
)

// entries are what is on a list.
func (h *house) entries(list string) (all []string) {
	h.t.Helper()
	if err := h.desk.Entries(context.Background(), list, func(e console.ListEntry) error {
		all = append(all, e.Number+" "+e.Reason+" "+e.From)
		return nil
	}); err != nil && !errors.Is(err, console.ErrNotFound) {
		h.t.Fatal(err)
	}
	return all
}

var undoField = regexp.MustCompile(`name="change" value="([0-9]+)"`)

// TestBlock goes the way of an administrator who blocks a caller from its row and takes it back: with htmx, and without JavaScript.
func TestBlock(t *testing.T) {
	h := open(t)
	id := h.fill(8)[2] // a mobile number that talked
	for name, headers := range map[string][]string{"htmx": {byHtmx}, "plain": nil} {
		at := "/calls/" + id + "/block"
		ask := h.get(reviewer, at, append(headers, "Referer: http://example.com/calls?action=allow")...)
		wantStatus(t, name+": ask", ask, http.StatusOK)
		wantHas(t, name+": ask", ask, "+8613800130002", "it would have stopped 1 call of 1 caller that rang", "for all lines", `name="back" value="/calls?action=allow"`)
		if got := strings.Contains(ask.body, "<html"); got != (headers == nil) {
			t.Errorf("%s: the question is a page of its own: %v", name, got)
		}
		all := elements(t, name, ask.body)
		harmless(t, name, all)
		wider := h.get(reviewer, at+"?pattern=%2B86138001300%3F%3F", headers...)
		wantHas(t, name+": the hundred around", wider, `value="+86138001300??" checked`)

		done := h.post(reviewer, at, url.Values{"pattern": {"+8613800130002"}, "list": {"blacklist"}, "reason": {"<b>rude</b>"}, "expires": {"30d"}, "back": {"/calls?action=allow"}}, headers...)
		wantStatus(t, name+": block", done, http.StatusOK)
		wantHas(t, name+": block", done, "+8613800130002 is on blacklist", "Undo")
		harmless(t, name, elements(t, name, done.body))
		if got := h.entries("blacklist"); len(got) != 1 || got[0] != "+8613800130002 <b>rude</b> person" {
			t.Fatalf("%s: the list has %q", name, got)
		}
		change := undoField.FindStringSubmatch(done.body)
		if change == nil {
			t.Fatalf("%s: nothing to undo it by: %s", name, done.body)
		}
		undone := h.post(reviewer, "/undo", url.Values{"change": {change[1]}}, headers...)
		wantHas(t, name+": undo", undone, "It is undone.")
		if got := h.entries("blacklist"); len(got) != 0 {
			t.Fatalf("%s: after undo the list has %q", name, got)
		}
	}
	// Of what was not offered the first choice counts: nobody blocks another number than the call's.
	h.post(reviewer, "/calls/"+id+"/block", url.Values{"pattern": {"+8613900000000"}, "list": {"other"}})
	if got := h.entries("blacklist"); len(got) != 1 || !strings.HasPrefix(got[0], "+8613800130002 a nuisance, call of ") {
		t.Errorf("the list has %q", got)
	}
}

// TestAllowAndWrong lets callers through, and marks what was decided wrongly.
func TestAllowAndWrong(t *testing.T) {
	h := open(t)
	ids := h.fill(16)
	rejected, rang, nobody := ids[7], ids[9], ids[10]
	done := h.post(reviewer, "/calls/"+rejected+"/allow", url.Values{"list": {"staff:allowlist"}}, byHtmx)
	wantHas(t, "allow", done, "+8695211613 is on staff:allowlist", "Undo")
	if got := h.entries("staff:allowlist"); len(got) != 1 {
		t.Errorf("the list of the line has %q", got)
	}
	wantHas(t, "ask about one that was stopped", h.get(reviewer, "/calls/"+rejected+"/wrong", byHtmx), "let through to the line staff for 30 days")
	wantHas(t, "ask about one that rang", h.get(reviewer, "/calls/"+rang+"/wrong", byHtmx), "reported as a nuisance")
	wantHas(t, "one that rang", h.post(reviewer, "/calls/"+rang+"/wrong", nil, byHtmx), "The caller is reported.", `name="report"`)
	reports := 0
	if err := h.desk.Reports(context.Background(), console.ReportsQuery{State: console.ReportOpen}, func(r console.Report) error {
		if r.Caller.E164 == "+8613800130009" && r.Call == rang {
			reports++
		}
		return nil
	}); err != nil || reports != 1 {
		t.Errorf("%d reports, error %v", reports, err)
	}
	// Who withholds his number cannot be put on a list, and no page offers it.
	wantStatus(t, "block nobody", h.get(reviewer, "/calls/"+nobody+"/block"), http.StatusConflict)
	wantStatus(t, "block nobody", h.post(reviewer, "/calls/"+nobody+"/block", nil), http.StatusConflict)
	if a := h.get(reviewer, "/calls/"+nobody); strings.Contains(a.body, nobody+"/block") {
		t.Error("it is offered to block somebody without a number")
	}
	wantStatus(t, "a viewer", h.get(viewer, "/calls/"+rang+"/block"), http.StatusForbidden)
	for _, wrong := range []url.Values{{"change": {"x"}}, {"change": {"-1"}}, {}} {
		wantStatus(t, "undo nothing", h.post(reviewer, "/undo", wrong), http.StatusBadRequest)
	}
	wantStatus(t, "undo what is not there", h.post(reviewer, "/undo", url.Values{"change": {"999"}}), http.StatusNotFound)
	wantStatus(t, "too large", h.post(reviewer, "/undo", url.Values{"x": {strings.Repeat("x", maxForm)}}), http.StatusBadRequest)
}

// TestBack holds that the way back stays on this server.
func TestBack(t *testing.T) {
	for text, want := range map[string]string{
		"/calls?action=reject": "/calls?action=reject", "/": "/", "": "/calls", "calls": "/calls", "//evil.example/x": "/calls", "https://evil.example/": "/calls",
		"/\\evil.example": "/calls", "javascript:alert(1)": "/calls", "/%2f/evil.example": "/%2f/evil.example", "/x\r\nSet-Cookie: a=b": "/calls", "///evil.example": "/evil.example",
	} {
		if got := backTo(text); got != want {
			t.Errorf("the way back of %q is %q, want %q", text, got, want)
		}
	}
}

// TestWanted holds that a caller who was stopped and talked with us before is shown, and one who did not is not.
func TestWanted(t *testing.T) {
	h := open(t)
	now := time.Now()
	call := func(caller, action string, talk float64, ago time.Duration) {
		r := console.Record{Time: now.Add(-ago), Trunk: "telecom", Callee: "05925550100", Line: "staff", Action: action, Would: action, Mode: "enforce", Rule: "listed", Caller: console.Caller{Raw: caller, E164: caller, Kind: "mobile"}}
		r.Outcome = &console.Outcome{Answered: talk > 0, TalkS: talk}
		h.add(r)
	}
	call("+8613800138000", "allow", 300, 20*24*time.Hour)
	call("+8613800138000", "reject", 0, time.Hour)
	call("+8613800139999", "allow", 3, 20*24*time.Hour)
	call("+8613800139999", "reject", 0, time.Hour)
	call("+8613800137777", "allow", 300, 20*24*time.Hour)
	if err := h.journal.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	a := h.get(viewer, "/now/wanted", byHtmx)
	wantHas(t, "wanted", a, "Perhaps: 1 of 2 callers", "+8613800138000", "talked 5 min")
	for _, not := range []string{"+8613800139999", "+8613800137777"} {
		if strings.Contains(a.body, not) {
			t.Errorf("%s is shown as wanted", not)
		}
	}
}
