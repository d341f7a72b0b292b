// Package kit puts the dialplan that hands calls to the daemon into a FreeSWITCH configuration, and takes it
// out again. The files are those of conf/freeswitch; what differs from switch to switch (the daemon's
// address, the emergency numbers, the star code) is written into them here. It writes its own files only:
// what an administrator has written or changed stays, and is named.
package kit

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ringfence/conf"
)

// Settings are what the dialplan is written with. They are remembered in the manifest, so that a later
// install goes on with them.
type Settings struct {
	Screen       string   `json:"screen"`              // host:port of the daemon, as the switch reaches it
	Sync         bool     `json:"sync,omitempty"`      // without async: faster, but without the switch's guard
	Star         string   `json:"star"`                // the code that reports the last caller, "" for none
	LearnDialled bool     `json:"learn_dialled"`       // tell the daemon what is dialled, where no attach learns it
	FusionPBX    bool     `json:"fusionpbx,omitempty"` // files to copy into FusionPBX's dialplan manager
	Emergency    []string `json:"emergency,omitempty"` // the administrator's own numbers; none: the country's
}

// DefaultStar reports the last caller. It is the code for malicious call identification in North America.
const DefaultStar = "*57"

// Emergency says which calls are never shown to the daemon.
type Emergency struct {
	Numbers    []string // as they are dialled
	Expression string   // what matches them as they stand in a call; "": as they are dialled
}

// file is one file of the kit, in the form in which it is installed.
type file struct {
	name    string // where it goes, from the configuration's folder, with /
	content []byte
	secret  bool // it holds a password
}

// What the shipped files are written for. A test holds that they contain it.
const (
	shippedScreen     = "127.0.0.1:8084"
	shippedExpression = `^(?:(?:\+|00)?86|(?:(?:\+|00)?86)?0[1-9][0-9]{1,2})?(?:110|119|120|122|12110|95110)$`
	shippedNumbers    = `(?:110|119|120|122|12110|95110)$`
	shippedStar       = `^\*57$`
)

var (
	starCode  = regexp.MustCompile(`^[0-9*#]{2,8}$`)
	emergency = regexp.MustCompile(`^[0-9]{2,8}$`)
	hostName  = regexp.MustCompile(`^[0-9A-Za-z.-]+$`)
)

// Check says what is wrong with settings and emergency numbers.
func (s *Settings) Check(e Emergency) error {
	var faults []error
	if _, err := socketAddress(s.Screen); err != nil {
		faults = append(faults, err)
	}
	if s.Star != "" && !starCode.MatchString(s.Star) {
		faults = append(faults, fmt.Errorf("the star code %q is none that can be dialled: write 2 to 8 of the keys 0-9 * #, as in *57, or none", s.Star))
	}
	for _, n := range slices.Concat(s.Emergency, e.Numbers) {
		if !emergency.MatchString(n) {
			faults = append(faults, fmt.Errorf("the emergency number %q is none: write the digits that are dialled, as in 110", n))
		}
	}
	if len(e.Numbers) == 0 {
		faults = append(faults, errors.New("there are no emergency numbers: name those that must never pass through the daemon"))
	}
	return errors.Join(faults...)
}

// socketAddress is a host and a port as FreeSWITCH's socket application reads them: it takes what follows
// the last colon for the port, and knows no brackets around an IPv6 address. A daemon that listens
// everywhere is reached on this machine.
func socketAddress(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	n, e := strconv.Atoi(port)
	if err != nil || e != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("%q is no address of a daemon: write host and port, as in 127.0.0.1:8084", text)
	}
	switch ip, err := netip.ParseAddr(host); {
	case host == "", err == nil && ip.IsUnspecified():
		host = "127.0.0.1"
	case err == nil && ip.Zone() == "":
		host = ip.Unmap().String()
	case !hostName.MatchString(host):
		return "", fmt.Errorf("%q is no address of a daemon: write host and port, as in 127.0.0.1:8084", text)
	}
	return host + ":" + port, nil
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
		out := []kitFile{{"fusionpbx/ringfence.xml", fusionFolder + "/ringfence.xml"},
			{"fusionpbx/ringfence-open.xml", fusionFolder + "/ringfence-open.xml"},
			{"fusionpbx/ringfence-after.xml", fusionFolder + "/ringfence-after.xml"},
			{"fusionpbx/ringfence-whisper.xml", fusionFolder + "/ringfence-whisper.xml"}}
		if s.Star != "" {
			out = append(out, kitFile{"fusionpbx/ringfence-report.xml", fusionFolder + "/ringfence-report.xml"})
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
	if s.LearnDialled {
		out = append(out, kitFile{"dialplan/default/000_ringfence_dialled.xml", dialledFile})
	}
	return out
}

// Where the files go that other code speaks of.
const (
	screeningFile = "dialplan/public/000_ringfence.xml"
	reportFile    = "dialplan/default/000_ringfence_report.xml"
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
	).Replace(text))
}
