package doctor

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Bounds of a command to Asterisk.
const (
	cliWait = 10 * time.Second
	cliMax  = 32 << 20 // bytes of an answer
)

// cli has Asterisk run a command of its command line.
func (x *asteriskExamination) cli(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, cliWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, x.program, "-rx", command)
	cmd.Env = append(os.Environ(), "TERM=dumb")
	cmd.WaitDelay = time.Second
	var out, errs capped
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if text := strings.Join(strings.Fields(out.String()+" "+errs.String()), " "); text != "" {
			err = fmt.Errorf("%w: %.300s", err, text)
		}
		return "", err
	}
	return out.String(), nil
}

// capped keeps the first cliMax bytes of what is written to it.
type capped struct{ bytes.Buffer }

func (c *capped) Write(b []byte) (int, error) {
	if room := cliMax - c.Len(); room > 0 {
		c.Buffer.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}
