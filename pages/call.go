package pages

import (
	"context"
	"net/http"
	"strconv"

	"ringfence/console"
)

// callData is the page "call".
type callData struct {
	Row    row
	Detail *console.CallDetail
	Heat   *heat
	Now    *console.CheckReport // what would happen to such a call now, nil where that cannot be told
	NowWhy string               // why not
	Others []row
	All    string // the path of all calls of this caller
}

// maxOthers is how many other calls of the caller the page has.
const maxOthers = 10

func (p *Pages) call(w http.ResponseWriter, r *http.Request) error {
	d, err := p.o.Desk.Call(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	who := console.WhoOf(r.Context())
	c := &callData{Row: row{d.Record, mayAct(who)}, Detail: d, Heat: heatOf(d.Around)}
	c.now(r.Context(), p)
	if key := c.Row.CallerKey(); key != "" {
		f := filter{Caller: key}
		c.All = callsPath(f.Values())
		page, err := p.o.Desk.Search(r.Context(), console.SearchQuery{Query: console.Query{Caller: key, Newest: true, Limit: maxOthers + 1}})
		if err == nil { // else the page is without them
			for _, rec := range page.Records {
				if rec.ID != d.ID && len(c.Others) < maxOthers {
					c.Others = append(c.Others, row{rec, mayAct(who)})
				}
			}
		}
	}
	p.Show(w, r, http.StatusOK, "call", c)
	return nil
}

// now asks what would happen to such a call now.
func (c *callData) now(ctx context.Context, p *Pages) {
	if c.Row.Private() {
		c.NowWhy = "call.now.private"
		return
	}
	var err error
	r := &c.Row.Record
	c.Now, err = p.o.Desk.Check(ctx, console.CheckQuery{Caller: r.Caller.Raw, Callee: r.Callee, Trunk: r.Trunk, Name: r.Name, Withheld: r.Caller.Withheld})
	if err != nil {
		c.Now, c.NowWhy = nil, "call.now.not"
	}
}

// Changed reports whether such a call would be decided otherwise now.
func (c *callData) Changed() bool {
	return c.Now != nil && (c.Now.Action != c.Row.Action || c.Now.Rule != c.Row.Rule)
}

// heat is a picture of the hundred numbers around a caller: ten rows of ten squares.
type heat struct {
	Width, Height int
	Cells         []heatCell
	Rows          []heatRow
	Most          int
	Callers       int // numbers that called
	Calls         int
}

type heatCell struct {
	X, Y, Size int
	Number     string
	Calls      int
	Shade      string // 0 to 1, how strong its colour is
	Own        bool
}

type heatRow struct {
	Y    int
	Text string
}

// Measures of the picture, in its own units.
const (
	heatCellSize = 22
	heatLeft     = 96
	heatTop      = 18
)

func heatOf(around []console.TenCalls) *heat {
	if len(around) == 0 {
		return nil
	}
	h := &heat{Width: heatLeft + 10*heatCellSize + 2, Height: heatTop + len(around)*heatCellSize + 2}
	for _, ten := range around {
		for _, n := range ten.Calls {
			h.Most = max(h.Most, n)
			if n > 0 {
				h.Callers, h.Calls = h.Callers+1, h.Calls+n
			}
		}
	}
	for y, ten := range around {
		at := heatTop + y*heatCellSize
		h.Rows = append(h.Rows, heatRow{at + heatCellSize - 7, shown(ten.Range)})
		for x, n := range ten.Calls {
			c := heatCell{X: heatLeft + x*heatCellSize, Y: at, Size: heatCellSize - 3, Calls: n, Own: x == ten.Own, Number: numberIn(ten.Range, x), Shade: "0"}
			if n > 0 {
				c.Shade = strconv.FormatFloat(0.25+0.75*float64(n)/float64(h.Most), 'f', 2, 64)
			}
			h.Cells = append(h.Cells, c)
		}
	}
	return h
}

// Digits are the heads of the columns.
func (h *heat) Digits() []heatCell {
	out := make([]heatCell, 10)
	for i := range out {
		out[i] = heatCell{X: heatLeft + i*heatCellSize + heatCellSize/2 - 5, Y: heatTop - 6, Calls: i}
	}
	return out
}

// numberIn is a number of ten that differ in the last digit, which is ? in the range.
func numberIn(ten string, digit int) string {
	if ten == "" {
		return ""
	}
	return ten[:len(ten)-1] + strconv.Itoa(digit)
}
