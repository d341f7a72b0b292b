package pages

import (
	"context"
	"fmt"
	"io"
	"time"

	"ringfence/console"
)

// deskFamilies are the words of lists, marks, ranges, policy, lines, people and health that the daemon says, or that the code chooses among.
func deskFamilies() map[string][]string {
	return map[string][]string{
		"change": {"add", "remove", "import", "undo", "merge", "expire", "report", "feed"}, "entry": {"person", "report", "import", "feed"},
		"edit":   {"added", "updated", "unchanged", "removed", "absent", "refused"},
		"report": reportStates, "pinned": {console.PinOpen, console.PinShut}, "breaker.do": breakerDoes, "breaker.means": breakerDoes, "breaker.done": append([]string{"unchanged"}, breakerDoes...),
		"list.done": {"added", "updated", "unchanged", "removed", "absent", "refused"},
		"nodelists": {console.ListsSame, console.ListsDifferent, console.ListsUnknown, console.ListsOtherNumbers},
		"mode":      lineModes, "mode.means": lineModes, "way": {console.BySocket, console.BySession, console.ByToken, console.ByLink},
	}
}

// What follows is the sample's answers about lists, marks, ranges, the policy, lines and people.

func (s *sample) full() bool { return len(s.records) > 0 }

func (s *sample) Lists(context.Context) ([]console.ListSummary, error) {
	if s.err != nil || !s.full() {
		return nil, s.err
	}
	now := time.Now()
	return []console.ListSummary{
		{List: "allowlist", Entries: 12, Records: 12, Changed: now.Add(-3 * time.Hour)},
		{List: "blacklist", Entries: 12345, Records: 12400, Changed: now.Add(-time.Minute)},
		{List: "ftc", Entries: 212043, Records: 212043, Changed: now.AddDate(0, 0, -1)},
		{List: "line:blacklist", Entries: 31, Records: 31, Changed: now, Lines: 7, Gone: 2},
	}, nil
}

func (s *sample) ListsOf(_ context.Context, line string) ([]console.ListSummary, error) {
	if s.err != nil || !s.full() {
		return nil, s.err
	}
	return []console.ListSummary{{List: line + ":blacklist", Entries: 3}}, nil
}

