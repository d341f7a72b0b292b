package conf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ringfence/tomlfile"
)

// Daemon is the daemon's own file, ringfence.toml, with paths made absolute and defaults filled in.
type Daemon struct {
	File   string // where it was read from
	Policy string // the policy file
	Data   string // folder of the database and the announcements
	Node   string // this machine's name in the journal
	Socket string // unix socket that the commands talk to

	Screen  Screen
	AGI     *Screen // where Asterisk's AGI application connects; nil: nowhere
	Reject  Reject
	Journal Journal
	Notify  Notify
	Reports Reports
	Attach  []Attach
	Feeds   []Feed
	Console *Console // where browsers and scripts come to; nil: nowhere
	Cluster *Cluster // nodes that have the same lists; nil: this one is alone
	// ClusterFault is what is wrong with Cluster, as LoadDaemon's error, where that is all that is wrong with the file: calls are screened without the
	// other nodes rather than not at all.
	ClusterFault error
}

// Database is the file of the lists and the journal.
func (d *Daemon) Database() string { return filepath.Join(d.Data, "ringfence.db") }

// LastGoodPolicy is the file that keeps the text of the policy that was in force last.
func (d *Daemon) LastGoodPolicy() string { return filepath.Join(d.Data, "policy.last-good.toml") }

// SoundFolder is where announcements are looked for.
func (d *Daemon) SoundFolder() string { return filepath.Join(d.Data, "sounds") }

// FeedFolder is where fetched lists are kept.
func (d *Daemon) FeedFolder() string { return filepath.Join(d.Data, "feeds") }

// DefaultFile is where the daemon's file is looked for when no --config is given.
const DefaultFile = "/etc/ringfence/ringfence.toml"

// sectionKeys are the keys of the file, by the section they stand in; "" is the top.
var sectionKeys = map[string][]string{
	"":        {"policy", "data", "node", "socket", "screen", "agi", "journal", "reject", "notify", "reports", "attach", "feed", "console", "cluster"},
	"screen":  {"listen", "allow", "deadline"},
	"agi":     {"listen", "allow", "deadline"},
	"journal": {"keep", "max_size", "private"},
	"reject":  {"redress", "analytics"},
	"notify":  {"command", "remind", "fail_open_calls", "fail_open_share", "sendmail", "from", "webhook_private", "star_code"},
	"reports": {"auto_confirm"},
	"attach":  {"kind", "name", "address", "user", "password", "password_file"},
	"feed":    {"list", "source", "format", "every", "max_change"},
	"console": {"listen", "url", "tls_cert", "tls_key", "insecure", "metrics", "trusted_proxies", "oidc"},
	"cluster": {
		"name", "servers", "credentials", "nkey_file", "user", "password", "password_file", "tls_ca", "tls_cert", "tls_key", "share_policy", "policy_from", "keep", "max_change",
	},

	"console.oidc": {"issuer", "client_id", "client_secret_file", "role_claim", "roles"},
}

// LoadDaemon reads the daemon's file for the daemon: with the passwords, which lie in files that are often the daemon's alone. The
// error names every fault, a line each, as FILE:LINE: key: what is wrong and what to write instead. Where all of them are of [cluster] they are no error,
// but ClusterFault.
func LoadDaemon(file string) (*Daemon, error) {
	text, err := readDaemonFile(file)
	if err != nil {
		return nil, err
	}
	d, faults := readDaemon(file, text, true)
	if faults != nil && d.ClusterFault == nil {
		return nil, faults
	}
	return d, nil
}

// LoadForCommand reads the daemon's file for a command, whoever gives it: passwords that lie in files are left there (see
// Attach.ReadPassword). The error is as LoadDaemon's.
func LoadForCommand(file string) (*Daemon, error) {
	text, err := readDaemonFile(file)
	if err != nil {
		return nil, err
	}
	d, faults := readDaemon(file, text, false)
	if faults != nil {
		return nil, faults
	}
	return d, nil
}

// FindSocket is where the running daemon takes commands, as its file says. It is known where other keys have faults, which the error
// names: the daemon may have read the file before they were in it. "" if it is not.
func FindSocket(file string) (socket string, faults error) {
	text, err := readDaemonFile(file)
	if err != nil {
		return "", err
	}
	d, faults := readDaemon(file, text, false)
	return d.Socket, faults
}

func readDaemonFile(file string) ([]byte, error) {
	text, err := ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no %s: name the daemon's file with --config, or copy conf/ringfence.toml there", file)
	case err != nil:
		return nil, fmt.Errorf("the daemon's file cannot be read: %w", err)
	}
	return text, nil
}

// ReadFile reads a file of settings, the daemon's or a policy: all of it, or one byte more than such a file may have, of which
// its reader then says that it is too much.
func ReadFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, tomlfile.MaxFile+1))
}

// readDaemon reads a text, with secrets the files of passwords too. With faults the Daemon has what could be read, and no Socket
// if that is among them.
func readDaemon(file string, text []byte, secrets bool) (*Daemon, error) {
	faults := &faults{file: file}
	values, places, unreadable := tomlfile.Decode(text)
	if unreadable != nil {
		faults.add(unreadable.Line, unreadable.Key, "%s", unreadable.Text)
		return &Daemon{}, faults.err()
	}
	top := &section{faults: faults, at: places, values: values}
	top.only(sectionKeys[""])
	d := &Daemon{File: file, Node: top.text("node", "")}
	d.readPaths(top)
	d.readPorts(top)
	d.Journal = readJournal(top.table("journal"))
	d.Reject = readReject(top.table("reject"))
	d.Notify = readNotify(top.table("notify"))
	d.Reports = readReports(top.table("reports"))
	d.Attach = readAttach(top.tables("attach"), filepath.Dir(file), secrets)
	d.Feeds = readFeeds(top.tables("feed"), filepath.Dir(file))
	d.readConsole(top, filepath.Dir(file), secrets)
	if d.Node == "" {
		d.Node, _ = os.Hostname()
	}
	others := len(faults.all)
	d.readCluster(top, filepath.Dir(file), secrets)
	if top.told("socket") {
		d.Socket = ""
	}
	err := faults.err()
	if others == 0 && err != nil {
		d.ClusterFault = err
	}
	return d, err
}

// readPaths reads the files and folders named at the top of the file.
func (d *Daemon) readPaths(top *section) {
	for _, path := range []struct {
		key, standard string
		to            *string
	}{
		{"policy", "policy.toml", &d.Policy},
		{"data", "/var/lib/ringfence", &d.Data},
		{"socket", "/run/ringfence/ringfence.sock", &d.Socket},
	} {
		text := top.text(path.key, path.standard)
		if text == "" {
			top.fault(path.key, "is empty: name a file or leave the key out")
			top.wrong = append(top.wrong, path.key)
		}
		*path.to = beside(filepath.Dir(d.File), text)
		if abs, err := filepath.Abs(*path.to); err == nil {
			*path.to = abs
		}
	}
	if i := strings.IndexFunc(d.Data, func(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune("!$'\"`\\{}<>|,^", c) }); i >= 0 {
		top.fault("data", "%q has a character at %q that the switch would read otherwise in the path of an announcement: choose a folder of letters, digits, / - _ and .", d.Data, d.Data[i:])
	}
	if len(d.Socket) > 100 {
		top.fault("socket", "is longer than the 100 characters that a socket's path may have: choose a shorter one, as in \"/run/ringfence/ringfence.sock\"")
		top.wrong = append(top.wrong, "socket")
	}
}

// beside is a path as the file means it: a relative one counts from the file's folder.
func beside(folder, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(folder, path)
}
