package traffic

import (
	"fmt"
	"testing"
	"time"
)

// What is on trial is counted by the day, for two weeks, over a restart; what is not any more is forgotten.
func TestTrials(t *testing.T) {
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return at.AddDate(0, 0, n) }
	var trials Trials
	want := func(now time.Time, want string) {
		t.Helper()
		if got := fmt.Sprint(trials.All(now)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if trials.Changes() != nil {
		t.Error("nothing has changed")
	}
	trials.Note("range wakes", at)
	want(at, "[]")
	trials.Observe([]string{"range wakes", ""}, at)
	for range 3 {
		trials.Note("range wakes", at)
	}
	trials.Note("", at)
	trials.Note("range wakes", day(1))
	trials.Note("range wakes", at) // a clock that was set back
	since := at.String()
	want(day(1), "[{ "+since+" 1} {range wakes "+since+" 5}]")

	kept := trials.Changes()
	if kept == nil || trials.Changes() != nil {
		t.Error("it changed once")
	}
	trials = Trials{}
	if err := trials.Load(kept); err != nil {
		t.Fatal(err)
	}
	trials.Observe([]string{"range wakes", ""}, day(2))
	want(day(13), "[{ "+since+" 1} {range wakes "+since+" 5}]")
	want(day(14), "[{ "+since+" 0} {range wakes "+since+" 2}]")
	trials.Observe([]string{"range wakes"}, day(14))
	want(day(15), "[{range wakes "+since+" 0}]")
	trials.Observe([]string{"range wakes", ""}, day(16))
	want(day(1000), "[{ "+day(16).String()+" 0} {range wakes "+since+" 0}]")
	for _, text := range []string{"", "[]", "{\"a\":1}", "{\"a\":{\"days\":\"x\"}}"} {
		if err := new(Trials).Load([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
	if err := new(Trials).Load([]byte(`{"a":null}`)); err != nil {
		t.Error(err)
	}
}
