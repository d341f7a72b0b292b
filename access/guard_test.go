package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/console"
)

// TestRulesHaveAll: each method of console.Desk has a row, and each row is of a method.
func TestRulesHaveAll(t *testing.T) {
	d := reflect.TypeFor[console.Desk]()
	for i := range d.NumMethod() {
		if _, ok := rules[d.Method(i).Name]; !ok {
			t.Errorf("nobody has said who may use %s", d.Method(i).Name)
		}
	}
	if len(rules) != d.NumMethod() {
		t.Errorf("there are %d rows for %d methods", len(rules), d.NumMethod())
	}
}

// harmless are arguments of types that make a request a right one, for a line of Li's.
func argument(method string, t reflect.Type) reflect.Value {
	switch method + " " + t.String() {
	case "Call string", "Correct string":
		return reflect.ValueOf("own-1")
	case "ListsOf string":
		return reflect.ValueOf("bakery")
	case "Entries string", "AddEntries string", "RemoveEntries string", "Changes string":
		return reflect.ValueOf("bakery:blacklist")
	case "ShowReport string", "ConfirmReport string", "DismissReport string", "LiftReport string":
		return reflect.ValueOf("report-1")
	case "EndSession string":
		return reflect.ValueOf("mine")
	case "Undo uint64":
		return reflect.ValueOf(uint64(102))
	case "Check console.CheckQuery":
		return reflect.ValueOf(console.CheckQuery{Caller: "1", Callee: "100"})
	case "EffectOf console.EffectQuery":
		return reflect.ValueOf(console.EffectQuery{List: "bakery:blacklist"})
	case "Report console.NewReport":
		return reflect.ValueOf(console.NewReport{Caller: "1", Callee: "100"})
	case "SetLine console.LineSet":
		mode := "observe"
		return reflect.ValueOf(console.LineSet{Name: "bakery", Mode: &mode})
	case "SetUser console.UserSet":
		password := longPassword
		return reflect.ValueOf(console.UserSet{Name: "li", Password: &password})
	case "AddEntries []console.NewEntry":
		return reflect.ValueOf([]console.NewEntry{{Number: "+8613800000002"}})
	case "RemoveEntries []string":
		return reflect.ValueOf([]string{"+8613800000002"})
	}
	if t == reflect.TypeFor[io.Writer]() {
		return reflect.ValueOf(io.Discard)
	}
	if t == reflect.TypeFor[io.Reader]() {
		return reflect.ValueOf(strings.NewReader(""))
	}
	return reflect.Zero(t)
}

// use calls a method of a desk, and gives all that it said as JSON. arg makes its arguments.
func use(d console.Desk, ctx context.Context, method string, arg func(string, reflect.Type) reflect.Value) (said string, err error) {
	m := reflect.ValueOf(d).MethodByName(method)
	in := []reflect.Value{reflect.ValueOf(ctx)}
	var all []any
	for i := 1; i < m.Type().NumIn(); i++ {
		of := m.Type().In(i)
		if of.Kind() == reflect.Func {
			in = append(in, reflect.MakeFunc(of, func(args []reflect.Value) []reflect.Value {
				all = append(all, args[0].Interface())
				return []reflect.Value{reflect.Zero(reflect.TypeFor[error]())}
			}))
			continue
		}
		in = append(in, arg(method, of))
	}
	for _, out := range m.Call(in) {
		if e, ok := out.Interface().(error); ok {
			err = e
			all = append(all, e.Error())
		} else if out.Type() != reflect.TypeFor[error]() {
			all = append(all, out.Interface())
		}
	}
	text, jsonErr := json.Marshal(all)
	if jsonErr != nil {
		panic(jsonErr)
	}
	return string(text), err
}

