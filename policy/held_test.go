package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// heldBy are texts that are no number, by country, and the number that anyone reads in them.
var heldBy = []struct{ country, number, texts string }{
	{"CN", "+8695211613", "95211613# 95211613* 95211613a 95211613,1 95211613= 95211613&1 95211613! 95211613' 95211613$ 95211613x00000001 95211613%D9%A0 95211613\u0660 " +
		"0095211613 868695211613 ++8695211613 +868695211613 +86+8695211613 0592095211613 ⑨⑤②①①⑥①③ ９5211613④ ❾❺❷❶❶❻❶❸ ⁹⁵²¹¹⁶¹³ ₉₅₂₁₁₆₁₃ 九五二一一六一三 " +
		"#95211613 *95211613 a95211613 '95211613' 9521a1613 9521,1613 95211613\u20e3 tel95211613 95211613@1@x"},
	{"CN", "+8613800138000", "13800138000# 8613800138000a 0000000000000?13800138000 0592013800138000 ;;13800138000 13800138000< 0013800138000#"},
	{"CN", "+865925550100", "05925550100# 86865925550100 000865925550100"},
	{"US", "+12025550143", "2025550143# 112025550143 12025550143a +1+12025550143 202-555-0143,1"},
	{"GB", "+442079460958", "02079460958# 44442079460958 4402079460958x 016102079460958"},
	{"DE", "+4930123456", "030123456# 0004930123456a 4949030123456#"},
	{"IN", "+919876543210", "9876543210# 91919876543210"},
	{"BR", "+5511961234567", "11961234567# 55555511961234567"},
}

func TestHeld(t *testing.T) {
	for _, c := range heldBy {
		p, err := NewPlan(PlanOptions{Country: c.country, Internal: []string{"8???"}})
		if err != nil {
			t.Fatal(err)
		}
		if plain := p.Parse(c.number); plain.E164 != c.number || plain.Held() != nil {
			t.Fatalf("%s is %+v", c.number, plain)
		}
		for _, text := range strings.Fields(c.texts) {
			n := p.Parse(text)
			if n.E164 == c.number {
				continue // it is plainly that number
			}
			if !hasNumber(n.Held(), c.number) || n.E164 != "" {
				t.Errorf("%s: %q is %s (%s) and holds %+v", c.country, text, n.Kind, n.Reason, n.Held())
			}
		}
	}
	p, _ := NewPlan(PlanOptions{Country: "CN", Internal: []string{"8???"}})
	long := p.Parse("95211613" + strings.Repeat("a", 2*MaxRaw))
	if !hasNumber(long.Held(), "+8695211613") {
		t.Errorf("a long text holds %+v", long.Held())
	}
	for _, text := range []string{"110#", "0110a", "#12110", "8001", "8001#", "1234#", "abc", "", "anonymous", "13800138000"} {
		if n := p.Parse(text); len(n.Held()) > 0 {
			t.Errorf("%q holds %+v", text, n.Held())
		}
	}
}

