package pages

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"ringfence/access"
	"ringfence/console"
)

// guard puts the house's pages before a desk that gives each what is theirs.
func (h *house) guard() {
	h.t.Helper()
	var err error
	if h.pages, err = New(Options{Desk: access.Guard(h.desk, h.desk.(front).Book), Policy: samplePolicyOf, Log: slog.New(slog.NewTextHandler(testLog{h.t}, nil))}); err != nil {
		h.t.Fatal(err)
	}
}

// signIn makes a user and signs them in.
func (h *house) signIn(u console.NewUser) *console.Who {
	h.t.Helper()
	u.Password = "a dozen letters"
	book := h.desk.(front).Book
	if _, err := book.AddUser(console.WithWho(context.Background(), admin), u); err != nil {
		h.t.Fatal(err)
	}
	_, who, err := book.SignIn(context.Background(), u.Name, u.Password, access.Origin{Address: "127.0.0.1"})
	if err != nil {
		h.t.Fatal(err)
	}
	return who
}

// TestBound holds that nothing of another line is on any page of somebody who is bound to one, nor in the stream and exports, whatever they ask for.
func TestBound(t *testing.T) {
	h := open(t)
	h.guard()
	bound := h.signIn(console.NewUser{Name: "bea", Role: console.Reviewer, Lines: []string{"hotline"}})
	var own, others string
	for i := range 14 {
		r := sampleCall(i, time.Now().Add(time.Duration(i-20)*time.Minute))
		if i%2 == 0 {
			r.Line, r.Callee, r.Name = "hotline", "4008001234", fmt.Sprintf("own %d", i)
		} else {
			r.Name, r.Reason, r.Callee = fmt.Sprintf("MARKER %d", i), "MARKER", "05925559"+fmt.Sprint(100+i)
		}
		r.Holder = "MARKER AG"
		r.Caller = console.Caller{Raw: "95211613", E164: "+8695211613", Kind: "service"}
		id := h.add(r)
		if i%2 == 0 {
			own = id
		} else {
			others = id
		}
	}
	if err := h.journal.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	clean := func(what string, a answer) {
		t.Helper()
		for _, text := range []string{"MARKER", "05925559", others} {
			if what := what; strings.Contains(a.body, text) && !strings.Contains(what, text) {
				t.Errorf("%s: has %q of another line:\n%.1500s", what, text, a.body)
			}
		}
	}
	a := h.get(bound, "/calls")
	wantHas(t, "own calls", a, "own 0", "own 12")
	for _, at := range append(pagesOf(h.pages, own), "/calls?text=MARKER", "/calls?line=staff", "/calls?holder=MARKER+AG", "/calls?caller=95211613", "/calls?outcome=stopped") {
		a := h.get(bound, at)
		clean(at, a)
		if a.Code >= 500 {
			t.Errorf("%s: status %d: %.300s", at, a.Code, a.body)
		}
		if strings.HasPrefix(a.Header().Get("Content-Type"), "text/html") {
			harmless(t, at, elements(t, at, a.body))
		}
	}
	for _, at := range pagesOf(h.pages, others) {
		if !strings.Contains(at, others) {
			continue
		}
		a := h.get(bound, at)
		wantStatus(t, at, a, 404)
		if strings.Contains(a.body, "MARKER") {
			t.Errorf("%s: tells of another line's call", at)
		}
	}
	wantStatus(t, "another's call", h.post(bound, "/calls/"+others+"/block", nil), 404)
	wantStatus(t, "another's call", h.post(bound, "/calls/"+others+"/wrong", nil), 404)
	// Of lists they are offered their line's alone.
	ask := h.get(bound, "/calls/"+own+"/block", byHtmx)
	wantHas(t, "own call", ask, `value="hotline:blacklist" checked`)
	if strings.Contains(ask.body, `value="blacklist"`) {
		t.Error("somebody bound to a line is offered the list of all")
	}
	h.post(bound, "/calls/"+own+"/block", url.Values{"list": {"blacklist"}})
	if got := h.entries("blacklist"); len(got) != 0 {
		t.Errorf("the list of all has %q", got)
	}
	if got := h.entries("hotline:blacklist"); len(got) != 1 {
		t.Errorf("the line's list has %q", got)
	}
}

// TestBoundLive holds the same for the stream, and that who may see less than before is told to sign in again.
func TestBoundLive(t *testing.T) {
	h := open(t)
	h.guard()
	bound := h.signIn(console.NewUser{Name: "bea", Role: console.Reviewer, Lines: []string{"hotline"}})
	events := follow(t, h.serve(t, bound), url.Values{"f": {"", "line=staff", "text=MARKER"}}.Encode())
	for h.followed() == 0 {
		time.Sleep(time.Millisecond)
	}
	r := sampleCall(7, time.Now())
	r.Name = "MARKER"
	h.add(r)
	r = sampleCall(14, time.Now())
	r.Line, r.Callee, r.Name, r.Holder, r.Reason = "hotline", "4008001234", "own", "MARKER AG", "number on list"
	id := h.add(r)
	if e, row := next(t, events); e.id != id || strings.Contains(e.data, "MARKER") || fmt.Sprint(row.For) != "[0]" {
		t.Errorf("the stream has %+v", e)
	}
	// Who may see less now is told so.
	book := h.desk.(front).Book
	if _, err := book.SetUser(console.WithWho(context.Background(), admin), console.UserSet{Name: "bea", Lines: &[]string{"staff"}}); err != nil {
		t.Fatal(err)
	}
	h.add(r)
	if e, _ := next(t, events); e.name != "gone" {
		t.Errorf("who was bound to another line is told %+v", e)
	}
}
