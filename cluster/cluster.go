package cluster

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"ringfence/detect"
	"ringfence/storage"
)

// Store is what this node keeps; *storage.DB is one.
type Store interface {
	Lists() ([]storage.ListInfo, error)
	ChangesAfter(id uint64, yield func(storage.ChangeRecord) error) error
	ChangeRows(id uint64, yield func([]storage.Row) error) error
	ListRows(list string, want func(leaf int) bool, yield func([]storage.Row) error) error
	Leaves(list string) (leaves []uint64, rows int, err error)
	Setting(key string) ([]byte, error)
	PutSetting(key string, v []byte) error
	// Lookup gives what a list has of each pattern.
	Lookup(list string, patterns ...string) ([][]storage.Entry, error)
}

// Taker puts what other nodes say on this node's lists, having checked it; *desk.Desk is one.
type Taker interface {
	MergeRows(ctx context.Context, list string, rows []storage.Row, of storage.Foreign) (changed int, err error)
	// MergeList is MergeRows for very many, in the order of their patterns.
	MergeList(ctx context.Context, list string, rows iter.Seq2[storage.Row, error], of storage.Foreign) (changed int, err error)
}

// Options say which cluster, and as whom.
type Options struct {
	Name, Node  string // letters, digits, - and _
	Version     string // of the program
	Servers     []string
	Credentials string // a file of a user with a JWT and a key; "" for none
	NkeyFile    string
	User        string
	Password    string
	TLS         *tls.Config   // nil unless the servers' addresses say so
	Keep        time.Duration // how long this node may be away and still give its changes

	Store Store
	Taker Taker
	Facts Facts
	// Detectors are those that count calls now; nil for none.
	Detectors func() *detect.Set
	// Policy is shared with SharePolicy: that of the nodes in PolicyFrom.
	Policy      Policies
	SharePolicy bool
	PolicyFrom  []string
	// MaxChange is which share of a list nodes that are not in PolicyFrom may take off within an hour; Breadth is which share of a country's numbers a
	// pattern takes, 1 for a whole country. What is beyond waits for a person.
	MaxChange float64
	Breadth   func(list, pattern string) float64
	// Meets is how many lines, but for the one that a row of console.LineTable is of, have a number that it has; nil for none.
	Meets func(line *storage.Row) int
	// Pause is whether all calls pass: as the nodes in PolicyFrom have it.
	Pause Pauses
	// Awaited reports whether somebody here waits until what another node has gives way; nil for nobody.
	Awaited func() bool
	// Refused counts rows of other nodes that were not taken, those of them that are of a time to come, and says why the last ones were not.
	Refused func() (rows, early uint64, why string)
	// Self is what other nodes are told of this one: the policy's hash and since when it is in force, and why records of calls cannot be written.
	Self func() (policy string, loaded time.Time, journal string)
	// Calls answers another node's question for calls from this node's journal.
	Calls   func(ctx context.Context, query []byte) ([]byte, error)
	Numbers func() string // by what numbers are read here: nodes that read them otherwise do not compare
	Log     *slog.Logger
	Now     func() time.Time

	// Tests make these less.
	Beat    time.Duration // how often a node says that it is there; 1 s
	Compare time.Duration // how often nodes compare lists; 1 min
	Again   time.Duration // how long a node waits to connect anew when the client of NATS has given up; 10 s
	// MaxTold is how many rows of a change are told one by one. One of more is found by the others as they compare lists, which they are told to do. 200,000.
	MaxTold int
}

// Cluster is this node's part of a cluster. Run does its work.
type Cluster struct {
	o     Options
	begun time.Time // this run of the program

	link   atomic.Pointer[link]
	closed chan struct{} // the client of NATS has given up
	anew   chan struct{} // the connection is there again
	soon   chan struct{} // to compare before the minute is over
	asked  *places       // for questions that are answered
	looked *places       // and for those for calls, behind which somebody waits
	news   chan detect.News
	came   chan struct{} // a node that was not there
	counts counts

	summing  sync.Mutex     // held while a list is read to sum it
	beside   sync.WaitGroup // comparisons for which nobody waits
	mu       sync.Mutex
	peers    map[string]*peer
	pauses   map[string]time.Time // when the pauses of other nodes were made that were taken
	at       position             // in the stream
	level    bool                 // with the stream: all that nodes have told so far was taken, be it by an earlier run
	taking   bool                 // what was read of the stream is being written
	told     uint64               // the change up to which all are told
	noted    uint64               // the last of which it was noted which list it is of; who tells them alone looks at it
	stuck    bool                 // the servers are there, and take no changes
	stuckSum time.Time            // when lists were summed because of that
	own      uint64               // the last that was told of those made here, in this run
	summed   uint64               // what told was when the lists were last summed
	stale    bool                 // away for so long that nothing of here counts, until all was taken
	whole    bool                 // all was taken from a node that it goes by then
	heard    time.Time            // when its own word came back last
	alone    time.Time            // since when it does not; zero: it does
	trouble  string               // why
	server   string               // that the connection was made to last
	denied   time.Time            // when a server refused something last, or another node had this one's name
	noStore  bool                 // that was since it kept no changes
	said     map[string]time.Time // when the log told of a trouble
	joined   time.Time            // when it came back after it had not
	waits    int                  // changes that were not told yet
	counted  time.Time            // when they were counted
	sums     map[string]*sum      // of lists
	edits    map[string]uint64    // how often lists were changed, as far as it is known here
	large    map[string][]string  // of nodes, lists that they have changed so much that they are fetched, whatever they say of their sums
	underway map[string]bool      // nodes with which lists are being compared
	clamped  bool
	held     []*held // changes of other nodes that wait for a person, or did
	lastHeld int
	takers   map[takerOf]*taker
	judging
	noPolicy string // why the policy is not that of all nodes
	facts    []Fact // that wait to be told
}

