// Package cmd is the command line: it reads arguments, asks the running daemon or, when none runs, works on
// the files, and prints for people or, with --json, for programs.
package cmd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // a policy's time zone must be known on a machine without that package too

	"github.com/alecthomas/kong"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/daemon"
	"ringfence/terminal"
)

// Exit statuses.
const (
	done    = 0 // done
	failed  = 1 // it could not be done; the reason is on standard error
	misused = 2 // wrong usage
)

// commands is the command line as kong reads it. Flags may stand anywhere.
type commands struct {
	Config string `default:"${config}" placeholder:"FILE" help:"The daemon's file (${config})."`
	JSON   bool   `help:"Print JSON, one object a line."`

	Version kong.VersionFlag `help:"Print the version."`

	Demo  demoCmd  `cmd:"" group:"See what it does" help:"Watch the calls of a simulated FreeSWITCH being screened."`
	Check checkCmd `cmd:"" group:"See what it does" help:"Say what would happen to a call, and why, rule by rule."`

	Policy    policyCmd    `cmd:"" group:"What is done with calls" help:"Check, test and replay a policy; put it in force."`
	List      listCmd      `cmd:"" group:"What is done with calls" help:"Look at the lists and change them."`
	Line      lineCmd      `cmd:"" group:"What is done with calls" help:"Look at the lines of the database and change them."`
	Feeds     feedsCmd     `cmd:"" group:"What is done with calls" help:"Look at the lists that others keep."`
	Reports   reportsCmd   `cmd:"" group:"What is done with calls" help:"Review what people reported as a nuisance."`
	Known     knownCmd     `cmd:"" group:"What is done with calls" help:"Look at whom your lines deal with, and import address books."`
	Detectors detectorsCmd `cmd:"" group:"What is done with calls" help:"Look at what detectors count and what is tripped; hold a breaker."`
	Pause     pauseCmd     `cmd:"" group:"What is done with calls" help:"Let every call pass, and record it, until resumed."`
	Resume    resumeCmd    `cmd:"" group:"What is done with calls" help:"Screen calls again."`

	Journal journalCmd `cmd:"" group:"What was done" help:"Read the record of decisions."`
	Score   scoreCmd   `cmd:"" group:"What was done" help:"Propose weights of the score by what people decided."`
	Status  statusCmd  `cmd:"" group:"What was done" help:"Say how the running daemon is."`
	Audit   auditCmd   `cmd:"" group:"What was done" help:"Say who changed what, from where, and who tried to."`
	Forget  forgetCmd  `cmd:"" group:"What was done" help:"Forget a number: all that is held of it."`

	User  userCmd  `cmd:"" group:"The console" help:"Say who may use the console."`
	Token tokenCmd `cmd:"" group:"The console" help:"Make tokens by which scripts use the console's API."`

	Freeswitch freeswitchCmd `cmd:"" group:"Your switch" name:"freeswitch" help:"Put the dialplan into FreeSWITCH, and check that it works."`
	Asterisk   asteriskCmd   `cmd:"" group:"Your switch" name:"asterisk" help:"Put the subroutine into Asterisk, and check that it works."`

	Run        runCmd     `cmd:"" group:"The daemon and its data" help:"Run the daemon in the foreground, logging to standard error."`
	Backup     backupCmd  `cmd:"" group:"The daemon and its data" help:"Write a copy of the database, while the daemon runs or not."`
	Storage    storageCmd `cmd:"" group:"The daemon and its data" help:"Verify the database, make it smaller, put a backup in place."`
	Cluster    clusterCmd `cmd:"" group:"The daemon and its data" help:"Look at the nodes that have the same lists; take one out."`
	VersionCmd versionCmd `cmd:"" group:"The daemon and its data" name:"version" help:"Print the version."`
}

// app is what every command gets.
type app struct {
	ctx    context.Context
	config string
	json   bool
	in     io.Reader
	out    io.Writer
	err    io.Writer
}

// usageError is a mistake in how the command was called.
type usageError struct{ text string }

func (u usageError) Error() string { return u.text }

// errSilent is for failures that have been reported already.
var errSilent = errors.New("")

