package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"time"

	"ringfence/storage"
)

const (
	// manyLeaves is how many leaves differ where it is taken for a new node, or one that was away for long: then the list is built anew, as an import does.
	manyLeaves = storage.LeafCount / 8
	// fewRows are so many that they need not be taken all at once.
	fewRows     = 10 * pageRows
	compareWait = 10 * time.Minute // for all of a list
)

// compareList takes what a node has on a list, where that differs. all is the sum of its leaves.
func (c *Cluster) compareList(ctx context.Context, node, list string, all uint64) (differed bool, changed int, err error) {
	ctx, cancel := context.WithTimeout(ctx, compareWait)
	defer cancel()
	wanted, n, err := c.wanted(ctx, node, list, all)
	if err != nil || n == 0 {
		return false, 0, err
	}
	of := storage.Foreign{Node: node, Time: c.o.Now()}
	some := false
	rows := c.rowsOf(ctx, node, question{What: askRows, List: list, Leaves: wanted}, &some)
	var came *names
	if c.isStale() && c.goesBy(node) {
		came = &names{seed: maphash.MakeSeed()}
		rows = came.noting(rows)
	}
	if n >= manyLeaves {
		changed, err = c.mergeMany(ctx, list, rows, of)
	} else {
		changed, err = c.mergePages(ctx, list, rows, of)
	}
	if err == nil && came != nil {
		err = c.giveUp(ctx, list, wanted, came, of)
	}
	if changed > 0 {
		c.changed(list)
	}
	if err == nil && changed > 0 {
		c.o.Log.Info("what another node has on a list was taken", "from", node, "list", list, "records", changed, "leaves", n)
	}
	return n < storage.LeafCount || some, changed, err
}

