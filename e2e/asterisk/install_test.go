package asterisk_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ringfence/cmd"
	"ringfence/dialplan"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
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
func startPlainAsterisk(t *testing.T, handset string) *setup.Asterisk {
	t.Helper()
	a := setup.StartAsterisk(t, "127.0.0.1:1", handset)
	if err := os.Remove(filepath.Join(a.Folder, "extensions_ringfence.conf")); err != nil {
		t.Fatal(err)
	}
	a.SetConf("extensions.conf", strings.ReplaceAll(plainDialplan, "HANDSET", handset))
	pjsip := a.ReadConf("pjsip.conf") // the handset shows a password when it calls
	a.SetConf("pjsip.conf", strings.Replace(pjsip, "[handset]\n", "[handset-auth]\ntype=auth\nusername=handset\npassword=x\n[handset]\nauth=handset-auth\n", 1))
	a.MustCLI("module load res_clioriginate.so")
	a.MustCLI("module reload res_pjsip.so")
	a.MustCLI("dialplan reload")
	return a
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
	setup.AsteriskRoot(t)
	d, file := setup.StartDaemonWith(t, doctorsPolicy, "[agi]\nlisten = \"127.0.0.1:0\"")
	handset, caller := phone.New(t), phone.New(t)
	a := startPlainAsterisk(t, handset.Addr)
	before := map[string]string{}
	for _, name := range []string{"extensions.conf", "pjsip.conf", "modules.conf", "asterisk.conf"} {
		before[name] = a.ReadConf(name)
	}
	dial := func(to string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		h, err := caller.Dial(ctx, a.Address, "13800138000", "", to)
		if err != nil {
			t.Fatal(err)
		}
		if _, rang := handset.Invited(to); rang != strings.HasPrefix(h.Final, "200") {
			t.Errorf("to %s: %s, rang %v", to, h.Final, rang)
		}
		return h.Final
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
	a.MustCLI("dialplan reload")
	if got := dial("05925550002"); got != "200 OK" {
		t.Errorf("installed, and not called: %s", got)
	}
	lines := strings.Split(a.ReadConf("extensions.conf"), "\n")
	var n int
	fmt.Sscan(m[1], &n)
	lines[n-1] = m[2] + "\n" + m[3]
	a.SetConf("extensions.conf", strings.Join(lines, "\n"))
	a.MustCLI("dialplan reload")
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
	a.SetConf("extensions.conf", strings.Replace(a.ReadConf("extensions.conf"), m[2]+"\n"+m[3], strings.Split(before["extensions.conf"], "\n")[n-1], 1))
	a.MustCLI("dialplan reload")
	if got := dial("05925550005"); got != "200 OK" {
		t.Errorf("uninstalled: %s", got)
	}
	for name, text := range before {
		if a.ReadConf(name) != text {
			t.Errorf("%s is other than before: %q", name, a.ReadConf(name))
		}
	}
	if left, _ := filepath.Glob(filepath.Join(a.Folder, "*ringfence*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	a.MustBeIdle()
}

// Calls to the emergency numbers of several countries never come to the daemon, which here only counts, and those that
// say they are from one do; and what phones dial does not, behind a digit or two for an outside line.
func TestEmergencyAsteriskCountries(t *testing.T) {
	setup.AsteriskRoot(t)
	var asked atomic.Int32
	address, _ := setup.Fault{Serve: func(c net.Conn) { asked.Add(1); c.Close() }}.Listen(t, "127.0.0.1:0")
	handset, caller := phone.New(t), phone.New(t)
	a := startPlainAsterisk(t, handset.Addr)
	conf := a.ReadConf("extensions.conf")
	a.SetConf("extensions.conf", strings.Replace(conf, "exten => _[+0-9]!,1,Dial(", screenedLine, 1)+
		"[from-telecom](+)\nexten => _o[u]t-.,1,Gosub(ringfence,dialled,1)\n same => n,Dial(PJSIP/handset/sip:${EXTEN}@"+handset.Addr+",30)\n"+
		"exten => _li[n]e-.,1,Set(RINGFENCE_LINE=${EXTEN:5})\n same => n,Gosub(ringfence,dialled,1)\n same => n,Dial(PJSIP/handset/sip:${EXTEN}@"+handset.Addr+",30)\n")
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
			e := dialplan.Emergency{Numbers: numbers, Expression: p.EmergencyExpression(numbers)}
			if _, err := dialplan.InstallAsterisk(a.Folder, dialplan.Asterisk{AGI: address, Star: dialplan.DefaultStar, Release: dialplan.DefaultRelease}, e, false); err != nil {
				t.Fatal(err)
			}
			a.MustCLI("dialplan reload")
			if shown := dialplan.ReadShown(a.MustCLI("dialplan show ringfence")); len(shown.Contexts) != 1 {
				t.Fatalf("%+v", shown)
			} else if inFile, err := dialplan.Read(a.Folder); err != nil || !inFile.Context("ringfence").Same(shown.Contexts[0]) {
				t.Error("what Asterisk shows is not what the file says")
			}
			try := func(from, to string, want int32) {
				t.Helper()
				asked.Store(0)
				handset.Forget(to)
				if rang, _ := setup.DialAndMeasureFrom(t, caller, handset, a.Address, from, to); rang > 2*time.Second || asked.Load() != want {
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
	a.MustBeIdle()
}
