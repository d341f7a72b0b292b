package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/console"
)

// asteriskRoot is where an Asterisk lies, unpacked: what asterisk.sh gets, once in a run. A run without one says
// so, and fails where RINGFENCE_NEED_ASTERISK is set.
func asteriskRoot(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT TESTED: calls through a real Asterisk take too long for -short")
	}
	root, err := getAsterisk()
	if err != nil {
		if os.Getenv("RINGFENCE_NEED_ASTERISK") != "" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: THIS RUN HAD NO REAL ASTERISK: %v; docs/measured.md has what the last run on one saw", err)
	}
	return root
}

var getAsterisk = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "sh", "asterisk.sh")
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, said.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
})

// asterisk is one that runs on loopback.
type asterisk struct {
	t       testing.TB
	address string // SIP
	manager string // AMI (asterisk_outcomes_test.go)
	folder  string
	program func(args ...string) *exec.Cmd
}

// asteriskModules are the modules that are loaded, beside all of func_*, format_*, bridge_* and res_sorcery_*.
const asteriskModules = `res_timing_timerfd res_pjproject res_pjsip res_pjsip_session res_pjsip_sdp_rtp res_pjsip_caller_id
	res_pjsip_diversion res_pjsip_endpoint_identifier_ip res_pjsip_rfc3326 res_pjsip_header_funcs res_pjsip_pubsub res_pjsip_dtmf_info
	res_rtp_asterisk res_speech res_agi chan_pjsip pbx_config app_dial app_playback app_read app_verbose app_stack codec_ulaw codec_gsm`

// The dialplan around the subroutine: what a trunk's calls get, and what the same get where nothing is screened.
const asteriskDialplan = `
[general]
autofallthrough=yes
[from-telecom]
exten => _[+0-9]!,1,Gosub(ringfence,s,1)
 ; Somebody's dialplan that mentions what we have set: a text that is not inert would be expanded here.
 same => n,Set(seen=${RINGFENCE_RULE} ${RINGFENCE_REASON} ${CALLERID(name)} ${CALLERID(num)})
 same => n,Set(seen_again=$["${seen}" = ""])
 same => n,Verbose(0,limit ${EXTEN} ${TIMEOUT(absolute)} guard=${RINGFENCE_GUARD} action=${RINGFENCE_ACTION} exit=${AGIEXITONHANGUP})
 same => n,Dial(PJSIP/handset/sip:${EXTEN}@HANDSET,30,${IF($["${RINGFENCE_WHISPER}" = ""]?:A(${RINGFENCE_WHISPER}))})
exten => _0593.,1,Dial(PJSIP/handset/sip:${EXTEN}@HANDSET,30) ; the same, where nothing is screened
exten => _0594.,1,Dial(PJSIP/handset/sip:${EXTEN}@HANDSET,30)
exten => _u[n]scree[n]ed-.,1,Dial(PJSIP/handset/sip:${EXTEN:11}@HANDSET,30)
exten => _limited-.,1,Set(TIMEOUT(absolute)=100)
 same => n,Goto(${EXTEN:8},1)
exten => T,1,Verbose(0,the administrator's own limit)
exten => h,1,Verbose(0,the administrator's own h)
[public]
exten => _[0-9]!,1,Goto(from-telecom,${EXTEN},1)
[elsewhere]
exten => _[0-9]!,1,Dial(PJSIP/handset/sip:elsewhere-${EXTEN}@HANDSET,30)
`

