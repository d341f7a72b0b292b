package dialplan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ringfence/conf"
)

// Asterisk is what the subroutine is written with. It is remembered in the manifest, so that a later install goes
// on with it.
type Asterisk struct {
	AGI          string   `json:"agi"`                 // host:port of the daemon, as Asterisk reaches it
	Star         string   `json:"star"`                // the code that reports the last caller, "" for none
	Release      string   `json:"release"`             // the one that lets the last through who was stopped, "" for none
	LearnDialled bool     `json:"learn_dialled"`       // the dialplan is to tell the daemon what is dialled
	FreePBX      bool     `json:"freepbx,omitempty"`   // FreePBX writes extensions.conf
	Emergency    []string `json:"emergency,omitempty"` // the administrator's own numbers; none: the country's
}

// DefaultAGI is where the daemon listens for Asterisk unless told otherwise.
const DefaultAGI = "127.0.0.1:4573"

// What the shipped file is written for. A test holds that it contains it.
const (
	shippedAGI          = "agi://" + DefaultAGI + "/"
	shippedStarExten    = "exten => *57,1,Gosub(ringfence,report,1)\n same => n,Hangup()\n"
	shippedReleaseExten = "exten => *58,1,Gosub(ringfence,release,1)\n same => n,Hangup()\n"
	shippedAsteriskNums = "(110|119|120|122|12110|95110)"
)

// Where things of the kit are in Asterisk's configuration.
const (
	asteriskFile    = "extensions_ringfence.conf"
	asteriskInclude = "#include " + asteriskFile
	asteriskLine    = asteriskInclude + " ; by ringfence asterisk install; uninstall takes it out"
)

// Contexts of the shipped file.
const (
	Subroutine  = "ringfence"
	TestContext = "ringfence-test" // where the doctor's call goes
)

var ownContexts = []string{Subroutine, TestContext, "ringfence-phones", "ringfence-after", "from-trunk-ringfence"}

// UnmarshalJSON reads the settings of a manifest.
func (s *Asterisk) UnmarshalJSON(text []byte) error {
	type plain Asterisk
	p := plain{Release: unsaid}
	err := json.Unmarshal(text, &p)
	*s = Asterisk(p)
	s.Release = releaseOr(s.Release, s.Star)
	return err
}

// Check says what is wrong with settings and emergency numbers.
func (s *Asterisk) Check(e Emergency) error {
	_, err := s.address()
	return errors.Join(err, checkNumbers(s.Star, s.Release, s.Emergency, e))
}

// address is a host and a port as the URL of AGI() has it.
func (s *Asterisk) address() (string, error) {
	host, port, err := hostPort(s.AGI, DefaultAGI)
	return net.JoinHostPort(host, port), err
}

// posix makes an expression for REGEX(), which knows POSIX's extended ones, of one for RE2 as Plan.EmergencyExpression
// and what is fixed here give it. Braces, commas and quotes would be read by the dialplan, and backslashes too.
func posix(expression string) string {
	return strings.NewReplacer("(?:", "(", `\+`, "[+]", "[0-9]{1,2}", "[0-9][0-9]?").Replace(expression)
}

// file renders the subroutine.
func (s *Asterisk) file(e Emergency) (file, error) {
	if err := s.Check(e); err != nil {
		return file{}, err
	}
	shipped, err := fs.ReadFile(conf.Asterisk, "asterisk/"+asteriskFile)
	if err != nil {
		return file{}, err
	}
	address, _ := s.address()
	numbers := "(" + strings.Join(e.Numbers, "|") + ")"
	expression := e.Expression
	if expression == "" {
		expression = "^" + numbers + "$"
	}
	text := strings.NewReplacer(
		posix(shippedExpression), posix(expression),
		shippedAsteriskNums, numbers,
		shippedAGI, "agi://"+address+"/",
		shippedStarExten, codeExten(shippedStarExten, DefaultStar, s.Star),
		shippedReleaseExten, codeExten(shippedReleaseExten, DefaultRelease, s.Release),
	).Replace(string(shipped))
	if s.Star == "" && s.Release == "" {
		text = without(text, "; The star codes by which", "; `to = \"voicemail\"`")
	} else if s.FreePBX {
		text += "\n; FreePBX: the star codes for all phones.\n[from-internal-custom]\ninclude => ringfence-phones\n"
	}
	return file{name: asteriskFile, content: []byte(text)}, nil
}

// codeExten is the extension of a star code in the place of the shipped one; none for "".
func codeExten(shipped, was, code string) string {
	if code == "" {
		return ""
	}
	return strings.Replace(shipped, was, code, 1)
}

// without takes out a part of a text, from one line to another that stays.
func without(text, from, to string) string {
	before, rest, ok := strings.Cut(text, from)
	_, after, there := strings.Cut(rest, to)
	if !ok || !there {
		return text
	}
	return before + to + after
}

// RecordedAsterisk gives the settings of the last install, and whether there was one.
func RecordedAsterisk(folder string) (Asterisk, bool, error) { return recorded[Asterisk](folder) }

