package policy_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ringfence/lists"
	"ringfence/policy"
)

// bigPolicy writes a policy of 200 rules with that many caller patterns in all, and 10 lines.
func bigPolicy(patterns int) string {
	var b strings.Builder
	b.WriteString("country = \"CN\"\ntimezone = \"Asia/Shanghai\"\n")
	b.WriteString("[numbers]\ninternal = [\"8???\"]\nnever_screen = [\"110\", \"119\"]\n")
	b.WriteString("[trunks.telecom]\nmatch = [\"gateway:telecom\"]\n")
	for i := range 10 {
		fmt.Fprintf(&b, "[lines.l%d]\nnumbers = [\"059255%d0000-059255%d9999\", \"0592666000%d\"]\n", i, i, i, i)
	}
	const rules = 200
	number := 0
	for i := range rules {
		fmt.Fprintf(&b, "[[rule]]\nname = \"rule %d\"\naction = \"reject\"\nwhen = { ", i)
		switch i % 5 {
		case 0:
			fmt.Fprintf(&b, "line = [\"l%d\"], ", i%10)
		case 1:
			b.WriteString("caller_kind = [\"mobile\", \"fixed\", \"service\"], ")
		case 2:
			b.WriteString("hours = [\"Mon-Fri 18:00-08:30\", \"Sat-Sun\"], ")
		case 3:
			b.WriteString("trunk = [\"telecom\"], ")
		}
		b.WriteString("caller = [")
		for range patterns / rules {
			switch number % 10 {
			case 0:
				fmt.Fprintf(&b, "\"05%02d3%04d*\",", number/10_000%100, number%10_000)
			case 1:
				fmt.Fprintf(&b, "\"15%06d???\",", number%1_000_000)
			default:
				fmt.Fprintf(&b, "\"13%09d\",", number*37%1_000_000_000)
			}
			number++
		}
		b.WriteString("] }\n")
	}
	return b.String()
}

// BenchmarkDecide is one call through 200 rules and 10 lines, with as many patterns as a policy file has room for. Unmatched is the dearest way: no
// rule takes the call.
func BenchmarkDecide(b *testing.B) {
	for _, patterns := range []int{1000, 100_000} {
		p, faults := policy.Load("big.toml", []byte(bigPolicy(patterns)))
		if p == nil {
			b.Fatal(faults[0])
		}
		lists := lists.New()
		at := time.Date(2026, 1, 7, 20, 0, 0, 0, time.UTC)
		for _, caller := range []struct{ name, number string }{{"unmatched", "13999999999"}, {"matched", "05103000012"}} {
			c := p.Call(policy.Facts{Caller: caller.number, Callee: "05925550100", Trunk: "telecom", Time: at})
			b.Run(fmt.Sprintf("%s/patterns=%d", caller.name, patterns), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					p.Decide(&c, lists)
				}
			})
		}
		// Another caller each time, all over the patterns, so that the caches of the processor do not help.
		calls := make([]policy.Call, 4096)
		r := rand.New(rand.NewPCG(1, 1))
		for i := range calls {
			number := fmt.Sprintf("13%09d", r.IntN(patterns)*37%1_000_000_000)
			calls[i] = p.Call(policy.Facts{Caller: number, Callee: "05925550100", Trunk: "telecom", Time: at})
		}
		b.Run(fmt.Sprintf("any/patterns=%d", patterns), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				p.Decide(&calls[i%len(calls)], lists)
				i++
			}
		})
	}
}

// BenchmarkDecideTripped is one call that ten detectors spare or have tripped for, and a rule that asks for the score before it.
func BenchmarkDecideTripped(b *testing.B) {
	var text strings.Builder
	text.WriteString("country = \"CN\"\n[ranges]\n\"952112*\" = \"firm A\"\n")
	for i := range 10 {
		fmt.Fprintf(&text, "[[detector]]\nname = \"d%d\"\nkey = \"prefix:6\"\ncount = \"strangers\"\nwindow = \"3h\"\ntrip = 5\nprotect = [\"95588\", \"list:allowlist\"]\n", i)
	}
	text.WriteString("[[rule]]\nname = \"score\"\nwhen = { score_at_least = 30 }\naction = \"challenge\"\n")
	text.WriteString("[[rule]]\nname = \"tripped\"\nwhen = { tripped = [\"d3\", \"d9\"], holder = [\"firm A\"] }\naction = \"challenge\"\n")
	p, faults := policy.Load("p.toml", []byte(text.String()))
	if p == nil {
		b.Fatal(faults)
	}
	lists := lists.New()
	c := p.Call(policy.Facts{Caller: "95211213", Callee: "05925550100", Time: time.Date(2026, 1, 7, 20, 0, 0, 0, time.UTC)})
	c.Tripped = 1 << 9
	c.Trips = []policy.Trip{{Detector: 9, Key: "952112", Since: c.Time}}
	b.ReportAllocs()
	for b.Loop() {
		if d := p.Decide(&c, lists); p.Protected(&c, lists) != 0 || d.By == 0 {
			b.Fatal(d.Reason())
		}
	}
}

// BenchmarkLoad reads a policy of 200 rules.
func BenchmarkLoad(b *testing.B) {
	for _, patterns := range []int{1000, 100_000} {
		text := []byte(bigPolicy(patterns))
		b.Run(fmt.Sprintf("patterns=%d", patterns), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				policy.Load("big.toml", text)
			}
		})
	}
}
