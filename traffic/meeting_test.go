package traffic

import (
	"testing"
	"time"
)

// To how many lines a number is known, by those that are left and as far as it was so at the time.
func TestKnownLines(t *testing.T) {
	k, at := NewKnown(100, nil), time.UnixMilli(1_800_000_000_000)
	lines := func(now time.Time) int {
		_, _, n := k.Of("+861", []string{"staff"}, now)
		return n
	}
	if lines(time.Time{}) != 0 {
		t.Error("a stranger is known to lines")
	}
	for i, line := range []string{"staff", "staff", "hotline", "shop", "works"} {
		k.Remember(line, "+861", at.Add(time.Duration(i)*time.Hour))
	}
	for hour, want := range map[int]int{4: 4, 3: 3, 2: 2} { // those of later than two lines ago are not told apart
		if n := lines(at.Add(time.Duration(hour) * time.Hour)); n != want {
			t.Errorf("after %d h it is known to %d lines, want %d", hour, n, want)
		}
	}
	if n := k.Part("+861", "shop"); n != 1 || k.Part("+861", "shop") != 0 || lines(time.Time{}) != 3 || k.Len() != 3 {
		t.Errorf("%d lines, %d pairs after one was parted from", lines(time.Time{}), k.Len())
	}
	k.Part("+861", "works")
	if _, all := k.To("+861", nil, time.Time{}); !all.Equal(at.Add(2 * time.Hour)) {
		t.Errorf("known at %v, by a line that does not know it any more", all)
	}
	k.Forget(at.Add(90 * time.Minute)) // staff knew it an hour in
	if n := lines(time.Time{}); n != 1 || !k.Has("+861") {
		t.Errorf("known to %d lines, want the hotline alone", n)
	}
	if k.Part("+861", "") != 1 || k.Has("+861") || k.Len() != 0 || lines(time.Time{}) != 0 {
		t.Errorf("%d pairs are left", k.Len())
	}
}

// What would become of meetings is what becomes of them.
func TestLook(t *testing.T) {
	k, at := NewKnown(3, nil), time.UnixMilli(1_800_000_000_000)
	k.Remember("staff", "+861", at)
	k.Remember("staff", "+862", at)
	room := k.Room()
	for _, c := range []struct {
		m    Meeting
		want Met
	}{
		{Meeting{"staff", "+861", at}, Unchanged},
		{Meeting{"staff", "+861", at.Add(-time.Hour)}, Unchanged},
		{Meeting{"staff", "+861", at.Add(time.Hour)}, Newer},
		{Meeting{"hotline", "+861", at}, Added},
		{Meeting{"hotline", "+862", at}, NoRoom},
		{Meeting{"staff", "+862", at.Add(time.Hour)}, Newer},
	} {
		if met := k.Look(&c.m, &room); met != c.want {
			t.Errorf("%+v: %d, want %d", c.m, met, c.want)
		}
	}
}
