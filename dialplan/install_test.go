package dialplan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const (
	freeswitchXML = `<document type="freeswitch/xml">
  <section name="configuration"><X-PRE-PROCESS cmd="include" data="autoload_configs/*.xml"/></section>
  <section name="dialplan" description="Regex/XML Dialplan">
    <X-PRE-PROCESS cmd="include" data="dialplan/*.xml"/>
  </section>
</document>
`
	eventSocketXML = `<configuration name="event_socket.conf"><settings>
  <param name="listen-ip" value="127.0.0.1"/><param name="listen-port" value="8021"/><param name="password" value="one of our own"/>
  <!-- <param name="password" value="ClueCon"/> -->
</settings></configuration>
`
)

func contextXML(name, before string) string {
	return fmt.Sprintf("<include>\n  <context name=\"%s\">\n%s\n    <X-PRE-PROCESS cmd=\"include\" data=\"%[1]s/*.xml\"/>\n  </context>\n</include>\n", name, before)
}

// vanilla lays out what a FreeSWITCH configuration has of what the kit meets. Some files are other than
// usual; "" leaves one out.
func vanilla(t *testing.T, other map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	files := map[string]string{
		"freeswitch.xml":                         freeswitchXML,
		"autoload_configs/event_socket.conf.xml": eventSocketXML,
		"dialplan/public.xml":                    contextXML("public", `<extension name="unloop"><condition field="${unroll_loops}" expression="^true$"/></extension>`),
		"dialplan/default.xml":                   contextXML("default", `<extension name="group-intercept"><condition field="destination_number" expression="^\*8$"/></extension>`),
		"dialplan/public/00_inbound_did.xml":     `<include><extension name="public_did"><condition field="destination_number" expression="^(5551212)$"/></extension></include>`,
		"dialplan/default/01_example.xml":        `<include><extension name="example"><condition field="destination_number" expression="^.*$"/></extension></include>`,
	}
	maps.Copy(files, other)
	for name, text := range files {
		if text == "" {
			continue
		}
		write(t, filepath.Join(folder, name), text)
	}
	return folder
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tree is what is in a folder: names and contents.
func tree(t *testing.T, folder string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		out[strings.TrimPrefix(name, folder+"/")] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// lineEach is changes as one line each.
func lineEach(changes []Change) string {
	lines := []string{}
	for _, c := range changes {
		lines = append(lines, c.Did+" "+c.File)
	}
	return strings.Join(lines, "\n")
}

var usual = Settings{Screen: "127.0.0.1:8084", Star: "*57", Release: "*58"}

const (
	usualFiles = "dialplan/ringfence-open.xml dialplan/ringfence-after.xml dialplan/public/000_ringfence.xml dialplan/default/000_ringfence_report.xml dialplan/default/000_ringfence_release.xml"
)

// each is "DID FILE" for each of some files.
func each(did, files string) string {
	var lines []string
	for _, f := range strings.Fields(files) {
		lines = append(lines, did+" "+f)
	}
	return strings.Join(lines, "\n")
}

func install(t *testing.T, folder string, s Settings, dry bool) string {
	t.Helper()
	changes, err := Install(folder, s, china, dry)
	if err != nil {
		t.Fatal(err)
	}
	return lineEach(changes)
}

func TestInstallAndUninstall(t *testing.T) {
	folder := vanilla(t, nil)
	before := tree(t, folder)
	if got, want := install(t, folder, usual, true), each(Written, usualFiles); got != want {
		t.Errorf("dry: %s", got)
	}
	if !maps.Equal(tree(t, folder), before) {
		t.Error("a dry run wrote something")
	}
	if got, want := install(t, folder, usual, false), each(Written, usualFiles); got != want {
		t.Errorf("first: %s", got)
	}
	after := tree(t, folder)
	for name, text := range before {
		if after[name] != text {
			t.Errorf("%s was touched", name)
		}
	}
	if len(after) != len(before)+len(strings.Fields(usualFiles))+1 {
		t.Errorf("there are now %v", slices.Sorted(maps.Keys(after)))
	}
	manifest := filepath.Join(folder, Manifest)
	stamp, _ := os.Stat(manifest)
	if got, want := install(t, folder, usual, false), each(Unchanged, usualFiles); got != want {
		t.Errorf("second: %s", got)
	}
	if now, err := os.Stat(manifest); err != nil || !os.SameFile(stamp, now) || !maps.Equal(tree(t, folder), after) {
		t.Error("the second install wrote something")
	}
	if s, known, err := Recorded(folder); !known || err != nil || s.Star != "*57" || s.Screen != usual.Screen {
		t.Errorf("remembered: %+v %v %v", s, known, err)
	}
	changes, err := Uninstall(folder, true)
	if err != nil || !maps.Equal(tree(t, folder), after) {
		t.Errorf("a dry run removed something (%v)", err)
	}
	// What sends calls into a context goes before the context.
	want := "removed dialplan/public/000_ringfence.xml\nremoved dialplan/default/000_ringfence_report.xml\nremoved dialplan/default/000_ringfence_release.xml\nremoved dialplan/ringfence-open.xml\nremoved dialplan/ringfence-after.xml"
	if lineEach(changes) != want {
		t.Errorf("uninstall would say %s", lineEach(changes))
	}
	if changes, err := Uninstall(folder, false); err != nil || lineEach(changes) != want {
		t.Errorf("uninstall: %s %v", lineEach(changes), err)
	}
	if !maps.Equal(tree(t, folder), before) {
		t.Errorf("uninstall left %v", slices.Sorted(maps.Keys(tree(t, folder))))
	}
	if _, err := Uninstall(folder, false); err == nil || !strings.Contains(err.Error(), "nothing was installed") {
		t.Errorf("a second uninstall: %v", err)
	}
}

// What becomes of a file that is there already.
func TestInstallBesideOthers(t *testing.T) {
	const name = "dialplan/public/000_ringfence.xml"
	rendered, err := usual.files(china)
	if err != nil {
		t.Fatal(err)
	}
	asShipped := ""
	for _, f := range rendered {
		if f.name == name {
			asShipped = string(f.content)
		}
	}
	moved := usual
	moved.Screen = "192.0.2.7:8084"
	for _, c := range []struct {
		title             string
		there             string // before anything of ours
		change            string // after a first install
		again             Settings
		did, left, undone string
	}{
		{"somebody else's", "<include/>", "", usual, InTheWay, "<include/>", ""},
		{"the same, put there by hand", asShipped, "", usual, Unchanged, asShipped, Removed},
		{"changed by the administrator", "", asShipped + "<!-- mine -->", usual, Kept, asShipped + "<!-- mine -->", Kept},
		{"changed by the administrator, and new settings", "", asShipped + "<!-- mine -->", moved, Kept, asShipped + "<!-- mine -->", Kept},
		{"as installed, and new settings", "", "", moved, Updated, strings.ReplaceAll(asShipped, "127.0.0.1:8084", "192.0.2.7:8084"), Removed},
	} {
		t.Run(c.title, func(t *testing.T) {
			folder := vanilla(t, map[string]string{name: c.there})
			if c.there == "" {
				install(t, folder, usual, false)
			}
			if c.change != "" {
				write(t, filepath.Join(folder, name), c.change)
			}
			if got := install(t, folder, c.again, false); !strings.Contains(got+"\n", c.did+" "+name+"\n") {
				t.Errorf("install says %s", got)
			}
			if got := tree(t, folder)[name]; got != c.left {
				t.Errorf("the file is now %s", got)
			}
			changes, err := Examine(folder)
			if wanted := map[string]string{Kept: Kept, Updated: Unchanged, Unchanged: Unchanged}[c.did]; err != nil || wanted != "" && !strings.Contains(lineEach(changes)+"\n", wanted+" "+name+"\n") {
				t.Errorf("Examine says %s (%v)", lineEach(changes), err)
			}
			changes, err = Uninstall(folder, false)
			if err != nil {
				t.Fatal(err)
			}
			if c.undone != "" && !strings.Contains(lineEach(changes)+"\n", c.undone+" "+name+"\n") {
				t.Errorf("uninstall says %s", lineEach(changes))
			}
			if got := tree(t, folder)[name]; (got == "") != (c.undone == Removed) {
				t.Errorf("after uninstall the file is %q", got)
			}
		})
	}
}

// Settings that ask for less take away what is unchanged; a file that went missing is written again.
func TestInstallOtherSettings(t *testing.T) {
	folder := vanilla(t, nil)
	more := usual
	more.LearnDialled = true
	install(t, folder, more, false)
	if _, err := os.Stat(filepath.Join(folder, dialledFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(folder, "dialplan/ringfence-open.xml")); err != nil {
		t.Fatal(err)
	}
	changes, err := Examine(folder)
	if err != nil || !strings.Contains(lineEach(changes), "missing dialplan/ringfence-open.xml") {
		t.Errorf("Examine says %s (%v)", lineEach(changes), err)
	}
	less := Settings{Screen: usual.Screen}
	got := install(t, folder, less, false)
	want := "written dialplan/ringfence-open.xml\nunchanged dialplan/ringfence-after.xml\nunchanged dialplan/public/000_ringfence.xml\nremoved dialplan/default/000_ringfence_dialled.xml\nremoved dialplan/default/000_ringfence_release.xml\nremoved dialplan/default/000_ringfence_report.xml"
	if got != want {
		t.Errorf("got %s", got)
	}
	if got := install(t, folder, less, false); strings.Contains(got, Removed) {
		t.Errorf("again: %s", got)
	}
	fusion := usual
	fusion.FusionPBX = true
	if got := install(t, folder, fusion, false); !strings.Contains(got, "written ringfence-fusionpbx/ringfence.xml") || !strings.Contains(got, "removed dialplan/public/000_ringfence.xml") {
		t.Errorf("FusionPBX: %s", got)
	}
	if _, err := Uninstall(folder, false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, fusionFolder)); err == nil {
		t.Error("the folder for FusionPBX was left")
	}
}

func TestInstallEventSocket(t *testing.T) {
	folder := vanilla(t, map[string]string{eventSocket: "", "autoload_configs/switch.conf.xml": "<configuration/>"})
	if err := os.Chmod(filepath.Join(folder, "freeswitch.xml"), 0o640); err != nil {
		t.Fatal(err)
	}
	if got := install(t, folder, usual, false); !strings.Contains(got, "written "+eventSocket) {
		t.Errorf("%s", got)
	}
	e, err := ReadEventSocket(folder)
	if err != nil || len(e.Password) < 20 || e.Password == "put-a-password-of-your-own-here" || e.Listen != "127.0.0.1" || len(e.ACL) != 1 {
		t.Errorf("%+v %v", e, err)
	}
	if info, err := os.Stat(filepath.Join(folder, eventSocket)); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if got := install(t, folder, usual, false); got != each(Unchanged, usualFiles) {
		t.Errorf("again: %s", got)
	}
	if now, _ := ReadEventSocket(folder); now.Password != e.Password {
		t.Error("the password changed")
	}
	if changes, err := Uninstall(folder, false); err != nil || !strings.Contains(lineEach(changes), "removed "+eventSocket) {
		t.Errorf("%s %v", lineEach(changes), err)
	}
}

// What root writes belongs to whom the folder belongs to.
func TestInstallOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: only root can give files away")
	}
	folder := vanilla(t, nil)
	if err := os.Chown(filepath.Join(folder, "dialplan/public"), 1234, 2345); err != nil {
		t.Fatal(err)
	}
	install(t, folder, usual, false)
	for name, want := range map[string][2]uint32{screeningFile: {1234, 2345}, reportFile: {0, 0}} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		if st.Uid != want[0] || st.Gid != want[1] || info.Mode().Perm() != 0o644 {
			t.Errorf("%s belongs to %d:%d with mode %v", name, st.Uid, st.Gid, info.Mode())
		}
	}
}

