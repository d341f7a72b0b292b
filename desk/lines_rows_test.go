package desk

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"ringfence/console"
	"ringfence/listfile"
	"ringfence/policy"
)

// Numbers of FusionPBX come whole or in parts, and are called by all of them.
func TestFusionPBXNumbers(t *testing.T) {
	for _, test := range []struct{ prefix, area, number, want string }{
		{"", "", "05927770100", "05927770100"},
		{"", "", "+865927770100", "+865927770100"},
		{"86", "", "+865927770100", "+865927770100"},
		{"86", "", "05927770100", "+865927770100"},
		{"+86", "", "5927770100", "+865927770100"},
		{"0086", "", "5927770100", "+865927770100"},
		{"86", "0592", "7770100", "+865927770100"},
		{"86", "592", "7770100", "+865927770100"},
		{"86", "", "865927770100", "+865927770100"},
		{"", "0592", "7770100", "05927770100"},
		{"1", "", "2125550100", "+12125550100"},
		{"1", "212", "5550100", "+12125550100"},
		{"1", "", "12125550100", "+12125550100"},
	} {
		cells := make([]string, len(listfile.FusionPBXColumns))
		cells[fusionPrefix], cells[fusionArea], cells[fusionNumber] = test.prefix, test.area, test.number
		if got := fusionNumberOf(cells); got != test.want {
			t.Errorf("%q %q %q is %s, want %s", test.prefix, test.area, test.number, got, test.want)
		}
	}
}

// A switch is on as databases write that; a file without the column does not say that it is off.
func TestFusionPBXSwitches(t *testing.T) {
	for header, rows := range map[string]map[string]string{
		"destination_number,destination_type,destination_enabled": {
			"05927770100,inbound,1": "+1", "05927770100,inbound,t": "+1", "05927770100,inbound,true": "+1", "05927770100,Inbound,TRUE": "+1", "05927770100,,1": "+1",
			"05927770100,inbound,": "skip", "05927770100,inbound,0": "skip", "05927770100,inbound,f": "skip", "05927770100,inbound,false": "skip", "05927770100,outbound,1": "skip", "2001,local,1": "skip",
		},
		"destination_number,destination_type": {"05927770100,inbound": "+1", "05927770100,outbound": "skip"},
		"destination_number":                  {"05927770100": "+1"},
	} {
		for row, want := range rows {
			d := linesDesk(t)
			r, err := d.ImportLines(t.Context(), console.LineImport{Format: console.FormatFusionPBX}, strings.NewReader(header+"\n"+row+"\n"))
			switch {
			case err != nil:
				t.Errorf("%s: %v", row, err)
			case want == "skip" && (r.Skipped != 1 || r.Added+r.Refused != 0), want != "skip" && (r.Added != 1 || r.Skipped+r.Refused != 0):
				t.Errorf("%s: %s, %d skipped, want %s", row, said(r), r.Skipped, want)
			}
			d.stop(t)
		}
	}
}

// A destination that cannot be read takes away no line of its domain, nor one without a domain any line; those of other domains go.
func TestFusionPBXBroken(t *testing.T) {
	const header = "domain_name,destination_number,destination_type,destination_enabled\n"
	for _, test := range []struct{ broken, left string }{
		{"acme.example,^(0592777010[0-9])$,inbound,1", "acme.example-865927770100 acme.example-865927770101"},
		{"ACME.example ,0592777010x,inbound,1", "acme.example-865927770100 acme.example-865927770101"},
		{",^0592,inbound,1", "acme.example-865927770100 acme.example-865927770101 bob.example-865927770200"},
		{"acme.example,^0592,outbound,1", "acme.example-865927770100"},
	} {
		d := linesDesk(t)
		q := console.LineImport{Format: console.FormatFusionPBX, Source: "fusionpbx", Whole: true}
		imported := func(rows string) {
			t.Helper()
			if _, err := d.ImportLines(t.Context(), q, strings.NewReader(header+rows+"\n")); err != nil {
				t.Fatal(err)
			}
		}
		imported("acme.example,05927770100,inbound,1\nacme.example,05927770101,inbound,1\nbob.example,05927770200,inbound,1")
		imported("acme.example,05927770100,inbound,1\n" + test.broken)
		if got := strings.Join(slices.Sorted(maps.Keys(d.onDisk(t))), " "); got != test.left {
			t.Errorf("with %q there are\n%s, want\n%s", test.broken, got, test.left)
		}
		d.stop(t)
	}
}

// Whatever a domain is called, the line has a name that a line may have, and two domains have two.
func FuzzFusionPBXNames(f *testing.F) {
	f.Add("acme.example.com", "bob.example.net")
	f.Add("", "..")
	f.Add("-x", "a b")
	f.Add(strings.Repeat("long.", 30)+"com", strings.Repeat("long.", 30)+"net")
	f.Add("münchen.example", "x\x1b[2J;rm -rf /")
	f.Fuzz(func(t *testing.T, one, other string) {
		const number = "865927770100000"
		name := fusionName(one, number)
		if advice := policy.BadLineName(name); advice != "" || !strings.HasSuffix(name, number) {
			t.Fatalf("%q: %s: %s", one, name, advice)
		}
		if isHost(one) && isHost(other) && one != other && name == fusionName(other, number) {
			t.Fatalf("%q and %q are both %s", one, other, name)
		}
	})
}

// isHost reports whether a text is what hosts are called, which begins with a letter or a digit.
func isHost(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") == "" && strings.Trim(s[:1], ".-") != ""
}
