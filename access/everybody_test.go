package access

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	"ringfence/console"
)

// secret is in every text that one who is bound to the lines of Li must not see.
const secret = "SECRET"

// everybody is a desk that answers each question with what it has of everybody, whatever it was asked for: so it is Guard alone that keeps others' things
// back. What is of the lines bakery and cafe of customer Li says so; all other texts are secret.
type everybody struct {
	mu    sync.Mutex
	calls []string // the methods that were asked

	searched console.Query // the last question to the journal
	used     console.UsageQuery

	records []console.Record
	reports []console.Report
	entries map[string][]console.ListEntry
	changes []console.ListChange
	added   []string // "list number"
}

func (e *everybody) asked(method string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, method)
}

// take gives what was asked since.
func (e *everybody) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	calls := e.calls
	e.calls = nil
	return calls
}

// filled is a value whose texts are all secret.
func filled[T any]() (v T) {
	fill(reflect.ValueOf(&v).Elem(), 0)
	return v
}

func fill(v reflect.Value, depth int) {
	if depth > 6 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Struct:
		if _, ok := v.Interface().(time.Time); ok {
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), depth+1)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(k, depth+1)
		fill(e, depth+1)
		v.SetMapIndex(k, e)
	case reflect.String:
		v.SetString(secret)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(7)
	}
}

var owners = map[string]string{"bakery": "Li", "cafe": "Li", secret + "clinic": secret + "Chen"}

// newEverybody makes calls, marks and entries of all.
func newEverybody(seed uint64) *everybody {
	chance := rand.New(rand.NewPCG(seed, 1))
	e := &everybody{entries: map[string][]console.ListEntry{}}
	pick := func(of ...string) string { return of[chance.IntN(len(of))] }
	for i := range 40 {
		r := filled[console.Record]()
		r.ID, r.Also = fmt.Sprintf("%s-%d", secret, i), nil
		r.Line, r.Customer = secret+"clinic", secret+"Chen"
		switch chance.IntN(5) {
		case 0: // of theirs, when it was another's
			r.Line, r.Customer = "bakery", secret+"before"
		case 1: // of no line
			r.Line, r.Customer = "", ""
		case 2, 3:
			r = ownRecord(i, pick("bakery", "cafe"))
			switch chance.IntN(5) {
			case 0:
				r.List, r.Reason = secret+"list", "number 1 is on list "+secret
			case 1:
				r.Tripped, r.TrippedBy, r.Reason = []string{secret}, []string{secret}, "tripped "+secret
			case 2:
				r.Holder, r.Reason = secret, "number 1 is of "+secret
			case 3:
				r.Score, r.Terms, r.Reason = 3, []string{secret}, secret
			default:
				r.List, r.Reason, r.Holder = r.Line+":blacklist", "number 1 is on list own", secret
			}
		}
		e.records = append(e.records, r)
	}
	for i := range 20 {
		r := filled[console.Report]()
		r.ID, r.State = fmt.Sprintf("%s-report-%d", secret, i), pick(console.ReportOpen, console.ReportConfirmed)
		r.Line, r.Customer = secret+"clinic", secret+"Chen"
		switch chance.IntN(4) {
		case 0:
			r.Line, r.Customer = "bakery", secret+"before"
		case 1, 2:
			line := pick("bakery", "cafe")
			r = console.Report{
				ID: fmt.Sprint("report-", i), Line: line, Customer: "Li", State: pick(console.ReportOpen, console.ReportDismissed), Who: secret, LiftedBy: secret,
				Caller: console.Caller{E164: fmt.Sprintf("+86138%08d", i)}, Extension: "8001", Marks: []console.ReportMark{{Extension: "8001"}},
			}
		}
		e.reports = append(e.reports, r)
	}
	for i, list := range []string{"blacklist", "allowlist", "bakery:blacklist", "cafe:allowlist", "bakery:vip", secret + "clinic:blacklist", "line:blacklist"} {
		entry := filled[console.ListEntry]()
		if list == "bakery:blacklist" || list == "cafe:allowlist" {
			entry = console.ListEntry{List: list, Number: "+8613800000001", Reason: "own", Source: secret, Records: []console.ListRecord{{Reason: "own", Source: secret}}}
		}
		e.entries[list] = []console.ListEntry{entry}
		c := filled[console.ListChange]()
		if c.ID, c.List = uint64(100+i), list; entry.Reason == "own" {
			c = console.ListChange{ID: uint64(100 + i), List: list, Source: secret, Who: "li"}
		}
		e.changes = append(e.changes, c)
	}
	// Of the own list of a line of the name that another had: the list's own changes do not have it.
	c := filled[console.ListChange]()
	c.ID, c.List = 666, "bakery:blacklist"
	e.changes = append(e.changes, c)
	return e
}

