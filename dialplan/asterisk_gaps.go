package dialplan

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Calls gives the steps that call the subroutine, each with its context.
func (d *Plan) Calls() (steps []DialStep, contexts []string) {
	for _, c := range d.Contexts {
		if slices.Contains(ownContexts, c.Name) {
			continue
		}
		for _, e := range c.Extensions {
			for _, s := range e.Steps {
				if target(s) == "" && !strings.Contains(s.Data, "ringfence,") {
					continue
				}
				steps = append(steps, s)
				if !slices.Contains(contexts, c.Name) {
					contexts = append(contexts, c.Name)
				}
			}
		}
	}
	return steps, contexts
}

var gosubTarget = regexp.MustCompile(`^(?:.*\?)?ringfence,([a-z]+),1(?:\(|:|$)`)

// target is the extension of the subroutine that a step calls, "" for none.
func target(s DialStep) string {
	if !strings.EqualFold(s.App, "Gosub") && !strings.EqualFold(s.App, "GosubIf") {
		return ""
	}
	if m := gosubTarget.FindStringSubmatch(s.Data); m != nil {
		return m[1]
	}
	return ""
}

// Gap is where a call gets past the subroutine.
type Gap struct {
	Context, Extension string
	Step               DialStep // what takes it
	Unknown            bool     // where it goes from here cannot be read
	More               bool     // steps follow
}

// harmless are applications after which a call is still to be screened: no phone rings by them.
var harmless = []string{
	"noop", "set", "mset", "verbose", "log", "answer", "ringing", "progress", "proceeding", "wait", "execif", "gotoif",
	"celgenuserevent", "userevent", "stackpop", "sipaddheader", "hangup", "congestion", "busy", "playback", "playtones", "ss", "macroexit", "return",
}

// hangup is the one extension that a call comes to only after another one had it. The others that Asterisk goes to by itself
// (i, t, T, e, o, a, fax) a caller can dial like any name.
const hangup = "h"

// Gaps gives where calls to a context get past the subroutine, as far as can be read: conditions are taken for true
// nowhere. A context that is not there has none.
func (d *Plan) Gaps(context string) []Gap {
	w := &walk{plan: d, seen: map[string]bool{}}
	w.context(context)
	return w.gaps
}

// walk follows calls through a dialplan.
type walk struct {
	plan *Plan
	seen map[string]bool
	gaps []Gap
}

func (w *walk) context(name string) {
	c := w.plan.Context(name)
	if c == nil || w.seen[name] {
		return
	}
	w.seen[name] = true
	for _, e := range c.Extensions {
		if e.Name != hangup {
			w.extension(c, e, 0)
		}
	}
	for _, s := range c.Switches {
		w.gaps = append(w.gaps, Gap{Context: c.Name, Extension: "switch => " + s, Unknown: true})
	}
	for _, i := range c.Includes {
		w.context(i)
	}
}

// extension follows the steps of an extension from a priority on.
func (w *walk) extension(c *DialContext, e *DialExtension, from int) {
	key := fmt.Sprintf("%s\x00%s\x00%d", c.Name, e.Name, from)
	if w.seen[key] {
		return
	}
	w.seen[key] = true
	for _, s := range e.Steps {
		if s.Priority < from {
			continue
		}
		app := strings.ToLower(s.App)
		switch {
		case target(s) == "s":
			return
		case app == "goto":
			w.follow(c, e, s)
			return
		case app == "hangup" || app == "congestion" || app == "busy" || app == "return":
			return
		case slices.Contains(harmless, app):
		default:
			w.gap(c, e, s, false)
			return
		}
	}
}

func (w *walk) gap(c *DialContext, e *DialExtension, s DialStep, unknown bool) {
	more := s.Priority < e.Steps[len(e.Steps)-1].Priority
	w.gaps = append(w.gaps, Gap{c.Name, e.Name, s, unknown, more})
}

// follow goes where a Goto goes.
func (w *walk) follow(c *DialContext, e *DialExtension, s DialStep) {
	to := strings.Split(s.Data, ",")
	for i := range to {
		to[i] = strings.TrimSpace(to[i])
	}
	unknown := func() { w.gap(c, e, s, true) }
	if len(to) == 1 { // a label or priority of this extension
		for _, o := range e.Steps {
			if o.Label == to[0] || strconv.Itoa(o.Priority) == to[0] {
				w.extension(c, e, o.Priority)
				return
			}
		}
		unknown()
		return
	}
	if len(to) > 2 {
		if strings.Contains(to[0], "${") {
			unknown()
			return
		}
		if c = w.plan.Context(to[0]); c == nil {
			return // the call ends there
		}
		to = to[1:]
	}
	if strings.Contains(to[0], "${") {
		w.context(c.Name)
		return
	}
	if o := w.plan.find(c, to[0], map[string]bool{}); o != nil {
		w.extension(c, o, 0)
	}
}

// find is the extension written so, in a context or those that it includes.
func (d *Plan) find(c *DialContext, name string, seen map[string]bool) *DialExtension {
	if c == nil || seen[c.Name] {
		return nil
	}
	seen[c.Name] = true
	if e := c.Extension(name); e != nil {
		return e
	}
	for _, i := range c.Includes {
		if e := d.find(d.Context(i), name, seen); e != nil {
			return e
		}
	}
	return nil
}
