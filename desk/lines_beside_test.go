package desk

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"ringfence/console"
	"ringfence/policy"
	"ringfence/storage"
)

// Edits, imports, undos and own lists beside each other, while calls are decided and the policy and its country change: in the end memory is what a
// start would read, and whatever was acknowledged is there.
//
// long: because each kind of edit is a case
func TestLinesBesideEachOther(t *testing.T) {
	h := openOwn(t)
	ctx := t.Context()
	names := []string{"ann", "bob", "carol"}
	var ids []uint64
	var mu sync.Mutex
	note := func(id uint64) {
		mu.Lock()
		defer mu.Unlock()
		if id != 0 {
			ids = append(ids, id)
		}
	}
	var made, refused atomic.Int32
	allowed := func(err error) {
		if err == nil {
			made.Add(1)
		} else {
			refused.Add(1)
		}
		if err != nil && !errors.Is(err, console.ErrConflict) && !errors.Is(err, console.ErrBad) && !errors.Is(err, console.ErrNotFound) && !errors.Is(err, storage.ErrBusy) {
			t.Error(err)
		}
	}
	text := func(s string) *string { return &s }
	numberOf := func(rnd *rand.Rand) string { return fmt.Sprintf("+86592555%04d", 100+rnd.IntN(8)) }
	edit := func(rnd *rand.Rand, step int) {
		name := names[rnd.IntN(len(names))]
		list := name + []string{":blacklist", ":allowlist"}[rnd.IntN(2)]
		caller := func() string { return fmt.Sprintf("+861380013800%d", rnd.IntN(6)) }
		switch rnd.IntN(12) {
		case 0:
			out, err := h.RemoveLines(ctx, []string{name})
			if allowed(err); err == nil {
				note(out[0].ID)
			}
		case 1, 2:
			numbers := []string{numberOf(rnd), numberOf(rnd)}
			out, err := h.AddLines(ctx, []console.LineSet{{Name: name, Numbers: &numbers}})
			if allowed(err); err == nil {
				note(out[0].ID)
			}
		case 3:
			out, err := h.SetLine(ctx, console.LineSet{Name: name, Customer: text(fmt.Sprint("c", rnd.IntN(3))), Note: text(fmt.Sprint(step))})
			if allowed(err); err == nil {
				note(out.ID)
			}
		case 4, 5:
			mu.Lock()
			id := uint64(0)
			if len(ids) > 0 {
				id = ids[rnd.IntN(len(ids))]
			}
			mu.Unlock()
			if id != 0 {
				c, err := h.Undo(ctx, id)
				if allowed(err); err == nil {
					note(c.ID)
				}
			}
		case 6:
			var rows []string
			for _, name := range names[:1+rnd.IntN(3)] {
				rows = append(rows, name+","+numberOf(rnd)+","+fmt.Sprint("c", rnd.IntN(3)))
			}
			r, err := h.importLines(t, console.LineImport{File: "f", Source: "billing", Whole: true, Force: true}, rows...)
			if allowed(err); err == nil {
				note(r.Change)
			}
		case 7:
			var rows strings.Builder
			for i := range rnd.IntN(2000) {
				fmt.Fprintf(&rows, "+8613%09d\n", i)
			}
			r, err := h.Import(ctx, console.ImportQuery{List: list, File: "f", Replace: rnd.IntN(2) == 0}, strings.NewReader(rows.String()+caller()+"\n"))
			if allowed(err); err == nil {
				note(r.Change)
			}
		case 8:
			_, err := h.RemoveEntries(ctx, list, []string{caller(), caller()}, true)
			allowed(err)
		default:
			_, err := h.AddEntries(ctx, list, []console.NewEntry{{Number: caller(), Reason: fmt.Sprint(step)}}, false)
			allowed(err)
		}
	}
	var work sync.WaitGroup
	done := make(chan struct{})
	for seed := range uint64(3) {
		work.Go(func() {
			rnd := rand.New(rand.NewPCG(14, seed))
			for step := range 40 {
				edit(rnd, step)
			}
		})
	}
	reload := func(country string) {
		t.Helper()
		text := strings.Replace(ownPolicy, `"CN"`, `"`+country+`"`, 1)
		if country != "CN" {
			text = strings.Replace(text, "05925550000-05925550099", "+1415555????", 1)
		}
		if err := os.WriteFile(h.conf.Policy, []byte(text), 0o644); err != nil {
			t.Error(err)
		}
		if r, err := h.Reload(ctx); err != nil || !r.Loaded {
			t.Errorf("%+v, %v", r, err)
		}
	}
	var calls sync.WaitGroup
	calls.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			r := h.force.Rules()
			c := r.Policy.Call(policy.Facts{Caller: nuisance, Callee: annCalled})
			r.Policy.Decide(&c, r.Lists)
			if i%2000 == 0 {
				reload([]string{"US", "CN"}[i/2000%2])
			}
		}
	})
	work.Wait()
	close(done)
	calls.Wait()
	reload("CN")
	if t.Logf("%d edits made, %d refused", made.Load(), refused.Load()); made.Load() < 30 {
		t.Error("too few to show anything")
	}
	h.memoryIsDisk(t, "in the end")
	h.sameAsDisk("in the end")
	if err := h.checked(); err != nil {
		t.Error(err)
	}
	h.restart()
	h.sameAsDisk("after a restart")
}