// Main runs one command and returns the exit status.
func Main(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	exited := -1
	parser, err := kong.New(&c, kong.Name("ringfence"), kong.Description(about),
		kong.Vars{"config": conf.DefaultFile, "version": "ringfence " + thisBuild().String()}, kong.Writers(out, errs),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: terminal.Page}), kong.Help(printHelp),
		kong.Exit(func(code int) { exited = code; panic(helpShown{}) }))
	if err != nil {
		fmt.Fprintln(errs, "ringfence:", err)
		return failed
	}
	if len(args) == 0 {
		overview(errs, parser.Model)
		return misused
	}
	parsed, err := parse(parser, asHelp(args))
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintf(errs, "ringfence: %s\n", misunderstood(err))
		return misused
	}
	ctx = console.WithBy(ctx, console.By{Who: whoami(), From: console.FromCommandLine})
	// Who may open the files of the daemon is an administrator, as who may use its socket is.
	ctx = console.WithWho(ctx, &console.Who{Name: whoami(), Way: console.BySocket, Role: console.Admin})
	a := &app{ctx: ctx, config: c.Config, json: c.JSON, in: in, out: out, err: errs}
	err = parsed.Run(a)
	var usage usageError
	switch {
	case err == nil:
		return done
	case errors.As(err, &usage):
		fmt.Fprintf(errs, "ringfence: %v\nTry `ringfence %s --help`.\n", err, commandOf(parsed))
		return misused
	case !errors.Is(err, errSilent):
		why(errs, err)
	}
	return failed
}

// helpShown unwinds out of kong once it has printed what was asked for: kong counts on the process ending
// there, which is not a library's to do.
type helpShown struct{}

func parse(parser *kong.Kong, args []string) (ctx *kong.Context, err error) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(helpShown); !ok {
				panic(p)
			}
		}
	}()
	return parser.Parse(args)
}

// desk is the running daemon, or the files if none runs. Anything in the way but a missing or refusing
// socket is an error: a daemon that does not answer must not have its files changed behind its back.
type desk struct {
	console.Desk
	close func()
}

func (a *app) desk(readOnly bool) (*desk, error) {
	client, _, err := a.dial()
	if err == nil {
		return &desk{client, client.Close}, nil
	}
	if !errors.Is(err, console.ErrNotRunning) {
		return nil, err
	}
	c, err := conf.LoadForCommand(a.config)
	if err != nil {
		return nil, err
	}
	d, err := daemon.OpenDesk(c, readOnly, commandLog(a.err))
	if err != nil {
		return nil, err
	}
	return &desk{d.Guarded(), func() { d.Close() }}, nil
}

// withDesk does something with a desk and closes it.
func (a *app) withDesk(readOnly bool, do func(d *desk) error) error {
	d, err := a.desk(readOnly)
	if err != nil {
		return err
	}
	defer d.close()
	return do(d)
}

// dial reaches the running daemon through the socket that its file names, the only thing of the file that is needed for that: the
// passwords in it are not for everybody who may give commands, and faults that it has by now are of its next start.
func (a *app) dial() (client *console.Client, socket string, err error) {
	socket, faults := conf.FindSocket(a.config)
	if socket == "" {
		return nil, "", faults
	}
	client, err = console.Dial(a.ctx, socket)
	if err == nil && faults != nil {
		fmt.Fprintf(a.err, "ringfence: the daemon runs with what its file said when it started; what it says now has faults:\n%v\n", faults)
	}
	return client, socket, err
}

// running is the running daemon, for commands that mean nothing without one.
func (a *app) running() (*console.Client, error) {
	client, socket, err := a.dial()
	if errors.Is(err, console.ErrNotRunning) {
		if _, faults := conf.LoadForCommand(a.config); faults != nil {
			return nil, fmt.Errorf("the daemon is not running (nobody answers on %s), and its file has faults:\n%w", socket, faults)
		}
		return nil, fmt.Errorf("the daemon is not running (nobody answers on %s): start it with `systemctl start ringfence` or `ringfence run`", socket)
	}
	return client, err
}

// bufferedApp is an app that prints what may be long: flush writes the rest of it.
type bufferedApp struct {
	app
	flush func() error
}

func (a *app) buffered() *bufferedApp {
	out := bufio.NewWriter(a.out)
	b := &bufferedApp{*a, out.Flush}
	b.out = out
	return b
}

// print writes one JSON object, or the line for people.
func (a *app) print(v any, format string, args ...any) error {
	if a.json {
		enc := json.NewEncoder(a.out)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	_, err := fmt.Fprintf(a.out, format+"\n", args...)
	return err
}
