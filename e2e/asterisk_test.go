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
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
	"ringfence/e2e/sip"
	"ringfence/e2e/tables"
	"ringfence/policy"
)

// The scenarios, with what differs: which SIP answers there are, and that without a name the handset is shown none.
func TestRealAsterisk(t *testing.T) {
	setup.AsteriskRoot(t)
	d, _ := setup.StartDaemonWith(t, strings.Replace(setup.Policy, `"profile:external"`, `"profile:external", "endpoint:telecom"`, 1), "[agi]\nlisten = \"127.0.0.1:0\"")
	if _, err := d.Desk().AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "95211613", Reason: "fake JD service"}}, false); err != nil {
		t.Fatal(err)
	}
	handset, caller := phone.New(t), phone.New(t)
	a := setup.StartAsterisk(t, d.AsteriskAddress(), handset.Addr)
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
	a.MustBeIdle()
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
	setup.AsteriskRoot(t)
	policy := "country = \"CN\"\ntimezone = \"Asia/Shanghai\"\n[trunks.carrier]\nmatch = [\"endpoint:telecom\"]\nidentity = [\"pai\", \"from\"]\n"
	for i, a := range actionRows {
		policy += fmt.Sprintf("[[rule]]\nname = \"rule %d\"\nwhen = { caller = [\"9526%04d\"] }\n%s\n", i, i, strings.ReplaceAll(a.rule, "3002 XML public", "3002 XML elsewhere"))
	}
	d, file := setup.StartDaemonWith(t, policy, "[agi]\nlisten = \"127.0.0.1:0\"")
	setup.WriteTones(t, filepath.Dir(file))
	handset := phone.New(t)
	a := setup.StartAsterisk(t, d.AsteriskAddress(), handset.Addr)
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
	a.MustBeIdle()
	tables.Write(t, "actions on Asterisk", rows)
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
var asteriskFaults = []setup.Fault{
	{Name: "nobody listens", Bound: 300 * time.Millisecond},
	{Name: "closes at once", Serve: func(c net.Conn) { c.Close() }, Bound: 300 * time.Millisecond},
	{Name: "resets at once", Serve: setup.Reset, Bound: 300 * time.Millisecond},
	{Name: "closes after the facts", Serve: func(c net.Conn) { says(c); c.Close() }, Bound: 300 * time.Millisecond},
	{Name: "dies with half a verdict", Serve: func(c net.Conn) {
		says(c, "SET VARIABLE RINGFENCE_ACTION reject", "SET VARIABLE RINGFENCE_DIVERT elsewhere,3001,1")
		setup.Reset(c)
	}, Bound: 300 * time.Millisecond},
	{Name: "dies in an announcement", Serve: func(c net.Conn) {
		says(c, "EXEC Progress", "SET VARIABLE TIMEOUT(absolute) 4")
		io.WriteString(c, "STREAM FILE demo-congrats \"\"\n")
		<-time.After(500 * time.Millisecond)
		setup.Reset(c)
	}, Bound: time.Second},
	{Name: "is silent in an announcement of 2 s", Serve: func(c net.Conn) {
		says(c, "EXEC Progress", "SET VARIABLE TIMEOUT(absolute) 4")
		io.WriteString(c, "STREAM FILE demo-congrats \"\"\n")
		setup.Drain(c)
	}, Guarded: true, Bound: 5500 * time.Millisecond},
	{Name: "is silent", Serve: func(c net.Conn) { setup.Drain(c) }, Guarded: true, Bound: 3500 * time.Millisecond},
	{Name: "is silent after half a verdict", Serve: func(c net.Conn) { says(c, "SET VARIABLE RINGFENCE_ACTION reject"); setup.Drain(c) }, Guarded: true, Bound: 3500 * time.Millisecond},
	{Name: "is silent, resets after 4 s", Serve: func(c net.Conn) { <-time.After(4 * time.Second); setup.Reset(c) }, Guarded: true, Bound: 3500 * time.Millisecond},
	{Name: "is slow, refuses after 4 s", Serve: func(c net.Conn) {
		<-time.After(4 * time.Second)
		says(c, "SET VARIABLE RINGFENCE_CAUSE 21", "EXEC Hangup 21")
		c.Close()
	}, Guarded: true, Bound: 3500 * time.Millisecond},
}

