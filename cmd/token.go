package cmd

import (
	"fmt"
	"time"

	"ringfence/console"
)

type tokenCmd struct {
	Ls     tokenLsCmd     `cmd:"" help:"Name the tokens, and when each was used last."`
	Add    tokenAddCmd    `cmd:"" help:"Make a token for a script. It is shown once."`
	Revoke tokenRevokeCmd `cmd:"" help:"Take a token away; it counts no more from that moment on."`
}

type tokenLsCmd struct{}

func (c *tokenLsCmd) Run(a *app) error {
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	all, err := d.Tokens(a.ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 && !a.json {
		fmt.Fprintln(a.err, "there are no tokens")
	}
	for _, t := range all {
		if err := a.print(t, "%s", tokenLine(&t)); err != nil {
			return err
		}
	}
	return nil
}

// tokenLine is a token in one line of a terminal.
func tokenLine(t *console.Token) string {
	text := fmt.Sprintf("%s  %-16s %s", t.ID, shown(t.Name), mayLine(t.Role, t.Lines, t.Customer))
	if t.Nothing {
		text += ", which its maker may not any more: it does nothing"
	}
	if !t.Expires.IsZero() {
		text += ", until " + when(t.Expires)
	}
	if t.LastUsed.IsZero() {
		return text + ", never used"
	}
	return text + ", used " + when(t.LastUsed)
}

type tokenAddCmd struct {
	Name    string `arg:"" help:"What it is for."`
	Role    string `required:"" placeholder:"ROLE" help:"viewer (sees), reviewer (decides marks and edits lists too) or admin (everything)."`
	Expires string `placeholder:"TIME" help:"A span such as 90d, or a date. Without it the token counts until it is revoked."`
	boundFlags
}

func (c *tokenAddCmd) Run(a *app) error {
	expires, err := console.ParseExpiry(c.Expires, time.Now())
	if err != nil {
		return usageError{"--expires: " + err.Error()}
	}
	d, err := a.desk(false)
	if err != nil {
		return err
	}
	defer d.close()
	t, err := d.AddToken(a.ctx, console.NewToken{Name: c.Name, Role: console.Role(c.Role), Lines: c.Lines, Customer: c.Customer, Expires: expires})
	if err != nil {
		return err
	}
	if !a.json {
		fmt.Fprintf(a.err, "token %s (%s), %s. It is shown this once; scripts send it as the header Authorization: Bearer …\n", shown(t.Name), t.ID, mayLine(t.Role, t.Lines, t.Customer))
	}
	return a.print(t, "%s", t.Secret)
}

type tokenRevokeCmd struct {
	Tokens []string `arg:"" name:"token" help:"The id or the name."`
}

func (c *tokenRevokeCmd) Run(a *app) error {
	d, err := a.desk(false)
	if err != nil {
		return err
	}
	defer d.close()
	for _, id := range c.Tokens {
		t, err := d.RevokeToken(a.ctx, id)
		if err != nil {
			return err
		}
		if err := a.print(t, "%s (%s): revoked", shown(t.Name), t.ID); err != nil {
			return err
		}
	}
	return nil
}
