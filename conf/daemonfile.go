package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/BurntSushi/toml"
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
	Attach  []Attach
	Feeds   []Feed
}

// Feed is a list kept by others, which the daemon fetches.
type Feed struct {
	List      string
	Source    string        // http:// or https://, or the path of a file
	Format    string        // text, csv, ftc or phoneblock
	Every     time.Duration // how often it is looked at, at a random offset; at least a minute
	MaxChange float64       // share by which the number of entries may change before somebody has to look; 0.5 is a half
}

// Reject is what refusals say besides their SIP code, so that a caller who is refused by mistake knows where to turn.
type Reject struct {
	Redress   string // URL of a signed jCard, for the Call-Info of 608 (RFC 8688); "" for none
	Analytics string // "url=…", "tel=…" or "email=…" for the Reason header of 603, which then reads "Network Blocked" (ATIS-1000099); "" for none
}

// Notify is who is told that something is wrong.
type Notify struct {
	Command string // a program with an absolute path; "" for nobody
}

// Attach is an event socket or a manager interface that the daemon attaches to, to learn what became of calls.
type Attach struct {
	Kind     string // KindFreeSWITCH or KindAsterisk
	Name     string
	Address  string // host:port
	User     string // of Asterisk's manager.conf; "" on FreeSWITCH
	Password string
}

// Kinds of switch that can be attached to.
const (
	KindFreeSWITCH = "freeswitch"
	KindAsterisk   = "asterisk"
)

// Screen is where FreeSWITCH's socket application connects, or Asterisk's AGI.
type Screen struct {
	Listen   string
	Allow    []netip.Prefix
	Deadline time.Duration // from accept; at most 900 ms
}

// Journal bounds the journal.
type Journal struct {
	Keep    time.Duration
	MaxSize int64 // bytes
	Private bool  // callers are kept as tokens, and names left out
}

// Database is the file of the lists and the journal.
func (d *Daemon) Database() string { return filepath.Join(d.Data, "ringfence.db") }

// SoundFolder is where announcements are looked for.
func (d *Daemon) SoundFolder() string { return filepath.Join(d.Data, "sounds") }

// FeedFolder is where fetched lists are kept.
func (d *Daemon) FeedFolder() string { return filepath.Join(d.Data, "feeds") }

// DefaultFile is where the daemon's file is looked for when no --config is given.
const DefaultFile = "/etc/ringfence/ringfence.toml"

// raw is the file as it is written.
type raw struct {
	Policy  string   `toml:"policy"`
	Data    string   `toml:"data"`
	Node    string   `toml:"node"`
	Socket  string   `toml:"socket"`
	Screen  rawPort  `toml:"screen"`
	AGI     *rawPort `toml:"agi"`
	Journal struct {
		Keep    string `toml:"keep"`
		MaxSize string `toml:"max_size"`
		Private bool   `toml:"private"`
	} `toml:"journal"`
	Reject struct {
		Redress   string `toml:"redress"`
		Analytics string `toml:"analytics"`
	} `toml:"reject"`
	Notify struct {
		Command string `toml:"command"`
	} `toml:"notify"`
	Attach []rawAttach `toml:"attach"`
	Feed   []rawFeed   `toml:"feed"`
}

type rawFeed struct {
	List      string `toml:"list"`
	Source    string `toml:"source"`
	Format    string `toml:"format"`
	Every     string `toml:"every"`
	MaxChange string `toml:"max_change"`
}

// rawPort is a port that a switch connects to.
type rawPort struct {
	Listen   string   `toml:"listen"`
	Allow    []string `toml:"allow"`
	Deadline string   `toml:"deadline"`
}

type rawAttach struct {
	Kind         string `toml:"kind"`
	Name         string `toml:"name"`
	Address      string `toml:"address"`
	User         string `toml:"user"`
	Password     string `toml:"password"`
	PasswordFile string `toml:"password_file"`
}

// LoadDaemon reads the daemon's file. The error names every fault, a line each, as FILE:LINE: key: what is
// wrong and what to write instead.
func LoadDaemon(file string) (*Daemon, error) {
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no %s: name the daemon's file with --config, or copy conf/ringfence.toml there", file)
	case err != nil:
		return nil, fmt.Errorf("the daemon's file cannot be read: %w", err)
	}
	return parseDaemon(file, string(text))
}

