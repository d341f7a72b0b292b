package cmd

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ringfence/console"
)

type auditCmd struct {
	Who   string `placeholder:"NAME" help:"Only what this user, token or login name did."`
	What  string `placeholder:"TEXT" help:"Only what begins so, such as list, 'list add' or 'sign in'."`
	Since string `placeholder:"TIME" help:"Only from then on: a span such as 7d, or a date."`
	Limit int    `default:"20" placeholder:"N" help:"The last N (20)."`
}

func (c *auditCmd) Run(a *app) error {
	if c.Limit < 1 || c.Limit > 10_000 {
		return usageError{"--limit: 1 to 10000"}
	}
	q := console.AuditQuery{Who: c.Who, What: c.What, Limit: c.Limit}
	var err error
	if q.Since, err = past(c.Since, time.Now()); err != nil {
		return usageError{"--since: " + err.Error()}
	}
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	var found []console.AuditEntry
	err = d.Audit(a.ctx, q, func(e console.AuditEntry) error {
		found = append(found, e)
		return nil
	})
	if err != nil {
		return err
	}
	if len(found) == 0 && !a.json {
		fmt.Fprintln(a.err, "nobody changed anything that is kept")
	}
	slices.Reverse(found) // the newest last, as in the journal
	for i := range found {
		if err := a.print(found[i], "%s", auditLine(&found[i])); err != nil {
			return err
		}
	}
	return nil
}

// auditLine is an entry in one line of a terminal.
func auditLine(e *console.AuditEntry) string {
	who := shown(e.Who)
	if who == "" {
		who = "somebody"
	}
	from := e.Way
	if e.Address != "" {
		from += " " + shown(e.Address)
	}
	text := fmt.Sprintf("%s  %s (%s): %s", when(e.Time), who, from, e.What)
	for _, part := range []string{e.Subject, e.Detail} {
		if part != "" {
			text += " " + shown(part)
		}
	}
	if e.Change > 0 {
		text += fmt.Sprintf(" [change %d]", e.Change)
	}
	if e.Failed != "" {
		text += ", refused: " + shown(e.Failed)
	}
	return strings.TrimRight(text, " ")
}
