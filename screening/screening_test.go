package screening

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"ringfence/detect"
	"ringfence/inforce"
	"ringfence/lists"
	"ringfence/policy"
	"ringfence/storage"
	"ringfence/traffic"
)

// records is a Journal that keeps what it is told.
type records struct {
	added, amended []storage.Record
	outcomes       map[string]storage.Outcome
}

func (r *records) Add(rec storage.Record) bool   { r.added = append(r.added, rec); return true }
func (r *records) Amend(rec storage.Record) bool { r.amended = append(r.amended, rec); return true }
func (r *records) Outcome(id string, o storage.Outcome) bool {
	if r.outcomes == nil {
		r.outcomes = make(map[string]storage.Outcome)
	}
	r.outcomes[id] = o
	return true
}

// all are the records as they stand: an amended one in the place of the first, with its outcome.
func (r *records) all() []storage.Record {
	all := slices.Clone(r.added)
	for i := range all {
		for _, rec := range r.amended {
			if rec.ID == all[i].ID {
				all[i] = rec
			}
		}
		if o, ok := r.outcomes[all[i].ID]; ok {
			all[i].Outcome = &o
		}
	}
	return all
}

// screenerOf is a Screener with a policy and no lists.
func screenerOf(t testing.TB, text string) (*Screener, *records) {
	t.Helper()
	p, faults := policy.Load("policy.toml", []byte(text))
	if p == nil {
		t.Fatal(faults)
	}
	force := &inforce.State{}
	force.SetRules(&inforce.Rules{Policy: p, Lists: lists.New(), Loaded: time.Now(), Detectors: detect.New(p.Detectors(), detect.Options{Zone: p.Zone()})})
	j := &records{}
	return New(force, traffic.New(nil), Options{Node: "n1", Attached: true, Journal: j, Log: slog.New(slog.DiscardHandler)}), j
}
