// Package unpack gets programs that tests need from Debian's packages, without installing them.
package unpack

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

//go:embed unpack.sh
var script string

// Program is where a program of a package lies, as usr/bin/promtool of prometheus. It may take minutes, the first time.
func Program(ctx context.Context, debian, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "sh", "-c", script, "unpack.sh", debian, path)
	cmd.Stderr, cmd.WaitDelay = &said, time.Second
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s cannot be got: %w: %s", debian, err, said.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}
