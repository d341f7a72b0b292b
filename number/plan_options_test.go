package number

import (
	"errors"
	"testing"
)

func TestArea(t *testing.T) {
	for _, c := range []struct{ country, area, text, e164, national string }{
		{"CN", "0592", "5550100", "+865925550100", "05925550100"},
		{"CN", "592", "555-0100", "+865925550100", "05925550100"},
		{"CN", "010", "55501000", "+861055501000", "01055501000"},
		{"CN", "0592", "95588", "+8695588", "95588"},
		{"CN", "0592", "110", "+86110", "110"},
		{"CN", "0592", "4008001234", "+864008001234", "4008001234"},
		{"CN", "0592", "55501000", "", "55501000"}, // Xiamen has seven digits
		{"CN", "0592", "02155501000", "+862155501000", "02155501000"},
		{"US", "212", "5550100", "+12125550100", "2125550100"},
		{"US", "212", "555-0100", "+12125550100", "2125550100"},
		{"US", "1212", "5550100", "+12125550100", "2125550100"},
		{"DE", "030", "255571", "+4930255571", "030255571"},
		{"DE", "030", "7330031", "+49307330031", "0307330031"},
		{"DE", "030", "115", "+49115", "115"},
		{"DE", "030", "11800", "+4911800", "11800"}, // short numbers are of the country
		{"AT", "01", "20660", "+4320660", "20660"},
		{"SE", "08", "116000", "+46116000", "116000"},
		{"DE", "030", "0179 7330031", "+491797330031", "01797330031"},
		{"DE", "030", "4930255571", "+4930255571", "030255571"},
		{"GB", "020", "7946 0018", "+442079460018", "02079460018"},
		{"RU", "8495", "123-45-67", "+74951234567", "84951234567"},
		{"AU", "02", "5550 1234", "+61255501234", "0255501234"},
		{"AU", "02", "131450", "+61131450", "131450"}, // of the whole country, and written so
		{"KR", "02", "15447000", "+8215447000", "15447000"},
		{"IN", "011", "23456789", "+911123456789", "01123456789"},
		{"BR", "11", "23456789", "+551123456789", "1123456789"},
	} {
		p, err := NewPlan(PlanOptions{Country: c.country, Area: c.area, Internal: []string{"8???"}})
		if err != nil {
			t.Errorf("%s with area %s: %v", c.country, c.area, err)
			continue
		}
		n := p.Parse(c.text)
		if n.E164 != c.e164 || n.national != c.national {
			t.Errorf("%s with area %s: %q is %q, inside %q (%v %s), want %q and %q", c.country, c.area, c.text, n.E164, n.national,
				n.Kinds.Strings(), n.Reason, c.e164, c.national)
		}
		if n.E164 == "" {
			continue
		}
		checkNumber(t, p, &n)
		if q, err := p.Entry(c.text); err != nil || q.String() != c.e164 {
			t.Errorf("%s with area %s: the entry %q is %q (%v)", c.country, c.area, c.text, q, err)
		}
	}
	for _, country := range []string{"CN", "US", "FR", "RU"} { // without one it cannot be told
		if n := testPlan(t, country).Parse("5550100"); n.Kind != Unknown || n.E164 != "" || n.Form != FormLocal {
			t.Errorf("%s: a local number without area is %+v", country, n)
		}
	}
}

