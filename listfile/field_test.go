package listfile

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// Tables as the field writes them.
//
// long: because the table is read as one.
func TestTables(t *testing.T) {
	const two = " WRONG: it has two numbers: write each on a line of its own, or say which column has the number, as in --column number=1\n"
	for _, test := range []struct{ name, file, want string }{
		{"a header alone", "number\n95588\n", "csv\n2 95588\n"},
		{"a header in quotes", "\"number\"\n\"95588\"\n", "csv\n2 95588\n"},
		{"a comment as header", "# number,reason\n# ours\n95588,bank # 1\n", "csv\n3 95588 (bank # 1)\n"},
		{"a # in a name", "name,number\nAgent #5,13800138000\n#6,13800138001\n# 7\n", "csv\n2 13800138000 (Agent #5)\n3 13800138001 (#6)\n"},
		{"semicolons", "number;reason;expires\n030255571;temporary, \"x\";1d\n030255572;;\n", "csv\n2 030255571 (temporary, \"x\") until 2026-11-25\n3 030255572\n"},
		{"bars", "nummer|grund\n030255571|a, b;c\n", "csv\n2 030255571 (a, b;c)\n"},
		{"tabs", "Rufnummer\tBemerkung\n030255571\tlästig\n", "csv\n2 030255571 (lästig)\n"},
		{"sep=", "sep=;\r\nnumber;reason\r\n1234567;x\r\n", "csv\n3 1234567 (x)\n"},
		{"sep= without a header", "\"sep=|\"\n1234567|x\n", "csv\n2 1234567 (x)\n"},
		{"an old Mac's", "number,reason\r1234567,x\r", "csv\n2 1234567 (x)\n"},
		{"commas at the ends", "number,reason,,\n1234567,x,,\n,,,\n7654321,,,\n", "csv\n2 1234567 (x)\n4 7654321\n"},
		{"a title before it", "Our list,,\n\nPhone,Note,\n1234567,x,\n", "csv\n4 1234567 (x)\n"},
		{"nothing in many ways", "number,reason,expires\n1234567,NULL,NULL\n1234568,\\N,\\N\n1234569,-,n/a\n1234560,None,never\n", "csv\n2 1234567\n3 1234568\n4 1234569\n5 1234560\n"},
		{"no number in a row", "number,reason\nNULL,x\n", "csv\n2  (x) WRONG: its cell for the number is empty: write one, or take the row out\n"},
		{"an address book's columns", "Name,Home Phone,Mobile Phone,E-Mail\nClinic,1234567,7654321,a@b\nShop,,1111111,\n", "csv\n2 1234567 (Clinic)\n2 7654321 (Clinic)\n3 1111111 (Shop)\n"},
		{"the column number before others", "caller,number,name\n1111111,1234567,x\n", "csv\n2 1234567 (x)\n"},
		{"the best reason", "name,number,description,city\nA,1234567,fake,Berlin\n", "csv\n2 1234567 (fake)\n"},
		{"two numbers under one name", "number\n1234567,7654321\n", "csv\n2 1234567 7654321" + two},
		{"zero bytes", "number,reason\n1234567,a\x00b\n1234568,\n", "csv\n2 1234567 (a\x00b) WRONG: it has zero bytes, which no text has: the file is damaged, or is no text\n3 1234568\n"},

		{"no header", "95211613,fake customer service\n95200101,prize\n13900001111,\n", "csv\n1 95211613 (fake customer service)\n2 95200101 (prize)\n3 13900001111\n"},
		{"no header, commas in the text", "95211613,fake, and rude\n95200101,prize\n", "csv\n1 95211613 (fake, and rude)\n2 95200101 (prize)\n"},
		{"no header, the name first", "Courier A,13800138000\nClinic,05925550100\n", "csv\n1 13800138000 (Courier A)\n2 05925550100 (Clinic)\n"},
		{"no header, with expiry", "95211613,fake,90d\n95200101,,2027-01-01\n", "csv\n1 95211613 (fake) until 2027-02-22\n2 95200101 until 2027-01-01\n"},
		{"no header, with dates of before", "95211613,fake,2026-01-01\n95200101,prize,2025-01-01\n", "csv\n1 95211613 (fake)\n2 95200101 (prize)\n"},
		{"a header in unknown words", "Foo;Bar\n95211613;fake\n95200101;prize\n", "csv\n2 95211613 (fake)\n3 95200101 (prize)\n"},
		{"counts behind", "030255571\t5\n030255572\t1\n", "csv\n1 030255571\n2 030255572\n"},
		{"counts before", "5,030255571\n1,030255572\n", "csv\n1 030255571\n2 030255572\n"},
		{"counts with a tab", "     12\t13800138000\n", "csv\n1 13800138000\n"},
		{"times behind", "95211613;2026-11-01 10:00:00;x\n", "csv\n1 95211613 (x)\n"},
		{"two numbers, no header", "95211613\n10086,95588\n", "csv\n1 95211613\n2 10086 95588" + two},
		{"two numbers and text", "95211613,fake\n10086,95588\n", "csv\n1 95211613 (fake)\n2 10086 95588" + two},
		{"a spreadsheet's", "=\"030255571\",x\n'030255573,y\n302555712.0,z\n", "csv\n1 =\"030255571\" (x)\n2 '030255573 (y)\n3 302555712.0 (z)\n"},
		{"inert reasons", "number,reason\n95588,'=1+1\n95599,''@x\n95533,'quoted'\n95511,a;'-b\n", "csv\n2 95588 (=1+1)\n3 95599 ('@x)\n4 95533 ('quoted')\n5 95511 (a;-b)\n"},
		{"patterns", "9521*,x\n+1*,y\n9521????,z\n", "csv\n1 9521* (x)\n2 +1* (y)\n3 9521???? (z)\n"},

		{"text", "95588\n  95599\n\n# x, y\n13800138000 # our courier, himself\n\"95533\"\n", "text\n1 95588\n2 95599\n5 13800138000\n6 95533\n"},
		{"uniq -c", "     12 13800138000\n      3 95211613\n", "text\n1 12 13800138000 or 13800138000\n2 3 95211613 or 95211613\n"},
		{"uniq -c of a table", "     12 13800138000,fake\n      3 95211613,\n", "csv\n1 12 13800138000 (fake) or 13800138000\n2 3 95211613 or 95211613\n"},
		{"a dump of one column", "95588\nNULL\n\\N\n95599\n", "text\n1 95588\n4 95599\n"},
		{"groups are no counts", "0592 5550100\n138 0013 8000\n", "text\n1 0592 5550100\n2 138 0013 8000\n"},
		{"zero bytes in text", "95588\x00\n95599\n", "text\n1 95588\x00 WRONG: it has zero bytes, which no text has: the file is damaged, or is no text\n2 95599\n"},
		{"a web page", "<!DOCTYPE html>\n<html>", "\nERROR: it is a web page and no list: look at it in a browser, perhaps it asks to log in\n"},
	} {
		if got := show(test.file, options()); got != test.want {
			t.Errorf("%s:\n%swant\n%s", test.name, got, test.want)
		}
	}
}

