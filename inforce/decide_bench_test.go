package inforce_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ringfence/lines"
	"ringfence/lists"
	"ringfence/number"
	"ringfence/policy"
)

// linesPolicy has 200 rules: a fifth name profiles, ten ask lists, among them those that each line has of its own, and the others have
// a thousand patterns of callers together, as those of policy's BenchmarkDecide.
func linesPolicy() string {
	var b strings.Builder
	b.WriteString("country = \"CN\"\ntimezone = \"Asia/Shanghai\"\n[numbers]\ninternal = [\"8???\"]\nnever_screen = [\"110\", \"119\"]\n[trunks.telecom]\nmatch = [\"gateway:telecom\"]\n")
	for i := range 10 {
		fmt.Fprintf(&b, "[lines.l%d]\nnumbers = [\"059255%d0000-059255%d9999\", \"0592666000%d\"]\n", i, i, i, i)
	}
	for i := range 200 {
		fmt.Fprintf(&b, "[[rule]]\nname = \"rule %d\"\n", i)
		switch {
		case i%20 == 0:
			list := []string{"line:allowlist", "allowlist", "line:blacklist", "blacklist"}[i/20%4]
			action := map[bool]string{true: "allow", false: "reject"}[strings.HasSuffix(list, "allowlist")]
			fmt.Fprintf(&b, "action = %q\nwhen = { line = [\"l1\", \"profile:p%d\", \"profile:p%d\"], list = [%q] }\n", action, i/20%5, (i/20+1)%5, list)
			continue
		case i%5 == 0:
			fmt.Fprintf(&b, "action = \"reject\"\nwhen = { line = [\"l%d\", \"profile:p%d\"], caller = [", i%10, i/5%5)
		case i%5 == 1:
			b.WriteString("action = \"reject\"\nwhen = { caller_kind = [\"mobile\", \"fixed\", \"service\"], caller = [")
		case i%5 == 2:
			b.WriteString("action = \"reject\"\nwhen = { hours = [\"Mon-Fri 18:00-08:30\", \"Sat-Sun\"], caller = [")
		default:
			b.WriteString("action = \"reject\"\nwhen = { trunk = [\"telecom\"], caller = [")
		}
		for k := range 5 {
			fmt.Fprintf(&b, "\"05%02d3%04d*\",\"13%09d\",", k*10, i, (i*5+k)*37)
		}
		b.WriteString("] }\n")
	}
	return b.String()
}

// BenchmarkDecideLines is one call to a line of the database, of which there are 100,000 with 200,000 numbers, through 200 rules, with 1,000,000 entries on
// lists, half of them on the lines' own; and beside it one to a line of the policy, and one to a line that was called just before: what is dear is the memory of a line
// that no call was to for long.
func BenchmarkDecideLines(b *testing.B) {
	const all = 100_000
	p, faults := policy.Load("lines.toml", []byte(linesPolicy()))
	if p == nil {
		b.Fatal(faults[0])
	}
	exact := func(v int) number.Pattern {
		return number.Pattern{Lo: uint64(v), Hi: uint64(v), Size: 13, Plus: true}
	}
	kept := make([]lines.Line, all)
	own := map[string][]lists.OwnChange{}
	for i := range kept {
		name := fmt.Sprintf("customer%d", i)
		kept[i] = lines.Line{
			Name: name, Key: policy.NewLineKey(name, "abcdef"), Customer: fmt.Sprint("c", i/3), Profile: fmt.Sprint("p", i%7),
			Numbers: []number.Pattern{exact(8618000000000 + 200*i), exact(8618000000007 + 200*i)},
		}
		for k := range 5 {
			list := []string{"blacklist", "allowlist"}[k%2]
			own[list] = append(own[list], lists.OwnChange{Key: kept[i].Key, Change: lists.Change{
				ListEntry: policy.ListEntry{Pattern: exact(8615000000000 + i*100 + k)}, Records: []lists.Record{{Reason: "of its own", Source: "cli"}},
			}})
		}
	}
	inMemory := lines.New(p.Plan())
	if taken := inMemory.Load(kept); len(taken) > 0 {
		b.Fatal(taken[0])
	}
	p = p.WithLines(inMemory)
	ls := lists.New()
	for _, list := range []string{"blacklist", "allowlist"} {
		load := ls.Load(list)
		for i := range 250_000 {
			load.Add(&policy.ListEntry{Pattern: exact(8615100000000 + i*4), Reason: "a reason", Source: "a source"})
		}
		load.Done()
		ls.ApplyOwn(list, own[list])
	}
	at := time.Date(2026, 1, 7, 20, 0, 0, 0, time.UTC)
	rnd := rand.New(rand.NewPCG(1, 1))
	unmatched := func(int) string { return "13999999999" }
	ofDatabase := func(line int) string { return fmt.Sprintf("+%d", 8618000000000+200*line+rnd.IntN(2)*7) }
	for _, call := range []struct {
		name           string
		lines          int // how many are called
		caller, callee func(line int) string
	}{
		{"unmatched", all, unmatched, ofDatabase},
		{"listed", all, func(int) string { return fmt.Sprintf("+%d", 8615100000000+rnd.IntN(250_000)*4) }, ofDatabase},
		{"own", all, func(line int) string { return fmt.Sprintf("+%d", 8615000000000+line*100+rnd.IntN(5)) }, ofDatabase},
		{"again", 64, unmatched, ofDatabase},
		{"of the policy", 10_000, unmatched, func(line int) string { return fmt.Sprintf("0592551%04d", line) }},
	} {
		calls := make([]policy.Call, 4096)
		for i := range calls {
			line := rnd.IntN(call.lines)
			calls[i] = p.Call(policy.Facts{Caller: call.caller(line), Callee: call.callee(line), Trunk: "telecom", Time: at})
			if l, ok := p.LineCalled(&calls[i].Callee); !ok || l.Kept != (call.name != "of the policy") {
				b.Fatalf("a call to %s is to the line %q", calls[i].Callee.Shown(), l.Name)
			}
		}
		b.Run(call.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p.Decide(&calls[i%len(calls)], ls)
			}
		})
	}
}
