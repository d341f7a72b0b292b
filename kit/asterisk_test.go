package kit

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ringfence/conf"
	"ringfence/number"
)

const (
	extensionsConf = "; ours\n[general]\nstatic=yes\n\n[from-telecom]\nexten => _[+0-9]!,1,Gosub(ringfence,s,1)\n same => n,Dial(PJSIP/${EXTEN})\n\n[phones]\ninclude => ringfence-phones\nexten => _X.,1,Dial(PJSIP/${EXTEN}@telecom)\n"
	pjsipConf      = "[trunk](!)\ntype=endpoint\ncontext=from-telecom\n[telecom](trunk)\naors=telecom\n[201]\ntype=endpoint\ncontext=phones\nauth=201\n[201]\ntype=auth\nusername=201\n"
)

// plainAsterisk lays out what an Asterisk configuration has of what the kit meets.
func plainAsterisk(t *testing.T, other map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	files := map[string]string{"extensions.conf": extensionsConf, "pjsip.conf": pjsipConf, "modules.conf": "[modules]\nautoload=yes\nnoload => chan_sip.so\n"}
	maps.Copy(files, other)
	for name, text := range files {
		if text != "" {
			write(t, filepath.Join(folder, name), text)
		}
	}
	return folder
}

// freePBX copies a configuration as FreePBX lays it out.
func freePBX(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("testdata/freepbx")); err != nil {
		t.Fatal(err)
	}
	return folder
}

var usualAsterisk = Asterisk{AGI: DefaultAGI, Star: "*57"}

func installAsterisk(t *testing.T, folder string, s Asterisk, dry bool) string {
	t.Helper()
	changes, err := InstallAsterisk(folder, s, china, dry)
	if err != nil {
		t.Fatal(err)
	}
	return said(changes)
}

// emergencyOf are a country's emergency numbers.
func emergencyOf(t *testing.T, country string) Emergency {
	t.Helper()
	p, err := number.NewPlan(number.PlanOptions{Country: country})
	if err != nil {
		t.Fatal(err)
	}
	n := p.EmergencyNumbers()
	return Emergency{n, p.EmergencyExpression(n)}
}

// What is shipped can be copied by hand in China: it is what an install there writes.
func TestAsteriskAsShipped(t *testing.T) {
	shipped, err := fs.ReadFile(conf.Asterisk, "asterisk/"+asteriskFile)
	if err != nil {
		t.Fatal(err)
	}
	for text, times := range map[string]int{posix(shippedExpression): 1, shippedAsteriskNums: 3, shippedAGI: 1, shippedStarExten: 1} {
		if n := strings.Count(string(shipped), text); n != times {
			t.Errorf("%q stands there %d times, want %d", text, n, times)
		}
	}
	f, err := usualAsterisk.file(emergencyOf(t, "CN"))
	if err != nil || f.name != asteriskFile {
		t.Fatal(f.name, err)
	}
	if d := cmp.Diff(string(shipped), string(f.content)); d != "" {
		t.Error(d)
	}
}

