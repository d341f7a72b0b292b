package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"iter"
	"os"
	"strings"
	"time"

	"ringfence/alert"
	"ringfence/cluster"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/desk"
	"ringfence/detect"
	"ringfence/inforce"
	"ringfence/screening"
	"ringfence/storage"
)

// openCluster makes this node's part of the cluster, if the daemon's file has one. It runs when the desk is there: until then, and without one, nothing
// of here does anything. Calls are screened whatever is wrong with it.
func (d *Daemon) openCluster(c *conf.Cluster) {
	if c == nil {
		return
	}
	err := d.conf.ClusterFault
	if err == nil {
		err = d.makeCluster(c)
	}
	if err != nil {
		d.log.Error("calls are screened, but this node is no part of its cluster until that is mended and the daemon is started anew", "error", err)
		d.alerts.Begin(alert.Cluster, "", "calls are screened, but this node is no part of its cluster: "+err.Error())
		d.without = &withoutCluster{console.ClusterReport{
			Name: c.Name, Node: d.conf.Node, Alone: true, Since: d.clock(), Why: "mend this, and start the daemon anew: " + strings.ReplaceAll(err.Error(), "\n", "; "),
		}}
	}
}

// withoutCluster is a node that cannot be part of its cluster, as the desk has it.
type withoutCluster struct{ report console.ClusterReport }

func (w *withoutCluster) Report() console.ClusterReport { return w.report }

func (w *withoutCluster) Leave(context.Context, string) error { return w.sorry() }

func (w *withoutCluster) DecideHeld(context.Context, int, bool) error { return w.sorry() }

func (w *withoutCluster) Calls(context.Context, []byte) (answers map[string][]byte, silent []string) {
	return nil, nil
}

func (w *withoutCluster) ReportChanged(string, time.Time, []byte) {}

func (w *withoutCluster) sorry() error {
	return console.Conflict("this node is no part of its cluster: " + w.report.Why)
}

func (d *Daemon) makeCluster(c *conf.Cluster) error {
	secured, err := clusterTLS(c)
	if err != nil {
		return fmt.Errorf("[cluster]: %w", err)
	}
	made, err := cluster.New(cluster.Options{
		Name: c.Name, Node: d.conf.Node, Version: d.version, Servers: c.Servers, Credentials: c.Credentials, NkeyFile: c.NkeyFile, User: c.User, Password: c.Password,
		TLS: secured, Keep: c.Keep, Store: d.db, Taker: clusterDesk{d}, Facts: clusterFacts{d}, Log: d.log, Now: d.clock,
		Numbers:   func() string { return d.force.Rules().Policy.Plan().Reading() },
		Detectors: func() *detect.Set { return d.force.Rules().Detectors },
		Refused: func() (rows, early uint64, why string) {
			r := d.desk.MergeRefused()
			return r.Rows, r.Early, r.Why
		},
		Self: d.selfForCluster, Awaited: d.db.IsAwaited,
		Policy: clusterDesk{d}, SharePolicy: c.SharePolicy, PolicyFrom: c.PolicyFrom, MaxChange: c.MaxChange, Pause: clusterDesk{d},
		Breadth: func(list, pattern string) float64 { return desk.Breadth(d.force.Rules().Policy.Plan(), list, pattern) },
		Meets:   func(line *storage.Row) int { return desk.LinesMet(d.force.Rules(), line) },
		Calls:   func(ctx context.Context, query []byte) ([]byte, error) { return d.desk.CallsHere(ctx, query) },
	})
	if err != nil {
		return err
	}
	d.cluster.Store(made)
	return nil
}

// peers are the other nodes as detectors have them, nil for none.
func (d *Daemon) peers() detect.Peers {
	if c := d.cluster.Load(); c != nil {
		return c
	}
	return nil
}

// deskCluster is the cluster as the desk has it, nil for none.
func (d *Daemon) deskCluster() desk.Cluster {
	if c := d.cluster.Load(); c != nil {
		return c
	}
	if d.without != nil {
		return d.without
	}
	return nil
}

// runCluster has this node be part of its cluster from now on.
func (d *Daemon) runCluster() {
	c := d.cluster.Load()
	if c == nil {
		return
	}
	d.keeper.Share(func(facts []screening.Shared) { c.Learnt(toldOf(facts)) })
	d.background("cluster", c.Run)
}

// latestStamp is storage.Options.Latest.
func (d *Daemon) latestStamp() (millis int64, ok bool) {
	if c := d.cluster.Load(); c != nil {
		return c.Latest()
	}
	return 0, false
}

