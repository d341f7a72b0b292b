package cmd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
)

// newLog is the daemon's log. Where systemd's journal reads it, each line begins with its priority, as sd-daemon(3) has it, so
// that `journalctl -p warning` shows what it is asked for; the time is the journal's then.
func newLog(out io.Writer) *slog.Logger {
	if !toJournal(out) {
		return slog.New(slog.NewTextHandler(out, nil))
	}
	return slog.New(journalHandler(out))
}

// toJournal reports whether what is written goes to systemd's journal.
func toJournal(out io.Writer) bool {
	if out != os.Stderr {
		return false
	}
	is, err := journal.StderrIsJournalStream()
	return is && err == nil
}

// priorities are what the journal calls a level, the gravest first.
var priorities = []struct {
	from     slog.Level
	priority journal.Priority
}{{slog.LevelError, journal.PriErr}, {slog.LevelWarn, journal.PriWarning}, {slog.LevelInfo, journal.PriInfo}, {slog.Level(-1 << 31), journal.PriDebug}}

// byPriority has a handler for each of the priorities.
type byPriority []slog.Handler

func journalHandler(out io.Writer) slog.Handler {
	var all byPriority
	for _, p := range priorities {
		all = append(all, slog.NewTextHandler(prefixed{out, p.priority}, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
	}
	return all
}

func (b byPriority) Enabled(ctx context.Context, l slog.Level) bool { return b[0].Enabled(ctx, l) }

func (b byPriority) Handle(ctx context.Context, r slog.Record) error {
	i := 0
	for r.Level < priorities[i].from {
		i++
	}
	return b[i].Handle(ctx, r)
}

func (b byPriority) WithAttrs(attrs []slog.Attr) slog.Handler {
	return b.each(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

func (b byPriority) WithGroup(name string) slog.Handler {
	return b.each(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (b byPriority) each(with func(slog.Handler) slog.Handler) byPriority {
	all := make(byPriority, len(b))
	for i, h := range b {
		all[i] = with(h)
	}
	return all
}

// prefixed puts the priority before each line. A text handler writes a record with one Write, as one line.
type prefixed struct {
	out      io.Writer
	priority journal.Priority
}

func (p prefixed) Write(b []byte) (int, error) {
	if _, err := p.out.Write(fmt.Appendf(nil, "<%d>%s", p.priority, b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// why says why a command failed, on lines that systemd's journal takes for errors if it reads them.
func why(out io.Writer, err error) {
	text := fmt.Sprintf("ringfence: %v", err)
	if toJournal(out) {
		prefix := fmt.Sprintf("<%d>", journal.PriErr)
		text = prefix + strings.ReplaceAll(text, "\n", "\n"+prefix)
	}
	fmt.Fprintln(out, text)
}

// commandLog is where a command that works on the files itself says what is wrong with them. What it has done, it says as its answer.
func commandLog(out io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
