package doctor

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/daemon"
	"ringfence/dialplan"
	"ringfence/eslbridge"
	"ringfence/number"
	"ringfence/standin"
)

// fakeSwitch is a switch's event socket, and behind it a simulated switch that places the calls.
type fakeSwitch struct {
	t  *testing.T
	ln net.Listener

	mu       sync.Mutex
	greeting string
	screen   string            // where test calls go; "" nowhere
	silent   bool              // the switch never answers the daemon's commands
	answers  map[string]string // by the command's first words; others come from answer
	asked    []string
}

const password = "for this test alone"

func startSwitch(t *testing.T) *fakeSwitch {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	s := &fakeSwitch{t: t, ln: ln, greeting: "Content-Type: auth/request\n\n", answers: map[string]string{}}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

func (s *fakeSwitch) address() string { return s.ln.Addr().String() }

func (s *fakeSwitch) set(command, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[command] = answer
}

// change changes how the switch behaves from now on.
func (s *fakeSwitch) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *fakeSwitch) wasAsked(command string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.asked {
		if strings.HasPrefix(a, command) {
			return true
		}
	}
	return false
}

func (s *fakeSwitch) serve(c net.Conn) {
	defer c.Close()
	s.change(func() { fmt.Fprint(c, s.greeting) })
	rd := eslbridge.NewReader(c, 0)
	var f eslbridge.Frame
	for rd.Next(&f) == nil {
		line, _ := f.Field(0)
		word, rest, _ := strings.Cut(string(line), " ")
		switch {
		case word == "auth" && rest != password && rest != s.password():
			fmt.Fprint(c, "Content-Type: command/reply\nReply-Text: -ERR invalid\n\n")
			return
		case word == "api":
			a := s.answer(rest)
			fmt.Fprintf(c, "Content-Type: api/response\nContent-Length: %d\n\n%s", len(a), a)
		default:
			fmt.Fprint(c, "Content-Type: command/reply\nReply-Text: +OK\n\n")
		}
	}
}

// interfacesText is what a switch that leaves nothing out says of its interfaces.
func interfacesText() string {
	text := "type,name,ikey\n"
	for _, n := range neededOf {
		for _, name := range n.names {
			text += n.kind + "," + name + "," + n.module + "\n"
		}
	}
	return text + "\n17 total.\n"
}

// password is one that the switch takes besides the usual one.
func (s *fakeSwitch) password() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers["password"]
}

var callerOf = regexp.MustCompile(`origination_caller_id_number=([^,}]+)`)

func (s *fakeSwitch) answer(command string) string {
	s.mu.Lock()
	s.asked = append(s.asked, command)
	for start, a := range s.answers {
		if strings.HasPrefix(command, start) {
			s.mu.Unlock()
			return a
		}
	}
	s.mu.Unlock()
	switch word, rest, _ := strings.Cut(command, " "); word {
	case "status":
		return "UP 0 years, 0 days\nFreeSWITCH (Version 1.11) is ready\n"
	case "module_exists":
		return "true"
	case "show":
		return interfacesText()
	case "fsctl":
		return "+OK api_expansion is on \n"
	case "strmicroepoch":
		return fmt.Sprint(time.Now().UnixMicro())
	case "file_exists":
		_, err := os.Stat(rest)
		return fmt.Sprint(err == nil)
	case "originate":
		return s.originate(callerOf.FindStringSubmatch(rest)[1])
	}
	return "-ERR " + command + " Command not found!\n"
}

