package dialplan

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLookAsterisk(t *testing.T) {
	dialplan := func(text string) map[string]string {
		return map[string]string{"extensions.conf": strings.Replace(extensionsConf, "exten => _[+0-9]!,1,Gosub(ringfence,s,1)\n same => n,Dial(PJSIP/${EXTEN})", text, 1)}
	}
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	for title, c := range map[string]struct {
		other  map[string]string
		s      Asterisk
		sounds string
		want   []string // "LEVEL part of the text", in order
	}{
		"as it should be": {nil, usualAsterisk, "/", nil},
		"not screened": {
			dialplan("exten => _X.,1,Dial(PJSIP/${EXTEN})"), usualAsterisk, "",
			[]string{"must extensions.conf:6: calls of telecom to _X. in the context from-telecom get Dial(PJSIP/${EXTEN}) before they are screened: write `exten => _X.,1,Gosub(ringfence,s,1)` in its place and ` same => n,Dial(PJSIP/${EXTEN})` behind it"},
		},
		"more steps":               {dialplan("exten => 100,1,Queue(a)\nexten => 100,2,Hangup"), usualAsterisk, "", []string{"must behind it, and n for the numbers of the steps that follow"}},
		"first something harmless": {dialplan("exten => _X.,1,NoOp(${EXTEN})\n same => n,Set(x=1)\n same => n,GosubIf($[\"${x}\" = \"1\"]?ringfence,s,1)\n same => n,Dial(a)\nexten => h,1,NoOp\nexten => T,1,NoOp"), usualAsterisk, "", nil},
		"behind an answer":         {dialplan("exten => _X.,1,Answer()\n same => n,Dial(a)"), usualAsterisk, "", []string{"must extensions.conf:7: calls of telecom to _X. in the context from-telecom get Dial(a) before they are screened: write ` same => n,Gosub(ringfence,s,1)` on a line before it"}},
		"by an included context":   {dialplan("include => in\n[in]\nexten => _X.,1,Dial(a)"), usualAsterisk, "", []string{"must extensions.conf:8: calls of telecom to _X. in the context in get Dial(a)"}},
		"by a Goto":                {dialplan("exten => _X.,1,Goto(in,${EXTEN},1)\n[in]\nexten => _1X.,1,Gosub(ringfence,s,1)\nexten => _2X.,1,Dial(a)"), usualAsterisk, "", []string{"must extensions.conf:9: calls of telecom to _2X. in the context in get Dial(a)"}},
		"a Goto to one":            {dialplan("exten => _X.,1,Goto(in,100,1)\n[in]\nexten => 100,1,Gosub(ringfence,s,1)\nexten => 101,1,Dial(a)"), usualAsterisk, "", nil},
		"a Goto to a label":        {dialplan("exten => _X.,1,Goto(go)\n same => n,Gosub(ringfence,s,1)\n same => n(go),Dial(a)"), usualAsterisk, "", []string{"must extensions.conf:8: calls of telecom to _X. in the context from-telecom get Dial(a)"}},
		"a Goto round in circles":  {dialplan("exten => _X.,1,Goto(from-telecom,${EXTEN},1)\nexten => 100,1,Goto(1)"), usualAsterisk, "", nil},
		"a Goto nobody knows":      {dialplan("exten => _X.,1,Goto(${x},${EXTEN},1)"), usualAsterisk, "", []string{"must go by Goto(${x},${EXTEN},1) to where it cannot be seen"}},
		"a switch":                 {dialplan("switch => Lua/"), usualAsterisk, "", []string{"must the context from-telecom has switch => Lua/"}},
		"many": {
			dialplan(strings.Repeat("exten => _X.,1,Dial(a)\n", 1) + "exten => 1,1,Dial(a)\nexten => 2,1,Dial(a)\nexten => 3,1,Dial(a)\nexten => 4,1,Dial(a)\nexten => 5,1,Dial(a)\nexten => 6,1,Dial(a)"), usualAsterisk, "",
			[]string{"must to _X.", "must to 1 ", "must to 2 ", "must to 3 ", "must to 4 ", "must 2 more extensions of the context from-telecom"},
		},
		"no context": {map[string]string{"extensions.conf": "[phones]\ninclude => ringfence-phones\n"}, usualAsterisk, "", []string{"should calls of telecom come to the context from-telecom, which extensions.conf does not have"}},
		"no trunk":   {map[string]string{"pjsip.conf": "", "extensions.conf": "[phones]\ninclude => ringfence-phones\n"}, usualAsterisk, "", []string{"must no context calls the subroutine"}},
		"chan_sip": {
			map[string]string{"pjsip.conf": "", "sip.conf": "[general]\ncontext=in\n[carrier]\ntype=peer\nhost=192.0.2.1\n[100]\ntype=friend\nsecret=x\nhost=dynamic\n", "extensions.conf": "[in]\nexten => _X.,1,Dial(a)\n[phones]\ninclude => ringfence-phones\n"},
			usualAsterisk, "",
			[]string{"must calls of carrier to _X. in the context in get Dial(a)"},
		},
		"wizard": {
			map[string]string{"pjsip.conf": "", "pjsip_wizard.conf": "[carrier]\ntype=wizard\nsends_auth=yes\nendpoint/context=in\n[100]\ntype=wizard\naccepts_auth=yes\n", "extensions.conf": "[in]\nexten => _X.,1,Dial(a)\n[phones]\ninclude => ringfence-phones\n"},
			usualAsterisk, "",
			[]string{"must calls of carrier to _X. in the context in get Dial(a)"},
		},
		"both show a password": {
			map[string]string{"pjsip.conf": strings.Replace(pjsipConf, "[201]\ntype=endpoint", "[carrier]\ntype=endpoint\nauth=a\noutbound_auth=b\ncontext=in\n[201]\ntype=endpoint", 1), "extensions.conf": extensionsConf + "[in]\nexten => _X.,1,Dial(a)\n"},
			usualAsterisk, "",
			[]string{"must calls of carrier to _X. in the context in get Dial(a)"},
		},
		"star code not reached":   {map[string]string{"extensions.conf": strings.Replace(extensionsConf, "include =>", ";include =>", 1)}, usualAsterisk, "", []string{"note include => ringfence-phones"}},
		"no star code":            {map[string]string{"extensions.conf": strings.Replace(extensionsConf, "include =>", ";include =>", 1)}, Asterisk{AGI: DefaultAGI}, "", nil},
		"what is dialled":         {nil, Asterisk{AGI: DefaultAGI, LearnDialled: true}, "", []string{"should nothing tells the daemon what your phones dial"}},
		"what is dialled, told":   {map[string]string{"extensions.conf": extensionsConf + " same => n,Gosub(ringfence,dialled,1)\n"}, Asterisk{AGI: DefaultAGI, LearnDialled: true}, "", nil},
		"noload":                  {map[string]string{"modules.conf": "[modules]\nautoload=yes\nnoload => res_agi.so\nnoload => func_*.so ; all\n"}, usualAsterisk, "", []string{"must modules.conf keeps res_agi from loading", "must func_strings", "must func_logic", "must func_timeout", "must func_callerid", "must func_channel", "must func_dialplan"}},
		"autoload=no":             {map[string]string{"modules.conf": "[modules]\nautoload=no\nload => res_agi.so\nload = pbx_config.so\nload => func_*\nload => app_stack\nrequire = format_wav.so\n"}, usualAsterisk, "", []string{"must modules.conf does not load app_read (digits of a challenge): write load => app_read.so"}},
		"include missing":         {map[string]string{"extensions.conf": extensionsConf + "#include gone.conf\n"}, usualAsterisk, "", []string{"must extensions.conf:12 includes gone.conf, which is not there"}},
		"in a comment":            {map[string]string{"extensions.conf": extensionsConf + ";--\n[from-telecom]\nexten => 1,1,Dial(a)\n--; \n;[from-telecom]\n"}, usualAsterisk, "", nil},
		"names that callers dial": {dialplan("exten => 1,1,Gosub(ringfence,s,1)\nexten => i,1,Dial(a)\nexten => fax,1,Goto(1,1)\nexten => T,1,NoOp\nexten => h,1,Dial(a)"), usualAsterisk, "", []string{"must to i in the context from-telecom get Dial(a)"}},
		"a template":              {dialplan("exten => 1,1,Gosub(ringfence,s,1)\n[t](!)\nexten => 2,1,Dial(a)\n[from-telecom](+)\nexten => 3,1,Dial(a)\n[x](t)"), usualAsterisk, "", []string{"must to 3 in the context from-telecom"}},
		"announcements":           {map[string]string{"asterisk.conf": "[options]\nrunuser = nobody\n"}, usualAsterisk, closed, []string{"should has mode 0700, so the user nobody, as which Asterisk runs, cannot read the announcements"}},
		"announcements, as root":  {map[string]string{"asterisk.conf": "[options]\nrunuser = root\n"}, usualAsterisk, closed, nil},
	} {
		t.Run(title, func(t *testing.T) {
			notes := LookAsterisk(plainAsterisk(t, c.other), c.s, c.sounds)
			ok := len(notes) == len(c.want)
			for i := range min(len(notes), len(c.want)) {
				level, text, _ := strings.Cut(c.want[i], " ")
				ok = ok && notes[i].Level == level && strings.Contains(notes[i].Text, text)
			}
			if !ok {
				t.Errorf("got %q\nwant %q", notes, c.want)
			}
		})
	}
}

