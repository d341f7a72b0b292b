package asterisk_test

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
	"syscall"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/dialplan"
	"ringfence/doctor"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
)

// doctorsPolicy sends elsewhere what has no valid number, as the test call: nothing of it may be done.
const doctorsPolicy = setup.RejectAll + "[trunks.telecom]\nmatch = [\"endpoint:telecom\"]\n"

// doctored is a system of daemon and Asterisk that the doctor looks at, and that is broken and put right again.
type doctored struct {
	t               *testing.T
	folder          string // of the daemon
	agi             string
	p               *setup.Process
	handset         *phone.Phone
	a               *setup.Asterisk
	program         string // Asterisk's command line
	plain, screened string // the dialplan without and with the lines that screen
}

func startDoctored(t *testing.T) *doctored {
	t.Helper()
	setup.AsteriskRoot(t)
	d := &doctored{t: t, folder: t.TempDir(), agi: setup.FreeAddress(t), handset: phone.New(t)}
	d.p = setup.NewProcess(t, d.folder, setup.FreeAddress(t), doctorsPolicy, fmt.Sprintf("[agi]\nlisten = %q\n", d.agi))
	d.up()
	d.a = startPlainAsterisk(t, d.handset.Addr)
	d.program = d.a.ProgramFile()
	d.plain = d.a.ReadConf("extensions.conf")
	d.screened = strings.Replace(d.plain, "exten => _[+0-9]!,1,Dial(", screenedLine, 1)
	d.fresh()
	return d
}

// up starts the daemon.
func (d *doctored) up() {
	d.t.Helper()
	d.p.Start(0)
	waitForDaemon(d.t, d.p.File, d.agi)
}

func (d *doctored) install(more ...string) {
	d.t.Helper()
	ringfence(d.t, append([]string{"asterisk", "install", "--conf", d.a.Folder, "--config", d.p.File, "--agi", d.agi}, more...)...)
}

func (d *doctored) reload() { d.a.MustCLI("dialplan reload") }

// with is the daemon's file changed, for what is only read.
func (d *doctored) with(name string, change ...string) string {
	d.t.Helper()
	text, err := os.ReadFile(d.p.File)
	if err != nil {
		d.t.Fatal(err)
	}
	file := filepath.Join(d.folder, name)
	if err := os.WriteFile(file, []byte(strings.NewReplacer(change...).Replace(string(text))), 0o644); err != nil {
		d.t.Fatal(err)
	}
	return file
}

// subroutine changes the installed subroutine.
func (d *doctored) subroutine(change ...string) {
	d.t.Helper()
	old := d.a.ReadConf("extensions_ringfence.conf")
	text := strings.NewReplacer(change...).Replace(old)
	if text == old {
		d.t.Fatalf("there is no %q in it", change[0])
	}
	d.a.SetConf("extensions_ringfence.conf", text)
	d.reload()
}

// fresh puts everything as it should be.
func (d *doctored) fresh() {
	d.t.Helper()
	for _, name := range []string{"extensions_ringfence.conf", dialplan.Manifest} {
		os.Remove(filepath.Join(d.a.Folder, name))
	}
	d.a.SetConf("extensions.conf", d.screened)
	d.install()
	d.reload()
}

