package dialplan

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

var usualAsterisk = Asterisk{AGI: DefaultAGI, Star: "*57", Release: "*58"}

func installAsterisk(t *testing.T, folder string, s Asterisk, dry bool) string {
	t.Helper()
	changes, err := InstallAsterisk(folder, s, china, dry)
	if err != nil {
		t.Fatal(err)
	}
	return lineEach(changes)
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
	s.Release = "*58"
	f, _ = s.file(china)
	if text := string(f.content); !strings.Contains(text, "[ringfence-phones]\nexten => *58,1,Gosub(ringfence,release,1)") || strings.Contains(text, "*57") {
		t.Errorf("with the other star code alone:\n%s", text)
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
			d, err := Read(folder)
			if err != nil || d.Context(Subroutine) == nil || d.Context(TestContext) == nil {
				t.Fatalf("the dialplan does not have it: %v", err)
			}
			if s, known, err := RecordedAsterisk(folder); !known || err != nil || s.AGI != DefaultAGI || s.Star != "*57" {
				t.Errorf("remembered: %+v %v %v", s, known, err)
			}
			gone := "updated extensions.conf\nremoved extensions_ringfence.conf"
			if changes, _, err := UninstallAsterisk(folder, true); err != nil || lineEach(changes) != gone || !maps.Equal(tree(t, folder), after) {
				t.Errorf("dry: %s %v", lineEach(changes), err)
			}
			if changes, _, err := UninstallAsterisk(folder, false); err != nil || lineEach(changes) != gone || !maps.Equal(tree(t, folder), before) {
				t.Errorf("uninstall: %s %v, left %v", lineEach(changes), err, cmp.Diff(before, tree(t, folder)))
			}
			if _, _, err := UninstallAsterisk(folder, false); err == nil || !strings.Contains(err.Error(), "nothing was installed") {
				t.Errorf("a second uninstall: %v", err)
			}
		})
	}
}

// What an administrator does to the files between installs.
//
// long: because each row of its table is one thing that they do.
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
			if want, refuses := strings.CutPrefix(c.undone, "!"); refuses && (err == nil || !strings.Contains(err.Error(), want)) || !refuses && (err != nil || lineEach(changes) != c.undone) {
				t.Errorf("uninstall says %s, %v", lineEach(changes), err)
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
	d, err := Read(folder)
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
		t.Errorf("%s %+v %v", lineEach(changes), notes, err)
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
			t.Errorf("%s: %s, %v", title, lineEach(changes), err)
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
