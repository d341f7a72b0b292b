package cmd

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/number"
	"ringfence/terminal"
)

type clusterCmd struct {
	Status clusterStatusCmd `cmd:"" help:"Say how the nodes are. Ends with 1 if this one is alone or not as it should be, or lists differ for over 5 minutes."`
	Leave  clusterLeaveCmd  `cmd:"" help:"Take a node out that has gone for good."`
	Take   clusterTakeCmd   `cmd:"" help:"Have what another node changed, and what waits, count."`
	Refuse clusterRefuseCmd `cmd:"" help:"Have what another node changed, and what waits, count nowhere."`
	Undo   clusterUndoCmd   `cmd:"" help:"Undo what another node did to lists, here and so on all nodes."`
}

type clusterTakeCmd struct {
	ID int `arg:"" help:"Its number, as cluster status has it."`
}

func (c *clusterTakeCmd) Run(a *app) error {
	return a.cluster(func(d console.Desk) (*console.ClusterReport, error) { return d.DecideHeld(a.ctx, c.ID, true) }, false)
}

type clusterRefuseCmd struct {
	ID int `arg:"" help:"Its number, as cluster status has it."`
}

func (c *clusterRefuseCmd) Run(a *app) error {
	return a.cluster(func(d console.Desk) (*console.ClusterReport, error) { return d.DecideHeld(a.ctx, c.ID, false) }, false)
}

type clusterUndoCmd struct {
	Node  string `arg:"" help:"Its name, as cluster status has it."`
	Since string `required:"" placeholder:"WHEN" help:"From when on: a time, or how long ago, as 2h."`
}

func (c *clusterUndoCmd) Run(a *app) error {
	since, err := past(c.Since, time.Now())
	if err != nil {
		return usageError{"--since: " + err.Error()}
	}
	d, err := a.running()
	if err != nil {
		return err
	}
	defer d.Close()
	done, err := d.UndoNode(a.ctx, c.Node, console.ClusterUndo{Since: since})
	if err != nil {
		return err
	}
	if done.Kept > 0 {
		return a.print(done, "%s: %d changes undone; %d records that somebody has changed since stay", shown(c.Node), done.Changes, done.Kept)
	}
	if done.Changes == 0 {
		return a.print(done, "%s: nothing to undo: this node took no change of a node of that name since %s that stands", shown(c.Node), when(since))
	}
	return a.print(done, "%s: %d changes undone", shown(c.Node), done.Changes)
}

type clusterStatusCmd struct{}

func (clusterStatusCmd) Run(a *app) error {
	return a.cluster(func(d console.Desk) (*console.ClusterReport, error) { return d.Cluster(a.ctx) }, true)
}

type clusterLeaveCmd struct {
	Node string `arg:"" help:"Its name, as cluster status has it."`
}

func (c *clusterLeaveCmd) Run(a *app) error {
	return a.cluster(func(d console.Desk) (*console.ClusterReport, error) { return d.LeaveCluster(a.ctx, c.Node) }, false)
}

// cluster asks the running daemon, and says how the cluster is then. With judge the exit status says whether somebody has to look after it.
func (a *app) cluster(ask func(console.Desk) (*console.ClusterReport, error), judge bool) error {
	d, err := a.running()
	if err != nil {
		return err
	}
	defer d.Close()
	r, err := ask(d)
	if err != nil {
		return err
	}
	now := time.Now()
	if a.json {
		err = a.print(r, "")
	} else {
		_, err = io.WriteString(a.out, clusterText(r, now))
	}
	if err == nil && judge && r.Trouble(now) != "" {
		return errSilent
	}
	return err
}

// clusterLine is a cluster in a few words.
func clusterLine(r *console.ClusterReport) string {
	if r.Alone {
		return fmt.Sprintf("%s: ALONE since %s%s", shown(r.Name), when(r.Since), waitingText(r.Waiting))
	}
	here, same := 0, 0
	for i := range r.Nodes {
		if r.Nodes[i].Alone.IsZero() {
			here++
		}
		if r.Nodes[i].Lists == console.ListsSame {
			same++
		}
	}
	text := fmt.Sprintf("%s: %d of %d other nodes are there, %d have the same lists%s", shown(r.Name), here, len(r.Nodes), same, waitingText(r.Waiting))
	if r.Why != "" {
		text += "; NOT AS IT SHOULD BE: " + number.InertUpTo(r.Why, 400)
	}
	if len(r.Held) > 0 {
		text += fmt.Sprintf("; %d changes of theirs wait for a person: `ringfence cluster status`", len(r.Held))
	}
	return text
}

func waitingText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %d changes wait to be published", n)
}

