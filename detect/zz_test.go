package detect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ringfence/policy"
)

func BenchmarkCalled(b *testing.B) {
	for _, kind := range []string{"caller", "prefix"} {
		var sb strings.Builder
		for i := range 10 {
			fmt.Fprintf(&sb, "[[detector]]\nname=\"d%d\"\n", i)
			if kind == "caller" {
				sb.WriteString("key=\"caller\"\ncount=\"callees\"\ntrip=20\nwindow=\"3h\"\n")
			} else {
				sb.WriteString("key=\"prefix\"\ndepth={6=20,7=20,8=20}\ncount=\"strangers\"\nwindow=\"3h\"\n")
			}
		}
		p, r := policy.Load("p", []byte("country=\"CN\"\n"+sb.String()))
		if p == nil {
			b.Fatal(r)
		}
		for _, many := range []int{1000, 100000} {
			b.Run(fmt.Sprint(kind, many), func(b *testing.B) {
				s := New(p.Detectors(), Options{Seed: 1})
				var xs []Subject
				for i := range many {
					c := p.Call(policy.Facts{Caller: fmt.Sprintf("138%08d", i*7919%100000000), Callee: fmt.Sprintf("0592555%04d", i%1000), Trunk: "a"})
					xs = append(xs, SubjectOf(p, &c, nil))
				}
				for i := range xs {
					x := xs[i]
					x.Time = t0.Add(time.Duration(i) * time.Millisecond)
					s.Called(&x)
				}
				b.ReportAllocs()
				now := t0.Add(time.Hour)
				for i := 0; b.Loop(); i++ {
					x := &xs[i%len(xs)]
					now = now.Add(10 * time.Millisecond)
					x.Time = now
					n := s.Called(x)
					s.Decided(&n, false, 0)
				}
			})
		}
	}
}
