package desk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ringfence/alert"
	"ringfence/console"
	"ringfence/detect"
	"ringfence/inforce"
	"ringfence/policy"
	"ringfence/pseudonym"
	"ringfence/storage"
	"ringfence/traffic"
)

const detectorPolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[ranges]
"952116*" = "firm A"
[[detector]]
name   = "range wakes"
key    = "prefix"
depth  = { 6 = 5 }
count  = "strangers"
window = "3h"
[[detector]]
name   = "many lines"
key    = "caller"
count  = "callees"
window = "1h"
trip   = 4
[[detector]]
name   = "tried"
key    = "caller"
count  = "callees"
window = "1h"
trip   = 4
mode   = "observe"
[[rule]]
name   = "campaign under way"
when   = { tripped = ["range wakes", "many lines", "tried"] }
action = "challenge"
`

var noon = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

// watching is a desk with detectors, and what changes of it.
func watching(t *testing.T, change func(o *Options)) *Desk {
	t.Helper()
	c := installation(t, detectorPolicy)
	db, err := storage.Open(c.Database(), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	o := Options{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon }}
	if change != nil {
		change(&o)
	}
	d := New(c, db, &inforce.State{}, o)
	if err := d.Load(); err != nil {
		t.Fatal(err)
	}
	return d
}

// A person is told of the first breakers that hold, each by its own incident, and of all others by one; the end of each is told, and what is on
// trial never.
func TestTripsAreTold(t *testing.T) {
	now := noon
	var log bytes.Buffer
	clock := func() time.Time { return now }
	book := alert.New(alert.Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Now: clock})
	d := watching(t, func(o *Options) { o.Alerts, o.Now = book, clock })
	set := d.force.Rules().Detectors
	is := func(detector, key, state string, minute int) {
		if state == detect.Closed {
			set.Reset(detector, "", key, "", now)
			return
		}
		set.Restore(detect.Breaker{
			Detector: detector, Key: key, State: state, Since: noon.Add(time.Duration(minute) * time.Minute), Until: noon.Add(9 * time.Hour), Hold: 9 * time.Hour, Why: "7 strangers in 3h, trips at 5",
		})
	}
	open := func() (all []string) {
		d.alertTripped()
		for _, i := range book.Open() {
			all = append(all, i.Subject)
		}
		slices.Sort(all)
		return all
	}
	want := func(want ...string) {
		t.Helper()
		if got := open(); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	want()
	is("tried", "+8613800138000", detect.Tripped, 0)
	want()
	is("range wakes", "952116", detect.Tripped, 1)
	want("range wakes: 952116")
	if text := book.Open()[0].Text; text != "range wakes: 952116 (firm A) tripped: 7 strangers in 3h, trips at 5; it holds until 2026-03-02 21:00. See ringfence detectors." {
		t.Errorf("told %s", text)
	}
	if text := log.String(); !strings.Contains(text, "level=WARN msg=alert") || strings.Contains(text, "ERROR") {
		t.Errorf("a trip is no error: %s", text)
	}
	for i := range 300 {
		is("many lines", fmt.Sprintf("+8613800138%03d", i), detect.Tripped, 300-i)
	}
	got := open()
	if len(got) != maxTrips+1 || !slices.Contains(got, "more") || !slices.Contains(got, "range wakes: 952116") {
		t.Errorf("of many: %q", got)
	}
	if n := len(book.Open()); n > maxTrips+1 {
		t.Errorf("%d incidents", n)
	}
	for range 3 {
		if again := open(); !slices.Equal(again, got) {
			t.Errorf("told anew: %q, were %q", again, got)
		}
	}
	is("range wakes", "952116", detect.Probing, 400)
	if !slices.Contains(open(), "range wakes: 952116") {
		t.Error("it is over while the breaker probes")
	}
	is("range wakes", "952116", detect.Closed, 500)
	for i := range 298 {
		is("many lines", fmt.Sprintf("+8613800138%03d", i), detect.Closed, 500)
	}
	want("many lines: +8613800138298", "many lines: +8613800138299", "more") // these two were told of; the incident of the others lasts an hour
	now = now.Add(tripsEvery)
	want("many lines: +8613800138298", "many lines: +8613800138299")
}

// However many breakers trip and close again, a person is told of a few an hour.
func TestTripsDoNotFlood(t *testing.T) {
	now, begun := noon, make(map[string]bool)
	clock := func() time.Time { return now }
	book := alert.New(alert.Options{Log: slog.New(slog.DiscardHandler), Now: clock})
	d := watching(t, func(o *Options) { o.Alerts, o.Now = book, clock })
	set := d.force.Rules().Detectors
	key := func(i int) string { return fmt.Sprintf("+861380013%04d", i) }
	for i := range 1010 { // each holds ten seconds
		if i < 1000 {
			set.Restore(detect.Breaker{Detector: "many lines", Key: key(i), State: detect.Tripped, Since: now, Until: now.Add(time.Hour), Hold: time.Hour})
		}
		if i >= 10 {
			set.Reset("many lines", "", key(i-10), "", now)
		}
		d.alertTripped()
		for _, x := range book.Open() {
			begun[x.ID()] = true
		}
		now = now.Add(time.Second)
	}
	if len(begun) > maxTrips+1 {
		t.Errorf("%d incidents in a quarter of an hour", len(begun))
	}
	now = now.Add(tripsEvery)
	set.Restore(detect.Breaker{Detector: "range wakes", Key: "952116", State: detect.Tripped, Since: now, Until: now.Add(time.Hour), Hold: time.Hour})
	d.alertTripped()
	if all := book.Open(); len(all) != 1 || all[0].Subject != "range wakes: 952116" {
		t.Errorf("an hour later: %+v", all)
	}
}

// A breaker that the detectors do not have any more, because the policy counts in another way, is no alert.
func TestTripsThatWent(t *testing.T) {
	book := alert.New(alert.Options{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon }})
	d := watching(t, func(o *Options) { o.Alerts = book })
	d.breakers.Changed(detect.Breaker{Detector: "range wakes", Key: "952116", State: detect.Tripped, Since: noon, Until: noon.Add(time.Hour), Hold: time.Hour})
	d.force.Rules().Detectors.Restore(detect.Breaker{Detector: "range wakes", Key: "952116", State: detect.Tripped, Since: noon, Until: noon.Add(time.Hour), Hold: time.Hour})
	d.alertTripped()
	if n := len(book.Open()); n != 1 {
		t.Fatalf("%d incidents", n)
	}
	byCaller := strings.Replace(detectorPolicy, "key    = \"prefix\"\ndepth  = { 6 = 5 }\ncount  = \"strangers\"", "key    = \"caller\"\ntrip   = 5\ncount  = \"calls\"", 1)
	if err := os.WriteFile(d.conf.Policy, []byte(byCaller), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Reload(t.Context()); err != nil || !r.Loaded {
		t.Fatal(r, err)
	}
	d.alertTripped()
	if all := book.Open(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

// Parts of the file of counts come back, those that this program does not know as well; what is damaged is left out, and what was sealed is
// read with the key alone.
func TestCountsFile(t *testing.T) {
	folder := t.TempDir()
	key, err := pseudonym.Open(folder, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, private := range []*pseudonym.Key{nil, key} {
		var own []byte
		section := Section{Name: "callers", Len: func() int { return len(own) }, Snapshot: func() []byte { return own }, Load: func(text []byte) error {
			if string(text) == "bad" {
				return errors.New("bad")
			}
			own = bytes.Clone(text)
			return nil
		}}
		var log bytes.Buffer
		d := watching(t, func(o *Options) {
			o.Private, o.Sections, o.Log = private, []Section{section}, slog.New(slog.NewTextHandler(&log, nil))
		})
		own = []byte("+8613800138000")
		d.counts.others = []Section{{Name: "of later", Snapshot: func() []byte { return []byte("x") }}}
		if n, err := d.saveCounts(); err != nil || n == 0 {
			t.Fatal(n, err)
		}
		if n, err := d.saveCounts(); err != nil || n != 0 {
			t.Errorf("written again: %d, %v", n, err)
		}
		text, err := os.ReadFile(d.countsPath())
		if err != nil || bytes.Contains(text, own) != (private == nil) {
			t.Errorf("%q, %v", text, err)
		}
		own, d.counts.others = nil, nil
		d.loadCounts()
		if string(own) != "+8613800138000" || len(d.counts.others) != 1 || d.counts.others[0].Name != "of later" || log.Len() > 0 {
			t.Errorf("read back %q, %+v: %s", own, d.counts.others, log.String())
		}
		own = []byte("bad")
		d.saveCounts()
		own = nil
		if d.loadCounts(); own != nil || !strings.Contains(log.String(), "part=callers") {
			t.Errorf("%q: %s", own, log.String())
		}
		for i := range text {
			bad := bytes.Clone(text)
			bad[i] ^= 0x40
			if err := os.WriteFile(d.countsPath(), bad, 0o640); err != nil {
				t.Fatal(err)
			}
			if _, err := d.readCounts(); err == nil {
				t.Errorf("byte %d of %d was changed, and it was read", i, len(text))
			}
		}
		os.WriteFile(d.countsPath(), text, 0o640)
		if err := d.renewCounts(); err != nil {
			t.Fatal(err)
		}
		if found, err := d.readCounts(); err != nil || found["of later"] != nil {
			t.Errorf("after somebody was forgotten: %v, %v", slices.Collect(maps.Keys(found)), err)
		}
	}
}

// What a kill left of a file of counts goes at the next start of the daemon, and where somebody is forgotten.
func TestCountsLeft(t *testing.T) {
	for name, do := range map[string]func(d *Desk){
		"start":  func(d *Desk) { d.LoadDetectors() },
		"forget": func(d *Desk) { d.renewCounts() },
	} {
		d := watching(t, func(o *Options) { o.Journal = &storage.Journal{} })
		left := d.countsPath() + ".new-123"
		if err := os.WriteFile(left, []byte("+8613800138000"), 0o600); err != nil {
			t.Fatal(err)
		}
		do(d)
		if _, err := os.Stat(left); err == nil {
			t.Errorf("%s: %s is there", name, left)
		}
	}
}

func FuzzReadSections(f *testing.F) {
	f.Add(appendSections(nil, []Section{{Name: "a", Snapshot: func() []byte { return []byte("b") }}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		whole := appendSections(nil, []Section{{Name: "x", Snapshot: func() []byte { return text }}})
		if found, err := readSections(whole); err != nil || !bytes.Equal(found["x"], text) {
			t.Errorf("%q is read as %q, %v", text, found, err)
		}
		readSections(text) // does not panic
	})
}

// What cannot be written waits, and an edit says so; it is written when the disk takes it, and only what is the newest.
func TestBreakersWait(t *testing.T) {
	d := watching(t, nil)
	k := d.breakers
	b := detect.Breaker{Detector: "range wakes", Key: "952116", State: detect.Tripped, Since: noon, Until: noon.Add(time.Hour)}
	k.Changed(b)
	other, err := storage.Open(d.conf.Database()+"2", storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	db := k.db
	k.db = other
	if k.flush() == nil {
		t.Fatal("written to a database that is closed")
	}
	k.db = db
	b.State = detect.Probing
	k.Changed(b)
	if err := k.flush(); err != nil {
		t.Fatal(err)
	}
	kept := func() (all []detect.Breaker) {
		if _, err := k.each(nil, func(_ storage.Breaker, b detect.Breaker) error { all = append(all, b); return nil }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := kept(); len(all) != 1 || all[0].State != detect.Probing || all[0].Key != "952116" {
		t.Errorf("%+v", all)
	}
	b.State = detect.Closed
	k.Changed(b)
	k.flush()
	if all := kept(); len(all) != 1 || all[0].State != detect.Closed {
		t.Errorf("it is to say so until the counts do: %+v", all)
	}
	b.State = detect.Tripped // again, before the counts are written
	closed := k.closedNow()
	k.Changed(b)
	k.dropClosed(closed)
	k.flush()
	if all := kept(); len(all) != 1 || all[0].State != detect.Tripped {
		t.Errorf("%+v", all)
	}
	b.State = detect.Closed
	k.Changed(b)
	k.flush()
	k.dropClosed(k.closedNow())
	if all := kept(); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	for i := range maxUnwritten + 7 {
		b.Key = fmt.Sprint(i)
		k.Changed(b)
	}
	if n := k.Dropped(); n != 7 {
		t.Errorf("%d found no room", n)
	}
	long := detect.Breaker{Detector: "many lines", Trunk: strings.Repeat("t", 2000), Key: "+8613800138000", State: detect.Tripped}
	k.Changed(long)
	if len(k.waiting) > maxUnwritten {
		t.Errorf("%d wait", len(k.waiting))
	}
	k.Changed(detect.Breaker{Detector: "range wakes", Key: "952119", State: detect.Tripped, Pinned: "open", By: "anna"}) // what a person typed finds room
	if err := k.flush(); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(kept(), func(b detect.Breaker) bool { return b.Pinned == "open" }) {
		t.Error("a pin was taken, and is not on disk")
	}
}

// Keys are read in any spelling.
func TestKeysOfDetectors(t *testing.T) {
	p, faults := policy.Load("p", []byte(strings.NewReplacer(
		"{ 6 = 5 }", "{ 4 = 9, 6 = 5 }",
		"[[rule]]", "[[detector]]\nname = \"firms\"\nkey = \"holder\"\ncount = \"callers\"\nwindow = \"1h\"\ntrip = 9\n[[detector]]\nname = \"all\"\nkey = \"all\"\ncount = \"strangers\"\nwindow = \"1h\"\ntrip = 9\n"+
			"[[detector]]\nname = \"one line\"\nkey = \"callee\"\ncount = \"strangers\"\nwindow = \"1h\"\ntrip = 9\n[[detector]]\nname = \"trunk\"\nkey = \"trunk\"\ncount = \"strangers\"\nwindow = \"1h\"\ntrip = 9\n[[rule]]",
		`"tried"]`, `"tried", "firms", "all", "one line", "trunk"]`).Replace(detectorPolicy)))
	if p == nil {
		t.Fatal(faults)
	}
	d := watching(t, nil)
	r := &inforce.Rules{Policy: p, Detectors: detect.New(p.Detectors(), detect.Options{})}
	for _, c := range []struct{ detector, text, want, fault string }{
		{"range wakes", "952116", "952116", ""},
		{"range wakes", "9521 16", "952116", ""},
		{"range wakes", "952116*", "952116", ""},
		{"range wakes", "+86 9521-16", "952116", ""},
		{"range wakes", "0592", "0592", ""},
		{"range wakes", "+86592", "0592", ""},
		{"range wakes", "0086138001", "138001", ""},
		{"range wakes", "+1305", "+1305", ""},
		{"range wakes", "001 305", "+1305", ""},
		{"range wakes", "95211", "", "has 5 digits"},
		{"range wakes", "", "", "the key is missing"},
		{"range wakes", "firm A", "", "is no prefix"},
		{"many lines", "138 0013 8000", "+8613800138000", ""},
		{"many lines", "+1 305 555 0100", "+13055550100", ""},
		{"many lines", "x", "", "is no number"},
		{"many lines", "hmac:+86-1380:00", "", "write the number itself"},
		{"firms", "FIRM a", "firm A", ""},
		{"firms", "firm B", "", `did you mean "firm A"?`},
		{"all", "ALL", "all", ""},
		{"all", "952116", "", "there is no key"},
		{"one line", "0592 555 0100", "+865925550100", ""},
		{"trunk", "telecom", "telecom", ""},
	} {
		i, _ := p.DetectorNamed(c.detector)
		got, err := d.keyOf(r, &p.Detectors()[i], c.text)
		if got != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s %q: got %q, %v, want %q %s", c.detector, c.text, got, err, c.want, c.fault)
		}
	}
}

// What is on trial is known over a restart; after two weeks it is proposed to enforce it.
func TestTrialsAreKept(t *testing.T) {
	now := noon
	trials := &traffic.Trials{}
	d := watching(t, func(o *Options) { o.Trials, o.Now = trials, func() time.Time { return now } })
	trials.Note("tried", now)
	trials.Note("range wakes", now)
	d.saveTrials()
	now = now.Add(trialTime)
	again := &traffic.Trials{}
	later := New(d.conf, d.db, &inforce.State{}, Options{Trials: again, Log: slog.New(slog.DiscardHandler), Now: d.o.Now})
	if err := later.Load(); err != nil {
		t.Fatal(err)
	}
	if all := again.All(now.Add(-24 * time.Hour)); len(all) != 1 || all[0].Name != "tried" || all[0].Calls != 1 || !all[0].Since.Equal(noon) {
		t.Errorf("%+v", all)
	}
	var s console.Status
	if later.detectorsStatus(&s); len(s.Detectors.Trials) != 1 || !s.Detectors.Trials[0].Propose || s.Detectors.Detectors != 3 {
		t.Errorf("%+v", s.Detectors)
	}
}

// A fault in detectors beside the calls is logged, and the daemon goes on.
func TestFaultBesideCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		d := &Desk{force: &inforce.State{}, edit: make(turn, 1), o: Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now}}
		d.force.SetRules(&inforce.Rules{Detectors: new(detect.Set)}) // which nobody has made: Tick is a fault
		ctx, cancel := context.WithCancel(t.Context())
		go d.TickDetectors(ctx)
		time.Sleep(3*tickEvery + time.Second)
		cancel()
		synctest.Wait()
		if n := strings.Count(log.String(), "fault="); n != 3 {
			t.Errorf("%d faults logged in three minutes: %s", n, log.String())
		}
	})
}
