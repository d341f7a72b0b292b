package listfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"ringfence/textfile"
)

// showTable is a table as ReadTable sees it, a line a row.
func showTable(text string, named ...string) string {
	out := ""
	info, err := ReadTable(strings.NewReader(text), TableOptions{Columns: LineColumns, Named: named, Country: "DE"}, func(r TableRow) error {
		out += fmt.Sprintf("%d %s", r.No, strings.TrimRight(strings.Join(r.Cells, "/"), "/"))
		if r.Fault != nil {
			out += " WRONG: " + r.Fault.Error()
		}
		out += "\n"
		return nil
	})
	if err != nil {
		return out + "ERROR: " + err.Error() + "\n"
	}
	return info.Columns + "\n" + out
}

func TestReadTable(t *testing.T) {
	const named = "name from “name”, numbers from “numbers”"
	for _, test := range []struct{ what, file, want string }{
		{"plain", "name,numbers\na,1\nb,2\n", named + "\n2 a/1\n3 b/2\n"},
		{"other order, other words", "DID;Kunde;Preis;Line\n1;x;3;a\n", "name from “Line”, numbers from “DID”, customer from “Kunde”; left out: “Preis”\n2 a/1/x\n"},
		{"columns of a billing system's own", "name,numbers,email,status,plan,zone\na,1,x@y.example,active,Gold 50,north\n", named + "; left out: “email”, “status”, “plan”, “zone”\n2 a/1\n"},
		{"both number and numbers", "name,number,numbers\na,1,2\n", "name from “name”, numbers from “numbers”; left out: “number”\n2 a/2\n"},
		{"tabs, sep=, a title", "sep=\t\nOur lines\t\n\nname\tnumbers\na\t1;2|3 4\n", named + "\n5 a/1;2|3 4\n"},
		{"bars", "name|numbers\na|1;2\n", named + "\n2 a/1;2\n"},
		{"separators within cells", "name;numbers\na;1|2|3\nb;1,2,3\n", named + "\n2 a/1|2|3\n3 b/1,2,3\n"},
		{"empty rows and comments", "name,numbers\n\n# b,2\n,,\nNULL,\\N\na,1\n", named + "\n6 a/1\n"},
		{"a mark of UTF-8, an old Mac's ends", "\ufeffname,numbers\ra,1\r", named + "\n2 a/1\n"},
		{"windows-1252", "name,numbers,note\na,1,Gr\xf6\xdfe\n", named + ", note from “note”\n2 a/1///////Größe\n"},
		{"quotes over lines", "name,numbers,note\na,1,\"x\ny\"\nb,2,z\n", named + ", note from “note”\n2 a/1///////x\ny\n4 b/2///////z\n"},
		{"inert cells", "name,numbers,note\na,'+86592,'=1+1\n", named + ", note from “note”\n2 a/+86592///////=1+1\n"},
		{"a quote that is not closed", "name,numbers\na,\"1\nb,2\n", named + "\n2  WRONG: " + errQuoteText + "\n3 b/2\n"},
		{"too many cells", "name,numbers\na,1,2\nb,2,,\n", named + "\n2 a/1 WRONG: it has 3 cells, and the header names 2 columns: put texts with a ',' in them in quotes\n3 b/2\n"},
		{"zero bytes", "name,numbers\na\x00,1\n", named + "\n2 a\x00/1 WRONG: it has zero bytes, which no text has: the file is damaged, or is no text\n"},
		{"a header alone", "name,numbers\n", named + "\n"},
		{"empty", "", "ERROR: the file is empty: not even a row that names its columns is there\n"},
		{"no header", "a,05927770100\n", "ERROR: no row of it names the columns, as in name,numbers,customer,profile,mode,timezone,language,notify,note; it begins with \"a,05927770100\"\n"},
		{"no names", "number,price\n1,2\n", "ERROR: no column of it is called name: name it with --column name=COLUMN, by its name in the header or its place from 1; there are \"number\", \"price\"\n"},
		{"a workbook", "PK\x03\x04", "ERROR: it is a workbook of Excel or LibreOffice, or a ZIP archive: open it and save the sheet as CSV\n"},
	} {
		if got := showTable(test.file); got != test.want {
			t.Errorf("%s:\n%swant\n%s", test.what, got, test.want)
		}
	}
	for _, test := range []struct{ named, file, want string }{
		{"name=2", "numbers,id\n1,a\n", "name from “id”, numbers from “numbers”\n2 a/1\n"},
		{"name=Ort customer=plz", "numbers;Ort;PLZ\n1;Ulm;89073\n", "name from “Ort”, numbers from “numbers”, customer from “PLZ”\n2 Ulm/1/89073\n"},
		{"name=Kunde", "Kunde;numbers\na;1\n", "name from “Kunde”, numbers from “numbers”\n2 a/1\n"}, // whose it is, it does not say
		{"name=Kunde customer=1", "Kunde;numbers\na;1\n", "name from “Kunde”, numbers from “numbers”, customer from “Kunde”\n2 a/1/a\n"},
		{"name=Foo", "numbers,id\n1,a\n", "ERROR: --column name=Foo: there is no such column; there are \"numbers\", \"id\"\n"},
		{"name=3", "numbers,id\n1,a\n", "ERROR: --column name=3: there is no such column; there are \"numbers\", \"id\"\n"},
		{"nam=1", "numbers,id\n", "ERROR: \"nam=1\": write WHAT=COLUMN, where WHAT is one of name, numbers, customer, profile, mode, timezone, language, notify, note, and COLUMN a name in the header or a place from 1\n"},
		{"name=1 name=2", "numbers,id\n", "ERROR: name is named twice: one column each\n"},
		{"name=0", "numbers,id\n", "ERROR: 0 is no column: the first is 1\n"},
	} {
		if got := showTable(test.file, strings.Fields(test.named)...); got != test.want {
			t.Errorf("%s:\n%swant\n%s", test.named, got, test.want)
		}
	}
}

