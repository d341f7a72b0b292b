package eslbridge

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCallerIDs holds what we read from the d transcripts against what was sent in SIP, as written down
// when they were recorded (testdata/caller_ids.txt: header, value, encoded value).
func TestCallerIDs(t *testing.T) {
	notes, err := os.ReadFile("testdata/caller_ids.txt")
	if err != nil {
		t.Fatal(err)
	}
	calls, headers := 0, 0
	for _, section := range strings.Split(string(notes), "=== ")[1:] {
		lines := strings.Split(section, "\n")
		name, _, _ := strings.Cut(lines[0], " ")
		calls++
		t.Run(name, func(t *testing.T) {
			var f Frame
			if err := NewReader(bytes.NewReader(transcript(t, name+".fs2peer.raw")), 0).Next(&f); err != nil {
				t.Fatal(err)
			}
			for _, line := range lines[1:] {
				header, rest, ok := strings.Cut(strings.TrimSpace(line), " = ")
				if !ok {
					continue
				}
				value, rest := unquote(t, rest)
				got, there := f.Get(header)
				if _, cut := lengthNote(rest); cut {
					if !strings.HasPrefix(got, value) {
						t.Errorf("%s = %q, want it to begin with %q", header, got, value)
					}
				} else if got != value {
					t.Errorf("%s = %q, want %q", header, got, value)
				}
				if !there {
					t.Errorf("%s is missing", header)
				}
				if _, raw, ok := strings.Cut(rest, "raw="); ok && string(f.Raw(header)) != raw {
					t.Errorf("%s is %q on the wire, want %q", header, f.Raw(header), raw)
				}
				headers++
			}
		})
	}
	if calls < 16 || headers < 300 {
		t.Fatalf("only %d calls with %d headers were compared", calls, headers)
	}
}

// unquote reads a single-quoted string with backslash escapes and returns what stands behind it.
func unquote(t *testing.T, s string) (value, rest string) {
	t.Helper()
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '\'':
			v, err := strconv.Unquote(`"` + strings.ReplaceAll(s[1:i], `"`, `\"`) + `"`)
			if err != nil {
				t.Fatalf("%s: %v", s[:i+1], err)
			}
			return v, s[i+1:]
		}
	}
	t.Fatalf("no end of string in %s", s)
	return "", ""
}

func lengthNote(rest string) (string, bool) {
	_, n, ok := strings.Cut(rest, "len=")
	return n, ok
}

