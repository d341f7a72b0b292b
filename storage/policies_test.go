package storage

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestPoliciesBounded: the oldest versions go, with the texts that no other version has, and what stays is whole.
func TestPoliciesBounded(t *testing.T) {
	d := open(t, Options{})
	random := rand.New(rand.NewPCG(1, 2))
	text := func(i int) []byte {
		var b strings.Builder
		fmt.Fprintf(&b, "# %d\n", i)
		for b.Len() < 1000 {
			fmt.Fprintf(&b, "%x\n", random.Uint64())
		}
		return []byte(b.String())
	}
	texts := map[string]string{}
	var order []string
	for i := range MaxPolicies + 30 {
		name := fmt.Sprintf("v%d", i)
		if i%10 == 9 {
			name = "again" // a policy that comes back again and again
		}
		if texts[name] == "" {
			texts[name] = string(text(i))
		}
		if err := d.AddPolicy(PolicyVersion{Text: name, Time: time.Unix(int64(i), 0)}, []byte(texts[name])); err != nil {
			t.Fatal(err)
		}
		order = append(order, name)
	}
	if err := d.AddPolicy(PolicyVersion{Text: order[len(order)-1], Time: time.Now()}, nil); err != nil { // the latest again
		t.Fatal(err)
	}
	i := len(order)
	err := d.Policies(func(v PolicyVersion) error {
		i--
		if v.Text != order[i] {
			t.Fatalf("version %d is %s, want %s", i, v.Text, order[i])
		}
		got, err := d.PolicyText(v.Text)
		if err != nil || string(got) != texts[v.Text] {
			t.Errorf("the text of %s has %d bytes, %v; want %d", v.Text, len(got), err, len(texts[v.Text]))
		}
		return nil
	})
	if err != nil || i != 30 {
		t.Errorf("the versions from %d on are kept, %v; want those from 30 on", i, err)
	}
	if got, err := d.PolicyText("v0"); err != nil || got != nil {
		t.Errorf("the text of a version that went is kept: %d bytes, %v", len(got), err)
	}
	if err := d.AddPolicy(PolicyVersion{Text: "../x"}, nil); err == nil {
		t.Error("a name that is none was taken")
	}
}