func TestAsteriskRendered(t *testing.T) {
	s := Asterisk{AGI: "[2001:db8::7]:4574", Star: "*#58", LearnDialled: true}
	f, err := s.file(Emergency{Numbers: []string{"000", "112"}})
	if err != nil {
		t.Fatal(err)
	}
	text := string(f.content)
	for _, want := range []string{`AGI(agi://[2001:db8::7]:4574/screen,`, `REGEX("^(000|112)$" ${rf_to})`, `"^[0-9]?[0-9]?(000|112)$" ${rf_out}`, "exten => *#58,1,"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "110") || strings.Contains(text, "from-internal-custom") {
		t.Error("something of another setting is in it")
	}
	s.Star = ""
	f, _ = s.file(china)
	if text := string(f.content); strings.Contains(text, "ringfence-phones") || strings.Contains(text, "*57") || !strings.Contains(text, "[ringfence-after]") {
		t.Errorf("without a star code:\n%s", text)
	}
	s = Asterisk{AGI: ":4573", Star: "*57", FreePBX: true}
	f, _ = s.file(china)
	if text := string(f.content); !strings.HasSuffix(text, "[from-internal-custom]\ninclude => ringfence-phones\n") || !strings.Contains(text, "agi://127.0.0.1:4573/") {
		t.Errorf("FreePBX:\n%s", text)
	}
	for _, bad := range []Asterisk{{AGI: "x"}, {AGI: "127.0.0.1:0"}, {AGI: "a,b:1"}, {AGI: DefaultAGI, Star: "*57,1"}, {AGI: DefaultAGI, Emergency: []string{"11)"}}} {
		if _, err := bad.file(china); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	if _, err := usualAsterisk.file(Emergency{}); err == nil {
		t.Error("no emergency numbers were taken")
	}
}

// The POSIX expression matches what the policy's own matches, and holds nothing that a dialplan would read otherwise. The
// countries are of all continents; Gabon has the most numbers.
func TestAsteriskEmergencyEverywhere(t *testing.T) {
	for country := range strings.FieldsSeq("CN US GB DE FR IN BR AU JP RU ZA MX TR CH GA") {
		e := emergencyOf(t, country)
		text := posix(e.Expression)
		if strings.ContainsAny(text, "{},\\\"' ;:") || len(text) > 1000 {
			t.Fatalf("%s: %s", country, text)
		}
		own, theirs := regexp.MustCompilePOSIX(text), regexp.MustCompile(e.Expression)
		for _, n := range e.Numbers {
			for _, spelling := range []string{n, "+" + n, "0" + n, "9" + n, "00" + n, n + "0", "+86" + n, "0592" + n, "010" + n, "+44" + n, "0044" + n, "+1" + n, "1" + n, "x" + n} {
				if own.MatchString(spelling) != theirs.MatchString(spelling) {
					t.Errorf("%s, %s: %v, the policy %v", country, spelling, own.MatchString(spelling), theirs.MatchString(spelling))
				}
			}
			if !own.MatchString(n) {
				t.Errorf("%s: %s is not matched", country, n)
			}
		}
	}
}

func TestInstallAndUninstallAsterisk(t *testing.T) {
	for title, other := range map[string]map[string]string{
		"usual": nil, "no line end": {"extensions.conf": strings.TrimSpace(extensionsConf)}, "empty": {"extensions.conf": "\n"},
	} {
		t.Run(title, func(t *testing.T) {
			folder := plainAsterisk(t, other)
			before := tree(t, folder)
			first := "written extensions_ringfence.conf\nupdated extensions.conf"
			if got := installAsterisk(t, folder, usualAsterisk, true); got != first || !maps.Equal(tree(t, folder), before) {
				t.Errorf("dry: %s", got)
			}
			if got := installAsterisk(t, folder, usualAsterisk, false); got != first {
				t.Errorf("first: %s", got)
			}
			after := tree(t, folder)
			if rest, ok := strings.CutSuffix(after["extensions.conf"], asteriskLine+"\n"); !ok || strings.TrimRight(rest, "\n") != strings.TrimRight(before["extensions.conf"], "\n") {
				t.Errorf("extensions.conf is now %q", after["extensions.conf"])
			}
			if len(after) != len(before)+2 {
				t.Errorf("there are now %v", slices.Sorted(maps.Keys(after)))
			}
			if got := installAsterisk(t, folder, usualAsterisk, false); got != "unchanged extensions_ringfence.conf\nunchanged extensions.conf" || !maps.Equal(tree(t, folder), after) {
				t.Errorf("second: %s", got)
			}
			d, err := ReadDialplan(folder)
			if err != nil || d.Context(Subroutine) == nil || d.Context(TestContext) == nil {
				t.Fatalf("the dialplan does not have it: %v", err)
			}
			if s, known, err := RecordedAsterisk(folder); !known || err != nil || s.AGI != DefaultAGI || s.Star != "*57" {
				t.Errorf("remembered: %+v %v %v", s, known, err)
			}
			gone := "updated extensions.conf\nremoved extensions_ringfence.conf"
			if changes, _, err := UninstallAsterisk(folder, true); err != nil || said(changes) != gone || !maps.Equal(tree(t, folder), after) {
				t.Errorf("dry: %s %v", said(changes), err)
			}
			if changes, _, err := UninstallAsterisk(folder, false); err != nil || said(changes) != gone || !maps.Equal(tree(t, folder), before) {
				t.Errorf("uninstall: %s %v, left %v", said(changes), err, cmp.Diff(before, tree(t, folder)))
			}
			if _, _, err := UninstallAsterisk(folder, false); err == nil || !strings.Contains(err.Error(), "nothing was installed") {
				t.Errorf("a second uninstall: %v", err)
			}
		})
	}
}

// What an administrator does to the files between installs.
func TestInstallAsteriskBesideOthers(t *testing.T) {
	rendered, err := usualAsterisk.file(china)
	if err != nil {
		t.Fatal(err)
	}
	shipped := string(rendered.content)
	moved := usualAsterisk
	moved.AGI = "192.0.2.7:4573"
	append_ := func(text string) func(t *testing.T, folder string) {
		return func(t *testing.T, folder string) {
			old, _ := os.ReadFile(filepath.Join(folder, "extensions.conf"))
			write(t, filepath.Join(folder, "extensions.conf"), string(old)+text)
		}
	}
	set := func(name, text string) func(t *testing.T, folder string) {
		return func(t *testing.T, folder string) { write(t, filepath.Join(folder, name), text) }
	}
	for _, c := range []struct {
		title   string
		before  map[string]string
		change  func(t *testing.T, folder string) // after a first install; nil: there was none
		again   Asterisk
		want    string
		undone  string // what uninstall says; "!…": it refuses
		lineEnd string // what extensions.conf ends with then
	}{
		{
			"somebody else's file",
			map[string]string{asteriskFile: "; mine\n"},
			nil, usualAsterisk,
			"in the way extensions_ringfence.conf", "", "@telecom)\n",
		},
		{
			"the same file, put there by hand",
			map[string]string{asteriskFile: shipped},
			nil, usualAsterisk,
			"unchanged extensions_ringfence.conf\nupdated extensions.conf", "updated extensions.conf\nremoved extensions_ringfence.conf", "@telecom)\n",
		},
		{
			"by hand, with its line",
			map[string]string{asteriskFile: shipped, "extensions.conf": extensionsConf + asteriskInclude + "\n"},
			nil, usualAsterisk,
			"unchanged extensions_ringfence.conf\nunchanged extensions.conf", "!extensions.conf:12 includes", asteriskInclude + "\n",
		},
		{
			"the line by hand, before the file",
			map[string]string{"extensions.conf": extensionsConf + "#tryinclude \"extensions_ringfence.conf\" ; mine\n"},
			nil, usualAsterisk,
			"written extensions_ringfence.conf\nunchanged extensions.conf", "!extensions.conf:12 includes", "; mine\n",
		},
		{
			"included by a pattern",
			map[string]string{"extensions.conf": extensionsConf + "#include extensions_*.conf\n", "extensions_other.conf": "[other]\n"},
			nil, usualAsterisk,
			"written extensions_ringfence.conf\nupdated extensions.conf", "!extensions.conf:12 includes", asteriskLine + "\n",
		},
		{
			"file changed", nil, set(asteriskFile, shipped+"; mine\n"), moved,
			"kept extensions_ringfence.conf\nunchanged extensions.conf", "updated extensions.conf\nkept extensions_ringfence.conf", "@telecom)\n",
		},
		{
			"file gone", nil, func(t *testing.T, folder string) { os.Remove(filepath.Join(folder, asteriskFile)) }, usualAsterisk,
			"written extensions_ringfence.conf\nunchanged extensions.conf", "updated extensions.conf\nremoved extensions_ringfence.conf", "@telecom)\n",
		},
		{
			"line taken out", nil, set("extensions.conf", extensionsConf), usualAsterisk,
			"unchanged extensions_ringfence.conf\nupdated extensions.conf", "updated extensions.conf\nremoved extensions_ringfence.conf", "@telecom)\n",
		},
		{
			"line changed", nil, set("extensions.conf", extensionsConf+asteriskInclude+" ; I keep it\n"), usualAsterisk,
			"unchanged extensions_ringfence.conf\nunchanged extensions.conf", "!extensions.conf:12 includes", "I keep it\n",
		},
		{
			"lines behind it", nil, append_("[mine]\nexten => s,1,NoOp\n"), usualAsterisk,
			"unchanged extensions_ringfence.conf\nunchanged extensions.conf", "updated extensions.conf\nremoved extensions_ringfence.conf", "@telecom)\n[mine]\nexten => s,1,NoOp\n",
		},
		{
			"new settings", nil, func(*testing.T, string) {}, moved,
			"updated extensions_ringfence.conf\nunchanged extensions.conf", "updated extensions.conf\nremoved extensions_ringfence.conf", "@telecom)\n",
		},
	} {
		t.Run(c.title, func(t *testing.T) {
			folder := plainAsterisk(t, c.before)
			if c.change != nil {
				installAsterisk(t, folder, usualAsterisk, false)
				c.change(t, folder)
			}
			if got := installAsterisk(t, folder, c.again, false); got != c.want {
				t.Errorf("install says %s", got)
			}
			changes, _, err := UninstallAsterisk(folder, false)
			if want, refuses := strings.CutPrefix(c.undone, "!"); refuses && (err == nil || !strings.Contains(err.Error(), want)) || !refuses && (err != nil || said(changes) != c.undone) {
				t.Errorf("uninstall says %s, %v", said(changes), err)
			}
			if text, _ := os.ReadFile(filepath.Join(folder, "extensions.conf")); !strings.HasSuffix(string(text), c.lineEnd) {
				t.Errorf("extensions.conf is now %q", text)
			}
		})
	}
}

// What root writes Asterisk's user can read; what it edits keeps its owner and mode.
func TestInstallAsteriskOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: only root can give files away")
	}
	folder := plainAsterisk(t, nil)
	name := filepath.Join(folder, "extensions.conf")
	if err := os.Chown(name, 1234, 2345); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, 0o640); err != nil {
		t.Fatal(err)
	}
	check := func(names ...string) {
		t.Helper()
		for _, n := range names {
			info, err := os.Stat(filepath.Join(folder, n))
			if err != nil {
				t.Fatal(err)
			}
			if st := info.Sys().(*syscall.Stat_t); st.Uid != 1234 || st.Gid != 2345 || info.Mode().Perm() != 0o640 {
				t.Errorf("%s belongs to %d:%d with mode %v", n, st.Uid, st.Gid, info.Mode())
			}
		}
	}
	installAsterisk(t, folder, usualAsterisk, false)
	check("extensions.conf", asteriskFile, Manifest)
	if _, _, err := UninstallAsterisk(folder, false); err != nil {
		t.Fatal(err)
	}
	check("extensions.conf")
}

