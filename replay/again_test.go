package replay

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// Callers who call again, and what a journal has of forwarded calls and of a second number, whatever the number of workers.
func TestClaimsReplayed(t *testing.T) {
	p := mustLoad(t, `
country  = "CN"
timezone = "Asia/Shanghai"
[lines.staff]
numbers = ["05925550100-05925550199"]
[[rule]]
name   = "two numbers"
when   = { identity_differs = true }
action = "reject"
[[rule]]
name   = "forwarded"
when   = { diverted = true }
action = "reject"
[[rule]]
name   = "named"
when   = { caller_text = ["Firm*"] }
action = "reject"
[[rule]]
name   = "again"
when   = { again = "10m" }
action = "reject"
[[rule]]
name   = "with plus"
when   = { written = "plus" }
action = "reject"
`)
	var journal strings.Builder
	var want []string
	call := func(at, caller, more, callee, rule string) {
		fmt.Fprintf(&journal, `{"id":"01J","time":"2026-03-02T%sZ","caller":{"raw":%q%s},"callee":%q,"action":"allow","would":"allow","rule":"before"}`+"\n", at, caller, more, callee)
		want = append(want, rule)
	}
	call("01:00:00", "13800138001", "", "05925550100", "default")
	call("01:00:03", "13800138001", "", "05925550100", "default") // the same call
	call("01:02:00", "+8613800138001", "", "05925550150", "again")
	call("01:03:00", "13800138002", "", "05925550150", "default")
	call("01:12:01", "13800138001", "", "05925550150", "default")
	call("01:12:02", "13800138001", "", "4008001234", "default")
	call("01:13:00", "+8613800138003", "", "05925550150", "with plus")
	call("01:13:00", "firm alpha", "", "05925550150", "named")
	call("01:14:00", "13800138004", `,"diverted":"05925550199"`, "05925550150", "forwarded")
	call("01:15:00", "13800138005", `,"from":"13800138006"`, "05925550150", "two numbers")
	call("01:16:00", "13800138007", `,"from":"anonymous"`, "05925550150", "default")
	for _, workers := range []int{1, 4} {
		source, err := Open("journal.jsonl", bytes.NewReader([]byte(journal.String())), 0, SourceOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		report, err := Run(t.Context(), []*Source{source}, Options{Judge: NewJudge(p, nil), Workers: workers, Change: func(c *Change) error {
			got = append(got, c.Is.Rule)
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%d workers:\n%s\nwant\n%s", workers, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if notes := strings.Join(report.Notes, "\n"); notes != againNote+"\n"+claimsNote {
			t.Errorf("notes: %s", notes)
		}
	}
}
