package pages

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ringfence/console"
)

// policyData is the page "policy".
type policyData struct {
	Policy *console.PolicyText
	Text   string // as it is in the editor
	ETag   string // of the text that it was made from
	Note   string
	Lines  []gutterLine
	Faults []faultLine
	Tried  *console.TryReport
	Days   int
	Active bool   // it was put in force just now
	Wrong  string // why nothing was done: what the daemon says
	From   string // the version that is in the editor
	Theirs []diffLine
	CanPut bool
	CanTry bool
	Rules  int
}

// gutterLine is the number of a line, and what is wrong there.
type gutterLine struct {
	N     int
	Level string // "", "warn" or "bad"
}

// faultLine is a fault with the line that it is about, 0 if it is about none.
type faultLine struct {
	Line    int
	Text    string
	Warning bool
}

// policyVersionData is the page "version".
type policyVersionData struct {
	Version *console.PolicyVersionText
	Diff    []diffLine // from it to what the file says now
	Same    bool
	CanPut  bool
}

// Bounds of what is looked at.
const (
	maxPolicyForm = 4 << 20
	maxVersions   = 100
	maxGutter     = 5000 // lines that are numbered
	tryDays       = 7
)

func (p *Pages) policyPages() {
	p.handle("GET /policy", p.editPolicy)
	p.handle("POST /policy", p.putPolicy)
	p.handle("POST /policy/check", p.checkPolicy)
	p.handle("POST /policy/try", p.tryPolicy)
	p.handle("GET /policy/versions", p.policyVersions)
	p.handle("GET /policy/versions/{version}", p.policyVersion)
}

// policyForm reads what the editor sent. Lines end as they do in the file, not as browsers send them.
func policyForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxPolicyForm)
	if err := r.ParseForm(); err != nil {
		return console.Bad("the form cannot be read: " + err.Error())
	}
	text := strings.ReplaceAll(r.PostForm.Get("text"), "\r\n", "\n")
	r.PostForm.Set("text", text)
	return nil
}

// policyPage is the page with what the editor holds.
func (p *Pages) policyPage(r *http.Request) (*policyData, error) {
	now, err := p.o.Desk.Policy(r.Context())
	if err != nil {
		return nil, err
	}
	who := console.WhoOf(r.Context())
	d := &policyData{Policy: now, Text: now.Text, ETag: now.ETag, Days: tryDays, CanTry: who != nil && who.Role.Covers(console.Reviewer)}
	d.CanPut = who != nil && who.Role.Covers(console.Admin) && now.ReadOnly == ""
	if r.Method == http.MethodPost {
		d.Text, d.ETag, d.Note = r.PostForm.Get("text"), cmp.Or(r.PostForm.Get("etag"), now.ETag), r.PostForm.Get("note")
	}
	return d, nil
}

// look finds the faults of what the editor holds.
func (p *Pages) look(r *http.Request, d *policyData) error {
	report, err := p.o.Desk.CheckPolicy(r.Context(), d.Text)
	if errors.Is(err, console.ErrBad) {
		d.Wrong = err.Error()
		return nil
	}
	if err == nil {
		d.Rules = report.Rules
		d.take(report.Faults)
	}
	return err
}

// faultAt parts a fault into the line and what is wrong: FILE:LINE: text.
var faultAt = regexp.MustCompile(`^[^\n]*?:([0-9]{1,7}): `)

