package daemon

import (
	"testing"

	"ringfence/bridge"
	"ringfence/console"
)

// How a caller behaved is held of them, counts after a restart, and is forgotten with them.
func TestBehaviourOutlivesTheDaemon(t *testing.T) {
	c := installation(t, acquainted+`
[[rule]]
name = "behaves badly"
when = { score_at_least = 2 }
action = "tag"
label = "?"
`)
	daemon := start(t, c)
	d := in(daemon)
	for _, callee := range []string{"05925550801", "05925550802"} {
		f := &bridge.Facts{UUID: callee, Number: "13800138000", FromUser: "13800138000", Callee: callee}
		v := d.Screen(f)
		d.Record(f, &v, bridge.Result{})
	}
	held := func() (found []console.Behaviour) {
		t.Helper()
		err := d.Held(t.Context(), console.HeldQuery{Number: "138 0013 8000"}, func(h console.Held) error {
			if h.Kind == console.HeldBehaviour {
				found = append(found, *h.Behaviour)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	want := console.Behaviour{Calls: 2, Callees: 2, Decoys: 2}
	if all := held(); len(all) != 1 || all[0] != want {
		t.Errorf("held is %+v, want %+v", all, want)
	}
	halt(t, daemon)
	daemon = start(t, c)
	d = in(daemon)
	if all := held(); len(all) != 1 || all[0] != want {
		t.Errorf("after a restart %+v, want %+v", all, want)
	}
	if rule := ruleFor(t, d, "13800138000", "05925550100"); rule != "behaves badly" {
		t.Errorf("after a restart the call got %s", rule)
	}
	if _, err := d.Forget(t.Context(), console.ForgetQuery{Number: "13800138000"}); err != nil {
		t.Fatal(err)
	}
	if all := held(); len(all) != 0 {
		t.Errorf("after he was forgotten: %+v", all)
	}
	halt(t, daemon)
	d = in(start(t, c))
	if all := held(); len(all) != 0 {
		t.Errorf("he came back: %+v", all)
	}
}