// startAsterisk runs an Asterisk of its own with the subroutine that we ship, which asks the daemon at agi.
func startAsterisk(t testing.TB, agi, handset string) *asterisk {
	t.Helper()
	root := asteriskRoot(t)
	folder, err := os.MkdirTemp("", "ast") // short: a socket lies in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	modules, loader := "", ""
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch name := filepath.Base(path); {
		case name == "chan_pjsip.so":
			modules = filepath.Dir(path)
		case strings.HasPrefix(name, "ld-") && d.Type().IsRegular():
			loader = path
		}
		return nil
	})
	if modules == "" || loader == "" {
		t.Fatalf("there is no Asterisk in %s: remove that folder, so that it is got again", root)
	}
	sip, manager := freePort(t), freePort(t)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"var", "spool", "run", "log"} {
		if err := os.Mkdir(filepath.Join(folder, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("asterisk.conf", fmt.Sprintf("[directories]\nastetcdir => %[1]s\nastmoddir => %[2]s\nastvarlibdir => %[1]s/var\nastdbdir => %[1]s/var\nastkeydir => %[1]s/var\nastdatadir => %[3]s/usr/share/asterisk\nastagidir => %[1]s/var\nastspooldir => %[1]s/spool\nastrundir => %[1]s/run\nastlogdir => %[1]s/log\n[options]\nverbose = 3\nhideconnect = yes\n", folder, modules, root))
	load := "[modules]\nautoload=no\n"
	for _, m := range strings.Fields(asteriskModules) {
		load += "load => " + m + ".so\n"
	}
	for _, pattern := range []string{"res_sorcery_*", "func_*", "format_*", "bridge_*"} {
		names, _ := filepath.Glob(filepath.Join(modules, pattern+".so"))
		for _, n := range names {
			load += "load => " + filepath.Base(n) + "\n"
		}
	}
	write("modules.conf", load)
	write("logger.conf", "[logfiles]\nout => notice,warning,error,verbose(3)\n")
	write("rtp.conf", "[general]\nrtpstart=33000\nrtpend=35000\n")
	endpoint := "type=endpoint\ndisallow=all\nallow=ulaw\nmedia_address=127.0.0.1\nbind_rtp_to_media_address=yes\ndirect_media=no\ndtmf_mode=info\ntransport=udp\n"
	write("pjsip.conf", fmt.Sprintf("[udp]\ntype=transport\nprotocol=udp\nbind=127.0.0.1:%d\n"+
		"[telecom]\n%scontext=from-telecom\ntrust_id_inbound=yes\n"+
		"[telecom]\ntype=identify\nendpoint=telecom\nmatch=127.0.0.1\n"+
		"[handset]\n%scontext=from-handset\n", sip, endpoint, endpoint)+fmt.Sprintf(asteriskPhones, endpoint))
	write("manager.conf", fmt.Sprintf(asteriskManager, manager))
	subroutine, err := fs.ReadFile(conf.Asterisk, "asterisk/extensions_ringfence.conf")
	if err != nil {
		t.Fatal(err)
	}
	write("extensions_ringfence.conf", strings.ReplaceAll(string(subroutine), "agi://127.0.0.1:4573/", "agi://"+agi+"/"))
	write("extensions.conf", strings.ReplaceAll(asteriskDialplan+asteriskOutside, "HANDSET", handset)+"\n#include extensions_ringfence.conf\n")
	libraries := strings.Join([]string{root + "/lib/x86_64-linux-gnu", root + "/usr/lib/x86_64-linux-gnu", root + "/usr/lib"}, ":")
	a := &asterisk{t: t, address: fmt.Sprintf("127.0.0.1:%d", sip), manager: fmt.Sprintf("127.0.0.1:%d", manager), folder: folder, program: func(args ...string) *exec.Cmd {
		return exec.Command(loader, append([]string{"--library-path", libraries, root + "/usr/sbin/asterisk", "-C", folder + "/asterisk.conf"}, args...)...)
	}}
	out, err := os.Create(filepath.Join(folder, "console"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := a.program("-f")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan bool)
	go func() { defer close(ended); cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(folder, "log", "out"))
			text, _ := os.ReadFile(filepath.Join(folder, "console"))
			t.Logf("Asterisk said:\n%s\n%.3000s", log[max(0, len(log)-40000):], text)
		}
	})
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if text, err := a.program("-rx", "core waitfullybooted").CombinedOutput(); err == nil && bytes.Contains(text, []byte("fully booted")) {
			return a
		}
		select {
		case <-ended:
			t.Fatal("Asterisk ended")
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatal("Asterisk did not come up")
	return nil
}

// cli runs a command on Asterisk's own command line.
func (a *asterisk) cli(command string) string {
	a.t.Helper()
	text, err := a.program("-rx", command).CombinedOutput()
	if err != nil {
		a.t.Fatalf("%s: %v\n%s", command, err, text)
	}
	return string(text)
}

// said is Asterisk's log so far.
func (a *asterisk) said() string {
	text, _ := os.ReadFile(filepath.Join(a.folder, "log", "out"))
	return string(text)
}

// idle fails the test if a channel is left, which it gives some time to end.
func (a *asterisk) idle() {
	a.t.Helper()
	text := ""
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-time.After(100 * time.Millisecond) {
		if text = a.cli("core show channels count"); strings.Contains(text, "0 active channels") {
			return
		}
	}
	a.t.Errorf("channels are left:\n%s", a.cli("core show channels concise"))
}

// The scenarios, with what differs: which SIP answers there are, and that without a name the handset is shown none.
func TestRealAsterisk(t *testing.T) {
	asteriskRoot(t)
	d, _ := startDaemonWith(t, strings.Replace(testPolicy, `"profile:external"`, `"profile:external", "endpoint:telecom"`, 1), "[agi]\nlisten = \"127.0.0.1:0\"")
	if _, err := d.Desk().AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "95211613", Reason: "fake JD service"}}, false); err != nil {
		t.Fatal(err)
	}
	handset, caller := newPhone(t), newPhone(t)
	a := startAsterisk(t, d.AsteriskAddress(), handset.addr)
	var these []scenario
	for _, s := range scenarios {
		switch s.final {
		case "600 Busy Everywhere":
			s.final = "486 Busy Here"
		case "607 Unwanted", "608 Rejected":
			s.final = "603 Decline"
		}
		if s.display == "" && s.shown == s.from {
			s.shown = ""
		} else if label, ok := strings.CutSuffix(s.shown, " "+s.from); ok {
			s.shown = label + " +86" + s.from // FreeSWITCH says the number for the name
		}
		these = append(these, s)
	}
	runThese(t, d, unnamed{&real{a.address, handset, caller}}, these)
	a.idle()
}