// somebody are all kinds of who may ask, by what they are called here.
func somebody(s *shelf, t testing.TB) map[string]*console.Who {
	all := map[string]*console.Who{"nobody": nil, "no role": {Name: "li", Way: console.BySession}, "a wrong role": {Name: "li", Way: console.BySession, Role: "owner"}}
	for _, role := range console.Roles {
		all[string(role)] = &console.Who{Name: "li", Way: console.BySocket, Role: role}
		all[string(role)+" of bakery"] = &console.Who{Name: "li", Way: console.BySocket, Role: role, Lines: []string{"bakery"}}
		all[string(role)+" of Li"] = &console.Who{Name: "li", Way: console.BySocket, Role: role, Customer: "Li"}
		all[string(role)+" of bakery and Li"] = &console.Who{Name: "li", Way: console.BySocket, Role: role, Lines: []string{"bakery"}, Customer: "Li"}
	}
	all["who has a link"] = &console.Who{Name: "link", Way: console.ByLink, Role: reviewer, Lines: []string{"bakery"}, Call: "own-1", Session: "x"}
	return all
}

// TestEveryMethodForEverybody: each method of console.Desk × each role × bound or not. Who may not use one is refused before the desk is asked; who is bound never
// gets anything that is not theirs; what changes something, and what was refused, is in the audit.
func TestEveryMethodForEverybody(t *testing.T) {
	s := openBook(t, "", newClock())
	d := reflect.TypeFor[console.Desk]()
	for name, w := range somebody(s, t) {
		for i := range d.NumMethod() {
			method := d.Method(i).Name
			r := rules[method]
			e := newEverybody(3)
			e.records = append(e.records, ownRecord(1, "bakery"))
			e.reports = append(e.reports, console.Report{ID: "report-1", Line: "bakery", Customer: "Li", State: console.ReportOpen, Caller: console.Caller{E164: "+8613800000009"}})
			before := s.newest(t)
			ctx := context.Background()
			if w != nil {
				ctx = asWho(w)
			}
			said, err := use(Guard(e, s.Book), ctx, method, argument)
			asked := e.take()

			var want error
			switch {
			case w == nil || !w.Role.Covers(viewer):
				want = console.ErrForbidden
			case w.Way == console.ByLink && !byLink[method], w.Bound() && r.bound == nobody:
				want = console.ErrNotFound
			case w.Bound() && !w.Role.Covers(r.bound), !w.Bound() && !w.Role.Covers(r.least):
				want = console.ErrForbidden
			case method == "SetUser" && (w.Bound() || w.Role != admin), method == "EndSession" && (w.Bound() || w.Role != admin):
				want = console.ErrForbidden // of one's own session alone: TestOwnPassword
				if w.Bound() || method == "EndSession" {
					want = console.ErrNotFound
				}
			}
			if !errors.Is(err, want) || want == nil && err != nil {
				t.Errorf("%s, %s: got the error %v, want %v", name, method, err, want)
			}
			if want != nil && method != "EndSession" && len(asked) > 0 {
				t.Errorf("%s, %s: refused, and the desk was asked %q", name, method, asked)
			}
			if w != nil && w.Bound() && strings.Contains(said, secret) {
				t.Errorf("%s, %s: it says what is others’: %s", name, method, around(said))
			}
			if want == nil && !slices.Contains(asked, method) && !w.Bound() {
				t.Errorf("%s, %s: the desk was asked %q", name, method, asked)
			}
			if r.what == "" {
				continue
			}
			noted := 0
			if s.newest(t) != before {
				noted = 1
			}
			if wantNoted := w != nil; (noted == 1) != wantNoted && !(noted == 0 && s.Skipped.Load() > 0) {
				t.Errorf("%s, %s: %d entries in the audit", name, method, noted)
			}
		}
	}
}

func around(text string) string {
	at := strings.Index(text, secret)
	return text[max(at-120, 0):min(at+80, len(text))]
}

