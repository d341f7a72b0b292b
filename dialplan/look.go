package dialplan

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Note is something that an administrator should know of a configuration, or do to it. The kit itself never
// edits a file that it has not written.
type Note struct {
	Level string `json:"level"` // Know, Should or Must
	Text  string `json:"text"`
}

// Levels of a Note.
const (
	Know   = "note"
	Should = "should" // some calls are not screened
	Must   = "must"   // no call is screened, or the switch is open to others
)

type notes []Note

func (n *notes) add(level, format string, args ...any) {
	*n = append(*n, Note{level, fmt.Sprintf(format, args...)})
}

// Look says what in a FreeSWITCH configuration keeps the kit from its work: includes that are missing,
// extensions that take calls before they are screened, an event socket that others can use.
func Look(folder string, s Settings) []Note {
	var n notes
	if !s.FusionPBX && !fusionHandler(folder) {
		n.includes(folder, s)
		n.order(folder, s)
		n.elsewhere(folder)
	}
	n.eventSocket(folder)
	return n
}

// includes looks for the lines that make the switch read our files.
func (n *notes) includes(folder string, s Settings) {
	want := []struct{ in, file, pattern, where string }{
		{"freeswitch.xml", "dialplan/ringfence-open.xml", "dialplan/*.xml", `into <section name="dialplan">`},
		{"dialplan/public.xml", screeningFile, "public/*.xml", `into <context name="public">, before the extensions of your own`},
	}
	if s.Star != "" || s.Release != "" || s.LearnDialled {
		want = append(want, struct{ in, file, pattern, where string }{"dialplan/default.xml", reportFile, "default/*.xml", `into <context name="default">, before the extensions of your own`})
	}
	for _, w := range want {
		text, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(w.in)))
		if err != nil {
			n.add(Should, "%s cannot be looked into: see to it that it includes %s (%v)", w.in, w.file, err)
			continue
		}
		if !includesFile(string(text), folder, path.Dir(w.in), w.file) {
			n.add(Must, "%s does not include %s: write <X-PRE-PROCESS cmd=\"include\" data=\"%s\"/> %s", w.in, w.file, w.pattern, w.where)
		}
	}
}

// The two ways to include. The switch reads them line by line, without regard to comments.
var includeLine = regexp.MustCompile(`(?i)<X-PRE-PROCESS\s[^>\n]*cmd\s*=\s*"include"[^>\n]*data\s*=\s*"([^"\n]+)"|<!--#include\s+"?([^"\s>]+)`)

// includesFile reports whether a text in the folder `from` includes a file, both from the configuration's folder.
func includesFile(text, folder, from, file string) bool {
	for _, m := range includeLine.FindAllStringSubmatch(text, -1) {
		pattern := m[1] + m[2]
		if rest, ok := strings.CutPrefix(pattern, "$${conf_dir}/"); ok {
			pattern = rest
		} else if rest, ok := strings.CutPrefix(pattern, folder+"/"); ok {
			pattern = rest
		} else {
			pattern = path.Join(from, pattern)
		}
		if ok, err := path.Match(pattern, file); ok && err == nil {
			return true
		}
	}
	return false
}

// order looks for what is before us.
func (n *notes) order(folder string, s Settings) {
	for _, t := range takers(folder, "dialplan/public.xml", screeningFile) {
		how := "move it behind the line that includes public/*.xml"
		if t.file != "dialplan/public.xml" {
			how = "give its file a name that comes after " + path.Base(screeningFile)
		}
		n.add(Should, "the extension %q of %s takes calls %s before they are screened: %s", t.name, t.file, t.what(), how)
	}
	if old := filepath.Join(folder, "dialplan/public/00_ringfence.xml"); exists(old) {
		n.add(Should, "%s is of an earlier installation by hand: remove it", old)
	}
	for _, own := range []struct{ code, file, flag string }{{s.Star, reportFile, "--star"}, {s.Release, releaseFile, "--release"}} {
		if own.code == "" {
			continue
		}
		for _, t := range takers(folder, "dialplan/default.xml", own.file) {
			if t.takes(own.code) {
				n.add(Should, "the extension %q of %s takes the star code %s before the kit does: install with another one (%s)", t.name, t.file, own.code, own.flag)
			}
		}
	}
}

// taker is an extension that ends the search for calls to some destinations.
type taker struct {
	file, name  string
	expressions []string // of destination_number; none: every call
}

func (t taker) what() string {
	if len(t.expressions) == 0 {
		return "to all numbers"
	}
	return "to " + strings.Join(t.expressions, " and ")
}

// takes reports whether it surely takes a destination.
func (t taker) takes(destination string) bool {
	for _, x := range t.expressions {
		if re, err := regexp.Compile(x); err != nil || !re.MatchString(destination) {
			return false
		}
	}
	return true
}

// takers lists what is read before the kit's file: the extensions of the context's own file in front of the
// line that includes ours, and the files of our folder whose names come first.
func takers(folder, context, ours string) []taker {
	out := readTakers(folder, context, ours)
	files, _ := filepath.Glob(filepath.Join(folder, filepath.FromSlash(path.Dir(ours)), "*.xml"))
	slices.Sort(files)
	for _, f := range files {
		name := path.Join(path.Dir(ours), filepath.Base(f))
		if name >= ours {
			break
		}
		out = append(out, readTakers(folder, name, "")...)
	}
	return out
}

