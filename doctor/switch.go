package doctor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ringfence/dialplan"
	"ringfence/eslbridge"
)

// needed are the modules that the chain hangs on.
var needed = []struct{ name, what string }{
	{"mod_event_socket", "the socket application that hands calls over"},
	{"mod_dptools", "set, transfer and the guard"},
	{"mod_commands", "uuid_setvar, with which the daemon says what it decided"},
	{"mod_dialplan_xml", "the dialplan"},
	{"mod_sofia", "SIP"},
	{"mod_sndfile", "announcements"},
}

func (x *examination) modules(ctx context.Context) {
	loaded := 0
	for _, m := range needed {
		answer, err := x.sw.API(ctx, "module_exists "+m.name)
		switch {
		case err != nil:
			x.fail("the switch does not say which modules it has", err.Error())
			return
		case answer != "true":
			x.fail(fmt.Sprintf("%s is not loaded (%s)", m.name, m.what), fmt.Sprintf("add <load module=\"%s\"/> to modules.conf.xml, and fs_cli -x \"load %[1]s\"", m.name))
		default:
			loaded++
		}
	}
	if loaded == len(needed) {
		x.ok("the %d modules that are needed are loaded", loaded)
		x.interfaces(ctx)
	}
}

// neededOf are what the dialplan and the daemon use of these modules, as the switch names it.
var neededOf = []struct {
	module, kind string
	names        []string
}{
	{"mod_event_socket", "application", []string{"socket"}},
	{"mod_dptools", "application", []string{
		"answer", "execute_extension", "export", "hangup", "playback", "read", "respond", "sched_cancel", "sched_transfer", "set", "transfer", "unset",
	}},
	{"mod_commands", "api", []string{"uuid_break", "uuid_kill", "uuid_setvar", "uuid_setvar_multi"}},
}

// interfaces looks for what an <interface-allowlist> (FreeSWITCH 1.11.2) leaves out: the module is there then, and says so,
// but a call that comes to such an application ends. The dialplan cannot ask for that.
func (x *examination) interfaces(ctx context.Context) {
	answer, err := x.sw.API(ctx, "show interfaces")
	if err != nil || !strings.Contains(answer, "\napplication,") {
		return // a switch without its database tells nothing
	}
	there := map[string]bool{}
	for line := range strings.Lines(answer) {
		there[strings.TrimSpace(line)] = true
	}
	var missing, allow []string
	for _, n := range neededOf {
		for _, name := range n.names {
			if !there[n.kind+","+name+","+n.module] {
				missing = append(missing, name)
				allow = append(allow, fmt.Sprintf("<allow name=\"%s.%s\"/>", n.module, name))
			}
		}
	}
	if len(missing) > 0 {
		x.fail("the switch has its modules and not all that is needed of them: "+dialplan.Some(missing)+"; a call that comes to an application that is not there ends",
			"add "+strings.Join(allow, " ")+" to the <interface-allowlist> in switch.conf.xml, and start the switch again")
	}
}

// expansion is about what makes a hostile text in a channel variable dangerous at all. It is on by default,
// and many dialplans need it, so it is a hint and no more.
func (x *examination) expansion(ctx context.Context) {
	answer, err := x.sw.API(ctx, "fsctl api_expansion")
	switch {
	case err != nil || !strings.Contains(answer, "api_expansion is"):
		return // not in this version
	case strings.Contains(answer, "is off"):
		x.ok("the switch does not run API commands that stand in variables (api-expansion is off)")
	default:
		x.hint("the switch runs API commands that stand in variables (api-expansion is on, as it comes)",
			"if no dialplan of yours uses ${command(…)}, set <param name=\"api-expansion\" value=\"false\"/> in switch.conf.xml; the vanilla and FusionPBX's dialplans do use it")
	}
}

// Differences of the clocks that matter: rules have hours, and calls are put beside those of other records.
const (
	clockWarn = 2 * time.Second
	clockFail = time.Minute
)

func (x *examination) clock(ctx context.Context) {
	before := time.Now()
	answer, err := x.sw.API(ctx, "strmicroepoch")
	us, e := strconv.ParseInt(answer, 10, 64)
	if err != nil || e != nil {
		x.warn("the switch does not tell the time", fmt.Sprintf("%v", errors.Join(err, e)))
		return
	}
	took := time.Since(before)
	skew := time.UnixMicro(us).Sub(before.Add(took / 2))
	if skew.Abs() < took { // the time that the answer took could explain it
		skew = 0
	}
	text := fmt.Sprintf("the switch's clock is %s ahead of the daemon's", skew.Round(time.Millisecond))
	if skew < 0 {
		text = fmt.Sprintf("the switch's clock is %s behind the daemon's", (-skew).Round(time.Millisecond))
	}
	const todo = "run NTP on both machines, and then fs_cli -x \"fsctl sync_clock\": the switch keeps a clock of its own"
	switch {
	case skew.Abs() >= clockFail:
		x.fail(text, todo)
	case skew.Abs() >= clockWarn:
		x.warn(text, todo)
	default:
		x.ok("the switch's clock agrees with the daemon's")
	}
}

// reload is what makes the switch read files that were written after it started.
const reload = "fs_cli -x reloadxml; `ringfence freeswitch install` writes the files"

