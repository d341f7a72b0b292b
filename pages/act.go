package pages

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"ringfence/console"
)

// Done is what came of something that was done: a note, with what takes it back.
type Done struct {
	Level      string // "good" or "bad"
	Text       string
	Said       string // what the daemon says of it besides, in English
	Undo       uint64 // a change; 0: nothing that could be undone
	UndoReport string // a report that is taken back by dismissing it
	UndoLift   string // a report whose listing is taken back by lifting it
	Back       string // the page that it was done from
}

// askData is what is asked before something is done about a caller.
type askData struct {
	Row      row
	Do       string // block or allow
	Patterns []choice
	Lists    []choice
	Expires  []choice
	Reason   string
	Back     string
	Effect   *console.EntryEffect
	Trouble  string // why the effect cannot be told: what the daemon says
	Pattern  string // the ones chosen
	List     string
}

type choice struct {
	Value, Key, Arg string
	Chosen          bool
}

// maxForm is what a form may hold.
const maxForm = 64 << 10

// actPages adds what can be done about a call.
func (p *Pages) actPages() {
	for _, do := range []string{"block", "allow"} {
		p.handle("GET /calls/{id}/"+do, func(w http.ResponseWriter, r *http.Request) error { return p.askEntry(w, r, do) })
		p.handle("POST /calls/{id}/"+do, func(w http.ResponseWriter, r *http.Request) error { return p.addEntry(w, r, do) })
	}
	p.handle("GET /calls/{id}/wrong", p.askWrong)
	p.handle("POST /calls/{id}/wrong", p.wrong)
	p.handle("POST /undo", p.undo)
}

// recordOf is the call that a request is about.
func (p *Pages) recordOf(r *http.Request) (row, error) {
	d, err := p.o.Desk.Call(r.Context(), r.PathValue("id"))
	if err != nil {
		return row{}, err
	}
	return row{d.Record, mayAct(console.WhoOf(r.Context()))}, nil
}

// form reads what was sent.
func form(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return console.Bad("the form cannot be read: " + err.Error())
	}
	return nil
}

// backTo is the page to go back to: a path of this server, which a form or an address says; "/calls" for anything else.
func backTo(text string) string {
	u, err := url.Parse(text)
	if err != nil || text == "" || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/") || strings.ContainsAny(text, "\\\r\n\t") {
		return "/calls"
	}
	return pathWith(u, u.Query())
}

// cameFrom is the page that a question was asked from.
func cameFrom(r *http.Request) string {
	if back := r.FormValue("back"); back != "" {
		return backTo(back)
	}
	for _, name := range []string{"HX-Current-URL", "Referer"} {
		if u, err := url.Parse(r.Header.Get(name)); err == nil && u.Path != "" && u.Host == r.Host {
			return backTo(u.RequestURI())
		}
	}
	return "/calls"
}

// choices are the entries and lists that a call may be answered with.
func (p *Pages) choices(r *http.Request, do string, call row) *askData {
	a := &askData{Row: call, Do: do, Back: cameFrom(r)}
	number := call.Caller.E164
	a.Patterns = []choice{{Value: number, Key: "ask.number"}}
	if do == "block" && len(number) > 6 {
		a.Patterns = append(a.Patterns,
			choice{Value: number[:len(number)-1] + "?", Key: "ask.ten"},
			choice{Value: number[:len(number)-2] + "??", Key: "ask.hundred"})
	}
	shared, own := "blacklist", "blacklist"
	a.Expires = []choice{{"", "ask.forever", "", true}, {"30d", "ask.30d", "", false}, {"7d", "ask.7d", "", false}}
	if do == "allow" {
		shared, own = "allowlist", "allowlist"
	}
	if !console.WhoOf(r.Context()).Bound() {
		a.Lists = append(a.Lists, choice{Value: shared, Key: "ask.list." + do})
	}
	if call.Line != "" {
		a.Lists = append(a.Lists, choice{Value: call.Line + ":" + own, Key: "ask.own." + do, Arg: shown(call.Line)})
	}
	a.Pattern = choose(a.Patterns, r.FormValue("pattern"))
	a.List = choose(a.Lists, r.FormValue("list"))
	choose(a.Expires, r.FormValue("expires"))
	a.Reason = r.FormValue("reason")
	return a
}

// choose marks the choice that was made, else the first one.
func choose(from []choice, value string) string {
	if len(from) == 0 {
		return ""
	}
	at := 0
	for i := range from {
		if from[i].Chosen = false; from[i].Value == value {
			at = i
		}
	}
	from[at].Chosen = true
	return from[at].Value
}

