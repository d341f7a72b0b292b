package pages

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"ringfence/console"
)

// Banner is something that must be known before anything else on a page.
type Banner struct {
	Level string // "bad": callers pass unscreened or something is refused; "warn": less than that
	Title string
	Text  string // what it means and what to do
	Said  string // what the daemon says of it, in English; inert
	Path  string // where something can be done about it, "" for nowhere
	Do    string // what is done there
}

// stateCache keeps the status for a moment: each page shows it, and to find it out costs looks at the database.
type stateCache struct {
	sync.Mutex
	at     time.Time
	status *console.Status
}

const stateFresh = 2 * time.Second

// status is how the daemon is, as who asks may see it; nil if they may not.
func (p *Pages) status(ctx context.Context) (*console.Status, error) {
	who := console.WhoOf(ctx)
	if who == nil || who.Bound() { // what they get is not what others get
		return p.o.Desk.Status(ctx)
	}
	p.stated.Lock()
	defer p.stated.Unlock()
	now := time.Now()
	if p.stated.status != nil && now.Sub(p.stated.at) < stateFresh {
		return p.stated.status, nil
	}
	s, err := p.o.Desk.Status(ctx)
	if err == nil {
		p.stated.at, p.stated.status = now, s
	}
	return s, err
}

// stateChanged has the next page look again.
func (p *Pages) stateChanged() {
	p.stated.Lock()
	defer p.stated.Unlock()
	p.stated.status = nil
}

// state is what is wrong, the worst first.
func (p *Pages) state(ctx context.Context, t *tongue) []Banner {
	s, err := p.status(ctx)
	switch {
	case errors.Is(err, console.ErrNotFound), errors.Is(err, console.ErrForbidden):
		return nil
	case err != nil:
		return []Banner{{Level: "bad", Title: t.T("state.unknown"), Text: t.T("state.unknown.do")}}
	}
	return bannersOf(s, t)
}

// bannersOf says what is wrong in a status.
//
// long: because it is the list of what can be wrong, the worst first.
func bannersOf(s *console.Status, t *tongue) []Banner {
	var out []Banner
	add := func(b Banner) { out = append(out, b) }
	if s.Pause.Paused {
		b := Banner{Level: "bad", Title: t.T("state.paused"), Text: t.T("state.paused.do"), Path: "/health", Do: t.T("state.resume")}
		if !s.Pause.Until.IsZero() {
			b.Text = t.T("state.paused.until", s.Pause.Until)
		}
		add(b)
	}
	for _, a := range s.Alerts {
		if a.Kind == "fail-open" {
			add(Banner{Level: "bad", Title: t.T("state.fail-open"), Text: t.T("state.fail-open.do"), Said: shown(a.Text), Path: "/calls?rule=fail-open", Do: t.T("state.see.calls")})
		}
	}
	if r := s.PolicyRefused; r != nil {
		add(Banner{Level: "bad", Title: t.T("state.policy"), Text: t.T("state.policy.do"), Said: shown(r.Summary()), Path: "/policy", Do: t.T("state.see.policy")})
	}
	if s.Mode == "observe" {
		add(Banner{Level: "warn", Title: t.T("state.observe"), Text: t.T("state.observe.do"), Path: "/policy", Do: t.T("state.see.policy")})
	}
	if n := len(s.Lists.Unread); n > 0 {
		add(Banner{Level: "bad", Title: t.T("state.unread"), Text: t.T("state.unread.do", shown(strings.Join(s.Lists.Unread, ", "))), Path: "/lists", Do: t.T("state.see.lists")})
	}
	for _, a := range s.Attached {
		switch {
		case !a.Attached:
			add(Banner{Level: "bad", Title: t.T("state.attach", shown(a.Name)), Text: t.T("state.attach.do"), Said: shown(a.Trouble), Path: "/health", Do: t.T("state.see.health")})
		case a.Trouble != "":
			add(Banner{Level: "warn", Title: t.T("state.attach.trouble", shown(a.Name)), Said: shown(a.Trouble), Path: "/health", Do: t.T("state.see.health")})
		}
	}
	if s.Journal.Error != "" {
		add(Banner{Level: "bad", Title: t.T("state.journal"), Text: t.T("state.journal.do"), Said: shown(s.Journal.Error), Path: "/health", Do: t.T("state.see.health")})
	}
	for _, a := range s.Alerts {
		switch a.Kind {
		case "fail-open", "policy", "attach", "journal": // said above, in more detail
		case "trip": // the page Now has them, with what they did
		case "feed":
			add(Banner{Level: "warn", Title: t.T("state.feed", shown(a.Subject)), Text: t.T("state.feed.do"), Said: shown(a.Text), Path: "/lists", Do: t.T("state.see.lists")})
		case "cluster":
			add(Banner{Level: "warn", Title: t.T("state.cluster"), Text: t.T("state.cluster.do"), Said: shown(a.Text), Path: "/health", Do: t.T("state.see.health")})
		case "notice":
			add(Banner{Level: "warn", Title: t.T("state.notice"), Said: shown(a.Text), Path: "/health", Do: t.T("state.see.health")})
		default:
			add(Banner{Level: "warn", Title: t.T("state.other"), Said: shown(a.Text), Path: "/health", Do: t.T("state.see.health")})
		}
	}
	for _, o := range s.Detectors.Over {
		add(Banner{Level: "warn", Title: t.T("state.over", shown(o.Trunk)), Text: t.T("state.over.do", o.Touched, o.Calls), Path: "/ranges", Do: t.T("state.see.ranges")})
	}
	slices.SortStableFunc(out, func(a, b Banner) int { return strings.Compare(a.Level, b.Level) }) // bad before warn
	return out
}