// ownRecord is a call to a line of Li's.
func ownRecord(i int, line string) console.Record {
	return console.Record{
		ID: fmt.Sprint("own-", i), Line: line, Customer: "Li", Action: "reject", Rule: "listed", Name: "a caller", Callee: "100", Caller: console.Caller{E164: "+8613800000001"},
		Also: []string{fmt.Sprint("own-again-", i)},
	}
}

func (e *everybody) Journal(_ context.Context, q console.Query, yield func(console.Record) error) error {
	e.asked("Journal")
	e.searched = q
	for _, r := range e.records {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

func (e *everybody) Follow(_ context.Context, _ func(), yield func(console.Record) error) error {
	e.asked("Follow")
	for _, r := range e.records {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

func (e *everybody) Search(_ context.Context, q console.SearchQuery) (*console.SearchPage, error) {
	e.asked("Search")
	e.searched = q.Query
	return &console.SearchPage{Records: e.records, Cursor: secret, Looked: 4711}, nil
}

func (e *everybody) Call(_ context.Context, id string) (*console.CallDetail, error) {
	e.asked("Call")
	for _, r := range e.records {
		if r.ID == id {
			c := filled[*console.CallDetail]()
			c.Record, c.Known = r, []string{secret, "bakery"}
			c.Steps = append(c.Steps, console.Step{Rule: r.Rule, Matched: true, Why: secret})
			return c, nil
		}
	}
	return nil, console.NotFound(secret)
}

func (e *everybody) Usage(_ context.Context, q console.UsageQuery, yield func(console.Usage) error) error {
	e.asked("Usage")
	e.used = q
	for _, u := range []console.Usage{{Line: secret + "clinic", Customer: secret + "Chen"}, {Line: "bakery", Customer: secret + "before"}, {Line: "bakery", Customer: "Li"}, {Line: "cafe", Customer: "Li"}} {
		if err := yield(u); err != nil {
			return err
		}
	}
	return nil
}

func (e *everybody) Correct(_ context.Context, id string) (*console.Corrected, error) {
	e.asked("Correct")
	r := filled[*console.ReportEdit]()
	r.Report, r.Change = console.Report{ID: "r", Line: "bakery", Customer: "Li", Who: secret}, console.Reported
	return &console.Corrected{Report: r}, nil
}

func (e *everybody) EffectOf(context.Context, console.EffectQuery) (*console.EntryEffect, error) {
	e.asked("EffectOf")
	x := filled[*console.EntryEffect]()
	x.Known, x.Examples = append(x.Known, "bakery"), e.records
	return x, nil
}

func (e *everybody) Check(_ context.Context, q console.CheckQuery) (*console.CheckReport, error) {
	e.asked("Check")
	c := filled[*console.CheckReport]()
	switch q.Callee {
	case "100":
		c.Line, c.Customer = "bakery", "Li"
	case "101":
		c.Line, c.Customer = "cafe", "Li"
	default:
		return c, nil
	}
	c.Action, c.Would, c.Rule, c.Mode, c.Label, c.Trunk, c.Callee = "reject", "reject", "listed", "enforce", "", "telecom", q.Callee
	c.Caller = console.CallerReport{Raw: q.Caller}
	c.Steps = append(c.Steps, console.Step{Rule: "listed", Matched: true, Why: secret})
	c.Lists = append(c.Lists, console.OnList{List: c.Line + ":blacklist", Reason: "own", Source: secret})
	return c, nil
}

func (e *everybody) ListsOf(_ context.Context, line string) ([]console.ListSummary, error) {
	e.asked("ListsOf")
	return []console.ListSummary{{List: line + ":blacklist"}, {List: secret}, {List: line + ":" + secret}}, nil
}

func (e *everybody) Entries(_ context.Context, list string, yield func(console.ListEntry) error) error {
	e.asked("Entries")
	for _, entry := range e.entries[list] {
		if err := yield(entry); err != nil {
			return err
		}
	}
	return nil
}

func (e *everybody) AddEntries(_ context.Context, list string, add []console.NewEntry, _ bool) (edits []console.Edit, err error) {
	e.asked("AddEntries")
	for _, a := range add {
		e.added = append(e.added, list+" "+a.Number)
		e.entries[list] = append(e.entries[list], console.ListEntry{List: list, Number: a.Number, Reason: "own"})
		edits = append(edits, console.Edit{List: list, Number: fmt.Sprint("+86", len(a.Number)), Change: "added"})
	}
	return edits, nil
}

func (e *everybody) RemoveEntries(_ context.Context, list string, patterns []string, _ bool) (edits []console.Edit, err error) {
	e.asked("RemoveEntries")
	for _, p := range patterns {
		edits = append(edits, console.Edit{List: list, Number: fmt.Sprint("+86", len(p)), Change: "removed", Still: []string{secret}})
	}
	return edits, nil
}

func (e *everybody) Changes(_ context.Context, list string, yield func(console.ListChange) error) error {
	e.asked("Changes")
	for _, c := range e.changes {
		if list == "" && c.List != console.LineTable || list == c.List && c.ID != 666 {
			if err := yield(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *everybody) History(_ context.Context, _ string, yield func(console.ListHistory) error) error {
	e.asked("History")
	for _, c := range e.changes {
		h := filled[console.ListHistory]()
		if h.Change = c; c.Who == "li" {
			h.Number, h.Before, h.After = "+8613800000001", nil, &console.ListEntry{List: c.List, Reason: "own", Source: secret}
		}
		if err := yield(h); err != nil {
			return err
		}
	}
	return nil
}

func (e *everybody) Undo(_ context.Context, id uint64) (*console.ListChange, error) {
	e.asked("Undo")
	return &console.ListChange{ID: id + 1000, List: "bakery:blacklist", Source: secret}, nil
}

func (e *everybody) Lines(_ context.Context, q console.LineQuery, yield func(console.Line) error) error {
	e.asked("Lines")
	for _, name := range []string{"bakery", "cafe", secret + "clinic"} {
		l := console.Line{Name: name, Customer: owners[name], Note: secret, Source: secret, Who: secret, From: secret, Mode: "enforce"}
		if q.Name != "" && q.Name != name {
			continue
		}
		if err := yield(l); err != nil {
			return err
		}
	}
	return nil
}

func (e *everybody) SetLine(_ context.Context, set console.LineSet) (*console.LineEdit, error) {
	e.asked("SetLine")
	return &console.LineEdit{Name: set.Name, Change: "updated", ID: 9, Warnings: []string{secret}}, nil
}

func (e *everybody) Reports(_ context.Context, _ console.ReportsQuery, yield func(console.Report) error) error {
	e.asked("Reports")
	for _, r := range e.reports {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

func (e *everybody) Report(_ context.Context, n console.NewReport) (*console.ReportEdit, error) {
	e.asked("Report")
	r := filled[*console.ReportEdit]()
	r.Report, r.Change = console.Report{ID: "r", Line: "bakery", Customer: "Li", Who: secret}, console.Reported
	return r, nil
}

func (e *everybody) DismissReport(_ context.Context, id string) (*console.ReportEdit, error) {
	e.asked("DismissReport")
	r := filled[*console.ReportEdit]()
	r.Report, r.Change = console.Report{ID: id, Line: "bakery", Customer: "Li", Who: secret}, console.Dismissed
	return r, nil
}

func (e *everybody) Status(context.Context) (*console.Status, error) {
	e.asked("Status")
	s := filled[*console.Status]()
	s.Mode = "enforce"
	return s, nil
}

func (e *everybody) Sessions(context.Context) ([]console.Session, error) {
	e.asked("Sessions")
	return []console.Session{{ID: secret, User: secret}, {ID: "mine", User: "li"}}, nil
}

func (e *everybody) SetUser(_ context.Context, set console.UserSet) (*console.UserEdit, error) {
	e.asked("SetUser")
	return &console.UserEdit{User: console.User{Name: set.Name}, Change: "updated"}, nil
}

func (e *everybody) EndSession(_ context.Context, id string) error {
	e.asked("EndSession")
	return nil
}

// together is everybody with the people of a book.
type together struct {
	*everybody
	*Book
}

func (d *together) Users(ctx context.Context) ([]console.User, error) { return d.Book.Users(ctx) }
func (d *together) AddUser(ctx context.Context, u console.NewUser) (*console.UserEdit, error) {
	return d.Book.AddUser(ctx, u)
}

func (d *together) SetUser(ctx context.Context, u console.UserSet) (*console.UserEdit, error) {
	return d.Book.SetUser(ctx, u)
}

func (d *together) RemoveUser(ctx context.Context, name string) (*console.UserEdit, error) {
	return d.Book.RemoveUser(ctx, name)
}

func (d *together) Tokens(ctx context.Context) ([]console.Token, error) { return d.Book.Tokens(ctx) }

func (d *together) AddToken(ctx context.Context, t console.NewToken) (*console.MadeToken, error) {
	return d.Book.AddToken(ctx, t)
}

func (d *together) RevokeToken(ctx context.Context, id string) (*console.Token, error) {
	return d.Book.RevokeToken(ctx, id)
}

func (d *together) Sessions(ctx context.Context) ([]console.Session, error) {
	return d.Book.Sessions(ctx)
}

func (d *together) EndSession(ctx context.Context, id string) error {
	return d.Book.EndSession(ctx, id)
}

func (d *together) Audit(ctx context.Context, q console.AuditQuery, yield func(console.AuditEntry) error) error {
	return d.Book.Audit(ctx, q, yield)
}
