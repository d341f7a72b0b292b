package storage

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Who has many edits of lines to make waits for an import that is under way, for so long and no longer, and others wait for him then.
func TestLineTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := open(t, Options{})
		d.maxEdit = 20 // two edits of lines need the turn
		many := put(line("a"), line("b"))
		long := func(took time.Duration) ImportOptions {
			return ImportOptions{Commit: func(do func() (ChangeRecord, error)) error {
				time.Sleep(took)
				_, err := do()
				return err
			}}
		}
		go d.Import("feed", imported(entry(1)), long(time.Minute))
		synctest.Wait()
		began := time.Now()
		if _, err := d.LineTurn(t.Context(), 2, 10*time.Second); !errors.Is(err, ErrBusy) || time.Since(began) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := d.LineTurn(gone, 2, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("nobody waits any more: %v", err)
		}
		few, err := d.LineTurn(t.Context(), 1, 0)
		check(t, err)
		if _, _, err := few.ChangeLines(ChangeRecord{}, many); !errors.Is(err, ErrBusy) {
			t.Errorf("many edits without the turn: %v", err)
		}
		if _, _, err := few.ChangeLines(ChangeRecord{}, many[:1]); err != nil {
			t.Errorf("one edit without the turn: %v", err)
		}
		few.End()

		turn, err := d.LineTurn(t.Context(), 2, time.Hour)
		check(t, err)
		if took := time.Since(began); took != time.Minute {
			t.Errorf("the turn came after %v, and the import took a minute", took)
		}
		if _, err := d.Import("feed", imported(entry(2)), ImportOptions{}); !errors.Is(err, ErrBusy) {
			t.Errorf("an import beside: %v", err)
		}
		_, _, err = turn.ChangeLines(ChangeRecord{}, many)
		check(t, err)
		if got := allLines(t, d); len(got) != 2 {
			t.Errorf("%+v", got)
		}
		turn.End()
		_, err = d.Import("feed", imported(entry(2)), ImportOptions{})
		check(t, err)
		check(t, d.Close())
	})
}