const errQuoteText = `it has a quote that is not closed: take it out, or write "" for a quote within a cell`

// What is written is read again, whatever it is, and no cell of it begins a formula.
func FuzzTableWriter(f *testing.F) {
	for _, note := range []string{"", "the bakery", "=1+1", "a;=1", "+86592", "'quoted", "x\ny", "#5", "\"", ",", "@a", " -1", "''=x", "中;文", "+1* +2", "- "} {
		f.Add("a", "+865927770100 05927770200..05927770209", note)
		f.Add("-", note, "x")
	}
	f.Fuzz(func(t *testing.T, name, numbers, note string) {
		row := make([]string, len(LineColumns))
		row[0], row[1], row[len(row)-1] = name, numbers, note
		for _, c := range row {
			if !utf8.ValidString(c) || strings.ContainsFunc(c, unicode.IsControl) || c != value(c) {
				return // what lines do not have
			}
		}
		if name == "" || strings.HasPrefix(name, "#") || len(name)+len(numbers)+len(note) > 1000 {
			return
		}
		var file bytes.Buffer
		w := NewTableWriter(&file, LineColumns...)
		if err := errors.Join(w.Write(row...), w.Write(row...), w.Flush()); err != nil {
			t.Fatal(err)
		}
		text := file.String()
		n := 0
		_, err := ReadTable(strings.NewReader(text), TableOptions{Columns: LineColumns}, func(r TableRow) error {
			if n++; r.Fault != nil || !slices.Equal(r.Cells, row) {
				t.Fatalf("%q, %v, want %q in\n%s", r.Cells, r.Fault, row, text)
			}
			return nil
		})
		if err != nil || n != 2 {
			t.Fatalf("%d of 2 rows, %v in\n%s", n, err, text)
		}
		rows := textfile.NewRows(strings.NewReader(text), ',')
		for {
			r, err := rows.Next()
			if err == io.EOF {
				return
			}
			for _, c := range r.Cells {
				if first, _ := utf8.DecodeRuneInString(strings.TrimLeft(c, " \"")); strings.ContainsRune(formulas, first) && !arePlusNumbers(c) {
					t.Fatalf("%q begins a formula", c)
				}
			}
		}
	})
}
