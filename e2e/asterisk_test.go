package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/e2e/asterisk"
	"ringfence/policy"
)

// asteriskRoot is where Asterisk and sipp lie. A run without them says so, and fails where RINGFENCE_NEED_ASTERISK is set.
func asteriskRoot(t testing.TB) *asterisk.Root {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT TESTED: calls through a real Asterisk take too long for -short")
	}
	root, err := asterisk.Get()
	if err != nil {
		if os.Getenv("RINGFENCE_NEED_ASTERISK") != "" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: THIS RUN HAD NO REAL ASTERISK: %v; docs/measured.md has what the last run on one saw", err)
	}
	return root
}

// testAsterisk is one that runs until the test ends.
type testAsterisk struct {
	*asterisk.PBX
	t testing.TB
}

// startAsterisk runs an Asterisk of its own with the subroutine that we ship, which asks the daemon at agi.
func startAsterisk(t testing.TB, agi, handset string) *testAsterisk {
	t.Helper()
	return startAsteriskWith(t, asterisk.Setup{AGI: agi, Handset: handset})
}

func startAsteriskWith(t testing.TB, s asterisk.Setup) *testAsterisk {
	t.Helper()
	root := asteriskRoot(t)
	folder, err := os.MkdirTemp("", "ast") // short: a socket lies in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	pbx, err := root.Start(t.Context(), folder, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pbx.Stop()
		if t.Failed() {
			log := pbx.Log()
			t.Logf("Asterisk said:\n%s", log[max(0, len(log)-40000):])
		}
	})
	return &testAsterisk{pbx, t}
}

// cli runs a command on Asterisk's own command line.
func (a *testAsterisk) cli(command string) string {
	a.t.Helper()
	text, err := a.CLI(command)
	if err != nil {
		a.t.Fatal(err)
	}
	return text
}