// unnamed is a real switch whose From has no name where there is none.
type unnamed struct{ *real }

func (b unnamed) place(ctx context.Context, s scenario) (outcome, error) {
	o, err := b.real.place(ctx, s)
	if strings.HasPrefix(o.shown, "<sip:") {
		o.shown = ""
	}
	return o, err
}

// The actions on Asterisk: the same rows as on FreeSWITCH, with what differs.
func TestActionsAsterisk(t *testing.T) {
	asteriskRoot(t)
	policy := "country = \"CN\"\ntimezone = \"Asia/Shanghai\"\n[trunks.carrier]\nmatch = [\"endpoint:telecom\"]\nidentity = [\"pai\", \"from\"]\n"
	for i, a := range actionRows {
		policy += fmt.Sprintf("[[rule]]\nname = \"rule %d\"\nwhen = { caller = [\"9526%04d\"] }\n%s\n", i, i, strings.ReplaceAll(a.rule, "3002 XML public", "3002 XML elsewhere"))
	}
	d, file := startDaemonWith(t, policy, "[agi]\nlisten = \"127.0.0.1:0\"")
	writeTones(t, filepath.Dir(file))
	handset := newPhone(t)
	a := startAsterisk(t, d.AsteriskAddress(), handset.addr)
	rows := []string{"| action | media | the caller saw | the handset's INVITE | with the name |", "| --- | --- | --- | --- | --- |"}
	for i, row := range actionRows {
		t.Run(row.name+" "+row.media, func(t *testing.T) {
			row.headers = ""
			for from, to := range map[string]string{"600": "486", "607": "603", "608": "603"} {
				row.seen = strings.ReplaceAll(row.seen, from, to)
			}
			if row.rang == "3002" {
				row.rang = "elsewhere-3002"
			}
			rows = append(rows, strings.Replace(placeAction(t, d, a.address, handset, "asterisk", i, row), " asterisk |", "", 1))
		})
	}
	a.idle()
	writeTable(t, "actions on Asterisk", rows)
}

// says sends commands of a daemon, each after the answer to the one before it.
func says(c net.Conn, commands ...string) {
	c.SetDeadline(time.Now().Add(60 * time.Second))
	r := bufio.NewReader(c)
	until := func(done func(line string) bool) {
		for {
			line, err := r.ReadString('\n')
			if err != nil || done(line) {
				return
			}
		}
	}
	until(func(line string) bool { return line == "\n" })
	for _, command := range commands {
		io.WriteString(c, command+"\n")
		until(func(line string) bool { return strings.HasPrefix(line, "200 ") })
	}
}

