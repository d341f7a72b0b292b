package doctor

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/daemon"
	"ringfence/dialplan"
)

// fakeAsterisk is a program that answers commands of Asterisk's command line from files. What a real one says to all of
// this, and to a call, is tested in e2e.
type fakeAsterisk struct {
	t       *testing.T
	folder  string // of the answers and of the daemon's files
	program string
	config  string
}

const (
	fakeVersion   = "Asterisk 16.28.0~dfsg-0+deb11u10 built by nobody @ buildd on a unknown running Linux on 2026-06-15 08:03:02 UTC\n"
	fakeEndpoints = `
 Endpoint:  <Endpoint/CID.....................................>  <State.....>  <Channels.>
    I/OAuth:  <AuthId/UserName...........................................................>
        Match:  <criteria.........................>
==========================================================================================

 Endpoint:  201/201                                              Unavailable   0 of inf
     InAuth:  201-auth/201
        Aor:  201                                                2

 Endpoint:  telecom                                              Unavailable   0 of inf
    OutAuth:  telecom-auth/us
   Identify:  telecom/telecom
        Match: 203.0.113.7/32

Objects found: 2

`
	fakeFormats = "Format     Name       Extensions          \nslin16     wav16      wav16               \nslin       wav        wav                 \n"
	fakePaths   = "--- Translation paths SRC Codec \"slin\" sample rate 8000 ---\n\tslin:8000        To ulaw:8000       : (slin@8000)->(ulaw@8000)                                    \n\tslin:8000        To alaw:8000       : No Translation Path                                         \n\tslin:8000        To g722:16000      : No Translation Path                                         \n"
)

