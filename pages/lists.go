package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ringfence/console"
)

// listsData is the page "lists".
type listsData struct {
	Lists []console.ListSummary
	Feeds []console.FeedStatus
	Find  string
	Found []listHistory // what is kept of the number that was looked for
	Wrong string        // why it cannot be looked for: what the daemon says
	Cut   bool
}

// listHistory is a change to a number, as a row.
type listHistory struct {
	console.ListHistory
	Now bool // it is on the list by it
}

// listData is the page "list".
type listData struct {
	List    string
	Find    string
	Entries []console.ListEntry
	From    int // how many are before these
	Before  string
	Next    string
	Looked  int
	Changes []console.ListChange
	CanAdd  bool // it is one list, not one of each line
	Line    string
	Wrong   string // why something that was typed was not taken
	New     console.NewEntry
	Expires string
	Feed    *console.FeedStatus
}

// Bounds of what is looked at at once.
const (
	listPage    = 100
	listChanges = 100  // the newest that are shown
	maxHistory  = 200  // changes of a number
	maxPatterns = 1000 // that are taken off at once
)

// errEnough ends a look when there is enough.
var errEnough = errors.New("enough")

func enough(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func (p *Pages) listPages() {
	p.handle("GET /lists", p.lists)
	p.handle("GET /lists/{list}", p.list)
	p.handle("GET /lists/{list}/changes", p.listChanges)
	p.handle("GET /lists/{list}/export.csv", p.exportList)
	p.handle("POST /lists/{list}", p.addToList)
	p.handle("POST /lists/{list}/remove", p.removeFromList)
	p.handle("POST /feeds/{list}/fetch", p.fetchFeed)
	p.handle("POST /feeds/{list}/accept", p.acceptFeed)
	p.importPages()
}

func (p *Pages) lists(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	d := &listsData{Find: field(r, "number")}
	var err error
	if d.Lists, err = p.o.Desk.Lists(ctx); err != nil {
		return err
	}
	if d.Feeds, err = p.o.Desk.Feeds(ctx); seen(err) != nil {
		return err
	}
	if d.Find != "" {
		err := p.o.Desk.History(ctx, d.Find, func(h console.ListHistory) error {
			if d.Found = append(d.Found, listHistory{h, h.After != nil}); len(d.Found) > maxHistory {
				d.Found, d.Cut = d.Found[1:], true
			}
			return nil
		})
		if errors.Is(err, console.ErrBad) {
			d.Wrong = err.Error()
		} else if seen(err) != nil {
			return err
		}
		slices.Reverse(d.Found)
	}
	p.Show(w, r, http.StatusOK, "lists", d)
	return nil
}

// field is what an address or a form says, cut to what any field takes.
func field(r *http.Request, name string) string {
	text := strings.TrimSpace(r.FormValue(name))
	if len(text) > maxField {
		return strings.ToValidUTF8(text[:maxField], "")
	}
	return text
}

// listPath is the page of a list.
func listPath(list string) string { return "/lists/" + url.PathEscape(list) }

func (p *Pages) list(w http.ResponseWriter, r *http.Request) error {
	return p.showList(w, r, http.StatusOK, &listData{})
}

// showList shows a list. d may say what was typed, and why it was not taken.
func (p *Pages) showList(w http.ResponseWriter, r *http.Request, status int, d *listData) error {
	ctx := r.Context()
	d.List, d.Find = r.PathValue("list"), strings.TrimSpace(r.URL.Query().Get("find"))
	d.Find = d.Find[:min(len(d.Find), maxField)]
	d.From, _ = strconv.Atoi(r.URL.Query().Get("from"))
	d.From = max(0, d.From)
	line, _, own := strings.Cut(d.List, ":")
	d.CanAdd = !own || line != "line"
	if own && d.CanAdd {
		d.Line = line
	}
	matched := 0
	err := p.o.Desk.Entries(ctx, d.List, func(e console.ListEntry) error {
		d.Looked++
		if !holds(&e, d.Find) {
			return nil
		}
		if matched++; matched <= d.From {
			return nil
		}
		if len(d.Entries) == listPage {
			d.Next = pageOfList(d.List, d.Find, d.From+listPage)
			return errEnough
		}
		d.Entries = append(d.Entries, e)
		return nil
	})
	if err := p.orUnused(ctx, d.List, enough(err)); err != nil {
		return err
	}
	if d.From > 0 {
		d.Before = pageOfList(d.List, d.Find, max(0, d.From-listPage))
	}
	feeds, err := p.o.Desk.Feeds(ctx)
	if seen(err) != nil {
		return err
	}
	for i := range feeds {
		if feeds[i].List == d.List {
			d.Feed = &feeds[i]
		}
	}
	p.Show(w, r, status, "list", d)
	return nil
}

// orUnused drops the error that a list is not there, if it is only that nothing has been put on it yet.
func (p *Pages) orUnused(ctx context.Context, list string, err error) error {
	if who := console.WhoOf(ctx); !errors.Is(err, console.ErrNotFound) || who == nil || who.Bound() {
		return err
	}
	if slices.Contains(usualLists, list) {
		return nil
	}
	if rules := p.policy(); rules != nil && slices.Contains(rules.Lists(), list) {
		return nil
	}
	if line, name, own := strings.Cut(list, ":"); own && slices.Contains(usualLists, name) {
		if line == "line" {
			return nil
		}
		if _, lineErr := p.o.Desk.ListsOf(ctx, line); lineErr == nil {
			return nil
		}
	}
	return err
}

func pageOfList(list, find string, from int) string {
	v := url.Values{}
	if find != "" {
		v.Set("find", find)
	}
	if from > 0 {
		v.Set("from", strconv.Itoa(from))
	}
	if len(v) == 0 {
		return listPath(list)
	}
	return listPath(list) + "?" + v.Encode()
}

// holds reports whether an entry says a text anywhere. Digits find numbers however they are written.
func holds(e *console.ListEntry, find string) bool {
	if find == "" {
		return true
	}
	low := strings.ToLower(find)
	for _, text := range []string{e.Number, e.Reason, e.Source, e.Who, e.List} {
		if strings.Contains(strings.ToLower(text), low) {
			return true
		}
	}
	digits := strings.TrimLeft(strings.NewReplacer(" ", "", "-", "", "(", "", ")", "").Replace(find), "0")
	return len(digits) > 3 && strings.Trim(digits, "0123456789") == "" && strings.Contains(e.Number, digits)
}

// listChanges shows what was changed in a list.
func (p *Pages) listChanges(w http.ResponseWriter, r *http.Request) error {
	d := &listData{List: r.PathValue("list")}
	err := p.o.Desk.Changes(r.Context(), d.List, func(c console.ListChange) error {
		if d.Changes = append(d.Changes, c); len(d.Changes) > listChanges {
			d.Changes = d.Changes[1:]
			d.Next = d.List
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Reverse(d.Changes)
	p.Show(w, r, http.StatusOK, "changes", d)
	return nil
}

// exportList writes a list as a table, or what was looked for in it.
func (p *Pages) exportList(w http.ResponseWriter, r *http.Request) error {
	find, list := field(r, "find"), r.PathValue("list")
	return p.download(w, csvKind, "list", ".csv", console.AppendEntryHeader([]byte(csvMark)), func(write func([]byte) error) error {
		return p.orUnused(r.Context(), list, p.o.Desk.Entries(r.Context(), list, func(e console.ListEntry) error {
			if !holds(&e, find) {
				return nil
			}
			return write(e.AppendCSV(nil))
		}))
	})
}

// patternsIn are the numbers that somebody typed, each in a line of its own or after a comma.
func patternsIn(text string) []string {
	var out []string
	for _, part := range strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune("\r\n,;，；、", c) }) {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// addToList puts numbers on a list. What cannot be read comes back, with why.
func (p *Pages) addToList(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	list, t := r.PathValue("list"), p.sets[languageOf(r)].tongue
	numbers, reason := r.PostFormValue("number"), strings.TrimSpace(r.PostFormValue("reason"))
	typed := &listData{New: console.NewEntry{Number: numbers, Reason: reason}, Expires: r.PostFormValue("expires")}
	expires, err := p.readExpiry(typed.Expires)
	var add []console.NewEntry
	for _, n := range patternsIn(numbers) {
		add = append(add, console.NewEntry{Number: n, Reason: reason, Expires: expires})
	}
	var edits []console.Edit
	switch {
	case err != nil:
	case len(add) == 0:
		err = console.Bad(t.T("list.add.none"))
	default:
		edits, err = p.o.Desk.AddEntries(r.Context(), list, add, false)
	}
	if errors.Is(err, console.ErrBad) && r.Header.Get("HX-Request") == "" {
		typed.Wrong = err.Error()
		return p.showList(w, r, http.StatusBadRequest, typed)
	}
	if err != nil {
		return err
	}
	p.Done(w, r, doneOf(t, edits, listPath(list)))
	return nil
}

// doneOf says what became of entries.
func doneOf(t *tongue, edits []console.Edit, back string) Done {
	d := Done{Level: "good", Back: back}
	counts := make(map[string]int)
	var said []string
	for _, e := range edits {
		counts[e.Change]++
		if e.ID != 0 {
			d.Undo = e.ID
		}
		if e.Warning != "" && len(said) < 3 {
			said = append(said, e.Number+" "+e.Warning)
		}
		if len(e.Still) > 0 && len(said) < 3 {
			said = append(said, e.Number+": "+strings.Join(e.Still, ", "))
		}
	}
	d.Said = shown(strings.Join(said, "; "))
	var texts []string
	for _, change := range []string{"added", "updated", "unchanged", "removed", "absent", "refused"} {
		if n := counts[change]; n > 0 {
			texts = append(texts, t.T("list.done."+change, n))
		}
	}
	d.Text = strings.Join(texts, " ")
	return d
}

// readExpiry reads until when something counts.
func (p *Pages) readExpiry(text string) (time.Time, error) {
	e, err := console.ParseExpiry(strings.TrimSpace(text), p.o.Now())
	if err != nil {
		err = console.Bad(err.Error())
	}
	return e, err
}

// removeFromList takes numbers off a list.
func (p *Pages) removeFromList(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r); err != nil {
		return err
	}
	list, t := r.PathValue("list"), p.sets[languageOf(r)].tongue
	numbers := r.PostForm["number"]
	switch {
	case len(numbers) == 0:
		return console.Bad(t.T("list.remove.none"))
	case len(numbers) > maxPatterns:
		return console.Bad(t.T("list.remove.many", maxPatterns))
	}
	edits, err := p.o.Desk.RemoveEntries(r.Context(), list, numbers, r.PostFormValue("all") != "")
	if err != nil {
		return err
	}
	p.Done(w, r, doneOf(t, edits, listPath(list)))
	return nil
}

// changed has what htmx shows of the page looked at again.
func (p *Pages) changed(w http.ResponseWriter) { w.Header().Set("HX-Trigger", "changed") }

func (p *Pages) fetchFeed(w http.ResponseWriter, r *http.Request) error {
	f, err := p.o.Desk.FetchFeed(r.Context(), r.PathValue("list"))
	if err != nil {
		return err
	}
	t := p.sets[languageOf(r)].tongue
	d := Done{Level: "good", Text: t.T("feed.fetched", shown(f.List), f.Entries), Back: "/lists"}
	switch {
	case f.Error != "":
		d.Level, d.Text, d.Said = "bad", t.T("feed.failed", shown(f.List)), shown(f.Error)
	case f.Held != "":
		d.Text, d.Said = t.T("feed.isheld", shown(f.List)), shown(f.Held)
	}
	p.Done(w, r, d)
	return nil
}

func (p *Pages) acceptFeed(w http.ResponseWriter, r *http.Request) error {
	f, err := p.o.Desk.AcceptFeed(r.Context(), r.PathValue("list"))
	if err != nil {
		return err
	}
	t := p.sets[languageOf(r)].tongue
	p.Done(w, r, Done{Level: "good", Text: t.T("feed.accepted", shown(f.List), f.Entries), Back: "/lists"})
	return nil
}
