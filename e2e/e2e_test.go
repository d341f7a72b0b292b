// Package e2e places the same calls through the whole daemon from every switch: the stand-in, always, a real FreeSWITCH with
// the dialplan that we ship, when a `freeswitch` is on PATH, and a real Asterisk. What can be seen on one of them alone is
// in the folders freeswitch and asterisk.
package e2e_test

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/daemon"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
	"ringfence/standin"
)

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
			d := setup.StartDaemon(t)
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
			events := setup.FreePort(t)
			d := setup.StartDaemon(t, fmt.Sprintf("[[attach]]\nkind = \"freeswitch\"\naddress = \"127.0.0.1:%d\"\npassword = %q\n", events, setup.EventPassword))
			handset, caller := phone.New(t), phone.New(t)
			server := setup.StartFreeSWITCH(t, program, d.Address(), handset.Addr, events, mode == "async")
			setup.WaitAttached(t, d)
			runScenarios(t, d, &real{server, handset, caller})
			t.Run("outcomes", func(t *testing.T) { checkOutcomes(t, d) })
			t.Run("ringing after an announcement", func(t *testing.T) { hearRinging(t, server, handset) })
			t.Run("dealings", func(t *testing.T) { checkDealings(t, d, server, mode == "async") }) // last: calls to the line pass from then on
		})
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
func hearRinging(t *testing.T, server string, handset *phone.Phone) {
	handset.RingsFor(1500 * time.Millisecond)
	defer handset.RingsFor(0)
	caller := phone.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	start := time.Now()
	if h, err := caller.Dial(ctx, server, "95219998", "", "05925550199"); err != nil || !h.EarlyMedia {
		t.Fatalf("%+v %v", h, err)
	}
	i, ok := handset.Invited("05925550199")
	if !ok {
		t.Fatal("the handset did not ring")
	}
	all, ringing := caller.HeardAfter(start), caller.HeardAfter(i.At)
	if announcement := all - ringing; announcement < 200*time.Millisecond || ringing < 500*time.Millisecond {
		t.Errorf("the caller heard %v of announcement and %v of ringing", announcement, ringing)
	}
}

// real is a FreeSWITCH with a phone on either side.
type real struct {
	server          string
	handset, caller *phone.Phone
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
	h, err := b.caller.Dial(ctx, b.server, s.from, display, s.to, headers...)
	if err != nil {
		return outcome{}, err
	}
	o := outcome{final: h.Final, early: h.EarlyMedia}
	if strings.HasPrefix(h.Final, "200") {
		o.final = ""
	}
	for _, number := range []string{s.to, s.rang} {
		i, ok := b.handset.Invited(number)
		if !ok {
			continue
		}
		o.rang = number
		o.shown, _, _ = strings.Cut(strings.TrimPrefix(i.From, `"`), `"`)
	}
	return o, nil
}