// FuzzHeld: what a text holds is bounded, is a number, and never one of the police's.
func FuzzHeld(f *testing.F) {
	for _, c := range heldBy {
		for _, text := range strings.Fields(c.texts) {
			f.Add(text)
		}
	}
	p, err := NewPlan(PlanOptions{Country: "CN", Internal: []string{"8???"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n := p.Parse(text)
		held := n.Held()
		if len(held) > maxHeld || len(held) > 0 && (n.E164 != "" || n.Kind != Invalid) {
			t.Fatalf("%q is %+v and holds %d", text, n, len(held))
		}
		for i := range held {
			if h := &held[i]; h.E164 == "" || h.Kinds.Has(Emergency) || len(h.Raw) < leastHeld || !utf8.ValidString(h.Raw) {
				t.Fatalf("%q holds %+v", text, h)
			}
		}
	})
}

// A 95 number is not the hotline or the carrier that its end could be behind an area code.
func TestWhole95(t *testing.T) {
	p, err := NewPlan(PlanOptions{Country: "CN"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"095212345": "+8695212345", "+86095212345": "+8695212345", "0086095212345": "+8695212345", "86095212345": "+8695212345",
		"095210086": "+8695210086", "095112345": "+8695112345", "09521234567": "+869521234567", "059212345": "+8612345", "01095588": "+8695588",
		"0952110": "+86952110", "0592110": "+86110", "010110": "+86110", "01095211613": "+8695211613", "095295211613": "+8695211613",
	} {
		if n := p.Parse(text); n.E164 != want {
			t.Errorf("%s is %s %s, want %s", text, n.E164, n.Kind, want)
		}
		if q, err := p.Pattern(text); want != "+86952110" && (err != nil || q.String() != want) {
			t.Errorf("as a pattern %s is %v (%v)", text, q, err)
		}
	}
	if n := p.ParseInternal("0952110"); n.Kind != Emergency {
		t.Errorf("who dials 0952110 dials %+v", n)
	}
}

const spoiltPolicy = `
country = "CN"
[numbers]
internal = ["8???"]
[lines.staff]
numbers = ["05925550000-05925550999"]
[[rule]]
name = "friends"
when = { list = ["allowlist"] }
action = "allow"
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
[[rule]]
name = "services"
when = { caller = ["95???", "100??", "12???"] }
action = "allow"
[[rule]]
name = "sales"
when = { caller = ["9521????"], caller_not = ["95213333"] }
action = "warn"
announcement = "suspected-nuisance"
[[rule]]
name = "ours"
when = { caller = ["13800138000"] }
action = "allow"
`

// Rules that refuse look at what a text holds; rules that let calls pass, and exceptions, do not.
func TestDecideHeld(t *testing.T) {
	p := mustLoad(t, spoiltPolicy)
	lists := NewLists()
	put := func(list, number string) {
		q, err := p.Plan().Pattern(number)
		if err != nil {
			t.Fatal(err)
		}
		lists.Put(ListEntry{List: list, Pattern: q, Reason: "why"})
	}
	put("blacklist", "95200001")
	put("blacklist", "95213333")
	put("allowlist", "95200002")
	put("allowlist", "95211111")
	for _, c := range []struct{ caller, rule, reason string }{
		{"95200001", "listed", "number +8695200001 is on list blacklist (+8695200001: why)"},
		{"95200001#", "listed", "caller 95200001#, which holds +8695200001, is on list blacklist (+8695200001: why)"},
		{"95200002#", "default", "no rule matched caller 95200002#"},
		{"95211111#", "sales", "caller 95211111#, which holds +8695211111, matches 9521????"},
		{"95588#", "default", "no rule matched caller 95588#"},
		{"13800138000#", "default", "no rule matched caller 13800138000#"},
		{"95213333#", "listed", "caller 95213333#, which holds +8695213333, is on list blacklist (+8695213333: why)"},
		{"0095213334", "sales", "caller 0095213334, which holds +8695213334, matches 9521????"},
		{"110#", "default", "no rule matched caller 110#"},
	} {
		call := p.Call(Facts{Caller: c.caller, Callee: "05925550100"})
		d, steps := p.Explain(&call, lists)
		if plain := p.Decide(&call, lists); plain.Rule != d.Rule || plain.Reason() != d.Reason() {
			t.Errorf("%s: decided %s (%s), explained %s (%s)", c.caller, plain.Rule, plain.Reason(), d.Rule, d.Reason())
		}
		if d.Rule != c.rule || d.Reason() != c.reason {
			t.Errorf("%s: %s (%s), want %s (%s)", c.caller, d.Rule, d.Reason(), c.rule, c.reason)
		}
		if last := steps[len(steps)-1]; d.Rule == "default" && last.Why != c.reason {
			t.Errorf("%s: explained as %+v", c.caller, last)
		}
	}
	call := p.Call(Facts{Caller: "95200001#", Withheld: true})
	if d := p.Decide(&call, lists); d.Rule != "listed" || strings.Contains(d.Reason(), "95200001") {
		t.Errorf("withheld: %s (%s)", d.Rule, d.Reason())
	}
}

// However the number of a listed caller is spoilt, he is refused.
func TestSpoiltNumbersNeverPass(t *testing.T) {
	p := mustLoad(t, spoiltPolicy)
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	junk := []string{"#", "*", "a", "Z", "=", "&", "!", "'", "$", "%", ";;", "^", "~x", "\x01", "\x7f", "\u0660", "\u06f3", "③", "\xff", ">", "_", "|", "界"}
	prefixes := []string{"", "", "0", "00", "000", "86", "8686", "+86", "++86", "+", "0592", "05920", "010", "+860", "0086", "008686"}
	for range 20_000 {
		number := fmt.Sprintf("9521%04d", r.IntN(10_000))
		if r.IntN(3) == 0 {
			number = fmt.Sprintf("1%d%09d", 3+r.IntN(7), r.IntN(1_000_000_000))
		}
		lists := NewLists()
		q, err := p.Plan().Pattern(number)
		if err != nil {
			t.Fatal(err)
		}
		lists.Put(ListEntry{List: "blacklist", Pattern: q})
		text := pick(prefixes) + number
		switch r.IntN(4) {
		case 0:
			text += pick(junk)
		case 1:
			text = pick(junk) + text
		case 2:
			text += pick(junk) + strings.Repeat(fmt.Sprint(r.IntN(10)), r.IntN(20))
		}
		call := p.Call(Facts{Caller: text, Callee: "05925550100"})
		if d := p.Decide(&call, lists); d.Action == Allow && call.Caller.E164 == "" { // else it is another number
			t.Errorf("seed %d: %q, which is %s %s and holds %v, passes by %s", seed, text, call.Caller.E164, call.Caller.Kind, call.Caller.Held(), d.Rule)
		}
	}
}

// Who is listed is not spared a challenge for having been asked, and is refused where there is no room to ask.
func TestListedIsNotSpared(t *testing.T) {
	p := mustLoad(t, `
country = "CN"
[[rule]]
name = "listed, but only on trial"
when = { list = ["blacklist"] }
action = "reject"
mode = "observe"
[[rule]]
name = "warned off"
when = { caller = ["9520????"] }
action = "warn"
announcement = "suspected-nuisance"
then = "hangup"
[[rule]]
name = "warned"
when = { caller = ["9522????"] }
action = "warn"
announcement = "suspected-nuisance"
[[rule]]
name = "asked"
action = "challenge"
`)
	lists := NewLists()
	q, _ := p.Plan().Pattern("9521161?")
	lists.Put(ListEntry{List: "blacklist", Pattern: q})
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		caller   string
		ago      time.Duration
		rule     string
		listed   bool
		overflow string
	}{
		{"95211613", time.Minute, "asked", true, "reject"},
		{"95211613#", time.Minute, "asked", true, "reject"},
		{"95211623", time.Minute, RuleKnownGrace, false, ""},
		{"95211623", GraceGap, RuleKnownGrace, false, ""},
		{"95211623", GraceGap - time.Millisecond, "asked", false, "allow"},
		{"95211623", 10 * time.Minute, "asked", false, "allow"},
		{"95200001", 0, "warned off", false, "reject"},
		{"95220001", 0, "warned", false, "allow"},
	} {
		call := p.Call(Facts{Caller: c.caller, Time: now})
		if c.ago > 0 {
			call.ChallengeTried = now.Add(-c.ago)
		}
		d := p.Decide(&call, lists)
		rule := d.Rule
		if d.Trial != "" {
			rule = d.decider.name
		}
		if rule != c.rule || d.Listed != c.listed || d.Overflow != c.overflow {
			t.Errorf("%s after %v: %s, listed %v, overflow %q; want %s, %v, %q", c.caller, c.ago, rule, d.Listed, d.Overflow, c.rule, c.listed, c.overflow)
		}
	}
}

// While a number awaits an emergency service's call, all pass but whom a person has put on a list by name.
func TestCallbackButNotTheListed(t *testing.T) {
	p := mustLoad(t, spoiltPolicy)
	lists := NewLists()
	for pattern, source := range map[string]string{"95200001": "command line", "95200002": FeedSource + "ftc", "9520111?": "command line"} {
		q, err := p.Plan().Pattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		lists.Put(ListEntry{List: "blacklist", Pattern: q, Source: source})
	}
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for caller, rule := range map[string]string{"95200001": "listed", "95200001#": "listed", "95200002": RuleNeverScreen, "95201111": RuleNeverScreen, "13900139000": RuleNeverScreen} {
		call := p.Call(Facts{Caller: caller, Callee: "05925550100", Time: now})
		call.EmergencyDialled = now.Add(-time.Minute)
		if d := p.Decide(&call, lists); d.Rule != rule {
			t.Errorf("%s: %s, want %s", caller, d.Rule, rule)
		}
	}
}

// A gateway is what a call says; it counts from the trunk's addresses alone.
func TestClaimedGateway(t *testing.T) {
	p := mustLoad(t, `
country = "CN"
[trunks.telecom]
match = ["gateway:telecom", "203.0.113.0/24", "2001:db8::/32"]
identity = "pai"
[trunks.other]
match = ["gateway:other"]
`)
	for _, c := range []struct{ gateway, address, want string }{
		{"telecom", "203.0.113.7", "telecom"},
		{"telecom", "::ffff:203.0.113.7", "telecom"},
		{"telecom", "2001:db8::1", "telecom"},
		{"telecom", "198.51.100.1", ""},
		{"telecom", "", "telecom"}, // where it came from is not said
		{"other", "198.51.100.1", "other"},
		{"", "203.0.113.7", "telecom"},
	} {
		f := TrunkFacts{Gateway: c.gateway}
		if c.address != "" {
			f.Address = mustAddr(t, c.address)
		}
		if got := p.Trunk(f); got.Name != c.want {
			t.Errorf("gateway %q from %q is trunk %q, want %q", c.gateway, c.address, got.Name, c.want)
		}
	}
}

func mustAddr(t *testing.T, text string) netip.Addr {
	t.Helper()
	a, err := netip.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// What a caller writes behind the number that he calls does not make it another line's.
func TestCalledNumbers(t *testing.T) {
	p := mustLoad(t, spoiltPolicy)
	for text, want := range map[string]string{
		"05925550100": "staff", "05925550100a": "staff", "05925550100;user=phone": "staff", "05925550100 XML default": "staff", "05925550100-": "staff",
		"05925550100,1": "staff", "05925550100'": "staff", "05925550100" + strings.Repeat("0", 40): "staff", "sip:05925550100;x": "staff",
		"05925559999a": "", "059255501001": "", "": "", "x": "", "1104": "", "110a": "", "0592555": "",
	} {
		c := p.Call(Facts{Callee: text})
		if got := p.LineOf(&c.Callee); got != want || c.Callee.Raw != text {
			t.Errorf("%q is to line %q, want %q", text, got, want)
		}
		if c.Callee.Kinds.Has(Emergency) {
			t.Errorf("%q is an emergency number", text)
		}
	}
	if c := p.Call(Facts{Callee: "8001a"}); c.Callee.Kind != Internal || c.Callee.National() != "8001" {
		t.Errorf("%+v", c.Callee)
	}
}
