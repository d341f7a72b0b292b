package conf

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ringfence/policy"
)

// The sample policy has no faults, not even warnings, and its announcements exist.
func TestSamplePolicy(t *testing.T) {
	p, faults := policy.Load("policy.toml", SamplePolicy)
	for _, f := range faults {
		t.Error(f)
	}
	if p == nil {
		t.FailNow()
	}
	if p.Mode() != policy.Observe {
		t.Error("the sample touches calls from the first minute: it must observe")
	}
	tests := p.RunTests()
	for _, r := range tests {
		if !r.Passed {
			t.Errorf("policy.toml:%d: %s", r.Line, r)
		}
	}
	if len(tests) < 10 {
		t.Errorf("the sample carries %d tests", len(tests))
	}
	s, err := InstallSounds(t.TempDir(), p.Country())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range p.Announcements() {
		if _, err := s.Find(name); err != nil {
			t.Error(err)
		}
	}
}

// The dialplan files are well-formed and keep the promises that a slip would break.
func TestDialplans(t *testing.T) {
	files, _ := filepath.Glob("freeswitch/*/*.xml")
	more, _ := filepath.Glob("freeswitch/*/*/*.xml")
	files = append(files, more...)
	if len(files) < 3 {
		t.Fatalf("files: %v", files)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		dec := xml.NewDecoder(strings.NewReader(string(b)))
		for {
			if _, err := dec.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Errorf("%s: %v", file, err)
				break
			}
		}
		if strings.Contains(string(b), "ClueCon\"") {
			t.Errorf("%s ships the password that everybody knows", file)
		}
	}
	text, _ := os.ReadFile("freeswitch/dialplan/public/00_ringfence.xml")
	order := []string{"socket_resume=true", "sched_transfer", "last_sched_id", "async full", "sched_cancel", `"unset" data="socket_resume"`}
	at := 0
	for _, step := range order {
		i := strings.Index(string(text)[at:], step)
		if i < 0 {
			t.Fatalf("00_ringfence.xml: %s is missing or out of order", step)
		}
		at += i
	}
	open, _ := os.ReadFile("freeswitch/dialplan/ringfence-open.xml")
	first := string(open)[strings.Index(string(open), "<action"):]
	if !strings.HasPrefix(first, `<action application="unset" data="socket_resume"/>`) {
		t.Error("ringfence-open.xml must unset socket_resume before anything else")
	}
}

// parseDaemon reads a text as LoadDaemon does a file, any fault of which is an error.
func parseDaemon(file string, text []byte) (*Daemon, error) {
	d, faults := readDaemon(file, text, true)
	if faults != nil {
		return nil, faults
	}
	return d, nil
}