func parseDaemon(file, text string) (*Daemon, error) {
	r := raw{Policy: "policy.toml", Data: "/var/lib/ringfence", Socket: "/run/ringfence/ringfence.sock"}
	r.Journal.Keep, r.Journal.MaxSize = "90d", "2GiB"
	p := &parser{file: file, text: text}
	meta, err := toml.Decode(text, &r)
	if err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			p.add(syntax.Position.Line, "", syntax.Message)
			return nil, p.err()
		}
		p.wrongTypes()
		if len(p.faults) == 0 {
			p.add(1, "", "a value has the wrong type: write texts in quotes and addresses as [\"127.0.0.0/8\"]")
		}
		return nil, p.err()
	}
	for _, key := range meta.Undecoded() {
		p.fault(key.String(), "is not known here: the keys are policy, data, node, socket, screen.listen, screen.allow, screen.deadline, agi.listen, agi.allow, agi.deadline, journal.keep, journal.max_size, journal.private, reject.redress, reject.analytics, notify.command and, under [[attach]], kind, name, address, user, password and password_file and, under [[feed]], list, source, format, every and max_change")
	}
	d := &Daemon{File: file, Policy: r.Policy, Data: r.Data, Node: r.Node, Socket: r.Socket}
	d.Screen = p.port("screen", r.Screen, "127.0.0.1:8084")
	if r.AGI != nil {
		agi := p.port("agi", *r.AGI, "127.0.0.1:4573")
		d.AGI = &agi
		if agi.Listen == d.Screen.Listen && !strings.HasSuffix(agi.Listen, ":0") {
			p.fault("agi.listen", "is where FreeSWITCH connects (screen.listen): give Asterisk a port of its own, as in \"127.0.0.1:4573\"")
		}
	}
	if d.Journal.Keep, err = parseDays(r.Journal.Keep); err != nil {
		p.fault("journal.keep", "%q is not a time of at least 1h: write \"90d\"", r.Journal.Keep)
	}
	if d.Journal.MaxSize, err = parseSize(r.Journal.MaxSize); err != nil {
		p.fault("journal.max_size", "%q is not a size of at least 1MiB: write \"2GiB\" or \"500MiB\"", r.Journal.MaxSize)
	}
	d.Journal.Private = r.Journal.Private
	d.Reject = p.reject(r.Reject.Redress, r.Reject.Analytics)
	if d.Notify.Command = r.Notify.Command; d.Notify.Command != "" && !filepath.IsAbs(d.Notify.Command) {
		p.fault("notify.command", "%q has no absolute path: write \"/usr/local/bin/page-me\", a program that takes no arguments here", d.Notify.Command)
	}
	d.Attach = p.attaches(r.Attach)
	d.Feeds = p.feeds(r.Feed)
	for key, v := range map[string]*string{"policy": &d.Policy, "data": &d.Data, "socket": &d.Socket} {
		if *v == "" {
			p.fault(key, "is empty: name a file or leave the key out")
		}
		if !filepath.IsAbs(*v) {
			*v = filepath.Join(filepath.Dir(file), *v)
		}
		if abs, err := filepath.Abs(*v); err == nil {
			*v = abs
		}
	}
	if i := strings.IndexFunc(d.Data, func(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune("!$'\"`\\{}<>|,^", c) }); i >= 0 {
		p.fault("data", "%q has a character at %q that the switch would read otherwise in the path of an announcement: choose a folder of letters, digits, / - _ and .", d.Data, d.Data[i:])
	}
	if len(d.Socket) > 100 {
		p.fault("socket", "is longer than the 100 characters that a socket's path may have: choose a shorter one, as in \"/run/ringfence/ringfence.sock\"")
	}
	if d.Node == "" {
		d.Node, _ = os.Hostname()
	}
	return d, p.err()
}

