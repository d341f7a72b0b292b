package number

import (
	"os"
	"strings"
	"testing"
)

// rowsOf reads a table of testdata: a row a line, columns between tabs. Lines that begin with # are notes.
func rowsOf(t testing.TB, name string, columns int) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) < columns {
			t.Fatalf("%s:%d: %d columns, not %d", name, i+1, len(f), columns)
		}
		rows = append(rows, f)
	}
	return rows
}

// plansOf makes plans of countries, each once, without internal numbers.
func plansOf(t testing.TB) func(country string) *Plan {
	plans := map[string]*Plan{}
	return func(country string) *Plan {
		if plans[country] == nil {
			p, err := NewPlan(PlanOptions{Country: country})
			if err != nil {
				t.Fatal(err)
			}
			plans[country] = p
		}
		return plans[country]
	}
}

// Numbers as people, spreadsheets and trunks write them: country, entry or caller, text, what it is (E.164, range, refused or
// withheld), kind or -, note.
func TestAsWritten(t *testing.T) {
	plan := plansOf(t)
	for _, f := range rowsOf(t, "as_written.tsv", 5) {
		country, what, text, want, kind := f[0], f[1], f[2], f[3], f[4]
		p := plan(country)
		if strings.Contains(strings.Join(f, " "), "internal = ") {
			p, _ = NewPlan(PlanOptions{Country: country, Internal: []string{"21??"}})
		}
		if what == "caller" {
			n := p.Parse(text)
			got := n.E164
			if n.Kind == Anonymous {
				got = "withheld"
			}
			if got != want || kind != "-" && n.Kind.String() != kind {
				t.Errorf("%s caller %q: %s %v %s, want %s %s", country, text, got, n.Kinds.Strings(), n.Reason, want, kind)
			}
			continue
		}
		q, err := p.Entry(text)
		switch want {
		case "refused":
			if err == nil {
				t.Errorf("%s entry %q is taken as %q", country, text, q)
			}
		case "range":
			if err != nil || q.IsExact() {
				t.Errorf("%s entry %q: %q (%v), want a range", country, text, q, err)
			}
		default:
			if err != nil || q.String() != want {
				t.Errorf("%s entry %q: %q (%v), want %s", country, text, q, err, want)
			}
			n := p.Parse(want)
			if !q.Matches(&n) || kind != "-" && n.Kind.String() != kind {
				t.Errorf("%s entry %q: %s is %v, want %s", country, text, want, n.Kinds.Strings(), kind)
			}
		}
	}
}

// A list entry and a caller that are the same number, and such that are not.
func TestSameAndDifferent(t *testing.T) {
	plan := plansOf(t)
	for name, want := range map[string]bool{"same.tsv": true, "differ.tsv": false} {
		for _, f := range rowsOf(t, name, 3) {
			p := plan(f[0])
			q, err := p.Entry(f[1])
			if err != nil {
				t.Errorf("%s: %v: %v", name, f, err)
				continue
			}
			if n := p.Parse(f[2]); q.Matches(&n) != want {
				t.Errorf("%s: %v: the entry is %q, the caller %q %v (%s)", name, f, q, n.E164, n.Kinds.Strings(), n.Reason)
			}
		}
	}
}

