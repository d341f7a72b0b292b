// Command demosip runs the main job with a real switch: it gets an Asterisk and a sipp from Debian's packages, starts the
// daemon, places real SIP calls, and says of each what its caller met and whether the handset rang. It leaves nothing
// behind; an Asterisk that the tests got before is used, and stays.
//
//	go run ./e2e/demosip ./ringfence
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/e2e/asterisk"
	"ringfence/number"
	"ringfence/terminal"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demosip RINGFENCE, the program")
		os.Exit(2)
	}
	os.Exit(withCache(func() int { return asterisk.Main(demo) }))
}

// withCache has what is got lie in a folder that is removed in the end, unless it is there already.
func withCache(run func() int) int {
	if _, err := os.Stat(filepath.Join(asterisk.Cache(), "root")); err == nil {
		return run()
	}
	fmt.Println("Getting Asterisk and sipp from Debian's packages, 30 MB …")
	folder, err := os.MkdirTemp("", "ringfence-asterisk-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo-sip:", err)
		return 1
	}
	defer os.RemoveAll(folder)
	os.Setenv("RINGFENCE_ASTERISK", folder)
	return run()
}

func demo() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1]); {
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "\ndemo-sip: stopped; nothing is left behind")
		return 1
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo-sip:", err)
		return 1
	}
	return 0
}

func run(ctx context.Context, program string) (err error) {
	folder, err := os.MkdirTemp("", "rfdemo") // short: sockets lie in it
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	root, err := asterisk.Get()
	if err != nil {
		return err
	}
	d, err := startDaemon(ctx, program, folder)
	if err != nil {
		return err
	}
	defer d.stop()
	pbx := filepath.Join(folder, "pbx")
	if err := os.Mkdir(pbx, 0o755); err != nil {
		return err
	}
	trial, err := root.NewTrial(ctx, pbx, filepath.Join(folder, "data", "sounds", "8000"), asterisk.Setup{AGI: d.agi})
	if err != nil {
		return err
	}
	defer trial.Stop()
	version, err := trial.CLI("core show version")
	if err != nil {
		return err
	}
	scripts, err := asterisk.ReadScripts(asterisk.Calls, "calls/demo.calls")
	if err != nil {
		return err
	}
	release, _, _ := strings.Cut(version, " built")
	fmt.Println(terminal.Wrap(fmt.Sprintf("%s takes %d calls on %s and asks the daemon on %s. The policy is the sample (conf/policy.toml), enforced.",
		release, len(scripts)+1, trial.Address, d.agi), terminal.Page, 0, 0))
	fmt.Println()
	return placeAll(ctx, d, trial, scripts)
}

