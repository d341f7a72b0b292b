package dialplan

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Plan is what an Asterisk does with calls: read from its files, or from what it shows.
type Plan struct {
	Contexts []*DialContext
}

// DialContext is one context.
type DialContext struct {
	Name       string
	Extensions []*DialExtension
	Includes   []string // contexts that are looked into where this one has no extension
	Switches   []string // other sources that are asked
}

// DialExtension is one extension and what is done there, in order.
type DialExtension struct {
	Name  string
	Steps []DialStep
}

// DialStep is one priority.
type DialStep struct {
	Priority  int
	Label     string
	App, Data string
	Where     string // file:line
}

// Context is the context of that name, nil if there is none.
func (d *Plan) Context(name string) *DialContext {
	for _, c := range d.Contexts {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func (d *Plan) context(name string) *DialContext {
	c := d.Context(name)
	if c == nil {
		c = &DialContext{Name: name}
		d.Contexts = append(d.Contexts, c)
	}
	return c
}

// Extension is the extension written so, nil if there is none.
func (c *DialContext) Extension(name string) *DialExtension {
	for _, e := range c.Extensions {
		if e.Name == name {
			return e
		}
	}
	return nil
}

func (c *DialContext) extension(name string) *DialExtension {
	e := c.Extension(name)
	if e == nil {
		e = &DialExtension{Name: name}
		c.Extensions = append(c.Extensions, e)
	}
	return e
}

// Read reads extensions.conf of a configuration and what it includes, as pbx_config does. What comes from
// AEL, Lua or a database is not seen.
func Read(folder string) (*Plan, error) {
	c, err := readConf(folder, "extensions.conf")
	if err != nil {
		return nil, err
	}
	return c.dialplan(), nil
}

func (c *confFile) dialplan() *Plan {
	d := &Plan{}
	for _, s := range c.sections {
		if s.Template || s.Name == "general" || s.Name == "globals" {
			continue
		}
		context := d.context(s.Name)
		var last *DialExtension
		for _, e := range s.Entries {
			switch strings.ToLower(e.Key) {
			case "exten":
				if name, rest, ok := strings.Cut(e.Value, ","); ok {
					last = context.extension(strings.TrimSpace(name))
					last.add(rest, e.Where)
				}
			case "same":
				if last != nil {
					last.add(e.Value, e.Where)
				}
			case "include":
				context.Includes = append(context.Includes, includedContext(e.Value))
			case "switch", "eswitch", "lswitch":
				context.Switches = append(context.Switches, e.Value)
			}
		}
	}
	return d
}

// includedContext is the name in `context,times`.
func includedContext(text string) string {
	if i := strings.IndexAny(text, ",|"); i >= 0 {
		text = text[:i]
	}
	return strings.TrimSpace(text)
}

var priorityText = regexp.MustCompile(`^\s*([0-9]+|n|s|hint)\s*(\+[0-9]+)?\s*(?:\(([^)]*)\))?\s*$`)

// add takes `priority(label),Application(data)`. What is there first counts, as in the switch.
func (e *DialExtension) add(text, where string) {
	priority, call, _ := strings.Cut(text, ",")
	m := priorityText.FindStringSubmatch(priority)
	if m == nil || m[1] == "hint" {
		return
	}
	s := step(call)
	s.Label, s.Where = m[3], where
	last := 0
	if n := len(e.Steps); n > 0 {
		last = e.Steps[n-1].Priority
	}
	plus, _ := strconv.Atoi(m[2])
	switch m[1] {
	case "n":
		s.Priority = last + 1 + plus
	case "s":
		s.Priority = last + plus
	default:
		n, _ := strconv.Atoi(m[1])
		s.Priority = n + plus
	}
	if !slices.ContainsFunc(e.Steps, func(o DialStep) bool { return o.Priority == s.Priority }) {
		e.Steps = append(e.Steps, s)
	}
}

// step takes Application(data) apart.
func step(text string) DialStep {
	text = strings.TrimSpace(text)
	app, data, ok := strings.Cut(text, "(")
	if ok {
		data = strings.TrimSuffix(data, ")")
	}
	return DialStep{App: strings.TrimSpace(app), Data: data}
}

// String is Application(data).
func (s DialStep) String() string { return s.App + "(" + s.Data + ")" }

// What `dialplan show` prints.
var (
	shownContext = regexp.MustCompile(`^\[ Context '(.*)' created by '.*' \]$`)
	shownName    = regexp.MustCompile(`^  '(.*?)'(?: \(CID match '(.*)'\))? =>\s+(?:hint: |([0-9]+)\. (.*?)\s*\[([^\]]*)\]$)`)
	shownMore    = regexp.MustCompile(`^ +(?:\[(.*?)\]\s+)?([0-9]+)\. (.*?)\s*\[([^\]]*)\]$`)
	shownOther   = regexp.MustCompile(`^  (Include|Switch|Alt\. Switch|Alt\.Switch) =>\s+'(.*)'\s+\[.*\]$`)
)

// ReadShown reads what `dialplan show` prints.
func ReadShown(text string) *Plan {
	d := &Plan{}
	var c *DialContext
	var e *DialExtension
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if m := shownContext.FindStringSubmatch(line); m != nil {
			c, e = d.context(m[1]), nil
			continue
		}
		if c == nil {
			continue
		}
		if m := shownName.FindStringSubmatch(line); m != nil {
			name := m[1]
			if m[2] != "" {
				name += "/" + m[2]
			}
			if e = c.extension(name); m[3] != "" {
				e.shown("", m[3], m[4], m[5])
			}
		} else if m := shownMore.FindStringSubmatch(line); m != nil && e != nil {
			e.shown(m[1], m[2], m[3], m[4])
		} else if m := shownOther.FindStringSubmatch(line); m != nil && m[1] == "Include" {
			c.Includes = append(c.Includes, includedContext(m[2]))
		} else if m != nil {
			c.Switches = append(c.Switches, m[2])
		}
	}
	return d
}

func (e *DialExtension) shown(label, priority, call, where string) {
	s := step(call)
	s.Label, s.Where = label, where
	s.Priority, _ = strconv.Atoi(priority)
	e.Steps = append(e.Steps, s)
}

// Same reports whether two contexts do the same, whatever the order in which their extensions are named.
func (c *DialContext) Same(other *DialContext) bool {
	if c == nil || other == nil || len(c.Extensions) != len(other.Extensions) {
		return false
	}
	for _, e := range c.Extensions {
		o := other.Extension(e.Name)
		if o == nil || !slices.EqualFunc(e.Steps, o.Steps, func(a, b DialStep) bool {
			return a.Priority == b.Priority && a.Label == b.Label && a.String() == b.String()
		}) {
			return false
		}
	}
	return true
}