func TestAssigned(t *testing.T) {
	for _, c := range []struct {
		country, pattern string
		kind             Kind
		texts            []string
		e164, national   string
	}{
		{"JP", "060????????", Mobile, []string{"06012345678", "+816012345678", "816012345678", "6012345678", "060-1234-5678", "0081 60 1234 5678"}, "+816012345678", "06012345678"},
		{"JP", "+8160*", Mobile, []string{"06012345678", "+816012345678"}, "+816012345678", "06012345678"},
		{"US", "555*", VoIP, []string{"5551234567", "15551234567", "+15551234567"}, "+15551234567", "5551234567"},
		{"CN", "0300*", Fixed, []string{"03001234567", "+863001234567", "863001234567", "3001234567"}, "+863001234567", "03001234567"},
		{"CN", "14???", Service, []string{"14123", "+8614123", "8614123"}, "+8614123", "14123"},
		{"DE", "0170*", Premium, []string{"0170 1234567"}, "+491701234567", "01701234567"}, // the plan knows that one
		{"CN", "+15*", Mobile, []string{"+15551234567"}, "+15551234567", ""},
	} {
		p, err := NewPlan(PlanOptions{Country: c.country, Assigned: []Assigned{{c.kind, c.pattern}}})
		if err != nil {
			t.Errorf("%s %s: %v", c.country, c.pattern, err)
			continue
		}
		for _, text := range c.texts {
			n := p.Parse(text)
			plain := testPlan(t, c.country).Parse(text)
			if n.E164 != c.e164 || n.national != c.national || n.Kinds.Has(c.kind) == plain.known() || n.Kinds.Has(Unassigned) {
				t.Errorf("%s with %s = %s: %q is %q, inside %q, %v %s", c.country, c.kind, c.pattern, text, n.E164, n.national, n.Kinds.Strings(), n.Reason)
			}
			checkNumber(t, p, &n)
		}
	}
}

func TestPlanFaults(t *testing.T) {
	for _, c := range []struct {
		o    PlanOptions
		want PlanError
	}{
		{PlanOptions{Country: "CN", Area: "abc"}, PlanError{OptionArea, 0, `"abc" is no area code: write its digits as they are dialled, such as 0592`}},
		{PlanOptions{Country: "CN", Area: "+86592"}, PlanError{OptionArea, 0, `"+86592" is no area code: write its digits as they are dialled, such as 0592`}},
		{PlanOptions{Country: "CN", Area: "0300"}, PlanError{OptionArea, 0, `"0300" is no area code of CN: write it as it is dialled, such as 0592`}},
		{PlanOptions{Country: "US", Area: "555"}, PlanError{OptionArea, 0, `"555" is no area code of US: write it as it is dialled, such as 201`}},
		{PlanOptions{Country: "JP", Assigned: []Assigned{{Emergency, "060*"}}}, PlanError{
			OptionAssigned, 0,
			"numbers cannot be assigned as emergency: write one of mobile, fixed, toll_free, premium, shared_cost, voip, service",
		}},
		{PlanOptions{Country: "JP", Assigned: []Assigned{{Mobile, "060*"}, {Mobile, "06x"}}}, PlanError{
			OptionAssigned, 1,
			"letters are no part of a number: write digits, with + in front for another country",
		}},
	} {
		_, err := NewPlan(c.o)
		var got *PlanError
		if !errors.As(err, &got) || *got != c.want {
			t.Errorf("%+v: %+v, want %+v", c.o, got, c.want)
		}
	}
}

// What is dialled to choose a carrier is no part of the number, and nothing else is taken off.
func TestDialPrefixes(t *testing.T) {
	for _, c := range []struct{ country, text, e164 string }{
		{"CN", "1795113800138000", "+8613800138000"},
		{"CN", "12593013800138000", "+8613800138000"},
		{"CN", "1790905925550100", "+865925550100"},
		{"CN", "19313800138000", "+8613800138000"},
		{"CN", "17951001212555010", ""}, // a digit short
		{"CN", "179510012125550100", "+12125550100"},
		{"CN", "17951", "+8617951"},
		{"CN", "1795195588", ""},                // no carrier stands before a service number
		{"CN", "19313800138", "+8619313800138"}, // a mobile number
		{"CN", "17951110", ""},
		{"US", "101028812125550100", "+12125550100"},
		{"US", "10102882125550100", ""},
		{"DE", "01013030255571", "+4930255571"},
		{"DE", "010013030255571", "+4930255571"},
		{"AT", "101201234567890", "+431234567890"},
		{"CH", "107370446681800", "+41446681800"},
		{"NL", "16100201234567", "+31201234567"},
		{"BR", "0 15 11 98765-4321", "+5511987654321"},
		{"KR", "082 2 312 3456", "+8223123456"},
		{"MX", "045 55 1234 5678", "+525512345678"},
		{"MX", "01 55 1234 5678", "+525512345678"},
	} {
		p := testPlan(t, c.country)
		n := p.Parse(c.text)
		if n.E164 != c.e164 {
			t.Errorf("%s %q is %q %v %s, want %q", c.country, c.text, n.E164, n.Kinds.Strings(), n.Reason, c.e164)
		}
		checkNumber(t, p, &n)
	}
}

