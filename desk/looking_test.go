package desk

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"ringfence/console"
)

// TestLooking: few look at once, long looks hold up no other, one who asks much has only themselves wait, and who waits too long is told.
func TestLooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLooking()
		as := func(name string) context.Context {
			return console.WithWho(t.Context(), &console.Who{Name: name, Way: console.BySession, Role: console.Viewer})
		}
		begin := func(ctx context.Context, long bool) func() {
			t.Helper()
			done, err := l.begin(ctx, long)
			if err != nil {
				t.Fatal(err)
			}
			return done
		}
		first, second := begin(as("eve"), false), begin(as("eve"), false)
		other := begin(as("ada"), true) // though both usual places are taken
		refused := make(chan error, looksEach)
		for range looksEach - 2 {
			go func() {
				_, err := l.begin(as("eve"), false)
				refused <- err
			}()
		}
		synctest.Wait()
		if _, err := l.begin(as("eve"), false); !errors.Is(err, console.ErrConflict) {
			t.Errorf("one more of the same: got %v", err)
		}
		gone, cancel := context.WithCancel(as("ada"))
		cancel()
		if _, err := l.begin(gone, false); !errors.Is(err, context.Canceled) {
			t.Errorf("who is gone: got %v", err)
		}
		time.Sleep(looksWait)
		synctest.Wait()
		for range looksEach - 2 {
			if err := <-refused; !errors.Is(err, console.ErrConflict) {
				t.Errorf("who waited for %v: got %v", looksWait, err)
			}
		}
		first()
		third := begin(as("ada"), false)
		second()
		third()
		other()
		if len(l.of) > 0 || len(l.places) > 0 || len(l.long) > 0 {
			t.Errorf("places are taken still: %v, %d, %d", l.of, len(l.places), len(l.long))
		}
	})
}

// TestLookNeedsNoPlace: what is wrong with a question, and what is known already, is said at once, however many look.
func TestLookNeedsNoPlace(t *testing.T) {
	d := callsDesk(t, someCalls()...)
	if _, err := d.Ranges(t.Context(), console.RangeQuery{Prefix: "9"}); err != nil {
		t.Fatal(err)
	}
	for range looks {
		d.looking.places <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Ranges(ctx, console.RangeQuery{Prefix: "9"}); err != nil {
		t.Errorf("an answer of a moment ago: got %v", err)
	}
	if _, err := d.Ranges(ctx, console.RangeQuery{Prefix: "x"}); !errors.Is(err, console.ErrBad) {
		t.Errorf("a wrong range: got %v", err)
	}
	if _, err := d.Search(ctx, console.SearchQuery{Query: console.Query{Limit: -1}}); !errors.Is(err, console.ErrBad) {
		t.Errorf("a wrong limit: got %v", err)
	}
	if _, err := d.Search(ctx, console.SearchQuery{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a search without a place: got %v", err)
	}
}
