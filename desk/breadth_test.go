package desk

import (
	"math"
	"testing"

	"ringfence/storage"
)

func TestBreadth(t *testing.T) {
	plan := openMerge(t, "a").force.Rules().Policy.Plan()
	for _, c := range []struct {
		list, text string
		want       float64
	}{
		{"blacklist", "+86*", 1},
		{"blacklist", "+1*", 1},
		{"blacklist", "+8613000000000-+8618999999999", 1},
		{"blacklist", "1*", 1},
		{"blacklist", "+8613*", 0.01},
		{"blacklist", "+86138*", 0.001},
		{"blacklist", "+8613???????", 0.01},
		{"blacklist", "+2341*", 1},
		{"blacklist", "+23412*", 0},
		{"blacklist", "+8613800138000", 0},
		{"blacklist", "+861380013800?", 1e-10},
		{"blacklist", "+861380013????", 1e-7},
		{"blacklist", "+8613800130000-+8613800139999", 1e-7},
		{"blacklist", "9521*", 0.0001},
		{"blacklist", "nobody", 0},
		{"line:blacklist", storage.OwnText("ann~aaaaaa", "+86*"), 1},
		{"line:blacklist", storage.OwnText("ann~aaaaaa", "+8613*"), 0.01},
		{"line:blacklist", storage.OwnText("ann~aaaaaa", "+8613800138000"), 0},
	} {
		if got := Breadth(plan, c.list, c.text); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s on %s: %v", c.text, c.list, got)
		}
	}
}
