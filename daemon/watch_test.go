package daemon

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/alert"
	"ringfence/conf"
	"ringfence/console"
)

// pager is a command that appends what it is told to a file.
func pager(t *testing.T) (command, told string) {
	t.Helper()
	folder := t.TempDir()
	command, told = filepath.Join(folder, "page-me"), filepath.Join(folder, "told")
	script := "#!/bin/sh\necho \"$1 $2: $(cat)\" >> '" + told + "'\n"
	if err := os.WriteFile(command, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return command, told
}

// waitForText waits until a file holds a text.
func waitForText(t *testing.T, file, text string) string {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; <-time.After(20 * time.Millisecond) {
		b, _ := os.ReadFile(file)
		if strings.Contains(string(b), text) {
			return string(b)
		}
		if time.Now().After(end) {
			t.Fatalf("nobody was told of %q: %q", text, b)
		}
	}
}

// A policy that is refused is told of once, through the real command, and so is its mending; status shows it meanwhile.
func TestAlertPolicy(t *testing.T) {
	c := installation(t, smallPolicy)
	var told string
	c.Notify.Command, told = pager(t)
	d := in(start(t, c))
	reload := func(text string) {
		t.Helper()
		if err := os.WriteFile(c.Policy, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		reload("country = 7\n")
	}
	waitForText(t, told, "was refused: ")
	s, err := d.Status(t.Context())
	if err != nil || len(s.Alerts) != 1 || s.Alerts[0].Kind != "policy" || s.PolicyRefused == nil || !s.PolicyRefused.LastGood.IsZero() || len(s.PolicyRefused.Faults) != 1 {
		t.Errorf("%v: %+v %+v", err, s.Alerts, s.PolicyRefused)
	}
	reload(smallPolicy)
	got := waitForText(t, told, "policy end: Over after")
	if !strings.HasPrefix(got, "policy start: the policy was refused: "+c.Policy+":1: country: ") || !strings.Contains(got, "The one that was in force stays.") || strings.Count(got, "\n") != 2 {
		t.Errorf("told %q", got)
	}
	if s, err := d.Status(t.Context()); err != nil || len(s.Alerts) != 0 || s.PolicyRefused != nil {
		t.Errorf("%v: %+v %+v", err, s.Alerts, s.PolicyRefused)
	}
	if err := os.Remove(c.Policy); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Reload(t.Context()); err == nil {
		t.Error("a file that is not there was read")
	}
	if s, err := d.Status(t.Context()); err != nil || len(s.Alerts) != 1 || s.PolicyRefused == nil {
		t.Errorf("a file that is not there: %v: %+v %+v", err, s.Alerts, s.PolicyRefused)
	}
}

// road is a system with calls, some of which pass unscreened, in a time of its own.
type road struct {
	t    *testing.T
	now  sample
	book *alert.Book
	p    *passing
	log  []string
}

func newRoad(t *testing.T, calls int, share float64) *road {
	r := &road{t: t, now: sample{at: time.Unix(1795305600, 0).UTC(), unscreened: map[string]uint64{"deadline": 3, "stopping": 9}}}
	r.book = alert.New(alert.Options{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return r.now.at }})
	r.p = newPassing(conf.Notify{FailOpenCalls: calls, FailOpenShare: share}, r.now)
	return r
}

// drive has a number of calls in each interval, of which some pass unscreened; beginning and end of an incident are noted.
func (r *road) drive(intervals int, calls, unscreened, stopping uint64) *road {
	for i := range intervals {
		late := time.Duration(1-i%2*2) * time.Millisecond // a ticker does not keep the very moment
		next := sample{at: r.now.at.Add(watchEvery + late), calls: r.now.calls + calls, unscreened: maps.Clone(r.now.unscreened)}
		next.unscreened["guard"] += unscreened
		next.unscreened["stopping"] += stopping
		r.now = next
		open := r.book.Has(alert.FailOpen, "")
		r.p.look(r.book, next)
		if now := r.book.Has(alert.FailOpen, ""); now != open {
			r.log = append(r.log, map[bool]string{true: "start", false: "end"}[now])
		}
	}
	return r
}

func (r *road) want(want string) {
	r.t.Helper()
	if got := strings.Join(r.log, " "); got != want {
		r.t.Errorf("at %v: %q, want %q (%+v)", r.now.at, got, want, r.book.Open())
	}
}

// What is an incident, and what is none: by number, by share, on a small system, and while the daemon stops.
func TestFailOpen(t *testing.T) {
	for name, c := range map[string]struct {
		drive func(r *road)
		want  string
	}{
		"nothing":           {func(r *road) { r.drive(1000, 10, 0, 0) }, ""},
		"no calls at all":   {func(r *road) { r.drive(1000, 0, 0, 0) }, ""},
		"single ones":       {func(r *road) { r.drive(1, 10, 4, 0).drive(11, 10, 0, 0).drive(1, 10, 4, 0).drive(11, 10, 0, 0) }, ""},
		"five in a minute":  {func(r *road) { r.drive(5, 20, 1, 0) }, "start"},
		"five of 600":       {func(r *road) { r.drive(12, 50, 0, 0).drive(1, 50, 5, 0) }, ""},
		"six of 600":        {func(r *road) { r.drive(12, 50, 0, 0).drive(1, 50, 6, 0) }, "start"},
		"a stop on purpose": {func(r *road) { r.drive(100, 20, 0, 10) }, ""},
		"three calls of an hour, all": {func(r *road) {
			r.drive(200, 0, 0, 0).drive(1, 1, 1, 0).drive(200, 0, 0, 0).drive(1, 1, 1, 0).drive(200, 0, 0, 0).drive(1, 0, 1, 0)
		}, "start"},
		"two calls of an hour, all": {func(r *road) { r.drive(1, 1, 1, 0).drive(700, 0, 0, 0).drive(1, 1, 1, 0).drive(1, 0, 0, 0) }, ""},
		"three of ten calls of an hour": {func(r *road) {
			r.drive(10, 1, 0, 0).drive(1, 1, 1, 0).drive(200, 0, 0, 0).drive(1, 1, 1, 0).drive(200, 0, 0, 0).drive(1, 0, 1, 0)
		}, ""},
		"they never came here": {func(r *road) { r.drive(1, 0, 5, 0) }, "start"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoad(t, 5, 0.01)
			c.drive(r)
			r.want(c.want)
		})
	}
	r := newRoad(t, 50, 0)
	r.drive(12, 10, 4, 0).want("")
	r.drive(12, 10, 5, 0).want("start")
}

