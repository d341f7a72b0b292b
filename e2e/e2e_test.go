// Package e2e runs the same calls through the whole daemon twice: from the simulated switch, always, and
// from a real FreeSWITCH with the dialplan that we ship, when a `freeswitch` is on PATH.
package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/daemon"
	"ringfence/standin"
)

const testPolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[lines.staff]
numbers = ["05925550000-05925550999"]
[trunks.carrier]
match = ["profile:external", "profile:internal"]
identity = ["pai", "rpid", "from"]
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
sip = 603
[[rule]]
name = "busy"
when = { caller = ["95200486"] }
action = "reject"
sip = 486
[[rule]]
name = "unwanted"
when = { caller = ["95200607"] }
action = "reject"
sip = 607
[[rule]]
name = "rejected"
when = { caller = ["95200608"] }
action = "reject"
sip = 608
[[rule]]
name = "busy everywhere"
when = { caller = ["95200600"] }
action = "reject"
sip = 600
[[rule]]
name = "warned off"
when = { caller = ["95211???"] }
action = "warn"
announcement = "beep"
then = "hangup"
sip = 480
[[rule]]
name = "sales"
when = { caller = ["9521????"], line = ["staff"] }
action = "warn"
announcement = "beep"
[[rule]]
name = "elsewhere"
when = { caller = ["95230001"] }
action = "divert"
to = "3001 XML public"
[[rule]]
name = "next door"
when = { caller = ["95230002"] }
action = "divert"
to = "3002"
[[rule]]
name = "withheld"
when = { caller_kind = ["anonymous", "invalid"] }
action = "tag"
label = "不明"
[[rule]]
name = "label"
when = { caller = ["95??????"] }
action = "tag"
label = "外呼"
`

// scenario is a call and what must become of it, on any switch and in either mode.
type scenario struct {
	name               string
	from, display, pai string
	privacy            bool
	to                 string

	rule  string // which decides
	final string // the caller's final answer; "" means that the handset rang
	shown string // the name on the handset
	heard bool   // an announcement, as early media
	rang  string // the number that rang, if it is not the one called
}

var scenarios = []scenario{
	{name: "ordinary", from: "13800138000", display: "Zhang", to: "05925550100", rule: "default", shown: "Zhang"},
	{name: "a bank", from: "95588", to: "05925550101", rule: "default", shown: "95588"},
	{name: "listed, as E.164", from: "+8695211613", to: "05925550102", rule: "listed", final: "603 Decline"},
	{name: "listed, nationally", from: "95211613", to: "05925550103", rule: "listed", final: "603 Decline"},
	{name: "listed, without plus", from: "8695211613", to: "05925550104", rule: "listed", final: "603 Decline"},
	{name: "486", from: "95200486", to: "05925550105", rule: "busy", final: "486 Busy Here"},
	{name: "600", from: "95200600", to: "05925550106", rule: "busy everywhere", final: "600 Busy Everywhere"},
	{name: "607", from: "95200607", to: "05925550107", rule: "unwanted", final: "607 Unwanted"},
	{name: "608", from: "95200608", to: "05925550108", rule: "rejected", final: "608 Rejected"},
	{name: "labelled", from: "95551234", display: "Insurance", to: "05925550109", rule: "label", shown: "外呼 Insurance"},
	{name: "labelled, Chinese name", from: "95551234", display: "保险 公司", to: "05925550110", rule: "label", shown: "外呼 保险 公司"},
	{name: "labelled, no name", from: "95551234", to: "05925550111", rule: "label", shown: "外呼 95551234"},
	{name: "hostile name", from: "95551234", display: "a'b`c<d>e$f", to: "05925550112", rule: "label", shown: "外呼 a’b c d e f"},
	{name: "warned, then rings", from: "95219999", display: "Sale", to: "05925550113", rule: "sales", shown: "Sale", heard: true},
	{name: "warned off", from: "95211234", to: "05925550114", rule: "warned off", final: "480 Temporarily Unavailable", heard: true},
	{name: "another line", from: "95219999", to: "2001", rule: "label", shown: "外呼 95219999"},
	{name: "withheld, number asserted", from: "anonymous", display: "Anonymous", pai: "+8613912345678", privacy: true, to: "05925550115", rule: "withheld", shown: "不明"},
	{name: "withheld and listed", from: "anonymous", display: "Anonymous", pai: "+8695211613", privacy: true, to: "05925550116", rule: "listed", final: "603 Decline"},
	{name: "diverted", from: "95230001", display: "Away", to: "05925550118", rule: "elsewhere", shown: "Away", rang: "3001"},
	{name: "diverted in this context", from: "95230002", to: "05925550119", rule: "next door", shown: "95230002", rang: "3002"},
	{name: "no caller at all", from: "anonymous", display: "Anonymous", to: "05925550117", rule: "withheld", shown: "不明"},
}

