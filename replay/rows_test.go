package replay

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// readRows cuts a whole text into rows; a fault is a row of one field that begins with "!".
func readRows(comma byte, text string) [][]string {
	r := rows{writing: writing{comma: comma}}
	var all [][]string
	for pos := 0; pos < len(text); {
		next, _, fault := r.scan(text, pos)
		if fault != "" {
			all = append(all, []string{"!" + fault})
		} else {
			all = append(all, append([]string(nil), r.fields...))
		}
		pos = next
	}
	return all
}

func TestRows(t *testing.T) {
	long := strings.Repeat("x", maxRow)
	for name, c := range map[string]struct {
		comma byte
		text  string
		want  [][]string
	}{
		"plain":                 {',', "a,b,c\nd,,\n", [][]string{{"a", "b", "c"}, {"d", "", ""}}},
		"windows":               {';', "a;\"b\"\r\nc;d\r\n", [][]string{{"a", "b"}, {"c", "d"}}},
		"tabs, no last break":   {'\t', "a\tb\nc\t", [][]string{{"a", "b"}, {"c", ""}}},
		"quotes":                {',', `"a,b","say ""hi""","",""""` + "\n", [][]string{{"a,b", `say "hi"`, "", `"`}}},
		"line breaks in quotes": {',', "\"a\nb\",c\r\n\"d\r\ne\",f\n", [][]string{{"a\nb", "c"}, {"d\r\ne", "f"}}},
		"FreeSWITCH's space":    {',', `"a", "b"` + "\n" + `"a" ,"b" ` + "\n", [][]string{{"a", "b"}, {"a", "b"}}},
		"FreeSWITCH's quotes":   {',', `""Li" <95588>","123","Bob "B" x"` + "\n", [][]string{{`"Li" <95588>`, "123", `Bob "B" x`}}},
		"Asterisk's quotes":     {',', `"""Li"" <95588>","123"` + "\n", [][]string{{`"Li" <95588>`, "123"}}},
		"quote inside unquoted": {',', `a"b,c` + "\n", [][]string{{`a"b`, "c"}}},
		"stray quote":           {',', "1,\"x\n2,b\n3,c\n", [][]string{{"!" + faultQuotes}, {"2", "b"}, {"3", "c"}}},
		"stray quote at end":    {',', "1,\"x", [][]string{{"!" + faultQuotes}}},
		"too many lines":        {',', "1,\"" + strings.Repeat("\n", maxRowLines+1) + "\",z", append(append([][]string{{"!" + faultQuotes}}, repeatRow(maxRowLines, "")...), []string{"!" + faultQuotes})},
		"too long":              {',', "1," + long + "\n2,b\n", [][]string{{"!" + faultLong}, {"2", "b"}}},
		"too long in quotes":    {',', "1,\"" + long + "\n2,b\n", [][]string{{"!" + faultQuotes}, {"2", "b"}}},
		"lines":                 {0, " {\"a\": 1, \"b\"}\r\n\n{}", [][]string{{` {"a": 1, "b"}`}, {""}, {"{}"}}},
		"too long a line":       {0, long + "x\n{}", [][]string{{"!" + faultLong}, {"{}"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, readRows(c.comma, c.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func repeatRow(n int, fields ...string) (rows [][]string) {
	for range n {
		rows = append(rows, fields)
	}
	return rows
}

// A text made to cost the most, a stray quote on every line, is read in a time that grows with its length alone.
func TestRowsBounded(t *testing.T) {
	for _, line := range []string{"\"a\n", "\"a\"a\"a\n", "\"\"\"\n", "a,\"\n", "\n"} {
		text := strings.Repeat(line, 1<<20/len(line))
		start := time.Now()
		n := len(readRows(',', text))
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%d rows of %q took %v", n, line, took)
		}
	}
}

// FuzzRows holds that scanning always moves on, keeps to its bounds, and reads what encoding/csv writes.
func FuzzRows(f *testing.F) {
	f.Add("\"a\", \"b\"\n\"\"x\" <1>\",2\n", byte(','))
	f.Add("a;\"b\nc\"\r\n", byte(';'))
	f.Add("{\"a\":1}\n", byte(0))
	f.Add(sqlLead+"\"a\", \"b\");\r\n"+sqlLead, byte(','+128))
	f.Add("\"Li\" <1>\t2\n", byte('\t'+128))
	f.Fuzz(func(t *testing.T, text string, comma byte) {
		other := comma >= 128 // not as encoding/csv writes
		comma %= 128
		if strings.IndexByte("\x00,;\t", comma) < 0 {
			comma = ','
		}
		r := rows{writing: writing{comma: comma, sql: other && comma == ',', plain: other && comma != ','}}
		for pos := 0; pos < len(text); {
			next, open, fault := r.scan(text, pos)
			if next <= pos || next > len(text) || open && next < len(text) && fault == "" {
				t.Fatalf("at %d: next %d, open %v, %q", pos, next, open, fault)
			}
			if next-pos > maxRow && fault == "" {
				t.Fatalf("a row of %d bytes", next-pos)
			}
			size := 0
			for _, field := range r.fields {
				size += len(field)
			}
			if size > maxRow {
				t.Fatalf("fields of %d bytes", size)
			}
			// A row that is whole reads the same on its own.
			if fault == "" {
				whole := fmt.Sprint(r.fields)
				if _, _, again := r.scan(text[pos:next], 0); again != "" || fmt.Sprint(r.fields) != whole {
					t.Fatalf("%q reads %s, on its own %v %s", text[pos:next], whole, r.fields, again)
				}
			}
			pos = next
		}
		if other || comma == 0 || len(text) > maxRow/4 || strings.Count(text, "\n") > maxRowLines || strings.Contains(text, "\r") {
			return // what encoding/csv would change, or what is too long
		}
		var b strings.Builder
		w := csv.NewWriter(&b)
		w.Comma = rune(comma)
		row := append([]string{"x"}, strings.Split(text, string(rune(comma+1)))...)
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		if got := readRows(comma, b.String()); len(got) != 1 || !cmp.Equal(got[0], row) {
			t.Fatalf("%q is read as %q", row, got)
		}
	})
}
