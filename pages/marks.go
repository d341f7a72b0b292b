package pages

import (
	"net/http"
	"slices"

	"ringfence/console"
)

// marksData is the page "marks": the queue of what people marked as a nuisance.
type marksData struct {
	State  string
	States []string
	Marks  []mark
	Count  int  // all of this state
	More   bool // there are more than are shown
	Caller string
}

// mark is a report in the queue.
type mark struct {
	console.Report
	May bool // who looks may decide it
}

// Open reports whether somebody has still to decide it.
func (m mark) Open() bool { return m.State == console.ReportOpen }

// Confirmed reports whether its caller was listed for it.
func (m mark) Confirmed() bool { return m.State == console.ReportConfirmed }

// Again reports whether it can be confirmed although it was decided before.
func (m mark) Again() bool {
	return m.State == console.ReportDismissed || m.State == console.ReportLifted
}

// CallerKey is what finds the calls of who was marked.
func (m mark) CallerKey() string { return row{Record: console.Record{Caller: m.Caller}}.CallerKey() }

// markData is a report with its evidence, and what is asked before it is confirmed.
type markData struct {
	Mark    mark
	E       *console.ReportEvidence
	Range   bool // the proposed range shall be listed
	Back    string
	Trouble string
}

// Effect is what listing it would have done.
func (d *markData) Effect() *console.Effect {
	if d.Range && d.E.Proposal != nil {
		return &d.E.Proposal.Effect
	}
	return &d.E.Effect
}

// reportStates are the states that a report may have, in the order of their time.
var reportStates = []string{console.ReportOpen, console.ReportConfirmed, console.ReportDismissed, console.ReportLifted}

// markPageSize is how many marks are on a page: each asks for its evidence when it comes into sight.
const markPageSize = 20

func (p *Pages) markPages() {
	p.handle("GET /marks", p.marks)
	p.handle("GET /marks/{report}", p.mark)
	p.handle("GET /marks/{report}/evidence", func(w http.ResponseWriter, r *http.Request) error {
		d, err := p.evidenceOf(r)
		if err != nil {
			return err
		}
		if r.Header.Get("HX-Request") == "" {
			p.Show(w, r, http.StatusOK, "mark", d)
			return nil
		}
		p.fragment(w, r, http.StatusOK, "mark", "mark-evidence", d)
		return nil
	})
	p.handle("GET /marks/{report}/confirm", p.askConfirm)
	p.handle("POST /marks/{report}/confirm", p.confirm)
	p.handle("POST /marks/{report}/dismiss", p.dismiss)
	p.handle("POST /marks/{report}/lift", p.lift)
}

func (p *Pages) marks(w http.ResponseWriter, r *http.Request) error {
	d := &marksData{State: r.URL.Query().Get("state"), States: reportStates}
	if !slices.Contains(reportStates, d.State) {
		d.State = console.ReportOpen
	}
	may := mayAct(console.WhoOf(r.Context()))
	err := p.o.Desk.Reports(r.Context(), console.ReportsQuery{State: d.State}, func(rep console.Report) error {
		if d.Count++; len(d.Marks) < markPageSize {
			d.Marks = append(d.Marks, mark{rep, may})
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.More = d.Count > len(d.Marks)
	p.Show(w, r, http.StatusOK, "marks", d)
	return nil
}

// evidenceOf is the report that a request is about, with what there is to decide it by.
func (p *Pages) evidenceOf(r *http.Request) (*markData, error) {
	e, err := p.o.Desk.ShowReport(r.Context(), r.PathValue("report"))
	if err != nil {
		return nil, err
	}
	return &markData{Mark: mark{e.Report, mayAct(console.WhoOf(r.Context()))}, E: e, Range: r.FormValue("range") != "", Back: marksBack(r)}, nil
}

// marksBack is the page to go back to.
func marksBack(r *http.Request) string {
	if back := cameFrom(r); back != "/calls" {
		return back
	}
	return "/marks"
}

func (p *Pages) mark(w http.ResponseWriter, r *http.Request) error {
	d, err := p.evidenceOf(r)
	if err != nil {
		return err
	}
	p.Show(w, r, http.StatusOK, "mark", d)
	return nil
}

// askConfirm says what listing the caller would have done, before it is done.
func (p *Pages) askConfirm(w http.ResponseWriter, r *http.Request) error {
	d, err := p.evidenceOf(r)
	switch {
	case err != nil:
		return err
	case !d.Mark.May:
		return console.Forbidden("to decide marks takes the role reviewer")
	case d.Range && d.E.Proposal == nil:
		return console.Conflict("no range is proposed for this caller: too few of its numbers are marked")
	}
	return p.sheet(w, r, "confirm", "ask-confirm", d)
}

func (p *Pages) confirm(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	e, err := p.o.Desk.ConfirmReport(r.Context(), r.PathValue("report"), r.PostFormValue("range") != "")
	if err != nil {
		return err
	}
	t := p.sets[languageOf(r)].tongue
	d := Done{Level: "good", Back: marksBack(r), Text: t.T("mark.so"), Said: shown(e.Note)}
	if e.Number != "" {
		d.Text, d.UndoLift = t.T("mark.confirmed", shown(e.Number), shown(e.List)), e.ID
	}
	p.Done(w, r, d)
	return nil
}

func (p *Pages) dismiss(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	e, err := p.o.Desk.DismissReport(r.Context(), r.PathValue("report"))
	if err != nil {
		return err
	}
	t := p.sets[languageOf(r)].tongue
	p.Done(w, r, Done{Level: "good", Back: marksBack(r), Text: t.T("mark.dismissed", shown(callerText(&e.Caller))), Said: shown(e.Note)})
	return nil
}

func (p *Pages) lift(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	e, err := p.o.Desk.LiftReport(r.Context(), r.PathValue("report"))
	if err != nil {
		return err
	}
	t := p.sets[languageOf(r)].tongue
	d := Done{Level: "good", Back: marksBack(r), Text: t.T("mark.so"), Said: shown(e.Note)}
	if e.Number != "" {
		d.Text = t.T("mark.lifted", shown(e.Number), shown(e.List))
	}
	p.Done(w, r, d)
	return nil
}

func callerText(c *console.Caller) string {
	if c.E164 != "" {
		return c.E164
	}
	return c.Raw
}

// Listing is what would be put on a list.
func (d *markData) Listing() string {
	if d.Range && d.E.Proposal != nil {
		return d.E.Proposal.Range
	}
	return callerText(&d.Mark.Caller)
}
