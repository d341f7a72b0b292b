package desk

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/storage"
)

// otherNodes are desks of other nodes that are asked without a network.
type otherNodes struct {
	Cluster // asked for nothing else
	desks   map[string]*running
	silent  []string
	spoilt  bool
}

func (o *otherNodes) Calls(ctx context.Context, query []byte) (map[string][]byte, []string) {
	answers := map[string][]byte{}
	for name, d := range o.desks {
		answer, err := d.CallsHere(ctx, query)
		if err != nil {
			panic(err)
		}
		if answers[name] = answer; o.spoilt {
			answers[name] = answer[:len(answer)/2]
		}
	}
	return answers, slices.Clone(o.silent)
}

// Of calls of three nodes each comes once, in order, whatever the size of a page and whoever has how many.
func TestCallsOfAllNodes(t *testing.T) {
	desks := map[string]*running{}
	var want []string
	random := rand.New(rand.NewPCG(1, 2))
	for i, calls := range []int{40, 3, 25, 0} {
		d := callsDesk(t)
		for range calls {
			r := pastCall(0, "+8695211613", staffNumber, "staff", "allow", random.Float64()*3600)
			r.ID, r.Node = storage.NewID(r.Time), fmt.Sprint("pbx", i)
			if random.IntN(3) > 0 {
				r.Rule = "rare"
				want = append(want, r.ID)
			}
			d.journal.Add(r)
		}
		desks[fmt.Sprint("pbx", i)] = d
	}
	here := desks["pbx0"]
	delete(desks, "pbx0")
	others := &otherNodes{desks: desks, silent: []string{"pbx9"}}
	here.o.Cluster = others
	slices.Sort(want)
	for _, limit := range []int{1, 2, 7, 100} {
		for _, newest := range []bool{false, true} {
			q := console.SearchQuery{Query: console.Query{Rule: "rare", Limit: limit, Newest: newest}}
			var got []string
			for pages := 0; pages < 200; pages++ {
				page, err := here.Search(t.Context(), q)
				if err != nil || !slices.Equal(page.Silent, []string{"pbx9"}) || len(page.Records) > limit {
					t.Fatalf("%+v, %v", page, err)
				}
				for i := range page.Records {
					got = append(got, page.Records[i].ID)
				}
				if q.Cursor = page.Cursor; page.Done {
					break
				}
			}
			if newest {
				slices.Reverse(got)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d a page, newest first %v: %d calls of %d", limit, newest, len(got), len(want))
			}
		}
	}
	page, err := here.Search(t.Context(), console.SearchQuery{Here: true})
	if err != nil || len(page.Records) != 40 || page.Silent != nil {
		t.Errorf("this node alone: %d, %v", len(page.Records), err)
	}
	others.spoilt = true
	page, err = here.Search(t.Context(), console.SearchQuery{})
	if err != nil || len(page.Records) != 40 || !slices.Equal(page.Silent, []string{"pbx1", "pbx2", "pbx3", "pbx9"}) {
		t.Errorf("answers that cannot be read: %d, %q, %v", len(page.Records), page.Silent, err)
	}
}

// What a page does not reach as one node had no time is not left out: the next page has it.
func TestPagesOfUnequalReach(t *testing.T) {
	id := func(second int) string { return storage.NewID(time.Unix(1_800_000_000+int64(second), 0)) }
	ids := make([]string, 10)
	for i := range ids {
		ids[i] = id(i)
	}
	record := func(i int) console.Record { return console.Record{ID: ids[i]} }
	full := &console.SearchPage{Records: []console.Record{record(9), record(5), record(1)}, Done: true}
	slow := &console.SearchPage{Records: []console.Record{record(8)}, Cursor: ids[4], Through: time.Unix(1, 0)}
	q := &console.SearchQuery{Query: console.Query{Newest: true, Limit: 50}}
	got := mergePages(q, []*console.SearchPage{full, slow})
	if len(got.Records) != 3 || got.Records[2].ID != ids[5] || got.Cursor != ids[4] || got.Done || got.Through.IsZero() {
		t.Errorf("%+v", got)
	}
	got = mergePages(q, []*console.SearchPage{full, {Records: nil}})
	if len(got.Records) != 0 || got.Done || got.Cursor != "" {
		t.Errorf("one that had no time at all: %+v", got)
	}
}
