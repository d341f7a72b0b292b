package cluster

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"ringfence/storage"
)

// kept is a node's lists in plain maps: a Store and a Taker that knows nothing of the real ones.
type kept struct {
	mu       sync.Mutex
	node     string
	clock    storage.Tick
	wall     func() time.Time
	lists    map[string]map[string]storage.Row
	changes  []storage.ChangeRecord
	rows     map[uint64][]storage.Row
	settings map[string][]byte
	facts    map[string]int64
	merged   int           // calls of MergeRows and MergeList that changed something
	many     int           // calls of MergeList
	sums     time.Duration // how long it takes to sum a list, or to read it
	read     int           // calls of ListRows
}

func newKept(node string) *kept {
	return &kept{node: node, wall: time.Now, lists: map[string]map[string]storage.Row{}, rows: map[uint64][]storage.Row{}, settings: map[string][]byte{}, facts: map[string]int64{}}
}

func nameOf(r *storage.Row) string { return fmt.Sprint(r.Pattern, "|", r.Origin, "|", r.Source) }

// edit is what a person says: gone is that it is taken away.
func (k *kept) edit(list string, rows ...storage.Row) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := k.wall().UnixMilli(); now > k.clock.Wall {
		k.clock = storage.Tick{Wall: now}
	} else {
		k.clock.Count++
	}
	k.clock.Node = k.node
	r := storage.ChangeRecord{ID: uint64(len(k.changes) + 1), Time: k.wall(), Kind: storage.KindAdd, List: list, Rows: len(rows)}
	for i := range rows {
		rows[i].Stamp = k.clock
		k.put(list, rows[i])
	}
	k.changes, k.rows[r.ID] = append(k.changes, r), rows
}

func (k *kept) put(list string, r storage.Row) {
	if k.lists[list] == nil {
		k.lists[list] = map[string]storage.Row{}
	}
	k.lists[list][nameOf(&r)] = r
}

func (k *kept) MergeRows(_ context.Context, list string, rows []storage.Row, of storage.Foreign) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, r := range rows {
		was, there := k.lists[list][nameOf(&r)]
		if there && was.Stamp.Compare(r.Stamp) >= 0 {
			continue
		}
		n++
		k.put(list, r)
		if r.Stamp.Compare(k.clock) > 0 {
			k.clock = r.Stamp
		}
	}
	if n > 0 {
		k.merged++
		k.changes = append(k.changes, storage.ChangeRecord{ID: uint64(len(k.changes) + 1), List: list, Node: of.Node, Of: of.ID, Kind: of.Kind, Rows: n})
	}
	return n, nil
}

func (k *kept) MergeList(ctx context.Context, list string, rows iter.Seq2[storage.Row, error], of storage.Foreign) (int, error) {
	var all []storage.Row
	for r, err := range rows {
		if err != nil {
			return 0, err
		}
		all = append(all, r)
	}
	k.mu.Lock()
	k.many++
	k.mu.Unlock()
	return k.MergeRows(ctx, list, all, of)
}

func (k *kept) Lookup(list string, patterns ...string) ([][]storage.Entry, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	of := map[string][]storage.Entry{}
	for _, r := range k.lists[list] {
		if !r.Gone {
			e := storage.Entry{Pattern: r.Pattern, Origin: r.Origin, Source: r.Source, Reason: r.Reason, Who: r.Who, Stamp: r.Stamp}
			if r.Expires != 0 {
				e.Expires = time.UnixMilli(r.Expires)
			}
			of[r.Pattern] = append(of[r.Pattern], e)
		}
	}
	found := make([][]storage.Entry, len(patterns))
	for i, pattern := range patterns {
		found[i] = of[pattern]
	}
	return found, nil
}

func (k *kept) Lists() (infos []storage.ListInfo, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name := range k.lists {
		n := 0
		for _, r := range k.lists[name] {
			if !r.Gone {
				n++
			}
		}
		infos = append(infos, storage.ListInfo{Name: name, Entries: n})
	}
	return infos, nil
}

