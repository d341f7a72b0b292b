package terminal

import (
	"fmt"
	"testing"
)

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text               string
		most, used, indent int
		want               string
	}{
		{"", 10, 0, 2, ""},
		{"a bc def", 80, 0, 2, "a bc def"},
		{"aaa bbb ccc", 7, 0, 2, "aaa bbb\n  ccc"},
		{"aaa bbb ccc", 8, 2, 2, "aaa\n  bbb\n  ccc"},
		{"a longerthanall b", 8, 0, 1, "a\n longerthanall\n b"},
		{"顺丰 快递 x", 9, 0, 0, "顺丰 快递\nx"},
	} {
		if got := Wrap(c.text, c.most, c.used, c.indent); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

func TestPaint(t *testing.T) {
	if got := Paint(true).Action("reject", "REJECT"); got != "\x1b[31mREJECT\x1b[0m" {
		t.Errorf("got %q", got)
	}
	if got := fmt.Sprint(Paint(false).Action("reject", "REJECT"), Paint(true).Action("other", "OTHER")); got != "REJECT OTHER" && got != "REJECTOTHER" {
		t.Errorf("got %q", got)
	}
}