// run has the doctor look, and gives its lines.
func (d *doctored) run(o doctor.AsteriskOptions) (bool, []string) {
	d.t.Helper()
	if o.Config == "" {
		o.Config = d.p.File
	}
	if o.Program == "" {
		o.Program = d.program
	}
	ctx, cancel := context.WithTimeout(d.t.Context(), 60*time.Second)
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

// The doctor on a real Asterisk: content with a sound system, and each fault is named. No phone ever rings.
func TestDoctorAsterisk(t *testing.T) {
	d := startDoctored(t)
	sound, lines := d.run(doctor.AsteriskOptions{})
	want := []string{
		"ok the daemon's file ", "ok the daemon runs: ", "ok the policy ", "warn no switch is attached", "ok the screening port " + d.agi, "ok Asterisk ", "ok the file of the dialplan kit",
		"ok the 12 modules", "ok Asterisk has read the subroutine", "ok the subroutine hands calls to the daemon (" + d.agi, "ok calls to emergency numbers (110 119 120 122 12110 95110)",
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

	for _, h := range d.harms() {
		t.Run(h.name, func(t *testing.T) { h.try(t, d) })
	}
	d.a.MustBeIdle()
	if rang := d.handset.RangAt(); len(rang) > 0 {
		t.Errorf("a handset rang: %q", rang)
	}
	if left := d.a.MustCLI("database show ringfence"); !strings.HasPrefix(left, "0 results") {
		t.Errorf("test calls left behind: %s", left)
	}
}

// harm is one thing that breaks the system, and lines that the doctor must say of it.
type harm struct {
	name string
	o    func() doctor.AsteriskOptions
	harm func()
	heal func() // beside fresh
	want []string
}

func (h *harm) try(t *testing.T, d *doctored) {
	d.fresh()
	placed := strings.Count(d.a.Log(), "@ringfence-test:1] Set")
	if h.harm != nil {
		h.harm()
	}
	o := doctor.AsteriskOptions{}
	if h.o != nil {
		o = h.o()
	}
	sound, lines := d.run(o)
	if h.heal != nil {
		h.heal()
	}
	fails := false
	for _, want := range h.want {
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
	if strings.HasPrefix(h.name, "test calls") && strings.Count(d.a.Log(), "@ringfence-test:1] Set") != placed {
		t.Error("a test call was placed")
	}
}

// harms are all that is tried.
//
// long: because each entry of its table is one broken link.
func (d *doctored) harms() []harm {
	return []harm{
		{name: "daemon down", harm: func() { d.p.Kill() }, heal: d.up, want: []string{`^FAIL the daemon is not running`, `^FAIL the screening port .* does not answer`, `^FAIL the test call was not screened: no verdict came, and it was let through after \d{1,3} ms`}},
		{
			name: "daemon hangs", harm: func() { d.p.Cmd.Process.Signal(syscall.SIGSTOP) }, heal: func() { d.p.Cmd.Process.Signal(syscall.SIGCONT) },
			want: []string{`^FAIL the daemon does not (say how it is|take commands)`, `^FAIL the daemon did not give the test call back: the guard took it after (29|30|31)\d\d ms`},
		},
		{
			name: "no [agi]", o: func() doctor.AsteriskOptions {
				return doctor.AsteriskOptions{Config: d.with("no-agi.toml", "[agi]", "[journal]", "listen = "+fmt.Sprintf("%q", d.agi), "")}
			},
			want: []string{"^FAIL the daemon does not listen for Asterisk — write the lines `\\[agi\\]` and `listen = \"127.0.0.1:4573\"` into .*no-agi.toml"},
		},
		{name: "not allowed", o: func() doctor.AsteriskOptions {
			return doctor.AsteriskOptions{Config: d.with("allow.toml", fmt.Sprintf("%q", d.agi), fmt.Sprintf("%q\nallow = [\"192.0.2.0/24\"]", d.agi))}
		}, want: []string{`^FAIL the daemon does not take calls from 127.0.0.1, .* — add "127.0.0.1" to allow of \[agi\]`}},
		{name: "wrong port", harm: func() { d.install("--agi", "127.0.0.1:1"); d.reload() }, want: []string{`^FAIL the dialplan hands calls to 127.0.0.1:1, the daemon listens on ` + d.agi + ` — .ringfence asterisk install --agi ` + d.agi, `^FAIL the test call was not screened`}},
		{name: "module missing", harm: func() { d.a.MustCLI("module unload app_read.so") }, heal: func() { d.a.MustCLI("module load app_read.so") }, want: []string{`^FAIL app_read is not loaded \(digits of a challenge\) — asterisk -rx "module load app_read.so"`}},
		{name: "no originate", harm: func() { d.a.MustCLI("module unload res_clioriginate.so") }, heal: func() { d.a.MustCLI("module load res_clioriginate.so") }, want: []string{`^warn no test call was placed: res_clioriginate is not loaded`}},
		{name: "not installed", harm: func() {
			ringfence(d.t, "asterisk", "uninstall", "--conf", d.a.Folder)
			d.a.SetConf("extensions.conf", d.plain)
			d.reload()
		}, want: []string{`^warn the subroutine was not installed`, `^FAIL Asterisk has no subroutine ringfence.* — .ringfence asterisk install --conf `, `^FAIL extensions.conf:5: calls of telecom to _\[\+0-9\]! in the context from-telecom get Dial`}},
		{name: "not included", harm: func() { d.a.SetConf("extensions.conf", d.screened); d.reload() }, want: []string{`^FAIL Asterisk has no subroutine ringfence`}},
		{name: "included no more", harm: func() { d.a.SetConf("extensions.conf", d.screened) }, want: []string{`^FAIL extensions.conf does not include the subroutine any more`}},
		{name: "included, not read", harm: func() {
			text := d.a.ReadConf("extensions.conf")
			d.a.SetConf("extensions.conf", d.screened)
			d.reload()
			d.a.SetConf("extensions.conf", text)
		}, want: []string{`^FAIL Asterisk has no subroutine ringfence.* — asterisk -rx "dialplan reload"`}},
		{name: "not reloaded", harm: func() { d.install("--emergency", "110,119,120,122,12110,95110,999") }, want: []string{`^FAIL the subroutine that Asterisk has in memory is not the one of its files — asterisk -rx`}},
		{
			name: "not screened", harm: func() {
				d.a.SetConf("extensions.conf", strings.Replace(d.a.ReadConf("extensions.conf"), d.screened, d.plain, 1))
				d.reload()
			},
			want: []string{"^FAIL extensions.conf:5: calls of telecom to _\\[\\+0-9\\]! in the context from-telecom get Dial\\(.*\\) before they are screened — write `exten => _\\[\\+0-9\\]!,1,Gosub\\(ringfence,s,1\\)` in its place", `^FAIL no context calls the subroutine`},
		},
		{name: "another country", harm: func() { d.install("--emergency", "911"); d.reload() }, want: []string{`^FAIL emergency calls would be shown to the daemon: calls to 110 119 120 122 12110 95110 — `}},
		{name: "no guard", harm: func() { d.subroutine(",TIMEOUT(absolute)=3)", ")") }, want: []string{`^warn extensions_ringfence.conf was changed since`, `^FAIL no guard takes a call away`}},
		{name: "guard leads nowhere", harm: func() { d.subroutine("exten => T,1", "exten => t,1") }, want: []string{`^FAIL no guard takes a call away`}},
		{name: "test calls do not end", harm: func() { d.subroutine(" same => n,GotoIf($[\"${RINGFENCE_TEST}\" != \"\"]?out)\n", "") }, want: []string{`^FAIL the subroutine does not end test calls`}},
		{name: "test calls go on", harm: func() {
			d.subroutine("exten => *#000#*,1,Gosub(ringfence,s,1)\n same => n,Hangup()", "exten => *#000#*,1,Gosub(ringfence,s,1)\n same => n,Dial(PJSIP/handset/sip:1@"+d.handset.Addr+")")
		}, want: []string{`^FAIL the subroutine does not end test calls`}},
		{name: "file missing", harm: func() { os.Remove(filepath.Join(d.a.Folder, "extensions_ringfence.conf")) }, want: []string{`^FAIL extensions_ringfence.conf is missing — .ringfence asterisk install`}},
		{name: "an older version's", harm: func() {
			text := d.a.ReadConf("extensions_ringfence.conf")
			old := strings.Replace(text, "; Ringfence:", "; Ringfence of old:", 1)
			d.a.SetConf("extensions_ringfence.conf", old)
			d.a.SetConf(dialplan.Manifest, strings.Replace(d.a.ReadConf(dialplan.Manifest), manifestSum(text), manifestSum(old), 1))
		}, want: []string{`^warn extensions_ringfence.conf is not as this version of Ringfence would write it`}},
		{
			name: "sound missing", harm: func() { os.Rename(filepath.Join(d.folder, "data/sounds"), filepath.Join(d.folder, "data/gone")) }, heal: func() { os.Rename(filepath.Join(d.folder, "data/gone"), filepath.Join(d.folder, "data/sounds")) },
			want: []string{`^FAIL the announcement suspected-nuisance is missing`},
		},
		{name: "sound of another rate", harm: func() {
			text, _ := os.ReadFile(filepath.Join(d.folder, "data/sounds/16000/en/suspected-nuisance.wav"))
			os.WriteFile(filepath.Join(d.folder, "data/sounds/suspected-nuisance.wav"), text, 0o644)
		}, heal: func() { os.Remove(filepath.Join(d.folder, "data/sounds/suspected-nuisance.wav")) }, want: []string{`^FAIL Asterisk cannot play .*suspected-nuisance.wav: it has 16000 Hz and 1 channels`}},
		{name: "no WAV", harm: func() { d.a.MustCLI("module unload format_wav.so") }, heal: func() { d.a.MustCLI("module load format_wav.so") }, want: []string{`^FAIL format_wav is not loaded`, `^FAIL Asterisk does not play WAV files`}},
		{name: "unknown trunk", o: func() doctor.AsteriskOptions {
			os.WriteFile(filepath.Join(d.folder, "other.policy"), []byte(strings.Replace(doctorsPolicy, "endpoint:telecom", "endpoint:carrier", 1)), 0o644)
			return doctor.AsteriskOptions{Config: d.with("trunk.toml", "data = ", "policy = \"other.policy\"\ndata = ")}
		}, want: []string{`^warn the endpoint telecom is no trunk of the policy`, `^warn the policy's trunk telecom is matched by endpoint:carrier, and Asterisk has no endpoint of that name`}},
		{name: "no program", o: func() doctor.AsteriskOptions {
			return doctor.AsteriskOptions{Program: "no-such-asterisk", Conf: d.a.Folder}
		}, want: []string{`^FAIL there is no program no-such-asterisk`}},
		{name: "Asterisk down", o: func() doctor.AsteriskOptions {
			text, _ := os.ReadFile(d.program)
			name := filepath.Join(d.t.TempDir(), "asterisk")
			os.WriteFile(name, bytes.Replace(text, []byte("/asterisk.conf"), []byte("/none.conf"), 1), 0o755)
			return doctor.AsteriskOptions{Program: name}
		}, want: []string{`^FAIL Asterisk does not answer on its command line: .*Unable to connect`}},
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
