package tomlfile

import (
	"fmt"
	"strings"
	"testing"
)

// brokenFiles are texts that are no TOML. The line with the fault, the one that a person has to change, has «» somewhere, which is
// taken out.
var brokenFiles = []string{
	// Headers.
	"a = 1\n[[rule]«»\nname = \"x\"\n", "a = 1\n[rule«»\nname = \"x\"\n", "a = 1\n[[rule«»\nname = \"x\"\n", "a = 1\n[]«»\nb = 1\n", "a = 1\n[a.]«»\nb = 1\n",
	"a = 1\n[x] y«»\nb = 1\n", "a = 1\n[[rule]]]«»\nc = 1\n", "a = 1\n[rule]]«»\nc = 1\n", "a = 1\n[[rule] ]«»\nc = 1\n", "a = 1\n[\"rule]«»\nc = 1\n",
	"a = 1\n[[rule name]]«»\nc = 1\n", "a = 1\n[b«»", "a = 1\n\n# x\n[[rule]«»", "a = 1\n]«»\nc = 1\n",
	// Keys.
	"a = 1\nb«»\nc = 1\n", "a = 1\n= 1«»\nc = 1\n", "a = 1\nb: 1«»\nc = 1\n", "a = 1\nb c = 1«»\nc = 1\n", "a = 1\nÄ = 1«»\nc = 1\n", "a = 1\nb.c. = 1«»\nc = 1\n",
	"a = 1\n// x«»\nc = 1\n", "a = 1\n; x«»\nc = 1\n", "a = 1\n<<<<<<< HEAD«»\nc = 1\n", "a = 1\n}«»\nc = 1\n", "a = 1\nb«»",
	// Values.
	"a = 1\nb =«»\nc = 1\n", "a = 1\nb = \"x«»\nc = 1\n", "a = 1\nb = 'x«»\nc = 1\n", "a = 1\nb = x«»\nc = 1\n", "a = 1\nb = yes«»\nc = 1\n", "a = 1\nb = TRUE«»\nc = 1\n",
	"a = 1\nb = 1 2«»\nc = 1\n", "a = 1\nb = \"x\" \"y\"«»\nc = 1\n", "a = 1\nb = “x”«»\nc = 1\n", "a = 1\nb = 800ms«»\nc = 1\n", "a = 1\nb = 012«»\nc = 1\n",
	"a = 1\nb = 1__2«»\nc = 1\n", "a = 1\nb = 1.«»\nc = 1\n", "a = 1\nb = .5«»\nc = 1\n", "a = 1\nb = 0x«»\nc = 1\n", "a = 1\nb = +-1«»\nc = 1\n",
	"a = 1\nb = 2026-13-01«»\nc = 1\n", "a = 1\nb = 07:3«»\nc = 1\n", "a = 1\nb = \"\\q\"«»\nc = 1\n", "a = 1\nb = \"a\\u12\"«»\nc = 1\n", "a = 1\nb = \"\\«»\nc = 1\n",
	"a = 1\nb = 99999999999999999999«»\nc = 1\n", "a = 1\nb = \"x\x01\"«»\nc = 1\n", "a = 1\n# x\x01«»\nc = 1\n", "a = 1\nb = «»", "a = 1\nb = \"x«»",
	// Texts, arrays and tables of several lines.
	"a = 1\nb = \"\"\"x«»\nc = 1\n", "a = 1\nb = '''x«»\nc = 1\n\n", "a = 1\nb = \"\"\"\nx\n\\q«»\n\"\"\"\n", "a = 1\nb = \"\"\"\n\\\\q\\u00e9\\\n  \n\\u12«»\"\"\"\n", "a = 1\nb = [\n\"x\"«» \"y\"\n]\n", "a = 1\nb = [\n\"x\",\n\"y«»\n]\n",
	"a = 1\nb = [\n  \"x\"«»\n  \"y\",\n]\nc = 1\n", "a = 1\nb = [\n  \"x\"«» # one\n\n  # two\n  \"y\",\n]\nc = 1\n", "a = 1\nb = [\n  \"x\",\n  y«»,\n]\n",
	"a = 1\nb = [«»1,\nc = 1\n", "a = 1\nb = [1«»\nc = 1\n", "a = 1\nb = [\"x\"«»\n\n[[rule]]\nname = \"y\"\n", "a = 1\nb = [\"x\",«»\n\n[[rule]]\nname = \"y\"\n",
	"a = 1\nb = [\n\"x\",\n[«»\"y\",\n\n[rule] # z\n", "a = 1\nb = [1«»", "a = 1\nb = [1«»\n\n\n", "a = 1\nb = [\n\n  1«» 2\n", "a = 1\nb = [\"x\", \"y\"]]«»\nc = 1\n",
	"a = 1\nb = { c = 1«»\nd = 1\n", "a = 1\nb = { c = 1 d = 2 }«»\nd = 1\n", "a = 1\nb = { c }«»\nd = 1\n", "a = 1\nb = {«»", "a = 1\nb = {«» c = 1\n",
	"a = 1\nb = { c = \"x«»\n}\n", "a = 1\nwhen = { caller = [\"1\", \"2\" }«»\nc = 1\n",
	// What is there twice.
	"a = 1\na = 2«»\nd = 1\n", "[a]\nx = 1\n[a]«»\ny = 1\n", "[[a]]\nx = 1\n[a]«»\ny = 1\n", "[a]\nx = 1\n[[a]]«»\ny = 1\n", "a = 1\na.b = 2«»\nc = 3\n",
	"a = 1\n[a.b]«»\nc = 3\n", "a = [{b = 1}]\n\n[[a]]«»\nc = 3\n", "[[a]]\nx = 1\n\n[[a]]\nx = 1\nx = 2«»\n",
}

