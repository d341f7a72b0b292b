package dialplan

import (
	"encoding/xml"
	"io"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"ringfence/conf"
)

// A small reading of mod_dialplan_xml (parse_exten and dialplan_hunt), independent of how the switch is
// measured elsewhere: which applications a call gets.

type xmlContext struct {
	Name       string         `xml:"name,attr"`
	Extensions []xmlExtension `xml:"extension"`
}

type xmlExtension struct {
	Name       string         `xml:"name,attr"`
	Continue   string         `xml:"continue,attr"`
	Conditions []xmlCondition `xml:"condition"`
}

type xmlCondition struct {
	Field      string      `xml:"field,attr"`
	Expression string      `xml:"expression,attr"`
	Break      string      `xml:"break,attr"`
	Actions    []xmlAction `xml:"action"`
	Anti       []xmlAction `xml:"anti-action"`
}

type xmlAction struct {
	Application string `xml:"application,attr"`
	Data        string `xml:"data,attr"`
}

var variable = regexp.MustCompile(`\$\{([a-z_]+(?:\([a-z_]*\))?)\}`) // or an API command

// hunt gives the applications that a call gets in a context, as "application data". fields has its
// destination_number and caller_id_number, and its variables by name.
func (c *xmlContext) hunt(fields map[string]string) []string {
	var out []string
	for _, e := range c.Extensions {
		var matched bool
		for _, cond := range e.Conditions {
			value := fields[cond.Field]
			if strings.Contains(cond.Field, "$") {
				value = variable.ReplaceAllStringFunc(cond.Field, func(v string) string { return fields[strings.Trim(v, "${}")] })
			}
			re := regexp.MustCompile(cond.Expression)
			m := re.FindStringSubmatch(value)
			matched = m != nil
			for _, a := range cond.Actions {
				if matched {
					data := a.Data
					for i, group := range m {
						if i > 0 {
							data = strings.ReplaceAll(data, "$"+string(rune('0'+i)), group)
						}
					}
					out = append(out, a.Application+" "+data)
				}
			}
			for _, a := range cond.Anti {
				if !matched {
					out = append(out, a.Application+" "+a.Data)
				}
			}
			if matched && cond.Break == "on-true" || !matched && (cond.Break == "" || cond.Break == "on-false") {
				break
			}
		}
		if matched && e.Continue != "true" {
			break
		}
	}
	return out
}

// readContexts reads a dialplan file. Its extensions without a context go to the one named.
func readContexts(t *testing.T, text, context string) map[string]*xmlContext {
	t.Helper()
	out := map[string]*xmlContext{}
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		start, ok := token.(xml.StartElement)
		switch {
		case !ok:
		case start.Name.Local == "context":
			c := &xmlContext{}
			if err := d.DecodeElement(c, &start); err != nil {
				t.Fatal(err)
			}
			out[c.Name] = c
		case start.Name.Local == "extension":
			var e xmlExtension
			if err := d.DecodeElement(&e, &start); err != nil {
				t.Fatal(err)
			}
			if out[context] == nil {
				out[context] = &xmlContext{Name: context}
			}
			out[context].Extensions = append(out[context].Extensions, e)
		}
	}
}

// dialplanOf renders the kit and reads it back.
func dialplanOf(t *testing.T, s Settings, e Emergency) map[string]*xmlContext {
	t.Helper()
	files, err := s.files(e)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*xmlContext{}
	for _, f := range files {
		context := "public"
		switch {
		case strings.HasPrefix(f.name, "dialplan/default/"), strings.HasSuffix(f.name, "fusionpbx/ringfence-report.xml"), strings.HasSuffix(f.name, "fusionpbx/ringfence-release.xml"):
			context = "default"
		case strings.HasSuffix(f.name, "fusionpbx/ringfence-open.xml"):
			context = "ringfence-open"
		case strings.HasSuffix(f.name, "fusionpbx/ringfence-after.xml"):
			context = "ringfence-after"
		case strings.HasSuffix(f.name, "fusionpbx/ringfence-whisper.xml"):
			context = "ringfence-whisper"
		}
		for name, c := range readContexts(t, string(f.content), context) {
			if all[name] == nil {
				all[name] = &xmlContext{Name: name}
			}
			all[name].Extensions = append(all[name].Extensions, c.Extensions...)
		}
	}
	return all
}

