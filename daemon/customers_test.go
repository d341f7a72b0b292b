package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/console"
	"ringfence/policy"
)

// choices is an ISP's policy: what customers chose are profiles, and what they deal with is theirs alone.
const choices = ownPolicy + `
[[rule]]
name = "known"
when = { known_caller = "30d" }
action = "tag"
label = "known"
[[rule]]
name = "insists"
when = { line = ["profile:strict"], again = "3m" }
action = "reject"
[[rule]]
name = "ask"
when = { line = ["profile:strict", "profile:ask"] }
action = "challenge"
[[rule]]
name = "label"
when = { line = ["profile:label"] }
action = "tag"
label = "unknown"
`

// town is an installation with three customers, of whom one may be left out: then all that it would have done is not done.
type town struct {
	t    *testing.T
	d    *house
	r    *rand.Rand
	now  time.Time
	step int
	log  []string // what the customer hall saw and heard
}

// Each has two lines. The numbers of market go over to hall half way, and so does the name of one of its lines.
var (
	callersOfTown = []string{"13800138001", "02087654321", "95211613", "05925550201"}
	numbersOf     = map[string][]string{
		"hall":   {"05925550100", "05925550101"},
		"market": {"05925550200", "05925550201"},
		"mill":   {"05925550300", "05925550301"},
	}
	movingNumbers = []string{"05925550900", "05925550901"}
	profiles      = []string{"strict", "ask", "label", ""}
)

const movingLine = "corner"