// TestNothingOfOthers: whatever is asked for, of whatever calls, marks and lists, who is bound gets nothing that is another's.
func TestNothingOfOthers(t *testing.T) {
	s := openBook(t, "", newClock())
	texts := []string{
		"", "bakery", "cafe", secret + "clinic", "bakery:blacklist", "bakery:allowlist", "bakery:vip", "bakery:", "line:blacklist", "blacklist", secret + "clinic:blacklist", secret + "clinic:allowlist",
		"own-1", "own-3", secret + "-1", secret + "-2", "report-1", secret + "-report-1", "100", "101", "200", "li", "Li", secret, "~", "~AAAA", "line:",
	}
	found := 0
	for seed := range uint64(10) {
		e := newEverybody(seed)
		at := int(seed)
		text := func() string { at += 7; return texts[at%len(texts)] }
		arg := func(_ string, of reflect.Type) reflect.Value {
			v := reflect.New(of).Elem()
			switch {
			case of.Kind() == reflect.String:
				v.SetString(text())
			case of == reflect.TypeFor[uint64]():
				v.SetUint([]uint64{100, 101, 102, 103, 104, 105, 106, 666}[at%8])
			case of.Kind() == reflect.Struct:
				for i := range v.NumField() {
					if f := v.Field(i); f.Kind() == reflect.String && (at+i)%3 == 0 {
						f.SetString(text())
					}
				}
			case of == reflect.TypeFor[[]string]():
				v.Set(reflect.ValueOf([]string{text()}))
			case of == reflect.TypeFor[io.Writer]():
				v.Set(reflect.ValueOf(io.Discard))
			case of == reflect.TypeFor[io.Reader]():
				v.Set(reflect.ValueOf(strings.NewReader(text())))
			}
			return v
		}
		for name, w := range somebody(s, t) {
			if w == nil || !w.Bound() {
				continue
			}
			d := reflect.TypeFor[console.Desk]()
			for i := range d.NumMethod() {
				method := d.Method(i).Name
				for range 3 {
					said, err := use(Guard(e, s.Book), asWho(w), method, arg)
					if err == nil && strings.Contains(said, "own") {
						found++
					}
					// What they asked for by its name may be in the answer, as that there is none.
					if strings.Contains(said, secret) {
						t.Fatalf("seed %d, %s, %s: it says what is others’: %s", seed, name, method, around(said))
					}
				}
			}
			for _, a := range e.added {
				if list, _, _ := strings.Cut(a, " "); !slices.Contains([]string{"bakery:blacklist", "bakery:allowlist", "cafe:blacklist", "cafe:allowlist"}, list) || w.Customer == "" && strings.HasPrefix(list, "cafe") {
					t.Fatalf("%s added to %s", name, list)
				}
			}
			e.added = nil
		}
	}
	if found < 40 {
		t.Errorf("what is theirs was in %d answers: this shows little", found)
	}
}

// TestBoundToOneLine: who is bound to one line of a customer sees nothing of the customer's other lines.
func TestBoundToOneLine(t *testing.T) {
	s := openBook(t, "", newClock())
	for seed := range uint64(5) {
		e := newEverybody(seed)
		d := reflect.TypeFor[console.Desk]()
		for i := range d.NumMethod() {
			w := &console.Who{Name: "li", Way: console.BySocket, Role: reviewer, Lines: []string{"bakery"}}
			if said, _ := use(Guard(e, s.Book), asWho(w), d.Method(i).Name, argument); strings.Contains(said, "cafe") {
				t.Errorf("%s: got %s", d.Method(i).Name, said)
			}
		}
	}
}

