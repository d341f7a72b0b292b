package asterisk

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

//go:embed caller.xml
var callerXML string

//go:embed handset.xml
var handsetXML string

var callerTemplate, handsetTemplate = template.Must(template.New("caller").Parse(callerXML)), template.Must(template.New("handset").Parse(handsetXML))

// refusals are the final answers that a caller takes for one.
var refusals = []int{403, 404, 408, 410, 480, 484, 486, 488, 500, 503, 600, 603, 607, 608}

// caller is what caller.xml asks for. Texts may be [field0] and so on, from a file of sipp's.
type caller struct {
	From, Name, To string
	Headers        []string
	Holds          time.Duration // how long it stays in an answered call
	GivesUp        time.Duration // how long after it hears ringing or an announcement; 0 for never
	Refusals       []int
}

// handset is what handset.xml asks for.
type handset struct {
	Rings time.Duration // before it is answered
	Busy  bool
}

// Sipp is a sipp that runs.
type Sipp struct {
	cmd    *exec.Cmd
	ended  chan struct{}
	err    error
	errors string // the file that it complains into
}

// sipp starts one with a scenario, in a folder. Its messages lie beside the scenario.
func (r *Root) sipp(folder, name string, t *template.Template, data any, port, media int, args ...string) (*Sipp, error) {
	file, err := os.Create(filepath.Join(folder, name+".xml"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := t.Execute(file, data); err != nil {
		return nil, err
	}
	s := &Sipp{ended: make(chan struct{}), errors: filepath.Join(folder, name+".errors")}
	os.Remove(s.errors)
	args = append([]string{
		"-sf", file.Name(), "-i", "127.0.0.1", "-p", fmt.Sprint(port), "-mi", "127.0.0.1", "-mp", fmt.Sprint(media),
		"-nostdin", "-trace_err", "-error_file", s.errors, "-skip_rlimit",
	}, args...)
	s.cmd = r.Command("/usr/bin/sipp", args...)
	s.cmd.Dir = folder
	s.cmd.Env = append(os.Environ(), "TERM=dumb")
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.err = s.cmd.Wait(); close(s.ended) }()
	return s, nil
}

// Wait waits until it has placed its calls. A call that went otherwise than its scenario is an error. No sipp has none.
func (s *Sipp) Wait(ctx context.Context) error {
	if s == nil {
		return nil
	}
	select {
	case <-s.ended:
	case <-ctx.Done():
		s.Stop()
		return fmt.Errorf("sipp did not end: %w", ctx.Err())
	}
	if s.err == nil {
		return nil
	}
	text, _ := os.ReadFile(s.errors)
	return fmt.Errorf("sipp: %w\n%.3000s", s.err, text)
}

// Stop ends it at once, if it has not ended.
func (s *Sipp) Stop() {
	if s == nil {
		return
	}
	s.cmd.Process.Kill()
	<-s.ended
}

// bound waits until it has its port.
func (s *Sipp) bound(ctx context.Context, port int) error {
	want := fmt.Sprintf("0100007F:%04X ", port)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		table, err := os.ReadFile("/proc/net/udp")
		if err != nil || strings.Contains(string(table), want) {
			return err
		}
		select {
		case <-s.ended:
			return errors.Join(errors.New("sipp did not start"), s.Wait(ctx))
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
