package policy

import (
	"testing"
	"time"
)

// A call that a rule asks an unread list for passes, and says so; one decided before that rule does not.
func TestDecideUnreadList(t *testing.T) {
	p, faults := Load("policy.toml", []byte(`
country = "CN"
timezone = "Asia/Shanghai"
[[rule]]
name = "sales"
when = { caller = ["9521*"] }
action = "tag"
label = "sales"
[[rule]]
name = "on trial"
when = { list_not = ["unread"] }
action = "reject"
mode = "observe"
[[rule]]
name = "strangers"
when = { list_not = ["unread"] }
action = "reject"
[[rule]]
name = "last"
when = { caller = ["1*"] }
action = "reject"
`))
	if p == nil {
		t.Fatal(faults)
	}
	l := plainLists{}
	call := p.Call(Facts{Caller: "13800138000", Time: time.Now()})
	d := p.Decide(&call, l)
	if d.Action != Allow || d.Rule != RuleFailOpen || d.Unread() != "unread" || d.Trial != "" {
		t.Errorf("%+v", d)
	}
	if want := "let through: rule strangers asks the list unread, which has not been read yet"; d.Reason() != want {
		t.Errorf("reason %q", d.Reason())
	}
	e, steps := p.Explain(&call, l)
	if e.Rule != RuleFailOpen || len(steps) != 6 || steps[5].Why != "not tried, since fail-open decided" ||
		steps[4].Why != "list: unread has not been read yet" || steps[3].Why != steps[4].Why {
		t.Errorf("%+v", steps)
	}
	call = p.Call(Facts{Caller: "95211613", Time: time.Now()})
	if d := p.Decide(&call, l); d.Rule != "sales" || d.Unread() != "" {
		t.Errorf("%+v", d)
	}
	l = plainLists{unreadList: {}}
	call = p.Call(Facts{Caller: "13800138000", Time: time.Now()})
	if d := p.Decide(&call, l); d.Rule != "strangers" || d.Action != Reject {
		t.Errorf("%+v", d)
	}
}