// epoch tells this run of the program from others: when it began, in nanoseconds since 1970.
func (c *Cluster) epoch() int64 { return c.begun.UnixNano() }

// counts are messages that were not taken, by reason.
type counts struct{ garbled, foreign, refused, full atomic.Uint64 }

// position is how far this node has read the stream.
type position struct {
	Stream int64  `json:"stream"` // when it was made, in nanoseconds since 1970: a server that lost its store has another
	Seq    uint64 `json:"seq"`
}

const (
	maxNodes   = 64
	aloneAfter = 5 * time.Second
	saveEvery  = time.Second
	maxAsked   = 6 // questions that are answered at a time
	maxLooked  = 6 // and those for calls
	askedBy    = 2 // of one node
	lookedBy   = 3
)

// The settings in the database.
const (
	settingAt   = "cluster.position"
	settingTold = "cluster.told"
	settingSeen = "cluster.seen"
)

// New makes this node's part of a cluster. It connects when it runs.
func New(o Options) (*Cluster, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Beat == 0 {
		o.Beat = time.Second
	}
	if o.Compare == 0 {
		o.Compare = time.Minute
	}
	if o.Again == 0 {
		o.Again = 10 * time.Second
	}
	if o.MaxTold == 0 {
		o.MaxTold = 200_000
	}
	if o.Detectors == nil {
		o.Detectors = func() *detect.Set { return nil }
	}
	if o.Keep == 0 {
		o.Keep = 30 * 24 * time.Hour
	}
	c := &Cluster{
		o: o, begun: o.Now(), closed: make(chan struct{}, 1), anew: make(chan struct{}, 1), soon: make(chan struct{}, 1), asked: newPlaces(maxAsked, askedBy), looked: newPlaces(maxLooked, lookedBy), news: make(chan detect.News, maxNews), came: make(chan struct{}, 1),
		peers: make(map[string]*peer), said: make(map[string]time.Time), pauses: make(map[string]time.Time), takers: make(map[takerOf]*taker), sums: make(map[string]*sum), edits: make(map[string]uint64), large: make(map[string][]string), underway: make(map[string]bool), alone: o.Now(), trouble: "no server has answered yet",
	}
	return c, errors.Join(errEncoding, errDecoding, errDecodingCounts, c.resume(), c.loadHeld())
}

// resume reads what an earlier run has kept.
func (c *Cluster) resume() error {
	var seen time.Time
	for key, to := range map[string]any{settingAt: &c.at, settingTold: &c.told, settingSeen: &seen} {
		text, err := c.o.Store.Setting(key)
		if err != nil {
			return err
		}
		if text == nil {
			continue
		}
		if err := json.Unmarshal(text, to); err != nil {
			return fmt.Errorf("the setting %s of the database cannot be read: %w", key, err)
		}
	}
	told, err := c.o.Store.Setting(settingTold)
	if err != nil {
		return err
	}
	c.stale = !seen.IsZero() && c.o.Now().Sub(seen) > c.o.Keep
	if told == nil || c.stale { // what was here before it was part of a cluster is compared, not told
		err := c.o.Store.ChangesAfter(0, func(r storage.ChangeRecord) error { c.told = r.ID; return nil })
		if err != nil {
			return err
		}
	}
	if c.stale {
		c.o.Log.Warn("this node was away from its cluster for longer than the others remember what was taken off lists: it takes all lists from them, and gives nothing of its own", "since", seen, "keep", c.o.Keep)
	}
	return nil
}

// save keeps what the next run begins with.
func (c *Cluster) save() {
	c.mu.Lock()
	at, told, alone, stale := c.at, c.told, !c.alone.IsZero(), c.stale
	c.mu.Unlock()
	put := map[string]any{settingAt: at, settingTold: told}
	if !alone && !stale {
		put[settingSeen] = c.o.Now().UTC()
	}
	for key, v := range put {
		text, err := json.Marshal(v)
		if err == nil {
			err = c.o.Store.PutSetting(key, text)
		}
		if err != nil {
			c.o.Log.Error("how far the cluster was read cannot be kept: some of it is read again after a restart", "setting", key, "error", err)
			return
		}
	}
}

// Run is part of the cluster until ctx ends.
func (c *Cluster) Run(ctx context.Context) {
	if !c.connectAtLast(ctx) {
		return
	}
	var work sync.WaitGroup
	for _, part := range []func(context.Context){c.keepConnected, c.beat, c.tell, c.tellFacts, c.tellCounts, c.sharePolicy, c.take, c.compareAll, c.saveNowAndThen} {
		work.Go(func() { part(ctx) })
	}
	work.Wait()
	c.save()
	nc := c.nc()
	nc.SetClosedHandler(nil)
	nc.Close()
}

func (c *Cluster) saveNowAndThen(ctx context.Context) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	var at position
	var told uint64
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.mu.Lock()
		changed := c.at != at || c.told != told
		at, told = c.at, c.told
		c.mu.Unlock()
		if changed || c.o.Now().Sub(last) > time.Hour { // each save is a write to disk
			c.save()
			last = c.o.Now()
		}
	}
}

func (c *Cluster) subject(what, node string) string {
	return "ringfence." + c.o.Name + "." + what + "." + node
}

func (c *Cluster) streamName() string { return "RINGFENCE_" + c.o.Name }

// signal wakes who waits on a channel that has room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// wait waits, and is false when ctx ends.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
