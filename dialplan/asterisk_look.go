package dialplan

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// AsteriskModules are the modules that the subroutine hangs on, and the doctor's test call.
var AsteriskModules = []struct{ Name, What string }{
	{"pbx_config", "the dialplan"},
	{"res_agi", "AGI, which hands calls to the daemon"},
	{"app_stack", "Gosub and Return"},
	{"func_strings", "FILTER and REGEX, by which emergency calls are known"},
	{"func_logic", "IF"},
	{"func_timeout", "the guard"},
	{"func_callerid", "who calls"},
	{"func_channel", "what a call came in by"},
	{"func_dialplan", "DIALPLAN_EXISTS, for the h of your context"},
	{"app_read", "digits of a challenge"},
	{"format_wav", "announcements"},
}

// AsteriskTestModules are those that only the doctor's test call needs.
var AsteriskTestModules = []struct{ Name, What string }{
	{"res_clioriginate", "channel originate"},
	{"func_db", "what the test call leaves"},
}

// maxGaps is how many places are named for one context.
const maxGaps = 5

// LookAsterisk says what in an Asterisk configuration keeps the subroutine from its work: contexts that calls from
// outside come to and that do not begin with it, modules that are kept from loading, announcements that Asterisk's user
// cannot read. sounds is the folder of the announcements, "" if it is not known.
func LookAsterisk(folder string, s Asterisk, sounds string) []Note {
	var n notes
	c, err := readConf(folder, "extensions.conf")
	if err != nil {
		n.add(Should, "extensions.conf cannot be looked into: see to it that the contexts of your trunks begin with Gosub(ringfence,s,1) (%v)", err)
		return n
	}
	for _, m := range c.missing {
		if m.File != asteriskFile {
			n.add(Must, "%s includes %s, which is not there: Asterisk does not read its dialplan at all until the file is there or the line is gone", m.Where, m.File)
		}
	}
	d := c.dialplan()
	n.contexts(d, trunks(folder), s)
	n = append(n, PhoneNotes(d, s)...)
	n.modules(folder)
	if sounds != "" {
		who := AsteriskUser(folder)
		if closed, mode := who.Closed(filepath.Join(sounds, "x")); closed != "" {
			n.add(Should, "%s has mode %04o, so %s cannot read the announcements in %s: chmod o+rX it, or give it a group that Asterisk's user is in", closed, mode, who.what(), sounds)
		}
	}
	return n
}

// what names a reader.
func (r Reader) what() string {
	if r.Name == "" {
		return "Asterisk's user"
	}
	return "the user " + r.Name + ", as which Asterisk runs,"
}

// AsteriskUser is the user that asterisk.conf says Asterisk runs as, else the one named asterisk, else any.
func AsteriskUser(folder string) Reader {
	name := "asterisk"
	if c, err := readConf(folder, "asterisk.conf"); err == nil {
		for _, s := range c.sections {
			if user := s.get("runuser"); s.Name == "options" && user != "" {
				name = user
			}
		}
	}
	r, err := ReaderNamed(name)
	if err != nil {
		return Reader{}
	}
	return r
}

// contexts notes where calls from outside get past the subroutine.
func (n *notes) contexts(d *Plan, outside []Endpoint, s Asterisk) {
	byContext := map[string][]string{}
	var order []string
	for _, e := range outside {
		if byContext[e.Context] == nil {
			order = append(order, e.Context)
		}
		byContext[e.Context] = append(byContext[e.Context], e.Name)
	}
	for _, name := range order {
		who := "calls of " + Some(byContext[name])
		if d.Context(name) == nil {
			n.add(Should, "%s come to the context %s, which extensions.conf does not have: if it comes from elsewhere (AEL, Lua, a database), see to it that it begins with Gosub(ringfence,s,1)", who, name)
		}
		for _, note := range GapNotes(d, name, who, s.FreePBX) {
			n.add(Must, "%s", note)
		}
	}
	if len(order) > 0 {
		return
	}
	if _, called := d.Calls(); len(called) == 0 {
		n.add(Must, "no context calls the subroutine: begin the context that your trunk's calls come to with exten => _[+0-9]!,1,Gosub(ringfence,s,1)")
	}
}

