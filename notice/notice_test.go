package notice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ringfence/alert"
	"ringfence/policy"
	"ringfence/storage"
)

// stage is a database with its journal and notices, in a bubble of its own time.
type stage struct {
	t       *testing.T
	file    string
	db      *storage.DB
	journal *storage.Journal
	n       *Notices
	alerts  *alert.Book
	stop    func()

	mu    sync.Mutex
	fails func(line string) error // nil: all is taken
	sent  []sent
}

type sent struct {
	at   time.Time
	line string
	to   Target
	m    message
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, file: filepath.Join(t.TempDir(), "ringfence.db")}
	s.start()
	return s
}

func (s *stage) start() {
	var err error
	s.db, err = storage.Open(s.file, storage.Options{})
	s.check(err)
	s.alerts = alert.New(alert.Options{Settings: s.db, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	s.n = New(s.db, Options{
		Folder: filepath.Dir(s.file), Policy: func() *policy.Policy { return nil }, Alerts: s.alerts, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	s.n.send = func(ctx context.Context, l *storage.Line, to Target, m *message) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.fails != nil {
			if err := s.fails(l.Name); err != nil {
				return err
			}
		}
		s.sent = append(s.sent, sent{time.Now(), l.Name, to, *m})
		return nil
	}
	s.journal = s.db.StartJournal(storage.JournalOptions{Merge: time.Minute, Notices: s.n})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.n.Run(ctx) }()
	s.stop = func() {
		cancel()
		<-done
		s.check(s.journal.Close(context.Background()))
		s.check(s.db.Close())
	}
}

func (s *stage) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// line puts a line there, of a key; its notices go to `notify`.
func (s *stage) line(name, key, customer, notify string) {
	s.t.Helper()
	_, _, err := s.db.ChangeLines(storage.ChangeRecord{}, []storage.LineEdit{{Line: storage.Line{Name: name, Key: key, Customer: customer, Notify: notify, Timezone: "Asia/Shanghai"}}})
	s.check(err)
}

// call has a call to a line be stopped, and gives its id.
func (s *stage) call(key, caller string) string {
	s.t.Helper()
	id := storage.NewID(time.Now())
	if !s.journal.Add(storage.Record{
		ID: id, Time: time.Now(), Caller: storage.Caller{Raw: caller, E164: caller, Kind: "mobile"}, Callee: "8001", Line: policy.LineName(key), Stopped: key,
		Action: "reject", Would: "reject", Mode: "enforce", Rule: "listed",
	}) {
		s.t.Fatal("the journal takes no record")
	}
	s.check(s.journal.Flush(context.Background()))
	return id
}

// told is what was sent so far.
func (s *stage) told() []sent {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sent(nil), s.sent...)
}

func (s *stage) wait(d time.Duration) { time.Sleep(d) } // of the bubble's clock

// TestHourly holds that the first call is told of within a minute, and later ones an hour after that, together.
func TestHourly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer func() { s.stop() }()
		s.line("shop", "shop~1", "", "a@b")
		s.line("quiet", "quiet~1", "", "")
		begin := time.Now()
		first := s.call("shop~1", "+8613800138000")
		s.call("quiet~1", "+8613800138000")
		s.wait(10 * time.Second)
		s.call("shop~1", "+8613800138000") // counted on the first
		if got := s.told(); len(got) != 0 {
			t.Fatalf("told at once: %+v", got)
		}
		s.wait(gather)
		got := s.told()
		if len(got) != 1 || got[0].line != "shop" || got[0].m.Stopped != 2 || len(got[0].m.Calls) != 1 || got[0].m.Calls[0].ID != first || got[0].m.Calls[0].Calls != 2 {
			t.Fatalf("got %+v", got)
		}
		for range 5 {
			s.wait(time.Minute)
			s.call("shop~1", "+8613800138001")
		}
		s.wait(50 * time.Minute)
		if got := s.told(); len(got) != 1 {
			t.Fatalf("told again within the hour: %+v", got[1:])
		}
		s.wait(10 * time.Minute)
		if got = s.told(); len(got) != 2 || got[1].m.Stopped != 5 || got[1].at.Sub(got[0].at) < time.Hour || got[1].at.Sub(begin) > time.Hour+2*time.Minute {
			t.Fatalf("got %+v", got[1:])
		}
		s.wait(72 * time.Hour)
		if got := s.told(); len(got) != 2 {
			t.Errorf("told of nothing: %+v", got[2:])
		}
	})
}

