package daemon

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/alert"
	"ringfence/conf"
	"ringfence/standin"
)

// What is wrong with [cluster] keeps no call from being screened: it is said where somebody looks for it, with the line and with what to write.
func TestClusterFault(t *testing.T) {
	for name, c := range map[string]struct{ section, want string }{
		"a misspelt key":        {"servers = [\"nats://127.0.0.1:4222\"]\nuzer = \"n1\"\n", ":9: cluster.uzer: is not known here: did you mean "},
		"a file that is away":   {"servers = [\"nats://127.0.0.1:4222\"]\ntls_ca = \"none\"\n", ":9: cluster.tls_ca: "},
		"no certificate in it":  {"servers = [\"nats://127.0.0.1:4222\"]\ntls_ca = \"ringfence.toml\"\n", "has no certificate in the form of PEM: put the ca.crt there"},
		"anybody on the way":    {"servers = [\"nats://192.0.2.1:4222\"]\nuser = \"n1\"\npassword = \"x\"\n", "so that anybody on the way could change your lists"},
		"not kept for so short": {"servers = [\"nats://127.0.0.1:4222\"]\nkeep = \"1h\"\n", ":9: cluster.keep: "},
	} {
		t.Run(name, func(t *testing.T) {
			installed := installation(t, smallPolicy)
			text, err := os.ReadFile(installed.File)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(installed.File, append(text, "[cluster]\nname = \"isp\"\n"+c.section...), 0o644); err != nil {
				t.Fatal(err)
			}
			settings, err := conf.LoadDaemon(installed.File)
			if err != nil {
				t.Fatalf("the daemon does not start: %v", err)
			}
			if settings.Cluster.Keep < 24*time.Hour {
				t.Errorf("what is taken off lists is forgotten after %v", settings.Cluster.Keep)
			}
			d := start(t, settings)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if r, err := (&standin.Switch{Address: d.Address(), Speed: 1000}).Place(ctx, standin.Call{From: "13800138000", To: "05925550100"}); err != nil || r.Stuck || len(r.ProtocolErrors) > 0 {
				t.Errorf("a call: %+v, %v", r, err)
			}
			if s, err := d.Desk().Status(ctx); err != nil || s.Calls != 1 {
				t.Errorf("screened: %+v, %v", s, err)
			}
			if r, err := d.Desk().Cluster(ctx); err != nil || !r.Alone || r.Name != "isp" || !strings.Contains(r.Why, c.want) {
				t.Errorf("cluster status says %+v, %v", r, err)
			}
			if _, err := d.Desk().LeaveCluster(ctx, "n2"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("who has a node leave is told %v", err)
			}
			if open := d.alerts.Open(); !slices.ContainsFunc(open, func(i alert.Incident) bool { return i.Kind == alert.Cluster && strings.Contains(i.Text, c.want) }) {
				t.Errorf("the alerts are %+v", open)
			}
		})
	}
}

// With a fault elsewhere the file is refused whole.
func TestClusterFaultAmongOthers(t *testing.T) {
	c := installation(t, smallPolicy)
	if err := os.WriteFile(c.File, []byte("node = 7\n[cluster]\nname = \"i.sp\"\nservers = [\"nats://127.0.0.1:4222\"]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := conf.LoadDaemon(c.File); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two faults: %v", err)
	}
}
