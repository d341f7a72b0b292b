package pages

import (
	"fmt"
	"slices"
	"time"

	"ringfence/console"
	"ringfence/policy"
)

// chart is a picture of calls over time: a bar a step, in it a piece an action.
type chart struct {
	Width, Height int
	Bars          []chartBar
	Lines         []int // the heights of lines across
	Most          int   // what the highest bar counts
	Half          int
	Since, Until  time.Time
	Step          time.Duration
	Sums          []chartSum
	Total         int
	Whole         bool
}

type chartBar struct {
	X, Y, W, H int
	Action     string
	Calls      int
	At         time.Time
}

type chartSum struct {
	Action string
	Calls  int
	Path   string
}

// Measures of the picture, in its own units.
const (
	chartWidth  = 720
	chartHeight = 120
)

// chartOf draws counts. Actions are stacked in the order of the policy's words, what lets calls pass below.
func chartOf(a *console.Activity, path func(action string) string) *chart {
	c := &chart{Width: chartWidth, Height: chartHeight, Since: a.Since, Step: a.Step, Whole: a.Whole, Lines: []int{0, chartHeight / 2}}
	steps := 0
	for _, counts := range a.Counts {
		steps = max(steps, len(counts))
	}
	c.Until = a.Since.Add(time.Duration(steps) * a.Step)
	actions := policy.ActionNames()
	for action := range a.Counts {
		if !slices.Contains(actions, action) {
			actions = append(actions, action)
		}
	}
	sums := make([]int, steps)
	for _, action := range actions {
		s := chartSum{Action: action, Path: path(action)}
		for i, n := range a.Counts[action] {
			sums[i] += n
			s.Calls += n
		}
		if c.Total += s.Calls; s.Calls > 0 {
			c.Sums = append(c.Sums, s)
		}
	}
	for _, n := range sums {
		c.Most = max(c.Most, n)
	}
	if c.Most == 0 {
		return c
	}
	c.Most = niceTop(c.Most)
	c.Half = c.Most / 2
	for i := range steps {
		x := i * chartWidth / steps
		width := max(1, (i+1)*chartWidth/steps-x-1)
		counted := 0
		for _, action := range actions {
			if i >= len(a.Counts[action]) || a.Counts[action][i] == 0 {
				continue
			}
			n := a.Counts[action][i]
			from, to := counted*chartHeight/c.Most, (counted+n)*chartHeight/c.Most
			to = max(to, from+1) // one call of many is seen too
			counted += n
			c.Bars = append(c.Bars, chartBar{X: x, Y: chartHeight - to, W: width, H: to - from, Action: action, Calls: n, At: a.Since.Add(time.Duration(i) * a.Step)})
		}
	}
	return c
}

// niceTop is a round number that is not below n.
func niceTop(n int) int {
	for unit := 1; ; unit *= 10 {
		for _, k := range []int{2, 4, 6, 10} {
			if k*unit >= n {
				return k * unit
			}
		}
	}
}

// Box is the picture's coordinates.
func (c *chart) Box() string { return fmt.Sprintf("0 0 %d %d", c.Width, c.Height) }
