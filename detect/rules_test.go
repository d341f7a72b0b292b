package detect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringfence/policy"
)

// ruled is the text of one detector with a rule that asks it.
func ruled(name, keys string) string {
	return fmt.Sprintf("[[detector]]\nname = %q\n%s\n[[rule]]\nname = \"r %s\"\nwhen = { tripped = [%q] }\naction = \"challenge\"\n", name, keys, name, name)
}

const aDecoy = "[lines.unused]\nnumbers = [\"05925550800-05925550999\"]\ndecoy = true\n"

// TestCounts holds what each kind counts: the call by which it trips, from 0, -1 for none.
func TestCounts(t *testing.T) {
	for _, test := range []struct {
		name, keys string
		calls      string // caller>callee, a minute apart
		end        End
		want       int
	}{
		{"calls", `key = "caller"` + "\ncount = \"calls\"\ntrip = 3", "138>100 138>100 139>100 138>100", End{}, 3},
		{"callees", `key = "caller"` + "\ncount = \"callees\"\ntrip = 2", "138>100 138>100 138>101", End{}, 2},
		{"callers", `key = "callee"` + "\ncount = \"callers\"\ntrip = 2", "138>100 138>100 139>101 139>100", End{}, 3},
		{"first time", `key = "all"` + "\ncount = \"first_time\"\ntrip = 2", "138>100 138>101 138>102 139>100", End{}, 3},
		{"decoys", `key = "caller"` + "\ncount = \"decoys\"\ntrip = 2", "138>800 138>800 138>100 138>801", End{}, 3},
		{"in order", `key = "caller"` + "\ncount = \"sequential\"\ntrip = 2", "138>100 138>101 138>105 138>106 138>110", End{}, 3},
		{"in order, of others", `key = "caller"` + "\ncount = \"sequential\"\ntrip = 2", "138>100 139>101 138>104 139>105 138>103", End{}, -1},
		{"short", `key = "caller"` + "\ncount = \"short_calls\"\ntrip = 2", "138>100 138>101 138>102", End{Answered: true, Rang: true, Talk: 6 * time.Second}, 2},
		{"not short", `key = "caller"` + "\ncount = \"short_calls\"\ntrip = 2", "138>100 138>101 138>102", End{Answered: true, Rang: true, Talk: 7 * time.Second}, -1},
		{"unanswered", `key = "caller"` + "\ncount = \"unanswered\"\ntrip = 2", "138>100 138>101 138>102", End{Rang: true}, 2},
		{"what did not ring", `key = "caller"` + "\ncount = \"unanswered\"\ntrip = 2", "138>100 138>101 138>102", End{}, -1},
		{"weights", `key = "all"` + "\ncount = { first_time = 1, decoys = 3 }\ntrip = 5", "138>100 138>800 139>100", End{}, 2},
		{"one line", `key = "all"` + "\ncount = \"first_time\"\nper_line = 2\ntrip = 3", "138>100 139>100 150>100 151>100 152>101", End{}, 4},
		{"share", `key = "caller"` + "\ncount = \"short_calls\"\nshare = 0.5\nat_least = 4", "138>100 138>101 138>102 138>103", End{Answered: true, Talk: time.Second}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, aDecoy+ruled("x", test.keys+"\nwindow = \"1h\""))
			got := -1
			for i, call := range strings.Fields(test.calls) {
				from, to, _ := strings.Cut(call, ">")
				m := b.call(from+"00138000", "05925550"+to).rings()
				if m.Tripped != 0 && got < 0 {
					got = i
				}
				b.wait(30 * time.Second)
				m.end(test.end)
				b.wait(30 * time.Second)
			}
			if got != test.want {
				t.Errorf("tripped by call %d, want %d", got, test.want)
			}
		})
	}
}

