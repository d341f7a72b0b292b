package pages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"ringfence/console"
)

// breakerDoes is what can be done to a breaker.
var breakerDoes = []string{"reset", "open", "shut", "unpin"}

// rangesData is the page "ranges".
type rangesData struct {
	Prefix   string
	Since    string
	Report   *console.RangeReport
	Trouble  string // what the daemon says of a range that cannot be read
	Way      []string
	Next     []rangeRow
	Most     int
	Breakers []console.Breaker
	Cut      bool
	From     string // for links to the calls
}

// rangeRow are the calls of a range as a row.
type rangeRow struct {
	console.RangeCalls
	Chart *spark
}

// spark is a small picture of calls over time.
type spark struct {
	Bars []sparkBar
	Most int
}

type sparkBar struct{ X, Y, H, StopY, StopH int }

// Measures of the picture, in its own units: 48 steps of 4.
const (
	sparkStep   = 4
	sparkHeight = 30
	maxBreakers = 200
)

// sparkOf draws counts, scaled to the highest step of all rows, so that rows can be compared.
func sparkOf(r *console.RangeCalls, most int) *spark {
	s := &spark{Most: most}
	if most == 0 {
		return s
	}
	for i, n := range r.Over {
		if n == 0 {
			continue
		}
		stop := 0
		if i < len(r.OverStop) {
			stop = min(r.OverStop[i], n)
		}
		h, hs := max(1, n*sparkHeight/most), stop*sparkHeight/most
		if stop > 0 {
			hs = max(1, hs)
		}
		s.Bars = append(s.Bars, sparkBar{X: i * sparkStep, Y: sparkHeight - h, H: h, StopY: sparkHeight - hs, StopH: hs})
	}
	return s
}

// ShortShare is how many of the answered calls were over at once, of 1.
func (r rangeRow) ShortShare() float64 {
	if r.Answered == 0 {
		return 0
	}
	return float64(r.Short) / float64(r.Answered)
}

func (p *Pages) rangePages() {
	p.handle("GET /ranges", p.ranges)
	p.handle("GET /ranges/breaker", p.askBreaker)
	p.handle("POST /ranges/breaker", p.setBreaker)
}

func (p *Pages) ranges(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	d := &rangesData{Prefix: field(r, "prefix"), Since: field(r, "since")}
	q := console.RangeQuery{Prefix: d.Prefix}
	d.From = "7d"
	if since, ok := readTime(d.Since, p.o.Now().In(p.zone())); ok && d.Since != "" && since.Before(p.o.Now()) {
		q.Since, d.From = since, d.Since
	}
	report, err := p.o.Desk.Ranges(ctx, q)
	switch {
	case errors.Is(err, console.ErrBad):
		d.Trouble = err.Error()
	case err != nil:
		return err
	default:
		d.fill(report)
	}
	for i := 1; i < len(d.Prefix); i++ {
		if d.Prefix[:i] != "+" {
			d.Way = append(d.Way, d.Prefix[:i])
		}
	}
	err = p.o.Desk.Breakers(ctx, console.BreakerQuery{}, func(b console.Breaker) error {
		if len(d.Breakers) == maxBreakers {
			d.Cut = true
			return errEnough
		}
		d.Breakers = append(d.Breakers, b)
		return nil
	})
	if enough(seen(err)) != nil {
		return err
	}
	p.Show(w, r, http.StatusOK, "ranges", d)
	return nil
}

func (d *rangesData) fill(report *console.RangeReport) {
	d.Report = report
	for _, next := range report.Next {
		for _, n := range next.Over {
			d.Most = max(d.Most, n)
		}
	}
	for _, next := range report.Next {
		d.Next = append(d.Next, rangeRow{next, sparkOf(&next, d.Most)})
	}
}

// Calls is the path of the calls behind a figure of a range.
func (d *rangesData) Calls(prefix, outcome string) string {
	return callsPath(d.behind(prefix, outcome))
}

// Short is the path of the calls of a range that were over at once.
func (d *rangesData) Short(prefix string) string {
	v := d.behind(prefix, "answered")
	v.Set("max_talk", "6")
	return callsPath(v)
}

// Within is the path of the same page for a range, one digit further.
func (d *rangesData) Within(prefix string) string {
	v := url.Values{"prefix": {prefix}}
	if d.Since != "" {
		v.Set("since", d.Since)
	}
	return "/ranges?" + v.Encode()
}

func (d *rangesData) behind(prefix, outcome string) url.Values {
	v := url.Values{"since": {d.From}}
	if prefix != "" {
		v.Set("caller", prefix+"*")
	}
	if outcome != "" {
		v.Set("outcome", outcome)
	}
	return v
}

// breakerAsk is what is asked before a breaker is changed.
type breakerAsk struct {
	console.BreakerName
	Do   string
	Back string
}

func breakerOf(r *http.Request) (*breakerAsk, error) {
	a := &breakerAsk{BreakerName: console.BreakerName{Detector: r.FormValue("detector"), Trunk: r.FormValue("trunk"), Key: r.FormValue("key")}, Do: r.FormValue("do")}
	if !slices.Contains(breakerDoes, a.Do) {
		return nil, console.Bad("say what shall be done with the breaker: reset, open, shut or unpin")
	}
	if a.Key == "" || a.Detector == "" {
		return nil, console.Bad("say which breaker: a detector and what it counts, as range wakes and 952116")
	}
	if a.Back = cameFrom(r); a.Back == "/calls" {
		a.Back = "/ranges"
	}
	return a, nil
}

// askBreaker says what comes of changing a breaker, before it is done.
func (p *Pages) askBreaker(w http.ResponseWriter, r *http.Request) error {
	who := console.WhoOf(r.Context())
	if who != nil && who.Bound() {
		return console.NotFound("")
	}
	if who == nil || !who.Role.Covers(console.Admin) {
		return console.Forbidden("to set breakers takes the role admin")
	}
	a, err := breakerOf(r)
	if err != nil {
		return err
	}
	return p.sheet(w, r, "breaker", "ask-breaker", a)
}

func (p *Pages) setBreaker(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	a, err := breakerOf(r)
	if err != nil {
		return err
	}
	var e *console.BreakerEdit
	switch a.Do {
	case "reset":
		e, err = p.o.Desk.ResetBreaker(r.Context(), a.BreakerName)
	case "unpin":
		e, err = p.o.Desk.UnpinBreaker(r.Context(), a.BreakerName)
	case "open":
		e, err = p.o.Desk.PinBreaker(r.Context(), a.BreakerName, console.PinOpen)
	default:
		e, err = p.o.Desk.PinBreaker(r.Context(), a.BreakerName, console.PinShut)
	}
	if err != nil {
		return err
	}
	t := p.sets[languageOf(r)].tongue
	text := t.T("breaker.done."+a.Do, shown(e.Key), shown(e.Detector))
	if e.Change == "unchanged" {
		text = t.T("breaker.done.unchanged", shown(e.Key), shown(e.Detector))
	}
	p.Done(w, r, Done{Level: "good", Text: text, Back: a.Back})
	return nil
}