// Of many countries: ten spellings that are one number, as caller and as entry, and ten pairs that are not.
func TestCountries(t *testing.T) {
	plan := plansOf(t)
	spellings, pairs := map[string]int{}, map[string]int{}
	for _, f := range rowsOf(t, "countries.tsv", 4) {
		p := plan(f[0])
		if f[1] == "differ" {
			pairs[f[0]]++
			q, err := p.Entry(f[2])
			if err != nil {
				t.Errorf("%v: %v", f, err)
			}
			if n := p.Parse(f[3]); q.Matches(&n) {
				t.Errorf("%s: the entry %s (%s) takes %s (%s)", f[0], f[2], q, f[3], n.E164)
			}
			continue
		}
		texts := strings.Split(f[3], "|")
		spellings[f[0]] += len(texts)
		for _, text := range texts {
			n := p.Parse(text)
			if n.E164 != f[2] {
				t.Errorf("%s: the caller %q is %q %v (%s), want %s", f[0], text, n.E164, n.Kinds.Strings(), n.Reason, f[2])
			}
			if q, err := p.Entry(text); err != nil || q.String() != f[2] {
				t.Errorf("%s: the entry %q is %q (%v), want %s", f[0], text, q, err, f[2])
			}
			if q, err := p.Entry(text); err == nil {
				for _, other := range texts {
					if n := p.Parse(other); !q.Matches(&n) {
						t.Errorf("%s: the entry %q does not take the caller %q", f[0], text, other)
					}
				}
			}
		}
	}
	if len(spellings) < 20 {
		t.Errorf("%d countries, want 20 at least", len(spellings))
	}
	for country, n := range spellings {
		if n < 10 || pairs[country] < 10 {
			t.Errorf("%s: %d spellings and %d pairs, want 10 of each", country, n, pairs[country])
		}
	}
}

// The advice on entries is what a person reads who typed, or whose file holds, what is no number.
func TestEntryFaults(t *testing.T) {
	plan := plansOf(t)
	for _, c := range []struct{ country, text, want string }{
		{"DE", "4.93026E+11", "a spreadsheet has rounded 4.93026E+11, its last digits are gone: make the column text there, and write the number anew"},
		{"DE", "4,93026e11", "a spreadsheet has rounded 4,93026e11, its last digits are gone: make the column text there, and write the number anew"},
		{"DE", "030255571/72", "that is two numbers, +4930255571 and one that ends in 72: write each in full on its own"},
		{"DE", "030255571, 030255572", "that is two numbers, +4930255571 and +4930255572: write each on its own"},
		{"CN", "10086 95588", "that is two numbers, +8610086 and +8695588: write each on its own"},
		{"CN", "10086\t95588", "that is two numbers, +8610086 and +8695588: write each on its own"},
		{"US", "202-555-0143 202-555-0144", "that is two numbers, +12025550143 and +12025550144: write each on its own"},
		{"FR", "162*", "no number of FR is written so there: write 0162* or +33162*"},
		{"FR", "0162????", "numbers that begin with 0162 have 10 digits: write 0162??????, or 0162*"},
		{"FR", "_0162XXXX", "patterns of a dialplan are not read: numbers that begin with 0162 have 10 digits: write 0162??????, or 0162*"},
		{"FR", "_0162XXXXXX", "patterns of a dialplan are not read: write 0162??????"},
		{"FR", `^0162\d{6}$`, "patterns of a dialplan are not read: write 0162??????"},
		{"FR", "33948.*", "patterns of a dialplan are not read: no number of FR is written so inside the country: " +
			"write +33948* for the country code and 948, or 0948*"},
		{"CN", "9521.*", "patterns of a dialplan are not read: write 9521*"},
		{"CN", "_9521.", "patterns of a dialplan are not read: write 9521*"},
		{"US", "_1212NXXXXXX", "patterns of a dialplan are not read: write 212???????"},
		{"US", "NXXNXXXXXX", "that is a pattern of a dialplan, and takes every number: write how the numbers begin, such as 9521* or +1*"},
		{"US", "_X.", "that is a pattern of a dialplan, and takes every number: write how the numbers begin, such as 9521* or +1*"},
		{"CN", "+999*", "no country has the code +999"},
		{"CN", "9521????????", "no number of CN begins so and has so many digits"},
		{"IN", "701234-987654", "701234-987654 is no number of IN: write 701234..987654 for a range"},
	} {
		q, err := plan(c.country).Entry(c.text)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s %q: %q %v\nwant: %s", c.country, c.text, q, err, c.want)
		}
	}
	for _, c := range []struct{ country, text, want string }{
		{"DE", "030/255571", "+4930255571"},
		{"DE", "030 / 25 55 71", "+4930255571"},
		{"IT", "669821234.0", "+390669821234"},
		{"CN", "13800138000.0", "+8613800138000"},
		{"CN", "5925550100.0", "+865925550100"},
		{"CN", `="13800138000"`, "+8613800138000"},
		{"CN", `"13800138000"`, "+8613800138000"},
		{"CN", "'95588", "+8695588"},
		{"CN", "95588 ext. 12", "+8695588"},
		{"CN", "95588x12", "+8695588"},
		{"FR", "01.62.55.50.00", "+33162555000"},
		{"US", "1*", "1*"},
		{"AU", "13*", "13*"},
		{"KR", "1544*", "1544*"},
		{"TR", "444????", "444????"},
		{"IN", "140*", "140*"},
		{"CN", "555*", "555*"},
		{"US", "2025-2099", "2025..2099"}, // extensions: nobody can mean it otherwise
	} {
		if q, err := plan(c.country).Entry(c.text); err != nil || q.String() != c.want {
			t.Errorf("%s %q: %q (%v), want %s", c.country, c.text, q, err, c.want)
		}
	}
}

