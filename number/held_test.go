package number

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// heldBy are texts that are no number, by country, and the number that anyone reads in them.
var heldBy = []struct{ country, number, texts string }{
	{"CN", "+8695211613", "95211613# 95211613* 95211613a 95211613,1 95211613= 95211613&1 95211613! 95211613' 95211613$ 95211613x00000001 95211613%D9%A0 95211613\u0660 " +
		"0095211613;x=12345 0095211613@12345 tel:0095211613;phone-context=12345 0095211613 1795195211613 12593095211613 125930108695211613 17951017951095211613 +8617951095211613 868695211613 ++8695211613 +868695211613 +86+8695211613 0592095211613 ⑨⑤②①①⑥①③ ９5211613④ ❾❺❷❶❶❻❶❸ ⁹⁵²¹¹⁶¹³ ₉₅₂₁₁₆₁₃ 九五二一一六一三 " +
		"9521161%33 %39%35211613 9521%2D1613# +86%209521%201613 ㊈㊄㊁㊀㊀㊅㊀㊂ ㈨㈤㈡㈠㈠㈥㈠㈢ 〩〥〢〡〡〦〡〣 玖伍贰壹壹陆壹叁 九五二幺幺六幺三 95588#95599#95555#95533#95511#95211613 " +
		"#95211613 *95211613 a95211613 '95211613' 9521a1613 9521,1613 95211613\u20e3 tel95211613 95211613@1@x"},
	{"CN", "+8613800138000", "13800138000# 8613800138000a 0000000000000?13800138000 0592013800138000 ;;13800138000 13800138000< 0013800138000#"},
	{"CN", "+12025550143", "+12025550143# +1-202-555-0143a a+12025550143 ++12025550143 +1202%35550143 +1202x5550143 9+12025550143 95588+12025550143 0012025550143#"},
	{"CN", "+442079460958", "+442079460958# ＋442079460958a tel+442079460958 95588#+442079460958"},
	{"CN", "+865925550100", "05925550100# 86865925550100 000865925550100"},
	{"US", "+12025550143", "2025550143# 112025550143 12025550143a +1+12025550143 202-555-0143,1"},
	{"GB", "+442079460958", "02079460958# 44442079460958 4402079460958x 016102079460958"},
	{"DE", "+4930123456", "030123456# 0004930123456a 4949030123456#"},
	{"IN", "+919876543210", "9876543210# 91919876543210"},
	{"BR", "+5511961234567", "11961234567# 55555511961234567"},
}

func TestHeld(t *testing.T) {
	for _, c := range heldBy {
		p, err := NewPlan(PlanOptions{Country: c.country, Internal: []string{"8???"}})
		if err != nil {
			t.Fatal(err)
		}
		if plain := p.Parse(c.number); plain.E164 != c.number || plain.Held() != nil {
			t.Fatalf("%s is %+v", c.number, plain)
		}
		for _, text := range strings.Fields(c.texts) {
			n := p.Parse(text)
			if n.E164 == c.number {
				continue // it is plainly that number
			}
			if !hasNumber(n.Held(), c.number) || n.E164 != "" && !n.Kinds.Has(Unassigned) {
				t.Errorf("%s: %q is %s (%s) and holds %+v", c.country, text, n.Kind, n.Reason, n.Held())
			}
		}
	}
	p, _ := NewPlan(PlanOptions{Country: "CN", Internal: []string{"8???"}})
	long := p.Parse("95211613" + strings.Repeat("a", 2*MaxRaw))
	if !hasNumber(long.Held(), "+8695211613") {
		t.Errorf("a long text holds %+v", long.Held())
	}
	for _, text := range []string{"110#", "0110a", "#12110", "1234#", "abc", "", "anonymous", "13800138000"} {
		if n := p.Parse(text); len(n.Held()) > 0 {
			t.Errorf("%q holds %+v", text, n.Held())
		}
	}
	for _, text := range []string{"8001", "8001#", "+8001", "tel 80-01", "８００１x", "8001;x=1", "8001@10.1.1.1", "sip:8001@10.11.12.13"} {
		n := p.Parse(text)
		if held := n.Held(); len(held) == 0 || held[0].Kind != Internal || held[0].National() != "8001" {
			t.Errorf("%q holds %+v, want the internal number 8001", text, held)
		}
	}
}

// FuzzHeld: what a text holds is bounded, is a number, and never one of the police's.
func FuzzHeld(f *testing.F) {
	for _, c := range heldBy {
		for _, text := range strings.Fields(c.texts) {
			f.Add(text)
		}
	}
	p, err := NewPlan(PlanOptions{Country: "CN", Internal: []string{"8???"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n := p.Parse(text)
		held := n.Held()
		if len(held) > maxHeld || len(held) > 0 && n.Kinds&kindsOf(Invalid, Unassigned) == 0 {
			t.Fatalf("%q is %+v and holds %d", text, n, len(held))
		}
		for i := range held {
			if held[i].Kind == Internal && len(held) == 1 {
				continue
			}
			if h := &held[i]; h.E164 == "" || h.Kinds.Has(Emergency) || len(h.Raw) < leastHeld || !utf8.ValidString(h.Raw) {
				t.Fatalf("%q holds %+v", text, h)
			}
		}
	})
}

// A 95 number is not the hotline or the carrier that its end could be behind an area code.
func TestWhole95(t *testing.T) {
	p, err := NewPlan(PlanOptions{Country: "CN"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"095212345": "+8695212345", "+86095212345": "+8695212345", "0086095212345": "+8695212345", "86095212345": "+8695212345",
		"095210086": "+8695210086", "095112345": "+8695112345", "09521234567": "+869521234567", "059212345": "+8612345", "01095588": "+8695588",
		"0952110": "+86952110", "0592110": "+86110", "010110": "+86110", "01095211613": "+8695211613", "095295211613": "+8695211613",
	} {
		if n := p.Parse(text); n.E164 != want {
			t.Errorf("%s is %s %s, want %s", text, n.E164, n.Kind, want)
		}
		if q, err := p.Pattern(text); want != "+86952110" && (err != nil || q.String() != want) {
			t.Errorf("as a pattern %s is %v (%v)", text, q, err)
		}
	}
	if n := p.ParseInternal("0952110"); n.Kind != Emergency {
		t.Errorf("who dials 0952110 dials %+v", n)
	}
}
