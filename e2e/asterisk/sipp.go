package asterisk

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	args = append([]string{"-sf", file.Name(), "-i", "127.0.0.1", "-p", fmt.Sprint(port), "-mi", "127.0.0.1", "-mp", fmt.Sprint(media),
		"-nostdin", "-trace_err", "-error_file", s.errors, "-skip_rlimit"}, args...)
	s.cmd = r.Command("/usr/bin/sipp", args...)
	s.cmd.Dir = folder
	s.cmd.Env = append(os.Environ(), "TERM=dumb")
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.err = s.cmd.Wait(); close(s.ended) }()
	return s, nil
}

// Wait waits until it has placed its calls. A call that went otherwise than its scenario is an error.
func (s *Sipp) Wait(ctx context.Context) error {
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

// Stop ends it at once.
func (s *Sipp) Stop() {
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

// Trial is an Asterisk between a caller and a handset of sipp's, with a capture of what they say to each other.
type Trial struct {
	*PBX
	Capture *Capture

	folder                string
	caller, media         int // ports
	handset, handsetMedia int
	recordings            []Recording
}

// NewTrial starts an Asterisk for scripts; see Start for the folder. sounds is the folder of the announcements that may be
// heard, LANGUAGE/NAME.wav.
func (r *Root) NewTrial(ctx context.Context, folder, sounds string, s Setup) (*Trial, error) {
	t := &Trial{folder: filepath.Join(folder, "sipp")}
	for _, port := range []*int{&t.caller, &t.media, &t.handset, &t.handsetMedia} {
		var err error
		if *port, err = FreePort(); err != nil {
			return nil, err
		}
		*port &^= 1 // media has an even port
	}
	var err error
	if t.recordings, err = ReadRecordings(sounds); err != nil {
		return nil, err
	}
	s.Handset = fmt.Sprintf("127.0.0.1:%d", t.handset)
	if t.Capture, err = StartCapture(t.caller, t.media, t.handset, t.handsetMedia); err != nil {
		return nil, err
	}
	if t.PBX, err = r.Start(ctx, folder, s); err == nil {
		err = os.Mkdir(t.folder, 0o755)
	}
	if err != nil {
		t.Capture.Stop()
	}
	return t, err
}

// Stop ends it all.
func (t *Trial) Stop() {
	t.Capture.Stop()
	t.PBX.Stop()
}

// Place places the call of a script, and says what was met once no channel is left.
func (t *Trial) Place(ctx context.Context, s *Script) (Met, error) {
	from := len(t.Capture.Packets())
	phone, err := t.root.sipp(t.folder, "handset", handsetTemplate, handset{Rings: s.HandsetRings, Busy: s.Busy}, t.handset, t.handsetMedia)
	if err != nil {
		return Met{}, err
	}
	defer phone.Stop()
	if err := phone.bound(ctx, t.handset); err != nil {
		return Met{}, err
	}
	name := ""
	if s.Display != "" {
		name = `"` + s.Display + `" `
	}
	calls, err := t.root.sipp(t.folder, "caller", callerTemplate,
		caller{From: s.From, Name: name, To: s.To, Headers: s.Headers, Holds: s.Holds, GivesUp: s.GivesUp, Refusals: refusals},
		t.caller, t.media, "-m", "1", t.Address)
	if err != nil {
		return Met{}, err
	}
	if err := errors.Join(calls.Wait(ctx), t.Idle()); err != nil {
		return Met{}, err
	}
	return t.met(slices.Clone(t.Capture.Packets()[from:])), nil
}