// Whatever a daemon does wrong, the handset rings, and the call is not torn down afterwards. What a caller's
// dialplan finds behind the subroutine is an allowed call.
func TestFaultsAsterisk(t *testing.T) {
	address, end := setup.Fault{Serve: func(c net.Conn) { c.Close() }}.Listen(t, "127.0.0.1:0")
	handset := phone.New(t)
	a := setup.StartAsterisk(t, address, handset.Addr)
	rows := []string{"| the daemon | the handset rang | the call afterwards |", "| --- | --- | --- |"}
	end()
	for i, f := range asteriskFaults {
		t.Run(f.Name, func(t *testing.T) {
			_, end := f.Listen(t, address)
			defer end()
			caller := phone.New(t)
			if caller.Hold = time.Second; f.Guarded {
				caller.Hold = 4 * time.Second
			}
			to := fmt.Sprintf("059255502%02d", i)
			rang, torn := setup.DialAndMeasure(t, caller, handset, a.Address, to)
			after := "undisturbed"
			if torn {
				after = "TORN DOWN"
			}
			rows = append(rows, fmt.Sprintf("| %s | %d ms after the INVITE | %s |", f.Name, rang.Milliseconds(), after))
			if rang > f.Bound || torn {
				t.Errorf("rang after %v (promised %v), torn down: %v", rang, f.Bound, torn)
			}
			guard := ""
			if f.Guarded {
				guard = "fired"
			}
			if want := "limit " + to + " 0 guard=" + guard + " action=allow exit=\n"; !strings.Contains(a.Log(), want) {
				t.Errorf("the dialplan did not go on with %q", want)
			}
		})
	}

	// The administrator's own limit goes on running.
	t.Run("a limit of 100 s", func(t *testing.T) {
		_, end := setup.Fault{Serve: func(c net.Conn) { setup.Drain(c) }}.Listen(t, address)
		defer end()
		caller := phone.New(t)
		if _, err := caller.Dial(t.Context(), a.Address, "13800138000", "", "limited-05925550290"); err != nil {
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
		_, end := setup.Fault{Serve: func(c net.Conn) { setup.Drain(c) }}.Listen(t, address)
		defer end()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if h, err := phone.New(t).Dial(ctx, a.Address, "13800138000", "", "05925550291"); err == nil {
			t.Fatalf("%+v", h)
		}
		a.MustBeIdle()
		if _, rang := handset.Invited("05925550291"); rang {
			t.Error("the handset rang")
		}
	})
	a.MustBeIdle()
	tables.Write(t, "faults on Asterisk", rows)
}

// hostileTexts are pairs of what a caller writes into the number and the name. The first, so many as odd says, are made for
// Asterisk and connected whatever else it refuses.
func hostileTexts(r *rand.Rand, mark string) (texts [][2]string, odd int) {
	texts = [][2]string{
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
	odd = len(texts)
	for range hostileCalls(60) {
		texts = append(texts, [2]string{hostileText(r, mark), hostileText(r, mark)})
	}
	return texts, odd
}

// judgeHostile holds the records of the calls that rang against what they must say.
func judgeHostile(t *testing.T, texts [][2]string, rang []bool, record func(i int) (console.Record, bool)) {
	t.Helper()
	screened, lineEnds, late := 0, 0, 0
	for i, text := range texts {
		rec, ok := record(i)
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
}

// Hostile callers on Asterisk: each is screened, nothing of theirs is run, and none ends the screening by writing
// lines of the wire into their number.
func TestHostileAsterisk(t *testing.T) {
	setup.AsteriskRoot(t)
	mark := filepath.Join(t.TempDir(), "executed")
	rules := strings.Replace(hostilePolicy, `"profile:external"`, `"profile:external", "endpoint:telecom"`, 1)
	d, _ := setup.StartDaemonWith(t, rules, "[agi]\nlisten = \"127.0.0.1:0\"")
	records, stop := d.Desk().Watch()
	handset, caller := phone.New(t), phone.New(t)
	a := setup.StartAsterisk(t, d.AsteriskAddress(), handset.Addr)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	texts, odd := hostileTexts(rand.New(rand.NewPCG(seed, 2)), mark)
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
				from, name := sip.InUser(texts[i][0]), `"`+sip.InDisplay(texts[i][1])+`"`
				h, err := caller.Dial(ctx, a.Address, from, name, callee(i))
				if _, rang[i] = handset.Invited(callee(i)); err != nil || !rang[i] {
					// Asterisk itself refuses some of them, or cannot write them into an INVITE.
					rang[i] = false
					h2, err2 := caller.Dial(ctx, a.Address, from, name, "unscreened-"+callee(i))
					if _, rings := handset.Invited(callee(i)); rings || i < odd {
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
	a.MustBeIdle()
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
	judgeHostile(t, texts, rang, func(i int) (console.Record, bool) { rec, ok := journal[callee(i)]; return rec, ok })
	if _, err := os.Stat(mark); err == nil {
		t.Error("a caller's text was run as a shell command")
	}
}
