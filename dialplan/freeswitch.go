package dialplan

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"ringfence/conf"
)

// Settings are what the dialplan is written with. They are remembered in the manifest, so that a later
// install goes on with them.
type Settings struct {
	Screen       string   `json:"screen"`              // host:port of the daemon, as the switch reaches it
	Sync         bool     `json:"sync,omitempty"`      // without async: faster, but without the switch's guard
	Star         string   `json:"star"`                // the code that reports the last caller, "" for none
	Release      string   `json:"release"`             // the one that lets the last through who was stopped, "" for none
	LearnDialled bool     `json:"learn_dialled"`       // tell the daemon what is dialled, where no attach learns it
	FusionPBX    bool     `json:"fusionpbx,omitempty"` // files to copy into FusionPBX's dialplan manager
	Emergency    []string `json:"emergency,omitempty"` // the administrator's own numbers; none: the country's
}

// What the shipped files are written for. A test holds that they contain it.
const (
	shippedScreen     = "127.0.0.1:8084"
	shippedExpression = `^(?:(?:\+|00)?86|(?:(?:\+|00)?86)?0[1-9][0-9]{1,2})?(?:110|119|120|122|12110|95110)$`
	shippedNumbers    = `(?:110|119|120|122|12110|95110)$`
	shippedStar       = `^\*57$`
	shippedRelease    = `^\*58$`
)

// UnmarshalJSON reads the settings of a manifest.
func (s *Settings) UnmarshalJSON(text []byte) error {
	type plain Settings
	p := plain{Release: unsaid}
	err := json.Unmarshal(text, &p)
	*s = Settings(p)
	s.Release = releaseOr(s.Release, s.Star)
	return err
}

// Check says what is wrong with settings and emergency numbers.
func (s *Settings) Check(e Emergency) error {
	_, err := socketAddress(s.Screen)
	return errors.Join(err, checkNumbers(s.Star, s.Release, s.Emergency, e))
}

// socketAddress is a host and a port as FreeSWITCH's socket application reads them: it takes what follows
// the last colon for the port, and knows no brackets around an IPv6 address.
func socketAddress(text string) (string, error) {
	host, port, err := hostPort(text, shippedScreen)
	return host + ":" + port, err
}

// Recorded gives the settings of the last install, and whether there was one.
func Recorded(folder string) (Settings, bool, error) { return recorded[Settings](folder) }

// Install writes the kit into a FreeSWITCH configuration and says what became of each file. A file that was
// changed since it was installed, or that did not come from here, is left as it is. With dry nothing is
// written. Files that the settings no longer ask for go, if they are unchanged.
func Install(folder string, s Settings, e Emergency, dry bool) ([]Change, error) {
	if err := checkFolder(folder, &s); err != nil {
		return nil, err
	}
	want, err := s.files(e)
	if err != nil {
		return nil, err
	}
	return apply(folder, s, dry, func(was map[string]string) (wanted, error) {
		w := wanted{files: want, stay: eventSocket}
		socket, err := eventSocketFile(folder, was)
		if socket != nil {
			w.files = append(w.files, *socket)
		}
		return w, err
	})
}

// Uninstall removes what Install wrote and nobody has changed since, and names what it leaves.
func Uninstall(folder string, dry bool) ([]Change, error) {
	changes, err := takeOut[Settings](folder, dry, "it goes on working until you remove it")
	if err == nil && !dry {
		os.Remove(filepath.Join(folder, fusionFolder)) // it stays while something is in it
	}
	return changes, err
}

// kitFile is a file of conf/freeswitch and where it goes. The names begin with 000 so that the switch, which
// reads a folder in the order of its names, comes to them before 00_inbound_did.xml.
type kitFile struct{ from, to string }

// files renders the kit.
func (s *Settings) files(e Emergency) ([]file, error) {
	if err := s.Check(e); err != nil {
		return nil, err
	}
	var out []file
	for _, k := range s.chosen() {
		text, err := fs.ReadFile(conf.FreeSWITCH, "freeswitch/"+k.from)
		if err != nil {
			return nil, err
		}
		out = append(out, file{name: k.to, content: s.fit(string(text), e)})
	}
	return out, nil
}

