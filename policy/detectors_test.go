package policy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ringfence/number"
)

// watching is a policy with detectors of several kinds.
const watching = `
country  = "CN"
timezone = "Asia/Shanghai"
[lines.staff]
numbers = ["05925550000-05925550999"]
[lines.unused]
numbers = ["05925550800-05925550999"]
decoy   = true
[ranges]
"95*"     = "the 95 numbers"
"952112*" = "firm A"
"9522*"   = "firm B"
[[detector]]
name   = "range wakes"
key    = "prefix"
depth  = { 8 = 4, 6 = 5, 7 = 5 }
count  = "strangers"
per_line = 3
window = "3h"
hold   = "24h"
hold_max = "7d"
protect = ["95588", "list:allowlist"]
[[detector]]
name   = "spray"
key    = "prefix:6"
count  = { first_time = 1, decoys = 3, short_calls = 1 }
window = "30m"
trip   = 20
probe  = 5
protect = ["list:allowlist", "list:line:friends"]
mode   = "observe"
[[detector]]
name   = "storm"
key    = "trunk"
count  = "calls"
window = "10m"
surge  = 8
max_share = 1
[[detector]]
name   = "short ones"
key    = "caller"
count  = "short_calls"
short  = "3s"
window = "1d"
share  = 0.5
[[detector]]
name   = "nobody"
key    = "caller"
count  = "decoys"
window = "1h"
trip   = 2
`

func TestReadDetectors(t *testing.T) {
	p := mustLoad(t, watching)
	want := []Detector{
		{
			Name: "range wakes", Key: ByPrefix, Levels: []Level{{6, 5}, {7, 5}, {8, 4}}, Count: []Weighed{{CountStrangers, 1}}, PerLine: 3,
			Window: 3 * time.Hour, Short: 6 * time.Second, Hold: day, HoldMax: 7 * day, Probe: 3, MaxShare: 0.3,
		},
		{
			Name: "spray", Key: ByPrefix, Levels: []Level{{6, 20}}, Count: []Weighed{{CountFirstTime, 1}, {CountShortCalls, 1}, {CountDecoys, 3}},
			Window: 30 * time.Minute, Short: 6 * time.Second, Trip: 20, Hold: time.Hour, HoldMax: 7 * time.Hour, Probe: 5, MaxShare: 0.3, Mode: Observe,
		},
		{
			Name: "storm", Key: ByTrunk, Count: []Weighed{{CountCalls, 1}}, Window: 10 * time.Minute, Short: 6 * time.Second, Surge: 8, AtLeast: 8,
			Hold: time.Hour, HoldMax: 7 * time.Hour, Probe: 3, MaxShare: 1,
		},
		{
			Name: "short ones", Key: ByCaller, Count: []Weighed{{CountShortCalls, 1}}, Window: day, Short: 3 * time.Second, Share: 0.5, AtLeast: 20,
			Hold: time.Hour, HoldMax: 7 * time.Hour, Probe: 3, MaxShare: 0.3,
		},
		{
			Name: "nobody", Key: ByCaller, Count: []Weighed{{CountDecoys, 1}}, Window: time.Hour, Short: 6 * time.Second, Trip: 2,
			Hold: time.Hour, HoldMax: time.Hour, Probe: 3, MaxShare: 0.3,
		},
	}
	if diff := cmp.Diff(want, p.Detectors(), cmpopts.IgnoreUnexported(Detector{})); diff != "" {
		t.Error(diff)
	}
	for i, d := range want {
		if got, ok := p.DetectorNamed(d.Name); !ok || got != i {
			t.Errorf("%s is number %d", d.Name, got)
		}
	}
	if _, ok := p.DetectorNamed("range"); ok {
		t.Error("a detector is known by part of its name")
	}
	if !p.AsksKnown() {
		t.Error("a detector counts strangers, and nobody need know who is one")
	}
}

// onLists is on which lists which caller is. A list "unread: NAME" has not been read.
type onLists map[string]string

func (l onLists) LookupOwn(key string, _ uint64, list string, n *number.Number, at time.Time) (ListEntry, bool) {
	return l.Lookup(key+":"+list, n, at)
}

func (l onLists) Lookup(list string, n *number.Number, _ time.Time) (ListEntry, bool) {
	return ListEntry{List: list}, l[list] != "" && l[list] == n.E164
}
func (l onLists) Exists(string) bool { return true }

func (l onLists) MayBeOwn(uint64, *number.Number) bool { return true }

func (l onLists) Loaded(list string) bool { return l[list] != "unread" }

