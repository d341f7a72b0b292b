package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"ringfence/dialplan"
)

// reloadAsterisk is what makes Asterisk read files that were written after it started.
const reloadAsterisk = "asterisk -rx \"dialplan reload\""

// dialplan reads the dialplan that Asterisk has in memory and looks for the subroutine in it. It reports whether a test call
// may be placed: only where the subroutine ends it before a phone rings.
func (x *asteriskExamination) dialplan(ctx context.Context) bool {
	text, err := x.cli(ctx, "dialplan show")
	if err != nil {
		x.fail("Asterisk does not show its dialplan", err.Error())
		return false
	}
	x.live = dialplan.ReadShown(text)
	sub := x.live.Context(dialplan.Subroutine)
	var inFile *dialplan.Plan
	if x.folder != "" {
		if inFile, err = dialplan.Read(x.folder); err != nil {
			x.warn("the files of the dialplan cannot be read", err.Error())
			inFile = nil
		}
	}
	if sub == nil || sub.Extension("s") == nil {
		todo := x.install() + ", and " + reloadAsterisk
		if inFile != nil && inFile.Context(dialplan.Subroutine) != nil {
			todo = reloadAsterisk + "; if that does not help, Asterisk's log says why it does not read " + "extensions.conf"
		}
		x.fail("Asterisk has no subroutine ringfence: no call is screened, and one that a context hands to it ends", todo)
		return false
	}
	if inFile != nil {
		if inFile.Context(dialplan.Subroutine) == nil {
			x.fail("extensions.conf does not include the subroutine any more: from the next reload on, calls that are handed to it end", x.install()+", and "+reloadAsterisk)
		} else if !sub.Same(inFile.Context(dialplan.Subroutine)) || !x.live.Context(dialplan.TestContext).Same(inFile.Context(dialplan.TestContext)) {
			x.fail("the subroutine that Asterisk has in memory is not the one of its files", reloadAsterisk)
		} else {
			x.ok("Asterisk has read the subroutine as it is in its files")
		}
	}
	s := sub.Extension("s")
	x.checkAGI(s)
	if !guarded(sub) {
		x.fail("no guard takes a call away from a daemon that hangs: callers would wait for ever", "install the shipped extensions_ringfence.conf; docs/asterisk.md says what the guard is")
	}
	x.checkEmergency(s)
	steps, contexts := x.live.Calls()
	if len(steps) == 0 {
		x.fail("no context calls the subroutine: no call is screened", "begin the context of your trunk with exten => _[+0-9]!,1,Gosub(ringfence,s,1), and "+reloadAsterisk)
	} else {
		x.ok("contexts that call the subroutine: %s", strings.Join(contexts, ", "))
	}
	if x.installed != nil {
		for _, n := range dialplan.PhoneNotes(x.live, *x.installed) {
			if n.Level == dialplan.Know {
				x.hint(n.Text, "")
			} else {
				x.warn(what(n.Text))
			}
		}
	}
	if !endsTests(x.live) {
		x.fail("the subroutine does not end test calls (RINGFENCE_TEST, the context ringfence-test), so none is placed", x.install()+", and "+reloadAsterisk)
		return false
	}
	return true
}

var agiURL = regexp.MustCompile(`^agi://(\[[0-9a-fA-F:]+\]|[^/:,]+)(?::([0-9]+))?[/,]`)

// agiAddress is the host:port that a step hands calls to, "" if it does not.
func agiAddress(s dialplan.DialStep) string {
	m := agiURL.FindStringSubmatch(s.Data)
	if !strings.EqualFold(s.App, "AGI") || m == nil {
		return ""
	}
	if m[2] == "" {
		m[2] = "4573"
	}
	return m[1] + ":" + m[2]
}

