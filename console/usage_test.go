package console

import "testing"

// No cell of what is billed by begins a formula, whatever a customer is called.
func TestUsageCSV(t *testing.T) {
	for customer, want := range map[string]string{
		"acme":              "acme,line1,2026-11-01,9,1,2,3,1,1,1,1\n",
		"=1+1":              `\x3D1+1,line1,2026-11-01,9,1,2,3,1,1,1,1` + "\n",
		"Bob, \"B\" & Sons": `"Bob, ""B"" & Sons",line1,2026-11-01,9,1,2,3,1,1,1,1` + "\n",
		"a\r\n@b;=c":        `"a\x0D\x0A@b;\x3Dc",line1,2026-11-01,9,1,2,3,1,1,1,1` + "\n",
	} {
		u := Usage{customer, "line1", "2026-11-01", 9, 1, 2, 3, 1, 1, 1, 1}
		if got := string(u.AppendCSV(nil)); got != want {
			t.Errorf("%q: %s want %s", customer, got, want)
		}
	}
}
