// Package doctor checks the whole chain from a call on the switch, FreeSWITCH or Asterisk, to a decision in the
// journal, on a live system, and says for each link what to do if it is broken. It changes nothing. Its one test
// call ends in the dialplan: no handset rings.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/dialplan"
	"ringfence/eslbridge"
	"ringfence/policy"
)

// Options say what to check. All but Config may be empty.
type Options struct {
	Config       string // the daemon's file
	Conf         string // FreeSWITCH's configuration, the folder of freeswitch.xml
	EventSocket  string // host:port [the first [[attach]] to a FreeSWITCH in the daemon's file, else Conf's event_socket.conf.xml]
	PasswordFile string // its password [as EventSocket]
	Context      string // where calls come in from outside [public]
}

// Statuses of a Check.
const (
	OK   = "ok"
	Warn = "warn"
	Fail = "FAIL"
)

// Check is what was found of one link of the chain.
type Check struct {
	Status string `json:"status"`
	What   string `json:"what"`
	Todo   string `json:"todo,omitempty"` // what to do about it
}

// Run makes all checks and gives each to say as it is made. It returns whether none has failed. A check that
// needs one that failed is left out.
func Run(ctx context.Context, o Options, say func(Check)) bool {
	if o.Context == "" {
		o.Context = "public"
	}
	x := &examination{o: o, say: say, sound: true}
	x.settingsFile()
	if x.settings != nil {
		x.policyFile()
		x.daemon(ctx)
		if x.desk != nil {
			defer x.desk.Close()
		}
		x.attached(conf.KindFreeSWITCH, "add an [[attach]] with the event socket's password to "+x.settings.File)
		x.screeningPort(ctx)
		x.consolePort()
	}
	x.files()
	if x.connect(ctx) {
		defer func() { x.sw.Close() }()
		x.modules(ctx)
		x.expansion(ctx)
		x.clock(ctx)
		x.profiles(ctx)
		if x.dialplan(ctx) {
			x.testCall(ctx)
		}
	}
	if x.settings != nil {
		x.sounds(ctx)
	}
	x.synRetries()
	return x.sound
}

// examination is one run of the doctor and what it has found out so far.
type examination struct {
	o     Options
	say   func(Check)
	sound bool // nothing has failed

	settings *conf.Daemon      // nil: they cannot be read
	policy   *policy.Policy    // nil: it cannot be read
	desk     *console.Client   // nil: no daemon runs
	status   *console.Status   // nil: no daemon runs
	sw       *eslbridge.Client // nil: the event socket cannot be used
	screen   string            // where the live dialplan sends calls, "" if it does not

	knownPassword bool // that the event socket has the password of every installation has been said
}

func (x *examination) ok(format string, args ...any) {
	x.say(Check{Status: OK, What: fmt.Sprintf(format, args...)})
}
func (x *examination) hint(what, todo string) { x.say(Check{OK, what, todo}) }
func (x *examination) warn(what, todo string) { x.say(Check{Warn, what, todo}) }
func (x *examination) fail(what, todo string) { x.sound = false; x.say(Check{Fail, what, todo}) }

func (x *examination) settingsFile() {
	c, err := conf.LoadForCommand(x.o.Config)
	if err != nil {
		x.fail("the daemon's file cannot be used", err.Error())
		return
	}
	x.settings = c
	x.ok("the daemon's file %s has no faults", c.File)
}

func (x *examination) policyFile() {
	text, err := conf.ReadFile(x.settings.Policy)
	if err != nil {
		x.fail("the policy cannot be read", err.Error())
		return
	}
	p, faults := policy.Load(x.settings.Policy, text)
	if p == nil {
		x.fail(fmt.Sprintf("the policy %s has %d faults", x.settings.Policy, len(faults)), "see `ringfence policy check "+x.settings.Policy+"`")
		return
	}
	x.policy = p
}

// daemonWait bounds the daemon's answer: one that hangs has an open socket too.
const daemonWait = 5 * time.Second

