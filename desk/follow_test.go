package desk

import (
	"context"
	"errors"
	"flag"
	"slices"
	"sync"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/policy"
	"ringfence/storage"
)

// followed is who follows a desk, until the test ends.
type followed struct {
	records chan console.Record
	err     chan error
	stop    context.CancelFunc
}

// follow returns when who follows is told of calls.
func follow(t testing.TB, d *running, room int) *followed {
	t.Helper()
	return followAs(t, t.Context(), d, room)
}

func followAs(t testing.TB, ctx context.Context, d *running, room int) *followed {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	f := &followed{make(chan console.Record, room), make(chan error, 1), cancel}
	joined := make(chan struct{})
	go func() {
		f.err <- d.Follow(ctx, func() { close(joined) }, func(r console.Record) error {
			select {
			case f.records <- r:
			case <-ctx.Done():
			}
			return nil
		})
	}()
	<-joined
	return f
}

func (f *followed) next(t testing.TB) console.Record {
	t.Helper()
	select {
	case r := <-f.records:
		return r
	case <-time.After(20 * time.Second):
		t.Fatal("no record came")
	}
	return console.Record{}
}

func TestFollow(t *testing.T) {
	d := callsDesk(t)
	a, b := follow(t, d, 100), follow(t, d, 100)
	for i := range 50 {
		r := pastCall(0, "+8695211613", staffNumber, "staff", "allow", float64(i))
		d.journal.Add(r)
		if a.next(t).ID != r.ID || b.next(t).ID != r.ID {
			t.Fatal("another record came")
		}
	}
	d.journal.Outcome(storage.NewID(time.Now()), storage.Outcome{})
	a.stop()
	if err := <-a.err; err != nil {
		t.Error(err)
	}
	r := pastCall(0, "+8695211614", staffNumber, "staff", "allow", 0)
	d.journal.Add(r)
	if got := b.next(t); got.ID != r.ID {
		t.Errorf("%+v", got)
	}
	if now, slow := d.Followed(); now != 1 || slow != 0 {
		t.Errorf("%d follow, %d were slow", now, slow)
	}
	d.stop(t) // the journal ends
	if err := <-b.err; err != nil {
		t.Error(err)
	}
}

// Who was told that they follow misses nothing from that moment on.
func TestFollowFromJoining(t *testing.T) {
	d := callsDesk(t)
	for range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		r, got := pastCall(0, "+8695211613", staffNumber, "staff", "allow", 0), ""
		err := d.Follow(ctx, func() { d.journal.Add(r) }, func(r console.Record) error {
			got = r.ID
			cancel()
			return nil
		})
		if cancel(); got != r.ID || err != nil {
			t.Fatalf("%q came for %q, %v", got, r.ID, err)
		}
	}
}

// One token does not take the places of all others, and has its own again when it leaves one.
func TestFollowEach(t *testing.T) {
	d := callsDesk(t)
	as := func(session string) context.Context {
		return console.WithWho(t.Context(), &console.Who{Name: "crm", Way: console.ByToken, Session: session, Role: console.Viewer})
	}
	var all []*followed
	for range followersEach {
		all = append(all, followAs(t, as("one"), d, 1))
	}
	if err := d.Follow(as("one"), func() { t.Error("it follows once too often") }, nil); !errors.Is(err, console.ErrConflict) {
		t.Errorf("one more: got %v", err)
	}
	for _, who := range []context.Context{as("another"), t.Context()} {
		followAs(t, who, d, 1)
	}
	for range 2 * followersEach { // who is at the machine
		follow(t, d, 1)
	}
	all[0].stop()
	if err := <-all[0].err; err != nil {
		t.Fatal(err)
	}
	f := followAs(t, as("one"), d, 1)
	r := pastCall(0, "+8695211613", staffNumber, "staff", "allow", 0)
	d.journal.Add(r)
	if got := f.next(t); got.ID != r.ID {
		t.Errorf("%+v", got)
	}
	f.stop()
	for _, f := range all[1:] {
		f.stop()
	}
	for _, f := range append(all[1:], f) {
		<-f.err
	}
	d.hub.mu.Lock()
	defer d.hub.mu.Unlock()
	if n, there := d.hub.of["token one"]; there {
		t.Errorf("who has left is counted with %d", n)
	}
}

