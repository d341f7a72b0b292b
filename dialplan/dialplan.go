// Package dialplan puts the dialplan that hands calls to the daemon into the configuration of a switch, and takes it
// out again. The files are those of conf/freeswitch and conf/asterisk; what differs from switch to switch (the
// daemon's address, the emergency numbers, the star code) is written into them here. It writes its own files
// only, and the one line by which Asterisk includes them: what an administrator has written or changed stays,
// and is named.
package dialplan

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
)

// DefaultStar reports the last caller. It is the code for malicious call identification in North America.
const DefaultStar = "*57"

// DefaultRelease lets the caller through who was last stopped. It stands beside DefaultStar.
const DefaultRelease = "*58"

// unsaid stands for a code of which a manifest says nothing, because it is from before there was one.
const unsaid = "\x00"

// releaseOr is the code of a manifest: who has the one star code gets the other, where it is from before that.
func releaseOr(release, star string) string {
	switch {
	case release != unsaid:
		return release
	case star == "" || star == DefaultRelease:
		return ""
	}
	return DefaultRelease
}

// Emergency says which calls are never shown to the daemon.
type Emergency struct {
	Numbers    []string // as they are dialled
	Expression string   // what matches them as they stand in a call; "": as they are dialled
}

// file is one file of the kit, in the form in which it is installed.
type file struct {
	name    string // where it goes, from the configuration's folder, with /
	content []byte
	mode    fs.FileMode // where it is new; 0: as the others
}

var (
	starCode  = regexp.MustCompile(`^[0-9*#]{2,8}$`)
	emergency = regexp.MustCompile(`^[0-9]{2,8}$`)
	hostName  = regexp.MustCompile(`^[0-9A-Za-z.-]+$`)
)

// checkNumbers says what is wrong with the star codes, an administrator's emergency numbers and those that count.
func checkNumbers(star, release string, own []string, e Emergency) error {
	var faults []error
	for _, code := range []string{star, release} {
		if code != "" && !starCode.MatchString(code) {
			faults = append(faults, fmt.Errorf("the star code %q is none that can be dialled: write 2 to 8 of the keys 0-9 * #, as in *57, or none", code))
		}
	}
	if star == release && star != "" {
		faults = append(faults, fmt.Errorf("%s cannot both report a caller and let one through: write another one for --star or --release, or none", star))
	}
	for _, n := range slices.Concat(own, e.Numbers) {
		if !emergency.MatchString(n) {
			faults = append(faults, fmt.Errorf("the emergency number %q is none: write the digits that are dialled, as in 110", n))
		}
	}
	if len(e.Numbers) == 0 {
		faults = append(faults, errors.New("there are no emergency numbers: name those that must never pass through the daemon"))
	}
	return errors.Join(faults...)
}

// hostPort takes the address of a daemon apart. One that listens everywhere is reached on this machine.
func hostPort(text, example string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(text)
	n, e := strconv.Atoi(port)
	bad := fmt.Errorf("%q is no address of a daemon: write host and port, as in %s", text, example)
	if err != nil || e != nil || n < 1 || n > 65535 {
		return "", "", bad
	}
	switch ip, err := netip.ParseAddr(host); {
	case host == "", err == nil && ip.IsUnspecified():
		host = "127.0.0.1"
	case err == nil && ip.Zone() == "":
		host = ip.Unmap().String()
	case !hostName.MatchString(host):
		return "", "", bad
	}
	return host, port, nil
}