func TestCallsAtOnce(t *testing.T) {
	b := newBench(t, ruled("x", "key = \"caller\"\ncount = \"concurrent\"\ntrip = 3\nwindow = \"1h\""))
	call := func(leg string) *made {
		c := b.p.Call(policy.Facts{Caller: dialler, Callee: "05925550" + leg, Trunk: "a", Time: b.now})
		x := SubjectOf(b.p, &c, nil)
		x.Leg = leg
		return &made{b, b.Called(&x), c}
	}
	first := call("100")
	call("101")
	b.pass(time.Minute)
	first.end(End{})
	first.end(End{}) // told twice is once
	b.wantTripped(call("102"), false)
	b.wantTripped(call("103"), true)
	b.pass(2 * time.Minute)
	b = newBench(t, ruled("x", "key = \"caller\"\ncount = \"concurrent\"\ntrip = 3\nwindow = \"1h\""))
	call("100")
	call("101")
	b.pass(4 * time.Hour) // nobody has told their ends
	b.wantTripped(call("102"), false)
}

func TestTheSameCallTwice(t *testing.T) {
	b := newBench(t, short)
	for _, after := range []time.Duration{0, 2 * time.Second, 2 * time.Second} {
		b.wait(after)
		b.wantTripped(b.call(dialler, "05925550100"), false)
	}
	b.wait(2 * time.Second)
	b.wantTripped(b.call(dialler, "05925550100"), false)
	b.wantTripped(b.call(dialler, "05925550101"), true)
	b.wantTripped(b.call(dialler, "05925550101"), true) // looked at
}

