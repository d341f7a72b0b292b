package pages

import (
	"errors"
	"net/http"
	"net/url"

	"ringfence/console"
)

// peopleData is the page "people".
type peopleData struct {
	Users    []console.User
	Tokens   []console.Token
	Sessions []console.Session
	Roles    []console.Role
	Wrong    string
	Made     *console.MadeToken // shown this once
	Link     string             // of who was invited just now
	Invited  string
	Origin   string // where the link is to be had: the console's own address
}

// auditData is the page "audit".
type auditData struct {
	Entries []console.AuditEntry
	Query   console.AuditQuery
	Since   string
	Next    string
	Wrong   string
}

const auditPage = 100

func (p *Pages) peoplePages() {
	p.handle("GET /people", p.people)
	p.handle("POST /people/users", p.addUser)
	p.handle("POST /people/users/{user}/set", p.setUser)
	p.handle("POST /people/users/{user}/remove", p.removeUser)
	p.handle("POST /people/tokens", p.addToken)
	p.handle("POST /people/tokens/{token}/revoke", p.revokeToken)
	p.handle("POST /people/sessions/{session}/end", p.endSession)
	p.handle("GET /people/audit", p.audit)
}

func (p *Pages) people(w http.ResponseWriter, r *http.Request) error {
	return p.showPeople(w, r, http.StatusOK, &peopleData{})
}

func (p *Pages) showPeople(w http.ResponseWriter, r *http.Request, status int, d *peopleData) error {
	var err error
	d.Roles = console.Roles
	if d.Users, err = p.o.Desk.Users(r.Context()); err != nil {
		return err
	}
	if d.Tokens, err = p.o.Desk.Tokens(r.Context()); err != nil {
		return err
	}
	if d.Sessions, err = p.o.Desk.Sessions(r.Context()); err != nil {
		return err
	}
	p.Show(w, r, status, "people", d)
	return nil
}

// tellPeople shows the page with why something was not done, if it is the fault of who asked.
func (p *Pages) tellPeople(w http.ResponseWriter, r *http.Request, err error) error {
	switch {
	case errors.Is(err, console.ErrBad):
		return p.showPeople(w, r, http.StatusBadRequest, &peopleData{Wrong: err.Error()})
	case errors.Is(err, console.ErrConflict):
		return p.showPeople(w, r, http.StatusConflict, &peopleData{Wrong: err.Error()})
	}
	return err
}

// linesIn are the names of lines that a field has, parted by commas.
func linesIn(text string) []string { return patternsIn(text) }

func (p *Pages) addUser(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	e, err := p.o.Desk.AddUser(r.Context(), console.NewUser{
		Name: field(r, "name"), Role: console.Role(field(r, "role")), Lines: linesIn(r.PostFormValue("lines")), Customer: field(r, "customer"),
	})
	if err != nil {
		return p.tellPeople(w, r, err)
	}
	return p.showPeople(w, r, http.StatusOK, &peopleData{Link: e.Link, Invited: e.Name, Origin: originOf(r)})
}

// originOf is the console's address as who asks has it.
func originOf(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if u, err := url.Parse(r.Header.Get("Origin")); err == nil && u.Host == r.Host && (u.Scheme == "http" || u.Scheme == "https") {
		scheme = u.Scheme
	}
	return scheme + "://" + r.Host
}

func (p *Pages) setUser(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	set := console.UserSet{Name: r.PathValue("user")}
	if r.PostForm.Has("invite") {
		none := ""
		set.Password = &none
	} else {
		role, customer, lines := console.Role(field(r, "role")), field(r, "customer"), linesIn(r.PostFormValue("lines"))
		set.Role, set.Customer, set.Lines = &role, &customer, &lines
	}
	e, err := p.o.Desk.SetUser(r.Context(), set)
	if err != nil {
		return p.tellPeople(w, r, err)
	}
	if e.Link != "" {
		return p.showPeople(w, r, http.StatusOK, &peopleData{Link: e.Link, Invited: e.Name, Origin: originOf(r)})
	}
	t := p.sets[languageOf(r)].tongue
	p.Done(w, r, Done{Level: "good", Text: t.T("people.set", shown(e.Name)), Back: "/people"})
	return nil
}

func (p *Pages) removeUser(w http.ResponseWriter, r *http.Request) error {
	e, err := p.o.Desk.RemoveUser(r.Context(), r.PathValue("user"))
	if err != nil {
		return p.tellPeople(w, r, err)
	}
	t := p.sets[languageOf(r)].tongue
	p.Done(w, r, Done{Level: "good", Text: t.T("people.removed", shown(e.Name)), Back: "/people"})
	return nil
}

func (p *Pages) addToken(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	expires, err := p.readExpiry(r.PostFormValue("expires"))
	if err != nil {
		return p.tellPeople(w, r, err)
	}
	made, err := p.o.Desk.AddToken(r.Context(), console.NewToken{
		Name: field(r, "name"), Role: console.Role(field(r, "role")), Lines: linesIn(r.PostFormValue("lines")), Customer: field(r, "customer"), Expires: expires,
	})
	if err != nil {
		return p.tellPeople(w, r, err)
	}
	return p.showPeople(w, r, http.StatusOK, &peopleData{Made: made})
}

func (p *Pages) revokeToken(w http.ResponseWriter, r *http.Request) error {
	e, err := p.o.Desk.RevokeToken(r.Context(), r.PathValue("token"))
	if err != nil {
		return err
	}
	t := p.sets[languageOf(r)].tongue
	p.Done(w, r, Done{Level: "good", Text: t.T("people.revoked", shown(e.Name)), Back: "/people"})
	return nil
}

func (p *Pages) endSession(w http.ResponseWriter, r *http.Request) error {
	if err := p.o.Desk.EndSession(r.Context(), r.PathValue("session")); err != nil {
		return err
	}
	t := p.sets[languageOf(r)].tongue
	p.Done(w, r, Done{Level: "good", Text: t.T("people.ended"), Back: "/people"})
	return nil
}

func (p *Pages) audit(w http.ResponseWriter, r *http.Request) error {
	d := &auditData{Since: field(r, "since"), Query: console.AuditQuery{Who: field(r, "who"), What: field(r, "what"), Cursor: field(r, "cursor"), Limit: auditPage}}
	since, ok := readTime(d.Since, p.o.Now().In(p.zone()))
	if !ok {
		t := p.sets[languageOf(r)].tongue
		d.Wrong = t.T("filter.time", t.Word("filter", "since"))
	}
	d.Query.Since = since
	err := p.o.Desk.Audit(r.Context(), d.Query, func(e console.AuditEntry) error {
		d.Entries = append(d.Entries, e)
		return nil
	})
	if err != nil {
		return err
	}
	if len(d.Entries) == auditPage {
		v := url.Values{"cursor": {d.Entries[auditPage-1].ID}}
		for name, text := range map[string]string{"who": d.Query.Who, "what": d.Query.What, "since": d.Since} {
			if text != "" {
				v.Set(name, text)
			}
		}
		d.Next = "/people/audit?" + v.Encode()
	}
	p.Show(w, r, http.StatusOK, "audit", d)
	return nil
}
