package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What a person is told of (the kinds that [notify] command gets as its argument).
const (
	notifyFailOpen = "fail-open"
	notifyPolicy   = "policy"
)

const (
	notifyAgain   = 5 * time.Minute  // the soonest that somebody is told of the same kind again
	notifyTimeout = 10 * time.Second // how long the command may take
	notifyQueue   = 16               // messages that may wait for it

	failOpenMany  = 5               // calls let through unscreened, in failOpenSpan, that are worth a word
	failOpenSpan  = time.Minute     //
	failOpenEvery = 5 * time.Second // how often they are counted
)

// notifier runs the command that tells a person. Nothing waits for it: what does not fit is dropped and
// counted.
type notifier struct {
	command string
	log     *slog.Logger
	now     func() time.Time
	queue   chan message
	Dropped atomic.Uint64
	Failed  atomic.Uint64 // runs of the command that failed

	mu   sync.Mutex
	told map[string]time.Time // by kind
}

type message struct{ kind, text string }

func newNotifier(command string, log *slog.Logger, now func() time.Time) *notifier {
	return &notifier{command: command, log: log, now: now, queue: make(chan message, notifyQueue), told: make(map[string]time.Time)}
}

// tell queues a message, unless somebody was told of the same kind a short while ago. The text is ours alone:
// nothing of a caller's stands in it.
func (n *notifier) tell(kind, text string) {
	if n == nil || n.command == "" {
		return
	}
	n.mu.Lock()
	now := n.now()
	if last, ok := n.told[kind]; ok && now.Sub(last) < notifyAgain {
		n.mu.Unlock()
		return
	}
	n.told[kind] = now
	n.mu.Unlock()
	select {
	case n.queue <- message{kind, text}:
	default:
		n.Dropped.Add(1)
	}
}

// run runs the command for each message until ctx ends.
func (n *notifier) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-n.queue:
			n.page(ctx, m)
		}
	}
}

func (n *notifier) page(ctx context.Context, m message) {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, n.command, m.kind)
	cmd.Stdin = strings.NewReader(m.text + "\n")
	cmd.WaitDelay = time.Second // a child that keeps the pipe open does not keep us
	if out, err := cmd.CombinedOutput(); err != nil {
		n.Failed.Add(1)
		n.log.Error("nobody was told: the command of [notify] failed", "command", n.command, "kind", m.kind, "text", m.text, "error", err, "output", fmt.Sprintf("%.200q", out))
	}
}

// watchFailOpen tells when many calls passed unscreened in a short time. counts gives them by reason, since
// the start. A stop on purpose is none of it.
func (n *notifier) watchFailOpen(ctx context.Context, counts func() map[string]uint64) {
	type sample struct {
		at    time.Time
		count map[string]uint64
	}
	past := []sample{{n.now(), counts()}}
	tick := time.NewTicker(failOpenEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s := sample{n.now(), counts()}
		for len(past) > 1 && s.at.Sub(past[1].at) >= failOpenSpan {
			past = past[1:]
		}
		if text, many := failOpenNews(past[0].count, s.count); many {
			n.tell(notifyFailOpen, text)
		}
		past = append(past, s)
	}
}

// failOpenNews says what has been let through between two counts, and whether that is many.
func failOpenNews(before, after map[string]uint64) (text string, many bool) {
	var total uint64
	var parts []string
	for reason, n := range after {
		if n -= before[reason]; n > 0 && reason != "stopping" {
			total += n
			parts = append(parts, fmt.Sprintf("%d %s", n, reason))
		}
	}
	slices.Sort(parts)
	return fmt.Sprintf("%d calls passed unscreened within a minute: %s. See `ringfence status` and the log.", total, strings.Join(parts, ", ")), total >= failOpenMany
}
