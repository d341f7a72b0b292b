package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/attach"
	"ringfence/cmd"
	"ringfence/console"
	"ringfence/daemon"
	"ringfence/e2e/setup"
	"ringfence/standin"
)

// manyRules touches every condition that a call alone can meet.
const manyRules = `
country  = "CN"
timezone = "Asia/Shanghai"
default  = "allow"
[numbers]
internal     = ["8???"]
never_screen = ["12110"]
[lines.staff]
numbers = ["05925550000-05925550999"]
[lines.hotline]
numbers = ["4008001234"]
[trunks.telecom]
match = ["gateway:telecom"]
[trunks.branch]
match    = ["gateway:branch"]
internal = true
[[rule]]
name   = "trusted"
when   = { list = ["allowlist"] }
action = "allow"
[[rule]]
name   = "own list"
when   = { list = ["line:blacklist"] }
action = "reject"
sip    = 607
[[rule]]
name   = "listed"
when   = { list = ["blacklist"], list_not = ["friends"] }
action = "reject"
[[rule]]
name   = "known here"
when   = { known_caller = "30d", caller_kind = ["mobile", "international", "service"] }
action = "tag"
label  = "known"
[[rule]]
name   = "known"
when   = { known_caller = "1d", known_scope = "all" }
action = "tag"
label  = "somewhere"
[[rule]]
name   = "on trial"
when   = { caller = ["9523*"] }
action = "reject"
mode   = "observe"
[[rule]]
name   = "952"
when   = { caller = ["9521????", "9520????"], caller_not = ["95213333", "952133??"], line = "staff" }
action = "tag"
label  = "外呼"
[[rule]]
name   = "named"
when   = { caller_text = ["ABC", "hell*"] }
action = "reject"
sip    = 404
[[rule]]
name   = "hidden"
when   = { caller_kind = ["anonymous", "invalid"], callee_not = ["05925550100-05925550199"] }
action = "reject"
sip    = 480
[[rule]]
name   = "sellers"
when   = { caller_name = "(?i)loan|贷款" }
action = "reject"
sip    = 603
[[rule]]
name   = "as from abroad"
when   = { written = ["plus", "international"], caller_kind = ["mobile", "fixed"], line = "staff" }
action = "tag"
label  = "plus"
[[rule]]
name   = "abroad"
when   = { caller = ["+1*", "+4930*"], trunk = "telecom" }
action = "tag"
label  = "abroad"
[[rule]]
name   = "office hours"
when   = { callee = ["0592555010?"], hours = ["Mon-Fri 09:00-18:00"] }
action = "tag"
label  = "work"
[[rule]]
name   = "night"
when   = { line = "hotline", hours = ["Mon-Sun 20:00-08:00"], caller_kind = "mobile" }
action = "tag"
label  = "night"
`

// randomCall draws a call whose numbers lie near the rules.
func randomCall(r *rand.Rand) standin.Call {
	pick := func(texts ...string) string {
		s := []byte(texts[r.IntN(len(texts))])
		for i := range s {
			if s[i] == '?' {
				s[i] = byte('0' + r.IntN(10))
			}
		}
		return string(s)
	}
	c := standin.Call{
		From: pick("9521????", "9520????", "+869521????", "952133??", "9523????", "95588", "0109558?", "1380013800?", "+861390013900?", "0592555????",
			"+1212555????", "+49301234??", "0049301234??", "800?", "anonymous", "", "12345678901234567", "952", "110", "12110", "abc", "86952133??", "tel:+869521????",
			"95211613"+strings.Repeat(" ", 300)),
		Display: pick("", strings.Repeat("长", 100)+"贷款", "Zhang", "Fast LOAN", "低息贷款", "a'b", "x\\y", "100%25"),
		To:      pick("0592555010?", "05925550???", "4008001234", "2001", "+865925550???", "800?"),
		Gateway: pick("telecom", "branch", ""),
		Async:   r.IntN(2) == 0,
	}
	c.Resume = c.Async
	return c
}

// run is the command line in this process.
func run(t *testing.T, args ...string) (status int, out string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = cmd.Main(args, strings.NewReader(""), &stdout, &stderr)
	return status, stdout.String() + stderr.String()
}