// TestDaily holds that a digest comes at eight of the line's clock, once a day.
func TestDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer func() { s.stop() }()
		s.line("shop", "shop~1", "", "daily a@b")
		for range 100 {
			s.call("shop~1", fmt.Sprintf("+86138001380%02d", rand.IntN(100)))
			s.wait(30 * time.Minute)
		}
		s.wait(24 * time.Hour)
		zone, err := time.LoadLocation("Asia/Shanghai")
		s.check(err)
		got, sum := s.told(), 0
		for _, g := range got {
			if at := g.at.In(zone); at.Hour() != 8 || at.Minute() != 0 {
				t.Errorf("a digest at %v", at)
			}
			sum += g.m.Stopped
		}
		if sum != 100 || len(got) != 3 {
			t.Errorf("%d calls in %d digests, want 100 in 3", sum, len(got))
		}
	})
}

// TestRetries holds that what fails is tried ever more seldom, and given up after a day with an alert, which ends once a notice is taken.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer func() { s.stop() }()
		s.line("dead", "dead~1", "", "a@b")
		s.line("fine", "fine~1", "", "a@b")
		tries := 0
		s.fails = func(line string) error {
			if line == "dead" {
				tries++
				return errors.New("no such\x1b[31m host")
			}
			return nil
		}
		s.call("dead~1", "+8613800138000")
		s.wait(time.Minute)
		s.call("fine~1", "+8613800138000")
		s.wait(20 * time.Hour)
		if s.told(); len(s.sent) != 1 || s.sent[0].line != "fine" || s.alerts.Has(alert.Notice, "") {
			t.Fatalf("sent %+v, an alert before its time?", s.sent)
		}
		s.stop() // and the tries go on after it
		s.start()
		s.wait(5 * time.Hour)
		s.told()
		if tries < 20 || tries > 40 {
			t.Errorf("%d tries within 25 hours", tries)
		}
		if !s.alerts.Has(alert.Notice, "") || s.n.GivenUp.Load() != 1 || s.n.Dropped.Load() != 1 {
			t.Errorf("no alert; given up %d, dropped %d", s.n.GivenUp.Load(), s.n.Dropped.Load())
		}
		before := tries
		s.wait(24 * time.Hour)
		if s.told(); tries != before {
			t.Errorf("it was tried %d times after it was given up", tries-before)
		}
		s.mu.Lock()
		s.fails = nil
		s.mu.Unlock()
		s.call("dead~1", "+8613800138001")
		s.wait(2 * time.Minute)
		if got := s.told(); len(got) != 2 || got[1].m.Stopped != 1 || s.alerts.Has(alert.Notice, "") {
			t.Errorf("got %+v; is the alert over?", got)
		}
	})
}

// TestOtherCustomer holds that who has a line now learns nothing of the calls of who had it before, and that of a line that is gone nobody is told.
func TestOtherCustomer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer func() { s.stop() }()
		s.line("shop", "shop~1", "one", "daily one@example.com")
		s.line("gone", "gone~1", "one", "one@example.com")
		s.call("shop~1", "+8613800138000")
		s.call("gone~1", "+8613800138000")
		s.line("shop", "shop~2", "two", "two@example.com")
		s.call("shop~1", "+8613800138001") // was decided before the change, and written after it
		_, _, err := s.db.ChangeLines(storage.ChangeRecord{}, []storage.LineEdit{{Line: storage.Line{Name: "gone"}, Remove: true}})
		s.check(err)
		s.wait(30 * time.Hour)
		if got := s.told(); len(got) != 0 {
			t.Errorf("told: %+v", got)
		}
		mine := s.call("shop~2", "+8613800138002")
		s.wait(time.Hour)
		if got := s.told(); len(got) != 1 || got[0].to.Address != "two@example.com" || len(got[0].m.Calls) != 1 || got[0].m.Calls[0].ID != mine {
			t.Errorf("got %+v", got)
		}
		if left, err := s.db.Notices(""); err != nil || len(left) != 1 || left[0].Line != "shop~2" {
			t.Errorf("what is kept of lines that are gone: %+v, %v", left, err)
		}
	})
}

