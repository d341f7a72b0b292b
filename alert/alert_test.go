package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// shelf keeps settings as the database does.
type shelf struct {
	mu   sync.Mutex
	kept map[string][]byte
	fail bool
}

func (s *shelf) Setting(name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[name], nil
}

func (s *shelf) PutSetting(name string, text []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(text) > 64<<10 {
		return fmt.Errorf("%d bytes are too many for a setting", len(text))
	}
	if s.fail {
		return errors.New("the disk is full")
	}
	if s.kept == nil {
		s.kept = map[string][]byte{}
	}
	s.kept[name] = slices.Clone(text)
	return nil
}

// desk is a book that runs, with a person who notes what they are told.
type desk struct {
	*Book
	mu   sync.Mutex
	told []string
	fail bool
	stop func()
}

// open runs a book in a bubble of time.
func open(t *testing.T, s Settings, remind time.Duration) *desk {
	d := &desk{Book: New(Options{Command: "/page-me", Remind: remind, Node: "pbx1", Settings: s, Log: slog.New(slog.DiscardHandler), Now: utc})}
	d.tell = func(_ context.Context, i *Incident, state string) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.fail {
			return errors.New("exit status 1")
		}
		d.told = append(d.told, fmt.Sprintf("%s %s%s: %s", state, i.Kind, i.Subject, i.message(state)))
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	d.stop = func() { cancel(); <-done }
	t.Cleanup(d.stop)
	return d
}

func utc() time.Time { return time.Now().UTC() }

// want holds what the person was told since, after some time.
func (d *desk) want(t *testing.T, after time.Duration, want ...string) {
	t.Helper()
	time.Sleep(after)
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.told, want) {
		t.Errorf("told\n  %s\nwant\n  %s", strings.Join(d.told, "\n  "), strings.Join(want, "\n  "))
	}
	d.told = nil
}

func (d *desk) failing(fail bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = fail
}

// One start, however often it is said; one end, which says how long it was; reminders in between.
func TestOneIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, &shelf{}, 24*time.Hour)
		for range 100 {
			d.Begin(Feed, "ftc", "it is held")
			time.Sleep(time.Second)
		}
		d.Begin(Feed, "other", "it is held too")
		d.End(Policy, "", "nothing was wrong with it")
		d.want(t, 0, "start feedftc: it is held", "start feedother: it is held too")
		d.Count(Feed, "ftc", 7)
		d.want(t, 24*time.Hour+lookEvery, "reminder feedftc: Still so, since 2000-01-01 00:00, 7 calls unscreened: it is held",
			"reminder feedother: Still so, since 2000-01-01 00:01: it is held too")
		if got := d.Open(); len(got) != 2 || got[0].Subject != "ftc" || got[0].Calls != 7 {
			t.Errorf("%+v", got)
		}
		d.End(Feed, "ftc", "accepted")
		d.End(Feed, "ftc", "accepted")
		d.want(t, time.Hour, "end feedftc: Over after 1d0h, 7 calls unscreened: accepted (It was: it is held)")
		d.Begin(Feed, "ftc", "again")
		d.want(t, time.Minute, "start feedftc: again")
		d.Begin(Feed, "o'hara <list>", "held as well")
		d.want(t, time.Minute, "start feed"+inert("o'hara <list>", maxSubject)+": held as well")
		d.Only(Feed, "ftc", "o'hara <list>")
		d.want(t, time.Minute, "end feedother: Over after 1d1h: the daemon’s file names it no longer (It was: it is held too)")
	})
}

// A restart tells nothing twice, tells what could not be told before it, and ends what ended since.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		d := open(t, s, 24*time.Hour)
		d.Begin(Policy, "", "it has faults")
		d.want(t, time.Second, "start policy: it has faults")
		d.failing(true)
		d.Begin(Attach, "pbx1", "it is away")
		d.Count(Policy, "", 3)
		d.want(t, time.Second)
		d.stop()

		d = open(t, s, 24*time.Hour)
		d.Begin(Policy, "", "it has faults")
		d.want(t, time.Hour, "start attachpbx1: it is away")
		if got := d.Open(); len(got) != 2 || got[0].Calls != 3 {
			t.Errorf("%+v", got)
		}
		d.failing(true)
		d.End(Policy, "", "mended")
		d.want(t, time.Second)
		d.stop()

		d = open(t, s, 0)
		d.want(t, 30*24*time.Hour, "end policy: Over after 1h0m, 3 calls unscreened: mended (It was: it has faults)")
		d.stop()
		for _, text := range []string{"", "nonsense", "[null, {}]", `{"a":1}`} { // a file that was damaged
			s.kept[setting] = []byte(text)
			if d := New(Options{Settings: s, Log: slog.New(slog.DiscardHandler), Now: time.Now}); len(d.Open()) != 0 {
				t.Errorf("%q: %+v", text, d.Open())
			}
		}
	})
}