// InstallAsterisk writes the subroutine into an Asterisk configuration, puts the one line at the end of extensions.conf
// (on FreePBX of extensions_custom.conf) that includes it, and says what became of each file. A file that was changed since
// it was installed, or that did not come from here, is left as it is. With dry nothing is written.
func InstallAsterisk(folder string, s Asterisk, e Emergency, dry bool) ([]Change, error) {
	if err := checkAsterisk(folder, &s); err != nil {
		return nil, err
	}
	f, err := s.file(e)
	if err != nil {
		return nil, err
	}
	own, err := includesOwn(folder)
	if err != nil {
		return nil, err
	}
	w := wanted{files: []file{f}, model: "extensions.conf"}
	if own == "" {
		w.lines = map[string]string{s.into(): asteriskLine}
	}
	changes, err := apply(folder, s, dry, func(map[string]string) (wanted, error) { return w, nil })
	if file, _, _ := strings.Cut(own, ":"); own != "" && err == nil && !slices.ContainsFunc(changes, func(c Change) bool { return c.File == file }) {
		changes = append(changes, Change{file, Unchanged, "includes it by a line of yours (" + own + ")"})
	}
	return changes, err
}

// into is the file that includes ours.
func (s *Asterisk) into() string {
	if s.FreePBX {
		return "extensions_custom.conf"
	}
	return "extensions.conf"
}

// IsAsterisk says why a folder is not Asterisk's configuration, nil if it is.
func IsAsterisk(folder string) error {
	if _, err := os.Stat(filepath.Join(folder, "extensions.conf")); errors.Is(err, fs.ErrPermission) {
		return withoutRight(folder, "looked into", err)
	} else if err != nil {
		return fmt.Errorf("%s is not Asterisk's configuration: name the folder that extensions.conf is in, such as /etc/asterisk (%w)", folder, err)
	}
	return nil
}

// checkAsterisk says why a folder is no configuration that the kit can be installed into.
func checkAsterisk(folder string, s *Asterisk) error {
	if err := IsAsterisk(folder); err != nil {
		return err
	}
	if s.FreePBX {
		if _, err := os.Stat(filepath.Join(folder, s.into())); err != nil {
			return fmt.Errorf("there is no %s in %s, where FreePBX has what is not its own: install with --no-freepbx, if this is none (%w)", s.into(), folder, err)
		}
	} else if IsFreePBX(folder) {
		return fmt.Errorf("FreePBX writes extensions.conf of %s anew, so a line in it would be lost: install with --freepbx", folder)
	}
	return nil
}

// IsFreePBX reports whether FreePBX writes the files of a configuration.
func IsFreePBX(folder string) bool {
	text, err := os.ReadFile(filepath.Join(folder, "extensions.conf"))
	return err == nil && strings.Contains(string(text), "#include extensions_additional.conf") && exists(filepath.Join(folder, "extensions_additional.conf"))
}

// includesOwn finds a line, other than the one that install writes, that has Asterisk read our file: as file:line. Two
// of them would have it read twice.
func includesOwn(folder string) (string, error) {
	c, err := readConf(folder, "extensions.conf")
	if errors.Is(err, fs.ErrPermission) {
		err = withoutRight(filepath.Join(folder, "extensions.conf"), "read", err)
	}
	if err != nil {
		return "", err
	}
	for _, i := range c.includes {
		if i.File == asteriskFile && !isOurs(folder, i.Where) {
			return i.Where, nil
		}
	}
	return "", nil
}

// isOurs reports whether a line, named as file:line, is the one that install writes.
func isOurs(folder, where string) bool {
	name, number, _ := strings.Cut(where, ":")
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	n := 0
	fmt.Sscanf(number, "%d", &n)
	return n >= 1 && n <= len(lines) && strings.TrimRight(lines[n-1], " \t\r") == asteriskLine
}

// UninstallAsterisk removes what InstallAsterisk wrote and nobody has changed since, and says what there is to do about
// what it leaves: calls that a context hands to a subroutine that is not there end.
func UninstallAsterisk(folder string, dry bool) ([]Change, []Note, error) {
	_, known, err := RecordedAsterisk(folder)
	if err != nil {
		return nil, nil, err
	}
	if known {
		own, err := includesOwn(folder)
		if err != nil {
			return nil, nil, err
		}
		if own != "" {
			return nil, nil, fmt.Errorf("%s includes %s by a line of yours, and without that file Asterisk would not read its dialplan at all: take the line out, and uninstall again", own, asteriskFile)
		}
	}
	var n notes
	if d, err := Read(folder); err == nil {
		steps, _ := d.Calls()
		for _, c := range steps {
			n.add(Must, "%s still calls the subroutine: take %s out before you reload the dialplan, or the calls that come there end", c.Where, c)
		}
		for _, e := range trunks(folder) {
			if slices.Contains(ownContexts, e.Context) {
				n.add(Must, "the endpoint %s has the context %s (%s): give it the one that it had before, or its calls end", e.Name, e.Context, e.Where)
			}
		}
		for _, c := range d.Contexts {
			for _, i := range c.Includes {
				if slices.Contains(ownContexts, i) && !slices.Contains(ownContexts, c.Name) && c.Name != "from-internal-custom" {
					n.add(Should, "the context %s includes %s: take the line out", c.Name, i)
				}
			}
		}
	}
	changes, err := takeOut[Asterisk](folder, dry, "it is not included any more")
	return changes, n, err
}

// trunks are the endpoints that calls come in by from outside.
func trunks(folder string) []Endpoint {
	all, _ := Endpoints(folder)
	return slices.DeleteFunc(all, func(e Endpoint) bool { return !e.Outside })
}