// TestComesMeanwhile holds that a call that comes while its customer is being told is told of next, and once.
func TestComesMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer func() { s.stop() }()
		s.line("shop", "shop~1", "", "a@b")
		inner := s.n.send
		s.n.send = func(ctx context.Context, l *storage.Line, to Target, m *message) error {
			if len(s.sent) == 0 {
				s.call("shop~1", "+8613800138000") // one that is counted on what is being told
				s.call("shop~1", "+8613800138001")
			}
			return inner(ctx, l, to, m)
		}
		s.call("shop~1", "+8613800138009")
		s.wait(50 * time.Second)
		s.call("shop~1", "+8613800138000")
		s.wait(2 * time.Hour)
		got := s.told()
		if len(got) != 2 || got[0].m.Stopped != 2 || got[1].m.Stopped != 2 || len(got[1].m.Calls) != 2 || got[1].at.Sub(got[0].at) < time.Hour {
			t.Errorf("got %+v", got)
		}
	})
}

// TestFair holds that one customer with many lines whose webhook never answers keeps no other waiting.
func TestFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer func() { s.stop() }()
		const many = 200
		for i := range many {
			s.line(fmt.Sprintf("big%d", i), fmt.Sprintf("big%d~1", i), "big", "https://dead.example.com/")
		}
		s.line("small", "small~1", "", "a@b")
		inner := s.n.send
		var under, most int
		s.n.send = func(ctx context.Context, l *storage.Line, to Target, m *message) error {
			if to.Hook == nil {
				return inner(ctx, l, to, m)
			}
			s.mu.Lock()
			under++
			most = max(most, under)
			s.mu.Unlock()
			time.Sleep(hookTimeout)
			s.mu.Lock()
			under--
			s.mu.Unlock()
			return errors.New("it does not answer")
		}
		for i := range many {
			s.call(fmt.Sprintf("big%d~1", i), "+8613800138000")
			s.wait(200 * time.Millisecond)
		}
		s.wait(15 * time.Second)
		s.call("small~1", "+8613800138000")
		begin := time.Now()
		s.wait(10 * time.Minute)
		got := s.told()
		if len(got) != 1 || got[0].at.Sub(begin) > gather+hookTimeout {
			t.Errorf("the other customer: %+v, after %v", got, begin)
		}
		if most != 1 {
			t.Errorf("%d of one customer were under way at once", most)
		}
	})
}

// TestCadenceProperty holds, for random calls, failures and restarts, that no line is told more than once an hour, that no call is told of twice, and
// that none is lost.
func TestCadenceProperty(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 1))
				s := newStage(t)
				defer func() { s.stop() }()
				keys := []string{"a~1", "b~1", "c~1"}
				for i, key := range keys {
					s.line(policy.LineName(key), key, "", []string{"a@b", "hourly c@d", "daily e@f"}[i])
				}
				luck := rand.New(rand.NewPCG(seed, 2)) // s.mu is held by who asks
				s.fails = func(string) error {
					if luck.IntN(4) == 0 {
						return errors.New("not now")
					}
					return nil
				}
				called := map[string]int{}
				for range 150 {
					key := keys[r.IntN(len(keys))]
					for range 1 + r.IntN(5) {
						s.call(key, fmt.Sprintf("+861380013800%d", r.IntN(10)))
						called[policy.LineName(key)]++
						s.wait(time.Duration(r.IntN(40)) * time.Second)
					}
					s.wait(time.Duration(r.IntN(60)) * time.Minute)
					if r.IntN(10) == 0 {
						s.stop()
						s.wait(time.Duration(r.IntN(200)) * time.Minute)
						s.start()
					}
				}
				s.mu.Lock()
				s.fails = nil
				s.mu.Unlock()
				s.wait(50 * time.Hour)
				last, told := map[string]time.Time{}, map[string]int{}
				for _, g := range s.told() {
					if before, ok := last[g.line]; ok && g.at.Sub(before) < time.Hour {
						t.Errorf("%s is told at %v and at %v", g.line, before, g.at)
					}
					last[g.line] = g.at
					told[g.line] += g.m.Stopped
				}
				if !maps.Equal(called, told) {
					t.Errorf("calls %v, told of %v", called, told)
				}
			})
		})
	}
}