// selfForCluster is what other nodes are told of this one.
func (d *Daemon) selfForCluster() (hash string, loaded time.Time, journal string) {
	r := d.force.Rules()
	if err := d.journal.Err(); err != nil {
		journal = err.Error()
	}
	return r.Version, r.Loaded, journal
}

// clusterTLS is by what the servers are known, and by what they know this node; nil where their addresses say all.
func clusterTLS(c *conf.Cluster) (*tls.Config, error) {
	if !c.TLS() {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLSCA != "" {
		text, err := os.ReadFile(c.TLSCA)
		if err != nil {
			return nil, fmt.Errorf("tls_ca cannot be read: put the file there, readable for the daemon (%w)", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("tls_ca: %s has no certificate in the form of PEM: put the ca.crt there that signed the server's", c.TLSCA)
		}
	}
	if c.TLSCert != "" {
		if _, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey); err != nil {
			return nil, fmt.Errorf("tls_cert and tls_key cannot be used: put a certificate and its key there, in the form of PEM (%w)", err)
		}
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { // it may have been renewed
			cert, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
			return &cert, err
		}
	}
	return t, nil
}

// clusterDesk puts what other nodes say on the lists.
type clusterDesk struct{ d *Daemon }

func (c clusterDesk) MergeRows(ctx context.Context, list string, rows []storage.Row, of storage.Foreign) (int, error) {
	return c.d.desk.MergeRows(ctx, list, rows, of)
}

func (c clusterDesk) MergeList(ctx context.Context, list string, rows iter.Seq2[storage.Row, error], of storage.Foreign) (int, error) {
	return c.d.desk.MergeList(ctx, list, rows, of)
}

func (c clusterDesk) PolicyInForce() (text, version string, err error) {
	return c.d.desk.PolicyInForce()
}

func (c clusterDesk) TakePolicy(ctx context.Context, text, node string) error {
	return c.d.desk.TakePolicy(ctx, text, node)
}

func (c clusterDesk) PauseKept() (*cluster.Pause, error) {
	p, at, err := c.d.desk.PauseKept()
	if err != nil || at.IsZero() {
		return nil, err
	}
	out := &cluster.Pause{At: at}
	if p != nil {
		out.Paused, out.Since, out.Until = true, p.Since, p.Until
	}
	return out, nil
}

func (c clusterDesk) TakePause(p *cluster.Pause, node string) error {
	var pause *inforce.Pause
	if p.Paused {
		pause = &inforce.Pause{Since: p.Since, Until: p.Until}
	}
	return c.d.desk.TakePause(pause, p.At, node)
}

// clusterFacts is what calls have taught this node.
type clusterFacts struct{ d *Daemon }

func (c clusterFacts) FactsSince(since time.Time, yield func([]cluster.Fact) error) error {
	err := c.d.keeper.Since(since, func(facts []screening.Shared) error { return yield(toldOf(facts)) })
	if err != nil {
		return err
	}
	const few = 20 // a report has some kilobytes
	var page []cluster.Fact
	err = c.d.desk.ReportsSince(since, func(id string, at time.Time, report []byte) error {
		if page = append(page, cluster.Fact{Table: cluster.TableReports, Key: []byte(id), At: at.UnixMilli(), Value: report}); len(page) < few {
			return nil
		}
		err := yield(page)
		page = page[:0]
		return err
	})
	if err != nil || len(page) == 0 {
		return err
	}
	return yield(page)
}

func toldOf(facts []screening.Shared) []cluster.Fact {
	told := make([]cluster.Fact, len(facts))
	for i, f := range facts {
		told[i] = cluster.Fact{Table: f.Table, Key: []byte(f.Key), At: f.At.UnixMilli()}
	}
	return told
}

func (c clusterFacts) TakeFacts(node string, told []cluster.Fact) (refused int) {
	facts := make([]screening.Shared, 0, len(told))
	for _, f := range told {
		if t, there := screening.SharedTable(f.Table); there && c.d.desk.IsForgottenFact(t, string(f.Key), time.UnixMilli(f.At)) {
			refused++
			continue
		}
		if f.Table != cluster.TableReports {
			if c.d.desk.IsMarkedFact(string(f.Key), time.UnixMilli(f.At)) {
				continue
			}
			facts = append(facts, screening.Shared{Table: f.Table, Key: string(f.Key), At: time.UnixMilli(f.At)})
			continue
		}
		if err := c.d.desk.TakeReport(f.Value); err != nil {
			refused++
			c.d.log.Debug("a report of another node is not taken", "from", node, "error", err)
		}
	}
	return refused + c.d.keeper.Take(facts)
}