// asteriskFaults are daemons that have gone wrong, as Asterisk meets them.
var asteriskFaults = []fault{
	{name: "nobody listens", bound: 300 * time.Millisecond},
	{name: "closes at once", serve: func(c net.Conn) { c.Close() }, bound: 300 * time.Millisecond},
	{name: "resets at once", serve: reset, bound: 300 * time.Millisecond},
	{name: "closes after the facts", serve: func(c net.Conn) { says(c); c.Close() }, bound: 300 * time.Millisecond},
	{name: "dies with half a verdict", serve: func(c net.Conn) {
		says(c, "SET VARIABLE RINGFENCE_ACTION reject", "SET VARIABLE RINGFENCE_DIVERT elsewhere,3001,1")
		reset(c)
	}, bound: 300 * time.Millisecond},
	{name: "dies in an announcement", serve: func(c net.Conn) {
		says(c, "EXEC Progress", "SET VARIABLE TIMEOUT(absolute) 4")
		io.WriteString(c, "STREAM FILE demo-congrats \"\"\n")
		<-time.After(500 * time.Millisecond)
		reset(c)
	}, bound: time.Second},
	{name: "is silent in an announcement of 2 s", serve: func(c net.Conn) {
		says(c, "EXEC Progress", "SET VARIABLE TIMEOUT(absolute) 4")
		io.WriteString(c, "STREAM FILE demo-congrats \"\"\n")
		drain(c)
	}, guarded: true, bound: 5500 * time.Millisecond},
	{name: "is silent", serve: func(c net.Conn) { drain(c) }, guarded: true, bound: 3500 * time.Millisecond},
	{name: "is silent after half a verdict", serve: func(c net.Conn) { says(c, "SET VARIABLE RINGFENCE_ACTION reject"); drain(c) }, guarded: true, bound: 3500 * time.Millisecond},
	{name: "is silent, resets after 4 s", serve: func(c net.Conn) { <-time.After(4 * time.Second); reset(c) }, guarded: true, bound: 3500 * time.Millisecond},
	{name: "is slow, refuses after 4 s", serve: func(c net.Conn) {
		<-time.After(4 * time.Second)
		says(c, "SET VARIABLE RINGFENCE_CAUSE 21", "EXEC Hangup 21")
		c.Close()
	}, guarded: true, bound: 3500 * time.Millisecond},
}

// Whatever a daemon does wrong, the handset rings, and the call is not torn down afterwards. What a caller's
// dialplan finds behind the subroutine is an allowed call.
func TestFaultsAsterisk(t *testing.T) {
	address, end := fault{serve: func(c net.Conn) { c.Close() }}.listen(t, "127.0.0.1:0")
	handset := newPhone(t)
	a := startAsterisk(t, address, handset.addr)
	rows := []string{"| the daemon | the handset rang | the call afterwards |", "| --- | --- | --- |"}
	end()
	for i, f := range asteriskFaults {
		t.Run(f.name, func(t *testing.T) {
			_, end := f.listen(t, address)
			defer end()
			caller := newPhone(t)
			if caller.hold = time.Second; f.guarded {
				caller.hold = 4 * time.Second
			}
			to := fmt.Sprintf("059255502%02d", i)
			rang, torn := dialAndMeasure(t, caller, handset, a.address, to)
			after := "undisturbed"
			if torn {
				after = "TORN DOWN"
			}
			rows = append(rows, fmt.Sprintf("| %s | %d ms after the INVITE | %s |", f.name, rang.Milliseconds(), after))
			if rang > f.bound || torn {
				t.Errorf("rang after %v (promised %v), torn down: %v", rang, f.bound, torn)
			}
			guard := ""
			if f.guarded {
				guard = "fired"
			}
			if want := "limit " + to + " 0 guard=" + guard + " action=allow exit=\n"; !strings.Contains(a.said(), want) {
				t.Errorf("the dialplan did not go on with %q", want)
			}
		})
	}

	// The administrator's own limit goes on running.
	t.Run("a limit of 100 s", func(t *testing.T) {
		_, end := fault{serve: func(c net.Conn) { drain(c) }}.listen(t, address)
		defer end()
		caller := newPhone(t)
		if _, err := caller.dial(t.Context(), a.address, "13800138000", "", "limited-05925550290"); err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`limit 05925550290 ([0-9.]+) guard=fired`).FindStringSubmatch(a.said())
		if m == nil {
			t.Fatal("the dialplan did not go on")
		}
		if left, err := strconv.ParseFloat(m[1], 64); err != nil || left < 95 || left > 98 {
			t.Errorf("%s s are left of 100 after 3", m[1])
		}
	})

	// A caller who gives up while a daemon is silent leaves nothing behind.
	t.Run("the caller gives up", func(t *testing.T) {
		_, end := fault{serve: func(c net.Conn) { drain(c) }}.listen(t, address)
		defer end()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if h, err := newPhone(t).dial(ctx, a.address, "13800138000", "", "05925550291"); err == nil {
			t.Fatalf("%+v", h)
		}
		a.idle()
		if _, rang := handset.invited("05925550291"); rang {
			t.Error("the handset rang")
		}
	})
	a.idle()
	writeTable(t, "faults on Asterisk", rows)
}

