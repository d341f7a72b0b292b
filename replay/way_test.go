package replay

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/policy"
)

// Where a call came in is found as for a live call.
func TestOrigin(t *testing.T) {
	p := mustLoad(t, sample)
	address := netip.MustParseAddr
	for _, c := range []struct {
		o    origin
		want string
	}{
		{origin{}, ""},
		{origin{any: "telecom"}, "telecom"},
		{origin{any: "gateway:telecom"}, "telecom"},
		{origin{any: "endpoint:telecom"}, "telecom"},
		{origin{any: "profile:external"}, "telecom"},
		{origin{any: "external"}, "telecom"},
		{origin{any: "203.0.113.9"}, "telecom"},
		{origin{any: "203.0.114.9"}, "203.0.114.9"},
		{origin{any: "other"}, "other"},
		{origin{switching: policy.TrunkFacts{Named: "other", Gateway: "branch"}}, "other"},
		{origin{switching: policy.TrunkFacts{Gateway: "branch", Address: address("203.0.113.9")}}, "branch"},
		{origin{switching: policy.TrunkFacts{Endpoint: "telecom"}}, "telecom"},
		{origin{switching: policy.TrunkFacts{Address: address("198.51.100.1"), Profile: "external"}}, "telecom"},
		{origin{switching: policy.TrunkFacts{Address: address("198.51.100.1")}}, ""},
	} {
		if got := c.o.trunk(p); got != c.want {
			t.Errorf("%+v is %q, want %q", c.o, got, c.want)
		}
	}
}

// An internal number in a call detail record is one of our own phones, unless the call came in by a trunk.
func TestInside(t *testing.T) {
	j := mustJudge(t, sample)
	m := newMind(j, nil, workerMemory)
	for _, c := range []struct {
		trunk string
		claim claim
		rule  string
	}{
		{"", claimUnknown, policy.RuleInternal},
		{"unheard-of", claimUnknown, policy.RuleInternal},
		{"branch", claimUnknown, policy.RuleInternal},
		{"telecom", claimUnknown, policy.RuleDefault},
		{"telecom", claimJournal, policy.RuleInternal},
		{"branch", claimNone, policy.RuleInternal},
		{"", claimNone, policy.RuleDefault},
		{"telecom", claimNone, policy.RuleDefault},
	} {
		call := Call{Facts: policy.Facts{Caller: "8001", Callee: "4008001234", Time: time.Date(2026, 3, 2, 12, 0, 0, 0, j.Policy.Zone())}, claim: c.claim}
		call.origin.switching.Named = c.trunk
		if _, d := m.decide(&call); d.Rule != c.rule {
			t.Errorf("trunk %q, claim %d: rule %q, want %q", c.trunk, c.claim, d.Rule, c.rule)
		}
	}
}

// Which way a call went is what the file says, or whose its two ends are.
func TestWay(t *testing.T) {
	const policy = "country = \"CN\"\n[numbers]\ninternal = [\"6??\"]\n[lines.main]\nnumbers = [\"05925550100-05925550199\"]\n" +
		"[trunks.telecom]\nmatch = [\"gateway:telecom\", \"endpoint:telecom\"]\n[trunks.branch]\nmatch = [\"gateway:branch\"]\ninternal = true\n"
	m := newMind(mustJudge(t, policy), nil, tallyMemory)
	const fusion, plain = "direction,caller_id_number,caller_destination,start_stamp,gateway\n", "direction,src,dst,start,gateway\n"
	for _, c := range []struct {
		head, row string
		want      direction
		kind      string // of the caller
	}{
		{plain, ",13800138000,05925550100,", directionIn, "mobile"},
		{plain, ",13800138000,601,", directionIn, "mobile"},
		{plain, ",13800138000,13900139000,", directionIn, "mobile"},
		{plain, ",601,013900139000,", directionOut, "internal"},
		{plain, ",601,602,", directionLocal, "internal"},
		{plain, ",601,05925550100,", directionLocal, "internal"},
		{plain, ",601,*97,", directionLocal, "internal"},
		{plain, ",601,s,", directionLocal, "internal"},
		{plain, ",05925550101,013900139000,", directionOut, "fixed"},
		{plain, ",05925550101,05925550100,", directionIn, "fixed"}, // may be somebody who claims to be ours
		{plain, ",05925550101,601,", directionIn, "fixed"},
		{plain, ",601,013900139000,telecom", directionIn, "invalid"}, // it came by a trunk
		{plain, ",05925550101,013900139000,telecom", directionIn, "fixed"},
		{plain, ",601,013900139000,branch", directionOut, "internal"},
		{plain, ",,05925550100,", directionIn, "anonymous"},
		{plain, "outbound,601,013900139000,", directionOut, "internal"},
		{plain, "Outgoing,05925559999,013900139000,telecom", directionOut, "fixed"},
		{plain, "outbound,13800138000,601,", directionOut, "mobile"}, // the leg to a phone
		{plain, "Internal,601,602,", directionLocal, "internal"},
		{plain, "inbound,601,013900139000,", directionOut, "internal"}, // FreeSWITCH says inbound of a phone's leg too
		{plain, "inbound,601,602,", directionLocal, "internal"},
		{plain, "sideways,601,602,", directionLocal, "internal"},
		{fusion, "inbound,13800138000,05925550100,", directionIn, "mobile"},
		{fusion, "inbound,601,05925550100,", directionIn, "invalid"}, // an internal number from outside
		{fusion, "local,601,*99601,", directionLocal, "internal"},
		{fusion, "outbound,601,013900139000,telecom", directionOut, ""},
	} {
		row := strings.Split(c.row, ",")
		row = slices.Insert(row, 3, "2026-03-02 09:00:00")
		calls, faults, _ := readAll(t, mustOpen(t, "f", c.head+strings.Join(row, ",")+"\n", SourceOptions{}))
		if len(calls) != 1 {
			t.Fatalf("%q: %v", c.row, faults)
		}
		call := m.call(&calls[0])
		if got := m.way(&calls[0], &call); got != c.want || c.kind != "" && call.Caller.Kind.String() != c.kind {
			t.Errorf("%s%s: way %d of %s, want %d of %s", c.head, c.row, got, call.Caller.Kind, c.want, c.kind)
		}
	}
	// Legs that FusionPBX and FreeSWITCH have rows for are no calls.
	for row, want := range map[string]int{"a,,NORMAL_CLEARING": 1, "b,,NORMAL_CLEARING": 0, "a,member,NORMAL_CLEARING": 1, "a,agent,NORMAL_CLEARING": 0, "NULL,,LOSE_RACE": 0, ",,": 1} {
		s := mustOpen(t, "f", "leg,cc_side,hangup_cause,caller_id_number,destination_number,start_stamp\n"+row+",13800138000,05925550100,2026-03-02 09:00:00\n", SourceOptions{})
		if calls, _, _ := readAll(t, s); len(calls) != want {
			t.Errorf("%s: %d calls, want %d", row, len(calls), want)
		}
	}
}