// The files and what Asterisk shows of them are the same dialplan. The text is a real Asterisk 16's.
func TestReadShown(t *testing.T) {
	folder := t.TempDir()
	text, err := os.ReadFile("testdata/shapes.conf")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "extensions.conf"), string(text))
	d, err := Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	text, err = os.ReadFile("testdata/dialplan-show.txt")
	if err != nil {
		t.Fatal(err)
	}
	shown := ReadShown(string(text))
	a, b := d.Context("shapes"), shown.Context("shapes")
	if !a.Same(b) || !slices.Equal(a.Includes, b.Includes) || !slices.Equal(a.Switches, b.Switches) || len(a.Extensions) != 5 {
		t.Error(cmp.Diff(a, b))
	}
	if at := b.Extension("103").Steps; len(at) != 3 || at[1].Priority != 8 || at[1].Label != "far" || at[1].Where != "extensions.conf:34" {
		t.Errorf("%+v", at)
	}
	b.Extension("101").Steps[0].Data = "x"
	if a.Same(b) || a.Same(nil) {
		t.Error("another dialplan is the same")
	}
}

// Whatever stands in the files, reading them ends, and what was found is in bounds.
func FuzzReadConf(f *testing.F) {
	for _, name := range []string{"testdata/shapes.conf", "testdata/dialplan-show.txt", "testdata/freepbx/extensions.conf", "../conf/asterisk/extensions_ringfence.conf"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("[a](b,c)(+)\nexten=>\nexten=>x\nexten=>x,\nexten=>x,n+99999999999999999999,\nsame=>\n#include \n;--\n")
	f.Fuzz(func(t *testing.T, text string) {
		folder := t.TempDir()
		write(t, filepath.Join(folder, "extensions.conf"), strings.ReplaceAll(text, "#", "//")) // nothing of this machine's
		if d, err := Read(folder); err == nil {
			for _, c := range d.Contexts {
				for _, g := range d.Gaps(c.Name) {
					if g.note("calls") == "" {
						t.Error("a gap without a note")
					}
				}
			}
			if _, contexts := d.Calls(); len(contexts) > len(d.Contexts) {
				t.Error("more contexts call than there are")
			}
		}
		ReadShown(text)
	})
}

func TestReaderClosed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: only root can give files away")
	}
	folder := t.TempDir()
	if err := os.Chmod(filepath.Dir(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "x")
	write(t, file, "x")
	for _, c := range []struct {
		folder, file fs.FileMode
		who          Reader
		closed       string
	}{
		{0o755, 0o644, Reader{}, ""},
		{0o750, 0o644, Reader{}, folder},
		{0o755, 0o640, Reader{}, file},
		{0o700, 0o600, Reader{Name: "a", UID: 1234}, ""},
		{0o750, 0o640, Reader{Name: "a", UID: 1, Groups: []int{2345}}, ""},
		{0o750, 0o640, Reader{Name: "a", UID: 1, Groups: []int{1}}, folder},
		{0o705, 0o604, Reader{Name: "a", UID: 1, Groups: []int{2345}}, folder},
		{0o700, 0o600, Reader{Name: "root"}, ""},
	} {
		for _, name := range []string{file, folder} {
			if err := os.Chown(name, 1234, 2345); err != nil {
				t.Fatal(err)
			}
		}
		os.Chmod(file, c.file)
		os.Chmod(folder, c.folder)
		if got, _ := c.who.Closed(file); got != c.closed {
			t.Errorf("%v %v %+v: %s", c.folder, c.file, c.who, got)
		}
	}
}