// port checks where a switch connects, and fills in what is not said.
func (p *parser) port(table string, r rawPort, standard string) Screen {
	if r.Listen == "" {
		r.Listen = standard
	}
	if r.Deadline == "" {
		r.Deadline = "800ms"
	}
	if r.Allow == nil {
		r.Allow = []string{"127.0.0.0/8", "::1/128"}
	}
	s := Screen{Listen: r.Listen}
	if host, port, err := net.SplitHostPort(r.Listen); err != nil || !validPort(port) {
		p.fault(table+".listen", "%q is no address with a port: write %q", r.Listen, standard)
	} else if host != "" && host != "localhost" && !validIP(host) {
		p.fault(table+".listen", "%q is no address: write an IP address of this machine, as in %q", host, standard)
	}
	for _, a := range r.Allow {
		prefix, err := parsePrefix(a)
		if err != nil {
			p.fault(table+".allow", "%q is no address range: write \"192.0.2.7/32\" or \"192.0.2.0/24\"", a)
		}
		s.Allow = append(s.Allow, prefix)
	}
	if len(r.Allow) == 0 {
		p.fault(table+".allow", "is empty, so no switch could connect: write [\"127.0.0.0/8\", \"::1/128\"]")
	}
	var err error
	if s.Deadline, err = time.ParseDuration(r.Deadline); err != nil || s.Deadline < 10*time.Millisecond || s.Deadline > 900*time.Millisecond {
		p.fault(table+".deadline", "%q is not a time from 10ms to 900ms: write \"800ms\". The switch's own guard takes the call away after a second", r.Deadline)
	}
	return s
}

// reject checks [reject].
func (p *parser) reject(redress, analytics string) Reject {
	plain := func(s string) bool {
		return strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:/?#@&=+._~%-") == ""
	}
	web := func(s string) bool {
		u, err := url.Parse(s)
		return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && plain(s)
	}
	r := Reject{Redress: redress}
	if redress != "" && !web(redress) {
		p.fault("reject.redress", "%q is no web address: write where the signed jCard of RFC 8688 lies, as in \"https://example.com/redress.jws\"", redress)
	}
	switch digits := strings.TrimPrefix(analytics, "+"); {
	case analytics == "":
	case web(analytics):
		r.Analytics = "url=" + analytics
	case strings.Trim(digits, "0123456789") == "" && len(digits) > 2:
		r.Analytics = "tel=" + analytics
	case strings.Count(analytics, "@") == 1 && plain(analytics) && !strings.Contains(analytics, "/"):
		r.Analytics = "email=" + analytics
	default:
		p.fault("reject.analytics", "%q is no address to turn to: write a web address, a telephone number or a mail address, as in \"https://example.com/blocked\"", analytics)
	}
	return r
}

// attaches checks the [[attach]] tables.
func (p *parser) attaches(raw []rawAttach) []Attach {
	var out []Attach
	names := map[string]bool{}
	for i, r := range raw {
		fault := func(key, format string, args ...any) {
			p.add(p.lineIn("attach", i, key), "attach."+key, fmt.Sprintf(format, args...))
		}
		a := Attach{Kind: r.Kind, Name: r.Name, Address: r.Address, User: r.User, Password: r.Password}
		standard, secret := "127.0.0.1:8021", "the one of the switch's event_socket.conf.xml"
		switch a.Kind {
		case KindFreeSWITCH:
			if a.User != "" {
				fault("user", "is for Asterisk: an event socket has a password alone")
			}
		case KindAsterisk:
			standard, secret = "127.0.0.1:5038", "the secret of that user in the switch's manager.conf"
			if strings.TrimSpace(a.User) == "" || strings.ContainsFunc(a.User, unicode.IsControl) {
				fault("user", "%q is no user: write the name of a section of the switch's manager.conf with read = call, as in \"ringfence\"", a.User)
			}
		default:
			fault("kind", "%q cannot be attached to: write \"freeswitch\" or \"asterisk\"", a.Kind)
		}
		if a.Address == "" {
			a.Address = standard
		}
		if host, port, err := net.SplitHostPort(a.Address); err != nil || host == "" || !validPort(port) {
			fault("address", "%q is no address with a port: write %q", a.Address, standard)
		}
		if a.Name == "" {
			a.Name = a.Address
		}
		if names[a.Name] {
			fault("name", "%q is the name of two switches: give each one of its own", a.Name)
		}
		names[a.Name] = true
		switch {
		case r.Password != "" && r.PasswordFile != "":
			fault("password", "stands beside password_file: keep one of the two")
		case r.PasswordFile != "":
			file := r.PasswordFile
			if !filepath.IsAbs(file) {
				file = filepath.Join(filepath.Dir(p.file), file)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				fault("password_file", "%s cannot be read: write the password into it, readable for the daemon alone (%v)", file, err)
			}
			a.Password = strings.TrimRight(string(text), "\r\n")
		}
		if a.Password == "" && r.PasswordFile == "" {
			fault("password", "is missing: write %s, or better the name of a file that holds it as password_file", secret)
		}
		if strings.ContainsAny(a.Password, "\r\n") {
			fault("password_file", "has more than one line: the password stands alone in it")
		}
		out = append(out, a)
	}
	return out
}