// clusterText is a cluster on a terminal.
func clusterText(r *console.ClusterReport, now time.Time) string {
	var out strings.Builder
	say := func(label, format string, args ...any) {
		fmt.Fprintf(&out, "%-8s %s\n", label, terminal.Wrap(fmt.Sprintf(format, args...), terminal.Page, 9, 9))
	}
	if r.Alone {
		say("cluster", "%s: this node, %s, is ALONE since %s: it reaches no server, decides by its own lists, and keeps its changes until it does", shown(r.Name), shown(r.Node), when(r.Since))
	} else {
		say("cluster", "%s: this node is %s, connected to %s since %s", shown(r.Name), shown(r.Node), shown(r.Server), when(r.Since))
	}
	if r.Why != "" {
		say("because", "%s", number.InertUpTo(r.Why, 400))
	}
	if r.Clock != "" {
		say("CLOCK", "%s", number.InertUpTo(r.Clock, 400))
	}
	for i := range r.Nodes {
		label, text := clusterNodeText(&r.Nodes[i], now)
		say(label, "%s", text)
	}
	if r.Waiting > 0 {
		say("waiting", "%d changes were not published yet", r.Waiting)
	}
	for _, h := range r.Held {
		many, list := fmt.Sprintf("%d entries", h.Entries), shown(h.List)
		if h.List == console.LineTable {
			many, list = strconv.Itoa(h.Entries), "the lines"
		}
		if !h.Until.IsZero() {
			many += " so far (it can be taken when it has been counted, after " + h.Until.Local().Format(time.TimeOnly) + ")"
		}
		say(fmt.Sprint("held ", h.ID), "of %s, %s: %s of %s: %s", shown(h.Node), when(h.Time), many, list, number.InertUpTo(h.Why, 400))
	}
	if len(r.Held) > 0 {
		say("", "ringfence cluster take NUMBER has one count, cluster refuse NUMBER has it count nowhere")
	}
	for _, reason := range slices.Sorted(maps.Keys(r.Dropped)) {
		if n := r.Dropped[reason]; n > 0 {
			say("dropped", "%d messages: %s", n, shown(reason))
		}
	}
	if r.NotTaken != "" {
		say("", "the last entries that were not taken: %s", number.InertUpTo(r.NotTaken, 400))
	}
	return out.String()
}

// policyTaken is how long `policy reload` waits for the other nodes to have the policy: they look each second.
const policyTaken = 4 * time.Second

// saySharedPolicy says, where all nodes of a cluster are to have one policy, which of them have that of this node by now.
func (a *app) saySharedPolicy(d console.Desk) error {
	for end := time.Now().Add(policyTaken); ; {
		r, err := d.Cluster(a.ctx)
		if errors.Is(err, console.ErrNotFound) || err == nil && r.Shared == "" {
			return nil
		}
		if err != nil {
			return err
		}
		waits := !r.Alone && slices.ContainsFunc(r.Nodes, func(n console.ClusterNode) bool { return n.Alone.IsZero() && n.Policy != r.Shared })
		if !waits || time.Now().After(end) {
			_, err = io.WriteString(a.out, sharedPolicyText(r))
			return err
		}
		select {
		case <-a.ctx.Done():
			return a.ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// sharedPolicyText is which node has which policy.
func sharedPolicyText(r *console.ClusterReport) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s has policy %s\n", shown(r.Node), shown(r.Shared))
	if r.Alone {
		fmt.Fprintf(&out, "it is ALONE since %s: what the other nodes have is not known, and they get nothing until it is not\n", when(r.Since))
		return out.String()
	}
	for i := range r.Nodes {
		switch n := &r.Nodes[i]; {
		case !n.Alone.IsZero():
			fmt.Fprintf(&out, "%s IS NOT HEARD since %s, and had policy %s\n", shown(n.Name), when(n.Alone), shown(n.Policy))
		case n.Policy == r.Shared:
			fmt.Fprintf(&out, "%s has it too\n", shown(n.Name))
		default:
			fmt.Fprintf(&out, "%s HAS ANOTHER, %s of %s: `ringfence cluster status` there says why\n", shown(n.Name), shown(n.Policy), when(n.Loaded))
		}
	}
	return out.String()
}

func clusterNodeText(n *console.ClusterNode, now time.Time) (label, text string) {
	label, text = "node", shown(n.Name)
	if n.Alone.IsZero() {
		text += fmt.Sprintf(" is there, %.1f s behind", n.Lag)
	} else {
		label, text = "NODE", text+" IS NOT HEARD since "+when(n.Alone)
	}
	switch {
	case n.Lists == console.ListsDifferent && now.Sub(n.Since) > console.Differ:
		label, text = "NODE", text+", LISTS DIFFERENT since "+when(n.Since)
	case n.Lists == console.ListsOtherNumbers:
		text += ", lists cannot be compared: its policy reads numbers by other rules"
	default:
		text += ", lists " + shown(n.Lists)
	}
	if n.Policy != "" {
		text += fmt.Sprintf(", policy %s of %s", shown(n.Policy), when(n.Loaded))
	}
	if n.Version != "" {
		text += ", version " + shown(n.Version)
	}
	if n.Trouble != "" {
		text += "; " + number.InertUpTo(n.Trouble, 400)
	}
	if n.Journal != "" {
		label, text = "NODE", text+", its journal CANNOT BE WRITTEN: "+number.InertUpTo(n.Journal, 400)
	}
	return label, text
}