func startFake(t *testing.T) *fakeAsterisk {
	t.Helper()
	folder, err := os.MkdirTemp("", "doc-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	f := &fakeAsterisk{t: t, folder: folder, program: filepath.Join(folder, "asterisk"), config: filepath.Join(folder, "ringfence.toml")}
	f.write("asterisk", "#!/bin/sh\n[ \"$1\" = -rx ] || exit 2\nname=$(echo \"$2\" | tr ' /' '__')\nif [ -f '"+folder+"'/answers/\"$name\" ]; then cat '"+folder+"'/answers/\"$name\"; else echo \"No such command '$2'\"; fi\n")
	if err := os.Chmod(f.program, 0o755); err != nil {
		t.Fatal(err)
	}
	f.write("policy.toml", testPolicy+"[trunks.carrier]\nmatch = [\"endpoint:telecom\"]\n")
	f.write("ringfence.toml", "data = \"data\"\nsocket = \"s\"\n[screen]\nlisten = \"127.0.0.1:0\"\n[agi]\nlisten = \"127.0.0.1:4573\"\n")
	wave, err := os.ReadFile("../conf/sounds/8000/en/suspected-nuisance.wav")
	if err != nil {
		t.Fatal(err)
	}
	f.write("data/sounds/suspected-nuisance.wav", string(wave))
	shown, err := os.ReadFile("testdata/dialplan-show.txt")
	if err != nil {
		t.Fatal(err)
	}
	modules := "Module                         Description                              Use Count  Status      Support Level\n"
	for _, m := range dialplan.AsteriskModules {
		modules += fmt.Sprintf("%-30s %-40.40s %d          Running              core\n", m.Name+".so", m.What, 0)
	}
	modules += "chan_pjsip.so                  PJSIP Channel Driver                     0          Running              core\nres_pjsip_header_funcs.so      PJSIP Header Functions                   0          Running              core\n" +
		"res_clioriginate.so            Call origination                         0          Not Running          core\n"
	for command, text := range map[string]string{
		"core show version": fakeVersion, "core show settings": "PBX Core settings\n  Version: 16\n", "module show": modules,
		"dialplan show": strings.ReplaceAll(string(shown), "agi://AGI/", "agi://127.0.0.1:4573/"), "pjsip show endpoints": fakeEndpoints,
		"pjsip show endpoint telecom": " allow                              : (ulaw|alaw)\n context                            : from-telecom\n",
		"core show file formats":      fakeFormats, "core show translation paths slin": fakePaths,
	} {
		f.answer(command, text)
	}
	return f
}

func (f *fakeAsterisk) write(name, text string) {
	f.t.Helper()
	name = filepath.Join(f.folder, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fakeAsterisk) answer(command, text string) {
	f.t.Helper()
	f.write("answers/"+strings.NewReplacer(" ", "_", "/", "_").Replace(command), text)
}

// change changes an answer.
func (f *fakeAsterisk) change(command, old, new string) {
	f.t.Helper()
	name := filepath.Join(f.folder, "answers", strings.ReplaceAll(command, " ", "_"))
	text, err := os.ReadFile(name)
	if err != nil || !strings.Contains(string(text), old) {
		f.t.Fatalf("%s has no %q (%v)", command, old, err)
	}
	f.answer(command, strings.ReplaceAll(string(text), old, new))
}

func (f *fakeAsterisk) examine() []string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
	defer cancel()
	var lines []string
	RunAsterisk(ctx, AsteriskOptions{Config: f.config, Program: f.program}, func(c Check) {
		lines = append(lines, strings.TrimSuffix(c.Status+" "+c.What+" — "+c.Todo, " — "))
	})
	return lines
}

// What depends on Asterisk's version, its codecs, endpoints and user.
//
// long: because it is a table.
func TestAsteriskAnswers(t *testing.T) {
	for title, c := range map[string]struct {
		harm func(f *fakeAsterisk)
		want []string // regular expressions for lines; with ! in front for none
	}{
		"as it is": {nil, []string{
			`^ok Asterisk 16.28.0~dfsg-0\+deb11u10 runs$`, `^ok the 12 modules`, `^ok the subroutine hands calls to the daemon \(127.0.0.1:4573\)`, `^ok calls to emergency numbers`,
			`^ok calls of telecom are screened`, `^ok the 1 endpoints`, `^warn no test call was placed: res_clioriginate`, `^ok the switch can read`, `^warn announcements cannot be heard on calls with alaw`, `!\b201\b`,
		}},
		"13":        {func(f *fakeAsterisk) { f.answer("core show version", "Asterisk 13.38.3 built by x\n") }, []string{`^FAIL Asterisk 13.38.3 runs — .* 16 and later`}},
		"certified": {func(f *fakeAsterisk) { f.answer("core show version", "Asterisk certified/18.9-cert4 built by x\n") }, []string{`^ok Asterisk certified/18.9-cert4 runs`}},
		"22":        {func(f *fakeAsterisk) { f.answer("core show version", "Asterisk 22.10.0~dfsg built by x\n") }, []string{`^ok Asterisk 22.10.0~dfsg runs`}},
		"from git":  {func(f *fakeAsterisk) { f.answer("core show version", "Asterisk GIT-master-1 built by x\n") }, []string{`^warn which Asterisk runs is not known`}},
		"a phone alone": {func(f *fakeAsterisk) {
			f.change("pjsip show endpoints", "    OutAuth:  telecom-auth/us", "     InAuth:  telecom-auth/us")
		}, []string{`^warn Asterisk has no endpoint that calls come in by without a password`, `!of telecom`}},
		"no context": {func(f *fakeAsterisk) { f.change("pjsip show endpoint telecom", "from-telecom", "nowhere") }, []string{`^warn calls of telecom come to the context nowhere, which Asterisk does not have`}},
		"a trunk by its address": {func(f *fakeAsterisk) {
			f.write("policy.toml", testPolicy+"[trunks.carrier]\nmatch = [\"203.0.113.0/24\"]\n")
		}, []string{`!is no trunk of the policy`}},
		"no trunk": {func(f *fakeAsterisk) { f.write("policy.toml", testPolicy) }, []string{`^warn the endpoint telecom is no trunk of the policy`}},
		"a trunk that is believed later": {func(f *fakeAsterisk) {
			f.change("pjsip show endpoint telecom", " context ", " trust_connected_line               : yes\n context ")
		}, []string{`^warn callers of telecom can change the number that is shown of them .* — write trust_connected_line=no .*\[telecom\]\(\+\)`}},
		"a trunk that is not": {func(f *fakeAsterisk) {
			f.change("pjsip show endpoint telecom", " context ", " trust_connected_line               : no\n context ")
		}, []string{`!can change the number`}},
		"decoys": {func(f *fakeAsterisk) {
			f.write("policy.toml", testPolicy+"[lines.unused]\nnumbers = [\"05925550900-05925550999\"]\ndecoy = true\n")
			f.answer("dialplan show 05925550900@from-telecom", "[ Context 'from-telecom' created by 'pbx_config' ]\n  '_[+0-9]!' =>     1. Gosub(ringfence,s,1)\n")
		}, []string{`^ok calls to the policy's decoys come`}},
		"decoys that are no extensions": {func(f *fakeAsterisk) {
			f.write("policy.toml", testPolicy+"[lines.unused]\nnumbers = [\"05925550900-05925550999\"]\ndecoy = true\n")
			f.answer("dialplan show 05925550900@from-telecom", "There is no existence of 05925550900@from-telecom extension\n")
		}, []string{`^warn the context from-telecom has no extension for 05925550900, which the policy has as decoys`}},
		"no codec":       {func(f *fakeAsterisk) { f.change("pjsip show endpoint telecom", "(ulaw|alaw)", "(alaw|g722)") }, []string{`^FAIL announcements cannot be heard: Asterisk cannot make alaw, g722 of them`}},
		"all codecs":     {func(f *fakeAsterisk) { f.change("pjsip show endpoint telecom", "(ulaw|alaw)", "(ulaw)") }, []string{`^ok announcements can be heard on all codecs of the trunks \(ulaw\)`}},
		"no header":      {func(f *fakeAsterisk) { f.change("module show", "res_pjsip_header_funcs", "res_other") }, []string{`^FAIL res_pjsip_header_funcs is not loaded`}},
		"another daemon": {func(f *fakeAsterisk) { f.change("dialplan show", "agi://127.0.0.1:4573/", "agi://[2001:db8::7]:4573/") }, []string{`^FAIL the dialplan hands calls to \[2001:db8::7\]:4573, the daemon listens on 127.0.0.1:4573`}},
		"standard port":  {func(f *fakeAsterisk) { f.change("dialplan show", "agi://127.0.0.1:4573/", "agi://localhost/") }, []string{`^ok the subroutine hands calls to the daemon \(localhost:4573\)`}},
		"no AGI":         {func(f *fakeAsterisk) { f.change("dialplan show", "AGI(agi://", "NoOp(agi://") }, []string{`^FAIL the subroutine does not hand calls to the daemon`, `^FAIL no guard`}},
		"no 110": {func(f *fakeAsterisk) {
			f.change("dialplan show", "(110|119|120|122|12110|95110)$", "(119|120|122|12110|95210)$")
		}, []string{`^FAIL .*(\b110 95110\b)`}},
		"an earlier kit, whose emergency callers pass": {func(f *fakeAsterisk) {
			f.change("dialplan show", `3. GotoIf(${REGEX("(110|119|120|122|12110|95110)$" ${rf_to})}?:ask)`, `3. GotoIf(${REGEX("(110|119)( |$)" ${rf_to} ${rf_from})}?:ask)`+"    [x:1]\n"+`     13. GotoIf($[${REGEX("^(110|119)$" ${rf_from})} & 1]?out)`)
		}, []string{`^FAIL anybody who shows an emergency number as his own .*calls from 110 119`}},
		"diverts tests": {func(f *fakeAsterisk) {
			f.change("dialplan show", `GotoIf($["${RINGFENCE_TEST}" != ""]?out)`, `NoOp(${RINGFENCE_TEST})`)
		}, []string{`^FAIL the subroutine does not end test calls`}},
		"tests go on": {func(f *fakeAsterisk) { f.change("dialplan show", "Goto(*#000#*,1)", "Goto(phones,1,1)") }, []string{`^FAIL the subroutine does not end test calls`}},
		"Asterisk's user cannot read": {func(f *fakeAsterisk) {
			if os.Geteuid() != 0 {
				f.t.Skip("NOT TESTED: only root can run a process of another user")
			}
			p := exec.Command("sleep", "60")
			p.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			if err := p.Start(); err != nil {
				f.t.Fatal(err)
			}
			f.t.Cleanup(func() { p.Process.Kill(); p.Wait() })
			f.write("asterisk.pid", fmt.Sprintln(p.Process.Pid))
			f.answer("core show settings", "  PID file:                    "+filepath.Join(f.folder, "asterisk.pid")+"\n")
			os.Chmod(filepath.Join(f.folder, "data/sounds"), 0o700)
		}, []string{`^FAIL .*/data/sounds has mode 0700, so the user (nobody|with the id 65534), as which the switch runs, cannot read .*suspected-nuisance.wav — .*chmod o\+rX`}},
		"says nothing": {func(f *fakeAsterisk) { f.write("asterisk", "#!/bin/sh\nexit 1\n") }, []string{`^FAIL Asterisk does not answer on its command line: exit status 1`}},
	} {
		t.Run(title, func(t *testing.T) {
			f := startFake(t)
			if c.harm != nil {
				c.harm(f)
			}
			lines := f.examine()
			all := strings.Join(lines, "\n")
			for _, want := range c.want {
				text, not := strings.CutPrefix(want, "!")
				if regexp.MustCompile("(?m)"+text).MatchString(all) == not {
					t.Errorf("%s:\n%s", want, all)
				}
			}
		})
	}
}

// The doctor's knock is answered by a daemon, counts for no call, and tells other servers from it.
func TestKnockAGI(t *testing.T) {
	f := startFake(t)
	f.write("ringfence.toml", "data = \"data\"\nsocket = \"s\"\n[screen]\nlisten = \"127.0.0.1:0\"\n[agi]\nlisten = \"127.0.0.1:0\"\n")
	c, err := conf.LoadDaemon(f.config)
	if err != nil {
		t.Fatal(err)
	}
	d, err := daemon.Start(t.Context(), c, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := d.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := knockAGI(ctx, d.AsteriskAddress()); err != nil {
		t.Error(err)
	}
	if s, err := d.Desk().Status(ctx); err != nil || s.Calls != 0 || len(s.FailOpen) != 0 {
		t.Errorf("%+v %v", s, err)
	}
	for _, says := range []string{"220 mail.example.com ESMTP\r\n", "", "VERBOSE \"x\"\n"} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte(says))
			conn.Close()
		}()
		if err := knockAGI(ctx, ln.Addr().String()); err == nil {
			t.Errorf("%q was taken for a daemon", says)
		}
		ln.Close()
	}
}