// TestTextsThatAreCut: what they do not see of their own calls cannot be found out by asking for it.
func TestTextsThatAreCut(t *testing.T) {
	s := openBook(t, "", newClock())
	e := newEverybody(1)
	r := ownRecord(1, "bakery")
	r.List, r.Reason = "blacklist", "number 1 is on list blacklist (told by the clinic)"
	e.records = []console.Record{r}
	g, li := Guard(e, s.Book), asWho(&console.Who{Name: "li", Way: console.ByToken, Role: viewer, Customer: "Li"})
	for text, want := range map[string]int{"": 1, "A CALLER": 1, "138": 1, "clinic": 0, "on list": 0} {
		page, err := g.Search(li, console.SearchQuery{Query: console.Query{Text: text}})
		if err != nil {
			t.Fatal(err)
		}
		// Where a page ends must not tell either: so the desk is not asked for the text.
		if asked := e.searched; asked.Text != "" {
			t.Errorf("%q: the desk was asked for %+v", text, asked)
		}
		n := 0
		if err := g.Journal(li, console.Query{Text: text, Limit: 1}, func(console.Record) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		if asked := e.searched; asked.Text != "" || text != "" && asked.Limit != 0 {
			t.Errorf("%q: the desk was asked for %+v", text, asked)
		}
		if n != want || len(page.Records) != want {
			t.Errorf("%q: got %d and %d calls, want %d", text, n, len(page.Records), want)
		}
	}
}

func TestOwnLines(t *testing.T) {
	s := openBook(t, "", newClock())
	li := asWho(&console.Who{Name: "li", Way: console.ByToken, Role: reviewer, Customer: "Li"})
	one := asWho(&console.Who{Name: "li", Way: console.ByToken, Role: reviewer, Lines: []string{"bakery"}})
	mode, notify, note, who := "off", "x@example.com", "mine", "Chen"
	for name, c := range map[string]struct {
		ctx  context.Context
		set  console.LineSet
		want error
	}{
		"mode":               {li, console.LineSet{Name: "cafe", Mode: &mode}, nil},
		"notify":             {one, console.LineSet{Name: "bakery", Notify: &notify}, nil},
		"another's":          {li, console.LineSet{Name: secret + "clinic", Mode: &mode}, console.ErrNotFound},
		"not of the binding": {one, console.LineSet{Name: "cafe", Mode: &mode}, console.ErrNotFound},
		"note":               {li, console.LineSet{Name: "cafe", Note: &note}, console.ErrForbidden},
		"customer":           {li, console.LineSet{Name: "cafe", Mode: &mode, Customer: &who}, console.ErrForbidden},
		"numbers":            {li, console.LineSet{Name: "cafe", Numbers: &[]string{"1"}}, console.ErrForbidden},
		"more numbers":       {li, console.LineSet{Name: "cafe", Add: []string{"1"}}, console.ErrForbidden},
		"fewer numbers":      {li, console.LineSet{Name: "cafe", Drop: []string{"1"}}, console.ErrForbidden},
	} {
		_, err := Guard(newEverybody(1), s.Book).SetLine(c.ctx, c.set)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// TestConfirmedOnOneLine: what a bound reviewer confirms goes to the line's own list, and is confirmed to them alone.
func TestConfirmedOnOneLine(t *testing.T) {
	s := openBook(t, "", newClock())
	e := newEverybody(1)
	e.reports = []console.Report{{ID: "r1", Line: "cafe", Customer: "Li", State: console.ReportOpen, Caller: console.Caller{E164: "+8613800000009"}}}
	g, li := Guard(e, s.Book), asWho(&console.Who{Name: "li", Way: console.ByToken, Role: reviewer, Customer: "Li"})
	edit, err := g.ConfirmReport(li, "r1", false)
	if err != nil || edit.List != "cafe:blacklist" || edit.State != console.ReportConfirmed || !slices.Equal(e.added, []string{"cafe:blacklist +8613800000009"}) {
		t.Fatalf("got %+v, %v, and added %q", edit, err, e.added)
	}
	if asked := e.take(); slices.Contains(asked, "ConfirmReport") {
		t.Errorf("the list of all was asked: %q", asked)
	}
	for state, want := range map[string]int{console.ReportConfirmed: 1, console.ReportOpen: 0, "": 1} {
		n := 0
		g.Reports(li, console.ReportsQuery{State: state}, func(console.Report) error { n++; return nil })
		if n != want {
			t.Errorf("the state %q: got %d marks, want %d", state, n, want)
		}
	}
	if _, err := g.ConfirmReport(li, "r1", true); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("a range: got %v, want ErrNotFound", err)
	}
}

func TestLinkCorrectsOnce(t *testing.T) {
	s := openBook(t, "", newClock())
	e := newEverybody(1)
	e.records = []console.Record{ownRecord(1, "bakery"), ownRecord(2, "bakery")}
	e.records[0].ID = "01KB5Z0000000000000000000A"
	g := Guard(e, s.Book)
	w, err := s.NoticeOf(s.NoticeLink(e.records[0].ID, "bakery~1", s.now().Add(time.Hour)), "192.0.2.7")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Call(asWho(w), "own-2"); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("another call: got %v", err)
	}
	if _, err := g.Call(asWho(w), w.Call); err != nil {
		t.Errorf("the call: %v", err)
	}
	e.records[0].Action = "allow"
	if _, err := g.Correct(asWho(w), w.Call); !errors.Is(err, console.ErrConflict) || slices.Contains(e.take(), "Correct") {
		t.Errorf("a call that rang after all: got %v", err)
	}
	e.records[0].Action = "reject"
	if _, err := g.Correct(asWho(w), w.Call); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Correct(asWho(w), w.Call); err != ErrLink {
		t.Errorf("once more: got %v, want %v", err, ErrLink)
	}
}

// TestOwnPassword: one's own is changed on the account's page alone, which asks for the one before: a session may be somebody's who sat down at an
// open one.
func TestOwnPassword(t *testing.T) {
	s := openBook(t, "", newClock())
	s.user(t, console.NewUser{Name: "li", Role: viewer, Customer: "Li", Password: longPassword})
	s.user(t, console.NewUser{Name: "ann", Role: viewer, Password: longPassword})
	w := s.Session(s.signIn(t, "li", longPassword, "192.0.2.7"))
	g := Guard(&together{everybody: newEverybody(1), Book: s.Book}, s.Book)
	next, none, role := "another set of five words", "", admin
	for name, c := range map[string]struct {
		set  console.UserSet
		want error
	}{
		"role":           {console.UserSet{Name: "li", Password: &next, Role: &role}, console.ErrNotFound},
		"no password":    {console.UserSet{Name: "li", Password: &none}, console.ErrNotFound},
		"another's":      {console.UserSet{Name: "ann", Password: &next}, console.ErrNotFound},
		"of who is not":  {console.UserSet{Name: "eve", Password: &next}, console.ErrNotFound},
		"lines":          {console.UserSet{Name: "li", Lines: &[]string{}}, console.ErrNotFound},
		"the own one":    {console.UserSet{Name: "LI", Password: &next}, console.ErrNotFound},
		"one that's bad": {console.UserSet{Name: "li", Password: new(string)}, console.ErrNotFound},
	} {
		if _, err := g.SetUser(asWho(w), c.set); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	other := s.signIn(t, "ann", longPassword, "192.0.2.9")
	if all, err := g.Sessions(asWho(w)); err != nil || len(all) != 1 || !all[0].Own {
		t.Errorf("got the sessions %+v, %v, want the own one", all, err)
	}
	if err := g.EndSession(asWho(w), s.Session(other).Session); !errors.Is(err, console.ErrNotFound) || s.Session(other) == nil {
		t.Errorf("another's session: got %v", err)
	}
	if err := g.EndSession(asWho(w), w.Session); err != nil {
		t.Errorf("the own session: %v", err)
	}
}

// TestFollowEnds: who is signed out, or may see less, sees no call more.
func TestFollowEnds(t *testing.T) {
	for name, end := range map[string]func(*shelf, *console.Who) error{
		"signed out": func(s *shelf, w *console.Who) error { return s.EndSession(context.Background(), w.Session) },
		"removed": func(s *shelf, w *console.Who) error {
			_, err := s.RemoveUser(context.Background(), w.Name)
			return err
		},
		"bound": func(s *shelf, w *console.Who) error {
			_, err := s.SetUser(context.Background(), console.UserSet{Name: w.Name, Lines: &[]string{"bakery"}})
			return err
		},
	} {
		s := openBook(t, "", newClock())
		s.user(t, console.NewUser{Name: "ann", Role: viewer, Password: longPassword})
		w := s.Session(s.signIn(t, "ann", longPassword, "192.0.2.7"))
		seen := 0
		err := Guard(newEverybody(1), s.Book).Follow(asWho(w), nil, func(console.Record) error {
			if seen++; seen == 3 {
				return end(s, w)
			}
			return nil
		})
		if !errors.Is(err, console.ErrForbidden) || seen != 3 {
			t.Errorf("%s: got %d calls and %v, want 3 and to be sent away", name, seen, err)
		}
	}
}

// TestReviewerUndoesNoLines: lines are for administrators to change, whatever the way.
func TestReviewerUndoesNoLines(t *testing.T) {
	s := openBook(t, "", newClock())
	e := newEverybody(1)
	e.changes = append(e.changes, console.ListChange{ID: 900, List: console.LineTable})
	g := Guard(e, s.Book)
	if _, err := g.Undo(asWho(&console.Who{Name: "r", Way: console.ByToken, Role: reviewer}), 900); !errors.Is(err, console.ErrForbidden) {
		t.Errorf("a change of lines: got %v", err)
	}
	if _, err := g.Undo(asWho(&console.Who{Name: "r", Way: console.ByToken, Role: reviewer}), 100); err != nil {
		t.Errorf("a change of a list: %v", err)
	}
	li := asWho(&console.Who{Name: "li", Way: console.ByToken, Role: reviewer, Customer: "Li"})
	for id, want := range map[uint64]error{100: console.ErrNotFound, 105: console.ErrNotFound, 666: console.ErrNotFound, 900: console.ErrNotFound, 102: nil} {
		if _, err := g.Undo(li, id); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("li undoes %d: got %v, want %v", id, err, want)
		}
	}
}

// TestAuditNamesNoCaller: what is written of edits has no number in it, so that who is forgotten is not there.
func TestAuditNamesNoCaller(t *testing.T) {
	s := openBook(t, "", newClock())
	const caller = "13912345678"
	arg := func(method string, of reflect.Type) reflect.Value {
		v := reflect.New(of).Elem()
		switch {
		case of.Kind() == reflect.String && (method == "PinBreaker" || method == "PutPolicy"):
		case of.Kind() == reflect.Struct:
			for _, name := range []string{"Number", "Caller", "Callee", "Key"} {
				if f := v.FieldByName(name); f.IsValid() {
					f.SetString(caller)
				}
			}
		case of == reflect.TypeFor[[]string]():
			v.Set(reflect.ValueOf([]string{caller}))
		case of == reflect.TypeFor[[]console.NewEntry]():
			v.Set(reflect.ValueOf([]console.NewEntry{{Number: caller, Reason: caller}}))
		default:
			return argument(method, of)
		}
		return v
	}
	for _, method := range []string{"AddEntries", "RemoveEntries", "Report", "Forget", "DeleteRecords", "ForgetKnown", "ResetBreaker", "PinBreaker", "UnpinBreaker", "Correct"} {
		use(Guard(newEverybody(1), s.Book), asAdmin(), method, arg)
	}
	lines := s.audit(t)
	if len(lines) < 10 {
		t.Fatalf("got %q", lines)
	}
	if text := fmt.Sprint(lines); strings.Contains(text, caller) {
		t.Errorf("a caller is in the audit: %s", text)
	}
}
