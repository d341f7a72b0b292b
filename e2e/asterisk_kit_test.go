package e2e_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ringfence/cmd"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/doctor"
	"ringfence/kit"
	"ringfence/number"
)

// plainDialplan is an administrator's own, before anything of ours.
const plainDialplan = `[general]
static=yes

[from-telecom]
exten => _[+0-9]!,1,Dial(PJSIP/handset/sip:${EXTEN}@HANDSET,30)
exten => h,1,NoOp(the administrator's own)
exten => T,1,NoOp(the administrator's own)

[phones]
exten => _X.,1,Dial(PJSIP/${EXTEN}@telecom)
`

// screenedLine is the first of the same, where calls are screened.
const screenedLine = "exten => _[+0-9]!,1,Gosub(ringfence,s,1)\n same => n,Dial("

// startPlainAsterisk runs an Asterisk that has nothing of ours yet.
func startPlainAsterisk(t *testing.T, handset string) *testAsterisk {
	t.Helper()
	a := startAsterisk(t, "127.0.0.1:1", handset)
	if err := os.Remove(filepath.Join(a.Folder, "extensions_ringfence.conf")); err != nil {
		t.Fatal(err)
	}
	a.setConf("extensions.conf", strings.ReplaceAll(plainDialplan, "HANDSET", handset))
	pjsip := a.confText("pjsip.conf") // the handset shows a password when it calls
	a.setConf("pjsip.conf", strings.Replace(pjsip, "[handset]\n", "[handset-auth]\ntype=auth\nusername=handset\npassword=x\n[handset]\nauth=handset-auth\n", 1))
	a.cli("module load res_clioriginate.so")
	a.cli("module reload res_pjsip.so")
	a.cli("dialplan reload")
	return a
}

func (a *testAsterisk) confText(name string) string {
	a.t.Helper()
	text, err := os.ReadFile(filepath.Join(a.Folder, name))
	if err != nil {
		a.t.Fatal(err)
	}
	return string(text)
}

func (a *testAsterisk) setConf(name, text string) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.Folder, name), []byte(text), 0o644); err != nil {
		a.t.Fatal(err)
	}
}

// command is a program that is this Asterisk's command line.
func (a *testAsterisk) command() string {
	a.t.Helper()
	text := "#!/bin/sh\nexec"
	for _, arg := range a.Program().Args {
		text += " '" + arg + "'"
	}
	name := filepath.Join(a.t.TempDir(), "asterisk")
	if err := os.WriteFile(name, []byte(text+" \"$@\"\n"), 0o755); err != nil {
		a.t.Fatal(err)
	}
	return name
}

// ringfence runs a command of the program.
func ringfence(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if status := cmd.Main(args, strings.NewReader(""), &out, &errs); status != 0 {
		t.Fatalf("ringfence %s: %d\n%s%s", strings.Join(args, " "), status, &out, &errs)
	}
	return out.String()
}

// advice is what the install says to write for an extension.
var advice = regexp.MustCompile("extensions.conf:(\\d+): .*: write `(.*)` in its place and `(.*)` behind it\n")