func TestProtected(t *testing.T) {
	p := mustLoad(t, watching)
	set := func(names ...string) (s DetectorSet) {
		for _, name := range names {
			i, ok := p.DetectorNamed(name)
			if !ok {
				t.Fatal(name)
			}
			s = s.With(i)
		}
		return s
	}
	for _, test := range []struct {
		name, caller, callee string
		lists                ListSource
		want                 DetectorSet
	}{
		{"nobody", "95211613", "05925550100", onLists{}, 0},
		{"no lists", "95211613", "05925550100", nil, 0},
		{"a pattern", "+8695588", "05925550100", nil, set("range wakes")},
		{"a text that holds it", "95588#", "05925550100", onLists{"allowlist": "+8695588"}, 0},
		{"a list of two", "95211613", "05925550100", onLists{"allowlist": "+8695211613"}, set("range wakes", "spray")},
		{"both", "95588", "05925550100", onLists{"allowlist": "+8695588"}, set("range wakes", "spray")},
		{"the line's own", "95211613", "05925550100", onLists{"staff:friends": "+8695211613"}, set("spray")},
		{"another line's", "95211613", "05925551100", onLists{"staff:friends": "+8695211613"}, 0},
		{"not read yet", "95211613", "05925550100", onLists{"allowlist": "unread"}, set("range wakes", "spray")},
	} {
		c := p.Call(Facts{Caller: test.caller, Callee: test.callee, Time: workHour})
		if got := p.Protected(&c, test.lists); got != test.want {
			t.Errorf("%s: %b, want %b", test.name, got, test.want)
		}
	}
	asked := counting{onLists{}, make(map[string]int)}
	c := p.Call(Facts{Caller: "95211613", Callee: "05925550900", Time: workHour})
	p.Protected(&c, asked)
	if diff := cmp.Diff(map[string]int{"allowlist": 1, "staff:friends": 1, "unused:friends": 1}, asked.asked); diff != "" {
		t.Error(diff)
	}
}

type counting struct {
	onLists
	asked map[string]int
}

func (l counting) Lookup(list string, n *number.Number, at time.Time) (ListEntry, bool) {
	l.asked[list]++
	return l.onLists.Lookup(list, n, at)
}

func TestHoldersAndDecoys(t *testing.T) {
	p := mustLoad(t, watching)
	for caller, want := range map[string]string{
		"95211213": "firm A", "+8695211213": "firm A", "952112134": "firm A", "95220000": "firm B", "95588": "the 95 numbers", "13800138000": "", "anonymous": "",
	} {
		n := p.Plan().Parse(caller)
		if got := p.HolderOf(&n); got != want {
			t.Errorf("%s is of %q, want %q", caller, got, want)
		}
	}
	if diff := cmp.Diff([]string{"the 95 numbers", "firm A", "firm B"}, p.Holders()); diff != "" {
		t.Error(diff)
	}
	for callee, want := range map[string]bool{"05925550100": false, "05925550800": true, "+865925550999": true, "05925551000": false, "": false} {
		n := p.Plan().ParseCalled(callee)
		if got := p.IsDecoy(&n); got != want {
			t.Errorf("%s is a decoy: %v", callee, got)
		}
	}
	if n := p.Plan().ParseCalled("05925550800"); mustLoad(t, `country = "CN"`).IsDecoy(&n) || mustLoad(t, `country = "CN"`).HolderOf(&n) != "" {
		t.Error("there are decoys or holders without any in the file")
	}
}

// Detectors that trip for a caller by two calls to decoys are no ground to refuse, whatever else they count.
func TestByDecoys(t *testing.T) {
	for _, test := range []struct {
		detector string
		want     bool
	}{
		{`key = "caller", count = "decoys", trip = 9`, true},
		{`key = "prefix:6", count = { decoys = 3 }, trip = 9`, true},
		{`key = "caller", count = { decoys = 3, first_time = 1 }, trip = 7`, true},
		{`key = "caller", count = { decoys = 3, first_time = 1 }, trip = 8`, false},
		{`key = "caller", count = { decoys = 2, callees = 1, strangers = 1 }, trip = 7`, true},
		{`key = "caller", count = { decoys = 2, short_calls = 4 }, trip = 5`, false},
		{`key = "prefix:6", count = { decoys = 3, first_time = 1 }, trip = 7`, false},
		{`key = "callee", count = "calls", trip = 7`, true},
		{`key = "caller", count = "callees", trip = 7`, false},
	} {
		p := mustLoad(t, "country = \"CN\"\ndetector = [{ name = \"x\", window = \"1h\", "+test.detector+" }]\n")
		if got := p.weak.Has(0); got != test.want {
			t.Errorf("%s: no ground to refuse is %v", test.detector, got)
		}
	}
}

func TestDetectorsDoNotAllocate(t *testing.T) {
	p := mustLoad(t, watching)
	c := p.Call(Facts{Caller: "95211213", Callee: "05925550900", Time: workHour})
	var lists ListSource = onLists{"allowlist": "+8695211614"}
	got := testing.AllocsPerRun(100, func() {
		p.Protected(&c, lists)
		p.HolderOf(&c.Caller)
		p.IsDecoy(&c.Callee)
		p.CustomerOf("staff")
	})
	if got != 0 {
		t.Errorf("%v allocations a call", got)
	}
}