// Hostile callers on Asterisk: each is screened, nothing of theirs is run, and none ends the screening by writing
// lines of the wire into his number.
func TestHostileAsterisk(t *testing.T) {
	asteriskRoot(t)
	mark := filepath.Join(t.TempDir(), "executed")
	policy := strings.Replace(hostilePolicy, `"profile:external"`, `"profile:external", "endpoint:telecom"`, 1)
	d, _ := startDaemonWith(t, policy, "[agi]\nlisten = \"127.0.0.1:0\"")
	records, stop := d.Desk().Watch()
	defer stop()
	handset, caller := newPhone(t), newPhone(t)
	a := startAsterisk(t, d.AsteriskAddress(), handset.addr)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	texts := [][2]string{
		{"1\nagi_threadid: 1\nagi_arg_1: id=x\n", "a"}, {"1\n\n", "b"}, {"1\n\nHANGUP\n", "c"}, {"1\n\n200 result=1 (x)\n511 gone\n", "d"},
		{"95211613", "${SHELL(touch " + mark + ")}"}, {"95211613", "$[${SHELL(touch " + mark + ")}]"}, {"${SHELL(touch " + mark + ")}", `\",System(touch ` + mark + `)`},
		{"1),System(touch " + mark + ")", "x"}, {"${EVAL(${SHELL(touch " + mark + ")})}", "y"},
	}
	odd := len(texts)
	for range hostileCalls(60) {
		texts = append(texts, [2]string{hostileText(r, mark), hostileText(r, mark)})
	}
	lineEnds := 0
	for i, text := range texts {
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		to := fmt.Sprintf("0592%07d", i)
		h, err := caller.dial(ctx, a.address, inUser(text[0]), `"`+inDisplay(text[1])+`"`, to)
		_, rang := handset.invited(to)
		if err != nil || !rang {
			// Asterisk itself refuses some of them, or cannot write them into an INVITE.
			h2, err2 := caller.dial(ctx, a.address, inUser(text[0]), `"`+inDisplay(text[1])+`"`, "unscreened-"+to)
			if _, rings := handset.invited(to); rings || i < odd {
				t.Errorf("%q: %+v, %v; without screening %+v, %v", text, h, err, h2, err2)
			}
			cancel()
			continue
		}
		select {
		case rec := <-records:
			if rec.Callee != to || rec.Action != "tag" {
				t.Errorf("%q: the journal has %+v", text, rec)
			}
			if strings.Contains(rec.Caller.Raw, "\n") {
				lineEnds++
			}
		case <-ctx.Done():
			t.Errorf("%q was not screened", text)
		}
		cancel()
	}
	t.Logf("%d numbers came with a line end", lineEnds)
	if _, err := os.Stat(mark); err == nil {
		t.Error("a caller's text was run as a shell command")
	}
	a.idle()
}

// Calls to and from emergency numbers are not shown to anybody, in whatever spelling; what was screened is not shown
// again. The daemon here only counts.
func TestEmergencyAsterisk(t *testing.T) {
	var asked atomic.Int32
	address, _ := fault{serve: func(c net.Conn) { asked.Add(1); c.Close() }}.listen(t, "127.0.0.1:0")
	handset, caller := newPhone(t), newPhone(t)
	a := startAsterisk(t, address, handset.addr)
	for _, c := range []struct {
		from, to string
		asked    int32
	}{
		{"13800138000", "110", 0}, {"13800138000", "+86110", 0}, {"13800138000", "059295110", 0}, {"13800138000", "0086120", 0},
		{"110", "05925550100", 0}, {"+8612110", "05925550101", 0},
		{"13800138000", "05925550102", 1}, {"1101", "05925550103", 1}, {"13800138000", "1101", 1}, {"110x", "05925550104", 1}, {"1,1)0%3A", "05925550105", 1},
	} {
		asked.Store(0)
		if rang, _ := dialAndMeasureFrom(t, caller, handset, a.address, c.from, c.to); rang > time.Second || asked.Load() != c.asked {
			t.Errorf("from %s to %s: rang after %v, the daemon was asked %d times", c.from, c.to, rang, asked.Load())
		}
	}
	a.idle()
}

// BenchmarkSetupAsterisk measures what screening adds to a call on a real Asterisk, from the caller's INVITE to the
// handset's, with the daemon and without it, in turn in one run at 50 calls a second. It reports the medians in
// milliseconds.
//
//	go test ./e2e -run - -bench SetupAsterisk -benchtime 600x
func BenchmarkSetupAsterisk(b *testing.B) {
	asteriskRoot(b)
	d, _ := startDaemonWith(b, strings.Replace(testPolicy, `"profile:external"`, `"profile:external", "endpoint:telecom"`, 1), "[agi]\nlisten = \"127.0.0.1:0\"")
	handset := newPhone(b)
	a := startAsterisk(b, d.AsteriskAddress(), handset.addr)
	measureSetup(b, handset, a.address, 50)
}