func (k *kept) ChangesAfter(id uint64, yield func(storage.ChangeRecord) error) error {
	k.mu.Lock()
	rest := slices.Clone(k.changes[min(int(id), len(k.changes)):])
	k.mu.Unlock()
	for _, r := range rest {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

func (k *kept) ChangeRows(id uint64, yield func([]storage.Row) error) error {
	k.mu.Lock()
	rows := k.rows[id]
	k.mu.Unlock()
	for page := range slices.Chunk(rows, 7) {
		if err := yield(page); err != nil {
			return err
		}
	}
	return nil
}

func leafOf(pattern string) int {
	h := fnv.New32a()
	h.Write([]byte(pattern))
	return int(h.Sum32() % storage.LeafCount)
}

func (k *kept) all(list string) []storage.Row {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.SortedFunc(maps.Values(k.lists[list]), func(a, b storage.Row) int { return cmp.Compare(nameOf(&a), nameOf(&b)) })
}

func (k *kept) ListRows(list string, want func(int) bool, yield func([]storage.Row) error) error {
	k.mu.Lock()
	k.read++
	sums := k.sums
	k.mu.Unlock()
	time.Sleep(sums)
	for _, r := range k.all(list) {
		if want == nil || want(leafOf(r.Pattern)) {
			if err := yield([]storage.Row{r}); err != nil {
				return err
			}
		}
	}
	return nil
}

// slow has lists take so long to be summed or read.
func (k *kept) slow(sums time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sums = sums
}

func (k *kept) Leaves(list string) ([]uint64, int, error) {
	k.mu.Lock()
	sums := k.sums
	k.mu.Unlock()
	time.Sleep(sums)
	leaves := make([]uint64, storage.LeafCount)
	for _, r := range k.all(list) {
		if !r.Gone {
			h := fnv.New64a()
			fmt.Fprint(h, nameOf(&r), r.Stamp)
			leaves[leafOf(r.Pattern)] ^= h.Sum64()
		}
	}
	return leaves, 0, nil
}

func (k *kept) FactsSince(since time.Time, yield func([]Fact) error) error {
	k.mu.Lock()
	var facts []Fact
	for key, at := range k.facts {
		if at >= since.UnixMilli() {
			facts = append(facts, Fact{Table: "known", Key: []byte(key), At: at})
		}
	}
	k.mu.Unlock()
	for page := range slices.Chunk(facts, 3) {
		if err := yield(page); err != nil {
			return err
		}
	}
	return nil
}

func (k *kept) TakeFacts(_ string, facts []Fact) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range facts {
		k.facts[string(f.Key)] = max(k.facts[string(f.Key)], f.At)
	}
	return 0
}

// learn is what a call has taught, told at once or not.
func (m *member) learn(key string, at time.Time, tell bool) {
	k := m.kept
	k.TakeFacts("", []Fact{{Table: "known", Key: []byte(key), At: at.UnixMilli()}})
	if tell {
		m.Learnt([]Fact{{Table: "known", Key: []byte(key), At: at.UnixMilli()}})
	}
}

func (k *kept) Setting(key string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.settings[key], nil
}

func (k *kept) PutSetting(key string, v []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.settings[key] = slices.Clone(v)
	return nil
}

// state is what the live rows of all lists are, for a comparison.
func (k *kept) state() string {
	k.mu.Lock()
	names := slices.Sorted(maps.Keys(k.lists))
	k.mu.Unlock()
	k.mu.Lock()
	text := fmt.Sprintln(k.facts)
	k.mu.Unlock()
	for _, name := range names {
		for _, r := range k.all(name) {
			if !r.Gone {
				text += fmt.Sprintln(name, nameOf(&r), r.Stamp, r.Reason)
			}
		}
	}
	return text
}

// member is a node that runs.
type member struct {
	*Cluster
	kept *kept
	stop func()
}

func join(t testing.TB, url string, k *kept, change func(*Options)) *member {
	t.Helper()
	o := Options{
		Name: "isp", Node: k.node, Version: "test", Servers: []string{url}, Store: k, Taker: k, Facts: k, Numbers: func() string { return "2 CN" },
		Log: slog.New(slog.DiscardHandler), Beat: 50 * time.Millisecond, Compare: 500 * time.Millisecond,
	}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	m := &member{c, k, sync.OnceFunc(func() { cancel(); <-done })}
	t.Cleanup(m.stop)
	return m
}

func number(i int) storage.Row {
	return storage.Row{Pattern: fmt.Sprintf("+86952%06d", i), Reason: fmt.Sprint("r", i)}
}

// level waits until all have the same.
func level(t testing.TB, what string, all ...*member) {
	t.Helper()
	begun := time.Now()
	defer func() { t.Log(what, time.Since(begun)) }()
	eventually(t, what, func() bool {
		for _, m := range all[1:] {
			if m.kept.state() != all[0].kept.state() {
				return false
			}
		}
		return true
	})
}