// daemon asks the running daemon how it is.
func (x *examination) daemon(ctx context.Context) {
	desk, err := console.Dial(ctx, x.settings.Socket)
	switch {
	case errors.Is(err, console.ErrNotRunning):
		x.fail("the daemon is not running: every call rings unscreened", "systemctl start ringfence, or `ringfence run`")
		return
	case err != nil:
		x.fail("the daemon does not take commands", err.Error())
		return
	}
	short, cancel := context.WithTimeout(ctx, daemonWait)
	defer cancel()
	s, err := desk.Status(short)
	if err != nil {
		desk.Close()
		x.fail(fmt.Sprintf("the daemon does not say how it is: %v", err), "systemctl restart ringfence, if it hangs")
		return
	}
	x.desk, x.status = desk, s
	x.ok("the daemon runs: ringfence %s, since %s, %d calls screened", s.Version, s.Started.Local().Format(time.DateTime), s.Calls)
	switch {
	case s.Pause.Paused:
		x.warn("screening is paused: every call passes", "`ringfence resume`")
	case s.Mode != policy.Enforce.String():
		x.warn("the policy only observes: no call is touched", fmt.Sprintf("when the journal looks right, write mode = \"enforce\" into %s and `ringfence policy reload`", s.Policy))
	default:
		x.ok("the policy %s is enforced", s.Policy)
	}
	if s.Journal.Error != "" {
		x.fail("the journal cannot be written", s.Journal.Error)
	}
}

// attached says how the daemon's connections to the events of a kind of switch are. A connection that the daemon's
// file does not name any more counts for every kind. none is what to do where there is none, "" if that is fine.
func (x *examination) attached(kind, none string) {
	if x.status == nil {
		return
	}
	other := map[string]bool{}
	for _, a := range x.settings.Attach {
		other[a.Name] = a.Kind != kind
	}
	found := false
	for _, t := range x.status.Attached {
		if other[t.Name] {
			continue
		}
		found = true
		if t.Attached && t.Trouble == "" {
			x.ok("the switch %s is attached", t.Name)
		} else if t.Attached {
			x.warn(fmt.Sprintf("the switch %s is attached, but the journal does not tell what becomes of its calls", t.Name), t.Trouble)
		} else {
			x.warn(fmt.Sprintf("the switch %s is not attached: the journal does not tell what becomes of its calls", t.Name), t.Trouble)
		}
	}
	if !found && none != "" {
		x.warn("no switch is attached: the journal does not tell what became of calls, and known_caller learns nothing", none)
	}
}

// screeningPort connects as FreeSWITCH does, with a call that is none.
func (x *examination) screeningPort(ctx context.Context) {
	address := x.settings.Screen.Listen
	if x.status != nil {
		address = x.status.Screen
	}
	x.port(ctx, address, "screen", x.settings.Screen.Allow, knock)
}

// port connects to a port of the daemon's, that of a section of its file, as a switch does.
func (x *examination) port(ctx context.Context, address, section string, allow []netip.Prefix, knock func(ctx context.Context, address string) error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return // the daemon's file was checked for that
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	address = net.JoinHostPort(host, port)
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	switch err := knock(ctx, address); {
	case err == nil:
		x.ok("the screening port %s takes calls", address)
	case x.status == nil:
		x.fail(fmt.Sprintf("the screening port %s does not answer: %v", address, err), "start the daemon, or restart it if it hangs")
	case !allowedFromHere(host, allow):
		x.ok("the screening port %s takes calls from other machines only ([%s] allow)", address, section)
	default:
		x.fail(fmt.Sprintf("the screening port %s does not take calls: %v", address, err), "see the daemon's log (journalctl -u ringfence)")
	}
}

// allowedFromHere reports whether the daemon takes calls from the address that this machine would come from.
func allowedFromHere(host string, allow []netip.Prefix) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host == "localhost"
	}
	return slices.ContainsFunc(allow, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
}