const (
	guardSet   = "sched_transfer +2 "
	guardKept  = "set ringfence_guard_task=${last_sched_id}"
	guardGone  = "sched_cancel ${ringfence_guard_task}"
	resumeSet  = "set socket_resume=true"
	resumeGone = "unset socket_resume"
)

var china = Emergency{Numbers: strings.Fields("110 119 120 122 12110 95110"), Expression: shippedExpression}

func all(screen string) []Settings {
	base := Settings{Screen: screen, Star: "*57", Release: "*58", LearnDialled: true}
	syncMode, fusion := base, base
	syncMode.Sync, fusion.FusionPBX = true, true
	return []Settings{base, syncMode, fusion}
}

// Which calls are shown to the daemon, and what they get.
func TestDialplanScreens(t *testing.T) {
	for _, s := range all("192.0.2.7:8084") {
		public := dialplanOf(t, s, china)["public"]
		for _, c := range []struct {
			to, from string
			vars     map[string]string
			screened bool
		}{
			{"05925550100", "13800138000", nil, true},
			{"+865925550100", "", nil, true},
			{"*43", "95588", nil, true},
			{"1000", "anonymous", nil, true},
			{"1100", "11000", nil, true},
			{"05925550100", "110", nil, true}, // anybody can write that
			{"05925550100", "+86110", nil, true},
			{"05925550100", "059295110", nil, true},
			{"110", "13800138000", nil, false},
			{"+8612110", "13800138000", nil, false},
			{"05925550100", "13800138000", map[string]string{"ringfence_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, false},
			{"05925550100", "13800138000", map[string]string{"ringfence_guard": "fired"}, false},
			{"05925550100", "13800138000", map[string]string{"ringfence_divert": "3001 XML public"}, false},
			{"1000 XML internal", "13800138000", nil, true},
			{"alice", "13800138000", nil, true},
			{"${system(touch /tmp/x)}", "13800138000", nil, true},
			{"1;DROP", "13800138000", nil, true},
			{"05926666401;user=phone", "13800138000", nil, true},
			{"110;user=phone", "13800138000", nil, true},
			{strings.Repeat("1", 200), "13800138000", nil, true},
			{"'", "13800138000", nil, true},
			{"-both", "13800138000", nil, true}, // an option of transfer
			{"", "13800138000", nil, true},
		} {
			fields := map[string]string{"destination_number": c.to, "caller_id_number": c.from}
			for k, v := range c.vars {
				fields[k] = v
			}
			did := public.hunt(fields)
			if !c.screened {
				if len(did) > 0 {
					t.Errorf("%+v: a call from %s to %s %v gets %q", s, c.from, c.to, c.vars, did)
				}
				continue
			}
			want := []string{
				"set ringfence_action=allow", "export ignore_display_updates=true", "set ringfence_guard_to=guard XML ringfence-open",
				resumeSet, guardSet + "guard XML ringfence-open", guardKept, "socket 192.0.2.7:8084 async full", guardGone, resumeGone,
				"execute_extension ${ringfence_action} XML ringfence-after",
			}
			if s.Sync {
				want = []string{want[0], want[1], "socket 192.0.2.7:8084 full", want[9]}
			}
			if plain := regexp.MustCompile(`[A-Za-z0-9_+*#][A-Za-z0-9_.+*#-]{0,63}`).FindString(c.to); plain != "" {
				want = append([]string{"set ringfence_callee=" + plain}, want...)
			}
			if strings.Join(did, "\n") != strings.Join(want, "\n") {
				t.Errorf("%+v: a call from %s to %s gets\n%s", s, c.from, c.to, strings.Join(did, "\n"))
			}
			const loaded = "module_exists(mod_event_socket)" // "" where the switch runs no API commands in a dialplan
			fields[loaded] = "true"
			if did := public.hunt(fields); len(did) != len(want) {
				t.Errorf("%+v: with the module loaded a call gets %q", s, did)
			}
			fields[loaded] = "false"
			if did := public.hunt(fields); len(did) > 0 {
				t.Errorf("%+v: while the module is being loaded again a call gets %q", s, did)
			}
			fields[loaded] = "true"
			fields["ringfence_test"] = "true"
			if did := public.hunt(fields); len(did) != len(want)+1 || did[len(want)] != "hangup NORMAL_CLEARING" {
				t.Errorf("%+v: a test call gets %q", s, did)
			}
		}
	}
}

// Wherever a call goes when it leaves the screening, socket_resume goes first, and nothing screens it again.
func TestDialplanWaysOut(t *testing.T) {
	for _, s := range all("127.0.0.1:8084") {
		contexts := dialplanOf(t, s, china)
		for name, c := range contexts {
			if !strings.HasPrefix(name, "ringfence-open") && name != "ringfence-after" {
				continue
			}
			for _, e := range c.Extensions {
				actions := 0
				for _, cond := range e.Conditions {
					for i, a := range cond.Actions {
						if i == 0 && actions == 0 && a.Application+" "+a.Data != resumeGone {
							t.Errorf("%s, %s: begins with %s %s", name, e.Name, a.Application, a.Data)
						}
						if a.Application == "socket" {
							t.Errorf("%s, %s: screens", name, e.Name)
						}
						actions++
					}
				}
				if actions == 0 && e.Name != "ringfence nothing left" {
					t.Errorf("%s, %s: does nothing", name, e.Name)
				}
			}
		}
		for callee, want := range map[string]string{
			"05925550100": "transfer 05925550100 XML public", "alice": "transfer alice XML public", "": "hangup UNALLOCATED_NUMBER",
			"1 XML x": "hangup UNALLOCATED_NUMBER", // nobody sets that, and yet
		} {
			guarded := map[string]string{"destination_number": "guard", "ringfence_callee": callee}
			if did := contexts["ringfence-open"].hunt(guarded); strings.Join(did, "|") != resumeGone+"|set ringfence_guard=fired|"+want {
				t.Errorf("the guard's call to %q gets %q", callee, did)
			}
		}
		diverted := map[string]string{"destination_number": "divert"}
		if did := contexts["ringfence-after"].hunt(diverted); strings.Join(did, "|") != resumeGone+"|transfer ${ringfence_divert}" {
			t.Errorf("a diverted call gets %q", did)
		}
		diverted["ringfence_test"] = "true"
		if did := contexts["ringfence-after"].hunt(diverted); strings.Join(did, "|") != resumeGone+"|hangup NORMAL_CLEARING" {
			t.Errorf("a diverted test call gets %q", did)
		}
		for _, action := range []string{"allow", "tag", "warn", "challenge", "reject"} {
			if did := contexts["ringfence-after"].hunt(map[string]string{"destination_number": action}); len(did) > 0 {
				t.Errorf("%s: %q", action, did)
			}
		}
		if s.FusionPBX { // where nothing of FusionPBX's own may follow
			for _, name := range []string{"ringfence-after", "ringfence-whisper"} {
				own := *contexts[name]
				own.Extensions = append(own.Extensions, xmlExtension{Name: "user_exists", Conditions: []xmlCondition{{Field: "destination_number", Actions: []xmlAction{{"set", "x=y"}}}}})
				if did := own.hunt(map[string]string{"destination_number": "allow", "channel_name": "loopback/x"}); len(did) > 0 {
					t.Errorf("%s goes on: %q", name, did)
				}
			}
		}
		// Every destination of a guard exists.
		for _, c := range contexts {
			for _, e := range c.Extensions {
				for _, cond := range e.Conditions {
					for _, a := range cond.Actions {
						if a.Application != "sched_transfer" {
							continue
						}
						to := strings.Fields(strings.ReplaceAll(a.Data, "$1", "1000")) // of a call of our own phones
						if len(to) != 4 || contexts[to[3]] == nil || len(contexts[to[3]].hunt(map[string]string{"destination_number": to[1]})) == 0 {
							t.Errorf("the guard of %s leads nowhere: %s", e.Name, a.Data)
						}
					}
				}
			}
		}
	}
}

// The star code and the dialled numbers of phones.
func TestDialplanIntents(t *testing.T) {
	for _, s := range all("127.0.0.1:8084") {
		outgoing := dialplanOf(t, s, china)["default"]
		for _, c := range []struct {
			to, intent string
			vars       map[string]string
		}{
			{"*57", "report", map[string]string{"sip_authorized": "true"}},
			{"*58", "release", map[string]string{"sip_authorized": "true"}},
			{"*58", "", nil},
			{"*58", "", map[string]string{"sip_authorized": "true", "ringfence_action": "allow"}},
			{"*57", "", nil},
			{"*57", "", map[string]string{"sip_authorized": "true", "ringfence_action": "allow"}},
			{"157", "", nil},
			{"*571", "", map[string]string{"sip_authorized": "true"}},
			{"13800138000", "dialled", map[string]string{"sip_authorized": "true"}},
			{"13800138000", "", nil},
			{"13800138000", "", map[string]string{"sip_authorized": "true", "ringfence_told": "true"}},
			{"13800138000", "", map[string]string{"sip_authorized": "true", "ringfence_guard": "fired"}},
			{"110", "", map[string]string{"sip_authorized": "true"}},
			{"0592119", "", map[string]string{"sip_authorized": "true"}},
			{"9110", "", map[string]string{"sip_authorized": "true"}},
			{"0095110", "", map[string]string{"sip_authorized": "true"}},
			{"${system(x)}", "", map[string]string{"sip_authorized": "true"}},
		} {
			fields := map[string]string{"destination_number": c.to}
			for k, v := range c.vars {
				fields[k] = v
			}
			want := ""
			switch {
			case c.intent == "report", c.intent == "release":
				want = "set ringfence_intent=" + c.intent + "|set ringfence_guard_to=report-failed XML ringfence-open|" + resumeSet + "|" + guardSet +
					"report-failed XML ringfence-open|" + guardKept + "|socket 127.0.0.1:8084 async full|" + guardGone + "|" + resumeGone + "|hangup NORMAL_CLEARING"
			case c.intent == "dialled" && !s.FusionPBX:
				to := c.to + " XML ringfence-open-dialled"
				want = "set ringfence_intent=dialled|set ringfence_told=true|set ringfence_guard_to=" + to + "|" + resumeSet + "|" + guardSet + to + "|" +
					guardKept + "|socket 127.0.0.1:8084 async full|" + guardGone + "|" + resumeGone + "|unset ringfence_intent"
			}
			if did := strings.Join(outgoing.hunt(fields), "|"); did != want {
				t.Errorf("%+v: a call to %s %v gets\n%s\nwant\n%s", s, c.to, c.vars, did, want)
			}
		}
	}
}

// What is rendered for another place is what was asked for, and nothing of the shipped place is left.
func TestRender(t *testing.T) {
	for _, s := range all("[2001:db8::7]:18084") {
		s.Star, s.Release = "#8*", "#9*"
		e := Emergency{Numbers: []string{"112", "911"}, Expression: `^(?:(?:\+|00)1)?(?:112|911)$`}
		files, err := s.files(e)
		if err != nil {
			t.Fatal(err)
		}
		sockets, expressions, codes := 0, 0, 0
		for _, f := range files {
			text := string(f.content)
			for _, left := range []string{"8084 async", "110", "57$", "58$", "put-a-password"} {
				if strings.Contains(strings.ReplaceAll(text, "18084 async", ""), left) {
					t.Errorf("%s still has %q", f.name, left)
				}
			}
			sockets += strings.Count(text, `data="2001:db8::7:18084 `)
			expressions += strings.Count(text, `expression="`+e.Expression+`"`)
			codes += strings.Count(text, `expression="^#8\*$"`) + strings.Count(text, `expression="^#9\*$"`)
		}
		if want := map[bool]int{true: 3, false: 4}[s.FusionPBX]; sockets != want || expressions != want-2 || codes != 2 {
			t.Errorf("%+v: %d sockets, %d emergency expressions, %d star codes", s, sockets, expressions, codes)
		}
	}
	// Numbers of one's own stand alone where no country is known.
	one := dialplanOf(t, Settings{Screen: "127.0.0.1:8084"}, Emergency{Numbers: []string{"000"}})
	if did := one["public"].hunt(map[string]string{"destination_number": "000", "caller_id_number": "1"}); len(did) > 0 {
		t.Errorf("a call to 000 gets %q", did)
	}
	if one["default"] != nil {
		t.Error("a star code that nobody asked for")
	}
}

func TestSettingsFaults(t *testing.T) {
	good := Settings{Screen: "127.0.0.1:8084", Star: "*57"}
	for _, c := range []struct {
		change func(s *Settings, e *Emergency)
		want   string
	}{
		{func(s *Settings, e *Emergency) { s.Screen = "localhost" }, "no address of a daemon"},
		{func(s *Settings, e *Emergency) { s.Screen = "127.0.0.1:0" }, "no address of a daemon"},
		{func(s *Settings, e *Emergency) { s.Screen = `a"b:8084` }, "no address of a daemon"},
		{func(s *Settings, e *Emergency) { s.Screen = "a b:8084" }, "no address of a daemon"},
		{func(s *Settings, e *Emergency) { s.Star = "*57|.*" }, "none that can be dialled"},
		{func(s *Settings, e *Emergency) { s.Star = "x" }, "none that can be dialled"},
		{func(s *Settings, e *Emergency) { s.Release = "58.*" }, "none that can be dialled"},
		{func(s *Settings, e *Emergency) { s.Release = "*57" }, "cannot both report a caller and let one through"},
		{func(s *Settings, e *Emergency) { s.Emergency = []string{"11.*"} }, "write the digits"},
		{func(s *Settings, e *Emergency) { e.Numbers = []string{""} }, "write the digits"},
		{func(s *Settings, e *Emergency) { e.Numbers = nil }, "no emergency numbers"},
	} {
		s, e := good, china
		c.change(&s, &e)
		if _, err := s.files(e); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v %+v: %v, want %s", s, e, err, c.want)
		}
	}
	for in, want := range map[string]string{"0.0.0.0:8084": "127.0.0.1:8084", ":8084": "127.0.0.1:8084", "[::]:1": "127.0.0.1:1", "[::1]:8084": "::1:8084", "pbx.example.com:8084": "pbx.example.com:8084"} {
		if got, err := socketAddress(in); got != want || err != nil {
			t.Errorf("%s: %s %v, want %s", in, got, err, want)
		}
	}
}

// The files as they are shipped are well-formed, even where only their pieces are installed, and are read by
// the switch's line by line reader as they look: no line is an include, no comment begins with #.
func TestShippedFiles(t *testing.T) {
	n := 0
	err := fs.WalkDir(conf.FreeSWITCH, "freeswitch", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		n++
		text, err := fs.ReadFile(conf.FreeSWITCH, name)
		if err != nil {
			return err
		}
		d := xml.NewDecoder(strings.NewReader(string(text)))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
		}
		for _, bad := range []string{`ClueCon`, "X-PRE-PROCESS", "<!--#", "$${", "<?"} {
			if strings.Contains(string(text), bad) {
				t.Errorf("%s holds %q", name, bad)
			}
		}
		return nil
	})
	if err != nil || n < 10 {
		t.Errorf("%d files, %v", n, err)
	}
}
