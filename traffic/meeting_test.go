package traffic

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// customers says whose lines are; one without an entry is not there.
type customers map[string]string

func (c customers) CustomerOfKey(line string) (string, bool) {
	customer, ok := c[line]
	return customer, ok
}

// To how many customers a number is known, by those of their lines that are there and know it still, and as far as it was so at the time.
func TestKnownCustomers(t *testing.T) {
	k, at := NewKnown(100, nil), time.UnixMilli(1_800_000_000_000)
	whose := customers{"staff": "firm", "hotline": "firm", "desk": "firm", "shop": "shop", "works": "works", "baker": "baker"}
	known := func(now time.Time) (n int) {
		_, _, n = k.Of("+861", []string{"staff"}, now, whose)
		_, _, again := k.Of("+861", []string{"staff"}, now, whose) // what was looked up is kept
		if again != n {
			t.Fatalf("known to %d customers, and asked again to %d", n, again)
		}
		return n
	}
	if known(time.Time{}) != 0 {
		t.Error("a stranger is known")
	}
	for i, line := range []string{"staff", "staff", "hotline", "desk", "shop", "works", "baker"} {
		k.Remember(line, "+861", at.Add(time.Duration(i)*time.Hour))
	}
	for hour, want := range []int{0: 1, 1: 1, 2: 1, 3: 1, 4: 2, 5: 3, 6: 3} { // not told apart beyond three
		if n := known(at.Add(time.Duration(hour) * time.Hour)); n != want {
			t.Errorf("after %d h it is known to %d customers, want %d", hour, n, want)
		}
	}
	delete(whose, "baker") // the line is gone
	if n := known(time.Time{}); n != 3 {
		t.Errorf("known to %d customers without the baker, want 3", n)
	}
	if _, all, _ := k.Of("+861", nil, time.Time{}, whose); !all.Equal(at.Add(5 * time.Hour)) {
		t.Errorf("known at %v, by a line that is gone", all)
	}
	delete(whose, "works")
	whose["works~2"] = "works" // the name is there again, and another line
	if n := known(time.Time{}); n != 2 {
		t.Errorf("known to %d customers without the works, want 2", n)
	}
	whose["works"] = "works" // an undo
	if n := known(time.Time{}); n != 3 {
		t.Errorf("known to %d customers with the works again, want 3", n)
	}
	if n := k.Part("+861", "shop"); n != 1 || k.Part("+861", "shop") != 0 || known(time.Time{}) != 2 || k.Len() != 5 {
		t.Errorf("%d customers, %d pairs after one was parted from", known(time.Time{}), k.Len())
	}
	k.Part("+861", "baker")
	k.Part("+861", "works")
	k.Part("+861", "staff")
	if _, all, n := k.Of("+861", nil, time.Time{}, whose); !all.Equal(at.Add(3*time.Hour)) || n != 1 {
		t.Errorf("known at %v to %d customers, by lines that do not know it any more", all, n)
	}
	k.Forget(at.Add(150*time.Minute), whose) // the hotline knew it two hours in
	if n := known(time.Time{}); n != 1 || k.Len() != 1 || !k.Has("+861") {
		t.Errorf("known to %d customers by %d lines, want the desk alone", n, k.Len())
	}
	delete(whose, "desk")
	if _, all, n := k.Of("+861", nil, time.Time{}, whose); !all.IsZero() || n != 0 {
		t.Errorf("known at %v to %d customers, by a line that is gone", all, n)
	}
	if k.Part("+861", "") != 1 || k.Has("+861") || k.Len() != 0 || known(time.Time{}) != 0 {
		t.Errorf("%d pairs are left", k.Len())
	}
}

// What is counted at a look-up is what is there, whatever came before, and whatever was looked up between.
func TestKnownCustomersAsTheyAre(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	k, at := NewKnown(10_000, nil), time.UnixMilli(1_800_000_000_000)
	whose, met := customers{}, make(map[pair]int64)
	var lines, numbers []string
	for i := range 12 {
		lines = append(lines, fmt.Sprintf("line%d", i))
	}
	for i := range 4 {
		numbers = append(numbers, fmt.Sprintf("+86%d", i))
	}
	for step := range 20_000 {
		line, number := lines[r.IntN(len(lines))], numbers[r.IntN(len(numbers))]
		switch r.IntN(6) {
		case 0:
			delete(whose, line)
		case 1:
			whose[line] = fmt.Sprint("customer", strings.TrimPrefix(line, "line")[0]%5) // it never comes to another one
		case 2:
			k.Part(number, line)
			delete(met, pair{line, number})
		case 3, 4:
			now := at.Add(time.Duration(step) * time.Second)
			k.Remember(line, number, now)
			met[pair{line, number}] = now.UnixMilli()
		}
		want, last := make(map[string]bool), int64(0)
		for who, ms := range met {
			if customer, ok := whose[who.line]; ok && who.number == number {
				want[customer], last = true, max(last, ms)
			}
		}
		_, all, n := k.Of(number, nil, time.Time{}, whose)
		if n != min(len(want), enoughCustomers) || !all.Equal(moment(last)) {
			t.Fatalf("step %d: known to %d customers, last at %v; want %d at %v", step, n, all, len(want), moment(last))
		}
	}
}

// Where there is no room, lines that are gone give way.
func TestGoneLinesGiveWay(t *testing.T) {
	k, at := NewKnown(2, nil), time.UnixMilli(1_800_000_000_000)
	k.Remember("gone", "+861", at)
	k.Forget(at, customers{"staff": "staff"})
	if k.Len() != 1 {
		t.Fatal("a line that is gone gives way before there is no room")
	}
	k.Remember("staff", "+861", at)
	k.Forget(at, customers{"staff": "staff"})
	if lines := k.Lines("+861"); !slices.Equal(lines, []string{"staff"}) {
		t.Errorf("known to %v", lines)
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
