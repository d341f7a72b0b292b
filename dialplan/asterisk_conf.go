package dialplan

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// section is one [name] of Asterisk's configuration files, where it stands. What its templates say comes first.
type section struct {
	Name     string
	Where    string // file:line
	Template bool
	Entries  []entry
}

// entry is one line of a section: key = value or key => value.
type entry struct {
	Key, Value string
	Where      string
}

// get is the last value of a key, as most of Asterisk's modules read it.
func (s *section) get(key string) string {
	for _, e := range slices.Backward(s.Entries) {
		if strings.EqualFold(e.Key, key) {
			return e.Value
		}
	}
	return ""
}

// inclusion is a line that has Asterisk read another file.
type inclusion struct {
	File  string // as it is found, from the configuration's folder where it lies in there
	Where string
}

// confFile is what Asterisk reads of one configuration file and all that it includes.
type confFile struct {
	folder   string
	sections []*section
	includes []inclusion
	missing  []inclusion // of them, what is not there: Asterisk reads nothing at all then
	files    int
}

// Bounds of what is read.
const (
	maxConfFiles = 2000
	maxConfDepth = 10
)

// readConf reads a configuration file as Asterisk does (config.c): comments, includes, templates.
func readConf(folder, file string) (*confFile, error) {
	c := &confFile{folder: folder}
	return c, c.read(file, 0)
}

var (
	sectionLine = regexp.MustCompile(`^\[([^\]]+)\]\s*(?:\(([^)]*)\))?`)
	directive   = regexp.MustCompile(`^#\s*(include|tryinclude)\s+["<]?([^">]+?)[">]?\s*$`)
)

func (c *confFile) read(file string, depth int) error {
	if c.files++; c.files > maxConfFiles || depth > maxConfDepth {
		return fmt.Errorf("%s: more files are included than are looked at here", file)
	}
	path := file
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.folder, file)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var now *section
	comment := false
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var text string
		text, comment = uncomment(lines.Text(), comment)
		where := fmt.Sprintf("%s:%d", file, n)
		switch text = strings.TrimSpace(text); {
		case text == "":
		case text[0] == '#':
			m := directive.FindStringSubmatch(text)
			if m == nil {
				continue
			}
			if err := c.include(m[2], where, m[1] == "tryinclude", depth); err != nil {
				return err
			}
		case text[0] == '[':
			if m := sectionLine.FindStringSubmatch(text); m != nil {
				now = c.open(m[1], m[2], where)
			}
		case now != nil:
			key, value, ok := strings.Cut(text, "=")
			if !ok {
				continue
			}
			now.Entries = append(now.Entries, entry{strings.TrimSpace(key), strings.TrimSpace(strings.TrimPrefix(value, ">")), where})
		}
	}
	return lines.Err()
}

// include reads what a line includes: a file, or all that fit a pattern.
func (c *confFile) include(pattern, where string, try bool, depth int) error {
	path := pattern
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.folder, pattern)
	}
	found, _ := filepath.Glob(path)
	if len(found) == 0 && !strings.ContainsAny(pattern, "*?[") {
		c.includes = append(c.includes, inclusion{pattern, where})
		if !try {
			c.missing = append(c.missing, inclusion{pattern, where})
		}
	}
	for _, name := range found {
		if rel, err := filepath.Rel(c.folder, name); err == nil && filepath.IsLocal(rel) {
			name = rel
		}
		c.includes = append(c.includes, inclusion{name, where})
		if err := c.read(name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// open begins a section: [name], [name](template), [name](!), [name](+).
func (c *confFile) open(name, options, where string) *section {
	s := &section{Name: name, Where: where}
	for o := range strings.SplitSeq(options, ",") {
		switch o = strings.TrimSpace(o); o {
		case "":
		case "!":
			s.Template = true
		case "+":
			for _, old := range slices.Backward(c.sections) {
				if old.Name == name {
					return old
				}
			}
		default:
			for _, t := range c.sections {
				if t.Name == o {
					s.Entries = append(s.Entries, t.Entries...)
				}
			}
		}
	}
	c.sections = append(c.sections, s)
	return s
}

// uncomment takes comments out of a line: from a ; that has no backslash before it, and between ;-- and --; over
// several lines. within reports whether such a one is open.
func uncomment(line string, within bool) (text string, still bool) {
	var out strings.Builder
	for i := 0; i < len(line); i++ {
		switch rest := line[i:]; {
		case within:
			if strings.HasPrefix(rest, "--;") {
				within = false
				i += 2
			}
		case rest[0] == '\\' && len(rest) > 1 && rest[1] == ';':
			out.WriteByte(';')
			i++
		case strings.HasPrefix(rest, ";--") && !strings.HasPrefix(rest, ";---"):
			within = true
			i += 2
		case rest[0] == ';':
			return out.String(), false
		default:
			out.WriteByte(rest[0])
		}
	}
	return out.String(), within
}

// Endpoint is a peer that calls can come from.
type Endpoint struct {
	Name    string
	Context string
	Outside bool   // a trunk: it need not show a password, or Asterisk shows it one
	Where   string // file:line, "" if Asterisk itself says so
}

// Endpoints reads the endpoints of pjsip.conf, pjsip_wizard.conf and sip.conf. Those of databases are not seen.
func Endpoints(folder string) (out []Endpoint, err error) {
	for _, file := range []string{"pjsip.conf", "pjsip_wizard.conf", "sip.conf"} {
		c, e := readConf(folder, file)
		if errors.Is(e, fs.ErrNotExist) && len(c.sections) == 0 {
			continue
		}
		err = errors.Join(err, e)
		standard := "default"
		for _, s := range c.sections {
			if s.Name == "general" && s.get("context") != "" {
				standard = s.get("context")
			}
			if s.Template {
				continue
			}
			p := Endpoint{Name: s.Name, Where: s.Where}
			switch kind := strings.ToLower(s.get("type")); {
			case file == "pjsip.conf" && kind == "endpoint":
				p.Context, p.Outside = s.get("context"), s.get("auth") == "" || s.get("outbound_auth") != ""
			case file == "pjsip_wizard.conf" && kind == "wizard":
				p.Context, p.Outside = s.get("endpoint/context"), !strings.EqualFold(s.get("accepts_auth"), "yes") || strings.EqualFold(s.get("sends_auth"), "yes")
			case file == "sip.conf" && (kind == "peer" || kind == "friend" || kind == "user"):
				p.Context = s.get("context")
				insecure := strings.Contains(s.get("insecure"), "invite")
				p.Outside = insecure || s.get("secret") == "" && s.get("md5secret") == ""
			default:
				continue
			}
			if p.Context == "" {
				p.Context = standard
			}
			out = append(out, p)
		}
	}
	return out, err
}