// knock waits for the daemon's first word to a new call, and lets it go again with an intent that it does not
// screen.
func knock(ctx context.Context, address string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		conn.SetDeadline(end)
	}
	rd := eslbridge.NewReader(conn, 0)
	var f eslbridge.Frame
	for _, turn := range []struct{ want, say string }{
		{"connect", "Unique-ID: doctor\nvariable_ringfence_intent: probe\nContent-Type: command/reply\nReply-Text: +OK\n\n"},
		{"exit", "Content-Type: command/reply\nReply-Text: +OK bye\n\n"},
	} {
		if err := rd.Next(&f); err != nil {
			return fmt.Errorf("it closed the connection, or was silent (%w)", err)
		}
		if word, _ := f.Field(0); string(word) != turn.want {
			return fmt.Errorf("it said %.40q instead of %s", word, turn.want)
		}
		if _, err := conn.Write([]byte(turn.say)); err != nil {
			return err
		}
	}
	return nil
}

// files looks at the installed files.
func (x *examination) files() {
	if x.o.Conf == "" {
		return
	}
	if err := dialplan.IsFreeSWITCH(x.o.Conf); err != nil {
		x.fail("the dialplan kit cannot be looked for", err.Error())
		return
	}
	s, installed, err := dialplan.Recorded(x.o.Conf)
	if err != nil {
		x.fail("what was installed cannot be read", err.Error())
		return
	}
	if !installed {
		x.warn("the dialplan kit was not installed into "+x.o.Conf, "`ringfence freeswitch install --conf "+x.o.Conf+"`")
		s.Star, s.Release = dialplan.DefaultStar, dialplan.DefaultRelease
	}
	x.installedFiles(x.o.Conf, "freeswitch")
	if e, err := dialplan.ReadEventSocket(x.o.Conf); err == nil {
		x.knownPassword = e.Password == dialplan.KnownPassword
	}
	for _, n := range dialplan.Look(x.o.Conf, s) {
		switch n.Level {
		case dialplan.Must:
			x.fail(what(n.Text))
		case dialplan.Should:
			x.warn(what(n.Text))
		default:
			x.hint(n.Text, "")
		}
	}
}

// installedFiles looks whether the files of a kit are as they were written. name is the switch's.
func (x *examination) installedFiles(folder, name string) {
	changes, err := dialplan.Examine(folder)
	if err != nil {
		x.fail("the installed files cannot be read", err.Error())
	}
	fine := 0
	for _, c := range changes {
		switch c.Did {
		case dialplan.Missing:
			x.fail(c.File+" is missing", "`ringfence "+name+" install --conf "+folder+"`")
		case dialplan.Kept:
			x.warn(c.File+" was changed since it was installed", "see to it that it still does what the shipped one does; docs/"+name+".md says what that is")
		default:
			fine++
		}
	}
	switch {
	case fine == 1:
		x.ok("the file of the dialplan kit is as it was installed")
	case fine > 1:
		x.ok("%d files of the dialplan kit are as they were installed", fine)
	}
}

// what takes a note apart into what is so and what to do about it.
func what(note string) (what, todo string) {
	what, todo, _ = strings.Cut(note, ": ")
	return what, todo
}

// connect finds out where the switch's event socket is, and goes there.
func (x *examination) connect(ctx context.Context) bool {
	address, password, err := x.eventSocket()
	if err != nil {
		x.fail("how to reach the switch's event socket is not known", err.Error())
		return false
	}
	sw, err := eslbridge.Dial(ctx, address, password)
	where := "the switch's event socket " + address
	switch {
	case err == nil:
	case errors.Is(err, eslbridge.ErrPassword):
		x.fail(where+" refuses the password", "it must be the one of event_socket.conf.xml; a changed one counts after a restart of the switch")
		return false
	case errors.Is(err, eslbridge.ErrNotAllowed):
		x.fail(where+" refuses this machine's address", "apply-inbound-acl in event_socket.conf.xml must name a list that holds it")
		return false
	case errors.Is(err, eslbridge.ErrNoSwitch):
		x.fail(where+" is none: something else listens there", "the address is listen-ip and listen-port of event_socket.conf.xml")
		return false
	default:
		x.fail(fmt.Sprintf("%s cannot be reached: %v", where, err), "is the switch running, with mod_event_socket loaded?")
		return false
	}
	x.sw = sw
	x.ok("%s takes the password", where)
	if password == dialplan.KnownPassword && !x.knownPassword {
		x.fail("the event socket's password is the one that every installation comes with", "write one of your own into event_socket.conf.xml, the daemon's [[attach]] and /etc/fs_cli.conf; then restart the switch")
	}
	status, err := sw.API(ctx, "status")
	if err != nil {
		x.fail("the switch does not say how it is", err.Error())
		return false
	}
	if !strings.Contains(status, "is ready") {
		x.fail("the switch takes no calls now", "see fs_cli -x status")
	}
	x.pace(status)
	return true
}

