package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/console"
	"ringfence/standin"
)

const watchful = `
country = "CN"
timezone = "Asia/Shanghai"
[lines.a]
numbers = ["05925550100-05925550199"]
[lines.b]
numbers = ["05925550200-05925550299"]
[ranges]
"952116*" = "firm A"
[[detector]]
name      = "range wakes"
key       = "prefix"
depth     = { 6 = 5, 7 = 5 }
count     = "strangers"
window    = "3h"
hold      = "24h"
max_share = 1
[[detector]]
name      = "many lines"
key       = "caller"
count     = "callees"
window    = "1h"
trip      = 4
max_share = 1
[[rule]]
name   = "known"
when   = { known_caller = "30d" }
action = "allow"
[[rule]]
name   = "campaign under way"
when   = { tripped = ["range wakes", "many lines"] }
action = "reject"
`

// ring has a call come in and end, answered if it rang, and reports whether it was stopped.
func ring(d *house, n *int, caller, callee string) (stopped bool) {
	*n++
	f := bridge.Facts{UUID: fmt.Sprint("u", *n), Number: caller, FromUser: caller, Callee: callee, Context: "public"}
	v := d.Screen(&f)
	d.Record(&f, &v, bridge.Result{})
	e := attach.CallEnd{UUID: f.UUID, Inbound: true, Caller: caller, FromUser: caller, Callee: callee, Context: "public"}
	if v.Refuse == 0 {
		e.Answered, e.Bridged, e.Ring, e.Talk = true, true, time.Second, 20*time.Second
	} else {
		e.By = attach.ByRingfence
	}
	d.Ended(e)
	return v.Refuse != 0
}

// wake trips 952116 and its neighbours' detector, by calls of strangers to different lines.
func wake(d *house, n *int) {
	for i := range 5 {
		ring(d, n, fmt.Sprintf("952116%d1", i), fmt.Sprintf("059255501%02d", *n%100))
	}
}

