package cmd

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"ringfence/policy"
	"ringfence/replay"
)

func TestReplayProgress(t *testing.T) {
	text := "src,dst,start\n" + strings.Repeat("13800138000,1,2026-03-02 09:00:00\n", 100)
	s, err := replay.Open("x", io.LimitReader(strings.NewReader(text), int64(len(text))), int64(4*len(text)), replay.SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := progressText([]*replay.Source{s}, 0, 0), "[..............................]   0%  0 calls, 0 calls/s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	p, faults := policy.Load("policy.toml", []byte("country = \"CN\"\n"))
	if p == nil {
		t.Fatal(faults)
	}
	if _, err := replay.Run(t.Context(), []*replay.Source{s}, replay.Options{Judge: replay.NewJudge(p, nil)}); err != nil {
		t.Fatal(err)
	}
	if got, want := progressText([]*replay.Source{s}, 100, 2*time.Second), "[#######.......................]  25%  100 calls, 50 calls/s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	unknown, err := replay.Open("-", strings.NewReader(text), 0, replay.SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := progressText([]*replay.Source{s, unknown}, 100, 2*time.Second), "100 calls, 50 calls/s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}

	// Without a terminal nobody is shown anything.
	var out bytes.Buffer
	a := &app{out: &out, err: &out}
	quiet := a.newProgress([]*replay.Source{s}, false)
	quiet.show(1)
	quiet.clear()
	if out.Len() > 0 {
		t.Errorf("%q", &out)
	}
	// On one, a line at most every fifth of a second, and none is left.
	seen := &progress{out: &out, sources: []*replay.Source{s}, started: time.Now()}
	seen.show(1)
	seen.show(2)
	seen.clear()
	if got := out.String(); strings.Count(got, "\r") != 2 || !strings.HasSuffix(got, "\r\x1b[K") || !strings.Contains(got, "1 calls") {
		t.Errorf("%q", got)
	}
}
