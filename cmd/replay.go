package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/lists"
	"ringfence/policy"
	"ringfence/replay"
	"ringfence/terminal"
)

type policyReplayCmd struct {
	Calls   []string `arg:"" name:"calls" help:"Journals (JSON lines or CSV) or call detail records (CSV); - for standard input."`
	Policy  string   `required:"" placeholder:"FILE" help:"The policy to run them through."`
	Against string   `placeholder:"FILE" help:"The policy to compare with (default: what a journal says was decided)."`
	Changes int      `default:"20" placeholder:"N" help:"List the first N changed verdicts, 0 for all (20; --json: all)."`

	Format   string   `enum:"auto,jsonl,csv" default:"auto" help:"What the files are: auto, jsonl or csv."`
	NoHeader bool     `help:"The first row of a CSV file is a call."`
	Caller   string   `placeholder:"COLUMN" help:"The column of the caller's number: its name, or its number from 1."`
	Callee   string   `placeholder:"COLUMN" help:"The column of the called number."`
	Time     string   `placeholder:"COLUMN" help:"The column of when the call came in."`
	Talk     string   `placeholder:"COLUMN" help:"The column of the seconds of conversation."`
	Answered string   `placeholder:"COLUMN" help:"The column that says whether somebody answered."`
	Name     string   `placeholder:"COLUMN" help:"The column of the caller's name."`
	Trunk    string   `placeholder:"COLUMN" help:"The column of the trunk: its name, or its gateway, endpoint, profile or address."`
	Context  []string `placeholder:"NAME" help:"Only calls of this dialplan context, such as public or from-trunk."`
	Zone     string   `placeholder:"ZONE" help:"The clock of times without an offset, such as UTC (default: the policy's)."`

	Label      string `placeholder:"COLUMN" help:"The column that says which calls were unwanted: 1, yes, spam …, or the name of a campaign; empty, 0, no: wanted."`
	WantedPass bool   `help:"Who is labelled as wanted passes challenges, and is remembered for it (default: nobody passes one)."`
	TimeFormat string `placeholder:"FORMAT" help:"How times are written, such as '%d.%m.%Y %H:%M' (as in strftime; default: found out)."`
}

func (c *policyReplayCmd) Run(a *app) error {
	if c.Changes < 0 {
		return usageError{"--changes: a number of calls, 0 for all"}
	}
	if err := replay.CheckTimeFormat(c.TimeFormat); err != nil {
		return usageError{err.Error()}
	}
	columns := replay.Columns{Caller: c.Caller, Callee: c.Callee, Time: c.Time, Talk: c.Talk, Answered: c.Answered, Name: c.Name, Trunk: c.Trunk, Label: c.Label}
	if err := columns.Check(c.NoHeader); err != nil {
		return usageError{err.Error()}
	}
	if c.WantedPass && c.Label == "" {
		return usageError{"--wanted-pass: say with --label which calls were wanted"}
	}
	judges, err := c.judges(a)
	if err != nil {
		return err
	}
	zone := judges[0].Policy.Zone()
	if c.Zone != "" {
		if zone, err = time.LoadLocation(c.Zone); err != nil {
			return usageError{fmt.Sprintf("--zone: there is no time zone %q: write a name of the tz database, such as UTC or Asia/Shanghai", c.Zone)}
		}
	}
	var sources []*replay.Source
	for _, name := range c.Calls {
		in, size, err := c.open(a, name)
		if err != nil {
			return err
		}
		defer in.Close()
		s, err := replay.Open(name, in, size, replay.SourceOptions{Format: c.Format, NoHeader: c.NoHeader, Columns: columns, Contexts: c.Context, Zone: zone, TimeFormat: c.TimeFormat})
		if err != nil {
			return err
		}
		sources = append(sources, s)
	}
	if err := a.loadLists(judges); err != nil {
		return err
	}
	o := replay.Options{Judge: judges[0], Keep: c.Changes, WantedPass: c.WantedPass}
	if len(judges) > 1 {
		o.Against = judges[1]
	}
	if a.json || c.Changes == 0 {
		o.Change = func(ch *replay.Change) error { return a.printChange(ch) }
	}
	progress := a.newProgress(sources, o.Change != nil)
	buffer := bufio.NewWriterSize(a.out, 1<<16)
	defer buffer.Flush()
	a = &app{ctx: a.ctx, config: a.config, json: a.json, in: a.in, out: buffer, err: a.err}
	o.Progress = progress.show
	report, err := replay.Run(a.ctx, sources, o)
	progress.clear()
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	} else if err != nil {
		return err
	}
	for _, f := range report.Faults {
		fmt.Fprintf(a.err, "%s:%d: %s\n", f.File, f.Line, f.Text) // what it quotes of the file it quotes like Go: no control characters
	}
	if more := report.Summary.Bad - uint64(len(report.Faults)); more > 0 {
		fmt.Fprintf(a.err, "more lines that could not be read: %d\n", more)
	}
	if s := report.Summary; s.Rows == s.Bad {
		return fmt.Errorf("no call could be read from %s", strings.Join(c.Calls, ", "))
	}
	if a.json {
		err = a.printReplayJSON(report)
	} else {
		p := &replayPrinter{out: a.out, report: report, command: c, sources: sources, listed: o.Change == nil}
		err = p.print()
	}
	return errors.Join(err, buffer.Flush())
}

