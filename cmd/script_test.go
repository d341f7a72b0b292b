package cmd

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/standin"
)

// The scripts in testdata read like a session in a terminal, with the real program, a real socket and a
// simulated switch (`call`).
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"ringfence": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
		"call":      func() { os.Exit(call(os.Args[1:])) },
		"ready":     func() { os.Exit(ready(os.Args[1])) },
		"report":    func() { os.Exit(report(os.Args[1:])) },
	})
}

func TestScripts(t *testing.T) {
	if underRace {
		t.Skip("NOT TESTED under the race detector, but for TestScriptsOfDaemons; `make test` runs this once more without it")
	}
	runScripts(t, testscript.Params{Dir: "testdata"})
}

// TestScriptsOfDaemons runs those in which daemon and commands meet most, under the race detector as well.
func TestScriptsOfDaemons(t *testing.T) {
	if !underRace {
		t.Skip("without the race detector TestScripts runs all of them")
	}
	var files []string
	for _, name := range []string{"call", "linesdaemon", "pause", "policyversions", "reports", "users"} {
		files = append(files, filepath.Join("testdata", name+".txtar"))
	}
	runScripts(t, testscript.Params{Files: files})
}

func runScripts(t *testing.T, p testscript.Params) {
	testscript.Run(t, testscript.Params{
		Dir: p.Dir, Files: p.Files,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"bigpolicy": bigPolicy, "append": appendFile},
		Setup: func(e *testscript.Env) error {
			// A socket's path must be short, and a port free.
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			defer ln.Close()
			socket := filepath.Join(os.TempDir(), fmt.Sprintf("rf-%d-%d.sock", os.Getpid(), time.Now().UnixNano()%1e9))
			e.Defer(func() { os.Remove(socket) })
			e.Setenv("SCREEN", ln.Addr().String())
			e.Setenv("GORACE", "atexit_sleep_ms=10") // each command would end a second later under the race detector
			field, err := filepath.Abs("../desk/testdata/lists")
			if err != nil {
				return err
			}
			e.Setenv("FIELD", field)
			text := fmt.Sprintf("policy = %q\ndata = %q\nnode = \"pbx1\"\nsocket = %q\n[screen]\nlisten = %q\n", "policy.toml", "data", socket, ln.Addr())
			enforced := strings.Replace(string(conf.SamplePolicy), `mode     = "observe"`, `mode     = "enforce"`, 1)
			enforced += "\n[trunks.carrier]\nmatch = [\"gateway:carrier\", \"203.0.113.0/24\"]\nidentity = [\"pai\", \"from\"]\n"
			for name, content := range map[string]string{"ringfence.toml": text, "policy.toml": enforced} {
				if err := os.WriteFile(filepath.Join(e.WorkDir, name), []byte(content), 0o644); err != nil {
					return err
				}
			}
			return os.Mkdir(filepath.Join(e.WorkDir, "data"), 0o755)
		},
	})
}

// bigPolicy writes a policy of at least so many bytes, most of them line ends and quotes: bigpolicy BYTES FILE.
func bigPolicy(ts *testscript.TestScript, _ bool, args []string) {
	size, err := strconv.Atoi(args[0])
	ts.Check(err)
	text := "country = \"CN\"\n"
	text += strings.Repeat("#\"\"\"\n", (size-len(text))/5+1)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o644))
}

// appendFile puts a file behind another: append FILE WHAT.
func appendFile(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0]) + ts.ReadFile(args[1])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// ready waits until the daemon of a configuration answers.
func ready(config string) int {
	c, err := conf.LoadDaemon(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		if client, err := console.Dial(context.Background(), c.Socket); err == nil {
			client.Close()
			return 0
		}
	}
	fmt.Fprintln(os.Stderr, "the daemon did not come up in 20 s")
	return 1
}

// report has an extension report a caller: CALLER EXTENSION [CALLEE]. It prints the report's id.
func report(args []string) int {
	c, err := conf.LoadDaemon("ringfence.toml")
	if err != nil || len(args) < 2 {
		return 2
	}
	client, err := console.Dial(context.Background(), c.Socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer client.Close()
	r, err := client.Report(context.Background(), console.NewReport{Caller: args[0], Extension: args[1], Callee: strings.Join(args[2:], "")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Print(r.ID)
	return 0
}

// call places one call to $SCREEN and prints what the caller and the handset met.
func call(args []string) int {
	fs := flag.NewFlagSet("call", flag.ContinueOnError)
	name := fs.String("name", "", "")
	async := fs.Bool("async", false, "")
	withheld := fs.Bool("withheld", false, "")
	test := fs.Bool("test", false, "") // as the doctor does
	if err := fs.Parse(args); err != nil || fs.NArg() != 2 {
		return 2
	}
	c := standin.Call{From: fs.Arg(0), Display: *name, To: fs.Arg(1), Async: *async, Resume: *async}
	if *withheld {
		c.PAI, c.From, c.Privacy, c.Gateway, c.Addr = c.From, "anonymous", true, "carrier", "203.0.113.7"
	}
	if *test {
		c.Vars = map[string]string{"ringfence_test": "true"}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	sw := &standin.Switch{Address: os.Getenv("SCREEN"), Speed: 100}
	r, err := sw.Place(ctx, c)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	case r.Stuck || len(r.ProtocolErrors) > 0 || len(r.Expanded) > 0:
		fmt.Fprintf(os.Stderr, "stuck %v, protocol %v, expanded %v\n", r.Stuck, r.ProtocolErrors, r.Expanded)
		return 1
	case r.Rang:
		fmt.Printf("rang as %q", r.ShownName)
	default:
		fmt.Printf("%d %s", r.SIP, r.Phrase)
	}
	for _, p := range r.Played {
		fmt.Printf(", heard %s", filepath.Base(p))
	}
	fmt.Printf("\naction=%s would=%s rule=%s\n", r.Vars["ringfence_action"], r.Vars["ringfence_would"], r.Vars["ringfence_rule"])
	return 0
}
