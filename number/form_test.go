package number

import (
	"slices"
	"testing"
)

func TestForm(t *testing.T) {
	for _, c := range []struct {
		country, text string
		want          Form
	}{
		{"CN", "+86 592 555 0100", FormPlus},
		{"CN", "sip:+8695588@203.0.113.5;user=phone", FormPlus},
		{"CN", "sip:%2B8695588@203.0.113.5", FormPlus},
		{"CN", "tel:5550100;phone-context=+86592", FormPlus},
		{"CN", "+12125550100", FormPlus},
		{"CN", "+999123", FormPlus}, // whatever it is
		{"CN", "0012125550100", FormInternational},
		{"CN", "008695588", FormInternational},
		{"CN", "+008695588", FormInternational}, // a gateway's + before what is dialled
		{"CN", "8695588", FormInternational},
		{"CN", "8613800138000", FormInternational},
		{"CN", "086 13800138000", FormInternational},
		{"CN", "05925550100", FormNational},
		{"CN", "5925550100", FormNational},
		{"CN", "+05925550100", FormNational},
		{"CN", "13800138000", FormNational},
		{"CN", "95588", FormNational},
		{"CN", "110", FormNational},
		{"CN", "1234567", FormNational},
		{"CN", "5550100", FormLocal},
		{"CN", "8001", FormNone},
		{"CN", "", FormNone},
		{"CN", "anonymous", FormNone},
		{"CN", "alice", FormNone},
		{"SG", "+6561234567", FormPlus},
		{"SG", "6561234567", FormInternational},
		{"SG", "001 65 6123 4567", FormInternational},
		{"SG", "61234567", FormNational},
		{"US", "+13055550100", FormPlus},
		{"US", "13055550100", FormNational}, // 1 is dialled inside the country as well
		{"US", "3055550100", FormNational},
		{"US", "01113055550100", FormInternational},
		{"US", "011442079460018", FormInternational},
		{"US", "5550100", FormLocal},
		{"RU", "84951234567", FormNational},
		{"RU", "74951234567", FormInternational},
		{"DE", "4930123456", FormInternational},
		{"DE", "030123456", FormNational},
		{"GB", "44999", FormInternational},
		{"GB", "999", FormNational},
	} {
		n := testPlan(t, c.country).Parse(c.text)
		if n.Form != c.want {
			t.Errorf("%s %q is written %q, want %q", c.country, c.text, n.Form, c.want)
		}
	}
}

func TestFormNames(t *testing.T) {
	want := []string{"plus", "international", "national", "local"}
	if got := FormNames(); !slices.Equal(got, want) {
		t.Errorf("forms are %v, want %v", got, want)
	}
	for i, name := range want {
		if f, ok := ParseForm(name); !ok || f != Form(i+1) || f.String() != name {
			t.Errorf("%s is read as %v, %v", name, f, ok)
		}
	}
	for _, name := range []string{"", "Plus", "e164"} {
		if _, ok := ParseForm(name); ok {
			t.Errorf("%q is a form", name)
		}
	}
	if FormNone.String() != "" || Form(99).String() != "" {
		t.Error("what is no form has a name")
	}
}
