package screening

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/number"
	"ringfence/storage"
)

// Who was known, or had passed, under what an earlier version took for his number is so under the one he has now, and nothing
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
	m.Known.Remember("board", "+15551234567", now.Add(time.Hour)) // he called since, which is kept when that is learnt
	moved, err := k.ReadAgain(t.Context(), plan)
	if err != nil || moved != 3 {
		t.Errorf("%d moved (%v)", moved, err)
	}
	for table, want := range map[storage.StampTable]string{
		storage.Known:  "board|5551234567 2s, odd 5s, staff|+13055550100 3s, staff|+15551234567 1s, staff|15551234567 1s, staff|5551234567 0s, staff|alice 4s",
		storage.Passed: "number +15557654321|+15551234567 1s, number 5557654321|5551234567 1s, number 8001|+13055550100 2s, staff|+15551234567 0s, staff|5551234567 0s",
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
