package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// maxPrinted bounds what is kept of what a program prints, in bytes.
const maxPrinted = 4 << 10

// ErrLate says that a program was ended because it was not done in time.
var ErrLate = errors.New("it was not done")

// Run runs a program that the administrator has named and returns the beginning of what it printed. One that takes too long, or for which ctx ends, is
// killed, with all that it started. env is its environment, nil for ours.
func Run(ctx context.Context, timeout time.Duration, in io.Reader, env []string, program string, args ...string) (printed string, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin, cmd.Env = in, env
	out := &bounded{room: maxPrinted}
	cmd.Stdout, cmd.Stderr = out, out
	// What the program started ends with it, and a child that keeps the pipe open does not keep us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("%w after %v", ErrLate, timeout)
	}
	return out.String(), err
}

// bounded keeps the beginning of what is written to it.
type bounded struct {
	bytes.Buffer
	room int
}

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.room)
	b.room -= n
	b.Buffer.Write(p[:n])
	return len(p), nil
}
