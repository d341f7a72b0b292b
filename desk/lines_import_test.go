package desk

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"ringfence/console"
	"ringfence/storage"
)

const linesPolicy = smallPolicy + `
[[rule]]
name = "strict"
when = { line = ["profile:strict"] }
action = "reject"
`

// linesDesk is a desk with lines to try, each "NAME NUMBERS CUSTOMER".
func linesDesk(t *testing.T, present ...string) *running {
	t.Helper()
	d, _ := startLogging(t, installation(t, linesPolicy))
	for _, text := range present {
		words := strings.Split(text, " ")
		numbers := strings.Split(words[1], "+")
		set := console.LineSet{Name: words[0], Numbers: &numbers}
		if len(words) > 2 {
			set.Customer = &words[2]
		}
		if _, err := d.AddLines(t.Context(), []console.LineSet{set}); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// importLines imports the rows of a file, with the columns name, numbers and customer.
func (d *running) importLines(t *testing.T, q console.LineImport, rows ...string) (*console.LineReport, error) {
	t.Helper()
	return d.ImportLines(t.Context(), q, strings.NewReader("name,numbers,customer\n"+strings.Join(rows, "\n")+"\n"))
}

// said is what a report says of an import, in a line, and whom it refuses.
func said(r *console.LineReport) string {
	text := fmt.Sprintf("+%d ~%d -%d =%d !%d", r.Added, r.Updated, r.Removed, r.Unchanged, r.Refused)
	for _, f := range r.Refusals {
		text += fmt.Sprintf(" %d:%s", f.Row, f.Name)
	}
	return text
}

// onDisk are all lines as they are kept, by name.
func (d *running) onDisk(t *testing.T) map[string]storage.Line {
	t.Helper()
	all := map[string]storage.Line{}
	if err := d.db.Lines(func(l storage.Line) error { all[l.Name] = l; return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestImportLinesMovesNumbers(t *testing.T) {
	for _, test := range []struct {
		what    string
		present []string
		rows    []string
		want    string
	}{
		{"two change places", []string{"a 05927770100", "b 05927770101"}, []string{"a,05927770101,", "b,05927770100,"}, "+0 ~2 -0 =0 !0"},
		{"one takes what another gives up", []string{"a 05927770100+05927770101"}, []string{"b,05927770101,", "a,05927770100,"}, "+1 ~1 -0 =0 !0"},
		{"it gives up nothing", []string{"a 05927770100+05927770101"}, []string{"b,05927770101,", "a,05927770100 05927770101,"}, "+0 ~0 -0 =1 !1 2:b"},
		{"a range is taken in part", []string{"a 05927770100..05927770109"}, []string{"b,+86 592 7770105,"}, "+0 ~0 -0 =0 !1 2:b"},
		{"who cannot take what it wants gives up nothing either", []string{"a 05927770100", "z 05927770109"}, []string{"b,05927770100,", "a,05927770109,", "c,05927770102,"}, "+1 ~0 -0 =0 !2 2:b 3:a"},
		{"the first of three", nil, []string{"a,05927770100,", "b,0592-7770100,", "c,+865927770100,", "d,05927770101,"}, "+2 ~0 -0 =0 !2 3:b 4:c"},
		{"twice on one line is once", nil, []string{"a,05927770100 0592-777-0100,", "a,+865927770100,"}, "+1 ~0 -0 =0 !0"},
		{"numbers with blanks in them and between", nil, []string{"a,0592 777 0100 0592 777 0101,", "b,010 8888 6666 010 8888 7777,", "c,8001 8002,", "d,05927770102 0592-777-0103,"}, "+2 ~0 -0 =0 !2 2:a 3:b"},
		{"a cell without end", nil, []string{"a,05927770100," + strings.Repeat("x", 5000), "b,05927770101,"}, "+1 ~0 -0 =0 !1 2:a"},
		{"a fault in a later row keeps the whole line as it is", []string{"a 05927770100"}, []string{"a,05927770101,", "a,x,", "b,05927770101,"}, "+1 ~0 -0 =0 !1 3:a"},
	} {
		d := linesDesk(t, test.present...)
		r, err := d.importLines(t, console.LineImport{}, test.rows...)
		if err != nil {
			t.Errorf("%s: %v", test.what, err)
			continue
		}
		if got := said(r); got != test.want {
			t.Errorf("%s: %s, want %s: %+v", test.what, got, test.want, r.Refusals)
		}
		again, err := d.importLines(t, console.LineImport{}, test.rows...)
		if err != nil || again.Added+again.Updated+again.Removed != 0 || again.Change != 0 || again.Refused != r.Refused {
			t.Errorf("%s, again: %+v, %v", test.what, again, err)
		}
		d.stop(t)
	}
}

// What an encoding that cannot be told holds is refused with what to write, and never kept with signs in the place of letters.
func TestImportLinesEncoding(t *testing.T) {
	d := linesDesk(t)
	r, err := d.importLines(t, console.LineImport{}, "a,05927770100,Gro\xdf")
	if err != nil || said(r) != "+0 ~0 -0 =0 !1 2:a" || !strings.Contains(strings.Join(r.Warnings, "\n"), "--encoding windows-1252") {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err = d.importLines(t, console.LineImport{Encoding: "windows-1252"}, "a,05927770100,Gro\xdf"); err != nil || said(r) != "+1 ~0 -0 =0 !0" {
		t.Errorf("%+v, %v", r, err)
	}
	if l := d.onDisk(t)["a"]; l.Customer != "Groß" {
		t.Errorf("the customer is %q", l.Customer)
	}
}

// Each line of a long row takes the number of the next one, and the last cannot: then none can, and the others of the file go in all the same.
func TestImportLinesLongRow(t *testing.T) {
	const n = 300
	d := linesDesk(t, "last 05927779999")
	var present, rows []string
	for i := range n {
		present = append(present, fmt.Sprintf("l%03d,05927770%03d,", i, i))
		rows = append(rows, fmt.Sprintf("l%03d,05927770%03d,", i, i+1))
	}
	if _, err := d.importLines(t, console.LineImport{}, present...); err != nil {
		t.Fatal(err)
	}
	rows[n-1] = fmt.Sprintf("l%03d,05927779999,", n-1)
	r, err := d.importLines(t, console.LineImport{}, append(rows, "free,05927778888,")...)
	if err != nil || r.Refused != n || r.Added != 1 || r.Updated != 0 {
		t.Fatalf("%v %+v", err, r)
	}
	if why, want := r.Refusals[0].Why, "+865927770001 is on the line l001 already, which stays as it is (see line 3 of the file)"; !strings.HasPrefix(why, want) {
		t.Errorf("%s, want %s", why, want)
	}
	rows[n-1] = fmt.Sprintf("l%03d,05927770000,", n-1)
	if r, err = d.importLines(t, console.LineImport{}, rows...); err != nil || r.Updated != n {
		t.Errorf("in a ring: %v %+v", err, r)
	}
	d.stop(t)
}

// A whole file takes away what it no longer names of its own lines, if that can be meant.
func TestImportLinesWhole(t *testing.T) {
	d := linesDesk(t, "byhand 05927779999")
	rows := make([]string, 20)
	for i := range rows {
		rows[i] = fmt.Sprintf("c%02d,059277701%02d,", i, i)
	}
	q := console.LineImport{Source: "billing", Whole: true}
	expect := func(what string, q console.LineImport, want string, rows ...string) *console.LineReport {
		t.Helper()
		r, err := d.importLines(t, q, rows...)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := said(r); got != want {
			t.Fatalf("%s: %s, want %s", what, got, want)
		}
		return r
	}
	if _, err := d.importLines(t, console.LineImport{Whole: true}, rows...); !errors.Is(err, console.ErrBad) {
		t.Errorf("without a source: %v", err)
	}
	expect("all", q, "+20 ~0 -0 =0 !0", rows...)
	expect("of another source", console.LineImport{Source: "crm", Whole: true}, "+1 ~0 -0 =0 !0", "x,05927770200,")
	expect("not whole", console.LineImport{Source: "billing"}, "+0 ~0 -0 =1 !0", rows[0])

	if _, err := d.importLines(t, q, rows[:13]...); !errors.Is(err, console.ErrConflict) || !strings.Contains(err.Error(), "7 of the 20 lines of billing would go") {
		t.Errorf("35 %%: %v", err)
	}
	dry := q
	dry.DryRun = true
	if r := expect("35 %, tried", dry, "+0 ~0 -7 =13 !0", rows[:13]...); len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], "this import would be refused: ") || len(r.Would) != 7 {
		t.Errorf("%+v", r)
	}
	if _, err := d.importLines(t, q); !errors.Is(err, console.ErrConflict) {
		t.Errorf("an empty file: %v", err)
	}
	if r := expect("a row that names nobody", q, "+0 ~0 -0 =19 !1 21:", append(slices.Clone(rows[:19]), `"`)...); len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "1 lines that the file does not name stay") {
		t.Errorf("%+v", r)
	}
	if r := expect("a row with a name that no line has", q, "+0 ~0 -0 =19 !1 21:c:19", append(slices.Clone(rows[:19]), "c:19,05927770119,")...); len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "1 lines that the file does not name stay") {
		t.Errorf("%+v", r)
	}
	if r := expect("the same, forced", console.LineImport{Source: "billing", Whole: true, Force: true}, "+0 ~0 -0 =19 !1 21:c:19", append(slices.Clone(rows[:19]), "c:19,05927770119,")...); len(r.Warnings) != 1 {
		t.Errorf("%+v", r)
	}
	if r := expect("a line that is refused is named all the same", q, "+0 ~0 -0 =19 !1 21:c19", append(slices.Clone(rows[:19]), "c19,x,")...); len(r.Warnings) != 0 {
		t.Errorf("%+v", r)
	}
	whole := expect("30 percent", q, "+0 ~0 -6 =14 !0", rows[:14]...)
	forced := q
	forced.Force = true
	expect("forced", forced, "+0 ~0 -14 =0 !0")
	if got := slices.Sorted(maps.Keys(d.onDisk(t))); strings.Join(got, " ") != "byhand x" {
		t.Errorf("left are %v", got)
	}
	if _, err := d.Undo(t.Context(), whole.Change+1); err != nil {
		t.Fatal(err)
	}
	if got := len(d.onDisk(t)); got != 16 {
		t.Errorf("after the undo of what was forced %d lines", got)
	}
	d.stop(t)
}

// An import of many lines waits for another import, one of few goes in beside it, and one that has waited for long enough says why it does not go in.
func TestImportLinesWaits(t *testing.T) {
	d := linesDesk(t)
	defer d.stop(t)
	rows := make([]string, 2000)
	for i := range rows {
		rows[i] = fmt.Sprintf("c%04d,0592777%04d,", i, i)
	}
	other, err := d.db.LineTurn(t.Context(), storage.MaxLines, 0) // of an import that is under way
	if err != nil {
		t.Fatal(err)
	}
	f := &linesFile{q: console.LineImport{Whole: true}, report: &console.LineReport{}}
	turn, err := f.turn(t.Context(), d.db, time.Millisecond)
	if err != nil {
		t.Fatalf("a whole file may change little: %v", err)
	}
	turn.End()
	if r, err := d.importLines(t, console.LineImport{}, rows[:5]...); err != nil || r.Added != 5 {
		t.Errorf("few: %v %+v", err, r)
	}
	done := make(chan error)
	go func() {
		_, err := d.importLines(t, console.LineImport{}, rows...)
		done <- err
	}()
	go other.End()
	if err := <-done; err != nil || len(d.onDisk(t)) != len(rows) {
		t.Errorf("%d lines: %v", len(d.onDisk(t)), err)
	}
}

// A line has another key with each customer, and with no other change; an undo gives it the earlier one back.
func TestKeysOfLines(t *testing.T) {
	d := linesDesk(t, "a 05927770100 ann")
	key := func() string { return d.onDisk(t)["a"].Key }
	first := key()
	set := func(s console.LineSet) *console.LineEdit {
		t.Helper()
		s.Name = "a"
		e, err := d.SetLine(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	text := func(s string) *string { return &s }
	set(console.LineSet{Profile: text("strict"), Mode: text("observe"), Note: text("x"), Add: []string{"05927770101"}, Customer: text("ann")})
	if key() != first {
		t.Error("another key without another customer")
	}
	e := set(console.LineSet{Customer: text("bob")})
	second := key()
	if second == first || len(e.Warnings) != 1 || !strings.Contains(e.Warnings[0], "belongs to bob now, no longer to ann") {
		t.Errorf("key %s after %s: %+v", second, first, e)
	}
	if _, err := d.Undo(t.Context(), e.ID); err != nil || key() != first {
		t.Errorf("after the undo %s, %v, want %s", key(), err, first)
	}
	r, err := d.importLines(t, console.LineImport{}, "a,05927770100 05927770101,a")
	if err != nil || r.Given != 1 || key() == first || key() == second {
		t.Errorf("%+v, %v, key %s", r, err, key())
	}
	third := key()
	if set(console.LineSet{Customer: text("")}).Change != console.LineUnchanged || key() != third {
		t.Error("a line that nobody has is its own, by name or without")
	}
	if _, err := d.RemoveLines(t.Context(), []string{"a"}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.AddLines(t.Context(), []console.LineSet{{Name: "a", Add: []string{"05927770100"}}}); err != nil || key() == third {
		t.Errorf("made again it has the key %s, %v", key(), err)
	}
	d.stop(t)
}

// BenchmarkImportLines is a billing system's file with 100,000 lines and 200,000 numbers, for the first time and again.
func BenchmarkImportLines(b *testing.B) {
	const n = 100_000
	var file bytes.Buffer
	file.WriteString("name,numbers,customer,profile,note\n")
	for i := range n {
		fmt.Fprintf(&file, "cust%06d,0592%07d 0592%07d,isp-%d,strict,customer number %d\n", i, 2_000_000+2*i, 2_000_001+2*i, i/2, i)
	}
	for b.Loop() {
		b.StopTimer()
		d, err := run(installation(b, linesPolicy), slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		for i, want := range []string{fmt.Sprintf("+%d ~0 -0 =0 !0", n), fmt.Sprintf("+0 ~0 -0 =%d !0", n)} {
			began := time.Now()
			r, err := d.ImportLines(b.Context(), console.LineImport{Source: "billing", Whole: true}, bytes.NewReader(file.Bytes()))
			if err != nil || said(r) != want {
				b.Fatalf("%v %+v", err, r)
			}
			b.ReportMetric(time.Since(began).Seconds(), []string{"s/first", "s/again"}[i])
		}
		b.StopTimer()
		d.stop(b)
		b.StartTimer()
	}
}

// Texts come from forms and files of others. What could move a cursor, begin a line or turn the order of letters round is refused.
func TestHostileLines(t *testing.T) {
	d := linesDesk(t)
	long := strings.Repeat("x", storage.MaxLineText+1)
	numbers := []string{"05927770100"}
	for what, set := range map[string]console.LineSet{
		"name": {Name: "a\nb"}, "escape": {Name: "a\x1b[2J"}, "a key": {Name: "a~b"}, "a table": {Name: "line"}, "all lines": {Name: "all"}, "a list": {Name: "a:b"}, "a folder": {Name: ".."}, "no name": {},
		"a note with an escape": {Name: "a", Note: new("\x1b[2J")}, "turned round": {Name: "a", Customer: new("a\u202eb")}, "a long note": {Name: "a", Note: &long},
		"a long customer": {Name: "a", Customer: &long}, "no UTF-8": {Name: "a", Notify: new("\xff")}, "profile": {Name: "a", Profile: new("a b")},
		"a zone above the folder": {Name: "a", Timezone: new("../etc/passwd")}, "the machine's zone": {Name: "a", Timezone: new("Local")}, "mode": {Name: "a", Mode: new("Enforced")},
	} {
		set.Numbers = &numbers
		if e, err := d.AddLines(t.Context(), []console.LineSet{set}); !errors.Is(err, console.ErrBad) || strings.ContainsAny(err.Error(), "\x1b\u202e") || !utf8.ValidString(err.Error()) {
			t.Errorf("%s: %+v, %q", what, e, err)
		}
	}
	if n := len(d.onDisk(t)); n != 0 {
		t.Errorf("%d lines were made", n)
	}
	d.stop(t)
}

// Whatever files come, a number is on one line at most, a line of the file is either as the file has it or as it was, and memory is what is on disk.
func TestImportLinesModel(t *testing.T) {
	r := rand.New(rand.NewPCG(14, 1))
	d := linesDesk(t)
	numbers := func(n int) string { return fmt.Sprintf("059277701%02d", n) }
	for round := range 150 {
		before := d.onDisk(t)
		var rows []string
		want := map[string][]string{}
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			if r.IntN(3) == 0 {
				continue
			}
			var has, keys []string
			for range 1 + r.IntN(3) {
				n := numbers(r.IntN(8))
				has, keys = append(has, n), append(keys, "+86"+n[1:])
			}
			slices.Sort(keys)
			want[name] = slices.Compact(keys)
			rows = append(rows, name+","+strings.Join(has, " ")+","+[]string{"", "x", "y"}[r.IntN(3)])
		}
		r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		whole := r.IntN(3) == 0
		report, err := d.importLines(t, console.LineImport{Source: "s", Whole: whole}, rows...)
		if err != nil {
			t.Fatal(err)
		}
		refused := map[string]bool{}
		for _, f := range report.Refusals {
			refused[f.Name] = true
		}
		after := d.onDisk(t)
		owner := map[string]string{}
		for name, l := range after {
			for _, n := range l.Numbers {
				if owner[n] != "" {
					t.Fatalf("round %d: %s is on %s and %s", round, n, owner[n], name)
				}
				owner[n] = name
			}
			switch was := before[name]; {
			case want[name] == nil && whole, (want[name] == nil || refused[name]) && !slices.Equal(was.Numbers, l.Numbers):
				t.Fatalf("round %d: %s was %v and is %v, by %q, refused %v", round, name, was.Numbers, l.Numbers, rows, refused)
			case want[name] != nil && !refused[name] && !slices.Equal(want[name], l.Numbers):
				t.Fatalf("round %d: %s is %v, want %v", round, name, l.Numbers, want[name])
			}
		}
		for name := range want {
			if _, there := after[name]; !there && !refused[name] {
				t.Fatalf("round %d: %s is not there", round, name)
			}
		}
		p := d.force.Rules().Policy
		for n := range 8 {
			called := p.Plan().Parse(numbers(n))
			l, _ := p.LineCalled(&called)
			if want := after[owner[called.E164]]; l.Name != owner[called.E164] || l.Key != want.Key {
				t.Fatalf("round %d: calls to %s are to %+v, want %+v", round, called.E164, l, want)
			}
		}
	}
	d.stop(t)
}

// Whatever a file holds, what is said of it can be shown on a terminal.
func FuzzImportLines(f *testing.F) {
	for _, text := range []string{
		"name,numbers,customer\na,05927770100,x\na,05927770101,y\n", "name;number;note\na;05927770100;\x1b[2J\n\"b\x1b\";1;\n", "name,numbers,profile\na\u202eb,05927770100,\u202e\n,1,\n",
		"name,numbers,mode,timezone,language\na,05927770100\x1b,\x1b,\x1b,\x1b\n", "destination_number,domain_name\n05927770100,\x1b[2J\n\x1b,x\n", "name\x1b,numbers\u202e\n", "name,numbers,\x1b[2J\na,1\n",
		"name,numbers\na,05927770100\nb,05927770100\n", "sep=\x1b\nname\x1bnumbers\n", "name,numbers,note\na,9521*,\xff\xfe\n",
	} {
		f.Add([]byte(text), true)
		f.Add([]byte(text), false)
	}
	c := installation(f, linesPolicy)
	d, err := run(c, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { d.stop(f) })
	f.Fuzz(func(t *testing.T, file []byte, fusion bool) {
		q := console.LineImport{DryRun: true, Source: "s", Whole: true}
		if fusion {
			q.Format = console.FormatFusionPBX
		}
		r, err := d.ImportLines(t.Context(), q, bytes.NewReader(file))
		var texts []string
		if err != nil {
			texts = append(texts, err.Error())
		} else {
			texts = append(texts, r.Warnings...)
			for _, l := range r.Refusals {
				texts = append(texts, l.Name, l.Why)
			}
			for _, l := range r.Would {
				texts = append(texts, l.Name)
			}
			if r.Added+r.Updated+r.Unchanged != r.Lines || r.Change != 0 || r.Refused < len(r.Refusals) {
				t.Fatalf("%+v", r)
			}
		}
		for _, text := range texts {
			if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' || unicode.Is(unicode.Bidi_Control, r) }) {
				t.Fatalf("%q is not for a terminal", text)
			}
		}
	})
}
