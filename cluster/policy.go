package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Policies is the policy in force here, and how another comes to be.
type Policies interface {
	// PolicyInForce is the text that calls are decided by, and its version.
	PolicyInForce() (text, version string, err error)
	// TakePolicy puts a text in force if it has no fault here.
	TakePolicy(ctx context.Context, text, node string) error
}

const (
	policyEvery   = time.Second
	maxPolicy     = 512 << 10 // bytes
	policyHistory = 5         // that the server keeps
	settingPolicy = "cluster.policy"
	// policyAgain is how often a policy that was not taken is tried anew: a disk has room again, a file may be read.
	policyAgain = time.Minute
	// maxPolicyAhead is how far a policy's time may be ahead of this node's clock.
	maxPolicyAhead = 24 * time.Hour
)

// sharedPolicy is a policy as the server keeps it, under the name of the node that gave it.
type sharedPolicy struct {
	Version string `json:"version"`
	Text    string `json:"text"`
	// At is when a person changed it, in milliseconds since 1970, and later than all that were given before: of two the later one counts, though the server
	// has lost what it kept. 0: nobody has since there is a cluster.
	At int64 `json:"at,omitempty"`
}

// policyState is what this node knows of the policy of all nodes.
type policyState struct {
	Version  string `json:"version"`      // that it gave or took last
	Revision uint64 `json:"revision"`     // of that, at the server
	At       int64  `json:"at,omitempty"` // of that, as sharedPolicy has it
	// Other is what was put in force here since, and has not been given yet, and Since is when that was seen first.
	Other string `json:"other,omitempty"`
	Since int64  `json:"since,omitempty"`
}

// notTaken is a policy that could not be put in force here: it is not tried each second.
type notTaken struct {
	revision uint64
	at       time.Time
	why      error
}

// given is what the server keeps of a node.
type given struct {
	sharedPolicy
	node     string
	revision uint64
}

// sharePolicy keeps the policy of this node that of the nodes in policy_from, and gives them its own if it is one of these.
func (c *Cluster) sharePolicy(ctx context.Context) {
	if !c.o.SharePolicy {
		return
	}
	tick := time.NewTicker(policyEvery)
	defer tick.Stop()
	var state policyState
	if text, err := c.o.Store.Setting(settingPolicy); err == nil && text != nil {
		json.Unmarshal(text, &state) // unreadable: as if it were new here
	}
	var refused notTaken
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		next, err := c.seePolicy(state), error(nil) // also where there is no server: it counts when it was changed, not when it can be given
		if c.nc().IsConnected() {
			asking, cancel := context.WithTimeout(ctx, askWait)
			next, err = c.policyOnce(asking, next, &refused)
			cancel()
		} else if next == state {
			continue
		}
		if next != state {
			state = next
			if text, e := json.Marshal(state); e == nil {
				err = errors.Join(err, c.o.Store.PutSetting(settingPolicy, text))
			}
		}
		c.policyTrouble(err)
	}
}

// seePolicy notes since when another policy is in force here than the one that was given or taken last, if this node gives its own.
func (c *Cluster) seePolicy(state policyState) policyState {
	_, version, err := c.o.Policy.PolicyInForce()
	switch {
	case err != nil || state.Version == "" || !slices.Contains(c.o.PolicyFrom, c.o.Node):
	case version == state.Version:
		state.Other, state.Since = "", 0
	case version != state.Other:
		now, clamped := c.Latest()
		if !clamped {
			now = c.o.Now().UnixMilli()
		}
		state.Other, state.Since = version, now
	}
	return state
}

// policyTrouble notes why the policy is not that of all nodes, nil for that it is.
func (c *Cluster) policyTrouble(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if text != c.noPolicy && text != "" {
		c.o.Log.Warn("the policy of this node is not that of the cluster", "error", err)
	}
	c.noPolicy = text
}