// Who is too slow is let go of and told, and nobody else notices.
func TestFollowSlow(t *testing.T) {
	d := callsDesk(t)
	slow, quick := follow(t, d, 0), follow(t, d, 3*maxFollow)
	for i := range 2 * maxFollow {
		for !d.journal.Add(pastCall(0, "+8695211613", staffNumber, "staff", "allow", 0)) {
			d.flush(t.Context())
		}
		if i%500 == 499 {
			d.flush(t.Context()) // as quick as calls may be, but not as a loop
			for len(quick.records) <= i {
				time.Sleep(time.Millisecond)
				if d.journal.Missed() > 0 {
					t.Fatal("records were missed")
				}
			}
		}
	}
	go func() {
		for range slow.records {
		}
	}()
	select {
	case err := <-slow.err:
		if !errors.Is(err, ErrSlow) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("who is slow follows on")
	}
	close(slow.records)
	for range 2 * maxFollow {
		quick.next(t)
	}
	if now, slow := d.Followed(); now != 1 || slow != 1 {
		t.Errorf("%d follow, %d were slow", now, slow)
	}
}

func TestFollowBounds(t *testing.T) {
	d := callsDesk(t)
	d.hub.mu.Lock()
	d.hub.followers = maxFollowers
	d.hub.mu.Unlock()
	if err := d.Follow(t.Context(), nil, func(console.Record) error { return nil }); !errors.Is(err, console.ErrConflict) {
		t.Error(err)
	}
	d.hub.mu.Lock()
	d.hub.followers = 0
	d.hub.mu.Unlock()
	enough := errors.New("enough")
	done := make(chan error)
	go func() { done <- d.Follow(t.Context(), nil, func(console.Record) error { return enough }) }()
	for now := 0; now == 0; now, _ = d.Followed() {
		time.Sleep(time.Millisecond)
	}
	d.journal.Add(pastCall(0, "+8695211613", staffNumber, "staff", "allow", 0))
	if err := <-done; err != enough {
		t.Error(err)
	}
	if now, _ := d.Followed(); now != 0 {
		t.Errorf("%d follow", now)
	}
}

var benchFollow = flag.Duration("follow", 0, "for how long TestBenchFollow has each number of views follow calls")

// TestBenchFollow has 500 calls a second be decided and written down, with nobody who follows them, and with 200.
func TestBenchFollow(t *testing.T) {
	if *benchFollow == 0 {
		t.Skip("NOT TESTED: make bench-calls does, which takes a minute")
	}
	for _, views := range []int{0, 200, 0, 200} {
		d := callsDesk(t)
		var mu sync.Mutex
		var late []time.Duration
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for i := range views {
			all.Go(func() {
				err := d.Follow(ctx, nil, func(r console.Record) error {
					if i == 0 {
						mu.Lock()
						late = append(late, time.Since(r.Time))
						mu.Unlock()
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		for now := -1; now != views; now, _ = d.Followed() {
			time.Sleep(time.Millisecond)
		}
		rules := d.force.Rules()
		var added, decided []time.Duration
		tick := time.NewTicker(2 * time.Millisecond)
		for end := time.Now().Add(*benchFollow); time.Now().Before(end); {
			<-tick.C
			call := rules.Policy.Call(policy.Facts{Caller: "95211613", Callee: staffNumber, Time: time.Now()})
			at := time.Now()
			rules.Policy.Decide(&call, rules.Lists)
			decided = append(decided, time.Since(at))
			r := pastCall(0, "+8695211613", staffNumber, "staff", "allow", 0)
			at = time.Now()
			d.journal.Add(r)
			added = append(added, time.Since(at))
		}
		tick.Stop()
		cancel()
		all.Wait()
		d.stop(t)
		t.Logf("%3d views: Add %v / %v, decision %v / %v, with who follows after %v / %v (median / p99)", views,
			percentile(added, 50), percentile(added, 99), percentile(decided, 50), percentile(decided, 99), percentile(late, 50), percentile(late, 99))
	}
}

func percentile(all []time.Duration, percent int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return all[len(all)*percent/100]
}
