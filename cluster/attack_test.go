package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

// These are one node with a real database, and what somebody says who signed in as another one, the node stolen.

// target is that node. It hears nobody by itself.
type target struct {
	*Cluster
	t     *testing.T
	db    *storage.DB
	now   time.Time
	log   bytes.Buffer
	puts  int // of what waits
	facts int
	took  []storage.Row
	fail  error
}

func (v *target) PutSetting(key string, b []byte) error {
	if key == settingHeld {
		v.puts++
	}
	return v.db.PutSetting(key, b)
}

// targetStore is a Store that counts writes.
type targetStore struct {
	*storage.DB
	v *target
}

func (s targetStore) PutSetting(key string, b []byte) error { return s.v.PutSetting(key, b) }

func (v *target) MergeRows(_ context.Context, list string, rows []storage.Row, of storage.Foreign) (int, error) {
	if v.fail != nil {
		return 0, v.fail
	}
	v.took = append(v.took, rows...)
	n, _, err := v.db.Merge(list, rows, of)
	return n, err
}

func (v *target) MergeList(_ context.Context, list string, rows iter.Seq2[storage.Row, error], of storage.Foreign) (int, error) {
	if v.fail != nil {
		for range rows { // it fails when all has come
		}
		return 0, v.fail
	}
	r, err := v.db.MergeMany(list, rows, of, nil)
	return r.Took, err
}

