package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ringfence/conf"
	"ringfence/dialplan"
)

// AsteriskOptions say what to check. All but Config may be empty.
type AsteriskOptions struct {
	Config  string // the daemon's file
	Conf    string // Asterisk's configuration, the folder of extensions.conf [as the running Asterisk says]
	Program string // the asterisk whose command line is used [asterisk]
}

// RunAsterisk makes all checks of a system with Asterisk and gives each to say as it is made. It returns whether none has
// failed. A check that needs one that failed is left out.
func RunAsterisk(ctx context.Context, o AsteriskOptions, say func(Check)) bool {
	if o.Program == "" {
		o.Program = "asterisk"
	}
	x := &asteriskExamination{examination: &examination{o: Options{Config: o.Config}, say: say, sound: true}, program: o.Program, folder: o.Conf}
	x.settingsFile()
	if x.settings != nil {
		x.policyFile()
		x.daemon(ctx)
		if x.desk != nil {
			defer x.desk.Close()
		}
		x.attached(conf.KindAsterisk, "add an [[attach]] of kind \"asterisk\" with a user of its manager to "+x.settings.File+"; docs/asterisk.md has both files")
		x.agiPort(ctx)
		x.consolePort()
	}
	running := x.connect(ctx)
	x.files()
	if running {
		x.modules(ctx)
		testable := x.dialplan(ctx)
		x.endpoints(ctx)
		if testable {
			x.testCall(ctx)
		}
	}
	if x.settings != nil {
		x.sounds(ctx)
	}
	x.synRetries()
	return x.sound
}

// asteriskExamination is one run of the doctor on a system with Asterisk.
type asteriskExamination struct {
	*examination
	program   string
	folder    string             // Asterisk's configuration, "" if it is not known
	user      dialplan.Reader    // as whom Asterisk runs
	installed *dialplan.Asterisk // with which settings; nil: it was not by this program
	loaded    map[string]bool    // modules that run; nil: Asterisk does not run
	live      *dialplan.Plan     // what Asterisk has in memory
	codecs    []string           // that trunks may use
}

// WithoutAGI says that the daemon does not listen for Asterisk: what is so, and the lines to write.
func WithoutAGI(file, address string) string {
	return fmt.Sprintf("the daemon does not listen for Asterisk: write the lines `[agi]` and `listen = %q` into %s, and systemctl restart ringfence", address, file)
}

// agiPort connects as Asterisk does, with a call that is none.
func (x *asteriskExamination) agiPort(ctx context.Context) {
	if x.settings.AGI == nil {
		x.fail(what(WithoutAGI(x.settings.File, dialplan.DefaultAGI)))
		return
	}
	address := x.settings.AGI.Listen
	if x.status != nil {
		if address = x.status.AGI; address == "" {
			x.fail("the running daemon does not listen for Asterisk, though its file says so", "systemctl restart ringfence")
			return
		}
	}
	x.port(ctx, address, "agi", x.settings.AGI.Allow, knockAGI)
}

// knockAGI waits for the daemon's first word to a new call, and lets it go again with an intent that it does not screen.
func knockAGI(ctx context.Context, address string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		conn.SetDeadline(end)
	}
	if _, err := io.WriteString(conn, "agi_channel: Local/doctor-0\nagi_uniqueid: doctor\nagi_callerid: unknown\nagi_calleridname: unknown\nagi_threadid: 1\nagi_arg_1: intent=probe\n\n"); err != nil {
		return err
	}
	lines := bufio.NewReader(io.LimitReader(conn, 64<<10))
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return fmt.Errorf("it closed the connection, or was silent (%w)", err)
		}
		answer := "200 result=1"
		switch {
		case strings.HasPrefix(line, "GET FULL VARIABLE"):
			answer += " (" + strings.Trim(strings.TrimPrefix(strings.TrimSpace(line), "GET FULL VARIABLE"), ` "`) + ")"
		case strings.HasPrefix(line, "SET VARIABLE"):
		default:
			return fmt.Errorf("it said %.40q, which is no word to Asterisk", line)
		}
		if _, err := io.WriteString(conn, answer+"\n"); err != nil {
			return err
		}
		if strings.Contains(line, "RINGFENCE_CAUSE") {
			return nil
		}
	}
}

// minVersion is the oldest Asterisk that this was tested with.
const minVersion = 16

var versionText = regexp.MustCompile(`Asterisk (?:certified/)?(?:certified-)?([0-9]+)\.`)

