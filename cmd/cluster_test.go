package cmd

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/terminal"
)

// clustered is a desk of a node in a cluster.
type clustered struct {
	console.Desk
	report console.ClusterReport
	left   string
}

func (d *clustered) Cluster(context.Context) (*console.ClusterReport, error) { return &d.report, nil }

func (d *clustered) LeaveCluster(_ context.Context, node string) (*console.ClusterReport, error) {
	if d.left = node; node == "none" {
		return nil, console.NotFound("there is no node none")
	}
	return &d.report, nil
}

// running serves a desk on the socket of a daemon's file, and gives the file.
func running(t *testing.T, d console.Desk) (file string) {
	t.Helper()
	folder := t.TempDir()
	ln, err := net.Listen("unix", filepath.Join(folder, "s"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: console.Handler(d)}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	file = filepath.Join(folder, "ringfence.toml")
	if err := os.WriteFile(file, []byte("socket = \"s\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The exit status says whether somebody has to look after the cluster, with JSON as without; leaving is done, whatever else there is.
func TestClusterStatus(t *testing.T) {
	now := time.Now()
	d := &clustered{}
	file := running(t, d)
	run := func(args ...string) (int, string) {
		var out, errs strings.Builder
		status := Main(append(args, "--config", file), strings.NewReader(""), &out, &errs)
		return status, out.String() + errs.String()
	}
	different := func(since time.Duration) console.ClusterReport {
		return console.ClusterReport{Name: "isp", Node: "pbx1", Nodes: []console.ClusterNode{{Name: "pbx2", Lists: console.ListsDifferent, Since: now.Add(-since)}}}
	}
	for name, c := range map[string]struct {
		report console.ClusterReport
		want   int
		says   string
	}{
		"well":      {console.ClusterReport{Name: "isp", Node: "pbx1", Server: "nats://10.0.0.5:4222", Nodes: []console.ClusterNode{{Name: "pbx2", Lists: console.ListsSame}}}, done, "node     pbx2 is there, 0.0 s behind, lists same\n"},
		"alone":     {console.ClusterReport{Name: "isp", Node: "pbx1", Alone: true, Since: now, Why: "connection refused", Waiting: 3}, failed, "because  connection refused\nwaiting  3 changes were not published yet"},
		"twin":      {console.ClusterReport{Name: "isp", Node: "pbx1", Why: "another node calls itself pbx1 too"}, failed, "because  another node calls itself pbx1 too\n"},
		"comparing": {different(time.Minute), done, "node     pbx2 is there, 0.0 s behind, lists different"},
		"different": {different(time.Hour), failed, "NODE     pbx2 is there, 0.0 s behind, LISTS DIFFERENT since "},
	} {
		d.report = c.report
		if status, text := run("cluster", "status"); status != c.want || !strings.Contains(text, c.says) {
			t.Errorf("%s: status %d, want %d with %q:\n%s", name, status, c.want, c.says, text)
		}
		status, text := run("cluster", "status", "--json")
		var r console.ClusterReport
		if err := json.Unmarshal([]byte(text), &r); err != nil || status != c.want || r.Name != "isp" {
			t.Errorf("%s, JSON: status %d, %v: %s", name, status, err, text)
		}
		if status, text := run("cluster", "leave", "pbx3"); status != done || d.left != "pbx3" {
			t.Errorf("%s: leaving ends with %d, of %q: %s", name, status, d.left, text)
		}
	}
	if status, text := run("cluster", "leave", "none"); status != failed || !strings.Contains(text, "there is no node none") {
		t.Errorf("a node that is not there: %d, %s", status, text)
	}
}

// tailing is a desk of pbx1 that has found a call of its own and one of pbx2.
type tailing struct{ clustered }

func (*tailing) Search(context.Context, console.SearchQuery) (*console.SearchPage, error) {
	at := time.Date(2026, 11, 29, 14, 2, 0, 0, time.Local)
	record := func(node string) console.Record {
		return console.Record{ID: node, Node: node, Time: at, Action: "allow", Would: "allow", Rule: "default", Caller: console.Caller{E164: "+8695588"}, Callee: "8001"}
	}
	return &console.SearchPage{Records: []console.Record{record("pbx2"), record("pbx1")}, Done: true}, nil
}

// The last calls of all nodes say which of them were on another one.
func TestTailNamesOtherNodes(t *testing.T) {
	var out, errs strings.Builder
	file := running(t, &tailing{clustered{report: console.ClusterReport{Name: "isp", Node: "pbx1"}}})
	status := Main([]string{"journal", "tail", "--config", file}, strings.NewReader(""), &out, &errs)
	lines := strings.Split(out.String(), "\n")
	if status != done || len(lines) != 3 || strings.Contains(lines[0], "; on ") || !strings.HasSuffix(lines[1], "; on pbx2") {
		t.Errorf("%d, %q, %q", status, out.String(), errs.String())
	}
}

// reloading is a desk of a node whose policy is that of all, which the other has from the second question on.
type reloading struct {
	clustered
	asked int
	err   error
}

func (d *reloading) Reload(context.Context) (*console.ReloadReport, error) {
	return &console.ReloadReport{File: "policy.toml", Loaded: true, Rules: 5}, nil
}

func (d *reloading) Cluster(context.Context) (*console.ClusterReport, error) {
	if d.asked++; d.asked > 1 && len(d.report.Nodes) > 0 {
		d.report.Nodes[0].Policy = d.report.Shared
	}
	return &d.report, d.err
}

// Where all nodes have one policy, reloading it waits for the others, and says which of them have it.
func TestReloadSaysWhoHasThePolicy(t *testing.T) {
	at := time.Date(2026, 11, 29, 14, 2, 0, 0, time.Local)
	nodes := []console.ClusterNode{{Name: "pbx2", Policy: "old"}, {Name: "pbx3", Policy: "older", Alone: at}}
	for name, c := range map[string]struct {
		desk reloading
		want string
	}{
		"none":     {reloading{err: console.NotFound("there is no cluster here")}, ""},
		"its own":  {reloading{clustered: clustered{report: console.ClusterReport{Node: "pbx1", Nodes: nodes[1:]}}}, ""},
		"the same": {reloading{clustered: clustered{report: console.ClusterReport{Node: "pbx1", Shared: "new", Nodes: nodes}}}, "pbx1 has policy new\npbx2 has it too\npbx3 IS NOT HEARD since 2026-11-29 14:02, and had policy older\n"},
		"alone":    {reloading{clustered: clustered{report: console.ClusterReport{Node: "pbx1", Shared: "new", Alone: true, Since: at, Nodes: nodes[1:]}}}, "pbx1 has policy new\nit is ALONE since 2026-11-29 14:02: what the other nodes have is not known, and they get nothing until it is not\n"},
	} {
		var out, errs strings.Builder
		status := Main([]string{"policy", "reload", "--config", running(t, &c.desk)}, strings.NewReader(""), &out, &errs)
		if want := "policy.toml is in force: 5 rules\n" + c.want; status != done || out.String() != want || errs.String() != "" {
			t.Errorf("%s: %d, %q and %q, want %q", name, status, out.String(), errs.String(), want)
		}
	}
	r := &console.ClusterReport{Node: "pbx1", Shared: "new", Nodes: []console.ClusterNode{{Name: "pbx2", Policy: "\x1b[2J", Loaded: at}}}
	if text := sharedPolicyText(r); !strings.Contains(text, "pbx2 HAS ANOTHER") || strings.ContainsRune(text, '\x1b') {
		t.Errorf("%q", text)
	}
}

// What is said of a cluster fits on a terminal, and a peer's texts move no cursor.
func TestClusterOnATerminal(t *testing.T) {
	at := time.Date(2026, 11, 29, 14, 2, 0, 0, time.Local)
	evil := "\x1b[2J" + strings.Repeat("x", 500) + "\n"
	r := &console.ClusterReport{
		Name: "isp", Node: "pbx1", Server: "tls://nats1.example.com:4222", Since: at, Waiting: 2, Why: "it was away for too long", Clock: "it is 3m ahead of what the others say",
		Nodes: []console.ClusterNode{
			{Name: "pbx2", Version: "1.2.0", Lag: 0.24, Lists: console.ListsSame, Policy: "1a2b3c4d", Loaded: at},
			{Name: "pbx3", Alone: at, Lists: console.ListsOtherNumbers, Trouble: "it does not answer", Journal: "no space left on device"},
		},
		Held:    []console.ClusterHeld{{ID: 4, Node: "pbx3", Time: at, List: "blacklist", Entries: 9000, Why: "it takes most of the list away"}, {ID: 5, Node: "pbx3", Time: at, List: "allowlist", Entries: 200, Why: "it takes much away", Until: at.Add(time.Minute)}},
		Dropped: map[string]uint64{"bad": 1, "late": 0},
	}
	const want = `cluster  isp: this node is pbx1, connected to tls://nats1.example.com:4222 since
         2026-11-29 14:02
because  it was away for too long
CLOCK    it is 3m ahead of what the others say
node     pbx2 is there, 0.2 s behind, lists same, policy 1a2b3c4d of 2026-11-29
         14:02, version 1.2.0
NODE     pbx3 IS NOT HEARD since 2026-11-29 14:02, lists cannot be compared: its
         policy reads numbers by other rules; it does not answer, its journal
         CANNOT BE WRITTEN: no space left on device
waiting  2 changes were not published yet
held 4   of pbx3, 2026-11-29 14:02: 9000 entries of blacklist: it takes most of
         the list away
held 5   of pbx3, 2026-11-29 14:02: 200 entries so far (it can be taken when it
         has been counted, after 14:03:00) of allowlist: it takes much away
         ringfence cluster take NUMBER has one count, cluster refuse NUMBER has
         it count nowhere
dropped  1 messages: bad
`
	if got := clusterText(r, at); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	r.Name, r.Node, r.Server, r.Why, r.Clock, r.Dropped = evil, evil, evil, evil, evil, map[string]uint64{evil: 1}
	r.Nodes[0] = console.ClusterNode{Name: evil, Version: evil, Lists: evil, Policy: evil}
	r.Held[0].List, r.Held[0].Why, r.Held[0].Node = evil, evil, evil
	r.Nodes[1].Journal, r.Nodes[1].Trouble = evil, evil
	text := clusterText(r, at) + clusterLine(r) + "\n"
	r.Alone = true
	text += clusterText(r, at) + clusterLine(r)
	if strings.ContainsRune(text, '\x1b') || strings.Contains(text, strings.Repeat("x", 401)) {
		t.Errorf("a peer's text is not inert: %q", text)
	}
	for line := range strings.Lines(want) {
		if n := terminal.Columns(strings.TrimSuffix(line, "\n")); n > terminal.Page {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}