// feeds checks the [[feed]] tables.
func (p *parser) feeds(raw []rawFeed) []Feed {
	var out []Feed
	lists := map[string]bool{}
	for i, r := range raw {
		fault := func(key, format string, args ...any) {
			p.add(p.lineIn("feed", i, key), "feed."+key, fmt.Sprintf(format, args...))
		}
		f := Feed{List: r.List, Source: r.Source, Format: r.Format, Every: 24 * time.Hour, MaxChange: 0.5}
		if f.List == "" || strings.Trim(f.List, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.") != "" || len(f.List) > 64 {
			fault("list", "%q is no name of a list: write letters, digits, - _ and ., as in \"ftc\"", f.List)
		}
		if lists[f.List] {
			fault("list", "%q is filled by two feeds: give each a list of its own, and name both in the rule", f.List)
		}
		lists[f.List] = true
		switch u, err := url.Parse(f.Source); {
		case f.Source == "":
			fault("source", "is missing: write a web address or the path of a file")
		case err == nil && (u.Scheme == "https" || u.Scheme == "http"):
			if u.Host == "" {
				fault("source", "%q is no web address: write \"https://example.com/list.csv\"", f.Source)
			}
		case strings.Contains(f.Source, "://"):
			fault("source", "%q is neither http:// nor https:// nor the path of a file", f.Source)
		case !filepath.IsAbs(f.Source):
			f.Source = filepath.Join(filepath.Dir(p.file), f.Source)
		}
		if !slices.Contains([]string{"", "text", "csv", "ftc", "phoneblock"}, f.Format) {
			fault("format", "%q is no format: write \"text\", \"csv\", \"ftc\" or \"phoneblock\", or leave it out", f.Format)
		}
		if r.Every != "" {
			var err error
			if f.Every, err = parseSpan(r.Every); err != nil || f.Every < time.Minute {
				fault("every", "%q is not a time of at least 1m: write \"24h\"", r.Every)
			}
		}
		if r.MaxChange != "" {
			percent, ok := strings.CutSuffix(r.MaxChange, "%")
			n, err := strconv.ParseFloat(percent, 64)
			if !ok || err != nil || n <= 0 || n > 10000 {
				fault("max_change", "%q is no share: write \"50%%\"", r.MaxChange)
			}
			f.MaxChange = n / 100
		}
		out = append(out, f)
	}
	return out
}

func validPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 0 && n <= 65535
}

func validIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

// parseDays reads a duration of at least an hour that may be in days.
func parseDays(s string) (time.Duration, error) {
	d, err := parseSpan(s)
	if err == nil && d < time.Hour {
		err = strconv.ErrRange
	}
	return d, err
}

// parseSpan reads a duration that may be in days.
func parseSpan(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, e := strconv.Atoi(days)
		d, err = time.Duration(n)*24*time.Hour, e
		if n > 36500 {
			err = strconv.ErrRange
		}
	}
	return d, err
}

func parseSize(s string) (int64, error) {
	for unit, factor := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40} {
		if number, ok := strings.CutSuffix(s, unit); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 32)
			if err == nil && n*factor >= 1<<20 {
				return n * factor, nil
			}
		}
	}
	return 0, strconv.ErrSyntax
}

