package screening

import (
	"strings"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/inforce"
	"ringfence/lists"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/traffic"
)

func TestForwarded(t *testing.T) {
	plan, err := number.NewPlan(number.PlanOptions{Country: "CN"})
	if err != nil {
		t.Fatal(err)
	}
	const first, here = "<sip:05925550199@carrier>", "<sip:+865925550100@pbx>"
	for name, c := range map[string]struct {
		facts bridge.Facts
		by    string
		yes   bool
	}{
		"nothing":                          {bridge.Facts{}, "", false},
		"Diversion":                        {bridge.Facts{Diversion: "<sip:+8610777@127.0.0.1>;reason=no-answer"}, "+8610777", true},
		"Diversion without a number":       {bridge.Facts{Diversion: "<sip:127.0.0.1>;reason=unknown"}, "", true},
		"Asterisk's word":                  {bridge.Facts{Redirected: "+15557770003"}, "+15557770003", true},
		"a history of one":                 {bridge.Facts{History: "<sip:+8610777@127.0.0.1>;index=1"}, "+8610777", false},
		"a history of one number":          {bridge.Facts{History: "<sip:05925550100@carrier>;index=1, " + here + ";index=1.1;rc=1"}, "05925550100", false},
		"a history of two numbers":         {bridge.Facts{History: first + ";index=1, " + here + ";index=1.1"}, "05925550199", true},
		"a number and an extension":        {bridge.Facts{History: first + ";index=1,<sip:101@pbx>;index=1.1"}, "05925550199", false},
		"a cause":                          {bridge.Facts{History: "<sip:101@carrier>;index=1,<sip:102@pbx;cause=486>;index=1.1"}, "101", true},
		"a reason":                         {bridge.Facts{History: "<sip:101@carrier?Reason=SIP%3Bcause%3D302%3Btext%3D%22Moved%22>;index=1"}, "101", true},
		"a reason, as FreeSWITCH gives it": {bridge.Facts{History: `<sip:101@carrier?Reason=SIP;cause=302;text="Moved">;index=1`}, "101", true},
		"a reason without a cause":         {bridge.Facts{History: "<sip:101@carrier?Reason=SIP>;index=1"}, "101", true},
		"mapped to somebody else":          {bridge.Facts{History: "<sip:101@carrier>;index=1,<sip:102@pbx>;index=1.1;mp=1"}, "101", true},
		"a freephone number":               {bridge.Facts{History: "<sip:4008001234@carrier>;index=1," + "<sip:05925550100@pbx;cause=380>;index=1.1"}, "4008001234", false},
		"a freephone number, forwarded":    {bridge.Facts{History: "<sip:4008001234@c>;index=1,<sip:05925550199@c;cause=380>;index=1.1," + "<sip:05925550100@pbx;cause=408>;index=1.2"}, "4008001234", true},
		"no header at all":                 {bridge.Facts{History: strings.Repeat("<", 5000) + "cause="}, "", false},
		"far too long":                     {bridge.Facts{History: strings.Repeat(first+";index=1,", 1000) + here}, "05925550199", false},
	} {
		by, yes := forwarded(&c.facts, plan)
		if yes != c.yes || yes && by != c.by {
			t.Errorf("%s: %v, by %q", name, yes, by)
		}
	}
}

