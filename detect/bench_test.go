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
		peers   int // other nodes, by which the same callers call
	}{
		{"caller", byCaller, 2000, 0},
		{"caller-flood", byCaller, 50_000, 0},
		{"caller-peers", byCaller, 2000, 2},
		{"prefix", byPrefix, 2000, 0},
		{"prefix-flood", byPrefix, 50_000, 0},
		{"prefix-peers", nearer(byPrefix), 2000, 2},
		{"mixed", tenDetectors(), 2000, 0},
		{"mixed-peers", tenDetectors(), 2000, 2},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := newTraffic(b, c.callers, c.ds...)
			step := 50 * time.Millisecond
			for range 300_000 {
				w.place(step)
			}
			if c.peers > 0 {
				step = time.Millisecond // so that what they said lasts
				w.hear(b, c.peers, c.callers)
			}
			place := func() { w.place(step) }
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

// nearer has ranges trip at so many that nodes tell of them.
func nearer(ds []policy.Detector) (all []policy.Detector) {
	for _, d := range ds {
		d.Levels = []policy.Level{{Digits: 6, Trip: 200}, {Digits: 7, Trip: 200}, {Digits: 8, Trip: 200}}
		all = append(all, d)
	}
	return all
}

// traffic is calls of some callers to a thousand lines, at random.
type traffic struct {
	*world
	random  *rand.Rand
	callers []*number.Number
	lines   []string
}

func newTraffic(b testing.TB, callers int, ds ...policy.Detector) *traffic {
	w := &traffic{world: newWorld(b, ds...), random: rand.New(rand.NewPCG(26, 27))}
	for range callers {
		w.callers = append(w.callers, w.number(fmt.Sprintf("1%010d", 3e9+w.random.Int64N(6e9))))
	}
	for i := range 1000 {
		w.lines = append(w.lines, line(i))
	}
	return w
}

// place has a call come, be decided and end.
func (w *traffic) place(step time.Duration) {
	i := w.random.IntN(len(w.lines))
	x := detect.Subject{Time: w.at, Trunk: "telecom", Caller: w.callers[w.random.IntN(len(w.callers))], Callee: w.lines[i], Customer: w.lines[i], Stranger: true}
	n := w.set.Called(&x)
	w.set.Decided(&n, false, 0)
	w.at = w.at.Add(step)
	w.set.Ended(&n, detect.End{At: w.at, Answered: true, Talk: 20 * time.Second, Rang: true})
}

// hear has other nodes have the same traffic for a while, and tell all of it.
func (w *traffic) hear(b testing.TB, nodes, callers int) {
	for node := range nodes {
		other := newTraffic(b, callers, w.ds...)
		other.random = rand.New(rand.NewPCG(uint64(node), 28))
		for other.at = w.at.Add(-time.Hour); other.at.Before(w.at); {
			other.place(250 * time.Millisecond)
		}
		for {
			shares := other.set.Tell(w.at, nodes+1, nil)
			if len(shares) == 0 {
				break
			}
			w.set.Heard(fmt.Sprint("pbx", node), 1, w.at, w.at, shares)
		}
	}
	b.Logf("%d shares of others are kept: %+v", w.set.Shared().Heard, w.set.Shared())
}

// BenchmarkTell is what it costs to tell what has changed, four times a second with twenty calls a second, and to hear it from another node.
func BenchmarkTell(b *testing.B) {
	w, other := newTraffic(b, 2000, tenDetectors()...), newWorld(b, tenDetectors()...)
	for range 50_000 {
		w.place(50 * time.Millisecond)
	}
	var shares []detect.Share
	told, before := 0, used(b)
	for b.Loop() {
		for range 5 {
			w.place(50 * time.Millisecond)
		}
		shares = w.set.Tell(w.at, 3, shares[:0])
		told += len(shares)
		other.set.Heard("pbx2", 1, w.at, w.at, shares)
	}
	b.ReportMetric(float64(used(b)-before)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(told)/float64(b.N), "shares/op")
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