// checkAGI holds the address in the dialplan against the daemon's, and Asterisk's against [agi] allow.
func (x *asteriskExamination) checkAGI(e *dialplan.DialExtension) {
	for _, s := range e.Steps {
		if x.screen = agiAddress(s); x.screen != "" {
			break
		}
	}
	if x.screen == "" {
		x.fail("the subroutine does not hand calls to the daemon: it has no AGI(agi://…)", x.install()+", and "+reloadAsterisk)
		return
	}
	if x.settings == nil || x.settings.AGI == nil {
		return
	}
	listen := x.settings.AGI.Listen
	if x.status != nil && x.status.AGI != "" {
		listen = x.status.AGI
	}
	if !sameAddress(x.screen, listen) {
		x.fail(fmt.Sprintf("the dialplan hands calls to %s, the daemon listens on %s", x.screen, listen), "`ringfence asterisk install --agi "+listen+"`, and "+reloadAsterisk)
		return
	}
	x.ok("the subroutine hands calls to the daemon (%s)", x.screen)
	from := fromHere(x.screen)
	if from.IsValid() && !slices.ContainsFunc(x.settings.AGI.Allow, func(p netip.Prefix) bool { return p.Contains(from) }) {
		x.fail(fmt.Sprintf("the daemon does not take calls from %s, which is Asterisk's address to it", from), fmt.Sprintf("add \"%s\" to allow of [agi] in %s, and systemctl restart ringfence", from, x.settings.File))
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

// guarded reports whether a timeout is set before AGI(), lets it end, and is put back behind it, and extension T goes on with
// the call.
func guarded(c *dialplan.DialContext) bool {
	want := []dialplan.DialStep{
		{App: "Set", Data: "AGIEXITONHANGUP=yes"},
		{App: "Set", Data: "TIMEOUT(absolute)="},
		{App: "AGI", Data: "agi://"},
		{App: "Set", Data: "AGIEXITONHANGUP=${"},
		{App: "Set", Data: "TIMEOUT(absolute)=${"},
	}
	back := ""
	for _, s := range oneByOne(c.Extension("s").Steps) {
		if len(want) == 0 || !strings.EqualFold(s.App, want[0].App) || !strings.HasPrefix(s.Data, want[0].Data) {
			continue
		}
		if len(want) == 4 {
			if n, err := strconv.Atoi(strings.TrimPrefix(s.Data, want[0].Data)); err != nil || n < 1 || n > 60 {
				continue
			}
		}
		if len(want) == 2 {
			back = s.Label
		}
		want = want[1:]
	}
	t := c.Extension("T")
	return len(want) == 0 && t != nil && back != "" && slices.ContainsFunc(t.Steps, func(s dialplan.DialStep) bool {
		return strings.EqualFold(s.App, "Goto") && s.Data == "s,"+back
	})
}

// oneByOne makes a Set of each assignment of an MSet.
func oneByOne(steps []dialplan.DialStep) (all []dialplan.DialStep) {
	for _, s := range steps {
		if !strings.EqualFold(s.App, "MSet") {
			all = append(all, s)
			continue
		}
		set, depth, from := s, 0, 0
		set.App = "Set"
		for i, r := range s.Data + "," {
			switch {
			case strings.ContainsRune("({[", r):
				depth++
			case strings.ContainsRune(")}]", r):
				depth--
			case r == ',' && depth == 0:
				set.Data = s.Data[from:i]
				all, from = append(all, set), i+1
			}
		}
	}
	return all
}

var emergencyStep = regexp.MustCompile(`^(?:\$\[)?\$\{REGEX\("([^"]+)" \$\{(rf_to|rf_from)\}\)\}.*\?out$`)

var lastDigitsStep = regexp.MustCompile(`^\$\{REGEX\("([^"]+)" \$\{rf_to\}(?: \$\{rf_from\})?\)\}\?:ask$`)

// checkEmergency holds the subroutine against the emergency numbers of the policy's country.
func (x *asteriskExamination) checkEmergency(e *dialplan.DialExtension) {
	if x.policy == nil {
		return
	}
	passes := map[string]*regexp.Regexp{}
	var last *regexp.Regexp // without it in one of the two, neither is looked at further
	for _, s := range e.Steps {
		if agiAddress(s) != "" {
			break
		}
		if m := lastDigitsStep.FindStringSubmatch(s.Data); strings.EqualFold(s.App, "GotoIf") && m != nil {
			last, _ = regexp.CompilePOSIX(m[1])
		}
		if m := emergencyStep.FindStringSubmatch(s.Data); strings.EqualFold(s.App, "GotoIf") && m != nil {
			if re, err := regexp.CompilePOSIX(m[1]); err == nil {
				passes[m[2]] = re
			}
		}
	}
	numbers := x.policy.Plan().EmergencyNumbers()
	which := func(field string, want bool) (out []string) {
		for _, n := range numbers {
			re := passes[field]
			if by := re != nil && re.MatchString(n) && (last == nil || last.MatchString(n)); by == want {
				out = append(out, n)
			}
		}
		return out
	}
	x.sayEmergency(numbers, which("rf_to", false), which("rf_from", true), "`ringfence asterisk install` again, with --emergency if the numbers of "+x.policy.Country()+" are not yours; then "+reloadAsterisk)
}

// endsTests reports whether a test call ends in the kit's own context, whatever is decided: before the subroutine hangs up or
// diverts it returns, and what it returns to hangs up.
func endsTests(d *dialplan.Plan) bool {
	returns := false
	for _, s := range d.Context(dialplan.Subroutine).Extension("s").Steps {
		switch {
		case strings.EqualFold(s.App, "GotoIf") && s.Data == `$["${RINGFENCE_TEST}" != ""]?out`:
			returns = true
		case !returns && (strings.EqualFold(s.App, "GotoIf") && (strings.HasSuffix(s.Data, "?refuse") || strings.HasSuffix(s.Data, "?divert")) || strings.EqualFold(s.App, "Goto")):
			return false
		case s.Label == "out" && !strings.EqualFold(s.App, "Return"):
			return false
		}
	}
	c := d.Context(dialplan.TestContext)
	if !returns || c == nil || len(c.Includes)+len(c.Switches) > 0 {
		return false
	}
	for _, e := range c.Extensions {
		for _, s := range e.Steps {
			switch app := strings.ToLower(s.App); {
			case app == "set", app == "hangup":
			case app == "goto" && s.Data == testCallee+",1":
			case app == "gosub" && s.Data == "ringfence,s,1" && len(e.Steps) == 2 && strings.EqualFold(e.Steps[1].App, "Hangup"):
			default:
				return false
			}
		}
	}
	called := c.Extension(testCallee)
	return called != nil && len(called.Steps) == 2 && c.Extension("_99900XXXXXXXX") != nil
}

// testCall places a call through a Local channel into the kit's context, and reads what the subroutine has left there.
func (x *asteriskExamination) testCall(ctx context.Context) {
	for _, m := range dialplan.AsteriskTestModules {
		if !x.loaded[m.Name] {
			x.warn(fmt.Sprintf("no test call was placed: %s is not loaded (%s)", m.Name, m.What), fmt.Sprintf("asterisk -rx \"module load %s.so\" and try again", m.Name))
			return
		}
	}
	caller := nobody()
	number := strings.TrimPrefix(caller, "+")
	answer, err := x.cli(ctx, fmt.Sprintf("channel originate Local/%s@%s/n application Wait %d", number, dialplan.TestContext, int(testLimit.Seconds())))
	if err != nil {
		x.fail("Asterisk did not place a test call", err.Error())
		return
	}
	left, err := x.leftBy(ctx, number)
	took := time.Duration(left.to-left.from) * time.Millisecond
	switch {
	case err != nil:
		x.fail("what became of the test call could not be asked for", err.Error())
		return
	case left.to == 0:
		x.fail(fmt.Sprintf("a test call to %s in the context %s did not end (Asterisk said %.60q)", testCallee, dialplan.TestContext, strings.TrimSpace(answer)), "see Asterisk's log")
		return
	case left.guard == "fired":
		x.fail(fmt.Sprintf("the daemon did not give the test call back: the guard took it after %d ms, and so it goes with every call", took.Milliseconds()), "systemctl restart ringfence, and see its log (journalctl -u ringfence)")
		return
	case left.cause == "":
		x.fail(fmt.Sprintf("the test call was not screened: no verdict came, and it was let through after %d ms", took.Milliseconds()), "what is said above of the daemon and its port, or else Asterisk's log and the daemon's")
		return
	case x.desk == nil:
		x.ok("a test call from %s was given back in %d ms", caller, took.Milliseconds())
		return
	}
	r, err := x.recordOf(ctx, caller)
	switch {
	case err != nil:
		x.fail("the journal could not be asked for the test call", err.Error())
	case r == nil:
		x.fail("the test call was given back, but this daemon's journal does not have it", "another daemon answers on "+x.screen)
	case r.Rule == "fail-open":
		x.fail(fmt.Sprintf("the test call was not screened, it was let through (%s)", r.Reason), "see the daemon's log (journalctl -u ringfence)")
	default:
		x.ok("a test call from %s was screened and given back in %d ms, the guard did not have to act: %s by rule %q; no phone rang", caller, took.Milliseconds(), r.Action, r.Rule)
	}
}

// testLeft is what a test call leaves in Asterisk's database.
type testLeft struct {
	action, cause, guard string
	from, to             int64 // milliseconds since 1970; to is 0 where it left nothing
}

// leftBy waits for what a test call leaves, and takes it away.
func (x *asteriskExamination) leftBy(ctx context.Context, number string) (left testLeft, err error) {
	ctx, cancel := context.WithTimeout(ctx, testLimit+10*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := x.cli(ctx, "database get ringfence "+number)
		if err != nil && ctx.Err() == nil {
			return left, err
		}
		if value, ok := strings.CutPrefix(strings.TrimSpace(text), "Value: "); ok {
			for word := range strings.FieldsSeq(value) {
				key, v, _ := strings.Cut(word, "=")
				switch key {
				case "action":
					left.action = v
				case "cause":
					left.cause = v
				case "guard":
					left.guard = v
				case "from":
					left.from, _ = strconv.ParseInt(v, 10, 64)
				case "to":
					left.to, _ = strconv.ParseInt(v, 10, 64)
				}
			}
			_, err := x.cli(ctx, "database del ringfence "+number)
			return left, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return left, nil
		}
	}
}