func faultsOf(faults []console.Fault) []faultLine {
	var out []faultLine
	for _, f := range faults {
		one := faultLine{Text: f.Text, Warning: f.Warning}
		if m := faultAt.FindStringSubmatchIndex(f.Text); m != nil {
			one.Line, _ = strconv.Atoi(f.Text[m[2]:m[3]])
			one.Text = f.Text[m[1]:]
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(a, b faultLine) int { return cmp.Compare(a.Line, b.Line) })
	return out
}

func (d *policyData) take(faults []console.Fault) { d.Faults = faultsOf(faults) }

// Bad reports whether a fault keeps the text from being put in force.
func (d *policyData) Bad() bool {
	return slices.ContainsFunc(d.Faults, func(f faultLine) bool { return !f.Warning })
}

// Last is the number of the editor's last line, and Rows how high it is.
func (d *policyData) Last() int { return strings.Count(strings.TrimSuffix(d.Text, "\n"), "\n") + 1 }

// Rows is how many lines the editor shows: all, so that it is not moved within.
func (d *policyData) Rows() int { return min(d.Last()+2, maxGutter) }

func (p *Pages) showPolicy(w http.ResponseWriter, r *http.Request, status int, d *policyData) error {
	worst := make(map[int]string)
	for _, f := range d.Faults {
		if !f.Warning {
			worst[f.Line] = "bad"
		} else if worst[f.Line] == "" {
			worst[f.Line] = "warn"
		}
	}
	for i := range d.Rows() {
		d.Lines = append(d.Lines, gutterLine{i + 1, worst[i+1]})
	}
	p.Show(w, r, status, "policy", d)
	return nil
}

func (p *Pages) editPolicy(w http.ResponseWriter, r *http.Request) error {
	d, err := p.policyPage(r)
	if err != nil {
		return err
	}
	if from := field(r, "from"); from != "" {
		v, err := p.o.Desk.PolicyVersion(r.Context(), from)
		if err != nil {
			return err
		}
		t := p.sets[languageOf(r)].tongue
		d.Text, d.From, d.Note = v.Text, v.ID, t.T("policy.back.note", v.ID)
	}
	if err := p.look(r, d); err != nil {
		return err
	}
	return p.showPolicy(w, r, http.StatusOK, d)
}

// checkPolicy says what is wrong with what is in the editor: as it is typed, or as a page.
func (p *Pages) checkPolicy(w http.ResponseWriter, r *http.Request) error {
	if err := policyForm(w, r); err != nil {
		return err
	}
	if r.Header.Get("HX-Request") != "" {
		d := &policyData{Text: r.PostForm.Get("text")}
		if err := p.look(r, d); err != nil {
			return err
		}
		p.fragment(w, r, http.StatusOK, "policy", "policy-faults", d)
		return nil
	}
	d, err := p.policyPage(r)
	if err != nil {
		return err
	}
	if err := p.look(r, d); err != nil {
		return err
	}
	return p.showPolicy(w, r, http.StatusOK, d)
}

// tryPolicy says what the text in the editor would have done to the calls of the last days.
func (p *Pages) tryPolicy(w http.ResponseWriter, r *http.Request) error {
	if err := policyForm(w, r); err != nil {
		return err
	}
	d, err := p.policyPage(r)
	if err != nil {
		return err
	}
	if err := p.look(r, d); err != nil {
		return err
	}
	if days, err := strconv.Atoi(r.PostForm.Get("days")); err == nil {
		d.Days = min(max(days, 1), 31)
	}
	status := http.StatusOK
	if !d.Bad() && d.Wrong == "" {
		switch d.Tried, err = p.o.Desk.TryPolicy(r.Context(), console.TryQuery{Text: d.Text, Days: d.Days}); {
		case errors.Is(err, console.ErrBad), errors.Is(err, console.ErrConflict):
			d.Wrong, status = err.Error(), http.StatusBadRequest
		case err != nil:
			return err
		}
	}
	return p.showPolicy(w, r, status, d)
}

// putPolicy puts the text in the editor in force. What is not taken stays in the editor.
func (p *Pages) putPolicy(w http.ResponseWriter, r *http.Request) error {
	if err := policyForm(w, r); err != nil {
		return err
	}
	put, err := p.o.Desk.PutPolicy(r.Context(), console.PolicyEdit{Text: r.PostForm.Get("text"), ETag: r.PostForm.Get("etag"), Note: strings.TrimSpace(r.PostForm.Get("note"))})
	var wrong string
	status := http.StatusOK
	switch {
	case errors.Is(err, console.ErrBad):
		wrong, status = err.Error(), http.StatusBadRequest
	case errors.Is(err, console.ErrConflict):
		wrong, status = err.Error(), http.StatusConflict
	case err != nil:
		return err
	}
	p.stateChanged()
	d, err := p.policyPage(r)
	if err != nil {
		return err
	}
	d.Wrong = wrong
	switch {
	case put == nil && d.ETag != d.Policy.ETag: // somebody changed it since: both are shown, and the next time it is meant
		d.Theirs, d.ETag = diffOf(d.Policy.Text, d.Text), d.Policy.ETag
	case put == nil:
	case put.Loaded:
		d.Active, d.ETag, d.Note = true, put.ETag, ""
	default:
		status = http.StatusBadRequest
	}
	if put != nil {
		d.take(put.Faults)
		d.Rules = put.Rules
	} else if err := p.look(r, d); err != nil {
		return err
	}
	d.Wrong = cmp.Or(wrong, d.Wrong)
	return p.showPolicy(w, r, status, d)
}

func (p *Pages) policyVersions(w http.ResponseWriter, r *http.Request) error {
	var all []console.PolicyVersion
	err := p.o.Desk.PolicyVersions(r.Context(), func(v console.PolicyVersion) error {
		if len(all) == maxVersions {
			return errEnough
		}
		all = append(all, v)
		return nil
	})
	if enough(err) != nil {
		return err
	}
	p.Show(w, r, http.StatusOK, "versions", all)
	return nil
}

func (p *Pages) policyVersion(w http.ResponseWriter, r *http.Request) error {
	v, err := p.o.Desk.PolicyVersion(r.Context(), r.PathValue("version"))
	if err != nil {
		return err
	}
	now, err := p.o.Desk.Policy(r.Context())
	if err != nil {
		return err
	}
	who := console.WhoOf(r.Context())
	d := &policyVersionData{Version: v, Same: v.Text == now.Text, CanPut: who != nil && who.Role.Covers(console.Admin) && now.ReadOnly == ""}
	if !d.Same {
		d.Diff = diffOf(now.Text, v.Text)
	}
	p.Show(w, r, http.StatusOK, "version", d)
	return nil
}

// moveCalls is the path of the calls that a change of the policy would have moved, as far as a filter can say it.
func moveCalls(m console.TryMove, days int) string {
	return callsPath(url.Values{"action": {m.From}, "since": {strconv.Itoa(days) + "d"}})
}

// Moved is moveCalls for templates.
func (d *policyData) Moved(m console.TryMove) string { return moveCalls(m, d.Days) }