// placeAll places the calls, and one more while the daemon is stopped, and says what came of each.
func placeAll(ctx context.Context, d *process, trial *asterisk.Trial, scripts []asterisk.Script) error {
	paint, actions, rang := terminal.Painter(os.Stdout), map[string]int{}, 0
	place := func(s *asterisk.Script, decided func() (action, why string, err error)) error {
		callCtx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		met, err := trial.Place(callCtx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		action, why, err := decided()
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		actions[action]++
		if met.Rings != "" {
			rang++
		}
		const indent = 10
		line := func(text string) {
			fmt.Printf("%*s%s\n", indent, "", terminal.Wrap(text, terminal.Page, indent, indent+2))
		}
		fmt.Printf("%s%s\n", paint.Action(action, terminal.Pad(strings.ToUpper(action), indent)), terminal.Wrap(s.Name, terminal.Page, indent, indent))
		line(number.Inert(strings.TrimSpace(s.From+" "+s.Display)) + " → " + s.To)
		line("⇒ " + whatWasMet(s, met))
		line(why)
		return nil
	}
	for i := range scripts {
		s := &scripts[i]
		if err := place(s, func() (string, string, error) {
			r, err := d.record(ctx, s.To)
			return r.Action, number.Inert(r.Rule) + ": " + number.InertUpTo(r.Reason, 200), err
		}); err != nil {
			return err
		}
	}
	d.stop()
	if err := place(&asterisk.Script{Name: "A customer, while the daemon is stopped", From: "13705920087", To: "05925550117", Holds: 300 * time.Millisecond, HandsetRings: 100 * time.Millisecond},
		func() (string, string, error) {
			return "fail-open", "nobody listened on the daemon's port, so the switch let the call go on", nil
		}); err != nil {
		return err
	}
	var counts []string
	for _, a := range slices.Sorted(maps.Keys(actions)) {
		counts = append(counts, fmt.Sprintf("%s %d", a, actions[a]))
	}
	fmt.Printf("\n%d calls, %d handsets rang\nby action: %s\n\n", len(scripts)+1, rang, strings.Join(counts, ", "))
	fmt.Println("Next: README.md, \"Install it\", then \"Asterisk\" or \"FreeSWITCH\".")
	return nil
}

// whatWasMet says it in words.
func whatWasMet(s *asterisk.Script, m asterisk.Met) string {
	var said []string
	if len(m.Hears) > 0 {
		heard := slices.DeleteFunc(slices.Clone(m.Hears), func(name string) bool { return name == "?" })
		if len(heard) == 0 {
			heard = []string{"the beginning of an announcement"}
		}
		said = append(said, "heard "+strings.Join(heard, ", "))
	}
	if m.Rings != "" {
		callee, name, named := strings.Cut(m.Rings, " ")
		text := "handset " + number.Inert(callee) + " rang"
		if s.Busy {
			text = "handset " + number.Inert(callee) + " was called, and is busy"
		}
		if named {
			text += " and showed " + number.Inert(strings.Trim(name, `"`))
		}
		said = append(said, text)
	} else {
		said = append(said, "no handset rang")
	}
	return strings.Join(said, ", ") + " (SIP " + strings.Join(m.Sees, " ") + ")"
}

// process is a daemon that runs.
type process struct {
	program, file string
	agi           string
	cmd           *exec.Cmd
	said          bytes.Buffer
	ended         chan struct{}
}

// startDaemon runs the program with the sample policy, enforced, and two lists that have entries.
func startDaemon(ctx context.Context, program, folder string) (*process, error) {
	port, err := asterisk.FreePort()
	if err != nil {
		return nil, err
	}
	program, err = filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	d := &process{program: program, file: filepath.Join(folder, "ringfence.toml"), agi: fmt.Sprintf("127.0.0.1:%d", port), ended: make(chan struct{})}
	rules := strings.Replace(string(conf.SamplePolicy), `mode     = "observe"`, `mode     = "enforce"`, 1)
	rules = strings.Replace(rules, "\n[[rule]]", "\n[trunks.telecom]\nmatch = [\"endpoint:telecom\"]\nidentity = [\"pai\", \"from\"]\n\n[[rule]]", 1)
	err = errors.Join(
		os.Mkdir(filepath.Join(folder, "data"), 0o755),
		os.WriteFile(d.file, fmt.Appendf(nil, "policy = \"policy.toml\"\ndata = \"data\"\nnode = \"demo\"\nsocket = \"s\"\n[screen]\nlisten = \"127.0.0.1:0\"\n[agi]\nlisten = %q\n", d.agi), 0o600),
		os.WriteFile(filepath.Join(folder, "policy.toml"), []byte(rules), 0o600))
	if err != nil {
		return nil, err
	}
	for _, add := range [][]string{
		{"blacklist", "95211613", "--reason", "fake JD service"},
		{"blacklist", "9520131?", "--reason", "prize calls, reported by 12 colleagues"},
		{"allowlist", "13459250001", "--reason", "our courier"},
		{"allowlist", "95213333", "--reason", "our insurer's claims desk"},
	} {
		if _, err := d.command(ctx, append([]string{"list", "add"}, add...)...); err != nil {
			return nil, err
		}
	}
	d.cmd = exec.Command(program, "run", "--config", d.file)
	d.cmd.Stderr = &d.said
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { d.cmd.Wait(); close(d.ended) }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); ; <-tick.C {
		out, err := d.command(ctx, "status", "--json")
		if err == nil && bytes.Contains(out, []byte(d.agi)) {
			return d, nil
		}
		select {
		case <-d.ended:
			return nil, fmt.Errorf("the daemon ended: %s", d.said.Bytes())
		default:
		}
		if time.Now().After(end) {
			d.stop()
			return nil, fmt.Errorf("the daemon did not come up: %s", d.said.Bytes())
		}
	}
}

// command runs a command of the program's.
func (d *process) command(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.program, append([]string{"--config", d.file}, args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", d.program, args[0], err, said.Bytes())
	}
	return out, nil
}

// record is the journal's of the call to a number, which comes a moment after the call.
func (d *process) record(ctx context.Context, callee string) (r console.Record, err error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); <-tick.C {
		out, err := d.command(ctx, "journal", "tail", "--json", "--callee", callee)
		if err != nil {
			return r, err
		}
		if line, _, ok := bytes.Cut(out, []byte("\n")); ok {
			return r, json.Unmarshal(line, &r)
		}
	}
	return r, fmt.Errorf("the journal has no call to %s", callee)
}

// stop ends the daemon, unless it has ended.
func (d *process) stop() {
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(10 * time.Second):
		d.cmd.Process.Kill()
		<-d.ended
	}
}
