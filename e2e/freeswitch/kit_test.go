package freeswitch_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/doctor"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
	"ringfence/eslbridge"
)

// Calls to emergency numbers pass a daemon that refuses everything, and it never hears of them. Of calls that say they are
// from one it does: they pass by its word alone, and are in the journal.
func TestEmergencyReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; the dialplan was read, not run")
	}
	d, _ := setup.StartDaemonWith(t, setup.RejectAll+"[numbers]\nnever_screen_trunks = [\"carrier\"]\n[trunks.carrier]\nmatch = \"203.0.113.0/24\"\n")
	handset, caller := phone.New(t), phone.New(t)
	server := setup.StartFreeSWITCH(t, program, d.Address(), handset.Addr, setup.FreePort(t), true)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	screened := 0
	for i, c := range []struct {
		from, to string
		extra    []string
		rings    bool
	}{
		{"110", "05925550001", nil, false},
		{"+86119", "05925550002", nil, false},
		{"0592120", "05925550003", nil, false},
		{"95110", "05925550004", nil, false},
		{"95211613", "05925550006", []string{"P-Asserted-Identity: <sip:110@x>"}, false},
		{"95211613", "05925550007", []string{"Remote-Party-ID: <sip:110@x>;party=calling"}, false},
		{"95211613", "05925550008", []string{"P-Preferred-Identity: <sip:110@x>"}, false},
		{"13800138000", "110", nil, true},
		{"13800138000", "12110", nil, true},
		{"110", "122", nil, true},
		{"13800138000", "0592110", nil, true},
		{"13800138000", "05925550005", nil, false},
	} {
		h, err := caller.Dial(ctx, server, c.from, "", c.to, c.extra...)
		if err != nil {
			t.Fatal(err)
		}
		if _, rang := handset.Invited(c.to); rang != c.rings || !c.rings && h.Final != "603 Decline" {
			t.Errorf("call %d, from %s to %s, rang %v: %q", i, c.from, c.to, rang, h.Final)
		}
		if !c.rings {
			screened++
		}
	}
	total, by, all := setup.RecordsOf(t, d, screened)
	if total != screened {
		t.Errorf("%d records of %d calls that were screened: %v", total, screened, by)
	}
	for _, r := range all {
		if r.Action != "reject" {
			t.Errorf("%+v", r)
		}
	}
}

// The doctor's test call is decided upon like any other, and rings nowhere, whatever a rule would do with it.
func TestDoctorReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; the doctor saw a simulated event socket only")
	}
	for _, mode := range []string{"sync", "async"} {
		t.Run(mode, func(t *testing.T) {
			events := setup.FreePort(t)
			attach := fmt.Sprintf("[[attach]]\nkind = \"freeswitch\"\naddress = \"127.0.0.1:%d\"\npassword = %q\n", events, setup.EventPassword)
			d, file := setup.StartDaemonWith(t, setup.RejectAll, attach)
			records, stop := d.Desk().Watch()
			defer stop()
			handset := phone.New(t)
			setup.StartFreeSWITCH(t, program, d.Address(), handset.Addr, events, mode == "async")
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			var said []string
			sound := doctor.Run(ctx, doctor.Options{Config: file}, func(c doctor.Check) {
				said = append(said, fmt.Sprintf("%s %s — %s", c.Status, c.What, c.Todo))
			})
			text := strings.Join(said, "\n")
			if !sound || !strings.Contains(text, "a test call from +99900") || !strings.Contains(text, `divert by rule "no number"`) ||
				!strings.Contains(text, "are not shown to the daemon") || strings.Contains(text, "without async") != (mode == "sync") {
				t.Errorf("the doctor found:\n%s", text)
			}
			var r console.Record
			select {
			case r = <-records:
			case <-ctx.Done():
				t.Fatal("no record came")
			}
			if r.Rule != "no number" || r.Action != "divert" {
				t.Errorf("%+v", r)
			}
			// The switch takes a call off its list a moment after the call has ended, by a thread of its own.
			sw := setup.DialSwitch(t, events)
			for end := time.Now().Add(5 * time.Second); ; <-time.After(20 * time.Millisecond) {
				n, err := sw.API(ctx, "show calls count")
				if err == nil && strings.HasPrefix(strings.TrimSpace(n), "0 total") {
					break
				}
				if time.Now().After(end) {
					t.Errorf("calls left: %q, %v", n, err)
					break
				}
			}
			if in, rang := handset.Invited("3001"); rang {
				t.Errorf("a handset rang: %+v", in)
			}
			if in, rang := handset.Invited("*#000#*"); rang {
				t.Errorf("a handset rang: %+v", in)
			}
		})
	}
}