// Some is the first of some names, and how many more there are.
func Some(names []string) string {
	const most = 6
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// GapNotes says for a context which of its extensions take calls before they are screened, each as "what is so: write the
// lines". who are the calls, as in "calls of telecom".
func GapNotes(d *Plan, context, who string, freePBX bool) (out []string) {
	gaps := d.Gaps(context)
	if len(gaps) > 0 && freePBX {
		return []string{fmt.Sprintf("%s come to the context %s and are not screened: give the trunk the context from-trunk-ringfence (in its advanced settings), which hands them on to from-trunk", who, context)}
	}
	for i, g := range gaps {
		if i == maxGaps {
			return append(out, fmt.Sprintf("%d more extensions of the context %s take calls before they are screened: write the same there", len(gaps)-i, context))
		}
		out = append(out, g.note(who))
	}
	return out
}

// note says what a gap is, and what to write.
func (g Gap) note(who string) string {
	if g.Step.App == "" {
		return fmt.Sprintf("the context %s has %s, so %s are taken where it cannot be seen whether they are screened: see to it that Gosub(ringfence,s,1) comes first there", g.Context, g.Extension, who)
	}
	what := fmt.Sprintf("%s: %s to %s in the context %s get %s before they are screened", g.Step.Where, who, g.Extension, g.Context, g.Step)
	if g.Unknown {
		what = fmt.Sprintf("%s: %s to %s in the context %s go by %s to where it cannot be seen whether they are screened", g.Step.Where, who, g.Extension, g.Context, g.Step)
	}
	if g.Step.Priority != 1 {
		return fmt.Sprintf("%s: write ` same => n,Gosub(ringfence,s,1)` on a line before it", what)
	}
	what += fmt.Sprintf(": write `exten => %s,1,Gosub(ringfence,s,1)` in its place and ` same => n,%s` behind it", g.Extension, g.Step)
	if g.More {
		what += ", and n for the numbers of the steps that follow"
	}
	return what
}

// PhoneNotes says what the contexts of phones need for the star code and for what is dialled.
func PhoneNotes(d *Plan, s Asterisk) []Note {
	var n notes
	included := slices.ContainsFunc(d.Contexts, func(c *DialContext) bool { return slices.Contains(c.Includes, "ringfence-phones") })
	var codes []string
	if s.Star != "" {
		codes = append(codes, "report their last caller with "+s.Star)
	}
	if s.Release != "" {
		codes = append(codes, "let the one through who was last stopped with "+s.Release)
	}
	if len(codes) > 0 && !included && !s.FreePBX {
		n.add(Know, "your phones can %s when their context has the line include => ringfence-phones; callers from outside must not get there", strings.Join(codes, ", and "))
	}
	steps, _ := d.Calls()
	if s.LearnDialled && !slices.ContainsFunc(steps, func(s DialStep) bool { return target(s) == "dialled" }) {
		n.add(Should, "nothing tells the daemon what your phones dial: write Gosub(ringfence,dialled,1) in front of the Dial() of your outbound routes, with Set(RINGFENCE_LINE=…) before it if the extension is not the number; nobody from outside may get there")
	}
	return n
}

// modules notes what modules.conf keeps from loading.
func (n *notes) modules(folder string) {
	c, err := readConf(folder, "modules.conf")
	if err != nil {
		return
	}
	auto := true
	var load, noload []string
	for _, s := range c.sections {
		for _, e := range s.Entries {
			switch name := strings.TrimSuffix(e.Value, ".so"); strings.ToLower(e.Key) {
			case "autoload":
				auto = !slices.Contains([]string{"no", "false", "n", "f", "0", "off"}, strings.ToLower(e.Value))
			case "load", "require", "preload", "preload-require":
				load = append(load, name)
			case "noload":
				noload = append(noload, name)
			}
		}
	}
	for _, m := range AsteriskModules {
		fits := func(pattern string) bool { ok, _ := path.Match(pattern, m.Name); return ok }
		switch {
		case slices.ContainsFunc(noload, fits):
			n.add(Must, "modules.conf keeps %s from loading (%s): take the line noload => %[1]s.so out, and asterisk -rx \"module load %[1]s.so\"", m.Name, m.What)
		case !auto && !slices.ContainsFunc(load, fits):
			n.add(Must, "modules.conf does not load %s (%s): write load => %[1]s.so, and asterisk -rx \"module load %[1]s.so\"", m.Name, m.What)
		}
	}
}