// policyOnce looks once at what is in force here and what the server has, and makes them the same.
func (c *Cluster) policyOnce(ctx context.Context, state policyState, refused *notTaken) (policyState, error) {
	text, version, err := c.o.Policy.PolicyInForce()
	if err != nil {
		return state, err
	}
	kv, err := c.policies(ctx)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return state, fmt.Errorf("no node of policy_from (%s) has given its policy yet: it does when its daemon runs with share_policy, and its user has the rights", strings.Join(c.o.PolicyFrom, ", "))
	}
	if err != nil {
		return state, fmt.Errorf("what the server keeps of policies: %w", err)
	}
	seen, err := kv.Status(ctx)
	if err != nil {
		return state, fmt.Errorf("what the server keeps of policies: %w", err)
	}
	last, err := c.lastPolicy(ctx, kv)
	if err != nil {
		return state, err
	}
	gives := slices.Contains(c.o.PolicyFrom, c.o.Node)
	// What was changed here is given, unless another node has given a later change meanwhile.
	changedHere := gives && state.Other == version && (last == nil || last.revision == state.Revision || last.At < state.Since)
	isNewer := last != nil && version == state.Version && state.At > last.At // the server has lost it, and was given one of before
	switch {
	case last == nil && !gives: // nobody has given one, or the server has lost it
		return state, nil
	case last != nil && last.Version == version:
		if state.Version != version || state.Revision != last.revision {
			state = policyState{Version: version, Revision: last.revision, At: last.At}
		}
		return state, nil
	case changedHere:
		at := max(state.Since, state.At+1)
		if last != nil {
			at = max(at, last.At+1)
		}
		return c.givePolicy(ctx, seen, state, sharedPolicy{version, text, at})
	case last == nil, gives && isNewer:
		return c.givePolicy(ctx, seen, state, sharedPolicy{version, text, state.At})
	case isNewer:
		return state, fmt.Errorf("the policy that the server has, of %s, is older than that of this node, which stays: start the node that changed it last, or change it on %[1]s", last.node)
	case last.revision == refused.revision && c.o.Now().Sub(refused.at) < policyAgain:
		return state, refused.why
	}
	if state.Other == version {
		c.o.Log.Warn("the policy was changed on another node after it was changed here: that one counts, and `ringfence policy history` has this one", "here", version, "from", last.node)
	}
	if err := c.o.Policy.TakePolicy(ctx, last.Text, last.node); err != nil {
		*refused = notTaken{last.revision, c.o.Now(), err}
		return state, err
	}
	return policyState{Version: last.Version, Revision: last.revision, At: last.At}, nil
}

// givePolicy has the server keep the policy of this node, and says what this one knows of it then: what it knew, if that is not done.
func (c *Cluster) givePolicy(ctx context.Context, seen jetstream.KeyValueStatus, state policyState, p sharedPolicy) (policyState, error) {
	b, err := json.Marshal(p)
	if err != nil || len(b) > maxPolicy {
		return state, errors.Join(err, fmt.Errorf("the policy has more than %d bytes: the other nodes do not get it", maxPolicy))
	}
	// Only if nobody has given one since this node looked: of two that find nothing after the server has lost all, one may have an older policy.
	var before uint64
	if s, ok := seen.(*jetstream.KeyValueBucketStatus); ok {
		before = s.StreamInfo().State.LastSeq
	}
	ack, err := c.js().Publish(ctx, "$KV."+c.streamName()+".policy."+c.o.Node, b, jetstream.WithExpectLastSequence(before))
	if err != nil {
		return state, fmt.Errorf("the server does not take the policy: %w", err)
	}
	return policyState{Version: p.Version, Revision: ack.Sequence, At: p.At}, nil
}

// policies is where the server keeps them; it is made if there is none.
func (c *Cluster) policies(ctx context.Context) (jetstream.KeyValue, error) {
	kv, err := c.js().KeyValue(ctx, c.streamName())
	if errors.Is(err, jetstream.ErrBucketNotFound) && slices.Contains(c.o.PolicyFrom, c.o.Node) {
		err = c.replicated(func(replicas int) (err error) {
			kv, err = c.js().CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: c.streamName(), Description: "the policy of Ringfence's nodes", History: policyHistory, MaxValueSize: maxPolicy, Replicas: replicas})
			return err
		})
	}
	return kv, err
}

// lastPolicy is the policy that was given last, of those of nodes that may; nil if there is none.
func (c *Cluster) lastPolicy(ctx context.Context, kv jetstream.KeyValue) (last *given, err error) {
	for _, node := range c.o.PolicyFrom {
		e, err := kv.Get(ctx, "policy."+node)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("what the server keeps of policies: %w", err)
		}
		g := given{node: node, revision: e.Revision()}
		if len(e.Value()) > maxPolicy || json.Unmarshal(e.Value(), &g.sharedPolicy) != nil || g.Text == "" {
			c.counts.garbled.Add(1)
			continue
		}
		g.At = min(g.At, c.o.Now().Add(maxPolicyAhead).UnixMilli()) // else no other would be later, ever
		if last == nil || g.revision > last.revision {
			last = &g
		}
	}
	return last, nil
}
