package cmd

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/terminal"
)

type userCmd struct {
	Ls     userLsCmd     `cmd:"" help:"Name the users of the console."`
	Add    userAddCmd    `cmd:"" help:"Add a user. Without a password, print a link by which one is chosen, once and within a week."`
	Set    userSetCmd    `cmd:"" help:"Change what a user may: only what is said."`
	Passwd userPasswdCmd `cmd:"" help:"Give a user another password, or a link to choose one. It ends the user's sessions."`
	Remove userRemoveCmd `cmd:"" help:"Remove users, and end their sessions."`
}

type userLsCmd struct{}

func (c *userLsCmd) Run(a *app) error {
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	all, err := d.Users(a.ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 && !a.json {
		fmt.Fprintln(a.err, "there are no users yet: the daemon prints a link for the first administrator when it starts with a console, and `ringfence user add NAME --role admin` makes one too")
	}
	for _, u := range all {
		if err := a.print(u, "%s", userLine(&u)); err != nil {
			return err
		}
	}
	return nil
}

// userLine is a user in one line of a terminal.
func userLine(u *console.User) string {
	text := fmt.Sprintf("%-16s %s", shown(u.Name), mayLine(u.Role, u.Lines, u.Customer))
	switch {
	case u.OIDC:
		text += ", signs in elsewhere (OIDC)"
	case !u.Invited.IsZero():
		text += ", invited until " + when(u.Invited)
	case !u.Password && len(u.Passkeys) == 0:
		text += ", cannot sign in (ringfence user passwd)"
	}
	if n := len(u.Passkeys); n > 0 {
		text += fmt.Sprintf(", %d passkeys", n)
	}
	if !u.LastSeen.IsZero() {
		text += ", seen " + when(u.LastSeen)
	}
	return text
}

// mayLine is what somebody may, and of what.
func mayLine(role console.Role, lines []string, customer string) string {
	text := string(role)
	if len(lines) > 0 {
		text += " of " + shown(strings.Join(lines, ", "))
	}
	if customer != "" {
		text += " of customer " + shown(customer)
	}
	return text
}

// boundFlags are to what somebody is bound.
type boundFlags struct {
	Lines    []string `placeholder:"LINE,…" help:"Bound to these lines: sees their calls and own lists, and nothing else."`
	Customer string   `placeholder:"CUSTOMER" help:"Bound to the lines of this customer, those to come too."`
}

// passwordFlags are where a password comes from.
type passwordFlags struct {
	Password bool `help:"Ask for the password, twice on a terminal; from anything else read one line."`
}

// password asks for one, if it shall come from here; else "".
func (f *passwordFlags) password(a *app) (string, error) {
	if !f.Password {
		return "", nil
	}
	in, ok := a.in.(*os.File)
	if !ok || !terminal.Is(in) {
		line, err := bufio.NewReader(a.in).ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return "", errors.Join(errors.New("standard input has no password: write it there, followed by a line end"), ignoreEOF(err))
		}
		return line, nil
	}
	first, err := a.askHidden(in, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := a.askHidden(in, "Again: ")
	if err == nil && first != second {
		err = errors.New("these are two different passwords: nothing was changed")
	}
	return first, err
}

func ignoreEOF(err error) error {
	if err != nil && err.Error() == "EOF" {
		return nil
	}
	return err
}

// askHidden reads a line from a terminal without showing it.
func (a *app) askHidden(in *os.File, prompt string) (string, error) {
	fmt.Fprint(a.err, prompt)
	text, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(a.err)
	return string(text), err
}

type userAddCmd struct {
	Name string `arg:"" help:"What the user signs in as."`
	Role string `required:"" placeholder:"ROLE" help:"viewer (sees), reviewer (decides marks and edits lists too) or admin (everything)."`
	boundFlags
	passwordFlags
}

func (c *userAddCmd) Run(a *app) error {
	password, err := c.password(a)
	if err != nil {
		return err
	}
	d, err := a.desk(false)
	if err != nil {
		return err
	}
	defer d.close()
	e, err := d.AddUser(a.ctx, console.NewUser{Name: c.Name, Role: console.Role(c.Role), Lines: c.Lines, Customer: c.Customer, Password: password})
	if err != nil {
		return err
	}
	return a.print(e, "%s: %s, %s%s", shown(e.Name), e.Change, mayLine(e.Role, e.Lines, e.Customer), a.linkText(e.Link))
}

// linkText says where a password is chosen.
func (a *app) linkText(path string) string {
	if path == "" {
		return ""
	}
	c, err := conf.LoadForCommand(a.config)
	switch {
	case err != nil: // the daemon's file is not for everybody who may give commands
		return "\nOnce, and within a week, a password is chosen under the console's address:\n  " + path
	case c.Console == nil:
		return "\nOnce, and within a week, a password is chosen under the console's address, when ringfence.toml has a section [console]:\n  " + path
	}
	return "\nOnce, and within a week, a password is chosen at\n  " + c.Console.Address() + path
}

type userSetCmd struct {
	Name     string    `arg:"" help:"The user."`
	Role     *string   `placeholder:"ROLE" help:"viewer (sees), reviewer (decides marks and edits lists too) or admin (everything)."`
	Lines    *[]string `placeholder:"LINE,…" help:"Bound to these lines: sees their calls and own lists, and nothing else."`
	Customer *string   `placeholder:"CUSTOMER" help:"Bound to the lines of this customer, those to come too."`
	Unbound  bool      `help:"Bound to nothing: sees everything that the role may."`
}

func (c *userSetCmd) Run(a *app) error {
	set := console.UserSet{Name: c.Name, Lines: c.Lines, Customer: c.Customer}
	if c.Role != nil {
		role := console.Role(*c.Role)
		set.Role = &role
	}
	switch {
	case c.Unbound && (c.Lines != nil || c.Customer != nil):
		return usageError{"--unbound goes with neither --lines nor --customer"}
	case c.Unbound:
		set.Lines, set.Customer = &[]string{}, new(string)
	case c.Lines == nil && c.Customer == nil && c.Role == nil:
		return usageError{"nothing is said: give --role, --lines, --customer or --unbound"}
	case c.Lines != nil && len(*c.Lines) == 0, c.Customer != nil && *c.Customer == "":
		return usageError{"to bind somebody to nothing write --unbound"}
	}
	d, err := a.desk(false)
	if err != nil {
		return err
	}
	defer d.close()
	e, err := d.SetUser(a.ctx, set)
	if err != nil {
		return err
	}
	return a.print(e, "%s: %s, %s", shown(e.Name), e.Change, mayLine(e.Role, e.Lines, e.Customer))
}

type userPasswdCmd struct {
	Name string `arg:"" help:"The user."`
	passwordFlags
}

func (c *userPasswdCmd) Run(a *app) error {
	password, err := c.password(a)
	if err != nil {
		return err
	}
	d, err := a.desk(false)
	if err != nil {
		return err
	}
	defer d.close()
	e, err := d.SetUser(a.ctx, console.UserSet{Name: c.Name, Password: &password})
	if err != nil {
		return err
	}
	what := "has another password"
	if e.Link != "" {
		what = "has no password"
	}
	return a.print(e, "%s %s; all sessions were ended%s", shown(e.Name), what, a.linkText(e.Link))
}

type userRemoveCmd struct {
	Names []string `arg:"" name:"name" help:"The users."`
}

func (c *userRemoveCmd) Run(a *app) error {
	d, err := a.desk(false)
	if err != nil {
		return err
	}
	defer d.close()
	for _, name := range c.Names {
		e, err := d.RemoveUser(a.ctx, name)
		if err != nil {
			return err
		}
		with := ""
		if len(e.Tokens) > 0 {
			with = ", and with it what it had made: token " + shown(strings.Join(e.Tokens, ", "))
		}
		if err := a.print(e, "%s: %s%s", shown(e.Name), e.Change, with); err != nil {
			return err
		}
	}
	return nil
}
