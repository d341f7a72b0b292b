package pages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ringfence/console"
)

// linesData is the page "lines".
type linesData struct {
	Lines []lineCard
	Find  string
	More  string // the path of the next ones
	From  int

	Figures []figure // today's, for who is bound: their lines are where they begin
}

// lineCard is a line with what is its own.
type lineCard struct {
	console.Line
	Kept  bool // the database has it; else the policy does
	Lists []console.ListSummary
	Own   []string // the names of the lists of its own that rules ask for
}

// lineData is the page "line".
type lineData struct {
	lineCard
	History []console.LineHistory
	Modes   []string
	Wrong   string
	May     bool // who looks may set mode and notify
	All     bool // and the rest
}

// Bounds of what is looked at at once.
const (
	linePage     = 100
	lineHistory  = 50
	ownLineCards = 50 // lines of somebody who is bound, with their lists
)

// lineModes are how a line may be screened.
var lineModes = []string{"enforce", "observe", "off"}

// usualLists are the lists that marks and the console write, and that each line has of its own.
var usualLists = []string{"blacklist", "allowlist"}

func (p *Pages) linePages() {
	p.handle("GET /lines", p.lines)
	p.handle("GET /lines/{line}", p.line)
	p.handle("POST /lines/{line}", p.setLine)
}

// lines shows all lines, and to who is bound their own, each with what it is set to and its lists.
func (p *Pages) lines(w http.ResponseWriter, r *http.Request) error {
	who := console.WhoOf(r.Context())
	d := &linesData{Find: field(r, "find")}
	d.From, _ = strconv.Atoi(r.URL.Query().Get("from"))
	d.From = max(0, d.From)
	bound := who != nil && who.Bound()
	most, matched := linePage, 0
	if bound {
		most = ownLineCards
	}
	err := p.o.Desk.Lines(r.Context(), console.LineQuery{}, func(l console.Line) error {
		if !lineHolds(&l, d.Find) {
			return nil
		}
		if matched++; matched <= d.From {
			return nil
		}
		if len(d.Lines) == most {
			d.More = "/lines?find=" + url.QueryEscape(d.Find) + "&from=" + strconv.Itoa(d.From+most)
			return errEnough
		}
		d.Lines = append(d.Lines, lineCard{Line: l, Kept: true})
		return nil
	})
	if enough(seen(err)) != nil {
		return err
	}
	if bound {
		names := slices.Clone(who.Lines)
		for _, name := range append(names, who.Customer) { // lines of the policy, which the database does not have
			if name == "" || slices.ContainsFunc(d.Lines, func(l lineCard) bool { return l.Name == name }) || len(d.Lines) >= most {
				continue
			}
			if lists, err := p.o.Desk.ListsOf(r.Context(), name); err == nil {
				d.Lines = append(d.Lines, lineCard{Line: console.Line{Name: name}, Lists: lists})
			} else if name != who.Customer && seen(err) == nil {
				d.Lines = append(d.Lines, lineCard{Line: console.Line{Name: name}})
			}
		}
	} else if d.From == 0 {
		if rules := p.policy(); rules != nil {
			for _, name := range rules.Lines() {
				if strings.Contains(strings.ToLower(name), strings.ToLower(d.Find)) && len(d.Lines) < most && !slices.ContainsFunc(d.Lines, func(l lineCard) bool { return l.Name == name }) {
					d.Lines = append(d.Lines, lineCard{Line: console.Line{Name: name}})
				}
			}
		}
	}
	if bound {
		if d.Figures, err = p.figures(r.Context()); seen(err) != nil {
			p.o.Log.Warn("the page Lines has no figures", "error", err)
		}
	}
	for i := range d.Lines {
		d.Lines[i].Own = p.ownListsOf(d.Lines[i].Name)
	}
	p.Show(w, r, http.StatusOK, "lines", d)
	return nil
}

// ownListsOf are the names of the lists of a line that rules ask for: of another one nothing would come.
func (p *Pages) ownListsOf(line string) []string {
	rules := p.policy()
	var out []string
	for _, name := range usualLists {
		if rules == nil || slices.Contains(rules.OwnLists(), name) {
			out = append(out, line+":"+name)
		}
	}
	return out
}

func lineHolds(l *console.Line, find string) bool {
	low := strings.ToLower(find)
	for _, text := range append([]string{l.Name, l.Customer, l.Profile, l.Note, l.Notify}, l.Numbers...) {
		if strings.Contains(strings.ToLower(text), low) {
			return true
		}
	}
	return false
}

func (p *Pages) line(w http.ResponseWriter, r *http.Request) error {
	return p.showLine(w, r, http.StatusOK, "")
}

func (p *Pages) showLine(w http.ResponseWriter, r *http.Request, status int, wrong string) error {
	ctx, name, who := r.Context(), r.PathValue("line"), console.WhoOf(r.Context())
	d := &lineData{Modes: lineModes, Wrong: wrong}
	d.Name = name
	err := p.o.Desk.Lines(ctx, console.LineQuery{Name: name}, func(l console.Line) error {
		if l.Name == name {
			d.Line, d.Kept = l, true
		}
		return nil
	})
	if err != nil && !errors.Is(err, console.ErrNotFound) {
		return err
	}
	var listsErr error
	if d.Lists, listsErr = p.o.Desk.ListsOf(ctx, name); listsErr != nil && (!d.Kept || seen(listsErr) != nil) {
		return listsErr // there is no such line, or not for who asks
	}
	err = p.o.Desk.LineHistory(ctx, name, func(h console.LineHistory) error {
		if d.History = append(d.History, h); len(d.History) > lineHistory {
			d.History = d.History[1:]
		}
		return nil
	})
	if seen(err) != nil {
		return err
	}
	slices.Reverse(d.History)
	d.Own = p.ownListsOf(name)
	d.All = who != nil && who.Role.Covers(console.Admin) && !who.Bound()
	d.May = d.Kept && (d.All || who != nil && who.Bound() && who.Role.Covers(console.Reviewer))
	p.Show(w, r, status, "line", d)
	return nil
}

// setLine sets what the form says of a line.
func (p *Pages) setLine(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	set := console.LineSet{Name: r.PathValue("line")}
	for name, to := range map[string]**string{"mode": &set.Mode, "notify": &set.Notify, "profile": &set.Profile, "note": &set.Note} {
		if r.PostForm.Has(name) {
			text := strings.TrimSpace(r.PostForm.Get(name))
			*to = &text
		}
	}
	e, err := p.o.Desk.SetLine(r.Context(), set)
	if errors.Is(err, console.ErrBad) && r.Header.Get("HX-Request") == "" {
		return p.showLine(w, r, http.StatusBadRequest, err.Error())
	}
	if err != nil {
		return err
	}
	t := p.sets[languageOf(r)].tongue
	d := Done{Level: "good", Undo: e.ID, Back: linePath(set.Name), Text: t.T("line.done", shown(e.Name)), Said: shown(strings.Join(append(e.What, e.Warnings...), "; "))}
	if e.Change == console.LineUnchanged {
		d.Text = t.T("line.done.unchanged", shown(e.Name))
	}
	if who := console.WhoOf(r.Context()); who != nil && who.Bound() {
		d.Undo = 0 // changes of lines are undone by administrators; the form sets it back
	}
	p.Done(w, r, d)
	return nil
}

func linePath(line string) string { return "/lines/" + url.PathEscape(line) }