// Names of columns in languages of the field, in capitals, with blanks or accents as they come.
func TestHeaders(t *testing.T) {
	for _, header := range []string{
		"number,reason,expires", "Phone Number,Description,Valid until", "TELEPHONE_NUMBER,Comment,EXPIRY", "caller,note,until", "caller_id,name,expires_at",
		"phone,memo,expiration-date", "mobile,label,expiry date", "Tel.,Remarks,Expires:", "MSISDN,category,valid to", "Telefonnummer,Beschreibung,Gültig bis",
		"Nummer,Grund,Ablauf", "Rufnummer,Bemerkung,bis", "Handynummer,Kommentar,Ablaufdatum", "numéro,raison,expire le", "Téléphone,Commentaire,Valable jusqu'au",
		"número,motivo,vence", "Teléfono,Descripción,Válido hasta", "numero,descrizione,scadenza", "Telefone,Observação,validade", "Telefoonnummer,Omschrijving,Geldig tot",
		"Numer telefonu,Opis,Ważne do", "Номер телефона,Комментарий,Срок действия", "号码,备注,有效期", "电话,原因,到期时间", "電話號碼,備註,有效期限", "手机号码,姓名,截止日期",
		"電話番号,備考,有効期限", "전화번호,메모,만료일",
	} {
		for _, comma := range []string{",", ";", "\t", "|"} {
			file := strings.ReplaceAll(header+"\n030255571,lästig,2027-01-01\n", ",", comma)
			if got, want := show(file, options()), "csv\n2 030255571 (lästig) until 2027-01-01\n"; got != want {
				t.Errorf("%q: %s", file, got)
			}
		}
	}
}