// eventSocket gives the event socket's address and password from where they are known.
func (x *examination) eventSocket() (address, password string, err error) {
	first := -1
	if x.settings != nil {
		first = slices.IndexFunc(x.settings.Attach, func(a conf.Attach) bool { return a.Kind == conf.KindFreeSWITCH })
	}
	if first >= 0 {
		address = x.settings.Attach[first].Address
		if x.o.PasswordFile == "" {
			if password, err = x.settings.Attach[first].ReadPassword(); err != nil {
				return "", "", fmt.Errorf("its password cannot be read by this user: run the doctor as root, or name a file with --password-file (%w)", err)
			}
		}
	} else if e, err := dialplan.ReadEventSocket(x.o.Conf); x.o.Conf != "" && err == nil {
		host := e.Listen
		if e.Everywhere() {
			host = "127.0.0.1"
		}
		address, password = net.JoinHostPort(strings.Trim(host, "[]"), e.Port), e.Password
	}
	if x.o.EventSocket != "" {
		address = x.o.EventSocket
	}
	if x.o.PasswordFile != "" {
		text, err := os.ReadFile(x.o.PasswordFile)
		if err != nil {
			return "", "", err
		}
		password = strings.TrimRight(string(text), "\r\n")
	}
	if address == "" || password == "" {
		return "", "", errors.New("add an [[attach]] to the daemon's file, or call with --event-socket and --password-file, or with --conf")
	}
	return address, password, nil
}

// sounds finds out whether FreeSWITCH can read the announcements.
func (x *examination) sounds(ctx context.Context) {
	x.announcements(dialplan.Reader{}, func(s conf.Sound) (what, todo string) {
		if x.sw == nil {
			return "", ""
		}
		if seen, err := x.sw.API(ctx, "file_exists "+s.File); err != nil || seen != "false" {
			return "", ""
		}
		todo = "does the switch run on another machine? Then the folder must be there under the same name"
		if path, mode := (dialplan.Reader{}).Closed(s.File); path != "" {
			todo = fmt.Sprintf("%s has mode %04o: chmod o+rx it", path, mode)
		}
		return "the switch does not find the announcement " + s.File, todo
	})
}

// announcements looks for those of the policy, and whether the switch's user can read them. play says what keeps the
// switch from playing one, "" for nothing.
func (x *examination) announcements(who dialplan.Reader, play func(s conf.Sound) (what, todo string)) {
	country := ""
	names := []string{"suspected-nuisance"}
	if x.policy != nil {
		country = x.policy.Country()
		if used := x.policy.Announcements(); len(used) > 0 {
			names = used
		}
	}
	folder := conf.OpenSounds(x.settings.SoundFolder(), country)
	fine := 0
	for _, name := range names {
		s, err := folder.Find(name)
		switch {
		case errors.Is(err, fs.ErrPermission):
			x.fail(fmt.Sprintf("the announcement %s cannot be read", name), err.Error())
			continue
		case err != nil:
			x.fail(fmt.Sprintf("the announcement %s is missing", name), err.Error()+"; the shipped ones are written when the daemon starts")
			continue
		}
		if what, todo := play(s); what != "" {
			x.fail(what, todo)
			continue
		}
		if path, mode := who.Closed(s.File); path != "" {
			say, others := x.warn, "other users"
			if who.Name != "" {
				say, others = x.fail, "the user "+who.Name+", as which the switch runs,"
			}
			say(fmt.Sprintf("%s has mode %04o, so %s cannot read %s", path, mode, others, s.File),
				"the switch's user must be able to: chmod o+rX it, or give it the switch's group")
			continue
		}
		fine++
	}
	if fine > 0 {
		x.ok("the switch can read the policy's announcements in %s (%d)", x.settings.SoundFolder(), fine)
	}
}
