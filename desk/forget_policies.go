package desk

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/number"
	"ringfence/storage"
)

// A policy is what an administrator wrote, as a list is: that somebody is forgotten does not change it, nor what it was. Who asks is told which texts and notes
// name the number, and may have those that were in force go.

// forgetPolicies says which policies that were in force name a number, and with remove deletes them. That in force is for a person to edit.
func (d *Desk) forgetPolicies(ctx context.Context, text string, n *number.Number, remove bool, report *console.ForgetReport) error {
	spelt := spellings(text, n)
	if len(spelt) == 0 {
		return nil
	}
	now := d.force.Rules().Version
	var gone []string
	err := d.db.Policies(func(v storage.PolicyVersion) error {
		text, err := d.db.PolicyText(v.Text)
		if err != nil {
			return err
		}
		if !speaksOf(string(text), spelt) && !speaksOf(v.Note, spelt) {
			return ctx.Err()
		}
		in := console.ForgetPolicy{ID: v.Text, Time: v.Time, InForce: v.Text == now, Removed: remove && v.Text != now}
		report.Policies = append(report.Policies, in)
		if in.Removed && !report.DryRun && !slices.Contains(gone, v.Text) {
			gone = append(gone, v.Text)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if file, err := conf.ReadFile(d.conf.Policy); err == nil && speaksOf(string(file), spelt) {
		report.Notes = append(report.Notes, fmt.Sprintf("the policy itself names the number: edit %s, then forget it once more with --policies", d.conf.Policy))
	}
	if err := d.linesThatName(ctx, spelt, report); err != nil || len(gone) == 0 {
		return err
	}
	return conflictIfBusy(d.db.DropPolicies(gone))
}

// maxNamedLines is how many lines are named in a note.
const maxNamedLines = 10

// linesThatName says which lines have the number in what somebody wrote about them.
func (d *Desk) linesThatName(ctx context.Context, spelt []string, report *console.ForgetReport) error {
	var in []string
	err := d.Lines(ctx, console.LineQuery{}, func(l console.Line) error {
		if speaksOf(l.Note, spelt) && len(in) <= maxNamedLines {
			in = append(in, l.Name)
		}
		return ctx.Err()
	})
	if err != nil || len(in) == 0 {
		return err
	}
	if len(in) > maxNamedLines {
		in[maxNamedLines] = "and more"
	}
	report.Notes = append(report.Notes, "the notes on these lines name the number: "+strings.Join(in, ", "))
	return nil
}

// spellings are the ways in which a text may name a number, without what people put between its digits.
func spellings(text string, n *number.Number) []string {
	if n.E164 == "" {
		if len(text) < 4 || strings.HasPrefix(text, console.PrivateMark) { // of less it cannot be said whom a text names, and a token is in none
			return nil
		}
		return []string{text}
	}
	digits := strings.TrimPrefix(n.E164, "+")
	all := []string{digits, "00" + digits}
	if national := n.National(); national != "" && national != digits {
		all = append(all, national, "0"+national)
	}
	return all
}

// speaksOf reports whether a text names a number: its digits stand there, and no digit beside them.
func speaksOf(text string, spelt []string) bool {
	for _, t := range []string{text, closeUp(text)} {
		for _, s := range spelt {
			for from := 0; ; {
				i := strings.Index(t[from:], s)
				if i < 0 {
					break
				}
				i += from
				if !digitAt(t, i-1) && !digitAt(t, i+len(s)) {
					return true
				}
				from = i + 1
			}
		}
	}
	return false
}

func digitAt(s string, i int) bool { return i >= 0 && i < len(s) && s[i] >= '0' && s[i] <= '9' }

// closeUp takes out what people put between the digits of a number.
func closeUp(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if !strings.ContainsRune(" -.()/", rune(text[i])) || !digitAt(text, i-1) && !digitAt(text, i+1) {
			b.WriteByte(text[i])
		}
	}
	return b.String()
}
