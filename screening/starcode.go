package screening

import (
	"context"
	"slices"

	"ringfence/bridge"
	"ringfence/traffic"
)

// StarCode serves the person who dialled the star code to report the last caller: it asks, and takes the report
// when the key is pressed. Only a phone of the house is asked; from outside nobody may fill the review queue.
func (sc *Screener) StarCode(f *bridge.Facts) bridge.Inquiry {
	r := sc.force.Rules()
	say := func(name string) bridge.Sound {
		s, err := r.Sounds.Find(name)
		if err != nil {
			sc.o.Log.Warn("the star code cannot answer", "error", err)
		}
		return soundOf(s)
	}
	for _, extension := range sc.extensionsOf(f) {
		last, ok := sc.LastCallAt(extension, f.AuthRealm)
		if !ok {
			continue
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
