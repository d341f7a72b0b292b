package pages

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
)

// Sizes of what is looked at at once.
const (
	pageSize   = 50
	maxExport  = 10_000 // calls in one file
	exportTime = 30 * time.Second
	maxSuggest = 200 // names offered for a condition
)

// callsData is the page "calls".
type callsData struct {
	Filter  *filter
	Rows    []row
	Size    int
	Page    *console.SearchPage
	Next    string // the path of the page after this one, "" for none
	First   bool   // it is the first page, on which new calls appear
	Live    bool
	Trouble string // why there are no calls: what the daemon says, in English
	Suggest suggestions
	CSV     string // the paths of what is on screen, and of all
	JSON    string
	AllCSV  string
	AllJSON string
}

// Looked reports whether the search ended before it was through, which is said.
func (d *callsData) Looked() bool { return d.Page != nil && !d.Page.Done && !d.Page.Through.IsZero() }

// suggestions are words that a condition may have.
type suggestions struct {
	Actions, Kinds, Outcomes                        []string
	Rules, Lines, Detectors, Holders, Lists, Trunks []string
}

// callPages adds the pages about calls.
func (p *Pages) callPages() {
	p.handle("GET /calls", p.calls)
	p.handle("GET /calls/export.csv", p.exportCSV)
	p.handle("GET /calls/export.json", p.exportJSON)
	p.handle("GET /calls/{id}", p.call)
}

func (p *Pages) calls(w http.ResponseWriter, r *http.Request) error {
	f := p.readFilter(r.URL.Query())
	who := console.WhoOf(r.Context())
	d := &callsData{Filter: f, Size: pageSize, First: f.Cursor == "", Suggest: p.suggest(who)}
	page, err := p.o.Desk.Search(r.Context(), console.SearchQuery{Query: f.query})
	switch {
	case errors.Is(err, console.ErrBad):
		d.Trouble = err.Error()
	case err != nil:
		return err
	default:
		d.Page, d.Rows = page, rowsOf(page.Records, mayAct(who))
		if page.Cursor != "" {
			v := f.Values()
			v.Set("cursor", page.Cursor)
			d.Next = callsPath(v)
		}
	}
	v := f.Values()
	v.Set("size", fmt.Sprint(pageSize))
	d.CSV, d.JSON = "/calls/export.csv?"+v.Encode(), "/calls/export.json?"+v.Encode()
	v.Del("size")
	v.Del("cursor")
	d.AllCSV, d.AllJSON = "/calls/export.csv?"+v.Encode(), "/calls/export.json?"+v.Encode()
	view := p.view(r, "calls", d)
	d.Live = d.First && d.Trouble == "" && f.query.Until.IsZero()
	view.Live = d.Live
	p.show(w, r, http.StatusOK, view)
	return nil
}

// suggest gives the words for conditions. Who is bound to lines is told of their own alone.
func (p *Pages) suggest(w *console.Who) suggestions {
	s := suggestions{Actions: policy.ActionNames(), Kinds: number.KindNames(), Outcomes: outcomes}
	if w.Bound() {
		s.Lines = w.Lines
		return s
	}
	rules := p.policy()
	if rules == nil {
		return s
	}
	for _, r := range rules.Rules() {
		s.Rules = append(s.Rules, r.Name)
	}
	s.Rules = append(s.Rules, policy.ReservedRules()...)
	for _, d := range rules.Detectors() {
		s.Detectors = append(s.Detectors, d.Name)
	}
	s.Lines, s.Holders, s.Lists = rules.Lines(), rules.Holders(), rules.Lists()
	for _, l := range []*[]string{&s.Rules, &s.Lines, &s.Holders, &s.Lists} {
		*l = slices.Compact(slices.Sorted(slices.Values(*l)))
		*l = (*l)[:min(len(*l), maxSuggest)]
	}
	return s
}

// export gives the calls asked for to yield: one page of them if the address says a size, else all up to maxExport.
func (p *Pages) export(r *http.Request, yield func(*console.Record) error) error {
	f := p.readFilter(r.URL.Query())
	if len(f.Wrong) > 0 {
		return console.Bad("the address says " + f.Wrong[0].Name + " in a way that cannot be read: an export is not made of something else")
	}
	q := console.SearchQuery{Query: f.query}
	left, until := maxExport, p.o.Now().Add(exportTime)
	if r.URL.Query().Has("size") {
		left = pageSize
	}
	for left > 0 {
		q.Limit = min(left, 500)
		page, err := p.o.Desk.Search(r.Context(), q)
		if err != nil {
			return err
		}
		for i := range page.Records {
			if err := yield(&page.Records[i]); err != nil {
				return err
			}
		}
		left -= len(page.Records)
		if q.Cursor = page.Cursor; q.Cursor == "" || p.o.Now().After(until) {
			return nil
		}
	}
	return nil
}

// download writes a file to keep, part by part, behind its head. What fails before the first part is an error as any; later the connection is
// broken off, since half a file must not look whole.
func (p *Pages) download(w http.ResponseWriter, kind, name, ending string, head []byte, parts func(write func([]byte) error) error) error {
	begun := false
	begin := func() {
		if begun {
			return
		}
		begun = true
		h := w.Header()
		h.Set("Content-Type", kind)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Disposition", `attachment; filename="`+name+"-"+p.o.Now().In(p.zone()).Format("20060102-150405")+ending+`"`)
		w.Write(head)
	}
	err := parts(func(part []byte) error {
		begin()
		_, err := w.Write(part)
		return err
	})
	switch {
	case err == nil:
		begin()
	case begun:
		panic(http.ErrAbortHandler)
	}
	return err
}

const csvKind, csvMark = "text/csv; charset=utf-8", "\ufeff" // without the mark Excel takes UTF-8 for something else

// exportCSV writes calls as a table, in whose cells no formula begins.
func (p *Pages) exportCSV(w http.ResponseWriter, r *http.Request) error {
	return p.download(w, csvKind, "calls", ".csv", console.AppendCSVHeader([]byte(csvMark)), func(write func([]byte) error) error {
		return p.export(r, func(rec *console.Record) error { return write(rec.AppendCSV(nil)) })
	})
}

// exportJSON writes calls as one JSON array.
func (p *Pages) exportJSON(w http.ResponseWriter, r *http.Request) error {
	between := "\n"
	err := p.download(w, "application/json", "calls", ".json", []byte("["), func(write func([]byte) error) error {
		return p.export(r, func(rec *console.Record) error {
			line, err := json.Marshal(rec)
			if err == nil {
				err = write(append([]byte(between), line...))
			}
			between = ",\n"
			return err
		})
	})
	if err == nil {
		w.Write([]byte("\n]\n"))
	}
	return err
}