// wanted are the leaves of a list in which another node has other rows than this one, a bit each, and how many. Where this node has nothing of a list it
// wants all, and need not know which there are.
func (c *Cluster) wanted(ctx context.Context, node, list string, all uint64) (leaves []byte, n int, err error) {
	leaves = make([]byte, storage.LeafCount/8)
	ours, err := c.sum(list, true)
	if err != nil {
		return nil, 0, err
	}
	if ours.all == 0 {
		if all == 0 {
			return leaves, 0, nil
		}
		for i := range leaves {
			leaves[i] = 0xff
		}
		return leaves, storage.LeafCount, nil
	}
	var theirs []uint64
	err = c.ask(ctx, node, question{What: askLeaves, List: list}, func(_ head, body []byte) error {
		for len(body) >= 8 && len(theirs) < storage.LeafCount {
			theirs, body = append(theirs, binary.BigEndian.Uint64(body)), body[8:]
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	if len(theirs) != storage.LeafCount {
		return nil, 0, errGarbled
	}
	for i := range theirs {
		if theirs[i] != ours.leaves[i] {
			leaves[i/8] |= 1 << (i % 8)
			n++
		}
	}
	return leaves, n, nil
}

// mergePages takes rows as they come.
func (c *Cluster) mergePages(ctx context.Context, list string, rows iter.Seq2[storage.Row, error], of storage.Foreign) (changed int, err error) {
	var page []storage.Row
	take := func() error {
		n, err := c.merge(ctx, list, page, of)
		changed, page = changed+n, page[:0]
		return err
	}
	for r, err := range rows {
		if err != nil {
			return changed, err
		}
		if page = append(page, r); len(page) == pageRows {
			if err := take(); err != nil {
				return changed, err
			}
		}
	}
	return changed, take()
}

// mergeMany takes rows of which there may be any number: very many all at once, as an import does, beside which there can be no other.
func (c *Cluster) mergeMany(ctx context.Context, list string, rows iter.Seq2[storage.Row, error], of storage.Foreign) (changed int, err error) {
	next, stop := iter.Pull2(rows)
	defer stop()
	var first []storage.Row
	for len(first) < fewRows {
		r, err, more := next()
		if err != nil {
			return 0, err
		}
		if !more {
			return c.mergePages(ctx, list, each(first), of)
		}
		first = append(first, r)
	}
	return c.mergeList(ctx, list, func(yield func(storage.Row, error) bool) {
		for _, r := range first {
			if !yield(r, nil) {
				return
			}
		}
		for r, err, more := next(); more && yield(r, err); r, err, more = next() {
		}
	}, of)
}

// each is rows one by one.
func each(rows []storage.Row) iter.Seq2[storage.Row, error] {
	return func(yield func(storage.Row, error) bool) {
		for i := range rows {
			if !yield(rows[i], nil) {
				return
			}
		}
	}
}

// named tells rows of one list apart.
type named struct {
	pattern, source string
	origin          storage.Origin
}

// nameOfRow names what a row is of: persons are one source, and so are reports, whatever they write as theirs.
func nameOfRow(r *storage.Row) named {
	if r.Origin == storage.FromPerson || r.Origin == storage.FromReport {
		return named{pattern: r.Pattern, origin: r.Origin}
	}
	return named{r.Pattern, r.Source, r.Origin}
}

// names are those of rows that came, of each a hash: there may be ten million.
type names struct {
	seed   maphash.Seed
	hashes []uint64
	sorted bool
}

// noting passes rows on, and notes which came.
func (n *names) noting(rows iter.Seq2[storage.Row, error]) iter.Seq2[storage.Row, error] {
	return func(yield func(storage.Row, error) bool) {
		for r, err := range rows {
			if err == nil {
				n.hashes = append(n.hashes, maphash.Comparable(n.seed, nameOfRow(&r)))
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// has reports whether a row came, when all have.
func (n *names) has(r *storage.Row) bool {
	if !n.sorted {
		slices.Sort(n.hashes)
		n.sorted = true
	}
	_, found := slices.BinarySearch(n.hashes, maphash.Comparable(n.seed, nameOfRow(r)))
	return found
}

// giveUp takes off what this node has on some leaves of a list and the others have not, where it was away for so long that nobody knows any more whether
// that was taken off. What was said since this run began stays.
func (c *Cluster) giveUp(ctx context.Context, list string, leaves []byte, came *names, of storage.Foreign) error {
	var gone []storage.Row
	changed := 0
	take := func() error {
		n, err := c.o.Taker.MergeRows(ctx, list, gone, of) // this node takes it off, not the other: nobody has to be asked, however much it is
		changed, gone = changed+n, gone[:0]
		return err
	}
	err := c.o.Store.ListRows(list, wanting(leaves), func(rows []storage.Row) error {
		for i := range rows {
			r := &rows[i]
			if r.Gone || r.Stamp.Wall >= c.begun.UnixMilli() || came.has(r) {
				continue
			}
			stamp := r.Stamp // just later than what it says: whoever has said more since is right
			stamp.Count++
			gone = append(gone, storage.Row{Pattern: r.Pattern, Origin: r.Origin, Source: r.Source, Gone: true, Stamp: stamp})
			if len(gone) == pageRows {
				if err := take(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if errors.Is(err, storage.ErrNoList) {
		err = nil
	}
	if err == nil && len(gone) > 0 {
		err = take()
	}
	if changed > 0 {
		c.changed(list)
		c.o.Log.Warn("what no other node has was taken off a list", "list", list, "records", changed)
	}
	return err
}

// wanting reports of each leaf whether its bit is set.
func wanting(leaves []byte) func(leaf int) bool {
	return func(leaf int) bool { return leaves[leaf/8]&(1<<(leaf%8)) != 0 }
}

// rowsOf are the rows that a node answers with, read beside who takes them, and some whether there were any.
func (c *Cluster) rowsOf(ctx context.Context, node string, q question, some *bool) iter.Seq2[storage.Row, error] {
	return storage.Ahead(func(yield func(storage.Row, error) bool) {
		ctx, cancel := c.givingWay(ctx)
		defer cancel()
		stopped := errors.New("enough")
		err := c.ask(ctx, node, q, func(h head, body []byte) error {
			rows, err := c.rowsIn(body)
			if err != nil {
				return err
			}
			*some = *some || len(rows) > 0
			for i := range rows {
				if !yield(rows[i], nil) {
					return stopped
				}
			}
			return nil
		})
		if err != nil && err != stopped {
			if cause := context.Cause(ctx); errors.Is(cause, storage.ErrBusy) {
				err = cause
			}
			yield(storage.Row{}, err)
		}
	})
}

// givingWay is ctx until somebody here waits for what another node has to give way, which may send nothing for as long as it likes: it ends then.
func (c *Cluster) givingWay(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	cancel := func() { end(nil) }
	if c.o.Awaited == nil {
		return ctx, cancel
	}
	go func() {
		for wait(ctx, pieceLook) {
			if c.o.Awaited() {
				end(fmt.Errorf("what is imported or undone here goes first: %w", storage.ErrBusy))
			}
		}
	}()
	return ctx, cancel
}
