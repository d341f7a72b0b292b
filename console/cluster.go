package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// ClusterReport is how a node stands with the others of its cluster.
type ClusterReport struct {
	Name   string    `json:"name"`
	Node   string    `json:"node"`
	Alone  bool      `json:"alone"`            // it reaches no server: it decides by its own lists, and its changes wait
	Since  time.Time `json:"since"`            // when it came to be alone, or not to be
	Server string    `json:"server,omitempty"` // that it is connected to
	// Why it is alone, or gives nothing of its own.
	Why string `json:"why,omitempty"`
	// Nodes are the others, by their names. One that has gone for good is taken out by leaving.
	Nodes   []ClusterNode `json:"nodes,omitempty"`
	Clock   string        `json:"clock,omitempty"`   // what is wrong with this node's clock, so that its changes are stamped by those of the others
	Waiting int           `json:"waiting,omitempty"` // changes that were not published yet
	Held    []ClusterHeld `json:"held,omitempty"`    // changes of other nodes that wait for a person, the oldest first
	// NotTaken is why entries of other nodes were not taken last, which Dropped counts as rows.
	NotTaken string `json:"not_taken,omitempty"`
	// Shared is the policy of this node, as ClusterNode has it, where all nodes are to have one.
	Shared string `json:"shared_policy,omitempty"`
	// Dropped counts messages that were not taken, by reason; each reason is there with 0 before it first happens.
	Dropped map[string]uint64 `json:"dropped,omitempty"`
}

// ClusterNode is what is known of another node.
type ClusterNode struct {
	Name    string    `json:"name"`
	Version string    `json:"version,omitempty"`
	Seen    time.Time `json:"seen,omitzero"`    // when it was heard last
	Alone   time.Time `json:"alone,omitzero"`   // since when nothing is heard of it; zero: it is there
	Lag     float64   `json:"lag_s"`            // how many seconds its changes take, or the oldest that is missing has taken so far
	Lists   string    `json:"lists"`            // same, different, unknown or other numbers
	Since   time.Time `json:"since,omitzero"`   // when Lists came to be so
	Policy  string    `json:"policy,omitempty"` // the first digits of its text's hash
	Loaded  time.Time `json:"policy_loaded,omitzero"`
	Journal string    `json:"journal,omitempty"` // why it cannot write records of calls; "": it can
	Trouble string    `json:"trouble,omitempty"` // what did not work with it last
}

// How the lists of another node are, held against one's own (ClusterNode.Lists).
const (
	ListsSame         = "same"
	ListsDifferent    = "different"     // they are being compared, and made the same
	ListsUnknown      = "unknown"       // it has not said
	ListsOtherNumbers = "other numbers" // its policy reads numbers by other rules, so that patterns cannot be compared
)

// ClusterHeld is a change of another node that counts here only when a person wants it.
type ClusterHeld struct {
	ID      int       `json:"id"`
	Node    string    `json:"node"`
	Time    time.Time `json:"time"`
	List    string    `json:"list"`
	Entries int       `json:"entries"`        // that it touches
	Why     string    `json:"why"`            // it waits
	Until   time.Time `json:"until,omitzero"` // it is still being counted, and cannot be taken
}

// Differ is how long lists may be different before something is wrong: a comparison takes seconds, and one of millions a minute.
const Differ = 5 * time.Minute

// Trouble says what somebody has to look after, "" for nothing: the node is alone or not with its cluster as it should be, or lists have been different for
// longer than Differ.
func (r *ClusterReport) Trouble(now time.Time) string {
	if r.Alone {
		return "this node is alone"
	}
	for i := range r.Nodes {
		if n := &r.Nodes[i]; n.Lists == ListsDifferent && now.Sub(n.Since) > Differ {
			return "the lists of " + n.Name + " are different"
		}
	}
	if r.Waiting == 0 { // else it may be no more than that the server is being started anew
		return r.Why
	}
	return ""
}

// ClusterUndo asks that what another node did to lists is undone.
type ClusterUndo struct {
	Since time.Time `json:"since"` // by this node's clock, when it came here
}

// ClusterUndone says what was.
type ClusterUndone struct {
	Changes int `json:"changes"` // that were undone
	Kept    int `json:"kept"`    // records that somebody has changed since, and that stay
}

// serveCluster serves how the nodes stand with each other.
func serveCluster(mux *routes, d Desk) {
	mux.HandleFunc("GET /api/v1/cluster", ask(func(r *http.Request) (any, error) { return d.Cluster(r.Context()) }))
	mux.HandleFunc("DELETE /api/v1/cluster/nodes/{node}", ask(func(r *http.Request) (any, error) {
		return d.LeaveCluster(r.Context(), r.PathValue("node"))
	}))
	decide := func(take bool) http.HandlerFunc {
		return answer(func(r *http.Request, _ struct{}) (any, error) {
			id, err := strconv.Atoi(r.PathValue("id"))
			if err != nil {
				return nil, Bad("the id of a change that waits is a number")
			}
			return d.DecideHeld(r.Context(), id, take)
		})
	}
	mux.HandleFunc("POST /api/v1/cluster/held/{id}/take", decide(true))
	mux.HandleFunc("POST /api/v1/cluster/held/{id}/refuse", decide(false))
	mux.HandleFunc("POST /api/v1/cluster/nodes/{node}/undo", answer(func(r *http.Request, q ClusterUndo) (any, error) {
		return d.UndoNode(r.Context(), r.PathValue("node"), q)
	}))
}

func (c *Client) DecideHeld(ctx context.Context, id int, take bool) (*ClusterReport, error) {
	decision := "refuse"
	if take {
		decision = "take"
	}
	return call[*ClusterReport](ctx, c, "POST", fmt.Sprintf("cluster/held/%d/%s", id, decision), struct{}{})
}

func (c *Client) UndoNode(ctx context.Context, node string, q ClusterUndo) (*ClusterUndone, error) {
	return call[*ClusterUndone](ctx, c, "POST", "cluster/nodes/"+url.PathEscape(node)+"/undo", q)
}

func (c *Client) Cluster(ctx context.Context) (*ClusterReport, error) {
	return call[*ClusterReport](ctx, c, "GET", "cluster", nil)
}

func (c *Client) LeaveCluster(ctx context.Context, node string) (*ClusterReport, error) {
	return call[*ClusterReport](ctx, c, "DELETE", "cluster/nodes/"+url.PathEscape(node), nil)
}
