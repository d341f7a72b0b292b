package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ringfence/console"
)

// The lists of the field through the program: what it says, with which exit status, and what a call gets then.
func TestFieldLists(t *testing.T) {
	const folder = "../desk/testdata/lists"
	table, err := os.ReadFile(filepath.Join(folder, "expected.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range strings.Split(strings.TrimSpace(string(table)), "\n")[1:] {
		cells := strings.Split(row, "\t")
		file, country, added, refused, probe, listed, reason := cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6]
		t.Run(file, func(t *testing.T) {
			home := t.TempDir()
			for name, text := range map[string]string{
				"ringfence.toml": "policy = \"policy.toml\"\ndata = \"data\"\nnode = \"pbx1\"\nsocket = \"none.sock\"\n",
				"policy.toml":    "country = \"" + country + "\"\n[[rule]]\nname = \"listed\"\nwhen = { list = [\"blacklist\"] }\naction = \"reject\"\n",
			} {
				if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Mkdir(filepath.Join(home, "data"), 0o755); err != nil {
				t.Fatal(err)
			}
			run := func(args ...string) (status int, out, errs string) {
				var o, e bytes.Buffer
				status = Main(append(args, "--config", filepath.Join(home, "ringfence.toml")), strings.NewReader(""), &o, &e)
				return status, o.String(), e.String()
			}
			if reason == "keeps" {
				reason = "mine"
				if status, _, errs := run("list", "add", "blacklist", probe, "--reason", reason, "--expires", "90d"); status != done {
					t.Fatal(errs)
				}
			}
			status, out, errs := run("list", "import", "blacklist", filepath.Join(folder, file))
			want := done
			if refused != "0" {
				want = failed
			}
			if status != want || !strings.Contains(out, fmt.Sprintf("blacklist: %s added, 0 updated,", added)) || !strings.Contains(out, fmt.Sprintf(" %s refused", refused)) {
				t.Errorf("status %d: %s%s", status, out, errs)
			}
			if n := strings.Count(errs, filepath.Join(folder, file)+":"); fmt.Sprint(n) != refused {
				t.Errorf("%d refusals are named: %s", n, errs)
			}
			status, out, errs = run("check", probe, "--json")
			var report console.CheckReport
			if err := json.Unmarshal([]byte(out), &report); err != nil || status != done {
				t.Fatalf("%v, %d: %s%s", err, status, out, errs)
			}
			if (report.Action == "reject") != (listed == "yes") {
				t.Errorf("%s gets %s", probe, report.Action)
			}
			if listed == "yes" && report.Lists[0].Reason != strings.TrimPrefix(reason, "-") {
				t.Errorf("%+v, want the reason %s", report.Lists, reason)
			}
			status, out, errs = run("list", "import", "blacklist", filepath.Join(folder, file))
			if status != want || !strings.Contains(out, "blacklist: 0 added, 0 updated,") {
				t.Errorf("again, status %d: %s%s", status, out, errs)
			}
		})
	}
}
