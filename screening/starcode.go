package screening

import (
	"cmp"
	"context"
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
	if !sc.inside(f) {
		return bridge.Inquiry{Prompt: say("report-none")}
	}
	last, extension, ok := sc.lastRang(r, f)
	if ok {
		if err := sc.o.Reports.CanReport(last); err != nil {
			sc.o.Log.Info("the last caller of an extension is none who can be reported", "extension", extension, "call", last.ID) // the log is to have no number of theirs
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

// release asks whether the caller shall get through who was last stopped on their way to the number of this phone, else to its line. The number is
// read out, so that nobody lets a stranger through whom another phone of the line was spared.
func (sc *Screener) release(r *inforce.Rules, f *bridge.Facts, say func(string) bridge.Sound) bridge.Inquiry {
	last, line, extension, ok := sc.lastStopped(r, f)
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
// number belongs to no line has none; where there are several tenants an extension is no line's number. One of a customer with one line
// is that line's.
func (sc *Screener) lastStopped(r *inforce.Rules, f *bridge.Facts) (last traffic.LastCall, line, extension string, ok bool) {
	if !sc.inside(f) {
		return last, "", "", false
	}
	p, now, by := r.Policy, sc.o.Now(), sc.phoneOf(f)
	numbers, texts := sc.numbersOf(r, &by)
	for _, key := range []func(line string, n *number.Number) string{
		traffic.OwnKey,
		func(line string, _ *number.Number) string { return traffic.StoppedLineKey(line) },
	} {
		for i := range numbers {
			line, called := p.LineCalled(&numbers[i])
			if !called {
				continue
			}
			if last, ok := sc.memory.Stopped.Get(key(line.Key, &numbers[i]), anyRealm, now); ok {
				return last, line.Key, texts[i], true
			}
		}
	}
	if only, ok := onlyLine(r, customerOf(r, &by)); ok {
		last, ok := sc.memory.Stopped.Get(traffic.StoppedLineKey(only.Key), anyRealm, now)
		return last, only.Key, by.account, ok
	}
	return traffic.LastCall{}, "", "", false
}

func anyRealm(string) bool { return true }

// onlyLine is the line of a customer of the database who has one.
func onlyLine(r *inforce.Rules, customer string) (only policy.Line, ok bool) {
	if customer == "" || r.Lines == nil {
		return only, false
	}
	n := 0
	for line := range r.Lines.Of(customer) {
		if n++; n > 1 {
			return policy.Line{}, false
		}
		only = line
	}
	return only, n == 1
}

// lastRang is the last call that rang at the phone that a star code comes from, and by which of its names.
func (sc *Screener) lastRang(r *inforce.Rules, f *bridge.Facts) (last traffic.LastCall, extension string, ok bool) {
	by := sc.phoneOf(f)
	realm := by.realm
	if realm == traffic.Endpoint {
		realm = "" // as numbers are rung
	}
	for _, name := range by.assigned {
		if last, ok := sc.lastCall(r, name, realm, true); ok {
			return last, name, true
		}
	}
	if last, ok := sc.lastCall(r, by.account, by.realm, false); ok {
		return last, by.account, true
	}
	if sc.several(r) {
		return last, "", false
	}
	for _, name := range by.claimed {
		if last, ok := sc.lastCall(r, name, realm, false); ok {
			return last, name, true
		}
	}
	return last, "", false
}
