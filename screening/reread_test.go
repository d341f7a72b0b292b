package screening

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/number"
	"ringfence/storage"
)

// Who was known, or had passed, under what an earlier version took for their number is so under the one they have now, and nothing
// that was kept is lost.
func TestFactsReadAgain(t *testing.T) {
	db, err := storage.Open(filepath.Join(t.TempDir(), "x.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Now().Truncate(time.Millisecond).UTC()
	stamps := func(keys ...string) (all []storage.Stamp) {
		for i, key := range keys {
			all = append(all, storage.Stamp{Key: strings.ReplaceAll(key, "|", "\x00"), At: now.Add(time.Duration(i) * time.Second)})
		}
		return all
	}
	for table, keys := range map[storage.StampTable][]string{
		storage.Known:  {"staff|5551234567", "staff|15551234567", "board|5551234567", "staff|+13055550100", "staff|alice", "odd"},
		storage.Passed: {"staff|5551234567", "number 5557654321|5551234567", "number 8001|+13055550100"},
	} {
		if err := db.PutStamps(table, stamps(keys...), nil); err != nil {
			t.Fatal(err)
		}
	}
	plan, err := number.NewPlan(number.PlanOptions{Country: "US", Internal: []string{"8???"}})
	if err != nil {
		t.Fatal(err)
	}
	k, m := keeperOf(db)
	k.memory = m
	m.Known.Remember("board", "+15551234567", now.Add(time.Hour)) // they called since, which is kept when that is learnt
	moved, err := k.ReadAgain(t.Context(), plan)
	if err != nil || moved != 3 {
		t.Errorf("%d moved (%v)", moved, err)
	}
	for table, want := range map[storage.StampTable]string{
		storage.Known:  "board|5551234567 2s, odd 5s, staff|+13055550100 3s, staff|+15551234567 1s, staff|15551234567 1s, staff|5551234567 0s, staff|alice 4s",
		storage.Passed: "number +15557654321|+15551234567 1s, number 8001|+13055550100 2s, staff|+15551234567 0s",
	} {
		var got []string
		if err := db.EachStamp(table, func(s storage.Stamp) error {
			got = append(got, strings.ReplaceAll(s.Key, "\x00", "|")+" "+s.At.Sub(now).String())
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: got %s, want %s", table, strings.Join(got, ", "), want)
		}
	}
	if line, _ := m.Known.To("+15551234567", []string{"staff"}, time.Time{}); line.IsZero() {
		t.Error("he is not known under his number")
	}
	if passed, _ := m.Challenges.Of("staff", "", "+15551234567", now); passed.IsZero() {
		t.Error("he has not passed under his number")
	}
	if moved, err := k.ReadAgain(t.Context(), plan); err != nil || moved != 0 {
		t.Errorf("once more: %d moved (%v)", moved, err)
	}
}

// A pass that was ended stays so, however often numbers are read again.
func TestEndedPassStays(t *testing.T) {
	db, err := storage.Open(filepath.Join(t.TempDir(), "x.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Now().Truncate(time.Millisecond).UTC()
	if err := db.PutStamps(storage.Passed, []storage.Stamp{{Key: "staff\x005551234567", At: now}}, nil); err != nil {
		t.Fatal(err)
	}
	k, m := keeperOf(db)
	k.memory = m
	for i, internal := range []string{"8???", "7???"} {
		plan, err := number.NewPlan(number.PlanOptions{Country: "US", Internal: []string{internal}})
		if err != nil {
			t.Fatal(err)
		}
		if moved, err := k.ReadAgain(t.Context(), plan); err != nil || moved != 1-i {
			t.Fatalf("%d moved (%v)", moved, err)
		}
		if passed, _ := m.Challenges.Of("staff", "", "+15551234567", now); passed.IsZero() != (i == 1) {
			t.Fatalf("round %d: passed at %v", i, passed)
		}
		if err := k.EndPasses("+15551234567", nil); err != nil {
			t.Fatal(err)
		}
	}
}

// Where numbers are hidden, none is written in clear.
func TestHiddenFactsReadAgain(t *testing.T) {
	db, err := storage.Open(filepath.Join(t.TempDir(), "x.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Now().Truncate(time.Millisecond).UTC()
	for _, table := range []storage.StampTable{storage.Known, storage.Passed} {
		if err := db.PutStamps(table, []storage.Stamp{{Key: "staff\x005551234567", At: now}, {Key: "staff\x00" + storage.PrivateMark + "abc", At: now}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	plan, err := number.NewPlan(number.PlanOptions{Country: "US"})
	if err != nil {
		t.Fatal(err)
	}
	k, m := keeperOf(db)
	k.memory = m
	m.Hide(func(e164 string) string { return storage.PrivateMark + "of " + e164[len(e164)-4:] })
	if moved, err := k.ReadAgain(t.Context(), plan); err != nil || moved != 2 {
		t.Errorf("%d moved (%v)", moved, err)
	}
	for _, table := range []storage.StampTable{storage.Known, storage.Passed} {
		err := db.EachStamp(table, func(s storage.Stamp) error {
			if strings.Contains(s.Key, "+1555") {
				t.Errorf("%s: %q", table, s.Key)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if line, _ := m.Known.To(m.Name("+15551234567"), []string{"staff"}, time.Time{}); line.IsZero() {
		t.Error("he is not known by his name")
	}
}
