package console

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Policies is what can be asked of the policy, and how it is changed.
type Policies interface {
	// Policy gives the text of the policy file, and whether it may be changed from here.
	Policy(ctx context.Context) (*PolicyText, error)
	// CheckPolicy says what is wrong with a text. Nothing changes.
	CheckPolicy(ctx context.Context, text string) (*ReloadReport, error)
	// PutPolicy writes a text that has no fault to the policy file, keeping the one before, and puts it in force. With an ETag that is not that of the
	// file as it is now it is refused (ErrConflict): somebody else changed it.
	PutPolicy(ctx context.Context, edit PolicyEdit) (*PolicyPut, error)
	// PolicyVersions calls yield for each policy that was in force, the newest first; PolicyVersion gives the text of one.
	PolicyVersions(ctx context.Context, yield func(PolicyVersion) error) error
	PolicyVersion(ctx context.Context, id string) (*PolicyVersionText, error)
	// TryPolicy runs the calls of the journal through a text, and says what would have come out otherwise.
	TryPolicy(ctx context.Context, q TryQuery) (*TryReport, error)
}

// PolicyText is the policy file.
type PolicyText struct {
	File     string    `json:"file"`
	Text     string    `json:"text"`
	ETag     string    `json:"etag"`
	InForce  bool      `json:"in_force"`            // it is what decides calls; else it was changed since, or is refused
	Version  string    `json:"version"`             // what decides calls, as PolicyVersion.ID
	Loaded   time.Time `json:"loaded"`              // since when
	ReadOnly string    `json:"read_only,omitempty"` // why it cannot be changed from here; "": it can
	Faults   []Fault   `json:"faults,omitempty"`
}

// PolicyEdit is a text that shall be the policy.
type PolicyEdit struct {
	Text string `json:"text"`
	ETag string `json:"etag"`           // of the text that it was made from
	Note string `json:"note,omitempty"` // what it is for, 200 characters at most
	// Shared is of a text that comes from the node of a cluster where all nodes' policy is changed.
	Shared bool `json:"-"`
}

// PolicyPut is what came of it. With a fault that is not a warning nothing changed.
type PolicyPut struct {
	ReloadReport
	ETag    string `json:"etag"`
	Version string `json:"version,omitempty"`
}

// PolicyVersion is a policy that was in force.
type PolicyVersion struct {
	ID      string    `json:"id"` // the begin of its SHA-256
	Time    time.Time `json:"time"`
	Who     string    `json:"who,omitempty"` // who changed it from here; "" for the file
	From    string    `json:"from,omitempty"`
	Note    string    `json:"note,omitempty"`
	Rules   int       `json:"rules"`
	Bytes   int       `json:"bytes"`
	InForce bool      `json:"in_force,omitempty"`
}

// PolicyVersionText is a version with its text.
type PolicyVersionText struct {
	PolicyVersion
	Text string `json:"text"`
}

// TryQuery says which policy to try, and on which calls.
type TryQuery struct {
	Text string `json:"text"`
	Days int    `json:"days,omitempty"` // of the journal, up to now: 7 by default, 31 at most
}

// TryReport is what a policy would have done to past calls.
type TryReport struct {
	Since   time.Time `json:"since"`
	Calls   int       `json:"calls"`
	Changed int       `json:"changed"`
	Cut     bool      `json:"cut,omitempty"` // there were more calls than could be tried in time: the newest were
	Moves   []TryMove `json:"moves"`         // the most frequent first, 50 at most
	Rules   []TryRule `json:"rules"`         // in the order of the policy
	Faults  []Fault   `json:"faults"`
	Private bool      `json:"private,omitempty"` // callers are hidden: what depends on their numbers cannot be tried
}

// TryMove are calls that would have come out otherwise in the same way.
type TryMove struct {
	From     string   `json:"from"` // the action that was done
	To       string   `json:"to"`
	Rule     string   `json:"rule"` // of the new policy
	Calls    int      `json:"calls"`
	Long     int      `json:"long"`               // of them talked over a minute
	Examples []Record `json:"examples,omitempty"` // three at most
}

// TryRule is how often a rule decided.
type TryRule struct {
	Rule  string `json:"rule"`
	Calls int    `json:"calls"`
}

// policyText is a text to look at.
type policyText struct {
	Text string `json:"text"`
}

// servePolicies serves the policy. The ETag of GET goes into If-Match of PUT, or into its body.
func servePolicies(mux *routes, d Desk) {
	mux.HandleFunc("GET /api/v1/policy", func(w http.ResponseWriter, r *http.Request) {
		p, err := d.Policy(r.Context())
		if err != nil {
			writeError(w, err)
			return
		}
		tag := strconv.Quote(p.ETag)
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		ask(func(*http.Request) (any, error) { return p, nil })(w, r)
	})
	mux.HandleFunc("PUT /api/v1/policy", func(w http.ResponseWriter, r *http.Request) {
		answer(func(r *http.Request, edit PolicyEdit) (any, error) {
			if tag := r.Header.Get("If-Match"); tag != "" {
				edit.ETag = strings.Trim(tag, `"`)
			}
			if edit.ETag == "" {
				return nil, Bad("say which policy the text was made from: the ETag of GET policy, in If-Match or as etag")
			}
			put, err := d.PutPolicy(r.Context(), edit)
			if err == nil {
				w.Header().Set("ETag", strconv.Quote(put.ETag))
			}
			return put, err
		})(w, r)
	})
	mux.HandleFunc("POST /api/v1/policy/check", answer(func(r *http.Request, q policyText) (any, error) {
		return d.CheckPolicy(r.Context(), q.Text)
	}))
	mux.HandleFunc("POST /api/v1/policy/try", answer(func(r *http.Request, q TryQuery) (any, error) {
		return d.TryPolicy(r.Context(), q)
	}))
	mux.HandleFunc("GET /api/v1/policy/versions", func(w http.ResponseWriter, r *http.Request) {
		stream(w, func(yield func(any) error) error {
			return d.PolicyVersions(r.Context(), func(v PolicyVersion) error { return yield(v) })
		})
	})
	mux.HandleFunc("GET /api/v1/policy/versions/{id}", ask(func(r *http.Request) (any, error) {
		return d.PolicyVersion(r.Context(), r.PathValue("id"))
	}))
}

func (c *Client) Policy(ctx context.Context) (*PolicyText, error) {
	return call[*PolicyText](ctx, c, "GET", "policy", nil)
}

func (c *Client) CheckPolicy(ctx context.Context, text string) (*ReloadReport, error) {
	return call[*ReloadReport](ctx, c, "POST", "policy/check", policyText{text})
}

func (c *Client) PutPolicy(ctx context.Context, edit PolicyEdit) (*PolicyPut, error) {
	return call[*PolicyPut](ctx, c, "PUT", "policy", edit)
}

func (c *Client) TryPolicy(ctx context.Context, q TryQuery) (*TryReport, error) {
	return call[*TryReport](ctx, c, "POST", "policy/try", q)
}

func (c *Client) PolicyVersions(ctx context.Context, yield func(PolicyVersion) error) error {
	return lines(ctx, c, "policy/versions", yield)
}

func (c *Client) PolicyVersion(ctx context.Context, id string) (*PolicyVersionText, error) {
	return call[*PolicyVersionText](ctx, c, "GET", "policy/versions/"+url.PathEscape(id), nil)
}