func TestInstallRefuses(t *testing.T) {
	lua := `<configuration><settings><param name="xml-handler-script" value="app.lua xml_handler"/><param name="xml-handler-bindings" value="configuration,dialplan,directory"/></settings></configuration>`
	for title, c := range map[string]struct {
		other map[string]string
		s     Settings
		want  string
	}{
		"no configuration": {map[string]string{"freeswitch.xml": ""}, usual, "is not FreeSWITCH's configuration"},
		"no public":        {map[string]string{"dialplan/public/00_inbound_did.xml": ""}, usual, "there is no folder dialplan/public"},
		"no default":       {map[string]string{"dialplan/default/01_example.xml": ""}, usual, "--star none"},
		"FusionPBX":        {map[string]string{"autoload_configs/lua.conf.xml": lua}, usual, "--fusionpbx"},
		"bad settings":     {nil, Settings{}, "no address of a daemon"},
		"bad manifest":     {map[string]string{Manifest: "{"}, usual, "cannot be read"},
		"manifest outside": {map[string]string{Manifest: `{"version":1,"files":{"../x":"y"}}`}, usual, "not in that folder"},
	} {
		t.Run(title, func(t *testing.T) {
			folder := vanilla(t, c.other)
			before := tree(t, folder)
			if changes, err := Install(folder, c.s, china, false); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %v", lineEach(changes), err)
			}
			if !maps.Equal(tree(t, folder), before) {
				t.Error("something was written")
			}
		})
	}
	folder := vanilla(t, map[string]string{"dialplan/default/01_example.xml": ""})
	if _, err := Install(folder, Settings{Screen: usual.Screen}, china, false); err != nil {
		t.Errorf("without a star code there is no need of dialplan/default: %v", err)
	}
	commented := strings.Replace(strings.Replace(lua, "<param", "<!--<param", 1), `xml_handler"/>`, `xml_handler"/>-->`, 1)
	if _, err := Install(vanilla(t, map[string]string{"autoload_configs/lua.conf.xml": commented}), usual, china, false); err != nil {
		t.Errorf("mod_lua without a handler: %v", err)
	}
}