// The same calls get the same decision in a live call, in `check`, in `policy test` and in `policy replay`.
func TestSameEverywhere(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	calls := 400
	if testing.Short() {
		calls = 60
	}

	d, file := setup.StartDaemonWith(t, manyRules)
	for list, numbers := range map[string][]string{
		"allowlist": {"95219000-95219999", "+49301234*"}, "blacklist": {"9521????", "1380013800?", "+1212*"}, "friends": {"95212*", "13800138001"},
		"staff:blacklist": {"+861390013900?", "0592555*"}, "hotline:blacklist": {"9520????"},
	} {
		var add []console.NewEntry
		for _, n := range numbers {
			add = append(add, console.NewEntry{Number: n, Reason: "of " + list})
		}
		if _, err := d.Desk().AddEntries(t.Context(), list, add, false); err != nil {
			t.Fatal(err)
		}
	}
	records, stop := d.Desk().Watch()
	defer stop()
	sw := &standin.Switch{Address: d.Address(), Speed: 100}
	dealings := dealWith(t, d, sw, r, records)
	journal, err := os.Create(filepath.Join(t.TempDir(), "journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	live := placeAll(t, sw, r, calls, records)
	writeDealings(t, journal, dealings)
	known := 0
	var tests strings.Builder
	for _, rec := range live {
		line, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		journal.Write(append(line, '\n'))

		check := checkAgain(t, file, &rec)
		wasKnown := dealings[rec.Caller.E164] != nil && rec.Rule != "never_screen" && rec.Rule != "internal"
		if wasKnown {
			known++
		}
		tests.WriteString(policyTest(&rec, check, wasKnown))
	}

	if known == 0 {
		t.Error("nobody whom the lines know called")
	}

	policyFile := filepath.Join(t.TempDir(), "tested.toml")
	if err := os.WriteFile(policyFile, []byte(manyRules+tests.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if status, out := run(t, "policy", "test", policyFile); status != 0 || !strings.Contains(out, fmt.Sprintf("%d passed, 0 failed", calls)) {
		t.Errorf("policy test: status %d\n%.3000s", status, out)
	}

	status, out := run(t, "--config", file, "policy", "replay", journal.Name(), "--policy", filepath.Join(filepath.Dir(file), "policy.toml"), "--json")
	if status != 0 || strings.Contains(out, `"type":"change"`) || !strings.Contains(out, fmt.Sprintf(`"calls":%d`, calls+recorded(dealings))) {
		t.Errorf("policy replay: status %d\n%.3000s", status, out)
	}
}

// checkAgain asks `check` about a call that was placed, and holds its answer against the call's record.
func checkAgain(t *testing.T, file string, rec *console.Record) *console.CheckReport {
	t.Helper()
	at := rec.Time.Format(time.RFC3339Nano)
	status, out := run(t, "--config", file, "check", "--json", "--at", at, "--trunk", rec.Trunk, "--name", rec.Name, "--", rec.Caller.Raw, rec.Callee)
	var check console.CheckReport
	if err := json.Unmarshal([]byte(out), &check); status != 0 || err != nil {
		t.Fatalf("check %q: status %d, %s", rec.Caller.Raw, status, out)
	}
	if check.Action != rec.Action || check.Would != rec.Would || check.Rule != rec.Rule || check.Reason != rec.Reason || check.Caller.E164 != rec.Caller.E164 || check.Mode != rec.Mode {
		t.Errorf("%q to %q\nlive:  %s %s %q %q %s\ncheck: %s %s %q %q %s", rec.Caller.Raw, rec.Callee, rec.Action, rec.Would, rec.Rule, rec.Reason, rec.Mode, check.Action, check.Would, check.Rule, check.Reason, check.Mode)
	}
	return &check
}

// policyTest is a [[test]] that expects what became of a call.
func policyTest(rec *console.Record, check *console.CheckReport, known bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n[[test]]\ncaller = %s\ncallee = %s\nname = %s\nat = %q\nexpect = %q\nrule = %q\n",
		tomlText(rec.Caller.Raw), tomlText(rec.Callee), tomlText(rec.Name), rec.Time.Format(time.RFC3339Nano), rec.Would, rec.Rule)
	if rec.Trunk != "" {
		fmt.Fprintf(&b, "trunk = %q\n", rec.Trunk)
	}
	if known {
		b.WriteString("known = true\n")
	}
	var on []string
	for _, l := range check.Lists {
		on = append(on, fmt.Sprintf("%q", l.List))
	}
	if len(on) > 0 {
		fmt.Fprintf(&b, "list_has = [%s]\n", strings.Join(on, ", "))
	}
	return b.String()
}

// dealWith has some of the callers talk for a minute with both lines, so that they are known to whatever line is called
// next. It gives the records of these calls by caller.
func dealWith(t *testing.T, d *daemon.Daemon, sw *standin.Switch, r *rand.Rand, records <-chan console.Record) map[string][]console.Record {
	t.Helper()
	dealings := make(map[string][]console.Record)
	for _, caller := range []string{"13800138002", "13800138005", "+8613900139003", "95211613", "95201234", "+12125550147", "05925550123", "95588"} {
		for _, callee := range []string{"05925550101", "4008001234"} {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			async := r.IntN(2) == 0
			res, err := sw.Place(ctx, standin.Call{From: caller, To: callee, Async: async, Resume: async})
			if err != nil {
				t.Fatal(err)
			}
			var rec console.Record
			select {
			case rec = <-records:
			case <-ctx.Done():
				t.Fatal("no record came")
			}
			rec.Outcome = &console.Outcome{Answered: true, RingS: 1, TalkS: 60, Cause: "NORMAL_CLEARING", By: "caller"}
			d.Screener().Ended(attach.CallEnd{
				UUID: res.UUID, Inbound: true, RingfenceID: rec.ID, Caller: caller, Callee: callee, Answered: true, Bridged: true, Talk: time.Minute,
			})
			dealings[rec.Caller.E164] = append(dealings[rec.Caller.E164], rec)
		}
	}
	return dealings
}

func recorded(dealings map[string][]console.Record) (n int) {
	for _, recs := range dealings {
		n += len(recs)
	}
	return n
}

// writeDealings writes calls that were long over when the others came. What was decided about them is left out: the
// files say that there was talk.
func writeDealings(t *testing.T, journal io.Writer, dealings map[string][]console.Record) {
	t.Helper()
	for _, recs := range dealings {
		for _, rec := range recs {
			rec.Time = rec.Time.Add(-time.Hour)
			rec.Action, rec.Would, rec.Rule = "", "", ""
			line, err := json.Marshal(rec)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := journal.Write(append(line, '\n')); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// placeAll places random calls, some at a time, and waits for their records.
func placeAll(t *testing.T, sw *standin.Switch, r *rand.Rand, n int, records <-chan console.Record) []console.Record {
	t.Helper()
	jobs, results := make(chan standin.Call), make(chan standin.Result)
	byID := make(map[string]console.Record)
	for range 8 {
		go func() {
			for c := range jobs {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				res, err := sw.Place(ctx, c)
				cancel()
				if err != nil || res.Stuck || len(res.Expanded) > 0 {
					t.Errorf("%+v: %v, stuck %v, expanded %v", c, err, res.Stuck, res.Expanded)
				}
				results <- res
			}
		}()
	}
	calls := make([]standin.Call, n)
	for i := range calls {
		calls[i] = randomCall(r)
	}
	go func() {
		for _, c := range calls {
			jobs <- c
		}
		close(jobs)
	}()
	met := make(map[string]standin.Result)
	timeout := time.After(60 * time.Second)
	var out []console.Record
	brief := 0 // refusals that repeat one of a moment ago: they set no variables
	for len(met)+brief < n || len(byID) < n {
		select {
		case res := <-results:
			if id := res.Vars["ringfence_id"]; id != "" {
				met[id] = res
				continue
			}
			if brief++; res.Rang {
				t.Errorf("a call without a verdict rang: %+v", res)
			}
		case rec := <-records:
			byID[rec.ID] = rec
		case <-timeout:
			t.Fatalf("of %d calls %d ended and %d were recorded", n, len(met)+brief, len(byID))
		}
	}
	for id, rec := range byID {
		res, ok := met[id]
		if !ok {
			if brief--; rec.Action != "reject" {
				t.Errorf("the journal says %s of a call that was refused without a word: %+v", rec.Action, rec)
			}
		} else if rec.Action != res.Vars["ringfence_action"] || rec.Would != res.Vars["ringfence_would"] {
			t.Errorf("the journal says %s (%s), the switch got %v", rec.Action, rec.Would, res.Vars)
		}
		out = append(out, rec)
	}
	if brief != 0 {
		t.Errorf("%d more calls were refused without a word than have no verdict in the journal", brief)
	}
	return out
}

// tomlText is a TOML string of any text.
func tomlText(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
