package policy

import (
	"errors"
	"sort"

	"ringfence/number"
	"ringfence/tomlfile"
)

// planWords are what a policy says of how numbers are read, with its lines.
type planWords struct {
	country  string
	internal []word
	area     []word // one at most
	assigned []assignedWord
}

// assignedWord is a pattern of numbers that the plan does not know yet.
type assignedWord struct {
	word
	kind number.Kind
}

// readPlan makes the numbering plan, without what is wrong of [numbers], so that the patterns of the rules can be checked all
// the same. It is nil if there is no such country. numbers may be nil.
func readPlan(top *section, country string, numbers *section) *number.Plan {
	w := planWords{country: country}
	if numbers != nil {
		w.internal = numbers.texts("internal", "8???")
		if area, ok := numbers.text("area", "0592"); ok {
			w.area = []word{{area, numbers.line("area")}}
			if area == "" {
				numbers.fault("area", "is empty: write the area code as it is dialled, as in area = %q, or take the key out", "0592")
			}
		}
		w.assigned = readAssigned(numbers)
	}
	for {
		plan, faults := w.plan()
		if plan != nil {
			return plan
		}
		noCountry := false
		for _, f := range faults {
			switch f.Option {
			case number.OptionInternal:
				at := w.internal[f.At]
				top.fs.add(at.line, numbers.key("internal"), "%q: %s", at.text, f.Advice)
			case number.OptionArea:
				top.fs.add(w.area[0].line, numbers.key("area"), "%s", f.Advice)
			case number.OptionAssigned:
				at := w.assigned[f.At]
				top.fs.add(at.line, numbers.key("assigned")+"."+at.kind.String(), "%q: %s", at.text, f.Advice)
			default:
				top.fault("country", "%s", f.Advice)
				noCountry = true
			}
		}
		if noCountry {
			return nil
		}
		w.without(faults)
	}
}

// plan makes the plan, or says what is wrong.
func (w *planWords) plan() (*number.Plan, []*number.PlanError) {
	o := number.PlanOptions{Country: w.country}
	for _, in := range w.internal {
		o.Internal = append(o.Internal, in.text)
	}
	if len(w.area) > 0 {
		o.Area = w.area[0].text
	}
	for _, a := range w.assigned {
		o.Assigned = append(o.Assigned, number.Assigned{Kind: a.kind, Pattern: a.text})
	}
	plan, err := number.NewPlan(o)
	if err == nil {
		return plan, nil
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	faults := make([]*number.PlanError, len(all))
	for i, err := range all {
		if !errors.As(err, &faults[i]) {
			faults[i] = &number.PlanError{Advice: "this country cannot be used: write another in the two letters of ISO 3166-1, as in \"CN\""}
		}
	}
	return nil, faults
}

// without takes out what is wrong.
func (w *planWords) without(faults []*number.PlanError) {
	internal, assigned := w.internal, w.assigned
	w.internal, w.assigned = nil, nil
	wrong := func(option number.Option, at int) bool {
		for _, f := range faults {
			if f.Option == option && f.At == at {
				return true
			}
		}
		return false
	}
	for i := range internal {
		if !wrong(number.OptionInternal, i) {
			w.internal = append(w.internal, internal[i])
		}
	}
	for i := range assigned {
		if !wrong(number.OptionAssigned, i) {
			w.assigned = append(w.assigned, assigned[i])
		}
	}
	if wrong(number.OptionArea, 0) {
		w.area = nil
	}
}

// readAssigned reads the patterns under assigned, by kind, in the order of the file.
func readAssigned(numbers *section) (all []assignedWord) {
	const example = `assigned = { mobile = ["060????????"] }`
	s := numbers.table("assigned", example)
	if s == nil {
		return nil
	}
	kinds := number.AssignedKinds()
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.String()
	}
	for _, name := range s.inOrder() {
		if !contains(names, name) {
			s.fault(name, "is no kind that numbers are assigned to: %s", tomlfile.DidYouMean(name, names))
			continue
		}
		kind, _ := number.ParseKind(name)
		for _, w := range s.texts(name, "060????????") {
			all = append(all, assignedWord{w, kind})
		}
	}
	return all
}

// inOrder are the keys of a table in the order of the file.
func (s *section) inOrder() []string {
	keys := make([]string, 0, len(s.values))
	for key := range s.values {
		keys = append(keys, key)
	}
	sort.Slice(keys, func(i, j int) bool {
		if a, b := s.line(keys[i]), s.line(keys[j]); a != b {
			return a < b
		}
		return keys[i] < keys[j]
	})
	return keys
}