func TestDeadAndWide(t *testing.T) {
	plan := plansOf(t)
	for _, c := range []struct{ country, text, dead, wide string }{
		{"CN", "12", "it is no number of CN: too short", ""},
		{"CN", "1380013800", "it is no number of CN: too short", ""},
		{"CN", "13800138000", "", ""},
		{"CN", "5550100", "", ""},
		{"US", "5551234567", "", ""},
		{"US", "+44999", "it is no number of US: too short", ""},
		{"CN", "9521*", "", ""},
		{"CN", "138*", "", ""},
		{"GB", "0300*", "", ""},
		{"CN", "0*", "", "it takes all numbers of CN, or all with an area code"},
		{"CN", "1*", "", "it takes a large part of all numbers of CN"},
		{"US", "??????????", "", "it takes all numbers of US, or all with an area code"},
		{"CN", "+1*", "", "it takes all numbers with +1"},
		{"CN", "+44*", "", "it takes all numbers with +44"},
		{"CN", "+4*", "", "it takes several whole countries"},
		{"CN", "+12*", "", "it takes a large part of all numbers with +1"},
		{"CN", "+1212*", "", ""},
		{"CN", "8???", "no number of CN begins so and has so many digits", ""}, // nothing is internal
	} {
		p := plan(c.country)
		q := mustPattern(t, p, c.text)
		if dead, wide := p.Dead(q), p.Wide(q); dead != c.dead || wide != c.wide {
			t.Errorf("%s %s: dead %q, wide %q; want %q, %q", c.country, c.text, dead, wide, c.dead, c.wide)
		}
	}
	p, err := NewPlan(PlanOptions{Country: "CN", Area: "0592"})
	if err != nil {
		t.Fatal(err)
	}
	if why := p.Dead(Pattern{Lo: 55501000, Hi: 55501000, Size: 8}); why == "" {
		t.Error("with an area code that it cannot have, a local number has calls")
	}
}

// FuzzEntry reads any text as an entry: what it gives is a pattern as Pattern gives it, and a fault is advice.
func FuzzEntry(f *testing.F) {
	for _, row := range rowsOf(f, "as_written.tsv", 5) {
		f.Add(row[2], uint8(3))
	}
	for _, text := range []string{"162*", "_0162XXXX", "33948.*", "_X.", "NXX", `^\d{99}$`, "[2-9]X!", "x.", "5.0", "=", `=""`, "'", "1/2/3", "+N+X"} {
		f.Add(text, uint8(1))
	}
	plans := fuzzPlans(f)
	f.Fuzz(func(t *testing.T, text string, country uint8) {
		p := plans[int(country)%len(plans)]
		q, err := p.Entry(text)
		if err != nil {
			if q != (Pattern{}) || len(err.Error()) > 2*MaxRaw+200 {
				t.Errorf("%q: %q with the fault %v", text, q, err)
			}
			return
		}
		checkPattern(t, p, q)
		p.Dead(q)
		p.Wide(q)
	})
}