// chosen says which files the settings ask for.
func (s *Settings) chosen() []kitFile {
	if s.FusionPBX {
		out := []kitFile{
			{"fusionpbx/ringfence.xml", fusionFolder + "/ringfence.xml"},
			{"fusionpbx/ringfence-open.xml", fusionFolder + "/ringfence-open.xml"},
			{"fusionpbx/ringfence-after.xml", fusionFolder + "/ringfence-after.xml"},
			{"fusionpbx/ringfence-whisper.xml", fusionFolder + "/ringfence-whisper.xml"},
		}
		if s.Star != "" {
			out = append(out, kitFile{"fusionpbx/ringfence-report.xml", fusionFolder + "/ringfence-report.xml"})
		}
		if s.Release != "" {
			out = append(out, kitFile{"fusionpbx/ringfence-release.xml", fusionFolder + "/ringfence-release.xml"})
		}
		return out
	}
	// The contexts come before what sends calls into them.
	out := []kitFile{{"dialplan/ringfence-open.xml", "dialplan/ringfence-open.xml"}, {"dialplan/ringfence-after.xml", "dialplan/ringfence-after.xml"}}
	screening := "dialplan/public/00_ringfence.xml"
	if s.Sync {
		screening = "sync/00_ringfence.xml"
	}
	out = append(out, kitFile{screening, screeningFile})
	if s.Star != "" {
		out = append(out, kitFile{"dialplan/default/000_ringfence_report.xml", reportFile})
	}
	if s.Release != "" {
		out = append(out, kitFile{"dialplan/default/000_ringfence_release.xml", releaseFile})
	}
	if s.LearnDialled {
		out = append(out, kitFile{"dialplan/default/000_ringfence_dialled.xml", dialledFile})
	}
	return out
}

// Where the files go that other code speaks of.
const (
	screeningFile = "dialplan/public/000_ringfence.xml"
	reportFile    = "dialplan/default/000_ringfence_report.xml"
	releaseFile   = "dialplan/default/000_ringfence_release.xml"
	dialledFile   = "dialplan/default/000_ringfence_dialled.xml"
	fusionFolder  = "ringfence-fusionpbx"
)

// fit writes the settings into a shipped file. Check has seen that none of them can be anything but text of
// an attribute.
func (s *Settings) fit(text string, e Emergency) []byte {
	address, _ := socketAddress(s.Screen)
	numbers := "(?:" + strings.Join(e.Numbers, "|") + ")$"
	expression := e.Expression
	if expression == "" {
		expression = "^" + numbers
	}
	return []byte(strings.NewReplacer(
		shippedExpression, expression,
		shippedNumbers, numbers,
		`data="`+shippedScreen+" ", `data="`+address+" ",
		shippedStar, "^"+regexp.QuoteMeta(s.Star)+"$",
		shippedRelease, "^"+regexp.QuoteMeta(s.Release)+"$",
	).Replace(text))
}

// IsFreeSWITCH says why a folder is not FreeSWITCH's configuration, nil if it is.
func IsFreeSWITCH(folder string) error {
	if _, err := os.Stat(filepath.Join(folder, "freeswitch.xml")); errors.Is(err, fs.ErrPermission) {
		return withoutRight(folder, "looked into", err)
	} else if err != nil {
		return fmt.Errorf("%s is not FreeSWITCH's configuration: name the folder that freeswitch.xml is in, such as /etc/freeswitch (%w)", folder, err)
	}
	return nil
}

// checkFolder says why a folder is no configuration that the kit can be installed into.
func checkFolder(folder string, s *Settings) error {
	if err := IsFreeSWITCH(folder); err != nil {
		return err
	}
	if s.FusionPBX {
		return nil
	}
	if fusionHandler(folder) {
		return fmt.Errorf("this switch takes its dialplan from FusionPBX's database, so files in %s would change nothing: install with --fusionpbx, and follow docs/fusionpbx.md", filepath.Join(folder, "dialplan"))
	}
	need := []string{"dialplan/public"}
	if s.Star != "" || s.Release != "" || s.LearnDialled {
		need = append(need, "dialplan/default")
	}
	for _, name := range need {
		if info, err := os.Stat(filepath.Join(folder, filepath.FromSlash(name))); err != nil || !info.IsDir() {
			context := filepath.Base(name)
			return fmt.Errorf("there is no folder %s in %s: make it and include it in the context %s (<X-PRE-PROCESS cmd=\"include\" data=\"%s/*.xml\"/>)%s",
				name, folder, context, context, map[string]string{"default": ", or install with --star none --release none"}[context])
		}
	}
	return nil
}

// eventSocket is the event socket's own configuration.
const eventSocket = "autoload_configs/event_socket.conf.xml"

// eventSocketFile is what to write where the switch has none: the sample with a password of its own. One that
// is there is never touched, be it ours.
func eventSocketFile(folder string, was map[string]string) (*file, error) {
	if _, err := os.Lstat(filepath.Join(folder, eventSocket)); !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if info, err := os.Stat(filepath.Join(folder, "autoload_configs")); err != nil || !info.IsDir() || was[eventSocket] != "" {
		return nil, nil // another layout, or the administrator has removed it
	}
	text, err := fs.ReadFile(conf.FreeSWITCH, "freeswitch/"+eventSocket)
	if err != nil {
		return nil, err
	}
	text = bytes.Replace(text, []byte("put-a-password-of-your-own-here"), []byte(rand.Text()), 1)
	socket := &file{name: eventSocket, content: text, mode: 0o644}
	// It holds a password: as readable as the rest of the configuration, for how the switch reads that is not known here.
	if info, err := os.Stat(filepath.Join(folder, "freeswitch.xml")); err == nil {
		socket.mode = info.Mode().Perm() &^ 0o111
	}
	return socket, nil
}
