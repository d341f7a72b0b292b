package policy_test

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"ringfence/number"
	"ringfence/policy"
)

const checkedLines = `
country = "CN"
[numbers]
internal = ["8???"]
[lines.office]
numbers = ["05925550000-05925550099", "8001"]
[lines.shop]
numbers = ["+8613800138000"]
[[rule]]
name = "strict"
when = { line = ["profile:strict"] }
action = "reject"
`

// someLines are lines of the database as CheckKept asks for them.
type someLines map[string][]number.Pattern

func (l someLines) Meet(q number.Pattern, yield func(policy.Line) bool) {
	for name, numbers := range l {
		for _, p := range numbers {
			if p.Overlaps(q) && !yield(policy.Line{Name: name, Key: name + "~1"}) {
				return
			}
		}
	}
}

func (l someLines) LineNamed(name string) (policy.Line, bool) {
	_, ok := l[name]
	return policy.Line{Name: name}, ok
}

func (l someLines) Profiles() iter.Seq2[string, int] {
	return maps.All(map[string]int{"": 1, "strict": 2, "strickt": 3})
}

func TestCheckKept(t *testing.T) {
	p, faults := policy.Load("p.toml", []byte(checkedLines))
	if p == nil {
		t.Fatal(faults)
	}
	kept := someLines{}
	for i := range 25 {
		kept[string(rune('a'+i))] = []number.Pattern{{Lo: 5925550000 + uint64(i), Hi: 5925550000 + uint64(i), Size: 11}}
	}
	var texts []string
	for _, f := range p.CheckKept(kept) {
		if texts = append(texts, f.String()); !f.Warning {
			t.Errorf("%+v", f)
		}
	}
	all := strings.Join(texts, "\n")
	if n := strings.Count(all, "has a number that is also on the line"); n != 20 || !strings.Contains(all, "5 more lines of the database") ||
		!strings.Contains(all, "p.toml:5: lines.office.numbers: ") || strings.Count(all, "no rule names profile:strickt, which lines of the database have (3)") != 1 || len(texts) != 22 {
		t.Errorf("%d named:\n%s", n, all)
	}
}

// What stands between a name and the rest of a key is in no name of the policy: two lines would be one to people, and to who is let through.
func TestLineNameWithoutMark(t *testing.T) {
	p, faults := policy.Load("p.toml", []byte(strings.Replace(checkedLines, "[lines.shop]", "[lines.\"office~shop\"]", 1)))
	if p != nil {
		t.Fatalf("the line office~shop is taken, and is %s to people", policy.LineName("office~shop"))
	}
	if !slices.ContainsFunc(faults, func(f policy.Fault) bool { return !f.Warning && strings.Contains(f.Text, `"office~shop" has ~`) }) {
		t.Error(faults)
	}
}