// A link in the place of a file is neither followed nor replaced.
func TestInstallThroughLink(t *testing.T) {
	folder := vanilla(t, nil)
	target := filepath.Join(t.TempDir(), "target")
	write(t, target, "mine")
	if err := os.Symlink(target, filepath.Join(folder, screeningFile)); err != nil {
		t.Fatal(err)
	}
	if got := install(t, folder, usual, false); !strings.Contains(got, InTheWay+" "+screeningFile) {
		t.Errorf("%s", got)
	}
	if text, _ := os.ReadFile(target); string(text) != "mine" {
		t.Errorf("the target holds %q", text)
	}
}

func TestLook(t *testing.T) {
	taker := `<extension name="public_extensions"><condition field="destination_number" expression="^(10[01][0-9])$"/></extension>`
	all := `<extension name="everything"><condition><action application="answer"/></condition></extension>`
	harmless := `<extension name="outside_call" continue="true"><condition/></extension><extension name="night"><condition wday="2-6"/></extension>
	<extension name="auth"><condition field="${sip_authorized}" expression="^true$"/></extension><!-- ` + taker + ` -->`
	for title, c := range map[string]struct {
		other map[string]string
		want  []string // "LEVEL part of the text", in order
	}{
		"as it should be":             {nil, nil},
		"harmless before":             {map[string]string{"dialplan/public.xml": contextXML("public", harmless)}, nil},
		"taken before":                {map[string]string{"dialplan/public.xml": contextXML("public", taker+all)}, []string{`should "public_extensions" of dialplan/public.xml takes calls to ^(10[01][0-9])$`, `should "everything" of dialplan/public.xml takes calls to all numbers`}},
		"taken in our folder":         {map[string]string{"dialplan/public/0000_first.xml": taker}, []string{`should "public_extensions" of dialplan/public/0000_first.xml`}},
		"star code taken":             {map[string]string{"dialplan/default.xml": contextXML("default", `<extension name="stars"><condition field="destination_number" expression="^\*(\d+)$"/></extension>`)}, []string{`should "stars" of dialplan/default.xml takes the star code *57`, `should "stars" of dialplan/default.xml takes the star code *58`}},
		"by hand":                     {map[string]string{"dialplan/public/00_ringfence.xml": "<include/>"}, []string{"should 00_ringfence.xml is of an earlier installation"}},
		"dialplan not included":       {map[string]string{"freeswitch.xml": "<document/>"}, []string{"must freeswitch.xml does not include dialplan/ringfence-open.xml"}},
		"included one by one":         {map[string]string{"freeswitch.xml": `<X-PRE-PROCESS cmd="include" data="dialplan/public.xml"/><X-PRE-PROCESS data="x" />`}, []string{"must freeswitch.xml does not include"}},
		"included by conf_dir":        {map[string]string{"freeswitch.xml": `<x-pre-process cmd="include" data="$${conf_dir}/dialplan/*.xml"/>`}, nil},
		"included the old way":        {map[string]string{"freeswitch.xml": `<!--#include "dialplan/*.xml"-->`}, nil},
		"switched off":                {map[string]string{"freeswitch.xml": `<X-NO-PRE-PROCESS cmd="include" data="dialplan/*.xml"/>`}, []string{"must freeswitch.xml does not include"}},
		"folders not included":        {map[string]string{"dialplan/public.xml": `<context name="public"/>`, "dialplan/default.xml": `<context name="default"/>`}, []string{"must dialplan/public.xml does not include", "must dialplan/default.xml does not include"}},
		"no public.xml":               {map[string]string{"dialplan/public.xml": ""}, []string{"should dialplan/public.xml cannot be looked into"}},
		"ClueCon":                     {map[string]string{eventSocket: strings.Replace(eventSocketXML, "one of our own", "ClueCon", 1)}, []string{"must password that every installation"}},
		"no password is ClueCon":      {map[string]string{eventSocket: "<configuration><settings/></configuration>"}, []string{"must password that every installation"}},
		"everywhere without an ACL":   {map[string]string{eventSocket: strings.Replace(eventSocketXML, "127.0.0.1", "::", 1)}, []string{"must listens on all addresses (::)"}},
		"everywhere with an ACL":      {map[string]string{eventSocket: strings.Replace(eventSocketXML, `127.0.0.1"/>`, `0.0.0.0"/><param name="apply-inbound-acl" value="pbx"/>`, 1)}, nil},
		"no event socket":             {map[string]string{eventSocket: ""}, []string{"note there is no autoload_configs/event_socket.conf.xml"}},
		"dialplans from a web server": {map[string]string{"autoload_configs/xml_curl.conf.xml": `<param name="gateway-url" value="http://192.0.2.1/x" bindings="dialplan"/>`}, []string{"note fetches dialplans from http://192.0.2.1/x"}},
	} {
		t.Run(title, func(t *testing.T) {
			notes := Look(vanilla(t, c.other), usual)
			ok := len(notes) == len(c.want)
			for i := range min(len(notes), len(c.want)) {
				level, text, _ := strings.Cut(c.want[i], " ")
				ok = ok && notes[i].Level == level && strings.Contains(notes[i].Text, text)
			}
			if !ok {
				t.Errorf("got %q\nwant %q", notes, c.want)
			}
		})
	}
}

// A manifest of before there was the second star code brings it to who has the first.
func TestManifestOfBeforeRelease(t *testing.T) {
	for text, want := range map[string]string{
		`{"star":"*57"}`: "*58", `{"star":""}`: "", `{"star":"*58"}`: "", `{"star":"*57","release":""}`: "", `{"star":"*57","release":"*59"}`: "*59",
	} {
		var s Settings
		var a Asterisk
		if err := errors.Join(json.Unmarshal([]byte(text), &s), json.Unmarshal([]byte(text), &a)); err != nil || s.Release != want || a.Release != want {
			t.Errorf("%s: %q and %q, %v", text, s.Release, a.Release, err)
		}
	}
}
