package metrics

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"ringfence/console"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Source is what is asked when metrics are read.
type Source interface {
	Status(ctx context.Context) (*console.Status, error)
	Lists(ctx context.Context) ([]console.ListSummary, error)
	Detectors(ctx context.Context) ([]console.Detector, error)
	// Trunks are those of the policy: other trunks are named by what a peer shows, and are one together.
	Trunks() []string
	// StreamClients is how many follow the calls now.
	StreamClients() int
}

const (
	// readWait bounds what a reading of metrics asks.
	readWait = 5 * time.Second
	// maxLists is how many lists have a series of their own; the others are one together.
	maxLists = 200
	// maxNodes and maxReasons are as much of a cluster. A node's name is in the rights of its user, the reasons are the program's; that they are few is not left
	// to another machine.
	maxNodes, maxReasons = 64, 32
	// other is the label of what has none of its own.
	other = "other"
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("ringfence_"+name, help, labels, nil)
}

var (
	descUp         = desc("up", "1 if the daemon could be asked for what follows.")
	descInfo       = desc("build_info", "The version that runs.", "version", "node")
	descFailOpen   = desc("fail_open_total", "Calls that passed unscreened, by the reason.", "reason")
	descHeld       = desc("held_calls", "Calls that hear an announcement or a challenge now.", "trunk")
	descInHand     = desc("calls_in_hand", "Calls that the daemon has in hand now.")
	descEntries    = desc("list_entries", "Entries of a list.", "list")
	descUnread     = desc("lists_unread", "Lists that are still being read: rules that ask them let calls pass.")
	descTripped    = desc("detector_tripped", "Breakers of a detector that hold now.", "detector")
	descEvicted    = desc("detector_evicted_total", "Keys that gave way in a detector's table to others.", "detector")
	descCapped     = desc("detector_capped_total", "Counts of a detector that reached their bound.", "detector")
	descAttached   = desc("attached", "1 if the daemon is attached to a switch's event socket or manager.", "name")
	descReloadOK   = desc("policy_last_reload_success", "0 if the policy file was refused when it was read last.")
	descReloadAt   = desc("policy_last_reload_timestamp_seconds", "When the policy that is in force was taken.")
	descObserve    = desc("policy_observe", "1 if the policy as a whole only observes.")
	descWritten    = desc("journal_written_total", "Records written to the journal.")
	descDropped    = desc("journal_dropped_total", "Records that found no room on their way to the disk.")
	descESL        = desc("esl_errors_total", "What went wrong on the wires to switches, by the reason.", "reason")
	descPaused     = desc("paused", "1 while screening is paused: every call passes.")
	descReports    = desc("reports_open", "Marks of people that wait for review.")
	descFeedAge    = desc("feed_age_seconds", "How old what counts of a feed is; absent while nothing of it counts.", "list")
	descFeedHeld   = desc("feed_held", "1 if what was fetched of a feed waits for a person.", "list")
	descStreams    = desc("stream_clients", "Who follows the calls live now.")
	descAlerts     = desc("alerts", "What is wrong now, by its kind.", "kind")
	descStarted    = desc("start_timestamp_seconds", "When the daemon was started.")
	descUnrecorded = desc("unrecorded_calls_total", "Calls that did not come to the daemon and found no room for a record.")

	descAlone    = desc("cluster_alone", "1 while the node reaches no server of its cluster.")
	descLag      = desc("cluster_lag_seconds", "How long changes of another node take to count here, or the oldest that is missing has taken so far.", "node")
	descNotTaken = desc("cluster_dropped_total", "Messages of other nodes that were not taken, by the reason.", "reason")

	all = []*prometheus.Desc{
		descUp, descInfo, descFailOpen, descHeld, descInHand, descEntries, descUnread, descTripped, descEvicted, descCapped, descAttached, descReloadOK,
		descReloadAt, descObserve, descWritten, descDropped, descESL, descPaused, descReports, descFeedAge, descFeedHeld, descStreams, descAlerts,
		descStarted, descUnrecorded, descAlone, descLag, descNotTaken,
	}
)

// failOpenReasons are those that bridges and screening know, so that each is there with 0 before it first happens: a rate over what appears with its first
// event would not see that event.
var failOpenReasons = []string{"deadline", "late", "wire", "command", "panic", "limit", "stopping", "unheard", "lists", "guard", "unseen"}

// alertKinds are those of package alert.
var alertKinds = []string{"start", "fail-open", "policy", "feed", "attach", "journal", "trip", "notice", "console", "cluster"}

// wireErrors are the counters of status that say that something went wrong on a wire, by what follows the port's name.
var wireErrors = []string{"refused_peer", "unknown_frames", "untold"}

// state asks the source each time that metrics are read.
type state struct {
	source Source
}

func (s *state) Describe(to chan<- *prometheus.Desc) {
	for _, d := range all {
		to <- d
	}
}