// TestSpread holds which ranges trip: the last call of each row trips what is named.
func TestSpread(t *testing.T) {
	for _, test := range []struct{ name, depth, callers, want string }{
		{"four digits", "{ 6 = 5 }", "95211213 95211223 95211233 95211243 95211244", "952112 tripped"},
		{"a firm's ten", "{ 6 = 5 }", "95211210 95211211 95211212 95211213 95211214 95211215 95211216", ""},
		{"three digits", "{ 6 = 5 }", "95211210 95211220 95211230 95211211 95211221 95211231 95211212", ""},
		{"eight over four tens", "{ 6 = 5 }", "13800138000 13800138010 13800138020 13800138030 13800138001 13800138011 13800138021 13800138031", "138001 tripped"},
		{"eight over three", "{ 6 = 5 }", "13800138000 13800138010 13800138020 13800138002 13800138001 13800138011 13800138021 13800138012", ""},
		{"the narrow one", "{ 6 = 5, 7 = 4 }", "95211210 95211211 95211212 95211213", "9521121 tripped"},
		{"who brings most is to blame", "{ 6 = 5, 7 = 9 }", "95211210 95211211 95211212 95211213 95211214 95211215 95211216 95211217 95211220 95211230 95211240", ""},
		{"three trip it, of three digits", "{ 6 = 3 }", "95211210 95211220 95211230", "952112 tripped"},
		{"three trip it, of two tens", "{ 6 = 3 }", "95211210 95211220 95211211 95211221 95211212", ""},
		{"two trip it, of two digits", "{ 6 = 2 }", "95211210 95211220 95211211", ""},
		{"a range abroad", "{ 3 = 5 }", "+13052550101 +13053550202 +13054550303 +13055551404 +13056552505", "+1305 tripped"},
	} {
		b := newBench(t, ruled("x", "key = \"prefix\"\ndepth = "+test.depth+"\ncount = \"strangers\"\nwindow = \"3h\""))
		for i, caller := range strings.Fields(test.callers) {
			b.call(caller, fmt.Sprintf("0592555%04d", i))
			b.wait(time.Minute)
		}
		if got := b.states(); got != test.want && test.name != "who brings most is to blame" {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		} else if test.name == "who brings most is to blame" && !strings.Contains(got, "9521121 tripped") && !strings.Contains(got, "952112 tripped") {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}

func TestPins(t *testing.T) {
	b := newBench(t, short)
	if n := b.Pin("dialler", "", "+8613800138000", "open", "anna", b.now); n != 1 {
		t.Errorf("%d pinned, want 1", n)
	}
	m := b.wantTripped(b.call(dialler, "05925550100"), true)
	if trip := m.call.Trips[0]; trip.Why != "held open by anna" || !trip.Until.IsZero() || trip.Key != "+8613800138000" {
		t.Errorf("%+v", trip)
	}
	b.pass(48 * time.Hour)
	b.want(": +8613800138000 tripped pinned open")
	b.Pin("dialler", "", "+8613800138000", "shut", "anna", b.now)
	for range 5 {
		b.wait(time.Minute)
		b.wantTripped(b.call(dialler, "05925550100"), false)
	}
	b.want(": +8613800138000 closed pinned shut")
	if n := b.Unpin("dialler", "", "+8613800138000", "anna", b.now); n != 1 {
		t.Errorf("%d unpinned, want 1", n)
	}
	b.want("")
	b.wait(time.Minute)
	if got := fmt.Sprint(b.dials(3)); got != "[false false true]" {
		t.Errorf("after the pin: %s", got)
	}
	if n := b.Reset("dialler", "", "+8613800138000", "anna", b.now); n != 1 {
		t.Errorf("%d reset, want 1", n)
	}
	b.want("")
	if last := b.told[len(b.told)-1]; last.State != Closed || last.By != "anna" {
		t.Errorf("told %+v", last)
	}
	if got := fmt.Sprint(b.dials(3)); got != "[false false true]" {
		t.Errorf("after the reset: %s", got)
	}
	for _, key := range []string{"13800138000", "", "firm A", "+86x"} {
		if n := b.Pin("dialler", "", key, "open", "anna", b.now); n != 0 {
			t.Errorf("%q is pinned", key)
		}
	}
	if b.Pin("another", "", "all", "open", "anna", b.now) != 0 || b.Pin("dialler", "", "+8613800138000", "ajar", "anna", b.now) != 0 {
		t.Error("pinned what there is not")
	}
}

func TestAdopt(t *testing.T) {
	b := newBench(t, short)
	b.dials(2)
	old := b.Set
	p := load(t, ruled("before", "key = \"caller\"\ncount = \"calls\"\ntrip = 9\nwindow = \"1h\"")+short)
	b.Set, b.p = New(p.Detectors(), Options{Sink: b}), p
	b.Adopt(old)
	m := b.call(dialler, "05925550100")
	if m.Tripped != policy.DetectorSet(0).With(1) {
		t.Fatalf("tripped %b, want the second by what the first policy counted", m.Tripped)
	}
	// A call that goes by the earlier policy meets the same breaker, by the number that it has there.
	x := Subject{Time: b.now.Add(time.Minute), Trunk: "a", Caller: &m.call.Caller, Callee: "+865925550101"}
	n := old.Called(&x)
	c := m.call
	old.Fill(&n, &c)
	if n.Tripped != 1 || c.Trips[0].Detector != 0 {
		t.Errorf("by the earlier policy: tripped %b, %+v", n.Tripped, c.Trips)
	}
	old.Decided(&n, true, 0)
	old.Ended(&n, End{At: x.Time})
	// Another window: only what holds calls goes over.
	p = load(t, strings.Replace(short, `window = "1h"`, `window = "2h"`, 1))
	next := New(p.Detectors(), Options{Sink: b})
	next.Adopt(b.Set)
	b.Set, b.p = next, p
	b.want("+8613800138000 tripped")
	if m := b.call(dialler, "05925550100"); m.call.Trips[0].Why != "3 calls in 1h, trips at 3" {
		t.Errorf("%+v", m.call.Trips)
	}
}

func TestForgetNumber(t *testing.T) {
	b := newBench(t, short+wakes+ruled("marks", "key = \"caller\"\ncount = \"reports\"\ntrip = 3\nwindow = \"1d\""))
	b.dials(4)
	c := b.call(dialler, "05925550100").rings()
	x := SubjectOf(b.p, &c.call, nil)
	b.Reported(&x, "one")
	if n := b.ForgetNumber("+8613800138000"); n < 5 {
		t.Errorf("%d things forgotten, want at least 5", n)
	}
	b.want("")
	if n := b.ForgetNumber("+8613800138000"); n != 0 {
		t.Errorf("%d things forgotten again", n)
	}
	if m := b.call(dialler, "05925550100"); !m.FirstTime {
		t.Error("who is forgotten has called before")
	}
}

// TestForgetEverywhere holds that nothing of a number is left, however it is counted: its key and what is usual of it, and of nobody else.
func TestForgetEverywhere(t *testing.T) {
	for _, test := range []struct {
		key, from, to, forget, other string
	}{
		{"caller", dialler, "05925550100", "+8613800138000", "13800138001"},
		{"callee", "13800138001", "05925550100", "+865925550100", "13800138001"},
		{"prefix:11", dialler, "05925550100", "+8613800138000", "13800138001"},
		{"prefix:6", "95588", "05925550100", "+8695588", "95599"}, // shorter than the prefix
		{"prefix:12", "05925550100", dialler, "+865925550100", "05925550101"},
		{"prefix:12", "+493012345678", "05925550100", "+493012345678", "+493012345679"},
	} {
		b := newBench(t, ruled("usual", "key = \""+test.key+"\"\ncount = \"calls\"\nsurge = 3\nwindow = \"1d\""))
		d := b.all[0]
		for range 3 {
			b.call(test.from, test.to)
			b.wait(time.Hour)
		}
		if n := b.ForgetNumber(test.forget); n < 2 || d.slots.used != 0 || len(d.habits.order) != 0 {
			t.Errorf("key = %s: %d things of %s forgotten, %d keys and %d habits left", test.key, n, test.forget, d.slots.used, len(d.habits.order))
		}
		if test.key == "callee" {
			continue
		}
		b.call(test.other, test.to)
		if b.ForgetNumber(test.forget); d.slots.used != 1 || len(d.habits.order) != 1 {
			t.Errorf("key = %s: with %s goes %s", test.key, test.forget, test.other)
		}
	}
}

func TestExplain(t *testing.T) {
	b := newBench(t, wakes+short)
	for i := range 3 {
		b.call(fmt.Sprintf("952112%d3", i), "05925550100")
		b.wait(time.Minute)
	}
	c := b.p.Call(policy.Facts{Caller: "95211299", Callee: "05925550100", Trunk: "a", Time: b.now})
	x := SubjectOf(b.p, &c, nil)
	found := b.Explain(&x)
	if len(found) != 2 {
		t.Fatalf("%d findings, want 2", len(found))
	}
	for i, want := range []string{"range wakes: 952112 closed, 3 strangers in 3h, trips at 5", "dialler: +8695211299 closed, 0 calls in 1h, trips at 3"} {
		if found[i].Text != want {
			t.Errorf("got %q, want %q", found[i].Text, want)
		}
	}
}

func TestSubject(t *testing.T) {
	b := newBench(t, wakes+aDecoy+twoLines+"[numbers]\ninternal = [\"8???\"]\n[ranges]\n\"952112*\" = \"firm A\"\n")
	for _, test := range []struct {
		caller, callee    string
		withheld          bool
		key, holder       string
		protected, decoys bool
	}{
		{caller: "95211213", callee: "05925550100", key: "+8695211213", holder: "firm A"},
		{caller: "95211213#", callee: "05925550100", key: "+8695211213", holder: "firm A"},
		{caller: "13800138000", callee: "05925550100", withheld: true, key: "+8613800138000"},
		{caller: "anonymous", callee: "05925550801", decoys: true},
		{caller: "110", callee: "05925550100", key: "+86110", protected: true},
	} {
		c := b.p.Call(policy.Facts{Caller: test.caller, Callee: test.callee, Withheld: test.withheld, Time: b.now})
		x := SubjectOf(b.p, &c, nil)
		key := ""
		if x.Caller != nil {
			key = x.Caller.E164
		}
		if key != test.key && !test.protected || x.Holder != test.holder || x.Protected.Has(0) != test.protected || x.Decoy != test.decoys || x.Decoy && x.Customer != "" {
			t.Errorf("%s: %+v, key %s", test.caller, x, key)
		}
	}
}