// dialplan reads the dialplan that the switch has in memory and looks for the kit in it. It reports whether a
// test call may be placed: only where the kit ends it before a handset rings.
func (x *examination) dialplan(ctx context.Context) bool {
	text, err := x.sw.API(ctx, "xml_locate dialplan")
	if err != nil {
		x.fail("the switch does not show its dialplan", err.Error())
		return false
	}
	d, err := readDialplan(text)
	if err != nil {
		x.fail("the switch's dialplan cannot be read", err.Error())
		return false
	}
	in := d.context(x.o.Context)
	if in == nil {
		x.fail(fmt.Sprintf("the switch has no context %s", x.o.Context), "name the context where calls come in with --context")
		return false
	}
	screening := in.screening()
	if screening == nil {
		x.fail(fmt.Sprintf("the context %s does not hand calls to the daemon", x.o.Context), reload)
		return false
	}
	x.checkSocket(screening)
	x.checkEmergency(screening)
	x.checkEnds(in)
	for _, name := range []string{"ringfence-open", "ringfence-after"} {
		// FusionPBX makes contexts when they are asked for; what can be seen here is the incoming one alone.
		if d.context(name) == nil && !d.fusion {
			x.fail(fmt.Sprintf("the context %s is missing: a call that goes there ends", name), reload)
		}
	}
	if !in.endsTests() {
		x.fail(fmt.Sprintf("the context %s does not end test calls (the extension \"ringfence test\"), so none is placed", x.o.Context), reload)
		return false
	}
	return true
}

// checkSocket holds the dialplan's socket line against the daemon's address, and its guard.
func (x *examination) checkSocket(e *extension) {
	address, async := e.socket()
	x.screen = address
	listen := ""
	switch {
	case x.status != nil:
		listen = x.status.Screen
	case x.settings != nil:
		listen = x.settings.Screen.Listen
	}
	if listen != "" && !sameAddress(address, listen) {
		x.fail(fmt.Sprintf("the dialplan hands calls to %s, the daemon listens on %s", address, listen), "`ringfence freeswitch install --screen "+listen+"`, then fs_cli -x reloadxml")
	} else {
		x.ok("the context %s hands calls to the daemon (%s)", x.o.Context, address)
	}
	switch {
	case !async:
		x.warn("calls are handed over without async: if the daemon hangs, they wait for its watchdog (10 s)", "`ringfence freeswitch install --no-sync`, unless you chose it so")
	case !e.guarded():
		x.fail("no guard takes a call away from a daemon that hangs: callers would wait for ever", "install the shipped 000_ringfence.xml; docs/freeswitch.md says what the guard is")
	}
}

// checkEmergency holds the extension against the emergency numbers of the policy's country.
func (x *examination) checkEmergency(e *extension) {
	if x.policy == nil {
		return
	}
	var to, from []string
	numbers := x.policy.Plan().EmergencyNumbers()
	for _, n := range numbers {
		if !e.passes("destination_number", n) {
			to = append(to, n)
		}
		if e.passes("caller_id_number", n) {
			from = append(from, n)
		}
	}
	x.sayEmergency(numbers, to, from, "`ringfence freeswitch install` again, with --emergency if the numbers of "+x.policy.Country()+" are not yours; then fs_cli -x reloadxml")
}

// sayEmergency says which of the emergency numbers' calls do not go the right way: calls to them that would be shown to the
// daemon, and calls from them that would not.
func (x *examination) sayEmergency(numbers, to, from []string, todo string) {
	if len(to) > 0 {
		x.fail("emergency calls would be shown to the daemon: calls to "+strings.Join(to, " "), todo)
	}
	if len(from) > 0 {
		x.fail("anybody who shows an emergency number as his own rings unscreened, and leaves no record: calls from "+strings.Join(from, " "), todo)
	}
	if len(to)+len(from) == 0 {
		x.ok("calls to emergency numbers (%s) are not shown to the daemon, who calls from one is", strings.Join(numbers, " "))
	}
}

// checkEnds looks for extensions that take more than they say: an expression without an end also takes what a caller puts
// behind a number, and one without a beginning what he puts before it, another number for one.
func (x *examination) checkEnds(c *dialContext) {
	var open []string
	for _, e := range c.Extensions {
		if strings.HasPrefix(e.Name, "ringfence") {
			continue
		}
		for _, cond := range e.Conditions {
			if cond.Field == "destination_number" && (endless(cond.Expression) || startless(cond.Expression)) {
				open = append(open, fmt.Sprintf("%q (%s)", e.Name, cond.Expression))
				break
			}
		}
	}
	if len(open) == 0 {
		return
	}
	x.warn("extensions of the context "+x.o.Context+" take numbers with anything before or behind them: "+dialplan.Some(open),
		"write the beginning, ^, and the end, $, into each expression, as in ^(\\d+)$: without them 1000 is reached by `1000 XML default` or `2000/1000` too, and a rule about the line 1000 may not see it")
}

// startless: an expression that does not say how a destination begins. One that takes everything says so.
func startless(expression string) bool {
	e := strings.TrimLeft(expression, "(?:")
	return strings.Trim(e, "$)") != "" && !strings.Contains(expression, "^") && !strings.HasPrefix(e, ".*") && !strings.HasPrefix(e, ".+")
}

// endless: an expression that says how a destination begins and not how it ends. One that takes everything says so.
func endless(expression string) bool {
	e := strings.TrimRight(expression, ")")
	switch {
	case expression == "", strings.HasSuffix(e, "$"), strings.HasSuffix(e, ".*"), strings.HasSuffix(e, ".+"), strings.Contains(expression, "$"):
		return false
	}
	return strings.HasPrefix(strings.TrimLeft(expression, "("), "^") && expression != "^"
}

// call asks the switch for something that takes longer than usual.
func (x *examination) call(ctx context.Context, limit time.Duration, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	text, err := x.sw.API(ctx, command)
	if errors.Is(err, eslbridge.ErrRefused) {
		err = nil // a call that ends unanswered is one, and that is how the test call ends
	}
	return text, err
}