// connect finds out whether Asterisk runs, and what it is.
func (x *asteriskExamination) connect(ctx context.Context) bool {
	text, err := x.cli(ctx, "core show version")
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		x.fail("there is no program "+x.program, "run this on Asterisk's machine, and name the program with --asterisk")
		return false
	case err != nil:
		x.fail("Asterisk does not answer on its command line: "+err.Error(), "is it running (systemctl start asterisk)? Its control socket may be for root alone: sudo")
		return false
	}
	m := versionText.FindStringSubmatch(text)
	name := strings.TrimSpace(text)
	name, _, _ = strings.Cut(name, " built")
	switch n, _ := strconv.Atoi(append(m, "", "")[1]); {
	case m == nil:
		x.warn(fmt.Sprintf("which Asterisk runs is not known: %.60q", name), fmt.Sprintf("it must be %d or later", minVersion))
	case n < minVersion:
		x.fail(fmt.Sprintf("%s runs", name), fmt.Sprintf("Ringfence was tested with %d and later: upgrade Asterisk", minVersion))
	default:
		x.ok("%s runs", name)
	}
	settings, err := x.cli(ctx, "core show settings")
	if err != nil {
		x.fail("Asterisk does not say how it is set up", err.Error())
		return false
	}
	if x.folder == "" {
		x.folder = valueOf(settings, "Configuration directory")
	}
	x.user = processUser(valueOf(settings, "PID file"))
	if x.user.Name == "" && x.folder != "" {
		x.user = dialplan.AsteriskUser(x.folder)
	}
	return true
}

// valueOf is the value of a line `name: value`.
func valueOf(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// processUser is the user of a process whose number stands in a file; the zero value if it is not known.
func processUser(pidFile string) dialplan.Reader {
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		return dialplan.Reader{}
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(pid)))
	if err != nil {
		return dialplan.Reader{}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n))
	if err != nil {
		return dialplan.Reader{}
	}
	uid := strings.Fields(valueOf(string(status), "Uid")) // real, effective, saved, file system
	gid := strings.Fields(valueOf(string(status), "Gid"))
	if len(uid) < 4 || len(gid) < 4 {
		return dialplan.Reader{}
	}
	r := dialplan.Reader{Name: "with the id " + uid[3]}
	if u, err := user.LookupId(uid[3]); err == nil {
		r.Name = u.Username
	}
	if r.UID, err = strconv.Atoi(uid[3]); err != nil {
		return dialplan.Reader{}
	}
	for _, g := range append(strings.Fields(valueOf(string(status), "Groups")), gid[3]) {
		if n, err := strconv.Atoi(g); err == nil {
			r.Groups = append(r.Groups, n)
		}
	}
	return r
}

// files looks at the installed files.
func (x *asteriskExamination) files() {
	if x.folder == "" {
		return
	}
	if err := dialplan.IsAsterisk(x.folder); err != nil {
		x.fail("the subroutine cannot be looked for", err.Error())
		return
	}
	s, installed, err := dialplan.RecordedAsterisk(x.folder)
	switch {
	case err != nil:
		x.fail("what was installed cannot be read", err.Error())
		return
	case !installed:
		x.warn("the subroutine was not installed into "+x.folder+" by this program", x.install())
		return
	}
	x.installed = &s
	x.installedFiles(x.folder, "asterisk")
	if x.policy == nil {
		return
	}
	e := dialplan.Emergency{Numbers: s.Emergency}
	if len(e.Numbers) == 0 {
		e.Numbers = x.policy.Plan().EmergencyNumbers()
	}
	e.Expression = x.policy.Plan().EmergencyExpression(e.Numbers)
	changes, err := dialplan.InstallAsterisk(x.folder, s, e, true)
	if err != nil {
		x.fail("the subroutine could not be installed again", err.Error())
		return
	}
	for _, c := range changes {
		if c.Did == dialplan.Updated {
			x.warn(c.File+" is not as this version of Ringfence would write it", x.install())
		}
	}
}

// install is what writes the files.
func (x *asteriskExamination) install() string {
	if x.folder == "" || x.folder == "/etc/asterisk" {
		return "`ringfence asterisk install`"
	}
	return "`ringfence asterisk install --conf " + x.folder + "`"
}

// modules looks for what the subroutine needs.
func (x *asteriskExamination) modules(ctx context.Context) {
	text, err := x.cli(ctx, "module show")
	if err != nil {
		x.fail("Asterisk does not say which modules it has", err.Error())
		return
	}
	x.loaded = map[string]bool{}
	for line := range strings.Lines(text) {
		if name, rest, ok := strings.Cut(line, ".so "); ok && strings.Contains(rest, "Running") && !strings.Contains(rest, "Not Running") {
			x.loaded[name] = true
		}
	}
	need := slices.Clone(dialplan.AsteriskModules)
	if x.loaded["chan_pjsip"] {
		need = append(need, struct{ Name, What string }{"res_pjsip_header_funcs", "P-Asserted-Identity and From of a call"})
	}
	missing := 0
	for _, m := range need {
		if !x.loaded[m.Name] {
			missing++
			x.fail(fmt.Sprintf("%s is not loaded (%s)", m.Name, m.What), fmt.Sprintf("asterisk -rx \"module load %s.so\", and see to it that modules.conf loads it", m.Name))
		}
	}
	if missing == 0 {
		x.ok("the %d modules that are needed are loaded", len(need))
	}
}