func TestInstallAsteriskThroughLink(t *testing.T) {
	folder := plainAsterisk(t, nil)
	target := filepath.Join(t.TempDir(), "target")
	write(t, target, extensionsConf)
	os.Remove(filepath.Join(folder, "extensions.conf"))
	if err := os.Symlink(target, filepath.Join(folder, "extensions.conf")); err != nil {
		t.Fatal(err)
	}
	if got := installAsterisk(t, folder, usualAsterisk, false); !strings.Contains(got, InTheWay+" extensions.conf") {
		t.Error(got)
	}
	if text, _ := os.ReadFile(target); string(text) != extensionsConf {
		t.Errorf("the target holds %q", text)
	}
}

func TestInstallAsteriskFreePBX(t *testing.T) {
	folder := freePBX(t)
	before := tree(t, folder)
	if !IsFreePBX(folder) || IsFreePBX(plainAsterisk(t, nil)) {
		t.Fatal("FreePBX is not known by its files")
	}
	if _, err := InstallAsterisk(folder, usualAsterisk, china, false); err == nil || !strings.Contains(err.Error(), "--freepbx") {
		t.Errorf("extensions.conf would be edited: %v", err)
	}
	s := usualAsterisk
	s.FreePBX = true
	if _, err := InstallAsterisk(plainAsterisk(t, nil), s, china, false); err == nil || !strings.Contains(err.Error(), "--no-freepbx") {
		t.Errorf("no FreePBX: %v", err)
	}
	if got := installAsterisk(t, folder, s, false); got != "written extensions_ringfence.conf\nupdated extensions_custom.conf" {
		t.Error(got)
	}
	if got := installAsterisk(t, folder, s, false); got != "unchanged extensions_ringfence.conf\nunchanged extensions_custom.conf" {
		t.Error(got)
	}
	d, err := ReadDialplan(folder)
	if err != nil || !slices.Contains(d.Context("from-internal-custom").Includes, "ringfence-phones") || d.Context("from-internal-custom").Extension("1234") == nil {
		t.Errorf("the phones' context: %+v %v", d.Context("from-internal-custom"), err)
	}
	want := "calls of telecom come to the context from-pstn and are not screened: give the trunk the context from-trunk-ringfence"
	if notes := LookAsterisk(folder, s, ""); len(notes) != 1 || notes[0].Level != Must || !strings.Contains(notes[0].Text, want) {
		t.Errorf("%+v", notes)
	}
	endpoints := filepath.Join(folder, "pjsip.endpoint.conf")
	text, _ := os.ReadFile(endpoints)
	write(t, endpoints, strings.Replace(string(text), "context=from-pstn", "context=from-trunk-ringfence", 1))
	if notes := LookAsterisk(folder, s, ""); len(notes) != 0 {
		t.Errorf("%+v", notes)
	}
	changes, notes, err := UninstallAsterisk(folder, true)
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0].Text, "the endpoint telecom has the context from-trunk-ringfence (pjsip.endpoint.conf:3)") {
		t.Errorf("%s %+v %v", said(changes), notes, err)
	}
	write(t, endpoints, string(text))
	if _, notes, err := UninstallAsterisk(folder, false); err != nil || len(notes) != 0 || !maps.Equal(tree(t, folder), before) {
		t.Errorf("%+v %v", notes, err)
	}
}

