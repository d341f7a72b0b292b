package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// FitQuery says from what weights of the score are to be proposed.
type FitQuery struct {
	Since     time.Time // only from calls from then on; zero: from all
	Allowlist bool      // take callers on the list allowlist for wanted as well
}

// ScoreFit are the weights that decided marks suggest. Nothing has been set.
type ScoreFit struct {
	Callers   int          `json:"callers"`   // whom it rests on: each counts once, by the last decision about him
	Unwanted  int          `json:"unwanted"`  // of these, those whose report was confirmed
	Wanted    int          `json:"wanted"`    // whose was dismissed or lifted, and who are on the list allowlist
	Listed    int          `json:"listed"`    // of the wanted, those that are on the list alone
	Lost      int          `json:"lost"`      // marked callers whose call is not in the journal
	Unsettled bool         `json:"unsettled"` // the search came to no end: do not go by it
	Terms     []FittedTerm `json:"terms"`
	Warnings  []string     `json:"warnings"`
}

// FittedTerm is one term of the score.
type FittedTerm struct {
	Name     string  `json:"name"`
	Now      float64 `json:"now"`
	Proposed float64 `json:"proposed"` // the same as now where Stays says why
	Low      float64 `json:"low"`      // of the interval in which it is with 95 %
	High     float64 `json:"high"`
	Found    int     `json:"found"`           // callers of whom it was found
	Stays    string  `json:"stays,omitempty"` // why none is proposed
}

// serveScore serves what marks suggest.
func serveScore(mux *routes, d Desk) {
	mux.HandleFunc("GET /api/v1/score/fit", ask(func(r *http.Request) (any, error) {
		q := FitQuery{Allowlist: r.URL.Query().Get("allowlist") == "true"}
		if text := r.URL.Query().Get("since"); text != "" {
			var err error
			if q.Since, err = time.Parse(time.RFC3339, text); err != nil {
				return nil, Bad("since is not a time like 2026-11-24T08:00:00Z")
			}
		}
		return d.FitScore(r.Context(), q)
	}))
}

func (c *Client) FitScore(ctx context.Context, q FitQuery) (*ScoreFit, error) {
	v := url.Values{}
	if !q.Since.IsZero() {
		v.Set("since", q.Since.UTC().Format(time.RFC3339Nano))
	}
	if q.Allowlist {
		v.Set("allowlist", "true")
	}
	resp, err := c.do(ctx, "GET", "score/fit?"+v.Encode(), nil) // a large journal takes its time
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var fit ScoreFit
	if err := json.NewDecoder(resp.Body).Decode(&fit); err != nil {
		return nil, fmt.Errorf("the daemon's answer cannot be read: %w", err)
	}
	return &fit, nil
}