// idInText is what no two runs have alike.
var idInText = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{26}\b`)

func (w *town) tell(who, format string, args ...any) {
	if who == "hall" {
		text := idInText.ReplaceAllString(fmt.Sprintf(format, args...), "ID")
		w.log = append(w.log, fmt.Sprintf("%d: %s", w.step, text))
	}
}

// json is a value as people get it.
func (w *town) json(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

func oneOf[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// line is one of a customer's lines, and numbers are those that can be on one.
func (w *town) line(who string) string {
	names := []string{who + "1", who + "2"}
	if who == w.mover() {
		names = append(names, movingLine)
	}
	return oneOf(w.r, names)
}

func (w *town) numbers(who string) []string {
	numbers := numbersOf[who]
	if who == w.mover() {
		numbers = append(numbers[:len(numbers):len(numbers)], movingNumbers...)
	}
	return numbers
}

const townSteps = 400

// mover is who has the numbers that go over.
func (w *town) mover() string {
	if w.step < townSteps/2 {
		return "market"
	}
	return "hall"
}

// act is one thing that a customer does, or that is done to it.
//
// long: because it is the table of what there is to do
func (w *town) act(who string) {
	ctx, r := w.t.Context(), w.r
	caller, callee, line := oneOf(r, callersOfTown), oneOf(r, w.numbers(who)), w.line(who)
	switch what := r.IntN(20); what {
	case 0, 1: // its lines come, change and go
		set := console.LineSet{Name: line, Customer: &who, Profile: &profiles[r.IntN(len(profiles))]}
		if r.IntN(6) == 0 {
			mode := oneOf(r, []string{"off", "observe", "enforce"})
			set.Mode = &mode
		}
		numbers := []string{callee}
		if set.Numbers = &numbers; r.IntN(6) == 0 {
			edits, err := w.d.RemoveLines(ctx, []string{line})
			w.tell(who, "%s removed: %s %v", line, w.changes(edits), err)
			return
		}
		if edit, err := w.d.SetLine(ctx, set); err == nil {
			w.tell(who, "%s set: %s %v", line, edit.Change, edit.What)
			return
		}
		edits, err := w.d.AddLines(ctx, []console.LineSet{set})
		w.tell(who, "%s made: %s %v", line, w.changes(edits), err)
	case 2:
		list := line + oneOf(r, []string{":blacklist", ":allowlist"})
		edits, err := w.d.AddEntries(ctx, list, []console.NewEntry{{Number: caller, Reason: "by " + who}}, false)
		w.tell(who, "%s + %s: %d %v", list, caller, len(edits), err)
	case 3:
		list := line + oneOf(r, []string{":blacklist", ":allowlist"})
		edits, err := w.d.RemoveEntries(ctx, list, []string{caller}, true)
		w.tell(who, "%s - %s: %d %v", list, caller, len(edits), err)
	case 4:
		if !w.isOnLine(callee) {
			return
		}
		edit, err := w.d.Report(ctx, console.NewReport{Caller: caller, Callee: callee})
		if err != nil {
			edit = &console.ReportEdit{}
		}
		w.tell(who, "report of %s at %s: %s %s %v", caller, callee, edit.Change, edit.Customer, err)
	case 5, 6: // *57 or *58 at a phone
		if !w.isOnLine(callee) {
			return
		}
		f := bridge.Facts{Intent: oneOf(r, []string{bridge.IntentReport, bridge.IntentRelease}), Number: callee, FromUser: callee, Authorized: true, AuthUser: callee}
		q := w.d.StarCode(&f)
		heard := q.Prompt.Files
		if q.Confirm != nil {
			heard = append(heard[:len(heard):len(heard)], q.Confirm(context.Background()).Files...)
		}
		for i, file := range heard {
			heard[i] = file[strings.LastIndexByte(file, '/')+1:]
		}
		w.tell(who, "%s at %s hears %v", f.Intent, callee, heard)
	case 7: // a phone of its calls out, and they talk
		w.d.Ended(attach.CallEnd{
			UUID: fmt.Sprint("out", w.step), Inbound: true, AuthUser: callee, Caller: callee, FromUser: callee, Callee: caller, OtherCallee: caller,
			Answered: true, Bridged: true, Talk: 20 * time.Second,
		})
	case 8:
		found := []string{}
		err := w.d.Known(ctx, console.KnownQuery{Line: line}, func(a console.Acquaintance) error { found = append(found, w.json(a)); return nil })
		w.tell(who, "known to %s: %v %v", line, found, err)
	case 9:
		if q := (console.KnownForget{Number: caller, Line: line}); r.IntN(3) == 0 {
			gone, err := w.d.ForgetKnown(ctx, q)
			w.tell(who, "%s forgets %s: %s %v", line, caller, w.json(gone), err)
			return
		}
		report, err := w.d.ImportKnown(ctx, console.KnownImport{File: "book", Format: "text", Lines: []string{line}}, strings.NewReader(caller+"\n"))
		if err == nil {
			w.tell(who, "%s knows %s: %s", line, caller, w.json(report))
			return
		}
		w.tell(who, "%s knows %s: %v", line, caller, err)
	default:
		w.call(who, caller, callee)
	}
}

// isOnLine reports whether a number is somebody's: all those of no line are one customer's, which is none of these.
func (w *town) isOnLine(callee string) bool {
	p := w.d.d.force.Rules().Policy
	n := p.Call(policy.Facts{Callee: callee}).Callee
	return p.LineOf(&n) != ""
}

func (w *town) changes(edits []console.LineEdit) (all string) {
	for _, e := range edits {
		all += e.Change + " "
	}
	return all
}

// call is a call to a customer's number, and what becomes of it.
func (w *town) call(who, caller, callee string) {
	uuid := fmt.Sprint("call", w.step)
	f := bridge.Facts{UUID: uuid, Number: caller, FromUser: caller, Callee: callee}
	check, err := w.d.Check(w.t.Context(), console.CheckQuery{Caller: caller, Callee: callee})
	if err != nil {
		w.t.Fatal(err)
	}
	v := w.d.Screen(&f)
	res := bridge.Result{}
	if v.Challenge != nil {
		res.Keyed = oneOf(w.r, []bridge.Keyed{bridge.KeyedRight, bridge.KeyedNothing, bridge.KeyedNothing, bridge.KeyedWrong})
	}
	w.d.Record(&f, &v, res)
	w.tell(who, "%s calls %s: %s would %s by %s (%s), shown %q, refuse %d, keyed %v; check says %s", caller, callee, v.Action, v.Would, v.Rule, v.Reason, v.ShowName, v.Refuse, res.Keyed, w.json(check))
	if v.Refuse != 0 || v.Challenge != nil && res.Keyed != bridge.KeyedRight {
		return
	}
	talk := time.Duration(w.r.IntN(3)) * 45 * time.Second
	w.d.Ended(attach.CallEnd{UUID: "leg" + uuid, OtherUUID: uuid, Callee: callee, DialledUser: callee, Ring: time.Second})
	w.d.Ended(attach.CallEnd{
		UUID: uuid, OtherUUID: "leg" + uuid, Inbound: true, Caller: caller, Callee: callee, RingfenceID: v.ID,
		Started: w.now, Answered: talk > 0, Bridged: talk > 0, Ring: time.Second, Talk: talk, Cause: "NORMAL_CLEARING", By: attach.ByCaller,
	})
}

// ask is what the customer hall gets to see in the end.
func (w *town) ask() {
	ctx, who := w.t.Context(), "hall"
	check := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Error(err)
		}
	}
	check(w.d.Journal(ctx, console.Query{Customer: who}, func(r console.Record) error {
		r.ID, r.Also = "", nil
		w.tell(who, "record %s", w.json(r))
		return nil
	}))
	check(w.d.Reports(ctx, console.ReportsQuery{Customer: who}, func(r console.Report) error { w.tell(who, "report %s", w.json(r)); return nil }))
	check(w.d.Usage(ctx, console.UsageQuery{Customer: who}, func(u console.Usage) error { w.tell(who, "usage %s", w.json(u)); return nil }))
	check(w.d.Lines(ctx, console.LineQuery{Customer: who}, func(l console.Line) error {
		w.tell(who, "line %s %v", l.Name, l.Numbers)
		return w.d.Known(ctx, console.KnownQuery{Line: l.Name}, func(a console.Acquaintance) error { w.tell(who, "known %s", w.json(a)); return nil })
	}))
}

// liveIn lets the town live for a while, with the customer market or without, and gives what hall saw and heard.
func liveIn(t *testing.T, seed uint64, market bool, from time.Time) []string {
	c := attached(t, choices)
	d := start(t, c)
	w := &town{t: t, d: in(d), now: from}
	for _, who := range []string{"hall", "mill", "market"} {
		if who == "market" && !market {
			break
		}
		for i, number := range numbersOf[who] {
			if _, err := w.d.AddLines(t.Context(), []console.LineSet{{Name: fmt.Sprint(who, i+1), Customer: &who, Profile: &profiles[i], Numbers: &[]string{number}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for ; w.step < townSteps; w.step++ {
		w.now = w.now.Add(12 * time.Second)
		d.stopClock(w.now)
		switch w.step {
		case townSteps / 4: // a restart
			halt(t, d)
			d = start(t, c)
			w.d = in(d)
			d.stopClock(w.now)
		case townSteps / 2: // market gives up what hall takes
			if market {
				if _, err := w.d.RemoveLines(t.Context(), []string{movingLine, "market1", "market2"}); err != nil {
					t.Fatal(err)
				}
			}
			who, profile := "hall", "ask"
			numbers := slices.Clone(movingNumbers)
			if _, err := w.d.AddLines(t.Context(), []console.LineSet{{Name: movingLine, Customer: &who, Profile: &profile, Numbers: &numbers}}); err != nil {
				t.Fatal(err)
			}
		}
		w.r = rand.New(rand.NewPCG(seed, uint64(w.step))) // whatever was done before
		who := oneOf(w.r, []string{"hall", "hall", "market", "market", "market", "mill"})
		if who != "market" || market {
			w.act(who)
		}
	}
	w.ask()
	return w.log
}

// Nothing of one customer changes a decision, a record or an answer of another, be it that the other has its numbers afterwards.
func TestCustomersLeaveEachOtherAlone(t *testing.T) {
	from := time.Now().Add(-time.Hour).Truncate(time.Second)
	var all strings.Builder
	seeds := uint64(9)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			with, without := liveIn(t, seed, true, from), liveIn(t, seed, false, from)
			for i := range max(len(with), len(without)) {
				var a, b string
				if i < len(with) {
					a = with[i]
				}
				if i < len(without) {
					b = without[i]
				}
				if a != b {
					t.Fatalf("with the other customer:\n%s\nwithout:\n%s", a, b)
				}
			}
			all.WriteString(strings.Join(with, "\n"))
		})
	}
	if testing.Short() {
		return // they are too few
	}
	for _, seen := range []string{
		"by known", "by insists", "by ask", "by known-grace", "by label", "by paused", "passed the challenge", "observe", ": reported hall", ": repeated hall",
		"report-done", "release-confirm", "by own allow", "by own block", "record {", "report {", "usage {", "forgets", "added\":1",
	} {
		if !strings.Contains(all.String(), seen) {
			t.Errorf("in all runs there is no %q", seen)
		}
	}
}