// idle fails the test if a channel is left, which it gives some time to end.
func (a *testAsterisk) idle() {
	a.t.Helper()
	if err := a.Idle(); err != nil {
		a.t.Error(err)
	}
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
	runThese(t, d, unnamed{&real{a.Address, handset, caller}}, these)
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
			rows = append(rows, strings.Replace(placeAction(t, d, a.Address, handset, "asterisk", i, row), " asterisk |", "", 1))
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
			rang, torn := dialAndMeasure(t, caller, handset, a.Address, to)
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
			if want := "limit " + to + " 0 guard=" + guard + " action=allow exit=\n"; !strings.Contains(a.Log(), want) {
				t.Errorf("the dialplan did not go on with %q", want)
			}
		})
	}

	// The administrator's own limit goes on running.
	t.Run("a limit of 100 s", func(t *testing.T) {
		_, end := fault{serve: func(c net.Conn) { drain(c) }}.listen(t, address)
		defer end()
		caller := newPhone(t)
		if _, err := caller.dial(t.Context(), a.Address, "13800138000", "", "limited-05925550290"); err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`limit 05925550290 ([0-9.]+) guard=fired`).FindStringSubmatch(a.Log())
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
		if h, err := newPhone(t).dial(ctx, a.Address, "13800138000", "", "05925550291"); err == nil {
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
	rules := strings.Replace(hostilePolicy, `"profile:external"`, `"profile:external", "endpoint:telecom"`, 1)
	d, _ := startDaemonWith(t, rules, "[agi]\nlisten = \"127.0.0.1:0\"")
	records, stop := d.Desk().Watch()
	handset, caller := newPhone(t), newPhone(t)
	a := startAsterisk(t, d.AsteriskAddress(), handset.addr)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	texts := [][2]string{
		{"1\nagi_threadid: 1\nagi_arg_1: id=x\n", "a"},
		{"1\n\n", "b"},
		{"1\n\nHANGUP\n", "c"},
		{"1\n\n200 result=1 (x)\n511 gone\n", "d"},
		{"95211613", "${SHELL(touch " + mark + ")}"},
		{"95211613", "$[${SHELL(touch " + mark + ")}]"},
		{"${SHELL(touch " + mark + ")}", `\",System(touch ` + mark + `)`},
		{"1),System(touch " + mark + ")", "x"},
		{"${EVAL(${SHELL(touch " + mark + ")})}", "y"},
	}
	odd := len(texts)
	for range hostileCalls(60) {
		texts = append(texts, [2]string{hostileText(r, mark), hostileText(r, mark)})
	}
	var mu sync.Mutex
	journal := map[string]console.Record{} // by callee
	collected := make(chan bool)
	go func() {
		defer close(collected)
		for rec := range records {
			mu.Lock()
			journal[rec.Callee] = rec
			mu.Unlock()
		}
	}()
	rang := make([]bool, len(texts))
	callee := func(i int) string { return fmt.Sprintf("0592%07d", i) }
	jobs := make(chan int)
	var failed atomic.Int32
	var wg sync.WaitGroup
	for range 24 {
		wg.Go(func() {
			for i := range jobs {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				from, name := inUser(texts[i][0]), `"`+inDisplay(texts[i][1])+`"`
				h, err := caller.dial(ctx, a.Address, from, name, callee(i))
				if _, rang[i] = handset.invited(callee(i)); err != nil || !rang[i] {
					// Asterisk itself refuses some of them, or cannot write them into an INVITE.
					rang[i] = false
					h2, err2 := caller.dial(ctx, a.Address, from, name, "unscreened-"+callee(i))
					if _, rings := handset.invited(callee(i)); rings || i < odd {
						failed.Add(1)
						t.Errorf("%q: %+v, %v; without screening %+v, %v", texts[i], h, err, h2, err2)
					}
				}
				cancel()
			}
		})
	}
	for i := range texts {
		if failed.Load() > 10 {
			break // an Asterisk that is gone costs 40 s a call
		}
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	a.idle()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		mu.Lock()
		missing := 0
		for i := range texts {
			if _, ok := journal[callee(i)]; rang[i] && !ok {
				missing++
			}
		}
		mu.Unlock()
		if missing == 0 {
			break
		}
	}
	stop()
	<-collected
	screened, lineEnds, late := 0, 0, 0
	for i, text := range texts {
		rec, ok := journal[callee(i)]
		switch {
		case !rang[i]:
			continue
		case !ok:
			t.Errorf("%q was not screened", text)
		case rec.Rule == policy.RuleFailOpen && strings.Contains(rec.Reason, "within the deadline"):
			late++ // on a machine that is too busy
		case rec.Action != "tag":
			t.Errorf("%q: the journal has %+v", text, rec)
		default:
			screened++
		}
		if strings.Contains(rec.Caller.Raw, "\n") {
			lineEnds++
		}
	}
	if late > len(texts)/10 {
		t.Errorf("%d of %d calls were let through by the deadline", late, len(texts))
	}
	t.Logf("%d calls were screened, %d let through by the deadline, %d Asterisk itself would not connect", screened, late, len(texts)-screened-late)
	t.Logf("%d numbers came with a line end", lineEnds)
	if _, err := os.Stat(mark); err == nil {
		t.Error("a caller's text was run as a shell command")
	}
}

// Calls to emergency numbers are not shown to anybody, in whatever spelling; calls that say they are from one are, since
// anybody can. The daemon here only counts.
func TestEmergencyAsterisk(t *testing.T) {
	var asked atomic.Int32
	address, _ := fault{serve: func(c net.Conn) { asked.Add(1); c.Close() }}.listen(t, "127.0.0.1:0")
	handset, caller := newPhone(t), newPhone(t)
	a := startAsterisk(t, address, handset.addr)
	for _, c := range []struct {
		from, to string
		asked    int32
	}{
		{"13800138000", "110", 0},
		{"13800138000", "+86110", 0},
		{"13800138000", "059295110", 0},
		{"13800138000", "0086120", 0},
		{"110", "05925550100", 1},
		{"+8612110", "05925550101", 1},
		{"13800138000", "05925550102", 1},
		{"1101", "05925550103", 1},
		{"13800138000", "1101", 1},
		{"110x", "05925550104", 1},
		{"1,1)0%3A", "05925550105", 1},
	} {
		asked.Store(0)
		if rang, _ := dialAndMeasureFrom(t, caller, handset, a.Address, c.from, c.to); rang > time.Second || asked.Load() != c.asked {
			t.Errorf("from %s to %s: rang after %v, the daemon was asked %d times", c.from, c.to, rang, asked.Load())
		}
	}
	a.idle()
}