func TestInstallAsteriskRefuses(t *testing.T) {
	for title, c := range map[string]struct {
		other map[string]string
		want  string
	}{
		"no configuration": {map[string]string{"extensions.conf": ""}, "is not Asterisk's configuration"},
		"bad manifest":     {map[string]string{Manifest: "{"}, "cannot be read"},
		"manifest outside": {map[string]string{Manifest: `{"version":1,"lines":{"../x":"y"}}`}, "not in that folder"},
		"endless includes": {map[string]string{"extensions.conf": "#include extensions.conf\n"}, "more files are included"},
	} {
		folder := plainAsterisk(t, c.other)
		before := tree(t, folder)
		if changes, err := InstallAsterisk(folder, usualAsterisk, china, false); err == nil || !strings.Contains(err.Error(), c.want) || !maps.Equal(tree(t, folder), before) {
			t.Errorf("%s: %s, %v", title, said(changes), err)
		}
	}
}

func TestUninstallAsteriskWarns(t *testing.T) {
	folder := plainAsterisk(t, nil)
	installAsterisk(t, folder, usualAsterisk, false)
	_, notes, err := UninstallAsterisk(folder, false)
	if err != nil || len(notes) != 2 || notes[0].Level != Must || !strings.HasPrefix(notes[0].Text, "extensions.conf:6 still calls the subroutine: take Gosub(ringfence,s,1) out") ||
		!strings.Contains(notes[1].Text, "the context phones includes ringfence-phones") {
		t.Errorf("%+v %v", notes, err)
	}
}

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
	d, err := ReadDialplan(folder)
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
		if d, err := ReadDialplan(folder); err == nil {
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
