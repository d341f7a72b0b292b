package traces

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"ringfence/conf"
)

// The detectors of the shipped policy that have an eye on all calls together. The others are by range, or by caller.
const (
	Alarm        = "alarm"
	AlarmByHabit = "alarm by habit"
)

// rangeDetectors are those by range, each of which is shipped with a trip one higher than the one before.
var rangeDetectors = []string{"range wakes", "town range wakes", "range annoys", "range drips"}

// All measures the traces of seeds of a world by a policy's text.
func All(ctx context.Context, world *World, seeds []uint64, text string) ([]*Figures, error) {
	j, err := Judge(text)
	if err != nil {
		return nil, err
	}
	figures, faults := make([]*Figures, len(seeds)), make([]error, len(seeds))
	var group sync.WaitGroup
	room := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, seed := range seeds {
		group.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			figures[i], faults[i] = Make(seed, world).Measure(ctx, j)
		})
	}
	group.Wait()
	return figures, errors.Join(faults...)
}

// Row is one row of the table of figures.
func Row(what string, of []*Figures) string {
	return fmt.Sprintf("| %s | %.1f %% | %.1f %% | %.1f %% | %.1f %% | %.3f %% | %.3f %% | %.4f %% | %.1f %% | %d |", what,
		Mean(of, func(f *Figures) Share { return f.Prefix }), Mean(of, func(f *Figures) Share { return *f.Sources[FromOne] }),
		Mean(of, func(f *Figures) Share { return f.Sublet }), Mean(of, func(f *Figures) Share { return f.Anywhere }),
		Mean(of, func(f *Figures) Share { return f.Touched }), Mean(of, func(f *Figures) Share { return f.Late }),
		Mean(of, func(f *Figures) Share { return f.Rejected }), Mean(of, (*Figures).Wrong), MedianLeak(of))
}

// Head is the head of the table of figures.
func Head() []string {
	return []string{
		"| detectors | prefix stopped | one number | sublet heads | no prefix | touched | from the 2nd week | rejected | wrong | leak |",
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
	}
}

// Tables are the tables of the shipped policy on the traces of seeds of a world: the figures, with the curves of what the ranges' detectors and the alarm trip at, and what is behind
// them.
func Tables(ctx context.Context, world *World, name string, seeds []uint64) (figures, behind []string, err error) {
	shipped := string(conf.SamplePolicy)
	ranges, err := Enforced(shipped, Alarm, AlarmByHabit)
	if err != nil {
		return nil, nil, err
	}
	both, err := Enforced(shipped)
	if err != nil {
		return nil, nil, err
	}
	point := func(what, text string) []*Figures {
		if err != nil {
			return nil
		}
		var of []*Figures
		if of, err = All(ctx, world, seeds, text); err == nil {
			figures = append(figures, Row(what, of))
		}
		return of
	}
	narrow := point(world.Name+", "+name+": without the alarms", ranges)
	whole := point(world.Name+", "+name+": as shipped", both)
	if name != "fixed" || err != nil {
		return figures, nil, err
	}
	for _, n := range []int{4, 6, 12} { // 3 is shipped
		text, fault := ranges, error(nil)
		for more, detector := range rangeDetectors {
			if fault == nil {
				text, fault = Scaled(text, detector, n+more)
			}
		}
		if fault != nil {
			return nil, nil, fault
		}
		point(fmt.Sprintf("%s: ranges trip at %d, %d, %d and %d", world.Name, n, n+1, n+2, n+3), text)
	}
	for _, n := range []int{4, 8, 20} { // 6 is shipped
		text, fault := Scaled(both, Alarm, n)
		if fault != nil {
			return nil, nil, fault
		}
		point(fmt.Sprintf("%s: `alarm` trips at %d", world.Name, n), text)
	}
	return figures, detail(world, narrow, whole), err
}

// detail is whom the policy stops and touches, and which detector does it.
func detail(world *World, narrow, whole []*Figures) []string {
	rows := []string{"| " + world.Name + ", of the fixed seeds | calls | without the alarms | as shipped |", "| --- | --- | --- | --- |"}
	if len(narrow) == 0 || len(whole) == 0 {
		return rows
	}
	add := func(what string, share func(*Figures) Share) {
		n := 0
		for _, f := range whole {
			n += share(f).Of
		}
		rows = append(rows, fmt.Sprintf("| %s | %d | %.2f %% | %.2f %% |", what, n, Mean(narrow, share), Mean(whole, share)))
	}
	for _, s := range Sources() {
		add("stopped: "+s, func(f *Figures) Share { return *f.Sources[s] })
	}
	for _, c := range Classes() {
		add("touched: "+c, func(f *Figures) Share { return *f.Classes[c] })
	}
	storms := 0
	for _, f := range whole {
		storms += f.StormRej
	}
	rows = append(rows, fmt.Sprintf("| rejected: honest callers of storms | %d | | |", storms))
	for _, d := range detectors() {
		sum := Adds{}
		for _, f := range whole {
			a := f.Adds[d]
			sum.Trips, sum.Stopped, sum.Alone, sum.Touched = sum.Trips+a.Trips, sum.Stopped+a.Stopped, sum.Alone+a.Alone, sum.Touched+a.Touched
		}
		rows = append(rows, fmt.Sprintf("| `%s`: %d trips | | | stopped %d, %d of them alone; touched %d |", d, sum.Trips, sum.Stopped, sum.Alone, sum.Touched))
	}
	return rows
}

func detectors() (names []string) {
	if j, err := Judge(string(conf.SamplePolicy)); err == nil {
		for _, d := range j.Policy.Detectors() {
			names = append(names, d.Name)
		}
	}
	return names
}

// Seeds are n of them from one on.
func Seeds(from uint64, n int) (seeds []uint64) {
	for i := range n {
		seeds = append(seeds, from+uint64(i))
	}
	return seeds
}

// FixedSeeds are those of the table. The shipped policy was tuned on 1 to 40, which no table shows.
func FixedSeeds() []uint64 { return Seeds(101, 10) }
