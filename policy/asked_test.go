package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringfence/number"
)

// countedLists counts how often each list is asked for a number, and says of some from their first look-up on that they cannot be read.
type countedLists struct {
	plainLists
	asked map[string]int
	gone  string
}

func (l countedLists) Lookup(list string, n *number.Number, at time.Time) (ListEntry, bool) {
	l.asked[list]++
	return l.plainLists.Lookup(list, n, at)
}

func (l countedLists) Loaded(list string) bool { return list != l.gone || l.asked[list] == 0 }

// A list that the caller is not on is asked once a call, however many rules ask it, and those that stand beside it are asked still, however many there are.
func TestDecideAsksOnce(t *testing.T) {
	var file strings.Builder
	file.WriteString("country = \"CN\"\ntimezone = \"Asia/Shanghai\"\n[lines.a]\nnumbers = [\"05925550100\"]\n[lines.b]\nnumbers = [\"059255501*\"]\n")
	rule := func(name, when string) {
		fmt.Fprintf(&file, "[[rule]]\nname = %q\nwhen = { %s }\naction = \"reject\"\n", name, when)
	}
	rule("observed", `list_not = ["first"], list = ["second"]`)
	rule("one", `list = ["first", "line:own"]`)
	rule("another", `list = ["first", "second", "line:own"]`)
	rule("not", `list_not = ["first", "other"], caller = ["95*"]`)
	for i := range 100 {
		rule(fmt.Sprint("many ", i), fmt.Sprintf(`list = ["first", "line:own", "list%d", "second"]`, i))
	}
	p, faults := Load("policy.toml", []byte(file.String()))
	if p == nil {
		t.Fatal(faults)
	}
	call := p.Call(Facts{Caller: "13800138000", Callee: "05925550100", Time: time.Now()})
	l := countedLists{plainLists{}, map[string]int{}, ""}
	if d := p.Decide(&call, l); d.Rule != RuleDefault {
		t.Fatalf("%+v", d)
	}
	for _, list := range []string{"first", "second", "a:own", "b:own", "list0", "list99"} {
		if l.asked[list] != 1 {
			t.Errorf("%s was asked %d times, want once", list, l.asked[list])
		}
	}
	caller := number.Pattern{Lo: 8613800138000, Hi: 8613800138000, Size: 13, Plus: true}
	for on, rule := range map[string]string{
		"first": "one", "second": "observed", "a:own": "one", "b:own": "one", "list0": "many 0", "list63": "many 63", "list99": "many 99",
	} {
		l := countedLists{plainLists{on: {caller: {List: on}}}, map[string]int{}, ""}
		if d := p.Decide(&call, l); d.Rule != rule || d.List != on {
			t.Errorf("on %s: rule %q for list %q, want %q", on, d.Rule, d.List, rule)
		}
	}
}

// A list of which the look-up itself finds that it cannot be read any more lets the call pass: that nothing was found says nothing then.
func TestDecideListGone(t *testing.T) {
	p, faults := Load("policy.toml", []byte(`
country = "CN"
timezone = "Asia/Shanghai"
[[rule]]
name = "strangers"
when = { list_not = ["friends"] }
action = "reject"
`))
	if p == nil {
		t.Fatal(faults)
	}
	call := p.Call(Facts{Caller: "13800138000", Time: time.Now()})
	d := p.Decide(&call, countedLists{plainLists{}, map[string]int{}, "friends"})
	if d.Action != Allow || d.Rule != RuleFailOpen || d.Unread() != "friends" {
		t.Errorf("%+v", d)
	}
}
