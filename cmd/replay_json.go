package cmd

import (
	"slices"

	"ringfence/replay"
)

// A line of --json says by its type what it is.
type (
	changeLine struct {
		Type string `json:"type"`
		*replay.Change
	}
	totalLine struct {
		Type string `json:"type"`
		replay.Total
	}
	groupLine struct {
		Type string `json:"type"`
		replay.Group
	}
	callerLine struct {
		Type string `json:"type"`
		replay.Caller
	}
	mistakeLine struct {
		Type string `json:"type"`
		replay.Mistake
	}
	noteLine struct {
		Type string `json:"type"`
		Note string `json:"note"`
	}
	detectorLine struct {
		Type   string `json:"type"`
		Policy string `json:"policy"` // policy, or against
		replay.Detector
	}
	tripLine struct {
		Type   string `json:"type"`
		Policy string `json:"policy"`
		replay.Trip
	}
	labelsLine struct {
		Type       string  `json:"type"`
		Policy     string  `json:"policy"`
		Campaigns  uint64  `json:"campaigns"`
		Tripped    uint64  `json:"tripped"`
		Median     float64 `json:"median_before"`
		Over       uint64  `json:"campaigns_over"`
		Unlabelled uint64  `json:"unlabelled"`
	}
	confusionLine struct {
		Type   string `json:"type"`
		Policy string `json:"policy"`
		replay.Confusion
	}
	campaignLine struct {
		Type   string `json:"type"`
		Policy string `json:"policy"`
		replay.Campaign
	}
	summaryLine struct {
		Type string `json:"type"`
		replay.Summary
	}
)

// printReplayJSON writes all of a report but the changes, which have been written as they came.
func (a *app) printReplayJSON(r *replay.Report) error {
	var lines []any
	for _, t := range append(slices.Clone(r.Actions), r.Rules...) {
		lines = append(lines, totalLine{"total", t})
	}
	for _, g := range r.Groups {
		lines = append(lines, groupLine{"group", g})
	}
	for _, m := range r.Mistakes {
		lines = append(lines, mistakeLine{"mistake", m})
	}
	for _, c := range r.Callers {
		lines = append(lines, callerLine{"caller", c})
	}
	lines = append(lines, liveRunLines("policy", &r.LiveRun)...)
	lines = append(lines, liveRunLines("against", &r.Against)...)
	for _, note := range r.Notes {
		lines = append(lines, noteLine{"note", note})
	}
	lines = append(lines, summaryLine{"summary", r.Summary})
	for _, l := range lines {
		if err := a.print(l, ""); err != nil {
			return err
		}
	}
	return nil
}

// liveRunLines is what detectors did, and how decisions met the labels.
func liveRunLines(policy string, c *replay.LiveRun) (lines []any) {
	for i := range c.Detectors {
		d := &c.Detectors[i]
		lines = append(lines, detectorLine{"detector", policy, *d})
		for _, t := range d.First {
			lines = append(lines, tripLine{"trip", policy, t})
		}
	}
	l := c.Labels
	if l == nil {
		return lines
	}
	for _, x := range append(append([]replay.Confusion{l.All}, l.Rules...), l.Detectors...) {
		lines = append(lines, confusionLine{"confusion", policy, x})
	}
	for _, x := range l.Campaigns {
		lines = append(lines, campaignLine{"campaign", policy, x})
	}
	return append(lines, labelsLine{"labels", policy, l.Named, l.Tripped, l.MedianLeak, l.CampaignsOver, l.Unlabelled})
}
