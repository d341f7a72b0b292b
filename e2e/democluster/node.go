package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// node is a daemon that runs.
type node struct {
	name, program, file, screen string

	cmd   *exec.Cmd
	said  bytes.Buffer
	ended chan struct{}
}

// startNode runs a daemon in a folder of its own, as part of the cluster that meets at a server.
func startNode(ctx context.Context, program, folder, name, server string) (*node, error) {
	screen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	home := filepath.Join(folder, name)
	n := &node{name: name, program: program, file: filepath.Join(home, "ringfence.toml"), screen: screen, ended: make(chan struct{})}
	settings := fmt.Sprintf("data = \"data\"\nnode = %q\nsocket = \"s\"\n[screen]\nlisten = %q\n[cluster]\nname = \"demo\"\nservers = [\"nats://%s\"]\n", name, screen, server)
	if err := errors.Join(os.Mkdir(home, 0o755), os.WriteFile(n.file, []byte(settings), 0o600), os.WriteFile(filepath.Join(home, "policy.toml"), []byte(policy), 0o600)); err != nil {
		return nil, err
	}
	n.cmd = exec.Command(program, "run", "--config", n.file)
	n.cmd.Stderr = &n.said
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { n.cmd.Wait(); close(n.ended) }()
	if _, err := until(ctx, name+" comes up", func() (bool, error) {
		_, err := n.command(ctx, "status")
		return err == nil, err
	}); err != nil {
		n.stop()
		return nil, fmt.Errorf("%w\n%s", err, inert(n.said.Bytes()))
	}
	return n, nil
}

// command runs a command of the program's. What it printed is there also where it ends with 1.
func (n *node) command(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, n.program, append([]string{"--config", n.file}, args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %s: %w: %s", n.name, args[0], err, inert(said.Bytes()))
	}
	return out, nil
}

// ask runs a command that prints an object.
func ask[T any](ctx context.Context, n *node, args ...string) (v T, err error) {
	out, err := n.command(ctx, args...)
	if jsonErr := json.Unmarshal(out, &v); err == nil {
		err = jsonErr
	}
	return v, err
}

// stop ends the daemon.
func (n *node) stop() {
	n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-n.ended:
	case <-time.After(10 * time.Second):
		n.cmd.Process.Kill()
		<-n.ended
	}
}