// Into a plain Asterisk and out again: what is said to be written has calls screened, and what is left is what was there.
func TestInstallAsterisk(t *testing.T) {
	asteriskRoot(t)
	d, file := startDaemonWith(t, doctorsPolicy, "[agi]\nlisten = \"127.0.0.1:0\"")
	handset, caller := newPhone(t), newPhone(t)
	a := startPlainAsterisk(t, handset.addr)
	before := map[string]string{}
	for _, name := range []string{"extensions.conf", "pjsip.conf", "modules.conf", "asterisk.conf"} {
		before[name] = a.confText(name)
	}
	dial := func(to string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		h, err := caller.dial(ctx, a.Address, "13800138000", "", to)
		if err != nil {
			t.Fatal(err)
		}
		if _, rang := handset.invited(to); rang != strings.HasPrefix(h.final, "200") {
			t.Errorf("to %s: %s, rang %v", to, h.final, rang)
		}
		return h.final
	}
	if got := dial("05925550001"); got != "200 OK" {
		t.Fatalf("before anything: %s", got)
	}
	install := []string{"asterisk", "install", "--conf", a.Folder, "--config", file, "--agi", d.AsteriskAddress()}
	said := ringfence(t, install...)
	m := advice.FindStringSubmatch(said)
	if m == nil || strings.Count(said, "\nto do: ") != 1 {
		t.Fatalf("install says\n%s", said)
	}
	a.cli("dialplan reload")
	if got := dial("05925550002"); got != "200 OK" {
		t.Errorf("installed, and not called: %s", got)
	}
	lines := strings.Split(a.confText("extensions.conf"), "\n")
	var n int
	fmt.Sscan(m[1], &n)
	lines[n-1] = m[2] + "\n" + m[3]
	a.setConf("extensions.conf", strings.Join(lines, "\n"))
	a.cli("dialplan reload")
	if got := dial("05925550003"); got != "603 Decline" {
		t.Errorf("called: %s", got)
	}
	if got := dial("110"); got != "200 OK" {
		t.Errorf("an emergency call: %s", got)
	}
	if again := ringfence(t, install...); !strings.Contains(again, "nothing to do: it is installed") || strings.Contains(again, "\nto do: ") {
		t.Errorf("again:\n%s", again)
	}

	said = ringfence(t, "asterisk", "uninstall", "--conf", a.Folder)
	if !strings.Contains(said, fmt.Sprintf("to do: extensions.conf:%d still calls the subroutine: take Gosub(ringfence,s,1) out before you reload", n)) {
		t.Errorf("uninstall says\n%s", said)
	}
	if got := dial("05925550004"); got != "603 Decline" {
		t.Errorf("uninstalled, and not reloaded: %s", got)
	}
	a.setConf("extensions.conf", strings.Replace(a.confText("extensions.conf"), m[2]+"\n"+m[3], strings.Split(before["extensions.conf"], "\n")[n-1], 1))
	a.cli("dialplan reload")
	if got := dial("05925550005"); got != "200 OK" {
		t.Errorf("uninstalled: %s", got)
	}
	for name, text := range before {
		if a.confText(name) != text {
			t.Errorf("%s is other than before: %q", name, a.confText(name))
		}
	}
	if left, _ := filepath.Glob(filepath.Join(a.Folder, "*ringfence*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	a.idle()
}

// Calls to the emergency numbers of several countries never come to the daemon, which here only counts, and those that
// say they are from one do; and what phones dial does not, behind a digit or two for an outside line.
func TestEmergencyAsteriskCountries(t *testing.T) {
	asteriskRoot(t)
	var asked atomic.Int32
	address, _ := fault{serve: func(c net.Conn) { asked.Add(1); c.Close() }}.listen(t, "127.0.0.1:0")
	handset, caller := newPhone(t), newPhone(t)
	a := startPlainAsterisk(t, handset.addr)
	dialplan := a.confText("extensions.conf")
	a.setConf("extensions.conf", strings.Replace(dialplan, "exten => _[+0-9]!,1,Dial(", screenedLine, 1)+
		"[from-telecom](+)\nexten => _o[u]t-.,1,Gosub(ringfence,dialled,1)\n same => n,Dial(PJSIP/handset/sip:${EXTEN}@"+handset.addr+",30)\n"+
		"exten => _li[n]e-.,1,Set(RINGFENCE_LINE=${EXTEN:5})\n same => n,Gosub(ringfence,dialled,1)\n same => n,Dial(PJSIP/handset/sip:${EXTEN}@"+handset.addr+",30)\n")
	for _, c := range []struct {
		country  string
		are, not []string
	}{
		{"CN", []string{"+86110", "0592120"}, []string{"1101", "10110", "911", "95588"}},
		{"US", []string{"+1911", "001112"}, []string{"1911", "110", "9110"}},
		{"GB", []string{"+44999", "0044112"}, []string{"44999", "0999", "9999", "110"}},
		{"DE", []string{"+49110"}, []string{"911", "1120"}},
		{"AU", []string{"+61000"}, []string{"0000", "110"}},
		{"GA", []string{"+2411300"}, []string{"1400", "911"}}, // the longest expression
	} {
		t.Run(c.country, func(t *testing.T) {
			p, err := number.NewPlan(number.PlanOptions{Country: c.country})
			if err != nil {
				t.Fatal(err)
			}
			numbers := p.EmergencyNumbers()
			e := kit.Emergency{Numbers: numbers, Expression: p.EmergencyExpression(numbers)}
			if _, err := kit.InstallAsterisk(a.Folder, kit.Asterisk{AGI: address, Star: kit.DefaultStar}, e, false); err != nil {
				t.Fatal(err)
			}
			a.cli("dialplan reload")
			if shown := kit.ReadShown(a.cli("dialplan show ringfence")); len(shown.Contexts) != 1 {
				t.Fatalf("%+v", shown)
			} else if inFile, err := kit.ReadDialplan(a.Folder); err != nil || !inFile.Context("ringfence").Same(shown.Contexts[0]) {
				t.Error("what Asterisk shows is not what the file says")
			}
			try := func(from, to string, want int32) {
				t.Helper()
				asked.Store(0)
				handset.forget(to)
				if rang, _ := dialAndMeasureFrom(t, caller, handset, a.Address, from, to); rang > 2*time.Second || asked.Load() != want {
					t.Errorf("from %s to %s: rang after %v, the daemon was asked %d times, want %d", from, to, rang, asked.Load(), want)
				}
			}
			some := numbers
			if len(some) > 6 {
				some = append(some[:3:3], some[len(some)-3:]...)
			}
			for _, n := range append(some[:len(some):len(some)], c.are...) {
				try("13800138000", n, 0)
				try(n, "05925550100", 1)
			}
			for _, n := range c.not {
				try("13800138000", n, 1)
				try(n, "05925550101", 1)
			}
			for _, n := range some {
				try("201", "out-"+n, 0)
				try("201", "out-9"+n, 0)
				try("201", "out-00"+n, 0)
				try("201", "line-9"+n, 0)
			}
			try("201", "line-05925550100", 1)
			try("201", "out-05925550100", 1)
		})
	}
	a.idle()
}

// doctorsPolicy sends elsewhere what has no valid number, as the test call: nothing of it may be done.
const doctorsPolicy = rejectAll + "[trunks.telecom]\nmatch = [\"endpoint:telecom\"]\n"

// The doctor on a real Asterisk: content with a sound system, and each fault is named. No phone ever rings.
func TestDoctorAsterisk(t *testing.T) {
	asteriskRoot(t)
	folder := t.TempDir()
	agi := freeAddress(t)
	p := newProcess(t, folder, freeAddress(t), doctorsPolicy, fmt.Sprintf("[agi]\nlisten = %q\n", agi))
	up := func() {
		t.Helper()
		p.start(0)
		waitForDaemon(t, p.file, agi)
	}
	up()
	handset := newPhone(t)
	a := startPlainAsterisk(t, handset.addr)
	program := a.command()
	plain := a.confText("extensions.conf")
	screened := strings.Replace(plain, "exten => _[+0-9]!,1,Dial(", screenedLine, 1)
	install := func(more ...string) {
		t.Helper()
		ringfence(t, append([]string{"asterisk", "install", "--conf", a.Folder, "--config", p.file, "--agi", agi}, more...)...)
	}
	reload := func() { a.cli("dialplan reload") }
	// with is the daemon's file changed, for what is only read.
	with := func(name string, change ...string) string {
		t.Helper()
		text, err := os.ReadFile(p.file)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, []byte(strings.NewReplacer(change...).Replace(string(text))), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	subroutine := func(change ...string) {
		t.Helper()
		old := a.confText("extensions_ringfence.conf")
		text := strings.NewReplacer(change...).Replace(old)
		if text == old {
			t.Fatalf("there is no %q in it", change[0])
		}
		a.setConf("extensions_ringfence.conf", text)
		reload()
	}
	// fresh puts everything as it should be.
	fresh := func() {
		t.Helper()
		for _, name := range []string{"extensions_ringfence.conf", kit.Manifest} {
			os.Remove(filepath.Join(a.Folder, name))
		}
		a.setConf("extensions.conf", screened)
		install()
		reload()
	}
	run := func(o doctor.AsteriskOptions) (bool, []string) {
		t.Helper()
		if o.Config == "" {
			o.Config = p.file
		}
		if o.Program == "" {
			o.Program = program
		}
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		var lines []string
		sound := doctor.RunAsterisk(ctx, o, func(c doctor.Check) {
			line := c.Status + " " + c.What
			if c.Todo != "" {
				line += " — " + c.Todo
			}
			lines = append(lines, line)
		})
		return sound, lines
	}

	fresh()
	sound, lines := run(doctor.AsteriskOptions{})
	want := []string{
		"ok the daemon's file ", "ok the daemon runs: ", "ok the policy ", "warn no switch is attached", "ok the screening port " + agi, "ok Asterisk ", "ok the file of the dialplan kit",
		"ok the 12 modules", "ok Asterisk has read the subroutine", "ok the subroutine hands calls to the daemon (" + agi, "ok calls to emergency numbers (110 119 120 122 12110 95110)",
		"ok contexts that call the subroutine: from-telecom", "ok your phones can report their last caller with *57", "ok calls of telecom are screened: the context from-telecom", "ok the 1 endpoints that the policy names", "warn callers of telecom can change the number that is shown", "ok a test call from +99900",
		"ok the switch can read the policy's announcements", "ok announcements can be heard on all codecs of the trunks (ulaw)", "ok the switch reaches the daemon on its own machine",
	}
	if !sound || len(lines) != len(want) {
		t.Errorf("sound %v, %d lines, want %d:\n%s", sound, len(lines), len(want), strings.Join(lines, "\n"))
	}
	for i := range min(len(lines), len(want)) {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("line %d is %q, want %q", i, lines[i], want[i])
		}
	}
	all := strings.Join(lines, "\n")
	if m := regexp.MustCompile(`was screened and given back in (\d+) ms, .*: divert by rule "no number"; no phone rang`).FindStringSubmatch(all); m == nil {
		t.Errorf("the test call:\n%s", all)
	} else {
		t.Logf("the test call took %s ms", m[1])
	}

	for _, c := range []struct {
		name string
		o    func() doctor.AsteriskOptions
		harm func()
		heal func() // beside fresh
		want []string
	}{
		{name: "daemon down", harm: func() { p.kill() }, heal: up, want: []string{`^FAIL the daemon is not running`, `^FAIL the screening port .* does not answer`, `^FAIL the test call was not screened: no verdict came, and it was let through after \d{1,3} ms`}},
		{
			name: "daemon hangs", harm: func() { p.cmd.Process.Signal(syscall.SIGSTOP) }, heal: func() { p.cmd.Process.Signal(syscall.SIGCONT) },
			want: []string{`^FAIL the daemon does not (say how it is|take commands)`, `^FAIL the daemon did not give the test call back: the guard took it after (29|30|31)\d\d ms`},
		},
		{
			name: "no [agi]", o: func() doctor.AsteriskOptions {
				return doctor.AsteriskOptions{Config: with("no-agi.toml", "[agi]", "[journal]", "listen = "+fmt.Sprintf("%q", agi), "")}
			},
			want: []string{"^FAIL the daemon does not listen for Asterisk — write the lines `\\[agi\\]` and `listen = \"127.0.0.1:4573\"` into .*no-agi.toml"},
		},
		{name: "not allowed", o: func() doctor.AsteriskOptions {
			return doctor.AsteriskOptions{Config: with("allow.toml", fmt.Sprintf("%q", agi), fmt.Sprintf("%q\nallow = [\"192.0.2.0/24\"]", agi))}
		}, want: []string{`^FAIL the daemon does not take calls from 127.0.0.1, .* — add "127.0.0.1" to allow of \[agi\]`}},
		{name: "wrong port", harm: func() { install("--agi", "127.0.0.1:1"); reload() }, want: []string{`^FAIL the dialplan hands calls to 127.0.0.1:1, the daemon listens on ` + agi + ` — .ringfence asterisk install --agi ` + agi, `^FAIL the test call was not screened`}},
		{name: "module missing", harm: func() { a.cli("module unload app_read.so") }, heal: func() { a.cli("module load app_read.so") }, want: []string{`^FAIL app_read is not loaded \(digits of a challenge\) — asterisk -rx "module load app_read.so"`}},
		{name: "no originate", harm: func() { a.cli("module unload res_clioriginate.so") }, heal: func() { a.cli("module load res_clioriginate.so") }, want: []string{`^warn no test call was placed: res_clioriginate is not loaded`}},
		{name: "not installed", harm: func() {
			ringfence(t, "asterisk", "uninstall", "--conf", a.Folder)
			a.setConf("extensions.conf", plain)
			reload()
		}, want: []string{`^warn the subroutine was not installed`, `^FAIL Asterisk has no subroutine ringfence.* — .ringfence asterisk install --conf `, `^FAIL extensions.conf:5: calls of telecom to _\[\+0-9\]! in the context from-telecom get Dial`}},
		{name: "not included", harm: func() { a.setConf("extensions.conf", screened); reload() }, want: []string{`^FAIL Asterisk has no subroutine ringfence`}},
		{name: "included no more", harm: func() { a.setConf("extensions.conf", screened) }, want: []string{`^FAIL extensions.conf does not include the subroutine any more`}},
		{name: "included, not read", harm: func() {
			text := a.confText("extensions.conf")
			a.setConf("extensions.conf", screened)
			reload()
			a.setConf("extensions.conf", text)
		}, want: []string{`^FAIL Asterisk has no subroutine ringfence.* — asterisk -rx "dialplan reload"`}},
		{name: "not reloaded", harm: func() { install("--emergency", "110,119,120,122,12110,95110,999") }, want: []string{`^FAIL the subroutine that Asterisk has in memory is not the one of its files — asterisk -rx`}},
		{
			name: "not screened", harm: func() {
				a.setConf("extensions.conf", strings.Replace(a.confText("extensions.conf"), screened, plain, 1))
				reload()
			},
			want: []string{"^FAIL extensions.conf:5: calls of telecom to _\\[\\+0-9\\]! in the context from-telecom get Dial\\(.*\\) before they are screened — write `exten => _\\[\\+0-9\\]!,1,Gosub\\(ringfence,s,1\\)` in its place", `^FAIL no context calls the subroutine`},
		},
		{name: "another country", harm: func() { install("--emergency", "911"); reload() }, want: []string{`^FAIL emergency calls would be shown to the daemon: calls to 110 119 120 122 12110 95110 — `}},
		{name: "no guard", harm: func() { subroutine(",TIMEOUT(absolute)=3)", ")") }, want: []string{`^warn extensions_ringfence.conf was changed since`, `^FAIL no guard takes a call away`}},
		{name: "guard leads nowhere", harm: func() { subroutine("exten => T,1", "exten => t,1") }, want: []string{`^FAIL no guard takes a call away`}},
		{name: "test calls do not end", harm: func() { subroutine(" same => n,GotoIf($[\"${RINGFENCE_TEST}\" != \"\"]?out)\n", "") }, want: []string{`^FAIL the subroutine does not end test calls`}},
		{name: "test calls go on", harm: func() {
			subroutine("exten => *#000#*,1,Gosub(ringfence,s,1)\n same => n,Hangup()", "exten => *#000#*,1,Gosub(ringfence,s,1)\n same => n,Dial(PJSIP/handset/sip:1@"+handset.addr+")")
		}, want: []string{`^FAIL the subroutine does not end test calls`}},
		{name: "file missing", harm: func() { os.Remove(filepath.Join(a.Folder, "extensions_ringfence.conf")) }, want: []string{`^FAIL extensions_ringfence.conf is missing — .ringfence asterisk install`}},
		{name: "an older version's", harm: func() {
			text := a.confText("extensions_ringfence.conf")
			old := strings.Replace(text, "; Ringfence:", "; Ringfence of old:", 1)
			a.setConf("extensions_ringfence.conf", old)
			a.setConf(kit.Manifest, strings.Replace(a.confText(kit.Manifest), manifestSum(text), manifestSum(old), 1))
		}, want: []string{`^warn extensions_ringfence.conf is not as this version of Ringfence would write it`}},
		{
			name: "sound missing", harm: func() { os.Rename(filepath.Join(folder, "data/sounds"), filepath.Join(folder, "data/gone")) }, heal: func() { os.Rename(filepath.Join(folder, "data/gone"), filepath.Join(folder, "data/sounds")) },
			want: []string{`^FAIL the announcement suspected-nuisance is missing`},
		},
		{name: "sound of another rate", harm: func() {
			text, _ := os.ReadFile(filepath.Join(folder, "data/sounds/16000/en/suspected-nuisance.wav"))
			os.WriteFile(filepath.Join(folder, "data/sounds/suspected-nuisance.wav"), text, 0o644)
		}, heal: func() { os.Remove(filepath.Join(folder, "data/sounds/suspected-nuisance.wav")) }, want: []string{`^FAIL Asterisk cannot play .*suspected-nuisance.wav: it has 16000 Hz and 1 channels`}},
		{name: "no WAV", harm: func() { a.cli("module unload format_wav.so") }, heal: func() { a.cli("module load format_wav.so") }, want: []string{`^FAIL format_wav is not loaded`, `^FAIL Asterisk does not play WAV files`}},
		{name: "unknown trunk", o: func() doctor.AsteriskOptions {
			os.WriteFile(filepath.Join(folder, "other.policy"), []byte(strings.Replace(doctorsPolicy, "endpoint:telecom", "endpoint:carrier", 1)), 0o644)
			return doctor.AsteriskOptions{Config: with("trunk.toml", "data = ", "policy = \"other.policy\"\ndata = ")}
		}, want: []string{`^warn the endpoint telecom is no trunk of the policy`, `^warn the policy's trunk telecom is matched by endpoint:carrier, and Asterisk has no endpoint of that name`}},
		{name: "no program", o: func() doctor.AsteriskOptions {
			return doctor.AsteriskOptions{Program: "no-such-asterisk", Conf: a.Folder}
		}, want: []string{`^FAIL there is no program no-such-asterisk`}},
		{name: "Asterisk down", o: func() doctor.AsteriskOptions {
			text, _ := os.ReadFile(program)
			name := filepath.Join(t.TempDir(), "asterisk")
			os.WriteFile(name, bytes.Replace(text, []byte("/asterisk.conf"), []byte("/none.conf"), 1), 0o755)
			return doctor.AsteriskOptions{Program: name}
		}, want: []string{`^FAIL Asterisk does not answer on its command line: .*Unable to connect`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fresh()
			placed := strings.Count(a.Log(), "@ringfence-test:1] Set")
			if c.harm != nil {
				c.harm()
			}
			o := doctor.AsteriskOptions{}
			if c.o != nil {
				o = c.o()
			}
			sound, lines := run(o)
			if c.heal != nil {
				c.heal()
			}
			fails := false
			for _, want := range c.want {
				found := ""
				for _, l := range lines {
					if regexp.MustCompile(want).MatchString(l) {
						found = l
					}
				}
				if found == "" {
					t.Errorf("no line matches %s:\n%s", want, strings.Join(lines, "\n"))
				}
				fails = fails || strings.HasPrefix(found, "FAIL")
			}
			if sound == fails {
				t.Errorf("sound %v:\n%s", sound, strings.Join(lines, "\n"))
			}
			if strings.HasPrefix(c.name, "test calls") && strings.Count(a.Log(), "@ringfence-test:1] Set") != placed {
				t.Error("a test call was placed")
			}
		})
	}
	a.idle()
	handset.mu.Lock()
	defer handset.mu.Unlock()
	if len(handset.invites) > 0 {
		t.Errorf("a handset rang: %+v", handset.invites)
	}
	if left := a.cli("database show ringfence"); !strings.HasPrefix(left, "0 results") {
		t.Errorf("test calls left behind: %s", left)
	}
}

// waitForDaemon waits until a daemon takes commands and Asterisk's calls.
func waitForDaemon(t *testing.T, file, agi string) {
	t.Helper()
	c, err := conf.LoadDaemon(file)
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		client, err := console.Dial(t.Context(), c.Socket)
		if err != nil {
			continue
		}
		client.Close()
		if conn, err := net.Dial("tcp", agi); err == nil {
			conn.Close()
			return
		}
	}
	t.Fatal("the daemon did not come up in 20 s")
}

// manifestSum is a text's SHA-256 as the manifest has it.
func manifestSum(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