// askEntry asks before a caller is put on a list, and says what that would have done.
func (p *Pages) askEntry(w http.ResponseWriter, r *http.Request, do string) error {
	call, err := p.recordOf(r)
	if err != nil {
		return err
	}
	if !call.May {
		return console.Forbidden("to change lists takes the role reviewer")
	}
	if !call.Listable() {
		return console.Conflict("this caller has no number that a list could have")
	}
	a := p.choices(r, do, call)
	if len(a.Lists) == 0 {
		return console.Conflict("the call went to no line, so there is no list of the line to put its caller on")
	}
	if do == "block" {
		if a.Effect, err = p.o.Desk.EffectOf(r.Context(), console.EffectQuery{Pattern: a.Pattern, List: a.List}); err != nil {
			a.Trouble = err.Error()
		}
	}
	return p.sheet(w, r, "ask", "ask-entry", a)
}

// sheet answers with a question: in the sheet over the page, or as a page of its own.
func (p *Pages) sheet(w http.ResponseWriter, r *http.Request, page, name string, data any) error {
	if r.Header.Get("HX-Request") != "" {
		p.fragment(w, r, http.StatusOK, page, name, data)
		return nil
	}
	p.Show(w, r, http.StatusOK, page, map[string]any{"Ask": name, "Data": data})
	return nil
}

// addEntry puts a caller on a list.
func (p *Pages) addEntry(w http.ResponseWriter, r *http.Request, do string) error {
	if err := form(w, r); err != nil {
		return err
	}
	call, err := p.recordOf(r)
	if err != nil {
		return err
	}
	if !call.Listable() {
		return console.Conflict("this caller has no number that a list could have")
	}
	a := p.choices(r, do, call)
	if len(a.Lists) == 0 {
		return console.Conflict("the call went to no line, so there is no list of the line to put its caller on")
	}
	expires, err := console.ParseExpiry(r.FormValue("expires"), p.o.Now())
	if err != nil {
		return console.Bad(err.Error())
	}
	t := p.sets[languageOf(r)].tongue
	reason := strings.TrimSpace(a.Reason)
	if reason == "" {
		reason = t.T("ask.reason."+do, t.Time(call.Time))
	}
	edits, err := p.o.Desk.AddEntries(r.Context(), a.List, []console.NewEntry{{Number: a.Pattern, Reason: reason, Expires: expires}}, false)
	if err != nil {
		return err
	}
	d := Done{Level: "good", Back: a.Back}
	for _, e := range edits {
		d.Text, d.Undo, d.Said = t.T("done."+e.Change+"."+do, shown(e.Number), shown(e.List)), e.ID, shown(e.Warning)
	}
	p.Done(w, r, d)
	return nil
}

// Done answers that something was done: a note on the page, or a page of its own.
func (p *Pages) Done(w http.ResponseWriter, r *http.Request, d Done) {
	p.stateChanged()
	p.changed(w)
	if r.Header.Get("HX-Request") != "" {
		p.fragment(w, r, http.StatusOK, "done", "done", d)
		return
	}
	p.Show(w, r, http.StatusOK, "done", d)
}

func (p *Pages) askWrong(w http.ResponseWriter, r *http.Request) error {
	call, err := p.recordOf(r)
	if err != nil {
		return err
	}
	if !call.May {
		return console.Forbidden("to mark calls takes the role reviewer")
	}
	return p.sheet(w, r, "ask", "ask-wrong", &askData{Row: call, Do: "wrong", Back: cameFrom(r)})
}

// wrong says that a call was decided wrongly.
func (p *Pages) wrong(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	c, err := p.o.Desk.Correct(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	t := p.sets[languageOf(r)].tongue
	d := Done{Level: "good", Back: cameFrom(r), Undo: c.Change}
	switch {
	case c.Report != nil:
		d.Text = t.T("done.reported")
		if c.Report.Change == console.Reported && d.Undo == 0 {
			d.UndoReport = c.Report.ID
		}
	case c.Until.IsZero():
		d.Text = t.T("done.released", shown(c.Number), shown(c.List))
	default:
		d.Text = t.T("done.released.until", shown(c.Number), shown(c.List), t.Day(c.Until))
	}
	p.Done(w, r, d)
	return nil
}

// undo takes a change back.
func (p *Pages) undo(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	t := p.sets[languageOf(r)].tongue
	d := Done{Level: "good", Text: t.T("done.undone"), Back: cameFrom(r)}
	if id := r.PostFormValue("report"); id != "" {
		if _, err := p.o.Desk.DismissReport(r.Context(), id); err != nil {
			return err
		}
		p.Done(w, r, d)
		return nil
	}
	id, err := strconv.ParseUint(r.PostFormValue("change"), 10, 64)
	if err != nil {
		return console.Bad("a change has a number")
	}
	change, err := p.o.Desk.Undo(r.Context(), id)
	if err != nil {
		return err
	}
	if change.ID == 0 {
		d.Text = t.T("done.undone.nothing")
	}
	p.Done(w, r, d)
	return nil
}
