package console

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Detector is one of the policy's detectors, and how it stands.
type Detector struct {
	Name     string  `json:"name"`
	Key      string  `json:"key"`    // caller, prefix, holder, trunk, callee or all
	Counts   string  `json:"counts"` // strangers; or weights: first_time 1, decoys 3
	Window   string  `json:"window"` // 3h
	Trips    string  `json:"trips"`  // at what: "5 of 6 digits, 4 of 8 digits", "20", "50% of 20 or more", "8 times the usual, 8 or more"
	Hold     string  `json:"hold"`   // 24h, up to 7d
	MaxShare float64 `json:"max_share"`
	Mode     string  `json:"mode"`    // enforce or observe
	Tripped  int     `json:"tripped"` // breakers that hold now
	Probing  int     `json:"probing"`
	Pinned   int     `json:"pinned"`
	Counted  int     `json:"counted"` // keys that count something now
}

// Breaker is what a detector has of one key on one trunk.
type Breaker struct {
	Detector string    `json:"detector,omitempty"` // "" within a Finding, which has its name
	Trunk    string    `json:"trunk,omitempty"`
	Key      string    `json:"key"`            // 952116, +8613800138000, firm A, all; of a private installation a caller's number is a token
	State    string    `json:"state"`          // closed, tripped or probing
	Since    time.Time `json:"since,omitzero"` // of the state
	Until    time.Time `json:"until,omitzero"` // when a tripped one begins to probe
	HoldS    float64   `json:"hold_s,omitempty"`
	Trips    int       `json:"trips,omitempty"`
	Why      string    `json:"why,omitempty"`    // what it tripped by: "7 strangers in 3h, trips at 5"
	Pinned   string    `json:"pinned,omitempty"` // open: a person holds it tripped; shut: closed
	By       string    `json:"by,omitempty"`     // who
	Holder   string    `json:"holder,omitempty"` // of the range
	Trial    string    `json:"trial,omitempty"`  // why it only records: "on trial", "over max_share"

	Node      string      `json:"node,omitempty"`      // of a cluster, where it tripped or was pinned; "" here
	Count     int         `json:"count"`               // now, within the window
	Here      int         `json:"here,omitempty"`      // of that, where other nodes count of the key as well
	Elsewhere []NodeCount `json:"elsewhere,omitempty"` // and what they do
	Trip      int         `json:"trip"`                // at which it trips now; 0 where a surge has no habit to go by
	Touched   uint64      `json:"touched,omitempty"`   // calls that a rule did something to by it
	Would     uint64      `json:"would,omitempty"`     // and would have, had it not been on trial or over max_share
}

// NodeCount is what another node of a cluster counts of a key.
type NodeCount struct {
	Node  string `json:"node"`
	Count int    `json:"count"`
}

// Finding is what one detector has to say of a call.
type Finding struct {
	Name string `json:"name"` // the detector's
	Breaker
	Protected bool   `json:"protected,omitempty"` // its caller is neither counted nor touched
	Text      string `json:"text"`                // in one line: "range wakes: 952116 closed, 3 strangers in 3h, trips at 5"
}

// DetectorsStatus is how the detectors stand.
type DetectorsStatus struct {
	Detectors int `json:"detectors"` // that the policy has
	Tripped   int `json:"tripped"`   // breakers that hold
	Probing   int `json:"probing"`
	Pinned    int `json:"pinned"`
	// First are those that hold, those that tripped last before, five at most.
	First     []Breaker      `json:"first,omitempty"`
	Over      []OverMaxShare `json:"over_max_share,omitempty"`
	Trials    []TrialStatus  `json:"trials,omitempty"`
	Unwritten uint64         `json:"unwritten,omitempty"` // breakers that found no room on their way to the disk
}

// OverMaxShare is a trunk on which detectors may touch no more calls for now, by max_share: they only record.
type OverMaxShare struct {
	Trunk   string    `json:"trunk"`
	Since   time.Time `json:"since"`
	Touched int       `json:"touched"` // calls in the last hour
	Calls   int       `json:"calls"`   // of so many
	Total   uint64    `json:"total"`   // calls that found no room since the start
}

// TrialStatus is what a detector on trial, or a policy that only observes, would have done.
type TrialStatus struct {
	Detector string    `json:"detector"` // "" is the policy as a whole
	Since    time.Time `json:"since"`
	Calls    uint64    `json:"calls"` // that it would have touched in the last 14 days
	// Propose says that it has been on trial for 14 days, so that this can be judged.
	Propose bool `json:"propose,omitempty"`
}