// An incident goes on while it comes and goes, counts its calls, and is over ten minutes after it has been less than half of what made it
// one.
func TestFailOpenLasts(t *testing.T) {
	r := newRoad(t, 6, 0.01)
	r.drive(12, 100, 0, 0).drive(1, 10, 30, 0)
	r.want("start")
	for range 10 {
		r.drive(100, 10, 0, 0).drive(12, 10, 1, 0)
	}
	r.want("start")
	i := r.book.Open()[0]
	if i.Calls != 30+10*12 || i.Text != "30 of 1110 calls passed unscreened within one minute (30 guard). See ringfence status and the log." {
		t.Errorf("%+v", i)
	}
	r.drive(60, 10, 0, 0).want("start")
	r.drive(90, 10, 0, 0).want("start end")
	r.drive(1, 10, 30, 0).want("start end start")
	if i := r.book.Open()[0]; i.Calls != 30 {
		t.Errorf("%+v", i)
	}
}

// A switch that is not attached is told of after two minutes, and one that the daemon's file names no longer is not.
func TestAlertAttach(t *testing.T) {
	c := installation(t, smallPolicy)
	c.Attach = []conf.Attach{{Kind: conf.KindFreeSWITCH, Name: "pbx1", Address: "127.0.0.1:1", Password: "x"}}
	d := start(t, c)
	look := func(after time.Duration) int {
		d.stopClock(time.Now().Add(after))
		d.lookAtSwitches()
		return len(d.alerts.Open())
	}
	if a, b, c := look(0), look(119*time.Second), look(121*time.Second); a != 0 || b != 0 || c != 1 {
		t.Errorf("%d, %d, %d incidents", a, b, c)
	}
	if i := d.alerts.Open()[0]; i.Kind != alert.Attach || i.Subject != "pbx1" || !strings.Contains(i.Text, "the switch pbx1 is not attached") {
		t.Errorf("%+v", i)
	}
	halt(t, d)
	c.Attach = nil
	d = start(t, c)
	if open := d.alerts.Open(); len(open) != 0 {
		t.Errorf("%+v", open)
	}
}

// What stands in the way of keeping the last good policy keeps no policy from being in force, and no daemon from saying why it does
// not start.
func TestLastGoodCannotBeKept(t *testing.T) {
	c := installation(t, smallPolicy)
	if err := os.MkdirAll(filepath.Join(c.LastGoodPolicy(), "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	d := start(t, c)
	if r := d.force.Rules(); len(r.Policy.Rules()) != 1 {
		t.Errorf("%d rules", len(r.Policy.Rules()))
	}
	halt(t, d)
	if err := os.WriteFile(c.Policy, []byte("country = 7\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), c, "test", slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "policy.toml:1: country: ") || !strings.Contains(err.Error(), "the last good one") {
		t.Errorf("%v", err)
	}
}

// A node that is alone for longer than a minute is told of once, with since when, and that it is over as soon as it is.
func TestAlertCluster(t *testing.T) {
	now := time.Unix(1795305600, 0).UTC()
	book := alert.New(alert.Options{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
	look := func(alone bool) []alert.Incident {
		lookAtCluster(book, &console.ClusterReport{Name: "isp", Alone: alone, Since: time.Unix(1795305590, 0), Why: "connection refused"})
		now = now.Add(watchEvery)
		return book.Open()
	}
	for i, alone := range []bool{false, true, true, false, true} { // a server that is restarted
		if open := look(alone); len(open) > 0 {
			t.Errorf("look %d: told of %+v", i, open)
		}
	}
	for range int(aloneAfter / watchEvery) {
		look(true)
	}
	open := look(true)
	if len(open) != 1 || open[0].Kind != alert.Cluster || !strings.Contains(open[0].Text, "alone since 2026-11-21 23:59:50 UTC: it reaches no server of the cluster isp") || !strings.Contains(open[0].Text, "(connection refused)") {
		t.Fatalf("told of %+v", open)
	}
	if open := look(false); len(open) > 0 {
		t.Errorf("it is over, and still told of: %+v", open)
	}
}
