package agibridge

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// recorded are the sessions of a real Asterisk 16.28 and 22.10, one direction each.
func recorded(t *testing.T, direction string) map[string][]byte {
	t.Helper()
	files, _ := filepath.Glob("testdata/*." + direction + ".raw")
	if len(files) < 11 {
		t.Fatalf("only %d transcripts", len(files))
	}
	out := map[string][]byte{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		out[name] = text
	}
	return out
}

// Every line that a real Asterisk said is understood.
func TestTranscripts(t *testing.T) {
	replies := 0
	for name, text := range recorded(t, "from-asterisk") {
		r := newReader()
		r.reset(bytes.NewReader(text))
		var g gathered
		if err := r.block(g.line); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		x := g.request()
		if x.UUID == "" || x.kind != "PJSIP" || x.Endpoint != "uac" || x.Number != "+15559990002" || x.Name != "Real Alice" ||
			x.Callee != x.ReqUser || x.Callee == "" || x.Context != "from-uac" || x.Withheld || x.odd {
			t.Errorf("%s: %+v", name, x)
		}
		for within := false; ; {
			l, err := r.line(maxLine)
			if err != nil {
				break
			}
			line := string(l)
			reply, more, ok := parseReply(line)
			switch {
			case within:
				within = !ok || more
			case line == hangup:
			case !ok:
				t.Errorf("%s: %q is not understood", name, line)
			default:
				within = more
				replies++
				if reply.code == 200 && reply.result == "" && !strings.Contains(line, "result= (timeout)") {
					t.Errorf("%s: %q has no result", name, line)
				}
			}
		}
	}
	if replies < 100 {
		t.Errorf("only %d answers were read", replies)
	}
}

// What we write is what was written when the transcripts were recorded, but for quotes around single words.
func TestCommandsAsRecorded(t *testing.T) {
	bare := func(s string) string { return strings.ReplaceAll(s, `"`, "") }
	all := "\n" + bare(string(bytes.Join(slices.Collect(maps.Values(recorded(t, "to-asterisk"))), nil)))
	for _, c := range [][]byte{
		setVariable("SCREEN_RESULT", `a "quoted" (x) value`), setVariable("CALLERID(name)", "SPAM? Bob"),
		streamFile("beep", allKeys), plainCommand("ANSWER"), plainCommand("EXEC Progress"),
	} {
		if !strings.Contains(all, "\n"+bare(string(c))) {
			t.Errorf("%q was never said to a real Asterisk", c)
		}
	}
}

// words reads a command line as Asterisk does (res_agi.c, parse_args).
func words(line string) (out []string) {
	var word []byte
	quoted, escaped, begun := false, false, false
	for i := range len(line) {
		c := line[i]
		switch {
		case escaped:
			word, escaped = append(word, c), false
		case c == '"':
			quoted, begun = !quoted, true
		case c == '\\':
			escaped, begun = true, true
		case (c == ' ' || c == '\t') && !quoted:
			if begun || len(word) > 0 {
				out, word, begun = append(out, string(word)), nil, false
			}
		default:
			word = append(word, c)
		}
	}
	if begun || len(word) > 0 {
		out = append(out, string(word))
	}
	return out
}

// No value ends its argument or its line.
func FuzzCommands(f *testing.F) {
	for _, s := range []string{"", "allow", `a "b" \`, "x\nHANGUP\n", "外呼 Sale", strings.Repeat("界", 700), "\xff\x00", `\`, "${SHELL(id)}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, v string) {
		line := string(setVariable("RINGFENCE_RULE", v))
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") || strings.ContainsAny(line, "\r\x00") || len(line) > 2000 {
			t.Fatalf("%q", line)
		}
		got := words(strings.TrimSuffix(line, "\n"))
		if len(got) != 4 || got[2] != "RINGFENCE_RULE" {
			t.Fatalf("%q is read as %q", line, got)
		}
		want := strings.Map(func(r rune) rune {
			if r < 0x20 || r == 0x7f {
				return ' '
			}
			return r
		}, v)
		if utf8.ValidString(v) && len(v) <= maxValue && got[3] != want {
			t.Fatalf("%q is read as %q", line, got[3])
		}
	})
}

// However long the lines are, and however many, what Asterisk itself says is found.
func TestBlockBounds(t *testing.T) {
	many := strings.Repeat("\nagi_callerid: 2\nagi_arg_1: id=x\nx", 20_000)
	for name, number := range map[string]string{
		"a line of 12 MB":  "95211613" + strings.Repeat("x", 12<<20),
		"a line of 8 kB":   "95211613" + strings.Repeat(" ", 8192),
		"lines of 4096":    "95211613" + strings.Repeat(strings.Repeat("x", 4095)+"\n", 50),
		"80,000 lines":     "95211613" + many,
		"past the bound":   "95211613" + strings.Repeat("x", maxRead),
		"a line and a bit": "95211613" + strings.Repeat("y", maxLine-len("agi_callerid: 95211613")) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := newReader()
			r.reset(strings.NewReader(block(number, "", "callee=05925550100", "guard=set")))
			var g gathered
			err := r.block(g.line)
			if want := name == "past the bound"; (err != nil) != want {
				t.Fatal(err)
			}
			for r.block(g.line) == nil { // an empty line of the caller's had ended it
			}
			x := g.request()
			if !strings.HasPrefix(x.Number, "95211613") && err == nil || x.ScreenedID != "" || x.UUID != "1795474473.4" || len(x.Number) > 2*maxLine || cap(r.long) > 4*maxLine {
				t.Errorf("%.200q, uuid %q, id %q; a buffer of %d", x.Number, x.UUID, x.ScreenedID, cap(r.long))
			}
			if err == nil && (!x.guard || x.Callee != "05925550100") {
				t.Errorf("the arguments are lost: callee %q, guard %v", x.Callee, x.guard)
			}
		})
	}
}

// Nothing that comes in makes the reader fail, and no caller's line counts as an argument of the dialplan's.
func FuzzBlock(f *testing.F) {
	f.Add("95588", "Bank")
	f.Add("1\nagi_threadid: 1\nagi_arg_1: id=x", "\nagi_arg_2: guard=fired")
	f.Add("1\n\n200 result=1 (x)\nHANGUP", "agi_callerid: 2")
	f.Fuzz(func(t *testing.T, number, name string) {
		text := block(number, name, "callee=05925550100", "guard=set")
		r := newReader()
		r.reset(strings.NewReader(text))
		var g gathered
		for r.block(g.line) == nil {
		}
		x := g.request()
		if x.ScreenedID != "" || x.fired || !x.guard || x.Callee != "05925550100" || x.UUID != "1795474473.4" || x.Endpoint != "telecom" || x.Intent != "" {
			t.Errorf("%q: %+v", text, x)
		}
		if !strings.ContainsAny(number+name, "\r\n") && x.odd {
			t.Errorf("%q is odd", text)
		}
	})
}