// readTakers reads a file's extensions, up to the line that includes `until`. What cannot be read has none.
func readTakers(folder, file, until string) []taker {
	f, err := os.Open(filepath.Join(folder, filepath.FromSlash(file)))
	if err != nil {
		return nil
	}
	defer f.Close()
	var out []taker
	var now *taker
	fields, on := 0, false // conditions of the extension in hand; it ends the search
	d := xml.NewDecoder(f)
	d.Strict = false
	for {
		token, err := d.Token()
		if err != nil {
			return out
		}
		switch t := token.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "X-PRE-PROCESS":
				pattern := path.Join(path.Dir(file), attribute(t, "data"))
				if ok, _ := path.Match(pattern, until); ok && until != "" && attribute(t, "cmd") == "include" {
					return out
				}
			case "extension":
				now, fields, on = &taker{file: file, name: attribute(t, "name")}, 0, isTrue(attribute(t, "continue"))
			case "condition":
				if now == nil {
					break
				}
				if field := attribute(t, "field"); field == "destination_number" {
					now.expressions = append(now.expressions, attribute(t, "expression"))
				} else if field != "" || slices.ContainsFunc(t.Attr, narrows) {
					fields++
				}
			}
		case xml.EndElement:
			if t.Name.Local == "extension" && now != nil {
				if !on && (len(now.expressions) > 0 || fields == 0) {
					out = append(out, *now)
				}
				now = nil
			}
		}
	}
}

// narrows reports whether an attribute of a condition without a field makes it hold for some calls only: a time
// of day, or a list of expressions.
func narrows(a xml.Attr) bool {
	return !slices.Contains([]string{"field", "expression", "break"}, a.Name.Local)
}

func attribute(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// isTrue reads an attribute as the switch does (switch_true).
func isTrue(text string) bool {
	return slices.Contains([]string{"true", "yes", "on", "enabled", "active", "allow", "t", "1"}, strings.ToLower(text))
}

// params reads the <param name= value=/> of a configuration, comments left out.
func params(file string) (map[string][]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := make(map[string][]string)
	d := xml.NewDecoder(f)
	d.Strict = false
	for {
		token, err := d.Token()
		if err != nil {
			return out, nil
		}
		if t, ok := token.(xml.StartElement); ok && t.Name.Local == "param" {
			name := strings.ToLower(attribute(t, "name"))
			out[name] = append(out[name], attribute(t, "value"))
		}
	}
}

// fusionHandler reports whether a Lua script hands the dialplan out, as FusionPBX has it.
func fusionHandler(folder string) bool {
	p, err := params(filepath.Join(folder, "autoload_configs/lua.conf.xml"))
	if err != nil {
		return false
	}
	has := func(name, word string) bool {
		return slices.ContainsFunc(p[name], func(v string) bool { return strings.Contains(v, word) })
	}
	return has("xml-handler-script", "xml_handler") && has("xml-handler-bindings", "dialplan")
}

// elsewhere notes that the switch asks somebody else for its dialplan before it looks at the files.
func (n *notes) elsewhere(folder string) {
	p, err := params(filepath.Join(folder, "autoload_configs/xml_curl.conf.xml"))
	if err != nil {
		return
	}
	text, _ := os.ReadFile(filepath.Join(folder, "autoload_configs/xml_curl.conf.xml"))
	if len(p["gateway-url"]) > 0 && strings.Contains(string(text), `bindings="dialplan`) {
		n.add(Know, "autoload_configs/xml_curl.conf.xml fetches dialplans from %s: if mod_xml_curl is loaded, the kit's extensions must come from there", p["gateway-url"][0])
	}
}

// EventSocket is what autoload_configs/event_socket.conf.xml says, with the switch's own defaults. The
// file's variables ($${…}) stay as they are.
type EventSocket struct {
	Listen, Port, Password string
	ACL                    []string
}

// KnownPassword is the one that every installation of FreeSWITCH comes with.
const KnownPassword = "ClueCon"

// ReadEventSocket reads the event socket's configuration.
func ReadEventSocket(folder string) (EventSocket, error) {
	p, err := params(filepath.Join(folder, filepath.FromSlash(eventSocket)))
	if err != nil {
		return EventSocket{}, err
	}
	last := func(name, otherwise string) string {
		if v := p[name]; len(v) > 0 && v[len(v)-1] != "" {
			return v[len(v)-1]
		}
		return otherwise
	}
	e := EventSocket{Listen: last("listen-ip", "127.0.0.1"), Port: last("listen-port", "8021"), Password: last("password", KnownPassword)}
	e.ACL = slices.DeleteFunc(p["apply-inbound-acl"], func(v string) bool { return v == "" })
	return e, nil
}

// Everywhere reports whether other machines can reach it.
func (e EventSocket) Everywhere() bool {
	return slices.Contains([]string{"::", "0.0.0.0", "[::]", "*", "any"}, e.Listen)
}

// eventSocket looks at who can use the event socket: they can do anything with the switch.
func (n *notes) eventSocket(folder string) {
	e, err := ReadEventSocket(folder)
	if errors.Is(err, fs.ErrNotExist) {
		n.add(Know, "there is no %s: with it the journal also tells what became of each call", eventSocket)
		return
	}
	if err != nil {
		n.add(Know, "%s cannot be read: %v", eventSocket, err)
		return
	}
	if e.Password == KnownPassword {
		n.add(Must, "the event socket has the password that every installation comes with (%s): write one of your own into %s, and the same into the daemon's [[attach]] and /etc/fs_cli.conf; then restart the switch", KnownPassword, eventSocket)
	}
	if e.Everywhere() && len(e.ACL) == 0 {
		n.add(Must, "the event socket listens on all addresses (%s) without an access list: set listen-ip to 127.0.0.1, or add <param name=\"apply-inbound-acl\" value=\"loopback.auto\"/> to %s; then restart the switch", e.Listen, eventSocket)
	}
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}
