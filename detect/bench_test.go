package detect_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"ringfence/detect"
	"ringfence/number"
	"ringfence/policy"
)

// BenchmarkDetectors is what a call costs with ten detectors on, all by caller and all by prefix, each beside the
// decision of a policy with as many rules. Two thousand callers call a thousand lines, and in a flood more than there
// is room for; each call is counted, decided and ended.
func BenchmarkDetectors(b *testing.B) {
	kinds := []policy.Counted{
		policy.CountCalls, policy.CountCallees, policy.CountStrangers, policy.CountFirstTime, policy.CountShortCalls, policy.CountUnanswered, policy.CountDecoys,
		policy.CountSequential, policy.CountCalls, policy.CountCallees,
	}
	var byCaller, byPrefix []policy.Detector
	for i, kind := range kinds {
		d := detector(fmt.Sprint("detector ", i), policy.ByCaller, time.Duration(10+20*i)*time.Minute, 50, kind)
		byCaller = append(byCaller, d)
		d.Key = policy.ByPrefix
		d.Trip, d.Levels = 0, []policy.Level{{Digits: 6, Trip: 5000}, {Digits: 7, Trip: 5000}, {Digits: 8, Trip: 5000}}
		byPrefix = append(byPrefix, d)
	}
	for _, c := range []struct {
		name    string
		ds      []policy.Detector
		callers int
	}{
		{"caller", byCaller, 2000},
		{"caller-flood", byCaller, 50_000},
		{"prefix", byPrefix, 2000},
		{"prefix-flood", byPrefix, 50_000},
		{"mixed", tenDetectors(), 2000},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(b, c.ds...)
			random := rand.New(rand.NewPCG(26, 27))
			callers := make([]*number.Number, c.callers)
			for i := range callers {
				callers[i] = w.number(fmt.Sprintf("1%010d", 3e9+random.Int64N(6e9)))
			}
			lines := make([]string, 1000)
			for i := range lines {
				lines[i] = line(i)
			}
			place := func() {
				i := random.IntN(len(lines))
				x := detect.Subject{Time: w.at, Trunk: "telecom", Caller: callers[random.IntN(len(callers))], Callee: lines[i], Customer: lines[i], Stranger: true}
				n := w.set.Called(&x)
				w.set.Decided(&n, false, 0)
				w.at = w.at.Add(50 * time.Millisecond)
				w.set.Ended(&n, detect.End{At: w.at, Answered: true, Talk: 20 * time.Second, Rang: true})
			}
			for range 300_000 {
				place()
			}
			b.ReportAllocs()
			before := used(b)
			for b.Loop() {
				place()
			}
			// What others do on the machine is not in this one.
			b.ReportMetric(float64(used(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
	b.Run("policy", func(b *testing.B) {
		p, faults := policy.Load("policy.toml", []byte(benchPolicy()))
		if faults != nil {
			b.Fatal(faults)
		}
		plan := p.Plan()
		c := policy.Call{Caller: plan.Parse("13800138000"), Callee: plan.ParseCalled("05925550100"), Time: start, Trunk: "telecom"}
		b.ReportAllocs()
		for b.Loop() {
			p.Decide(&c, nil)
		}
	})
}

// used is how long the processors have worked for this program.
func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchPolicy() string {
	text := "country = \"CN\"\n"
	for i := range 10 {
		text += fmt.Sprintf("[[rule]]\nname = \"rule %d\"\nwhen = { caller = [\"9521%02d??\"] }\naction = \"reject\"\n", i, i)
	}
	return text
}