// breakers are those that are not closed, or that a person holds, in words.
func breakers(t testing.TB, d console.Desk, all bool) string {
	t.Helper()
	text := ""
	err := d.Breakers(t.Context(), console.BreakerQuery{All: all}, func(b console.Breaker) error {
		text += fmt.Sprintf("%s: %s %s", b.Detector, b.Key, b.State)
		if b.Pinned != "" {
			text += " pinned " + b.Pinned
		}
		if all {
			text += fmt.Sprintf(" %d/%d", b.Count, b.Trip)
		}
		text += "\n"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What is tripped is tripped after a restart, and what is counted goes on to be counted; a policy that is read again changes nothing of it.
func TestBreakersSurvive(t *testing.T) {
	c, n := attached(t, watchful), 0
	daemon := start(t, c)
	d := in(daemon)
	wake(d, &n)
	for i := range 3 {
		ring(d, &n, "13800138000", fmt.Sprintf("0592555028%d", i))
	}
	const tripped = "range wakes: 952116 tripped\n"
	if got := breakers(t, d, false); got != tripped {
		t.Fatalf("got\n%s", got)
	}
	counted := breakers(t, d, true)
	if !strings.Contains(counted, "many lines: +8613800138000 closed 3/4\n") {
		t.Fatalf("got\n%s", counted)
	}
	if r, err := d.Reload(t.Context()); err != nil || !r.Loaded {
		t.Fatal(r, err)
	}
	if got := breakers(t, d, true); got != counted {
		t.Errorf("after a reload\n%s\nwant\n%s", got, counted)
	}
	halt(t, daemon)
	// A command without the daemon sees the same.
	files, err := OpenDesk(c, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if got := breakers(t, files, true); got != counted {
		t.Errorf("without the daemon\n%s\nwant\n%s", got, counted)
	}
	check, err := files.Check(t.Context(), console.CheckQuery{Caller: "95211677", Callee: "05925550150"})
	if err != nil || check.Action != "reject" || len(check.Detectors) != 2 || check.Detectors[0].State != "tripped" || check.Holder != "firm A" {
		t.Errorf("%+v, %v", check, err)
	}
	files.Close()
	d = in(start(t, c))
	if got := breakers(t, d, true); got != counted {
		t.Errorf("after a restart\n%s\nwant\n%s", got, counted)
	}
	if !ring(d, &n, "95211699", "05925550199") {
		t.Error("a call of the range rings after a restart")
	}
	if ring(d, &n, "13800138000", "05925550289") != true {
		t.Error("the fourth line is not counted on from before")
	}
	s, err := d.Status(t.Context())
	if err != nil || s.Detectors.Tripped != 2 || len(s.Detectors.First) != 2 {
		t.Errorf("%+v, %v", s.Detectors, err)
	}
}

// A counts file that is damaged is left out, and breakers are there all the same; a person's word is on disk when it is acknowledged, with the
// daemon and without it.
//
// long: because each command sees what the ones before it have left
func TestPins(t *testing.T) {
	c, n := installation(t, watchful), 0
	daemon := start(t, c)
	d := in(daemon)
	client := dial(t, c)
	wake(d, &n)
	pin := func(d console.Desk, detector, key, how string) (*console.BreakerEdit, error) {
		return d.PinBreaker(t.Context(), console.BreakerName{Detector: detector, Key: key}, how)
	}
	for _, x := range []struct{ detector, key, how, want string }{
		{"range wakes", "9521-17", "open", "952117"},
		{"range wakes", "+86 952118", "shut", "952118"},
		{"range wakes", "0086 0592 55", "shut", "059255"},
		{"range wakes", "+1305", "open", "+1305"},
		{"many lines", "138 0013 8000", "open", "+8613800138000"},
	} {
		e, err := pin(client, x.detector, x.key, x.how)
		if err != nil || e.Key != x.want || len(e.Breakers) != 1 || e.Breakers[0].Pinned != x.how || e.Change != console.BreakerPinned {
			t.Errorf("%s %s: %+v, %v", x.detector, x.key, e, err)
		}
	}
	for _, x := range []struct{ detector, key, how, want string }{
		{"range waks", "952117", "open", `there is no detector "range waks": did you mean "range wakes"?`},
		{"range wakes", "95211712", "open", "95211712 has 8 digits: range wakes counts prefixes of 6, 7 digits"},
		{"range wakes", "firm A", "open", `"firm A" is no prefix`},
		{"many lines", "12", "open", `"12" is no number`},
		{"many lines", "", "open", "the key is missing"},
		{"range wakes", "952117", "up", `"up" is no way to hold a breaker`},
	} {
		if _, err := pin(client, x.detector, x.key, x.how); err == nil || !strings.Contains(err.Error(), x.want) || !errors.Is(err, console.ErrBad) && !errors.Is(err, console.ErrNotFound) {
			t.Errorf("%s %s: %v", x.detector, x.key, err)
		}
	}
	if _, err := client.ResetBreaker(t.Context(), console.BreakerName{Detector: "range wakes", Key: "952115"}); err == nil || !strings.Contains(err.Error(), "range wakes has counted nothing of 952115: did you mean 95211") {
		t.Errorf("reset of nothing: %v", err)
	}
	if _, err := client.UnpinBreaker(t.Context(), console.BreakerName{Detector: "range wakes", Key: "952116"}); err == nil || !strings.Contains(err.Error(), "nobody holds 952116 of range wakes") {
		t.Errorf("unpin of what nobody holds: %v", err)
	}
	if !ring(d, &n, "95211701", "05925550199") || !ring(d, &n, "13800138000", "05925550198") {
		t.Error("what is held open rings")
	}
	if e, err := client.ResetBreaker(t.Context(), console.BreakerName{Detector: "range wakes", Key: "952116"}); err != nil || e.Change != console.BreakerReset {
		t.Errorf("%+v, %v", e, err)
	}
	if ring(d, &n, "95211688", "05925550197") {
		t.Error("what was reset is stopped")
	}
	held := breakers(t, d, false)
	for _, want := range []string{"952117 tripped pinned open", "952118 closed pinned shut", "+8613800138000 tripped pinned open"} {
		if !strings.Contains(held, want+"\n") {
			t.Errorf("%q is not in\n%s", want, held)
		}
	}
	halt(t, daemon)
	if err := os.WriteFile(filepath.Join(c.Data, "calls.counted"), []byte("ringfence counts 1\nnonsense"), 0o640); err != nil {
		t.Fatal(err)
	}
	files, err := OpenDesk(c, false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if got := breakers(t, files, false); got != held {
		t.Errorf("without the daemon\n%s\nwant\n%s", got, held)
	}
	if _, err := files.UnpinBreaker(t.Context(), console.BreakerName{Detector: "range wakes", Key: "952118"}); err != nil {
		t.Error(err)
	}
	if _, err := pin(files, "range wakes", "952119", "open"); err != nil {
		t.Error(err)
	}
	want := breakers(t, files, false)
	files.Close()
	var log bytes.Buffer
	second, err := Start(t.Context(), c, "test", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer halt(t, second)
	if got := breakers(t, in(second), false); got != want || !strings.Contains(got, "952119 tripped pinned open") || strings.Contains(got, "952118") {
		t.Errorf("after a restart\n%s\nwant\n%s", got, want)
	}
}

// A detector that the policy does not have for a while, or that counts by another key meanwhile, comes back with its breakers: what a person
// pinned is on disk and counts.
func TestDetectorComesBack(t *testing.T) {
	c, n := attached(t, watchful), 0
	d := in(start(t, c))
	<-d.ListsRead()
	wake(d, &n)
	if _, err := d.PinBreaker(t.Context(), console.BreakerName{Detector: "range wakes", Key: "952119"}, console.PinOpen); err != nil {
		t.Fatal(err)
	}
	const want = "range wakes: 952116 tripped\nrange wakes: 952119 tripped pinned open\n"
	if got := breakers(t, d, false); got != want {
		t.Fatalf("got\n%s", got)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(c.Policy, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := d.Reload(t.Context()); err != nil || !r.Loaded {
			t.Fatal(r, err)
		}
	}
	for name, meanwhile := range map[string]string{
		"gone":        strings.ReplaceAll(watchful, `"range wakes"`, `"another"`),
		"another key": strings.NewReplacer("\"prefix\"\ndepth     = { 6 = 5, 7 = 5 }", "\"caller\"\ntrip = 5", `"strangers"`, `"calls"`).Replace(watchful),
	} {
		write(meanwhile)
		if got := breakers(t, d, false); got != "" {
			t.Errorf("%s: got\n%s", name, got)
		}
		write(watchful)
		if got := breakers(t, d, false); got != want {
			t.Errorf("%s: back it has\n%s", name, got)
		}
	}
}

// alerts are those that are open.
func alerts(t *testing.T, d *house) string {
	t.Helper()
	s, err := d.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(s.Alerts)
}

// Forgetting a number takes it out of what detectors count, their breakers and the files, with the daemon and without it.
func TestForgetDetectors(t *testing.T) {
	for _, running := range []bool{true, false} {
		c, n := attached(t, watchful), 0
		daemon := start(t, c)
		d := in(daemon)
		wake(d, &n)
		for i := range 4 {
			ring(d, &n, "13800138000", fmt.Sprintf("0592555028%d", i))
		}
		tick := time.NewTicker(time.Millisecond)
		for !strings.Contains(alerts(t, d), "+8613800138000") {
			<-tick.C
		}
		tick.Stop()
		var desk console.Desk = d
		if !running {
			halt(t, daemon)
			files, err := OpenDesk(c, false, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			desk = files
		}
		if kinds := held(t, desk, "13800138000"); kinds[console.HeldBreaker] == 0 {
			t.Errorf("running %v: held is %v", running, kinds)
		}
		forgetIn(t, desk, console.ForgetQuery{Number: "138 0013 8000"})
		if got := breakers(t, desk, true); strings.Contains(got, "13800138000") || !strings.Contains(got, "952116 tripped") {
			t.Errorf("running %v: left is\n%s", running, got)
		}
		if running {
			if got := alerts(t, d); strings.Contains(got, "13800138000") || !strings.Contains(got, "952116") {
				t.Errorf("the alerts left are %s", got)
			}
		}
		if files, ok := desk.(*Front); ok {
			files.Close()
		} else {
			halt(t, daemon)
		}
		if text, err := os.ReadFile(c.Database()); err != nil || bytes.Contains(text, []byte("13800138000")) {
			t.Errorf("running %v: it is in the file of the database, %v", running, err)
		}
		d = in(start(t, c))
		if got := breakers(t, d, true); strings.Contains(got, "13800138000") || !strings.Contains(got, "952116 tripped") {
			t.Errorf("running %v: after a restart\n%s", running, got)
		}
	}
}

// A policy without detectors leaves no file.
func TestNoDetectorsNoFile(t *testing.T) {
	c := installation(t, smallPolicy)
	halt(t, start(t, c))
	if _, err := os.Stat(filepath.Join(c.Data, "calls.counted")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// place has a simulated switch place a call through the daemon's port, and tell of its end; it reports whether it rang.
func place(t *testing.T, d *house, caller, callee string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := (&standin.Switch{Address: d.d.Address(), Speed: 1000}).Place(ctx, standin.Call{From: caller, To: callee})
	if err != nil || r.Stuck || len(r.ProtocolErrors) > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for d.d.screen.InHand() > 0 { // its record is written when it is not in hand any more
		<-tick.C
	}
	e := attach.CallEnd{UUID: r.UUID, Inbound: true, Caller: caller, FromUser: caller, Callee: callee, Context: "public", By: attach.ByRingfence}
	if r.Rang {
		e.Answered, e.Bridged, e.Ring, e.Talk, e.By = true, true, time.Second, 20*time.Second, attach.ByCaller
	}
	d.Ended(e)
	return r.Rang
}

// A campaign of 200 numbers that rotate is stopped from about its tenth call on; a bank and an acquaintance ring throughout; after its hold the
// breaker lets calls through, and closes when people talk.
func TestCampaignThroughDaemon(t *testing.T) {
	c := attached(t, strings.Replace(watchful, `max_share = 1`, "max_share = 1\nprotect = [\"95588\"]", 1))
	daemon := start(t, c)
	d := in(daemon)
	now := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	pass := func(by time.Duration) { now = now.Add(by); daemon.stopClock(now) }
	pass(0)
	daemon.memory.Meet("a", "+8695211650", now) // somebody at the firm with whom the line deals
	rang, firstStopped := 0, 0
	for i := range 200 {
		pass(20 * time.Second)
		if !place(t, d, fmt.Sprintf("952116%02d", (i*7)%100), fmt.Sprintf("059255501%02d", i%100)) {
			if firstStopped == 0 {
				firstStopped = i + 1
			}
		} else if (i*7)%100 != 50 { // the acquaintance's own number
			rang++
		}
		if i%10 == 0 && !place(t, d, "95588", "05925550120") {
			t.Errorf("call %d: the bank is stopped", i)
		}
		if i%10 == 5 && !place(t, d, "95211650", "05925550130") {
			t.Errorf("call %d: an acquaintance is stopped", i)
		}
	}
	if firstStopped == 0 || firstStopped > 10 || rang > 12 {
		t.Errorf("the first that was stopped is call %d, %d rang", firstStopped, rang)
	}
	why := ""
	d.Breakers(t.Context(), console.BreakerQuery{}, func(b console.Breaker) error {
		why += fmt.Sprintf("%s %s %s %s (%s)\n", b.Detector, b.Key, b.State, b.Holder, b.Why)
		return nil
	})
	if !strings.Contains(why, "range wakes 952116 tripped firm A (") {
		t.Errorf("detectors says\n%s", why)
	}
	pass(24 * time.Hour)
	for i, callee := range []string{"05925550101", "05925550201"} {
		f := bridge.Facts{UUID: fmt.Sprint("probe", i), Number: fmt.Sprintf("9521164%d", i), FromUser: "x", Callee: callee, Context: "public"}
		v := d.Screen(&f)
		if v.Refuse != 0 {
			t.Fatalf("probe %d: %s", i, v.Reason)
		}
		d.Record(&f, &v, bridge.Result{})
		pass(2 * time.Minute)
		d.Ended(attach.CallEnd{UUID: f.UUID, Inbound: true, Callee: callee, Answered: true, Bridged: true, Ring: time.Second, Talk: 90 * time.Second})
	}
	if got := breakers(t, d, false); strings.Contains(got, "952116 ") {
		t.Errorf("after two talks\n%s", got)
	}
}
