package e2e_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/daemon"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
	"ringfence/e2e/tables"
)

// actionRow is a row of the table of actions: what a policy does, and what must be seen of it.
type actionRow struct {
	name, media string
	rule        string // its keys in the policy
	keys        string // how the caller meets a challenge
	seen        string // the responses that the caller must see, without 100; / between async and sync where they differ
	rang        string // the number that must ring, "" for none; "callee" for the one called
	shown       string // the name on the handset
	headers     string // what must be in Call-Info or Reason
}

var actionRows = []actionRow{
	{name: "`allow`", rule: `action = "allow"`, seen: "180 200", rang: "callee", shown: "Sale"},
	{name: "`allow`, `whisper`", rule: `action = "allow"` + "\nwhisper = \"whisper-suspected\"", seen: "180 200", rang: "callee", shown: "Sale"},
	{name: "`tag`", rule: `action = "tag"` + "\nlabel = \"外呼\"", seen: "180 200", rang: "callee", shown: "外呼 Sale"},
	{name: "`warn`, `continue`", media: "early", rule: warnRule("early", "continue"), seen: "183 200", rang: "callee", shown: "Sale"},
	{name: "`warn`, `continue`", media: "answer", rule: warnRule("answer", "continue"), seen: "200", rang: "callee", shown: "Sale"},
	{name: "`warn`, `hangup`", media: "early", rule: warnRule("early", "hangup"), seen: "183 480"},
	{name: "`warn`, `hangup`", media: "answer", rule: warnRule("answer", "hangup"), seen: "200"},
	{name: "`challenge`, right digits", media: "answer", rule: challengeRule("answer"), keys: "right", seen: "200", rang: "callee", shown: "Sale"},
	{name: "`challenge`, wrong digits", media: "answer", rule: challengeRule("answer"), keys: "wrong twice", seen: "200"},
	{name: "`challenge`, no digits", media: "answer", rule: challengeRule("answer"), seen: "200"},
	{name: "`challenge`, no digits", media: "early", rule: challengeRule("early"), seen: "183 608", headers: "<https://example.com/redress.jws>;purpose=jwscard"},
	{name: "`divert` to an extension", rule: `action = "divert"` + "\nto = \"3001\"", seen: "180 200", rang: "3001", shown: "Sale"},
	{name: "`divert` to another context", rule: `action = "divert"` + "\nto = \"3002 XML public\"", seen: "180 200", rang: "3002", shown: "Sale"},
	{name: "`reject` 403", rule: rejectRule(403), seen: "403"},
	{name: "`reject` 404", rule: rejectRule(404), seen: "404"},
	{name: "`reject` 480", rule: rejectRule(480), seen: "480"},
	{name: "`reject` 486", rule: rejectRule(486), seen: "486"},
	{name: "`reject` 600", rule: rejectRule(600), seen: "600"},
	{name: "`reject` 603", rule: rejectRule(603), seen: "603", headers: `Q.850;cause=21;text="v=analytics1;url=https://example.com/blocked"`},
	{name: "`reject` 607", rule: rejectRule(607), seen: "607"},
	{name: "`reject` 608", rule: rejectRule(608), seen: "608", headers: "<https://example.com/redress.jws>;purpose=jwscard"},
	{name: "`reject`, `announcement`", media: "early", rule: rejectRule(608) + "\nannouncement = \"beep\"", seen: "183 608"},
}

func warnRule(media, then string) string {
	rule := "action = \"warn\"\nannouncement = \"beep\"\nmedia = \"" + media + "\"\nthen = \"" + then + "\""
	if then == "hangup" && media == "early" {
		rule += "\nsip = 480"
	}
	return rule
}

func challengeRule(media string) string {
	rule := "action = \"challenge\"\ndigits = 3\ntries = 2\nmedia = \"" + media + "\""
	if media == "early" {
		rule += "\nsip = 608"
	}
	return rule
}

func rejectRule(sip int) string { return fmt.Sprintf("action = \"reject\"\nsip = %d", sip) }

