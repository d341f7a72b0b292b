package pages

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"ringfence/console"
)

// row is a call in a table.
type row struct {
	console.Record
	May bool // who looks may do something about it
}

// Stopped reports whether the call was kept from ringing.
func (r row) Stopped() bool { return stopped(&r.Record) }

// Named reports whether the caller says a name that is not just the number again.
func (r row) Named() bool { return r.Name != "" && r.Name != r.Caller.Raw && r.Name != r.Caller.E164 }

// Why is the reason, where it says more than the rule's name does.
func (r row) Why() string {
	if r.Rule == "default" {
		return ""
	}
	return r.Reason
}

// Unscreened reports whether it was let through without having been looked at.
func (r row) Unscreened() bool { return r.Rule == "fail-open" || r.Rule == "paused" }

// OnTrial reports whether a rule said something else than what was done.
func (r row) OnTrial() bool { return r.Would != "" && r.Would != r.Action }

// Reserved reports whether no rule of the policy decided.
func (r row) Reserved() bool {
	return slices.Contains([]string{"default", "never_screen", "internal", "fail-open", "paused", "known-grace", "off"}, r.Rule)
}

// Private reports whether the caller's number is hidden.
func (r row) Private() bool { return strings.HasPrefix(r.Caller.Raw, console.PrivateMark) }

// Listable reports whether a list can have the caller.
func (r row) Listable() bool { return r.Caller.E164 != "" && !r.Private() }

// CallerKey is what finds all calls of the caller.
func (r row) CallerKey() string {
	if r.Caller.E164 != "" && !r.Private() {
		return r.Caller.E164
	}
	return r.Caller.Raw
}

func rowsOf(records []console.Record, may bool) []row {
	out := make([]row, len(records))
	for i, r := range records {
		out[i] = row{r, may}
	}
	return out
}

// mayAct reports whether somebody may do something about calls.
func mayAct(w *console.Who) bool {
	return w != nil && w.Role.Covers(console.Reviewer) && w.Way != console.ByLink
}

// rowCache keeps rows as they were rendered last: a new call is rendered once a language for all who follow, not once for each of them.
type rowCache struct {
	sync.Mutex
	byKey map[string][]byte
	order []string
	at    int
}

// maxRows is how many rendered rows are kept: a second of calls in a storm, in both languages.
const maxRows = 2000

// get gives what was rendered of a call for a language and for who may act, or renders it. What a guard took out of the record of a bound user makes it
// another record: those are not kept.
func (c *rowCache) get(key string, render func() ([]byte, error)) ([]byte, error) {
	c.Lock()
	html, ok := c.byKey[key]
	c.Unlock()
	if ok {
		return html, nil
	}
	html, err := render()
	if err != nil {
		return nil, err
	}
	c.Lock()
	defer c.Unlock()
	if c.byKey == nil {
		c.byKey, c.order = make(map[string][]byte), make([]string, maxRows)
	}
	if _, there := c.byKey[key]; !there {
		delete(c.byKey, c.order[c.at])
		c.order[c.at], c.at = key, (c.at+1)%maxRows
	}
	c.byKey[key] = html
	return html, nil
}

// renderRow renders a call as the tables have it, as a string in JSON.
func (p *Pages) renderRow(lang string, w *console.Who, r console.Record) ([]byte, error) {
	render := func() ([]byte, error) {
		html, err := p.render(lang, "calls", "callrow", row{r, mayAct(w)})
		if err != nil {
			return nil, err
		}
		return json.Marshal(string(html))
	}
	if w.Bound() || r.Outcome != nil { // one whose end is known is an older one, and may change again
		return render()
	}
	key := lang + " " + r.ID
	if mayAct(w) {
		key += " may"
	}
	return p.rows.get(key, render)
}