// Old numbers are what they have become.
func TestRenumberings(t *testing.T) {
	for _, c := range []struct{ country, text, e164 string }{
		{"MX", "+5215512345678", "+525512345678"},
		{"US", "+5215512345678", "+525512345678"},
		{"BR", "+551187654321", "+5511987654321"},
		{"BR", "+551132654321", "+551132654321"}, // a line
		{"BR", "+551178654321", "+551178654321"}, // of the network with eight digits
		{"CI", "+22507123456", "+2250707123456"},
		{"CI", "+22545123456", "+2250545123456"},
		{"CI", "+22541123456", "+2250141123456"},
		{"CI", "+22522494000", "+2252722494000"},
		{"BJ", "+22997123456", "+2290197123456"},
		{"CO", "+5712345678", "+576012345678"},
		{"VN", "+841201234567", "+84701234567"},
		{"VN", "+841691234567", "+84391234567"},
		{"VN", "01231234567", "+84831234567"},
		{"VN", "+841991234567", "+84591234567"},
	} {
		p := testPlan(t, c.country)
		n := p.Parse(c.text)
		if n.E164 != c.e164 || n.Kinds.Has(Unassigned) {
			t.Errorf("%s %q is %q %v %s, want %q", c.country, c.text, n.E164, n.Kinds.Strings(), n.Reason, c.e164)
		}
		checkNumber(t, p, &n)
		if q, err := p.Pattern(c.text); err != nil || q.String() != c.e164 {
			t.Errorf("%s %q is the pattern %q (%v)", c.country, c.text, q, err)
		}
	}
}

// Who withholds their number, in many languages; a number that a plan knows is never one of the placeholders.
func TestWithheldWords(t *testing.T) {
	p := testPlan(t, "SG")
	for _, text := range []string{
		"Withheld Number", "withheld-number", "PRIVATE", "Nummer unterdrückt", "Nummer unterdruckt", "Unbekannt", "Masqué", "MASQUÉ", "masque", "Masque\u0301",
		"Appel masqué", "Numéro inconnu", "Número oculto", "Desconocido", "Numero privato", "Sconosciuto", "Número confidencial", "Não identificado",
		"Afgeschermd", "Anoniem", "Dolt nummer", "Okänt nummer", "Skjult nummer", "Ukjent", "Hemmeligt nummer", "Ukendt", "Salainen numero", "Tuntematon",
		"Numer zastrzeżony", "Nieznany", "Skryté číslo", "Neznámé číslo", "Номер скрыт", "Неизвестный номер", "Невідомий номер", "Приховано",
		"Gizli Numara", "Bilinmeyen", "非通知", "非通知設定", "表示圏外", "公衆電話", "발신번호표시제한", "비공개", "未顯示號碼", "隱藏號碼", "私人號碼", "匿名",
		"مجهول", "رقم خاص", "חסוי", "מספר חסוי", "Απόκρυψη", "Άγνωστος", "Ismeretlen", "Rejtett szám", "Număr necunoscut", "ascuns",
		"266696687", "+266696687", "86282452253", "7378742833", "0000000000", "00000000", "0", "+00000",
	} {
		if n := p.Parse(text); n.Kind != Anonymous || n.E164 != "" {
			t.Errorf("%q is %v %s %q", text, n.Kinds.Strings(), n.Reason, n.E164)
		}
	}
	for _, c := range []struct{ country, text, e164 string }{
		{"US", "7378742833", "+17378742833"},
		{"FR", "266696687", "+33266696687"},
		{"AU", "000", "+61000"},
		{"ES", "7378742833", ""},
	} {
		n := testPlan(t, c.country).Parse(c.text)
		if n.E164 != c.e164 || (n.Kind == Anonymous) != (c.e164 == "") {
			t.Errorf("%s %q is %q %v", c.country, c.text, n.E164, n.Kinds.Strings())
		}
	}
	for _, text := range []string{"alice", "privateer", "masked singer", "Anna Dolt"} {
		if n := p.Parse(text); n.Kind == Anonymous {
			t.Errorf("%q is withheld", text)
		}
	}
}