// An <interface-allowlist> as it stands in the vanilla switch.conf.xml: the module is there, its socket application is not,
// and each call that comes to it ends. The dialplan cannot see that, so the doctor must.
func TestAllowlistReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; the doctor saw a simulated event socket only")
	}
	events := setup.FreePort(t)
	d, file := setup.StartDaemonWith(t, setup.RejectAll, fmt.Sprintf("[[attach]]\nkind = \"freeswitch\"\naddress = \"127.0.0.1:%d\"\npassword = %q\n", events, setup.EventPassword))
	setup.StartFreeSWITCHWith(t, program, d.Address(), phone.New(t).Addr, events, true, func(conf string) error {
		list := "<include>\n<interface-allowlist>"
		for _, m := range []string{"mod_commands", "mod_dptools", "mod_dialplan_xml", "mod_sofia"} {
			list += `<allow name="` + m + `"/>`
		}
		folder := filepath.Join(conf, "switch")
		return errors.Join(os.Mkdir(folder, 0o755), os.WriteFile(filepath.Join(folder, "allow.xml"), []byte(list+"</interface-allowlist>\n</include>\n"), 0o644))
	})
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if text, err := setup.DialSwitch(t, events).API(ctx, "show interfaces"); err != nil || !strings.Contains(text, "application,set,mod_dptools") {
		t.Fatalf("the switch's interfaces are %q, %v", text, err)
	} else if !strings.Contains(text, "api,interface_allowlist_dump,") {
		t.Skip("NOT TESTED: this switch is older than 1.11.2 and knows no <interface-allowlist>")
	}
	var said []string
	sound := doctor.Run(ctx, doctor.Options{Config: file}, func(c doctor.Check) {
		said = append(said, fmt.Sprintf("%s %s — %s", c.Status, c.What, c.Todo))
	})
	if text := strings.Join(said, "\n"); sound || !strings.Contains(text, "FAIL the switch has its modules and not all that is needed of them: socket; ") || !strings.Contains(text, "did not reach the daemon") {
		t.Errorf("the doctor found:\n%s", text)
	}
}

// A switch that finds the port of its event socket taken screens nothing: it answers our connect and ends the
// conversation. The journal must not say of a call that rang that it was rejected.
func TestEventPortTakenReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH")
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	d, _ := setup.StartDaemonWith(t, setup.RejectAll, "")
	records, stop := d.Desk().Watch()
	defer stop()
	handset := phone.New(t)
	server := setup.StartFreeSWITCH(t, program, d.Address(), handset.Addr, taken.Addr().(*net.TCPAddr).Port, true)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	h, err := phone.New(t).Dial(ctx, server, "95211613", "", "05925550100")
	if _, rang := handset.Invited("05925550100"); err != nil || !rang {
		t.Fatalf("the handset rang: %v, %v, %+v", rang, err, h)
	}
	select {
	case r := <-records:
		if r.Action != "allow" || r.Would != "reject" || r.Rule != "fail-open" || !strings.Contains(r.Reason, "event socket") {
			t.Errorf("recorded %+v", r)
		}
	case <-ctx.Done():
		t.Fatal("no record came")
	}
}

// What the star code and a dialled number bring to the daemon, and what becomes of them when it hangs.
func TestIntentsReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; the dialplan was read, not run")
	}
	address, shown := setup.SilentDaemon(t)
	handset, events := phone.New(t), setup.FreePort(t)
	setup.StartFreeSWITCH(t, program, address, handset.Addr, events, true)
	for _, c := range []struct {
		name, to, variables string
		intent, guard       string // "" : the daemon is not asked
		rings               bool
	}{
		{"report", "*57", "sip_authorized=true", "report", "report-failed XML ringfence-open", false},
		{"release", "*58", "sip_authorized=true", "release", "report-failed XML ringfence-open", false},
		{"release from outside", "*58", "sip_authorized=true,ringfence_action=allow", "", "", false},
		{"report from outside", "*57", "sip_authorized=true,ringfence_action=allow", "", "", false},
		{"report without a password", "*57", "x=1", "", "", false},
		{"dialled", "13912345678", "sip_authorized=true", "dialled", "13912345678 XML ringfence-open-dialled", true},
		{"dialled, emergency", "110", "sip_authorized=true", "", "", true},
		{"dialled, emergency behind 9", "9110", "sip_authorized=true", "", "", true},
		{"dialled from outside", "13912345679", "sip_authorized=true,ringfence_action=allow", "", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			sw := setup.DialSwitch(t, events)
			start := time.Now()
			answer, err := sw.API(ctx, fmt.Sprintf("originate {%s,originate_timeout=10}loopback/%s/default/XML &hangup", c.variables, c.to))
			took := time.Since(start)
			if err != nil && !errors.Is(err, eslbridge.ErrRefused) {
				t.Fatal(err)
			}
			if _, rang := handset.Invited(c.to); rang != c.rings {
				t.Errorf("rang %v (%s)", rang, answer)
			}
			var f *eslbridge.Frame
			select {
			case f = <-shown:
			default: // the call is over: what it brought is there
			}
			if c.intent == "" {
				if f != nil {
					t.Error("the daemon was shown the call")
				}
				return
			}
			if f == nil {
				t.Fatal("the daemon was not shown the call")
			}
			for name, want := range map[string]string{
				"variable_ringfence_intent": c.intent, "variable_ringfence_guard_to": c.guard,
				"variable_socket_resume": "true", "Socket-Mode": "async", "Control": "full", "Caller-Destination-Number": c.to,
			} {
				if got, _ := f.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if task, _ := f.Get("variable_ringfence_guard_task"); strings.Trim(task, "0123456789") != "" || task == "" {
				t.Errorf("the guard's task is %q", task)
			}
			if took < 900*time.Millisecond || took > setup.Promise {
				t.Errorf("the guard took the call after %v", took)
			}
		})
	}
}
