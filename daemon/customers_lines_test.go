package daemon

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/console"
	"ringfence/policy"
)

// provided is an installation of a provider: two customers, one with two lines, and a line that is its own customer.
func provided(t *testing.T, d *house) {
	t.Helper()
	acme, baker := "acme", "baker"
	strict := "strict"
	if _, err := d.AddLines(t.Context(), []console.LineSet{
		{Name: "acme1", Customer: &acme, Profile: &strict, Numbers: &[]string{"05925550100-05925550119"}},
		{Name: "acme2", Customer: &acme, Profile: &strict, Numbers: &[]string{"05925550120"}},
		{Name: "bread", Customer: &baker, Profile: &strict, Numbers: &[]string{"05925550200"}},
		{Name: "corner", Profile: &strict, Numbers: &[]string{"05925550300"}},
	}); err != nil {
		t.Fatal(err)
	}
}

const providing = `
country = "CN"
timezone = "Asia/Shanghai"
[[rule]]
name = "known"
when = { known_caller = "30d" }
action = "tag"
label = "known"
[[rule]]
name = "ask"
when = { line = ["profile:strict"] }
action = "challenge"
`

// A customer's mark is one, by whichever of their lines and by however many extensions, and ends what the caller has with them alone.
func TestMarksOfLinesOfTheDatabase(t *testing.T) {
	d := in(start(t, attached(t, providing)))
	provided(t, d)
	const caller = "+8695211613"
	callees := []string{"05925550100", "05925550120", "05925550200", "05925550300"}
	for _, callee := range callees { // they pass, and talk with acme2 and the baker
		f := bridge.Facts{UUID: callee, Number: caller, FromUser: caller, Callee: callee}
		v := d.Screen(&f)
		d.Record(&f, &v, bridge.Result{Keyed: bridge.KeyedRight})
		talk := time.Duration(0)
		if callee == "05925550120" || callee == "05925550200" {
			talk = 2 * time.Minute
		}
		d.Ended(attach.CallEnd{
			UUID: callee, OtherUUID: "leg" + callee, Inbound: true, Caller: caller, Callee: callee, RingfenceID: v.ID,
			Answered: true, Bridged: true, Ring: time.Second, Talk: talk, By: attach.ByCaller,
		})
	}
	get := func() (got []string) {
		for _, callee := range callees {
			v := d.Screen(&bridge.Facts{UUID: "x", Number: caller, FromUser: caller, Callee: callee})
			got = append(got, v.Rule+"/"+v.Action)
		}
		return got
	}
	want := func(when string, want ...string) {
		t.Helper()
		if got := get(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	want("before", "ask/allow", "known/tag", "known/tag", "ask/allow")
	report := func(callee, extension, change, customer string) {
		t.Helper()
		edit, err := d.Report(t.Context(), console.NewReport{Caller: caller, Callee: callee, Extension: extension})
		if err != nil || edit.Change != change || edit.Customer != customer {
			t.Errorf("a mark at %s by %s: %+v %v", callee, extension, edit, err)
		}
	}
	report("05925550100", "101", console.Reported, "acme")
	want("acme marks him", "ask/challenge", "ask/challenge", "known/tag", "ask/allow")
	for i := range 10 {
		report("05925550120", fmt.Sprint(200+i), console.Repeated, "acme")
	}
	report("05925550300", "301", console.Reported, "corner")
	want("the corner marks him", "ask/challenge", "ask/challenge", "known/tag", "ask/challenge")
	nobody := "(no line)" // whose all numbers of no line are
	if _, err := d.SetLine(t.Context(), console.LineSet{Name: "corner", Customer: &nobody}); err == nil {
		t.Error("a customer is called as who has all numbers of no line")
	}
	var customers []string
	d.Reports(t.Context(), console.ReportsQuery{}, func(r console.Report) error {
		customers = append(customers, r.Customer+" "+r.Line)
		return nil
	})
	if slices.Sort(customers); !slices.Equal(customers, []string{"acme acme2", "corner corner"}) {
		t.Errorf("reports of %v", customers)
	}
	d.Reports(t.Context(), console.ReportsQuery{Customer: "corner"}, func(r console.Report) error {
		if r.Customer != "corner" || r.Weight != 1 {
			t.Errorf("asked for the corner's: %+v", r)
		}
		return nil
	})
	if _, err := d.Report(t.Context(), console.NewReport{Caller: caller, Callee: "05925550200"}); err != nil {
		t.Fatal(err)
	}
	want("the baker marks him", "ask/challenge", "ask/challenge", "ask/challenge", "ask/challenge")
}

// Records, usage and the status tell whose lines were called.
func TestJournalByCustomer(t *testing.T) {
	d := in(start(t, installation(t, providing)))
	if s := statusOf(t, d); s.Customers != nil {
		t.Errorf("without lines in the database: %+v", s.Customers)
	}
	provided(t, d)
	now := time.Now()
	call := func(caller, callee string, keyed bridge.Keyed) {
		now = now.Add(time.Millisecond)
		f := bridge.Facts{UUID: "x", Number: caller, FromUser: caller, Callee: callee}
		v := d.Screen(&f)
		d.Record(&f, &v, bridge.Result{Keyed: keyed})
	}
	call("13800138001", "05925550100", bridge.KeyedWrong)
	call("13800138002", "05925550120", bridge.KeyedRight)
	call("13800138002", "05925550120", bridge.NotAsked) // who passed is let through
	call("13800138003", "05925550300", bridge.KeyedNothing)
	call("13800138004", "05925550999", bridge.NotAsked)
	var got []string
	for _, customer := range []string{"", "acme", "corner", "baker"} {
		err := d.Journal(t.Context(), console.Query{Customer: customer}, func(r console.Record) error {
			text, err := json.Marshal(r)
			if err != nil || strings.Contains(string(text), `"customer"`) != (r.Customer != "") {
				t.Errorf("%s %v", text, err)
			}
			got = append(got, fmt.Sprintf("%s: %s %s/%s", customer, r.Callee[7:], r.Line, r.Customer))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{
		": 0100 acme1/acme", ": 0120 acme2/acme", ": 0120 acme2/acme", ": 0300 corner/", ": 0999 /",
		"acme: 0100 acme1/acme", "acme: 0120 acme2/acme", "acme: 0120 acme2/acme", "corner: 0300 corner/",
	}; !slices.Equal(got, want) {
		t.Errorf("records:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	day := now.In(d.d.force.Rules().Policy.Zone()).Format(time.DateOnly)
	usage := string(console.AppendUsageHeader(nil))
	if err := d.Usage(t.Context(), console.UsageQuery{}, func(u console.Usage) error { usage = string(u.AppendCSV([]byte(usage))); return nil }); err != nil {
		t.Fatal(err)
	}
	if want := "customer,line,day,calls,let_through,labelled,warned,challenged,diverted,rejected,would_have_been_stopped\n" +
		"acme,acme1,DAY,1,0,0,0,1,0,0,0\nacme,acme2,DAY,2,1,0,0,1,0,0,0\ncorner,corner,DAY,1,0,0,0,1,0,0,0\n"; strings.ReplaceAll(usage, day, "DAY") != want {
		t.Errorf("usage:\n%s\nwant:\n%s", usage, want)
	}
	s := statusOf(t, d).Customers
	if s == nil || s.Customers != 2 || len(s.Most) != 2 || s.Most[0] != (console.CustomerCalls{Customer: "acme", Calls: 3, Stopped: 1}) || s.Most[1] != (console.CustomerCalls{Customer: "corner", Calls: 1, Stopped: 1}) {
		t.Errorf("today: %+v", s)
	}
	// What a line on trial would have done is told of, and what was done to the calls of before stays its customer's.
	observe, other := "observe", "next"
	if _, err := d.SetLine(t.Context(), console.LineSet{Name: "acme1", Mode: &observe, Customer: &other}); err != nil {
		t.Fatal(err)
	}
	call("13800138001", "05925550100", bridge.NotAsked)
	for customer, want := range map[string]string{"acme": "acme,acme1,DAY,1,0,0,0,1,0,0,0\nacme,acme2,DAY,2,1,0,0,1,0,0,0\n", "next": "next,acme1,DAY,1,1,0,0,0,0,0,1\n"} {
		usage := ""
		d.Usage(t.Context(), console.UsageQuery{Customer: customer}, func(u console.Usage) error { usage = string(u.AppendCSV([]byte(usage))); return nil })
		if strings.ReplaceAll(usage, day, "DAY") != want {
			t.Errorf("usage of %s:\n%s\nwant:\n%s", customer, usage, want)
		}
	}
	// A caller of before is not for the next customer to mark, nor to see.
	if _, err := d.Report(t.Context(), console.NewReport{Caller: "13800138001", Callee: "05925550101"}); err != nil {
		t.Errorf("a call to the customer himself cannot be marked: %v", err)
	}
	if edit, err := d.Report(t.Context(), console.NewReport{Caller: "13800138002", Callee: "05925550100"}); err == nil {
		t.Errorf("a caller of another's line is marked: %+v", edit)
	}
}

func statusOf(t *testing.T, d *house) *console.Status {
	t.Helper()
	s, err := d.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Whom a line of the database knows is shown and forgotten by its name, and stays behind when it goes to another customer.
//
// long: because each look is at what the steps before have left
func TestKnownToLinesOfTheDatabase(t *testing.T) {
	c := installation(t, providing)
	daemon := start(t, c)
	d := in(daemon)
	provided(t, d)
	known := func(line string) (numbers []string) {
		t.Helper()
		if err := d.Known(t.Context(), console.KnownQuery{Line: line}, func(a console.Acquaintance) error {
			numbers = append(numbers, a.Line+" "+a.Number)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return numbers
	}
	report, err := d.ImportKnown(t.Context(), console.KnownImport{File: "book", Lines: []string{"acme1"}}, strings.NewReader("13800138001\n13800138002\n05925550120\n05925550200\n"))
	if err != nil || report.Added != 3 || report.Refused != 1 || !slices.Equal(report.Lines, []string{"acme1"}) {
		t.Fatalf("%+v %v", report, err) // its own customer's number cannot call from outside, another's can
	}
	if got := known("acme1"); !slices.Equal(got, []string{"acme1 +8613800138001", "acme1 +8613800138002", "acme1 +865925550200"}) {
		t.Errorf("known to acme1: %v", got)
	}
	if got := known("acme2"); got != nil {
		t.Errorf("known to acme2: %v", got)
	}
	vouched := func(want int) {
		t.Helper()
		p := daemon.force.Rules().Policy
		call := p.Call(policy.Facts{Caller: "13800138001", Callee: "05925550300", Time: time.Now()})
		if d.d.memory.Recall(p, &call); call.KnownLines != want {
			t.Errorf("%d customers vouch, want %d", call.KnownLines, want)
		}
	}
	vouched(1)
	for i, line := range []string{"acme2", "bread", "corner"} {
		if _, err := d.ImportKnown(t.Context(), console.KnownImport{File: "book", Lines: []string{line}}, strings.NewReader("13800138001\n")); err != nil {
			t.Fatal(err)
		}
		vouched(1 + i)
	}
	if _, err := d.RemoveLines(t.Context(), []string{"bread"}); err != nil {
		t.Fatal(err)
	}
	vouched(2)
	var held []string
	if err := d.Held(t.Context(), console.HeldQuery{Number: "13800138001"}, func(h console.Held) error {
		if h.Kind == console.HeldKnown {
			held = append(held, h.Line)
		}
		return nil
	}); err != nil || !slices.Equal(held, []string{"acme1", "acme2", "bread", "corner"}) { // all that is held, by names
		t.Errorf("held of lines %v: %v", held, err)
	}
	for _, line := range []string{"all", "acme1~", "nosuch"} {
		_, err := d.ImportKnown(t.Context(), console.KnownImport{File: "book", Lines: []string{line}}, strings.NewReader("13800138001\n"))
		if err == nil || strings.Contains(err.Error(), "bread") || !strings.Contains(err.Error(), "line") {
			t.Errorf("for %s: %v", line, err)
		}
	}
	gone, err := d.ForgetKnown(t.Context(), console.KnownForget{Number: "13800138002", Line: "acme1"})
	if err != nil || !slices.Equal(gone.Lines, []string{"acme1"}) {
		t.Errorf("%+v %v", gone, err)
	}
	if a := ruleFor(t, d, "13800138001", "05925550100"); a != "known" {
		t.Errorf("an acquaintance is decided by %s", a)
	}
	next := "next"
	edit, err := d.SetLine(t.Context(), console.LineSet{Name: "acme1", Customer: &next})
	if err != nil {
		t.Fatal(err)
	}
	look := func(when, rule string, numbers ...string) {
		t.Helper()
		if got := known("acme1"); !slices.Equal(got, numbers) {
			t.Errorf("%s: known to acme1: %v", when, got)
		}
		if a := ruleFor(t, d, "13800138001", "05925550100"); a != rule {
			t.Errorf("%s: decided by %s", when, a)
		}
	}
	look("another customer has it", "ask")
	halt(t, daemon)
	daemon = start(t, c)
	d = in(daemon)
	look("after a restart", "ask")
	if _, err := d.Undo(t.Context(), edit.ID); err != nil {
		t.Fatal(err)
	}
	look("that was undone", "known", "acme1 +8613800138001", "acme1 +865925550200")
}
