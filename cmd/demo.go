package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/daemon"
	"ringfence/standin"
	"ringfence/terminal"
)

type demoCmd struct {
	Calls int `placeholder:"N" help:"Place N calls and end, also on a terminal."`
}

// demoSpeed is how much faster than life the demo's calls come and its announcements play.
const demoSpeed = 2

func (c *demoCmd) Run(a *app) error {
	if c.Calls < 0 {
		return usageError{"--calls: a number of calls"}
	}
	folder, err := os.MkdirTemp("", "rf")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	zone := morningZone(time.Now())
	file, err := layOutDemo(folder, zone)
	if err != nil {
		return err
	}
	if time.Local, err = time.LoadLocation(zone); err != nil { // the times that reasons have are those beside the calls
		return err
	}
	settings, err := conf.LoadDaemon(file)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelError})) // what trips is shown at the end
	if err := demoLists(a.ctx, settings); err != nil {
		return err
	}
	d, err := daemon.Start(a.ctx, settings, thisBuild().String(), log)
	if err != nil {
		return err
	}
	defer stop(d, log)
	scenario, err := standin.LoadScenario(standin.DemoScenario)
	if err != nil {
		return err
	}
	if c.Calls > 0 {
		scenario = scenario.Take(c.Calls)
	}
	stays := c.Calls == 0 && terminal.Is(a.out)
	if !a.json {
		fmt.Fprintln(a.out, terminal.Wrap(fmt.Sprintf("A simulated FreeSWITCH places %d calls to a daemon on %s, twice as fast as life: a sales campaign among the calls of a firm's "+
			"morning. The policy is the sample (conf/policy.toml), enforced with its detectors, and a rule more for foreign calls to the hotline.", len(scenario.Calls), d.Address()), terminal.Page, 0, 0))
		fmt.Fprintln(a.out)
		sayConsole(a.out, d)
	}
	run := &demoRun{app: a, paint: terminal.Painter(a.out)}
	if err := run.place(d, scenario); err != nil {
		return err
	}
	if err := run.summary(); err != nil {
		return err
	}
	if a.json {
		return nil
	}
	if err := run.detectors(d); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	if stays {
		nextWithDaemon(a.out, program(), file)
		<-a.ctx.Done()
		fmt.Fprintln(a.out)
		return nil
	}
	nextWithout(a.out, program())
	return nil
}

// sayConsole says where the demo is to be seen in a browser. The link is that of any first administrator, and works once.
func sayConsole(out io.Writer, d *daemon.Daemon) {
	fmt.Fprintf(out, "In a browser, with the calls as they come, while this runs:\n\n  %s/\n\nTo sign in, choose a password by this link, which works once:\n\n  %s\n\n",
		strings.TrimSuffix(d.ConsoleAddress(), "/"), d.FirstLink())
}

// nextWithDaemon says what can be asked of the demo's daemon while it stays.
func nextWithDaemon(out io.Writer, program, file string) {
	fmt.Fprint(out, "The daemon stays until Ctrl-C. Ask it, in another terminal:\n\n")
	for _, command := range []string{"journal tail", "detectors", "check 95211613 05925550100", "list add blacklist 13800138000", "status"} {
		fmt.Fprintf(out, "  %s --config %s %s\n", program, file, command)
	}
	fmt.Fprint(out, "\nREADME.md says how it is installed beside a switch of yours.\n")
}

// nextWithout says what can be tried without a daemon.
func nextWithout(out io.Writer, program string) {
	fmt.Fprint(out, "Try next:\n\n")
	type command struct{ text, does string }
	commands := []command{{program + " demo", "on a terminal: the daemon stays, to be asked"}}
	if _, err := os.Stat("conf/policy.toml"); err == nil {
		commands = append(commands,
			command{program + " check --policy conf/policy.toml 95211613 05925550100", "why, rule by rule"},
			command{program + " policy test conf/policy.toml", "the calls that the policy was written for"})
	}
	for _, c := range append(commands, command{program + " help", "all commands"}) {
		fmt.Fprintf(out, "  # %s\n  %s\n", c.does, c.text)
	}
	fmt.Fprint(out, "\nREADME.md says how it is installed beside a switch of yours.\n")
}

// hotlineAbroad shows what divert does, which the sample has no use for.
const hotlineAbroad = `[[rule]]
name   = "hotline from abroad"
when   = { caller_kind = ["international"], line = ["hotline"] }
action = "divert"
to     = "voicemail"

`

// morningZone is a time zone in which it is between ten and eleven o'clock in the morning: the demo's calls do not depend on when it
// is given.
func morningZone(now time.Time) string {
	offset := 10 - now.UTC().Hour() // hours east of Greenwich, from -13 to 10; the names of these zones count the other way
	switch {
	case offset < -12:
		offset += 24
	case offset == 0:
		return "Etc/GMT"
	}
	return fmt.Sprintf("Etc/GMT%+d", -offset)
}

// onTrial is where the sample only observes: as a whole, and each of its detectors.
var onTrial = regexp.MustCompile(`(?m)^mode +=\s*"observe"`)

// layOutDemo writes a daemon's file and the sample policy, enforced, into a folder.
func layOutDemo(folder, zone string) (string, error) {
	const first = "# 1. Whom you trust"
	text := "policy = \"policy.toml\"\ndata = \"data\"\nnode = \"demo\"\nsocket = \"ringfence.sock\"\n[screen]\nlisten = \"127.0.0.1:0\"\n[console]\nlisten = \"127.0.0.1:0\"\n"
	enforced := onTrial.ReplaceAllString(string(conf.SamplePolicy), `mode = "enforce"`)
	enforced = strings.Replace(enforced, `"Asia/Shanghai"`, strconv.Quote(zone), 1)
	enforced = strings.Replace(enforced, first, hotlineAbroad+first, 1)
	file := filepath.Join(folder, "d.toml") // short, as is the folder: commands with it are to fit on a line
	return file, errors.Join(
		os.Mkdir(filepath.Join(folder, "data"), 0o755),
		os.WriteFile(file, []byte(text), 0o600),
		os.WriteFile(filepath.Join(folder, "policy.toml"), []byte(enforced), 0o600))
}

// demoLists fills two lists before the daemon starts, as `ringfence list add` would.
func demoLists(ctx context.Context, settings *conf.Daemon) error {
	desk, err := daemon.OpenDesk(settings, false, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer desk.Close()
	for list, entries := range map[string][]console.NewEntry{
		"blacklist": {{Number: "95211613", Reason: "fake JD service"}, {Number: "9520131?", Reason: "prize calls, reported by 12 colleagues"}},
		"allowlist": {{Number: "13459250001", Reason: "our courier"}, {Number: "95213333", Reason: "our insurer's claims desk"}},
	} {
		if _, err := desk.AddEntries(ctx, list, entries, false); err != nil {
			return err
		}
	}
	return nil
}
