package doctor

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
)

// loadedDialplan is what the switch has in memory, as far as the doctor looks at it.
type loadedDialplan struct {
	contexts []dialContext
	fusion   bool // it comes from FusionPBX
}

type dialContext struct {
	Name       string      `xml:"name,attr"`
	Host       string      `xml:"hostname,attr"` // only FusionPBX writes one
	Extensions []extension `xml:"extension"`
}

type extension struct {
	Name       string      `xml:"name,attr"`
	Conditions []condition `xml:"condition"`
}

type condition struct {
	Field      string   `xml:"field,attr"`
	Expression string   `xml:"expression,attr"`
	Break      string   `xml:"break,attr"`
	Actions    []action `xml:"action"`
}

type action struct {
	Application string `xml:"application,attr"`
	Data        string `xml:"data,attr"`
}

// readDialplan reads what xml_locate prints.
func readDialplan(text string) (*loadedDialplan, error) {
	d := &loadedDialplan{}
	dec := xml.NewDecoder(strings.NewReader(text))
	dec.Strict = false
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return d, nil
		}
		if err != nil {
			return nil, err
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "context" {
			var c dialContext
			if err := dec.DecodeElement(&c, &start); err != nil {
				return nil, err
			}
			d.contexts = append(d.contexts, c)
			d.fusion = d.fusion || c.Host != ""
		}
	}
}

func (d *loadedDialplan) context(name string) *dialContext {
	for i := range d.contexts {
		if d.contexts[i].Name == name {
			return &d.contexts[i]
		}
	}
	return nil
}

// screening is the extension that hands calls to the daemon.
func (c *dialContext) screening() *extension {
	for i, e := range c.Extensions {
		if address, _ := e.socket(); address != "" && strings.HasPrefix(e.Name, "ringfence") {
			return &c.Extensions[i]
		}
	}
	return nil
}

// endsTests reports whether the kit's extension that ends test calls stands right behind the one that screens:
// what came between could take a test call to a handset.
func (c *dialContext) endsTests() bool {
	for i, e := range c.Extensions {
		if i == 0 || e.Name != "ringfence test" || c.screening() != &c.Extensions[i-1] {
			continue
		}
		if len(e.Conditions) != 1 || e.Conditions[0].Field != "${ringfence_test}" || e.Conditions[0].Expression != "^true$" {
			continue
		}
		if a := e.Conditions[0].Actions; len(a) == 1 && a[0].Application == "hangup" {
			return true
		}
	}
	return false
}

// each calls f for the actions of an extension, in order, until f returns false.
func (e *extension) each(f func(a action) bool) {
	for _, c := range e.Conditions {
		for _, a := range c.Actions {
			if !f(a) {
				return
			}
		}
	}
}

// socket gives the address that the extension hands calls to, "" if it does not, and whether it does so with async.
func (e *extension) socket() (address string, async bool) {
	e.each(func(a action) bool {
		words := strings.Fields(a.Data)
		if a.Application != "socket" || len(words) == 0 {
			return true
		}
		address = words[0]
		for _, w := range words[1:] {
			async = async || strings.EqualFold(w, "async")
		}
		return false
	})
	return address, async
}

// guarded reports whether a guard is set before the socket and cancelled, by its id, behind it, and the call goes
// on when the daemon leaves.
func (e *extension) guarded() bool {
	want := []action{
		{"set", "socket_resume=true"},
		{"sched_transfer", "+"},
		{"set", "ringfence_guard_task=${last_sched_id}"},
		{"socket", ""},
		{"sched_cancel", "${ringfence_guard_task}"},
		{"unset", "socket_resume"},
	}
	e.each(func(a action) bool {
		if len(want) > 0 && a.Application == want[0].Application && strings.HasPrefix(a.Data, want[0].Data) {
			want = want[1:]
		}
		return len(want) > 0
	})
	return len(want) == 0
}

// passes reports whether a call with this text in a field passes the extension untouched: a condition that ends
// the extension when it is true, before any that has actions.
func (e *extension) passes(field, text string) bool {
	for _, c := range e.Conditions {
		if len(c.Actions) > 0 {
			return false
		}
		if c.Field != field || c.Break != "on-true" {
			continue
		}
		if re, err := regexp.Compile(c.Expression); err == nil && re.MatchString(text) {
			return true
		}
	}
	return false
}