// FuzzForwarded holds that whatever a caller writes for a history is read in bounded time, without a fault.
func FuzzForwarded(f *testing.F) {
	plan, err := number.NewPlan(number.PlanOptions{Country: "CN"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("<sip:101@c?Reason=SIP%3Bcause%3D302>;index=1, \"a, b\" <tel:+865925550100>;index=1.1;mp=1")
	f.Fuzz(func(t *testing.T, history string) {
		first, _ := forwardedHistory(history, plan)
		if !strings.Contains(history, "<") && first != "" {
			t.Errorf("%q was meant for %q", history, first)
		}
	})
}

// From and the asserted identity, by what the trunk says who calls.
func TestIdentityDiffers(t *testing.T) {
	d, records := screenerOf(t, `
country = "CN"
[trunks.carrier]
match = ["gateway:carrier"]
identity = ["pai", "rpid", "from"]
[trunks.plain]
match = ["gateway:plain"]
[[rule]]
name = "two"
when = { identity_differs = true }
action = "reject"
`)
	asserted := bridge.Facts{Number: "+8613912345678", IDSource: "pid", Asserted: "+8613912345678", FromUser: "13800138000"}
	same := bridge.Facts{Number: "+8613912345678", IDSource: "pid", Asserted: "+8613912345678", FromUser: "013912345678"}
	remote := bridge.Facts{Number: "+4930123456", IDSource: "rpid", RemoteID: "<sip:+4930123456@c>;party=calling", FromUser: "13800138000"}
	both := asserted
	both.RemoteID = "<sip:13800138000@c>"
	hidden := bridge.Facts{Number: "+8613912345678", IDSource: "pid", Asserted: "+8613912345678", FromUser: "anonymous", Withheld: true}
	alone := bridge.Facts{Number: "13800138000", FromUser: "13800138000"}
	preferred := bridge.Facts{Number: "110", IDSource: "pid", Preferred: "<sip:110@x>", FromUser: "13800138000"}
	name := asserted
	name.FromUser = "alice"
	for what, c := range map[string]struct {
		facts bridge.Facts
		want  bool
	}{
		"another number": {asserted, true}, "the same": {same, false}, "Remote-Party-ID": {remote, true}, "the asserted before Remote-Party-ID": {both, true},
		"withheld": {hidden, false}, "From alone": {alone, false}, "preferred alone": {preferred, false}, "a name in From": {name, false},
	} {
		for _, gateway := range []string{"carrier", "plain", ""} {
			f := c.facts
			f.Gateway = gateway
			v := d.Screen(&f)
			d.Record(&f, &v, bridge.Result{})
			if got := v.Rule == "two"; got != c.want {
				t.Errorf("%s, by trunk %q: %v: %s", what, gateway, got, v.Reason)
			}
		}
	}
	if len(records.added) != 24 {
		t.Errorf("%d records", len(records.added))
	}
}

// Each call counts for those behind it, whatever became of it; one that comes twice within 5 s is one.
func TestAgain(t *testing.T) {
	p, faults := policy.Load("policy.toml", []byte(`
country = "CN"
[lines.staff]
numbers = ["05925550000-05925550999"]
[[rule]]
name = "again"
when = { again = "10m" }
action = "tag"
label = "again"
[[rule]]
name = "others"
action = "reject"
`))
	if p == nil {
		t.Fatal(faults)
	}
	now := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	force := &inforce.State{}
	force.SetRules(&inforce.Rules{Policy: p, Lists: lists.New(), Loaded: now})
	memory := traffic.New(nil)
	sc := New(force, memory, Options{Journal: &records{}, Now: func() time.Time { return now }})
	for i, c := range []struct {
		wait           time.Duration
		caller, callee string
		rule           string
	}{
		{0, "13800138000", "05925550100", "others"},
		{time.Second, "+8613800138000", "05925550100", "others"}, // tried again
		{5 * time.Second, "13800138000", "05925550100", "again"}, // though it was refused
		{time.Second, "13800138000", "4008001234", "others"},     // another number
		{9 * time.Minute, "013800138000", "05925550101", "again"},
		{11 * time.Minute, "13800138000", "05925550101", "others"},
		{time.Minute, "", "05925550101", "others"},
		{time.Minute, "", "05925550101", "others"},
	} {
		now = now.Add(c.wait)
		f := &bridge.Facts{Number: c.caller, FromUser: c.caller, Callee: c.callee}
		v := sc.Screen(f)
		sc.Record(f, &v, bridge.Result{})
		if v.Rule != c.rule {
			t.Errorf("call %d is decided by %s: %s", i, v.Rule, v.Reason)
		}
		call := p.Call(policy.Facts{Caller: c.caller, Callee: c.callee, Time: now})
		memory.Recall(p, &call) // as `check` does
		if d := p.Decide(&call, nil); d.Rule != c.rule {
			t.Errorf("call %d: a check says %s", i, d.Rule)
		}
	}
	// A call that had no decision counts all the same.
	now = now.Add(time.Hour)
	f := &bridge.Facts{Number: "13900139000", Callee: "05925550100"}
	sc.Record(f, &bridge.Verdict{}, bridge.Result{FailOpen: bridge.FailDeadline})
	now = now.Add(time.Minute)
	if v := sc.Screen(f); v.Rule != "again" {
		t.Errorf("after a call that was let through: %s", v.Rule)
	}
}

// What Asterisk is asked of a call.
func TestHeaders(t *testing.T) {
	const carrier = "country = \"CN\"\n[trunks.carrier]\nmatch = [\"endpoint:carrier\"]\n"
	rule := func(when string) string {
		return "[[rule]]\nname = \"x\"\naction = \"reject\"\nwhen = { " + when + " }\n"
	}
	for text, want := range map[string]bridge.Headers{
		carrier: {},
		carrier + "identity = [\"pai\", \"from\"]\n":   {Asserted: true},
		carrier + rule("diverted = false"):             {Diverted: true},
		carrier + rule("identity_differs = true"):      {Asserted: true, RemoteID: true},
		"country = \"CN\"\n" + rule("diverted = true"): {Asserted: true, RemoteID: true, Address: true, Diverted: true},
	} {
		d, _ := screenerOf(t, text)
		if got := d.Headers(&bridge.Facts{Endpoint: "carrier"}); got != want {
			t.Errorf("%s\n%+v, want %+v", text, got, want)
		}
	}
}