// A syntax fault is told on the line that has to be changed, whatever ends the lines and whatever stands above.
func TestSyntaxLines(t *testing.T) {
	for _, marked := range brokenFiles {
		for _, above := range []string{"", "\n", "# above\n\nabove = \"\"\"\n«\n\"\"\"\n"} {
			for _, end := range []string{"\n", "\r\n"} {
				for _, mark := range []string{"", byteOrderMark} {
					text := mark + strings.ReplaceAll(strings.ReplaceAll(above, "«", "x")+marked, "\n", end)
					before, after, ok := strings.Cut(text, "«»")
					if !ok {
						t.Fatalf("%q has no mark", marked)
					}
					_, _, fault := Decode([]byte(before + after))
					if fault == nil {
						t.Fatalf("%q is taken", before+after)
					}
					if want := 1 + strings.Count(before, "\n"); fault.Line != want {
						t.Errorf("%q: line %d, want %d: %s", before+after, fault.Line, want, fault.Text)
					}
					if strings.ContainsAny(fault.Text, "\r\n\x01") || !strings.Contains(fault.Text, ": ") {
						t.Errorf("%q: the text %q does not say in a line what is wrong and what to do", before+after, fault.Text)
					}
				}
			}
		}
	}
}

func TestUnclosed(t *testing.T) {
	for text, want := range map[string]string{
		"a = [1,\n2\n":            "1 the bracket [ that is opened on this line is not closed: write ] where it ends",
		"a = { b = 1":             "1 the brace { that is opened on this line is not closed: write } where it ends",
		"\na = \"\"\"\nx\n":       "2 the text in \"\"\" that is opened on this line is not closed: write \"\"\" where it ends",
		"a = [\n \"x\"\n \"y\"\n": "2 expected a comma (',') or array terminator (']'), but got '\"': put a comma between the elements, and close the bracket or brace",
	} {
		_, _, fault := Decode([]byte(text))
		if fault == nil {
			t.Errorf("%q is taken", text)
		} else if got := fmt.Sprintf("%d %s", fault.Line, fault.Text); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// FuzzSyntax holds that whatever is wrong with a text, it is told in one line, and on a line that the text has.
func FuzzSyntax(f *testing.F) {
	for _, text := range brokenFiles {
		f.Add(strings.ReplaceAll(text, "«»", ""))
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _, fault := Decode([]byte(text))
		if fault != nil && (fault.Line < 1 || fault.Line > 1+strings.Count(text, "\n") || strings.ContainsAny(fault.Text, "\r\n\x1b")) {
			t.Fatalf("%q: %+v", text, fault)
		}
	})
}