func newTarget(t *testing.T) *target {
	t.Helper()
	v := &target{t: t, now: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
	var err error
	v.db, err = storage.Open(filepath.Join(t.TempDir(), "ringfence.db"), storage.Options{Node: "a", Now: func() time.Time { return v.now }})
	must(t, err)
	t.Cleanup(func() { v.db.Close() })
	v.begin()
	return v
}

// begin is a run of the program.
func (v *target) begin() {
	v.t.Helper()
	var err error
	v.Cluster, err = New(Options{
		Name: "isp", Node: "a", Store: targetStore{v.db, v}, Taker: v, Numbers: func() string { return "2 CN" }, MaxChange: 0.3, Compare: time.Minute,
		Breadth: func(_, pattern string) float64 {
			if digits, open := strings.CutSuffix(pattern, "*"); open {
				digits = strings.TrimPrefix(strings.TrimPrefix(digits, "+86"), "+7")
				return math.Pow10(-len(digits))
			}
			return 0
		},
		Meets: func(line *storage.Row) int { return strings.Count(line.Reason, "another's") },
		Log:   slog.New(slog.NewTextHandler(&v.log, nil)), Now: func() time.Time { return v.now },
	})
	must(v.t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// has puts numbers on a list, as an import of this node.
func (v *target) has(list string, from, to int) {
	v.t.Helper()
	var es []storage.Entry
	for i := from; i < to; i++ {
		es = append(es, storage.Entry{Pattern: number(i).Pattern, Reason: "ours", Origin: storage.FromFeed, Source: "ours"})
	}
	_, _, err := v.db.Add(list, es)
	must(v.t, err)
}

// says has another node say rows, so many at a time.
func (v *target) says(node, list string, rows ...storage.Row) {
	v.t.Helper()
	for i := range rows {
		if rows[i].Stamp == (storage.Tick{}) {
			rows[i].Stamp = storage.Tick{Wall: v.now.UnixMilli(), Count: uint32(i + 1), Node: node}
		}
		if rows[i].Added == 0 && !rows[i].Gone {
			rows[i].Added, rows[i].Updated = v.now.UnixMilli(), v.now.UnixMilli()
		}
	}
	for len(rows) > 0 {
		n := min(len(rows), 1000)
		_, err := v.merge(v.t.Context(), list, rows[:n], storage.Foreign{Node: node, Time: v.now})
		must(v.t, err)
		rows = rows[n:]
	}
}

// ours is a row of an entry that has puts on lists.
func ours(i int, change func(*storage.Row)) storage.Row {
	r := storage.Row{Pattern: number(i).Pattern, Origin: storage.FromFeed, Source: "ours", Reason: "ours"}
	if change != nil {
		change(&r)
	}
	return r
}

func gone(r *storage.Row) { r.Gone, r.Reason = true, "" }

func many(from, to int, change func(*storage.Row)) (all []storage.Row) {
	for i := from; i < to; i++ {
		all = append(all, ours(i, change))
	}
	return all
}

// left is how many of the first entries of a list still count in a minute.
func (v *target) left(list string, n int) (left int) {
	v.t.Helper()
	for i := range n {
		found, err := v.db.Lookup(list, number(i).Pattern)
		must(v.t, err)
		for _, e := range found[0] {
			if e.Expires.IsZero() || e.Expires.After(v.now.Add(time.Minute)) {
				left++
				break
			}
		}
	}
	return left
}

func (v *target) held() (all []console.ClusterHeld) { return v.Report().Held }

// Whatever a node says that somebody has taken over, not more than the share comes off a list within an hour, in whatever disguise.
//
// long: because it is a table of disguises.
func TestNothingTakesOffMore(t *testing.T) {
	const n, most = 1000, 300
	for _, a := range []struct {
		what string
		list string
		say  func(v *target)
	}{
		{"one by one, each in a stamp of its own", "blacklist", func(v *target) {
			for i := range n {
				v.says("stolen", "blacklist", ours(i, gone))
			}
		}},
		{"in stamps of other nodes and other times", "blacklist", func(v *target) {
			for i := range n {
				v.says("stolen", "blacklist", ours(i, func(r *storage.Row) {
					gone(r)
					r.Stamp = storage.Tick{Wall: v.now.Add(time.Duration(i) * time.Minute).UnixMilli(), Node: "a"}
				}))
			}
		}},
		{"by words that have ended", "blacklist", func(v *target) {
			v.says("stolen", "blacklist", many(0, n, func(r *storage.Row) { r.Expires = v.now.Add(-time.Hour).UnixMilli() })...)
		}},
		{"by words that end soon", "blacklist", func(v *target) {
			v.says("stolen", "blacklist", many(0, n, func(r *storage.Row) { r.Expires = v.now.Add(time.Second).UnixMilli() })...)
		}},
		{"at once, with half of it counted twice and put back", "blacklist", func(v *target) {
			for i := range n {
				v.says("stolen", "blacklist", ours(i, gone), ours(i, func(r *storage.Row) { r.Reason = "theirs" }), ours(i, gone))
			}
		}},
		{"by the hour's end", "blacklist", func(v *target) {
			v.says("stolen", "blacklist", ours(0, gone))
			v.now = v.now.Add(58 * time.Minute)
			v.says("stolen", "blacklist", many(1, 300, gone)...)
			v.now = v.now.Add(4 * time.Minute)
			v.says("stolen", "blacklist", many(300, n, gone)...)
		}},
		{"by a list made long before", "blacklist", func(v *target) {
			v.says("stolen", "blacklist", many(n, 6*n, nil)...)
			v.now = v.now.Add(time.Hour)
			v.says("stolen", "blacklist", many(6*n, 11*n, nil)...)
			v.now = v.now.Add(2 * time.Hour)
			v.begin()
			v.says("stolen", "blacklist", many(0, n, gone)...)
		}},
		{"in the names of others that believe it", "blacklist", func(v *target) {
			for i, node := range []string{"stolen", "b", "c", "d"} {
				v.says(node, "blacklist", many(i*250, i*250+250, gone)...)
			}
		}},
		{"by so many sources that others give way", "blacklist", func(v *target) {
			for i := range n {
				var rows []storage.Row
				for k := range 40 {
					rows = append(rows, ours(i, func(r *storage.Row) {
						r.Source, r.Expires = fmt.Sprint("theirs ", k), v.now.Add(time.Second).UnixMilli()
					}))
				}
				v.says("stolen", "blacklist", rows...)
			}
		}},
		{"of an allowlist", "allowlist", func(v *target) { v.says("stolen", "allowlist", many(0, n, gone)...) }},
		{"very many at a time", "blacklist", func(v *target) {
			rows := func(yield func(storage.Row, error) bool) {
				for i := range n {
					r := ours(i, gone)
					r.Stamp = storage.Tick{Wall: v.now.UnixMilli(), Count: 5, Node: "stolen"}
					if !yield(r, nil) {
						return
					}
				}
			}
			_, err := v.mergeList(t.Context(), "blacklist", rows, storage.Foreign{Node: "stolen", Time: v.now})
			must(t, err)
		}},
		{"before anybody has said it", "blacklist", func(v *target) {
			for i := n; i < 2*n; i++ {
				v.says("stolen", "blacklist", ours(i, func(r *storage.Row) {
					gone(r)
					r.Stamp = storage.Tick{Wall: v.now.Add(20 * time.Hour).UnixMilli(), Node: "stolen"}
				}))
			}
			v.says("b", "blacklist", many(n, 2*n, nil)...)
		}},
	} {
		t.Run(a.what, func(t *testing.T) {
			v := newTarget(t)
			v.has(a.list, 0, n)
			v.begin()
			v.now = v.now.Add(time.Minute)
			v.t = t
			a.say(v)
			want := n - most
			if strings.HasPrefix(a.what, "before") {
				want += n
			}
			if left := v.left(a.list, 2*n); left < want {
				t.Errorf("%d entries are left; at least %d should", left, want)
			}
			if len(v.held()) == 0 {
				t.Error("nothing waits")
			}
		})
	}
}

// What changes nothing, or takes off what does not count any more, neither waits nor counts.
func TestWhatMayBeSaid(t *testing.T) {
	v := newTarget(t)
	v.has("blacklist", 0, 1000)
	v.begin()
	old := many(0, 1000, gone)
	for i := range old {
		old[i].Stamp = storage.Tick{Wall: 5, Node: "b"}
	}
	v.now = v.now.Add(time.Minute)
	v.says("b", "blacklist", old...)                                                                                                      // of before
	v.says("b", "blacklist", many(5000, 6000, gone)...)                                                                                   // of what nobody has
	v.says("b", "blacklist", many(0, 1000, func(r *storage.Row) { r.Source = "b's"; gone(r) })...)                                        // of another source
	v.says("b", "blacklist", many(2000, 3000, func(r *storage.Row) { r.Source, r.Expires = "b's", v.now.Add(time.Hour).UnixMilli() })...) // new ones
	v.now = v.now.Add(2 * time.Hour)
	v.says("b", "blacklist", many(2000, 3000, func(r *storage.Row) { r.Source = "b's"; gone(r) })...) // that have ended
	v.says("b", "blacklist", many(0, 300, gone)...)
	if h := v.held(); len(h) != 0 {
		t.Errorf("%+v", h)
	}
	if left := v.left("blacklist", 1000); left != 700 {
		t.Errorf("%d entries are left", left)
	}
	v.says("b", "blacklist", ours(300, gone))
	if h := v.held(); len(h) != 1 || h[0].Entries != 1 {
		t.Errorf("%+v", h)
	}
}

// A country is let in by its name alone.
func TestTakenCountry(t *testing.T) {
	v := newTarget(t)
	say := func(pattern string) {
		v.says("stolen", "blacklist", storage.Row{Pattern: pattern, Reason: "all", Stamp: storage.Tick{Wall: 1, Node: "stolen"}})
	}
	say("+86*")
	if h := v.held(); len(h) != 1 || !strings.Contains(h[0].Why, `"+86*"`) {
		t.Fatalf("%+v", h)
	}
	v.now = v.now.Add(2 * time.Minute)
	must(t, v.DecideHeld(t.Context(), v.held()[0].ID, true))
	say("+7*")
	say("+86*")
	found, err := v.db.Lookup("blacklist", "+86*", "+7*")
	must(t, err)
	if len(found[0]) != 1 || len(found[1]) != 0 || len(v.held()) != 1 {
		t.Errorf("%+v, %+v", found, v.held())
	}
	for i := range 100 { // nor does a node fill what is kept, or what an honest one waits in
		v.says("stolen", fmt.Sprint("list", i), storage.Row{Pattern: "+86*", Reason: "all"})
	}
	v.says("b", "blacklist", storage.Row{Pattern: "+7*", Reason: "all"})
	if h := v.held(); len(h) != maxHeldOf+1 || h[maxHeldOf].Node != "b" {
		t.Errorf("%d wait", len(h))
	}
}

// A country is not stopped by parts of it either, and who takes them knows which.
func TestPartsOfACountry(t *testing.T) {
	v := newTarget(t)
	say := func(node string, patterns ...string) {
		var rows []storage.Row
		for _, pattern := range patterns {
			rows = append(rows, storage.Row{Pattern: pattern, Reason: "much", Stamp: storage.Tick{Wall: 1, Node: node}})
		}
		v.says(node, "blacklist", rows...)
	}
	has := func() (n int) {
		must(t, v.db.Entries("blacklist", func(storage.Entry) error { n++; return nil }))
		return n
	}
	var all []string
	for i := range 90 {
		all = append(all, fmt.Sprintf("+86%d*", 10+i))
	}
	for i, pattern := range all {
		say([]string{"stolen", "b"}[i%2], pattern)
	}
	v.now = v.now.Add(2 * time.Minute)
	if n := has(); n != 2 {
		t.Errorf("%d parts are on the list", n)
	}
	h := v.held()
	if len(h) != 2 || h[0].Entries < 20 || len(h[0].Why) > 400 || !strings.Contains(h[0].Why, `"+8612*", "+8614*", `) {
		t.Fatalf("%+v", h)
	}
	must(t, v.DecideHeld(t.Context(), h[0].ID, true))
	for range 2 {
		say("stolen", all...)
	}
	if n := has(); n != 2+h[0].Entries {
		t.Errorf("%d parts are on the list, of %d", n, h[0].Entries)
	}
	v.now = v.now.Add(27 * time.Hour)
	say("c", "+8699*")
	if n := has(); n != 3+h[0].Entries {
		t.Errorf("%d parts are on the list the next day", n)
	}
}

// Lines may be taken away, changed and robbed of their numbers no faster than entries.
func TestLinesAreNoWayRound(t *testing.T) {
	for what, change := range map[string]func(*storage.Row){
		"taken away": gone,
		"changed":    func(r *storage.Row) { r.Reason = `{"mode":"off"}` },
		"robbed":     func(r *storage.Row) { r.Pattern, r.Reason = "new"+r.Pattern, `{"numbers":"another's"}` },
	} {
		t.Run(what, func(t *testing.T) {
			v := newTarget(t)
			line := func(change func(*storage.Row)) func(*storage.Row) {
				return func(r *storage.Row) {
					r.Origin, r.Source, r.Reason = storage.FromPerson, "", `{"mode":"on"}`
					if change != nil {
						change(r)
					}
				}
			}
			_, _, err := v.db.Merge(console.LineTable, stamped(many(0, 400, line(nil))), storage.Foreign{Node: "b", Time: v.now})
			must(t, err)
			v.begin()
			v.took = nil
			v.says("stolen", console.LineTable, many(0, 400, line(change))...)
			if len(v.took) > 120 {
				t.Errorf("%d of 400 lines were %s", len(v.took), what)
			}
			if h := v.held(); len(h) != 1 || h[0].Entries < 280 {
				t.Errorf("%+v", h)
			}
		})
	}
}

func stamped(rows []storage.Row) []storage.Row {
	for i := range rows {
		rows[i].Stamp, rows[i].Added, rows[i].Updated = storage.Tick{Wall: 1, Node: "b"}, 1, 1
	}
	return rows
}

func (v *target) TakeFacts(_ string, facts []Fact) int {
	v.facts += len(facts)
	return 0
}

func (v *target) FactsSince(time.Time, func([]Fact) error) error { return nil }

// A node cannot have all calls pass by saying that all lines have dialled an emergency number.
func TestFewAreCalledBack(t *testing.T) {
	v := newTarget(t)
	v.o.Facts, v.o.PolicyFrom = v, []string{"b"}
	say := func(node string, from, to int) int {
		var facts []Fact
		for i := from; i < to; i++ {
			facts = append(facts, Fact{Table: TableEmergency, Key: fmt.Append(nil, i), At: v.now.UnixMilli() + int64(i)})
		}
		text, err := json.Marshal(facts)
		must(t, err)
		v.facts = 0
		if !v.takeFacts(node, text) {
			t.Fatal("it cannot be read")
		}
		return v.facts
	}
	for _, c := range []struct {
		what     string
		node     string
		from, to int
		want     int
	}{
		{"of many", "stolen", 0, 900, maxCallbacksOf},
		{"of those again", "stolen", 100, 500, 100},
		{"by another one, which heard of them", "c", 0, 300, 300},
		{"by one of policy_from", "b", 1000, 1900, 900},
	} {
		if got := say(c.node, c.from, c.to); got != c.want {
			t.Errorf("%s: %d were taken, want %d", c.what, got, c.want)
		}
	}
	for i := range 20 {
		say(fmt.Sprint("n", i), 10_000+i*1000, 10_900+i*1000)
	}
	if n := len(v.callbacks); n != maxCallbacks {
		t.Errorf("%d are kept", n)
	}
	v.now = v.now.Add(31 * time.Minute)
	if got := say("stolen", 5000, 5100); got != 100 || len(v.callbacks) != 100 {
		t.Errorf("%d of the next half hour, %d kept", got, len(v.callbacks))
	}
}
