package conf

import (
	"cmp"
	"net"
	"os"
	"strings"
	"unicode"
)

// Attach is an event socket or a manager interface that the daemon attaches to, to learn what became of calls.
type Attach struct {
	Kind     string // KindFreeSWITCH or KindAsterisk
	Name     string
	Address  string // host:port
	User     string // of Asterisk's manager.conf; "" on FreeSWITCH
	Password string // "" if it lies in a file that was not read
	file     string // that holds it, "" if none does
}

// ReadPassword gives the password, from its file if that was not read. The error says which file, and why not.
func (a *Attach) ReadPassword() (string, error) {
	if a.Password != "" || a.file == "" {
		return a.Password, nil
	}
	text, err := os.ReadFile(a.file)
	return strings.TrimRight(string(text), "\r\n"), err
}

// Kinds of switch that can be attached to.
const (
	KindFreeSWITCH = "freeswitch"
	KindAsterisk   = "asterisk"
)

// readAttach reads the [[attach]] tables; folder is what a password's file counts from. Such files
// are read with secrets alone.
func readAttach(tables []*section, folder string, secrets bool) []Attach {
	var all []Attach
	names := map[string]bool{}
	for _, s := range tables {
		a := Attach{Kind: s.text("kind", ""), User: s.text("user", "")}
		standard, secret := "127.0.0.1:8021", "the one of the switch's event_socket.conf.xml"
		switch a.Kind {
		case KindFreeSWITCH:
			if a.User != "" {
				s.fault("user", "is for Asterisk: an event socket has a password alone")
			}
		case KindAsterisk:
			standard, secret = "127.0.0.1:5038", "the secret of that user in the switch's manager.conf"
			if strings.TrimSpace(a.User) == "" || strings.ContainsFunc(a.User, unicode.IsControl) {
				s.fault("user", "%q is no user: write the name of a section of the switch's manager.conf with read = call, as in \"ringfence\"", a.User)
			}
		default:
			s.fault("kind", "%q cannot be attached to: write \"freeswitch\" or \"asterisk\"", a.Kind)
		}
		a.Address = cmp.Or(s.text("address", ""), standard)
		if host, port, err := net.SplitHostPort(a.Address); err != nil || host == "" || !validPort(port) {
			s.fault("address", "%q is no address with a port: write %q", a.Address, standard)
		}
		a.Name = cmp.Or(s.text("name", ""), a.Address)
		if own := s.has("name"); !s.told("name") && (own || !s.told("address", "kind")) {
			if names[a.Name] {
				s.fault("name", "%q is the name of two switches: give each one of its own", a.Name)
			}
			names[a.Name] = true
		}
		a.readPassword(s, folder, secret, secrets)
		all = append(all, a)
	}
	return all
}

// readPassword reads the password or, with secrets, the file that holds it; secret says which password is meant.
func (a *Attach) readPassword(s *section, folder, secret string, secrets bool) {
	password, file := s.text("password", ""), s.text("password_file", "")
	a.Password = password
	switch {
	case password != "" && file != "":
		s.fault("password", "stands beside password_file: keep one of the two")
	case file != "":
		a.file = beside(folder, file)
		if !secrets {
			return
		}
		var err error
		if a.Password, err = a.ReadPassword(); err != nil {
			s.fault("password_file", "%s cannot be read: write the password into it, readable for the daemon alone (%v)", a.file, err)
		}
		if strings.ContainsAny(a.Password, "\r\n") {
			s.fault("password_file", "has more than one line: the password stands alone in it")
		}
	case password == "" && !s.has("password_file"):
		s.fault("password", "is missing: write %s, or better the name of a file that holds it as password_file", secret)
	case strings.ContainsAny(password, "\r\n"):
		s.fault("password", "has more than one line: write %s", secret)
	}
}