func TestColumns(t *testing.T) {
	for _, test := range []struct{ columns, file, want string }{
		{"number=2", "95588,10086\n", "csv\n1 10086\n"},
		{"number=1 reason=3", "95588;x;y\n", "csv\n1 95588 (y)\n"},
		{"number=1", "101;Alice\n102;Bob\n", "csv\n1 101 (Alice)\n2 102 (Bob)\n"},
		{"number=Rufnr. reason=Ort", "Ort;Rufnr.;PLZ\nUlm;0731555010;89073\n", "csv\n2 0731555010 (Ulm)\n"},
		{"expires=Ende", "Nummer,Ende\n0731555010,2027-01-01\n", "csv\n2 0731555010 until 2027-01-01\n"},
		{"number=Foo", "a;b\n1;2\n", "csv\nERROR: --column number=Foo: there is no such column\n"},
		{"reason=Foo", "number;b\n1;2\n", "csv\nERROR: --column reason=Foo: there is no such column; there are \"number\", \"b\"\n"},
		{"reason=7", "number;b\n1;2\n", "csv\nERROR: --column reason=7: there are 2 columns; there are \"number\", \"b\"\n"},
		{"reason=1", "only;text\nhere;too\n", "csv\nERROR: no column of it is known to hold numbers: name it with --column number=COLUMN, by its name in the header or its place from 1\n"},
	} {
		o := options()
		var err error
		if o.Columns, err = ParseColumns(strings.Fields(test.columns)); err != nil {
			t.Fatal(err)
		}
		if got := show(test.file, o); got != test.want {
			t.Errorf("%s of %q:\n%swant\n%s", test.columns, test.file, got, test.want)
		}
	}
	for _, wrong := range []string{"number", "phone=1", "number=", "number=0", "number=1 number=2", "number=1001"} {
		if c, err := ParseColumns(strings.Fields(wrong)); err == nil {
			t.Errorf("%s: %+v", wrong, c)
		}
	}
}

func TestExpiry(t *testing.T) {
	o := options()
	for text, want := range map[string]string{
		"30d": "2026-12-24 720h0m0s", "7 days": "2026-12-01 168h0m0s", "90 Tage": "2027-02-22 2160h0m0s", "2027-01-01": "2027-01-01 0s",
		"31.12.2026": "2027-01-01 0s", "2026/12/31": "2027-01-01 0s", "31/12/2026": "2026-12-31 0s", "12/31/2026": "2026-12-31 0s", "5/5/2027": "2027-05-05 0s",
		"2027年1月2日": "2027-01-03 0s", "2026-12-31 23:59:59": "2026-12-31 0s", "31.12.2026 10:00": "2026-12-31 0s", "never": "0001-01-01 0s", "0000-00-00 00:00:00": "0001-01-01 0s",
	} {
		at, span, err := expiry(text, &o)
		if got := fmt.Sprintf("%s %s", at.Format("2006-01-02"), span); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"3/4/2027": "may be day or month first: write 2027-03-04 or 2027-04-03", "soon": "is no time to come", "13/13/2027": "is no time to come", "45992.5": "is no time to come",
	} {
		if at, _, err := expiry(text, &o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v", text, at, err)
		}
	}
}

