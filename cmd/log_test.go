package cmd

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Each record is one line with the priority of its level, whatever it says.
func TestJournalHandler(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(journalHandler(&out))
	log.Debug("left out")
	log.Info("one")
	log.With("a", 1).Warn("two\n<0>x")
	log.WithGroup("g").Error("three", "time", "kept")
	log.Log(t.Context(), slog.LevelError+4, "four")
	const want = "<6>level=INFO msg=one\n<4>level=WARN msg=\"two\\n<0>x\" a=1\n<3>level=ERROR msg=three g.time=kept\n<3>level=ERROR+4 msg=four\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// The daemon's lines have a priority where the journal reads them, and nowhere else; the reason of a start that fails too.
func TestLogToJournal(t *testing.T) {
	for _, c := range []struct {
		read bool // by the journal
		want string
	}{{true, "<3>ringfence: there is no none.toml"}, {false, "ringfence: there is no none.toml"}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		info, err := w.Stat()
		if err != nil {
			t.Fatal(err)
		}
		stat := info.Sys().(*syscall.Stat_t)
		stream := fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
		if !c.read {
			stream = "1:1" // of a process that started this one
		}
		cmd := &exec.Cmd{Path: os.Args[0], Args: []string{"ringfence", "run", "--config", "none.toml"}, Env: append(os.Environ(), "JOURNAL_STREAM="+stream), Stderr: w}
		err = cmd.Run()
		w.Close()
		text, _ := io.ReadAll(r)
		if err == nil || !strings.HasPrefix(string(text), c.want) {
			t.Errorf("read by the journal %v: %v, %q, want %q", c.read, err, text, c.want)
		}
	}
}
