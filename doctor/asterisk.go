package doctor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"ringfence/conf"
	"ringfence/kit"
	"ringfence/policy"
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
		x.attached("asterisk", "")
		x.agiPort(ctx)
	}
	running := x.connect(ctx)
	x.kit()
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
	program string
	folder  string          // Asterisk's configuration, "" if it is not known
	user    kit.Reader      // as whom Asterisk runs
	loaded  map[string]bool // modules that run; nil: Asterisk does not run
	live    *kit.Dialplan   // what Asterisk has in memory
	codecs  []string        // that trunks may use
}

// WithoutAGI says that the daemon does not listen for Asterisk: what is so, and the lines to write.
func WithoutAGI(file, address string) string {
	return fmt.Sprintf("the daemon does not listen for Asterisk: write the lines `[agi]` and `listen = %q` into %s, and systemctl restart ringfence", address, file)
}

// agiPort connects as Asterisk does, with a call that is none.
func (x *asteriskExamination) agiPort(ctx context.Context) {
	if x.settings.AGI == nil {
		x.fail(what(WithoutAGI(x.settings.File, kit.DefaultAGI)))
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

// Bounds of a command to Asterisk.
const (
	cliWait = 10 * time.Second
	cliMax  = 32 << 20 // bytes of an answer
)

// cli has Asterisk run a command of its command line.
func (x *asteriskExamination) cli(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, cliWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, x.program, "-rx", command)
	cmd.Env = append(os.Environ(), "TERM=dumb")
	cmd.WaitDelay = time.Second
	var out, errs capped
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if text := strings.Join(strings.Fields(out.String()+" "+errs.String()), " "); text != "" {
			err = fmt.Errorf("%w: %.300s", err, text)
		}
		return "", err
	}
	return out.String(), nil
}

// capped keeps the first cliMax bytes of what is written to it.
type capped struct{ bytes.Buffer }

func (c *capped) Write(b []byte) (int, error) {
	if room := cliMax - c.Len(); room > 0 {
		c.Buffer.Write(b[:min(room, len(b))])
	}
	return len(b), nil
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
		x.user = kit.AsteriskUser(x.folder)
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
func processUser(pidFile string) kit.Reader {
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		return kit.Reader{}
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(pid)))
	if err != nil {
		return kit.Reader{}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n))
	if err != nil {
		return kit.Reader{}
	}
	uid := strings.Fields(valueOf(string(status), "Uid")) // real, effective, saved, file system
	gid := strings.Fields(valueOf(string(status), "Gid"))
	if len(uid) < 4 || len(gid) < 4 {
		return kit.Reader{}
	}
	r := kit.Reader{Name: "with the id " + uid[3]}
	if u, err := user.LookupId(uid[3]); err == nil {
		r.Name = u.Username
	}
	if r.UID, err = strconv.Atoi(uid[3]); err != nil {
		return kit.Reader{}
	}
	for _, g := range append(strings.Fields(valueOf(string(status), "Groups")), gid[3]) {
		if n, err := strconv.Atoi(g); err == nil {
			r.Groups = append(r.Groups, n)
		}
	}
	return r
}

