package textfile

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
	"unicode/utf8"
)

// read is all of a file as text, with its encoding and what is wrong.
func read(t *testing.T, data []byte, o Options) string {
	t.Helper()
	all := func(in io.Reader) string {
		r, err := NewReader(in, o)
		if err != nil {
			return "REFUSED " + err.Error()
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return "ERROR " + err.Error()
		}
		return r.Name() + " " + string(text)
	}
	whole := all(bytes.NewReader(data))
	if small := all(iotest.OneByteReader(bytes.NewReader(data))); small != whole {
		t.Errorf("%q reads %q, a byte at a time %q", data, whole, small)
	}
	return whole
}

func encoded(t *testing.T, name, text string) []byte {
	t.Helper()
	e, err := Encoding(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.NewEncoder().Bytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wide(big, mark bool, text string) []byte {
	units := utf16.Encode([]rune(text))
	if mark {
		units = append([]uint16{0xfeff}, units...)
	}
	var b []byte
	for _, u := range units {
		if big {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return b
}

func TestEncodings(t *testing.T) {
	const mark = "\ufeff"
	ascii := strings.Repeat("13800138000\n", bufferSize/6)
	tests := []struct {
		name, country string
		data          []byte
		want          string
	}{
		{"empty", "CN", nil, "utf-8 "},
		{"ASCII", "CN", []byte("95588\n"), "utf-8 95588\n"},
		{"UTF-8", "CN", []byte("银行 é\n"), "utf-8 银行 é\n"},
		{"UTF-8 with a mark", "CN", []byte(mark + "银行\n"), "utf-8 银行\n"},
		{"UTF-8 with a stray byte", "DE", []byte("Müller \xfc Bär\n"), "utf-8 Müller \xfc Bär\n"},
		{"UTF-8 that is cut short", "DE", []byte("Müller\xc3"), "utf-8 Müller\xc3"},
		{"ends of lines", "CN", []byte("1\r\n2\r3\n\r\n4\r"), "utf-8 1\n2\n3\n\n4\n"},

		{"UTF-16", "CN", wide(false, true, "number\r\n95588,银行😀\r\n"), "utf-16 number\n95588,银行😀\n"},
		{"UTF-16, the other way", "CN", wide(true, true, "95588,银行😀\n"), "utf-16 95588,银行😀\n"},
		{"UTF-16 without a mark", "CN", wide(false, false, "95588,银行\n95599,\n"), "utf-16 95588,银行\n95599,\n"},
		{"UTF-16 without a mark, the other way", "CN", wide(true, false, "95588,银行\n95599,\n"), "utf-16 95588,银行\n95599,\n"},
		{"a mark alone", "CN", []byte("\xff\xfe"), "utf-16 "},
		{"an odd length", "CN", append(wide(false, true, "95588\n"), '\n'), "ERROR it claims to be UTF-16 and is not, it ends in the middle of a character: save it as UTF-8"},
		{"half a pair", "CN", append(wide(false, true, "95"), 0x00, 0xd8, '1', 0), "ERROR it claims to be UTF-16 and is not, byte 7 begins half a character: save it as UTF-8"},
		{"the second half of a pair", "CN", append(wide(false, true, "95"), 0x00, 0xdc), "ERROR it claims to be UTF-16 and is not, byte 7 begins half a character: save it as UTF-8"},
		{"half a pair at the end", "CN", append(wide(false, true, "95"), 0x00, 0xd8), "ERROR it claims to be UTF-16 and is not, it ends in the middle of a character: save it as UTF-8"},
		{"a mark before ASCII", "CN", []byte("\xff\xfenumber\n95588\n"), "REFUSED it begins with the mark of UTF-16, and the rest is not: save it as UTF-8"},

		{"GBK", "CN", encoded(t, "gbk", "95211613,假客服\n"), "gb18030 95211613,假客服\n"},
		{"GB18030", "CN", encoded(t, "gb18030", "1,𠀀é€\n"), "gb18030 1,𠀀é€\n"},
		{"GBK far behind", "CN", append([]byte(ascii), encoded(t, "gbk", "95211613,假客服\n")...), "gb18030 " + ascii + "95211613,假客服\n"},
		{"Big5", "TW", encoded(t, "big5", "1,假客服詐騙\n"), "big5 1,假客服詐騙\n"},
		{"Shift JIS", "JP", encoded(t, "shift_jis", "1,迷惑電話ｱｲ\n"), "shift_jis 1,迷惑電話ｱｲ\n"},
		{"EUC-KR", "KR", encoded(t, "euc-kr", "1,보이스피싱\n"), "euc-kr 1,보이스피싱\n"},
		{"windows-1252", "DE", encoded(t, "windows-1252", "1,Grüße für Müller – öfter „lästig“\n"), "windows-1252 1,Grüße für Müller – öfter „lästig“\n"},
		{"Latin-1", "FR", []byte("num\xe9ro\n1,d\xe9marchage\n"), "windows-1252 numéro\n1,démarchage\n"},
		{"windows-1251", "RU", encoded(t, "windows-1251", "1,мошенник\n"), "windows-1251 1,мошенник\n"},
		{"windows-1250", "PL", encoded(t, "windows-1250", "1,łączność\n"), "windows-1250 1,łączność\n"},
		{"GBK at a German's", "DE", encoded(t, "gbk", "1,假客服\n"), " 1,\xbc\xd9\xbf\xcd\xb7\xfe\n"},
		{"bytes that are nothing", "DE", []byte("1,a\x81b\n"), " 1,a\x81b\n"},
		{"of no country", "", []byte("1,d\xe9marchage\n"), " 1,d\xe9marchage\n"},
		{"what XML says", "CN", encoded(t, "windows-1252", `<?xml version="1.0" encoding="ISO-8859-1"?><n>Bär</n>`), "ISO-8859-1 " + `<?xml version="1.0" encoding="ISO-8859-1"?><n>Bär</n>`},
	}
	for _, test := range tests {
		if got := read(t, test.data, Options{Country: test.country}); got != test.want {
			t.Errorf("%s: %.300q\nwant %.300q", test.name, got, test.want)
		}
	}
	if got := read(t, encoded(t, "big5", "假客服"), Options{Encoding: "Big5", Country: "DE"}); got != "Big5 假客服" {
		t.Error(got)
	}
	if got := read(t, nil, Options{Encoding: "morse"}); !strings.Contains(got, `no encoding "morse": write utf-8, gbk`) {
		t.Error(got)
	}
	for _, f := range foreign {
		if got := read(t, []byte(f.magic+"rest of it"), Options{}); got != "REFUSED "+f.advice {
			t.Errorf("%q: %s", f.magic, got)
		}
	}
}

// rowsOf are the rows of a text, a line each.
func rowsOf(t *testing.T, text string, comma byte) string {
	t.Helper()
	out := ""
	r := NewRows(strings.NewReader(text), comma)
	for {
		row, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out += fmt.Sprintf("%d %q", row.Line, row.Cells)
		if row.Fault != nil {
			out = strings.TrimSuffix(out, "[]") + row.Fault.Error()
		}
		out += "\n"
	}
}

func TestRows(t *testing.T) {
	open := errQuote.Error() + "\n"
	long := strings.Repeat("x", MaxLine)
	for _, test := range []struct {
		name, text string
		comma      byte
		want       string
	}{
		{"nothing", "", ',', ""},
		{"cells", "1,a\n2, b ,\n\n3", ',', `1 ["1" "a"]` + "\n" + `2 ["2" "b " ""]` + "\n" + `3 [""]` + "\n" + `4 ["3"]` + "\n"},
		{"quotes", `1,"a,b" ,"c ""d"" e"` + "\n", ',', `1 ["1" "a,b" "c \"d\" e"]` + "\n"},
		{"lines within quotes", "1,\"a\nb\"\n2,c\n", ',', `1 ["1" "a\nb"]` + "\n" + `3 ["2" "c"]` + "\n"},
		{"quotes within quotes", `1,"Li" Wei",2` + "\n", ',', `1 ["1" "Li\" Wei" "2"]` + "\n"},
		{"a formula", `="030255571",x` + "\n", ',', `1 ["=\"030255571\"" "x"]` + "\n"},
		{"a stray quote", "1,\"x\n2,b\n3,\"c\"\n", ',', "1 " + open + `2 ["2" "b"]` + "\n" + `3 ["3" "c"]` + "\n"},
		{"a stray quote at the end", "1,\"x", ',', "1 " + open},
		{"a stray quote before a long line", "1,\"x\n" + long + "\n3\n", ',', "1 " + open + "2 " + errLong.Error() + "\n" + `3 ["3"]` + "\n"},
		{"too many lines", "1,\"" + strings.Repeat("\n", MaxLines) + "\"\n", ',', "1 " + open + emptyRows(2, MaxLines) + fmt.Sprintf("%d ", MaxLines+1) + open},
		{"a long line", long + "\n2\n" + long, ',', "1 " + errLong.Error() + "\n" + `2 ["2"]` + "\n3 " + errLong.Error() + "\n"},
		{"semicolons", "1;\"a;b\";\n", ';', `1 ["1" "a;b" ""]` + "\n"},
		{"a line is a cell", `1,"a` + "\n", 0, `1 ["1,\"a"]` + "\n"},
	} {
		if got := rowsOf(t, test.text, test.comma); got != test.want {
			t.Errorf("%s: %s\nwant %s", test.name, got, test.want)
		}
	}
}

func emptyRows(from, to int) (all string) {
	for i := from; i <= to; i++ {
		all += fmt.Sprintf("%d [\"\"]\n", i)
	}
	return all
}

// Whatever the bytes are, reading ends, text that is said to be of an encoding is UTF-8 where that was not the file's own, no
// carriage return is left, and the rows have the lines in order, each once.
func FuzzRead(f *testing.F) {
	f.Add([]byte("1,\"a\nb\"\r\n2;c\r"), ",", "CN")
	f.Add(wide(false, true, "95588,银行\n"), ",", "CN")
	f.Add([]byte("1,d\xe9marchage\n"), ";", "FR")
	f.Add([]byte("1\t\"x\n2\ty\n"), "\t", "JP")
	f.Fuzz(func(t *testing.T, data []byte, comma, country string) {
		r, err := NewReader(bytes.NewReader(data), Options{Country: country})
		if err != nil {
			return
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return
		}
		if bytes.IndexByte(text, '\r') >= 0 {
			t.Fatalf("%q has a carriage return", text)
		}
		if name := r.Name(); name != "" && name != "utf-8" && !utf8.Valid(text) {
			t.Fatalf("%s: %q is no UTF-8", name, text)
		}
		rows := NewRows(bytes.NewReader(text), (comma + "\x00")[0])
		lines, next := bytes.Count(text, []byte("\n"))+1, 1
		for {
			row, err := rows.Next()
			if err == io.EOF {
				return
			}
			if err != nil || row.Line < next || row.Line > lines || row.Fault == nil && len(row.Cells) == 0 {
				t.Fatalf("%+v %v after line %d of %d", row, err, next-1, lines)
			}
			if row.Fault == nil && rows.Comma == 0 && row.Line != next {
				t.Fatalf("line %d comes after %d", row.Line, next-1)
			}
			next = row.Line + 1
		}
	})
}