func (s *state) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readWait)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	st, err := s.source.Status(ctx)
	gauge(descUp, yes(err == nil))
	if err != nil {
		return
	}
	gauge(descInfo, 1, st.Version, st.Node)
	gauge(descStarted, unix(st.Started))
	s.calls(st, gauge, counter)
	s.rules(st, gauge, counter)
	s.detectors(ctx, st, gauge, counter)
	s.cluster(st.Cluster, gauge, counter)
	if lists, err := s.source.Lists(ctx); err == nil {
		for name, n := range listEntries(lists) {
			gauge(descEntries, float64(n), name)
		}
	}
}

type (
	gauges   func(d *prometheus.Desc, v float64, labels ...string)
	counters func(d *prometheus.Desc, v uint64, labels ...string)
)

func (s *state) calls(st *console.Status, gauge gauges, counter counters) {
	for reason, n := range known(st.FailOpen, failOpenReasons) {
		counter(descFailOpen, n, reason)
	}
	held := make(map[string]uint64)
	for trunk, n := range st.Held {
		held[trunk] = uint64(n)
	}
	for trunk, n := range known(held, s.source.Trunks()) {
		gauge(descHeld, float64(n), trunk)
	}
	gauge(descInHand, float64(st.InHand))
	counter(descUnrecorded, st.Unrecorded)
	counter(descWritten, st.Journal.Written)
	counter(descDropped, st.Journal.Dropped)
	wire := make(map[string]uint64)
	for name, n := range st.Counters {
		port, what, _ := strings.Cut(name, ".")
		if slices.Contains(wireErrors, what) && (port == "screen" || port == "agi") {
			wire[what] += n
		}
	}
	for reason, n := range known(wire, wireErrors) {
		if reason != other {
			counter(descESL, n, reason)
		}
	}
	for _, a := range st.Attached {
		gauge(descAttached, yes(a.Attached), a.Name)
	}
	gauge(descStreams, float64(s.source.StreamClients()))
}

func (s *state) rules(st *console.Status, gauge gauges, counter counters) {
	gauge(descReloadOK, yes(st.PolicyRefused == nil))
	gauge(descReloadAt, unix(st.Loaded))
	gauge(descObserve, yes(st.Mode == "observe"))
	gauge(descPaused, yes(st.Pause.Paused))
	gauge(descUnread, float64(len(st.Lists.Unread)))
	gauge(descReports, float64(st.Reports.Open))
	for _, f := range st.Feeds {
		if !f.Fetched.IsZero() {
			gauge(descFeedAge, time.Since(f.Fetched).Seconds(), f.List)
		}
		gauge(descFeedHeld, yes(f.Held != ""), f.List)
	}
	alerts := make(map[string]uint64)
	for _, a := range st.Alerts {
		alerts[a.Kind]++
	}
	for kind, n := range known(alerts, alertKinds) {
		gauge(descAlerts, float64(n), kind)
	}
}

func (s *state) detectors(ctx context.Context, st *console.Status, gauge gauges, counter counters) {
	detectors, err := s.source.Detectors(ctx)
	if err != nil {
		return
	}
	for _, d := range detectors {
		gauge(descTripped, float64(d.Tripped), d.Name)
		counter(descEvicted, st.Counters["detector.evicted."+d.Name], d.Name)
		counter(descCapped, st.Counters["detector.capped."+d.Name], d.Name)
	}
}

// cluster is how the node stands with others that have the same lists; nil: there are none.
func (s *state) cluster(c *console.ClusterReport, gauge gauges, counter counters) {
	if c == nil {
		return
	}
	gauge(descAlone, yes(c.Alone))
	lag := make(map[string]float64)
	for i := range c.Nodes {
		name := c.Nodes[i].Name
		if _, is := lag[name]; !is && len(lag) >= maxNodes {
			name = other
		}
		lag[name] = max(lag[name], c.Nodes[i].Lag)
	}
	for name, seconds := range lag {
		gauge(descLag, seconds, name)
	}
	dropped := make(map[string]uint64)
	for i, reason := range slices.Sorted(maps.Keys(c.Dropped)) {
		if n := c.Dropped[reason]; i < maxReasons {
			dropped[reason] += n
		} else {
			dropped[other] += n
		}
	}
	for reason, n := range dropped {
		counter(descNotTaken, n, reason)
	}
}

// known gives the counts of names that are known, 0 for those that are not there, and the sum of all others as "other" if there are any.
func known(counts map[string]uint64, names []string) map[string]uint64 {
	out := make(map[string]uint64, len(names)+1)
	for _, name := range names {
		out[name] = 0
	}
	for name, n := range counts {
		if _, is := out[name]; !is {
			name = other
		}
		out[name] += n
	}
	return out
}

// listEntries gives the entries of lists, each of the first maxLists by their names, the rest as one.
func listEntries(lists []console.ListSummary) map[string]int {
	all := make(map[string]int, len(lists))
	for _, l := range lists {
		all[l.List] += l.Entries
	}
	out := make(map[string]int)
	for i, name := range slices.Sorted(maps.Keys(all)) {
		if i < maxLists {
			out[name] = all[name]
		} else {
			out[other] += all[name]
		}
	}
	return out
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// unix is a moment as Prometheus has it; 0 for none.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func goCollector() prometheus.Collector { return collectors.NewGoCollector() }

func processCollector() prometheus.Collector {
	return collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})
}
