package number

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// PlanOptions says how numbers are read.
type PlanOptions struct {
	Country  string     // ISO 3166-1 alpha-2: how national numbers are read
	Internal []string   // patterns of internal numbers, as dialled: "8???", "1000-1099"
	Area     string     // the area code of numbers that come without one, as dialled: "0592". "" leaves them Unknown
	Assigned []Assigned // what the plan does not know yet
}

// Assigned are numbers that are in use although the plan does not know them.
type Assigned struct {
	Kind    Kind   // one of AssignedKinds
	Pattern string // "060????????"
}

// AssignedKinds are the kinds that numbers may be assigned to. The caller owns the slice.
func AssignedKinds() []Kind {
	return []Kind{Mobile, Fixed, TollFree, Premium, SharedCost, VoIP, Service}
}

// assigned is an Assigned that was read.
type assigned struct {
	kind    Kind
	pattern Pattern
}

// Option is a part of PlanOptions.
type Option uint8

// The options that can be faulty.
const (
	OptionCountry Option = iota
	OptionInternal
	OptionArea
	OptionAssigned
)

// PlanError is a fault in PlanOptions. NewPlan joins one for every fault there is.
type PlanError struct {
	Option Option
	At     int    // the place in PlanOptions.Internal or Assigned
	Advice string // what is wrong and what to write instead
}

func (e *PlanError) Error() string { return e.Advice }

// NewPlan makes the plan of a country. The error joins a *PlanError for each fault.
func NewPlan(o PlanOptions) (*Plan, error) {
	p := &Plan{country: strings.ToUpper(strings.TrimSpace(o.Country))}
	p.emergencies = sync.OnceValue(p.findEmergencies)
	var faults []error
	if err := p.load(); err != nil {
		faults = append(faults, err)
	}
	for i, text := range o.Internal {
		pattern, err := p.internalPattern(text)
		if err != nil {
			faults = append(faults, &PlanError{Option: OptionInternal, At: i, Advice: err.Error()})
			continue
		}
		p.internal = append(p.internal, pattern)
	}
	if p.code != "" { // the rest is read by the country's plan
		faults = append(faults, p.addArea(o.Area)...)
		faults = append(faults, p.addAssigned(o.Assigned)...)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return p, nil
}

// load fills in what is known of the country.
func (p *Plan) load() error {
	meta, err := territory(p.country)
	if err != nil {
		return fmt.Errorf("the numbering plans cannot be read: %w", err)
	}
	if meta == nil || len(p.country) != 2 { // the metadata have numbers of no country as well
		return &PlanError{Advice: fmt.Sprintf("%q is no country with telephone numbers: write its two letters of ISO 3166-1, %s", p.country, likelyCountry(p.country))}
	}
	if p.short, err = shortCodes(p.country); err != nil {
		return fmt.Errorf("the numbering plans cannot be read: %w", err)
	}
	p.code = strconv.Itoa(int(meta.GetCountryCode()))
	p.trunk = meta.GetNationalPrefix()
	p.general = meta.GetGeneralDesc()
	p.china = p.country == "CN"
	if example := phonenumbers.GetExampleNumber(p.country); example != nil && p.trunk != "" {
		p.written = strings.HasPrefix(onlyDigits(phonenumbers.Format(example, phonenumbers.NATIONAL)), p.trunk)
	}
	if prefix := meta.GetInternationalPrefix(); prefix != "" && prefix != "00" && !p.china {
		if p.idd, err = regexp.Compile("^(?:" + prefix + ")"); err != nil {
			return fmt.Errorf("the numbering plans cannot be read: %w", err)
		}
	}
	// Of countries that share a code the greatest knows how long local numbers are.
	if main, err := territory(phonenumbers.GetRegionCodeForCountryCode(int(meta.GetCountryCode()))); err == nil && main != nil {
		p.local = main.GetGeneralDesc().GetPossibleLengthLocalOnly()
	}
	plausible() // no call waits for it
	return nil
}

// likelyCountry guesses what was meant by a text that is no country's letters.
func likelyCountry(text string) string {
	if text == "UK" {
		return "GB"
	}
	if code, err := strconv.Atoi(strings.TrimPrefix(text, "+")); err == nil {
		if region := phonenumbers.GetRegionCodeForCountryCode(code); len(region) == 2 && region != "ZZ" {
			return region
		}
	}
	return "such as CN, US or GB"
}

// addArea takes the area code of local numbers, with the trunk prefix or without it.
func (p *Plan) addArea(text string) []error {
	if text == "" {
		return nil
	}
	fault := func(format string, args ...any) []error {
		return []error{&PlanError{Option: OptionArea, Advice: fmt.Sprintf(format, args...)}}
	}
	w := scanNumber(text, false)
	if w.fault != noFault || w.plus {
		return fault("%q is no area code: write its digits as they are dialled, such as %s", text, p.areaExample())
	}
	area := w.digits
	if rest, ok := strings.CutPrefix(area, p.trunk); ok && p.trunk != "" && rest != "" {
		area = rest
	}
	known := p.china && chinaArea(area) == len(area)
	if !p.china {
		meta, err := territory(p.country)
		if err != nil {
			return []error{fmt.Errorf("the numbering plans cannot be read: %w", err)}
		}
		lengths := newDigitForms(meta.GetFixedLine().GetNationalNumberPattern()).lengths(area)
		known = lengths>>(len(area)+3) != 0 // something is behind it
	}
	if !known {
		return fault("%q is no area code of %s: write it as it is dialled, such as %s", text, p.country, p.areaExample())
	}
	p.area = area
	return nil
}

// areaExample is some area code of the country, for advice.
func (p *Plan) areaExample() string {
	if p.china {
		return "0592"
	}
	example := phonenumbers.GetExampleNumber(p.country)
	if example == nil {
		return "030"
	}
	area := phonenumbers.GetNationalSignificantNumber(example)
	if n := phonenumbers.GetLengthOfGeographicalAreaCode(example); n > 0 && n < len(area) {
		area = area[:n]
	} else {
		area = area[:2]
	}
	if p.written {
		area = p.trunk + area
	}
	return area
}

// addAssigned takes what the plan does not know yet.
func (p *Plan) addAssigned(all []Assigned) (faults []error) {
	kinds := kindsOf(AssignedKinds()...)
	for i, a := range all {
		fault := &PlanError{Option: OptionAssigned, At: i}
		if !kinds.Has(a.Kind) {
			fault.Advice = fmt.Sprintf("numbers cannot be assigned as %s: write one of %s", a.Kind, strings.Join(kinds.Strings(), ", "))
			faults = append(faults, fault)
			continue
		}
		pattern, err := p.Pattern(a.Pattern)
		if err != nil {
			fault.Advice = err.Error()
			faults = append(faults, fault)
			continue
		}
		p.assigned = append(p.assigned, assigned{a.Kind, pattern})
	}
	return faults
}

// assignedKind is the kind of a number that the plan does not know, Unknown if none was given.
func (p *Plan) assignedKind(n *Number) Kind {
	for i := range p.assigned {
		if p.assigned[i].pattern.Matches(n) {
			return p.assigned[i].kind
		}
	}
	return Unknown
}