// TestActionsReal places a call for every action, in both modes and with both ways to play, through a real
// switch, and holds what the caller and the handset saw against the table.
func TestActionsReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; docs/measured.md has what the last run on one saw")
	}
	rows := []string{"| action | media | mode | the caller saw | the handset's INVITE | with the name |", "| --- | --- | --- | --- | --- | --- |"}
	for _, mode := range []string{"async", "sync"} {
		policy := "country = \"CN\"\ntimezone = \"Asia/Shanghai\"\n"
		for i, a := range actionRows {
			policy += fmt.Sprintf("[[rule]]\nname = \"rule %d\"\nwhen = { caller = [\"9526%04d\"] }\n%s\n", i, i, a.rule)
		}
		d, file := setup.StartDaemonWith(t, policy, "[reject]\nredress = \"https://example.com/redress.jws\"\nanalytics = \"https://example.com/blocked\"")
		setup.WriteTones(t, filepath.Dir(file))
		handset := phone.New(t)
		server := setup.StartFreeSWITCH(t, program, d.Address(), handset.Addr, setup.FreePort(t), mode == "async")
		for i, a := range actionRows {
			t.Run(mode+" "+a.name+" "+a.media, func(t *testing.T) {
				rows = append(rows, placeAction(t, d, server, handset, mode, i, a))
			})
		}
	}
	tables.Write(t, "actions", rows)
}

// placeAction places the call of a row and returns it filled in.
func placeAction(t *testing.T, d *daemon.Daemon, server string, handset *phone.Phone, mode string, i int, a actionRow) string {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	caller := phone.New(t)
	caller.Hold, caller.Keys = 40*time.Second, answersOf[a.keys]
	handset.RingsFor(300 * time.Millisecond)
	handset.HangsUpAfter(600 * time.Millisecond)
	to := fmt.Sprintf("059255503%02d", i)
	if mode == "sync" {
		to = fmt.Sprintf("059255504%02d", i)
	}
	rangAt := to
	if a.rang != "" && a.rang != "callee" {
		rangAt = a.rang
	}
	late := lateCalls(t, d)
	start := time.Now()
	h, err := caller.Dial(ctx, server, fmt.Sprintf("9526%04d", i), `"Sale"`, to)
	in, rang := handset.Invited(rangAt)
	handset.Forget(rangAt)
	// A machine that is too busy lets a call through by the deadline, as it must; that call shows nothing of the action.
	for tries := 1; err == nil && lateCalls(t, d) > late && tries < 3; tries++ {
		t.Logf("the call was let through by the deadline; it is placed again")
		late, start = lateCalls(t, d), time.Now()
		h, err = caller.Dial(ctx, server, fmt.Sprintf("9526%04d", i), `"Sale"`, to)
		in, rang = handset.Invited(rangAt)
		handset.Forget(rangAt)
	}
	if err != nil {
		t.Fatal(err)
	}
	shown, _, _ := strings.Cut(strings.TrimPrefix(in.From, `"`), `"`)
	if seen := strings.Join(h.Seen, " "); seen != a.seen || rang != (a.rang != "") || shown != a.shown {
		t.Errorf("the caller saw %s, want %s; rang %v, shown %q", seen, a.seen, rang, shown)
	}
	if a.headers != "" && h.CallInfo != a.headers && h.Reason != a.headers {
		t.Errorf("Call-Info %q, Reason %q; want %q", h.CallInfo, h.Reason, a.headers)
	}
	invite, media := "none", a.media
	if rang {
		invite = fmt.Sprintf("%d ms", in.At.Sub(start).Milliseconds())
	}
	if media == "" {
		media = "–"
	}
	last := h.Final
	if len(h.Seen) > 0 {
		last = strings.Join(append(h.Seen[:len(h.Seen)-1:len(h.Seen)-1], h.Final), ", ")
	}
	if !rang && strings.HasPrefix(h.Final, "200") {
		last += ", BYE"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |", a.name, media, mode, last, invite, shown)
}

// lateCalls is how many calls were let through because there was no decision in time.
func lateCalls(t *testing.T, d *daemon.Daemon) uint64 {
	open := setup.StatusOf(t, d).FailOpen
	return open[bridge.FailDeadline] + open[bridge.FailLate]
}