func (s *fakeSwitch) originate(caller string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var screen string
	var silent bool
	s.change(func() { screen, silent = s.screen, s.silent })
	switch {
	case screen == "":
	case silent:
		c, err := net.Dial("tcp", screen)
		if err != nil {
			s.t.Error(err)
			break
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		rd := eslbridge.NewReader(c, 0)
		var f eslbridge.Frame
		rd.Next(&f)
		fmt.Fprintf(c, "Event-Name: CHANNEL_DATA\nUnique-ID: x\nCaller-Caller-ID-Number: %s\nSocket-Mode: async\nControl: full\nvariable_socket_resume: true\nContent-Type: command/reply\nReply-Text: +OK\n\n", caller)
		for rd.Next(&f) == nil {
		}
	default:
		sw := &standin.Switch{Address: screen, Speed: 100}
		if _, err := sw.Place(ctx, standin.Call{From: caller, To: testCallee, Async: true, Resume: true}); err != nil {
			s.t.Error(err)
		}
	}
	return "-ERR NORMAL_CLEARING\n"
}

// system is a switch with the kit and a daemon that screens its calls.
type system struct {
	*fakeSwitch
	folder  string // of the daemon's files
	o       Options
	daemon  *daemon.Daemon
	section string // the dialplan that the switch has in memory
}

func (s *system) file(name string) string { return filepath.Join(s.folder, name) }

func (s *system) write(name, text string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.file(name)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.file(name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

const testPolicy = "country = \"CN\"\n[[rule]]\nname = \"no number\"\nwhen = { caller_kind = [\"invalid\"] }\naction = \"warn\"\nannouncement = \"suspected-nuisance\"\nthen = \"hangup\"\n"

func startSystem(t *testing.T) *system {
	t.Helper()
	folder, err := os.MkdirTemp("", "doc-") // its socket's name must be short, and others may read it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &system{fakeSwitch: startSwitch(t), folder: folder}
	s.write("policy.toml", testPolicy)
	s.write("ringfence.toml", fmt.Sprintf("data = \"data\"\nsocket = \"s\"\n[screen]\nlisten = \"127.0.0.1:0\"\n[[attach]]\nkind = \"freeswitch\"\nname = \"pbx1\"\naddress = %q\npassword = %q\n", s.address(), password))
	c, err := conf.LoadDaemon(s.file("ringfence.toml"))
	if err != nil {
		t.Fatal(err)
	}
	s.daemon, err = daemon.Start(t.Context(), c, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	s.change(func() { s.screen = s.daemon.Address() })
	s.o = Options{Config: c.File}
	s.waitAttached()
	s.section = s.installed()
	s.set("xml_locate dialplan", s.section)
	return s
}

// add adds to a file.
func (s *system) add(file, text string) {
	s.t.Helper()
	had, err := os.ReadFile(s.file(file))
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(file, string(had)+text)
}

func (s *system) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.daemon.Stop(ctx); err != nil {
		s.t.Error(err)
	}
}

func (s *system) waitAttached() {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-tick.C {
		if st, err := s.daemon.Desk().Status(s.t.Context()); err == nil && st.Attached[0].Attached {
			return
		}
	}
	s.t.Fatal("the daemon did not attach in 20 s")
}

// installed installs the kit into an empty configuration and gives what the switch would have in memory.
func (s *system) installed() string {
	s.t.Helper()
	for name, text := range map[string]string{
		"fs/freeswitch.xml":       `<X-PRE-PROCESS cmd="include" data="dialplan/*.xml"/>`,
		"fs/dialplan/public.xml":  `<context name="public"><X-PRE-PROCESS cmd="include" data="public/*.xml"/></context>`,
		"fs/dialplan/default.xml": `<context name="default"><X-PRE-PROCESS cmd="include" data="default/*.xml"/></context>`,
		"fs/dialplan/public/x":    "", "fs/dialplan/default/x": "",
		"fs/autoload_configs/event_socket.conf.xml": `<param name="listen-port" value="` + s.address()[strings.LastIndex(s.address(), ":")+1:] + `"/><param name="password" value="` + password + `"/>`,
	} {
		s.write(name, text)
	}
	plan, err := number.NewPlan(number.PlanOptions{Country: "CN"})
	if err != nil {
		s.t.Fatal(err)
	}
	numbers := plan.EmergencyNumbers()
	if _, err := dialplan.Install(s.file("fs"), dialplan.Settings{Screen: s.screen, Star: "*57"}, dialplan.Emergency{Numbers: numbers, Expression: plan.EmergencyExpression(numbers)}, false); err != nil {
		s.t.Fatal(err)
	}
	read := func(name string) string {
		text, err := os.ReadFile(s.file("fs/dialplan/" + name))
		if err != nil {
			s.t.Fatal(err)
		}
		return strings.NewReplacer("<include>", "", "</include>", "").Replace(string(text))
	}
	return `<section name="dialplan"><context name="public"><extension name="outside_call" continue="true"><condition/></extension>` + read("public/000_ringfence.xml") +
		`</context><context name="default">` + read("default/000_ringfence_report.xml") + "</context>" + read("ringfence-open.xml") + read("ringfence-after.xml") + "</section>\n"
}

// examine runs the doctor and gives its lines.
func (s *system) examine() (sound bool, lines []string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 60*time.Second)
	defer cancel()
	sound = Run(ctx, s.o, func(c Check) {
		line := c.Status + " " + c.What
		if c.Todo != "" {
			line += " — " + c.Todo
		}
		lines = append(lines, line)
	})
	return sound, lines
}