func (s *sample) Entries(_ context.Context, list string, yield func(console.ListEntry) error) error {
	if s.err != nil || !s.full() {
		return s.err
	}
	for i := range 250 {
		e := console.ListEntry{List: list, Number: fmt.Sprintf("+869521161%03d", i), Reason: "loans at 3 %", From: "person", Who: "Ann", Added: time.Now().Add(-time.Duration(i) * time.Hour), Hits: uint64(i * 3 % 17)}
		if i%5 == 0 {
			e.Reason, e.From, e.Source, e.Who, e.Expires = "<b>rude</b>", "import", "numbers 2026.csv", "", time.Now().AddDate(0, 0, 30)
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

func (s *sample) Changes(_ context.Context, list string, yield func(console.ListChange) error) error {
	if s.err != nil || !s.full() {
		return s.err
	}
	for i, kind := range []string{"add", "import", "merge", "remove", "undo"} {
		c := console.ListChange{ID: uint64(7 + i), Time: time.Now().Add(time.Duration(i-9) * time.Hour), Who: "Ann", From: "console", Kind: kind, List: list, Added: 5 - i, Removed: i}
		if kind == "undo" {
			c.Undoes = 9
		}
		if kind == "merge" {
			c.Node = "pbx2<b>"
		}
		if err := yield(c); err != nil {
			return err
		}
	}
	return nil
}

func (s *sample) Feeds(context.Context) ([]console.FeedStatus, error) {
	if s.err != nil || !s.full() {
		return nil, s.err
	}
	return []console.FeedStatus{
		{List: "ftc", Source: "https://example.org/ftc.csv", Every: "24h", Fetched: time.Now().Add(-5 * time.Hour), Entries: 212043},
		{List: "carrier", Source: "https://example.org/c.txt", Every: "1h", Fetched: time.Now().AddDate(0, 0, -3), Entries: 33, Held: "it would remove 31 of 33 entries", Refused: 2},
		{List: "dead", Source: "https://example.org/d.txt", Every: "1h", Error: "404 Not Found"},
	}, nil
}

func (s *sample) Import(_ context.Context, q console.ImportQuery, file io.Reader) (*console.ImportReport, error) {
	io.Copy(io.Discard, file)
	return &console.ImportReport{
		List: q.List, Format: "table", Columns: "number from column 1, reason from column 2", DryRun: q.DryRun, Added: 9997, Refused: 3, Unchanged: 12,
		Refusals: []console.Refusal{{Line: 17, Number: "95211x", Why: "it has letters"}, {Line: 31, Number: "110", Why: "it would hit the emergency number 110"}}, Warnings: []string{"9* has 5 free digits: it covers a million numbers"},
		Would: []console.Edit{{List: q.List, Number: "+8695211613", Change: "added", Reason: "loans"}},
	}, s.err
}

func (s *sample) report(i int, state string) console.Report {
	return console.Report{
		ID: fmt.Sprintf("01KM%022d", i), Time: time.Now().Add(-time.Duration(i) * time.Hour), Caller: console.Caller{Raw: "9521161" + fmt.Sprint(i%10), E164: "+869521161" + fmt.Sprint(i%10)},
		Extension: "8001", Customer: "Bakery Li", Line: "staff", Call: s.records[i].ID, State: state, Weight: 2.5, Repeats: i % 3,
	}
}

func (s *sample) Reports(_ context.Context, q console.ReportsQuery, yield func(console.Report) error) error {
	if s.err != nil || !s.full() {
		return s.err
	}
	for i := range 12 {
		if err := yield(s.report(i, q.State)); err != nil {
			return err
		}
	}
	return nil
}

func (s *sample) ShowReport(context.Context, string) (*console.ReportEvidence, error) {
	if s.err != nil || !s.full() {
		return nil, s.err
	}
	did := console.CallsEvidence{Calls: 31, Rang: 22, Answered: 9, Short: 7, Long: 1, Callees: 28, Most: []console.CalleeCalls{{Number: "05925550100", Calls: 3}}}
	return &console.ReportEvidence{
		Report: s.report(3, console.ReportOpen), Since: time.Now().AddDate(0, 0, -28), Looked: 4000, Did: did, Around: &console.BlockEvidence{Range: "+869521161?", Callers: 9, Marked: 5, Share: 0.4, CallsEvidence: did},
		Hundred: &console.BlockEvidence{Range: "+86952116??", Callers: 61, Marked: 20, Share: 0.2, CallsEvidence: did}, Known: []string{"staff"}, Customers: 3, Reached: 4, Unwanted: 0.31, Confidence: 0.88,
		Others: []console.OtherReport{{ID: "01KM0000000000000000000009", Customer: "Dr. Wu", State: console.ReportDismissed, Last: time.Now(), Who: "Ann"}},
		Effect: console.Effect{Stops: 22, Long: 1}, Proposal: &console.Proposal{Range: "+86952116??", Members: 20, Effect: console.Effect{Stops: 140, Long: 1}},
	}, nil
}

func (s *sample) Ranges(_ context.Context, q console.RangeQuery) (*console.RangeReport, error) {
	if s.err != nil {
		return nil, s.err
	}
	r := &console.RangeReport{Since: time.Now().AddDate(0, 0, -7), Done: true}
	if !s.full() {
		return r, nil
	}
	for d := range 10 {
		one := console.RangeCalls{Prefix: q.Prefix + fmt.Sprint(d), Calls: 100 * (d*d%11 + 1), Callers: 40 + d, Callees: 80, Rang: 60, Answered: 30, Short: 3 * d, Stopped: 40 * d}
		for i := range 48 {
			n := (i*(d+3))%17 - 4
			one.Over, one.OverStop = append(one.Over, max(0, n)), append(one.OverStop, max(0, n-8))
		}
		if d == 2 {
			one.Holder, one.Tripped = "firm A", []string{"range wakes: open until 14:05"}
		}
		r.Next = append(r.Next, one)
		r.Range.Calls += one.Calls
	}
	return r, nil
}

func (s *sample) Breakers(_ context.Context, _ console.BreakerQuery, yield func(console.Breaker) error) error {
	if s.err != nil || !s.full() {
		return s.err
	}
	for _, b := range []console.Breaker{
		{Detector: "range wakes", Trunk: "telecom", Key: "952116", State: console.BreakerTripped, Until: time.Now().Add(3 * time.Hour), Why: "7 strangers in 3h, trips at 5", Holder: "firm A", Touched: 91},
		{Detector: "range wakes", Trunk: "telecom", Key: "952117", State: console.BreakerClosed, Pinned: console.PinShut, By: "Ann"},
	} {
		if err := yield(b); err != nil {
			return err
		}
	}
	return nil
}

func (s *sample) Policy(context.Context) (*console.PolicyText, error) {
	if s.err != nil {
		return nil, s.err
	}
	p := &console.PolicyText{File: "/etc/ringfence/policy.toml", Text: samplePolicy, ETag: "abc", InForce: true, Version: "0123456789ab", Loaded: time.Now().Add(-50 * time.Hour)}
	if !s.full() {
		p.ReadOnly = "this program may not write to the folder of /etc/ringfence/policy.toml (read-only file system)"
	}
	return p, nil
}

func (s *sample) CheckPolicy(context.Context, string) (*console.ReloadReport, error) {
	if s.err != nil {
		return nil, s.err
	}
	return &console.ReloadReport{File: "policy.toml", Rules: 3, Faults: []console.Fault{
		{Text: `policy.toml:21: rule "listed": action: "rejct" is no action: write reject`}, {Text: "policy.toml:26: the list allowlist is not asked by any rule", Warning: true},
	}}, nil
}

func (s *sample) TryPolicy(_ context.Context, q console.TryQuery) (*console.TryReport, error) {
	return &console.TryReport{Since: time.Now().AddDate(0, 0, -q.Days), Calls: 4000, Changed: 120, Moves: []console.TryMove{
		{From: "allow", To: "reject", Rule: "listed", Calls: 100, Long: 2, Examples: s.records[:2]}, {From: "reject", To: "challenge", Rule: "campaign under way", Calls: 20},
	}, Rules: []console.TryRule{{Rule: "listed", Calls: 300}}}, s.err
}

func (s *sample) PolicyVersions(_ context.Context, yield func(console.PolicyVersion) error) error {
	if s.err != nil || !s.full() {
		return s.err
	}
	for i := range 5 {
		if err := yield(console.PolicyVersion{ID: fmt.Sprintf("%012x", i), Time: time.Now().AddDate(0, 0, -i), Who: "Ann", Note: "less noise", Rules: 3, InForce: i == 0}); err != nil {
			return err
		}
	}
	return nil
}

func (s *sample) PolicyVersion(_ context.Context, id string) (*console.PolicyVersionText, error) {
	return &console.PolicyVersionText{PolicyVersion: console.PolicyVersion{ID: id, Time: time.Now(), Rules: 2}, Text: samplePolicy[:300] + "# shorter\n"}, s.err
}

func (s *sample) Lines(_ context.Context, q console.LineQuery, yield func(console.Line) error) error {
	if s.err != nil || !s.full() {
		return s.err
	}
	for _, l := range []console.Line{
		{Name: "bakery", Numbers: []string{"+865925550100"}, Customer: "Bakery Li", Mode: "enforce", Profile: "strict", Notify: "mail:li@example.org", Updated: time.Now()},
		{Name: "doctor", Numbers: []string{"+865925550101", "+865925550102"}, Customer: "Dr. Wu", Mode: "observe", Note: "asks again in May", Updated: time.Now()},
	} {
		if q.Name != "" && q.Name != l.Name {
			continue
		}
		if err := yield(l); err != nil {
			return err
		}
	}
	return nil
}

func (s *sample) LineHistory(_ context.Context, name string, yield func(console.LineHistory) error) error {
	if s.err != nil || !s.full() {
		return s.err
	}
	return yield(console.LineHistory{Change: console.ListChange{ID: 3, Time: time.Now(), Who: "Ann", From: "console", Kind: "add"}, Name: name, After: &console.Line{Name: name, Mode: "enforce", Profile: "strict"}})
}

func (s *sample) Users(context.Context) ([]console.User, error) {
	if s.err != nil || !s.full() {
		return nil, s.err
	}
	return []console.User{
		{Name: "Ann", Role: console.Admin, Password: true, Passkeys: []string{"key"}, LastSeen: time.Now(), Sessions: 2},
		{Name: "li@example.org", Role: console.Reviewer, Customer: "Bakery Li", Lines: []string{"bakery"}, Invited: time.Now().AddDate(0, 0, 7)},
	}, nil
}

func (s *sample) Tokens(context.Context) ([]console.Token, error) {
	if s.err != nil || !s.full() {
		return nil, s.err
	}
	return []console.Token{{ID: "t1", Name: "crm", Role: console.Viewer, Who: "Ann", LastUsed: time.Now()}}, nil
}

func (s *sample) Sessions(context.Context) ([]console.Session, error) {
	if s.err != nil || !s.full() {
		return nil, s.err
	}
	return []console.Session{{ID: "s1", User: "Ann", Role: console.Admin, Began: time.Now(), Seen: time.Now(), Address: "192.0.2.7", Browser: "Firefox on Linux", Own: true}}, nil
}

func (s *sample) Audit(_ context.Context, _ console.AuditQuery, yield func(console.AuditEntry) error) error {
	if s.err != nil || !s.full() {
		return s.err
	}
	for i := range 20 {
		e := console.AuditEntry{ID: fmt.Sprintf("01KA%022d", i), Time: time.Now().Add(-time.Duration(i) * time.Hour), Who: "Ann", Way: console.BySession, Address: "192.0.2.7", What: "list add", Subject: "blacklist", Detail: "1 added", Change: uint64(i)}
		if i%4 == 0 {
			e.Failed = "not for this role"
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

func (s *sample) Detectors(context.Context) ([]console.Detector, error) {
	if s.err != nil || !s.full() {
		return nil, s.err
	}
	return []console.Detector{{Name: "range wakes", Key: "prefix", Counts: "strangers", Window: "3h", Trips: "5 of 6 digits", Hold: "24h", Mode: "enforce", Tripped: 2, Pinned: 1, Counted: 40}}, nil
}
