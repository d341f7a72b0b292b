package desk

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/console"
)

// ownChildEnv makes this test binary a daemon that edits own lists without end; ownFromEnv says which edit is the first.
const (
	ownChildEnv = "RINGFENCE_OWN_CHILD"
	ownFromEnv  = "RINGFENCE_OWN_FROM"
)

// ownOfEdit is whose list the i-th edit is of.
func ownOfEdit(i int) string { return [...]string{"ann", "bob"}[i%2] + ":blacklist" }

// ownUndone reports whether the i-th edit is undone.
func ownUndone(i int) bool { return i%5 == 4 }

// ownChild says on standard output what is acknowledged: that an entry was added, or that this was undone.
func ownChild(folder string) {
	c := &conf.Daemon{Policy: filepath.Join(folder, "policy.toml"), Data: folder}
	d, err := run(c, slog.New(slog.DiscardHandler))
	from := 0
	fmt.Sscan(os.Getenv(ownFromEnv), &from)
	for i := from; err == nil; i++ {
		if _, err = d.AddEntries(context.Background(), ownOfEdit(i), []console.NewEntry{{Number: killedNumber(i)}}, false); err != nil {
			break
		}
		if fmt.Println("add", i); !ownUndone(i) {
			continue
		}
		last := uint64(0)
		err = d.Changes(context.Background(), ownOfEdit(i), func(c console.ListChange) error { last = c.ID; return nil })
		if err == nil {
			_, err = d.Undo(context.Background(), last)
		}
		fmt.Println("undo", i)
	}
	fmt.Println("error", err)
	os.Exit(1)
}

// A daemon that is killed at any moment, while it edits own lists of lines, has at the next start all that was acknowledged, each on its line alone.
func TestOwnListsAfterAKill(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := openOwn(t)
	h.stop(t)
	rounds, next := 10, 0
	if testing.Short() {
		rounds = 3
	}
	state := make(map[int]bool) // what must be there, and what must not
	for round := range rounds {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), ownChildEnv+"="+h.conf.Data, fmt.Sprint(ownFromEnv, "=", next))
		out, err := cmd.StdoutPipe()
		if err != nil || cmd.Start() != nil {
			t.Fatal("the child does not start")
		}
		said := bufio.NewScanner(out)
		kill := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
		for editing := false; said.Scan(); {
			var what string
			var i int
			if _, err := fmt.Sscan(said.Text(), &what, &i); err != nil {
				t.Fatalf("the child says %q", said.Text())
			}
			if !editing {
				editing = true
				kill.Reset(time.Duration(1+rand.IntN(80)) * time.Millisecond)
			}
			state[i], next = what == "add", i+1
		}
		cmd.Wait()
		h.start("")
		for i, there := range state {
			called, other := annCalled, bobCalled
			if i%2 == 1 {
				called, other = other, called
			}
			if i == next-1 && there && ownUndone(i) { // its undo may have been under way: from now on it is what it is
				there = h.rule(killedNumber(i), called) == "own block"
				state[i] = there
			}
			want := map[bool]string{true: "own block", false: "default"}[there]
			if got := h.rule(killedNumber(i), called) + ", " + h.rule(killedNumber(i), other); got != want+", default" {
				t.Fatalf("round %d: entry %d: %s, want %s", round, i, got, want)
			}
		}
		h.sameAsDisk(fmt.Sprint("round ", round))
		if err := h.checked(); err != nil {
			t.Fatal(err)
		}
		next++ // what was under way may be there or not
		h.stop(t)
	}
	if len(state) < rounds {
		t.Errorf("%d edits in %d rounds", len(state), rounds)
	}
	t.Logf("%d edits, %d kills", len(state), rounds)
}