// parser collects faults.
type parser struct {
	file, text string
	faults     []fault
}

type fault struct {
	line int
	text string
}

func (p *parser) add(line int, key, text string) {
	where := fmt.Sprintf("%s:%d: ", p.file, line)
	if key != "" {
		where += key + ": "
	}
	p.faults = append(p.faults, fault{line, where + text})
}

func (p *parser) fault(key, format string, args ...any) {
	p.add(p.line(key), key, fmt.Sprintf(format, args...))
}

func (p *parser) err() error {
	if len(p.faults) == 0 {
		return nil
	}
	sort.Slice(p.faults, func(i, j int) bool {
		a, b := p.faults[i], p.faults[j]
		return a.line < b.line || a.line == b.line && a.text < b.text
	})
	lines := make([]string, len(p.faults))
	for i, f := range p.faults {
		lines[i] = f.text
	}
	return errors.New(strings.Join(lines, "\n"))
}

var header = regexp.MustCompile(`^\s*\[\s*([A-Za-z0-9_-]+)\s*\]`)

// line finds a key in the text: its own line behind its table's header, or the table's. The file is flat,
// so lines can be read one by one.
func (p *parser) line(key string) int {
	table, name, ok := strings.Cut(key, ".")
	if !ok {
		table, name = "", key
	}
	current, found := "", 1
	for i, l := range strings.Split(p.text, "\n") {
		if m := header.FindStringSubmatch(l); m != nil {
			current = m[1]
			if current == table || current == key {
				found = i + 1
			}
		}
		left, _, ok := strings.Cut(l, "=")
		left = strings.Trim(left, " \t\"'")
		if ok && (current == table && left == name || current == "" && left == key) {
			return i + 1
		}
	}
	return found
}

// lineIn finds a key of the n-th table of an array of tables, from 0, or that table.
func (p *parser) lineIn(array string, n int, key string) int {
	seen, found := -1, 1
	for i, l := range strings.Split(p.text, "\n") {
		if t := strings.TrimSpace(l); strings.HasPrefix(t, "[") {
			if strings.HasPrefix(t, "[["+array+"]]") {
				seen++
			} else if seen == n {
				return found
			}
			if seen == n {
				found = i + 1
			}
			continue
		}
		if name, _, ok := strings.Cut(l, "="); ok && seen == n && strings.TrimSpace(name) == key {
			return i + 1
		}
	}
	return found
}

// wrongTypes says which of the known keys has a value of another type than it wants.
func (p *parser) wrongTypes() {
	var m map[string]any
	if _, err := toml.Decode(p.text, &m); err != nil {
		return
	}
	for _, table := range []string{"screen", "agi", "journal"} {
		switch t := m[table].(type) {
		case nil:
		case map[string]any:
			for name, v := range t {
				p.wantText(table+"."+name, v)
			}
		default:
			p.fault(table, "is a table: write [%s] on a line of its own", table)
		}
		delete(m, table)
	}
	for _, array := range []string{"attach", "feed"} {
		if tables, ok := m[array].([]map[string]any); ok {
			for i, t := range tables {
				for name, v := range t {
					if _, text := v.(string); !text {
						p.add(p.lineIn(array, i, name), array+"."+name, "wants a text in quotes")
					}
				}
			}
		} else if m[array] != nil {
			p.fault(array, "is an array of tables: write [[%s]] on a line of its own", array)
		}
		delete(m, array)
	}
	for name, v := range m {
		p.wantText(name, v)
	}
}

func (p *parser) wantText(key string, v any) {
	if key == "journal.private" {
		if _, ok := v.(bool); !ok {
			p.fault(key, "is a switch: write true or false, without quotes")
		}
		return
	}
	if key == "screen.allow" || key == "agi.allow" {
		list, ok := v.([]any)
		for _, x := range list {
			if _, text := x.(string); !text {
				ok = false
			}
		}
		if !ok {
			p.fault(key, "is a list of address ranges: write [\"127.0.0.0/8\", \"::1/128\"]")
		}
		return
	}
	if _, ok := v.(string); !ok {
		p.fault(key, "wants a text in quotes")
	}
}
