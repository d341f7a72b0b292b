package desk

import (
	"fmt"
	"slices"
	"strings"

	"ringfence/console"
	"ringfence/detect"
	"ringfence/inforce"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
	"ringfence/tomlfile"
)

// keyOf reads a key of a detector in any spelling.
func (d *Desk) keyOf(r *inforce.Rules, det *policy.Detector, text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", console.Bad("the key is missing: write whose breaker, as `ringfence detectors` shows it")
	}
	if strings.HasPrefix(text, storage.PrivateMark) {
		return d.keyOfToken(r, det, text)
	}
	p := r.Policy
	switch det.Key {
	case policy.ByCaller:
		n := p.Plan().Parse(text)
		if n.E164 == "" {
			return "", console.Bad(fmt.Sprintf("%q is no number (%s): %s counts by caller", number.InertUpTo(text, 60), n.Kind, det.Name))
		}
		return n.E164, nil
	case policy.ByPrefix:
		return prefixKey(p.Plan(), det, text)
	case policy.ByHolder:
		return oneOf(text, p.Holders(), "nobody holds a range under the name", "[ranges] of the policy")
	case policy.ByCallee:
		call := p.Call(policy.Facts{Callee: text})
		return detect.SubjectOf(p, &call, nil).Callee, nil
	case policy.ByAll:
		return oneOf(text, []string{"all"}, "there is no key", "the detector")
	}
	return text, nil // the trunk's name: one that ringfence_trunk says need not be in the policy
}

// keyOfToken finds the key that a token of a private installation stands for, among those that count something.
func (d *Desk) keyOfToken(r *inforce.Rules, det *policy.Detector, token string) (key string, err error) {
	if d.o.Private != nil {
		r.Detectors.Breakers(det.Name, true, d.o.Now(), func(b detect.Breaker) bool {
			n := r.Policy.Plan().Parse(b.Key)
			if d.o.Private.IsOf(token, n.E164) || d.o.Private.IsOf(token, b.Key) {
				key = b.Key
			}
			return key == ""
		})
	}
	if key == "" {
		return "", console.NotFound(fmt.Sprintf("%s has counted nothing of %s: write the number itself", det.Name, token))
	}
	return key, nil
}

// oneOf is the one of some names that a text means, whatever its capitals.
func oneOf(text string, names []string, none, where string) (string, error) {
	for _, name := range names {
		if strings.EqualFold(name, text) {
			return name, nil
		}
	}
	if len(names) == 0 {
		return "", console.NotFound(fmt.Sprintf("%s %q: %s is empty", none, number.InertUpTo(text, 60), where))
	}
	return "", console.NotFound(fmt.Sprintf("%s %q in %s: %s", none, number.InertUpTo(text, 60), where, tomlfile.DidYouMean(text, names)))
}

// prefixKey reads a prefix: its digits as written inside the country, or + with the code of a country before them.
func prefixKey(plan *number.Plan, det *policy.Detector, text string) (string, error) {
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -./()*?", r) {
			return -1
		}
		return r
	}, text)
	if rest, ok := strings.CutPrefix(digits, "00"); ok && plan.Code() != "1" {
		digits = "+" + rest
	}
	bare := strings.TrimPrefix(digits, "+")
	if bare == "" || strings.Trim(bare, "0123456789") != "" {
		return "", console.Bad(fmt.Sprintf("%q is no prefix: write digits, as in 952116, or +1305 for another country", number.InertUpTo(text, 60)))
	}
	home, ours := strings.CutPrefix(digits, "+"+plan.Code())
	if ours {
		digits = asWrittenHome(plan, home)
	}
	var levels []string
	sizes := make([]int, 0, len(det.Levels))
	for _, l := range det.Levels {
		levels, sizes = append(levels, fmt.Sprint(l.Digits)), append(sizes, l.Digits)
	}
	if len(levels) > 0 && !strings.HasPrefix(digits, "+") && !slices.Contains(sizes, len(digits)) {
		return "", console.Bad(fmt.Sprintf("%s has %d digits: %s counts prefixes of %s digits", digits, len(digits), det.Name, strings.Join(levels, ", ")))
	}
	return digits, nil
}

// asWrittenHome is a prefix that stood behind the country's code as it is written inside the country: with the 0 before area codes where there
// is one.
func asWrittenHome(plan *number.Plan, rest string) string {
	for pad := 0; len(rest)+pad <= 12; pad++ { // numbers that begin so tell
		n := plan.Parse("+" + plan.Code() + rest + strings.Repeat("2", pad))
		if n.E164 == "" || n.Kinds.Has(number.Unassigned) {
			continue
		}
		if strings.HasPrefix(n.National(), rest) {
			return rest
		}
		behind := strings.TrimPrefix(n.E164, "+"+plan.Code())
		if trunk, ok := strings.CutSuffix(n.National(), behind); ok {
			return trunk + rest
		}
	}
	return rest
}