// What a breaker is (Breaker.State).
const (
	BreakerClosed  = "closed"
	BreakerTripped = "tripped"
	BreakerProbing = "probing"
)

// BreakerQuery says which breakers to give.
type BreakerQuery struct {
	Detector string // "": of all detectors
	Trunk    string // "": of all trunks
	All      bool   // also those that count something and are closed
}

// BreakerName names a breaker: by its detector, its key in any spelling and its trunk, "" for all trunks where it has one.
type BreakerName struct {
	Detector string `json:"detector,omitempty"`
	Trunk    string `json:"trunk,omitempty"`
	Key      string `json:"key"`
}

// BreakerEdit is what became of breakers that a person took in hand.
type BreakerEdit struct {
	Change   string    `json:"change"` // reset, pinned, unpinned or unchanged
	Detector string    `json:"detector"`
	Key      string    `json:"key"` // as it was read
	Breakers []Breaker `json:"breakers"`
}

// What became of breakers (BreakerEdit.Change).
const (
	BreakerReset    = "reset"
	BreakerPinned   = "pinned"
	BreakerUnpinned = "unpinned"
)

// How a breaker may be pinned.
const (
	PinOpen = "open" // it holds until it is unpinned
	PinShut = "shut" // it does not trip until it is unpinned
)

// pinQuery is the body of a request to reset, pin or unpin.
type pinQuery struct {
	Key   string `json:"key"`
	Trunk string `json:"trunk,omitempty"`
	How   string `json:"how,omitempty"`
}

// serveDetectors serves the detectors and their breakers.
func serveDetectors(mux *routes, d Desk) {
	mux.HandleFunc("GET /api/v1/detectors", func(w http.ResponseWriter, r *http.Request) {
		v := r.URL.Query()
		q := BreakerQuery{Detector: v.Get("detector"), Trunk: v.Get("trunk"), All: v.Get("all") == "true"}
		stream(w, func(yield func(any) error) error {
			return d.Breakers(r.Context(), q, func(b Breaker) error { return yield(b) })
		})
	})
	mux.HandleFunc("GET /api/v1/detectors/settings", ask(func(r *http.Request) (any, error) {
		all, err := d.Detectors(r.Context())
		return nonNil(all), err
	}))
	edit := func(r *http.Request, q pinQuery) BreakerName {
		return BreakerName{Detector: r.PathValue("name"), Trunk: q.Trunk, Key: q.Key}
	}
	mux.HandleFunc("POST /api/v1/detectors/{name}/reset", answer(func(r *http.Request, q pinQuery) (any, error) {
		return d.ResetBreaker(r.Context(), edit(r, q))
	}))
	mux.HandleFunc("POST /api/v1/detectors/{name}/pin", answer(func(r *http.Request, q pinQuery) (any, error) {
		return d.PinBreaker(r.Context(), edit(r, q), q.How)
	}))
	mux.HandleFunc("POST /api/v1/detectors/{name}/unpin", answer(func(r *http.Request, q pinQuery) (any, error) {
		return d.UnpinBreaker(r.Context(), edit(r, q))
	}))
}

// Detectors are those of the policy, in the order of the file.
func (c *Client) Detectors(ctx context.Context) ([]Detector, error) {
	return call[[]Detector](ctx, c, "GET", "detectors/settings", nil)
}

func (c *Client) Breakers(ctx context.Context, q BreakerQuery, yield func(Breaker) error) error {
	v := url.Values{"detector": {q.Detector}, "trunk": {q.Trunk}}
	if q.All {
		v.Set("all", "true")
	}
	return lines(ctx, c, "detectors?"+v.Encode(), yield)
}

func (c *Client) ResetBreaker(ctx context.Context, b BreakerName) (*BreakerEdit, error) {
	return c.editBreaker(ctx, b, "reset", "")
}

func (c *Client) PinBreaker(ctx context.Context, b BreakerName, how string) (*BreakerEdit, error) {
	return c.editBreaker(ctx, b, "pin", how)
}

func (c *Client) UnpinBreaker(ctx context.Context, b BreakerName) (*BreakerEdit, error) {
	return c.editBreaker(ctx, b, "unpin", "")
}

func (c *Client) editBreaker(ctx context.Context, b BreakerName, what, how string) (*BreakerEdit, error) {
	return call[*BreakerEdit](ctx, c, "POST", "detectors/"+url.PathEscape(b.Detector)+"/"+what, pinQuery{Key: b.Key, Trunk: b.Trunk, How: how})
}
