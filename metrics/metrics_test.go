package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/e2e/unpack"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// busy is a daemon that has something of everything.
type busy struct {
	status console.Status
	lists  []console.ListSummary
	err    error
}

func (b *busy) Status(context.Context) (*console.Status, error)      { return &b.status, b.err }
func (b *busy) Lists(context.Context) ([]console.ListSummary, error) { return b.lists, b.err }
func (b *busy) Detectors(context.Context) ([]console.Detector, error) {
	return []console.Detector{{Name: "range wakes", Tripped: 2}}, b.err
}
func (b *busy) Trunks() []string   { return []string{"telecom"} }
func (b *busy) StreamClients() int { return 3 }

func newBusy() *busy {
	return &busy{
		status: console.Status{
			Version: "1", Node: "pbx1", Started: time.Unix(1e9, 0), Loaded: time.Unix(1e9, 0), Mode: "enforce",
			FailOpen: map[string]uint64{"deadline": 2, "a reason of a later program": 1},
			Held:     map[string]int{"telecom": 1, "203.0.113.7": 2, "203.0.113.8": 3},
			Feeds:    []console.FeedStatus{{List: "ftc", Fetched: time.Now().Add(-time.Hour)}, {List: "new"}},
			Attached: []console.AttachStatus{{Name: "pbx1", Attached: true}},
			Alerts:   []console.AlertStatus{{Kind: "policy"}},
			Counters: map[string]uint64{"screen.refused_peer": 4, "agi.refused_peer": 1, "detector.capped.range wakes": 9},
			Journal:  console.JournalStatus{Written: 10, Dropped: 1},
			Cluster: &console.ClusterReport{
				Name: "isp", Alone: true, Nodes: []console.ClusterNode{{Name: "pbx2", Lag: 0.25}, {Name: "pbx3", Lag: 61}}, Dropped: map[string]uint64{"bad": 2, "late": 0},
			},
		},
		lists: []console.ListSummary{{List: "blacklist", Entries: 7}},
	}
}

// read gives what a Prometheus gets.
func read(t testing.TB, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("got the status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetrics(t *testing.T) {
	m := New(newBusy())
	m.Calls.Decided(3 * time.Microsecond)
	m.Calls.Done("reject", "enforce", 4*time.Millisecond)
	m.Calls.Done("a caller's word", "enforce", time.Second)
	text := read(t, m)
	for _, want := range []string{
		`ringfence_calls_total{action="reject",mode="enforce"} 1`,
		`ringfence_calls_total{action="tag",mode="observe"} 0`,
		`ringfence_call_setup_seconds_count{action="reject"} 1`,
		`ringfence_decision_seconds_count 1`,
		`ringfence_fail_open_total{reason="deadline"} 2`,
		`ringfence_fail_open_total{reason="guard"} 0`,
		`ringfence_fail_open_total{reason="other"} 1`,
		`ringfence_held_calls{trunk="telecom"} 1`,
		`ringfence_held_calls{trunk="other"} 5`,
		`ringfence_list_entries{list="blacklist"} 7`,
		`ringfence_detector_tripped{detector="range wakes"} 2`,
		`ringfence_detector_capped_total{detector="range wakes"} 9`,
		`ringfence_attached{name="pbx1"} 1`,
		`ringfence_policy_last_reload_success 1`,
		`ringfence_policy_last_reload_timestamp_seconds 1e+09`,
		`ringfence_journal_dropped_total 1`,
		`ringfence_esl_errors_total{reason="refused_peer"} 5`,
		`ringfence_paused 0`,
		`ringfence_stream_clients 3`,
		`ringfence_reports_open 0`,
		`ringfence_alerts{kind="policy"} 1`,
		`ringfence_alerts{kind="cluster"} 0`,
		`ringfence_cluster_alone 1`,
		`ringfence_cluster_lag_seconds{node="pbx2"} 0.25`,
		`ringfence_cluster_lag_seconds{node="pbx3"} 61`,
		`ringfence_cluster_dropped_total{reason="bad"} 2`,
		`ringfence_cluster_dropped_total{reason="late"} 0`,
		`go_goroutines `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got no %s", want)
		}
	}
	for _, not := range []string{"caller's word", "203.0.113", `list="new"} `} {
		if strings.Contains(strings.ReplaceAll(text, `feed_held{list="new"} `, ""), not) {
			t.Errorf("got %s", not)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint says %v, %v", problems, err)
	}
}

// TestBounded: however many lists there are, the series stay few; a daemon that cannot be asked says so and nothing else of its state.
func TestBounded(t *testing.T) {
	b := newBusy()
	for i := range 5000 {
		b.lists = append(b.lists, console.ListSummary{List: fmt.Sprintf("list %d", i), Entries: 1})
	}
	text := read(t, New(b))
	if n := strings.Count(text, "ringfence_list_entries{"); n != maxLists+1 {
		t.Errorf("%d series of lists, want %d", n, maxLists+1)
	}
	sum := 0
	for _, m := range regexp.MustCompile(`(?m)^ringfence_list_entries\{.*\} (\d+)$`).FindAllStringSubmatch(text, -1) {
		n := 0
		fmt.Sscan(m[1], &n)
		sum += n
	}
	if sum != 5007 {
		t.Errorf("the series of lists have %d entries, want 5007", sum)
	}
	for i := range 500 {
		b.status.Cluster.Nodes = append(b.status.Cluster.Nodes, console.ClusterNode{Name: fmt.Sprintf("node %d", i), Lag: 3})
		b.status.Cluster.Dropped[fmt.Sprintf("reason %d", i)] = 1
	}
	text = read(t, New(b))
	if nodes, reasons := strings.Count(text, "ringfence_cluster_lag_seconds{"), strings.Count(text, "ringfence_cluster_dropped_total{"); nodes != maxNodes+1 || reasons != maxReasons+1 {
		t.Errorf("%d series of nodes and %d of reasons, want %d and %d", nodes, reasons, maxNodes+1, maxReasons+1)
	}
	b.status.Cluster = nil
	if text := read(t, New(b)); strings.Contains(text, "ringfence_cluster_") {
		t.Error("a node without a cluster has metrics of one")
	}
	b.err = errors.New("the disk hangs")
	if text := read(t, New(b)); !strings.Contains(text, "ringfence_up 0") || strings.Contains(text, "ringfence_paused") {
		t.Errorf("a daemon that cannot be asked shows\n%s", text)
	}
}

// TestNames holds the dashboard, the alerts and the pages of the handbook against what there is, both ways round for the alerts' files.
func TestNames(t *testing.T) {
	text := read(t, New(newBusy()))
	there := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\w+) (\w+)$`).FindAllStringSubmatch(text, -1) {
		there[m[1]] = true
		if m[2] == "histogram" {
			there[m[1]+"_bucket"], there[m[1]+"_sum"], there[m[1]+"_count"] = true, true, true
		}
	}
	for _, file := range []string{"../conf/prometheus/ringfence.rules.yml", "../conf/prometheus/ringfence.rules.test.yml", "../conf/grafana/ringfence.json", "../docs/metrics.md"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		names := regexp.MustCompile(`\bringfence_[a-z_]+`).FindAllString(string(content), -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric", file)
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			if !there[name] {
				t.Errorf("%s names %s, and there is no such metric", file, name)
			}
		}
	}
	page, _ := os.ReadFile("../docs/metrics.md")
	for name := range there {
		if strings.HasPrefix(name, "ringfence_") && !regexp.MustCompile(`_(bucket|sum|count)$`).MatchString(name) && !strings.Contains(string(page), "`"+name) {
			t.Errorf("docs/metrics.md does not say what %s is", name)
		}
	}
}

