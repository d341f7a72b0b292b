package pseudonym

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ringfence/number"
	"ringfence/storage"
)

func openKey(t testing.TB, folder string) *Key {
	t.Helper()
	key, err := Open(folder, false)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func plan(t testing.TB) *number.Plan {
	t.Helper()
	p, err := number.NewPlan(number.PlanOptions{Country: "CN"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var at = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// Who was forgotten is known after a restart, by number, name and token, for what is from before; and nobody can read it.
func TestForgotten(t *testing.T) {
	folder := t.TempDir()
	key := openKey(t, folder)
	f, err := OpenForgotten(folder, key)
	if err != nil || f.Len() != 0 || f.Has("+8613800138000", time.Time{}) || AnyForgotten(folder) {
		t.Fatalf("%+v, %v", f, err)
	}
	for i, who := range []string{"+8613800138000", "+8613800138001", "+8613800138000"} {
		if lost, err := f.Add(who, at.Add(time.Duration(i)*time.Hour), i == 0); err != nil || !lost.IsZero() {
			t.Fatal(lost, err)
		}
	}
	n := plan(t).Parse("138 0013 8002")
	if _, err := f.Add(key.Token(&n), at, false); err != nil { // of whom the number is not known
		t.Fatal(err)
	}
	file := filepath.Join(folder, forgottenFile)
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), "138001") || strings.Count(string(text), "\n") != 3 || !AnyForgotten(folder) {
		t.Fatalf("the file says %q, %v", text, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	again, err := OpenForgotten(folder, openKey(t, folder))
	if err != nil || again.Digest() != f.Digest() || again.Len() != 3 {
		t.Fatalf("%+v, %v", again, err)
	}
	first := plan(t).Parse("13800138000")
	for text, has := range map[string]bool{
		"+8613800138000": true, key.Token(&first): true, key.Name(first.E164): true, "+8613800138001": true, "+8613800138002": true, "+8613800138003": false, "": false, "hmac:": false,
	} {
		if again.Has(text, at.Add(-time.Hour)) != has || again.Has(text, time.Time{}) != has || again.Has(text, at.Add(2*time.Hour)) {
			t.Errorf("%q is forgotten: %v", text, !has)
		}
	}
	if !again.Lists("+8613800138000").Equal(at) || !again.Lists("+8613800138001").IsZero() {
		t.Errorf("of lists: %v", again.Lists("+8613800138000"))
	}
	if _, err := OpenForgotten(folder, nil); err == nil || !strings.Contains(err.Error(), keyFile) {
		t.Errorf("without the key: %v", err)
	}
	for _, bad := range []string{"nonsense\n", "2026-03-01T08:00:00Z 0123\n", "2026-03-01T08:00:00Z " + strings.Repeat("0", 32) + " lists=never\n", "\n\n"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenForgotten(folder, key); err == nil || !strings.Contains(err.Error(), ":1: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// When there are too many the oldest gives way, and that is told.
func TestForgottenIsBounded(t *testing.T) {
	folder := t.TempDir()
	var text strings.Builder
	for i := range MaxForgotten {
		fmt.Fprintf(&text, "%s %032x\n", at.Add(time.Duration(i)*time.Second).Format(time.RFC3339Nano), i)
	}
	if err := os.WriteFile(filepath.Join(folder, forgottenFile), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenForgotten(folder, openKey(t, folder))
	if err != nil || f.Len() != MaxForgotten {
		t.Fatal(f.Len(), err)
	}
	oldest := storage.PrivateMark + fmt.Sprintf("%032x", 0)
	if !f.Has(oldest, time.Time{}) {
		t.Error("the oldest is not there")
	}
	lost, err := f.Add("+8613800138000", at.AddDate(1, 0, 0), false)
	if err != nil || !lost.Equal(at) || f.Len() != MaxForgotten || f.Has(oldest, time.Time{}) {
		t.Errorf("lost %v, %d, %v", lost, f.Len(), err)
	}
}

// A line of the file is what was written, or none.
func FuzzForgotten(f *testing.F) {
	f.Add("2026-03-01T08:00:00Z 00112233445566778899aabbccddeeff")
	f.Add("2026-03-01T08:00:00.123Z 00112233445566778899aabbccddeeff lists=2026-03-01T08:00:00Z")
	f.Add("x y z")
	f.Fuzz(func(t *testing.T, line string) {
		x, ok := readForgotten(line)
		if !ok {
			return
		}
		again, ok := readForgotten(x.String())
		if !ok || again.mac != x.mac || !again.at.Equal(x.at) || !again.lists.Equal(x.lists) {
			t.Errorf("%q is %+v, and written and read again %+v", line, x, again)
		}
	})
}

// A hidden report has no number, and gives it back to who has the key.
func TestSealedReport(t *testing.T) {
	key, p := openKey(t, t.TempDir()), plan(t)
	was := storage.Report{Caller: storage.Caller{Raw: "138 0013 8000", E164: "+8613800138000", Kind: "mobile"}, Extension: "101"}
	r := was
	if !key.HideReport(&r, p) || r.Sealed == "" || strings.Contains(fmt.Sprint(r), "8000") && strings.Contains(fmt.Sprint(r), "0013") {
		t.Fatalf("%+v", r)
	}
	if !strings.HasPrefix(r.Caller.E164, "hmac:+86-1380:") || r.Caller.Raw != r.Caller.E164 {
		t.Errorf("%+v", r.Caller)
	}
	twice := r
	if key.HideReport(&twice, p) || !reflect.DeepEqual(twice, r) {
		t.Errorf("hidden twice: %+v", twice)
	}
	if got, ok := key.Reveal(r); !ok || !reflect.DeepEqual(got, was) {
		t.Errorf("%+v, %v", got, ok)
	}
	other := openKey(t, t.TempDir())
	if _, ok := other.Reveal(r); ok {
		t.Error("another key reads it")
	}
	if _, ok := (*Key)(nil).Reveal(r); ok {
		t.Error("no key reads it")
	}
	if got, ok := (*Key)(nil).Reveal(was); !ok || !reflect.DeepEqual(got, was) {
		t.Errorf("one that is not hidden: %+v, %v", got, ok)
	}
	withheld := storage.Report{Caller: storage.Caller{Raw: "anonymous", Kind: "anonymous"}}
	if key.HideReport(&withheld, p) {
		t.Errorf("%+v", withheld)
	}
}

// What the journal has from before is hidden as if it had been so then, whatever is in it.
func TestHideKept(t *testing.T) {
	key, p := openKey(t, t.TempDir()), plan(t)
	n := p.Parse("13800138000")
	for _, c := range []storage.Caller{
		{Raw: "13800138000", E164: "+8613800138000"},
		{Raw: "0086 138 0013 8000", E164: "+8613800138000"},
		{Raw: "another spelling", E164: "+8613800138000"},
		{Raw: "", E164: "+8613800138000"},
	} {
		r := storage.Record{
			Caller: c, Name: "Zhang San", Reason: "number +8613800138000 (Zhang San) is on list x", Callee: "05925550100",
			Tripped: []string{"many lines: +8613800138000", "whole: 13800138000 (on trial)", "range wakes: 13800"},
		}
		if !key.HideKept(&r, p) || r.Caller.E164 != key.Token(&n) || r.Name != "" || strings.Contains(fmt.Sprint(r), "138001") || strings.Contains(r.Reason, "Zhang") || r.Callee == "" ||
			r.Tripped[0] != "many lines: "+key.Token(&n) || r.Tripped[1] != "whole: "+key.Token(&n)+" (on trial)" || r.Tripped[2] != "range wakes: 13800" {
			t.Errorf("%+v becomes %+v", c, r)
		}
		again := r
		if key.HideKept(&again, p) {
			t.Errorf("hidden twice: %+v", again)
		}
	}
	for _, c := range []storage.Caller{{E164: "+"}, {E164: "+99"}, {E164: "x"}, {Raw: "hmac:"}, {Raw: "anonymous"}, {}, {Raw: "junk13800138000"}} {
		r := storage.Record{Caller: c, Reason: "junk13800138000, which holds +8613800138000,"}
		key.HideKept(&r, p) // does not panic
		if c.Raw == "junk13800138000" && strings.Contains(fmt.Sprint(r), "138000") {
			t.Errorf("%+v", r)
		}
	}
}

// A range is shown while it leaves three digits of a number open, in whatever country; no more of the number can be read in what stands for another.
func TestRange(t *testing.T) {
	key := openKey(t, t.TempDir())
	for prefix, shown := range map[string]bool{
		"138": true, "1380013": true, "13800138": true, "138001380": false, "1380013800": false, "13800138000": false,
		"0592": true, "05925550": true, "059255501": false, "0592555010": false, "05925550100": false,
		"952116": true, "9521161": true, "95211613": false, "95588": true, // firms
		"+1305": true, "+13055550": true, "+130555501": false, "+1305555010": false, "+13055550100": false,
	} {
		got := key.Range(plan(t), prefix)
		if shown != (got == prefix) {
			t.Errorf("%s is shown as %s", prefix, got)
		}
		if !shown && (!key.IsOf(got, prefix) && prefix[:1] == "1" && len(prefix) < 11 || strings.Contains(got, prefix[:8]) || !strings.HasPrefix(got, storage.PrivateMark)) {
			t.Errorf("%s is shown as %s", prefix, got)
		}
	}
}

// Nor can it be read in the journal's reasons and breakers.
func TestHideRanges(t *testing.T) {
	key, p := openKey(t, t.TempDir()), plan(t)
	for caller, test := range map[string]struct{ range2, range3 string }{
		"13800138000": {"138001380", "13800138"}, "+13055550100": {"+130555501", "+13055550"},
	} {
		n := p.Parse(caller)
		rec := storage.Record{
			Caller: storage.Caller{Raw: caller, E164: n.E164}, Reason: test.range2 + " tripped near: 5 strangers in 3h, of 9 from " + test.range3 + ", which trips at 5",
			Tripped: []string{"near: " + test.range2, "nearer: " + test.range2 + "0 (on trial)", "wide: " + test.range3, "own: " + n.E164},
		}
		if !key.HideKept(&rec, p) {
			t.Fatal("nothing is hidden")
		}
		text := fmt.Sprint(rec)
		if strings.Contains(text, test.range2) || strings.Count(text, test.range3) != 2 {
			t.Errorf("%s: %s", caller, text)
		}
		token := key.Range(p, test.range2)
		if rec.Tripped[0] != "near: "+token || !strings.HasPrefix(rec.Reason, token+" tripped near") || !strings.HasSuffix(rec.Tripped[1], " (on trial)") {
			t.Errorf("%s: %q, %q; want %s", caller, rec.Tripped, rec.Reason, token)
		}
	}
}