// outcome is what a switch saw of a scenario.
type outcome struct {
	final string
	rang  string // the number whose handset rang
	shown string
	early bool
}

// switchboard places a scenario's call on some switch.
type switchboard interface {
	place(ctx context.Context, s scenario) (outcome, error)
}

// startDaemon runs the daemon with the test policy, the list and a short announcement.
func startDaemon(t testing.TB, settings ...string) *daemon.Daemon {
	t.Helper()
	d, _ := startDaemonWith(t, testPolicy, settings...)
	if _, err := d.Desk().AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "95211613", Reason: "fake JD service"}}, false); err != nil {
		t.Fatal(err)
	}
	return d
}

// startDaemonWith runs the daemon with a policy and more settings, and returns its file too.
func startDaemonWith(t testing.TB, policy string, settings ...string) (*daemon.Daemon, string) {
	t.Helper()
	folder, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil { // a switch of another user reads the announcements
		t.Fatal(err)
	}
	text := "policy = \"policy.toml\"\ndata = \"data\"\nsocket = \"s\"\nnode = \"e2e\"\n[screen]\nlisten = \"127.0.0.1:0\"\n" + strings.Join(settings, "\n")
	sounds := filepath.Join(folder, "data", "sounds")
	if err := os.MkdirAll(sounds, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{
		filepath.Join(folder, "ringfence.toml"): []byte(text),
		filepath.Join(folder, "policy.toml"):    []byte(policy),
		filepath.Join(sounds, "beep.wav"):       beep(),
	} {
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(folder, "ringfence.toml")
	c, err := conf.LoadDaemon(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := daemon.Start(t.Context(), c, "e2e", slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
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
	return d, file
}

// beep is 0.4 s of 425 Hz as a WAV file.
func beep() []byte {
	const samples = 3200
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x00\x19\x00\x00")
	size := uint32(len(b) - 8 + 2*samples)
	b[4], b[5], b[6] = byte(size), byte(size>>8), byte(size>>16)
	for i := range samples {
		v := int16(8000)
		if i*850/8000%2 == 1 {
			v = -8000
		}
		b = append(b, byte(v), byte(uint16(v)>>8))
	}
	return b
}

// runScenarios holds every call against what must become of it, and the journal and `check` against the call.
func runScenarios(t *testing.T, d *daemon.Daemon, board switchboard) {
	runThese(t, d, board, scenarios)
}

func runThese(t *testing.T, d *daemon.Daemon, board switchboard, scenarios []scenario) {
	records, stop := d.Desk().Watch()
	defer stop()
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			got, err := board.place(ctx, s)
			if err != nil {
				t.Fatal(err)
			}
			want := outcome{final: s.final, rang: s.rang, shown: s.shown, early: s.heard}
			if s.final == "" && s.rang == "" {
				want.rang = s.to
			}
			if got != want {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			var rec console.Record
			select { // the record follows the call
			case rec = <-records:
			case <-ctx.Done():
				t.Fatal("no record came to the journal")
			}
			if rec.Rule != s.rule || rec.Callee != s.to || rec.Caller.Withheld != s.privacy {
				t.Errorf("journal: rule %q, callee %q, withheld %v; want rule %q: %s", rec.Rule, rec.Callee, rec.Caller.Withheld, s.rule, rec.Reason)
			}
			caller := s.from
			if s.pai != "" {
				caller = s.pai
			}
			report, err := d.Desk().Check(ctx, console.CheckQuery{Caller: caller, Callee: s.to, Name: s.display, Withheld: s.privacy})
			if err != nil {
				t.Fatal(err)
			}
			if report.Rule != rec.Rule || report.Action != rec.Action || report.Reason != rec.Reason {
				t.Errorf("check says %s by %s (%s), the call got %s by %s (%s)", report.Action, report.Rule, report.Reason, rec.Action, rec.Rule, rec.Reason)
			}
		})
	}
}

// simulated is the stand-in.
type simulated struct {
	address string
	async   bool
}

func (b simulated) place(ctx context.Context, s scenario) (outcome, error) {
	sw := &standin.Switch{Address: b.address, Speed: 10}
	r, err := sw.Place(ctx, standin.Call{From: s.from, Display: s.display, PAI: s.pai, Privacy: s.privacy, To: s.to, Async: b.async, Resume: b.async})
	if err != nil {
		return outcome{}, err
	}
	if r.Stuck || len(r.ProtocolErrors) > 0 || len(r.Expanded) > 0 {
		return outcome{}, fmt.Errorf("stuck %v, protocol %v, expanded %v", r.Stuck, r.ProtocolErrors, r.Expanded)
	}
	o := outcome{early: r.EarlyMedia}
	if r.SIP != 0 {
		o.final = fmt.Sprintf("%d %s", r.SIP, r.Phrase)
	}
	if r.Rang {
		o.shown, o.rang = r.ShownName, s.to
		if to := r.Vars["ringfence_divert"]; to != "" {
			o.rang, _, _ = strings.Cut(to, " ")
		}
	}
	return o, nil
}

func TestSimulatedSwitch(t *testing.T) {
	for mode, async := range map[string]bool{"sync": false, "async": true} {
		t.Run(mode, func(t *testing.T) {
			d := startDaemon(t)
			runScenarios(t, d, simulated{d.Address(), async})
		})
	}
}

func TestRealFreeSWITCH(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; the same calls ran through the simulated switch only")
	}
	for _, mode := range []string{"sync", "async"} {
		t.Run(mode, func(t *testing.T) {
			events := freePort(t)
			d := startDaemon(t, fmt.Sprintf("[[attach]]\nkind = \"freeswitch\"\naddress = \"127.0.0.1:%d\"\npassword = %q\n", events, eventPassword))
			handset, caller := newPhone(t), newPhone(t)
			server := startFreeSWITCH(t, program, d.Address(), handset.addr, events, mode == "async")
			waitAttached(t, d)
			runScenarios(t, d, &real{server, handset, caller})
			t.Run("outcomes", func(t *testing.T) { checkOutcomes(t, d) })
			t.Run("ringing after an announcement", func(t *testing.T) { hearRinging(t, server, handset) })
			t.Run("dealings", func(t *testing.T) { checkDealings(t, d, server, mode == "async") }) // last: calls to the line pass from then on
		})
	}
}

// waitAttached waits until the daemon hears the switch's events.
func waitAttached(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for {
		s, err := d.Desk().Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Attached) == 1 && s.Attached[0].Attached {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not attached: %+v", s.Attached)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// checkOutcomes holds the journal against the scenarios once more: it must know what became of each call.
func checkOutcomes(t *testing.T, d *daemon.Daemon) {
	wanted := make(map[string]scenario)
	for _, s := range scenarios {
		wanted[s.to] = s
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for { // the switch reports the last call a little after it ended
		missing := 0
		var wrong []string
		err := d.Desk().Journal(ctx, console.Query{}, func(r console.Record) error {
			s, ok := wanted[r.Callee]
			switch {
			case !ok:
			case r.Outcome == nil:
				missing++
			case r.Outcome.Answered != (s.final == ""),
				s.final == "" && r.Outcome.By != "caller",
				s.final != "" && (r.Outcome.By != "ringfence" || r.Outcome.TalkS != 0):
				wrong = append(wrong, fmt.Sprintf("%s: %+v", s.name, *r.Outcome))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if missing == 0 {
			if len(wrong) > 0 {
				t.Errorf("outcomes:\n%s", strings.Join(wrong, "\n"))
			}
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d calls have no outcome", missing)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// hearRinging places a call that hears an announcement first, to a phone that rings for a while: the caller
// must hear ringing then, and the announcement before.
func hearRinging(t *testing.T, server string, handset *phone) {
	handset.ringsFor(1500 * time.Millisecond)
	defer handset.ringsFor(0)
	caller := newPhone(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	start := time.Now()
	if h, err := caller.dial(ctx, server, "95219998", "", "05925550199"); err != nil || !h.earlyMedia {
		t.Fatalf("%+v %v", h, err)
	}
	i, ok := handset.invited("05925550199")
	if !ok {
		t.Fatal("the handset did not ring")
	}
	all, ringing := caller.heardAfter(start), caller.heardAfter(i.at)
	if announcement := all - ringing; announcement < 200*time.Millisecond || ringing < 500*time.Millisecond {
		t.Errorf("the caller heard %v of announcement and %v of ringing", announcement, ringing)
	}
}

// real is a FreeSWITCH with a phone on either side.
type real struct {
	server          string
	handset, caller *phone
}

func (b *real) place(ctx context.Context, s scenario) (outcome, error) {
	display := ""
	if s.display != "" {
		display = `"` + s.display + `"`
	}
	var headers []string
	if s.pai != "" {
		headers = append(headers, "P-Asserted-Identity: <sip:"+s.pai+"@carrier.example>")
	}
	if s.privacy {
		headers = append(headers, "Privacy: id")
	}
	h, err := b.caller.dial(ctx, b.server, s.from, display, s.to, headers...)
	if err != nil {
		return outcome{}, err
	}
	o := outcome{final: h.final, early: h.earlyMedia}
	if strings.HasPrefix(h.final, "200") {
		o.final = ""
	}
	for _, number := range []string{s.to, s.rang} {
		i, ok := b.handset.invited(number)
		if !ok {
			continue
		}
		o.rang = number
		o.shown, _, _ = strings.Cut(strings.TrimPrefix(i.from, `"`), `"`)
	}
	return o, nil
}