// TestDashboard: Grafana takes no file that is not JSON, and each panel asks something and has a place of its own.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../conf/grafana/ringfence.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		if len(p.Targets) == 0 || p.Title == "" {
			t.Errorf("panel %d asks nothing or has no title", p.ID)
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if was := taken[at]; was != "" || at[0] >= 24 {
					t.Fatalf("%s lies on %s, or out of the page", p.Title, was)
				}
				taken[at] = p.Title
			}
		}
	}
}

// TestAlerts has Prometheus's own tool read and try the alerts.
func TestAlerts(t *testing.T) {
	promtool, err := unpack.Program(t.Context(), "prometheus", "usr/bin/promtool")
	if err != nil {
		t.Skipf("NOT TESTED: promtool: %v", err)
	}
	for _, args := range [][]string{{"check", "rules", "ringfence.rules.yml"}, {"test", "rules", "ringfence.rules.test.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = "../conf/prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	check.Stdin = strings.NewReader(read(t, New(newBusy())))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	// A dashboard's questions are read as the alerts' are, with its variables filled in.
	text, err := os.ReadFile("../conf/grafana/ringfence.json")
	if err != nil {
		t.Fatal(err)
	}
	rules := "groups:\n  - name: dashboard\n    rules:\n"
	for i, m := range regexp.MustCompile(`"expr": ("(?:[^"\\]|\\.)*")`).FindAllStringSubmatch(string(text), -1) {
		var expr string
		if err := json.Unmarshal([]byte(m[1]), &expr); err != nil {
			t.Fatal(err)
		}
		rules += fmt.Sprintf("      - record: q%d\n        expr: %q\n", i, strings.ReplaceAll(expr, "$instance", ".*"))
	}
	file := t.TempDir() + "/dashboard.yml"
	if err := os.WriteFile(file, []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("the dashboard asks what Prometheus cannot read: %v\n%s", err, out)
	}
}

// BenchmarkCall is what metrics add to the way of a call.
func BenchmarkCall(b *testing.B) {
	m := New(newBusy())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Calls.Decided(700 * time.Nanosecond)
			m.Calls.Done("allow", "enforce", time.Millisecond)
		}
	})
}