// A command that fails is tried again, ever more seldom; what is over before it could be told is told once, and not for ever.
func TestCommandFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, nil, 0)
		d.failing(true)
		d.Begin(Policy, "", "it has faults")
		d.want(t, 24*time.Hour)
		if n := d.Failed.Load(); n < 20 || n > 40 {
			t.Errorf("%d runs of the command in a day", n)
		}
		d.failing(false)
		d.want(t, 2*time.Hour, "start policy: it has faults")
		d.failing(true)
		d.End(Policy, "", "mended")
		d.Begin(Feed, "x", "held")
		d.End(Feed, "x", "accepted")
		d.want(t, 3*time.Hour)
		d.failing(false)
		d.want(t, 2*time.Hour, "end policy: Over after 1d2h: mended (It was: it has faults)", "end feedx: Over after 0s: accepted (It was: held)")
		d.failing(true)
		d.Begin(Feed, "y", "held")
		d.End(Feed, "y", "accepted")
		d.want(t, 48*time.Hour)
		d.failing(false)
		d.want(t, 48*time.Hour)
	})
}

// What is looked at again and again begins once it has been bad for a while, and is over once it has been good for a while: it
// does not flap.
func TestSee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, nil, 0)
		look := func(bad bool, times int) {
			for range times {
				d.See(Attach, "pbx1", bad, map[bool]string{true: "it is away", false: "it is there again"}[bad], 2*time.Minute, 10*time.Minute)
				time.Sleep(10 * time.Second)
			}
		}
		for range 10 { // it comes and goes
			look(true, 11)
			look(false, 1)
		}
		d.want(t, 0)
		look(true, 13)
		d.want(t, 0, "start attachpbx1: it is away")
		for range 10 {
			look(false, 59)
			look(true, 30)
		}
		d.want(t, 0)
		began := d.Open()[0].Since
		well := time.Now()
		look(false, 61)
		d.want(t, 0, "end attachpbx1: Over after "+lasted(well.Sub(began))+": it is there again (It was: it is away)")
		if len(d.seen) != 1 {
			t.Errorf("%d things are watched", len(d.seen))
		}
	})
}

// There are so many incidents at once and no more, and they fit into a setting however long their texts are.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		d := open(t, s, 0)
		d.failing(true)
		long := strings.Repeat("𝔠\"&", 1000)
		for i := range maxIncidents + 3 {
			d.Begin(Feed, fmt.Sprint(i)+long, long)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(d.Open()) != maxIncidents || d.Full.Load() != 3 || len(s.kept[setting]) < 10_000 {
			t.Errorf("%d incidents, %d had no room, %d bytes", len(d.Open()), d.Full.Load(), len(s.kept[setting]))
		}
		d.End(Feed, "7"+long, "accepted")
		d.Begin(Policy, "", "it has faults") // what is over gives way
		if !d.Has(Policy, "") || d.Has(Feed, "7"+long) || d.Full.Load() != 3 {
			t.Errorf("%d incidents, %d had no room", len(d.Open()), d.Full.Load())
		}
		var none *Book
		none.Begin(Policy, "", "x")
		none.End(Policy, "", "x")
		none.Only(Policy)
		if none.Open() != nil {
			t.Error("no book has incidents")
		}
	})
}

// What cannot be kept is tried again.
func TestKeepFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{fail: true}
		d := open(t, s, 0)
		d.Begin(Policy, "", "it has faults")
		d.want(t, time.Second, "start policy: it has faults")
		s.mu.Lock()
		s.fail = false
		s.mu.Unlock()
		time.Sleep(2 * lookEvery)
		if text, _ := s.Setting(setting); !strings.Contains(string(text), "it has faults") {
			t.Errorf("kept %q", text)
		}
	})
}

func TestLasted(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 45 * time.Second: "45s", 12*time.Minute + 59*time.Second: "12m", 3*time.Hour + 5*time.Minute: "3h5m", 52 * time.Hour: "2d4h",
	} {
		if got := lasted(d); got != want {
			t.Errorf("%v is %s, want %s", time.Duration(d), got, want)
		}
	}
}

func FuzzInertText(f *testing.F) {
	for _, s := range []string{"", "plain", "a\nb\r\nc", "$(reboot) `x` \"y\" 'z'", "\x00\x1b[31m\xff\u202e", strings.Repeat("界", 400)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := inert(s, maxText)
		if len(got) > maxText || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\x00\x1b$`\"'\\") {
			t.Errorf("%q became %q", s, got)
		}
		if again := inert(got, maxText); again != got {
			t.Errorf("%q became %q, and then %q", s, got, again)
		}
	})
}
