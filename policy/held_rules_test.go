package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ringfence/number"
)

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
	lists := plainLists{}
	put := func(list, number string) {
		q, err := p.Plan().Pattern(number)
		if err != nil {
			t.Fatal(err)
		}
		lists.put(ListEntry{List: list, Pattern: q, Reason: "why"})
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
		{"0095213334", "sales", "number +95213334, which holds +8695213334, matches 9521????"},
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

// A rule that lets all pass but some does not let those pass who spoil their number, nor tells a withheld one.
func TestExceptHeld(t *testing.T) {
	p := mustLoad(t, `
country = "CN"
[[rule]]
name = "no sales"
when = { caller_not = ["9521????", "+1202*"] }
action = "allow"
[[rule]]
name = "not listed"
when = { list_not = ["blacklist"] }
action = "allow"
[[rule]]
name = "others"
action = "reject"
`)
	lists := plainLists{}
	for _, text := range []string{"95210001", "+12025550143", "95200001"} {
		q, err := p.Plan().Pattern(text)
		if err != nil {
			t.Fatal(err)
		}
		lists.put(ListEntry{List: "blacklist", Pattern: q, Reason: "why"})
	}
	for _, c := range []struct{ caller, rule, why string }{
		{"95210001", "others", "caller_not: number +8695210001 is excepted by 9521????"},
		{"95210001#", "others", "caller_not: caller 95210001#, which holds +8695210001, is excepted by 9521????"},
		{"+12025550143#", "others", "caller_not: caller +12025550143#, which holds +12025550143, is excepted by +1202*"},
		{"95210002#", "not listed", "caller_not: caller 95210002#, which holds +8695210002, is excepted by 9521????"},
		{"95200001#", "no sales", ""},
		{"13800138000#", "no sales", ""},
	} {
		call := p.Call(Facts{Caller: c.caller})
		d, steps := p.Explain(&call, lists)
		why := ""
		for _, s := range steps {
			if s.Rule == "no sales" && !s.Matched {
				why = s.Why
			}
		}
		if d.Rule != c.rule || why != c.why {
			t.Errorf("%s: %s (%s), want %s (%s)", c.caller, d.Rule, why, c.rule, c.why)
		}
		if plain := p.Decide(&call, lists); plain.Rule != d.Rule {
			t.Errorf("%s: decided %s, explained %s", c.caller, plain.Rule, d.Rule)
		}
	}
	call := p.Call(Facts{Caller: "95210001#", Withheld: true})
	if d, steps := p.Explain(&call, lists); d.Rule != "others" || strings.Contains(fmt.Sprint(steps), "95210001") {
		t.Errorf("withheld: %s, %+v", d.Rule, steps)
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
		before := prefixes
		switch r.IntN(5) {
		case 0:
			number = fmt.Sprintf("1%d%09d", 3+r.IntN(7), r.IntN(1_000_000_000))
		case 1:
			number, before = fmt.Sprintf("+1202555%04d", r.IntN(10_000)), []string{"", "+", "tel:", "a", "95588#", "0 "}
		case 2:
			number, before = fmt.Sprintf("+4420794%05d", r.IntN(100_000)), []string{"", "00 ", "＋", "x"}
		}
		lists := plainLists{}
		q, err := p.Plan().Pattern(number)
		if err != nil {
			t.Fatal(err)
		}
		lists.put(ListEntry{List: "blacklist", Pattern: q})
		text := pick(before) + number
		switch r.IntN(6) {
		case 0:
			text += pick(junk)
		case 1:
			text = pick(junk) + text
		case 2:
			text += pick(junk) + strings.Repeat(fmt.Sprint(r.IntN(10)), r.IntN(20))
		case 3: // one of its digits as a switch undoes it
			i := len(text) - 1 - r.IntN(5)
			text = fmt.Sprintf("%s%%%02X%s", text[:i], text[i], text[i+1:])
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
	lists := plainLists{}
	q, _ := p.Plan().Pattern("9521161?")
	lists.put(ListEntry{List: "blacklist", Pattern: q})
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
	lists := plainLists{}
	for pattern, source := range map[string]string{"95200001": "command line", "95200002": FeedSource + "ftc", "9520111?": "command line"} {
		q, err := p.Plan().Pattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		lists.put(ListEntry{List: "blacklist", Pattern: q, Source: source})
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
		"05925559999a": "", "059255501001": "staff", "05925550100-1": "staff", "05925550100 12": "staff", "05925550100-1a": "staff", "0592 555 0100(7": "staff", "0592555010000000000": "staff", "059255599991": "", "959255501001": "", "": "", "x": "", "1104": "", "110a": "", "0592555": "",
	} {
		c := p.Call(Facts{Callee: text})
		if got := p.LineOf(&c.Callee); got != want || c.Callee.Raw != text {
			t.Errorf("%q is to line %q, want %q", text, got, want)
		}
		if c.Callee.Kinds.Has(number.Emergency) {
			t.Errorf("%q is an emergency number", text)
		}
	}
	// Digits that a line or a rule names are what they are.
	longer := mustLoad(t, strings.Replace(spoiltPolicy, `["05925550000-05925550999"]`, `["05925550000-05925550999"]
[lines.lift]
numbers = ["0592555010??"]`, 1))
	if c := longer.Call(Facts{Callee: "059255501001"}); longer.LineOf(&c.Callee) != "lift" {
		t.Errorf("a line's number of twelve digits is to line %q", longer.LineOf(&c.Callee))
	}
	if c := p.Call(Facts{Callee: "8001a"}); c.Callee.Kind != number.Internal || c.Callee.National() != "8001" {
		t.Errorf("%+v", c.Callee)
	}
}
