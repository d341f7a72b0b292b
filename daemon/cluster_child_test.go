package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"ringfence/conf"
)

// skewedEnv makes this test binary a daemon whose clock is so much ahead, in a process of its own that can be killed.
const skewedEnv = "RINGFENCE_SKEWED_CHILD"

func skewedChild(ahead, file string) {
	by, err := time.ParseDuration(ahead)
	var c *conf.Daemon
	if err == nil {
		c, err = conf.LoadDaemon(file)
	}
	if err == nil {
		d := &Daemon{conf: c, version: "test", log: slog.New(slog.NewTextHandler(os.Stderr, nil)), now: func() time.Time { return time.Now().Add(by) }}
		_, err = d.begin(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {}
}
