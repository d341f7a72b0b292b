package screening

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"ringfence/bridge"
	"ringfence/inforce"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/traffic"
)

// StarCode serves the person who dialled a star code: to report the last caller, or to let the one through who was last stopped. It asks,
// and does it when the key is pressed. Only a phone of the house is asked; from outside nobody may fill the review queue, or a list.
func (sc *Screener) StarCode(f *bridge.Facts) bridge.Inquiry {
	r := sc.force.Rules()
	say := func(name string) bridge.Sound {
		s, err := r.Sounds.Find(name)
		if err != nil {
			sc.o.Log.Warn("the star code cannot answer", "error", err)
		}
		return soundOf(s)
	}
	if f.Intent == bridge.IntentRelease {
		return sc.release(r, f, say)
	}
	for _, extension := range sc.extensionsOf(f) {
		last, ok := sc.LastCallAt(extension, f.AuthRealm)
		if !ok {
			continue
		}
		if err := sc.o.Reports.CanReport(last); err != nil {
			sc.o.Log.Info("the last caller of an extension is none who can be reported", "extension", extension, "call", last.ID) // the log is to have no number of his
			return bridge.Inquiry{Prompt: say("star-refused")}
		}
		return bridge.Inquiry{Prompt: say("report-listed-confirm"), Key: "1", Confirm: func(context.Context) bridge.Sound {
			if err := sc.o.Reports.AddReport(extension, last); err != nil {
				sc.o.Log.Error("a report by the star code could not be taken", "extension", extension, "call", last.ID, "error", err)
				return bridge.Sound{} // the caller hears nothing instead of thanks
			}
			return say("report-done")
		}}
	}
	return bridge.Inquiry{Prompt: say("report-none")}
}

// release asks whether the caller shall get through who was last stopped on his way to the number of this phone, else to its line. The number is
// read out, so that nobody lets a stranger through whom another phone of the line was spared.
func (sc *Screener) release(r *inforce.Rules, f *bridge.Facts, say func(string) bridge.Sound) bridge.Inquiry {
	last, line, extension, ok := sc.lastStopped(r.Policy, f)
	if !ok {
		return bridge.Inquiry{Prompt: say("release-none")}
	}
	if err := sc.o.Reports.CanRelease(line, last); err != nil {
		sc.o.Log.Warn("a caller who was stopped cannot be let through by the star code", "extension", extension, "call", last.ID, "why", err)
		return bridge.Inquiry{Prompt: say("star-refused")}
	}
	prompt := say("release-confirm")
	if !last.Withheld {
		digits, err := r.Sounds.Digits(strings.TrimPrefix(cmp.Or(last.Caller.National(), last.Caller.E164), "+"))
		if err != nil {
			sc.o.Log.Warn("the star code cannot read out who was stopped", "error", err)
		}
		prompt = bridge.Sounds(prompt, say("release-number"))
		for _, d := range digits {
			prompt = bridge.Sounds(prompt, soundOf(d))
		}
	}
	return bridge.Inquiry{Prompt: prompt, Key: "1", Confirm: func(context.Context) bridge.Sound {
		if err := sc.o.Reports.Release(line, extension, last); err != nil {
			sc.o.Log.Error("a caller could not be let through by the star code", "extension", extension, "call", last.ID, "error", err)
			return bridge.Sound{}
		}
		return say("release-done")
	}}
}

// lastStopped is the call that was last stopped on its way to the number of a phone of the house, else to its line, and the line's key. A phone whose
// number belongs to no line has none; where there are several tenants an extension is no line's number.
func (sc *Screener) lastStopped(p *policy.Policy, f *bridge.Facts) (last traffic.LastCall, line, extension string, ok bool) {
	now := sc.o.Now()
	for _, key := range []func(line string, n *number.Number) string{
		traffic.OwnKey,
		func(line string, _ *number.Number) string { return traffic.StoppedLineKey(line) },
	} {
		for _, extension := range sc.extensionsOf(f) {
			n := p.Call(policy.Facts{Callee: strings.TrimSpace(extension)}).Callee
			line, ok := p.LineCalled(&n)
			if !ok || n.E164 == "" && sc.memory.Realms.Several() {
				continue
			}
			if last, ok := sc.memory.Stopped.Get(key(line.Key, &n), func(string) bool { return true }, now); ok {
				return last, line.Key, extension, true
			}
		}
	}
	return traffic.LastCall{}, "", "", false
}

// extensionsOf are the names of a phone of the house, in the order to look for its last call; none of a caller
// from outside.
func (sc *Screener) extensionsOf(f *bridge.Facts) []string {
	trunk := trunkFactsOf(f)
	inside, t := f.Authorized && f.AuthUser != "", sc.force.Rules().Policy.Trunk(trunk)
	if f.Endpoint != "" && t.Known {
		inside = false // Asterisk does not say who has authenticated: the policy knows this one for a trunk
	}
	if !inside && !t.Internal {
		return nil
	}
	sc.memory.Realms.See(f.AuthRealm)
	claimed := []string{f.Number, f.FromUser}
	if f.AuthUser != "" && sc.memory.Realms.Several() {
		claimed = nil // what a phone says of itself could be another tenant's
	}
	var names []string
	for _, name := range append([]string{f.Line, f.AuthUser}, claimed...) {
		if name != "" && len(name) <= traffic.MaxKey && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
