// Command democluster shows three daemons with one set of lists, on a throw-away folder: a server of NATS from Debian's packages, an edit on one that the
// others take, a campaign that is spread over all of them, and a server that is killed and comes back empty. It leaves nothing behind.
//
//	go run ./e2e/democluster ./ringfence
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ringfence/console"
	"ringfence/e2e/unpack"
	"ringfence/number"
	"ringfence/standin"
	"ringfence/terminal"
)

// policy is what each of them decides by.
const policy = `country = "CN"
timezone = "Asia/Shanghai"

[lines.staff]
numbers = ["05925550000-05925550999"]

[[detector]]
name = "range wakes"
key = "prefix"
depth = { 6 = 6 }
count = "strangers"
window = "20m"
hold = "12h"
max_share = 1

[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"

[[rule]]
name = "campaign under way"
when = { tripped = ["range wakes"] }
action = "reject"
`

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: democluster RINGFENCE, the program")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := demo(ctx, os.Args[1])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo-cluster:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, program string) (err error) {
	folder, err := os.MkdirTemp("", "rfdemo") // short: sockets lie in it
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if program, err = filepath.Abs(program); err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	n := &server{address: address, store: filepath.Join(folder, "store")}
	if n.program, err = unpack.Program(ctx, "nats-server", "usr/sbin/nats-server"); err != nil {
		return err
	}
	if err := n.start(ctx); err != nil {
		return err
	}
	defer n.kill()
	var nodes []*node
	defer func() {
		for _, n := range nodes {
			n.stop()
		}
	}()
	for i := range 3 {
		n, err := startNode(ctx, program, folder, fmt.Sprintf("pbx%d", i+1), address)
		if err != nil {
			return err
		}
		nodes = append(nodes, n)
	}
	for _, part := range []func(context.Context, *server, []*node) error{together, edit, campaign, alone} {
		if err := part(ctx, n, nodes); err != nil {
			return err
		}
	}
	fmt.Println("Next: docs/cluster.md.")
	return nil
}

func say(format string, args ...any) {
	fmt.Println(terminal.Wrap(fmt.Sprintf(format, args...), terminal.Page, 0, 2))
}

// together waits until each node has met the others, and all have the same lists.
func together(ctx context.Context, n *server, nodes []*node) error {
	took, err := until(ctx, "the nodes meet", func() (bool, error) {
		for _, n := range nodes {
			r, err := ask[console.ClusterReport](ctx, n, "cluster", "status", "--json")
			if err != nil || len(r.Nodes) != len(nodes)-1 || r.Trouble(time.Now()) != "" {
				return false, err
			}
			for i := range r.Nodes {
				if r.Nodes[i].Lists != console.ListsSame {
					return false, nil
				}
			}
		}
		return true, nil
	})
	if err == nil {
		say("THREE NODES met at the server of NATS on %s within %v; their lists are the same.", n.address, took)
		fmt.Println()
	}
	return err
}

// edit puts a number on a list of one node, and waits until the others stop it.
func edit(ctx context.Context, _ *server, nodes []*node) error {
	if _, err := nodes[0].command(ctx, "list", "add", "blacklist", "95211613", "--reason", "fake JD service"); err != nil {
		return err
	}
	took, err := everywhere(ctx, nodes, "95211613")
	if err == nil {
		say("AN EDIT on pbx1: 95211613 is on its blacklist. All three reject it %v after that.", took)
		fmt.Println()
	}
	return err
}

// everywhere waits until all nodes reject a caller.
func everywhere(ctx context.Context, nodes []*node, caller string) (time.Duration, error) {
	return until(ctx, "all nodes reject "+caller, func() (bool, error) {
		for _, n := range nodes {
			r, err := ask[console.CheckReport](ctx, n, "check", caller, "05925550100", "--json")
			if err != nil || r.Action != "reject" {
				return false, err
			}
		}
		return true, nil
	})
}

// campaign calls from one range, a stranger a call, each on the next node.
func campaign(ctx context.Context, _ *server, nodes []*node) error {
	say("A CAMPAIGN of 15 callers from one range, spread over the three, a call every 300 ms. The detector trips at 6 strangers, and no node has more than 5 itself.")
	tick := time.NewTicker(300 * time.Millisecond) // nodes tell each other what they count four times a second
	defer tick.Stop()
	for i := range 15 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		n := nodes[i%len(nodes)]
		sw := &standin.Switch{Address: n.screen, Speed: 100, SoundLength: func(string) (time.Duration, bool) { return 0, false }}
		call := standin.Call{From: fmt.Sprintf("952117%d%d", i%10, i/10), To: fmt.Sprintf("05925550%03d", 100+i), Profile: "external"}
		calling, cancel := context.WithTimeout(ctx, 20*time.Second)
		r, err := sw.Place(calling, call)
		cancel()
		if err != nil {
			return fmt.Errorf("the call from %s on %s: %w", call.From, n.name, err)
		}
		what := "rang"
		if !r.Rang {
			what = fmt.Sprintf("stopped, SIP %d", r.SIP)
		}
		fmt.Printf("  %s  %s → %s  %s\n", n.name, call.From, call.To, what)
	}
	fmt.Println()
	return nil
}

// alone kills the server, edits meanwhile, and brings it back with nothing.
func alone(ctx context.Context, n *server, nodes []*node) error {
	n.kill()
	if _, err := nodes[1].command(ctx, "list", "add", "blacklist", "95212222", "--reason", "while alone"); err != nil {
		return err
	}
	if _, err := everywhere(ctx, nodes[1:2], "95212222"); err != nil {
		return err
	}
	took, err := until(ctx, "pbx2 is alone", func() (bool, error) {
		r, err := ask[console.Status](ctx, nodes[1], "status", "--json")
		return err == nil && r.Cluster != nil && r.Cluster.Alone, err
	})
	if err != nil {
		return err
	}
	say("THE SERVER IS KILLED. pbx2 says %v later that it is alone, takes an edit, 95212222, and rejects it at once.", took)
	if err := os.RemoveAll(n.store); err != nil {
		return err
	}
	if err := n.start(ctx); err != nil {
		return err
	}
	if took, err = everywhere(ctx, nodes, "95212222"); err == nil {
		say("IT COMES BACK, EMPTY. All three reject 95212222 %v after that.", took)
		fmt.Println()
	}
	return err
}

// server is the server of NATS.
type server struct {
	program, address, store string
	cmd                     *exec.Cmd
}

func (n *server) start(ctx context.Context) error {
	host, port, err := net.SplitHostPort(n.address)
	if err != nil {
		return err
	}
	n.cmd = exec.Command(n.program, "-a", host, "-p", port, "-js", "-sd", n.store, "-l", n.store+".log")
	if err := n.cmd.Start(); err != nil {
		return err
	}
	_, err = until(ctx, "the server of NATS comes up", func() (bool, error) {
		c, err := net.Dial("tcp", n.address)
		if err == nil {
			c.Close()
		}
		return err == nil, err
	})
	return err
}

func (n *server) kill() {
	n.cmd.Process.Kill()
	n.cmd.Wait()
}

func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// until waits until something is so, and says how long that took.
func until(ctx context.Context, what string, so func() (bool, error)) (time.Duration, error) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		is, err := so()
		if is {
			return time.Since(begin).Round(10 * time.Millisecond), nil
		}
		select {
		case <-ctx.Done():
			return 0, errors.Join(fmt.Errorf("not so within a minute: %s", what), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// inert is what a program said, for an error.
func inert(b []byte) string { return number.InertUpTo(strings.TrimSpace(string(b)), 400) }