// kit looks at the installed files.
func (x *asteriskExamination) kit() {
	if x.folder == "" {
		return
	}
	s, installed, err := kit.RecordedAsterisk(x.folder)
	switch {
	case err != nil:
		x.fail("what was installed cannot be read", err.Error())
		return
	case !installed:
		x.warn("the subroutine was not installed into "+x.folder+" by this program", x.install())
		return
	}
	x.installedFiles(x.folder, "asterisk")
	if x.policy == nil {
		return
	}
	e := kit.Emergency{Numbers: s.Emergency}
	if len(e.Numbers) == 0 {
		e.Numbers = x.policy.Plan().EmergencyNumbers()
	}
	e.Expression = x.policy.Plan().EmergencyExpression(e.Numbers)
	changes, err := kit.InstallAsterisk(x.folder, s, e, true)
	if err != nil {
		x.fail("the subroutine could not be installed again", err.Error())
		return
	}
	for _, c := range changes {
		if c.Did == kit.Updated {
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
	need := slices.Clone(kit.AsteriskModules)
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

// sounds finds out whether Asterisk can play the announcements to callers.
func (x *asteriskExamination) sounds(ctx context.Context) {
	x.announcements(x.user, func(s conf.Sound) (what, todo string) {
		if w, err := s.Wave(); err == nil && (w.Rate != 8000 || w.Channels != 1) {
			return fmt.Sprintf("Asterisk cannot play %s: it has %d Hz and %d channels", s.File, w.Rate, w.Channels), "record it with 8000 Hz and one channel: `sox IN.wav -r 8000 -c 1 -b 16 OUT.wav`"
		}
		return "", ""
	})
	if x.loaded == nil {
		return
	}
	formats, err := x.cli(ctx, "core show file formats")
	if err == nil && !regexp.MustCompile(`(?m)^slin\s+wav\s+wav\s*$`).MatchString(formats) {
		x.fail("Asterisk does not play WAV files, as the announcements are", "asterisk -rx \"module load format_wav.so\"")
	}
	x.translations(ctx)
}

var translation = regexp.MustCompile(`(?m)To ([a-z0-9_]+):[0-9]+\s*: (.*?)\s*$`)

// translations finds out whether the announcements can be heard on the trunks' codecs.
func (x *asteriskExamination) translations(ctx context.Context) {
	text, err := x.cli(ctx, "core show translation paths slin")
	if err != nil || len(x.codecs) == 0 {
		return
	}
	paths := map[string]bool{"slin": true}
	for _, m := range translation.FindAllStringSubmatch(text, -1) {
		paths[m[1]] = paths[m[1]] || !strings.Contains(m[2], "No Translation Path")
	}
	var without []string
	for _, c := range x.codecs {
		if ok, known := paths[c]; known && !ok {
			without = append(without, c)
		}
	}
	switch {
	case len(without) == 0:
		x.ok("announcements can be heard on all codecs of the trunks (%s)", strings.Join(x.codecs, " "))
	case len(without) == len(x.codecs):
		x.fail("announcements cannot be heard: Asterisk cannot make "+strings.Join(without, ", ")+" of them, and the trunks allow nothing else", "load the codec's module (codec_NAME.so), or allow another codec")
	default:
		x.warn("announcements cannot be heard on calls with "+strings.Join(without, ", ")+": Asterisk cannot make that of them", "load the codec's module (codec_NAME.so), or take it out of the trunk's allow")
	}
}

// fromHere is the address that this machine has for connections to another.
func fromHere(address string) netip.Addr {
	conn, err := net.Dial("udp", address) // sends nothing
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	a, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// endpoint is one of res_pjsip's, as Asterisk has it.
type endpoint struct {
	name    string
	context string
	outside bool
	codecs  []string
	address []netip.Addr
}

// maxEndpoints is how many are looked at, one command each.
const maxEndpoints = 500

var (
	endpointLine  = regexp.MustCompile(`^ Endpoint:\s+([^\s/]+)`)
	matchLine     = regexp.MustCompile(`^\s+Match:\s+([0-9a-fA-F.:]+)`)
	plainEndpoint = regexp.MustCompile(`^[A-Za-z0-9_.@+-]{1,79}$`)
)

// pjsip asks for the endpoints of res_pjsip.
func (x *asteriskExamination) pjsip(ctx context.Context) (out []endpoint, err error) {
	text, err := x.cli(ctx, "pjsip show endpoints")
	if err != nil {
		return nil, err
	}
	phones := 0
	for line := range strings.Lines(text) {
		if m := endpointLine.FindStringSubmatch(line); m != nil && plainEndpoint.MatchString(m[1]) {
			out = append(out, endpoint{name: m[1], outside: true})
		}
		if len(out) == 0 {
			continue
		}
		last := &out[len(out)-1]
		if strings.HasPrefix(strings.TrimSpace(line), "InAuth:") && !strings.Contains(line, "<AuthId") {
			last.outside = false
			phones++
		}
		if m := matchLine.FindStringSubmatch(line); m != nil {
			if a, err := netip.ParseAddr(m[1]); err == nil {
				last.address = append(last.address, a)
			}
		}
	}
	asked := 0
	for i := range out {
		e := &out[i]
		if !e.outside {
			continue
		}
		if asked++; asked > maxEndpoints {
			x.warn(fmt.Sprintf("there are more than %d endpoints without a password: the others were not looked at", maxEndpoints), "see to it that phones have one")
			return out[:i], nil
		}
		text, err := x.cli(ctx, "pjsip show endpoint "+e.name)
		if err != nil {
			return nil, err
		}
		e.context = valueOf(text, "context")
		if e.context == "" {
			e.context = "default"
		}
		e.codecs = strings.FieldsFunc(valueOf(text, "allow"), func(c rune) bool { return strings.ContainsRune("(|) ,", c) })
	}
	return out, nil
}

// endpoints looks at where calls come in: whether they are screened, and whether the policy knows the trunk.
func (x *asteriskExamination) endpoints(ctx context.Context) {
	names := map[string]bool{}
	var outside []endpoint
	if x.loaded["chan_pjsip"] {
		all, err := x.pjsip(ctx)
		if err != nil {
			x.fail("Asterisk does not show its endpoints", err.Error())
			return
		}
		for _, e := range all {
			if names[e.name] = true; e.outside {
				outside = append(outside, e)
			}
		}
	}
	if x.loaded["chan_sip"] && x.folder != "" {
		all, _ := kit.Endpoints(x.folder)
		for _, e := range all {
			if !strings.HasPrefix(e.Where, "sip") {
				continue
			}
			if names[e.Name] = true; e.Outside {
				outside = append(outside, endpoint{name: e.Name, context: e.Context})
			}
		}
	}
	if len(outside) == 0 {
		x.warn("Asterisk has no endpoint that calls come in by without a password", "if your trunk is none of chan_pjsip's or chan_sip's, see to it that its context begins with Gosub(ringfence,s,1)")
	}
	if x.live != nil {
		x.screened(outside)
	}
	x.trunks(outside, names)
}

// screened says whether calls of the trunks come to the subroutine.
func (x *asteriskExamination) screened(outside []endpoint) {
	by := map[string][]string{}
	var contexts []string
	for _, e := range outside {
		if by[e.context] == nil {
			contexts = append(contexts, e.context)
		}
		by[e.context] = append(by[e.context], e.name)
		for _, c := range e.codecs {
			if !slices.Contains(x.codecs, c) {
				x.codecs = append(x.codecs, c)
			}
		}
	}
	freePBX := x.folder != "" && kit.IsFreePBX(x.folder)
	for _, c := range contexts {
		if x.live.Context(c) == nil {
			x.warn(fmt.Sprintf("calls of %s come to the context %s, which Asterisk does not have: they end", kit.Some(by[c]), c), "write the context, or give the endpoint another one")
			continue
		}
		notes := kit.GapNotes(x.live, c, "calls of "+kit.Some(by[c]), freePBX)
		for _, n := range notes {
			before, after, _ := strings.Cut(n, ": write ")
			if after != "" {
				x.fail(before, "write "+after+"; then asterisk -rx \"dialplan reload\"")
				continue
			}
			x.fail(what(n))
		}
		if len(notes) == 0 {
			x.ok("calls of %s are screened: the context %s hands them to the subroutine", kit.Some(by[c]), c)
		}
	}
}

// trunks holds the policy's trunks against the endpoints.
func (x *asteriskExamination) trunks(outside []endpoint, names map[string]bool) {
	if x.policy == nil {
		return
	}
	known := x.policy.TrunkEndpoints()
	for _, e := range outside {
		found := x.policy.Trunk(policy.TrunkFacts{Endpoint: e.name}).Known
		for _, a := range e.address {
			found = found || x.policy.Trunk(policy.TrunkFacts{Address: a}).Known
		}
		if !found {
			x.warn(fmt.Sprintf("the endpoint %s is no trunk of the policy, so only From says who calls there", e.name), fmt.Sprintf("write \"endpoint:%s\" into the match of a [trunks.NAME] in %s", e.name, x.settings.Policy))
		}
	}
	missing := 0
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if !names[name] {
			missing++
			x.warn(fmt.Sprintf("the policy's trunk %s is matched by endpoint:%s, and Asterisk has no endpoint of that name", known[name], name), "asterisk -rx \"pjsip show endpoints\" lists them")
		}
	}
	if missing == 0 && len(known) > 0 {
		x.ok("the %d endpoints that the policy names are there", len(known))
	}
}