// judges loads the policy to try, and the one to compare with if there is one.
func (c *policyReplayCmd) judges(a *app) ([]*replay.Judge, error) {
	var judges []*replay.Judge
	for _, file := range []string{c.Policy, c.Against} {
		if file == "" {
			continue
		}
		text, err := conf.ReadFile(file)
		if err != nil {
			return nil, err
		}
		p, faults := policy.Load(file, text)
		if p == nil {
			for _, f := range faults {
				if !f.Warning {
					fmt.Fprintln(a.err, f)
				}
			}
			return nil, fmt.Errorf("%s has faults, so no call can be run through it", file)
		}
		judges = append(judges, replay.NewJudge(p, nil))
	}
	return judges, nil
}

// open opens a file of calls. size is 0 where it is not known.
func (c *policyReplayCmd) open(a *app, name string) (in io.ReadCloser, size int64, err error) {
	if name == "-" {
		if n := len(c.Calls); n > 1 && slices.Index(c.Calls, "-") != n-1 {
			return nil, 0, usageError{"- is standard input, which can be read once: give it as the last of the files"}
		}
		return io.NopCloser(a.in), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	return f, size, nil
}

// loadLists fills the lists that the policies ask for, as they are now, and the lines of the database. Their numbers are read as each policy
// reads numbers.
func (a *app) loadLists(judges []*replay.Judge) error {
	asked := false
	for _, j := range judges {
		asked = asked || len(j.Policy.Lists())+len(j.Policy.OwnLists())+len(j.Policy.Profiles()) > 0
	}
	if _, err := os.Stat(a.config); errors.Is(err, fs.ErrNotExist) && a.config == conf.DefaultFile {
		if !asked {
			return nil
		}
		fmt.Fprintf(a.err, "there is no %s, so all lists are taken as empty, and there are no lines of the database: name the daemon's file with --config\n", a.config)
		return nil
	}
	d, err := a.desk(true)
	if err != nil && !asked {
		fmt.Fprintf(a.err, "the lines of the database are not looked at: %s\n", err)
		return nil
	} else if err != nil {
		return err
	}
	defer d.close()
	infos, err := d.Lists(a.ctx)
	if err != nil {
		return err
	}
	for _, j := range judges {
		if err := a.loadLines(d, j); err != nil {
			return err
		}
		lists, plan, strays := lists.New(), j.Policy.Plan(), 0
		for _, l := range infos {
			if isOwn, err := a.loadOwn(d, lists, plan, l.List); err != nil {
				return err
			} else if isOwn {
				continue
			}
			load := lists.Load(l.List)
			err := d.Entries(a.ctx, l.List, func(e console.ListEntry) error {
				pattern, err := plan.Again(e.Number)
				if err != nil {
					strays++
					return nil
				}
				load.AddRecords(pattern, sourcesOf(&e))
				return nil
			})
			if err != nil {
				return err
			}
			load.Done()
		}
		if strays > 0 {
			fmt.Fprintf(a.err, "%d list entries are no numbers of the policy's country and match no call\n", strays)
		}
		j.Lists = lists
	}
	return nil
}

func (a *app) printChange(c *replay.Change) error {
	return a.print(changeLine{"change", c}, "%s", changeText(c))
}

// progress shows a line on a terminal while a replay runs.
type progress struct {
	out     io.Writer // nil: nobody watches
	sources []*replay.Source
	started time.Time
	last    time.Time
	shown   bool
}

// newProgress makes one for the terminal. streams says that results are printed meanwhile: on the same terminal
// the two would get in each other's way.
func (a *app) newProgress(sources []*replay.Source, streams bool) *progress {
	p := &progress{sources: sources, started: time.Now()}
	if terminal.Is(a.err) && !(streams && terminal.Is(a.out)) {
		p.out = a.err
	}
	return p
}

func (p *progress) show(calls uint64) {
	now := time.Now()
	if p.out == nil || now.Sub(p.last) < 200*time.Millisecond {
		return
	}
	p.last, p.shown = now, true
	fmt.Fprintf(p.out, "\r%s\x1b[K", progressText(p.sources, calls, now.Sub(p.started)))
}

// clear takes the line off the terminal.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// progressText is how far a replay is. Without the size of each file there are no percent.
func progressText(sources []*replay.Source, calls uint64, took time.Duration) string {
	var read, size int64
	known := true
	for _, s := range sources {
		read += s.Read()
		size += s.Size
		known = known && s.Size > 0
	}
	text := fmt.Sprintf("%d calls, %.0f calls/s", calls, float64(calls)/max(took.Seconds(), 0.001))
	if !known {
		return text
	}
	const width = 30
	share := min(float64(read)/float64(max(size, 1)), 1)
	full := int(share * width)
	return fmt.Sprintf("[%s%s] %3.0f%%  %s", strings.Repeat("#", full), strings.Repeat(".", width-full), 100*share, text)
}