// TestFacts is the same from the other side: the facts that decisions are made of.
func TestFacts(t *testing.T) {
	type want struct {
		number, name, fromUser, fromName, source, asserted, remote, privacy string
		withheld                                                            bool
	}
	for name, w := range map[string]want{
		"a1_sync_connect_exit": {number: "+12025550100", name: "Alice", fromUser: "+12025550100", fromName: "Alice"},
		"d1_plus86":            {number: "+8613800138000", name: "Zhang", fromUser: "+8613800138000", fromName: "Zhang"},
		"d2_anon_privacy":      {number: "+8613912345678", name: "Real Name", fromUser: "anonymous", fromName: "Anonymous", source: "pid", asserted: "+8613912345678", privacy: "id", withheld: true},
		"d3_pai_only":          {number: "+8613912345678", name: "Paid", fromUser: "1000", fromName: "F", source: "pid", asserted: "+8613912345678"},
		"d4_rpid":              {number: "+4930123456", name: "Rpid Name", fromUser: "1000", fromName: "F", source: "rpid", remote: `"Rpid Name" <sip:+4930123456@carrier.example>;party=calling;screen=yes;privacy=off`},
		"d4b_rpid_privacy":     {number: "+4930123456", name: "Rpid Name", fromUser: "1000", fromName: "F", source: "rpid", remote: `"Rpid Name" <sip:+4930123456@carrier.example>;party=calling;screen=yes;privacy=full`, withheld: true},
		"d5_pai_rpid_both":     {number: "+8613912345678", name: "Paid", fromUser: "1000", fromName: "F", source: "pid", asserted: "+8613912345678", remote: `"Rpid Name" <sip:+4930123456@c.example>;party=calling`},
		"d6_utf8_name":         {number: "+8613800138000", name: "张三 快递", fromUser: "+8613800138000", fromName: "张三 快递"},
		"d7_percent_quote":     {number: "user+x%y", name: "100% \\\"off\\\" a\nb \\\\ c: d", fromUser: "user+x%y", fromName: "100% \\\"off\\\" a\nb \\\\ c: d"},
		"d12_verstat_from":     {number: "+12155551212", name: "S", fromUser: "+12155551212;verstat=TN-Validation-Failed", fromName: "S"},
		"d14_empty_user":       {name: "unknown", fromUser: "nobody"},
		"d15_noname":           {number: "02154321234", name: "02154321234", fromUser: "02154321234"},
		"d16_anon_only":        {number: "anonymous", name: "Anonymous", fromUser: "anonymous", fromName: "Anonymous", privacy: "id;header;user", withheld: true},
		"d19_getvar_injection": {number: "+12025550100", name: "a\nX-Evil: 1\n\nContent-Type: command/reply\nReply-Text: +OK forged", fromUser: "+12025550100", fromName: "a\nX-Evil: 1\n\nContent-Type: command/reply\nReply-Text: +OK forged"},
	} {
		t.Run(name, func(t *testing.T) {
			x := factsOf(t, name+".fs2peer.raw")
			got := want{x.Number, x.Name, x.FromUser, x.FromName, x.IDSource, x.Asserted, x.RemoteID, x.Privacy, x.Withheld}
			if d := cmp.Diff(w, got, cmp.AllowUnexported(want{})); d != "" {
				t.Error(d)
			}
			if x.Profile != "internal" || x.NetworkIP != "127.0.0.1" || !x.Full || x.Context != "public" || x.CallAnswer {
				t.Errorf("profile %q, network %q, full %v, context %q, answered %v", x.Profile, x.NetworkIP, x.Full, x.Context, x.CallAnswer)
			}
		})
	}
	for name, callee := range map[string]string{"a1_sync_connect_exit": "2001", "d1_plus86": "2100", "d19_getvar_injection": "2015"} {
		if x := factsOf(t, name+".fs2peer.raw"); x.Callee != callee || len(x.UUID) != 36 {
			t.Errorf("%s: callee %q, want %q; uuid %q", name, x.Callee, callee, x.UUID)
		}
	}
	if x := factsOf(t, "d10_diversion.fs2peer.raw"); x.Diversion != "<sip:+8610777@127.0.0.1>;reason=no-answer" {
		t.Errorf("Diversion %q", x.Diversion)
	} else if x.History != "<sip:+8610777@127.0.0.1>;index=1" {
		t.Errorf("History-Info %q", x.History)
	}
	if x := factsOf(t, "d11_identity.fs2peer.raw"); !strings.HasPrefix(x.Identity, "eyJhbGciOiJFUzI1NiIs") || len(x.Identity) != 215 {
		t.Errorf("Identity %q (%d)", x.Identity, len(x.Identity))
	}
	for name, async := range map[string]bool{"a1_sync_connect_exit": false, "b2_async_connect_exit": true} {
		if x := factsOf(t, name+".fs2peer.raw"); x.Async != async {
			t.Errorf("%s: async %v", name, x.Async)
		}
	}
	if x := factsOf(t, "e_async_01.fs2peer.raw"); !x.Async || !x.Resume {
		t.Errorf("e_async_01: async %v, socket_resume %v", x.Async, x.Resume)
	}
}

func factsOf(t *testing.T, name string) request {
	t.Helper()
	return readFacts(t, transcript(t, name))
}

// readFacts reads the first frame of a stream for its facts.
func readFacts(t testing.TB, raw []byte) (x request) {
	t.Helper()
	var f Frame
	if err := NewReader(bytes.NewReader(raw), 0).Stream(&f, &x); err != nil {
		t.Fatal(err)
	}
	return x
}

// Where the switch does not give what was dialled, what the dialplan has found plain in it does.
func TestPlainDestination(t *testing.T) {
	x := readFacts(t, []byte("Unique-ID: a\nvariable_ringfence_callee: 05925550100\n\n"))
	if x.PlainTo != "05925550100" || x.Callee != "" {
		t.Errorf("%+v", x)
	}
}

// A caller cannot add facts: what he writes is a value of a header, and its line ends are encoded.
func TestFactsFirstHeaderCounts(t *testing.T) {
	text := "Unique-ID: a\nCaller-Caller-ID-Number: 1\nvariable_sip_h_X-ringfence_id: x\nvariable_sip_h_ringfence_test: true\nvariable_sip_h_diversion: d\nCaller-Caller-ID-Number: 2\nvariable_socket_resume: yes\n\n"
	x := readFacts(t, []byte(text))
	if x.Number != "1" || x.ScreenedID != "" || x.Test || x.Diversion != "d" || !x.Resume {
		t.Errorf("%+v", x)
	}
	if x := readFacts(t, []byte("Unique-ID: a\nvariable_ringfence_test: true\n\n")); !x.Test {
		t.Error("the doctor's call is not known as such")
	}
}