func TestAddressBooks(t *testing.T) {
	card := func(lines ...string) string {
		return "BEGIN:VCARD\r\n" + strings.Join(lines, "\r\n") + "\r\nEND:VCARD\r\n"
	}
	const book = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<phonebooks><phonebook name=\"block\">\n"
	for _, test := range []struct{ name, file, want string }{
		{"3.0", card("VERSION:3.0", "FN:Courier A", "TEL;TYPE=CELL:138 0013 8000", "item1.TEL;TYPE=\"work,voice\";TYPE=pref:+86-592-5550100"), "vcard\n4 138 0013 8000 (Courier A)\n5 +86-592-5550100 (Courier A)\n"},
		{"4.0", card("VERSION:4.0", "TEL;VALUE=uri;TYPE=\"voice,home\":tel:+86-592-555-0199;ext=5", "FN:Clinic\\, east"), "vcard\n3 +86-592-555-0199 (Clinic, east)\n"},
		{
			"2.1", card("VERSION:2.1", "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=\r\n=C3=B6rg;;;", "TEL;CELL;VOICE:030255571"),
			"vcard\n5 030255571 (Jörg Müller)\n",
		},
		{"2.1 in another encoding", card("N;ENCODING=QUOTED-PRINTABLE;CHARSET=ISO-8859-1:M=FCller", "TEL;HOME:030255571"), "vcard\n3 030255571 (Müller)\n"},
		{"folded", card("FN:Cour", " ier ", "\tA", "TEL:1380", " 0138000"), "vcard\n5 13800138000 (Courier A)\n"},
		{"a picture", card("PHOTO;BASE64:"+strings.Repeat("\r\n "+strings.Repeat("A", 74), 2000), "", "ORG:Firm;East", "TEL:1234567"), "vcard\n2005 1234567 (Firm East)\n"},
		{"an agent within", card("FN:A", "AGENT:", "BEGIN:VCARD", "FN:B", "TEL:7654321", "END:VCARD", "TEL:1234567"), "vcard\n8 1234567 (A)\n"},
		{"several, with and without numbers", card("FN:A") + "\r\n" + strings.ToLower(card("tel:1234567")), "vcard\n6 1234567\n"},
		{"cut short", "BEGIN:VCARD\nFN:A\nTEL:1\n", "vcard\nERROR: it ends in the middle of the card that begins in line 1: the file is cut short\n"},

		{"FRITZ!Box", book + "<contact><category>0</category><person><realName>prize &amp; co</realName></person><telephony nid=\"2\"><number type=\"home\">030255571</number>\n<number>030255572</number></telephony></contact>" +
			"<contact><telephony><number>030255573</number><number/></telephony><person><realName>late</realName></person></contact></phonebook></phonebooks>", "fritzbox\n3 030255571 (prize & co)\n4 030255572 (prize & co)\n4 030255573 (late)\n"},
		{"FRITZ!Box, cut short", book + "<contact><person>", "fritzbox\nERROR: its XML cannot be read: XML syntax error on line 3: unexpected EOF\n"},
		{"other XML", "<?xml version=\"1.0\"?><rss></rss>", "fritzbox\nERROR: it is XML, and no telephone book of a FRITZ!Box: <phonebooks> is expected\n"},
		{"entities", "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><phonebooks>&b;</phonebooks>", "fritzbox\nERROR: it has a <!DOCTYPE>, which no telephone book has\n"},
		{"an unknown entity", "<phonebooks><phonebook>&b;</phonebook></phonebooks>", "fritzbox\nERROR: its XML cannot be read: XML syntax error on line 1: invalid character entity &b;\n"},
		{"too deep", strings.Repeat("<phonebooks>", 40), "fritzbox\nERROR: it is XML, and no telephone book of a FRITZ!Box: <phonebooks> is expected\n"},
	} {
		if got := show(test.file, options()); got != test.want {
			t.Errorf("%s:\n%swant\n%s", test.name, got, test.want)
		}
	}
}

// What was written is read as it was, and no spreadsheet takes a part of it for a formula.
func FuzzInert(f *testing.F) {
	for _, text := range []string{"=1+1", "'=1", "''", "a;=b", "; '@x", "\"=cmd|' /C calc'!A0", "＝1", "it's", "+49 30", "-", "a=b", "\t=x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		inert := Inert(text)
		if got := Plain(inert); got != text && utf8.ValidString(text) {
			t.Fatalf("%q became %q and that %q", text, inert, got)
		}
		for _, cell := range strings.Split(inert, ";") {
			if cell = strings.TrimLeft(cell, "\" "); cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
				t.Fatalf("%q became %q, where %q is a formula", text, inert, cell)
			}
		}
	})
}

// Whatever the bytes are, reading ends, lines are counted from 1, and a line is an entry or says what is wrong.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"95588 # x\n", "number,expires\n1,2027-01-01\n", `{"numbers":[{"phone":"+1","votes":0}]}`, "Company_Phone_Number,Created_Date\n3055550100,2026-11-01\n",
		"sep=;\n1234567;x\r2345678;\"y\nz\"\n", "   12 13800138000\n", "BEGIN:VCARD\nFN:a\nTEL:1\n x\nEND:VCARD\n", "<phonebooks><contact><number>1</number></contact></phonebooks>",
		"\xff\xfe9\x005\x00\n\x00", "1234567\t5\n", "Name,Phone\na,\x001\n",
	} {
		f.Add(text, "")
	}
	f.Fuzz(func(t *testing.T, text, columns string) {
		o := options()
		o.Threshold, o.Country = 1, "CN"
		o.Columns, _ = ParseColumns(strings.Fields(columns))
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 1
		info, err := Read(strings.NewReader(text), o, func(l Line) error {
			if l.No < 1 || l.Number == "" && l.Fault == nil {
				t.Errorf("%+v", l)
			}
			if l.No > lines && info16(text) && l.Fault == nil && strings.Count(text, `"phone"`) == 0 {
				t.Errorf("%+v, of %d lines", l, lines)
			}
			return nil
		})
		if info.Format == "" && err == nil {
			t.Error("no format and no error")
		}
	})
}

// info16 reports whether the lines of a text are told by its bytes: those of UTF-16 are not.
func info16(text string) bool { return utf8.ValidString(text) && !strings.Contains(text, "\x00") }
